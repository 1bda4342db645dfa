"""The processes of one machine: started together, watched, and never outliving their owner."""

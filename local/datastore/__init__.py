"""A Datastore for one machine: `python -m local.datastore`. See server.py."""

"""Sample conversations and logins for a fresh start: `python -m local.sample_data`."""

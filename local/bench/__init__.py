"""Measurements of the chat on this machine: `python3 dev.py bench`."""

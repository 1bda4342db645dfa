"""The attendants: who may log in, and nothing without a login."""

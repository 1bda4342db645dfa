"""What the field for writing asks for besides sending."""

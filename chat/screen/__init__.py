"""What the attendants' screen asks for."""

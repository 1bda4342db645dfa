"""Web Push: an attendant whose pages are all closed is told of a chat that needs a person."""

"""Claude answers customers: when, what with, and how its answer gets into the chat, once."""

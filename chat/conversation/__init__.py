"""Conversations and their messages: what is stored, in which order, and how the screen gets it."""

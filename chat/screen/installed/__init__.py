"""The chat as an app of its own: its service worker, and what that tells of with it closed."""

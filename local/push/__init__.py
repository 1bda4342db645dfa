"""Stands in for a browser's push service, and for the browser: takes pushes and decrypts them."""

"""Draws the icons of the installed chat out of its own favicon: `python -m local.icons`."""

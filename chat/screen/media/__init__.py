"""The files of messages, as the page asks for them."""

"""The files of messages: where they are kept, how they come from WhatsApp, what is in them."""

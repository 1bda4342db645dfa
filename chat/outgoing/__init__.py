"""What goes to WhatsApp: queued messages, templates, read receipts, and the Graph API client."""

"""What goes to WhatsApp: queued messages, read receipts, and the Graph API client."""

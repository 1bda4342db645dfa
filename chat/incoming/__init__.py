"""What WhatsApp tells the webhook: read, stored, put off, or set aside."""

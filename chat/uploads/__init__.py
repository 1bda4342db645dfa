"""What attendants send from their computers: checked, made into what WhatsApp takes, kept."""

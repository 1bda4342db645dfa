"""Photos, recordings and documents on their way to WhatsApp."""

"""What attendants do with single messages, beside answering them."""

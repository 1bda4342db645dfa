"""The chat that the three modules extend: WhatsApp on one side, attendants on the other."""

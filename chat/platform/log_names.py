"""How the log names what must not stand in it."""

from __future__ import annotations

import hashlib


def log_name(message_id: str) -> str:
    """What the log calls a message whose id may be WhatsApp's, which has the customer's number
    inside; the same each time.
    """
    return "#" + hashlib.sha256(message_id.encode()).hexdigest()[:12]

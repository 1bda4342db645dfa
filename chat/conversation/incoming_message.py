"""What a customer has sent, as a conversation takes it, wherever it was read from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

#: What a customer does that is nothing to read.
_UNCOUNTED = frozenset({"edit", "reaction", "request_welcome", "revoke", "system"})


def counts_unread(kind: str) -> bool:
    """Whether a customer's message of this type counts as unread."""
    return kind not in _UNCOUNTED


@dataclass(frozen=True)
class IncomingMessage:
    """One message, notice or change of identity from a customer."""

    wamid: str
    phone: str | None  # digits
    bsuid: str | None
    sent_ms: int
    type: str
    text: str = ""
    placeholder: str | None = None
    payload: Any = None
    reply_to: str | None = None  # a wamid
    profile_name: str | None = None
    username: str | None = None
    new_phone: str | None = None  # the customer has changed to it
    new_bsuid: str | None = None
    stored: bool = True  # False: changes who is who, and is no bubble
    raw: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def from_customer(self) -> bool:
        """Whether the customer did this, which opens the 24-hour window."""
        return self.type not in ("system", "revoke")

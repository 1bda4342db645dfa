"""A file as it is put into a conversation by us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chat.conversation.attached import media


@dataclass(frozen=True)
class Attachment:
    """What a message of ours consists of, beside its caption.

    Of `media`, these are ours alone: `asked`, what the browser asked to be sent, by which a repeat
    is known; `sent_as`, the type that WhatsApp is told; `given`, the file's id at WhatsApp.
    """

    type: str  # Meta's
    media: media.Facts
    placeholder: str | None
    payload: dict[str, Any] | None = None

    @classmethod
    def of(cls, message: Any) -> Attachment | None:
        """The one of a stored message, to be sent once more; None where there is none that can be.

        Args:
            message: the entity.
        """
        facts = message.media or {}
        if facts.get("state") != media.READY or "sent_as" not in facts:
            return None
        return cls(message.type, dict(facts), message.placeholder, message.payload)

    def is_that_of(self, message: Any) -> bool:
        """Whether a stored message was made of the very same file, asked for in the same way."""
        return (message.media or {}).get("asked") == self.media["asked"]

"""A file as it is put into a conversation by us."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chat.conversation.attached import media
from message_status import fact

#: Meta's codes for what is wrong with a file.
_ABOUT_THE_FILE = ("131052", "131053")


@dataclass(frozen=True)
class Attachment:
    """What a message of ours consists of, beside its caption.

    Of `media`, these are ours alone: `asked`, what the browser asked to be sent, by which a repeat
    is known; `sent_as`, the type that WhatsApp is told; `given`, the file's id at WhatsApp;
    `borrowed`: its objects are another message's, until it has its own.
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
        error = fact(message, "error") or {}
        if str(error.get("code")) in _ABOUT_THE_FILE:
            # What WhatsApp has under its id is no good: it is given the file once more.
            facts = {name: value for name, value in facts.items() if name != "given"}
        facts = {**facts, "borrowed": True}
        return cls(message.type, facts, message.placeholder, message.payload)

    def is_that_of(self, message: Any) -> bool:
        """Whether a stored message was made of the very same file, asked for in the same way."""
        return (message.media or {}).get("asked") == self.media["asked"]

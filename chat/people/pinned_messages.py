"""Messages that the team has pinned in a chat: few, for some days, the same for every attendant.

The customer's phone knows nothing of it: the Cloud API cannot pin. What a chat keeps are ids, so an
edit or a revocation shows in what is pinned, too.
"""

from __future__ import annotations

from typing import Any

from chat.conversation.incoming_message import NOT_WRITTEN
from chat.conversation.models import Conversation, Message

#: As on WhatsApp: so many at once, and for one of so many days.
MOST = 3
DAYS = (1, 7, 30)
_DAY_MS = 86_400_000


class CannotPinError(Exception):
    """`reason`: "not_pinnable", or "too_many_pins", which `replace` overcomes."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def pin(
    conversation: Conversation, message: Message, days: int, now_ms: int, *, replace: bool
) -> bool:
    """Pins a message, or lets it be pinned for another time; its caller stores the conversation, in
    this transaction.

    Args:
        conversation: the message's, or the one that was merged into.
        message: which.
        days: for how many.
        now_ms: from when.
        replace: the oldest goes where there are as many as can be.

    Returns:
        whether it was not pinned before.

    Raises:
        CannotPinError: it cannot be.
    """
    if message.revoked_at or message.type in NOT_WRITTEN:
        raise CannotPinError("not_pinnable")
    known = shown(conversation, now_ms)
    others = [each for each in known if each["id"] != message.id]
    if len(others) >= MOST and not replace:
        raise CannotPinError("too_many_pins")
    made = {"id": message.id, "at": now_ms, "until": now_ms + days * _DAY_MS}
    conversation.pinned_messages = [made, *others[: MOST - 1]]
    return len(others) == len(known)


def unpin(conversation: Conversation, message_id: str, now_ms: int) -> bool:
    """The opposite, which nothing refuses; whether it was pinned."""
    known = shown(conversation, now_ms)
    left = [each for each in known if each["id"] != message_id]
    conversation.pinned_messages = left
    return len(left) < len(known)


def merge(winner: Conversation, loser: Conversation) -> None:
    """The newest of both."""
    both = [*(winner.pinned_messages or []), *(loser.pinned_messages or [])]
    winner.pinned_messages = sorted(both, key=lambda each: -each["at"])[:MOST]


def shown(conversation: Conversation, now_ms: int) -> list[dict[str, Any]]:
    """Those whose time has not run out, the one pinned last first: {"id", "at", "until"}."""
    return [each for each in conversation.pinned_messages or [] if each["until"] > now_ms]

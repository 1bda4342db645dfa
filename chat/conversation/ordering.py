"""Where a message goes in its thread. Pure: no store, no clock.

A position is computed once, at insert, and never changes: text that sorts. First comes the
message's time in milliseconds, then when its webhook call came, then its place in that call. Its
arrival and a mark of its conversation keep positions unique where two conversations turn out to be
one.

Meta's times are whole seconds, and its calls come concurrently: of two messages of one second that
come in two calls nobody can know which was written first. They stand as their calls came, and stay
so.
"""

from __future__ import annotations

from collections.abc import Sequence

#: WhatsApp's times are whole seconds of another clock. An incoming message whose time lies this
#: little before something we sent was written knowing it, or at least arrived after it: it goes
#: after it, so that no answer seems to precede its question.
REACTION_MS = 5_000
#: How far the customer's clock may be ahead of ours and our answer still goes below the question.
AHEAD_MS = 60_000
#: How many outgoing times a conversation remembers for this.
REMEMBERED = 50


def incoming_ms(sent_ms: int, recent_outgoing: Sequence[int]) -> int:
    """The effective time of an incoming message.

    Args:
        sent_ms: its own time.
        recent_outgoing: effective times of the outgoing messages already there.
    """
    near = [ms for ms in recent_outgoing if sent_ms <= ms <= sent_ms + REACTION_MS]
    return max(near) + 1 if near else sent_ms


def outgoing_ms(now_ms: int, last_position: str | None) -> int:
    """The effective time of a message we send now: below all its author could see."""
    last = effective_ms(last_position) if last_position else 0
    return last + 1 if now_ms <= last <= now_ms + AHEAD_MS else now_ms


def position(
    ms: int, *, sent_ms: int, received_ms: int, place: int, arrival: int, conversation_id: str
) -> str:
    """The text that sorts.

    Args:
        ms: the effective time.
        sent_ms: the message's own, for those that share an effective one.
        received_ms: when its webhook call came; of one of ours, when it was written.
        place: in the webhook call, 0 to 9,999.
        arrival: the message's number in its conversation.
        conversation_id: that one's.
    """
    times = f"{ms:013d}-{sent_ms:013d}-{received_ms:013d}"
    return f"{times}-{place:04d}-{arrival:08d}-{conversation_id[:6]}"


def earliest(ms: int) -> str:
    """A text that sorts before the positions of that time (milliseconds), and after older ones."""
    return f"{ms:013d}"


def effective_ms(position: str) -> int:
    """The time inside a position."""
    return int(position.split("-", 1)[0])


def remember(recent_outgoing: Sequence[int], ms: int) -> list[int]:
    """The remembered outgoing times with one more, ascending, bounded."""
    return sorted([*recent_outgoing, ms])[-REMEMBERED:]

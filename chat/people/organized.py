"""How the team keeps its chats in order, where two of them become one: pins, archive, labels, own
name, notes and pinned messages.
"""

from __future__ import annotations

import realtime_events
from chat.conversation.models import Conversation
from chat.people import notes, pinned_messages, pins


def merge(winner: Conversation, loser: Conversation) -> None:
    """Gives the conversation that stays what either had; in the transaction that merges them.

    What is archived stays so, unless that would hide something that somebody has yet to read or to
    see to.
    """
    both = (winner, loser)
    open_ones = [each for each in both if not each.archived and (each.is_unread or each.needs_you)]
    winner.archived = any(each.archived for each in both) and not open_ones
    loser.archived = False
    if any(each.pinned for each in both):
        pins.move(loser, winner)
    winner.labels = list(dict.fromkeys([*winner.labels, *loser.labels]))
    if loser.own_name and loser.own_name_at > winner.own_name_at:
        winner.own_name, winner.own_name_at = loser.own_name, loser.own_name_at
    pinned_messages.merge(winner, loser)
    notes.merge(winner, loser, realtime_events.now_ms())

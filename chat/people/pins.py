"""Which chats are pinned above the others: few, and the same for every attendant."""

from __future__ import annotations

from google.cloud import ndb

from chat.conversation.models import Conversation
from chat.platform import datastore

#: As on WhatsApp.
MOST = 3
_NAME = "all"


class TooManyPinsError(ValueError):
    """As many chats as can be are pinned already."""


class PinnedChats(ndb.Model):
    """The ids of all. One entity, so that two who pin at once stay within the limit. Key name:
    `_NAME`.
    """

    ids = ndb.TextProperty(repeated=True)


def pin(conversation: Conversation) -> None:
    """Pins a chat; its caller stores it, in this transaction.

    Raises:
        TooManyPinsError: `MOST` others are.
    """
    known = _known()
    others = [each for each in known.ids if each != conversation.id]
    if len(others) >= MOST:
        raise TooManyPinsError
    conversation.pinned = True
    _keep(known, [*others, conversation.id])


def unpin(conversation: Conversation) -> None:
    """The opposite, which nothing refuses."""
    conversation.pinned = False
    known = _known()
    _keep(known, [each for each in known.ids if each != conversation.id])


def move(loser: Conversation, winner: Conversation) -> None:
    """Two conversations become one, which is pinned if either was and it is not archived."""
    known, both = _known(), (loser, winner)
    winner.pinned = any(each.pinned for each in both) and not winner.archived
    loser.pinned = False
    others = [each for each in known.ids if each not in (loser.id, winner.id)]
    _keep(known, [*others, winner.id] if winner.pinned else others)


def _known() -> PinnedChats:
    return datastore.get(PinnedChats, _NAME) or PinnedChats(id=_NAME)


def _keep(known: PinnedChats, ids: list[str]) -> None:
    if ids != known.ids:
        known.ids = ids
        known.put()

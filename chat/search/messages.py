"""Messages with certain words, the newest first: of one conversation, or of all.

Of all, an index finds them (`Message.text_words`); of one conversation, its messages are read. Both
look at so many, or for so long, and say how far they came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chat.conversation.models import Conversation, Message
from chat.platform import search_words

#: Messages read by one call of the store.
_BATCH = 100
#: No further batch is begun after so long, or after so many messages looked at.
_SECONDS = 2.0
_MOST_LOOKED_AT = 2000
#: Without an index, of one or two letters, which are asked for on the way to every longer word.
_MOST_WITHOUT_INDEX = 200


@dataclass
class Found:
    """What a search has found so far."""

    messages: list[Message] = field(default_factory=list)
    #: The position to go on from; None: that was all.
    next: str | None = None
    #: When the last message looked at was sent, milliseconds; None: none was.
    looked_until: int | None = None


def in_conversation(
    conversation: Conversation, words: Sequence[str], before: str | None, limit: int
) -> Found:
    """Messages of one conversation.

    Args:
        conversation: the entity; what was merged into it belongs to it.
        words: folded, see `search_words.words_of`.
        before: the `next` of an earlier answer.
        limit: so many at most.
    """

    def batch(before: str | None) -> list[Message]:
        newest: list[Message] = []
        for each in (conversation.id, *conversation.absorbed):
            query = Message.query(Message.conversation_id == each).order(-Message.position)
            if before:
                query = query.filter(Message.position < before)
            newest += query.fetch(_BATCH)
        newest.sort(key=lambda message: message.position, reverse=True)
        return newest[:_BATCH]

    return _look_through(batch, words, before, limit, _MOST_LOOKED_AT)


def everywhere(words: Sequence[str], before: str | None, limit: int) -> Found:
    """Messages of all conversations. Arguments as for `in_conversation`."""

    def batch(before: str | None) -> list[Message]:
        lookup = search_words.entry_range(words, before)
        if lookup is None:  # one or two letters: whatever was said last may have them
            query = Message.query().order(-Message.position)
            if before:
                query = query.filter(Message.position < before)
        else:
            first, behind = lookup
            entry = Message.text_words
            query = Message.query(entry >= first, entry < behind).order(-entry)
        return list(query.fetch(_BATCH))

    indexed = search_words.entry_range(words, before) is not None
    most = _MOST_LOOKED_AT if indexed else _MOST_WITHOUT_INDEX
    return _look_through(batch, words, before, limit, most)


def _look_through(
    batch: Callable[[str | None], list[Message]],
    words: Sequence[str],
    before: str | None,
    limit: int,
    most: int,
) -> Found:
    found = Found(next=before)
    end = time.monotonic() + _SECONDS
    looked_at = 0
    while True:
        messages = batch(found.next)
        for message in messages:
            found.next, found.looked_until = message.position, message.sent_at
            if search_words.matches(words, message.searched_text):
                found.messages.append(message)
                if len(found.messages) >= limit:
                    return found
        looked_at += len(messages)
        if len(messages) < _BATCH:
            found.next = None
            return found
        if looked_at >= most or time.monotonic() > end:
            return found

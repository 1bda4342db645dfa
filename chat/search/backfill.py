"""Makes findable what was stored before there was a search: writes it once more, newest first.

A little at a time, and never all at once: of the 20,000 writes and 50,000 reads that Datastore
gives away in a day, most are for those who chat.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from google.cloud import ndb

import realtime_events
from chat.conversation.models import Conversation, Message
from chat.platform import datastore

#: Written by one run, and looked at: one every ten minutes makes 7,200 and 14,400 a day.
MOST_WRITTEN = 50
MOST_READ = 100
_BATCH = 25


class SearchProgress(ndb.Model):
    """How far that has come with a kind. Key name: the kind's."""

    #: The sort key up to which, from the newest on, all of it is findable; None: nothing yet.
    reached = ndb.TextProperty()
    reached_at = ndb.IntegerProperty(indexed=False)  # when that was sent, of messages
    done = ndb.BooleanProperty(indexed=False, default=False)


@dataclass(frozen=True)
class _Walk:
    kind: Any
    order: Any  # newest first by this
    entries: Any  # the index entries that may be missing


_WALKS = (
    _Walk(Conversation, Conversation.sort_key, Conversation.name_words),
    _Walk(Message, Message.position, Message.text_words),
)


def run(seconds: float, most_written: int = MOST_WRITTEN, most_read: int = MOST_READ) -> int:
    """Makes some more findable.

    Args:
        seconds: no batch is begun after so long.
        most_written: so many entities at most.
        most_read: and of so many that are looked at.

    Returns:
        how many were written.
    """
    end = time.monotonic() + seconds
    written = read = 0
    for walk in _WALKS:
        progress = _progress(walk.kind)
        while not progress.done and time.monotonic() <= end:
            size = min(_BATCH, most_written - written, most_read - read)
            if size <= 0:
                break
            counts = _batch(walk, progress, size)
            read, written = read + counts[0], written + counts[1]
    return written


def messages_from() -> int | None:
    """From when on messages are findable, milliseconds; None: all of them are."""
    progress = _progress(Message)
    if progress.done:
        return None
    return realtime_events.now_ms() if progress.reached is None else progress.reached_at


def _progress(kind: type[ndb.Model]) -> SearchProgress:
    name = kind.__name__
    return datastore.get(SearchProgress, name) or SearchProgress(id=name)


def _batch(walk: _Walk, progress: SearchProgress, size: int) -> tuple[int, int]:
    """Looks at the next ones; how many there were, and how many were written."""
    query = walk.kind.query(walk.order > "").order(-walk.order)
    if progress.reached is not None:
        query = query.filter(walk.order < progress.reached)
    found = query.fetch(size)
    last = found[-1] if found else None
    reached = walk.order._get_value(last) if last else progress.reached
    old = [each.key for each in found if _differs(each, walk.entries)]

    def attempt() -> None:
        # Read again: they may have changed since, and what is put is the whole.
        ndb.put_multi([each for each in datastore.get_many(old) if each is not None])

    if old:
        realtime_events.transaction(attempt)
    progress.reached = reached
    progress.reached_at = getattr(last, "sent_at", progress.reached_at)
    progress.done = len(found) < size
    progress.put()
    return len(found), len(old)


def _differs(entity: Any, entries: Any) -> bool:
    """Whether the index entries in the store are others than it would get now."""
    stored = entries._get_base_value_unwrapped_as_list(entity)
    return bool(stored != entries._get_value(entity))

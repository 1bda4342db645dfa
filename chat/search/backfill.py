"""Makes findable what was stored before there was a search: writes it once more, newest first.

A little at a time, and never all at once: of the 20,000 writes that Datastore gives away in a day,
most are for those who chat.
"""

from __future__ import annotations

import time
from typing import Any

from google.cloud import ndb

import realtime_events
from chat.conversation.models import Conversation, Message
from chat.platform import datastore

#: Written by one run; one every ten minutes makes 7,200 a day.
PER_RUN = 50
_BATCH = 25


class SearchProgress(ndb.Model):
    """How far that has come with a kind. Key name: the kind's."""

    #: The sort key up to which, from the newest on, all of it is findable; None: nothing yet.
    reached = ndb.TextProperty()
    reached_at = ndb.IntegerProperty(indexed=False)  # when that was sent, of messages
    done = ndb.BooleanProperty(indexed=False, default=False)


def run(seconds: float, per_run: int = PER_RUN) -> int:
    """Makes some more findable.

    Args:
        seconds: no batch is begun after so long.
        per_run: so many entities at most.

    Returns:
        how many were written.
    """
    end = time.monotonic() + seconds
    written = 0
    for kind, order in ((Conversation, Conversation.sort_key), (Message, Message.position)):
        progress = _progress(kind)
        while not progress.done and written < per_run and time.monotonic() <= end:
            count, progress = _batch(kind, order, progress, min(_BATCH, per_run - written))
            written += count
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


def _batch(
    kind: Any, order: Any, progress: SearchProgress, size: int
) -> tuple[int, SearchProgress]:
    query = kind.query(order > "").order(-order)
    if progress.reached is not None:
        query = query.filter(order < progress.reached)
    found = query.fetch(size)
    keys = [each.key for each in found]

    def attempt() -> None:
        # Read again: they may have changed since, and what is put is the whole.
        ndb.put_multi([each for each in datastore.get_many(keys) if each is not None])

    if found:
        realtime_events.transaction(attempt)
        last = found[-1]
        progress.reached = order._get_value(last)
        progress.reached_at = getattr(last, "sent_at", None)
    progress.done = len(found) < size
    progress.put()
    return len(found), progress

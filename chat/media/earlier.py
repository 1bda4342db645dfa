"""Fetches the files of messages that were stored before files were kept, while WhatsApp has them.

Newest first, some at a time; once that is done, nothing is read for it any more.
"""

from __future__ import annotations

import time

from google.cloud import ndb

import realtime_events
from chat.conversation.attached import media
from chat.conversation.models import Message
from chat.conversation.ordering import earliest
from chat.media.fetching import fetch_of
from chat.platform import datastore

#: Messages looked at in one run.
MOST_READ = 500
_BATCH = 50
_NAME = "messages"


class MediaProgress(ndb.Model):
    """How far that has come. Key name: `messages`."""

    #: The position down to which, from the newest on, all have been looked at; None: nothing yet.
    reached = ndb.TextProperty()
    done = ndb.BooleanProperty(indexed=False, default=False)


class Earlier:
    """Remembers in this process that there is nothing left to do."""

    def __init__(self) -> None:
        self._done: set[str] = set()  # of which projects

    def run(self, seconds: float, most_read: int = MOST_READ) -> int:
        """Has some more fetched.

        Args:
            seconds: no batch is begun after so long.
            most_read: so many messages are looked at.

        Returns:
            of how many messages the file is now due to be fetched.
        """
        project = ndb.get_context().client.project
        if project in self._done:
            return 0
        end, found = time.monotonic() + seconds, 0
        progress = datastore.get(MediaProgress, _NAME) or MediaProgress(id=_NAME)
        for _ in range(0, most_read, _BATCH):
            if progress.done or time.monotonic() > end:
                break
            found += _batch(progress)
        if progress.done:
            self._done.add(project)
        return found


def _batch(progress: MediaProgress) -> int:
    now = realtime_events.now_ms()
    oldest = earliest(now - media.ID_DAYS * 86_400_000)
    query = Message.query(Message.position > oldest).order(-Message.position)
    if progress.reached is not None:
        query = query.filter(Message.position < progress.reached)
    page = query.fetch(_BATCH)
    wanted = [each.key for each in page if _is_wanted(each, now)]

    def attempt() -> int:
        # Read again: they may have changed since, and what is put is the whole.
        messages = [each for each in datastore.get_many(wanted) if each and _is_wanted(each, now)]
        for message in messages:
            message.media = media.of_message(message, now)
        fetches = [fetch_of(message, now) for message in messages]
        ndb.put_multi([*messages, *(fetch for fetch in fetches if fetch is not None)])
        return len(messages)

    found: int = realtime_events.transaction(attempt) if wanted else 0
    progress.reached = page[-1].position if page else progress.reached
    progress.done = len(page) < _BATCH
    progress.put()
    return found


def _is_wanted(message: Message, now: int) -> bool:
    facts = None if message.media else media.of_message(message, now)
    return facts is not None and facts["state"] == media.PENDING

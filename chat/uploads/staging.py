"""What is on its way to become a message: which objects it has in the store, until it has become
one or a day has passed.

An object is noted here before it is put, so that whatever dies in between leaves nothing for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from google.cloud import ndb

import realtime_events
from chat.conversation.models import Message
from chat.media import objects
from chat.media.store import MediaStore, StoreError
from chat.platform import datastore

_log = logging.getLogger(__name__)

#: What was not sent by then is deleted.
KEPT_MS = 86_400_000
#: How long the address of a direct upload is good for.
URL_SECONDS = 3600
#: Longer than a request takes that makes a message of it.
_SAFE_MS = 3_600_000
_AT_ONCE = 100


class Upload(ndb.Model):
    """A file that is to become a message. Key name: the message's client_id."""

    author_id = ndb.TextProperty()
    conversation_id = ndb.TextProperty()
    created_at = ndb.IntegerProperty()  # ms
    objects = ndb.TextProperty(repeated=True)
    #: Of a direct upload: the object that the browser fills, and what the browser says it will be.
    staged = ndb.TextProperty()
    filename = ndb.TextProperty()
    mime_type = ndb.TextProperty()
    size = ndb.IntegerProperty(indexed=False)
    kind = ndb.TextProperty()

    @property
    def id(self) -> str:
        return str(self.key.id())


def staged_name(client_id: str) -> str:
    """What the store calls a direct upload, before it is checked."""
    return f"staged/{client_id}"


def is_old(upload: Upload, now_ms: int) -> bool:
    """Whether the clean-up may come to it at any moment."""
    return now_ms - upload.created_at > KEPT_MS - _SAFE_MS


def note(client_id: str, names: Iterable[str], **facts: Any) -> Upload:
    """Notes objects that are about to be put for a message.

    Args:
        client_id: the message's.
        names: of the objects.
        facts: properties of `Upload` to be set where it is new.
    """

    def attempt() -> Upload:
        upload = datastore.get(Upload, client_id)
        if upload is None:
            upload = Upload(id=client_id, created_at=realtime_events.now_ms(), **facts)
        upload.objects = list(dict.fromkeys([*upload.objects, *names]))
        upload.put()
        return upload

    return realtime_events.transaction(attempt)


def settle(client_id: str, store: MediaStore, own: Iterable[str | None] = ()) -> None:
    """The message is stored: what it does not use is deleted. Raises nothing that matters: the
    clean-up comes later to what is left.

    Args:
        client_id: the message's.
        store: of the files.
        own: objects that the caller put for it, which a repeat may have settled before that.
    """
    try:
        _delete(client_id, store, {name for name in own if name})
    except (StoreError, *datastore.ERRORS) as error:
        _log.warning("what message %s left waits: %s", client_id, type(error).__name__)


def clean_up(store: MediaStore, now_ms: int) -> int:
    """Deletes what has not been sent for a day; how many uploads that was.

    Args:
        store: of the files.
        now_ms: the present.
    """
    created = Upload.created_at
    query = Upload.query(created < now_ms - KEPT_MS).order(created)
    old = [str(key.id()) for key in query.fetch(_AT_ONCE, keys_only=True)]
    for client_id in old:
        settle(client_id, store)
    return len(old)


def _delete(client_id: str, store: MediaStore, own: set[str]) -> None:
    upload, message = datastore.get(Upload, client_id), datastore.get(Message, client_id)
    facts = (message.media if message is not None else None) or {}
    noted = {*upload.objects, upload.staged} if upload is not None else set()
    for name in (noted | own) - objects.names(facts) - {None}:
        store.delete(name)
    if upload is None:
        return

    def forget() -> None:
        now = datastore.get(Upload, client_id)
        if now is None:
            return
        # Noted meanwhile by a repeat of the same request: that one settles it, or the clean-up.
        now.objects = [name for name in now.objects if name not in upload.objects]
        if now.objects:
            now.put()
        else:
            now.key.delete()

    realtime_events.transaction(forget)

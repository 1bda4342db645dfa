"""Fetches the files that customers send, and says in the message what came of it.

What is to be fetched is an entity of its own, written with the message: a lost task, process or
network costs time and nothing else. Whoever fetches holds a lease, which is renewed while bytes
come; when it runs out another may begin. A file is in the store whole and checked, or not at all,
under the same name for whoever fetches it, so that doing it twice leaves one.
"""

from __future__ import annotations

import hashlib
import logging
import random
import secrets
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from google.cloud import ndb

import realtime_events
from chat.conversation.attached import media
from chat.conversation.models import Message
from chat.conversation.thread import summarise
from chat.media import inspection, objects
from chat.media.contents.pictures import THUMB_TYPE
from chat.media.contents.recording import PLAYED_TYPE
from chat.media.graph import AddressError, GoneError, GraphMedia, LaterError
from chat.media.store import MediaStore, MissingError, StoreError
from chat.people import identity
from chat.platform import datastore
from chat.platform.log_names import log_name

_log = logging.getLogger(__name__)

_MB = 1_000_000
#: More than WhatsApp passes on of each kind: what is larger is a mistake, or an attack.
MAX_BYTES = {
    media.IMAGE: 25 * _MB,
    media.STICKER: 5 * _MB,
    media.AUDIO: 32 * _MB,
    media.VOICE: 32 * _MB,
    media.VIDEO: 101 * _MB,
    media.DOCUMENT: 105 * _MB,
}
#: Another may take over when a lease has not been renewed for so long: longer than a connection may
#: be silent, and than it takes to look into a file.
LEASE_MS = 60_000
_RENEW_SECONDS = 15.0
#: One download as a whole, App Engine's limit for a request being ten minutes.
DOWNLOAD_SECONDS = 420.0
#: The store of entities, beside that.
STORE_SECONDS = 90.0
#: Between tries: doubled each time, from the first to the last of these.
_PAUSE_MS = (4_000, 3_600_000)
#: Tries of what did not come as it should: the file differs from its hash, or its address leads
#: nowhere, each time.
MOST_WRONG = 4
#: What the sweep leaves to the queue.
_OVERDUE_MS = 3_000
_SWEEP_LIMIT = 50
_PAUSES = (0.5, 1.0, 2.0)


class MediaFetch(ndb.Model):
    """A customer's file that is not here yet. Key name: the message's id."""

    sent_at = ndb.IntegerProperty(indexed=False)  # of the message: Meta forgets its file
    due_at = ndb.IntegerProperty()
    attempts = ndb.IntegerProperty(indexed=False, default=0)
    wrong = ndb.IntegerProperty(indexed=False, default=0)  # of them, those that brought no file
    holder = ndb.TextProperty()  # of the lease; None: the last try said what came of it
    lost = ndb.IntegerProperty(indexed=False, default=0)  # tries whose process was lost


class _WrongError(Exception):
    """The bytes are not those of the file. `reason`: what it is called if that stays so."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _LostError(Exception):
    """Another holds the lease."""


class _GivenUpError(Exception):
    """There will be no file. `reason`: one of `attached.media.EXPLANATIONS`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def fetch_of(message: Message, now_ms: int) -> MediaFetch | None:
    """What is to be written with a message whose file is to be fetched; None for any other.

    Args:
        message: about to be stored.
        now_ms: the present.
    """
    facts = message.media
    if not facts or facts["state"] != media.PENDING:
        return None
    return MediaFetch(id=message.id, sent_at=message.sent_at, due_at=now_ms)


class Fetcher:
    """Fetches files into a store."""

    def __init__(
        self, graph: GraphMedia, store: Callable[[], MediaStore], wake: Callable[[str, int], None]
    ) -> None:
        """
        Args:
            graph: where they are.
            store: gives what keeps them.
            wake: has a message's file looked at again, not before a time (ms); may lose it.
        """
        self._graph, self._store, self._wake = graph, store, wake

    def run(self, message_id: str) -> bool:
        """Fetches a message's file, if that is due and nobody is at it.

        Args:
            message_id: its id.

        Returns:
            whether it was tried.

        Raises:
            one of `datastore.ERRORS`: what came of it is not known; the sweep comes again.
        """
        holder = secrets.token_hex(8)
        now = realtime_events.now_ms()
        claimed = realtime_events.transaction(partial(_claim, message_id, holder, now))
        if claimed is None:
            return False
        name = log_name(message_id)
        settle: Callable[[], int | None]
        try:
            facts = self._fetch(message_id, holder, claimed)
        except _LostError:
            _log.warning("file of message %s: another fetches it", name)
            return True
        except _GivenUpError as error:
            _log.warning("file of message %s: unavailable, %s", name, error.reason)
            gone = {"state": media.UNAVAILABLE, "reason": error.reason}
            settle = partial(_finish, message_id, holder, gone)
        except (LaterError, StoreError, MissingError) as error:
            _log.warning("file of message %s: later, %s", name, type(error).__name__)
            settle = partial(_put_off, message_id, holder, None)
        except _WrongError as error:
            _log.warning("file of message %s: wrong, %s", name, error.reason)
            settle = partial(_put_off, message_id, holder, error.reason)
        except datastore.ERRORS:
            raise
        except Exception:  # noqa: BLE001 - a fault of ours, which the next version may not have
            _log.exception("file of message %s: later", name)
            settle = partial(_put_off, message_id, holder, None)
        else:
            settle = partial(_finish, message_id, holder, facts)
        datastore.allow(STORE_SECONDS, datastore.RPC_SECONDS)
        due = datastore.surely(
            lambda: realtime_events.transaction(settle), "what came of a file", _PAUSES
        )
        if due is not None:
            self._wake(message_id, due)
        return True

    def overdue(self) -> list[str]:
        """Ids of messages whose file nobody has fetched in time, the longest due first."""
        due = MediaFetch.due_at
        query = MediaFetch.query(due <= realtime_events.now_ms() - _OVERDUE_MS).order(due)
        return [str(key.id()) for key in query.fetch(_SWEEP_LIMIT, keys_only=True)]

    def _fetch(self, message_id: str, holder: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Brings the file into the store; what is known of it then."""
        kind, store = facts["kind"], self._store()
        datastore.allow(DOWNLOAD_SECONDS + STORE_SECONDS, datastore.RPC_SECONDS)
        try:
            told = self._graph.find(facts["graph_id"])
        except GoneError:
            raise _GivenUpError("expired") from None
        most = MAX_BYTES[kind]
        if (told.size or 0) > most:
            raise _GivenUpError("too_large")
        lease = _Lease(message_id, holder)
        deadline = time.monotonic() + DOWNLOAD_SECONDS
        name = object_name(message_id)
        try:
            arrived = _Arrival(
                self._graph.download(told.url, deadline),
                lease,
                most=most,
                size=told.size,
                hashes={each for each in (facts.get("sha256"), told.sha256) if each},
            )
            size = store.put(name, arrived, facts["mime_type"] or "application/octet-stream")
        except AddressError:
            raise _WrongError("expired") from None
        lease.renew()
        new = looked_into(store, name, kind, facts.get("filename"))
        return {"sha256": arrived.digest, "size": size, **new}


def looked_into(
    store: MediaStore, name: str, kind: str, filename: str | None = None
) -> dict[str, Any]:
    """What is known of a file that is in the store; what is made of it is put beside it.

    Args:
        store: where it is.
        name: its name there.
        kind: what it is said to be.
        filename: what it is called.
    """
    with store.open(name) as file:
        found = inspection.inspect(file, kind, filename)
    new = {"state": media.READY, "object": name, **found.facts()}
    if found.thumb is not None:
        thumb = objects.beside(name, "thumb")
        store.put(thumb, [found.thumb], THUMB_TYPE)
        new |= {"thumb": thumb, "thumb_type": THUMB_TYPE}
    if found.played is not None:
        played = objects.beside(name, "played")
        store.put(played, [found.played], PLAYED_TYPE)
        new |= {"played": played, "played_type": PLAYED_TYPE}
    return new


def object_name(message_id: str) -> str:
    """What the store calls a customer's file: nothing of the customer's number is in it."""
    digest = hashlib.sha256(message_id.encode()).hexdigest()
    return f"in/{digest[:2]}/{digest[2:42]}"


class _Lease:
    """The right to fetch, renewed now and then."""

    def __init__(self, message_id: str, holder: str) -> None:
        self._renew = partial(_renew, message_id, holder)
        self._last = time.monotonic()

    def keep(self) -> None:
        if time.monotonic() - self._last > _RENEW_SECONDS:
            self.renew()

    def renew(self) -> None:
        if not realtime_events.transaction(self._renew):
            raise _LostError
        self._last = time.monotonic()


class _Arrival:
    """Bytes on their way into the store, counted and hashed; what is wrong with them raises before
    the last of them is given on, so that nothing wrong is ever kept.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        lease: _Lease,
        *,
        most: int,
        size: int | None,
        hashes: set[str],
    ) -> None:
        self._chunks, self._lease = chunks, lease
        self._most, self._size, self._hashes = most, size, hashes
        self.digest = ""

    def __iter__(self) -> Iterator[bytes]:
        count, digest = 0, hashlib.sha256()
        for chunk in self._chunks:
            count += len(chunk)
            if count > self._most:
                raise _GivenUpError("too_large")
            digest.update(chunk)
            self._lease.keep()
            yield chunk
        self.digest = digest.hexdigest()
        if count == 0:
            raise _WrongError("empty")
        if self._hashes - {self.digest}:
            raise _WrongError("damaged")
        if not self._hashes and self._size not in (None, count):
            raise _WrongError("damaged")


def _claim(message_id: str, holder: str, now: int) -> dict[str, Any] | None:
    """What is known of a file that is due to be fetched, which is now this holder's to do."""
    fetch = datastore.get(MediaFetch, message_id)
    if fetch is None or (fetch.due_at or 0) > now:
        return None
    message = datastore.get(Message, message_id)
    facts = media.of_message(message, now) if message else None
    if facts is None or facts["state"] != media.PENDING:
        fetch.key.delete()
        return None
    fetch.lost += 1 if fetch.holder else 0
    fetch.holder, fetch.attempts = holder, fetch.attempts + 1
    # A file that takes its process along each time must not do that every minute.
    fetch.due_at = now + min(_PAUSE_MS[1], LEASE_MS * 2 ** min(fetch.lost, 10))
    if fetch.lost and media.is_gone(fetch.sent_at, now):
        fetch.put()
        _finish(message_id, holder, {"state": media.UNAVAILABLE, "reason": "expired"})
        return None
    fetch.put()
    return dict(facts)


def _held(message_id: str, holder: str) -> MediaFetch | None:
    fetch = datastore.get(MediaFetch, message_id)
    return fetch if fetch is not None and fetch.holder == holder else None


def _renew(message_id: str, holder: str) -> bool:
    fetch = _held(message_id, holder)
    if fetch is None:
        return False
    fetch.due_at = max(fetch.due_at or 0, realtime_events.now_ms() + LEASE_MS)
    fetch.put()
    return True


def _put_off(message_id: str, holder: str, wrong: str | None) -> int | None:
    """Has it tried again, unless that is no use any more; when that is due."""
    fetch = _held(message_id, holder)
    if fetch is None:
        return None
    now = realtime_events.now_ms()
    fetch.wrong += 1 if wrong else 0
    if wrong and fetch.wrong >= MOST_WRONG:
        _finish(message_id, holder, {"state": media.UNAVAILABLE, "reason": wrong})
        return None
    if media.is_gone(fetch.sent_at, now):
        _finish(message_id, holder, {"state": media.UNAVAILABLE, "reason": "expired"})
        return None
    first, last = _PAUSE_MS
    pause = min(last, first * 2 ** min(fetch.attempts - 1, 20))
    fetch.holder = None
    fetch.due_at = now + round(pause * random.uniform(0.75, 1.25))
    fetch.put()
    return int(fetch.due_at)


def _finish(message_id: str, holder: str, new: dict[str, Any]) -> None:
    """Says in the message what came of its file, and tells the screens."""
    fetch, message = _held(message_id, holder), datastore.get(Message, message_id)
    if fetch is None:
        return
    fetch.key.delete()
    facts = media.of_message(message, realtime_events.now_ms()) if message else None
    conversation = identity.load_conversation(message.conversation_id) if message else None
    if message is None or facts is None or conversation is None:
        return
    # Kept as told: with it the same file is known again.
    kept = {name: facts[name] for name in ("graph_id", "filename") if name in facts}
    message.media = {**facts, **kept, **new}
    summarise(conversation, message)
    conversation.bump_version()
    datastore.put_many([conversation, message])
    realtime_events.tell("message.updated", conversation, message)

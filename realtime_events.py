"""Module 1: an event log in Datastore, its cursor, and a Server-Sent Events view of it.

App Engine standard buffers whole responses, so a stream that stays open delivers nothing there.
The core is therefore a finite question, *which events come after this cursor?*, and SSE is a thin
view of its answer, right whether or not the front end streams. Any SSE client can read it.

The host calls `init_app` (who is logged in, how to open an ndb context, who may run the clean-up)
and calls `publish` inside the transaction that makes the change, run by `transaction`.
"""

import base64
import json
import logging
import os
import random
import re
import secrets
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial, wraps
from hashlib import blake2b
from itertools import islice
from typing import Any, TypeVar

from flask import Blueprint, Flask, Response, current_app, has_app_context, jsonify, request
from google.cloud import ndb

__all__ = [
    "DEFAULTS",
    "Cursor",
    "CursorExpired",
    "Event",
    "RealtimeEvent",
    "VersionedMixin",
    "current_cursor",
    "delete_expired",
    "format_event",
    "init_app",
    "publish",
    "transaction",
    "transactional",
]

#: Settings, read from `app.config` or else the environment under the prefix `REALTIME_EVENTS_`:
#: name → (default, smallest, largest); text settings have their allowed values instead.
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "DELIVERY": ("auto", "auto", "stream", "hold"),  # auto: hold on App Engine standard
    "OVERLAP_SECONDS": (10.0, 1, 60),  # how late after its stamp a commit may become visible
    "POLL_SECONDS": (0.3, 0.05, 60),  # how stale another process's event may be
    "STREAM_SECONDS": (55.0, 1, 3600),  # jittered, so that a fleet does not reconnect at once
    # static/realtime_events.js gives up after 25 s without a byte (SILENCE_TIMEOUT):
    "HOLD_SECONDS": (20.0, 1, 21),  # jittered by 15 %
    "HEARTBEAT_SECONDS": (10.0, 0.1, 20),
    "RETRY_MS": (2000, 100, 60000),  # asked of the streams over the capacity, jittered
    "CAPACITY": (60, 0, 100000),  # open streams a process; keep it below the server's threads
    "RING_SIZE": (2000, 10, 100000),  # recent events kept encoded, about 2 kB each
    "PAGE_SIZE": (500, 10, 1000),  # events read in one go; Datastore looks up 1,000 keys at most
    "RETENTION_HOURS": (24.0, 0.001, 720),  # a cursor older than this is answered by `reset`
    "CLEANUP_SECONDS": (20.0, 0.1, 500),  # time budget of one clean-up request
    "RPC_SECONDS": (5.0, 0.1, 60),  # one read of the store; ndb's own default is no limit at all
    "STALE_SECONDS": (10.0, 0.1, 60),  # a poller without a read for so long must not look alive
    "LINGER_SECONDS": (3.0, 0, 60),  # it outlives the gap between two requests of a held client
}
_PREFIX = "REALTIME_EVENTS_"
_HOLD_RETRY = b"retry: 20\n\n"  # ms; never 0: EventSource then spins without back-off
_CURSOR_BYTES = 2250  # 3,000 characters encoded; gunicorn refuses request lines over 4 kB
_SLICES = 240  # digests of a cursor whose ids do not fit: 8 bytes each
_CURSOR_EVENTS = 100_000  # more than any window holds; a forged cursor could claim 13 million
_IDS_PER_BATCH = 25  # at most so many events of a batch carry an `id:`, each some kB in a burst
_DATA_BYTES = 400_000  # of one event; a Datastore entity holds 1 MiB
_ENTITY_EVENTS = 200  # of one transaction in one entity
_TYPE = re.compile(r"[a-z_]+(\.[a-z_]+)?")
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class CursorExpired(ValueError):
    """The cursor cannot be resumed: unreadable, or older than the retention."""


# --- cursor -----------------------------------------------------------------------------------


def _name(ms: int, transaction_id: str, sequence: int) -> str:
    return f"{ms:013d}-{transaction_id}-{sequence:04d}"


@lru_cache(maxsize=20_000)
def _parts(name: str) -> tuple[int, str, int]:
    ms, transaction_id, sequence = name.split("-")
    return int(ms), transaction_id, int(sequence)


@dataclass
class Cursor:
    """A watermark, and what has been delivered above it.

    Commits become visible out of stamp order, so "newer than the newest seen" loses events. The
    watermark stays `OVERLAP_SECONDS` behind; above it the cursor knows, per transaction (stamp in
    ms, random id), how many of its events were delivered. Where that does not fit, it carries one
    digest a time slice instead (`slices`, each `width` ms wide), and a slice in which anything
    changed is delivered again: re-delivery under a burst, never a skip.
    """

    watermark: int
    delivered: dict[tuple[int, str], int] = field(default_factory=dict)
    slices: tuple[bytes, ...] = ()
    width: int = 0

    @classmethod
    def of(cls, watermark: int, names: Iterable[str]) -> "Cursor":
        """The cursor of a client that has the events of these names and all up to `watermark`."""
        seen: dict[tuple[int, str], set[int]] = {}
        for ms, transaction_id, sequence in map(_parts, names):
            if ms > watermark:
                seen.setdefault((ms, transaction_id), set()).add(sequence)
        counts = {}
        for transaction_key, sequences in seen.items():
            count = 0
            while count in sequences:
                count += 1
            if count:
                counts[transaction_key] = count
        return cls(watermark, counts)

    def encode(self) -> str:
        """Url-safe text of at most 3,000 characters that any process can resume."""
        raw = bytearray(b"\x01" + self.watermark.to_bytes(6, "big"))
        if len(self.delivered) * 11 + len(raw) <= _CURSOR_BYTES:
            for (ms, transaction_id), count in sorted(self.delivered.items()):
                raw += min(ms - self.watermark, 0xFFFFFF).to_bytes(3, "big")
                raw += bytes.fromhex(transaction_id) + min(count, 0xFFFF).to_bytes(2, "big")
        else:
            newest = max(ms for ms, _ in self.delivered)
            width = min((newest - self.watermark) // _SLICES + 1, 0xFFFF)
            raw[0] = 2
            raw += width.to_bytes(2, "big") + b"".join(self._digests(self.delivered, width))
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Reads `encode`'s text.

        Raises:
            CursorExpired: it is not such a text.
        """
        try:
            raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
            mode, watermark, rest = raw[0], int.from_bytes(raw[1:7], "big"), raw[7:]
            if mode == 1 and len(raw) >= 7 and len(rest) % 11 == 0:
                delivered = {}
                for entry in (rest[i : i + 11] for i in range(0, len(rest), 11)):
                    ms = watermark + int.from_bytes(entry[:3], "big")
                    delivered[ms, entry[3:9].hex()] = int.from_bytes(entry[9:], "big")
                if sum(delivered.values()) <= _CURSOR_EVENTS:
                    return cls(watermark, delivered)
            if mode == 2 and len(rest) == 2 + 8 * _SLICES and (width := int.from_bytes(rest[:2])):
                slices = tuple(rest[i : i + 8] for i in range(2, len(rest), 8))
                return cls(watermark, {}, slices, width)
        except (ValueError, IndexError):
            pass
        raise CursorExpired("unreadable cursor")

    def _digests(self, counts: dict[tuple[int, str], int], width: int) -> list[bytes]:
        digests = [0] * _SLICES
        for (ms, transaction_id), count in counts.items():
            text = f"{ms}-{transaction_id}-{count}".encode()
            digest = int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
            digests[self._slice(ms, width)] ^= digest
        return [digest.to_bytes(8, "big") for digest in digests]

    def _slice(self, ms: int, width: int) -> int:
        return min((ms - self.watermark) // width, _SLICES - 1)

    def unseen(self, names: Iterable[str]) -> list[str]:
        """Those of `names` (all that is visible above the watermark) not delivered yet."""
        above = [name for name in names if _parts(name)[0] > self.watermark]
        if self.slices:
            now = self._digests(Cursor.of(self.watermark, above).delivered, self.width)
            changed = [old != new for old, new in zip(self.slices, now, strict=True)]
            return [name for name in above if changed[self._slice(_parts(name)[0], self.width)]]
        return [name for name in above if not self.has(name)]

    def names(self) -> list[str]:
        """The events known, by id, to have been delivered above the watermark."""
        return [
            _name(ms, transaction_id, sequence)
            for (ms, transaction_id), count in self.delivered.items()
            for sequence in range(count)
        ]

    def has(self, name: str) -> bool:
        """Whether this event is known, by id, to have been delivered."""
        ms, transaction_id, sequence = _parts(name)
        return sequence < self.delivered.get((ms, transaction_id), 0)


# --- event log --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """One event as it was published; `data` is JSON text, `at` ms since 1970."""

    name: str
    type: str
    conversation_id: str | None
    version: int | None
    at: int
    data: str


class RealtimeEvent(ndb.Model):
    """The events of one transaction; of a very large one, some of them.

    Key name `{ms:013d}-{transaction random}-{sequence of the first}-{how many}`; nothing else is
    indexed. Not an entity an event: of a webhook call with 1,000 updates they would cost a quarter
    of its time, and each poll would list a thousand keys.
    """

    heads = ndb.TextProperty()  # JSON: [type, conversation_id, version] of each
    data = ndb.TextProperty(repeated=True)
    #: For a Datastore TTL policy on this property, which can replace the clean-up route.
    expires_at = ndb.DateTimeProperty(indexed=False)

    def events(self) -> list[Event]:
        """The single events, in the order in which they were published."""
        names = _event_names(self.key.id())
        heads = json.loads(self.heads)
        return [
            Event(name, type, conversation_id, version, _parts(name)[0], data)
            for name, (type, conversation_id, version), data in zip(
                names, heads, self.data, strict=True
            )
        ]


def _event_names(entity_name: str) -> list[str]:
    ms, transaction_id, first, count = entity_name.split("-")
    sequences = range(int(first), int(first) + int(count))
    return [_name(int(ms), transaction_id, sequence) for sequence in sequences]


class VersionedMixin(ndb.Model):
    """Gives a conversation the `version` by which browsers notice a missed event."""

    version = ndb.IntegerProperty(default=0, indexed=False)

    def bump_version(self) -> int:
        """Adds one; call it once per transaction that changes the conversation or its messages."""
        self.version = (self.version or 0) + 1
        return self.version


_Pending = tuple[str, str | None, int | None, str]  # type, conversation_id, version, data
_published: ContextVar[list[_Pending] | None] = ContextVar("realtime_published", default=None)
_hubs: "weakref.WeakSet[_Hub]" = weakref.WeakSet()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def publish(
    type: str, data: dict[str, Any], *, conversation_id: str | None, version: int | None = None
) -> None:
    """Records an event that commits with the caller's transaction, or not at all.

    Args:
        type: `noun` or `noun.past`, such as `message.created`.
        data: what JSON can carry, at most 400 kB.
        conversation_id: the conversation it tells of, or None.
        version: the conversation's version after this transaction, or None.

    Under `transaction` the event is stamped when the callback has ended, again on each retry. In a
    plain ndb transaction it is stamped here: publish last, and commit well within the overlap.

    Raises:
        RuntimeError: not in a transaction.
        ValueError: the type's form, or the data's size.
    """
    if not ndb.in_transaction():
        raise RuntimeError("publish() must be called inside a transaction")
    if not _TYPE.fullmatch(type):
        raise ValueError(f"type: {type!r} is not of the form noun.past")
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    if len(body.encode()) > _DATA_BYTES:
        raise ValueError(f"data: over {_DATA_BYTES} bytes in an event of type {type}")
    event: _Pending = (type, conversation_id, version, body)
    pending = _published.get()
    if pending is None:
        _write([event])
    else:
        pending.append(event)


def _write(pending: list[_Pending]) -> None:
    own = _hub()
    kept = timedelta(hours=own.settings["RETENTION_HOURS"] if own else 24)
    stamp, transaction_id = _now_ms(), secrets.token_hex(6)
    expires_at = datetime.fromtimestamp(stamp / 1000, UTC).replace(tzinfo=None) + kept
    entities, first = [], 0
    while first < len(pending):
        count, size = 0, 0
        while first + count < len(pending) and count < _ENTITY_EVENTS and size < _DATA_BYTES:
            size += len(pending[first + count][3].encode())
            count += 1
        part = pending[first : first + count]
        key = ndb.Key(RealtimeEvent, f"{_name(stamp, transaction_id, first)}-{count}")
        heads = json.dumps([head for *head, _ in part])
        data = [data for *_, data in part]
        entities.append(RealtimeEvent(key=key, heads=heads, data=data, expires_at=expires_at))
        first += count
    ndb.put_multi(entities)
    # Only what cannot raise: ndb would run the committed transaction again.
    for hub in list(_hubs):
        ndb.get_context().call_on_commit(partial(hub.offer, entities))


def transaction(callback: Callable[[], _T], *, retries: int = 3) -> _T:
    """Runs `callback` in an ndb transaction, or joins the one under way; stamps its events last.

    A commit slower than half the overlap may be missed by cursors that passed its stamp meanwhile,
    so its events are then published once more; clients ignore what they have.

    Args:
        callback: takes nothing; runs again on each retry.
        retries: attempts after the first when Datastore reports a conflict.
    """
    if ndb.in_transaction():
        return callback()
    events: list[_Pending] = []
    stamped = time.monotonic()

    def attempt() -> _T:
        nonlocal stamped
        events.clear()
        token = _published.set(events)
        try:
            result = callback()
            stamped = time.monotonic()
            if events:
                _write(events)
        finally:
            _published.reset(token)
        return result

    result: _T = ndb.transaction(attempt, retries=retries)
    hub = _hub()
    overlap = hub.settings["OVERLAP_SECONDS"] if hub else DEFAULTS["OVERLAP_SECONDS"][0]
    if events and time.monotonic() - stamped > overlap / 2:
        _log.warning("slow commit: published %d events again", len(events))
        ndb.transaction(lambda: _write(events), retries=retries)
    return result


def transactional(*, retries: int = 3) -> Callable[[Callable[..., _T]], Callable[..., _T]]:
    """`transaction` as a decorator."""

    def decorate(function: Callable[..., _T]) -> Callable[..., _T]:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> _T:
            return transaction(lambda: function(*args, **kwargs), retries=retries)

        return wrapper

    return decorate


def _names_after(ms: int, timeout: float, limit: int | None = None) -> dict[str, str]:
    """Names of the visible events stamped later than `ms`, in stamp order, each with its entity's.

    At most `limit` of them.
    """
    after = ndb.Key(RealtimeEvent, f"{ms + 1:013d}")
    query = RealtimeEvent.query(RealtimeEvent._key > after).order(RealtimeEvent._key)
    keys = query.fetch(limit=limit, keys_only=True, timeout=timeout, retries=0)
    pairs = ((name, key.id()) for key in keys for name in _event_names(key.id()))
    return dict(islice(pairs, limit))


def _load(names: dict[str, str], timeout: float) -> list[Event]:
    """These events, as `_names_after` gives them, without those that are gone."""
    entities = list(dict.fromkeys(names.values()))
    events: list[Event] = []
    for start in range(0, len(entities), 500):
        keys = [ndb.Key(RealtimeEvent, name) for name in entities[start : start + 500]]
        options: dict[str, Any] = {"use_cache": False, "use_global_cache": False, "retries": 0}
        for entity in ndb.get_multi(keys, timeout=timeout, **options):
            events += [event for event in entity.events() if event.name in names] if entity else []
    return events


def delete_expired(retention_hours: float, seconds: float, batch: int = 500) -> tuple[int, bool]:
    """Deletes events older than the retention, in batches, oldest first.

    Args:
        retention_hours: how long an event is kept.
        seconds: the time budget; a batch under way is finished.
        batch: events deleted in one commit.

    Returns:
        How many were deleted, and whether there may be more.
    """
    end = time.monotonic() + seconds
    cutoff = ndb.Key(RealtimeEvent, f"{_now_ms() - int(retention_hours * 3_600_000):013d}")
    query = RealtimeEvent.query(RealtimeEvent._key < cutoff).order(RealtimeEvent._key)
    deleted = 0
    while time.monotonic() < end:
        keys = query.fetch(limit=batch, keys_only=True, timeout=seconds)
        ndb.delete_multi(keys)
        deleted += len(keys)
        if len(keys) < batch:
            return deleted, False
    return deleted, True


# --- wire format ------------------------------------------------------------------------------


def format_event(
    type: str, data: str, *, cursor: str | None, event_id: str, at: int,
    conversation_id: str | None = None, version: int | None = None,
) -> bytes:  # fmt: skip
    """One SSE block.

    Args:
        type: the event's type.
        data: its data as JSON text.
        cursor: what a client resumes from after it, or None for no `id:` line.
        event_id: the event's own id.
        at: when it was published, ms since 1970.
        conversation_id, version: as published.
    """
    moment = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    head: dict[str, Any] = {"id": event_id, "type": type, "conversation_id": conversation_id}
    head |= {"version": version, "at": moment.replace("+00:00", "Z")}
    envelope = f'{json.dumps(head)[:-1]}, "data": {data}}}'
    identity = f"id: {cursor}\n" if cursor else ""
    return f"{identity}event: {type}\ndata: {envelope}\n\n".encode()


def _block(event: Event, cursor: str | None) -> bytes:
    return format_event(
        event.type, event.data, cursor=cursor, event_id=event.name, at=event.at,
        conversation_id=event.conversation_id, version=event.version,
    )  # fmt: skip


def _control(type: str, cursor: str, data: dict[str, Any]) -> bytes:
    name = f"{type}-{secrets.token_hex(6)}"
    return format_event(type, json.dumps(data), cursor=cursor, event_id=name, at=_now_ms())


def _in_order(events: list[Event]) -> list[Event]:
    """Stamp order, but a conversation's versions ascend: two instances' clocks may disagree."""
    ordered = sorted(events, key=lambda event: event.name)
    places: dict[str, list[int]] = {}
    for place, event in enumerate(ordered):
        if event.conversation_id and event.version is not None:
            places.setdefault(event.conversation_id, []).append(place)
    result = list(ordered)
    for slots in places.values():
        by_version = sorted((ordered[slot] for slot in slots), key=lambda event: event.version or 0)
        for slot, event in zip(slots, by_version, strict=True):
            result[slot] = event
    return result


def _id_places(count: int) -> set[int]:
    """Which of a batch's events carry an `id:`: all of a small batch, always the last."""
    return set(range(count - 1, -1, -max(1, -(-count // _IDS_PER_BATCH))))


# --- one poller a process ---------------------------------------------------------------------


@dataclass(slots=True)
class _Entry:
    name: str
    block: bytes  # encoded once, for all listeners


class _Stream:
    """One open response."""

    closed = False


class _Hub:
    """Reads the log once for all connections of the process, and only while somebody listens."""

    def __init__(self, settings: dict[str, Any], context: Callable[[], AbstractContextManager]):
        self.settings = settings
        self.context = context
        self.overlap_ms = int(settings["OVERLAP_SECONDS"] * 1000)
        self.rpc_seconds: float = settings["RPC_SECONDS"]
        self.changed = threading.Condition()
        self.streams: dict[Any, _Stream] = {}
        self.closing = False
        self.ring: deque[_Entry] = deque()
        self.end = 0  # position after the newest entry; the oldest is at end - len(ring)
        self._floor = 0  # events stamped at or before it may be missing from the ring
        self._visible: dict[str, None] = {}  # names above the watermark, in the ring's order
        self._watermark = 0
        self._read_at = 0.0  # monotonic, when the newest read began; 0: not yet
        self._read_asked = False
        self._failing = False  # the newest read failed
        self._wanted_at = 0.0
        self._inbox: deque[list[RealtimeEvent]] = deque()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._current: tuple[int, str] | None = None

    def offer(self, entities: list[RealtimeEvent]) -> None:
        """Hands over what this process has committed, without a read. Cannot raise."""
        if self._thread is not None:
            self._inbox.append(entities)
            self._wake.set()

    def alive(self) -> bool:
        age = time.monotonic() - self._read_at
        return bool(self._read_at) and age < self.settings["STALE_SECONDS"]

    def start(self) -> None:
        """Sees to it that the poller runs and has read.

        Raises:
            TimeoutError: the store cannot be read.
        """
        with self.changed:
            self._wanted_at = time.monotonic()
            if self.closing:
                return  # what the ring has will do for a last answer
            self._ensure_poller()
            # Not while reads fail: in an outage those who wait would take all threads.
            self.changed.wait_for(lambda: self.alive() or self._failing, self.rpc_seconds)
            if not self.alive():
                raise TimeoutError("the event log cannot be read")

    def _ensure_poller(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        self.ring.clear()
        self.end += 1  # positions of before are overtaken: what came meanwhile is not in the ring
        self._current = None
        self._visible = {}
        self._inbox.clear()
        self._read_at, self._failing = 0.0, False
        self._watermark = self._floor = _now_ms() - self.overlap_ms
        self._thread = threading.Thread(target=self._run, name=__name__, daemon=True)
        self._thread.start()

    def catch_up_with(self, cursor: Cursor) -> None:
        """Reads once more if a client has, from another process, what this one has not seen yet.

        Else it would hand that client a cursor that knows less than the client does.
        """
        known = self._visible
        lasts = ((ms, _name(ms, each, n - 1)) for (ms, each), n in cursor.delivered.items() if n)
        if all(name in known or ms <= self._watermark for ms, name in lasts):
            return
        self.refresh()

    def refresh(self) -> None:
        """Reads once more, now: what was visible before this call is in the ring after it."""
        asked = time.monotonic()
        with self.changed:
            self._read_asked = True
            self._wake.set()
            self.changed.wait_for(lambda: self._read_at >= asked or self.closing, self.rpc_seconds)

    def _run(self) -> None:
        next_read = 0.0
        while True:
            with self.changed:
                idle = time.monotonic() - self._wanted_at > self.settings["LINGER_SECONDS"]
                if self.closing or (self._read_at and idle and not self.streams):
                    self._thread = None
                    return
            started = time.monotonic()
            if self._read_asked:
                self._read_asked, next_read = False, started
            try:
                self._poll(read=started >= next_read)
            except Exception as error:  # noqa: BLE001 - the poller outlives any store failure
                _log.warning("cannot read the event log: %s", type(error).__name__)
                with self.changed:
                    self._failing = True
                    self.changed.notify_all()
                next_read = 0.0
                self._wake.wait(self.settings["POLL_SECONDS"])
            if started >= next_read:
                # A window full of events is slow to list: never spend more than half the time.
                spent = time.monotonic() - started
                next_read = started + max(self.settings["POLL_SECONDS"], 2 * spent)
            self._wake.wait(max(0.0, next_read - time.monotonic()))
            self._wake.clear()

    def _poll(self, read: bool) -> None:
        started, began = _now_ms(), time.monotonic()
        batch: dict[str, Event] = {}
        while self._inbox:
            for entity in self._inbox.popleft():
                batch |= {event.name: event for event in entity.events()}
        if read:
            with self.context():
                found = _names_after(self._watermark, self.rpc_seconds).items()
                new = {n: e for n, e in found if n not in self._visible and n not in batch}
                batch |= {event.name: event for event in _load(new, self.rpc_seconds)}
        fresh = _in_order([e for name, e in batch.items() if name not in self._visible])
        visible = dict(self._visible)  # encoding takes a while in a burst: not under the lock
        delivered = Cursor.of(self._watermark, visible).delivered
        entries: list[_Entry] = []
        places = _id_places(len(fresh))
        for place, event in enumerate(fresh):
            visible[event.name] = None
            ms, transaction_id, sequence = _parts(event.name)
            # Counts what comes in its order; the last cursor of the batch counts anew.
            if ms > self._watermark and delivered.get((ms, transaction_id), 0) == sequence:
                delivered[ms, transaction_id] = sequence + 1
            cursor = Cursor(self._watermark, delivered)
            if place == len(fresh) - 1:
                cursor = Cursor.of(self._watermark, visible)
            text = cursor.encode() if place in places else None
            entries.append(_Entry(event.name, _block(event, text)))
        with self.changed:
            self._visible = visible
            self.ring.extend(entries)
            self.end += len(entries)
            while len(self.ring) > self.settings["RING_SIZE"]:
                self._floor = max(self._floor, _parts(self.ring.popleft().name)[0])
            if read:
                # The server's clock moves the watermark too: a quiet weekend expires no cursor.
                # Where that clock was far ahead and is set back, the watermark goes back with it:
                # else all that is published until the clock gets there again would be missed.
                behind = started - self.overlap_ms
                ahead = self._watermark > started
                self._watermark = behind if ahead else max(self._watermark, behind)
                self._failing = False
                self._visible = {n: None for n in visible if _parts(n)[0] > self._watermark}
                self._read_at = began
            if fresh or read:
                self._current = None
                self.changed.notify_all()

    def cursor(self) -> tuple[int, str]:
        """The newest position, and the cursor of a client that has all up to it."""
        with self.changed:
            if self._current is None:
                self._current = (self.end, Cursor.of(self._watermark, self._visible).encode())
            return self._current

    def entries(self, position: int) -> tuple[list[_Entry], int] | None:
        """The ring's entries from `position` on, and the newest position; None if it lost some."""
        with self.changed:
            count = self.end - position
            if count > len(self.ring):
                return None
            # From the new end: a deque is slow in its middle, and every listener is here.
            return list(islice(reversed(self.ring), count))[::-1], self.end

    def above(self, watermark: int) -> tuple[list[_Entry], int, str] | None:
        """The ring's entries stamped after it, the newest position, and the cursor there.

        None if the ring may lack some.
        """
        with self.changed:
            if watermark < self._floor:
                return None
            return [e for e in self.ring if _parts(e.name)[0] > watermark], *self.cursor()

    def wait(self, stream: _Stream, position: int, seconds: float) -> None:
        """Until there is something after `position`, or the stream is to end, or time is up."""

        def due() -> bool:
            return self.end > position or stream.closed or self.closing

        with self.changed:
            self.changed.wait_for(due, max(0.0, seconds))

    def open(self, key: Any) -> _Stream | None:
        """A place for a stream, or None over the capacity. Ends the older one of the same key."""
        with self.changed:
            self._wanted_at = time.monotonic()
            if self.closing:
                return None
            self._ensure_poller()  # it may have ended while this client's pages were read
            older = self.streams.pop(key, None)
            if older is not None:
                older.closed = True
                self.changed.notify_all()
            if len(self.streams) >= self.settings["CAPACITY"]:
                return None
            stream = self.streams[key] = _Stream()
            return stream

    def release(self, key: Any, stream: _Stream | None) -> None:
        """Gives the place back; any number of times."""
        with self.changed:
            if stream is not None and self.streams.get(key) is stream:
                del self.streams[key]
                self._wanted_at = time.monotonic()

    def close(self) -> None:
        """Ends every stream, at once."""
        with self.changed:
            self.closing = True
            self.changed.notify_all()
        self._wake.set()


# --- delivery ---------------------------------------------------------------------------------


class _Reader:
    """One client's way through the log: pages of the store while behind, then the ring."""

    def __init__(self, hub: _Hub, cursor: Cursor):
        self._hub = hub
        self._cursor = cursor
        self._newest: bytes | None = None  # the last block sent with an `id:`
        self.position: int | None = None  # in the ring; None: not there yet

    def read(self) -> list[bytes]:
        """What is due now, without waiting."""
        if self.position is not None:
            found = self._hub.entries(self.position)
            if found is not None:
                new = [e.block for e in found[0] if not self._cursor.has(e.name)]
                self.position = found[1]
                return self._sent(new)
            if self._newest:  # overtaken by the ring: on from the last cursor this client got
                self._cursor = Cursor.decode(self._newest[4 : self._newest.index(b"\n")].decode())
            self.position = None
        self._hub.catch_up_with(self._cursor)
        above = self._hub.above(self._cursor.watermark)
        if above is None:
            return self._sent(self._page())
        entries, self.position, cursor = above
        wanted = set(self._cursor.unseen(entry.name for entry in entries))
        blocks = [entry.block for entry in entries if entry.name in wanted]
        if blocks and len(blocks) < len(entries):
            # A block's own cursor need not know what this client has from another process.
            blocks.append(_renewal(cursor))
        return self._sent(blocks)

    def _sent(self, blocks: list[bytes]) -> list[bytes]:
        for block in reversed(blocks):
            if block.startswith(b"id: "):
                self._newest = block
                break
        return blocks

    def _page(self) -> list[bytes]:
        had = self._cursor.names()
        limit = self._hub.settings["PAGE_SIZE"] + len(had)
        position, timeout = self._hub.end, self._hub.rpc_seconds
        reached = _now_ms() - self._hub.overlap_ms
        with _context(self._hub):
            found = _names_after(self._cursor.watermark, timeout, limit)
            names = list(found)
            wanted = {name: found[name] for name in self._cursor.unseen(names)}
            events = _in_order(_load(wanted, timeout))
        if len(names) == limit:
            reached = min(reached, _parts(names[-1])[0] - 1)
        else:
            # What becomes visible after this query comes into the ring after this position.
            self.position = position
        reached = max(reached, self._cursor.watermark)
        done = {*names, *had} - {event.name for event in events}
        places, blocks = _id_places(len(events)), []
        for place, event in enumerate(events):
            done.add(event.name)
            cursor = None
            if place in places:
                missing = next((_parts(name)[0] for name in names if name not in done), None)
                mark = reached if missing is None else min(reached, missing - 1)
                cursor = Cursor.of(mark, done).encode()
            blocks.append(_block(event, cursor))
        self._cursor = Cursor.of(reached, [*names, *had])
        self._hub.catch_up_with(self._cursor)
        return blocks

    def cursor(self) -> str | None:
        """The cursor of a client that has all that was read; None if something new has come."""
        position, text = self._hub.cursor()
        return text if position == self.position else None


def _context(hub: _Hub) -> AbstractContextManager[Any]:
    """The ndb context of the request, or a fresh one where it has already ended."""
    current = ndb.get_context(raise_context_error=False)
    return nullcontext() if current else hub.context()


def _now_cursor(hub: _Hub) -> str:
    """The cursor "from now on": the poller's, or read where none runs."""
    if hub.alive():
        return hub.cursor()[1]
    watermark = _now_ms() - hub.overlap_ms
    return Cursor.of(watermark, _names_after(watermark, hub.rpc_seconds)).encode()


def _renewal(cursor: str | None) -> bytes:
    """Renews the client's cursor without an event."""
    return f"id: {cursor}\n: hb\n\n".encode() if cursor else b": hb\n\n"


def _jittered(value: float) -> float:
    return value * random.uniform(0.85, 1.15)


def _retry(ms: float) -> bytes:
    return f"retry: {int(_jittered(ms))}\n\n".encode()


def _body(hub: _Hub, stream: _Stream | None, reader: _Reader, head: bytes, hold: bool,
          release: Callable[[], None]) -> Iterator[bytes]:  # fmt: skip
    """The response: `head`, then what comes as long as it has a place among the open streams."""
    settings = hub.settings
    end = time.monotonic() + _jittered(settings["HOLD_SECONDS" if hold else "STREAM_SECONDS"])
    beat = time.monotonic() + settings["HEARTBEAT_SECONDS"]
    try:
        yield head
        while stream and not (stream.closed or hub.closing):
            if reader.position is not None:
                hub.wait(stream, reader.position, min(end, beat) - time.monotonic())
            blocks = reader.read()
            if blocks:
                yield b"".join(blocks)
                if hold:
                    return
            elif time.monotonic() >= min(end, beat):
                if hub.alive():  # a dead poller must not look alive
                    yield _renewal(reader.cursor())
                if time.monotonic() >= end or not hub.alive():
                    return
                beat = time.monotonic() + settings["HEARTBEAT_SECONDS"]
    except Exception as error:  # noqa: BLE001 - the client resumes from its cursor
        _log.warning("stream ended: %s", type(error).__name__)
    finally:
        release()
    if hub.closing:
        yield _retry(settings["RETRY_MS"])


# --- views ------------------------------------------------------------------------------------


def _error(status: int, code: str, message: str, **more: str) -> Response:
    response = jsonify(error={"code": code, "message": message, **more})
    response.status_code = status
    return response


def _resume(hub: _Hub, text: str | None) -> tuple[Cursor, str | None]:
    """The cursor to go on from, and the name of the control event that announces it."""
    if text:
        try:
            cursor, now = Cursor.decode(text), _now_ms()
            kept = hub.settings["RETENTION_HOURS"] * 3_600_000
            # From the future: a clock was wrong, and nobody knows what such a client has.
            if now - kept <= cursor.watermark <= now:
                return cursor, None
        except CursorExpired:
            pass
    hub.refresh()
    return Cursor.decode(_now_cursor(hub)), "reset" if text else "hello"


def _events(hub: _Hub, user_id: str | None, automatic: str, build: str) -> Response:
    if user_id is None:
        return _error(401, "login_required", "Entre novamente para continuar.")
    delivery = request.args.get("delivery") or automatic
    if delivery not in ("stream", "hold"):
        return _error(400, "invalid", "Use stream ou hold.", field="delivery")
    key = (user_id, request.args.get("client") or secrets.token_hex(8))
    hold, says_hello = delivery == "hold", request.args.get("hello") == "1"
    try:
        hub.start()
        if hold and says_hello:
            hub.refresh()  # this answer ends at once, so it must not rely on the next poll
        with _context(hub):
            text = request.headers.get("Last-Event-ID") or request.args.get("after")
            cursor, control = _resume(hub, text)
            reader = _Reader(hub, cursor)
            blocks = reader.read()
    except Exception as error:  # noqa: BLE001 - whatever the store says, the answer is 503
        _log.warning("cannot answer from the event log: %s", type(error).__name__)
        response = _error(503, "unavailable", "Serviço indisponível no momento.")
        response.headers["Retry-After"] = "2"
        return response
    encoded = cursor.encode()
    if control == "hello" or says_hello:
        data = {"delivery": delivery, "build": build, "cursor": encoded}
        blocks.insert(0, _control("hello", encoded, data))
    if control == "reset":
        blocks.insert(0, _control("reset", encoded, {"cursor": encoded}))
    complete = hold and bool(blocks)
    stream = None if complete else hub.open(key)
    full = stream is None and not complete
    if full or hold:
        blocks.insert(0, _retry(hub.settings["RETRY_MS"]) if full else _HOLD_RETRY)
    release = partial(hub.release, key, stream)
    body = _body(hub, stream, reader, b"".join(blocks), hold, release)
    response = Response(body, mimetype="text/event-stream")
    response.call_on_close(release)  # a generator that never started never reaches its `finally`
    response.headers["Cache-Control"] = "no-store, no-transform"
    response.headers["X-Accel-Buffering"] = "no"  # for nginx and App Engine flexible
    return response


def _settings(app: Flask) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, (default, *allowed) in DEFAULTS.items():
        key = _PREFIX + name
        value = app.config.get(key, os.environ.get(key, default))
        if isinstance(default, str):
            if value not in allowed:
                raise ValueError(f"{key}={value!r}: use one of {', '.join(allowed)}")
        else:
            try:
                value = type(default)(value)
            except (TypeError, ValueError):
                raise ValueError(f"{key}={value!r}: not a number") from None
            if not allowed[0] <= value <= allowed[1]:
                raise ValueError(f"{key}={value!r}: from {allowed[0]} to {allowed[1]}")
        settings[name] = value
    if settings["POLL_SECONDS"] >= settings["OVERLAP_SECONDS"] / 2:
        raise ValueError(f"{_PREFIX}POLL_SECONDS: under half of {_PREFIX}OVERLAP_SECONDS")
    if settings["RETENTION_HOURS"] * 3600 < 2 * settings["OVERLAP_SECONDS"]:
        # Every cursor is the overlap old when it is made: each would be answered by `reset`.
        raise ValueError(f"{_PREFIX}RETENTION_HOURS: twice {_PREFIX}OVERLAP_SECONDS at least")
    return settings


def _hub() -> "_Hub | None":
    if has_app_context() and __name__ in current_app.extensions:
        found: _Hub = current_app.extensions[__name__]
        return found
    return None


def current_cursor() -> str:
    """The cursor "from now on". Take it before reading the data it goes with.

    Costs no read while this process polls, else one. Needs an ndb context and, in an app with
    settings of its own, that app's context.
    """
    hub = _hub()
    if hub is None:
        raise RuntimeError("realtime_events.init_app() has not run for this app")
    return _now_cursor(hub)


_chained = False


def _end_streams_on_sigterm() -> None:
    """App Engine kills two seconds after SIGTERM, and gunicorn waits for every open response."""
    global _chained
    previous = signal.getsignal(signal.SIGTERM)
    if _chained or not callable(previous) or threading.current_thread() != threading.main_thread():
        return

    def close_all() -> None:
        for hub in list(_hubs):
            hub.close()

    def handler(number: int, frame: Any) -> None:
        # In a thread: the handler may have interrupted somebody who holds the lock.
        threading.Thread(target=close_all, daemon=True).start()
        previous(number, frame)

    signal.signal(signal.SIGTERM, handler)
    _chained = True


def init_app(
    app: Flask,
    *,
    current_user_id: Callable[[], str | None],
    ndb_context: Callable[[], AbstractContextManager[Any]],
    is_cron: Callable[[], bool],
    url_prefix: str = "/realtime",
    build: str = "",
) -> None:
    """Adds `GET {url_prefix}/events` and the clean-up `GET {url_prefix}/cleanup` to the app.

    Args:
        app: settings are read from its config or else the environment, see `DEFAULTS`.
        current_user_id: who makes the request; None is answered 401.
        ndb_context: opens a fresh ndb context, in any thread.
        is_cron: whether the request may run the clean-up; else it is answered 403.
        url_prefix: where the routes are.
        build: what `hello` tells of the version that runs; default: `GAE_VERSION`.

    Raises:
        ValueError: a setting cannot be used; names key and value.
    """
    settings = _settings(app)
    hub = _Hub(settings, ndb_context)
    automatic = settings["DELIVERY"]
    if automatic == "auto":
        automatic = "hold" if os.environ.get("GAE_ENV") == "standard" else "stream"
    build = build or os.environ.get("GAE_VERSION", "")
    blueprint = Blueprint(__name__, __name__, url_prefix=url_prefix)

    @blueprint.get("/events")
    def events() -> Response:
        return _events(hub, current_user_id(), automatic, build)

    @blueprint.get("/cleanup")
    def cleanup() -> Response:
        if not is_cron():
            return _error(403, "forbidden", "Somente o cron pode fazer isto.")
        with _context(hub):
            deleted, more = delete_expired(settings["RETENTION_HOURS"], settings["CLEANUP_SECONDS"])
        return jsonify(deleted=deleted, more=more)

    app.register_blueprint(blueprint)
    app.extensions[__name__] = hub
    _hubs.add(hub)
    _end_streams_on_sigterm()

"""Module 1: an event log in Datastore, its cursor, and a Server-Sent Events view of it.

App Engine standard buffers whole responses, so a stream that stays open delivers nothing there.
The core is therefore a finite question, *which events come after this cursor?*, and SSE is a thin
view of its answer, right whether or not the front end streams. Three invariants carry the rest:

1. A record (the events of one transaction) is written with its change, ready for the wire.
2. Every answer begins with a read that began after the request: a process never knows less than
   its client, whichever process served that client before.
3. What a cursor does not prove to be delivered is delivered (again). Never a skip.

It is also the ground floor of `unread_state` and `message_status`: the models' common base, the
verbs that store a message or change something and tell everybody, settings, guards and answers.

The host calls `init_app` once, gives its models the mixins, and stores messages by `receive` (and
`message_status.send`), in place of its own `put()`. Its other `put()`s stay as they are.
"""

import base64
import hmac
import itertools
import json
import logging
import os
import random
import re
import secrets
import signal
import struct
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial, update_wrapper
from types import SimpleNamespace
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, jsonify, request
from google.api_core.exceptions import Aborted, ServiceUnavailable
from google.cloud import ndb
from itsdangerous import URLSafeSerializer
from markupsafe import Markup

__all__ = [
    "DEFAULTS", "Cursor", "CursorExpired", "LiveConversation", "LiveMessage", "RealtimeEvent",
    "Refused", "add_message", "add_routes", "at_shutdown", "check_model", "current_cursor",
    "delete_all", "delete_expired", "find", "format_event", "id_of", "init_app", "iso",
    "json_body", "live", "live_data", "now_ms", "of_app", "place", "publish",
    "read_settings", "receive", "tell", "told", "transaction", "update", "usable_name",
    "use_models",
]  # fmt: skip

#: Settings, read from `app.config` or else the environment under the prefix `REALTIME_EVENTS_`:
#: name → (default, smallest, largest); text settings have their allowed values instead.
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "DELIVERY": ("auto", "auto", "stream", "hold"),  # auto: hold on App Engine standard
    "OVERLAP_SECONDS": (10.0, 1, 60),  # how late after its stamp a commit may become visible
    "REPLAY_SECONDS": (120.0, 90, 3600),  # read back by a new process; over an overlap and a hold
    "POLL_SECONDS": (0.3, 0.05, 60),  # how stale another process's event may be
    "STREAM_SECONDS": (55.0, 1, 3600),  # jittered, so that a fleet does not reconnect at once
    "HOLD_SECONDS": (20.0, 1, 21),  # jittered by 15 %; browsers give up at 25 s (SILENCE_TIMEOUT)
    "HEARTBEAT_SECONDS": (10.0, 0.1, 20),
    "RETRY_MS": (2000, 100, 60000),  # asked of the streams over the capacity, jittered
    "CAPACITY": (60, 0, 100000),  # open streams a process; less where gunicorn's threads are few
    "RING_SIZE": (2000, 10, 100000),  # recent records kept, about 2 kB each
    "RETENTION_HOURS": (24.0, 1.1, 720),  # records older are deleted; more than any REPLAY_SECONDS
    "CLEANUP_SECONDS": (20.0, 0.1, 500),  # time budget of one clean-up request
    "RPC_SECONDS": (5.0, 0.1, 60),  # one read of the store; ndb's own default is no limit at all
    "STALE_SECONDS": (10.0, 0.1, 60),  # a poller without a read for so long must not look alive
    "LINGER_SECONDS": (3.0, 0, 60),  # the poller goes on after its last listener, who may be back
}
_PREFIX = "REALTIME_EVENTS"
_URL = "/realtime"
_HOLD_RETRY = b"retry: 20\n\n"  # ms; never 0: EventSource then spins without back-off
_FORMAT = 4  # of a cursor's text; another one is of another version
_SLOTS = 250  # of a cursor: 8 bytes each, 2,700 characters encoded at most
_DATA_BYTES = 400_000  # of one event; a Datastore entity holds 1 MiB
_BATCH = 500  # deleted in one commit, which can be no more
_RETRIES = 12  # of a transaction, in about five seconds
_SPARE_THREADS = 20  # at most so many, and a quarter, stay free of streams
_BREATH_SECONDS = 0.0006  # a stream, after a batch of a burst: each wakes every stream
_VERSIONS = 50  # conversations compared in one request; static/realtime_events.js: COMPARED
_NAME_BYTES = 1_400  # Datastore takes key names up to 1,500
_NAME_LENGTH = 31  # of a record; other names are of an earlier version's
_TYPE = re.compile(r"[a-z_]+(\.[a-z_]+)?")
_log = logging.getLogger(__name__)
#: No seed of anybody's, which threads and forked workers would share.
_random = random.SystemRandom()
_T = TypeVar("_T")


class Refused(ValueError):  # noqa: N818 - it names the condition
    """Nothing is done, for a reason: `code`, `words` for people, `more` such as `message_id`. Of a
    view this answers `{"error": {"code", "message", …}}` with the HTTP `status`.
    """

    def __init__(self, code: str, words: str, status: int = 409, **more: str) -> None:
        super().__init__(code)
        self.code, self.words, self.status, self.more = code, words, status, more


class CursorExpired(ValueError):
    """The cursor cannot be resumed."""


# --- cursor -----------------------------------------------------------------------------------


@dataclass
class Cursor:
    """A watermark, and what has been delivered above it.

    Commits become visible out of stamp order, so "newer than the newest seen" loses events. The
    watermark stays `OVERLAP_SECONDS` behind. Above it time is cut into slots, each `width` ms
    wide, and the cursor has one digest a slot: the XOR of the random ids of its records. A slot
    whose digest differs has news, and is delivered whole.
    """

    watermark: int
    width: int = 1
    digests: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, watermark: int, names: Iterable[str]) -> "Cursor":
        """The cursor of a client that has these records and all up to `watermark`."""
        made = cls(watermark)
        names = made._above(names)
        if len(names) > _SLOTS:
            made.width = max(map(made._slot, names)) // _SLOTS + 1
        made.digests = made._digests(names)
        return made

    def _slot(self, name: str) -> int:
        return min(int(name[:13]) - self.watermark, 0xFFFF) // self.width

    def _above(self, names: Iterable[str]) -> list[str]:
        first = f"{self.watermark + 1:013d}"  # comparing texts is faster, and the ring is long
        return [name for name in names if name > first]

    def _digests(self, names: Iterable[str]) -> dict[int, int]:
        made: dict[int, int] = {}
        for name in names:
            slot = self._slot(name)
            made[slot] = made.get(slot, 0) ^ int(name[-12:], 16)
        return made

    def unseen(self, names: Iterable[str]) -> list[str]:
        """Those of these records (all that is visible above the watermark) to be delivered."""
        above = self._above(names)
        now = self._digests(above)
        news = {slot for slot in now if now[slot] != self.digests.get(slot)}
        return [name for name in above if self._slot(name) in news]

    def encode(self) -> str:
        """Url-safe text that any process can resume."""
        slots = [slot << 48 | digest for slot, digest in sorted(self.digests.items())]
        raw = struct.pack(f">BHQ{len(slots)}Q", _FORMAT, self.width, self.watermark, *slots)
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """Reads `encode`'s text; raises CursorExpired for any other."""
        try:
            raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), b"-_", validate=True)
            form, width, watermark, *slots = struct.unpack(f">BHQ{(len(raw) - 11) // 8}Q", raw)
        except (ValueError, struct.error):
            form = width = 0
        if form != _FORMAT or not width:
            raise CursorExpired("unreadable cursor")
        return cls(watermark, width, {slot >> 48: slot & (1 << 48) - 1 for slot in slots})


# --- event log --------------------------------------------------------------------------------


class RealtimeEvent(ndb.Model):
    """A record: the events of one `transaction`; of a very large one, some of them.

    Key name `{ms:013d}-{part:04d}-{random}`, `part` counted through an ndb transaction; no index.
    """

    blocks = ndb.BlobProperty(repeated=True)  # each event as it goes over the wire


_Record = tuple[str, list[bytes]]  # name, blocks
#: The events of the transaction under way: each makes its block of its id and stamp.
_Pending = list[Callable[..., bytes]]
_published: ContextVar[_Pending | None] = ContextVar("realtime_published", default=None)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def iso(ms: int | None) -> str | None:
    """Milliseconds since 1970 as ISO 8601 in UTC; None stays None."""
    moment = datetime.fromtimestamp((ms or 0) / 1000, UTC).isoformat(timespec="milliseconds")
    return None if ms is None else moment.replace("+00:00", "Z")


def publish(
    type: str, data: dict[str, Any], *, conversation_id: str | None, version: int | None = None
) -> None:
    """Records an event that commits with the caller's transaction, or not at all.

    `type` is a `noun.past` such as `message.created`, `data` what JSON can carry, at most 400 kB,
    `version` the conversation's after this transaction.

    It is stamped when the callback of `transaction` has ended, again on each retry.

    Raises RuntimeError out of `transaction`, ValueError for the type's form or the data's size.
    """
    pending = _published.get()
    if pending is None:
        raise RuntimeError("publish() must be called inside realtime_events.transaction()")
    if not _TYPE.fullmatch(type):
        raise ValueError(f"type: {type!r} is not of the form noun.past")
    body = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if len(body.encode()) > _DATA_BYTES:
        raise ValueError(f"data: over {_DATA_BYTES} bytes in an event of type {type}")
    about: dict[str, Any] = {"conversation_id": conversation_id, "version": version}
    pending.append(partial(format_event, type, body, **about))


def _write(pending: _Pending) -> None:
    stamp, size, context = now_ms(), _DATA_BYTES, ndb.get_context()
    records: list[_Record] = []
    for make in pending:
        if size >= _DATA_BYTES:
            part = len(context.on_commit_callbacks)
            records.append((f"{stamp:013d}-{part:04d}-{secrets.token_hex(6)}", []))
            context.call_on_commit(partial(_app().hub.offer, _log_key(), records[-1:]))
            size = 0
        name, blocks = records[-1]
        blocks.append(make(event_id=f"{name}-{len(blocks):03d}", at=stamp))
        size += len(blocks[-1])
    ndb.put_multi([RealtimeEvent(id=name, blocks=blocks) for name, blocks in records])


def _log_key() -> ndb.Key:
    """Tells which log an ndb context writes to: by project, database and namespace."""
    return ndb.Key(RealtimeEvent, "-")


def transaction(callback: Callable[[], _T]) -> _T:
    """Runs `callback` in an ndb transaction, or joins the one under way; stamps its events last.

    `callback` takes nothing and runs again after a conflict, within milliseconds and several times:
    ndb's own retries pause for seconds, and transactions here are short.

    A commit slower than half the overlap may be missed by cursors that passed its stamp meanwhile,
    so its events are then published once more; applying them again changes nothing.

    In an ndb transaction of the host's own they are stamped when `callback` ends, and not told
    again: call it last there, and commit within half the overlap.
    """
    events: _Pending = []
    stamped = time.monotonic()

    def attempt() -> _T:
        nonlocal stamped
        events.clear()
        token = _published.set(events)
        try:
            result = callback()
        finally:
            _published.reset(token)
        stamped = time.monotonic()
        if events:
            _write(events)
        return result

    if ndb.in_transaction():
        return attempt() if _published.get() is None else callback()
    result = _retried(attempt)
    if events and time.monotonic() - stamped > _app().hub.settings["OVERLAP_SECONDS"] / 2:
        _log.warning("slow commit: published %d events again", len(events))
        _retried(lambda: _write(events))
    return result


def _retried(callback: Callable[[], _T]) -> _T:
    for tried in range(_RETRIES):
        with suppress(Aborted, ServiceUnavailable):
            return ndb.transaction(callback, retries=0)
        time.sleep(_random.uniform(0.2, 1.0) * min(1.0, 0.02 * 2**tried))
    return ndb.transaction(callback, retries=0)


def _see_own_writes() -> bool:
    """Whether there is a transaction; in it, reads show what it has put, whatever the host caches.

    What it has read itself is then no second read either.
    """
    if not ndb.in_transaction():
        return False
    ndb.get_context().set_cache_policy(lambda _key: True)
    return True


def _get(keys: Sequence[ndb.Key], **options: Any) -> list[Any]:
    if _see_own_writes():
        options["retries"] = 0  # of ndb's: it could not go on after a failure anyway
    return list(ndb.get_multi(keys, **options))


def _one(key: ndb.Key | None) -> Any:
    """The entity of a key, or None; also where a new entity has no whole key yet."""
    return _get([key])[0] if key is not None and key.id() is not None else None


def delete_expired() -> tuple[int, bool]:
    """Deletes records past the retention, oldest first, within a time budget (see `DEFAULTS`).
    Returns how many, and whether there may be more.
    """
    settings = _app().hub.settings
    kept_from = now_ms() - int(settings["RETENTION_HOURS"] * 3_600_000)
    query = RealtimeEvent.query(RealtimeEvent._key < ndb.Key(RealtimeEvent, f"{kept_from:013d}"))
    return delete_all(query, settings["CLEANUP_SECONDS"])


def delete_all(query: ndb.Query, seconds: float) -> tuple[int, bool]:
    """Deletes what a query finds, until the time budget of so many seconds is used up. Returns how
    many, and whether there may be more.
    """
    end = time.monotonic() + seconds
    deleted, more = 0, True
    while more and time.monotonic() < end:
        keys = query.fetch(limit=_BATCH, keys_only=True, timeout=seconds)
        ndb.delete_multi(keys)
        deleted += len(keys)
        more = len(keys) == _BATCH
    return deleted, more


# --- models, and the verbs that change them and tell everybody ----------------------------------


class _LiveModel(ndb.Model):
    """An entity whose numbers only grow: the host's own `put()`, of what it read long before,
    joins them with what is stored, in a transaction or out of one, and lowers nothing.
    """

    _growing: tuple[str, ...] = ()  # the modules' numbers; each mixin adds its own

    def _grow(self, stored: Any) -> None:
        """Takes over what is further on in `stored`; each mixin adds what is no such number."""
        for name in self._growing:
            setattr(self, name, max(getattr(self, name) or 0, getattr(stored, name) or 0))

    def _derive(self) -> None:
        """Computes what follows from the numbers, before each put."""

    def _put_async(self, **options: Any) -> Any:
        is_whole = self._key is not None and self._key.id() is not None
        if not _see_own_writes() and is_whole:
            return ndb.transaction_async(self._put_async)  # where a put has no options
        put = super()._put_async

        @ndb.tasklet
        def join() -> Any:
            stored = (yield self._key.get_async(retries=0)) if is_whole else None
            if stored is not None and stored is not self:
                self._grow(stored)
            self._derive()
            return (yield put(**options))

        return join()

    put_async = _put_async


class LiveConversation(_LiveModel):
    """A conversation. `version` lets pages notice a missed event, `arrivals` numbers messages."""

    version = ndb.IntegerProperty(default=0, indexed=False)
    arrivals = ndb.IntegerProperty(default=0, indexed=False)
    _growing: tuple[str, ...] = ("version", "arrivals")

    def bump_version(self) -> None:
        """Adds one; once per transaction that changes the conversation or its messages."""
        self.version = (self.version or 0) + 1

    def live_json(self, message: Any = None) -> dict[str, Any]:  # noqa: ARG002
        """What the page needs to know of it; the host may override it and add to it.

        `message` is the one that an event tells of together with the conversation, if any.
        """
        return {"id": id_of(self), **told(self, "name"), "version": self.version or 0}

    def _tell_numbers(self) -> None:
        """Publishes what else has changed; `unread_state` does."""


class LiveMessage(_LiveModel):
    """A message, with the number of its arrival among all of its conversation."""

    arrival = ndb.IntegerProperty(indexed=False)

    @property
    def conversation_key(self) -> ndb.Key:
        """Its conversation's key; a host whose models do not tell it overrides this."""
        known = _app()
        value = getattr(self, known.link)
        told_whole = value is None or isinstance(value, ndb.Key)
        return value if told_whole else ndb.Key(known.conversation, value)

    def live_json(self) -> dict[str, Any]:
        """What the page needs to know of it; the host may override it and add to it."""
        conversation_id = id_of(self.conversation_key)
        direction = None if self.arrival is None else "in"  # None: from before the modules
        return {"id": id_of(self), "conversation_id": conversation_id, "arrival": self.arrival,
                "direction": direction, **told(self, "text")}  # fmt: skip

    def _is_repeat(self, wamid: str) -> bool:  # noqa: ARG002
        """Whether a message of this wamid is stored; `message_status` knows."""
        return False

    def _remember(self, wamid: str) -> None:
        """Keeps whose wamid this is, once the message has its key; `message_status` does."""

    def _place(self, conversation: Any, *, outgoing: bool, **facts: Any) -> None:
        """Each mixin does its part for a new message."""

    def _grow(self, stored: Any) -> None:
        super()._grow(stored)
        self.arrival = self.arrival if stored.arrival is None else stored.arrival


def told(entity: Any, role: str) -> dict[str, str]:
    """What the property says that the host named for a role (see `use_models`); {} if none."""
    name = _app().texts.get(role)
    return {role: str(getattr(entity, name) or "")} if name else {}


def id_of(entity: Any) -> str:
    """The id of an entity or key as text, whatever it is made of; `find` takes it back."""
    key = entity if isinstance(entity, ndb.Key) else entity.key
    return str(key.id()) if key.parent() is None else key.urlsafe().decode()


def usable_name(value: Any) -> str | None:
    """A text that can be the name of a key; None for anything else."""
    if not isinstance(value, str) or not value or not value.isprintable():
        return None
    return None if len(value.encode()) > _NAME_BYTES or value.startswith("__") else value


def _keys(model: type[ndb.Model], text: str) -> Iterator[ndb.Key]:
    """The keys whose `id_of` is this text: `12` is a number, or a name made of digits."""
    if re.fullmatch(r"[1-9][0-9]{0,18}", text) and int(text) < 2**63:
        yield ndb.Key(model, int(text))
    if usable_name(text):
        yield ndb.Key(model, text)
    with suppress(Exception):  # any text may come here, and the decoder raises anything
        # By its path alone: nobody names another project, or another tenant's namespace.
        key = ndb.Key(*ndb.Key(urlsafe=text.encode()).flat())
        if key.kind() == model._get_kind() and key.id() and id_of(key) == text:
            yield key


def find(model: Any, ids: Any) -> Any:
    """The entity of an id as text, or None; of several ids a dict without those there are not.
    Any text may come here.
    """
    if isinstance(ids, str | int) or ids is None:
        return find(model, [ids]).get(str(ids))
    wanted = {key: str(id_) for id_ in ids for key in _keys(model, str(id_))}
    return {id_: one for id_, one in zip(wanted.values(), _get(list(wanted)), strict=True) if one}


def place(conversation: Any, message: Any, *, outgoing: bool, **facts: Any) -> None:
    """Numbers a new message and lets each module count or begin it. The caller has read the
    conversation in this transaction, and stores both.

    `facts` are what the modules ask: `counts` (incoming: something to read), `by_person` and
    `read_up_to` (outgoing: who answers has read), `attempt_of` (outgoing: tried again).
    """
    conversation.arrivals = (conversation.arrivals or 0) + 1
    message.arrival = conversation.arrivals
    message._place(conversation, outgoing=outgoing, **facts)


def tell(type: str, conversation: Any, message: Any = None) -> None:
    """Publishes a conversation, or a message with it, as their `live_json`; in the transaction."""
    data = {"conversation": conversation.live_json(message)}
    if message is not None:
        data = {"message": message.live_json(), **data}
    publish(type, data, conversation_id=id_of(conversation), version=conversation.version)


def add_message(
    message: Any, *, outgoing: bool, wamid: str | None = None,
    changes: dict[str, Any] | None = None, replaces: Any = None, **facts: Any,
) -> bool:  # fmt: skip
    """Stores a new message and tells everybody: repeat check, order of arrival, counting, version,
    the puts and the events, in one transaction, or in the caller's. Returns whether it is new.

    Args:
        message: the host's new entity, with all that is the host's set.
        outgoing: whether it is ours.
        wamid: WhatsApp's id of an incoming one: the same again stores nothing.
        changes: properties of the conversation that change with it.
        replaces: an older message that changes with it and is told of, too.
        facts: see `place`.

    Raises LookupError if its conversation does not exist, AttributeError or TypeError if that has
    no such property.
    """
    tried = 0  # the number given in an attempt of which nobody knows whether it was committed

    def attempt() -> bool:
        nonlocal tried
        stored = _one(message.key)
        if stored is not None:
            if stored.arrival is None:
                _log.warning("%s: put() by the host: neither counted nor sent", message._get_kind())
            return bool(stored.arrival == tried)
        if wamid and message._is_repeat(wamid):
            return False
        conversation = _conversation_of(message)
        conversation.populate(**(changes or {}))
        place(conversation, message, outgoing=outgoing, **facts)
        tried = message.arrival
        _store(conversation, {"message.created": message, "message.updated": replaces})
        if wamid:
            message._remember(wamid)
        return True

    return transaction(attempt)


def receive(message: Any, *, wamid: str | None = None, counts: bool = True, **changes: Any) -> bool:
    """Stores a customer's new message and tells everybody; in place of the host's own `put()`.

    Args:
        message: the host's new entity.
        wamid: WhatsApp's id of it (`id` in the webhook): the same again stores nothing.
        counts: whether it is something to read: False for reactions, notices, edits.
        changes: the conversation's properties that change with it, such as `last_text="Olá"`.

    Returns whether it is new; False for a repeated webhook call.
    """
    return add_message(message, outgoing=False, wamid=wamid, changes=changes, counts=counts)


def update(entity: Any, **values: Any) -> Any:
    """Changes a conversation or a message and tells everybody; in place of the host's own `put()`.

    `entity` (or its key) is read again in the transaction and gets the new `values` of its
    properties. Returns it as it is now.

    Raises LookupError if it or its conversation does not exist, AttributeError or TypeError for
    what is no property of it.
    """
    key = entity if isinstance(entity, ndb.Key) else entity.key

    def attempt() -> Any:
        fresh = _existing(key, "update():")
        fresh.populate(**values)
        if isinstance(fresh, LiveMessage):
            _store(_conversation_of(fresh), {"message.updated": fresh})
        else:
            _store(fresh, {})
        return fresh

    return transaction(attempt)


def _store(conversation: Any, messages: dict[str, Any]) -> None:
    """Puts a conversation that has changed, alone or by these messages, and tells everybody."""
    conversation.bump_version()
    changed = {type: each for type, each in messages.items() if each is not None}
    ndb.put_multi([conversation, *changed.values()])
    for type, message in (changed or {"conversation.updated": None}).items():
        tell(type, conversation, message)
    conversation._tell_numbers()


def _existing(key: Any, what: str) -> Any:
    found = _one(key)
    if found is None:
        raise LookupError(f"{what} {key} does not exist (put() a new one first)")
    return found


def _conversation_of(message: Any) -> Any:
    return _existing(message.conversation_key, f"{type(message).__name__}: its conversation")


def live_data(entity: Any) -> dict[str, str]:
    """What marks a conversation's row or a message's bubble, for a page's own script:
    `Object.assign(element.dataset, data)`.
    """
    known = entity.live_json()
    name = "messageId" if isinstance(entity, LiveMessage) else "conversationId"
    return {name: known["id"], "live": json.dumps(known, ensure_ascii=False)}


def live(entity: Any) -> Markup:
    """The same as HTML attributes; Jinja's filter `live`."""
    (name, id_), (_, known) = live_data(entity).items()
    return Markup('data-{}-id="{}" data-live="{}"').format(name.removesuffix("Id"), id_, known)


#: What a host may define in its own way.
_OVERRIDABLE = {"conversation_key", "live_json", "is_silent"}
_PACKAGE = __name__.rpartition("realtime_events")[0]
_OURS = {_PACKAGE + name for name in ("realtime_events", "unread_state", "message_status")}


def check_model(model: Any, mixin: Any) -> None:
    """Raises TypeError, with class, property and remedy, unless a model has a mixin, and nothing of
    the host's stands before it.
    """
    if not (isinstance(model, type) and issubclass(model, mixin)):
        name, wanted = getattr(model, "__name__", model), f"{mixin.__module__}.{mixin.__name__}"
        raise TypeError(f"{name}: the fields of {wanted} are missing; write class {name}({wanted})")
    parts = [each for each in model.__mro__ if each not in ndb.Model.__mro__]
    ours = {name: part.__module__ for part in parts if part.__module__ in _OURS
            for name in vars(part) if name not in _OVERRIDABLE and not hasattr(ndb.Model, name)
            }  # fmt: skip
    hosts = [vars(part).items() for part in parts if part.__module__ not in _OURS]
    for taken, value in itertools.chain(*hosts):
        for name in ours.keys() & {taken, getattr(value, "_name", taken)}:  # or that in the store
            raise TypeError(
                f"{model.__name__}.{taken}: {ours[name]} keeps its own {name} under this name; "
                f"give yours another one, in the store too (my_{name})"
            )


def use_models(
    app: Flask, *, conversation: Any = None, message: Any = None, **texts: str | None
) -> None:
    """Tells the host's models, which have `LiveConversation` and `LiveMessage`; the upper modules'
    `init_app` do.

    `texts` tell under `name` and `text` which property says what a conversation is called and what
    a message says, for the page's notifications; under `silent`, which one says that a conversation
    counts in no total (muted, archived).

    Raises TypeError for a model that cannot be used; names class, property and remedy.
    """
    known = of_app(__name__, app)  # raises if the modules come in another order
    known.conversation = conversation or known.conversation
    known.message = message or known.message
    for role, model in (("name", conversation), ("text", message), ("silent", conversation)):
        given = texts.get(role)
        if given and not hasattr(model, given):
            raise TypeError(f"{model.__name__} has no property {given}, named as {role}=")
        if given or isinstance(getattr(model, role, None), ndb.Property):
            known.texts[role] = given or role
    if known.message is not None and known.conversation is not None:
        known.link = _link_of(known.message, known.conversation._get_kind())


def _link_of(message: Any, kind: str) -> str:
    """The property of a message that names its conversation; "" where the host says it itself."""
    if message.conversation_key is not LiveMessage.conversation_key:
        return ""
    own = message._properties.values()
    keys = [each for each in own if isinstance(each, ndb.KeyProperty)]
    typed = [p for p in keys if p._kind == kind] or [p for p in keys if p._kind is None]
    wanted = {"conversationid", f"{kind}id".lower(), f"id{kind}".lower(), kind.lower()}
    plain = [each for each in own if not isinstance(each, ndb.KeyProperty)]
    named = [p for p in plain if p._code_name.replace("_", "").lower() in wanted]
    found = next((each for each in (typed, named) if len(each) == 1), None)
    if found is None:
        raise TypeError(
            f"{message.__name__}: no property tells its {kind}; give it a KeyProperty of that "
            f"kind, or write @property def conversation_key(self) that returns the key"
        )
    return str(found[0]._code_name)


# --- wire format ------------------------------------------------------------------------------


def format_event(
    type: str, data: str, *, event_id: str, at: int,
    conversation_id: str | None = None, version: int | None = None,
) -> bytes:  # fmt: skip
    """One SSE block, without an `id:` line: `data` is JSON text, `at` ms since 1970."""
    head: dict[str, Any] = {"id": event_id, "type": type, "conversation_id": conversation_id}
    head |= {"version": version, "at": iso(at)}
    return f'event: {type}\ndata: {json.dumps(head)[:-1]}, "data": {data}}}\n\n'.encode()


def _control(type: str, data: dict[str, Any]) -> bytes:
    name = f"{type}-{secrets.token_hex(6)}"
    block = format_event(type, json.dumps(data), event_id=name, at=now_ms())
    return _batch([block], data["cursor"])


def _batch(blocks: list[bytes], cursor: str) -> bytes:
    """Blocks of which the last has the cursor; none: only a new cursor."""
    *rest, last = blocks or [b": hb\n\n"]
    return b"".join([*rest, f"id: {cursor}\n".encode(), last])


def _retry(ms: float) -> bytes:
    return f"retry: {int(_jittered(ms))}\n\n".encode()


def _jittered(value: float) -> float:
    return value * _random.uniform(0.85, 1.15)


# --- one poller a process ---------------------------------------------------------------------


class _Hub:
    """Reads the log once for all responses of the process, and only while somebody listens."""

    def __init__(self, settings: dict[str, Any], context: Callable[[], AbstractContextManager]):
        self.settings = settings
        self.context = context
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)  # for the listeners: records, or the end
        self._tried = threading.Condition(self.lock)  # for who waits for a read
        self.streams: dict[Any, list[int]] = {}  # the open responses, and up to where each has sent
        self.closing = False
        self._ring: deque[_Record] = deque()
        self._end = 0  # position after the newest record; the oldest is at end - len(ring)
        self._made = (0, 0, b"")  # a batch, and from and to which position
        self._floor = 0  # what was stamped up to it may be missing from the ring
        self._watermark = 0  # what was stamped up to it is in the ring, as far as that reaches
        self._above: set[str] = set()  # the records above the watermark
        self._text: str | None = None  # the cursor of all these
        self._log: ndb.Key | None = None
        self._read_at = self._tried_at = float("-inf")  # monotonic, when the last read began
        self._wanted_at = 0.0
        self.wake = threading.Event()
        self._thread: threading.Thread | None = None

    def offer(self, log: ndb.Key, records: list[_Record]) -> None:
        """Hands over what this process has committed to a log, without a read.

        Cannot raise: ndb would run the committed transaction again.
        """
        if self._thread is not None and log == self._log:
            with self.lock:
                self._add(records)

    def _add(self, records: list[_Record]) -> None:
        """Takes records in, each once: a commit is handed over and read, too."""
        records = [each for each in records if each[0] not in self._above]
        self._ring.extend(records)
        self._end += len(records)
        while len(self._ring) > self.settings["RING_SIZE"]:
            self._floor = max(self._floor, int(self._ring.popleft()[0][:13]))
        self._above.update(name for name, _ in records)
        self._text = None
        if records:
            self._changed.notify_all()

    def alive(self) -> bool:
        """Whether what it knows is as new as the setting asks."""
        return time.monotonic() - self._read_at < self.settings["STALE_SECONDS"]

    def refresh(self) -> None:
        """Sees to it that all that is visible now is in the ring; Refused if the store cannot be
        read.
        """
        with self.lock:
            asked = self._wanted_at = time.monotonic()
            if self.closing:
                return  # what the ring has will do for a last answer
            self._ensure_poller()
            self.wake.set()
            # Nor while reads fail: in an outage those who wait would take all threads.
            self._tried.wait_for(lambda: self._tried_at >= asked, self.settings["RPC_SECONDS"])
            if self._read_at < asked:
                raise Refused("unavailable", "Serviço indisponível no momento.", 503)

    def _ensure_poller(self) -> None:
        if self._thread is None or not self._thread.is_alive():  # as after a fork
            self._thread = threading.Thread(target=self._run, name=__name__, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self.lock:
                idle = time.monotonic() - self._wanted_at > self.settings["LINGER_SECONDS"]
                served = self._tried_at >= self._wanted_at
                if (self.closing or idle) and served and not self.streams:
                    self._thread = None
                    return
            self.wake.clear()  # first: who asks from here on waits for a later read than this
            began = time.monotonic()
            try:
                self._read(began)
            except Exception as error:  # noqa: BLE001 - the poller outlives any store failure
                if self._tried_at == self._read_at:  # the first of an outage
                    _log.warning("cannot read the event log: %s", type(error).__name__)
            with self.lock:
                self._tried_at = began
                self._tried.notify_all()
            # A full window is slow to list: at most half the time, and never as long as a freeze.
            time.sleep(min(time.monotonic() - began, self.settings["RPC_SECONDS"] / 2))
            self.wake.wait(self.settings["POLL_SECONDS"])

    def _read(self, began: float) -> None:
        started, size, seconds = now_ms(), self.settings["RING_SIZE"], self.settings["RPC_SECONDS"]
        oldest = started - int(self.settings["REPLAY_SECONDS"] * 1000)
        if not oldest <= self._watermark <= started:
            # The first read, or the first for long, or the server's clock was set back.
            with self.lock:
                self._floor = self._watermark = oldest
                for each in (self._ring, self._above, self.streams):
                    each.clear()
                self._changed.notify_all()
        options = {"timeout": seconds, "retries": 0}
        with self.context():
            self._log = _log_key()
            after = ndb.Key(RealtimeEvent, f"{self._watermark + 1:013d}")
            query = RealtimeEvent.query(RealtimeEvent._key > after).order(RealtimeEvent._key)
            found = (key.id() for key in query.fetch(keys_only=True, **options))
            names = [name for name in found if len(name) == _NAME_LENGTH]
            new = [name for name in names if name not in self._above]
            keys = [ndb.Key(RealtimeEvent, name) for name in new[-size:]]
            loaded = _get(keys, use_global_cache=False, **options)
        # More than the ring holds goes through it unread, and lifts the floor.
        records: list[_Record] = [(name, []) for name in new[:-size]]
        records += [(each.key.id(), each.blocks) for each in loaded if each is not None]
        with self.lock:
            self._add(records)
            # The server's clock moves the watermark too: a quiet weekend expires no cursor.
            self._watermark = max(self._watermark, self.behind(started))
            # Also what was handed over since this read began, which it does not show.
            self._above = set(Cursor(self._watermark)._above(self._above.union(names)))
            self._read_at = began

    def behind(self, ms: int) -> int:
        """Up to which stamp all was visible at that time."""
        return ms - int(self.settings["OVERLAP_SECONDS"] * 1000)

    def cursor(self) -> str:
        """The cursor of a client that has all that is in the ring."""
        with self.lock:
            if self._text is None:
                self._text = Cursor.of(self._watermark, self._above).encode()
            return self._text

    def after(self, text: str) -> list[bytes]:
        """What the client of this cursor lacks. Raises CursorExpired if the ring may lack some."""
        cursor = Cursor.decode(text)
        with self.lock:
            if not self._floor <= cursor.watermark <= now_ms():
                raise CursorExpired("too old, or of the future")
            wanted = set(cursor.unseen(name for name, _ in self._ring))
            return [block for name, each in self._ring if name in wanted for block in each]

    def open(self, key: Any) -> list[int] | None:
        """A stream of what comes from now on; None over the capacity. Ends the older of its key."""
        with self.lock:
            if self.streams.pop(key, None) is not None:
                self._changed.notify_all()
            if self.closing or len(self.streams) >= self.settings["CAPACITY"]:
                return None
            self._ensure_poller()  # it may have ended since the stream's answer was read
            return self.streams.setdefault(key, [self._end])

    def body(self, key: Any, seat: list[int] | None, head: bytes, hold: bool) -> Iterator[bytes]:
        """A response: `head`, then what comes as long as it has a place among the open streams."""
        seconds = self.settings["HOLD_SECONDS" if hold else "STREAM_SECONDS"]
        end, told_at = time.monotonic() + _jittered(seconds), 0.0
        ended = lambda: self.streams.get(key) is not seat  # noqa: E731
        try:
            yield head
            while seat is not None:
                wait = min(end - time.monotonic(), self.settings["HEARTBEAT_SECONDS"])
                with self.lock:
                    self._changed.wait_for(lambda: self._end > seat[0] or ended(), wait)
                    count = self._end - seat[0]
                    # Where news have left the ring the client goes on from its cursor; and a dead
                    # poller must not look alive.
                    if ended() or count > len(self._ring) or not self.alive():
                        break
                    # The same for nearly every listener, and all of them are here now.
                    if self._made[:2] != (seat[0], self._end) or not count:
                        new = list(itertools.islice(reversed(self._ring), count))[::-1]
                        batch = _batch([block for _, each in new for block in each], self.cursor())
                        self._made = (seat[0], self._end, batch)
                    seat[0], batch = self._made[1:]
                yield batch
                if (hold and count) or time.monotonic() >= end:
                    return
                pause = _BREATH_SECONDS * len(self.streams)
                if count and time.monotonic() - told_at < pause:
                    time.sleep(pause)
                told_at = time.monotonic() if count else told_at
        finally:
            self.release(key, seat)
        if self.closing:
            yield _retry(self.settings["RETRY_MS"])

    def release(self, key: Any, seat: list[int] | None) -> None:
        """Gives the place back; any number of times."""
        with self.lock:
            if seat is not None and self.streams.get(key) is seat:
                del self.streams[key]
                self._wanted_at = time.monotonic()

    def close(self) -> None:
        """Ends every stream, at once."""
        with self.lock:
            self.closing = True
            self.streams.clear()
            self._changed.notify_all()
        self.wake.set()


# --- views ------------------------------------------------------------------------------------


def json_body(*, strict: bool = False) -> dict[str, Any]:
    """The request's JSON object; an empty one for anything else.

    Args:
        strict: a body that is neither a JSON object nor a form's fields is refused.
    """
    body = None
    with suppress(RecursionError):  # nested thousands deep, which `silent` does not cover
        body = request.get_json(force=strict and not request.form, silent=True)
    if isinstance(body, dict):
        return body
    if strict and request.get_data() and not request.form:
        raise Refused("not_json", "A requisição precisa ser um objeto JSON.", 400)
    return {}


def add_routes(app: Flask, name: str, routes: dict[str, Callable[..., Any]]) -> None:
    """Adds the views of a module, by method and path. They deny by default: 401 without a login,
    403 for a change without this page's token (Flask-WTF's, where the app has that). `CRON` in
    place of a method: the module's clean-up, which is the scheduler's alone; see `delete_all` for
    what it returns. Opens an ndb context where the host has none. Call it after `init_app`.
    """
    known = app.extensions[__name__]

    def guard(method: str) -> None:
        if method == "CRON":
            if not known.is_cron():
                raise Refused("forbidden", "Somente o cron pode fazer isto.", 403)
            return
        user_id = _user_id()
        if user_id is None:
            raise Refused("login_required", "Sua sessão terminou. Entre de novo.", 401)
        if method != "GET" and "csrf" not in current_app.extensions:
            given = request.headers.get("X-CSRFToken", "").encode()
            if not hmac.compare_digest(given, _csrf_token(user_id).encode()):
                raise Refused("bad_csrf_token", "Recarregue a página e tente novamente.", 403)

    def guarded(method: str, view: Callable[..., Any], /, **arguments: Any) -> Any:
        opened = ndb.get_context(raise_context_error=False)
        with nullcontext() if opened else known.hub.context():
            try:
                guard(method)
                if method == "CRON":
                    return dict(zip(("deleted", "more"), view(), strict=True))
                return view(**arguments)
            except Refused as refusal:
                answer = {"code": refusal.code, "message": refusal.words, **refusal.more}
                return jsonify(error=answer), refusal.status

    for rule, view in routes.items():
        method, path = rule.split(" ")
        # A module may be in a package; Flask-WTF asks for the name of a view.
        short = "cleanup" if method == "CRON" else view.__name__.lstrip("_")
        endpoint = f"{name.rpartition('.')[2]}.{short}"
        whole = update_wrapper(partial(guarded, method, view), view)
        methods = [method.replace("CRON", "GET")]
        app.add_url_rule(path, endpoint, whole, methods=methods, provide_automatic_options=False)


def _csrf_token(user_id: str) -> str:
    if "csrf" in current_app.extensions:
        return str(current_app.jinja_env.globals["csrf_token"]())  # type: ignore[operator]
    if not current_app.secret_key:
        raise RuntimeError("set app.secret_key: without it anybody could make a page's token")
    return str(URLSafeSerializer(current_app.secret_key, __name__).dumps(user_id))


def _page() -> dict[str, Any] | None:
    """What templates/realtime_events/head.html gives the page; None without a login."""
    user_id = _user_id()
    if user_id is None:
        return None
    csrf = _csrf_token(user_id)
    return {"url": _URL, "user": user_id, "cursor": g.realtime_cursor, "csrf": csrf}


def _versions() -> dict[str, Any]:
    ids, model = request.args.getlist("id")[:_VERSIONS], _app().conversation
    found = find(model, ids) if model is not None else {}
    return {"versions": {id_of(each): each.version or 0 for each in found.values()}}


def _events() -> Response:
    hub: _Hub = _app().hub
    delivery = request.args.get("delivery") or hub.settings["DELIVERY"]
    if delivery == "auto":
        delivery = "hold" if os.environ.get("GAE_ENV") == "standard" else "stream"
    if delivery not in ("stream", "hold"):
        raise Refused("invalid", "Use stream ou hold.", 400, field="delivery")
    hub.refresh()
    text = request.headers.get("Last-Event-ID") or request.args.get("after")
    greet = request.args.get("hello") == "1" or not text
    hold = delivery == "hold"
    key = (_user_id(), request.args.get("client") or secrets.token_hex(8))
    with hub.lock:
        cursor, head, blocks = hub.cursor(), [], []
        try:
            blocks = hub.after(text) if text else []
        except CursorExpired:
            text = None
            head.append(_control("reset", {"cursor": cursor}))
        if greet:
            # A connection cut after hello must lose nothing: the client's own cursor.
            build = os.environ.get("GAE_VERSION", "")
            mine = {"delivery": delivery, "build": build, "cursor": text or cursor}
            head.append(_control("hello", mine))
        if blocks:
            head.append(_batch(blocks, cursor))
        complete = hold and bool(head)
        # A worker without threads would be frozen by one stream.
        free = not complete and request.environ.get("wsgi.multithread", True)
        seat = hub.open(key) if free else None
    full = seat is None and not complete
    if full or hold:
        head.insert(0, _retry(hub.settings["RETRY_MS"]) if full else _HOLD_RETRY)
    body = hub.body(key, seat, b"".join(head), hold)
    # Without buffering by nginx and App Engine flexible, too.
    headers = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
    response = Response(body, headers=headers, mimetype="text/event-stream")
    # A generator that never started never reaches its `finally`.
    response.call_on_close(partial(hub.release, key, seat))
    return response


# --- start ------------------------------------------------------------------------------------


def read_settings(app: Flask, prefix: str, defaults: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Settings from the app's config, or else the environment; of the form of `DEFAULTS`. Raises
    ValueError, with key and value, for one that cannot be used.
    """
    given = app.config_class(app.root_path)
    given.from_prefixed_env(prefix, loads=str)
    given |= app.config.get_namespace(f"{prefix}_", lowercase=False)
    settings: dict[str, Any] = {}
    for name, (default, *allowed) in defaults.items():
        text, value = isinstance(default, str), None
        with suppress(TypeError, ValueError):
            value = type(default)(given.get(name, default))
        if value is None or not (value in allowed if text else allowed[0] <= value <= allowed[1]):
            use = f"one of {', '.join(allowed)}" if text else f"from {allowed[0]} to {allowed[1]}"
            raise ValueError(f"{prefix}_{name}={given[name]!r}: use {use}")
        settings[name] = value
    return settings


_last_app: Flask | None = None


def of_app(name: str, app: Flask | None = None) -> Any:
    """What a module keeps in this app's `extensions`; in a thread without an app context, in those
    of the app made last.
    """
    app = app or current_app or _last_app
    if app is None or name not in app.extensions:
        raise RuntimeError(f"{name}.init_app() has not run for this app")
    return app.extensions[name]


def _app() -> Any:
    return of_app(__name__)


def _user_id() -> str | None:
    """Who makes the request. What a host may give for nobody is None here."""
    user_id = _app().current_user_id()
    nobody = user_id is None or user_id is False or user_id == ""
    return None if nobody else str(user_id)


def current_cursor() -> str:
    """The cursor "from now on". Take it before reading the data it goes with.

    Without a poller it proves nothing delivered: what came lately is told once more.
    """
    hub: _Hub = _app().hub
    return hub.cursor() if hub.alive() else Cursor(hub.behind(now_ms())).encode()


_at_shutdown: list[Callable[[], None]] = []


def at_shutdown(callback: Callable[[], None]) -> None:
    """Has something done at SIGTERM, in a thread, within a second: App Engine kills after two."""
    _at_shutdown.append(callback)


def _end_streams_on_sigterm() -> None:
    """App Engine kills two seconds after SIGTERM, and gunicorn waits for every open response."""
    previous: Any = signal.getsignal(signal.SIGTERM)

    def handler(number: int, frame: Any) -> None:
        # In threads: the handler may have interrupted somebody who holds the lock.
        for callback in _at_shutdown:
            threading.Thread(target=callback, daemon=True).start()
        previous(number, frame)

    signal.signal(signal.SIGTERM, handler)


def _fit_to_gunicorn(settings: dict[str, Any]) -> None:
    """Keeps threads in reserve for everything else, a stream takes one as long as it is open; and
    has the streams end in time.

    gunicorn tells an app nothing of its settings, but it is among the callers of what loads it.
    """
    callers = (frame.f_locals.get("self") for frame, _ in traceback.walk_stack(sys._getframe()))
    configs = (getattr(each, "cfg", None) for each in callers)
    config = next((each for each in configs if hasattr(each, "worker_class_str")), None)
    if config is None:
        return
    # Of green threads there are enough; a sync worker with threads is a gthread for gunicorn, too.
    if config.worker_class_str.endswith(("gthread", "ThreadWorker", "sync", "SyncWorker")):
        most = config.threads - min(max(1, config.threads // 4), _SPARE_THREADS)
        if settings["CAPACITY"] > most and config.threads < 8:
            _log.warning(
                "%d of %d gunicorn threads are for open pages; the others ask every %d ms: start "
                "it with --worker-class gthread --threads 80",
                most, config.threads, settings["RETRY_MS"],
            )  # fmt: skip
        settings["CAPACITY"] = min(settings["CAPACITY"], most)
    before = config.post_worker_init

    def chain(worker: Any) -> None:
        before(worker)
        _end_streams_on_sigterm()

    # The signals are the worker's, and with --preload the app is loaded before there is one.
    config.set("post_worker_init", chain)


def _is_app_engine_cron() -> bool:
    # App Engine takes this header from requests from outside; elsewhere anybody can send it.
    cron = request.headers.get("X-Appengine-Cron") == "true"
    return cron and os.environ.get("GAE_ENV") == "standard"


def init_app(
    app: Flask, client: Any, *, current_user_id: Callable[[], Any],
    is_cron: Callable[[], bool] = _is_app_engine_cron,
) -> None:  # fmt: skip
    """Adds `GET /realtime/events`, `…/versions` and the clean-up `…/cleanup` to the app, and what
    the template realtime_events/head.html needs.

    Args:
        app: settings are read from its config or else the environment, see `DEFAULTS`.
        client: the host's `ndb.Client`, or whatever has a `context()` that opens a fresh ndb
            context, in any thread.
        current_user_id: who makes the request; None is answered 401.
        is_cron: whether the request may run the clean-ups; default: App Engine's header.

    Raises ValueError for a setting that cannot be used; names key and value.
    """
    global _last_app
    settings = read_settings(app, _PREFIX, DEFAULTS)
    if settings["POLL_SECONDS"] >= settings["OVERLAP_SECONDS"] / 2:
        raise ValueError(f"{_PREFIX}_POLL_SECONDS: under half of {_PREFIX}_OVERLAP_SECONDS")
    _fit_to_gunicorn(settings)
    hub = _Hub(settings, client.context)
    app.extensions[__name__] = SimpleNamespace(
        hub=hub, current_user_id=current_user_id, is_cron=is_cron,
        conversation=None, message=None, texts={}, link="",  # see `use_models`
    )  # fmt: skip
    _last_app = app
    add_routes(app, __name__, {
        f"GET {_URL}/events": _events,
        f"GET {_URL}/versions": _versions,
        f"CRON {_URL}/cleanup": delete_expired,
    })  # fmt: skip

    def note_cursor() -> None:
        # What changes something, as a webhook does, hardly ever answers with a page of its own.
        reads = request.method in ("GET", "HEAD")
        g.realtime_cursor = current_cursor() if reads else Cursor(hub.behind(now_ms())).encode()

    # Before the host's own hooks, which may read what the page shows.
    app.before_request_funcs.setdefault(None, []).insert(0, note_cursor)
    app.context_processor(lambda: {"realtime_events_page": _page})
    app.jinja_env.filters["live"] = live
    at_shutdown(hub.close)

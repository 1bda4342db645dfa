"""What a webhook call leaves behind: updates for later, and updates set aside."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from google.cloud import ndb

import realtime_events
from chat.conversation.models import new_id
from chat.incoming import parsing
from chat.platform import datastore

_log = logging.getLogger(__name__)

#: An entity holds 1 MiB.
_BODY_BYTES = 700_000
_RAW_CHARS = 300_000
#: Longer than any batch takes; after it another process may take the batch over.
_LEASE_MS = 120_000
#: Set when this process has deferred something, so that its next webhook call looks.
_pending = False


class RejectedUpdate(ndb.Model):
    """An update that could not be understood. Key name: a hash of it, so repeats are one."""

    reason = ndb.StringProperty()
    field = ndb.TextProperty()
    received_at = ndb.IntegerProperty(indexed=False)
    raw = ndb.TextProperty()


class DeferredUpdates(ndb.Model):
    """The part of a webhook call that its time did not suffice for. Key name sorts by time."""

    received_at = ndb.IntegerProperty(indexed=False)
    lease_until = ndb.IntegerProperty(indexed=False, default=0)
    body = ndb.TextProperty()  # shaped like a webhook call, so the same parser reads it


def set_aside(rejected: Iterable[parsing.Rejected], received_ms: int) -> None:
    """Stores what could not be used, with the reason; the same one twice is stored once."""
    entities = {}
    for item in rejected:
        raw = _json(item.raw)[:_RAW_CHARS]
        name = _digest([item.field, raw])
        entities[name] = RejectedUpdate(
            id=name,
            reason=f"{item.field}: {item.reason}"[:500],
            field=item.field,
            received_at=received_ms,
            raw=raw,
        )
        _log.warning("set an update aside: %s %s", item.field, item.reason)
    datastore.put_many(entities.values())


def defer(changes: Iterable[dict[str, Any]], received_ms: int) -> None:
    """Stores changes of a webhook call raw, to be handled by `work_off`."""
    global _pending
    bodies: list[list[dict[str, Any]]] = [[]]
    size = 0
    for change in changes:
        length = len(json.dumps(change))
        if bodies[-1] and size + length > _BODY_BYTES:
            bodies.append([])
            size = 0
        bodies[-1].append(change)
        size += length
    entities = []
    for raws in bodies:
        if raws:
            body = json.dumps(parsing.envelope(raws))
            # Never a name made of the body: what `work_off` is working on may be deferred again as
            # it is, and would be deleted with the batch it came from.
            name = f"{received_ms:013d}-{new_id()}"
            entities.append(DeferredUpdates(id=name, received_at=received_ms, body=body))
    if entities:
        datastore.put_many(entities)
        _pending = True
        _log.warning("deferred %d parts of a webhook call", len(entities))


def pending() -> bool:
    """Whether this process knows of deferred updates."""
    return _pending


def work_off(handle: Callable[[Any, int], None], deadline: float) -> int:
    """Handles deferred updates, oldest first.

    Args:
        handle: takes the decoded body and the time of receipt; idempotent, because a batch whose
            process died is handled again.
        deadline: no new batch is begun after it, by `time.monotonic()`.

    Returns:
        how many batches are done.
    """
    global _pending
    done = 0
    while time.monotonic() < deadline:
        batch = _claim()
        if batch is None:
            _pending = False
            return done
        handle(json.loads(batch.body), batch.received_at)
        batch.key.delete()
        done += 1
    return done


def _claim() -> DeferredUpdates | None:
    """The oldest batch that nobody holds, leased."""
    now = time.time_ns() // 1_000_000
    for key in DeferredUpdates.query().order(DeferredUpdates._key).fetch(20, keys_only=True):

        def take(key: ndb.Key = key) -> DeferredUpdates | None:
            batch: DeferredUpdates | None = datastore.get_many([key])[0]
            if batch is None or batch.lease_until > now:
                return None
            batch.lease_until = now + _LEASE_MS
            batch.put()
            return batch

        if taken := realtime_events.transaction(take):
            return taken
    return None


def _json(value: Any) -> str:
    try:
        return json.dumps(value)
    except RecursionError:
        return '"nested too deeply"'


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]

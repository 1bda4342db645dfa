"""From a webhook call to safe: into its threads, set aside with a reason, or put off for later."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import traceback
from collections import Counter
from collections.abc import Iterable
from typing import Any

from flask import current_app
from google.cloud import ndb

import realtime_events
from chat.auto_reply import service
from chat.conversation.models import new_id
from chat.incoming import decoding, handling, parsing
from chat.incoming.handling import Outcome
from chat.incoming.parsing import Rejected
from chat.media import service as media
from chat.platform import datastore
from chat.platform.settings import Settings

_log = logging.getLogger(__name__)

#: An entity holds 1 MiB.
_BODY_BYTES = 700_000
_RAW_BYTES = 900_000
#: Of what is set aside in one transaction, which takes 10 MiB.
_TOGETHER = 100
_TOGETHER_BYTES = 4_000_000
_PAGE = 50
#: Longer than any batch takes; after it another process may take the batch over.
_LEASE_MS = 120_000
#: Set when this process has deferred something, so that its next webhook call looks.
_pending = False


class RejectedUpdate(ndb.Model):
    """An update that could not be used. Key name: a hash of it, so that repeats are one."""

    reason = ndb.TextProperty()
    field = ndb.TextProperty()
    times = ndb.IntegerProperty(indexed=False, default=1)  # how often it came
    received_at = ndb.IntegerProperty(indexed=False)  # first
    last_at = ndb.IntegerProperty(indexed=False)
    sort_key = ndb.StringProperty()  # "last_at-key name": the newest first, in pages
    #: A webhook call's body with this alone, or what came in the place of one.
    raw = ndb.TextProperty()
    whole = ndb.BooleanProperty(indexed=False, default=True)  # False: too large to be kept


class DeferredUpdates(ndb.Model):
    """The part of a webhook call that its time did not suffice for. Key name sorts by time."""

    received_at = ndb.IntegerProperty(indexed=False)
    lease_until = ndb.IntegerProperty(indexed=False, default=0)
    body = ndb.TextProperty()  # shaped like a webhook call, so the same parser reads it


def take_in(
    payload: Any, received_ms: int, our_number: str = "", deadline: float | None = None
) -> bool:
    """Stores all that a webhook call brought; returns when each update is in its thread, set aside
    or deferred.

    Args:
        payload: the decoded body.
        received_ms: when it came, milliseconds since 1970.
        our_number: our phone_number_id, see `parsing.parse`.
        deadline: by `time.monotonic()`; what is not begun then is deferred. None: no limit.

    Returns:
        whether nothing was set aside.

    Raises:
        one of `datastore.ERRORS`: not everything is safe; the same call may come again.
    """
    outcome = _handle(payload, received_ms, our_number, deadline)
    set_aside(outcome.rejected, received_ms)
    defer(outcome.late, received_ms)
    service.wake(outcome.asked, deadline)
    media.wake(outcome.files, deadline)
    return not outcome.rejected


def _handle(
    payload: Any, received_ms: int, our_number: str = "", deadline: float | None = None
) -> Outcome:
    """Parses and handles a call. A fault of our own in it, which would come back with each repeat,
    sets all of it aside: what is stored already stays, and trying again stores the rest.
    """
    try:
        batch = parsing.parse(payload, received_ms, our_number)
        return handling.handle(batch, received_ms, deadline)
    except datastore.ERRORS:
        raise
    except Exception as error:  # noqa: BLE001 - else it is asked for again for days, and nothing else
        places = "".join(traceback.format_tb(error.__traceback__))
        _log.error("cannot handle a webhook call: %s\n%s", type(error).__name__, places)
        reason = f"cannot be handled: {type(error).__name__}"
        parts = parsing.changes_of(payload)
        return Outcome([Rejected("$", reason, part, parsing.envelope([part])) for part in parts])


# --- set aside --------------------------------------------------------------------------------


def set_aside(rejected: Iterable[Rejected], received_ms: int) -> None:
    """Stores what could not be used, with the reason; the same again is counted."""
    known: dict[str, Rejected] = {}
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for item in rejected:
        name = _digest(item.raw)
        known[name] = item
        counts[name] += 1
        reasons[f"{item.field}: {item.reason}"] += 1
    if not known:
        return
    part: dict[str, str] = {}
    size = 0
    for name, item in known.items():
        raw = item.body if isinstance(item.body, str) else _json(item.body)
        if part and (len(part) >= _TOGETHER or size + len(raw) > _TOGETHER_BYTES):
            _keep(part, known, counts, received_ms)
            part, size = {}, 0
        part[name] = raw
        size += len(raw)
    _keep(part, known, counts, received_ms)
    told = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common(10))
    _log.warning("set %d updates aside: %s", counts.total(), told)


def listed(before: str | None = None) -> dict[str, Any]:
    """What is set aside, the newest first, as JSON.

    Args:
        before: the last page's `next`.

    Returns:
        `updates`, each with `name`, `field`, `reason`, `times`, `first_at`, `last_at` and
        `retryable`, and `next`, None at the end.
    """
    query = RejectedUpdate.query(RejectedUpdate.sort_key > "").order(-RejectedUpdate.sort_key)
    if before:
        query = query.filter(RejectedUpdate.sort_key < before)
    found = query.fetch(_PAGE + 1)
    page = found[:_PAGE]
    updates = [
        {
            "name": each.key.id(),
            "field": each.field,
            "reason": each.reason,
            "times": each.times,
            "first_at": realtime_events.iso(each.received_at),
            "last_at": realtime_events.iso(each.last_at),
            "retryable": bool(each.whole),
        }
        for each in page
    ]
    return {"updates": updates, "next": page[-1].sort_key if len(found) > _PAGE else None}


def raw(name: str) -> str | None:
    """What was set aside under this name: a webhook call's body; None if there is nothing (more).

    Args:
        name: as `listed`; any text may come here.
    """
    entity = datastore.get(RejectedUpdate, name) if datastore.is_key_name(name) else None
    return entity.raw if entity is not None else None


def retry(name: str) -> bool:
    """Hands what was set aside to the parser again, which may have learned to read it.

    Args:
        name: as `listed`; any text may come here.

    Returns:
        whether nothing is set aside under this name any more.
    """
    entity = datastore.get(RejectedUpdate, name) if datastore.is_key_name(name) else None
    if entity is None:
        return True
    if not entity.whole:
        return False
    try:
        payload = decoding.decode(entity.raw)
    except ValueError:
        return False
    settings: Settings = current_app.extensions["chat_settings"]
    # By the time of the first receipt: it says more than the present where Meta told none.
    outcome = _handle(payload, entity.received_at, settings.whatsapp_phone_number_id)
    if outcome.rejected:
        again = outcome.rejected[0]
        entity.field, entity.reason = again.field, f"{again.field}: {again.reason}"
        entity.put()
        return False
    defer(outcome.late, entity.received_at)
    service.wake(outcome.asked)
    media.wake(outcome.files)
    entity.key.delete()
    return True


def _keep(
    raws: dict[str, str], known: dict[str, Rejected], counts: Counter[str], received_ms: int
) -> None:
    keys = [ndb.Key(RejectedUpdate, name) for name in raws]

    def attempt() -> None:
        entities = []
        for (name, text), entity in zip(raws.items(), datastore.get_many(keys), strict=True):
            item, count = known[name], counts[name]
            if entity is None:
                entity = RejectedUpdate(id=name, received_at=received_ms, times=0)
                entity.raw = text.encode()[:_RAW_BYTES].decode("utf-8", "ignore")
                entity.whole = entity.raw == text
            entity.field, entity.reason = item.field, f"{item.field}: {item.reason}"
            entity.times += count
            entity.last_at = max(received_ms, entity.last_at or 0)
            entity.sort_key = f"{entity.last_at:013d}-{name}"
            entities.append(entity)
        datastore.put_many(entities)

    realtime_events.transaction(attempt)


# --- deferred ---------------------------------------------------------------------------------


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


def work_off(deadline: float) -> int:
    """Handles deferred updates, oldest first. A batch whose process died is handled again.

    Args:
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
        take_in(json.loads(batch.body), batch.received_at)
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
    except (RecursionError, ValueError):
        return '"nested too deeply"'


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True) if not isinstance(value, str) else value
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:40]

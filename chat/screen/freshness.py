"""How fast the screens are: what the attendants' pages measured, told to administrators.

A page measures a customer's live message from its receipt by the server until it was drawn, and
sends the milliseconds alone. Each process adds them to a histogram a minute, of which the last
hour is kept. The first tick is not measured: the messages themselves tell it.
"""

from __future__ import annotations

import math
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue
from google.cloud import ndb

import message_status
import realtime_events
from chat.conversation.models import OUTGOING, Conversation, Message
from chat.platform import datastore
from chat.platform.errors import ApiError
from chat.screen import admin
from chat.screen.request_parts import json_body

blueprint = Blueprint("freshness", __name__)
pages = Blueprint("freshness_page", __name__, url_prefix="/admin/freshness")
admin.guard(pages)

_MINUTE_MS = 60_000
HOUR_MS = 60 * _MINUTE_MS
#: Of one request: what a page draws in a minute of a busy day, and then some.
MAX_SAMPLES = 500
#: What took longer is a clock that was set, or a computer that slept, not a slow screen.
MAX_MS = 600_000
#: One step of the histogram: what is told is at most so much off, by less than five percent.
_STEP = 1.1
#: Read for the report: an hour of thirty processes.
_MOST_MINUTES = 1_800
#: Deleted at once, of what is older than an hour.
_MOST_EXPIRED = 200
#: Read for the first tick: so many chats, the ones written in last, and messages of each.
MOST_CHATS = 100
_MOST_MESSAGES = 100

#: Tells this process's minutes from another's: nobody else writes to them.
_process = secrets.token_hex(6)


class FreshnessMinute(ndb.Model):
    """What one process was told in one minute. Key name: its beginning in ms, and the process."""

    counts = ndb.JsonProperty()  # {step of the histogram: how many}, see `step_of`


def step_of(ms: float) -> int:
    """The step of the histogram for a time of so many milliseconds."""
    return round(math.log(max(ms, 1), _STEP))


@dataclass(frozen=True)
class Times:
    """Times of one kind, in milliseconds: how many, their middle and the slow end."""

    count: int
    p50: float | None = None
    p95: float | None = None

    @classmethod
    def of(cls, counts: Counter[float]) -> Times:
        """Of times and how often each was."""
        total = sum(counts.values())
        return cls(total, *(_percentile(counts, total, part) for part in (0.5, 0.95)))


def _percentile(counts: Counter[float], total: int, part: float) -> float | None:
    wanted = math.ceil(total * part)
    for ms in sorted(counts):
        wanted -= counts[ms]
        if wanted <= 0:
            return ms
    return None


# --- received → shown -----------------------------------------------------------------------------


@blueprint.post("/api/freshness")
def take_samples() -> ResponseReturnValue:
    """Milliseconds from a message's receipt until it was drawn, of one page's last minute."""
    samples = json_body().get("samples")
    found: list[Any] = samples if isinstance(samples, list) else [None]
    if len(found) > MAX_SAMPLES or any(type(each) not in (int, float) for each in found):
        message = f"Mande até {MAX_SAMPLES} tempos em milissegundos."
        raise ApiError(422, "invalid", message, "samples")
    usable = [each for each in found if 0 <= each <= MAX_MS]
    if usable:
        record(usable, realtime_events.now_ms())
    return jsonify(taken=len(usable))


def record(samples: Iterable[float], now_ms: int) -> None:
    """Adds times in milliseconds to this process's minute."""
    new = Counter(str(step_of(each)) for each in samples)
    name = f"{now_ms - now_ms % _MINUTE_MS:013d}-{_process}"

    def add() -> bool:
        known = datastore.get(FreshnessMinute, name)
        counts = new + Counter(known.counts if known else {})
        FreshnessMinute(id=name, counts=dict(counts)).put()
        return known is None

    if realtime_events.transaction(add):
        before = ndb.Key(FreshnessMinute, f"{now_ms - HOUR_MS - _MINUTE_MS:013d}")
        query = FreshnessMinute.query(FreshnessMinute._key < before)
        ndb.delete_multi(query.fetch(_MOST_EXPIRED, keys_only=True))


def shown(now_ms: int) -> Times:
    """Of the last hour, to the minute."""
    first = ndb.Key(FreshnessMinute, f"{now_ms - HOUR_MS:013d}")
    query = FreshnessMinute.query(FreshnessMinute._key >= first).order(-FreshnessMinute._key)
    counts: Counter[float] = Counter()
    for minute in query.fetch(_MOST_MINUTES):
        for step, count in minute.counts.items():
            counts[_STEP ** int(step)] += count
    return Times.of(counts)


# --- stored → first tick --------------------------------------------------------------------------


@dataclass(frozen=True)
class FirstTicks:
    """How soon WhatsApp had what was written here in the last hour, as the messages tell."""

    times: Times
    without: int  # messages that have no tick (yet)
    complete: bool  # False: there were more chats or messages than were read


def first_ticks(now_ms: int) -> FirstTicks:
    """Of the messages written in the last hour in the chats that are newest in the list."""
    since = now_ms - HOUR_MS
    start = f"{since:013d}"
    newest = Conversation.query(Conversation.sort_key > start).order(-Conversation.sort_key)
    chats = newest.fetch(MOST_CHATS + 1)
    ids = [each for chat in chats[:MOST_CHATS] for each in (chat.id, *chat.absorbed)]
    reading = [
        Message.query(Message.conversation_id == each, Message.position > start)
        .order(-Message.position)
        .fetch_async(_MOST_MESSAGES + 1)
        for each in ids
    ]
    counts: Counter[float] = Counter()
    without, complete = 0, len(chats) <= MOST_CHATS
    for future in reading:
        found = future.get_result()
        complete = complete and len(found) <= _MOST_MESSAGES
        for message in found[:_MOST_MESSAGES]:
            times = dict(message_status.fact(message, "times") or {})
            stored = times.pop(message_status.SENDING, 0)
            if message.direction != OUTGOING or stored < since:
                continue  # a customer's, the business phone's, or the chat's own lines
            times.pop(message_status.FAILED, None)
            if times:
                counts[max(0, min(times.values()) - stored)] += 1
            else:
                without += 1
    return FirstTicks(Times.of(counts), without, complete)


# --- the page -------------------------------------------------------------------------------------


@pages.get("")
def report() -> ResponseReturnValue:
    """The last hour in two rows."""
    now = realtime_events.now_ms()
    ticks = first_ticks(now)
    rows = [("Recebida pelo servidor → na tela", shown(now)), ("Gravada → primeiro ✓", ticks.times)]
    return render_template(
        "chat/freshness.html",
        rows=[
            {"name": name, "count": f"{times.count:,}".replace(",", "."),
             "p50": _in_words(times.p50), "p95": _in_words(times.p95)}
            for name, times in rows
        ],
        is_empty=not any(times.count for _, times in rows),
        without=ticks.without,
        most_chats=None if ticks.complete else MOST_CHATS,
    )  # fmt: skip


def _in_words(ms: float | None) -> str:
    if ms is None:
        return "–"
    if ms < 1000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s".replace(".", ",")

"""What Claude's answers cost: tokens, money and time, per chat and day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from google.cloud import ndb

from chat.auto_reply.messages_api import Used
from chat.auto_reply.settings import BRASILIA, AutoReplySettings
from chat.platform import datastore

#: Of one chat's day: an entity holds 1 MiB, and one of these takes some 200 bytes.
_MAX_CALLS = 300
#: Rows that are added up, each a chat's day: some 300 chats a day for a month. They take about
#: 400 bytes, and a page reads them within a request's time.
MAX_ROWS = 10_000
#: Days of one chat whose calls are listed.
_LISTED_DAYS = 31
#: Dollars for a million tokens, by how a model's name begins: in, out, cache write (5 minutes),
#: cache read. Anthropic's list of November 2026, for prompts up to 100,000 tokens.
_PRICES: dict[str, tuple[float, ...]] = {
    "claude-haiku-5-5": (0.10, 0.50, 0.125, 0.01),
    "claude-haiku-4-5": (1.0, 5.0, 1.25, 0.10),
    "claude-sonnet-5-5": (2.0, 10.0, 2.5, 0.10),
    "claude-sonnet-5": (2.0, 10.0, 2.5, 0.20),
    "claude-opus-5-5": (4.0, 20.0, 5.0, 0.40),
}


class ClaudeUsage(ndb.Model):
    """What was used for one chat in one day of Brasília's. Key name: "day:conversation id"."""

    day = ndb.StringProperty()  # 2026-11-29
    conversation_id = ndb.StringProperty()
    tokens = ndb.IntegerProperty(indexed=False, default=0)
    #: {calls, answers, hand_overs, input, output, cache_read, cache_write, ms, cost, unpriced}
    totals = ndb.JsonProperty()


class ClaudeCalls(ndb.Model):
    """The calls of one chat's day, apart: they would make the sums slow to read. Key name: its
    `ClaudeUsage`'s.
    """

    #: [{at, kind, model, input, output, cache_read, cache_write, ms, cost, worker?, message_id?,
    #: reason?}] ascending, the last so many; `cost` in dollars, None where no price is known.
    calls = ndb.JsonProperty()


@dataclass
class Totals:
    """What several calls cost together; `unpriced` counts those without a known price."""

    calls: int = 0
    answers: int = 0
    hand_overs: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    ms: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def add(self, other: dict[str, Any]) -> None:
        """Adds what another counted."""
        for name, value in other.items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class Report:
    """A table for an administrator: rows by day or by conversation, and their sum."""

    rows: dict[str, Totals] = field(default_factory=dict)
    total: Totals = field(default_factory=Totals)
    complete: bool = True


def day_of(ms: int) -> str:
    """The day in Brasília."""
    return datetime.fromtimestamp(ms / 1000, BRASILIA).strftime("%Y-%m-%d")


def used_tokens(conversation_id: str, now_ms: int) -> int:
    """How many tokens a chat has used today."""
    found = datastore.get(ClaudeUsage, _name(conversation_id, now_ms))
    return int(found.tokens) if found is not None else 0


def record(
    conversation_id: str,
    kind: str,
    used: Used | None,
    now_ms: int,
    settings: AutoReplySettings,
    *,
    worker: str | None = None,
    message_id: str | None = None,
    reason: str | None = None,
) -> None:
    """Notes a call, once, in the caller's transaction.

    Args:
        conversation_id: the chat's.
        kind: "answer"; "hand_over"; "discarded": the chat had changed meanwhile; "suggestion"; or
            "failed".
        used: what it cost; None: nothing came back.
        now_ms: when.
        settings: with prices of the owner's.
        worker: who asked, once; a commit told twice does not count twice.
        message_id: of the first message that it became.
        reason: why it was handed over, or what failed.
    """
    name = _name(conversation_id, now_ms)
    keys = [ndb.Key(ClaudeUsage, name), ndb.Key(ClaudeCalls, name)]
    entity, listed = datastore.get_many(keys)
    entity = entity or ClaudeUsage(
        id=name, day=day_of(now_ms), conversation_id=conversation_id, totals={}
    )
    listed = listed or ClaudeCalls(id=name, calls=[])
    if worker and any(each.get("worker") == worker for each in listed.calls):
        return
    used = used or Used()
    cost = cost_of(used, settings)
    call: dict[str, Any] = {"at": now_ms, "kind": kind, **asdict(used), "cost": cost}
    call |= {"worker": worker} if worker else {}
    call |= {"message_id": message_id} if message_id else {}
    call |= {"reason": reason} if reason else {}
    totals = Totals(**entity.totals)
    totals.add(
        {
            "calls": 1,
            "answers": int(kind == "answer" or bool(message_id)),
            "hand_overs": int(kind == "hand_over"),
            **{key: value for key, value in asdict(used).items() if key != "model"},
            "cost": cost or 0.0,
            "unpriced": int(cost is None),
        }
    )
    entity.tokens += used.tokens
    entity.totals = asdict(totals)
    listed.calls = [*listed.calls, call][-_MAX_CALLS:]
    datastore.put_many([entity, listed])


def cost_of(used: Used, settings: AutoReplySettings) -> float | None:
    """Dollars; None where no price is known."""
    if not used.tokens:
        return 0.0
    known = [prices for name, prices in _PRICES.items() if used.model.startswith(name)]
    prices = settings.prices or (known[0] if known else None)
    if prices is None:
        return None
    amounts = (used.input, used.output, used.cache_write, used.cache_read)
    return round(sum(a * price for a, price in zip(amounts, prices, strict=True)) / 1_000_000, 6)


def by_day(now_ms: int, days: int = 31) -> Report:
    """The last days, newest first, over all chats."""
    first = day_of(now_ms - int(timedelta(days=days - 1).total_seconds() * 1000))
    query = ClaudeUsage.query(ClaudeUsage.day >= first).order(-ClaudeUsage.day)
    return _report(query.fetch(MAX_ROWS + 1), lambda each: each.day)


def by_conversation(day: str) -> Report:
    """The chats of one day, the dearest first."""
    found = _report(
        ClaudeUsage.query(ClaudeUsage.day == day).fetch(MAX_ROWS + 1),
        lambda each: each.conversation_id,
    )
    rows = sorted(found.rows.items(), key=lambda row: (-row[1].cost, -row[1].output))
    found.rows = dict(rows)
    return found


def of_conversation(ids: Iterable[str]) -> tuple[Report, list[dict[str, Any]]]:
    """One chat's days, the newest first, and its last calls, newest first.

    Args:
        ids: its id, and those of chats that were merged into it.
    """
    found: list[ClaudeUsage] = []
    for each in ids:
        query = ClaudeUsage.query(ClaudeUsage.conversation_id == each)
        found += query.fetch(MAX_ROWS + 1)
    found.sort(key=lambda each: each.day, reverse=True)
    keys = [ndb.Key(ClaudeCalls, each.key.id()) for each in found[:_LISTED_DAYS]]
    listed = [each.calls for each in datastore.get_many(keys) if each is not None]
    calls = [call for each in listed for call in reversed(each)]
    calls.sort(key=lambda call: -int(call["at"]))
    return _report(found, lambda each: each.day), calls[:_MAX_CALLS]


def _report(found: list[ClaudeUsage], row_of: Any) -> Report:
    rows: dict[str, Totals] = defaultdict(Totals)
    report = Report(complete=len(found) <= MAX_ROWS)
    for each in found[:MAX_ROWS]:
        rows[row_of(each)].add(each.totals)
        report.total.add(each.totals)
    report.rows = dict(rows)
    return report


def _name(conversation_id: str, now_ms: int) -> str:
    return f"{day_of(now_ms)}:{conversation_id}"

"""Serialisable transactions: what one has read, what has changed since, who waits for whom.

Transactions are optimistic. Each reads a snapshot (a SQLite read transaction of its own, begun by
its first read) and remembers what it read: keys, and whole queries. A commit first looks through
what was committed since: had any of it changed an answer, the transaction is aborted. So nothing
is lost, and a query has no phantoms. While nothing it has read has changed, a transaction's
snapshot moves forward with each read.

Optimism alone is slow on a hot entity, since clients back off for a second after an abort. So
those who read the same key in read-write transactions queue up for it. That queue is a courtesy,
not what correctness rests on: who would wait for himself, or for somebody who holds a key for too
long (he may have died), goes ahead, and the commit decides.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from local.datastore.encoding import Indexed, Ref
from local.datastore.queries import Query

EXPIRES_IDLE_SECONDS = 60.0  # as in production
EXPIRES_SECONDS = 270.0  # as in production
# How long one transaction may keep others waiting for a key. The chat's take some 10 ms.
HOLD_SECONDS = 1.0
# More waiting than this go ahead at once: each occupies a thread that a commit may need.
MAX_WAITING = 100


class Conflict(RuntimeError):
    """What the transaction read has changed since; ABORTED."""


@dataclass
class Change:
    """A committed change of one entity: its index entries before and after, None if not there."""

    version: int
    ref: Ref
    before: Indexed | None
    after: Indexed | None


@dataclass(eq=False)
class Transaction:
    """A transaction under way. All but `lock` is guarded by the storage's mutex."""

    read_only: bool
    begun: float
    used: float
    connection: sqlite3.Connection | None = None
    version: int = 0  # of its snapshot
    keys: set[Ref] = field(default_factory=set)
    queries: list[Query] = field(default_factory=list)
    holding: set[Any] = field(default_factory=set)
    waiting_for: Any = None
    over: bool = False
    # One reading at a time on its connection, and none while it commits.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def expired(self, now: float) -> bool:
        """Whether it was left alone, or lasted, for too long."""
        return now - self.used > EXPIRES_IDLE_SECONDS or now - self.begun > EXPIRES_SECONDS

    def conflicts(self, changes: Iterable[Change]) -> bool:
        """Whether one of the changes made since its snapshot would change what it has read."""
        for change in changes:
            if change.version <= self.version:
                continue
            if change.ref in self.keys:
                return True
            (*partition, kind), path = change.ref
            for query in self.queries:
                if query.partition == tuple(partition) and any(
                    image is not None and query.concerns(kind, path, image)
                    for image in (change.before, change.after)
                ):
                    return True
        return False


class KeyQueue:
    """Lets read-write transactions that read the same thing do so one after the other.

    Args:
        mutex: held by whoever calls a method; given up while waiting.
    """

    def __init__(self, mutex: threading.Lock) -> None:
        self._mutex = mutex
        self._holders: dict[Any, tuple[Transaction, float]] = {}
        self._queues: dict[Any, deque[tuple[Transaction, threading.Condition]]] = {}
        self._waiting = 0
        self._closed = False

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closed = True
        for queue in self._queues.values():
            for _transaction, woken in queue:
                woken.notify()

    def wait_for(self, transaction: Transaction, token: Any) -> None:
        """Return when it is the transaction's turn with `token`, or when waiting makes no sense."""
        while not transaction.over and not self._closed:
            holder, since = self._holders.get(token, (transaction, 0.0))
            now = time.monotonic()
            left = since + HOLD_SECONDS - now
            if holder is transaction or left <= 0:
                holder.holding.discard(token)
                transaction.holding.add(token)
                self._holders[token] = transaction, now
                return
            if self._waiting >= MAX_WAITING or self._waits_for(holder, transaction):
                return
            place = (transaction, threading.Condition(self._mutex))
            queue = self._queues.setdefault(token, deque())
            queue.append(place)
            transaction.waiting_for = token
            self._waiting += 1
            try:
                place[1].wait(left)
            finally:
                self._waiting -= 1
                transaction.waiting_for = None
                if place in queue:
                    queue.remove(place)

    def _waits_for(self, one: Transaction, other: Transaction) -> bool:
        """Whether `one` waits, perhaps through others, for `other`."""
        for _ in range(MAX_WAITING):
            if one.waiting_for is None or one.waiting_for not in self._holders:
                return False
            one, _since = self._holders[one.waiting_for]
            if one is other:
                return True
        return False

    def let_go(self, transaction: Transaction) -> None:
        """Hand all that the transaction holds to those who wait for it."""
        for token in transaction.holding:
            del self._holders[token]
            queue = self._queues.get(token)
            while queue:
                following, woken = queue.popleft()
                if not following.over:
                    following.holding.add(token)
                    self._holders[token] = following, time.monotonic()
                    woken.notify()
                    break
            if not queue:
                self._queues.pop(token, None)
        transaction.holding.clear()

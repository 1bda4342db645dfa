"""Entities, their index entries and ids in SQLite, read and written in transactions.

Transactions under way and what was changed lately are in memory (transactions.py); the
rest is in the database (files.py).
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.datastore.encoding import (
    MAX_ENTITY_BYTES,
    Entity,
    Indexed,
    Invalid,
    Key,
    KindRef,
    Ref,
    decode_path,
    encode_path,
    indexed_values,
    kind_ref,
)
from local.datastore.files import Files
from local.datastore.queries import Position, Query, Sql
from local.datastore.transactions import Change, Conflict, KeyQueue, Transaction

_IDS_AT_ONCE = 1000
_COUNT_UP_TO = 2000


class AlreadyExists(RuntimeError):
    """An insert of a key that is there; ALREADY_EXISTS."""


class NotFound(RuntimeError):
    """An update of a key that is not there; NOT_FOUND."""


@dataclass
class Write:
    """One mutation, prepared: `data` is None for a delete."""

    operation: str
    ref: Ref
    data: bytes | None = None
    indexed: Indexed = field(default_factory=dict)


@dataclass
class Row:
    """One result: `data` is None where only the key or the sort values were asked for."""

    position: Position
    data: bytes | None = None
    version: int = 0


def prepare(operation: str, entity: Any) -> Write:
    """Check an entity (or, for "delete", a key) with a complete key that is to be written.

    Raises:
        Invalid: Datastore refuses it.
    """
    if operation == "delete":
        return Write(operation, (kind_ref(entity), encode_path(entity)))
    path = encode_path(entity.key, writing=True)
    indexed = indexed_values(entity)
    data = entity.SerializeToString()
    if len(data) > MAX_ENTITY_BYTES:
        raise Invalid(f"entity is too big: {len(data)} bytes, more than {MAX_ENTITY_BYTES}")
    return Write(operation, (kind_ref(entity.key), path), data, indexed)


class Storage:
    """The entities of all projects, databases and namespaces, in one directory.

    Args:
        directory: where the files are; made if missing.
        fresh: forget what is there.
        durable: whether the data matter after the process; without, nothing waits for the disk.

    Raises:
        InUse: another process has the directory open.
    """

    def __init__(self, directory: Path, *, fresh: bool = False, durable: bool = True) -> None:
        self._files = Files(directory, fresh=fresh, durable=durable)
        self._writer = self._files.writer
        counters = dict(self._writer.execute("SELECT name, value FROM counters"))
        self._version: int = counters["version"]
        self._next_id = self._ids_end = counters["ids"]
        self._kinds: dict[KindRef, int] = {}
        self._properties: dict[tuple[int, str], tuple[int, bool]] = {}
        self._load_names()
        self._mutex = threading.Lock()  # around the writer and everything below
        self._open: dict[bytes, Transaction] = {}
        self._serial = itertools.count(1)
        self._run = os.urandom(6)  # so that no transaction outlives a restart
        self._changes: deque[Change] = deque()
        self._queue = KeyQueue(self._mutex)

    def _load_names(self) -> None:
        self._kinds = {
            (project, database, namespace, kind): number
            for number, project, database, namespace, kind in self._writer.execute(
                "SELECT id, project, database, namespace, kind FROM kinds"
            )
        }
        self._properties = {
            (kind, name): (number, bool(several))
            for number, kind, name, several in self._writer.execute(
                "SELECT id, kind_id, name, several FROM properties"
            )
        }

    def stop_queueing(self) -> None:
        """Let all those go ahead who wait for a key, from now on."""
        with self._mutex:
            self._queue.close()

    def close(self) -> None:
        """Close the files; whoever still reads fails."""
        with self._mutex:
            self._files.close()

    # Transactions

    def begin(self, *, read_only: bool) -> bytes:
        """Begin a transaction and return its id."""
        now = time.monotonic()
        with self._mutex:
            for old in [t for t in self._open.values() if t.expired(now) and not t.lock.locked()]:
                self._end(old)
            name = self._run + next(self._serial).to_bytes(6, "big")
            self._open[name] = Transaction(read_only, begun=now, used=now)
            return name

    def transaction(self, name: bytes) -> Transaction:
        """Return the open transaction of this id.

        Raises:
            Invalid: it never was, is over, or has expired.
        """
        now = time.monotonic()
        with self._mutex:
            found = self._open.get(name)
            if found and found.expired(now):
                self._end(found)
            if found is None or found.over:
                raise Invalid("transaction has expired or is invalid")
            found.used = now
            return found

    def rollback(self, transaction: Transaction) -> None:
        """End a transaction without any effect."""
        with transaction.lock, self._mutex:
            self._end(transaction)

    def _end(self, transaction: Transaction) -> None:
        transaction.over = True
        self._open = {name: t for name, t in self._open.items() if t is not transaction}
        self._queue.let_go(transaction)
        if transaction.connection:
            self._files.give_back(transaction.connection)
            transaction.connection = None

    @contextmanager
    def _reading(
        self, transaction: Transaction | None, keys: set[Ref], query: Query | None
    ) -> Iterator[sqlite3.Connection]:
        """Give a connection that shows one state of everything, and note what is read of it."""
        if transaction is None:
            with self._files.snapshot() as connection:
                yield connection
            return
        if not transaction.read_only:
            # Sorted, so that two who want the same keys do not want them crosswise.
            wanted: list[Any] = sorted(keys)
            if query:
                wanted.append((query.partition, query.kind, query.paths.low, *query.equalities))
            with self._mutex:
                for token in wanted:
                    self._queue.wait_for(transaction, token)
        with transaction.lock:
            with self._mutex:
                if transaction.over:
                    raise Invalid("transaction has expired or is invalid")
                self._freshen(transaction)
                transaction.keys |= keys
                if query:
                    transaction.queries.append(query)
            assert transaction.connection is not None
            yield transaction.connection

    def _freshen(self, transaction: Transaction) -> None:
        """Move the snapshot to the present, unless that would show up as a change."""
        if transaction.connection:
            if (
                transaction.read_only
                or transaction.version == self._version
                or transaction.conflicts(self._changes)
            ):
                return
            self._files.give_back(transaction.connection)
        transaction.connection = self._files.take_snapshot()
        transaction.version = self._version

    # Reading

    def lookup(
        self, transaction: Transaction | None, refs: list[Ref]
    ) -> Iterator[tuple[bytes, int] | None]:
        """Yield the data and version of each entity, or None."""
        with self._reading(transaction, set(refs), None) as connection:
            for kind, path in refs:
                yield self._get(connection, self._kinds.get(kind), path)

    def _get(
        self, connection: sqlite3.Connection, kind: int | None, path: bytes
    ) -> tuple[bytes, int] | None:
        found: tuple[bytes, int] | None = connection.execute(
            "SELECT data, version FROM entities WHERE kind_id=? AND path=?", (kind, path)
        ).fetchone()
        return found

    def run(self, transaction: Transaction | None, query: Query, rows: int) -> Iterator[Row]:
        """Yield up to `rows` results from the start cursor on, offset included, in order.

        The data of the first ``query.offset`` results are left out, as are those of keys-only and
        projection queries.
        """
        with self._reading(transaction, set(), query) as connection:
            if query.kind is None:
                kinds = [
                    n
                    for ref, n in list(self._kinds.items())
                    if ref[:3] == query.partition and not ref[3].startswith("__")
                ]
            else:
                kinds = [n for n in [self._kinds.get((*query.partition, query.kind))] if n]
            names = [name for name, _ in query.equalities] + [name for name, _ in query.sort]
            known = {
                name: numbered
                for kind in kinds
                for name in names
                if (numbered := self._properties.get((kind, name)))
            }
            if not kinds or len(known) < len(set(names)):
                return
            driver = self._fewest(connection, query, known)
            statement = Sql(query, kinds, known, driver, rows)
            bare = query.keys_only or query.projection
            for number, position in enumerate(
                connection.execute(statement.text, statement.arguments)
            ):
                if bare or number < query.offset:
                    yield Row(position)
                    continue
                kind = kinds[0] if query.kind else self._kind_of(query, position[-1])
                found = self._get(connection, kind, position[-1])
                assert found is not None
                yield Row(position, *found)

    def _fewest(
        self,
        connection: sqlite3.Connection,
        query: Query,
        known: dict[str, tuple[int, bool]],
    ) -> int | None:
        """Index of the equality that finds the fewest entities."""
        if len(query.equalities) < 2:
            return 0 if query.equalities else None
        counts = [
            connection.execute(
                "SELECT count(*) FROM (SELECT 1 FROM entries WHERE property_id=? AND value=?"
                " LIMIT ?)",
                (known[name][0], value, _COUNT_UP_TO),
            ).fetchone()[0]
            for name, value in query.equalities
        ]
        return counts.index(min(counts))

    def _kind_of(self, query: Query, path: bytes) -> int | None:
        key = Key()
        decode_path(path, key)
        return self._kinds.get((*query.partition, key.path[-1].kind))

    # Writing

    def commit(self, transaction: Transaction | None, writes: list[Write]) -> int:
        """Apply all writes or none, end the transaction, and return the version of the change.

        Raises:
            Conflict: what the transaction read has changed since.
            AlreadyExists, NotFound: an insert or update that cannot be.
        """
        if transaction is None:
            with self._mutex:
                return self._apply(writes)
        with transaction.lock, self._mutex:
            if transaction.over:
                raise Invalid("transaction has expired or is invalid")
            if not writes:  # it saw one state of everything, so it may count as having run then
                self._end(transaction)
                return self._version
            if transaction.connection and transaction.conflicts(self._changes):
                self._queue.let_go(transaction)  # the client is about to roll back
                raise Conflict("too much contention on these datastore entities. please try again.")
            version = self._apply(writes)
            self._end(transaction)
            return version

    def _apply(self, writes: list[Write]) -> int:
        version = max(self._version + 1, time.time_ns() // 1000)
        try:
            with self._files.writing():
                changes = [self._write(write, version) for write in writes]
                self._writer.execute("UPDATE counters SET value=? WHERE name='version'", (version,))
        except BaseException:
            self._load_names()  # some may have been rolled back
            raise
        self._version = version
        oldest = min((t.version for t in self._open.values() if t.connection), default=version)
        self._changes += changes
        while self._changes and self._changes[0].version <= oldest:
            self._changes.popleft()
        return version

    def _write(self, write: Write, version: int) -> Change:
        execute = self._writer.execute
        ref, path = write.ref
        kind = self._kinds.get(ref)
        if kind is None:
            kind = execute("INSERT INTO kinds VALUES (NULL,?,?,?,?)", ref).lastrowid
            assert kind is not None
            self._kinds[ref] = kind
        old = self._get(self._writer, kind, path)
        if old and write.operation == "insert":
            raise AlreadyExists("entity already exists")
        if not old and write.operation == "update":
            raise NotFound("no entity to update")
        before = indexed_values(Entity.FromString(old[0])) if old else None
        if write.data is None:
            execute("DELETE FROM entities WHERE kind_id=? AND path=?", (kind, path))
        else:
            execute(
                "INSERT INTO entities VALUES (NULL,?,?,?,?) ON CONFLICT (kind_id, path)"
                " DO UPDATE SET version=excluded.version, data=excluded.data",
                (kind, path, version, write.data),
            )
        self._index(kind, path, before or {}, write.indexed)
        return Change(version, write.ref, before, None if write.data is None else write.indexed)

    def _index(self, kind: int, path: bytes, before: Indexed, after: Indexed) -> None:
        none: frozenset[bytes] = frozenset()
        for name in before.keys() | after.keys():
            old, new = before.get(name, none), after.get(name, none)
            if old == new:
                continue
            number, several = self._properties.get((kind, name), (None, False))
            if number is None:
                number = self._writer.execute(
                    "INSERT INTO properties VALUES (NULL,?,?,0)", (kind, name)
                ).lastrowid
                assert number is not None
            if len(new) > 1 and not several:
                several = True
                self._writer.execute("UPDATE properties SET several=1 WHERE id=?", (number,))
            self._properties[kind, name] = number, several
            self._writer.executemany(
                "DELETE FROM entries WHERE property_id=? AND value=? AND path=?",
                [(number, value, path) for value in old - new],
            )
            self._writer.executemany(
                "INSERT INTO entries VALUES (?,?,?)", [(number, value, path) for value in new - old]
            )

    # Ids

    def allocate_id(self, key: Any) -> None:
        """Complete the incomplete `key` with an id that no entity has and no one else gets."""
        encode_path(key, complete=False)
        ref, element = kind_ref(key), key.path[-1]
        with self._mutex:
            kind = self._kinds.get(ref)
            while True:
                if self._next_id == self._ids_end:
                    self._ids_end += _IDS_AT_ONCE
                    self._writer.execute(
                        "UPDATE counters SET value=? WHERE name='ids'", (self._ids_end,)
                    )
                # The counter with its bits reversed: spread like Datastore's, and below 2**53,
                # so that JavaScript can hold them.
                element.id = int(f"{self._next_id:052b}"[::-1], 2)
                self._next_id += 1
                path = encode_path(key)
                if not self._get(self._writer, kind, path) and not self._is_reserved(kind, path):
                    return

    def _is_reserved(self, kind: int | None, path: bytes) -> bool:
        return bool(
            self._writer.execute(
                "SELECT 1 FROM reserved WHERE kind_id=? AND path=?", (kind, path)
            ).fetchone()
        )

    def reserve(self, refs: list[Ref]) -> None:
        """Keep ids from being allocated."""
        with self._mutex:
            for ref, path in refs:
                self._writer.execute("INSERT OR IGNORE INTO kinds VALUES (NULL,?,?,?,?)", ref)
                self._load_names()
                self._writer.execute(
                    "INSERT OR IGNORE INTO reserved VALUES (?,?)", (self._kinds[ref], path)
                )

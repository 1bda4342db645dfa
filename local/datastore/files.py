"""The SQLite files of the embedded Datastore: opening, connections, and the write-ahead log.

Only one process may have them open, since transactions under way are known in memory only.
``synchronous=NORMAL`` with a write-ahead log loses no commit when the process is killed; when the
machine loses power it may lose the last ones, but keeps whole transactions.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Rarely: each waits for the disk, which slows commits down that happen meanwhile.
CHECKPOINT_SECONDS = 5.0
# Where SQLite itself would do what _checkpoint does, if that ever fell behind: 200 MB.
_LOG_PAGES = 50_000

# `path` is a key's encoded path and `value` an encoded property value (encoding.py).
_SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT OR IGNORE INTO counters VALUES ('version', 0), ('ids', 1);
CREATE TABLE IF NOT EXISTS kinds (
  id INTEGER PRIMARY KEY, project TEXT, database TEXT, namespace TEXT, kind TEXT,
  UNIQUE (project, database, namespace, kind));
CREATE TABLE IF NOT EXISTS properties (
  id INTEGER PRIMARY KEY, kind_id INTEGER, name TEXT, several INTEGER, UNIQUE (kind_id, name));
CREATE TABLE IF NOT EXISTS entities (
  id INTEGER PRIMARY KEY, kind_id INTEGER, path BLOB, version INTEGER, data BLOB,
  UNIQUE (kind_id, path));
CREATE TABLE IF NOT EXISTS entries (
  property_id INTEGER, value BLOB, path BLOB, PRIMARY KEY (property_id, value, path)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_by_path ON entries (property_id, path, value);
CREATE TABLE IF NOT EXISTS reserved (
  kind_id INTEGER, path BLOB, PRIMARY KEY (kind_id, path)) WITHOUT ROWID;
"""


class InUse(RuntimeError):
    """Another process has the data directory open."""


class Files:
    """The open files, one connection that writes, and a pool of those that read.

    Args:
        directory: where the files are; made if missing.
        fresh: forget what is there.
        durable: whether the data matter after the process; without, nothing waits for the disk.

    Raises:
        InUse: another process has the directory open.
    """

    def __init__(self, directory: Path, *, fresh: bool, durable: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / "datastore.sqlite3"
        # A lock of SQLite's, because it works everywhere and ends with the process.
        self._guard = sqlite3.connect(
            directory / "lock.sqlite3", timeout=2, isolation_level=None, check_same_thread=False
        )
        try:
            self._guard.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._guard.close()
            raise InUse(f"{directory} is in use by another local Datastore") from error
        if fresh:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._file}{suffix}").unlink(missing_ok=True)
        self._mutex = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._connections: list[sqlite3.Connection] = []
        self.writer = self._connect()
        self.writer.execute("PRAGMA journal_mode=WAL")
        self.writer.execute(f"PRAGMA synchronous={'NORMAL' if durable else 'OFF'}")
        self.writer.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
        self.writer.executescript(_SCHEMA)
        self._closing = threading.Event()
        self._checkpoints = threading.Thread(target=self._checkpoint, daemon=True)
        self._checkpoints.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, isolation_level=None, check_same_thread=False, timeout=10
        )
        connection.execute("PRAGMA cache_size=-16000")
        self._connections.append(connection)
        return connection

    def take_snapshot(self) -> sqlite3.Connection:
        """Return a connection that sees the present state until it is given back."""
        with self._mutex:
            connection = self._idle.pop() if self._idle else self._connect()
        connection.execute("BEGIN")
        # Only a first read makes SQLite hold on to a state.
        connection.execute("SELECT value FROM counters LIMIT 1").fetchone()
        return connection

    def give_back(self, connection: sqlite3.Connection) -> None:
        """End a snapshot."""
        connection.rollback()
        with self._mutex:
            self._idle.append(connection)

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Take a snapshot for as long as the context lasts."""
        connection = self.take_snapshot()
        try:
            yield connection
        finally:
            self.give_back(connection)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make what the writer does within the context one SQLite transaction."""
        self.writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.writer.execute("COMMIT")
        except BaseException:
            self.writer.rollback()
            raise

    def _checkpoint(self) -> None:
        # Carries the log over into the database. In a thread of its own, because it waits for
        # the disk: left to SQLite, every 50th commit or so would wait.
        connection = sqlite3.connect(self._file, isolation_level=None, timeout=10)
        done = -1
        while not self._closing.wait(CHECKPOINT_SECONDS):
            changes = self.writer.total_changes
            if changes != done:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                done = changes
        connection.close()

    def close(self) -> None:
        """Close the files; whoever still uses them gets a sqlite3.ProgrammingError."""
        self._closing.set()
        self._checkpoints.join()
        for connection in [*self._connections, self._guard]:
            connection.close()

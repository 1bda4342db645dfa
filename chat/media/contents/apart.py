"""Has strangers' files looked into by a process of their own, see `child`."""

from __future__ import annotations

import atexit
import base64
import contextlib
import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from chat.media.contents.pictures import Picture, UnusableError
from chat.media.contents.recording import NotPlayableError, Recording

_log = logging.getLogger(__name__)

#: A file takes a second or so; what takes longer than this is no file to be shown.
SECONDS = 60.0
#: Processes at the same time: each may take some 200 MB while it works.
MOST = 2
#: An idle one is ended after so long, for its memory; and one that has done so much, for whatever
#: its libraries have not given back.
_IDLE_SECONDS = 60.0
_MOST_FILES = 500
_ROOT = Path(__file__).resolve().parents[3]
#: Of the environment, what a Python needs to start.
_PASSED = ("PATH", "LANG", "LC_ALL", "HOME", "SYSTEMROOT", "TMPDIR", "LD_LIBRARY_PATH")


class _DiedError(Exception):
    """It ended without an answer."""


def bare_environ() -> dict[str, str]:
    """The environment of a process that is given strangers' files: without our secrets."""
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def look_at_picture(file: BinaryIO, mime_type: str) -> Picture:
    """See `pictures.look`.

    Raises:
        UnusableError: it cannot be decoded, or not within bounds.
    """
    told = _asked(file, task="picture", mime_type=mime_type)
    if "unusable" in told:
        raise UnusableError(told["unusable"])
    return Picture(**{**told, "thumb": base64.b64decode(told["thumb"])})


def look_at_recording(
    file: BinaryIO, mime_type: str, *, listen: bool
) -> tuple[Recording, bytes | None]:
    """See `sound.look`; and the same as every browser plays it, where it does not.

    Raises:
        NotPlayableError: it cannot be read, or not within bounds.
    """
    told = _asked(file, task="recording", mime_type=mime_type, listen=listen)
    if "unusable" in told:
        raise NotPlayableError
    played, thumb = told.pop("played", None), told["thumb"]
    found = Recording(**{**told, "thumb": base64.b64decode(thumb) if thumb else None})
    return found, base64.b64decode(played) if played else None


def _asked(file: BinaryIO, **what: Any) -> dict[str, Any]:
    with _path_of(file) as path:
        for again in (True, False):
            try:
                return _pool.ask({"path": path, **what})
            except _DiedError:
                # It may have been ended for another's sake; a second one for this file's.
                _log.warning("the process that looks into files died%s", "" if again else " again")
    return {"unusable": "damaged"}


@contextlib.contextmanager
def _path_of(file: BinaryIO) -> Iterator[str]:
    """Where the file's content stands on this machine."""
    name = getattr(file, "name", None)
    if isinstance(name, str) and Path(name).is_file():
        yield name
        return
    with tempfile.NamedTemporaryFile(prefix="chat-media-", delete=False) as copy:
        try:
            file.seek(0)
            shutil.copyfileobj(file, copy, 1 << 20)
            copy.close()
            yield copy.name
        finally:
            copy.close()
            Path(copy.name).unlink(missing_ok=True)


class _Child:
    """One process, which is asked one thing at a time."""

    module = "chat.media.contents.child"

    def __init__(self) -> None:
        self.asked = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            cwd=_ROOT, env=bare_environ(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True, name="media-child").start()

    def ask(self, what: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()
            line = self._lines.get(timeout=SECONDS)
        except OSError:
            line = b""
        except queue.Empty:
            _log.warning("looking into a file took more than %.0f s", SECONDS)
            self.end()
            return {"unusable": "bomb"}
        if not line:
            self.end()  # the system may call it alive for a moment
            raise _DiedError
        told: dict[str, Any] = json.loads(line)
        return told

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Ends it, whatever it is at."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._lines.put(line)
        self._lines.put(b"")


class _Pool:
    """The processes; one that is free is asked before another is started."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(MOST)
        self._free: list[_Child] = []
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._idle: threading.Timer | None = None

    def ask(self, what: dict[str, Any]) -> dict[str, Any]:
        with self._slots:
            child = self._take()
            try:
                return child.ask(what)
            finally:
                self._give_back(child)

    def close(self) -> None:
        """Ends those that are free."""
        with self._lock:
            free, self._free = self._free, []
            if self._idle is not None:
                self._idle.cancel()
        if self._owner == os.getpid():
            for child in free:
                child.end()

    def _take(self) -> _Child:
        with self._lock:
            if self._owner != os.getpid():  # forked since: those are another's
                self._free, self._owner = [], os.getpid()
            while self._free:
                child = self._free.pop()
                if child.alive:
                    return child
                child.end()
        return _Child()

    def _give_back(self, child: _Child) -> None:
        if not child.alive or child.asked >= _MOST_FILES:
            child.end()
            return
        with self._lock:
            self._free.append(child)
            if self._idle is not None:
                self._idle.cancel()
            self._idle = threading.Timer(_IDLE_SECONDS, self.close)
            self._idle.daemon = True
            self._idle.start()


_pool = _Pool()
atexit.register(_pool.close)

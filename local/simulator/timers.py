"""Time and background work, so that tests can turn the clock by hand.

``Timers`` is the real thing: one thread that waits for what is due and several that do it.
``ManualTimers`` has the same verbs, does nothing by itself, and runs what is due inside
``advance``, on the caller's thread.
"""

import heapq
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Clockwork", "ManualTimers", "Timers"]

_log = logging.getLogger(__name__)
_Task = Callable[[], None]


class Clockwork(Protocol):
    """What the simulator needs of time."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def clear(self) -> None: ...

    def now(self) -> float:
        """Seconds since 1970."""

    def call_later(self, seconds: float, task: _Task) -> None:
        """Do it in the background, not before so many seconds have passed."""

    def wait(self, seconds: float) -> None:
        """Hold the calling thread, at most until ``stop``."""

    @property
    def outstanding(self) -> int:
        """How many tasks wait or run."""


class Timers:
    """Daemon threads, so that a request in flight never keeps the process alive."""

    def __init__(self, workers: int = 8):
        self._workers = workers
        self._heap: list[tuple[float, int, _Task]] = []
        self._sequence = itertools.count()
        self._changed = threading.Condition()
        self._ready: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._unfinished = 0
        self._stopped = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._watch, name="simulator-timer", daemon=True).start()
        for number in range(self._workers):
            threading.Thread(
                target=self._work, name=f"simulator-worker-{number}", daemon=True
            ).start()

    def stop(self) -> None:
        self._stopped.set()
        self.clear()
        for _ in range(self._workers):
            self._ready.put(None)

    def clear(self) -> None:
        """Forget what waits; what already runs goes on."""
        with self._changed:
            self._unfinished -= len(self._heap)
            self._heap.clear()
            self._changed.notify_all()

    def now(self) -> float:
        return time.time()

    def call_later(self, seconds: float, task: _Task) -> None:
        with self._changed:
            if self._stopped.is_set():
                return
            self._unfinished += 1
            if seconds <= 0:
                self._ready.put(task)
                return
            due = time.monotonic() + seconds
            heapq.heappush(self._heap, (due, next(self._sequence), task))
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    @property
    def outstanding(self) -> int:
        with self._changed:
            return self._unfinished

    def _watch(self) -> None:
        with self._changed:
            while not self._stopped.is_set():
                now = time.monotonic()
                while self._heap and self._heap[0][0] <= now:
                    self._ready.put(heapq.heappop(self._heap)[2])
                self._changed.wait(self._heap[0][0] - now if self._heap else None)

    def _work(self) -> None:
        while (task := self._ready.get()) is not None:
            try:
                task()
            except Exception:  # noqa: BLE001 - one bad task must not take a worker away
                _log.exception("a background task of the simulator failed")
            finally:
                with self._changed:
                    self._unfinished -= 1


class ManualTimers:
    """A clock that only tests move."""

    def __init__(self, now: float = 1_760_000_000.0):
        self._now = now
        self._heap: list[tuple[float, int, _Task]] = []
        self._sequence = itertools.count()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Nothing to start: no threads."""

    def stop(self) -> None:
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._heap.clear()

    def now(self) -> float:
        return self._now

    def call_later(self, seconds: float, task: _Task) -> None:
        with self._lock:
            due = self._now + max(seconds, 0.0)
            heapq.heappush(self._heap, (due, next(self._sequence), task))

    def wait(self, seconds: float) -> None:
        """Held by nobody: here time passes only by ``advance``."""

    @property
    def outstanding(self) -> int:
        with self._lock:
            return len(self._heap)

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, doing what falls due in its order, and what that makes due too."""
        end = self._now + seconds
        while True:
            with self._lock:
                if not self._heap or self._heap[0][0] > end:
                    break
                due, _, task = heapq.heappop(self._heap)
            self._now = max(self._now, due)
            task()
        self._now = end

"""Has something done a little later: one interface, and two ways behind it.

What is put into a queue is a name: of a conversation that waits for an answer, of a message whose
file is to be fetched. A task that is lost is harmless: what it was about says itself in the store
when it is due, and a sweep looks.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from google.api_core import exceptions as api_exceptions

_log = logging.getLogger(__name__)

#: A webhook waits for it.
_CREATE_SECONDS = 2.0


class TaskQueue(Protocol):
    """Where names wait."""

    def put(self, name: str, due_ms: int) -> None:
        """Has this looked at, not before `due_ms` (since 1970). May fail."""


class CloudTasksQueue:
    """Cloud Tasks on App Engine, which calls a route of this application."""

    def __init__(self, project: str, location: str, name: str, *, path: str, field: str) -> None:
        """
        Args:
            project: of Google Cloud.
            location: of the queue.
            name: of the queue.
            path: the route that Cloud Tasks calls, in `chat/tasks.py`.
            field: under which it finds the name in the request's JSON.
        """
        self._path, self._field = path, field
        self._parent = f"projects/{project}/locations/{location}/queues/{name}"
        self._client: Any = None
        self._lock = threading.Lock()

    def put(self, name: str, due_ms: int) -> None:
        """See `TaskQueue`.

        Raises:
            google.api_core.exceptions.GoogleAPICallError: it is not in the queue.
        """
        from google.cloud import tasks_v2

        digest = hashlib.sha256(f"{name}/{due_ms}".encode()).hexdigest()[:40]
        task = tasks_v2.Task(
            # The same again is the same task: a webhook call may come twice.
            name=f"{self._parent}/tasks/{digest}",
            app_engine_http_request=tasks_v2.AppEngineHttpRequest(
                http_method=tasks_v2.HttpMethod.POST,
                relative_uri=self._path,
                headers={"Content-Type": "application/json"},
                body=json.dumps({self._field: name}).encode(),
            ),
        )
        task.schedule_time = _timestamp(due_ms)
        try:
            self._open().create_task(parent=self._parent, task=task, timeout=_CREATE_SECONDS)
        except api_exceptions.AlreadyExists:
            return

    def _open(self) -> Any:
        """The client, made at first use: after a server forked its worker."""
        from google.cloud import tasks_v2

        with self._lock:
            if self._client is None:
                self._client = tasks_v2.CloudTasksClient()
            return self._client


def _timestamp(ms: int) -> Any:
    from google.protobuf.timestamp_pb2 import Timestamp

    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


class ThreadQueue:
    """Threads of this process, for where they outlive the request. Nothing is kept on disk."""

    def __init__(
        self, work: Callable[[str], None], *, workers: int = 8, thread_name: str = "queue"
    ) -> None:
        """`work(name)` is called in one of so many threads, and raises nothing."""
        self._work, self._workers, self._thread_name = work, workers, thread_name
        self._waiting: list[tuple[int, str]] = []
        self._changed = threading.Condition()
        self._running = False

    def put(self, name: str, due_ms: int) -> None:
        """See `TaskQueue`."""
        with self._changed:
            heapq.heappush(self._waiting, (due_ms, name))
            if not self._running:
                self._running = True
                for _ in range(self._workers):
                    threading.Thread(target=self._run, daemon=True, name=self._thread_name).start()
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while (pause := self._pause()) is None or pause > 0:
                    self._changed.wait(pause)
                _, name = heapq.heappop(self._waiting)
            self._work(name)

    def _pause(self) -> float | None:
        """Seconds until the first is due; None: nothing waits."""
        return self._waiting[0][0] / 1000 - time.time_ns() / 1e9 if self._waiting else None


def work_off(
    names: list[str],
    work: Callable[[str], None],
    *,
    workers: int,
    end: float,
    thread_name: str,
) -> int:
    """Does what a sweep has found, several at a time.

    Args:
        names: of what is to be done, the most urgent first.
        work: does one of them, in a thread, and raises nothing.
        workers: how many at a time.
        end: by `time.monotonic()`; nothing is begun after it.
        thread_name: what the threads are called.

    Returns:
        how many were done.
    """
    waiting = names[::-1]
    done: list[str] = []

    def run() -> None:
        while waiting and time.monotonic() < end:
            try:
                name = waiting.pop()
            except IndexError:  # another took the last
                return
            work(name)
            done.append(name)

    threads = [
        threading.Thread(target=run, daemon=True, name=thread_name)
        for _ in range(min(workers, len(waiting)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(done)

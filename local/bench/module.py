"""What `realtime_events` alone costs: a mini app that publishes over HTTP, stored first, beside the
least that can be written for the same, a condition under gunicorn's threads without any store.

All servers of a measurement run side by side and are called in turn, so that whatever else the
machine does falls on each of them.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import py_compile
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from flask import Flask, Response, request
from google.auth.credentials import AnonymousCredentials
from google.cloud import ndb

from local.bench.listeners import Listeners
from local.bench.world import SPARE_THREADS, started, worker_rss_kb
from local.processes.parts import ROOT, Part, free_port

WARM_UP_ROUNDS = 5
SENDERS = 8  # of a burst, at the same time
LAST_SECONDS = 30.0

_pause = threading.Event()


# --- the measured apps, each under a gunicorn of its own ----------------------------------------


def create_app() -> Flask:
    """The app that BENCH_MODULE names: a file like realtime_events.py, or "" for the condition."""
    app = Flask("bench")
    path = os.environ["BENCH_MODULE"]
    publish = _publisher(app, path) if path else _condition(app)

    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.post("/publish")
    def publish_one() -> str:
        publish({"message": request.get_json()})
        return "ok"

    return app


def _publisher(app: Flask, path: str) -> Callable[[dict[str, Any]], None]:
    spec = importlib.util.spec_from_file_location("realtime_events", path)
    assert spec is not None
    assert spec.loader is not None
    events: Any = importlib.util.module_from_spec(spec)
    sys.modules["realtime_events"] = events
    spec.loader.exec_module(events)
    project = os.environ["GOOGLE_CLOUD_PROJECT"]
    client = ndb.Client(project=project, credentials=AnonymousCredentials())
    events.init_app(app, client, current_user_id=lambda: "bench", is_cron=lambda: False)

    def publish(data: dict[str, Any]) -> None:
        with client.context():
            events.transaction(
                lambda: events.publish("message.created", data, conversation_id="1", version=1)
            )

    return publish


def _condition(app: Flask) -> Callable[[dict[str, Any]], None]:
    changed = threading.Condition()
    blocks: list[bytes] = []
    numbers = count()

    def publish(data: dict[str, Any]) -> None:
        block = f"event: message.created\ndata: {json.dumps({'data': data})}\n\n".encode()
        with changed:
            blocks.append(block)
            changed.notify_all()

    def stream() -> Iterator[bytes]:
        position = len(blocks)
        yield b": hello\n\n"
        while True:
            with changed:
                while len(blocks) == position and changed.wait(10):
                    pass
                new = blocks[position:]
            position += len(new)
            yield b"".join(new) + f"id: {next(numbers)}\n: hb\n\n".encode()

    @app.get("/realtime/events")
    def stream_all() -> Response:
        return Response(stream(), mimetype="text/event-stream")

    return publish


# --- measurements -------------------------------------------------------------------------------


class _Candidate:
    """One of the measured apps."""

    def __init__(self, host: str, path: str, listeners: int) -> None:
        port = free_port()
        self._address = f"127.0.0.1:{port}"
        self.url = f"http://{self._address}"
        threads = listeners + SPARE_THREADS
        environ = {
            **os.environ,
            "DATASTORE_EMULATOR_HOST": host,
            "GOOGLE_CLOUD_PROJECT": f"bench-{secrets.token_hex(5)}",
            "BENCH_MODULE": path,
            "PORT": str(port),
            "THREADS": str(threads),
            "REALTIME_EVENTS_CAPACITY": str(listeners),
        }
        args = ["local.bench.module:create_app()", "-c", str(ROOT / "gunicorn.conf.py")]
        args += ["--no-control-socket", "--bind", self._address]
        self.part = Part("bench", "gunicorn", args, environ=environ)

    def rss_kb(self) -> int:
        """Resident memory of the worker, kB."""
        return worker_rss_kb(self.part.pid)

    def publish(self, number: int) -> tuple[float, float]:
        """POSTs one event; when it was sent and when answered, by time.monotonic()."""
        text = f"Bom dia, o pedido {number} já saiu para entrega?"
        body = json.dumps({"id": number, "text": text, "filler": "x" * 600}).encode()
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.connect()
            sent = time.monotonic()
            connection.request("POST", "/publish", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            answered = time.monotonic()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"publishing was answered {answer.status}")
        return sent, answered


@dataclass
class Measured:
    """Of one app with so many listeners; times in ms."""

    name: str
    listeners: int
    answered: list[float] = field(default_factory=list)  # POST sent → 200
    pairs: list[float] = field(default_factory=list)  # POST sent → event, every listener
    last: list[float] = field(default_factory=list)  # POST sent → event at the last listener
    missing: int = 0
    kb_each: float = 0.0  # resident memory a listener
    burst: float = 0.0  # publications a second, until the last listener has the last


def module(
    host: str, counts: Sequence[int], rounds: int, pause: float, burst: int, against: str = ""
) -> Iterator[Measured]:
    """Measures `realtime_events`, the bare condition and perhaps another version side by side.

    Args:
        host: the store.
        counts: numbers of listeners.
        rounds: single events published to each app.
        pause: mean seconds between them.
        burst: events published at once, by `SENDERS` senders.
        against: the path of another version of realtime_events.py.
    """
    paths = {"condition, no store": "", "realtime_events": str(ROOT / "realtime_events.py")}
    if against:
        paths["other version"] = os.path.abspath(against)
    for path in filter(None, paths.values()):
        # Else a worker's listeners would be given the memory in which it has compiled the file.
        py_compile.compile(path, doraise=True)
    for listeners in counts:
        with contextlib.ExitStack() as stack:
            apps = {}
            for name, path in paths.items():
                app = _Candidate(host, path, listeners)
                stack.enter_context(started(app.part))
                app.part.wait_for_http(f"{app.url}/healthz")
                apps[name] = app
            yield from _side_by_side(stack, apps, listeners, rounds, pause, burst)


def _side_by_side(
    stack: contextlib.ExitStack,
    apps: dict[str, _Candidate],
    listeners: int,
    rounds: int,
    pause: float,
    burst: int,
) -> Iterator[Measured]:
    results = {name: Measured(name, listeners) for name in apps}
    fleets = {}
    for name, app in apps.items():
        with _fleet(app, 1) as one:  # what the first stream and the first calls load
            for number in range(20):
                _publish_and_wait(app, one, number)
        before = app.rss_kb()
        fleets[name] = stack.enter_context(_fleet(app, listeners))
        for number in range(WARM_UP_ROUNDS):
            _publish_and_wait(app, fleets[name], number)
        results[name].kb_each = (app.rss_kb() - before) / listeners
    for number in range(rounds):
        for name, app in apps.items():
            _one_round(app, fleets[name], number, results[name])
            _pause.wait(pause)
    for name, app in apps.items():
        results[name].burst = _burst(app, fleets[name], burst)
        yield results[name]


@contextlib.contextmanager
def _fleet(app: _Candidate, count: int) -> Iterator[Listeners]:
    with Listeners(app.url, "", count, delivery="stream", prefix="bench") as fleet:
        if not fleet.wait_connected(60):
            raise RuntimeError(f"not all of {count} listeners were answered")
        yield fleet


def _publish_and_wait(app: _Candidate, fleet: Listeners, number: int) -> tuple[float, float]:
    starts = [len(one.events) for one in fleet.all]
    posted = app.publish(number)

    def told(all_: list[Any]) -> bool:
        return all(
            any(event.type == "message.created" for event in one.events[start:])
            for one, start in zip(all_, starts, strict=True)
        )

    fleet.wait(told, LAST_SECONDS)
    return posted


def _one_round(app: _Candidate, fleet: Listeners, number: int, result: Measured) -> None:
    starts = [len(one.events) for one in fleet.all]
    sent, answered = _publish_and_wait(app, fleet, number)
    times = []
    for one, start in zip(fleet.all, starts, strict=True):
        new = [event for event in one.events[start:] if event.type == "message.created"]
        if new:
            times.append((new[0].at - sent) * 1000)
    result.answered.append((answered - sent) * 1000)
    result.missing += len(starts) - len(times)
    result.pairs += times
    result.last.append(max(times, default=float("nan")))


def _burst(app: _Candidate, fleet: Listeners, count: int) -> float:
    starts = [one.count() for one in fleet.all]
    began = time.monotonic()
    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(app.publish, range(count)))
    fleet.wait(
        lambda all_: all(
            len(one.events) >= start + count and one.count() >= start + count
            for one, start in zip(all_, starts, strict=True)
        ),
        LAST_SECONDS,
    )
    end = max(one.events[-1].at for one in fleet.all)
    return count / (end - began)

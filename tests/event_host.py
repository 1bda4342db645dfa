"""A host of the event log alone, for tests: an app, somebody logged in, changes that publish."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import requests
from flask import Flask, request
from google.auth.credentials import AnonymousCredentials
from google.cloud import ndb

import realtime_events as rt
from local.processes.parts import Part
from tests.helpers import Store, free_port, wait_until


def parse(text: str) -> list[dict[str, Any]]:
    """The events of an SSE text; `cursor` is the one of its block, None where it has none."""
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "data" in fields:
            event = json.loads(fields["data"])
            assert event["type"] == fields["event"]
            events.append(event | {"cursor": fields.get("id")})
    return events


def last_cursor(text: str) -> str:
    """The cursor after an answer, as every SSE client keeps it."""
    return [line[4:] for line in text.split("\n") if line.startswith("id: ")][-1]


def numbers(text: str) -> list[int]:
    """The numbers that `EventHost.publish` told, in the order they came."""
    return [event["data"]["n"] for event in parse(text) if event["type"] == "message.created"]


class Gate:
    """A way to the store that a test can hold up or break.

    `before` and `after` are called at the beginning and the end of each read of the log; what they
    raise, the read raises.
    """

    def __init__(self, context: Callable[[], Any]) -> None:
        self._context = context
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None
        self.reads = 0
        self.requests = 0  # that opened one for themselves

    @contextlib.contextmanager
    def __call__(self) -> Iterator[Any]:
        """An ndb context."""
        if threading.current_thread().name != rt.__name__:
            self.requests += 1
            with self._context() as opened:
                yield opened
            return
        self.reads += 1
        self.before()
        with self._context() as opened:
            yield opened
            self.after()


class EventHost:
    """The host. Close it after use."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.user: Any = "ana"
        self.cron = False
        self._hubs: list[Any] = []
        self.app = self.make_app()

    def make_app(
        self,
        *,
        elsewhere: bool = False,
        context: Callable[[], Any] | None = None,
        setup: Callable[[Flask], object] | None = None,
        **settings: Any,
    ) -> Flask:
        """An app on the store.

        Args:
            elsewhere: as in another process: it hears of commits only by reading.
            context: opens an ndb context; default: the store's.
            setup: gets the app before the module does.
            settings: without their prefix.
        """
        app = Flask("host")
        app.secret_key = "s"
        app.config.update({f"REALTIME_EVENTS_{name}": value for name, value in settings.items()})
        if setup is not None:
            setup(app)
        here = rt._last_app
        rt.init_app(
            app,
            SimpleNamespace(context=context or self.store.context),
            current_user_id=lambda: self.user,
            is_cron=lambda: self.cron,
        )
        hub = app.extensions["realtime_events"].hub
        self._hubs.append(hub)
        if elsewhere:
            rt._last_app = here  # whose commits this process hands over
        return app

    def get(self, after: str = "", *, app: Flask | None = None, **options: Any) -> Any:
        """One request for events, not yet read."""
        headers = options.pop("headers", {})
        threads = options.pop("threads", True)
        query = {"delivery": "hold", "after": after} | options
        client = (app or self.app).test_client()
        return client.get(
            "/realtime/events", query_string=query, headers=headers, multithread=threads
        )

    def ask(self, after: str = "", **options: Any) -> str:
        """The whole answer to one request for events."""
        response = self.get(after, **options)
        text: str = response.get_data(as_text=True)
        assert response.status_code == 200, text
        assert response.mimetype == "text/event-stream"
        return text

    def streams(self, app: Flask | None = None) -> int:
        """How many streams are open."""
        return len((app or self.app).extensions["realtime_events"].hub.streams)

    def publish(self, *told: int, conversation_id: str = "c1") -> None:
        """One transaction that tells these numbers."""

        def change() -> None:
            for number in told:
                rt.publish("message.created", {"n": number}, conversation_id=conversation_id)

        opened = ndb.get_context(raise_context_error=False)
        with contextlib.nullcontext() if opened else self.store.context():
            rt.transaction(change)

    def close(self) -> None:
        """Ends all streams and waits for the pollers."""
        for hub in self._hubs:
            hub.close()
        for hub in self._hubs:
            wait_until(lambda hub=hub: hub._thread is None, what="the poller's end")


def pollers() -> int:
    """How many pollers run in this process."""
    return sum(thread.name == rt.__name__ for thread in threading.enumerate())


# --- the same under gunicorn ------------------------------------------------------------------


class Told(ndb.Model):
    """A number that was published: the same again tells nothing, as a repeated webhook call."""


def create_app() -> Flask:
    """For gunicorn: `tests.event_host:create_app()`, on the store that the environment names."""
    app = Flask("host")
    app.secret_key = "s"
    project = os.environ["GOOGLE_CLOUD_PROJECT"]
    client = ndb.Client(project=project, credentials=AnonymousCredentials())
    rt.init_app(app, client, current_user_id=lambda: "ana")

    @app.get("/healthz")
    def healthz() -> str:
        return "ok"

    @app.post("/publish")
    def publish() -> str:
        number = int(request.args["n"])

        def tell() -> None:
            if Told.get_by_id(number + 1) is None:
                Told(id=number + 1).put()
                rt.publish("message.created", {"n": number}, conversation_id="c1")

        with client.context():
            rt.transaction(tell)
        return "ok"

    return app


class HostServer:
    """A gunicorn with that app on 127.0.0.1.

    Args:
        store: the store.
        args: gunicorn's own, such as `--preload`.
        settings: environment variables.
    """

    def __init__(self, store: Store, *args: str, **settings: Any) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        environ = {**os.environ, **store.environ, **{k: str(v) for k, v in settings.items()}}
        command = ["tests.event_host:create_app()", "--no-control-socket", "--bind", self.url[7:]]
        command += ["-c", os.devnull]  # else it takes the gunicorn.conf.py of the chat
        self.part = Part("host", "gunicorn", [*command, *args], environ=environ)
        self.start()

    @classmethod
    def with_threads(cls, store: Store, threads: int, *args: str, **settings: Any) -> HostServer:
        """As it should be started."""
        own = ["--worker-class", "gthread", "--threads", str(threads), "--graceful-timeout", "1"]
        own += ["--timeout", "0", "--worker-connections", "2000"]
        return cls(store, *own, *args, **settings)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.part.start()
        self.part.wait_for_http(f"{self.url}/healthz")

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self.part.stop(10)
        assert self.part.left_behind() == []

    def kill9(self) -> None:
        """SIGKILL to the master and its workers, as a lost instance dies."""
        self.part.kill()

    def publish(self, *told: int) -> None:
        """Tells each of these numbers; tries again like WhatsApp, until it is answered."""
        with requests.Session() as session:
            session.trust_env = False
            for number in told:
                wait_until(lambda number=number: self._publish(session, number), 30)

    def _publish(self, session: requests.Session, number: int) -> bool:
        try:
            answer = session.post(f"{self.url}/publish?n={number}", timeout=30)
        except requests.RequestException:
            return False
        return answer.status_code == 200

    def answers_at_once(self) -> float:
        """Seconds that GET /healthz takes."""
        started = time.monotonic()
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(f"{self.url}/healthz", timeout=30).status_code == 200
        return time.monotonic() - started

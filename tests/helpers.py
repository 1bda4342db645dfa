"""What several tests need and pytest's fixtures do not give: waiting for a condition, the store's
handle, a live server and a live simulator.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest import mock

import requests
from flask import Flask
from google.auth.credentials import AnonymousCredentials
from google.cloud import ndb
from werkzeug.security import generate_password_hash

from local.processes.parts import ROOT, Part, port_is_taken

T = TypeVar("T")

# What every test's chat is given. Values that look real, so that nothing is skipped for being
# empty; short, so that a log that leaks one is easy to search.
SETTINGS: Mapping[str, str] = {
    "SECRET_KEY": "test-secret-key-of-no-server",
    "WHATSAPP_TOKEN": "test-whatsapp-token",
    "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
    "WHATSAPP_BUSINESS_ACCOUNT_ID": "102290129340398",
    "WHATSAPP_APP_SECRET": "test-app-secret",
    "WHATSAPP_VERIFY_TOKEN": "test-verify-token",
    "CRON_SECRET": "test-cron-secret",
    # What is put off for want of time is put off where a test says so, not where a machine is busy.
    "WEBHOOK_BUDGET_SECONDS": "60",
}
#: What App Engine says, and wants to be told, beside these.
ON_APP_ENGINE: Mapping[str, str] = {
    "GAE_ENV": "standard",
    "MEDIA_BUCKET": "test-media-bucket",
    "MEDIA_FOLDER": "",
}


def wait_until(
    predicate: Callable[[], T], timeout: float = 30.0, *, every: float = 0.02, what: str = ""
) -> T:
    """Return the first true value of `predicate()`; fail after `timeout` seconds.

    An AssertionError inside the predicate counts as "not yet" and is shown if time runs out.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        reason = ""
        try:
            value = predicate()
        except AssertionError as error:
            reason = str(error)
        else:
            if value:
                return value
        if time.monotonic() > deadline:
            name = what or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"{name} did not hold within {timeout} s {reason}")
        pause.wait(every)


PORTS_EACH = 2_500


def _ports() -> Iterator[int]:
    """Port numbers of this process of pytest-xdist alone, round and round.

    Below those that the kernel gives away by itself (from 32768 on Linux): one of these could be
    somebody's by the time that the server for which it was chosen has started. From anywhere among
    the process's own, as there may be another run of the tests.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    first, start = 11_000 + worker * PORTS_EACH, random.randrange(PORTS_EACH)
    while True:
        yield first + start % PORTS_EACH
        start += 1


_own_ports = _ports()


def free_port() -> int:
    """A TCP port of 127.0.0.1 for a server that is about to start; nobody else gets it."""
    return next(port for port in _own_ports if not port_is_taken(port))


@dataclass
class Store:
    """One test's empty Datastore: a project of its own on the shared server."""

    host: str
    project: str
    _client: ndb.Client | None = field(default=None, repr=False)

    @property
    def environ(self) -> dict[str, str]:
        """The settings that lead a process to this store."""
        return {"DATASTORE_EMULATOR_HOST": self.host, "GOOGLE_CLOUD_PROJECT": self.project}

    @property
    def client(self) -> ndb.Client:
        """An ndb client of this store (the environment names the host by now)."""
        if self._client is None:
            self._client = ndb.Client(project=self.project, credentials=AnonymousCredentials())
        return self._client

    def context(self) -> AbstractContextManager[object]:
        """A fresh ndb context on this store."""
        return self.client.context()  # type: ignore[no-any-return]


class IdleQueue:
    """A queue whose tasks nobody does; what was put into it: (name, due in ms)."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, int]] = []

    def put(self, name: str, due_ms: int) -> None:
        self.waiting.append((name, due_ms))


def without_fetching(app: Flask) -> Flask:
    """The application, which fetches no files by itself: in a test it has nobody to ask."""
    app.extensions["media"].queue = IdleQueue()
    return app


class LiveServer:
    """A real gunicorn with `main:app` on 127.0.0.1.

    `settings` are environment variables on top of the test's own, `threads` the worker's threads.
    """

    def __init__(
        self, environ: Mapping[str, str], *, port: int | None = None, threads: int | None = None
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environ = {**environ, "PORT": str(self.port)}
        if threads is not None:
            environ["THREADS"] = str(threads)
        args = ["main:app", "-c", str(ROOT / "gunicorn.conf.py"), "--no-control-socket"]
        args += ["--bind", f"127.0.0.1:{self.port}"]
        self._part = Part("chat", "gunicorn", args, environ=environ)

    @property
    def pid(self) -> int:
        """Id of gunicorn's master process."""
        return self._part.pid

    @property
    def returncode(self) -> int | None:
        """Exit code of the master, None while it runs."""
        return self._part.returncode

    @property
    def log(self) -> str:
        """What the server printed."""
        return self._part.log

    def start(self) -> LiveServer:
        """Start it and wait for /healthz; returns itself."""
        self._part.start()
        self._part.wait_for_http(f"{self.url}/healthz")
        return self

    def terminate(self) -> None:
        """Send SIGTERM and return at once."""
        self._part.terminate()

    def stop(self, grace: float = 10.0) -> None:
        """SIGTERM, wait for the end; after `grace` seconds SIGKILL."""
        self._part.stop(grace)
        assert self.left_behind() == []

    def kill9(self) -> None:
        """SIGKILL to the master and its workers, as a lost instance dies."""
        self._part.kill()
        assert self.left_behind() == []

    def restart(self) -> LiveServer:
        """Start again on the same port (after `stop` or `kill9`)."""
        return self.start()

    def left_behind(self) -> list[int]:
        """Processes of this server that still live."""
        return self._part.left_behind()


class Simulator:
    """A live WhatsApp simulator that calls the webhook of the server on `webhook_port`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.webhook_port = free_port()
        self.port = free_port()
        webhook = f"http://127.0.0.1:{self.webhook_port}/webhook"
        args = ["--port", str(self.port), "--webhook-url", webhook]
        self._part = Part("simulator", "local.simulator", args, environ=environ)
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = requests.Session()
        self.http.trust_env = False

    @property
    def log(self) -> str:
        """What the simulator printed."""
        return self._part.log

    def start(self) -> Simulator:
        """Start it and wait until it is ready; returns itself."""
        self._part.start()
        self.url = self._part.wait_for_line("ready ").rstrip("/")
        return self

    def stop(self) -> None:
        """End it."""
        self.http.close()
        self._part.stop()
        assert self._part.left_behind() == []

    def write(self, phone: str, **message: Any) -> str:
        """Make the customer with this number (digits) write; returns the message's id.

        `message`: text, name, type, … as in the simulator's API. Webhooks come side by side, and
        what was written within one second stands in the order in which they came: so this waits for
        the business's answer, but not long where a test keeps the business from answering.
        """
        written = self.post(f"/customers/{phone}/messages", message).json()
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.get("/deliveries").json()["unanswered"] == 0, timeout=5.0)
        return str(written["id"])

    def texts_on_phone(self, phone: str) -> list[str]:
        """What the business sent to this customer, oldest first, repeats included; [] before
        anybody has written to a new one.
        """
        answer = self.http.get(f"{self.url}/customers/{phone}/messages", timeout=30)
        if answer.status_code == 404:
            return []
        answer.raise_for_status()
        messages = answer.json()["messages"]
        return [message["text"] for message in messages if message["direction"] == "in"]

    def post(self, path: str, body: object) -> requests.Response:
        """POST JSON to one of the simulator's own routes; raises unless it answers 2xx."""
        response = self.http.post(f"{self.url}{path}", json=body, timeout=30)
        response.raise_for_status()
        return response

    def get(self, path: str) -> requests.Response:
        """GET one of the simulator's own routes; raises unless it answers 2xx."""
        response = self.http.get(f"{self.url}{path}", timeout=30)
        response.raise_for_status()
        return response


def add_attendant(store: Store, username: str, password: str, name: str | None = None) -> None:
    """Make an account in this store; the name shown is the capitalised user name."""
    with store.context():
        save_attendant_quickly(username, password, name or username.capitalize())


def csrf_token(page: str) -> str:
    """What this page of the application sends back with each change."""
    return page.split('name="csrf-token" content="')[1].split('"')[0]


def save_attendant_quickly(username: str, password: str, name: str) -> None:
    """`auth.save_attendant` in the current ndb context, with a hash that costs nothing to check.

    Nearly every test logs in: real hashes would be a good part of all that the suite computes.
    """
    from chat.team import attendants

    quick = functools.partial(generate_password_hash, method="pbkdf2:sha256:1")
    with mock.patch.object(attendants, "generate_password_hash", quick):
        attendants.save_attendant(username, password, name)

"""What the measurements start and talk to: stores, servers, a webhook sender.

Everything is a child process that ends with its context, or with this process.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests

from local.processes.parts import ROOT, Part, free_port, without_proxies

STORE_SECONDS = 120.0  # gcloud and a Java runtime on a busy machine
STOP_SECONDS = 5.0
# Threads besides those of the streams: the webhook, logins, and streams not yet known to be gone.
SPARE_THREADS = 40
USER, PASSWORD = "bench", "bench"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
_CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')

SETTINGS = {
    "SECRET_KEY": secrets.token_hex(16),
    "WHATSAPP_TOKEN": secrets.token_hex(16),
    "WHATSAPP_PHONE_NUMBER_ID": "106540352242922",
    "WHATSAPP_BUSINESS_ACCOUNT_ID": "102290129340398",
    "WHATSAPP_APP_SECRET": secrets.token_hex(16),
    "WHATSAPP_VERIFY_TOKEN": secrets.token_hex(16),
    "CRON_SECRET": secrets.token_hex(16),
    "WHATSAPP_API_URL": "http://127.0.0.1:9",  # nothing is sent here
}


@contextlib.contextmanager
def started(part: Part) -> Iterator[Part]:
    """The part, from its start to its end."""
    try:
        yield part.start()
    finally:
        part.stop(STOP_SECONDS)


@contextlib.contextmanager
def store(kind: str) -> Iterator[str]:
    """A Datastore of this kind, `embedded` or `google`; yields HOST:PORT."""
    with contextlib.ExitStack() as stack:
        if kind == "google":
            args = ["--host-port", f"127.0.0.1:{free_port()}", "--project", "demo"]
            part = Part("store", "local.datastore.google_emulator", args)
        else:
            # On disk and flushed at every commit, as `dev.py run` has it.
            data = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
            part = Part("store", "local.datastore", ["--host-port", "127.0.0.1:0", "--data", data])
        stack.enter_context(started(part))
        yield part.wait_for_line("ready ", STORE_SECONDS)


@dataclass
class World:
    """An empty store of its own for one measurement, and the servers on it.

    Args: `host` HOST:PORT of the Datastore that the servers use; `settings` those of the servers
    that differ from `SETTINGS`.
    """

    host: str
    settings: dict[str, str] = field(default_factory=dict)
    project: str = field(default_factory=lambda: f"bench-{secrets.token_hex(5)}")
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> World:
        # In this process too: the chat's own code makes the login and counts what is stored.
        os.environ.update(without_proxies(self.environ))
        from chat.platform import datastore
        from chat.team import auth

        with datastore.context():
            auth.save_attendant(USER, PASSWORD)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environ(self) -> dict[str, str]:
        """The settings that lead a process to this store."""
        return {
            **os.environ,
            **SETTINGS,
            **self.settings,
            "DATASTORE_EMULATOR_HOST": self.host,
            "GOOGLE_CLOUD_PROJECT": self.project,
        }

    def server(self, listeners: int, *, threads: int | None = None) -> Server:
        """A gunicorn with room for so many open streams (and twice, while a fleet is replaced).

        Args: `threads` the worker's threads, when they shall not follow from the listeners.
        """
        server = Server(self.environ, listeners, threads or listeners + SPARE_THREADS)
        self._stack.enter_context(started(server.part))
        server.part.wait_for_http(f"{server.url}/healthz")
        return server

    def buffering_proxy(self, *upstreams: str) -> str:
        """A front end that buffers whole responses, as App Engine's; its address.

        Of several servers it takes one after the other.
        """
        args = ["--port", "0", *(each for url in upstreams for each in ("--upstream", url))]
        part = Part("proxy", "local.processes.buffering_proxy", args)
        self._stack.enter_context(started(part))
        return part.wait_for_line("ready ").rstrip("/")

    def simulator(self, port: int, webhook_url: str, **switches: Any) -> Simulator:
        """WhatsApp, on a port that the servers' WHATSAPP_API_URL names, with these switches on."""
        args = ["--port", str(port), "--webhook-url", f"{webhook_url}/webhook"]
        # Nobody waits a minute here for what a killed process did not answer.
        args += ["--retry-first", "0.5", "--retry-cap", "4"]
        part = Part("simulator", "local.simulator", args, environ=self.environ)
        self._stack.enter_context(started(part))
        simulator = Simulator(part.wait_for_line("ready ").rstrip("/"))
        simulator.ask("PATCH", "/switches", switches)
        return simulator

    def claude(self, port: int) -> StandIn:
        """The Messages API, on a port that the servers' ANTHROPIC_BASE_URL names."""
        part = Part("claude", "local.claude", ["--port", str(port)], environ=self.environ)
        self._stack.enter_context(started(part))
        return StandIn(part.wait_for_line("ready ").rstrip("/"))

    def cron(self, url: str) -> None:
        """Calls the routes of cron.yaml on this server, each at once and then on its schedule."""
        part = Part("cron", "local.processes.cron", ["--url", url], environ=self.environ)
        self._stack.enter_context(started(part))
        part.wait_for_line("ready ")

    def stored(self) -> int:
        """How many messages are stored."""
        from chat.conversation.models import Message
        from chat.platform import datastore

        with datastore.context():
            return len(Message.query().fetch(keys_only=True))


class Server:
    """One gunicorn, one worker, as in production but for threads and capacity."""

    def __init__(self, environ: dict[str, str], capacity: int, threads: int) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        environ = {
            **environ,
            "PORT": str(port),
            "THREADS": str(threads),
            "REALTIME_EVENTS_CAPACITY": str(capacity),
        }
        args = ["main:app", "-c", str(ROOT / "gunicorn.conf.py"), "--no-control-socket"]
        args += ["--bind", f"127.0.0.1:{port}"]
        self.part = Part("chat", "gunicorn", args, environ=environ)

    def login(self) -> str:
        """The `Cookie` header of a logged-in attendant, good at every server of this store."""
        with requests.Session() as session:
            session.trust_env = False
            form = session.get(f"{self.url}/login", timeout=30)
            token = _CSRF.search(form.text)
            fields = {
                "username": USER,
                "password": PASSWORD,
                "csrf_token": token[1] if token else "",
            }
            answer = session.post(
                f"{self.url}/login", data=fields, timeout=30, allow_redirects=False
            )
            if answer.status_code != 302:
                raise RuntimeError(f"the login was answered {answer.status_code}")
            return "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)

    def rss_kb(self) -> int:
        """Resident memory of the worker, kB."""
        return worker_rss_kb(self.part.pid)


class StandIn:
    """The own routes of a stand-in for something outside."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that a route answers; raises unless that is 2xx. Safe for many threads."""
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, f"{self.url}{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()


class Simulator(StandIn):
    """WhatsApp's."""


def worker_rss_kb(master: int) -> int:
    """Resident memory of this gunicorn's workers, kB."""
    command = ["ps", "-A", "-o", "ppid=,rss="]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [[int(word) for word in line.split()] for line in listing.splitlines()]
    return sum(rss for parent, rss in rows if parent == master)


@dataclass(frozen=True)
class Posted:
    """One webhook call; times by time.monotonic()."""

    ids: tuple[str, ...]
    sent: float
    answered: float


_sent_updates = 0


def updates(phones: Sequence[str]) -> tuple[tuple[str, ...], bytes]:
    """A webhook body with one new text message from each of these numbers, and the ids."""
    global _sent_updates
    ids, changes = [], []
    for phone in phones:
        _sent_updates += 1
        ids.append(f"wamid.bench{_sent_updates:08d}")
        message = {
            "from": phone,
            "id": ids[-1],
            "timestamp": str(int(time.time())),
            "type": "text",
            "text": {"body": f"Bom dia, o pedido {_sent_updates} já saiu para entrega?"},
        }
        value = {
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": "15550783881",
                "phone_number_id": SETTINGS["WHATSAPP_PHONE_NUMBER_ID"],
            },
            "contacts": [{"profile": {"name": f"Cliente {phone[-4:]}"}, "wa_id": phone}],
            "messages": [message],
        }
        changes.append({"field": "messages", "value": value})
    entry = {"id": SETTINGS["WHATSAPP_BUSINESS_ACCOUNT_ID"], "changes": changes}
    payload = {"object": "whatsapp_business_account", "entry": [entry]}
    return tuple(ids), json.dumps(payload).encode()


def post_updates(url: str, phones: Sequence[str]) -> Posted:
    """POST one signed webhook call with a message of each number; see `post_signed`."""
    ids, body = updates(phones)
    sent, answered = post_signed(url, body)
    return Posted(ids, sent, answered)


def post_signed(url: str, body: bytes) -> tuple[float, float]:
    """POST a signed webhook call; when it was sent and answered, by time.monotonic().

    Raises RuntimeError unless it is answered 200.
    """
    key = SETTINGS["WHATSAPP_APP_SECRET"].encode()
    signature = "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=120)
    try:
        connection.connect()
        sent = time.monotonic()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature}
        connection.request("POST", "/webhook", body, headers)
        answer = connection.getresponse()
        answer.read()
        answered = time.monotonic()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the webhook was answered {answer.status}")
    return sent, answered


def phone(number: int) -> str:
    """A Brazilian mobile number, digits."""
    return f"55119{60_000_000 + number}"


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def page(cookie: str, url: str) -> Iterator[Any]:
    """A page of a real browser, logged in; None where there is none."""
    names = [os.environ.get("CHROMIUM"), *_BROWSERS]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        found = None
    if found is None:
        yield None
        return
    name, _, value = cookie.partition("=")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_FLAGS)
        context = browser.new_context(locale="pt-BR")
        context.add_cookies([{"name": name, "value": value, "url": url}])
        yield context.new_page()
        browser.close()

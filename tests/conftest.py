"""Fixtures that every test can ask for: a store, the application, live processes."""

from __future__ import annotations

import functools
import gc
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import pytest
import requests
from flask import Flask
from hypothesis import HealthCheck, settings
from jinja2.bccache import Bucket
from werkzeug.routing import Rule

from local.claude.server import ClaudeStandIn
from local.datastore import google_emulator
from local.processes.parts import Part, without_proxies
from local.push.server import PushService
from tests import forking
from tests.chromium import chromium  # noqa: F401 - a fixture for every folder
from tests.helpers import (
    SETTINGS,
    LiveServer,
    Simulator,
    Store,
    add_attendant,
    csrf_token,
    free_port,
    without_fetching,
)

# A machine that is busy with other tests says nothing about what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

if TYPE_CHECKING:
    from flask.testing import FlaskClient


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also run what the quick run leaves out")
    parser.addoption("--long", action="store_true", help="run all, and what takes minutes too")
    parser.addoption(
        "--store",
        choices=["embedded", "google"],
        default="embedded",
        help="the Datastore that the tests talk to (default: embedded)",
    )


EMULATOR = pytest.StashKey[google_emulator.GoogleEmulator]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where Google's emulator is: all share one, a heavy process."""
    config = node.config
    node.workerinput["quick"] = _is_quick(config)
    if config.getoption("--store") == "google":
        if EMULATOR not in config.stash:
            config.stash[EMULATOR] = _start_emulator()
        node.workerinput["emulator"] = config.stash[EMULATOR].host_port


class CompiledTemplates(jinja2.BytecodeCache):
    """Templates of this process, compiled once and not by each test's application again.

    Jinja compares what it finds here with the template's text.
    """

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


class LazyRule(Rule):
    """Makes what builds its addresses when the first is asked for.

    Werkzeug compiles two functions for each of a hundred rules, most of what an application takes
    to be made, and each test makes one.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        make = super()._compile_builder

        @functools.cache
        def made() -> Callable[..., tuple[str, str]]:
            return make(append_unknown)

        return lambda *args, **values: made()(*args, **values)


def pytest_configure() -> None:
    forking.begin()
    Flask.jinja_options = {"bytecode_cache": CompiledTemplates()}
    Flask.url_rule_class = LazyRule


def pytest_collection_finish() -> None:
    """What is imported stays: no collection need look at it again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    forking.end()
    if EMULATOR in config.stash:
        config.stash[EMULATOR].stop()


def _start_emulator() -> google_emulator.GoogleEmulator:
    return google_emulator.start(f"127.0.0.1:{free_port()}", "demo")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    skip = pytest.mark.skip(reason="takes minutes: only with --long")
    for item in items:
        if "long" in item.keywords and not config.getoption("--long"):
            item.add_marker(skip)
    # A worker is given files by the main process, whoever chose them.
    if getattr(config, "workerinput", {}).get("quick", _is_quick(config)):
        slow = [item for item in items if "slow" in item.keywords]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if "slow" not in item.keywords]


def _is_quick(config: pytest.Config) -> bool:
    """Whether all tests are meant, and not even those that nobody waits for gladly."""
    options = ("--all", "--long", "keyword", "lf", "failedfirst")
    chosen = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    return not chosen and not any(config.getoption(each, default=False) for each in options)


@pytest.fixture(scope="session")
def store_host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """HOST:PORT of a running Datastore, of the kind that --store names."""
    if request.config.getoption("--store") == "google":
        shared = getattr(request.config, "workerinput", {}).get("emulator")
        if shared:
            yield shared
            return
        emulator = _start_emulator()
        try:
            yield emulator.host_port
        finally:
            emulator.stop()
        return
    data = tmp_path_factory.mktemp("datastore")
    part = Part(
        "store",
        "local.datastore",
        ["--host-port", "127.0.0.1:0", "--data", str(data)],
        environ=dict(os.environ),
    ).start()
    try:
        yield part.wait_for_line("ready ")
    finally:
        part.stop()
        assert part.left_behind() == []


@pytest.fixture
def store(store_host: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store for this test alone: its own project, named in the environment."""
    store = Store(store_host, f"test-{uuid.uuid4().hex[:12]}")
    for key, value in without_proxies(store.environ).items():
        monkeypatch.setenv(key, value)
    return store


@pytest.fixture
def media_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's applications keep files."""
    folder = tmp_path / "media"
    monkeypatch.setenv("MEDIA_FOLDER", str(folder))
    return folder


@pytest.fixture
def app(store: Store, media_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The whole application on this test's store."""
    from main import create_app

    for key, value in SETTINGS.items():
        monkeypatch.setenv(key, value)
    # A port on which nothing listens: a test that sends must say to whom.
    monkeypatch.setenv("WHATSAPP_API_URL", "http://127.0.0.1:9")
    return without_fetching(create_app({"TESTING": True}))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without a login."""
    return app.test_client()


@pytest.fixture
def simulator(store: Store) -> Iterator[Simulator]:
    """A live WhatsApp simulator; the first `live_server` of the test gets its callbacks."""
    simulator = Simulator({**os.environ, **SETTINGS})
    try:
        yield simulator.start()
    finally:
        simulator.stop()


@pytest.fixture
def live_server(
    store: Store, simulator: Simulator, media_folder: Path
) -> Iterator[Callable[..., LiveServer]]:
    """Starts servers on this test's store: `live_server(threads=8, REALTIME_EVENTS_DELIVERY=…)`.

    Every server is a real gunicorn in a process of its own. The first one listens where the
    simulator sends its callbacks. Keywords in capitals are settings.
    """
    servers: list[LiveServer] = []

    def start(
        *, port: int | None = None, threads: int | None = None, **settings: Any
    ) -> LiveServer:
        if port is None and not servers:
            port = simulator.webhook_port
        environ = {
            **os.environ,
            **SETTINGS,
            **store.environ,
            "WHATSAPP_API_URL": simulator.url,
            **{key: str(value) for key, value in settings.items()},
        }
        server = LiveServer(environ, port=port, threads=threads)
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.kill9()


@pytest.fixture
def buffering_proxy() -> Iterator[Callable[[str], str]]:
    """`buffering_proxy(url)` is the address of a front end that buffers whole responses."""
    parts: list[Part] = []

    def start(upstream: str) -> str:
        args = ["--port", "0", "--upstream", upstream]
        part = Part("proxy", "local.processes.buffering_proxy", args).start()
        parts.append(part)
        return part.wait_for_line("ready ").rstrip("/")

    yield start
    for part in parts:
        part.stop()
        assert part.left_behind() == []


@pytest.fixture
def claude() -> Iterator[ClaudeStandIn]:
    """A stand-in of the Messages API."""
    stand_in = ClaudeStandIn().start()
    yield stand_in
    stand_in.stop()


@pytest.fixture
def push_service() -> Iterator[PushService]:
    """A push service that decrypts what it is sent."""
    service = PushService().start()
    yield service
    service.stop()


@pytest.fixture
def session_cookie(store: Store) -> Callable[[str], str]:
    """`session_cookie(url)` is the `Cookie` header of an attendant logged in there."""

    def log_in(url: str, username: str = "ana") -> str:
        add_attendant(store, username, password=username)
        with requests.Session() as session:
            session.trust_env = False
            token = csrf_token(session.get(f"{url}/login", timeout=30).text)
            form = {"username": username, "password": username, "csrf_token": token}
            answer = session.post(f"{url}/login", data=form, timeout=30, allow_redirects=False)
            assert answer.status_code == 302
            return "; ".join(f"{name}={value}" for name, value in session.cookies.items())

    return log_in

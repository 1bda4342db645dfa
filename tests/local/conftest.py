"""Fixtures of the tests of what runs the system on one machine."""

import contextlib
import uuid
from collections.abc import Callable, Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import ndb

from local.datastore import google_emulator
from local.processes.parts import Part, free_port, without_proxies
from tests.local.datastore_rpc import Rpc
from tests.local.simulator_world import Webhook, World, webhook_server


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A business's webhook."""
    with webhook_server() as hook:
        yield hook


@pytest.fixture
def world(hook: Webhook) -> Iterator[World]:
    """A simulator whose clock only the test moves."""
    world = World(hook)
    yield world
    world.close()


@contextlib.contextmanager
def _embedded_datastore() -> Iterator[str]:
    part = Part("store", "local.datastore").start()
    try:
        yield part.wait_for_line("ready ")
    finally:
        part.stop()


@contextlib.contextmanager
def _google_datastore() -> Iterator[str]:
    emulator = google_emulator.start(f"127.0.0.1:{free_port()}", "demo")
    try:
        yield emulator.host_port
    finally:
        emulator.stop()


@pytest.fixture(scope="session", params=["embedded", "google"])
def datastore_host(request: pytest.FixtureRequest) -> Iterator[str]:
    """HOST:PORT of each of the two stores that must give the same answers."""
    if request.param == "google" and (reason := google_emulator.missing()):
        pytest.skip(f"Google's emulator cannot run here: {reason}")
    with _embedded_datastore() if request.param == "embedded" else _google_datastore() as host:
        yield host


@pytest.fixture
def rpc(datastore_host: str) -> Iterator[Rpc]:
    """The API of an empty store: a project of the test's own."""
    rpc = Rpc(datastore_host, f"contract-{uuid.uuid4().hex[:12]}")
    yield rpc
    rpc.close()


@pytest.fixture
def ndb_client(datastore_host: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], ndb.Client]:
    """Makes ndb clients of an empty store, as many as are wanted."""
    project = f"contract-{uuid.uuid4().hex[:12]}"
    for name, setting in without_proxies({"DATASTORE_EMULATOR_HOST": datastore_host}).items():
        monkeypatch.setenv(name, setting)
    return lambda: ndb.Client(project=project, credentials=AnonymousCredentials())

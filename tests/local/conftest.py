"""Fixtures of the tests of what runs the system on one machine."""

import uuid
from collections.abc import Callable, Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import ndb

from local.processes.parts import without_proxies
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


@pytest.fixture
def rpc(store_host: str) -> Iterator[Rpc]:
    """The API of an empty store: a project of the test's own."""
    rpc = Rpc(store_host, f"contract-{uuid.uuid4().hex[:12]}")
    yield rpc
    rpc.close()


@pytest.fixture
def ndb_client(store_host: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], ndb.Client]:
    """Makes ndb clients of an empty store, as many as are wanted."""
    project = f"contract-{uuid.uuid4().hex[:12]}"
    for name, setting in without_proxies({"DATASTORE_EMULATOR_HOST": store_host}).items():
        monkeypatch.setenv(name, setting)
    return lambda: ndb.Client(project=project, credentials=AnonymousCredentials())

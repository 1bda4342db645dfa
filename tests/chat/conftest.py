"""Fixtures of the chat's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from google.cloud import ndb

from chat.platform import datastore
from tests.chat.auto_reply_support import (  # noqa: F401 - fixtures
    clock,
    new_store,
    open_shop,
    shop,
)
from tests.chat.quick_store import quick_clients
from tests.chat.support import Browser, Graph, login
from tests.helpers import SETTINGS, Store, without_fetching


@pytest.fixture
def ana(app: Flask) -> Browser:
    """A logged-in attendant."""
    return login(app)


@pytest.fixture
def graph() -> Iterator[Graph]:
    """A Graph API that takes everything, unless told otherwise."""
    graph = Graph().start()
    yield graph
    graph.stop()


@pytest.fixture
def sending_app(
    store: Store, graph: Graph, media_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Flask:
    """The application with that Graph API; a request waits until its message was tried."""
    from main import create_app

    for key, value in SETTINGS.items():
        monkeypatch.setenv(key, value)
    settings = {"WHATSAPP_API_URL": graph.url, "SEND_WAIT_SECONDS": 30}
    made = create_app({"TESTING": True, "WHATSAPP_READ_SECONDS": 30, **settings})
    return without_fetching(made)


@pytest.fixture(scope="session")
def quick_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], ndb.Client]]:
    """Makes clients of empty stores inside this process."""
    with quick_clients(tmp_path_factory.mktemp("quick-store")) as make:
        yield make


@pytest.fixture
def quick_app(
    quick_client: Callable[[], ndb.Client], media_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Flask:
    """The whole application on such a store."""
    from main import create_app

    for key, value in SETTINGS.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("WHATSAPP_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DATASTORE_EMULATOR_HOST", "127.0.0.1:9")  # nobody there: all is in here
    client = quick_client()
    monkeypatch.setattr(datastore, "get_client", lambda: client)
    return without_fetching(create_app({"TESTING": True}))

"""Fixtures of the chat's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.chat.support import Browser, Graph, login
from tests.helpers import SETTINGS, Store


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
def sending_app(store: Store, graph: Graph, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The application with that Graph API; a request waits until its message was tried."""
    from main import create_app

    for key, value in SETTINGS.items():
        monkeypatch.setenv(key, value)
    settings = {"WHATSAPP_API_URL": graph.url, "SEND_WAIT_SECONDS": 30}
    return create_app({"TESTING": True, "WHATSAPP_READ_SECONDS": 30, **settings})

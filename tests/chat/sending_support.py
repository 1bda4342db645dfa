"""An attendant and a chat of the application whose Graph API is `graph`; fixtures."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.chat.support import Browser, call, deliver, login, text_message


@pytest.fixture
def ana(sending_app: Flask) -> Browser:
    """Logged in."""
    return login(sending_app)


@pytest.fixture
def chat(sending_app: Flask, ana: Browser) -> str:
    """The id of a conversation with Maria, who wrote long ago."""
    deliver(sending_app.test_client(), call(text_message("wamid.in", "oi")))
    (conversation,) = ana.conversations()
    return str(conversation["id"])

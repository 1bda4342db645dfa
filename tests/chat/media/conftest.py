"""Customers' files: a WhatsApp that has them, and an application that fetches them from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from local.simulator import Simulator
from main import create_app
from tests.chat.media.support import Files
from tests.helpers import SETTINGS, Store


@pytest.fixture
def whatsapp() -> Iterator[Simulator]:
    """The simulator in this process; its customers' messages go nowhere by themselves."""
    with Simulator(
        webhook_url=None,
        token=SETTINGS["WHATSAPP_TOKEN"],
        phone_number_id=SETTINGS["WHATSAPP_PHONE_NUMBER_ID"],
        business_account_id=SETTINGS["WHATSAPP_BUSINESS_ACCOUNT_ID"],
        app_secret=SETTINGS["WHATSAPP_APP_SECRET"],
    ) as simulator:
        yield simulator


@pytest.fixture
def media_app(
    store: Store, media_folder: Path, whatsapp: Simulator, monkeypatch: pytest.MonkeyPatch
) -> Flask:
    """The application with that WhatsApp. Files are fetched when the test says so."""
    for key, value in SETTINGS.items():
        monkeypatch.setenv(key, value)
    return create_app({"TESTING": True, "WHATSAPP_API_URL": whatsapp.url})


@pytest.fixture
def files(media_app: Flask, whatsapp: Simulator) -> Files:
    """Sends files as a customer and has them fetched."""
    return Files(media_app, whatsapp)

"""The settings are checked at start."""

from __future__ import annotations

import pytest

from chat.platform.settings import Settings, SettingsError

PRODUCTION = {
    "GAE_ENV": "standard",
    "SECRET_KEY": "k",
    "WHATSAPP_TOKEN": "t",
    "WHATSAPP_PHONE_NUMBER_ID": "1",
    "WHATSAPP_APP_SECRET": "s",
    "WHATSAPP_VERIFY_TOKEN": "v",
}


@pytest.mark.parametrize("missing", sorted(set(PRODUCTION) - {"GAE_ENV"}))
def test_production_does_not_start_without_its_secrets(missing: str) -> None:
    with pytest.raises(SettingsError, match=missing):
        Settings.from_env({**PRODUCTION, missing: ""})


def test_production_waits_for_the_graph_api_within_the_request() -> None:
    assert Settings.from_env(PRODUCTION).send_wait_seconds > 0
    assert Settings.from_env({"SECRET_KEY": "k"}).send_wait_seconds == 0


@pytest.mark.parametrize("value", ["soon", "-1", "601", "nan"])
def test_a_bad_number_stops_the_start_by_key_and_value(value: str) -> None:
    with pytest.raises(SettingsError, match=rf"WHATSAPP_READ_SECONDS: '{value}'"):
        Settings.from_env({"WHATSAPP_READ_SECONDS": value})


@pytest.mark.parametrize("value", ["graph.facebook.com", "ftp://x/", "http://"])
def test_a_bad_address_stops_the_start_by_key_and_value(value: str) -> None:
    with pytest.raises(SettingsError, match=f"WHATSAPP_API_URL: '{value}'"):
        Settings.from_env({"WHATSAPP_API_URL": value})


@pytest.mark.parametrize(
    ("url", "graph_url"),
    [
        ("https://graph.facebook.com/", "https://graph.facebook.com/v26.0"),
        ("http://127.0.0.1:8081/v21.0", "http://127.0.0.1:8081/v21.0"),
    ],
)
def test_the_graph_url_has_a_version(url: str, graph_url: str) -> None:
    assert Settings.from_env({"WHATSAPP_API_URL": url}).graph_url == graph_url


def test_secrets_are_not_shown() -> None:
    shown = repr(Settings.from_env({**PRODUCTION, "SECRET_KEY": "hush", "WHATSAPP_TOKEN": "EAAG"}))
    assert "hush" not in shown
    assert "EAAG" not in shown


def test_without_a_key_every_process_has_its_own() -> None:
    assert Settings.from_env({}).secret_key != Settings.from_env({}).secret_key

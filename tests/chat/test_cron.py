"""Who may call the scheduler's routes, and what the files for App Engine say."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

import realtime_events
from chat.platform import datastore
from main import create_app
from tests.helpers import ON_APP_ENGINE, SETTINGS

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
APP_ENGINE = {"X-Appengine-Cron": "true"}


@pytest.mark.parametrize(
    "path",
    ["/tasks/deferred", "/tasks/outbox", "/tasks/replies", "/tasks/media", "/realtime/cleanup"],
)
def test_only_the_scheduler_may_call(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 403
    assert client.get(path, headers=APP_ENGINE).status_code == 403
    assert client.get(path, headers={"X-Cron-Secret": "guess"}).status_code == 403
    assert client.get(path, headers=SECRET).status_code == 200


def test_on_app_engine_its_own_header_counts(app: Flask) -> None:
    client = create_app({**SETTINGS, **ON_APP_ENGINE, "TESTING": True}).test_client()
    assert client.get("/tasks/outbox", headers=SECRET).status_code == 403
    assert client.get("/tasks/outbox", headers=APP_ENGINE).status_code == 200


def test_without_a_secret_nobody_may_call(app: Flask) -> None:
    client = create_app({**SETTINGS, "CRON_SECRET": "", "TESTING": True}).test_client()
    assert client.get("/tasks/outbox", headers={"X-Cron-Secret": ""}).status_code == 403


def test_the_clean_up_has_all_the_time_of_its_setting(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[float] = []
    seconds = app.extensions["realtime_events"].hub.settings["CLEANUP_SECONDS"]

    def note(*_args: object) -> tuple[int, bool]:
        budget = datastore._budget.get()
        assert budget is not None
        left.append(budget.ends - time.monotonic() - seconds)
        return 0, False

    monkeypatch.setattr(realtime_events, "delete_all", note)
    assert client.get("/realtime/cleanup", headers=SECRET).status_code == 200
    assert left[0] > 0


def test_every_route_of_cron_yaml_exists(app: Flask) -> None:
    lines = (ROOT / "cron.yaml").read_text().splitlines()
    urls = [line.split(":", 1)[1].strip() for line in lines if line.strip().startswith("url:")]
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    assert urls
    assert set(urls) <= rules


def test_what_stays_on_the_machine_is_not_uploaded() -> None:
    ignored = (ROOT / ".gcloudignore").read_text().splitlines()
    assert {".*", "secrets.yaml", "/local/", "/tests/", "/dev.py"} <= set(ignored)
    entries = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    kept = entries - {line.strip("/") for line in ignored}
    needed = {"main.py", "realtime_events.py", "chat", "static", "templates", "requirements.txt"}
    needed |= {"gunicorn.conf.py", "app.yaml", "index.yaml", "cron.yaml", "queue.yaml"}
    assert needed <= kept

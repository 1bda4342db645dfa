"""What nobody sends by accident: it is refused in the API's own words, and costs nobody else."""

from __future__ import annotations

import json
import re
import threading
import uuid
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from google.api_core.exceptions import Aborted

from chat.incoming import deferred, handling, webhook
from chat.incoming.deferred import DeferredUpdates, RejectedUpdate
from chat.platform import datastore
from chat.platform.settings import Settings
from chat.screen import api
from chat.team import auth
from message_status import WamidLink
from tests.chat.support import (
    Browser,
    call,
    contact,
    deliver,
    login,
    run_together,
    stored,
    text_message,
    token_of,
    wamids,
)
from tests.helpers import SETTINGS, wait_until


@pytest.mark.parametrize("limit", ["00000000150000", "0" * 5000 + "1", "1000000000", "٣"])
def test_no_writing_of_a_limit_gets_past_the_limit(ana: Browser, limit: str) -> None:
    response = ana.get(f"/api/conversations?limit={limit}")
    assert response.status_code == 422
    assert response.get_json()["error"]["field"] == "limit"


def test_json_nested_without_end_is_no_json(ana: Browser) -> None:
    headers = {"X-CSRFToken": ana.token, "Content-Type": "application/json"}
    path = "/api/conversations/x/messages"
    response = ana.client.post(path, data="[" * 200_000, headers=headers)
    assert response.status_code == 400
    assert response.get_json()["error"]["code"] == "not_json"


@pytest.mark.parametrize("reply_to", ["__reserved__", "é" * 800, "\ud83d", "", 7, ["a"], "a\0b"])
def test_a_reply_to_what_cannot_be_a_message_is_refused(
    client: FlaskClient, ana: Browser, reply_to: Any
) -> None:
    deliver(client, call(text_message("w")))
    path = f"/api/conversations/{ana.conversations()[0]['id']}/messages"
    body = {"client_id": str(uuid.uuid4()), "text": "oi", "reply_to": reply_to}
    headers = {"X-CSRFToken": ana.token, "Content-Type": "application/json"}
    response = ana.client.post(path, data=json.dumps(body), headers=headers)
    assert response.status_code == 422
    assert response.get_json()["error"]["field"] == "reply_to"


@pytest.mark.parametrize("username", ["__reserved__", "a\0b", "é" * 64, ""])
def test_a_name_that_no_attendant_can_have_is_just_wrong(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, username: str
) -> None:
    asked: list[str] = []
    real = datastore.get

    def get(model: Any, name: str) -> Any:
        asked.append(name)
        return real(model, name)

    monkeypatch.setattr(datastore, "get", get)
    form = {"username": username, "password": "x", "csrf_token": token_of(client)}
    assert client.post("/login", data=form).status_code == 401
    assert [name for name in asked if not datastore.is_key_name(name)] == []


def test_passwords_are_checked_a_few_at_a_time_and_nobody_waits_for_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [app.test_client() for _ in range(12)]
    tokens = [token_of(client) for client in clients]
    answered, lock, go_on = [0], threading.Lock(), threading.Event()

    def check(_hash: str, _password: str) -> bool:
        assert go_on.wait(30), "the others were not answered"
        return False

    monkeypatch.setattr(auth, "check_password_hash", check)

    def log_in(place: int) -> int:
        form = {"username": f"p{place}", "password": "x", "csrf_token": tokens[place]}
        status = clients[place].post("/login", data=form).status_code
        with lock:
            answered[0] += 1
            if answered[0] == 8:
                go_on.set()
        return status

    codes = run_together(*(lambda place=place: log_in(place) for place in range(12)))
    assert sorted(codes) == [401] * 4 + [503] * 8


def test_a_store_that_hangs_holds_up_no_other_tab(
    app: Flask, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    bruno = login(app, "bruno")
    api._versions.clear()
    asking, go_on = threading.Barrier(2), threading.Event()
    real = api.Conversation.query

    def hang(*args: Any) -> Any:
        asking.wait(10)  # both have asked: neither waits for the other's answer
        go_on.set()
        return real(*args)

    monkeypatch.setattr(api.Conversation, "query", hang)
    path = "/api/conversations/versions"
    responses = run_together(lambda: ana.get(path), lambda: bruno.get(path))
    assert [response.status_code for response in responses] == [200, 200]
    assert go_on.is_set()


@pytest.mark.store
def test_half_a_character_in_a_profile_name_costs_no_message(
    client: FlaskClient, ana: Browser
) -> None:
    calls = call(text_message("w", "certo"), contacts=[contact("Maria \ud83d")])
    assert deliver(client, calls).status_code == 200
    assert ana.texts() == ["certo"]
    assert ana.conversations()[0]["name"] == "Maria \ufffd"
    assert stored(RejectedUpdate) == []


@pytest.mark.store
def test_an_id_too_long_for_the_store_costs_its_neighbours_nothing(
    client: FlaskClient, ana: Browser
) -> None:
    statuses = [{"id": "é" * 400, "status": "sent"}, {"id": "漢" * 499, "status": "sent"}]
    messages = [text_message("漢" * 499), text_message("good", "certo")]
    assert deliver(client, call(*messages, statuses=statuses)).status_code == 200
    assert wamids() == ["good"]
    assert len(stored(WamidLink)) == 1
    assert len(stored(RejectedUpdate)) == 2


def test_an_error_is_logged_without_the_customers_words(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "meu " + "segredo"

    def quotes_it(*_args: Any) -> None:
        raise ValueError(f"Expected something, got {secret!r}")

    monkeypatch.setattr(handling, "handle_incoming_message", quotes_it)
    assert deliver(client, call(text_message("wamid.HBgNNTUx", secret))).status_code == 200
    assert re.search(r"cannot store message #[0-9a-f]{12}: ValueError", caplog.text)
    assert "HBgNNTUx" not in caplog.text, "the customer's number, as base64"
    assert "quotes_it" in caplog.text
    assert secret not in caplog.text


@pytest.mark.store
def test_what_is_deferred_a_second_time_is_still_there(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.extensions["chat_settings"] = Settings.from_env({**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 0})
    monkeypatch.setattr(webhook, "work_off_soon", lambda: None)
    assert deliver(client, call(text_message("w", "calma"))).status_code == 200
    (first,) = stored(DeferredUpdates)
    tried: list[int] = []

    def conflict(*_args: Any) -> None:
        tried.append(1)
        raise Aborted("conflict")

    with monkeypatch.context() as patched, datastore.context():
        patched.setattr(handling, "_store_together", conflict)
        # No time for a second batch: the first is tried, and deferred as it is.
        clock = iter([0.0])
        patched.setattr(deferred.time, "monotonic", lambda: next(clock, 1.0))
        assert deferred.work_off(0.5) == 1
    assert tried == [1]
    (again,) = stored(DeferredUpdates)
    assert again.body == first.body
    headers = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
    wait_until(lambda: client.get("/tasks/deferred", headers=headers).status_code == 200)
    assert wamids() == ["w"]
    assert stored(DeferredUpdates) == []

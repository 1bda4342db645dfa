"""The JSON API: pages, errors, cursors."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import realtime_events
from chat.platform.settings import Settings
from tests.chat.support import NOON, Browser, call, deliver, published, text_message
from tests.helpers import SETTINGS


@pytest.fixture
def chat(client: FlaskClient, ana: Browser) -> str:
    deliver(client, call(text_message("wamid.in", "oi")))
    (conversation,) = ana.conversations()
    return str(conversation["id"])


@pytest.mark.store
def test_the_list_is_paged_newest_first_without_gap(
    app: Flask, client: FlaskClient, ana: Browser
) -> None:
    app.extensions["chat_settings"] = Settings.from_env({**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 60})
    messages = [
        text_message(f"w{i}", str(i), NOON + i // 2, **{"from": f"55119876{i:05}"})
        for i in range(120)
    ]
    deliver(client, call(*messages))
    seen: list[str] = []
    before = ""
    sizes = []
    while True:
        page = ana.get(f"/api/conversations{before}").get_json()
        seen += [each["last_message"]["text"] for each in page["conversations"]]
        sizes.append(len(page["conversations"]))
        if page["next"] is None:
            break
        before = f"?before={page['next']}"
    assert sizes == [50, 50, 20]
    assert sorted(seen, key=int) == [str(i) for i in range(120)]
    assert [int(text) // 2 for text in seen] == sorted((i // 2 for i in range(120)), reverse=True)


@pytest.mark.store
def test_a_thread_is_paged_oldest_first_inside_a_page(client: FlaskClient, ana: Browser) -> None:
    deliver(client, call(*[text_message(f"w{i}", str(i), NOON + i // 3) for i in range(120)]))
    (conversation,) = ana.conversations()
    path = f"/api/conversations/{conversation['id']}/messages"
    page = ana.get(path).get_json()
    assert [message["text"] for message in page["messages"]] == [str(i) for i in range(70, 120)]
    assert page["next"] == page["messages"][0]["position"]
    page = ana.get(f"{path}?before={page['next']}&limit=100").get_json()
    assert [message["text"] for message in page["messages"]] == [str(i) for i in range(70)]
    assert page["next"] is None


@pytest.mark.parametrize("path", ["/api/conversations", "/api/conversations/{}/messages"])
def test_the_cursor_is_from_before_the_reading(
    app: Flask, client: FlaskClient, ana: Browser, chat: str, monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:  # fmt: skip
    from chat.screen import api

    order: list[str] = []
    cursor = realtime_events.current_cursor
    monkeypatch.setattr(
        realtime_events, "current_cursor", lambda: order.append("cursor") or cursor()
    )
    for model in (api.Conversation, api.Message):
        monkeypatch.setattr(
            model, "query", lambda *a, query=model.query: order.append("data") or query(*a)
        )
    response = ana.get(path.format(chat)).get_json()
    assert response["cursor"]
    assert order == ["cursor", "cursor", "data"]  # the first is the module's, for any page


@pytest.mark.store
def test_versions_of_the_newest_conversations_are_told(
    client: FlaskClient, ana: Browser, chat: str
) -> None:
    assert ana.get("/api/conversations/versions").get_json() == {"versions": {chat: 1}}


def test_one_conversation_is_told(ana: Browser, chat: str) -> None:
    answer = ana.get(f"/api/conversations/{chat}").get_json()
    assert answer["conversation"] == ana.conversations()[0]


def test_an_empty_parameter_asks_for_nothing(ana: Browser, chat: str) -> None:
    answer = ana.get("/api/conversations?before=&filter=&q=")
    assert answer.status_code == 200
    assert [each["id"] for each in answer.get_json()["conversations"]] == [chat]


def test_events_carry_the_versions_of_the_api(client: FlaskClient, ana: Browser, chat: str) -> None:
    deliver(client, call(text_message("b", "de novo", NOON + 1)))
    versions = sorted(event.version for event in published("message.created"))
    assert versions == [1, 2]
    assert ana.conversations()[0]["version"] == 2


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/conversations?filter=mine", "filter"),
        ("/api/conversations?q=" + "x" * 101, "q"),
        ("/api/conversations?limit=0", "limit"),
        ("/api/conversations?limit=101", "limit"),
        ("/api/conversations?limit=x", "limit"),
        ("/api/conversations?limit=²", "limit"),
        ("/api/conversations?before=%00", "before"),
        ("/api/conversations/{}/messages?after=1", "after"),
        ("/api/conversations/{}/messages?before=" + "9" * 201, "before"),
    ],
)
def test_a_bad_parameter_is_named(ana: Browser, chat: str, path: str, field: str) -> None:
    response = ana.get(path.format(chat))
    assert response.status_code == 422
    assert response.get_json()["error"]["field"] == field


GOOD = {"client_id": "6f1c0b6e-3f1d-4c38-9d3e-1f6f1f6f1f6f", "text": "olá"}


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"client_id": None}, 422, "client_id"),
        ({"client_id": "1"}, 422, "client_id"),
        ({"client_id": 7}, 422, "client_id"),
        ({"text": None}, 422, "text"),
        ({"text": ["a"]}, 422, "text"),
        ({"text": " \n"}, 422, "text"),
        ({"text": "x" * 4097}, 422, "text"),
        ({"reply_to": "unknown"}, 422, "reply_to"),
        ({"reply_to": 7}, 422, "reply_to"),
        ({"reply_to": ""}, 422, "reply_to"),
    ],
)
def test_a_bad_message_is_refused_by_field(
    ana: Browser, chat: str, change: dict[str, Any], status: int, field: str
) -> None:
    response = ana.post(f"/api/conversations/{chat}/messages", GOOD | change)
    assert response.status_code == status
    assert response.get_json()["error"]["field"] == field
    assert len(ana.thread(chat)) == 1


def test_half_a_character_is_refused(ana: Browser, chat: str) -> None:
    response = ana.client.post(
        f"/api/conversations/{chat}/messages",
        data=json.dumps(GOOD | {"text": "\ud83d"}),
        content_type="application/json",
        headers={"X-CSRFToken": ana.token},
    )
    assert response.status_code == 422
    assert response.get_json()["error"]["field"] == "text"


def test_the_longest_message_fits(ana: Browser, chat: str) -> None:
    body = {"client_id": str(uuid.uuid4()), "text": "é" * 4096}
    assert ana.post(f"/api/conversations/{chat}/messages", body).status_code == 201


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff"])
def test_what_is_no_object_is_a_bad_request(ana: Browser, chat: str, body: bytes) -> None:
    response = ana.client.post(
        f"/api/conversations/{chat}/messages",
        data=body,
        content_type="application/json",
        headers={"X-CSRFToken": ana.token},
    )
    assert response.status_code == 400
    assert response.get_json()["error"]["code"] == "not_json"


def test_a_body_too_large_is_refused(ana: Browser, chat: str) -> None:
    body = GOOD | {"text": "x" * 300_000}
    response = ana.post(f"/api/conversations/{chat}/messages", body)
    assert response.status_code == 413
    assert response.get_json()["error"]["code"] == "too_large"


@pytest.mark.parametrize(
    "path",
    [
        "/api/conversations/none",
        "/api/conversations/none/messages",
        "/api/conversations/__x__",
        f"/api/conversations/{'x' * 2000}",
        "/api/nothing",
    ],
)
def test_what_does_not_exist_is_404_in_json(ana: Browser, path: str) -> None:
    response = ana.get(path)
    assert response.status_code == 404
    assert response.get_json()["error"]["code"] == "not_found"


def test_writing_to_nobody_is_404(ana: Browser) -> None:
    assert ana.post("/api/conversations/none/messages", GOOD).status_code == 404


def test_a_wrong_method_is_405_in_json(ana: Browser) -> None:
    response = ana.post("/api/conversations/versions", {})
    assert response.status_code == 405
    assert "error" in response.get_json()


def test_the_page_carries_cursor_token_and_user(ana: Browser) -> None:
    page = ana.get("/")
    assert page.status_code == 200
    assert 'data-user-id="ana"' in page.text
    assert "data-cursor=" in page.text
    assert 'lang="pt-BR"' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_words_are_sent_as_they_are(client: FlaskClient, ana: Browser) -> None:
    hostile = '<img src=x onerror=alert(1)> {{ 7*7 }} "\u2028 😀'
    deliver(client, call(text_message("w", hostile)))
    assert ana.texts() == [hostile]

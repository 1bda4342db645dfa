"""Messages that the team pins in a chat, by the API."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import realtime_events
from chat.people.pinned_messages import MOST
from tests.chat.support import NOON, Browser, call, contact, deliver, login, text_message

pytestmark = pytest.mark.store

DAY_MS = 86_400_000


@pytest.fixture
def ana(app: Flask, client: FlaskClient) -> Browser:
    """Maria has written m1 to m5."""
    deliver(client, call(*(text_message(f"m{n}", f"m{n}", NOON + n) for n in range(1, 6)),
                         contacts=[contact("Maria")]))  # fmt: skip
    return login(app)


def path(ana: Browser, message_id: str = "") -> str:
    (chat,) = ana.conversations()
    return f"/api/conversations/{chat['id']}/pinned-messages" + (message_id and f"/{message_id}")


def pinned(ana: Browser) -> list[str]:
    """What the conversation names; the list of messages must say the same."""
    (chat,) = ana.conversations()
    listed = ana.get(path(ana)).get_json()["messages"]
    named = [each["id"] for each in chat.get("pinned_messages", [])]
    assert [each["id"] for each in listed] == named
    return named


def pin(ana: Browser, message_id: str, **body: Any) -> Any:
    return ana.post(path(ana, message_id), body)


def test_the_last_pinned_stands_first_and_a_fourth_takes_the_oldest_place(ana: Browser) -> None:
    for name in ("m1", "m3", "m2"):
        assert pin(ana, name).status_code == 200
    assert pinned(ana) == ["m2", "m3", "m1"]
    refused = pin(ana, "m4")
    assert refused.status_code == 409
    assert refused.get_json()["error"]["code"] == "too_many_pins"
    assert pinned(ana) == ["m2", "m3", "m1"]
    assert pin(ana, "m4", replace=True).status_code == 200
    assert pinned(ana) == ["m4", "m2", "m3"]
    assert len(pinned(ana)) == MOST
    assert pin(ana, "m3").status_code == 200  # once more: it is the newest then
    assert pinned(ana) == ["m3", "m4", "m2"]


def test_a_pin_says_so_in_the_thread_once_and_a_letting_go_says_nothing(ana: Browser) -> None:
    for _ in range(2):
        pin(ana, "m1")
    for _ in range(2):
        assert ana.client.delete(
            path(ana, "m1"), headers={"X-CSRFToken": ana.token}
        ).status_code == 200  # fmt: skip
    assert pinned(ana) == []
    (chat,) = ana.conversations()
    thread = ana.get(f"/api/conversations/{chat['id']}/messages").get_json()["messages"]
    assert [each["text"] for each in thread if each["type"] == "system"] == [
        "Ana fixou uma mensagem"
    ]
    assert chat["last_message"]["id"] == "m5"  # the list goes on showing what was written


@pytest.mark.parametrize("days", [1, 7, 30])
def test_a_pin_ends_after_its_days(
    ana: Browser, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    pin(ana, "m1", days=days)
    now = realtime_events.now_ms()
    monkeypatch.setattr(realtime_events, "now_ms", lambda: now + days * DAY_MS - 60_000)
    assert [each["id"] for each in ana.get(path(ana)).get_json()["messages"]] == ["m1"]
    monkeypatch.setattr(realtime_events, "now_ms", lambda: now + days * DAY_MS + 60_000)
    assert ana.get(path(ana)).get_json()["messages"] == []
    for name in ("m2", "m3", "m4"):  # what has run out takes no place
        assert pin(ana, name).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [({"days": 2}, "days"), ({"days": True}, "days"), ({"days": "7"}, "days"),
     ({"replace": 1}, "replace")],
)  # fmt: skip
def test_what_cannot_be_names_its_field(ana: Browser, body: dict[str, Any], field: str) -> None:
    refused = pin(ana, "m1", **body)
    assert refused.status_code == 422
    assert refused.get_json()["error"]["field"] == field
    assert pinned(ana) == []


def test_only_what_was_written_in_this_chat_can_be_pinned(
    ana: Browser, client: FlaskClient
) -> None:
    assert pin(ana, "m9").status_code == 404
    deliver(client, call(text_message("o1", "oi", NOON, **{"from": "5511900000001"})))
    chats = {each["last_message"]["id"]: each["id"] for each in ana.conversations()}
    other = f"/api/conversations/{chats['o1']}/pinned-messages"
    assert ana.post(f"{other}/m1", {}).status_code == 404
    assert ana.post(f"{other}/o1", {}).status_code == 200
    (notice,) = [
        each
        for each in ana.get(f"/api/conversations/{chats['o1']}/messages").get_json()["messages"]
        if each["type"] == "system"
    ]
    refused = ana.post(f"{other}/{notice['id']}", {})
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (409, "not_pinnable")


def test_it_needs_a_login_and_a_token(ana: Browser, client: FlaskClient) -> None:
    here = path(ana, "m1")
    assert client.get(path(ana)).status_code == 401
    assert client.post(here, json={}).status_code == 401
    assert ana.client.post(here, json={}).status_code == 400
    assert ana.client.delete(here).status_code == 400
    assert pinned(ana) == []

"""Reactions of the business: told to all, said to WhatsApp, taken back when it says no."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import Any

import pytest
from flask import Flask

import message_status
import realtime_events
from chat.conversation.models import Conversation, Message
from chat.outgoing.reactions import ReactionToSay
from chat.platform import datastore
from tests.chat.sending_support import ana
from tests.chat.support import (
    MARIA,
    Browser,
    Graph,
    accepted,
    call,
    contact,
    deliver,
    login,
    published,
    refused,
    run_together,
    stored,
    text_message,
)
from tests.helpers import SETTINGS

__all__ = ["ana"]  # fixtures

CRON = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
DAY = 86_400


@pytest.fixture
def bruno(sending_app: Flask, ana: Browser) -> Browser:
    return login(sending_app, "bruno")


@pytest.fixture
def chat(sending_app: Flask, ana: Browser) -> str:
    """The id of a conversation with Maria, who wrote "oi" (`w`) a moment ago."""
    receive(sending_app, text_message("w", "oi", int(time.time())))
    return str(ana.conversations()[0]["id"])


def receive(app: Flask, *messages: Any, statuses: Any = ()) -> None:
    told = call(*messages, contacts=[contact("Maria")], statuses=statuses)
    assert deliver(app.test_client(), told).status_code == 200


def react(browser: Browser, chat: str, emoji: Any, message: str = "w", **other: Any) -> Any:
    body = {"client_id": str(uuid.uuid4()), "emoji": emoji, **other}
    return browser.post(f"/api/conversations/{chat}/messages/{message}/reaction", body)


def shown(browser: Browser, chat: str) -> list[tuple[str, str]]:
    """(emoji, who) under the first message."""
    message = browser.thread(chat)[0]
    return [(each["emoji"], each["author"]) for each in message["reactions"]]


def said(graph: Graph) -> list[Any]:
    """The emoji that WhatsApp was told, in order."""
    return [body["reaction"]["emoji"] for body in graph.received if body["type"] == "reaction"]


def failed_status(graph: Graph, code: int, number: int = -1) -> dict[str, Any]:
    """The callback by which Meta tells that it did not take a reaction after all."""
    data = graph.received[number]["biz_opaque_callback_data"]
    errors = [{"code": code, "title": "no"}]
    return {"id": f"wamid.out.{data}", "status": "failed", "timestamp": "1",
            "biz_opaque_callback_data": data, "errors": errors}  # fmt: skip


def test_a_reaction_is_told_to_all_and_to_whatsapp(
    ana: Browser, bruno: Browser, chat: str, graph: Graph
) -> None:
    answer = react(ana, chat, "👍")
    assert answer.status_code == 200
    mine = {"emoji": "👍", "author": "Ana", "own": True}
    assert answer.get_json()["reactions"] == bruno.thread(chat)[0]["reactions"] == [mine]
    (body,) = graph.received
    assert body["reaction"] == {"message_id": "w", "emoji": "👍"}
    assert (body["type"], body["to"], body["recipient_type"]) == (
        "reaction", f"+{MARIA}", "individual",
    )  # fmt: skip
    told = published("message.updated")[-1]
    assert '"own": true' in told.data
    (conversation,) = ana.conversations()
    assert told.version == conversation["version"]
    assert conversation["last_message"]["text"] == "oi", "a reaction is no message"
    assert conversation["unread_count"] == 1, "who reacts has answered nothing"
    (message,) = stored(Message)
    assert message.reactions["business_app"]["by"] == "ana", "who gave it is kept"
    assert stored(ReactionToSay) == []


def test_the_business_has_one_which_anybody_of_it_changes_and_takes_away(
    sending_app: Flask, ana: Browser, bruno: Browser, chat: str, graph: Graph
) -> None:
    body = {"message_id": "w", "emoji": "🙏"}
    receive(sending_app, text_message("r", at=int(time.time()), text=None, type="reaction",
            reaction=body))  # fmt: skip
    react(ana, chat, "👍")
    react(bruno, chat, "❤️")
    assert shown(ana, chat) == [("🙏", "Maria"), ("❤️", "Bruno")]
    assert react(ana, chat, "").status_code == 200
    assert shown(ana, chat) == [("🙏", "Maria")]
    assert said(graph) == ["👍", "❤️", ""]


def test_the_same_request_again_says_nothing_twice(ana: Browser, chat: str, graph: Graph) -> None:
    client_id = str(uuid.uuid4())
    for _ in range(2):
        assert react(ana, chat, "👍", client_id=client_id).status_code == 200
    assert said(graph) == ["👍"]


def test_a_refusal_brings_back_what_was_there(
    ana: Browser, bruno: Browser, chat: str, graph: Graph
) -> None:
    react(bruno, chat, "❤️")
    graph.answer = lambda _body: refused(131047)
    client_id = str(uuid.uuid4())
    for _ in range(2):  # also of whoever did not hear the first answer
        answer = react(ana, chat, "👍", client_id=client_id)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "refused")
        assert "24 horas" in answer.get_json()["error"]["message"]
        assert shown(ana, chat) == [("❤️", "Bruno")]
    assert said(graph) == ["❤️", "👍"]
    assert stored(ReactionToSay) == []
    assert '"emoji": "\\u2764\\ufe0f"' in published("message.updated")[-1].data


def test_a_refusal_that_comes_later_takes_it_back_too(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    react(ana, chat, "❤️")
    react(ana, chat, "👍")
    status = failed_status(graph, 131047)
    for _ in range(2):  # Meta repeats
        receive(sending_app, statuses=[status])
        message = ana.thread(chat)[0]
        assert shown(ana, chat) == [("❤️", "Ana")]
        failed = message["reaction_failed"]
        assert failed["id"] == status["biz_opaque_callback_data"].split(":")[1]
        assert failed["message"].startswith("Reação não enviada: passaram mais de 24 horas")
    # The heart was not taken either, long after it has been shown again.
    react(ana, chat, "😂")
    receive(sending_app, statuses=[failed_status(graph, 131047, number=0)])
    receive(sending_app, statuses=[failed_status(graph, 131047)])
    assert shown(ana, chat) == []


def test_a_status_of_a_reaction_is_kept_for_nobody(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    react(ana, chat, "👍")
    sent = {**failed_status(graph, 1), "status": "sent", "errors": None}
    receive(sending_app, statuses=[sent])
    assert shown(ana, chat) == [("👍", "Ana")]
    assert stored(message_status.WamidLink) == []


def test_an_unreachable_whatsapp_is_told_and_the_reaction_taken_back(
    sending_app: Flask, ana: Browser, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whatsapp = sending_app.extensions["chat_reactions"]._whatsapp
    monkeypatch.setattr(whatsapp, "_url", "http://127.0.0.1:9/messages")
    answer = react(ana, chat, "👍")
    assert answer.status_code == 503
    assert answer.get_json()["error"]["message"].startswith("Reação não enviada")
    assert shown(ana, chat) == []


def test_a_reaction_that_perhaps_was_taken_is_said_again(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.answer = lambda _body: None
    assert react(ana, chat, "👍").status_code == 200
    assert shown(ana, chat) == [("👍", "Ana")]
    graph.answer = None
    client, now = sending_app.test_client(), realtime_events.now_ms()
    assert client.get("/tasks/outbox", headers=CRON).get_json()["reactions"] == 0, "not at once"
    monkeypatch.setattr(realtime_events, "now_ms", lambda: now + 61_000)
    assert client.get("/tasks/outbox", headers=CRON).get_json()["reactions"] == 1
    assert said(graph) == ["👍", "👍"]
    assert stored(ReactionToSay) == []


def test_two_at_the_same_time_leave_whatsapp_with_what_the_screens_show(
    ana: Browser, bruno: Browser, chat: str, graph: Graph
) -> None:
    react(ana, chat, "😮")  # and the chat's first call is over
    run_together(lambda: react(ana, chat, "👍"), lambda: react(bruno, chat, "❤️"))
    ((emoji, _),) = shown(ana, chat)
    assert said(graph)[-1] == emoji


def test_what_overtakes_a_slow_call_is_said_after_it(
    ana: Browser, bruno: Browser, chat: str, graph: Graph
) -> None:
    def overtaken(body: dict[str, Any]) -> Any:
        graph.answer = accepted
        assert react(bruno, chat, "❤️").status_code == 200
        return accepted(body)  # ours is taken after Bruno's

    graph.answer = overtaken
    assert react(ana, chat, "👍").status_code == 200
    assert shown(ana, chat) == [("❤️", "Bruno")]
    assert said(graph) == ["👍", "❤️", "❤️"]


def test_an_own_message_can_be_reacted_to_once_whatsapp_has_it(
    ana: Browser, chat: str, graph: Graph
) -> None:
    client_id = str(uuid.uuid4())
    graph.answer = lambda _body: None  # nobody knows whether it was sent
    body = {"client_id": client_id, "text": "olá"}
    ana.post(f"/api/conversations/{chat}/messages", body)
    answer = react(ana, chat, "👍", client_id)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "not_sent")
    with_wamid = str(uuid.uuid4())
    graph.answer = None
    ana.post(f"/api/conversations/{chat}/messages", {"client_id": with_wamid, "text": "de novo"})
    assert react(ana, chat, "👍", with_wamid).status_code == 200
    assert graph.received[-1]["reaction"]["message_id"] == f"wamid.out.{with_wamid}"


def test_what_cannot_be_reacted_to_is_refused_here(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    now = int(time.time())
    old, new = text_message("old", at=now - 31 * DAY), text_message("gone", at=now)
    revoke = {"original_message_id": "gone"}
    receive(sending_app, old, new, text_message("x", at=now, text=None, type="revoke",
            revoke=revoke))  # fmt: skip
    group = text_message("g", at=now, group_id="120363041234567890")
    receive(sending_app, group)
    (other,) = [each["id"] for each in ana.conversations() if each["is_group"]]
    cases = [
        (chat, "old", "too_old"), (chat, "gone", "revoked"), (other, "g", "group"),
        (chat, "unknown", "not_found"), (other, "w", "not_found"), ("nowhere", "w", "not_found"),
    ]  # fmt: skip
    for where, message, code in cases:
        answer = react(ana, where, "👍", message)
        assert answer.get_json()["error"]["code"] == code, (message, code)
    assert graph.received == []


def test_after_24_hours_nothing_is_said(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    with sending_app.app_context(), datastore.context():
        conversation = datastore.get(Conversation, chat)
        assert conversation is not None
        realtime_events.update(conversation, last_incoming_at=realtime_events.now_ms() - DAY * 1000)
    answer = react(ana, chat, "👍")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "window_closed")
    assert graph.received == []


@pytest.mark.parametrize("emoji", ["👍", "👍🏽", "❤️", "1️⃣", "#⃣", "🇧🇷", "👨‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "‼️"])
def test_any_emoji_will_do(ana: Browser, chat: str, graph: Graph, emoji: str) -> None:
    assert react(ana, chat, emoji).status_code == 200
    assert said(graph) == [emoji]


@pytest.mark.parametrize(
    "emoji", ["a", "12", "sim 👍", "é", "\n", "👍\n", " ", 7, None, ["👍"], "👍" * 30]
)
def test_what_is_no_emoji_is_refused(ana: Browser, chat: str, graph: Graph, emoji: Any) -> None:
    answer = react(ana, chat, emoji)
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (422, "emoji")
    assert graph.received == []


def test_half_an_emoji_is_none(ana: Browser, chat: str, graph: Graph) -> None:
    path = f"/api/conversations/{chat}/messages/w/reaction"
    body = json.dumps({"client_id": str(uuid.uuid4()), "emoji": "\ud83d"})
    headers = {"X-CSRFToken": ana.token, "Content-Type": "application/json"}
    assert ana.client.post(path, data=body, headers=headers).status_code == 422
    assert graph.received == []


@pytest.mark.parametrize("client_id", [None, "", "a:b", "x" * 99, 7])
def test_a_reaction_needs_an_id(ana: Browser, chat: str, client_id: Any) -> None:
    answer = react(ana, chat, "👍", client_id=client_id)
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (422, "client_id")


def test_a_reaction_that_breaks_the_sweep_keeps_no_other_and_names_no_number(
    sending_app: Flask,
    ana: Browser,
    chat: str,
    graph: Graph,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receive(sending_app, text_message("w2", "e?", int(time.time())))
    graph.answer = lambda _body: None  # hangs up: nobody knows
    for wamid in ("w", "w2"):
        react(ana, chat, "👍", wamid)
    assert len(stored(ReactionToSay)) == 2
    later = realtime_events.now_ms() + 61_000
    monkeypatch.setattr(realtime_events, "now_ms", lambda: later)
    reactions = sending_app.extensions["chat_reactions"]
    say = reactions._say

    def broken(message_id: str, **options: Any) -> None:
        if message_id == "w":
            raise ValueError(message_id)
        say(message_id, **options)

    monkeypatch.setattr(reactions, "_say", broken)
    graph.answer = None
    client = sending_app.test_client()
    assert client.get("/tasks/outbox", headers=CRON).get_json()["reactions"] == 2
    assert [each.key.id() for each in stored(ReactionToSay)] == ["w"]
    assert client.get("/tasks/outbox", headers=CRON).get_json()["reactions"] == 0, (
        "not again at once"
    )
    assert re.search(r"reaction to message #[0-9a-f]{12}", caplog.text)
    assert not re.search(r"reaction to message w", caplog.text)

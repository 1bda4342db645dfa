"""Sending while the store or the lease fails at the worst moment: nothing lost, nothing twice."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from flask import Flask

import message_status
import realtime_events
from chat.conversation.models import Message
from chat.outgoing import sending
from chat.outgoing.sending import Outbox, Sender
from chat.platform import datastore
from tests.chat.sending_support import ana
from tests.chat.support import (
    Browser,
    Graph,
    accepted,
    call,
    deliver,
    stored,
    text_message,
)

__all__ = ["ana"]  # fixtures

pytestmark = pytest.mark.store


@pytest.fixture
def sender(sending_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """Sends only when a test says so."""
    sender: Sender = sending_app.extensions["chat_sender"]
    monkeypatch.setattr(sender, "start", lambda _conversation_id: None)
    return sender


@pytest.fixture
def chat(sending_app: Flask, ana: Browser) -> str:
    deliver(sending_app.test_client(), call(text_message("wamid.in", "oi")))
    return str(ana.conversations()[0]["id"])


def post(ana: Browser, chat: str, text: str, **other: Any) -> Any:
    body = {"client_id": str(uuid.uuid4()), "text": text, **other}
    return ana.post(f"/api/conversations/{chat}/messages", body)


def outgoing() -> dict[str, Message]:
    return {each.text: each for each in stored(Message) if each.direction == "out"}


def outbox() -> Outbox:
    (found,) = stored(Outbox)
    return found


def claim(chat: str, holder: str) -> str | None:
    with datastore.context():
        found = realtime_events.transaction(lambda: sending._claim(chat, holder))
    return found[0].text if found else None


def test_a_long_queue_ends_with_every_outcome_stored(
    ana: Browser, chat: str, sender: Sender, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_surely", realtime_events.transaction)
    for text in ("1", "2"):
        post(ana, chat, text)

    def slow(body: dict[str, Any]) -> tuple[int, Any]:
        spent[0] += 100
        return accepted(body)

    graph.answer, spent, real = slow, [0], time.monotonic
    with monkeypatch.context() as patched, datastore.context(seconds=150):
        patched.setattr(datastore.time, "monotonic", lambda: real() + spent[0])
        sender.drain(chat)
    assert graph.texts() == ["1", "2"]
    assert all(message_status.fact(message, "wamid") for message in outgoing().values())


def test_a_message_given_up_while_it_was_surely_unsent_is_sent_after_all(
    ana: Browser, chat: str, sender: Sender, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("1", "2"):
        post(ana, chat, text)
    assert claim(chat, "A") == "1"
    real = sending._now_ms
    monkeypatch.setattr(sending, "_now_ms", lambda: real() + sending.LEASE_MS + 1)
    assert claim(chat, "B") == "2"  # A's lease has run out
    first = outgoing()["1"].id
    with datastore.context():
        realtime_events.transaction(lambda: sending._postpone(chat, first, "A"))
    assert outbox().holder == "B", "B is sending: its lease stays"
    assert outbox().queue[0] == first
    monkeypatch.setattr(sending, "_now_ms", lambda: real() + 2 * sending.LEASE_MS + 2)
    with datastore.context():
        sender.drain(chat)
    assert graph.texts() == ["1"]
    assert message_status.fact(outgoing()["2"], "error")["code"] == "unconfirmed"


def test_an_outage_before_the_request_leaves_the_message_for_later(
    ana: Browser, chat: str, sender: Sender, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    post(ana, chat, "sim", reply_to="wamid.in")

    def down(_message_id: str | None) -> str | None:
        raise datastore.StoreUnavailableError

    with monkeypatch.context() as patched, datastore.context():
        patched.setattr(sending, "_wamid_of", down)
        sender.drain(chat)
    assert graph.texts() == []
    assert len(outbox().queue) == 1
    with datastore.context():
        sender.drain(chat)
    assert graph.texts() == ["sim"]
    assert graph.received[0]["context"] == {"message_id": "wamid.in"}


def test_a_repeat_sends_what_the_lost_first_call_left(
    ana: Browser, chat: str, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"client_id": str(uuid.uuid4()), "text": "oi"}
    path = f"/api/conversations/{chat}/messages"
    started: list[str] = []
    monkeypatch.setattr(sender, "start", started.append)
    assert ana.post(path, body).status_code == 201
    assert ana.post(path, body).status_code == 200
    assert started == [chat, chat]
    assert claim(chat, "A") == "oi"
    assert ana.post(path, body).status_code == 200
    assert started == [chat, chat], "under way: nothing to start"

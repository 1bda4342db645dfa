"""A message that is passed on from another chat: an ordinary one, with "Encaminhada" on it."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from flask import Flask

from tests.chat.sending_support import ana
from tests.chat.support import (
    Browser,
    Graph,
    call,
    contact,
    deliver,
    refused,
    text_message,
)

__all__ = ["ana"]  # fixtures


@pytest.fixture
def chat(sending_app: Flask, ana: Browser) -> str:
    message = text_message("w", "oi", int(time.time()))
    deliver(sending_app.test_client(), call(message, contacts=[contact("Maria")]))
    return str(ana.conversations()[0]["id"])


def forward(browser: Browser, chat: str, **other: Any) -> Any:
    body = {"client_id": str(uuid.uuid4()), "text": "Abrimos às nove", "forwarded": True, **other}
    return browser.post(f"/api/conversations/{chat}/messages", body)


def test_it_goes_out_as_any_text_and_says_that_it_was_forwarded(
    ana: Browser, chat: str, graph: Graph
) -> None:
    answer = forward(ana, chat)
    assert (answer.status_code, answer.get_json()["forwarded"]) == (201, True)
    assert ana.thread(chat)[-1]["forwarded"] is True
    assert graph.texts() == ["Abrimos às nove"]


def test_whoever_forwards_has_read_nothing_there(ana: Browser, chat: str) -> None:
    forward(ana, chat)
    assert ana.conversations()[0]["unread_count"] == 1
    forward(ana, chat, forwarded=False)
    assert ana.conversations()[0]["unread_count"] == 0


def test_a_new_attempt_is_forwarded_too(ana: Browser, chat: str, graph: Graph) -> None:
    graph.answer = lambda _body: refused(131026)
    failed = forward(ana, chat).get_json()["id"]
    graph.answer = None
    again = ana.post(f"/api/messages/{failed}/retry", {"client_id": str(uuid.uuid4())})
    assert again.status_code == 201
    assert ana.thread(chat)[-1]["forwarded"] is True


@pytest.mark.parametrize("forwarded", ["true", 1, [], "frequently"])
def test_it_is_true_or_false(ana: Browser, chat: str, forwarded: Any) -> None:
    answer = forward(ana, chat, forwarded=forwarded)
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (422, "forwarded")

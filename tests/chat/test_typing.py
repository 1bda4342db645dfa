"""Who writes is told to the others, seldom, and stored with nothing."""

from __future__ import annotations

import json

import pytest
from flask import Flask

from chat.conversation.models import Conversation
from chat.screen.composer import typing
from tests.chat.support import Browser, call, deliver, login, published, stored, text_message


@pytest.fixture
def ana(quick_app: Flask) -> Browser:
    return login(quick_app)


@pytest.fixture
def chat(quick_app: Flask, ana: Browser) -> str:
    deliver(quick_app.test_client(), call(text_message("wamid.in", "oi")))
    (conversation,) = ana.conversations()
    return str(conversation["id"])


def test_it_is_told_once_in_a_while_for_each_who_writes(
    quick_app: Flask, ana: Browser, chat: str
) -> None:
    (before,) = stored(Conversation)
    path = f"/api/conversations/{chat}/typing"
    assert [ana.post(path, {}).get_json()["told"] for _ in range(3)] == [True, False, False]
    assert login(quick_app, "bruno").post(path, {}).get_json() == {"told": True}
    told = published("attendant.typing")
    assert [each.conversation_id for each in told] == [chat, chat]
    people = [json.loads(each.data)["attendant"] for each in told]
    assert people == [{"id": "ana", "name": "Ana"}, {"id": "bruno", "name": "Bruno"}]
    (after,) = stored(Conversation)
    assert after.to_dict() == before.to_dict()
    typing._told.clear()  # the time has passed
    assert ana.post(path, {}).get_json()["told"]


def test_only_attendants_tell_and_only_of_a_chat(quick_app: Flask, ana: Browser, chat: str) -> None:
    assert ana.post("/api/conversations/none/typing", {}).status_code == 404
    path = f"/api/conversations/{chat}/typing"
    assert quick_app.test_client().post(path, json={}).status_code == 401
    assert ana.client.post(path, json={}).status_code == 400  # without the page's token
    assert published("attendant.typing") == []

"""Two answer at once: who is about to send is shown first what somebody else has written."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from flask import Flask

from chat.conversation.models import Conversation
from chat.platform import datastore
from tests.chat.support import (
    MARIA,
    NOON,
    Browser,
    call,
    contact,
    deliver,
    live_conversations,
    login,
    text_message,
)


@pytest.fixture
def ana(quick_app: Flask) -> Browser:
    return login(quick_app)


@pytest.fixture
def bruno(quick_app: Flask) -> Browser:
    return login(quick_app, "bruno")


@pytest.fixture
def chat(quick_app: Flask, ana: Browser) -> str:
    """The id of a conversation with Maria, whose message is `wamid.in`."""
    told = call(text_message("wamid.in", "oi"), contacts=[contact("Maria")])
    deliver(quick_app.test_client(), told)
    (conversation,) = ana.conversations()
    return str(conversation["id"])


def post(person: Browser, chat: str, text: str, after: Any, client_id: str | None = None) -> Any:
    body = {"client_id": client_id or str(uuid.uuid4()), "text": text, "after": after}
    return person.post(f"/api/conversations/{chat}/messages", body)


def sent(person: Browser, chat: str, text: str, after: Any) -> str:
    response = post(person, chat, text, after)
    assert response.status_code == 201, response.get_json()
    return str(response.get_json()["id"])


def collision(response: Any) -> dict[str, Any]:
    """The answer that stood in the way."""
    error: dict[str, Any] = response.get_json()["error"]
    assert (response.status_code, error["code"]) == (409, "collision")
    shown: dict[str, Any] = error["collision"]
    return shown


def test_an_answer_that_the_screen_did_not_have_comes_first(
    ana: Browser, bruno: Browser, chat: str
) -> None:
    first = sent(bruno, chat, "Já vejo", "wamid.in")
    newest = sent(bruno, chat, "Temos, sim", first)
    shown = collision(post(ana, chat, "Não temos", "wamid.in"))
    assert (shown["id"], shown["text"]) == (newest, "Temos, sim")
    assert shown["author"] == {"kind": "attendant", "name": "Bruno"}
    assert shown["conversation_id"] == chat
    assert ana.texts() == ["oi", "Já vejo", "Temos, sim"]  # nothing was stored
    # To send all the same is to send it as an answer to what was shown.
    sent(ana, chat, "Não temos", newest)
    assert ana.texts()[-1] == "Não temos"
    assert collision(post(bruno, chat, "Ops", newest))["text"] == "Não temos"


def test_what_came_after_that_is_shown_as_well(ana: Browser, bruno: Browser, chat: str) -> None:
    first = sent(bruno, chat, "Já vejo", "wamid.in")
    collision(post(ana, chat, "Não temos", "wamid.in"))
    second = sent(bruno, chat, "Temos, sim", first)
    assert collision(post(ana, chat, "Não temos", first))["id"] == second


def test_own_messages_and_the_customers_are_no_collision(
    quick_app: Flask, ana: Browser, bruno: Browser, chat: str
) -> None:
    old = sent(bruno, chat, "Bom dia", "wamid.in")
    sent(ana, chat, "um", old)
    sent(ana, chat, "dois", old)
    sent(ana, chat, "três", old)
    deliver(quick_app.test_client(), call(text_message("wamid.2", "e aí?", NOON + 5)))
    sent(ana, chat, "quatro", old)
    assert collision(post(bruno, chat, "cinco", old))["text"] == "quatro"


def test_a_third_person_does_not_hide_a_second(
    quick_app: Flask, ana: Browser, bruno: Browser, chat: str
) -> None:
    carla = login(quick_app, "carla")
    one = sent(bruno, chat, "de Bruno", "wamid.in")
    sent(carla, chat, "de Carla", one)
    sent(ana, chat, "de Ana", carla.thread(chat)[-1]["id"])
    # Of the two others the newest counts: Ana's own is between.
    assert collision(post(ana, chat, "mais", one))["text"] == "de Carla"
    assert collision(post(carla, chat, "mais", one))["text"] == "de Ana"


def test_the_businesss_phone_collides_too(quick_app: Flask, ana: Browser, chat: str) -> None:
    own = {"from": "15550783881", "to": MARIA}
    value = {"message_echoes": [text_message("e1", "da loja", NOON + 60, **own)]}
    change = {"field": "smb_message_echoes", "value": value}
    deliver(quick_app.test_client(), {"entry": [{"changes": [change]}]})
    shown = collision(post(ana, chat, "da tela", "wamid.in"))
    assert shown["author"]["name"] == "Celular da empresa"
    assert shown["text"] == "da loja"


def test_without_the_field_and_by_older_chats_it_goes_as_before(
    ana: Browser, bruno: Browser, chat: str
) -> None:
    sent(bruno, chat, "Temos", "wamid.in")
    sent(ana, chat, "sem campo", None)
    with datastore.context():
        entity = datastore.get(Conversation, chat)
        assert entity is not None
        entity.answers = None  # from before they were noted
        entity.put()
    sent(bruno, chat, "como antes", "wamid.in")


def test_a_repeat_is_answered_by_the_message_whatever_came_after_it(
    ana: Browser, bruno: Browser, chat: str
) -> None:
    mine = str(uuid.uuid4())
    assert post(ana, chat, "Olá", "wamid.in", mine).status_code == 201
    sent(bruno, chat, "Olá!", mine)
    again = post(ana, chat, "Olá", "wamid.in", mine)
    assert (again.status_code, again.get_json()["id"]) == (200, mine)


@pytest.mark.parametrize("after", ["unknown", 7, "", ["wamid.in"]])
def test_what_is_no_message_of_this_chat_is_refused(ana: Browser, chat: str, after: Any) -> None:
    response = post(ana, chat, "Olá", after)
    assert response.status_code == 422
    assert response.get_json()["error"]["field"] == "after"


def test_in_a_merged_chat_the_time_decides_of_what_was_seen_in_the_other(
    quick_app: Flask, ana: Browser, bruno: Browser, chat: str
) -> None:
    client = quick_app.test_client()
    nameless = {"from": None, "from_user_id": "BR.1"}
    for n in range(5):  # so many that their numbers say nothing of the other chat's
        deliver(client, call(text_message(f"b{n}", "sou eu", NOON + 1 + n, **nameless)))
    answer = sent(bruno, chat, "Já respondo", "wamid.in")
    deliver(client, call(text_message("c", "uma só", NOON + 9, from_user_id="BR.1")))
    (merged,) = live_conversations()
    assert merged.id == chat
    assert collision(post(ana, chat, "Olá", "b4"))["id"] == answer
    assert collision(post(ana, chat, "Olá", "wamid.in"))["id"] == answer
    sent(ana, chat, "Olá", "c")


def test_an_answer_in_what_was_merged_stands_in_the_way(
    quick_app: Flask, ana: Browser, bruno: Browser, chat: str
) -> None:
    client = quick_app.test_client()
    nameless = {"from": None, "from_user_id": "BR.1"}
    deliver(client, call(text_message("b", "sou eu", NOON + 1, **nameless)))
    (other,) = [each.id for each in live_conversations() if each.id != chat]
    answer = sent(bruno, other, "Já respondo", "b")
    deliver(client, call(text_message("c", "uma só", NOON + 9, from_user_id="BR.1")))
    (merged,) = live_conversations()
    assert merged.id == chat
    assert collision(post(ana, chat, "Olá", "wamid.in"))["id"] == answer
    assert collision(post(ana, chat, "Olá", "b"))["id"] == answer
    sent(ana, chat, "Olá", answer)

"""The administrators' pages for deleting data: who may, what is asked, what is shown."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from chat.conversation.models import Conversation, Message
from chat.retention.records import DataDeletion
from tests.chat.support import (
    MARIA,
    Browser,
    call,
    contact,
    deliver,
    live_conversations,
    login,
    stored,
    text_message,
)
from tests.chat.test_retention import BSUID, NAME, SECRET, now, wamid, write

LIST = "/admin/retention"


@pytest.fixture
def ana(quick_app: Flask) -> Browser:
    """The administrator: the first attendant is."""
    return login(quick_app)


def press(browser: Browser, path: str, **form: str) -> TestResponse:
    data = {"csrf_token": browser.token, **form}
    return browser.client.post(path, data=data, follow_redirects=True)


def alerts(response: TestResponse) -> list[str]:
    return re.findall(r'role="alert">(.*?)<', response.text)


def chat() -> Conversation:
    (found,) = live_conversations()
    return found


def question() -> str:
    return f"{LIST}/conversations/{chat().id}"


def test_the_number_in_any_form_is_what_has_to_be_typed(quick_app: Flask, ana: Browser) -> None:
    write(quick_app, SECRET)
    page = ana.get(question()).text
    assert NAME in page
    assert "+55 11 98765-4321" in page
    assert "1 mensagem, dos dois lados" in page
    for wrong in ("", "5511987654320", NAME, "apagar", "11 98765-4321"):
        assert "não confere" in alerts(press(ana, question(), typed=wrong))[0]
    assert len(stored(Message)) == 1
    answer = press(ana, question(), typed="+55 (11) 98765.4321")
    assert "saiu de todas as telas" in alerts(answer)[0]
    assert NAME not in answer.text
    assert "98765" not in answer.text
    assert live_conversations() == []
    assert stored(Message) == []


def test_without_a_number_the_name_is(quick_app: Flask, ana: Browser) -> None:
    alone = text_message(wamid(BSUID), SECRET, now(), from_user_id=BSUID, **{"from": None})
    profile: Any = {"user_id": BSUID, "profile": {"name": f"{NAME}  da Silva"}}
    deliver(quick_app.test_client(), call(alone, contacts=[profile]))
    assert "não confere" in alerts(press(ana, question(), typed=NAME))[0]
    press(ana, question(), typed=f" {NAME.lower()} da silva ")
    assert live_conversations() == []


def test_asked_twice_it_is_done_once(quick_app: Flask, ana: Browser) -> None:
    write(quick_app, SECRET)
    path = question()
    for _ in range(2):
        assert press(ana, path, typed=MARIA).status_code == 200
    (record,) = stored(DataDeletion)
    assert (record.asked_by, record.messages) == ("ana", 1)
    assert ana.get(path).status_code == 404


def test_only_administrators_and_only_from_the_page(quick_app: Flask, ana: Browser) -> None:
    write(quick_app, SECRET)
    bruno = login(quick_app, "bruno")
    assert "data-deletion" in ana.get("/").text
    assert "data-deletion" not in bruno.get("/").text
    for path in (LIST, question()):
        assert bruno.get(path).status_code == 403
    assert press(bruno, question(), typed=MARIA).status_code == 403
    assert press(bruno, f"{LIST}/find", number=MARIA).status_code == 403
    assert ana.client.post(question(), data={"typed": MARIA}).status_code == 400
    assert ana.client.post(f"{LIST}/find", data={"number": MARIA}).status_code == 400
    assert len(stored(Message)) == 1


def test_a_number_finds_the_chat_and_the_records(quick_app: Flask, ana: Browser) -> None:
    assert "Nada foi apagado ainda" in ana.get(LIST).text
    assert "Falta o DDD" in alerts(press(ana, f"{LIST}/find", number="98765-4321"))[0]
    answer = press(ana, f"{LIST}/find", number="(11) 98765-4321").text
    assert "Não há conversa com este número" in answer
    assert "Nenhum registro" in answer
    write(quick_app, SECRET)
    first = chat().id
    press(ana, question(), typed=MARIA)
    write(quick_app, "voltei")
    answer = press(ana, f"{LIST}/find", number="11 8765-4321").text  # without the ninth digit
    assert question() in answer
    assert first in answer
    assert "De quem tinha este número já foram apagados dados" in answer
    other = press(ana, f"{LIST}/find", number="11 91111-2222").text
    assert first not in other


def test_many_records_are_listed_in_pages(quick_app: Flask, ana: Browser) -> None:
    for place in range(53):
        number = f"55119{place:08}"
        message = text_message(wamid(number), SECRET, now() - place, **{"from": number})
        deliver(quick_app.test_client(), call(message, contacts=[contact("x", number)]))
    from chat.platform import datastore
    from chat.retention import deletion

    with quick_app.app_context(), datastore.context(seconds=60):
        for each in live_conversations():
            deletion.begin(each.id, "ana")
    page = ana.get(LIST).text
    assert page.count('<li class="update">') == 50
    older = re.search(r'href="(/admin/retention\?before=[^"]+)"', page)
    assert older is not None
    assert ana.get(older[1].replace("&amp;", "&")).text.count('<li class="update">') == 3
    assert ana.get(f"{LIST}?before=%00").status_code == 200

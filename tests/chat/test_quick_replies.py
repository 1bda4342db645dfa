"""The answers that the business keeps, made, changed and deleted by any attendant."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from chat.screen.composer import quick_replies
from tests.chat.support import Browser, login, published

PATH = "/api/quick-replies"


@pytest.fixture
def ana(quick_app: Flask) -> Browser:
    return login(quick_app)


def listed(person: Browser) -> dict[str, str]:
    """Shortcut → text."""
    found = person.get(PATH).get_json()["quick_replies"]
    return {each["shortcut"]: each["text"] for each in found}


def made(person: Browser, shortcut: str, text: str = "Olá!") -> dict[str, Any]:
    response = person.post(PATH, {"shortcut": shortcut, "text": text})
    assert response.status_code == 201, response.get_json()
    reply: dict[str, Any] = response.get_json()["quick_reply"]
    return reply


def delete(person: Browser, reply_id: str) -> Any:
    return person.client.delete(f"{PATH}/{reply_id}", headers={"X-CSRFToken": person.token})


def test_they_are_the_businesss_and_say_who_changed_them(quick_app: Flask, ana: Browser) -> None:
    bruno = login(quick_app, "bruno")
    assert listed(ana) == {}
    reply = made(ana, "/Horário", "Das 9 às 18, {nome}\n")
    assert (reply["shortcut"], reply["text"]) == ("Horário", "Das 9 às 18, {nome}")
    assert reply["changed_by"] == "Ana"
    assert listed(bruno) == {"Horário": "Das 9 às 18, {nome}"}

    changed = bruno.post(f"{PATH}/{reply['id']}", {**reply, "shortcut": "abre", "text": "Às 9"})
    assert changed.get_json()["quick_reply"]["changed_by"] == "Bruno"
    assert listed(ana) == {"abre": "Às 9"}
    assert delete(ana, changed.get_json()["quick_reply"]["id"]).status_code == 200
    assert delete(ana, changed.get_json()["quick_reply"]["id"]).status_code == 200  # gone already
    assert listed(bruno) == {}
    assert len(published("quick_replies.changed")) == 3


def test_no_two_have_the_same_shortcut(ana: Browser) -> None:
    made(ana, "pix", "chave")
    other = made(ana, "conta", "banco")
    for response in (
        ana.post(PATH, {"shortcut": "PIX", "text": "outra"}),
        ana.post(f"{PATH}/{other['id']}", {**other, "shortcut": "Pix"}),
    ):
        assert response.status_code == 409
        assert response.get_json()["error"]["field"] == "shortcut"
    assert listed(ana) == {"pix": "chave", "conta": "banco"}
    # Another way to write its own is no other.
    assert ana.post(f"{PATH}/{other['id']}", {**other, "shortcut": "Conta"}).status_code == 200
    assert listed(ana) == {"pix": "chave", "Conta": "banco"}


def test_who_edits_what_another_has_changed_is_told(quick_app: Flask, ana: Browser) -> None:
    reply = made(ana, "pix", "chave")
    bruno = login(quick_app, "bruno")
    assert bruno.post(f"{PATH}/pix", {**reply, "text": "chave nova"}).status_code == 200
    refusal = ana.post(f"{PATH}/pix", {**reply, "text": "chave velha"})
    assert refusal.status_code == 409
    assert "Bruno alterou" in refusal.get_json()["error"]["message"]
    assert listed(ana) == {"pix": "chave nova"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"shortcut": "bom dia"}, "shortcut"),
        ({"shortcut": ""}, "shortcut"),
        ({"shortcut": "/"}, "shortcut"),
        ({"shortcut": "a/b"}, "shortcut"),
        ({"shortcut": "x" * 26}, "shortcut"),
        ({"shortcut": "__x__"}, "shortcut"),
        ({"shortcut": 7}, "shortcut"),
        ({"text": " \n"}, "text"),
        ({"text": "x" * 4097}, "text"),
        ({"text": None}, "text"),
    ],
)
def test_what_cannot_be_one_is_refused_by_field(
    ana: Browser, change: dict[str, Any], field: str
) -> None:
    good = {"shortcut": "pix", "text": "chave"}
    known = made(ana, "outro")
    for path, more in ((PATH, {}), (f"{PATH}/outro", known)):
        response = ana.post(path, {**more, **good, **change})
        assert response.status_code == 422
        assert response.get_json()["error"]["field"] == field
    assert listed(ana) == {"outro": "Olá!"}


def test_there_is_a_most_and_what_is_gone_is_404(
    ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_replies, "MOST", 2)
    one = made(ana, "um")
    made(ana, "dois")
    refusal = ana.post(PATH, {"shortcut": "três", "text": "x"})
    assert (refusal.status_code, refusal.get_json()["error"]["code"]) == (409, "too_many")
    delete(ana, "um")
    assert ana.post(f"{PATH}/um", one).status_code == 404
    made(ana, "três")


def test_only_attendants_and_only_with_the_pages_token(quick_app: Flask, ana: Browser) -> None:
    made(ana, "pix")
    stranger = quick_app.test_client()
    assert stranger.get(PATH).status_code == 401
    assert stranger.delete(f"{PATH}/pix").status_code == 401
    assert ana.client.delete(f"{PATH}/pix").status_code == 400
    assert ana.client.post(PATH, json={"shortcut": "a", "text": "b"}).status_code == 400
    assert listed(ana) == {"pix": "Olá!"}


def test_what_is_asked_again_because_the_answer_was_lost_is_done(ana: Browser) -> None:
    reply = made(ana, "pix", "chave")
    assert made(ana, "pix", "chave")["id"] == reply["id"]
    path, change = f"{PATH}/{reply['id']}", {**reply, "text": "outra chave"}
    assert ana.post(path, change).status_code == 200
    assert ana.post(path, change).status_code == 200
    assert ana.post(path, {**change, "text": "e outra"}).status_code == 409
    assert listed(ana) == {"pix": "outra chave"}

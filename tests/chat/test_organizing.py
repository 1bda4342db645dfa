"""How attendants keep their chats in order: pins, archive, names, labels and notes, by the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

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
    published,
    run_together,
    text_message,
)

pytestmark = pytest.mark.store


def number(n: int) -> str:
    return f"55119876543{n:02}"


def write(client: FlaskClient, n: int, wamid: str | None = None, at: int | None = None) -> None:
    """Customer `n` writes; without a time, the later the higher the number."""
    wamid = wamid or f"m{n}"
    message = text_message(wamid, wamid, NOON + n if at is None else at, **{"from": number(n)})
    deliver(client, call(message))


def ids(browser: Browser) -> dict[str, str]:
    """The conversation of each last message, those archived included."""
    found = browser.conversations() + archived(browser)
    return {each["last_message"]["id"]: each["id"] for each in found}


def archived(browser: Browser) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = browser.get("/api/conversations?filter=archived").get_json()[
        "conversations"
    ]
    return found


def overview(browser: Browser) -> list[str]:
    """The last messages' ids of the archived chats that the row "Arquivadas" speaks of."""
    told = browser.get("/api/conversations/archived").get_json()
    return [each["last_message"]["id"] for each in told["conversations"]]


def set_(browser: Browser, chat: str, what: str, value: Any) -> Any:
    answer = browser.post(f"/api/conversations/{chat}/{what}", {what: value})
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()["conversation"]


def label(browser: Browser, chat: str, **change: list[str]) -> list[str]:
    answer = browser.post(f"/api/conversations/{chat}/labels", change)
    assert answer.status_code == 200, answer.get_json()
    found: list[str] = answer.get_json()["conversation"]["labels"]
    return found


def pages(browser: Browser, wanted: str = "all", limit: int = 2) -> list[str]:
    """The last messages' ids of a whole list, page by page."""
    found: list[str] = []
    before = ""
    while before is not None:
        path = f"/api/conversations?filter={wanted}&limit={limit}&before={before}"
        page = browser.get(path).get_json()
        assert len(page["conversations"]) <= limit
        found += [each["last_message"]["id"] for each in page["conversations"]]
        before = page["next"]
    return found


@pytest.fixture
def chats(client: FlaskClient, ana: Browser) -> dict[str, str]:
    """Six customers wrote, m0 first; {last message: conversation}."""
    for n in range(6):
        write(client, n)
    return ids(ana)


# --- pins and archive -------------------------------------------------------------------------


def test_pinned_chats_stand_first_on_every_page_and_move_with_their_messages(
    client: FlaskClient, ana: Browser, chats: dict[str, str]
) -> None:
    for name in ("m0", "m3"):
        assert set_(ana, chats[name], "pinned", True)["pinned"] is True
    for limit in (1, 2, 4, 50):
        assert pages(ana, limit=limit) == ["m3", "m0", "m5", "m4", "m2", "m1"]
    write(client, 0, "again", NOON + 90)
    assert pages(ana) == ["again", "m3", "m5", "m4", "m2", "m1"]
    set_(ana, chats["m3"], "pinned", False)
    assert pages(ana) == ["again", "m5", "m4", "m3", "m2", "m1"]
    assert pages(ana, "unread") == ["again", "m5", "m4", "m3", "m2", "m1"]


def test_a_fourth_pin_is_refused_also_when_all_pin_at_once(
    sending_app: Flask, ana: Browser, chats: dict[str, str]
) -> None:
    people = [login(sending_app, f"pessoa{n}") for n in range(6)]
    jobs = [
        lambda person=person, chat=chat: person.post(
            f"/api/conversations/{chat}/pinned", {"pinned": True}
        )
        for person, chat in zip(people, chats.values(), strict=True)
    ]
    answers = run_together(*jobs)
    assert sorted(each.status_code for each in answers) == [200] * 3 + [409] * 3
    refusal = next(each for each in answers if each.status_code == 409).get_json()["error"]
    assert refusal == {
        "code": "too_many_pins",
        "message": "Você só pode fixar até 3 conversas.",
        "field": "pinned",
    }
    pinned = [each for each in ana.conversations() if each["pinned"]]
    assert len(pinned) == 3
    set_(ana, pinned[0]["id"], "pinned", False)
    other = next(each for each in ana.conversations() if not each["pinned"])
    set_(ana, other["id"], "pinned", True)
    set_(ana, other["id"], "pinned", True)  # once more changes nothing
    assert sum(each["pinned"] for each in ana.conversations()) == 3


def test_an_archived_chat_leaves_list_and_totals_and_stays_archived_when_its_customer_writes(
    client: FlaskClient, ana: Browser, chats: dict[str, str]
) -> None:
    set_(ana, chats["m4"], "pinned", True)
    told = set_(ana, chats["m4"], "archived", True)
    assert (told["archived"], told["pinned"], told["silent"]) == (True, False, True)
    set_(ana, chats["m1"], "archived", True)
    assert pages(ana) == ["m5", "m3", "m2", "m0"]
    assert pages(ana, "unread") == ["m5", "m3", "m2", "m0"]
    for limit in (1, 2, 3):
        assert pages(ana, "archived", limit) == ["m4", "m1"]
    assert ana.get("/unread").get_json()["conversations"] == 4

    write(client, 1, "again", NOON + 90)
    assert pages(ana, "archived") == ["again", "m4"]
    assert len(pages(ana)) == 4
    assert ana.get("/unread").get_json()["conversations"] == 4
    assert overview(ana) == ["again", "m4"]
    ana.post(f"/api/conversations/{chats['m1']}/read", {"up_to": "again"})
    assert overview(ana) == ["again", "m4"]  # the newest is told of, read or not
    ana.post(f"/api/conversations/{chats['m4']}/read", {"up_to": "m4"})
    assert overview(ana) == ["again"]
    ana.post(f"/api/conversations/{chats['m1']}/unread", {})

    set_(ana, chats["m1"], "archived", False)
    assert pages(ana) == ["again", "m5", "m3", "m2", "m0"]
    assert ana.get("/unread").get_json()["conversations"] == 5
    set_(ana, chats["m4"], "archived", False)
    assert overview(ana) == []


def test_an_archived_chat_cannot_be_pinned(ana: Browser, chats: dict[str, str]) -> None:
    set_(ana, chats["m1"], "archived", True)
    answer = ana.post(f"/api/conversations/{chats['m1']}/pinned", {"pinned": True})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "archived")
    assert archived(ana)[0]["pinned"] is False


def test_who_needs_a_person_is_listed_though_archived(ana: Browser, chats: dict[str, str]) -> None:
    set_(ana, chats["m1"], "archived", True)
    with datastore.context():
        for name in ("m1", "m3"):
            found = datastore.get(Conversation, chats[name])
            assert found is not None
            found.needs_you = True
            found.put()
    assert pages(ana, "needs_you", 1) == ["m3", "m1"]


# --- names ------------------------------------------------------------------------------------


def test_the_businesss_name_wins_and_outlives_the_customers_changes(
    client: FlaskClient, ana: Browser
) -> None:
    deliver(client, call(text_message("a"), contacts=[contact("Mari")]))
    chat = ana.conversations()[0]["id"]
    told = ana.post(f"/api/conversations/{chat}/name", {"name": "  Maria   da Loja "}).get_json()
    assert (told["conversation"]["name"], told["conversation"]["told_name"]) == (
        "Maria da Loja",
        "Mari",
    )
    deliver(client, call(text_message("b", at=NOON + 5), contacts=[contact("Mariazinha")]))
    (now,) = ana.conversations()
    assert (now["name"], now["told_name"]) == ("Maria da Loja", "Mariazinha")
    event = json.loads(published("message.created")[-1].data)
    assert event["conversation"]["name"] == "Maria da Loja"
    # What Claude and the customer may get to see is the customer's own.
    assert ana.thread(chat)[-1]["author"]["name"] == "Mariazinha"
    ana.post(f"/api/conversations/{chat}/name", {"name": ""})
    (now,) = ana.conversations()
    assert (now["name"], now["told_name"]) == ("Mariazinha", None)


# --- labels -----------------------------------------------------------------------------------


def test_labels_are_made_renamed_recoloured_and_deleted(ana: Browser) -> None:
    first = ana.get("/api/labels").get_json()
    assert [each["name"] for each in first["labels"]][:2] == ["Novo cliente", "Novo pedido"]
    made = ana.post("/api/labels", {"name": " VIP ", "colour": 4})
    assert made.status_code == 201
    id_ = made.get_json()["label"]["id"]
    assert made.get_json()["label"] == {"id": id_, "name": "VIP", "colour": 4}
    ana.post(f"/api/labels/{id_}", {"name": "Cliente ouro"})
    ana.post(f"/api/labels/{id_}", {"colour": 6})
    book = ana.get("/api/labels").get_json()
    assert book["labels"][-1] == {"id": id_, "name": "Cliente ouro", "colour": 6}
    gone = ana.client.delete(f"/api/labels/{id_}", headers={"X-CSRFToken": ana.token})
    assert gone.get_json()["labels"] == first["labels"]
    told = [json.loads(each.data) for each in published("labels.changed")]
    assert [each["version"] for each in told] == [1, 2, 3, 4]
    assert told[2]["labels"] == book["labels"]
    again = ana.post(f"/api/labels/{id_}", {"colour": 1})
    assert again.get_json()["error"]["code"] == "label_not_found"


def test_names_of_labels_are_unique_and_their_number_is_bounded(ana: Browser) -> None:
    answer = ana.post("/api/labels", {"name": "novo CLIENTE", "colour": 1})
    assert answer.status_code == 409
    assert answer.get_json()["error"]["message"] == "Já existe uma etiqueta com este nome."
    answer = ana.post("/api/labels/paid", {"name": "Novo pedido"})
    assert answer.status_code == 409
    assert ana.post("/api/labels/paid", {"name": "PAGO"}).status_code == 200  # its own
    codes = [ana.post("/api/labels", {"name": f"n{n}"}).status_code for n in range(17)]
    assert codes == [201] * 15 + [409] * 2


def test_two_who_label_a_chat_at_once_lose_nothing(
    sending_app: Flask, ana: Browser, chats: dict[str, str]
) -> None:
    bruno, chat = login(sending_app, "bruno"), chats["m1"]
    label(ana, chat, add=["paid"])
    run_together(
        lambda: label(ana, chat, add=["new-order"], remove=["paid"]),
        lambda: label(bruno, chat, add=["new-customer"]),
    )
    told = next(each for each in ana.conversations() if each["id"] == chat)
    assert told["labels"] == ["new-customer", "new-order"]


def test_the_list_is_filtered_by_label_page_by_page_with_archived_chats_last(
    ana: Browser, chats: dict[str, str]
) -> None:
    for name in ("m0", "m2", "m3", "m5"):
        label(ana, chats[name], add=["paid", "new-order"] if name == "m2" else ["paid"])
    label(ana, chats["m4"], add=["new-order"])
    set_(ana, chats["m0"], "pinned", True)
    set_(ana, chats["m5"], "archived", True)
    for limit in (1, 2, 3, 50):
        assert pages(ana, "label:paid", limit) == ["m0", "m3", "m2", "m5"]
    assert pages(ana, "label:new-order") == ["m4", "m2"]
    label(ana, chats["m3"], remove=["paid"])
    assert pages(ana, "label:paid") == ["m0", "m2", "m5"]
    assert pages(ana, "label:none") == []


def test_a_deleted_label_is_taken_off_with_the_next_change(
    ana: Browser, chats: dict[str, str]
) -> None:
    label(ana, chats["m1"], add=["paid"])
    ana.client.delete("/api/labels/paid", headers={"X-CSRFToken": ana.token})
    answer = ana.post(f"/api/conversations/{chats['m2']}/labels", {"add": ["paid"]})
    assert answer.status_code == 404
    assert label(ana, chats["m1"], add=["new-order"]) == ["new-order"]


# --- notes ------------------------------------------------------------------------------------


def test_notes_are_shared_and_two_who_write_at_once_lose_nothing_silently(
    sending_app: Flask, ana: Browser, chats: dict[str, str]
) -> None:
    bruno, path = login(sending_app, "bruno"), f"/api/conversations/{chats['m1']}/notes"
    empty = ana.get(path).get_json()["notes"]
    assert empty == {"text": "", "version": 0, "changed_by": None, "changed_at": None}
    texts = {"ana": "Paga no dia 10\nGosta de café", "bruno": "Ligar antes"}
    both = {"ana": ana, "bruno": bruno}
    answers = run_together(
        *(
            lambda name=name: both[name].post(path, {"text": texts[name], "version": 0})
            for name in both
        )
    )
    assert sorted(each.status_code for each in answers) == [200, 409]
    first = "ana" if answers[0].status_code == 200 else "bruno"
    second = "bruno" if first == "ana" else "ana"
    refusal = next(each for each in answers if each.status_code == 409).get_json()["error"]
    assert refusal["code"] == "notes_changed"
    assert refusal["message"] == f"{first.title()} alterou as anotações enquanto você escrevia."
    now = both[second].get(path).get_json()["notes"]
    assert (now["text"], now["version"], now["changed_by"]) == (texts[first], 1, first.title())
    answer = both[second].post(path, {"text": texts[second], "version": 1})
    assert answer.get_json()["notes"]["version"] == 2
    # The answer got lost, and the browser asks again.
    answer = both[second].post(path, {"text": texts[second], "version": 1})
    assert answer.get_json()["notes"]["version"] == 2
    told = [json.loads(each.data)["notes"]["text"] for each in published("notes.changed")]
    assert told == [texts[first], texts[second]]


# --- two conversations become one -------------------------------------------------------------


def two_of_maria(client: FlaskClient, ana: Browser) -> tuple[str, str]:
    """Maria wrote by her number, and by her BSUID; (older, younger)."""
    deliver(client, call(text_message("older", at=NOON)))
    deliver(
        client, call(text_message("younger", at=NOON + 9, **{"from": None, "from_user_id": "B.1"}))
    )
    chats = ids(ana)
    return chats["older"], chats["younger"]


def become_one(client: FlaskClient) -> None:
    message = text_message("proof", at=NOON + 20, **{"from": MARIA, "from_user_id": "B.1"})
    deliver(client, call(message))
    assert len(live_conversations()) == 1


def test_a_merge_keeps_pins_labels_notes_and_name_of_both(
    client: FlaskClient, ana: Browser
) -> None:
    older, younger = two_of_maria(client, ana)
    label(ana, older, add=["paid"])
    label(ana, younger, add=["new-order"])
    set_(ana, older, "pinned", True)
    set_(ana, younger, "pinned", True)
    ana.post(f"/api/conversations/{older}/name", {"name": "Mari"})
    ana.post(f"/api/conversations/{younger}/name", {"name": "Maria da Loja"})
    for chat, text in ((older, "Paga à vista"), (younger, "Prefere à tarde")):
        ana.post(f"/api/conversations/{chat}/notes", {"text": text, "version": 0})
    become_one(client)
    (now,) = ana.conversations()
    assert now["id"] == older
    assert (now["pinned"], now["archived"], now["name"]) == (True, False, "Maria da Loja")
    assert sorted(now["labels"]) == ["new-order", "paid"]
    for chat in (older, younger):
        found = ana.get(f"/api/conversations/{chat}/notes").get_json()["notes"]
        assert found["text"] == "Paga à vista\n\nPrefere à tarde"
        assert found["version"] == 2
    assert pages(ana, "label:new-order") == ["proof"]
    # Both pins have become one: there is room for two more.
    for n in range(3):
        write(client, n, at=NOON + 50)
    others = [each["id"] for each in ana.conversations() if not each["pinned"]]
    path = "/api/conversations/{}/pinned"
    codes = [ana.post(path.format(chat), {"pinned": True}).status_code for chat in others]
    assert codes == [200, 200, 409]


@pytest.mark.parametrize("which", ["older", "younger"])
@pytest.mark.parametrize("read", [True, False])
def test_a_merge_keeps_the_archive_and_hides_nothing_unread(
    client: FlaskClient, ana: Browser, which: str, read: bool
) -> None:
    chats = dict(zip(("older", "younger"), two_of_maria(client, ana), strict=True))
    other = "younger" if which == "older" else "older"
    set_(ana, chats[which], "archived", True)
    if read:
        ana.post(f"/api/conversations/{chats[other]}/read", {"up_to": other})
    become_one(client)
    assert (pages(ana), pages(ana, "archived")) == (([], ["proof"]) if read else (["proof"], []))


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("{}/pinned", {"pinned": 1}, "pinned"),
        ("{}/archived", {}, "archived"),
        ("{}/name", {"name": None}, "name"),
        ("{}/name", {"name": "x" * 101}, "name"),
        ("{}/labels", {"add": "paid"}, "add"),
        ("{}/labels", {"remove": [1]}, "remove"),
        ("{}/labels", {"add": ["paid"] * 21}, "add"),
        ("{}/notes", {"text": "a"}, "version"),
        ("{}/notes", {"text": "a", "version": True}, "version"),
        ("{}/notes", {"text": 7, "version": 0}, "text"),
        ("{}/notes", {"text": "x" * 4001, "version": 0}, "text"),
        ("/api/labels", {"name": "\u3164 "}, "name"),
        ("/api/labels", {"name": "a", "colour": 8}, "colour"),
        ("/api/labels", {"name": "a", "colour": "red"}, "colour"),
        ("/api/labels/paid", {"name": "x" * 61}, "name"),
    ],
)
def test_a_bad_change_is_named(
    ana: Browser, chats: dict[str, str], path: str, body: Any, field: str
) -> None:
    path = path if path.startswith("/") else f"/api/conversations/{path.format(chats['m1'])}"
    answer = ana.post(path, body)
    assert answer.status_code == 422
    assert answer.get_json()["error"]["field"] == field
    assert published("conversation.updated", "labels.changed", "notes.changed") == []


def test_half_a_character_is_refused(ana: Browser, chats: dict[str, str]) -> None:
    headers = {"X-CSRFToken": ana.token, "Content-Type": "application/json"}
    data = json.dumps({"name": "\ud83d"})
    path = f"/api/conversations/{chats['m1']}/name"
    assert ana.client.post(path, data=data, headers=headers).status_code == 422


@pytest.mark.parametrize("wanted", ["label:", "label:a b", "label", "pinned", "label:" + "x" * 65])
def test_a_filter_that_there_is_not_is_named(ana: Browser, wanted: str) -> None:
    answer = ana.get(f"/api/conversations?filter={wanted}")
    assert answer.status_code == 422
    assert answer.get_json()["error"]["field"] == "filter"


@pytest.mark.parametrize("what", ["pinned", "archived", "name", "labels", "notes"])
def test_a_chat_that_there_is_not_cannot_be_kept_in_order(ana: Browser, what: str) -> None:
    body = {"pinned": True, "archived": True, "name": "a", "text": "a", "version": 0}
    assert ana.post(f"/api/conversations/nobody/{what}", body).status_code == 404


def test_changes_need_the_csrf_token(ana: Browser, chats: dict[str, str]) -> None:
    for path in (f"/api/conversations/{chats['m1']}/pinned", "/api/labels", "/api/labels/paid"):
        answer = ana.client.post(path, json={"pinned": True, "name": "a"})
        assert answer.get_json()["error"]["code"] == "bad_csrf_token"
    answer = ana.client.delete("/api/labels/paid")
    assert answer.get_json()["error"]["code"] == "bad_csrf_token"

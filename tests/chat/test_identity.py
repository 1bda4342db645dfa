"""Who is who: aliases, both forms of a Brazilian number, merges, numbers that change hands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.chat.support import (
    MARIA,
    NOON,
    Browser,
    call,
    contact,
    deliver,
    live_conversations,
    payload,
    published,
    run_together,
    text_message,
)

pytestmark = pytest.mark.store

EIGHT = "551187654321"
OTHER = "5521998877665"


def bsuid_text(wamid: str, body: str, bsuid: str, at: int = NOON, **other: Any) -> dict[str, Any]:
    """A text that names a BSUID; `from` is left out unless given."""
    return text_message(wamid, body, at, **{"from": None, "from_user_id": bsuid, **other})


def changed_number(at: int, new: str, old: str = MARIA, **system: str) -> dict[str, Any]:
    """WhatsApp's notice that a customer has another number."""
    body = {"body": "mudou de número", "wa_id": new, "type": "user_changed_number", **system}
    return {
        "from": old,
        "id": f"wamid.change.{old}.{new}",
        "timestamp": str(at),
        "type": "system",
        "system": body,
    }


def threads(ana: Browser) -> dict[str, list[str]]:
    """What the customers wrote, by the name or number of the chat."""
    return {
        each["name"]: [m["text"] for m in ana.thread(each["id"]) if m["type"] != "system"]
        for each in ana.conversations()
    }


def test_two_first_messages_at_once_make_one_conversation(app: Flask, ana: Browser) -> None:
    calls = [call(text_message(f"w{i}", str(i), NOON + i)) for i in range(8)]
    jobs = [lambda data=data: deliver(app.test_client(), data).status_code for data in calls]
    assert run_together(*jobs) == [200] * 8
    assert ana.texts() == [str(i) for i in range(8)]


def test_both_forms_of_a_brazilian_number_at_once_make_one_conversation(
    app: Flask, ana: Browser
) -> None:
    calls = [
        call(text_message(f"w{i}", str(i), NOON + i, **{"from": (MARIA, EIGHT)[i % 2]}))
        for i in range(8)
    ]
    jobs = [lambda data=data: deliver(app.test_client(), data).status_code for data in calls]
    assert run_together(*jobs) == [200] * 8
    assert ana.texts() == [str(i) for i in range(8)]


def test_first_messages_with_number_and_with_bsuid_at_once_make_one_conversation(
    app: Flask, ana: Browser
) -> None:
    calls = [
        call(text_message("a", "0", NOON)),
        call(bsuid_text("b", "1", "BR.1", NOON + 1)),
        call(bsuid_text("c", "2", "BR.1", NOON + 2, **{"from": MARIA})),
    ]
    jobs = [lambda data=data: deliver(app.test_client(), data).status_code for data in calls]
    assert run_together(*jobs) == [200] * 3
    assert ana.texts() == ["0", "1", "2"]


def test_customers_without_a_number_keep_their_chat(client: FlaskClient, ana: Browser) -> None:
    person = {"user_id": "BR.1349", "profile": {"username": "maria.bikes"}}
    deliver(client, call(bsuid_text("a", "oi", "BR.1349"), contacts=[person]))
    deliver(client, call(bsuid_text("b", "alô", "BR.1349", NOON + 1)))
    deliver(client, call(bsuid_text("c", "outra pessoa", "BR.77", NOON + 2)))
    assert threads(ana) == {"@maria.bikes": ["oi", "alô"], "Cliente": ["outra pessoa"]}
    assert ana.conversations()[0]["phone"] is None


def test_one_message_merges_two_chats_of_one_person(client: FlaskClient, ana: Browser) -> None:
    deliver(client, call(text_message("a", "1", NOON), contacts=[contact("Maria")]))
    deliver(client, call(bsuid_text("b", "2", "BR.1", NOON + 1)))
    loser, winner = (each["id"] for each in ana.conversations())
    deliver(client, call(bsuid_text("c", "3", "BR.1", NOON + 2, **{"from": MARIA})))
    assert ana.texts() == ["1", "2", "3"]
    # The id that a page still shows leads to the one that stayed.
    assert ana.get(f"/api/conversations/{loser}").get_json()["conversation"]["id"] == winner
    assert [m["conversation_id"] for m in ana.thread(loser)] == [winner] * 3
    deliver(client, call(bsuid_text("d", "4", "BR.1", NOON + 3)))
    deliver(client, call(text_message("e", "5", NOON + 4)))
    assert ana.texts() == ["1", "2", "3", "4", "5"]
    told = [json.loads(e.data) for e in published()]
    merged = [data for data in told if "merged_into" in data]
    assert [(d["conversation"]["id"], d["merged_into"]) for d in merged] == [(loser, winner)]


def test_a_merged_thread_has_no_gap_between_its_pages(client: FlaskClient, ana: Browser) -> None:
    # Same second, same arrival numbers in both chats.
    deliver(client, call(*[text_message(f"a{i}", f"a{i}", NOON) for i in range(70)]))
    deliver(client, call(*[bsuid_text(f"b{i}", f"b{i}", "BR.1", NOON) for i in range(70)]))
    deliver(client, call(bsuid_text("c", "fim", "BR.1", NOON + 1, **{"from": MARIA})))
    texts = ana.texts()
    assert len(texts) == 141
    assert set(texts) == {f"{chat}{i}" for chat in "ab" for i in range(70)} | {"fim"}
    assert [text for text in texts if text[0] == "a"] == [f"a{i}" for i in range(70)]


def test_a_repeat_after_a_merge_changes_nothing(client: FlaskClient, ana: Browser) -> None:
    calls = [
        call(text_message("a", "1", NOON)),
        call(bsuid_text("b", "2", "BR.1", NOON + 1)),
        call(bsuid_text("c", "3", "BR.1", NOON + 2, **{"from": MARIA})),
    ]
    for data in calls * 2:
        deliver(client, data)
    assert ana.texts() == ["1", "2", "3"]


def test_a_change_of_number_keeps_the_chat(client: FlaskClient, ana: Browser) -> None:
    deliver(client, payload("text"))
    deliver(client, payload("system_changed_number"))
    deliver(client, call(bsuid_text("n", "número novo", "BR.2000", NOON + 9, **{"from": OTHER})))
    (conversation,) = ana.conversations()
    assert conversation["phone"] == "+55 21 99887-7665"
    kinds = [message["type"] for message in ana.thread(conversation["id"])]
    assert kinds == ["text", "system", "text"]
    # A notice is no word of the customer's: it does not open the 24 hours.
    assert conversation["window_expires_at"] == "2025-11-02T12:00:09.000Z"


def test_a_change_of_number_without_bsuid_expects_a_new_one(
    client: FlaskClient, ana: Browser
) -> None:
    deliver(client, call(bsuid_text("a", "antes", "BR.1", NOON, **{"from": MARIA})))
    deliver(client, call(changed_number(NOON + 10, OTHER)))
    # Late, from before the change: neither number nor BSUID leads astray.
    deliver(client, call(bsuid_text("b", "no meio", "BR.1", NOON + 5, **{"from": MARIA})))
    deliver(client, call(bsuid_text("c", "depois", "BR.2", NOON + 20, **{"from": OTHER})))
    assert threads(ana) == {"+55 21 99887-7665": ["antes", "no meio", "depois"]}


def test_a_changed_bsuid_keeps_the_chat(client: FlaskClient, ana: Browser) -> None:
    deliver(client, call(bsuid_text("a", "1", "BR.1349", NOON)))
    deliver(client, payload("system_changed_user_id"))
    deliver(client, call(bsuid_text("b", "2", "BR.2000", NOON + 9)))
    assert threads(ana) == {"Cliente": ["1", "2"]}


def test_a_user_id_update_keeps_the_chat(client: FlaskClient, ana: Browser) -> None:
    deliver(client, call(bsuid_text("a", "1", "BR.1349", NOON)))
    for _ in range(2):
        deliver(client, payload("user_id_update"))
    deliver(client, call(bsuid_text("b", "2", "BR.2000", NOON + 9)))
    assert list(threads(ana).values()) == [["1", "2"]]


def test_an_old_number_that_somebody_else_got_makes_a_new_chat(
    client: FlaskClient, ana: Browser
) -> None:
    deliver(client, call(text_message("a", "Maria aqui", NOON), contacts=[contact("Maria")]))
    deliver(client, call(changed_number(NOON + 10, OTHER)))
    stranger = text_message("s", "quem fala?", NOON + 90 * 86_400)
    deliver(client, call(stranger, contacts=[contact("Estranho")]))
    # From before the change, delivered after all of it.
    deliver(client, call(text_message("late", "atrasada", NOON + 5)))
    assert threads(ana) == {"Estranho": ["quem fala?"], "Maria": ["Maria aqui", "atrasada"]}


def test_a_number_with_another_bsuid_has_changed_hands(client: FlaskClient, ana: Browser) -> None:
    first = bsuid_text("a", "Maria aqui", "BR.1", NOON, **{"from": MARIA})
    second = bsuid_text("b", "quem fala?", "BR.2", NOON + 99, **{"from": MARIA})
    deliver(client, call(first, contacts=[contact("Maria")]))
    deliver(client, call(second, contacts=[contact("Estranho")]))
    deliver(client, call(text_message("c", "só o número", NOON + 100)))
    deliver(client, call(bsuid_text("d", "só o BSUID", "BR.1", NOON + 101)))
    assert threads(ana) == {
        "Maria": ["Maria aqui", "só o BSUID"],
        "Estranho": ["quem fala?", "só o número"],
    }


def test_a_number_taken_over_leaves_its_former_holders_chat_alone(
    client: FlaskClient, ana: Browser
) -> None:
    deliver(client, call(text_message("a", "oi", NOON), contacts=[contact("Maria")]))
    old = text_message("b", "eu tinha este número", NOON, **{"from": OTHER})
    deliver(client, call(old, contacts=[contact("Antigo", OTHER)]))
    deliver(client, call(changed_number(NOON + 86_400, OTHER)))
    new = text_message("c", "agora é meu", NOON + 86_500, **{"from": OTHER})
    deliver(client, call(new))
    assert threads(ana) == {"Maria": ["oi", "agora é meu"], "Antigo": ["eu tinha este número"]}


def test_a_notice_that_comes_after_the_first_message_from_the_new_number_merges(
    client: FlaskClient, ana: Browser
) -> None:
    deliver(client, call(text_message("a", "1", NOON)))
    deliver(client, call(text_message("b", "2", NOON + 20, **{"from": OTHER})))
    assert len(live_conversations()) == 2
    deliver(client, call(changed_number(NOON + 10, OTHER)))
    assert threads(ana) == {"+55 21 99887-7665": ["1", "2"]}


def test_two_changes_of_number_in_the_wrong_order_end_at_the_last(
    client: FlaskClient, ana: Browser
) -> None:
    last = "5531991234567"
    deliver(client, call(text_message("a", "1", NOON)))
    deliver(client, call(changed_number(NOON + 20, last, old=OTHER)))
    deliver(client, call(changed_number(NOON + 10, OTHER)))
    deliver(client, call(text_message("b", "2", NOON + 30, **{"from": last})))
    assert threads(ana) == {"+55 31 99123-4567": ["1", "2"]}


def test_messages_and_a_change_in_one_call_are_one_group(client: FlaskClient, ana: Browser) -> None:
    deliver(
        client,
        call(
            text_message("b", "2", NOON + 20, **{"from": OTHER}),
            changed_number(NOON + 10, OTHER),
            text_message("a", "1", NOON),
        ),
    )
    assert threads(ana) == {"+55 21 99887-7665": ["1", "2"]}
    assert ana.conversations()[0]["version"] == 1


def test_answers_go_to_the_bsuid_written_from_last(client: FlaskClient, ana: Browser) -> None:
    def update(previous: str, current: str) -> Any:
        value = {"user_id_update": [{"user_id": {"previous": previous, "current": current}}]}
        return {"entry": [{"changes": [{"field": "user_id_update", "value": value}]}]}

    deliver(client, call(bsuid_text("a", "oi", "BR.1", NOON)))
    # The second change is told first, and the first one again much later.
    for change in (update("BR.2", "BR.3"), update("BR.1", "BR.2")):
        assert deliver(client, change).status_code == 200
    deliver(client, call(bsuid_text("b", "mudei", "BR.3", NOON + 60)))
    (conversation,) = live_conversations()
    assert conversation.bsuid == "BR.3"
    deliver(client, call(bsuid_text("late", "atrasada", "BR.2", NOON + 30)))
    (conversation,) = live_conversations()
    assert conversation.bsuid == "BR.3"
    assert ana.texts() == ["oi", "atrasada", "mudei"]

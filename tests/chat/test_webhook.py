"""The webhook: nothing lost, nothing twice, one bad update concerns itself only."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from google.api_core.exceptions import Aborted

from chat.conversation import thread
from chat.conversation.changing import WaitingChanges
from chat.conversation.models import Message
from chat.incoming import deferred, handling, webhook
from chat.incoming.deferred import DeferredUpdates, RejectedUpdate
from chat.platform import datastore
from chat.platform.settings import Settings
from message_status import WamidLink
from tests.chat.support import (
    NOON,
    PAYLOADS,
    Browser,
    call,
    contact,
    deliver,
    live_conversations,
    payload,
    published,
    run_together,
    signature,
    stored,
    text_message,
    wamids,
)
from tests.helpers import SETTINGS, wait_until

CRON = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}


def events() -> list[dict[str, Any]]:
    """All published events, oldest first."""
    found = published()
    return [
        {"type": e.type, "version": e.version, "chat": e.conversation_id, **json.loads(e.data)}
        for e in found
    ]


def test_the_handshake_answers_with_the_bare_challenge(client: FlaskClient) -> None:
    query = {
        "hub.mode": "subscribe",
        "hub.challenge": "1158201444",
        "hub.verify_token": SETTINGS["WHATSAPP_VERIFY_TOKEN"],
    }
    response = client.get("/webhook", query_string=query)
    assert (response.status_code, response.text) == (200, "1158201444")
    assert response.mimetype == "text/plain"


@pytest.mark.parametrize("change", [{"hub.verify_token": "x"}, {"hub.mode": "unsubscribe"}])
def test_the_handshake_refuses_others(client: FlaskClient, change: dict[str, str]) -> None:
    query = {
        "hub.mode": "subscribe",
        "hub.challenge": "1",
        "hub.verify_token": SETTINGS["WHATSAPP_VERIFY_TOKEN"],
    }
    assert client.get("/webhook", query_string=query | change).status_code == 403
    assert client.get("/webhook").status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": "sha256=é"},
        signature(b"another body"),
        signature(json.dumps(payload("text")).encode(), "another secret"),
    ],
)
def test_an_unsigned_call_stores_nothing(client: FlaskClient, headers: dict[str, str]) -> None:
    body = json.dumps(payload("text")).encode()
    assert client.post("/webhook", data=body, headers=headers).status_code == 403
    assert wamids() == []


def test_an_empty_secret_signs_nothing() -> None:
    body = b"{}"
    assert not webhook.signed(body, signature(body, "")["X-Hub-Signature-256"], "")


def test_the_signature_is_of_the_raw_bytes(client: FlaskClient) -> None:
    # Meta escapes what is not ASCII; another serialisation of the same JSON has other bytes.
    body = json.dumps(payload("text"), ensure_ascii=True, separators=(" , ", " :  ")).encode()
    assert b"\\u00ea" in body
    assert client.post("/webhook", data=body, headers=signature(body)).status_code == 200
    assert wamids() == ["wamid.text"]


@pytest.mark.store
def test_a_message_is_stored_and_told(client: FlaskClient, ana: Browser) -> None:
    assert deliver(client, payload("text")).status_code == 200
    (conversation,) = ana.conversations()
    assert conversation["name"] == "Maria Aparecida"
    assert conversation["phone"] == "+55 11 98765-4321"
    assert conversation["last_message"]["text"] == "Bom dia! Vocês abrem hoje?"
    assert conversation["window_expires_at"] == "2025-11-02T12:00:00.000Z"
    (message,) = ana.thread(conversation["id"])
    assert message["id"] == "wamid.text"
    assert message["author"] == {"kind": "customer", "name": "Maria Aparecida"}
    assert (message["direction"], message["status"]) == ("in", None)
    event, unread = events()
    assert (event["type"], unread["type"]) == ("message.created", "unread.changed")
    assert event["message"] == message
    assert event["conversation"] == conversation
    assert event["version"] == conversation["version"] == 1


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("*.json")))
def test_every_payload_is_answered_200_and_leaves_its_trace(
    client: FlaskClient, ana: Browser, name: str
) -> None:
    for _ in range(2):
        assert deliver(client, payload(name)).status_code == 200
    kept = sorted(
        type(entity).__name__
        for kind in (Message, WamidLink, RejectedUpdate, WaitingChanges)
        for entity in stored(kind)
    )
    nothing = ("other_fields", "empty", "errors_of_the_value", "user_id_update", "foreign_number",
               "status_unknown")  # fmt: skip
    otherwise = {
        "bad_item_among_good": ["Message"] * 2 + ["RejectedUpdate"] * 2,
        "two_entries": ["Message"] * 3,
        "messages_and_statuses": ["Message", "WamidLink"],
        "echo_text": ["Message", "WamidLink"],
        "echo_image": ["Message", "WamidLink"],
        "bad_timestamp": ["Message"],
        "bad_timestamp_year_9999": ["Message"],
    }
    kinds = {"bad": "RejectedUpdate", "status": "WamidLink"}
    if name.rpartition("_")[2] in ("reaction", "removed", "edit", "revoke"):
        usual = ["WaitingChanges"]
    else:
        usual = [kinds.get(name.partition("_")[0], "Message")]
    assert kept == ([] if name in nothing else otherwise.get(name, usual))
    for conversation in ana.conversations():
        for message in ana.thread(conversation["id"]):
            assert message["text"] or message["placeholder"]


@pytest.mark.store
def test_a_repeated_call_changes_nothing(client: FlaskClient, ana: Browser) -> None:
    calls = call(*[text_message(f"w{i}", str(i), NOON + i) for i in range(5)])
    deliver(client, calls)
    before = (ana.conversations(), len(events()))
    for _ in range(3):
        assert deliver(client, calls).status_code == 200
    assert (ana.conversations(), len(events())) == before


@pytest.mark.store
def test_a_repeat_within_one_call_is_one_message(client: FlaskClient) -> None:
    deliver(client, call(text_message("w"), text_message("w")))
    assert wamids() == ["w"]


@pytest.mark.store
def test_any_order_gives_the_same_thread(client: FlaskClient, ana: Browser) -> None:
    messages = [text_message(f"w{i:02}", str(i), NOON + i) for i in range(20)]
    shuffled = messages * 2
    random.Random(3).shuffle(shuffled)
    for message in shuffled:
        assert deliver(client, call(message)).status_code == 200
    assert ana.texts() == [str(i) for i in range(20)]
    assert ana.conversations()[0]["last_message"]["text"] == "19"


def test_an_older_message_does_not_become_the_last(client: FlaskClient, ana: Browser) -> None:
    deliver(client, call(text_message("new", "nova", NOON + 60)))
    deliver(client, call(text_message("old", "antiga", NOON)))
    assert ana.texts() == ["antiga", "nova"]
    assert ana.conversations()[0]["last_message"]["text"] == "nova"
    assert ana.conversations()[0]["window_expires_at"] == "2025-11-02T12:01:00.000Z"


@pytest.mark.store
def test_concurrent_repeats_are_stored_once(app: Flask) -> None:
    calls = [call(*[text_message(f"w{i}", at=NOON + i) for i in range(6)])] * 6
    jobs = [lambda data=data: deliver(app.test_client(), data).status_code for data in calls]
    assert run_together(*jobs) == [200] * 6
    assert wamids() == [f"w{i}" for i in range(6)]
    assert len(live_conversations()) == 1
    created = [event for event in events() if event["type"] == "message.created"]
    assert len(created) == 6


@pytest.mark.store
def test_concurrent_messages_of_one_customer_are_all_there(app: Flask, ana: Browser) -> None:
    calls = [call(text_message(f"w{i:02}", str(i), NOON + i)) for i in range(16)]
    jobs = [lambda data=data: deliver(app.test_client(), data).status_code for data in calls]
    assert run_together(*jobs) == [200] * 16
    assert ana.texts() == [str(i) for i in range(16)]
    versions = sorted(e["version"] for e in events() if e["type"] == "message.created")
    assert versions == sorted(set(versions)), "each transaction has a version of its own"
    arrivals = sorted(message.arrival for message in stored(Message))
    assert arrivals == list(range(1, 17))


@pytest.mark.store
def test_a_bad_item_is_set_aside_and_counted_once(client: FlaskClient, ana: Browser) -> None:
    for _ in range(2):
        assert deliver(client, payload("bad_item_among_good")).status_code == 200
    assert ana.texts() == ["Primeira", "Segunda"]
    reasons = sorted(rejected.reason for rejected in stored(RejectedUpdate))
    assert reasons == ["id: missing or not a usable text", "messages: not an object"]


def test_what_is_signed_and_no_json_is_set_aside(client: FlaskClient) -> None:
    assert deliver(client, b"{nonsense").status_code == 200
    (rejected,) = stored(RejectedUpdate)
    assert rejected.reason == "$: not JSON"


def test_nesting_beyond_all_reason_is_answered(client: FlaskClient) -> None:
    body = b'{"entry":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert deliver(client, body).status_code == 200


def test_an_item_that_cannot_be_stored_costs_no_neighbour(
    client: FlaskClient, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = thread.append_incoming

    def fails_on_one(conversation: Any, message: Any, *args: Any) -> Any:
        if message.wamid == "w2":
            raise TypeError("something nobody thought of")
        return append(conversation, message, *args)

    monkeypatch.setattr(handling, "append_incoming", fails_on_one)
    calls = call(*[text_message(f"w{i}", str(i), NOON + i) for i in range(5)])
    assert deliver(client, calls).status_code == 200
    assert ana.texts() == ["0", "1", "3", "4"]
    (rejected,) = stored(RejectedUpdate)
    assert "TypeError" in rejected.reason
    assert "w2" in rejected.raw


def test_half_a_character_is_repaired(client: FlaskClient, ana: Browser) -> None:
    calls = call(text_message("bad", "bom dia \ud83d"), text_message("good", "certo"))
    assert deliver(client, calls).status_code == 200
    assert ana.texts() == ["bom dia \ufffd", "certo"]
    assert stored(RejectedUpdate) == []


@pytest.mark.store
def test_a_conflict_that_does_not_end_is_left_for_later(
    client: FlaskClient, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def conflict(*_args: Any) -> Any:
        raise Aborted("conflict")

    with monkeypatch.context() as patched:
        patched.setattr(handling, "_store_together", conflict)
        patched.setattr(deferred, "pending", lambda: False)
        assert deliver(client, call(text_message("w", "calma"))).status_code == 200
    assert wamids() == []
    assert client.get("/tasks/deferred", headers=CRON).get_json()["done"] == 1
    assert ana.texts() == ["calma"]


@pytest.fixture
def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on App Engine: nothing goes on after the answer."""
    monkeypatch.setattr(webhook, "work_off_soon", lambda: None)


def test_past_its_time_a_call_is_finished_right_after_the_answer(
    app: Flask, client: FlaskClient
) -> None:
    app.extensions["chat_settings"] = Settings.from_env({**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 0})
    assert deliver(client, call(text_message("w"))).status_code == 200
    wait_until(lambda: wamids() == ["w"] and stored(DeferredUpdates) == [])


@pytest.mark.store
@pytest.mark.usefixtures("no_thread")
def test_past_its_time_a_call_is_stored_raw_and_finished_later(
    app: Flask, client: FlaskClient, ana: Browser
) -> None:
    app.extensions["chat_settings"] = Settings.from_env({**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 0})
    messages = [
        text_message(f"w{i}", str(i), NOON + i, **{"from": f"55119876543{i:02}"}) for i in range(4)
    ]
    calls = call(*messages, contacts=[contact("Três", "5511987654303")])
    assert deliver(client, calls).status_code == 200
    assert wamids() == []
    assert len(stored(DeferredUpdates)) == 1
    assert client.get("/tasks/deferred", headers=CRON).get_json()["done"] == 1
    assert wamids() == ["w0", "w1", "w2", "w3"]
    assert stored(DeferredUpdates) == []
    assert "Três" in [each["name"] for each in ana.conversations()]
    sent = {m["sent_at"] for each in ana.conversations() for m in ana.thread(each["id"])}
    assert "2025-11-01T12:00:03.000Z" in sent


@pytest.mark.store
@pytest.mark.usefixtures("no_thread")
def test_the_next_call_finishes_what_was_left(app: Flask, client: FlaskClient) -> None:
    app.extensions["chat_settings"] = Settings.from_env({**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 0})
    deliver(client, call(text_message("first")))
    app.extensions["chat_settings"] = Settings.from_env({**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 30})
    deliver(client, call(text_message("second", **{"from": "5521998877665"})))
    assert wamids() == ["first", "second"]
    assert stored(DeferredUpdates) == []


@pytest.mark.store
@pytest.mark.usefixtures("no_thread")
def test_deferred_updates_are_handled_by_one_at_a_time(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.extensions["chat_settings"] = Settings.from_env({**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 0})
    deliver(client, call(text_message("w")))
    handled: list[Any] = []
    monkeypatch.setattr(deferred, "take_in", lambda body, _ms: handled.append(body))

    def work() -> int:
        with datastore.context():
            return deferred.work_off(time.monotonic() + 5)

    assert sum(run_together(work, work, work)) == 1
    assert len(handled) == 1


@pytest.mark.store
def test_statuses_of_unknown_messages_wait_once_and_change_nothing(client: FlaskClient) -> None:
    for name in ("status_sent", "status_read", "status_sent", "status_failed"):
        assert deliver(client, payload(name)).status_code == 200
    (link,) = stored(WamidLink)
    assert sorted(link.status_facts["times"]) == ["failed", "read", "sent"]
    assert link.status == "read", "what came in the end does not undo an arrival"
    assert events() == []


@pytest.mark.store
@pytest.mark.usefixtures("no_thread")
def test_statuses_past_the_time_of_a_call_are_handled_later(
    app: Flask, client: FlaskClient
) -> None:
    app.extensions["chat_settings"] = Settings.from_env({**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 0})
    statuses = [{"id": f"w{n}", "status": "sent"} for n in range(250)]
    assert deliver(client, call(statuses=statuses)).status_code == 200
    assert stored(WamidLink) == []
    with datastore.context():
        assert webhook.work_off_deferred(30) == 1
    assert len(stored(WamidLink)) == 250
    assert stored(DeferredUpdates) == []


@pytest.mark.store
def test_a_thousand_updates_in_one_call_are_all_stored(client: FlaskClient, ana: Browser) -> None:
    messages = [
        text_message(f"w{i}", str(i), NOON + i, **{"from": f"55119{i % 40:08}"})
        for i in range(1000)
    ]
    client.application.extensions["chat_settings"] = Settings.from_env(
        {**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 60}
    )
    assert deliver(client, call(*messages)).status_code == 200
    assert len(wamids()) == 1000
    assert len(ana.conversations()) == 40
    texts = [message["text"] for message in ana.thread(ana.conversations()[0]["id"])]
    assert texts == [str(i) for i in range(39, 1000, 40)]


@pytest.mark.store
def test_more_than_a_chunk_of_one_customer_keeps_its_order(
    client: FlaskClient, ana: Browser
) -> None:
    client.application.extensions["chat_settings"] = Settings.from_env(
        {**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 60}
    )
    count = handling.CHUNK * 2 + 30
    messages = [text_message(f"w{i}", str(i), NOON) for i in range(count)]
    assert deliver(client, call(*messages)).status_code == 200
    assert ana.texts() == [str(i) for i in range(count)]
    assert ana.conversations()[0]["version"] == 3


def test_a_new_profile_name_is_told(client: FlaskClient, ana: Browser) -> None:
    deliver(client, call(text_message("a", at=NOON), contacts=[contact("Maria")]))
    deliver(client, call(text_message("c", at=NOON + 9), contacts=[contact("Maria Silva")]))
    # An older message that arrives late carries the older name.
    deliver(client, call(text_message("b", at=NOON + 5), contacts=[contact("Maria")]))
    assert ana.conversations()[0]["name"] == "Maria Silva"
    updated = [event for event in events() if event["type"] == "conversation.updated"]
    assert [event["conversation"]["name"] for event in updated] == ["Maria Silva"]


def test_a_reply_shows_what_it_answers(client: FlaskClient, ana: Browser) -> None:
    deliver(client, payload("text"))
    deliver(client, payload("reply"))
    (conversation,) = ana.conversations()
    reply = ana.thread(conversation["id"])[1]["reply_to"]
    assert reply["id"] == "wamid.text"
    assert reply["text"] == "Bom dia! Vocês abrem hoje?"


@pytest.mark.store
def test_a_reply_that_came_first_shows_it_too(client: FlaskClient, ana: Browser) -> None:
    deliver(client, payload("reply"))
    deliver(client, payload("text"))
    (conversation,) = ana.conversations()
    replies = [m["reply_to"] for m in ana.thread(conversation["id"]) if "reply_to" in m]
    assert [reply["text"] for reply in replies] == ["Bom dia! Vocês abrem hoje?"]


def test_a_body_over_the_limit_is_refused(client: FlaskClient) -> None:
    assert deliver(client, b" " * (webhook.MAX_BODY_BYTES + 1)).status_code == 413

"""Sending: in order, once, and every outcome is told."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import pytest
from flask import Flask

import message_status
import realtime_events
from chat.conversation.models import Message
from chat.outgoing import sending
from chat.outgoing.sending import Outbox
from chat.platform import datastore
from tests.chat.sending_support import ana, chat
from tests.chat.support import (
    MARIA,
    NOON,
    Browser,
    Graph,
    accepted,
    call,
    deliver,
    live_conversations,
    login,
    published,
    refused,
    run_together,
    stored,
    text_message,
)
from tests.helpers import SETTINGS, wait_until

__all__ = ["ana", "chat"]  # fixtures

pytestmark = pytest.mark.store

CRON = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}


def post(browser: Browser, chat: str, text: str, client_id: str | None = None, **other: Any) -> Any:
    body = {"client_id": client_id or str(uuid.uuid4()), "text": text, **other}
    return browser.post(f"/api/conversations/{chat}/messages", body)


def last(browser: Browser, chat: str) -> dict[str, Any]:
    return browser.thread(chat)[-1]


def status_events() -> list[dict[str, Any]]:
    found = published()
    return [json.loads(e.data) for e in found if e.type == "message.status_changed"]


def test_a_message_is_stored_told_and_sent(ana: Browser, chat: str, graph: Graph) -> None:
    client_id = str(uuid.uuid4())
    response = post(ana, chat, "Olá, Maria!", client_id)
    assert response.status_code == 201
    message = response.get_json()
    assert message["id"] == message["client_id"] == client_id
    assert message["author"] == {"kind": "attendant", "name": "Ana"}
    assert message["status"] == "sending"  # accepted is not sent
    (sent,) = graph.received
    assert (sent["to"], sent["text"]["body"]) == (f"+{MARIA}", "Olá, Maria!")
    assert sent["biz_opaque_callback_data"] == client_id
    assert last(ana, chat) == message
    preview = ana.conversations()[0]["last_message"]
    assert (preview["text"], preview["status"]) == ("Olá, Maria!", "sending")
    (entity,) = [each for each in stored(Message) if each.id == client_id]
    assert message_status.fact(entity, "wamid") == f"wamid.out.{client_id}"


def test_the_same_client_id_again_sends_nothing(ana: Browser, chat: str, graph: Graph) -> None:
    client_id = str(uuid.uuid4())
    first = post(ana, chat, "uma vez", client_id)
    again = post(ana, chat, "uma vez", client_id.upper())
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.get_json()["id"] == client_id
    assert graph.texts() == ["uma vez"]


def test_the_same_client_id_at_once_is_one_message(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    bruno = login(sending_app, "bruno")
    client_id = str(uuid.uuid4())
    jobs = [lambda who=who: post(who, chat, "uma vez", client_id) for who in (ana, bruno) * 2]
    assert sorted(r.status_code for r in run_together(*jobs)) == [200, 200, 200, 201]
    wait_until(lambda: graph.texts() == ["uma vez"])


def test_a_client_id_for_something_else_is_a_conflict(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    deliver(sending_app.test_client(), call(text_message("o", **{"from": "5521998877665"})))
    other = next(each["id"] for each in ana.conversations() if each["id"] != chat)
    client_id = str(uuid.uuid4())
    post(ana, chat, "certo", client_id)
    for response in (post(ana, chat, "errado", client_id), post(ana, other, "certo", client_id)):
        assert response.status_code == 409
        assert response.get_json()["error"]["field"] == "client_id"
    assert graph.texts() == ["certo"]


def test_messages_go_out_in_their_order(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    gate = threading.Event()

    def first_is_slow(body: dict[str, Any]) -> tuple[int, Any]:
        if len(graph.received) == 1:
            gate.wait(20)
        return accepted(body)

    graph.answer = first_is_slow
    sending_app.extensions["chat_sender"]._wait_seconds = 0
    texts = [str(i) for i in range(8)]
    for text in texts:
        assert post(ana, chat, text).status_code == 201
    gate.set()
    wait_until(lambda: len(graph.received) >= 8)
    assert graph.texts() == texts
    assert [message["text"] for message in ana.thread(chat)] == ["oi", *texts]
    wait_until(lambda: all(not outbox.queue for outbox in stored(Outbox)))


def test_many_senders_at_once_send_each_message_once(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    bruno = login(sending_app, "bruno")
    jobs = [lambda i=i: post((ana, bruno)[i % 2], chat, str(i)).status_code for i in range(10)]
    assert run_together(*jobs) == [201] * 10
    wait_until(lambda: all(not outbox.queue for outbox in stored(Outbox)))
    assert sorted(graph.texts()) == sorted(str(i) for i in range(10))
    written = [message["text"] for message in ana.thread(chat) if message["direction"] == "out"]
    assert graph.texts() == written


def test_a_refused_message_says_why_and_keeps_its_text(
    ana: Browser, chat: str, graph: Graph
) -> None:
    graph.answer = lambda _body: refused(131047)
    response = post(ana, chat, "tarde demais")
    assert response.status_code == 201
    message = last(ana, chat)
    assert (message["status"], message["text"]) == ("failed", "tarde demais")
    assert message["error"]["code"] == "131047"
    assert "24 horas" in message["error"]["message"]
    assert ana.conversations()[0]["last_message"]["status"] == "failed"
    (event,) = status_events()
    assert event["message_id"] == event["client_id"] == message["id"]
    assert (event["status"], event["error"]) == ("failed", message["error"])
    assert set(event["statuses"]) == {"sending", "failed"}


def test_after_a_refusal_the_next_message_goes_out(ana: Browser, chat: str, graph: Graph) -> None:
    answers = [refused(131000, 500), None]
    graph.answer = lambda body: answers.pop(0) or accepted(body)
    post(ana, chat, "um")
    post(ana, chat, "dois")
    one, two = ana.thread(chat)[-2:]
    assert (one["status"], two["status"]) == ("failed", "sending")
    assert "error" not in two


def test_an_unknown_outcome_stays_sending_and_is_never_sent_again(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    graph.answer = lambda _body: None
    post(ana, chat, "chegou?")
    message = last(ana, chat)
    assert (message["status"], message["error"]["code"]) == ("sending", "unconfirmed")
    assert [event["error"]["code"] for event in status_events()] == ["unconfirmed"]
    sending_app.test_client().get("/tasks/outbox", headers=CRON)
    assert graph.texts() == ["chegou?"]


def crash_before(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What the process would have done from here on never happens."""

    def die(*_args: Any, **_kwargs: Any) -> Any:
        raise RuntimeError("the process dies here")

    monkeypatch.setattr(sending, name, die)


def expire_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    now = sending._now_ms
    monkeypatch.setattr(sending, "_now_ms", lambda: now() + 60_000)


def test_a_message_whose_process_died_before_the_attempt_is_sent_by_the_sweep(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        crash_before(patched, "_claim")
        assert post(ana, chat, "deixada").status_code == 201
    assert graph.received == []
    response = sending_app.test_client().get("/tasks/outbox", headers=CRON)
    assert response.get_json()["done"] == 1
    assert graph.texts() == ["deixada"]
    assert "error" not in last(ana, chat)


def test_a_message_whose_process_died_in_the_attempt_is_unconfirmed(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        crash_before(patched, "_surely")
        post(ana, chat, "no meio")
        post(ana, chat, "a seguinte")  # waits behind it: the lease still holds
    sending_app.test_client().get("/tasks/outbox", headers=CRON)
    assert graph.texts() == ["no meio"]
    expire_leases(monkeypatch)
    sending_app.test_client().get("/tasks/outbox", headers=CRON)
    assert graph.texts() == ["no meio", "a seguinte"]
    one, two = ana.thread(chat)[-2:]
    assert one["error"]["code"] == "unconfirmed"
    assert "error" not in two


def test_without_connection_messages_wait_in_order_and_go_out_later(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sending_app.extensions["chat_sender"]._whatsapp
    right = client._url
    client._url = "http://127.0.0.1:9/messages"
    post(ana, chat, "um")
    post(ana, chat, "dois")
    assert [message["status"] for message in ana.thread(chat)[-2:]] == ["sending", "sending"]
    assert ana.thread(chat)[-2]["error"]["code"] == "unreachable"
    client._url = right
    expire_leases(monkeypatch)
    sending_app.test_client().get("/tasks/outbox", headers=CRON)
    assert graph.texts() == ["um", "dois"]
    assert all("error" not in message for message in ana.thread(chat))
    assert [event["error"] and event["error"]["code"] for event in status_events()][-1] is None


def test_without_connection_for_too_long_it_has_failed(
    sending_app: Flask, ana: Browser, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending_app.extensions["chat_sender"]._whatsapp._url = "http://127.0.0.1:9/messages"
    monkeypatch.setattr(sending, "GIVE_UP_MS", 0)
    post(ana, chat, "desisto")
    message = last(ana, chat)
    assert (message["status"], message["error"]["code"]) == ("failed", "unreachable")


def test_the_store_may_be_away_when_the_outcome_comes(
    ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    transaction, failures = realtime_events.transaction, [datastore.StoreUnavailableError("away")]

    def sometimes(callback: Any) -> Any:
        if graph.received and failures:
            raise failures.pop()
        return transaction(callback)

    monkeypatch.setattr(sending.realtime_events, "transaction", sometimes)
    monkeypatch.setattr(sending.time, "sleep", lambda _seconds: None)
    post(ana, chat, "sei que foi")
    assert failures == []
    assert "error" not in last(ana, chat)


def test_the_number_that_whatsapp_answers_leads_to_the_same_chat(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    graph.answer = lambda body: accepted(body, wa_id="551187654321")
    post(ana, chat, "olá")
    deliver(
        sending_app.test_client(),
        call(text_message("b", "eu", NOON + 9, **{"from": "551187654321"})),
    )
    assert [each.phone for each in live_conversations()] == ["551187654321"]
    post(ana, chat, "de novo")
    assert graph.received[-1]["to"] == "+551187654321"


def test_a_wholly_different_number_in_the_answer_is_an_alias_too(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    argentine = "5491123456789"
    deliver(sending_app.test_client(), call(text_message("x", "sou eu", **{"from": argentine})))
    assert len(ana.conversations()) == 2
    graph.answer = lambda body: accepted(body, wa_id=argentine)
    post(ana, chat, "olá")
    (conversation,) = ana.conversations()
    texts = sorted(message["text"] for message in ana.thread(conversation["id"]))
    assert texts == ["oi", "olá", "sou eu"]


def test_a_reply_names_the_wamid_it_answers(ana: Browser, chat: str, graph: Graph) -> None:
    first = post(ana, chat, "pergunta", reply_to="wamid.in").get_json()
    assert first["reply_to"]["text"] == "oi"
    assert graph.received[0]["context"] == {"message_id": "wamid.in"}
    post(ana, chat, "ainda", reply_to=first["id"])
    assert graph.received[1]["context"] == {"message_id": f"wamid.out.{first['id']}"}


def test_a_customer_answers_our_message_by_its_wamid(
    sending_app: Flask, ana: Browser, chat: str
) -> None:
    ours = post(ana, chat, "qual cor?").get_json()
    context = {"id": f"wamid.out.{ours['id']}"}
    deliver(sending_app.test_client(), call(text_message("r", "azul", NOON + 9, context=context)))
    (reply,) = [message for message in ana.thread(chat) if message["id"] == "r"]
    expected = {"id": ours["id"], "text": "qual cor?", "author_name": "Ana"}
    assert reply["reply_to"] == {**expected, "author_kind": "attendant"}


def test_the_answer_of_the_same_second_stands_below_ours(
    sending_app: Flask, ana: Browser, chat: str
) -> None:
    ours = post(ana, chat, "pergunta").get_json()
    second = int(ours["position"][:13]) // 1000
    deliver(sending_app.test_client(), call(text_message("r", "resposta", second)))
    assert [message["text"] for message in ana.thread(chat)] == ["oi", "pergunta", "resposta"]
    assert ana.conversations()[0]["last_message"]["text"] == "resposta"


def test_empty_outboxes_hide_none_that_waits(sending_app: Flask) -> None:
    with sending_app.app_context(), datastore.context():
        empty = [Outbox(id=f"empty{n}") for n in range(sending._SWEEP_LIMIT + 1)]
        datastore.put_many([*empty, Outbox(id="waits", queue=["x"], due_at=1)])
        assert sending._due(2) == [(1, "waits")]

"""From the webhook and the send's answer to what the screens are told of a message's status."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from flask import Flask

import message_status
import realtime_events
from chat.conversation.models import Conversation, Message
from chat.incoming import deferred
from chat.incoming.deferred import DeferredUpdates, RejectedUpdate
from chat.outgoing import sending
from chat.platform import datastore
from message_status import WamidLink
from tests.chat.sending_support import ana, chat
from tests.chat.support import (
    MARIA,
    NOON,
    Browser,
    Graph,
    accepted,
    call,
    contact,
    deliver,
    login,
    published,
    refused,
    run_together,
    stored,
    text_message,
)
from tests.helpers import SETTINGS

__all__ = ["ana", "chat"]  # fixtures

pytestmark = pytest.mark.store

CRON = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}


def post(browser: Browser, chat: str, text: str) -> dict[str, Any]:
    body = {"client_id": str(uuid.uuid4()), "text": text}
    response = browser.post(f"/api/conversations/{chat}/messages", body)
    assert response.status_code == 201
    message: dict[str, Any] = response.get_json()
    return message


def status(message: dict[str, Any], name: str, at: int = 1_761_998_405, **more: Any) -> Any:
    return {
        "id": f"wamid.out.{message['id']}",
        "status": name,
        "timestamp": str(at),
        "recipient_id": MARIA,
        "biz_opaque_callback_data": message["id"],
        **more,
    }


def tell(app: Flask, *statuses: Any) -> None:
    assert deliver(app.test_client(), call(statuses=statuses)).status_code == 200


def last(browser: Browser, chat: str) -> dict[str, Any]:
    return browser.thread(chat)[-1]


def retry(browser: Browser, message: dict[str, Any], **body: Any) -> Any:
    body = {"client_id": str(uuid.uuid4()), **body}
    return browser.post(f"/api/messages/{message['id']}/retry", body)


def test_statuses_reach_thread_list_and_screens_without_touching_the_conversation(
    sending_app: Flask, ana: Browser, chat: str
) -> None:
    message = post(ana, chat, "Olá")
    (before,) = stored(Conversation)
    for name in ("sent", "delivered", "read"):
        tell(sending_app, status(message, name))
        assert last(ana, chat)["status"] == name
        assert ana.conversations()[0]["last_message"]["status"] == name
        (conversation,) = [ana.get(f"/api/conversations/{chat}").get_json()["conversation"]]
        assert conversation["last_message"]["status"] == name
    (after,) = stored(Conversation)
    assert after.to_dict() == before.to_dict()
    changes = [e for e in published() if e.type == "message.status_changed"]
    assert [json.loads(e.data)["status"] for e in changes] == ["sent", "delivered", "read"]
    assert {(e.conversation_id, e.version) for e in changes} == {(chat, None)}
    audit = ana.get(f"/api/messages/{message['id']}/status").get_json()
    assert audit["status"] == "read"
    assert audit["statuses"].pop("sending")
    known = dict.fromkeys(("sent", "delivered", "read"), "2025-11-01T12:00:05.000Z")
    assert audit["statuses"] == known


def test_a_customers_last_message_has_no_status(ana: Browser, chat: str) -> None:
    assert ana.conversations()[0]["last_message"]["status"] is None
    assert ana.get("/api/messages/wamid.in/status").status_code == 404


def test_a_callback_may_overtake_the_answer_of_its_send(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    def quick(body: dict[str, Any]) -> tuple[int, Any]:
        id_ = body["biz_opaque_callback_data"]
        raw = {"id": f"wamid.out.{id_}", "status": "delivered", "timestamp": "1761998405"}
        if body["text"]["body"] == "com":
            raw["biz_opaque_callback_data"] = id_
        tell(sending_app, raw)
        return accepted(body)

    graph.answer = quick
    post(ana, chat, "com")
    post(ana, chat, "sem")  # parked under the wamid, taken over when the answer is recorded
    assert [m["status"] for m in ana.thread(chat)[-2:]] == ["delivered", "delivered"]
    assert all(not link.status_facts for link in stored(WamidLink))


def test_a_failure_after_the_200_is_explained(sending_app: Flask, ana: Browser, chat: str) -> None:
    message = post(ana, chat, "tarde")
    errors = [{"code": 131047, "title": "Re-engagement message"}]
    tell(sending_app, status(message, "sent"), status(message, "failed", errors=errors))
    shown = last(ana, chat)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "131047")
    assert "modelo" in shown["error"]["message"]
    assert ana.conversations()[0]["last_message"]["status"] == "failed"


def test_a_late_callback_repairs_an_unconfirmed_message(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    graph.answer = lambda _body: None
    message = post(ana, chat, "chegou?")
    assert last(ana, chat)["error"]["code"] == "unconfirmed"
    tell(sending_app, status(message, "sent"))
    repaired = last(ana, chat)
    assert (repaired["status"], repaired.get("error")) == ("sent", None)
    assert retry(ana, message, confirm=True).get_json()["error"]["code"] == "not_retryable"
    # It has learned its wamid: the customer's answer finds it.
    context = {"id": f"wamid.out.{message['id']}"}
    deliver(
        sending_app.test_client(), call(text_message("r", "sim", 1_761_998_500, context=context))
    )
    (shown,) = [m for m in ana.thread(chat) if m["id"] == "r"]
    assert shown["reply_to"]["id"] == message["id"]


def test_a_refused_message_is_tried_again_as_a_new_one(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    graph.answer = lambda _body: refused(131056)
    old = post(ana, chat, "tente")
    graph.answer = None
    client_id = str(uuid.uuid4())
    answer = retry(ana, old, client_id=client_id.upper())
    assert answer.status_code == 201
    new = answer.get_json()
    assert (new["id"], new["text"], new["attempt_of"]) == (client_id, "tente", old["id"])
    assert graph.texts() == ["tente", "tente"]
    first, second = ana.thread(chat)[-2:]
    assert (first["id"], first["status"]) == (old["id"], "failed")
    assert (first["retried_as"], second["id"]) == (client_id, client_id)
    assert first["retried_at"]
    types = [e.type for e in published()][-3:]
    assert "message.created" in types
    assert "message.updated" in types
    # The same click again, and somebody else's.
    assert retry(ana, old, client_id=client_id).status_code == 200
    again = retry(ana, old).get_json()["error"]
    assert (again["code"], again["message_id"]) == ("already_retried", client_id)
    assert graph.texts() == ["tente", "tente"]
    attempts = ana.get(f"/api/messages/{client_id}/status").get_json()["attempts"]
    assert [attempt["message_id"] for attempt in attempts] == [old["id"], client_id]


def test_two_attendants_who_try_again_at_once_send_once(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    bruno = login(sending_app, "bruno")
    graph.answer = lambda _body: refused(131056)
    old = post(ana, chat, "uma vez")
    graph.answer = None
    answers = run_together(*[lambda who=who: retry(who, old) for who in (ana, bruno) * 2])
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert graph.texts() == ["uma vez", "uma vez"]


def test_in_doubt_nothing_is_sent_without_the_attendants_word(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    graph.answer = lambda _body: None
    old = post(ana, chat, "foi?")
    graph.answer = None
    sending_app.test_client().get("/tasks/outbox", headers=CRON)
    error = retry(ana, old).get_json()["error"]
    assert (error["code"], "duas vezes" in error["message"]) == ("may_duplicate", True)
    assert graph.texts() == ["foi?"]
    assert retry(ana, old, confirm=True).status_code == 201
    assert graph.texts() == ["foi?", "foi?"]


def test_what_may_not_be_tried_again_is_refused(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    sent = post(ana, chat, "certo")
    assert retry(ana, sent).get_json()["error"]["code"] == "not_retryable"
    assert retry(ana, {"id": "wamid.in"}).status_code == 404
    assert retry(ana, {"id": "nobody"}).status_code == 404
    graph.answer = lambda _body: refused(131056)
    failed = post(ana, chat, "errado")
    assert retry(ana, failed, client_id="no uuid").get_json()["error"]["field"] == "client_id"
    assert retry(ana, failed, client_id=sent["id"]).get_json()["error"]["code"] == "client_id_taken"
    path = f"/api/messages/{failed['id']}/retry"
    assert ana.client.post(path, json={"client_id": str(uuid.uuid4())}).status_code == 400
    assert len(graph.texts()) == 2


def test_the_list_of_what_awaits_and_the_clean_up(
    sending_app: Flask, ana: Browser, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = post(ana, chat, "parada")
    assert ana.get("/api/messages/awaiting").get_json()["messages"] == []
    now = realtime_events.now_ms()
    monkeypatch.setattr(realtime_events, "now_ms", lambda: now + 61_000)
    answer = ana.get("/api/messages/awaiting").get_json()
    assert [each["id"] for each in answer["messages"]] == [message["id"]]
    assert (answer["more"], answer["seconds"]) == (False, 60)
    tell(sending_app, status(message, "sent"), {"id": "foreign", "status": "read"})
    assert ana.get("/api/messages/awaiting").get_json()["messages"] == []
    client = sending_app.test_client()
    assert client.get("/message-status/cleanup").status_code == 403
    answer = client.get("/message-status/cleanup", headers=CRON).get_json()
    assert answer == {"deleted": 0, "more": False}
    assert len([link for link in stored(WamidLink) if link.status_facts]) == 1


def test_of_what_awaits_the_newest_are_listed_and_what_was_sent_anew_is_not(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.answer = lambda _body: None  # hangs up: it may have been sent
    doubtful = post(ana, chat, "uma vez")
    graph.answer = None
    first = post(ana, chat, "duas vezes")
    now = realtime_events.now_ms()

    def awaited(seconds: int) -> tuple[list[str], bool]:
        monkeypatch.setattr(realtime_events, "now_ms", lambda: now + seconds * 1000)
        answer = ana.get("/api/messages/awaiting").get_json()
        return [each["id"] for each in answer["messages"]], answer["more"]

    assert awaited(61) == ([first["id"], doubtful["id"]], False)
    assert awaited(31 * 86_400) == ([], False), "nothing will be heard of them any more"
    with monkeypatch.context() as patched:
        patched.setattr("chat.screen.api._MOST_AWAITING", 1)
        assert awaited(61) == ([first["id"]], True)
    new = retry(ana, doubtful, confirm=True).get_json()
    assert awaited(3600) == ([new["id"], first["id"]], False)


def test_a_bad_status_is_set_aside_with_its_reason(
    sending_app: Flask, ana: Browser, chat: str
) -> None:
    message = post(ana, chat, "boa")
    tell(sending_app, status(message, "sent"), {"status": "sent"}, {"id": "x"})
    assert last(ana, chat)["status"] == "sent"
    assert sorted(each.field for each in stored(RejectedUpdate)) == ["id", "status"]


def test_statuses_that_cannot_be_stored_are_asked_for_again(
    sending_app: Flask, ana: Browser, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = post(ana, chat, "depois")

    def down(*_args: Any, **_more: Any) -> None:
        raise datastore.StoreUnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(message_status.ndb, "put_multi", down)
        response = deliver(sending_app.test_client(), call(statuses=[status(message, "sent")]))
        assert response.status_code == 503
    tell(sending_app, status(message, "sent"))
    assert last(ana, chat)["status"] == "sent"


def test_a_message_of_a_merged_conversation_gets_its_statuses(
    sending_app: Flask, ana: Browser, chat: str
) -> None:
    client = sending_app.test_client()
    bsuid = {"from": None, "from_user_id": "BR.1"}
    deliver(client, call(text_message("b1", "sou eu", **bsuid)))
    other = next(each["id"] for each in ana.conversations() if each["id"] != chat)
    messages = [post(ana, chat, "por aqui"), post(ana, other, "por ali")]
    one_person = text_message("b2", "os dois", 1_761_998_500, from_user_id="BR.1")
    deliver(client, call(one_person, contacts=[contact("Maria")]))
    (conversation,) = ana.conversations()
    tell(sending_app, *[status(message, "read") for message in messages])
    shown = {m["id"]: m["status"] for m in ana.thread(conversation["id"])}
    assert [shown[message["id"]] for message in messages] == ["read", "read"]


def test_a_message_that_comes_in_stores_nothing_of_a_sending(sending_app: Flask, chat: str) -> None:
    with datastore.context():
        (message,) = Message.query().fetch()
    assert (message.status, message.awaiting_since, message.status_facts) == (None, None, None)


# --- a new attempt, and what stands beside it -------------------------------------------------


def unread_of(browser: Browser, chat: str) -> tuple[int, bool]:
    found = browser.get(f"/api/conversations/{chat}").get_json()["conversation"]
    return found["unread_count"], found["marked_unread"]


def test_trying_again_reads_nothing_and_takes_no_mark_away(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    deliver(sending_app.test_client(), call(text_message("unseen", "e aí?", 1_761_998_460)))
    graph.answer = lambda _body: refused(131056)
    body = {"client_id": str(uuid.uuid4()), "text": "já vai", "read_up_to": "wamid.in"}
    old = ana.post(f"/api/conversations/{chat}/messages", body).get_json()
    ana.post(f"/api/conversations/{chat}/unread", {})
    assert unread_of(ana, chat) == (1, True)
    graph.answer = None
    assert retry(ana, old).status_code == 201
    assert unread_of(ana, chat) == (1, True), "nobody has looked at what came meanwhile"


def test_what_an_attendant_has_sent_anew_is_never_sent_by_itself(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    graph.answer = lambda _body: None  # hangs up: it may have been sent
    old = post(ana, chat, "uma vez")
    assert last(ana, chat)["error"]["code"] == "unconfirmed"
    graph.answer = None
    assert retry(ana, old, confirm=True).status_code == 201
    sent = graph.texts()
    with sending_app.app_context(), datastore.context():
        # The first sender's thread was frozen, and finds only now that it never connected.
        realtime_events.transaction(lambda: sending._postpone(chat, old["id"], "the first"))
    sending_app.test_client().get("/tasks/outbox", headers=CRON)
    with sending_app.app_context(), datastore.context():
        sending_app.extensions["chat_sender"].drain(chat)
    assert graph.texts() == sent
    shown = next(m for m in ana.thread(chat) if m["id"] == old["id"])
    assert (shown["status"], shown["error"]["code"]) == ("failed", "unreachable")
    assert shown["retried_as"]


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"client_id":', b"[]", b"null", b"\xff", b"client_id=1"]
)
def test_a_retry_that_is_no_readable_json_is_told_so_and_sends_nothing(
    ana: Browser, chat: str, graph: Graph, body: bytes
) -> None:
    graph.answer = lambda _body: refused(131056)
    old = post(ana, chat, "x")
    headers = {"X-CSRFToken": ana.token, "Content-Type": "application/json"}
    answer = ana.client.post(f"/api/messages/{old['id']}/retry", data=body, headers=headers)
    assert answer.status_code == 400
    told = {"code": "not_json", "message": "A requisição precisa ser um objeto JSON."}
    assert answer.get_json() == {"error": told}
    assert graph.texts() == ["x"]


def test_a_retry_needs_no_body_and_may_be_a_form(ana: Browser, chat: str, graph: Graph) -> None:
    graph.answer = lambda _body: refused(131056)
    old = post(ana, chat, "x")
    path = f"/api/messages/{old['id']}/retry"
    answer = ana.client.post(path, data={"csrf_token": ana.token})
    assert answer.status_code == 201
    again = f"/api/messages/{answer.get_json()['id']}/retry"
    assert ana.client.post(again, headers={"X-CSRFToken": ana.token}).status_code == 201


# --- odd callbacks ----------------------------------------------------------------------------


def test_a_status_that_leads_nowhere_is_set_aside(
    sending_app: Flask, ana: Browser, chat: str
) -> None:
    tell(sending_app, {"status": "sent", "biz_opaque_callback_data": "nobody"})
    (aside,) = stored(RejectedUpdate)
    assert aside.field == "biz_opaque_callback_data"
    assert stored(WamidLink) == []


@pytest.mark.parametrize("odd", ["\ud800", float("nan"), [1] * 300, {"a": 1}, True, None])
def test_an_odd_timestamp_spoils_no_audit(
    sending_app: Flask, ana: Browser, chat: str, odd: Any
) -> None:
    message = post(ana, chat, "Olá")
    tell(sending_app, status(message, "sent") | {"timestamp": odd})
    audit = ana.get(f"/api/messages/{message['id']}/status")
    assert audit.status_code == 200
    shown = json.loads(audit.get_data(), parse_constant=pytest.fail)["statuses"]["sent"]
    assert len(shown) == len("2025-11-01T12:00:05.000Z"), "the time of receipt"


def test_large_statuses_that_come_too_late_are_deferred_in_parts(
    sending_app: Flask, ana: Browser, chat: str
) -> None:
    message = post(ana, chat, "Olá")
    many = [status(message, "sent", pad="x" * 12_000, n=n) for n in range(100)]
    many.append(status(message, "delivered", pad="x" * 300_000))
    with sending_app.app_context(), datastore.context():
        deferred.take_in(call(statuses=many), NOON * 1000, deadline=time.monotonic() - 1)
    assert len(stored(DeferredUpdates)) >= 2
    assert [each.reason for each in stored(RejectedUpdate)] == ["statuses: too large"]
    sending_app.test_client().get("/tasks/deferred", headers=CRON)
    assert stored(DeferredUpdates) == []
    assert last(ana, chat)["status"] == "sent"

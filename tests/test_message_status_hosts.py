"""Module 3: its routes, and hosts that keep their messages in other ways."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from google.cloud import ndb

import message_status as ms
import realtime_events as rt
from tests import live_host, status_host
from tests.helpers import Store
from tests.live_host import Conversa
from tests.status_host import (
    REFUSAL,
    UUIDS,
    accepted,
    callback,
    conversation,
    events,
    load,
    new_message,
    refused,
    unconfirmed,
)

#: Fixtures.
app, world = status_host.app, status_host.world


# --- over HTTP --------------------------------------------------------------------------------


@dataclass
class Page:
    """An attendant's browser."""

    client: FlaskClient
    token: str

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def retry(self, id_: str, body: Any = None, **more: Any) -> Any:
        headers = more.pop("headers", {"X-CSRFToken": self.token})
        return self.client.post(f"/api/messages/{id_}/retry", json=body, headers=headers, **more)


@pytest.fixture
def page(app: Flask) -> Page:
    client = app.test_client()
    client.post("/login", data={"usuario": "ana"})
    html = client.get("/").get_data(as_text=True)
    given = html.split('id="realtime-events">')[1].split("</script>")[0]
    return Page(client, json.loads(given)["csrf"])


@pytest.fixture
def not_sent(app: Flask, store: Store) -> str:
    """The id of a message that Meta refused."""
    with app.app_context(), store.context():
        refused(id_ := new_message(), code="131056")
    return id_


def test_a_press_on_try_again_sends_and_answers_with_the_new_message(page, not_sent):
    answer = page.retry(not_sent, {"client_id": UUIDS[0]})
    assert answer.status_code == 201
    made = answer.get_json()
    assert (made["attempt_of"], made["status"]) == (not_sent, "sending")
    assert page.retry(not_sent, {"client_id": UUIDS[0].upper()}).status_code == 200
    late = page.retry(not_sent)
    assert (late.status_code, late.get_json()["error"]["message_id"]) == (409, made["id"])
    assert late.get_json()["error"]["code"] == "already_retried"
    assert len(live_host.sent) == 1


def test_the_routes_answer_whatever_is_asked(page, app, store, not_sent):
    for body in (7, []):
        answer = page.retry(not_sent, body)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "not_json"), body
    for body in ({"client_id": 7}, {"client_id": "x"}, {"client_id": None}):
        assert page.retry(not_sent, body).status_code == 422, body
    for status in (201, 409):
        assert page.retry(not_sent, {}).status_code == status
    for id_ in ("404", "x", "__x__", "%00", "w" * 1600, "%F0%9F%98%80"):
        assert page.retry(id_, {"client_id": UUIDS[3]}).status_code == 404
        assert page.get(f"/api/messages/{id_}/status").status_code == 404
    with app.app_context(), store.context():
        unconfirmed(doubtful := new_message())
    answer = page.retry(doubtful, {"client_id": UUIDS[4], "confirm": "yes"})
    assert answer.get_json()["error"]["code"] == "may_duplicate"
    assert "duas vezes" in answer.get_json()["error"]["message"]
    assert page.retry(doubtful, {"client_id": UUIDS[4], "confirm": True}).status_code == 201
    story = page.get(f"/api/messages/{not_sent}/status").get_json()
    assert (story["status"], len(story["attempts"])) == ("failed", 2)


def test_nobody_gets_in_without_login_token_or_scheduler(page, app, not_sent):
    stranger = app.test_client()
    assert stranger.get(f"/api/messages/{not_sent}/status").status_code == 401
    assert page.get(f"/api/messages/{not_sent}/status").status_code == 200
    assert stranger.post(f"/api/messages/{not_sent}/retry").status_code == 401
    for headers in ({}, {"X-CSRFToken": "x"}):
        answer = page.retry(not_sent, {}, headers=headers)
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "bad_csrf_token")
    assert page.get("/message-status/cleanup").status_code == 403
    assert live_host.sent == []


def test_the_scheduler_cleans_up(app, monkeypatch):
    monkeypatch.setenv("GAE_ENV", "standard")
    answer = app.test_client().get("/message-status/cleanup", headers={"X-Appengine-Cron": "true"})
    assert answer.get_json() == {"deleted": 0, "more": False}


def test_the_page_gets_style_script_and_whether_one_can_try_again(page, app):
    html = page.get("/").get_data(as_text=True)
    assert 'href="/static/message_status.css"' in html
    assert 'type="module" src="/static/message_status.js"' in html
    given = html.split('id="message-status">')[1].split("</script>")[0]
    assert json.loads(given) == {"retry": True}
    assert "style=" not in html.split("</head>")[0]


def test_statuses_come_through_the_hosts_one_line(page, app, store):
    with app.app_context(), store.context():
        there = rt.id_of(conversation())
    answer = page.client.post("/enviar", json={"conversa": there, "corpo": "oi"})
    sent = answer.get_json()
    assert (sent["status"], sent["arrival"]) == ("sending", 1)
    (known,) = live_host.sent
    body = live_host.webhook_status(f"wamid.1.{known['id']}", "delivered")
    assert page.client.post("/webhook", json=body).status_code == 200
    story = page.get(f"/api/messages/{sent['id']}/status").get_json()
    assert story["status"] == "delivered"


# --- other hosts ------------------------------------------------------------------------------


class Foreign(ms.MessageStatusMixin):
    """Text keys, a wamid of its own (trap 3), a computed and some stamped properties."""

    conversation_id = ndb.StringProperty()
    text = ndb.TextProperty()
    wamid = ndb.StringProperty()
    error = ndb.TextProperty()
    tags = ndb.TextProperty(repeated=True)
    size = ndb.ComputedProperty(lambda self: len(self.text or ""))
    made = ndb.DateTimeProperty(auto_now_add=True)
    day = ndb.DateProperty(auto_now_add=True)
    changed = ndb.DateTimeProperty(auto_now=True)
    written = ndb.DateTimeProperty("escrita")
    sent = ndb.DateTimeProperty()
    due = ndb.DateTimeProperty()


def make_app(store: Store, message: Any, *, conversation: Any = Conversa, **more: Any) -> Flask:
    """A host that uses this module and not unread_state."""
    app = Flask("other")
    app.secret_key = "s"
    rt.init_app(app, store.client, current_user_id=lambda: "ana")
    ms.init_app(app, message, conversation=conversation, **more)
    return app


def test_a_hosts_own_wamid_and_error_are_its_own(store):
    """Trap 3, and text keys; the module alone."""
    asked: list[str] = []

    def deliver(message: Any) -> tuple[int, Any]:
        asked.append(message.key.id())
        message.wamid = f"wamid.{len(asked)}"
        message.put()
        return 200, {"messages": [{"id": message.wamid}]}

    app = make_app(store, Foreign, send=deliver)
    with app.app_context(), store.context():
        Conversa(id="c1").put()
        moment = datetime(2025, 1, 2, tzinfo=UTC).replace(tzinfo=None)
        now = datetime.now(UTC).replace(tzinfo=None)
        tomorrow = now + timedelta(days=1)
        message = Foreign(id=UUIDS[0], conversation_id="c1", text="oi", tags=["a", "b"],
                          error="mine", written=moment, day=moment.date(), sent=now,
                          due=tomorrow)  # fmt: skip
        ms.send(message)
        assert (message.wamid, ms.fact(message, "wamid"), message.error) == (
            "wamid.1", "wamid.1", "mine",
        )  # fmt: skip
        ms.record_statuses([callback("failed", wamid="wamid.1")])
        old = message.key.get(use_cache=False)
        assert (old.status, old.wamid) == ("failed", "wamid.1")
        new, _ = ms.retry(UUIDS[0], client_id=UUIDS[1])
        assert new.key.id() == UUIDS[1]
        stored = new.key.get(use_cache=False)
        assert (stored.wamid, ms.fact(stored, "wamid")) == ("wamid.2", "wamid.2")
        assert (stored.tags, stored.error, stored.size) == (["a", "b"], "mine", 2)
        assert (stored.written, stored.due, stored.sent > now) == (moment, tomorrow, True)
        assert (stored.made > old.made, stored.day > old.day) == (True, True)
        assert stored.changed > old.changed
        # A client_id that is another message's.
        ms.record_statuses([callback("failed", wamid="wamid.2")])
        with pytest.raises(ms.Refused, match="client_id_taken"):
            ms.retry(UUIDS[1], client_id=UUIDS[0])
        assert ms.fact(new.key.get(use_cache=False), "retried_as") is None
        assert asked == UUIDS[:2]


def test_a_message_below_its_conversation_is_found_and_tried_again(store):
    class Below(ms.MessageStatusMixin):
        text = ndb.TextProperty()

        @property
        def conversation_key(self) -> Any:
            return self.key.parent()

    app = make_app(store, Below, send=lambda _message: (400, REFUSAL))
    with app.app_context(), store.context():
        parent = Conversa(id="c1").put()
        message = Below(parent=parent, text="oi")
        ms.send(message)
        new, _ = ms.retry(rt.id_of(message), client_id=UUIDS[0])
        assert (new.key.parent(), new.text, new.status) == (parent, "oi", "failed")
        assert new.key != message.key
        unconfirmed(rt.id_of(new))
        assert events()[0]["conversation_id"] == "c1"


def test_a_hosts_own_way_of_sending_again(store):
    """As an application with a queue does it."""
    queued: list[Any] = []

    def resend(old: Any, client_id: str) -> Any:
        new = Foreign(id=client_id, conversation_id=old.conversation_id, text="again")
        rt.add_message(new, outgoing=True, by_person=False, attempt_of=rt.id_of(old), replaces=old)
        return new

    app = make_app(store, Foreign, resend=resend, send=queued.append)
    with app.app_context(), store.context():
        Conversa(id="c1").put()
        message = Foreign(id=UUIDS[0], conversation_id="c1", text="oi")
        rt.add_message(message, outgoing=True)
        refused(UUIDS[0], code="1")
        for times in (1, 2):
            new, is_new = ms.retry(UUIDS[0], client_id=UUIDS[1])
            assert (new.key.id(), is_new) == (UUIDS[1], times == 1)
            assert len(queued) == times, "its process may have died before the first was sent"
        (updated,) = events("message.updated")
        assert updated["data"]["message"]["retried_as"] == UUIDS[1]
        ms.started(new := queued[-1])
        new.put()
        ms.retry(UUIDS[0], client_id=UUIDS[1])
        assert len(queued) == 2, "its call has begun: never again by itself"
        assert [each["text"] for each in map(Foreign.live_json, [new])] == ["again"]
        assert ms.audit(UUIDS[1])["attempts"][0]["message_id"] == UUIDS[0]


def test_a_host_that_stores_only_the_new_message_sends_again_once(store):
    def resend(old: Any, client_id: str) -> Any:
        new = Foreign(id=client_id, conversation_id=old.conversation_id, text="again")
        rt.add_message(new, outgoing=True, by_person=False, attempt_of=rt.id_of(old))
        rt.tell("message.updated", old.conversation_key.get(), old)
        return new

    app = make_app(store, Foreign, resend=resend, send=lambda _message: (200, {}))
    with app.app_context(), store.context():
        Conversa(id="c1").put()
        rt.add_message(Foreign(id=UUIDS[0], conversation_id="c1", text="oi"), outgoing=True)
        refused(UUIDS[0], code="1")
        ms.retry(UUIDS[0], client_id=UUIDS[1])
        with pytest.raises(ms.Refused, match="already_retried"):
            ms.retry(UUIDS[0], client_id=UUIDS[2])


def test_without_a_way_to_send_nothing_can_be_tried_again(store):
    app = make_app(store, Foreign)
    with app.app_context(), store.context():
        Conversa(id="c1").put()
        rt.add_message(Foreign(id=UUIDS[0], conversation_id="c1"), outgoing=True)
        refused(UUIDS[0], code="1")
        with pytest.raises(ms.Refused, match="not_retryable"):
            ms.retry(UUIDS[0], client_id=UUIDS[1])
        with pytest.raises(RuntimeError, match="send="):
            ms.send(Foreign(id=UUIDS[2], conversation_id="c1"))
    with pytest.raises(TypeError, match="goes together"):
        make_app(store, Foreign, resend=lambda _old, _id: None)


class OwnStatus(ms.MessageStatusMixin):
    conversation_id = ndb.StringProperty()
    status = ndb.StringProperty()


class OwnName(ms.MessageStatusMixin):
    conversation_id = ndb.StringProperty()
    situacao = ndb.StringProperty("status")


class Plain(ndb.Model):
    conversation_id = ndb.StringProperty()


class Lonely(ms.MessageStatusMixin):
    text = ndb.TextProperty()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (OwnStatus, r"OwnStatus\.status.*my_status"),
        (OwnName, r"OwnName\.situacao"),
        (Plain, r"Plain.*message_status\.MessageStatusMixin"),
        (Lonely, r"Lonely: no property tells its Conversa.*conversation_key"),
    ],
)
def test_a_model_that_cannot_work_stops_the_start_and_is_named(store, model, words):
    """Traps 3 and 8."""
    with pytest.raises(TypeError, match=words):
        make_app(store, model)


@pytest.mark.parametrize("value", ["0", "61", "soon"])
def test_a_setting_that_cannot_work_is_named(store, monkeypatch, value):
    monkeypatch.setenv("MESSAGE_STATUS_PARK_DAYS", value)
    with pytest.raises(ValueError, match=f"MESSAGE_STATUS_PARK_DAYS='?{value}'?: "):
        make_app(store, Foreign)


def test_a_host_that_forgot_to_start_is_told(monkeypatch):
    monkeypatch.setattr(rt, "_last_app", None)
    with pytest.raises(RuntimeError, match="init_app"):
        ms.record_statuses([callback("sent")])


def test_functions_work_in_a_thread_without_an_app_context(app, store):
    with store.context():
        id_ = new_message()
        accepted(id_, "w")
        assert ms.fact(load(id_), "wamid") == "w"

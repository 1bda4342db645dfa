"""Module 2 in a small foreign host on a real store: counted, read, answered, told, asked for."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import pytest
from flask import Flask, render_template
from flask.testing import FlaskClient
from google.cloud import ndb

import realtime_events as rt
import unread_state as us
from tests import live_host
from tests.helpers import Store
from tests.live_host import Conversa, Mensagem


@dataclass
class Host:
    """The foreign chat with one customer's conversation, and an attendant's browser."""

    app: Flask
    store: Store
    browser: FlaskClient
    token: str = ""
    key: Any = None

    @contextmanager
    def inside(self) -> Iterator[None]:
        """An app context and an ndb context, as in one of the host's views."""
        with self.app.app_context(), self.store.context():
            yield

    @property
    def id(self) -> str:
        return str(self.key.id())

    def receive(self, corpo: str = "olá", *, key: Any = None, **facts: Any) -> Any:
        with self.inside():
            message = Mensagem(conversa=key or self.key, corpo=corpo)
            rt.receive(message, **facts)
            return message

    def answer(self, **facts: Any) -> Any:
        with self.inside():
            message = Mensagem(conversa=self.key, corpo="já vai", nossa=True)
            assert rt.add_message(message, outgoing=True, **facts)
            return message

    def chat(self) -> Any:
        with self.inside():
            return self.key.get()

    def unread(self) -> int:
        return int(self.chat().unread_count)

    def another(self) -> Any:
        with self.inside():
            return Conversa(cliente="João").put()

    def get(self, path: str = "/unread") -> Any:
        return self.browser.get(path).get_json()

    def post(self, path: str, body: Any = None) -> Any:
        headers = {"X-CSRFToken": self.token}
        return self.browser.post(f"/api/conversations/{path}", json=body or {}, headers=headers)

    def read(self, up_to: Any) -> Any:
        return self.post(f"{self.id}/read", {"up_to": up_to})

    def mark(self) -> Any:
        return self.post(f"{self.id}/unread")

    def events(self) -> list[dict[str, Any]]:
        """All that was published, in order."""
        with self.inside():
            records = rt.RealtimeEvent.query().order(rt.RealtimeEvent._key).fetch()
        blocks = [block.decode() for record in records for block in record.blocks]
        return [json.loads(block.split("data: ", 1)[1]) for block in blocks]

    def told(self) -> list[dict[str, Any]]:
        return [each for each in self.events() if each["type"] == "unread.changed"]


def start(store: Store, **config: Any) -> Host:
    app = live_host.create_app({"TESTING": True, **config}, store.client)
    host = Host(app, store, app.test_client())
    host.browser.post("/login", data={"usuario": "ana"})
    page = host.browser.get("/").get_data(as_text=True)
    given = page.split('id="realtime-events">')[1].split("</script>")[0]
    host.token = json.loads(given)["csrf"]
    with host.inside():
        host.key = Conversa(cliente="Maria", telefone="5511").put()
    return host


@pytest.fixture
def host(store: Store) -> Host:
    return start(store)


def test_messages_are_counted_once_however_often_they_come(host: Host) -> None:
    for _ in range(2):
        with host.inside():
            rt.receive(Mensagem(id=70, conversa=host.key, corpo="olá"))
    host.receive("👍", counts=False)
    assert host.unread() == 1
    assert [event["data"]["unread_count"] for event in host.told()] == [1]
    assert host.get() | {"cursor": ""} == {
        "conversations": 1, "messages": 1, "limit_reached": False, "cursor": "",
        "by_conversation": {
            host.id: {
                "incoming_counted": 1, "incoming_read": 0, "mark_flips": 0,
            },
        },
    }  # fmt: skip


def test_what_the_page_needs_is_told_with_the_message_and_after_a_reload(host: Host) -> None:
    counted, notice = host.receive(), host.receive(counts=False)
    reply = host.answer(by_person=False)
    told = [e["data"] for e in host.events() if e["type"] == "message.created"]
    assert [each["message"]["counts_unread"] for each in told] == [True, False, False]
    assert [each["conversation"]["unread_count"] for each in told] == [1, 1, 1]
    with host.inside():
        stored = [each.key.get().live_json() for each in (counted, notice, reply)]
        assert [each["counts_unread"] for each in stored] == [True, False, False]
        assert host.key.get().live_json() == {
            "id": host.id, "name": "Maria", "version": 3, "unread_count": 1,
            "marked_unread": False, "incoming_counted": 1, "incoming_read": 0, "mark_flips": 0,
            "silent": False,
        }  # fmt: skip


@pytest.mark.parametrize("form", [int, str])
def test_reading_is_exact_and_repeating_it_writes_nothing(
    host: Host, form: Callable[[Any], Any]
) -> None:
    first, second, third = (form(host.receive().key.id()) for _ in range(3))
    response = host.read(second)
    assert response.status_code == 200
    assert response.get_json() == host.told()[-1]["data"]
    assert host.unread() == 1
    version, events = host.chat().version, len(host.events())
    for up_to in (second, first):
        assert host.read(up_to).get_json()["unread_count"] == 1
    assert (host.chat().version, len(host.events())) == (version, events)
    host.read(third)
    assert (host.unread(), host.get()["messages"]) == (0, 0)


def test_every_reading_and_marking_has_a_version_of_its_own(host: Host) -> None:
    message = host.receive()
    host.read(str(message.key.id()))
    host.mark()
    host.mark()
    host.read(message.key.id())
    assert [event["version"] for event in host.told()] == [1, 2, 3, 4]
    assert host.chat().version == 4
    assert [event["data"] for event in host.told()][2] == {
        "conversation_id": host.id, "unread_count": 0, "marked_unread": True,
        "incoming_counted": 1, "incoming_read": 1, "mark_flips": 1, "silent": False, "version": 3,
    }  # fmt: skip


def test_a_mark_by_hand_counts_one(host: Host) -> None:
    assert host.mark().get_json()["marked_unread"] is True
    answer = host.get()
    assert (answer["conversations"], answer["messages"]) == (1, 1)


def test_no_get_reads_anything(host: Host) -> None:
    host.receive()
    before = host.chat().to_dict()
    for path in ("/", f"/?c={host.id}", "/unread", f"/unread?c={host.id}",
                 f"/realtime/versions?id={host.id}"):  # fmt: skip
        assert host.browser.get(path).status_code == 200
    assert host.browser.get(f"/api/conversations/{host.id}/read").status_code == 405
    assert host.chat().to_dict() == before


# --- answering --------------------------------------------------------------------------------

FORMS: dict[str, Callable[[Any], Any]] = {
    "entity": lambda message: message,
    "key": lambda message: message.key,
    "number": lambda message: message.key.id(),
    "text": lambda message: str(message.key.id()),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_reads_no_further_than_its_author_saw(host: Host, form: str) -> None:
    seen = host.receive()
    host.receive()
    host.mark()
    host.answer(read_up_to=FORMS[form](seen))
    assert (host.unread(), host.chat().marked_unread) == (1, False)
    assert host.told()[-1]["version"] == host.chat().version


def test_an_answer_reads_all_that_has_come_and_an_automatic_one_nothing(host: Host) -> None:
    host.receive()
    told = len(host.told())
    host.answer(by_person=False)
    assert (host.unread(), len(host.told())) == (1, told)
    host.answer(by_person=True)
    assert (host.unread(), len(host.told())) == (0, told + 1)


@pytest.mark.parametrize(
    "strange",
    [999, "nada", "", "__x__", "x" * 2000, "\0", "\ud800", True, 1.5, [1], {"id": 1}, "elsewhere"],
)
def test_an_answer_is_stored_whatever_the_page_says_of_its_reading(
    host: Host, strange: Any, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = host.receive(key=host.another())
    host.receive()
    reply = host.answer(read_up_to=elsewhere.key.id() if strange == "elsewhere" else strange)
    with host.inside():
        assert reply.key.get().counted_at_arrival == 1
    assert host.unread() == 1
    assert f"read_up_to is not in {host.id}" in caplog.text


def test_a_thread_without_an_app_context_can_answer(host: Host) -> None:
    seen = host.receive()

    def work() -> None:
        with host.store.context():
            message = Mensagem(conversa=host.key, corpo="já vai", nossa=True)
            rt.add_message(message, outgoing=True, read_up_to=seen.key.id())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert host.unread() == 0


# --- the host's own put() ---------------------------------------------------------------------

READERS: dict[str, Callable[[Any], Any]] = {
    "by key": lambda key: key.get(),
    "by query": lambda key: Conversa.query(Conversa._key == key).get(),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("in_transaction", [False, True])
def test_what_the_host_read_before_and_puts_later_takes_nothing_back(
    host: Host, reader: str, in_transaction: bool
) -> None:
    with host.inside():
        empty = READERS[reader](host.key)
    message = host.receive()
    with host.inside():
        unread = READERS[reader](host.key)
    host.read(message.key.id())
    host.mark()
    for old, name in ((empty, "Maria José"), (unread, "Zé")):
        with host.inside():
            old.cliente = name
            ndb.transaction(old.put) if in_transaction else old.put()
        now = host.chat()
        assert now.cliente == name, "what is the host's is stored"
        assert (now.incoming_counted, now.incoming_read, now.mark_flips) == (1, 1, 1)
        assert (now.unread_count, now.is_unread, now.unread_numbers) == (0, True, "1:1:1")
        assert (now.version, now.arrivals) == (3, 1)


def test_a_put_around_a_receive_in_the_same_view_takes_nothing_back(host: Host) -> None:
    with host.inside():
        chat = host.key.get()
        rt.receive(Mensagem(conversa=host.key, corpo="olá"))
        chat.resumo = "olá"
        chat.put()
    assert (host.unread(), host.chat().version, host.chat().resumo) == (1, 1, "olá")

    def together() -> None:
        chat = host.key.get()
        rt.receive(Mensagem(conversa=host.key, corpo="e aí"))
        chat.resumo = "e aí"
        chat.put()

    with host.inside():
        ndb.transaction(together)
    assert (host.unread(), host.chat().version, host.chat().resumo) == (2, 2, "e aí")


def test_a_message_keeps_its_place_when_the_host_makes_and_puts_it_anew(host: Host) -> None:
    with host.inside():
        rt.receive(Mensagem(id=70, conversa=host.key, corpo="👍"), counts=False)
        Mensagem(id=70, conversa=host.key, corpo="👍👍").put()
    with host.inside():
        stored = ndb.Key(Mensagem, 70).get()
    assert (stored.corpo, stored.counts_unread) == ("👍👍", False)
    assert (stored.arrival, stored.counted_at_arrival) == (1, 0)


def test_conversations_and_messages_from_before_the_modules_work(host: Host) -> None:
    with host.inside(), mock.patch.dict(ndb.Model._kind_map):

        class ConversaBefore(ndb.Model):
            cliente = ndb.StringProperty()

            @classmethod
            def _get_kind(cls) -> str:
                return "Conversa"

        class MensagemBefore(ndb.Model):
            conversa = ndb.KeyProperty(kind="Conversa")
            corpo = ndb.TextProperty()

            @classmethod
            def _get_kind(cls) -> str:
                return "Mensagem"

        host.key = ConversaBefore(cliente="Antiga").put()
        old = MensagemBefore(conversa=host.key, corpo="de antes").put()
    with host.inside():
        assert host.key.get().live_json()["unread_count"] == 0
        assert old.get().live_json()["counts_unread"] is False
    assert host.get()["conversations"] == 0
    assert host.read(old.id()).get_json()["version"] == 0, "there is nothing to read"
    message = host.receive()
    assert host.unread() == 1
    host.read(old.id())
    assert host.unread() == 1
    host.read(message.key.id())
    assert (host.unread(), host.mark().get_json()["marked_unread"]) == (0, True)


# --- muted, archived --------------------------------------------------------------------------


@pytest.fixture
def silenced(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host that says by `is_silent` what is muted, and has muted the conversation."""
    quiet = property(lambda self: self.cliente == "em silêncio")
    monkeypatch.setattr(Conversa, "is_silent", quiet)
    host.receive()
    with host.inside():
        rt.update(host.key, cliente="em silêncio")
    return host


def test_muting_is_told_and_leaves_the_totals(silenced: Host) -> None:
    told = silenced.told()[-1]
    assert (told["data"]["silent"], told["version"]) == (True, silenced.chat().version)
    assert (silenced.unread(), silenced.get()["conversations"]) == (1, 0)
    silenced.receive()
    assert (silenced.unread(), silenced.get()["conversations"]) == (2, 0)
    with silenced.inside():
        rt.update(silenced.key, cliente="Maria")
    assert silenced.told()[-1]["data"]["silent"] is False
    assert silenced.get()["messages"] == 2


def test_what_is_muted_is_read_and_marked_like_the_rest(silenced: Host) -> None:
    silenced.receive()
    silenced.mark()
    assert silenced.told()[-1]["data"]["marked_unread"] is True
    with silenced.inside():
        oldest = Mensagem.query(Mensagem.conversa == silenced.key).fetch()
    first = min(oldest, key=lambda each: each.arrival)
    silenced.read(first.key.id())
    told = silenced.told()[-1]["data"]
    assert (told["unread_count"], told["marked_unread"]) == (1, False)


def test_a_batch_tells_a_conversation_once_before_or_after_it_is_put(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Conversa, "is_silent", property(lambda self: self.resumo == "quieto"))

    def batch() -> None:
        chat = host.key.get()
        messages = [Mensagem(conversa=chat.key, corpo=corpo) for corpo in "ab"]
        for message in messages:
            rt.place(chat, message, outgoing=False)
        chat.bump_version()
        us.publish_changed(chat)
        ndb.put_multi([chat, *messages])
        us.publish_changed(chat)

    def quiet() -> None:
        chat = host.key.get()
        chat.resumo = "quieto"
        chat.bump_version()
        us.publish_changed(chat)
        chat.put()

    with host.inside():
        rt.transaction(batch)
        rt.transaction(quiet)
    told = [(each["version"], each["data"]["silent"]) for each in host.told()]
    assert told == [(1, False), (2, True)]
    assert host.told()[0]["data"]["unread_count"] == 2


def test_a_change_of_something_else_tells_no_numbers(host: Host) -> None:
    host.receive()
    told = len(host.told())
    with host.inside():
        rt.update(host.key, cliente="Maria José")
    assert host.events()[-1]["type"] == "conversation.updated"
    assert len(host.told()) == told


# --- views ------------------------------------------------------------------------------------


def test_a_host_that_finds_its_own_way_is_asked_by_text(host: Host) -> None:
    asked: list[Any] = []

    def find(model: Any, id_: Any) -> Any:
        asked.append(id_)
        return rt.find(model, id_)

    known = host.app.extensions["unread_state"]
    known.find_conversation = lambda id_: find(Conversa, id_)
    known.find_message = lambda _chat, id_: find(Mensagem, id_)
    message = host.receive()
    with host.inside():
        us.read(host.key.id(), message.key.id())
        us.mark_unread(host.key.id())
    host.answer(read_up_to=message)
    host.get(f"/unread?c={host.id}")
    assert set(asked) == {host.id, str(message.key.id())}
    assert (host.unread(), host.chat().marked_unread) == (0, False)


def test_the_selected_conversation_is_asked_for_by_id(host: Host) -> None:
    assert "selected" not in host.get()
    assert host.get(f"/unread?c={host.id}")["selected"]["name"] == "Maria"


def test_what_comes_while_the_unread_are_read_comes_after_the_answers_cursor(host: Host) -> None:
    events = partial(host.browser.get, "/realtime/events")
    events()  # from now on cursors tell exactly what is known

    def find(_id: str) -> None:
        thread = threading.Thread(target=host.receive)
        thread.start()
        thread.join()

    host.app.extensions["unread_state"].find_conversation = find
    cursor = host.get(f"/unread?c={host.id}")["cursor"]
    told = events(query_string={"after": cursor}).get_data(as_text=True)
    host.app.extensions["realtime_events"].hub.close()
    assert "event: message.created" in told


@pytest.mark.parametrize("strange", ["999", "nada", "", "__x__", "x" * 2000, "%00", "%ff", "-1"])
def test_there_is_no_such_conversation(host: Host, strange: str) -> None:
    answer = host.browser.get(f"/unread?c={strange}")
    assert answer.status_code == 200
    assert answer.get_json()["selected"] is None
    if strange:
        for path, body in (("read", {"up_to": 1}), ("unread", None)):
            problem = host.post(f"{strange}/{path}", body)
            assert problem.status_code == 404
            assert problem.get_json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "up_to", [None, 999, "nada", "", "__x__", "x" * 2000, "\0", True, 1.5, [], {}, "elsewhere"]
)
def test_a_refused_reading_names_the_field_and_changes_nothing(host: Host, up_to: Any) -> None:
    elsewhere = host.receive(key=host.another())
    if not isinstance(up_to, str | int):
        with host.inside():  # nothing else than text and numbers is an id, whatever its text
            Mensagem(id=str(up_to), conversa=host.key, counted_at_arrival=1).put()
    host.receive()
    answer = host.read(elsewhere.key.id() if up_to == "elsewhere" else up_to)
    assert answer.status_code == 422
    assert answer.get_json()["error"]["field"] == "up_to"
    assert host.unread() == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"[" * 100_000, b"\xff"])
def test_a_body_that_is_no_object_is_refused(host: Host, body: bytes) -> None:
    answer = host.browser.post(
        f"/api/conversations/{host.id}/read",
        data=body,
        content_type="application/json",
        headers={"X-CSRFToken": host.token},
    )
    assert (answer.status_code, answer.get_json()["error"]["field"]) == (422, "up_to")


@pytest.mark.parametrize("token", [None, "", "x", "ç"])
def test_a_change_needs_this_pages_token(host: Host, token: str | None) -> None:
    message = host.receive()
    headers = {} if token is None else {"X-CSRFToken": token}
    for path, body in (("read", {"up_to": message.key.id()}), ("unread", {})):
        url = f"/api/conversations/{host.id}/{path}"
        answer = host.browser.post(url, json=body, headers=headers)
        assert answer.status_code == 403
        assert answer.get_json()["error"]["code"] == "bad_csrf_token"
    assert (host.unread(), host.chat().marked_unread) == (1, False)
    assert host.read(message.key.id()).status_code == 200
    assert host.mark().status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/unread"), ("POST", "/api/conversations/1/read"),
     ("POST", "/api/conversations/1/unread")],
)  # fmt: skip
def test_strangers_are_told_nothing(host: Host, method: str, path: str) -> None:
    headers = {"X-CSRFToken": host.token}
    response = host.app.test_client().open(path, method=method, headers=headers)
    assert response.status_code == 401
    assert response.get_json()["error"]["code"] == "login_required"


def test_the_include_gives_settings_to_who_is_logged_in_and_nothing_else(host: Host) -> None:
    page = host.browser.get("/").get_data(as_text=True)
    given = json.loads(page.split('id="unread-state">')[1].split("</script>")[0])
    assert given["settings"]["title_counts"] == "conversations"
    assert given["settings"]["near_bottom_px"] == 120
    assert 'src="/static/unread_state.js"' in page
    with host.app.test_request_context():
        assert render_template("realtime_events/head.html").strip() == ""


def test_totals_stop_at_their_limit_and_say_so(store: Store) -> None:
    host = start(store, UNREAD_STATE_TOTALS_LIMIT=100)
    with host.inside():
        ndb.put_multi([Conversa(incoming_counted=2) for _ in range(99)])
        ndb.put_multi([Conversa(incoming_counted=2, incoming_read=2) for _ in range(50)])
    answer = host.get()
    assert (answer["conversations"], answer["messages"], answer["limit_reached"]) == (
        99,
        198,
        False,
    )
    with host.inside():
        ndb.put_multi([Conversa(incoming_counted=2) for _ in range(2)])
    answer = host.get()
    assert (answer["conversations"], answer["limit_reached"]) == (100, True)


# --- the customer's ticks ---------------------------------------------------------------------


def with_receipts(host: Host, send: Callable[[Any, Any], None]) -> None:
    host.app.extensions["unread_state"].send_receipt = send


def test_a_reading_is_told_to_the_customer_once_and_no_mark_is(host: Host) -> None:
    told: list[Any] = []
    with_receipts(host, lambda chat, message: told.append((chat.incoming_read, message.corpo)))
    messages = [host.receive(corpo) for corpo in "ab"]
    for message in (messages[0], messages[1], messages[1], messages[0]):
        host.read(message.key.id())
    host.mark()
    host.read(messages[1].key.id())
    assert told == [(1, "a"), (2, "b")]


def test_a_receipt_that_fails_costs_no_reading(host: Host) -> None:
    with_receipts(host, mock.Mock(side_effect=RuntimeError("no receipts today")))
    message = host.receive()
    assert host.read(message.key.id()).status_code == 200
    assert host.unread() == 0


def test_read_receipts_can_be_switched_off(store: Store) -> None:
    host = start(store, UNREAD_STATE_READ_RECEIPTS="false")
    send = mock.Mock()
    with_receipts(host, send)
    host.read(host.receive().key.id())
    assert host.unread() == 0
    send.assert_not_called()


# --- several at once --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_many_at_once_never_drift(host: Host, seed: int) -> None:
    """Arrivals, readings, marks, answers and the host's own puts, all at once."""
    first = host.receive()
    with host.inside():
        old = [host.key.get() for _ in range(3)]
        copies = [Conversa(key=each.key, **each.to_dict(exclude=["atualizada"])) for each in old]

    def puts(chat: Any, corpo: str) -> None:
        with host.inside():
            chat.resumo = corpo
            chat.put()

    jobs: list[Callable[[], Any]] = [lambda n=n: host.receive(str(n)) for n in range(8)]
    jobs += [lambda: host.answer(by_person=False), lambda: host.answer(read_up_to=first)]
    jobs += [lambda: host.read(first.key.id())] * 2 + [host.mark]
    jobs += [lambda each=each: puts(each, "velha") for each in copies]
    random.Random(seed).shuffle(jobs)
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        barrier.wait(30)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        results = list(pool.map(run, jobs))
    assert {each.status_code for each in results if hasattr(each, "status_code")} == {200}
    chat = host.chat()
    assert (chat.incoming_counted, chat.incoming_read, chat.arrivals) == (9, 1, 11)
    assert (chat.unread_count, host.get()["messages"]) == (8, 8)
    with host.inside():
        messages = Mensagem.query(Mensagem.conversa == host.key).fetch()
    counted = sorted(m.counted_at_arrival for m in messages if not m.nossa)
    assert counted == list(range(1, 10)), "each message has its own place in the count"
    assert sorted(m.arrival for m in messages) == list(range(1, 12))
    versions = [event["version"] for event in host.events() if event["type"] == "unread.changed"]
    assert len(versions) == len(set(versions))
    assert max(event["version"] for event in host.events()) == chat.version
    host.read(max(messages, key=lambda each: each.arrival).key.id())
    assert (host.unread(), host.chat().is_unread) == (0, False)

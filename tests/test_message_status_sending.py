"""Module 3: what becomes of a send, what a host's own `put()` leaves, and trying again."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from unittest import mock

import pytest
import requests
from google.api_core import exceptions as api_exceptions
from google.cloud import ndb
from urllib3.exceptions import MaxRetryError, NewConnectionError

import message_status as ms
import realtime_events as rt
from tests import live_host, status_host
from tests.failing_commits import failing_commits
from tests.live_host import Conversa, Mensagem
from tests.status_host import (
    NOON,
    REFUSAL,
    UUIDS,
    accepted,
    callback,
    conversation,
    events,
    link,
    load,
    new_message,
    postponed,
    refused,
    told,
    unconfirmed,
)

#: Fixtures.
app, world = status_host.app, status_host.world


# --- the outcome of a send --------------------------------------------------------------------


def test_an_outcome_is_recorded_once(world):
    id_ = new_message()
    refused(id_, code=131047, title="(#131047) Re-engagement message",
            error_data={"details": "24 hours"})  # fmt: skip
    refused(id_, code="190")
    unconfirmed(id_)
    postponed(id_)
    error = load(id_).live_json()["error"]
    assert load(id_).status == "failed"
    assert (error["code"], error["details"]) == ("131047", "24 hours")
    assert ms.fact(load(id_), "error")["title"] == "Re-engagement message"
    assert len(events()) == 1
    # WhatsApp has it, as callbacks or its own answer have said: what the sender thinks is too late.
    accepted(taken := new_message(), "wamid.taken")
    ms.record_statuses([callback("sent", opaque=(other := new_message()))])
    for late in (unconfirmed, postponed, lambda id_: refused(id_, code="1")):
        late(other)
        late(taken)
    for each, status in ((other, "sent"), (taken, "sending")):
        assert (load(each).status, load(each).live_json().get("error")) == (status, None)


def test_a_postponed_send_was_certainly_not_made_and_says_that_it_waits(world):
    id_ = new_message()
    for _ in range(2):
        postponed(id_)
    message = load(id_)
    assert (message.status, ms.fact(message, "started_at")) == ("sending", None)
    assert "será enviada" in message.live_json()["error"]["message"]
    assert len(events()) == 1
    refused(id_, code=ms.UNREACHABLE)
    assert "não foi enviada" in load(id_).live_json()["error"]["message"]


def test_an_error_that_is_known_outlives_the_answer_of_the_send(world):
    id_ = new_message()
    ms.record_statuses([callback("failed", wamid=None, opaque=id_)])
    accepted(id_, "wamid.1")
    assert (load(id_).status, ms.fact(load(id_), "error")["code"]) == ("failed", "131047")
    assert link("wamid.1").message_id == id_


def test_any_callback_repairs_a_doubt(world):
    for name in ("sent", "failed", "deleted"):
        unconfirmed(id_ := new_message())
        ms.record_statuses([callback(name, wamid=f"w{name}", opaque=id_)])
        error = load(id_).live_json().get("error")
        assert (error and error["code"]) == ("131047" if name == "failed" else None), name


def test_a_send_whose_process_died_is_in_doubt_after_ten_minutes(world, monkeypatch):
    began = ms.now_ms()
    lost, waits, known = new_message(since=began), new_message(started=False), new_message()
    accepted(known, "w")
    postponed(waits)
    later = began + 599_000

    def codes() -> list[Any]:
        found = [load(id_).live_json().get("error") for id_ in (lost, waits, known)]
        return [error and error["code"] for error in found]

    monkeypatch.setattr(ms, "now_ms", lambda: later)
    assert codes() == [None, "unreachable", None]
    later += 2_000
    assert codes() == ["unconfirmed", "unreachable", None]
    with pytest.raises(ms.Refused, match="may_duplicate"):
        ms.retry(lost, client_id=UUIDS[0])
    ms.record_statuses([callback("sent", opaque=lost)])
    assert codes() == [None, "unreachable", None]


# --- sending ----------------------------------------------------------------------------------


def draft(text: str = "Bom dia", **more: Any) -> Any:
    return Mensagem(conversa=conversation().key, corpo=text, **more)


def response(status: int, body: Any) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return made


OK = {"contacts": [{"wa_id": "x"}], "messages": [{"id": "wamid.new"}]}


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (200, OK, ("sending", None, "wamid.new")),
        (400, REFUSAL, ("failed", "131047", None)),
        (500, REFUSAL, ("failed", "131047", None)),
        (200, REFUSAL, ("failed", "131047", None)),
        (401, {"error": {}}, ("failed", "401", None)),
        (404, b"<html>", ("failed", "404", None)),
        (413, {"error": "too large"}, ("failed", "413", None)),
        (502, b"<html>", ("sending", "unconfirmed", None)),
        (503, {}, ("sending", "unconfirmed", None)),
        (302, b"", ("sending", "unconfirmed", None)),
        (500, OK, ("sending", "unconfirmed", None)),
        *[(200, body, ("sending", "unconfirmed", None)) for body in (
            b"", b"null", [], {}, {"messages": []}, {"messages": ["x"]}, {"messages": [{"id": 7}]},
            {"messages": [{"id": "w" * 1401}]}, {"messages": ["w", {}]})],
    ],
)  # fmt: skip
@pytest.mark.parametrize("as_response", [True, False])
def test_what_each_answer_of_the_graph_api_means(world, status, body, shown, as_response):
    if isinstance(body, bytes) and not as_response:
        body = None
    answer = response(status, body) if as_response else (status, body)
    message = draft()
    with ms.sending(message, resumo="Bom dia") as call:
        stored = load(rt.id_of(message))
        assert ms.fact(stored, "started_at"), "committed before the call"
        assert (stored.status, stored.arrival) == ("sending", 1)
        call.answer(answer)
    for each in (message, load(rt.id_of(message))):
        error = each.live_json().get("error")
        assert (each.status, error and error["code"], ms.fact(each, "wamid")) == shown
    if shown[1] == "131047":
        error = message.live_json()["error"]
        assert "24 horas" in error["message"]
        assert error["details"] == "24 hours"
        assert told(events()[0])["error"] == error
    assert conversation().key.get(use_cache=False).resumo == "Bom dia"
    (created,) = events("message.created")
    assert created["data"]["message"]["status"] == "sending"
    assert created["data"]["message"]["direction"] == "out"


def cannot_connect() -> requests.RequestException:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with requests.Session() as session:
        session.trust_env = False
        try:
            session.post(address, timeout=5)
        except requests.RequestException as error:
            return error
    raise AssertionError("connected")


def times_out() -> requests.RequestException:
    with closing(socket.create_server(("127.0.0.1", 0))) as server, requests.Session() as session:
        session.trust_env = False
        try:
            session.post(f"http://127.0.0.1:{server.getsockname()[1]}", json={}, timeout=0.05)
        except requests.RequestException as error:
            return error
    raise AssertionError("answered")


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (cannot_connect, ("failed", "unreachable")),
        (times_out, ("sending", "unconfirmed")),
        (lambda: requests.ConnectTimeout(), ("failed", "unreachable")),
        (lambda: requests.exceptions.ProxyError(), ("failed", "unreachable")),
        (lambda: requests.ConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "x"))),
         ("failed", "unreachable")),
        (lambda: requests.ConnectionError("reset by peer"), ("sending", "unconfirmed")),
        (lambda: requests.exceptions.ChunkedEncodingError(), ("sending", "unconfirmed")),
        (lambda: requests.HTTPError(response=response(400, REFUSAL)), ("failed", "131047")),
        (lambda: requests.HTTPError(response=response(401, b"")), ("failed", "401")),
        (lambda: requests.HTTPError(response=response(502, b"")), ("sending", "unconfirmed")),
    ],
)  # fmt: skip
def test_an_exception_of_requests_is_an_outcome_and_goes_no_further(world, make, shown):
    message, error = draft(), make()
    with ms.sending(message):
        raise error
    for each in (message, load(rt.id_of(message))):
        assert (each.status, each.live_json()["error"]["code"]) == shown


class EmptyError(Exception):
    """One that counts as false."""

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("error", [KeyError("to"), SystemExit(1), EmptyError()])
def test_a_crash_of_the_hosts_code_is_in_doubt_and_goes_on(world, error):
    message = draft()
    with pytest.raises(type(error)), ms.sending(message):
        raise error
    assert load(rt.id_of(message)).live_json()["error"]["code"] == "unconfirmed"
    message = draft()

    def crash_later() -> None:
        with ms.sending(message) as call:
            call.answer((200, OK))
            raise error

    pytest.raises(type(error), crash_later)
    assert "error" not in load(rt.id_of(message)).live_json()


def test_a_block_without_an_answer_is_in_doubt_and_said_in_the_log(world, caplog):
    message = draft()
    with ms.sending(message):
        pass
    assert message.live_json()["error"]["code"] == "unconfirmed"
    assert "without answer(response)" in caplog.text


@pytest.mark.parametrize("nothing", [None, "", 7, (200,), {"messages": []}])
def test_what_is_no_answer_is_refused_by_name(world, nothing):
    message = draft()
    with pytest.raises(TypeError, match=type(nothing).__name__), ms.sending(message) as call:
        call.answer(nothing)
    assert message.live_json()["error"]["code"] == "unconfirmed"


def test_a_host_may_answer_with_the_wamid_alone(world):
    message = draft()
    with ms.sending(message) as call:
        call.answer("wamid.alone")
    assert ms.fact(load(rt.id_of(message)), "wamid") == "wamid.alone"
    assert ms.fact(message, "accepted_at")


def test_a_hosts_own_exception_tells_by_its_cause_what_became_of_the_call(world):
    class NotSentError(Exception):
        """Of the host's client."""

    message = draft()
    with ms.sending(message):
        raise NotSentError from requests.HTTPError(response=response(400, REFUSAL))
    assert message.live_json()["error"]["code"] == "131047"
    with pytest.raises(NotSentError), ms.sending(message := draft()):
        raise NotSentError from KeyError("to")
    assert message.live_json()["error"]["code"] == "unconfirmed"


def test_a_message_is_sent_once(world, monkeypatch):
    message = draft()
    assert ms.send(message) is True
    assert live_host.sent == [{"id": rt.id_of(message), "corpo": "Bom dia"}]
    again = Mensagem(key=message.key, conversa=conversation().key, corpo="Bom dia")
    with pytest.raises(ms.Refused, match="already_stored") as caught, ms.sending(again):
        pytest.fail("called the Graph API")
    assert caught.value.more == {"message_id": rt.id_of(message)}
    assert ms.send(again) is False
    assert len(live_host.sent) == 1
    assert again.live_json()["arrival"] == message.arrival == 1
    assert again.status == "sending"
    by_host = draft()
    by_host.put()
    assert ms.send(by_host) is False, "the host leaves put() to it"


def test_an_outcome_outlives_a_store_that_is_away_for_some_seconds(world, monkeypatch):
    monkeypatch.setattr(ms, "_PAUSES", (0, 0))
    transaction, down = rt.transaction, []

    def away(callback: Callable[[], Any], **more: Any) -> Any:
        if down:
            raise down.pop()
        return transaction(callback, **more)

    monkeypatch.setattr(ms.realtime_events, "transaction", away)
    message = draft()
    with ms.sending(message) as call:
        down += [api_exceptions.ServiceUnavailable("away"), api_exceptions.RetryError("x", None)]
        call.answer((200, OK))
    assert ms.fact(load(rt.id_of(message)), "wamid") == "wamid.new"

    def go_away(error: Exception | None = None) -> None:
        with ms.sending(draft()) as call:
            down.extend([api_exceptions.ServiceUnavailable("away")] * 3)
            if error:
                raise error
            call.answer((200, OK))

    pytest.raises(api_exceptions.ServiceUnavailable, go_away)
    pytest.raises(KeyError, go_away, KeyError())  # the host's own, which the store's must not hide


def test_nothing_is_sent_where_nothing_can_be_stored(world):
    def attempt() -> None:
        with ms.sending(draft()):
            pytest.fail("called the Graph API")

    with pytest.raises(RuntimeError, match="transaction"):
        rt.transaction(attempt)
    gone = Mensagem(conversa=ndb.Key(Conversa, 404), corpo="x")
    with pytest.raises(LookupError), ms.sending(gone):
        pytest.fail("called the Graph API")
    with pytest.raises(AttributeError, match="resume"), ms.sending(draft(), resume="x"):
        pytest.fail("called the Graph API")


def test_who_answers_has_read_what_the_page_says_was_seen(world):
    """Trap 6: an id of the page, in whichever form, costs no message."""
    seen = [draft(str(n)) for n in range(3)]
    for message in seen:
        rt.receive(message)

    def unread() -> int:
        return int(conversation().key.get(use_cache=False).unread_count)

    ms.send(draft(), by_person=False)
    assert unread() == 3
    first = rt.id_of(seen[0])
    with world.test_request_context("/x", method="POST", json={"read_up_to": first}):
        ms.send(draft())
    assert unread() == 2
    second = {"read_up_to": rt.id_of(seen[1])}
    with world.test_request_context("/x", method="POST", data=second):
        ms.send(draft())
    assert unread() == 1
    for junk in ("999", "nobody", "__x__"):
        with world.test_request_context("/x", method="POST", json={"read_up_to": junk}):
            ms.send(draft())
    assert unread() == 1
    ms.send(draft(), read_up_to=seen[2])
    assert unread() == 0
    rt.receive(draft())
    with world.test_request_context("/x", method="POST", json={"read_up_to": {"a": 1}}):
        ms.send(draft())
    assert unread() == 0, "nothing usable was said: all that has come"


# --- the host's own put() ---------------------------------------------------------------------


@pytest.mark.parametrize("inside", [True, False])
def test_a_put_of_what_was_read_long_before_lowers_nothing(world, inside):
    """Trap 1, of a message."""
    message = draft()
    ms.send(message)
    id_ = rt.id_of(message)
    stale = load(id_)
    ms.record_statuses([callback("delivered", 3, opaque=id_, wamid=ms.fact(message, "wamid"))])
    ms.record_statuses([callback("failed", 4, opaque=id_, wamid=ms.fact(message, "wamid"))])
    before = load(id_)
    stale.corpo = "Bom dia!"
    if inside:
        rt.transaction(stale.put)
    else:
        stale.put()
    after = load(id_)
    assert after.corpo == "Bom dia!"
    for name in ("status", "status_facts", "arrival"):
        assert getattr(after, name) == getattr(before, name) == getattr(stale, name), name


def test_a_put_by_an_older_hand_brings_no_error_back(world):
    id_ = new_message()
    unconfirmed(id_)
    doubtful = load(id_)
    accepted(id_, "w")
    doubtful.put()
    assert "error" not in load(id_).live_json()
    assert ms.fact(load(id_), "accepted_at")


def test_the_hosts_update_of_a_message_keeps_its_status(world):
    message = draft()
    ms.send(message)
    changed = rt.update(message, corpo="Olá")
    assert (changed.corpo, ms.fact(changed, "wamid")) == ("Olá", ms.fact(message, "wamid"))
    (event,) = events("message.updated")
    assert event["data"]["message"]["status"] == "sending"


def test_verbs_work_without_ndbs_cache(app, store):
    with app.app_context(), store.client.context(cache_policy=False):
        away, doubtful = new_message(), new_message()
        unconfirmed(doubtful)
        accepted(doubtful, "w")
        postponed(away)
        assert ms.fact(load(away), "started_at") is None
        assert "error" not in load(doubtful).live_json()
        ms.record_statuses([callback("read", wamid="w"), callback("failed", opaque=away)])
        assert [load(id_).status for id_ in (doubtful, away)] == ["read", "failed"]


def test_a_copy_that_the_host_made_of_a_whole_message_begins_anew(world):
    ms.send(message := draft())
    ms.record_statuses([callback("failed", opaque=rt.id_of(message))])
    old = load(rt.id_of(message))
    copy = Mensagem(**old.to_dict(exclude=["arrival", "counts_unread", "counted_at_arrival"]))
    ms.send(copy)
    known = load(rt.id_of(copy))
    assert (known.status, "error" in known.live_json()) == ("sending", False)
    assert (ms.fact(known, "wamid"), set(ms.fact(known, "times"))) == (
        ms.fact(copy, "wamid"),
        {"sending"},
    )
    assert ms.fact(known, "wamid") != ms.fact(old, "wamid")


def test_a_message_from_before_the_module_has_nothing_to_show(world):
    old = draft()
    old.put()
    known = load(rt.id_of(old)).live_json()
    assert (known["status"], known["direction"], known["arrival"]) == (None, None, None)
    with pytest.raises(ms.Refused, match="not_found"):
        ms.audit(rt.id_of(old))
    accepted(rt.id_of(old), "w")
    assert link("w") is None


# --- incoming ---------------------------------------------------------------------------------


def test_a_webhook_that_is_repeated_stores_its_message_once(app, store):
    client = app.test_client()
    body = live_host.webhook_message("5511987654321", "oi", "wamid.in")
    for _ in range(3):
        assert client.post("/webhook", json=body).status_code == 200
    with app.app_context(), store.context():
        assert Mensagem.query().count() == 1
        assert (conversation().unread_count, conversation().version) == (1, 1)
        (event,) = events("message.created")
        assert event["data"]["message"]["direction"] == "in"
        assert event["data"]["message"]["status"] is None
        assert rt.receive(draft(), wamid="wamid.other")
        assert rt.receive(draft(), wamid="w" * 2000), "no key can be made of it: told apart no more"


# --- trying again -----------------------------------------------------------------------------


def test_a_new_attempt_copies_the_hosts_properties_only_and_tells_of_both(world):
    """Trap 10: who publishes message.updated for the message that was tried again?"""
    message = draft("Orçamento", nossa=True)
    live_host.answers += [(400, REFUSAL)]
    ms.send(message)
    rt.receive(draft("depois"))
    old = load(rt.id_of(message))
    new, is_new = ms.retry(rt.id_of(message), client_id=UUIDS[0])
    assert is_new
    stored = load(rt.id_of(new))
    assert (stored.corpo, stored.nossa, stored.conversa) == ("Orçamento", True, old.conversa)
    assert stored.criada > old.criada
    assert (stored.arrival, stored.status, ms.fact(stored, "error")) == (3, "sending", None)
    assert stored.counted_at_arrival == 1
    assert ms.fact(new, "wamid") == ms.fact(stored, "wamid") == f"wamid.2.{rt.id_of(new)}"
    assert conversation().key.get(use_cache=False).unread_count == 1, "not an answer"
    created, updated = events("message.created")[-1], events("message.updated")[-1]
    assert created["data"]["message"]["attempt_of"] == rt.id_of(old)
    assert updated["data"]["message"]["id"] == rt.id_of(old)
    assert updated["data"]["message"]["retried_as"] == rt.id_of(new)
    assert updated["data"]["message"]["retried_at"]
    assert updated["version"] == created["version"]
    assert load(rt.id_of(old)).status == "failed"
    # The same again, whose answer was lost, sends nothing; another's comes too late.
    again, is_new = ms.retry(rt.id_of(message), client_id=UUIDS[0])
    assert (again.key, is_new, len(live_host.sent)) == (new.key, False, 2)
    with pytest.raises(ms.Refused, match="already_retried") as caught:
        ms.retry(rt.id_of(message), client_id=UUIDS[1])
    assert caught.value.more["message_id"] == rt.id_of(new)


def test_only_a_refusal_or_a_doubt_can_be_tried_again(world):
    message = draft()
    ms.send(message)
    for id_ in (rt.id_of(message), new_message()):
        with pytest.raises(ms.Refused, match="not_retryable"):
            ms.retry(id_, client_id=UUIDS[0])
    customers = draft()
    rt.receive(customers)
    for id_ in ("404", "x", "", rt.id_of(customers)):
        with pytest.raises(ms.Refused, match="not_found"):
            ms.retry(id_, client_id=UUIDS[0])
    unconfirmed(doubtful := new_message())
    with pytest.raises(ms.Refused, match="may_duplicate"):
        ms.retry(doubtful, client_id=UUIDS[0])
    new, _ = ms.retry(doubtful, client_id=UUIDS[0], confirm=True)
    assert ms.fact(new, "wamid")


def test_two_who_try_again_at_once_make_one_attempt(app, store):
    with app.app_context(), store.context():
        refused(id_ := new_message(), code="1")

    def press(client_id: str) -> str:
        with app.app_context(), store.context():
            try:
                return rt.id_of(ms.retry(id_, client_id=client_id)[0])
            except ms.Refused as refusal:
                return refusal.more["message_id"]

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(press, UUIDS[:4]))
    assert len(made) == 1
    assert len(live_host.sent) == 1


def test_a_new_attempt_that_is_refused_can_be_tried_again(world):
    live_host.answers += [(400, REFUSAL)] * 3
    ms.send(first := draft())
    ids = [rt.id_of(first)]
    for client_id in UUIDS[:2]:
        ids.append(rt.id_of(ms.retry(ids[-1], client_id=client_id)[0]))
    for id_ in ids:
        attempts = ms.audit(id_)["attempts"]
        assert [each["message_id"] for each in attempts] == ids
        assert {each["status"] for each in attempts} == {"failed"}
        assert {each["error"]["code"] for each in attempts} == {"131047"}


def test_the_audit_tells_times_error_and_attempts(world):
    ms.send(message := draft())
    id_, wamid = rt.id_of(message), ms.fact(message, "wamid")
    raws = [callback("failed", 3, wamid=wamid), callback("sent", 1, wamid=wamid)]
    ms.record_statuses(raws, received_ms=(NOON + 10) * 1000)
    found = ms.audit(id_)
    assert (found["message_id"], found["status"], found["wamid"]) == (id_, "failed", wamid)
    assert list(found["statuses"]) == ["sending", "sent", "failed"]
    assert found["statuses"]["sent"] == "2025-11-01T12:00:01.000Z"
    assert found["error"]["code"] == "131047"
    (attempt,) = found["attempts"]
    assert attempt["started_at"] <= attempt["accepted_at"]


def test_what_a_host_refuses_is_not_taken_for_a_message_that_is_stored(world, monkeypatch):
    message, refusal = draft(), rt.Refused("no_room", "Sem espaço.")
    monkeypatch.setattr(type(message), "live_json", mock.Mock(side_effect=refusal))
    with pytest.raises(ms.Refused, match="no_room"):
        ms.send(message)


def test_a_new_attempt_whose_commit_nobody_knows_of_is_sent_once(world, monkeypatch):
    message = draft("Orçamento", nossa=True)
    live_host.answers += [(400, REFUSAL)]
    ms.send(message)
    with monkeypatch.context() as patched:
        failing_commits(patched, api_exceptions.ServiceUnavailable("who knows"), after=True)
        new, is_new = ms.retry(rt.id_of(message), client_id=UUIDS[0])
    assert is_new
    assert ms.fact(load(rt.id_of(new)), "wamid"), "the Graph API was called, and answered"
    assert len(live_host.sent) == 2
    again, is_new = ms.retry(rt.id_of(message), client_id=UUIDS[0])
    assert (again.key, is_new, len(live_host.sent)) == (new.key, False, 2)

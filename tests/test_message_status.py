"""Module 3: the rule of the check marks, what is stored of them, and how callbacks and sends find
their message, in a small foreign host on a real store.
"""

from __future__ import annotations

import inspect
import itertools
import json
import logging
import os
import random
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from google.api_core import exceptions as api_exceptions
from google.cloud import ndb
from google.cloud.ndb import _datastore_api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from urllib3.exceptions import MaxRetryError, NewConnectionError

import message_status as ms
import realtime_events as rt
from local.processes.parts import Part
from message_status import WamidLink
from tests import live_host
from tests.failing_commits import failing_commits
from tests.helpers import Store, free_port
from tests.live_host import Conversa, Mensagem

NOON = 1_761_998_400  # 2025-11-01 12:00 UTC
NAMES = ["sent", "delivered", "read", "played", "failed", "deleted"]
RANKS = ["sending", "sent", "delivered", "read", "played"]
UUIDS = [str(uuid.UUID(int=n, version=4)) for n in range(9)]


def callback(
    name: str, at: int = 0, *, wamid: str | None = "wamid.x", opaque: Any = None, code: int = 131047
) -> dict[str, Any]:
    """A status as WhatsApp sends it, `at` seconds after noon."""
    raw: dict[str, Any] = {
        "id": wamid, "status": name, "timestamp": str(NOON + at), "recipient_id": "5511987654321",
    }  # fmt: skip
    if opaque:
        raw["biz_opaque_callback_data"] = opaque
    if name == "failed":
        raw["errors"] = [{"code": code, "title": f"Title {code}", "error_data": {"details": "D"}}]
    return raw


def expected(sequence: Sequence[tuple[str, int]]) -> tuple[str, str | None, dict[str, int]]:
    """Status, error and times after these (status, second), without playing them; of a failure at
    second 7 the error is 107, see `numbered`.

    A failure counts when it comes before the first sign that the message arrived; else the highest
    rank wins. Of each status the earliest time stays.
    """
    names = [name for name, _ in sequence]
    failed = names.index("failed") if "failed" in names else None
    arrived = min(
        (names.index(n) for n in ("delivered", "read", "played") if n in names), default=99
    )
    status = max((n for n in names if n in RANKS), key=RANKS.index, default="sending")
    if failed is not None and failed < arrived:
        status = "failed"
    times: dict[str, int] = {}
    for name, at in sequence:
        if name != "deleted":
            times[name] = min(at, times.get(name, at))
    return status, None if failed is None else str(100 + sequence[failed][1]), times


def numbered(name: str, at: int, **more: Any) -> dict[str, Any]:
    """A callback whose error is told from others."""
    return callback(name, at, code=100 + at, **more)


def begun() -> Any:
    """A message of ours that is never stored."""
    message = ms.MessageStatusMixin()
    message._place(None, outgoing=True)
    return message


def read(raw: Any, received: int = (NOON + 100) * 1000) -> Any:
    return ms._read(raw, received)


def apply(message: Any, name: str, at: int) -> bool:
    told = read(numbered(name, at))
    return ms._apply(message, told.name, told.at, told.error)


def result(message: Any) -> tuple[str, str | None, dict[str, int]]:
    error = ms.fact(message, "error")
    times = {n: t // 1000 - NOON for n, t in ms.fact(message, "times").items() if n != "sending"}
    return message.status, error and error["code"], times


# --- the rule ---------------------------------------------------------------------------------

E1, E2, DOUBT = {"code": "131047"}, {"code": "131026"}, {"code": "unconfirmed"}

#: What it is, what comes, what it becomes.
TABLE = [
    *[(now, None, name, name, None)
      for place, now in enumerate(RANKS) for name in RANKS[place + 1:]],
    *[(now, None, name, now, None)
      for place, now in enumerate(RANKS) for name in [*RANKS[: place + 1], "deleted", ""]],
    *[("sending", DOUBT, name, name, None) for name in RANKS[1:]],
    ("sending", DOUBT, "failed", "failed", E1),
    *[("sending", DOUBT, name, "sending", DOUBT) for name in ("sending", "deleted")],
    *[(now, None, "failed", "failed", E1) for now in RANKS[:2]],
    *[(now, None, "failed", now, E1) for now in RANKS[2:]],
    *[(now, E2, "failed", now, E2) for now in [*RANKS[2:], "failed"]],
    *[("failed", E2, name, "failed", E2) for name in [*RANKS, "deleted"]],
    ("delivered", E2, "read", "read", E2),
]  # fmt: skip


@pytest.mark.parametrize(("current", "error", "incoming", "status", "left"), TABLE)
def test_each_cell_of_the_table(current, error, incoming, status, left):
    message = begun()
    message.status = current
    ms._update(message, error=error)
    facts, before = message.status_facts, dict(message.status_facts)
    told = ms._apply(message, incoming, 7, E1)
    assert (message.status, ms.fact(message, "error")) == (status, left)
    assert told == (incoming in NAMES[:5]), "each has a time, and the others tell nothing"
    assert facts == before, "another copy of it, in ndb's cache, stays as it is"


def test_every_order_and_repetition_of_up_to_five_callbacks_ends_right():
    """Told to the message itself, or kept for it until it learns its wamid."""
    for length in range(6):
        for names in itertools.product(NAMES, repeat=length):
            sequence = [(name, place) for place, name in enumerate(names)]
            message, late = begun(), begun()
            link = WamidLink(
                key=ndb.Key(WamidLink, "wamid.x", project="p", database="", namespace="")
            )
            for name, at in sequence:
                apply(message, name, at)
                apply(link, name, at)
            late.key = ndb.Key(ms.MessageStatusMixin, 1, project="p", database="", namespace="")
            ms._adopt(late, link)
            assert result(message) == result(late) == expected(sequence), names
            told_again = [apply(message, name, at) for name, at in sequence]
            assert not any(told_again), "what is repeated tells nothing new"


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 90)), max_size=40))
@settings(max_examples=150)
def test_a_status_never_moves_backwards_and_what_is_kept_is_bounded(sequence):
    message, shown = begun(), []
    for name, at in sequence:
        apply(message, name, at)
        shown.append(9 if message.status == "failed" else RANKS.index(message.status))
    assert result(message) == expected(sequence)
    assert shown == sorted(shown)
    assert len(json.dumps(message.status_facts)) < 700


@pytest.mark.parametrize(
    ("code", "words"),
    [("131047", "modelo"), ("131026", "WhatsApp"), ("190", "administrador"), ("131056", "Aguarde")],
)
def test_an_error_says_in_portuguese_what_to_do(code, words):
    assert words in ms.EXPLANATIONS[code]


@pytest.mark.parametrize(
    ("words", "shown"),
    [({"title": "Something new"}, "Something new (erro 999999)"),
     ({"message": "(#999999) Something new"}, "Something new (erro 999999)"),
     ({}, "O WhatsApp recusou a mensagem (erro 999999)")],
)  # fmt: skip
def test_an_unknown_error_shows_metas_own_words_and_its_code(words, shown):
    message = begun()
    ms._update(message, error=ms._error({"code": 999999, **words}))
    assert ms.status_json(message)["error"]["message"] == shown


def test_the_public_surface_is_what_all_says():
    defined = {
        name for name, value in vars(ms).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == ms.__name__
    }  # fmt: skip
    constants = {"DEFAULTS", "EXPLANATIONS", "FAILED", "SENDING", "UNCONFIRMED", "UNREACHABLE"}
    assert defined | constants == set(ms.__all__)
    for name in ms.__all__:
        if inspect.isfunction(getattr(ms, name)) or inspect.isclass(getattr(ms, name)):
            assert getattr(ms, name).__doc__, name


def test_it_stands_on_the_ground_floor_only():
    source = inspect.getsource(ms)
    for name in ("chat", "unread_state", "local"):
        assert f"import {name}" not in source
        assert f"from {name}" not in source


# --- what a callback looks like ---------------------------------------------------------------


def test_missing_parts_of_a_callback_are_no_obstacle():
    told = read({"id": "w", "status": "sent"}, 5_000_000_000_000)
    assert (told.at, told.error) == (5_000_000_000_000, None)
    for errors in ("?", [], ["?"], [{"error_data": "?"}], [{"code": None}], [{"code": ""}]):
        assert read({"id": "w", "status": "failed", "errors": errors}).error["code"] == "?"


@pytest.mark.parametrize("timestamp", ["", "x", None, "-1", "0", "99999999999999999", [], 1e400])
def test_a_time_that_cannot_be_is_the_time_of_receipt(timestamp):
    raw = {"id": "w", "status": "sent", "timestamp": timestamp}
    assert read(raw, NOON * 1000).at == NOON * 1000


@pytest.mark.parametrize(("ahead", "taken"), [(59, 59), (61, 0)])
def test_another_clock_may_be_a_minute_ahead(ahead, taken):
    raw = {"id": "w", "status": "sent", "timestamp": str(NOON + ahead)}
    assert read(raw, NOON * 1000).at == (NOON + taken) * 1000


def test_milliseconds_are_understood():
    raw = {"id": "w", "status": "sent", "timestamp": str(NOON * 1000 + 7)}
    assert read(raw, NOON * 1000 + 9).at == NOON * 1000 + 7


@pytest.mark.parametrize(
    ("raw", "field"),
    [("x", "statuses"), ({"status": "sent"}, "id"), ({"id": "w"}, "status"),
     ({"id": "w" * 1401, "status": "sent"}, "id"), ({"id": "__w__", "status": "sent"}, "id"),
     ({"id": "w\n", "status": "sent"}, "id"), ({"id": "\ud800", "status": "sent"}, "id"),
     ({"id": "w", "status": ["sent"]}, "status"), ({"id": 7, "status": "sent"}, "id")],
)  # fmt: skip
def test_a_callback_that_cannot_be_used_names_the_field(raw, field):
    told = read(raw)
    assert isinstance(told, ms.BadStatus)
    assert told.field == field


def test_words_of_any_length_and_kind_can_be_kept():
    for code, shown in ((7, "😀😀"), ("x" * 9_000, "(#7)")):
        title = "(#7) " + "😀" * 9_000
        error = {"code": code, "title": title, "error_data": {"details": "\ud83d"}}
        kept = read({"id": "w", "status": "failed", "errors": [error]}).error
        assert len(json.dumps(kept, ensure_ascii=False).encode()) < 3_000
        assert kept["title"].startswith(shown)
        assert kept["details"] == "?"


# --- a host -----------------------------------------------------------------------------------


@pytest.fixture
def app(store: Store) -> Flask:
    """The small foreign host: integer keys, and a Graph API that is a list of answers."""
    live_host.sent.clear()
    live_host.answers.clear()
    return live_host.create_app({"TESTING": True}, store.client)


@pytest.fixture
def world(app: Flask, store: Store) -> Iterator[Flask]:
    with app.app_context(), store.context():
        yield app


def conversation() -> Any:
    return live_host.find_or_make("5511987654321")


def accepted(id_: Any, wamid: str) -> Any:
    return ms.record_outcome(id_, wamid=wamid)


def refused(id_: str, code: str, **more: Any) -> None:
    ms.record_outcome(id_, error={"code": code, **more})


def postponed(id_: str) -> None:
    ms.record_outcome(id_, error={"code": ms.UNREACHABLE}, again=True)


def unconfirmed(id_: str) -> None:
    ms.record_outcome(id_)


def new_message(*, started: bool = True, since: int | None = None) -> str:
    """The id of a message that was written, without any sending."""
    message = Mensagem(conversa=conversation().key, corpo="Bom dia")
    facts = {"started_at": (since or ms.now_ms()) - 1} if started else {}
    rt.add_message(message, outgoing=True, **facts)
    return rt.id_of(message)


def load(id_: str) -> Any:
    found = ndb.Key(Mensagem, int(id_)).get(use_cache=False)
    assert found is not None
    return found


def link(wamid: str) -> Any:
    return ndb.Key(WamidLink, wamid).get(use_cache=False)


def events(type_: str = "message.status_changed") -> list[dict[str, Any]]:
    """What was published of this type, oldest first."""
    records = rt.RealtimeEvent.query().order(rt.RealtimeEvent._key).fetch(use_cache=False)
    blocks = [block.decode() for record in records for block in record.blocks]
    told = [json.loads(block.split("data: ", 1)[1]) for block in blocks]
    return [each for each in told if each["type"] == type_]


def told(event: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = event["data"]
    return data


# --- callbacks in the store -------------------------------------------------------------------


def test_the_answer_of_a_send_may_come_at_any_point_among_the_callbacks(world):
    names = ["sent", "delivered", "failed"]
    seconds = {name: at for at, name in enumerate(names)}
    outcomes = ("accepted", "unconfirmed then accepted", "unconfirmed")
    cases = {
        new_message(): case
        for case in itertools.product(
            itertools.permutations(names), range(len(names) + 1), outcomes, (True, False)
        )
    }
    for step in range(len(names) + 1):
        for id_, (_, place, outcome, _) in cases.items():
            if place == step and outcome != "accepted":
                unconfirmed(id_)
            if place == step and outcome != "unconfirmed":
                accepted(id_, f"wamid.{id_}")
        if step < len(names):
            ms.record_statuses([
                numbered(
                    order[step], seconds[order[step]],
                    wamid=f"wamid.{id_}", opaque=id_ if knows_us else None,
                )
                for id_, (order, _, _, knows_us) in cases.items()
            ])  # fmt: skip
    for id_, case in cases.items():
        order, _, outcome, knows_us = case
        message, wamid = load(id_), f"wamid.{id_}"
        if outcome == "unconfirmed" and not knows_us:
            # Nothing joins the two: it stays in doubt, and the callbacks wait.
            assert message.status == "sending", case
            assert message.live_json()["error"]["code"] == "unconfirmed", case
            assert set(ms.fact(link(wamid), "times")) == set(names), case
            continue
        assert result(message) == expected([(name, seconds[name]) for name in order]), case
        assert ms.fact(message, "wamid") == wamid, case
        assert bool(ms.fact(message, "accepted_at")) == (outcome != "unconfirmed"), case
        assert link(wamid).message_id == id_, case
        assert (link(wamid).status, link(wamid).status_facts) == (None, None), case
        assert link(wamid).expires_at is None, case


@given(
    callbacks=st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 90)), max_size=12),
    knows_us=st.booleans(),
    answer_at=st.integers(0, 12),
    batches=st.lists(st.integers(1, 5), min_size=12, max_size=12),
)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_any_sequence_in_any_batches_ends_as_the_rule_says(
    world, callbacks, knows_us, answer_at, batches
):
    id_ = new_message()
    wamid, answered, left, done = f"wamid.{id_}", False, list(callbacks), []
    for size in batches:
        if len(done) >= answer_at and not answered:
            accepted(id_, wamid)
            answered = True
        chunk, left = left[:size], left[size:]
        done += chunk
        opaque = id_ if knows_us else None
        raws = [numbered(name, at, wamid=wamid, opaque=opaque) for name, at in chunk]
        ms.record_statuses(raws, received_ms=(NOON + 100) * 1000)
        changes = ms.fact(load(id_), "changes")
        ms.record_statuses(raws, received_ms=(NOON + 101) * 1000)  # Meta repeats
        assert ms.fact(load(id_), "changes") == changes
    accepted(id_, wamid)
    assert result(load(id_)) == expected(done)


def test_an_event_tells_the_whole_status_and_a_repeat_tells_and_writes_nothing(world):
    id_ = new_message()
    accepted(id_, "wamid.1")
    assert events() == [], "accepted is still the clock"
    raw = callback("delivered", 4, wamid="wamid.1")
    assert ms.record_statuses([raw]) == []
    changes = ms.fact(load(id_), "changes")
    for raws in ([raw], [raw | {"biz_opaque_callback_data": id_}], [callback("deleted", 5)]):
        assert ms.record_statuses(raws) == []
    assert ms.fact(load(id_), "changes") == changes
    (event,) = events()
    assert (event["conversation_id"], event["version"]) == (rt.id_of(conversation()), None)
    begun_at = rt.iso(ms.fact(load(id_), "times")["sending"])
    assert event["data"] == {
        "message_id": id_,
        "client_id": id_,
        "status": "delivered",
        "statuses": {"sending": begun_at, "delivered": "2025-11-01T12:00:04.000Z"},
        "error": None,
    }
    ms.record_statuses([callback("sent", 2, wamid="wamid.1", opaque=id_)])
    assert len(events()) == 2, "a time that was missing"
    assert told(events()[1])["status"] == "delivered"


def test_a_status_changes_no_version_and_touches_no_conversation(world):
    id_ = new_message()
    before = conversation().to_dict()
    ms.record_statuses([callback("read", wamid="w", opaque=id_)])
    assert conversation().key.get(use_cache=False).to_dict() == before


def test_a_failure_after_delivery_is_noted_and_the_ticks_stay(world):
    id_ = new_message()
    raws = [callback("delivered", 1, opaque=id_), callback("failed", 2, opaque=id_)]
    ms.record_statuses([*raws, callback("failed", 3, opaque=id_, code=131026)])
    message = load(id_)
    assert (message.status, message.live_json()["error"]["code"]) == ("delivered", "131047")
    ms.record_statuses([callback("read", 3, opaque=id_)])
    assert load(id_).status == "read"
    assert load(id_).live_json()["error"]["code"] == "131047"


def test_of_two_failures_the_first_counts_and_of_each_status_the_earliest_time(world):
    id_ = new_message()
    ms.record_statuses([callback("failed", 9, opaque=id_), callback("sent", 5, opaque=id_)])
    ms.record_statuses([callback("failed", 4, opaque=id_, code=1), callback("sent", 7, opaque=id_)])
    assert result(load(id_)) == ("failed", "131047", {"failed": 4, "sent": 5})


def test_an_integer_key_is_found_by_its_opaque_id_and_by_its_wamid_alone(world):
    """Trap 2: the clock stayed for ever."""
    by_id, by_wamid = new_message(), new_message()
    assert isinstance(load(by_id).key.id(), int)
    accepted(by_wamid, "wamid.b")
    ms.record_statuses([callback("sent", wamid="wamid.a", opaque=by_id)])
    ms.record_statuses([callback("sent", wamid="wamid.b"), callback("read", wamid="wamid.a")])
    assert [load(id_).status for id_ in (by_id, by_wamid)] == ["read", "sent"]
    assert accepted(int(by_id), "wamid.a").status == "read", "the host's own number will do"


def test_an_id_of_another_program_on_the_same_number_is_not_taken_for_ours(world):
    id_, other = new_message(), new_message()
    accepted(id_, "wamid.ours")
    ms.record_statuses(
        [callback("failed", wamid="wamid.theirs", opaque=id_), callback("read", opaque=f"0{other}")]
    )
    assert [link(each).status for each in ("wamid.theirs", "wamid.x")] == ["failed", "read"]
    assert [load(each).status for each in (id_, other)] == ["sending", "sending"]
    ms.record_statuses([callback("sent", wamid=None, opaque=id_)])
    assert load(id_).status == "sent"


def test_a_status_of_a_customers_message_changes_nothing(world):
    message = Mensagem(conversa=conversation().key, corpo="oi")
    rt.receive(message, wamid="wamid.in")
    raws = [callback("read", wamid="wamid.in"), callback("read", wamid=None, opaque="nobody")]
    bad = ms.record_statuses([*raws, callback("read", wamid="w", opaque=rt.id_of(message))])
    assert [each.raw for each in bad] == raws
    assert link("w").status == "read"
    assert (load(rt.id_of(message)).status, link("wamid.in").expires_at) == (None, None)
    assert ms.owners(["wamid.in", "?", "w"]) == {"wamid.in": rt.id_of(message)}


@pytest.mark.parametrize("junk", [None, "sent", b"?", 7, {}, [None, 7, "x", [], {}], {"a": 1}])
def test_whatever_a_webhook_brings_is_taken(world, junk):
    bad = ms.record_statuses(junk)
    nothing = junk is None or isinstance(junk, dict)  # a call that brings none
    assert len(bad) == (0 if nothing else 4 if isinstance(junk, list) else 1)


def test_the_statuses_of_a_whole_webhook_call_are_found_whatever_else_is_in_it(world):
    ids = [new_message() for _ in range(3)]
    values: list[Any] = [
        {"statuses": [callback("sent", wamid=f"w{id_}", opaque=id_)]} for id_ in ids
    ]
    values += [None, 7, [], {}, {"statuses": None}, {"messages": [{"id": "x"}]}]
    changes: list[Any] = [{"field": "messages", "value": value} for value in values]
    entry = [{"id": "1", "changes": changes}, {"changes": None}, None, "x", {}]
    assert ms.record_statuses({"object": "whatsapp_business_account", "entry": entry}) == []
    assert {load(id_).status for id_ in ids} == {"sent"}
    bad = ms.record_statuses({"entry": [{"changes": [{"value": {"statuses": ["?"]}}]}]})
    assert [each.raw for each in bad] == ["?"]
    for junk in (None, 7, "x", {}, [7], {"changes": {"value": {}}}):
        assert ms.record_statuses({"entry": junk}) == []


def test_what_waits_and_what_cannot_be_used_is_said_in_the_log(world, caplog):
    caplog.set_level(logging.INFO, "message_status")
    ms.record_statuses([callback("sent", wamid="wamid.5511987654321"), callback("read"), "?"])
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("INFO", "2 statuses wait for their messages"),
        ("WARNING", "1 statuses cannot be used (statuses: not an object)"),
    ]
    refused("12345", code="1")
    assert "no message 12345" in caplog.text


def test_a_bad_callback_costs_its_neighbours_nothing(world):
    ids = [new_message() for _ in range(3)]
    raws = [callback("sent", wamid=f"w{n}", opaque=id_) for n, id_ in enumerate(ids)]
    bad = ms.record_statuses(["?", raws[0], {"status": "sent"}, raws[1], {"id": "x"}, raws[2]])
    assert [each.field for each in bad] == ["statuses", "id", "status"]
    assert {load(id_).status for id_ in ids} == {"sent"}


def test_one_message_that_cannot_be_written_costs_its_neighbours_nothing(world, monkeypatch):
    ids = [new_message() for _ in range(5)]
    apply_ = ms._apply

    def picky(message: Any, name: str, *more: Any) -> bool:
        if rt.id_of(message) == ids[2] and name == "sent":
            raise ValueError("cannot")
        return apply_(message, name, *more)

    monkeypatch.setattr(ms, "_apply", picky)
    raws = [callback("sent", wamid=f"w{n}", opaque=id_) for n, id_ in enumerate(ids)]
    (bad,) = ms.record_statuses([*raws, callback("read", wamid="w2", opaque=ids[2])])
    assert (bad.reason, bad.raw) == ("cannot be recorded: ValueError", raws[2])
    assert [load(id_).status for id_ in ids] == ["sent", "sent", "read", "sent", "sent"]


def test_a_store_that_is_down_or_crowded_makes_the_whole_call_come_again(world, monkeypatch):
    id_ = new_message()
    raws = [callback("sent", opaque=id_)]
    for error in (api_exceptions.ServiceUnavailable("away"), api_exceptions.Aborted("conflict")):

        def fail(callback: Any, *, error: Exception = error) -> Any:
            raise error

        monkeypatch.setattr(ms.realtime_events, "transaction", fail)
        with pytest.raises(type(error)):
            ms.record_statuses(raws)
    monkeypatch.undo()
    ms.record_statuses(raws)
    assert load(id_).status == "sent"


def test_statuses_of_other_programs_are_parked_bounded_and_expire(world, monkeypatch):
    many = [callback(name, at, wamid="foreign") for at in range(30) for name in NAMES]
    assert ms.record_statuses([*many, callback("sent", wamid="foreign2", opaque="their-own")]) == []
    assert len(json.dumps(link("foreign").status_facts)) < 500
    assert link("foreign2").message_id is None
    ours = new_message()
    accepted(ours, "wamid.ours")
    assert ms.owners(["wamid.ours", "foreign", "nothing"]) == {"wamid.ours": ours}
    assert ms._cleanup() == (0, False)
    begun_at = ms.now_ms()
    monkeypatch.setattr(ms, "now_ms", lambda: begun_at + 29 * 86_400_000)
    assert ms._cleanup() == (0, False)
    monkeypatch.setattr(ms, "now_ms", lambda: begun_at + 31 * 86_400_000)
    monkeypatch.setattr(rt, "_BATCH", 1)
    assert ms._cleanup() == (2, False)
    assert link("foreign") is None
    assert link("wamid.ours").message_id == ours, "a link that has its message stays"


def test_a_clean_up_without_time_says_that_there_may_be_more(world):
    ms._host().settings["CLEANUP_SECONDS"] = 0
    assert ms._cleanup() == (0, True)


def test_a_thousand_statuses_take_bounded_calls(world, monkeypatch):
    parent = conversation()
    messages = [Mensagem(conversa=parent.key, corpo="x") for _ in range(250)]
    for message in messages:
        rt.place(parent, message, outgoing=True)
    ids = [rt.id_of(key) for key in ndb.put_multi(messages)]
    calls: list[str] = []
    real = _datastore_api.make_call

    def counted(name: str, *args: Any, **more: Any) -> Any:
        calls.append(name)
        return real(name, *args, **more)

    monkeypatch.setattr(_datastore_api, "make_call", counted)
    raws = [callback("sent", wamid=f"w{id_}", opaque=id_) for id_ in ids]
    assert ms.record_statuses(raws) == []
    # Three transactions: begin, messages, links, commit of each.
    assert 9 <= len(calls) <= 3 * 4, calls
    monkeypatch.undo()
    assert len(events()) == 250


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
REFUSAL = {"error": {"code": 131047, "message": "(#131047) Re-engagement message",
                     "error_data": {"details": "24 hours"}}}  # fmt: skip


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


# --- two processes ----------------------------------------------------------------------------


@pytest.fixture
def two_servers(store: Store) -> Iterator[list[str]]:
    """Two gunicorns with the host on this test's store."""
    parts, urls = [], []
    for _ in range(2):
        address = f"127.0.0.1:{free_port()}"
        args = ["tests.live_host:create_app()", "--bind", address, "--no-control-socket"]
        args += ["--worker-class", "gthread", "--threads", "8"]
        part = Part("host", "gunicorn", args, environ={**os.environ, **store.environ})
        parts.append(part.start())
        urls.append(f"http://{address}")
    for part, url in zip(parts, urls, strict=True):
        part.wait_for_http(f"{url}/")
    yield urls
    for part in parts:
        part.kill()


def test_two_processes_at_once_lose_no_callback_and_no_step(two_servers, world, store) -> None:
    rng = random.Random(5)
    ids = [new_message() for _ in range(16)]
    sequences: dict[str, set[str]] = {}
    calls: list[dict[str, Any]] = []
    for number, id_ in enumerate(ids):
        names = rng.choices(NAMES[:5], k=rng.randint(2, 6))
        sequences[id_] = set(names)
        opaque = id_ if number % 2 else None
        calls += [
            callback(name, RANKS.index(name) if name in RANKS else 9, wamid=f"wamid.{id_}",
                     opaque=opaque)
            for name in names * 2
        ]  # fmt: skip
    rng.shuffle(calls)
    batches = [calls[start : start + 4] for start in range(0, len(calls), 4)]

    def post(place: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            for batch in batches[place::4]:
                body = {"entry": [{"changes": [{"value": {"statuses": batch}}]}]}
                answer = session.post(f"{two_servers[place % 2]}/webhook", json=body, timeout=60)
                assert answer.status_code == 200

    def answer_sends(_place: int) -> None:
        with store.context():
            for id_ in ids:
                accepted(id_, f"wamid.{id_}")

    with ThreadPoolExecutor(5) as pool:
        jobs = [pool.submit(post, place) for place in range(4)] + [pool.submit(answer_sends, 0)]
        for job in jobs:
            job.result()
    for id_ in ids:
        message = load(id_)
        status, _, times = result(message)
        assert set(times) == sequences[id_], "each one"
        highest = max((n for n in times if n in RANKS), key=RANKS.index, default="sending")
        assert status in ({"failed", highest} if "failed" in times else {highest})
        assert status != "failed" or ms.fact(message, "error")["code"] == "131047"
        assert ms.fact(message, "wamid") == f"wamid.{id_}"
    assert not any(each.status_facts for each in WamidLink.query().fetch())

"""Module 3: the rule of the check marks, what is stored of them, and how callbacks find their
message, in a small foreign host on a real store.
"""

from __future__ import annotations

import inspect
import itertools
import json
import logging
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from google.api_core import exceptions as api_exceptions
from google.cloud import ndb
from google.cloud.ndb import _datastore_api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import message_status as ms
import realtime_events as rt
from local.processes.parts import Part
from message_status import WamidLink
from tests import status_host
from tests.helpers import Store, free_port
from tests.live_host import Mensagem
from tests.status_host import (
    NOON,
    accepted,
    callback,
    conversation,
    events,
    link,
    load,
    new_message,
    refused,
    told,
    unconfirmed,
)

#: Fixtures.
app, world = status_host.app, status_host.world

NAMES = ["sent", "delivered", "read", "played", "failed", "deleted"]
RANKS = ["sending", "sent", "delivered", "read", "played"]


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

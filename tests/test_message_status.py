"""The rule of the check marks, what is stored of them, and how callbacks find their message."""

from __future__ import annotations

import inspect
import itertools
import json
import random
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import requests
from flask import Flask
from google.cloud import ndb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import message_status as ms
from chat.conversation.models import Message
from chat.platform import datastore
from message_status import WamidLink
from tests.chat.support import run_together, signature
from tests.helpers import Store

NOON = 1_761_998_400  # 2025-11-01 12:00 UTC
NAMES = ["sent", "delivered", "read", "played", "failed", "deleted"]
RANKS = ["sending", "sent", "delivered", "read", "played"]


def callback(
    name: str, at: int = 0, *, wamid: str = "wamid.x", opaque: str | None = None, code: int = 131047
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


def expected(sequence: Sequence[tuple[str, int]]) -> tuple[str, int | None, dict[str, int]]:
    """Status, time of the error and times after these (status, second), without playing them.

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
    return status, None if failed is None else sequence[failed][1], times


def play(sequence: Sequence[tuple[str, int]]) -> tuple[str, int | None, dict[str, int]]:
    """The same, by the module."""
    message = ms.MessageStatusMixin()
    ms.begin(message, (NOON - 5) * 1000)
    for name, at in sequence:
        ms._apply(message, ms._read(callback(name, at), (NOON + 100) * 1000), 20)
    return result(message)


def result(message: Any) -> tuple[str, int | None, dict[str, int]]:
    error = message.delivery.get("error")
    times = {n: t // 1000 - NOON for n, t in message.delivery["times"].items() if n != "sending"}
    assert (message.awaiting_since is None) == (message.status != "sending")
    return message.status, error and error["at"] // 1000 - NOON, times


# --- the rule ---------------------------------------------------------------------------------

E1, E2, DOUBT = {"code": "131047"}, {"code": "131026"}, {"code": "unconfirmed"}

#: What it is, what comes, what it becomes. The browser's half is held to the same table.
TABLE = [
    *[(now, None, name, name, None)
      for place, now in enumerate(RANKS) for name in RANKS[place + 1:]],
    *[(now, None, name, now, None)
      for place, now in enumerate(RANKS) for name in [*RANKS[: place + 1], "deleted", ""]],
    *[("sending", DOUBT, name, name, None) for name in RANKS[1:]],
    ("sending", DOUBT, "failed", "failed", E1),
    ("sending", DOUBT, "deleted", "sending", DOUBT),
    *[(now, None, "failed", "failed", E1) for now in RANKS[:2]],
    *[(now, None, "failed", now, E1) for now in RANKS[2:]],
    *[(now, E2, "failed", now, E2) for now in [*RANKS[2:], "failed"]],
    *[("failed", E2, name, "failed", E2) for name in [*RANKS, "deleted"]],
    ("delivered", E2, "read", "read", E2),
]  # fmt: skip


@pytest.mark.parametrize(("current", "error", "incoming", "status", "left"), TABLE)
def test_each_cell_of_the_table(current, error, incoming, status, left):
    assert ms.next_status(current, error, incoming, E1) == (status, left)


def test_every_order_and_repetition_of_up_to_five_callbacks_ends_right():
    for length in range(6):
        for names in itertools.product(NAMES, repeat=length):
            sequence = [(name, place) for place, name in enumerate(names)]
            assert play(sequence) == expected(sequence), names


callbacks = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 90)), max_size=40)


@given(callbacks)
@settings(max_examples=150)
def test_a_long_sequence_ends_right_and_its_trail_is_bounded(sequence):
    message = ms.MessageStatusMixin()
    ms.begin(message, (NOON - 5) * 1000)
    shown = []
    for name, at in sequence:
        ms._apply(message, ms._read(callback(name, at), (NOON + 100) * 1000), 20)
        shown.append(message.status)
    distinct = list(dict.fromkeys(sequence))
    if len(distinct) <= 20:  # beyond, a repeat of what the trail has dropped is noted again
        assert len(message.delivery.get("trail", [])) == len(distinct)
    assert result(message)[::2] == expected(sequence)[::2]
    ranks = [9 if name == "failed" else RANKS.index(name) for name in shown]
    assert ranks == sorted(ranks), "a status never moves backwards"
    assert len(message.delivery.get("trail", [])) <= 20


def test_only_an_attendants_retry_leaves_failed():
    for name in [*NAMES, *RANKS, "x"]:
        assert ms.next_status("failed", E1, name, E2) == ("failed", E1)


def test_read_and_played_are_shown_as_delivered():
    assert [ms.shown(name) for name in [*RANKS, "failed"]] == [
        "sending", "sent", "delivered", "delivered", "delivered", "failed",
    ]  # fmt: skip
    assert [ms.label(name) for name in ("sending", "sent", "played", "failed")] == [
        "Pendente", "Enviada", "Entregue", "Não enviada",
    ]  # fmt: skip
    assert ms.label("sending", DOUBT) == "Talvez enviada"


@pytest.mark.parametrize(
    ("code", "words"),
    [("131047", "modelo"), ("131026", "WhatsApp"), ("190", "administrador"), ("131056", "Aguarde")],
)
def test_an_error_says_in_portuguese_what_to_do(code, words):
    assert words in ms.explain(code, "English title")


def test_an_unknown_error_shows_metas_own_words_and_its_code():
    assert ms.explain("999999", "Something new") == "Something new (erro 999999)"
    assert "999999" in ms.explain("999999")


def test_the_public_surface_is_what_all_says():
    defined = {
        name for name, value in vars(ms).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == ms.__name__
    }  # fmt: skip
    constants = {"DEFAULTS", "FAILED", "SENDING", "UNCONFIRMED", "UNREACHABLE"}
    assert defined | constants == set(ms.__all__)
    for name in ms.__all__:
        if inspect.isfunction(getattr(ms, name)) or inspect.isclass(getattr(ms, name)):
            assert getattr(ms, name).__doc__, name


def test_it_imports_neither_the_chat_nor_another_module():
    source = inspect.getsource(ms)
    for name in ("chat", "realtime_events", "unread_state"):
        assert f"import {name}" not in source
        assert f"from {name}" not in source


@pytest.mark.parametrize("value", ["0", "61", "soon"])
def test_a_setting_that_cannot_work_is_named(value):
    app = Flask("x")
    app.config["MESSAGE_STATUS_PARK_DAYS"] = value
    with pytest.raises(ValueError, match=f"MESSAGE_STATUS_PARK_DAYS='?{value}'?: "):
        ms._settings(app)


def test_the_drawing_is_html_with_the_label_and_no_colour_of_its_own():
    html = str(ms.ticks("read"))
    assert 'data-status="delivered"' in html
    assert 'aria-label="Entregue"' in html
    assert "#" not in html
    assert ms.ticks("") == ms.ticks(Message(direction="in")) == ""
    message = Message(status="sending", delivery={"error": {**DOUBT, "source": "x", "at": 0}})
    assert "data-unconfirmed" in ms.ticks(message)
    assert 'aria-label="Talvez enviada"' in ms.ticks(message)


# --- what a callback looks like ---------------------------------------------------------------


def test_missing_parts_change_nothing_but_are_recorded():
    read = ms._read({"id": "w", "status": "sent"}, 5_000_000_000_000)
    assert (read.at, read.error) == (5_000_000_000_000, None)
    failed = ms._read({"id": "w", "status": "failed", "errors": "?"}, NOON * 1000)
    assert failed.error["code"] == "?"
    assert "erro ?" in ms.explain("?")


@pytest.mark.parametrize("timestamp", ["", "x", None, "-1", "0", "99999999999999999", [], 1e400])
def test_a_time_that_cannot_be_is_the_time_of_receipt(timestamp):
    raw = {"id": "w", "status": "sent", "timestamp": timestamp}
    assert ms._read(raw, NOON * 1000).at == NOON * 1000


def test_milliseconds_are_understood():
    raw = {"id": "w", "status": "sent", "timestamp": str(NOON * 1000 + 7)}
    assert ms._read(raw, NOON * 1000 + 9).at == NOON * 1000 + 7


@pytest.mark.parametrize(
    ("raw", "field"),
    [("x", "statuses"), ({"status": "sent"}, "id"), ({"id": "w"}, "status"),
     ({"id": "w" * 1401, "status": "sent"}, "id"), ({"id": "__w__", "status": "sent"}, "id"),
     ({"id": "w", "status": ["sent"]}, "status"), ({"id": 7, "status": "sent"}, "id")],
)  # fmt: skip
def test_a_callback_that_cannot_be_used_names_the_field(raw, field):
    with pytest.raises(ms._BadError) as caught:
        ms._read(raw, 0)
    assert caught.value.field == field


def test_a_very_large_callback_is_kept_cut_and_read_the_same_again():
    raw = callback("failed", opaque="me") | {"pricing": "x" * 100_000}
    read = ms._read(raw, (NOON + 9) * 1000)
    assert len(json.dumps(read.raw)) < 2_500
    again = ms._read(read.raw, (NOON + 9) * 1000)
    assert (again.wamid, again.opaque, again.at) == (read.wamid, read.opaque, read.at)
    assert again.error["code"] == read.error["code"]


# --- in the store -----------------------------------------------------------------------------


@pytest.fixture
def world(app: Flask) -> Iterator[Flask]:
    with app.app_context(), datastore.context(seconds=120.0):
        yield app


def new_message(id_: str | None = None, *, started: bool = True) -> str:
    message = Message(id=id_ or str(uuid.uuid4()), conversation_id="c", direction="out")
    ms.begin(message, (NOON - 5) * 1000)
    if started:
        ms.started(message, (NOON - 4) * 1000)
    message.put()
    return message.id


def load(id_: str) -> Message:
    found = ndb.Key(Message, id_).get(use_cache=False)
    assert found is not None
    return found


def events() -> list[dict[str, Any]]:
    from realtime_events import RealtimeEvent

    entities = RealtimeEvent.query().fetch(use_cache=False)
    found = sorted((e for one in entities for e in one.events()), key=lambda event: event.name)
    return [json.loads(e.data) for e in found if e.type == "message.status_changed"]


def link(wamid: str) -> Any:
    return ndb.Key(WamidLink, wamid).get(use_cache=False)


@pytest.mark.store
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
                ms.unconfirmed(id_)
            if place == step and outcome != "unconfirmed":
                ms.accepted(id_, f"wamid.{id_}")
        if step < len(names):
            ms.record_statuses(
                callback(
                    order[step], seconds[order[step]],
                    wamid=f"wamid.{id_}", opaque=id_ if knows_us else None,
                )
                for id_, (order, _, _, knows_us) in cases.items()
            )  # fmt: skip
    for id_, case in cases.items():
        order, _, outcome, knows_us = case
        message, wamid = load(id_), f"wamid.{id_}"
        if outcome == "unconfirmed" and not knows_us:
            # Nothing joins the two: it stays in doubt, and the callbacks wait.
            assert message.status == "sending", case
            assert message.status_error["code"] == "unconfirmed", case
            assert len(link(wamid).parked) == 3, case
            continue
        assert result(message) == expected([(name, seconds[name]) for name in order]), case
        assert message.wamid == wamid, case
        assert link(wamid).message_id == id_, case
        assert not link(wamid).parked, case
        assert link(wamid).expires_at is None, case


@given(
    callbacks=st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 90)), max_size=12),
    knows_us=st.booleans(),
    answer_at=st.integers(0, 12),
    batches=st.lists(st.integers(1, 5), min_size=12, max_size=12),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.store
def test_any_sequence_in_any_batches_ends_as_the_rule_says(
    world, callbacks, knows_us, answer_at, batches
):
    id_ = new_message()
    wamid, answered, left = f"wamid.{id_}", False, list(dict.fromkeys(callbacks))
    left = left[:9] if not knows_us else left  # more are not parked of one wamid
    done = []
    for size in batches:
        if len(done) >= answer_at and not answered:
            ms.accepted(id_, wamid)
            answered = True
        chunk, left = left[:size], left[size:]
        done += chunk
        opaque = id_ if knows_us else None
        raws = [callback(name, at, wamid=wamid, opaque=opaque) for name, at in chunk]
        ms.record_statuses(raws, received_ms=(NOON + 100) * 1000)
        ms.record_statuses(raws, received_ms=(NOON + 101) * 1000)  # Meta repeats
    ms.accepted(id_, wamid)
    assert result(load(id_)) == expected(done)


@pytest.mark.store
def test_an_event_tells_the_whole_status_and_a_repeat_tells_nothing(world):
    id_ = new_message("m1")
    ms.accepted(id_, "wamid.1")
    assert events() == [], "accepted is still the clock"
    raw = callback("delivered", 4, wamid="wamid.1", opaque=id_)
    for _ in range(3):
        ms.record_statuses([raw])
    ms.record_statuses([callback("deleted", 5, wamid="wamid.1", opaque=id_)])
    (event,) = events()
    assert event == {
        "message_id": "m1",
        "client_id": "m1",
        "status": "delivered",
        "statuses": {
            "sending": "2025-11-01T11:59:55.000Z", "delivered": "2025-11-01T12:00:04.000Z",
        },
        "error": None,
    }  # fmt: skip
    ms.record_statuses([callback("sent", 2, wamid="wamid.1", opaque=id_)])
    assert len(events()) == 2, "a time that was missing"
    assert events()[1]["status"] == "delivered"


@pytest.mark.store
def test_a_failure_after_delivery_is_noted_and_the_ticks_stay(world):
    id_ = new_message()
    ms.record_statuses([callback("delivered", 1, opaque=id_), callback("failed", 2, opaque=id_)])
    message = load(id_)
    assert (message.status, message.status_error["code"]) == ("delivered", "131047")
    ms.record_statuses([callback("read", 3, opaque=id_)])
    assert load(id_).status == "read"
    assert load(id_).status_error["code"] == "131047"


@pytest.mark.store
def test_an_outcome_is_recorded_once(world):
    id_ = new_message()
    ms.refused(id_, code="131047", title="Re-engagement message", details="24 hours")
    ms.refused(id_, code="190")
    ms.unconfirmed(id_)
    ms.postponed(id_)
    message = load(id_)
    assert message.status == "failed"
    assert message.status_error["code"] == "131047"
    assert message.status_error["details"] == "24 hours"
    assert message.status_error["source"] == "response"
    assert len(events()) == 1
    # Callbacks have proved that it went out: whatever the sender thinks came too late.
    ms.record_statuses([callback("sent", opaque=(other := new_message()))])
    for late in (ms.unconfirmed, ms.postponed, lambda id_: ms.refused(id_, code="1")):
        late(other)
    assert (load(other).status, load(other).status_error) == ("sent", None)


@pytest.mark.store
def test_a_bad_callback_costs_its_neighbours_nothing(world):
    ids = [new_message() for _ in range(3)]
    raws = [callback("sent", wamid=f"w{n}", opaque=id_) for n, id_ in enumerate(ids)]
    report = ms.record_statuses(["?", raws[0], {"status": "sent"}, raws[1], {"id": "x"}, raws[2]])
    assert [bad.field for bad in report.bad] == ["statuses", "id", "status"]
    assert report.applied == 3
    assert {load(id_).status for id_ in ids} == {"sent"}


@pytest.mark.store
def test_one_message_that_cannot_be_written_costs_its_neighbours_nothing(world, monkeypatch):
    ids = sorted(new_message() for _ in range(5))
    apply = ms._apply

    def picky(message: Any, callback: Any, size: int) -> bool:
        if message.key.id() == ids[2]:
            raise ValueError("cannot")
        return apply(message, callback, size)

    monkeypatch.setattr(ms, "_apply", picky)
    report = ms.record_statuses(
        [callback("sent", wamid=f"w{n}", opaque=id_) for n, id_ in enumerate(ids)]
    )
    assert (report.applied, len(report.bad)) == (4, 1)
    assert [load(id_).status for id_ in ids] == ["sent", "sent", "sending", "sent", "sent"]


@pytest.mark.store
def test_a_store_that_is_down_makes_the_whole_call_come_again(world, monkeypatch):
    def down(*_args: Any, **_more: Any) -> None:
        raise datastore.StoreUnavailableError("away")

    monkeypatch.setattr(ms.ndb, "put_multi", down)
    with pytest.raises(datastore.StoreUnavailableError):
        ms.record_statuses([callback("sent", wamid="foreign")])


@pytest.mark.store
def test_statuses_of_other_programs_are_parked_bounded_counted_and_expire(world, monkeypatch):
    many = [callback("sent", at, wamid="foreign") for at in range(30)]
    report = ms.record_statuses([*many, callback("sent", wamid="foreign2", opaque="their-own")])
    assert (report.applied, report.parked) == (0, 31)
    assert len(link("foreign").parked) == ms.DEFAULTS["PARK_LIMIT"][0]
    assert link("foreign2").message_id is None
    assert ms.parked() == 2
    ms.accepted(new_message("ours"), "wamid.ours")
    assert ms.owners(["wamid.ours", "foreign", "nothing"]) == {"wamid.ours": "ours"}
    assert ms.delete_expired(10) == (0, False)
    now = ms._now_ms()
    monkeypatch.setattr(ms, "_now_ms", lambda: now + 31 * 86_400_000)
    assert ms.delete_expired(10) == (2, False)
    assert (ms.parked(), link("foreign")) == (0, None)
    assert link("wamid.ours").message_id == "ours", "a link that has its message stays"


@pytest.mark.store
def test_a_thousand_statuses_take_bounded_calls_and_touch_no_conversation(world, monkeypatch):
    ids = [new_message(f"{n:04d}", started=False) for n in range(250)]
    calls: list[str] = []
    stub = datastore.get_client().stub
    real = type(stub).__getattr__

    def counted(self: Any, name: str) -> Any:
        calls.append(name)
        return real(self, name)

    monkeypatch.setattr(type(stub), "__getattr__", counted)
    raws = [callback("sent", wamid=f"w{id_}", opaque=id_) for id_ in ids]
    report = ms.record_statuses(raws)
    assert report.applied == 250
    # Three transactions: begin, messages, links, commit of each.
    assert len(calls) <= 3 * 4, calls
    monkeypatch.undo()
    from chat.conversation.models import Conversation

    assert Conversation.query().fetch() == []
    assert len(events()) == 250


@pytest.mark.store
def test_what_awaits_its_sending_is_listed_until_a_callback_comes(world, monkeypatch):
    now = ms._now_ms()
    for n, age in enumerate([5, 61, 62, 62, 62, 90, 31 * 86_400]):
        message = Message(id=f"m{n}", conversation_id="c", direction="out")
        ms.begin(message, now - age * 1000)
        message.put()
    monkeypatch.setattr(ms, "_now_ms", lambda: now)
    messages, following = ms.awaiting(limit=50)
    assert [m.id for m in messages][::4] == ["m1", "m5"]
    assert (len(messages), following) == (5, None)
    pages, before = [], None
    while True:
        page, before = ms.awaiting(before, limit=4)
        pages.append([m.id for m in page])
        if before is None:
            break
    assert [len(page) for page in pages] == [4, 1], "equal moments are not torn apart"
    assert sorted(sum(pages, [])) == ["m1", "m2", "m3", "m4", "m5"]
    ms.record_statuses([callback("sent", opaque="m1")])
    assert "m1" not in [m.id for m in ms.awaiting()[0]]


@pytest.mark.store
def test_the_audit_tells_times_trail_and_attempts(world):
    id_ = new_message()
    ms.accepted(id_, "wamid.a")
    raws = [
        callback("failed", 3, wamid="wamid.a", opaque=id_),
        callback("sent", 1, wamid="wamid.a"),
    ]
    ms.record_statuses(raws, received_ms=(NOON + 10) * 1000)
    found = ms.audit(id_)
    assert (found["status"], found["shown"], found["label"]) == ("failed", "failed", "Não enviada")
    assert found["wamid"] == "wamid.a"
    assert list(found["statuses"]) == ["sending", "sent", "failed"]
    assert [entry["status"] for entry in found["trail"]] == ["failed", "sent"]
    assert found["trail"][0]["received_at"] == "2025-11-01T12:00:10.000Z"
    assert found["trail"][0]["error"] == {"code": "131047", "title": "Title 131047"}
    (attempt,) = found["attempts"]
    assert attempt["started_at"] == "2025-11-01T11:59:56.000Z"
    assert attempt["accepted_at"]
    with pytest.raises(ms.MessageNotFound):
        ms.audit("nobody")


@pytest.mark.store
def test_functions_work_in_a_thread_without_an_app_context(store: Store, app: Flask) -> None:
    with datastore.context():
        id_ = new_message()
        ms.accepted(id_, "w")
        assert load(id_).wamid == "w"


@pytest.mark.store
def test_two_processes_at_once_lose_no_callback_and_no_step(live_server, store: Store) -> None:
    urls = [live_server().url, live_server().url]
    rng = random.Random(5)
    with datastore.context(seconds=60):
        ids = [new_message() for _ in range(16)]
    sequences: dict[str, list[tuple[str, int]]] = {}
    calls: list[dict[str, Any]] = []
    for number, id_ in enumerate(ids):
        names = rng.choices(NAMES, k=rng.randint(2, 6))
        sequences[id_] = [(name, place) for place, name in enumerate(names)]
        opaque = id_ if number % 2 else None
        calls += [
            callback(name, place, wamid=f"wamid.{id_}", opaque=opaque)
            for name, place in sequences[id_] * 2
        ]
    rng.shuffle(calls)
    batches = [calls[start : start + 4] for start in range(0, len(calls), 4)]

    def post(place: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            for batch in batches[place::4]:
                value = {"statuses": batch}
                change = {"field": "messages", "value": value}
                body = json.dumps({"entry": [{"changes": [change]}]}).encode()
                answer = session.post(
                    f"{urls[place % 2]}/webhook", data=body, headers=signature(body), timeout=60
                )
                assert answer.status_code == 200

    def answer_sends() -> None:
        with datastore.context(seconds=60):
            for id_ in ids:
                ms.accepted(id_, f"wamid.{id_}")

    run_together(*[lambda place=place: post(place) for place in range(4)], answer_sends)
    with datastore.context(seconds=60):
        for id_ in ids:
            message = load(id_)
            came = [
                (entry["raw"]["status"], int(entry["raw"]["timestamp"]) - NOON)
                for entry in message.delivery["trail"]
            ]
            assert sorted(came) == sorted(sequences[id_]), "each one, and once"
            assert result(message) == expected(came)
            assert message.wamid == f"wamid.{id_}"
        assert not any(each.parked for each in WamidLink.query().fetch())

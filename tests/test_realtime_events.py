"""The event log on a real store: publishing, cursor, poller and clean-up."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, g
from google.api_core.exceptions import Aborted
from google.cloud import ndb
from hypothesis import given
from hypothesis import strategies as st

import realtime_events as rt
from tests.event_host import EventHost, Gate, last_cursor, numbers, parse, pollers
from tests.helpers import Store, wait_until

HOUR = 3_600_000


def name_of(ms: int, rng: random.Random) -> str:
    """A record's name."""
    return f"{ms:013d}-0000-{rng.getrandbits(48):012x}"


# --- pure -------------------------------------------------------------------------------------


@given(st.integers(0, 2**42), st.lists(st.integers(-5000, 80_000), max_size=600), st.randoms())
def test_a_cursor_reads_back_what_it_was_written_from(
    watermark: int, offsets: list[int], rng: random.Random
) -> None:
    names = [name_of(max(0, watermark + offset), rng) for offset in offsets]
    cursor = rt.Cursor.of(watermark, names)
    assert rt.Cursor.decode(cursor.encode()) == cursor
    assert cursor.unseen(names) == []
    assert len(cursor.encode()) <= 3000


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1"))))
def test_an_unreadable_cursor_is_expired_and_nothing_else(text: str) -> None:
    with contextlib.suppress(rt.CursorExpired):
        rt.Cursor.decode(text)


@pytest.mark.parametrize("text", ["", "x", "AQ", "1", "ç", "A" * 4000, "BAAAAAAAAAAAAAA", "AgAA"])
def test_a_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(rt.CursorExpired):
        rt.Cursor.decode(text)


@given(st.binary(max_size=60).map(lambda raw: b"\x04" + raw), st.lists(st.integers(0, 2**41)))
def test_a_forged_cursor_is_read_or_refused(raw: bytes, stamps: list[int]) -> None:
    text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    rng = random.Random(1)
    with contextlib.suppress(rt.CursorExpired):
        rt.Cursor.decode(text).unseen([name_of(ms, rng) for ms in stamps])


def test_a_cursor_of_thousands_of_records_stays_within_three_kilobytes() -> None:
    rng = random.Random(4)
    start = 1_700_000_000_000
    names = [name_of(start + 1 + n, rng) for n in range(9000)]
    cursor = rt.Cursor.decode(rt.Cursor.of(start, names).encode())
    assert len(cursor.encode()) <= 3000
    assert 200 < len(cursor.digests) <= 250, "as fine as fits: little is told again"
    assert cursor.unseen(names) == []
    late = name_of(start + 4000, rng)
    again = cursor.unseen([*names, late])
    assert late in again
    assert len(again) < 100, "one late record re-delivers its own slot only"


def test_a_cursor_has_all_up_to_its_watermark_and_nothing_above() -> None:
    rng = random.Random(1)
    names = [name_of(ms, rng) for ms in (999, 1000, 1001, 1002)]
    assert rt.Cursor(1000).unseen(names) == names[2:]
    assert rt.Cursor.of(1000, names) == rt.Cursor.of(1000, names[2:])


def test_a_block_is_readable_by_any_sse_client() -> None:
    block = rt.format_event(
        "message.created", '{"text":"olá\\nvocê"}', event_id="E", at=1_700_000_000_123,
        conversation_id="c1", version=7,
    )  # fmt: skip
    head, data, *rest = block.decode().split("\ndata: ")
    assert head == "event: message.created"
    assert rest == []
    assert data.endswith("}\n\n")
    assert data.count("\n") == 2
    assert json.loads(data) == {
        "id": "E", "type": "message.created", "conversation_id": "c1", "version": 7,
        "at": "2023-11-14T22:13:20.123Z", "data": {"text": "olá\nvocê"},
    }  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert rt.__all__ == sorted(rt.__all__, key=lambda name: (not name.isupper(), name))
    own = {
        name for name, value in vars(rt).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == rt.__name__
    }  # fmt: skip
    assert own | {"DEFAULTS"} == set(rt.__all__)


def start_with(**settings: Any) -> None:
    app = Flask("host")
    app.config.update({f"REALTIME_EVENTS_{name}": value for name, value in settings.items()})
    rt.init_app(app, None, current_user_id=lambda: None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DELIVERY", "polling"), ("OVERLAP_SECONDS", "0"), ("HOLD_SECONDS", "soon"),
        ("CAPACITY", "-1"), ("POLL_SECONDS", "5"), ("RETENTION_HOURS", "nan"),
        ("RETENTION_HOURS", "1"), ("REPLAY_SECONDS", "80"),
    ],
)  # fmt: skip
def test_a_bad_setting_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"REALTIME_EVENTS_{name}", value)
    with pytest.raises(ValueError, match=f"REALTIME_EVENTS_{name}"):
        start_with()
    monkeypatch.delenv(f"REALTIME_EVENTS_{name}")
    with pytest.raises(ValueError, match=f"REALTIME_EVENTS_{name}"):
        start_with(**{name: value})


# --- on a store -------------------------------------------------------------------------------


@pytest.fixture
def host(store: Store) -> Iterator[EventHost]:
    host = EventHost(store)
    yield host
    host.close()


def stored(host: EventHost) -> list[dict[str, Any]]:
    with host.store.context():
        records = rt.RealtimeEvent.query().order(rt.RealtimeEvent._key).fetch()
    return parse("".join(block.decode() for each in records for block in each.blocks))


@pytest.mark.store
def test_an_event_commits_with_its_change_or_not_at_all(host: EventHost) -> None:
    cursor = last_cursor(host.ask())

    def refused() -> None:
        rt.publish("message.created", {"n": 1}, conversation_id="c1")
        raise LookupError

    with host.store.context(), pytest.raises(LookupError):
        rt.transaction(refused)
    host.publish(2)
    assert numbers(host.ask(cursor)) == [2]


@pytest.mark.store
def test_publishing_outside_a_transaction_is_refused(host: EventHost) -> None:
    tell = lambda: rt.publish("message.created", {}, conversation_id=None)  # noqa: E731
    for run in (tell, lambda: ndb.transaction(tell)):
        with host.store.context(), pytest.raises(RuntimeError, match="transaction"):
            run()


@pytest.mark.store
@pytest.mark.parametrize(
    ("type", "data", "field"),
    [
        ("message\nid: x", {}, "type"), ("Message", {}, "type"),
        ("message.created", {"text": "é" * 200_001}, "data"),
        ("message.created", {"seconds": float("nan")}, "Out of range"),
    ],
)  # fmt: skip
def test_what_cannot_be_published_is_refused_by_field(
    host: EventHost, type: str, data: dict[str, Any], field: str
) -> None:
    with host.store.context(), pytest.raises(ValueError, match=f"^{field}"):
        rt.transaction(lambda: rt.publish(type, data, conversation_id=None))


@pytest.mark.store
def test_events_are_stamped_last_and_again_on_each_retry(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1_700_000_000_000, 1_800_000_000_000, 1000))
    attempts = []
    monkeypatch.setattr(rt, "now_ms", lambda: next(clock))
    put_multi = ndb.put_multi

    def conflict_once(entities: Any) -> Any:
        attempts.append(len(entities[0].blocks))
        if len(attempts) == 1:
            raise Aborted("a conflict")
        return put_multi(entities)

    monkeypatch.setattr(rt.ndb, "put_multi", conflict_once)
    host.publish(1, 2)
    assert attempts == [2, 2]
    assert {event["at"] for event in stored(host)} == {rt.iso(1_700_000_001_000)}
    assert [event["data"]["n"] for event in stored(host)] == [1, 2]


@pytest.mark.store
def test_a_transaction_of_very_many_or_large_events_is_told_whole_and_in_order(
    host: EventHost,
) -> None:
    cursor = last_cursor(host.ask())
    text = "漢" * 50_000  # 150 kB

    def change() -> None:
        for n in range(450):
            data = {"n": n, "text": text} if n < 12 else {"n": n}
            rt.publish("message.created", data, conversation_id="c1")

    with host.store.context():
        rt.transaction(change)
        records = rt.RealtimeEvent.query().fetch()
    assert len(records) > 3
    assert max(sum(map(len, each.blocks)) for each in records) < 900_000, "Datastore takes 1 MiB"
    for app in (host.app, host.make_app(elsewhere=True)):
        assert numbers(host.ask(cursor, app=app)) == list(range(450))


@pytest.mark.store
def test_events_of_a_slow_commit_are_told_once_more(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, late = time.monotonic, [0.0]
    monkeypatch.setattr(rt.time, "monotonic", lambda: real() + late[0])
    commit = ndb.transaction

    def slow(*args: Any, **kwargs: Any) -> Any:
        result = commit(*args, **kwargs)
        late[0] += 6  # over half of the overlap of 10 s
        return result

    monkeypatch.setattr(rt.ndb, "transaction", slow)
    host.publish(1)
    assert [event["data"]["n"] for event in stored(host)] == [1, 1]


@pytest.mark.store
def test_events_of_a_long_callback_are_told_once(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, late = time.monotonic, [0.0]
    monkeypatch.setattr(rt.time, "monotonic", lambda: real() + late[0])

    def work() -> None:
        late[0] += 6  # before its events are stamped
        rt.publish("message.created", {"n": 1}, conversation_id="c1")

    with host.store.context():
        rt.transaction(work)
    assert [event["data"]["n"] for event in stored(host)] == [1]


@pytest.mark.store
def test_inner_transactions_join_and_tell_one_record_in_order(host: EventHost) -> None:
    cursor = last_cursor(host.ask())

    def inner(number: int) -> int:
        def tell() -> int:
            rt.publish("message.created", {"n": number}, conversation_id="c1")
            return number

        return rt.transaction(tell)

    with host.store.context():
        assert rt.transaction(lambda: [inner(1), inner(2), inner(3)]) == [1, 2, 3]
        assert len(rt.RealtimeEvent.query().fetch(keys_only=True)) == 1
        ndb.transaction(lambda: inner(4))  # the host's own
    assert numbers(host.ask(cursor)) == [1, 2, 3, 4]


@pytest.mark.store
def test_nothing_reads_the_store_while_nobody_listens(host: EventHost) -> None:
    gate = Gate(host.store.context)
    before = pollers()
    app = host.make_app(LINGER_SECONDS=0, context=gate)
    host.publish(1)
    assert gate.reads == 0
    started = time.monotonic()
    assert parse(host.ask(app=app))[0]["type"] == "hello"
    assert time.monotonic() - started < 3, "hello waits for no lingering"
    wait_until(lambda: pollers() == before, what="the poller's end")
    count = gate.reads
    host.publish(2)
    assert gate.reads == count > 0


@pytest.mark.store
def test_the_poller_lingers_from_when_its_last_listener_left(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(LINGER_SECONDS=60, POLL_SECONDS=0.05, context=gate)
    response = host.get(app=app, delivery="stream")
    real = time.monotonic
    monkeypatch.setattr(rt.time, "monotonic", lambda: real() + 100)
    response.close()
    count = gate.reads
    wait_until(lambda: gate.reads > count + 2)
    host.close()  # before time goes back, as it does for no process


@pytest.mark.store
def test_idle_reads_do_not_grow_with_listeners(host: EventHost) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(CAPACITY=50, context=gate)
    responses = [host.get(app=app, delivery="stream") for _ in range(30)]
    for response in responses:
        next(iter(response.response))
    reads: list[float] = []
    gate.before = lambda: reads.append(time.monotonic())
    wait_until(lambda: len(reads) >= 4)
    assert reads[3] - reads[0] >= 2 * 0.3, "more than one reader polls"
    for response in responses:
        response.close()


@pytest.mark.store
def test_a_commit_of_this_process_needs_no_read_and_does_not_wait_for_the_poll(
    host: EventHost,
) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(POLL_SECONDS=4, context=gate)
    response = host.get(app=app, delivery="stream")
    chunks = iter(response.response)
    next(chunks)
    count = gate.reads
    started = time.monotonic()
    host.publish(1)
    assert numbers(next(chunks).decode()) == [1]
    assert time.monotonic() - started < 3
    assert gate.reads == count
    response.close()


@pytest.mark.store
def test_of_two_apps_the_one_that_commits_is_handed_it(host: EventHost) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(POLL_SECONDS=4, context=gate)
    host.make_app()  # the last one
    response = host.get(app=app, delivery="stream")
    chunks = iter(response.response)
    next(chunks)
    count = gate.reads
    with app.app_context():
        host.publish(1)
    assert numbers(next(chunks).decode()) == [1]
    assert gate.reads == count
    response.close()


@pytest.mark.store
def test_a_commit_to_another_log_is_not_handed_over(host: EventHost) -> None:
    other = Store(host.store.host, f"{host.store.project}-b")
    elsewhere = host.make_app(context=other.context)
    cursor = last_cursor(host.ask(app=elsewhere))
    host.publish(1)
    with other.context():
        rt.transaction(lambda: rt.publish("message.created", {"n": 2}, conversation_id="c"))
    assert numbers(host.ask(cursor, app=elsewhere)) == [2]


@pytest.mark.store
def test_two_processes_hand_a_client_over_without_loss_or_repetition(host: EventHost) -> None:
    apps = [host.make_app(), host.make_app(elsewhere=True)]
    cursor, got = last_cursor(host.ask(app=apps[0])), []
    for number in range(20):
        host.publish(number)
        text = host.ask(cursor, app=apps[number % 2 if number % 3 else (number + 1) % 2])
        cursor = last_cursor(text)
        got += numbers(text)
    assert got == list(range(20))


@pytest.mark.store
def test_clean_up_deletes_what_is_past_the_retention_and_no_more(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(1)
    with host.store.context():
        for hours in (1, 23, 25, 26, 50):
            rt.RealtimeEvent(id=name_of(rt.now_ms() - hours * HOUR, rng)).put()
    client = host.app.test_client()
    assert client.get("/realtime/cleanup").status_code == 403
    host.cron = True
    host.user = None
    assert client.get("/realtime/cleanup").json == {"deleted": 3, "more": False}
    with host.store.context():
        query = rt.RealtimeEvent.query()
        assert len(query.fetch(keys_only=True)) == 2
        assert rt.delete_all(query, 0) == (0, True), "no time: there may be more"
        monkeypatch.setattr(rt, "_BATCH", 1)
        assert rt.delete_all(query, 5) == (2, False)


@pytest.mark.store
@pytest.mark.parametrize(
    ("environ", "header", "status"),
    [("standard", "true", 200), ("standard", "", 403), ("", "true", 403)],
)
def test_the_scheduler_is_known_by_app_engines_header_and_only_there(
    store: Store, monkeypatch: pytest.MonkeyPatch, environ: str, header: str, status: int
) -> None:
    monkeypatch.setenv("GAE_ENV", environ)
    app = Flask("host")
    rt.init_app(app, store.client, current_user_id=lambda: "ana")
    headers = {"X-Appengine-Cron": header}
    answer = app.test_client().get("/realtime/cleanup", headers=headers)
    assert answer.status_code == status


@pytest.mark.store
def test_records_of_another_form_are_passed_over(host: EventHost) -> None:
    with host.store.context():
        name = f"{rt.now_ms():013d}-0123456789ab-0000-1"  # of an earlier version
        rt.RealtimeEvent(id=name).put()
    cursor = last_cursor(host.ask())
    host.publish(1)
    assert numbers(host.ask(cursor)) == [1]


@pytest.mark.store
def test_the_cursor_of_a_page_that_answers_a_change_skips_nothing(host: EventHost) -> None:
    @host.app.post("/form")
    def form() -> str:
        return str(g.realtime_cursor)

    host.ask()  # a poller runs, and knows what comes now
    host.publish(1)
    cursor = host.app.test_client().post("/form").text
    host.publish(2)
    assert numbers(host.ask(cursor)) == [1, 2]


@pytest.mark.store
def test_the_cursor_of_now_tells_of_everything_after_it(host: EventHost) -> None:
    host.publish(1)
    with host.app.app_context():
        cursor = rt.current_cursor()
    host.publish(2)
    told = numbers(host.ask(cursor))
    assert told in ([1, 2], [2]), "without a poller what came lately may be told once more"
    with host.app.app_context():
        cursor = rt.current_cursor()
    host.publish(3)
    assert numbers(host.ask(cursor)) == [3]


@pytest.mark.store
def test_writers_in_many_threads_lose_nothing(host: EventHost) -> None:
    cursor = last_cursor(host.ask())
    writers: list[Callable[[], None]] = [
        lambda n=n: [host.publish(n * 10 + i) for i in range(5)] for n in range(8)
    ]
    threads = [threading.Thread(target=writer) for writer in writers]
    for thread in threads:
        thread.start()
    got: list[int] = []
    while len(set(got)) < 40:
        text = host.ask(cursor)
        cursor = last_cursor(text)
        got += numbers(text)
    for thread in threads:
        thread.join()
    assert len(got) < 60, "only commits of the same millisecond may come twice"

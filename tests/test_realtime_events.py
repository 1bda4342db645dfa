"""The event log on a real store: publishing, cursor, poller, and what clients are answered."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, g, render_template_string
from google.api_core.exceptions import Aborted
from google.cloud import ndb
from hypothesis import given
from hypothesis import strategies as st

import realtime_events as rt
from local.processes.parts import ROOT
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
@pytest.mark.parametrize(
    ("environ", "setting", "expected"),
    [("standard", "auto", "hold"), ("flex", "auto", "stream"), ("standard", "stream", "stream")],
)
def test_automatic_delivery_holds_on_app_engine_standard_only(
    host: EventHost, monkeypatch: pytest.MonkeyPatch, environ: str, setting: str, expected: str
) -> None:
    monkeypatch.setenv("GAE_ENV", environ)
    app = host.make_app(DELIVERY=setting, STREAM_SECONDS=1)
    [hello, *_] = parse(host.ask(app=app, delivery=""))
    assert hello["data"]["delivery"] == expected


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
def test_resuming_from_any_cursor_gives_exactly_what_came_after_it(host: EventHost) -> None:
    elsewhere = host.make_app(elsewhere=True)
    cursors = [last_cursor(host.ask())]
    told = [[1], [2, 3, 4], [5], [6, 7]]
    for each in told:
        host.publish(*each)
        cursors.append(last_cursor(host.ask(cursors[-1])))
    for app in (host.app, elsewhere):
        for place, cursor in enumerate(cursors):
            rest = numbers(host.ask(cursor, app=app, hello="1"))
            assert rest == [number for each in told[place:] for number in each]


@pytest.mark.store
def test_last_event_id_wins_over_after(host: EventHost) -> None:
    start = last_cursor(host.ask())
    host.publish(1)
    first = last_cursor(host.ask(start))
    host.publish(2)
    assert numbers(host.ask(start, headers={"Last-Event-ID": first})) == [2]


@pytest.mark.store
def test_without_a_cursor_only_what_comes_from_now_on_is_told(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAE_VERSION", "b1")
    host.publish(1)
    [hello] = parse(host.ask())
    assert hello["type"] == "hello"
    assert hello["data"] == {"delivery": "hold", "build": "b1", "cursor": hello["cursor"]}
    host.publish(2)
    assert numbers(host.ask(hello["cursor"])) == [2]


@pytest.mark.store
def test_hello_and_what_was_missed_are_answered_at_once(host: EventHost) -> None:
    cursor = last_cursor(host.ask())
    assert [event["type"] for event in parse(host.ask(cursor, hello="1"))] == ["hello"]
    host.publish(1)
    events = parse(host.ask(cursor, hello="1"))
    assert [event["type"] for event in events] == ["hello", "message.created"]
    assert events[0]["cursor"] == cursor, "a connection cut after hello must lose nothing"


@pytest.mark.store
def test_who_is_held_and_told_something_comes_again_at_once(host: EventHost) -> None:
    hello = host.ask()
    host.publish(1)
    for text in (hello, host.ask(last_cursor(hello))):
        assert int(text.removeprefix("retry: ").split("\n")[0]) < 100


@pytest.mark.store
def test_a_held_response_waits_and_ends_at_the_first_batch(host: EventHost) -> None:
    cursor = last_cursor(host.ask())
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(host.ask(cursor)))
    thread.start()
    wait_until(host.streams, what="a held stream")
    assert answers == []
    host.publish(1)
    thread.join(10)
    assert numbers(answers[0]) == [1]
    assert not host.streams()


@pytest.mark.store
def test_a_held_response_beats_until_its_first_batch(host: EventHost) -> None:
    app = host.make_app(HEARTBEAT_SECONDS=0.1)
    cursor = last_cursor(host.ask(app=app))
    chunks = iter(host.get(cursor, app=app).response)
    next(chunks)
    assert [next(chunks)[-7:] for _ in range(2)] == [b"\n: hb\n\n"] * 2
    host.publish(1)
    assert numbers(b"".join(chunks).decode()) == [1]


@pytest.mark.store
def test_a_held_response_without_events_ends_with_a_newer_cursor(host: EventHost) -> None:
    app = host.make_app(HOLD_SECONDS=1)
    cursor = last_cursor(host.ask(app=app))
    text = host.ask(cursor, app=app)
    assert parse(text) == []
    renewed = rt.Cursor.decode(last_cursor(text))
    assert renewed.watermark > rt.Cursor.decode(cursor).watermark
    assert "retry: 20\n" in text, "0 makes EventSource spin"


@pytest.mark.store
def test_a_stream_beats_and_goes_on_after_a_batch(host: EventHost) -> None:
    app = host.make_app(HEARTBEAT_SECONDS=0.1, STREAM_SECONDS=30)
    response = host.get(app=app, delivery="stream")
    chunks = iter(response.response)
    assert b"event: hello" in next(chunks)
    assert next(chunks).endswith(b"\n: hb\n\n")
    host.publish(1)
    host.publish(2)
    text = b""
    while len(numbers(text.decode())) < 2:
        text += next(chunks)
    assert numbers(text.decode()) == [1, 2]
    response.close()
    assert not host.streams(app)


@pytest.mark.store
def test_a_new_request_of_the_same_client_ends_the_older_one_of_that_user(host: EventHost) -> None:
    first = host.get(delivery="stream", client="tab")
    chunks = iter(first.response)
    next(chunks)
    host.user = "bruno"
    other = host.get(delivery="stream", client="tab")
    next(iter(other.response))
    assert host.streams() == 2
    host.user = "ana"
    second = host.get(delivery="stream", client="tab")
    next(iter(second.response))
    assert list(chunks) == []
    assert host.streams() == 2
    second.close()
    other.close()


@pytest.mark.store
def test_the_older_request_of_a_client_ends_at_once_though_nothing_comes(host: EventHost) -> None:
    app = host.make_app(HEARTBEAT_SECONDS=20)
    first = host.get(app=app, delivery="stream", client="tab")
    got: list[bytes] = []

    def read() -> None:
        for chunk in first.response:
            got.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: got)
    host.publish(1)
    wait_until(lambda: len(got) > 1)
    second = host.get(app=app, delivery="stream", client="tab")
    reader.join(10)
    assert not reader.is_alive()
    second.close()


@pytest.mark.store
def test_over_the_capacity_a_stream_is_answered_at_once_and_asked_to_come_again(
    host: EventHost,
) -> None:
    app = host.make_app(CAPACITY=1)
    cursor = last_cursor(host.ask(app=app))
    full = host.get(app=app, delivery="stream")
    next(iter(full.response))
    for delivery in ("stream", "hold"):
        text = host.ask(cursor, app=app, delivery=delivery)
        assert parse(text) == []
        assert 1000 <= int(text.split("retry: ")[1].split("\n")[0]) <= 3000
    host.publish(1)
    assert numbers(host.ask(cursor, app=app, delivery="stream")) == [1]
    full.close()
    assert not host.streams(app)


class Gunicorn:
    """As gunicorn's own: among the callers of what loads the app, with a `cfg`."""

    def __init__(self, threads: int) -> None:
        self.begun: list[object] = []
        self.cfg = SimpleNamespace(
            worker_class_str="gthread", threads=threads, post_worker_init=self.begun.append
        )
        self.cfg.set = partial(setattr, self.cfg)

    def load(self, host: EventHost, **settings: Any) -> Flask:
        return host.make_app(**settings)


@pytest.mark.store
@pytest.mark.parametrize(("threads", "streams"), [(8, 6), (120, 100)])
def test_some_threads_stay_free_of_streams(host: EventHost, threads: int, streams: int) -> None:
    app = Gunicorn(threads).load(host, CAPACITY=1000)
    held = [host.get(app=app, delivery="stream", client=str(n)) for n in range(threads)]
    assert host.streams(app) == streams
    for each in held:
        each.close()


@pytest.mark.store
def test_a_hosts_own_start_of_a_worker_is_kept(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled: list[int] = []
    monkeypatch.setattr(rt.signal, "signal", lambda number, _: handled.append(number))
    gunicorn = Gunicorn(8)
    gunicorn.load(host)
    gunicorn.cfg.post_worker_init("worker")
    assert gunicorn.begun == ["worker"]
    assert handled == [rt.signal.SIGTERM]


@pytest.mark.store
@pytest.mark.parametrize("delivery", ["stream", "hold"])
def test_a_worker_without_threads_answers_at_once(host: EventHost, delivery: str) -> None:
    cursor = last_cursor(host.ask(delivery=delivery, threads=False))
    text = host.ask(cursor, delivery=delivery, threads=False)
    assert parse(text) == []
    assert int(text.split("retry: ")[1].split("\n")[0]) >= 1000
    host.publish(1)
    assert numbers(host.ask(cursor, delivery=delivery, threads=False)) == [1]


@pytest.mark.store
def test_a_response_that_is_never_read_gives_its_place_back(host: EventHost) -> None:
    response = host.get(delivery="stream")
    assert host.streams() == 1
    response.close()
    assert not host.streams()


@pytest.mark.store
@pytest.mark.parametrize("after", ["%00", "garbage", "A" * 3000])
def test_an_unreadable_cursor_is_answered_by_reset(host: EventHost, after: str) -> None:
    host.publish(1)
    [reset] = parse(host.ask(after))
    assert reset["type"] == "reset"
    host.publish(2)
    assert numbers(host.ask(reset["data"]["cursor"])) == [2]


@pytest.mark.store
def test_a_cursor_that_is_too_old_or_of_the_future_is_answered_by_reset(host: EventHost) -> None:
    now = rt.now_ms()
    for watermark in (0, now - 125_000, now + HOUR):
        [hello, *_] = parse(host.ask(rt.Cursor(watermark).encode()))
        assert hello["type"] == "reset"
        assert rt.Cursor.decode(hello["data"]["cursor"]).watermark < now
    host.publish(1)
    assert numbers(host.ask(rt.Cursor(now - 100_000).encode())) == [1]


@pytest.mark.store
def test_reset_comes_with_hello_where_it_was_asked_for_and_is_not_undone_by_it(
    host: EventHost,
) -> None:
    reset, hello = parse(host.ask("garbage", hello="1"))
    assert [reset["type"], hello["type"]] == ["reset", "hello"]
    assert reset["data"]["cursor"] == hello["data"]["cursor"] == hello["cursor"]


@pytest.mark.store
def test_a_sleeper_of_more_records_than_are_kept_is_reset_and_never_told_a_part(
    host: EventHost,
) -> None:
    before = last_cursor(host.ask())
    apps = [host.make_app(RING_SIZE=10, elsewhere=elsewhere) for elsewhere in (False, True)]
    host.ask(app=apps[0])
    for n in range(15):
        host.publish(n)
    for app in apps:
        assert [event["type"] for event in parse(host.ask(before, app=app))] == ["reset"]


@pytest.mark.store
def test_a_late_commit_that_is_kept_no_longer_does_not_hide_what_went_before_it(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = host.make_app(RING_SIZE=10, LINGER_SECONDS=60)
    host.ask(app=app)
    before = rt.Cursor(rt.now_ms() - 1).encode()
    host.publish(0)
    real = rt.now_ms
    monkeypatch.setattr(rt, "now_ms", lambda: real() - 5_000)
    host.publish(1)
    monkeypatch.undo()
    for n in range(2, 12):
        host.publish(n)
    assert [event["type"] for event in parse(host.ask(before, app=app))] == ["reset"]


@pytest.mark.store
def test_a_stream_that_more_overtook_than_are_kept_goes_on_from_its_cursor(host: EventHost) -> None:
    app = host.make_app(RING_SIZE=10)
    response = host.get(app=app, delivery="stream")
    chunks = iter(response.response)
    cursor = last_cursor(next(chunks).decode())
    for n in range(25):  # while this client's connection is slow
        host.publish(n)
    assert list(chunks) == []
    assert [event["type"] for event in parse(host.ask(cursor, app=app))] == ["reset"]


@pytest.mark.store
def test_a_process_that_shuts_down_still_tells_what_it_has(host: EventHost) -> None:
    cursor = last_cursor(host.ask())
    stream = host.get(cursor, delivery="stream")
    host.publish(1)
    host.close()
    assert numbers(host.ask(cursor)) == [1]
    assert host.ask(cursor, delivery="stream").count("event:") == 1, "and opens no stream"
    end = stream.get_data(as_text=True).split("retry: ")[-1]
    assert 1000 <= int(end.strip()) <= 3000, "not all pages at the same moment"


@pytest.mark.store
@pytest.mark.parametrize("nobody", [None, False, ""])
def test_without_a_login_the_answer_is_401(host: EventHost, nobody: Any) -> None:
    host.user = nobody
    before = pollers()
    for path in ("events", "versions?id=1"):
        response = host.app.test_client().get(f"/realtime/{path}")
        assert response.status_code == 401
        assert response.json["error"]["code"] == "login_required"
        assert host.app.test_client().options(f"/realtime/{path}").status_code == 405
    assert pollers() == before, "a stranger must not make the store work"


@pytest.mark.store
def test_a_user_whose_id_is_zero_is_somebody(host: EventHost) -> None:
    host.user = 0
    assert parse(host.ask())[0]["type"] == "hello"


@pytest.mark.store
def test_an_unknown_delivery_is_refused_by_field(host: EventHost) -> None:
    response = host.get(delivery="push")
    assert response.status_code == 400
    assert response.json["error"]["field"] == "delivery"


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


# --- pages ------------------------------------------------------------------------------------

HEAD = '{% include "realtime_events/head.html" %}'


def page_of(html: str) -> dict[str, Any]:
    """What the include gave the page."""
    found: dict[str, Any] = json.loads(html.split('id="realtime-events">')[1].split("</script>")[0])
    return found


def with_page(host: EventHost, view: Callable[[], object] = lambda: None, **more: Any) -> Flask:
    """An app whose page `/` is rendered after `view` has read its data."""
    app = host.make_app(**more)
    app.template_folder = str(ROOT / "templates")

    @app.get("/")
    def page() -> str:
        view()
        return render_template_string(HEAD)

    return app


@pytest.mark.store
def test_a_page_gets_what_its_script_needs_and_a_strangers_nothing(host: EventHost) -> None:
    host.user = 7
    client = with_page(host).test_client()
    html = client.get("/").get_data(as_text=True)
    page = page_of(html)
    assert list(page) == ["csrf", "cursor", "url", "user"]
    assert (page["url"], page["user"]) == ("/realtime", "7")
    assert 'src="/static/realtime_events.js"' in html
    host.user = None
    assert client.get("/").get_data(as_text=True).strip() == ""


@pytest.mark.store
@pytest.mark.parametrize("listened", [False, True])
def test_a_page_rendered_after_its_data_were_read_misses_nothing(
    host: EventHost, listened: bool
) -> None:
    app = with_page(host, lambda: host.publish(1))  # committed between reading and rendering
    host.publish(0)
    if listened:
        host.ask(app=app)
    cursor = page_of(app.test_client().get("/").get_data(as_text=True))["cursor"]
    assert 1 in numbers(host.ask(cursor, app=app))


@pytest.mark.store
def test_a_pages_cursor_is_older_than_what_the_hosts_own_hooks_read(host: EventHost) -> None:
    def setup(app: Flask) -> None:
        app.before_request(lambda: host.publish(1))  # registered before the module's

    app = with_page(host, setup=setup)
    with app.test_request_context():
        host.ask()
    host_cursor = page_of(app.test_client().get("/").get_data(as_text=True))["cursor"]
    assert 1 in numbers(host.ask(host_cursor))


def with_change(app: Flask) -> Any:
    """A client of an app with a guarded route that changes something."""
    view = lambda: {"context": ndb.get_context() is not None}  # noqa: E731
    rt.add_routes(app, "some.changes", {"POST /change": view})
    return app.test_client()


@pytest.mark.store
def test_a_change_needs_the_token_of_this_users_page(host: EventHost) -> None:
    client = with_change(with_page(host))
    token = page_of(client.get("/").get_data(as_text=True))["csrf"]
    for headers in ({}, {"X-CSRFToken": "wrong"}, {"X-CSRFToken": "ç"}):
        answer = client.post("/change", headers=headers)
        assert answer.status_code == 403
        assert answer.json["error"]["code"] == "bad_csrf_token"
    assert client.post("/change", headers={"X-CSRFToken": token}).json == {"context": True}
    host.user = "bruno"
    assert client.post("/change", headers={"X-CSRFToken": token}).status_code == 403
    host.user = None
    assert client.post("/change", headers={"X-CSRFToken": token}).status_code == 401


@pytest.mark.store
def test_with_flask_wtf_its_token_is_the_pages(host: EventHost) -> None:
    from flask_wtf import CSRFProtect

    client = with_change(with_page(host, setup=CSRFProtect))
    assert client.post("/change").status_code == 400
    token = page_of(client.get("/").get_data(as_text=True))["csrf"]
    assert client.post("/change", headers={"X-CSRFToken": token}).json == {"context": True}


@pytest.mark.store
def test_a_host_without_a_secret_key_is_told_so(host: EventHost) -> None:
    app = with_page(host)
    app.secret_key = None
    app.testing = True
    with pytest.raises(RuntimeError, match="secret_key"):
        app.test_client().get("/")


@pytest.mark.store
def test_an_open_ndb_context_of_the_hosts_is_used_and_kept(host: EventHost) -> None:
    gate = Gate(host.store.context)
    client = with_change(host.make_app(context=gate))
    client.application.config["WTF_CSRF_ENABLED"] = False
    host.cron = True
    with host.store.context() as opened:
        assert client.get("/realtime/cleanup").status_code == 200
        assert ndb.get_context() is opened
    assert gate.requests == 0
    assert client.get("/realtime/cleanup").status_code == 200
    assert gate.requests == 1

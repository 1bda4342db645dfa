"""The event log when something else fails: the store, a clock, a frozen process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

import realtime_events as rt
from tests.event_host import EventHost, Gate, last_cursor, numbers, parse, pollers
from tests.helpers import Store, wait_until

pytestmark = pytest.mark.store


@pytest.fixture
def host(store: Store) -> Iterator[EventHost]:
    host = EventHost(store)
    yield host
    host.close()


def down() -> None:
    raise ConnectionError


def test_a_store_that_is_down_is_answered_503_and_read_again_as_soon_as_it_is_back(
    host: EventHost, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(context=gate, POLL_SECONDS=0.05)
    cursor = last_cursor(host.ask(app=app))
    gate.before = down
    with caplog.at_level(logging.WARNING, rt.__name__):
        for _ in range(5):
            response = host.get(cursor, app=app)
            assert response.status_code == 503
    assert len(caplog.records) == 1, "an outage is told once"
    assert not host.streams(app)
    host.publish(1)
    gate.before = lambda: None
    assert numbers(host.ask(cursor, app=app)) == [1]


def test_in_an_outage_nobody_holds_a_thread_for_the_whole_timeout(host: EventHost) -> None:
    gate = Gate(host.store.context)
    gate.before = down
    app = host.make_app(context=gate, RPC_SECONDS=60)
    for _ in range(10):
        started = time.monotonic()
        assert host.get(app=app).status_code == 503
        assert time.monotonic() - started < 20


def test_a_read_without_an_answer_is_not_waited_for_longer_than_its_timeout(
    host: EventHost,
) -> None:
    free = threading.Event()
    gate = Gate(host.store.context)
    gate.before = lambda: free.wait(30)
    app = host.make_app(context=gate, RPC_SECONDS=0.3)
    assert host.get(app=app).status_code == 503
    free.set()
    wait_until(lambda: host.get(app=app).status_code == 200)


def test_a_poller_that_cannot_read_does_not_look_alive(host: EventHost) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(
        context=gate, HEARTBEAT_SECONDS=0.1, STALE_SECONDS=0.4, POLL_SECONDS=0.1, STREAM_SECONDS=99
    )
    chunks = iter(host.get(app=app, delivery="stream").response)
    next(chunks)
    gate.before = down
    # It ends by itself, long before its time: no heartbeat, so that the client looks elsewhere.
    assert len(list(chunks)) < 100
    assert not host.streams(app)


def test_a_process_that_was_frozen_reads_before_it_answers(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = host.make_app(elsewhere=True, LINGER_SECONDS=60)
    cursor = last_cursor(host.ask(app=app))
    host.publish(1)
    real = time.monotonic
    # As App Engine leaves an instance without requests: to its threads the time has leapt.
    monkeypatch.setattr(rt.time, "monotonic", lambda: real() + 100)
    assert numbers(host.ask(cursor, app=app)) == [1]
    host.close()  # before time goes back, as it does for no process


def test_a_process_that_was_frozen_in_the_middle_of_a_read_answers_soon_after(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(context=gate, elsewhere=True, LINGER_SECONDS=60, POLL_SECONDS=0.05)
    cursor = last_cursor(host.ask(app=app))
    host.publish(1)
    frozen, real = threading.Event(), time.monotonic

    def freeze() -> None:  # for so long that no pause as long as this read is waited for
        gate.after = lambda: None
        monkeypatch.setattr(rt.time, "monotonic", lambda: real() + 100)
        frozen.set()

    gate.after = freeze
    assert frozen.wait(30)
    assert numbers(host.ask(cursor, app=app)) == [1]
    host.close()  # before time goes back, as it does for no process


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_process_whose_poller_is_gone_as_after_a_fork_gets_another(host: EventHost) -> None:
    gate = Gate(host.store.context)
    before = pollers()
    app = host.make_app(context=gate, elsewhere=True, LINGER_SECONDS=60, POLL_SECONDS=0.05)
    cursor = last_cursor(host.ask(app=app))

    def die() -> None:
        raise SystemExit

    gate.before = die
    wait_until(lambda: pollers() == before, what="the poller's end")
    gate.before = lambda: None
    host.publish(1)
    assert numbers(host.ask(cursor, app=app)) == [1]


def test_a_process_that_never_read_takes_nothing_for_known(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, real = time.monotonic(), time.monotonic
    # On a machine that has just booted, so that 0 seems to be a moment ago.
    monkeypatch.setattr(rt.time, "monotonic", lambda: real() - started + 1.5)
    with host.app.app_context():
        cursor = rt.current_cursor()
    host.publish(1)
    assert numbers(host.ask(cursor)) == [1]


def test_who_waits_for_a_read_when_the_process_shuts_down_is_still_answered(
    host: EventHost,
) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(context=gate, elsewhere=True, LINGER_SECONDS=60, POLL_SECONDS=0.05)
    cursor = last_cursor(host.ask(app=app))
    reading, read_on = threading.Event(), threading.Event()

    def hold() -> None:
        reading.set()
        read_on.wait(30)

    gate.after = hold
    assert reading.wait(10)  # which began before the request
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(host.ask(cursor, app=app)))
    count = gate.requests
    thread.start()
    wait_until(lambda: gate.requests > count)
    app.extensions["realtime_events"].hub.close()
    gate.after = lambda: None
    read_on.set()
    thread.join(10)
    assert len(answers) == 1


def test_a_stream_opens_only_with_a_poller(host: EventHost) -> None:
    gate = Gate(host.store.context)
    before = pollers()
    app = host.make_app(context=gate, LINGER_SECONDS=0, POLL_SECONDS=0.05, elsewhere=True)
    host.publish(0)
    cursor = last_cursor(host.ask(app=app))
    hub = app.extensions["realtime_events"].hub
    refresh = hub.refresh

    def slow() -> None:  # the poller ends before this client's answer is made
        refresh()
        wait_until(lambda: pollers() == before, what="the poller's end")
        host.publish(1)
        hub.refresh = refresh

    hub.refresh = slow
    assert numbers(host.ask(cursor, app=app)) == [1], "what it read before is no news to it"


def test_a_clock_set_back_does_not_deafen_the_poller(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(context=gate, elsewhere=True, POLL_SECONDS=0.05)
    host.ask(app=app)
    real = rt.now_ms
    monkeypatch.setattr(rt, "now_ms", lambda: real() + 3_600_000)  # an hour ahead
    host.ask(app=app)
    monkeypatch.undo()
    count = gate.reads
    wait_until(lambda: gate.reads > count + 1)
    cursor = last_cursor(host.ask(app=app))
    host.publish(1)
    assert numbers(host.ask(cursor, app=app)) == [1]


def test_a_clock_set_back_by_less_than_the_overlap_repeats_nothing(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(context=gate, POLL_SECONDS=0.05)
    chunks = iter(host.get(app=app, delivery="stream").response)
    text = next(chunks).decode()
    host.publish(1)
    real = rt.now_ms
    for ahead in (15_000, 9_000):
        monkeypatch.setattr(rt, "now_ms", lambda ahead=ahead: real() + ahead)
        count = gate.reads
        wait_until(lambda count=count: gate.reads > count + 2)
    host.publish(2)
    while 2 not in numbers(text):
        text += next(chunks).decode()
    assert numbers(text) == [1, 2]


def test_a_record_stamped_far_ahead_is_told_and_nobody_spins(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = host.make_app(HOLD_SECONDS=1)
    cursor = last_cursor(host.ask(app=app))
    real = rt.now_ms
    monkeypatch.setattr(rt, "now_ms", lambda: real() + 3_600_000)
    host.publish(1)
    monkeypatch.undo()
    text = host.ask(cursor, app=app)
    assert numbers(text) == [1]
    assert numbers(host.ask(last_cursor(text), app=app)) == []


def test_a_process_that_was_frozen_for_longer_than_it_reads_back_sends_its_streams_away(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = host.make_app(STREAM_SECONDS=5, POLL_SECONDS=0.05)
    chunks = iter(host.get(app=app, delivery="stream").response)
    cursor = last_cursor(next(chunks).decode())
    real = rt.now_ms
    monkeypatch.setattr(rt, "now_ms", lambda: real() + 200_000)
    assert list(chunks) == [], "it cannot tell what this stream missed"
    assert parse(host.ask(cursor, app=app))[0]["type"] == "reset"


def test_a_slow_store_is_read_no_more_than_half_of_the_time(host: EventHost) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(context=gate, POLL_SECONDS=0.05)
    response = host.get(app=app, delivery="stream")
    next(iter(response.response))
    begun: list[float] = []
    never = threading.Event()

    def slowly() -> None:
        begun.append(time.monotonic())
        never.wait(0.3)

    gate.before = slowly
    wait_until(lambda: len(begun) >= 3)
    response.close()
    assert begun[2] - begun[0] >= 2 * 2 * 0.3

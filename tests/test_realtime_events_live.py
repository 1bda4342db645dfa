"""The event stream of real gunicorn processes: capacity, workers, shutdown, crashes, hand-over."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.bench.listeners import Listener, Listeners
from tests.event_host import HostServer
from tests.helpers import Store, wait_until

pytestmark = pytest.mark.store

Start = Callable[..., HostServer]


@pytest.fixture
def start(store: Store) -> Iterator[Start]:
    """`start(threads, *args, **settings)` is a running server; without threads gunicorn's default
    worker.
    """
    servers: list[HostServer] = []

    def begin(threads: int | None, *args: str, **settings: Any) -> HostServer:
        if threads is None:
            servers.append(HostServer(store, *args, **settings))
        else:
            servers.append(HostServer.with_threads(store, threads, *args, **settings))
        return servers[-1]

    yield begin
    for server in servers:
        server.kill9()


def told(one: Listener) -> list[int]:
    """What a listener was told, in the order it came."""
    return [json.loads(e.data)["data"]["n"] for e in one.events if e.type == "message.created"]


def have(listeners: Listeners, count: int, seconds: float = 30) -> bool:
    """Whether all are told of the numbers below `count`, in time."""
    return listeners.wait(
        lambda all_: all(set(told(o)) >= set(range(count)) for o in all_), seconds
    )


def exactly(listeners: Listeners, count: int) -> bool:
    return all(sorted(told(one)) == list(range(count)) for one in listeners.all)


def test_three_times_more_streams_than_threads_starve_nobody(start: Start) -> None:
    server = start(16, REALTIME_EVENTS_CAPACITY=8, REALTIME_EVENTS_RETRY_MS=500)
    with Listeners(server.url, "", 48, delivery="stream") as listeners:
        assert listeners.wait_connected()
        assert server.answers_at_once() < 5
        server.publish(*range(10))
        assert have(listeners, 10)
        assert exactly(listeners, 10), "an event came twice"
        assert all(set(one.statuses) == {200} for one in listeners.all)
        # The surplus comes again about twice a second, as it was asked to, and no faster.
        spent = [one.requests for one in listeners.all]
        wait_until(lambda: max(one.requests for one in listeners.all) >= max(spent) + 4)
        assert sum(one.requests for one in listeners.all) - sum(spent) < 48 * 8


@pytest.mark.parametrize(
    ("threads", "args", "places"),
    [(None, (), 0), (None, ("--preload",), 0), (4, ("--preload",), 3)],
)
def test_a_server_with_few_threads_or_none_never_freezes_and_says_so(
    start: Start, threads: int | None, args: tuple[str, ...], places: int
) -> None:
    server = start(threads, *args, REALTIME_EVENTS_RETRY_MS=300)
    wait_until(lambda: f"{places} of {threads or 1} gunicorn threads" in server.part.log)
    with (
        Listeners(server.url, "", 5, delivery="stream", prefix="a") as streaming,
        Listeners(server.url, "", 5, delivery="hold", prefix="b") as holding,
    ):
        assert streaming.wait_connected()
        assert holding.wait_connected()
        for _ in range(5):
            assert server.answers_at_once() < 4
        server.publish(*range(5))
        assert have(streaming, 5)
        assert have(holding, 5)
        assert exactly(streaming, 5)


@pytest.mark.parametrize("kind", ["gthread", "gunicorn.workers.gthread.ThreadWorker"])
def test_enough_threads_are_no_reason_for_a_warning(start: Start, kind: str) -> None:
    server = start(80, "--worker-class", kind)
    assert "gunicorn threads" not in server.part.log
    with Listeners(server.url, "", 1, delivery="stream") as listener:
        assert listener.wait_connected()


@pytest.mark.parametrize("args", [(), ("--preload",)])
def test_sigterm_ends_many_streams_at_once_and_all_come_back(
    start: Start, args: tuple[str, ...]
) -> None:
    # gunicorn would wait out this grace. Alone it takes well under a second, of the two that App
    # Engine gives; a busy machine is given more.
    server = start(220, *args, "--graceful-timeout", "30", REALTIME_EVENTS_CAPACITY=200)
    with Listeners(server.url, "", 100 if args else 200, delivery="stream") as listeners:
        assert listeners.wait_connected()
        server.publish(0, 1)
        assert have(listeners, 2)
        started = time.monotonic()
        server.part.terminate()
        wait_until(lambda: server.part.returncode is not None, 40, what="the server's end")
        assert time.monotonic() - started < 8
        server.stop()
        server.start()
        server.publish(2, 3)
        assert have(listeners, 4)
        assert exactly(listeners, 4)


@pytest.mark.parametrize("delivery", ["stream", "hold"])
def test_a_server_killed_in_mid_burst_loses_and_repeats_nothing(
    start: Start, delivery: str
) -> None:
    server = start(24, REALTIME_EVENTS_CAPACITY=16)
    with Listeners(server.url, "", 5, delivery=delivery) as listeners:
        assert listeners.wait_connected()
        for round_ in range(3):
            numbers = range(round_ * 12, round_ * 12 + 12)
            burst = threading.Thread(target=server.publish, args=numbers)
            burst.start()
            assert have(listeners, round_ * 12 + 4)
            server.kill9()
            server.start()
            burst.join(60)
        assert have(listeners, 36, 60), [len(told(one)) for one in listeners.all]
        assert exactly(listeners, 36)


@pytest.mark.parametrize("delivery", ["stream", "hold"])
def test_two_processes_on_one_store_tell_the_same(start: Start, delivery: str) -> None:
    first, second = start(24), start(24)
    with (
        Listeners(first.url, "", 3, delivery=delivery, prefix="a") as here,
        Listeners(second.url, "", 3, delivery=delivery, prefix="b") as there,
    ):
        assert here.wait_connected()
        assert there.wait_connected()
        for number in range(30):
            (first, second)[number % 2].publish(number)
        for listeners in (here, there):
            assert have(listeners, 30)
            assert exactly(listeners, 30)


def test_the_same_through_a_front_end_that_buffers_whole_responses(
    start: Start, buffering_proxy: Callable[[str], str]
) -> None:
    server = start(24)
    with Listeners(buffering_proxy(server.url), "", 3, delivery="hold") as listeners:
        assert listeners.wait_connected()
        for number in range(5):
            started = time.monotonic()
            server.publish(number)
            assert have(listeners, number + 1, 5)
            assert time.monotonic() - started < 3
        assert exactly(listeners, 5)


def test_idle_streams_do_not_keep_the_server_from_a_quick_answer(start: Start) -> None:
    server = start(24)
    with Listeners(server.url, "", 30, delivery="hold") as listeners:
        assert listeners.wait_connected()
        assert max(server.answers_at_once() for _ in range(5)) < 5

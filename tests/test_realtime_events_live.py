"""The event stream of real gunicorn processes: capacity, shutdown, crashes, two processes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from local.bench.listeners import Listener, Listeners
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.store


def texts(one: Listener) -> list[str]:
    """What a listener was told that customers wrote, in the order it came."""
    found = []
    for event in one.events:
        if event.type == "message.created":
            found.append(json.loads(event.data)["data"]["message"]["text"])
    return found


def customers_write(simulator: Simulator, count: int, prefix: str = "m") -> list[str]:
    """`count` messages of a few customers; returns their texts."""
    written = [f"{prefix}{n}" for n in range(count)]
    for n, text in enumerate(written):
        simulator.customer_writes(f"551198765{n % 5:04d}", text)
    return written


Start = Callable[..., LiveServer]


def test_three_times_more_streams_than_threads_starve_nobody(
    live_server: Start, simulator: Simulator, session_cookie: Callable[[str], str]
) -> None:
    server = live_server(threads=16, REALTIME_EVENTS_CAPACITY=8, REALTIME_EVENTS_RETRY_MS=500)
    cookie = session_cookie(server.url)
    with Listeners(server.url, cookie, 48, delivery="stream") as listeners:
        assert listeners.wait_connected()
        for path in ("/healthz", "/api/conversations"):
            answer = requests.get(server.url + path, headers={"Cookie": cookie}, timeout=5)
            assert answer.status_code == 200, path
        written = customers_write(simulator, 10)
        assert listeners.wait(lambda all_: all(set(texts(one)) >= set(written) for one in all_), 30)
        for one in listeners.all:
            assert sorted(texts(one)) == sorted(written), "an event came twice"
            assert set(one.statuses) == {200}
        # The surplus comes again about twice a second, as it was asked to, and no faster.
        spent = [one.requests for one in listeners.all]
        wait_until(lambda: max(one.requests for one in listeners.all) >= max(spent) + 4)
        assert sum(one.requests for one in listeners.all) - sum(spent) < 48 * 8


def test_sigterm_ends_200_streams_within_two_seconds_and_all_come_back(
    live_server: Start, simulator: Simulator, session_cookie: Callable[[str], str]
) -> None:
    server = live_server(threads=240, REALTIME_EVENTS_CAPACITY=220)
    cookie = session_cookie(server.url)
    with Listeners(server.url, cookie, 200, delivery="stream") as listeners:
        assert listeners.wait_connected()
        written = customers_write(simulator, 2, "before")
        assert listeners.wait(lambda all_: all(len(texts(one)) == 2 for one in all_), 20)
        started = time.monotonic()
        server.terminate()
        wait_until(lambda: server.returncode is not None, 10, what="the server's end")
        took = time.monotonic() - started
        assert took < 2, f"{took:.1f} s: App Engine kills after two"
        server.stop()
        server.restart()
        written += customers_write(simulator, 2, "after")
        assert listeners.wait(lambda all_: all(len(texts(one)) >= 4 for one in all_), 30)
        for one in listeners.all:
            assert sorted(texts(one)) == sorted(written)


@pytest.mark.parametrize("delivery", ["stream", "hold"])
def test_a_server_killed_in_mid_burst_loses_and_repeats_nothing(
    live_server: Start, simulator: Simulator, session_cookie: Callable[[str], str], delivery: str
) -> None:
    server = live_server(threads=24, REALTIME_EVENTS_CAPACITY=16)
    with Listeners(server.url, session_cookie(server.url), 5, delivery=delivery) as listeners:
        assert listeners.wait_connected()
        written = []
        for round_ in range(3):
            written += customers_write(simulator, 8, f"r{round_}-")
            server.kill9()
            written += customers_write(simulator, 4, f"d{round_}-")  # WhatsApp tries again
            server.restart()
        assert listeners.wait(
            lambda all_: all(set(texts(one)) >= set(written) for one in all_), 60
        ), [len(texts(one)) for one in listeners.all]
        for one in listeners.all:
            assert sorted(texts(one)) == sorted(written)


@pytest.mark.parametrize("delivery", ["stream", "hold"])
def test_two_processes_on_one_store_tell_the_same(
    live_server: Start, simulator: Simulator, session_cookie: Callable[[str], str], delivery: str
) -> None:
    first, second = live_server(threads=24), live_server(threads=24)
    cookie = session_cookie(first.url)  # one SECRET_KEY: one session for both
    with (
        Listeners(first.url, cookie, 3, delivery=delivery, prefix="a") as here,
        Listeners(second.url, cookie, 3, delivery=delivery, prefix="b") as there,
    ):
        assert here.wait_connected()
        assert there.wait_connected()
        written = customers_write(simulator, 30)
        for listeners in (here, there):
            assert listeners.wait(
                lambda all_: all(set(texts(one)) >= set(written) for one in all_), 30
            )
            for one in listeners.all:
                assert sorted(texts(one)) == sorted(written)


def test_the_same_through_a_front_end_that_buffers_whole_responses(
    live_server: Start, simulator: Simulator, buffering_proxy: Callable[[str], str],
    session_cookie: Callable[[str], str],
) -> None:  # fmt: skip
    server = live_server(threads=24)
    front = buffering_proxy(server.url)
    with Listeners(front, session_cookie(server.url), 3, delivery="hold") as listeners:
        assert listeners.wait_connected()
        for n in range(5):
            started = time.monotonic()
            [text] = customers_write(simulator, 1, f"one{n}-")
            assert listeners.wait(lambda all_, text=text: all(text in texts(o) for o in all_), 5)
            assert time.monotonic() - started < 3
        assert [len(texts(one)) for one in listeners.all] == [5, 5, 5]


def test_idle_streams_do_not_keep_the_server_from_a_quick_answer(
    live_server: Start, session_cookie: Callable[[str], str]
) -> None:
    server = live_server(threads=24)
    cookie: Any = session_cookie(server.url)
    with Listeners(server.url, cookie, 30, delivery="hold") as listeners:
        assert listeners.wait_connected()
        for _ in range(5):
            assert requests.get(f"{server.url}/healthz", timeout=5).status_code == 200

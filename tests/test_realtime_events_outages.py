"""The event log when something else fails: the store, a clock, a frozen process, a forger."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

import realtime_events as rt
from tests.helpers import Store, wait_until

HOUR = 3_600_000


def entry(ms: int, count: int) -> bytes:
    return ms.to_bytes(3, "big") + ms.to_bytes(6, "big") + count.to_bytes(2, "big")


def forged(watermark: int, *entries: bytes) -> str:
    raw = b"\x01" + watermark.to_bytes(6, "big") + b"".join(entries)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.fixture
def make_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Hubs on a log of which `_names_after` gives nothing, unless a test says otherwise."""
    monkeypatch.setattr(rt, "_names_after", lambda *_args: {})
    hubs = []

    def make(context: Callable[[], Any] = contextlib.nullcontext, **changes: Any) -> Any:
        settings = {name: value for name, (value, *_) in rt.DEFAULTS.items()} | changes
        hubs.append(rt._Hub(settings, context))
        return hubs[-1]

    yield make
    for hub in hubs:
        hub.close()
        if thread := hub._thread:
            thread.join(10)
        assert hub._thread is None


def test_a_forged_cursor_cannot_make_the_server_count_to_millions() -> None:
    now = rt._now_ms()
    with pytest.raises(rt.CursorExpired):
        rt.Cursor.decode(forged(now, *(entry(n, 65_535) for n in range(1, 200))))
    assert len(rt.Cursor.decode(forged(now, entry(1, 500), entry(2, 0))).names()) == 500


def test_a_cursor_that_claims_none_of_a_transaction_is_no_trouble(make_hub: Any) -> None:
    hub = make_hub()
    hub.catch_up_with(rt.Cursor.decode(forged(rt._now_ms(), entry(1, 0))))


def test_a_retention_that_expires_every_cursor_stops_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REALTIME_EVENTS_RETENTION_HOURS", "0.005")
    with pytest.raises(ValueError, match="REALTIME_EVENTS_RETENTION_HOURS"):
        rt.init_app(
            Flask("bad"),
            current_user_id=lambda: None,
            ndb_context=contextlib.nullcontext,
            is_cron=lambda: False,
        )


def test_in_an_outage_nobody_holds_a_thread_for_the_whole_timeout(make_hub: Any) -> None:
    def down() -> Any:
        raise ConnectionError

    hub = make_hub(down, RPC_SECONDS=60.0)
    for _ in range(20):
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            hub.start()
        assert time.monotonic() - started < 20


def test_the_store_is_read_again_as_soon_as_it_is_back(make_hub: Any) -> None:
    up = threading.Event()

    def context() -> Any:
        if not up.is_set():
            raise ConnectionError
        return contextlib.nullcontext()

    hub = make_hub(context, POLL_SECONDS=0.05)
    with pytest.raises(TimeoutError):
        hub.start()
    up.set()
    wait_until(hub.alive)
    hub.start()


def test_a_process_that_was_frozen_reads_before_it_answers(make_hub: Any) -> None:
    hub = make_hub(POLL_SECONDS=1.0)
    hub.start()
    with hub.changed:
        hub._read_at = time.monotonic() - 100  # as App Engine leaves an instance without requests
        hub._wanted_at = time.monotonic()
    hub.start()
    assert hub.alive()


def test_a_poller_without_a_read_is_not_alive_on_a_machine_that_just_booted(
    make_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rt.time, "monotonic", lambda: 1.5)
    assert not make_hub().alive()


def test_a_stream_never_opens_without_a_poller_and_misses_nothing_of_the_gap(make_hub: Any) -> None:
    hub = make_hub(LINGER_SECONDS=0.0, POLL_SECONDS=0.05)
    hub.start()
    position = hub.end  # of a client whose pages take long to read
    wait_until(lambda: hub._thread is None, what="the end of a poller that nobody wants")
    stream = hub.open("client")
    wait_until(hub.alive)
    assert hub.entries(position) is None, "it has to go on from its cursor"
    assert hub.entries(hub.end) == ([], hub.end)
    hub.release("client", stream)


def test_a_clock_set_back_does_not_deafen_the_poller(
    make_hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = rt._now_ms()
    visible: dict[str, str] = {}
    monkeypatch.setattr(
        rt, "_names_after", lambda ms, *_: {n: "" for n in sorted(visible) if int(n[:13]) > ms}
    )
    monkeypatch.setattr(
        rt, "_load", lambda names, _: [rt.Event(n, "a.b", None, None, now, "{}") for n in names]
    )
    hub = make_hub()
    monkeypatch.setattr(rt, "_now_ms", lambda: now + HOUR)  # an hour ahead
    hub._poll(read=True)
    monkeypatch.setattr(rt, "_now_ms", lambda: now)
    hub._poll(read=True)
    visible[rt._name(now, "ab" * 6, 0)] = ""
    hub._poll(read=True)
    assert [entry.name for entry in hub.ring] == list(visible)


@pytest.mark.store
def test_a_cursor_from_the_future_is_answered_by_reset(store: Store) -> None:
    app = Flask("host")
    rt.init_app(
        app, current_user_id=lambda: "ana", ndb_context=store.context, is_cron=lambda: False
    )
    hub = app.extensions["realtime_events"]
    try:
        query = {"delivery": "hold", "after": forged(rt._now_ms() + HOUR)}
        text = app.test_client().get("/realtime/events", query_string=query).get_data(as_text=True)
    finally:
        hub.close()
    wait_until(lambda: hub._thread is None)
    assert "event: reset" in text
    (data,) = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]
    assert rt.Cursor.decode(data["data"]["cursor"]).watermark <= rt._now_ms()


@pytest.mark.store
def test_no_entity_of_events_is_larger_than_datastore_takes(store: Store) -> None:
    text = "漢" * 40_000  # 120 kB
    with store.context():

        def change() -> None:
            for n in range(12):
                rt.publish("message.created", {"n": n, "text": text}, conversation_id="c1")

        rt.transaction(change)
        entities = rt.RealtimeEvent.query().order(rt.RealtimeEvent._key).fetch()
    assert max(sum(len(data.encode()) for data in each.data) for each in entities) < 900_000
    assert [json.loads(e.data)["n"] for one in entities for e in one.events()] == list(range(12))

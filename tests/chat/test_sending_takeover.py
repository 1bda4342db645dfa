"""A process that dies while it sends: the next one takes over within seconds, in order, and sends
nothing twice. Two real servers on one store, and a Graph API that answers late.

How many seconds follows from how long a lease lasts and how often a process looks, which are tested
as numbers, and is measured by `dev.py bench --only takeover`. Of real processes is asked what no
load of the machine can change: that it is this mechanism which comes, long before all others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from flask import Flask
from google.cloud import ndb

from chat.outgoing import leases, sending, watch
from chat.outgoing.leases import LEASE_MS
from chat.outgoing.sending import Outbox, Sender
from chat.outgoing.watch import WATCH_SECONDS, Watch
from chat.platform.datastore import StoreUnavailableError
from tests.chat.live_attendant import LiveAttendant
from tests.helpers import LiveServer, Simulator, Store, add_attendant, wait_until

MARIA = "5511987654321"
CHAT = "+55 11 98765-4321"
#: From the death of a process to the next message's start.
TAKEOVER_SECONDS = 3.0
#: The Graph API's time for an answer. A call that ends, a lease as long as a call, and cron's next
#: minute would all come later.
CALL_SECONDS = 24.0


def begun_at(ana: LiveAttendant, message_id: str) -> float | None:
    """When the Graph API was about to be called for it, seconds since 1970."""
    at = ana.get(f"/api/messages/{message_id}/status")["attempts"][0]["started_at"]
    return datetime.fromisoformat(at).timestamp() if at else None


def outbox(store: Store, chat: str) -> Outbox:
    with store.context():
        found: Outbox = Outbox.get_by_id(chat, use_cache=False)
        return found


@pytest.mark.store
@pytest.mark.parametrize("end", ["kill9", "terminate"])
@pytest.mark.slow
def test_a_process_that_dies_in_a_slow_call_holds_its_customer_for_seconds(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    store: Store,
    end: str,
) -> None:
    heir, doomed = live_server(), live_server()  # the callbacks come to the first
    add_attendant(store, "ana", "ana")
    ana = LiveAttendant(heir.url)
    simulator.write(MARIA, text="oi")
    wait_until(ana.chats, 20, what="the customer's chat")
    ana.move_to(doomed.url)
    simulator.http.patch(
        f"{simulator.url}/switches", json={"graph_delay_ms": int(CALL_SECONDS * 1000)}, timeout=30
    )
    first = ana.send(CHAT, "um")
    wait_until(lambda: begun_at(ana, first), 20, what="the call is under way")
    second = ana.send(CHAT, "dois")
    ana.send(CHAT, "tres")
    chat = ana.chats()[CHAT]["id"]
    getattr(doomed, end)()
    gone = time.time()
    lease = outbox(store, chat).lease_until / 1000
    ana.move_to(heir.url)
    simulator.http.patch(f"{simulator.url}/switches", json={"graph_delay_ms": 0}, timeout=30)
    ana.send(CHAT, "quatro")

    def all_settled() -> bool:
        sent = {each["text"]: each for each in ana.thread(CHAT) if each["direction"] == "out"}
        others = [sent[text]["status"] for text in ("dois", "tres", "quatro")]
        doubt = sent["um"].get("error", {}).get("code") == "unconfirmed"
        return (doubt or sent["um"]["status"] != "sending") and "sending" not in others

    wait_until(all_settled, 30, every=0.1, what="the others were sent")
    begun = begun_at(ana, second)
    assert begun is not None
    assert begun < gone + CALL_SECONDS / 2
    if end == "kill9":  # whoever still lives may be in the middle of its call
        assert lease <= begun
    in_order = ["dois", "tres", "quatro"]
    wait_until(lambda: [t for t in simulator.texts_on_phone(MARIA) if t != "um"] == in_order, 20)


@pytest.fixture
def started(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The conversations whose outboxes are begun by a look."""
    started: list[str] = []
    monkeypatch.setattr(sender_of(app), "_start", started.append)
    return started


def sender_of(app: Flask) -> Sender:
    sender: Sender = app.extensions["chat_sender"]
    return sender


@pytest.mark.store
def test_a_look_comes_back_when_a_lease_runs_out(
    app: Flask, store: Store, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000_000
    monkeypatch.setattr(sending, "_now_ms", lambda: now)
    with store.context():
        Outbox(id="left", queue=["a"], due_at=now - 1).put()
        Outbox(id="leased", queue=["b"], due_at=now + 200, lease_until=now + 200).put()
        Outbox(id="held", queue=["c"], due_at=now + LEASE_MS, lease_until=now + LEASE_MS).put()
        pause = sender_of(app)._look()
        assert started == ["left"]
        assert 0.2 < pause <= 0.2 + sending._LATE_SECONDS
        monkeypatch.setattr(sending, "_now_ms", lambda: now + int(pause * 1000))
        sender_of(app)._look()
    assert started == ["left", "left", "leased"]


@pytest.mark.store
def test_what_was_left_is_found_among_any_number_of_empty_outboxes(
    app: Flask, store: Store, started: list[str]
) -> None:
    with store.context():
        ndb.put_multi([Outbox(id=f"empty-{n}") for n in range(sending._SWEEP_LIMIT + 1)])
        sender_of(app)._look()
        assert started == []
        Outbox(id="left", queue=["a"], due_at=1_700_000_000_000).put()
        sender_of(app)._look()
    assert started == ["left"]


def test_a_lease_and_a_look_are_shorter_than_a_takeover_may_take() -> None:
    # A lease is seen by a look before it runs out: only what comes in between is looked for late.
    assert 1.2 * WATCH_SECONDS < LEASE_MS / 1000
    assert LEASE_MS / 1000 + sending._LATE_SECONDS < TAKEOVER_SECONDS - 0.5


def test_a_message_that_nobody_began_is_found_by_the_next_look() -> None:
    assert 1.2 * WATCH_SECONDS < TAKEOVER_SECONDS


def test_nothing_left_behind_is_looked_for_at_the_usual_pace(
    app: Flask, store: Store, started: list[str]
) -> None:
    with store.context():
        pause = sender_of(app)._look()
    assert started == []
    assert 0.8 * WATCH_SECONDS <= pause <= 1.2 * WATCH_SECONDS


def test_the_first_request_of_a_process_has_it_look_and_later_only_what_changes_something(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, woken = sender_of(app)._watch, []

    def wake(_app: Flask) -> None:
        woken.append(len(woken))
        watch._awake_until = time.monotonic()

    monkeypatch.setattr(watch, "stay_awake", wake)
    app.testing = False
    client = app.test_client()
    client.get("/healthz")
    assert len(woken) == 1
    client.get("/healthz")
    assert len(woken) == 1
    client.post("/webhook", data=b"")
    assert len(woken) == 2


def test_a_lease_that_cannot_be_given_back_keeps_no_other(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, str, int]] = []

    def renew(outbox: str, holder: str, milliseconds: int) -> None:
        if outbox == "strange":
            raise ValueError(outbox)
        given.append((outbox, holder, milliseconds))

    monkeypatch.setattr(leases, "GRACE_SECONDS", 0.0)
    held = leases.Leases(renew)
    with held.held("strange", "us"), held.held("good", "us"):
        held.give_back()
    assert given == [("good", "us", 0)]


@pytest.mark.parametrize("error", [ValueError("a strange entity"), StoreUnavailableError("slow")])
def test_a_look_that_fails_is_followed_by_the_next_which_waits_only_if_many_fail(
    app: Flask, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    results: list[float | Exception] = [*[error] * 6, 0.5, error, 0.0]
    pauses: list[float] = []

    def look() -> float:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    looking = Watch(look, lambda: not results)
    monkeypatch.setattr(watch.time, "sleep", pauses.append)
    monkeypatch.setattr(watch.threading, "Thread", RunAtOnce)
    looking.stay_awake(app)
    assert pauses == [0, 0.6, 1.2, 2.4, 4.8, 6, 6, 0.5, 0.6, 0]
    looking.stay_awake(app)
    assert len(pauses) == 11, "it had ended: the next request starts another"


class RunAtOnce:
    """In place of a thread."""

    def __init__(self, target: Callable[..., None], args: list[Any], **_: Any) -> None:
        self._run = partial(target, *args)

    def start(self) -> None:
        self._run()

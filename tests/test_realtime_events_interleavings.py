"""Interleavings of writers, processes and readers: by thousands on the cursor alone, with a
scheduler and a clock of our own, and by tens on the store, on which some commits are late.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest
from flask import Flask
from google.cloud import ndb

import realtime_events as rt
from tests.delaying_store import DelayingStore
from tests.event_host import EventHost, Gate, last_cursor, numbers
from tests.helpers import Store, wait_until

OVERLAP_MS = 10_000


class Log:
    """A log whose commits become visible when the scheduler says, out of stamp order."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = 1_700_000_000_000
        self.commits: list[tuple[int, str]] = []  # when it becomes visible, name

    def write(self, delay_ms: int) -> str:
        """A record stamped now, visible after `delay_ms`."""
        name = f"{self.now:013d}-0000-{self.rng.getrandbits(48):012x}"
        self.commits.append((self.now + delay_ms, name))
        return name

    def visible(self, after: int) -> list[str]:
        """What a query shows now."""
        return sorted(n for at, n in self.commits if at <= self.now and int(n[:13]) > after)


class Process:
    """What a process does with the cursor: it reads before it answers, and its watermark follows
    the clock.
    """

    def __init__(self, log: Log) -> None:
        self.log = log
        self.watermark = log.now - OVERLAP_MS
        self.known: dict[str, None] = {}  # in the order in which they came

    def read(self) -> None:
        """One poll."""
        self.known |= dict.fromkeys(self.log.visible(self.watermark))
        self.watermark = max(self.watermark, self.log.now - OVERLAP_MS)

    def answer(self, text: str) -> tuple[list[str], str]:
        """What this client lacks, and its next cursor."""
        self.read()
        told = rt.Cursor.decode(text).unseen(self.known)
        return told, rt.Cursor.of(self.watermark, self.known).encode()


@pytest.mark.parametrize("block", range(20))
def test_no_interleaving_loses_what_a_plain_newer_than_cursor_loses(block: int) -> None:
    naive_lost = 0
    for seed in range(block * 50, block * 50 + 50):
        rng = random.Random(seed)
        log = Log(rng)
        processes = [Process(log), Process(log)]
        cursor = rt.Cursor.of(log.now - OVERLAP_MS, []).encode()
        got: list[str] = []
        written: list[str] = []
        naive: set[str] = set()
        newest = log.now
        for _ in range(60):
            step = rng.random()
            if step < 0.45:
                delay = rng.choice([0, 0, 5, 300, 4000, int(OVERLAP_MS * 0.9)])
                written += [log.write(delay) for _ in range(rng.choice([1, 1, 2, 5]))]
            elif step < 0.8:
                told, cursor = rng.choice(processes).answer(cursor)
                got += told
                naive |= set(log.visible(newest))
                newest = max([newest, *(int(name[:13]) for name in naive)])
            else:
                rng.choice(processes).read()
            log.now += rng.choice([0, 1, 40, 300, 1500])
        log.now += OVERLAP_MS
        told, cursor = processes[0].answer(cursor)
        got += told
        naive |= set(log.visible(newest))
        assert set(got) == set(written), f"seed {seed}"
        # What came twice shares its millisecond with something that came later.
        slots = Counter(name[:13] for name in written)
        twice = [name for name, times in Counter(got).items() if times > 1]
        assert all(slots[name[:13]] > 1 for name in twice), f"seed {seed}"
        assert processes[1].answer(cursor)[0] == [], "nothing new, and told again"
        naive_lost += len(set(written) - naive)
    assert naive_lost > 0, "the commits were not late enough to prove anything"


@pytest.mark.parametrize("block", range(4))
def test_a_burst_too_big_for_the_cursor_is_told_again_rather_than_skipped(block: int) -> None:
    again = 0
    for seed in range(block * 6, block * 6 + 6):
        rng = random.Random(1000 + seed)
        log = Log(rng)
        processes = [Process(log), Process(log)]
        cursor = rt.Cursor.of(log.now - OVERLAP_MS, []).encode()
        got: list[str] = []
        written: list[str] = []
        for _ in range(450):
            written.append(log.write(rng.choice([0, 10, 900, 4000])))
            log.now += rng.choice([0, 1, 9])
            if rng.random() < 0.1:
                told, cursor = rng.choice(processes).answer(cursor)
                got += told
            assert len(cursor) <= 3000
        log.now += 5000
        told, cursor = processes[0].answer(cursor)
        got += told
        assert set(got) == set(written), f"seed {seed}"
        again += len(got) - len(written)
        assert processes[0].answer(cursor)[0] == []
        assert processes[1].answer(cursor)[0] == [], "nobody spins"
    assert again > 0, "the cursor never overflowed"


# --- on a store -------------------------------------------------------------------------------


@pytest.fixture
def host(store: Store) -> Iterator[EventHost]:
    host = EventHost(store)
    yield host
    host.close()


def gated(host: EventHost) -> tuple[Flask, Gate]:
    """A process whose reads a test can hold up, and which has read once."""
    gate = Gate(host.store.context)
    app = host.make_app(context=gate, POLL_SECONDS=0.05)
    host.ask(app=app)
    return app, gate


class Held:
    """Holds up the next call of it until `let_go`."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._free = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        self._free.wait(30)

    def let_go(self) -> None:
        """Now, and from now on."""
        self._free.set()


@pytest.mark.store
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_handed_over_while_a_read_is_under_way_comes_once(
    host: EventHost, moment: str
) -> None:
    app, gate = gated(host)
    response = host.get(app=app, delivery="stream")
    chunks = iter(response.response)
    got = next(chunks).decode()
    for number in range(10):
        held = Held()
        setattr(gate, moment, held)
        assert held.reached.wait(10)
        host.publish(number)  # the read under way has seen it, or has not
        setattr(gate, moment, lambda: None)
        held.let_go()
        if number % 2:  # a read that shows what was handed over has ended
            count = gate.reads
            wait_until(lambda count=count: gate.reads > count + 1)
        while number not in numbers(got):
            got += next(chunks).decode()
        # The cursor told with it is worth the same in any process.
        assert numbers(host.ask(last_cursor(got), app=app, hello="1")) == []
    assert numbers(got) == list(range(10))
    elsewhere = host.make_app(elsewhere=True)
    assert numbers(host.ask(last_cursor(got), app=elsewhere, hello="1")) == []
    response.close()


@pytest.mark.store
def test_a_commit_that_a_read_shows_before_it_is_handed_over_comes_once(host: EventHost) -> None:
    app, gate = gated(host)
    response = host.get(app=app, delivery="stream")
    chunks = iter(response.response)
    got = next(chunks).decode()
    committed, listed = Held(), Held()

    def change() -> None:
        ndb.get_context().call_on_commit(committed)  # before the module's own
        rt.publish("message.created", {"n": 1}, conversation_id="c1")

    def run() -> None:
        with host.store.context():
            rt.transaction(change)

    thread = threading.Thread(target=run)
    thread.start()
    assert committed.reached.wait(10)
    count = gate.reads
    gate.before = lambda: setattr(gate, "after", listed) if gate.reads > count else None
    assert listed.reached.wait(10)  # a read that began after the commit has listed it
    committed.let_go()
    thread.join(10)
    gate.before = gate.after = lambda: None
    listed.let_go()
    host.publish(2)
    while 2 not in numbers(got):
        got += next(chunks).decode()
    assert numbers(got) == [1, 2]
    response.close()


@pytest.mark.store
def test_an_answer_waits_for_a_read_that_began_after_the_request(host: EventHost) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(context=gate, elsewhere=True)
    cursor = last_cursor(host.ask(app=app))
    held = Held()
    gate.after = held
    assert held.reached.wait(10)  # this read has listed the log already
    host.publish(1)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(host.ask(cursor, app=app, hello="1")))
    thread.start()
    gate.after = lambda: None
    held.let_go()
    thread.join(10)
    assert numbers(answers[0]) == [1]


@pytest.mark.store
def test_who_asks_while_a_read_is_under_way_does_not_wait_for_the_next_poll(
    host: EventHost,
) -> None:
    gate = Gate(host.store.context)
    app = host.make_app(context=gate, elsewhere=True, POLL_SECONDS=4.9, RPC_SECONDS=2)
    cursor = last_cursor(host.ask(app=app))
    gate.after = held = Held()
    answers: list[str] = []
    ask = partial(host.ask, cursor, app=app, hello="1")
    threads = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(2)]
    threads[0].start()
    assert held.reached.wait(10)
    count = gate.requests
    threads[1].start()
    wait_until(lambda: gate.requests > count)
    gate.after = lambda: None
    held.let_go()
    for thread in threads:
        thread.join(10)
    assert len(answers) == 2


@pytest.mark.store
@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 20))]
)
def test_late_commits_of_two_processes_reach_every_client(
    host: EventHost, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    delays = [rng.choice([0.0, 0.0, 0.02, 0.1, 0.3]) for _ in range(50)]
    assert host.store.client.host == host.store.host  # made before the environment changes
    late = DelayingStore(host.store.host, b"RealtimeEvent", delays)
    monkeypatch.setenv("DATASTORE_EMULATOR_HOST", late.host_port)
    writers = EventHost(Store(late.host_port, host.store.project))
    apps = [writers.app, host.make_app(elsewhere=True, POLL_SECONDS=0.05)]
    cursors = [last_cursor(host.ask(app=app)) for app in apps]
    got: list[list[int]] = [[], []]

    def write(first: int) -> None:
        for number in range(first, first + 4):
            writers.publish(number)

    threads = [threading.Thread(target=write, args=(n * 4,)) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        while any(len(set(each)) < 12 for each in got):
            for client in (0, 1):
                text = host.ask(cursors[client], app=rng.choice(apps), hello="1")
                cursors[client] = last_cursor(text)
                got[client] += numbers(text)
    finally:
        for thread in threads:
            thread.join()
        writers.close()
        late.stop()
    assert late.delayed or not any(delays[:12])
    assert all(set(each) == set(range(12)) for each in got)

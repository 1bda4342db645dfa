"""Commits that become visible out of stamp order lose nothing on the screen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from google.cloud import ndb

from realtime_events import RealtimeEvent
from tests.browser.conftest import Attendant
from tests.browser.on_screen import (
    Requests,
    Writer,
    await_rows,
    await_thread,
    open_thread,
    rows,
    texts,
    watch,
)
from tests.delaying_store import DelayingStore
from tests.helpers import SETTINGS, LiveServer, Simulator, Store, wait_until

pytestmark = pytest.mark.slow

Start = Callable[..., LiveServer]
Login = Callable[..., Attendant]


@pytest.fixture
def late_store(store_host: str) -> Iterator[DelayingStore]:
    """The test's store by a way on which every other commit of events is late."""
    late = DelayingStore(store_host, RealtimeEvent.__name__.encode(), [0, 0.5, 0, 3.0, 0, 1.5])
    yield late
    late.stop()


@pytest.fixture
def second_simulator(store: Store) -> Iterator[Simulator]:
    """WhatsApp calls the second server too, as it calls any instance."""
    second = Simulator({**os.environ, **SETTINGS})
    yield second.start()
    second.stop()


class PlainReader:
    """What a reader sees whose cursor is the newest event so far, as most would write it."""

    def __init__(self, store: Store) -> None:
        self.seen: set[str] = set()
        self._store = store

    def read(self) -> None:
        """Read on from the newest event of the last time."""
        with self._store.context():
            after = ndb.Key(RealtimeEvent, max(self.seen, default="0"))
            query = RealtimeEvent.query(RealtimeEvent._key > after)
            self.seen |= {key.id() for key in query.fetch(keys_only=True)}

    def lost(self) -> set[str]:
        """Events that are there and that it has never seen."""
        with self._store.context():
            return {key.id() for key in RealtimeEvent.query().fetch(keys_only=True)} - self.seen


def test_late_commits_of_two_processes_are_all_shown_where_a_plain_cursor_loses_some(
    store: Store, simulator: Simulator, live_server: Start, late_store: DelayingStore,
    second_simulator: Simulator, attendant: Login,
) -> None:  # fmt: skip
    slow = live_server(DATASTORE_EMULATOR_HOST=late_store.host_port)
    quick = live_server(port=second_simulator.webhook_port)
    late = [Writer(simulator, f"551195555{n:04d}", f"t{n}-") for n in range(8)]
    steady = Writer(second_simulator)
    late[0].write(1)
    steady.write(1)
    ana, bruno = attendant("ana", quick.url), attendant("bruno", slow.url)
    reads = []
    for person, customer in ((ana, late[0]), (bruno, steady)):
        person.wait_connected()
        wait_until(lambda person=person: len(rows(person.page)) == 2, 20)
        open_thread(person.page, customer.texts[-1])
        watch(person.page)
        reads.append(Requests(person.page))

    plain = PlainReader(store)

    def arrived() -> bool:
        plain.read()
        return bool(simulator.get("/deliveries").json()["idle"])

    for _ in range(3):
        for customer in late:
            customer.write(1)
        for _ in range(5):  # meanwhile the quick server's newer stamps become visible
            steady.write(2)
            plain.read()
        wait_until(arrived, 30, what="the late commits")
    steady.write(1)

    wait_until(lambda: set(late[0].texts) <= set(texts(ana.page)), 20)
    wait_until(lambda: set(steady.texts) <= set(texts(bruno.page)), 20)
    for person in (ana, bruno):
        await_rows(person.page, {customer.texts[-1] for customer in [steady, *late]})
    assert [each.reads() for each in reads] == [[], []]
    plain.read()
    assert late_store.delayed >= 6
    assert plain.lost(), "no commit was late enough to prove anything"
    await_thread(ana, ana.page, late[0].texts)
    await_thread(bruno, bruno.page, steady.texts)
    for customer in [steady, *late[1:]]:
        open_thread(ana.page, customer.texts[-1])
        wait_until(lambda customer=customer: texts(ana.page) == customer.texts)

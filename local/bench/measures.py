"""The measurements. Each returns rows of numbers; report.py prints them."""

from __future__ import annotations

import contextlib
import json
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import median

import requests

from chat.outgoing.watch import AWAKE_SECONDS
from local.bench.counter import counting, reads
from local.bench.listeners import Listener, Listeners
from local.bench.world import SETTINGS, Posted, Server, World, phone, post_updates

WARM_UP_ROUNDS = 5
LAST_SECONDS = 15.0  # after this an event counts as missing
CONNECT_SECONDS = 60.0
CUSTOMERS = 40  # who write in turn, so that no conversation is hot
DEFAULT_THREADS, DEFAULT_CAPACITY = 80, 60  # of app.yaml
PATHS = ("same process, stream", "same process, hold", "other process, stream", "proxy, hold")

_pause = threading.Event()


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; of 40 values the 99th percentile is the largest. NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


@dataclass
class Latency:
    """Times of one path in ms."""

    listeners: int
    path: str
    answered: list[float] = field(default_factory=list)  # POST sent → 200
    last: list[float] = field(default_factory=list)  # POST sent → event at the last listener
    last_after_answer: list[float] = field(default_factory=list)  # 200 → the same
    pairs: list[float] = field(default_factory=list)  # POST sent → event, every listener
    missing: int = 0  # (event, listener) pairs that did not come in LAST_SECONDS


def arrivals(listener: Listener, start: int = 0) -> dict[str, float]:
    """When each message came, by id: its first arrival. From the event number `start` on."""
    times: dict[str, float] = {}
    for event in listener.events[start:]:
        if event.type == "message.created":
            times.setdefault(json.loads(event.data)["data"]["message"]["id"], event.at)
    return times


def _wait_for(fleet: Listeners, counts: dict[str, int], more: int, seconds: float) -> bool:
    """Until every listener has so many messages more than `counts` says."""

    def there(one: Listener) -> bool:
        wanted = counts[one.client] + more
        # The length first: counting through 500 lists would slow down those who fill them.
        return len(one.events) >= wanted and one.count() >= wanted

    return fleet.wait(lambda all_: all(there(one) for one in all_), seconds)


def _counts(fleet: Listeners) -> dict[str, int]:
    return {one.client: one.count() for one in fleet.all}


def _post_and_wait(fleet: Listeners, url: str, phones: Sequence[str], seconds: float) -> Posted:
    counts = _counts(fleet)
    posted = post_updates(url, phones)
    _wait_for(fleet, counts, len(phones), seconds)
    return posted


@contextlib.contextmanager
def _fleet(
    url: str, cookie: str, count: int, delivery: str = "stream", cursor: str = ""
) -> Iterator[Listeners]:
    # The same client ids in each: a server ends the older stream of a client at once.
    with Listeners(url, cookie, count, delivery=delivery, cursor=cursor, prefix="bench") as fleet:
        if not fleet.wait_connected(CONNECT_SECONDS):
            raise RuntimeError(f"not all of {count} listeners were answered by {url}")
        yield fleet


def latency(host: str, counts: Sequence[int], rounds: int, pause: float) -> Iterator[Latency]:
    """Webhook to event, for each number of listeners and each path.

    Args:
        host: the store.
        counts: numbers of listeners.
        rounds: measured webhook calls of one update each.
        pause: mean seconds from one event at the last listener to the next webhook call.
    """
    for count in counts:
        with World(host) as world:
            first, second = world.server(2 * count), world.server(2 * count)
            cookie = first.login()
            proxy = world.buffering_proxy(first.url)
            for path, url in zip(PATHS, (first.url, first.url, second.url, proxy), strict=True):
                with _fleet(url, cookie, count, path.rpartition(" ")[2]) as fleet:
                    yield _latency(fleet, first.url, Latency(count, path), rounds, pause)


def _latency(
    fleet: Listeners, webhook_url: str, result: Latency, rounds: int, pause: float
) -> Latency:
    measured: list[Posted] = []
    for number in range(WARM_UP_ROUNDS + rounds):
        sender = [phone(number % CUSTOMERS)]
        posted = _post_and_wait(fleet, webhook_url, sender, LAST_SECONDS)
        if number >= WARM_UP_ROUNDS:
            measured.append(posted)
        _pause.wait(pause * random.uniform(0.5, 1.5))
    came = [arrivals(one) for one in fleet.all]
    for posted in measured:
        times = [one[posted.ids[0]] for one in came if posted.ids[0] in one]
        result.missing += len(came) - len(times)
        result.answered.append((posted.answered - posted.sent) * 1000)
        result.pairs += [(at - posted.sent) * 1000 for at in times]
        if len(times) == len(came):
            result.last.append((max(times) - posted.sent) * 1000)
            result.last_after_answer.append((max(times) - posted.answered) * 1000)
    return result


@dataclass(frozen=True)
class Memory:
    """Resident memory of one worker, kB."""

    listeners: int
    with_cursor: bool  # each listener brought the cursor of its page
    before: int
    after: int

    @property
    def each(self) -> float:
        """kB a listener."""
        return (self.after - self.before) / self.listeners


def memory(host: str, counts: Sequence[int]) -> Iterator[Memory]:
    """What listeners cost the worker, after each of them got some events.

    Few listeners drown in the noise of the process, so numbers under 20 are left out where
    there are larger ones.
    """
    wanted = [count for count in counts if count >= 20] or [max(counts)]
    for count, with_cursor in product(wanted, (True, False)):
        with World(host) as world:
            server = world.server(2 * count)
            cookie = server.login()
            # Whatever the first requests load or start is no listener's: one stream, some calls.
            with _fleet(server.url, cookie, 1) as fleet:
                for number in range(20):
                    _post_and_wait(fleet, server.url, [phone(number)], LAST_SECONDS)
                cursor = fleet.all[0].cursor if with_cursor else ""
            before = server.rss_kb()
            with _fleet(server.url, cookie, count, cursor=cursor) as fleet:
                for number in range(10):
                    _post_and_wait(fleet, server.url, [phone(number)], LAST_SECONDS)
                yield Memory(count, with_cursor, before, server.rss_kb())


@dataclass
class Idle:
    """What a server asks of the store while nothing happens."""

    listeners: int
    delivery: str
    cron: bool
    reads: float = 0.0  # lookups and queries a minute
    calls: dict[str, float] = field(default_factory=dict)  # all calls a minute, by kind


def idle(host: str, cases: Sequence[Idle], seconds: float) -> Sequence[Idle]:
    """Count the calls of one server a case for so many seconds; the cases run side by side.

    A server that was written to looks two minutes long for what another one has left; after that
    nothing is going on.
    """
    with contextlib.ExitStack() as stack:
        counters = []
        for case in cases:
            address, counts = stack.enter_context(counting(host))
            world = stack.enter_context(World(address))
            server = world.server(case.listeners)
            cookie = server.login()
            # Each server has begun to work before it is watched.
            post_updates(server.url, [phone(0)])
            if case.listeners:
                stack.enter_context(_fleet(server.url, cookie, case.listeners, case.delivery))
            counters.append((case, world, server, counts))
        # A poller without listeners stops after 3 s; what another process has left is looked for
        # longer.
        _pause.wait(AWAKE_SECONDS + 6)
        began = {}
        for case, world, server, counts in counters:
            began[id(case)] = time.monotonic()
            counts.reset()
            if case.cron:
                world.cron(server.url)
        _pause.wait(seconds)
        for case, _, _, counts in counters:
            calls, minutes = counts.calls(), (time.monotonic() - began[id(case)]) / 60
            case.reads = reads(calls) / minutes
            case.calls = {name: number / minutes for name, number in calls.most_common()}
    return cases


@dataclass
class Webhook:
    """Webhook calls of one kind; seconds."""

    name: str
    answered: list[float] = field(default_factory=list)  # POST sent → 200
    shown: list[float] = field(default_factory=list)  # POST sent → its last event at a listener
    deferred: list[int] = field(default_factory=list)  # updates not in their thread at the 200


def webhook(host: str, updates: int, rounds: int) -> Iterator[Webhook]:
    """Calls of one update and of `updates`, from new and from known customers.

    One streaming listener. What is deferred is worked off by the cron's route, called at once and
    until nothing is left.
    """
    with World(host) as world:
        server = world.server(10)
        with _fleet(server.url, server.login(), 1) as fleet:
            for number in range(WARM_UP_ROUNDS):
                _post_and_wait(fleet, server.url, [phone(900_000 + number)], LAST_SECONDS)
            new = iter(range(1_000_000))

            def spread(people: Sequence[int]) -> list[str]:
                return [phone(people[n % len(people)]) for n in range(updates)]

            yield _webhook(world, server, fleet, "1 update, new customer",
                           [[phone(next(new))] for _ in range(10 * rounds)])  # fmt: skip
            yield _webhook(world, server, fleet, "1 update, known customer",
                           [[phone(n)] for n in range(10 * rounds)])  # fmt: skip
            for people in (min(CUSTOMERS, updates), updates):
                groups = [[next(new) for _ in range(people)] for _ in range(rounds)]
                for kind in ("new", "known"):
                    name = f"{updates} updates, {people} {kind} customers"
                    calls = [spread(group) for group in groups]
                    yield _webhook(world, server, fleet, name, calls)


def _webhook(
    world: World, server: Server, fleet: Listeners, name: str, calls: Sequence[Sequence[str]]
) -> Webhook:
    result = Webhook(name)
    for phones in calls:
        stored, before = world.stored(), len(fleet.all[0].events)
        posted = post_updates(server.url, phones)
        missing = len(phones) - (world.stored() - stored)
        if missing:
            _work_off(server.url)
        wanted = set(posted.ids)

        def shown(all_: list[Listener], before: int = before, wanted: set[str] = wanted) -> bool:
            # Under a burst an event may come twice: only their ids tell that all have come.
            enough = len(all_[0].events) - before >= len(wanted)
            return enough and wanted <= arrivals(all_[0], before).keys()

        if not fleet.wait(shown, 60):
            raise RuntimeError(f"{name}: not all events came")
        times = arrivals(fleet.all[0], before)
        result.answered.append(posted.answered - posted.sent)
        result.shown.append(max(times[id_] for id_ in posted.ids) - posted.sent)
        result.deferred.append(missing)
    return result


def _work_off(url: str) -> None:
    """Do what cron does for what was deferred."""
    with requests.Session() as session:
        session.trust_env = False
        headers = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
        answer = session.get(f"{url}/tasks/deferred", headers=headers, timeout=120)
        answer.raise_for_status()


@dataclass
class Overload:
    """A server with more listeners than places."""

    listeners: int
    seconds: float
    requests: int  # of the event stream
    statuses: dict[int, int]
    healthz: list[float] = field(default_factory=list)  # ms
    latency: Latency = field(default_factory=lambda: Latency(0, "stream"))


def overload(host: str, seconds: float) -> Overload:
    """Three times more listeners than threads, at the default threads and capacity."""
    count = 3 * DEFAULT_THREADS
    with World(host) as world, requests.Session() as session:
        session.trust_env = False
        server = world.server(DEFAULT_CAPACITY, threads=DEFAULT_THREADS)
        with _fleet(server.url, server.login(), count) as fleet:
            _pause.wait(3)  # a first crowd arrives at once; afterwards they come spread out
            before = sum(one.requests for one in fleet.all)
            statuses = _statuses(fleet)
            result = Overload(count, 0.0, 0, {})
            measured: list[Posted] = []
            counts = _counts(fleet)
            started = time.monotonic()
            while time.monotonic() - started < seconds:
                asked = time.monotonic()
                session.get(f"{server.url}/healthz", timeout=30).raise_for_status()
                result.healthz.append((time.monotonic() - asked) * 1000)
                measured.append(post_updates(server.url, [phone(len(measured) % CUSTOMERS)]))
                _pause.wait(0.4)
            result.seconds = time.monotonic() - started
            result.requests = sum(one.requests for one in fleet.all) - before
            result.statuses = dict(_statuses(fleet) - statuses)
            _wait_for(fleet, counts, len(measured), LAST_SECONDS)
            came = [arrivals(one) for one in fleet.all]
    for posted in measured:
        times = [one[posted.ids[0]] for one in came if posted.ids[0] in one]
        result.latency.missing += len(came) - len(times)
        result.latency.answered.append((posted.answered - posted.sent) * 1000)
        result.latency.pairs += [(at - posted.sent) * 1000 for at in times]
        result.latency.last.append((max(times) - posted.sent) * 1000)
    return result


def _statuses(fleet: Listeners) -> Counter[int]:
    total: Counter[int] = Counter()
    for one in fleet.all:
        total.update(one.statuses)
    return total


def middle(values: Sequence[float]) -> float:
    """The median; NaN of none."""
    return median(values) if values else math.nan

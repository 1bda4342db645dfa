"""Thousands of interleavings of writers, pollers and readers, on a fake log and a fake clock.

The real cursor, poller and reader run; only the store and the time are ours, so that commits
become visible out of stamp order exactly as the seed says.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

import realtime_events as rt

OVERLAP_MS = 10_000


class FakeLog:
    """An event log whose commits become visible when the scheduler says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000_000
        self.visible: dict[str, Any] = {}
        self.hidden: list[tuple[int, list[Any]]] = []
        monkeypatch.setattr(rt, "_now_ms", lambda: self.now)
        monkeypatch.setattr(rt, "_names_after", self.names_after)
        monkeypatch.setattr(rt, "_load", lambda names, _: [self.visible[n] for n in names])

    def names_after(self, ms: int, _timeout: float = 0, limit: int | None = None) -> dict[str, str]:
        return dict.fromkeys(sorted(n for n in self.visible if int(n[:13]) > ms)[:limit], "")

    def write(self, rng: random.Random, delay_ms: int, count: int = 1) -> list[str]:
        """A transaction stamped now, visible after `delay_ms`."""
        transaction_id = f"{rng.getrandbits(48):012x}"
        names = [f"{self.now:013d}-{transaction_id}-{n:04d}" for n in range(count)]
        events = [rt.Event(name, "message.created", None, None, self.now, "{}") for name in names]
        self.hidden.append((self.now + delay_ms, events))
        return names

    def advance(self, ms: int) -> list[list[Any]]:
        """Moves the clock; returns the transactions that have become visible."""
        self.now += ms
        due = [events for at, events in self.hidden if at <= self.now]
        self.hidden = [(at, events) for at, events in self.hidden if at > self.now]
        for events in due:
            self.visible |= {event.name: event for event in events}
        return due


def make_hub(log: FakeLog, **changes: Any) -> Any:
    settings = {name: value for name, (value, *_) in rt.DEFAULTS.items()} | changes
    hub = rt._Hub(settings, contextlib.nullcontext)
    hub._watermark = hub._floor = log.now - OVERLAP_MS
    hub.catch_up_with = lambda _cursor: hub._poll(read=True)  # type: ignore[method-assign]
    hub._poll(read=True)
    return hub


def parse(blocks: list[bytes]) -> list[tuple[str, str]]:
    """(event id, cursor after it or "") of each block."""
    parsed = []
    for block in blocks:
        lines = dict(line.split(": ", 1) for line in block.decode().split("\n") if line)
        if "data" in lines:
            parsed.append((json.loads(lines["data"])["id"], lines.get("id", "")))
        else:  # renews the cursor
            parsed[-1] = (parsed[-1][0], lines["id"])
    return parsed


class Client:
    """Holds nothing but the cursor text, as a browser does."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        self.got: list[str] = []

    def ask(self, hub: Any, cut: int | None = None) -> int:
        """One request; with `cut` the connection breaks after so many events."""
        reader = rt._Reader(hub, rt.Cursor.decode(self.cursor))
        events = parse(reader.read())
        while not events and reader.position is None:
            events = parse(reader.read())
        taken = events if cut is None else events[:cut]
        for name, cursor in taken:
            self.got.append(name)
            self.cursor = cursor or self.cursor
        if not events:
            self.cursor = reader.cursor() or self.cursor
        return len(taken)


def naive_ask(log: FakeLog, newest: int, got: list[str]) -> int:
    """The plain "newer than" cursor that most implementations use."""
    names = list(log.names_after(newest))
    got += names
    return int(names[-1][:13]) if names else newest


@pytest.mark.parametrize("block", range(20))
def test_no_interleaving_loses_an_event_that_a_plain_newer_than_cursor_loses(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    naive_lost = 0
    for seed in range(block * 50, block * 50 + 50):
        rng = random.Random(seed)
        log = FakeLog(monkeypatch)
        hubs = [make_hub(log), make_hub(log, RING_SIZE=rng.choice([10, 2000]), PAGE_SIZE=10)]
        client = Client(rt.Cursor.of(log.now - OVERLAP_MS, []).encode())
        written: list[str] = []
        naive_got: list[str] = []
        newest = log.now
        cut_ever = False
        for _ in range(60):
            step = rng.random()
            if step < 0.45:
                delay = rng.choice([0, 0, 5, 300, 4000, int(OVERLAP_MS * 0.9)])
                written += log.write(rng, delay, rng.choice([1, 1, 2, 3, 12]))
            elif step < 0.75:
                hub = rng.choice(hubs)
                cut = rng.choice([None, None, None, 1, 3])
                cut_ever |= cut is not None
                client.ask(hub, cut)
                newest = naive_ask(log, newest, naive_got)
            elif step < 0.85:
                rng.choice(hubs)._poll(read=True)
            for events in log.advance(rng.choice([0, 1, 40, 300, 1500])):
                home = rng.choice(hubs)
                # Handed over by the committing process, without a read.
                home._inbox.append([SimpleNamespace(events=lambda events=events: events)])
                if rng.random() < 0.5:
                    home._poll(read=False)
        log.advance(OVERLAP_MS)
        while client.ask(hubs[0]):
            newest = naive_ask(log, newest, naive_got)
        newest = naive_ask(log, newest, naive_got)

        assert set(client.got) == set(written), f"seed {seed}"
        if not cut_ever:
            assert Counter(client.got) == Counter(written), f"seed {seed}: delivered twice"
        naive_lost += len(set(written) - set(naive_got))
    assert naive_lost > 0, "the commits were not delayed enough to prove anything"


@pytest.mark.parametrize("block", range(4))
def test_a_burst_too_big_for_the_cursor_is_delivered_again_rather_than_skipped(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    again = 0
    for seed in range(block * 3, block * 3 + 3):
        rng = random.Random(1000 + seed)
        log = FakeLog(monkeypatch)
        hubs = [make_hub(log), make_hub(log, RING_SIZE=100)]
        client = Client(rt.Cursor.of(log.now - OVERLAP_MS, []).encode())
        written: list[str] = []
        for _ in range(400):
            written += log.write(rng, rng.choice([0, 10, 900, 4000]))
            log.advance(rng.choice([0, 1, 9]))
            if rng.random() < 0.1:
                client.ask(rng.choice(hubs))
            assert len(client.cursor) <= 3000
        log.advance(5000)
        while client.ask(hubs[0]):
            log.advance(500)
        assert set(client.got) == set(written), f"seed {seed}"
        again += len(client.got) - len(written)
        # Nothing new: the same digests, so nothing is delivered again and nobody spins.
        assert client.ask(hubs[0]) == 0
        assert client.ask(hubs[1]) == 0
    assert again > 0, "the cursor never overflowed"

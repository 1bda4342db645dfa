"""Measures what many conversations cost a page: reads, answers and the first paint.

One part of report.py's tables, apart because it needs a browser, where the others need none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import requests

from local.bench.counter import counting
from local.bench.world import Server, World, page

#: What a page asks for at its start.
PATHS = ("/", "/api/conversations", "/api/conversations?filter=unread", "/unread")
_FIRST_MS = 1_760_000_000_000
_FIRST_PAINT = """() => new Promise((resolve) => {
  const look = () => {
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    const row = document.querySelector('[data-conversation-id]');
    if (paint && row) resolve([paint.startTime, performance.now()]);
    else requestAnimationFrame(look);
  };
  look();
})"""


@dataclass
class Start:
    """What the start of a page costs with so many conversations; times in ms."""

    conversations: int
    unread: int
    answered: dict[str, list[float]] = field(default_factory=dict)  # path → GET → 200
    calls: dict[str, dict[str, int]] = field(default_factory=dict)  # path → calls of the store
    painted: list[float] = field(default_factory=list)  # navigation → first contentful paint
    listed: list[float] = field(default_factory=list)  # navigation → the list is there


def unread(host: str, sizes: Sequence[tuple[int, int]], rounds: int) -> Iterator[Start]:
    """The start of a page for each (conversations, of which unread).

    Args:
        host: the store.
        sizes: how many conversations there are, and how many of them are unread.
        rounds: how often each is measured; the first time is not.
    """
    for conversations, unread_ones in sizes:
        with counting(host) as (address, counts), World(address) as world:
            fill(conversations, unread_ones)
            server = world.server(10)
            cookie = server.login()
            row = Start(conversations, unread_ones)
            with requests.Session() as session:
                session.trust_env = False
                session.headers["Cookie"] = cookie
                for path in PATHS:
                    row.answered[path] = _times(partial(_get, session, server, path), rounds)
                    counts.reset()
                    _get(session, server, path)
                    row.calls[path] = dict(counts.calls())
            with page(cookie, server.url) as tab:
                if tab is not None:
                    for number in range(rounds + 1):
                        tab.goto(f"{server.url}/")
                        painted, listed = tab.evaluate(_FIRST_PAINT)
                        if number:
                            row.painted.append(painted)
                            row.listed.append(listed)
            yield row


def _get(session: requests.Session, server: Server, path: str) -> None:
    session.get(server.url + path, timeout=60).raise_for_status()


def _times(work: Callable[[], None], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return times[1:]


def fill(conversations: int, unread_ones: int) -> None:
    """Conversations as the chat stores them; the unread ones spread over all."""
    from chat.conversation.models import Conversation, new_id
    from chat.platform import datastore

    every = max(1, conversations // max(1, unread_ones))
    with datastore.context(seconds=900.0, rpc_seconds=120.0):
        entities = []
        for number in range(conversations):
            sent_at = _FIRST_MS + number * 60_000
            conversation = Conversation(
                id=new_id(),
                name=f"Cliente {number}",
                phone=f"5511{900_000_000 + number}",
                created_at=sent_at,
                arrivals=3,
                version=3,
                last_message_id=f"wamid.{number}",
                last_text="Bom dia! Vocês entregam hoje?",
                last_direction="in",
                last_sent_at=sent_at,
                last_position=f"{sent_at:013d}-0000000003",
                last_incoming_at=sent_at,
            )
            conversation.sort_key = f"{conversation.last_position}-{conversation.id}"
            conversation.incoming_counted = 3
            is_unread = number % every == 0 and number // every < unread_ones
            conversation.incoming_read = 0 if is_unread else 3
            entities.append(conversation)
        datastore.put_many(entities)

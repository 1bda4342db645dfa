"""Claude answers in a real server: its own threads, its own clock, and SIGKILL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from chat.conversation.models import Conversation, Message
from local.claude.server import ClaudeStandIn
from tests.delaying_store import DelayingStore
from tests.helpers import SETTINGS, LiveServer, Simulator, Store, wait_until

CLOCK_SHIFT = Path(__file__).resolve().parents[1] / "clock_shift"
MARIA = "5511987654321"
#: Longer than any lease.
LATER = 600
#: Longer than any test, seconds.
NEVER = 600.0
ANSWER = "Uma vez só"


def said(store: Store) -> list[str]:
    """What Claude has written, as stored."""
    with store.context():
        found = Message.query().fetch(use_cache=False)
        return [each.text for each in found if each.author_kind == "claude"]


def sweep(server: LiveServer, path: str = "/tasks/replies") -> int:
    headers = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"{server.url}{path}", headers=headers, timeout=60)
    answer.raise_for_status()
    done: int = answer.json()["done"]
    return done


@pytest.fixture
def held_store(store: Store) -> Iterator[Callable[[int], DelayingStore]]:
    """`held_store(2)`: a way to the store on which the second commit with the answer never ends."""
    made: list[DelayingStore] = []

    def make(which: int) -> DelayingStore:
        delays = [0.0] * (which - 1) + [NEVER]
        made.append(DelayingStore(store.host, ANSWER.encode(), delays))
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.mark.parametrize(
    ("moment", "asked"),
    [("while Claude writes", 2), ("before its commit", 2), ("before its sending", 1)],
)
@pytest.mark.slow
def test_a_server_killed_at_any_moment_answers_once_when_it_is_back(
    live_server: Callable[..., LiveServer],
    held_store: Callable[[int], DelayingStore],
    simulator: Simulator,
    store: Store,
    claude: ClaudeStandIn,
    moment: str,
    asked: int,
) -> None:
    settings = {
        "ANTHROPIC_API_KEY": "test-key",
        "ANTHROPIC_BASE_URL": claude.url,
        "AUTO_REPLY_DEBOUNCE_SECONDS": 0,
    }
    claude.switches.set(slow_ms=60_000 if moment == "while Claude writes" else 0, text=ANSWER)
    # The answer is written when it is stored, and again when its sending begins.
    late = held_store(2 if moment == "before its sending" else 1)
    server = live_server(**settings, DATASTORE_EMULATOR_HOST=late.host_port)
    simulator.write(MARIA, text="Bom dia")
    if moment == "while Claude writes":
        wait_until(lambda: len(claude.requests) == 1)
    else:
        wait_until(lambda: late.delayed == 1)
    server.kill9()
    assert said(store) == ([ANSWER] if moment == "before its sending" else [])
    assert simulator.texts_on_phone(MARIA) == []
    claude.switches.set(slow_ms=0)

    back = live_server(
        port=simulator.webhook_port,
        **settings,
        CLOCK_SHIFT_SECONDS=LATER,
        PYTHONPATH=os.pathsep.join(
            [str(CLOCK_SHIFT), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    )
    assert sweep(back) == asked - 1
    assert said(store) == [ANSWER]
    sweep(back, "/tasks/outbox")
    wait_until(lambda: simulator.texts_on_phone(MARIA) == [ANSWER])
    assert sweep(back) == 0
    assert (len(claude.requests), simulator.texts_on_phone(MARIA)) == (asked, [ANSWER])
    with store.context():
        (chat,) = Conversation.query().fetch(use_cache=False)
        assert (chat.reply, chat.reply_due_at, chat.owner) == (None, None, "claude")

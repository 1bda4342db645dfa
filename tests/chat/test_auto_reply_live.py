"""Claude answers in a real server: its own threads, its own clock, and SIGKILL."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import requests

from chat.conversation.models import Conversation, Message
from local.claude.server import ClaudeStandIn
from tests.helpers import SETTINGS, LiveServer, Simulator, Store, wait_until

CLOCK_SHIFT = Path(__file__).resolve().parents[1] / "clock_shift"
MARIA = "5511987654321"
#: Longer than any lease.
LATER = 600


def said(store: Store) -> list[str]:
    """What Claude has written, as stored."""
    with store.context():
        found = Message.query().fetch(use_cache=False)
        return [each.text for each in found if each.author_kind == "claude"]


def sweep(server: LiveServer) -> int:
    headers = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"{server.url}/tasks/replies", headers=headers, timeout=60)
    answer.raise_for_status()
    done: int = answer.json()["done"]
    return done


def test_a_server_killed_while_claude_writes_answers_once_when_it_is_back(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    store: Store,
    claude: ClaudeStandIn,
) -> None:
    settings = {
        "ANTHROPIC_API_KEY": "test-key",
        "ANTHROPIC_BASE_URL": claude.url,
        "AUTO_REPLY_DEBOUNCE_SECONDS": 0,
    }
    claude.switches.set(slow_ms=60_000, text="Uma vez só")
    server = live_server(**settings)
    simulator.customer_writes(MARIA, "Bom dia")
    wait_until(lambda: len(claude.requests) == 1)
    server.kill9()
    assert said(store) == []
    claude.switches.set(slow_ms=0)

    back = live_server(
        port=simulator.webhook_port,
        **settings,
        CLOCK_SHIFT_SECONDS=LATER,
        PYTHONPATH=os.pathsep.join(
            [str(CLOCK_SHIFT), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    )
    assert sweep(back) == 1
    assert said(store) == ["Uma vez só"]

    def heard() -> list[str]:
        messages = simulator.get(f"/customers/{MARIA}/messages").json()["messages"]
        return [each["text"] for each in messages if each["direction"] == "in"]

    wait_until(lambda: heard() == ["Uma vez só"])
    assert sweep(back) == 0
    with store.context():
        (chat,) = Conversation.query().fetch(use_cache=False)
        assert (chat.reply, chat.reply_due_at, chat.owner) == (None, None, "claude")

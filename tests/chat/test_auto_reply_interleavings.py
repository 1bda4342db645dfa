"""Any order of what customers, attendants and workers do: one answer a batch, none after a
take-over, and no question that nobody has.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import realtime_events
from chat.auto_reply.messages_api import Answer, ClaudeError, Used
from chat.auto_reply.worker import Claim
from chat.conversation.models import Conversation, Message
from chat.platform import datastore
from tests.chat.auto_reply_support import DEBOUNCE, MAX_WAIT, Shop
from tests.chat.support import stored

#: What may happen, each at any time. Two workers: a task that came twice, or one that was slow.
STEPS = [
    "customer", "customer", "answer", "phone", "take", "give", "claim 0", "claim 1", "commit 0",
    "commit 1", "fail 0", "die 0", "die 1", "a second", "the debounce", "the longest wait",
    "a lease", "sweep", "twice 0",
]  # fmt: skip


class Scheduler:
    """Runs steps one after the other, workers' steps among them, and notes who had the chat."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.claims: dict[str, Claim | None] = {"0": None, "1": None}
        self.numbers = itertools.count(1)
        shop.writes("oi")
        self.asked = 1

    def step(self, step: str) -> None:
        what, _, worker = step.partition(" ")
        shop = self.shop
        waits = {
            "a second": 1,
            "the debounce": DEBOUNCE,
            "the longest wait": MAX_WAIT,
            "a lease": 300,
        }
        before, owner = len(self.answers()), shop.chat.owner
        if step in waits:
            shop.clock.pass_(waits[step])
        elif what == "customer":
            shop.writes(f"pergunta {next(self.numbers)}")
            self.asked += 1
        elif what == "answer":
            shop.answers_by_hand()
        elif what == "phone":
            shop.echo()
        elif what in ("take", "give"):
            assert shop.owner("human" if what == "take" else "claude").status_code == 200
        elif what == "sweep":
            with self.in_app():
                shop.answering.sweep(30)
        elif what == "die":
            self.claims[worker] = None
        else:
            self.work(what, worker)
        written = len(self.answers()) - before
        assert written <= 1
        # Claude writes where it has the chat, or gets it back in this very step.
        assert not written or owner == "claude", step

    def work(self, what: str, worker: str) -> None:
        shop, claim = self.shop, self.claims[worker]
        with self.in_app():
            if what == "claim" and claim is None:
                reply = shop.chat.reply
                if reply and not reply.get("holder"):  # its task comes when it is due
                    shop.clock.ms = max(shop.clock.ms, shop.chat.reply_due_at)
                self.claims[worker] = self.claim()
            elif claim is not None and what in ("commit", "twice", "fail"):
                act = {
                    "fail": partial(
                        shop.answering.worker._fail, claim, ClaudeError("x", passes=True)
                    ),
                }.get(what, partial(shop.answering.worker._commit, claim, answer()))
                realtime_events.transaction(act)
                if what == "twice":
                    realtime_events.transaction(act)
                self.claims[worker] = None

    def claim(self) -> Claim | None:
        found = realtime_events.transaction(
            partial(self.shop.answering.worker._claim, self.shop.chat.id, f"h{next(self.numbers)}")
        )
        return found if isinstance(found, Claim) else None

    def in_app(self) -> Entered:
        return Entered(self.shop)

    def answers(self) -> list[Message]:
        return [each for each in stored(Message) if each.author_kind == "claude"
                and each.type == "text"]  # fmt: skip

    def settle(self) -> Conversation:
        """All lost tasks are found again."""
        self.claims = dict.fromkeys(self.claims)
        for _ in range(6):
            self.shop.clock.pass_(300)
            with self.in_app():
                self.shop.answering.sweep(30)
        return self.shop.chat


class Entered:
    """The application's context and one of the store."""

    def __init__(self, shop: Shop) -> None:
        self._app = shop.app.app_context()
        self._store = datastore.context(seconds=300)

    def __enter__(self) -> None:
        self._app.__enter__()
        self._store.__enter__()

    def __exit__(self, *error: object) -> None:
        self._store.__exit__(*error)  # type: ignore[arg-type]
        self._app.__exit__(*error)  # type: ignore[arg-type]


def answer() -> Answer:
    return Answer("answer", "resposta", None, Used("claude-x", 1, 1))


def run(shop: Shop, steps: Iterable[str]) -> Scheduler:
    """Does these steps, lets lost tasks be found, and looks whether anything is left."""
    scheduler = Scheduler(shop)
    for step in steps:
        scheduler.step(step)
    chat = scheduler.settle()
    # No question is left: answered, handed over, or with the people who took the chat.
    assert (chat.reply, chat.reply_due_at) == (None, None)
    questions = [each for each in shop.thread if each.author_kind == "customer"]
    assert len(scheduler.answers()) <= len(questions)
    if chat.owner == "claude":
        last = [each for each in shop.thread if each.type == "text"][-1]
        assert last.direction == "out"
    return scheduler


BETWEEN = [
    "customer", "answer", "phone", "take", "give", "claim 1", "commit 1", "the longest wait",
    "a lease", "sweep",
]  # fmt: skip


@pytest.mark.timeout(600)
# Seven has no factor of the lists' lengths: each step comes in each place.
@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_whatever_happens_while_claude_writes(
    open_shop: Callable[..., Shop], new_store: Callable[[], None], every: int
) -> None:
    shop = open_shop(AUTO_REPLY_DAILY_BUDGET=0)
    pairs = [(*two, "commit 0") for two in itertools.product(BETWEEN, repeat=2)]
    ends = itertools.product(["a second", *BETWEEN], ["twice 0", "fail 0", "die 0"])
    for then in [*pairs, *ends][::every]:
        new_store()
        shop.forget_logins()
        steps = ["claim 0", *then, "commit 1"]
        try:
            run(shop, steps)
        except BaseException as error:
            error.add_note(f"steps: {steps}")
            raise


@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [10, pytest.param(60, marks=pytest.mark.slow)])
def test_any_order_answers_each_batch_once_and_nobody_who_was_taken_over(
    open_shop: Callable[..., Shop], new_store: Callable[[], None], examples: int
) -> None:
    @settings(max_examples=examples, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(steps=st.lists(st.sampled_from(STEPS), min_size=3, max_size=14))
    def any_order(steps: list[str]) -> None:
        new_store()
        run(open_shop(AUTO_REPLY_DAILY_BUDGET=0), steps)

    any_order()

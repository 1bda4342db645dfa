"""The rules of module 2 against a plain model, whatever the order; and what it refuses."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from google.cloud import ndb
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
)

import unread_state as us


class Plain(SimpleNamespace):
    """A conversation without a store."""

    marked_unread = us.UnreadConversationMixin.marked_unread
    is_silent = False


def conversation(**changes: Any) -> Any:
    numbers = dict.fromkeys(
        ("unread_count", "incoming_counted", "incoming_read", "mark_flips"), 0
    ) | {"merge_floor": 0, "merge_arrival": 0, "arrivals": 0, "unread_numbers": None}
    return Plain(**numbers | {"is_unread": False} | changes)


def arrive(chat: Any, *, counts: bool = True) -> Any:
    chat.arrivals += 1
    message = SimpleNamespace(arrival=chat.arrivals, counted_at_arrival=None)
    us.count_incoming(chat, message, counts=counts)
    return message


def answer(chat: Any, *, by_attendant: bool = True, read_up_to: Any = None) -> Any:
    chat.arrivals += 1
    message = SimpleNamespace(arrival=chat.arrivals, counted_at_arrival=None)
    us.count_outgoing(chat, message, by_attendant=by_attendant, read_up_to=read_up_to)
    return message


def read(chat: Any, message: Any) -> bool:
    return us._read(chat, us._mark(chat, message))


def mark(chat: Any) -> None:
    if not chat.marked_unread:
        chat.mark_flips += 1
        us.refresh(chat)


# --- one conversation -------------------------------------------------------------------------


def test_a_message_that_arrives_while_a_reading_is_under_way_stays_unread() -> None:
    chat = conversation()
    seen = [arrive(chat) for _ in range(3)][-1]
    arrive(chat)
    assert read(chat, seen)
    assert chat.unread_count == 1


def test_reading_twice_changes_nothing() -> None:
    chat = conversation()
    seen = arrive(chat)
    assert read(chat, seen) is True
    assert read(chat, seen) is False
    assert (chat.unread_count, chat.is_unread, chat.unread_numbers) == (0, False, None)


def test_reading_up_to_an_older_message_takes_nothing_back() -> None:
    chat = conversation()
    first, second = arrive(chat), arrive(chat)
    read(chat, second)
    assert read(chat, first) is False
    assert chat.unread_count == 0


def test_what_is_nothing_to_read_counts_nothing_and_can_be_read_up_to() -> None:
    chat = conversation()
    arrive(chat)
    notice = arrive(chat, counts=False)
    assert chat.unread_count == 1
    read(chat, notice)
    assert chat.unread_count == 0


def test_an_attendants_answer_reads_all_that_came_before_it() -> None:
    chat = conversation()
    arrive(chat)
    mark(chat)
    answer(chat)
    assert (chat.unread_count, chat.marked_unread, chat.is_unread) == (0, False, False)


def test_an_answer_reads_no_further_than_its_author_saw() -> None:
    chat = conversation()
    seen = arrive(chat)
    arrive(chat)
    answer(chat, read_up_to=seen)
    assert chat.unread_count == 1


def test_an_automatic_reply_reads_nothing() -> None:
    chat = conversation()
    arrive(chat)
    mark(chat)
    reply = answer(chat, by_attendant=False)
    assert (chat.unread_count, chat.marked_unread) == (1, True)
    read(chat, reply)
    assert chat.unread_count == 0


def test_reading_takes_the_mark_away_even_when_nothing_is_unread() -> None:
    chat = conversation()
    seen = arrive(chat)
    read(chat, seen)
    mark(chat)
    assert (chat.unread_count, chat.is_unread, chat.unread_numbers) == (0, True, "1:1:1")
    assert read(chat, seen) is True
    assert (chat.marked_unread, chat.is_unread) == (False, False)


def test_a_message_from_before_the_module_reads_nothing() -> None:
    chat = conversation()
    arrive(chat)
    assert read(chat, SimpleNamespace(arrival=None, counted_at_arrival=None)) is False
    assert chat.unread_count == 1


def test_a_silent_conversation_keeps_its_badge_and_leaves_the_totals() -> None:
    chat = conversation(is_silent=True)
    arrive(chat)
    assert (chat.unread_count, chat.is_unread, chat.unread_numbers) == (1, True, None)
    chat.is_silent = False
    us.refresh(chat)
    assert chat.unread_numbers == "1:0:0"


# --- two conversations that become one --------------------------------------------------------


def merged(one: Any, other: Any) -> Any:
    one.arrivals += other.arrivals
    us.merge(one, other, arrival=one.arrivals)
    return one


def test_a_merge_adds_up_and_empties_the_one_that_goes() -> None:
    one, other = conversation(), conversation()
    read(one, arrive(one))
    for _ in range(2):
        arrive(one), arrive(other)
    mark(other)
    merged(one, other)
    assert (one.unread_count, one.marked_unread) == (4, True)
    assert (other.unread_count, other.is_unread, other.unread_numbers) == (0, False, None)


@pytest.mark.parametrize("side", [0, 1])
def test_after_a_merge_reading_any_older_message_leaves_nothing_stuck(side: int) -> None:
    one, other = conversation(), conversation()
    for chat in (one, other, other):
        last = [arrive(one), arrive(chat)][1]
    seen = (arrive(one), last)[side]
    merged(one, other)
    later = arrive(one)
    read(one, seen)
    assert one.unread_count == 1, "what came after the merge stays unread"
    read(one, later)
    assert one.unread_count == 0


# --- any order --------------------------------------------------------------------------------


@given(st.permutations(range(5)), st.data())
def test_whatever_order_readings_are_applied_in_the_furthest_wins(
    order: list[int], data: st.DataObject
) -> None:
    chat = conversation()
    messages = [arrive(chat, counts=data.draw(st.booleans())) for _ in range(5)]
    wanted = data.draw(st.sets(st.integers(0, 4), min_size=1))
    for place in order:
        if place in wanted:
            read(chat, messages[place])
    counted = [m.counted_at_arrival for m in messages]
    assert chat.unread_count == counted[-1] - counted[max(wanted)]


@dataclass
class Stored:
    """What two processes share: conversations, each with a revision."""

    chats: dict[str, dict[str, Any]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)

    def load(self, name: str) -> tuple[Any, int]:
        return conversation(**self.chats.get(name, {})), self.revisions.get(name, 0)

    def commit(self, name: str, chat: Any, revision: int) -> bool:
        if self.revisions.get(name, 0) != revision:
            return False
        self.chats[name], self.revisions[name] = dict(vars(chat)), revision + 1
        return True


class TwoProcesses(RuleBasedStateMachine):
    """Transactions begin, overlap, are overtaken and run again, in the order that is drawn.

    The model knows sets of message numbers and nothing of counters.
    """

    begun = Bundle("begun")
    messages = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.store = Stored()
        self.unread: set[int] = set()  # the model: numbers of counted messages not read
        self.marked = False
        self.arrived: list[tuple[Any, bool]] = []

    def begin(self, change: Any, model: Any) -> Any:
        return {"change": change, "model": model, "loaded": self.store.load("a")}

    @rule(target=begun, counts=st.booleans())
    def a_message_comes(self, counts: bool) -> Any:
        def model(message: Any) -> None:
            if counts:
                self.unread.add(message.arrival)
            self.arrived.append((message, counts))

        return self.begin(lambda chat: arrive(chat, counts=counts), model)

    @precondition(lambda self: self.arrived)
    @rule(target=begun, place=st.integers(0, 10**6))
    def an_attendant_reads(self, place: int) -> Any:
        message, _ = self.arrived[place % len(self.arrived)]

        def model(_result: Any) -> None:
            self.unread -= {n for n in self.unread if n <= message.arrival}
            self.marked = False

        return self.begin(lambda chat: read(chat, message), model)

    @rule(target=begun)
    def an_attendant_marks(self) -> Any:
        def model(_result: Any) -> None:
            self.marked = True

        return self.begin(mark, model)

    @rule(target=begun, by_attendant=st.booleans())
    def somebody_answers(self, by_attendant: bool) -> Any:
        def model(message: Any) -> None:
            if by_attendant:
                self.unread.clear()
                self.marked = False
            self.arrived.append((message, False))

        return self.begin(lambda chat: answer(chat, by_attendant=by_attendant), model)

    @rule(transaction=consumes(begun))
    def it_commits(self, transaction: Any) -> None:
        """Overtaken ones run again on what is there now, as a transaction does."""
        chat, revision = transaction["loaded"]
        result = transaction["change"](chat)
        if not self.store.commit("a", chat, revision):
            chat, revision = self.store.load("a")
            result = transaction["change"](chat)
            assert self.store.commit("a", chat, revision)
        transaction["model"](result)

    @invariant()
    def the_counters_say_what_the_model_says(self) -> None:
        chat, _ = self.store.load("a")
        assert chat.unread_count == len(self.unread)
        assert 0 <= chat.incoming_read <= chat.incoming_counted
        assert chat.marked_unread is self.marked
        assert chat.is_unread is (bool(self.unread) or self.marked)
        weights = us._add_up([numbers] if (numbers := us._numbers_of(chat)) else [])
        assert weights.conversations == int(chat.is_unread)
        assert weights.messages == max(len(self.unread), int(self.marked))


TestTwoProcesses = TwoProcesses.TestCase
TestTwoProcesses.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)


def test_every_interleaving_of_three_transactions_ends_the_same() -> None:
    """Two arrivals and a reading of the first message, each overtaking the others."""
    ends = set()
    for order in itertools.permutations(("comes", "comes", "reads")):
        chat = conversation()
        seen = arrive(chat)
        for step in order:
            arrive(chat) if step == "comes" else read(chat, seen)
        ends.add((chat.unread_count, chat.incoming_counted, chat.incoming_read))
    assert ends == {(2, 3, 1)}


# --- totals -----------------------------------------------------------------------------------


def test_totals_count_chats_and_messages_and_a_mark_as_one() -> None:
    assert us._add_up([(5, 3, 0), (7, 7, 1), (4, 3, 1)]) == us.Totals(3, 4)


# --- start ------------------------------------------------------------------------------------


def start(**config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(config)
    us.init_app(
        app,
        current_user_id=lambda: None,
        conversation_model=us.UnreadConversationMixin,
        find_conversation=lambda _id: None,
        find_message=lambda _chat, _id: None,
        transaction=lambda callback: callback(),
        publish=lambda *_args, **_kw: None,
        current_cursor=lambda: "",
    )
    return app


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("UNREAD_STATE_TITLE_COUNTS", "chats"),
        ("UNREAD_STATE_READ_RECEIPTS", "perhaps"),
        ("UNREAD_STATE_TOTALS_LIMIT", 99),
        ("UNREAD_STATE_CHECK_SECONDS", "often"),
        ("UNREAD_STATE_REFOCUS_MS", 10001),
    ],
)
def test_a_setting_that_cannot_work_stops_the_start(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{key}={value!r}"):
        start(**{key: value})


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNREAD_STATE_CHECK_SECONDS", "10")
    assert start().extensions["unread_state"].settings["CHECK_SECONDS"] == 10


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/unread"),
        ("POST", "/api/conversations/x/read"),
        ("POST", "/api/conversations/x/unread"),
    ],
)
def test_strangers_are_told_nothing(method: str, path: str) -> None:
    response = start().test_client().open(path, method=method)
    assert response.status_code == 401
    assert response.get_json()["error"]["code"] == "login_required"


def test_the_public_surface_is_what_all_names() -> None:
    public = {
        name
        for name, value in vars(us).items()
        if not name.startswith("_")
        and getattr(value, "__module__", us.__name__) == us.__name__
        and not isinstance(value, type(ndb))
    }
    assert public == set(us.__all__)


def test_the_module_knows_neither_the_host_nor_the_other_modules() -> None:
    source = Path(us.__file__).read_text(encoding="utf-8")
    for name in ("chat", "realtime_events", "message_status", "local"):
        assert f"import {name}" not in source
        assert f"from {name}" not in source

"""Module 2: its rules, whatever the order, and what it asks of a host before it starts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

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

import realtime_events as rt
import unread_state as us
from tests.live_host import Conversa, Mensagem


class Chat(us.UnreadConversationMixin):
    """A conversation that is never stored."""

    muted = ndb.BooleanProperty()

    @property
    def is_silent(self) -> bool:
        return bool(self.muted)


class Note(us.UnreadMessageMixin):
    """A message that is never stored."""


def arrive(chat: Any, *, counts: bool = True) -> Any:
    message = Note()
    rt.place(chat, message, outgoing=False, counts=counts)
    return message


def answer(chat: Any, **facts: Any) -> Any:
    message = Note()
    rt.place(chat, message, outgoing=True, **facts)
    return message


def read(chat: Any, message: Any) -> bool:
    """Whether it changed anything."""
    before = chat.to_dict()
    us._read(chat, us._implied(chat, message))
    return bool(chat.to_dict() != before)


def put(chat: Any, stored: Any) -> Any:
    """What a `put()` of `chat` leaves where `stored` is."""
    chat._grow(stored)
    chat._derive()
    return chat


# --- one conversation -------------------------------------------------------------------------


def test_a_message_that_arrives_while_a_reading_is_under_way_stays_unread() -> None:
    chat = Chat()
    seen = [arrive(chat) for _ in range(3)][-1]
    arrive(chat)
    assert read(chat, seen)
    assert chat.unread_count == 1


def test_reading_twice_changes_nothing() -> None:
    chat = Chat()
    seen = arrive(chat)
    assert read(chat, seen) is True
    assert read(chat, seen) is False
    assert (chat.unread_count, chat.is_unread, chat.unread_numbers) == (0, False, None)


def test_reading_up_to_an_older_message_takes_nothing_back() -> None:
    chat = Chat()
    first, second = arrive(chat), arrive(chat)
    read(chat, second)
    assert read(chat, first) is False
    assert chat.unread_count == 0


def test_what_is_nothing_to_read_counts_nothing_and_can_be_read_up_to() -> None:
    chat = Chat()
    assert arrive(chat).counts_unread is True
    notice = arrive(chat, counts=False)
    assert notice.counts_unread is False
    assert chat.unread_count == 1
    read(chat, notice)
    assert chat.unread_count == 0


def test_a_persons_answer_reads_all_that_came_before_it() -> None:
    chat = Chat()
    arrive(chat)
    us._mark(chat)
    reply = answer(chat, by_person=True)
    assert (chat.unread_count, chat.marked_unread, chat.is_unread) == (0, False, False)
    assert reply.counts_unread is False


@pytest.mark.parametrize("facts", [{"by_person": False}, {"by_person": True, "attempt_of": "7"}])
def test_neither_an_automatic_reply_nor_trying_again_reads(facts: dict[str, Any]) -> None:
    chat = Chat()
    arrive(chat)
    us._mark(chat)
    reply = answer(chat, **facts)
    assert (chat.unread_count, chat.marked_unread) == (1, True)
    read(chat, reply)
    assert chat.unread_count == 0


@pytest.mark.parametrize("muted", [False, True])
def test_reading_takes_the_mark_away_even_when_nothing_is_unread(muted: bool) -> None:
    chat = Chat(muted=muted)
    seen = arrive(chat)
    read(chat, seen)
    us._mark(chat)
    assert (chat.unread_count, chat.is_unread) == (0, True)
    assert chat.unread_numbers == (None if muted else "1:1:1")
    assert read(chat, seen) is True
    assert (chat.marked_unread, chat.is_unread) == (False, False)


def test_reading_a_marked_one_up_to_an_older_message_takes_only_the_mark() -> None:
    chat = Chat()
    first, second = arrive(chat), arrive(chat)
    read(chat, second)
    us._mark(chat)
    assert read(chat, first) is True
    assert (chat.unread_count, chat.marked_unread) == (0, False)


def test_marking_twice_is_marking_once() -> None:
    chat = Chat()
    us._mark(chat)
    us._mark(chat)
    assert (chat.marked_unread, chat.mark_flips) == (True, 1)


def test_a_message_from_before_the_module_reads_nothing() -> None:
    chat = Chat()
    arrive(chat)
    assert read(chat, Note()) is False
    assert chat.unread_count == 1


def test_a_silent_conversation_keeps_its_badge_and_leaves_the_totals() -> None:
    chat = Chat(muted=True)
    arrive(chat)
    assert (chat.unread_count, chat.is_unread, chat.unread_numbers) == (1, True, None)
    chat.muted = False
    chat._derive()
    assert chat.unread_numbers == "1:0:0"


# --- two conversations that become one --------------------------------------------------------


def merged(one: Any, other: Any) -> Any:
    one.arrivals += other.arrivals
    us.merge(one, other, arrival=one.arrivals)
    return one


def test_a_merge_adds_up_and_empties_the_one_that_goes() -> None:
    one, other = Chat(), Chat()
    read(one, arrive(one))
    read(other, arrive(other))
    for _ in range(2):
        arrive(one), arrive(other)
    us._mark(other)
    merged(one, other)
    assert (one.unread_count, one.marked_unread) == (4, True)
    assert (other.unread_count, other.is_unread, other.unread_numbers) == (0, False, None)


@pytest.mark.parametrize("side", [0, 1])
def test_after_a_merge_reading_any_older_message_leaves_nothing_stuck(side: int) -> None:
    one, other = Chat(), Chat()
    for chat in (one, other, other):
        last = [arrive(one), arrive(chat)][1]
    seen = (arrive(one), last)[side]
    merged(one, other)
    later = arrive(one)
    read(one, seen)
    assert one.unread_count == 1, "what came after the merge stays unread"
    read(one, later)
    assert one.unread_count == 0


def test_the_message_of_the_highest_arrival_is_one_of_those_that_were_merged() -> None:
    one, other = Chat(), Chat()
    arrive(one), arrive(other)
    last = arrive(other)
    us.merge(one, other, arrival=last.arrival)
    read(one, last)
    assert one.unread_count == 0


def test_what_was_read_before_a_merge_and_put_after_it_brings_nothing_back() -> None:
    one, other = Chat(), Chat()
    seen = [arrive(one), arrive(other)][1]
    before = Chat(**one.to_dict()), Chat(**other.to_dict())
    merged(one, other)
    late_one, late_other = put(before[0], one), put(before[1], other)
    assert late_one.to_dict() == one.to_dict()
    assert (late_other.unread_count, late_other.unread_numbers) == (0, None)
    read(late_one, seen)
    assert late_one.unread_count == 0


# --- any order --------------------------------------------------------------------------------


@given(st.permutations(range(5)), st.data())
def test_whatever_order_readings_are_applied_in_the_furthest_wins(
    order: list[int], data: st.DataObject
) -> None:
    chat = Chat()
    messages = [arrive(chat, counts=data.draw(st.booleans())) for _ in range(5)]
    wanted = data.draw(st.sets(st.integers(0, 4), min_size=1))
    for place in order:
        if place in wanted:
            read(chat, messages[place])
    counted = [m.counted_at_arrival for m in messages]
    assert chat.unread_count == counted[-1] - counted[max(wanted)]


@dataclass
class Stored:
    """What two processes share: a conversation with a revision."""

    chat: Any = field(default_factory=Chat)
    revision: int = 0

    def load(self) -> tuple[Any, int]:
        return Chat(**self.chat.to_dict()), self.revision

    def commit(self, chat: Any, revision: int) -> bool:
        if self.revision != revision:
            return False
        self.chat, self.revision = chat, revision + 1
        return True


class TwoProcesses(RuleBasedStateMachine):
    """Transactions begin, overlap, are overtaken and run again, in the order that is drawn; and
    the host puts what it has read long before. The model knows sets of message numbers and nothing
    of counters.
    """

    begun = Bundle("begun")
    kept = Bundle("kept")

    def __init__(self) -> None:
        super().__init__()
        self.store = Stored()
        self.unread: set[int] = set()  # the model: numbers of counted messages not read
        self.marked = False
        self.arrived: list[Any] = []

    def begin(self, change: Any, model: Any) -> Any:
        return {"change": change, "model": model, "loaded": self.store.load()}

    @rule(target=begun, counts=st.booleans())
    def a_message_comes(self, counts: bool) -> Any:
        def model(message: Any) -> None:
            if counts:
                self.unread.add(message.arrival)
            self.arrived.append(message)

        return self.begin(lambda chat: arrive(chat, counts=counts), model)

    @precondition(lambda self: self.arrived)
    @rule(target=begun, place=st.integers(0, 10**6))
    def somebody_reads(self, place: int) -> Any:
        message = self.arrived[place % len(self.arrived)]

        def model(_result: Any) -> None:
            self.unread -= {n for n in self.unread if n <= message.arrival}
            self.marked = False

        return self.begin(lambda chat: read(chat, message), model)

    @rule(target=begun)
    def somebody_marks(self) -> Any:
        def model(_result: Any) -> None:
            self.marked = True

        return self.begin(us._mark, model)

    @rule(target=begun, by_person=st.booleans())
    def somebody_answers(self, by_person: bool) -> Any:
        def model(message: Any) -> None:
            if by_person:
                self.unread.clear()
                self.marked = False
            self.arrived.append(message)

        return self.begin(lambda chat: answer(chat, by_person=by_person), model)

    @rule(transaction=consumes(begun))
    def it_commits(self, transaction: Any) -> None:
        """Overtaken ones run again on what is there now, as a transaction does."""
        chat, revision = transaction["loaded"]
        result = transaction["change"](chat)
        if not self.store.commit(chat, revision):
            chat, revision = self.store.load()
            result = transaction["change"](chat)
            assert self.store.commit(chat, revision)
        transaction["model"](result)

    @rule(target=kept)
    def the_host_reads_it_for_later(self) -> Any:
        return self.store.load()[0]

    @rule(old=consumes(kept))
    def the_host_puts_what_it_has_read_before(self, old: Any) -> None:
        assert self.store.commit(put(old, self.store.chat), self.store.revision)

    @invariant()
    def the_counters_say_what_the_model_says(self) -> None:
        chat = self.store.chat
        assert chat.unread_count == len(self.unread)
        assert 0 <= chat.incoming_read <= chat.incoming_counted
        assert chat.marked_unread is self.marked
        assert chat.is_unread is (bool(self.unread) or self.marked)
        assert (chat.unread_numbers is not None) is chat.is_unread


TestTwoProcesses = TwoProcesses.TestCase
TestTwoProcesses.settings = settings(max_examples=150, stateful_step_count=30)


def test_every_interleaving_of_three_transactions_ends_the_same() -> None:
    """Two arrivals and a reading of the first message, each overtaking the others."""
    ends = set()
    for order in itertools.permutations(("comes", "comes", "reads")):
        chat = Chat()
        seen = arrive(chat)
        for step in order:
            arrive(chat) if step == "comes" else read(chat, seen)
        ends.add((chat.unread_count, chat.incoming_counted, chat.incoming_read))
    assert ends == {(2, 3, 1)}


def test_totals_count_chats_and_messages_and_a_mark_as_one() -> None:
    expected = {"conversations": 3, "messages": 4}
    all_numbers = [(5, 3, 0), (7, 7, 1), (4, 4, 2), (4, 3, 1)]
    assert us._totals(dict(zip(us._NUMBERS, each, strict=True)) for each in all_numbers) == expected


# --- start ------------------------------------------------------------------------------------


@pytest.fixture
def app() -> Flask:
    """An app with the ground floor alone; nothing of it reaches a store."""
    app = Flask(__name__)
    rt.init_app(app, mock.MagicMock(), current_user_id=lambda: None)
    return app


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("UNREAD_STATE_TITLE_COUNTS", "chats"),
        ("UNREAD_STATE_READ_RECEIPTS", "perhaps"),
        ("UNREAD_STATE_TOTALS_LIMIT", 99),
        ("UNREAD_STATE_QUIET_AFTER_SECONDS", "often"),
        ("UNREAD_STATE_REFOCUS_MS", 10001),
    ],
)
def test_a_setting_that_cannot_work_stops_the_start(app: Flask, key: str, value: Any) -> None:
    app.config[key] = value
    with pytest.raises(ValueError, match=f"{key}={value!r}"):
        us.init_app(app, Conversa, Mensagem)


def test_settings_come_from_the_environment(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNREAD_STATE_TOTALS_LIMIT", "200")
    us.init_app(app, Conversa, Mensagem)
    assert app.extensions["unread_state"].settings["TOTALS_LIMIT"] == 200


def test_a_model_that_cannot_work_stops_the_start_and_is_told_why(app: Flask) -> None:
    with mock.patch.dict(ndb.Model._kind_map):

        class Bare(ndb.Model):
            pass

        class Taken(us.UnreadConversationMixin):
            unread_count = ndb.TextProperty()

        with pytest.raises(TypeError, match=r"Bare\(unread_state\.UnreadConversationMixin\)"):
            us.init_app(app, Bare, Mensagem)
        with pytest.raises(TypeError, match=r"Bare\(unread_state\.UnreadMessageMixin\)"):
            us.init_app(app, Conversa, Bare)
        with pytest.raises(TypeError, match=r"Taken\.unread_count"):
            us.init_app(app, Taken, Mensagem)


def test_without_the_start_every_verb_says_so(app: Flask) -> None:
    with app.app_context():
        for verb in (lambda: us.read(1, 1), lambda: us.mark_unread(1)):
            with pytest.raises(RuntimeError, match=r"unread_state\.init_app"):
                verb()


def test_the_public_surface_is_what_all_names() -> None:
    public = {
        name
        for name, value in vars(us).items()
        if not name.startswith("_")
        and getattr(value, "__module__", us.__name__) == us.__name__
        and not isinstance(value, type(ndb))
    }
    assert public == set(us.__all__)


def test_the_module_stands_on_the_ground_floor_alone() -> None:
    source = Path(us.__file__).read_text(encoding="utf-8")
    for name in ("chat", "message_status", "local"):
        assert f"import {name}" not in source
        assert f"from {name}" not in source

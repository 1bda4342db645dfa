"""Facts about who is who come in any order and any number of times, and end at the same."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import message_status
from chat.conversation.models import Conversation, Message
from chat.incoming import parsing
from chat.outgoing import sending
from chat.people import identity
from chat.platform import datastore
from tests.chat.dict_store import DictStore
from tests.chat.support import (
    NOON,
    Graph,
    accepted,
    deliver,
    live_conversations,
    login,
    text_message,
)

Fact = dict[str, Any]  # a change of a webhook call


class Person:
    """Numbers and BSUIDs that nobody else has, by short names such as `p3` and `a`."""

    def __init__(self, number: int) -> None:
        self._number = number

    def phone(self, name: str) -> str:
        return f"55119{name[1:]}{self._number:07}"

    def bsuid(self, name: str) -> str:
        return f"BR.{name}{self._number}"

    def wamid(self, name: str) -> str:
        return f"wamid.{name}.{self._number}"

    def text(self, name: str, phone: str, bsuid: str | None, at: int) -> Fact:
        """They write."""
        sender = {"from": self.phone(phone), "from_user_id": bsuid and self.bsuid(bsuid)}
        message = text_message(self.wamid(name), name, NOON + at, **sender)
        return {"field": "messages", "value": {"messages": [message]}}

    def update(self, before: str, after: str, at: int, phone: str | None = None) -> Fact:
        """A `user_id_update`."""
        item: Fact = {"user_id": {"previous": self.bsuid(before), "current": self.bsuid(after)}}
        item |= {"timestamp": str(NOON + at)} | ({"wa_id": self.phone(phone)} if phone else {})
        return {"field": "user_id_update", "value": {"user_id_update": [item]}}

    def moved(
        self, old: str, new: str, at: int, *, before: str | None = None, after: str | None = None
    ) -> Fact:
        """A `user_changed_number`, with the BSUIDs that it names."""
        system = {"body": "x", "type": "user_changed_number", "wa_id": self.phone(new)}
        system |= {"user_id": self.bsuid(after)} if after else {}
        system |= {"previous_user_id": self.bsuid(before)} if before else {}
        wamid = self.wamid(f"{old}{new}{at}")
        message = {"id": wamid, "timestamp": str(NOON + at), "type": "system", "system": system}
        message["from"] = self.phone(old)
        return {"field": "messages", "value": {"messages": [message]}}


Story = Callable[[Person], list[Fact]]


def as_meta_tells_it(person: Person) -> list[Fact]:
    first = person.update("a", "b", 60, "p3")
    moved = person.moved("p3", "p4", 120, before="b", after="c")
    return [person.text("one", "p3", "a", 0), first, moved, person.text("two", "p4", "c", 180),
            first]  # fmt: skip


def within_one_second(person: Person) -> list[Fact]:
    first = person.update("a", "b", 0, "p3")
    moved = person.moved("p3", "p4", 0, before="b", after="c")
    return [person.text("one", "p3", "a", 0), first, moved, person.text("two", "p4", "c", 0), first]


def without_bsuids_in_the_notice(person: Person) -> list[Fact]:
    first = person.update("a", "b", 60)
    moved = person.moved("p3", "p4", 120)
    return [person.text("one", "p3", "a", 0), first, moved, person.text("two", "p4", "c", 180),
            first]  # fmt: skip


def by_updates_alone(person: Person) -> list[Fact]:
    first, second = person.update("a", "b", 60, "p3"), person.update("b", "c", 120, "p4")
    return [person.text("one", "p3", "a", 0), first, second, person.text("two", "p4", "c", 180),
            first]  # fmt: skip


def by_notice_and_update(person: Person) -> list[Fact]:
    moved = person.moved("p3", "p4", 120, after="c")
    told = person.update("a", "c", 120, "p4")
    return [person.text("one", "p3", "a", 0), moved, told, person.text("two", "p4", "c", 180),
            moved]  # fmt: skip


def there_and_back(person: Person) -> list[Fact]:
    away = person.moved("p4", "p3", 60, before="a", after="b")
    back = person.moved("p3", "p4", 180, before="b", after="c")
    return [person.text("one", "p4", "a", 0), away, person.text("two", "p3", "b", 120), back,
            person.text("three", "p4", "c", 240)]  # fmt: skip


STORIES = [as_meta_tells_it, within_one_second, without_bsuids_in_the_notice, by_updates_alone,
           by_notice_and_update, there_and_back]  # fmt: skip


def orders(facts: list[Fact]) -> Iterator[list[Fact]]:
    """All distinct orders."""
    seen = set()
    for order in itertools.permutations(range(len(facts))):
        names = tuple(facts.index(facts[place]) for place in order)
        if names not in seen:
            seen.add(names)
            yield [facts[place] for place in order]


def tell(app: Flask, *facts: Fact) -> None:
    answer = deliver(app.test_client(), {"entry": [{"changes": list(facts)}]})
    assert answer.status_code == 200


def home_of(wamid: str) -> Conversation | None:
    with datastore.context():
        message = datastore.get(Message, wamid)
        return identity.load_conversation(message.conversation_id) if message else None


def check(person: Person, order: Any, *texts: str) -> None:
    homes = [home_of(person.wamid(text)) for text in texts]
    assert len({home and home.id for home in homes}) == 1, order
    home = homes[0]
    assert home is not None
    assert (home.phone, home.bsuid) == (person.phone("p4"), person.bsuid("c")), order


class Registry:
    """Who is who, fact by fact."""

    def __init__(self, store: DictStore) -> None:
        self._store = store
        self._homes: dict[str, str] = {}

    def tell(self, fact: Fact) -> None:
        batch = parsing.parse({"entry": [{"changes": [fact]}]}, (NOON + 10**6) * 1000)
        for message in batch.messages:
            if message.wamid not in self._homes:
                people = identity.People(identity.alias_names(message))
                home = people.of(message)
                people.save()
                if message.stored:
                    self._homes[message.wamid] = home.id

    def home_of(self, wamid: str) -> Conversation:
        home = identity.load_conversation(self._homes[wamid])
        assert home is not None
        return home

    def live(self) -> int:
        return sum(not each.merged_into for each in self._store.all(Conversation))

    def clear(self) -> None:
        self._store.clear()
        self._homes.clear()


@pytest.fixture
def registry(quick_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with quick_app.app_context(), datastore.context():
        yield Registry(DictStore(monkeypatch))


@pytest.mark.parametrize("story", STORIES)
def test_every_order_ends_at_the_newest_number_in_one_chat(
    registry: Registry, story: Story
) -> None:
    person, made = Person(1), 0
    for order in orders(story(person)):
        made += 1
        registry.clear()
        for told in (order, order, list(reversed(order))):  # and again, in another order
            for fact in told:
                registry.tell(fact)
            one, two = (registry.home_of(person.wamid(text)) for text in ("one", "two"))
            assert one is two, order
            assert (one.phone, one.bsuid) == (person.phone("p4"), person.bsuid("c")), order
            assert registry.live() == 1, "nothing is left over"
    assert made in (60, 120)


@pytest.mark.parametrize("examples", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_any_history_ends_where_it_ends_in_the_right_order(
    registry: Registry, examples: int
) -> None:
    """Somebody writes, moves, and is given other BSUIDs; each step is told in some way."""

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def any_history(data: st.DataObject) -> None:
        _tell_in_any_order(registry, data)

    any_history()


def _tell_in_any_order(registry: Registry, data: st.DataObject) -> None:
    registry.clear()
    person, phone, bsuid, facts = Person(1), "p0", 0, [Person(1).text("m0", "p0", "x0", 0)]
    for step in range(1, data.draw(st.integers(1, 5)) + 1):
        kind, at = data.draw(st.sampled_from(["text", "moved", "both", "update"])), step * 10
        after = f"x{bsuid + 1}"
        if kind == "text":
            facts.append(person.text(f"m{step}", phone, f"x{bsuid}", at))
            continue
        before = f"x{bsuid}"
        if kind in ("moved", "both"):
            new = f"p{step}"
            facts.append(person.moved(phone, new, at, before=before, after=after))
            phone = new
        if kind in ("update", "both"):
            facts.append(person.update(before, after, at, phone))
        bsuid += 1
    facts.append(person.text("end", phone, f"x{bsuid}", 99))
    repeats = data.draw(st.lists(st.sampled_from(facts), max_size=4))
    for fact in data.draw(st.permutations([*facts, *repeats])):
        registry.tell(fact)
    home = registry.home_of(person.wamid("end"))
    assert (home.phone, home.bsuid) == (person.phone(phone), person.bsuid(f"x{bsuid}"))
    assert registry.home_of(person.wamid("m0")) is home
    assert registry.live() == 1


# In every fourth of them each fact still comes in each place.
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_on_the_store_every_order_ends_there_too(quick_app: Flask, every: int) -> None:
    for number, place in enumerate(range(0, 60, every)):
        person = Person(number)
        facts = list(orders(as_meta_tells_it(person)))[place]
        for fact in facts:
            tell(quick_app, fact)
        check(person, facts, "one", "two")
        if number % 10 == 0:
            before = home_of(person.wamid("one"))
            for fact in facts:
                tell(quick_app, fact)
            check(person, facts, "one", "two")
            assert home_of(person.wamid("one")).version == before.version, "a repeat is no news"
    assert len(live_conversations()) == number + 1, "nothing is left over"


@pytest.mark.parametrize("story", STORIES)
def test_all_in_one_call_ends_there_too(quick_app: Flask, story: Story) -> None:
    rng = random.Random(4)
    for number in range(8):
        person = Person(number)
        facts = story(person)
        rng.shuffle(facts)
        tell(quick_app, *facts)
        check(person, facts, "one", "two")
    assert len(live_conversations()) == 8


def test_a_strangers_messages_on_the_old_number_are_never_the_customers(
    registry: Registry,
) -> None:
    person = Person(1)
    facts = [
        person.text("one", "p3", "a", 0),
        person.moved("p3", "p4", 60, before="a", after="c"),
        person.text("quem", "p3", "s", 120),
        person.text("two", "p4", "c", 180),
        person.text("late", "p3", "a", 30),
    ]
    for order in itertools.permutations(facts):
        registry.clear()
        for fact in [*order, *order]:
            registry.tell(fact)
        one, two, late, other = (
            registry.home_of(person.wamid(text)) for text in ("one", "two", "late", "quem")
        )
        assert one is two is late, order
        assert (one.phone, one.bsuid) == (person.phone("p4"), person.bsuid("c")), order
        assert (other.phone, other.bsuid) == (person.phone("p3"), person.bsuid("s")), order
        assert registry.live() == 2


def test_a_stranger_without_a_bsuid_is_told_apart_once_the_change_is_known(
    registry: Registry,
) -> None:
    person = Person(1)
    facts = [
        person.text("one", "p3", "a", 0),
        person.text("two", "p4", "c", 180),
        person.update("a", "c", 60, "p4"),
        person.text("late", "p3", "a", 30),
    ]
    for order in itertools.permutations(range(4)):
        if 2 not in order[:3] or set(order[:3]) == {1, 2}:
            continue
        registry.clear()
        for place in order[:3]:
            registry.tell(facts[place])
        registry.tell(person.text("quem", "p3", None, 120))
        registry.tell(facts[order[3]])
        one, two, late, other = (
            registry.home_of(person.wamid(text)) for text in ("one", "two", "late", "quem")
        )
        assert one is two is late is not other, order
        assert (one.phone, other.phone) == (person.phone("p4"), person.phone("p3")), order


def test_the_answer_goes_to_the_newest_number(sending_app: Flask, graph: Graph) -> None:
    ana, person = login(sending_app), Person(1)
    facts = as_meta_tells_it(person)
    for fact in facts:
        tell(sending_app, fact)
    (chat,) = ana.conversations()
    assert chat["phone"] == "+55 11 94000-0001"
    body = {"client_id": "6f1c9a52-3b1f-4e3a-9a63-0d7e2b1c4a55", "text": "oi"}
    assert ana.post(f"/api/conversations/{chat['id']}/messages", body).status_code == 201
    assert [sent["to"] for sent in graph.received] == [f"+{person.phone('p4')}"]


def test_an_answer_tells_of_the_time_when_it_was_asked(
    sending_app: Flask, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, person, clock = login(sending_app), Person(1), [NOON + 60]
    monkeypatch.setattr(message_status, "now_ms", lambda: clock[0] * 1000)
    monkeypatch.setattr(sending, "_now_ms", lambda: clock[0] * 1000)
    tell(sending_app, person.text("one", "p3", "a", 0))
    (chat,) = ana.conversations()

    def change_numbers_meanwhile(body: dict[str, Any]) -> tuple[int, Any]:
        tell(sending_app, person.moved("p3", "p4", 120, before="a", after="b"))
        clock[0] = NOON + 180
        return accepted(body, wa_id=person.phone("p3"))

    graph.answer = change_numbers_meanwhile
    body = {"client_id": "6f1c9a52-3b1f-4e3a-9a63-0d7e2b1c4a55", "text": "oi"}
    assert ana.post(f"/api/conversations/{chat['id']}/messages", body).status_code == 201
    (conversation,) = live_conversations()
    assert conversation.phone == person.phone("p4")
    tell(sending_app, person.text("stranger", "p3", None, 240))
    assert home_of(person.wamid("stranger")).id != conversation.id


def test_an_update_without_a_time_joins_and_repeats_nothing(quick_app: Flask) -> None:
    for made, order in enumerate(itertools.permutations(range(4)), 1):
        person = Person(made)
        update = person.update("a", "c", 0)
        del update["value"]["user_id_update"][0]["timestamp"]
        texts = [person.text("one", "p3", "a", 0), person.text("two", "p4", "c", 180)]
        facts = [*texts, update, update]
        for place in order:
            tell(quick_app, facts[place])
        assert home_of(person.wamid("one")).id == home_of(person.wamid("two")).id
        assert home_of(person.wamid("one")).bsuid == person.bsuid("c"), order
    assert len(live_conversations()) == made


def test_a_notice_that_names_the_new_number_as_the_sender_moves_nobody_else(
    quick_app: Flask,
) -> None:
    person = Person(1)
    tell(quick_app, person.text("one", "p4", "c", 0))
    moved = person.moved("p4", "p4", 60)
    tell(quick_app, moved)
    check(person, moved, "one")
    named = person.moved("p4", "p4", 90, before="a", after="c")
    tell(quick_app, person.text("two", "p3", "a", -9), named)
    check(person, named, "one", "two")

"""What judges a storm finds each kind of damage, and is content with a chat that has none."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from local.bench.storm.judging import (
    CLAUDE,
    LINE,
    TO_PEOPLE,
    Chat,
    Page,
    Stored,
    of_chat,
    of_listener,
    of_page,
)


def whole() -> Chat:
    """A chat as it should be at the end: one message is in doubt and did not arrive."""
    thread = [
        Stored("in-1", False, 1),
        Stored("out-1", True, 2, "read"),
        Stored("in-2", False, 3),
        Stored("out-2", True, 4, "sending", "unconfirmed"),
        Stored("out-3", True, 5, "delivered"),
        Stored("in-3", False, 6),
    ]
    return Chat(
        "chat 1",
        written=["in-1", "in-2", "in-3"],
        sent=["out-1", "out-2", "out-3"],
        on_phone=["out-1", "out-3"],
        thread=thread,
        unread=1,
    )


def test_a_whole_chat_has_no_fault_and_its_doubt_is_counted() -> None:
    assert of_chat(whole()) == []
    assert whole().doubtful == ["out-2"]


def test_what_is_in_doubt_and_arrived_is_no_longer_to_be_in_doubt() -> None:
    chat = whole()
    chat.on_phone = ["out-1", "out-2", "out-3"]
    assert of_chat(chat) == ["chat 1: on the phone, and without a tick: out-2"]


def without(name: str, chat: Chat) -> None:
    chat.thread = [each for each in chat.thread if each.id != name]
    chat.thread = [
        dataclasses.replace(each, arrival=place) for place, each in enumerate(chat.thread, 1)
    ]


def twice(name: str, chat: Chat) -> None:
    (again,) = [each for each in chat.thread if each.id == name]
    chat.thread.append(dataclasses.replace(again, arrival=7))


def swapped(one: int, other: int, chat: Chat) -> None:
    thread = chat.thread
    thread[one], thread[other] = thread[other], thread[one]


DAMAGE: list[tuple[Any, str]] = [
    (lambda chat: without("in-2", chat), "chat 1: from the customer: lost: in-2"),
    (lambda chat: without("out-1", chat), "chat 1: from the attendant: lost: out-1"),
    (lambda chat: twice("in-1", chat), "chat 1: from the customer: doubled: in-1"),
    (lambda chat: twice("out-3", chat), "chat 1: from the attendant: doubled: out-3"),
    (lambda chat: chat.written.remove("in-2"), "chat 1: from the customer: never written: in-2"),
    (lambda chat: swapped(0, 2, chat), "chat 1: from the customer: not in the order of writing"),
    (lambda chat: swapped(3, 4, chat), "chat 1: from the attendant: not in the order of writing"),
    (lambda chat: chat.on_phone.append("out-1"), "chat 1: on the phone: doubled: out-1"),
    (lambda chat: chat.on_phone.append("?"), "chat 1: on the phone: never sent: ?"),
    (lambda chat: chat.on_phone.reverse(), "chat 1: on the phone: not in the order of sending"),
    (
        lambda chat: chat.on_phone.remove("out-3"),
        "chat 1: on the phone: not there in spite of a tick: out-3",
    ),
    (lambda chat: chat.on_phone.remove("out-3"), "chat 1: on the phone: lost: out-3"),
    (lambda chat: setattr(chat, "unread", 2), "chat 1: 2 unread, not 1"),
    (
        lambda chat: chat.thread.__setitem__(0, Stored("in-1", False, 9)),
        "chat 1: the messages are not numbered from 1 to 6",
    ),
]


@pytest.mark.parametrize(("damage", "sentence"), DAMAGE)
def test_each_damage_is_named(damage: Any, sentence: str) -> None:
    chat = whole()
    damage(chat)
    assert sentence in of_chat(chat)


def claudes() -> Chat:
    """A chat of Claude's: a person took it over after the second answer, and a question waits."""
    thread = [
        Stored("in-1", False, 1),
        Stored("given", False, 2, by=LINE),
        Stored("in-2", False, 3),
        Stored("answer-1", True, 4, "delivered", by=CLAUDE),
        Stored("in-3", False, 5),
        Stored("answer-2", True, 6, "sent", by=CLAUDE),
        Stored("taken", False, 7, by=TO_PEOPLE),
        Stored("in-4", False, 8),
    ]
    return Chat(
        "chat 1",
        written=["in-1", "in-2", "in-3", "in-4"],
        sent=["answer-1", "answer-2"],
        on_phone=["answer-1", "answer-2"],
        thread=thread,
        unread=4,
        quoted={"answer-1": ["in-1", "in-2"], "answer-2": ["in-3"]},
    )


def test_what_people_have_they_answer_and_claude_reads_nothing() -> None:
    assert of_chat(claudes()) == []
    assert claudes().unanswered == []
    chat = claudes()
    chat.thread[6] = dataclasses.replace(chat.thread[6], by=LINE)
    assert chat.unanswered == ["in-4"]
    assert of_chat(chat) == ["chat 1: Claude did not answer: in-4"]


def late_answer(chat: Chat) -> None:
    chat.thread.append(Stored("answer-3", True, 9, "sent", by=CLAUDE))
    chat.sent.append("answer-3")
    chat.on_phone.append("answer-3")
    chat.quoted = {**(chat.quoted or {}), "answer-3": ["in-4"]}


def in_doubt(chat: Chat) -> None:
    chat.thread[6] = dataclasses.replace(chat.thread[6], by=LINE)
    chat.thread[5] = Stored("answer-2", True, 6, "sending", "unconfirmed", CLAUDE)
    chat.on_phone.pop()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (late_answer, "Claude wrote in a chat that people have: answer-3"),
        (in_doubt, "Claude's answer did not arrive, and nobody was told: answer-2"),
        (
            lambda chat: chat.quoted.update({"answer-2": ["in-2", "in-3"]}),
            "Claude answered twice: in-2",
        ),
        (
            lambda chat: chat.quoted.update({"answer-2": ["in-3", "question 9"]}),
            "Claude answered what nobody asked: question 9",
        ),
        (lambda chat: chat.quoted.update({"answer-2": []}), "Claude answered nothing by: answer-2"),
        (lambda chat: chat.on_phone.append("answer-1"), "on the phone: doubled: answer-1"),
        (lambda chat: setattr(chat, "unread", 1), "1 unread, not 4"),
    ],
)
def test_each_damage_of_a_chat_of_claudes_is_named(damage: Any, sentence: str) -> None:
    chat = claudes()
    damage(chat)
    assert f"chat 1: {sentence}" in of_chat(chat)


def test_a_message_that_is_simply_still_sending_is_lost_when_it_never_arrives() -> None:
    chat = whole()
    chat.thread[3] = Stored("out-2", True, 4, "sending")
    assert of_chat(chat) == ["chat 1: on the phone: lost: out-2"]


def test_many_of_a_kind_are_counted() -> None:
    chat = Chat("chat 2", written=[f"in-{number}" for number in range(9)])
    assert of_chat(chat) == ["chat 2: from the customer: lost: in-0, in-1, in-2 and 6 more"]


def test_a_listener_may_hear_twice_but_must_hear() -> None:
    ids, ticked = [each.id for each in whole().thread], ["out-1", "out-3"]
    assert of_listener("listener 1", [*ids, *ids], ticked * 2, 0, [whole()]) == []
    missed = of_listener("listener 1", ids[1:], ticked, 0, [whole()])
    assert missed == ["listener 1: not told of: in-1"]
    missed = of_listener("listener 1", ids, ticked[:1], 0, [whole()])
    assert missed == ["listener 1: not told of the tick of: out-3"]
    reset = of_listener("listener 1", ids, ticked, 2, [whole()])
    assert reset == ["listener 1: had to read everything again, 2 times"]


def page() -> Page:
    bubbles = [("in-2", ""), ("out-2", "sending"), ("out-3", "delivered"), ("in-3", "")]
    return Page(bubbles, rows=["b", "a"])


def test_a_page_shows_the_end_of_the_chat_and_the_top_of_the_list() -> None:
    thread = whole().thread
    assert of_page(page(), thread, ["b", "a", "c"]) == []
    read = [("out-1", "delivered")]
    assert of_page(Page([*read, *page().bubbles], ["b"]), thread, ["b", "a"]) == []


PAGES: list[tuple[dict[str, Any], str]] = [
    ({"bubbles": []}, "the page: the open chat is empty"),
    ({"bubbles": page().bubbles[:-1]}, "the page: lost: in-3"),
    ({"bubbles": page().bubbles[:1] * 2 + page().bubbles[1:]}, "the page: doubled: in-2"),
    ({"bubbles": [("out-3", "sent"), ("in-3", "")]}, "the page: wrong ticks: out-3"),
    (
        {"bubbles": [("in-3", ""), ("out-3", "delivered")]},
        "the page: not in the order of writing",
    ),
    ({"rows": ["a", "b"]}, "the page: the list is not in the order of the newest messages"),
    ({"rows": []}, "the page: the list is not in the order of the newest messages"),
    ({"errors": ["TypeError"]}, "the page: a script failed: TypeError"),
    ({"loads": 2}, "the page: loaded 2 times"),
]


@pytest.mark.parametrize(("change", "sentence"), PAGES)
def test_each_fault_of_a_page_is_named(change: dict[str, Any], sentence: str) -> None:
    assert sentence in of_page(dataclasses.replace(page(), **change), whole().thread, ["b", "a"])

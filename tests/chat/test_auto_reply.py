"""Claude answers what customers ask in the chats it owns: once, in order, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from chat.auto_reply.messages_api import Answer
from chat.auto_reply.policy import MAX_TRIES
from chat.conversation.models import Message
from chat.outgoing.whatsapp import RefusedError, UnreachableError, WhatsAppClient
from tests.chat.auto_reply_support import (
    DEBOUNCE,
    MAX_WAIT,
    Shop,
    while_claude_writes,
)
from tests.chat.support import accepted, published, run_together, stored


def test_a_question_is_answered_once_and_sent(shop: Shop) -> None:
    shop.claude.switches.set(text="Olá, Maria!")
    shop.writes("bom dia")
    assert shop.chat.owner == "claude"
    assert shop.queue.waiting == [(shop.clock.ms + DEBOUNCE * 1000, shop.chat.id)]
    shop.run_tasks()
    assert shop.said("claude") == shop.graph.texts() == ["Olá, Maria!"]
    (answer,) = [each for each in stored(Message) if each.direction == "out"]
    assert (answer.author_name, answer.author_id, answer.status) == ("Claude", "claude", "sending")
    assert (shop.chat.reply, shop.chat.reply_due_at) == (None, None)
    assert shop.run() is False
    assert shop.graph.texts() == ["Olá, Maria!"]


def test_the_screens_see_that_claude_is_answering(shop: Shop) -> None:
    shop.writes()
    shop.run_tasks()
    told = [json.loads(event.data) for event in published()]
    chats = sorted(
        (each["conversation"] for each in told if "conversation" in each),
        key=lambda chat: int(chat["version"]),  # stamps may be of the same millisecond
    )
    replying = [chat["replying_since"] is not None for chat in chats]
    assert replying[0] is False  # the question
    assert True in replying
    assert replying[-1] is False  # the answer
    (created,) = [each for each in told if each.get("message", {}).get("direction") == "out"]
    assert created["message"]["author"] == {"kind": "claude", "name": "Claude"}
    assert created["conversation"]["replying_since"] is None


def test_several_quick_messages_make_one_answer(shop: Shop) -> None:
    shop.claude.switches.set(text="Uma resposta")
    for text in ("oi", "tudo bem?", "quanto custa?"):
        shop.writes(text)
        shop.clock.pass_(2)
    shop.run_tasks()
    assert shop.said("claude") == ["Uma resposta"]
    (request,) = shop.claude.requests
    (turn,) = request["messages"]
    assert [text in turn["content"][0]["text"] for text in ("oi", "tudo bem?", "quanto custa?")]


def test_who_never_stops_writing_is_answered_all_the_same(shop: Shop) -> None:
    began = shop.clock.ms
    for _ in range(20):
        shop.writes("e mais uma coisa")
        shop.clock.pass_(DEBOUNCE - 1)
        shop.run()
        if shop.said("claude"):
            break
    assert shop.said("claude")
    assert shop.clock.ms - began <= (MAX_WAIT + DEBOUNCE) * 1000


def test_a_message_that_comes_while_claude_writes_is_answered_with_the_rest(shop: Shop) -> None:
    shop.writes("quanto custa o azul?")
    shop.clock.pass_(DEBOUNCE)
    with while_claude_writes(shop, lambda: shop.writes("aliás, o verde")):
        shop.run()
    assert shop.said("claude") == []
    shop.run_tasks()
    assert len(shop.said("claude")) == 1
    assert "aliás, o verde" in shop.claude.requests[-1]["messages"][-1]["content"][0]["text"]


def test_after_the_longest_wait_the_answer_stands_and_the_rest_is_asked_anew(shop: Shop) -> None:
    shop.writes("quanto custa o azul?")
    shop.clock.pass_(DEBOUNCE)

    def much_later() -> None:
        shop.clock.pass_(MAX_WAIT)
        shop.writes("aliás, o verde")

    with while_claude_writes(shop, much_later):
        shop.run()
    assert len(shop.said("claude")) == 1
    assert shop.chat.reply["question"] == [m for m in shop.thread if m.direction == "in"][-1].id
    shop.run_tasks()
    assert len(shop.said("claude")) == 2
    assert_asked_last(shop, "aliás, o verde")


def assert_asked_last(shop: Shop, text: str) -> None:
    """What Claude was asked last is this, and only this: what is before it is answered."""
    *_, answered, asked = shop.claude.requests[-1]["messages"]
    assert answered["role"] == "assistant"
    asked_texts = re.findall(r">\n(.*?)\n</", asked["content"][0]["text"])
    assert asked_texts == [text]


def test_what_comes_late_and_stands_above_the_answer_is_asked_below_it(shop: Shop) -> None:
    shop.writes("quanto custa o azul?")
    shop.clock.pass_(120)
    shop.run()
    shop.clock.pass_(10)
    shop.writes("aliás, o verde", ago=120)
    assert [each.direction for each in shop.thread] == ["in", "in", "out"]
    shop.run_tasks()
    assert len(shop.said("claude")) == 2
    assert_asked_last(shop, "aliás, o verde")


def test_what_comes_between_claim_and_reading_is_not_answered_twice(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.writes("quanto custa o azul?")
    shop.clock.pass_(DEBOUNCE)
    ask = shop.answering.worker._ask

    def later(*args: Any, **more: Any) -> Answer:
        monkeypatch.setattr(shop.answering.worker, "_ask", ask)
        shop.clock.pass_(MAX_WAIT)
        run_together(lambda: shop.writes("aliás, o verde"))
        return ask(*args, **more)

    monkeypatch.setattr(shop.answering.worker, "_ask", later)
    shop.run()
    shop.run_tasks()
    asked = [request["messages"][-1]["content"][0]["text"] for request in shop.claude.requests]
    assert ["o azul?" in each for each in asked] == [True, False]
    assert ["o verde" in each for each in asked] == [False, True]


def test_claudes_answer_leaves_the_messages_unread(shop: Shop) -> None:
    shop.writes()
    shop.run_tasks()
    (row,) = shop.attendant().conversations()
    assert (row["unread_count"], row["owner"]) == (1, "claude")
    assert shop.graph.receipts == []


def test_customers_see_claude_typing_where_the_settings_want_it(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop(AUTO_REPLY_TYPING="true")
    shown: list[list[str]] = []

    def taken(body: dict[str, Any]) -> tuple[int, Any]:
        shown.append(list(shop.graph.typing))
        return accepted(body)

    shop.graph.answer = taken
    shop.writes("oi")
    last = shop.writes("quanto custa?")
    shop.run_tasks()
    assert shop.graph.typing == [last]
    assert shown == [[last]]  # before the answer, which ends it
    (row,) = shop.attendant().conversations()
    assert row["unread_count"] == 2  # of the team nobody has read


def test_an_answer_is_stored_when_typing_has_been_shown(
    open_shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is stored, whoever looks after the outboxes may send it."""
    shop = open_shop(AUTO_REPLY_TYPING="true")
    worker, order = shop.answering.worker, list[str]()
    commit = worker._commit

    class Typing:
        def join(self) -> None:
            order.append("typing")

    def committed(*args: Any) -> Any:
        order.append("answer")
        return commit(*args)

    monkeypatch.setattr(worker, "_start_typing", lambda _claim: Typing())
    monkeypatch.setattr(worker, "_commit", committed)
    shop.writes()
    shop.run_tasks()
    assert order == ["typing", "answer"]


@pytest.mark.parametrize("error", [RefusedError({"code": 131009}), UnreachableError()])
def test_who_cannot_be_shown_as_typing_answers_all_the_same(
    open_shop: Callable[..., Shop],
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = open_shop(AUTO_REPLY_TYPING="true")

    def refuse(*_args: Any, **_more: Any) -> None:
        raise error

    monkeypatch.setattr(WhatsAppClient, "mark_read", refuse)
    shop.writes()
    shop.run_tasks()
    assert len(shop.graph.texts()) == 1
    assert f"not shown as typing: {type(error).__name__}" in caplog.text


@pytest.mark.parametrize(("minutes", "asked"), [(5, True), (60, False), (60 * 24 * 3, False)])
def test_a_message_that_comes_late_is_for_people(shop: Shop, minutes: int, asked: bool) -> None:
    shop.writes("alô?", ago=minutes * 60)
    shop.run_tasks()
    assert bool(shop.said("claude")) is asked
    assert bool(shop.chat.needs_you) is not asked


def test_a_late_message_before_an_answer_changes_nothing(shop: Shop) -> None:
    shop.clock.pass_(0)
    shop.writes("primeira")
    shop.run_tasks()
    shop.clock.pass_(3 * 3600)
    shop.writes("chegou atrasada", ago=3 * 3600 + 60)
    assert (shop.chat.owner, shop.chat.needs_you, shop.chat.reply) == ("claude", False, None)


def test_the_same_webhook_call_again_asks_nothing(shop: Shop) -> None:
    from tests.chat.support import call, deliver, text_message

    data = call(text_message("wamid.same", "oi", shop.clock.ms // 1000))
    deliver(shop.app.test_client(), data)
    shop.run_tasks()
    shop.clock.pass_(60)
    deliver(shop.app.test_client(), data)
    assert (shop.queue.waiting, shop.chat.reply) == ([], None)


def test_groups_are_for_people(shop: Shop) -> None:
    shop.writes("oi, grupo", group_id="120363000000000001")
    assert (shop.chat.owner, shop.queue.waiting) == ("human", [])
    assert shop.owner("claude").status_code == 422


def test_reactions_and_notices_ask_nothing(shop: Shop) -> None:
    shop.writes("")
    shop.run_tasks()
    before = len(shop.claude.requests)
    shop.writes(type="reaction", text=None, reaction={"message_id": "wamid.q1", "emoji": "👍"})
    assert (shop.queue.waiting, len(shop.claude.requests)) == ([], before)


def test_who_answers_on_the_business_phone_has_the_chat(shop: Shop) -> None:
    shop.writes("alguém aí?")
    shop.clock.pass_(2)
    shop.echo()
    assert (shop.chat.owner, shop.chat.reply_due_at) == ("human", None)
    shop.run_tasks()
    assert shop.said("claude") == []
    assert shop.lines() == ["Celular da empresa assumiu a conversa"]
    shop.writes("obrigada!")
    assert shop.queue.waiting == []


def test_an_old_echo_takes_nothing_over(shop: Shop) -> None:
    shop.writes("oi")
    shop.clock.pass_(2)
    assert shop.owner("human").status_code == 200
    shop.clock.pass_(60)
    assert shop.owner("claude").status_code == 200
    shop.echo(ago=30)
    assert shop.chat.owner == "claude"


def test_outside_the_24_hours_people_are_needed(shop: Shop) -> None:
    shop.writes("oi")
    shop.clock.pass_(25 * 3600)
    shop.run_tasks()
    assert (shop.claude.requests, shop.said("claude")) == ([], []) or not shop.said("claude")
    assert shop.chat.needs_you
    assert "24 horas" in shop.chat.needs_you_reason


def test_a_task_that_is_early_by_another_clock_waits(shop: Shop) -> None:
    shop.writes()
    shop.clock.pass_(DEBOUNCE - 1)
    assert shop.run() is True  # `pause` moves the clock
    assert len(shop.said("claude")) == 1


def test_the_task_of_a_message_that_others_followed_waits_for_nobody(shop: Shop) -> None:
    shop.writes("oi")
    shop.clock.pass_(2)
    shop.writes("tudo bem?")
    shop.clock.pass_(DEBOUNCE - 2)
    began = shop.clock.ms
    assert shop.run() is False
    assert (shop.clock.ms, len(shop.claude.requests)) == (began, 0)  # `pause` moves the clock
    shop.run_tasks()
    assert len(shop.said("claude")) == 1


def test_a_task_that_is_far_too_early_leaves_it_to_its_own(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(AUTO_REPLY_DEBOUNCE_SECONDS=15)
    shop.writes()
    assert shop.run() is False
    assert shop.claude.requests == type(shop.claude.requests)()


def test_a_long_answer_is_sent_in_parts_in_their_order(shop: Shop) -> None:
    shop.claude.switches.set(answer="long")
    shop.writes("conte tudo")
    shop.run_tasks()
    sent = shop.graph.texts()
    assert len(sent) > 1
    assert all(len(text) <= 4096 for text in sent)
    assert shop.said("claude") == sent
    whole = "\n\n".join(sent)
    assert [whole.index(f"Parte {n}:") for n in range(1, 13)] == sorted(
        whole.index(f"Parte {n}:") for n in range(1, 13)
    )


def test_markdown_becomes_whatsapps_marks(shop: Shop) -> None:
    shop.claude.switches.set(text="## Preços\n\n**Azul**: R$ 10\n* veja [aqui](https://a.br/x)")
    shop.writes("preços?")
    shop.run_tasks()
    assert shop.said("claude") == ["*Preços*\n\n*Azul*: R$ 10\n- veja aqui: https://a.br/x"]


def test_without_a_key_chats_are_peoples_as_before(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(ANTHROPIC_API_KEY="")
    shop.writes()
    assert (shop.chat.owner, shop.chat.needs_you, shop.queue.waiting) == ("human", False, [])
    assert shop.lines() == []
    assert shop.owner("claude").get_json()["error"]["code"] == "claude_off"
    assert shop.attendant().get("/api/claude").get_json()["enabled"] is False


def test_new_chats_may_be_peoples(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(AUTO_REPLY_OWNER="human")
    shop.writes()
    assert (shop.chat.owner, shop.queue.waiting) == ("human", [])


def test_a_chat_in_which_workers_keep_dying_is_handed_over(shop: Shop) -> None:
    shop.writes()

    class KilledError(BaseException):
        pass

    def die(*_args: object) -> None:
        raise KilledError

    shop.answering.worker._api.ask = die  # type: ignore[assignment, method-assign]
    for _ in range(MAX_TRIES):
        shop.clock.pass_(600)
        with pytest.raises(KilledError):
            shop.run()
    shop.clock.pass_(600)
    shop.run()
    assert shop.chat.needs_you
    assert shop.chat.owner == "human"

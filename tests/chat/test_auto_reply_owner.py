"""Who has a chat: taking over, giving back, and when either happens by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chat.people import identity
from chat.platform import datastore
from chat.platform.settings import SettingsError
from main import create_app
from tests.chat.auto_reply_support import DEBOUNCE, MONDAY, Shop, while_claude_writes
from tests.chat.support import call, deliver, login, published, refused, text_message
from tests.helpers import SETTINGS

RETURNS = {"AUTO_REPLY_RETURN_AFTER_MINUTES": 30}
HOURS = {"AUTO_REPLY_OFFICE_HOURS": "seg-sex 08:00-18:00; sáb 09:00-13:00"}


@pytest.mark.parametrize("by", ["click", "answer", "phone"])
def test_a_take_over_while_claude_writes_cancels_its_answer(shop: Shop, by: str) -> None:
    shop.writes("quanto custa?")
    shop.clock.pass_(DEBOUNCE)
    shop.attendant()
    take = {
        "click": lambda: shop.owner("human"),
        "answer": shop.answers_by_hand,
        "phone": lambda: shop.echo("custa 10"),
    }[by]
    with while_claude_writes(shop, take):
        shop.run()
    assert shop.said("claude") == []
    assert (shop.chat.owner, shop.chat.needs_you, shop.chat.reply) == ("human", False, None)
    shop.run_tasks()
    assert shop.sweep() == 0
    assert shop.said("claude") == []
    who = {"click": "Ana", "answer": "Ana", "phone": "Celular da empresa"}[by]
    assert shop.lines() == [f"{who} assumiu a conversa"]


def test_who_takes_over_and_gives_back_while_claude_writes_gets_one_answer(shop: Shop) -> None:
    shop.writes("quanto custa?")
    shop.clock.pass_(DEBOUNCE)

    def there_and_back() -> None:
        assert shop.owner("human").status_code == 200
        assert shop.owner("claude").status_code == 200

    with while_claude_writes(shop, there_and_back):
        shop.run()
    assert shop.said("claude") == []
    shop.run_tasks()
    assert len(shop.said("claude")) == 1


def test_answering_by_hand_takes_over_and_says_so_above_the_answer(shop: Shop) -> None:
    shop.writes()
    shop.run_tasks()
    shop.answers_by_hand("Oi, aqui é a Ana")
    assert [m.text for m in shop.thread][-2:] == ["Ana assumiu a conversa", "Oi, aqui é a Ana"]
    (row,) = shop.attendant().conversations()
    assert (row["owner"], row["unread_count"]) == ("human", 0)
    assert row["last_message"]["text"] == "Oi, aqui é a Ana"
    shop.writes("e agora?")
    assert shop.queue.waiting == []
    shop.answers_by_hand("Mais uma")
    assert shop.lines() == ["Ana assumiu a conversa"]


def test_claudes_answer_is_shown_to_who_had_not_seen_it(shop: Shop) -> None:
    question = shop.writes("quanto custa?")
    shop.run_tasks()
    (answer,) = [each for each in shop.thread if each.author_kind == "claude"]
    body = {"client_id": "00000000-0000-4000-8000-000000000000", "text": "custa 10"}
    path = f"/api/conversations/{shop.chat.id}/messages"
    refusal = shop.attendant().post(path, {**body, "after": question})
    assert refusal.status_code == 409
    assert refusal.get_json()["error"]["collision"]["id"] == answer.id
    assert shop.chat.owner == "claude"  # who did not send has not taken it either
    assert shop.attendant().post(path, {**body, "after": answer.id}).status_code == 201


def test_trying_again_by_hand_while_claude_writes_cancels_its_answer(shop: Shop) -> None:
    shop.writes()
    shop.graph.answer = lambda _body: refused(131026)
    shop.answers_by_hand("custa 10")
    shop.graph.answer = None
    shop.owner("claude")
    shop.writes("quanto custa?")
    shop.clock.pass_(DEBOUNCE)
    (failed,) = [each for each in shop.thread if each.direction == "out"]
    with while_claude_writes(shop, lambda: shop.tries_again(failed)):
        shop.run()
    shop.run_tasks()
    assert (shop.said("claude"), shop.said("attendant")) == ([], ["custa 10", "custa 10"])
    assert (shop.chat.owner, shop.chat.reply) == ("human", None)
    assert [m.text for m in shop.thread][-2:] == ["Ana assumiu a conversa", "custa 10"]


def test_who_tries_again_what_claude_could_not_send_is_the_one_who_was_needed(shop: Shop) -> None:
    shop.writes()
    shop.graph.answer = lambda _body: refused(131026)
    shop.run_tasks()
    assert shop.chat.needs_you
    shop.graph.answer = None
    (failed,) = [each for each in shop.thread if each.direction == "out"]
    shop.tries_again(failed)
    assert (shop.chat.owner, shop.chat.needs_you) == ("human", False)
    assert shop.lines()[-1] == "Ana assumiu a conversa"


@pytest.mark.parametrize("seconds", [1, 50])
def test_who_answers_by_a_clock_behind_metas_has_the_chat(shop: Shop, seconds: int) -> None:
    shop.writes(ago=-seconds)
    assert shop.chat.owner_at <= shop.clock.ms
    shop.answers_by_hand()
    assert (shop.chat.owner, shop.chat.reply) == ("human", None)


def test_who_answers_by_a_clock_behind_another_servers_has_the_chat(shop: Shop) -> None:
    shop.writes()
    shop.owner("human")
    shop.owner("claude")
    shop.clock.pass_(-2)
    shop.answers_by_hand()
    assert (shop.chat.owner, shop.chat.reply) == ("human", None)


def test_giving_back_has_claude_answer_what_nobody_did(shop: Shop) -> None:
    shop.writes()
    shop.owner("human")
    shop.writes("alguém?")
    response = shop.owner("claude", "bruno")
    assert response.get_json()["conversation"]["owner"] == "claude"
    shop.run_tasks()
    assert len(shop.said("claude")) == 1
    assert shop.lines()[-1] == "Bruno passou a conversa ao Claude"


def test_giving_back_what_is_answered_asks_nothing(shop: Shop) -> None:
    shop.writes()
    shop.answers_by_hand()
    shop.owner("claude")
    assert (shop.chat.owner, shop.queue.waiting[1:], shop.chat.reply) == ("claude", [], None)


def test_saying_the_same_again_changes_nothing(shop: Shop) -> None:
    shop.writes()
    shop.owner("human")
    version, lines = shop.chat.version, shop.lines()
    assert shop.owner("human").status_code == 200
    assert (shop.chat.version, shop.lines()) == (version, lines)


@pytest.mark.parametrize("body", [{}, {"owner": "ana"}, {"owner": None}, {"owner": ["claude"]}])
def test_an_owner_that_cannot_be_is_refused(shop: Shop, body: dict[str, Any]) -> None:
    shop.writes()
    path = f"/api/conversations/{shop.chat.id}/owner"
    response = shop.attendant().post(path, body)
    assert (response.status_code, response.get_json()["error"]["field"]) == (422, "owner")


def test_an_unknown_conversation_has_no_owner(shop: Shop) -> None:
    for what in ("owner", "suggestion"):
        path = f"/api/conversations/nobody/{what}"
        assert shop.attendant().post(path, {"owner": "claude"}).status_code == 404


def test_a_hand_over_needs_somebody_until_somebody_comes(shop: Shop) -> None:
    shop.writes("quero falar com um atendente")
    shop.run_tasks()
    (row,) = shop.attendant().conversations()
    assert (row["owner"], row["needs_you"]) == ("human", True)
    assert row["needs_you_reason"] == "o cliente pediu uma pessoa"
    assert shop.lines() == ["Claude passou a conversa: o cliente pediu uma pessoa"]
    # What Claude said to the customer stands above it.
    assert [m.text for m in shop.thread][-2:] == [shop.said("claude")[0], shop.lines()[0]]
    needing = shop.attendant().get("/api/claude").get_json()["needs_you"]
    assert needing == {"count": 1, "more": False, "ids": [shop.chat.id]}
    path = "/api/conversations?filter=needs_you"
    assert len(shop.attendant().get(path).get_json()["conversations"]) == 1
    shop.owner("human")
    assert shop.attendant().get(path).get_json()["conversations"] == []
    assert shop.lines()[-1] == "Ana assumiu a conversa"


def test_customers_messages_leave_a_handed_over_chat_with_people(shop: Shop) -> None:
    shop.writes("quero falar com um atendente")
    shop.run_tasks()
    shop.writes("alô?")
    assert (shop.chat.needs_you, shop.queue.waiting) == (True, [])


# --- by itself ------------------------------------------------------------------------------------


def test_after_a_quiet_time_claude_has_the_chat_back(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(**RETURNS)
    shop.writes()
    shop.answers_by_hand()
    shop.queue.waiting.clear()
    shop.clock.pass_(5 * 60)
    shop.writes("e a cor?")
    assert shop.queue.waiting == [(shop.clock.ms + 25 * 60_000, shop.chat.id)]
    assert shop.chat.owner == "human"
    shop.run_tasks()
    assert (shop.chat.owner, len(shop.said("claude"))) == ("claude", 1)
    assert shop.lines()[-1].startswith("Claude voltou a responder")


def test_who_answers_in_the_quiet_time_keeps_the_chat(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(**RETURNS)
    shop.writes()
    shop.answers_by_hand()
    shop.clock.pass_(5 * 60)
    shop.writes("e a cor?")
    shop.clock.pass_(20 * 60)
    shop.answers_by_hand("azul")
    shop.run_tasks()
    assert (shop.chat.owner, shop.said("claude"), shop.chat.reply_due_at) == ("human", [], None)


def test_what_claude_handed_over_never_comes_back_by_itself(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(**RETURNS, **HOURS)
    shop.writes("quero um atendente")
    shop.run_tasks()
    said = shop.said("claude")
    shop.clock.pass_(12 * 3600)
    shop.writes("alô?")
    shop.run_tasks()
    assert (shop.chat.owner, shop.said("claude")) == ("human", said)


@pytest.mark.parametrize(("hours_later", "owner"), [(2, "human"), (9, "claude"), (24, "human")])
def test_outside_office_hours_claude_answers(
    open_shop: Callable[..., Shop], hours_later: int, owner: str
) -> None:
    shop = open_shop(**HOURS)
    shop.writes()
    shop.answers_by_hand()
    shop.clock.pass_(hours_later * 3600)
    shop.writes("ainda aí?")
    shop.run_tasks()
    assert shop.chat.owner == owner
    assert bool(shop.said("claude")) is (owner == "claude")


def test_who_answered_a_moment_ago_keeps_the_chat_after_hours(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop(**HOURS)
    shop.clock.pass_(8 * 3600 - 120)  # 17:58
    shop.writes()
    shop.answers_by_hand()
    shop.clock.pass_(10 * 60)
    shop.writes("obrigada")
    assert shop.chat.owner == "human"


# --- one person's two chats -----------------------------------------------------------------------


def test_chats_that_become_one_are_peoples_if_one_was(shop: Shop) -> None:
    app = shop.app
    at = shop.clock.ms // 1000
    deliver(app.test_client(), call(text_message("p", "do número", at)))
    first = shop.chat.id
    shop.owner("human")
    alone = {"from": None, "from_user_id": "BR.1"}
    deliver(app.test_client(), call(text_message("b", "sem número", at + 1, **alone)))
    both = {"from_user_id": "BR.1"}
    deliver(app.test_client(), call(text_message("pb", "os dois", at + 2, **both)))
    assert (shop.chat.id, shop.chat.owner) == (first, "human")
    # Claude had been asked in one of them: nobody would have noticed.
    assert shop.chat.needs_you
    reason = "a conversa foi unida a outra, que é de atendentes"
    assert shop.lines() == ["Ana assumiu a conversa", f"Claude passou a conversa: {reason}"]
    assert shop.lines()[-1] in [each["text"] for each in shop.attendant().thread(first)]
    shop.run_tasks()
    assert shop.said("claude") == []


def two_chats(shop: Shop) -> Callable[[], None]:
    """The customer writes with the number, and as somebody of whom only a BSUID is known; what
    makes the two chats one without asking anything.
    """
    client, at = shop.app.test_client(), shop.clock.ms // 1000
    deliver(client, call(text_message("p", "do número", at)))
    deliver(
        client, call(text_message("b", "sem número", at, **{"from": None}, from_user_id="BR.1"))
    )
    reaction = {"message_id": "p", "emoji": "👍"}
    both = text_message("r", at=at, type="reaction", reaction=reaction, from_user_id="BR.1")

    def merge() -> None:
        deliver(client, call({**both, "text": None}))
        assert shop.chat.absorbed

    return merge


def test_chats_that_become_one_while_claude_writes_are_answered_at_once(shop: Shop) -> None:
    merge = two_chats(shop)
    shop.clock.pass_(DEBOUNCE)
    first, second = (task[1] for task in shop.queue.waiting)
    shop.run(first)
    with while_claude_writes(shop, merge):
        shop.run(second)
    assert (len(shop.said("claude")), shop.chat.reply_due_at) == (1, shop.clock.ms)
    shop.run_tasks()
    assert len(shop.said("claude")) == 2


def test_chats_of_people_that_become_one_still_come_back_to_claude(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop(AUTO_REPLY_OWNER="human", **RETURNS)
    two_chats(shop)()
    assert shop.chat.owner == "human"
    shop.run_tasks()
    assert (shop.chat.owner, len(shop.said("claude"))) == ("claude", 1)


def test_chats_that_become_one_get_one_answer(shop: Shop) -> None:
    at = shop.clock.ms // 1000
    alone = {"from": None, "from_user_id": "BR.1"}
    client = shop.app.test_client()
    deliver(client, call(text_message("p", "do número", at)))
    deliver(client, call(text_message("b", "sem número", at, **alone)))
    shop.clock.pass_(DEBOUNCE)
    with shop.app.app_context(), datastore.context():
        ids = [task[1] for task in shop.queue.waiting]

    def merges() -> None:
        both = {"from_user_id": "BR.1"}
        deliver(client, call(text_message("pb", "os dois", at + DEBOUNCE, **both)))

    with while_claude_writes(shop, merges):
        shop.run(ids[0])
    shop.run_tasks()
    assert len(shop.said("claude")) == 1
    with shop.app.app_context(), datastore.context():
        assert identity.load_conversation(ids[1]) is not None


# --- suggestions ----------------------------------------------------------------------------------


def test_a_suggestion_is_written_and_not_sent(shop: Shop) -> None:
    shop.writes("qual o horário?")
    shop.owner("human")
    path = f"/api/conversations/{shop.chat.id}/suggestion"
    response = shop.attendant().post(path, {})
    assert response.get_json() == {
        "suggestion": {"text": "Atendemos de segunda a sexta, das 8h às 18h."}
    }
    assert (shop.graph.texts(), shop.said("claude"), shop.chat.owner) == ([], [], "human")
    (request,) = shop.claude.requests
    assert "tools" not in request
    shop.claude.switches.set(fail="overloaded")
    response = shop.attendant().post(path, {})
    assert (response.status_code, response.get_json()["error"]["code"]) == (503, "no_suggestion")


# --- the settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("AUTO_REPLY_OWNER", "nobody"),
        ("AUTO_REPLY_DEBOUNCE_SECONDS", "soon"),
        ("AUTO_REPLY_MAX_WAIT_SECONDS", "1"),
        ("AUTO_REPLY_MAX_TOKENS", "10.5"),
        ("AUTO_REPLY_TEMPERATURE", "2"),
        ("AUTO_REPLY_EFFORT", "some"),
        ("AUTO_REPLY_BADGES", "three"),
        ("AUTO_REPLY_OFFICE_HOURS", "seg-sex 18:00-08:00"),
        ("AUTO_REPLY_OFFICE_HOURS", "always"),
        ("AUTO_REPLY_SYSTEM_PROMPT_FILE", "/nowhere/at/all"),
        ("AUTO_REPLY_QUEUE", "auto-reply"),
        ("AUTO_REPLY_TYPING", "maybe"),
        ("AUTO_REPLY_PRICES", "1/2"),
        ("ANTHROPIC_BASE_URL", "localhost"),
        ("ANTHROPIC_API_KEY", "..."),
    ],
)
def test_a_setting_that_cannot_work_is_told_at_start(key: str, value: str) -> None:
    with pytest.raises(SettingsError, match=key):
        create_app({**SETTINGS, "TESTING": True, key: value})


def test_monday_is_monday() -> None:
    from chat.auto_reply.settings import AutoReplySettings

    hours = AutoReplySettings.from_env(HOURS).office_hours
    assert hours is not None
    assert hours.open_at(MONDAY)
    assert not hours.open_at(MONDAY - 3 * 3600_000)
    assert not hours.open_at(MONDAY - 24 * 3600_000)
    assert hours.open_at(MONDAY - 47 * 3600_000)  # Saturday, 11:00


def test_every_change_of_owner_is_told(shop: Shop) -> None:
    shop.writes()
    login(shop.app, "bruno")
    shop.owner("human")
    told = [event for event in published("conversation.updated") if '"human"' in event.data]
    assert told
    assert told[-1].version == shop.chat.version

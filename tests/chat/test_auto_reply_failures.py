"""Whatever fails between a question and its answer: it ends answered once, or handed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions as api_exceptions

import realtime_events
from chat.auto_reply import usage
from chat.auto_reply import worker as worker_module
from chat.auto_reply.policy import MAX_TRIES
from chat.auto_reply.usage import ClaudeCalls, ClaudeUsage
from chat.outgoing import failed_answers
from chat.platform.datastore import StoreUnavailableError
from tests.chat.auto_reply_support import DEBOUNCE, MAX_WAIT, Shop, while_claude_writes
from tests.chat.support import call, deliver, refused, run_together, stored
from tests.helpers import SETTINGS

ANSWER = "A resposta"
CRON = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}


class KilledError(BaseException):
    """The process is gone: nothing of its own runs after this."""


def die(*_args: Any, **_named: Any) -> Any:
    raise KilledError


def ask(shop: Shop) -> None:
    shop.claude.switches.set(text=ANSWER)
    shop.writes("quanto custa?")
    shop.clock.pass_(DEBOUNCE)


def commit_twice(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store takes a commit, and the news of that is lost."""
    worker = shop.answering.worker
    commit = worker._surely

    def twice(record: Callable[[], Any]) -> Any:
        commit(record)
        return commit(record)

    monkeypatch.setattr(worker, "_surely", twice)


def run_until_killed(shop: Shop, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(shop.answering.worker, step, die)
        with pytest.raises(KilledError):
            shop.run()


def look_for_what_is_left(shop: Shop) -> int:
    """As the cron job does for the outboxes; how many it began."""
    answer = shop.app.test_client().get("/tasks/outbox", headers=CRON)
    done: int = answer.get_json()["done"]
    return done


def assert_answered_once(shop: Shop) -> None:
    assert shop.said("claude") == shop.graph.texts() == [ANSWER]
    assert (shop.chat.owner, shop.chat.reply, shop.chat.reply_due_at) == ("claude", None, None)


def assert_handed_over(shop: Shop, reason: str) -> None:
    chat = shop.chat
    assert (chat.owner, chat.needs_you, chat.reply, chat.reply_due_at) == (
        "human",
        True,
        None,
        None,
    )
    assert reason in chat.needs_you_reason
    assert shop.lines() == [f"Claude passou a conversa: {chat.needs_you_reason}"]
    (row,) = shop.attendant().conversations()
    assert row["unread_count"] > 0


# --- the Messages API ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    ["rate_limit", "overloaded", "server_error", "hang_up", "not_json", "no_message"],
)
def test_what_passes_is_tried_again(shop: Shop, fault: str) -> None:
    ask(shop)
    shop.claude.switches.set(fail=fault, fail_times=2)
    shop.run_tasks()
    assert len(shop.claude.requests) == 3
    assert_answered_once(shop)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("rate_limit", "limite de uso"),
        ("overloaded", "sobrecarregado"),
        ("server_error", "não pôde responder"),
        ("hang_up", "não pôde ser alcançado"),
        ("not_json", "não pôde responder"),
    ],
)
def test_what_does_not_pass_in_time_is_for_people(shop: Shop, fault: str, reason: str) -> None:
    ask(shop)
    asked = shop.clock.ms
    shop.claude.switches.set(fail=fault)
    shop.run_tasks()
    assert_handed_over(shop, reason)
    assert shop.graph.texts() == []
    assert shop.clock.ms - asked <= shop.answering.settings.give_up_seconds * 1000
    assert len(shop.claude.requests) > 2


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("bad_key", "chave"),
        ("no_credit", "crédito"),
        ("spend_limit", "crédito"),
        ("unknown_model", "modelo"),
        ("bad_request", "não pôde responder"),
        ("too_large", "longa demais"),
    ],
)
def test_what_another_try_cannot_mend_is_for_people_at_once(
    shop: Shop, fault: str, reason: str
) -> None:
    ask(shop)
    shop.claude.switches.set(fail=fault)
    shop.run_tasks()
    assert len(shop.claude.requests) == 1
    assert_handed_over(shop, reason)


def test_as_long_as_the_api_asks_for_is_waited(shop: Shop) -> None:
    ask(shop)
    shop.claude.switches.set(fail="rate_limit", fail_times=1, retry_after=40)
    shop.run()
    assert shop.chat.reply_due_at == shop.clock.ms + 40_000
    assert shop.chat.live_json()["replying_since"] is None
    shop.run_tasks()
    assert_answered_once(shop)


def test_a_slow_answer_runs_out_of_time(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(AUTO_REPLY_TIMEOUT_SECONDS=1, AUTO_REPLY_GIVE_UP_SECONDS=1)
    ask(shop)
    shop.claude.switches.set(slow_ms=30_000)
    shop.run_tasks()
    assert_handed_over(shop, "demorou")


def test_a_refusal_is_for_people(shop: Shop) -> None:
    ask(shop)
    shop.claude.switches.set(answer="refuse")
    shop.run_tasks()
    assert_handed_over(shop, "não quis")
    assert shop.said("claude") == []


def test_an_empty_answer_is_for_people(shop: Shop) -> None:
    ask(shop)
    shop.claude.switches.set(answer="empty")
    shop.run_tasks()
    assert_handed_over(shop, "não escreveu")


def test_of_a_cut_answer_the_whole_part_is_sent_and_people_go_on(shop: Shop) -> None:
    ask(shop)
    shop.claude.switches.set(answer="cut")
    shop.run_tasks()
    assert shop.said("claude") == shop.graph.texts() == ["A entrega leva de 2 a 5 dias úteis."]
    assert_handed_over(shop, "cortada")


def test_a_silent_hand_over_sends_nothing(shop: Shop) -> None:
    ask(shop)
    shop.claude.switches.set(answer="hand_over_silently")
    shop.run_tasks()
    assert shop.graph.texts() == []
    assert_handed_over(shop, "não sei responder")


def test_a_key_that_was_taken_away_is_told_to_people(open_shop: Callable[..., Shop]) -> None:
    ask(open_shop())
    shop = open_shop(ANTHROPIC_API_KEY="")
    shop.run()
    assert_handed_over(shop, "desligada")
    shop.owner("human")
    with_key = open_shop()
    with_key.owner("claude")
    without = open_shop(ANTHROPIC_API_KEY="")
    without.writes("alô?")
    assert without.chat.needs_you
    assert without.chat.owner == "human"


def test_a_chat_over_its_budget_is_for_people_until_tomorrow(
    open_shop: Callable[..., Shop],
) -> None:
    shop = open_shop(AUTO_REPLY_DAILY_BUDGET=100)
    ask(shop)
    shop.run_tasks()
    assert_answered_once(shop)
    shop.writes("e o verde?")
    shop.run_tasks()
    assert_handed_over(shop, "limite de uso do dia")
    assert len(shop.claude.requests) == 1
    shop.clock.pass_(24 * 3600)
    shop.owner("claude")
    shop.writes("bom dia")
    shop.run_tasks()
    assert len(shop.said("claude")) == 2


# --- WhatsApp -------------------------------------------------------------------------------------


def test_an_answer_that_whatsapp_refuses_is_for_people(shop: Shop) -> None:
    ask(shop)
    shop.graph.answer = lambda _body: refused(131026)
    shop.run_tasks()
    assert stored_answers(shop)[0].status == "failed"
    assert_handed_over(shop, "WhatsApp")


def failed_status(message: Any, at_ms: int) -> dict[str, Any]:
    status = {"id": f"wamid.out.{message.id}", "status": "failed", "errors": [{"code": 131047}]}
    return status | {"timestamp": str(at_ms // 1000)}


@pytest.mark.parametrize("named_by", ["biz_opaque_callback_data", "id"])
def test_an_answer_that_fails_after_all_is_for_people(shop: Shop, named_by: str) -> None:
    ask(shop)
    shop.run_tasks()
    (answer,) = stored_answers(shop)
    status = failed_status(answer, shop.clock.ms)
    if named_by != "id":
        status |= {named_by: answer.id}
    for _ in range(2):
        deliver(shop.app.test_client(), call(statuses=[status]))
    assert_handed_over(shop, "WhatsApp")


def test_a_failure_that_is_told_again_takes_no_chat_from_claude_that_was_given_back(
    shop: Shop,
) -> None:
    ask(shop)
    shop.run_tasks()
    (answer,) = stored_answers(shop)
    status = failed_status(answer, shop.clock.ms)
    deliver(shop.app.test_client(), call(statuses=[status]))
    assert shop.chat.needs_you
    shop.clock.pass_(60)
    shop.owner("human")
    shop.owner("claude")
    deliver(shop.app.test_client(), call(statuses=[status]))
    assert (shop.chat.owner, shop.chat.needs_you) == ("claude", False)


def test_of_many_failures_only_claudes_are_looked_at_one_by_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop)
    shop.run_tasks()
    shop.answers_by_hand()
    ours = [each for each in shop.thread if each.direction == "out"]
    assert len(ours) == 2
    looked_at: list[str] = []
    monkeypatch.setattr(failed_answers, "hand_over", looked_at.append)
    statuses = [failed_status(each, shop.clock.ms) for each in ours]
    deliver(shop.app.test_client(), call(statuses=statuses))
    assert looked_at == [stored_answers(shop)[0].id]


def test_an_answer_of_which_nobody_knows_whether_it_came_is_for_people(shop: Shop) -> None:
    ask(shop)
    shop.graph.answer = lambda _body: None  # hangs up
    shop.run_tasks()
    assert stored_answers(shop)[0].status == "sending"
    assert_handed_over(shop, "não se sabe")


def test_a_process_killed_while_it_sends_leaves_its_answer_to_people(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop)

    def end(*_args: Any) -> None:
        raise StoreUnavailableError("as far as the store can tell")

    with monkeypatch.context() as patched:
        patched.setattr(shop.app.extensions["chat_sender"], "_send", end)
        shop.run_tasks()
    assert (shop.chat.owner, shop.graph.texts()) == ("claude", [])
    shop.clock.pass_(300)
    look_for_what_is_left(shop)
    assert_handed_over(shop, "não se sabe")
    assert shop.graph.texts() == []  # it may have been sent: not once more


def test_a_person_whose_message_fails_keeps_the_chat(shop: Shop) -> None:
    ask(shop)
    shop.graph.answer = lambda _body: refused(131026)
    shop.answers_by_hand()
    assert (shop.chat.owner, shop.chat.needs_you) == ("human", False)


# --- the queue, the store, and the process --------------------------------------------------------


def test_a_queue_that_is_down_after_the_commit_loses_nothing(shop: Shop) -> None:
    shop.queue.fails = True
    ask(shop)
    shop.clock.pass_(60)
    assert shop.sweep() == 1
    assert_answered_once(shop)
    assert shop.sweep() == 0


def test_a_task_that_runs_twice_answers_once(shop: Shop) -> None:
    ask(shop)
    shop.run()
    assert shop.run() is False
    assert_answered_once(shop)


def test_what_a_suggestion_cost_may_be_lost_and_the_suggestion_not(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop)
    path = f"/api/conversations/{shop.chat.id}/suggestion"
    ana = shop.attendant()
    down = StoreUnavailableError("down")
    monkeypatch.setattr(realtime_events, "transaction", failing(99, down))
    response = ana.post(path, {})
    assert (response.status_code, response.get_json()) == (200, {"suggestion": {"text": ANSWER}})


def test_without_a_budget_nobody_asks_what_was_used(
    open_shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = open_shop(AUTO_REPLY_DAILY_BUDGET=0)
    monkeypatch.setattr(usage, "used_tokens", die)
    ask(shop)
    shop.run()
    assert_answered_once(shop)


def test_who_interrupts_again_and_again_is_answered(open_shop: Callable[..., Shop]) -> None:
    shop = open_shop(AUTO_REPLY_DEBOUNCE_SECONDS=0)
    ask(shop)
    for _ in range(MAX_TRIES + 1):
        with while_claude_writes(shop, lambda: shop.writes("aliás")):
            shop.run()
    assert (shop.said("claude"), shop.chat.reply["tries"]) == ([], 1)
    shop.run()
    assert_answered_once(shop)


def test_two_tasks_at_the_same_time_answer_once(shop: Shop) -> None:
    ask(shop)
    chat = shop.chat.id
    run_together(*(lambda: shop.run(chat) for _ in range(4)))
    assert_answered_once(shop)
    assert len(shop.claude.requests) == 1


def test_a_process_killed_before_the_queue_knows_loses_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop.queue, "put", die)
    with pytest.raises(KilledError):
        ask(shop)
    shop.claude.switches.set(text=ANSWER)
    shop.clock.pass_(60)
    assert shop.sweep() == 1
    assert_answered_once(shop)


@pytest.mark.parametrize("step", ["_ask", "_commit"])
def test_a_worker_killed_before_its_answer_is_stored_is_followed_by_another(
    shop: Shop, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`_ask`: before Claude is asked. `_commit`: Claude has answered, and nobody knows."""
    ask(shop)
    run_until_killed(shop, step, monkeypatch)
    shop.clock.pass_(30)
    assert shop.sweep() == 0  # it might be at it still
    shop.clock.pass_(120)
    assert shop.sweep() == 1
    assert_answered_once(shop)


def test_a_worker_killed_between_storing_and_sending_leaves_it_to_the_outbox(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop)
    run_until_killed(shop, "_start_sending", monkeypatch)
    assert (shop.said("claude"), shop.graph.texts()) == ([ANSWER], [])
    shop.clock.pass_(300)
    assert shop.sweep() == 0
    assert look_for_what_is_left(shop) == 1
    assert_answered_once(shop)


def test_after_sending_nothing_is_left_to_do(shop: Shop) -> None:
    ask(shop)
    shop.run()
    shop.clock.pass_(3600)
    assert shop.sweep() == 0
    assert_answered_once(shop)


def failing(times: int, error: Exception) -> Callable[..., Any]:
    """`realtime_events.transaction`, which fails so many times first."""
    real, left = realtime_events.transaction, [times]

    def transaction(callback: Callable[[], Any], **options: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return real(callback, **options)

    return transaction


def test_a_store_that_is_down_for_a_moment_gets_the_answer_all_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop)
    api, down = shop.answering.worker._api, StoreUnavailableError("down")
    real = api.ask

    def then_the_store_goes(*args: Any) -> Any:
        answer = real(*args)
        monkeypatch.setattr(worker_module.realtime_events, "transaction", failing(3, down))
        return answer

    monkeypatch.setattr(api, "ask", then_the_store_goes)
    shop.run()
    assert [message.text for message in stored_answers(shop)] == [ANSWER]
    assert len(shop.claude.requests) == 1


def stored_answers(shop: Shop) -> list[Any]:
    return [message for message in shop.thread if message.author_kind == "claude"]


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("down"), api_exceptions.ServiceUnavailable("down")]
)
def test_a_store_that_stays_down_has_the_question_asked_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    ask(shop)
    api = shop.answering.worker._api
    real_ask, real_transaction = api.ask, realtime_events.transaction

    def then_the_store_goes(*args: Any) -> Any:
        answer = real_ask(*args)
        monkeypatch.setattr(realtime_events, "transaction", failing(99, error))
        return answer

    monkeypatch.setattr(api, "ask", then_the_store_goes)
    with pytest.raises(type(error)):
        shop.run()
    monkeypatch.setattr(realtime_events, "transaction", real_transaction)
    monkeypatch.setattr(api, "ask", real_ask)
    assert shop.said("claude") == []
    shop.clock.pass_(200)
    assert shop.sweep() == 1
    assert_answered_once(shop)


def test_a_commit_of_which_nobody_knows_is_one_answer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop)
    commit_twice(shop, monkeypatch)
    shop.run()
    assert_answered_once(shop)  # and sent at once
    shop.clock.pass_(300)
    look_for_what_is_left(shop)
    assert_answered_once(shop)
    (day,), (listed,) = stored(ClaudeUsage), stored(ClaudeCalls)
    assert [call["kind"] for call in listed.calls] == ["answer"]
    assert (day.totals["calls"], day.totals["answers"]) == (1, 1)


def test_a_commit_of_which_nobody_knows_still_asks_what_came_late(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop)

    def much_later() -> None:
        shop.clock.pass_(MAX_WAIT)
        shop.writes("aliás, o verde")

    commit_twice(shop, monkeypatch)
    with while_claude_writes(shop, much_later):
        shop.run()
    assert (shop.chat.reply_due_at, shop.chat.id) in shop.queue.waiting


def test_an_answer_to_what_another_worker_has_answered_costs_all_the_same(shop: Shop) -> None:
    """Its lease ran out while it waited for Claude."""
    ask(shop)

    def another() -> None:
        shop.clock.pass_(300)
        assert shop.run() is True

    with while_claude_writes(shop, another):
        shop.run()
    assert_answered_once(shop)
    (listed,) = stored(ClaudeCalls)
    assert [call["kind"] for call in listed.calls] == ["answer", "discarded"]


def test_a_claim_on_a_store_that_is_down_is_for_the_queue_to_repeat(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(shop)
    with monkeypatch.context() as patched:
        patched.setattr(
            worker_module.realtime_events, "transaction", failing(99, StoreUnavailableError("x"))
        )
        body = {"conversation_id": shop.chat.id}
        client = shop.app.test_client()
        assert client.post("/tasks/reply", json=body, headers=CRON).status_code == 503
    assert client.post("/tasks/reply", json=body, headers=CRON).get_json() == {"done": True}
    assert_answered_once(shop)


# --- what it cost ---------------------------------------------------------------------------------


def test_what_answers_cost_is_kept(shop: Shop) -> None:
    ask(shop)
    shop.claude.switches.set(fail="overloaded", fail_times=1)
    shop.run_tasks()
    (day,), (listed,) = stored(ClaudeUsage), stored(ClaudeCalls)
    assert [call["kind"] for call in listed.calls] == ["failed", "answer"]
    assert listed.calls[0]["reason"] == "overloaded"
    answer = listed.calls[1]
    assert answer["message_id"] == stored_answers(shop)[0].id
    assert answer["input"] > 0
    assert answer["cost"] > 0
    assert day.tokens == sum(answer[k] for k in ("input", "output", "cache_read", "cache_write"))
    assert (day.totals["calls"], day.totals["answers"], day.day) == (2, 1, "2025-11-03")


def test_an_answer_nobody_wanted_any_more_costs_all_the_same(shop: Shop) -> None:
    ask(shop)
    shop.attendant()
    with while_claude_writes(shop, lambda: shop.owner("human")):
        shop.run()
    (day,), (listed,) = stored(ClaudeUsage), stored(ClaudeCalls)
    assert [call["kind"] for call in listed.calls] == ["discarded"]
    assert day.tokens > 0

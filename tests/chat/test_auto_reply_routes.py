"""Who may have Claude answer, how questions wait for it, and what administrators see of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from google.api_core import exceptions as api_exceptions
from google.cloud import tasks_v2

from chat.auto_reply import usage
from chat.auto_reply.messages_api import Used
from chat.auto_reply.settings import AutoReplySettings
from chat.conversation.models import Conversation
from chat.platform import datastore
from chat.platform.queue import CloudTasksQueue, ThreadQueue
from main import create_app
from tests.chat.auto_reply_support import DEBOUNCE, Shop
from tests.chat.support import login, stored
from tests.helpers import ON_APP_ENGINE, SETTINGS

SECRET = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
QUEUE = {"AUTO_REPLY_QUEUE": "southamerica-east1/auto-reply", **ON_APP_ENGINE}


# --- the routes of queue and cron -----------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Cron-Secret": "guess"}, {"X-AppEngine-QueueName": "auto-reply"}],
    ids=["nothing", "guess", "queue"],
)
@pytest.mark.parametrize(
    "path", ["/tasks/reply", "/tasks/replies", "/tasks/media", "/tasks/media/fetch"]
)
def test_strangers_have_nobody_answer(client: FlaskClient, path: str, headers: Any) -> None:
    assert client.post(path, json={"conversation_id": "x"}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-AppEngine-QueueName": "auto-reply"}, 200),
        ({"X-AppEngine-QueueName": "another"}, 403),
        ({"X-Appengine-Cron": "true"}, 403),
        (SECRET, 403),
    ],
)
def test_on_app_engine_only_the_queue_of_the_settings_counts(
    app: Flask, headers: Any, status: int
) -> None:
    client = create_app({**SETTINGS, **QUEUE, "TESTING": True}).test_client()
    body = {"conversation_id": "nobody"}
    assert client.post("/tasks/reply", json=body, headers=headers).status_code == status


def test_without_a_queue_no_name_of_one_counts(app: Flask) -> None:
    client = create_app({**SETTINGS, **ON_APP_ENGINE, "TESTING": True}).test_client()
    for name in ("", "auto-reply"):
        headers = {"X-AppEngine-QueueName": name}
        assert client.post("/tasks/reply", json={}, headers=headers).status_code == 403


@pytest.mark.parametrize("body", [{}, [], {"conversation_id": 5}, {"conversation_id": "__x__"}])
def test_a_task_that_names_nobody_is_done(client: FlaskClient, body: Any) -> None:
    response = client.post("/tasks/reply", json=body, headers=SECRET)
    assert (response.status_code, response.get_json()) == (200, {"done": False})


def test_the_page_is_told_how_many_colours_badges_have(open_shop: Callable[..., Shop]) -> None:
    for settings, told in (({}, "one"), ({"AUTO_REPLY_BADGES": "two"}, "two")):
        page = open_shop(**settings).attendant().get("/").get_data(as_text=True)
        assert f'data-badges="{told}"' in page


def test_the_task_and_the_sweep_answer(shop: Shop) -> None:
    client = shop.app.test_client()
    shop.writes()
    shop.clock.pass_(DEBOUNCE)
    body = {"conversation_id": shop.chat.id}
    assert client.post("/tasks/reply", json=body, headers=SECRET).get_json() == {"done": True}
    assert client.post("/tasks/reply", json=body, headers=SECRET).get_json() == {"done": False}
    shop.writes("mais uma")
    shop.clock.pass_(60)
    assert client.get("/tasks/replies", headers=SECRET).get_json() == {"done": 1}
    assert len(shop.said("claude")) == 2


@pytest.mark.store
def test_the_sweep_and_the_filter_find_theirs_among_many(app: Flask) -> None:
    with datastore.context():
        reply = {"question": "q", "asked_at": 1, "tries": 0, "returns": False}
        idle = [Conversation(id=f"c{n}", sort_key=f"{n:03}", owner="human") for n in range(120)]
        due = Conversation(
            id="due", sort_key="200", owner="claude", reply=reply, reply_due_at=1, needs_you=False
        )
        needing = Conversation(id="needs", sort_key="000", owner="human", needs_you=True)
        datastore.put_many([*idle, due, needing])
    assert app.test_client().get("/tasks/replies", headers=SECRET).get_json() == {"done": 1}
    ana = login(app)
    rows = ana.get("/api/conversations?filter=needs_you").get_json()["conversations"]
    assert [row["id"] for row in rows] == ["due", "needs"]  # without a key it was handed over
    needing_now = ana.get("/api/claude").get_json()["needs_you"]
    assert sorted(needing_now["ids"]) == ["due", "needs"]


# --- the queues -----------------------------------------------------------------------------------


class CloudTasks:
    """In the place of Google's client."""

    made: list[tasks_v2.Task]
    error: Exception | None = None

    def __init__(self) -> None:
        type(self).made = []

    def create_task(self, *, parent: str, task: tasks_v2.Task, timeout: float) -> None:
        assert task.name.startswith(f"{parent}/tasks/")
        assert timeout <= 5
        if self.error is not None:
            raise self.error
        self.made.append(task)


def test_cloud_tasks_gets_a_task_with_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_v2, "CloudTasksClient", CloudTasks)
    queue = CloudTasksQueue(
        "p", "southamerica-east1", "auto-reply", path="/tasks/reply", field="conversation_id"
    )
    for due in (1_762_174_804_500, 1_762_174_804_500, 1_762_174_809_000):
        queue.put("abc", due)
    names = [task.name for task in CloudTasks.made]
    assert names[0].startswith("projects/p/locations/southamerica-east1/queues/auto-reply/tasks/")
    assert "abc" not in names[0]
    assert names[0] == names[1] != names[2]
    request = CloudTasks.made[0].app_engine_http_request
    assert (request.relative_uri, request.http_method.name) == ("/tasks/reply", "POST")
    assert request.body == b'{"conversation_id": "abc"}'
    assert CloudTasks.made[0].schedule_time.timestamp() == 1_762_174_804.5


def test_a_task_that_is_there_already_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks_v2, "CloudTasksClient", CloudTasks)
    monkeypatch.setattr(CloudTasks, "error", api_exceptions.AlreadyExists("there"))
    CloudTasksQueue("p", "l", "q", path="/x", field="y").put("abc", 1)


def test_app_engine_gets_cloud_tasks_and_others_threads(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_app({**SETTINGS, **QUEUE, "TESTING": True})
    assert isinstance(made.extensions["auto_reply"].queue, CloudTasksQueue)
    assert isinstance(app.extensions["auto_reply"].queue, ThreadQueue)


def test_threads_take_what_is_due_in_its_order() -> None:
    seen: list[str] = []
    begun, gate, last = threading.Event(), threading.Event(), threading.Event()

    def work(conversation_id: str) -> None:
        seen.append(conversation_id)
        begun.set()
        assert gate.wait(30)
        if conversation_id == "last":
            last.set()

    queue = ThreadQueue(work, workers=1)
    now = time.time_ns() // 1_000_000
    queue.put("first", now)
    assert begun.wait(30)
    queue.put("never in this test", now + 3_600_000)
    queue.put("last", now - 1)
    queue.put("second", now - 2)
    gate.set()
    assert last.wait(30)
    assert seen == ["first", "second", "last"]


# --- the administrators' pages --------------------------------------------------------------------


def test_administrators_see_what_claude_cost(shop: Shop) -> None:
    ana = shop.attendant()  # the first of all, who administers
    assert shop.attendant("bruno").get("/admin/claude").status_code == 403
    assert "ainda não foi chamado" in ana.get("/admin/claude").text
    shop.writes("bom dia")
    shop.run_tasks()
    shop.writes("quero um atendente")
    shop.run_tasks()
    page = ana.get("/admin/claude").text
    assert "03/11/2025" in page
    assert "US$ 0,00" in page
    assert "/admin/claude/2025-11-03" in page
    assert "Maria" in ana.get("/admin/claude/2025-11-03").text
    own = ana.get(f"/admin/claude/conversations/{shop.chat.id}").text
    assert "Passou a conversa: o cliente pediu uma pessoa" in own
    assert "Resposta" in own
    assert "claude-sonnet-5-5" in own
    for nothing in ("2025-13-99", "conversations/nobody", "conversations/__x__"):
        assert ana.get(f"/admin/claude/{nothing}").status_code == 404


@pytest.mark.parametrize(
    ("model", "prices", "cost"),
    [
        ("claude-sonnet-5-5", (), 2 + 10 + 2.5 + 0.1),
        ("claude-haiku-5-5-20261007", (), 0.1 + 0.5 + 0.125 + 0.01),
        ("claude-unknown-9", (), None),
        ("claude-unknown-9", (1.0, 2.0, 3.0, 4.0), 10.0),
    ],
)
def test_a_cost_is_known_where_a_price_is(
    model: str, prices: tuple[float, ...], cost: float | None
) -> None:
    used = Used(model, 1_000_000, 1_000_000, 1_000_000, 1_000_000)
    found = usage.cost_of(used, AutoReplySettings(prices=prices))
    assert found == (None if cost is None else pytest.approx(cost))


def test_a_busy_day_of_one_chat_stays_within_an_entity(shop: Shop) -> None:
    settings = shop.answering.settings
    with shop.app.app_context(), datastore.context(seconds=100):
        for _ in range(usage._MAX_CALLS + 5):
            usage.record("c", "answer", Used("m", 1, 1), shop.clock.ms, settings, message_id="m")
        report = usage.by_conversation("2025-11-03")
        _, calls = usage.of_conversation(["c"])
    assert report.total.calls == usage._MAX_CALLS + 5
    assert len(calls) == usage._MAX_CALLS
    # What the days' and the chats' tables read is as small as that of a quiet day.
    (day,) = stored(usage.ClaudeUsage)
    assert len(json.dumps(day.to_dict())) < 600


def test_a_month_of_many_chats_is_added_up_whole(shop: Shop) -> None:
    totals = asdict(usage.Totals(calls=1, output=2))
    with shop.app.app_context(), datastore.context(seconds=100):
        datastore.put_many(
            usage.ClaudeUsage(id=f"{n}", day=f"2025-10-{n % 31 + 1:02}", conversation_id=f"c{n}",
                              totals=totals)
            for n in range(4_000)
        )  # fmt: skip
        report = usage.by_day(shop.clock.ms - 3 * 86_400_000)  # 31 October
    assert (report.complete, report.total.calls, len(report.rows)) == (True, 4_000, 31)

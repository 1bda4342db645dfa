"""The order inside one second, which is all that WhatsApp's times tell apart."""

from __future__ import annotations

import random
from typing import Any

import pytest
from flask import Flask

from chat.conversation.models import Message
from chat.incoming import deferred
from chat.platform import datastore
from chat.platform.settings import Settings
from tests.chat.support import (
    NOON,
    Browser,
    call,
    deliver,
    login,
    run_together,
    stored,
    text_message,
)
from tests.helpers import SETTINGS

CRON = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}


def texts() -> list[str]:
    """All that was written, as the thread has it."""
    return [m.text for m in sorted(stored(Message), key=lambda message: message.position)]


def test_messages_of_one_call_keep_its_order_whatever_stands_between_them(
    quick_app: Flask,
) -> None:
    other = {"from": "5521998877665"}
    parts: list[Any] = []
    for number in range(40):
        parts.append(text_message(f"w{number}", f"{number:02}"))
        parts.append([text_message(f"o{number}", "", **other), 7, {"id": number}][number % 3])
    entries = [call(*parts[start : start + 9])["entry"][0] for start in range(0, 80, 9)]
    assert deliver(quick_app.test_client(), {"entry": entries}).status_code == 200
    assert [text for text in texts() if text.isdigit()] == [f"{n:02}" for n in range(40)]


def test_calls_of_one_second_stand_as_they_came_each_in_its_own_order(quick_app: Flask) -> None:
    with quick_app.app_context(), datastore.context():
        for number in range(15):
            parts = [text_message(f"w{number}.{n}", f"{number:02}.{n}") for n in range(3)]
            deferred.take_in(call(*parts), (NOON + 3) * 1000 + number)
    assert texts() == [f"{number:02}.{n}" for number in range(15) for n in range(3)]


def test_a_call_that_is_handled_late_stands_where_it_came(quick_app: Flask) -> None:
    """The transactions commit in another order than the calls came in."""
    order = list(range(15))
    random.Random(9).shuffle(order)
    with quick_app.app_context(), datastore.context():
        for number in order:
            message = text_message(f"w{number}", f"{number:02}")
            deferred.take_in(call(message), (NOON + 3) * 1000 + number * 7)
    assert texts() == [f"{number:02}" for number in range(15)]


def test_what_was_put_off_stands_where_it_came(
    quick_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.incoming.webhook.work_off_soon", lambda: None)
    client = quick_app.test_client()
    settings = quick_app.extensions["chat_settings"]
    slow = Settings.from_env({**SETTINGS, "WEBHOOK_BUDGET_SECONDS": 0})
    quick_app.extensions["chat_settings"] = slow
    parts = [text_message(f"a{n}", f"antes {n}") for n in range(5)]
    assert deliver(client, call(*parts)).status_code == 200
    quick_app.extensions["chat_settings"] = settings
    monkeypatch.setattr(deferred, "pending", lambda: False)
    parts = [text_message(f"b{n}", f"depois {n}") for n in range(5)]
    assert deliver(client, call(*parts)).status_code == 200
    assert texts() == [f"depois {n}" for n in range(5)]
    assert client.get("/tasks/deferred", headers=CRON).get_json()["done"] == 1
    assert texts() == [f"antes {n}" for n in range(5)] + [f"depois {n}" for n in range(5)]


@pytest.mark.store
def test_fifteen_bursts_at_once_keep_each_calls_order_and_stay_as_they_are(app: Flask) -> None:
    ana: Browser = login(app)
    bursts = range(15)

    def burst(number: int) -> int:
        parts = [text_message(f"w{number}.{n}", f"{number:02}.{n}") for n in range(4)]
        return deliver(app.test_client(), call(*parts)).status_code

    assert run_together(*[lambda n=n: burst(n) for n in bursts]) == [200] * 15
    first = ana.texts()
    assert len(first) == 60
    for number in bursts:
        own = [text for text in first if text.startswith(f"{number:02}.")]
        assert own == [f"{number:02}.{n}" for n in range(4)]
        place = first.index(own[0])
        assert first[place : place + 4] == own, "no other call's message stands between"
    run_together(*[lambda n=n: burst(n) for n in reversed(bursts)])  # repeats
    assert ana.texts() == first
    received = [m.received_at for m in sorted(stored(Message), key=lambda one: one.position)]
    assert received == sorted(received), "and the calls stand as they came"

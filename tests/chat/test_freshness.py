"""How fast the screens are: samples taken in, kept for an hour, and told to administrators."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from flask import Flask

import message_status
from chat.conversation.models import Message
from chat.platform import datastore
from chat.screen import freshness
from chat.screen.freshness import HOUR_MS, FreshnessMinute, Times
from realtime_events import now_ms
from tests.chat.support import Browser, Graph, call, contact, deliver, login, stored, text_message

PATH = "/api/freshness"
PAGE = "/admin/freshness"


def shown() -> Times:
    with datastore.context():
        return freshness.shown(now_ms())


@pytest.mark.parametrize(
    ("times", "p50", "p95"),
    [([7], 7, 7), ([1, 2, 3, 4], 2, 4), ([*range(1, 101)], 50, 95), ([], None, None)],
)
def test_of_these_times_half_and_nearly_all_took_no_longer(
    times: list[float], p50: float | None, p95: float | None
) -> None:
    assert Times.of(Counter(times)) == Times(len(times), p50, p95)


def test_what_pages_measured_adds_up_and_is_told_within_five_percent(ana: Browser) -> None:
    assert ana.post(PATH, {"samples": [0, 120, 130.5]}).get_json() == {"taken": 3}
    assert ana.post(PATH, {"samples": [9_000, -1, 600_001]}).get_json() == {"taken": 1}
    told = shown()
    assert told.count == 4
    assert told.p50 == pytest.approx(120, rel=0.05)
    assert told.p95 == pytest.approx(9_000, rel=0.05)


@pytest.mark.parametrize(
    "samples", [None, "1", [1, "2"], [True], [None], {"a": 1}, [1] * (freshness.MAX_SAMPLES + 1)]
)
def test_what_is_no_list_of_times_is_refused(ana: Browser, samples: Any) -> None:
    assert ana.post(PATH, {"samples": samples}).status_code == 422
    assert shown().count == 0


def test_only_logged_in_pages_with_their_token_are_heard(app: Flask, ana: Browser) -> None:
    body = {"samples": [5]}
    assert app.test_client().post(PATH, json=body).status_code == 401
    assert ana.client.post(PATH, json=body).status_code == 400
    assert shown().count == 0


def test_minutes_of_several_processes_count_for_an_hour_and_are_deleted_then(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = now_ms()
    with datastore.context():
        freshness.record([100], now - 2 * HOUR_MS)
        freshness.record([100], now - HOUR_MS // 2)
        monkeypatch.setattr(freshness, "_process", "another")
        freshness.record([100], now - HOUR_MS // 2)
    assert shown().count == 2
    with datastore.context():
        freshness.record([100], now)
    assert shown().count == 3
    assert len(stored(FreshnessMinute)) == 3


def test_the_first_tick_is_told_by_the_messages_themselves(
    sending_app: Flask, graph: Graph
) -> None:
    ana = login(sending_app)
    now = now_ms()
    deliver(ana.client, call(text_message("w1", at=now // 1000), contacts=[contact("Maria")]))
    (chat,) = ana.conversations()
    path = f"/api/conversations/{chat['id']}/messages"
    ids = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(3)]
    for place, id_ in enumerate(ids):
        assert ana.post(path, {"client_id": id_, "text": f"{place}"}).status_code == 201
    with datastore.context():
        for id_, seconds in zip(ids, (2, 4, None), strict=True):
            message = datastore.get(Message, id_)
            assert message is not None
            began = now - 1800_000
            times = {"sending": began}
            if seconds:
                times |= {"delivered": began + seconds * 1000 + 500, "sent": began + seconds * 1000}
            message_status._update(message, times=times)
            message.put()
        old = datastore.get(Message, ids[1])
        told = freshness.first_ticks(now)
        assert (told.times, told.without, told.complete) == (Times(2, 2000, 4000), 1, True)
        assert old is not None
        message_status._update(old, times={"sending": now - HOUR_MS - 1, "sent": now})
        old.put()
        assert freshness.first_ticks(now).times == Times(1, 2000, 2000)
    page = ana.get(PAGE).text
    assert "2,0 s" in page
    assert "1 mensagem ainda está sem ✓" in page


def test_of_more_chats_than_are_read_the_page_says_so(
    ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freshness, "MOST_CHATS", 1)
    now = now_ms() // 1000
    for place in range(2):
        number = f"551198765432{place}"
        said = text_message(f"w{place}", at=now, **{"from": number})
        deliver(ana.client, call(said, contacts=[contact("Maria", number)]))
    assert "o primeiro ✓ é o das 1 conversas mais recentes" in ana.get(PAGE).text


def test_the_page_is_administrators_and_says_that_nothing_was_measured(app: Flask) -> None:
    ana, bruno = login(app), login(app, "bruno")
    assert "Nada foi medido na última hora" in ana.get(PAGE).text
    assert bruno.get(PAGE).status_code == 403
    assert PAGE in ana.get("/").text
    assert PAGE not in bruno.get("/").text
    bruno.post(PATH, {"samples": [80]})
    assert "Nada foi medido" not in ana.get(PAGE).text

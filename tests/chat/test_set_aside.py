"""Set aside is not buried: it is listed, counted, told in the log, and can be tried again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from chat.conversation.models import Message
from chat.incoming import deferred, handling, parsing
from chat.incoming.deferred import RejectedUpdate
from chat.platform import datastore
from tests.chat.support import (
    NOON,
    PAYLOADS,
    call,
    contact,
    deliver,
    payload,
    run_together,
    stored,
    text_message,
    wamids,
)


@pytest.fixture
def inside(quick_app: Flask) -> Iterator[Flask]:
    with quick_app.app_context(), datastore.context():
        datastore.allow(600.0, 5.0)
        yield quick_app


def take(data: Any, at: int = NOON) -> None:
    deferred.take_in(data, at * 1000)


def names() -> list[str]:
    return [each["name"] for each in deferred.listed()["updates"]]


def test_what_is_set_aside_is_listed_with_why_how_often_and_when(inside: Flask) -> None:
    bad = {"from": "551", "type": "text", "text": {"body": "sem id"}}
    take(call(bad, bad), NOON)
    take(call(text_message("good"), bad), NOON + 60)  # in another place of another call
    take(call(7), NOON + 30)
    first, second = deferred.listed()["updates"]
    assert first | {"name": "?"} == {
        "name": "?", "field": "id", "reason": "id: missing or not a usable text", "times": 3,
        "first_at": "2025-11-01T12:00:00.000Z", "last_at": "2025-11-01T12:01:00.000Z",
        "retryable": True,
    }  # fmt: skip
    assert (second["reason"], second["times"]) == ("messages: not an object", 1)
    assert deferred.listed()["next"] is None
    assert wamids() == ["good"]


def test_the_list_comes_in_pages_without_gap_or_repeat(inside: Flask) -> None:
    for number in range(120):
        take(call({"n": number, "type": "text"}), NOON + number % 7)
    found: list[str] = []
    page = deferred.listed()
    while True:
        found += [each["name"] for each in page["updates"]]
        if page["next"] is None:
            break
        page = deferred.listed(page["next"])
    assert len(found) == len(set(found)) == 120
    assert deferred.listed("")["updates"] == deferred.listed(None)["updates"]


@pytest.mark.parametrize("name", ["", "nobody", "__x__", "x" * 2000, "a\0b", "\ud800"])
def test_what_is_not_there_is_not_there(inside: Flask, name: str) -> None:
    assert deferred.raw(name) is None
    assert deferred.retry(name) is True


@pytest.mark.parametrize("name", sorted(path.stem for path in PAYLOADS.glob("bad_*.json")))
def test_the_raw_of_every_kind_can_be_read_and_tried_again(inside: Flask, name: str) -> None:
    take(payload(name))
    before = deferred.listed()["updates"]
    assert bool(before) is ("timestamp" not in name)
    for each in before:
        batch = parsing.parse(json.loads(deferred.raw(each["name"]) or ""), NOON * 1000)
        assert len(batch.rejected) + len(batch.statuses) == 1
        assert deferred.retry(each["name"]) is False, "nothing has changed"
    assert deferred.listed()["updates"] == before, "and it has not come once more"


def test_trying_again_stores_what_can_be_read_by_now(
    inside: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_args: Any) -> Any:
        raise TypeError("something nobody thought of")

    with monkeypatch.context() as patched:
        patched.setattr(parsing.words, "details", refuses)
        take(call(text_message("w", "enfim", NOON - 50), contacts=[contact("Maria")]))
        (name,) = names()
        assert deferred.retry(name) is False
    assert wamids() == []
    assert deferred.retry(name) is True
    assert (names(), wamids()) == ([], ["w"])
    assert deferred.retry(name) is True, "somebody else was quicker"
    (message,) = stored(Message)
    assert (message.text, message.author_name) == ("enfim", "Maria")
    assert message.sent_at == (NOON - 50) * 1000


def test_an_item_that_could_not_be_stored_can_be_tried_again(
    inside: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_args: Any) -> Any:
        raise ValueError("not today")

    with monkeypatch.context() as patched:
        patched.setattr(handling, "append_incoming", refuses)
        take(call(text_message("w"), text_message("x")))
    reasons = [each["reason"] for each in deferred.listed()["updates"]]
    assert reasons == ["messages: cannot be stored: ValueError"] * 2
    for name in names():
        assert deferred.retry(name) is True
    assert wamids() == ["w", "x"]


def test_a_fault_of_our_own_is_asked_for_by_nobody_again_and_again(
    quick_app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "Ma" + "ria"

    def fails(_messages: Any) -> Any:
        raise RuntimeError(secret)

    client = quick_app.test_client()
    foreign = payload("foreign_number")["entry"]
    calls = {"entry": [*call(text_message("w"))["entry"], *call(text_message("x"))["entry"]]}
    with monkeypatch.context() as patched:
        patched.setattr(handling, "group_by_sender", fails)
        for _ in range(2):
            assert deliver(client, calls).status_code == 200
        with quick_app.app_context(), datastore.context():
            assert [deferred.retry(name) for name in names()] == [False, False]
            known = [(each["reason"], each["times"]) for each in deferred.listed()["updates"]]
    assert known == [("$: cannot be handled: RuntimeError", 2)] * 2
    assert "cannot handle a webhook call: RuntimeError" in caplog.text
    assert secret not in caplog.text
    with quick_app.app_context(), datastore.context():
        assert [deferred.retry(name) for name in names()] == [True, True]
        deferred.set_aside([parsing.Rejected("$", "x", foreign, {"entry": foreign})], NOON * 1000)
        assert [deferred.retry(name) for name in names()] == [True], "not ours: nothing is stored"
    assert wamids() == ["w", "x"]


def test_a_fault_of_our_own_holds_up_nothing_that_was_put_off(
    inside: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = text_message("w")
    deferred.defer(call(message)["entry"][0]["changes"], NOON * 1000)
    deferred.defer(call(text_message("x"))["entry"][0]["changes"], NOON * 1000 + 1)
    quotes = handling._quotes
    monkeypatch.setattr(
        handling, "_quotes", lambda found: 1 / 0 if found[0].wamid == "w" else quotes(found)
    )
    assert deferred.work_off(time.monotonic() + 30) == 2
    assert wamids() == ["x"]
    assert [each["reason"] for each in deferred.listed()["updates"]] == [
        "$: cannot be handled: ZeroDivisionError"
    ]


def test_a_status_can_be_tried_again(inside: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    take(call(statuses=[{"status": "sent"}]))
    (name,) = names()
    assert '"statuses": [{"status": "sent"}]' in str(deferred.raw(name))
    assert deferred.retry(name) is False
    monkeypatch.setattr(
        handling.message_status, "record_statuses",
        lambda *_a, **_k: [],
    )  # fmt: skip
    assert deferred.retry(name) is True
    assert names() == []


def test_without_a_time_of_its_own_it_keeps_that_of_its_first_receipt(
    inside: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(parsing, "_kind", lambda _message: 1 / 0)
        take(call(text_message("w") | {"timestamp": "1"}), NOON + 7)
    (name,) = names()
    assert deferred.retry(name) is True
    (message,) = stored(Message)
    assert message.sent_at == (NOON + 7) * 1000


def test_what_is_no_json_is_kept_as_it_came(quick_app: Flask) -> None:
    client = quick_app.test_client()
    for _ in range(2):
        assert deliver(client, '{"entry": [ação'.encode()).status_code == 200
    with quick_app.app_context(), datastore.context():
        (each,) = deferred.listed()["updates"]
        assert (each["reason"], each["times"]) == ("$: not JSON", 2)
        assert deferred.raw(each["name"]) == '{"entry": [ação'
        assert deferred.retry(each["name"]) is False


@pytest.mark.parametrize(
    ("filler", "length"), [("x", 400_000), ("漢", 400_000), ("\U0001f642", 200_000)]
)
def test_what_is_too_large_to_be_kept_is_kept_in_part(
    quick_app: Flask, filler: str, length: int
) -> None:
    body = (filler * 3_000_000).encode()[: 3 * 2**20]
    assert deliver(quick_app.test_client(), body).status_code == 200
    message = text_message("w", filler * length)
    assert deliver(quick_app.test_client(), call(message, text_message("x"))).status_code == 200
    assert wamids() == ["x"]
    with quick_app.app_context(), datastore.context():
        known = {each["reason"]: each for each in deferred.listed()["updates"]}
        assert set(known) == {"$: not JSON", "$: too large"}
        for each in known.values():
            raw = deferred.raw(each["name"])
            assert raw
            assert len(raw) > 200_000
            assert deferred.retry(each["name"]) is False
        assert known["$: not JSON"]["retryable"] is False


def test_a_thousand_bad_ones_are_set_aside_together(inside: Flask) -> None:
    take(call(*[{"n": number, "pad": "x" * 5_000} for number in range(1000)]))
    assert len(stored(RejectedUpdate)) == 1000


def test_one_line_of_the_log_counts_a_calls_and_says_nothing_of_anybody(
    inside: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    odd = {"id": "wamid.HBgM", "type": "Maria", "Maria": {}, "group_id": {"Maria": 1}}
    take(call(odd, odd | {"n": 1}, {"Maria": 1}, "Maria", text_message("w")))
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("deferred")]
    assert lines == [
        "set 4 updates aside: group_id: not a usable text (2), "
        "messages: not an object (1), id: missing or not a usable text (1)"
    ]
    assert "Maria" not in caplog.text
    assert "HBgM" not in caplog.text
    caplog.clear()
    take(call(text_message("x")))
    assert caplog.records == []


def test_meta_codes_and_foreign_numbers_in_the_log_are_numbers(
    inside: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    errors = [{"code": 130429}, {"code": "Maria Aparecida"}, {"code": {"Maria": 1}}]
    value = {"errors": errors, "metadata": {"phone_number_id": "106540352242922"}}
    foreign = {"metadata": {"phone_number_id": "Maria"}, "messages": [text_message("a")]}
    known = {"metadata": {"phone_number_id": "777"}, "statuses": [{}, {}]}
    changes = [{"field": "messages", "value": each} for each in (value, foreign, known)]
    deferred.take_in({"entry": [{"changes": changes}]}, NOON * 1000, "106540352242922")
    assert "WhatsApp reports errors: ['130429', '?', '?']" in caplog.text
    assert "2 updates are for another number: 777" in caplog.text
    assert "1 updates are for another number: ?" in caplog.text
    assert "Maria" not in caplog.text
    assert wamids() == names() == []


@pytest.mark.store
def test_the_same_from_two_calls_at_once_is_counted_right(app: Flask) -> None:
    jobs = [lambda: deliver(app.test_client(), call({"bad": 1})).status_code] * 6
    assert run_together(*jobs) == [200] * 6
    (aside,) = stored(RejectedUpdate)
    assert aside.times == 6

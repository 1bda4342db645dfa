"""The event log on a real store: publishing, cursor, poller, and what clients are answered."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from google.api_core.exceptions import Aborted
from google.cloud import ndb
from hypothesis import given
from hypothesis import strategies as st

import realtime_events as rt
from tests.helpers import Store, wait_until

HEX = st.text("0123456789abcdef", min_size=12, max_size=12)


def parse(text: str) -> list[dict[str, Any]]:
    """The events of an SSE text, each with the cursor after it."""
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "data" in fields:
            event = json.loads(fields["data"])
            assert event["type"] == fields["event"]
            events.append(event | {"cursor": fields.get("id")})
    return events


def last_cursor(text: str) -> str:
    return [line[4:] for line in text.split("\n") if line.startswith("id: ")][-1]


# --- pure -------------------------------------------------------------------------------------


@given(st.integers(0, 2**45), st.dictionaries(st.tuples(st.integers(1, 60_000), HEX),
       st.integers(1, 500), max_size=200))  # fmt: skip
def test_a_cursor_reads_back_what_it_was_written_from(
    watermark: int, delivered: dict[tuple[int, str], int]
) -> None:
    cursor = rt.Cursor(watermark, {(watermark + ms, t): n for (ms, t), n in delivered.items()})
    assert rt.Cursor.decode(cursor.encode()) == cursor


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1"))))
def test_an_unreadable_cursor_is_expired_and_nothing_else(text: str) -> None:
    with contextlib.suppress(rt.CursorExpired):
        rt.Cursor.decode(text)


@pytest.mark.parametrize("text", ["", "x", "AQ", "1", "ç", "A" * 4000, "AgAAAAAAAAAA"])
def test_a_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(rt.CursorExpired):
        rt.Cursor.decode(text)


def test_a_cursor_of_thousands_of_events_stays_within_three_kilobytes() -> None:
    rng = random.Random(4)
    names = [f"{1_700_000_000_000 + n:013d}-{rng.getrandbits(48):012x}-0000" for n in range(9000)]
    cursor = rt.Cursor.decode(rt.Cursor.of(1_699_999_999_999, names).encode())
    assert len(cursor.encode() if cursor.delivered else rt.Cursor.of(0, names).encode()) <= 3000
    assert cursor.unseen(names) == []
    late = f"{1_700_000_004_000:013d}-{0:012x}-0000"
    again = cursor.unseen([*names, late])
    assert late in again
    assert len(again) < 100, "one late event re-delivers its own slice only"


def test_a_cursor_knows_a_transaction_only_as_far_as_it_was_delivered() -> None:
    names = [f"{2000:013d}-{'ab' * 6}-{n:04d}" for n in range(4)]
    cursor = rt.Cursor.decode(rt.Cursor.of(1000, [names[0], names[1], names[3]]).encode())
    assert cursor.unseen(names) == names[2:]


def test_a_block_is_readable_by_any_sse_client() -> None:
    block = rt.format_event(
        "message.created", '{"text":"olá\\nvocê"}', cursor="C", event_id="E", at=1_700_000_000_123,
        conversation_id="c1", version=7,
    )  # fmt: skip
    head, data, *rest = block.decode().split("\ndata: ")
    assert head == "id: C\nevent: message.created"
    assert rest == []
    assert data.endswith("}\n\n")
    assert data.count("\n") == 2
    assert json.loads(data) == {
        "id": "E", "type": "message.created", "conversation_id": "c1", "version": 7,
        "at": "2023-11-14T22:13:20.123Z", "data": {"text": "olá\nvocê"},
    }  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2, 25, 26, 999, 5000])
def test_a_batch_carries_few_cursors_and_always_one_on_its_last_event(count: int) -> None:
    places = rt._id_places(count)
    assert len(places) <= 26
    assert (count - 1 in places) == (count > 0)
    assert count > 25 or places == set(range(count))


def test_the_public_names_are_these() -> None:
    assert rt.__all__ == sorted(rt.__all__, key=lambda name: (not name.isupper(), name))
    own = {
        name for name, value in vars(rt).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == rt.__name__
    }  # fmt: skip
    assert own | {"DEFAULTS"} == set(rt.__all__)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DELIVERY", "polling"), ("OVERLAP_SECONDS", "0"), ("HOLD_SECONDS", "soon"),
        ("CAPACITY", "-1"), ("POLL_SECONDS", "5"), ("RETENTION_HOURS", "nan"),
    ],
)  # fmt: skip
def test_a_bad_setting_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("REALTIME_EVENTS_OVERLAP_SECONDS", "10")
    monkeypatch.setenv(f"REALTIME_EVENTS_{name}", value)
    with pytest.raises(ValueError, match=f"REALTIME_EVENTS_{name}"):
        rt.init_app(
            Flask("bad"), current_user_id=lambda: None, ndb_context=contextlib.nullcontext,
            is_cron=lambda: False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("environ", "setting", "expected"),
    [("standard", "auto", "hold"), ("flex", "auto", "stream"), ("standard", "stream", "stream")],
)
@pytest.mark.store
def test_automatic_delivery_holds_on_app_engine_standard_only(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, environ: str, setting: str, expected: str
) -> None:
    monkeypatch.setenv("GAE_ENV", environ)
    app = chat.make_app(DELIVERY=setting, STREAM_SECONDS=1)
    [hello, *_] = parse(chat.ask(app=app, delivery=""))
    assert hello["data"]["delivery"] == expected


# --- on a store -------------------------------------------------------------------------------


class Chat:
    """A host of the module: an app, someone logged in, and changes that publish events."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.user: str | None = "ana"
        self.cron = False
        self.hubs: list[Any] = []
        self.app = self.make_app()

    def make_app(self, **settings: Any) -> Flask:
        app = Flask("host")
        app.config.update({f"REALTIME_EVENTS_{name}": value for name, value in settings.items()})
        rt.init_app(
            app, current_user_id=lambda: self.user, ndb_context=self.store.context,
            is_cron=lambda: self.cron, build="b1",
        )  # fmt: skip
        self.hubs.append(app.extensions["realtime_events"])
        return app

    def ask(self, after: str = "", *, app: Flask | None = None, **query: str) -> str:
        query = {"delivery": "hold", "after": after} | query
        response = (app or self.app).test_client().get("/realtime/events", query_string=query)
        assert response.status_code == 200, response.get_data(as_text=True)
        assert response.mimetype == "text/event-stream"
        return response.get_data(as_text=True)

    def publish(self, *numbers: int, conversation_id: str = "c1") -> None:
        def change() -> None:
            for number in numbers:
                rt.publish("message.created", {"n": number}, conversation_id=conversation_id)

        with self.store.context():
            rt.transaction(change)

    def numbers(self, text: str) -> list[int]:
        return [event["data"]["n"] for event in parse(text) if event["type"] == "message.created"]


def stored(chat: Chat) -> list[rt.Event]:
    with chat.store.context():
        return [event for one in rt.RealtimeEvent.query().fetch() for event in one.events()]


@pytest.fixture
def chat(store: Store) -> Iterator[Chat]:
    chat = Chat(store)
    yield chat
    for hub in chat.hubs:
        hub.close()
    for hub in chat.hubs:
        wait_until(lambda hub=hub: hub._thread is None, what="the poller's end")


@pytest.mark.store
def test_an_event_commits_with_its_change_or_not_at_all(chat: Chat) -> None:
    cursor = last_cursor(chat.ask())

    def refused() -> None:
        rt.publish("message.created", {"n": 1}, conversation_id="c1")
        raise LookupError

    with chat.store.context(), pytest.raises(LookupError):
        rt.transaction(refused)
    chat.publish(2)
    assert chat.numbers(chat.ask(cursor)) == [2]


@pytest.mark.store
def test_publishing_outside_a_transaction_is_refused(chat: Chat) -> None:
    with chat.store.context(), pytest.raises(RuntimeError, match="transaction"):
        rt.publish("message.created", {}, conversation_id=None)


@pytest.mark.store
@pytest.mark.parametrize(
    ("type", "data", "field"),
    [
        ("message\nid: x", {}, "type"), ("Message", {}, "type"),
        ("message.created", {"text": "é" * 200_001}, "data"),
    ],
)  # fmt: skip
def test_what_cannot_be_published_is_refused_by_field(
    chat: Chat, type: str, data: dict[str, Any], field: str
) -> None:
    with chat.store.context(), pytest.raises(ValueError, match=f"^{field}: "):
        rt.transaction(lambda: rt.publish(type, data, conversation_id=None))


@pytest.mark.store
def test_a_plain_ndb_transaction_publishes_too(chat: Chat) -> None:
    cursor = last_cursor(chat.ask())
    with chat.store.context():
        ndb.transaction(lambda: rt.publish("message.created", {"n": 5}, conversation_id="c1"))
    assert chat.numbers(chat.ask(cursor)) == [5]


@pytest.mark.store
def test_events_are_stamped_last_and_again_on_each_retry(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1_700_000_000_000, 1_800_000_000_000, 1000))
    attempts = []
    monkeypatch.setattr(rt, "_now_ms", lambda: next(clock))
    write = rt._write

    def conflict_once(pending: list[Any]) -> None:
        write(pending)
        attempts.append(len(pending))
        if len(attempts) == 1:
            raise Aborted("a conflict on commit")

    monkeypatch.setattr(rt, "_write", conflict_once)
    chat.publish(1, 2)
    assert attempts == [2, 2]
    assert {event.at for event in stored(chat)} == {1_700_000_001_000}
    assert [json.loads(event.data)["n"] for event in stored(chat)] == [1, 2]


@pytest.mark.store
def test_a_transaction_of_very_many_or_large_events_is_told_whole_and_in_order(chat: Chat) -> None:
    cursor, got = last_cursor(chat.ask()), []
    text = "x" * 150_000

    def change() -> None:
        for n in range(450):
            data = {"n": n, "text": text} if n < 12 else {"n": n}
            rt.publish("message.created", data, conversation_id="c1")

    with chat.store.context():
        rt.transaction(change)
        assert len(rt.RealtimeEvent.query().fetch(keys_only=True)) > 3
    app = chat.make_app(PAGE_SIZE=100)  # another process, which reads the store page by page
    while len(got) < 450:
        answer = chat.ask(cursor, app=app)
        cursor = last_cursor(answer)
        got += chat.numbers(answer)
    assert got == list(range(450))


@pytest.mark.store
def test_events_of_a_slow_commit_are_published_again(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, late = time.monotonic, [0.0]
    monkeypatch.setattr(rt.time, "monotonic", lambda: real() + late[0])
    commit = ndb.transaction

    def slow(*args: Any, **kwargs: Any) -> Any:
        result = commit(*args, **kwargs)
        late[0] += 6  # over half of the overlap of 10 s
        return result

    monkeypatch.setattr(rt.ndb, "transaction", slow)
    chat.publish(1)
    assert [event.data for event in stored(chat)] == ['{"n":1}', '{"n":1}']


@pytest.mark.store
def test_inner_transactions_join_and_their_events_keep_their_order(chat: Chat) -> None:
    cursor = last_cursor(chat.ask())

    @rt.transactional()
    def inner(number: int) -> int:
        rt.publish("message.created", {"n": number}, conversation_id="c1")
        return number

    with chat.store.context():
        assert rt.transaction(lambda: [inner(1), inner(2), inner(3)]) == [1, 2, 3]
    assert chat.numbers(chat.ask(cursor)) == [1, 2, 3]


@pytest.mark.store
def test_resuming_from_any_event_gives_exactly_those_after_it(chat: Chat) -> None:
    cursor = last_cursor(chat.ask())
    chat.publish(1)
    chat.publish(2, 3, 4)
    chat.publish(5)
    # In two processes: this one's ring, and one that has to read the store.
    for app in (chat.app, chat.make_app()):
        events: list[dict[str, Any]] = []
        while len(events) < 5:  # the poller may still be taking over the newest commit
            events += parse(chat.ask(events[-1]["cursor"] if events else cursor, app=app))
        assert [event["data"]["n"] for event in events] == [1, 2, 3, 4, 5]
        for place, event in enumerate(events[:-1]):
            rest = chat.numbers(chat.ask(event["cursor"], app=app))
            assert rest == [1, 2, 3, 4, 5][place + 1 :]


@pytest.mark.store
def test_last_event_id_wins_over_after(chat: Chat) -> None:
    start = last_cursor(chat.ask())
    chat.publish(1)
    first = last_cursor(chat.ask(start))
    chat.publish(2)
    response = chat.app.test_client().get(
        f"/realtime/events?delivery=hold&after={start}", headers={"Last-Event-ID": first}
    )
    assert chat.numbers(response.get_data(as_text=True)) == [2]


@pytest.mark.store
def test_without_a_cursor_only_what_comes_from_now_on_is_told(chat: Chat) -> None:
    chat.publish(1)
    text = chat.ask()
    [hello] = parse(text)
    assert hello["type"] == "hello"
    assert hello["data"] == {"delivery": "hold", "build": "b1", "cursor": hello["cursor"]}
    chat.publish(2)
    assert chat.numbers(chat.ask(hello["cursor"])) == [2]


@pytest.mark.store
def test_hello_and_what_was_missed_are_answered_at_once(chat: Chat) -> None:
    cursor = last_cursor(chat.ask())
    assert [event["type"] for event in parse(chat.ask(cursor, hello="1"))] == ["hello"]
    chat.publish(1)
    events = parse(chat.ask(cursor, hello="1"))
    assert [event["type"] for event in events] == ["hello", "message.created"]
    assert events[0]["cursor"] == cursor, "a connection cut after hello must lose nothing"


@pytest.mark.store
def test_a_held_response_waits_and_ends_at_the_first_batch(chat: Chat) -> None:
    cursor = last_cursor(chat.ask())
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(chat.ask(cursor)))
    thread.start()
    wait_until(lambda: chat.hubs[0].streams, what="a held stream")
    assert answers == []
    chat.publish(1)
    thread.join(10)
    assert chat.numbers(answers[0]) == [1]
    assert not chat.hubs[0].streams


@pytest.mark.store
def test_a_held_response_without_events_ends_with_a_newer_cursor(chat: Chat) -> None:
    app = chat.make_app(HOLD_SECONDS=1)
    cursor = last_cursor(chat.ask(app=app))
    text = chat.ask(cursor, app=app)
    assert parse(text) == []
    renewed = rt.Cursor.decode(last_cursor(text))
    assert renewed.watermark > rt.Cursor.decode(cursor).watermark
    assert "retry: 20\n" in text, "0 makes EventSource spin"


@pytest.mark.store
def test_a_stream_beats_and_goes_on_after_a_batch(chat: Chat) -> None:
    app = chat.make_app(HEARTBEAT_SECONDS=0.1, STREAM_SECONDS=30)
    response = app.test_client().get("/realtime/events?delivery=stream")
    chunks = iter(response.response)
    assert b"event: hello" in next(chunks)
    assert next(chunks).endswith(b"\n: hb\n\n")
    chat.publish(1)
    chat.publish(2)
    text = b""
    while text.count(b"message.created") < 4:  # event line and data
        text += next(chunks)
    assert chat.numbers(text.decode()) == [1, 2]
    response.close()
    assert not chat.hubs[-1].streams


@pytest.mark.store
def test_a_poller_that_cannot_read_does_not_look_alive(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = chat.make_app(HEARTBEAT_SECONDS=0.1, STALE_SECONDS=0.4, POLL_SECONDS=0.1)
    chunks = iter(app.test_client().get("/realtime/events?delivery=stream").response)
    next(chunks)
    monkeypatch.setattr(rt, "_names_after", lambda *_: (_ for _ in ()).throw(OSError("down")))
    for _ in chunks:  # ends by itself: no heartbeat, so that the client looks elsewhere
        pass
    response = app.test_client().get("/realtime/events?delivery=stream")
    assert response.status_code == 503
    assert response.headers["Retry-After"]


@pytest.mark.store
def test_a_new_request_of_the_same_client_ends_the_older_one_of_that_user(chat: Chat) -> None:
    app = chat.make_app()
    first = app.test_client().get("/realtime/events?delivery=stream&client=tab")
    chunks = iter(first.response)
    next(chunks)
    chat.user = "bruno"
    other = app.test_client().get("/realtime/events?delivery=stream&client=tab")
    next(iter(other.response))
    assert len(chat.hubs[-1].streams) == 2
    chat.user = "ana"
    second = app.test_client().get("/realtime/events?delivery=stream&client=tab")
    next(iter(second.response))
    assert list(chunks) == []
    assert len(chat.hubs[-1].streams) == 2
    second.close()
    other.close()


@pytest.mark.store
def test_over_the_capacity_a_stream_is_answered_at_once_and_asked_to_come_again(chat: Chat) -> None:
    app = chat.make_app(CAPACITY=1)
    cursor = last_cursor(chat.ask(app=app))
    full = app.test_client().get("/realtime/events?delivery=stream")
    next(iter(full.response))
    text = chat.ask(cursor, app=app, delivery="stream")
    assert parse(text) == []
    assert 1000 <= int(text.split("retry: ")[1].split("\n")[0]) <= 3000
    chat.publish(1)
    wait_until(lambda: chat.numbers(chat.ask(cursor, app=app, delivery="stream")) == [1])
    full.close()


@pytest.mark.store
def test_a_response_that_is_never_read_gives_its_place_back(chat: Chat) -> None:
    response = chat.app.test_client().get("/realtime/events?delivery=stream", buffered=False)
    response.close()
    assert not chat.hubs[0].streams


@pytest.mark.store
@pytest.mark.parametrize("after", ["%00", "garbage", "A" * 3000])
def test_an_unreadable_cursor_is_answered_by_reset(chat: Chat, after: str) -> None:
    chat.publish(1)
    [reset] = parse(chat.ask(after))
    assert reset["type"] == "reset"
    chat.publish(2)
    assert chat.numbers(chat.ask(reset["data"]["cursor"])) == [2]


@pytest.mark.store
def test_a_cursor_past_the_retention_is_answered_by_reset_and_one_within_is_not(chat: Chat) -> None:
    hour = 3_600_000
    now = time.time_ns() // 1_000_000
    [reset] = parse(chat.ask(rt.Cursor(now - 25 * hour).encode()))
    assert reset["type"] == "reset"
    chat.publish(1)
    assert chat.numbers(chat.ask(rt.Cursor(now - 23 * hour).encode())) == [1]


@pytest.mark.store
def test_a_sleeper_is_given_everything_page_by_page(chat: Chat) -> None:
    before = rt.Cursor(time.time_ns() // 1_000_000 - 7_200_000).encode()
    for n in range(0, 60, 3):
        chat.publish(n, n + 1, n + 2)
    app = chat.make_app(PAGE_SIZE=10)
    cursor, got = before, []
    while len(got) < 60:
        text = chat.ask(cursor, app=app)
        cursor = last_cursor(text)
        got += chat.numbers(text)
    assert got == list(range(60))


@pytest.mark.store
def test_a_conversations_versions_ascend_although_clocks_disagree(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = last_cursor(chat.ask())
    for hub in chat.hubs:
        monkeypatch.setattr(hub, "offer", lambda _events: None)
    now = time.time_ns() // 1_000_000
    for version, stamp in ((1, now + 40), (2, now + 20), (3, now)):
        monkeypatch.setattr(rt, "_now_ms", lambda stamp=stamp: stamp)
        with chat.store.context():
            rt.transaction(
                lambda version=version: rt.publish(
                    "message.created", {"n": version}, conversation_id="c1", version=version
                )
            )
    monkeypatch.undo()
    app = chat.make_app()
    assert chat.numbers(chat.ask(cursor, app=app)) == [1, 2, 3]


@pytest.mark.store
def test_without_a_login_the_answer_is_401(chat: Chat) -> None:
    chat.user = None
    response = chat.app.test_client().get("/realtime/events")
    assert response.status_code == 401
    assert response.json["error"]["code"] == "login_required"
    assert chat.hubs[0]._thread is None, "a stranger must not make the store work"


@pytest.mark.store
def test_an_unknown_delivery_is_refused_by_field(chat: Chat) -> None:
    response = chat.app.test_client().get("/realtime/events?delivery=push")
    assert response.status_code == 400
    assert response.json["error"]["field"] == "delivery"


@pytest.mark.store
def test_a_store_that_is_down_is_answered_503(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    app = chat.make_app(RPC_SECONDS=0.3)
    monkeypatch.setattr(rt, "_names_after", lambda *_: (_ for _ in ()).throw(OSError("down")))
    response = app.test_client().get("/realtime/events")
    assert response.status_code == 503


def counting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    reads: list[float] = []
    names_after = rt._names_after

    def counted(*args: Any) -> dict[str, str]:
        reads.append(time.monotonic())
        return names_after(*args)

    monkeypatch.setattr(rt, "_names_after", counted)
    return reads


@pytest.mark.store
def test_nothing_reads_the_store_while_nobody_listens(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = counting(monkeypatch)
    app = chat.make_app(LINGER_SECONDS=0)
    chat.publish(1)
    assert reads == []
    chat.ask(app=app)
    wait_until(lambda: chat.hubs[-1]._thread is None, what="the poller's end")
    count = len(reads)
    chat.publish(2)
    assert len(reads) == count > 0


@pytest.mark.store
def test_idle_reads_do_not_grow_with_listeners(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    app = chat.make_app(CAPACITY=50)
    responses = [app.test_client().get("/realtime/events?delivery=stream") for _ in range(30)]
    for response in responses:
        next(iter(response.response))
    reads = counting(monkeypatch)
    wait_until(lambda: len(reads) >= 4)
    assert reads[3] - reads[0] >= 2 * 0.3, "more than one reader polls"
    for response in responses:
        response.close()


@pytest.mark.store
def test_a_commit_of_this_process_needs_no_read_and_does_not_wait_for_the_poll(chat: Chat) -> None:
    app = chat.make_app(POLL_SECONDS=4)
    cursor = last_cursor(chat.ask(app=app))
    started = time.monotonic()
    chat.publish(1)
    assert chat.numbers(chat.ask(cursor, app=app)) == [1]
    assert time.monotonic() - started < 3


@pytest.mark.store
def test_two_processes_hand_a_client_over_without_loss_or_repetition(chat: Chat) -> None:
    apps = [chat.make_app(), chat.make_app()]
    cursor, got = last_cursor(chat.ask(app=apps[0])), []
    hubs = [app.extensions["realtime_events"] for app in apps]
    offers = [hub.offer for hub in hubs]
    for number in range(20):
        for place, hub in enumerate(hubs):  # only the committing process hears of it at once
            hub.offer = offers[place] if place == number % 2 else lambda _events: None
        chat.publish(number)
        text = chat.ask(cursor, app=apps[number % 2 if number % 3 else (number + 1) % 2])
        cursor = last_cursor(text)
        got += chat.numbers(text)
    assert got == list(range(20))


@pytest.mark.store
def test_clean_up_deletes_what_is_past_the_retention_and_no_more(chat: Chat) -> None:
    now = int(datetime.now(UTC).timestamp() * 1000)
    with chat.store.context():
        for hours in (1, 23, 25, 26, 50):
            name = f"{now - hours * 3_600_000:013d}-{hours:012x}-0000-1"
            rt.RealtimeEvent(key=ndb.Key(rt.RealtimeEvent, name), heads="[]").put()
    client = chat.app.test_client()
    assert client.get("/realtime/cleanup").status_code == 403
    chat.cron = True
    assert client.get("/realtime/cleanup").json == {"deleted": 3, "more": False}
    with chat.store.context():
        assert len(rt.RealtimeEvent.query().fetch(keys_only=True)) == 2
        assert rt.delete_expired(0.5, 5, batch=1) == (2, False)


@pytest.mark.store
def test_events_carry_the_time_for_a_ttl_policy(chat: Chat) -> None:
    chat.publish(1)
    with chat.store.context():
        [event] = rt.RealtimeEvent.query().fetch()
    age = event.expires_at - datetime.now(UTC).replace(tzinfo=None)
    assert 23.9 * 3600 < age.total_seconds() < 24.1 * 3600


@pytest.mark.store
def test_a_version_grows_by_one_a_transaction(store: Store) -> None:
    class Thing(rt.VersionedMixin):
        pass

    with store.context():
        thing = Thing(id="a")
        assert [thing.bump_version(), thing.bump_version()] == [1, 2]
        thing.put()
        assert Thing.get_by_id("a").version == 2


@pytest.mark.store
def test_the_cursor_of_a_page_tells_of_everything_after_it(chat: Chat) -> None:
    chat.publish(1)
    with chat.app.app_context(), chat.store.context():
        cursor = rt.current_cursor()
    chat.publish(2)
    assert chat.numbers(chat.ask(cursor)) == [2]


@pytest.mark.store
def test_writers_in_many_threads_lose_nothing(chat: Chat) -> None:
    cursor = last_cursor(chat.ask())
    writers: list[Callable[[], None]] = [
        lambda n=n: [chat.publish(n * 10 + i) for i in range(5)] for n in range(8)
    ]
    threads = [threading.Thread(target=writer) for writer in writers]
    for thread in threads:
        thread.start()
    got: list[int] = []
    while len(got) < 40:
        text = chat.ask(cursor)
        cursor = last_cursor(text)
        got += chat.numbers(text)
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(n * 10 + i for n in range(8) for i in range(5))

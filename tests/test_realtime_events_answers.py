"""What `GET /realtime/events` answers, and what the page that asks it is given."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, render_template_string
from google.cloud import ndb

import realtime_events as rt
from local.processes.parts import ROOT
from tests.event_host import EventHost, Gate, last_cursor, numbers, parse, pollers
from tests.helpers import Store, wait_until

HOUR = 3_600_000


@pytest.fixture
def host(store: Store) -> Iterator[EventHost]:
    host = EventHost(store)
    yield host
    host.close()


@pytest.mark.store
@pytest.mark.parametrize(
    ("environ", "setting", "expected"),
    [("standard", "auto", "hold"), ("flex", "auto", "stream"), ("standard", "stream", "stream")],
)
def test_automatic_delivery_holds_on_app_engine_standard_only(
    host: EventHost, monkeypatch: pytest.MonkeyPatch, environ: str, setting: str, expected: str
) -> None:
    monkeypatch.setenv("GAE_ENV", environ)
    app = host.make_app(DELIVERY=setting, STREAM_SECONDS=1)
    [hello, *_] = parse(host.ask(app=app, delivery=""))
    assert hello["data"]["delivery"] == expected


@pytest.mark.store
def test_resuming_from_any_cursor_gives_exactly_what_came_after_it(host: EventHost) -> None:
    elsewhere = host.make_app(elsewhere=True)
    cursors = [last_cursor(host.ask())]
    told = [[1], [2, 3, 4], [5], [6, 7]]
    for each in told:
        host.publish(*each)
        cursors.append(last_cursor(host.ask(cursors[-1])))
    for app in (host.app, elsewhere):
        for place, cursor in enumerate(cursors):
            rest = numbers(host.ask(cursor, app=app, hello="1"))
            assert rest == [number for each in told[place:] for number in each]


@pytest.mark.store
def test_last_event_id_wins_over_after(host: EventHost) -> None:
    start = last_cursor(host.ask())
    host.publish(1)
    first = last_cursor(host.ask(start))
    host.publish(2)
    assert numbers(host.ask(start, headers={"Last-Event-ID": first})) == [2]


@pytest.mark.store
def test_without_a_cursor_only_what_comes_from_now_on_is_told(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAE_VERSION", "b1")
    host.publish(1)
    [hello] = parse(host.ask())
    assert hello["type"] == "hello"
    assert hello["data"] == {"delivery": "hold", "build": "b1", "cursor": hello["cursor"]}
    host.publish(2)
    assert numbers(host.ask(hello["cursor"])) == [2]


@pytest.mark.store
def test_hello_and_what_was_missed_are_answered_at_once(host: EventHost) -> None:
    cursor = last_cursor(host.ask())
    assert [event["type"] for event in parse(host.ask(cursor, hello="1"))] == ["hello"]
    host.publish(1)
    events = parse(host.ask(cursor, hello="1"))
    assert [event["type"] for event in events] == ["hello", "message.created"]
    assert events[0]["cursor"] == cursor, "a connection cut after hello must lose nothing"


@pytest.mark.store
def test_who_is_held_and_told_something_comes_again_at_once(host: EventHost) -> None:
    hello = host.ask()
    host.publish(1)
    for text in (hello, host.ask(last_cursor(hello))):
        assert int(text.removeprefix("retry: ").split("\n")[0]) < 100


@pytest.mark.store
def test_a_held_response_waits_and_ends_at_the_first_batch(host: EventHost) -> None:
    cursor = last_cursor(host.ask())
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(host.ask(cursor)))
    thread.start()
    wait_until(host.streams, what="a held stream")
    assert answers == []
    host.publish(1)
    thread.join(10)
    assert numbers(answers[0]) == [1]
    assert not host.streams()


@pytest.mark.store
def test_a_held_response_beats_until_its_first_batch(host: EventHost) -> None:
    app = host.make_app(HEARTBEAT_SECONDS=0.1)
    cursor = last_cursor(host.ask(app=app))
    chunks = iter(host.get(cursor, app=app).response)
    next(chunks)
    assert [next(chunks)[-7:] for _ in range(2)] == [b"\n: hb\n\n"] * 2
    host.publish(1)
    assert numbers(b"".join(chunks).decode()) == [1]


@pytest.mark.store
def test_a_held_response_without_events_ends_with_a_newer_cursor(host: EventHost) -> None:
    app = host.make_app(HOLD_SECONDS=1)
    cursor = last_cursor(host.ask(app=app))
    text = host.ask(cursor, app=app)
    assert parse(text) == []
    renewed = rt.Cursor.decode(last_cursor(text))
    assert renewed.watermark > rt.Cursor.decode(cursor).watermark
    assert "retry: 20\n" in text, "0 makes EventSource spin"


@pytest.mark.store
def test_a_stream_beats_and_goes_on_after_a_batch(host: EventHost) -> None:
    app = host.make_app(HEARTBEAT_SECONDS=0.1, STREAM_SECONDS=30)
    response = host.get(app=app, delivery="stream")
    chunks = iter(response.response)
    assert b"event: hello" in next(chunks)
    assert next(chunks).endswith(b"\n: hb\n\n")
    host.publish(1)
    host.publish(2)
    text = b""
    while len(numbers(text.decode())) < 2:
        text += next(chunks)
    assert numbers(text.decode()) == [1, 2]
    response.close()
    assert not host.streams(app)


@pytest.mark.store
def test_a_new_request_of_the_same_client_ends_the_older_one_of_that_user(host: EventHost) -> None:
    first = host.get(delivery="stream", client="tab")
    chunks = iter(first.response)
    next(chunks)
    host.user = "bruno"
    other = host.get(delivery="stream", client="tab")
    next(iter(other.response))
    assert host.streams() == 2
    host.user = "ana"
    second = host.get(delivery="stream", client="tab")
    next(iter(second.response))
    assert list(chunks) == []
    assert host.streams() == 2
    second.close()
    other.close()


@pytest.mark.store
def test_the_older_request_of_a_client_ends_at_once_though_nothing_comes(host: EventHost) -> None:
    app = host.make_app(HEARTBEAT_SECONDS=20)
    first = host.get(app=app, delivery="stream", client="tab")
    got: list[bytes] = []

    def read() -> None:
        for chunk in first.response:
            got.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    wait_until(lambda: got)
    host.publish(1)
    wait_until(lambda: len(got) > 1)
    second = host.get(app=app, delivery="stream", client="tab")
    reader.join(10)
    assert not reader.is_alive()
    second.close()


@pytest.mark.store
def test_over_the_capacity_a_stream_is_answered_at_once_and_asked_to_come_again(
    host: EventHost,
) -> None:
    app = host.make_app(CAPACITY=1)
    cursor = last_cursor(host.ask(app=app))
    full = host.get(app=app, delivery="stream")
    next(iter(full.response))
    for delivery in ("stream", "hold"):
        text = host.ask(cursor, app=app, delivery=delivery)
        assert parse(text) == []
        assert 1000 <= int(text.split("retry: ")[1].split("\n")[0]) <= 3000
    host.publish(1)
    assert numbers(host.ask(cursor, app=app, delivery="stream")) == [1]
    full.close()
    assert not host.streams(app)


class Gunicorn:
    """As gunicorn's own: among the callers of what loads the app, with a `cfg`."""

    def __init__(self, threads: int) -> None:
        self.begun: list[object] = []
        self.cfg = SimpleNamespace(
            worker_class_str="gthread", threads=threads, post_worker_init=self.begun.append
        )
        self.cfg.set = partial(setattr, self.cfg)

    def load(self, host: EventHost, **settings: Any) -> Flask:
        return host.make_app(**settings)


@pytest.mark.store
@pytest.mark.parametrize(("threads", "streams"), [(8, 6), (120, 100)])
def test_some_threads_stay_free_of_streams(host: EventHost, threads: int, streams: int) -> None:
    app = Gunicorn(threads).load(host, CAPACITY=1000)
    held = [host.get(app=app, delivery="stream", client=str(n)) for n in range(threads)]
    assert host.streams(app) == streams
    for each in held:
        each.close()


@pytest.mark.store
def test_a_hosts_own_start_of_a_worker_is_kept(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled: list[int] = []
    monkeypatch.setattr(rt.signal, "signal", lambda number, _: handled.append(number))
    gunicorn = Gunicorn(8)
    gunicorn.load(host)
    gunicorn.cfg.post_worker_init("worker")
    assert gunicorn.begun == ["worker"]
    assert handled == [rt.signal.SIGTERM]


@pytest.mark.store
@pytest.mark.parametrize("delivery", ["stream", "hold"])
def test_a_worker_without_threads_answers_at_once(host: EventHost, delivery: str) -> None:
    cursor = last_cursor(host.ask(delivery=delivery, threads=False))
    text = host.ask(cursor, delivery=delivery, threads=False)
    assert parse(text) == []
    assert int(text.split("retry: ")[1].split("\n")[0]) >= 1000
    host.publish(1)
    assert numbers(host.ask(cursor, delivery=delivery, threads=False)) == [1]


@pytest.mark.store
def test_a_response_that_is_never_read_gives_its_place_back(host: EventHost) -> None:
    response = host.get(delivery="stream")
    assert host.streams() == 1
    response.close()
    assert not host.streams()


@pytest.mark.store
@pytest.mark.parametrize("after", ["%00", "garbage", "A" * 3000])
def test_an_unreadable_cursor_is_answered_by_reset(host: EventHost, after: str) -> None:
    host.publish(1)
    [reset] = parse(host.ask(after))
    assert reset["type"] == "reset"
    host.publish(2)
    assert numbers(host.ask(reset["data"]["cursor"])) == [2]


@pytest.mark.store
def test_a_cursor_that_is_too_old_or_of_the_future_is_answered_by_reset(host: EventHost) -> None:
    now = rt.now_ms()
    for watermark in (0, now - 125_000, now + HOUR):
        [hello, *_] = parse(host.ask(rt.Cursor(watermark).encode()))
        assert hello["type"] == "reset"
        assert rt.Cursor.decode(hello["data"]["cursor"]).watermark < now
    host.publish(1)
    assert numbers(host.ask(rt.Cursor(now - 100_000).encode())) == [1]


@pytest.mark.store
def test_reset_comes_with_hello_where_it_was_asked_for_and_is_not_undone_by_it(
    host: EventHost,
) -> None:
    reset, hello = parse(host.ask("garbage", hello="1"))
    assert [reset["type"], hello["type"]] == ["reset", "hello"]
    assert reset["data"]["cursor"] == hello["data"]["cursor"] == hello["cursor"]


@pytest.mark.store
def test_a_sleeper_of_more_records_than_are_kept_is_reset_and_never_told_a_part(
    host: EventHost,
) -> None:
    before = last_cursor(host.ask())
    apps = [host.make_app(RING_SIZE=10, elsewhere=elsewhere) for elsewhere in (False, True)]
    host.ask(app=apps[0])
    for n in range(15):
        host.publish(n)
    for app in apps:
        assert [event["type"] for event in parse(host.ask(before, app=app))] == ["reset"]


@pytest.mark.store
def test_a_late_commit_that_is_kept_no_longer_does_not_hide_what_went_before_it(
    host: EventHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = host.make_app(RING_SIZE=10, LINGER_SECONDS=60)
    host.ask(app=app)
    before = rt.Cursor(rt.now_ms() - 1).encode()
    host.publish(0)
    real = rt.now_ms
    monkeypatch.setattr(rt, "now_ms", lambda: real() - 5_000)
    host.publish(1)
    monkeypatch.undo()
    for n in range(2, 12):
        host.publish(n)
    assert [event["type"] for event in parse(host.ask(before, app=app))] == ["reset"]


@pytest.mark.store
def test_a_stream_that_more_overtook_than_are_kept_goes_on_from_its_cursor(host: EventHost) -> None:
    app = host.make_app(RING_SIZE=10)
    response = host.get(app=app, delivery="stream")
    chunks = iter(response.response)
    cursor = last_cursor(next(chunks).decode())
    for n in range(25):  # while this client's connection is slow
        host.publish(n)
    assert list(chunks) == []
    assert [event["type"] for event in parse(host.ask(cursor, app=app))] == ["reset"]


@pytest.mark.store
def test_a_process_that_shuts_down_still_tells_what_it_has(host: EventHost) -> None:
    cursor = last_cursor(host.ask())
    stream = host.get(cursor, delivery="stream")
    host.publish(1)
    host.close()
    assert numbers(host.ask(cursor)) == [1]
    assert host.ask(cursor, delivery="stream").count("event:") == 1, "and opens no stream"
    end = stream.get_data(as_text=True).split("retry: ")[-1]
    assert 1000 <= int(end.strip()) <= 3000, "not all pages at the same moment"


@pytest.mark.store
@pytest.mark.parametrize("nobody", [None, False, ""])
def test_without_a_login_the_answer_is_401(host: EventHost, nobody: Any) -> None:
    host.user = nobody
    before = pollers()
    for path in ("events", "versions?id=1"):
        response = host.app.test_client().get(f"/realtime/{path}")
        assert response.status_code == 401
        assert response.json["error"]["code"] == "login_required"
        assert host.app.test_client().options(f"/realtime/{path}").status_code == 405
    assert pollers() == before, "a stranger must not make the store work"


@pytest.mark.store
def test_a_user_whose_id_is_zero_is_somebody(host: EventHost) -> None:
    host.user = 0
    assert parse(host.ask())[0]["type"] == "hello"


@pytest.mark.store
def test_an_unknown_delivery_is_refused_by_field(host: EventHost) -> None:
    response = host.get(delivery="push")
    assert response.status_code == 400
    assert response.json["error"]["field"] == "delivery"


# --- pages ------------------------------------------------------------------------------------

HEAD = '{% include "realtime_events/head.html" %}'


def page_of(html: str) -> dict[str, Any]:
    """What the include gave the page."""
    found: dict[str, Any] = json.loads(html.split('id="realtime-events">')[1].split("</script>")[0])
    return found


def with_page(host: EventHost, view: Callable[[], object] = lambda: None, **more: Any) -> Flask:
    """An app whose page `/` is rendered after `view` has read its data."""
    app = host.make_app(**more)
    app.template_folder = str(ROOT / "templates")

    @app.get("/")
    def page() -> str:
        view()
        return render_template_string(HEAD)

    return app


@pytest.mark.store
def test_a_page_gets_what_its_script_needs_and_a_strangers_nothing(host: EventHost) -> None:
    host.user = 7
    client = with_page(host).test_client()
    html = client.get("/").get_data(as_text=True)
    page = page_of(html)
    assert list(page) == ["csrf", "cursor", "url", "user"]
    assert (page["url"], page["user"]) == ("/realtime", "7")
    assert 'src="/static/realtime_events.js"' in html
    host.user = None
    assert client.get("/").get_data(as_text=True).strip() == ""


@pytest.mark.store
@pytest.mark.parametrize("listened", [False, True])
def test_a_page_rendered_after_its_data_were_read_misses_nothing(
    host: EventHost, listened: bool
) -> None:
    app = with_page(host, lambda: host.publish(1))  # committed between reading and rendering
    host.publish(0)
    if listened:
        host.ask(app=app)
    cursor = page_of(app.test_client().get("/").get_data(as_text=True))["cursor"]
    assert 1 in numbers(host.ask(cursor, app=app))


@pytest.mark.store
def test_a_pages_cursor_is_older_than_what_the_hosts_own_hooks_read(host: EventHost) -> None:
    def setup(app: Flask) -> None:
        app.before_request(lambda: host.publish(1))  # registered before the module's

    app = with_page(host, setup=setup)
    with app.test_request_context():
        host.ask()
    host_cursor = page_of(app.test_client().get("/").get_data(as_text=True))["cursor"]
    assert 1 in numbers(host.ask(host_cursor))


def with_change(app: Flask) -> Any:
    """A client of an app with a guarded route that changes something."""
    view = lambda: {"context": ndb.get_context() is not None}  # noqa: E731
    rt.add_routes(app, "some.changes", {"POST /change": view})
    return app.test_client()


@pytest.mark.store
def test_a_change_needs_the_token_of_this_users_page(host: EventHost) -> None:
    client = with_change(with_page(host))
    token = page_of(client.get("/").get_data(as_text=True))["csrf"]
    for headers in ({}, {"X-CSRFToken": "wrong"}, {"X-CSRFToken": "ç"}):
        answer = client.post("/change", headers=headers)
        assert answer.status_code == 403
        assert answer.json["error"]["code"] == "bad_csrf_token"
    assert client.post("/change", headers={"X-CSRFToken": token}).json == {"context": True}
    host.user = "bruno"
    assert client.post("/change", headers={"X-CSRFToken": token}).status_code == 403
    host.user = None
    assert client.post("/change", headers={"X-CSRFToken": token}).status_code == 401


@pytest.mark.store
def test_with_flask_wtf_its_token_is_the_pages(host: EventHost) -> None:
    from flask_wtf import CSRFProtect

    client = with_change(with_page(host, setup=CSRFProtect))
    assert client.post("/change").status_code == 400
    token = page_of(client.get("/").get_data(as_text=True))["csrf"]
    assert client.post("/change", headers={"X-CSRFToken": token}).json == {"context": True}


@pytest.mark.store
def test_a_host_without_a_secret_key_is_told_so(host: EventHost) -> None:
    app = with_page(host)
    app.secret_key = None
    app.testing = True
    with pytest.raises(RuntimeError, match="secret_key"):
        app.test_client().get("/")


@pytest.mark.store
def test_an_open_ndb_context_of_the_hosts_is_used_and_kept(host: EventHost) -> None:
    gate = Gate(host.store.context)
    client = with_change(host.make_app(context=gate))
    client.application.config["WTF_CSRF_ENABLED"] = False
    host.cron = True
    with host.store.context() as opened:
        assert client.get("/realtime/cleanup").status_code == 200
        assert ndb.get_context() is opened
    assert gate.requests == 0
    assert client.get("/realtime/cleanup").status_code == 200
    assert gate.requests == 1

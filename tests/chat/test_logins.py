"""A login is over when it is ended: for copies of its cookie, on all instances, in open streams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient

import realtime_events
from chat.platform import datastore
from chat.team import attendants, auth
from chat.team.attendants import CACHE_SECONDS, STREAM_CACHE_SECONDS, Attendant
from main import create_app
from tests.chat.support import Browser, login, stored, token_of
from tests.helpers import SETTINGS, LiveServer, Store, add_attendant, wait_until

pytestmark = pytest.mark.store

PROBE = "/api/conversations"


def log_in(app: Flask, username: str = "ana") -> Browser:
    """One more browser of somebody who is there already."""
    client = app.test_client()
    form = {"username": username, "password": username, "csrf_token": token_of(client)}
    assert client.post("/login", data=form).status_code == 302
    return Browser(client, token_of(client, "/"))


def copy_of(app: Flask, browser: Browser) -> FlaskClient:
    """A thief's browser, with the cookie as it is now."""
    cookie = browser.client.get_cookie("chat_session")
    assert cookie is not None
    thief = app.test_client()
    thief.set_cookie("chat_session", cookie.value)
    return thief


def leave(browser: Browser, path: str = "/logout") -> Any:
    return browser.client.post(path, data={"csrf_token": browser.token})


def status(client: FlaskClient) -> int:
    return client.get(PROBE).status_code


@contextmanager
def on_another_instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What happens in here this process does not get to know of."""
    with monkeypatch.context() as other:
        other.setattr(attendants, "forget", lambda _username: None)
        yield


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`passes(30)`: so many seconds go by for what this process remembers."""
    offset = 0.0
    real = attendants._monotonic

    def move(seconds: float) -> None:
        nonlocal offset
        offset += seconds

    monkeypatch.setattr(attendants, "_monotonic", lambda: real() + offset)
    return move


def test_a_logout_ends_the_session(ana: Browser) -> None:
    response = leave(ana)
    assert response.headers["Location"] == "/login"
    assert status(ana.client) == 401
    assert ana.client.get("/").status_code == 302


def test_a_cookie_copied_before_the_logout_is_dead_after_it(app: Flask, ana: Browser) -> None:
    thief = copy_of(app, ana)
    assert status(thief) == 200
    leave(ana)
    assert status(thief) == 401
    assert thief.get("/realtime/events").status_code == 401
    assert thief.get("/login").status_code == 200


def test_using_a_dead_cookie_does_not_revive_it(app: Flask, ana: Browser) -> None:
    thief = copy_of(app, ana)
    leave(ana)
    for _ in range(3):  # the session is written anew: with a token, a message
        thief.get("/login")
        thief.post("/login", data={"csrf_token": token_of(thief), "username": "ana"})
    assert status(thief) == 401
    log_in(app)
    assert status(thief) == 401


def test_a_logout_leaves_the_persons_other_browsers_alone(app: Flask, ana: Browser) -> None:
    phone = log_in(app)
    leave(ana)
    assert status(phone.client) == 200
    assert status(log_in(app).client) == 200


def test_leaving_everywhere_ends_every_login_of_this_person_alone(app: Flask, ana: Browser) -> None:
    phone, bruno = log_in(app), login(app, "bruno")
    thief = copy_of(app, phone)
    response = leave(ana, "/logout/everywhere")
    assert response.headers["Location"] == "/login"
    page = ana.client.get("/login").text
    assert "Você saiu de todos os aparelhos: os outros perdem o acesso em até 30 segundos." in page
    assert "Você saiu" not in ana.client.get("/login").text
    assert [status(each) for each in (ana.client, phone.client, thief)] == [401] * 3
    assert status(bruno.client) == 200
    assert status(log_in(app).client) == 200


def test_the_menu_offers_both(ana: Browser) -> None:
    page = ana.get("/").text
    assert 'action="/logout"' in page
    assert 'formaction="/logout/everywhere">Desconectar de todos os aparelhos</button>' in page


@pytest.mark.parametrize("path", ["/logout", "/logout/everywhere"])
def test_another_instance_knows_within_the_bound(
    ana: Browser, monkeypatch: pytest.MonkeyPatch, passes: Callable[[float], None],
    app: Flask, path: str,
) -> None:  # fmt: skip
    thief = copy_of(app, ana)
    assert status(thief) == 200
    with on_another_instance(monkeypatch):
        leave(ana, path)
    passes(CACHE_SECONDS)
    assert status(thief) == 401
    assert CACHE_SECONDS <= 30


def test_the_bound_counts_from_the_question_not_from_its_answer(
    ana: Browser, app: Flask, monkeypatch: pytest.MonkeyPatch, passes: Callable[[float], None]
) -> None:
    """An answer that took five seconds is five seconds old."""
    attendants.forget("ana")
    real = attendants.datastore.get

    def slow(*args: Any) -> Any:
        found = real(*args)
        passes(5)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(attendants.datastore, "get", slow)
        assert status(ana.client) == 200
    thief = copy_of(app, ana)
    with on_another_instance(monkeypatch):
        leave(ana)
    passes(CACHE_SECONDS - 5)
    assert status(thief) == 401


def test_a_logout_is_not_undone_by_who_read_just_before(
    app: Flask, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    attendants.forget("ana")
    thief = copy_of(app, ana)
    real, done = attendants.datastore.get, []

    def overtaken(*args: Any) -> Any:
        found = real(*args)
        if not done:
            done.append(True)
            leave(ana)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(attendants.datastore, "get", overtaken)
        status(thief)
    assert done
    assert status(thief) == 401


def test_a_known_login_costs_no_read(ana: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status(ana.client) == 200

    def fail(*_args: object) -> None:
        raise AssertionError("the store was asked who this is")

    monkeypatch.setattr(attendants.datastore, "get", fail)
    assert status(ana.client) == 200


def test_a_new_password_ends_the_old_logins(app: Flask, ana: Browser) -> None:
    with datastore.context():
        auth.save_attendant("ana", "nova")
    assert status(ana.client) == 401


def test_who_was_removed_and_added_again_is_not_logged_in(app: Flask, ana: Browser) -> None:
    with datastore.context():
        assert attendants.remove_attendant("Ana")
        assert status(ana.client) == 401
        auth.save_attendant("ana", "ana")
    attendants.forget("ana")
    assert status(ana.client) == 401


def test_a_session_of_before_logins_had_ids_is_over(app: Flask, ana: Browser) -> None:
    with ana.client.session_transaction() as session:
        session["_user_id"] = "ana:0123456789abcdef"
    assert status(ana.client) == 401


@pytest.mark.parametrize("user_id", ["", "ana", "ana:", ":", ":x", "__x__:y", "ana:x:y"])
def test_a_session_that_names_no_login_is_none(app: Flask, ana: Browser, user_id: str) -> None:
    with ana.client.session_transaction() as session:
        session["_user_id"] = user_id
    assert status(ana.client) == 401


def test_a_login_ends_by_itself_on_the_server_too(
    app: Flask, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = attendants._now_ms() + int(app.permanent_session_lifetime.total_seconds() * 1000) + 1
    attendants.forget("ana")
    monkeypatch.setattr(attendants, "_now_ms", lambda: later)
    assert status(ana.client) == 401
    log_in(app)
    assert len(stored(Attendant)[0].logins) == 1, "what is over is kept"


def test_the_list_of_logins_stays_short(
    app: Flask, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendants, "MAX_LOGINS", 3)
    second, third, fourth = (log_in(app) for _ in range(3))
    attendants.forget("ana")
    browsers = (ana, second, third, fourth)
    assert [status(each.client) for each in browsers] == [401, 200, 200, 200]
    assert len(stored(Attendant)[0].logins) == 3


def test_a_login_over_another_ends_the_other(app: Flask, ana: Browser) -> None:
    login(app, "bruno")
    thief = copy_of(app, ana)
    form = {"username": "bruno", "password": "bruno", "csrf_token": ana.token}
    assert ana.client.post("/login", data=form).status_code == 302
    assert 'data-user-id="bruno"' in ana.get("/").text
    assert status(thief) == 401


def test_a_logout_without_a_store_still_ends_this_browser(
    app: Flask, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_args: object, **_named: object) -> None:
        raise datastore.StoreUnavailableError("down")

    assert status(ana.client) == 200
    with monkeypatch.context() as outage:
        outage.setattr(attendants.realtime_events, "transaction", down)
        assert leave(ana).headers["Location"] == "/login"
    assert status(ana.client) == 401
    page = ana.client.get("/login").text
    assert "o banco de dados não respondeu" in page
    assert "Desconectar de todos os aparelhos" in page


def test_the_login_page_tells_of_a_store_that_is_down(
    app: Flask, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_args: object, **_named: object) -> None:
        raise datastore.StoreUnavailableError("down")

    attendants.forget("ana")
    monkeypatch.setattr(datastore, "get", down)
    monkeypatch.setattr(attendants.realtime_events, "transaction", down)
    assert ana.client.get("/login").status_code == 200
    form = {"username": "ana", "password": "ana", "csrf_token": ana.token}
    response = ana.client.post("/login", data=form)
    assert (response.status_code, response.mimetype) == (503, "text/html")
    assert "O banco de dados não respondeu. Tente novamente em instantes." in response.text
    assert response.headers["Retry-After"] == "5"
    assert ana.get(PROBE).status_code == 503


def test_nothing_of_a_login_can_be_guessed(app: Flask, ana: Browser) -> None:
    first, second = (each.split(" ")[0] for each in [*stored(Attendant)[0].logins, "x y"])
    assert len(first) >= 16
    assert first != second


# --- open streams ---------------------------------------------------------------------------------


#: As under gunicorn's threads: without them every answer ends at once.
THREADED = {"wsgi.multithread": True}


@pytest.fixture
def streaming(store: object, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An application whose streams have a heartbeat ten times a second."""
    for key, value in SETTINGS.items():
        monkeypatch.setenv(key, value)
    quick = {"REALTIME_EVENTS_HEARTBEAT_SECONDS": 0.1, "REALTIME_EVENTS_POLL_SECONDS": 0.1}
    return create_app({"TESTING": True, "REALTIME_EVENTS_DELIVERY": "stream", **quick})


@contextmanager
def open_stream(client: FlaskClient) -> Iterator[Iterator[bytes]]:
    response = client.get("/realtime/events", buffered=False, environ_overrides=THREADED)
    assert response.status_code == 200
    pieces = iter(response.iter_encoded())
    assert b"event: hello" in next(pieces)
    yield pieces
    response.close()


def tell(text: str) -> None:
    """An event for every attendant."""

    def publish() -> None:
        realtime_events.publish("test.told", {"text": text}, conversation_id=None)

    with datastore.context():
        realtime_events.transaction(publish)


@pytest.mark.parametrize("path", ["/logout", "/logout/everywhere"])
def test_a_logout_ends_the_streams_of_that_login(
    streaming: Flask, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = login(streaming)
    phone, bruno = log_in(streaming), login(streaming, "bruno")
    streams = [open_stream(each.client) for each in (ana, phone, bruno)]
    (mine, hers, his) = (stream.__enter__() for stream in streams)
    with streaming.app_context():
        leave(ana, path)
        tell("depois da saída")
    assert b"depois" not in b"".join(mine), "and it ended"
    if path == "/logout":
        assert any(b"depois" in piece for piece in hers)
    else:
        assert b"depois" not in b"".join(hers)
    assert any(b"depois" in piece for piece in his)
    for stream in streams:
        stream.__exit__(None, None, None)


def test_a_logout_on_another_instance_ends_them_within_the_bound(
    streaming: Flask, monkeypatch: pytest.MonkeyPatch, passes: Callable[[float], None]
) -> None:
    ana = login(streaming)
    with open_stream(ana.client) as pieces:
        with on_another_instance(monkeypatch):
            leave(ana)
        next(pieces)
        passes(STREAM_CACHE_SECONDS)
        assert b"depois" not in b"".join(pieces)
    heartbeat = realtime_events.DEFAULTS["HEARTBEAT_SECONDS"][0]
    assert STREAM_CACHE_SECONDS + heartbeat < CACHE_SECONDS


def test_a_new_password_and_a_removal_end_them_too(streaming: Flask) -> None:
    for change in (
        lambda: auth.save_attendant("ana", "nova senha"),
        lambda: attendants.remove_attendant("ana"),
    ):
        ana = login(streaming)
        with open_stream(ana.client) as pieces:
            with datastore.context():
                change()
            b"".join(pieces)


def test_a_store_that_hiccups_ends_no_stream_before_its_time(
    streaming: Flask, monkeypatch: pytest.MonkeyPatch, passes: Callable[[float], None]
) -> None:
    def down(*_args: object) -> None:
        raise datastore.StoreUnavailableError("down")

    ana = login(streaming)
    with open_stream(ana.client) as pieces:
        monkeypatch.setattr(attendants.datastore, "get", down)
        passes(CACHE_SECONDS - 3)
        assert b"hb" in next(pieces)
        passes(3)
        b"".join(pieces)


def test_a_stream_that_is_closed_early_gives_its_place_back(streaming: Flask) -> None:
    ana = login(streaming)
    hub = streaming.extensions["realtime_events"].hub
    for _ in range(3):
        response = ana.client.get("/realtime/events", buffered=False, environ_overrides=THREADED)
        assert len(hub.streams) == 1
        response.close()
        assert len(hub.streams) == 0


@pytest.mark.long
def test_a_logout_on_one_process_ends_a_stream_on_another_in_time(
    live_server: Callable[..., LiveServer], store: Store
) -> None:
    first, second = live_server(), live_server()
    add_attendant(store, "ana", password="ana")
    with requests.Session() as browser, requests.Session() as copy:
        browser.trust_env = copy.trust_env = False
        page = browser.get(f"{first.url}/login", timeout=30).text
        form = {"username": "ana", "password": "ana", "csrf_token": token_in(page)}
        token = token_in(browser.post(f"{first.url}/login", data=form, timeout=30).text)
        copy.headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
        stream = copy.get(f"{second.url}/realtime/events", stream=True, timeout=60)
        pieces = stream.iter_content(None)
        assert b"event: hello" in next(pieces)
        browser.post(f"{first.url}/logout", data={"csrf_token": token}, timeout=30)
        began = time.monotonic()
        b"".join(pieces)
        assert time.monotonic() - began < CACHE_SECONDS
        for server in (first, second):
            wait_until(lambda url=server.url: copy.get(f"{url}{PROBE}").status_code == 401, 30)


def token_in(page: str) -> str:
    return page.split('name="csrf-token" content="')[1].split('"')[0]

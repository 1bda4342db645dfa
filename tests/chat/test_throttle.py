"""Guessing passwords gets slow, over all instances; nobody is locked out for long by it."""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from chat.platform import datastore
from chat.team import attendants, auth, throttle
from chat.team.throttle import BUCKETS, RULES, LoginAttempts, Refusals, Rule, Throttle, in_words
from main import create_app
from tests.chat.support import run_together, stored, token_of
from tests.helpers import ON_APP_ENGINE, SETTINGS

pytestmark = pytest.mark.store

HOME, ELSEWHERE = "203.0.113.7", "198.51.100.9"


@dataclass
class Clock:
    """Seconds since 1970, moved by the test."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def instance(clock: Clock, **settings: str) -> Flask:
    """An application on the test's store that goes by this clock."""
    app = create_app({**SETTINGS, "TESTING": True, **settings})
    app.extensions["login_throttle"] = Throttle(SETTINGS["SECRET_KEY"], clock)
    app.extensions["login_refusals"] = Refusals(logging.getLogger("chat.team.auth"), clock)
    return app


@pytest.fixture
def app(app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Flask:
    # What is counted is the tries; real hashes are slow on purpose.
    monkeypatch.setattr(attendants, "generate_password_hash", str.upper)
    monkeypatch.setattr(auth, "check_password_hash", lambda kept, given: kept == given.upper())
    with datastore.context():
        for name in ("ana", "bruno"):
            auth.save_attendant(name, f"senha de {name}")
    return instance(clock)


def tries(
    app: Flask,
    username: str = "ana",
    password: str = "errada",  # noqa: S107
    address: str = HOME,
    client: FlaskClient | None = None,
) -> TestResponse:
    """One login with the form, from a browser that was never here, unless a client is given."""
    client = client or app.test_client()
    form = {"username": username, "password": password, "csrf_token": token_of(client)}
    return client.post("/login", data=form, environ_base={"REMOTE_ADDR": address})


def right(app: Flask, username: str = "ana", address: str = HOME) -> int:
    return tries(app, username, f"senha de {username}", address).status_code


def wear_out(app: Flask, clock: Clock, seconds: float = 600, **who: str) -> list[float]:
    """Wrong passwords, each as soon as it is allowed; when the last `seconds` ends, the waits."""
    waits, end = [], clock.now + seconds
    while True:
        response = tries(app, **who)
        assert response.status_code in (401, 429), response.text
        wait = float(response.headers.get("Retry-After", 0))
        waits.append(wait)
        if clock.now + wait >= end:
            return waits
        clock.now += wait


def test_three_hundred_wrong_passwords_are_a_handful_of_tries(app: Flask, clock: Clock) -> None:
    codes = []
    for _ in range(300):
        codes.append(tries(app).status_code)
        clock.now += 1 / 13
    assert codes.count(401) <= 10
    assert set(codes) == {401, 429}


def test_the_person_is_told_how_long(app: Flask, clock: Clock) -> None:
    for _ in range(4):
        response = tries(app)
        assert "Retry-After" not in response.headers
        assert "Tente novamente" not in response.text
    waits = []
    for _ in range(4):
        response = tries(app)
        wait = int(response.headers["Retry-After"])
        assert response.status_code == 401
        assert f"Usuário ou senha incorretos. Tente novamente em {in_words(wait)}." in response.text
        clock.now += wait - 3
        response = tries(app)
        assert response.status_code == 429
        assert response.headers["Retry-After"] == "3"
        assert "Foram muitas tentativas. Tente novamente em 3 segundos." in response.text
        assert 'value="ana"' in response.text
        clock.now += 3
        waits.append(wait)
    assert waits == [5, 10, 20, 40]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 segundo"), (1, "1 segundo"), (29.1, "30 segundos"), (60, "60 segundos"),
     (100, "2 minutos"), (121, "3 minutos"), (300, "5 minutos")],
)  # fmt: skip
def test_a_wait_is_never_told_too_short(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_the_right_password_is_no_help_while_one_has_to_wait(app: Flask, clock: Clock) -> None:
    for _ in range(5):
        tries(app)
    assert right(app) == 429
    clock.now += 5
    assert right(app) == 302


def test_waiting_is_not_prolonged_by_trying(app: Flask, clock: Clock) -> None:
    for _ in range(5):
        tries(app)
    for _ in range(20):
        assert tries(app).status_code == 429
        clock.now += 0.24
    clock.now += 0.3
    assert right(app) == 302


def test_other_instances_know(app: Flask, clock: Clock) -> None:
    other = instance(clock)
    codes = [tries(each).status_code for each in (app, other) * 4]
    assert codes == [401] * 5 + [429] * 3
    assert right(other) == 429
    clock.now += 5
    assert right(other) == 302
    assert tries(app).status_code == 401, "the first instance believes in a wait that is over"


def test_many_at_the_same_moment_get_no_more_tries(app: Flask, clock: Clock) -> None:
    other = instance(clock)
    clients = [each.test_client() for each in (app, other) * 6]
    tokens = {client: token_of(client) for client in clients}

    def guess(client: FlaskClient) -> int:
        form = {"username": "ana", "password": "errada", "csrf_token": tokens[client]}
        base = {"REMOTE_ADDR": HOME}
        return client.post("/login", data=form, environ_base=base).status_code

    codes = run_together(*(lambda client=client: guess(client) for client in clients))
    assert set(codes) <= {401, 429, 503}
    assert codes.count(401) <= RULES["pair"].free


def test_a_name_from_one_address_harms_neither_its_owner_nor_the_neighbour(
    app: Flask, clock: Clock
) -> None:
    wear_out(app, clock, 300)
    assert tries(app).status_code == 429
    assert right(app, "ana", ELSEWHERE) == 302
    assert right(app, "bruno", HOME) == 302


def test_one_address_that_tries_many_names_is_slowed_down(app: Flask, clock: Clock) -> None:
    codes = [tries(app, f"pessoa{number}").status_code for number in range(40)]
    assert codes == [401] * 20 + [429] * 20
    assert right(app, "ana", HOME) == 429
    assert right(app, "ana", ELSEWHERE) == 302
    # An office shares an address: its colleagues never wait longer than a minute.
    waits = []
    for number in range(10):
        waits.append(float(tries(app, f"outra{number}").headers["Retry-After"]))
        clock.now += 60
    assert max(waits) == 60
    assert right(app, "bruno", HOME) == 302


def test_a_name_from_many_addresses_is_slowed_down_but_not_for_long(
    app: Flask, clock: Clock
) -> None:
    codes = [tries(app, address=f"10.0.{n}.1").status_code for n in range(30)]
    assert codes == [401] * 20 + [429] * 10
    waits = []
    for number in range(10):
        waits.append(float(tries(app, address=f"10.1.{number}.1").headers["Retry-After"]))
        clock.now += 30
    assert max(waits) == 30
    assert right(app, "ana", ELSEWHERE) == 302


def test_a_browser_that_was_logged_in_before_waits_for_no_stranger(
    app: Flask, clock: Clock
) -> None:
    mine = app.test_client()
    assert tries(app, "ana", "senha de ana", client=mine).status_code == 302
    token = token_of(mine, "/")
    assert mine.post("/logout", data={"csrf_token": token}).status_code == 302
    for number in range(30):  # both the name and the address are worn out
        tries(app, address=f"10.0.{number}.1")
        tries(app, f"pessoa{number}")
    assert right(app) == 429
    assert tries(app, "ana", "senha de ana", client=mine).status_code == 302


def test_such_a_browser_may_not_guess_without_an_end(app: Flask, clock: Clock) -> None:
    mine = app.test_client()
    tries(app, "ana", "senha de ana", client=mine)
    mine.post("/logout", data={"csrf_token": token_of(mine, "/")})
    codes = [tries(app, client=mine).status_code for _ in range(7)]
    assert codes == [401] * 5 + [429] * 2
    # It is known for one name only.
    assert [tries(app, "bruno", client=mine).status_code for _ in range(6)] == [401] * 5 + [429]


def test_a_forged_mark_of_such_a_browser_counts_for_nothing(app: Flask) -> None:
    client = app.test_client()
    client.set_cookie("chat_session", "eyJkZXZpY2VzIjp7fX0.aaaaaa.forged")
    assert [tries(app, client=client).status_code for _ in range(6)] == [401] * 5 + [429]


def test_who_is_logged_in_is_never_locked_out(app: Flask, clock: Clock) -> None:
    ana = app.test_client()
    assert tries(app, "ana", "senha de ana", client=ana).status_code == 302
    wear_out(app, clock, 120)
    for number in range(30):
        tries(app, f"pessoa{number}")
    assert tries(app).status_code == 429
    base = {"REMOTE_ADDR": HOME}
    assert ana.get("/api/conversations", environ_base=base).status_code == 200
    assert ana.get("/", environ_base=base).status_code == 200
    assert ana.get("/login", environ_base=base).headers["Location"] == "/"


def test_a_right_password_starts_ones_own_count_anew(app: Flask) -> None:
    for _ in range(3):
        for _ in range(4):
            assert tries(app).status_code == 401
        assert right(app) == 302


def test_having_one_password_gives_no_free_tries_at_others(app: Flask) -> None:
    codes = []
    for number in range(30):
        codes.append(tries(app, f"pessoa{number}").status_code)
        tries(app, "bruno", "senha de bruno")
    assert codes.count(401) == RULES["address"].free


def test_a_quiet_hour_forgets(app: Flask, clock: Clock) -> None:
    wear_out(app, clock, 60)
    clock.now += throttle.FORGET_SECONDS + 301
    assert [tries(app).status_code for _ in range(5)] == [401] * 5


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),  # one network, one household
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_an_address_is_what_one_person_commands(first: str, second: str, same: bool) -> None:
    counts = Throttle("key")
    one, two = (counts.attempt("ana", each, None).buckets["pair"] for each in (first, second))
    assert (one == two) is same


@pytest.mark.parametrize("address", [None, "", "unix:", "203.0.113.7:4711", "nonsense"])
def test_an_address_that_is_none_is_an_address_too(
    app: Flask, clock: Clock, address: str | None
) -> None:
    counts = Throttle("key", clock)
    attempt = counts.attempt("ana", address, None)
    assert attempt.network == "unknown"
    with datastore.context():
        assert counts.take(attempt) == 0


def test_in_production_the_address_is_the_one_before_the_front_end(
    app: Flask, clock: Clock
) -> None:
    production = instance(clock, **ON_APP_ENGINE)
    codes = []
    for number in range(40):
        client = production.test_client()
        # What a client claims stands first; the last is the front end's word.
        headers = {"X-Forwarded-For": f"10.9.8.{number}, {HOME}", "X-Forwarded-Proto": "https"}
        page = client.get("/login", headers=headers, base_url="https://localhost").text
        token = page.split('"csrf-token" content="')[1].split('"')[0]
        headers["Referer"] = "https://localhost/login"
        form = {"username": f"pessoa{number}", "password": "x", "csrf_token": token}
        response = client.post("/login", data=form, headers=headers, base_url="https://localhost")
        codes.append(response.status_code)
    assert codes == [401] * 20 + [429] * 20


def test_the_table_cannot_grow_without_an_end(app: Flask, clock: Clock) -> None:
    counts = Throttle("key", clock)
    names = set()
    for number in range(3000):
        attempt = counts.attempt(f"name{number}", f"10.0.{number // 250}.{number % 250}", None)
        names.update(attempt.buckets.values())
    assert all(int(name.split("-")[1], 16) < BUCKETS for name in names)
    assert {name.split("-")[0] for name in names} <= set(RULES)
    assert BUCKETS * len(RULES) < 300_000


def test_a_login_that_works_leaves_nothing_behind(app: Flask) -> None:
    assert right(app) == 302
    assert stored(LoginAttempts) == []


def test_neither_names_nor_addresses_are_stored(app: Flask) -> None:
    tries(app, address=HOME)
    entities = stored(LoginAttempts)
    assert len(entities) == 3
    shown = repr([(each.key.id(), each.to_dict()) for each in entities])
    assert "ana" not in shown
    assert HOME not in shown


def test_buckets_depend_on_the_secret_key() -> None:
    one = Throttle("one").attempt("ana", HOME, None)
    two = Throttle("two").attempt("ana", HOME, None)
    assert set(one.buckets.values()) & set(two.buckets.values()) == set()
    assert one.name_mark != two.name_mark


def test_a_clock_that_is_ahead_locks_nobody_out(app: Flask, clock: Clock) -> None:
    for seconds in (2, 86_400):
        ahead = instance(Clock(clock.now + seconds))
        for _ in range(4):
            assert tries(ahead).status_code == 401
        assert right(app) == 302, seconds
    for _ in range(8):
        tries(ahead)
    assert right(app) == 302


def test_a_closed_bucket_costs_neither_store_nor_hash(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        tries(app)

    def fail(*_args: object, **_named: object) -> None:
        raise AssertionError("work for somebody who has to wait")

    monkeypatch.setattr(throttle.realtime_events, "transaction", fail)
    monkeypatch.setattr(auth, "check_password_hash", fail)
    assert tries(app).status_code == 429


def test_an_unknown_name_is_slowed_down_as_a_known_one(app: Flask) -> None:
    def seen(username: str) -> list[tuple[int, str | None]]:
        answers = (tries(app, username, address=f"{username}.example") for _ in range(7))
        return [(each.status_code, each.headers.get("Retry-After")) for each in answers]

    assert seen("ana") == seen("ninguem")


def test_the_log_tells_of_it_without_name_password_or_address(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(8):
        tries(app, "minha-senha-secreta", "outra-senha", "203.0.113.77")
    tries(app, "ana", "outra-senha", "2001:db8:1:2:3:4:5:6")
    lines = [each.message for each in caplog.records if each.name == "chat.team.auth"]
    assert sum(line.startswith("login failed: name ") for line in lines) == 6
    assert sum(line.startswith("login refused: too many tries") for line in lines) == 1
    assert "(unknown) from 203.0.113.0/24, next try in 5 s" in lines[4]
    assert "(attendant ana) from 2001:db8:1::/48" in lines[-1]
    for secret in ("minha-senha", "outra-senha", "203.0.113.77", "3:4:5:6"):
        assert secret not in caplog.text


def test_a_flood_of_refusals_is_no_flood_of_lines(
    app: Flask, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(60):
        tries(app)
    for number in range(60):
        tries(app, f"pessoa{number}")
    for number in range(60):
        tries(app, "bruno", address=f"10.0.{number}.1")
    lines = [each.message for each in caplog.records if each.name == "chat.team.auth"]
    assert len([line for line in lines if line.startswith("login refused")]) == 3
    assert len(lines) <= 5 + 15 + 20 + 3


def test_pauses_double_up_to_the_longest() -> None:
    rule = Rule(free=3, first_seconds=2, longest_seconds=30)
    assert [rule.pause(failures) for failures in range(8)] == [0, 0, 0, 2, 4, 8, 16, 30]
    assert rule.pause(10**6) == 30


def test_guesses_a_day_stay_few(clock: Clock) -> None:
    """What the comment in throttle.py says is traded."""
    for kind, most in {"pair": 300, "device": 300, "address": 1_500, "name": 2_900}.items():
        rule = RULES[kind]
        assert rule.free + math.ceil(86_400 / rule.longest_seconds) <= most
        assert rule.longest_seconds < throttle.FORGET_SECONDS, "waiting must not start it anew"


# --- no room to check a password ------------------------------------------------------------------


def test_who_finds_no_place_is_told_so_at_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(auth, "_places", threading.BoundedSemaphore(1))
    inside, go_on = threading.Event(), threading.Event()

    def slow(*_args: object) -> bool:
        inside.set()
        assert go_on.wait(30)
        return True

    monkeypatch.setattr(auth, "check_password_hash", slow)
    first: list[int] = []
    thread = threading.Thread(target=lambda: first.append(right(app)))
    thread.start()
    try:
        assert inside.wait(30)
        for _ in range(20):
            response = tries(app, "bruno", "senha de bruno")
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "2"
            assert (
                "Muita gente está entrando agora. Tente novamente em 2 segundos." in response.text
            )
            assert 'value="bruno"' in response.text
        assert app.test_client().get("/healthz").status_code == 200
    finally:
        go_on.set()
        thread.join(30)
    assert first == [302]
    assert caplog.text.count("no room to check a password") == 1
    # It was not the person's fault, and counts for nothing.
    assert right(app, "bruno") == 302


def test_a_place_is_given_back_whatever_happens(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_places", threading.BoundedSemaphore(1))

    def fail(*_args: object) -> bool:
        raise datastore.StoreUnavailableError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(auth, "check_password_hash", fail)
        for _ in range(2):
            response = tries(app)
            assert response.status_code == 503
            assert "O banco de dados não respondeu." in response.text
            assert response.mimetype == "text/html"
            assert response.headers["Retry-After"] == "5"
    assert right(app) == 302


def test_a_burst_of_people_gets_in_or_is_told_to_press_again(app: Flask, clock: Clock) -> None:
    names = [f"pessoa{number}" for number in range(12)]
    with datastore.context():
        for name in names:
            auth.save_attendant(name, f"senha de {name}")
    codes = run_together(*(lambda name=name: right(app, name) for name in names))
    assert set(codes) <= {302, 503}
    assert 302 in codes
    again = [name for name, code in zip(names, codes, strict=True) if code == 503]
    assert [right(app, name) for name in again] == [302] * len(again)

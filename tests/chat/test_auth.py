"""Logins: nothing without one, and nobody is lured elsewhere."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from chat.platform import assets, datastore
from chat.team import auth
from chat.team.auth import Attendant
from main import create_app
from tests.chat.support import Browser, login, stored, token_of
from tests.helpers import ON_APP_ENGINE, SETTINGS


def test_every_route_but_the_listed_ones_needs_a_login(app: Flask, client: FlaskClient) -> None:
    open_rules = {
        "/login",
        "/webhook",
        "/healthz",
        "/_ah/warmup",
        f"{assets.url_path()}/<path:filename>",
        "/tasks/deferred",
        "/tasks/outbox",
        "/tasks/reply",
        "/tasks/replies",
        "/tasks/push",
        "/tasks/media",
        "/tasks/media/fetch",
        "/tasks/uploads",
        "/tasks/search",
        "/tasks/retention",
        "/service-worker.js",
        "/offline",
        "/realtime/cleanup",
        "/message-status/cleanup",
    }
    for rule in app.url_map.iter_rules():
        if rule.rule in open_rules:
            continue
        path = rule.rule.replace("<conversation_id>", "x").replace("<message_id>", "x")
        for method in rule.methods & {"GET", "POST"}:
            response = client.open(path, method=method)
            expected = 401 if path.startswith(("/api/", "/realtime/", "/unread")) else 302
            assert response.status_code == expected, (method, path)


def test_an_unknown_name_costs_as_much_as_a_wrong_password() -> None:
    method = generate_password_hash("x").split("$")[0]
    assert auth._NOBODY.split("$")[0] == method, "make a new one with this werkzeug"


def test_unknown_paths_tell_strangers_nothing(client: FlaskClient) -> None:
    assert client.get("/nothing").status_code == 302
    assert client.get("/api/nothing").status_code == 401
    assert client.get("/api/nothing").get_json()["error"]["code"] == "login_required"


def test_a_page_leads_to_the_login_and_back(app: Flask, client: FlaskClient) -> None:
    with datastore.context():
        auth.save_attendant("ana", "ana")
    response = client.get("/?c=abc")
    assert response.headers["Location"] == "/login?next=/?c%3Dabc"
    form = {"username": "Ana ", "password": "ana", "csrf_token": token_of(client)}
    response = client.post(response.headers["Location"], data=form)
    assert (response.status_code, response.headers["Location"]) == (302, "/?c=abc")


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example",
     "javascript:alert(1)", "", None, "\\\\evil", "/%0d%0a\n"],
)  # fmt: skip
def test_the_login_leads_to_no_other_site(target: str | None) -> None:
    assert auth.safe_target(target) == "/"


def test_the_login_leads_to_a_path_of_its_own() -> None:
    assert auth.safe_target("/?c=ab-12&x=á") == "/?c=ab-12&x=á"


@pytest.mark.parametrize(
    ("username", "password"), [("ana", "errada"), ("ninguem", "ana"), ("", ""), ("__x__", "ana")]
)
def test_a_wrong_login_is_refused_without_saying_which_half(
    app: Flask, client: FlaskClient, username: str, password: str
) -> None:
    with datastore.context():
        auth.save_attendant("ana", "ana")
    form = {"username": username, "password": password, "csrf_token": token_of(client)}
    response = client.post("/login", data=form)
    assert response.status_code == 401
    assert "Usuário ou senha incorretos." in response.text
    assert client.get("/api/conversations").status_code == 401


def test_a_login_needs_the_forms_token(app: Flask, client: FlaskClient) -> None:
    with datastore.context():
        auth.save_attendant("ana", "ana")
    response = client.post("/login", data={"username": "ana", "password": "ana"})
    assert response.status_code == 400
    assert client.get("/api/conversations").status_code == 401


def test_a_change_needs_the_token(ana: Browser) -> None:
    body = {"client_id": "6f1c0b6e-3f1d-4c38-9d3e-1f6f1f6f1f6f", "text": "x"}
    response = ana.client.post("/api/conversations/x/messages", json=body)
    assert response.status_code == 400
    assert response.get_json()["error"]["code"] == "bad_csrf_token"
    for path in ("/logout", "/logout/everywhere"):
        assert ana.client.post(path).status_code == 302
    assert ana.get("/api/conversations").status_code == 200


def test_passwords_are_stored_hashed(app: Flask) -> None:
    with app.app_context(), datastore.context():
        auth.save_attendant("ana", "segredo")
    (attendant,) = stored(Attendant)
    assert attendant.password_hash.startswith("scrypt:32768:")
    assert "segredo" not in attendant.password_hash


def test_a_known_attendant_costs_no_read(
    app: Flask, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ana.get("/api/conversations").status_code == 200

    def fail(*_args: object) -> None:
        raise AssertionError("the store was asked who this is")

    monkeypatch.setattr(auth.datastore, "get", fail)
    assert ana.get("/api/conversations").status_code == 200


def test_two_attendants_are_logged_in_at_once(app: Flask, ana: Browser) -> None:
    bruno = login(app, "bruno")
    assert 'data-user-id="ana"' in ana.get("/").text
    assert 'data-user-id="bruno"' in bruno.get("/").text


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(
    app: Flask, client: FlaskClient
) -> None:
    with datastore.context():
        auth.save_attendant("ana", "ana")
    form = {"username": "ana", "password": "ana", "csrf_token": token_of(client)}
    cookie = client.post("/login", data=form).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Expires=" in cookie


def test_in_production_the_cookie_needs_https(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    production = create_app({**SETTINGS, **ON_APP_ENGINE, "TESTING": True})
    cookie = production.test_client().get("/login").headers["Set-Cookie"]
    assert "Secure" in cookie


# --- forms of another tab's time ------------------------------------------------------------------

OUR_OWN = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Origin": "http://localhost"},
]
OTHERS = [
    {},
    {"Origin": "null"},
    {"Origin": "http://evil.example"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://localhost:81"},
    {"Origin": "https://localhost"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
]
each_of_ours = pytest.mark.parametrize("headers", OUR_OWN)
each_other = pytest.mark.parametrize("headers", OTHERS)


def form_of(username: str, token: str, password: str | None = None) -> dict[str, str]:
    return {"username": username, "password": password or username, "csrf_token": token}


@pytest.fixture
def left(app: Flask, ana: Browser) -> tuple[FlaskClient, str]:
    """A browser that has just been left, and the token of a form that its other tab still shows."""
    ana.client.post("/logout", data={"csrf_token": ana.token})
    stale = token_of(ana.client)
    ana.client.delete_cookie("chat_session")
    assert token_of(ana.client) != stale
    return ana.client, stale


@each_of_ours
@pytest.mark.parametrize("token", ["", "stale", "nonsense"])
def test_a_form_of_our_own_page_counts_with_any_token(
    left: tuple[FlaskClient, str], headers: dict[str, str], token: str
) -> None:
    client, stale = left
    form = form_of("ana", stale if token == "stale" else token)
    response = client.post("/login?next=/%3Fc%3Dabc", data=form, headers=headers)
    assert (response.status_code, response.headers["Location"]) == (302, "/?c=abc")
    assert client.get("/api/conversations").status_code == 200


@each_of_ours
def test_such_a_form_still_needs_the_password(
    left: tuple[FlaskClient, str], headers: dict[str, str]
) -> None:
    client, stale = left
    response = client.post("/login", data=form_of("ana", stale, "errada"), headers=headers)
    assert response.status_code == 401
    assert client.get("/api/conversations").status_code == 401


@each_other
def test_any_other_form_is_shown_again_with_a_token_of_now(
    left: tuple[FlaskClient, str], headers: dict[str, str]
) -> None:
    client, stale = left
    form = form_of(" Ana", stale, "ana")
    response = client.post("/login", data=form, headers=headers)
    assert response.status_code == 400
    assert "digite a senha e aperte Entrar mais uma vez" in response.text
    assert 'id="username" name="username" value="ana"' in response.text
    assert client.get("/api/conversations").status_code == 401
    again = response.text.split('name="csrf_token" value="')[1].split('"')[0]
    response = client.post("/login", data=form_of("ana", again), headers=headers)
    assert response.status_code == 302
    assert client.get("/api/conversations").status_code == 200


@pytest.mark.parametrize("headers", [OUR_OWN[0], OTHERS[0], OTHERS[2]])
def test_who_is_logged_in_by_the_other_tab_goes_on_to_the_chat(
    left: tuple[FlaskClient, str], headers: dict[str, str]
) -> None:
    client, stale = left
    client.post("/login", data=form_of("ana", token_of(client)))
    form = form_of("Ana", stale, "a password with a slip")
    response = client.post("/login?next=/%3Fc%3Dabc", data=form, headers=headers)
    assert (response.status_code, response.headers["Location"]) == (302, "/?c=abc")
    assert 'data-user-id="ana"' in client.get("/").text


@each_of_ours
def test_who_logs_in_as_somebody_else_in_the_other_tab_is_somebody_else(
    app: Flask, left: tuple[FlaskClient, str], headers: dict[str, str]
) -> None:
    client, stale = left
    login(app, "bruno")
    client.post("/login", data=form_of("ana", token_of(client)))
    assert client.post("/login", data=form_of("bruno", stale), headers=headers).status_code == 302
    assert 'data-user-id="bruno"' in client.get("/").text


@each_other
def test_no_other_site_makes_a_browser_somebody_else(
    app: Flask, ana: Browser, headers: dict[str, str]
) -> None:
    login(app, "bruno")
    response = ana.client.post("/login", data=form_of("bruno", "x"), headers=headers)
    assert response.status_code == 400
    assert 'data-user-id="ana"' in ana.get("/").text


@pytest.mark.parametrize("path", ["/logout", "/logout/everywhere"])
@pytest.mark.parametrize("headers", [OUR_OWN[0], OUR_OWN[2], OTHERS[0], OTHERS[2], OTHERS[6]])
def test_a_menu_of_another_tabs_time_logs_out_and_no_other_site_does(
    app: Flask, ana: Browser, headers: dict[str, str], path: str
) -> None:
    client = ana.client
    client.post("/logout", data={"csrf_token": ana.token})
    client.post("/login", data=form_of("ana", token_of(client)))
    response = client.post(path, data={"csrf_token": ana.token}, headers=headers)
    ours = headers in OUR_OWN
    assert response.headers["Location"] == ("/login" if ours else "/")
    assert client.get("/api/conversations").status_code == (401 if ours else 200)


@each_of_ours
def test_changes_need_the_token_of_the_page_also_from_our_own(
    ana: Browser, headers: dict[str, str]
) -> None:
    """The page may be another person's, who was logged in there before."""
    response = ana.client.post("/api/conversations/x/muted", json={"muted": True}, headers=headers)
    assert response.get_json()["error"]["code"] == "bad_csrf_token"


def test_behind_the_front_end_too_a_stale_form_works(app: Flask) -> None:
    with datastore.context():
        auth.save_attendant("ana", "ana")
    production = create_app({**SETTINGS, **ON_APP_ENGINE, "TESTING": True})
    front = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    headers = {**front, "Origin": "https://chat.example", "Referer": "https://chat.example/login"}
    client = production.test_client()
    response = client.post(
        "/login", data=form_of("ana", "stale"), headers=headers, base_url="http://chat.example"
    )
    assert response.status_code == 302


@pytest.mark.parametrize(
    "body", ["username=ana&password=%FF%00", "", "a" * 1000, "username=%ED%A0"]
)
def test_nonsense_in_the_form_is_a_wrong_login(client: FlaskClient, body: str) -> None:
    response = client.post(
        "/login", data=body, content_type="application/x-www-form-urlencoded",
        headers={"Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip
    assert response.status_code == 401

"""Logins: nothing without one, and nobody is lured elsewhere."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from chat import auth, store
from chat.models import Attendant
from main import create_app
from tests.chat.support import Browser, login, stored, token_of
from tests.helpers import SETTINGS


def test_every_route_but_the_listed_ones_needs_a_login(app: Flask, client: FlaskClient) -> None:
    open_rules = {
        "/login",
        "/webhook",
        "/healthz",
        "/_ah/warmup",
        "/static/<path:filename>",
        "/tasks/deferred",
        "/tasks/outbox",
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


def test_unknown_paths_tell_strangers_nothing(client: FlaskClient) -> None:
    assert client.get("/nothing").status_code == 302
    assert client.get("/api/nothing").status_code == 401
    assert client.get("/api/nothing").get_json()["error"]["code"] == "login_required"


def test_a_page_leads_to_the_login_and_back(app: Flask, client: FlaskClient) -> None:
    with store.context():
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
    with store.context():
        auth.save_attendant("ana", "ana")
    form = {"username": username, "password": password, "csrf_token": token_of(client)}
    response = client.post("/login", data=form)
    assert response.status_code == 401
    assert "Usuário ou senha incorretos." in response.text
    assert client.get("/api/conversations").status_code == 401


def test_a_login_needs_the_forms_token(app: Flask, client: FlaskClient) -> None:
    with store.context():
        auth.save_attendant("ana", "ana")
    response = client.post("/login", data={"username": "ana", "password": "ana"})
    assert response.status_code == 400
    assert client.get("/api/conversations").status_code == 401


def test_a_change_needs_the_token(ana: Browser) -> None:
    body = {"client_id": "6f1c0b6e-3f1d-4c38-9d3e-1f6f1f6f1f6f", "text": "x"}
    response = ana.client.post("/api/conversations/x/messages", json=body)
    assert response.status_code == 400
    assert response.get_json()["error"]["code"] == "bad_csrf_token"
    assert ana.client.post("/logout").status_code == 302
    assert ana.get("/api/conversations").status_code == 200


def test_a_logout_ends_the_session(ana: Browser) -> None:
    response = ana.client.post("/logout", data={"csrf_token": ana.token})
    assert response.headers["Location"] == "/login"
    assert ana.get("/api/conversations").status_code == 401


def test_passwords_are_stored_hashed(app: Flask) -> None:
    with store.context():
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

    monkeypatch.setattr(auth.store, "get", fail)
    assert ana.get("/api/conversations").status_code == 200


def test_a_new_password_ends_the_old_sessions(app: Flask, ana: Browser) -> None:
    with store.context():
        auth.save_attendant("ana", "nova")
    assert ana.get("/api/conversations").status_code == 401


def test_two_attendants_are_logged_in_at_once(app: Flask, ana: Browser) -> None:
    bruno = login(app, "bruno")
    assert 'data-user-id="ana"' in ana.get("/").text
    assert 'data-user-id="bruno"' in bruno.get("/").text


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(
    app: Flask, client: FlaskClient
) -> None:
    with store.context():
        auth.save_attendant("ana", "ana")
    form = {"username": "ana", "password": "ana", "csrf_token": token_of(client)}
    cookie = client.post("/login", data=form).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Expires=" in cookie


def test_in_production_the_cookie_needs_https(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    production = create_app({**SETTINGS, "GAE_ENV": "standard", "TESTING": True})
    cookie = production.test_client().get("/login").headers["Set-Cookie"]
    assert "Secure" in cookie


@pytest.mark.store
def test_an_attendant_is_added_listed_and_removed(app: Flask) -> None:
    run = app.test_cli_runner().invoke
    added = run(args=["attendants", "add", "Carla", "--name", "Carla Dias"], input="segredo\n")
    assert added.exit_code == 0, added.output
    assert run(args=["attendants", "list"]).output == "carla\tCarla Dias\n"
    client = app.test_client()
    form = {"username": "carla", "password": "segredo", "csrf_token": token_of(client)}
    assert client.post("/login", data=form).status_code == 302
    assert run(args=["attendants", "remove", "carla"]).exit_code == 0
    assert run(args=["attendants", "list"]).output == ""
    auth.forget("carla")
    assert client.get("/api/conversations").status_code == 401
    assert run(args=["attendants", "remove", "carla"]).exit_code != 0


@pytest.mark.parametrize(("username", "password"), [("a b", "x\n"), ("ana", "\n"), ("", "x\n")])
def test_an_unusable_attendant_is_refused(app: Flask, username: str, password: str) -> None:
    run = app.test_cli_runner().invoke
    assert run(args=["attendants", "add", username], input=password).exit_code != 0
    assert stored(Attendant) == []

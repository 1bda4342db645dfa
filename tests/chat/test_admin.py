"""Administrators, and what was set aside: listed, shown raw, tried again, discarded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from chat.incoming import deferred, handling
from chat.incoming.deferred import RejectedUpdate
from chat.incoming.parsing import Rejected
from chat.platform import datastore
from chat.screen import admin
from chat.team import attendants
from chat.team.attendants import CACHE_SECONDS, Attendant, save_attendant, set_admin
from local.sample_data import conversations
from tests.chat.support import (
    NOON,
    Browser,
    call,
    deliver,
    login,
    payload,
    published,
    stored,
    text_message,
    wamids,
)

LIST = "/admin/set-aside"
GOOD = "três gatos no telhado"
MS = NOON * 1000
#: Any but the page's own, which is a file: empty, and at a versioned address.
STRANGE_SCRIPT = re.compile(r'<script(?! src="/static/[0-9a-f]{12}/[\w/]+\.js"></script>)')


@contextmanager
def parser_that_fails_on(wamid: str) -> Iterator[None]:
    """Messages are stored by something that has not learned yet to read this one."""
    append = handling.append_incoming

    def fails(conversation: Any, message: Any, *args: Any) -> Any:
        if message.wamid == wamid:
            raise TypeError("something nobody thought of")
        return append(conversation, message, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handling, "append_incoming", fails)
        yield


def set_aside(*bodies: Any, at: int = MS) -> list[str]:
    """Sets these aside, a millisecond after one another; their names, the oldest first."""
    names = []
    for place, body in enumerate(bodies):
        with datastore.context():
            deferred.set_aside([Rejected("messages", "not a list", body, body)], at + place)
        newest = max(stored(RejectedUpdate), key=lambda each: str(each.sort_key))
        names.append(str(newest.key.id()))
    return names


def press(browser: Browser, path: str, **form: str) -> TestResponse:
    """Sends a form of the page and follows it to where it leads."""
    data = {"csrf_token": browser.token, **form}
    return browser.client.post(path, data=data, follow_redirects=True)


def alerts(response: TestResponse) -> list[str]:
    return re.findall(r'role="alert">(.*?)<', response.text)


def test_the_first_attendant_administers_and_whoever_is_made_to(app: Flask) -> None:
    with datastore.context():
        assert save_attendant("ana", "x")
        assert not save_attendant("bruno", "x")
        assert save_attendant("carla", "x", is_admin=True)
    assert {each.key.id(): each.is_admin for each in stored(Attendant)} == {
        "ana": True, "bruno": False, "carla": True,
    }  # fmt: skip


def test_a_new_password_changes_neither_role_nor_name(app: Flask) -> None:
    with datastore.context():
        save_attendant("ana", "x", "Ana Beatriz")
        save_attendant("bruno", "x")
        assert save_attendant("ana", "y")
        assert not save_attendant("bruno", "y")
        assert save_attendant("bruno", "y", is_admin=True)
        assert save_attendant("bruno", "z")
    assert [each.name for each in stored(Attendant)] == ["Ana Beatriz", "bruno"]


def test_the_commands_give_the_role_and_take_it(app: Flask) -> None:
    def run(*args: str) -> tuple[int, str]:
        result = app.test_cli_runner().invoke(args=["attendants", *args], input=f"{GOOD}\n")
        return result.exit_code, result.output.splitlines()[-1]

    admin, plain = ", com acesso de administrador", ""
    for args, role in (("ana", admin), ("bruno", plain), ("maria --admin", admin)):
        username = args.split()[0]
        assert run("add", *args.split()) == (0, f"Atendente {username} salvo{role}.")
    assert run("admin", "Bruno")[1] == "Atendente bruno agora tem acesso de administrador."
    assert run("admin", "ana", "--off")[1] == "Atendente ana não tem mais acesso de administrador."
    listed = app.test_cli_runner().invoke(args=["attendants", "list"]).output
    assert listed.splitlines() == [
        "ana\tana", "bruno\tbruno\tadministrador", "maria\tmaria\tadministrador",
    ]  # fmt: skip
    assert run("admin", "ninguem") == (1, "Error: Não existe o atendente ninguem.")
    assert run("admin", "__x__")[0] == 1


def test_of_the_sample_logins_ana_administers(app: Flask) -> None:
    conversations.fill(MS)
    roles = {each.key.id(): each.is_admin for each in stored(Attendant)}
    assert roles == {"ana": True, "bruno": False}


def test_a_role_that_another_instance_changes_is_known_within_the_bound(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    login(app)
    bruno = login(app, "bruno")
    now = attendants._monotonic()
    for allowed, status in ((True, 200), (False, 403)):
        with monkeypatch.context() as elsewhere, datastore.context():
            elsewhere.setattr(attendants, "forget", lambda _username: None)
            assert set_admin("bruno", allowed)
        now += CACHE_SECONDS
        monkeypatch.setattr(attendants, "_monotonic", lambda now=now: now)
        assert bruno.get(LIST).status_code == status


def test_no_route_is_for_others(app: Flask, client: FlaskClient) -> None:
    ana, bruno = login(app), login(app, "bruno")
    (name,) = set_aside({"entry": 1})
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/admin")]
    assert len(rules) == 12
    for rule in rules:
        room = rule.endpoint.partition(".")[0]
        guarded = ("admin", "claude_usage", "freshness_page", "retention")
        assert room in guarded, "the blueprint's guard is for all of it"
        for method in rule.methods & {"GET", "POST"}:
            path = rule.rule.replace("<name>", name).replace("<conversation_id>", "c")
            stranger = client.open(path, method=method)
            assert stranger.status_code == 302
            assert stranger.headers["Location"].startswith("/login")
            form = {"csrf_token": bruno.token} if method == "POST" else None
            refused = bruno.client.open(path, method=method, data=form)
            assert refused.status_code == 403, path
            assert "Só para administradores" in refused.text
            assert refused.mimetype == "text/html"
    (left,) = stored(RejectedUpdate)
    assert left.times == 1
    assert ana.get(LIST).status_code == 200


@pytest.mark.parametrize("action", ["retry", "discard"])
def test_a_form_needs_its_token(ana: Browser, action: str) -> None:
    (name,) = set_aside({"entry": 1})
    response = ana.client.post(f"{LIST}/{name}/{action}")
    assert response.status_code == 400
    assert "Volte para a lista" in response.text
    assert len(stored(RejectedUpdate)) == 1


def test_the_menu_leads_administrators_there_and_counts(app: Flask, ana: Browser) -> None:
    bruno = login(app, "bruno")
    assert re.search(r'href="/admin/set-aside">Atualizações recusadas<', ana.get("/").text)
    set_aside(*({"entry": number} for number in range(3)))
    assert re.search(r'href="/admin/set-aside">Atualizações recusadas \(3\)<', ana.get("/").text)
    assert "/admin" not in bruno.get("/").text


def test_the_menu_counts_no_further_than_it_says(
    ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "_MOST_COUNTED", 3)
    set_aside(*({"entry": number} for number in range(5)))
    assert "Atualizações recusadas (2+)" in ana.get("/").text


@pytest.mark.store
def test_the_list_says_what_why_how_often_and_when(client: FlaskClient, ana: Browser) -> None:
    assert "Nada foi recusado." in ana.get(LIST).text
    for _ in range(2):
        deliver(client, payload("bad_item_among_good"))
    deliver(client, b"{nonsense")
    text = ana.get(LIST).text
    reasons = re.findall(r"<h2>(.*?)</h2>", text)
    assert reasons[0] == "Não é JSON"
    assert sorted(reasons[1:]) == ["Falta, ou não é um texto que sirva", "Não é um objeto"]
    assert text.count("2 vezes") == 2
    assert text.count("1 vez<") == 1
    assert "9 bytes" in text
    assert set(re.findall(r"<code>(.*?)</code>", text)) == {"$", "id", "messages"}


def test_times_are_those_of_brasilia(ana: Browser) -> None:
    set_aside({"entry": 1})
    with datastore.context():
        deferred.set_aside([Rejected("messages", "x", {"entry": 1}, "")], MS + 13 * 3_600_000)
    text = ana.get(LIST).text
    assert "01/11/2025 09:00:00" in text
    assert "01/11/2025 22:00:00" in text


def test_pages_go_on_where_the_last_ended(ana: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "_PAGE", 2)
    names = set_aside(*({"entry": number} for number in range(5)))
    path, seen = LIST, []
    for left in (2, 1, 0):
        text = ana.get(path).text
        page = re.findall(r"/admin/set-aside/(\w+)/raw", text)
        seen += page
        found = re.search(r'href="([^"]+)">Mais antigas', text)
        assert bool(found) == (left > 0)
        path = found[1] if found else path
    assert seen == names[::-1]
    before = path.partition("before=")[2]
    after = press(ana, f"{LIST}/{names[0]}/discard", before=before)
    assert after.request.query_string.decode() == f"before={before}", "back on the same page"


@pytest.mark.parametrize("marker", ["x" * 300, "\x00", "<script>", "%00", "é"])
def test_a_forged_marker_breaks_nothing(ana: Browser, marker: str) -> None:
    set_aside({"entry": 1})
    response = ana.client.get(LIST, query_string={"before": marker})
    assert response.status_code == 200
    assert not STRANGE_SCRIPT.search(response.text)


@pytest.mark.store
def test_the_raw_text_is_never_a_page(client: FlaskClient, ana: Browser) -> None:
    html = b"<!doctype html><script>alert(document.cookie)</script>"
    deliver(client, html)
    (name,) = [each.key.id() for each in stored(RejectedUpdate)]
    assert not STRANGE_SCRIPT.search(ana.get(LIST).text)
    response = ana.get(f"{LIST}/{name}/raw")
    assert response.data == html
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"] == f"attachment; filename={name}.txt"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response.headers["Cache-Control"] == "no-store"


def test_a_reason_is_text(ana: Browser) -> None:
    with datastore.context():
        deferred.set_aside([Rejected("<i>", "<b>bold</b>", "x", "x")], MS)
    text = ana.get(LIST).text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "<i>" not in text


def test_a_page_of_ours_has_no_inline_script_or_style(ana: Browser) -> None:
    set_aside({"entry": 1})
    response = ana.get(LIST)
    assert not STRANGE_SCRIPT.search(response.text)
    assert not re.search(r"<style|style=| on\w+=", response.text)
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]


@pytest.mark.store
def test_what_is_readable_by_now_comes_into_its_chat_once(
    client: FlaskClient, ana: Browser
) -> None:
    with parser_that_fails_on("w2"):
        deliver(client, call(*[text_message(f"w{i}", f"{i}", NOON + i) for i in (1, 2, 3)]))
    assert ana.texts() == ["1", "3"]
    (name,) = [each.key.id() for each in stored(RejectedUpdate)]
    told = len(published("message.created"))
    response = press(ana, f"{LIST}/{name}/retry")
    assert alerts(response) == ["Recuperada: a atualização foi lida e já está no seu lugar."]
    assert "Nada foi recusado." in response.text
    assert ana.texts() == ["1", "2", "3"]
    assert len(published("message.created")) == told + 1
    again = press(ana, f"{LIST}/{name}/retry")
    assert alerts(again)[0].startswith("Esta atualização não está mais na lista")
    assert wamids() == ["w1", "w2", "w3"]
    assert len(published("message.created")) == told + 1


@pytest.mark.store
def test_what_came_right_in_the_meantime_is_not_shown_twice(
    client: FlaskClient, ana: Browser
) -> None:
    data = call(text_message("w1", "oi"))
    with parser_that_fails_on("w1"):
        deliver(client, data)
    deliver(client, data)
    (name,) = [each.key.id() for each in stored(RejectedUpdate)]
    assert alerts(press(ana, f"{LIST}/{name}/retry"))[0].startswith("Recuperada")
    assert ana.texts() == ["oi"]
    assert stored(RejectedUpdate) == []


@pytest.mark.store
def test_what_is_still_bad_stays_with_its_reason_of_now_and_its_count(
    client: FlaskClient, ana: Browser
) -> None:
    data = call(text_message("w1", "oi"))
    with parser_that_fails_on("w1"):
        for _ in range(2):
            deliver(client, data)
    (first,) = stored(RejectedUpdate)
    name = first.key.id()

    def still(*_args: Any) -> Any:
        raise KeyError("another one")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handling, "append_incoming", still)
        response = press(ana, f"{LIST}/{name}/retry")
        assert alerts(response) == ["Continua recusada. Não pôde ser guardada (KeyError)."]
    assert "2 vezes" in response.text
    with parser_that_fails_on("w1"):
        deliver(client, data)
    (last,) = stored(RejectedUpdate)
    assert (last.key.id(), last.times, last.received_at) == (name, 3, first.received_at)
    assert alerts(press(ana, f"{LIST}/{name}/retry"))[0].startswith("Recuperada")
    assert ana.texts() == ["oi"]


def test_what_was_too_large_to_be_kept_cannot_be_tried(ana: Browser) -> None:
    (name,) = set_aside("x" * 1_000_000)
    text = ana.get(LIST).text
    assert "900,0 kB, incompleta" in text
    assert "/retry" not in text
    assert alerts(press(ana, f"{LIST}/{name}/retry")) == [
        "Continua recusada: é grande demais e só uma parte foi guardada."
    ]
    assert len(ana.get(f"{LIST}/{name}/raw").data) == 900_000


def test_what_is_discarded_is_gone(ana: Browser) -> None:
    name, other = set_aside({"entry": 1}, {"entry": 2})
    assert alerts(press(ana, f"{LIST}/{name}/discard")) == ["Descartada."]
    assert [each.key.id() for each in stored(RejectedUpdate)] == [other]
    assert alerts(press(ana, f"{LIST}/{name}/discard"))[0].startswith("Esta atualização não está")


@pytest.mark.parametrize("name", ["nada", "__x__", "x" * 2000, "%00", "é", "<b>"])
def test_names_of_nothing_are_answered(ana: Browser, name: str) -> None:
    raw = ana.get(f"{LIST}/{name}/raw")
    assert raw.status_code == 404
    assert "Não está mais na lista" in raw.text
    for action in ("retry", "discard"):
        told = alerts(press(ana, f"{LIST}/{name}/{action}"))
        assert told[0].startswith("Esta atualização não está mais na lista")


def test_a_store_that_is_down_is_told_as_a_page(
    ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_args: Any) -> Any:
        raise datastore.StoreUnavailableError("down")

    monkeypatch.setattr(deferred, "listed", down)
    response = ana.get(LIST)
    assert response.status_code == 503
    assert "O banco de dados não respondeu" in response.text
    monkeypatch.setattr(attendants, "find_user", down)
    response = ana.get(LIST)
    assert (response.status_code, response.mimetype) == (503, "text/html")
    assert "O banco de dados não respondeu" in response.text


@pytest.mark.parametrize(
    ("field", "reason", "words"),
    [
        ("$", "$: not JSON", "Não é JSON"),
        ("messages", "messages: cannot be read: KeyError", "Não pôde ser lida (KeyError)"),
        ("messages", "messages: cannot be stored: TypeError", "Não pôde ser guardada (TypeError)"),
        ("status", "status: what nobody translated", "what nobody translated"),
        (None, None, "Sem motivo anotado"),
    ],
)
def test_reasons_are_told_in_portuguese(field: Any, reason: Any, words: str) -> None:
    assert admin._in_words(field, reason) == words

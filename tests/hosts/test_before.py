"""Two chats of strangers, as they are before they meet the three modules: they work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from playwright.sync_api import expect

from tests.helpers import SETTINGS, Simulator, wait_until
from tests.hosts.support import (
    HOSTS,
    MARIA,
    MODULES,
    NAME,
    Desk,
    Host,
)

# A webhook's payload with one text of hers.
PAYLOAD = json.loads((HOSTS.parent / "payloads" / "text.json").read_text(encoding="utf-8"))
PAYLOAD_TEXT = "Bom dia! Vocês abrem hoje?"

OURS = re.compile(
    "|".join(MODULES)
    + r"|(?i:unread|message[-_]?status|event-?stream|realtime|nao_?lid|data-)"
    + r"|live_json|client_id|biz_opaque|<message-|\bversion\b|\barrival\b"
)

browser = pytest.mark.browser


@pytest.fixture(params=["plain", "rendered"])
def host(request: pytest.FixtureRequest, start_host: Callable[..., Host]) -> Host:
    return start_host(request.param, "before")


@browser
def test_a_customer_and_two_attendants_write_to_each_other(
    host: Host,
    desk: Callable[..., Desk],
    writes: Callable[..., None],
    simulator: Simulator,
) -> None:
    ana = desk(host)
    expect(ana.password).to_have_count(0)
    writes("Oi, vocês têm <b>pão de queijo</b>?", now=True)
    ana.reload()
    ana.open(NAME)
    expect(ana.bubbles).to_have_text(["Oi, vocês têm <b>pão de queijo</b>?"])

    ana.send("Temos sim, saindo agora!")
    expect(ana.bubbles).to_have_count(2)
    wait_until(lambda: simulator.texts_on_phone(MARIA) == ["Temos sim, saindo agora!"])
    writes("Oba", now=True)

    bruno = desk(host, "bruno")
    expect(bruno.rows).to_have_count(1)
    expect(bruno.rows).to_contain_text("Oba")
    bruno.open(NAME)
    expect(bruno.bubbles).to_have_count(3)
    expect(bruno.bubbles.filter(has_text="Temos sim, saindo agora!")).to_have_count(1)


@browser
def test_the_hosts_own_command_makes_an_attendant(
    start_host: Callable[..., Host], desk: Callable[..., Desk]
) -> None:
    host = start_host("rendered", "before")
    host.run("flask", "--app", "app", "novo-atendente", "carla", "Carla", "--senha", "da-carla")
    assert desk(host, "carla", "da-carla").password.count() == 0


@browser
def test_a_wrong_login_is_refused(host: Host, desk: Callable[..., Desk]) -> None:
    for user, password in [("ana", "senha-do-bruno"), ("ninguem", "senha-da-ana")]:
        stranger = desk(host, user, password)
        expect(stranger.page.get_by_text(re.compile("senha in(válid|corret)os"))).to_be_visible()
        stranger.reload()
        expect(stranger.password).to_be_visible()


def test_nothing_is_shown_without_a_login(host: Host, writes: Callable[..., None]) -> None:
    writes("Segredo", now=True)
    for path in ("/", "/api/conversas", f"/conversas/{MARIA}"):
        answer = requests.get(host.url + path, timeout=30)
        assert "Segredo" not in answer.text
        assert NAME not in answer.text


@browser
def test_a_webhook_with_a_wrong_signature_is_refused(
    host: Host, desk: Callable[..., Desk], simulator: Simulator
) -> None:
    forged = json.loads(json.dumps(PAYLOAD).replace(MARIA, "5511912345678"))
    raw = {"body": forged, "bad_signature": True}
    assert simulator.post("/webhooks/raw", raw).json()["status"] in (401, 403)
    assert requests.post(f"{host.url}/webhook", json=forged, timeout=30).status_code in (401, 403)
    assert simulator.post("/webhooks/raw", {"body": PAYLOAD}).json()["status"] == 200
    ana = desk(host)
    expect(ana.rows).to_have_count(1)
    expect(ana.rows).to_contain_text(PAYLOAD_TEXT)


@browser
def test_a_message_that_comes_twice_is_shown_once(
    host: Host, desk: Callable[..., Desk], simulator: Simulator
) -> None:
    for _ in range(2):
        assert simulator.post("/webhooks/raw", {"body": PAYLOAD}).json()["status"] == 200
    ana = desk(host)
    ana.open(NAME)
    expect(ana.bubbles).to_have_text([PAYLOAD_TEXT])


@browser
def test_what_whatsapp_refuses_is_said(
    host: Host, desk: Callable[..., Desk], writes: Callable[..., None], simulator: Simulator
) -> None:
    writes("Oi", now=True)
    ana = desk(host)
    ana.open(NAME)
    refusal = {"refuse_next": {"code": 131047, "times": 1}}
    simulator.http.patch(f"{simulator.url}/switches", json=refusal, timeout=30).raise_for_status()
    ana.send("Esta não vai")
    expect(ana.error).to_contain_text(re.compile("não", re.IGNORECASE))
    assert simulator.texts_on_phone(MARIA) == []


def test_metas_question_whether_the_webhook_is_ours_is_answered(host: Host) -> None:
    question = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}
    token = SETTINGS["WHATSAPP_VERIFY_TOKEN"]
    for given, status in [("guessed", 403), (token, 200)]:
        params = {**question, "hub.verify_token": given}
        answer = requests.get(f"{host.url}/webhook", params=params, timeout=30)
        assert answer.status_code == status
    assert answer.text == "1158201444"


@pytest.mark.parametrize(
    "path",
    sorted(path for path in HOSTS.glob("*/before/**/*.*") if path.suffix != ".pyc"),
    ids=lambda path: str(path.relative_to(HOSTS)),
)
def test_they_know_nothing_of_the_modules(path: Path) -> None:
    assert OURS.findall(path.read_text(encoding="utf-8")) == []

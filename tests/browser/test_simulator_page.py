"""The customer's phone in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from local.simulator import Pace, Simulator
from local.simulator.media import SAMPLES
from tests.chromium import ACTION_MS
from tests.helpers import wait_until
from tests.local.simulator_world import MARIA, NUMBER_ID, TOKEN, Webhook, make_simulator
from tests.local.simulator_world import webhook_server as serve_webhook

pytestmark = pytest.mark.slow

SIZES = {"desktop": {"width": 1300, "height": 850}, "phone": {"width": 390, "height": 800}}


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with serve_webhook() as hook:
        yield hook


@pytest.fixture
def simulator(hook: Webhook) -> Iterator[Simulator]:
    with make_simulator(hook.url, pace=Pace(0.01, 0.01, 0.01)) as simulator:
        yield simulator


@pytest.fixture(params=sorted(SIZES))
def page(request: pytest.FixtureRequest, chromium: Browser, simulator: Simulator) -> Iterator[Page]:
    """A tab that must not log an error, as wide as a desk's screen and as a phone."""
    context = chromium.new_context(viewport=SIZES[request.param], locale="pt-BR")
    context.set_default_timeout(ACTION_MS)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
    yield page
    context.close()
    assert errors == []


def send(simulator: Simulator, text: str) -> None:
    answer = simulator.app.test_client().post(
        f"/v26.0/{NUMBER_ID}/messages",
        json={"messaging_product": "whatsapp", "to": MARIA, "type": "text", "text": {"body": text}},
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    assert answer.status_code == 200


def go_to(page: Page, part: str) -> None:
    tab = page.locator(".tabs").get_by_role("button", name=part)
    if tab.is_visible():
        tab.click()


def test_a_customer_is_made_writes_and_sees_the_answer_by_itself(
    page: Page, simulator: Simulator, hook: Webhook
) -> None:
    page.goto(simulator.url)
    page.get_by_label("Nome", exact=True).fill("Maria <b>Clara</b>")
    page.get_by_label("Telefone").fill("+55 11 98765-4321")
    page.get_by_role("button", name="Criar cliente").click()
    expect(page.locator("#owner-name")).to_have_text("Maria <b>Clara</b>")
    composer = page.get_by_role("textbox", name="Mensagem")
    composer.fill("Olá <img src=x onerror=alert(1)>")
    composer.press("Shift+Enter")
    composer.press_sequentially("tudo bem?")
    composer.press("Enter")
    own = page.locator(".bubble.customer")
    expect(own.locator(".text")).to_have_text("Olá <img src=x onerror=alert(1)>\ntudo bem?")
    expect(own).to_have_attribute("data-state", "delivered")
    expect(composer).to_have_value("")
    assert hook.texts() == ["Olá <img src=x onerror=alert(1)>\ntudo bem?"]
    send(simulator, "Bom dia!")
    theirs = page.locator(".bubble.business")
    expect(theirs.locator(".text")).to_have_text("Bom dia!")
    expect(theirs).to_have_attribute("data-state", "read")
    # Side by side, as Meta's: the later may arrive first.
    wait_until(lambda: sorted(hook.states()) == ["delivered", "read", "sent"])
    fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(fits)


def test_an_offline_phone_shows_what_waits_and_gets_it_when_back(
    page: Page, simulator: Simulator, hook: Webhook
) -> None:
    simulator.phones.find_or_add(MARIA)
    page.goto(f"{simulator.url}/?c={MARIA}")
    page.get_by_label("Lê as mensagens").uncheck()
    page.get_by_label("Online").uncheck()
    expect(page.locator("#presence")).to_contain_text("celular offline")
    send(simulator, "Está aí?")
    theirs = page.locator(".bubble.business")
    expect(theirs).to_have_class("bubble business away text")
    expect(theirs).to_contain_text("a caminho do celular")
    page.get_by_label("Online").check()
    expect(theirs).to_have_attribute("data-state", "delivered")
    wait_until(lambda: sorted(hook.states()) == ["delivered", "sent"])


def test_other_types_an_answer_and_a_reaction_go_with_one_click(
    page: Page, simulator: Simulator, hook: Webhook
) -> None:
    send(simulator, "Qual deles?")
    page.goto(f"{simulator.url}/?c={MARIA}")
    theirs = page.locator(".bubble.business")
    theirs.hover()
    theirs.get_by_role("button", name="Reagir com 👍").click()
    expect(theirs.locator(".reactions")).to_have_text("👍")
    theirs.hover()
    theirs.get_by_role("button", name="Responder").click()
    page.get_by_role("button", name="Anexar").click()
    page.get_by_role("button", name="Foto").click()
    photo = page.locator(".bubble.image")
    expect(photo.locator(".quote")).to_have_text("Qual deles?")
    expect(photo.locator("img")).to_have_js_property("naturalWidth", 640)
    assert simulator.wait_idle()
    assert [one["type"] for one in hook.values("messages")] == ["reaction", "image"]


def test_a_fault_is_switched_on_and_off_on_the_page(page: Page, simulator: Simulator) -> None:
    page.goto(simulator.url)
    go_to(page, "Falhas")
    row = page.locator('[data-switch="refuse_next"]')
    row.get_by_label("Recusar o próximo envio").check()
    wait_until(lambda: simulator.switches["refuse_next"] is not None)
    row.get_by_label("código").fill("131000")
    row.get_by_label("código").press("Enter")
    wait_until(lambda: simulator.switches["refuse_next"]["code"] == 131000)
    page.get_by_role("button", name="Desligar todas").click()
    wait_until(lambda: simulator.switches["refuse_next"] is None)
    expect(row.get_by_label("Recusar o próximo envio")).not_to_be_checked()


def test_the_page_says_when_the_simulator_refuses(page: Page, simulator: Simulator) -> None:
    simulator.phones.find_or_add(MARIA)
    simulator.phones.find_or_add("5521977776666")
    page.goto(f"{simulator.url}/?c={MARIA}")
    page.get_by_text("Mais", exact=True).click()
    page.get_by_label("Tem WhatsApp").uncheck()
    wait_until(lambda: not simulator.phones.find_or_add(MARIA).on_whatsapp)
    page.get_by_label("Trocar de número").fill("+55 21 96666-5555")
    page.get_by_role("button", name="Trocar").click()
    expect(page.locator("#owner-number")).to_have_text("+55 21 96666-5555")
    assert "c=5521966665555" in page.url


def test_a_number_without_country_code_is_brazilian_and_a_wrong_one_is_not_sent(
    page: Page, simulator: Simulator
) -> None:
    page.goto(simulator.url)
    number = page.get_by_label("Telefone")
    for wrong in ("123", "onze", "+55 11 98765 4321 1234 5"):
        number.fill(wrong)
        assert not number.evaluate("(field) => field.checkValidity()")
    number.fill("(11) 98765-4321")
    page.get_by_role("button", name="Criar cliente").click()
    expect(page.locator("#owner-number")).to_have_text("+55 11 98765-4321")


def give_and_send(simulator: Simulator, kind: str, name: str, mime_type: str, **part: Any) -> None:
    """A file that the business gives WhatsApp and sends."""
    http, auth = simulator.app.test_client(), {"Authorization": f"Bearer {TOKEN}"}
    form = {"messaging_product": "whatsapp", "type": mime_type}
    with (SAMPLES / name).open("rb") as file:
        given = http.post(
            f"/v26.0/{NUMBER_ID}/media",
            data={**form, "file": (file, name, mime_type)},
            headers=auth,
        )
    body = {"messaging_product": "whatsapp", "to": MARIA, "type": kind}
    body |= {kind: {"id": given.json["id"], **part}}
    assert http.post(f"/v26.0/{NUMBER_ID}/messages", json=body, headers=auth).status_code == 200


def test_files_that_the_business_sends_are_shown(page: Page, simulator: Simulator) -> None:
    page.goto(f"{simulator.url}/?c={MARIA}")
    give_and_send(simulator, "image", "foto.jpg", "image/jpeg", caption="O <b>recibo</b>")
    give_and_send(simulator, "video", "video.mp4", "video/mp4", caption="Veja")
    give_and_send(simulator, "audio", "voz.ogg", "audio/ogg", voice=True)
    give_and_send(simulator, "document", "orcamento.pdf", "application/pdf", filename="conta.pdf")
    give_and_send(simulator, "sticker", "figurinha-animada.webp", "image/webp")
    photo = page.locator(".bubble.image")
    expect(photo.locator("img")).to_have_js_property("naturalWidth", 640)
    expect(photo.locator(".text")).to_have_text("O <b>recibo</b>")
    video = page.locator(".bubble.video")
    expect(video.locator("video")).to_have_js_property("error", None)
    expect(video.locator(".text")).to_have_text("Veja")
    expect(page.locator(".bubble.audio .voice")).to_have_text("🎤 Mensagem de voz")
    expect(page.locator(".bubble.document a")).to_have_text("📄 conta.pdf")
    expect(page.locator(".bubble.sticker img")).to_have_js_property("naturalWidth", 512)


def test_uploads_are_refused_by_a_switch_on_the_page(page: Page, simulator: Simulator) -> None:
    page.goto(simulator.url)
    go_to(page, "Falhas")
    page.get_by_label("Recusar o próximo arquivo").check()
    wait_until(lambda: simulator.switches["refuse_next_upload"])
    http, auth = simulator.app.test_client(), {"Authorization": f"Bearer {TOKEN}"}
    form = {"messaging_product": "whatsapp", "type": "image/jpeg"}
    with (SAMPLES / "foto.jpg").open("rb") as file:
        form |= {"file": (file, "foto.jpg", "image/jpeg")}
        answer = http.post(f"/v26.0/{NUMBER_ID}/media", data=form, headers=auth)
    assert answer.json["error"]["code"] == 131053

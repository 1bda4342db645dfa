"""From the webhook to the screen: what customers send beside plain text, and what changes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import ACTION_MS, Attendant
from tests.browser.on_screen import Requests
from tests.helpers import LiveServer, Simulator, add_attendant, wait_until

pytestmark = pytest.mark.slow

MARIA = "5511987654321"
AD = {
    "headline": "Bolos de pote",
    "body": "Só hoje",
    "source_url": "https://www.instagram.com/p/abc",
    "source_type": "ad",
    "source_id": "1",
}


@pytest.fixture
def server(live_server: Callable[..., LiveServer]) -> LiveServer:
    return live_server()


@pytest.fixture
def write(server: LiveServer, simulator: Simulator) -> Callable[..., str]:
    """`write("oi", type="order", …)`: Maria writes; returns the wamid."""

    def write(text: str | None = None, **more: object) -> str:
        body = {"text": text, "name": "Maria", **more}
        return simulator.write(MARIA, **body)

    return write


def message(page: Page, wamid: str) -> Locator:
    return page.locator(f"[data-message-id='{wamid}']")


def test_a_group_is_answered_in_the_group(
    server: LiveServer,
    attendant: Callable[..., Attendant],
    write: Callable[..., str],
    simulator: Simulator,
) -> None:
    page = attendant("ana", server.url).page
    write("Quem vem?", group="120363041234567890")
    page.locator("[data-conversation-id]").click()
    page.locator(".composer-input").fill("Nós vamos")
    page.keyboard.press("Enter")
    expect(page.locator(".out[data-message-id]:not(.pending):not(.failed)")).to_have_count(1)
    wait_until(lambda: simulator.texts_on_phone(MARIA) == ["Nós vamos"])


def test_what_a_customer_sends_is_drawn_and_changes(
    server: LiveServer, attendant: Callable[..., Attendant], write: Callable[..., str]
) -> None:
    page = attendant("ana", server.url).page
    ad = write("Ainda tem?", payload={"referral": AD})
    page.locator("[data-conversation-id]").click()
    box = message(page, ad).locator(".referral")
    expect(box).to_contain_text("Bolos de pote")
    expect(box.locator("a")).to_have_attribute("href", AD["source_url"])

    kept = write("Repasse", payload={"context": {"frequently_forwarded": True}})
    expect(message(page, kept)).to_contain_text("Encaminhada com frequência")
    order = write(type="order")
    expect(message(page, order)).to_contain_text("2 × CAFE-250 · R$ 24,90")
    expect(message(page, order)).to_contain_text("Total: R$ 49,80")
    place = write(type="location")
    expect(message(page, place).get_by_role("link", name="Ver no mapa")).to_be_visible()
    card = write(type="contacts")
    expect(message(page, card)).to_contain_text("+55 11 98765-4321")
    welcome = write(type="request_welcome")
    expect(message(page, welcome)).to_have_text("Abriu a conversa pela primeira vez")
    for kind in ("image", "audio", "document", "sticker", "interactive", "button", "unsupported"):
        some = message(page, write(type=kind)).locator(".bubble-body")
        expect(some).not_to_have_text("")
        expect(some).not_to_contain_text("Mensagem vazia")

    pill = message(page, ad).locator(".reactions")
    write(type="reaction", emoji="🙏", reply_to=ad)
    expect(pill).to_have_attribute("aria-label", "Reações: 🙏 Maria")
    write(type="reaction", emoji="", reply_to=ad)
    expect(pill).to_be_hidden()
    write("Repasse já", type="edit", reply_to=kept)
    expect(message(page, kept)).to_contain_text("Repasse já")
    expect(message(page, kept)).to_contain_text("Editada")
    write(type="revoke", reply_to=kept)
    expect(message(page, kept)).not_to_contain_text("Repasse")
    expect(message(page, kept)).to_contain_text("Mensagem apagada")


def test_a_finger_reaches_the_data_of_a_message(
    server: LiveServer, store: object, chromium: Browser, write: Callable[..., str]
) -> None:
    add_attendant(store, "bia", password="bia")
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    context = chromium.new_context(locale="pt-BR", **phone)
    context.set_default_timeout(ACTION_MS)
    person = Attendant(context, server.url, "bia")
    person.log_in()
    page = person.page
    session = context.new_cdp_session(page)

    def press_long(target: Locator) -> None:
        box = target.bounding_box()
        assert box
        point = {"x": box["x"] + 20, "y": box["y"] + box["height"] / 2}
        touch = {"type": "touchStart", "touchPoints": [point]}
        session.send("Input.dispatchTouchEvent", touch)
        expect(page.locator(".context-menu")).to_be_visible()
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    write("oi")
    row = page.locator("[data-conversation-id]")
    expect(row.locator("[data-unread-count]")).to_be_visible()
    press_long(row)
    page.get_by_role("menuitem", name="Marcar como lida").tap()
    expect(row.locator("[data-unread-count]")).to_be_hidden()
    row.tap()
    page.locator(".composer-input").fill("Olá")
    page.locator(".send-button[type=submit]").tap()
    own = page.locator(".message.out")
    expect(own.locator("[data-status=delivered]")).to_be_visible()
    press_long(own.locator(".bubble"))
    page.get_by_role("menuitem", name="Dados da mensagem").tap()
    expect(page.locator(".message-details")).to_contain_text("Entregue")
    assert person.unexpected_errors() == []
    context.close()


def test_the_open_row_is_in_view_after_a_reload_and_a_filter_begins_at_its_top(
    server: LiveServer, simulator: Simulator, attendant: Callable[..., Attendant]
) -> None:
    page = attendant("ana", server.url).page
    simulator.post("/bursts", {"customers": 70, "messages": 1, "text": "Pedido"})
    rows = page.locator(".conversation-list [data-conversation-id]")
    all_there = page.locator(".conversation-list [aria-setsize='70']").first
    expect(all_there).to_be_visible()
    for place in (45, 65):  # on the first page of the list, and below it
        scroll = "(px) => { document.querySelector('.list-scroll').scrollTop = px }"
        page.evaluate(scroll, (place - 2) * 72)
        page.locator(f".conversation-list [aria-posinset='{place + 1}']").click()
        expect(page.locator("[data-message-id]")).to_have_count(1)
        asked = Requests(page)
        page.reload()
        expect(page.locator("[aria-current]")).to_be_in_viewport(ratio=1)
        expect(page.locator("[data-message-id]")).to_have_count(1)
        assert asked.paths.count("/api/conversations") == 1  # no more was read for it
        page.locator(".list-scroll").hover()
        page.mouse.wheel(0, 5_000)
        expect(all_there).to_be_visible()
    top = "document.querySelector('.list-scroll').scrollTop"
    assert page.evaluate(top) > 0
    page.get_by_role("button", name="Não lidas", exact=True).click()
    expect(rows.first).to_be_in_viewport(ratio=1)
    assert page.evaluate(top) == 0

"""Media passed on to other chats: an own copy, with its caption; and why some things cannot be."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.browser.one_chat import JOANA, both, bubble, people, row, write
from tests.browser.sending_media.support import (
    bubbles,
    file,
    is_delivered,
    is_seen,
    paste,
    preview,
    received,
    send_button,
)
from tests.chat.sent_media.files import PDF, picture
from tests.helpers import Simulator, wait_until

pytestmark = pytest.mark.slow

__all__ = ["both", "people"]  # fixtures

PHOTO = file("praia.jpg", "image/jpeg", picture(size=(320, 200)))
PAPER = file("contrato.pdf", "application/pdf", PDF)


def menu_of(page: Page, message: Locator) -> Locator:
    message.locator(".bubble").hover()
    message.locator(".bubble-chevron").click()
    return page.get_by_role("menu")


def forward(page: Page, name: str) -> None:
    dialog = page.get_by_role("dialog", name="Encaminhar mensagem para")
    dialog.get_by_role("checkbox", name=name).check()
    dialog.get_by_role("button", name="Enviar").click()
    expect(dialog).to_be_hidden()


def test_a_photo_and_a_document_go_to_another_customer(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    write(simulator, "Bom dia", JOANA, "Joana")
    expect(row(ana, "Joana")).to_be_visible()
    paste(ana, PHOTO, PAPER)
    preview(ana).get_by_label("Legenda").fill("a praia")
    send_button(ana).click()
    is_delivered(bubbles(ana, "document"))
    menu_of(ana, bubbles(ana, "image")).get_by_role("menuitem", name="Selecionar").click()
    bubbles(ana, "document").locator(".bubble").click(position={"x": 5, "y": 5})
    bar = ana.get_by_role("toolbar", name="Mensagens selecionadas")
    expect(bar).to_contain_text("2 selecionadas")
    bar.get_by_role("button", name="Encaminhar").click()
    forward(ana, "Joana")
    expect(ana.locator(".header-name")).to_have_text("Joana")
    wait_until(
        lambda: (
            ana.evaluate("true")
            and received(simulator, JOANA) == [("image", "a praia"), ("document", "")]
        )
    )
    row(bruno, "Joana").click()
    for page in (ana, bruno):
        for kind in ("image", "document"):
            expect(bubbles(page, kind).locator(".forwarded")).to_have_text("Encaminhada")
            is_delivered(bubbles(page, kind))
        is_seen(bubbles(page, "image"))


def test_it_is_shown_from_the_original_while_it_is_on_its_way(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0].page
    write(simulator, "Bom dia", JOANA, "Joana")
    expect(row(ana, "Joana")).to_be_visible()
    paste(ana, PHOTO)
    send_button(ana).click()
    is_delivered(bubbles(ana, "image"))
    people[0].allow_errors("ERR_FAILED")
    posts = "**/api/conversations/*/messages"
    ana.route(posts, lambda r: r.abort() if r.request.method == "POST" else r.continue_())
    menu_of(ana, bubbles(ana, "image")).get_by_role("menuitem", name="Encaminhar").click()
    forward(ana, "Joana")
    expect(ana.locator(".header-name")).to_have_text("Joana")
    expect(bubbles(ana, "image").locator(".problem-text")).to_have_text("Aguardando conexão")
    is_seen(bubbles(ana, "image"))
    ana.unroute(posts)
    is_delivered(bubbles(ana, "image"))
    assert received(simulator, JOANA) == [("image", "")]


def test_what_cannot_be_passed_on_says_why(both: list[Page], simulator: Simulator) -> None:
    ana, _ = both
    place = {"type": "location", "payload": {"latitude": -23.5, "longitude": -46.6}}
    simulator.write("5511987654321", **place)
    message = ana.locator('.message.in[data-media="place"]')
    item = menu_of(ana, message).get_by_role("menuitem", name="Encaminhar")
    expect(item).to_have_attribute("aria-disabled", "true")
    expect(item).to_contain_text("Só textos e arquivos podem ser encaminhados")
    ana.keyboard.press("Escape")
    expect(bubble(ana, "Tem azul?")).to_be_visible()

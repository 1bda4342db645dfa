"""Where an attendant types: what it offers, and what becomes of long and pasted texts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.helpers import Simulator, wait_until

MARIA = "5511987654321"
LIMIT = 4096


@pytest.fixture
def page(in_marias_chat: Callable[..., list[Attendant]]) -> Page:
    """Ana's, with Maria's conversation open."""
    return in_marias_chat("ana")[0].page


def bubble(page: Page, text: str) -> Locator:
    return page.locator("[data-message-id]", has_text=text)


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Mensagem")


def arrow(page: Page) -> Locator:
    return page.get_by_role("button", name="Enviar", exact=True)


def paste(page: Page, text: str) -> None:
    """Into the field, by the keyboard, as from another program."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    field(page).press("ControlOrMeta+v")


def test_the_arrow_is_there_when_there_is_something_to_send(page: Page) -> None:
    expect(arrow(page)).to_be_hidden()
    field(page).fill("  \n ")
    expect(arrow(page)).to_be_hidden()
    field(page).fill("Olá")
    arrow(page).click()
    expect(bubble(page, "Olá").locator("[data-status=delivered]")).to_be_visible()
    expect(arrow(page)).to_be_hidden()
    expect(field(page)).to_be_focused()


def test_many_lines_are_pasted_as_they_are_and_sent_so(page: Page, simulator: Simulator) -> None:
    lines = "\n".join(f"{n}. item da lista" for n in range(1, 61))
    field(page).press_sequentially("Segue: ")
    paste(page, lines)
    expect(field(page)).to_have_value(f"Segue: {lines}")
    # Where the writing goes on is in view, in a field that has grown as far as it does.
    at_end = "(node) => node.scrollTop + node.clientHeight >= node.scrollHeight - 12"
    wait_until(lambda: field(page).evaluate(at_end))
    field(page).press("Enter")
    wait_until(lambda: f"Segue: {lines}" in simulator.texts_on_phone(MARIA))


def test_the_last_characters_are_counted_down(page: Page) -> None:
    count = page.locator(".composer-count")
    field(page).fill("a" * (LIMIT - 201))
    expect(count).to_have_text("")
    field(page).press_sequentially("b")
    expect(count).to_have_text("200")
    field(page).fill("😀" * LIMIT)  # each is one, though JavaScript counts two
    expect(count).to_have_text("0")
    expect(arrow(page)).to_be_enabled()
    expect(page.locator(".composer-length")).to_have_text("")


def test_a_paste_that_does_not_fit_stays_whole_and_is_not_sent(
    page: Page, simulator: Simulator
) -> None:
    text = "linha de um contrato\n" * 286
    paste(page, text)
    expect(field(page)).to_have_value(text)
    said = page.locator(".composer-length")
    expect(said).to_contain_text("Tudo o que foi colado está no campo")
    expect(said).to_contain_text("4.096 caracteres")
    expect(page.locator(".composer-count")).to_have_text("-1.909")
    expect(arrow(page)).to_be_disabled()
    field(page).press("Enter")
    expect(field(page)).to_have_value(text)
    expect(page.locator(".message.out")).to_have_count(0)

    # Typed, it is the text that is too long; cut down to what fits, it goes.
    field(page).fill("")
    field(page).fill("x" * (LIMIT + 1))
    expect(said).to_contain_text("Texto longo demais")
    field(page).press("Backspace")
    expect(said).to_have_text("")
    field(page).press("Enter")
    wait_until(lambda: "x" * LIMIT in simulator.texts_on_phone(MARIA))

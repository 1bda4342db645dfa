"""Two answer the same customer: what the other wrote is seen before the own message goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.browser.test_unsent import Way
from tests.helpers import Simulator, wait_until

pytestmark = pytest.mark.slow

MARIA = "5511987654321"


@pytest.fixture
def people(in_marias_chat: Callable[..., list[Attendant]]) -> list[Attendant]:
    """Ana and Bruno, both with Maria's conversation open."""
    both = in_marias_chat("ana", "bruno")
    for person in both:
        person.allow_errors("409")
    return both


def open_maria(page: Page) -> None:
    page.locator("[data-conversation-id]").click()
    expect(bubble(page, "oi")).to_be_visible()


def bubble(page: Page, text: str) -> Locator:
    return page.locator("[data-message-id]", has=page.get_by_text(text, exact=True))


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Mensagem")


def strip(page: Page) -> Locator:
    return page.locator(".collision")


def send(page: Page, text: str) -> None:
    field(page).fill(text)
    field(page).press("Enter")


def is_sent(page: Page, text: str) -> None:
    expect(bubble(page, text).locator("[data-status=delivered]")).to_be_visible()


def waits_for_a_word(page: Page, text: str) -> None:
    expect(bubble(page, text).locator(".problem-text")).to_have_text("Aguardando sua confirmação")


def test_a_colleagues_answer_is_seen_first_and_the_own_one_goes_by_a_word(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana, bruno = (person.page for person in people)
    field(ana).fill("Não temos mais")
    send(bruno, "Temos dois, chegaram hoje")
    expect(bubble(ana, "Temos dois, chegaram hoje")).to_be_visible()
    field(ana).press("Enter")
    expect(strip(ana)).to_contain_text("Bruno respondeu há pouco:")
    expect(strip(ana)).to_contain_text("Temos dois, chegaram hoje")
    waits_for_a_word(ana, "Não temos mais")
    expect(bubble(bruno, "Não temos mais")).to_have_count(0)

    # Called back, it is in the field again, to be changed; it is an answer to Bruno's now.
    strip(ana).get_by_role("button", name="Cancelar").click()
    expect(strip(ana)).to_be_hidden()
    expect(bubble(ana, "Não temos mais")).to_have_count(0)
    expect(field(ana)).to_have_value("Não temos mais")
    expect(field(ana)).to_be_focused()
    send(ana, "Posso separar um")
    is_sent(ana, "Posso separar um")
    expect(strip(ana)).to_be_hidden()

    # The other way round, and sent all the same.
    field(bruno).fill("Custa dez")
    send(ana, "Custa doze")
    expect(bubble(bruno, "Custa doze")).to_be_visible()
    field(bruno).press("Enter")
    expect(strip(bruno)).to_contain_text("Ana respondeu há pouco:")
    strip(bruno).get_by_role("button", name="Enviar mesmo assim").click()
    is_sent(bruno, "Custa dez")
    expect(strip(bruno)).to_be_hidden()
    expect(bubble(ana, "Custa dez")).to_be_visible()
    texts = ["Temos dois, chegaram hoje", "Posso separar um", "Custa doze", "Custa dez"]
    wait_until(lambda: simulator.texts_on_phone(MARIA) == texts)


def test_who_begins_to_write_after_the_others_answer_is_not_asked(
    people: list[Attendant],
) -> None:
    ana, bruno = (person.page for person in people)
    for n, (one, other) in enumerate([(ana, bruno), (bruno, ana), (ana, bruno)]):
        send(one, f"Resposta {n}")
        expect(bubble(other, f"Resposta {n}")).to_be_visible()
    # What was typed and taken back has no beginning any more.
    field(ana).fill("hm")
    send(bruno, "Mais uma")
    expect(bubble(ana, "Mais uma")).to_be_visible()
    field(ana).fill("")
    send(ana, "Certo")
    is_sent(ana, "Certo")
    expect(strip(ana)).to_be_hidden()


def test_escape_calls_back_and_leaves_the_conversation_open(
    people: list[Attendant],
) -> None:
    ana, bruno = (person.page for person in people)
    field(ana).fill("Não")
    send(bruno, "Sim")
    expect(bubble(ana, "Sim")).to_be_visible()
    field(ana).press("Enter")
    expect(strip(ana)).to_be_visible()
    field(ana).press("Escape")
    expect(strip(ana)).to_be_hidden()
    expect(field(ana)).to_have_value("Não")


def test_what_waited_for_the_connection_waits_for_a_word_with_all_behind_it(
    people: list[Attendant], simulator: Simulator
) -> None:
    """In every tab, and after a reload; nothing overtakes, and the order is the typing's."""
    ana, bruno = people
    way, page = Way(ana), ana.page
    way.is_shut = True
    send(page, "Primeira")
    send(page, "Segunda")
    expect(bubble(page, "Segunda").locator(".problem-text")).to_have_text("Aguardando conexão")
    send(bruno.page, "Já resolvi")
    is_sent(bruno.page, "Já resolvi")
    expect(bubble(page, "Já resolvi")).to_be_visible()
    way.is_shut = False
    expect(strip(page)).to_contain_text("Já resolvi")
    for text in ("Primeira", "Segunda"):
        waits_for_a_word(page, text)
    send(page, "Terceira")
    waits_for_a_word(page, "Terceira")

    page.reload()
    second = ana.new_tab()
    second.goto(ana.url)
    open_maria(second)
    for tab in (page, second):
        expect(strip(tab)).to_contain_text("Já resolvi")
        waits_for_a_word(tab, "Terceira")
    strip(second).get_by_role("button", name="Enviar mesmo assim").click()
    for tab in (page, second):
        for text in ("Primeira", "Segunda", "Terceira"):
            is_sent(tab, text)
        expect(strip(tab)).to_be_hidden()
    texts = ["Já resolvi", "Primeira", "Segunda", "Terceira"]
    wait_until(lambda: page.evaluate("true") and simulator.texts_on_phone(MARIA) == texts)


def test_all_that_waits_is_called_back_together(people: list[Attendant]) -> None:
    ana, bruno = people
    way, page = Way(ana), ana.page
    way.is_shut = True
    send(page, "Primeira")
    send(page, "Segunda")
    send(bruno.page, "Já resolvi")
    is_sent(bruno.page, "Já resolvi")
    way.is_shut = False
    expect(strip(page)).to_be_visible()
    field(page).fill("e mais")
    strip(page).get_by_role("button", name="Cancelar").click()
    expect(field(page)).to_have_value("Primeira\nSegunda\ne mais")
    expect(page.locator(".message.out.pending")).to_have_count(0)
    page.reload()
    expect(field(page)).to_have_value("Primeira\nSegunda\ne mais")
    expect(bubble(page, "Já resolvi")).to_be_visible()
    expect(bubble(page, "Primeira")).to_have_count(0)


def test_in_a_chat_that_is_not_open_a_line_says_what_waits(
    people: list[Attendant],
) -> None:
    ana, bruno = people
    way, page = Way(ana), ana.page
    way.is_shut = True
    send(page, "Primeira")
    expect(bubble(page, "Primeira").locator(".problem-text")).to_have_text("Aguardando conexão")
    page.keyboard.press("Escape")
    expect(field(page)).to_be_hidden()
    send(bruno.page, "Já resolvi")
    is_sent(bruno.page, "Já resolvi")
    way.is_shut = False
    expect(page.locator(".toast")).to_contain_text("Bruno respondeu a Maria antes")
    page.get_by_role("button", name="Abrir").click()
    expect(strip(page)).to_contain_text("Já resolvi")

"""Messages are passed on to other chats, one or several, and copied together."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.browser.one_chat import (
    JOANA,
    MARIA,
    both,
    bubble,
    choose,
    on_phone,
    people,
    row,
    write,
)
from tests.helpers import Simulator

pytestmark = pytest.mark.slow

__all__ = ["both", "people"]  # fixtures

CARLA = "5511955554444"


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Encaminhar mensagem para")


def target(page: Page, name: str) -> Locator:
    return dialog(page).get_by_role("checkbox", name=name)


def bar(page: Page) -> Locator:
    return page.get_by_role("toolbar", name="Mensagens selecionadas")


def test_a_message_is_passed_on_to_one_chat_which_opens(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    write(simulator, "Bom dia", JOANA, "Joana")
    expect(row(bruno, "Joana").locator("unread-badge")).to_have_text("1")
    choose(ana, "Tem azul?", "Encaminhar")
    target(ana, "Joana").check()
    dialog(ana).get_by_role("button", name="Enviar").click()
    expect(dialog(ana)).to_be_hidden()
    expect(ana.locator(".header-name")).to_have_text("Joana")
    expect(bubble(ana, "Tem azul?").locator(".forwarded")).to_have_text("Encaminhada")
    assert on_phone(simulator, "Tem azul?", JOANA)["author"] == "business"
    row(bruno, "Joana").click()
    expect(bubble(bruno, "Tem azul?").locator(".forwarded")).to_have_text("Encaminhada")


def test_several_messages_go_to_several_chats_in_their_order(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    for phone, name in ((JOANA, "Joana"), (CARLA, "Carla")):
        write(simulator, f"Oi, sou {name}", phone, name)
    expect(row(ana, "Carla")).to_be_visible()
    choose(ana, "E quanto custa?", "Selecionar mensagens")
    expect(bar(ana)).to_contain_text("1 selecionada")
    expect(ana.locator(".composer")).to_be_hidden()
    bubble(ana, "Tem azul?").locator(".bubble").click()
    expect(bar(ana)).to_contain_text("2 selecionadas")
    bar(ana).get_by_role("button", name="Encaminhar").click()
    for name in ("Joana", "Carla"):
        target(ana, name).check()
    expect(dialog(ana).locator(".forward-names")).to_contain_text("Joana")
    dialog(ana).get_by_role("button", name="Enviar").click()
    expect(ana.locator(".toast-text")).to_have_text("Encaminhada para 2 conversas")
    expect(ana.locator(".header-name")).to_have_text("Maria")
    expect(ana.locator(".select-box")).to_have_count(0)
    for phone, name in ((JOANA, "Joana"), (CARLA, "Carla")):
        on_phone(simulator, "E quanto custa?", phone)
        row(bruno, name).click()
        said = bruno.locator(".bubble-text")
        expect(said).to_have_text([f"Oi, sou {name}", "Tem azul?", "E quanto custa?"])
        expect(bruno.locator(".forwarded:not([hidden])")).to_have_count(2)


def test_chats_after_their_24_hours_are_shown_and_cannot_be_chosen(
    both: list[Page], simulator: Simulator
) -> None:
    ana, _ = both
    write(simulator, "Ontem", JOANA, "Joana Pão", timestamp=int(time.time()) - 25 * 3600)
    expect(row(ana, "Joana Pão")).to_be_visible()
    choose(ana, "Tem azul?", "Encaminhar")
    search = dialog(ana).get_by_label("Pesquisar nome ou número")
    expect(search).to_be_focused()
    for typed in ("joana pao", "91234-5678"):
        search.fill(typed)
        expect(dialog(ana).locator("li")).to_have_count(1)
        expect(target(ana, "Joana Pão")).to_be_disabled()
        expect(dialog(ana).locator("li")).to_contain_text("Janela de 24 horas encerrada")
    search.fill("ninguém")
    expect(dialog(ana).get_by_text("Nenhuma conversa encontrada")).to_be_visible()
    expect(dialog(ana).get_by_role("button", name="Enviar")).to_be_disabled()
    # Escape closes the dialog alone.
    ana.keyboard.press("Escape")
    expect(dialog(ana)).to_be_hidden()
    expect(ana.locator(".header-name")).to_have_text("Maria")


def test_several_are_copied_with_names_and_times(people: list[Attendant]) -> None:
    ana = people[0].page
    people[0].context.grant_permissions(["clipboard-read", "clipboard-write"])
    ana.locator(".composer-input").fill("Tem, e verde")
    ana.keyboard.press("Enter")
    sent = bubble(ana, "Tem, e verde").locator("message-ticks[data-status=delivered]")
    expect(sent).to_be_visible()
    choose(ana, "Tem azul?", "Selecionar mensagens")
    # By keyboard, too.
    ana.keyboard.press("ArrowDown")
    ana.keyboard.press("ArrowDown")
    ana.keyboard.press("Space")
    expect(bar(ana)).to_contain_text("2 selecionadas")
    bar(ana).get_by_role("button", name="Copiar").click()
    expect(ana.locator(".toast-text")).to_have_text("Mensagens copiadas")
    expect(bar(ana)).to_be_hidden()
    copied = ana.evaluate("navigator.clipboard.readText()")
    at = r"\[\d\d:\d\d, \d\d/\d\d/\d{4}\]"
    assert re.fullmatch(f"{at} Maria: Tem azul\\?\n{at} Ana: Tem, e verde", copied), copied


def test_selecting_ends_by_escape_and_with_the_chat(both: list[Page], simulator: Simulator) -> None:
    ana, _ = both
    gone = write(simulator, "engano")
    choose(ana, "engano", "Selecionar mensagens")
    bubble(ana, "Tem azul?").locator(".bubble").click(button="right")
    expect(ana.get_by_role("menu")).to_have_count(0)
    simulator.write(MARIA, type="revoke", reply_to=gone)
    expect(bar(ana)).to_contain_text("0 selecionadas")
    for name in ("Copiar", "Encaminhar"):
        expect(bar(ana).get_by_role("button", name=name)).to_be_disabled()
    ana.keyboard.press("Escape")
    expect(bar(ana)).to_be_hidden()
    expect(ana.locator(".composer-input")).to_be_focused()
    choose(ana, "Tem azul?", "Selecionar mensagens")
    write(simulator, "Bom dia", JOANA, "Joana")
    row(ana, "Joana").click()
    expect(bubble(ana, "Bom dia")).to_be_visible()
    expect(bar(ana)).to_be_hidden()
    row(ana, "Maria").click()
    expect(bubble(ana, "Tem azul?")).to_be_visible()
    expect(ana.locator(".select-box")).to_have_count(0)

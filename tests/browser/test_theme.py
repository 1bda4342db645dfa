"""Light and dark: as the system has it, or as was chosen in the menu; and the rail beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Attendant
from tests.browser.one_chat import JOANA, row, write
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

BACKGROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT, DARK = "rgb(245, 241, 235)", "rgb(22, 23, 23)"


@pytest.fixture
def ana(live_server: Callable[..., LiveServer], attendant: Callable[..., Attendant]) -> Attendant:
    person = attendant("ana", live_server().url)
    person.page.emulate_media(color_scheme="light")
    person.wait_connected()
    return person


def shows(page: Page, colour: str) -> None:
    wait_until(lambda: page.evaluate(BACKGROUND) == colour)


def choose(page: Page, theme: str) -> None:
    page.get_by_role("button", name="Menu", exact=True).click()
    page.get_by_role("radio", name=theme).click()
    expect(page.get_by_role("radio", name=theme)).to_have_attribute("aria-checked", "true")
    page.keyboard.press("Escape")


def test_the_theme_follows_the_system_until_one_is_chosen(ana: Attendant) -> None:
    page = ana.page
    shows(page, LIGHT)
    page.emulate_media(color_scheme="dark")
    shows(page, DARK)
    choose(page, "Claro")
    shows(page, LIGHT)
    choose(page, "Escuro")
    page.emulate_media(color_scheme="light")
    shows(page, DARK)
    choose(page, "Padrão do sistema")
    shows(page, LIGHT)
    page.emulate_media(color_scheme="dark")
    shows(page, DARK)


def test_the_chosen_theme_is_this_browsers_in_every_tab_and_before_anything_is_drawn(
    ana: Attendant,
) -> None:
    page, other = ana.page, ana.new_tab()
    other.emulate_media(color_scheme="light")
    other.goto(ana.url)
    shows(other, LIGHT)
    choose(page, "Escuro")
    shows(other, DARK)
    expect(other.locator("[data-theme-choice=dark]")).to_have_attribute("aria-checked", "true")

    # The page's own scripts have no part in it: it is dark before they come.
    ana.allow_errors("ERR_FAILED")
    other.route("**/chat/chat.js*", lambda route: route.abort())
    other.reload()
    assert other.evaluate(BACKGROUND) == DARK
    other.unroute("**/chat/chat.js*")

    page.get_by_role("button", name="Menu", exact=True).click()
    page.get_by_role("button", name="Desconectar", exact=True).click()
    expect(page.get_by_label("Senha")).to_be_visible()
    assert page.evaluate(BACKGROUND) == DARK


def test_a_browser_that_keeps_nothing_still_changes_its_theme(
    ana: Attendant,
) -> None:
    page = ana.page
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })"
    )
    page.reload()
    ana.wait_connected()
    shows(page, LIGHT)
    choose(page, "Escuro")
    shows(page, DARK)


def test_the_rail_counts_the_unread_and_leads_back_to_all_conversations(
    ana: Attendant, simulator: Simulator
) -> None:
    page: Any = ana.page
    rail = page.locator(".rail-chats")
    expect(rail).to_have_accessible_name("Conversas")
    write(simulator, "Oi")
    expect(rail).to_have_accessible_name("Conversas: 1 conversa não lida")
    write(simulator, "Bom dia", phone=JOANA, name="Joana")
    expect(rail).to_have_accessible_name("Conversas: 2 conversas não lidas")
    expect(page.locator(".rail-badge")).to_have_text("2")
    row(page, "Maria").click()
    expect(page.locator(".rail-badge")).to_have_text("1")

    page.get_by_role("button", name="Não lidas").click()
    page.get_by_role("button", name="Nova conversa").click()
    rail.click()
    expect(page.get_by_role("region", name="Nova conversa")).to_be_hidden()
    expect(page.get_by_role("button", name="Tudo")).to_have_attribute("aria-pressed", "true")
    expect(row(page, "Maria")).to_be_visible()
    # Who is here opens their menu, beside the rail.
    page.locator(".rail-user").click()
    expect(page.get_by_role("switch", name="Sons")).to_be_in_viewport()

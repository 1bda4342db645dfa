"""Attendants who leave the mouse alone: shortcuts, arrows, Escape, and typing from anywhere."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.one_chat import JOANA, both, bubble, people, row, write
from tests.helpers import Simulator

pytestmark = pytest.mark.slow

__all__ = ["both", "people"]  # fixtures


@pytest.fixture
def ana(both: list[Page], simulator: Simulator) -> Page:
    """Ana's tab, with Maria's chat open; Joana's stands below it."""
    page = both[0]
    earlier = int(time.time()) - 3600
    write(simulator, "Abrem sábado?", phone=JOANA, name="Joana", timestamp=earlier)
    expect(row(page, "Joana")).to_be_visible()
    return page


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Mensagem", exact=True)


def menu_of(page: Page, text: str) -> Locator:
    return bubble(page, text).get_by_role("button", name="Menu da mensagem")


def opened(page: Page, name: str) -> None:
    expect(page.locator(".header-name")).to_have_text(name)


def test_the_list_of_shortcuts_opens_from_the_menu_and_gives_the_focus_back(ana: Page) -> None:
    menu = ana.get_by_role("button", name="Menu", exact=True)
    menu.focus()
    ana.keyboard.press("Enter")
    expect(ana.get_by_role("switch", name="Sons")).to_be_focused()
    ana.keyboard.press("ArrowUp")
    expect(ana.get_by_role("button", name="Desconectar de todos os aparelhos")).to_be_focused()
    ana.keyboard.press("ArrowUp")
    ana.keyboard.press("ArrowUp")
    ana.keyboard.press("Enter")
    dialog = ana.get_by_role("dialog", name="Atalhos do teclado")
    expect(dialog).to_contain_text("Nova conversa")
    told = dialog.locator(".shortcut", has_text="Fixar conversa").locator("kbd")
    expect(told).to_have_text(["Ctrl", "Alt", "Shift", "P"])
    ana.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(menu).to_be_focused()


def test_shortcuts_lead_through_the_screen(both: list[Page], ana: Page) -> None:
    bruno = both[1]
    ana.keyboard.press("Control+Alt+Tab")
    opened(ana, "Joana")
    expect(field(ana)).to_be_focused()
    ana.keyboard.press("Control+Alt+Shift+Tab")
    opened(ana, "Maria")
    ana.keyboard.press("Control+Alt+Shift+P")
    ana.keyboard.press("Control+Alt+Shift+M")
    for page in (ana, bruno):
        expect(row(page, "Maria").get_by_text("Fixada")).to_be_attached()
        expect(row(page, "Maria").locator(".row-muted")).to_be_visible()
    ana.keyboard.press("Control+Alt+Shift+U")
    expect(row(bruno, "Maria").locator("unread-badge")).to_be_visible()

    ana.keyboard.press("Control+Alt+N")
    expect(ana.get_by_role("region", name="Nova conversa")).to_be_visible()
    expect(ana.get_by_role("searchbox", name="Pesquisar nome ou número")).to_be_focused()
    ana.keyboard.press("Control+Alt+/")
    expect(ana.get_by_role("region", name="Nova conversa")).to_be_hidden()
    expect(ana.get_by_label("Pesquisar conversas e mensagens")).to_be_focused()
    ana.keyboard.press("Control+Alt+Shift+F")
    expect(ana.locator(".thread-search-field")).to_be_focused()
    ana.keyboard.press("Escape")
    expect(field(ana)).to_be_focused()

    # A dialog has the keyboard for itself.
    ana.get_by_role("button", name="Menu", exact=True).click()
    ana.get_by_role("button", name="Atalhos do teclado").click()
    ana.keyboard.press("Control+Alt+E")
    ana.keyboard.press("Escape")
    expect(row(ana, "Maria")).to_be_visible()
    ana.keyboard.press("Control+Alt+E")
    for page in (ana, bruno):
        expect(row(page, "Maria")).to_have_count(0)
        expect(page.get_by_role("button", name="Arquivadas: 1 não lida")).to_be_visible()


def test_typing_goes_into_the_field_from_wherever_the_focus_is(ana: Page) -> None:
    row(ana, "Maria").locator(".row").focus()
    ana.keyboard.press("ArrowDown")
    expect(row(ana, "Joana").locator(".row")).to_be_focused()
    ana.keyboard.type("Temos, sim")
    expect(field(ana)).to_have_value("Temos, sim")
    expect(field(ana)).to_be_focused()

    menu_of(ana, "Tem azul?").focus()
    ana.keyboard.type("!")
    expect(field(ana)).to_have_value("Temos, sim!")

    # What has a field of its own keeps what is typed there; a browser's shortcut types nothing.
    ana.keyboard.press("Control+Alt+N")
    ana.keyboard.press("ArrowDown")
    ana.keyboard.type("jo")
    expect(ana.get_by_role("searchbox", name="Pesquisar nome ou número")).to_have_value("jo")
    ana.keyboard.press("Escape")
    row(ana, "Joana").locator(".row").focus()
    ana.keyboard.press("Control+B")
    expect(row(ana, "Joana").locator(".row")).to_be_focused()
    expect(field(ana)).to_have_value("Temos, sim!")


def test_arrows_go_from_the_empty_field_through_the_messages_and_back(ana: Page) -> None:
    field(ana).focus()
    ana.keyboard.press("ArrowUp")
    expect(menu_of(ana, "E quanto custa?")).to_be_focused()
    described = menu_of(ana, "E quanto custa?").evaluate(
        "(node) => document.getElementById(node.getAttribute('aria-describedby')).textContent"
    )
    assert described == "E quanto custa?"
    ana.keyboard.press("ArrowUp")
    expect(menu_of(ana, "Tem azul?")).to_be_focused()
    outline = "(node) => getComputedStyle(node).outlineStyle"
    assert bubble(ana, "Tem azul?").locator(".bubble").evaluate(outline) == "solid"
    assert bubble(ana, "E quanto custa?").locator(".bubble").evaluate(outline) == "none"
    ana.keyboard.press("End")
    expect(menu_of(ana, "E quanto custa?")).to_be_focused()
    ana.keyboard.press("Home")
    expect(menu_of(ana, "Tem azul?")).to_be_focused()

    ana.keyboard.press("Enter")
    expect(ana.get_by_role("menuitem", name="Responder")).to_be_focused()
    ana.keyboard.press("Escape")
    expect(menu_of(ana, "Tem azul?")).to_be_focused()
    opened(ana, "Maria")
    ana.keyboard.press("End")
    ana.keyboard.press("ArrowDown")
    expect(field(ana)).to_be_focused()

    ana.keyboard.type("Temos")
    ana.keyboard.press("ArrowUp")  # to the beginning of the text
    expect(field(ana)).to_be_focused()


def test_escape_ends_what_lies_on_top_and_the_conversation_last(ana: Page) -> None:
    bubble(ana, "Tem azul?").locator(".bubble-text").dblclick()
    expect(ana.locator(".quote-bar")).to_be_visible()
    ana.get_by_role("button", name="Dados do contato").click()
    panel = ana.get_by_role("complementary", name="Dados do contato")
    expect(panel).to_be_visible()
    ana.get_by_role("button", name="Emojis").click()
    expect(ana.locator(".emoji-panel")).to_be_visible()
    field(ana).click()
    expect(ana.locator(".emoji-panel")).to_be_visible()

    ana.keyboard.press("Escape")
    expect(ana.locator(".emoji-panel")).to_be_hidden()
    expect(panel).to_be_visible()
    ana.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(ana.locator(".quote-bar")).to_be_visible()
    ana.keyboard.press("Escape")
    expect(ana.locator(".quote-bar")).to_be_hidden()
    opened(ana, "Maria")
    ana.keyboard.press("Escape")
    expect(ana.locator(".empty-title")).to_be_visible()
    expect(row(ana, "Maria").locator(".row")).to_be_focused()

    # A search over the list ends, too, wherever the focus is.
    row(ana, "Maria").click()
    ana.get_by_label("Pesquisar conversas e mensagens").fill("azul")
    results = ana.get_by_role("region", name="Resultados da pesquisa")
    expect(results).to_be_visible()
    field(ana).click()
    ana.keyboard.press("Escape")
    expect(results).to_be_hidden()
    opened(ana, "Maria")


#: What Tab must come by, from the top of the page to the field and what is round it.
STOPS = [
    *(".rail-chats", ".rail-user", ".new-chat-button", ".pane-header [popovertarget]"),
    *(".list-search-field", ".filter-chip", ".row", ".header-contact", ".owner-button"),
    *(".thread-search-button", ".thread-menu", ".thread-scroll", ".bubble-chevron"),
    *(".plus-button", ".emoji-button", ".composer-input", ".suggest-button"),
]


def test_tab_comes_by_everything_and_shows_where_it_is(ana: Page) -> None:
    ana.evaluate("document.activeElement.blur()")
    found: list[str] = []
    unseen: list[str] = []
    for _ in range(60):
        ana.keyboard.press("Tab")
        stops, name, is_seen = ana.evaluate(
            """(stops) => {
              const node = document.activeElement;
              const ring = [node, node.closest(".bubble, .list-search")].filter(Boolean)
                .some((each) => getComputedStyle(each).outlineStyle !== "none");
              return [stops.filter((each) => node.matches(each)), node.className, ring];
            }""",
            STOPS,
        )
        found += stops
        if not is_seen and name != "composer-input":
            unseen.append(name)
    there = [each for each in STOPS if ana.locator(each).first.is_visible()]
    assert [each for each in there if each not in found] == []
    assert set(STOPS) - set(there) <= {".owner-button", ".suggest-button"}
    assert [name for name in unseen if name] == []

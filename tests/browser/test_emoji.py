"""The emoji to choose from: by category, by their Portuguese names, and by the keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from local.processes.parts import ROOT
from tests.browser.conftest import Attendant
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

MARIA = "5511987654321"
#: Stricter than what is sent today: no style stands in the page, nor is any put there.
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@pytest.fixture
def ana(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
) -> Attendant:
    """With Maria's conversation open, under that policy: a breach is an error in the console."""
    assert (ROOT / "static/vendor/emoji/pt.json").is_file(), "python3 dev.py test fetches it"
    server = live_server()
    simulator.write(MARIA, text="oi", name="Maria")
    person = attendant("ana", server.url)
    person.context.route(re.compile(r"^http://[^/]+/(\?.*)?$"), strictly)
    open_maria(person)
    return person


def strictly(route: Route) -> None:
    response = route.fetch()
    headers = {**response.headers, "content-security-policy": POLICY}
    route.fulfill(response=response, headers=headers)


def open_maria(person: Attendant) -> None:
    person.page.goto(person.url)
    person.wait_connected()
    person.page.locator("[data-conversation-id]").click()
    expect(field(person.page)).to_be_visible()


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Mensagem", exact=True)


def button(page: Page) -> Locator:
    return page.get_by_role("button", name="Emojis")


def panel(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Emojis")


def search(page: Page) -> Locator:
    return panel(page).get_by_role("searchbox", name="Pesquisar emoji")


def cell(page: Page, name: str) -> Locator:
    return panel(page).locator(".emoji-scroll").get_by_role("button", name=name, exact=True).first


def test_it_goes_where_the_caret_is_and_the_picker_stays(
    ana: Attendant, simulator: Simulator
) -> None:
    page = ana.page
    field(page).fill("Olá , tudo bem?")
    for _ in range(len(", tudo bem?")):
        field(page).press("ArrowLeft")
    button(page).click()
    cell(page, "rosto risonho").click()
    cell(page, "rosto chorando de rir").click()
    expect(field(page)).to_have_value("Olá 😀😂, tudo bem?")
    expect(panel(page)).to_be_visible()
    expect(field(page)).to_be_focused()  # one goes on writing
    page.keyboard.type("!")
    expect(field(page)).to_have_value("Olá 😀😂!, tudo bem?")
    field(page).press("Enter")
    wait_until(lambda: simulator.texts_on_phone(MARIA) == ["Olá 😀😂!, tudo bem?"])
    page.locator(".thread-scroll").click(position={"x": 5, "y": 5})
    expect(panel(page)).to_be_hidden()

    # The last ones come first the next time, in every tab.
    other = ana.new_tab()
    other.goto(page.url)
    for tab in (page, other):
        button(tab).click()
        recent = panel(tab).get_by_role("group", name="Recentes").get_by_role("button")
        expect(recent).to_have_text(["😂", "😀"])


def test_names_and_what_they_stand_for_find_it_without_accents(ana: Attendant) -> None:
    page = ana.page
    button(page).click()
    expect(search(page)).to_be_focused()
    cells = panel(page).locator(".emoji-cell")
    for typed, name in [
        ("coracao verm", "coração vermelho"),
        ("CORAÇÃO VERM", "coração vermelho"),
        ("joia", "polegar para cima"),
        ("risada", "rolando no chão de rir"),
        ("brasil", "bandeira: Brasil"),
    ]:
        search(page).fill(typed)
        expect(cell(page, name)).to_be_visible()
    expect(cells).to_have_count(1)
    search(page).fill("nada disso existe")
    expect(panel(page).get_by_role("status")).to_have_text("Nenhum emoji encontrado")
    search(page).fill("")
    for name in ("Comidas e bebidas", "Bandeiras", "Smileys e pessoas"):
        tab = panel(page).get_by_role("button", name=name, exact=True)
        tab.click()
        expect(tab).to_have_attribute("aria-current", "true")
        expect(panel(page).get_by_role("group", name=name)).to_be_in_viewport()


def test_the_keyboard_alone_is_enough(ana: Attendant) -> None:
    page = ana.page
    field(page).focus()
    page.keyboard.press("Shift+Tab")
    expect(button(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(cell(page, "rosto risonho")).to_be_visible()
    page.keyboard.press("ArrowDown")
    first = cell(page, "rosto risonho")
    expect(first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value("😃😃")
    expect(panel(page)).to_be_visible()
    # Over the edge of a category and back, in the column; over the first row into the search.
    page.keyboard.press("End")
    expect(cell(page, "bandeira: País de Gales")).to_be_focused()
    page.keyboard.press("Home")
    expect(first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(search(page)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.type("joia")  # letters search, wherever one is
    expect(search(page)).to_have_value("joia")
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value("😃😃👍️")
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(field(page)).to_be_focused()


def test_the_tone_is_remembered_and_all_of_it_goes_with_the_login(ana: Attendant) -> None:
    page = ana.page
    button(page).click()
    panel(page).get_by_role("button", name="Tom de pele: padrão").click()
    page.get_by_role("menuitem", name="Pele morena escura").click()
    expect(panel(page)).to_be_visible()
    cell(page, "polegar para cima").click()
    expect(field(page)).to_have_value("👍🏾")
    page.reload()
    expect(field(page)).to_have_value("👍🏾")
    button(page).click()
    expect(panel(page).get_by_role("button", name="Tom de pele: morena escura")).to_be_visible()
    expect(cell(page, "polegar para cima")).to_have_text("👍🏾")
    search(page).fill("joia")
    expect(cell(page, "polegar para cima")).to_have_text("👍🏾")
    page.keyboard.press("Escape")

    ours = "Object.keys(localStorage).filter((key) => key.startsWith('chat.emoji'))"
    assert page.evaluate(ours) == ["chat.emoji.ana"]
    page.get_by_role("button", name="Menu", exact=True).click()
    page.get_by_role("button", name="Desconectar", exact=True).click()
    page.wait_for_url("**/login*")
    assert page.evaluate(ours) == []


def test_a_colon_and_a_name_become_one(ana: Attendant) -> None:
    page = ana.page
    field(page).press_sequentially("Obrigada :corac")
    options = page.get_by_role("listbox", name="Emojis").get_by_role("option")
    expect(options.first).to_be_visible()
    field(page).press_sequentially("ao_verm")
    expect(options.first).to_have_text("❤️coração vermelho")
    field(page).press("Tab")
    expect(field(page)).to_have_value("Obrigada ❤️")
    for no_word in (" às 10:30", " http://exemplo", " :d", " obs:sim"):
        field(page).press_sequentially(no_word)
        expect(options).to_have_count(0)
    field(page).press("Enter")
    expect(page.locator(".message.out")).to_contain_text("obs:sim")


def test_what_could_not_be_loaded_is_said_and_tried_again(ana: Attendant) -> None:
    ana.allow_errors("ERR_FAILED")
    page = ana.page
    page.route("**/vendor/emoji/*", lambda route: route.abort())
    button(page).click()
    expect(panel(page)).to_contain_text("Não foi possível carregar os emojis.")
    page.unroute("**/vendor/emoji/*")
    panel(page).get_by_role("button", name="Tentar novamente").click()
    expect(cell(page, "rosto risonho")).to_be_visible()


def test_another_conversation_closes_it(ana: Attendant, simulator: Simulator) -> None:
    page = ana.page
    simulator.write("5521998877665", text="bom dia", name="João")
    row = page.locator("[data-conversation-id]", has_text="João")
    expect(row).to_be_visible()
    button(page).click()
    expect(panel(page)).to_be_visible()
    row.focus()
    page.evaluate(
        "document.querySelector('[data-conversation-id]:not(:has([aria-current])) .row').click()"
    )
    expect(page.locator(".header-name")).to_have_text("João")
    expect(panel(page)).to_be_hidden()

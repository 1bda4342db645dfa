"""Two attendants keep their chats in order, and each sees at once what the other has done."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests.browser.conftest import Attendant
from tests.browser.unread_screen import NOTE_ALERTS, row, take_an_event, told
from tests.chromium import look_away
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

PHONES = {
    "Maria": "5511987654321",
    "João": "5511987654322",
    "Bia": "5511987654323",
    "Caio": "5511987654324",
}
Write = Callable[..., None]
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()


@pytest.fixture
def write(simulator: Simulator) -> Write:
    """`write("Maria", "oi")`: she writes."""

    def post(name: str, text: str, ago: int = 0) -> None:
        at = int(time.time()) - ago
        body = {"text": text, "name": name, "timestamp": at}
        simulator.write(PHONES[name], **body)

    return post


@pytest.fixture
def ana_and_bruno(
    live_server: Callable[..., LiveServer], attendant: Callable[..., Attendant], write: Write
) -> list[Attendant]:
    """Both are looking at the list of four chats; Caio wrote last."""
    url = live_server().url
    people = [attendant("ana", url), attendant("bruno", url)]
    for person in people:
        person.wait_connected()
    for n, name in enumerate(PHONES):
        write(name, f"oi de {name}", ago=60 - n)
        for person in people:
            expect(row(person.page, name)).to_be_visible()
    return people


@pytest.fixture
def both(ana_and_bruno: list[Attendant]) -> list[Page]:
    return [person.page for person in ana_and_bruno]


def choose(page: Page, name: str, item: str) -> None:
    """By the menu of a row."""
    row(page, name).click(button="right")
    page.get_by_role("menuitem", name=item, exact=True).click()


def names(page: Page) -> Locator:
    return page.locator(".row-name")


def toast(page: Page) -> Locator:
    return page.locator(".toast")


def open_panel(page: Page, name: str) -> Locator:
    row(page, name).click()
    page.get_by_role("button", name=f"Dados do contato: {name}").click()
    panel = page.get_by_role("complementary", name="Dados do contato")
    expect(panel.locator(".panel-name")).to_have_text(name)
    return panel


def test_pinned_chats_stand_first_on_both_screens(
    ana_and_bruno: list[Attendant], both: list[Page], write: Write
) -> None:
    ana_and_bruno[0].allow_errors("409")  # the fourth pin
    ana, bruno = both
    choose(ana, "Maria", "Fixar conversa")
    for page in both:
        expect(names(page)).to_have_text(["Maria", "Caio", "Bia", "João"])
        expect(row(page, "Maria").locator(".row-pinned")).to_be_visible()
    write("João", "e aí?")
    for page in both:
        expect(names(page)).to_have_text(["Maria", "João", "Caio", "Bia"])

    row(bruno, "Bia").click()
    bruno.keyboard.press("Control+Alt+Shift+P")
    for page in both:
        expect(names(page)).to_have_text(["Bia", "Maria", "João", "Caio"])
    choose(bruno, "João", "Fixar conversa")
    expect(names(ana)).to_have_text(["João", "Bia", "Maria", "Caio"])
    choose(ana, "Caio", "Fixar conversa")
    expect(toast(ana)).to_contain_text("Você só pode fixar até 3 conversas.")
    bruno.reload()
    expect(names(bruno)).to_have_text(["João", "Bia", "Maria", "Caio"])

    choose(ana, "Maria", "Desafixar conversa")
    for page in both:
        expect(names(page)).to_have_text(["João", "Bia", "Caio", "Maria"])
    toast(ana).get_by_role("button", name="Desfazer").click()
    for page in both:
        expect(names(page)).to_have_text(["João", "Bia", "Maria", "Caio"])


def test_an_archived_chat_is_out_of_the_way_until_somebody_takes_it_back(
    both: list[Page], write: Write
) -> None:
    ana, bruno = both
    for page in both:
        expect(page).to_have_title("(4) Atendimento")
        expect(page.get_by_role("button", name="Arquivadas")).to_be_hidden()
    row(ana, "Maria").click()
    expect(ana).to_have_title("(3) Atendimento")
    ana.keyboard.press("Control+Alt+E")
    for page in both:
        expect(names(page)).to_have_text(["Caio", "Bia", "João"])
        expect(page.get_by_role("button", name="Arquivadas", exact=True)).to_be_visible()
    ana.keyboard.press("Escape")

    write("Maria", "tem alguém?")
    for page in both:  # it stays where it is, and counts only there
        expect(page.get_by_role("button", name="Arquivadas: 1 não lida")).to_be_visible()
        expect(names(page)).to_have_text(["Caio", "Bia", "João"])
        expect(page).to_have_title("(3) Atendimento")

    bruno.reload()
    bruno.get_by_role("button", name="Arquivadas: 1 não lida").press("Enter")
    expect(bruno.get_by_role("heading", name="Arquivadas")).to_be_visible()
    expect(bruno.get_by_role("button", name="Voltar para a lista")).to_be_focused()
    expect(names(bruno)).to_have_text(["Maria"])
    expect(row(bruno, "Maria").locator("[data-unread-count]")).to_have_text("1")
    expect(bruno.get_by_role("button", name="Tudo")).to_be_hidden()
    bruno.get_by_role("button", name="Voltar para a lista").press("Enter")
    expect(names(bruno)).to_have_text(["Caio", "Bia", "João"])
    expect(bruno.get_by_role("button", name="Arquivadas: 1 não lida")).to_be_focused()
    bruno.get_by_role("button", name="Arquivadas: 1 não lida").click()
    choose(bruno, "Maria", "Desarquivar conversa")
    expect(bruno.locator(".list-notice p")).to_have_text("Nenhuma conversa arquivada")
    bruno.keyboard.press("Escape")
    for page in both:
        expect(names(page)).to_have_text(["Maria", "Caio", "Bia", "João"])
        expect(page).to_have_title("(4) Atendimento")
        expect(page.locator(".archived-row")).to_be_hidden()


def test_nobody_is_told_of_an_archived_chat(
    live_server: Callable[..., LiveServer],
    at_a_computer: Callable[..., Attendant],
    simulator: Simulator,
    write: Write,
) -> None:
    ana = at_a_computer("ana", live_server().url, script=NOTE_ALERTS)
    ana.wait_connected()
    for name in ("João", "Maria"):
        write(name, "oi")
        expect(row(ana.page, name)).to_be_visible()
    choose(ana.page, "Maria", "Arquivar conversa")
    expect(names(ana.page)).to_have_text(["João"])
    look_away(ana.context)
    write("Maria", "segredo")
    take_an_event(ana.page, simulator, PHONES["João"], "1")
    assert told(ana.page) == []


def test_a_draft_lifts_its_row_when_one_leaves_it(both: list[Page], write: Write) -> None:
    ana, bruno = both
    row(ana, "Maria").click()
    ana.locator(".composer-input").fill("Já respondo")
    expect(names(ana)).to_have_text(["Caio", "Bia", "João", "Maria"])
    ana.keyboard.press("Escape")
    expect(names(ana)).to_have_text(["Maria", "Caio", "Bia", "João"])
    expect(row(ana, "Maria")).to_contain_text("Rascunho: Já respondo")
    expect(names(bruno)).to_have_text(["Caio", "Bia", "João", "Maria"])
    write("João", "e aí?")
    expect(names(ana)).to_have_text(["João", "Maria", "Caio", "Bia"])
    ana.reload()
    expect(names(ana)).to_have_text(["João", "Maria", "Caio", "Bia"])
    row(ana, "Maria").click()
    ana.locator(".composer-input").fill("")
    ana.keyboard.press("Escape")
    expect(names(ana)).to_have_text(["João", "Caio", "Bia", "Maria"])


def test_labels_are_put_on_seen_by_both_and_listed(
    ana_and_bruno: list[Attendant], both: list[Page]
) -> None:
    ana_and_bruno[0].allow_errors("409")  # a name that is taken
    ana, bruno = both
    choose(ana, "Maria", "Etiquetar conversa")
    dialog = ana.get_by_role("dialog", name="Etiquetar conversa")
    dialog.get_by_role("checkbox", name="Pago").check()
    expect(row(bruno, "Maria").locator(".label-chip")).to_have_text("Pago")

    dialog.get_by_role("button", name="Nova etiqueta").click()
    making = ana.get_by_role("dialog", name="Nova etiqueta")
    making.get_by_label("Nome da etiqueta").fill("novo pedido")
    making.get_by_role("button", name="Salvar").click()
    expect(making.get_by_role("alert")).to_have_text("Já existe uma etiqueta com este nome.")
    making.get_by_label("Nome da etiqueta").fill("Cliente VIP")
    making.get_by_role("radio", name="Rosa").check()
    making.get_by_label("Nome da etiqueta").press("Enter")
    expect(dialog.get_by_role("checkbox", name="Cliente VIP")).to_be_checked()
    ana.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    chips = row(bruno, "Maria").locator(".row-labels")
    expect(chips).to_have_attribute("title", "Etiquetas: Pago, Cliente VIP")
    row(bruno, "Maria").click()
    expect(bruno.locator(".header-labels .label-chip")).to_have_text(["Pago", "Cliente VIP"])

    bruno.get_by_role("button", name="Etiquetas", exact=True).click()
    bruno.get_by_role("menuitem", name="Cliente VIP").click()
    expect(names(bruno)).to_have_text(["Maria"])
    choose(ana, "João", "Etiquetar conversa")
    dialog.get_by_role("checkbox", name="Cliente VIP").check()
    expect(names(bruno)).to_have_text(["João", "Maria"])

    # Renamed and deleted on the other screen, it is so on this one, too.
    dialog.get_by_role("button", name="Editar a etiqueta Cliente VIP").click()
    editing = ana.get_by_role("dialog", name="Editar etiqueta")
    editing.get_by_label("Nome da etiqueta").fill("Ouro")
    editing.get_by_role("button", name="Salvar").click()
    expect(bruno.locator(".filter-chip[aria-pressed=true]")).to_have_text("Ouro")
    dialog.get_by_role("button", name="Editar a etiqueta Ouro").click()
    editing.get_by_role("button", name="Apagar etiqueta").click()
    ana.get_by_role("button", name="Apagar", exact=True).click()
    expect(bruno.locator(".filter-chip[aria-pressed=true]")).to_have_text("Tudo")
    expect(bruno.locator(".header-labels .label-chip")).to_have_text(["Pago"])
    expect(names(bruno)).to_have_count(4)


def test_the_panel_tells_and_changes_what_the_team_knows_of_a_customer(
    both: list[Page], write: Write
) -> None:
    ana, bruno = both
    panels = [open_panel(page, "Maria") for page in both]
    hers, his = panels
    for panel in panels:
        expect(panel).to_contain_text("+55 11 98765-4321")
        expect(panel).to_contain_text("Aberta até")
        expect(panel).to_contain_text("Faltam 23 h 5")

    hers.get_by_role("button", name="Editar contato").click()
    hers.get_by_label("Nome do contato").fill("Maria da Loja")
    hers.get_by_label("Nome do contato").press("Enter")
    for page, panel in zip(both, panels, strict=True):
        expect(panel.locator(".panel-name")).to_have_text("Maria da Loja")
        expect(panel).to_contain_text("~Maria")
        expect(page.locator(".header-name")).to_have_text("Maria da Loja")
        expect(names(page)).to_contain_text(["Maria da Loja"])
    write("Maria", "Veja instagram.com/loja e https://exemplo.com/a")
    for page, panel in zip(both, panels, strict=True):  # her profile's name comes again
        panel.get_by_role("button", name="Mídia, links e docs").click()
        panel.get_by_role("tab", name="Links").click()
        links = panel.locator("a.contents-text")
        expect(links).to_have_text(["instagram.com/loja", "https://exemplo.com/a"])
        page.keyboard.press("Escape")
        expect(panel.locator(".panel-name")).to_have_text("Maria da Loja")

    his.get_by_role("switch", name="Silenciar notificações").click()
    expect(hers.get_by_role("switch", name="Silenciar notificações")).to_be_checked()
    expect(row(ana, "Maria da Loja").locator(".row-muted")).to_be_visible()
    hers.get_by_role("switch", name="Arquivar conversa").click()
    expect(his.get_by_role("switch", name="Arquivar conversa")).to_be_checked()
    expect(his.get_by_role("switch", name="Fixar conversa")).to_be_hidden()
    expect(names(bruno)).to_have_text(["Caio", "Bia", "João"])

    ana.keyboard.press("Escape")
    expect(hers).to_be_hidden()
    expect(ana.get_by_role("button", name="Dados do contato: Maria da Loja")).to_be_focused()
    expect(ana.locator(".thread-pane")).to_be_visible()


def test_two_who_note_at_once_see_both_and_lose_nothing(both: list[Page]) -> None:
    hers, his = (open_panel(page, "Bia") for page in both)
    notes = [panel.get_by_role("textbox", name="Anotações da equipe") for panel in (hers, his)]
    for field in notes:
        expect(field).to_be_enabled()
    notes[0].fill("Paga no dia 10")
    hers.get_by_role("button", name="Salvar", exact=True).click()
    expect(notes[1]).to_have_value("Paga no dia 10")
    expect(his).to_contain_text("Alterado por Ana hoje às")

    notes[0].fill("Paga no dia 10. Ligar antes")
    notes[1].fill("Paga no dia 20")
    his.get_by_role("button", name="Salvar", exact=True).click()
    conflict = hers.get_by_role("alert").filter(has_text="Bruno alterou as anotações")
    expect(conflict).to_contain_text("Paga no dia 20")
    expect(notes[0]).to_have_value("Paga no dia 10. Ligar antes")
    both[0].keyboard.press("Escape")  # what was typed waits
    both[0].get_by_role("button", name="Dados do contato: Bia").click()
    expect(notes[0]).to_have_value("Paga no dia 10. Ligar antes")
    hers.get_by_role("button", name="Salvar a minha no lugar").click()
    expect(notes[1]).to_have_value("Paga no dia 10. Ligar antes")
    expect(conflict).to_be_hidden()

    notes[0].fill("Nada disso")
    notes[1].fill("Prefere à tarde")
    his.get_by_role("button", name="Salvar", exact=True).click()
    hers.get_by_role("button", name="Ficar com esta").click()
    expect(notes[0]).to_have_value("Prefere à tarde")
    expect(hers.get_by_role("button", name="Salvar", exact=True)).to_be_hidden()


def test_a_name_that_is_saved_late_closes_nothing_of_another_customer(both: list[Page]) -> None:
    page = both[0]
    panel = open_panel(page, "Bia")
    waiting: list[Route] = []
    page.route("**/api/conversations/*/name", lambda route: waiting.append(route))
    panel.get_by_role("button", name="Editar contato").click()
    field = panel.get_by_label("Nome do contato")
    field.fill("Bia da Loja")
    field.press("Enter")
    field.press("Enter")  # somebody in a hurry: it is on its way already
    wait_until(lambda: page.evaluate("true") and waiting)
    row(page, "Caio").click()
    page.get_by_role("button", name="Dados do contato: Caio").click()
    panel.get_by_role("button", name="Editar contato").click()
    field.fill("Caio Ped")
    assert len(waiting) == 1
    waiting[0].continue_()
    expect(names(page)).to_contain_text(["Bia da Loja"])
    expect(field).to_have_value("Caio Ped")
    expect(field).to_be_focused()


def test_who_leaves_is_asked_about_notes_that_were_not_saved(
    ana_and_bruno: list[Attendant],
) -> None:
    page = ana_and_bruno[0].page
    ana_and_bruno[0].allow_errors("401")
    panel = open_panel(page, "Bia")
    panel.get_by_role("textbox", name="Anotações da equipe").fill("Prefere à tarde")
    asked: list[str] = []
    answers = [False, True]

    def answer(question: Dialog) -> None:
        asked.append(question.message)
        if answers.pop(0):
            question.accept()
        else:
            question.dismiss()

    page.on("dialog", answer)
    page.get_by_role("button", name="Menu", exact=True).click()
    page.get_by_role("button", name="Desconectar", exact=True).click()
    wait_until(lambda: page.evaluate("true") and len(asked) == 1)
    expect(panel.get_by_role("textbox", name="Anotações da equipe")).to_have_value(
        "Prefere à tarde"
    )
    page.get_by_role("button", name="Desconectar", exact=True).click()
    expect(page).to_have_url(re.compile(r"/login(\?|$)"))  # and holds up nobody a second time
    assert len(asked) == 2
    assert "anotações que não foram salvas" in asked[0]


def test_on_a_phone_back_leads_from_panel_to_thread_to_archived_to_list(
    live_server: Callable[..., LiveServer], attendant: Callable[..., Attendant], write: Write
) -> None:
    ana = attendant("ana", live_server().url)
    page = ana.page
    page.set_viewport_size({"width": 390, "height": 800})
    ana.wait_connected()
    for n, name in enumerate(("Maria", "João")):
        write(name, f"oi de {name}", ago=60 - n)
        expect(row(page, name)).to_be_visible()
    choose(page, "Maria", "Arquivar conversa")
    page.get_by_role("button", name="Arquivadas").click()
    expect(names(page)).to_have_text(["Maria"])
    panel = open_panel(page, "Maria")
    expect(page.locator(".composer")).to_be_in_viewport()  # below the panel, which covers it
    assert panel.evaluate("(node) => node.getBoundingClientRect().width") == 390
    page.go_back()
    expect(panel).to_be_hidden()
    expect(page.locator(".thread-pane")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Arquivadas")).to_be_visible()
    expect(names(page)).to_have_text(["Maria"])
    page.go_back()
    expect(names(page)).to_have_text(["João"])
    # Closed by its own button, it leaves no step behind.
    panel = open_panel(page, "João")
    panel.get_by_role("button", name="Fechar").click()
    expect(panel).to_be_hidden()
    page.get_by_role("button", name="Voltar para a lista").click()
    expect(names(page)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_of_panel_and_dialog_can_be_read(
    live_server: Callable[..., LiveServer],
    attendant: Callable[..., Attendant],
    write: Write,
    scheme: Any,
) -> None:
    ana = attendant("ana", live_server().url)
    page = ana.page
    page.emulate_media(color_scheme=scheme)
    ana.wait_connected()
    write("Maria", "veja www.exemplo.com")
    choose(page, "Maria", "Etiquetar conversa")
    page.get_by_role("checkbox", name="Novo pedido").check()
    expect(row(page, "Maria").locator(".label-chip")).to_be_visible()

    def too_weak(part: str) -> list[Any]:
        found = page.evaluate(CONTRAST)
        assert any(part in name for _, name, *_ in found), part
        return [each for each in found if each[0] < (3 if each[4] else 4.5)]

    assert too_weak("label-place") == []
    page.get_by_role("button", name="Nova etiqueta").click()
    assert too_weak("field-label") == []
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    panel = open_panel(page, "Maria")
    panel.get_by_role("button", name="Editar contato").click()
    panel.get_by_role("textbox", name="Anotações da equipe").fill("Nova")
    expect(panel.get_by_role("button", name="Descartar")).to_be_visible()
    panel.get_by_role("button", name="Mídia, links e docs").click()
    panel.get_by_role("tab", name="Links").click()
    expect(panel.locator("a.contents-text")).to_be_visible()
    assert too_weak("contents-words") == []

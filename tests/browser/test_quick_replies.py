"""Kept answers: "/" finds them, the customer's name is filled in, and the whole team keeps them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.helpers import Simulator, wait_until

pytestmark = pytest.mark.slow

MARIA = "5511987654321"


@pytest.fixture
def people(in_marias_chat: Callable[..., list[Attendant]]) -> list[Attendant]:
    """Ana and Bruno, both with Maria's conversation open."""
    return in_marias_chat("ana", "bruno", name="Maria Souza")


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Mensagem", exact=True).and_(
        page.locator(".composer-input")
    )


def options(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Respostas rápidas").get_by_role("option")


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog")


def keep(person: Attendant, **replies: str) -> None:
    """These are kept already."""
    for shortcut, text in replies.items():
        person.page.evaluate(
            """(body) => fetch("/api/quick-replies", {
              method: "POST", body: JSON.stringify(body),
              headers: {
                "Content-Type": "application/json",
                "X-CSRFToken": document.querySelector('meta[name="csrf-token"]').content,
              },
            })""",
            {"shortcut": shortcut, "text": text},
        )


def test_one_makes_it_and_all_use_it(people: list[Attendant], simulator: Simulator) -> None:
    ana, bruno = (person.page for person in people)
    field(bruno).press("/")  # he has asked for them, and there is none
    expect(bruno.get_by_role("button", name="Criar uma resposta rápida")).to_be_visible()

    ana.get_by_role("button", name="Anexar").click()
    ana.get_by_role("menuitem", name="Respostas rápidas").click()
    expect(dialog(ana)).to_contain_text("digite / no começo da mensagem")
    dialog(ana).get_by_role("button", name="Nova resposta rápida").click()
    dialog(ana).get_by_label("Atalho").fill("horario")
    dialog(ana).get_by_label("Mensagem").fill("Oi, {nome}!\nAbrimos às 9, {primeiro_nome}.")
    dialog(ana).get_by_role("button", name="Salvar").click()
    expect(dialog(ana).locator("li")).to_contain_text("Alterada por Ana hoje")

    # It is on Bruno's screen while he types.
    expect(options(bruno)).to_have_text(["/horarioOi, {nome}!\nAbrimos às 9, {primeiro_nome}."])
    field(bruno).press_sequentially("HOR")
    field(bruno).press("Enter")
    expect(field(bruno)).to_have_value("Oi, Maria Souza!\nAbrimos às 9, Maria.")
    field(bruno).press("ControlOrMeta+z")  # as anything that is typed
    expect(field(bruno)).to_have_value("/HOR")
    field(bruno).press("End")
    field(bruno).press("Tab")
    expect(field(bruno)).to_be_focused()
    field(bruno).press("Enter")
    wait_until(
        lambda: simulator.texts_on_phone(MARIA) == ["Oi, Maria Souza!\nAbrimos às 9, Maria."]
    )

    # Changed and deleted by another than who made it.
    field(bruno).press("/")
    bruno.get_by_role("button", name="Gerenciar respostas rápidas").click()
    dialog(bruno).get_by_role("button", name="Editar /horario").click()
    dialog(bruno).get_by_label("Atalho").fill("abre")
    dialog(bruno).get_by_role("button", name="Salvar").click()
    for page in (bruno, ana):
        expect(dialog(page).locator("li")).to_contain_text("/abre")
        expect(dialog(page).locator("li")).to_contain_text("Alterada por Bruno hoje")
    dialog(ana).get_by_role("button", name="Apagar /abre").click()
    expect(dialog(ana)).to_contain_text("Apagar para toda a equipe?")
    dialog(ana).get_by_role("button", name="Manter /abre").click()
    dialog(ana).get_by_role("button", name="Apagar /abre").click()
    dialog(ana).get_by_role("button", name="Apagar /abre de vez").click()
    for page in (bruno, ana):
        expect(dialog(page).locator("li")).to_have_count(0)


def test_the_list_is_filtered_and_moved_in_by_the_keyboard(
    people: list[Attendant],
) -> None:
    keep(people[0], pix="Chave: loja", endereço="Rua A, 1", entrega="Em dois dias", zap="Oi")
    page = people[0].page
    field(page).press_sequentially("/")
    expect(options(page)).to_have_count(4)
    field(page).press_sequentially("en")
    expect(options(page)).to_have_text(["/endereçoRua A, 1", "/entregaEm dois dias"])
    chosen = page.locator(".completion[aria-selected=true]")
    expect(chosen).to_contain_text("endereço")
    field(page).press("ArrowDown")
    expect(chosen).to_contain_text("entrega")
    active = chosen.get_attribute("id")
    expect(field(page)).to_have_attribute("aria-activedescendant", str(active))
    field(page).press("ArrowDown")
    expect(chosen).to_contain_text("endereço")
    field(page).press_sequentially("dereco")  # without its accent
    expect(options(page)).to_have_count(1)

    # Escape leaves text and conversation, and the list stays away until another word begins.
    field(page).press("Escape")
    expect(options(page)).to_have_count(0)
    expect(field(page)).to_have_value("/endereco")
    field(page).press("End")
    expect(options(page)).to_have_count(0)
    field(page).press("Backspace")
    expect(options(page)).to_have_count(1)
    options(page).click()
    expect(field(page)).to_have_value("Rua A, 1")
    expect(field(page)).to_be_focused()

    # Anywhere but at the beginning a "/" is a "/", and what is none of them is sent as it is.
    field(page).press_sequentially(" e/pix")
    expect(options(page)).to_have_count(0)
    field(page).fill("/nada")
    expect(options(page)).to_have_count(0)
    field(page).press("Enter")
    expect(page.locator(".message.out")).to_contain_text("/nada")


def test_from_the_menu_it_goes_where_the_caret_is_and_a_lacking_name_is_a_blank(
    people: list[Attendant], simulator: Simulator
) -> None:
    keep(people[0], oi="Olá, {nome}, tudo bem?")
    page = people[0].page
    simulator.write("5521998877665", text="sem nome", contact=None)
    row = page.locator("[data-conversation-id]", has_text="sem nome")
    row.click()
    expect(page.locator("[data-message-id]", has_text="sem nome")).to_be_visible()
    field(page).fill("[]")
    field(page).press("ArrowLeft")
    page.get_by_role("button", name="Anexar").click()
    page.get_by_role("menuitem", name="Respostas rápidas").click()
    dialog(page).get_by_role("button", name="/oi").first.click()
    expect(field(page)).to_have_value("[Olá, {nome}, tudo bem?]")
    expect(field(page)).to_be_focused()
    page.keyboard.type("Zé")
    expect(field(page)).to_have_value("[Olá, Zé, tudo bem?]")


def test_what_cannot_be_kept_is_said_in_the_form(people: list[Attendant]) -> None:
    ana = people[0]
    ana.allow_errors("409|422")
    keep(ana, pix="Chave: loja")
    page = ana.page
    page.get_by_role("button", name="Anexar").click()
    page.get_by_role("menuitem", name="Respostas rápidas").click()
    dialog(page).get_by_role("button", name="Nova resposta rápida").click()
    dialog(page).get_by_label("Atalho").fill("PIX")
    dialog(page).get_by_label("Mensagem").fill("outra")
    dialog(page).get_by_label("Mensagem").press("Tab")
    dialog(page).get_by_role("button", name="Salvar").click()
    expect(dialog(page).get_by_role("alert")).to_have_text(
        "Já existe uma resposta com o atalho /PIX."
    )
    expect(dialog(page).get_by_label("Atalho")).to_be_focused()
    dialog(page).get_by_label("Atalho").fill("duas palavras")
    page.keyboard.press("Enter")
    expect(dialog(page).get_by_role("alert")).to_contain_text("sem espaços")
    # Escape leaves the form, then the dialog, never the conversation.
    page.keyboard.press("Escape")
    expect(dialog(page).locator("li")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    expect(field(page)).to_be_visible()

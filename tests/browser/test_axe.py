"""Every view, in both themes, as axe-core sees it: nothing serious or critical."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import serious_findings
from tests.browser.conftest import Attendant
from tests.browser.one_chat import bubble, choose, on_phone, row, write
from tests.browser.test_admin import set_aside
from tests.helpers import LiveServer, Simulator, Store

pytestmark = pytest.mark.slow

SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
LONG_AGO = "5511912345678"
Look = Callable[[str], None]


@pytest.fixture
def ana(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
    scheme: Any,
) -> Attendant:
    """Ana, in the chat with Maria; Joana wrote three days ago."""
    person = attendant("ana", live_server().url)
    person.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    person.wait_connected()
    write(simulator, "Tem azul? *Sim* ou `não`: exemplo.com.br")
    ago = int(time.time()) - 3 * 86_400
    write(simulator, "Oi", phone=LONG_AGO, name="Joana", timestamp=ago)
    row(person.page, "Maria").click()
    expect(bubble(person.page, "Tem azul?")).to_be_visible()
    return person


@pytest.fixture
def page(ana: Attendant) -> Page:
    return ana.page


@pytest.fixture
def look(page: Page) -> Look:
    """`look("the list")`: there is nothing to be found on what is on screen now."""

    def look_at(view: str) -> None:
        assert {view: serious_findings(page)} == {view: []}

    return look_at


def send(page: Page, text: str) -> Locator:
    page.locator(".composer-input").fill(text)
    page.keyboard.press("Enter")
    return bubble(page, text)


def pick(page: Page, item: str) -> None:
    page.get_by_role("menuitem", name=item, exact=True).click()


@SCHEMES
def test_the_list_and_what_opens_over_it(page: Page, simulator: Simulator, look: Look) -> None:
    page.keyboard.press("Escape")
    expect(page.locator(".empty-title")).to_be_visible()
    write(simulator, "E verde?")
    expect(row(page, "Maria").locator("unread-badge")).to_have_text("1")
    look("the list, nothing open")

    page.locator(".rail-user").click()
    expect(page.get_by_role("radio", name="Escuro")).to_be_visible()
    look("the attendant's menu")
    page.get_by_role("button", name="Atalhos do teclado").click()
    expect(page.get_by_role("dialog", name="Atalhos do teclado")).to_be_visible()
    look("the shortcuts")
    page.keyboard.press("Escape")

    row(page, "Joana").click(button="right")
    expect(page.get_by_role("menu")).to_be_visible()
    look("a conversation's menu")
    pick(page, "Arquivar conversa")
    page.get_by_role("button", name="Arquivadas").click()
    expect(page.get_by_role("heading", name="Arquivadas")).to_be_visible()
    expect(row(page, "Joana")).to_be_visible()
    look("the archived")
    page.get_by_role("button", name="Voltar para a lista").click()

    page.get_by_label("Pesquisar conversas e mensagens").fill("azul")
    expect(page.get_by_role("heading", name="Mensagens")).to_be_visible()
    look("a search that found something")
    page.get_by_label("Pesquisar conversas e mensagens").fill("lilás")
    expect(page.get_by_text("Nenhuma conversa, contato ou mensagem")).to_be_visible()
    look("a search that found nothing")
    page.keyboard.press("Escape")

    page.keyboard.press("Control+Alt+KeyN")
    panel = page.get_by_role("region", name="Nova conversa")
    look("a new conversation")
    panel.get_by_label("Pesquisar nome ou número").fill("11955554444")
    expect(panel.get_by_text("Começar com um modelo")).to_be_visible()
    look("a number for a new conversation")


@SCHEMES
def test_the_thread_and_what_is_done_with_its_messages(
    page: Page, simulator: Simulator, look: Look
) -> None:
    expect(send(page, "Temos, sim").locator("[data-status=delivered]")).to_be_visible()
    message = on_phone(simulator, "Temos, sim")
    write(simulator, "Quero", reply_to=message["id"])
    reaction = {"type": "reaction", "reply_to": message["id"], "emoji": "❤️"}
    write(simulator, "", **reaction)
    expect(bubble(page, "Temos, sim").locator(".reactions")).to_be_visible()
    refusal = {"refuse_next": {"code": 131047, "times": 1}}
    simulator.http.patch(f"{simulator.url}/switches", json=refusal, timeout=30).raise_for_status()
    send(page, "Qual tamanho?").locator(".failure-mark").click()
    look("a thread with an answer, a reaction and a failure")

    bubble(page, "Temos, sim").locator(".bubble-text").click(button="right")
    expect(page.get_by_role("menu")).to_be_visible()
    look("a message's menu")
    pick(page, "Reagir")
    expect(page.get_by_role("toolbar", name="Reagir")).to_be_visible()
    look("the reactions")
    page.keyboard.press("Escape")
    bubble(page, "Temos, sim").locator(".reactions").click()
    expect(page.locator(".reactors")).to_be_visible()
    look("who has reacted")
    page.keyboard.press("Escape")

    choose(page, "Temos, sim", "Dados da mensagem")
    expect(page.locator(".message-details")).to_contain_text("Entregue")
    look("a message's data")
    page.keyboard.press("Escape")
    choose(page, "Temos, sim", "Encaminhar")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("dialog").get_by_role("checkbox").first.check()
    look("forwarding")
    page.keyboard.press("Escape")
    choose(page, "Temos, sim", "Selecionar mensagens")
    expect(page.get_by_role("toolbar", name="Mensagens selecionadas")).to_be_visible()
    look("selecting")
    page.keyboard.press("Escape")

    page.locator(".thread-search-button").click()
    page.keyboard.type("azul")
    expect(page.locator(".thread-search-count")).to_have_text("1 de 1")
    look("searching in the thread")


@SCHEMES
def test_writing_and_what_fills_the_field(page: Page, look: Look) -> None:
    choose(page, "Tem azul?", "Responder")
    page.keyboard.type("Sim :sor")
    expect(page.get_by_role("option").first).to_be_visible()
    look("an answer, with emoji offered")
    page.keyboard.press("Escape")
    page.locator(".emoji-button").click()
    expect(page.locator("[data-emoji]").first).to_be_visible()
    look("the emoji")
    page.keyboard.press("Escape")

    page.locator(".plus-button").click()
    look("the menu of the plus")
    pick(page, "Respostas rápidas")
    dialog = page.get_by_role("dialog", name="Respostas rápidas")
    dialog.get_by_role("button", name="Nova resposta rápida").click()
    form = page.get_by_role("dialog", name="Nova resposta rápida")
    form.get_by_label("Atalho").fill("prazo")
    form.get_by_label("Mensagem").fill("Fica pronto amanhã, {nome}.")
    look("a new quick reply")
    form.get_by_role("button", name="Salvar").click()
    expect(dialog.get_by_text("Fica pronto amanhã")).to_be_visible()
    look("the quick replies")
    page.keyboard.press("Escape")
    page.locator(".composer-input").fill("")
    page.keyboard.type("/")
    expect(page.get_by_role("option")).to_be_visible()
    look("quick replies offered")
    page.locator(".composer-input").fill("a" * 4097)
    expect(page.locator(".composer-length")).to_contain_text("Texto longo demais")
    look("a text that is too long")


@SCHEMES
def test_the_contact_the_labels_and_the_templates(page: Page, look: Look) -> None:
    row(page, "Joana").click()
    expect(page.locator(".composer-notice")).to_contain_text("Faz mais de 24 horas")
    look("after the 24 hours")
    page.locator(".composer-notice").get_by_role("button", name="Enviar modelo").click()
    templates = page.get_by_role("dialog", name="Enviar modelo")
    expect(templates.locator(".template-row").first).to_be_visible()
    look("the templates")
    templates.locator(".template-row", has_text="servico_pronto").click()
    expect(templates.get_by_label("Item")).to_be_visible()
    look("a template to be filled in")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Dados do contato").click()
    panel = page.get_by_role("complementary", name="Dados do contato")
    expect(panel.get_by_text("Ninguém assumiu")).to_be_visible()
    look("the contact's panel")
    panel.get_by_role("button", name="Mídia, links e docs").click()
    expect(panel.get_by_text("Nenhuma mídia")).to_be_visible()
    look("what the chat holds")
    page.keyboard.press("Escape")
    panel.get_by_role("button", name="Editar contato").click()
    look("the contact's name to be changed")
    page.keyboard.press("Escape")
    panel.get_by_role("button", name="Etiquetar conversa").click()
    labels = page.get_by_role("dialog", name="Etiquetar conversa")
    labels.get_by_role("button", name="Nova etiqueta").click()
    form = page.get_by_role("dialog", name="Nova etiqueta")
    form.get_by_role("textbox").fill("Orçamento")
    look("a new label")
    form.get_by_role("button", name="Salvar").click()
    expect(page.get_by_role("dialog").get_by_text("Orçamento")).to_be_visible()
    look("the labels")


@SCHEMES
def test_the_administrators_pages_and_the_login(
    ana: Attendant, page: Page, store: Store, look: Look
) -> None:
    set_aside(store)
    for name in ("Atualizações recusadas", "Uso do Claude", "Rapidez da tela"):
        page.goto(ana.url)
        page.get_by_role("button", name="Menu", exact=True).click()
        page.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
        look(name)
    page.goto(f"{ana.url}/offline")
    look("no connection")
    page.goto(ana.url)
    page.get_by_role("button", name="Menu", exact=True).click()
    page.get_by_role("button", name="Desconectar", exact=True).click()
    expect(page.get_by_label("Senha")).to_be_visible()
    look("the login")
    ana.allow_errors("401")
    page.get_by_label("Usuário").fill("ana")
    page.get_by_label("Senha").fill("errada")
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("alert")).to_be_visible()
    look("a login that failed")

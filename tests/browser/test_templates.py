"""After the 24 hours, and conversations that we begin: templates on the screens of two people."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Attendant
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

MARIA = "5511987654321"
DAY = 24 * 3600
CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
RESUMED = "Olá, Maria! Aqui é da Pedal & Cia. Podemos continuar a conversa sobre o conserto?"


@pytest.fixture
def url(live_server: Callable[..., LiveServer]) -> str:
    return live_server().url


@pytest.fixture
def both(url: str, attendant: Callable[..., Attendant]) -> list[Page]:
    people = [attendant("ana", url), attendant("bruno", url)]
    for person in people:
        person.wait_connected()
    return [person.page for person in people]


@pytest.fixture
def ana(url: str, attendant: Callable[..., Attendant]) -> Attendant:
    person = attendant("ana", url)
    person.wait_connected()
    return person


@pytest.fixture
def wrote(simulator: Simulator) -> Callable[[float], None]:
    """`wrote(2)`: Maria wrote so many days ago."""

    def write(days: float) -> None:
        at = int(time.time() - days * DAY)
        body = {"text": "Vocês consertam bicicleta?", "name": "Maria", "timestamp": at}
        simulator.write(MARIA, **body)

    return write


def row(page: Page, text: str) -> Locator:
    return page.locator(".conversation-list [data-conversation-id]", has_text=text)


def bubble(page: Page, text: str) -> Locator:
    return page.locator(".thread-content [data-message-id]", has_text=text)


def notice(page: Page) -> Locator:
    return page.locator(".composer-notice")


def panel_of(page: Page) -> Locator:
    return page.get_by_role("region", name="Nova conversa")


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Enviar modelo")


def choose(page: Page, name: str, language: str = "Português") -> Locator:
    """The dialog, with this template chosen."""
    rows = dialog(page).locator(".template-row", has_text=name)
    rows.filter(has_text=language).click()
    expect(dialog(page).get_by_role("heading", name=name)).to_be_visible()
    return dialog(page)


def resume(page: Page) -> None:
    """Fills in the template with which a conversation is resumed."""
    form = choose(page, "retomar_conversa")
    expect(form.get_by_label("Variável 1")).to_have_value("Maria")
    form.get_by_label("Variável 2").fill("o conserto")
    form.get_by_role("button", name="Enviar", exact=True).click()
    expect(dialog(page)).to_be_hidden()


def on_phone(page: Page, simulator: Simulator, *texts: str) -> None:
    """Wait until the phone has these; asking the page lets its requests go on meanwhile."""
    wait_until(lambda: page.evaluate("true") and simulator.texts_on_phone(MARIA) == list(texts))


def test_a_template_reaches_the_customer_whose_answer_opens_the_window(
    both: list[Page],
    wrote: Callable[[float], None],
    simulator: Simulator,
    phone: Callable[[str], Page],
) -> None:
    ana, bruno = both
    wrote(2)
    for page in both:
        row(page, "Maria").click()
        expect(notice(page)).to_contain_text("só aceita modelos aprovados")
    notice(ana).get_by_role("button", name="Enviar modelo").click()
    expect(dialog(ana)).to_contain_text("Para Maria")
    resume(ana)

    for page in both:
        sent = bubble(page, RESUMED)
        expect(sent.locator(".bubble-footer")).to_have_text("Responda quando puder")
        expect(sent.locator(".bubble-button")).to_have_text(["Sim, pode falar", "Agora não"])
        expect(sent.locator("message-ticks")).to_have_attribute("data-status", "delivered")
        expect(row(page, RESUMED)).to_be_visible()
    on_phone(ana, simulator, RESUMED)

    customer = phone(MARIA)
    customer.get_by_role("button", name="Agora não").click()
    for page in both:
        expect(page.locator(".thread-content .in").last).to_contain_text("Agora não")
        expect(page.locator(".composer-input")).to_be_enabled()
        expect(notice(page)).to_be_hidden()

    # Whatever becomes of the template, the thread says what was sent; and another can be sent.
    simulator.http.delete(f"{simulator.url}/templates/retomar_conversa", timeout=30)
    bruno.reload()
    ours = bruno.locator(".thread-content .out", has_text=RESUMED)
    expect(ours.locator(".bubble-footer")).to_have_text("Responda quando puder")
    bruno.locator(".plus-button").click()
    bruno.get_by_role("menuitem", name="Enviar modelo").click()
    choose(bruno, "aviso").get_by_role("button", name="Enviar", exact=True).click()
    expect(bubble(ana, "Temos uma novidade")).to_contain_text("Bruno")


def test_what_is_filled_in_is_seen_at_once_and_checked(
    ana: Attendant, wrote: Callable[[float], None], simulator: Simulator
) -> None:
    page = ana.page
    wrote(2)
    row(page, "Maria").click()
    notice(page).get_by_role("button", name="Enviar modelo").click()
    templates = dialog(page).locator(".template-row")

    # The list: searched without accents, by language and category; what cannot be sent says why.
    expect(templates.filter(has_text="pesquisa")).to_contain_text("Pausado pela Meta")
    expect(templates.filter(has_text="revisao_gratis")).to_contain_text("Recusado pela Meta")
    expect(templates.filter(has_text="catalogo_verao")).to_contain_text("foto no cabeçalho")
    dialog(page).get_by_label("Idioma").select_option(label="Espanhol")
    expect(templates).to_have_count(1)
    dialog(page).get_by_label("Idioma").select_option(label="Idioma")
    dialog(page).get_by_label("Categoria").select_option(label="Marketing")
    expect(templates).to_have_count(3)
    dialog(page).get_by_label("Categoria").select_option(label="Categoria")
    dialog(page).get_by_label("Pesquisar modelo").fill("SERVICO pronto")
    expect(templates).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    form, preview = dialog(page), dialog(page).locator(".template-preview")
    expect(preview).to_contain_text("Oi, Maria! O serviço da sua {{item}} ficou pronto.")
    form.get_by_label("Título: ordem").fill("4471")
    form.get_by_label("Item").fill("bicicleta")
    expect(preview.locator(".bubble-title")).to_have_text("Ordem 4471")
    expect(preview.locator("strong")).to_have_text("bicicleta")
    form.get_by_role("button", name="Enviar", exact=True).click()
    expect(form.get_by_label("Valor")).to_be_focused()
    expect(form.locator(".template-field-problem", has_text="Preencha")).to_have_count(2)
    form.get_by_label("Valor").fill("95    reais")
    expect(form.get_by_text("4 espaços seguidos")).to_be_visible()
    form.get_by_label("Valor").fill("95,00")
    form.get_by_label("Botão “Acompanhar”").fill("4471")
    expect(form.locator(".template-field-problem", has_text=re.compile("."))).to_have_count(0)
    page.keyboard.press("Enter")
    link = bubble(page, "Oi, Maria!").get_by_role("link", name="Acompanhar")
    expect(link).to_have_attribute("href", "https://pedal.example/ordens/4471")
    expect(page.locator("[data-message-id]")).to_have_count(2)  # the preview was none

    # One that Meta has paused since is known when the list is asked for anew.
    simulator.http.put(
        f"{simulator.url}/templates", json={"name": "aviso", "status": "DISABLED"}, timeout=30
    )
    notice(page).get_by_role("button", name="Enviar modelo").click()

    def refreshed() -> bool:
        dialog(page).get_by_role("button", name="Atualizar").click()
        return "Desativado" in templates.filter(has_text="aviso").inner_text()

    wait_until(refreshed, what="the list of today")
    templates.filter(has_text="aviso").click()
    expect(dialog(page).get_by_role("alert")).to_contain_text("Não dá para enviar. Desativado")
    expect(dialog(page).get_by_role("button", name="Enviar", exact=True)).to_be_hidden()
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    expect(bubble(page, "Oi, Maria!")).to_be_visible()  # Escape closed nothing else


def test_a_refused_template_says_why_and_is_sent_again_as_it_was(
    both: list[Page], wrote: Callable[[float], None], simulator: Simulator
) -> None:
    ana, bruno = both
    wrote(2)
    for page in both:
        row(page, "Maria").click()
    refusal = {"refuse_next": {"code": 132015, "times": 1}}
    simulator.http.patch(f"{simulator.url}/switches", json=refusal, timeout=30).raise_for_status()
    notice(ana).get_by_role("button", name="Enviar modelo").click()
    resume(ana)
    for page in both:
        expect(bubble(page, RESUMED)).to_contain_text("O modelo está pausado")
    bubble(bruno, RESUMED).get_by_role("button", name="Ver o motivo").click()
    bubble(bruno, RESUMED).locator("[data-action=resend]").click()
    for page in both:
        expect(bubble(page, RESUMED)).to_have_count(2)
        expect(bubble(page, RESUMED).last.locator(".bubble-button")).to_have_count(2)
        ticks = bubble(page, RESUMED).last.locator("message-ticks")
        expect(ticks).to_have_attribute("data-status", "delivered")
    on_phone(ana, simulator, RESUMED)


def test_a_template_waits_for_the_connection_and_goes_out_once(
    ana: Attendant, wrote: Callable[[float], None], simulator: Simulator
) -> None:
    page = ana.page
    wrote(2)
    row(page, "Maria").click()
    ana.allow_errors("ERR_FAILED|422")
    posts = re.compile(r"/api/conversations/[^/]+/messages$")
    tried: list[str] = []

    def cut_after_it_was_taken(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        tried.append(route.request.post_data_json["client_id"])
        if len(tried) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route(posts, cut_after_it_was_taken)
    notice(page).get_by_role("button", name="Enviar modelo").click()
    resume(page)
    expect(bubble(page, RESUMED).locator(".bubble-button")).to_have_count(2)
    expect(bubble(page, RESUMED).locator("[data-status=delivered]")).to_be_visible()
    on_phone(page, simulator, RESUMED)
    assert len(set(tried)) == 1
    page.unroute(posts)

    # What the server itself does not take goes back into the dialog, as it was filled in.
    def no_longer_there(route: Route) -> None:
        error = {"code": "invalid_template", "message": "Este modelo não existe mais."}
        route.fulfill(status=422, json={"error": error})

    page.route(posts, no_longer_there)
    notice(page).get_by_role("button", name="Enviar modelo").click()
    resume(page)
    refused = bubble(page, "Este modelo não existe mais")
    expect(refused).to_be_visible()
    page.unroute(posts)
    refused.get_by_role("button", name="Ver o motivo").click()
    refused.get_by_role("button", name="Escolher modelo").click()
    expect(dialog(page).get_by_label("Variável 2")).to_have_value("o conserto")
    expect(bubble(page, RESUMED)).to_have_count(1)


def test_while_a_first_message_is_on_its_way_no_other_can_be_chosen(
    ana: Attendant, simulator: Simulator
) -> None:
    page = ana.page
    waiting: list[Route] = []
    page.route(re.compile(r"/api/conversations$"), lambda route: waiting.append(route))
    page.get_by_role("button", name="Nova conversa").click()
    panel_of(page).get_by_label("Pesquisar nome ou número").fill("(11) 98765-4321")
    expect(panel_of(page).get_by_role("button", name="+55 11 98765-4321")).to_be_visible()
    panel_of(page).get_by_label("Pesquisar nome ou número").press("Enter")
    form = choose(page, "retomar_conversa")
    form.get_by_label("Variável 1").fill("Maria")
    form.get_by_label("Variável 2").fill("o conserto")
    form.get_by_role("button", name="Enviar", exact=True).click()
    wait_until(lambda: page.evaluate("true") and waiting)
    expect(form.locator(".template-list")).to_have_js_property("inert", True)
    expect(form.get_by_role("button", name="Enviando…")).to_be_disabled()
    form.get_by_role("button", name="Fechar").click()  # it goes all the same
    expect(form).to_be_hidden()
    waiting[0].continue_()
    expect(row(page, RESUMED)).to_be_visible()
    expect(panel_of(page)).to_be_visible()  # where the person is now
    on_phone(page, simulator, RESUMED)


def test_the_window_closes_by_itself_on_the_screen(
    ana: Attendant, wrote: Callable[[float], None]
) -> None:
    wrote(23.5 / 24)
    page = ana.new_tab()
    ana.allow_errors("ERR_FAILED|ERR_ABORTED")
    # Nothing tells this page what time it is on the server, once it is loaded.
    page.route("**/realtime/events*", lambda route: route.abort())
    page.clock.install()
    page.goto(ana.url)
    row(page, "Maria").click()
    expect(notice(page)).to_contain_text("Você pode responder até")
    expect(notice(page)).to_contain_text(re.compile(r"faltam (29|30) min"))
    expect(notice(page).get_by_role("button")).to_be_hidden()
    page.clock.fast_forward("20:00")
    expect(notice(page)).to_contain_text(re.compile(r"faltam (8|9|10) min"))
    expect(page.locator(".composer-input")).to_be_enabled()
    page.clock.fast_forward("15:00")
    expect(notice(page)).to_contain_text("Faz mais de 24 horas")
    expect(page.locator(".composer-input")).to_be_disabled()
    expect(notice(page).get_by_role("button", name="Enviar modelo")).to_be_visible()


def test_a_conversation_is_begun_by_number_and_never_doubled(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    ana.get_by_role("button", name="Nova conversa").click()
    panel = panel_of(ana)
    search = panel.get_by_label("Pesquisar nome ou número")
    expect(search).to_be_focused()
    expect(panel).to_contain_text("o WhatsApp só aceita um modelo aprovado")
    search.fill("98765-4321")
    expect(panel).to_contain_text("Falta o DDD.")
    search.fill("(11) 98765-4321")
    expect(panel.get_by_role("button", name="+55 11 98765-4321")).to_be_visible()
    search.press("Enter")
    expect(dialog(ana)).to_contain_text("A primeira mensagem a um cliente")
    form = choose(ana, "retomar_conversa")
    form.get_by_label("Variável 1").fill("Maria")
    form.get_by_label("Variável 2").fill("o conserto")
    for page in both:  # looking for a number and filling in make no conversation
        expect(page.locator(".conversation-list [data-conversation-id]")).to_have_count(0)
    form.get_by_role("button", name="Enviar", exact=True).click()

    expect(dialog(ana)).to_be_hidden()
    expect(panel).to_be_hidden()
    expect(bubble(ana, RESUMED)).to_be_visible()
    expect(notice(ana)).to_contain_text("Este cliente ainda não escreveu")
    expect(row(bruno, "+55 11 98765-4321")).to_contain_text(RESUMED[:20])
    on_phone(ana, simulator, RESUMED)

    # The same person in another form of the number, as WhatsApp may have it.
    bruno.get_by_role("button", name="Nova conversa").click()
    other = panel_of(bruno)
    other.get_by_label("Pesquisar nome ou número").fill("+55 11 8765-4321")
    known = other.get_by_role("button", name="+55 11 98765-4321")
    expect(known).to_have_count(1)
    known.click()
    expect(bubble(bruno, RESUMED)).to_be_visible()
    expect(other).to_be_hidden()

    body = {"text": "Oi, sou eu", "name": "Maria das Dores"}
    simulator.write("551187654321", **body)
    for page in both:
        expect(bubble(page, "Oi, sou eu")).to_be_visible()
        expect(page.locator(".composer-input")).to_be_enabled()
        expect(page.locator(".conversation-list [data-conversation-id]")).to_have_count(1)

    # Now known by name; the keyboard finds them, and Escape leads back.
    ana.get_by_role("button", name="Nova conversa").click()
    search.fill("dores")
    expect(panel.locator(".new-chat-rows button")).to_have_text(re.compile("Maria das Dores"))
    search.fill("ninguém")
    expect(panel).to_contain_text("Nenhuma conversa encontrada")
    search.press("Escape")
    expect(panel).to_be_hidden()
    expect(ana.get_by_role("button", name="Nova conversa")).to_be_focused()
    expect(bubble(ana, RESUMED)).to_be_visible()


def test_a_first_message_that_got_no_answer_is_sent_once(
    ana: Attendant, simulator: Simulator
) -> None:
    page = ana.page
    ana.allow_errors("ERR_FAILED")
    ids: list[str] = []

    def cut_the_first(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        ids.append(json.loads(route.request.post_data or "")["client_id"])
        if len(ids) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route(re.compile(r"/api/conversations$"), cut_the_first)
    page.get_by_role("button", name="Nova conversa").click()
    panel_of(page).get_by_label("Pesquisar nome ou número").fill("11 98765-4321")
    page.get_by_role("button", name="Começar com um modelo").click()
    form = choose(page, "aviso")
    form.get_by_role("button", name="Enviar", exact=True).click()
    expect(form.get_by_role("alert")).to_have_text("Sem resposta do servidor.")
    form.get_by_role("button", name="Enviar", exact=True).click()
    expect(bubble(page, "Temos uma novidade")).to_be_visible()
    on_phone(page, simulator, "Temos uma novidade sobre o seu atendimento.")
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_without_the_account_the_dialog_says_what_is_missing(
    live_server: Callable[..., LiveServer],
    attendant: Callable[..., Attendant],
    simulator: Simulator,
) -> None:
    person = attendant("ana", live_server(WHATSAPP_BUSINESS_ACCOUNT_ID="").url)
    person.wait_connected()
    person.allow_errors("409")
    simulator.write(MARIA, text="oi")
    page = person.page
    page.locator("[data-conversation-id]").click()
    page.locator(".plus-button").click()
    page.get_by_role("menuitem", name="Enviar modelo").click()
    expect(dialog(page).get_by_role("status")).to_contain_text("WHATSAPP_BUSINESS_ACCOUNT_ID")


def test_every_word_can_be_read_in_both_themes(
    ana: Attendant, wrote: Callable[[float], None]
) -> None:
    page = ana.page
    wrote(2)
    row(page, "Maria").click()
    page.get_by_role("button", name="Nova conversa").click()
    panel_of(page).get_by_label("Pesquisar nome ou número").fill("21 99887-7665")
    page.get_by_role("button", name="Começar com um modelo").click()
    form = choose(page, "servico_pronto")
    form.get_by_role("button", name="Enviar", exact=True).click()
    expect(form.get_by_text("Preencha este campo.").first).to_be_visible()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found = page.evaluate(CONTRAST)
        names = " ".join(name for _, name, *_ in found)
        for expected in ("template-obstacle", "bubble-button", "new-chat-detail", "window-words"):
            assert expected in names, expected
        assert [each for each in found if each[0] < (3 if each[4] else 4.5)] == []

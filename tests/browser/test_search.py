"""Searching: inside a chat with the way up and down, and over the list, names and messages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Attendant
from tests.browser.on_screen import await_idle
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

MARIA = "5511987654321"
JOAO = "5521998877665"


@pytest.fixture
def server(live_server: Callable[..., LiveServer]) -> LiveServer:
    return live_server()


@pytest.fixture
def write(simulator: Simulator) -> Callable[..., None]:
    """`write("Maria", MARIA, "oi", "tudo bem?")`: one message after the other, a minute apart, an
    hour ago; all are in the chat when it returns."""
    minute = [29_000_000]

    def write(name: str, phone: str, *texts: str) -> None:
        for text in texts:
            minute[0] += 1
            body = {"text": text, "name": name, "timestamp": minute[0] * 60}
            simulator.post(f"/customers/{phone}/messages", body)
        await_idle(simulator, 120)

    return write


@pytest.fixture
def two(server: LiveServer, attendant: Callable[..., Attendant]) -> tuple[Attendant, Attendant]:
    """Ana and Bruno, each at a browser."""
    return attendant("ana", server.url), attendant("bruno", server.url)


def bubble(page: Page, text: str) -> Locator:
    return page.locator("[data-message-id]", has_text=text)


def read_all(person: Attendant) -> None:
    """Somebody has read everything: a chat then opens with its newest page alone."""
    person.page.evaluate(
        """async () => {
          const token = document.querySelector('meta[name="csrf-token"]').content;
          const headers = { "X-CSRFToken": token, "Content-Type": "application/json" };
          const get = async (path) => (await fetch(path)).json();
          for (const { id } of (await get("/api/conversations")).conversations) {
            const { messages } = await get(`/api/conversations/${id}/messages?limit=100`);
            const last = messages.reduce((a, b) => (a.arrival > b.arrival ? a : b)); // not in order
            const body = JSON.stringify({ up_to: last.id });
            await fetch(`/api/conversations/${id}/read`, { method: "POST", headers, body });
          }
        }"""
    )
    expect(person.page.locator("unread-badge:visible")).to_have_count(0)


def open_chat(page: Page, name: str) -> None:
    page.locator(".conversation-list [data-conversation-id]", has_text=name).click()
    expect(page.locator(".header-name")).to_have_text(name)


def test_up_and_down_through_what_a_chat_said(
    two: tuple[Attendant, Attendant], write: Callable[..., None]
) -> None:
    ana, bruno = two
    other = [f"conversa {n}" for n in range(70)]
    long = " ".join(f"palavra{n}" for n in range(200))
    write(
        "Maria", MARIA, "Quero um *orçamento*", *other, f"{long} ORCAMENTOS", "O orçamento chegou"
    )
    page = ana.page
    read_all(ana)
    open_chat(page, "Maria")
    expect(bubble(page, "O orçamento chegou")).to_be_visible()
    page.keyboard.press("Control+Alt+Shift+F")
    field = page.get_by_role("searchbox", name="Pesquisar mensagens")
    expect(field).to_be_focused()
    field.fill("orcamento")
    count = page.locator(".thread-search-count")
    expect(count).to_have_text("1 de 3")
    current = page.locator("mark.current")
    expect(current).to_have_text("orçamento")
    expect(current).to_be_in_viewport()

    # The next one up stands in what "Ler mais" has folded away; it opens.
    page.get_by_role("button", name="Mensagem anterior").click()
    expect(count).to_have_text("2 de 3")
    expect(current).to_have_text("ORCAMENTO")
    expect(current).to_be_in_viewport()
    expect(page.get_by_role("button", name="Ler mais")).to_have_count(0)

    # The last one has not been loaded yet.
    expect(bubble(page, "Quero um")).to_have_count(0)
    field.press("Enter")
    expect(count).to_have_text("3 de 3")
    expect(current).to_have_text("orçamento")
    expect(current).to_be_in_viewport()
    expect(page.get_by_role("button", name="Mensagem anterior")).to_have_attribute(
        "aria-disabled", "true"
    )
    field.press("Shift+Enter")
    expect(count).to_have_text("2 de 3")
    expect(current).to_have_text("ORCAMENTO")
    expect(page.locator("mark.hit").last).to_have_text("orçamento")

    # Escape ends the search alone, and takes its marks away.
    field.press("Escape")
    expect(field).to_be_hidden()
    expect(page.locator("mark.hit")).to_have_count(0)
    expect(bubble(page, "O orçamento chegou")).to_be_attached()
    expect(page.locator(".thread-pane")).to_be_visible()

    # Bruno finds it by the menu, and nothing where there is nothing.
    page = bruno.page
    open_chat(page, "Maria")
    page.get_by_role("button", name="Opções da conversa", exact=True).click()
    page.get_by_role("menuitem", name="Pesquisar mensagens").click()
    field = page.get_by_role("searchbox", name="Pesquisar mensagens")
    field.fill("girafa")
    expect(page.locator(".thread-search-count")).to_have_text("Nenhuma mensagem encontrada")


def test_a_chat_that_is_left_ends_its_search(
    two: tuple[Attendant, Attendant], write: Callable[..., None]
) -> None:
    page = two[0].page
    write("Maria", MARIA, "um pedido")
    write("João", JOAO, "outro pedido")
    open_chat(page, "Maria")
    page.get_by_role("button", name="Pesquisar mensagens").click()
    page.get_by_role("searchbox", name="Pesquisar mensagens").fill("pedido")
    expect(page.locator("mark.current")).to_have_text("pedido")
    open_chat(page, "João")
    expect(page.get_by_role("searchbox", name="Pesquisar mensagens")).to_be_hidden()
    expect(bubble(page, "outro pedido")).to_be_visible()
    expect(page.locator("mark.hit")).to_have_count(0)


def test_the_bar_says_how_far_it_has_looked(
    two: tuple[Attendant, Attendant], write: Callable[..., None]
) -> None:
    page = two[0].page
    write("Maria", MARIA, "pedido antigo", "pedido novo")
    open_chat(page, "Maria")
    expect(bubble(page, "pedido novo")).to_be_visible()
    ids = page.locator("[data-message-id]").evaluate_all(
        "(all) => all.map((m) => m.dataset.messageId)"
    )
    at = page.evaluate("fetch(location.origin + '/api/conversations').then((a) => a.json())")
    position = at["conversations"][0]["last_message"]["position"]
    hit = {"position": position, "sent_at": "2026-03-12T15:00:00Z"}
    answers = [
        {"hits": [{"id": ids[1], **hit}], "next": "9", "looked_until": "2026-03-12T15:00:00Z"},
        {"hits": [], "next": "8", "looked_until": "2026-03-11T15:00:00Z"},
        {"hits": [{"id": ids[0], **hit}], "next": None, "looked_until": "2026-03-10T15:00:00Z"},
    ]
    page.route("**/api/conversations/*/search?**", lambda route: route.fulfill(json=answers.pop(0)))
    page.keyboard.press("Control+Alt+Shift+F")
    page.get_by_role("searchbox", name="Pesquisar mensagens").fill("pedido")
    how = page.locator(".thread-search-how")
    expect(how).to_contain_text("Pesquisado até 12/03/2026")
    expect(page.locator(".thread-search-count")).to_have_text("1 de 1")
    page.get_by_role("button", name="Continuar").click()
    expect(how).to_contain_text("Pesquisado até 11/03/2026")
    page.get_by_role("button", name="Mensagem anterior").click()  # leads on as well
    expect(page.locator(".thread-search-count")).to_have_text("2 de 2")
    expect(how).to_be_hidden()


def test_names_numbers_and_messages_are_found_over_the_list(
    two: tuple[Attendant, Attendant], write: Callable[..., None]
) -> None:
    page = two[0].page
    write("Maria Conceição", MARIA, "Bom dia", *(f"conversa {n}" for n in range(60)), "até já")
    write("João Pereira", JOAO, "A conceição do produto é boa", "obrigado")
    read_all(two[0])
    page.keyboard.press("Control+Alt+/")
    field = page.get_by_role("searchbox", name="Pesquisar conversas e mensagens")
    expect(field).to_be_focused()
    field.fill("concei")
    results = page.locator(".search-results")
    expect(results.get_by_role("heading")).to_have_text(["Conversas", "Mensagens"])
    expect(results.locator(".row-name")).to_have_text(["Maria Conceição", "João Pereira"])
    expect(results.locator("mark")).to_have_text(["Concei", "concei"])
    expect(page.locator(".conversation-list")).to_be_hidden()

    # A message that was said long before what the chat shows first.
    field.fill("bom dia")
    expect(results.locator(".row-text")).to_have_text(["Bom dia"])
    field.press("ArrowDown")
    expect(results.locator(".row").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".header-name")).to_have_text("Maria Conceição")
    expect(bubble(page, "Bom dia")).to_be_in_viewport()

    field.fill("99887-7665")
    expect(results.locator(".row-name")).to_have_text(["João Pereira"])
    results.locator(".row").click()
    expect(page.locator(".header-name")).to_have_text("João Pereira")

    field.fill("girafa")
    nothing = "Nenhuma conversa, contato ou mensagem encontrada"
    expect(results.get_by_text(nothing)).to_be_visible()
    field.press("Escape")
    expect(field).to_have_value("")
    expect(results).to_be_hidden()
    expect(page.locator(".conversation-list [data-conversation-id]")).to_have_count(2)
    expect(page.locator(".header-name")).to_have_text("João Pereira")  # its chat stays open


def test_what_was_found_is_seen_however_far_behind_the_name_it_stands(
    two: tuple[Attendant, Attendant], simulator: Simulator
) -> None:
    page = two[0].page
    simulator.write(MARIA, text="oi")
    page.locator(".conversation-list [data-conversation-id]").click()
    page.locator(".composer-input").fill("Temos tudo do pedido, menos o pneu de trás")
    page.keyboard.press("Enter")
    expect(page.locator(".out[data-message-id]:not(.pending)")).to_have_count(1)
    page.get_by_role("searchbox", name="Pesquisar conversas e mensagens").fill("pneu")
    mark = page.locator(".search-results mark")
    expect(mark).to_have_text("pneu")
    inside = """(mark) => mark.getBoundingClientRect().right
      <= mark.closest(".row-preview").getBoundingClientRect().right"""
    wait_until(lambda: mark.evaluate(inside))


def test_the_answer_leaves_the_keyboard_where_it_is(
    two: tuple[Attendant, Attendant], write: Callable[..., None]
) -> None:
    page = two[0].page
    write("Maria Conceição", MARIA, "Bom dia")
    waiting: list[Route] = []
    page.route("**/api/messages/search*", lambda route: waiting.append(route))
    page.get_by_role("searchbox", name="Pesquisar conversas e mensagens").fill("maria")
    rows = page.locator(".search-results .row")
    wait_until(lambda: page.evaluate("true") and waiting)
    rows.first.focus()
    for route in waiting:
        route.continue_()
    expect(page.locator(".search-results")).not_to_contain_text("Pesquisando")
    expect(rows.first).to_be_focused()


def test_escape_ends_a_dialog_and_not_the_search_below_it(
    two: tuple[Attendant, Attendant], write: Callable[..., None]
) -> None:
    page = two[0].page
    write("Maria", MARIA, "orçamento")
    open_chat(page, "Maria")
    page.keyboard.press("Control+Alt+Shift+F")
    field = page.get_by_role("searchbox", name="Pesquisar mensagens")
    field.fill("orçamento")
    expect(page.locator("mark.hit")).to_have_count(1)
    page.get_by_role("button", name="Menu", exact=True).click()
    page.get_by_role("button", name="Atalhos do teclado").click()
    dialog = page.get_by_role("dialog", name="Atalhos do teclado")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(field).to_be_visible()
    expect(page.locator("mark.hit")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    expect(page.locator("mark.hit")).to_have_count(0)


def test_a_failed_search_can_be_tried_again(
    two: tuple[Attendant, Attendant], write: Callable[..., None]
) -> None:
    ana = two[0]
    ana.allow_errors("503")
    page = ana.page
    write("Maria", MARIA, "oi, meu pedido")
    page.route("**/api/messages/search?**", lambda route: route.fulfill(status=503, json={}))
    page.get_by_role("searchbox", name="Pesquisar conversas e mensagens").fill("pedido")
    results = page.locator(".search-results")
    expect(results).to_contain_text("Não foi possível pesquisar.")
    page.unroute("**/api/messages/search?**")
    results.get_by_role("button", name="Tentar novamente").click()
    expect(results.locator(".row-text")).to_have_text(["oi, meu pedido"])

"""Claude at work on the screens of two attendants, over real servers and a stand-in for Claude."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from chat.auto_reply.usage import ClaudeCalls
from local.claude.server import ClaudeStandIn
from tests.browser.conftest import Attendant
from tests.browser.unread_screen import NOTE_ALERTS, row, told
from tests.chromium import look_away
from tests.helpers import LiveServer, Simulator, Store, wait_until

pytestmark = pytest.mark.slow

MARINA = "5511987654321"
WRITING = "Claude está respondendo…"
LONG_MS = 60_000  # until the test lets it go on


@pytest.fixture
def url(live_server: Callable[..., LiveServer], claude: ClaudeStandIn) -> str:
    """A chat in which Claude answers at once."""
    server = live_server(
        ANTHROPIC_API_KEY="test-key", ANTHROPIC_BASE_URL=claude.url, AUTO_REPLY_DEBOUNCE_SECONDS=0
    )
    return server.url


@pytest.fixture
def marina(simulator: Simulator) -> Callable[[str], None]:
    """`marina("oi")`: she writes."""

    def write(text: str) -> None:
        simulator.write(MARINA, text=text, name="Marina")

    return write


@pytest.fixture
def both(url: str, attendant: Callable[..., Attendant]) -> list[Page]:
    people = [attendant("ana", url), attendant("bruno", url)]
    for person in people:
        person.wait_connected()
    return [person.page for person in people]


def go_on(claude: ClaudeStandIn) -> None:
    """What was slow until now is answered."""
    claude.switches.set(slow_ms=0)
    claude.stopping.set()


def header(page: Page, button: str | None = None) -> Locator:
    """Who has the open conversation, or the button that changes it."""
    if button is None:
        return page.locator(".header-owner")
    return page.locator(".thread-header").get_by_role("button", name=button, exact=True)


def bubble(page: Page, text: str) -> Locator:
    return page.locator("[data-message-id]", has_text=text)


def mark(page: Page) -> Locator:
    return row(page, "Marina").locator(".row-owner")


def chip(page: Page) -> Locator:
    return page.locator(".filter-chip", has_text="Precisa de você")


def test_claude_answers_and_everybody_watches(
    both: list[Page], claude: ClaudeStandIn, marina: Callable[[str], None]
) -> None:
    claude.switches.set(slow_ms=LONG_MS, text="Das nove às dezoito")
    marina("Que horas abrem?")
    ana, bruno = both
    for page in both:
        expect(row(page, "Marina").get_by_text(WRITING)).to_be_visible()
        expect(row(page, "Marina").locator(".row-text")).to_be_hidden()
        expect(mark(page)).to_have_attribute("aria-label", "Claude responde")
    row(ana, "Marina").click()
    expect(header(ana)).to_have_text(WRITING)
    expect(header(ana, "Assumir")).to_be_visible()
    expect(ana.locator(".suggest-button")).to_be_hidden()  # it is not Ana's to answer

    go_on(claude)
    expect(bubble(ana, "Das nove")).to_contain_text("Claude")
    expect(bubble(ana, "Das nove").locator("[data-status=delivered]")).to_be_visible()
    expect(header(ana)).to_have_text("Claude")
    for page in both:
        expect(row(page, "Marina").locator(".row-text")).to_have_text("Das nove às dezoito")
        expect(row(page, "Marina").locator(".row-replying")).to_be_hidden()


def test_who_takes_over_while_claude_writes_keeps_its_answer_from_the_customer(
    both: list[Page],
    claude: ClaudeStandIn,
    marina: Callable[[str], None],
    simulator: Simulator,
    store: Store,
) -> None:
    claude.switches.set(slow_ms=LONG_MS, text="Nunca")
    marina("Oi")
    ana, bruno = both
    for page in both:
        row(page, "Marina").click()
        expect(header(page)).to_have_text(WRITING)
    expect(bruno.locator(".suggest-button")).to_be_hidden()
    header(ana, "Assumir").dblclick()  # of which one click is meant
    for page in both:
        expect(header(page)).to_have_text("Equipe")
        expect(header(page, "Passar ao Claude")).to_be_visible()
        expect(page.locator(".notice-text", has_text="Ana assumiu a conversa")).to_be_visible()
        expect(mark(page)).to_have_attribute("aria-label", "A equipe responde")
        expect(row(page, "Marina").locator(".row-text")).to_have_text("Oi")
    expect(ana.locator(".composer-input")).to_be_focused()

    go_on(claude)

    def calls() -> list[str]:
        with store.context():
            found = ClaudeCalls.query().fetch(use_cache=False)
        return [call["kind"] for each in found for call in each.calls]

    wait_until(lambda: calls() == ["discarded"])
    ana.locator(".composer-input").fill("Oi, aqui é a Ana")
    ana.locator(".composer-input").press("Enter")
    expect(bubble(bruno, "Oi, aqui é a Ana").locator("[data-status=delivered]")).to_be_visible()
    received = simulator.get(f"/customers/{MARINA}/messages").json()["messages"]
    assert [each["text"] for each in received] == ["Oi", "Oi, aqui é a Ana"]


def test_owners_change_by_click_and_by_answering_on_every_screen(
    both: list[Page], claude: ClaudeStandIn, marina: Callable[[str], None]
) -> None:
    claude.switches.set(text="Bom dia!")
    marina("Oi")
    ana, bruno = both
    for page in both:
        expect(row(page, "Marina").locator(".row-text")).to_have_text("Bom dia!")
        row(page, "Marina").click()
    ana.locator(".composer-input").fill("Sou eu")
    ana.locator(".composer-input").press("Enter")
    for page in both:
        expect(header(page)).to_have_text("Equipe")
        expect(page.locator(".notice-text")).to_have_text("Ana assumiu a conversa")
    header(bruno, "Passar ao Claude").click()
    for page in both:
        expect(header(page)).to_have_text("Claude")
        expect(page.locator(".notice-text").last).to_have_text("Bruno passou a conversa ao Claude")
    row(ana, "Marina").click(button="right")
    ana.get_by_role("menuitem", name="Assumir a conversa").click()
    for page in both:
        expect(header(page)).to_have_text("Equipe")


def test_a_handover_is_told_of_though_the_chat_is_muted(
    url: str, at_a_computer: Callable[..., Attendant], marina: Callable[[str], None]
) -> None:
    ana = at_a_computer("ana", url, script=NOTE_ALERTS)
    bruno = at_a_computer("bruno", url, script=NOTE_ALERTS)
    for person in (ana, bruno):
        person.wait_connected()
    marina("Oi")
    expect(row(ana.page, "Marina").locator(".row-text")).to_contain_text("Como posso ajudar")
    row(ana.page, "Marina").click(button="right")
    ana.page.get_by_role("menuitem", name="Silenciar notificações").click()
    for person in (ana, bruno):
        expect(row(person.page, "Marina").locator(".row-muted")).to_be_visible()
        expect(chip(person.page)).to_have_text("Precisa de você")
    look_away(ana.context)
    bruno.page.bring_to_front()

    marina("Quero falar com um atendente")
    wait_until(lambda: told(ana.page))
    (note,) = told(ana.page)
    assert note["title"] == "A conversa com Marina precisa de você"
    assert note["body"] == "o cliente pediu uma pessoa"
    assert note["open"]
    toast = bruno.page.locator(".toast")
    expect(toast).to_contain_text("A conversa com Marina precisa de você")
    for person in (ana, bruno):
        expect(chip(person.page)).to_have_text("Precisa de você 1")
        expect(mark(person.page)).to_have_attribute("aria-label", "Precisa de você")

    chip(bruno.page).click()
    expect(bruno.page.locator("[data-conversation-id]")).to_have_count(1)
    toast.get_by_role("button", name="Abrir").click()
    expect(header(bruno.page)).to_have_text("Precisa de você: o cliente pediu uma pessoa")
    lines = bruno.page.locator(".notice-text")
    expect(lines).to_have_text("Claude passou a conversa: o cliente pediu uma pessoa")
    header(bruno.page, "Assumir").click()
    for person in (ana, bruno):
        expect(chip(person.page)).to_have_text("Precisa de você")
        expect(row(person.page, "Marina").locator(".row-needed")).to_be_hidden()
    wait_until(lambda: not told(ana.page)[0]["open"])
    assert told(bruno.page) == []  # he was looking


def test_a_suggestion_is_used_dropped_replaced_and_cancelled(
    live_server: Callable[..., LiveServer],
    attendant: Callable[..., Attendant],
    claude: ClaudeStandIn,
    marina: Callable[[str], None],
) -> None:
    server = live_server(
        ANTHROPIC_API_KEY="test-key", ANTHROPIC_BASE_URL=claude.url, AUTO_REPLY_OWNER="human"
    )
    ana = attendant("ana", server.url)
    ana.allow_errors("503")
    page = ana.page
    marina("Que horas abrem?")
    row(page, "Marina").click()
    field, strip = page.locator(".composer-input"), page.locator(".suggestion")
    suggest = page.get_by_role("button", name="Sugerir resposta")

    claude.switches.set(slow_ms=LONG_MS, text="Às nove.")
    suggest.click()
    expect(strip).to_contain_text("Claude está escrevendo…")
    expect(suggest).to_be_disabled()
    strip.get_by_role("button", name="Cancelar").click()
    expect(strip).to_be_hidden()
    go_on(claude)

    suggest.click()
    expect(field).to_have_value("Às nove.")
    strip.get_by_role("button", name="Descartar").click()
    expect(field).to_have_value("")
    expect(strip).to_be_hidden()

    field.fill("Já te")
    suggest.click()
    expect(strip.locator(".suggestion-text")).to_have_text("Às nove.")
    expect(field).to_have_value("Já te")
    strip.get_by_role("button", name="Substituir o texto").click()
    expect(field).to_have_value("Às nove.")
    strip.get_by_role("button", name="Descartar").click()
    expect(field).to_have_value("Já te")

    claude.switches.set(answer="refuse", text=None)
    suggest.click()
    expect(page.locator(".toast")).to_contain_text("Não há sugestão")
    expect(field).to_have_value("Já te")

    claude.switches.set(answer=None, text="Às nove.")
    field.fill("")
    suggest.click()
    expect(field).to_have_value("Às nove.")
    field.press("End")
    field.type(" Até lá!")
    expect(strip).to_be_hidden()
    field.press("Enter")
    expect(bubble(page, "Às nove. Até lá!").locator("[data-status=delivered]")).to_be_visible()


def test_without_a_key_nothing_of_claude_is_shown(
    live_server: Callable[..., LiveServer],
    attendant: Callable[..., Attendant],
    marina: Callable[[str], None],
) -> None:
    page = attendant("ana", live_server(ANTHROPIC_API_KEY="").url).page
    marina("Oi")
    with page.expect_response("**/api/claude"):
        page.reload()
    row(page, "Marina").click()
    expect(bubble(page, "Oi")).to_be_visible()
    expect(mark(page)).to_be_hidden()
    expect(header(page)).to_have_text("")
    expect(chip(page)).to_be_hidden()
    expect(page.locator(".owner-button")).to_be_hidden()
    expect(page.locator(".suggest-button")).to_be_hidden()
    page.locator(".thread-menu").click()
    expect(page.get_by_role("menuitem")).to_have_text(
        [
            "Dados do contato",
            "Pesquisar mensagens",
            "Arquivar conversa",
            "Silenciar notificações",
            "Fixar conversa",
            "Marcar como não lida",
            "Etiquetar conversa",
        ]
    )

"""Two attendants pin messages in a chat; the bar over the thread leads there."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.axe import serious_findings
from tests.browser.conftest import Attendant
from tests.browser.one_chat import both, bubble, choose, people, row, write
from tests.helpers import Simulator, wait_until

pytestmark = pytest.mark.slow

__all__ = ["both", "people"]  # fixtures


def bar(page: Page) -> Locator:
    return page.get_by_role("region", name="Mensagens fixadas")


def pin(page: Page, text: str, days: str | None = None) -> None:
    choose(page, text, "Fixar")
    dialog = page.get_by_role("dialog", name="Escolha por quanto tempo")
    expect(dialog.get_by_role("radio", name="7 dias")).to_be_focused()
    if days:
        dialog.get_by_role("radio", name=days).check()
    dialog.get_by_role("button", name="Fixar").click()
    expect(dialog).to_be_hidden()


def write_lines(simulator: Simulator, count: int) -> None:
    """Messages "Linha 0" and so on, younger than all that is there."""
    since = int(time.time()) + 1
    for n in range(count):
        write(simulator, f"Linha {n}", timestamp=since + n // 10)


def test_both_see_what_is_pinned_and_go_there(both: list[Page]) -> None:
    ana, bruno = both
    expect(bar(ana)).to_be_hidden()
    pin(ana, "Tem azul?")
    for page in both:
        expect(bar(page)).to_contain_text("Maria: Tem azul?")
        expect(bubble(page, "Tem azul?").locator(".bubble-pinned")).to_be_visible()
        expect(page.locator(".thread-notice", has_text="Ana fixou uma mensagem")).to_be_visible()
    pin(bruno, "E quanto custa?", "24 horas")
    for page in both:
        expect(bar(page)).to_contain_text("Maria: E quanto custa?")
    bar(ana).get_by_role("button", name="1 de 2").click()
    expect(bar(ana)).to_contain_text("Maria: Tem azul?")  # which the next click goes to
    bar(ana).get_by_role("button", name="2 de 2").press("Enter")
    expect(bar(ana)).to_contain_text("Maria: E quanto custa?")

    bar(ana).get_by_role("button", name="Opções da mensagem fixada").click()
    ana.get_by_role("menuitem", name="Desafixar").click()
    choose(bruno, "Tem azul?", "Desafixar")
    for page in both:
        expect(bar(page)).to_be_hidden()
        expect(page.locator(".bubble-pinned:not([hidden])")).to_have_count(0)


@pytest.mark.parametrize("is_very_far", [False, True])
def test_what_is_pinned_far_above_is_shown_after_a_reload_and_reached(
    both: list[Page], simulator: Simulator, is_very_far: bool
) -> None:
    ana = both[0]
    pin(ana, "Tem azul?")
    write_lines(simulator, 80)  # more than a page
    expect(bubble(ana, "Linha 79")).to_be_visible()
    if is_very_far:  # in pages of one message: as many as thousands of messages have
        limit = re.compile(r"limit=\d+")
        ana.route(limit, lambda route: route.continue_(url=limit.sub("limit=1", route.request.url)))
    ana.reload()
    expect(bar(ana)).to_contain_text("Maria: Tem azul?")
    expect(bubble(ana, "Tem azul?")).to_have_count(0)
    bar(ana).get_by_role("button", name="Ir para a mensagem fixada").click()
    expect(bubble(ana, "Tem azul?")).to_be_in_viewport()


@pytest.mark.parametrize(
    ("is_older", "is_answered"),
    [(False, True), (True, True), (True, False)],
    ids=["the newest", "an older", "one without an answer"],
)
def test_who_goes_there_while_a_page_is_on_its_way_gets_there(
    people: list[Attendant],
    both: list[Page],
    simulator: Simulator,
    is_older: bool,
    is_answered: bool,
) -> None:
    ana = both[0]
    if not is_answered:
        people[0].allow_errors("ERR_FAILED")
    pin(ana, "Tem azul?")
    write_lines(simulator, 60)
    expect(bubble(ana, "Linha 59")).to_be_visible()
    waiting: list[Route] = []
    pages = re.compile(r"/messages\?.*before=" if is_older else r"/messages(\?(?!.*before=)|$)")
    ana.route(pages, lambda route: route.continue_() if waiting else waiting.append(route))
    ana.reload()
    if is_older:
        expect(bubble(ana, "Linha 59")).to_be_visible()
        ana.locator(".thread-scroll").evaluate("(node) => node.scrollTo(0, 0)")
    wait_until(lambda: ana.evaluate("true") and waiting)
    bar(ana).get_by_role("button", name="Ir para a mensagem fixada").click()
    waiting[0].continue_() if is_answered else waiting[0].abort()
    expect(bubble(ana, "Tem azul?")).to_be_in_viewport()


@pytest.mark.parametrize("is_read_anew", [False, True])
def test_who_goes_there_without_an_answer_is_told(
    people: list[Attendant], both: list[Page], simulator: Simulator, is_read_anew: bool
) -> None:
    people[0].allow_errors("ERR_FAILED|will be repeated")
    ana = both[0]
    pin(ana, "Tem azul?")
    write_lines(simulator, 60)
    ana.reload()
    expect(bubble(ana, "Linha 59")).to_be_visible()
    asked: list[Route] = []
    ana.route(re.compile("/messages"), lambda route: (asked.append(route), route.abort()))
    if is_read_anew:
        ana.evaluate("""() => void document.dispatchEvent(new CustomEvent("realtime:reset", {
          detail: { waitUntil: (it) => it.catch(() => {}) },
        }))""")
        wait_until(lambda: ana.evaluate("true") and asked)
    bar(ana).get_by_role("button", name="Ir para a mensagem fixada").click()
    expect(ana.locator(".toast-text")).to_contain_text("Não foi possível carregar a mensagem")


def test_a_fourth_asks_whether_the_oldest_goes(
    people: list[Attendant], simulator: Simulator
) -> None:
    people[0].allow_errors("409")
    ana = people[0].page
    for text in ("Um", "Dois"):
        write(simulator, text)
        expect(bubble(ana, text)).to_be_visible()
    for text in ("Tem azul?", "E quanto custa?", "Um"):
        pin(ana, text)
        expect(bar(ana)).to_contain_text(text)
    pin(ana, "Dois")
    question = ana.get_by_role("dialog").filter(has_text="substituir a mais antiga")
    question.get_by_role("button", name="Cancelar").click()
    expect(bar(ana)).to_contain_text("Um")
    pin(ana, "Dois")
    question.get_by_role("button", name="Substituir").click()
    expect(bar(ana)).to_contain_text("Dois")
    expect(bubble(ana, "Tem azul?").locator(".bubble-pinned")).to_be_hidden()
    expect(bubble(ana, "E quanto custa?").locator(".bubble-pinned")).to_be_visible()


def test_the_dialog_and_the_bar_can_be_read_by_everybody(both: list[Page]) -> None:
    ana = both[0]
    pin(ana, "Tem azul?")
    expect(bar(ana)).to_be_visible()
    choose(ana, "E quanto custa?", "Fixar")
    for scheme in ("light", "dark"):
        ana.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        assert serious_findings(ana) == []
    ana.keyboard.press("Escape")
    expect(ana.get_by_role("dialog")).to_be_hidden()
    row(ana, "Maria").focus()
    for scheme in ("light", "dark"):
        ana.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        assert serious_findings(ana) == []

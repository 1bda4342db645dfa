"""Two attendants answer single messages, as in WhatsApp Web."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.browser.one_chat import (
    JOANA,
    MARIA,
    both,
    bubble,
    choose,
    on_phone,
    people,
    row,
    write,
)
from tests.helpers import Simulator

pytestmark = pytest.mark.slow

__all__ = ["both", "people"]  # fixtures


def bar(page: Page) -> Locator:
    return page.locator(".quote-bar")


def send(page: Page, text: str) -> None:
    page.locator(".composer-input").fill(text)
    page.keyboard.press("Enter")


def shows_quote(message: Locator, author: str, text: str) -> None:
    expect(message.locator(".quote-author")).to_have_text(author)
    expect(message.locator(".quote-text")).to_have_text(text)
    expect(message.locator(".quote-picture")).to_be_hidden()


def test_an_answer_quotes_its_question_on_every_screen(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    choose(ana, "Tem azul?", "Responder")
    shows_quote(bar(ana), "Maria", "Tem azul?")
    expect(ana.locator(".composer-input")).to_be_focused()
    send(ana, "Tem sim")
    expect(bar(ana)).to_be_hidden()
    for page in both:
        shows_quote(bubble(page, "Tem sim"), "Maria", "Tem azul?")
    bubble(ana, "Tem sim").locator(".quote").click()
    question = bubble(ana, "Tem azul?")
    expect(question).to_be_in_viewport()
    # Whoever wrote it reads "Você", the colleague a name: whoever quotes it, the customer included.
    expect(bubble(bruno, "Tem sim").locator("message-ticks[data-status=delivered]")).to_be_visible()
    bubble(bruno, "Tem sim").dblclick()
    shows_quote(bar(bruno), "Ana", "Tem sim")
    send(bruno, "E verde")
    shows_quote(bubble(bruno, "E verde"), "Ana", "Tem sim")
    shows_quote(bubble(ana, "E verde"), "Você", "Tem sim")
    ours = on_phone(simulator, "Tem sim")
    assert ours["reply_to"] is not None
    write(simulator, "Quero!", reply_to=ours["id"])
    shows_quote(bubble(ana, "Quero!"), "Você", "Tem sim")
    shows_quote(bubble(bruno, "Quero!"), "Ana", "Tem sim")


def test_an_answer_under_way_is_kept_by_chat_and_across_reloads(
    both: list[Page], simulator: Simulator
) -> None:
    ana, _ = both
    write(simulator, "Bom dia", JOANA, "Joana")
    choose(ana, "Tem azul?", "Responder")
    ana.locator(".composer-input").fill("Tem")
    row(ana, "Joana").click()
    expect(bubble(ana, "Bom dia")).to_be_visible()
    expect(bar(ana)).to_be_hidden()
    row(ana, "Maria").click()
    shows_quote(bar(ana), "Maria", "Tem azul?")
    ana.reload()
    shows_quote(bar(ana), "Maria", "Tem azul?")
    expect(ana.locator(".composer-input")).to_have_value("Tem")
    # Escape drops the quote alone, a second one closes the chat.
    ana.locator(".composer-input").press("Escape")
    expect(bar(ana)).to_be_hidden()
    expect(ana.locator(".composer-input")).to_have_value("Tem")
    choose(ana, "E quanto custa?", "Responder")
    ana.get_by_role("button", name="Cancelar resposta").click()
    expect(bar(ana)).to_be_hidden()
    ana.keyboard.press("Enter")
    expect(bubble(ana, "Tem").last.locator(".quote")).to_be_hidden()


def test_an_answer_written_without_connection_quotes_when_it_goes(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana, bruno = (person.page for person in people)
    people[0].allow_errors("Failed to load resource")
    path = "**/api/conversations/*/messages"
    ana.route(path, lambda route: route.abort())
    choose(ana, "Tem azul?", "Responder")
    send(ana, "Mais tarde")
    shows_quote(bubble(ana, "Mais tarde"), "Maria", "Tem azul?")
    expect(bubble(ana, "Mais tarde")).to_contain_text("Aguardando conexão")
    ana.unroute(path)
    shows_quote(bubble(bruno, "Mais tarde"), "Maria", "Tem azul?")
    assert on_phone(simulator, "Mais tarde")["reply_to"] is not None


def test_a_message_that_goes_back_into_the_field_keeps_what_it_answers(
    people: list[Attendant],
) -> None:
    ana = people[0].page
    people[0].allow_errors("Failed to load resource")
    answer = {"error": {"code": "invalid", "message": "Não deu."}}
    path = "**/api/conversations/*/messages"
    ana.route(path, lambda route: route.fulfill(status=422, json=answer))
    choose(ana, "Tem azul?", "Responder")
    send(ana, "Sim?")
    bubble(ana, "Sim?").locator(".failure-mark").click()
    bubble(ana, "Sim?").get_by_role("button", name="Copiar para o campo de mensagem").click()
    shows_quote(bar(ana), "Maria", "Tem azul?")
    expect(ana.locator(".composer-input")).to_have_value("Sim?")
    ana.unroute(path)


def test_what_is_deleted_is_answered_no_more(both: list[Page], simulator: Simulator) -> None:
    ana, _ = both
    gone = write(simulator, "engano")
    choose(ana, "engano", "Responder")
    shows_quote(bar(ana), "Maria", "engano")
    simulator.write(MARIA, type="revoke", reply_to=gone)
    expect(bar(ana)).to_be_hidden()


def test_a_message_drawn_to_the_right_is_answered(both: list[Page]) -> None:
    ana, _ = both
    finger = ana.context.new_cdp_session(ana)
    box = bubble(ana, "Tem azul?").locator(".bubble").bounding_box()
    assert box
    x, y = box["x"] + 20, box["y"] + box["height"] / 2

    def touch(kind: str, *points: float) -> None:
        at = [{"x": point, "y": y} for point in points]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    for end in (30, 80):  # let go too soon, nothing comes of it
        touch("touchStart", x)
        for step in range(10, end + 1, 10):
            touch("touchMove", x + step)
        touch("touchEnd")
        if end == 30:
            expect(bar(ana)).to_be_hidden()
    shows_quote(bar(ana), "Maria", "Tem azul?")

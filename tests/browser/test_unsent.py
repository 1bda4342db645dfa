"""What the server did not take at once: it waits, outlives its tab, and goes out once, in order."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests.browser.conftest import Attendant
from tests.helpers import Simulator, wait_until

pytestmark = pytest.mark.slow

MARIA = "5511987654321"
POSTS = re.compile(r"/api/conversations/[^/]+/messages$")
HOUR = 3600

#: Notes every status that ticks with this text beside them have shown.
WATCH = """() => {
  window.shown = {};
  const note = () => {
    for (const node of document.querySelectorAll('.thread-content .out')) {
      const text = node.querySelector('.bubble-text').textContent;
      const status = node.querySelector('message-ticks').dataset.status;
      const seen = window.shown[text] ??= [];
      if (status && seen.at(-1) !== status) seen.push(status);
    }
  };
  const options = { childList: true, subtree: true, attributes: true };
  new MutationObserver(note).observe(document.querySelector('.thread-content'), options);
}"""
OUR_KEYS = "Object.keys(localStorage).filter((key) => /^chat[.](unsent|draft)/.test(key)).length"


class Way:
    """Between all tabs of a browser and the server: what becomes of the posts of messages."""

    def __init__(self, person: Attendant) -> None:
        self.person = person
        self.texts: list[str] = []  # of all posts that were tried
        self.is_shut = False
        self.losses = 0  # that are still to come
        self.how: Callable[[Route], None] = lambda route: route.abort()
        person.allow_errors("ERR_FAILED|503")
        person.context.route(POSTS, self._handle)

    def lose(self, times: int, how: Callable[[Route], None]) -> None:
        self.losses, self.how = times, how

    def _handle(self, route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        self.texts.append(route.request.post_data_json["text"])
        if self.is_shut:
            route.abort()
        elif self.losses:
            self.losses -= 1
            self.how(route)
        else:
            route.continue_()


def answer_503(route: Route) -> None:
    route.fulfill(status=503)


def cut(route: Route) -> None:
    route.abort()


def cut_after_it_was_taken(route: Route) -> None:
    route.fetch()
    route.abort()


def arrive(page: Page, simulator: Simulator, *texts: str) -> None:
    """Wait until the phone has these; asking the page lets its held requests go on meanwhile."""
    wait_until(lambda: page.evaluate("true") and simulator.texts_on_phone(MARIA) == list(texts))


def bubble(page: Page, text: str) -> Locator:
    return page.locator(".thread-content [data-message-id]", has_text=text)


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Mensagem")


def send(page: Page, *texts: str) -> None:
    for text in texts:
        field(page).fill(text)
        field(page).press("Enter")


def waits(page: Page, text: str) -> None:
    expect(bubble(page, text).locator(".problem-text")).to_have_text("Aguardando conexão")
    expect(bubble(page, text).locator("message-ticks")).to_have_attribute("data-status", "sending")
    expect(bubble(page, text)).to_have_count(1)


def is_sent(page: Page, *texts: str) -> None:
    for text in texts:
        expect(bubble(page, text)).to_have_count(1)
        expect(bubble(page, text).locator(".problem")).to_be_hidden()
        status = re.compile("sent|delivered")
        expect(bubble(page, text).locator("message-ticks")).to_have_attribute("data-status", status)


def open_tab(person: Attendant) -> Page:
    """Another tab of this attendant with Maria's conversation."""
    page = person.new_tab()
    page.goto(person.url)
    page.locator("[data-conversation-id]").click()
    expect(bubble(page, "oi")).to_be_visible()
    return page


@pytest.fixture
def ana(in_marias_chat: Callable[..., list[Attendant]]) -> Attendant:
    """With Maria's conversation open, and Maria has written."""
    (person,) = in_marias_chat("ana")
    person.page.evaluate(WATCH)
    return person


@pytest.mark.parametrize("how", [answer_503, cut, cut_after_it_was_taken])
def test_one_lost_answer_does_not_reorder(
    ana: Attendant, simulator: Simulator, how: Callable[[Route], None]
) -> None:
    way, page = Way(ana), ana.page
    way.lose(1, how)
    send(page, "Primeira", "Segunda", "Terceira")
    arrive(page, simulator, "Primeira", "Segunda", "Terceira")
    is_sent(page, "Primeira", "Segunda", "Terceira")
    texts = page.locator(".thread-content .out .bubble-text").all_inner_texts()
    assert texts == ["Primeira", "Segunda", "Terceira"]
    # Never red, and nothing was typed twice to get there.
    assert all("failed" not in seen for seen in page.evaluate("window.shown").values())
    assert page.evaluate(OUR_KEYS) == 0


def test_a_lost_answer_goes_by_itself_and_again_and_again(
    ana: Attendant, simulator: Simulator
) -> None:
    way, page = Way(ana), ana.page
    way.lose(2, answer_503)
    send(page, "Segue o orçamento")
    waits(page, "Segue o orçamento")
    is_sent(page, "Segue o orçamento")
    arrive(page, simulator, "Segue o orçamento")
    assert len(way.texts) == 3


def test_what_was_typed_while_another_waits_comes_after_it(
    ana: Attendant, simulator: Simulator
) -> None:
    way, page = Way(ana), ana.page
    way.is_shut = True
    send(page, "Primeira")
    waits(page, "Primeira")
    send(page, "Segunda", "Terceira")
    for text in ("Primeira", "Segunda", "Terceira"):
        waits(page, text)
    assert set(way.texts) == {"Primeira"}, "nothing overtakes"
    way.is_shut = False
    is_sent(page, "Primeira", "Segunda", "Terceira")
    arrive(page, simulator, "Primeira", "Segunda", "Terceira")


def test_a_closed_tab_loses_neither_messages_nor_drafts(
    ana: Attendant, simulator: Simulator
) -> None:
    way, page = Way(ana), ana.page
    way.is_shut = True
    send(page, "Primeira", "Segunda")
    waits(page, "Segunda")
    field(page).fill("quase pronto")
    asked: list[Dialog] = []

    def note(dialog: Dialog) -> None:
        asked.append(dialog)
        dialog.accept()

    page.on("dialog", note)
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == [], "nothing is lost"

    # The next tab, still without a way to the server: clocks, not red.
    page = open_tab(ana)
    expect(field(page)).to_have_value("quase pronto")
    waits(page, "Primeira")
    waits(page, "Segunda")
    way.is_shut = False
    is_sent(page, "Primeira", "Segunda")
    arrive(page, simulator, "Primeira", "Segunda")
    assert page.evaluate(OUR_KEYS) == 1, "the draft alone"

    # Sent without opening the conversation, too.
    way.is_shut = True
    send(page, "Terceira")
    waits(page, "Terceira")
    page.close()
    way.is_shut = False
    page = ana.new_tab()
    page.goto(ana.url)
    arrive(page, simulator, "Primeira", "Segunda", "Terceira")


def test_two_tabs_show_each_message_once_and_send_in_order(
    ana: Attendant, simulator: Simulator
) -> None:
    way, first = Way(ana), ana.page
    second = open_tab(ana)
    way.is_shut = True
    send(first, "Primeira")
    waits(first, "Primeira")
    waits(second, "Primeira")
    send(second, "Segunda")
    waits(second, "Segunda")
    waits(first, "Segunda")
    send(first, "Terceira")
    waits(second, "Terceira")
    way.is_shut = False
    for page in (first, second):
        is_sent(page, "Primeira", "Segunda", "Terceira")
    arrive(second, simulator, "Primeira", "Segunda", "Terceira")

    # The tab that was sending is closed: the other one goes on.
    way.is_shut = True
    send(first, "Quarta", "Quinta")
    waits(second, "Quinta")
    first.close()
    way.is_shut = False
    is_sent(second, "Quarta", "Quinta")
    arrive(second, simulator, "Primeira", "Segunda", "Terceira", "Quarta", "Quinta")


def test_a_draft_is_in_all_tabs_until_one_sends_it(ana: Attendant, simulator: Simulator) -> None:
    first, second = ana.page, open_tab(ana)
    field(first).press_sequentially("Bom")
    expect(field(second)).to_have_value("Bom")
    field(second).press("End")
    field(second).press_sequentially(" dia")
    expect(field(first)).to_have_value("Bom dia")
    listed = ana.new_tab()
    listed.goto(ana.url)
    row = listed.locator("[data-conversation-id]")
    listed.keyboard.press("Escape")
    expect(row.get_by_text("Rascunho")).to_be_visible()
    expect(row).to_contain_text("Bom dia")
    field(second).press("Enter")
    expect(field(first)).to_have_value("")
    expect(row.get_by_text("Rascunho")).to_be_hidden()
    is_sent(first, "Bom dia")
    arrive(first, simulator, "Bom dia")
    assert first.evaluate(OUR_KEYS) == 0


def test_after_a_quarter_of_an_hour_the_attendant_decides(
    ana: Attendant, simulator: Simulator
) -> None:
    way, page = Way(ana), ana.page
    way.is_shut = True
    send(page, "Primeira")
    waits(page, "Primeira")
    page.evaluate(
        """() => {
          const key = Object.keys(localStorage).find((each) => each.startsWith('chat.unsent'));
          const entry = JSON.parse(localStorage[key]);
          entry.message.since -= 15 * 60_000;
          localStorage[key] = JSON.stringify(entry);
        }"""
    )
    page.close()
    way.is_shut = False
    page = open_tab(ana)
    other = open_tab(ana)
    for each in (page, other):
        expect(bubble(each, "Primeira").locator(".problem-text")).to_contain_text("Não enviada")
        ticks = bubble(each, "Primeira").locator("message-ticks")
        expect(ticks).to_have_attribute("data-status", "failed")
    assert simulator.texts_on_phone(MARIA) == []
    bubble(page, "Primeira").locator(".failure-mark").click()
    bubble(page, "Primeira").get_by_role("button", name="Tentar novamente").click()
    is_sent(page, "Primeira")
    is_sent(other, "Primeira")
    arrive(page, simulator, "Primeira")


def test_a_refused_message_stays_and_mended_it_leaves_every_tab(
    ana: Attendant, simulator: Simulator
) -> None:
    ana.allow_errors("422")
    way, page = Way(ana), ana.page
    refusal = {"error": {"code": "invalid", "message": "Não pode."}}
    way.lose(1, lambda route: route.fulfill(status=422, json=refusal))
    send(page, "Primeira", "Segunda")
    is_sent(page, "Segunda")
    other = open_tab(ana)
    for each in (page, other):
        problem = bubble(each, "Primeira").locator(".problem-text")
        expect(problem).to_have_text("Não enviada: Não pode.")
    bubble(other, "Primeira").locator(".failure-mark").click()
    bubble(other, "Primeira").get_by_role("button", name="Copiar para o campo de mensagem").click()
    for each in (page, other):
        expect(bubble(each, "Primeira")).to_have_count(0)
        expect(field(each)).to_have_value("Primeira")
    arrive(page, simulator, "Segunda")


def test_closing_asks_only_when_something_would_be_lost(ana: Attendant) -> None:
    page = ana.page
    asked: list[str] = []

    def note(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", note)
    page.evaluate("void (Storage.prototype.setItem = () => { throw new DOMException('full') })")
    field(page).press_sequentially("quase")
    page.close(run_before_unload=True)
    wait_until(lambda: page.evaluate("true") and asked == ["beforeunload"])
    field(page).fill("")
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]


def test_logging_out_asks_for_what_waits_and_leaves_nothing(
    ana: Attendant, simulator: Simulator
) -> None:
    ana.allow_errors("401")
    way, page = Way(ana), ana.page
    way.is_shut = True
    send(page, "Primeira")
    waits(page, "Primeira")
    field(page).fill("quase")
    answers = [False, True]
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        if answers.pop(0):
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", answer)
    page.get_by_role("button", name="Menu", exact=True).click()
    leave = page.get_by_role("button", name="Desconectar", exact=True)
    leave.click()
    wait_until(lambda: page.evaluate("true") and len(asked) == 1)
    waits(page, "Primeira")
    if not leave.is_visible():
        page.get_by_role("button", name="Menu", exact=True).click()
    leave.click()
    expect(page).to_have_url(re.compile(r"/login(\?|$)"))
    assert len(asked) == 2
    assert "não foram enviadas" in asked[0]
    assert page.evaluate(OUR_KEYS) == 0
    assert simulator.texts_on_phone(MARIA) == []


def wrong_clock(hours: float) -> str:
    """A script that makes the computer's clock this much fast."""
    return f"""
      const Real = Date;
      const ahead = {int(hours * HOUR * 1000)};
      window.Date = class extends Real {{
        constructor(...given) {{
          if (given.length) super(...given);
          else super(Real.now() + ahead);
        }}
        static now() {{ return Real.now() + ahead; }}
      }};
    """


def reloaded(person: Attendant, hours: float, *, stream: bool = True) -> Page:
    """The page, opened anew on a computer with that clock; without a stream, not told the time."""
    page = person.new_tab()
    page.add_init_script(wrong_clock(hours))
    if not stream:
        page.route("**/realtime/events*", lambda _route: None)
    page.goto(person.page.url)
    expect(bubble(page, "oi")).to_be_visible()
    if stream:
        page.wait_for_selector("html[data-connection=connected]")
    return page


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("hours", [23.5, 30, -30])
def test_a_wrong_clock_neither_closes_the_window_nor_warns(
    ana: Attendant, simulator: Simulator, hours: float, stream: bool
) -> None:
    page = reloaded(ana, hours, stream=stream)
    expect(field(page)).to_be_enabled()
    expect(page.locator(".composer-notice")).to_be_hidden()
    send(page, "Primeira")
    arrive(page, simulator, "Primeira")


@pytest.mark.parametrize("hours", [0, -5, 5])
def test_a_wrong_clock_does_not_keep_a_closed_window_open(
    ana: Attendant, simulator: Simulator, hours: float
) -> None:
    yesterday = int(time.time() * 1000) - 25 * HOUR * 1000
    ana.context.route(
        re.compile(r"/api/conversations(/[^/]+)?(\?.*)?$"),
        lambda route: _with_window(route, yesterday + 24 * HOUR * 1000),
    )
    page = reloaded(ana, hours)
    expect(field(page)).to_be_disabled()
    expect(page.locator(".composer-notice")).to_contain_text("Faz mais de 24 horas")


def _with_window(route: Route, closes: int) -> None:
    """Lets the answer through with this end of the 24 hours in every conversation."""
    response = route.fetch()
    body = response.json()
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(closes / 1000))
    for each in [*body.get("conversations", []), body.get("conversation")]:
        if each:
            each["window_expires_at"] = at
    route.fulfill(response=response, json=body)


@pytest.mark.parametrize("hours", [2, -2])
def test_a_wrong_clock_does_not_make_what_waits_old(
    ana: Attendant, simulator: Simulator, hours: float
) -> None:
    """Written with a right clock, found by a page with a wrong one, and the other way round."""
    way, page = Way(ana), ana.page
    way.is_shut = True
    send(page, "Primeira")
    waits(page, "Primeira")
    page.goto("about:blank")
    wrong = ana.new_tab()
    wrong.add_init_script(wrong_clock(hours))
    wrong.goto(ana.url)
    wrong.locator("[data-conversation-id]").click()
    waits(wrong, "Primeira")
    send(wrong, "Segunda")
    waits(wrong, "Segunda")
    wrong.close()
    page = open_tab(ana)
    waits(page, "Segunda")
    way.is_shut = False
    is_sent(page, "Primeira", "Segunda")
    arrive(page, simulator, "Primeira", "Segunda")

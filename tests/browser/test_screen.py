"""The attendants' screen in a real browser, against the real server and the simulator."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Attendant
from tests.browser.cuttable_proxy import EVENTS
from tests.helpers import LiveServer, Simulator, wait_until

MARIA = "5511987654321"
JOAO = "5521998877665"
DAY = 24 * 3600


@pytest.fixture
def server(live_server: Callable[..., LiveServer]) -> LiveServer:
    return live_server()


@pytest.fixture
def write(server: LiveServer, simulator: Simulator) -> Callable[..., str]:
    """`write(MARIA, "oi")`: that customer writes; more keywords as in the simulator's API."""

    def write(phone: str, text: str, **more: object) -> str:
        body = {"text": text, "name": "Maria" if phone == MARIA else "João", **more}
        return simulator.write(phone, **body)

    return write


@pytest.fixture
def ana(server: LiveServer, attendant: Callable[..., Attendant]) -> Attendant:
    person = attendant("ana", server.url)
    person.wait_connected()
    return person


@pytest.fixture
def write_many(simulator: Simulator, write: Callable[..., str]) -> Callable[[str, str, int], None]:
    """`write_many(MARIA, "Mensagem", 130)`: "Mensagem 1" to "Mensagem 130", in that order.

    In one webhook: WhatsApp's times are whole seconds, so several webhooks of one second have no
    order of their own.
    """

    def write_many(phone: str, text: str, count: int) -> None:
        switch(simulator, webhook_batch={"size": count, "wait_ms": 5000})
        write(phone, text, count=count)
        switch(simulator, webhook_batch=None)

    return write_many


def switch(simulator: Simulator, **switches: object) -> None:
    answer = simulator.http.patch(f"{simulator.url}/switches", json=switches, timeout=10)
    answer.raise_for_status()


def row(page: Page, text: str) -> Locator:
    return page.locator("[data-conversation-id]", has_text=text)


def bubble(page: Page, text: str) -> Locator:
    return page.locator("[data-message-id]", has_text=text)


def composer(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Mensagem")


def send(page: Page, text: str) -> None:
    composer(page).fill(text)
    composer(page).press("Enter")


def scroll(page: Page, script: str) -> float:
    value = page.evaluate(
        f"(() => {{ const s = document.querySelector('.thread-scroll'); {script} }})()"
    )
    return float(value or 0)


FROM_END = "return s.scrollHeight - s.clientHeight - s.scrollTop;"


def test_the_list_sorts_itself_and_keeps_its_rows(
    ana: Attendant, write: Callable[..., str]
) -> None:
    page = ana.page
    now = int(time.time())  # WhatsApp's times are whole seconds: these must not be the same one
    write(MARIA, "Primeira", timestamp=now - 20)
    write(JOAO, "Segunda", timestamp=now - 10)
    rows = page.locator("[data-conversation-id]")
    expect(rows).to_have_count(2)
    expect(rows).to_contain_text(["Segunda", "Primeira"])
    page.evaluate("document.querySelectorAll('.row-item').forEach((row) => { row.kept = true; })")
    write(MARIA, "Terceira", timestamp=now)
    expect(rows).to_contain_text(["Terceira", "Segunda"])
    assert page.evaluate("[...document.querySelectorAll('.row-item')].every((row) => row.kept)")


def test_drawing_the_same_again_touches_nothing(ana: Attendant, write: Callable[..., str]) -> None:
    page = ana.page
    write(MARIA, "oi *Maria* https://exemplo.com.br")
    write(JOAO, "olá")
    row(page, "Maria").click()
    expect(bubble(page, "Maria")).to_be_visible()
    touched = page.evaluate(
        """async () => {
          const frames = () => new Promise((done) => {
            requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done)));
          });
          await frames();
          const records = [];
          const observer = new MutationObserver((more) => records.push(...more));
          const everything = { subtree: true, childList: true, attributes: true };
          observer.observe(document.querySelector('.app'), { ...everything, characterData: true });
          document.dispatchEvent(new Event('visibilitychange'));
          await frames();
          return records.map((record) => record.target.outerHTML ?? record.target.data);
        }"""
    )
    assert touched == []


def test_a_link_selects_a_conversation_and_escape_closes_it(
    ana: Attendant, server: LiveServer, write: Callable[..., str]
) -> None:
    page = ana.page
    write(MARIA, "oi")
    row(page, "oi").click()
    expect(bubble(page, "oi")).to_be_visible()
    id = row(page, "oi").get_attribute("data-conversation-id")
    expect(page).to_have_url(f"{server.url}/?c={id}")
    page.reload()
    expect(bubble(page, "oi")).to_be_visible()
    expect(page.locator("[aria-current=true]")).to_contain_text("Maria")
    composer(page).focus()
    page.keyboard.press("Escape")
    expect(composer(page)).to_be_hidden()
    expect(page).to_have_url(f"{server.url}/")
    ana.allow_errors("404")
    page.goto(f"{server.url}/?c=inexistente")
    expect(page.get_by_text("Esta conversa não existe")).to_be_visible()
    expect(row(page, "oi")).to_be_visible()


def test_the_keyboard_sends_breaks_lines_and_leaves_compositions_alone(
    ana: Attendant, simulator: Simulator, write: Callable[..., str]
) -> None:
    page = ana.page
    write(MARIA, "oi")
    row(page, "oi").click()
    field = composer(page)
    field.press_sequentially("uma")
    field.press("Shift+Enter")
    field.press_sequentially("duas")
    field.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    expect(field).to_have_value("uma\nduas")
    assert page.locator(".out[data-message-id]").count() == 0
    field.press("Enter")
    expect(field).to_have_value("")
    expect(page.locator(".out[data-message-id]:not(.pending)")).to_have_count(1)
    field.press("Enter")  # nothing typed: nothing sent
    wait_until(lambda: "uma\nduas" in simulator.texts_on_phone(MARIA))
    assert page.locator(".out[data-message-id]").count() == 1


def test_what_a_customer_writes_is_text_and_links_are_safe(
    ana: Attendant, write: Callable[..., str]
) -> None:
    page = ana.page
    write(MARIA, "<img src=x onerror=alert(1)> *negrito* https://exemplo.com.br/a?b=1.")
    row(page, "Maria").click()
    message = page.locator("[data-message-id]")
    expect(message).to_contain_text("<img src=x onerror=alert(1)> negrito https://exemplo.com.br")
    assert message.locator("img").count() == 0
    expect(message.locator("strong")).to_have_text("negrito")
    link = message.locator("a")
    expect(link).to_have_attribute("href", "https://exemplo.com.br/a?b=1")
    expect(link).to_have_attribute("rel", "noopener noreferrer")


def test_a_request_that_fails_waits_for_the_connection_and_arrives_once(
    ana: Attendant, simulator: Simulator, write: Callable[..., str]
) -> None:
    page = ana.page
    ana.allow_errors("ERR_FAILED")
    write(MARIA, "oi")
    row(page, "oi").click()
    expect(bubble(page, "oi")).to_be_visible()
    posts = "**/api/conversations/*/messages"

    def no_request(route: Route) -> None:
        if route.request.method == "POST":
            route.abort()
        else:
            route.continue_()

    page.route(posts, no_request)
    send(page, "Segue o orçamento")
    sent = bubble(page, "Segue o orçamento")
    expect(sent.locator(".problem")).to_contain_text("Aguardando conexão")
    page.unroute(posts)
    expect(sent.locator(".problem")).to_be_hidden()
    wait_until(lambda: simulator.texts_on_phone(MARIA) == ["Segue o orçamento"])

    page.route(posts, no_request)
    send(page, "Com frete")
    sent = bubble(page, "Com frete")
    expect(sent.locator(".problem")).to_contain_text("Aguardando conexão")
    page.unroute(posts)
    page.reload()  # which does not lose it: the connection is back, and it goes by itself
    expect(sent).to_be_visible()
    expect(sent.locator(".problem")).to_be_hidden()
    wait_until(lambda: simulator.texts_on_phone(MARIA) == ["Segue o orçamento", "Com frete"])

    def no_answer(route: Route) -> None:
        if route.request.method == "POST":
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route(posts, no_answer)
    send(page, "E o prazo")
    # The answer is lost, the event is not: the bubble turns into the server's message by itself.
    expect(bubble(page, "E o prazo").locator(".problem")).to_be_hidden()
    expect(page.locator(".out[data-message-id]:not(.pending):not(.failed)")).to_have_count(3)
    texts = ["Segue o orçamento", "Com frete", "E o prazo"]
    wait_until(lambda: simulator.texts_on_phone(MARIA) == texts)


def test_a_refused_send_keeps_its_text_and_says_why(
    ana: Attendant, simulator: Simulator, write: Callable[..., str]
) -> None:
    page = ana.page
    write(MARIA, "oi")
    row(page, "oi").click()
    switch(simulator, refuse_next={"code": 131026})
    send(page, "Boa tarde")
    refused = bubble(page, "Boa tarde")
    expect(refused.locator(".problem")).to_contain_text("Não enviada: ")
    refused.locator(".failure-mark").click()
    assert len(refused.locator(".problem-text").inner_text()) > len("Não enviada: ")
    expect(refused.locator("[data-status]")).to_have_attribute("data-status", "failed")


def test_a_draft_stays_with_its_conversation(ana: Attendant, write: Callable[..., str]) -> None:
    page = ana.page
    write(MARIA, "oi")
    write(JOAO, "olá")
    row(page, "Maria").click()
    composer(page).fill("quase pronto")
    row(page, "João").click()
    expect(composer(page)).to_have_value("")
    expect(row(page, "Maria")).to_contain_text("Rascunho: quase pronto")
    page.reload()
    expect(row(page, "Maria")).to_contain_text("Rascunho: quase pronto")
    row(page, "Maria").click()
    expect(composer(page)).to_have_value("quase pronto")


def test_a_long_thread_opens_at_its_end_and_keeps_its_place(
    ana: Attendant, write: Callable[..., str], write_many: Callable[[str, str, int], None]
) -> None:
    page = ana.page
    write_many(MARIA, "Mensagem", 130)
    row(page, "Mensagem 130").click(button="right")
    page.get_by_role("menuitem", name="Marcar como lida").click()
    expect(page.locator("[data-unread-count]")).to_have_count(0)
    row(page, "Mensagem 130").click()
    bubbles = page.locator("[data-message-id]")
    expect(bubbles.last).to_contain_text("Mensagem 130")
    wait_until(lambda: scroll(page, FROM_END) < 2)
    expect(bubbles).to_have_count(50)

    # Earlier messages come in above while the eye stays on the same bubble.
    page.evaluate(
        """() => { const s = document.querySelector('.thread-scroll');
        s.scrollTop = 300;
        const top = s.getBoundingClientRect().top;
        window.kept = [...document.querySelectorAll('[data-message-id]')].find(
          (node) => node.getBoundingClientRect().bottom > top);
        window.keptTop = window.kept.getBoundingClientRect().top; }"""
    )
    expect(bubbles).to_have_count(100)
    moved = page.evaluate("Math.abs(window.kept.getBoundingClientRect().top - window.keptTop)")
    assert moved < 2
    scroll(page, "s.scrollTop = 0;")
    expect(page.locator(".bubble-text").first).to_have_text("Mensagem 1")
    texts = page.locator(".bubble-text").all_inner_texts()
    assert texts == [f"Mensagem {number}" for number in range(1, len(texts) + 1)]

    # Somebody writes while the attendant reads above: nothing moves, the button counts.
    scroll(page, "s.scrollTop = 200;")
    place = scroll(page, "return s.scrollTop;")
    write(MARIA, "Mais", count=2)
    jump = page.get_by_role("button", name="Ir para o fim: 2 mensagens novas")
    expect(jump).to_be_visible()
    assert scroll(page, "return s.scrollTop;") == place
    jump.click()
    wait_until(lambda: scroll(page, FROM_END) < 2)
    expect(jump).to_be_hidden()
    write(MARIA, "No fim")
    expect(bubble(page, "No fim")).to_be_in_viewport()
    scroll(page, "s.scrollTop = 200;")
    send(page, "Minha resposta")
    expect(bubble(page, "Minha resposta")).to_be_in_viewport()


def test_the_list_brings_older_conversations_as_it_is_scrolled(
    ana: Attendant, simulator: Simulator
) -> None:
    page = ana.page
    simulator.post("/bursts", {"customers": 120, "messages": 1, "text": "Pedido"})
    rows = page.locator("[data-conversation-id]")
    expect(rows.first).to_be_visible()
    wait_until(lambda: simulator.get("/deliveries").json().get("pending", 0) in (0, []))
    expect(rows.first).to_have_attribute("aria-setsize", "120")
    page.reload()
    expect(rows.first).to_have_attribute("aria-setsize", "-1")  # nobody knows how many there are
    rows.first.locator(".row").press("End")
    for last in (50, 100):
        expect(page.locator(f"[aria-posinset='{last}'] .row")).to_be_focused()
        expect(page.locator(f"[aria-posinset='{last + 1}']")).to_be_attached()  # more has come
        page.keyboard.press("End")
    expect(page.locator("[aria-posinset='120'] .row")).to_be_focused()
    expect(rows.last).to_have_attribute("aria-setsize", "120")


def test_a_closed_window_is_explained_and_cannot_be_written_in(
    ana: Attendant, write: Callable[..., str]
) -> None:
    page = ana.page
    write(MARIA, "De anteontem", timestamp=int(time.time()) - 2 * DAY)
    write(JOAO, "De agora há pouco", timestamp=int(time.time()) - DAY + 600)
    row(page, "Maria").click()
    expect(page.locator(".composer-notice")).to_contain_text("Faz mais de 24 horas")
    expect(composer(page)).to_be_disabled()
    expect(page.locator(".day-chip")).not_to_have_text("HOJE")
    write(MARIA, "Voltei")
    expect(composer(page)).to_be_enabled()
    expect(page.locator(".composer-notice")).to_be_hidden()
    expect(page.locator(".day-chip").last).to_have_text("HOJE")
    row(page, "João").click()
    expect(page.locator(".composer-notice")).to_contain_text("Você pode responder até")


def test_a_quote_leads_to_its_message(
    ana: Attendant, write: Callable[..., str], write_many: Callable[[str, str, int], None]
) -> None:
    page = ana.page
    first = write(MARIA, "A pergunta")
    expect(row(page, "A pergunta")).to_be_visible()
    write_many(MARIA, "Mensagem", 60)
    expect(row(page, "Mensagem 60")).to_be_visible()
    write(MARIA, "Sobre aquilo", reply_to=first)
    row(page, "Sobre aquilo").click()
    quote = bubble(page, "Sobre aquilo").locator(".quote")
    expect(quote).to_contain_text("A pergunta")
    quote.click()
    asked = page.locator(".message", has=page.get_by_text("A pergunta", exact=True)).first
    expect(asked).to_be_in_viewport()
    expect(page.locator(".flash")).to_contain_text("A pergunta")


def test_a_phone_shows_the_list_or_the_thread(ana: Attendant, write: Callable[..., str]) -> None:
    page = ana.page
    page.set_viewport_size({"width": 390, "height": 844})
    write(MARIA, "oi " + "palavra" * 40)
    row(page, "Maria").click()
    expect(bubble(page, "palavra")).to_be_visible()
    expect(page.locator(".list-pane")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Voltar").click()
    expect(row(page, "Maria")).to_be_visible()
    expect(composer(page)).to_be_hidden()


@pytest.mark.slow
def test_a_lost_server_is_told_and_its_return_loses_nothing(
    ana: Attendant, server: LiveServer, simulator: Simulator, write: Callable[..., str]
) -> None:
    page = ana.page
    ana.allow_errors("ERR_|Failed to fetch")
    write(MARIA, "oi")
    row(page, "oi").click()
    expect(bubble(page, "oi")).to_be_visible()
    composer(page).fill("meio escrito")
    server.kill9()
    banner = page.locator(".connection-banner")
    # Several attempts fail before the page calls it a lost connection.
    expect(banner).to_contain_text("Sem conexão com o servidor", timeout=30_000)
    write(MARIA, "Alguém aí?")  # the simulator repeats the webhook until it gets its 200
    # Else the page may be back by itself before the click, and there is nothing to click on.
    page.route(f"**{EVENTS}*", lambda route: route.abort())
    server.restart()
    reconnect = banner.get_by_role("button", name="Reconectar")
    reconnect.click(trial=True)
    page.unroute(f"**{EVENTS}*")
    reconnect.dispatch_event("click")
    expect(banner).to_be_hidden()
    expect(bubble(page, "Alguém aí?")).to_have_count(1)
    expect(composer(page)).to_have_value("meio escrito")


def test_without_a_login_the_page_asks_for_one_and_comes_back(
    ana: Attendant, server: LiveServer, write: Callable[..., str]
) -> None:
    page = ana.page
    ana.allow_errors("401")
    write(MARIA, "oi")
    row(page, "oi").click()
    expect(bubble(page, "oi")).to_be_visible()
    ana.context.clear_cookies()
    send(page, "não se perca")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    page.locator("input[name=username]").fill("ana")
    page.locator("input[name=password]").fill("ana")
    page.locator("form button[type=submit]").click()
    waiting = bubble(page, "não se perca")
    expect(waiting).to_be_visible()
    expect(waiting.locator(".problem")).to_be_hidden()  # it went by itself


def test_the_menu_logs_out(ana: Attendant, server: LiveServer) -> None:
    page = ana.page
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Desconectar", exact=True).click()
    expect(page).to_have_url(re.compile(r"/login(\?|$)"))
    page.goto(server.url)
    expect(page).to_have_url(re.compile(r"/login(\?|$)"))

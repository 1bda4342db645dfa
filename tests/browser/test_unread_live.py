"""Unread messages in real windows: two attendants, three tabs, one customer after the other."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Attendant
from tests.browser.cuttable_proxy import CuttableProxy
from tests.browser.unread_screen import (
    NOTE_ALERTS,
    expect_unread,
    row,
    says,
    take_an_event,
    told,
)
from tests.chromium import look_away
from tests.helpers import LiveServer, Simulator, wait_until

MARIA = "5511987654321"
JOAO = "5521998877665"
SOON = {"UNREAD_STATE_REFOCUS_MS": 300}

Write = Callable[..., None]


@pytest.fixture
def write(simulator: Simulator) -> Write:
    def write(phone: str, text: str, count: int = 1) -> None:
        name = {MARIA: "Maria", JOAO: "João"}.get(phone, f"Cliente {phone[-2:]}")
        body = {"text": text, "name": name, "count": count}
        simulator.write(phone, **body)

    return write


@pytest.mark.parametrize("front_end", ["streams", "buffers"])
def test_three_tabs_agree_and_one_of_them_notifies(
    front_end: str,
    live_server: Callable[..., LiveServer],
    buffering_proxy: Callable[[str], str],
    at_a_computer: Callable[..., Attendant],
    write: Write,
) -> None:
    url = live_server(**SOON).url
    if front_end == "buffers":
        url = buffering_proxy(url)
    ana = at_a_computer("ana", url, script=NOTE_ALERTS)
    bruno = at_a_computer("bruno", url, script=NOTE_ALERTS)
    ana.wait_connected()
    second = ana.new_tab()
    second.goto(url)  # in front of the first one, which holds the connection
    pages = (ana.page, second, bruno.page)
    for page in pages:
        page.wait_for_selector("html[data-connection=connected]")

    write(MARIA, "oi", 2)
    write(JOAO, "olá")
    for page in pages:
        expect_unread(page, {"Maria": 2, "João": 1})
    badge = row(second, "Maria").locator("[data-unread-count]")
    expect(badge).to_have_attribute("aria-label", "2 mensagens não lidas")
    assert [told(page) for page in pages] == [[], [], []]  # each browser has a tab with focus

    row(bruno.page, "Maria").click()
    for page in pages:
        expect_unread(page, {"João": 1})

    away = look_away(ana.context)
    for page in (ana.page, second):  # both messages within the second that has one sound
        page.evaluate("window.realNow = Date.now, Date.now = ((now) => () => now)(Date.now())")
    write(JOAO, "de novo", 2)
    for page in pages:
        expect_unread(page, {"João": 3})

    def shown() -> list[dict[str, object]]:
        return [each for page in (ana.page, second) for each in told(page)]

    wait_until(shown)
    last = wait_until(lambda: shown()[-1])
    id_ = row(second, "João").get_attribute("data-conversation-id")
    assert {each["tag"] for each in shown()} == {id_}
    assert last["title"] == "João"
    assert str(last["body"]).startswith("de novo")
    assert str(last["icon"]).startswith("data:image/png")
    assert not all(map(told, (ana.page, second)))  # only one of the tabs
    rings = sum(page.evaluate("tones") for page in (ana.page, second))
    assert rings + sum(not each["silent"] for each in shown()) == 1
    for page in (ana.page, second):
        page.evaluate("Date.now = realNow")
    assert told(bruno.page) == []

    row(bruno.page, "João").click()
    wait_until(lambda: not any(each["open"] for each in shown()), what="closed when read elsewhere")
    write(MARIA, "e agora?")
    notifier = wait_until(lambda: next((p for p in (ana.page, second) if open_(p)), None))
    notifier.evaluate("told.at(-1).onclick()")
    expect(notifier.locator("[data-message-id]").last).to_contain_text("e agora?")
    away.close()
    notifier.bring_to_front()
    for page in pages:
        expect_unread(page, {})
    assert open_(notifier) == []


def open_(page: Page) -> list[dict[str, object]]:
    return [each for each in told(page) if each["open"]]


@pytest.mark.slow
def test_looking_is_not_reading_and_what_is_open_stays_open(
    live_server: Callable[..., LiveServer],
    at_a_computer: Callable[..., Attendant],
    simulator: Simulator,
    write: Write,
) -> None:
    server = live_server(UNREAD_STATE_REFOCUS_MS=0)  # what may be read is read without delay
    write(JOAO, "olá")
    write(MARIA, "mensagem", 70)  # more than a page, and than the view
    ana = at_a_computer("ana", server.url, script=NOTE_ALERTS)
    page = ana.page
    expect_unread(page, {"Maria": 70, "João": 1})
    # Playwright's own browser hides scrollbars; here one would show.
    root = "document.documentElement"
    spare = f"[{root}.scrollHeight - innerHeight, innerWidth - {root}.clientWidth]"
    assert page.evaluate(spare) == [0, 0], "the page itself never scrolls"

    # Opening stands at the first unread message, which is not reading.
    row(page, "Maria").click()
    divider = page.get_by_role("separator")
    expect(divider).to_have_text("70 mensagens não lidas")
    expect(divider).to_be_in_viewport()
    expect(page.get_by_role("button", name="Ir para o fim: 70 mensagens novas")).to_be_visible()
    page.locator(".thread-scroll").hover()
    page.mouse.wheel(0, 700)
    take_an_event(page, simulator, JOAO, "👍")
    expect_unread(page, {"Maria": 70, "João": 1})

    # A reload comes back to the same place, with what was typed.
    page.locator(".composer-input").fill("meio escrito")
    top = page.evaluate(TOP)
    page.reload()
    expect(page.locator("[data-message-id]").first).to_be_attached()
    wait_until(lambda: page.evaluate(TOP) == top, what="the same place")
    expect(page.locator(".composer-input")).to_have_value("meio escrito")

    # At the end it is read; the divider has served when the window is left.
    page.get_by_role("button", name="Ir para o fim").click()
    expect_unread(page, {"João": 1})
    expect(divider).to_have_text("70 mensagens não lidas")
    away = look_away(ana.context)
    expect(divider).to_have_count(0)

    # Nobody looks: it is unread although it is open and at its end.
    write(MARIA, "sem ninguém", 2)
    expect_unread(page, {"Maria": 2, "João": 1})
    expect(divider).to_have_text("2 mensagens não lidas")
    away.close()
    page.bring_to_front()
    expect_unread(page, {"João": 1})
    expect(divider).to_have_text("2 mensagens não lidas")

    # Scrolled up, with focus: not read, nothing moves.
    page.locator(".thread-scroll").evaluate("(node) => { node.scrollTop = 600; }")
    write(MARIA, "lá embaixo")
    expect_unread(page, {"Maria": 1, "João": 1})
    page.keyboard.press("Escape")
    expect(page.locator(".thread-pane")).to_be_hidden()
    page.reload()
    expect(page.locator(".thread-pane")).to_be_hidden()

    # A second tab with another conversation; a third begins where the browser was last.
    second = ana.new_tab()
    second.goto(page.url)
    expect(second.locator("[data-message-id]").last).to_contain_text("lá embaixo")
    take_an_event(second, simulator, JOAO, "🎉")
    expect_unread(second, {"Maria": 1, "João": 1})  # it was restored: nobody has looked at it yet
    row(second, "João").click()
    expect_unread(second, {"Maria": 1})
    page.bring_to_front()
    row(page, "Maria").click()
    expect_unread(page, {})
    page.reload()
    second.reload()
    expect(page.locator("[aria-current]")).to_contain_text("Maria")
    expect(second.locator("[aria-current]")).to_contain_text("João")


TOP = """() => {
  const top = document.querySelector(".thread-scroll").getBoundingClientRect().top;
  const box = (node) => node.getBoundingClientRect();
  const bubbles = [...document.querySelectorAll("[data-message-id]")];
  const first = bubbles.find((node) => box(node).bottom > top);
  return [first?.dataset.messageId, Math.round(box(first ?? document.body).top)];
}"""


@pytest.mark.slow
def test_a_catch_up_of_fifty_messages_is_one_line_and_no_storm(
    live_server: Callable[..., LiveServer],
    at_a_computer: Callable[..., Attendant],
    cuttable_proxy: Callable[[str], CuttableProxy],
    simulator: Simulator,
    write: Write,
) -> None:
    server = live_server(UNREAD_STATE_QUIET_AFTER_SECONDS=1, **SOON)
    proxy = cuttable_proxy(server.url)
    ana = at_a_computer("ana", proxy.url, script=NOTE_ALERTS)
    ana.allow_errors("net::ERR_")
    second = ana.new_tab()
    second.goto(proxy.url)
    pages = (ana.page, second)
    for page in pages:
        page.wait_for_selector("html[data-connection=connected]")
    look_away(ana.context)
    proxy.refuse()
    expect(second.locator("html")).not_to_have_attribute("data-connection", "connected")
    phones = [f"55119800000{n}" for n in range(10, 15)]
    for phone in phones:
        write(phone, "ainda aí?", 10)
    wait_until(lambda: simulator.get("/deliveries").json()["idle"], 20)
    written = time.monotonic()
    wait_until(lambda: time.monotonic() - written > 2.5, what="older than the setting says")
    proxy.pass_on()
    for page in pages:
        expect_unread(page, {f"Cliente {phone[-2:]}": 10 for phone in phones}, 40)
        expect(page.locator(".digest-line")).to_contain_text("50 mensagens novas em 5 conversas")
        assert (told(page), page.evaluate("tones")) == ([], 0)
    write(phones[0], "isto é agora")
    wait_until(lambda: [each for page in pages for each in told(page)], what="a fresh notification")
    second.bring_to_front()
    second.get_by_role("button", name="Dispensar").click()
    expect(second.locator(".digest-line")).to_be_hidden()
    assert says(second)["title"] == "(5) Atendimento"

"""Which conversation is open, and notifications, in pages of hosts."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.unread_client.conftest import Shop
from tests.browser.unread_client.host_page import (
    OWN_SCRIPT,
    address,
    draw,
    expect_badges,
    expect_reads,
    rendered,
    row_of,
)
from tests.helpers import wait_until


@pytest.fixture
def tab(shop: Shop) -> Page:
    """An own-script page with two conversations, and 3 messages in the first, 2 of them unread."""
    shop.pages["/"] = OWN_SCRIPT
    shop.unread = {"1": {"incoming_counted": 3, "incoming_read": 1, "mark_flips": 0}}
    page = shop.open()
    draw(page)
    return page


@pytest.fixture
def known(shop: Shop) -> Shop:
    shop.pages["/"] = OWN_SCRIPT
    shop.selected = {id_: {"id": id_, "incoming_counted": 0} for id_ in ("1", "2")}
    return shop


# --- which conversation is open -----------------------------------------------------------------


def test_a_click_goes_to_the_address_and_a_reload_opens_it_without_reading(
    shop: Shop, tab: Page
) -> None:
    tab.locator(".row").nth(1).click()
    tab.wait_for_url("**/?c=2")
    tab.locator(".row").first.click()
    tab.wait_for_url("**/?c=1")
    expect_reads(shop, ("1", "m3"))

    shop.unread = {"1": {"incoming_counted": 3, "incoming_read": 1, "mark_flips": 0}}
    shop.selected = {"1": {"id": "1", "incoming_counted": 3}}
    with tab.expect_response("**/unread?c=1"):
        tab.reload()
    draw(tab)  # its row comes later than the module
    wait_until(lambda: tab.evaluate("opened") == ["1"])
    assert tab.evaluate("heard") == [["unread:select", "1"]]
    tab.evaluate("arrive(2, 5, 4)")
    expect_badges(tab, {"1": "2", "2": "1"})
    assert len(shop.reads) == 1
    tab.locator(".thread").click()
    expect_reads(shop, ("1", "m3"), ("1", "m3"))


def test_a_new_tab_opens_what_the_browser_had_last(known: Shop) -> None:
    first = known.open()
    draw(first)
    first.locator(".row").nth(1).click()
    second = known.open()
    draw(second)
    wait_until(lambda: second.evaluate("opened") == ["2"])
    second.wait_for_url("**/?c=2")
    linked = known.open("/?c=1")
    draw(linked)
    wait_until(lambda: linked.evaluate("opened") == ["1"])


def test_a_page_that_opens_it_by_itself_says_so(known: Shop) -> None:
    page = known.context.new_page()
    page.add_init_script("window.prevents = true; window.focused = true;")
    page.goto("/?c=1")
    wait_until(lambda: page.evaluate("heard") == [["unread:select", "1"]])
    draw(page)
    page.evaluate("arrive(2, 5, 4)")
    expect_badges(page, {"1": "2", "2": "1"})
    assert page.evaluate("opened") == []
    page.evaluate("openThread('1')")
    page.evaluate("arrive(2, 6, 4)")
    expect_badges(page, {"1": "2", "2": "2"})
    assert known.reads == []  # nobody has touched it
    page.locator(".thread").click()
    expect_reads(known, ("1", "m3"))


def test_an_unknown_conversation_is_forgotten_and_said_so(shop: Shop) -> None:
    shop.pages["/"] = OWN_SCRIPT
    page = shop.open("/?c=404")
    notice = page.get_by_role("status")
    expect(notice).to_contain_text("Esta conversa não existe, ou não existe mais.")
    page.wait_for_url("**/")
    assert page.evaluate("heard") == [["unread:select", "404"], ["unread:unknown", "404"]]
    assert (
        page.evaluate("Object.entries({ ...localStorage, ...sessionStorage }).join()").find("404")
        < 0
    )
    notice.get_by_role("button", name="Fechar").click()
    expect(notice).to_have_count(0)
    page.evaluate("drawRows(conversation(404, 1, 1))")
    expect(page.locator(".row")).to_have_count(1)
    assert page.evaluate("opened") == []
    again = shop.open("/")
    draw(again)
    assert again.evaluate("heard") == []


def test_a_row_that_comes_long_after_the_page_is_not_opened_by_itself(known: Shop) -> None:
    page = known.context.new_page()
    page.clock.install()
    page.goto("/?c=1")
    wait_until(lambda: page.evaluate("heard") == [["unread:select", "1"]])
    page.clock.fast_forward(20_000)
    with page.expect_console_message(lambda message: "has no row" in message.text):
        draw(page)
    page.evaluate("drawRows(conversation(1, 4, 1), conversation(2, 0, 0))")
    page.locator(".row").nth(1).click()
    page.wait_for_url("**/?c=2")
    assert page.evaluate("opened") == ["2"]


def test_a_thread_under_an_id_that_is_no_conversations_is_told_in_the_console(
    shop: Shop, tab: Page
) -> None:
    with tab.expect_console_message(lambda message: "realtime_events.id_of" in message.text):
        tab.evaluate("openThread('1')")
        tab.evaluate("document.querySelector('[data-live-thread]').dataset.liveThread = 'ag1z'")


def test_a_host_may_say_it_in_its_own_way(shop: Shop) -> None:
    shop.pages["/"] = OWN_SCRIPT
    page = shop.context.new_page()
    page.add_init_script("window.prevents = true;")
    page.goto("/?c=404")
    wait_until(lambda: page.evaluate("heard.length") == 2)
    expect(page.get_by_role("status")).to_have_count(0)


def test_back_and_forward_click_the_rows(known: Shop, tab: Page) -> None:
    tab.locator(".row").first.click()
    tab.wait_for_url("**/?c=1")
    tab.locator(".row").nth(1).click()
    tab.wait_for_url("**/?c=2")
    tab.go_back()
    wait_until(lambda: tab.evaluate("opened") == ["1", "2", "1"])
    tab.go_forward()
    wait_until(lambda: tab.evaluate("opened") == ["1", "2", "1", "2"])
    assert address(tab) == "/?c=2"
    tab.go_back()
    wait_until(lambda: tab.evaluate("opened.length") == 5)
    tab.evaluate("window.stays = true")
    known.unread = {"2": {"incoming_counted": 5, "incoming_read": 4, "mark_flips": 0}}
    tab.go_back()  # to no conversation, which this page cannot show: it is loaded anew
    tab.wait_for_function("() => !window.stays && window.opened")
    tab.evaluate("drawRows(conversation(1, 3, 3), conversation(2, 5, 4))")
    expect_badges(tab, {"2": "1"})
    assert (address(tab), tab.evaluate("opened")) == ("/", [])


@pytest.mark.parametrize("by", ["the browser", "the page"])
def test_the_list_is_one_step_from_what_was_clicked(known: Shop, by: str) -> None:
    page = known.open()
    draw(page)
    page.evaluate("window.stays = true")
    page.locator(".row").first.click()
    page.wait_for_url("**/?c=1")
    if by == "the page":
        page.evaluate("thread().dataset.liveThread = ''; thread().replaceChildren()")
    else:
        page.evaluate("window.prevents = true")
        page.go_back()
        wait_until(lambda: page.evaluate("heard.at(-1)") == ["unread:select", None])
        page.evaluate("thread().dataset.liveThread = ''")
    page.wait_for_url("**/")
    assert page.evaluate("stays")
    if by == "the page":
        page.go_back()
    else:
        page.go_forward()
    wait_until(lambda: page.evaluate("heard.at(-1)") == ["unread:select", "1"])


# --- pages that the server renders --------------------------------------------------------------


@pytest.fixture
def links(shop: Shop) -> Shop:
    """A list whose rows lead to pages of their own: 1 with 3 messages, 2 of them unread."""
    rows = row_of("1", 3, 1) + row_of("2", 4, 4)
    shop.unread = {"1": {"incoming_counted": 3, "incoming_read": 1, "mark_flips": 0}}
    shop.selected = {id_: {"id": id_, "incoming_counted": 0} for id_ in ("1", "2")}
    shop.pages["/"] = rendered(None, rows)
    shop.pages["/chats/1"] = rendered("1", rows, 3)
    shop.pages["/chats/2"] = rendered("2", rows, 0)
    return shop


def test_a_row_that_is_a_link_leads_there_and_reads(links: Shop) -> None:
    page = links.open()
    expect_badges(page, {"1": "2"})
    page.locator(".row").first.click()
    page.wait_for_url("**/chats/1")
    expect_reads(links, ("1", "m3"))
    expect_badges(page, {})
    assert page.evaluate("history.state") is None

    links.unread = {"1": {"incoming_counted": 3, "incoming_read": 1, "mark_flips": 0}}
    page.reload()  # which opens nothing on purpose
    expect_badges(page, {"1": "2"})
    page.evaluate("arrive(2, 5, 4)")
    expect_badges(page, {"1": "2", "2": "1"})
    assert len(links.reads) == 1
    page.locator(".thread").click()
    expect_reads(links, ("1", "m3"), ("1", "m3"))


def test_a_new_visit_is_led_to_what_was_open_and_a_link_to_the_list_stays(links: Shop) -> None:
    page = links.open()
    page.locator(".row").nth(1).click()
    page.wait_for_url("**/chats/2")
    page.get_by_text("Lista").click()
    page.wait_for_url("**/")
    expect_badges(page, {"1": "2"})
    page.reload()
    expect_badges(page, {"1": "2"})
    assert address(page) == "/"

    page.locator(".row").first.click()
    page.wait_for_url("**/chats/1")
    expect_reads(links, ("1", "m3"))
    visit = links.context.new_page()
    visit.goto("/")
    visit.wait_for_url("**/chats/1")
    visit.evaluate("arrive(2, 5, 4)")
    expect(visit.locator("unread-badge[data-unread-count]").last).to_have_text("1")
    assert len(links.reads) == 1  # nobody has touched it
    visit.go_back()
    visit.wait_for_url("**/")
    expect(visit.locator(".row")).to_have_count(2)


def test_rows_that_lead_nowhere_are_followed_once(links: Shop) -> None:
    links.pages["/chats/1"] = links.pages["/"]  # the thread has no mark
    page = links.open()
    page.evaluate("localStorage.setItem('unread_state:ana:selected', '1')")
    visit = links.context.new_page()
    visit.on("console", links._note)
    visit.goto("/")
    visit.wait_for_url("**/chats/1")
    links.wait_for(lambda: links.warnings, what="a word to whoever writes the page")
    assert "data-live-thread" in links.warnings[0]
    assert address(visit) == "/chats/1"


def test_a_form_says_up_to_where_its_author_has_read(links: Shop) -> None:
    page = links.open("/chats/1", focused=False)
    page.locator("input[name=text]").fill("Pois não")
    with page.expect_request("**/answer") as sent:
        page.get_by_role("button", name="Enviar").click()
    assert "read_up_to=m3" in (sent.value.post_data or "")
    page.wait_for_url("**/")


def test_a_form_of_a_page_with_its_own_script_is_given_it_too(shop: Shop, tab: Page) -> None:
    tab.locator(".row").first.click()
    expect_reads(shop, ("1", "m3"))
    for _ in range(2):
        tab.locator("input[name=text]").fill("Pois não")
        tab.get_by_role("button", name="Enviar").click()
    fields = "[...document.querySelectorAll('[name=read_up_to]')].map((each) => each.value)"
    assert tab.evaluate(fields) == ["m3"]


# --- notifications ------------------------------------------------------------------------------


def shown(page: Page) -> list[list[Any]]:
    told: list[list[Any]] = page.evaluate(
        "told.map((each) => each.title ? [each.title, each.body, each.tag, each.open] : each)"
    )
    return told


def test_a_notification_opens_what_it_tells_of(known: Shop) -> None:
    known.unread = {"1": {"incoming_counted": 3, "incoming_read": 1, "mark_flips": 0}}
    page = known.open(focused=False)
    draw(page)
    page.evaluate("arrive(2, 5, 4)")
    wait_until(lambda: shown(page) == [["Cliente 2", "mensagem 5", "2", True]])
    page.evaluate("arrive(2, 5, 4)")  # told twice
    page.evaluate("arrive(1, 3, 1)")  # its row shows it already
    page.evaluate("arrive(1, 4, 1, { age: 1e9 })")  # older than the page
    page.evaluate("arrive(1, 5, 1)")
    wait_until(lambda: len(shown(page)) == 2)
    assert shown(page)[1][:3] == ["Cliente 1", "mensagem 5", "1"]
    page.evaluate("told[0].onclick()")
    wait_until(lambda: page.evaluate("opened") == ["2"])
    assert shown(page)[0][3] is False


def test_without_name_and_text_it_says_what_it_can_or_what_the_page_makes_of_it(
    known: Shop,
) -> None:
    page = known.open(focused=False)
    draw(page)
    nameless = """tell("message.created", 2, {
      message: message(%d, { text: undefined }),
      conversation: conversation(2, %d, 4, { name: undefined }),
    })"""
    page.evaluate(nameless % (5, 5))
    wait_until(lambda: shown(page) == [["Conversa", "Mensagem nova", "2", True]])
    page.evaluate(
        """document.addEventListener("unread:notify", ({ detail: { event, words } }) => {
          words.title = `De ${event.conversation_id}`;
        })"""
    )
    page.evaluate(nameless % (6, 6))
    wait_until(lambda: shown(page)[1:] == [["De 2", "Mensagem nova", "2", True]])


def test_what_was_missed_is_one_line(known: Shop) -> None:
    page = known.open(focused=False)
    draw(page)
    page.evaluate(
        """() => {
          const missed = { age: undefined, catchUp: true };
          arrive(2, 5, 4, missed);
          arrive(2, 6, 4, missed);
          arrive(1, 4, 1, missed);
        }"""
    )
    expect(page.get_by_role("status")).to_contain_text("3 mensagens novas em 2 conversas")
    assert shown(page) == []


def test_the_page_offers_to_notify_and_asks_only_when_that_is_taken(known: Shop) -> None:
    def visit() -> Page:
        page = known.context.new_page()
        page.add_init_script("window.permission = 'default'; window.focused = true;")
        page.goto("/")
        draw(page)
        return page

    page = visit()
    offer = page.get_by_role("status")
    expect(offer).to_have_count(0)
    page.locator(".row").first.click()
    offer.get_by_role("button", name="Fechar").click()
    page = visit()
    page.locator(".row").nth(1).click()
    page.wait_for_url("**/?c=2")
    offer = page.get_by_role("status")
    expect(offer).to_have_count(0)  # not again in this browser

    page.evaluate("localStorage.removeItem('unread_state:ana:notifications')")
    page.locator(".row").first.click()
    assert shown(page) == []
    offer.get_by_role("button", name="Ativar notificações").click()
    wait_until(lambda: shown(page) == ["asked"])
    expect(offer).to_have_count(0)

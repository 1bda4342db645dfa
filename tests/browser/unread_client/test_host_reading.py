"""Counting and reading in pages of hosts that have only the module's include and their marks."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.unread_client.conftest import Shop
from tests.browser.unread_client.host_page import (
    OWN_SCRIPT,
    draw,
    expect_badges,
    expect_reads,
    rendered,
    row_of,
)


@pytest.fixture
def tab(shop: Shop) -> Page:
    """An own-script page with two conversations, and 3 messages in the first, 2 of them unread."""
    shop.pages["/"] = OWN_SCRIPT
    shop.unread = {"1": {"incoming_counted": 3, "incoming_read": 1, "mark_flips": 0}}
    page = shop.open()
    draw(page)
    return page


# --- counting and reading -----------------------------------------------------------------------


def test_rows_badges_and_title_follow_marks_and_events(shop: Shop, tab: Page) -> None:
    tab.evaluate("arrive(2, 5, 4)")
    expect_badges(tab, {"1": "2", "2": "1"})
    tab.evaluate("drawRows(conversation(1, 3, 3), conversation(2, 4, 4), conversation(3, 1, 0))")
    expect_badges(
        tab, {"2": "1", "3": "1"}
    )  # a list that was read before the event takes nothing back
    tab.evaluate(
        "document.querySelectorAll('.row')[2].dataset.live = JSON.stringify(conversation(3, 2, 0))"
    )
    expect_badges(tab, {"2": "1", "3": "2"})
    tab.evaluate("tell('unread.changed', 2, { ...conversation(2, 5, 5), conversation_id: '2' })")
    expect_badges(tab, {"3": "2"})


def test_what_is_unread_beyond_the_rows_counts_too(shop: Shop) -> None:
    shop.pages["/"] = OWN_SCRIPT
    shop.unread = {"99": {"incoming_counted": 3, "incoming_read": 1, "mark_flips": 0}}
    page = shop.open()
    expect(page).to_have_title("(1) Loja")
    shop.unread = {}  # read elsewhere, while no event could tell
    with page.expect_response("**/unread"):
        page.evaluate("document.dispatchEvent(new CustomEvent('realtime:reset'))")
    expect(page).to_have_title("Loja")


def test_numbers_as_ids_count_once(shop: Shop) -> None:
    """A host whose own JSON has integer ids, under its marks' texts."""
    shop.pages["/"] = OWN_SCRIPT
    shop.unread = {"7": {"incoming_counted": 2, "incoming_read": 0, "mark_flips": 0}}
    page = shop.open()
    page.evaluate(
        """() => {
          drawRows(conversation(7, 2, 0, { id: 7 }));
          messages[7] = [41, 42].map((id, n) => message(n + 1, { id, conversation_id: 7 }));
          openThread(7);
        }"""
    )
    expect(page).to_have_title("(1) Loja")
    page.locator(".bubble").first.click()
    expect_reads(shop, ("7", "42"))
    expect_badges(page, {})


def test_a_click_opens_and_reads_at_the_end(shop: Shop, tab: Page) -> None:
    tab.locator(".row").nth(1).click()
    tab.evaluate("messages[1] = many(1, 30)")
    tab.evaluate("arrive(1, 30, 1)")
    expect_badges(tab, {"1": "29"})
    tab.locator(".row").first.click()
    expect_reads(shop, ("1", "m30"))
    expect_badges(tab, {})


@pytest.mark.parametrize(
    ("but", "then"),
    [
        (
            "window.focused = false",
            "window.focused = true; window.dispatchEvent(new Event('focus'))",
        ),
        ("thread().scrollTop = 0", "thread().scrollTop = 10000"),
        (
            "thread().style.display = 'none'",
            "thread().style.display = ''; drawThread(...messages[1])",
        ),
        ("thread().dataset.liveThread = ''", "openThread('1')"),
    ],
)
def test_nothing_is_read_while_a_condition_is_missing(
    shop: Shop, tab: Page, but: str, then: str
) -> None:
    tab.evaluate("messages[1] = many(1, 30)")
    tab.locator(".row").first.click()
    expect_reads(shop, ("1", "m30"))
    tab.evaluate(f"() => {{ {but}; messages[1].push(message(31)); arrive(1, 31, 30); }}")
    tab.evaluate("if (thread().scrollTop === 0) drawThread(...messages[1])")
    expect_badges(tab, {"1": "1"})
    tab.evaluate("arrive(2, 5, 4)")
    expect_badges(tab, {"1": "1", "2": "1"})
    assert len(shop.reads) == 1
    tab.evaluate(f"() => {{ {then}; }}")
    tab.locator(".row").first.click()
    expect_reads(shop, ("1", "m30"), ("1", "m31"))


def test_what_came_late_keeps_its_badge_until_it_has_been_on_screen(shop: Shop) -> None:
    shop.pages["/"] = OWN_SCRIPT
    page = shop.open()
    page.evaluate(
        """() => {
          messages[1] = many(1, 25);
          drawRows(conversation(1, 25, 25), conversation(2, 0, 0));
        }"""
    )
    page.locator(".row").first.click()
    page.evaluate(
        """() => {
          arrive(1, 26, 25);
          messages[1].splice(1, 0, message(26));
          openThread("1");
        }"""
    )
    expect_badges(page, {"1": "1"})
    page.evaluate("arrive(2, 1, 0)")
    expect_badges(page, {"1": "1", "2": "1"})
    assert shop.reads == []
    page.locator(".thread").hover()
    page.mouse.wheel(0, -5000)
    expect_reads(shop, ("1", "m26"))
    expect_badges(page, {"2": "1"})


def test_a_thread_in_a_page_that_scrolls_as_a_whole(shop: Shop) -> None:
    rows = row_of("1", 30, 0) + "".join(row_of(str(n), 0, 0) for n in range(2, 80))
    shop.unread = {"1": {"incoming_counted": 30, "incoming_read": 0, "mark_flips": 0}}
    shop.pages["/chats/1"] = (
        rendered("1", rows, 30).replace('class="thread"', "").replace('class="list"', "")
    )
    page = shop.open("/chats/1")
    page.locator(".bubble").first.click()
    page.mouse.wheel(0, 1500)
    page.evaluate("arrive(2, 1, 0)")
    expect(page.locator("unread-badge[data-unread-count]")).to_have_count(2)
    assert shop.reads == []
    page.mouse.wheel(0, 1000)  # the thread's end, and far from the list's
    expect_reads(shop, ("1", "m30"))


def test_bubbles_are_taken_as_they_stand_on_the_screen(shop: Shop) -> None:
    """Newest first in the page, and turned round by its style."""
    shop.pages["/"] = OWN_SCRIPT
    page = shop.open()
    page.evaluate(
        """() => {
          thread().style.cssText = "display: flex; flex-direction: column-reverse";
          messages[1] = many(1, 30).reverse();
          drawRows(conversation(1, 30, 1));
        }"""
    )
    page.locator(".row").click()
    expect_reads(shop, ("1", "m30"))


def test_the_messages_of_the_conversation_before_are_not_this_ones(shop: Shop, tab: Page) -> None:
    """A page may name the new conversation before it has its messages."""
    tab.locator(".row").first.click()
    expect_reads(shop, ("1", "m3"))
    tab.evaluate("arrive(2, 5, 4)")
    tab.evaluate("document.querySelectorAll('.row')[1].onclick = () => {}")
    tab.locator(".row").nth(1).click()
    tab.evaluate("thread().dataset.liveThread = '2'")
    tab.wait_for_url("**/?c=2")
    expect_badges(tab, {"2": "1"})
    tab.evaluate("drawThread(message(5, { conversation_id: '2' }))")
    expect_reads(shop, ("1", "m3"), ("2", "m5"))


def test_news_that_change_nothing_in_the_page_keep_nothing_from_being_read(
    shop: Shop, tab: Page
) -> None:
    tab.evaluate("messages[1] = many(1, 30)")
    tab.locator(".row").first.click()
    expect_reads(shop, ("1", "m30"))
    tab.evaluate("thread().scrollTop = 0; arrive(1, 31, 30); drawThread(...many(1, 31)); undefined")
    expect_badges(tab, {"1": "1"})
    tab.evaluate("arrive(99, 1, 0)")  # it has no row
    expect(tab).to_have_title("(2) Loja")
    tab.evaluate("thread().scrollTop = 10000")
    expect_reads(shop, ("1", "m30"), ("1", "m31"))


def test_a_reading_that_fails_is_shown_again(shop: Shop, tab: Page) -> None:
    shop.refuse = True
    tab.locator(".row").first.click()
    shop.wait_for(lambda: shop.reads)
    expect_badges(tab, {"1": "2"})
    shop.refuse = False
    shop.wait_for(lambda: len(shop.reads) > 1, what="another attempt")
    expect_badges(tab, {})


# --- marks that lack something ------------------------------------------------------------------


ROWS = "document.querySelectorAll('.row')"
NO_COUNT = "{ incoming_counted: undefined }"


@pytest.mark.parametrize(
    ("draw", "names"),
    [
        (
            f"for (const row of {ROWS}) delete row.dataset.live",
            ["data-conversation-id", "data-live", "live_data"],
        ),
        (
            f"for (const row of {ROWS}) row.dataset.live = '{{'",
            ["data-conversation-id", "data-live", "live_data"],
        ),
        (
            "openThread('1'); for (const each of thread().children) delete each.dataset.live",
            ["data-message-id", "data-live", "live_data"],
        ),
        (
            f"drawRows(conversation(1, 3, 1, {NO_COUNT}), conversation(2, 1, 1, {NO_COUNT}))",
            ["data-conversation-id", "incoming_counted", "super().live_json()"],
        ),
        (
            "messages[1] = [1, 2].map((n) => message(n, { arrival: undefined })); openThread('1')",
            ["data-message-id", "arrival", "super().live_json()"],
        ),
        (
            "messages[1] = [1, 2].map((n) => message(n, { direction: undefined })); openThread(1)",
            ["data-message-id", "direction", "super().live_json()"],
        ),
    ],
)
def test_a_mark_that_lacks_something_is_told_once_with_the_remedy(
    shop: Shop, tab: Page, draw: str, names: list[str]
) -> None:
    for _ in range(2):
        tab.evaluate(f"() => {{ {draw}; }}")
        tab.evaluate("arrive(2, 5, 4)")
    shop.wait_for(lambda: shop.warnings)
    tab.evaluate("console.warn('the last one')")
    shop.wait_for(lambda: "the last one" in shop.warnings)
    (warning, _) = shop.warnings
    for name in names:
        assert name in warning


def test_messages_outside_any_thread_are_told_of(shop: Shop) -> None:
    shop.pages["/"] = OWN_SCRIPT.replace('data-live-thread=""', "")
    page = shop.open()
    page.evaluate("drawThread(...many(1, 3))")
    shop.wait_for(lambda: shop.warnings)
    assert "data-live-thread" in shop.warnings[0]


def test_messages_from_before_the_module_are_no_mistake(shop: Shop, tab: Page) -> None:
    tab.evaluate(
        """() => {
          const old = message(1, { direction: null, arrival: null, counts_unread: false });
          messages[1] = [old, ...many(2, 3)];
          openThread("1");
        }"""
    )
    tab.locator(".bubble").first.click()
    expect_reads(shop, ("1", "m3"))
    assert shop.warnings == []


def test_without_a_login_nothing_happens(shop: Shop) -> None:
    shop.pages["/"] = OWN_SCRIPT
    page = shop.context.new_page()
    page.route(
        "**/",
        lambda route: route.fulfill(
            content_type="text/html",
            body="""<!doctype html>
      <title>Entrar</title><script type="module" src="/static/unread_state.js"></script>
      <div data-conversation-id="1"><unread-badge></unread-badge></div>""",
        ),
    )
    page.goto("/")
    page.wait_for_function("customElements.get('unread-badge') !== undefined")
    expect(page.locator("unread-badge")).to_be_hidden()
    assert (shop.asked, page.title()) == ([], "Entrar")

"""A chat of five hundred photos: only what is seen is loaded, and nothing jumps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.drawn_screen import DrawnScreen, drawn_screen, incoming
from tests.browser.media.files import photo
from tests.helpers import wait_until

pytestmark = pytest.mark.slow

MANY = 500
MEDIA = {"kind": "image", "state": "ready", "mime_type": "image/jpeg", "size": 9000, "thumb": True}


def of_photo(number: int) -> dict[str, object]:
    """A message with a photo; no two within a minute, so that they make no album."""
    media = {**MEDIA, "width": 900, "height": 500 + number % 4 * 200}
    at = f"2030-03-{1 + number // 250:02d}T{number % 250 // 10:02d}:{number % 10 * 6:02d}:00-03:00"
    return incoming(f"m{number:03d}", type="image", media=media, sent_at=at)


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def screen(chromium: Browser, asked: list[str]) -> Iterator[DrawnScreen]:
    """The thread with its five hundred photos, at its end."""
    data = photo(1, 400, 300)

    def answer(route: Route) -> None:
        asked.append(route.request.url.split("/")[-2])
        route.fulfill(body=data, content_type="image/jpeg")

    with drawn_screen(chromium, viewport={"width": 1200, "height": 800}) as screen:
        screen.page.route("**/api/messages/*/media*", answer)
        screen.draw(*map(of_photo, range(MANY)))
        yield screen


def settled(page: Page) -> None:
    """All that is in view has its picture."""
    wait_until(lambda: page.evaluate("""() => {
      const view = document.querySelector(".thread-scroll").getBoundingClientRect();
      return [...document.querySelectorAll(".picture-image")].every((img) => {
        const { top, bottom } = img.getBoundingClientRect();
        return bottom < view.top || top > view.bottom || (img.complete && img.naturalWidth > 0);
      });
    }"""))  # fmt: skip


def test_at_first_only_the_last_few_are_loaded(screen: DrawnScreen, asked: list[str]) -> None:
    settled(screen.page)
    # A view of some 650 px, and 300 on either side, of pictures of 184 px and more.
    assert 2 <= len(asked) <= 8
    assert set(asked) <= {f"m{number:03d}" for number in range(MANY - 8, MANY)}


def test_scrolling_loads_what_one_comes_to_and_each_once(
    screen: DrawnScreen, asked: list[str]
) -> None:
    page = screen.page
    settled(page)
    for _ in range(12):
        page.locator(".thread-scroll").evaluate("(node) => node.scrollBy(0, -500)")
        settled(page)
    assert len(asked) == len(set(asked))
    # 6000 px further up; the smallest is 184 px high.
    assert len(asked) <= 8 + 6000 // 184
    page.locator(".thread-scroll").evaluate("(node) => { node.scrollTop = node.scrollHeight; }")
    settled(page)
    assert len(asked) <= 8 + 6000 // 184


def test_no_picture_moves_anything_when_it_comes(screen: DrawnScreen) -> None:
    page = screen.page
    page.locator(".thread-scroll").evaluate("(node) => node.scrollBy(0, -3000)")
    place = """() => {
      const view = document.querySelector(".thread-scroll").getBoundingClientRect();
      const all = [...document.querySelectorAll("[data-message-id]")];
      const first = all.find((node) => node.getBoundingClientRect().bottom > view.top);
      return [first.dataset.messageId, first.getBoundingClientRect().top];
    }"""
    before = page.evaluate(place)
    settled(page)
    assert page.evaluate(place) == before


def test_few_of_them_stand_in_the_page_and_the_end_is_a_key_away(screen: DrawnScreen) -> None:
    page = screen.page
    page.locator(".thread-scroll").focus()
    page.keyboard.press("Home")
    expect(page.locator('[data-message-id="m000"]')).to_be_in_viewport()
    settled(page)
    assert page.locator("[data-message-id]").count() < 260
    page.keyboard.press("End")
    expect(page.locator(f'[data-message-id="m{MANY - 1}"]')).to_be_in_viewport()
    settled(page)


def test_the_viewer_s_strip_loads_what_is_near_it(screen: DrawnScreen, asked: list[str]) -> None:
    page = screen.page
    settled(page)
    page.evaluate("""async () => {
      const { Viewer } = await import("/static/chat/media/viewer/viewer.js");
      const { messages } = window.shown;
      const find = (id) => messages.find((each) => each.id === id);
      const thread = () => ({ messages, find, next: null });
      const state = { thread, conversation: () => ({ name: "Maria" }) };
      new Viewer({ state, now: Date.now }).open("c1", "m250");
    }""")
    expect(page.locator(".strip-picture[aria-current]")).to_be_in_viewport()
    wait_until(lambda: "m250" in asked)
    page.wait_for_load_state("networkidle")
    assert len(asked) <= 8 + 60

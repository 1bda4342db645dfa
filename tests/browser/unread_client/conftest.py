"""A page with nothing in it but unread_state.js and a host that notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.screen_modules import static_files

Run = Callable[..., Any]

_BLANK = "tests/browser/unread_client/blank.html"


@pytest.fixture(scope="module")
def blank_tab(chromium: Browser) -> Iterator[Page]:
    with static_files() as url:
        context = chromium.new_context(base_url=url, viewport={"width": 1200, "height": 800})
        yield context.new_page()
        context.close()


@pytest.fixture
def page(blank_tab: Page) -> Page:
    """A fresh page whose scripts can start the module (see harness.js)."""
    blank_tab.set_viewport_size({"width": 1200, "height": 800})
    blank_tab.goto(_BLANK)
    blank_tab.wait_for_function("window.unreadReady")
    blank_tab.evaluate("localStorage.clear(); sessionStorage.clear()")
    return blank_tab


@pytest.fixture
def run(page: Page) -> Run:
    """Runs the body of an async function in the page, with `arg`, and gives what it returns."""
    return lambda body, arg=None: page.evaluate(f"async (arg) => {{ {body} }}", arg)

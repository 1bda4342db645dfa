"""A scripted server and a blank page with the client's module in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.realtime_client.scripted_server import ScriptedServer

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def blank_server() -> Iterator[ScriptedServer]:
    server = ScriptedServer().start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def blank_tab(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def page(blank_tab: Page, blank_server: ScriptedServer) -> Page:
    """A fresh page whose scripts can start clients (see harness.js)."""
    blank_tab.goto(blank_server.url)
    blank_tab.wait_for_function("window.ready")
    blank_tab.evaluate("localStorage.clear()")
    return blank_tab


@pytest.fixture
def run(page: Page) -> Run:
    """Runs the body of an async function in the page, with `arg`, and gives what it returns."""
    return lambda body, arg=None: page.evaluate(f"async (arg) => {{ {body} }}", arg)

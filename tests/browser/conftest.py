"""Fixtures of the browser tests: a new browser context for each attendant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.browser.cuttable_proxy import CuttableProxy
from tests.chromium import ACTION_MS, own_chromium
from tests.helpers import LiveServer, Simulator, Store, add_attendant, csrf_token


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)


class Attendant:
    """A person at a browser of their own, logged in; `page` is their tab with the chat.

    Every page of a Playwright context believes that it is visible and has focus: see
    `at_a_computer` for where that matters.
    """

    def __init__(self, context: BrowserContext, url: str, username: str) -> None:
        self.context = context
        self.url = url
        self.username = username
        self.errors: list[str] = []
        self._allowed: list[re.Pattern[str]] = []
        self.page = self.new_tab()

    def new_tab(self) -> Page:
        """Another tab of the same browser, empty."""
        page = self.context.new_page()
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        return page

    def log_in(self) -> None:
        """With what the login form sends, the username for a password; then open the chat.

        The form itself is for test_login.py: a page more for every attendant is a good part of all
        that the suite computes.
        """
        login, send = f"{self.url}/login", self.context.request
        token = csrf_token(send.get(login).text())
        form = {"username": self.username, "password": self.username, "csrf_token": token}
        assert send.post(login, form=form, max_redirects=0).status == 302
        self.page.goto(self.url)
        self.page.wait_for_selector("body[data-cursor]")

    def wait_connected(self) -> None:
        """Wait until the page says that it gets events."""
        self.page.wait_for_selector("html[data-connection=connected]")

    def allow_errors(self, pattern: str) -> None:
        """Console errors that match are part of the test (a cut connection logs some)."""
        self._allowed.append(re.compile(pattern))

    def unexpected_errors(self) -> list[str]:
        """Console errors and uncaught exceptions that no `allow_errors` covers."""
        return [
            error
            for error in self.errors
            if not any(pattern.search(error) for pattern in self._allowed)
        ]

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            place = message.location.get("url", "") if message.location else ""
            self.errors.append(f"{message.text} ({place})")


@pytest.fixture
def attendant(chromium: Browser, store: Store) -> Iterator[Callable[..., Attendant]]:
    """`attendant("ana", server.url)`: a logged-in attendant in a new browser context.

    The account is made if it is new. A console error that the test did not allow fails it.
    `service_workers="allow"` where the service worker counts: behind it `page.route` sees nothing,
    and a page has it only from some moment on. Those of `at_a_computer` have it.
    """
    attendants: list[Attendant] = []
    known: set[str] = set()

    def log_in(
        username: str, url: str, *, log_in: bool = True,
        service_workers: Literal["allow", "block"] = "block",
    ) -> Attendant:  # fmt: skip
        if username not in known:
            add_attendant(store, username, password=username)
            known.add(username)
        context = chromium.new_context(
            locale="pt-BR", timezone_id="America/Sao_Paulo", service_workers=service_workers
        )
        context.set_default_timeout(ACTION_MS)
        person = Attendant(context, url, username)
        attendants.append(person)
        if log_in:
            person.log_in()
        return person

    yield log_in
    errors = {person.username: person.unexpected_errors() for person in attendants}
    for person in attendants:
        person.context.close()
    assert not any(errors.values()), f"console errors: {errors}"


@pytest.fixture
def in_marias_chat(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
) -> Callable[..., list[Attendant]]:
    """`in_marias_chat("ana", "bruno", name="Maria Souza")`: attendants who have opened the chat of
    a customer who wrote "oi".
    """

    def log_in(*usernames: str, name: str = "Maria") -> list[Attendant]:
        url = live_server().url
        simulator.write("5511987654321", text="oi", name=name)
        people = [attendant(username, url) for username in usernames]
        for person in people:
            person.wait_connected()
            person.page.locator("[data-conversation-id]").click()
            expect(person.page.locator("[data-message-id]", has_text="oi")).to_be_visible()
        return people

    return log_in


@pytest.fixture
def at_a_computer(
    chromium: Browser, store: Store, tmp_path: Path
) -> Iterator[Callable[..., Attendant]]:
    """`at_a_computer("ana", url)`: like `attendant`, in a Chromium process of their own.

    Its tabs are really in front or behind, with focus or without, and notifications are allowed.
    """
    attendants: list[Attendant] = []
    with ExitStack() as browsers:

        def log_in(username: str, url: str, *, script: str = "") -> Attendant:
            add_attendant(store, username, password=username)
            browser = own_chromium(chromium, tmp_path / f"browser-{username}")
            context = browsers.enter_context(browser)
            context.grant_permissions(["notifications"], origin=url)
            if script:
                context.add_init_script(script)
            person = Attendant(context, url, username)
            attendants.append(person)
            person.log_in()
            return person

        yield log_in
        errors = {person.username: person.unexpected_errors() for person in attendants}
    assert not any(errors.values()), f"console errors: {errors}"


@pytest.fixture
def phone(chromium: Browser, simulator: Simulator) -> Iterator[Callable[[str], Page]]:
    """`phone("5511987654321")`: the page of that customer's phone, in a browser of its own."""
    contexts: list[BrowserContext] = []

    def open_phone(number: str) -> Page:
        simulator.post("/customers", {"phone": number})
        contexts.append(chromium.new_context(locale="pt-BR"))
        contexts[-1].set_default_timeout(ACTION_MS)
        page = contexts[-1].new_page()
        page.goto(f"{simulator.url}/?c={number}")
        return page

    yield open_phone
    for context in contexts:
        context.close()


@pytest.fixture
def cuttable_proxy() -> Iterator[Callable[[str], CuttableProxy]]:
    """`cuttable_proxy(url)`: a front end of that address whose connections the test cuts."""
    proxies: list[CuttableProxy] = []

    def start(upstream: str) -> CuttableProxy:
        proxies.append(CuttableProxy(upstream))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.stop()

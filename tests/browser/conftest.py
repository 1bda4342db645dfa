"""Fixtures of the browser tests: one Chromium for all, a new context for each attendant."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from tests.browser.cuttable_proxy import CuttableProxy
from tests.helpers import Simulator, Store, add_attendant, wait_until

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
# Each window of a Chromium with an interface keeps the popup of its address bar ready: a page that
# costs half a second of processor for every attendant. Of two such flags only the last counts, so
# what Playwright itself switches off is here again.
OFF = ["WebUIOmniboxPopup", "WebUIOmniboxAimPopup"]
OFF += ["AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades"]
OFF += ["HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding"]
OFF += ["ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect", "AimEnabled"]
OFF += ["OptimizationHints", "NetworkTimeServiceQuerying", "PreconnectToSearch"]
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
FLAGS += ["--disable-features=" + ",".join(OFF)]
ACTION_MS = 30_000  # two cores that also run the servers and other tests: patience, not speed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The Chromium that CHROMIUM names (dev.py sets it), or one on PATH, or Playwright's own."""
    path = _chromium_on_this_machine()
    expect.set_options(timeout=ACTION_MS)
    with sync_playwright() as playwright:
        environ: dict[str, str | float | bool] = {**_environ()}
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, env=environ)
        yield browser
        browser.close()


def _chromium_on_this_machine() -> str | None:
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def _environ() -> dict[str, str]:
    # Debian's launcher is a shell script that calls grep: it must work with a bare PATH too.
    folders = os.pathsep.join([os.environ.get("PATH", ""), "/usr/bin", "/bin"])
    return {**os.environ, "PATH": folders}


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
        """Through the real login form, whose password is the username here."""
        self.page.goto(f"{self.url}/login")
        self.page.locator("input[name=username]").fill(self.username)
        self.page.locator("input[name=password]").fill(self.username)
        self.page.locator("form button[type=submit], form input[type=submit]").first.click()
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
    """
    attendants: list[Attendant] = []
    known: set[str] = set()

    def log_in(username: str, url: str, *, log_in: bool = True) -> Attendant:
        if username not in known:
            add_attendant(store, username, password=username)
            known.add(username)
        context = chromium.new_context(locale="pt-BR", timezone_id="America/Sao_Paulo")
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
def at_a_computer(
    chromium: Browser, store: Store, tmp_path: Path
) -> Iterator[Callable[..., Attendant]]:
    """`at_a_computer("ana", url)`: like `attendant`, in a Chromium process of their own.

    Its tabs are really in front or behind, with focus or without, and notifications are allowed.
    Playwright tells every page that it has focus, and what one DevTools session emulates no other
    can take back: it spares only the default context of a browser that it did not start itself.
    """
    attendants: list[Attendant] = []
    processes: list[subprocess.Popen[bytes]] = []

    def log_in(username: str, url: str, *, script: str = "") -> Attendant:
        add_attendant(store, username, password=username)
        folder = tmp_path / f"browser-{username}"
        program = _chromium_on_this_machine() or chromium.browser_type.executable_path
        args = [program, "--headless", *FLAGS, "--no-first-run", "--lang=pt-BR"]
        args += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
        processes.append(subprocess.Popen(args, env=_environ(), stderr=subprocess.DEVNULL))
        port_file = folder / "DevToolsActivePort"
        wait_until(lambda: port_file.exists() and port_file.read_text().count("\n"), 20)
        address = f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}"
        browser = chromium.browser_type.connect_over_cdp(address, no_defaults=True)
        context = browser.contexts[0]
        context.set_default_timeout(ACTION_MS)
        context.grant_permissions(["notifications"], origin=url)
        if script:
            context.add_init_script(script)
        person = Attendant(context, url, username)
        attendants.append(person)
        person.log_in()
        return person

    yield log_in
    errors = {person.username: person.unexpected_errors() for person in attendants}
    for process in processes:
        process.terminate()
        process.wait(10)
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

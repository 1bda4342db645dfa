"""Fixtures that start a foreign host and open its page."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.unread_screen import NOTE_ALERTS
from tests.chromium import ACTION_MS, own_chromium
from tests.helpers import SETTINGS, Simulator, Store, free_port, wait_until
from tests.hosts.support import (
    HOSTS,
    MARIA,
    MODULES,
    NAME,
    USERS,
    Desk,
    Host,
    add_users,
    environ_of,
    with_modules,
)

# Whatever their files are called, they are applications.
collect_ignore = ["plain", "rendered"]
#: How the modules begin what they tell whoever writes the page.
OURS = re.compile(rf"({'|'.join(MODULES)}): ")


@pytest.fixture
def start_host(store: Store, simulator: Simulator, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Starts hosts on this test's store: `start_host("plain", "after", GAE_ENV="standard")`.

    Each is what the entrypoint of its app.yaml starts, or `entrypoint`. Other keywords are
    environment variables. The first one, and the next one after it was stopped, listens where the
    simulator sends its callbacks: so `after` can be stopped and `before` started on what it wrote.
    """
    hosts: list[Host] = []

    def start(name: str, state: str = "before", *, entrypoint: str = "", **environ: object) -> Host:
        folder = HOSTS / name / state
        if state != "before":
            folder = with_modules(folder, tmp_path / f"{name}-{state}-{len(hosts)}")
        called_back = not any(host.running for host in hosts)
        whole = {
            **os.environ,
            **SETTINGS,
            **store.environ,
            "WHATSAPP_API_URL": simulator.url,
            **environ_of(name),
            **{key: str(value) for key, value in environ.items()},
        }
        port = simulator.webhook_port if called_back else free_port()
        host = Host(name, folder, whole, port, entrypoint)
        add_users(host, store)
        hosts.append(host)
        return host.start()

    yield start
    for host in hosts:
        host.stop()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """Uncaught exceptions of the pages, and what the modules say in their consoles: the test fails
    unless it takes them out.
    """
    found: list[str] = []
    yield found
    assert found == []


def _listen(page: Page, complaints: list[str]) -> None:
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if OURS.match(message.text) else None,
    )


@pytest.fixture
def desk(chromium: Browser, complaints: list[str]) -> Iterator[Callable[..., Desk]]:
    """`desk(host)`: the host's page in a browser of its own, with ana logged in.

    `user` and `password` log somebody else in, or fail to; `url` is the host's behind a front end.
    """
    contexts: list[BrowserContext] = []

    def open_desk(
        host: Host, user: str = "ana", password: str | None = None, *, url: str = ""
    ) -> Desk:
        context = chromium.new_context(locale="pt-BR", timezone_id="America/Sao_Paulo")
        context.set_default_timeout(ACTION_MS)
        contexts.append(context)
        page = context.new_page()
        _listen(page, complaints)
        desk = Desk(page, host, url)
        desk.log_in(user, USERS[user] if password is None else password)
        return desk

    yield open_desk
    for context in contexts:
        context.close()


@pytest.fixture
def computer(
    chromium: Browser, complaints: list[str], tmp_path: Path
) -> Iterator[Callable[..., Desk]]:
    """`computer(host, "ana")`: like `desk`, in a Chromium process of their own: its tabs are really
    in front or behind, and notifications are allowed and noted.
    """
    with ExitStack() as browsers:

        def open_desk(host: Host, user: str = "ana", *, url: str = "") -> Desk:
            browser = own_chromium(chromium, tmp_path / f"browser-{user}")
            context = browsers.enter_context(browser)
            context.grant_permissions(["notifications"], origin=url or host.url)
            context.add_init_script(NOTE_ALERTS)
            page = context.new_page()
            _listen(page, complaints)
            desk = Desk(page, host, url)
            desk.log_in(user, USERS[user])
            return desk

        yield open_desk


@pytest.fixture
def writes(simulator: Simulator) -> Callable[..., None]:
    """`writes(text)`: Maria writes, and the host has answered; `phone` and `name`: another one.

    Each message has a second of its own, some minutes ago (`now`: about the present one): these
    hosts order messages by WhatsApp's whole seconds.
    """
    last = int(time.time()) - 600

    def write(text: str, phone: str = MARIA, name: str = NAME, *, now: bool = False) -> None:
        nonlocal last
        last = max(last + 1, int(time.time()) if now else 0)
        simulator.post("/customers", {"phone": phone, "name": name})
        simulator.post(f"/customers/{phone}/messages", {"text": text, "timestamp": last})
        wait_until(lambda: simulator.get("/deliveries").json()["idle"], what="the webhook's 200")

    return write


@pytest.fixture
def switch(simulator: Simulator) -> Callable[..., None]:
    """`switch(webhook_pause=True)`: the simulator's switches."""

    def change(**wanted: object) -> None:
        simulator.http.patch(
            f"{simulator.url}/switches", json=wanted, timeout=30
        ).raise_for_status()

    return change

"""Fixtures that start a foreign host and open its page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from local.processes.parts import free_port
from tests.chromium import ACTION_MS
from tests.helpers import SETTINGS, Simulator, Store
from tests.hosts.support import (
    HOSTS,
    USERS,
    Desk,
    Host,
    add_users,
    environ_of,
    with_modules,
)

# Whatever their files are called, they are applications.
collect_ignore = ["plain", "rendered"]


@pytest.fixture
def start_host(store: Store, simulator: Simulator, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Starts hosts on this test's store: `start_host("plain", "after", GAE_ENV="standard")`.

    Each is what the entrypoint of its app.yaml starts. Keywords are environment variables. The
    first one, and the next one after it was stopped, listens where the simulator sends its
    callbacks: so `after` can be stopped and `before` started on what it wrote.
    """
    hosts: list[Host] = []

    def start(name: str, state: str = "before", **environ: object) -> Host:
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
        host = Host(name, folder, whole, port)
        add_users(host)
        hosts.append(host)
        return host.start()

    yield start
    for host in hosts:
        host.stop()


@pytest.fixture
def desk(chromium: Browser) -> Iterator[Callable[..., Desk]]:
    """`desk(host)`: the host's page in a browser of its own, with ana logged in.

    `user` and `password` log somebody else in, or fail to. An uncaught exception in a page fails
    the test.
    """
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_desk(host: Host, user: str = "ana", password: str | None = None) -> Desk:
        context = chromium.new_context(locale="pt-BR", timezone_id="America/Sao_Paulo")
        context.set_default_timeout(ACTION_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        desk = Desk(page, host)
        desk.log_in(user, USERS[user] if password is None else password)
        return desk

    yield open_desk
    for context in contexts:
        context.close()
    assert errors == []

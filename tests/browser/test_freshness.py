"""What the screens measure of their own speed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Attendant
from tests.chromium import look_away
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

MARINA = "5511987654321"


def test_a_message_that_somebody_saw_arrive_is_measured_once_for_each_screen(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
    at_a_computer: Callable[..., Attendant],
) -> None:
    url = live_server().url
    ana, bruno = attendant("ana", url), at_a_computer("bruno", url)
    for person in (ana, bruno):
        person.wait_connected()
    look_away(bruno.context)

    simulator.write(MARINA, text="Vocês abrem hoje?")
    for person in (ana, bruno):
        expect(person.page.locator(".row-text", has_text="Vocês abrem hoje?")).to_have_count(1)
    ana.page.locator("[data-conversation-id]").click()
    expect(ana.page.locator("[data-message-id]", has_text="Vocês abrem hoje?")).to_be_visible()
    simulator.write(MARINA, text="E amanhã?")
    expect(ana.page.locator("[data-message-id]", has_text="E amanhã?")).to_be_visible()

    # A page tells what it measured when it is left, if not before.
    bruno.page.goto("about:blank")
    ana.page.goto(f"{url}/")
    ana.page.get_by_role("button", name="Menu", exact=True).click()
    ana.page.get_by_role("link", name="Rapidez da tela").click()
    expect(ana.page.get_by_role("heading", name="Rapidez da tela")).to_be_visible()
    first = ana.page.locator(".update", has_text="na tela")
    twice = first.locator("dd:first-of-type", has_text=re.compile("^2$"))

    def counted() -> bool:
        ana.page.reload()
        return twice.count() > 0

    wait_until(counted)

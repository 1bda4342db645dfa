"""A page that was away for hours is complete again: from its cursor, or by reading all again.

Hours pass as they do in life: the server of then runs with its clock set back (so events and the
page's cursor are really hours old, at the default overlap), and a later one goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page

from tests.browser.conftest import Attendant
from tests.browser.cuttable_proxy import CuttableProxy
from tests.browser.on_screen import (
    Requests,
    Writer,
    await_idle,
    await_rows,
    await_thread,
    bubbles,
    connection,
    open_thread,
    rows,
    texts,
    watch,
)
from tests.helpers import SETTINGS, LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

Start = Callable[..., LiveServer]
Login = Callable[..., Attendant]
Cut = Callable[[str], CuttableProxy]

CLOCK_SHIFT = Path(__file__).resolve().parents[1] / "clock_shift"


def hours_ago(hours: int) -> dict[str, object]:
    """Settings of a server whose clock is this much behind."""
    return {"PYTHONPATH": CLOCK_SHIFT, "CLOCK_SHIFT_SECONDS": -3600 * hours}


def test_two_hours_of_sleep_lose_and_repeat_nothing(
    live_server: Start, simulator: Simulator, attendant: Login, cuttable_proxy: Cut
) -> None:
    # A sleeping machine: no timer runs, its connection dies without a word, and on waking the
    # clock has jumped. So: the page's clock stands still, the proxy goes silent (no reset that
    # would tell the page), and then the clock is two hours further. Chromium's lifecycle state
    # "frozen" is no sleep: it moves no clock, kills no connection, and spares a visible page.
    past = live_server(**hours_ago(2))
    proxy = cuttable_proxy(past.url)
    customer = Writer(simulator, hours=3)
    other = Writer(simulator, "5511955550000", "o", hours=3)
    customer.write(1)
    other.write(1)
    ana = attendant("ana", proxy.url, log_in=False)
    ana.page.clock.install(time=datetime.now() - timedelta(hours=2))  # noqa: DTZ005
    ana.log_in()
    ana.wait_connected()
    open_thread(ana.page, customer.texts[-1])
    watch(ana.page)
    read = Requests(ana.page)
    ana.page.clock.pause_at(datetime.now() - timedelta(hours=2) + timedelta(seconds=5))  # noqa: DTZ005
    proxy.go_silent()

    customer.write(12)
    other.write(2)
    await_idle(simulator)
    past.stop()
    live_server(port=simulator.webhook_port)
    customer.write(12)
    await_idle(simulator)
    assert texts(ana.page) == customer.texts[:1]

    proxy.pass_on()
    ana.page.clock.fast_forward(timedelta(hours=2) // timedelta(milliseconds=1))
    ana.page.clock.resume()
    wait_until(lambda: len(texts(ana.page)) >= len(customer.texts), 25)
    ana.wait_connected()
    # No process can give events of two hours ago: the page reads its list and thread again.
    assert [path for path in read.reads() if not path.endswith("/versions")]
    await_thread(ana, ana.page, customer.texts)
    await_rows(ana.page, {customer.texts[-1], other.texts[-1]})
    customer.write(2)
    await_thread(ana, ana.page, customer.texts)


def test_a_cursor_past_retention_makes_the_screen_complete_and_keeps_what_the_person_did(
    live_server: Start, simulator: Simulator, attendant: Login, cuttable_proxy: Cut
) -> None:
    past = live_server(REALTIME_EVENTS_RETENTION_HOURS=1.5, **hours_ago(2))
    proxy = cuttable_proxy(past.url)
    customer = Writer(simulator, hours=3)
    other = Writer(simulator, "5511955550000", "o", hours=3)
    customer.write(45)
    other.write(1)
    await_idle(simulator)
    ana = attendant("ana", proxy.url)
    ana.allow_errors(r"net::ERR_")
    ana.wait_connected()
    open_thread(ana.page, customer.texts[-1])
    watch(ana.page)
    await_thread(ana, ana.page, customer.texts)
    composer = ana.page.locator(".composer-input")
    composer.fill("Metade de uma resp")
    ana.page.locator(".thread-scroll").hover()
    ana.page.mouse.wheel(0, -700)
    wait_until(lambda: scrolled(ana.page) > 300, what="scrolled up")
    composer.focus()
    selected, place = ana.page.url, first_in_view(ana.page)

    proxy.refuse()
    customer.write(60)  # more than a page of the thread
    other.write(3)
    await_idle(simulator)
    past.stop()
    now = live_server(port=simulator.webhook_port, REALTIME_EVENTS_RETENTION_HOURS=1.5)
    customer.write(2)
    await_idle(simulator)
    headers = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}
    cleaned = requests.get(f"{now.url}/realtime/cleanup", headers=headers, timeout=30).json()
    assert cleaned["deleted"] >= 45 + 1 + 60 + 3
    read = Requests(ana.page)
    proxy.pass_on()

    wait_until(lambda: len(bubbles(ana.page)) > 45, 40)
    wait_until(lambda: other.texts[-1] in dict(rows(ana.page)).values())
    assert "/api/conversations" in read.reads()
    assert ana.page.url == selected
    assert first_in_view(ana.page) == place
    assert composer.input_value() == "Metade de uma resp"
    assert composer.evaluate("(node) => node === document.activeElement")
    await_thread(ana, ana.page, customer.texts)
    await_rows(ana.page, {customer.texts[-1], other.texts[-1]})
    assert connection(ana.page) == "connected"
    customer.write(2)  # the fresh cursor goes on from there
    await_thread(ana, ana.page, customer.texts)
    open_thread(ana.page, other.texts[-1])
    wait_until(lambda: texts(ana.page) == other.texts)


def scrolled(page: Page) -> int:
    """Pixels from the end of the thread."""
    return int(
        page.locator(".thread-scroll").evaluate(
            "(node) => node.scrollHeight - node.clientHeight - node.scrollTop"
        )
    )


def first_in_view(page: Page) -> tuple[str, int]:
    """The first message that is whole in view, and where it stands."""
    id_, top = page.locator(".thread-scroll").evaluate(
        """(node) => {
          const top = node.getBoundingClientRect().top;
          const below = (each) => each.getBoundingClientRect().top >= top;
          const first = [...node.querySelectorAll("[data-message-id]")].find(below);
          return [first.dataset.messageId, Math.round(first.getBoundingClientRect().top)];
        }"""
    )
    return id_, top

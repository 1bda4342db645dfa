"""While the server is away a page asks a handful of times, says so, and comes back by itself.

What is counted are the browser's own requests until the page calls itself offline, eight seconds
after it lost its connection. A page without back-off makes hundreds in that time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Attendant
from tests.browser.cuttable_proxy import EVENTS, CuttableProxy
from tests.browser.on_screen import (
    Requests,
    Writer,
    await_idle,
    await_rows,
    await_thread,
    connection,
    open_thread,
    texts,
    watch,
)
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

Start = Callable[..., LiveServer]
Login = Callable[..., Attendant]
Cut = Callable[[str], CuttableProxy]

#: Back-off with full jitter from 1 s on makes four or five in eight seconds; nine and more come
#: once in tens of thousands of runs.
HANDFUL = 8
OFFLINE = "html[data-connection=offline]"


@pytest.mark.parametrize("failure", ["refuse", "answer_503", "hang"])
def test_a_page_without_server_asks_a_handful_of_times_and_recovers_by_itself(
    live_server: Start, simulator: Simulator, attendant: Login, cuttable_proxy: Cut, failure: str
) -> None:
    proxy = cuttable_proxy(live_server().url)
    customer = Writer(simulator)
    customer.write(1)
    ana = attendant("ana", proxy.url, log_in=False)
    ana.page.clock.install()  # goes as ever until the test makes it run ahead
    ana.log_in()
    ana.allow_errors(r"net::ERR_|status of 503")
    ana.wait_connected()
    open_thread(ana.page, customer.texts[-1])
    watch(ana.page)
    requests = Requests(ana.page)

    getattr(proxy, failure)()
    customer.write(3)
    ana.page.wait_for_selector(OFFLINE)
    made = list(requests.paths)
    assert 1 <= made.count(EVENTS) <= HANDFUL, made
    assert len(made) <= HANDFUL + 2, made
    expect(ana.page.locator(".connection-banner")).to_be_visible()
    expect(ana.page.locator(".connection-banner")).to_contain_text("Sem conexão com o servidor")

    proxy.pass_on()
    wait_until(lambda: back_after_another_second(ana), 60, what="the recovery by itself")
    expect(ana.page.locator(".connection-banner")).to_be_hidden()
    await_thread(ana, ana.page, customer.texts)
    assert len(requests.paths) <= 2 * HANDFUL + 5, requests.paths


def back_after_another_second(person: Attendant) -> bool:
    """Let the page's clock run for a second more than real time does; whether it is connected."""
    person.page.clock.run_for(1000)
    return connection(person.page) == "connected"


def test_a_server_that_hung_is_taken_for_a_front_end_that_buffers_for_ten_minutes_at_most(
    live_server: Start, attendant: Login, cuttable_proxy: Cut
) -> None:
    proxy = cuttable_proxy(live_server().url)
    ana = attendant("ana", proxy.url, log_in=False)
    ana.page.clock.install()
    ana.log_in()
    ana.allow_errors(r"net::ERR_")
    ana.wait_connected()
    wait_until(lambda: proxy.open_streams() == 1)
    before = proxy.count(EVENTS)
    proxy.hang()
    # Silent stream, silent held request, silent stream: and then the held request is answered.
    wait_until(lambda: connection(ana.page) != "connected")
    wait_until(lambda: back_after_another_second(ana) or proxy.count(EVENTS) >= before + 3, 40)
    assert connection(ana.page) != "connected"
    proxy.pass_on()
    wait_until(lambda: back_after_another_second(ana), 60, what="the recovery by itself")
    ana.page.clock.fast_forward(600_000)
    wait_until(
        lambda: back_after_another_second(ana) and "delivery=hold" not in proxy.targets[-1], 60
    )
    wait_until(lambda: back_after_another_second(ana) and proxy.open_streams() == 1, 30)


def test_after_a_logout_every_tab_goes_to_the_login_at_once_and_comes_back_complete(
    live_server: Start, simulator: Simulator, attendant: Login, cuttable_proxy: Cut
) -> None:
    proxy = cuttable_proxy(live_server().url)
    customer = Writer(simulator)
    customer.write(1)
    ana = attendant("ana", proxy.url)
    ana.allow_errors(r"net::ERR_|status of 401")
    ana.wait_connected()
    open_thread(ana.page, customer.texts[-1])
    tabs = [ana.page, ana.new_tab()]
    tabs[1].goto(ana.page.url)
    tabs[1].wait_for_selector("html[data-connection=connected]")
    requests = [Requests(tab) for tab in tabs]

    token = ana.page.locator("meta[name=csrf-token]").get_attribute("content")
    form = {"csrf_token": str(token)}
    assert ana.context.request.post(f"{proxy.url}/logout", form=form).ok
    proxy.cut()  # else the page would learn of it when its stream ends, within a minute
    for tab in tabs:
        expect(tab).to_have_url(re.compile(r"/login\?next="))
    customer.write(3)
    await_idle(simulator)
    assert sum(each.events() for each in requests) <= 4, [each.paths for each in requests]

    ana.page.locator("input[name=username]").fill("ana")
    ana.page.locator("input[name=password]").fill("ana")
    ana.page.locator("form button[type=submit]").click()
    ana.page.wait_for_selector("[data-message-id]")
    ana.wait_connected()
    watch(ana.page)
    customer.write(2)
    await_thread(ana, ana.page, customer.texts)


def test_after_sigterm_all_pages_are_back_by_themselves_on_the_next_server(
    live_server: Start, simulator: Simulator, attendant: Login, cuttable_proxy: Cut
) -> None:
    server = live_server()
    proxy = cuttable_proxy(server.url)
    customer = Writer(simulator)
    customer.write(1)
    ana, bruno = attendant("ana", proxy.url), attendant("bruno", proxy.url)
    for person in (ana, bruno):
        person.allow_errors(r"net::ERR_")
        person.wait_connected()
        open_thread(person.page, customer.texts[-1])
    pages = {ana: [ana.page, ana.new_tab()], bruno: [bruno.page]}
    pages[ana][1].goto(ana.page.url)
    pages[ana][1].wait_for_selector("[data-message-id]")
    reads = []
    for page in (page for own in pages.values() for page in own):
        watch(page)
        reads.append(Requests(page))
    customer.write(3)

    server.terminate()
    wait_until(lambda: server.returncode is not None, 5, what="the end of the server")
    proxy.refuse()
    customer.write(3)  # WhatsApp tries again until there is a server
    server.stop()
    server.restart()
    await_idle(simulator)
    proxy.pass_on()  # the pages come when this has happened
    customer.write(3)
    for own in pages.values():
        for page in own:
            wait_until(lambda page=page: len(texts(page)) >= len(customer.texts), 40)
    assert [each.reads() for each in reads] == [[], [], []]
    for person, own in pages.items():
        for page in own:
            await_thread(person, page, customer.texts)
            await_rows(page, {customer.texts[-1]})
            page.wait_for_selector("html[data-connection=connected]")

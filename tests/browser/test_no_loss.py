"""Whatever happens to the connection or to the server, the screen shows everything, once.

A customer's numbered messages on the screen, compared with what was written and with what the
server has. Where the stream's cursor must do it alone, the page may not have read anything again:
else a hole in the stream would be mended by its second safety net, and not seen here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route

from realtime_events import Cursor
from tests.browser.conftest import Attendant
from tests.browser.cuttable_proxy import CuttableProxy
from tests.browser.on_screen import (
    CatchUps,
    Requests,
    Writer,
    await_idle,
    await_rows,
    await_thread,
    connection,
    open_thread,
    rows,
    texts,
    walk_list,
    watch,
)
from tests.helpers import LiveServer, Simulator, wait_until

Start = Callable[..., LiveServer]
Login = Callable[..., Attendant]
Cut = Callable[[str], CuttableProxy]

BROKEN = r"net::ERR_"  # what the console says of a connection that was cut


def look_at(person: Attendant, customer: Writer) -> Requests:
    """Open the customer's thread, and note what the page reads after that."""
    person.allow_errors(BROKEN)
    person.wait_connected()
    open_thread(person.page, customer.texts[-1])
    watch(person.page)
    return Requests(person.page)


def write_until_some_show(person: Attendant, customer: Writer, count: int) -> None:
    """Begin a burst and return in the middle of it, as the screen tells."""
    before = len(texts(person.page))
    customer.write(count)
    wait_until(lambda: len(texts(person.page)) > before, 25, what="the first of the burst")


@pytest.mark.parametrize("delivery", [pytest.param("stream", marks=pytest.mark.slow), "hold"])
def test_a_connection_cut_in_mid_burst_loses_and_repeats_nothing(
    live_server: Start, simulator: Simulator, attendant: Login, cuttable_proxy: Cut, delivery: str
) -> None:
    proxy = cuttable_proxy(live_server(REALTIME_EVENTS_DELIVERY=delivery).url)
    customer, other = Writer(simulator), Writer(simulator, "5511955550000", "o")
    customer.write(1)
    other.write(1)
    ana = attendant("ana", proxy.url)
    requests = look_at(ana, customer)

    write_until_some_show(ana, customer, 8)
    proxy.cut()
    # In the middle of an event, or of the bytes of one letter: wherever it happens to be.
    sizes = [random.Random(seed).randrange(1800, 6000) for seed in range(4)]
    proxy.cut_each_stream_after(sizes)
    write_until_some_show(ana, customer, 8)
    other.write(3)
    write_until_some_show(ana, customer, 8)
    proxy.refuse()
    customer.write(4)
    other.write(2)
    wait_until(lambda: connection(ana.page) == "connecting")
    proxy.pass_on()
    customer.write(4)

    wait_until(lambda: customer.texts[-1] in texts(ana.page), 25)
    wait_until(lambda: other.texts[-1] in dict(rows(ana.page)).values(), 25)
    assert requests.reads() == []
    await_thread(ana, ana.page, customer.texts)
    await_rows(ana.page, {customer.texts[-1], other.texts[-1]})

    # A thread opened in mid-burst: the same messages come as events and from what it reads.
    held: list[Route] = []
    ana.page.route("**/messages*", lambda route: held.append(route))
    ana.page.locator(".row-text", has_text=other.texts[-1]).click()
    other.write(6)
    wait_until(lambda: other.texts[-1] in dict(rows(ana.page)).values(), 25)
    held[0].continue_()
    wait_until(lambda: len(texts(ana.page)) >= len(other.texts), 25)
    assert texts(ana.page) == other.texts


@pytest.mark.slow
def test_a_server_killed_in_mid_burst_loses_and_repeats_nothing(
    live_server: Start, simulator: Simulator, attendant: Login, cuttable_proxy: Cut
) -> None:
    server = live_server()
    proxy = cuttable_proxy(server.url)
    customer = Writer(simulator)
    customer.write(1)
    ana = attendant("ana", proxy.url)
    requests = look_at(ana, customer)
    write_until_some_show(ana, customer, 10)
    server.kill9()
    customer.write(5)  # WhatsApp tries again until there is a server
    server.restart()  # who is first on it, the page or WhatsApp, is left to chance

    write_until_some_show(ana, customer, 10)
    server.kill9()
    proxy.refuse()
    customer.write(5)
    server.restart()
    await_idle(simulator)
    proxy.pass_on()  # this time the page comes when everything has happened
    wait_until(lambda: len(texts(ana.page)) >= len(customer.texts), 40)
    assert requests.reads() == []
    await_thread(ana, ana.page, customer.texts)
    await_rows(ana.page, {customer.texts[-1]})


@pytest.mark.slow
def test_a_burst_too_big_for_the_cursor_is_shown_whole(
    live_server: Start, simulator: Simulator, attendant: Login, cuttable_proxy: Cut,
    buffering_proxy: Callable[[str], str],
) -> None:  # fmt: skip
    # An overlap and a budget that hold the burst together, however slow the machine.
    server = live_server(
        REALTIME_EVENTS_DELIVERY="hold",
        REALTIME_EVENTS_OVERLAP_SECONDS=60,
        WEBHOOK_BUDGET_SECONDS=100,
    )
    proxy = cuttable_proxy(buffering_proxy(server.url))
    customer = Writer(simulator)
    customer.write(1)
    ana = attendant("ana", proxy.url)
    requests = look_at(ana, customer)

    burst = {"customers": 250, "messages": 4, "batch": 1000, "text": "Promoção"}
    simulator.post("/bursts", burst)
    customer.write(20)
    listed = ana.page.locator(".conversation-list [aria-setsize]").first
    wait_until(
        lambda: int(listed.get_attribute("aria-setsize") or 0) > 20,
        40,
        what="the first of the burst",
    )
    customer.write(20)
    proxy.cut()

    expected = [*["Promoção 4"] * 250, customer.texts[-1]]
    wait_until(lambda: sorted(text for _, text in walk_list(ana.page)) == sorted(expected), 60)
    wait_until(lambda: len(texts(ana.page)) >= len(customer.texts), 20)
    customer.write(1)  # the page goes on from a cursor that did not hold all its ids
    await_thread(ana, ana.page, customer.texts)
    assert requests.reads() == []
    cursors = [parse_qs(urlsplit(target).query).get("after") for target in proxy.targets]
    assert any(Cursor.decode(after[0]).width > 1 for after in cursors if after), "it all fitted"
    ana.page.locator("[data-conversation-id]", has_text="Promoção").last.click()
    wait_until(lambda: texts(ana.page) == [f"Promoção {n}" for n in range(1, 5)])


def test_two_tabs_share_one_connection_and_closing_the_leader_loses_nothing(
    live_server: Start, simulator: Simulator, attendant: Login, cuttable_proxy: Cut
) -> None:
    proxy = cuttable_proxy(live_server().url)
    customer = Writer(simulator)
    customer.write(1)
    ana = attendant("ana", proxy.url)
    look_at(ana, customer)
    leader, other = ana.page, ana.new_tab()
    requests, catch_ups = Requests(other), CatchUps(other)
    other.goto(leader.url)
    other.wait_for_selector("html[data-connection=connected]")
    other.wait_for_selector("[data-message-id]")
    watch(other)
    catch_ups.await_last()
    wait_until(lambda: proxy.open_streams() == 1, what="one connection for both")
    requests.paths.clear()

    customer.write(10)
    for page in (leader, other):
        await_thread(ana, page, customer.texts)
    assert proxy.open_streams() == 1
    assert requests.paths == [], "the other tab asked for itself"

    write_until_some_show(ana, customer, 10)
    leader.close()
    customer.write(10)
    wait_until(lambda: len(texts(other)) >= len(customer.texts), 25)
    assert requests.reads() == []
    await_thread(ana, other, customer.texts)
    assert other.evaluate("document.documentElement.dataset.connection") == "connected"
    assert proxy.open_streams() == 1

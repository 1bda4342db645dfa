"""static/realtime_events.js in real tabs: one leads, the others follow, over real connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.realtime_client.scripted_server import Answer, ScriptedServer, block, status
from tests.helpers import wait_until

OpenTab = Callable[..., Page]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer().start()
    yield server
    server.stop()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext, server: ScriptedServer) -> OpenTab:
    """`tab(after=3)`: a new tab of the browser, rendered with that cursor, its client started."""

    def open_tab(after: int = 0, options: str = "", where: BrowserContext | None = None) -> Page:
        page = (where or context).new_page()
        page.goto(server.url)
        page.wait_for_function("window.ready")
        page.evaluate(f"begin({{ cursor: '{after}', {options} }})")
        return page

    return open_tab


def wait_for_events(page: Page, *expected: str) -> None:
    """Until the page had these events, each once, in this order."""
    page.wait_for_function("(n) => got.events.length >= n", arg=len(expected))
    assert page.evaluate("got.events") == list(expected)


def wait_connected(page: Page) -> None:
    page.wait_for_selector("html[data-connection=connected]")


def lives(server: ScriptedServer) -> list[dict[str, str]]:
    """The requests that are no catch-up of a follower."""
    return [asked for asked in server.requests if not is_catch_up(asked)]


def is_catch_up(asked: dict[str, str]) -> bool:
    return asked.get("delivery") == "hold" and asked.get("hello") == "1"


def pass_the_lead(leader: Page, follower: Page, server: ScriptedServer) -> None:
    before = len(lives(server))
    leader.close()
    wait_until(lambda: len(lives(server)) > before, what="another tab connects")
    wait_connected(follower)


def test_a_stream_arrives_as_it_is_sent(server: ScriptedServer, tab: OpenTab) -> None:
    page = tab()
    first = server.publish()
    wait_for_events(page, first)
    second = server.publish()
    wait_for_events(page, first, second)
    assert len(server.requests) == 1


def test_a_character_may_arrive_byte_by_byte(server: ScriptedServer, tab: OpenTab) -> None:
    def trickle(answer: Answer) -> None:
        for byte in block("message.created", {"text": "olá 👍🏽"}, id="e1", cursor="1").encode():
            answer.send(bytes([byte]))
        answer.silence()

    server.script = [trickle]
    page = tab(options="on: { event: (event) => { got.events.push(event.data.text); } }")
    wait_for_events(page, "olá 👍🏽")


def test_behind_a_buffering_front_end_events_arrive_by_held_answers(
    server: ScriptedServer, tab: OpenTab
) -> None:
    server.buffered = True
    page = tab()
    wait_connected(page)
    first = server.publish()
    wait_for_events(page, first)
    second = server.publish()
    wait_for_events(page, first, second)
    deliveries = [asked.get("delivery") for asked in server.requests]
    assert deliveries[0] is None
    assert set(deliveries[1:]) == {"hold"}


def test_two_tabs_share_one_connection_and_both_get_each_event_once(
    server: ScriptedServer, tab: OpenTab
) -> None:
    missed = server.publish()
    leader = tab()
    wait_for_events(leader, missed)
    follower = tab()
    wait_for_events(follower, missed)
    # The follower asked again after what it got, and was told that this was all.
    wait_until(
        lambda: len(server.requests) == 3 and server.streams == 1, what="the follower has caught up"
    )
    later = [server.publish() for _ in range(20)]
    wait_for_events(leader, missed, *later)
    wait_for_events(follower, missed, *later)
    assert len(server.requests) == 3
    assert server.streams == 1
    assert len(lives(server)) == 1
    wait_connected(follower)


def test_tabs_of_two_users_share_nothing(server: ScriptedServer, tab: OpenTab) -> None:
    tab()
    tab(options="user: 'bruno'")
    wait_until(lambda: server.streams == 2, what="a connection for each user")
    assert len(lives(server)) == 2


def test_a_leader_that_closes_in_a_burst_loses_and_repeats_nothing(
    server: ScriptedServer, tab: OpenTab
) -> None:
    leader, second, third = tab(), tab(), tab()
    for page in (leader, second, third):
        wait_connected(page)
    expected = []
    for n in range(150):
        expected.append(server.publish())
        if n == 50:
            pass_the_lead(leader, second, server)
    wait_for_events(second, *expected)
    wait_for_events(third, *expected)
    pass_the_lead(second, third, server)
    last = server.publish()
    wait_for_events(third, *expected, last)


def test_what_only_the_new_leader_had_seen_reaches_the_other_followers(
    server: ScriptedServer, context: BrowserContext, tab: OpenTab
) -> None:
    """The old leader dies before it passes an event on, and the next one already has it."""
    server.publish()
    old = context.new_page()
    old.goto(server.url)
    old.evaluate(
        "() => void navigator.locks.request('realtime_events:ana', () => new Promise(() => {}))"
    )
    ahead = tab()  # waits for the lock first
    follower = tab(options="env: new FakeClock().env")  # never gives the leader up
    wait_for_events(ahead, "e1")
    wait_for_events(follower, "e1")
    # Each asked again after what it got, and was told that this was all.
    wait_until(lambda: len(server.requests) == 4 and not server.streams, what="both have caught up")
    missed = server.publish()
    ahead.evaluate("client.reconnect()")
    wait_for_events(ahead, "e1", missed)
    assert follower.evaluate("got.events") == ["e1"]
    old.close()
    wait_for_events(follower, "e1", missed)


def test_a_follower_that_no_leader_answers_connects_for_itself_until_one_does(
    server: ScriptedServer, context: BrowserContext, tab: OpenTab
) -> None:
    silent = context.new_page()
    silent.goto(server.url)
    silent.evaluate(
        """() => {
          navigator.locks.request("realtime_events:ana", () => new Promise(() => {}));
          window.channel = new BroadcastChannel("realtime_events:ana");
        }"""
    )
    follower = tab(options="env: (window.clock = new FakeClock()).env")
    wait_connected(follower)
    wait_until(lambda: server.streams == 0, what="the catch-up has ended")
    follower.evaluate("clock.advance(9000)")
    assert lives(server) == []
    follower.evaluate("clock.advance(3000)")
    wait_until(lambda: len(lives(server)) == 1, what="the follower connects for itself")
    event = server.publish()
    wait_for_events(follower, event)
    silent.evaluate("channel.postMessage({ kind: 'beat', cursor: '0', state: 'connected' })")
    wait_until(lambda: server.streams == 0, what="the follower stops connecting for itself")
    assert len(lives(server)) == 1
    assert follower.evaluate("got.events") == [event]


def test_a_frozen_leader_is_replaced_and_connects_at_once_when_it_wakes(
    server: ScriptedServer, context: BrowserContext, tab: OpenTab
) -> None:
    leader = tab(options="env: { now: () => Date.now() + (window.asleep ?? 0) }")
    wait_connected(leader)
    follower = tab(options="env: (window.clock = new FakeClock()).env")
    wait_connected(follower)
    # A headless page is never hidden, so it cannot be frozen for real: the debugger stops it.
    debugger = context.new_cdp_session(leader)
    debugger.send("Debugger.enable")
    debugger.send("Debugger.pause")
    follower.evaluate("clock.advance(12_000)")
    wait_until(lambda: len(lives(server)) == 2, what="the follower connects for itself")
    first = server.publish()
    wait_for_events(follower, first)
    debugger.send("Debugger.disable")
    leader.evaluate("() => { window.asleep = 60_000; }")
    wait_until(lambda: len(lives(server)) == 3, what="the leader connects again")
    wait_until(lambda: server.streams == 1, what="the follower follows again")
    second = server.publish()
    wait_for_events(leader, first, second)
    wait_for_events(follower, first, second)


COUNT_BEATS = """() => {
  window.beats = 0;
  new BroadcastChannel("realtime_events:ana").onmessage = ({ data }) => {
    if (data.kind === "beat") window.beats += 1;
  };
}"""


def test_a_throttled_leader_answers_its_followers(server: ScriptedServer, tab: OpenTab) -> None:
    """Its timers may be late by a minute: here they never run at all."""
    tab(options="env: new FakeClock().env")
    follower = tab(options="env: (window.clock = new FakeClock()).env")
    wait_connected(follower)
    follower.evaluate(COUNT_BEATS)
    for answered in range(1, 6):
        follower.evaluate("clock.advance(5_000)")
        follower.wait_for_function("(n) => beats >= n", arg=answered)
    assert len(lives(server)) == 1


def test_a_throttled_follower_asks_before_it_gives_a_leader_up(
    server: ScriptedServer, context: BrowserContext, tab: OpenTab
) -> None:
    """Its timers run once a minute: silence since the last one says nothing yet."""
    leader = tab(options="env: new FakeClock().env")  # no heartbeat by itself
    follower = tab(options="env: (window.clock = new FakeClock()).env")
    wait_connected(follower)
    follower.evaluate("() => void Object.defineProperty(document, 'hidden', { value: true })")
    follower.evaluate(COUNT_BEATS)
    minute = "(async () => { clock.time += 60_000; await clock.advance(1); })()"
    for answered in range(1, 4):
        follower.evaluate(minute)
        follower.wait_for_function("(n) => beats >= n", arg=answered)
    assert len(lives(server)) == 1
    debugger = context.new_cdp_session(leader)
    debugger.send("Debugger.enable")
    debugger.send("Debugger.pause")
    follower.evaluate(minute)
    follower.evaluate(minute)
    wait_until(lambda: len(lives(server)) == 2, what="the follower connects for itself")
    debugger.send("Debugger.disable")


def test_a_browser_without_locks_or_channel_connects_for_itself(
    server: ScriptedServer, tab: OpenTab
) -> None:
    pages = [tab(), tab(options="env: { locks: undefined }")]
    pages.append(tab(options="env: { BroadcastChannel: undefined }"))
    wait_until(lambda: server.streams == 3, what="three connections")
    event = server.publish()
    for page in pages:
        wait_for_events(page, event)


def test_closing_a_client_passes_the_lead_on(server: ScriptedServer, tab: OpenTab) -> None:
    leader, follower = tab(), tab()
    wait_connected(follower)
    leader.evaluate("client.close()")
    wait_until(lambda: len(lives(server)) == 2, what="the follower leads")
    event = server.publish()
    wait_for_events(follower, event)
    assert leader.evaluate("got.events") == []


def test_a_reset_reaches_every_tab(server: ScriptedServer, tab: OpenTab) -> None:
    def reset_then_log(answer: Answer) -> None:
        answer.send(block("hello", {"delivery": "stream", "cursor": "0"}))
        if answer.wait(lambda: bool(server.events)):
            answer.send(block("reset", {"cursor": "1"}, cursor="1"))
            answer.silence()

    def caught_up(answer: Answer) -> None:
        answer.send(block("hello", {"delivery": "hold", "cursor": "0"}))
        answer.end()

    server.script = [reset_then_log, caught_up]
    options = "env: { random: () => 0.01 }"
    leader = tab(options=options)
    wait_connected(leader)  # the first request is the leader's
    follower = tab(options=options)
    wait_connected(follower)
    server.publish()
    for page in (leader, follower):
        page.wait_for_function("got.resets === 1")


def test_a_connection_cut_inside_an_event_is_resumed_without_loss(
    server: ScriptedServer, tab: OpenTab
) -> None:
    had_first = threading.Event()

    def cut(answer: Answer) -> None:
        answer.send(block("hello", {"delivery": "stream"}) + server.events[0])
        answer.send(server.events[1][:40])
        answer.wait(had_first.is_set)
        answer.cut()

    def rest(answer: Answer) -> None:
        answer.send("".join(server.events[int(answer.asked["after"]) :]))
        answer.silence()

    ids = [server.publish(), server.publish()]
    server.script = [cut, rest]
    page = tab()
    wait_for_events(page, ids[0])
    had_first.set()
    wait_for_events(page, *ids)
    assert [asked["after"] for asked in server.requests] == ["0", "1"]


@pytest.mark.parametrize(
    "answer",
    [
        status(503, Retry_After="0"),
        status(500),
        status(200),
        lambda answer: answer.end(),
        lambda answer: answer.cut(),
        lambda answer: (answer.send("retry: 0\n\n"), answer.end()),
    ],
    ids=["503", "500", "HTML", "empty", "cut", "retry 0"],
)
def test_a_failing_server_is_asked_rarely_and_its_return_is_noticed(
    server: ScriptedServer, tab: OpenTab, answer: Any
) -> None:
    server.script = [answer]
    page = tab(options="env: { random: () => 0.99 }")
    wait_until(lambda: len(server.requests) >= 2, what="a second attempt")
    page.wait_for_selector("html[data-connection=connecting]")
    page.wait_for_function("performance.now() > 2500")
    assert len(server.requests) <= 4
    server.script = []
    page.evaluate("client.reconnect()")
    wait_connected(page)
    event = server.publish()
    wait_for_events(page, event)


@pytest.mark.parametrize(
    "how", [status(401, "application/json", "{}"), status(302, Location="/login?x=1")]
)
def test_a_lost_login_leads_to_the_login_once(
    server: ScriptedServer, tab: OpenTab, how: Any
) -> None:
    server.script = [how]
    page = tab()
    page.wait_for_function("got.logins === 1")
    page.evaluate("client.reconnect()")
    page.evaluate("settle()")
    assert len(server.requests) == 1
    assert page.evaluate("got.logins") == 1


def test_a_lost_login_loads_the_page_anew_unless_the_host_sees_to_it(
    server: ScriptedServer, tab: OpenTab
) -> None:
    page = tab()
    server.script = [status(401)]
    server.pages["/"] = [status(302, Location="/login?next=/")]
    page.evaluate("void realtime.startPage({ url: '/realtime', user: 'bruno', cursor: '0' })")
    page.wait_for_url("**/login?next=/")


def test_a_network_that_comes_back_is_used_at_once(
    server: ScriptedServer, context: BrowserContext, tab: OpenTab
) -> None:
    page = tab()
    wait_connected(page)
    context.set_offline(True)
    page.wait_for_selector("html[data-connection=offline]")
    event = server.publish()
    context.set_offline(False)
    wait_connected(page)
    wait_for_events(page, event)

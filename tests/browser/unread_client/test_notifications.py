"""Desktop notifications, the sound, and the quiet line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.unread_client.conftest import Run
from tests.helpers import wait_until

AWAY = """
  begin();
  focus(false);
  const arrive = async (id, n, more = {}, about = {}) => {
    unread.onEvent(created(id, incoming(n), { ...numbers(n, 0), ...about }, more));
    await settle();
  };
"""


def test_one_a_conversation_until_it_is_read_anywhere(run: Run) -> None:
    seen = run(
        AWAY
        + """
        await arrive("a", 1);
        await arrive("b", 1);
        const [first] = FakeNotification.made;
        const { title, body, renotify } = first;
        const seen = [FakeNotification.standing, title, body, renotify, world.tones];
        unread.onEvent(changed("a", { ...numbers(1, 1), silent: false, version: 2 }));
        seen.push(FakeNotification.standing);
        unread.onEvent(changed("b", { ...numbers(1, 0), silent: true, version: 2 }));
        return [...seen, FakeNotification.standing];
        """
    )
    assert seen == [["a", "b"], "a", "texto", True, 1, ["b"], []]


def test_a_click_opens_the_conversation(run: Run) -> None:
    assert run(
        AWAY
        + """
        await arrive("a", 1);
        FakeNotification.made[0].onclick();
        return [got.selects, FakeNotification.standing, location.search];
        """
    ) == [[["a", "click"]], [], "?c=a"]


@pytest.mark.parametrize(
    "but",
    [
        "focus(true); await arrive('a', 1);",
        "await arrive('a', 1, {}, { silent: true });",
        "await world.clock.advance(60_000); await arrive('a', 1, { age: 15_500 });",
        "await arrive('a', 1, { age: 4_000 });",  # the page began with it
        "unread.onEvent(created('a', incoming(1, { counts_unread: false }), numbers(0, 0)));",
        "unread.onEvent(created('a', outgoing(1), numbers(0, 0)));",
        "await arrive('a', 1, {}, numbers(1, 1));",  # read elsewhere before it came
    ],
)
def test_there_is_silence(run: Run, but: str) -> None:
    quiet = "return [FakeNotification.made.length, world.tones];"
    assert run(f"{AWAY} {but} await settle(); {quiet}") == [0, 0]


def test_each_setting_is_its_own_and_survives_a_reload(run: Run) -> None:
    seen = run(
        AWAY
        + """
        unread.alerts.setWanted("sound", false);
        await arrive("a", 1);
        const seen = [[FakeNotification.made.at(-1).silent, world.tones]];
        unread.alerts.setWanted("notifications", false);
        seen.push(FakeNotification.standing);
        dispatchEvent(new PageTransitionEvent("pagehide"));
        begin();
        focus(false);
        seen.push([unread.alerts.wants("sound"), unread.alerts.wants("notifications")]);
        unread.alerts.setWanted("sound", true);
        unread.onEvent(created("b", incoming(1), numbers(1, 0)));
        await settle();
        return [...seen, [FakeNotification.made.length, world.tones]];
        """
    )
    assert seen == [[True, 0], [], [False, False], [0, 1]]


def test_where_no_tone_may_play_the_notification_rings(run: Run) -> None:
    assert run(
        """
        begin({ env: { playTone: () => false } });
        focus(false);
        unread.onEvent(created("a", incoming(1), numbers(1, 0)));
        await settle();
        return [FakeNotification.made[0].silent, world.tones];
        """
    ) == [False, 0]


def test_without_permission_all_else_goes_on(run: Run) -> None:
    seen = run(
        AWAY
        + """
        FakeNotification.permission = "denied";
        await arrive("a", 1);
        unread.show();
        const seen = [unread.alerts.asks, document.title, FakeNotification.made.length];
        class Forbidden {
          static permission = "granted";
          constructor() { throw new TypeError("Illegal constructor"); }
        }
        begin({ env: { Notification: Forbidden } });
        focus(false);
        await arrive("b", 1);
        await arrive("b", 2);
        return [...seen, unread.alerts.permission, unread.totals().messages];
        """
    )
    assert seen == [False, "(1) Atendimento", 0, "unsupported", 2]


def test_it_asks_until_answered_or_dismissed_and_never_by_itself(run: Run) -> None:
    assert run(
        """
        let asked = 0;
        FakeNotification.requestPermission = async () => { asked += 1; };
        begin();
        FakeNotification.permission = "default";
        const seen = [unread.alerts.asks, asked];
        await unread.alerts.askPermission();
        seen.push(asked, unread.alerts.asks);
        unread.alerts.setWanted("notifications", false);
        begin();
        FakeNotification.permission = "default";
        return [...seen, unread.alerts.asks];
        """
    ) == [True, 0, 1, True, False]


def test_a_catch_up_is_one_quiet_line(run: Run) -> None:
    seen = run(
        AWAY
        + """
        unread.select("open");
        draw([incoming(1)]);
        await world.clock.advance(120_000);
        for (let n = 1; n <= 50; n += 1) {
          await arrive(`c${n % 4}`, Math.ceil(n / 4), { age: 60_000 });
        }
        focus(true);
        await arrive("open", 1, { age: 60_000 });  // what is being read needs no line
        unread.onEvent(changed("c0", numbers(12, 12)));
        await world.clock.advance(5000);
        return [got.digests, FakeNotification.made.length, world.tones];
        """
    )
    assert seen == [["38 mensagens novas em 3 conversas"], 0, 0]


def test_a_message_is_told_once_whatever_event_brings_it(run: Run) -> None:
    seen = run(
        AWAY
        + """
        await arrive("a", 3);
        await world.clock.advance(5000);
        await arrive("a", 3);  // a slow commit publishes its events again
        await arrive("a", 2);  // overtaken
        const seen = [FakeNotification.made.length, world.tones];
        unread.learn({ id: "a", ...numbers(4, 0) });  // the list was faster than the event
        await arrive("a", 4);
        return [...seen, FakeNotification.made.length];
        """
    )
    assert seen == [1, 1, 2]


def test_what_the_page_began_with_is_no_news(run: Run) -> None:
    seen = run(
        AWAY
        + """
        unread.learn({ id: "row", ...numbers(3, 1), silent: false, version: 1 });
        const by_conversation = { row: numbers(3, 1), beyond: numbers(2, 0) };
        world.server = () => ({ by_conversation, limit_reached: false });
        await unread.load();
        await arrive("row", 3);
        await arrive("beyond", 2);
        const seen = FakeNotification.made.length;
        await arrive("row", 4);
        await arrive("beyond", 3);
        return [seen, FakeNotification.standing];
        """
    )
    assert seen == [0, ["row", "beyond"]]


def test_messages_of_one_transaction_are_told_each_by_its_own_number(run: Run) -> None:
    """The conversation that comes with them has the numbers of all."""
    bodies = run(
        AWAY
        + """
        for (const message of many(1, 3)) {
          unread.onEvent(created("a", { ...message, text: message.id }, numbers(3, 0)));
          await settle();
        }
        return FakeNotification.made.map(({ body }) => body);
        """
    )
    assert bodies == ["m1", "m2", "m3"]


def test_a_page_that_was_put_away_notifies_again_when_it_is_shown(run: Run) -> None:
    seen = run(
        AWAY
        + """
        const made = async (n) => { await arrive("a", n); return FakeNotification.made.length; };
        const seen = [await made(1)];
        dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
        seen.push(FakeNotification.standing.length, await made(2));
        dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
        return [...seen, await made(3)];
        """
    )
    assert seen == [1, 0, 1, 2]


HELD = """(async () => {
  const { held } = await navigator.locks.query();
  return held.map(({ name }) => name.split(":").slice(1).join()).sort();
})()"""


def begin_unfocused(page: Page, env: str = "{}") -> None:
    page.evaluate(f"begin({{ env: {env}, focused: false }}); undefined")


def arrive(n: int, *tabs: Page) -> None:
    """The n-th message comes, which every tab is told of."""
    event = f"{{ ...created('a', incoming({n}), numbers({n}, 0)), id: 'event {n}' }}"
    for tab in tabs:
        tab.evaluate(f"(async () => {{ unread.onEvent({event}); await settle(); }})()")


def made(tab: Page) -> int:
    count: int = tab.evaluate("FakeNotification.made.length")
    return count


@pytest.fixture
def other(page: Page) -> Iterator[Page]:
    """A second tab of the same browser."""
    tab = page.context.new_page()
    tab.goto(page.url)
    tab.wait_for_function("window.unreadReady")
    yield tab
    tab.close()


def test_one_tab_of_a_browser_notifies_and_none_while_any_has_focus(
    page: Page, other: Page
) -> None:
    def wait_for_locks(*held: str) -> None:
        wait_until(lambda: page.evaluate(HELD) == list(held), what=f"the locks {held}")

    for tab in (page, other):
        begin_unfocused(tab, "{ locks: navigator.locks }")
    wait_for_locks("ana,notifier")
    arrive(1, page, other)
    wait_until(lambda: made(page) == 1)
    assert made(other) == 0

    other.evaluate("focus(true)")
    wait_for_locks("ana,focused", "ana,notifier")
    arrive(2, page, other)
    other.evaluate("focus(false)")
    wait_for_locks("ana,notifier")
    arrive(3, page, other)
    wait_until(lambda: made(page) >= 2)
    assert made(page) == 2  # the second was silent

    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide'))")
    numbers = itertools.count(4)

    def taken_over() -> bool:
        arrive(next(numbers), page, other)
        return made(other) > 0

    wait_until(taken_over, what="the other tab to notify")
    assert made(page) == 2


def test_two_tabs_ring_once_for_one_message(page: Page, other: Page) -> None:
    """Without locks each tab notifies: the browser shows one, and one of them rings."""
    for tab in (page, other):
        begin_unfocused(tab)
    arrive(1, page, other)
    assert [tab.evaluate("world.tones") for tab in (page, other)] == [1, 0]
    assert (made(page), made(other)) == (1, 1)
    assert other.evaluate("FakeNotification.made[0].silent")

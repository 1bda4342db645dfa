"""Desktop notifications, the sound, and the quiet line."""

from __future__ import annotations

import pytest

from tests.browser.unread_client.conftest import Run

AWAY = """
  begin({ initial: {} });
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
        unread.onEvent(changed("a", { ...numbers(1, 1), silent: false, conversation_version: 2 }));
        seen.push(FakeNotification.standing);
        unread.onEvent(changed("b", { ...numbers(1, 0), silent: true, conversation_version: 2 }));
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
        "await arrive('a', 1, {}, { muted: true });",
        "await arrive('a', 1, {}, { archived: true });",
        "await arrive('a', 1, { age: 15_500 });",
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
        unread.settings.sound = false;
        await arrive("a", 1);
        const seen = [[FakeNotification.made.at(-1).silent, world.tones]];
        unread.settings.notifications = false;
        seen.push(FakeNotification.standing);
        unread.close();
        begin();
        focus(false);
        seen.push([unread.settings.sound, unread.settings.notifications]);
        unread.settings.sound = true;
        unread.onEvent(created("b", incoming(1), numbers(1, 0)));
        await settle();
        return [...seen, [FakeNotification.made.length, world.tones]];
        """
    )
    assert seen == [[True, 0], [], [False, False], [0, 1]]


def test_where_no_tone_may_play_the_notification_rings(run: Run) -> None:
    assert run(
        """
        begin({ env: { canPlay: () => false } });
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
        const seen = [unread.asks, document.title, FakeNotification.made.length];
        class Forbidden {
          static permission = "granted";
          constructor() { throw new TypeError("Illegal constructor"); }
        }
        begin({ env: { Notification: Forbidden } });
        focus(false);
        await arrive("b", 1);
        await arrive("b", 2);
        return [...seen, unread.permission, unread.totals().messages];
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
        const seen = [unread.asks, asked];
        await unread.askPermission();
        seen.push(asked, unread.asks);
        unread.dismissAsk();
        begin();
        FakeNotification.permission = "default";
        return [...seen, unread.asks];
        """
    ) == [True, 0, 1, True, False]


def test_a_catch_up_is_one_quiet_line(run: Run) -> None:
    seen = run(
        AWAY
        + """
        unread.select("open");
        draw([incoming(1)]);
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

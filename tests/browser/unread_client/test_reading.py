"""When an open conversation counts as read, and where its divider stands."""

from __future__ import annotations

import pytest

from tests.browser.unread_client.conftest import Run

OPEN = """
  begin({ initial: { by_conversation: { c: numbers(3, 0) } } });
  const messages = [incoming(1), incoming(2), incoming(3)];
  world.server = () => ({ conversation_id: "c", ...numbers(3, 3) });
"""


@pytest.mark.parametrize(
    "but",
    [
        "world.focused = false;",
        "opened.newest = false;",
        "opened.height = 900;",  # the end is far below the view
        "unread.select(null);",
        "threadNode.style.display = 'none';",
    ],
)
def test_a_conversation_is_read_only_when_all_conditions_hold(run: Run, but: str) -> None:
    body = """
      unread.select("c");
      const opened = {};
      %s
      draw(messages, opened);
      await settle();
      return reads();
    """
    assert run(OPEN + body % but) == []
    assert run(OPEN + "threadNode.style.display = '';" + body % "") == [["c", "m3"]]


@pytest.mark.parametrize("gesture", ["pointerdown", "keydown", "wheel", "touchmove"])
def test_a_restored_conversation_waits_for_a_gesture(run: Run, gesture: str) -> None:
    seen = run(
        """
        sessionStorage.setItem("unread_state:ana:selected", "c");
        """
        + OPEN
        + """
        unread.restore();
        draw(messages);
        focus(false); focus(true);
        await world.clock.advance(60_000);
        const before = [got.selects, reads()];
        touch(arg);
        await settle();
        return [...before, reads(), unread.badge("c")];
        """,
        gesture,
    )
    unread = {"count": 0, "marked": False}
    assert seen == [[["c", "restored"]], [], [["c", "m3"]], unread]


def test_who_only_passes_by_the_window_has_not_read(run: Run) -> None:
    seen = run(
        OPEN
        + """
        unread.select("c");
        world.focused = false;
        draw(messages);
        focus(false); focus(true);
        await world.clock.advance(2400);
        const seen = [reads().length];
        focus(false);
        await world.clock.advance(5000);
        seen.push(reads().length);
        focus(true);
        await world.clock.advance(2600);
        return [...seen, reads()];
        """
    )
    assert seen == [0, 0, [["c", "m3"]]]


def test_reading_is_up_to_what_arrived_last_wherever_it_stands(run: Run) -> None:
    assert run(
        OPEN
        + """
        unread.select("c");
        const unsent = { id: "local", direction: "out", position: "~" };
        draw([incoming(9, { position: "000000" }), incoming(1), outgoing(4), unsent]);
        await settle();
        return reads();
        """
    ) == [["c", "m9"]]


def test_a_read_that_fails_is_taken_back_and_tried_again_ever_later(run: Run) -> None:
    seen = run(
        OPEN
        + """
        world.server = async () => {
          await settle();
          throw Object.assign(new Error("unavailable"), { status: 503 });
        };
        unread.select("c");
        draw(messages);
        const seen = [unread.badge("c").count];
        await settle(); await settle();
        seen.push(unread.badge("c").count, reads().length);
        await world.clock.advance(10_000);
        seen.push(reads().length);
        await world.clock.advance(600_000);
        seen.push(reads().length);
        world.server = () => ({ conversation_id: "c", ...numbers(3, 3) });
        await world.clock.advance(60_000);
        const done = reads().length;
        await world.clock.advance(600_000);
        return [...seen, unread.badge("c").count, reads().length - done];
        """
    )
    at_once, after, first, soon, long_after, left, more = seen
    assert (at_once, after, first) == (0, 3, 1)
    assert 2 <= soon <= 4
    assert soon < long_after <= 20
    assert (left, more) == (0, 0)


def test_a_message_that_comes_while_one_looks_is_read_once_and_loads_nothing(run: Run) -> None:
    """The page learns the numbers before it has drawn the message they count."""
    seen = run(
        OPEN
        + """
        let all = messages;
        world.server = (method, path, { up_to: id }) => {
          const upTo = all.findIndex((message) => message.id === id) + 1;
          return { conversation_id: "c", ...numbers(all.length, upTo) };
        };
        unread.select("c");
        draw(() => all, { hasOlder: true, height: 10 });
        await settle();
        for (const arrival of [4, 5, 6]) {
          all = [...all, incoming(arrival)];
          unread.learn({ id: "c", version: arrival, ...numbers(arrival, arrival - 1) });
          unread.onEvent(created("c", all.at(-1), numbers(arrival, arrival - 1)));
          for (let times = 0; times < 4; times += 1) await settle();
        }
        return [reads(), world.older, unread.badge("c").count];
        """
    )
    assert seen == [[["c", f"m{n}"] for n in (3, 4, 5, 6)], [], 0]


def test_one_read_at_a_time_and_none_that_would_change_nothing(run: Run) -> None:
    seen = run(
        OPEN
        + """
        let answer;
        world.server = () => new Promise((resolve) => { answer = resolve; });
        unread.select("c");
        draw(messages);
        unread.rendered(); unread.rendered();
        await settle();
        const seen = [reads().length];
        unread.onEvent(created("c", incoming(4), numbers(4, 0)));
        answer({ conversation_id: "c", ...numbers(4, 3) });
        await settle();
        seen.push(reads().length, unread.badge("c").count);  // the fourth is not drawn yet
        draw([...messages, incoming(4)]);
        threadNode.scrollTop = 10_000;
        await settle();
        answer({ conversation_id: "c", ...numbers(4, 4) });
        await settle();
        unread.rendered();
        return [...seen, reads(), unread.badge("c").count];
        """
    )
    assert seen == [1, 1, 1, [["c", "m3"], ["c", "m4"]], 0]


def test_a_mark_set_while_open_stays_until_opened_again_or_answered(run: Run) -> None:
    seen = run(
        OPEN
        + """
        let flips = 0;
        world.server = (_, path) => {
          if (flips % 2 === (path.endsWith("/read") ? 1 : 0)) flips += 1;
          return { conversation_id: "c", ...numbers(3, 3, flips) };
        };
        unread.select("c");
        draw(messages);
        await settle();
        await unread.markUnread("c");
        touch(); unread.rendered();
        await world.clock.advance(60_000);
        const seen = [unread.badge("c"), reads().length];
        unread.select("c");
        draw(messages);
        await settle();
        seen.push(unread.badge("c"), reads().length);
        unread.onEvent(changed("c", numbers(3, 3, 3)));  // a colleague marks it
        await world.clock.advance(60_000);
        seen.push(unread.badge("c").marked, unread.answered(), unread.badge("c").marked);
        return seen;
        """
    )
    marked, none = {"count": 0, "marked": True}, {"count": 0, "marked": False}
    assert seen == [marked, 1, none, 2, True, "m3", False]


def test_an_answer_that_never_goes_out_reads_nothing(run: Run) -> None:
    seen = run(
        OPEN
        + """
        unread.select("c");
        world.focused = false;
        draw(messages);
        const seen = [unread.answered(), unread.badge("c").count];
        await world.clock.advance(11_000);
        return [...seen, unread.badge("c").count, reads()];
        """
    )
    assert seen == ["m3", 0, 3, []]


def test_what_came_late_and_stands_far_above_is_found_and_read(run: Run) -> None:
    seen = run(
        """
        begin({ initial: { by_conversation: { c: numbers(9, 8) } } });
        const late = incoming(9, { position: "000001" });
        const newest = [incoming(7), incoming(8)];
        world.server = (_, path, { up_to }) =>
          ({ conversation_id: "c", ...numbers(9, up_to === "m9" ? 9 : 8) });
        unread.select("c");
        draw(newest, { hasOlder: true });
        await settle();
        for (let n = 0; n < 5; n += 1) unread.rendered();
        const seen = [reads(), unread.badge("c").count, [...world.older]];
        draw([incoming(6), ...newest], { hasOlder: true });
        draw([late, incoming(6), ...newest], { hasOlder: true });
        await settle();
        return [...seen, reads().at(-1), unread.badge("c").count, world.older.length];
        """
    )
    assert seen == [[["c", "m8"]], 1, ["c"], ["c", "m9"], 0, 2]


@pytest.mark.parametrize(
    ("messages", "n", "found"),
    [
        ("[incoming(1), incoming(2), incoming(3)]", 2, ["m2", True]),
        ("[incoming(1), outgoing(2), incoming(3)]", 2, ["m1", True]),
        ("[incoming(5, { position: '000000' }), incoming(1), incoming(2)]", 2, ["m5", True]),
        ("[incoming(1), incoming(2, { counts_unread: false })]", 1, ["m1", True]),
        ("[incoming(7)]", 3, ["m7", False]),
        ("[outgoing(1)]", 1, [None, False]),
    ],
)
def test_the_divider_stands_before_the_topmost_of_the_newest(
    run: Run, messages: str, n: int, found: list[object]
) -> None:
    got = run(f"return firstUnread({messages}, {n})")
    assert [got["messageId"], got["complete"]] == found


def test_opening_loads_back_to_the_first_unread_and_freezes_the_number(run: Run) -> None:
    seen = run(
        """
        begin({ initial: { by_conversation: { c: numbers(60, 0) } } });
        const all = Array.from({ length: 61 }, (_, n) => incoming(n + 1));
        const page = (from, to) => all.slice(from - 1, to);
        const open = () => draw(page(51, 60), { hasOlder: true });
        unread.select("c");
        const seen = [open(), open()];
        seen.push(reads().length);
        unread.onEvent(created("c", incoming(61), numbers(61, 0)));
        seen.push(draw(page(1, 61)), draw(page(1, 61)), world.older.length > 0);
        return seen;
        """
    )
    pending = {"divider": None, "place": None}
    divider = {"messageId": "m2", "count": 60}
    assert seen[:3] == [pending, pending, 0]
    assert seen[3] == {"divider": divider, "place": {"messageId": "m2", "divider": True}}
    assert seen[4] == {"divider": divider, "place": None}
    assert seen[5] is True


def test_older_pages_for_the_divider_have_a_bound(run: Run) -> None:
    laid, asked = run(
        """
        begin({ initial: { by_conversation: { c: numbers(9999, 0) } } });
        unread.select("c");
        let laid;
        for (let n = 1; n < 60; n += 1) {
          const messages = Array.from({ length: n }, (_, each) => incoming(9000 - each));
          laid = draw(messages, { hasOlder: true });
          if (laid.place) break;
        }
        return [laid, world.older.length];
        """
    )
    assert laid["divider"]["count"] == 9999
    assert asked == 20


def test_the_divider_grows_while_nobody_looks_and_goes_when_it_has_served(run: Run) -> None:
    seen = run(
        """
        begin({});
        const messages = [outgoing(1)];
        const arrive = (n) => {
          messages.push(incoming(n));
          unread.onEvent(created("c", incoming(n), numbers(n - 1, 0)));
          return draw(messages).divider;
        };
        const all = () => numbers(messages.length - 1, messages.length - 1);
        world.server = () => ({ conversation_id: "c", ...all() });
        unread.select("c");
        draw(messages);
        const seen = [];
        focus(false);
        seen.push(arrive(2)?.count, arrive(3));
        focus(true);
        seen.push(arrive(4)?.count);
        await world.clock.advance(3000);
        seen.push(unread.badge("c").count, draw(messages).divider?.count);
        focus(false);
        seen.push(draw(messages).divider, arrive(5));
        unread.answered();
        return [...seen, draw(messages).divider];
        """
    )
    first, second = {"messageId": "m2", "count": 2}, {"messageId": "m5", "count": 1}
    assert seen == [1, first, 2, 0, 2, None, second, None]

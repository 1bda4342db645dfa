"""When an open conversation counts as read."""

from __future__ import annotations

import pytest

from tests.browser.unread_client.conftest import Run

OPEN = """
  begin({ known: { c: numbers(3, 0) } });
  const messages = [incoming(1), incoming(2), incoming(3)];
  world.server = () => ({ conversation_id: "c", ...numbers(3, 3) });
"""


@pytest.mark.parametrize(
    "but",
    [
        "world.focused = false;",
        "opened.ready = false;",
        "opened.height = 300; opened.top = 0;",  # the end is far below the view
        "opened.height = 100; content.style.marginTop = '-2000px';",  # all of it is above the view
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
    back = "threadNode.style.display = ''; content.style.marginTop = '';"
    assert run(OPEN + back + body % "") == [["c", "m3"]]


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


def test_who_comes_to_the_window_by_opening_a_conversation_does_not_pass_by(run: Run) -> None:
    assert run(
        OPEN
        + """
        focus(false);
        focus(true);
        unread.select("c");
        draw(messages);
        await settle();
        return reads();
        """
    ) == [["c", "m3"]]


def test_a_read_that_fails_is_taken_back_and_tried_again_ever_later(run: Run) -> None:
    seen = run(
        OPEN
        + """
        const times = [];
        world.server = async () => {
          times.push(world.clock.time);
          await settle();
          throw Object.assign(new Error("unavailable"), { status: 503 });
        };
        unread.select("c");
        draw(messages);
        const seen = [unread.badge("c").count];
        await settle(); await settle();
        seen.push(unread.badge("c").count, times.length);
        await world.clock.advance(60_000);
        const waits = times.slice(1).map((time, n) => time - times[n]);
        world.server = () => ({ conversation_id: "c", ...numbers(3, 3) });
        await world.clock.advance(600_000);
        return [...seen, waits, unread.badge("c").count, reads().length - times.length];
        """
    )
    waits = [500, 1000, 2000, 4000, 8000, 15000, 15000]
    assert seen == [0, 3, 1, waits, 0, 1]


@pytest.mark.parametrize("status", [404, 422])
def test_a_read_that_is_refused_for_good_waits_for_the_next_message(run: Run, status: int) -> None:
    seen = run(
        OPEN
        + """
        world.server = () => { throw Object.assign(new Error("refused"), { status: arg }); };
        unread.select("c");
        draw(messages);
        await settle();
        await world.clock.advance(600_000);
        const seen = [reads(), unread.badge("c").count];
        unread.onEvent(created("c", incoming(4), numbers(4, 0)));
        draw([...messages, incoming(4)]);
        await settle();
        return [...seen, reads()];
        """,
        status,
    )
    assert seen == [[["c", "m3"]], 3, [["c", "m3"], ["c", "m4"]]]


def test_a_message_that_comes_while_one_looks_is_read_once(run: Run) -> None:
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
        draw(() => all, { height: 10 });
        await settle();
        for (const arrival of [4, 5, 6]) {
          all = [...all, incoming(arrival)];
          unread.learn({ id: "c", version: arrival, ...numbers(arrival, arrival - 1) });
          unread.onEvent(created("c", all.at(-1), numbers(arrival, arrival - 1)));
          for (let times = 0; times < 4; times += 1) await settle();
        }
        return [reads(), unread.badge("c").count];
        """
    )
    assert seen == [[["c", f"m{n}"] for n in (3, 4, 5, 6)], 0]


def test_one_read_at_a_time_and_none_that_would_change_nothing(run: Run) -> None:
    seen = run(
        OPEN
        + """
        let answer;
        world.server = () => new Promise((resolve) => { answer = resolve; });
        unread.select("c");
        draw(messages); draw(messages); draw(messages);
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
        draw([...messages, incoming(4)]);
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
        touch(); draw(messages);
        await world.clock.advance(60_000);
        const seen = [unread.badge("c"), reads().length];
        unread.select("c");
        draw(messages);
        await settle();
        seen.push(unread.badge("c"), reads().length);
        flips = 3;
        unread.onEvent(changed("c", numbers(3, 3, 3)));  // a colleague marks it
        await world.clock.advance(60_000);
        seen.push(unread.badge("c").marked, unread.answered());
        await settle();
        return [...seen, unread.badge("c").marked, reads().length];
        """
    )
    marked, none = {"count": 0, "marked": True}, {"count": 0, "marked": False}
    assert seen == [marked, 1, none, 2, True, "m3", False, 3]


def test_an_answer_that_never_goes_out_reads_nothing(run: Run) -> None:
    seen = run(
        OPEN
        + """
        unread.select("c");
        draw(messages, { height: 300, top: 0 });
        const seen = [unread.answered(), unread.badge("c").count];
        await world.clock.advance(11_000);
        return [...seen, unread.badge("c").count, reads()];
        """
    )
    assert seen == ["m3", 3, 3, []]


# --- the rule: up to where a thread was offered to somebody's eyes --------------------------------

LATE = "incoming(26, { counted_at_arrival: 26 })"  # after 25 others, and dated before most of them


@pytest.mark.parametrize(
    ("case", "messages", "read", "seen", "at_end", "expected"),
    [
        ("an empty thread", "[]", 0, [], True, [None, 0, False]),
        ("all is read already", "many(1, 3)", 3, [], False, ["m3", 0, False]),
        ("all is new", "many(1, 3)", 0, [], True, ["m3", 0, True]),
        ("the end is not on screen", "many(1, 3)", 0, [], False, [None, 3, False]),
        ("new ones below old ones", "many(1, 30)", 25, [], True, ["m30", 0, True]),
        ("only a mark by hand", "many(1, 3)", 3, [], True, ["m3", 0, True]),
        (
            "one came late, above older ones",
            f"[...many(1, 1), {LATE}, ...many(2, 25)]",
            25,
            [],
            True,
            ["m25", 1, False],
        ),
        (
            "it has been on screen",
            f"[...many(1, 1), {LATE}, ...many(2, 25)]",
            25,
            ["m26"],
            False,
            ["m26", 0, True],
        ),
        (
            "what comes after it waits for it",
            f"[...many(1, 1), {LATE}, ...many(2, 25), ...many(27, 28)]",
            25,
            [],
            True,
            ["m25", 3, False],
        ),
        (
            "and is read with it at the end",
            f"[...many(1, 1), {LATE}, ...many(2, 25), ...many(27, 28)]",
            25,
            ["m26"],
            True,
            ["m28", 0, True],
        ),
        (
            "but not above the end",
            f"[...many(1, 1), {LATE}, ...many(2, 25), ...many(27, 28)]",
            25,
            ["m26"],
            False,
            ["m26", 2, True],
        ),
        (
            "what came before it is read without it",
            f"[...many(1, 1), {LATE}, ...many(2, 25)]",
            23,
            [],
            True,
            ["m25", 1, True],
        ),
        (
            "one of two late ones has been on screen",
            "[incoming(5), incoming(4), incoming(1), incoming(2), incoming(3)]",
            3,
            ["m4"],
            True,
            ["m4", 1, True],
        ),
        (
            "two came in each other's order",
            "[incoming(1), incoming(3), incoming(2)]",
            1,
            [],
            True,
            ["m3", 0, True],
        ),
        (
            "an automatic reply stands between them",
            "[incoming(1), incoming(3), outgoing(2)]",
            0,
            [],
            True,
            ["m3", 0, True],
        ),
        (
            "it came above our own older answers",
            "[incoming(1), incoming(4), outgoing(2), outgoing(3)]",
            1,
            [],
            True,
            ["m3", 1, False],
        ),
        (
            "ours that is not sent yet is not older",
            "[incoming(1), incoming(2), { id: 'local', direction: 'out' }]",
            1,
            [],
            True,
            ["m2", 0, True],
        ),
        (
            "messages from before the module are older",
            "[incoming(1), { id: 'old', direction: null, arrival: null }]",
            0,
            [],
            True,
            [None, 1, False],
        ),
        (
            "a reaction is nothing to read",
            "[incoming(3, { counts_unread: false }), incoming(1), incoming(2)]",
            1,
            [],
            True,
            ["m3", 0, True],
        ),
        (
            "what is unread is not here, the rest is",
            "many(11, 60)",
            60,
            [],
            True,
            ["m60", 0, True],
        ),
    ],
)
def test_the_rule(
    run: Run,
    case: str,
    messages: str,
    read: int,
    seen: list[str],
    at_end: bool,
    expected: list[object],
) -> None:
    given = [read, {"seen": seen, "atEnd": at_end}]
    assert run(f"return rule({messages}, ...arg);", given) == expected, case


def test_what_came_late_is_read_when_it_has_been_on_screen(run: Run) -> None:
    """25 short read messages, open and at the end; one comes that was sent before the second."""
    seen = run(
        """
        begin({ known: { c: numbers(25, 25) } });
        const late = incoming(26, { counted_at_arrival: 26 });
        const all = [...many(1, 1), late, ...many(2, 25)];
        world.server = (_, path, { up_to }) => ({ ...numbers(26, Number(up_to.slice(1))) });
        unread.select("c");
        draw(many(1, 25));
        unread.onEvent(created("c", late, numbers(26, 25)));
        draw(all);
        focus(false); focus(true);
        await world.clock.advance(60_000);
        const seen = [reads(), unread.badge("c").count, unread.unseen()];
        world.focused = false;  // on screen, but before nobody
        scroll(0);
        await settle();
        seen.push(unread.unseen());
        scroll(900);
        focus(true);
        await world.clock.advance(60_000);
        seen.push(reads());
        scroll(160);  // 40 px of 100 are to be seen
        await settle();
        seen.push(reads());
        scroll(140);
        await settle();
        return [...seen, reads(), unread.badge("c").count, unread.unseen()];
        """
    )
    assert seen == [[], 1, ["m26"], ["m26"], [], [], [["c", "m26"]], 0, []]


def test_what_was_on_screen_while_a_reading_was_under_way_is_read_with_the_next(run: Run) -> None:
    seen = run(
        """
        begin({ known: { c: numbers(25, 24) } });
        const answers = [];
        world.server = () => new Promise((resolve) => answers.push(resolve));
        const late = incoming(26);
        unread.select("c");
        draw(many(1, 25));
        await settle();
        unread.learn({ id: "c", ...numbers(26, 24) });
        draw([...many(1, 24), late, incoming(25)], { top: 1800 });
        for (let last = 27; last <= 60; last += 1) {
          unread.learn({ id: "c", ...numbers(last, 24) });
          draw([...many(1, 24), late, incoming(25), ...many(27, last)]);
          scroll(9000);
        }
        const seen = [reads()];
        answers[0](numbers(60, 25));
        await settle();
        return [...seen, reads(), unread.unseen()];
        """
    )
    assert seen == [[["c", "m25"]], [["c", "m25"], ["c", "m60"]], []]


#: 35 messages come at once; the first of them was sent before the last one that had been read.
BATCH = """
  begin({ known: { c: numbers(25, 25) } });
  world.server = (_, path, { up_to }) => numbers(60, Number(String(up_to).replace("m", "")));
  const come = () => unread.learn({ id: "c", ...numbers(60, 25) });
  const all = [...many(1, 24), incoming(26), incoming(25), ...many(27, 60)];
  unread.select("c");
  draw(many(1, 25));
"""


@pytest.mark.parametrize(("ids", "last"), [("each.id", "m60"), ("each.arrival", 60)])
def test_what_passes_by_at_the_end_is_read_though_one_came_late_among_it(
    run: Run, ids: str, last: str | int
) -> None:
    seen = run(
        f"""
        {BATCH}
        const named = (messages) => messages.map((each) => ({{ ...each, id: {ids} }}));
        draw(named(many(1, 25)));
        come();
        draw(named(all), {{ follow: true }});
        await settle();
        return [reads(), unread.unseen()];
        """
    )
    assert seen == [[["c", last]], []]


def test_what_came_late_just_above_what_was_on_screen_has_not_passed_by(run: Run) -> None:
    seen = run(
        BATCH
        + """
        come();
        draw([...many(1, 21), incoming(26), ...many(22, 25), ...many(27, 60)], { follow: true });
        await settle();
        return [reads(), unread.unseen()];
        """
    )
    assert seen == [[], ["m26"]]


@pytest.mark.parametrize(
    "how",
    [
        "focus(false); come(); draw(all, { follow: true }); focus(true);",
        "scroll(0); come(); draw(all); scroll(9000);",
        "come(); thread.scrollTop = 0; draw(all); scroll(9000);",
        "unread.select(null); draw([]); come(); unread.select('c'); draw(all);",
    ],
    ids=["away", "scrolled up", "scrolled up at that moment", "closed"],
)
def test_what_came_late_while_the_end_was_before_nobody_s_eyes_has_not_passed_by(
    run: Run, how: str
) -> None:
    seen = run(
        f"""
        {BATCH}
        {how}
        await world.clock.advance(60_000);
        return [reads(), unread.unseen()];
        """
    )
    assert seen == [[], ["m26"]]


def test_what_is_taller_than_the_thread_is_read_when_it_fills_half_of_it(run: Run) -> None:
    seen = run(
        """
        begin({ known: { c: numbers(4, 3) } });
        unread.select("c");
        draw([incoming(1), incoming(4), ...many(2, 3)], { height: 5_000 });
        await settle();
        const seen = [reads(), unread.unseen()];
        // Something within that names it too, as a button may, is not the bubble.
        content.children[1].innerHTML = '<i data-message-id="m4"></i>';
        scroll(6_000);
        await settle();
        return [...seen, reads()];
        """
    )
    assert seen == [[], ["m4"], [["c", "m4"]]]


def test_the_thread_points_no_longer_to_what_has_been_on_screen(run: Run) -> None:
    seen = run(
        """
        begin({ known: { c: numbers(27, 25) } });
        const [first, second] = many(26, 27);
        unread.select("c");
        draw([first, ...many(1, 10), second, ...many(11, 25)]);
        await settle();
        const seen = [unread.unseen()];
        const before = got.changes;
        scroll(900);
        await settle();
        return [...seen, unread.unseen(), got.changes - before, reads()];  // the first bars it
        """
    )
    assert seen == [["m26", "m27"], ["m26"], 1, []]


def test_who_passes_by_the_window_has_not_seen_it_either(run: Run) -> None:
    seen = run(
        """
        begin({ known: { c: numbers(26, 25) } });
        const late = incoming(26, { counted_at_arrival: 26 });
        const all = [late, ...many(1, 25)];
        unread.select("c");
        focus(false);
        draw(all, { top: 0 });
        focus(true);
        await world.clock.advance(1000);
        scroll(2000);
        focus(false);
        focus(true);
        await world.clock.advance(60_000);
        const seen = [reads(), unread.unseen()];
        scroll(0);
        await settle();
        return [...seen, reads()];
        """
    )
    assert seen == [[], ["m26"], [["c", "m26"]]]


def test_a_partial_reading_shows_at_once_what_it_leaves(run: Run) -> None:
    seen = run(
        """
        begin({ known: { c: numbers(26, 20) } });
        const late = incoming(26, { counted_at_arrival: 26 });
        let answer;
        world.server = () => new Promise((resolve) => { answer = resolve; });
        unread.select("c");
        draw([late, ...many(1, 25)]);
        await settle();
        const seen = [reads(), unread.badge("c").count];
        answer(numbers(26, 25));
        await settle();
        seen.push(unread.badge("c").count, reads().length, unread.answered());
        unread.select(null);
        return [...seen, unread.unseen()];
        """
    )
    assert seen == [[["c", "m25"]], 1, 1, 1, "m25", []]

"""static/realtime_events.js: the page is read again."""

from __future__ import annotations

from tests.browser.realtime_client.conftest import Run

#: A page under a stream, whose readings end when `finish()` is called.
READING = """
  let stream;
  let finish;
  const { clock, got } = beginScripted(
    async ({ signal }) => (stream = open(signal, hello("stream"))),
    { on: { refresh: () => new Promise((resolve) => { finish = resolve; }) } });
  await clock.advance(0);
"""


def test_events_that_come_together_are_one_refresh_and_status_or_unread_events_are_none(
    run: Run,
) -> None:
    seen = run(
        """let stream;
        const { clock, got } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))));
        await clock.advance(0);
        const seen = [];
        const tell = async (...types) => {
          for (const type of types) stream.push(event(`e${Math.random()}`, { type }));
          await clock.advance(29);
          const early = got.refreshes;
          await clock.advance(1);
          seen.push([early, got.refreshes]);
        };
        await tell("message.created", "message.updated", "conversation.updated", "message.created");
        await tell("message.status_changed", "unread.changed", "other");
        for (const type of ["message.created", "message.updated", "conversation.updated"]) {
          await tell(type);
        }
        client.close();
        return seen;"""
    )
    assert seen == [[0, 1], [1, 1], [1, 2], [2, 3], [3, 4]]


def test_a_refresh_is_never_two_at_once_and_rests_as_long_as_it_took(run: Run) -> None:
    seen = run(
        READING
        + """
        const seen = [];
        const pass = async (ms) => { await clock.advance(ms); seen.push(got.refreshes); };
        stream.push(event("e1"));
        await pass(30);
        stream.push(event("e2"));
        stream.push(event("e3"));
        await pass(700);
        finish();
        await pass(699);
        await pass(1);
        finish();
        await pass(10_000);
        client.close();
        return seen;"""
    )
    assert seen == [1, 1, 1, 2, 2]


def test_a_refresh_that_fails_is_repeated_with_back_off_and_at_once_when_the_server_is_back(
    run: Run,
) -> None:
    times, back = run(
        """let stream;
        const times = [];
        let works = false;
        const { clock } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))),
          { env: { random: () => 1 }, on: { refresh: () => {
            times.push(clock.time - start);
            if (!works) throw new Error("503");
          } } });
        const start = clock.time;
        await clock.advance(0);
        stream.push(event("e1"));
        await clock.advance(8_000);
        stream.push(event("e2"));
        await clock.advance(1_000);
        stream.break_();
        works = true;
        await clock.advance(30_000);
        client.close();
        return [times, times.length];"""
    )
    assert times[:4] == [30, 1_030, 3_030, 7_030]
    assert times[4:] == [10_030], "one second after the cut, on the connection's return"


def test_a_refresh_that_never_ends_is_not_the_last(run: Run) -> None:
    refreshes = run(
        """let stream;
        const { clock, got } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))),
          { on: { refresh: silent } });
        await clock.advance(0);
        stream.push(event("e1"));
        const refreshes = [];
        for (const ms of [61_000, 100, 61_000]) {
          await clock.advance(ms);
          refreshes.push(got.refreshes);
        }
        client.close();
        return refreshes;"""
    )
    assert refreshes == [1, 2, 2], "each is given up after a minute, and the next waits longer"


def test_a_machine_that_slept_during_a_reading_rests_no_longer_than_a_minute(run: Run) -> None:
    refreshes = run(
        READING
        + """
        stream.push(event("e1"));
        await clock.advance(100);
        stream.push(event("e2"));
        await clock.advance(0);
        clock.time += 7_200_000;
        finish();
        await clock.advance(1_000);
        const refreshes = [got.refreshes];
        for (let n = 0; n < 6; n += 1) {
          stream.push(event("e1"));
          await clock.advance(10_000);
        }
        client.close();
        return [...refreshes, got.refreshes];"""
    )
    assert refreshes == [1, 2]


def test_a_page_put_away_while_it_is_read_again_is_not_read_twice_at_once(run: Run) -> None:
    refreshes = run(
        """let stream;
        const { clock, got } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))),
          { on: { refresh: silent } });
        await clock.advance(0);
        stream.push(event("e1"));
        await clock.advance(100);
        putAway();
        await clock.advance(1_000);
        showAgain();
        await clock.advance(100);
        stream.push(event("e2"));
        await clock.advance(50_000);
        const refreshes = [got.refreshes];
        await clock.advance(20_000);
        client.close();
        return [...refreshes, got.refreshes];"""
    )
    assert refreshes == [1, 2], "the first was given up, as it would have been without all that"


def test_a_page_that_is_shown_again_without_a_server_ends_offline(run: Run) -> None:
    states = run(
        """const { clock } = beginScripted(async ({ signal }) => open(signal));
        await clock.advance(4_000);
        putAway();
        await clock.advance(60_000);
        showAgain();
        const states = [];
        for (const ms of [4_000, 6_000]) {
          await clock.advance(ms);
          states.push(document.documentElement.dataset.connection);
        }
        client.close();
        return states;"""
    )
    assert states == ["connecting", "offline"]


def test_a_page_put_away_before_it_was_read_again_is_read_when_it_is_shown_again(run: Run) -> None:
    away, back = run(
        """let stream;
        const { clock, got } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))));
        await clock.advance(0);
        stream.push(event("e1"));
        await clock.advance(10);
        putAway();
        await clock.advance(60_000);
        const away = got.refreshes;
        showAgain();
        await clock.advance(60_000);
        client.close();
        return [away, got.refreshes];"""
    )
    assert (away, back) == (0, 1)

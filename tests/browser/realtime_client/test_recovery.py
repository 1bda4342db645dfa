"""static/realtime_events.js: the state of a connection, how it recovers, and its end."""

from __future__ import annotations

import pytest

from tests.browser.realtime_client.conftest import Run


def test_a_lost_login_is_told_once_and_ends_everything(run: Run) -> None:
    calls, logins, timers = run(
        """const { clock, calls, got } = beginScripted(
          async () => new Response("{}", { status: 401 }));
        await clock.advance(60_000);
        client.reconnect();
        await clock.advance(60_000);
        return [calls.length, got.logins, clock.timers.size];"""
    )
    assert (calls, logins, timers) == (1, 1, 0)


def test_the_state_is_in_the_page_and_told_only_when_it_changes(run: Run) -> None:
    shown, states = run(
        """let up = true;
        let stream;
        const { clock, got, state } = beginScripted(async ({ signal }) => {
          if (!up) throw new TypeError("down");
          return (stream = open(signal, hello("stream")));
        });
        const shown = [state()];
        await clock.advance(0);
        shown.push(state());
        up = false;
        stream.break_();
        await clock.advance(7_000);
        shown.push(state());
        await clock.advance(2_000);
        shown.push(state());
        await clock.advance(60_000);
        up = true;
        client.reconnect();
        shown.push(state());
        await clock.advance(100);
        shown.push(state());
        client.close();
        return [shown, got.states];"""
    )
    assert shown == ["connecting", "connected", "connecting", "offline", "connecting", "connected"]
    assert states == shown


RECOVER = {
    "visible": "document.dispatchEvent(new Event('visibilitychange'))",
    "online": "window.dispatchEvent(new Event('online'))",
    "resume": "document.dispatchEvent(new Event('resume'))",
    "reconnect": "client.reconnect()",
    "wake": "clock.time += 7_200_000; await clock.advance(1_000)",
    "page shown again": "putAway(); showAgain()",
}


@pytest.mark.parametrize("how", RECOVER)
def test_recovery_connects_at_once_from_the_cursor_and_compares_versions(
    run: Run, how: str
) -> None:
    asked, aborted, checks = run(
        f"""let checks = 0;
        const signals = [];
        const {{ clock, calls }} = beginScripted(async ({{ signal }}) => {{
          signals.push(signal);
          return open(signal, hello("stream") + event("e" + signals.length));
        }}, {{ shownVersions: () => new Map([["a", 1]]),
          fetchVersions: async () => {{ checks += 1; return {{}}; }} }});
        await clock.advance(3_000);
        {RECOVER[how]};
        await clock.advance(100);
        const aborted = signals.map((signal) => signal.aborted);
        await clock.advance(2_000);
        client.close();
        return [calls.map(({{ params }}) => params.after), aborted, checks];"""
    )
    assert asked == ["0", "e1"]
    assert aborted == [True, False]
    assert checks == 1


@pytest.mark.parametrize(("hidden", "requests"), [(True, 1), (False, 2)])
def test_a_hidden_page_whose_timers_are_slow_is_not_taken_for_one_that_slept(
    run: Run, hidden: bool, requests: int
) -> None:
    asked = run(
        """Object.defineProperty(document, "hidden", { configurable: true, get: () => arg });
        const { clock, calls } = beginScripted(
          async ({ signal }) => open(signal, hello("stream")));
        await clock.advance(2_000);
        clock.time += 20_000;
        await clock.advance(1_000);
        client.close();
        delete document.hidden;
        return calls.length;""",
        hidden,
    )
    assert asked == requests


def test_recovery_ends_a_long_back_off_and_many_at_once_are_one(run: Run) -> None:
    before, burst, after = run(
        """const { clock, calls } = beginScripted(async () => { throw new TypeError("down"); },
          { env: { random: () => 1 } });
        await clock.advance(40_000);
        const before = calls.length;
        for (let n = 0; n < 20; n += 1) {
          client.reconnect();
          window.dispatchEvent(new Event("online"));
          await clock.advance(4);
        }
        await clock.advance(20);
        const burst = calls.length - before;
        await clock.advance(1_500);
        client.close();
        return [before, burst, calls.length - before];"""
    )
    assert before == 6
    assert burst == 1
    assert after <= 3


def test_offline_shows_at_once_and_the_first_byte_ends_it(run: Run) -> None:
    shown = run(
        """let stream;
        const { clock, state } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))));
        await clock.advance(0);
        window.dispatchEvent(new Event("offline"));
        const shown = [state()];
        stream.push(": hb\\n\\n");
        await clock.advance(0);
        shown.push(state());
        client.close();
        return shown;"""
    )
    assert shown == ["offline", "connected"]


def test_close_leaves_no_timer_listener_or_request(run: Run) -> None:
    timers, calls, aborted, events = run(
        """const signals = [];
        const { clock, calls, got } = beginScripted(async ({ signal }) => {
          signals.push(signal);
          return open(signal, hello("stream"));
        });
        await clock.advance(1_000);
        client.close();
        for (const type of ["online", "offline", "pagehide"]) window.dispatchEvent(new Event(type));
        showAgain();
        document.dispatchEvent(new Event("visibilitychange"));
        client.reconnect();
        client.close();
        await clock.advance(120_000);
        return [clock.timers.size, calls.length, signals[0].aborted, got.states];"""
    )
    assert (timers, calls, aborted) == (0, 1, True)
    assert events == ["connecting", "connected"]


def test_nothing_is_armed_after_the_end(run: Run) -> None:
    timers, refreshes = run(
        """let stream;
        let fail;
        const { clock, got } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))),
          { on: { refresh: () => new Promise((_, reject) => { fail = reject; }) } });
        await clock.advance(0);
        stream.push(event("e1"));
        await clock.advance(30);
        client.close();
        fail();
        await clock.advance(60_000);
        return [clock.timers.size, got.refreshes];"""
    )
    assert (timers, refreshes) == (0, 1)


def test_a_reset_that_waited_while_the_page_was_put_away_is_not_forgotten(run: Run) -> None:
    away, back = run(
        """const { clock, got } = beginScripted(async ({ n, signal }) => open(signal, n > 1
          ? hello("stream")
          : 'event: reset\\ndata: {"type": "reset", "data": {"cursor": "c"}}\\n\\n'));
        await clock.advance(0);
        putAway();
        await clock.advance(60_000);
        const away = got.resets;
        showAgain();
        await clock.advance(60_000);
        client.close();
        return [away, got.resets];"""
    )
    assert (away, back) == (0, 1)

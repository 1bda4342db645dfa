"""static/realtime_events.js: what one client hands its page, and how it recovers and ends."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.realtime_client.conftest import Run

# --- events -----------------------------------------------------------------------------------


def test_an_event_is_delivered_once_whatever_comes_again(run: Run) -> None:
    events = run(
        """const { clock, got } = beginScripted(async ({ n, signal }) => {
          if (n === 1) return answer(hello("hold") + event("e1") + event("e2") + event("e1"));
          return n === 2 ? answer(event("e2") + event("e3")) : silent();
        });
        await clock.advance(0);
        client.close();
        return got.events;"""
    )
    assert events == ["e1", "e2", "e3"]


def test_a_response_cut_inside_an_event_is_resumed_from_the_event_before(run: Run) -> None:
    events, asked = run(
        """const { clock, calls, got } = beginScripted(async ({ n, signal }) => {
          const r = open(signal, hello("stream"));
          if (n === 1) {
            r.push(event("e1") + event("e2").slice(0, -5));
            setTimeout(() => r.break_());
          } else r.push(event("e2"));
          return r;
        });
        await clock.advance(2_000);
        client.close();
        return [got.events, calls.map(({ params }) => params.after)];"""
    )
    assert events == ["e1", "e2"]
    assert asked == ["0", "e1"]


def test_a_bad_event_or_a_failing_host_never_stops_the_stream(page: Page, run: Run) -> None:
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    page.on("pageerror", lambda error: logged.append(f"uncaught {error}"))
    events, after = run(
        """const bad = (data, cursor) => `id: ${cursor}\\nevent: x.y\\ndata: ${data}\\n\\n`;
        const { clock, calls, got } = beginScripted(async ({ n }) => n > 1 ? silent() : answer(
          hello("hold") + bad('{"text": "segredo', "c1") + bad("null", "c2") + bad("5", "c3")
          + event("throws") + event("rejects") + event("good")),
          { onEvent: ({ id }) => {
            if (id === "throws") throw new Error("segredo");
            if (id === "rejects") return Promise.reject(new Error("segredo"));
            window.got.events.push(id);
          } });
        await clock.advance(0);
        client.close();
        return [got.events, calls[1].params.after];"""
    )
    assert events == ["good"]
    assert after == "good"
    assert len(logged) == 5
    for told, id in zip(logged, ["c1", "c2", "c3", "throws", "rejects"], strict=True):
        assert told.startswith("realtime_events: ")
        assert told.endswith(f" {id}")
        assert "segredo" not in told


def test_catch_up_is_told_by_age_on_the_servers_clock(run: Run) -> None:
    late, events = run(
        """const wrong = 7_200_000; // this browser is two hours ahead
        const date = { Date: "Tue, 01 Jan 2030 00:00:30 GMT" };
        const clock = new FakeClock();
        const { got } = beginScripted(async ({ n }) => n > 1 ? silent() : answer(hello("hold")
          + event("old", { at: "2030-01-01T00:00:14.000Z" })
          + event("new", { at: "2030-01-01T00:00:20.000Z" }), date),
          { env: { now: () => Date.parse("2030-01-01T02:00:30.000Z") } });
        await settle();
        client.close();
        return [got.late, got.events];"""
    )
    assert events == ["old", "new"]
    assert late == ["old"]


def test_a_reset_adopts_its_cursor_and_refetches_after_a_jitter_until_that_succeeds(
    run: Run,
) -> None:
    asked, early, then, later = run(
        """let resets = 0;
        const { clock, calls } = beginScripted(async ({ n, signal }) => n > 1
          ? open(signal, hello("stream"))
          : answer('event: reset\\ndata: {"type": "reset", "data": {"cursor": "fresh"}}\\n\\n'
            + hello("hold")),
          { env: { random: () => 0.9 }, onReset: () => {
            resets += 1;
            return resets === 1 ? Promise.reject(new Error("store down")) : "ignored";
          } });
        const seen = [];
        for (const ms of [2_699, 1, 60_000]) { await clock.advance(ms); seen.push(resets); }
        client.close();
        return [calls[1].params.after, ...seen];"""
    )
    assert asked == "fresh"
    assert (early, then, later) == (0, 1, 2)


def test_a_hole_that_stays_is_told_once_and_one_that_closes_is_not(run: Run) -> None:
    early, holes = run(
        """let stream;
        const { clock, got } = beginScripted(
          async ({ signal }) => (stream ??= open(signal, hello("stream"))));
        const version = (id, conversation_id, version) =>
          stream.push(event(id, { conversation_id, version }));
        await clock.advance(0);
        client.noteVersion("late", 4);
        client.noteVersion("lost", 4);
        version("e1", "late", 6);
        version("e2", "lost", 6);
        await clock.advance(1_000);
        version("e3", "late", 5);
        await clock.advance(499);
        const early = [...got.holes];
        await clock.advance(5_000);
        client.close();
        return [early, got.holes];"""
    )
    assert early == []
    assert holes == ["lost"]


def test_the_versions_are_compared_every_minute_while_visible(run: Run) -> None:
    checks, holes = run(
        """let checks = 0;
        let hidden = false;
        Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
        let stream;
        const { clock, got } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))),
          { fetchVersions: async () => { checks += 1; return { a: 5, b: 2 }; } });
        client.noteVersion("a", 4);
        client.noteVersion("b", 2);
        const seen = [];
        const minute = async () => {
          for (let n = 0; n < 8; n += 1) { await clock.advance(10_000); stream.push(": hb\\n\\n"); }
          seen.push(checks);
        };
        await minute();
        hidden = true;
        await minute();
        client.close();
        return [seen, got.holes];"""
    )
    assert checks == [1, 1]
    assert holes == ["a"]


def test_a_new_build_is_told_once_and_the_first_is_not(run: Run) -> None:
    builds = run(
        """const { clock, got } = beginScripted(async ({ n }) => n <= 4
          ? answer(hello("stream", { build: n <= 2 ? "1" : "2" })) : silent());
        await clock.advance(30_000);
        client.close();
        return got.builds;"""
    )
    assert builds == ["2"]


# --- state, recovery, end ---------------------------------------------------------------------


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
        await clock.advance(0);
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
    "page shown again": "const shown = { persisted: true };"
    "window.dispatchEvent(new PageTransitionEvent('pagehide', shown));"
    "window.dispatchEvent(new PageTransitionEvent('pageshow', shown))",
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
        }}, {{ fetchVersions: async () => {{ checks += 1; return {{}}; }} }});
        await clock.advance(3_000);
        {RECOVER[how]};
        await clock.advance(0);
        const aborted = signals.map((signal) => signal.aborted);
        await clock.advance(2_000);
        client.close();
        return [calls.map(({{ params }}) => params.after), aborted, checks];"""
    )
    assert asked == ["0", "e1"]
    assert aborted == [True, False]
    assert checks == 1


def test_recovery_ends_a_long_back_off_and_many_at_once_are_one(run: Run) -> None:
    before, burst, after = run(
        """const { clock, calls } = beginScripted(async () => { throw new TypeError("down"); },
          { env: { random: () => 1 } });
        await clock.advance(40_000);
        const before = calls.length;
        for (let n = 0; n < 20; n += 1) {
          client.reconnect();
          window.dispatchEvent(new Event("online"));
          await settle();
        }
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
        window.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
        document.dispatchEvent(new Event("visibilitychange"));
        client.reconnect();
        client.close();
        await clock.advance(120_000);
        return [clock.timers.size, calls.length, signals[0].aborted, got.states];"""
    )
    assert (timers, calls, aborted) == (0, 1, True)
    assert events == ["connecting", "connected"]


def test_nothing_is_armed_after_the_end(run: Run) -> None:
    timers = run(
        """let stream;
        const { clock } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))));
        await clock.advance(0);
        client.noteVersion("a", 1);
        stream.push(event("e1", { conversation_id: "a", version: 3 }));
        await clock.advance(0);
        client.close();
        client.noteVersion("b", 1);
        return clock.timers.size;"""
    )
    assert timers == 0


def test_a_reset_that_waited_while_the_page_was_put_away_is_not_forgotten(run: Run) -> None:
    away, back = run(
        """const { clock, got } = beginScripted(async ({ n, signal }) => open(signal, n > 1
          ? hello("stream")
          : 'event: reset\\ndata: {"type": "reset", "data": {"cursor": "c"}}\\n\\n'));
        await clock.advance(0);
        const shown = { persisted: true };
        window.dispatchEvent(new PageTransitionEvent("pagehide", shown));
        await clock.advance(60_000);
        const away = got.resets;
        window.dispatchEvent(new PageTransitionEvent("pageshow", shown));
        await clock.advance(60_000);
        client.close();
        return [away, got.resets];"""
    )
    assert (away, back) == (0, 1)

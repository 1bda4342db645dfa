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
    events, after = run(
        """const bad = (data, cursor) => `id: ${cursor}\\nevent: x.y\\ndata: ${data}\\n\\n`;
        const { clock, calls, got } = beginScripted(async ({ n }) => n > 1 ? silent() : answer(
          hello("hold") + bad('{"text": "segredo', "c1") + bad("null", "c2") + bad("5", "c3")
          + event("throws") + event("rejects") + event("good")),
          { on: {
            event: ({ id }) => {
              if (id === "throws") throw new Error("segredo");
              if (id === "rejects") return Promise.reject(new Error("segredo"));
              window.got.events.push(id);
            },
            refresh: () => Promise.reject(new Error("segredo")),
          } });
        for (const type of ["error", "unhandledrejection"]) {
          addEventListener(type, (event) => event.preventDefault(), { once: true });
        }
        await clock.advance(30);
        client.close();
        return [got.events, calls[1].params.after];"""
    )
    assert events == ["good"]
    assert after == "good"
    for told, id in zip(logged, ["c1", "c2", "c3", "refresh"], strict=True):
        assert told.startswith("realtime_events: ")
        assert told.endswith(f" {id}")
        assert "segredo" not in told


def test_catch_up_is_told_by_age_on_the_servers_clock(run: Run) -> None:
    late, events, before, after = run(
        """const wrong = 7_200_000; // this browser is two hours ahead
        const clock = new FakeClock();
        const { got } = beginScripted(async ({ n }) => n > 1 ? silent() : answer(hello("hold")
          + event("old", { at: "2029-12-31T23:59:44.999Z" })
          + event("new", { at: "2029-12-31T23:59:45.000Z" })),
          { env: { now: () => clock.time + wrong } });
        const before = client.serverNow();
        await settle();
        client.close();
        return [got.late, got.events, before, client.serverNow()];"""
    )
    assert events == ["old", "new"]
    assert late == ["old"]
    assert before is None
    assert after == 1_893_456_000_000


# A `hello` of this moment by the server's clock.
HELLO_AT = """const helloAt = (ms) => event(`hello-${ms}`, {
  type: "hello", at: new Date(ms).toISOString(), data: { delivery: "stream", cursor: "c" } });
"""


def test_a_first_answer_that_took_long_makes_nothing_look_older_than_it_is(run: Run) -> None:
    waited, ages = run(
        HELLO_AT
        + """const ages = [];
        let reply;
        let stream;
        const { clock, calls } = beginScripted(({ n, signal }) => n === 1 ? silent() : new Promise(
          (resolve) => { reply = () => resolve(stream = open(signal, helloAt(clock.time))); }),
          { on: { event: ({ age }) => ages.push(age) } });
        await clock.advance(12_000); // three seconds without a word of a stream, then nine
        const waited = clock.time - calls[1].at;
        reply();
        await clock.advance(0);
        stream.push(event("e1", { at: new Date(clock.time).toISOString() }));
        await clock.advance(0);
        client.close();
        return [waited, ages];"""
    )
    assert waited == 9_000
    assert ages == [0]


def test_a_later_answer_moves_the_servers_time_only_as_far_as_it_proves_it_wrong(run: Run) -> None:
    wrong = run(
        HELLO_AT
        + """const clock = new FakeClock();
        let ahead = 0; // of this browser's clock
        let reply;
        beginScripted(({ signal }) => new Promise(
          (resolve) => { reply = (at) => resolve(open(signal, helloAt(at))); }),
          { env: { ...clock.env, now: () => clock.time + ahead } });
        const wrong = [];
        const greet = async (before, after) => {
          client.reconnect();
          await clock.advance(100 + before);
          const at = clock.time;
          await clock.advance(after);
          reply(at);
          await clock.advance(0);
          wrong.push(client.serverNow() - clock.time);
        };
        await greet(0, 2_000);   // on its way for two seconds: never too old, here too young
        await greet(0, 300);
        await greet(0, 2_000);
        await greet(2_000, 0);   // waited as long for its stamp
        ahead = 5_000;           // set forward by less than a sleep,
        await greet(200, 0);
        ahead = -7_200_000;      // and back
        await greet(200, 0);
        client.close();
        return wrong;"""
    )
    assert wrong == [-2_000, -300, -300, 0, 200, 0]


def test_a_reset_adopts_its_cursor_and_refetches_after_a_jitter_until_that_succeeds(
    run: Run,
) -> None:
    asked, early, then, later = run(
        """let resets = 0;
        const { clock, calls } = beginScripted(async ({ n, signal }) => n > 1
          ? open(signal, hello("stream"))
          : answer('event: reset\\ndata: {"type": "reset", "data": {"cursor": "fresh"}}\\n\\n'
            + hello("hold")),
          { env: { random: () => 0.9 }, on: { reset: () => {
            resets += 1;
            return resets === 1 ? Promise.reject(new Error("store down")) : "ignored";
          } } });
        const seen = [];
        for (const ms of [2_699, 1, 60_000]) { await clock.advance(ms); seen.push(resets); }
        client.close();
        return [calls[1].params.after, ...seen];"""
    )
    assert asked == "fresh"
    assert (early, then, later) == (0, 1, 2)


def test_a_reset_takes_its_jitter_though_a_refresh_was_to_be_at_once(run: Run) -> None:
    seen = run(
        """let stream;
        const { clock, got } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))),
          { env: { random: () => 0.9 } });
        await clock.advance(0);
        const reset = 'event: reset\\ndata: {"type": "reset", "data": {"cursor": "c"}}\\n\\n';
        stream.push(event("e1") + reset);
        const seen = [];
        for (const ms of [2_699, 1]) {
          await clock.advance(ms);
          seen.push([got.resets, got.refreshes]);
        }
        client.close();
        return seen;"""
    )
    assert seen == [[0, 0], [1, 1]]


# --- versions: the one safety net -------------------------------------------------------------

#: A page that shows `shown` and asks a server that has `versions`; `minute()` passes one.
NET = """
  let shown = { a: 4 };
  let versions = { a: 4 };
  let asked = [];
  let stream;
  const { clock, got } = beginScripted(
    async ({ signal }) => (stream = open(signal, hello("stream"))),
    { env: { random: () => 0 },
      shownVersions: () => shown instanceof Map ? shown : new Map(Object.entries(shown)),
      fetchVersions: async (ids) => { asked.push(ids); return versions; } });
  const tell = (id, conversation_id, version) => {
    stream.push(event(id, { conversation_id, version }));
  };
  const pass = async (ms) => {
    for (let left = ms; left > 0; left -= 10_000) {
      await clock.advance(Math.min(left, 10_000));
      stream.push(": hb\\n\\n");
    }
    await settle();
  };
"""


def test_a_conversation_that_stays_behind_the_servers_version_is_told_once_a_check(
    run: Run,
) -> None:
    told = run(
        f"""{NET}
        const told = [];
        const note = async (ms) => {{ await pass(ms); told.push([...got.behind, got.refreshes]); }};
        shown = new Map([["a", 4], ["b", 2]]);
        versions = {{ a: 5, b: 2, c: undefined }};
        await note(60_000);
        await note(4_999);
        await note(31);
        shown.set("a", 5);
        await note(120_000);
        shown.set("a", 4);
        await note(65_100);
        client.close();
        return [asked[0], ...told];"""
    )
    assert told == [["a", "b"], [0], [0], ["a", 1], ["a", 1], ["a", "a", 2]]


def test_an_event_in_flight_or_what_the_page_read_meanwhile_is_no_alarm(run: Run) -> None:
    asked, behind = run(
        f"""{NET}
        shown = {{ early: 1, flying: 1, read: 1, quiet: 1, 12: 3 }};
        tell("e0", "early", 2);
        tell("e1", 12, 4);
        versions = {{ early: 2, flying: 3, read: 7, quiet: 1, 12: 4 }};
        await pass(60_000);
        tell("e3", "flying", 3);
        tell("e2", "flying", 2);
        shown.read = 7;
        await pass(10_000);
        client.close();
        return [asked.length, got.behind];"""
    )
    assert (asked, behind) == (1, [])


def test_an_event_that_is_missing_between_others_is_noticed(run: Run) -> None:
    behind = run(
        f"""{NET}
        tell("e6", "a", 6);
        tell("e7", "a", 7);
        versions = {{ a: 7 }};
        await pass(66_000);
        client.close();
        return got.behind;"""
    )
    assert behind == ["a"]


def test_a_conversation_the_page_knows_nothing_of_is_behind_unless_an_event_told_of_it(
    run: Run,
) -> None:
    behind = run(
        f"""{NET}
        tell("e1", "told", 9);
        versions = {{ a: 4, told: 9, missed: 1 }};
        await pass(66_000);
        client.close();
        return got.behind;"""
    )
    assert behind == ["missed"]


@pytest.mark.parametrize(
    "answer",
    ["undefined", "null", "Promise.reject(new Error('503'))", "(() => { throw new Error() })()"],
)
def test_versions_that_cannot_be_had_are_asked_for_again(run: Run, answer: str) -> None:
    behind, events, failed = run(
        f"""const reports = [];
        addEventListener("unhandledrejection", () => reports.push("rejection"));
        let fails = true;
        let stream;
        const {{ clock, got }} = beginScripted(
          async ({{ signal }}) => (stream = open(signal, hello("stream"))),
          {{ env: {{ random: () => 0 }}, shownVersions: () => new Map([["a", 1]]),
            fetchVersions: () => fails ? {answer} : {{ a: 2 }} }});
        const minute = async () => {{
          for (let n = 0; n < 6; n += 1) {{
            await clock.advance(11_000);
            stream.push(": hb\\n\\n");
          }}
        }};
        await minute();
        fails = false;
        await minute();
        stream.push(event("e1"));
        await settle();
        client.close();
        return [got.behind, got.events, reports];"""
    )
    assert (behind, events, failed) == (["a"], ["e1"], [])


def test_versions_are_compared_every_minute_while_visible_and_never_of_an_empty_page(
    run: Run,
) -> None:
    checks = run(
        f"""{NET}
        let hidden = false;
        Object.defineProperty(document, "hidden", {{ get: () => hidden, configurable: true }});
        const seen = [];
        const minute = async () => {{ await pass(65_000); seen.push(asked.length); }};
        await minute();
        hidden = true;
        await minute();
        hidden = false;
        shown = {{}};
        await minute();
        client.close();
        return seen;"""
    )
    assert checks == [1, 1, 1]


def test_no_more_conversations_are_asked_for_than_the_server_compares(run: Run) -> None:
    asked = run(
        f"""{NET}
        shown = new Map(Array.from({{ length: 70 }}, (_, n) => [`${{n}}`, 1]));
        await pass(60_000);
        client.close();
        return asked;"""
    )
    assert asked == [[str(n) for n in range(50)]]


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


# --- reading the page again -------------------------------------------------------------------


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
        """let stream;
        let finish;
        const { clock, got } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))),
          { on: { refresh: () => new Promise((resolve) => { finish = resolve; }) } });
        await clock.advance(0);
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
        """let stream;
        let finish;
        const { clock, got } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))),
          { on: { refresh: () => new Promise((resolve) => { finish = resolve; }) } });
        await clock.advance(0);
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
        const shown = { persisted: true };
        window.dispatchEvent(new PageTransitionEvent("pagehide", shown));
        await clock.advance(1_000);
        window.dispatchEvent(new PageTransitionEvent("pageshow", shown));
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
        const shown = { persisted: true };
        window.dispatchEvent(new PageTransitionEvent("pagehide", shown));
        await clock.advance(60_000);
        window.dispatchEvent(new PageTransitionEvent("pageshow", shown));
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
        const shown = { persisted: true };
        window.dispatchEvent(new PageTransitionEvent("pagehide", shown));
        await clock.advance(60_000);
        const away = got.refreshes;
        window.dispatchEvent(new PageTransitionEvent("pageshow", shown));
        await clock.advance(60_000);
        client.close();
        return [away, got.refreshes];"""
    )
    assert (away, back) == (0, 1)


# --- DOM events -------------------------------------------------------------------------------


def test_the_document_is_told_of_each_event_once_and_of_the_state(run: Run) -> None:
    events, states = run(
        """const events = [];
        const states = [];
        document.addEventListener("realtime:event", ({ detail }) => {
          events.push([detail.id, detail.type, detail.catchUp]);
          throw new Error("a listener's mistake");
        });
        document.addEventListener("realtime:state", ({ detail }) => states.push(detail.state));
        addEventListener("error", (event) => event.preventDefault());
        const text = event("e1") + event("e2", { type: "unread.changed" }) + event("e1");
        const { clock } = beginScripted(
          async ({ n }) => n > 1 ? silent() : answer(hello("hold") + text));
        await clock.advance(0);
        client.close();
        return [events, states];"""
    )
    assert events == [["e1", "message.created", False], ["e2", "unread.changed", False]]
    assert states == ["connecting", "connected"]


def test_a_listener_prolongs_a_reset_until_it_succeeds(run: Run) -> None:
    told, resets = run(
        """let told = 0;
        document.addEventListener("realtime:reset", ({ detail }) => {
          told += 1;
          detail.waitUntil(told < 3 ? Promise.reject(new Error("503")) : Promise.resolve());
        });
        const { clock, got } = beginScripted(async ({ n, signal }) => n > 1
          ? open(signal, hello("stream"))
          : answer('event: reset\\ndata: {"type": "reset", "data": {"cursor": "c"}}\\n\\n'));
        await clock.advance(60_000);
        client.close();
        return [told, got.resets];"""
    )
    assert (told, resets) == (3, 3)

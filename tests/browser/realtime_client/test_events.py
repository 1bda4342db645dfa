"""static/realtime_events.js: what one client hands its page."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.realtime_client.conftest import Run


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

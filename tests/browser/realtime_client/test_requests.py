"""static/realtime_events.js: what one client asks for, when, and how often."""

from __future__ import annotations

import pytest

from tests.browser.realtime_client.conftest import Run

# --- no hot loop ------------------------------------------------------------------------------

BROKEN = {
    "network down": "throw new TypeError('failed to fetch')",
    "503": "return new Response('', { status: 503 })",
    "500": "return new Response('<h1>', { status: 500, headers: { 'Content-Type': 'text/html' } })",
    "404": "return new Response('', { status: 404 })",
    "HTML": "return new Response('<h1>', { headers: { 'Content-Type': 'text/html' } })",
    "204": "return new Response(null, { status: 204 })",
    "empty at once": "return answer('')",
    "retry 0": "return answer('retry: 0\\n\\n')",
    "comment and end": "return answer(': hb\\n\\n')",
    "hello and end": "return answer(hello('stream'))",
    "hello, then failing hold": "return call.params.hello ? answer(hello('hold')) : answer('')",
    "the same event for ever": "return answer(event('e1') + 'retry: 0\\n\\n')",
    "unreadable event for ever": "return answer('data: {\\n\\n')",
    "reset for ever": 'return answer(\'event: reset\\ndata: {"type": "reset", "data": {}}\\n\\n\')',
    "cut at once": "const r = open(); r.break_(); return r",
    "never answered": "return silent()",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_server_gets_a_handful_of_requests_a_minute(run: Run, how: str) -> None:
    times, state = run(
        f"""const {{ clock, calls, state }} = beginScripted(async (call) => {{ {BROKEN[how]} }});
        const start = clock.time;
        await clock.advance(60_000);
        client.close();
        return [calls.map(({{ at }}) => at - start), state()];"""
    )
    assert 3 <= len(times) <= 20, times
    assert len([at for at in times if at > 30_000]) <= 8, times
    assert state != "connected"


def test_a_failing_server_that_recovers_is_found_and_forgiven(run: Run) -> None:
    waits, state = run(
        """const { clock, calls, state } = beginScripted(async (call) => {
          if (call.n <= 6) return new Response("", { status: 503 });
          if (call.n === 7) return answer(event("e1"));
          if (call.n === 8) return new Response("", { status: 503 });
          return open(call.signal, hello("stream"));
        }, { env: { random: () => 1 } });
        await clock.advance(120_000);
        client.close();
        return [calls.slice(1).map((call, n) => call.at - calls[n].at), state()];"""
    )
    assert waits[:8] == [1000, 2000, 4000, 8000, 16000, 30000, 0, 1000]
    assert state == "connected"


@pytest.mark.parametrize(
    ("header", "times"),
    [("20", [0, 20_000, 40_000]), ("86400", [0, 60_000]), ("amanhã", [0, 250, 500])],
)
def test_retry_after_is_obeyed_within_bounds(run: Run, header: str, times: list[int]) -> None:
    asked = run(
        """const { clock, calls } = beginScripted(async () =>
          new Response("", { status: 503, headers: { "Retry-After": encodeURI(arg) } }),
          { env: { random: () => 0 } });
        const start = clock.time;
        await clock.advance(70_000);
        client.close();
        return calls.map(({ at }) => at - start);""",
        header,
    )
    assert asked[: len(times)] == times
    assert (asked[len(times) :] == []) == (header == "86400")


def test_an_answer_that_is_not_read_does_not_keep_its_connection(run: Run) -> None:
    freed = run(
        """const signals = [];
        const { clock } = beginScripted(async ({ signal }) => {
          signals.push(signal);
          return new Response(open().body, { status: 503 });
        });
        await clock.advance(5_000);
        const freed = signals.map(({ aborted }) => aborted);
        client.close();
        return freed;"""
    )
    assert len(freed) > 2
    assert all(freed)


@pytest.mark.parametrize("text", ["retry + hello('stream')", "hello('stream') + retry"])
def test_an_answer_over_capacity_is_asked_again_after_its_retry_with_jitter(
    run: Run, text: str
) -> None:
    waits, state = run(
        f"""const retry = "retry: 2000\\n\\n";
        const {{ clock, calls, state }} = beginScripted(async () => answer({text}));
        await clock.advance(60_000);
        client.close();
        return [calls.slice(1).map((call, n) => call.at - calls[n].at), state()];"""
    )
    assert state == "connected"
    assert all(2000 <= wait <= 3000 for wait in waits)
    assert len(set(waits)) > 5


def test_who_holds_and_finds_no_place_asks_once_a_pause(run: Run) -> None:
    hellos, waits = run(
        """const { clock, calls } = beginScripted(async ({ params }) =>
          answer(params.hello ? "retry: 20\\n\\n" + hello("hold") : "retry: 2000\\n\\n"));
        await clock.advance(60_000);
        client.close();
        const waits = calls.slice(2).map((call, n) => call.at - calls[n + 1].at);
        return [calls.filter(({ params }) => params.hello).length, waits];"""
    )
    assert hellos == 1
    assert len(waits) > 15
    assert all(2000 <= wait <= 3000 for wait in waits)


def test_a_server_that_shuts_down_spreads_its_pages_without_alarm(run: Run) -> None:
    wait, states = run(
        """let stream;
        const { clock, calls, got } = beginScripted(
          async ({ signal }) => (stream = open(signal, hello("stream"))),
          { env: { random: () => 0.5 } });
        await clock.advance(5_000);
        stream.push("retry: 2000\\n\\n");
        stream.end();
        await clock.advance(5_000);
        client.close();
        return [calls[1].at - calls[0].at - 5_000, got.states];"""
    )
    assert wait == 2_500
    assert states == ["connecting", "connected"]


# --- delivery ---------------------------------------------------------------------------------


def test_the_first_request_leaves_delivery_to_the_server_and_the_next_follows_its_hello(
    run: Run,
) -> None:
    asked = run(
        """const { clock, calls, got } = beginScripted(async (call) => call.n === 1
            ? answer(hello("hold") + event("e1") + event("e2")) : silent());
        await clock.advance(0);
        client.close();
        return calls.map(({ params }) => params);"""
    )
    client = asked[0].pop("client")
    assert asked[0] == {"after": "0", "hello": "1"}
    assert asked[1:] == [{"after": "e2", "client": client, "delivery": "hold"}]


def test_a_hold_answer_is_followed_by_the_next_request_at_once(run: Run) -> None:
    times, events, states = run(
        """const { clock, calls, got } = beginScripted(async (call) => {
          if (call.n === 1) return answer(hello("hold"));
          if (call.n <= 4) return answer("retry: 20\\n\\n" + event("e" + call.n));
          const r = open(call.signal, "retry: 20\\n\\n"); // quiet: lives its time
          clock.env.setTimeout(() => {
            r.push(": hb\\nid: c" + call.n + "\\n\\n");
            r.end();
          }, 20_000);
          return r;
        });
        const start = clock.time;
        await clock.advance(41_000);
        client.close();
        const asked = calls.map(({ at, params }) => [at - start, params.after]);
        return [asked, got.events, got.states];"""
    )
    assert times == [
        [0, "0"], [0, "0"], [0, "e2"], [0, "e3"], [0, "e4"], [20_000, "c5"], [40_000, "c6"],
    ]  # fmt: skip
    assert events == ["e2", "e3", "e4"]
    assert states == ["connecting", "connected"]


def test_a_stream_that_is_buffered_falls_back_to_hold_and_is_tried_again_ever_later(
    run: Run,
) -> None:
    trials, others = run(
        """const clock = new FakeClock();
        const trials = [];
        const start = clock.time;
        const { calls } = beginScripted(async ({ params }) => {
          if (params.delivery !== "hold") {
            trials.push(clock.time - start);
            return silent();
          }
          if (params.hello) return answer(hello("hold"));
          await new Promise((resolve) => clock.env.setTimeout(resolve, 20_000));
          return answer(": hb\\n\\n");
        }, { env: clock.env });
        await clock.advance(1_400_000);
        client.close();
        return [trials, calls.length - trials.length];"""
    )
    assert trials == [0, 63_000, 666_000, 1_269_000]
    assert others == 74


def test_a_server_that_does_not_even_hold_is_asked_for_a_stream_again(run: Run) -> None:
    deliveries = run(
        """const { clock, calls } = beginScripted(async ({ n, signal }) =>
          n <= 2 ? silent() : open(signal, hello("stream")));
        await clock.advance(15_000);
        client.close();
        return calls.map(({ params }) => params.delivery);"""
    )
    assert deliveries == [None, "hold", None]


SLOW_START = """
  const clock = new FakeClock();
  const holding = () => new Promise((resolve) => clock.env.setTimeout(resolve, 20_000));
  const start = clock.time;
  const streams = []; // when each was asked for
  beginScripted(async ({ params, signal }) => {
    if (params.delivery === "hold") {
      if (!params.hello) await holding();
      return answer(params.hello ? hello("hold") : ": hb\\n\\n");
    }
    streams.push(clock.time - start);
    return isSilent(streams.length) ? silent() : open(signal, hello("stream") + ": hb\\n\\n");
  }, { env: clock.env });
"""


def test_a_server_that_starts_slowly_streams_a_minute_later(run: Run) -> None:
    times = run(
        f"""const isSilent = (n) => n === 1;
        {SLOW_START}
        await clock.advance(85_000);
        client.close();
        return streams;"""
    )
    assert times == [0, 63_000]


def test_one_silent_stream_after_good_ones_is_no_buffering(run: Run) -> None:
    times = run(
        f"""const isSilent = (n) => n % 2 === 0;
        {SLOW_START}
        await clock.advance(900);
        client.reconnect();  // the second
        await clock.advance(64_100);
        client.reconnect();  // the fourth
        await clock.advance(64_000);
        client.close();
        return streams;"""
    )
    assert times == [0, 1_000, 64_000, 65_100, 128_100], "the third was heard"


def test_a_machine_that_was_busy_streams_again_when_it_is_idle(run: Run) -> None:
    """Streams say hello too late for minutes, and so do held answers."""
    busy, idle = run(
        """const clock = new FakeClock();
        const slowly = (ms) => new Promise((resolve) => clock.env.setTimeout(resolve, ms));
        let isBusy = true;
        const { calls } = beginScripted(async ({ params, signal }) => {
          if (params.delivery === "hold") {
            await slowly(params.hello ? (isBusy ? 1_500 : 100) : 20_000);
            return answer(params.hello ? hello("hold") : ": hb\\n\\n");
          }
          await slowly(isBusy ? 3_500 : 100);
          return open(signal, hello("stream"));
        }, { env: clock.env });
        await clock.advance(600_000);
        const busy = calls.length;
        isBusy = false;
        await clock.advance(600_000);
        client.close();
        return [busy, calls.at(-1).params.delivery ?? "any"];"""
    )
    assert busy <= 60, "it may hold meanwhile, and asks no more than that takes"
    assert idle in ("any", "stream")


def test_a_stream_that_died_after_its_hello_is_replaced_after_25_seconds(run: Run) -> None:
    times, states = run(
        """const { clock, calls, got } = beginScripted(
          async ({ signal }) => open(signal, hello("stream")));
        const start = clock.time;
        await clock.advance(24_999);
        const before = calls.length;
        await clock.advance(2_000);
        client.close();
        return [[before, ...calls.map(({ at }) => at - start)], got.states];"""
    )
    assert times[:2] == [1, 0]
    assert len(times) == 3
    assert 25_000 <= times[2] <= 26_000
    assert states == ["connecting", "connected", "connecting", "connected"]


def test_a_quiet_stream_with_heartbeats_stays_and_renews_the_cursor(run: Run) -> None:
    asked = run(
        """let stream;
        const { clock, calls } = beginScripted(async ({ signal }) => {
          stream = open(signal, hello("stream"));
          return stream;
        });
        for (let beat = 1; beat <= 5; beat += 1) {
          await clock.advance(10_000);
          stream.push(`: hb\\nid: c${beat}\\n\\n`);
        }
        await clock.advance(5_000);
        stream.end();
        await clock.advance(0);
        client.close();
        return calls.map(({ params }) => params.after);"""
    )
    assert asked == ["0", "c5"]


def test_a_page_without_a_cursor_takes_the_one_of_hello(run: Run) -> None:
    asked = run(
        """const { clock, calls } = beginScripted(async ({ n, signal }) =>
          n === 1 ? answer(hello("hold")) : silent(), { cursor: "" });
        await clock.advance(0);
        client.close();
        return calls.map(({ params }) => params.after ?? null);"""
    )
    assert asked == [None, "start"]

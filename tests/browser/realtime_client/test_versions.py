"""static/realtime_events.js: versions compared with the server's, the one safety net."""

from __future__ import annotations

import pytest

from tests.browser.realtime_client.conftest import Run

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

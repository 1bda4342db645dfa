"""The parts of static/realtime_events.js that know neither page nor network."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.realtime_client.conftest import Run

PARSE = """
  const feed = realtime.parseEventStream();
  return arg.flatMap((chunk) => feed(new TextEncoder().encode(chunk)));
"""


@pytest.mark.parametrize(
    ("chunks", "blocks"),
    [
        (["id: 1\nevent: a\ndata: x\n\n"], [{"id": "1", "event": "a", "data": "x"}]),
        (["data: x\r\ndata: y\r\n\r\n"], [{"data": "x\ny"}]),
        (["data: x\rdata: y\r\r"], [{"data": "x\ny"}]),
        (["data: x\r", "\ndata: y\r", "\n\r", "\n"], [{"data": "x\ny"}]),
        (["data: x\r", "", "\n", "\n"], [{"data": "x"}]),
        (["da", "ta:", " x\n", "\n"], [{"data": "x"}]),
        (["data:  two\n\n"], [{"data": " two"}]),
        (["data\n\n"], [{"data": ""}]),
        ([": hb\nid: 7\n\n"], [{"id": "7"}]),
        ([": hb\n\n: hb\n\n"], []),
        (["retry: 20\n\n"], [{"retry": 20}]),
        (["retry: soon\nunknown: 1\n\n"], []),
        (["id: a\0b\ndata: x\n\n"], [{"data": "x"}]),
        (["data: a: b\n\n"], [{"data": "a: b"}]),
        (["\ufeffdata: x\n\n"], [{"data": "x"}]),
        (["data: x\n\ndata: cut"], [{"data": "x"}]),
    ],
)
def test_the_parser_reads(run: Run, chunks: list[str], blocks: list[dict[str, Any]]) -> None:
    assert run(PARSE, chunks) == blocks


def test_the_parser_reads_the_same_however_the_bytes_are_cut(run: Run) -> None:
    text = "id: 1\r\ndata: olá, João 👍🏽\r\n\r\n: hb\nid: 2\n\nretry: 5\r\rdata: é\ndata: ç\n\n"
    whole, cuts = run(
        """
        const bytes = new TextEncoder().encode(arg);
        const whole = realtime.parseEventStream()(bytes);
        const cuts = [];
        for (let at = 0; at <= bytes.length; at += 1) {
          const feed = realtime.parseEventStream();
          cuts.push([...feed(bytes.slice(0, at)), ...feed(bytes.slice(at))]);
        }
        const feed = realtime.parseEventStream();
        cuts.push([...bytes].flatMap((byte) => feed(Uint8Array.of(byte))));
        return [whole, cuts];
        """,
        text,
    )
    assert whole[0] == {"id": "1", "data": "olá, João 👍🏽"}
    assert len(whole) == 4
    assert all(cut == whole for cut in cuts)


def test_a_batch_is_sorted_by_version_within_each_conversation_only(run: Run) -> None:
    order = run(
        """
        const event = (id, conversation_id, version) => ({ id, conversation_id, version });
        const batch = [event("a3", "a", 3), event("b2", "b", 2), event("plain", "a", null),
          event("a1", "a", 1), event("b1", "b", 1), event("a2", "a", 2), event("a2'", "a", 2)];
        return realtime.sortBatch(batch).map(({ id }) => id);
        """
    )
    assert order == ["a1", "b1", "plain", "a2", "b2", "a2'", "a3"]


TRACK = "const tracker = new realtime.VersionTracker(); const take = (at) => tracker.takeHoles(at);"


def test_versions_out_of_order_leave_no_hole(run: Run) -> None:
    holes = run(
        f"{TRACK} for (const v of [4, 6, 7, 5, 5]) tracker.see('a', v, 0); return take(1e6)"
    )
    assert holes == []


def test_a_hole_is_told_once_after_its_grace(run: Run) -> None:
    told = run(
        f"""{TRACK}
        tracker.see("a", 4, 0);
        tracker.see("a", 6, 1000);
        tracker.see("a", 7, 2000);
        const at = tracker.nextHoleAt();
        return [at, take(at - 1), take(at), take(at + 1e6), tracker.nextHoleAt()];
        """
    )
    assert told == [2500, [], ["a"], [], None]


def test_what_the_page_reads_closes_a_hole(run: Run) -> None:
    told = run(
        f"""{TRACK}
        tracker.see("a", 4, 0);
        tracker.see("a", 6, 0);
        tracker.note("a", 5);
        tracker.see("b", 1, 0);
        tracker.see("b", 3, 0);
        tracker.note("b", 9);
        return [take(1e6), tracker.nextHoleAt()];
        """
    )
    assert told == [[], None]


def test_a_second_hole_is_told_after_the_first_was_closed(run: Run) -> None:
    told = run(
        f"""{TRACK}
        tracker.see("a", 1, 0);
        tracker.see("a", 3, 0);
        const first = take(5000);
        tracker.note("a", 3);
        tracker.see("a", 5, 6000);
        return [first, take(7000), take(7500)];
        """
    )
    assert told == [["a"], [], ["a"]]


def test_the_servers_versions_show_what_was_missed_and_are_told_again_next_time(run: Run) -> None:
    told = run(
        f"""{TRACK}
        tracker.note("a", 4); tracker.note("b", 4);
        tracker.compare({{ a: 5, b: 4, whole: 2 }}, 0);
        const first = take(1500);
        tracker.note("whole", 2);
        tracker.compare({{ a: 5, b: 3, whole: 2 }}, 60000);
        return [first, take(61000), take(61500)];
        """
    )
    assert told == [["a", "whole"], [], ["a"]]


def test_a_tracker_that_forgot_takes_the_servers_versions_as_they_are(run: Run) -> None:
    assert (
        run(
            f"{TRACK} tracker.note('a', 4); tracker.forget();"
            "tracker.compare({a: 9}, 0); return take(1e6)"
        )
        == []
    )


def test_backoff_grows_to_its_cap_with_full_jitter(run: Run) -> None:
    longest = run(
        "return [1, 2, 3, 4, 5, 6, 50, 5000].map((n) => realtime.backoffDelay(n, () => 1))"
    )
    assert longest == [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
    assert run("return realtime.backoffDelay(6, () => 0.5)") == 15000
    assert run("return realtime.backoffDelay(6, () => 0)") == 250


def test_retry_after_is_read_as_seconds_or_date_and_bounded(run: Run) -> None:
    read = run(
        """const now = Date.parse("2030-01-01T00:00:00Z");
        return [null, "", "7", "99999", "nonsense", "-4", "Tue, 01 Jan 2030 00:00:09 GMT",
          "Mon, 31 Dec 2029 00:00:00 GMT",
        ].map((header) => realtime.retryAfterDelay(header, now));"""
    )
    assert read == [0, 0, 7000, 60000, 0, 0, 9000, 0]


def test_an_events_age_goes_by_the_servers_clock(run: Run) -> None:
    ages = run(
        """const hour = 3_600_000;
        const clock = new realtime.ServerClock();
        const date = "Tue, 01 Jan 2030 00:00:20 GMT";
        const local = Date.parse(date) - hour;
        clock.sample(null, local, local);
        clock.sample(date, local, local + 1000);
        clock.sample(date, local, local + 20_000); // a held answer: its date is old
        return clock.age("2030-01-01T00:00:00.000Z", local + 1000);"""
    )
    assert ages == 21_000

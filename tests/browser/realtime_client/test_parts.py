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
        (["da", "ta:", " x\n", "\n"], [{"data": "x"}]),
        (["id: 7\n: hb\n\n"], [{"": "hb", "id": "7"}]),
        (["retry: 20\n\n"], [{"retry": "20"}]),
        (["data: a: b\n\n"], [{"data": "a: b"}]),
        (["data: a\u2028b\u0085\n\n"], [{"data": "a\u2028b\u0085"}]),
        (["data: x\n\ndata: y\n\ndata: cut"], [{"data": "x"}, {"data": "y"}]),
    ],
)
def test_the_parser_reads(run: Run, chunks: list[str], blocks: list[dict[str, Any]]) -> None:
    assert run(PARSE, chunks) == blocks


def test_the_parser_reads_the_same_however_the_bytes_are_cut(run: Run) -> None:
    text = "id: 1\ndata: olá, João 👍🏽\n\n: hb\nid: 2\n\nretry: 5\n\ndata: é ç\n\n"
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


def test_backoff_grows_to_its_cap_with_full_jitter(run: Run) -> None:
    longest = run(
        "return [1, 2, 3, 4, 5, 6, 50, 5000].map((n) => realtime.backoffDelay(n, () => 1))"
    )
    assert longest == [1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]
    assert run("return realtime.backoffDelay(6, () => 0.5)") == 15000
    assert run("return realtime.backoffDelay(6, () => 0)") == 250

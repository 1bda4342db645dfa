"""The measurements measure, and leave nothing behind. Their figures are not judged here."""

from __future__ import annotations

import contextlib
import math
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import grpc
import pytest
from google.cloud import ndb

from local.bench import report
from local.bench.counter import counting, reads
from local.bench.measures import percentile
from local.bench.storm.running import Storm
from local.processes.parts import ROOT, without_proxies
from tests.helpers import Store

CALLS = 6


class Note(ndb.Model):
    """Any entity."""


def test_a_percentile_is_one_of_the_values_and_of_none_is_nothing() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [percentile(values, share) for share in (0.01, 0.5, 0.99)] == [1.0, 3.0, 5.0]
    assert math.isnan(percentile([], 0.5))


def test_a_table_lines_its_columns_up(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(["what", "milliseconds"], 6, iter([["fast", "1"], ["slower", "100"]]))
    assert capsys.readouterr().out.splitlines() == [
        "what    milliseconds",
        "------  ------------",
        "fast               1",
        "slower           100",
    ]


def test_listeners_that_are_no_numbers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        report.parse(["--listeners", "1,many"])
    assert "--listeners 1,many" in capsys.readouterr().err


def test_a_storm_that_breaks_something_says_what_and_ends_with_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    came_of_it = Storm(seconds=60.0, kills=9, ticks=[1.0] * 99, faults=["chat 1: lost: in-1"])
    monkeypatch.setattr(report, "store", lambda _kind: contextlib.nullcontext("nowhere"))
    monkeypatch.setattr(report, "storm", lambda _host, _seconds: came_of_it)
    assert report.main(["--only", "storm"]) == 1
    assert "DOES NOT HOLD: chat 1: lost: in-1" in capsys.readouterr().out
    came_of_it.faults = []
    assert report.main(["--only", "storm"]) == 0
    assert "DOES NOT HOLD" not in capsys.readouterr().out
    for ticks in ([1.0] * 90 + [10.5] * 10, []):
        came_of_it.ticks = ticks
        assert report.main(["--only", "storm"]) == 1
        assert "DOES NOT HOLD: stored -> first tick" in capsys.readouterr().out


def test_a_storm_lasts_as_long_as_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert report.parse([]).seconds == 60
    assert report.parse(["--quick"]).seconds == 15
    assert report.parse(["--quick", "--seconds", "600"]).seconds == 600
    with pytest.raises(SystemExit):
        report.parse(["--seconds", "0"])
    assert "--seconds" in capsys.readouterr().err


def test_the_pass_through_counts_every_call_by_kind_and_hands_errors_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counting(store.host) as (address, counts):
        monkeypatch.setenv("DATASTORE_EMULATOR_HOST", address)
        with store.context():
            Note(id="one").put()
            assert Note.get_by_id("one", use_cache=False) is not None
            assert Note.get_by_id("two", use_cache=False) is None
            assert len(Note.query().fetch(keys_only=True)) == 1
        assert counts.calls() == {"Commit": 1, "Lookup Note": 2, "RunQuery Note": 1}
        assert reads(counts.calls()) == 3
        with grpc.insecure_channel(address) as channel:
            unknown = channel.unary_unary("/google.datastore.v1.Datastore/RunAggregationQuery")
            with pytest.raises(grpc.RpcError) as refused:
                unknown(b"")
        with grpc.insecure_channel(store.host) as channel:
            unknown = channel.unary_unary("/google.datastore.v1.Datastore/RunAggregationQuery")
            with pytest.raises(grpc.RpcError) as refused_directly:
                unknown(b"")
        assert refused.value.code() == refused_directly.value.code()
        counts.reset()
        assert counts.calls() == {}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_quick_run_prints_all_tables_loses_nothing_and_leaves_no_process() -> None:
    mark = f"BENCH_TEST={uuid.uuid4().hex}"
    environ = without_proxies({**os.environ, **dict([mark.split("=")])})
    command = [sys.executable, "-m", "local.bench", "--quick", "--listeners", "1,5"]
    command += ["--rounds", str(CALLS)]
    ran = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for title in ("LATENCY", "MEMORY", "IDLE", "WEBHOOK", "OVERLOAD", "HANGING", "UNREAD", "STORM"):
        assert f"\n{title}" in ran.stdout
    latency = ran.stdout.split("\nMEMORY")[0]
    rows = re.findall(r"^ +(\d) (\w.*?)  +(\S+)  +(\S+)  +\S+  +\S+  +(\d+)$", latency, re.M)
    assert [row[0] for row in rows] == ["1"] * 4 + ["5"] * 4
    assert all(row[4] == "0" for row in rows), ran.stdout
    # What nobody asks for is not read: neither an idle server nor one more listener costs reads.
    assert re.search(r"^ +0 stream +0 +none$", ran.stdout, re.M), ran.stdout
    if Path("/proc/self/environ").exists():
        assert _with_environ(mark.encode()) == []


def _with_environ(mark: bytes) -> list[str]:
    """Ids of the processes that have this in their environment."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environ.read_bytes().split(b"\0"):
                found.append(environ.parent.name)
        except OSError:
            continue  # it has just ended, or is somebody else's
    return found

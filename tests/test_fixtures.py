"""What the fixtures promise to the tests that use them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud import ndb

from local.processes.parts import ROOT
from tests import forking
from tests.helpers import Store, wait_until


class Thing(ndb.Model):
    value = ndb.IntegerProperty()


@pytest.mark.parametrize("value", [1, 2])
def test_every_test_starts_with_an_empty_store(store: Store, value: int) -> None:
    with store.context():
        assert Thing.get_by_id("one") is None
        Thing(id="one", value=value).put()
        assert [thing.value for thing in Thing.query()] == [value]


def test_waiting_for_what_never_comes_fails_with_its_name() -> None:
    with pytest.raises(AssertionError, match="the parcel did not hold within 0.05 s"):
        wait_until(lambda: False, 0.05, what="the parcel")


def test_waiting_returns_the_first_true_value() -> None:
    answers = iter([0, "", None, "here"])
    assert wait_until(lambda: next(answers), 5, every=0.001) == "here"


# --- processes that are forked in place of being started ------------------------------------------

Start = Callable[..., Any]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(forking.popen, END="3")`: tests/telling.py, started in that way."""
    started: list[Any] = []

    def start(popen: Callable[..., Any], **environ: str) -> Any:
        env = {**os.environ, "PYTHONUNBUFFERED": "1", "END": "", **environ}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [*forking.PREFIX, "tests.telling", "a", "b c"]
        started.append(popen(command, cwd=ROOT, env=env, start_new_session=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


forks = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


@forks
def test_a_forked_process_has_what_a_started_one_has(start: Start) -> None:
    kinds: list[tuple[Any, Any]] = [(subprocess.Popen, subprocess.Popen)]
    kinds.append((forking.popen, forking.Forked))
    told = []
    for popen, kind in kinds:
        process = start(popen, ANOTHER="ção")
        assert isinstance(process, kind)
        told.append(json.loads(process.stdout.readline()))
        assert process.stderr.readline() == b"and this\n"
        assert process.poll() is None
    assert told[0] == told[1]


@forks
@pytest.mark.parametrize(("end", "code"), [("0", 0), ("3", 3), ("error", 1)])
def test_a_forked_process_ends_with_its_own_code(start: Start, end: str, code: int) -> None:
    process = start(forking.popen, END=end)
    assert process.wait() == process.poll() == code
    assert (b"as asked" in process.stderr.read()) == (end == "error")


@forks
def test_a_forked_process_ends_by_signals_and_with_its_owner(start: Start) -> None:
    killed, asked, left = (start(forking.popen) for _ in range(3))
    for each in (killed, asked, left):
        each.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        killed.wait(0.01)
    killed.kill()
    asked.terminate()
    left.stdin.close()
    assert [each.wait(10) for each in (killed, asked, left)] == [-9, -15, -15]


@forks
def test_what_an_interpreter_reads_at_its_start_gets_one_of_its_own(start: Start) -> None:
    assert isinstance(start(forking.popen, PYTHONPATH="tests"), subprocess.Popen)


@pytest.fixture
def small_suite(tmp_path: Path) -> Callable[..., set[str]]:
    """A suite with one test of each size and this one's rules; gives the names that ran."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\ntestpaths = ["tests"]\nmarkers = ["slow", "long"]\n'
    )
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text(
        "from tests.conftest import pytest_addoption, pytest_collection_modifyitems\n"
        "from tests.conftest import pytest_configure_node\n"
    )
    (tmp_path / "tests" / "test_sizes.py").write_text(
        "import pytest\n"
        "def test_quick(): pass\n"
        "@pytest.mark.slow\ndef test_slow(): pass\n"
        "@pytest.mark.long\ndef test_long(): pass\n"
    )

    def run(*arguments: str) -> set[str]:
        command = [sys.executable, "-m", "pytest", "-rp", "-p", "no:cacheprovider", *arguments]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        environ.pop("PYTEST_ADDOPTS", None)
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return set(re.findall(r"PASSED.*::test_(\w+)$", done.stdout, re.MULTILINE))

    return run


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], {"quick"}),
        (["-n", "2"], {"quick"}),
        (["-n", "2", "--all"], {"quick", "slow"}),
        (["--long"], {"quick", "slow", "long"}),
        (["tests/test_sizes.py"], {"quick", "slow"}),
        (["-k", "test"], {"quick", "slow"}),
    ],
)
def test_what_is_named_runs_whole_and_the_quick_run_leaves_the_slow_out(
    small_suite: Callable[..., set[str]], arguments: list[str], names: set[str]
) -> None:
    assert small_suite(*arguments) == names

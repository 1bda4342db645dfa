"""What the adoption costs a host: lines added to its files, and nothing else changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.hosts.support import HOSTS

MOST = 25
COUNTED = {".py", ".html", ".js", ".css"}
#: Of App Engine: threads and the clean-ups.
APART = {".yaml"}

each_host = pytest.mark.parametrize("name", ["plain", "rendered"])


def files(folder: Path) -> dict[str, bytes]:
    """What the host's owner has written, by path."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@each_host
def test_adopting_the_modules_takes_few_lines(name: str) -> None:
    command = ["git", "diff", "--no-index", "--numstat", "before", "after"]
    done = subprocess.run(
        command, cwd=HOSTS / name, capture_output=True, text=True, timeout=30, check=False
    )
    added = 0
    for line in done.stdout.splitlines():
        lines, _, path = line.split("\t")
        if Path(path.replace("}", "")).suffix in COUNTED:
            added += int(lines)
    assert 0 < added <= MOST, done.stdout


@each_host
def test_no_line_is_crammed(name: str) -> None:
    for path, text in files(HOSTS / name / "after").items():
        before = HOSTS / name / "before" / path
        known = before.read_text(encoding="utf-8").splitlines() if before.exists() else []
        for line in text.decode().splitlines():
            assert line in known or (len(line) <= 160 and line.count(";") <= 3), line


@each_host
def test_only_what_counts_and_yaml_differs(name: str) -> None:
    before, after = files(HOSTS / name / "before"), files(HOSTS / name / "after")
    changed = {Path(path).suffix for path in after if before.get(path) != after[path]}
    assert before.keys() - after.keys() == set()
    assert changed - COUNTED == APART
    assert after["index.yaml"] == before["index.yaml"]
    assert after["requirements.txt"] == before["requirements.txt"]

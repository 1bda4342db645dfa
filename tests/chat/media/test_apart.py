"""What decodes a stranger's file may die or hang, and harms nobody else."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.media import inspection
from chat.media.contents import apart
from chat.media.contents.pictures import UnusableError
from tests.chat.media.hostile import sample
from tests.chat.support import run_together


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[apart._Pool]:
    """Processes of this test's own."""
    pool = apart._Pool()
    monkeypatch.setattr(apart, "_pool", pool)
    yield pool
    pool.close()


@pytest.fixture
def bad(pool: apart._Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of files that do harm; the process that looks into them first dies once."""
    monkeypatch.setattr(apart._Child, "module", "tests.chat.media.bad_child")
    return tmp_path


def look(path: Path) -> str:
    """What is wrong with a file."""
    path.write_bytes(b"x")
    with path.open("rb") as file, pytest.raises(UnusableError) as refused:
        apart.look_at_picture(file, "image/jpeg")
    return refused.value.reason


def test_one_process_looks_into_many_files(pool: apart._Pool) -> None:
    for _ in range(3):
        assert inspection.inspect(io.BytesIO(sample("foto.jpg")), "image").width == 640
    (child,) = pool._free
    assert child.asked == 3


def test_several_are_looked_into_at_the_same_time(pool: apart._Pool) -> None:
    def work() -> str:
        return inspection.inspect(io.BytesIO(sample("voz.ogg")), "voice").kind

    assert run_together(*[work] * 6) == ["voice"] * 6
    assert 1 <= len(pool._free) <= apart.MOST


def test_one_that_was_killed_while_it_waited_is_replaced(pool: apart._Pool) -> None:
    inspection.inspect(io.BytesIO(sample("foto.jpg")), "image")
    (child,) = pool._free
    os.kill(child._process.pid, signal.SIGKILL)
    assert inspection.inspect(io.BytesIO(sample("foto.jpg")), "image").kind == "image"


def test_a_file_is_tried_again_when_the_process_died(bad: Path) -> None:
    assert "PATH" in look(bad / "photo.jpg")


def test_nothing_of_ours_is_known_there(bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHATSAPP_TOKEN", "secret")
    monkeypatch.setenv("SECRET_KEY", "secret")
    told = look(bad / "photo.jpg").split(",")
    # What Python itself adds, and nothing else.
    assert set(told) - set(apart._PASSED) <= {"LC_CTYPE", "PYTHONUNBUFFERED"}


def test_a_file_that_kills_it_each_time_is_none_to_be_shown(bad: Path) -> None:
    assert look(bad / "dies") == "damaged"


def test_a_file_that_makes_it_hang_is_given_up(bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 0.5)
    assert look(bad / "hangs") == "bomb"


def test_an_idle_one_is_ended(pool: apart._Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_IDLE_SECONDS", 0.0)
    inspection.inspect(io.BytesIO(sample("foto.jpg")), "image")
    assert pool._idle is not None
    pool._idle.join(30)
    assert pool._free == []


def test_no_copy_is_left_behind(
    pool: apart._Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    inspection.inspect(io.BytesIO(sample("foto.jpg")), "image")
    inspection.inspect(io.BytesIO(b"\xff\xd8\xff" + bytes(50)), "image")
    assert list(tmp_path.iterdir()) == []

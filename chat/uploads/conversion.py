"""Runs the converter: few at a time, each for a bounded time, and with none of our secrets."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from chat.media.contents import apart
from chat.uploads.refusals import Refused

_log = logging.getLogger(__name__)

#: Of the processor's time and of the clock; decoding a large photo takes about a second.
SECONDS = 60
#: At the same time in one process of the application, which has some hundred MB.
MOST = 2
#: How long a request waits for its turn.
WAIT_SECONDS = 45.0
_ROOT = Path(__file__).resolve().parents[2]

#: How a process ends that has used up its time of the processor.
_OUT_OF_TIME = -getattr(signal, "SIGXCPU", 0) or None

_slots = threading.BoundedSemaphore(MOST)


class BusyError(Exception):
    """Too much is being converted: later."""


def convert(
    task: str, source: Path, target: Path, mime_type: str, seconds: int = SECONDS
) -> dict[str, Any]:
    """What the converter tells of what it wrote.

    Args:
        task: see `convert.run`.
        source: the file as it came.
        target: where the converted one goes.
        mime_type: of the source, by its bytes.
        seconds: how long it may take.

    Raises:
        Refused: the file cannot be converted.
        BusyError: no turn came.
    """
    if not _slots.acquire(timeout=WAIT_SECONDS):
        raise BusyError
    try:
        what = [task, str(source), str(target), mime_type, str(seconds)]
        command = [sys.executable, "-m", "chat.uploads.convert", *what]
        done = subprocess.run(
            command, cwd=_ROOT, env=apart.bare_environ(), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        _log.warning("the conversion %s took more than %d s", task, seconds)
        raise Refused("too_slow") from error
    finally:
        _slots.release()
    if done.returncode == _OUT_OF_TIME:
        _log.warning("the conversion %s took more than %d s of the processor", task, seconds)
        raise Refused("too_slow")
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        # It crashed, or reached a limit: what did that is no file to be passed on.
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        _log.warning("the conversion %s ended with %d: %s", task, done.returncode, last[:200])
        raise Refused("damaged") from error
    if "refused" in answer:
        raise Refused(answer["refused"])
    return answer

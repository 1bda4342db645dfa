"""Looks into files, in a process of its own: `python -m chat.media.contents.child`.

What decodes a stranger's file may crash, hang or eat memory: here it harms nobody else, knows none
of our secrets, and is ended when it takes too long. One line of JSON asks, one answers; it ends
with its owner.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

#: Address space, of which libraries take most without using it.
_MEMORY_BYTES = 3 * 1024**3
#: Seconds of audio: more is not made playable while somebody waits for it.
_LONGEST_PLAYED = 1800


def _bound() -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """What is found in a file.

    Args:
        asked: `path`, `mime_type` by its bytes, `task`: "picture" or "recording", and for the
            second `listen`: whether to listen to all of it.

    Returns:
        the fields of `pictures.Picture` or `sound.Recording`, bytes in Base64, and `played` where
        there is something that a browser plays in its place; or `unusable`, the reason.
    """
    with Path(asked["path"]).open("rb") as file:
        if asked["task"] == "picture":
            from chat.media.contents import pictures

            try:
                found: Any = pictures.look(file, asked["mime_type"])
            except pictures.UnusableError as error:
                return {"unusable": error.reason}
            return _told(found)
        from chat.media.contents import recording, sound

        try:
            found = sound.look(file, asked["mime_type"], waveform=asked["listen"])
        except recording.NotPlayableError:
            return {"unusable": "damaged"}
        told = _told(found)
        long = (found.duration or 0) > _LONGEST_PLAYED
        if asked["listen"] and found.sound_codec in recording.UNPLAYED and not long:
            with contextlib.suppress(recording.NotPlayableError):  # it can still be downloaded
                told["played"] = _text(sound.played(file, asked["mime_type"]))
        return told


def _told(found: Any) -> dict[str, Any]:
    fields = dataclasses.asdict(found)
    return {n: _text(value) if isinstance(value, bytes) else value for n, value in fields.items()}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> None:
    """Answers until nobody can ask any more."""
    _bound()
    # What a library prints is no answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        try:
            told = answer(json.loads(line))
        except MemoryError:
            told = {"unusable": "bomb"}
        answers.write(json.dumps(told).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()

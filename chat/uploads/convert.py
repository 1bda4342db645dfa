"""Converts one file, in a process of its own: `python -m chat.uploads.convert TASK SOURCE
TARGET TYPE SECONDS`.

What decodes a stranger's file may crash, hang or eat memory: here it harms nobody else, and the
process is ended after its time. The answer is one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from chat.uploads.refusals import Refused

#: Address space, of which libraries take most without using it.
_MEMORY_BYTES = 2 * 1024**3
#: Of what is written; the largest target is far below.
_FILE_BYTES = 128 * 1024**2


def _bound(seconds: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))  # told, then killed
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(task: str, source: Path, target: Path, mime_type: str) -> dict[str, Any]:
    """Does one task; see `images`, `animations` and `recordings` for what they write and
    tell."""
    if task in ("image", "sticker"):
        from chat.uploads import images

        return images.photo(source, target) if task == "image" else images.sticker(source, target)
    if task == "animation":
        from chat.uploads import animations

        return animations.animation(source, target)
    from chat.uploads import recordings

    return recordings.TASKS[task](source, target, mime_type)


def main(arguments: list[str]) -> int:
    """The command line."""
    task, source, target, mime_type, seconds = arguments
    _bound(int(seconds))
    try:
        answer = run(task, Path(source), Path(target), mime_type)
    except Refused as refused:
        answer = {"refused": refused.code}
    except MemoryError:
        answer = {"refused": "damaged"}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

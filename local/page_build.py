"""Puts the chat page's scripts into one file, and its styles into another: `static/built/chat/`.

The page is some 160 modules and 28 style sheets, each a request and each some milliseconds of a
browser's work, also from its cache. Together they are two requests, and the page is there in a
third of the time. Without these files, or after a change of what they were made of, the page loads
the modules themselves (`chat.platform.assets.page_files`).

    python -m local.page_build PATH-OF-ESBUILD
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from chat.platform import assets

#: Read as modules, so that names stay and a stack can be read; a map leads to the lines.
_OPTIONS = ["--bundle", "--format=esm", "--minify-whitespace", "--minify-syntax", "--sourcemap"]
_PICTURES = ["--loader:.svg=file", "--asset-names=[name]"]
_SECONDS = 60


def build(esbuild: Path) -> bool:
    """Makes them, unless they are of what is there; False when esbuild fails, with its words."""
    if assets.is_built():
        return True
    fresh = assets.BUILT.with_name(f".{assets.BUILT.name}-{os.getpid()}")
    made_of = assets.sources_version()
    command: list[str | Path] = [
        esbuild,
        "chat/chat.js",
        "chat/chat.css",
        "--outbase=.",
        f"--outdir={fresh.name}",
    ]
    done = subprocess.run(
        [*command, *_OPTIONS, *_PICTURES, "--log-level=warning"],
        cwd=assets.FOLDER,
        timeout=_SECONDS,
    )
    if done.returncode == 0:
        (fresh / assets.MADE_OF).write_text(made_of, encoding="utf-8")
        shutil.rmtree(assets.BUILT, ignore_errors=True)
        fresh.rename(assets.BUILT)
    else:
        shutil.rmtree(fresh, ignore_errors=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(not build(Path(sys.argv[1])))

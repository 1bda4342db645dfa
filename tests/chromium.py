"""One Chromium for all tests that need a browser, whichever folder they are in.

Playwright runs once a process: a second fixture of the kind would find it running already.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
ACTION_MS = 15_000  # two cores that also run the servers: patience, not speed


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The Chromium that CHROMIUM names (dev.py sets it), or one on PATH, or Playwright's own."""
    path = chromium_on_this_machine()
    with sync_playwright() as playwright:
        environ: dict[str, str | float | bool] = {**chromium_environ()}
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, env=environ)
        yield browser
        browser.close()


def chromium_on_this_machine() -> str | None:
    """The path of the Chromium to start, None for Playwright's own."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def chromium_environ() -> dict[str, str]:
    """Debian's launcher is a shell script that calls grep: it must work with a bare PATH too."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), "/usr/bin", "/bin"])
    return {**os.environ, "PATH": folders}

"""One Chromium for all tests that need a browser, whichever folder they are in.

Playwright runs once a process: a second fixture of the kind would find it running already.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.helpers import wait_until

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
# Each window of a Chromium with an interface keeps the popup of its address bar ready: a page that
# costs half a second of processor for every attendant. Of two such flags only the last counts, so
# what Playwright itself switches off is here again.
OFF = ["WebUIOmniboxPopup", "WebUIOmniboxAimPopup"]
OFF += ["AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades"]
OFF += ["HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding"]
OFF += ["ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect", "AimEnabled"]
OFF += ["OptimizationHints", "NetworkTimeServiceQuerying", "PreconnectToSearch"]
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
FLAGS += ["--disable-features=" + ",".join(OFF)]
#: Of every action and expectation, in all folders: what one test set would hold for the next, too.
ACTION_MS = 30_000  # two cores that also run the servers and other tests: patience, not speed


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The Chromium for pages that may all believe themselves in front and in focus: without
    windows if HEADLESS_SHELL names one (dev.py sets it), or any.
    """
    path = os.environ.get("HEADLESS_SHELL") or chromium_on_this_machine()
    expect.set_options(timeout=ACTION_MS)
    with sync_playwright() as playwright:
        environ: dict[str, str | float | bool] = {**chromium_environ()}
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS, env=environ)
        yield browser
        browser.close()


def chromium_on_this_machine() -> str | None:
    """The path of the Chromium that CHROMIUM names (dev.py sets it), or of one on PATH; None for
    Playwright's own.
    """
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def chromium_environ() -> dict[str, str]:
    """Debian's launcher is a shell script that calls grep: it must work with a bare PATH too."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), "/usr/bin", "/bin"])
    return {**os.environ, "PATH": folders}


@contextmanager
def own_chromium(chromium: Browser, folder: Path) -> Iterator[BrowserContext]:
    """A Chromium process of its own, which keeps its data in `folder`; its only context.

    Its tabs are really in front or behind, with focus or without. Playwright tells every page that
    it has focus, and what one DevTools session emulates no other can take back: it spares only the
    default context of a browser that it did not start itself.
    """
    program = chromium_on_this_machine() or chromium.browser_type.executable_path
    args = [program, "--headless", *FLAGS, "--no-first-run", "--lang=pt-BR"]
    args += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(args, env=chromium_environ(), stderr=subprocess.DEVNULL)
    try:
        port_file = folder / "DevToolsActivePort"
        wait_until(lambda: port_file.exists() and port_file.read_text().count("\n"), 20)
        address = f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}"
        context = chromium.browser_type.connect_over_cdp(address, no_defaults=True).contexts[0]
        context.set_default_timeout(ACTION_MS)
        yield context
    finally:
        process.terminate()
        process.wait(10)


#: A page has lost the focus, and all tabs know that by its lock; an empty one has no locks.
_LOOKED_AWAY = """async () => {
  const { held } = (await navigator.locks?.query()) ?? { held: [] };
  return !document.hasFocus() && !held.some(({ name }) => name.endsWith(":focused"));
}"""


def look_away(context: BrowserContext) -> Page:
    """Another tab comes to the front of a browser of `own_chromium`; the others know that they are
    hidden and without focus.
    """
    before = context.pages
    page = context.new_page()
    page.bring_to_front()
    for each in before:
        wait_until(lambda each=each: each.evaluate(_LOOKED_AWAY))
    return page

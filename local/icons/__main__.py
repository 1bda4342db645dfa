"""`python -m local.icons` draws static/chat/installed/icons anew, after favicon.svg has changed.

Needs what the browser tests need: requirements-dev.txt, and a Chromium (CHROMIUM names one).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from local.processes.parts import ROOT

FAVICON = ROOT / "static" / "chat" / "favicon.svg"
FOLDER = ROOT / "static" / "chat" / "installed" / "icons"
GREEN = "#1daa61"
#: An icon that the system cuts into its own form shows a circle of four fifths for sure.
_SAFE = 0.72


def drawings(favicon: str) -> dict[str, tuple[int, str]]:
    """File name → (size in pixels, what an SVG of 32 by 32 units holds)."""
    inner = favicon.partition(">")[2].removesuffix("</svg>")
    swapped = inner.replace(GREEN, "\n").replace("#fff", GREEN).replace("\n", "#fff")
    moved = f"translate({16 - 16 * _SAFE} {16 - 16 * _SAFE}) scale({_SAFE})"
    full = f'<path fill="{GREEN}" d="M0 0h32v32H0z"/><g transform="{moved}">{swapped}</g>'
    # Android shows only what is opaque: the lines are holes.
    outline = " ".join(re.findall(r' d="([^"]+)"', inner))
    badge = f'<path fill="#fff" fill-rule="evenodd" d="{outline}"/>'
    return {
        "icon-192.png": (192, inner),
        "icon-512.png": (512, inner),
        "maskable-192.png": (192, full),
        "maskable-512.png": (512, full),
        "apple-180.png": (180, full),
        "badge-96.png": (96, badge),
    }


def draw(folder: Path) -> None:
    """Writes all icons into `folder`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        for name, (size, inner) in drawings(FAVICON.read_text(encoding="utf-8")).items():
            page.set_viewport_size({"width": size, "height": size})
            svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{inner}</svg>'
            page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block }}</style>{svg}")
            page.screenshot(path=folder / name, omit_background=True)
            print(f"{folder / name}")
        browser.close()


if __name__ == "__main__":
    draw(FOLDER)
    sys.exit(0)

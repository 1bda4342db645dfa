"""Attendants who send files: what they do with mouse and keyboard, and what comes of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests.browser.conftest import Attendant
from tests.browser.one_chat import MARIA
from tests.helpers import Simulator, wait_until

POSTS = re.compile(r"/api/conversations/[^/]+/messages$")

_PASTE = """({ selector, files, texts }) => {
  const data = new DataTransfer();
  for (const [name, type, bytes] of files) {
    const decoded = Uint8Array.from(atob(bytes), (each) => each.charCodeAt(0));
    data.items.add(new File([decoded], name, { type }));
  }
  for (const [type, text] of texts) data.setData(type, text);
  const init = { clipboardData: data, bubbles: true, cancelable: true };
  return document.querySelector(selector).dispatchEvent(new ClipboardEvent("paste", init));
}"""


def file(name: str, mime_type: str, data: bytes) -> Any:
    """As Playwright takes the files of a chooser."""
    return {"name": name, "mimeType": mime_type, "buffer": data}


def choose_files(page: Page, item: str, *files: Any) -> None:
    """From the "+" menu."""
    page.locator(".plus-button").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name=item).click()
    chooser.value.set_files(list(files))


def paste(page: Page, *files: Any, selector: str = ".composer-input", **texts: str) -> bool:
    """Pastes files, and what stands beside them in the clipboard; whether the browser may go on
    with it. `texts`: by type, as text_plain.
    """
    given = [[f["name"], f["mimeType"], base64.b64encode(f["buffer"]).decode()] for f in files]
    named = [[type_.replace("_", "/"), text] for type_, text in texts.items()]
    return bool(page.evaluate(_PASTE, {"selector": selector, "files": given, "texts": named}))


class Drag:
    """Files from the computer's desktop, dragged over the page as the browser tells of it."""

    def __init__(self, page: Page, *paths: Path) -> None:
        self._page = page
        self._data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        self._cdp = page.context.new_cdp_session(page)

    def over(self, selector: str) -> None:
        """Into the middle of this."""
        self._tell("dragEnter", selector)
        self._tell("dragOver", selector)

    def drop(self, selector: str) -> None:
        self.over(selector)
        self._tell("drop", selector)

    def _tell(self, kind: str, selector: str) -> None:
        box = self._page.locator(selector).bounding_box()
        assert box
        at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        self._cdp.send("Input.dispatchDragEvent", {"type": kind, **at, "data": self._data})


class FileWay:
    """Between all tabs of a browser and the server: what becomes of messages on their way there."""

    def __init__(self, person: Attendant) -> None:
        self.tried = 0
        self.is_shut = False
        self.how: list[Callable[[Route], None]] = []  # for the next ones
        person.allow_errors("ERR_FAILED|503|409")
        person.context.route(POSTS, self._handle)

    def _handle(self, route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        self.tried += 1
        if self.is_shut:
            route.abort()
        elif self.how:
            self.how.pop(0)(route)
        else:
            route.continue_()


def preview(page: Page) -> Locator:
    return page.locator("dialog.attach-preview")


def thumbs(page: Page) -> Locator:
    return preview(page).locator(".attach-thumb")


def caption(page: Page) -> Locator:
    return preview(page).get_by_label("Legenda")


def send_button(page: Page) -> Locator:
    return preview(page).get_by_role("button", name=re.compile("^Enviar"))


def bubbles(page: Page, kind: str) -> Locator:
    """Ours with media of this kind."""
    return page.locator(f'.thread-content .message.out[data-media="{kind}"]')


def is_delivered(bubble: Locator) -> None:
    expect(bubble.locator("message-ticks")).to_have_attribute("data-status", "delivered")


def is_seen(bubble: Locator) -> None:
    """Its picture is drawn."""
    image = bubble.locator("img.picture-image")
    expect(image).to_be_visible()
    expect(image).to_have_js_property("complete", True)
    wait_until(lambda: image.evaluate("(node) => node.naturalWidth") > 0)


def received(simulator: Simulator, phone: str = MARIA) -> list[tuple[str, str]]:
    """(type, caption or words) of what the business has sent to this phone, in its order."""
    messages = simulator.get(f"/customers/{phone}/messages").json()["messages"]
    ours = [message for message in messages if message["author"] == "business"]
    return [(m["type"], m["body"].get("caption") or m["body"].get("body") or "") for m in ours]


def arrives(page: Page, simulator: Simulator, *expected: tuple[str, str]) -> None:
    """Wait until the phone has exactly these; asking the page lets its held requests go on."""
    wait_until(lambda: page.evaluate("true") and received(simulator) == list(expected))


def says_yes(page: Page) -> list[str]:
    """Whoever is asked by the browser itself says yes; the kinds of questions, as they come."""
    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", accept)
    return asked

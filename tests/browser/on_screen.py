"""What is on an attendant's screen, and what it must be."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Request

from tests.browser.conftest import Attendant
from tests.browser.cuttable_proxy import EVENTS
from tests.helpers import Simulator, wait_until

CUSTOMER = "5511987654321"

_BUBBLES = """() => [...document.querySelectorAll(".thread-content [data-message-id]")].map(
  (node) => [node.dataset.messageId, node.querySelector(".bubble-text").textContent])"""

_ROWS = """() => [...document.querySelectorAll(".conversation-list [data-conversation-id]")].map(
  (node) => [node.dataset.conversationId, node.querySelector(".row-text").textContent])"""

# Only what is near the view is in the document: every item on the way from top to end, in order.
_WALK = """async ([scroller, items, told]) => {
  const node = document.querySelector(scroller);
  const tell = eval(told);
  const drawn = async () => {
    for (let n = 0; n < 3; n += 1) await new Promise(requestAnimationFrame);
  };
  const found = new Map();
  const start = node.scrollHeight - node.scrollTop;
  do { node.scrollTop = 0; await drawn(); } while (node.scrollTop > 0);
  for (;;) {
    const place = (each) => each.getBoundingClientRect().top;
    const shown = [...node.querySelectorAll(items)].sort((one, two) => place(one) - place(two));
    for (const each of shown) {
      const [id, value] = tell(each);
      found.delete(id);
      found.set(id, value);
    }
    if (node.scrollTop + node.clientHeight >= node.scrollHeight - 1) break;
    node.scrollTop += node.clientHeight / 2;
    await drawn();
  }
  node.scrollTop = node.scrollHeight - start;
  await drawn();
  return [...found];
}"""
_BUBBLE = """(node) => [node.dataset.messageId, node.querySelector(".bubble-text").textContent]"""
_ROW = """(node) => [node.dataset.conversationId, node.querySelector(".row-text").textContent]"""
#: Longer threads may not be in the document as a whole.
_DRAWN = 60

# After every change of the page: an id that stands twice, or a bubble that was there and is gone.
_WATCH = """() => {
  const thread = document.querySelector(".thread-content");
  const list = document.querySelector(".conversation-list");
  const seen = new Set();
  window.faults = [];
  window.neverReloaded = true;
  const look = () => {
    const rows = [...list.children].map((node) => node.dataset.conversationId);
    const shown = [...thread.querySelectorAll("[data-message-id]")];
    const ids = shown.map((node) => node.dataset.messageId);
    if (new Set(rows).size < rows.length) window.faults.push("a conversation stands twice");
    if (new Set(ids).size < ids.length) window.faults.push("a message stands twice");
    for (const id of ids) seen.add(id);
    if (ids.length < seen.size) window.faults.push("a message has vanished");
  };
  const options = { childList: true, subtree: true, attributeFilter: ["data-message-id"] };
  new MutationObserver(look).observe(thread, options);
  new MutationObserver(look).observe(list, options);
}"""


class Writer:
    """A customer who writes numbered messages, each a second after the one before.

    The seconds are their own, some hours ago: so the order of the thread is the order of writing,
    however the webhooks overtake each other.
    """

    def __init__(
        self, simulator: Simulator, phone: str = CUSTOMER, name: str = "m", *, hours: int = 1
    ) -> None:
        self.simulator = simulator
        self.phone = phone
        self.texts: list[str] = []
        self._name = name
        self._second = int(time.time()) - 3600 * hours

    def write(self, count: int) -> list[str]:
        """Write so many messages; returns their texts."""
        new = [f"{self._name}{len(self.texts) + n + 1}" for n in range(count)]
        for text in new:
            self._second += 1
            body = {"text": text, "timestamp": self._second}
            self.simulator.post(f"/customers/{self.phone}/messages", body)
        self.texts += new
        return new


def bubbles(page: Page) -> list[tuple[str, str]]:
    """(message id, text) of every bubble, from the top."""
    return [(id_, text) for id_, text in page.evaluate(_BUBBLES)]


def texts(page: Page) -> list[str]:
    """The texts of the bubbles, from the top."""
    return [text for _, text in bubbles(page)]


def rows(page: Page) -> list[tuple[str, str]]:
    """(conversation id, preview) of every row, from the top."""
    return [(id_, text) for id_, text in page.evaluate(_ROWS)]


def walk_thread(page: Page, told: str = _BUBBLE) -> list[tuple[str, Any]]:
    """Every bubble of what is loaded, from the top, by scrolling through the thread and back.

    Args:
        page: with a thread open.
        told: a JavaScript function, of a bubble to [its id, what is wanted of it].
    """
    found = page.evaluate(_WALK, [".thread-scroll", "[data-message-id]", told])
    return [(id_, value) for id_, value in found]


def walk_list(page: Page) -> list[tuple[str, str]]:
    """(conversation id, preview) of every loaded row, by scrolling through the list and back."""
    found = page.evaluate(_WALK, [".list-scroll", "[data-conversation-id]", _ROW])
    return [(id_, text) for id_, text in found]


def connection(page: Page) -> str:
    """What the page says of its connection."""
    state: str = page.evaluate("document.documentElement.dataset.connection")
    return state


def open_thread(page: Page, preview: str) -> str:
    """Click on the row with this preview; the conversation's id, once its thread is there."""
    row = page.locator("[data-conversation-id]", has=page.get_by_text(preview, exact=True))
    row.click()
    page.wait_for_selector("[data-message-id]")
    id_ = row.get_attribute("data-conversation-id")
    assert id_
    return id_


def watch(page: Page) -> None:
    """From now on the page notes whatever stands twice or vanishes in the open thread."""
    page.evaluate(_WATCH)


def await_thread(person: Attendant, page: Page, expected: list[str], seconds: float = 25) -> None:
    """Wait until the open thread shows these texts; then it must be what the server has."""
    read = walk_thread if len(expected) > _DRAWN else bubbles
    wait_until(lambda: len(read(page)) >= len(expected), seconds, what="the whole thread")
    shown = read(page)
    assert [text for _, text in shown] == expected
    assert shown == server_thread(person, page.url.split("?c=")[1])
    assert page.evaluate("window.faults") == []
    assert page.evaluate("window.neverReloaded") is True


def await_rows(page: Page, expected: set[str], seconds: float = 15) -> None:
    """Wait until the list shows one row with each of these previews, and no other."""

    def right() -> bool:
        shown = [text for _, text in rows(page)]
        assert sorted(shown) == sorted(expected)
        return True

    wait_until(right, seconds, what="the list")


def server_thread(person: Attendant, conversation_id: str) -> list[tuple[str, str]]:
    """(message id, text) of the whole conversation as the server has it, oldest first."""
    found: list[tuple[str, str]] = []
    before = ""
    while True:
        url = f"{person.url}/api/conversations/{conversation_id}/messages?limit=100{before}"
        page: dict[str, Any] = person.context.request.get(url).json()
        found = [(message["id"], message["text"]) for message in page["messages"]] + found
        if page["next"] is None:
            return found
        before = f"&before={page['next']}"


def await_idle(simulator: Simulator, seconds: float = 30) -> None:
    """Wait until the chat has acknowledged everything that was written."""
    wait_until(lambda: simulator.get("/deliveries").json()["idle"], seconds, what="every 200")


class Requests:
    """What a page asks the application from now on, refused requests included.

    Without what it merely draws with (the tab's icon) and what it tells (that something was read).
    """

    def __init__(self, page: Page) -> None:
        self.paths: list[str] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        path = urlsplit(request.url).path
        if request.method == "GET" and not path.startswith("/static/"):
            self.paths.append(path)

    def events(self) -> int:
        """How many asked for events."""
        return self.paths.count(EVENTS)

    def reads(self) -> list[str]:
        """Those that read conversations or messages, which the stream should make needless."""
        return [path for path in self.paths if path.startswith("/api/conversations")]


class CatchUps:
    """A tab's answered requests for what it missed, of another tab that has the connection."""

    def __init__(self, page: Page) -> None:
        self._answered: list[Request] = []
        page.on("requestfinished", self._note)

    def _note(self, request: Request) -> None:
        if urlsplit(request.url).path == EVENTS:
            self._answered.append(request)

    def await_last(self) -> None:
        """Wait for the answer that brought no event: from then on the tab only listens."""
        wait_until(lambda: any(map(brought_nothing, self._answered)), what="the tab has caught up")


def brought_nothing(request: Request) -> bool:
    response = request.response()
    assert response is not None
    return set(re.findall(r"^event: (.*)$", response.text(), re.MULTILINE)) <= {"hello"}

"""Works through what is hard on the screen: a long chat, one of photos, a burst, many switches, a
long list.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.bench.screen.filling import fill_chats
from local.bench.screen.frames import Frames, Kept, kept, watched
from local.bench.world import Server, World, page, phone, post_updates

#: Messages of the burst, in a second: half of them into the open chat.
BURST, BURST_CALLS = 100, 10
_WHEEL_PX = 900  # a quick turn
_PATIENCE_MS = 60_000
_BUBBLES = "() => document.querySelectorAll('.thread-content [data-message-id]').length"
_ROWS = "() => document.querySelectorAll('.conversation-list > *').length"
_TEXTS = "() => document.querySelector('.thread-content .bubble-text')?.textContent ?? ''"
_LIST_LEFT = """() => {
  const list = document.querySelector('.list-scroll');
  return list.scrollHeight - list.clientHeight - list.scrollTop;
}"""
_LISTED = "() => Number(document.querySelector('.conversation-list > *').ariaSetSize)"
#: Clicks on a chat's row, wherever in the list that is; resolves when messages of it are drawn.
_OPEN = """async (id) => {
  const list = document.querySelector('.list-scroll');
  const pane = document.querySelector('.thread-pane');
  const row = () => list.querySelector(`[data-conversation-id="${CSS.escape(id)}"] .row`);
  const frame = () => new Promise(requestAnimationFrame);
  for (let px = 0; !row(); px += 500) {
    if (px > list.scrollHeight) throw new Error(`${id} is not in the list`);
    list.scrollTop = px;
    await frame();
  }
  row().click();
  const until = performance.now() + 30000;
  while (pane.dataset.liveThread !== id || !pane.querySelector('[data-message-id]')) {
    if (performance.now() > until) throw new Error(`${id} was not drawn`);
    await frame();
  }
  await frame();
}"""


@dataclass
class Step:
    """One of the things that are measured."""

    name: str
    frames: Frames = field(default_factory=Frames)
    bubbles: int = 0  # in the document, the most that were seen
    rows: int = 0


@dataclass
class Screen:
    """What was measured; `steps` is empty without a browser."""

    steps: list[Step] = field(default_factory=list)
    before: Kept | None = None  # a round of switches, which warms up
    after: Kept | None = None  # all of them
    switches: int = 0
    photos_fetched: int = 0  # files of the chat of photos, once through it and back


def screen(
    host: str, *, messages: int, photos: int, chats: int, switched: int, switches: int
) -> Screen:
    """Measures the screen in a real browser.

    Args:
        host: the store.
        messages: in the longest chat, all of which are scrolled through.
        photos: in another, likewise.
        chats: in the list.
        switched: between so many of them is switched.
        switches: how often, for the memory.
    """
    result = Screen(switches=switches)
    with (
        tempfile.TemporaryDirectory(prefix="bench-media-") as folder,
        World(host, {"MEDIA_FOLDER": folder}) as world,
    ):
        server = world.server(10)
        others = chats - switched
        files = Path(folder)
        ids = fill_chats(server, switched, others, messages, photos=photos, folder=files)
        cookie = server.login()
        with page(cookie, server.url) as tab:
            if tab is None:
                return result
            tab.set_default_timeout(_PATIENCE_MS)
            tab.goto(f"{server.url}/")
            tab.wait_for_selector("html[data-connection=connected]")
            fetched: set[str] = set()
            tab.on("request", lambda request: fetched.update(_file(request.url)))
            for name, work in (
                ("list, scrolled to its end", lambda: _through_list(tab, chats)),
                ("long chat, scrolled up", lambda: _up(tab, ids[0])),
                ("long chat, scrolled down", lambda: _down(tab)),
                ("photos, scrolled up", lambda: _up(tab, ids[1])),
                ("photos, scrolled down", lambda: _down(tab)),
                ("burst", lambda: _burst(tab, server, switched, ids[0])),
                ("switching", lambda: _switch(tab, ids)),
            ):
                result.steps.append(_step(tab, name, work))
            result.photos_fetched = len(fetched)
            _open(tab, ids)
            result.before = kept(tab)
            for first in range(0, switches, len(ids)):
                _open(tab, ids[: switches - first])
            result.after = kept(tab)
    return result


def _file(url: str) -> set[str]:
    return {url} if "/api/messages/" in url and "/media" in url else set()


def _step(tab: Any, name: str, work: Any) -> Step:
    step = Step(name)
    with watched(tab) as step.frames:
        for _ in work():
            step.bubbles = max(step.bubbles, tab.evaluate(_BUBBLES))
            step.rows = max(step.rows, tab.evaluate(_ROWS))
    return step


def _through_list(tab: Any, chats: int) -> Iterator[None]:
    tab.hover(".list-scroll")
    while tab.evaluate(_LISTED) < chats or tab.evaluate(_LIST_LEFT) > 1:
        tab.mouse.wheel(0, _WHEEL_PX)
        yield
    tab.press(".conversation-list .row[tabindex='0']", "Home")


def _up(tab: Any, id_: str) -> Iterator[None]:
    _open(tab, [id_])
    tab.hover(".thread-scroll")
    while not tab.evaluate(_TEXTS).startswith("1: "):
        tab.mouse.wheel(0, -_WHEEL_PX)
        yield


def _down(tab: Any) -> Iterator[None]:
    while not tab.locator(".jump-button").is_hidden():
        tab.mouse.wheel(0, _WHEEL_PX)
        yield


def _burst(tab: Any, server: Server, switched: int, id_: str) -> Iterator[None]:
    """Half of it into the open chat, which stands at its end."""
    _open(tab, [id_])
    each = BURST // BURST_CALLS
    for call in range(BURST_CALLS):
        due = time.monotonic() + 1 / BURST_CALLS
        others = [phone(1 + (call * each + n) % (switched - 1)) for n in range(each // 2)]
        post_updates(server.url, [phone(0)] * (each - len(others)) + others)
        yield
        time.sleep(max(0.0, due - time.monotonic()))
    tab.wait_for_timeout(1000)  # what came last is drawn


def _switch(tab: Any, ids: Sequence[str]) -> Iterator[None]:
    for id_ in ids:
        _open(tab, [id_])
        yield


def _open(tab: Any, ids: Sequence[str]) -> None:
    for id_ in ids:
        tab.evaluate(_OPEN, id_)

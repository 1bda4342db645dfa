"""A page with nothing in it but unread_state.js and a host that notes; and pages of hosts that have
only their marks and the include.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

from tests.browser.screen_modules import static_files
from tests.helpers import wait_until

Run = Callable[..., Any]

_BLANK = "tests/browser/unread_client/blank.html"
_UNREAD = re.compile(r"/unread(\?|$)")
_CSP = "default-src 'self'; img-src 'self' data:"

_SETTINGS = {
    "title_counts": "conversations", "quiet_after_seconds": 15, "refocus_ms": 0,
    "near_bottom_px": 120, "totals_limit": 1000,
}  # fmt: skip

#: A page as templates/unread_state/head.html makes it; the stream does not start, the test tells.
_PAGE = """<!doctype html>
<html lang="pt-BR">
<meta charset="utf-8">
<title>Loja</title>
<link rel="icon" href="/static/chat/favicon.svg">
<link rel="stylesheet" href="/static/unread_state.css">
<link rel="stylesheet" href="/tests/browser/unread_client/host.css">
<script type="application/json" id="realtime-events" data-manual>%s</script>
<script type="application/json" id="unread-state">%s</script>
<script type="module" src="/static/unread_state.js"></script>
<body>%s
<script src="/tests/browser/unread_client/host.js"></script>
</html>"""


@pytest.fixture(scope="module")
def blank_tab(chromium: Browser) -> Iterator[Page]:
    with static_files() as url:
        context = chromium.new_context(base_url=url, viewport={"width": 1200, "height": 800})
        yield context.new_page()
        context.close()


@pytest.fixture
def page(blank_tab: Page) -> Page:
    """A fresh page whose scripts can start the module (see harness.js)."""
    blank_tab.set_viewport_size({"width": 1200, "height": 800})
    blank_tab.goto(_BLANK)
    blank_tab.wait_for_function("window.unreadReady")
    blank_tab.evaluate("localStorage.clear(); sessionStorage.clear()")
    return blank_tab


@pytest.fixture
def run(page: Page) -> Run:
    """Runs the body of an async function in the page, with `arg`, and gives what it returns."""
    return lambda body, arg=None: page.evaluate(f"async (arg) => {{ {body} }}", arg)


class Shop:
    """A host's site: its pages, what its server answers, and what it was asked.

    `pages`: path → the HTML of its body; `unread` and `selected`: what GET /unread says, by id;
    `refuse`: whether the server answers 503 to everything.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.pages: dict[str, str] = {}
        self.unread: dict[str, dict[str, int]] = {}
        self.selected: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self.refuse = False
        context.route("**/*", self._answer)

    def open(self, path: str = "/", *, focused: bool = True) -> Page:
        """A new tab with that page, once the module has asked what is unread."""
        tab = self.context.new_page()
        tab.on("console", self._note)
        tab.on("pageerror", lambda error: self.errors.append(str(error)))
        tab.add_init_script(f"window.focused = {json.dumps(focused)};")
        with tab.expect_response(_UNREAD):
            tab.goto(path)
        return tab

    @property
    def reads(self) -> list[tuple[str, str]]:
        """(conversation, up to) of each reading."""
        posts = [(path, body) for method, path, body in self.asked if method == "POST"]
        return [
            (path.split("/")[3], body["up_to"]) for path, body in posts if path.endswith("/read")
        ]

    def wait_for(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until it holds; what the pages ask is answered meanwhile."""

        def held() -> object:
            self.context.pages[-1].evaluate("0")  # Playwright answers only while it is asked itself
            return condition()

        wait_until(held, what=what)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "warning":
            self.warnings.append(message.text)
        elif message.type == "error" and "503" not in message.text:
            self.errors.append(message.text)

    def _answer(self, route: Route) -> None:
        request = route.request
        parts = urlsplit(request.url)
        if parts.path.startswith(("/static/", "/tests/")):
            route.continue_()
        elif parts.path in self.pages:
            given = {"url": "/realtime", "user": "ana", "cursor": "0", "csrf": "token"}
            settings = {"settings": _SETTINGS}
            html = _PAGE % (json.dumps(given), json.dumps(settings), self.pages[parts.path])
            headers = {"Content-Security-Policy": _CSP}
            route.fulfill(body=html, content_type="text/html", headers=headers)
        else:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            is_json = (
                request.headers.get("content-type") == "application/json" and request.post_data
            )
            body = request.post_data_json if is_json else request.post_data
            self.asked.append((request.method, path, body))
            if self.refuse:
                route.fulfill(status=503, json={"error": {"code": "unavailable", "message": ""}})
            else:
                self._say(route, parts.path, parts.query, request)

    def _say(self, route: Route, path: str, query: str, request: Any) -> None:
        if path == "/unread":
            body: dict[str, Any] = {"by_conversation": self.unread, "limit_reached": False}
            if query:
                body["selected"] = self.selected.get(query.removeprefix("c="))
            route.fulfill(json=body)
        elif path.endswith("/read"):
            id_ = path.split("/")[3]
            up_to = int(request.post_data_json["up_to"].lstrip("m"))
            self.unread.pop(id_, None)
            route.fulfill(json={"conversation_id": id_, "incoming_read": up_to})
        elif request.method == "POST":
            route.fulfill(status=303, headers={"Location": "/"})
        else:
            route.fulfill(status=404, json={})


@pytest.fixture
def shop(chromium: Browser) -> Iterator[Shop]:
    """A browser of its own, and a host's site without any page yet; must leave no error behind."""
    with static_files() as url:
        context = chromium.new_context(base_url=url, viewport={"width": 1000, "height": 600})
        context.add_init_script(path="tests/browser/unread_client/host_browser.js")
        site = Shop(context, url)
        yield site
        context.close()
        assert site.errors == []

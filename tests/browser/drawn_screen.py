"""The chat's own page and views, drawn from JSON that a test gives: no server behind them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jinja2 import Environment, FileSystemLoader
from playwright.sync_api import Browser, Page

from local.processes.parts import ROOT
from tests.browser.screen_modules import static_files

NOW = "2030-03-14T15:30:00-03:00"
CHAT = "c1"


class DrawnScreen:
    """A page that shows what it is given; `told` is what was asked of it meanwhile."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def draw(
        self,
        *messages: dict[str, Any],
        conversation: dict[str, Any] | None = None,
        conversations: list[dict[str, Any]] | None = None,
        **more: Any,
    ) -> None:
        """Show this thread in this conversation; or rows alone, with `conversations`."""
        if conversations is None:
            conversations = [customer(CHAT, **(conversation or {}))]
            more.setdefault("selected", CHAT)
        shown = {"now": NOW, "messages": messages, "conversations": conversations, **more}
        self.page.evaluate("(shown) => window.draw(shown)", shown)

    @property
    def told(self) -> list[list[str]]:
        found: list[list[str]] = self.page.evaluate("window.told")
        return found


@contextmanager
def drawn_screen(
    chromium: Browser, *, clock: bool = False, **options: Any
) -> Iterator[DrawnScreen]:
    """`options`: as for a Playwright context (viewport, has_touch, color_scheme, …); `clock`: the
    page's timers run only when the test lets them (`page.clock.run_for`)."""
    options = {"locale": "pt-BR", "timezone_id": "America/Sao_Paulo", **options}
    with static_files() as url:
        context = chromium.new_context(**options)
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        html = _page()
        if clock:
            page.clock.install()
        page.route(f"{url}/", lambda route: route.fulfill(content_type="text/html", body=html))
        page.goto(f"{url}/")
        page.wait_for_function("Boolean(window.draw)")
        yield DrawnScreen(page)
        context.close()
    assert errors == []


def _page() -> str:
    templates = Environment(loader=FileSystemLoader(ROOT / "templates"), autoescape=True)
    templates.globals.update(
        url_for=lambda _endpoint, filename: f"/static/{filename}",
        page_files=lambda: "chat",
        csrf_token=lambda: "",
        unread_state_page={},
    )
    html = templates.get_template("chat/chat.html").render(
        cursor="", user_id="ana", user_name="Ana"
    )
    return html.replace("/static/chat/chat.js", "/tests/browser/drawn_screen.js")


def customer(id_: str, *, text: str = "oi", **more: Any) -> dict[str, Any]:
    """A conversation as the API has it; `text`: of its last message."""
    last = {
        "id": f"{id_}-last",
        "text": text,
        "direction": "in",
        "author_name": "Maria",
        "sent_at": "2030-03-14T15:05:00-03:00",
        "position": "1",
        "status": None,
        **more.pop("last", {}),
    }
    base = {"id": id_, "name": "Maria", "phone": "+55 11 98765-4321", "unread_count": 0}
    return {**base, "version": 1, "muted": False, "is_group": False, "last_message": last, **more}


def incoming(id_: str, text: str = "", **more: Any) -> dict[str, Any]:
    """A customer's message as the API has it."""
    base = {
        "id": id_,
        "conversation_id": CHAT,
        "direction": "in",
        "author": {"kind": "customer", "name": "Maria"},
        "type": "text",
        "text": text,
        "sent_at": "2030-03-14T15:05:00-03:00",
        "position": id_,
        "reactions": [],
        "counts_unread": True,
    }
    return {**base, **more}


def outgoing(id_: str, text: str = "", **more: Any) -> dict[str, Any]:
    """An attendant's message as the API has it."""
    own = {
        "direction": "out",
        "client_id": id_,
        "author": {"kind": "attendant", "name": "Ana"},
        "status": "delivered",
        "error": None,
        "counts_unread": False,
    }
    return incoming(id_, text, **{**own, **more})

"""Pages of hosts for the tests: one with its own script (host.js), one that a server renders."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page

from tests.browser.unread_client.conftest import Shop
from tests.helpers import wait_until

#: A page whose own script draws rows and bubbles.
OWN_SCRIPT = """
  <div class="list"></div>
  <div class="thread" data-live-thread=""></div>
  <form class="own-form"><input name="text" data-live-composer><button>Enviar</button></form>
"""


def live(kind: str, **known: Any) -> str:
    text = json.dumps(known).replace('"', "&quot;")
    return f'data-{kind}-id="{known["id"]}" data-live="{text}"'


def row_of(id_: str, counted: int, read: int) -> str:
    """A row of a page that the server renders, which leads to the conversation's own page."""
    known = live("conversation", id=id_, version=1, name=f"Cliente {id_}", incoming_counted=counted,
                 incoming_read=read, mark_flips=0, silent=False)  # fmt: skip
    inside = f"Cliente {id_} <unread-badge></unread-badge>"
    return f'<a class="row" href="/chats/{id_}" {known}>{inside}</a>'


def bubble_of(n: int) -> str:
    known = live("message", id=f"m{n}", direction="in", arrival=n, counted_at_arrival=n,
                 counts_unread=True)  # fmt: skip
    return f'<div class="bubble" {known}>mensagem {n}</div>'


def rendered(open_: str | None, rows: str, count: int = 0) -> str:
    bubbles = "".join(map(bubble_of, range(1, count + 1)))
    form = (
        '<form class="form" data-live-composer method="post" action="/answer">'
        '<input name="text"><button>Enviar</button></form>'
    )
    thread = f'<div class="thread" data-live-thread="{open_}">{bubbles}</div>{form}'
    return f'<div class="list"><a href="/">Lista</a>{rows}</div>{thread if open_ else ""}'


def draw(page: Page) -> None:
    page.evaluate(
        """() => {
          messages[1] = many(1, 3);
          messages[2] = [];
          drawRows(conversation(1, 3, 1), conversation(2, 4, 4));
        }"""
    )
    expect_badges(page, {"1": "2"})


def expect_badges(page: Page, badges: dict[str, str]) -> None:
    def right() -> bool:
        assert page.evaluate("badges()") == badges
        return True

    wait_until(right, what="the badges")
    n = len(badges)
    assert page.title() == (f"({n}) Loja" if n else "Loja")


def expect_reads(shop: Shop, *reads: tuple[str, str]) -> None:
    """Wait for the last of these readings; no others came before it."""
    shop.wait_for(lambda: len(shop.reads) >= len(reads), what=f"{len(reads)} readings")
    assert shop.reads == list(reads)


def address(page: Page) -> str:
    parts = urlsplit(page.url)
    return parts.path + (f"?{parts.query}" if parts.query else "")

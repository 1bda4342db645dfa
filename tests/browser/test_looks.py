"""What the eye needs: contrast, forced colours, names of every script, and rows in view."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.drawn_screen import (
    DrawnScreen,
    customer,
    drawn_screen,
    incoming,
    outgoing,
)

pytestmark = pytest.mark.slow

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
LATER = "2030-03-14T15:06:00-03:00"
ROWS = [customer(f"c{n}", text=f"oi {n}", unread_count=n % 2) for n in range(1, 41)]


@pytest.fixture(scope="module")
def shared(chromium: Browser) -> Iterator[DrawnScreen]:
    with drawn_screen(chromium, viewport={"width": 1280, "height": 800}) as screen:
        yield screen


@pytest.fixture
def screen(shared: DrawnScreen) -> Iterator[DrawnScreen]:
    yield shared
    shared.page.emulate_media(color_scheme=None, forced_colors=None)
    shared.page.reload()
    shared.page.wait_for_function("Boolean(window.draw)")


def everything() -> list[dict[str, Any]]:
    """A thread with every part that a bubble can have, on both sides, sent and failed."""
    words = "Veja instagram.com/loja, `código` e *isto*"
    parts: dict[str, Any] = {
        "referral": {"headline": "Bolos", "body": "Hoje", "source_url": "https://a.com/x"},
        "forwarded": "once",
        "placeholder": "🛒 Pedido",
        "details": [
            {"label": "Total", "value": "R$ 1"},
            {"value": "mapa", "href": "https://a.com"},
        ],
        "reply_to": {"id": "x", "text": "Temos", "author_name": "Ana"},
        "reactions": [{"emoji": "👍", "author": "Ana"}, {"emoji": "👍", "author": "Bia"}],
        "edited_at": LATER,
    }
    error = {"error": {"code": "190", "message": "Token."}}
    bruno = {"author": {"kind": "attendant", "name": "Bruno"}}
    thread = [incoming("n", "Trocou de número", type="system")]
    for n in range(8):  # a name of every colour
        name = {"author": {"kind": "customer", "name": f"Pessoa {'abcdefgh'[n]}"}}
        thread.append(incoming(f"i{n}", words, **parts, **name))
    thread.append(incoming("r", revoked_at=LATER))
    thread.append(outgoing("o", words, **parts, **bruno))
    thread.append(outgoing("f", words, status="failed", **error, **parts, **bruno))
    thread.append(
        outgoing("u", words, status="sending", error={"code": "unconfirmed", "message": "?"})
    )
    thread.append(outgoing("s", revoked_at=LATER, **bruno))
    return thread


SHOW_ALL = """() => {
  const fill = (selector, text) => { document.querySelector(selector).textContent = text; };
  for (const name of ["banner-title", "banner-text", "digest-text", "toast-text", "jump-count"]) {
    fill(`.${name}`, "12");
  }
  fill(".toast button", "Desfazer");
  fill(".composer-notice", "Faz mais de 24 horas");
  fill(".composer-length", "Longa demais");
  fill("#menu-note", "O navegador bloqueou");
  for (const name of ["title", "text", "drop"]) fill(`.suggestion-${name}`, "Sugestão");
  for (const name of ["title", "text"]) fill(`.collision-${name}`, "Bruno respondeu");
  fill(".composer-count", "120");
  document.querySelector(".thread-older").classList.add("shown");
  const strips = ".connection-banner, .notification-banner, .digest-line, .composer-notice, .toast,"
    + ".jump-button, .jump-count, .list-notice, .thread-older button, .menu-note, .suggestion,"
    + ".suggest-button, .collision";
  for (const node of document.querySelectorAll(strips)) node.hidden = false;
  document.querySelector(".confirm-dialog").show();
  document.querySelector("#user-menu").showPopover();
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_can_be_read(screen: DrawnScreen, scheme: Any) -> None:
    page = screen.page
    page.emulate_media(color_scheme=scheme)
    group = customer("g", name="Grupo", is_group=True, unread_count=3)
    failed = {"direction": "out", "status": "failed"}
    rows = [
        group,
        customer("a", unread_count=120),
        customer("b", unread_count=2, muted=True),
        customer("c", last=failed),
        customer("d", last={**failed, "status": "delivered"}),
        customer("e"),
    ]
    rows += [
        customer("f", owner="claude", unread_count=2),
        customer("h", owner="claude", replying_until="2031-01-01T00:00:00Z"),
        customer("i", owner="human", needs_you=True, needs_you_reason="pediu", unread_count=1),
    ]
    chips = [{"id": str(n), "name": f"Etiqueta {n}", "colour": n} for n in range(8)]
    rows += [customer(f"l{n}", labels=[chips[n]], pinned=True) for n in range(8)]
    rows.append(customer("x", labels=chips, archived=True))
    draft = {"e": "quase"}
    divider = {"messageId": "r", "count": 3}
    more: dict[str, Any] = {"drafts": draft, "divider": divider, "claude": True}
    screen.draw(*everything(), conversations=rows, selected="g", **more)
    page.evaluate(SHOW_ALL)
    found = page.evaluate(CONTRAST)
    names = {name for _, name, *_ in found}
    for expected in ("jump-count", "problem-text", "bubble-author", "quote-author", "notice-text"):
        assert any(expected in name for name in names), expected
    assert any(name.startswith("confirm-buttons") for name in names)
    assert any("message-ticks" in name for name in names)
    too_weak = [each for each in found if each[0] < (3 if each[4] else 4.5)]
    assert too_weak == []
    page.locator(".composer-notice").evaluate("(node) => node.classList.add('closed')")
    page.locator(".row").first.hover(force=True)
    assert [each for each in page.evaluate(CONTRAST) if each[0] < (3 if each[4] else 4.5)] == []
    for selected in ("f", "h", "i", "x"):  # each of them in the header
        screen.draw(conversations=rows, selected=selected, **more)
        assert page.locator(".owner-button").is_visible()
        found = page.evaluate(CONTRAST)
        assert any("header-owner" in name for _, name, *_ in found)
        assert [each for each in found if each[0] < (3 if each[4] else 4.5)] == []


def test_badges_have_two_colours_only_where_that_is_set(screen: DrawnScreen) -> None:
    rows = [
        customer("a", owner="claude", unread_count=2),
        customer("b", owner="human", unread_count=2),
        customer("c", owner="human", needs_you=True, unread_count=2),
        customer("d", owner="human", muted=True, unread_count=2),
    ]
    screen.draw(conversations=rows, claude=True)

    def colours() -> list[str]:
        found = "(nodes) => nodes.map((node) => getComputedStyle(node).backgroundColor)"
        shown: list[str] = screen.page.locator("unread-badge").evaluate_all(found)
        return shown

    green, _, _, grey = colours()
    assert green != grey
    assert colours() == [green, green, green, grey]
    screen.page.evaluate("document.body.dataset.badges = 'two'")
    assert colours() == [grey, green, green, grey]


EDGE = (
    "(node) => { const s = getComputedStyle(node); return [s.borderTopWidth, s.borderTopStyle]; }"
)
EDGED = [
    *(".in .bubble", ".out .bubble", ".failed .bubble", ".notice-text", ".day-chip", ".quote"),
    *(".referral", ".reactions", ".problem", ".composer-box", "unread-badge", ".avatar"),
    *(".row-owner", ".owner-button"),
]
COLOURS = "(node) => { const s = getComputedStyle(node); return [s.color, s.backgroundColor]; }"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colours_leave_bubbles_and_what_is_chosen(screen: DrawnScreen, scheme: Any) -> None:
    page = screen.page
    page.emulate_media(forced_colors="active", color_scheme=scheme)
    screen.draw(*everything(), conversations=ROWS, selected="c3", claude=True)
    for selector in EDGED:
        width, style = page.locator(selector).first.evaluate(EDGE)
        assert float(width.removesuffix("px")) >= 1, selector
        assert style != "none", selector
    ours, theirs = (
        page.locator(f"{side} .bubble").first.evaluate(EDGE) for side in (".out", ".in")
    )
    assert ours != theirs
    system = page.evaluate(
        """() => ["HighlightText", "Highlight"].map((name) => {
          const node = document.createElement("i");
          node.style.cssText = `forced-color-adjust: none; color: ${name}`;
          document.body.append(node);
          const { color } = getComputedStyle(node);
          node.remove();
          return color;
        })"""
    )
    chosen = page.locator("[data-conversation-id=c3] .row").evaluate(COLOURS)
    assert chosen == system
    assert page.locator("[data-conversation-id=c4] .row").evaluate(COLOURS) != system
    assert page.locator(".filter-chip[aria-pressed=true]").evaluate(COLOURS) == system
    assert page.locator(".filter-chip[aria-pressed=false]").evaluate(COLOURS) != system
    name = page.locator("[data-conversation-id=c3] .row-name").evaluate(COLOURS)
    assert name[0] == system[0]


@pytest.mark.parametrize(
    "name", ["محمد عبد الله", "שרה כהן", "محمد Ltda", "(שרה)", "Maria", "李小龍", "🌸 שרה"]
)
def test_every_name_begins_at_the_left(screen: DrawnScreen, name: str) -> None:
    group = {"is_group": True, "name": name}
    by = {"author": {"kind": "customer", "name": name}}
    quote = {"reply_to": {"id": "x", "text": name, "author_name": name}}
    wide = "uma mensagem mais larga do que o nome que está acima dela"
    screen.draw(incoming("m", wide, **by, **quote), conversation={**group, "text": name})
    selectors = [
        ".row-name",
        ".row-text",
        ".header-name",
        ".bubble-author",
        ".quote-author",
        ".quote-text",
    ]
    for selector in selectors:
        left = screen.page.locator(selector).first.evaluate(
            """(node) => {
              const range = document.createRange();
              range.selectNodeContents(node);
              const text = range.getBoundingClientRect();
              return text.left - node.getBoundingClientRect().left;
            }"""
        )
        assert abs(left) < 3, selector


def in_view(screen: DrawnScreen, id_: str) -> bool:
    whole: bool = screen.page.locator(f"[data-conversation-id={id_}]").evaluate(
        """(node) => {
          const row = node.getBoundingClientRect();
          const list = document.querySelector('.list-scroll').getBoundingClientRect();
          return row.top >= list.top && row.bottom <= list.bottom;
        }"""
    )
    return whole


def scrolled(screen: DrawnScreen, to: int | None = None) -> int:
    """Where the list stands, after scrolling it there."""
    top: int = screen.page.locator(".list-scroll").evaluate(
        "(list, to) => { if (to !== null) list.scrollTop = to; return list.scrollTop; }", to
    )
    return top


@pytest.mark.parametrize("id_", ["c1", "c20", "c40"])
def test_after_a_reload_the_open_conversations_row_is_in_view(
    screen: DrawnScreen, id_: str
) -> None:
    screen.draw(conversations=[row for row in ROWS if row["id"] == id_], selected=id_, loaded=False)
    screen.draw(conversations=ROWS, selected=id_)
    assert in_view(screen, id_)


def test_it_is_brought_into_view_once(screen: DrawnScreen) -> None:
    screen.draw(conversations=ROWS, selected="c30")
    assert in_view(screen, "c30")
    scrolled(screen, 0)
    screen.draw(conversations=ROWS, selected="c30")
    assert scrolled(screen) == 0
    screen.draw(conversations=ROWS, selected="c2")  # a click: it was in view
    assert scrolled(screen) == 0
    screen.draw(conversations=ROWS, selected=None)
    screen.draw(conversations=ROWS, selected="c35")  # by a link, or the browser's "back"
    assert in_view(screen, "c35")


def test_a_hand_that_scrolls_is_left_alone(screen: DrawnScreen) -> None:
    screen.draw(conversations=ROWS[:20], selected="c30")
    screen.page.locator(".list-scroll").hover()
    screen.page.mouse.wheel(0, 200)
    screen.page.wait_for_function("document.querySelector('.list-scroll').scrollTop > 100")
    before = scrolled(screen)
    screen.draw(conversations=ROWS, selected="c30")
    assert scrolled(screen) == before


def test_what_is_above_a_row_far_down_is_not_fetched_for_it(screen: DrawnScreen) -> None:
    screen.draw(conversations=ROWS, selected="c40", hasMore=True)
    assert in_view(screen, "c40")
    screen.draw(conversations=ROWS, selected="c40", hasMore=True)
    assert screen.told == []
    screen.page.locator(".list-scroll").hover()
    screen.page.mouse.wheel(0, 50)  # now it is wanted
    screen.page.wait_for_function("window.told.length > 0")
    assert screen.told == [["more"]]


def test_another_filter_begins_at_the_top(screen: DrawnScreen) -> None:
    screen.draw(conversations=ROWS)
    assert scrolled(screen, 1200) == 1200
    screen.page.get_by_role("button", name="Não lidas").click()
    expect(screen.page.locator("[data-conversation-id]")).to_have_count(20)
    assert scrolled(screen) == 0
    assert scrolled(screen, 300) == 300
    screen.draw(conversations=ROWS)  # what comes meanwhile moves nothing
    assert scrolled(screen) == 300
    screen.page.get_by_role("button", name="Tudo").click()
    assert scrolled(screen) == 0


@pytest.mark.parametrize("width", [320, 390, 760])
def test_nothing_is_wider_than_a_phone(chromium: Browser, width: int) -> None:
    long = "palavra" * 60
    more = {
        "referral": {"headline": long, "source_url": f"https://a.com/{long}"},
        "placeholder": long,
    }
    more["details"] = [{"label": long, "value": long}, {"value": long, "href": "https://a.com"}]
    by = {"author": {"kind": "customer", "name": long}, "reply_to": {"id": "x", "text": long}}
    reactions = [
        {"emoji": long, "author": long},
        *({"emoji": e, "author": "A"} for e in "👍🙏😂😮😢🎉"),
    ]
    with drawn_screen(chromium, viewport={"width": width, "height": 700}) as screen:
        thread = [
            incoming("m", long, **more, **by, reactions=reactions),
            incoming("n", long, type="system"),
        ]
        thread.append(outgoing("o", long, status="failed", error={"code": "1", "message": long}))
        screen.draw(*thread, conversation={"name": long, "is_group": True})
        assert screen.page.evaluate("document.documentElement.scrollWidth") == width
        needed = {"owner": "human", "needs_you": True, "needs_you_reason": long}
        screen.draw(*thread, conversation={"name": long, **needed}, claude=True)
        assert screen.page.evaluate("document.documentElement.scrollWidth") == width
        end = "(node) => node.getBoundingClientRect().right"
        assert screen.page.locator(".thread-menu").evaluate(end) <= width
        right = screen.page.locator(".day-messages *:visible").evaluate_all(
            "(nodes) => Math.max(...nodes.map((node) => node.getBoundingClientRect().right))"
        )
        assert right <= width

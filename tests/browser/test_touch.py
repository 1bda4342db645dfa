"""Rows, bubbles and header under a finger: real touches through the DevTools protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.drawn_screen import (
    DrawnScreen,
    customer,
    drawn_screen,
    incoming,
    outgoing,
)

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
TABLET = {"viewport": {"width": 1280, "height": 800}, "has_touch": True}
HELD_MS = 700  # more than a long press takes
ROWS = [customer(f"c{n}", text=f"oi {n}") for n in range(1, 30)]
THEIRS = ["Responder", "Copiar", "Reagir", "Encaminhar", "Fixar", "Selecionar mensagens"]
OURS = ["Dados da mensagem", *THEIRS]
THREAD = [
    incoming("m1", "Veja instagram.com/loja e *responda*"),
    outgoing("m2", "Já vi"),
    incoming("m3", details=[{"label": "Total", "value": "R$ 10,00"}], placeholder="🛒 Pedido"),
    outgoing("m4", revoked_at="2030-03-14T15:06:00-03:00"),
    incoming("m5", revoked_at="2030-03-14T15:06:00-03:00"),
    incoming("m6", "Trocou de número", type="system"),
]


class Finger:
    """One finger on the page; its time is the page's own clock, which the test moves."""

    def __init__(self, screen: DrawnScreen) -> None:
        self.page = screen.page
        self._session = screen.page.context.new_cdp_session(screen.page)
        self._at = (0.0, 0.0)

    def down(self, target: Locator, *, second: bool = False) -> None:
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        assert box
        self._at = (box["x"] + min(30, box["width"] / 2), box["y"] + box["height"] / 2)
        self._send("touchStart", [self._at, (self._at[0] + 60, self._at[1])][: 1 + second])

    def move(self, dx: float, dy: float) -> None:
        self._at = (self._at[0] + dx, self._at[1] + dy)
        self._send("touchMove", [self._at])

    def hold(self, ms: int = HELD_MS) -> None:
        self.page.clock.run_for(ms)

    def up(self) -> None:
        self._send("touchEnd", [])
        self.page.clock.run_for(1000)  # what the browser still makes of it has come

    def press_long(self, target: Locator) -> None:
        self.down(target)
        self.hold()
        self.up()

    def _send(self, type_: str, points: list[tuple[float, float]]) -> None:
        touches = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": type_, "touchPoints": touches})


@pytest.fixture(scope="module", params=[PHONE, TABLET], ids=["phone", "tablet"])
def shared(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[DrawnScreen]:
    with drawn_screen(chromium, clock=True, **request.param) as screen:
        yield screen


@pytest.fixture
def screen(shared: DrawnScreen) -> DrawnScreen:
    shared.page.keyboard.press("Escape")
    shared.page.evaluate("() => { window.told.length = 0; getSelection().empty(); }")
    shared.draw(conversations=ROWS)
    return shared


@pytest.fixture
def finger(screen: DrawnScreen) -> Finger:
    return Finger(screen)


def menu(screen: DrawnScreen) -> Locator:
    return screen.page.locator(".context-menu")


def items(screen: DrawnScreen) -> list[str]:
    return menu(screen).get_by_role("menuitem").all_inner_texts()


def row(screen: DrawnScreen, id_: str) -> Locator:
    return screen.page.locator(f"[data-conversation-id={id_}]")


def bubble(screen: DrawnScreen, id_: str) -> Locator:
    return screen.page.locator(f"[data-message-id={id_}] .bubble")


def is_menu_whole(screen: DrawnScreen) -> bool:
    """Whether all of the menu is on the screen."""
    inside: bool = menu(screen).evaluate(
        """(node) => {
          const { left, top, right, bottom } = node.getBoundingClientRect();
          return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
        }"""
    )
    return inside


def test_a_rows_menu_stays_after_the_finger_leaves(screen: DrawnScreen, finger: Finger) -> None:
    screen.draw(conversations=ROWS)
    finger.down(row(screen, "c2"))
    expect(menu(screen)).to_have_count(0)
    finger.hold()
    expect(menu(screen)).to_be_visible()
    finger.up()
    assert items(screen) == ["Marcar como lida", "Silenciar"]
    assert is_menu_whole(screen)
    assert screen.told == []  # the conversation was not opened by it
    menu(screen).get_by_role("menuitem", name="Silenciar").tap()
    assert screen.told == [["menu", "c2", "Silenciar"]]
    expect(menu(screen)).to_have_count(0)
    row(screen, "c3").tap()
    assert screen.told[1:] == [["select", "c3"]]


@pytest.mark.parametrize(
    ("id_", "offered"),
    [
        ("m1", THEIRS),
        ("m2", OURS),
        ("m3", ["Responder", "Copiar", "Reagir", "Fixar", "Selecionar mensagens"]),
        ("m4", ["Dados da mensagem"]),
    ],
)
def test_a_bubble_has_its_menu(
    screen: DrawnScreen, finger: Finger, id_: str, offered: list[str]
) -> None:
    screen.draw(*THREAD)
    finger.press_long(bubble(screen, id_))
    assert items(screen) == offered
    assert is_menu_whole(screen)
    assert screen.page.evaluate("String(getSelection())") == ""
    if "Dados da mensagem" in offered:
        menu(screen).get_by_role("menuitem", name="Dados da mensagem").tap()
        assert screen.told == [["details", id_]]


def test_what_has_nothing_to_offer_has_no_menu(screen: DrawnScreen, finger: Finger) -> None:
    screen.draw(*THREAD)
    finger.press_long(bubble(screen, "m5"))
    finger.press_long(screen.page.locator("[data-message-id=m6]"))
    expect(menu(screen)).to_have_count(0)


def test_the_text_is_copied_as_it_was_written(screen: DrawnScreen, finger: Finger) -> None:
    screen.draw(*THREAD)
    screen.page.evaluate(
        """() => { window.copied = [];
        navigator.clipboard.writeText = async (text) => { window.copied.push(text); }; }"""
    )
    for id_ in ("m1", "m3"):
        finger.press_long(bubble(screen, id_))
        menu(screen).get_by_role("menuitem", name="Copiar").tap()
    told = screen.page.evaluate("window.copied")
    assert told == ["Veja instagram.com/loja e *responda*", "Total: R$ 10,00"]


def test_the_header_has_the_conversations_menu(screen: DrawnScreen, finger: Finger) -> None:
    screen.draw(*THREAD)
    finger.press_long(screen.page.locator(".header-name"))
    assert items(screen) == ["Marcar como lida", "Silenciar"]
    menu(screen).get_by_role("menuitem", name="Marcar como lida").tap()
    screen.page.get_by_role("button", name="Opções da conversa", exact=True).tap()
    menu(screen).get_by_role("menuitem", name="Silenciar").tap()
    assert screen.told == [
        ["menu", "header", "Marcar como lida"],
        ["menu", "header", "Silenciar"],
    ]


@pytest.mark.parametrize(("dx", "dy"), [(0, -40), (0, 25), (30, 0)])
def test_a_finger_that_scrolls_opens_nothing(
    screen: DrawnScreen, finger: Finger, dx: int, dy: int
) -> None:
    screen.draw(conversations=ROWS)
    finger.down(row(screen, "c4"))
    finger.hold(200)
    finger.move(dx, dy)
    finger.hold()
    finger.up()
    screen.draw(*THREAD)
    finger.down(bubble(screen, "m2"))
    finger.move(dx, dy)
    finger.hold()
    finger.up()
    expect(menu(screen)).to_have_count(0)


def test_a_finger_is_never_quite_still(screen: DrawnScreen, finger: Finger) -> None:
    screen.draw(*THREAD)
    finger.down(bubble(screen, "m2"))
    for step in (2, -3, 2):
        finger.move(step, 1)
        finger.hold(200)
    finger.up()
    expect(menu(screen)).to_be_visible()


def test_a_tap_and_two_fingers_are_no_long_press(screen: DrawnScreen, finger: Finger) -> None:
    screen.draw(conversations=ROWS)
    finger.down(row(screen, "c4"))
    finger.hold(200)
    finger.up()
    finger.hold()
    expect(menu(screen)).to_have_count(0)
    finger.down(row(screen, "c5"))
    finger.down(row(screen, "c5"), second=True)
    finger.hold()
    finger.up()
    expect(menu(screen)).to_have_count(0)


def test_the_touch_that_closes_a_menu_presses_nothing_below(
    screen: DrawnScreen, finger: Finger
) -> None:
    screen.draw(conversations=ROWS)
    finger.press_long(row(screen, "c1"))
    expect(menu(screen)).to_be_visible()
    row(screen, "c7").tap(position={"x": 20, "y": 20})
    expect(menu(screen)).to_have_count(0)
    assert screen.told == []
    row(screen, "c7").tap(position={"x": 20, "y": 20})
    assert screen.told == [["select", "c7"]]


def test_another_long_press_moves_the_menu(screen: DrawnScreen, finger: Finger) -> None:
    screen.draw(*THREAD)
    finger.press_long(bubble(screen, "m4"))
    finger.press_long(bubble(screen, "m1"))
    assert items(screen) == THEIRS
    expect(menu(screen)).to_have_count(1)


def test_a_link_keeps_the_browsers_own_menu(screen: DrawnScreen, finger: Finger) -> None:
    screen.draw(*THREAD)
    link = bubble(screen, "m1").locator("a")
    finger.down(link)
    finger.hold()
    expect(menu(screen)).to_have_count(0)
    finger.move(60, 60)
    finger.up()


def test_marked_text_elsewhere_is_not_in_the_way(screen: DrawnScreen, finger: Finger) -> None:
    screen.draw(*THREAD)
    screen.page.locator(".composer-input").fill("rascunho")
    screen.page.locator(".composer-input").evaluate("(field) => { field.focus(); field.select(); }")
    finger.press_long(bubble(screen, "m2"))
    expect(menu(screen)).to_be_visible()
    screen.page.keyboard.press("Escape")
    expect(menu(screen)).to_have_count(0)
    mark = "(node) => getSelection().selectAllChildren(node)"
    bubble(screen, "m2").locator(".bubble-text").evaluate(mark)
    finger.press_long(bubble(screen, "m2"))  # even where it is
    expect(menu(screen)).to_be_visible()


@pytest.mark.parametrize("place", ["before", "after", "at release"])
def test_the_browsers_own_long_press_adds_nothing(
    screen: DrawnScreen, finger: Finger, place: str
) -> None:
    """Android tells of it while the finger is down, Windows as it leaves, iOS never."""
    screen.draw(conversations=ROWS)
    asked: list[dict[str, Any]] = []

    def tell() -> None:
        asked.append(
            row(screen, "c2")
            .locator(".row-name")
            .evaluate(
                """(node) => {
                  const at = { bubbles: true, cancelable: true, clientX: 60, clientY: 60 };
                  const event = new PointerEvent('contextmenu', { ...at, pointerType: 'touch' });
                  node.dispatchEvent(event);
                  return { prevented: event.defaultPrevented };
                }"""
            )
        )

    finger.down(row(screen, "c2"))
    if place == "before":
        finger.hold(300)
        tell()
        expect(menu(screen)).to_be_visible()
    finger.hold()
    if place == "after":
        tell()
    finger.up()
    if place == "at release":
        tell()
    expect(menu(screen)).to_have_count(1)
    assert asked == [{"prevented": True}]
    assert screen.told == []


def test_a_mouse_and_the_keyboard_open_menus_as_before(screen: DrawnScreen, finger: Finger) -> None:
    screen.draw(conversations=ROWS)
    finger.press_long(row(screen, "c1"))
    screen.page.keyboard.press("Escape")
    expect(menu(screen)).to_have_count(0)
    screen.page.keyboard.press("Enter")  # on the row, which has the focus again
    assert screen.told == [["select", "c1"]]
    row(screen, "c3").click(button="right")
    expect(menu(screen)).to_be_visible()
    screen.page.keyboard.press("ArrowDown")
    expect(menu(screen).get_by_role("menuitem", name="Silenciar")).to_be_focused()
    row(screen, "c9").click(position={"x": 20, "y": 20})
    expect(menu(screen)).to_have_count(0)
    assert screen.told == [["select", "c1"], ["select", "c9"]]
    screen.draw(*THREAD)
    bubble(screen, "m2").click(button="right")
    assert items(screen) == OURS

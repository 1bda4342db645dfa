"""Who else is writing in a chat shows on the others' screens, and ends by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.browser.screen_modules import Run, modules_page
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

MARIA = "5511987654321"
WRITES = "Ana está respondendo…"


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


def row(page: Page) -> Locator:
    return page.locator("[data-conversation-id]")


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Mensagem")


def test_the_others_see_who_writes_until_that_ends(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
) -> None:
    url = live_server().url
    simulator.write(MARIA, text="oi", name="Maria")
    ana, bruno = attendant("ana", url), attendant("bruno", url)
    again = ana.new_tab()  # her own, where she is not told of herself
    again.goto(url)
    for person in (ana, bruno):
        person.wait_connected()
        row(person.page).click()
        expect(field(person.page)).to_be_visible()
    page, other = ana.page, bruno.page

    field(page).press_sequentially("Temos")
    expect(other.locator(".header-owner")).to_have_text(WRITES)
    expect(row(other).get_by_text(WRITES)).to_be_visible()
    expect(row(other).locator(".row-text")).to_be_hidden()
    for own in (page, again):
        assert WRITES not in own.locator("body").inner_text()

    # Sending ends it, in the moment in which the message shows.
    field(page).press("Enter")
    seen = """() => [
      document.querySelector(".message.out .bubble-text")?.textContent,
      document.querySelector(".header-owner").textContent,
      document.querySelector(".row-replying").hidden,
    ]"""
    first = wait_until(lambda: (now := other.evaluate(seen))[0] and now)
    assert first[0] == "Temos"
    assert first[1] != WRITES
    assert first[2]

    # Who stops without sending is told of for some seconds, and no longer.
    def writes() -> bool:
        field(page).press_sequentially("e ")
        return bool(WRITES in other.locator(".header-owner").inner_text())

    wait_until(writes)
    expect(other.locator(".header-owner")).not_to_have_text(WRITES)
    expect(row(other).locator(".row-text")).to_be_visible()


def test_several_are_named_and_what_is_old_or_ones_own_is_not(run: Run) -> None:
    found = run(
        """
        let at = 0;
        const told = [];
        const typing_ = new typing.Typing({
          tell: (id) => told.push(id), resolve: (id) => (id === 'old' ? 'a' : id),
          userId: 'me', onChange() {}, now: () => at,
        });
        const hear = (id, who, age = 0) => typing_.onEvent({
          type: 'attendant.typing', conversation_id: id, age,
          data: { attendant: { id: who, name: who.toUpperCase() } },
        });
        const said = [];
        const note = () => said.push(typing_.words('a'));
        hear('a', 'me'); hear('b', 'x'); hear('a', 'x', 60_000); note();
        hear('a', 'x'); note();
        hear('a', 'x'); hear('old', 'y'); note();
        hear('a', 'z'); note();
        const author = (kind) => ({ message: { author: { kind, name: 'X' } } });
        const sent = (id, kind) => typing_.onEvent(
          { type: 'message.created', conversation_id: id, data: author(kind) });
        sent('b', 'attendant'); sent('a', 'customer'); note();
        sent('a', 'attendant'); note();
        const tell = (id, text) => { typing_.wrote(id, text); return told.length; };
        const tells = [tell('a', ' '), tell('a', 'o'), tell('a', 'oi'), tell('b', 'o')];
        at = 5_999; tells.push(tell('a', 'oi'));
        at = 6_000; tells.push(tell('a', 'oi'));
        return { words: said, tells };
        """
    )
    assert found["words"] == [
        None,
        "X está respondendo…",
        "X e Y estão respondendo…",
        "3 pessoas estão respondendo…",
        "3 pessoas estão respondendo…",
        "Y e Z estão respondendo…",
    ]
    assert found["tells"] == [0, 1, 1, 2, 2, 3]

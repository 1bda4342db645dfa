"""A customer's data are deleted by an administrator: the question, and what every screen shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from chat.conversation.models import Message
from chat.platform import datastore
from chat.retention import deletion
from tests.browser.conftest import ACTION_MS, Attendant
from tests.helpers import LiveServer, Simulator, Store, wait_until

pytestmark = pytest.mark.slow

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
PHONE = "5511987654321"
TYPED = "+55 11 98765-4321"


def kept(page: Page) -> str:
    """All that the browser keeps for the page."""
    found: str = page.evaluate("() => JSON.stringify({...localStorage, ...sessionStorage})")
    return found


def is_cached(page: Page, url: str) -> bool:
    """Whether the browser has an answer of its own for this address."""
    found: bool = page.evaluate(
        """(url) => fetch(url, {cache: 'only-if-cached', mode: 'same-origin'})
          .then((answer) => answer.ok, () => false)""",
        url,
    )
    return found


def ask(page: Page) -> None:
    """From the open chat to the page that asks."""
    page.get_by_role("button", name="Dados do contato").click()
    page.get_by_role("link", name="Apagar dados do cliente…").click()
    expect(page.get_by_role("heading", name="Apagar dados do cliente", level=1)).to_be_visible()


def test_a_customer_vanishes_from_every_screen_and_begins_anew(
    in_marias_chat: Callable[..., list[Attendant]], simulator: Simulator
) -> None:
    ana, bruno = in_marias_chat("ana", "bruno", name="Maria Souza")
    page, other = ana.page, bruno.page
    other.get_by_role("textbox", name="Mensagem").fill("rascunho para Maria")
    other.get_by_role("button", name="Dados do contato").click()
    expect(other.locator(".contact-panel")).to_be_visible()
    expect(other.get_by_role("link", name="Apagar dados do cliente…")).to_have_count(0)
    assert "rascunho para Maria" in kept(other)
    simulator.write(PHONE, type="image", text="a nota")
    expect(other.locator(".contents-picture img")).to_have_count(1, timeout=ACTION_MS)
    old = page.locator("[data-conversation-id]").first.get_attribute("data-conversation-id")

    ask(page)
    expect(page.locator("main")).to_contain_text("Maria Souza")
    page.get_by_label("Para confirmar, digite").fill("maria")
    page.get_by_role("button", name="Apagar para sempre").click()
    expect(page.get_by_role("alert")).to_contain_text("não confere")
    expect(other.locator("[data-message-id]", has_text="oi")).to_be_visible()

    # The browser keeps a file for a year.
    file = other.evaluate(
        """async () => {
          const file = document.querySelector('link[rel=stylesheet]').href;
          await fetch(file, {cache: 'force-cache'});
          return file;
        }"""
    )
    assert is_cached(other, file)

    page.get_by_label("Para confirmar, digite").fill("55 (11) 98765 4321")
    page.get_by_role("button", name="Apagar para sempre").click()
    expect(page.get_by_role("alert")).to_contain_text("saiu de todas as telas", timeout=ACTION_MS)
    record = page.get_by_role("listitem").first
    expect(record).to_contain_text("ana")
    expect(record).to_contain_text("Apagados, falta a conferência")
    expect(page.locator("main")).not_to_contain_text("Maria")
    expect(page.locator("main")).not_to_contain_text("98765")

    expect(other.locator("[data-conversation-id]")).to_have_count(0, timeout=ACTION_MS)
    expect(other.locator(".empty-text")).to_contain_text("não existe mais")
    expect(other.locator("[data-message-id]")).to_have_count(0)
    expect(other.locator(".contact-panel")).to_be_hidden()
    expect(other.locator(".contents-picture")).to_have_count(0)
    expect(other.locator("body")).not_to_contain_text("a nota")
    assert "rascunho" not in kept(other)
    bruno.allow_errors("ERR_CACHE_MISS")
    wait_until(lambda: not is_cached(other, file), what="the browser forgets its files")
    with datastore.context():
        assert Message.query().fetch() == []

    simulator.write(PHONE, text="voltei")
    row = other.locator("[data-conversation-id]")
    expect(row).to_contain_text("voltei", timeout=ACTION_MS)
    assert row.get_attribute("data-conversation-id") != old
    row.click()
    expect(other.locator("[data-message-id]")).to_have_count(1)

    # Whoever asks for the number finds both: the new chat, and that the old one was deleted.
    page.get_by_label("Número do cliente").fill("11 98765-4321")
    page.get_by_role("button", name="Procurar").click()
    expect(page.locator(".about")).to_contain_text("Há uma conversa com este número")
    expect(page.get_by_role("listitem").first).to_contain_text("Apagados")


def test_a_browser_that_was_closed_keeps_nothing(
    in_marias_chat: Callable[..., list[Attendant]],
) -> None:
    (ana,) = in_marias_chat("ana")
    page = ana.page
    row = page.locator("[data-conversation-id]")
    id_ = row.get_attribute("data-conversation-id")
    page.get_by_role("textbox", name="Mensagem").fill("rascunho para Maria")
    # Something that did not go out: its answer does not come before the browser is closed.
    ana.allow_errors("ERR_FAILED|404")
    page.route("**/api/conversations/*/messages", lambda route: route.abort())
    page.get_by_role("textbox", name="Mensagem").press("Enter")
    expect(page.locator("[data-message-id]", has_text="rascunho para Maria")).to_be_visible()
    page.locator("[data-message-id]", has_text="oi").dblclick()
    expect(page.get_by_role("button", name="Cancelar resposta")).to_be_visible()
    page.get_by_role("textbox", name="Mensagem").fill("outro rascunho")
    assert all(each in kept(page) for each in ("rascunho para Maria", "outro rascunho", '"oi'))
    page.goto(f"{ana.url}/admin/retention")
    page.unroute("**/api/conversations/*/messages")
    with datastore.context():
        from main import app

        with app.app_context():
            deletion.begin(str(id_), "ana")
    page.goto(f"{ana.url}/")
    ana.wait_connected()
    page.wait_for_function("() => !JSON.stringify({...localStorage}).includes('rascunho')")
    page.wait_for_function("(id) => !JSON.stringify({...localStorage}).includes(id)", arg=id_)
    expect(page.locator("[data-conversation-id]")).to_have_count(0)


def test_only_administrators_come_here(
    in_marias_chat: Callable[..., list[Attendant]],
) -> None:
    _, bruno = in_marias_chat("ana", "bruno")
    bruno.allow_errors("403")
    for path in ("", "/conversations/x"):
        bruno.page.goto(f"{bruno.url}/admin/retention{path}")
        expect(bruno.page.get_by_role("heading")).to_have_text("Só para administradores")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_a_phone_and_are_readable(
    chromium: Browser,
    live_server: Callable[..., LiveServer],
    attendant: Callable[..., Attendant],
    simulator: Simulator,
    store: Store,
    scheme: Any,
) -> None:
    server = live_server()
    simulator.write(PHONE, text="oi", name="Maria de Souza " * 4)
    person = attendant("ana", server.url)
    person.page.set_viewport_size({"width": 390, "height": 800})
    person.page.emulate_media(color_scheme=scheme)
    row = person.page.locator("[data-conversation-id]")
    expect(row).to_be_visible()
    id_ = row.get_attribute("data-conversation-id")
    for path in (f"/conversations/{id_}", ""):
        person.page.goto(f"{server.url}/admin/retention{path}")
        expect(person.page.get_by_role("heading", level=1)).to_be_visible()
        width = person.page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= 390
        low = [each for each in person.page.evaluate(CONTRAST) if each[0] < 4.5]
        assert low == []

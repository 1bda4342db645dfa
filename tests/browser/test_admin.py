"""The administrators' page as people use it: from the menu, on a phone, without a script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from chat.incoming import deferred
from chat.incoming.parsing import Rejected
from tests.browser.conftest import ACTION_MS, Attendant
from tests.chat.support import NOON, call, contact, text_message
from tests.helpers import LiveServer, Store

pytestmark = pytest.mark.slow

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
READABLE = call(text_message("w1", "Cheguei atrasada"), contacts=[contact("Maria")])


def set_aside(store: Store) -> None:
    """One that can be read by now, one that cannot, one that was too large."""
    bodies = (READABLE, {"entry": "<b>nada</b>"}, "x" * 1_000_000)
    with store.context():
        for place, body in enumerate(bodies):
            rejected = [Rejected("messages", "cannot be read: KeyError", body, body)]
            deferred.set_aside(rejected, NOON * 1000 + place)


def test_what_is_tried_again_appears_in_the_open_chat(
    live_server: Callable[..., LiveServer], attendant: Callable[..., Attendant], store: Store
) -> None:
    server = live_server()
    set_aside(store)
    ana, bruno = attendant("ana", server.url), attendant("bruno", server.url)
    for person in (ana, bruno):
        person.wait_connected()
    bruno.page.get_by_role("button", name="Menu").click()
    expect(bruno.page.get_by_role("button", name="Desconectar", exact=True)).to_be_visible()
    expect(bruno.page.get_by_role("link", name="Atualizações recusadas")).to_have_count(0)

    page = ana.page
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Atualizações recusadas (3)").click()
    oldest = page.get_by_role("listitem").last
    expect(oldest).to_contain_text("Não pôde ser lida (KeyError)")
    oldest.get_by_role("button", name="Tentar novamente").click()
    expect(page.get_by_role("alert")).to_contain_text("Recuperada", timeout=ACTION_MS)
    expect(page.get_by_role("listitem")).to_have_count(2)
    expect(bruno.page.locator(".conversation-list")).to_contain_text(
        "Cheguei atrasada", timeout=ACTION_MS
    )
    page.get_by_role("button", name="Tentar novamente").click()
    expect(page.get_by_role("alert")).to_have_text("Continua recusada. Não é uma lista.")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Baixar o original").last.click()
    assert "<b>nada</b>" in Path(saved.value.path()).read_text()
    page.get_by_role("link", name="Voltar ao atendimento").click()
    page.wait_for_selector("body[data-cursor]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_works_without_a_script_at_any_width(
    live_server: Callable[..., LiveServer], attendant: Callable[..., Attendant],
    chromium: Browser, store: Store, scheme: Any,
) -> None:  # fmt: skip
    server = live_server()
    set_aside(store)
    ana = attendant("ana", server.url)
    plain = chromium.new_context(
        java_script_enabled=False, color_scheme=scheme, storage_state=ana.context.storage_state()
    )
    try:
        page = plain.new_page()
        page.goto(f"{server.url}/admin/set-aside")
        page.get_by_text("Descartar…").first.click()
        for width in (320, 390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            size = "[document.documentElement.scrollWidth, innerWidth]"
            content, window = page.evaluate(size)
            assert content <= window, width
        low = [each for each in page.evaluate(CONTRAST) if each[0] < 4.5]
        assert low == []
        page.get_by_role("button", name="Apagar").first.click()
        expect(page.get_by_role("alert")).to_have_text("Descartada.")
        expect(page.get_by_role("listitem")).to_have_count(2)
        page.wait_for_load_state()  # the new page's stylesheet
        low = [each for each in page.evaluate(CONTRAST) if each[0] < 4.5]
        assert low == []
        page.get_by_role("button", name="Tentar novamente").first.click()
        expect(page.get_by_role("alert")).to_contain_text("Continua recusada")
    finally:
        plain.close()

"""What is done with a message's media: kept, copied, answered; and while it is on its way."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Attendant
from tests.browser.media.conftest import loaded, of
from tests.browser.media.files import Customer, photo
from tests.helpers import Simulator

pytestmark = pytest.mark.slow


@pytest.fixture
def page(pages: list[Page]) -> Page:
    return pages[0]


def choose(page: Page, message_id: str, item: str) -> None:
    of(page, message_id).locator(".bubble").click(button="right", position={"x": 20, "y": 20})
    page.get_by_role("menuitem", name=item, exact=True).click()


def switch(simulator: Simulator, **switches: object) -> None:
    answer = simulator.http.patch(f"{simulator.url}/switches", json=switches, timeout=30)
    answer.raise_for_status()


def test_a_photo_is_kept_and_copied(people: list[Attendant], page: Page, maria: Customer) -> None:
    people[0].context.grant_permissions(["clipboard-read", "clipboard-write"])
    sent = maria.send_photo(3, caption="Com palavras")
    loaded(of(page, sent).locator(".picture-image"))
    with page.expect_download() as download:
        choose(page, sent, "Baixar")
    assert download.value.path().read_bytes() == photo(3)
    choose(page, sent, "Copiar imagem")
    expect(page.locator(".toast")).to_contain_text("Imagem copiada")
    types = page.evaluate("navigator.clipboard.read().then((items) => items[0].types)")
    assert types == ["image/png"]
    choose(page, sent, "Copiar")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "Com palavras"


def test_words_have_no_menu_for_files(page: Page, maria: Customer) -> None:
    sent = maria.write("Só palavras")
    of(page, sent).locator(".bubble").click(button="right")
    expect(page.get_by_role("menuitem", name="Copiar", exact=True)).to_be_visible()
    for name in ("Baixar", "Copiar imagem"):
        expect(page.get_by_role("menuitem", name=name)).to_have_count(0)


def test_a_voice_note_is_answered_with_how_long_it_is(pages: list[Page], maria: Customer) -> None:
    sent = maria.send_voice(2)
    page = pages[0]
    expect(of(page, sent).locator(".voice-length")).to_have_text("0:02")
    choose(page, sent, "Responder")
    expect(page.locator(".quote-bar .quote-text")).to_have_text("🎤 0:02")
    page.keyboard.type("Ouvi")
    page.keyboard.press("Enter")
    for each in pages:
        answer = each.locator("[data-message-id]", has_text="Ouvi")
        expect(answer.locator(".quote-text")).to_have_text("🎤 0:02")


def test_while_it_comes_its_room_is_there_and_nothing_moves(
    page: Page, maria: Customer, simulator: Simulator
) -> None:
    switch(simulator, media_slow={"seconds": 4, "times": 1})
    sent = maria.send_photo(1)
    expect(of(page, sent)).to_contain_text("Baixando…")
    after = maria.write("Chegou?")
    expect(of(page, after)).to_be_visible()
    loaded(of(page, sent).locator(".picture-image"))
    expect(of(page, sent).locator(".media-progress")).to_be_hidden()
    expect(of(page, after)).to_be_in_viewport()


def test_a_sign_says_what_a_search_has_found(page: Page, maria: Customer) -> None:
    maria.send_photo(1, caption="O comprovante novo")
    page.get_by_label("Pesquisar conversas e mensagens").fill("comprovante")
    found = page.get_by_role("region", name="Resultados da pesquisa").locator(".row-text").last
    expect(found).to_have_text("📷 O comprovante novo")


def test_by_keyboard_alone_a_photo_is_opened_and_left(page: Page, maria: Customer) -> None:
    sent = maria.send_photo(1)
    loaded(of(page, sent).locator(".picture-image"))
    page.locator(".composer-input").focus()
    for _ in range(12):
        if page.evaluate("document.activeElement.matches('.picture-button')"):
            break
        page.keyboard.press("Shift+Tab")
    expect(of(page, sent).get_by_role("button", name="Abrir foto")).to_be_focused()
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog", name="Visualizador de mídia")
    expect(viewer).to_be_visible()
    page.keyboard.press("Tab")
    expect(viewer.get_by_role("button", name="Ir para a mensagem")).to_be_focused()
    page.keyboard.press("Escape")
    expect(of(page, sent).get_by_role("button", name="Abrir foto")).to_be_focused()

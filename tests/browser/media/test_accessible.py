"""Every kind of file, as axe-core sees it, in both themes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import serious_findings
from tests.browser.conftest import Attendant
from tests.browser.media.conftest import loaded, of
from tests.browser.media.files import Customer, film, moving_sticker, pdf
from tests.helpers import LiveServer

pytestmark = pytest.mark.slow


@pytest.fixture(params=["light", "dark"])
def page(
    request: pytest.FixtureRequest,
    live_server: Callable[..., LiveServer],
    maria: Customer,
    attendant: Callable[..., Attendant],
) -> Page:
    scheme: Any = request.param
    person = attendant("ana", live_server().url)
    person.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    maria.write("Olá")
    person.wait_connected()
    person.page.locator("[data-conversation-id]").click()
    expect(person.page.locator("[data-message-id]")).to_have_count(1)
    return person.page


def test_no_kind_has_a_serious_finding(page: Page, maria: Customer) -> None:
    def look(view: str) -> None:
        assert {view: serious_findings(page)} == {view: []}

    maria.send("document", pdf(), "application/pdf", filename="orçamento.pdf")
    maria.write(type="location")
    maria.write(type="contacts")
    maria.write(type="image", payload={"image": {"mime_type": "image/jpeg"}})
    maria.send("sticker", moving_sticker(), "image/webp", animated=True)
    sound = maria.send_voice(20)
    expect(of(page, sound).locator(".voice-play")).to_be_enabled()
    look("documents, places, contacts, what is gone, stickers, voice notes")
    of(page, sound).locator(".voice-play").click()
    expect(of(page, sound).locator(".voice-speed")).to_be_visible()
    look("a voice note that plays")
    of(page, sound).locator(".voice-play").click()

    maria.send_photo(1, caption="Com palavras")
    maria.send("video", film(1), "video/mp4")
    several = [maria.send_photo(number) for number in range(2, 7)]
    expect(page.get_by_role("group", name="Álbum")).to_be_visible()
    for message_id in several[:3]:  # the film is the first of them
        loaded(of(page, message_id).locator(".picture-image"))
    look("photos, a film, an album")
    of(page, several[0]).get_by_role("button", name="Abrir foto").click()
    loaded(page.locator(".viewer-image"))
    look("the viewer")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Dados do contato").click()
    panel = page.get_by_role("complementary", name="Dados do contato")
    expect(panel.get_by_role("group", name="Mídia mais recente")).to_be_visible()
    look("the panel with pictures")
    panel.get_by_role("button", name="Mídia, links e docs").click()
    expect(panel.get_by_role("tabpanel", name="Mídia")).to_be_visible()
    look("the pictures by month")
    panel.get_by_role("tab", name="Docs").click()
    expect(panel.get_by_role("link", name="orçamento.pdf")).to_be_visible()
    look("the documents")

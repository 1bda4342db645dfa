"""A customer sends a file of each kind, and both attendants see it for what it is."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Attendant
from tests.browser.media.conftest import loaded, of
from tests.browser.media.files import Customer, film, moving_sticker, pdf
from tests.helpers import wait_until

pytestmark = pytest.mark.slow


def test_a_photo_with_its_caption_is_there_at_once(pages: list[Page], maria: Customer) -> None:
    sent = maria.send_photo(width=900, height=600, caption="Olha o *comprovante*")
    for page in pages:
        bubble = of(page, sent)
        loaded(bubble.locator(".picture-image"))
        expect(bubble.locator(".bubble-text strong")).to_have_text("comprovante")
        expect(page.locator(".conversation-list .row-text")).to_have_text("📷 Olha o comprovante")
        box = bubble.locator(".picture").bounding_box()
        assert box
        assert abs(box["width"] / box["height"] - 1.5) < 0.02


def test_a_photo_without_words_has_its_time_on_it(pages: list[Page], maria: Customer) -> None:
    sent = maria.send_photo(width=600, height=900)
    for page in pages:
        loaded(of(page, sent).locator(".picture-image"))
        expect(page.locator(".conversation-list .row-text")).to_have_text("📷 Foto")
        picture = of(page, sent).locator(".picture").bounding_box()
        time = of(page, sent).locator(".bubble-time").bounding_box()
        assert picture
        assert time
        assert picture["y"] < time["y"] < picture["y"] + picture["height"]


def test_a_film_shows_how_long_it_is_and_plays_in_the_viewer(
    pages: list[Page], maria: Customer
) -> None:
    sent = maria.send("video", film(2), "video/mp4")
    for page in pages:
        expect(of(page, sent).locator(".picture-length")).to_have_text("0:02")
        of(page, sent).get_by_role("button", name="Abrir vídeo").click()
        playing = page.get_by_role("dialog", name="Visualizador").locator("video")
        expect(playing).to_be_visible()
        wait_until(lambda video=playing: video.evaluate("(film) => film.currentTime") > 0)
        page.keyboard.press("Escape")
        expect(playing).to_have_count(0)


def test_a_document_says_what_it_is_and_is_kept_by_a_click(
    pages: list[Page], maria: Customer
) -> None:
    data = pdf()
    sent = maria.send("document", data, "application/pdf", filename="orçamento.pdf")
    for page in pages:
        bubble = of(page, sent)
        expect(bubble.locator(".document-name")).to_have_text("orçamento.pdf")
        expect(bubble.locator(".document-facts")).to_contain_text("PDF")
        expect(bubble.locator(".document-facts")).to_contain_text("2 páginas")
        expect(page.locator(".conversation-list .row-text")).to_have_text("📄 orçamento.pdf")
        with page.expect_download() as download:
            bubble.get_by_role("link", name="Baixar orçamento.pdf").click()
        assert download.value.suggested_filename == "orçamento.pdf"
        assert download.value.path().read_bytes() == data


def test_a_sticker_stands_without_a_bubble_and_moves(pages: list[Page], maria: Customer) -> None:
    sent = maria.send("sticker", moving_sticker(), "image/webp", animated=True)
    for page in pages:
        image = of(page, sent).get_by_role("img", name="Figurinha")
        loaded(image)
        assert "size=thumb" not in (image.get_attribute("src") or "")
        back = (
            of(page, sent).locator(".bubble").evaluate("(b) => getComputedStyle(b).backgroundColor")
        )
        assert back == "rgba(0, 0, 0, 0)"


def test_a_place_leads_to_a_map_and_loads_none(
    people: list[Attendant], pages: list[Page], maria: Customer
) -> None:
    asked: list[str] = []
    pages[0].on("request", lambda request: asked.append(request.url))
    place = {"latitude": -23.5614, "longitude": -46.6559, "name": "MASP", "address": "Av. Paulista"}
    sent = maria.write(type="location", payload={"location": place})
    for page in pages:
        link = of(page, sent).get_by_role("link")
        expect(link).to_contain_text("MASP")
        expect(link).to_have_attribute("href", "https://www.google.com/maps?q=-23.5614,-46.6559")
        expect(link).to_have_attribute("rel", "noopener noreferrer")
    assert [url for url in asked if not url.startswith(people[0].url)] == []


def test_a_contact_s_number_begins_a_conversation(pages: list[Page], maria: Customer) -> None:
    card = {
        "name": {"formatted_name": "João da Silva"},
        "phones": [{"phone": "+55 21 99888-7766", "type": "CELL"}],
    }
    sent = maria.write(type="contacts", payload={"contacts": [card]})
    for page in pages:
        talk = of(page, sent).get_by_role("button", name="Conversar com João da Silva")
        expect(of(page, sent)).to_contain_text("+55 21 99888-7766")
        talk.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="Enviar modelo")).to_be_visible()
        page.keyboard.press("Escape")


def test_a_contact_who_has_a_chat_is_gone_to(pages: list[Page], maria: Customer) -> None:
    joana = Customer(maria.simulator, "5521998887766", "Joana")
    joana.write("Oi, sou a Joana")
    page = pages[0]
    expect(page.locator("[data-conversation-id]", has_text="Joana")).to_be_visible()
    card = {"name": {"formatted_name": "Joana"}, "phones": [{"phone": "+55 21 99888-7766"}]}
    sent = maria.write(type="contacts", payload={"contacts": [card]})
    of(page, sent).get_by_role("button", name="Conversar").click()
    expect(page.locator(".header-name")).to_have_text("Joana")


def test_what_whatsapp_has_not_any_more_says_so(pages: list[Page], maria: Customer) -> None:
    sent = maria.write(type="image", payload={"image": {"mime_type": "image/jpeg"}})
    for page in pages:
        expect(of(page, sent)).to_contain_text("Foto indisponível")
        expect(of(page, sent)).to_contain_text("Peça ao cliente que envie de novo")
        expect(of(page, sent).get_by_role("button", name="Abrir foto")).to_have_count(0)

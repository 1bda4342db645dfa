"""Four pictures or more of one moment are shown as one; each stays a message of its own."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.media.conftest import loaded, of
from tests.browser.media.files import Customer, film

pytestmark = pytest.mark.slow

NOW = int(time.time()) - 300


def send_six(maria: Customer) -> list[str]:
    sent = [maria.send_photo(number, at=NOW + number) for number in range(5)]
    return [*sent, maria.send("video", film(1), "video/mp4", at=NOW + 6)]


@pytest.fixture
def six(pages: list[Page], maria: Customer) -> list[str]:
    sent = send_six(maria)
    for page in pages:
        expect(page.locator(".album-grid > .message")).to_have_count(6)
    return sent


def test_six_are_two_by_two_and_how_many_more(pages: list[Page], six: list[str]) -> None:
    for page in pages:
        album = page.get_by_role("group", name="Álbum de 6")
        for message_id in six[:4]:
            loaded(of(page, message_id).locator(".picture-image"))
        expect(album.locator(".picture[data-more]")).to_have_attribute("data-more", "+2")
        boxes = [of(page, message_id).bounding_box() for message_id in six[:4]]
        assert all(boxes)
        (a, b, c, d) = [box for box in boxes if box]
        assert a["y"] == b["y"] < c["y"] == d["y"]
        assert a["x"] == c["x"] < b["x"] == d["x"]
        expect(of(page, six[4])).to_be_hidden()
        # Whoever sees the album has read all of it.
        expect(page.locator(".conversation-list [data-unread-count]")).to_be_hidden()


def test_the_one_with_the_number_opens_the_viewer_where_the_rest_are(
    pages: list[Page], six: list[str]
) -> None:
    page = pages[0]
    of(page, six[3]).get_by_role("button", name="Abrir foto").click()
    viewer = page.get_by_role("dialog", name="Foto 4 de 6")
    expect(viewer).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    viewer = page.get_by_role("dialog", name="Vídeo 6 de 6")
    expect(viewer).to_be_visible()
    viewer.get_by_role("button", name="Ir para a mensagem").click()
    expect(page.get_by_role("group", name="Álbum de 6")).to_be_in_viewport()


def test_each_is_answered_and_reacted_to_by_itself(pages: list[Page], six: list[str]) -> None:
    ana, bruno = pages
    of(ana, six[1]).locator(".picture").click(button="right")
    ana.get_by_role("menuitem", name="Reagir").click()
    ana.get_by_role("toolbar", name="Reagir").get_by_role("button").first.click()
    expect(of(bruno, six[1]).locator(".reactions")).to_be_visible()
    expect(of(bruno, six[0]).locator(".reactions")).to_be_hidden()
    of(ana, six[2]).locator(".picture").click(button="right")
    ana.get_by_role("menuitem", name="Responder").click()
    loaded(ana.locator(".quote-bar .quote-picture"))
    ana.keyboard.type("Esta aqui")
    ana.keyboard.press("Enter")
    for page in pages:
        answer = page.locator("[data-message-id]", has_text="Esta aqui")
        loaded(answer.locator(".quote-picture"))
        expect(answer.locator(".quote-text")).to_have_text("📷 Foto")


@pytest.mark.parametrize("apart", ["three", "with words", "an hour later", "by another"])
def test_what_does_not_belong_together_stands_alone(
    pages: list[Page], maria: Customer, apart: str
) -> None:
    page = pages[0]
    sent = [maria.send_photo(number, at=NOW + number) for number in range(3)]
    if apart == "with words":
        sent.append(maria.send_photo(4, at=NOW + 4, caption="E esta"))
    if apart == "an hour later":
        sent.append(maria.send_photo(4, at=NOW + 200))
    if apart == "by another":
        page.locator(".composer-input").fill("Vi")
        page.keyboard.press("Enter")
        expect(page.locator("[data-message-id]", has_text="Vi")).to_be_visible()
        sent.append(maria.send_photo(4))
    for message_id in sent:
        expect(of(page, message_id).get_by_role("button", name="Abrir foto")).to_be_visible()
    expect(page.locator(".album")).to_have_count(0)


def test_its_pictures_are_selected_and_passed_on_together(
    pages: list[Page], six: list[str], maria: Customer
) -> None:
    page = pages[0]
    joana = Customer(maria.simulator, "5521998887766", "Joana")
    joana.write("Oi")
    of(page, six[0]).locator(".picture").click(button="right")
    page.get_by_role("menuitem", name="Selecionar mensagens").click()
    of(page, six[1]).click()
    expect(page.get_by_text("2 selecionadas")).to_be_visible()
    expect(page.get_by_role("dialog", name="Visualizador")).to_be_hidden()
    boxes = page.locator(".album-grid .select-box:checked")
    expect(boxes).to_have_count(2)
    width = of(page, six[0]).locator(".picture").bounding_box()
    tile = of(page, six[0]).bounding_box()
    assert width
    assert tile
    assert width["width"] == tile["width"]  # the boxes stand on the pictures
    page.get_by_role("button", name="Encaminhar").click()
    dialog = page.get_by_role("dialog", name="Encaminhar mensagem para")
    dialog.get_by_role("checkbox", name="Joana").check()
    dialog.get_by_role("button", name="Enviar").click()
    expect(page.locator(".header-name")).to_have_text("Joana")
    expect(page.locator("[data-media=image] [data-status=delivered]")).to_have_count(2)

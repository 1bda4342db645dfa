"""Files chosen in the "+" menu, pasted, and dropped; looked at, given captions, and sent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import serious_findings
from tests.browser.conftest import Attendant
from tests.browser.one_chat import JOANA, both, bubble, choose, people, row, write
from tests.browser.sending_media.support import (
    Drag,
    arrives,
    bubbles,
    caption,
    choose_files,
    file,
    is_delivered,
    is_seen,
    paste,
    preview,
    received,
    send_button,
    thumbs,
)
from tests.chat.sent_media.files import PDF, picture, recording, video
from tests.helpers import Simulator

pytestmark = pytest.mark.slow

__all__ = ["both", "people"]  # fixtures

PHOTO = file("praia.jpg", "image/jpeg", picture(size=(320, 200)))
SECOND = file("serra.png", "image/png", picture("PNG", (200, 300)))
PAPER = file("contrato.pdf", "application/pdf", PDF)


def test_a_photo_from_the_menu_with_a_caption_reaches_customer_and_colleague(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    ana.locator(".plus-button").click()
    items = ana.get_by_role("menuitem")
    expect(items).to_have_text(
        ["Documento", "Fotos e vídeos", "Áudio", "Enviar modelo", "Respostas rápidas"]
    )
    with ana.expect_file_chooser() as chooser:
        items.nth(1).click()
    assert chooser.value.is_multiple()
    chooser.value.set_files([PHOTO])
    expect(preview(ana).locator("img.attach-large")).to_be_visible()
    expect(preview(ana).get_by_role("heading", name="praia.jpg")).to_be_visible()
    expect(caption(ana)).to_be_focused()
    ana.keyboard.type("Olha que *mar*")
    ana.keyboard.press("Enter")
    expect(preview(ana)).to_be_hidden()
    for page in both:
        expect(bubbles(page, "image")).to_have_count(1)
        is_seen(bubbles(page, "image"))
        expect(bubbles(page, "image").locator(".bubble-text b, .bubble-text strong")).to_have_text(
            "mar"
        )
        is_delivered(bubbles(page, "image"))
        expect(row(page, "Maria")).to_contain_text("Olha que mar")
    arrives(ana, simulator, ("image", "Olha que *mar*"))
    expect(ana.locator(".composer-input")).to_be_focused()
    expect(bruno.locator(".media-progress:visible")).to_have_count(0)


def test_several_of_all_kinds_go_with_their_captions_in_their_order(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    film = file("volta.mp4", "video/mp4", video(sound="aac"))
    choose_files(ana, "Fotos e vídeos", PHOTO, film)
    expect(thumbs(ana)).to_have_count(2)
    with ana.expect_file_chooser() as chooser:
        preview(ana).get_by_role("button", name="Adicionar arquivo").click()
    chooser.value.set_files([PAPER, SECOND])
    expect(thumbs(ana)).to_have_count(4)
    for place, words in enumerate(["primeira", "", "o contrato", "última"]):
        thumbs(ana).nth(place).click()
        caption(ana).fill(words)
    expect(send_button(ana)).to_have_attribute("aria-label", "Enviar 4 arquivos")
    send_button(ana).click()
    expected = [
        ("image", "primeira"),
        ("video", ""),
        ("document", "o contrato"),
        ("image", "última"),
    ]
    arrives(ana, simulator, *expected)
    for page in (ana, bruno):
        kinds = page.locator(".message.out[data-media]")
        expect(kinds).to_have_count(4)
        for place, (kind, words) in enumerate(expected):
            expect(kinds.nth(place)).to_have_attribute("data-media", kind)
            if words:
                expect(kinds.nth(place).locator(".bubble-text")).to_have_text(words)


def test_what_was_typed_becomes_the_caption_and_comes_back_when_it_is_discarded(
    both: list[Page], simulator: Simulator
) -> None:
    ana, _ = both
    field = ana.locator(".composer-input")
    field.fill("Segue a foto")
    paste(ana, PHOTO)
    expect(caption(ana)).to_have_value("Segue a foto")
    # Escape asks; "Cancelar" leaves all as it is.
    ana.keyboard.press("Escape")
    question = ana.locator(".confirm-dialog")
    expect(question).to_contain_text("Descartar mensagem não enviada?")
    question.get_by_role("button", name="Cancelar").click()
    expect(caption(ana)).to_have_value("Segue a foto")
    ana.keyboard.press("Escape")
    question.get_by_role("button", name="Descartar").click()
    expect(preview(ana)).to_be_hidden()
    expect(field).to_have_value("Segue a foto")
    expect(field).to_be_focused()
    expect(ana.locator(".header-name")).to_have_text("Maria")
    # The last one that is removed closes it, too.
    paste(ana, PHOTO)
    preview(ana).get_by_role("button", name="Remover praia.jpg").click()
    expect(preview(ana)).to_be_hidden()
    assert received(simulator) == []


def test_words_that_are_pasted_with_a_picture_of_them_stay_words(both: list[Page]) -> None:
    ana, _ = both
    shot = file("image.png", "image/png", picture("PNG"))
    assert paste(ana, shot, text_plain="A1\tB1", text_html="<table></table>") is True
    expect(preview(ana)).to_have_count(0)
    # A picture alone, by the time it was taken.
    assert paste(ana, shot) is False
    expect(preview(ana).get_by_role("heading")).to_contain_text("Captura")
    # More of them can be pasted over the first.
    paste(ana, PHOTO, selector=".caption-field")
    expect(thumbs(ana)).to_have_count(2)


def test_files_are_dropped_over_the_thread_and_nowhere_does_the_browser_open_them(
    both: list[Page], simulator: Simulator, tmp_path: Path
) -> None:
    ana, _ = both
    path = tmp_path / "praia.jpg"
    path.write_bytes(PHOTO["buffer"])
    drag = Drag(ana, path)
    drag.over(".thread-scroll")
    expect(ana.locator(".drop-words")).to_have_text("Solte aqui para enviar")
    # Beside it: nothing happens, and above all no other page.
    drag.drop(".list-scroll")
    expect(ana.locator(".drop-overlay")).to_be_hidden()
    expect(preview(ana)).to_have_count(0)
    assert len(ana.context.pages) == 1
    drag.drop(".thread-scroll")
    expect(thumbs(ana)).to_have_count(1)
    expect(ana.locator(".drop-overlay")).to_be_hidden()
    # Over the preview they are added.
    other = tmp_path / "contrato.pdf"
    other.write_bytes(PDF)
    Drag(ana, other).drop("dialog.attach-preview")
    expect(thumbs(ana)).to_have_count(2)
    send_button(ana).click()
    arrives(ana, simulator, ("image", ""), ("document", ""))
    assert len(ana.context.pages) == 1
    assert ana.url.startswith("http://127.0.0.1")


def test_what_cannot_be_sent_is_told_before_it_is_uploaded(
    both: list[Page], simulator: Simulator
) -> None:
    ana, _ = both
    asked: list[str] = []
    ana.on("request", lambda request: asked.append(request.method))
    bad = [
        file("vazio.txt", "text/plain", b""),
        file("fotos.zip", "application/zip", b"PK\x03\x04" + b"0" * 100),
        file("iphone.heic", "image/heic", b"0" * 100),
    ]
    choose_files(ana, "Documento", *bad[:1])
    expect(ana.locator(".toast-text")).to_contain_text("vazio.txt está vazio.")
    choose_files(ana, "Documento", PAPER, *bad[1:])
    told = preview(ana).locator(".attach-told[role=alert]")
    expect(told).to_contain_text("fotos.zip não pode ser enviado. O WhatsApp aceita PDF")
    expect(told).to_contain_text("iphone.heic não pode ser enviado. Salve como JPEG")
    expect(thumbs(ana)).to_have_count(1)
    # A video that is too large for one goes as a document, and that is said.
    paste(ana, file("longo.mp4", "video/mp4", b"0" * 17_000_000), selector=".caption-field")
    expect(thumbs(ana)).to_have_count(2)
    assert "POST" not in asked


def test_at_most_thirty_go_at_once(both: list[Page]) -> None:
    ana, _ = both
    many = [file(f"{n}.pdf", "application/pdf", PDF) for n in range(31)]
    choose_files(ana, "Documento", *many)
    expect(thumbs(ana)).to_have_count(30)
    expect(preview(ana)).to_contain_text("Até 30 arquivos por vez")


def test_a_file_answers_a_message_and_a_song_has_no_caption(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    choose(ana, "Tem azul?", "Responder")
    ana.locator(".composer-input").fill("fica aqui")
    choose_files(ana, "Áudio", file("jingle.mp3", "audio/mpeg", recording("mp3", "libmp3lame")))
    expect(preview(ana)).to_contain_text("Áudios vão sem legenda.")
    expect(caption(ana)).to_be_hidden()
    send_button(ana).click()
    arrives(ana, simulator, ("audio", ""))
    expect(ana.locator(".composer-input")).to_have_value("fica aqui")
    for page in (ana, bruno):
        expect(bubbles(page, "audio").locator(".quote")).to_contain_text("Tem azul?")


def test_by_keyboard_alone(both: list[Page], simulator: Simulator) -> None:
    ana, _ = both
    paste(ana, PHOTO, SECOND, PAPER)
    expect(caption(ana)).to_be_focused()
    title = preview(ana).get_by_role("heading")
    thumbs(ana).first.focus()
    ana.keyboard.press("ArrowRight")
    expect(title).to_have_text("serra.png")
    expect(thumbs(ana).nth(1)).to_be_focused()
    ana.keyboard.press("Delete")
    expect(thumbs(ana)).to_have_count(2)
    expect(thumbs(ana).nth(1)).to_be_focused()
    # The focus stays in it, all the way round.
    for _ in range(12):
        ana.keyboard.press("Tab")
        outside = ana.evaluate(
            "!document.activeElement.closest('dialog') && document.activeElement !== document.body"
        )
        assert not outside
    send_button(ana).focus()
    ana.keyboard.press("Enter")
    arrives(ana, simulator, ("image", ""), ("document", ""))


def test_after_the_24_hours_nothing_can_be_attached(
    people: list[Attendant], simulator: Simulator, tmp_path: Path
) -> None:
    ana = people[0].page
    day = 24 * 3600
    write(simulator, "Ontem", JOANA, "Joana", timestamp=int(time.time()) - day - 60)
    row(ana, "Joana").click()
    expect(bubble(ana, "Ontem")).to_be_visible()
    expect(ana.locator(".mic-button")).to_be_hidden()
    assert paste(ana, PHOTO, selector=".thread-scroll") is False
    expect(ana.locator(".toast-text")).to_contain_text("Janela de 24 horas encerrada")
    path = tmp_path / "praia.jpg"
    path.write_bytes(PHOTO["buffer"])
    drag = Drag(ana, path)
    drag.over(".thread-scroll")
    expect(ana.locator(".drop-words")).to_contain_text("Janela de 24 horas encerrada")
    drag.drop(".thread-scroll")
    expect(ana.locator(".drop-overlay")).to_be_hidden()
    expect(preview(ana)).to_have_count(0)


def test_the_24_hours_end_while_one_looks_for_a_caption(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0]
    write(simulator, "Ontem", JOANA, "Joana", timestamp=int(time.time()) - 23 * 3600)
    page = ana.new_tab()
    ana.allow_errors("ERR_FAILED|ERR_ABORTED")
    # Nothing tells this page what time it is on the server, once it is loaded.
    page.route("**/realtime/events*", lambda route: route.abort())
    page.clock.install()
    page.goto(ana.url)
    row(page, "Joana").click()
    expect(bubble(page, "Ontem")).to_be_visible()
    paste(page, PHOTO)
    expect(send_button(page)).to_be_enabled()
    page.clock.fast_forward("02:00:00")
    expect(send_button(page)).to_be_disabled()
    expect(preview(page)).to_contain_text("Janela de 24 horas encerrada")


def test_what_was_chosen_for_a_chat_waits_in_it(both: list[Page], simulator: Simulator) -> None:
    ana, _ = both
    write(simulator, "Bom dia", JOANA, "Joana")
    expect(row(ana, "Joana")).to_be_visible()
    paste(ana, PHOTO)
    caption(ana).fill("para a Maria")
    # By a notification, say: the list cannot be clicked meanwhile.
    row(ana, "Joana").locator(".row").evaluate("(row) => row.click()")
    expect(bubble(ana, "Bom dia")).to_be_visible()
    expect(preview(ana)).to_be_hidden()
    row(ana, "Maria").click()
    expect(caption(ana)).to_have_value("para a Maria")
    send_button(ana).click()
    arrives(ana, simulator, ("image", "para a Maria"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_in_the_preview_stops_a_screen_reader(
    both: list[Page], scheme: Any, width: int
) -> None:
    ana, _ = both
    ana.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    ana.set_viewport_size({"width": width, "height": 844})
    paste(ana, PHOTO, PAPER, file("jingle.mp3", "audio/mpeg", recording("mp3", "libmp3lame")))
    for place in range(3):
        thumbs(ana).nth(place).click()
        assert serious_findings(ana) == []
    box = preview(ana).bounding_box()
    pane = ana.locator(".thread-pane").bounding_box()
    assert box == pane


def test_on_a_phone_back_asks_too(both: list[Page]) -> None:
    ana, _ = both
    ana.set_viewport_size({"width": 390, "height": 844})
    expect(bubble(ana, "Tem azul?")).to_be_visible()
    paste(ana, PHOTO)
    question = ana.locator(".confirm-dialog")
    expect(preview(ana).locator("img.attach-large")).to_be_visible()
    ana.go_back()
    question.get_by_role("button", name="Cancelar").click()
    expect(preview(ana).locator("img.attach-large")).to_be_visible()
    ana.go_back()
    question.get_by_role("button", name="Descartar").click()
    expect(preview(ana)).to_be_hidden()
    expect(bubble(ana, "Tem azul?")).to_be_visible()
    # And from there to the list, as ever.
    ana.go_back()
    expect(ana.locator(".thread-pane")).to_be_hidden()
    expect(row(ana, "Maria")).to_be_visible()


def test_a_group_gets_files_as_it_gets_texts(both: list[Page], simulator: Simulator) -> None:
    ana, bruno = both
    write(simulator, "Quem vem?", group="120363041234567890")
    for page in (ana, bruno):
        page.locator("[data-conversation-id]", has_text="Quem vem?").click()
        expect(bubble(page, "Quem vem?")).to_be_visible()
    choose_files(ana, "Fotos e vídeos", PHOTO)
    caption(ana).fill("O lugar")
    send_button(ana).click()
    arrives(ana, simulator, ("image", "O lugar"))
    for page in (ana, bruno):
        is_delivered(bubbles(page, "image"))

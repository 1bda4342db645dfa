"""Photos over the whole screen: one after the other, larger, kept, passed on, and back again."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.media.conftest import loaded, of
from tests.browser.media.files import Customer, photo
from tests.helpers import wait_until

pytestmark = pytest.mark.slow

THREE = [(900, 600), (600, 900), (400, 400)]


@pytest.fixture
def page(pages: list[Page]) -> Page:
    return pages[0]


@pytest.fixture
def three(pages: list[Page], maria: Customer) -> list[str]:
    sent = [
        maria.send_photo(number, *size, caption=f"Foto número *{number}*")
        for number, size in enumerate(THREE, start=1)
    ]
    for message_id in sent:
        expect(of(pages[0], message_id).get_by_role("button", name="Abrir foto")).to_be_visible()
    return sent


def view(page: Page, message_id: str) -> Locator:
    of(page, message_id).get_by_role("button", name="Abrir foto").click()
    viewer = page.get_by_role("dialog", name="Visualizador de mídia")
    expect(viewer).to_be_visible()
    return viewer


def test_one_goes_along_all_of_the_chat(page: Page, three: list[str]) -> None:
    viewer = view(page, three[1])
    loaded(viewer.locator(".viewer-image"))
    expect(viewer.locator(".viewer-caption")).to_have_text("Foto número 2")
    expect(viewer.locator(".viewer-caption strong")).to_have_text("2")
    expect(viewer.locator(".viewer-name")).to_have_text("Maria")
    expect(viewer.locator(".viewer-when")).to_contain_text("hoje às")
    page.keyboard.press("ArrowRight")
    expect(viewer.locator(".viewer-caption")).to_have_text("Foto número 3")
    expect(viewer.get_by_role("button", name="Próxima")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    expect(viewer.locator(".viewer-caption")).to_have_text("Foto número 3")
    viewer.get_by_role("button", name="Anterior").click()
    page.keyboard.press("ArrowLeft")
    expect(viewer.locator(".viewer-caption")).to_have_text("Foto número 1")
    viewer.get_by_role("toolbar", name="Mídia da conversa").get_by_role("button").last.click()
    expect(viewer.locator(".viewer-caption")).to_have_text("Foto número 3")
    expect(viewer).to_have_accessible_name("Visualizador de mídia: Foto 3 de 3")


@pytest.mark.parametrize("how", ["Escape", "Back", "Fechar", "beside"])
def test_it_is_left_and_the_keyboard_is_where_it_was(
    page: Page, three: list[str], how: str
) -> None:
    viewer = view(page, three[2])
    address = page.url
    if how == "Escape":
        page.keyboard.press("Escape")
    elif how == "Back":
        page.evaluate("history.back()")
    elif how == "Fechar":
        viewer.get_by_role("button", name="Fechar").click()
    else:
        viewer.locator(".viewer-stage").click(position={"x": 90, "y": 20})
    expect(viewer).to_be_hidden()
    expect(of(page, three[2]).get_by_role("button", name="Abrir foto")).to_be_focused()
    expect(page.locator(".header-name")).to_have_text("Maria")  # the chat is open all the same
    wait_until(lambda: not page.evaluate("Boolean(history.state?.viewer)"))
    assert page.url == address


def scale(viewer: Locator) -> float:
    image = viewer.locator(".viewer-image")
    found = image.evaluate("(img) => new DOMMatrix(getComputedStyle(img).transform).a")
    return float(found)


def test_one_goes_on_to_what_is_further_up_while_that_is_being_loaded(
    page: Page, maria: Customer
) -> None:
    now = int(time.time())
    first = maria.send_photo(1, at=now - 60, caption="A primeira")
    expect(of(page, first).get_by_role("button", name="Abrir foto")).to_be_visible()
    maria.write("n", count=60, timestamp=now - 30)
    last = maria.send_photo(2, at=now, caption="A última")
    expect(of(page, last).get_by_role("button", name="Abrir foto")).to_be_visible()
    waiting: list[Route] = []
    older = re.compile(r"/messages\?.*before=")
    page.route(older, lambda route: route.continue_() if waiting else waiting.append(route))
    page.reload()
    viewer = view(page, last)
    page.locator(".thread-scroll").evaluate("(node) => node.scrollTo(0, 0)")
    wait_until(lambda: page.evaluate("true") and waiting)
    page.keyboard.press("ArrowLeft")
    waiting[0].continue_()
    expect(viewer.locator(".viewer-caption")).to_have_text("A primeira")


def test_a_photo_is_made_larger_and_moved(page: Page, three: list[str]) -> None:
    page.emulate_media(reduced_motion="reduce")
    viewer = view(page, three[0])
    image = viewer.locator(".viewer-image")
    loaded(image)
    box = image.bounding_box()
    assert box
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.dblclick(*middle)
    wait_until(lambda: scale(viewer) == 2.5)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 120, middle[1] + 40, steps=4)
    page.mouse.up()
    moved = image.evaluate("(img) => new DOMMatrix(getComputedStyle(img).transform).e")
    assert moved == 120
    page.mouse.dblclick(*middle)
    wait_until(lambda: scale(viewer) == 1)
    page.mouse.wheel(0, -300)
    wait_until(lambda: scale(viewer) > 1.5)
    page.keyboard.press("0")
    wait_until(lambda: scale(viewer) == 1)
    page.keyboard.press("+")
    wait_until(lambda: scale(viewer) > 1.3)
    page.keyboard.press("ArrowRight")  # another one stands as it fits
    wait_until(lambda: scale(viewer) == 1)


def test_it_is_kept_as_a_file(page: Page, three: list[str]) -> None:
    viewer = view(page, three[0])
    with page.expect_download() as download:
        viewer.get_by_role("button", name="Baixar").click()
    assert download.value.path().read_bytes()[:2] == photo()[:2]
    assert download.value.suggested_filename.endswith((".jpg", ".jpeg"))


def test_one_goes_to_the_message_it_is_of(page: Page, maria: Customer) -> None:
    sent = maria.send_photo(1)
    for number in range(30):
        maria.write(f"linha {number}")
    expect(page.locator("[data-message-id]", has_text="linha 29")).to_be_visible()
    last = maria.send_photo(2)
    viewer = view(page, last)
    page.keyboard.press("ArrowLeft")
    expect(viewer).to_have_accessible_name("Visualizador de mídia: Foto 1 de 2")
    viewer.get_by_role("button", name="Ir para a mensagem").click()
    expect(viewer).to_be_hidden()
    expect(of(page, sent)).to_be_in_viewport()


def test_what_comes_meanwhile_is_there_too(page: Page, maria: Customer, three: list[str]) -> None:
    viewer = view(page, three[2])
    maria.send_photo(4, caption="Mais uma")
    expect(viewer.get_by_role("button", name="Próxima")).to_be_enabled()
    expect(viewer).to_have_accessible_name("Visualizador de mídia: Foto 3 de 4")
    page.keyboard.press("End")
    expect(viewer.locator(".viewer-caption")).to_have_text("Mais uma")


def test_it_offers_to_pass_it_on(page: Page, three: list[str]) -> None:
    viewer = view(page, three[0])
    viewer.get_by_role("button", name="Encaminhar").click()
    dialog = page.get_by_role("dialog", name="Encaminhar mensagem para")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(viewer).to_be_visible()


def test_two_fingers_make_it_larger_and_one_goes_to_the_next(page: Page, three: list[str]) -> None:
    page.emulate_media(reduced_motion="reduce")
    viewer = view(page, three[0])
    loaded(viewer.locator(".viewer-image"))
    touch = """([type, id, x, y]) => {
      const stage = document.querySelector(".viewer-stage");
      const box = stage.getBoundingClientRect();
      stage.dispatchEvent(new PointerEvent(type, {
        pointerId: id, pointerType: "touch", isPrimary: id === 1, bubbles: true, button: 0,
        clientX: box.left + box.width / 2 + x, clientY: box.top + box.height / 2 + y,
      }));
    }"""
    page.evaluate("""() => { Element.prototype.setPointerCapture = () => {}; }""")
    for step in (["pointerdown", 1, -50, 0], ["pointerdown", 2, 50, 0], ["pointermove", 2, 150, 0]):
        page.evaluate(touch, step)
    wait_until(lambda: scale(viewer) == 2)
    for step in (["pointerup", 1, -50, 0], ["pointerup", 2, 150, 0]):
        page.evaluate(touch, step)
    page.keyboard.press("0")
    page.evaluate(touch, ["pointerdown", 1, 80, 0])
    page.evaluate(touch, ["pointermove", 1, -80, 5])
    page.evaluate(touch, ["pointerup", 1, -80, 5])
    expect(viewer.locator(".viewer-caption")).to_have_text("Foto número 2")


def test_what_is_passed_on_reaches_the_other_customer(page: Page, maria: Customer) -> None:
    joana = Customer(maria.simulator, "5521998887766", "Joana")
    joana.write("Oi")
    sent = maria.send_photo(1, caption="Para a Joana")
    viewer = view(page, sent)
    loaded(viewer.locator(".viewer-image"))
    viewer.get_by_role("button", name="Encaminhar").click()
    dialog = page.get_by_role("dialog", name="Encaminhar mensagem para")
    dialog.get_by_role("checkbox", name="Joana").check()
    dialog.get_by_role("button", name="Enviar").click()
    expect(viewer).to_be_hidden()
    expect(page.locator(".header-name")).to_have_text("Joana")
    passed = page.locator("[data-message-id]", has_text="Para a Joana")
    expect(passed.locator(".forwarded")).to_have_text("Encaminhada")
    loaded(passed.locator(".picture-image"))
    expect(passed.locator("[data-status=delivered]")).to_be_visible()
    phone = maria.simulator.get("/customers/5521998887766/messages").json()["messages"]
    assert [each["type"] for each in phone] == ["text", "image"]

"""Dialogs that are open again before the browser has told of their closing: a closing ends what
it has closed, and nothing that came after it.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.one_chat import both, choose, people
from tests.browser.sending_media.support import caption, file, paste, preview
from tests.chat.sent_media.files import picture

pytestmark = pytest.mark.slow

__all__ = ["both", "people"]  # fixtures

PHOTO = file("praia.jpg", "image/jpeg", picture(size=(320, 200)))

# All in one task of the page, in which no event of a closing can come.
ASK_AGAIN = """() => {
  document.querySelector(".confirm-dialog [value=no]").click();
  const key = { key: "Escape", bubbles: true, cancelable: true };
  document.querySelector(".attach-preview").dispatchEvent(new KeyboardEvent("keydown", key));
}"""
PIN_AGAIN = """() => {
  document.querySelector(".pin-dialog").close();
  [...document.querySelectorAll(".bubble-chevron")].at(-1).click();
  const items = [...document.querySelectorAll("[role=menuitem]")];
  items.find((item) => item.textContent === "Fixar").click();
}"""


def test_a_question_that_is_asked_again_at_once_gets_its_own_answer(both: list[Page]) -> None:
    ana = both[0]
    paste(ana, PHOTO)
    expect(caption(ana)).to_be_focused()
    ana.keyboard.press("Escape")
    question = ana.locator(".confirm-dialog")
    expect(question).to_be_visible()
    ana.evaluate(ASK_AGAIN)
    question.get_by_role("button", name="Descartar").click()
    expect(preview(ana)).to_be_hidden()


@pytest.mark.parametrize("answer", ["Fixar", "Cancelar"])
def test_pinning_again_at_once_pins_once_or_not(both: list[Page], answer: str) -> None:
    ana = both[0]
    choose(ana, "E quanto custa?", "Fixar")
    dialog = ana.locator(".pin-dialog")
    expect(dialog).to_be_visible()
    ana.evaluate(PIN_AGAIN)
    dialog.get_by_role("button", name=answer).click()
    expect(dialog).to_be_hidden()
    if answer == "Fixar":
        expect(ana.get_by_text("Mensagem fixada")).to_be_visible()
    choose(ana, "E quanto custa?", "Desafixar" if answer == "Fixar" else "Fixar")


@pytest.mark.parametrize("when", ["at once", "while the browser goes back"])
def test_a_picture_that_is_opened_again_stays_open(both: list[Page], when: str) -> None:
    ana = both[0]
    paste(ana, PHOTO)
    expect(caption(ana)).to_be_focused()
    ana.keyboard.press("Enter")
    photo = ana.locator(".thread-content").get_by_role("button", name="Abrir foto")
    photo.click()
    viewer = ana.get_by_role("dialog", name="Visualizador de mídia")
    expect(viewer).to_be_visible()
    ana.evaluate(
        """(isLater) => new Promise((done) => {
          const viewer = document.querySelector(".viewer");
          const again = () => {
            document.querySelector(".picture-button").click();
            requestAnimationFrame(() => setTimeout(done, 100));
          };
          if (isLater) viewer.addEventListener("close", again, { once: true });
          viewer.close();
          if (!isLater) again();
        })""",
        when != "at once",
    )
    viewer.get_by_role("button", name="Ir para a mensagem").click()
    expect(viewer).to_be_hidden()
    expect(ana.locator(".header-name")).to_have_text("Maria")

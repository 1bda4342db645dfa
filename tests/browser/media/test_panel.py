"""What a chat holds, in the contact's panel: pictures by month, documents, links."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.browser.media.conftest import loaded, of
from tests.browser.media.files import Customer, film, pdf
from tests.helpers import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def page(pages: list[Page]) -> Page:
    return pages[0]


def open_all(page: Page) -> Locator:
    page.get_by_role("button", name="Dados do contato").click()
    page.get_by_role("button", name="Mídia, links e docs").click()
    view = page.get_by_role("region", name="Mídia, links e docs")
    expect(view).to_be_visible()
    return view


def test_pictures_documents_and_links_each_have_a_page(page: Page, maria: Customer) -> None:
    maria.send_photo(1)
    maria.send("video", film(2), "video/mp4")
    maria.send("document", pdf(), "application/pdf", filename="orçamento.pdf")
    last = maria.write("Veja exemplo.com.br/loja")
    expect(of(page, last)).to_be_visible()
    view = open_all(page)
    expect(view.get_by_role("tab", name="Mídia")).to_have_attribute("aria-selected", "true")
    expect(view.get_by_role("heading", name="Este mês")).to_be_visible()
    expect(view.get_by_role("button", name="Foto")).to_have_count(1)
    loaded(view.get_by_role("button", name="Foto").locator("img"))
    expect(view.locator(".contents-length")).to_have_text("0:02")

    view.get_by_role("tab", name="Mídia").focus()
    page.keyboard.press("ArrowRight")
    expect(view.get_by_role("tab", name="Docs")).to_be_focused()
    expect(view.get_by_role("link", name="orçamento.pdf")).to_be_visible()
    expect(view.get_by_role("tabpanel")).to_contain_text("2 páginas")
    with page.expect_download():
        view.get_by_role("link", name="orçamento.pdf").click()
    page.keyboard.press("Tab")
    view.get_by_role("tab", name="Links").click()
    expect(view.get_by_role("link", name="exemplo.com.br/loja")).to_be_visible()
    view.get_by_role("button", name="Mostrar na conversa").click()
    expect(of(page, last)).to_be_in_viewport()

    view.get_by_role("tab", name="Links").focus()
    page.keyboard.press("Escape")
    expect(view).to_be_hidden()
    expect(page.get_by_role("button", name="Mídia, links e docs")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary", name="Dados do contato")).to_be_hidden()


def test_what_is_deleted_is_not_there_any_more(page: Page, maria: Customer) -> None:
    photo = maria.send_photo(1)
    link = maria.write("Veja exemplo.com.br")
    maria.write("E depois")
    expect(of(page, photo).get_by_role("button", name="Abrir foto")).to_be_visible()
    view = open_all(page)
    expect(view.get_by_role("button", name="Foto")).to_have_count(1)
    for message_id in (photo, link):
        maria.write(type="revoke", reply_to=message_id)
    expect(view.get_by_role("button", name="Foto")).to_have_count(0)
    expect(view.get_by_text("Nenhuma mídia.")).to_be_visible()
    view.get_by_role("tab", name="Links").click()
    expect(view.get_by_text("Nenhum link.")).to_be_visible()


def maria_s_unread(person: Attendant) -> int:
    answer = person.context.request.get(f"{person.url}/api/conversations").json()
    return int(answer["conversations"][0]["unread_count"])


def test_pictures_of_long_ago_are_found_by_a_click_and_shown(
    people: list[Attendant], page: Page, maria: Customer
) -> None:
    long_ago = int(time.time()) - 90 * 86_400
    old = maria.send_photo(1, at=long_ago, caption="De outro mês")
    expect(page.locator("[data-message-id]", has_text="De outro mês")).to_be_visible()
    maria.write("n", count=170)
    expect(page.locator("[data-message-id]", has_text="n 170")).to_be_visible()
    # An answer reads all of it: nothing unread far up is gone to.
    page.locator(".composer-input").fill("Visto")
    page.keyboard.press("Enter")
    wait_until(lambda: maria_s_unread(people[0]) == 0)
    page.reload()
    expect(page.locator("[data-message-id]", has_text="n 170")).to_be_visible()
    view = open_all(page)
    view.get_by_role("button", name="Procurar em mensagens mais antigas").click()
    picture = view.get_by_role("button", name="Foto")
    expect(picture).to_have_count(1)
    expect(view.locator(".contents-month h3")).not_to_have_text("Este mês")
    expect(view.get_by_text("De toda a conversa.")).to_be_visible()
    picture.click()
    viewer = page.get_by_role("dialog", name="Visualizador de mídia")
    expect(viewer.locator(".viewer-caption")).to_have_text("De outro mês")
    viewer.get_by_role("button", name="Ir para a mensagem").click()
    expect(of(page, old)).to_be_in_viewport()

"""A file on its way: how far it is, called off, lost and found again, and never sent twice."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Dialog, Page, Route, expect

from tests.browser.conftest import Attendant
from tests.browser.one_chat import JOANA, both, bubble, people, row, write
from tests.browser.sending_media.support import (
    FileWay,
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
    says_yes,
    send_button,
)
from tests.chat.sent_media.files import PDF, noise, picture
from tests.helpers import Simulator, wait_until

pytestmark = pytest.mark.slow

__all__ = ["both", "people"]  # fixtures

PHOTO = file("praia.jpg", "image/jpeg", picture(size=(320, 200)))
PAPER = file("contrato.pdf", "application/pdf", PDF)
KEPT = """() => new Promise((resolve) => {
  const opening = indexedDB.open("chat-unsent-files", 1);
  opening.onsuccess = () => {
    const found = opening.result.transaction("files").objectStore("files").count();
    found.onsuccess = () => { opening.result.close(); resolve(found.result); };
  };
})"""


def send_files(page: Page, *files: object, words: str = "") -> None:
    paste(page, *files)
    if words:
        caption(page).fill(words)
    send_button(page).click()
    expect(preview(page)).to_be_hidden()


def say(page: Page, text: str) -> None:
    page.locator(".composer-input").fill(text)
    page.keyboard.press("Enter")


def slow_down(context: BrowserContext, page: Page, bytes_a_second: int) -> None:
    """The line of this tab; -1: as it is."""
    context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1,
         "uploadThroughput": bytes_a_second},
    )  # fmt: skip


def cut_after_it_was_taken(route: Route) -> None:
    route.fetch()
    route.abort()


def waits(page: Page, bubble_: object) -> None:
    expect(bubble_.locator(".problem-text")).to_have_text("Aguardando conexão")  # type: ignore[attr-defined]


def test_a_slow_upload_shows_how_far_it_is_and_can_be_called_off(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0].page
    slow_down(people[0].context, ana, 100_000)
    large = file("mapa.png", "image/png", noise(1000))  # 3 MB: half a minute
    send_files(ana, large, words="o mapa")
    say(ana, "e depois isto")
    ring = bubbles(ana, "image").get_by_role("progressbar")
    expect(ring).to_have_attribute("aria-valuenow", re.compile(r"^([4-9]|[1-9]\d)$"))
    is_seen(bubbles(ana, "image"))  # from here, long before the server has it
    # Nothing overtakes it.
    expect(bubble(ana, "e depois isto")).to_have_class(re.compile("pending"))
    assert received(simulator) == []
    bubbles(ana, "image").get_by_role("button", name="Cancelar envio").click()
    expect(bubbles(ana, "image")).to_have_count(0)
    slow_down(people[0].context, ana, -1)
    arrives(ana, simulator, ("text", "e depois isto"))
    wait_until(lambda: ana.evaluate(KEPT) == 0)
    ana.reload()
    expect(bubble(ana, "e depois isto")).to_be_visible()
    expect(bubbles(ana, "image")).to_have_count(0)


def test_one_that_waits_behind_another_is_called_off_too(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0].page
    way = FileWay(people[0])
    way.is_shut = True
    send_files(ana, PHOTO, PAPER)
    waits(ana, bubbles(ana, "document"))
    bubbles(ana, "document").get_by_role("button", name="Cancelar envio").click()
    expect(bubbles(ana, "document")).to_have_count(0)
    way.is_shut = False
    arrives(ana, simulator, ("image", ""))


def test_what_was_taken_but_not_answered_is_sent_once(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana, bruno = (person.page for person in people)
    way = FileWay(people[0])
    way.how = [lambda route: route.abort(), cut_after_it_was_taken]
    send_files(ana, PHOTO, words="uma vez")
    say(ana, "e o texto")
    arrives(ana, simulator, ("image", "uma vez"), ("text", "e o texto"))
    for page in (ana, bruno):
        expect(bubbles(page, "image")).to_have_count(1)
        is_delivered(bubbles(page, "image"))
    assert way.tried >= 3


def test_files_and_texts_outlive_the_tab_in_their_order(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0]
    page = ana.page
    way = FileWay(ana)
    way.is_shut = True
    say(page, "antes")
    send_files(page, PHOTO, PAPER, words="a foto")
    say(page, "depois")
    waits(page, bubbles(page, "document"))
    wait_until(lambda: page.evaluate(KEPT) == 2)
    page.reload()
    waits(page, bubbles(page, "image"))
    is_seen(bubbles(page, "image"))  # out of what was kept
    photo = bubbles(page, "image").get_by_role("button", name="Abrir foto")
    photo.click(position={"x": 12, "y": 12})  # beside what calls it off
    large = page.locator(".viewer-image")
    expect(large).to_have_attribute("src", re.compile("^blob:"))
    page.keyboard.press("Escape")
    page.close()
    page = ana.new_tab()
    page.goto(ana.url)
    row(page, "Maria").click()
    waits(page, bubbles(page, "image"))
    is_seen(bubbles(page, "image"))
    way.is_shut = False
    expected = [("text", "antes"), ("image", "a foto"), ("document", ""), ("text", "depois")]
    arrives(page, simulator, *expected)
    is_delivered(bubbles(page, "document"))
    wait_until(lambda: page.evaluate(KEPT) == 0)


def test_another_tab_shows_it_and_sends_it_when_the_first_is_closed(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0]
    other = ana.new_tab()
    other.goto(ana.url)
    row(other, "Maria").click()
    expect(bubble(other, "Tem azul?")).to_be_visible()
    way = FileWay(ana)
    way.is_shut = True
    send_files(ana.page, PHOTO, words="de cá")
    expect(bubbles(other, "image")).to_have_count(1)
    is_seen(bubbles(other, "image"))
    ana.page.close()
    way.is_shut = False
    arrives(other, simulator, ("image", "de cá"))


def test_a_refusal_says_why_and_the_file_can_be_looked_at_again(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0].page
    people[0].allow_errors("422")
    fake = file("foto.jpg", "image/jpeg", b"no picture at all, whatever it is called" * 40)
    paste(ana, fake)
    expect(preview(ana)).to_contain_text("O navegador não consegue mostrar este arquivo")
    caption(ana).fill("veja")
    send_button(ana).click()
    failed = ana.locator(".message.out.failed")
    failed.locator(".failure-mark").click()
    expect(failed.locator(".problem-text")).to_contain_text("Não enviada: Este arquivo não é")
    failed.get_by_role("button", name="Abrir de novo").click()
    expect(caption(ana)).to_have_value("veja")
    expect(failed).to_have_count(0)
    assert received(simulator) == []


def test_whatsapps_own_refusal_is_retried_with_the_file(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0].page
    refusal = {"refuse_next": {"code": 131047, "times": 1}}
    simulator.http.patch(f"{simulator.url}/switches", json=refusal, timeout=30).raise_for_status()
    send_files(ana, PHOTO, words="de novo")
    failed = ana.locator(".message.out.failed")
    failed.locator(".failure-mark").click()
    failed.get_by_role("button", name="Tentar novamente").click()
    arrives(ana, simulator, ("image", "de novo"))
    is_delivered(bubbles(ana, "image").last)


def test_a_colleagues_answer_is_seen_first_and_the_file_goes_by_a_word(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana, bruno = (person.page for person in people)
    people[0].allow_errors("409")
    paste(ana, PHOTO)
    caption(ana).fill("assim?")
    say(bruno, "Já mandei")
    expect(ana.locator(".bubble-text", has_text="Já mandei")).to_be_attached()
    send_button(ana).click()
    strip = ana.locator(".collision")
    expect(strip).to_contain_text("Já mandei")
    expect(bubbles(ana, "image").locator(".problem-text")).to_have_text(
        "Aguardando sua confirmação"
    )
    # Called back, it is where it was looked at.
    strip.get_by_role("button", name="Cancelar").click()
    expect(caption(ana)).to_have_value("assim?")
    expect(bubbles(ana, "image")).to_have_count(0)
    caption(ana).fill("assim mesmo")
    say(bruno, "Pronto")
    expect(ana.locator(".bubble-text", has_text="Pronto")).to_be_attached()
    send_button(ana).click()
    expect(strip).to_contain_text("Pronto")
    strip.get_by_role("button", name="Enviar mesmo assim").click()
    arrives(ana, simulator, ("text", "Já mandei"), ("text", "Pronto"), ("image", "assim mesmo"))
    is_delivered(bubbles(ana, "image"))


def test_logging_out_asks_first_and_leaves_nothing(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0]
    page = ana.page
    ana.allow_errors("ERR_FAILED|401")
    way = FileWay(ana)
    way.is_shut = True
    send_files(page, PHOTO)
    wait_until(lambda: page.evaluate(KEPT) == 1)
    told: list[str] = []

    def answer(dialog: Dialog) -> None:
        told.append(dialog.message)
        dialog.accept() if len(told) > 1 else dialog.dismiss()

    page.on("dialog", answer)
    page.get_by_role("button", name="Menu", exact=True).click()
    for _ in range(2):
        page.get_by_role("button", name="Desconectar", exact=True).click()
    expect(page.get_by_label("Senha")).to_be_visible()
    assert all("não foram enviadas" in each for each in told), told
    assert len(told) == 2
    wait_until(lambda: page.evaluate(KEPT) == 0)
    way.is_shut = False
    ana.log_in()
    row(page, "Maria").click()
    expect(bubble(page, "Tem azul?")).to_be_visible()
    expect(bubbles(page, "image")).to_have_count(0)
    assert received(simulator) == []


def test_leaving_the_page_with_a_chosen_file_asks(people: list[Attendant]) -> None:
    page = people[0].page
    paste(page, PHOTO)
    expect(send_button(page)).to_be_enabled()
    asked = says_yes(page)
    page.reload()
    expect(bubble(page, "Tem azul?")).to_be_visible()
    assert asked == ["beforeunload"]


def test_a_large_file_goes_ahead_of_its_message(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0]
    page = ana.page
    ana.allow_errors("ERR_FAILED")
    puts: list[str] = []

    def put(route: Route) -> None:
        puts.append(route.request.url)
        if len(puts) == 1:
            route.abort()
        else:
            route.continue_()

    limits = {"kinds": {}, "multipart_max_bytes": 1000}  # so that large is not so large here
    ana.context.route("**/api/media/limits", lambda route: route.fulfill(json=limits))
    ana.context.route("**/api/uploads/*", put)
    choose_files(page, "Documento", file("planta.pdf", "application/pdf", PDF + b"\n" * 5000))
    caption(page).fill("a planta")
    send_button(page).click()
    say(page, "segue")
    arrives(page, simulator, ("document", "a planta"), ("text", "segue"))
    assert len(puts) == 2
    expect(bubbles(page, "document")).to_have_count(1)
    is_delivered(bubbles(page, "document"))


def test_browsers_that_keep_nothing_send_all_the_same_and_warn(
    people: list[Attendant], simulator: Simulator
) -> None:
    ana = people[0]
    page = ana.new_tab()
    page.add_init_script("Object.defineProperty(window, 'indexedDB', { value: null })")
    page.goto(ana.url)
    row(page, "Maria").click()
    expect(bubble(page, "Tem azul?")).to_be_visible()
    way = FileWay(ana)
    way.is_shut = True
    send_files(page, PHOTO, words="daqui")
    waits(page, bubbles(page, "image"))
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.close(run_before_unload=True)
    wait_until(lambda: page.evaluate("true") and asked == ["beforeunload"])
    way.is_shut = False
    arrives(page, simulator, ("image", "daqui"))


def test_the_local_picture_goes_when_the_chat_is_left(
    people: list[Attendant], simulator: Simulator
) -> None:
    page = people[0].page
    write(simulator, "Bom dia", JOANA, "Joana")
    expect(row(page, "Joana")).to_be_visible()
    send_files(page, PHOTO)
    is_delivered(bubbles(page, "image"))
    local = bubbles(page, "image").locator("img.picture-image").get_attribute("src") or ""
    assert local.startswith("blob:")  # nothing was loaded in its place
    row(page, "Joana").click()
    expect(bubble(page, "Bom dia")).to_be_visible()
    row(page, "Maria").click()
    is_seen(bubbles(page, "image"))
    served = re.compile("^/api/messages/.+/media")
    expect(bubbles(page, "image").locator("img.picture-image")).to_have_attribute("src", served)
    people[0].allow_errors("blob:|ERR_FILE_NOT_FOUND")
    assert page.evaluate("(url) => fetch(url).then(() => true, () => false)", local) is False

"""Voice notes: recorded with the browser's own pretended microphone, which beeps every second."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.axe import serious_findings
from tests.browser.conftest import Attendant
from tests.browser.one_chat import JOANA, bubble, choose, row, write
from tests.browser.sending_media.support import (
    FileWay,
    arrives,
    bubbles,
    is_delivered,
    received,
    says_yes,
)
from tests.chromium import ACTION_MS, FLAGS, chromium_environ, chromium_on_this_machine
from tests.helpers import LiveServer, Simulator, Store, add_attendant, wait_until

pytestmark = pytest.mark.slow

MICROPHONE = ["--use-fake-device-for-media-stream"]


@pytest.fixture
def recording_browser(chromium: Browser) -> Iterator[Browser]:
    """A Chromium with a microphone; the one without windows has none."""
    browser = chromium.browser_type.launch(
        executable_path=chromium_on_this_machine(), args=[*FLAGS, *MICROPHONE],
        env={**chromium_environ()},
    )  # fmt: skip
    yield browser
    browser.close()


@pytest.fixture
def at_the_microphone(
    recording_browser: Browser,
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    store: Store,
) -> Iterator[Callable[..., Attendant]]:
    """`at_the_microphone("ana")`: in the chat with Maria, who has asked something. `allowed`: the
    browser lets this page use the microphone.
    """
    url = live_server().url
    write(simulator, "Tem azul?")
    attendants: list[Attendant] = []

    def log_in(username: str, *, allowed: bool = True) -> Attendant:
        add_attendant(store, username, password=username)
        context = recording_browser.new_context(locale="pt-BR", timezone_id="America/Sao_Paulo")
        context.set_default_timeout(ACTION_MS)
        if allowed:
            context.grant_permissions(["microphone"], origin=url)
        person = Attendant(context, url, username)
        attendants.append(person)
        person.log_in()
        person.wait_connected()
        row(person.page, "Maria").click()
        expect(bubble(person.page, "Tem azul?")).to_be_visible()
        return person

    yield log_in
    errors = {person.username: person.unexpected_errors() for person in attendants}
    assert not any(errors.values()), f"console errors: {errors}"


def microphone(page: Page) -> Locator:
    return page.get_by_role("button", name="Gravar mensagem de voz")


def bar(page: Page) -> Locator:
    return page.get_by_role("group", name="Gravação de mensagem de voz")


def button(page: Page, name: str) -> Locator:
    return bar(page).get_by_role("button", name=name, exact=True)


def record(page: Page) -> None:
    """At least a second of it."""
    microphone(page).click()
    expect(bar(page).get_by_role("timer")).not_to_have_text("0:00")


def kind_of_sound(page: Page, simulator: Simulator) -> list[tuple[str, bool]]:
    messages = simulator.get("/customers/5511987654321/messages").json()["messages"]
    return [(m["type"], m["body"].get("voice")) for m in messages if m["author"] == "business"]


def test_a_voice_note_arrives_as_one_and_both_can_listen(
    at_the_microphone: Callable[..., Attendant], simulator: Simulator
) -> None:
    ana, bruno = at_the_microphone("ana").page, at_the_microphone("bruno").page
    choose(ana, "Tem azul?", "Responder")
    # The arrow stands in its place while there is a text.
    ana.locator(".composer-input").fill("hm")
    expect(microphone(ana)).to_be_hidden()
    ana.locator(".composer-input").fill("")
    record(ana)
    expect(ana.locator(".composer-box")).to_be_hidden()
    expect(button(ana, "Enviar")).to_be_focused()
    expect(bar(ana).get_by_role("status")).to_have_text("Gravando")
    ana.keyboard.press("Enter")
    expect(bar(ana)).to_be_hidden()
    wait_until(lambda: ana.evaluate("true") and kind_of_sound(ana, simulator) == [("audio", True)])
    for page in (ana, bruno):
        note = bubbles(page, "voice")
        is_delivered(note)
        expect(note.locator(".quote")).to_contain_text("Tem azul?")
        expect(note.locator(".voice-length")).to_have_text(re.compile("0:0[1-9]"))
    play = bubbles(bruno, "voice").locator(".voice-play")
    play.click()
    expect(bubbles(bruno, "voice").get_by_role("slider")).not_to_have_attribute(
        "aria-valuenow", "0"
    )


def test_it_rests_is_listened_to_goes_on_and_is_thrown_away(
    at_the_microphone: Callable[..., Attendant], simulator: Simulator
) -> None:
    page = at_the_microphone("ana").page
    record(page)
    button(page, "Pausar gravação").click()
    expect(button(page, "Continuar gravação")).to_be_focused()
    rests = bar(page).get_by_role("timer").text_content()
    button(page, "Ouvir a gravação").click()
    expect(button(page, "Pausar")).to_be_visible()
    expect(button(page, "Ouvir a gravação")).to_be_visible()  # to its end
    expect(bar(page).get_by_role("timer")).to_have_text(rests or "")
    button(page, "Continuar gravação").click()
    expect(bar(page).get_by_role("timer")).not_to_have_text(rests or "")
    button(page, "Excluir gravação").click()
    expect(bar(page)).to_be_hidden()
    expect(page.locator(".composer-input")).to_be_focused()
    assert received(simulator) == []


def test_escape_and_another_chat_ask_first(
    at_the_microphone: Callable[..., Attendant], simulator: Simulator
) -> None:
    ana = at_the_microphone("ana")
    page = ana.page
    write(simulator, "Bom dia", JOANA, "Joana")
    expect(row(page, "Joana")).to_be_visible()
    question = page.locator(".confirm-dialog")
    record(page)
    page.keyboard.press("Escape")
    expect(question).to_contain_text("Descartar mensagem de voz?")
    expect(button(page, "Continuar gravação")).to_be_attached()
    question.get_by_role("button", name="Cancelar").click()
    expect(bar(page)).to_be_visible()
    # It is never sent to another one by mistake.
    row(page, "Joana").click()
    expect(question).to_contain_text("A mensagem de voz para Maria não foi enviada. Descartar?")
    expect(bar(page)).to_be_hidden()
    question.get_by_role("button", name="Cancelar").click()
    expect(page.locator(".header-name")).to_have_text("Maria")
    expect(bar(page)).to_be_visible()
    row(page, "Joana").click()
    question.get_by_role("button", name="Descartar").click()
    expect(page.locator(".header-name")).to_have_text("Joana")
    row(page, "Maria").click()
    expect(bubble(page, "Tem azul?")).to_be_visible()
    expect(bar(page)).to_be_hidden()
    assert received(simulator) == []
    record(page)
    asked = says_yes(page)
    page.reload()
    expect(bubble(page, "Tem azul?")).to_be_visible()
    assert asked == ["beforeunload"]


def test_without_a_permission_it_is_said_what_to_do(
    at_the_microphone: Callable[..., Attendant],
) -> None:
    page = at_the_microphone("ana", allowed=False).page
    told = page.locator(".toast-text")
    microphone(page).click()
    expect(told).to_contain_text("permita o microfone nas configurações deste site")
    page.evaluate(
        """() => {
          const missing = new DOMException("", "NotFoundError");
          navigator.mediaDevices.getUserMedia = () => Promise.reject(missing);
        }"""
    )
    microphone(page).click()
    expect(told).to_contain_text("Nenhum microfone foi encontrado")
    page.evaluate("() => { delete window.MediaRecorder; }")
    microphone(page).click()
    expect(told).to_contain_text("Este navegador não grava áudio")
    expect(bar(page)).to_be_hidden()


def test_a_voice_note_waits_for_the_connection_and_outlives_a_reload(
    at_the_microphone: Callable[..., Attendant], simulator: Simulator
) -> None:
    ana = at_the_microphone("ana")
    page = ana.page
    way = FileWay(ana)
    way.is_shut = True
    record(page)
    button(page, "Enviar").click()
    expect(bubbles(page, "voice").locator(".problem-text")).to_have_text("Aguardando conexão")
    page.reload()
    note = bubbles(page, "voice")
    expect(note.locator(".problem-text")).to_have_text("Aguardando conexão")
    note.locator(".voice-play").click()
    expect(note.get_by_role("slider")).not_to_have_attribute("aria-valuenow", "0")
    way.is_shut = False
    arrives(page, simulator, ("audio", ""))


def test_a_colleagues_answer_is_seen_before_a_voice_note_goes(
    at_the_microphone: Callable[..., Attendant], simulator: Simulator
) -> None:
    ana, bruno = at_the_microphone("ana"), at_the_microphone("bruno")
    ana.allow_errors("409")
    page = ana.page
    record(page)
    bruno.page.locator(".composer-input").fill("Tem, sim")
    bruno.page.keyboard.press("Enter")
    expect(bubble(page, "Tem, sim")).to_be_visible()
    button(page, "Enviar").click()
    strip = page.locator(".collision")
    expect(strip).to_contain_text("Tem, sim")
    strip.get_by_role("button", name="Cancelar").click()
    # Back where it can be listened to once more.
    preview = page.locator("dialog.attach-preview")
    expect(preview.get_by_role("heading", name="Mensagem de voz")).to_be_visible()
    preview.get_by_role("button", name="Enviar").click()
    wait_until(
        lambda: (
            page.evaluate("true")
            and kind_of_sound(page, simulator) == [("text", None), ("audio", True)]
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_in_the_bar_stops_a_screen_reader(
    at_the_microphone: Callable[..., Attendant], scheme: Any, width: int
) -> None:
    page = at_the_microphone("ana").page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 844})
    record(page)
    assert serious_findings(page) == []
    button(page, "Pausar gravação").click()
    expect(button(page, "Ouvir a gravação")).to_be_visible()
    assert serious_findings(page) == []
    box = bar(page).bounding_box()
    assert box
    assert box["x"] + box["width"] <= width

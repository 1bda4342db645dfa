"""Voice notes: played one at a time, one after the other, from where one points, and faster."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.media.conftest import of
from tests.browser.media.files import Customer

pytestmark = pytest.mark.slow


def play(page: Page, message_id: str) -> Locator:
    """Its button, whatever it says now."""
    return of(page, message_id).locator(".voice-play")


def playing(page: Page, message_id: str) -> None:
    expect(play(page, message_id)).to_have_attribute("aria-label", "Pausar mensagem de voz")


def still(page: Page, message_id: str) -> None:
    expect(of(page, message_id).get_by_role("button", name="Reproduzir")).to_be_visible()


def line(page: Page, message_id: str) -> Locator:
    return of(page, message_id).get_by_role("slider")


def test_both_see_how_it_sounds_and_how_long_it_is(pages: list[Page], maria: Customer) -> None:
    sent = maria.send_voice(3)
    for page in pages:
        expect(of(page, sent).locator(".voice-length")).to_have_text("0:03")
        expect(page.locator(".conversation-list .row-text")).to_have_text("🎤 0:03")
        bars = of(page, sent).locator(".wave-all path").get_attribute("d") or ""
        heights = [float(bar.split("v")[1]) for bar in bars.split("M")[1:]]
        assert len(heights) == 64
        assert heights[-3] > 3 * heights[2]  # it swells
        expect(line(page, sent)).to_have_attribute("aria-valuetext", "0:00 de 0:03")


def test_the_next_one_follows_by_itself_and_one_plays_at_a_time(
    pages: list[Page], maria: Customer
) -> None:
    page = pages[0]
    first, second = maria.send_voice(1), maria.send_voice(30)
    other = maria.send_voice(30)
    for message_id in (first, second, other):
        expect(play(page, message_id)).to_be_enabled()
        expect(of(page, message_id).locator(".voice")).not_to_have_class("heard")
    play(page, first).click()
    playing(page, second)  # when the first has ended
    still(page, first)
    expect(of(page, first).locator(".voice.heard")).to_be_visible()
    play(page, other).click()
    playing(page, other)
    still(page, second)
    page.keyboard.press("Enter")  # on the same button
    still(page, other)


def test_after_a_note_that_was_heard_nothing_begins(pages: list[Page], maria: Customer) -> None:
    page = pages[0]
    first, second = maria.send_voice(1), maria.send_voice(1)
    expect(play(page, second)).to_be_enabled()
    play(page, second).click()
    expect(of(page, second).locator(".voice.heard")).to_be_visible()
    still(page, second)
    play(page, first).click()
    playing(page, first)
    still(page, first)
    still(page, second)
    page.reload()
    expect(of(page, second).locator(".voice.heard")).to_be_visible()  # this browser remembers it


def test_one_goes_to_any_place_by_keyboard_and_by_click(pages: list[Page], maria: Customer) -> None:
    page = pages[0]
    sent = maria.send_voice(30)
    expect(play(page, sent)).to_be_enabled()
    where = line(page, sent)
    where.focus()
    for key in ("PageUp", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(where).to_have_attribute("aria-valuetext", "0:06 de 0:30")
    page.keyboard.press("End")
    expect(where).to_have_attribute("aria-valuetext", "0:30 de 0:30")
    page.keyboard.press("Home")
    expect(where).to_have_attribute("aria-valuenow", "0")
    box = where.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    expect(where).to_have_attribute("aria-valuenow", "15")
    page.keyboard.press("Space")
    playing(page, sent)
    begun = float(page.evaluate("Number(document.activeElement.getAttribute('aria-valuenow'))"))
    assert begun >= 15  # from there on
    page.keyboard.press("Space")
    still(page, sent)


def test_it_is_played_faster_and_the_next_one_too(pages: list[Page], maria: Customer) -> None:
    page = pages[0]
    first, second = maria.send_voice(30), maria.send_voice(30)
    expect(play(page, second)).to_be_enabled()
    play(page, first).click()
    speed = of(page, first).locator(".voice-speed")
    for shown in ("1×", "1,5×", "2×", "1×", "1,5×"):
        expect(speed).to_have_text(shown)
        speed.click()
    expect(speed).to_have_text("2×")
    play(page, second).click()
    expect(of(page, second).locator(".voice-speed")).to_have_text("2×")


def test_what_plays_goes_on_while_one_reads_further_up(pages: list[Page], maria: Customer) -> None:
    page = pages[0]
    for number in range(40):
        maria.write(f"linha {number}\n" * 4)
    sent = maria.send_voice(30)
    expect(play(page, sent)).to_be_enabled()
    play(page, sent).click()
    playing(page, sent)
    page.locator(".thread-scroll").evaluate("(node) => { node.scrollTop = 0; }")
    page.locator(".jump-button").click()
    playing(page, sent)


@pytest.mark.parametrize("leave", ["Escape", "another chat"])
def test_it_ends_with_its_conversation(pages: list[Page], maria: Customer, leave: str) -> None:
    page = pages[0]
    joana = Customer(maria.simulator, "5521998887766", "Joana")
    joana.write("Oi")
    sent = maria.send_voice(30)
    expect(play(page, sent)).to_be_enabled()
    play(page, sent).click()
    playing(page, sent)
    if leave == "Escape":
        page.keyboard.press("Escape")
    else:
        page.locator("[data-conversation-id]", has_text="Joana").click()
        expect(page.locator(".header-name")).to_have_text("Joana")
    page.locator("[data-conversation-id]", has_text="Maria").click()
    expect(of(page, sent).get_by_role("button", name="Reproduzir")).to_be_visible()


def test_a_file_of_sound_has_its_name(pages: list[Page], maria: Customer) -> None:
    sample = {"type": "audio", "sample": "musica.mp3"}
    sent = maria.write(**sample)
    page = pages[0]
    expect(of(page, sent).locator(".voice.of-file")).to_be_visible()
    expect(page.locator(".conversation-list .row-text")).to_have_text("🎵 0:04")

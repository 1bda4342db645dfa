"""Ways out: of a conversation by the browser's back button, of the chat in every tab at once."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Attendant
from tests.helpers import LiveServer, Simulator

MARIA = "5511987654321"
LIST = "[data-conversation-id]"


@pytest.fixture
def ana(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
) -> Attendant:
    server = live_server()
    simulator.write(MARIA, text="oi", name="Maria")
    person = attendant("ana", server.url)
    person.wait_connected()
    expect(person.page.locator(LIST)).to_be_visible()
    return person


def on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})


def expect_list(page: Page) -> None:
    expect(page.locator(LIST)).to_be_visible()
    expect(page.locator(".thread-pane")).to_be_hidden()
    assert "c=" not in page.url


def expect_thread(page: Page) -> None:
    expect(page.locator("[data-message-id]")).to_be_visible()
    expect(page.locator(".list-pane")).to_be_hidden()
    assert "c=" in page.url


def test_back_leads_from_thread_to_list_on_a_phone_without_a_reload(ana: Attendant) -> None:
    page = ana.page
    on_a_phone(page)
    page.evaluate("window.sameDocument = true")
    page.locator(LIST).click()
    expect_thread(page)
    page.go_back()
    expect_list(page)
    page.go_forward()
    expect_thread(page)
    page.get_by_role("button", name="Voltar").click()
    expect_list(page)
    assert page.evaluate("window.sameDocument")


def test_opening_and_closing_many_times_leaves_one_step_back(ana: Attendant) -> None:
    page = ana.page
    on_a_phone(page)
    before = page.evaluate("history.length")
    for _ in range(3):
        page.locator(LIST).click()
        expect_thread(page)
        page.get_by_role("button", name="Voltar").click()
        expect_list(page)
    assert page.evaluate("history.length") == before + 1


def test_a_link_to_a_conversation_has_the_list_below_it_on_a_phone(ana: Attendant) -> None:
    page = ana.page
    on_a_phone(page)
    page.locator(LIST).click()
    expect_thread(page)
    other = ana.new_tab()
    on_a_phone(other)
    other.goto(page.url)
    expect_thread(other)
    other.reload()
    expect_thread(other)
    other.go_back()
    expect_list(other)


def test_logging_out_takes_the_other_tabs_along(ana: Attendant) -> None:
    ana.allow_errors("401")
    other = ana.new_tab()
    other.goto(ana.url)
    expect(other.locator(LIST)).to_be_visible()
    # The first tab holds the connection, the second leaves: the first has to be told.
    other.get_by_role("button", name="Menu").click()
    other.get_by_role("button", name="Desconectar", exact=True).click()
    expect(other).to_have_url(re.compile(r"/login(\?|$)"))
    expect(ana.page).to_have_url(re.compile(r"/login(\?|$)"))
    ana.page.goto(ana.url)
    expect(ana.page).to_have_url(re.compile(r"/login(\?|$)"))

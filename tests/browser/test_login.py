"""Logging in and out as people do it: in several tabs, on several devices, with slips."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Attendant
from tests.helpers import LiveServer, wait_until


@pytest.fixture
def server(live_server: Callable[..., LiveServer]) -> LiveServer:
    return live_server()


def choose(page: Page, item: str) -> None:
    """An item of the person's own menu."""
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name=item, exact=True).click()


def type_in(page: Page, username: str, password: str) -> None:
    page.get_by_label("Usuário").fill(username)
    page.get_by_label("Senha").fill(password)
    page.get_by_role("button", name="Entrar").click()


def expect_chat(page: Page, username: str = "ana") -> None:
    page.wait_for_selector(f'body[data-user-id="{username}"]')


def two_tabs_left_together(person: Attendant) -> tuple[Page, Page]:
    """Both show the login form, each as it was when the first tab left."""
    person.wait_connected()
    first, second = person.page, person.new_tab()
    second.goto(person.url)
    expect_chat(second)
    choose(first, "Desconectar")
    for page in (first, second):
        expect(page).to_have_url(re.compile(r"/login(\?|$)"))
        expect(page.get_by_label("Senha")).to_be_visible()
    return first, second


def test_two_tabs_left_together_log_in_one_after_the_other(
    server: LiveServer, attendant: Callable[..., Attendant]
) -> None:
    ana = attendant("ana", server.url)
    ana.allow_errors("401")
    for order in (1, -1):
        first, second = two_tabs_left_together(ana)[::order]
        type_in(first, "ana", "ana")
        expect_chat(first)
        expect(second.get_by_label("Senha")).to_be_visible()
        type_in(second, "ana", "ana")
        expect_chat(second)
        second.close()
        ana.page = first


def test_the_second_tab_takes_another_person_too(
    server: LiveServer, attendant: Callable[..., Attendant]
) -> None:
    attendant("bruno", server.url, log_in=False)
    ana = attendant("ana", server.url)
    ana.allow_errors("401")
    first, second = two_tabs_left_together(ana)
    type_in(first, "ana", "ana")
    expect_chat(first)
    type_in(second, "bruno", "errada")
    expect(second.get_by_role("alert")).to_have_text("Usuário ou senha incorretos.")
    expect(second.get_by_label("Usuário")).to_have_value("bruno")
    type_in(second, "bruno", "bruno")
    expect_chat(second, "bruno")


@pytest.mark.slow
def test_leaving_everywhere_takes_the_other_devices_along(
    server: LiveServer, attendant: Callable[..., Attendant]
) -> None:
    office, home, bruno = (attendant(name, server.url) for name in ("ana", "ana", "bruno"))
    for person in (office, home, bruno):
        person.allow_errors("401")
        person.wait_connected()
    choose(office.page, "Desconectar de todos os aparelhos")
    expect(office.page).to_have_url(re.compile(r"/login$"))
    expect(office.page.get_by_role("alert")).to_have_text(
        "Você saiu de todos os aparelhos: os outros perdem o acesso em até 30 segundos."
    )
    expect(home.page).to_have_url(re.compile(r"/login(\?|$)"), timeout=45_000)
    assert bruno.page.evaluate("document.body.dataset.userId") == "bruno"
    bruno.page.reload()
    expect_chat(bruno.page, "bruno")
    type_in(home.page, "ana", "ana")
    expect_chat(home.page)


def test_leaving_one_device_leaves_the_others(
    server: LiveServer, attendant: Callable[..., Attendant]
) -> None:
    office, home = attendant("ana", server.url), attendant("ana", server.url)
    for person in (office, home):
        person.allow_errors("401")
        person.wait_connected()
    choose(office.page, "Desconectar")
    expect(office.page).to_have_url(re.compile(r"/login(\?|$)"))
    expect(office.page.get_by_role("alert")).to_have_count(0)
    home.page.reload()
    expect_chat(home.page)


@pytest.mark.slow
def test_slips_are_counted_and_the_wait_is_told(
    server: LiveServer, attendant: Callable[..., Attendant]
) -> None:
    ana = attendant("ana", server.url, log_in=False)
    ana.allow_errors("401|429")
    page = ana.page
    page.goto(f"{server.url}/login")
    alert = page.get_by_role("alert")
    for _ in range(4):
        type_in(page, "ana", "errada")
        expect(alert).to_have_text("Usuário ou senha incorretos.")
        page.goto(f"{server.url}/login")
    type_in(page, "ana", "errada")
    expect(alert).to_have_text("Usuário ou senha incorretos. Tente novamente em 5 segundos.")
    type_in(page, "ana", "ana")
    expect(alert).to_have_text(
        re.compile(r"Foram muitas tentativas. Tente novamente em \d segundos?.")
    )

    def let_in() -> bool:
        type_in(page, "ana", "ana")
        page.wait_for_load_state()
        return page.locator("body[data-user-id=ana]").count() == 1

    wait_until(let_in, 20, every=1)

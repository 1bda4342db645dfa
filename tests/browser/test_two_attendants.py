"""A customer writes, and every attendant's screen shows it by itself.

Two attendants in two real browsers, a customer in the simulator. The same story directly, through
a front end that buffers whole responses as App Engine's does, and on two server processes.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.helpers import LiveServer, Simulator

CUSTOMER = "5511987654321"


@pytest.fixture(
    params=["directly", "buffered", "buffered and told to hold", "on two server processes"]
)
def addresses(
    request: pytest.FixtureRequest,
    live_server: Callable[..., LiveServer],
    buffering_proxy: Callable[[str], str],
) -> tuple[str, str]:
    """Where ana and bruno find the chat."""
    if request.param == "on two server processes":
        return live_server().url, live_server().url
    if request.param == "directly":
        url = live_server().url
    elif request.param == "buffered":
        # The page asks for a stream, sees no hello, and falls to held requests by itself.
        url = buffering_proxy(live_server().url)
    else:
        url = buffering_proxy(live_server(REALTIME_EVENTS_DELIVERY="hold").url)
    return url, url


def row(person: Attendant, text: str) -> Locator:
    return person.page.locator("[data-conversation-id]", has_text=text)


def bubble(person: Attendant, text: str) -> Locator:
    return person.page.locator("[data-message-id]", has_text=text)


def write_as_customer(phone: Page, text: str) -> None:
    """On the phone's own page, as a person does."""
    phone.locator("#composer textarea").fill(text)
    phone.locator("#composer button[type=submit]").click()


def send(person: Attendant, text: str) -> None:
    composer = person.page.locator(".composer-input")
    composer.fill(text)
    composer.press("Enter")


def test_both_see_the_customer_and_each_other_without_a_reload(
    addresses: tuple[str, str],
    simulator: Simulator,
    phone: Callable[[str], Page],
    attendant: Callable[..., Attendant],
) -> None:
    ana, bruno = attendant("ana", addresses[0]), attendant("bruno", addresses[1])
    both = (ana, bruno)
    for person in both:
        person.wait_connected()
        person.page.evaluate("window.neverReloaded = true")

    customer = phone(CUSTOMER)
    write_as_customer(customer, "Oi, vocês abrem hoje?")
    for person in both:
        expect(row(person, "Oi, vocês abrem hoje?")).to_be_visible()

    row(ana, "Oi, vocês abrem hoje?").click()
    expect(bubble(ana, "Oi, vocês abrem hoje?")).to_be_visible()
    send(ana, "Abrimos às nove.")
    expect(bubble(ana, "Abrimos às nove.")).to_be_visible()
    expect(row(bruno, "Abrimos às nove.")).to_be_visible()
    expect(customer.locator("#thread")).to_contain_text("Abrimos às nove.")

    row(bruno, "Abrimos às nove.").click()
    expect(bubble(bruno, "Abrimos às nove.")).to_be_visible()
    send(bruno, "Até as dezoito.")
    expect(bubble(ana, "Até as dezoito.")).to_be_visible()
    expect(customer.locator("#thread")).to_contain_text("Até as dezoito.")

    write_as_customer(customer, "Obrigada!")
    expected = ["Oi, vocês abrem hoje?", "Abrimos às nove.", "Até as dezoito.", "Obrigada!"]
    for person in both:
        expect(bubble(person, "Obrigada!")).to_be_visible()
        expect(person.page.locator("[data-message-id]")).to_contain_text(expected)
        expect(row(person, "Obrigada!")).to_have_count(1)
        assert person.page.evaluate("window.neverReloaded") is True
        for ours in ("Abrimos às nove.", "Até as dezoito."):  # on the phone, not on its way there
            expect(bubble(person, ours).locator("[data-status=delivered]")).to_be_visible()
    received = simulator.get(f"/customers/{CUSTOMER}/messages").json()["messages"]
    assert [message["text"] for message in received] == expected  # each of them once

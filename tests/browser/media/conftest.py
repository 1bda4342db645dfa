"""Ana and Bruno in the chat of a customer who sends files."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.browser.media.files import Customer
from tests.helpers import LiveServer, Simulator


@pytest.fixture
def maria(simulator: Simulator) -> Customer:
    return Customer(simulator)


@pytest.fixture
def people(
    live_server: Callable[..., LiveServer],
    maria: Customer,
    attendant: Callable[..., Attendant],
) -> list[Attendant]:
    """Ana and Bruno, in the chat with Maria, who has said hello."""
    url = live_server().url
    people = [attendant("ana", url), attendant("bruno", url)]
    maria.write("Olá")
    for person in people:
        person.wait_connected()
        person.page.locator("[data-conversation-id]").click()
        expect(person.page.locator("[data-message-id]")).to_have_count(1)
    return people


@pytest.fixture
def pages(people: list[Attendant]) -> list[Page]:
    return [person.page for person in people]


def of(page: Page, message_id: str) -> Locator:
    """A message's bubble."""
    return page.locator(f'[data-message-id="{message_id}"]')


def loaded(picture: Locator) -> None:
    """The picture's own bytes are on screen, not only its blur."""
    expect(picture).to_be_visible()
    expect(picture).not_to_have_js_property("naturalWidth", 0)

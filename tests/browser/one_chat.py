"""Two attendants in one chat, whose customer has written two messages; fixtures and helpers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.helpers import LiveServer, Simulator, wait_until

MARIA = "5511987654321"
JOANA = "5511912345678"


@pytest.fixture
def people(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
) -> list[Attendant]:
    """Ana and Bruno, in the chat with Maria, who wrote two messages."""
    url = live_server().url
    people = [attendant("ana", url), attendant("bruno", url)]
    for person in people:
        person.wait_connected()
    for text in ("Tem azul?", "E quanto custa?"):
        write(simulator, text)
    for person in people:
        row(person.page, "Maria").click()
        expect(bubble(person.page, "E quanto custa?")).to_be_visible()
    return people


@pytest.fixture
def both(people: list[Attendant]) -> list[Page]:
    """Their tabs."""
    return [person.page for person in people]


def write(
    simulator: Simulator, text: str, phone: str = MARIA, name: str = "Maria", **other: Any
) -> str:
    body = {"text": text, "name": name, **other}
    return simulator.write(phone, **body)


def row(page: Page, name: str) -> Locator:
    return page.locator("[data-conversation-id]", has=page.get_by_text(name, exact=True))


def bubble(page: Page, text: str) -> Locator:
    """The message that says this itself, not in what it quotes."""
    return page.locator("[data-message-id]", has=page.locator(".bubble-text", has_text=text))


def choose(page: Page, text: str, item: str) -> None:
    """From the menu of the message that says this."""
    bubble(page, text).locator(".bubble-text").click(button="right")
    page.get_by_role("menuitem", name=item, exact=True).click()


def on_phone(simulator: Simulator, text: str, phone: str = MARIA) -> dict[str, Any]:
    """The message of this text, once this customer's phone has it."""

    def found() -> list[dict[str, Any]]:
        messages = simulator.get(f"/customers/{phone}/messages").json()["messages"]
        return [message for message in messages if message["text"] == text]

    wait_until(lambda: len(found()) == 1)
    return found()[0]

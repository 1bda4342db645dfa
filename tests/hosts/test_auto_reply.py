"""The plain host answers some questions by a function of its own, before the modules and after."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.helpers import Simulator, wait_until
from tests.hosts.support import MARIA, NAME, Desk, Host

QUESTION = "Qual o horário de vocês?"
ANSWER = "Abrimos de segunda a sábado, das 6h às 20h."

pytestmark = pytest.mark.browser


def test_before_the_modules_it_answers(
    start_host: Callable[..., Host],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
    simulator: Simulator,
) -> None:
    ana = desk(start_host("plain", "before"))
    writes("Bom dia")
    writes(QUESTION)
    wait_until(lambda: simulator.texts_on_phone(MARIA) == [ANSWER])
    ana.reload()
    ana.open(NAME)
    expect(ana.bubbles).to_have_text(["Bom dia", QUESTION, ANSWER])


def test_its_answer_is_no_reading_has_check_marks_and_comes_once(
    start_host: Callable[..., Host],
    desk: Callable[..., Desk],
    writes: Callable[..., None],
    switch: Callable[..., None],
    simulator: Simulator,
) -> None:
    host = start_host("plain", "after")
    ana = desk(host)
    ana.page.wait_for_selector("html[data-connection=connected]")
    writes("Bom dia")  # of two first calls at once this host makes two conversations
    switch(webhook_repeat=3)
    writes(QUESTION)
    expect(ana.rows).to_contain_text(ANSWER)
    wait_until(lambda: simulator.texts_on_phone(MARIA) == [ANSWER])
    # Each callback comes thrice: with the last of them all that a repeat could do is done.
    wait_until(lambda: simulator.get("/deliveries").json()["idle"])
    assert simulator.texts_on_phone(MARIA) == [ANSWER]
    assert ana.badges == {NAME: "2"}
    unread = ana.page.request.get(f"{host.url}/unread").json()
    assert (unread["conversations"], unread["messages"]) == (1, 2)

    ana.open(NAME)
    expect(ana.bubbles).to_have_text(["Bom dia", QUESTION, ANSWER])
    expect(ana.ticks).to_have_count(1)
    expect(ana.ticks).to_have_attribute("data-status", "delivered")
    wait_until(lambda: ana.badges == {})  # a person reads

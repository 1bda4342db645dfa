"""Two attendants react to a customer's messages, with one reaction of the business a message."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.browser.one_chat import MARIA, both, bubble, choose, on_phone, people, row, write
from tests.browser.test_sending_status import switch
from tests.helpers import LiveServer, Simulator, wait_until

pytestmark = pytest.mark.slow

__all__ = ["both", "people"]  # fixtures


def pill(page: Page, text: str) -> Locator:
    return bubble(page, text).locator(".reactions")


def pick(page: Page, text: str, emoji: str) -> None:
    """By the button beside the bubble."""
    bubble(page, text).hover()
    bubble(page, text).get_by_role("button", name="Reagir", exact=True).click()
    page.locator(".reaction-choice", has_text=emoji).click()


def await_on_phone(simulator: Simulator, text: str, *emoji: str) -> None:
    """Until these reactions are under a message on the customer's phone."""
    wait_until(lambda: tuple(on_phone(simulator, text)["reactions"].values()) == emoji)


def test_a_reaction_is_seen_by_all_and_changed_by_anybody_of_the_business(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    pick(ana, "Tem azul?", "👍")
    for page in both:
        expect(pill(page, "Tem azul?")).to_have_text("👍")
    expect(pill(ana, "Tem azul?")).to_have_attribute("title", "👍 Você")
    expect(pill(bruno, "Tem azul?")).to_have_attribute("title", "👍 Ana")
    await_on_phone(simulator, "Tem azul?", "👍")
    choose(bruno, "Tem azul?", "Reagir")
    expect(bruno.get_by_role("button", name="Remover reação 👍")).to_be_focused()
    bruno.keyboard.press("ArrowRight")
    bruno.keyboard.press("Enter")
    for page in both:
        expect(pill(page, "Tem azul?")).to_have_text("❤️")
    await_on_phone(simulator, "Tem azul?", "❤️")


def test_the_row_tells_of_a_reaction_until_somebody_writes_or_takes_it_back(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    said = [row(page, "Maria").locator(".row-text") for page in both]
    pick(ana, "Tem azul?", "👍")
    expect(said[0]).to_have_text("Você reagiu com 👍 a: “Tem azul?”")
    expect(said[1]).to_have_text("Ana reagiu com 👍 a: “Tem azul?”")
    theirs = {"type": "reaction", "emoji": "🙏", "reply_to": on_phone(simulator, "Tem azul?")["id"]}
    simulator.write(MARIA, **theirs)
    for each in said:
        expect(each).to_have_text("Reagiu com 🙏 a: “Tem azul?”")
    theirs["emoji"] = ""
    simulator.write(MARIA, **theirs)
    expect(said[0]).to_have_text("Você reagiu com 👍 a: “Tem azul?”")
    write(simulator, "Vou levar")
    for each in said:
        expect(each).to_have_text("Vou levar")


def test_the_pill_tells_who_has_reacted_and_takes_ours_away(
    both: list[Page], simulator: Simulator
) -> None:
    ana, bruno = both
    question = on_phone(simulator, "Tem azul?")["id"]
    theirs = {"type": "reaction", "emoji": "🙏", "reply_to": question}
    simulator.write(MARIA, **theirs)
    expect(pill(ana, "Tem azul?")).to_have_text("🙏")
    pick(ana, "Tem azul?", "😂")
    expect(pill(bruno, "Tem azul?")).to_have_text("🙏😂")
    pill(bruno, "Tem azul?").click()
    reactors = bruno.get_by_role("dialog", name="2 reações")
    expect(reactors.locator("li")).to_contain_text(["Maria", "Ana"])
    bruno.keyboard.press("Escape")
    expect(reactors).to_have_count(0)
    expect(pill(bruno, "Tem azul?")).to_be_focused()
    pill(ana, "Tem azul?").click()
    ana.get_by_role("button", name="Você Clique para remover").click()
    for page in both:
        expect(pill(page, "Tem azul?")).to_have_text("🙏")
    await_on_phone(simulator, "Tem azul?", "🙏")


def test_any_emoji_can_be_typed(both: list[Page], simulator: Simulator) -> None:
    ana, bruno = both
    choose(ana, "Tem azul?", "Reagir")
    ana.get_by_role("button", name="Outro emoji").click()
    field, use = ana.get_by_label("Digite um emoji"), ana.locator(".reaction-form button")
    for wrong in ("ok", "🎉🎉", "🎉 sim"):
        field.fill(wrong)
        expect(use).to_be_disabled()
    field.fill("👩‍🚀")
    use.click()
    expect(pill(bruno, "Tem azul?")).to_have_text("👩‍🚀")
    await_on_phone(simulator, "Tem azul?", "👩‍🚀")


def test_a_refusal_is_told_and_the_reaction_taken_back(
    people: list[Attendant], simulator: Simulator
) -> None:
    both = ana, bruno = [person.page for person in people]
    people[0].allow_errors("status of 409")
    toast = ana.locator(".toast-text")
    pick(ana, "Tem azul?", "👍")
    expect(pill(bruno, "Tem azul?")).to_have_text("👍")
    await_on_phone(simulator, "Tem azul?", "👍")  # told to the screens first: it would be refused
    switch(simulator, refuse_next={"code": 131056})
    pick(ana, "Tem azul?", "😮")
    expect(toast).to_contain_text("Reação não enviada: muitas mensagens para este cliente")
    for page in both:
        expect(pill(page, "Tem azul?")).to_have_text("👍")
    # Also when WhatsApp says so later, by a callback.
    switch(simulator, fail_next={"code": 131047})
    pick(ana, "Tem azul?", "😢")
    expect(toast).to_contain_text("Reação não enviada: passaram mais de 24 horas")
    for page in both:
        expect(pill(page, "Tem azul?")).to_have_text("👍")
    expect(bruno.locator(".toast-text")).to_be_hidden()


def test_a_server_that_does_not_answer_leaves_no_reaction(people: list[Attendant]) -> None:
    ana = people[0].page
    people[0].allow_errors("Failed to load resource")
    path = "**/reaction"
    ana.route(path, lambda route: route.abort())
    pick(ana, "Tem azul?", "👍")
    expect(ana.locator(".toast-text")).to_have_text("Sem resposta do servidor.")
    expect(pill(ana, "Tem azul?")).to_be_hidden()
    ana.unroute(path)


def test_after_24_hours_the_menu_says_why_not(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
) -> None:
    person = attendant("ana", live_server().url)
    person.wait_connected()
    yesterday = int(time.time()) - 25 * 3600
    body = {"text": "Alguém?", "name": "Maria", "timestamp": yesterday}
    simulator.write(MARIA, **body)
    page = person.page
    row(page, "Maria").click()
    bubble(page, "Alguém?").locator(".bubble-text").click(button="right")
    for name in ("Responder", "Reagir"):
        item = page.get_by_role("menuitem", name=name)
        expect(item).to_have_attribute("aria-disabled", "true")
        expect(item).to_contain_text("faz mais de 24 horas")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menu")).to_be_visible()
    page.keyboard.press("Escape")
    bubble(page, "Alguém?").dblclick()
    expect(page.locator(".quote-bar")).to_be_hidden()
    expect(page.locator(".toast-text")).to_contain_text("faz mais de 24 horas")
    write(simulator, "Oi?")
    expect(bubble(page, "Oi?")).to_be_visible()
    choose(page, "Alguém?", "Reagir")
    expect(page.get_by_role("toolbar", name="Reagir")).to_be_visible()

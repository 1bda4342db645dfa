"""The check marks live: real browser, real server, the simulator's faults."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Attendant
from tests.browser.on_screen import walk_thread
from tests.helpers import LiveServer, Simulator, Store, wait_until

MARIA = "5511987654321"
#: Of a bubble: its id, what its ticks show, and whether they are drawn.
_TICKS = """(node) => {
  const ticks = node.querySelector("message-ticks");
  return [node.dataset.messageId, [ticks.dataset.status, Boolean(ticks.querySelector("svg"))]];
}"""


def switch(simulator: Simulator, **switches: object) -> None:
    answer = simulator.http.patch(f"{simulator.url}/switches", json=switches, timeout=10)
    answer.raise_for_status()


def bubble(page: Page, text: str) -> Locator:
    return page.locator(".thread-content [data-message-id]", has_text=text)


def ticks(place: Locator) -> Locator:
    return place.locator("message-ticks")


def shows(place: Locator, status: str, label: str) -> None:
    """What the ticks show, and what they are called."""
    expect(ticks(place)).to_have_attribute("data-status", status)
    expect(ticks(place)).to_have_attribute("aria-label", label)


def send(page: Page, *texts: str) -> None:
    field = page.get_by_role("textbox", name="Mensagem")
    for text in texts:
        field.fill(text)
        field.press("Enter")


#: Notes every status that ticks with this text beside them have shown.
_WATCH = """() => {
  window.shown = {};
  const note = () => {
    for (const node of document.querySelectorAll('.thread-content .out')) {
      const text = node.querySelector('.bubble-text').textContent;
      const status = node.querySelector('message-ticks').dataset.status;
      const seen = window.shown[text] ??= [];
      if (status && seen.at(-1) !== status) seen.push(status);
    }
  };
  const options = { childList: true, subtree: true, attributes: true };
  new MutationObserver(note).observe(document.querySelector('.thread-content'), options);
}"""


def open_maria(person: Attendant, simulator: Simulator) -> Page:
    person.wait_connected()
    simulator.write(MARIA, text="oi")
    person.page.locator("[data-conversation-id]").click()
    expect(bubble(person.page, "oi")).to_be_visible()
    person.page.evaluate(_WATCH)
    return person.page


def test_the_check_marks_follow_the_message_and_tell_its_story(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
) -> None:
    server = live_server(MESSAGE_STATUS_AWAITING_SECONDS=2)
    person = attendant("ana", server.url)
    page = open_maria(person, simulator)
    row = page.locator("[data-conversation-id]")

    # Clock, one, two; the customer's reading changes nothing that is seen.
    switch(simulator, webhook_delay_ms=400)
    send(page, "Bom dia")
    shows(bubble(page, "Bom dia"), "sending", "Pendente")
    shows(row, "sending", "Pendente")
    shows(bubble(page, "Bom dia"), "delivered", "Entregue")
    shows(row, "delivered", "Entregue")
    switch(simulator, webhook_delay_ms=0)
    simulator.post(f"/customers/{MARIA}/read", {})
    path = f"{server.url}/api/messages/{bubble(page, 'Bom dia').get_attribute('data-message-id')}"

    def true_status() -> str:
        return str(person.context.request.get(f"{path}/status").json()["status"])

    wait_until(lambda: true_status() == "read")
    shows(bubble(page, "Bom dia"), "delivered", "Entregue")
    assert page.evaluate("window.shown['Bom dia']") == ["sending", "sent", "delivered"]

    # The customer's phone is off: one tick stays. Three quick messages come in their order.
    simulator.post(f"/customers/{MARIA}/offline", {})
    send(page, "um", "dois", "três")
    shows(bubble(page, "três"), "sent", "Enviada")
    # By keyboard: from the field, past "+" and the emoji, to the newest message and its story.
    for _ in range(3):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Dados da mensagem").press("Enter")
    details = page.locator(".message-details")
    expect(details.locator("[data-part=text]")).to_have_text("três")
    expect(details.locator("[data-step=sent].done")).to_be_visible()
    # Beside the thread, which stays at its end.
    from_end = "(node) => node.scrollHeight - node.clientHeight - node.scrollTop"
    assert page.locator(".thread-scroll").evaluate(from_end) < 2
    expect(bubble(page, "três")).to_be_in_viewport()
    expect(details.locator("[data-step=delivered] time")).to_have_text("—")
    simulator.post(f"/customers/{MARIA}/online", {})
    for text in ("um", "dois", "três"):
        shows(bubble(page, text), "delivered", "Entregue")
    expect(details.locator("[data-step=delivered].done")).to_be_visible()  # by itself
    page.keyboard.press("Escape")
    expect(details).to_be_hidden()
    expect(bubble(page, "três").locator(".bubble-chevron")).to_be_focused()
    assert simulator.texts_on_phone(MARIA)[-3:] == ["um", "dois", "três"]

    # Refused after the 200: the reason, and a new attempt that succeeds.
    switch(simulator, fail_next={"code": 131047})
    send(page, "Orçamento")
    failed = bubble(page, "Orçamento").first
    shows(failed, "failed", "Não enviada")
    shows(row, "failed", "Não enviada")
    expect(failed.locator(".problem")).to_be_hidden()
    failed.get_by_role("button", name="Mensagem não enviada. Ver o motivo").click()
    expect(failed.locator(".problem")).to_be_visible()
    expect(failed.locator(".problem")).to_contain_text("Envie um modelo aprovado")
    failed.get_by_role("button", name="Tentar novamente").click()
    shows(bubble(page, "Orçamento").nth(1), "delivered", "Entregue")
    expect(failed.locator(".problem")).to_contain_text("Reenviada às")
    expect(failed.get_by_role("button", name="Tentar novamente")).to_have_count(0)
    shows(failed, "failed", "Não enviada")
    shows(row, "delivered", "Entregue")
    failed.locator(".bubble").click(button="right")
    page.get_by_role("menuitem", name="Dados da mensagem").click()
    expect(details.locator("[data-part=error]")).to_contain_text("131047")
    expect(details.locator("[data-part=attempts] li")).to_have_count(2)
    details.get_by_role("button", name="Fechar").click()

    # What waits too long is a filter of the list, until a late callback repairs it.
    switch(simulator, webhook_pause=True)
    send(page, "Parada")
    chip = page.get_by_role("button", name="Aguardando envio 1")
    chip.click()
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Parada")
    switch(simulator, webhook_pause=False)
    shows(bubble(page, "Parada"), "delivered", "Entregue")
    expect(chip).to_be_hidden()

    # A reload shows the same, in list and thread, without any event.
    page.reload()
    shows(row, "delivered", "Entregue")
    shows(bubble(page, "Parada"), "delivered", "Entregue")
    shows(bubble(page, "Orçamento").first, "failed", "Não enviada")


@pytest.mark.slow
def test_nothing_is_sent_twice_without_the_attendants_word(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
) -> None:
    server = live_server(WHATSAPP_READ_SECONDS=1)
    person = attendant("ana", server.url)
    page = open_maria(person, simulator)

    # No answer of the Graph API, which did its work: perhaps sent, until a late callback tells.
    switch(simulator, webhook_pause=True, graph_timeout={"process": True, "seconds": 3, "times": 1})
    send(page, "Foi?")
    shows(bubble(page, "Foi?"), "sending", "Talvez enviada")
    expect(bubble(page, "Foi?").locator(".problem")).to_contain_text("Talvez enviada. Sem resposta")
    expect(bubble(page, "Foi?").get_by_role("button", name="Tentar novamente")).to_be_visible()
    switch(simulator, webhook_pause=False)
    shows(bubble(page, "Foi?"), "delivered", "Entregue")
    expect(bubble(page, "Foi?").locator(".problem")).to_be_hidden()
    assert simulator.texts_on_phone(MARIA) == ["Foi?"]

    # No answer, and nothing was done: only the attendant's word sends it again.
    switch(simulator, graph_timeout={"process": False, "seconds": 3, "times": 1})
    send(page, "E agora?")
    first = bubble(page, "E agora?").first
    shows(first, "sending", "Talvez enviada")
    first.get_by_role("button", name="Tentar novamente").click()
    question = page.locator(".confirm-dialog")
    expect(question).to_contain_text("O cliente pode receber esta mensagem duas vezes.")
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(first).to_be_visible()
    assert simulator.texts_on_phone(MARIA) == ["Foi?"]
    first.get_by_role("button", name="Tentar novamente").click()
    question.get_by_role("button", name="Enviar novamente").click()
    shows(bubble(page, "E agora?").nth(1), "delivered", "Entregue")
    expect(first.locator(".problem")).to_contain_text("Reenviada às")
    assert simulator.texts_on_phone(MARIA) == ["Foi?", "E agora?"]

    # The process dies between the Graph API's work and its record.
    person.allow_errors("Failed to load resource|ERR_|net::")
    switch(simulator, webhook_pause=True, graph_timeout={"process": True, "seconds": 9, "times": 1})
    send(page, "Adeus")
    wait_until(lambda: "Adeus" in simulator.texts_on_phone(MARIA))
    server.kill9()
    server.restart()
    shows(bubble(page, "Adeus"), "sending", "Pendente")
    switch(simulator, webhook_pause=False)
    shows(bubble(page, "Adeus"), "delivered", "Entregue")
    assert simulator.texts_on_phone(MARIA) == ["Foi?", "E agora?", "Adeus"]


@pytest.mark.slow
def test_the_ticks_of_500_messages_cost_no_request(
    live_server: Callable[..., LiveServer],
    store: Store,
    attendant: Callable[..., Attendant],
) -> None:
    from chat.conversation import thread
    from chat.conversation.models import Conversation
    from chat.platform import datastore

    start = int(time.time() * 1000) - 600_000
    with datastore.context(seconds=60):
        conversation = Conversation(id="c500", created_at=0, phone=MARIA, name="Maria", version=1)
        messages = []
        for n in range(500):
            message = thread.append_outgoing(
                conversation, f"m{n:03d}", f"Mensagem {n}", start + n * 1000,
                author_id="ana", author_name="Ana",
            )  # fmt: skip
            message.status = ["sending", "sent", "delivered", "read", "played", "failed"][n % 6]
            messages.append(message)
        datastore.put_many([conversation, *messages])
    person = attendant("ana", live_server().url)
    page = person.page
    person.wait_connected()
    paths: list[str] = []
    page.on("request", lambda request: paths.append(urlsplit(request.url).path))
    page.locator("[data-conversation-id]").click()

    def all_there() -> bool:
        page.evaluate("document.querySelector('.thread-scroll').scrollTop = 0")
        return page.locator("[data-message-id=m000]").count() == 1

    wait_until(all_there, 30)
    found = walk_thread(page, _TICKS)
    other = {path for path in paths if path.startswith("/api/")}
    assert other <= {"/api/conversations/c500/messages", "/api/conversations/c500/read"}
    assert paths.count("/api/conversations/c500/messages") == 10
    assert [id_ for id_, _ in found] == [f"m{n:03d}" for n in range(500)]
    assert all(drawn for _, (_, drawn) in found)
    shown = [status for _, (status, _) in found]
    assert shown == ["sending", "sent", *["delivered"] * 3, "failed"] * 83 + ["sending", "sent"]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        colours = page.evaluate(
            """[...new Set([...document.querySelectorAll('message-ticks, message-ticks *')].flatMap(
              (part) => [getComputedStyle(part).color, getComputedStyle(part).stroke,
                         getComputedStyle(part).fill]))]"""
        )
        for colour in colours:
            if colour != "none":
                red, green, blue = json.loads(f"[{colour[colour.index('(') + 1 : -1]}]")[:3]
                assert blue <= max(red, green) + 12, (scheme, colour)

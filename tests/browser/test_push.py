"""A chat that needs a person reaches an attendant whose browser shows no page of it.

A browser without a network cannot subscribe: what its push service would answer is the stand-in's.
All else is real: the switch, the server, encryption, and the service worker that shows it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import CDPSession, Locator, Page, expect

from chat.push.settings import new_private_key, public_key_of
from chat.push.subscriptions import PushSubscription
from local.claude.server import ClaudeStandIn
from local.push.server import PushService
from tests.browser.conftest import Attendant
from tests.browser.test_installed import COUNTS_SHOWN, wait_told, worker_of
from tests.browser.unread_screen import row
from tests.helpers import LiveServer, Simulator, Store, wait_until

pytestmark = pytest.mark.slow

KEY = new_private_key()
MARINA = "5511987654321"
TITLE = "A conversa com Marina precisa de você"
PUSH = {"conversation_id": "c1", "title": TITLE, "body": "o cliente pediu uma pessoa"}
#: `given` is what the push service answers.
SUBSCRIBES = """
  window.made = null;
  const given = %s;
  PushManager.prototype.getSubscription = async () => window.made;
  PushManager.prototype.subscribe = async (options) => {
    window.asked = options;
    const unsubscribe = async () => { window.made = null; return true; };
    window.made = { endpoint: given.endpoint, toJSON: () => given, unsubscribe };
    return window.made;
  };
"""
SHOWN = """async () => (await self.registration.getNotifications()).map(
  ({ title, body, tag }) => ({ title, body, tag }))"""
PAGES = """async () => (
  await self.clients.matchAll({ type: "window", includeUncontrolled: true })
).map(({ url }) => new URL(url).pathname)"""


@pytest.fixture
def service(push_service: PushService) -> PushService:
    return push_service


@pytest.fixture
def url(live_server: Callable[..., LiveServer], claude: ClaudeStandIn, service: PushService) -> str:
    """A chat in which Claude answers, and hands over who asks for a person."""
    return live_server(
        ANTHROPIC_API_KEY="test-key",
        ANTHROPIC_BASE_URL=claude.url,
        AUTO_REPLY_DEBOUNCE_SECONDS=0,
        PUSH_VAPID_PRIVATE_KEY=KEY,
        PUSH_SUBJECT="mailto:ana@example.com",
        PUSH_ORIGINS=service.origin,
        PUSH_DELAY_SECONDS=1,
    ).url


def write(simulator: Simulator, text: str) -> None:
    simulator.write(MARINA, text=text, name="Marina")


def switch(page: Page) -> Locator:
    """In the menu, which this opens."""
    page.get_by_role("button", name="Menu", exact=True).click()
    return page.get_by_role("switch", name="Notificações com o navegador fechado")


class Pushed:
    """What the browser's push service hands to the service worker."""

    def __init__(self, person: Attendant) -> None:
        self.worker = worker_of(person)
        self.worker.evaluate(f"() => {{{COUNTS_SHOWN}}}")
        self._devtools: CDPSession = person.context.new_cdp_session(person.page)
        self._origin = person.url
        registrations: list[dict[str, Any]] = []

        def note(told: dict[str, Any]) -> None:
            registrations.extend(told["registrations"])

        self._devtools.on("ServiceWorker.workerRegistrationUpdated", note)
        self._devtools.send("ServiceWorker.enable")
        wait_until(lambda: person.page.evaluate("1") and registrations)
        self._id = registrations[0]["registrationId"]

    def deliver(self, payload: Any) -> None:
        self._devtools.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": self._origin, "registrationId": self._id, "data": json.dumps(payload)},
        )

    def pages(self) -> list[str]:
        """Those that the service worker sees: one that is left stays for a moment."""
        found: list[str] = self.worker.evaluate(PAGES)
        return found

    def shown(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.worker.evaluate(SHOWN)
        return found


def test_who_switched_it_on_is_told_when_no_page_is_open_until_the_logout(
    url: str,
    at_a_computer: Callable[..., Attendant],
    simulator: Simulator,
    service: PushService,
    store: Store,
) -> None:
    phone = service.subscribe(public_key_of(KEY))
    ana = at_a_computer("ana", url, script=SUBSCRIBES % json.dumps(phone.subscription()))
    ana.wait_connected()
    expect(switch(ana.page)).to_have_attribute("aria-checked", "false")
    ana.page.get_by_role("switch", name="navegador fechado").click()
    expect(ana.page.get_by_role("switch", name="navegador fechado")).to_be_checked()
    asked = ana.page.evaluate("asked")
    assert asked == {"userVisibleOnly": True, "applicationServerKey": public_key_of(KEY)}

    def subscribed() -> int:
        with store.context():
            return len(PushSubscription.query().fetch(use_cache=False))

    assert subscribed() == 1
    ana.page.goto("about:blank")  # the last page of hers
    write(simulator, "Quero falar com um atendente")
    wait_until(lambda: service.received)
    assert service.received[0].payload["title"] == TITLE
    assert service.received[0].payload["body"] == "o cliente pediu uma pessoa"

    with ana.page.expect_request("**/api/push/here"):
        ana.page.goto(url)
    expect(row(ana.page, "Marina").locator(".row-needed")).to_be_visible()
    ana.page.get_by_role("button", name="Menu", exact=True).click()
    ana.page.get_by_role("button", name="Desconectar", exact=True).click()
    expect(ana.page.locator("input[name=password]")).to_be_visible()
    assert subscribed() == 0
    assert len(service.received) == 1
    assert service.refused == []


def test_an_open_page_says_that_it_has_it_and_no_phone_rings(
    url: str, attendant: Callable[..., Attendant], simulator: Simulator
) -> None:
    ana = attendant("ana", url)
    with ana.page.expect_response("**/api/push/here"):
        ana.page.reload()
    ana.wait_connected()
    with ana.page.expect_response("**/api/push/here") as answer:
        write(simulator, "Quero falar com um atendente")
    assert answer.value.ok
    expect(ana.page.locator(".toast")).to_contain_text(TITLE)


def test_what_cannot_be_switched_on_is_said(
    url: str, at_a_computer: Callable[..., Attendant], service: PushService
) -> None:
    given = {**service.subscribe("").subscription(), "endpoint": "https://push.example.com/x"}
    ana = at_a_computer("ana", url, script=SUBSCRIBES % json.dumps(given))
    ana.allow_errors("422")
    ana.wait_connected()
    switch(ana.page).click()
    toast = ana.page.locator(".toast")
    expect(toast).to_contain_text("O serviço de notificações deste navegador não é aceito aqui.")
    assert ana.page.evaluate("made") is None
    expect(ana.page.get_by_role("switch", name="navegador fechado")).not_to_be_checked()


def test_the_service_worker_shows_what_is_pushed_unless_a_page_has_it(
    url: str, at_a_computer: Callable[..., Attendant]
) -> None:
    ana = at_a_computer("ana", url)
    ana.wait_connected()
    ana.page.bring_to_front()
    pushed = Pushed(ana)
    pushed.deliver(PUSH)
    other = ana.new_tab()
    other.goto(f"{url}/offline")
    ana.page.goto("about:blank")  # and the tab that is left is none of the chat
    wait_until(lambda: pushed.pages() == ["/offline"])
    pushed.deliver({**PUSH, "conversation_id": "c2"})
    shown = [{"title": TITLE, "body": PUSH["body"], "tag": "c2"}]
    wait_told(pushed.worker)
    assert pushed.shown() == shown
    pushed.deliver({})
    pushed.deliver({**PUSH, "conversation_id": "c2", "body": "mais uma vez"})
    wait_told(pushed.worker, 2)
    assert pushed.shown() == [{**shown[0], "body": "mais uma vez"}]


def test_a_page_that_the_system_has_frozen_keeps_nothing_from_being_shown(
    url: str, at_a_computer: Callable[..., Attendant]
) -> None:
    ana = at_a_computer("ana", url)
    ana.wait_connected()
    pushed = Pushed(ana)
    ana.new_tab().bring_to_front()
    frozen = ana.context.new_cdp_session(ana.page)
    frozen.send("Page.setWebLifecycleState", {"state": "frozen"})
    pushed.deliver(PUSH)
    wait_told(pushed.worker)
    assert len(pushed.shown()) == 1

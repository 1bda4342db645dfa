"""A message that is dated before what is on screen is not read unseen: the thread points to it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable

import requests
from playwright.sync_api import expect

from tests.browser.conftest import Attendant
from tests.helpers import SETTINGS, LiveServer, Simulator

MARIA = "5511987654321"


def deliver(server: LiveServer, wamid: str, text: str, at: int) -> None:
    message = {"from": MARIA, "id": wamid, "timestamp": str(at), "type": "text"}
    value = {"messages": [{**message, "text": {"body": text}}]}
    body = json.dumps({"entry": [{"changes": [{"field": "messages", "value": value}]}]}).encode()
    digest = hmac.new(SETTINGS["WHATSAPP_APP_SECRET"].encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={digest}"}
    answer = requests.post(f"{server.url}/webhook", data=body, headers=headers, timeout=30)
    assert answer.status_code == 200


def test_what_comes_in_above_the_view_stays_unread_until_it_was_on_screen(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    attendant: Callable[..., Attendant],
) -> None:
    server = live_server()
    start = int(time.time()) - 3600
    for n in range(25):
        deliver(server, f"wamid.{n}", f"curta {n}", start + 10 * n)
    ana = attendant("ana", server.url)
    row = ana.page.locator("[data-conversation-id]")
    row.click()
    ana.page.locator(".jump-button").click()  # it opened at the first that was unread
    expect(ana.page.locator("[data-message-id]", has_text="curta 24")).to_be_in_viewport()
    expect(row.locator("[data-unread-count]")).to_have_count(0)

    deliver(server, "wamid.late", "atrasada", start + 5)
    pointer = ana.page.locator(".late-button")
    expect(pointer).to_be_visible()
    expect(pointer).to_have_text("1 mensagem não lida")
    expect(row.locator("[data-unread-count]")).to_have_attribute("data-unread-count", "1")

    pointer.click()
    expect(ana.page.locator("[data-message-id]", has_text="atrasada")).to_be_in_viewport()
    expect(row.locator("[data-unread-count]")).to_have_count(0)
    expect(pointer).to_be_hidden()

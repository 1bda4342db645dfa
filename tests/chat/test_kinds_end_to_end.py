"""The simulator's kinds through a real server: what a customer's phone and the chat show."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.chat.support import MARIA
from tests.helpers import LiveServer, Simulator, Store, add_attendant, wait_until

pytestmark = pytest.mark.store
JOAO = "5521998877665"
GROUP = "120363041234567890"


class Attendant:
    """A logged-in browser without a screen."""

    def __init__(self, url: str) -> None:
        self._url, self._session = url, requests.Session()
        self._session.trust_env = False
        form = {"username": "ana", "password": "ana", "csrf_token": self._token("/login")}
        self._session.post(f"{url}/login", data=form, timeout=30).raise_for_status()
        self._headers = {"X-CSRFToken": self._token("/")}

    def _token(self, path: str) -> str:
        page = self._session.get(f"{self._url}{path}", timeout=30).text
        found = re.search(r'"csrf-token" content="([^"]+)"', page)
        assert found is not None
        return found[1]

    def get(self, path: str) -> Any:
        return self._session.get(f"{self._url}{path}", timeout=30).json()

    def chats(self) -> dict[str, Any]:
        found = self.get("/api/conversations")["conversations"]
        return {"group" if chat["is_group"] else chat["phone"]: chat for chat in found}

    def thread(self, chat: str) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.get(
            f"/api/conversations/{self.chats()[chat]['id']}/messages"
        )["messages"]
        return messages

    def send(self, chat: str, text: str) -> str:
        body = {"client_id": str(uuid.uuid4()), "text": text}
        path = f"{self._url}/api/conversations/{self.chats()[chat]['id']}/messages"
        answer = self._session.post(path, json=body, headers=self._headers, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["id"])


def test_every_kind_goes_through(
    live_server: Callable[..., LiveServer], simulator: Simulator, store: Store
) -> None:
    server = live_server()
    add_attendant(store, "ana", "ana")
    maria, phone = "+55 11 98765-4321", f"/customers/{MARIA}/messages"

    def write(path: str = phone, **body: Any) -> str:
        return str(simulator.post(path, body).json()["id"])

    first = write(text="Vi o anúncio", referral=True, name="Maria")
    chained = write(text="Repassem", forwarded="frequently")
    of_maria = write(text="oi, grupo", group=GROUP)
    of_joao = write(f"/customers/{JOAO}/messages", text="olá", group=GROUP, name="João")
    ana = Attendant(server.url)

    def thread(chat: str = maria) -> dict[str, dict[str, Any]]:
        """By id: each comes by a call of its own, and nothing orders those of one second."""
        return {message["id"]: message for message in ana.thread(chat)}

    wait_until(lambda: len(ana.thread("group")) == 2 and len(ana.thread(maria)) == 2)
    assert thread()[first]["referral"]["headline"] == "Revisão completa por R$ 95"
    assert thread()[chained]["frequently_forwarded"] is True
    assert thread("group")[of_maria]["author"]["name"] == "Maria"
    assert thread("group")[of_joao]["author"]["name"] == "João"

    welcome = ana.send("group", "bem-vindos")
    for member in (MARIA, JOAO):
        path = f"/customers/{member}/messages"
        wait_until(lambda path=path: "bem-vindos" in str(simulator.get(path).json()["messages"]))
    wait_until(lambda: thread("group")[welcome]["status"] == "delivered")

    echo = write("/business/messages", to=MARIA, text="Já respondo")
    wait_until(lambda: thread().get(echo, {}).get("status") == "delivered")
    assert thread()[echo]["author"]["kind"] == "business_app"
    assert ana.chats()[maria]["unread_count"] == 0

    write(type="reaction", reply_to=echo, emoji="👍")
    write(type="edit", reply_to=first, text="Vi o anúncio, e gostei")
    write("/business/messages", to=MARIA, type="revoke", reply_to=echo)
    question = write(text="por quê?", reply_to=echo)
    wait_until(lambda: "revoked_at" in thread()[echo])
    wait_until(lambda: thread()[first]["text"] == "Vi o anúncio, e gostei")
    wait_until(lambda: thread().get(question, {}).get("reply_to", {}).get("id") == echo)
    assert thread()[echo]["reactions"] == [], "of one that is gone"
    simulator.post(phone, {"type": "revoke", "reply_to": write(text="engano")})
    wait_until(lambda: ana.chats()[maria]["last_message"]["text"] == "🚫 Mensagem apagada")

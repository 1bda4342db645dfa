"""The simulator's kinds through a real server: what a customer's phone and the chat show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.chat.live_attendant import LiveAttendant
from tests.chat.support import MARIA
from tests.helpers import LiveServer, Simulator, Store, add_attendant, wait_until

pytestmark = pytest.mark.store
JOAO = "5521998877665"
GROUP = "120363041234567890"


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
    ana = LiveAttendant(server.url)

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

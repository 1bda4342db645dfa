"""A file on its way from an attendant to a customer: stored, given to WhatsApp, sent, once."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from flask import Flask

from tests.chat.live_attendant import LiveAttendant
from tests.chat.sent_media import files
from tests.chat.sent_media.support import ana, attach, chat
from tests.chat.support import MARIA, Browser, Graph
from tests.helpers import LiveServer, Simulator, Store, add_attendant, wait_until

__all__ = ["ana", "chat"]  # fixtures


def test_a_photo_is_stored_told_given_to_whatsapp_and_sent(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    client_id = str(uuid.uuid4())
    answer = attach(ana, chat, files.taken_by_a_phone(), client_id=client_id, caption="O *recibo*")
    assert answer.status_code == 201, answer.text
    message = answer.get_json()
    assert (message["id"], message["type"], message["text"]) == (client_id, "image", "O *recibo*")
    media = message["media"]
    assert (media["kind"], media["state"], media["mime_type"]) == ("image", "ready", "image/jpeg")
    assert (media["width"], media["height"], media["thumb"]) == (240, 320, True)
    assert media["preview"].startswith("data:image/")
    (form,) = graph.uploads
    assert (form["messaging_product"], form["type"]) == ("whatsapp", "image/jpeg")
    assert form["file"][0] == "image/jpeg"
    (sent,) = graph.received
    assert (sent["type"], sent["biz_opaque_callback_data"]) == ("image", client_id)
    assert set(sent["image"]) == {"id", "caption"}
    assert sent["image"]["caption"] == "O *recibo*"
    with ana.get(f"/api/messages/{client_id}/media") as got:
        assert got.get_data() == form["file"][1]
    assert ana.conversations()[0]["last_message"]["text"] == "📷 Foto · O *recibo*"


def test_a_photo_reaches_the_customers_phone(
    store: Store, live_server: Callable[..., LiveServer], simulator: Simulator
) -> None:
    add_attendant(store, "ana", "ana")
    server = live_server()
    simulator.customer_writes(MARIA, "Oi")
    who = LiveAttendant(server.url)
    (chat,) = wait_until(who.chats)
    who.attach(chat, "foto.webp", files.picture("WEBP"), "image/webp", caption="O recibo")
    seen = wait_until(
        lambda: [
            each
            for each in simulator.get(f"/customers/{MARIA}/messages").json()["messages"]
            if each["author"] == "business"
        ]
    )
    assert (seen[0]["type"], seen[0]["body"]["caption"]) == ("image", "O recibo")
    shown = simulator.get(f"/phone/media/{seen[0]['body']['id']}").content
    assert files.opened(shown).format == "JPEG"

"""The small foreign host in which module 3 is tested, and what its tests do to it: callbacks that
come, outcomes of sends, and looking at what is stored and told.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from google.cloud import ndb

import message_status as ms
import realtime_events as rt
from message_status import WamidLink
from tests import live_host
from tests.helpers import Store
from tests.live_host import Mensagem

NOON = 1_761_998_400  # 2025-11-01 12:00 UTC
UUIDS = [str(uuid.UUID(int=n, version=4)) for n in range(9)]
#: What the Graph API answers when it refuses a message.
REFUSAL = {"error": {"code": 131047, "message": "(#131047) Re-engagement message",
                     "error_data": {"details": "24 hours"}}}  # fmt: skip


def callback(
    name: str, at: int = 0, *, wamid: str | None = "wamid.x", opaque: Any = None, code: int = 131047
) -> dict[str, Any]:
    """A status as WhatsApp sends it, `at` seconds after noon."""
    raw: dict[str, Any] = {
        "id": wamid, "status": name, "timestamp": str(NOON + at), "recipient_id": "5511987654321",
    }  # fmt: skip
    if opaque:
        raw["biz_opaque_callback_data"] = opaque
    if name == "failed":
        raw["errors"] = [{"code": code, "title": f"Title {code}", "error_data": {"details": "D"}}]
    return raw


@pytest.fixture
def app(store: Store) -> Flask:
    """The small foreign host: integer keys, and a Graph API that is a list of answers."""
    live_host.sent.clear()
    live_host.answers.clear()
    return live_host.create_app({"TESTING": True}, store.client)


@pytest.fixture
def world(app: Flask, store: Store) -> Iterator[Flask]:
    with app.app_context(), store.context():
        yield app


def conversation() -> Any:
    return live_host.find_or_make("5511987654321")


def accepted(id_: Any, wamid: str) -> Any:
    return ms.record_outcome(id_, wamid=wamid)


def refused(id_: str, code: str, **more: Any) -> None:
    ms.record_outcome(id_, error={"code": code, **more})


def postponed(id_: str) -> None:
    ms.record_outcome(id_, error={"code": ms.UNREACHABLE}, again=True)


def unconfirmed(id_: str) -> None:
    ms.record_outcome(id_)


def new_message(*, started: bool = True, since: int | None = None) -> str:
    """The id of a message that was written, without any sending."""
    message = Mensagem(conversa=conversation().key, corpo="Bom dia")
    facts = {"started_at": (since or ms.now_ms()) - 1} if started else {}
    rt.add_message(message, outgoing=True, **facts)
    return rt.id_of(message)


def load(id_: str) -> Any:
    found = ndb.Key(Mensagem, int(id_)).get(use_cache=False)
    assert found is not None
    return found


def link(wamid: str) -> Any:
    return ndb.Key(WamidLink, wamid).get(use_cache=False)


def events(type_: str = "message.status_changed") -> list[dict[str, Any]]:
    """What was published of this type, oldest first."""
    records = rt.RealtimeEvent.query().order(rt.RealtimeEvent._key).fetch(use_cache=False)
    blocks = [block.decode() for record in records for block in record.blocks]
    told = [json.loads(block.split("data: ", 1)[1]) for block in blocks]
    return [each for each in told if each["type"] == type_]


def told(event: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = event["data"]
    return data

"""Measures what delivery statuses cost: one webhook call of many, each of another message.

One part of report.py's tables.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

import message_status
from local.bench.counter import counting
from local.bench.listeners import Listener, Listeners
from local.bench.world import SETTINGS, Server, World, post_signed

EVENTS_SECONDS = 60.0
CONNECT_SECONDS = 60.0
_CHANGED = "message.status_changed"


@dataclass(frozen=True)
class _Kind:
    """A kind of call, in the order in which they are made."""

    name: str
    status: str
    opaque: bool  # with `biz_opaque_callback_data`
    ours: bool = True
    news: bool = True  # each changes its message


_KINDS = (
    _Kind("news, by our id", "sent", opaque=True),
    _Kind("news, by wamid", "delivered", opaque=False),
    _Kind("repeats", "sent", opaque=True, news=False),
    _Kind("of unknown messages", "sent", opaque=False, ours=False, news=False),
)


@dataclass
class Statuses:
    """Calls of one kind; times in seconds."""

    name: str
    answered: list[float] = field(default_factory=list)  # POST sent → 200
    shown: list[float] = field(default_factory=list)  # POST sent → last event at the listener
    calls: dict[str, int] = field(default_factory=dict)  # of the server to the store, in one


def statuses(host: str, count: int, rounds: int) -> list[Statuses]:
    """`count` statuses of as many messages in one call, with one streaming listener.

    Args:
        host: the store.
        count: statuses in a call.
        rounds: calls of each kind.
    """
    rows = [Statuses(f"{count} {kind.name}") for kind in _KINDS]
    with World(host) as world:
        server = world.server(10)
        with Listeners(server.url, server.login(), 1, prefix="bench") as fleet:
            if not fleet.wait_connected(CONNECT_SECONDS):
                raise RuntimeError("the listener was not answered")
            for number in range(rounds + 1):
                ids = _sent_messages(f"r{number}", count)
                for kind, row in zip(_KINDS, rows, strict=True):
                    answered, shown = _call(server, fleet, kind, ids)
                    if number:  # the first round is to warm up
                        row.answered.append(answered)
                        row.shown += [shown] if kind.news else []
    # Apart: what counts the calls takes time of its own.
    with counting(host) as (address, counts), World(address) as world:
        server = world.server(10)
        ids = _sent_messages("c", count)
        for kind, row in zip(_KINDS, rows, strict=True):
            counts.reset()
            post_signed(server.url, _body(kind, ids))
            row.calls = dict(counts.calls())
    return rows


def _call(server: Server, fleet: Listeners, kind: _Kind, ids: list[str]) -> tuple[float, float]:
    """Seconds to the answer and to the last event."""
    (listener,) = fleet.all
    wanted = listener.count(_CHANGED) + (len(ids) if kind.news else 0)
    sent, answered = post_signed(server.url, _body(kind, ids))

    def there(all_: list[Listener]) -> bool:
        return all_[0].count(_CHANGED) >= wanted

    if not fleet.wait(there, EVENTS_SECONDS):
        raise RuntimeError(f"{kind.name}: not all events came")
    last = max((e.at for e in listener.events if e.type == _CHANGED), default=answered)
    return answered - sent, last - sent


def _sent_messages(prefix: str, count: int) -> list[str]:
    """So many messages that the Graph API has accepted; their ids."""
    from chat.conversation import thread
    from chat.conversation.models import Conversation
    from chat.platform import datastore

    now = int(time.time() * 1000)
    with datastore.context(seconds=120.0, rpc_seconds=30.0):
        conversation = Conversation(id=f"c-{prefix}", created_at=now)
        messages, links = [], []
        for n in range(count):
            message = thread.append_outgoing(
                conversation, f"{prefix}-{n:04d}", "Bom dia! O pedido já saiu.", now,
                author_id="bench", author_name="Bench",
            )  # fmt: skip
            message_status.started(message)
            wamid = f"wamid.{message.id}"
            message.status_facts = {**message.status_facts, "wamid": wamid, "accepted_at": now}
            messages.append(message)
            links.append(message_status.WamidLink(id=wamid, message_id=message.id))
        datastore.put_many([conversation, *messages])
        datastore.put_many(links)
        return [message.id for message in messages]


def _body(kind: _Kind, ids: list[str]) -> bytes:
    """A webhook call with one status of each message, of the size that Meta's have."""
    items = []
    for id_ in ids:
        item = {
            "id": f"{'wamid' if kind.ours else 'foreign'}.{id_}",
            "status": kind.status,
            "timestamp": "1781980005",
            "recipient_id": "5511987654321",
            "conversation": {"id": "0123456789abcdef", "origin": {"type": "service"}},
            "pricing": {"billable": False, "pricing_model": "PMP", "category": "service"},
        }
        if kind.opaque:
            item["biz_opaque_callback_data"] = id_
        items.append(item)
    value = {"messaging_product": "whatsapp", "metadata": {}, "statuses": items}
    change = {"field": "messages", "value": value}
    entry = {"id": SETTINGS["WHATSAPP_BUSINESS_ACCOUNT_ID"], "changes": [change]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()

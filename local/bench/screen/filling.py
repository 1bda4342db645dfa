"""The store that the screen is measured with: chats that are switched between, one of them long,
one full of photos.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local.bench.unread import fill
from local.bench.world import Server, phone, post_updates
from local.simulator.files import drawn

#: As a page gives them: what a chat has at least.
EACH = 60
#: Drawn for the photos; each message has one of them, under an address of its own.
_PICTURES = 12
_WORDS = (
    "Bom dia! Vocês entregam hoje?",
    "Sim, *até as 18h*. O pedido já está separado.",
    "Ótimo 👍",
    "O endereço é https://exemplo.com.br/mapa, na esquina da padaria.",
    "Anotado. Assim que o entregador sair eu aviso por aqui, e o senhor pode acompanhar pelo mesmo"
    " endereço. Se ninguém estiver em casa ele volta no fim da tarde, sem custo nenhum.",
)


def fill_chats(
    server: Server, chats: int, others: int, longest: int, *, photos: int, folder: Path
) -> list[str]:
    """Chats that customers have written in, and others further down the list.

    Args:
        server: takes the customers' last messages, so that their next ones find the chats.
        chats: how many have messages; the first of them has `longest`, the others `EACH`.
        others: how many more there are in the list.
        longest: messages of the first.
        photos: photos of the second.
        folder: where the server has its files.

    Returns:
        The ids of the chats with messages: the long one, that of the photos, the others.
    """
    from chat.conversation.models import Conversation
    from chat.platform import datastore

    fill(others, 0)
    for number in range(chats):
        post_updates(server.url, [phone(number)])
    with datastore.context(seconds=900.0, rpc_seconds=120.0):
        found = Conversation.query().order(-Conversation.sort_key).fetch(chats)
        by_phone = {each.phone: each.key.id() for each in found}
        ids: list[str] = [by_phone[phone(number)] for number in range(chats)]
        for number, id_ in enumerate(ids):
            count = {0: longest, 1: photos}.get(number, EACH)
            _write(id_, count, _pictures(folder) if number == 1 else ())
    return ids


def _pictures(folder: Path) -> list[dict[str, Any]]:
    """What messages keep of photos that are in the folder."""
    from chat.conversation.attached import media
    from chat.media.fetching import looked_into
    from chat.media.store import FolderStore

    store, found = FolderStore(folder), []
    for number in range(_PICTURES):
        given, name = drawn(number), f"bench/{number}"
        size = store.put(name, [given.data], given.mime_type)
        found.append({"size": size, **looked_into(store, name, media.IMAGE)})
    return found


def _write(conversation_id: str, count: int, photos: Sequence[dict[str, Any]] = ()) -> None:
    """So many messages before the one that is there: questions and answers, a minute apart, or
    photos of the customer's.
    """
    from chat.conversation.models import Message
    from chat.platform import datastore

    now = int(time.time() * 1000)
    entities = []
    for number in range(count):
        sent_at = now - (count - number) * 60_000
        own = number % 3 == 1 and not photos
        said: dict[str, Any] = {"type": "text", "text": f"{number + 1}: {_text(number)}"}
        if photos:
            said = {"type": "image", "media": photos[number % len(photos)]}
            said |= {"text": f"{number + 1}: foto"}
        facts = {"status": "delivered", "author_kind": "attendant", "author_name": "Ana"}
        theirs = {"author_kind": "customer", "author_name": "Cliente"}
        entities.append(
            Message(
                id=f"bench.{conversation_id}.{number:06d}",
                conversation_id=conversation_id,
                position=f"{sent_at:013d}-{number:010d}",
                arrival=number - count,  # before the one that is there, and read
                counted_at_arrival=0,
                counts_unread=not own,
                direction="out" if own else "in",
                **said,
                sent_at=sent_at,
                received_at=sent_at,
                **(facts if own else theirs),
            )
        )
    datastore.put_many(entities)


def _text(number: int, words: Sequence[str] = _WORDS) -> str:
    return words[number % len(words)]

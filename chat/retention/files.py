"""The files of messages, in the store of files: which there are, and their deletion."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import realtime_events
from chat.conversation.attached import media
from chat.conversation.models import Message
from chat.media import objects, service
from chat.media.fetching import object_name

#: Deleted at the same time: each waits for the store nearly all its time.
_TOGETHER = 8
#: Of what is known of a file, what is still true of one that was deleted.
_KEPT = ("kind", "mime_type", "size", "filename", "duration", "pages", "animated")


def names_of(message: Message) -> set[str]:
    """What the store has of a message, or may get: while its file is being fetched, that can come
    when the message is gone.
    """
    facts = media.of_message(message, realtime_events.now_ms()) or {}
    names = objects.names(facts)
    return names | (names_to_come(message) if facts.get("state") == media.PENDING else set())


def names_to_come(message: Message) -> set[str]:
    """What a fetch under way will call the file of a customer's message."""
    return objects.to_come(object_name(message.id))


def is_kept(message: Message) -> bool:
    """Whether the store has a file of this message."""
    return bool((message.media or {}).get("object"))


def is_pending(message: Message) -> bool:
    """Whether its file may be being fetched."""
    facts = media.of_message(message, realtime_events.now_ms())
    return facts is not None and facts["state"] == media.PENDING


def delete(names: Iterable[str]) -> None:
    """Deletes objects; those there are not are fine.

    Raises:
        chat.media.store.StoreError: not all of them; to be tried again.
    """
    store, wanted = service.current().store, sorted(set(names))
    if wanted:
        with ThreadPoolExecutor(min(_TOGETHER, len(wanted))) as pool:
            list(pool.map(store.delete, wanted))


def without_file(facts: dict[str, Any]) -> dict[str, Any]:
    """What is left of `Message.media` when its file was deleted by age."""
    kept = {name: facts[name] for name in _KEPT if name in facts}
    return {**kept, "state": media.UNAVAILABLE, "reason": "deleted"}

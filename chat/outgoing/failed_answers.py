"""What Claude wrote and WhatsApp did not take, or perhaps not, is a question without an answer:
people are told.

A person sees the red "!" of their own message; nobody looks at those of a chat that Claude has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.cloud import ndb

import message_status
import realtime_events
from chat.conversation import ownership
from chat.conversation.models import Message
from chat.conversation.ownership import CLAUDE
from chat.conversation.thread import line_by_claude
from chat.people import identity
from chat.people.owner_changes import store_and_tell
from chat.platform import datastore
from message_status import FAILED, SENDING, UNCONFIRMED

_REFUSED = "o WhatsApp não aceitou a resposta"
_IN_DOUBT = "não se sabe se a resposta chegou ao cliente"


def hand_over(message_id: str) -> None:
    """Hands the chat of this message over, if it is Claude's and has failed or may have; in the
    caller's transaction, or in one of its own.
    """

    def attempt() -> None:
        message = datastore.get(Message, message_id)
        if message is None or message.author_kind != CLAUDE or not (reason := _trouble(message)):
            return
        conversation = identity.load_conversation(message.conversation_id)
        if conversation is None or ownership.owner_of(conversation) != CLAUDE:
            return
        if message.received_at < (conversation.owner_at or 0):
            return  # told again: people have had the chat since, and gave it back
        now = realtime_events.now_ms()
        told = line_by_claude(ownership.hand_over(conversation, reason, now))
        store_and_tell(conversation, now, told)

    realtime_events.transaction(attempt)


def _trouble(message: Message) -> str | None:
    if message.status == FAILED:
        return _REFUSED
    error = message_status.status_json(message).get("error") or {}
    in_doubt = message.status == SENDING and error.get("code") == UNCONFIRMED
    return _IN_DOUBT if in_doubt else None


def told_by(statuses: Iterable[Any]) -> None:
    """The same for all that these callbacks, which are recorded, say has failed.

    Args:
        statuses: a webhook call's, as they came.
    """
    failed = [s for s in statuses if isinstance(s, dict) and s.get("status") == FAILED]
    ids = {s["biz_opaque_callback_data"] for s in failed if _is_text(s, "biz_opaque_callback_data")}
    wamids = [s["id"] for s in failed if _is_text(s, "id")]
    ids |= set(message_status.owners(wamids).values()) if wamids else set()
    names = sorted(filter(datastore.is_key_name, ids))
    # One look for all, as most are people's: each hand-over is a transaction.
    found = datastore.get_many([ndb.Key(Message, name) for name in names])
    for message in found:
        if message is not None and message.author_kind == CLAUDE:
            hand_over(message.id)


def _is_text(status: dict[str, Any], name: str) -> bool:
    return isinstance(status.get(name), str) and datastore.is_key_name(status[name])

"""What Claude wrote and WhatsApp did not take, or perhaps not, is a question without an answer:
people are told.

A person sees the red "!" of their own message; nobody looks at those of a chat that Claude has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import message_status
import realtime_events
from chat.conversation import ownership
from chat.conversation.models import Message
from chat.conversation.ownership import CLAUDE, CLAUDE_NAME
from chat.conversation.thread import Line, append_notice
from chat.people import identity
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
        now = realtime_events.now_ms()
        told = ownership.hand_over(conversation, reason, now)
        notice = append_notice(conversation, Line(told or reason, CLAUDE, CLAUDE_NAME), now)
        conversation.bump_version()
        datastore.put_many([conversation, notice])
        identity.publish_conversation(conversation)
        realtime_events.tell("message.created", conversation, notice)

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
    for message_id in sorted(filter(datastore.is_key_name, ids)):
        hand_over(message_id)


def _is_text(status: dict[str, Any], name: str) -> bool:
    return isinstance(status.get(name), str) and datastore.is_key_name(status[name])

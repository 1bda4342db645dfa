"""Stores that a conversation's owner, or what Claude is asked in it, has changed, and has thread
and screens told. What changes is `ownership`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import realtime_events
from chat.conversation.models import Conversation
from chat.conversation.thread import Line, append_notice
from chat.people import identity
from chat.people.identity import UnknownConversationError
from chat.platform import datastore


def change_owner(
    conversation_id: str, act: Callable[[Conversation, int], Iterable[Line | None] | None]
) -> Conversation:
    """Changes who owns a conversation, and tells; a transaction of its own.

    Args:
        conversation_id: which.
        act: changes the entity and gives the lines that the thread says of it, None where nothing
            changed; runs again when the transaction does.

    Raises:
        UnknownConversationError: no such conversation.
    """

    def attempt() -> Conversation:
        conversation, now = identity.load_conversation(conversation_id), realtime_events.now_ms()
        if conversation is None:
            raise UnknownConversationError(conversation_id)
        lines = act(conversation, now)
        if lines is not None:
            store_and_tell(conversation, now, *lines)
        return conversation

    return realtime_events.transaction(attempt)


def store_and_tell(conversation: Conversation, now_ms: int, *lines: Line | None) -> None:
    """Writes a conversation that has changed, with what its thread says of it, and tells; in the
    caller's transaction.

    Args:
        conversation: the entity, read in this transaction.
        now_ms: when it changed.
        lines: what the thread says, in this order; None says nothing.
    """
    notices = [append_notice(conversation, line, now_ms) for line in lines if line is not None]
    conversation.bump_version()
    datastore.put_many([conversation, *notices])
    identity.publish_conversation(conversation)
    for notice in notices:
        realtime_events.tell("message.created", conversation, notice)

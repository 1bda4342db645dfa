"""Puts messages into their conversation and its outbox, from which `sending` takes them."""

from __future__ import annotations

from typing import Any

from google.cloud import ndb

import realtime_events
import unread_state
from chat.conversation import ownership
from chat.conversation.attached.attachment import Attachment
from chat.conversation.models import Conversation, Message
from chat.conversation.thread import (
    Line,
    answered_by_other,
    append_notice,
    append_outgoing,
    line_by,
)
from chat.platform import datastore


class Outbox(ndb.Model):
    """Messages of one conversation still to be sent, in order. Key name: the conversation's id."""

    queue = ndb.TextProperty(repeated=True)
    holder = ndb.TextProperty()
    lease_until = ndb.IntegerProperty(indexed=False, default=0)
    #: When the sweep may look at it; None while the queue is empty.
    due_at = ndb.IntegerProperty()


class DifferentMessageError(ValueError):
    """This client_id was used for another text or another conversation."""


class CollisionError(ValueError):
    """Somebody else answered after what the attendant's screen had: `message`, their newest."""

    def __init__(self, message: Message) -> None:
        super().__init__(message.id)
        self.message = message


def enqueue(
    conversation: Conversation,
    texts: dict[str, str],
    *,
    before: Line | None = None,
    after: Line | None = None,
    **written: Any,
) -> list[Message]:
    """Puts new messages into a conversation and its outbox, in their order, and tells the screens;
    in the caller's transaction, after which `Sender.start` sends them.

    Args:
        conversation: the entity, read in this transaction.
        texts: what they say, by their ids, which are new.
        before: what the thread says above them.
        after: and below them.
        written: see `thread.append_outgoing`.
    """
    outbox = datastore.get(Outbox, conversation.id) or Outbox(id=conversation.id)
    now = realtime_events.now_ms()
    above = [append_notice(conversation, before, now)] if before else []
    messages = [
        append_outgoing(conversation, message_id, text, now, **written)
        for message_id, text in texts.items()
    ]
    below = [append_notice(conversation, after, now)] if after else []
    conversation.bump_version()
    outbox.queue.extend(texts)
    outbox.due_at = outbox.due_at or now
    stored = [*above, *messages, *below]
    datastore.put_many([conversation, *stored, outbox])
    for message in stored:
        realtime_events.tell("message.created", conversation, message)
    unread_state.publish_changed(conversation)
    return messages


def known(
    conversation: Conversation,
    client_id: str,
    *,
    text: str,
    reply_to: str | None = None,
    template: dict[str, Any] | None = None,
    attachment: Attachment | None = None,
) -> Message | None:
    """The message of this client_id, which is the very same; None if there is none.

    Raises:
        DifferentMessageError: it is another one.
    """
    found = datastore.get(Message, client_id)
    if found is None:
        return None
    here = found.conversation_id in (conversation.id, *conversation.absorbed)
    same = here and found.text == text and found.reply_to == reply_to
    if attachment is not None or found.media:
        same = same and attachment is not None and attachment.is_that_of(found)
    else:
        same = same and found.payload == template
    if not same or found.author_id is None:
        raise DifferentMessageError(client_id)
    return found


def look_out(conversation: Conversation, author_id: str, after: Message) -> None:
    """Raises `CollisionError` if somebody else has answered after what this attendant saw last."""
    other = answered_by_other(conversation, author_id, after)
    message = datastore.get(Message, other) if other else None
    if message is not None:
        raise CollisionError(message)


def take_over(conversation: Conversation, name: str) -> Line | None:
    """Who sends something from the screen has the chat; what the thread says of it."""
    now = realtime_events.now_ms()
    # Whoever sends has seen who has the chat now, though its time be by a clock ahead of ours.
    at = max(now, conversation.owner_at or 0)
    told = ownership.person_wrote(conversation, name, at, now)
    return line_by("attendant", name, told)

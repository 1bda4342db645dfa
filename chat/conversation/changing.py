"""What changes a message that is there already: reactions, edits, and taking it back.

Each change has its own time, and the newest of a kind holds, so they may come in any order and any
number of times. One that comes before its message waits under that message's wamid.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from google.cloud import ndb

import message_status
import realtime_events
from chat.conversation.models import Conversation, Message
from chat.conversation.serializers import REVOKED
from chat.conversation.thread import preview
from chat.platform import datastore

#: Kept of one message's older texts, and of changes waiting for one message.
MAX_VERSIONS = 20
MAX_WAITING = 50
#: WhatsApp tries to deliver a message for 30 days.
WAITING_DAYS = 30


@dataclass(frozen=True)
class Change:
    """A reaction, an edit or a revocation."""

    kind: str  # "reaction" | "edit" | "revoke"
    target: str  # the message's wamid
    who: str  # of several who may react
    name: str  # as shown
    at: int  # milliseconds
    text: str = ""  # an edit's new text, a reaction's emoji (empty takes it away)


class WaitingChanges(ndb.Model):
    """Changes of a message that is not there yet. Key name: its wamid."""

    changes = ndb.JsonProperty()
    #: When the sweep may look whether it has come; None: not any more.
    due_at = ndb.IntegerProperty()
    expires_at = ndb.IntegerProperty()


def apply(message: Message, change: Change) -> bool:
    """Changes a message; False when that changes nothing."""
    if change.kind == "reaction":
        known = (message.reactions or {}).get(change.who, {})
        if change.at < known.get("at", 0) or known.get("emoji", "") == change.text:
            return False
        new = {"emoji": change.text, "name": change.name, "at": change.at}
        message.reactions = {**(message.reactions or {}), change.who: new}
        return True
    if change.kind == "revoke":
        if message.revoked_at:
            return False
        message.revoked_at = change.at
        return True
    if change.at <= (message.edited_at or 0):
        # An older edit that comes late is one of the older versions.
        return False
    older = {"text": message.text or "", "at": message.edited_at or message.sent_at}
    if older["text"] == change.text:
        return False
    message.versions = [*(message.versions or []), older][-MAX_VERSIONS:]
    message.text, message.edited_at = change.text, change.at
    return True


def summarise(conversation: Conversation, message: Message) -> None:
    """What the list shows of its newest message, after a change of it."""
    if conversation.last_message_id == message.id:
        shown = REVOKED if message.revoked_at else preview(message.text or "", message.placeholder)
        conversation.last_text = shown


def wait(entity: WaitingChanges | None, change: Change, now_ms: int) -> WaitingChanges | None:
    """Keeps a change for a message that is not there; None when it is kept already."""
    entity = entity or WaitingChanges(id=change.target, changes=[])
    new = dataclasses.asdict(change)
    if new in entity.changes:
        return None
    entity.changes = [*entity.changes, new][-MAX_WAITING:]
    entity.due_at = now_ms + 60_000
    entity.expires_at = now_ms + WAITING_DAYS * 86_400_000
    return entity


def waited(entity: WaitingChanges | None) -> list[Change]:
    """The changes that have waited."""
    return [Change(**each) for each in entity.changes] if entity else []


def catch_up(message: Message) -> bool:
    """Applies what waited for a message of ours, now that its wamid is known; in a transaction,
    which this function tells of the change. True when there was something.
    """
    wamid = message_status.wamid_of(message)
    entity = datastore.get(WaitingChanges, wamid) if wamid else None
    if entity is None:
        return False
    changed = [apply(message, change) for change in waited(entity)]
    entity.key.delete()
    if any(changed):
        conversation = datastore.get(Conversation, message.conversation_id)
        while conversation is not None and conversation.merged_into:
            conversation = datastore.get(Conversation, conversation.merged_into)
        if conversation is not None:
            summarise(conversation, message)
            conversation.bump_version()
            ndb.put_multi([conversation, message])
            realtime_events.tell("message.updated", conversation, message)
    return True


def sweep(now_ms: int, limit: int = 100) -> int:
    """Applies changes whose message was found out of by another way, and drops the expired."""
    done = 0
    query = WaitingChanges.query(WaitingChanges.due_at <= now_ms).order(WaitingChanges.due_at)
    for key in query.fetch(limit, keys_only=True):
        owner = message_status.owners([key.id()]).get(key.id(), key.id())

        def attempt(key: ndb.Key = key, owner: str = owner) -> bool:
            message = datastore.get(Message, owner)
            if message is not None and catch_up(message):
                return True
            entity: WaitingChanges | None = datastore.get_many([key])[0]
            if entity is not None:
                recent = entity.expires_at - now_ms > (WAITING_DAYS - 1) * 86_400_000
                entity.due_at = now_ms + 600_000 if recent else None
                entity.put()
            return False

        done += realtime_events.transaction(attempt)
    expired = WaitingChanges.query(WaitingChanges.expires_at <= now_ms).fetch(500, keys_only=True)
    ndb.delete_multi(expired)
    return done

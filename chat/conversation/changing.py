"""What changes a message that is there already: reactions, edits, and taking it back.

Each change has its own time, and the newest of a kind holds, so they may come in any order and any
number of times. One that comes before its message waits under that message's wamid.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from google.cloud import ndb

import message_status
import realtime_events
from chat.conversation import quotes
from chat.conversation.blank import is_blank
from chat.conversation.incoming_message import EMPTY
from chat.conversation.models import Conversation, Message
from chat.conversation.thread import summarise
from chat.platform import datastore

#: Kept of one message's older texts; an entity holds 1 MiB, and an event 400 kB.
MAX_VERSIONS = 20
_VERSIONS_BYTES = 60_000
#: Kept of the changes that wait for one message.
MAX_WAITING = 50
_WAITING_BYTES = 500_000
#: Repeats of reactions of one person in one second are known by so many ids.
_MAX_IDS = 10
#: WhatsApp tries to deliver a message for 30 days.
WAITING_DAYS = 30
_DAY_MS = 86_400_000
#: The sweep looks again after as long as has been waited, within these.
_LOOK_AGAIN_MS = (60_000, _DAY_MS)


@dataclass(frozen=True)
class Change:
    """A reaction, an edit or a revocation."""

    kind: str  # "reaction" | "edit" | "revoke"
    id: str  # its own wamid, by which a repeat is known
    target: str  # the message's
    who: str  # of several who may react
    name: str  # as shown
    at: int  # milliseconds
    text: str = ""  # an edit's new text, a reaction's emoji (empty takes it away)


class WaitingChanges(ndb.Model):
    """Changes of a message that is not there yet. Key name: its wamid."""

    changes = ndb.JsonProperty()
    conversation_id = ndb.TextProperty()  # whose writer's they are
    since = ndb.IntegerProperty(indexed=False)
    #: When the sweep may look whether it has come.
    due_at = ndb.IntegerProperty()
    expires_at = ndb.IntegerProperty()


def apply(message: Message, change: Change) -> bool:
    """Changes a message; False when that changes nothing."""
    if change.kind == "reaction":
        return _react(message, change)
    if change.kind == "revoke":
        if message.revoked_at and message.revoked_at <= change.at:
            return False
        message.revoked_at = change.at
        return True
    return _edit(message, change)


def _react(message: Message, change: Change) -> bool:
    known = (message.reactions or {}).get(change.who, {})
    at, ids = known.get("at", 0), known.get("ids", [])
    if change.at < at or (change.at == at and change.id in ids):
        return False
    # One that is taken away is kept, too: it may have been given before, and come later.
    ids = [*(ids if change.at == at else []), change.id][-_MAX_IDS:]
    new = {"emoji": change.text, "name": change.name, "at": change.at, "ids": ids}
    message.reactions = {**(message.reactions or {}), change.who: new}
    return True


def _edit(message: Message, change: Change) -> bool:
    now = {"text": message.text or "", "at": message.edited_at or message.sent_at}
    new = {"text": change.text, "at": change.at}
    versions = message.versions or []
    if new == now or new in versions:
        return False
    if change.at < (message.edited_at or 0):
        versions = sorted([*versions, new], key=lambda each: int(each["at"]))
    else:
        versions = [*versions, now]
        message.text, message.edited_at = change.text, change.at
        # A photo is a photo without a caption, too; a text has nothing else.
        if message.placeholder in (None, EMPTY):
            message.placeholder = EMPTY if is_blank(change.text) else None
    message.versions = _newest(versions, MAX_VERSIONS, _VERSIONS_BYTES)
    return True


def wait(
    entity: WaitingChanges | None, change: Change, conversation: Conversation, now_ms: int
) -> WaitingChanges | None:
    """Keeps a change for a message that is not there; None when it is kept already."""
    entity = entity or WaitingChanges(id=change.target, changes=[], since=now_ms)
    new = dataclasses.asdict(change)
    if new in entity.changes:
        return None
    entity.changes = _newest([*entity.changes, new], MAX_WAITING, _WAITING_BYTES)
    entity.conversation_id = conversation.id
    entity.due_at = now_ms + _LOOK_AGAIN_MS[0]
    entity.expires_at = now_ms + WAITING_DAYS * _DAY_MS
    return entity


def waited(entity: WaitingChanges | None) -> list[Change]:
    """The changes that have waited."""
    return [Change(**each) for each in entity.changes] if entity else []


def catch_up(message: Message) -> bool:
    """Applies what waited for a message, now that it is there and its wamid is known; in a
    transaction, which this function tells of the change. True when there was something.
    """
    wamid = quotes.wamid_of(message)
    entity = datastore.get(WaitingChanges, wamid) if wamid else None
    if entity is None:
        return False
    changed = [apply(message, change) for change in waited(entity)]
    entity.key.delete()
    conversation = _conversation_of(message)
    if any(changed) and conversation is not None:
        summarise(conversation, message)
        conversation.bump_version()
        ndb.put_multi([conversation, message])
        realtime_events.tell("message.updated", conversation, message)
    return True


def sweep(now_ms: int, limit: int = 100) -> int:
    """Applies changes whose message has become known by another way, and drops the expired.

    Returns:
        of how many messages.
    """
    done = 0
    query = WaitingChanges.query(WaitingChanges.due_at <= now_ms).order(WaitingChanges.due_at)
    for key in query.fetch(limit, keys_only=True):

        def attempt(key: ndb.Key = key) -> bool:
            entity: WaitingChanges | None = datastore.get_many([key])[0]
            if entity is None:
                return False
            owner = message_status.owners([key.id()]).get(key.id(), key.id())
            message = datastore.get(Message, owner)
            if message is not None and catch_up(message):
                return True
            shortest, longest = _LOOK_AGAIN_MS
            age = now_ms - (entity.since or 0)
            entity.due_at = now_ms + max(shortest, min(age, longest))
            entity.put()
            return False

        done += realtime_events.transaction(attempt)
    expired = WaitingChanges.query(WaitingChanges.expires_at <= now_ms).fetch(500, keys_only=True)
    ndb.delete_multi(expired)
    return done


def _conversation_of(message: Message) -> Conversation | None:
    conversation = datastore.get(Conversation, message.conversation_id)
    while conversation is not None and conversation.merged_into:
        conversation = datastore.get(Conversation, conversation.merged_into)
    return conversation


def _newest(entries: list[dict], most: int, most_bytes: int) -> list[dict]:
    """The last of these, so many and so large at most."""
    kept = entries[-most:]
    while kept and len(json.dumps(kept)) > most_bytes:
        kept = kept[1:]
    return kept

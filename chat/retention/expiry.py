"""Deletes what is older than the business wants to keep: the oldest first, some at a time.

A chat whose last message is too old goes whole, as if an administrator had asked for it, with its
record: without a message it would be in no list, with its number and notes in the store for good.
Of any other chat the messages that are too old go, and the list goes on showing its last one.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict

from google.cloud import ndb

import realtime_events
from chat.conversation.models import LISTED, Conversation, Message
from chat.conversation.ordering import earliest
from chat.conversation.thread import summarise
from chat.people import forgotten, identity
from chat.platform import datastore
from chat.retention import deletion, files, records, steps
from chat.retention.settings import RetentionSettings

_log = logging.getLogger(__name__)

_DAY_MS = 86_400_000
#: Looked for again after so long, once there is nothing left.
_EVERY_MS = 3_600_000
#: WhatsApp delivers a message for so long, with the time of its writing.
_LATE_MS = 9 * _DAY_MS
#: Chats begun in one look.
_CHATS = 50
_PARKED = 300
_NAME = "all"


class RetentionProgress(ndb.Model):
    """When to look again for what is too old. Key name: `_NAME`."""

    due_at = ndb.IntegerProperty(indexed=False, default=0)
    files_until = ndb.TextProperty()  # the position down to which no file is kept any more


def run(settings: RetentionSettings, seconds: float) -> int:
    """Deletes some of what is too old, if it is time to look.

    Args:
        settings: how long what is kept.
        seconds: nothing new is begun after so long.

    Returns:
        how many messages were deleted, and files, and how many chats begun to be.
    """
    end, now = time.monotonic() + seconds, realtime_events.now_ms()
    progress = datastore.get(RetentionProgress, _NAME) or RetentionProgress(id=_NAME)
    if progress.due_at > now:
        return 0
    count = 0
    if settings.messages_days:
        before = earliest(now - settings.messages_days * _DAY_MS)
        count += _chats(before, end) + _messages(before, end)
    if settings.media_days:
        count += _files(progress, now - settings.media_days * _DAY_MS, now, end)
    _late_statuses(end)
    while forgotten.remove_expired(now) and time.monotonic() < end:
        pass
    if time.monotonic() < end:
        progress.due_at = now + _EVERY_MS
        progress.put()
    return count


def _chats(before: str, end: float) -> int:
    """Begins to delete the chats without a message since then; how many."""
    count = 0
    # Those in the list, the archived and the pinned ones: see `Conversation.list_key`.
    for rank, first in (("", LISTED), ("!", "!"), ("~", "~")):
        key = Conversation.sort_key
        query = Conversation.query(key >= first, key < f"{rank}{before}").order(key)
        while time.monotonic() < end:
            found = query.fetch(_CHATS, keys_only=True)
            begun = [
                deletion.begin(str(each.id()), records.BY_AGE, if_older_than=before)
                for each in found
            ]
            count += len([each for each in begun if each is not None])
            if len(found) < _CHATS or not any(begun):
                break
    return count


def _messages(before: str, end: float) -> int:
    """Deletes messages of chats that stay; how many."""
    count, last = 0, ""
    while time.monotonic() < end:
        query = Message.query(Message.position > last, Message.position < before)
        found = query.order(Message.position).fetch(steps.MESSAGES)
        chats: dict[str, list[Message]] = defaultdict(list)
        of = {each: identity.load_conversation(each) for each in {m.conversation_id for m in found}}
        for message in found:
            conversation = of[message.conversation_id]
            # Of one that goes whole, the deletion under way takes care.
            if conversation is not None and (conversation.last_position or "") >= before:
                chats[conversation.id].append(message)
        for conversation_id, theirs in chats.items():
            count += _delete(conversation_id, theirs)
        if len(found) < steps.MESSAGES:
            break
        last = found[-1].position
    if count:
        _log.info("%d messages were older than is kept", count)
    return count


def _delete(conversation_id: str, messages: list[Message]) -> int:
    """Deletes the oldest messages of a conversation and tells the screens."""
    batch, gone = steps.with_messages(messages), {each.id for each in messages}

    def attempt() -> int:
        conversation = identity.load_conversation(conversation_id)
        if conversation is None:
            return 0
        ndb.delete_multi(batch.delete)
        ndb.put_multi(batch.put)
        pins = conversation.pinned_messages or []
        conversation.pinned_messages = [each for each in pins if each["id"] not in gone]
        conversation.bump_version()
        conversation.put()
        id_ = conversation.id
        realtime_events.publish(
            "messages.removed",
            {"conversation_id": id_, "up_to": messages[-1].position},
            conversation_id=id_,
            version=conversation.version,
        )
        return batch.messages

    return int(realtime_events.transaction(attempt))


def _files(progress: RetentionProgress, before_ms: int, now: int, end: float) -> int:
    """Deletes the files of messages that are older; how many. Each message is looked at once, but
    those that may have come since.
    """
    before, count = earliest(before_ms), 0
    last = progress.files_until or ""
    if before_ms > now - _LATE_MS:
        last = min(last, earliest(before_ms - _LATE_MS))
    while time.monotonic() < end:
        query = Message.query(Message.position > last, Message.position < before)
        found = query.order(Message.position).fetch(steps.MESSAGES)
        kept = [each for each in found if files.is_kept(each)]
        files.delete(name for each in kept for name in files.names_of(each))
        for message in kept:
            count += _without_file(message.key)
        last = found[-1].position if found else last
        progress.files_until = max(last, progress.files_until or "")
        progress.put()
        if len(found) < steps.MESSAGES:
            break
    if count:
        _log.info("%d files were older than is kept", count)
    return count


def _without_file(key: ndb.Key) -> int:
    """Says in a message that its file was deleted, and tells the screens."""

    def attempt() -> int:
        message: Message | None = datastore.get_many([key])[0]
        conversation = identity.load_conversation(message.conversation_id) if message else None
        if message is None or conversation is None or not files.is_kept(message):
            return 0
        message.media = files.without_file(message.media)
        summarise(conversation, message)
        conversation.bump_version()
        datastore.put_many([conversation, message])
        realtime_events.tell("message.updated", conversation, message)
        return 1

    return int(realtime_events.transaction(attempt))


def _late_statuses(end: float) -> None:
    """Drops what WhatsApp has told since of messages that were deleted."""
    cursor, more = None, forgotten.any_marks()
    while more and time.monotonic() < end:
        query = steps.parked_query()
        found, cursor, more = query.fetch_page(_PARKED, start_cursor=cursor, keys_only=True)
        gone = forgotten.among(str(key.id()) for key in found)
        ndb.delete_multi([key for key in found if key.id() in gone])

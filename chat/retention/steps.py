"""What belongs to a customer, kind by kind: each function finds some of it, for one commit.

A kind of entity that can hold something of a customer must be among these: a test looks through all
that is stored after a deletion. What is found by an index is taken as long as there is any; kinds
without one (they are small, or hold a day) are looked through once, in the order of their keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import current_app
from google.cloud import ndb

import message_status
import realtime_events
from chat.auto_reply.usage import ClaudeCalls, ClaudeUsage
from chat.conversation import quotes
from chat.conversation.changing import WaitingChanges
from chat.conversation.models import Conversation, Message
from chat.incoming import parsing
from chat.incoming.deferred import DeferredUpdates, RejectedUpdate
from chat.media.fetching import DOWNLOAD_SECONDS, MediaFetch
from chat.outgoing.reactions import ReactionToSay
from chat.outgoing.sending import Outbox
from chat.people import forgotten, pins
from chat.people.identity import ContactAlias
from chat.people.notes import TeamNotes
from chat.platform import datastore
from chat.push.notices import PushNotice
from chat.retention import files
from chat.retention.plan import Plan
from chat.uploads.staging import Upload
from message_status import WamidLink
from realtime_events import RealtimeEvent

#: With all that goes with a message well under the store's 500 writes a commit.
MESSAGES = 60
_SMALL = 300
#: Of kinds whose entities may hold hundreds of kilobytes.
_LARGE = 20
#: Records of the event log that a page may still have to be told of are left for the second round.
_SLACK_MS = 60_000
#: A status that waits for longer is of no message that is being sent.
_CLAIMED_MS = 180_000


@dataclass
class Batch:
    """What one commit deletes and changes."""

    delete: list[ndb.Key] = field(default_factory=list)
    put: list[ndb.Model] = field(default_factory=list)
    messages: int = 0
    media: int = 0
    others: int = 0
    #: Runs in the commit, on what it reads there; how much it took away.
    change: Callable[[], int] | None = None
    #: Phone numbers found to have been this person's.
    numbers: list[str] = field(default_factory=list)
    #: Names of files that may still come into their store.
    late_files: list[str] = field(default_factory=list)
    cursor: str | None = None  # where the step goes on
    done: bool = False  # the step has nothing more


Step = Callable[[Plan], Batch]


def messages(plan: Plan) -> Batch:
    """Messages, with what stands beside each."""
    for each in plan.ids:
        found = Message.query(Message.conversation_id == each).fetch(MESSAGES)
        if found:
            return with_messages(found)
    return Batch(done=True)


def with_messages(found: list[Message]) -> Batch:
    """Deletes the files of these messages, and gives the batch that deletes the messages, and
    remembers that they are not to come back.

    Raises:
        chat.media.store.StoreError: a file cannot be deleted now.
    """
    files.delete(name for message in found for name in files.names_of(message))
    batch, now = Batch(messages=len(found)), realtime_events.now_ms()
    batch.media = len([each for each in found if files.is_kept(each)])
    for message in found:
        if files.is_pending(message):
            batch.late_files += sorted(files.names_to_come(message))
        wamid = quotes.wamid_of(message) or message_status.fact(message, "wamid")
        wamids = {wamid} if wamid else set()
        batch.delete += [message.key, ndb.Key(ReactionToSay, message.id)]
        batch.delete.append(ndb.Key(MediaFetch, message.id))
        for each in wamids:
            batch.delete += [ndb.Key(WaitingChanges, each), ndb.Key(WamidLink, each)]
        batch.put += forgotten.marks(wamids, message.sent_at or 0, now)
    return batch


def late_files(plan: Plan) -> Batch:
    """Files that were being fetched when their messages were deleted."""
    if plan.round > 1:
        files.delete(plan.late_files)
    return Batch(done=True)


def uploads(plan: Plan) -> Batch:
    """What attendants were about to send. Each stays noted, with nothing of whom it was for: its
    object may still come, and is deleted with it after a day.
    """
    found, batch = _scan(Upload, plan, _SMALL)
    ours = [each for each in found if each.conversation_id in plan.ids]
    files.delete(name for each in ours for name in (*each.objects, each.staged) if name is not None)

    def forget() -> int:
        for each in filter(None, datastore.get_many([each.key for each in ours])):
            each.conversation_id = each.filename = None
            each.put()
        return len(ours)

    batch.change = forget
    return batch


def belongings(plan: Plan) -> Batch:
    """What has the conversation's id for its name."""
    kinds = (Conversation, TeamNotes, Outbox, PushNotice)
    keys = [ndb.Key(kind, each) for kind in kinds for each in plan.ids]
    there = [each for each in datastore.get_many(keys) if each is not None]

    def unpin() -> int:
        for each in plan.ids:
            pins.unpin(Conversation(id=each))
        return 0

    return Batch([each.key for each in there], others=len(there), change=unpin, done=True)


def calls(plan: Plan) -> Batch:
    """Claude's calls, whose reasons are in words. What the days cost stays: it names nobody."""
    names = [
        str(key.id())
        for each in plan.ids
        for key in ClaudeUsage.query(ClaudeUsage.conversation_id == each).fetch(keys_only=True)
    ]
    left = sorted(name for name in names if name > (plan.cursor or ""))
    batch = Batch([ndb.Key(ClaudeCalls, name) for name in left[:_SMALL]])
    batch.cursor, batch.done = (left[:_SMALL] or [""])[-1], len(left) <= _SMALL
    return batch


def aliases(plan: Plan) -> Batch:
    """Numbers and BSUIDs that lead to the conversation, or once did."""
    found, batch = _scan(ContactAlias, plan, _SMALL)

    def is_ours(alias: ContactAlias) -> bool:
        holders = [alias.conversation_id, *(former[1] for former in alias.earlier or [])]
        return any(each in plan.ids for each in holders)

    ours = [each.key for each in found if is_ours(each)]
    names = [str(key.id()) for key in ours]
    batch.numbers = [name.removeprefix("phone:") for name in names if name.startswith("phone:")]
    batch.change = partial(_free_aliases, plan, ours)
    return batch


def _free_aliases(plan: Plan, keys: list[ndb.Key]) -> int:
    # Read again: the number may lead to a new conversation by now.
    known = [each for each in datastore.get_many(keys) if each is not None]
    for alias in known:
        alias.earlier = [each for each in alias.earlier or [] if each[1] not in plan.ids] or None
        if alias.conversation_id in plan.ids:
            alias.conversation_id = None
    empty = [each.key for each in known if not each.conversation_id and not each.earlier]
    ndb.delete_multi(empty)
    ndb.put_multi([each for each in known if each.key not in empty])
    return len(known)


def set_aside(plan: Plan) -> Batch:
    """Updates that were set aside."""
    found, batch = _scan(RejectedUpdate, plan, _LARGE)
    ours = [each for each in found if _is_old(plan, each) and plan.traces.are_in(each.raw)]
    batch.delete, batch.others = [each.key for each in ours], len(ours)
    return batch


def deferred(plan: Plan) -> Batch:
    """Updates that wait to be handled: these alone, of what waits with them."""
    found, batch = _scan(DeferredUpdates, plan, _LARGE)
    ours = [each.key for each in found if _is_old(plan, each) and plan.traces.are_in(each.body)]
    batch.change = partial(_take_out, plan, ours)
    return batch


def _take_out(plan: Plan, keys: list[ndb.Key]) -> int:
    count = 0
    for waiting in filter(None, datastore.get_many(keys)):
        if waiting.lease_until > realtime_events.now_ms():
            continue  # being handled: what becomes of it is a new conversation's
        changes = parsing.changes_of(json.loads(waiting.body))
        others = [each for each in changes if not plan.traces.are_in(json.dumps(each))]
        count += len(changes) - len(others)
        if others:
            waiting.body = json.dumps(parsing.envelope(others))
            waiting.put()
        else:
            waiting.key.delete()
    return count


def waiting(plan: Plan) -> Batch:
    """Reactions, edits and revocations whose messages never came."""
    found, batch = _scan(WaitingChanges, plan, _LARGE)

    def is_ours(each: WaitingChanges) -> bool:
        text = f"{each.key.id()} {json.dumps(each.changes)}"
        known = (each.since or 0) <= plan.asked_at and plan.traces.are_in(text)
        return each.conversation_id in plan.ids or known

    ours = [each.key for each in found if is_ours(each)]
    batch.delete, batch.others = ours, len(ours)
    return batch


def parked(plan: Plan) -> Batch:
    """Statuses whose messages are not known; of those in time."""
    start = plan.cursor and ndb.Cursor(urlsafe=plan.cursor)
    query = parked_query()
    found, cursor, more = query.fetch_page(_SMALL, start_cursor=start or None)

    # What a message of a new conversation waits for is claimed within moments of its sending.
    until = max(plan.asked_at, realtime_events.now_ms() - _CLAIMED_MS)

    def is_ours(link: WamidLink) -> bool:
        times = (message_status.fact(link, "times") or {}).values()
        is_old = min(times, default=0) <= until
        return link.message_id is None and is_old and plan.traces.are_in(str(link.key.id()))

    ours = [each.key for each in found if is_ours(each)]
    text = cursor.urlsafe().decode() if more and cursor else None
    return Batch(ours, others=len(ours), cursor=text, done=text is None)


def parked_query() -> ndb.Query:
    """The statuses that wait for their messages."""
    never = datetime.fromtimestamp(0, UTC)
    return WamidLink.query(WamidLink.expires_at > never).order(WamidLink.expires_at)


def events(plan: Plan) -> Batch:
    """The event log's records that speak of the conversation, once nobody has to be told of them:
    who resumes reads no older ones, so whatever else is in a record may go with it.
    """
    first = plan.cursor or plan.events_after
    before = ndb.Key(RealtimeEvent, f"{realtime_events.now_ms() - untold_ms():013d}")
    query = RealtimeEvent.query(RealtimeEvent._key < before).order(RealtimeEvent._key)
    if first:
        query = query.filter(RealtimeEvent._key > ndb.Key(RealtimeEvent, first))
    found = query.fetch(_LARGE * 2)
    ids = [each.encode() for each in plan.ids]
    ours = [
        record.key
        for record in found
        if any(each in block for block in record.blocks for each in ids)
    ]
    batch = Batch(ours, others=len(ours), done=len(found) < _LARGE * 2)
    batch.cursor = str(found[-1].key.id()) if found else first
    return batch


def pause_ms() -> int:
    """How long after the first round the second begins: whoever was at work is done."""
    return max(untold_ms(), int(DOWNLOAD_SECONDS * 1000) + _SLACK_MS)


def untold_ms() -> int:
    """How old a record of the event log is that no page reads any more."""
    defaults = realtime_events.DEFAULTS
    known = realtime_events.read_settings(current_app, "REALTIME_EVENTS", defaults)
    return int((known["REPLAY_SECONDS"] + known["OVERLAP_SECONDS"]) * 1000) + _SLACK_MS


#: In this order: numbers that are found lead to more.
STEPS: tuple[Step, ...] = (
    messages, late_files, uploads, belongings, calls, aliases, set_aside, deferred, waiting, parked,
    events,
)  # fmt: skip


def _scan(kind: Any, plan: Plan, count: int) -> tuple[list[Any], Batch]:
    """Some of a kind, in the order of their keys, and the batch that goes on behind them."""
    query = kind.query().order(kind._key)
    if plan.cursor:
        query = query.filter(kind._key > ndb.Key(kind, plan.cursor))
    found = list(query.fetch(count))
    cursor = str(found[-1].key.id()) if found else None
    return found, Batch(cursor=cursor, done=len(found) < count)


def _is_old(plan: Plan, update: Any) -> bool:
    """Whether it came before the deletion was asked for."""
    return (update.received_at or 0) <= plan.asked_at

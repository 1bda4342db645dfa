"""Deletes a customer's data: at once from the screens, then from the store, bit by bit.

One transaction takes the conversation away, so that no screen and no search finds it and what the
customer writes from then on begins a new one, and leaves the work that is to be done. Whoever holds
the work's lease does it, in commits that also say how far it has come: a process that is killed
leaves a lease that runs out, and the next one goes on where the last commit was.

It is done twice. Between the two rounds lies the time in which pages may still have to be told what
happened, and in which whoever was at work on the conversation when it went has come to an end.
"""

from __future__ import annotations

import logging
import secrets
import time
from functools import partial
from typing import Any

from google.cloud import ndb

import realtime_events
import unread_state
from chat.conversation.models import Conversation
from chat.outgoing.sending import Outbox
from chat.people import identity, pins
from chat.platform import datastore
from chat.retention import records, steps
from chat.retention.plan import Plan
from chat.retention.records import DataDeletion, DeletionWork
from chat.retention.steps import STEPS, Batch

_log = logging.getLogger(__name__)

ROUNDS = 2
#: Longer than one batch takes, media objects included.
LEASE_MS = 120_000
#: After a failure.
_AGAIN_MS = 60_000
#: Of these there are as many as come in the minute before; an entity holds 1 MiB.
_MOST_LATE_FILES = 5_000
#: What a run may spend on the store beyond its time, to finish a batch.
_STORE_SECONDS = 30.0
_RPC_SECONDS = 10.0


def begin(
    conversation_id: str, asked_by: str, *, if_older_than: str | None = None
) -> DataDeletion | None:
    """Takes a conversation off all screens, and has its customer's data deleted by `work_off`; a
    transaction of its own. Asked again, it changes nothing.

    Args:
        conversation_id: of any of the conversations that were merged into one; any text.
        asked_by: the administrator's user name, or `records.BY_AGE`.
        if_older_than: only if the conversation's last message has a position before this.

    Returns:
        the record; None where there is nothing to be deleted.
    """

    def attempt() -> DataDeletion | None:
        conversation = identity.load_conversation(conversation_id)
        if conversation is None:
            return records.of_conversation(conversation_id)
        if if_older_than is not None and (conversation.last_position or "") >= if_older_than:
            return None
        ids = [conversation.id, *conversation.absorbed]
        merged = datastore.get_many([ndb.Key(Conversation, each) for each in ids[1:]])
        numbers, others = records.person_of([conversation, *filter(None, merged)])
        now = realtime_events.now_ms()
        record = DataDeletion(
            id=conversation.id,
            asked_at=now,
            sort_key=f"{now:013d}-{conversation.id}",
            asked_by=asked_by,
            merged=len(conversation.absorbed),
            person=records.person_digests(numbers, others),
        )
        plan = Plan(ids, sorted(numbers), sorted(others), now)
        work = DeletionWork(id=conversation.id, plan=plan.to_json(), due_at=now)
        _tell(conversation)
        pins.unpin(conversation)
        keys = [ndb.Key(kind, each) for kind in (Conversation, Outbox) for each in ids]
        ndb.delete_multi(keys)
        ndb.put_multi([record, work])
        return record

    record = realtime_events.transaction(attempt)
    if record is not None:
        by = asked_by or "its age"
        _log.info("conversation %s: data deletion, by %s", record.conversation_id, by)
    return record


def _tell(conversation: Conversation) -> None:
    """Tells the screens that there is no such conversation any more, and counts it nowhere."""
    conversation.muted = True
    conversation.bump_version()
    unread_state.publish_changed(conversation)
    id_ = conversation.id
    realtime_events.publish(
        "conversation.removed",
        {"conversation_id": id_},
        conversation_id=id_,
        version=conversation.version,
    )


def work_off(seconds: float) -> int:
    """Goes on with the deletions that are due, the longest due first.

    Args:
        seconds: no batch is begun after so long.

    Returns:
        how many batches were committed.
    """
    end, count = time.monotonic() + seconds, 0
    datastore.allow(seconds + _STORE_SECONDS, _RPC_SECONDS)
    while time.monotonic() < end:
        query = DeletionWork.query(DeletionWork.due_at <= realtime_events.now_ms())
        keys = query.order(DeletionWork.due_at).fetch(1, keys_only=True)
        if not keys:
            break
        count += go_on(str(keys[0].id()), end)
    return count


def go_on(conversation_id: str, end: float) -> int:
    """Goes on with one deletion, unless somebody else does.

    Args:
        conversation_id: the record's.
        end: by `time.monotonic()`: no batch is begun after it.

    Returns:
        how many batches were committed.
    """
    holder = secrets.token_hex(8)
    work = realtime_events.transaction(partial(_claim, conversation_id, holder))
    count = 0
    while work is not None and time.monotonic() < end:
        plan = Plan.from_json(work.plan)
        try:
            batch = STEPS[plan.step](plan)
        except Exception as error:  # noqa: BLE001 - the other deletions are to go on
            kind = type(error).__name__
            _log.error(
                "deletion %s: %s waits: %s", conversation_id, STEPS[plan.step].__name__, kind
            )
            realtime_events.transaction(partial(_put_off, conversation_id, holder, _AGAIN_MS))
            return count
        commit = partial(_commit, conversation_id, holder, work.batches, batch)
        work = realtime_events.transaction(commit)
        count += 1
    if work is not None:
        realtime_events.transaction(partial(_put_off, conversation_id, holder, 0))
    return count


def _claim(conversation_id: str, holder: str) -> DeletionWork | None:
    work, now = datastore.get(DeletionWork, conversation_id), realtime_events.now_ms()
    if work is None or work.due_at > now:
        return None
    work.holder, work.due_at = holder, now + LEASE_MS
    work.put()
    return work


def _put_off(conversation_id: str, holder: str, milliseconds: int) -> None:
    """Gives the lease back: anybody may go on after so long."""
    work = datastore.get(DeletionWork, conversation_id)
    if work is not None and work.holder == holder:
        work.holder, work.due_at = None, realtime_events.now_ms() + milliseconds
        work.put()


def _commit(conversation_id: str, holder: str, batches: int, batch: Batch) -> DeletionWork | None:
    """Does what a batch says, once, and notes how far that comes.

    Args:
        batches: how many there were before this.

    Returns:
        the work to go on with; None where there is none for us (any more, or for now).
    """
    keys = [ndb.Key(DeletionWork, conversation_id), ndb.Key(DataDeletion, conversation_id)]
    work, record = datastore.get_many(keys)
    if work is None or record is None or work.holder != holder:
        return None
    if work.batches > batches:
        return work  # this very commit, of which the news was lost
    ndb.delete_multi(batch.delete)
    ndb.put_multi(batch.put)
    record.messages += batch.messages
    record.media += batch.media
    record.others += batch.others + (batch.change() if batch.change else 0)
    plan, now = Plan.from_json(work.plan), realtime_events.now_ms()
    found = sorted({*plan.numbers, *batch.numbers})
    if found != plan.numbers:
        plan.numbers = found
        record.person = sorted({*record.person, *records.person_digests(found)})
    plan.late_files = [*plan.late_files, *batch.late_files][:_MOST_LATE_FILES]
    work.batches += 1
    _step_on(plan, batch)
    if plan.round > ROUNDS:
        record.done_at = now
        work.key.delete()
        record.put()
        _log.info(
            "conversation %s: data deleted: %d messages, %d media, %d others",
            conversation_id, record.messages, record.media, record.others,
        )  # fmt: skip
        return None
    begins = plan.step == 0 and plan.cursor is None and batch.done
    work.plan = plan.to_json()
    work.due_at = now + (steps.pause_ms() if begins else LEASE_MS)
    work.holder = None if begins else holder
    ndb.put_multi([work, record])
    return None if begins else work


def _step_on(plan: Plan, batch: Batch) -> None:
    """Where the plan goes on after a batch."""
    if not batch.done:
        plan.cursor = batch.cursor
        return
    if STEPS[plan.step] is steps.events:
        plan.events_after = batch.cursor
    plan.step, plan.cursor = plan.step + 1, None
    if plan.step == len(STEPS):
        plan.round, plan.step = plan.round + 1, 0


def under_way(found: list[DataDeletion]) -> dict[str, Any]:
    """The work of those of these records that are not done, by their ids."""
    open_ones = [each.conversation_id for each in found if each.done_at is None]
    works = datastore.get_many([ndb.Key(DeletionWork, each) for each in open_ones])
    return {each.key.id(): each for each in works if each is not None}

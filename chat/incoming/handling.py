"""Puts the updates of a webhook call into their conversations.

One transaction stores all of one customer's messages of a call, keyed by their wamids, so that a
repeat stores nothing; whatever is wrong with one update concerns that one only.
"""

from __future__ import annotations

import dataclasses
import logging
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.api_core import exceptions as api_exceptions
from google.cloud import ndb

import message_status
import realtime_events
from chat.auto_reply import policy, service
from chat.conversation import changing, phones, quotes
from chat.conversation.changing import Change, WaitingChanges
from chat.conversation.incoming_message import IncomingMessage
from chat.conversation.models import Conversation, Message
from chat.conversation.thread import (
    Quote,
    append_incoming,
    append_notice,
    author_name,
    summarise,
)
from chat.incoming import parsing
from chat.incoming.parsing import Batch, Rejected
from chat.media.fetching import fetch_of
from chat.outgoing import failed_answers, reactions
from chat.people import forgotten, identity
from chat.people.identity import ContactAlias
from chat.platform import datastore
from chat.platform.log_names import log_name

_log = logging.getLogger(__name__)

#: Messages of one customer, or statuses, in one transaction: well under the store's 500 writes and
#: 10 MiB.
CHUNK = 100


@dataclass
class Outcome:
    """What is not in its thread after a call was handled."""

    #: Cannot be stored as it is.
    rejected: list[Rejected] = dataclasses.field(default_factory=list)
    #: Not stored in time: changes of a webhook call, for `parsing.parse`.
    late: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    #: In which conversations Claude is asked, and when it may answer, for `queue.wake`.
    asked: dict[str, int] = dataclasses.field(default_factory=dict)
    #: Messages whose file is to be fetched, for `media.service.wake`.
    files: list[str] = dataclasses.field(default_factory=list)


def handle(batch: Batch, received_ms: int, deadline: float | None = None) -> Outcome:
    """Stores all updates of a call, except for those in the outcome, which the caller keeps.

    Args:
        batch: what the call brought.
        received_ms: when it came, milliseconds since 1970.
        deadline: by `time.monotonic()`; what is not begun then is late. None: no limit.

    Raises:
        one of `datastore.ERRORS`: not everything is safe; the same call may come again.
    """
    if batch.error_codes:
        _log.warning("WhatsApp reports errors: %s", batch.error_codes[:20])
    for number, count in batch.foreign.items():
        _log.warning("%d updates are for another number: %s", count, number)
    outcome = Outcome(rejected=list(batch.rejected))
    quoted = _quotes(batch.messages)
    late: list[IncomingMessage] = []
    for group in group_by_sender(batch.messages):
        for start in range(0, len(group), CHUNK):
            chunk = group[start : start + CHUNK]
            if late or (deadline is not None and time.monotonic() > deadline):
                late += chunk
                continue
            late += _store_chunk(chunk, received_ms, quoted, outcome)
    outcome.late = [message.raw for message in late]
    for start in range(0, len(batch.statuses), CHUNK):
        statuses = batch.statuses[start : start + CHUNK]
        if deadline is not None and time.monotonic() > deadline:
            outcome.late += parsing.status_changes(statuses)
        else:
            _record_statuses(statuses, received_ms, outcome)
    return outcome


def _record_statuses(statuses: list[Any], received_ms: int, outcome: Outcome) -> None:
    try:
        statuses = reactions.told_by(statuses)
        unusable = message_status.record_statuses(statuses, received_ms=received_ms)
    except api_exceptions.Aborted:  # others kept changing the same messages
        outcome.late += parsing.status_changes(statuses)
        return
    failed_answers.told_by(statuses)
    for bad in unusable:
        alone = parsing.envelope(parsing.status_changes([bad.raw]))
        outcome.rejected.append(Rejected(bad.field, bad.reason, bad.raw, alone))


def group_by_sender(messages: Iterable[IncomingMessage]) -> list[list[IncomingMessage]]:
    """Messages that share a number or BSUID, directly or through another message; by time.

    Repeats within the call are left out.
    """
    distinct: dict[str, IncomingMessage] = {}
    for message in messages:
        distinct.setdefault(message.wamid, message)
    leads: dict[str, str] = {}  # from an alias to another of the same group

    def first(name: str) -> str:
        while (above := leads.setdefault(name, name)) != name:
            leads[name] = leads[above]
            name = above
        return name

    for message in distinct.values():
        names = identity.alias_names(message)
        for name in names[1:]:
            leads[first(name)] = first(names[0])
    groups: dict[str, list[IncomingMessage]] = {}
    for message in distinct.values():
        groups.setdefault(first(identity.alias_names(message)[0]), []).append(message)
    return [sorted(each, key=lambda one: (one.sent_ms, one.place)) for each in groups.values()]


def handle_incoming_message(
    people: identity.People,
    message: IncomingMessage,
    received_ms: int,
    quote: Quote | None = None,
    waited: Iterable[Change] = (),
) -> Message | None:
    """Puts one message into its sender's conversation and tells the screens; in a transaction.

    Args:
        people: who is who, of this transaction.
        message: not stored before.
        received_ms: when it came.
        quote: the message it answers, where that is known.
        waited: changes of it that came before it.

    Returns:
        the entity to be written, or None where the update is no bubble.
    """
    conversation = people.of(message)
    if not message.stored:
        return None
    people.touch(conversation)
    known_as = conversation.name
    entity = append_incoming(conversation, message, received_ms, quote)
    for change in waited:
        changing.apply(entity, change)
    summarise(conversation, entity)
    now = realtime_events.now_ms()
    line = policy.message_came(conversation, message, entity, service.settings(), now)
    realtime_events.tell("message.created", conversation, entity)
    if line is not None:
        notice = append_notice(conversation, line, now)
        notice.put()
        realtime_events.tell("message.created", conversation, notice)
    if known_as and conversation.name != known_as:
        identity.publish_conversation(conversation)
    return entity


def _store_chunk(
    chunk: list[IncomingMessage],
    received_ms: int,
    quoted: Mapping[str, Quote],
    outcome: Outcome,
) -> list[IncomingMessage]:
    """Stores some messages of one sender.

    Returns:
        those to be tried again later, because others kept changing the same conversation.
    """
    try:
        asked, files = _store_together(chunk, received_ms, quoted)
        outcome.asked |= asked
        outcome.files += files
    except api_exceptions.Aborted:
        return chunk
    except datastore.REFUSALS as error:
        return _store_singly(chunk, received_ms, quoted, outcome, error)
    except datastore.ERRORS:
        raise
    except Exception as error:  # noqa: BLE001 - a bad item must not cost its neighbours
        return _store_singly(chunk, received_ms, quoted, outcome, error)
    return []


def _store_singly(
    chunk: list[IncomingMessage],
    received_ms: int,
    quoted: Mapping[str, Quote],
    outcome: Outcome,
    error: Exception,
) -> list[IncomingMessage]:
    """Stores what can be stored one by one; the rest is rejected."""
    if len(chunk) == 1:
        message = chunk[0]
        # The places, but not the error's own text, which may quote the customer's.
        places = "".join(traceback.format_tb(error.__traceback__))
        name = log_name(message.wamid)
        _log.error("cannot store message %s: %s\n%s", name, type(error).__name__, places)
        reason = f"cannot be stored: {type(error).__name__}"
        alone = parsing.envelope([message.raw])
        outcome.rejected.append(Rejected("messages", reason, message.raw, alone))
        return []
    late = []
    for message in chunk:
        late += _store_chunk([message], received_ms, quoted, outcome)
    return late


def _store_together(
    chunk: list[IncomingMessage], received_ms: int, quoted: Mapping[str, Quote]
) -> tuple[dict[str, int], list[str]]:
    """Stores these in one transaction; what of `Outcome` comes of them."""
    bubbles = [message for message in chunk if message.target is None]
    changes = [message for message in chunk if message.target is not None]
    names = list(dict.fromkeys(name for m in chunk for name in identity.alias_names(m)))
    wamids = [message.wamid for message in bubbles]
    keys = [ndb.Key(Message, wamid) for wamid in wamids]
    keys += [ndb.Key(WaitingChanges, wamid) for wamid in wamids]
    keys += [ndb.Key(ContactAlias, name) for name in names]
    echoes = [message.wamid for message in bubbles if message.outgoing]

    def attempt() -> tuple[dict[str, int], list[str]]:
        found = datastore.get_many(keys)
        stored, waiting = found[: len(wamids)], found[len(wamids) : 2 * len(wamids)]
        # What we have sent ourselves is there already, under an id of our own.
        ours = message_status.owners(echoes) if echoes else {}
        there = {wamid for wamid, entity in zip(wamids, stored, strict=True) if entity} | set(ours)
        new = [message for message in bubbles if message.wamid not in there]
        if not new and not changes:
            return {}, []
        people = identity.People(names, found[2 * len(wamids) :])
        gone = _forgotten(people, new)
        new = [message for message in new if message.wamid not in gone]
        entities: dict[str, Message] = {}
        waits = {key.id(): key for key in keys[len(wamids) : 2 * len(wamids)]}
        early = dict(zip(wamids, waiting, strict=True))
        for message in new:
            quote = quoted.get(message.reply_to or "")
            waited = changing.waited(early[message.wamid])
            entity = handle_incoming_message(people, message, received_ms, quote, waited)
            if entity is not None:
                entities[message.wamid] = entity
        fetches = [fetch_of(entity, received_ms) for entity in entities.values()]
        files = [fetch for fetch in fetches if fetch is not None]
        ndb.put_multi([*entities.values(), *files])
        ndb.delete_multi([waits[wamid] for wamid in entities if early[wamid]])
        for message in new:
            if message.outgoing and message.wamid in entities:
                # Its delivery statuses find it by this.
                message_status.record_outcome(message.wamid, wamid=message.wamid)
        _apply_changes(people, changes, entities, received_ms)
        people.save()
        people.tell_numbers()
        asked = {each.id: each.reply_due_at for each in people.touched() if each.reply_due_at}
        return asked, [str(file.key.id()) for file in files]

    return realtime_events.transaction(attempt)


def _forgotten(people: identity.People, messages: Iterable[IncomingMessage]) -> set[str]:
    """The wamids of those of these messages that repeat what was deleted. Only what is older than
    its sender's conversation can: the one before was deleted with it.
    """
    doubtful = []
    for message in messages:
        known = people.known(message)
        if known is None or message.sent_ms <= (known.created_at or 0):
            doubtful.append(message.wamid)
    return forgotten.among(doubtful)


def _apply_changes(
    people: identity.People,
    changes: list[IncomingMessage],
    entities: dict[str, Message],
    received_ms: int,
) -> None:
    """Reactions, edits and revocations: to their messages, or kept until these come."""
    if not changes:
        return
    targets = sorted({message.target for message in changes if message.target} - set(entities))
    ours = message_status.owners(targets)
    stored = datastore.get_many([ndb.Key(Message, ours.get(name, name)) for name in targets])
    waiting = datastore.get_many([ndb.Key(WaitingChanges, name) for name in targets])
    found = {**dict(zip(targets, stored, strict=True)), **entities}
    gone = forgotten.among(name for name in targets if found[name] is None)
    changes = [message for message in changes if message.target not in gone]
    waits = dict(zip(targets, waiting, strict=True))
    for message in changes:
        target = found.get(message.target or "")
        conversation = _conversation_of_change(people, message, target)
        if message.opens_window and message.sent_ms > (conversation.last_incoming_at or 0):
            people.touch(conversation)
            conversation.last_incoming_at = message.sent_ms
        change = Change(
            kind=message.type,
            id=message.wamid,
            target=message.target or "",
            who=_who(message),
            name=author_name(conversation, message),
            at=message.sent_ms,
            text=message.emoji if message.type == "reaction" else message.text,
        )
        if target is None:
            entity = changing.wait(waits.get(change.target), change, conversation, received_ms)
            if entity is not None:
                waits[change.target] = entity
                entity.put()
        elif people.conversation(target.conversation_id) is not conversation:
            _log.warning("a %s speaks of a message of another conversation", change.kind)
        elif changing.apply(target, change):
            people.touch(conversation)
            summarise(conversation, target)
            target.put()
            realtime_events.tell("message.updated", conversation, target)


def _conversation_of_change(
    people: identity.People, message: IncomingMessage, target: Message | None
) -> Conversation:
    """Its sender's, which is that of the message it speaks of: nobody else can have changed it. So
    it tells whose a BSUID is that came alone so far, unless it contradicts what is known.
    """
    home = people.conversation(target.conversation_id) if target else None
    known = people.known(message)
    if home is None or home is known or home.group_id or message.group_id:
        return people.of(message)
    if _differ(home, message) or (known is not None and _differ(home, known)):
        return people.of(message)
    return people.learn(home if known is None else people.merge(home, known), message)


def _differ(one: Conversation, other: Conversation | IncomingMessage) -> bool:
    """Whether two are known to be with different people."""
    pairs = [(one.bsuid, other.bsuid)]
    if one.phone and other.phone:
        pairs.append((phones.canonical(one.phone), phones.canonical(other.phone)))
    same = [first == second for first, second in pairs if first and second]
    return bool(same) and not any(same)


def _who(message: IncomingMessage) -> str:
    """Whose reaction it is: each has one."""
    if message.outgoing:
        return message.author_kind
    if message.group_id is None:
        return "customer"
    return message.bsuid or (phones.canonical(message.phone) if message.phone else "?")


def _quotes(messages: list[IncomingMessage]) -> dict[str, Quote]:
    """The messages that these answer, stored ones and those of the same call, by wamid."""
    wanted = {message.reply_to for message in messages if message.reply_to}
    found = quotes.find(wanted)
    for message in messages:
        if message.wamid in wanted and message.wamid not in found:
            found[message.wamid] = quotes.of_incoming(message)
    return found

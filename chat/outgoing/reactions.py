"""The business's reactions to messages: one a message, whoever of the team gives it.

It is stored and told first, then said to WhatsApp; a refusal takes it back, also one that comes
later by callback. Unlike a message it can be said again without harm. So one whose outcome nobody
knows is said again by the sweep; and of two given at the same time, whoever hears WhatsApp's
answer says what is stored by then, until that was said.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.cloud import ndb

import realtime_events
from chat.conversation import quotes
from chat.conversation.incoming_message import NOT_WRITTEN
from chat.conversation.models import OUTGOING, Conversation, Message
from chat.conversation.serializers import OURS, WINDOW_MS
from chat.conversation.thread import summarise
from chat.outgoing.sending import CALL_SECONDS
from chat.outgoing.whatsapp import (
    RefusedError,
    UnconfirmedError,
    UnreachableError,
    WhatsAppClient,
)
from chat.people import identity
from chat.people.identity import UnknownConversationError
from chat.platform import datastore
from chat.platform.log_names import log_name
from message_status import FAILED, UNREACHABLE

_log = logging.getLogger(__name__)

#: Meta's: it takes no reaction to an older message.
MOST_DAYS = 30
#: Requests that wait for the Graph API at the same time: one that hangs must not take all threads.
MAX_WAITING = 4
#: For one of these places a request waits so long.
_QUEUE_SECONDS = 5.0
#: Reactions to one message that overtake each other; the sweep says the last of more.
_ROUNDS = 3
#: A reaction that was stored is looked at by the sweep after the longest call, then ever again.
_LOOK_MS = 60_000
#: So long the sweep says it again.
_GIVE_UP_MS = 15 * 60_000
_SWEEP_LIMIT = 20
_STORE_SECONDS = 20.0
#: Meta's limit for what comes back in each status.
_CALLBACK_CHARS = 512
_MARK = "reaction:"


class ReactionToSay(ndb.Model):
    """A reaction that WhatsApp has not been told, as far as anybody knows. Key name: the message's
    id."""

    since = ndb.IntegerProperty(indexed=False)
    due_at = ndb.IntegerProperty()


class CannotReactError(Exception):
    """No reaction to this message; `reason`: "not_found", "revoked", "not_sent", "too_old",
    "window_closed", "group" or "busy".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotTakenError(Exception):
    """WhatsApp did not take it, and it was taken back. `code`: Meta's, or `UNREACHABLE`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class _Said:
    """What WhatsApp is to be told."""

    id: str
    emoji: str
    wamid: str
    phone: str | None
    bsuid: str | None


class Reactions:
    """Gives reactions; one for the application."""

    def __init__(self, whatsapp: WhatsAppClient) -> None:
        self._whatsapp = whatsapp
        self._slots = threading.BoundedSemaphore(MAX_WAITING)

    def react(
        self,
        conversation_id: str,
        message_id: str,
        reaction_id: str,
        emoji: str,
        *,
        author_id: str,
        author_name: str,
    ) -> Message:
        """Sets the business's reaction to a message, tells the screens, then WhatsApp.

        Args:
            conversation_id: where the message is.
            message_id: its id.
            reaction_id: the browser's for this reaction; the same again changes nothing.
            emoji: empty takes the reaction away.
            author_id: the attendant's user name.
            author_name: as shown.

        Returns:
            the message as it is now.

        Raises:
            UnknownConversationError: no such conversation.
            CannotReactError: the message is none that can have one now.
            NotTakenError: WhatsApp said no, or could not be reached.
        """
        if not self._slots.acquire(timeout=_QUEUE_SECONDS):
            raise CannotReactError("busy")
        try:
            new = {"emoji": emoji, "name": author_name, "by": author_id, "ids": [reaction_id]}
            store = partial(_store, conversation_id, message_id, new)
            message: Message = realtime_events.transaction(store)
            self._say(message.id)
        finally:
            self._slots.release()
        now = datastore.get(Message, message.id) or message
        failed = _ours(now).get("failed")
        if failed and failed["id"] == reaction_id:
            raise NotTakenError(failed["code"])
        return now

    def sweep(self, seconds: float) -> int:
        """Says what lost processes and unknown outcomes left behind.

        Args:
            seconds: none is begun after so long.

        Returns:
            of how many it was said, or tried.
        """
        end, done = time.monotonic() + seconds, 0
        now = realtime_events.now_ms()
        query = ReactionToSay.query(ReactionToSay.due_at <= now).order(ReactionToSay.due_at)
        for key in query.fetch(_SWEEP_LIMIT, keys_only=True):
            if time.monotonic() > end:
                break
            message_id = str(key.id())
            if not realtime_events.transaction(partial(_claim, message_id, now)):
                continue  # another sweep is at it
            done += 1
            try:
                self._say(message_id, again=True)
            except Exception as error:  # noqa: BLE001 - the others are to be said
                kind = type(error).__name__
                _log.error("reaction to message %s waits: %s", log_name(message_id), kind)
        return done

    def _say(self, message_id: str, *, again: bool = False) -> None:
        """Tells WhatsApp what is stored, until it is what was told."""
        for overtaken in range(_ROUNDS):
            datastore.allow(CALL_SECONDS + _STORE_SECONDS, datastore.RPC_SECONDS)
            # Said already, perhaps, but before ours reached WhatsApp.
            said = _to_say(message_id, anyway=overtaken > 0)
            if said is None:
                return
            outcome = self._call(message_id, said)
            settle = partial(_settle, message_id, said.id, outcome, again=again)
            if realtime_events.transaction(settle):
                return

    def _call(self, message_id: str, said: _Said) -> Exception | None:
        data = f"{_MARK}{said.id}:{message_id}"
        try:
            self._whatsapp.send_reaction(
                said.emoji,
                wamid=said.wamid,
                phone=said.phone,
                bsuid=said.bsuid,
                callback_data=data if len(data) <= _CALLBACK_CHARS else _MARK,
            )
        except (RefusedError, UnreachableError, UnconfirmedError) as error:
            _log.warning("reaction to message %s: %s", log_name(message_id), type(error).__name__)
            return error
        return None


def told_by(statuses: Iterable[Any]) -> list[Any]:
    """Takes the callbacks that speak of reactions out of a webhook call's. Reactions only ever get
    `sent`, of which nothing is shown; one that failed is taken back.

    Returns:
        those of messages.
    """
    others = []
    for status in statuses:
        data = status.get("biz_opaque_callback_data") if isinstance(status, dict) else None
        if not isinstance(data, str) or not data.startswith(_MARK):
            others.append(status)
            continue
        reaction_id, _, message_id = data.removeprefix(_MARK).partition(":")
        if status.get("status") == FAILED and datastore.is_key_name(message_id):
            take = partial(_take_back, message_id, reaction_id, _code_of(status))
            realtime_events.transaction(take)
    return others


def _code_of(status: dict[str, Any]) -> str:
    errors = status.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return "?" if code in (None, "") else str(code)[:20]


def _ours(message: Message | None) -> dict[str, Any]:
    known: dict[str, Any] = ((message.reactions if message else None) or {}).get(OURS, {})
    return known


def _store(conversation_id: str, message_id: str, new: dict[str, Any]) -> Message:
    conversation = identity.load_conversation(conversation_id)
    if conversation is None:
        raise UnknownConversationError(conversation_id)
    message = identity.message_of(conversation, message_id)
    if message is None:
        raise CannotReactError("not_found")
    known, now = _ours(message), realtime_events.now_ms()
    if new["ids"][0] in known.get("ids", ()):
        return message  # asked again: the first answer was lost
    if reason := _why_not(conversation, message, now):
        raise CannotReactError(reason)
    # What the message has again if WhatsApp does not take this one.
    was = {name: known[name] for name in ("emoji", "name", "by", "ids") if name in known}
    # Of two the later one holds: also where the business's phone is ahead of our clock.
    _put(conversation, message, {**new, "at": max(now, known.get("at", 0) + 1), "was": was})
    ReactionToSay(id=message.id, since=now, due_at=now + _LOOK_MS).put()
    return message


def _why_not(conversation: Conversation, message: Message, now: int) -> str | None:
    if message.type in NOT_WRITTEN:
        return "not_found"
    if message.revoked_at:
        return "revoked"
    refused = message.direction == OUTGOING and message.status == FAILED
    if refused or quotes.wamid_of(message) is None:
        return "not_sent"
    if conversation.group_id:
        return "group"
    if message.sent_at < now - MOST_DAYS * 86_400_000:
        return "too_old"
    if (conversation.last_incoming_at or 0) + WINDOW_MS <= now:
        return "window_closed"
    return None


def _put(conversation: Conversation, message: Message, ours: dict[str, Any]) -> None:
    """Stores what the business's reaction is now and tells the screens."""
    message.reactions = {**(message.reactions or {}), OURS: ours}
    summarise(conversation, message)
    conversation.bump_version()
    datastore.put_many([conversation, message])
    realtime_events.tell("message.updated", conversation, message)


def _to_say(message_id: str, *, anyway: bool) -> _Said | None:
    message = datastore.get(Message, message_id)
    ours, wamid = _ours(message), quotes.wamid_of(message) if message else None
    conversation = identity.load_conversation(message.conversation_id) if message else None
    wanted = anyway or datastore.get(ReactionToSay, message_id) is not None
    if not wanted or conversation is None or wamid is None or not ours.get("ids"):
        return None
    return _Said(ours["ids"][-1], ours["emoji"], wamid, conversation.phone, conversation.bsuid)


def _claim(message_id: str, now: int) -> bool:
    """Whether it is still due; the next sweep leaves it to this one for a while."""
    pending = datastore.get(ReactionToSay, message_id)
    if pending is None or pending.due_at > now:
        return False
    pending.due_at = now + _LOOK_MS
    pending.put()
    return True


def _settle(message_id: str, reaction_id: str, outcome: Exception | None, *, again: bool) -> bool:
    """Records what came of telling WhatsApp; False where another reaction is to be told by now."""
    pending = datastore.get(ReactionToSay, message_id)
    ours = _ours(datastore.get(Message, message_id))
    is_current = reaction_id in ours.get("ids", ())[-1:]
    if isinstance(outcome, RefusedError):
        _take_back(message_id, reaction_id, str(outcome.error["code"]))
    now = realtime_events.now_ms()
    waits = pending is not None and now - (pending.since or 0) < _GIVE_UP_MS
    unclear = isinstance(outcome, UnconfirmedError)
    if isinstance(outcome, UnreachableError) and is_current:
        if again and waits:
            unclear = True
        else:
            _take_back(message_id, reaction_id, UNREACHABLE)
    if not is_current:
        return False
    if pending is not None and unclear and waits:
        pending.due_at = now + _LOOK_MS
        pending.put()
    elif pending is not None:
        pending.key.delete()
    return True


def _take_back(message_id: str, reaction_id: str, code: str) -> None:
    """WhatsApp has not got this reaction: the message has again what it had before."""
    message = datastore.get(Message, message_id)
    conversation = identity.load_conversation(message.conversation_id) if message else None
    ours = _ours(message)
    if message is None or conversation is None:
        return
    was = ours.get("was") or {}
    if ours.get("failed", {}).get("id") == reaction_id:
        return  # told again
    if ours.get("ids", [None])[-1] == reaction_id:
        before = {"emoji": was.get("emoji", ""), "name": was.get("name", "")}
        failed = {"id": reaction_id, "code": code}
        ids = [*was.get("ids", []), reaction_id][-2:]
        back = {"by": was.get("by"), "at": ours["at"], "ids": ids}
        _put(conversation, message, {**before, **back, "failed": failed})
    elif reaction_id in was.get("ids", ()):
        # Another one has taken its place: there is nothing to go back to.
        _put(conversation, message, {**ours, "was": {}})

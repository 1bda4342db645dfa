"""From an attendant's message to WhatsApp: queued with the message, sent in order, once.

The transaction that stores a message puts it into its conversation's outbox: see `queueing`.
Whoever holds the outbox's lease sends its messages one after the other. `started_at` is committed
before the Graph API is called: a message without it was certainly not sent, and one that has it
when its holder is gone may have been. The first is sent again, the second never is. A message's
file is given to WhatsApp before that: see `attachments.messages`.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask, current_app

import message_status
import realtime_events
import unread_state
from chat.conversation import changing, phones, quotes
from chat.conversation.attached.attachment import Attachment
from chat.conversation.models import Conversation, Message
from chat.conversation.thread import Quote
from chat.media.store import MediaStore
from chat.outgoing import failed_answers, queueing
from chat.outgoing.attachments import messages as attachments
from chat.outgoing.attachments.messages import Given
from chat.outgoing.leases import LEASE_MS, Leases
from chat.outgoing.queueing import DifferentMessageError, Outbox, enqueue, take_over
from chat.outgoing.templates import TEMPLATE
from chat.outgoing.watch import WATCH_SECONDS, Watch
from chat.outgoing.whatsapp import (
    Accepted,
    RefusedError,
    UnconfirmedError,
    UnreachableError,
    WhatsAppClient,
)
from chat.people import identity
from chat.people.identity import UnknownConversationError
from chat.platform import datastore
from chat.platform.settings import Settings
from message_status import SENDING

_log = logging.getLogger(__name__)
#: No seed of anybody's, which threads and forked workers would share.
_random = random.SystemRandom()

#: Longer than connecting and waiting for the Graph API's answer together.
CALL_SECONDS = 45.0
#: Conversations whose messages one process sends at the same time: a Graph API that hangs must not
#: take all threads. The others wait for one of these.
MAX_DRAINS = 16
#: Requests that wait for their send at the same time (`SEND_WAIT_SECONDS`); the others answer at
#: once, and the message goes out all the same.
MAX_WAITING = 8
#: After a lease has run out; two processes that come for it do not come at the same moment.
_LATE_SECONDS = 0.1
#: While WhatsApp cannot be reached, messages wait for the sweep so long; then they have failed,
#: because an answer that arrives out of the blue much later does more harm than good.
GIVE_UP_MS = 15 * 60_000
_RETRY_MS = 15_000
#: Longer than `_surely` tries, with what its calls may take.
_RECORD_SECONDS = 90.0
_UNREACHABLE = {"code": message_status.UNREACHABLE}
#: Outboxes looked at in one sweep.
_SWEEP_LIMIT = 50


class Sender:
    """Queues and sends; one for the application."""

    def __init__(
        self, settings: Settings, whatsapp: WhatsAppClient, store: Callable[[], MediaStore]
    ) -> None:
        """`store()` has the files of messages."""
        self._whatsapp = whatsapp
        self._store = store
        self._wait_seconds = settings.send_wait_seconds
        self._leases = Leases(_renew)
        self._slots = threading.BoundedSemaphore(MAX_DRAINS)
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)
        self._lock = threading.Lock()
        #: Conversation → its thread, and whether there is more to do when it is done.
        self._draining: dict[str, tuple[threading.Thread, bool]] = {}
        self._watch = Watch(self._look, lambda: self._leases.closing)

    def init_app(self, app: Flask) -> None:
        """Watches for what other processes leave behind, and gives leases back at a shutdown."""
        realtime_events.at_shutdown(self._leases.give_back)
        self._watch.init_app(app)

    def queue(
        self,
        conversation_id: str,
        client_id: str,
        text: str,
        *,
        author_id: str,
        author_name: str,
        quote: Quote | None = None,
        read_up_to: Message | None = None,
        forwarded: bool = False,
        template: dict[str, Any] | None = None,
        attachment: Attachment | None = None,
        after: Message | None = None,
    ) -> tuple[Message, str, bool]:
        """Stores an attendant's message and its place in the outbox, and tells the screens. Who
        answers has the chat from then on, and Claude's answer under way will not be sent.

        Args:
            conversation_id: where it goes.
            client_id: the browser's id for it; the same again changes nothing.
            text: what it says.
            author_id: the attendant's user name.
            author_name: as shown.
            quote: the message it answers.
            read_up_to: the newest message that the attendant saw; None: all that has come.
            forwarded: it is passed on from another chat.
            template: the payload of a filled-in template, whose body `text` is.
            attachment: a file, whose caption `text` is.
            after: what the attendant had seen when beginning to write this; None: it goes whatever
                others have answered meanwhile.

        Returns:
            the message, the id of the conversation it is in, and whether it is new.

        Raises:
            UnknownConversationError: no such conversation.
            DifferentMessageError: the client_id belongs to another message.
            CollisionError: somebody else has answered after `after`. Nothing was stored.
        """

        read: list[Conversation] = []

        def attempt() -> tuple[Message, str, bool]:
            read.clear()
            conversation = identity.load_conversation(conversation_id)
            if conversation is None:
                raise UnknownConversationError(conversation_id)
            reply_to = quote.id if quote else None
            known = queueing.known(
                conversation, client_id, text=text, reply_to=reply_to, template=template,
                attachment=attachment,
            )  # fmt: skip
            if known is not None:
                return known, conversation.id, False
            if after is not None:
                queueing.look_out(conversation, author_id, after)
            before = conversation.incoming_read
            (message,) = enqueue(
                conversation, {client_id: text}, author_id=author_id,
                author_name=author_name, quote=quote, read_up_to=read_up_to, forwarded=forwarded,
                before=take_over(conversation, author_name), template=template,
                attachment=attachment,
            )  # fmt: skip
            if conversation.incoming_read > before:
                read.append(conversation)
            return message, conversation.id, True

        queued = realtime_events.transaction(attempt)
        for conversation in read:
            unread_state.send_read_receipt(conversation, queued[0])
        return queued

    def begin(
        self,
        phone: str,
        client_id: str,
        text: str,
        template: dict[str, Any],
        *,
        author_id: str,
        author_name: str,
    ) -> tuple[Message, Conversation, bool]:
        """Stores the first message to a number, and its conversation with it; in the conversation
        that the number has already, if there is one. Tells the screens.

        Args:
            phone: digits, with country code.
            client_id: the browser's id for the message; the same again changes nothing.
            text: the template's body, filled in.
            template: its payload.
            author_id: the attendant's user name.
            author_name: as shown.

        Returns:
            the message, the conversation it is in, and whether it is new.

        Raises:
            DifferentMessageError: the client_id belongs to another message.
        """

        def attempt() -> tuple[Message, Conversation, bool]:
            people = identity.People()
            conversation = people.with_number(phone, _now_ms())
            known = queueing.known(conversation, client_id, text=text, template=template)
            if known is not None:
                return known, conversation, False
            people.save()
            (message,) = enqueue(
                conversation, {client_id: text}, author_id=author_id, author_name=author_name,
                before=take_over(conversation, author_name), template=template, reads=False,
            )  # fmt: skip
            return message, conversation, True

        return realtime_events.transaction(attempt)

    def resend(self, old: Message, client_id: str, *, author_id: str, author_name: str) -> Message:
        """Queues what `old` says once more, as a new message of whoever asks for it, who has the
        chat from then on; tells the screens of both. In the transaction of `message_status.retry`.

        Raises:
            DifferentMessageError: the client_id belongs to another message.
        """
        conversation = identity.load_conversation(old.conversation_id)
        if conversation is None:
            raise UnknownConversationError(old.conversation_id)
        if datastore.get(Message, client_id) is not None:
            raise DifferentMessageError(client_id)
        quote = None
        if old.reply_to:
            kind = old.reply_author_kind
            quote = Quote(old.reply_to, old.reply_text, old.reply_author, author_kind=kind)
        (message,) = enqueue(
            conversation, {client_id: old.text},
            author_id=author_id, author_name=author_name, quote=quote, attempt_of=old.id,
            forwarded=bool((old.extra or {}).get("forwarded")),
            before=take_over(conversation, author_name),
            template=old.payload if old.type == TEMPLATE else None,
            attachment=Attachment.of(old),
        )  # fmt: skip
        realtime_events.tell("message.updated", conversation, old)
        return message

    def start(self, conversation_id: str) -> None:
        """Sends what is queued, in a thread; waits for it as long as the settings say."""
        thread = self._start(conversation_id)
        if self._wait_seconds and self._waiting.acquire(blocking=False):
            try:
                thread.join(self._wait_seconds)
            finally:
                self._waiting.release()

    def _start(self, conversation_id: str) -> threading.Thread:
        app = current_app._get_current_object()  # type: ignore[attr-defined]

        def work() -> None:
            while True:
                with self._slots, app.app_context():
                    self._drain_quietly(conversation_id)
                with self._lock:
                    own, again = self._draining[conversation_id]
                    if not again:
                        del self._draining[conversation_id]
                        return
                    self._draining[conversation_id] = own, False

        with self._lock:
            known = self._draining.get(conversation_id)
            if known is not None:
                self._draining[conversation_id] = known[0], True
                return known[0]
            thread = threading.Thread(target=work, daemon=True, name="outbox")
            self._draining[conversation_id] = thread, False
            thread.start()  # or another request, which finds it here, would wait for it too early
        return thread

    def _look(self) -> float:
        """Starts what is due, of leases also what runs out before the next look; returns the
        seconds until then.
        """
        pause = WATCH_SECONDS * _random.uniform(0.8, 1.2)
        now = _now_ms()
        for due_at, conversation_id in _due(now + int(pause * 1000)):
            if due_at <= now:
                self._start(conversation_id)
            else:
                late = _LATE_SECONDS * _random.uniform(0.2, 1.0)
                pause = min(pause, (due_at - now) / 1000 + late)
        return pause

    def sweep(self, seconds: float) -> int:
        """Sends what was left behind by lost processes and by an unreachable WhatsApp.

        Args:
            seconds: no outbox is begun after so long.

        Returns:
            how many outboxes were looked at.
        """
        end = time.monotonic() + seconds
        datastore.allow(seconds + CALL_SECONDS, datastore.RPC_SECONDS)
        done = 0
        for _, conversation_id in _due(_now_ms()):
            if time.monotonic() > end:
                break
            self.drain(conversation_id)
            done += 1
        return done

    def drain(self, conversation_id: str) -> None:
        """Sends the queued messages of one conversation in order, unless somebody else does."""
        holder = secrets.token_hex(8)
        while not self._leases.closing:
            # For each message anew: a long queue must not end with an outcome nobody could store.
            seconds = attachments.UPLOAD_SECONDS + CALL_SECONDS + _RECORD_SECONDS
            datastore.allow(seconds, datastore.RPC_SECONDS)
            claimed = realtime_events.transaction(lambda: _claim(conversation_id, holder))
            if claimed is None:
                return
            message, conversation = claimed
            outcome: Accepted | Given | Exception
            with self._leases.held(conversation_id, holder):
                if message_status.fact(message, "started_at") is None:
                    outcome = attachments.give(message, self._whatsapp, self._store(), _now_ms())
                else:
                    outcome = self._send(message, conversation)
            if isinstance(outcome, Given):
                realtime_events.transaction(partial(_note_given, message.id, outcome))
                continue
            forgotten = isinstance(outcome, RefusedError) and attachments.may_be_forgotten(
                message, outcome, _now_ms()
            )
            if forgotten:
                _surely(partial(_give_anew, message.id))
                continue
            unreachable = isinstance(outcome, UnreachableError)
            again = unreachable and _now_ms() - message.received_at < GIVE_UP_MS
            if again:
                _surely(partial(_postpone, conversation_id, message.id, holder))
                return
            _surely(partial(_settle, conversation_id, message.id, outcome))
        realtime_events.transaction(partial(_renew, conversation_id, holder, 0))

    def _send(self, message: Message, conversation: Conversation) -> Accepted | Exception:
        try:
            reply_to = _wamid_of(message.reply_to)
        except datastore.ERRORS as error:
            _log.warning("message %s waits: %s", message.id, type(error).__name__)
            return UnreachableError()
        to: dict[str, Any] = {
            "phone": conversation.phone,
            "bsuid": conversation.bsuid,
            "group_id": conversation.group_id,
            "message_id": message.id,
            "reply_to": reply_to,
        }
        try:
            if message.type == TEMPLATE:
                return self._whatsapp.send_template(message.payload["sent"], **to)
            if attachments.has_file(message):
                part = attachments.part_of(message, message.media["given"]["id"])
                return self._whatsapp.send_media(message.type, part, **to)
            return self._whatsapp.send_text(message.text, **to)
        except (RefusedError, UnreachableError, UnconfirmedError) as error:
            _log.warning("message %s: %s", message.id, type(error).__name__)
            return error

    def _drain_quietly(self, conversation_id: str) -> None:
        try:
            with datastore.context(seconds=300.0):
                self.drain(conversation_id)
        except datastore.ERRORS as error:
            _log.warning("outbox %s waits: %s", conversation_id, type(error).__name__)
        except Exception:  # noqa: BLE001 - a thread has nobody else to tell
            _log.exception("outbox %s waits for the sweep", conversation_id)


def _due(until_ms: int) -> list[tuple[int, str]]:
    """(When, conversation) of the outboxes that nobody works off by then, oldest first."""
    # Without the lower bound all the empty ones would come first: a null is less than any number.
    query = Outbox.query(Outbox.due_at > 0, Outbox.due_at <= until_ms).order(Outbox.due_at)
    found = query.fetch(_SWEEP_LIMIT, projection=[Outbox.due_at], timeout=2.0)
    return [(each.due_at, str(each.key.id())) for each in found]


def _renew(conversation_id: str, holder: str, milliseconds: int) -> None:
    """Gives a lease more time, or with 0 gives it back; if it is still this holder's."""

    def attempt() -> None:
        outbox = datastore.get(Outbox, conversation_id)
        if outbox is not None and outbox.holder == holder and outbox.queue:
            outbox.lease_until = outbox.due_at = _now_ms() + milliseconds
            outbox.put()

    realtime_events.transaction(attempt)


def _surely(record: Callable[[], None]) -> None:
    """Commits an outcome, again for some time while the store is down: forgetting it would leave a
    message that nobody knows to be sent.
    """
    commit = partial(realtime_events.transaction, record)
    datastore.surely(commit, "an outcome", (1, 2, 4, 8, 15), time.sleep)


def _claim(conversation_id: str, holder: str) -> tuple[Message, Conversation] | None:
    """The next message to send, leased and marked as begun; not yet begun where WhatsApp has to be
    given its file first. None when there is none for us.
    """
    outbox = datastore.get(Outbox, conversation_id)
    if outbox is None or not outbox.queue:
        return None
    now = _now_ms()
    if outbox.lease_until > now and outbox.holder != holder:
        return None
    conversation = identity.load_conversation(conversation_id)
    while outbox.queue and conversation is not None:
        message = datastore.get(Message, outbox.queue[0])
        waits = (
            message is not None
            and message.status == SENDING
            and not message_status.fact(message, "wamid")
        )
        # One that an attendant has sent anew must not follow it by itself.
        if message is not None and waits and not message_status.fact(message, "retried_as"):
            if message_status.fact(message, "started_at") is None:
                if not attachments.has_file(message) or attachments.graph_id_of(message, now):
                    message_status.started(message)
                outbox.holder, outbox.lease_until = holder, now + LEASE_MS
                outbox.due_at = outbox.lease_until
                datastore.put_many([outbox, message])
                return message, conversation
            # Somebody began and never told the outcome: never send it again by ourselves.
            message_status.record_outcome(message.id)
            failed_answers.hand_over(message.id)
        outbox.queue.pop(0)
    _free(outbox)
    outbox.put()
    return None


def _note_given(message_id: str, given: Given | None) -> None:
    """WhatsApp has the file of this message; with None: has it no more."""
    message = datastore.get(Message, message_id)
    if message is not None:
        attachments.note_given(message, given)
        message.put()


def _give_anew(message_id: str) -> None:
    """The message was refused, because WhatsApp has forgotten its file: it was not sent."""
    message_status.record_outcome(message_id, error=_UNREACHABLE, again=True)
    _note_given(message_id, None)


def _settle(conversation_id: str, message_id: str, outcome: Accepted | Exception) -> None:
    """Records what came of an attempt and takes the message off the queue."""
    outbox = datastore.get(Outbox, conversation_id)
    if outbox is not None and message_id in outbox.queue:
        outbox.queue.remove(message_id)
        if not outbox.queue:
            _free(outbox)
        outbox.put()
    if isinstance(outcome, Accepted):
        message_status.record_outcome(message_id, wamid=outcome.wamid)
        message = datastore.get(Message, message_id)
        if message is not None:
            changing.catch_up(message)
        _learn(message, outcome.wa_id)
    elif isinstance(outcome, RefusedError):
        message_status.record_outcome(message_id, error=outcome.error)
    elif isinstance(outcome, UnreachableError):
        message_status.record_outcome(message_id, error=_UNREACHABLE)
    else:
        message_status.record_outcome(message_id)
    failed_answers.hand_over(message_id)  # also where a callback was faster than the answer


def _postpone(conversation_id: str, message_id: str, holder: str) -> None:
    """It was certainly not sent: it stays first in the queue, for the sweep."""
    outbox = datastore.get(Outbox, conversation_id)
    if outbox is None:
        return
    message = datastore.get(Message, message_id)
    if message is not None and message_status.fact(message, "retried_as"):
        # Given up as perhaps sent, and an attendant has sent it anew: this one stays unsent.
        _settle(conversation_id, message_id, UnreachableError())
        return
    if message_id not in outbox.queue:
        # Our lease had run out, and somebody gave the message up as perhaps sent.
        outbox.queue.insert(0, message_id)
    if outbox.holder in (holder, None):
        outbox.holder, outbox.lease_until, outbox.due_at = None, 0, _now_ms() + _RETRY_MS
    outbox.put()
    message_status.record_outcome(message_id, error=_UNREACHABLE, again=True)


def _learn(message: Message | None, wa_id: str | None) -> None:
    """WhatsApp's own form of the customer's number leads to this conversation from now on."""
    number = phones.digits(wa_id)
    if message is None or not number:
        return
    conversation = identity.load_conversation(message.conversation_id)
    if conversation is not None:
        people = identity.People()
        version = conversation.version
        # When it was sent: what came while the Graph API thought about it is newer.
        asked_ms = message_status.fact(message, "started_at") or _now_ms()
        conversation = people.learn_phone(people.adopt(conversation), number, asked_ms)
        if conversation.version != version:
            identity.publish_conversation(conversation)
        people.save()


def _free(outbox: Outbox) -> None:
    outbox.holder, outbox.lease_until, outbox.due_at = None, 0, None


def _wamid_of(message_id: str | None) -> str | None:
    """What WhatsApp calls the message that a reply answers."""
    message = datastore.get(Message, message_id) if message_id else None
    return quotes.wamid_of(message) if message is not None else None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

"""WhatsApp's webhook: every update is stored exactly once, and 200 is said only after the commit.

Meta delivers at least once, unordered and concurrently, up to 1,000 updates a call, and repeats for
days what was not answered 200. So the key of a message is its wamid, one transaction stores all of
one customer's messages of a call, and whatever is wrong with one update concerns that one only.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from google.api_core import exceptions as api_exceptions
from google.cloud import ndb

import message_status
import realtime_events
from chat.conversation import quotes
from chat.conversation.incoming_message import IncomingMessage
from chat.conversation.models import Message
from chat.conversation.thread import Quote, append_incoming
from chat.incoming import deferred, parsing
from chat.incoming.parsing import Rejected
from chat.people import identity
from chat.people.identity import ContactAlias
from chat.platform import datastore
from chat.platform.settings import Settings

_log = logging.getLogger(__name__)

blueprint = Blueprint("webhook", __name__)

#: Meta sends 3 MB at most.
MAX_BODY_BYTES = 4 * 1024 * 1024
#: Messages of one customer in one transaction: well under the store's 500 writes and 10 MiB.
CHUNK = 100
#: What a call may spend on the store past its budget, to finish what it has begun and to store the
#: rest raw; and what one commit may take. Nobody waits at a screen for it.
STORE_SECONDS = 20.0
RPC_SECONDS = 8.0


@blueprint.get("/webhook")
def verify() -> Response:
    """Meta's handshake: the bare challenge for whoever knows the verify token."""
    settings: Settings = current_app.extensions["chat_settings"]
    expected, given = settings.whatsapp_verify_token, request.args.get("hub.verify_token", "")
    asked = request.args.get("hub.mode") == "subscribe"
    if not (asked and expected and hmac.compare_digest(expected.encode(), given.encode())):
        return Response("forbidden", 403, mimetype="text/plain")
    response = Response(request.args.get("hub.challenge", ""), mimetype="text/plain")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@blueprint.post("/webhook")
def receive() -> tuple[Response, int]:
    """Stores a call's updates: 200 when all are safe, 403 unsigned, 503 when the store is down."""
    settings: Settings = current_app.extensions["chat_settings"]
    request.max_content_length = MAX_BODY_BYTES
    signature = request.headers.get("X-Hub-Signature-256")
    # A stranger's megabytes are not even read.
    body = request.get_data(cache=False) if signature else b""
    if not signed(body, signature, settings.whatsapp_app_secret):
        return jsonify(error={"code": "bad_signature", "message": "Assinatura inválida."}), 403
    started = time.monotonic()
    datastore.allow(settings.webhook_budget_seconds + STORE_SECONDS, RPC_SECONDS)
    received_ms = time.time_ns() // 1_000_000
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        text = body[:100_000].decode("utf-8", "replace")
        deferred.set_aside([Rejected("$", "not JSON", text)], received_ms)
        return jsonify(ok=True), 200
    deadline = started + settings.webhook_budget_seconds
    process(payload, received_ms, deadline)
    if deferred.pending():
        if time.monotonic() < deadline:
            _work_off_quietly(deadline)
        elif not settings.production:
            work_off_soon()
    return jsonify(ok=True), 200


def signed(body: bytes, header: str | None, secret: str) -> bool:
    """Whether `X-Hub-Signature-256` is the HMAC-SHA256 of these very bytes.

    An empty secret signs nothing: it would accept what anybody can compute.
    """
    if not secret or not header or not header.startswith("sha256="):
        return False
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), header.removeprefix("sha256=").encode())


def process(payload: Any, received_ms: int, deadline: float | None = None) -> None:
    """Stores all updates of a call; returns when each is in the thread, set aside or deferred.

    Args:
        payload: the decoded body.
        received_ms: when it came, milliseconds since 1970.
        deadline: by `time.monotonic()`; what is not begun then is stored raw. None: no limit.

    Raises:
        one of `datastore.ERRORS`: not everything is safe; the same call may come again.
    """
    batch = parsing.parse(payload, received_ms)
    if batch.error_codes:
        _log.warning("WhatsApp reports errors: %s", batch.error_codes[:20])
    if batch.rejected:
        deferred.set_aside(batch.rejected, received_ms)
    quoted = _quotes(batch.messages)
    late: list[IncomingMessage] = []
    for group in group_by_sender(batch.messages):
        for start in range(0, len(group), CHUNK):
            chunk = group[start : start + CHUNK]
            if late or (deadline is not None and time.monotonic() > deadline):
                late += chunk
                continue
            late += _store_chunk(chunk, received_ms, quoted)
    late_statuses = _record_statuses(batch.statuses, received_ms, deadline)
    changes = [message.raw for message in late] + parsing.status_changes(late_statuses)
    deferred.defer(changes, received_ms)


def _record_statuses(
    statuses: list[dict[str, Any]], received_ms: int, deadline: float | None
) -> list[dict[str, Any]]:
    """Records the delivery statuses; returns those that there was no time for."""
    if not statuses:
        return []
    report = message_status.record_statuses(statuses, received_ms=received_ms, deadline=deadline)
    deferred.set_aside((Rejected(b.field, b.reason, b.raw) for b in report.bad), received_ms)
    if report.parked:
        _log.info("%d statuses wait for their messages", report.parked)
    return report.late


def group_by_sender(messages: Iterable[IncomingMessage]) -> list[list[IncomingMessage]]:
    """Messages that share a number or BSUID, directly or through another message; by time.

    Repeats within the call are left out.
    """
    groups: dict[str, list[IncomingMessage]] = {}  # by alias; several may lead to one list
    distinct = {message.wamid: message for message in messages}
    for message in distinct.values():
        joined: list[IncomingMessage] = []
        names = identity.alias_names(message)
        for group in {id(groups[n]): groups[n] for n in names if n in groups}.values():
            joined += group
        joined.append(message)
        for member in joined:
            for name in identity.alias_names(member):
                groups[name] = joined
    unique = {id(group): group for group in groups.values()}.values()
    return [sorted(group, key=lambda message: message.sent_ms) for group in unique]


def handle_incoming_message(
    people: identity.People,
    message: IncomingMessage,
    received_ms: int,
    quote: Quote | None = None,
) -> Message | None:
    """Puts one message into its sender's conversation and tells the screens; in a transaction.

    Args:
        people: who is who, of this transaction.
        message: not stored before.
        received_ms: when it came.
        quote: the message it answers, where that is known.

    Returns:
        the entity to be written, or None where the update is no bubble.
    """
    conversation = people.of(message)
    if not message.stored:
        return None
    people.touch(conversation)
    known_as = conversation.name
    entity = append_incoming(conversation, message, received_ms, quote)
    realtime_events.tell("message.created", conversation, entity)
    if known_as and conversation.name != known_as:
        identity.publish_conversation(conversation)
    return entity


def _store_chunk(
    chunk: list[IncomingMessage], received_ms: int, quoted: Mapping[str, Quote]
) -> list[IncomingMessage]:
    """Stores some messages of one sender.

    Returns:
        those to be tried again later, because others kept changing the same conversation.
    """
    try:
        _store_together(chunk, received_ms, quoted)
    except api_exceptions.Aborted:
        return chunk
    except datastore.REFUSALS as error:
        return _store_singly(chunk, received_ms, quoted, error)
    except datastore.ERRORS:
        raise
    except Exception as error:  # noqa: BLE001 - a bad item must not cost its neighbours
        return _store_singly(chunk, received_ms, quoted, error)
    return []


def _store_singly(
    chunk: list[IncomingMessage],
    received_ms: int,
    quoted: Mapping[str, Quote],
    error: Exception,
) -> list[IncomingMessage]:
    """Stores what can be stored one by one, and sets the rest aside."""
    if len(chunk) == 1:
        message = chunk[0]
        # The places, but not the error's own text, which may quote the customer's.
        places = "".join(traceback.format_tb(error.__traceback__))
        # A wamid has the customer's number inside.
        name = hashlib.sha256(message.wamid.encode()).hexdigest()[:12]
        _log.error("cannot store message #%s: %s\n%s", name, type(error).__name__, places)
        reason = f"cannot be stored: {type(error).__name__}"
        deferred.set_aside([Rejected(message.type, reason, message.raw)], received_ms)
        return []
    late = []
    for message in chunk:
        late += _store_chunk([message], received_ms, quoted)
    return late


def _store_together(
    chunk: list[IncomingMessage], received_ms: int, quoted: Mapping[str, Quote]
) -> None:
    names = list(dict.fromkeys(name for m in chunk for name in identity.alias_names(m)))
    keys = [ndb.Key(Message, message.wamid) for message in chunk]
    keys += [ndb.Key(ContactAlias, name) for name in names]

    def attempt() -> None:
        found = datastore.get_many(keys)
        new = [m for m, stored in zip(chunk, found, strict=False) if stored is None]
        if not new:
            return
        people = identity.People(names, found[len(chunk) :])
        entities: list[Message] = []
        for message in new:
            quote = quoted.get(message.reply_to or "")
            entity = handle_incoming_message(people, message, received_ms, quote)
            if entity is not None:
                entities.append(entity)
        people.save()
        ndb.put_multi(entities)
        people.tell_numbers()

    realtime_events.transaction(attempt)


def _quotes(messages: list[IncomingMessage]) -> dict[str, Quote]:
    """The messages that these answer, stored ones and those of the same call, by wamid."""
    wanted = {message.reply_to for message in messages if message.reply_to}
    found = quotes.find(wanted)
    for message in messages:
        if message.wamid in wanted and message.wamid not in found:
            found[message.wamid] = quotes.of_incoming(message)
    return found


def work_off_deferred(seconds: float) -> int:
    """Handles deferred updates for some seconds; returns how many batches are done."""
    datastore.allow(seconds + STORE_SECONDS, RPC_SECONDS)
    return deferred.work_off(process, time.monotonic() + seconds)


def work_off_soon() -> None:
    """Handles deferred updates in a thread, where threads outlive their request.

    App Engine may freeze a thread without a request; there the next call or cron does it.
    """

    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def work() -> None:
        with app.app_context(), datastore.context(seconds=600.0, rpc_seconds=RPC_SECONDS):
            _work_off_quietly(time.monotonic() + 300.0)

    threading.Thread(target=work, daemon=True, name="deferred").start()


def _work_off_quietly(deadline: float) -> None:
    """What this call brought is safe: trouble with older updates must not make Meta repeat it."""
    try:
        deferred.work_off(process, deadline)
    except datastore.ERRORS as error:
        _log.warning("deferred updates stay for later: %s", type(error).__name__)

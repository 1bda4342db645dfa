"""The page and the JSON API of the chat."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

from cachetools import TTLCache
from flask import Blueprint, current_app, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from google.cloud import ndb

import message_status
import realtime_events
from chat.auto_reply import service
from chat.conversation import quotes
from chat.conversation.models import OUTGOING, Conversation, Message
from chat.conversation.thread import Quote
from chat.outgoing.sending import CollisionError, DifferentMessageError, Sender
from chat.outgoing.templates import TEMPLATE
from chat.outgoing.whatsapp import MAX_TEXT_CHARS
from chat.people import identity
from chat.people.identity import UnknownConversationError
from chat.platform import datastore, search_words
from chat.platform.errors import ApiError
from chat.screen import admin, organizing, templates
from chat.screen.request_parts import (
    client_id_of,
    client_id_taken,
    conversation_of,
    json_body,
    key_name,
    not_found,
    query_text,
)
from chat.search import conversations as search

blueprint = Blueprint("chat", __name__)

PAGE = 50
_MAX_PAGE = 100
#: All tabs ask every minute; answering from memory for some seconds makes that one read a process.
_VERSIONS_SECONDS = 30
_MAX_KEY = 200
_MOST_AWAITING = 50
_AWAITING_DAYS = 30

_versions: TTLCache[str, dict[str, int]] = TTLCache(maxsize=10, ttl=_VERSIONS_SECONDS)
_versions_lock = threading.Lock()


@blueprint.get("/")
def home() -> ResponseReturnValue:
    """The chat's page, with the cursor from which its events go on."""
    cursor = realtime_events.current_cursor()
    return render_template(
        "chat/chat.html",
        cursor=cursor,
        now=int(time.time() * 1000),
        user=current_user,
        user_id=current_user.username,
        user_name=current_user.name,
        is_admin=current_user.is_admin,
        badges=service.settings().badges,
        set_aside=admin.count_in_words() if current_user.is_admin else None,
    )


@blueprint.get("/api/conversations")
def conversations() -> ResponseReturnValue:
    """A page of conversations, newest first; with `q` those with such a name or number."""
    _only({"before", "limit", "filter", "q"})
    before, limit, wanted = _key("before"), _limit(), request.args.get("filter") or "all"
    cursor = realtime_events.current_cursor()
    query = organizing.listed(wanted)
    if words := search_words.name_words(query_text()):
        named, more = search.find(words, partial(organizing.is_listed, wanted))
        named = [each for each in named if not before or each.sort_key < before]
        return jsonify(
            conversations=_conversations_json(named[:limit]),
            next=named[limit - 1].sort_key if len(named) > limit else None,
            more=more,
            cursor=cursor,
        )
    if before:
        query = query.filter(Conversation.sort_key < before)
    found = query.fetch(limit + 1)
    page = found[:limit]
    return jsonify(
        conversations=_conversations_json(page),
        next=page[-1].sort_key if len(found) > limit else None,
        cursor=cursor,
    )


@blueprint.get("/api/conversations/versions")
def versions() -> ResponseReturnValue:
    """The versions of the newest conversations, for a page that checks what it shows."""
    project = ndb.get_context().client.project
    with _versions_lock:
        known = _versions.get(project)
    if known is None:
        # Not under the lock: while the store hangs, all tabs would wait for one another in turn.
        query = organizing.listed("all")
        known = {each.id: each.version for each in query.fetch(PAGE)}
        with _versions_lock:
            _versions[project] = known
    return jsonify(versions=known)


@blueprint.get("/api/conversations/<conversation_id>")
def conversation(conversation_id: str) -> ResponseReturnValue:
    """One conversation."""
    cursor = realtime_events.current_cursor()
    found = conversation_of(conversation_id)
    return jsonify(conversation=_conversations_json([found])[0], cursor=cursor)


@blueprint.get("/api/conversations/<conversation_id>/messages")
def messages(conversation_id: str) -> ResponseReturnValue:
    """A page of a thread: the newest before a position, oldest first."""
    _only({"before", "limit"})
    before, limit = _key("before"), _limit()
    cursor = realtime_events.current_cursor()
    found = conversation_of(conversation_id)
    newest: list[Message] = []
    # Each of the merged conversations has its own range of the index; positions are unique across
    # them, so the newest of each are enough for the newest of all.
    for each in (found.id, *found.absorbed):
        query = Message.query(Message.conversation_id == each).order(-Message.position)
        if before:
            query = query.filter(Message.position < before)
        newest += query.fetch(limit + 1)
    newest.sort(key=lambda message: message.position, reverse=True)
    page = newest[:limit]
    page.reverse()
    _complete_quotes(page)
    return jsonify(
        messages=[{**message.live_json(), "conversation_id": found.id} for message in page],
        next=page[0].position if len(newest) > limit else None,
        cursor=cursor,
    )


@blueprint.post("/api/conversations/<conversation_id>/messages")
def send(conversation_id: str) -> ResponseReturnValue:
    """Queues a message: 201 and the message, 200 if this client_id is known.

    `after` is the newest message that was on the sender's screen when they began to write. If
    somebody else answered after it, 409 and that answer; to send all the same, send it as `after`.
    """
    body = json_body()
    client_id, text, template = client_id_of(body), body.get("text"), None
    if "template" in body:
        filled = templates.filled_in(client_id, body["template"])
        text, template = filled.text, filled.payload
    if not isinstance(text, str) or not text.strip():
        raise ApiError(422, "invalid", "A mensagem está vazia.", "text")
    if len(text) > MAX_TEXT_CHARS:
        raise ApiError(422, "too_long", f"A mensagem passa de {MAX_TEXT_CHARS} caracteres.", "text")
    if not _encodable(text):
        raise ApiError(422, "invalid", "A mensagem tem caracteres inválidos.", "text")
    sender: Sender = current_app.extensions["chat_sender"]
    try:
        message, owner_id, new = sender.queue(
            key_name(conversation_id),
            client_id,
            text,
            author_id=current_user.username,
            author_name=current_user.name,
            quote=_quote(conversation_id, body.get("reply_to")),
            read_up_to=_seen(conversation_id, body, "read_up_to"),
            after=_seen(conversation_id, body, "after"),
            forwarded=_forwarded(body.get("forwarded")),
            template=template,
        )
    except UnknownConversationError as error:
        raise not_found() from error
    except DifferentMessageError as error:
        raise client_id_taken() from error
    except CollisionError as error:
        raise _collision(conversation_id, error.message) from error
    if new or message_status.fact(message, "started_at") is None:
        # Also for a repeat: the first answer, and with it this call, may have been lost.
        sender.start(owner_id)
    return jsonify({**message.live_json(), "conversation_id": owner_id}), 201 if new else 200


@blueprint.get("/api/messages/awaiting")
def awaiting() -> ResponseReturnValue:
    """The newest messages that have been on their way for too long."""
    seconds = current_app.extensions["chat_settings"].message_status_awaiting_seconds
    since, now = Message.awaiting_since, realtime_events.now_ms()
    # Nothing will be heard of older ones any more.
    query = Message.query(
        since > now - _AWAITING_DAYS * 86_400_000, since <= now - int(seconds * 1000)
    )
    found = query.order(-since).fetch(_MOST_AWAITING + 1)
    listed = [each.live_json() for each in found[:_MOST_AWAITING]]
    return jsonify(messages=listed, more=len(found) > _MOST_AWAITING, seconds=seconds)


def resend(old: Message, client_id: str) -> Message:
    """Queues what `old` says once more, for the attendant who asks; see `message_status.retry`."""
    ours = old.type == "text" or (old.type == TEMPLATE and "sent" in (old.payload or {}))
    if not ours or not old.text:  # the business wrote it on its phone
        text = "Por aqui só dá para enviar textos de novo. Envie esta pelo celular da empresa."
        raise ApiError(409, "not_text", text)
    sender: Sender = current_app.extensions["chat_sender"]
    try:
        return sender.resend(
            old, client_id, author_id=current_user.username, author_name=current_user.name
        )
    except UnknownConversationError as error:
        raise not_found() from error
    except DifferentMessageError as error:
        raise client_id_taken() from error


def after_resend(message: Message) -> None:
    """Sends what `resend` queued."""
    sender: Sender = current_app.extensions["chat_sender"]
    conversation = identity.load_conversation(message.conversation_id)
    if conversation is not None:
        sender.start(conversation.id)


# --- what a request says --------------------------------------------------------------------------


def _only(known: set[str]) -> None:
    for name, value in request.args.items():
        if value and name not in known:  # an empty one asks for nothing
            raise ApiError(422, "unknown_parameter", "Parâmetro desconhecido.", name)


def _key(name: str) -> str | None:
    value = request.args.get(name) or None
    if value is not None and not (len(value) <= _MAX_KEY and value.isprintable()):
        raise ApiError(422, "invalid", "Este marcador de página não é válido.", name)
    return value


def _limit() -> int:
    value = request.args.get("limit")
    if not value:
        return PAGE
    usable = value.isascii() and value.isdigit() and len(value) <= 9
    if not usable or not 1 <= int(value) <= _MAX_PAGE:
        raise ApiError(422, "invalid", f"O limite vai de 1 a {_MAX_PAGE}.", "limit")
    return int(value)


def _conversations_json(page: list[Conversation]) -> list[dict[str, Any]]:
    """Conversations with the status of their last message, which moves without touching them."""
    ours = [each for each in page if each.last_direction == OUTGOING and each.last_message_id]
    found = datastore.get_many([ndb.Key(Message, each.last_message_id) for each in ours])
    last = dict(zip((each.id for each in ours), found, strict=True))
    return [each.live_json(last.get(each.id)) for each in page]


def _quote(conversation_id: str, message_id: Any) -> Quote | None:
    """The message that is answered; it must be of the same conversation."""
    if message_id is None:
        return None
    message = _message_in(conversation_id, message_id)
    if message is None:
        raise ApiError(422, "invalid", "A mensagem respondida não está nesta conversa.", "reply_to")
    return quotes.of_message(message)


def _seen(conversation_id: str, body: dict[str, Any], name: str) -> Message | None:
    """A message that the sender of an answer has seen."""
    if body.get(name) is None:
        return None
    message = _message_in(conversation_id, body[name])
    if message is None:
        raise ApiError(422, "invalid", "A mensagem lida não está nesta conversa.", name)
    return message


def _forwarded(value: Any) -> bool:
    """Whether the message is passed on from another chat."""
    if value is not None and not isinstance(value, bool):
        text = "Diga se a mensagem é encaminhada: true ou false."
        raise ApiError(422, "invalid", text, "forwarded")
    return bool(value)


def _collision(conversation_id: str, other: Message) -> ApiError:
    text = f"{other.author_name} respondeu depois da última mensagem desta tela."
    shown = {**other.live_json(), "conversation_id": conversation_of(conversation_id).id}
    return ApiError(409, "collision", text, collision=shown)


def _message_in(conversation_id: str, message_id: Any) -> Message | None:
    if not datastore.is_key_name(message_id):
        return None
    return identity.message_of(conversation_of(conversation_id), message_id)


def _complete_quotes(page: list[Message]) -> None:
    """Fills in quotes of messages that were stored after their replies. Nothing is written."""
    bare = [message for message in page if message.reply_to and message.reply_text is None]
    found = quotes.find(message.reply_to for message in bare)
    for message in bare:
        if quote := found.get(message.reply_to):
            message.reply_to, message.reply_text = quote.id, quote.text
            message.reply_author = quote.author_name
            message.reply_author_kind = quote.author_kind


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which no store and no phone takes
        return False
    return True

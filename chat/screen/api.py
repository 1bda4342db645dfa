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

import realtime_events
from chat.auto_reply import service
from chat.conversation import quotes
from chat.conversation.models import OUTGOING, Conversation, Message
from chat.platform import datastore, search_words
from chat.platform.errors import ApiError
from chat.screen import admin, organizing
from chat.screen.request_parts import (
    conversation_of,
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


def _complete_quotes(page: list[Message]) -> None:
    """Fills in quotes of messages that were stored after their replies. Nothing is written."""
    bare = [message for message in page if message.reply_to and message.reply_text is None]
    found = quotes.find(message.reply_to for message in bare)
    for message in bare:
        if quote := found.get(message.reply_to):
            message.reply_to, message.reply_text = quote.id, quote.text
            message.reply_author = quote.author_name
            message.reply_author_kind = quote.author_kind

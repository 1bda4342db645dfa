"""The JSON API of the searches: over all messages, and over one conversation's."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from google.cloud import ndb

from chat.conversation.models import Conversation, Message
from chat.platform import datastore, search_words
from chat.platform.errors import ApiError
from chat.screen.request_parts import conversation_of, query_text
from chat.search import backfill, messages
from chat.search.messages import Found
from realtime_events import iso

blueprint = Blueprint("search", __name__)

_EVERYWHERE = 20
_IN_CONVERSATION = 100
_MAX_KEY = 100
_MAX_REDIRECTS = 10


@blueprint.get("/api/messages/search")
def everywhere() -> ResponseReturnValue:
    """Messages of all conversations, newest first, with these."""
    words = search_words.words_of(query_text())
    found = messages.everywhere(words, _before(), _EVERYWHERE) if words else Found()
    homes = _conversations(found.messages)
    listed = [
        {**each.live_json(), "conversation_id": homes[each.conversation_id].id}
        for each in found.messages
        if each.conversation_id in homes
    ]
    shown = {home.id: home.live_json() for home in homes.values()}
    return jsonify(
        messages=listed,
        conversations=list(shown.values()),
        findable_from=iso(backfill.messages_from()),
        **_how_far(found),
    )


@blueprint.get("/api/conversations/<conversation_id>/search")
def in_conversation(conversation_id: str) -> ResponseReturnValue:
    """Which messages of one conversation have these words, newest first."""
    conversation = conversation_of(conversation_id)
    words = search_words.words_of(query_text())
    found = Found()
    if words:
        found = messages.in_conversation(conversation, words, _before(), _IN_CONVERSATION)
    hits = [
        {"id": each.id, "position": each.position, "sent_at": iso(each.sent_at)}
        for each in found.messages
    ]
    return jsonify(hits=hits, **_how_far(found))


def _before() -> str | None:
    value = request.args.get("before") or None
    if value is not None and not (len(value) <= _MAX_KEY and value.isprintable()):
        raise ApiError(422, "invalid", "Este marcador de página não é válido.", "before")
    return value


def _how_far(found: Found) -> dict[str, Any]:
    return {"next": found.next, "looked_until": iso(found.looked_until)}


def _conversations(found: list[Message]) -> dict[str, Conversation]:
    """The conversations that messages are shown in now, by that in which they were stored."""
    wanted = {each.conversation_id: each.conversation_id for each in found}
    homes: dict[str, Conversation] = {}
    for _ in range(_MAX_REDIRECTS):
        keys = [ndb.Key(Conversation, name) for name in dict.fromkeys(wanted.values())]
        read = {each.id: each for each in datastore.get_many(keys) if each is not None}
        homes |= {
            stored: read[name]
            for stored, name in wanted.items()
            if name in read and not read[name].merged_into
        }
        wanted = {
            stored: read[name].merged_into
            for stored, name in wanted.items()
            if name in read and read[name].merged_into
        }
        if not wanted:
            break
    return homes

"""What attendants tell Claude and ask of it: who has a chat, and what could be answered."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from flask_login import current_user

from chat.auto_reply import policy, service
from chat.auto_reply.worker import SuggestionError
from chat.conversation import ownership
from chat.conversation.models import Conversation
from chat.conversation.ownership import CLAUDE, HUMAN
from chat.conversation.thread import Line, line_by
from chat.people import owner_changes
from chat.people.identity import UnknownConversationError
from chat.platform import datastore
from chat.platform.errors import ApiError
from chat.screen.request_parts import json_body, key_name, not_found

blueprint = Blueprint("claude", __name__)

#: Conversations that the screen is told to need somebody; there are never so many for long.
_MOST_NEEDING = 200
#: Suggestions at the same time: each holds a thread for as long as Claude takes.
_suggesting = threading.BoundedSemaphore(4)


@blueprint.get("/api/claude")
def state() -> ResponseReturnValue:
    """Whether Claude answers here, and which conversations need somebody."""
    query = Conversation.query(Conversation.needs_you == True)  # noqa: E712 - a filter, not a test
    keys = query.fetch(_MOST_NEEDING + 1, keys_only=True)
    return jsonify(
        enabled=service.settings().enabled,
        needs_you={
            "count": min(len(keys), _MOST_NEEDING),
            "more": len(keys) > _MOST_NEEDING,
            "ids": [str(key.id()) for key in keys[:_MOST_NEEDING]],
        },
    )


@blueprint.post("/api/conversations/<conversation_id>/owner")
def set_owner(conversation_id: str) -> ResponseReturnValue:
    """Takes a chat over from Claude, or gives it to Claude."""
    owner = json_body().get("owner")
    if owner not in (CLAUDE, HUMAN):
        raise ApiError(422, "invalid", "Diga quem responde: claude ou human.", "owner")
    name, settings = current_user.name, service.settings()

    def act(conversation: Conversation, now: int) -> Iterable[Line | None] | None:
        before = (conversation.owner, conversation.needs_you, conversation.reply)
        if owner == HUMAN:
            text = ownership.take_over(conversation, name, now)
        else:
            if not settings.enabled:
                message = "A resposta automática está desligada."
                raise ApiError(409, "claude_off", message, "owner")
            if conversation.group_id:
                message = "Em grupos, só pessoas respondem."
                raise ApiError(422, "invalid", message, "owner")
            text = policy.give(conversation, name, settings, now)
        if before == (conversation.owner, conversation.needs_you, conversation.reply):
            return None
        return [line_by("attendant", name, text)]

    try:
        conversation = owner_changes.change_owner(key_name(conversation_id), act)
    except UnknownConversationError as error:
        raise not_found() from error
    if conversation.reply_due_at is not None:
        service.wake({conversation.id: conversation.reply_due_at})
    return jsonify(conversation=conversation.live_json())


@blueprint.post("/api/conversations/<conversation_id>/suggestion")
def suggest(conversation_id: str) -> ResponseReturnValue:
    """A draft of an answer, by Claude; the attendant sends, changes or drops it."""
    json_body()
    answering = service.current()
    if not answering.settings.enabled:
        raise ApiError(409, "claude_off", "A resposta automática está desligada.")
    if not _suggesting.acquire(blocking=False):
        raise ApiError(503, "busy", "Há sugestões demais sendo escritas. Tente novamente já.")
    try:
        datastore.allow(answering.seconds(), datastore.RPC_SECONDS)
        text = answering.worker.suggest(key_name(conversation_id))
    except UnknownConversationError as error:
        raise not_found() from error
    except SuggestionError as error:
        message = f"Não há sugestão: {error}."
        raise ApiError(503, "no_suggestion", message) from error
    finally:
        _suggesting.release()
    return jsonify(suggestion={"text": text})

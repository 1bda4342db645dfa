"""Messages pinned in a chat, as the page asks for them."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from flask_login import current_user
from google.cloud import ndb

import realtime_events
from chat.conversation.models import Conversation, Message
from chat.conversation.thread import line_by
from chat.people import identity, pinned_messages
from chat.people.owner_changes import store_and_tell
from chat.people.pinned_messages import DAYS, MOST, CannotPinError
from chat.platform import datastore
from chat.platform.errors import ApiError
from chat.screen.request_parts import conversation_of, json_body

blueprint = Blueprint("pinned_messages", __name__)

_WHY_NOT = {
    "not_pinnable": "Esta mensagem não pode ser fixada.",
    "too_many_pins": f"Só dá para fixar {MOST} mensagens por conversa. Quer substituir a mais "
    "antiga?",
}


@blueprint.get("/api/conversations/<conversation_id>/pinned-messages")
def listed(conversation_id: str) -> ResponseReturnValue:
    """What is pinned in a conversation, the message pinned last first."""
    found = conversation_of(conversation_id)
    pins = pinned_messages.shown(found, realtime_events.now_ms())
    messages = datastore.get_many([ndb.Key(Message, each["id"]) for each in pins])
    return jsonify(messages=[_json(found, each) for each in messages if each is not None])


@blueprint.post("/api/conversations/<conversation_id>/pinned-messages/<message_id>")
def pin(conversation_id: str, message_id: str) -> ResponseReturnValue:
    """Pins a message for so many `days`; `replace`: in place of the oldest, where there is one too
    many.
    """
    body = json_body()
    days, replace = body.get("days", DAYS[1]), body.get("replace", False)
    if days not in DAYS or isinstance(days, bool):
        raise ApiError(422, "invalid", "Escolha 1, 7 ou 30 dias.", "days")
    if not isinstance(replace, bool):
        raise ApiError(422, "invalid", "Diga se substitui: true ou false.", "replace")

    def attempt() -> Conversation:
        found, now = conversation_of(conversation_id), realtime_events.now_ms()
        message = identity.message_of(found, message_id)
        if message is None:
            raise ApiError(404, "not_found", "Mensagem não encontrada.")
        try:
            is_new = pinned_messages.pin(found, message, days, now, replace=replace)
        except CannotPinError as error:
            raise ApiError(409, error.reason, _WHY_NOT[error.reason]) from error
        line = line_by("attendant", current_user.name, f"{current_user.name} fixou uma mensagem")
        store_and_tell(found, now, line if is_new else None)
        return found

    return jsonify(conversation=realtime_events.transaction(attempt).live_json())


@blueprint.delete("/api/conversations/<conversation_id>/pinned-messages/<message_id>")
def unpin(conversation_id: str, message_id: str) -> ResponseReturnValue:
    """Lets go of a pinned message."""

    def attempt() -> Conversation:
        found, now = conversation_of(conversation_id), realtime_events.now_ms()
        if pinned_messages.unpin(found, message_id, now):
            store_and_tell(found, now)
        return found

    return jsonify(conversation=realtime_events.transaction(attempt).live_json())


def _json(conversation: Conversation, message: Message) -> dict[str, object]:
    return {**message.live_json(), "conversation_id": conversation.id}

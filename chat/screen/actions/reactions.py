"""Reactions of the business, as the page asks for them."""

from __future__ import annotations

import re
import unicodedata

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from flask_login import current_user

from chat.conversation.serializers import why_refused
from chat.outgoing.reactions import MOST_DAYS, CannotReactError, NotTakenError, Reactions
from chat.people.identity import UnknownConversationError
from chat.platform.errors import ApiError
from chat.screen.request_parts import json_body, key_name, not_found
from message_status import UNREACHABLE

blueprint = Blueprint("reactions", __name__)

#: The longest emoji, families and flags of regions, have fourteen.
_MOST_CHARS = 20
_ID = re.compile(r"[0-9a-fA-F-]{8,40}")
_WHY_NOT = {
    "not_found": (404, "Mensagem não encontrada."),
    "revoked": (409, "A mensagem foi apagada."),
    "not_sent": (409, "Só dá para reagir depois que a mensagem for enviada."),
    "too_old": (409, f"O WhatsApp só aceita reações a mensagens de até {MOST_DAYS} dias."),
    "window_closed": (
        409,
        "Faz mais de 24 horas que este cliente escreveu. O WhatsApp só aceita reações depois que "
        "ele escrever de novo.",
    ),
    "group": (409, "O WhatsApp não aceita reações da empresa em grupos."),
    "busy": (503, "O WhatsApp está demorando para responder. Tente novamente em instantes."),
}


@blueprint.post("/api/conversations/<conversation_id>/messages/<message_id>/reaction")
def react(conversation_id: str, message_id: str) -> ResponseReturnValue:
    """Sets the business's reaction to a message, or with an empty one takes it away."""
    body = json_body()
    reaction_id, emoji = body.get("client_id"), body.get("emoji")
    if not isinstance(reaction_id, str) or not _ID.fullmatch(reaction_id):
        raise ApiError(422, "invalid", "O identificador da reação não é válido.", "client_id")
    if not isinstance(emoji, str) or not (emoji == "" or _is_emoji(emoji)):
        raise ApiError(422, "invalid", "A reação precisa ser um emoji.", "emoji")
    reactions: Reactions = current_app.extensions["chat_reactions"]
    try:
        message = reactions.react(
            key_name(conversation_id),
            message_id,
            reaction_id.lower(),
            emoji,
            author_id=current_user.username,
            author_name=current_user.name,
        )
    except UnknownConversationError as error:
        raise not_found() from error
    except CannotReactError as error:
        status, text = _WHY_NOT[error.reason]
        raise ApiError(status, error.reason, text) from error
    except NotTakenError as error:
        status = 503 if error.code == UNREACHABLE else 409
        raise ApiError(status, "refused", why_refused(error.code)) from error
    return jsonify(message.live_json())


def _is_emoji(value: str) -> bool:
    """Whether this can be one: signs alone, and not those of a keyboard. WhatsApp looks closer."""
    if len(value) > _MOST_CHARS or value.isascii():
        return False
    found = {
        unicodedata.category(each) for each in value.removesuffix("\u20e3").strip("0123456789")
    }
    return not any(each[0] in "LNZ" or each in ("Cc", "Co", "Cs") for each in found)

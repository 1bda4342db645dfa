"""Sends what an attendant wrote, or attached, or passes on; and once more what has failed."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from flask_login import current_user

import message_status
from chat.conversation import quotes
from chat.conversation.attached.attachment import Attachment
from chat.conversation.blank import is_encodable
from chat.conversation.models import Message
from chat.conversation.thread import Quote
from chat.media import objects
from chat.media import service as media
from chat.outgoing.queueing import CollisionError, DifferentMessageError
from chat.outgoing.sending import Sender
from chat.outgoing.templates import TEMPLATE
from chat.outgoing.whatsapp import MAX_TEXT_CHARS
from chat.people import identity
from chat.people.identity import UnknownConversationError
from chat.platform import datastore
from chat.platform.errors import ApiError
from chat.screen import templates
from chat.screen.composer import attachments
from chat.screen.request_parts import (
    client_id_of,
    client_id_taken,
    conversation_of,
    key_name,
    not_found,
)
from chat.uploads import staging

blueprint = Blueprint("sending", __name__)


@blueprint.post("/api/conversations/<conversation_id>/messages")
def send(conversation_id: str) -> ResponseReturnValue:
    """Queues a message: 201 and the message, 200 if this client_id is known.

    `after` is the newest message that was on the sender's screen when they began to write. If
    somebody else answered after it, 409 and that answer; to send all the same, send it as `after`.
    """
    body = attachments.body_of_request()
    client_id, text, template, attachment = client_id_of(body), body.get("text"), None, None
    said: dict[str, Any] = {
        "quote": _quote(conversation_id, body.get("reply_to")),
        "read_up_to": _seen(conversation_id, body, "read_up_to"),
        "after": _seen(conversation_id, body, "after"),
        "forwarded": _forwarded(body.get("forwarded")) or "forward_of" in body,
    }
    if attachments.is_asked(body):
        text, attachment = attachments.of_request(conversation_id, client_id, body)
    elif "template" in body:
        filled = templates.filled_in(client_id, body["template"])
        text, template = filled.text, filled.payload
    if attachment is None:
        text = _checked(text)
    sender: Sender = current_app.extensions["chat_sender"]
    try:
        message, owner_id, new = sender.queue(
            key_name(conversation_id),
            client_id,
            str(text),
            author_id=current_user.username,
            author_name=current_user.name,
            template=template,
            attachment=attachment,
            **said,
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
    if attachment is not None:
        own = objects.names(attachment.media)
        staging.settle(client_id, media.current().store, own)
    return jsonify({**message.live_json(), "conversation_id": owner_id}), 201 if new else 200


def resend(old: Message, client_id: str) -> Message:
    """Queues what `old` says once more, for the attendant who asks; see `message_status.retry`."""
    written = old.type == "text" or (old.type == TEMPLATE and "sent" in (old.payload or {}))
    if not (written and old.text) and Attachment.of(old) is None:
        # The business wrote it on its phone.
        text = "Esta mensagem não pode ser enviada de novo por aqui. Envie pelo celular da empresa."
        raise ApiError(409, "not_ours", text)
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


def _checked(text: Any) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ApiError(422, "invalid", "A mensagem está vazia.", "text")
    if len(text) > MAX_TEXT_CHARS:
        raise ApiError(422, "too_long", f"A mensagem passa de {MAX_TEXT_CHARS} caracteres.", "text")
    if not is_encodable(text):
        raise ApiError(422, "invalid", "A mensagem tem caracteres inválidos.", "text")
    return text


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

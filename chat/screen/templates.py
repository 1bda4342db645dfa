"""Templates, and the conversations that are begun with one."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

import message_status
from chat.conversation import phones
from chat.conversation.models import Message
from chat.conversation.phones import InvalidNumberError
from chat.outgoing import templates
from chat.outgoing.sending import DifferentMessageError, Sender
from chat.outgoing.template_list import (
    Listing,
    ListUnavailableError,
    NotConfiguredError,
    TemplateList,
)
from chat.outgoing.templates import TEMPLATE, Filled, InvalidTemplateError
from chat.people import identity
from chat.platform import datastore
from chat.platform.errors import ApiError
from chat.screen.request_parts import client_id_of, client_id_taken, json_body

blueprint = Blueprint("templates", __name__)

#: A list of many pages from a slow Graph API, and then the store.
_LIST_SECONDS = 60.0
_NOT_CONFIGURED = (
    "Os modelos ainda não foram ligados: falta WHATSAPP_BUSINESS_ACCOUNT_ID. Avise o administrador."
)


@blueprint.get("/api/templates")
def listed() -> ResponseReturnValue:
    """All templates of the business; `refresh=1` asks Meta again."""
    found = _listing(refresh=request.args.get("refresh") == "1")
    return jsonify(templates=[each.as_json() for each in found.templates], stale=found.stale)


@blueprint.post("/api/contacts/number")
def read_number() -> ResponseReturnValue:
    """A number as somebody types it, in its full form, and the conversation it leads to; or what it
    lacks to be one, which while somebody types is no error. By POST: addresses stand in logs.
    """
    try:
        phone = _phone_of(json_body().get("number"))
    except ApiError as error:
        return jsonify(number=None, problem=error.body["message"])
    conversation = identity.People().with_known_number(phone)
    return jsonify(
        number=phone,
        phone=phones.display(phone),
        conversation=conversation.live_json() if conversation else None,
    )


@blueprint.post("/api/conversations")
def begin() -> ResponseReturnValue:
    """Sends a template to a number: 201 the message and its conversation, 200 if this client_id is
    known. The conversation is made with the message, unless the number has one.
    """
    body = json_body()
    client_id, phone = client_id_of(body), _phone_of(body.get("number"))
    filled = filled_in(client_id, body.get("template"))
    sender: Sender = current_app.extensions["chat_sender"]
    try:
        message, conversation, new = sender.begin(
            phone, client_id, filled.text, filled.payload,
            author_id=current_user.username, author_name=current_user.name,
        )  # fmt: skip
    except DifferentMessageError as error:
        raise client_id_taken() from error
    if new or message_status.fact(message, "started_at") is None:
        sender.start(conversation.id)
    told = {
        "message": {**message.live_json(), "conversation_id": conversation.id},
        "conversation": conversation.live_json(message),
    }
    return jsonify(told), 201 if new else 200


def filled_in(client_id: str, value: Any) -> Filled:
    """The template that a request asks for, filled in; as it was the first time, for a repeat.

    Args:
        client_id: of the message.
        value: the request's `template`.

    Raises:
        ApiError: it cannot be sent, and why.
    """
    try:
        asked = templates.asked_of(value)
        known: Message | None = datastore.get(Message, client_id)
        if known is not None and known.type == TEMPLATE:
            # Meta may have changed or deleted it since.
            payload = known.payload or {}
            if payload.get("asked") == asked:
                return Filled(known.text, payload)
        template = _listing().find(asked["name"], asked["language"])
        if template is None:
            template = _listing(refresh=True).find(asked["name"], asked["language"])
        if template is None:
            raise InvalidTemplateError("template.name", "Este modelo não existe mais.")
        return templates.fill(template, asked)
    except InvalidTemplateError as error:
        raise ApiError(422, "invalid_template", str(error), error.field) from error


def _listing(*, refresh: bool = False) -> Listing:
    # Nobody else's read is to be short of time because Meta took its own.
    datastore.allow(_LIST_SECONDS, datastore.RPC_SECONDS)
    found: TemplateList = current_app.extensions["chat_templates"]
    try:
        return found.get(refresh=refresh)
    except NotConfiguredError as error:
        raise ApiError(409, "templates_off", _NOT_CONFIGURED) from error
    except ListUnavailableError as error:
        why = message_status.EXPLANATIONS.get(str(error.code), "Tente novamente em instantes.")
        text = f"Não foi possível carregar os modelos. {why}"
        raise ApiError(503, "templates_unavailable", text) from error


def _phone_of(value: Any) -> str:
    try:
        return phones.typed(value if isinstance(value, str) else "")
    except InvalidNumberError as error:
        raise ApiError(422, "invalid_number", str(error), "number") from error

"""What every route of the JSON API reads out of a request."""

from __future__ import annotations

import re
from typing import Any

from flask import request

from chat.conversation.models import Conversation
from chat.people import identity
from chat.platform import datastore, search_words
from chat.platform.errors import ApiError

_MAX_QUERY = 100
_MAX_WORDS = 10
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def json_body() -> dict[str, Any]:
    """The request's body, a JSON object.

    Raises:
        ApiError: it is none.
    """
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # nested thousands deep, which `silent` does not cover
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, "not_json", "A requisição precisa ser um objeto JSON.")
    return body


def client_id_of(body: dict[str, Any]) -> str:
    """The browser's id for the message that is to be sent.

    Raises:
        ApiError: it is no UUID.
    """
    client_id = body.get("client_id")
    if not isinstance(client_id, str) or not _UUID.fullmatch(client_id):
        raise ApiError(422, "invalid", "O identificador da mensagem não é válido.", "client_id")
    return client_id.lower()


def client_id_taken() -> ApiError:
    """This client_id is another message's."""
    text = "Este identificador já foi usado por outra mensagem."
    return ApiError(409, "client_id_taken", text, "client_id")


def key_name(value: str) -> str:
    """A conversation's id out of an address.

    Raises:
        ApiError: it can be none.
    """
    if not datastore.is_key_name(value):
        raise not_found()
    return value


def conversation_of(conversation_id: str) -> Conversation:
    """The conversation of this id, which may be any text, or the one it was merged into.

    Raises:
        ApiError: there is none.
    """
    found = identity.load_conversation(key_name(conversation_id))
    if found is None:
        raise not_found()
    return found


def not_found() -> ApiError:
    """There is no such conversation."""
    return ApiError(404, "not_found", "Conversa não encontrada.")


def query_text() -> str:
    """What is searched for.

    Raises:
        ApiError: it is too long.
    """
    text = request.args.get("q", "")
    if len(text) > _MAX_QUERY or len(search_words.words_of(text)) > _MAX_WORDS:
        raise ApiError(422, "invalid", "Pesquise menos palavras.", "q")
    return text

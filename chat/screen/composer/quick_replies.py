"""Answers that the business keeps: "/horario" becomes a text. Any attendant makes, changes and
deletes them, and all screens follow.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from flask_login import current_user
from google.cloud import ndb

import realtime_events
from chat.conversation.blank import is_encodable
from chat.outgoing.whatsapp import MAX_TEXT_CHARS
from chat.platform import datastore
from chat.platform.errors import ApiError
from chat.screen.request_parts import json_body

blueprint = Blueprint("quick_replies", __name__, url_prefix="/api/quick-replies")

MAX_SHORTCUT = 25
#: All are read at once, by every screen that uses them.
MOST = 200


class QuickReply(ndb.Model):
    """One of them. Key name: its shortcut as shortcuts are compared, so that no two are alike."""

    shortcut = ndb.TextProperty()
    text = ndb.TextProperty()
    changed_by = ndb.TextProperty()  # the attendant's name, as shown
    changed_at = ndb.IntegerProperty(indexed=False)  # ms

    def as_json(self) -> dict[str, Any]:
        """As the screen has it."""
        return {
            "id": str(self.key.id()),
            "shortcut": self.shortcut,
            "text": self.text,
            "changed_by": self.changed_by,
            "changed_at": realtime_events.iso(self.changed_at),
        }


@blueprint.get("")
def listed() -> ResponseReturnValue:
    """All of them, in no order."""
    # Several who make the last one at the same time make a few more.
    found = QuickReply.query().fetch(MOST + 20)
    return jsonify(quick_replies=[each.as_json() for each in found])


@blueprint.post("")
def make() -> ResponseReturnValue:
    """A new one."""
    body = json_body()
    shortcut, text = _shortcut(body), _text(body)
    if QuickReply.query().count(limit=MOST) >= MOST:
        raise ApiError(409, "too_many", f"Já há {MOST} respostas rápidas. Apague alguma antes.")
    return jsonify(
        quick_reply=realtime_events.transaction(lambda: _put(shortcut, text)).as_json()
    ), 201


@blueprint.post("/<reply_id>")
def change(reply_id: str) -> ResponseReturnValue:
    """Another text, or another shortcut; `changed_at`: as it was when the change began."""
    body = json_body()
    shortcut, text = _shortcut(body), _text(body)

    def attempt() -> QuickReply:
        known = _known(reply_id)
        if (known.shortcut, known.text) == (shortcut, text):
            return known  # asked again: the first answer was lost
        if body.get("changed_at") != realtime_events.iso(known.changed_at):
            message = f"{known.changed_by} alterou esta resposta enquanto você a editava."
            raise ApiError(409, "changed", message)
        if _key_name(shortcut) != reply_id:
            known.key.delete()
            return _put(shortcut, text)
        return _put(shortcut, text, known)

    return jsonify(quick_reply=realtime_events.transaction(attempt).as_json())


@blueprint.delete("/<reply_id>")
def delete(reply_id: str) -> ResponseReturnValue:
    """One less; that it is gone already is no error."""

    def attempt() -> None:
        known = datastore.get(QuickReply, reply_id) if datastore.is_key_name(reply_id) else None
        if known is not None:
            known.key.delete()
            _tell()

    realtime_events.transaction(attempt)
    return jsonify(deleted=True)


def _put(shortcut: str, text: str, known: QuickReply | None = None) -> QuickReply:
    """Stores it, in the transaction; a new one unless `known` is given."""
    name = _key_name(shortcut)
    there = datastore.get(QuickReply, name) if known is None else None
    if there is not None and (there.shortcut, there.text) == (shortcut, text):
        return there  # asked again: the first answer was lost
    if there is not None:
        raise ApiError(
            409, "taken", f"Já existe uma resposta com o atalho /{shortcut}.", "shortcut"
        )
    reply = QuickReply(
        id=name,
        shortcut=shortcut,
        text=text,
        changed_by=current_user.name,
        changed_at=realtime_events.now_ms(),
    )
    reply.put()
    _tell()
    return reply


def _known(reply_id: str) -> QuickReply:
    found = datastore.get(QuickReply, reply_id) if datastore.is_key_name(reply_id) else None
    if found is None:
        raise ApiError(404, "not_found", "Esta resposta rápida não existe mais.")
    return found


def _tell() -> None:
    """The screens read them anew: they are few, and change seldom."""
    realtime_events.publish("quick_replies.changed", {}, conversation_id=None)


def _key_name(shortcut: str) -> str:
    return shortcut.casefold()


def _shortcut(body: dict[str, Any]) -> str:
    given = body.get("shortcut")
    shortcut = unicodedata.normalize("NFC", given).strip() if isinstance(given, str) else ""
    shortcut = shortcut.removeprefix("/")
    plain = shortcut.replace("-", "").replace("_", "")
    if not plain.isalnum() or len(shortcut) > MAX_SHORTCUT:
        message = f"Um atalho tem até {MAX_SHORTCUT} letras, números, “-” ou “_”, sem espaços."
        raise ApiError(422, "invalid", message, "shortcut")
    if not datastore.is_key_name(_key_name(shortcut)):
        raise ApiError(422, "invalid", "Este atalho não pode ser usado.", "shortcut")
    return shortcut


def _text(body: dict[str, Any]) -> str:
    given = body.get("text")
    text = given.strip() if isinstance(given, str) else ""
    if not text:
        raise ApiError(422, "invalid", "Escreva a mensagem.", "text")
    if len(text) > MAX_TEXT_CHARS:
        raise ApiError(422, "too_long", f"A mensagem passa de {MAX_TEXT_CHARS} caracteres.", "text")
    if not is_encodable(text):
        raise ApiError(422, "invalid", "A mensagem tem caracteres inválidos.", "text")
    return text

"""What attendants do to keep their chats in order: pin, archive, rename, label, note."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from flask_login import current_user
from google.cloud import ndb

import realtime_events
from chat.conversation.blank import is_blank, is_encodable
from chat.conversation.models import LISTED, Conversation
from chat.people import labels, notes, pins
from chat.people.labels import LabelError, UnknownLabelError
from chat.people.notes import StaleNotesError
from chat.people.pins import TooManyPinsError
from chat.platform.errors import ApiError
from chat.screen.request_parts import conversation_of, json_body

blueprint = Blueprint("organizing", __name__)

_MAX_NAME = 100
#: Archived chats with something unread that the page is told of at its start.
_MOST_UNREAD = 100
_BY_LABEL = "label:"
_LABEL_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


def listed(wanted: str) -> ndb.Query:
    """The conversations of one of the list's filters, in the list's order.

    Args:
        wanted: "all", "unread", "needs_you", "archived", or "label:" and a label's id.

    Raises:
        ApiError: there is no such filter.
    """
    key = Conversation.sort_key
    # Who is needed, and what has a label, is shown wherever it is; the archived come last.
    lowest = "" if wanted == "needs_you" or wanted.startswith(_BY_LABEL) else LISTED
    query = Conversation.query(key > lowest) if wanted != "archived" else None
    if query is None:
        query = Conversation.query(key > "", key < LISTED)
    elif wanted == "unread":
        query = query.filter(Conversation.is_unread == True)  # noqa: E712 - a filter, not a test
    elif wanted == "needs_you":
        query = query.filter(Conversation.needs_you == True)  # noqa: E712
    elif _LABEL_ID.fullmatch(label_id := wanted.removeprefix(_BY_LABEL)) and label_id != wanted:
        query = query.filter(Conversation.labels == label_id)
    elif wanted != "all":
        raise ApiError(422, "invalid", "Este filtro não existe.", "filter")
    return query.order(-key)


def is_listed(wanted: str, found: Conversation) -> bool:
    """Whether a search within one of these filters shows a conversation: in "all" the archived,
    too, as they come last there.
    """
    if wanted == "unread":
        return bool(found.is_unread and not found.archived)
    if wanted == "needs_you":
        return bool(found.needs_you)
    if wanted == "archived":
        return bool(found.archived)
    return wanted == "all" or wanted.removeprefix(_BY_LABEL) in found.labels


# --- one conversation -----------------------------------------------------------------------------


@blueprint.post("/api/conversations/<conversation_id>/pinned")
def pin(conversation_id: str) -> ResponseReturnValue:
    """Puts a conversation above the others, or back among them."""
    pinned = _flag("pinned", "fixar")

    def act(found: Conversation) -> None:
        if found.pinned == pinned:
            return
        if not pinned:
            pins.unpin(found)
            return
        if found.archived:
            message = "Desarquive a conversa para poder fixá-la."
            raise ApiError(409, "archived", message, "pinned")
        try:
            pins.pin(found)
        except TooManyPinsError as error:
            message = f"Você só pode fixar até {pins.MOST} conversas."
            raise ApiError(409, "too_many_pins", message, "pinned") from error

    return _change(conversation_id, act)


@blueprint.post("/api/conversations/<conversation_id>/archived")
def archive(conversation_id: str) -> ResponseReturnValue:
    """Puts a conversation among the archived ones, where it stays when messages come; or back."""
    archived = _flag("archived", "arquivar")

    def act(found: Conversation) -> None:
        found.archived = archived
        if archived and found.pinned:
            pins.unpin(found)

    return _change(conversation_id, act)


@blueprint.post("/api/conversations/<conversation_id>/muted")
def mute(conversation_id: str) -> ResponseReturnValue:
    """Lets a conversation notify nobody, or again."""
    muted = _flag("muted", "silenciar")

    def act(found: Conversation) -> None:
        found.muted = muted

    return _change(conversation_id, act)


@blueprint.post("/api/conversations/<conversation_id>/name")
def rename(conversation_id: str) -> ResponseReturnValue:
    """Calls a conversation as the business wants; an empty name: as WhatsApp tells it."""
    name = _text(json_body().get("name"), "name", "O nome", _MAX_NAME, empty=True)

    def act(found: Conversation) -> None:
        if (found.own_name or "") != name:
            found.own_name, found.own_name_at = name or None, realtime_events.now_ms()

    return _change(conversation_id, act)


@blueprint.post("/api/conversations/<conversation_id>/labels")
def label(conversation_id: str) -> ResponseReturnValue:
    """Puts labels on a conversation and takes others off; what others do meanwhile stays."""
    body = json_body()
    add, remove = _ids(body, "add"), _ids(body, "remove")

    def act(found: Conversation) -> None:
        try:
            found.labels = labels.changed(found.labels, add, remove)
        except UnknownLabelError as error:
            raise _no_label() from error

    return _change(conversation_id, act)


def _change(conversation_id: str, act: Callable[[Conversation], None]) -> ResponseReturnValue:
    """Changes a conversation in a transaction and tells everybody; the answer is how it is now."""
    names = ("pinned", "archived", "muted", "labels", "own_name", "own_name_at")

    def attempt() -> Conversation:
        found = conversation_of(conversation_id)
        before = {name: getattr(found, name) for name in names}
        act(found)
        after = {name: getattr(found, name) for name in names}
        if after == before:
            return found
        changed: Conversation = realtime_events.update(found, **after, sort_key=found.list_key())
        return changed

    return jsonify(conversation=realtime_events.transaction(attempt).live_json())


@blueprint.get("/api/conversations/archived")
def archived_overview() -> ResponseReturnValue:
    """The newest archived conversation, and those that are unread: what the list's row of them
    says.
    """
    cursor = realtime_events.current_cursor()
    query = listed("archived")
    unread = query.filter(Conversation.is_unread == True).fetch(_MOST_UNREAD)  # noqa: E712
    found = {each.id: each for each in (*query.fetch(1), *unread)}
    return jsonify(
        conversations=[each.live_json() for each in found.values()],
        more=len(unread) >= _MOST_UNREAD,
        cursor=cursor,
    )


# --- notes ----------------------------------------------------------------------------------------


@blueprint.get("/api/conversations/<conversation_id>/notes")
def read_notes(conversation_id: str) -> ResponseReturnValue:
    """What the team has noted of a conversation."""
    return jsonify(notes=notes.as_json(notes.of(conversation_of(conversation_id))))


@blueprint.post("/api/conversations/<conversation_id>/notes")
def write_notes(conversation_id: str) -> ResponseReturnValue:
    """Replaces the notes; `version` is of those that the attendant has changed."""
    body = json_body()
    text = _text(body.get("text"), "text", "A anotação", notes.MAX_CHARS, empty=True, lines=True)
    version = body.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise ApiError(422, "invalid", "Diga qual versão da anotação foi alterada.", "version")

    def attempt() -> notes.TeamNotes:
        found, now = conversation_of(conversation_id), realtime_events.now_ms()
        return notes.change(found, text, version, current_user.name, now)

    try:
        written = realtime_events.transaction(attempt)
    except StaleNotesError as error:
        by = error.notes.changed_by or "Outra pessoa"
        message = f"{by} alterou as anotações enquanto você escrevia."
        raise ApiError(409, "notes_changed", message, "version") from error
    return jsonify(notes=notes.as_json(written))


# --- labels ---------------------------------------------------------------------------------------


@blueprint.get("/api/labels")
def list_labels() -> ResponseReturnValue:
    """All labels of the business."""
    return jsonify(**labels.as_json(labels.book()))


@blueprint.post("/api/labels")
def add_label() -> ResponseReturnValue:
    """Makes a label."""
    body = json_body()
    name, colour = _label_name(body.get("name")), _colour(body.get("colour", 0))
    try:
        made, book = labels.add(name, colour)
    except LabelError as error:
        raise ApiError(409, "no_label", str(error), "name") from error
    return jsonify(label=made, **labels.as_json(book)), 201


@blueprint.post("/api/labels/<label_id>")
def edit_label(label_id: str) -> ResponseReturnValue:
    """Gives a label another name, another colour, or both."""
    body = json_body()
    name = _label_name(body["name"]) if "name" in body else None
    colour = _colour(body["colour"]) if "colour" in body else None
    try:
        book = labels.edit(label_id, name, colour)
    except UnknownLabelError as error:
        raise _no_label() from error
    except LabelError as error:
        raise ApiError(409, "no_label", str(error), "name") from error
    return jsonify(**labels.as_json(book))


@blueprint.delete("/api/labels/<label_id>")
def delete_label(label_id: str) -> ResponseReturnValue:
    """Deletes a label; no chat has it any more."""
    try:
        return jsonify(**labels.as_json(labels.remove(label_id)))
    except UnknownLabelError as error:
        raise _no_label() from error


# --- what a request says --------------------------------------------------------------------------


def _flag(name: str, what: str) -> bool:
    value = json_body().get(name)
    if not isinstance(value, bool):
        raise ApiError(422, "invalid", f"Diga se é para {what}: true ou false.", name)
    return value


def _text(
    value: Any, field: str, what: str, most: int, *, empty: bool = False, lines: bool = False
) -> str:
    """A text as it is stored: without blanks around it, and on one line unless it has `lines`."""
    if not isinstance(value, str) or not is_encodable(value):
        raise ApiError(422, "invalid", f"{what} não é um texto válido.", field)
    text = value.strip() if lines else " ".join(value.split())
    text = "" if is_blank(text) else text
    if not text and not empty:
        raise ApiError(422, "invalid", f"{what} está em branco.", field)
    if len(text) > most:
        raise ApiError(422, "too_long", f"{what} passa de {most} caracteres.", field)
    return text


def _label_name(value: Any) -> str:
    return _text(value, "name", "O nome", labels.MAX_NAME)


def _colour(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < labels.COLOURS:
        raise ApiError(422, "invalid", "Esta cor não existe.", "colour")
    return value


def _ids(body: dict[str, Any], name: str) -> list[str]:
    value = body.get(name, [])
    good = isinstance(value, list) and all(isinstance(each, str) for each in value)
    if not good or len(value) > labels.MOST:
        raise ApiError(422, "invalid", "Diga quais etiquetas.", name)
    return list(value)


def _no_label() -> ApiError:
    return ApiError(404, "label_not_found", "Esta etiqueta não existe mais.")

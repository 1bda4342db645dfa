"""Deleting a customer's data, for administrators: the records, whose data are meant, the question
that has to be answered by typing, and how far it has come.
"""

from __future__ import annotations

import logging
import re
import time
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from chat.auto_reply.settings import BRASILIA
from chat.conversation import phones
from chat.conversation.models import Conversation, Message
from chat.conversation.serializers import display_name
from chat.people import identity
from chat.platform import datastore
from chat.retention import deletion, records
from chat.retention.records import DataDeletion
from chat.retention.settings import RetentionSettings
from chat.screen import admin

blueprint = Blueprint("retention", __name__, url_prefix="/admin/retention")
admin.guard(blueprint)
_log = logging.getLogger(__name__)

#: The administrator waits so long for the deletion; what is left is cron's.
_SECONDS = 4.0
#: Messages that are counted for the question; of more it says "more than".
_MOST_COUNTED = 1_000
_MAX_TYPED = 200
_MAX_MARKER = 100


@blueprint.get("")
def listed() -> ResponseReturnValue:
    """A page of records, and where to look for somebody."""
    before = request.args.get("before")
    usable = before and len(before) <= _MAX_MARKER and before.isprintable()
    return _list(records.listed(before if usable else None), before=before if usable else None)


@blueprint.post("/find")
def find() -> ResponseReturnValue:
    """Whose number that is, and what was deleted of whoever had it. By POST: an address that has a
    number in it stays in histories and logs.
    """
    typed = request.form.get("number", "")
    try:
        number = phones.typed(typed)
    except phones.InvalidNumberError as error:
        flash(str(error))
        return _list(records.listed())
    known = identity.People().with_known_number(number)
    found = records.Page(records.of_number(number), None)
    about = {
        "number": phones.display(number),
        "id": known.id if known else None,
        "name": display_name(known) if known else None,
    }
    return _list(found, about=about)


@blueprint.get("/conversations/<conversation_id>")
def question(conversation_id: str) -> ResponseReturnValue:
    """What is to be deleted, and the question."""
    return _question(_of(conversation_id))


@blueprint.post("/conversations/<conversation_id>")
def delete(conversation_id: str) -> ResponseReturnValue:
    """Deletes, if what was typed is whose data are meant."""
    known = records.of_conversation(conversation_id)
    if known is not None:  # asked twice
        return redirect(url_for("retention.listed"), 303)
    conversation = _of(conversation_id)
    if not _is_meant(conversation, request.form.get("typed", "")):
        flash("O que você digitou não confere. Nada foi apagado.")
        return redirect(url_for("retention.question", conversation_id=conversation.id), 303)
    record = deletion.begin(conversation.id, current_user.username)
    if record is not None:
        datastore.allow(_SECONDS * 3, datastore.RPC_SECONDS)
        deletion.go_on(record.conversation_id, time.monotonic() + _SECONDS)
        flash("A conversa saiu de todas as telas. O resto está sendo apagado.", "done")
    return redirect(url_for("retention.listed"), 303)


def _of(conversation_id: str) -> Conversation:
    found = identity.load_conversation(conversation_id)
    if found is None:
        abort(404)
    return found


def _question(conversation: Conversation) -> str:
    count = 0
    for each in (conversation.id, *conversation.absorbed):
        query = Message.query(Message.conversation_id == each)
        count += query.count(limit=_MOST_COUNTED + 1 - count)
        if count > _MOST_COUNTED:
            break
    shown = f"mais de {_count(_MOST_COUNTED)}" if count > _MOST_COUNTED else _count(count)
    return render_template(
        "chat/retention/question.html",
        id=conversation.id,
        name=display_name(conversation),
        number=phones.display(conversation.phone) if conversation.phone else None,
        to_type=_to_type(conversation),
        messages="1 mensagem" if count == 1 else f"{shown} mensagens",
        merged=len(conversation.absorbed),
    )


def _to_type(conversation: Conversation) -> str:
    """What an administrator types to say that they mean this one."""
    if conversation.phone:
        return phones.display(conversation.phone)
    return " ".join(display_name(conversation).split())


def _is_meant(conversation: Conversation, typed: str) -> bool:
    wanted = _to_type(conversation)
    if conversation.phone:
        return re.sub(r"\D", "", typed[:_MAX_TYPED]) == re.sub(r"\D", "", wanted)
    return " ".join(typed[:_MAX_TYPED].split()).casefold() == wanted.casefold()


def _list(
    page: records.Page, *, before: str | None = None, about: dict[str, Any] | None = None
) -> str:
    settings: RetentionSettings = current_app.extensions["chat_retention"]
    works = deletion.under_way(page.records)
    return render_template(
        "chat/retention/records.html",
        records=[_shown(each, works.get(each.conversation_id)) for each in page.records],
        before=before,
        next=page.next,
        about=about,
        messages_days=_days(settings.messages_days),
        media_days=_days(settings.media_days),
    )


def _shown(record: DataDeletion, work: Any) -> dict[str, Any]:
    """A record as people read it."""
    return {
        "id": record.conversation_id,
        "asked": _clock(record.asked_at),
        "by": record.asked_by or "Prazo de guarda",
        "messages": _count(record.messages),
        "media": _count(record.media),
        "others": _count(record.others),
        "merged": record.merged,
        "person": record.person,
        "done": _clock(record.done_at) if record.done_at else None,
        "checks": work is not None and work.plan["round"] > 1,
    }


def _days(days: int) -> str:
    if not days:
        return "sem prazo"
    return "1 dia" if days == 1 else f"{_count(days)} dias"


def _count(number: int) -> str:
    return f"{number:,}".replace(",", ".")


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, BRASILIA).strftime("%d/%m/%Y %H:%M:%S")

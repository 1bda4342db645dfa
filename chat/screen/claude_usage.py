"""What Claude's answers cost, for administrators: by day, by chat, and call by call."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from google.cloud import ndb

import realtime_events
from chat.auto_reply import service, usage
from chat.auto_reply.settings import BRASILIA
from chat.auto_reply.usage import Report, Totals
from chat.conversation.models import Conversation
from chat.conversation.serializers import display_name
from chat.people import identity
from chat.platform import datastore
from chat.screen import admin

blueprint = Blueprint("claude_usage", __name__, url_prefix="/admin/claude")
admin.guard(blueprint)

_DAY = re.compile(r"20\d\d-(0\d|1[0-2])-([0-2]\d|3[01])")
_KINDS = {
    "answer": "Resposta",
    "hand_over": "Passou a conversa",
    "discarded": "Descartada: a conversa mudou enquanto era escrita",
    "suggestion": "Sugestão",
    "failed": "Falhou",
}


@blueprint.get("")
def days() -> ResponseReturnValue:
    """The last days, over all chats."""
    report = usage.by_day(realtime_events.now_ms())
    rows = [{"key": day, "name": _date(day)} for day in report.rows]
    return _page("Uso do Claude", "Dia", report, rows, endpoint="claude_usage.day")


@blueprint.get("/<day>")
def day(day: str) -> ResponseReturnValue:
    """One day, by chat."""
    if not _DAY.fullmatch(day):
        abort(404)
    report = usage.by_conversation(day)
    found = datastore.get_many([ndb.Key(Conversation, name) for name in report.rows])
    rows = [
        {"key": name, "name": display_name(each) if each else "Conversa removida"}
        for name, each in zip(report.rows, found, strict=True)
    ]
    title = f"Uso do Claude em {_date(day)}"
    return _page(title, "Conversa", report, rows, endpoint="claude_usage.conversation")


@blueprint.get("/conversations/<conversation_id>")
def conversation(conversation_id: str) -> ResponseReturnValue:
    """One chat, by day and call by call."""
    found = identity.load_conversation(conversation_id)
    if found is None:
        abort(404)
    report, calls = usage.of_conversation([found.id, *found.absorbed])
    rows = [{"key": day, "name": _date(day)} for day in report.rows]
    title = f"Uso do Claude com {display_name(found)}"
    return _page(title, "Dia", report, rows, calls=[_call(each) for each in calls])


def _page(
    title: str,
    column: str,
    report: Report,
    rows: list[dict[str, str]],
    *,
    endpoint: str | None = None,
    calls: list[dict[str, Any]] | None = None,
) -> ResponseReturnValue:
    return render_template(
        "chat/claude_usage.html",
        title=title,
        column=column,
        rows=[{**row, **_shown(report.rows[row["key"]])} for row in rows],
        total=_shown(report.total),
        complete=report.complete,
        endpoint=endpoint,
        calls=calls,
        enabled=service.settings().enabled,
    )


def _shown(totals: Totals) -> dict[str, str]:
    """A row's numbers as people read them."""
    answered = totals.answers + totals.hand_overs
    seconds = totals.ms / 1000 / totals.calls if totals.calls else 0
    return {
        "answers": _count(totals.answers),
        "hand_overs": _count(totals.hand_overs),
        "calls": _count(totals.calls),
        "input": _count(totals.input + totals.cache_write),
        "cached": _count(totals.cache_read),
        "output": _count(totals.output),
        "seconds": f"{seconds:.1f} s".replace(".", ",") if answered else "–",
        "cost": _dollars(totals.cost, complete=not totals.unpriced),
    }


def _call(call: dict[str, Any]) -> dict[str, str]:
    when = datetime.fromtimestamp(call["at"] / 1000, BRASILIA)
    kind = _KINDS.get(call["kind"], call["kind"])
    return {
        "at": f"{when:%d/%m/%Y %H:%M:%S}",
        "kind": f"{kind}: {call['reason']}" if call.get("reason") else kind,
        "model": call["model"] or "–",
        "input": _count(call["input"] + call["cache_write"]),
        "cached": _count(call["cache_read"]),
        "output": _count(call["output"]),
        "seconds": f"{call['ms'] / 1000:.1f} s".replace(".", ","),
        "cost": _dollars(call["cost"] or 0.0, complete=call["cost"] is not None),
    }


def _count(number: int) -> str:
    return f"{number:,}".replace(",", ".")


def _dollars(amount: float, *, complete: bool) -> str:
    if not complete and not amount:
        return "preço desconhecido"
    text = f"US$ {amount:,.4f}".translate(str.maketrans(",.", ".,"))
    return text if complete else f"mais de {text}"


def _date(day: str) -> str:
    return "/".join(reversed(day.split("-")))

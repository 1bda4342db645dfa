"""What administrators alone see: the updates that were set aside, to be read and tried again; and
the guard of all their pages.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from google.cloud import ndb
from werkzeug.exceptions import HTTPException

from chat.incoming import deferred
from chat.incoming.deferred import RejectedUpdate
from chat.platform import datastore

blueprint = Blueprint("admin", __name__, url_prefix="/admin")
_log = logging.getLogger(__name__)

_MAX_KEY = 200
#: The menu says no more than "99+".
_MOST_COUNTED = 100
#: A retry is a webhook call's work; somebody waits for it.
_RETRY_SECONDS = 30.0
_RPC_SECONDS = 8.0
#: Brazil has had no summer time since 2019.
_BRASILIA = timezone(timedelta(hours=-3))
#: The parser's reasons, which are English, as an administrator reads them.
_REASONS = {
    "not JSON": "Não é JSON",
    "not an object": "Não é um objeto",
    "not a list": "Não é uma lista",
    "missing or not a usable text": "Falta, ou não é um texto que sirva",
    "not a usable text": "Não é um texto que sirva",
    "too large": "Grande demais",
    "names no sender": "Não diz quem enviou",
    "names nobody": "Não diz para quem é",
    "names no message": "Não diz de qual mensagem fala",
    "names no new text": "Não traz o texto novo",
}
_SURPRISES = {
    "cannot be read": "Não pôde ser lida",
    "cannot be stored": "Não pôde ser guardada",
}
_GONE = "Esta atualização não está mais na lista: já foi recuperada ou descartada."


def count_in_words() -> str:
    """How many updates are set aside, as the menu says it; empty for none."""
    query = RejectedUpdate.query(RejectedUpdate.sort_key > "")  # as `deferred.listed`
    count = query.count(limit=_MOST_COUNTED)
    return f"{_MOST_COUNTED - 1}+" if count >= _MOST_COUNTED else str(count or "")


def _require_admin() -> None:
    """For every route of the blueprint, also those to come; a login was asked for before."""
    if not getattr(current_user, "is_admin", False):
        abort(403)


@blueprint.get("/set-aside")
def list_set_aside() -> ResponseReturnValue:
    """A page of what was set aside, the newest first."""
    before = _marker(request.args.get("before"))
    found = deferred.listed(before)
    keys = [ndb.Key(RejectedUpdate, each["name"]) for each in found["updates"]]
    sizes = [len((each.raw or "").encode()) if each else 0 for each in datastore.get_many(keys)]
    updates = [
        {
            **each,
            "why": _in_words(each["field"], each["reason"]),
            "size": _size(size),
            "first": _clock(each["first_at"]),
            "last": _clock(each["last_at"]),
        }
        for each, size in zip(found["updates"], sizes, strict=True)
    ]
    return render_template(
        "chat/set_aside.html", updates=updates, before=before, next=found["next"]
    )


@blueprint.get("/set-aside/<name>/raw")
def show_raw(name: str) -> ResponseReturnValue:
    """What came, as it came: a file to be saved, whatever a stranger wrote into it."""
    text = deferred.raw(name)
    if text is None:
        abort(404)
    response = Response(text, mimetype="text/plain")
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.txt")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/set-aside/<name>/retry")
def retry(name: str) -> ResponseReturnValue:
    """Hands an update to the parser again."""
    if deferred.raw(name) is None:
        flash(_GONE)
        return _back()
    datastore.allow(_RETRY_SECONDS, _RPC_SECONDS)
    done = deferred.retry(name)
    _log.info("set aside %s: tried again by %s, %s", name, current_user.username, done)
    if done:
        flash("Recuperada: a atualização foi lida e já está no seu lugar.", "done")
        return _back()
    entity = datastore.get(RejectedUpdate, name)
    if entity is None:
        flash(_GONE)
    elif not entity.whole:
        flash("Continua recusada: é grande demais e só uma parte foi guardada.")
    else:
        flash(f"Continua recusada. {_in_words(entity.field, entity.reason)}.")
    return _back()


@blueprint.post("/set-aside/<name>/discard")
def discard(name: str) -> ResponseReturnValue:
    """Deletes an update for good."""
    if deferred.raw(name) is None:
        flash(_GONE)
        return _back()
    ndb.Key(RejectedUpdate, name).delete()
    _log.info("set aside %s: discarded by %s", name, current_user.username)
    flash("Descartada.", "done")
    return _back()


# --- in words -------------------------------------------------------------------------------------


def _in_words(field: Any, reason: Any) -> str:
    """`RejectedUpdate.reason` in Portuguese; what is not known stays as it is."""
    plain = str(reason or "").removeprefix(f"{field}: ")
    what, _, kind = plain.partition(": ")
    if what in _SURPRISES:
        return f"{_SURPRISES[what]} ({kind})" if kind else _SURPRISES[what]
    return _REASONS.get(plain, plain or "Sem motivo anotado")


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB".replace(".", ",")


def _clock(iso: str | None) -> str:
    if iso is None:
        return "?"
    return datetime.fromisoformat(iso).astimezone(_BRASILIA).strftime("%d/%m/%Y %H:%M:%S")


def _marker(value: str | None) -> str | None:
    """A page's marker; None, which is the first page, for anything that can be none."""
    usable = value and len(value) <= _MAX_KEY and value.isprintable()
    return value if usable else None


def _back() -> ResponseReturnValue:
    before = _marker(request.form.get("before"))
    return redirect(url_for("admin.list_set_aside", before=before), 303)


# --- what goes wrong ------------------------------------------------------------------------------


def _notice(status: int, title: str, text: str) -> ResponseReturnValue:
    # Not `render_template`, which reads the attendant: the store may be what is missing.
    template = current_app.jinja_env.get_template("chat/admin_notice.html")
    return template.render(title=title, text=text), status


def _refused(error: HTTPException) -> ResponseReturnValue:
    if error.code == 403:
        return _notice(403, "Só para administradores", "Seu acesso não inclui esta página.")
    if error.code == 404:
        if request.blueprint == blueprint.name:
            return _notice(404, "Não está mais na lista", _GONE)
        return _notice(404, "Não encontrado", "Este endereço não leva a nada.")
    return _notice(error.code or 500, "Não deu certo", "A requisição não pôde ser entendida.")


def _stale_token(_error: CSRFError) -> ResponseReturnValue:
    text = "Esta página ficou aberta tempo demais. Volte para a lista e tente novamente."
    return _notice(400, "Tente novamente", text)


def _store_failed(error: Exception) -> ResponseReturnValue:
    _log.error("the store failed: %s", type(error).__name__)
    text = "O banco de dados não respondeu. Tente novamente em instantes."
    return _notice(503, "Tente novamente", text)


def guard(pages: Blueprint) -> None:
    """Closes a blueprint to all but administrators, and has its errors told as pages."""
    pages.before_request(_require_admin)
    pages.register_error_handler(HTTPException, _refused)
    pages.register_error_handler(CSRFError, _stale_token)
    for kind in datastore.ERRORS:
        pages.register_error_handler(kind, _store_failed)


guard(blueprint)

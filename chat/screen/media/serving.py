"""Gives attendants the files of messages: what may be shown as what it is, the rest to be kept."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Any, BinaryIO
from urllib.parse import quote

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import dump_options_header
from werkzeug.wsgi import FileWrapper

import realtime_events
from chat.conversation.attached import media
from chat.conversation.models import Message
from chat.media import inspection, service
from chat.media.store import MissingError, StoreError
from chat.people import identity
from chat.platform import datastore
from chat.platform.errors import ApiError

blueprint = Blueprint("media", __name__)

#: App Engine passes no response above 32 MB on.
MAX_RESPONSE_BYTES = 30_000_000
#: Of a range that is asked for, so much at once: players ask for the rest.
PIECE_BYTES = 8 << 20
#: An address of the bucket's own is good for so long: a download begins at once.
_SIGNED_SECONDS = 300
#: An object never changes.
_CACHE = "private, max-age=31536000, immutable"
_BUFFER = 1 << 16
_NAMES = {
    media.IMAGE: "foto", media.STICKER: "figurinha", media.VIDEO: "video", media.AUDIO: "audio",
    media.VOICE: "voz", media.DOCUMENT: "documento",
}  # fmt: skip


@blueprint.get("/api/messages/<message_id>/media")
def get_media(message_id: str) -> ResponseReturnValue:
    """A message's file, or with `size=thumb` its small picture; with `download=1` to be kept."""
    size = request.args.get("size") or ""
    if size not in ("", "thumb"):
        raise ApiError(422, "invalid", "Este tamanho não existe.", "size")
    message = datastore.get(Message, message_id) if datastore.is_key_name(message_id) else None
    facts = media.of_message(message, realtime_events.now_ms()) if message else None
    if message is None or facts is None or message.revoked_at or _is_gone(message):
        raise ApiError(404, "not_found", "Esta mensagem não tem arquivo.")
    if facts["state"] == media.PENDING:
        text = "O arquivo ainda está a caminho. Tente novamente em instantes."
        raise ApiError(404, "pending", text)
    if facts["state"] != media.READY:
        told = media.as_json(facts)
        raise ApiError(404, "unavailable", told["explanation"], reason=told["reason"])
    if size and not facts.get("thumb"):
        raise ApiError(404, "not_found", "Este arquivo não tem miniatura.")
    try:
        return _thumb(facts) if size else _original(message, facts)
    except MissingError:
        raise ApiError(404, "unavailable", media.EXPLANATIONS["expired"]) from None
    except StoreError as error:
        text = "Os arquivos não estão acessíveis. Tente novamente em instantes."
        raise ApiError(503, "media_unavailable", text) from error


def _is_gone(message: Message) -> bool:
    """Whether its customer's data are being deleted: the conversation went first."""
    return identity.load_conversation(message.conversation_id) is None


def _thumb(facts: dict[str, Any]) -> Response:
    return _response(facts["thumb"], facts["thumb_type"], "inline")


def _original(message: Message, facts: dict[str, Any]) -> ResponseReturnValue:
    mime_type, inline = inspection.served_type(facts["mime_type"])
    if facts.get("played") and request.args.get("download") != "1":
        return _response(facts["played"], facts["played_type"], "inline")
    kept = not inline or request.args.get("download") == "1"
    disposition = dump_options_header("attachment", _named(message, facts)) if kept else "inline"
    if (facts["size"] or 0) > MAX_RESPONSE_BYTES and not request.range:
        store = service.current().store
        url = store.signed_url(
            facts["object"], seconds=_SIGNED_SECONDS, mime_type=mime_type, disposition=disposition
        )
        if url is not None:
            response = redirect(url)
            response.headers["Cache-Control"] = "no-store"
            return response
    return _response(facts["object"], mime_type, disposition)


def _named(message: Message, facts: dict[str, Any]) -> dict[str, str]:
    """The parameters that give a download its name, in both forms that browsers know."""
    name = facts.get("filename")
    if not name:
        when = datetime.fromtimestamp((message.sent_at or 0) / 1000, UTC)
        ending = inspection.ending(facts["mime_type"])
        name = f"{_NAMES[facts['kind']]}-{when:%Y-%m-%d-%H%M%S}.{ending}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    if plain == name:
        return {"filename": name}
    return {"filename": plain, "filename*": f"UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"}


def _bounded(total: int) -> dict[str, Any]:
    """The request with a range that may be answered at once.

    Less than what was asked for is a right answer (RFC 9110, 15.3.7); what cannot be understood, or
    wants several ranges, is answered as if it asked for none.
    """
    environ, wanted = dict(request.environ), request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        environ.pop("HTTP_RANGE", None)
        return environ
    found = wanted.range_for_length(total)
    if found and found[1] - found[0] > PIECE_BYTES:
        environ["HTTP_RANGE"] = f"bytes={found[0]}-{found[0] + PIECE_BYTES - 1}"
    return environ


def _response(name: str, mime_type: str, disposition: str) -> Response:
    """An object as it is asked for: whole, a range of it, or not at all where it is known."""
    store = service.current().store
    file: BinaryIO = store.open(name)
    total = file.seek(0, 2)
    file.seek(0)
    # Not the server's own wrapper: it cannot be sought in.
    response = Response(FileWrapper(file, _BUFFER), direct_passthrough=True)
    response.call_on_close(file.close)
    response.content_length = total
    response.content_type = mime_type
    headers = response.headers
    headers["Content-Disposition"] = disposition
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Cache-Control"] = _CACHE
    response.set_etag(name.replace("/", "-"))
    try:
        response.make_conditional(_bounded(total), accept_ranges=True, complete_length=total)
    except RequestedRangeNotSatisfiable:
        response.close()
        refused = Response(status=416)
        refused.headers["Content-Range"] = f"bytes */{total}"
        return refused
    if request.method == "HEAD" or response.status_code == 304:
        response.close()
    return response

"""Files that attendants send: in the request of their message, uploaded before it, or passed on
from another message.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.exceptions import RequestEntityTooLarge

import realtime_events
from chat.conversation.attached import media as attached
from chat.conversation.attached.attachment import Attachment
from chat.conversation.blank import is_encodable
from chat.conversation.models import Message
from chat.media import objects, service
from chat.media.store import MissingError, StoreError
from chat.platform import datastore
from chat.platform.errors import ApiError
from chat.screen.request_parts import client_id_of, client_id_taken, conversation_of, json_body
from chat.uploads import limits, preparing, staging
from chat.uploads.conversion import BusyError
from chat.uploads.preparing import Given, TooLargeError
from chat.uploads.refusals import WORDS, Refused

blueprint = Blueprint("attachments", __name__)

#: Whose addresses of direct uploads are.
BUCKETS = "https://storage.googleapis.com"
_SEND = "sending.send"
_PUT = "attachments.put"
_MULTIPART = "multipart/form-data"
#: Bodies that Flask would read as fields.
_FORMS = (_MULTIPART, "application/x-www-form-urlencoded")
#: What stands round the file, its caption included.
_FORM_BYTES = 256 * limits.KB
_KINDS_WITHOUT_CAPTION = (attached.VOICE, attached.AUDIO, attached.STICKER)
#: A browser that is answered before it has sent all sees a broken line and no answer: so much is
#: read and thrown away.
_DRAINED_BYTES = 64 * limits.MB
#: App Engine ends a request after ten minutes.
_REQUEST_SECONDS = 570.0


def init_app(app: Flask) -> None:
    """Lets these routes alone take bodies of this size. To be called before anything reads forms,
    and after the check of the login.
    """

    @app.before_request
    def allow_files() -> None:
        if request.endpoint == _SEND and request.mimetype == _MULTIPART:
            _allow(limits.MULTIPART_MAX_BYTES + _FORM_BYTES)
            try:
                _ = request.form
            except RequestEntityTooLarge as error:
                raise _too_large_for_multipart() from error
            # The line may have been slow: the store's time begins now.
            datastore.allow(datastore.REQUEST_SECONDS, datastore.RPC_SECONDS)
        elif request.endpoint == _PUT:
            request.max_content_length = limits.KINDS["document"].max_bytes

    @app.after_request
    def allow_bucket(response: Response) -> Response:
        """The page may put files into the bucket, where there is one."""
        policy = response.headers.get("Content-Security-Policy")
        if policy and response.mimetype == "text/html" and service.current().settings.bucket:
            response.headers["Content-Security-Policy"] = f"{policy}; connect-src 'self' {BUCKETS}"
        return response


def _allow(most: int) -> None:
    if (request.content_length or 0) > most:
        request.max_content_length = None
        left = _DRAINED_BYTES
        with contextlib.suppress(OSError):
            while left > 0 and (piece := request.stream.read(1 << 16)):
                left -= len(piece)
        raise _too_large_for_multipart()
    request.max_content_length = most


def _too_large_for_multipart() -> ApiError:
    most = limits.in_words(limits.MULTIPART_MAX_BYTES)
    text = f"O arquivo é grande demais para ir junto com a mensagem: até {most}."
    return ApiError(413, "too_large", text, "file")


@blueprint.get("/api/media/limits")
def told_limits() -> ResponseReturnValue:
    """What may be sent, of each kind."""
    return jsonify(limits.as_json())


@blueprint.post("/api/conversations/<conversation_id>/uploads")
def begin(conversation_id: str) -> ResponseReturnValue:
    """Where the browser is to put a large file, before the message that it will be: 201. The same
    client_id again gives the same.
    """
    body = json_body()
    client_id = client_id_of(body)
    conversation = conversation_of(conversation_id)
    filename = attached.clean_filename(body.get("filename"))
    size, mime_type = body.get("size"), body.get("mime_type")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise ApiError(422, "invalid", "Diga o tamanho do arquivo em bytes.", "size")
    kind = _kind(body)
    _check_size(kind or attached.DOCUMENT, size)
    if not size:
        raise _refusal(Refused("empty"))
    mime_type = _told_type(mime_type)
    told = {"filename": filename, "size": size, "mime_type": mime_type, "kind": kind}
    upload = staging.note(
        client_id, [], author_id=current_user.username, conversation_id=conversation.id,
        staged=staging.staged_name(client_id), **told,
    )  # fmt: skip
    same = all(getattr(upload, name) == value for name, value in told.items())
    if not same or upload.author_id != current_user.username:
        raise client_id_taken()
    return jsonify(upload=_upload_json(upload)), 201


@blueprint.put("/api/uploads/<upload_id>")
def put(upload_id: str) -> ResponseReturnValue:
    """Takes the file of such an upload, where there is no bucket that takes it itself."""
    upload = _own_upload(upload_id)
    if request.content_length != upload.size:
        raise ApiError(422, "invalid", "O arquivo não tem o tamanho anunciado.", "size")

    def pieces() -> Iterator[bytes]:
        left = upload.size
        while left > 0:
            piece = request.stream.read(min(left, 1 << 18))
            if not piece:
                raise ApiError(400, "incomplete", "O arquivo não chegou inteiro.")
            left -= len(piece)
            yield piece

    with _store_errors():
        service.current().store.put(upload.staged, pieces(), upload.mime_type)
    return jsonify(uploaded=True)


def body_of_request() -> dict[str, Any]:
    """What a request to send says: JSON, or the fields of a form with a file.

    Raises:
        ApiError: it is neither.
    """
    if request.mimetype != _MULTIPART:
        return json_body()
    body: dict[str, Any] = {name: value for name, value in request.form.items() if value}
    if "forwarded" in body:
        body["forwarded"] = {"true": True, "false": False}.get(body["forwarded"], "")
    return {**body, "file": request.files.get("file")}


def is_asked(body: dict[str, Any]) -> bool:
    """Whether a request to send is for a file."""
    return any(name in body for name in ("file", "upload", "forward_of"))


def of_request(
    conversation_id: str, client_id: str, body: dict[str, Any]
) -> tuple[str, Attachment]:
    """The caption and the file of a request, which is in the store then.

    Args:
        conversation_id: where it is to go.
        client_id: of the message.
        body: see `body_of_request`.

    Raises:
        ApiError: it cannot be sent, and why.
    """
    conversation_of(conversation_id)
    kind = _kind(body)
    # What takes its time here is none of the store's.
    datastore.allow(_REQUEST_SECONDS, datastore.RPC_SECONDS)
    try:
        with _store_errors():
            if "forward_of" in body:
                return _passed_on(client_id, body)
            caption = _caption(body.get("caption"))
            if "upload" in body:
                return caption, _uploaded(client_id, body["upload"], kind, caption)
            return caption, _sent_along(client_id, body["file"], kind, caption)
    except Refused as error:
        raise _refusal(error) from error
    except TooLargeError as error:
        raise _too_large(error.kind, error.size) from error
    except BusyError as error:
        text = "Muitos arquivos estão sendo preparados agora. Tente novamente em instantes."
        raise ApiError(503, "busy", text) from error


def _sent_along(client_id: str, sent: Any, kind: str | None, caption: str) -> Attachment:
    if sent is None:
        raise ApiError(422, "invalid", "Falta o arquivo.", "file")
    filename = attached.clean_filename(sent.filename)
    with preparing.folder() as where:
        path = where / "given"
        try:
            size, digest = preparing.kept(sent.stream, path, limits.MULTIPART_MAX_BYTES)
        except TooLargeError as error:
            raise _too_large_for_multipart() from error
        asked = {"sha256": digest, "kind": kind, "filename": filename}
        known = _known(client_id, asked)
        if known is not None:
            return known
        given = Given(size, filename, _told_type(sent.mimetype))
        with path.open("rb") as file:
            kind, found = preparing.look(file, given, kind)
        _check_caption(kind, caption)
        facts = _put(client_id, path, kind, found, filename, where)
    return preparing.attachment(facts, asked)


def _uploaded(client_id: str, upload_id: Any, kind: str | None, caption: str) -> Attachment:
    if upload_id != client_id:
        raise ApiError(422, "invalid", "Este envio de arquivo é de outra mensagem.", "upload")
    asked = {"upload": upload_id, "kind": kind}
    known = _known(client_id, asked)
    if known is not None:
        return known
    upload = _own_upload(upload_id)
    store = service.current().store
    if store.size(upload.staged) != upload.size:
        raise ApiError(409, "not_uploaded", "O arquivo ainda não chegou inteiro.", "upload")
    given = Given(upload.size, upload.filename, upload.mime_type)
    with preparing.folder() as where, store.open(upload.staged) as file:
        kind, found = preparing.look(file, given, kind or upload.kind)
        _check_caption(kind, caption)
        if kind == attached.DOCUMENT:
            # It may be large, and is sent as it is: it is not brought here.
            told = {**preparing.as_document(found, upload.filename), "size": upload.size}
            name = _noted(client_id)
            return preparing.attachment(
                preparing.copy(store, upload.staged, name, file, told), asked
            )
        file.seek(0)
        preparing.kept(file, where / "given", limits.KINDS[kind].max_bytes)
        facts = _put(client_id, where / "given", kind, found, upload.filename, where)
    return preparing.attachment(facts, asked)


def _put(
    client_id: str, path: Path, kind: str, found: str, filename: str | None, where: Path
) -> dict[str, Any]:
    kind, made, told = preparing.prepare(path, kind, found, filename, where)
    return preparing.put(service.current().store, _noted(client_id), made, kind, told)


def _passed_on(client_id: str, body: dict[str, Any]) -> tuple[str, Attachment]:
    """The file of another message, in an object of its own."""
    asked = {"forward_of": body["forward_of"]}
    known = _known(client_id, asked)
    message: Message | None = None
    if datastore.is_key_name(body["forward_of"]):
        message = datastore.get(Message, body["forward_of"])
    if known is not None and message is not None:
        return message.text or "", known
    facts = attached.of_message(message, realtime_events.now_ms()) if message else None
    if message is None or facts is None or message.revoked_at:
        text = "A mensagem encaminhada não tem arquivo."
        raise ApiError(422, "invalid", text, "forward_of")
    if facts["state"] != attached.READY:
        text = "O arquivo da mensagem encaminhada não está disponível."
        raise ApiError(422, "unavailable", text, "forward_of")
    store, name = service.current().store, _noted(client_id)
    with preparing.folder() as where:
        made = preparing.passed_on(store, name, facts, where)
    return message.text or "", preparing.attachment(made, asked)


def _noted(client_id: str) -> str:
    """A new name in the store, of which the clean-up knows, and of its thumbnail."""
    name = preparing.object_name(client_id)
    staging.note(client_id, sorted(objects.to_come(name)), author_id=current_user.username)
    return name


def _known(client_id: str, asked: dict[str, Any]) -> Attachment | None:
    """The file of this message, if it is stored already and was asked for in the same way: nothing
    is converted twice.
    """
    message = datastore.get(Message, client_id)
    if message is None:
        return None
    if (message.media or {}).get("asked") != asked:
        raise client_id_taken()
    return Attachment.of(message)


def _own_upload(upload_id: Any) -> staging.Upload:
    upload = None
    if datastore.is_key_name(upload_id):
        upload = datastore.get(staging.Upload, upload_id)
    usable = upload is not None and upload.staged and upload.author_id == current_user.username
    if upload is None or not usable or staging.is_old(upload, realtime_events.now_ms()):
        raise ApiError(404, "not_found", "Este envio de arquivo não existe mais.", "upload")
    return upload


def _upload_json(upload: staging.Upload) -> dict[str, Any]:
    store = service.current().store
    headers = {"Content-Type": upload.mime_type}
    with _store_errors():
        signed = store.upload_url(
            upload.staged, seconds=staging.URL_SECONDS, mime_type=upload.mime_type,
            size=upload.size,
        )  # fmt: skip
    url = url_for(_PUT, upload_id=upload.id)
    if signed is not None:
        url, headers = signed.url, signed.headers
    expires = realtime_events.now_ms() + staging.URL_SECONDS * 1000
    return {
        "id": upload.id,
        "url": url,
        "method": "PUT",
        "headers": headers,
        "expires_at": realtime_events.iso(expires),
    }


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except MissingError as error:
        text = "O arquivo não existe mais."
        raise ApiError(409, "unavailable", text) from error
    except StoreError as error:
        text = "Os arquivos não estão acessíveis. Tente novamente em instantes."
        raise ApiError(503, "media_unavailable", text) from error


def _kind(body: dict[str, Any]) -> str | None:
    kind = body.get("kind")
    if kind is not None and kind not in preparing.KINDS:
        raise ApiError(422, "invalid", "Este tipo de arquivo não existe.", "kind")
    return kind


def _told_type(value: Any) -> str:
    """A type as a browser tells it; one that could not stand in a header is none."""
    text = value.partition(";")[0].strip().lower() if isinstance(value, str) else ""
    main, slash, rest = text.partition("/")
    plain = slash and len(text) <= 100 and (main + rest).replace("-", "").replace(".", "")
    usable = isinstance(plain, str) and plain.replace("+", "").replace("_", "").isalnum()
    usable = usable and text.isascii() and text not in _FORMS
    return text if usable else "application/octet-stream"


def _caption(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not is_encodable(value):
        raise ApiError(422, "invalid", "A legenda tem caracteres inválidos.", "caption")
    if len(value) > limits.MAX_CAPTION_CHARS:
        text = f"A legenda passa de {limits.MAX_CAPTION_CHARS} caracteres."
        raise ApiError(422, "too_long", text, "caption")
    return value if value.strip() else ""


def _check_caption(kind: str, caption: str) -> None:
    if caption and kind in _KINDS_WITHOUT_CAPTION:
        raise ApiError(422, "invalid", "Áudios e figurinhas não têm legenda.", "caption")


def _check_size(kind: str, size: int) -> None:
    if size > limits.KINDS[kind].max_bytes:
        raise _too_large(kind, size)


def _too_large(kind: str, size: int) -> ApiError:
    found = limits.KINDS[kind]
    most = limits.in_words(found.sent_max_bytes if kind != "image" else found.max_bytes)
    text = f"{found.one} pode ter até {most}; este arquivo tem {limits.in_words(size)}."
    if kind in (attached.VIDEO, attached.AUDIO, attached.IMAGE):
        larger = limits.in_words(limits.KINDS["document"].max_bytes)
        text += f" Como documento, até {larger}."
    return ApiError(413, "too_large", text, "file")


def _refusal(error: Refused) -> ApiError:
    return ApiError(422, "unsupported_type", WORDS[error.code], "file", reason=error.code)

"""The Graph API, as far as a chat needs it: messages, media and the list of templates, with Meta's
answers.

Source: Meta's reference of ``/{phone-number-id}/messages``, of media and of templates. Any version
in the path is served alike, and so is a path without one.
"""

import hmac
import socket
from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from local.simulator.errors import GraphError, error_details
from local.simulator.switches import Refusal
from local.simulator.templates import DEFAULT_LIMIT
from local.simulator.uploads import check_upload
from local.simulator.world import World

__all__ = ["check_send", "graph_blueprint"]

JSON = dict[str, Any]

MAX_BODY = 4096
SLOW_PIECES = 50
MAX_CALLBACK_DATA = 512
_MEDIA = ("audio", "document", "image", "sticker", "video")
_TYPES = ("text", *_MEDIA, "contacts", "interactive", "location", "reaction", "template")


def check_send(payload: JSON) -> JSON:
    """A request to send, with ``type`` filled in where Meta takes it for text.

    Raises:
        GraphError: what Meta answers to such a request.
    """
    if not payload.get("to") and not payload.get("recipient"):
        raise GraphError(100, message="(#100) The parameter to is required.")
    recipient_type = payload.get("recipient_type", "individual")
    if recipient_type not in ("individual", "group"):
        names = "{INDIVIDUAL, GROUP}"
        raise GraphError(100, message=f"(#100) Param recipient_type must be one of {names}.")
    if recipient_type == "group" and not isinstance(payload.get("to"), str):
        raise GraphError(100, message="(#100) Param to must be the id of a group.")
    kind = payload.get("type", "text")
    if kind not in _TYPES:
        names = ", ".join(name.upper() for name in _TYPES)
        raise GraphError(
            100, message=f'(#100) Param type must be one of {{{names}}} - got "{kind}".'
        )
    body: Any = payload.get(kind)
    if not body or type(body) is not (list if kind == "contacts" else dict):
        raise GraphError(131008, f"Required parameter '{kind}' is missing.")
    _CHECKS.get(kind, _check_nothing)(body)
    data = payload.get("biz_opaque_callback_data")
    if data is not None and (not isinstance(data, str) or len(data) > MAX_CALLBACK_DATA):
        raise GraphError(
            100,
            message="(#100) Param biz_opaque_callback_data must be at most "
            f"{MAX_CALLBACK_DATA} characters long.",
        )
    context = payload.get("context")
    if context is not None and not (isinstance(context, dict) and context.get("message_id")):
        raise GraphError(131008, "Required parameter 'context.message_id' is missing.")
    return {**payload, "type": kind}


def _check_text(body: JSON) -> None:
    text = body.get("body")
    if text is None or text == "":
        raise GraphError(100, message="(#100) The parameter text.body is required.")
    if not isinstance(text, str):
        raise GraphError(100, message="(#100) Param text['body'] must be a string.")
    if len(text) > MAX_BODY:
        raise GraphError(
            100, message=f"(#100) Param text['body'] must be at most {MAX_BODY} characters long."
        )


def _needs(*names: str) -> Callable[[JSON], None]:
    def check(body: JSON) -> None:
        for name in names:
            if body.get(name) is None:
                raise GraphError(131008, f"Required parameter '{name}' is missing.")

    return check


def _check_media(body: JSON) -> None:
    if bool(body.get("id")) == bool(body.get("link")):
        raise GraphError(131008, "Either 'id' or 'link' is required, and not both.")


def _check_nothing(body: Any) -> None:
    """Types whose parts are not looked at here."""


_CHECKS: dict[str, Callable[[Any], None]] = {
    "text": _check_text,
    **dict.fromkeys(_MEDIA, _check_media),
    "reaction": _needs("message_id", "emoji"),
    "template": _needs("name", "language"),
    "location": _needs("latitude", "longitude"),
    "interactive": _needs("type"),
}


def graph_blueprint(world: World) -> Blueprint:
    """The routes of Meta's side."""
    graph = Blueprint("graph", __name__)

    def route(path: str, **options: Any) -> Callable[[Any], Any]:
        def add(view: Any) -> Any:
            for prefix in ("/<version:version>", ""):
                graph.add_url_rule(prefix + path, view.__name__, view, **options)
            return view

        return add

    @graph.url_value_preprocessor
    def any_version(_: str | None, values: JSON | None) -> None:
        if values:
            values.pop("version", None)

    @graph.before_request
    def faults() -> Response | None:
        switches = world.switches
        world.timers.wait(switches["graph_delay_ms"] / 1000)
        down = switches["graph_down"]
        if down == "close":
            return hang_up()
        if down == "503":
            raise GraphError(2, error_details(2))
        authenticate()
        return None

    def authenticate() -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if not token:
            raise GraphError(
                104,
                message="An access token is required to request this resource.",
            )
        known = hmac.compare_digest(token.strip().encode(), world.token.encode())
        if scheme.lower() != "bearer" or not known:
            raise GraphError(190, message="Invalid OAuth access token - Cannot parse access token")

    @graph.errorhandler(GraphError)
    def refused(error: GraphError) -> tuple[Response, int, dict[str, str]]:
        header = f'OAuth "Facebook Platform" "invalid_request" "{error}"'
        return jsonify(error.body()), error.http_status, {"WWW-Authenticate": header}

    @graph.errorhandler(HTTPException)
    def not_served(error: HTTPException) -> tuple[Response, int]:
        problem = GraphError(100, message=f"(#100) {error.description}")
        return jsonify(problem.body()), error.code or 400

    def own_number(object_id: str) -> None:
        if object_id != world.metadata.phone_number_id:
            raise GraphError(
                100,
                message=f"Unsupported post request. Object with ID '{object_id}' does not exist, "
                "cannot be loaded due to missing permissions, or does not support this operation.",
                type="GraphMethodException",
                subcode=33,
            )

    @route("/<digits:object_id>/messages", methods=["POST"])
    def messages(object_id: str) -> Response:
        own_number(object_id)
        payload = request.get_json(force=True, silent=True)
        if not isinstance(payload, dict) or payload.get("messaging_product") != "whatsapp":
            raise GraphError(100, message="(#100) The parameter messaging_product is required.")
        if payload.get("status") is not None:
            return mark_read(payload)
        return send(payload)

    def mark_read(payload: JSON) -> Response:
        if payload["status"] != "read":
            raise GraphError(131009, "Parameter 'status' must be 'read'.")
        if not payload.get("message_id"):
            raise GraphError(131008, "Required parameter 'message_id' is missing.")
        typing = payload.get("typing_indicator")
        if typing is not None and typing != {"type": "text"}:
            raise GraphError(131009, "Parameter 'typing_indicator.type' must be 'text'.")
        world.business.mark_read(str(payload["message_id"]), typing=typing is not None)
        return jsonify(success=True)

    def send(payload: JSON) -> Response:
        checked = check_send(payload)
        refuse(world.switches.next_refusal())
        check_media_id(checked)
        silence = world.switches.next_timeout()
        if silence is not None and not silence["process"]:
            return hold(silence["seconds"])
        if checked["type"] == "template":
            shown = world.templates.render(checked["template"])
            checked["template"] = {**checked["template"], "rendered": shown}
        entry, wamid = world.business.accept(checked)
        if silence is not None:
            return hold(silence["seconds"])
        accepted: JSON = {"id": wamid}
        if checked["type"] == "template":
            accepted["message_status"] = "accepted"
        return jsonify(messaging_product="whatsapp", contacts=[entry], messages=[accepted])

    def refuse(refusal: Refusal | None) -> None:
        if refusal is not None:
            raise GraphError(
                refusal.code,
                refusal.details or error_details(refusal.code),
                http_status=refusal.http_status,
            )

    def check_media_id(checked: JSON) -> None:
        kind = checked["type"]
        media_id = checked[kind].get("id") if kind in _MEDIA else None
        if media_id is not None and world.given_media(str(media_id)) is None:
            raise GraphError(
                100,
                message=f"(#100) Param {kind}['id'] is not a valid whatsapp business account "
                "media attachment ID",
            )

    def hold(seconds: float) -> Response:
        world.timers.wait(seconds)
        return hang_up()

    @route("/<digits:object_id>/message_templates")
    def message_templates(object_id: str) -> Response:
        if object_id != world.metadata.business_account_id:
            own_number("")  # nobody may read another account's
        limit = request.args.get("limit", str(DEFAULT_LIMIT))
        if not limit.isdigit() or int(limit) == 0:
            raise GraphError(100, message="(#100) Param limit must be a positive integer.")
        fields, after = request.args.get("fields"), request.args.get("after")
        return jsonify(world.templates.page(fields, int(limit), after))

    @route("/<digits:object_id>/media", methods=["POST"])
    def upload(object_id: str) -> Response:
        own_number(object_id)
        switches = world.switches
        world.timers.wait(switches["upload_delay_ms"] / 1000)
        data, mime_type = check_upload(request.form, request.files.get("file"))
        refuse(switches.next_refused_upload())
        sent = request.files["file"]
        now = world.timers.now()
        stored = world.media.add(data, mime_type, sent.filename or "arquivo", given_at=now)
        return jsonify(id=stored.id)

    @route("/<digits:object_id>", methods=["GET", "DELETE"])
    def graph_object(object_id: str) -> Response:
        if object_id == world.metadata.phone_number_id and request.method == "GET":
            return jsonify(
                verified_name="Empresa de demonstração",
                display_phone_number=world.metadata.display_phone_number,
                quality_rating="GREEN",
                id=object_id,
            )
        stored = world.media.get(object_id)
        if stored is not None and is_expired():
            stored = None
        if stored is None:
            own_number("" if object_id == world.metadata.phone_number_id else object_id)
        if request.method == "DELETE":
            return jsonify(success=world.media.remove(object_id))
        assert stored is not None
        now = world.timers.now()
        return jsonify(world.media.describe(stored, request.host_url.rstrip("/"), now))

    @graph.get("/whatsapp_business/attachments/")
    def download() -> Response:
        stored = world.media.redeem(
            request.args.get("mid", ""), request.args.get("hash", ""), world.timers.now()
        )
        if stored is None:
            return Response(status=404)
        failure = world.switches.next_media("media_fail")
        if failure is not None and failure["cut_after"] is None:
            return Response(status=failure["http_status"])
        chunks = stored.chunks()
        if world.switches.next_media("media_wrong_sha256"):
            chunks = damaged(chunks)
        if slow := world.switches.next_media("media_slow"):
            chunks = trickled(chunks, stored.size, slow["seconds"], world.timers.wait)
        if failure is not None:
            chunks = cut_off(chunks, failure["cut_after"])
        response = Response(chunks, mimetype=stored.mime_type)
        response.content_length = stored.size
        return response

    def is_expired() -> bool:
        return request.method == "GET" and bool(world.switches.next_media("media_expired"))

    return graph


def damaged(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same with its first byte changed."""
    for number, chunk in enumerate(chunks):
        yield bytes([chunk[0] ^ 1]) + chunk[1:] if number == 0 and chunk else chunk


def trickled(
    chunks: Iterator[bytes], size: int, seconds: float, wait: Callable[[float], None]
) -> Iterator[bytes]:
    """The same in small pieces over so many seconds."""
    piece = max(1, size // SLOW_PIECES)
    for chunk in chunks:
        for start in range(0, len(chunk), piece):
            wait(seconds / SLOW_PIECES)
            yield chunk[start : start + piece]


def cut_off(chunks: Iterator[bytes], after: int) -> Iterator[bytes]:
    """So many bytes of it; then the connection ends."""
    for chunk in chunks:
        yield chunk[:after]
        after -= len(chunk)
        if after <= 0:
            return


def hang_up() -> Response:
    """Close the connection without a word, as a server does that dies."""
    connection = request.environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    return Response(status=500)

"""WhatsApp's webhook: every update is stored exactly once, and 200 is said only after the commit.

Meta delivers at least once, unordered and concurrently, up to 1,000 updates a call, and repeats for
days what was not answered 200. So the key of a message is its wamid, one transaction stores all of
one customer's messages of a call, and whatever is wrong with one update concerns that one only.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time

from flask import Blueprint, Response, current_app, jsonify, request

from chat.incoming import decoding, deferred
from chat.incoming.parsing import Rejected
from chat.platform import datastore
from chat.platform.settings import Settings

_log = logging.getLogger(__name__)

blueprint = Blueprint("webhook", __name__)

#: Meta sends 3 MB at most.
MAX_BODY_BYTES = 4 * 1024 * 1024
#: What a call may spend on the store past its budget, to finish what it has begun and to store the
#: rest raw; and what one commit may take. Nobody waits at a screen for it.
STORE_SECONDS = 20.0
RPC_SECONDS = 8.0


#: Times of receipt may run ahead of the clock by so much: more calls come in no second.
_DRIFT_MS = 2_000
_receipt_lock = threading.Lock()
_last_receipt_ms = 0


@blueprint.get("/webhook")
def verify() -> Response:
    """Meta's handshake: the bare challenge for whoever knows the verify token."""
    settings: Settings = current_app.extensions["chat_settings"]
    expected, given = settings.whatsapp_verify_token, request.args.get("hub.verify_token", "")
    asked = request.args.get("hub.mode") == "subscribe"
    if not (asked and expected and hmac.compare_digest(expected.encode(), given.encode())):
        return Response("forbidden", 403, mimetype="text/plain")
    response = Response(request.args.get("hub.challenge", ""), mimetype="text/plain")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@blueprint.post("/webhook")
def receive() -> tuple[Response, int]:
    """Stores a call's updates: 200 when all are safe, 403 unsigned, 503 when the store is down."""
    # Before anything that takes its time: concurrent calls are told apart by it.
    received_ms, started = _receipt_ms(), time.monotonic()
    settings: Settings = current_app.extensions["chat_settings"]
    request.max_content_length = MAX_BODY_BYTES
    signature = request.headers.get("X-Hub-Signature-256")
    # A stranger's megabytes are not even read.
    body = request.get_data(cache=False) if signature else b""
    if not signed(body, signature, settings.whatsapp_app_secret):
        return jsonify(error={"code": "bad_signature", "message": "Assinatura inválida."}), 403
    datastore.allow(settings.webhook_budget_seconds + STORE_SECONDS, RPC_SECONDS)
    deadline = started + settings.webhook_budget_seconds
    try:
        payload = decoding.decode(body)
    except ValueError:
        text = body.decode("utf-8", "replace")
        deferred.set_aside([Rejected("$", "not JSON", text, text)], received_ms)
        return jsonify(ok=True), 200
    deferred.take_in(payload, received_ms, settings.whatsapp_phone_number_id, deadline)
    if deferred.pending():
        if time.monotonic() < deadline:
            _work_off_quietly(deadline)
        elif not settings.production:
            work_off_soon()
    return jsonify(ok=True), 200


def _receipt_ms() -> int:
    """The present time in milliseconds, of its own for each call: else the messages of two calls of
    one millisecond would stand mixed.
    """
    global _last_receipt_ms
    now = time.time_ns() // 1_000_000
    with _receipt_lock:
        if now <= _last_receipt_ms < now + _DRIFT_MS:
            now = _last_receipt_ms + 1
        _last_receipt_ms = now
    return now


def signed(body: bytes, header: str | None, secret: str) -> bool:
    """Whether `X-Hub-Signature-256` is the HMAC-SHA256 of these very bytes.

    An empty secret signs nothing: it would accept what anybody can compute.
    """
    if not secret or not header or not header.startswith("sha256="):
        return False
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), header.removeprefix("sha256=").encode())


def work_off_deferred(seconds: float) -> int:
    """Handles deferred updates for some seconds; returns how many batches are done."""
    datastore.allow(seconds + STORE_SECONDS, RPC_SECONDS)
    return deferred.work_off(time.monotonic() + seconds)


def work_off_soon() -> None:
    """Handles deferred updates in a thread, where threads outlive their request.

    App Engine may freeze a thread without a request; there the next call or cron does it.
    """

    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def work() -> None:
        with app.app_context(), datastore.context(seconds=600.0, rpc_seconds=RPC_SECONDS):
            _work_off_quietly(time.monotonic() + 300.0)

    threading.Thread(target=work, daemon=True, name="deferred").start()


def _work_off_quietly(deadline: float) -> None:
    """What this call brought is safe: trouble with older updates must not make Meta repeat it."""
    try:
        deferred.work_off(deadline)
    except datastore.ERRORS as error:
        _log.warning("deferred updates stay for later: %s", type(error).__name__)

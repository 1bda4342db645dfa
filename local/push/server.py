"""A push service on 127.0.0.1, as RFC 8030, 8291 and 8292 have it.

It refuses what real ones refuse: no signature, a signature for somebody else or of another key, a
body that is too large, an encoding that browsers do not take.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import http_ece
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

_MAX_BODY = 4096
_DAY_SECONDS = 86_400


@dataclass
class Received:
    """A push that was taken."""

    browser: Browser
    payload: Any
    headers: dict[str, str]  # names in lower case
    claims: dict[str, Any]  # of the signature
    body: bytes


@dataclass
class Browser:
    """A subscription, with the half that only the browser knows."""

    endpoint: str
    vapid_key: str
    key: ec.EllipticCurvePrivateKey = field(
        repr=False, default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    secret: bytes = field(repr=False, default_factory=lambda: secrets.token_bytes(16))
    #: Answers to the next pushes: (status, headers). Then they are taken.
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)

    def subscription(self) -> dict[str, Any]:
        """What the page's `PushSubscription.toJSON()` would be."""
        point = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        keys = {"p256dh": _text(point), "auth": _text(self.secret)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def decrypt(self, body: bytes) -> bytes:
        """What only this browser can read."""
        plain: bytes = http_ece.decrypt(
            body, private_key=self.key, auth_secret=self.secret, version="aes128gcm"
        )
        return plain


class PushService:
    """The stand-in, in threads of this process."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.refused: list[tuple[int, str]] = []  # status and reason
        self._browsers: dict[str, Browser] = {}
        service = self

        class Handler(_Handler):
            owner = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    @property
    def origin(self) -> str:
        """Its address, for PUSH_ORIGINS."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> PushService:
        """Serves from now on, and returns itself."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()

    def subscribe(self, vapid_key: str) -> Browser:
        """What `PushManager.subscribe` does: a new browser, for who has the private half of this
        key.
        """
        path = f"/push/{secrets.token_urlsafe(24)}"
        browser = self._browsers[path] = Browser(f"{self.origin}{path}", vapid_key)
        return browser

    def unsubscribe(self, browser: Browser) -> None:
        """The browser is told no more: its endpoint is gone."""
        self._browsers = {key: each for key, each in self._browsers.items() if each != browser}

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        """What a push is answered: status and headers."""
        browser = self._browsers.get(path)
        if browser is None:
            return 410, {}
        if browser.answers:
            return browser.answers.pop(0)
        status, reason, claims = self._check(browser, headers, body)
        if status != 201:
            self.refused.append((status, reason))
            return status, {}
        payload = json.loads(browser.decrypt(body))
        self.received.append(Received(browser, payload, headers, claims, body))
        return 201, {"Location": f"{self.origin}/message/{secrets.token_hex(8)}"}

    def _check(
        self, browser: Browser, headers: dict[str, str], body: bytes
    ) -> tuple[int, str, dict[str, Any]]:
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        parts = dict(part.partition("=")[::2] for part in rest.split(","))
        if scheme != "vapid" or not {"t", "k"} <= parts.keys():
            return 401, "no signature", {}
        if parts["k"] != browser.vapid_key:
            return 403, "another key than the browser subscribed for", {}
        if not Vapid02.verify(headers["authorization"]):
            return 403, "the signature is false", {}
        claims = json.loads(_bytes(parts["t"].split(".")[1]))
        if claims.get("aud") != self.origin:
            return 403, "signed for another service", claims
        if not 0 < claims.get("exp", 0) - time.time() <= _DAY_SECONDS:
            return 403, "signed for too long, or too long ago", claims
        if len(body) > _MAX_BODY:
            return 413, "too large", claims
        if headers.get("content-encoding") != "aes128gcm" or not headers.get("ttl", "").isdigit():
            return 400, "no TTL, or an encoding that browsers do not take", claims
        return 201, "", claims


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: PushService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, more = self.owner.take(self.path, headers, body)
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in {"Content-Length": "0", **more}.items():
                self.send_header(name, value)
            self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

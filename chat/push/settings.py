"""The settings of Web Push, and the pair of keys by which push services know this application."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chat.platform.settings import SettingsError, check_no_placeholder, read_number

#: Where browsers have their push services; a name that begins with a dot stands for all below it.
KNOWN_HOSTS = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    ".notify.windows.com",
    "web.push.apple.com",
)
_KEY_BYTES = 32
#: What push services may write to when something is wrong (RFC 8292).
_SUBJECT = re.compile(r"mailto:[^@\s]+@[\w-]+(\.[\w-]+)+|https://[\w-]+(\.[\w-]+)+(/\S*)?")


@dataclass(frozen=True)
class PushSettings:
    """How attendants are told with the browser closed. Without PUSH_VAPID_PRIVATE_KEY nobody is."""

    vapid_private_key: str = field(repr=False, default="")
    subject: str = ""
    #: For so long an open page may say that it has it; then no phone rings.
    delay_seconds: float = 8.0
    #: Whether a notification says what the customer wrote last.
    message_text: bool = False
    #: Push services beside `KNOWN_HOSTS`: origins such as https://push.example.com.
    origins: tuple[str, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether anybody can be told at all."""
        return bool(self.vapid_private_key)

    @classmethod
    def from_env(cls, environ: Mapping[str, Any] | None = None) -> PushSettings:
        """Reads and checks the settings.

        Args:
            environ: a mapping of upper-case keys; os.environ when None.

        Raises:
            SettingsError: a value cannot work; the text names key and value.
        """
        environ = os.environ if environ is None else environ

        def text(name: str) -> str:
            return str(environ.get(name) or "").strip()

        key, subject = text("PUSH_VAPID_PRIVATE_KEY"), text("PUSH_SUBJECT")
        if key:
            check_no_placeholder("PUSH_VAPID_PRIVATE_KEY", key)
            _private_key(key)
            if not _SUBJECT.fullmatch(subject):
                raise SettingsError(f"PUSH_SUBJECT: {subject!r} is no mailto: or https: address")
        shown = text("PUSH_MESSAGE_TEXT").lower() or "false"
        if shown not in ("true", "false"):
            raise SettingsError(f"PUSH_MESSAGE_TEXT: {shown!r} is neither 'true' nor 'false'")
        delay = text("PUSH_DELAY_SECONDS") or cls.delay_seconds
        return cls(
            vapid_private_key=key,
            subject=subject,
            delay_seconds=read_number("PUSH_DELAY_SECONDS", delay, 0, 120),
            message_text=shown == "true",
            origins=tuple(_origin(each) for each in text("PUSH_ORIGINS").split()),
        )

    @property
    def public_key(self) -> str:
        """What a page gives its browser to subscribe with; empty where there is no key."""
        return public_key_of(self.vapid_private_key) if self.enabled else ""

    def knows(self, endpoint: str) -> bool:
        """Whether this is the address of a push service. A browser tells it, and the server will
        send there: any other address would have it call whatever somebody wants.
        """
        parts = _parts(endpoint)
        if parts is None or parts[3]:
            return False
        scheme, host, port, _ = parts
        origin = f"{scheme}://{host}" + (f":{port}" if port else "")
        if origin in self.origins:
            return True
        known = any(
            host.endswith(each) if each.startswith(".") else host == each for each in KNOWN_HOSTS
        )
        return known and scheme == "https" and port in (None, 443)


def _parts(url: str) -> tuple[str, str, int | None, bool] | None:
    """Scheme, host, port, and whether there is more that could mislead; None for no address."""
    if not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    odd = parts.username is not None or parts.password is not None or bool(parts.fragment)
    return parts.scheme, parts.hostname or "", port, odd


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or value != f"{parts.scheme}://{parts.netloc}":
        raise SettingsError(f"PUSH_ORIGINS: {value!r} is not like https://push.example.com")
    return value


# --- keys -----------------------------------------------------------------------------------------


def new_private_key() -> str:
    """A new private key, as PUSH_VAPID_PRIVATE_KEY takes it."""
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return _text(number.to_bytes(_KEY_BYTES, "big"))


def public_key_of(private_key: str) -> str:
    """The public half, as browsers take it.

    Raises:
        SettingsError: this is no private key.
    """
    point = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    return _text(_private_key(private_key).public_key().public_bytes(*point))


def _private_key(text: str) -> ec.EllipticCurvePrivateKey:
    try:
        raw = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        if len(raw) != _KEY_BYTES or _text(raw) != text:
            raise ValueError("not 32 bytes")
        return ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1())
    except (ValueError, binascii.Error):
        # Which must not show it.
        raise SettingsError(
            "PUSH_VAPID_PRIVATE_KEY: not a key, make one: flask --app main push keys"
        ) from None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")

"""The settings, read from the environment once, checked at start."""

from __future__ import annotations

import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

_log = logging.getLogger(__name__)

#: Used when WHATSAPP_API_URL names no version in its path.
GRAPH_VERSION = "v26.0"
_VERSIONED = re.compile(r"/v\d+\.\d+$")
#: Without these a server on App Engine could neither receive nor send, or would accept forgeries.
_REQUIRED_IN_PRODUCTION = (
    "SECRET_KEY",
    "WHATSAPP_TOKEN",
    "WHATSAPP_PHONE_NUMBER_ID",
    "WHATSAPP_APP_SECRET",
    "WHATSAPP_VERIFY_TOKEN",
)
#: Whoever guesses the key makes sessions of anybody. Sixteen random characters are 96 bits.
_MIN_SECRET_KEY = 16
_MIN_DIFFERENT = 6
#: What stands where a value is to be put in, as in app.yaml: left there, it is no value.
_PLACEHOLDER = re.compile(r"[.…]+|<.*>|change[-_ ]?me.*", re.IGNORECASE)
#: How this project's messages about a setting begin, the modules' own included.
_NAMES_A_SETTING = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]*(=|: )")
#: gunicorn gives up on a worker that ends so; on any other it would start the next one, for ever.
_EXIT_STATUS = 3


class SettingsError(ValueError):
    """A setting has a value that cannot work; the text names key and value."""


@dataclass(frozen=True)
class Settings:
    """Everything that differs between installations. Seconds are seconds, names are the keys.

    An empty WHATSAPP_APP_SECRET or WHATSAPP_VERIFY_TOKEN refuses every webhook call: nothing is
    accepted that cannot be checked.
    """

    secret_key: str = field(repr=False, default="")
    whatsapp_token: str = field(repr=False, default="")
    whatsapp_phone_number_id: str = ""
    whatsapp_business_account_id: str = ""
    whatsapp_app_secret: str = field(repr=False, default="")
    whatsapp_verify_token: str = field(repr=False, default="")
    whatsapp_api_url: str = "https://graph.facebook.com"
    cron_secret: str = field(repr=False, default="")
    gae_env: str = ""
    #: A webhook call that has worked this long stores the rest raw and answers. Meta counts
    #: receivers slower than a second as failing, and retries what gets no answer.
    webhook_budget_seconds: float = 5.0
    #: Graph API: connecting is quick or does not happen; an answer may take its time.
    whatsapp_connect_seconds: float = 3.05
    whatsapp_read_seconds: float = 10.0
    #: How long a request that queued a message waits for the Graph API before it answers. Zero
    #: where threads outlive the request; on App Engine standard they may be frozen, so it waits.
    send_wait_seconds: float = 0.0
    #: A send without `sent` is worth a look after so long.
    message_status_awaiting_seconds: float = 60.0

    @property
    def production(self) -> bool:
        """Whether this runs on App Engine standard."""
        return self.gae_env == "standard"

    @classmethod
    def from_env(cls, environ: Mapping[str, Any] | None = None) -> Settings:
        """Reads and checks the settings.

        Args:
            environ: a mapping of upper-case keys; os.environ when None.

        Raises:
            SettingsError: a value cannot work; the text names key and value.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for item in fields(cls):
            # A secret that was pasted or read from a file often ends in a line break.
            raw = environ.get(item.name.upper())
            raw = raw.strip() if isinstance(raw, str) else raw
            if raw is None or raw == "":
                continue
            values[item.name] = read_number(item.name.upper(), raw) if item.type == "float" else raw
        production = values.get("gae_env") == "standard"
        if production:
            for key in _REQUIRED_IN_PRODUCTION:
                if not values.get(key.lower()):
                    raise SettingsError(f"{key}: must be set on App Engine")
                check_no_placeholder(key, values[key.lower()])
            _check_secret_key(values["secret_key"])
            values.setdefault("send_wait_seconds", 25.0)
        if not values.get("secret_key"):
            _log.warning("SECRET_KEY is not set: sessions end when this process ends")
            values["secret_key"] = secrets.token_hex(32)
        if "whatsapp_api_url" in values or production:
            check_address("WHATSAPP_API_URL", values.get("whatsapp_api_url", cls.whatsapp_api_url))
        return cls(**values)

    @property
    def graph_url(self) -> str:
        """The Graph API's address with its version, without a slash at the end."""
        base = self.whatsapp_api_url.rstrip("/")
        return base if _VERSIONED.search(base) else f"{base}/{GRAPH_VERSION}"


def check_no_placeholder(key: str, value: str) -> None:
    """Raises `SettingsError` for what stands where a value is to be put in."""
    if _PLACEHOLDER.fullmatch(value.strip()):
        raise SettingsError(f"{key}: is a placeholder, not a value")


def _check_secret_key(key: str) -> None:
    if len(key) < _MIN_SECRET_KEY or len(set(key)) < _MIN_DIFFERENT:
        raise SettingsError(  # which must not show it
            f"SECRET_KEY: too easy to guess, use {_MIN_SECRET_KEY} random characters or more: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Ends the process in words, not in a traceback, if a setting cannot work.

    Whatever starts the application, gunicorn or the command line of Flask, passes a `SystemExit`
    on. An error that names no setting is one of the program, and keeps its traceback.
    """
    try:
        yield
    except ValueError as error:
        if not _NAMES_A_SETTING.match(str(error)):
            raise
        print(f"Cannot start: {error}", file=sys.stderr, flush=True)  # noqa: T201
        raise SystemExit(_EXIT_STATUS) from None


def read_number(
    key: str, raw: Any, low: float = 0, high: float = 600, *, kind: str = "number of seconds"
) -> float:
    """The number that a setting says; raises `SettingsError` for any other value."""
    try:
        value = float(raw)
    except (TypeError, ValueError):
        value = low - 1
    if not low <= value <= high:
        raise SettingsError(f"{key}: {raw!r} is not a {kind} from {low} to {high}")
    return value


def check_address(key: str, url: str) -> None:
    """Raises `SettingsError` for what is no address of a server."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise SettingsError(f"{key}: {url!r} is not an http(s) address")

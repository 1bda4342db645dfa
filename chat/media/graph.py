"""A customer's file from WhatsApp: its id leads to an address for five minutes, that to its bytes.

The token goes to Meta's hosts only, whatever address is told, and no further than they are.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3

from chat.conversation.attached.media import hex_digest
from chat.platform.http import SharedSession
from chat.platform.settings import Settings

_log = logging.getLogger(__name__)

#: Whose the files are.
META_HOSTS = frozenset({"graph.facebook.com", "lookaside.fbsbx.com"})
#: Where these send somebody on, it is to one of them.
_MOST_REDIRECTS = 3
_CHUNK = 1 << 16
#: A connection that gives nothing for so long is dead.
_READ_SECONDS = 20.0
#: Meta's codes for an id that it does not know, or not any more.
_UNKNOWN_CODES = frozenset({33, 100, 131052})
_POOL = 8


class GoneError(Exception):
    """WhatsApp does not have this file, or not any more."""


class AddressError(Exception):
    """The address did not lead to the file: it may be too old. A new one may."""


class LaterError(Exception):
    """WhatsApp cannot be reached, or does not answer as it should; trying again may help."""


@dataclass(frozen=True)
class Told:
    """What WhatsApp says of a file."""

    url: str
    size: int | None
    sha256: str | None  # hex


class GraphMedia:
    """The files of one business number. Safe for many threads."""

    def __init__(self, settings: Settings) -> None:
        self._graph = settings.graph_url
        self._token = settings.whatsapp_token
        self._timeout = (settings.whatsapp_connect_seconds, settings.whatsapp_read_seconds)
        self._session = SharedSession(pool=_POOL, hosts=4)

    def find(self, graph_id: str) -> Told:
        """Where a file is, for five minutes.

        Args:
            graph_id: Meta's id of it.

        Raises:
            GoneError: it is not there (any more).
            LaterError: nobody knows.
        """
        url = f"{self._graph}/{quote(graph_id, safe='')}"
        response = self._get(url, timeout=self._timeout)
        with response:
            answer = _json(response)
            error = answer.get("error")
            code = error.get("code") if isinstance(error, dict) else None
            if response.status_code in (404, 410) or (
                response.status_code == 400 and code in _UNKNOWN_CODES
            ):
                raise GoneError
            address = answer.get("url")
            if not response.ok or not isinstance(address, str):
                _log.warning("no address of a file: HTTP %d", response.status_code)
                raise LaterError(f"HTTP {response.status_code}")
        size = answer.get("file_size")
        size = int(size) if isinstance(size, int | str) and str(size).isdigit() else None
        return Told(address, size, hex_digest(answer.get("sha256")))

    def download(self, url: str, deadline: float) -> Iterator[bytes]:
        """The file's bytes, as they come.

        Args:
            url: as told by `find`.
            deadline: by `time.monotonic()`: what has not come by then is given up.

        Raises:
            AddressError: there is no file at this address.
            LaterError: it did not come, or not whole.
        """
        for _ in range(_MOST_REDIRECTS + 1):
            if not self.may_have_token(url):
                # Without the host: the address is as good as the file.
                _log.warning("a file's address leads to a stranger")
                raise AddressError
            response = self._get(url, stream=True, timeout=(self._timeout[0], _READ_SECONDS))
            with response:
                if not response.is_redirect:
                    yield from _body(response, deadline)
                    return
                url = urljoin(url, response.headers["Location"])
        raise AddressError

    def may_have_token(self, url: str) -> bool:
        """Whether an address is one of Meta's, or of what stands in for it."""
        try:
            parts, own = urlsplit(url), urlsplit(self._graph)
            port = parts.port
        except ValueError:
            return False
        if parts.username or parts.password or "\\" in url:
            return False
        if (parts.scheme, parts.hostname, port) == (own.scheme, own.hostname, own.port):
            return True
        return parts.scheme == "https" and parts.hostname in META_HOSTS and port in (None, 443)

    def _get(self, url: str, **request: Any) -> requests.Response:
        try:
            return self._session.get().get(
                url,
                headers={
                    "Authorization": f"Bearer {self._token}",
                    "Accept": "*/*",
                    # The bytes as they are: a size and a hash are told of them.
                    "Accept-Encoding": "identity",
                    "User-Agent": "whatsapp-chat/1.0",
                },
                allow_redirects=False,
                **request,
            )
        except requests.RequestException as error:
            _log.warning("no answer from WhatsApp for a file: %s", type(error).__name__)
            raise LaterError(type(error).__name__) from error


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except (ValueError, requests.RequestException):
        return {}
    return answer if isinstance(answer, dict) else {}


def _body(response: requests.Response, deadline: float) -> Iterator[bytes]:
    if response.status_code in (400, 403, 404, 410):
        raise AddressError
    if response.status_code != 200:
        _log.warning("no file from WhatsApp: HTTP %d", response.status_code)
        raise LaterError(f"HTTP {response.status_code}")
    try:
        # What has come, however little: else a drop now and then would hold this for ever.
        while chunk := response.raw.read1(_CHUNK):
            yield chunk
            if time.monotonic() > deadline:
                raise LaterError("too slow")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        _log.warning("a file broke off: %s", type(error).__name__)
        raise LaterError(type(error).__name__) from error

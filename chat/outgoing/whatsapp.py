"""The Graph API client: sends messages and says which of three things came of it.

Meta documents no idempotency key, so the difference between "refused", "never reached them" and
"nobody knows" decides whether sending again may reach the customer twice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from chat.platform.http import SharedSession
from chat.platform.settings import Settings

_log = logging.getLogger(__name__)

#: Meta's limit for a text message's body.
MAX_TEXT_CHARS = 4096
#: Connecting, each piece on its way, and the answer to a file: it may be looked at for a while.
_UPLOAD_TIMEOUT = (10.0, 60.0)
#: Connections kept open to the Graph API by all threads together.
_POOL = 20


class RefusedError(Exception):
    """Meta said no: the message was not sent. `error` is Meta's own, or has the HTTP status."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"refused with code {error['code']}")
        self.error = error


class UnreachableError(Exception):
    """No connection came about: the message was certainly not sent."""


class UnconfirmedError(Exception):
    """The request went out and no usable answer came back: it may have been sent."""


class Upload(Protocol):
    """The body of an upload: it is read piece by piece, and never whole in memory."""

    @property
    def content_type(self) -> str: ...

    def __len__(self) -> int: ...

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Accepted:
    """Meta took the message; whether it is sent, a status callback will tell."""

    wamid: str
    wa_id: str | None  # the customer's number as WhatsApp has it, which may differ from ours


class WhatsAppClient:
    """The Graph API of one business number. Safe for many threads."""

    def __init__(self, settings: Settings) -> None:
        self._graph = settings.graph_url
        self._number = settings.whatsapp_phone_number_id
        self._url = f"{self._graph}/{self._number}/messages"
        self._token = settings.whatsapp_token
        self._timeout = (settings.whatsapp_connect_seconds, settings.whatsapp_read_seconds)
        self._session = SharedSession(pool=_POOL, hosts=2)

    def send_text(
        self,
        text: str,
        *,
        phone: str | None,
        bsuid: str | None,
        message_id: str,
        group_id: str | None = None,
        reply_to: str | None = None,
    ) -> Accepted:
        """Sends a text.

        Args:
            text: at most `MAX_TEXT_CHARS` characters.
            phone: the customer's number, digits; needed unless there is a BSUID.
            bsuid: the customer's BSUID; used where no number is known.
            group_id: to a group, in place of a customer.
            message_id: our own id; it comes back in every status of this message.
            reply_to: wamid of the message this answers.

        Raises:
            RefusedError: Meta said no.
            UnreachableError: it was not sent; sending again is safe.
            UnconfirmedError: it may have been sent.
        """
        part = {"body": text, "preview_url": False}
        to = _addressed(phone=phone, bsuid=bsuid, group_id=group_id)
        return self._post(_message("text", part, message_id, reply_to, to))

    def send_template(
        self,
        template: dict[str, Any],
        *,
        message_id: str,
        reply_to: str | None = None,
        **to: str | None,
    ) -> Accepted:
        """Sends a template, which a customer gets at any time.

        Args:
            template: name, language and components, as Meta wants them.
            message_id: our own id; it comes back in every status of this message.
            reply_to: wamid of the message this answers.
            to: phone, bsuid, group_id; these and what is raised as with `send_text`.
        """
        return self._post(_message("template", template, message_id, reply_to, _addressed(**to)))

    def send_media(
        self,
        kind: str,
        part: dict[str, Any],
        *,
        message_id: str,
        reply_to: str | None = None,
        **to: str | None,
    ) -> Accepted:
        """Sends a file that WhatsApp has been given by `upload`.

        Args:
            kind: Meta's type: image, video, audio, document or sticker.
            part: what stands under it: `id`, and by type `caption`, `filename`, `voice`.
            message_id: our own id; it comes back in every status of this message.
            reply_to: wamid of the message this answers.
            to: phone, bsuid, group_id; these and what is raised as with `send_text`.
        """
        return self._post(_message(kind, part, message_id, reply_to, _addressed(**to)))

    def upload(self, body: Upload) -> str:
        """Gives WhatsApp a file, which it keeps for 30 days; returns its id. To do it twice does no
        harm.

        Args:
            body: the file and what is said of it, as it goes over the line.

        Raises:
            RefusedError: Meta does not take it.
            UnreachableError, UnconfirmedError: there was no answer that could be used.
        """
        response, answer = self._ask(
            "POST",
            f"{self._graph}/{self._number}/media",
            data=body,
            headers={"Content-Type": body.content_type},
            timeout=_UPLOAD_TIMEOUT,
        )
        media_id = answer.get("id")
        if response.ok and isinstance(media_id, str | int) and str(media_id):
            return str(media_id)
        if 400 <= response.status_code < 500:
            raise RefusedError({"code": response.status_code})
        raise UnconfirmedError

    def read(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        """What the Graph API tells of something.

        Args:
            path: below the version, without a slash at its beginning.
            query: its parameters.

        Raises:
            RefusedError: Meta said no.
            UnreachableError, UnconfirmedError: there was no answer that could be used.
        """
        response, answer = self._ask("GET", f"{self._graph}/{path}", params=query)
        if not response.ok or not answer:
            raise UnconfirmedError
        return answer

    def send_reaction(
        self, emoji: str, *, wamid: str, phone: str | None, bsuid: str | None, callback_data: str
    ) -> Accepted:
        """Sets the business's reaction to a message: it has one, and the same again does no harm.

        Args:
            emoji: one; empty takes the reaction away.
            wamid: of the message.
            phone: the customer's number, digits; needed unless there is a BSUID.
            bsuid: the customer's BSUID; used where no number is known.
            callback_data: comes back in its statuses; at most 512 characters.

        Raises:
            RefusedError: Meta said no.
            UnreachableError: it was not sent.
            UnconfirmedError: it may have been sent.
        """
        return self._post(
            {
                **_addressed(phone=phone, bsuid=bsuid),
                "type": "reaction",
                "reaction": {"message_id": wamid, "emoji": emoji},
                "biz_opaque_callback_data": callback_data,
            }
        )

    def mark_read(self, wamid: str, *, typing: bool = False) -> None:
        """Tells the customer that this message, and all before it, were read.

        Args:
            wamid: of the customer's message.
            typing: show the business as typing too, until its next message or for 25 s. There is no
                typing without reading.

        Raises:
            RefusedError: Meta said no.
            UnreachableError: it was not sent.
            UnconfirmedError: it may have been sent; sending it again does no harm.
        """
        body: dict[str, Any] = {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": wamid,
        }
        if typing:
            body["typing_indicator"] = {"type": "text"}
        response, answer = self._ask("POST", self._url, json=body)
        if not response.ok or answer.get("success") is not True:
            raise UnconfirmedError

    def _post(self, body: dict[str, Any]) -> Accepted:
        response, answer = self._ask("POST", self._url, json=body)
        if response.ok and (accepted := _accepted(answer)):
            return accepted
        if 400 <= response.status_code < 500:
            raise RefusedError({"code": response.status_code})
        # A proxy's 502, or a 200 that says nothing: Meta may have taken it.
        _log.warning("Graph API answered HTTP %d without a result", response.status_code)
        raise UnconfirmedError

    def _ask(
        self, method: str, url: str, **request: Any
    ) -> tuple[requests.Response, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self._token}", **request.pop("headers", {})}
        request = {
            "timeout": self._timeout,
            "allow_redirects": False,
            "headers": headers,
            **request,
        }
        try:
            response = self._session.get().request(method, url, **request)
        except requests.RequestException as error:
            _log.warning("no answer from the Graph API: %s%s", type(error).__name__, _why(error))
            if _never_connected(error):
                raise UnreachableError from error
            raise UnconfirmedError from error
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            answer = {}
        refusal = answer.get("error")
        if isinstance(refusal, dict):
            refusal = {"code": response.status_code, **refusal}
            _log.warning(
                "Graph API refused: HTTP %d code %s", response.status_code, refusal["code"]
            )
            raise RefusedError(refusal)
        return response, answer


def _addressed(
    *, phone: str | None, bsuid: str | None, group_id: str | None = None
) -> dict[str, Any]:
    """How what is sent to somebody begins."""
    kind = "group" if group_id else "individual"
    head = {"messaging_product": "whatsapp", "recipient_type": kind}
    if group_id:
        return {**head, "to": group_id}
    return {**head, "to": f"+{phone}"} if phone else {**head, "recipient": bsuid}


def _message(
    kind: str, part: Any, message_id: str, reply_to: str | None, to: dict[str, Any]
) -> dict[str, Any]:
    body = {**to, "type": kind, kind: part, "biz_opaque_callback_data": message_id}
    if reply_to:
        body["context"] = {"message_id": reply_to}
    return body


def _accepted(answer: dict[str, Any]) -> Accepted | None:
    messages, contacts = answer.get("messages"), answer.get("contacts")
    first = messages[0] if isinstance(messages, list) and messages else None
    wamid = first.get("id") if isinstance(first, dict) else None
    if not isinstance(wamid, str) or not wamid:
        return None
    contact = contacts[0] if isinstance(contacts, list) and contacts else None
    wa_id = contact.get("wa_id") if isinstance(contact, dict) else None
    return Accepted(wamid, wa_id if isinstance(wa_id, str) and wa_id else None)


def _why(error: requests.RequestException) -> str:
    """What the system said, for the log. What requests itself says may quote a header, and with it
    the token.
    """
    root: BaseException = error
    while root.__context__ is not None:
        root = root.__context__
    own = isinstance(root, OSError) and not isinstance(root, requests.RequestException)
    return f": {root!r}" if own else ""


def _never_connected(error: requests.RequestException) -> bool:
    not_begun = (
        requests.ConnectTimeout,
        requests.exceptions.ProxyError,
        requests.exceptions.InvalidHeader,
    )
    if isinstance(error, not_begun):
        return True
    cause: Any = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    return isinstance(cause, (NewConnectionError, ConnectTimeoutError))

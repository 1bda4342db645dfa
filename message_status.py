"""Module 3: what is known of each message sent, and the check marks that show it.

HTTP 200 of the Graph API means *accepted*: still the clock. What became of a message comes later as
status callbacks, at least once each, in any order, sometimes before the Graph API's own answer and
sometimes weeks after. So a status only ever rises by rank, each callback leaves its trace, and one
whose message is not known yet waits under its wamid. A refusal ends a message; only a new one, made
by an attendant, tries again, because Meta has no idempotency key.

The host gives its message model this module's mixin, calls `init_app`, and reports each send:
`begin`, `started`, then `accepted`, `refused`, `postponed` or `unconfirmed`.
"""

import dataclasses
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from flask import Blueprint, Flask, Response, current_app, has_app_context, jsonify, request
from google.api_core import exceptions as api_exceptions
from google.cloud import ndb
from markupsafe import Markup

__all__ = [
    "DEFAULTS",
    "FAILED",
    "SENDING",
    "UNCONFIRMED",
    "UNREACHABLE",
    "AlreadyRetried",
    "BadStatus",
    "MayDuplicate",
    "MessageNotFound",
    "MessageStatusMixin",
    "NotRetryable",
    "StatusReport",
    "WamidLink",
    "accepted",
    "audit",
    "awaiting",
    "begin",
    "change_json",
    "delete_expired",
    "explain",
    "init_app",
    "label",
    "next_status",
    "owners",
    "parked",
    "postponed",
    "record_statuses",
    "refused",
    "retry",
    "shown",
    "started",
    "status_json",
    "ticks",
    "unconfirmed",
]

#: Settings, read from `app.config` or else the environment under the prefix `MESSAGE_STATUS_`:
#: name → (default, smallest, largest).
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "PARK_DAYS": (30, 1, 60),  # WhatsApp tries to deliver a message for 30 days
    "PARK_LIMIT": (10, 1, 50),  # callbacks kept of one unknown wamid
    "TRAIL_SIZE": (20, 5, 100),  # callbacks kept of one message, about 0.5 kB each, 2 kB at most
    "BATCH_SIZE": (100, 1, 150),  # messages a transaction; each may write two entities of the 500
    "AWAITING_SECONDS": (60, 1, 86400),  # a send without `sent` is worth a look after so long
    "CLEANUP_SECONDS": (20.0, 0.1, 500),  # time budget of one clean-up request
}
_PREFIX = "MESSAGE_STATUS_"

SENDING = "sending"
FAILED = "failed"
#: Error codes of our own. Nobody knows whether it was sent; it was certainly not sent.
UNCONFIRMED = "unconfirmed"
UNREACHABLE = "unreachable"

_RANKS = {SENDING: 0, "sent": 1, "delivered": 2, "read": 3, "played": 4}
_LABELS = {SENDING: "Pendente", "sent": "Enviada", "delivered": "Entregue", FAILED: "Não enviada"}
_UNCONFIRMED_LABEL = "Talvez enviada"
_MAY_DUPLICATE = "O cliente pode receber esta mensagem duas vezes."
_RAW_BYTES = 2_000  # of one callback in a trail
_NAME_BYTES = 1_400  # Datastore takes key names up to 1,500
_TEXT_CHARS = 500  # of Meta's own words
_PAGE = 50  # of the messages that await their sending
_ATTEMPTS = 20  # shown of a chain of attempts
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_READ_AT_ONCE = 400  # Datastore looks up 1,000 keys at most
_DELETED_AT_ONCE = 500  # Datastore's mutations a commit
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - ndb's DateTimeProperty is naive UTC
_FIRST_MS = 1_230_768_000_000  # WhatsApp started in 2009: older times are garbage
_AHEAD_MS = 60_000  # another clock may be this far ahead
_MILLISECONDS_FROM = 100_000_000_000  # times above it are milliseconds already
#: One callback's or one entity's own fault: trying it again is no use.
_FAULTS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RecursionError,
    api_exceptions.InvalidArgument,
    api_exceptions.FailedPrecondition,
    api_exceptions.OutOfRange,
)
_log = logging.getLogger(__name__)


class MessageNotFound(LookupError):
    """There is no message sent by us with this id."""


class NotRetryable(ValueError):
    """The message was not refused and its outcome is not in doubt."""


class MayDuplicate(ValueError):
    """The outcome is not known: trying again needs the attendant's word."""


class AlreadyRetried(ValueError):
    """Somebody has tried again; `message_id` is the new attempt."""

    def __init__(self, message_id: str) -> None:
        super().__init__(f"tried again as {message_id}")
        self.message_id = message_id


# --- the rule ---------------------------------------------------------------------------------


def next_status(
    current: str, error: dict[str, Any] | None, incoming: str, reason: dict[str, Any] | None = None
) -> tuple[str, dict[str, Any] | None]:
    """What a message becomes when a status comes. Pure; static/message_status.js has the same.

    Args:
        current: its status.
        error: its error, if any.
        incoming: the status that comes, known or not.
        reason: the error that comes with `failed`.

    Returns:
        status and error from now on.
    """
    if incoming == FAILED:
        if current in (SENDING, "sent"):
            return FAILED, reason
        return current, error or reason  # terminal, or it arrived: noted, and the ticks stay
    if current == FAILED or _RANKS.get(incoming, -1) <= _RANKS.get(current, -1):
        return current, error
    return incoming, None if current == SENDING else error


def shown(status: str) -> str:
    """The status that is drawn: `read` and `played` as `delivered`."""
    return "delivered" if status in ("read", "played") else status


def label(status: str, error: dict[str, Any] | None = None) -> str:
    """What a status is called on the screen.

    Args:
        status: the true one.
        error: the message's error; it tells "Talvez enviada" from "Pendente".
    """
    if status == SENDING and error and error.get("code") == UNCONFIRMED:
        return _UNCONFIRMED_LABEL
    return _LABELS.get(shown(status), _LABELS[SENDING])


_ADMIN = "Avise o administrador."
_SOON = "Tente de novo em instantes."
_WAITS = "Sem contato com o WhatsApp. A mensagem será enviada assim que ele responder."
#: By code. Source: Meta's page "Error codes" of the WhatsApp Cloud API.
_EXPLANATIONS = {
    UNCONFIRMED: "Sem resposta do WhatsApp: o cliente pode ter recebido a mensagem.",
    UNREACHABLE: "Não foi possível falar com o WhatsApp. A mensagem não foi enviada.",
    "0": f"O acesso ao WhatsApp não foi aceito. {_ADMIN}",
    "1": f"Falha temporária do WhatsApp. {_SOON}",
    "2": f"O WhatsApp está temporariamente fora do ar. {_SOON}",
    "3": f"O aplicativo não tem permissão para esta operação. {_ADMIN}",
    "4": "Limite de chamadas ao WhatsApp atingido. Aguarde um pouco e tente de novo.",
    "10": f"O aplicativo perdeu a permissão de enviar mensagens. {_ADMIN}",
    "33": f"O número da empresa não existe mais no WhatsApp. {_ADMIN}",
    "100": f"O WhatsApp não entendeu o envio: algum dado está incorreto. {_ADMIN}",
    "190": f"O acesso ao WhatsApp expirou. {_ADMIN}",
    "200": f"O aplicativo não tem permissão para enviar mensagens. {_ADMIN}",
    "368": f"A conta da empresa está bloqueada por violar as políticas do WhatsApp. {_ADMIN}",
    "80007": "A conta atingiu o limite de envios. Aguarde um pouco e tente de novo.",
    "130429": "Muitas mensagens em pouco tempo. Aguarde um pouco e tente de novo.",
    "130472": "O número está num experimento da Meta e não recebe este tipo de mensagem.",
    "130497": "A conta da empresa não pode enviar mensagens para o país deste cliente.",
    "131000": f"O WhatsApp falhou por um motivo desconhecido. {_SOON}",
    "131005": f"O aplicativo não tem permissão para isto. {_ADMIN}",
    "131008": f"Falta um dado obrigatório no envio. {_ADMIN}",
    "131009": f"Um dos dados do envio não é válido. {_ADMIN}",
    "131016": f"O serviço do WhatsApp está temporariamente fora do ar. {_SOON}",
    "131021": "Não é possível enviar mensagens para o próprio número da empresa.",
    "131026": "Não foi possível entregar: o número pode não ter WhatsApp, usar uma versão antiga "
    "ou não ter aceitado os novos termos. Fale com o cliente por outro meio.",
    "131030": f"O número do cliente não está na lista permitida desta conta de teste. {_ADMIN}",
    "131031": f"A conta da empresa foi bloqueada pelo WhatsApp. {_ADMIN}",
    "131042": f"Há um problema com o pagamento da conta do WhatsApp. {_ADMIN}",
    "131045": f"O número da empresa não está registrado no WhatsApp. {_ADMIN}",
    "131047": "Passaram mais de 24 horas da última mensagem do cliente. Envie um modelo aprovado "
    "ou espere que ele escreva.",
    "131048": f"O número da empresa está limitado por denúncias de spam. {_ADMIN}",
    "131049": "O WhatsApp limitou mensagens de marketing para este cliente. Tente outro dia.",
    "131050": "O cliente não quer receber mensagens de marketing desta empresa.",
    "131051": "O WhatsApp não aceita este tipo de mensagem.",
    "131052": "Não foi possível baixar o arquivo. Confira o formato e o tamanho.",
    "131053": "Não foi possível enviar o arquivo. Confira o formato e o tamanho.",
    "131056": "Muitas mensagens para este cliente em pouco tempo. Aguarde e tente de novo.",
    "131057": "A conta do WhatsApp está em manutenção. Tente de novo mais tarde.",
    "133010": f"O número da empresa não está registrado no WhatsApp. {_ADMIN}",
}


def explain(code: str, title: str = "") -> str:
    """What to tell the attendant about an error, and what to do, in Brazilian Portuguese.

    Args:
        code: Meta's code as text, or one of ours.
        title: Meta's own words, for codes without an explanation.
    """
    if code in _EXPLANATIONS:
        return _EXPLANATIONS[code]
    return f"{title} (erro {code})" if title else f"O WhatsApp recusou a mensagem (erro {code})."


# --- the drawing ------------------------------------------------------------------------------

#: What is inside the SVG, by what is shown. static/message_status.js has the same.
_CLOCK = '<circle cx="9" cy="6" r="4.7"/><path d="M9 3.4V6l1.8 1.2"/>'
_DRAWINGS = {
    SENDING: _CLOCK,
    UNCONFIRMED: f'{_CLOCK}<circle class="mark" cx="15.9" cy="9.4" r="1.5"/>',
    "sent": '<path d="M4.6 6.4 7.7 9.5l6-7"/>',
    "delivered": '<path d="M1.6 6.4 4.7 9.5l6-7M8.3 9.2l.3.3 6-7"/>',
    FAILED: '<circle class="disc" cx="9" cy="6" r="5.6"/><path class="sign" d="M9 3v3.6m0 2.3V9"/>',
}


def ticks(value: Any) -> Markup:
    """The check marks as HTML, the same that `<message-ticks>` draws; Jinja's filter `ticks`.

    Args:
        value: a message, or a status; empty for one that is not ours.
    """
    status = value if isinstance(value, str) else getattr(value, "status", None)
    if not status:
        return Markup()
    error = None if isinstance(value, str) else value.status_error
    name = label(status, error)
    doubt = name == _UNCONFIRMED_LABEL
    drawing = _DRAWINGS.get(UNCONFIRMED if doubt else shown(status), _CLOCK)
    head = Markup('<message-ticks role="img" data-status="{}" aria-label="{}"{}>').format(
        shown(status), name, Markup(" data-unconfirmed") if doubt else ""
    )
    svg = f'<svg viewBox="0 0 18 12" aria-hidden="true">{drawing}</svg>'
    return head + Markup(svg) + Markup("</message-ticks>")  # noqa: S704 - constants of this file


# --- data -------------------------------------------------------------------------------------


class MessageStatusMixin(ndb.Model):
    """What a message knows of its sending. The model also has a `conversation_id`; its key name is
    the message's id, which the Graph API is given as `biz_opaque_callback_data`.

    One property holds nearly all: ndb's time grows with the number of properties, and messages
    that come in have none of this.
    """

    status = ndb.TextProperty()  # None: not ours
    #: Milliseconds; only while `sending`: what a query looks for is few (None is indexed too).
    awaiting_since = ndb.IntegerProperty()
    #: Times are milliseconds: {"wamid", "times": {status: ms}, "error": {"code", "title",
    #: "details", "source", "at"}, "trail": [{"at", "raw"}], "started_at", "accepted_at",
    #: "attempt_of", "retried_as", "retried_at"}; what is not known is not there.
    delivery = ndb.JsonProperty()

    def _fact(self, name: str) -> Any:
        return (self.delivery or {}).get(name)

    @property
    def wamid(self) -> str | None:
        """What WhatsApp calls it, once that is known."""
        found: str | None = self._fact("wamid")
        return found

    @property
    def attempt_started_at(self) -> int | None:
        """When the Graph API was about to be called; None: it was certainly not sent."""
        found: int | None = self._fact("started_at")
        return found

    @property
    def retried_as(self) -> str | None:
        """The new attempt's id, once an attendant has tried again."""
        found: str | None = self._fact("retried_as")
        return found

    @property
    def status_error(self) -> dict[str, Any] | None:
        """Its error as JSON has it: code, message (Portuguese), details, source, at."""
        error = self._fact("error")
        if not error:
            return None
        waits = self.status == SENDING and error["code"] == UNREACHABLE
        shown_error = {
            "code": error["code"],
            "message": _WAITS if waits else explain(error["code"], error.get("title", "")),
            "source": error["source"],
            "at": _iso(error["at"]),
        }
        if error.get("details") or error.get("title"):
            shown_error["details"] = error.get("details") or error["title"]
        return shown_error


class WamidLink(ndb.Model):
    """Whose message a wamid is. Key name: the wamid.

    The send's answer and a callback that overtakes it both go through this entity, each in its
    transaction: whichever comes second finds what the first left.
    """

    message_id = ndb.TextProperty()  # None: not known yet, or somebody else's
    parked = ndb.JsonProperty()  # [{"at", "raw"}] of callbacks that wait for the message
    #: Of a parked one only; a Datastore TTL policy on it can replace the clean-up route.
    expires_at = ndb.DateTimeProperty()


@dataclass(frozen=True)
class BadStatus:
    """A callback that could not be used, and why."""

    field: str
    reason: str
    raw: Any = dataclasses.field(repr=False)


@dataclass
class StatusReport:
    """What became of the callbacks of one call; counts are of callbacks."""

    applied: int = 0  # recorded with their message
    repeated: int = 0  # known already: nothing was written
    parked: int = 0  # of a message not known yet
    bad: list[BadStatus] = dataclasses.field(default_factory=list)
    late: list[dict[str, Any]] = dataclasses.field(
        default_factory=list
    )  # not handled in time: bring again


@dataclass(frozen=True)
class _Callback:
    name: str
    wamid: str | None
    opaque: str | None  # biz_opaque_callback_data: our message's id
    at: int  # the status's own time
    received: int
    error: dict[str, Any] | None
    raw: dict[str, Any]  # as it goes into a trail

    def entry(self) -> dict[str, Any]:
        return {"at": self.received, "raw": self.raw}


class _BadError(ValueError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def _read(item: Any, received: int) -> _Callback:
    """A callback as WhatsApp sent it. Only a status and one of the two ids are needed."""
    if not isinstance(item, dict):
        raise _BadError("statuses", "not an object")
    wamid = _usable_name(item.get("id"))
    opaque = _usable_name(item.get("biz_opaque_callback_data"))
    name = item.get("status")
    if not (wamid or opaque):
        raise _BadError("id", "missing or not a usable text")
    if not isinstance(name, str) or not name or len(name) > 50 or not name.isprintable():
        raise _BadError("status", "missing or not a usable text")
    at, error = _time(item.get("timestamp"), received), None
    if name == FAILED:
        error = _error_of(item.get("errors"), at)
    return _Callback(name, wamid, opaque, at, received, error, _cut(item, error))


def _error_of(errors: Any, at: int) -> dict[str, Any]:
    found = errors[0] if isinstance(errors, list) and errors else None
    found = found if isinstance(found, dict) else {}
    data = found.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    code = found.get("code")
    title = found.get("title") or found.get("message")
    return _error(code if code is not None else "?", title, details, "callback", at)


def _error(code: Any, title: Any, details: Any, source: str, at: int) -> dict[str, Any]:
    error = {"code": _words(str(code)), "source": source, "at": at}
    if isinstance(title, str) and title:
        error["title"] = _words(title)
    if isinstance(details, str) and details:
        error["details"] = _words(details)
    return error


def _words(text: str) -> str:
    """Bounded, and without half of a cut emoji, which no store takes."""
    return text[:_TEXT_CHARS].encode("utf-8", "replace").decode()


def _cut(item: dict[str, Any], error: dict[str, Any] | None) -> dict[str, Any]:
    """The callback itself, or of a very large one what `_read` needs."""
    if len(json.dumps(item)) <= _RAW_BYTES:
        return item
    names = ("id", "biz_opaque_callback_data", "status", "timestamp")
    kept: dict[str, Any] = {
        name: item[name][:_TEXT_CHARS] for name in names if isinstance(item.get(name), str)
    }
    if error:
        kept["errors"] = [{"code": error["code"], "title": error.get("title", "")}]
    return kept


def _usable_name(value: Any) -> str | None:
    """A text that can be a key."""
    if not isinstance(value, str) or not value or not value.isprintable():
        return None
    return None if len(value.encode()) > _NAME_BYTES or value.startswith("__") else value


def _time(value: Any, received: int) -> int:
    """Milliseconds, of seconds or milliseconds; the time of receipt for what cannot be."""
    try:
        number = int(value) if isinstance(value, str | int) else 0
    except ValueError:
        number = 0
    ms = number if number >= _MILLISECONDS_FROM else number * 1000
    return ms if _FIRST_MS <= ms <= received + _AHEAD_MS else received


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _iso(ms: int | None) -> str | None:
    if ms is None:
        return None
    moment = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def _times(message: MessageStatusMixin) -> dict[str, str | None]:
    times = message._fact("times") or {}
    return {name: _iso(times[name]) for name in (*_RANKS, FAILED) if name in times}


def status_json(message: MessageStatusMixin) -> dict[str, Any]:
    """The fields that a message's JSON has from this module."""
    data: dict[str, Any] = {"status": message.status}
    if not message.delivery:
        return data
    if error := message.status_error:
        data["error"] = error
    for name in ("attempt_of", "retried_as"):
        if value := message._fact(name):
            data[name] = value
    if retried_at := message._fact("retried_at"):
        data["retried_at"] = _iso(retried_at)
    return data


def change_json(message: MessageStatusMixin) -> dict[str, Any]:
    """The data of a `message.status_changed`: the message's whole status."""
    id_ = str(message.key.id())
    return {
        "message_id": id_,
        "client_id": id_,
        "status": message.status,
        "statuses": _times(message),
        "error": message.status_error,
    }


# --- storage ----------------------------------------------------------------------------------


def _get(keys: list[ndb.Key]) -> list[Any]:
    """In a transaction without ndb's retries: it could not go on after a failure anyway."""
    options = {"retries": 0} if ndb.in_transaction() else {}
    parts = (keys[start : start + _READ_AT_ONCE] for start in range(0, len(keys), _READ_AT_ONCE))
    return [entity for part in parts for entity in ndb.get_multi(part, **options)]


@dataclass(frozen=True)
class _Host:
    """What `init_app` was given."""

    settings: dict[str, Any]
    model: type[MessageStatusMixin]
    transaction: Callable[[Callable[[], Any]], Any]
    publish: Callable[..., None]
    resend: Callable[[Any, str], Any]
    after_resend: Callable[[Any], None]

    def messages(self, ids: Iterable[str | None]) -> dict[str, MessageStatusMixin]:
        """Those of these messages that are ours, by id."""
        names = sorted({id_ for id_ in ids if id_})
        found = _get([ndb.Key(self.model, name) for name in names])
        return {n: m for n, m in zip(names, found, strict=True) if m is not None and m.status}

    def change(self, message_id: str, change: Callable[[MessageStatusMixin], bool]) -> None:
        """Changes one message in the caller's transaction, or in one of its own."""

        def attempt() -> None:
            message = self.messages([message_id]).get(message_id)
            if message is None:
                return
            before = _visible(message)
            if change(message):
                message.put()
                self.tell(message, before)

        self.transaction(attempt)

    def tell(self, message: MessageStatusMixin, before: Any) -> None:
        """Publishes what changed for those who look at it; the trail alone does not."""
        if _visible(message) != before:
            self.publish(
                "message.status_changed",
                change_json(message),
                conversation_id=message.conversation_id,
            )


_last_host: _Host | None = None


def _host() -> _Host:
    """This app's; in a thread without an app context, that of the app made last."""
    found = current_app.extensions.get(__name__) if has_app_context() else None
    found = found or _last_host
    if found is None:
        raise RuntimeError("message_status.init_app() has not run")
    return found


def _visible(message: MessageStatusMixin) -> Any:
    return message.status, message._fact("error"), message._fact("times")


def _update(message: MessageStatusMixin, **facts: Any) -> None:
    """Sets facts, None takes one away; a new object, because ndb's cache may hold the old one."""
    merged = {**(message.delivery or {}), **facts}
    message.delivery = {name: value for name, value in merged.items() if value is not None}


def _become(message: MessageStatusMixin, status: str, error: dict[str, Any] | None) -> None:
    message.status = status
    if status != SENDING:
        message.awaiting_since = None
    if error != message._fact("error"):
        _update(message, error=error)


def _at(message: MessageStatusMixin, name: str, ms: int) -> None:
    """Notes a status's time: the earliest, so that the order of arrival does not matter."""
    times = message._fact("times") or {}
    if ms < times.get(name, ms + 1):
        _update(message, times={**times, name: ms})


def _apply(message: MessageStatusMixin, callback: _Callback, trail_size: int) -> bool:
    """Records one callback with its message; False when it was there already."""
    trail = message._fact("trail") or []
    if any(entry["raw"] == callback.raw for entry in trail):
        return False
    _update(message, trail=[*trail, callback.entry()][-trail_size:])
    if callback.name in _RANKS or callback.name == FAILED:
        _at(message, callback.name, callback.at)
    error = message._fact("error")
    _become(message, *next_status(message.status, error, callback.name, callback.error))
    return True


def _adopt(message: MessageStatusMixin, link: WamidLink, trail_size: int) -> None:
    """The message learns its wamid, and what waited under it."""
    if not message.wamid:
        _update(message, wamid=link.key.id())
    for entry in link.parked or []:
        _apply(message, _read(entry["raw"], entry["at"]), trail_size)
    link.message_id, link.parked, link.expires_at = str(message.key.id()), None, None


# --- public functions: a send -----------------------------------------------------------------


def begin(message: MessageStatusMixin, now_ms: int, *, attempt_of: str | None = None) -> None:
    """A message is written: the clock. The caller stores it.

    Args:
        message: ours, new.
        now_ms: when, milliseconds since 1970.
        attempt_of: the id of the message that this tries again.
    """
    message.status, message.awaiting_since = SENDING, now_ms
    _update(message, times={SENDING: now_ms}, attempt_of=attempt_of)


def started(message: MessageStatusMixin, now_ms: int) -> None:
    """The Graph API is about to be called. To be committed before it is: a message without this
    was certainly not sent, and one that has it and no outcome may have been.

    Args:
        message: in the caller's transaction, who stores it.
        now_ms: when.
    """
    _update(message, started_at=now_ms)


def accepted(message_id: str, wamid: str) -> None:
    """The Graph API took the message: still the clock, unless callbacks were faster.

    Joins the caller's transaction. Any number of times.

    Args:
        message_id: our id.
        wamid: WhatsApp's.
    """
    host = _host()

    def attempt() -> None:
        message = host.messages([message_id]).get(message_id)
        if message is None or message._fact("accepted_at"):
            return
        link = _get([ndb.Key(WamidLink, wamid)])[0] or WamidLink(id=wamid)
        before = _visible(message)
        _update(message, accepted_at=_now_ms())
        if message.status == SENDING:
            _become(message, SENDING, None)
        _adopt(message, link, host.settings["TRAIL_SIZE"])
        ndb.put_multi([message, link])
        host.tell(message, before)

    host.transaction(attempt)


def refused(message_id: str, *, code: str, title: str = "", details: str = "") -> None:
    """It was certainly not sent, and nothing will be tried by itself: the red "!".

    Joins the caller's transaction. Changes nothing once the outcome is known.

    Args:
        message_id: our id.
        code: Meta's error code as text, or `UNREACHABLE`.
        title: Meta's own words.
        details: more of them.
    """

    def change(message: MessageStatusMixin) -> bool:
        if message.status != SENDING or message.wamid:
            return False
        now = _now_ms()
        _at(message, FAILED, now)
        _become(message, FAILED, _error(code, title, details, "response", now))
        return True

    _host().change(message_id, change)


def postponed(message_id: str) -> None:
    """It was certainly not sent, and the host will try again by itself: the clock, with a reason.

    Joins the caller's transaction.
    """

    def change(message: MessageStatusMixin) -> bool:
        if message.status != SENDING or message.wamid:
            return False
        _update(message, started_at=None)
        if (message._fact("error") or {}).get("code") != UNREACHABLE:
            _update(message, error=_error(UNREACHABLE, None, None, "response", _now_ms()))
        return True

    _host().change(message_id, change)


def unconfirmed(message_id: str) -> None:
    """No answer, or the process that waited for it is gone: it may have been sent. Never to be sent
    again without an attendant's word; any callback repairs it.

    Joins the caller's transaction. Changes nothing once the outcome is known.
    """

    def change(message: MessageStatusMixin) -> bool:
        known = message._fact("error") or {}
        if message.status != SENDING or message.wamid or known.get("code") == UNCONFIRMED:
            return False
        _update(message, error=_error(UNCONFIRMED, None, None, "response", _now_ms()))
        return True

    _host().change(message_id, change)


def retry(message_id: str, *, client_id: str, confirm: bool = False) -> tuple[Any, bool]:
    """A new attempt, linked to the old one, which stays as it is.

    Args:
        message_id: the old one: refused, or of unknown outcome.
        client_id: the new one's id; the same again changes nothing.
        confirm: the attendant knows that the customer may get it twice.

    Returns:
        the new message, and whether it is new.

    Raises:
        MessageNotFound, NotRetryable, MayDuplicate, AlreadyRetried.
    """
    host = _host()

    def attempt() -> tuple[Any, bool]:
        old = host.messages([message_id]).get(message_id)
        if old is None:
            raise MessageNotFound(message_id)
        if successor := old._fact("retried_as"):
            known = host.messages([successor]).get(successor)
            if successor != client_id or known is None:
                raise AlreadyRetried(successor)
            return known, False
        in_doubt = old.status == SENDING and (old._fact("error") or {}).get("code") == UNCONFIRMED
        if old.status != FAILED and not in_doubt:
            raise NotRetryable(message_id)
        if in_doubt and not confirm:
            raise MayDuplicate(message_id)
        _update(old, retried_as=client_id, retried_at=_now_ms())
        old.awaiting_since = None
        new = host.resend(old, client_id)
        old.put()
        return new, True

    message, new = host.transaction(attempt)
    if new or message.attempt_started_at is None:
        # Also for a repeat: the process that made it may have died before this.
        host.after_resend(message)
    return message, new


# --- public functions: callbacks --------------------------------------------------------------


def record_statuses(
    statuses: Iterable[Any], *, received_ms: int | None = None, deadline: float | None = None
) -> StatusReport:
    """Records the status callbacks of a webhook call; touches no conversation.

    A callback finds its message by `biz_opaque_callback_data`, else by its wamid, else waits under
    that. Any number of times: what is known already is not written again.

    Args:
        statuses: the items of `value.statuses`, as they came.
        received_ms: when, milliseconds since 1970; now when None.
        deadline: by `time.monotonic()`; what is not begun then is reported as late.

    Raises:
        what the store raises when it is down: the same call may come again.
    """
    host, report = _host(), StatusReport()
    received = _now_ms() if received_ms is None else received_ms
    groups: dict[str, list[_Callback]] = {}
    raws: dict[int, Any] = {}
    for item in statuses:
        try:
            callback = _read(item, received)
        except _BadError as error:
            report.bad.append(BadStatus(error.field, error.reason, item))
        except _FAULTS as error:
            report.bad.append(BadStatus("statuses", type(error).__name__, item))
        else:
            raws[id(callback)] = item
            groups.setdefault(callback.opaque or callback.wamid or "", []).append(callback)
    pending, size = list(groups.values()), host.settings["BATCH_SIZE"]
    for start in range(0, len(pending), size):
        chunk = pending[start : start + size]
        if deadline is not None and time.monotonic() > deadline:
            report.late += [raws[id(each)] for group in chunk for each in group]
        else:
            _record(host, chunk, report, raws)
    return report


def _record(
    host: _Host, chunk: list[list[_Callback]], report: StatusReport, raws: dict[int, Any]
) -> None:
    """Records some messages' callbacks; one by one where together they fail."""
    try:
        counts = host.transaction(partial(_record_together, host, chunk))
    except api_exceptions.Aborted:  # others kept changing the same messages
        report.late += [raws[id(each)] for group in chunk for each in group]
    except _FAULTS as error:
        single = chunk if len(chunk) > 1 else [[each] for each in chunk[0]]
        if len(single) > 1:
            for group in single:
                _record(host, [group], report, raws)
            return
        reason = f"cannot be recorded: {type(error).__name__}"
        # Not by its wamid, which has the customer's number inside.
        _log.error("a status of message %s %s", chunk[0][0].opaque, reason)
        report.bad.append(BadStatus("statuses", reason, raws[id(chunk[0][0])]))
    else:
        report.applied += counts[0]
        report.repeated += counts[1]
        report.parked += counts[2]
        for callback in counts[3]:
            reason = "of no message of ours, and no id to keep it under"
            report.bad.append(BadStatus("biz_opaque_callback_data", reason, raws[id(callback)]))


def _record_together(
    host: _Host, chunk: list[list[_Callback]]
) -> tuple[int, int, int, list[_Callback]]:
    """In a transaction: at most three lookups and one write, however many messages."""
    trail_size = host.settings["TRAIL_SIZE"]
    messages = host.messages(callback.opaque for group in chunk for callback in group)
    wanted = set()
    for callback in (callback for group in chunk for callback in group):
        message = messages.get(callback.opaque or "")
        if callback.wamid and (message is None or not message.wamid):
            wanted.add(callback.wamid)
    names = sorted(wanted)
    found = _get([ndb.Key(WamidLink, name) for name in names])
    links = {name: link or WamidLink(id=name) for name, link in zip(names, found, strict=True)}
    owners_ = {link.message_id for link in links.values()} - set(messages)
    messages |= host.messages(owners_)

    before = {name: _visible(message) for name, message in messages.items()}
    changed: dict[ndb.Key, ndb.Model] = {}
    applied = repeated = parked_ = 0
    lost: list[_Callback] = []  # of a message we do not have, and without a wamid to wait under
    for callback in (callback for group in chunk for callback in group):
        link = links.get(callback.wamid or "")
        message = messages.get(callback.opaque or "")
        if message is None and link is not None:
            message = messages.get(link.message_id or "")
        if message is None:
            if link is None:
                lost.append(callback)
                continue
            if _park(host, link, callback):
                changed[link.key] = link
            parked_ += 1
            continue
        if link is not None and link.message_id is None:
            # Nobody recorded the send's answer, or not yet.
            _adopt(message, link, trail_size)
            changed[link.key], changed[message.key] = link, message
        if _apply(message, callback, trail_size):
            changed[message.key] = message
            applied += 1
        else:
            repeated += 1
    ndb.put_multi(list(changed.values()))
    for name, message in messages.items():
        host.tell(message, before[name])
    return applied, repeated, parked_, lost


def _park(host: _Host, link: WamidLink, callback: _Callback) -> bool:
    """Keeps a callback for the message of its wamid; False when it is there already."""
    kept = link.parked or []
    if any(entry["raw"] == callback.raw for entry in kept):
        return False
    link.parked = [*kept, callback.entry()][-host.settings["PARK_LIMIT"] :]
    moment = datetime.fromtimestamp(_now_ms() / 1000, UTC).replace(tzinfo=None)
    link.expires_at = moment + timedelta(days=host.settings["PARK_DAYS"])
    return True


def owners(wamids: Iterable[str]) -> dict[str, str]:
    """The ids of our messages that WhatsApp knows by these wamids, by wamid."""
    names = sorted(set(wamids))
    links = _get([ndb.Key(WamidLink, name) for name in names])
    pairs = zip(names, links, strict=True)
    return {name: link.message_id for name, link in pairs if link and link.message_id}


def parked() -> int:
    """How many wamids have callbacks that wait for their message; counted up to 10,000."""
    now = datetime.fromtimestamp(_now_ms() / 1000, UTC).replace(tzinfo=None)
    count: int = WamidLink.query(WamidLink.expires_at > now).count(limit=10_000)
    return count


def delete_expired(seconds: float) -> tuple[int, bool]:
    """Deletes parked callbacks whose message never came.

    Args:
        seconds: the time budget; a batch under way is finished.

    Returns:
        How many wamids were deleted, and whether there may be more.
    """
    end, deleted = time.monotonic() + seconds, 0
    now = datetime.fromtimestamp(_now_ms() / 1000, UTC).replace(tzinfo=None)
    query = WamidLink.query(WamidLink.expires_at > _EPOCH, WamidLink.expires_at <= now)
    while time.monotonic() < end:
        keys = query.fetch(limit=_DELETED_AT_ONCE, keys_only=True, timeout=seconds)
        ndb.delete_multi(keys)
        deleted += len(keys)
        if len(keys) < _DELETED_AT_ONCE:
            return deleted, False
    return deleted, True


# --- public functions: looking at it ----------------------------------------------------------


def awaiting(before: int | None = None, limit: int = _PAGE) -> tuple[list[Any], int | None]:
    """Messages that have been `sending` for longer than `AWAITING_SECONDS`, newest first.

    Those older than `PARK_DAYS` are left out: nothing will be heard of them any more.

    Args:
        before: only those that have waited since before this, milliseconds since 1970.
        limit: at most so many.

    Returns:
        the messages, and what to pass as `before` for the next page, None at the end.
    """
    host, now = _host(), _now_ms()
    newest = now - host.settings["AWAITING_SECONDS"] * 1000
    oldest = now - host.settings["PARK_DAYS"] * 86_400_000
    since = host.model.awaiting_since
    until = newest if before is None else min(newest, before - 1)
    query = host.model.query(since > oldest, since <= until).order(-since)
    found = query.fetch(limit + 1)
    page = found[:limit]
    if len(found) > limit and page[0].awaiting_since != found[limit].awaiting_since:
        # A page ends between two moments: the next one begins with the whole of the later.
        page = [each for each in page if each.awaiting_since > found[limit].awaiting_since]
    return page, page[-1].awaiting_since if len(found) > limit else None


def audit(message_id: str) -> dict[str, Any]:
    """All that is known of a message's sending, as JSON.

    Raises:
        MessageNotFound: there is none, or it is a customer's.
    """
    host = _host()
    message = host.messages([message_id]).get(message_id)
    if message is None:
        raise MessageNotFound(message_id)
    trail = []
    for entry in message._fact("trail") or []:
        raw = entry["raw"]
        error = _read(raw, entry["at"]).error
        trail.append(
            {
                "received_at": _iso(entry["at"]),
                "status": raw.get("status"),
                "timestamp": _timestamp(raw.get("timestamp")),
                "error": error and {"code": error["code"], "title": error.get("title", "")},
            }
        )
    return {
        "message_id": message_id,
        "wamid": message.wamid,
        "status": message.status,
        "shown": shown(message.status),
        "label": label(message.status, message.status_error),
        "statuses": _times(message),
        "error": message.status_error,
        "attempts": [_attempt_json(each) for each in _chain(host, message)],
        "trail": trail,
    }


def _timestamp(value: Any) -> str | None:
    """As it came, if it is something that JSON and a screen can show."""
    usable = isinstance(value, str | int) and not isinstance(value, bool)
    return _words(str(value))[:30] if usable else None


def _chain(host: _Host, message: MessageStatusMixin) -> list[MessageStatusMixin]:
    """All attempts of what this message says, the first one first."""
    chain = [message]
    for name, place in (("attempt_of", 0), ("retried_as", -1)):
        while len(chain) < _ATTEMPTS and (id_ := chain[place]._fact(name)):
            other = host.messages([id_]).get(id_)
            if other is None:
                break
            chain.insert(0 if place == 0 else len(chain), other)
    return chain


def _attempt_json(message: MessageStatusMixin) -> dict[str, Any]:
    return {
        "message_id": str(message.key.id()),
        "status": message.status,
        "label": label(message.status, message.status_error),
        "started_at": _iso(message.attempt_started_at),
        "accepted_at": _iso(message._fact("accepted_at")),
    }


# --- views ------------------------------------------------------------------------------------


def _refuse(status: int, code: str, message: str, **more: Any) -> Response:
    response = jsonify(error={"code": code, "message": message, **more})
    response.status_code = status
    return response


def _settings(app: Flask) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, (default, low, high) in DEFAULTS.items():
        key = _PREFIX + name
        value = app.config.get(key, os.environ.get(key, default))
        try:
            value = type(default)(value)
        except (TypeError, ValueError):
            raise ValueError(f"{key}={value!r}: not a number") from None
        if not low <= value <= high:
            raise ValueError(f"{key}={value!r}: from {low} to {high}")
        settings[name] = value
    return settings


def _retry_view(message_id: str, to_json: Callable[[list[Any]], list[dict[str, Any]]]) -> Any:
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # nested thousands deep, which `silent` does not cover
        body = None
    body = body if isinstance(body, dict) else {}
    client_id = body.get("client_id")
    if not isinstance(client_id, str) or not _UUID.fullmatch(client_id):
        return _refuse(422, "invalid", "O identificador não é válido.", field="client_id")
    confirm = body.get("confirm") is True
    try:
        message, new = retry(message_id, client_id=client_id.lower(), confirm=confirm)
    except MessageNotFound:
        return _refuse(404, "not_found", "Mensagem não encontrada.")
    except NotRetryable:
        return _refuse(409, "not_retryable", "Esta mensagem não precisa ser enviada de novo.")
    except MayDuplicate:
        return _refuse(409, "may_duplicate", _MAY_DUPLICATE)
    except AlreadyRetried as error:
        text = "Esta mensagem já foi enviada de novo."
        return _refuse(409, "already_retried", text, message_id=error.message_id)
    return jsonify(to_json([message])[0]), 201 if new else 200


def _awaiting_view(to_json: Callable[[list[Any]], list[dict[str, Any]]]) -> Any:
    before = request.args.get("before") or None
    if before is not None and not (before.isascii() and before.isdigit() and len(before) <= 15):
        return _refuse(422, "invalid", "Este marcador de página não é válido.", field="before")
    messages, following = awaiting(int(before) if before else None)
    return jsonify(
        messages=to_json(messages),
        next=None if following is None else str(following),
        seconds=_host().settings["AWAITING_SECONDS"],
    )


def init_app(
    app: Flask,
    *,
    current_user_id: Callable[[], str | None],
    is_cron: Callable[[], bool],
    message_model: type[MessageStatusMixin],
    messages_json: Callable[[list[Any]], list[dict[str, Any]]],
    transaction: Callable[[Callable[[], Any]], Any],
    publish: Callable[..., None],
    resend: Callable[[Any, str], Any],
    after_resend: Callable[[Any], None],
) -> None:
    """Adds the routes, the clean-up and the template filter `ticks` to the app.

    Args:
        app: settings are read from its config or else the environment, see `DEFAULTS`.
        current_user_id: who makes the request; None is answered 401.
        is_cron: whether the request may run the clean-up; else it is answered 403.
        message_model: the host's messages, with `MessageStatusMixin` and `conversation_id`.
        messages_json: messages as the host's JSON.
        transaction: runs a callback in a transaction, or joins the one under way.
        publish: `realtime_events.publish`, or one of the same form.
        resend: (old message, client_id) → the new message, stored and told, in the transaction;
            it calls `begin(…, attempt_of=…)`.
        after_resend: (new message), after the commit: to be sent.

    Raises:
        ValueError: a setting cannot be used; names key and value.
    """
    global _last_host
    settings = _settings(app)
    host = _Host(settings, message_model, transaction, publish, resend, after_resend)
    app.extensions[__name__] = _last_host = host
    app.jinja_env.filters["ticks"] = ticks
    blueprint = Blueprint(__name__, __name__)

    @blueprint.before_request
    def guard() -> Any:
        if request.endpoint == f"{__name__}.cleanup":
            if not is_cron():
                return _refuse(403, "forbidden", "Somente o cron pode fazer isto.")
        elif current_user_id() is None:
            return _refuse(401, "login_required", "Entre novamente para continuar.")
        return None

    @blueprint.get("/api/messages/awaiting")
    def awaiting_view() -> Any:
        return _awaiting_view(messages_json)

    @blueprint.get("/api/messages/<message_id>/status")
    def status_view(message_id: str) -> Any:
        try:
            return jsonify(audit(message_id if _usable_name(message_id) else ""))
        except MessageNotFound:
            return _refuse(404, "not_found", "Mensagem não encontrada.")

    @blueprint.post("/api/messages/<message_id>/retry")
    def retry_view(message_id: str) -> Any:
        return _retry_view(message_id if _usable_name(message_id) else "", messages_json)

    @blueprint.get("/message-status/cleanup")
    def cleanup() -> Any:
        deleted, more = delete_expired(settings["CLEANUP_SECONDS"])
        return jsonify(deleted=deleted, more=more, parked=parked())

    app.register_blueprint(blueprint)

"""Module 3: what is known of each message sent; static/message_status.js shows it as check marks.

HTTP 200 of the Graph API means *accepted*: still the clock. What became of a message comes later as
status callbacks, at least once each, in any order, sometimes before the Graph API's own answer and
sometimes weeks after. So a status only ever rises by rank, and one whose message is not known yet
waits under its wamid. A refusal ends a message; only a new one, made by an attendant, tries again,
because Meta has no idempotency key.

The host gives its message model this module's mixin, calls `init_app`, sends by `send` (or by
`sending`, round its own call of the Graph API), and hands a webhook's statuses to
`record_statuses`. A host with a queue of its own uses what these are made of:
`realtime_events.place`, `started`, then `accepted`, `refused`, `postponed` or `unconfirmed`.
"""

import contextlib
import dataclasses
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import requests
from flask import Flask, current_app, has_app_context, has_request_context, jsonify, request
from google.api_core import exceptions as api_exceptions
from google.cloud import ndb
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

import realtime_events
from realtime_events import find, id_of, iso, now_ms

__all__ = [
    "DEFAULTS", "FAILED", "SENDING", "UNCONFIRMED", "UNREACHABLE",
    "AlreadyStored", "BadStatus", "MessageStatusMixin", "RetryRefused", "StatusReport", "WamidLink",
    "accepted", "audit", "awaiting", "delete_expired", "explain", "fact", "init_app", "owners",
    "postponed", "record_statuses", "refused", "retry", "send", "sending", "started", "status_json",
    "unconfirmed", "wamid_of",
]  # fmt: skip

#: Settings, read from `app.config` or else the environment under the prefix `MESSAGE_STATUS_`:
#: name → (default, smallest, largest).
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "PARK_DAYS": (30, 1, 60),  # WhatsApp tries to deliver a message for 30 days
    "BATCH_SIZE": (100, 1, 150),  # messages a transaction; each may write two entities of the 500
    "AWAITING_SECONDS": (60, 1, 86400),  # a send without `sent` is worth a look after so long
    "CLEANUP_SECONDS": (20.0, 0.1, 500),  # time budget of one clean-up request
}

SENDING = "sending"
FAILED = "failed"
#: Error codes of our own. UNCONFIRMED: may have been sent. UNREACHABLE: certainly was not.
UNCONFIRMED = "unconfirmed"
UNREACHABLE = "unreachable"

_RANKS = {SENDING: 0, "sent": 1, "delivered": 2, "read": 3, "played": 4}
_TOLD = ("sent", "delivered", "read", "played", FAILED)  # by WhatsApp; others change nothing
_NAME_BYTES = 1_400  # Datastore takes key names up to 1,500
_TEXT_CHARS = 500  # of Meta's own words
_AWAITING = 50  # listed
_ATTEMPTS = 20  # shown of a chain of attempts
_DELETED_AT_ONCE = 500  # Datastore's mutations a commit
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CODE_PREFIX = re.compile(r"^\(#\d+\)\s*")  # "(#131047) Re-engagement message"
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - ndb's DateTimeProperty is naive UTC
_FIRST_MS = 1_230_768_000_000  # WhatsApp started in 2009: older times are garbage
_AHEAD_MS = 60_000  # another clock may be this far ahead
_MILLISECONDS_FROM = 100_000_000_000  # times above it are milliseconds already
#: App Engine ends a request after ten minutes: whoever called the Graph API before that is gone.
_LOST_MS = 600_000
_SAME_MOMENT = timedelta(minutes=1)  # a host's own stamp, and ours
#: Seconds between attempts to store an outcome: a lost one leaves a sent message unknown.
_PAUSES = (0.5, 2.0, 5.0)
#: One callback's or one entity's own fault: trying it again is no use.
_FAULTS = (
    ValueError, TypeError, LookupError, AttributeError, RecursionError,
    api_exceptions.InvalidArgument, api_exceptions.FailedPrecondition, api_exceptions.OutOfRange,
)  # fmt: skip
_log = logging.getLogger(__name__)

#: Why no new attempt is made: HTTP status and words, by code.
_REFUSALS = {
    "not_found": (404, "Mensagem não encontrada."),
    "not_retryable": (409, "Esta mensagem não precisa ser enviada de novo."),
    "may_duplicate": (409, "O cliente pode receber esta mensagem duas vezes."),
    "already_retried": (409, "Esta mensagem já foi enviada de novo."),
    "client_id_taken": (409, "Este identificador já foi usado por outra mensagem."),
}


class RetryRefused(ValueError):  # noqa: N818 - it names the condition
    """No new attempt, for a `code` of `_REFUSALS`; `message_id`: the one there is already."""

    def __init__(self, code: str, message_id: str | None = None) -> None:
        super().__init__(code)
        self.code, self.message_id = code, message_id


class AlreadyStored(ValueError):  # noqa: N818
    """The message was sent before, or put by the host, which leaves that to `sending`."""


# --- the rule ---------------------------------------------------------------------------------


def _advance(
    known: dict[str, Any], name: str, at: int, reason: dict[str, Any] | None = None
) -> dict[str, Any]:
    """What is known of a message once a status comes. Pure; what tells nothing new changes nothing.

    Args:
        known: {"status", "error", "times"}.
        name: the status that comes, known or not.
        at: its time, of which the earliest counts; ms.
        reason: the error that comes with `failed`.
    """
    status, error, times = known["status"], known["error"], known["times"]
    if name == FAILED and status in (SENDING, "sent"):
        status, error = FAILED, reason
    elif name == FAILED:
        error = error or reason  # terminal, or it arrived: noted, and the ticks stay
    elif status != FAILED and _RANKS.get(name, -1) > _RANKS.get(status, -1):
        status, error = name, None if status == SENDING else error
    if name in _TOLD:
        times = {**times, name: min(at, times.get(name, at))}
    return {"status": status, "error": error, "times": times}


_ADMIN = "Avise o administrador."
_SOON = "Tente de novo em instantes."
_NOT_ALLOWED = f"O aplicativo não tem permissão para enviar mensagens. {_ADMIN}"
_TOO_FAST = "Muitas mensagens em pouco tempo. Aguarde um pouco e tente de novo."
_BAD_DATA = f"O WhatsApp não entendeu o envio: algum dado está incorreto. {_ADMIN}"
_NO_NUMBER = f"O número da empresa não está registrado no WhatsApp. {_ADMIN}"
_BLOCKED = f"A conta da empresa está bloqueada pelo WhatsApp. {_ADMIN}"
_BAD_FILE = "O arquivo não pôde ser enviado. Confira o formato e o tamanho."
_WAITS = "Sem contato com o WhatsApp. A mensagem será enviada assim que ele responder."
#: By code. Source: Meta's page "Error codes" of the WhatsApp Cloud API.
_EXPLANATIONS = {
    UNCONFIRMED: "Sem resposta do WhatsApp: o cliente pode ter recebido a mensagem.",
    UNREACHABLE: "Não foi possível falar com o WhatsApp. A mensagem não foi enviada.",
    **dict.fromkeys(("0", "190"), f"O acesso ao WhatsApp expirou. {_ADMIN}"),
    **dict.fromkeys(("1", "131000"), f"Falha temporária do WhatsApp. {_SOON}"),
    **dict.fromkeys(("2", "131016"), f"O WhatsApp está temporariamente fora do ar. {_SOON}"),
    **dict.fromkeys(("3", "10", "200", "131005"), _NOT_ALLOWED),
    **dict.fromkeys(("4", "80007", "130429"), _TOO_FAST),
    **dict.fromkeys(("33", "131045", "133010"), _NO_NUMBER),
    **dict.fromkeys(("100", "131008", "131009"), _BAD_DATA),
    **dict.fromkeys(("368", "131031"), _BLOCKED),
    **dict.fromkeys(("131052", "131053"), _BAD_FILE),
    "130472": "O número está num experimento da Meta e não recebe este tipo de mensagem.",
    "130497": "A conta da empresa não pode enviar mensagens para o país deste cliente.",
    "131021": "Não é possível enviar mensagens para o próprio número da empresa.",
    "131026": "Não foi possível entregar: o número pode não ter WhatsApp, usar uma versão antiga "
    "ou não ter aceitado os novos termos. Fale com o cliente por outro meio.",
    "131030": f"O número do cliente não está na lista permitida desta conta de teste. {_ADMIN}",
    "131042": f"Há um problema com o pagamento da conta do WhatsApp. {_ADMIN}",
    "131047": "Passaram mais de 24 horas da última mensagem do cliente. Envie um modelo aprovado "
    "ou espere que ele escreva.",
    "131048": f"O número da empresa está limitado por denúncias de spam. {_ADMIN}",
    "131049": "O WhatsApp limitou mensagens de marketing para este cliente. Tente outro dia.",
    "131050": "O cliente não quer receber mensagens de marketing desta empresa.",
    "131051": "O WhatsApp não aceita este tipo de mensagem.",
    "131056": "Muitas mensagens para este cliente em pouco tempo. Aguarde e tente de novo.",
    "131057": "A conta do WhatsApp está em manutenção. Tente de novo mais tarde.",
}


def explain(code: str, title: str = "") -> str:
    """What to tell the attendant, in Brazilian Portuguese, about an error of Meta's code as text or
    of one of ours; `title`: Meta's own words, for what has no explanation.
    """
    unknown = f"{title} (erro {code})" if title else f"O WhatsApp recusou a mensagem (erro {code})."
    return _EXPLANATIONS.get(code, unknown)


# --- data -------------------------------------------------------------------------------------


class MessageStatusMixin(realtime_events.LiveMessage):
    """What a message knows of its sending. The Graph API is to be given its id, as
    `realtime_events.id_of` tells it, as `biz_opaque_callback_data`.

    One property holds nearly all: ndb's time grows with the number of properties, and messages
    that come in have none of this.
    """

    status = ndb.TextProperty()  # None: not ours, or from before this module
    awaiting_since = ndb.IntegerProperty()  # ms; only while `sending`, so the index stays small
    status_facts = ndb.JsonProperty()  # see `fact`

    def live_json(self) -> dict[str, Any]:
        """What the page needs to know of it; the host may override it and add to it."""
        return {**super().live_json(), **status_json(self)}

    def _direction(self) -> str | None:
        return "out" if self.status else super()._direction()

    def _is_repeat(self, wamid: str) -> bool:
        return wamid in owners([wamid]) or super()._is_repeat(wamid)

    def _remember(self, wamid: str) -> None:
        super()._remember(wamid)
        if _usable_name(wamid):
            WamidLink(id=wamid, message_id=id_of(self)).put()

    def _place(self, conversation: Any, *, outgoing: bool, **facts: Any) -> None:
        super()._place(conversation, outgoing=outgoing, **facts)
        if outgoing:
            self.status, self.awaiting_since, self.status_facts = SENDING, now_ms(), None
            begun = {name: facts.get(name) for name in ("attempt_of", "started_at")}
            _update(self, times={SENDING: self.awaiting_since}, **begun)

    def _grow(self, stored: Any) -> None:
        super()._grow(stored)
        # Each change was made to what was stored: of two copies one is the other's past.
        if (fact(stored, "changes") or 0) > (fact(self, "changes") or 0):
            self.status, self.awaiting_since = stored.status, stored.awaiting_since
            self.status_facts = stored.status_facts


def fact(message: Any, name: str) -> Any:
    """What is known of a message's sending, None if nothing is. Times are ms since 1970.

    Args:
        message: with `MessageStatusMixin`.
        name: `wamid`; `times` ({status: ms}); `error` ({"code", "title", "details", "source",
            "at"}); `started_at`: the Graph API was about to be called (None: certainly not sent);
            `accepted_at`; `attempt_of`, `retried_as` (ids); `retried_at`; `retry_id` (the
            browser's, of that retry); `changes` (how many so far).
    """
    return (message.status_facts or {}).get(name)


def wamid_of(message: Any) -> str | None:
    """What WhatsApp calls a message of ours, once that is known."""
    found: str | None = fact(message, "wamid")
    return found


class WamidLink(ndb.Model):
    """Whose message a wamid is, of either direction. Key name: the wamid.

    The send's answer and a callback that overtakes it both go through this entity, each in its
    transaction: whichever comes second finds what the first left.
    """

    message_id = ndb.TextProperty()  # None: not known yet, or another program's
    parked = ndb.JsonProperty()  # what the callbacks so far make of it, see `_advance`
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
    repeated: int = 0  # told nothing new: nothing was written
    parked: int = 0  # of a message not known yet
    bad: list[BadStatus] = dataclasses.field(default_factory=list)
    #: Not handled in time: bring again.
    late: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def _read(item: Any, received: int) -> Any:
    """A callback as WhatsApp sent it, or BadStatus. Needed are only a status and one of the ids."""
    if not isinstance(item, dict):
        return BadStatus("statuses", "not an object", item)
    wamid = _usable_name(item.get("id"))
    opaque = _usable_name(item.get("biz_opaque_callback_data"))
    name = item.get("status")
    if not (wamid or opaque):
        return BadStatus("id", "missing or not a usable text", item)
    if not isinstance(name, str) or not name:
        return BadStatus("status", "missing or not a usable text", item)
    at, errors = _time(item.get("timestamp"), received), item.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    reason = _error(first, source="callback", at=at) if name == FAILED else None
    return SimpleNamespace(name=name, wamid=wamid, opaque=opaque, at=at, error=reason, raw=item)


def _error(
    found: Any, *, code: Any = "?", source: str = "response", at: int | None = None
) -> dict[str, Any]:
    """An error as it is kept, of one as Meta tells it in a callback or an answer."""
    found = found if isinstance(found, dict) else {}
    data = found.get("error_data")
    code = code if found.get("code") is None else found["code"]
    made = {"code": _words(str(code)), "source": source, "at": now_ms() if at is None else at}
    title = found.get("title") or found.get("message")
    details = data.get("details") if isinstance(data, dict) else None
    for name, words in (("title", title), ("details", details)):
        if isinstance(words, str) and words:
            made[name] = _words(_CODE_PREFIX.sub("", words))
    return made


def _words(text: str) -> str:
    """Bounded, and without half of a cut emoji, which no store takes."""
    return text[:_TEXT_CHARS].encode("utf-8", "replace").decode()


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


def _error_of(message: Any) -> dict[str, Any] | None:
    """Its error; of a send whose process is gone without a word, that nobody knows."""
    found: dict[str, Any] | None = fact(message, "error")
    lost_at = (fact(message, "started_at") or now_ms()) + _LOST_MS
    lost = _is_open(message) and lost_at < now_ms()
    return _error({}, code=UNCONFIRMED, at=lost_at) if lost else found


def _error_json(message: Any) -> dict[str, Any] | None:
    if not (found := _error_of(message)):
        return None
    waits = message.status == SENDING and found["code"] == UNREACHABLE
    text = _WAITS if waits else explain(found["code"], found.get("title", ""))
    details = found.get("details") or found.get("title")
    more = {"details": details} if details else {}
    return {"code": found["code"], "message": text, **more,
            "source": found["source"], "at": iso(found["at"])}  # fmt: skip


def status_json(message: Any) -> dict[str, Any]:
    """The fields that a message's JSON has from this module."""
    known = {name: fact(message, name) for name in ("attempt_of", "retried_as")}
    known |= {"error": _error_json(message), "retried_at": iso(fact(message, "retried_at"))}
    return {"status": message.status, **{name: value for name, value in known.items() if value}}


def _times_json(message: Any) -> dict[str, str | None]:
    times = fact(message, "times") or {}
    return {name: iso(times[name]) for name in (SENDING, *_TOLD) if name in times}


# --- storage ----------------------------------------------------------------------------------

_last_host: SimpleNamespace | None = None


def _host() -> Any:
    """This app's; in a thread without an app context, that of the app made last."""
    found = current_app.extensions.get(__name__) if has_app_context() else None
    if found is None and _last_host is None:
        raise RuntimeError("message_status.init_app() has not run")
    return found or _last_host


def _ours(ids: Iterable[Any]) -> dict[str, Any]:
    """Those of these messages that we send, by id."""
    found = find(_host().model, [id_ for id_ in ids if id_])
    return {id_: each for id_, each in found.items() if each.status}


def _state(message: Any) -> dict[str, Any]:
    """What the screens show, in the form of `_advance`."""
    times = fact(message, "times") or {}
    return {"status": message.status, "error": fact(message, "error"), "times": times}


def _tell(message: Any, before: dict[str, Any]) -> None:
    """Publishes a message's whole status if that changed; does not touch the conversation."""
    if _state(message) == before:
        return
    id_, key = id_of(message), message.conversation_key
    told = {"message_id": id_, "client_id": id_, "status": message.status}
    told |= {"statuses": _times_json(message), "error": _error_json(message)}
    where = id_of(key) if key else None
    realtime_events.publish("message.status_changed", told, conversation_id=where)


def _update(message: Any, **facts: Any) -> None:
    """Sets facts, None takes one away; a new object, because ndb's cache may hold the old one."""
    facts["changes"] = (fact(message, "changes") or 0) + 1
    merged = {**(message.status_facts or {}), **facts}
    message.status_facts = {name: value for name, value in merged.items() if value is not None}


def _apply(message: Any, name: str, at: int, reason: dict[str, Any] | None = None) -> bool:
    """Records a status with its message; False when it tells nothing new."""
    known = _state(message)
    made = _advance(known, name, at, reason)
    if made == known:
        return False
    message.status, message.awaiting_since = made.pop("status"), None
    _update(message, **made)
    return True


def _adopt(message: Any, link: WamidLink) -> None:
    """The message learns its wamid, and what waited under it."""
    if not wamid_of(message):
        _update(message, wamid=link.key.id())
        if message.status == SENDING:  # WhatsApp has it: nothing is in doubt any more
            _update(message, error=None)
    parked = link.parked or {"status": None, "times": {}, "error": None}
    # A failure that counted came first, one that was only noted came after what arrived.
    failed = parked["status"] == FAILED
    for name in sorted(parked["times"], key=lambda name: (name == FAILED) != failed):
        _apply(message, name, parked["times"][name], parked["error"])
    link.message_id, link.parked, link.expires_at = id_of(message), None, None


# --- the outcome of a send ----------------------------------------------------------------------


def started(message: Any, now_ms: int) -> None:
    """The Graph API is about to be called. To be put and committed before it is: a message without
    this was certainly not sent, and one that has it and no outcome may have been.
    """
    _update(message, started_at=now_ms)


def accepted(message_id: str | int, wamid: str) -> Any:
    """The Graph API took the message, and calls it by this wamid: still the clock, unless callbacks
    were faster.

    Like the next three it joins the caller's transaction, may come any number of times, and returns
    the message as it is now, or None if we sent none of this id.
    """
    return _settle(message_id, wamid=wamid)


def refused(message_id: str | int, *, code: str, title: str = "", details: str = "") -> Any:
    """It was certainly not sent, and nothing will be tried by itself: the red "!".

    Like the next two it changes nothing once the outcome is known.

    Args:
        message_id: our id.
        code: Meta's error code as text, or `UNREACHABLE`.
        title, details: Meta's own words.
    """
    found = {"code": code, "title": title, "error_data": {"details": details}}
    return _settle(message_id, error=_error(found), final=True)


def postponed(message_id: str | int) -> Any:
    """It was certainly not sent, and the host tries again by itself: the clock, with a reason."""
    return _settle(message_id, error=_error({}, code=UNREACHABLE), started_at=None)


def unconfirmed(message_id: str | int) -> Any:
    """No answer, or the process that waited for it is gone: it may have been sent. Never to be sent
    again without an attendant's word; any callback repairs it.
    """
    return _settle(message_id, error=_error({}, code=UNCONFIRMED))


def _settle(message_id: Any, *, wamid: str = "", error: Any = None, final: bool = False,
            **facts: Any) -> Any:  # fmt: skip
    def attempt() -> Any:
        message = _ours([message_id]).get(str(message_id))
        if message is None:
            _log.warning("there is no message %s that was sent", message_id)
            return None
        known, before = fact(message, "error"), _state(message)
        link = wamid and (find(WamidLink, wamid) or WamidLink(id=wamid))
        told = fact(message, "accepted_at") if link else not _is_open(message)
        if told:
            return message
        if link:
            _update(message, accepted_at=now_ms())
            _adopt(message, link)
        elif final:
            _apply(message, FAILED, error["at"], error)
        else:
            same = known is not None and known["code"] == error["code"]
            _update(message, error=known if same else error, **facts)
        ndb.put_multi([message, link] if link else [message])
        _tell(message, before)
        return message

    return realtime_events.transaction(attempt)


def _is_open(message: Any) -> bool:
    """Whether nobody knows yet what the Graph API made of it."""
    return message.status == SENDING and not wamid_of(message)


# --- sending ----------------------------------------------------------------------------------


class _Call:
    """Round one call of the Graph API, once `started_at` is committed."""

    def __init__(self, message: Any) -> None:
        self.message, self.answered = message, False

    def answer(self, response: Any) -> None:
        """Records what the Graph API said: a `requests.Response` or one like it, (status code,
        decoded JSON), or the wamid alone.
        """
        self._settle(_outcome(response))

    def _settle(self, outcome: Callable[[str], Any]) -> None:
        """Stores it, again for some time while the store is down."""
        self.answered = True
        for pause in (*_PAUSES, None):
            try:
                stored = outcome(id_of(self.message))
                break
            except api_exceptions.GoogleAPIError as error:
                if pause is None:
                    raise
                _log.warning("an outcome waits for the store: %s", type(error).__name__)
                time.sleep(pause)
        self.message._grow(stored or self.message)

    def __enter__(self) -> "_Call":
        return self

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> bool:
        # A host's own exception tells by its cause what became of the call.
        by_requests = next((each for each in (error, getattr(error, "__cause__", None))
                            if isinstance(each, requests.RequestException)), None)  # fmt: skip
        if not self.answered:
            reason = type(error).__name__ if error else "sending() ended without answer(response)"
            _log.error("message %s: %s", id_of(self.message), reason)
            try:
                self._settle(_failure(by_requests) if by_requests else unconfirmed)
            except Exception:
                if not error or by_requests:
                    raise
                _log.exception("message %s: its outcome is lost", id_of(self.message))
        return by_requests is not None


def _outcome(response: Any) -> Callable[[str], Any]:
    """Which of the verbs an answer of the Graph API asks for."""
    if wamid := _usable_name(response):
        return partial(accepted, wamid=wamid)
    if isinstance(response, tuple) and len(response) == 2:
        status, body = response
    elif hasattr(response, "status_code"):
        status, body = response.status_code, None
        with contextlib.suppress(ValueError):
            body = response.json()
    else:
        kind = type(response).__name__
        raise TypeError(f"answer() takes the response, (status code, JSON) or a wamid, not {kind}")
    body = body if isinstance(body, dict) else {}
    if isinstance(body.get("error"), dict):
        return partial(_settle, error=_error(body["error"], code=status), final=True)
    messages = body.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    wamid = _usable_name(first.get("id")) if isinstance(first, dict) else None
    if wamid and 200 <= status < 300:
        return partial(accepted, wamid=wamid)
    if 400 <= status < 500:
        return partial(refused, code=str(status))
    # A proxy's 502, or a 200 that says nothing: Meta may have taken it.
    _log.warning("the Graph API answered HTTP %d without a result", status)
    return unconfirmed


def _failure(error: Any) -> Callable[[str], Any]:
    """Which of the verbs an exception of requests asks for."""
    if error.response is not None:
        return _outcome(error.response)
    cause = error.args[0] if error.args else None
    cause = cause.reason if isinstance(cause, MaxRetryError) else cause
    kinds = (requests.ConnectTimeout, requests.exceptions.ProxyError)
    if isinstance(error, kinds) or isinstance(cause, NewConnectionError | ConnectTimeoutError):
        return partial(refused, code=UNREACHABLE)  # no connection came about
    return unconfirmed


def sending(
    message: Any, *, by_person: bool = True, read_up_to: Any = None, **changes: Any
) -> _Call:
    """Stores a new message of ours, tells everybody, and records what comes of its sending::

        with message_status.sending(message, last_text=text) as call:
            call.answer(requests.post(…, timeout=30))

    The message is committed before the block begins, and up to date after it. An exception of
    requests is an outcome (refused, or unconfirmed) and goes no further. Any other makes the
    message unconfirmed and goes on; a block without an answer makes it unconfirmed, too.

    Args:
        message: the host's new entity, not put yet.
        by_person: whether somebody wrote it, who thus has read what came: False for a bot.
        read_up_to: the newest message that this person saw, or its id; default: the request's
            `read_up_to`, else all that has come.
        changes: the conversation's properties that change with it, such as `last_text="Olá"`.

    Raises:
        AlreadyStored: nothing is sent.
        RuntimeError: in a transaction, where nothing is committed before the call.
    """
    if ndb.in_transaction():
        raise RuntimeError("sending() must not run in a transaction: it commits before the call")
    if read_up_to is None and has_request_context():
        said = realtime_events.json_body().get("read_up_to") or request.form.get("read_up_to")
        read_up_to = said if isinstance(said, str | int) else None
    if not realtime_events.add_message(
        message, outgoing=True, changes=changes, by_person=by_person, read_up_to=read_up_to,
        started_at=now_ms(),
    ):  # fmt: skip
        raise AlreadyStored(f"message {id_of(message)} is stored already")
    return _Call(message)


def send(message: Any, **more: Any) -> bool:
    """`sending` by the function that `init_app` was given as `send=`.

    Returns:
        whether the message is new: what is stored already is not sent again.
    """
    by_host = _host().send
    if by_host is None:
        raise RuntimeError("message_status.init_app() was not given send=")
    try:
        with sending(message, **more) as call:
            call.answer(by_host(message))
    except AlreadyStored:
        message._grow(message.key.get(use_cache=False))
        return False
    return True


def retry(message_id: str, *, client_id: str, confirm: bool = False) -> tuple[Any, bool]:
    """Sends a new message that says what the old one said, which stays as it is.

    Args:
        message_id: the old one: refused, or of unknown outcome.
        client_id: the browser's id for the attempt; the same again changes nothing.
        confirm: the attendant knows that the customer may get it twice.

    Returns:
        the new message, and whether it is new.

    Raises:
        RetryRefused.
    """
    host = _host()

    def attempt() -> tuple[Any, bool]:
        old = _ours([message_id]).get(message_id)
        if old is None:
            raise RetryRefused("not_found")
        if successor := fact(old, "retried_as"):
            known = _ours([successor]).get(successor)
            if fact(old, "retry_id") != client_id or known is None:
                raise RetryRefused("already_retried", successor)
            return known, False
        doubt = old.status == SENDING and (_error_of(old) or {}).get("code") == UNCONFIRMED
        if not (doubt or old.status == FAILED) or not (host.send or host.resend):
            raise RetryRefused("not_retryable")
        if doubt and not confirm:
            raise RetryRefused("may_duplicate")
        new = None if host.resend else _copy(old, client_id)
        new_id = id_of(new) if new else client_id
        _update(old, retried_as=new_id, retried_at=now_ms(), retry_id=client_id)
        old.awaiting_since = None
        if host.resend:
            new = host.resend(old, client_id)
            old.put()
        elif not realtime_events.add_message(
            new, outgoing=True, replaces=old, attempt_of=message_id, started_at=now_ms()
        ):
            raise RetryRefused("client_id_taken")
        return new, True

    message, new = realtime_events.transaction(attempt)
    if host.after_resend and (new or fact(message, "started_at") is None):
        # Also for a repeat: the process that made it may have died before this.
        host.after_resend(message)
    elif new and host.send and not host.resend:
        with _Call(message) as call:
            call.answer(host.send(message))
    return message, new


def _copy(old: Any, client_id: str) -> Any:
    """A new message with the host's own properties of the old one."""
    model, parent = type(old), old.key.parent()
    if isinstance(old.key.id(), str):
        new = model(key=ndb.Key(model, client_id, parent=parent))
    else:
        new = model(key=model.allocate_ids(size=1, parent=parent)[0])
    # Only the modules' own mixins have a `_place`: `check_model` refuses it elsewhere.
    ours = {name for part in model.__mro__ if "_place" in vars(part) for name in vars(part)}
    for each in model._properties.values():
        name, value = each._code_name, getattr(old, each._code_name)
        stamped = getattr(each, "_auto_now_add", False) or getattr(each, "_auto_now", False)
        own_wamid = value is not None and value == wamid_of(old)  # the new one gets another
        if name not in ours and not (
            stamped or own_wamid or isinstance(each, ndb.ComputedProperty)
        ):
            setattr(new, name, _now_like(value, old) if isinstance(value, datetime) else value)
    return new


def _now_like(value: datetime, old: Any) -> datetime:
    """A time of the host's that told when the old message was written is now for the new one."""
    written = datetime.fromtimestamp((fact(old, "times") or {}).get(SENDING, 0) / 1000, UTC)
    is_then = abs((value if value.tzinfo else value.replace(tzinfo=UTC)) - written) < _SAME_MOMENT
    now = datetime.fromtimestamp(now_ms() / 1000, value.tzinfo or UTC)
    return now.replace(tzinfo=value.tzinfo) if is_then else value


# --- callbacks --------------------------------------------------------------------------------


def _walk(found: Any, *path: str) -> list[Any]:
    """What a webhook call has at the end of a path of lists and objects, whatever else is in it."""
    for name in path:
        values = [each.get(name) for each in found if isinstance(each, dict)]
        found = [each for v in values for each in (v if isinstance(v, list) else [v])]
    return [each for each in found if each is not None]


def record_statuses(
    items: Any, *, received_ms: int | None = None, deadline: float | None = None
) -> StatusReport:
    """Records the status callbacks of a webhook call; touches no conversation.

    A callback finds its message by `biz_opaque_callback_data`, else by its wamid, else waits under
    that. Any number of times: what tells nothing new is not written.

    Args:
        items: the webhook call's whole JSON, or a `value.get("statuses")` of it, as it came.
        received_ms: when, milliseconds since 1970; now when None.
        deadline: by `time.monotonic()`; what is not begun then is reported as late.

    Raises:
        what the store raises when it is down, or when others keep changing the same messages and
        there is no deadline: the webhook is to fail, and the same call comes again.
    """
    report, received = StatusReport(), now_ms() if received_ms is None else received_ms
    if isinstance(items, dict) and "entry" in items:
        items = _walk([items], "entry", "changes", "value", "statuses")
    elif isinstance(items, str | bytes | dict) or not isinstance(items, Iterable):
        items = [] if items is None else [items]
    groups: dict[str, list[Any]] = {}
    for item in items:
        callback = _read(item, received)
        if isinstance(callback, BadStatus):
            report.bad.append(callback)
        else:
            groups.setdefault(callback.opaque or callback.wamid or "", []).append(callback)
    pending, size = list(groups.values()), _host().settings["BATCH_SIZE"]
    for start in range(0, len(pending), size):
        chunk = pending[start : start + size]
        if deadline is not None and time.monotonic() > deadline:
            report.late += [each.raw for group in chunk for each in group]
        else:
            _record(chunk, report, may_be_late=deadline is not None)
    if report.parked:
        _log.info("%d statuses wait for their messages", report.parked)
    if report.bad:
        # Not by wamid, which has the customer's number inside.
        reasons = sorted({f"{each.field}: {each.reason}" for each in report.bad})[:5]
        _log.warning("%d statuses cannot be used (%s)", len(report.bad), "; ".join(reasons))
    return report


def _record(chunk: list[list[Any]], report: StatusReport, *, may_be_late: bool) -> None:
    """Records some messages' callbacks; one by one where together they fail."""
    callbacks = [each for group in chunk for each in group]
    try:
        done = realtime_events.transaction(partial(_record_together, callbacks))
    except api_exceptions.Aborted:  # others kept changing the same messages
        if not may_be_late:
            raise
        report.late += [each.raw for each in callbacks]
    except _FAULTS as fault:
        if len(callbacks) > 1:
            for part in chunk if len(chunk) > 1 else [[each] for each in callbacks]:
                _record([part], report, may_be_late=may_be_late)
            return
        reason = f"cannot be recorded: {type(fault).__name__}"
        report.bad.append(BadStatus("statuses", reason, callbacks[0].raw))
    else:
        report.applied += done.applied
        report.repeated += done.repeated
        report.parked += done.parked
        report.bad += done.bad


def _record_together(callbacks: list[Any]) -> StatusReport:
    """In a transaction: at most three lookups and one write, however many messages."""
    done = StatusReport()
    messages = _ours(each.opaque for each in callbacks)

    def by_opaque(callback: Any) -> Any:
        message = messages.get(callback.opaque or "")
        # Other programs on the same number have ids too, for instance a message 12 of their own.
        known = message and wamid_of(message)
        return message if not known or callback.wamid in (None, known) else None

    unsure = [each for each in callbacks if not (m := by_opaque(each)) or not wamid_of(m)]
    wamids = {each.wamid for each in unsure if each.wamid}
    links = {each: WamidLink(id=each) for each in wamids} | find(WamidLink, wamids)
    messages |= _ours({link.message_id for link in links.values()} - set(messages))

    before = {name: _state(message) for name, message in messages.items()}
    changed: dict[ndb.Key, ndb.Model] = {}
    for callback in callbacks:
        link, message = links.get(callback.wamid or ""), by_opaque(callback)
        unknown = link is not None and link.message_id is None
        if message is None and link is not None:
            message = messages.get(link.message_id or "")
        if message is None and link is not None and unknown:
            done.parked += 1
            if _park(link, callback):
                changed[link.key] = link
        elif message is None:
            reason = "of no message of ours, and nothing to keep it under"
            done.bad.append(BadStatus("biz_opaque_callback_data", reason, callback.raw))
        else:
            if link is not None and unknown:  # nobody recorded the send's answer, or not yet
                _adopt(message, link)
                changed[link.key], changed[message.key] = link, message
            news = _apply(message, callback.name, callback.at, callback.error)
            done.applied, done.repeated = done.applied + news, done.repeated + (not news)
            if news:
                changed[message.key] = message
    ndb.put_multi(list(changed.values()))
    for name, message in messages.items():
        _tell(message, before[name])
    return done


def _park(link: WamidLink, callback: Any) -> bool:
    """Keeps what a callback tells for the message of its wamid; False when it is known."""
    known = link.parked or {"status": SENDING, "error": None, "times": {}}
    made = _advance(known, callback.name, callback.at, callback.error)
    if made == known:
        return False
    link.parked = made
    link.expires_at = _utc_now() + timedelta(days=_host().settings["PARK_DAYS"])
    return True


def _utc_now() -> datetime:
    return datetime.fromtimestamp(now_ms() / 1000, UTC).replace(tzinfo=None)


def owners(wamids: Iterable[str]) -> dict[str, str]:
    """The ids of the messages that WhatsApp knows by these wamids, by wamid: of those we sent, and
    of those received with `wamid=`.
    """
    links = find(WamidLink, list(wamids))
    return {name: link.message_id for name, link in links.items() if link.message_id}


def delete_expired(seconds: float) -> tuple[int, bool]:
    """Deletes parked callbacks whose message never came, for so long.

    Returns:
        How many wamids were deleted, and whether there may be more.
    """
    end, deleted, keys = time.monotonic() + seconds, 0, [None]
    query = WamidLink.query(WamidLink.expires_at > _EPOCH, WamidLink.expires_at <= _utc_now())
    while keys and time.monotonic() < end:
        keys = query.fetch(limit=_DELETED_AT_ONCE, keys_only=True, timeout=seconds)
        ndb.delete_multi(keys)
        deleted += len(keys)
    return deleted, bool(keys)


# --- looking at it ----------------------------------------------------------------------------


def awaiting() -> tuple[list[Any], bool]:
    """The newest messages that have been `sending` for longer than `AWAITING_SECONDS`, and whether
    there are more. Not those older than `PARK_DAYS`: nothing will be heard of them any more.
    """
    host, now = _host(), now_ms()
    since = host.model.awaiting_since
    newest = now - host.settings["AWAITING_SECONDS"] * 1000
    oldest = now - host.settings["PARK_DAYS"] * 86_400_000
    found = host.model.query(since > oldest, since <= newest).order(-since).fetch(_AWAITING + 1)
    return found[:_AWAITING], len(found) > _AWAITING


def audit(message_id: str) -> dict[str, Any] | None:
    """All that is known of a message's sending, as JSON; None if we sent no such message."""
    message = _ours([message_id]).get(message_id)
    if message is None:
        return None
    chain = [message]  # all attempts of what it says, the first one first
    for name, place in (("attempt_of", 0), ("retried_as", -1)):
        while len(chain) < _ATTEMPTS and (id_ := fact(chain[place], name)):
            if (other := _ours([id_]).get(id_)) is None:
                break
            chain.insert(0 if place == 0 else len(chain), other)
    known = {**status_json(message), "wamid": wamid_of(message), "statuses": _times_json(message)}
    return {"message_id": message_id, **known, "attempts": [_attempt_json(each) for each in chain]}


def _attempt_json(message: Any) -> dict[str, Any]:
    times = {name: iso(fact(message, name)) for name in ("started_at", "accepted_at")}
    known = {"message_id": id_of(message), "status": message.status}
    return {**known, "error": _error_json(message), **times}


# --- views ------------------------------------------------------------------------------------


def _refuse(code: str, **more: Any) -> Any:
    status, text = _REFUSALS[code]
    return realtime_events.error(status, code, text, **more)


def _awaiting_view() -> Any:
    messages, more = awaiting()
    seconds = _host().settings["AWAITING_SECONDS"]
    return jsonify(messages=[each.live_json() for each in messages], more=more, seconds=seconds)


def _status_view(message_id: str) -> Any:
    found = audit(message_id)
    return jsonify(found) if found else _refuse("not_found")


def _retry_view(message_id: str) -> Any:
    body = realtime_events.json_body(strict=True)
    client_id = body.get("client_id", str(uuid.uuid4()))
    if not isinstance(client_id, str) or not _UUID.fullmatch(client_id):
        text = "O identificador não é válido."
        return realtime_events.error(422, "invalid", text, field="client_id")
    confirm = body.get("confirm") is True
    try:
        message, new = retry(message_id, client_id=client_id.lower(), confirm=confirm)
    except RetryRefused as refusal:
        more = {"message_id": refusal.message_id} if refusal.message_id else {}
        return _refuse(refusal.code, **more)
    return jsonify(message.live_json()), 201 if new else 200


def _cleanup_view() -> Any:
    deleted, more = delete_expired(_host().settings["CLEANUP_SECONDS"])
    return jsonify(deleted=deleted, more=more)


def init_app(
    app: Flask,
    message: type[MessageStatusMixin],
    *,
    send: Callable[[Any], Any] | None = None,
    resend: Callable[[Any, str], Any] | None = None,
    after_resend: Callable[[Any], None] | None = None,
    conversation: Any = None,
) -> None:
    """Adds the routes and the clean-up, and what the template message_status/head.html needs.

    Args:
        app: settings are read from its config or else the environment, see `DEFAULTS`.
        message: the host's model, with `MessageStatusMixin`.
        send: calls the Graph API for a stored message and returns the response; for `send` and
            `retry`. Gives it `id_of(message)` as `biz_opaque_callback_data`.
        resend: (old message, client_id) → the new message of this key name, in the transaction of
            a retry; stores and tells both. Default: a copy of the host's own properties.
        after_resend: (new message), after that commit: to be sent. Together with `resend`.
        conversation: the host's model; `unread_state` tells it, where the app has that.

    Raises:
        ValueError: a setting cannot be used; names key and value.
        TypeError: the model cannot be used; names class, property and remedy.
    """
    global _last_host
    if (resend is None) != (after_resend is None):
        raise TypeError("message_status.init_app(): resend= and after_resend= go together")
    settings = realtime_events.read_settings(app, "MESSAGE_STATUS", DEFAULTS)
    realtime_events.check_model(message, MessageStatusMixin)
    head = "message_status/head.html"
    realtime_events.use_models(app, message=message, conversation=conversation, head=head)
    host = SimpleNamespace(
        settings=settings, model=message, send=send, resend=resend, after_resend=after_resend
    )
    app.extensions[__name__] = _last_host = host
    blueprint = realtime_events.guarded_blueprint(app, __name__, cron=["cleanup"])
    blueprint.get("/api/messages/awaiting")(_awaiting_view)
    blueprint.get("/api/messages/<message_id>/status")(_status_view)
    blueprint.post("/api/messages/<message_id>/retry")(_retry_view)
    blueprint.get("/message-status/cleanup", endpoint="cleanup")(_cleanup_view)
    app.register_blueprint(blueprint)
    page = {"retry": bool(send or resend)}
    app.context_processor(lambda: {"message_status_page": page})

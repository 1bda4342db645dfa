"""Module 3: what is known of each message sent; static/message_status.js shows it as check marks.

HTTP 200 of the Graph API means *accepted*: still the clock. What became of a message comes later as
status callbacks, at least once each, in any order, sometimes before the Graph API's own answer and
sometimes weeks after. So a status only ever rises by rank, and one whose message is not known yet
waits under its wamid. A refusal ends a message; only a new one, made by an attendant, tries again,
because Meta has no idempotency key.

The host gives its message model this module's mixin, calls `init_app`, sends by `send` (or by
`sending`, round its own call of the Graph API), and hands a webhook's statuses to
`record_statuses`. A host with a queue of its own uses what these are made of:
`realtime_events.place`, `started`, then `record_outcome`.
"""

import contextlib
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

import requests
from flask import Flask, has_request_context, request
from google.api_core import exceptions as api_exceptions
from google.cloud import ndb
from urllib3.exceptions import NewConnectionError

import realtime_events
from realtime_events import Refused, find, id_of, iso, now_ms, usable_name

__all__ = [
    "DEFAULTS", "EXPLANATIONS", "FAILED", "SENDING", "UNCONFIRMED", "UNREACHABLE", "BadStatus",
    "MessageStatusMixin", "WamidLink", "audit", "fact", "init_app", "owners", "record_outcome",
    "record_statuses", "retry", "send", "sending", "started", "status_json",
]  # fmt: skip

#: Settings, read from `app.config` or else the environment under the prefix `MESSAGE_STATUS_`:
#: name → (default, smallest, largest).
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "PARK_DAYS": (30, 1, 60),  # WhatsApp tries to deliver a message for 30 days
    "BATCH_SIZE": (100, 1, 150),  # callbacks a transaction; each may write two entities of the 500
    "CLEANUP_SECONDS": (20.0, 0.1, 500),  # time budget of one clean-up request
}

SENDING = "sending"
FAILED = "failed"
#: Error codes of our own. UNCONFIRMED: may have been sent. UNREACHABLE: certainly was not.
UNCONFIRMED = "unconfirmed"
UNREACHABLE = "unreachable"

_RANKS = {SENDING: 0, "sent": 1, "delivered": 2, "read": 3, "played": 4}
_TOLD = ("sent", "delivered", "read", "played", FAILED)  # by WhatsApp; others change nothing
_TEXT_CHARS = 500  # of Meta's own words
_ATTEMPTS = 20  # shown of a chain of attempts
_FIRST_MS = 1_230_768_000_000  # WhatsApp started in 2009: older times are garbage
_AHEAD_MS = 60_000  # another clock may be this far ahead
#: App Engine ends a request after ten minutes: whoever called the Graph API before that is gone.
_LOST_MS = 600_000
_SAME_MOMENT_MS = 60_000  # a host's own stamp, and ours
#: Seconds between attempts to store an outcome: a lost one leaves a sent message unknown.
_PAUSES = (0.5, 2.0, 5.0)
#: One callback's or one entity's own fault: trying it again is no use.
_FAULTS = (
    ValueError, TypeError, LookupError, AttributeError, RecursionError,
    api_exceptions.InvalidArgument, api_exceptions.FailedPrecondition, api_exceptions.OutOfRange,
)  # fmt: skip
_NOT_FOUND = ("not_found", "Mensagem não encontrada.", 404)
_log = logging.getLogger(__name__)

_ADMIN = "Avise o administrador."
_WAITS = "Sem contato com o WhatsApp. A mensagem será enviada assim que ele responder."
#: By codes. Source: Meta's page "Error codes" of the WhatsApp Cloud API.
_WORDS = {
    UNCONFIRMED: "Sem resposta do WhatsApp: o cliente pode ter recebido a mensagem.",
    UNREACHABLE: "Não foi possível falar com o WhatsApp. A mensagem não foi enviada.",
    "0 190": f"O acesso ao WhatsApp expirou. {_ADMIN}",
    "1 131000": "Falha temporária do WhatsApp. Tente novamente em instantes.",
    "2 131016": "O WhatsApp está temporariamente fora do ar. Tente novamente em instantes.",
    "3 10 200 131005": f"O aplicativo não tem permissão para enviar mensagens. {_ADMIN}",
    "4 80007 130429": "Muitas mensagens em pouco tempo. Aguarde um pouco e tente novamente.",
    "33 131045 133010": f"O número da empresa não está registrado no WhatsApp. {_ADMIN}",
    "100 131008 131009": f"O WhatsApp não entendeu o envio: algum dado está incorreto. {_ADMIN}",
    "368 131031": f"A conta da empresa está bloqueada pelo WhatsApp. {_ADMIN}",
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
    "131052 131053": "O arquivo não pôde ser enviado. Confira o formato e o tamanho.",
    "131056": "Muitas mensagens para este cliente em pouco tempo. Aguarde e tente novamente.",
    "131037": f"O nome da empresa ainda não foi aprovado pelo WhatsApp. {_ADMIN}",
    "131043": "O WhatsApp não conseguiu entregar no prazo. Envie de novo se ainda fizer sentido.",
    "131057": "A conta do WhatsApp está em manutenção. Tente novamente mais tarde.",
    "132000": "O modelo mudou: o número de variáveis não é mais o mesmo. Escolha o modelo de novo.",
    "132001": "O modelo não existe neste idioma, ou não está aprovado. Escolha outro.",
    "132005": "O texto do modelo ficou longo demais. Escolha-o de novo e encurte as variáveis.",
    "132007": "O texto do modelo foge às regras do WhatsApp. Escolha outro modelo.",
    "132012": "Uma variável do modelo não tem o formato esperado. Escolha o modelo de novo.",
    "132015": "O modelo está pausado: muitos clientes o bloquearam ou denunciaram. Escolha outro.",
    "132016": "O modelo foi desativado pelo WhatsApp. Escolha outro.",
    "132018": "O WhatsApp não aceitou uma variável do modelo: sem quebras de linha, tabulações nem "
    "espaços seguidos. Escolha o modelo de novo.",
}
#: By code.
EXPLANATIONS = {code: words for codes, words in _WORDS.items() for code in codes.split()}


# --- data -------------------------------------------------------------------------------------


class MessageStatusMixin(realtime_events.LiveMessage):
    """What a message knows of its sending. The Graph API is to be given its id, as
    `realtime_events.id_of` tells it, as `biz_opaque_callback_data`.

    One property holds nearly all: ndb's time grows with the number of properties, and messages
    that come in have none of this.
    """

    status = ndb.TextProperty()  # None: not ours, or from before this module
    status_facts = ndb.JsonProperty()  # see `fact`

    def live_json(self) -> dict[str, Any]:
        """What the page needs to know of it; the host may override it and add to it."""
        direction = {"direction": "out"} if self.status else {}
        return {**super().live_json(), **status_json(self), **direction}

    def _is_repeat(self, wamid: str) -> bool:
        return wamid in owners([wamid]) or super()._is_repeat(wamid)

    def _remember(self, wamid: str) -> None:
        if usable_name(wamid):
            WamidLink(id=wamid, message_id=id_of(self)).put()

    def _place(self, conversation: Any, *, outgoing: bool, **facts: Any) -> None:
        super()._place(conversation, outgoing=outgoing, **facts)
        if outgoing:
            self.status, self.status_facts = SENDING, None
            begun = {name: facts.get(name) for name in ("attempt_of", "started_at")}
            _update(self, times={SENDING: now_ms()}, **begun)

    def _grow(self, stored: Any) -> None:
        super()._grow(stored)
        # Each change was made to what was stored: of two copies one is the other's past.
        if (fact(stored, "changes") or 0) > (fact(self, "changes") or 0):
            self.status, self.status_facts = stored.status, stored.status_facts


def fact(message: Any, name: str) -> Any:
    """What is known of a message's sending, None if nothing is. Times are ms since 1970.

    Args:
        message: with `MessageStatusMixin`.
        name: `wamid`, what WhatsApp calls it; `times` ({status: ms}); `error` ({"code", "title",
            "details"}); `started_at`: the Graph API was about to be called (None: certainly not
            sent); `accepted_at`; `attempt_of`, `retried_as` (ids); `retried_at`; `retry_id` (the
            browser's, of that retry); `changes` (how many so far).
    """
    return (message.status_facts or {}).get(name)


class WamidLink(ndb.Model):
    """Whose message a wamid is, of either direction. Key name: the wamid.

    The send's answer and a callback that overtakes it both go through this entity, each in its
    transaction: whichever comes second finds what the first left.
    """

    message_id = ndb.TextProperty()  # None: not known yet, or another program's
    status = ndb.TextProperty()  # what the callbacks so far make of it, as with a message
    status_facts = ndb.JsonProperty()
    #: Of one that waits only; a Datastore TTL policy on it can replace the clean-up route.
    expires_at = ndb.DateTimeProperty(tzinfo=UTC)


class BadStatus(NamedTuple):
    """A callback that could not be used, and why."""

    field: str
    reason: str
    raw: Any


def _walk(found: Any, *path: str) -> list[Any]:
    """What Meta's JSON has at the end of a path of lists and objects, whatever else is in it."""
    some = [each for each in (found if isinstance(found, list) else [found]) if each is not None]
    if not path:
        return some
    inner = [each.get(path[0]) for each in some if isinstance(each, dict)]
    return [end for each in inner for end in _walk(each, *path[1:])]


def _read(item: Any, received: int) -> Any:
    """A callback as WhatsApp sent it, or BadStatus. Needed are only a status and one of the ids."""
    if not isinstance(item, dict):
        return BadStatus("statuses", "not an object", item)
    names = ("id", "biz_opaque_callback_data", "status")
    wamid, opaque, name = (usable_name(item.get(each)) for each in names)
    for field, usable in (("id", wamid or opaque), ("status", name)):
        if not usable:
            return BadStatus(field, "missing or not a usable text", item)
    error = _error(next(iter(_walk(item, "errors")), None)) if name == FAILED else None
    at = _time(item.get("timestamp"), received)
    return SimpleNamespace(name=name, wamid=wamid, opaque=opaque, at=at, error=error, raw=item)


def _error(found: Any) -> dict[str, str]:
    """An error as it is kept, of one as Meta tells it in a callback or an answer: bounded, and
    without half of a cut emoji, which no store takes.
    """
    found = found if isinstance(found, dict) else {}
    code = "?" if found.get("code") in (None, "") else str(found["code"])
    title = found.get("title") or found.get("message")  # "(#131047) Re-engagement message"
    details = next(iter(_walk(found, "error_data", "details")), None)
    words = {name: text.removeprefix(f"(#{code})").strip()[:_TEXT_CHARS]
             for name, text in (("code", code), ("title", title), ("details", details))
             if isinstance(text, str) and text}  # fmt: skip
    return {name: text.encode("utf-8", "replace").decode() for name, text in words.items()}


def _time(value: Any, received: int) -> int:
    """Milliseconds, of seconds or milliseconds; the time of receipt for what cannot be."""
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        for ms in (float(value) * 1000, float(value)):
            if _FIRST_MS <= ms <= received + _AHEAD_MS:
                return int(ms)
    return received


def _error_json(message: Any) -> dict[str, str] | None:
    """Its error; of a send whose process is gone without a word, that nobody knows."""
    found, started_at = fact(message, "error"), fact(message, "started_at")
    unanswered = message.status == SENDING and not fact(message, "wamid")
    if unanswered and started_at and now_ms() - started_at > _LOST_MS:
        found = {"code": UNCONFIRMED}
    if not found:
        return None
    waits = message.status == SENDING and found["code"] == UNREACHABLE
    code, title = found["code"], found.get("title") or "O WhatsApp recusou a mensagem"
    text = _WAITS if waits else EXPLANATIONS.get(code, f"{title} (erro {code})")
    details = found.get("details") or found.get("title")
    return {"code": code, "message": text, **({"details": details} if details else {})}


def status_json(message: Any) -> dict[str, Any]:
    """The fields that a message's JSON has from this module."""
    known = {name: fact(message, name) for name in ("attempt_of", "retried_as")}
    known |= {"error": _error_json(message), "retried_at": iso(fact(message, "retried_at"))}
    return {"status": message.status, **{name: value for name, value in known.items() if value}}


def _times_json(message: Any) -> dict[str, str | None]:
    times = fact(message, "times") or {}
    return {name: iso(times[name]) for name in (SENDING, *_TOLD) if name in times}


def _host() -> Any:
    return realtime_events.of_app(__name__)


def _ours(ids: Iterable[Any]) -> dict[str, Any]:
    """Those of these messages that we send, by id."""
    found = find(_host().model, [id_ for id_ in ids if id_])
    return {id_: each for id_, each in found.items() if each.status}


def _our(id_: Any) -> Any:
    """This message, if it is one that we send."""
    return _ours([id_]).get(str(id_))


def _state(entity: Any) -> tuple[str, Any, dict[str, int]]:
    """What the screens show of a message: status, error, times."""
    return entity.status or SENDING, fact(entity, "error"), fact(entity, "times") or {}


def _tell(message: Any, before: Any) -> None:
    """Publishes a message's whole status if that changed; does not touch the conversation."""
    if _state(message) != before:
        id_, key = id_of(message), message.conversation_key
        told = {"message_id": id_, "client_id": id_, "status": message.status}
        told |= {"statuses": _times_json(message), "error": _error_json(message)}
        where = id_of(key) if key else None
        realtime_events.publish("message.status_changed", told, conversation_id=where)


def _update(entity: Any, **facts: Any) -> None:
    """Sets facts, None takes one away; a new object, because ndb's cache may hold the old one."""
    facts["changes"] = (fact(entity, "changes") or 0) + 1
    merged = {**(entity.status_facts or {}), **facts}
    entity.status_facts = {name: value for name, value in merged.items() if value is not None}


def _apply(entity: Any, name: str, at: int, reason: Any = None) -> bool:
    """Records a status, known or not, with its message, or with the `WamidLink` where it waits;
    False when it tells nothing new. Of its times (ms) the earliest counts; `reason`: the error
    that comes with `failed`.
    """
    before = status, error, times = _state(entity)
    if name == FAILED and status in (SENDING, "sent"):
        status, error = FAILED, reason
    elif name == FAILED:
        error = error or reason  # terminal, or it arrived: noted, and the ticks stay
    elif status != FAILED and _RANKS.get(name, -1) > _RANKS.get(status, -1):
        status, error = name, None if status == SENDING else error
    if name in _TOLD:
        times = {**times, name: min(at, times.get(name, at))}
    if (status, error, times) == before:
        return False
    entity.status = status
    _update(entity, error=error, times=times)
    return True


def _adopt(message: Any, link: Any) -> None:
    """The message learns its wamid, and what waited under it."""
    if not fact(message, "wamid"):
        # WhatsApp has it: nothing is in doubt any more.
        error = None if message.status == SENDING else fact(message, "error")
        _update(message, wamid=link.key.id(), error=error)
    status, error, times = _state(link)
    # A failure that counted came first, one that was only noted came after what arrived.
    for name in sorted(times, key=lambda name: (name == FAILED) != (status == FAILED)):
        _apply(message, name, times[name], error)
    link.message_id = id_of(message)
    link.status = link.status_facts = link.expires_at = None


# --- sending ----------------------------------------------------------------------------------


def started(message: Any) -> None:
    """The Graph API is about to be called. To be put and committed before it is: a message without
    this was certainly not sent, and one that has it and no outcome may have been.
    """
    _update(message, started_at=now_ms())


def record_outcome(
    message_id: str | int, *, wamid: str = "", error: Any = None, again: bool = False
) -> Any:
    """Records what the Graph API made of a message, and returns that as it is now; None if we sent
    none of this id. It joins the caller's transaction, may come any number of times, and changes
    nothing once the outcome is known.

    Args:
        message_id: our id.
        wamid: the message was accepted, under this: still the clock, unless callbacks were faster.
        error: it was certainly not sent, the red "!": Meta's own `error`, or {"code": UNREACHABLE}.
            With neither there was no answer, or the process that waited for it is gone: never to
            be sent again without an attendant's word, and any callback repairs it.
        again: after this error the host tries again by itself: still the clock.
    """

    def attempt() -> Any:
        message = _our(message_id)
        if message is None:
            _log.warning("there is no message %s that was sent", message_id)
            return None
        before, link = _state(message), wamid and (find(WamidLink, wamid) or WamidLink(id=wamid))
        answered = message.status != SENDING or fact(message, "wamid")
        if fact(message, "accepted_at") if link else answered:
            return message
        if link:
            _update(message, accepted_at=now_ms())
            _adopt(message, link)
        elif error and not again:
            _apply(message, FAILED, now_ms(), _error(error))
        else:
            started_at = fact(message, "started_at") if error is None else None
            _update(message, error=_error(error or {"code": UNCONFIRMED}), started_at=started_at)
        ndb.put_multi([message, link] if link else [message])
        _tell(message, before)
        return message

    return realtime_events.transaction(attempt)


@contextlib.contextmanager
def _call(message: Any) -> Iterator[Any]:
    """Round one call of the Graph API, once `started_at` is committed."""
    outcomes: list[dict[str, Any]] = []
    error: BaseException | None = None
    try:
        yield SimpleNamespace(answer=lambda response: outcomes.append(_outcome(response)))
    except BaseException as raised:  # noqa: BLE001 - it goes on below
        error = raised
    # A host's own exception tells by its cause what became of the call.
    errors = (error, getattr(error, "__cause__", None))
    by_requests = [each for each in errors if isinstance(each, requests.RequestException)]
    if not outcomes:
        ended = "sending() ended without answer(response)"
        reason = ended if error is None else type(error).__name__
        _log.error("message %s: %s", id_of(message), reason)
        outcomes = [*map(_outcome, by_requests), {}]
    for pause in (*_PAUSES, None):
        try:
            message._grow(record_outcome(id_of(message), **outcomes[0]) or message)
            break
        except Exception:
            _log.exception("message %s: its outcome cannot be stored", id_of(message))
            if pause is not None:
                time.sleep(pause)
            elif by_requests or error is None:
                raise
    if error is not None and not by_requests:
        raise error


def _outcome(answer: Any) -> dict[str, Any]:
    """What an answer of the Graph API, or an exception of requests, tells `record_outcome`."""
    if isinstance(answer, requests.RequestException) and answer.response is None:
        kinds = (requests.ConnectTimeout, requests.exceptions.ProxyError)
        reason = getattr(next(iter(answer.args), None), "reason", None)
        unconnected = isinstance(answer, kinds) or isinstance(reason, NewConnectionError)
        return {"error": {"code": UNREACHABLE}} if unconnected else {}
    answer = answer.response if isinstance(answer, requests.RequestException) else answer
    if wamid := usable_name(answer):
        return {"wamid": wamid}
    if isinstance(answer, tuple) and len(answer) == 2:
        status, body = answer
    elif hasattr(answer, "status_code"):
        status, body = answer.status_code, None
        with contextlib.suppress(ValueError):
            body = answer.json()
    else:
        kind = type(answer).__name__
        raise TypeError(f"answer() takes the response, (status code, JSON) or a wamid, not {kind}")
    refusal = next((each for each in _walk(body, "error") if isinstance(each, dict)), None)
    if refusal is not None or 400 <= status < 500:
        return {"error": {"code": status, **(refusal or {})}}
    wamids = [usable_name(each) for each in _walk(body, "messages", "id")]
    if 200 <= status < 300 and any(wamids[:1]):
        return {"wamid": wamids[0]}
    # A proxy's 502, or a 200 that says nothing: Meta may have taken it.
    _log.warning("the Graph API answered HTTP %d without a result", status)
    return {}


def sending(
    message: Any, *, by_person: bool = True, read_up_to: Any = None, **changes: Any
) -> contextlib.AbstractContextManager[Any]:
    """Stores a new message of ours, tells everybody, and records what comes of its sending::

        with message_status.sending(message, last_text=text) as call:
            call.answer(requests.post(…, timeout=30))

    The message is committed before the block begins, and up to date after it. `answer` takes a
    `requests.Response` or one like it, (status code, decoded JSON), or the wamid alone. An
    exception of requests is an outcome (refused, or unconfirmed) and goes no further. Any other
    makes the message unconfirmed and goes on; a block without an answer does so, too.

    Args:
        message: the host's new entity, not put yet.
        by_person: whether somebody wrote it, who thus has read what came: False for a bot.
        read_up_to: the newest message that this person saw, or its id; default: the request's
            `read_up_to`, else all that has come.
        changes: the conversation's properties that change with it, such as `last_text="Olá"`.

    Raises Refused if the message was sent before, or put by the host, which leaves that to this;
    RuntimeError in a transaction, where nothing is committed before the call.
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
        raise Refused("already_stored", "Esta mensagem já existe.", message_id=id_of(message))
    return _call(message)


def send(message: Any, **more: Any) -> bool:
    """`sending` by the function that `init_app` was given as `send=`. Returns whether the message
    is new: what is stored already is not sent again.
    """
    by_host = _host().send
    if by_host is None:
        raise RuntimeError("message_status.init_app() was not given send=")
    try:
        block = sending(message, **more)
    except Refused as refusal:
        if refusal.code != "already_stored":
            raise
        message._grow(message.key.get(use_cache=False))
        return False
    with block as call:
        call.answer(by_host(message))
    return True


def retry(message_id: str, *, client_id: str, confirm: bool = False) -> tuple[Any, bool]:
    """Sends a new message that says what the old one said, which stays as it is. Returns that, and
    whether it is new; raises Refused.

    Args:
        message_id: the old one: refused, or of unknown outcome.
        client_id: the browser's id for the attempt; the same again changes nothing.
        confirm: the attendant knows that the customer may get it twice.
    """
    host = _host()
    tried = 0  # the number given in an attempt of which nobody knows whether it was committed

    def attempt() -> tuple[Any, bool]:
        nonlocal tried
        old = _our(message_id)
        if old is None:
            raise Refused(*_NOT_FOUND)
        if successor := fact(old, "retried_as"):
            known = _our(successor)
            if fact(old, "retry_id") != client_id or known is None:
                words = "Esta mensagem já foi enviada de novo."
                raise Refused("already_retried", words, message_id=successor)
            return known, known.arrival == tried
        doubt = old.status == SENDING and (_error_json(old) or {}).get("code") == UNCONFIRMED
        if not (doubt or old.status == FAILED) or not host.send:
            raise Refused("not_retryable", "Esta mensagem não precisa ser enviada de novo.")
        if doubt and not confirm:
            raise Refused("may_duplicate", "O cliente pode receber esta mensagem duas vezes.")
        _update(old, retried_as=client_id, retried_at=now_ms(), retry_id=client_id)
        new = (host.resend or _resend)(old, client_id)
        if host.resend:
            old.put()  # without what it says now it could be sent once more
        tried = new.arrival
        return new, True

    message, new = realtime_events.transaction(attempt)
    if host.resend and (new or fact(message, "started_at") is None):
        host.send(message)  # also for a repeat: the process that made it may have died before this
    elif new and not host.resend:
        with _call(message) as call:
            call.answer(host.send(message))
    return message, new


def _resend(old: Any, client_id: str) -> Any:
    """A new message with the host's own properties of the old one, whose times of then are now;
    stores and tells both.
    """
    model, parent = type(old), old.key.parent()
    numbered = not isinstance(old.key.id(), str)
    id_ = model.allocate_ids(size=1, parent=parent)[0].id() if numbered else client_id
    new = model(id=id_, parent=parent)
    written = (fact(old, "times") or {}).get(SENDING, 0)
    for each in model._properties.values():
        name, value = each._code_name, getattr(old, each._code_name)
        made = isinstance(each, ndb.ComputedProperty) or getattr(each, "_auto_now_add", False)
        own_wamid = value is not None and value == fact(old, "wamid")  # the new one gets another
        if made or own_wamid:
            continue
        if isinstance(value, datetime):
            moment = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000
            if abs(moment - written) < _SAME_MOMENT_MS:
                value += timedelta(milliseconds=now_ms() - written)
        setattr(new, name, value)  # also the modules' own, which begin anew with their place
    _update(old, retried_as=id_of(new))
    if not realtime_events.add_message(
        new, outgoing=True, replaces=old, attempt_of=id_of(old), started_at=now_ms()
    ):
        raise Refused("client_id_taken", "Este identificador já foi usado por outra mensagem.")
    return new


# --- callbacks --------------------------------------------------------------------------------


def record_statuses(items: Any, *, received_ms: int | None = None) -> list[BadStatus]:
    """Records the status callbacks of a webhook call; touches no conversation.

    A callback finds its message by `biz_opaque_callback_data`, else by its wamid, else waits under
    that. Any number of times: what tells nothing new is not written.

    Args:
        items: the webhook call's whole JSON, or a `value.get("statuses")` of it, as it came.
        received_ms: when, milliseconds since 1970; now when None.

    Returns those that could not be used. Raises what the store does when it is down, or when others
    keep changing the same messages: the webhook is to fail, and the same call comes again.
    """
    path = ("entry", "changes", "value", "statuses") if isinstance(items, dict) else ()
    read = [_read(item, received_ms or now_ms()) for item in _walk(items, *path)]
    bad = [each for each in read if isinstance(each, BadStatus)]
    usable = [each for each in read if not isinstance(each, BadStatus)]
    size = _host().settings["BATCH_SIZE"]
    for start in range(0, len(usable), size):
        bad += _record(usable[start : start + size])
    if bad:
        # Not by wamid, which has the customer's number inside.
        reasons = sorted({f"{each.field}: {each.reason}" for each in bad})[:5]
        _log.warning("%d statuses cannot be used (%s)", len(bad), "; ".join(reasons))
    return bad


def _record(callbacks: list[Any]) -> list[BadStatus]:
    """Records some callbacks together; in ever smaller parts where one of them cannot be."""
    try:
        return realtime_events.transaction(lambda: _record_together(callbacks))
    except _FAULTS as fault:
        if half := len(callbacks) // 2:
            return _record(callbacks[:half]) + _record(callbacks[half:])
        reason = f"cannot be recorded: {type(fault).__name__}"
        return [BadStatus("statuses", reason, callbacks[0].raw)]


def _record_together(callbacks: list[Any]) -> list[BadStatus]:
    """In a transaction: at most three lookups and one write, however many messages."""
    messages = _ours(each.opaque for each in callbacks)

    def by_opaque(callback: Any) -> Any:
        message = messages.get(callback.opaque)
        # Other programs on the same number have ids too, for instance a message 12 of their own.
        known = message and fact(message, "wamid")
        return message if not known or callback.wamid in (None, known) else None

    unsure = [each for each in callbacks if not (m := by_opaque(each)) or not fact(m, "wamid")]
    wamids = {each.wamid for each in unsure if each.wamid}
    links = {each: WamidLink(id=each) for each in wamids} | find(WamidLink, wamids)
    messages |= _ours({link.message_id for link in links.values()} - set(messages))

    before = {name: _state(message) for name, message in messages.items()}
    changed: dict[ndb.Key, ndb.Model] = {}
    parked, bad = 0, []
    for callback in callbacks:
        link = links.get(callback.wamid)
        message = by_opaque(callback) or (link and messages.get(link.message_id))
        unknown = link is not None and link.message_id is None
        if message and unknown:  # nobody recorded the send's answer, or not yet
            _adopt(message, link)
            changed[link.key], changed[message.key] = link, message
        elif unknown:
            parked += 1
            days = timedelta(days=_host().settings["PARK_DAYS"])
            link.expires_at = datetime.fromtimestamp(now_ms() / 1000, UTC) + days
        elif not message:
            reason = "of no message of ours, and nothing to keep it under"
            bad.append(BadStatus("biz_opaque_callback_data", reason, callback.raw))
            continue
        if _apply(message or link, callback.name, callback.at, callback.error):
            changed[(message or link).key] = message or link
    ndb.put_multi(list(changed.values()))
    for name, message in messages.items():
        _tell(message, before[name])
    if parked:
        _log.info("%d statuses wait for their messages", parked)
    return bad


def owners(wamids: Iterable[str]) -> dict[str, str]:
    """Whose these wamids are: the ids of messages that we sent, or received with `wamid=`."""
    links = find(WamidLink, list(wamids))
    return {name: link.message_id for name, link in links.items() if link.message_id}


# --- views ------------------------------------------------------------------------------------


def audit(message_id: str) -> dict[str, Any]:
    """All that is known of a message's sending, as JSON; raises Refused if we sent no such one."""
    message = _our(message_id)
    if message is None:
        raise Refused(*_NOT_FOUND)
    chain = [message]  # all attempts of what it says, the first one first
    while len(chain) < _ATTEMPTS and (other := _our(fact(chain[0], "attempt_of"))):
        chain.insert(0, other)
    while len(chain) < _ATTEMPTS and (other := _our(fact(chain[-1], "retried_as"))):
        chain.append(other)
    known = {"wamid": fact(message, "wamid"), "statuses": _times_json(message)}
    attempts = [{"message_id": id_of(each), **status_json(each),
                 "started_at": iso(fact(each, "started_at")),
                 "accepted_at": iso(fact(each, "accepted_at"))} for each in chain]  # fmt: skip
    return {"message_id": message_id, **status_json(message), **known, "attempts": attempts}


def _retry_view(message_id: str) -> Any:
    body = realtime_events.json_body(strict=True)
    try:
        client_id = str(uuid.UUID(body.get("client_id", str(uuid.uuid4()))))
    except (ValueError, TypeError, AttributeError):
        raise Refused("invalid", "O identificador não é válido.", 422, field="client_id") from None
    message, new = retry(message_id, client_id=client_id, confirm=body.get("confirm") is True)
    return message.live_json(), 201 if new else 200


def _cleanup() -> tuple[int, bool]:
    """Deletes parked callbacks whose message never came, for so long."""
    # None counts as less than any time.
    never, now = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (0, now_ms()))
    query = WamidLink.query(WamidLink.expires_at > never, WamidLink.expires_at <= now)
    return realtime_events.delete_all(query, _host().settings["CLEANUP_SECONDS"])


def init_app(
    app: Flask, message: type[MessageStatusMixin], *, send: Callable[[Any], Any] | None = None,
    resend: Callable[[Any, str], Any] | None = None, conversation: Any = None,
) -> None:  # fmt: skip
    """Adds the routes and the clean-up, and what the template message_status/head.html needs.

    Args:
        app: settings are read from its config or else the environment, see `DEFAULTS`.
        message: the host's model, with `MessageStatusMixin`.
        send: calls the Graph API for a stored message and returns the response; for `send` and
            `retry`. Gives it `id_of(message)` as `biz_opaque_callback_data`.
        resend: (old message, client_id) → the new message of this key name, in the transaction of
            a retry; stores and tells both. `send` then only sees to it that the new one goes out.
            Default: a copy of the host's own properties.
        conversation: the host's model; `unread_state` tells it, where the app has that.

    Raises ValueError for a setting that cannot be used and names key and value, TypeError for a
    model and names class, property and remedy.
    """
    if resend and not send:
        raise TypeError("message_status.init_app(): resend= goes together with send=")
    settings = realtime_events.read_settings(app, "MESSAGE_STATUS", DEFAULTS)
    realtime_events.check_model(message, MessageStatusMixin)
    realtime_events.use_models(app, message=message, conversation=conversation)
    app.extensions[__name__] = SimpleNamespace(
        settings=settings, model=message, send=send, resend=resend
    )
    realtime_events.add_routes(app, __name__, {
        "GET /api/messages/<message_id>/status": audit,
        "POST /api/messages/<message_id>/retry": _retry_view,
        "CRON /message-status/cleanup": _cleanup,
    })  # fmt: skip
    app.context_processor(lambda: {"message_status_page": {"retry": bool(send)}})

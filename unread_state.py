"""Module 2: what has not been read, shared by all attendants as on WhatsApp's linked devices.

A conversation has two numbers that only grow: incoming messages counted, and how many of them have
been read. A message remembers how many were counted when it came, so "read up to this message" is
exact whatever order messages, readings and answers arrive in, and repeating anything changes
nothing. A mark set by hand is a third growing number: how often it was set or taken back.

The host gives its conversations and messages the mixins, calls `count_incoming`, `count_outgoing`,
`merge` and `publish_changed` inside its own transactions, and `init_app` once. What the page needs
comes from `GET /unread` and the template `unread_state/head.html`; the rest is unread_state.js.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeGuard

from flask import Blueprint, Flask, Response, current_app, jsonify, request
from google.cloud import ndb

__all__ = [
    "DEFAULTS",
    "ConversationNotFound",
    "MessageNotFound",
    "Totals",
    "UnreadConversationMixin",
    "UnreadMessageMixin",
    "conversation_json",
    "count_incoming",
    "count_outgoing",
    "init_app",
    "mark_unread",
    "merge",
    "page_data",
    "publish_changed",
    "read",
    "refresh",
    "send_read_receipt",
    "totals",
]

#: Settings, read from `app.config` or else the environment under the prefix `UNREAD_STATE_`:
#: name → (default, smallest, largest); text settings have their allowed values instead.
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "TITLE_COUNTS": ("conversations", "conversations", "messages"),  # WhatsApp Web counts chats
    "READ_RECEIPTS": ("true", "true", "false"),  # whether the customer learns of a reading
    "TOTALS_LIMIT": (1000, 100, 10000),  # unread conversations that one computation looks at
    "CHECK_SECONDS": (60, 10, 3600),  # between two comparisons of a page with the server
    # What static/unread_state.js does with time and space:
    "QUIET_AFTER_SECONDS": (15, 1, 600),  # an event this old at delivery notifies nobody
    "REFOCUS_MS": (2500, 0, 10000),  # who merely passes through a window has not read it
    "NEAR_BOTTOM_PX": (120, 0, 1000),  # still counts as the end of the thread
}
_PREFIX = "UNREAD_STATE_"
#: The totals in an event may be as old as this many times what computing them took: computing them
#: for each of a thousand customers of one webhook call would take minutes.
_TOTALS_SHARE = 10
_QUERY_SECONDS = 5.0
_ID_BYTES = 1500  # of a Datastore key name
_log = logging.getLogger(__name__)


class ConversationNotFound(LookupError):
    """There is no such conversation."""


class MessageNotFound(LookupError):
    """There is no such message in this conversation."""


# --- data -------------------------------------------------------------------------------------


class UnreadConversationMixin(ndb.Model):
    """A conversation's unread state. A conversation from before the module was all read."""

    #: Derived, see `refresh`.
    unread_count = ndb.IntegerProperty(indexed=False, default=0)
    incoming_counted = ndb.IntegerProperty(indexed=False, default=0)
    incoming_read = ndb.IntegerProperty(indexed=False, default=0)
    mark_flips = ndb.IntegerProperty(indexed=False, default=0)  # odd: marked unread by hand
    #: What was counted, and the highest arrival, when another conversation was merged in: messages
    #: up to that arrival come from two counts, and reading one of them reads both.
    merge_floor = ndb.IntegerProperty(indexed=False, default=0)
    merge_arrival = ndb.IntegerProperty(indexed=False, default=0)
    #: For the filter "Não lidas"; together with the list's order it needs a composite index.
    is_unread = ndb.BooleanProperty(default=False)
    #: "counted:read:flips" while unread and not silent, else None: the totals' whole question is
    #: answered by this property's index, and costs what is unread, not what exists.
    unread_numbers = ndb.StringProperty()

    @property
    def marked_unread(self) -> bool:
        """Whether somebody marked it as unread by hand."""
        return self.mark_flips % 2 == 1

    @property
    def is_silent(self) -> bool:
        """Whether it counts in no total (muted, archived); the host overrides this."""
        return False


class UnreadMessageMixin(ndb.Model):
    """A message's place in its conversation's count."""

    counted_at_arrival = ndb.IntegerProperty(indexed=False)


@dataclass(frozen=True)
class Totals:
    """What is unread in chats that are not silent; a chat only marked by hand counts one."""

    conversations: int
    messages: int


# --- rules: no store, no clock; a conversation is anything with the mixin's attributes --------


def count_incoming(conversation: Any, message: Any, *, counts: bool) -> bool:
    """Counts a customer's message; in the transaction that stores it for the first time.

    Args:
        conversation: where it comes in.
        message: the new entity.
        counts: whether it is something to read: False for reactions, notices, edits.

    Returns:
        whether the unread state has changed: then call `publish_changed` before the commit.
    """
    if counts:
        conversation.incoming_counted += 1
        refresh(conversation)
    message.counted_at_arrival = conversation.incoming_counted
    return counts


def count_outgoing(
    conversation: Any, message: Any, *, by_attendant: bool, read_up_to: Any = None
) -> bool:
    """Places an outgoing message in the count; an attendant who answers has read.

    Args:
        conversation: where it goes.
        message: the new entity.
        by_attendant: False for an automatic reply, which reads nothing.
        read_up_to: the newest message that the attendant saw; None: all that has come.

    Returns:
        whether the unread state has changed: then call `publish_changed` before the commit.
    """
    message.counted_at_arrival = conversation.incoming_counted
    if not by_attendant:
        return False
    up_to = conversation.incoming_counted if read_up_to is None else _mark(conversation, read_up_to)
    return _read(conversation, up_to)


def merge(winner: Any, loser: Any, *, arrival: int) -> None:
    """Adds up two conversations of one person; in the transaction that merges them.

    Args:
        winner: the conversation that stays; publish its change.
        loser: the one that from now on leads to it.
        arrival: the highest arrival that any message of the two may have.
    """
    winner.incoming_counted += loser.incoming_counted
    winner.incoming_read += loser.incoming_read
    if loser.marked_unread:
        winner.mark_flips += 0 if winner.marked_unread else 1
        loser.mark_flips += 1
    winner.merge_floor, winner.merge_arrival = winner.incoming_counted, arrival
    # Until the commit the totals' query still finds it; `publish_changed` leaves it out.
    winner.absorbed_unread = [*getattr(winner, "absorbed_unread", ()), loser]
    loser.incoming_read = loser.incoming_counted
    refresh(winner)
    refresh(loser)


def refresh(conversation: Any) -> None:
    """Derives what is shown and queried; the host calls it after muting or archiving."""
    unread = max(0, conversation.incoming_counted - conversation.incoming_read)
    conversation.unread_count = unread
    conversation.is_unread = unread > 0 or conversation.marked_unread
    numbers = (conversation.incoming_counted, conversation.incoming_read, conversation.mark_flips)
    shown = conversation.is_unread and not conversation.is_silent
    conversation.unread_numbers = ":".join(map(str, numbers)) if shown else None


def _mark(conversation: Any, message: Any) -> int:
    """How many messages are read by whoever has read up to this one."""
    before_merge = (message.arrival or 0) <= conversation.merge_arrival
    return max(message.counted_at_arrival or 0, conversation.merge_floor if before_merge else 0)


def _read(conversation: Any, up_to: int) -> bool:
    changed = up_to > conversation.incoming_read or conversation.marked_unread
    conversation.incoming_read = max(conversation.incoming_read, up_to)
    if conversation.marked_unread:
        conversation.mark_flips += 1
    if changed:
        refresh(conversation)
    return changed


def conversation_json(conversation: Any) -> dict[str, Any]:
    """The fields that a conversation's JSON gets."""
    return {
        "unread_count": conversation.unread_count,
        "marked_unread": conversation.marked_unread,
        "incoming_counted": conversation.incoming_counted,
        "incoming_read": conversation.incoming_read,
        "mark_flips": conversation.mark_flips,
    }


# --- totals: one computation ------------------------------------------------------------------

_Numbers = tuple[int, int, int]  # counted, read, flips


def _add_up(all_numbers: Iterable[_Numbers]) -> Totals:
    conversations = messages = 0
    for counted, was_read, flips in all_numbers:
        weight = max(counted - was_read, flips % 2)
        conversations += weight > 0
        messages += max(0, weight)
    return Totals(conversations, messages)


@dataclass
class _Unread:
    """The module's state in an app: its settings, its host, and the totals computed last."""

    settings: dict[str, Any]
    model: type[UnreadConversationMixin]
    find_conversation: Callable[[str], Any]
    find_message: Callable[[Any, str], Any]
    transaction: Callable[[Callable[[], Any]], Any]
    publish: Callable[..., None]
    send_receipt: Callable[[Any, Any], None] | None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: dict[str, _Numbers] = field(default_factory=dict)
    #: What this process has committed since, and when.
    _own: dict[str, tuple[float, _Numbers | None]] = field(default_factory=dict)
    _fresh_until: float = 0.0

    def load(self) -> dict[str, _Numbers]:
        """The numbers of every conversation that is unread and not silent, up to the limit."""
        started = time.monotonic()
        query = self.model.query(self.model.unread_numbers > "")
        found: dict[str, _Numbers] = {}
        for each in query.fetch(
            self.settings["TOTALS_LIMIT"],
            projection=["unread_numbers"],
            timeout=_QUERY_SECONDS,
        ):
            counted, was_read, flips = map(int, each.unread_numbers.split(":"))
            found[str(each.key.id())] = counted, was_read, flips
        ended = time.monotonic()
        with self._lock:
            self._known = found
            # What was committed here after the query had begun may be missing in its answer.
            self._own = {key: own for key, own in self._own.items() if own[0] >= started}
            self._fresh_until = ended + _TOTALS_SHARE * (ended - started)
        return found

    def totals_with(self, conversation: Any) -> Totals:
        """The totals as they are once this conversation, changed in a transaction, is committed."""
        if time.monotonic() > self._fresh_until:
            # A query inside the transaction would lock the whole range of the index.
            ndb.non_transactional()(self.load)()
        with self._lock:
            numbers: dict[str, _Numbers | None] = {**self._known}
            numbers |= {key: own for key, (_, own) in self._own.items()}
        for each in (conversation, *getattr(conversation, "absorbed_unread", ())):
            numbers[str(each.key.id())] = _numbers_of(each)
        return _add_up(each for each in numbers.values() if each is not None)

    def note(self, conversation_id: str, numbers: _Numbers | None) -> None:
        """A commit of this process; must not raise, see `call_on_commit`."""
        with self._lock:
            self._own[conversation_id] = time.monotonic(), numbers


def _numbers_of(conversation: Any) -> _Numbers | None:
    if conversation.unread_numbers is None:
        return None
    return conversation.incoming_counted, conversation.incoming_read, conversation.mark_flips


def totals() -> Totals:
    """Reads the totals; costs one query over what is unread, however much exists."""
    return _add_up(_unread().load().values())


# --- changing ---------------------------------------------------------------------------------


def publish_changed(conversation: Any) -> None:
    """Tells the screens; in the transaction, once a conversation, after all its changes.

    Args:
        conversation: the entity, with `version` where the host has one; the caller puts it.
    """
    unread = _unread()
    unread.publish(
        "unread.changed", _state(unread, conversation), conversation_id=str(conversation.key.id())
    )
    for each in (conversation, *getattr(conversation, "absorbed_unread", ())):
        after = partial(unread.note, str(each.key.id()), _numbers_of(each))
        ndb.get_context().call_on_commit(after)


def _state(unread: _Unread, conversation: Any) -> dict[str, Any]:
    now = unread.totals_with(conversation)
    return {
        "conversation_id": str(conversation.key.id()),
        **conversation_json(conversation),
        "silent": conversation.is_silent,
        "conversation_version": getattr(conversation, "version", None),
        "totals": {"conversations": now.conversations, "messages": now.messages},
    }


def read(conversation_id: str, up_to: str) -> dict[str, Any]:
    """An attendant has read a conversation up to a message; opens its own transaction.

    What came after that message stays unread. Reading what is read writes nothing.

    Args:
        conversation_id: which conversation.
        up_to: id of the newest message seen, by order of arrival; of either direction.

    Returns:
        the data of `unread.changed`.

    Raises:
        ConversationNotFound: no such conversation.
        MessageNotFound: the message is not in it.
    """
    unread = _unread()

    def attempt() -> tuple[Any, Any, bool]:
        conversation = _found(unread, conversation_id)
        message = unread.find_message(conversation, up_to)
        if message is None:
            raise MessageNotFound(up_to)
        before = conversation.incoming_read
        if _read(conversation, _mark(conversation, message)):
            conversation.put()
            publish_changed(conversation)
        return conversation, message, conversation.incoming_read > before

    conversation, message, more_read = unread.transaction(attempt)
    if more_read:
        send_read_receipt(conversation, message)
    return _state(unread, conversation)


def mark_unread(conversation_id: str) -> dict[str, Any]:
    """Marks a conversation as unread by hand; opens its own transaction.

    Args:
        conversation_id: which conversation.

    Returns:
        the data of `unread.changed`.

    Raises:
        ConversationNotFound: no such conversation.
    """
    unread = _unread()

    def attempt() -> Any:
        conversation = _found(unread, conversation_id)
        if not conversation.marked_unread:
            conversation.mark_flips += 1
            refresh(conversation)
            conversation.put()
            publish_changed(conversation)
        return conversation

    return _state(unread, unread.transaction(attempt))


def send_read_receipt(conversation: Any, message: Any) -> None:
    """Lets the host tell the customer, where that is switched on; after the commit.

    Args:
        conversation: what was read.
        message: up to where, or the answer that read it.
    """
    unread = _unread()
    if unread.send_receipt is None or unread.settings["READ_RECEIPTS"] != "true":
        return
    try:
        unread.send_receipt(conversation, message)
    except Exception as error:  # noqa: BLE001 - it is read, whether the customer learns of it or not
        _log.error("no read receipt for %s: %s", conversation.key.id(), type(error).__name__)


def _found(unread: _Unread, conversation_id: str) -> Any:
    conversation = unread.find_conversation(conversation_id) if _is_id(conversation_id) else None
    if conversation is None:
        raise ConversationNotFound(conversation_id)
    return conversation


# --- views ------------------------------------------------------------------------------------


def page_data() -> dict[str, Any]:
    """What the page starts from: its settings. What is unread it asks for when its list is drawn;
    here that would delay the first paint by as much as there is unread.
    """
    settings: dict[str, Any] = {name.lower(): each for name, each in _unread().settings.items()}
    settings["read_receipts"] = settings["read_receipts"] == "true"
    return {"settings": settings}


def _snapshot(unread: _Unread) -> dict[str, Any]:
    found = unread.load()
    now = _add_up(found.values())
    return {
        "conversations": now.conversations,
        "messages": now.messages,
        "limit_reached": len(found) >= unread.settings["TOTALS_LIMIT"],
        "by_conversation": {
            key: {
                "unread_count": max(0, counted - was_read),
                "incoming_counted": counted,
                "incoming_read": was_read,
                "mark_flips": flips,
            }
            for key, (counted, was_read, flips) in found.items()
        },
    }


def _get_unread(unread: _Unread, current_cursor: Callable[[], str]) -> Response:
    cursor = current_cursor()  # before the reading: events after it may be in it, never missing
    snapshot = _snapshot(unread)
    shown = request.args.get("page", "")[:40]
    if shown and shown != f"{snapshot['conversations']},{snapshot['messages']}":
        # The page has waited for events under way: what is left is a fault worth finding.
        _log.warning(
            "a page showed %r unread, the server has %d,%d",
            shown,
            snapshot["conversations"],
            snapshot["messages"],
        )
    return jsonify(**snapshot, cursor=cursor)


def _post_read(conversation_id: str) -> Response:
    try:
        body = request.get_json(silent=True)
    except RecursionError:
        body = None
    if not isinstance(body, dict):
        return _error(400, "not_json", "O pedido precisa ser um objeto JSON.")
    up_to = body.get("up_to")
    if not _is_id(up_to):
        return _error(422, "invalid", "Falta dizer até que mensagem foi lido.", "up_to")
    try:
        return jsonify(read(conversation_id, up_to))
    except MessageNotFound:
        return _error(422, "invalid", "Essa mensagem não está nesta conversa.", "up_to")


def _is_id(value: Any) -> TypeGuard[str]:
    """Whether it can name an entity: `__…__` is Datastore's own."""
    usable = isinstance(value, str) and value.isprintable() and not value.startswith("__")
    return usable and 0 < len(value.encode()) <= _ID_BYTES


def _error(status: int, code: str, message: str, field: str | None = None) -> Response:
    error = {"code": code, "message": message} | ({"field": field} if field else {})
    response = jsonify(error=error)
    response.status_code = status
    return response


# --- start ------------------------------------------------------------------------------------


def _settings(app: Flask) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name, (default, *allowed) in DEFAULTS.items():
        key = _PREFIX + name
        value = app.config.get(key, os.environ.get(key, default))
        if isinstance(default, str):
            value = str(value).lower()
            if value not in allowed:
                raise ValueError(f"{key}={value!r}: use one of {', '.join(allowed)}")
        else:
            try:
                value = type(default)(value)
            except (TypeError, ValueError):
                raise ValueError(f"{key}={value!r}: not a whole number") from None
            if not allowed[0] <= value <= allowed[1]:
                raise ValueError(f"{key}={value!r}: from {allowed[0]} to {allowed[1]}")
        settings[name] = value
    return settings


def _unread() -> _Unread:
    found: _Unread | None = current_app.extensions.get(__name__)
    if found is None:
        raise RuntimeError("unread_state.init_app() has not run for this app")
    return found


def init_app(
    app: Flask,
    *,
    current_user_id: Callable[[], str | None],
    conversation_model: type[UnreadConversationMixin],
    find_conversation: Callable[[str], Any],
    find_message: Callable[[Any, str], Any],
    transaction: Callable[[Callable[[], Any]], Any],
    publish: Callable[..., None],
    current_cursor: Callable[[], str],
    send_receipt: Callable[[Any, Any], None] | None = None,
) -> None:
    """Adds `GET /unread`, `POST /api/conversations/ID/read` and `…/unread`, and the page's part.

    Args:
        app: settings are read from its config or else the environment, see `DEFAULTS`. It guards
            its POST routes against CSRF and opens an ndb context around each request.
        current_user_id: who makes the request; None is answered 401.
        conversation_model: the host's, with `UnreadConversationMixin`.
        find_conversation: by id, in the transaction, merges followed; None if there is none.
        find_message: of this conversation, by id; None if it is not in it.
        transaction: runs a function in a transaction, again after a conflict.
        publish: as `realtime_events.publish`.
        current_cursor: as `realtime_events.current_cursor`.
        send_receipt: takes the conversation and the message up to which it was read, after the
            commit; must return at once. None: customers learn nothing.

    Raises:
        ValueError: a setting cannot be used; names key and value.
    """
    unread = _Unread(
        _settings(app),
        conversation_model,
        find_conversation,
        find_message,
        transaction,
        publish,
        send_receipt,
    )
    blueprint = Blueprint(__name__, __name__)

    @blueprint.before_request
    def guard() -> Response | None:
        if current_user_id() is None:
            return _error(401, "login_required", "Sua sessão terminou. Entre de novo.")
        return None

    @blueprint.errorhandler(ConversationNotFound)
    def not_found(_problem: ConversationNotFound) -> Response:
        return _error(404, "not_found", "Conversa não encontrada.")

    @blueprint.get("/unread")
    def get_unread() -> Response:
        return _get_unread(unread, current_cursor)

    @blueprint.post("/api/conversations/<conversation_id>/read")
    def post_read(conversation_id: str) -> Response:
        return _post_read(conversation_id)

    @blueprint.post("/api/conversations/<conversation_id>/unread")
    def post_unread(conversation_id: str) -> Response:
        return jsonify(mark_unread(conversation_id))

    app.register_blueprint(blueprint)
    app.context_processor(lambda: {"unread_state_page": page_data})
    app.extensions[__name__] = unread

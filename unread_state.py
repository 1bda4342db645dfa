"""Module 2: what has not been read, shared by all attendants as on WhatsApp's linked devices.

A conversation has two numbers that only grow: incoming messages counted, and how many of them have
been read. A message remembers how many were counted when it came, so "read up to this message" is
exact whatever order messages, readings and answers arrive in, and repeating anything changes
nothing. A mark set by hand is a third growing number: how often it was set or taken back.

The host gives its conversations and messages the mixins and calls `init_app` once. What it stores
by `realtime_events.receive` and `message_status.send` is counted and read there. What the page
needs comes from the template unread_state/head.html; the rest is unread_state.js.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any

from flask import Flask, request
from google.cloud import ndb

import realtime_events
from realtime_events import Refused, check_model, id_of, publish, use_models

__all__ = [
    "DEFAULTS", "UnreadConversationMixin", "UnreadMessageMixin", "init_app", "mark_unread", "merge",
    "publish_changed", "read", "send_read_receipt",
]  # fmt: skip

#: Settings, read from `app.config` or else the environment under the prefix `UNREAD_STATE_`:
#: name → (default, smallest, largest); text settings have their allowed values instead.
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "TITLE_COUNTS": ("conversations", "conversations", "messages"),  # WhatsApp Web counts chats
    "READ_RECEIPTS": ("true", "true", "false"),  # whether the customer learns of a reading
    "TOTALS_LIMIT": (1000, 100, 10000),  # unread conversations that one computation looks at
    # What static/unread_state.js does with time and space:
    "QUIET_AFTER_SECONDS": (15, 1, 600),  # an event this old at delivery notifies nobody
    "REFOCUS_MS": (2500, 0, 10000),  # who merely passes through a window has not read it
    "NEAR_BOTTOM_PX": (120, 0, 1000),  # still counts as the end of the thread
}
_QUERY_SECONDS = 5.0
_NUMBERS = ("incoming_counted", "incoming_read", "mark_flips")  # of a conversation; in this order
_log = logging.getLogger(__name__)


# --- data -------------------------------------------------------------------------------------


class UnreadConversationMixin(realtime_events.LiveConversation):
    """A conversation's unread state. A conversation from before the module was all read."""

    #: Derived from the numbers, before each put.
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

    #: Whether this transaction has changed what the screens show.
    _unread_changed = False
    _growing = (
        *realtime_events.LiveConversation._growing, *_NUMBERS, "merge_floor", "merge_arrival",
    )  # fmt: skip

    @property
    def marked_unread(self) -> bool:
        """Whether somebody marked it as unread by hand."""
        return self.mark_flips % 2 == 1

    @property
    def is_silent(self) -> bool:
        """Whether it counts in no total (muted, archived); the host may override it."""
        return any(realtime_events.told(self, "silent").values())

    def live_json(self, message: Any = None) -> dict[str, Any]:
        """What the page needs to know of it; the host may override it and add to it."""
        return {**super().live_json(message), **_state(self)}

    def _derive(self, *, changed: bool = False) -> None:
        super()._derive()
        self.unread_count = max(0, self.incoming_counted - self.incoming_read)
        self.is_unread = self.unread_count > 0 or self.marked_unread
        numbers = ":".join(str(getattr(self, name)) for name in _NUMBERS)
        shown = numbers if self.is_unread and not self.is_silent else None
        # Muting changes what is shown, and none of the numbers.
        self._unread_changed |= changed or shown != self.unread_numbers
        self.unread_numbers = shown

    def _tell_numbers(self) -> None:
        super()._tell_numbers()
        self._derive()
        if self._unread_changed:
            self._unread_changed = False
            about = {"conversation_id": id_of(self), "version": self.version}
            publish("unread.changed", _told(self), **about)


class UnreadMessageMixin(realtime_events.LiveMessage):
    """A message's place in its conversation's count."""

    counted_at_arrival = ndb.IntegerProperty(indexed=False)
    counts_unread = ndb.BooleanProperty(indexed=False, default=True)

    def live_json(self) -> dict[str, Any]:
        """What the page needs to know of it; the host may override it and add to it."""
        # One from before the module is read, like its conversation.
        counts, n = self.counts_unread, self.counted_at_arrival
        place = {"counts_unread": n is not None and counts, "counted_at_arrival": n}
        return {**super().live_json(), **place}

    def _grow(self, stored: Any) -> None:
        super()._grow(stored)
        if stored.counted_at_arrival is not None:
            self.counted_at_arrival = stored.counted_at_arrival
            self.counts_unread = stored.counts_unread

    def _place(self, conversation: Any, *, outgoing: bool, **facts: Any) -> None:
        super()._place(conversation, outgoing=outgoing, **facts)
        self.counts_unread = not outgoing and bool(facts.get("counts", True))
        if self.counts_unread:
            conversation.incoming_counted += 1
            conversation._derive(changed=True)
        self.counted_at_arrival = conversation.incoming_counted
        # Trying again is not answering: what came since the old attempt may not have been seen.
        if outgoing and facts.get("by_person", True) and facts.get("attempt_of") is None:
            _read_by_answer(conversation, facts.get("read_up_to"))


# --- rules: no store, no clock ----------------------------------------------------------------


def _state(conversation: Any) -> dict[str, Any]:
    names = ("unread_count", "marked_unread", *_NUMBERS)
    more = {"silent": bool(conversation.is_silent), "version": conversation.version or 0}
    return {**{name: getattr(conversation, name) for name in names}, **more}


def _told(conversation: Any) -> dict[str, Any]:
    """The data of `unread.changed`."""
    return {"conversation_id": id_of(conversation), **_state(conversation)}


def _implied(conversation: Any, message: Any) -> int:
    """The read count implied by having read up to this message."""
    before_merge = (message.arrival or 0) <= conversation.merge_arrival
    return max(message.counted_at_arrival or 0, conversation.merge_floor if before_merge else 0)


def _read(conversation: Any, up_to: int) -> bool:
    """Reads so many of the counted messages, and takes the mark away; whether more is read now."""
    # A message may have been counted before the host took the module out, and in again.
    up_to = min(up_to, conversation.incoming_counted)
    is_more = up_to > conversation.incoming_read
    if is_more or conversation.marked_unread:
        conversation.incoming_read = max(conversation.incoming_read, up_to)
        conversation.mark_flips += conversation.mark_flips % 2
        conversation._derive(changed=True)
    return is_more


def _mark(conversation: Any) -> None:
    if not conversation.marked_unread:
        conversation.mark_flips += 1
        conversation._derive(changed=True)


def merge(winner: Any, loser: Any, *, arrival: int) -> None:
    """Adds up two conversations of one person; in the transaction that merges and puts them.

    Args:
        winner: the conversation that stays; `publish_changed` it.
        loser: the one that from now on leads to it.
        arrival: the highest arrival that any message of the two may have.
    """
    winner.incoming_counted += loser.incoming_counted
    winner.incoming_read += loser.incoming_read
    if loser.marked_unread:
        _mark(winner)
    winner.merge_floor, winner.merge_arrival = winner.incoming_counted, arrival
    winner._derive(changed=True)
    _read(loser, loser.incoming_counted)


def _totals(listed: Iterable[dict[str, int]]) -> dict[str, int]:
    """What is unread in chats that are not silent; a chat only marked by hand counts one."""
    weights = [max(0, each["incoming_counted"] - each["incoming_read"], each["mark_flips"] % 2)
               for each in listed]  # fmt: skip
    return {"conversations": sum(weight > 0 for weight in weights), "messages": sum(weights)}


# --- storage ----------------------------------------------------------------------------------


def _host() -> Any:
    return realtime_events.of_app(__name__)


def _message(conversation: Any, message: Any) -> Any:
    """The message of an entity, key or id in any form, None if it is not in there."""
    if isinstance(message, ndb.Model | ndb.Key):
        message = id_of(message)
    usable = isinstance(message, str | int)
    return _host().find_message(conversation, str(message)) if usable else None


def _load() -> dict[str, dict[str, int]]:
    """The numbers of every conversation that is unread and not silent, up to the limit; costs one
    query over these, however much exists.
    """
    host = _host()
    query = host.model.query(host.model.unread_numbers > "")
    options = {"projection": ["unread_numbers"], "timeout": _QUERY_SECONDS}
    found = query.fetch(host.settings["TOTALS_LIMIT"], **options)
    split = {id_of(each): map(int, each.unread_numbers.split(":")) for each in found}
    return {id_: dict(zip(_NUMBERS, three, strict=True)) for id_, three in split.items()}


def _read_by_answer(conversation: Any, up_to: Any) -> None:
    """Who answers has read; what a page says wrongly of it must not cost the answer."""
    if up_to is None:
        _read(conversation, conversation.incoming_counted)
    elif message := _message(conversation, up_to):
        _read(conversation, _implied(conversation, message))
    else:  # the id itself may be a wamid, which has a customer's number inside
        _log.warning("an answer read nothing: read_up_to is not in %s", id_of(conversation))


# --- changing ---------------------------------------------------------------------------------


def publish_changed(conversation: Any) -> None:
    """Tells the screens, if the unread state of this conversation has changed. In the transaction
    that puts it, once, after all its changes and with its new `version`. The verbs of
    `realtime_events` do it by themselves.
    """
    conversation._tell_numbers()


def read(conversation_id: str | int, up_to: Any) -> dict[str, Any]:
    """An attendant has read a conversation up to a message; opens its own transaction, and gives
    the data of `unread.changed`.

    What came after that message stays unread. Reading what is read writes nothing.

    Args:
        conversation_id: which conversation.
        up_to: the newest message seen, by order of arrival; of either direction; its id, or it.

    Raises Refused: "not_found", no such conversation; "invalid", the message is not in it.
    """

    def change(conversation: Any) -> Any:
        message = _message(conversation, up_to)
        if message is None:
            words = "Diga até que mensagem desta conversa foi lido."
            raise Refused("invalid", words, 422, field="up_to")
        return message if _read(conversation, _implied(conversation, message)) else None

    conversation, message = _change(conversation_id, change)
    if message is not None:
        send_read_receipt(conversation, message)
    return _told(conversation)


def mark_unread(conversation_id: str | int) -> dict[str, Any]:
    """Marks a conversation as unread by hand; as `read`, without any message."""
    return _told(_change(conversation_id, _mark)[0])


def _change(conversation_id: Any, change: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Changes a conversation in a transaction of its own: it, and what `change` has returned."""
    find_conversation = _host().find_conversation

    def attempt() -> tuple[Any, Any]:
        conversation = find_conversation(str(conversation_id))
        if conversation is None:
            raise Refused("not_found", "Conversa não encontrada.", 404)
        result = change(conversation)
        if conversation._unread_changed:
            conversation.bump_version()
            conversation.put()
            conversation._tell_numbers()
        return conversation, result

    return realtime_events.transaction(attempt)


def send_read_receipt(conversation: Any, message: Any) -> None:
    """Lets the host tell the customer, where that is switched on, that the conversation was read up
    to this message, or with this answer; after the commit.
    """
    host = _host()
    if host.send_receipt is None or host.settings["READ_RECEIPTS"] != "true":
        return
    try:
        host.send_receipt(conversation, message)
    except Exception as problem:  # noqa: BLE001 - it is read, whether the customer learns it or not
        _log.error("no read receipt for %s: %s", id_of(conversation), type(problem).__name__)


# --- views ------------------------------------------------------------------------------------


def _get_unread() -> dict[str, Any]:
    host = _host()
    # Before the reading: events after it may be in it, never missing.
    answer: dict[str, Any] = {"cursor": realtime_events.current_cursor()}
    if "c" in request.args:
        selected = host.find_conversation(request.args["c"])
        answer["selected"] = selected and selected.live_json()
    found = _load()
    is_cut = len(found) >= host.settings["TOTALS_LIMIT"]
    return {**_totals(found.values()), "limit_reached": is_cut, "by_conversation": found, **answer}


def _post_read(conversation_id: str) -> dict[str, Any]:
    return read(conversation_id, realtime_events.json_body().get("up_to"))


# --- start ------------------------------------------------------------------------------------


def init_app(
    app: Flask, Conversation: Any, Message: Any, *,
    name: str | None = None, text: str | None = None, silent: str | None = None,
    find_conversation: Callable[[str], Any] | None = None,
    find_message: Callable[[Any, str], Any] | None = None,
    send_receipt: Callable[[Any, Any], None] | None = None,
) -> None:  # fmt: skip
    """Adds `GET /unread`, `POST /api/conversations/ID/read` and `…/unread` to the app, and what
    the template unread_state/head.html needs. After `realtime_events.init_app`.

    Args:
        app: settings are read from its config or else the environment, see `DEFAULTS`.
        Conversation, Message: the host's models, with this module's mixins.
        name, text: which property says what a conversation is called, and what a message says.
        silent: which property says that a conversation counts in no total (muted, archived).
        find_conversation: by id, which may be any text; None if there is none. Default: by key.
        find_message: of this conversation, by id, which may be any text; None if it is not in it.
            Default: by key, if its `conversation_key` is the conversation's.
        send_receipt: takes the conversation and the message up to which it was read, after the
            commit; must return at once. None: customers learn nothing.

    Raises ValueError for a setting that cannot be used and names key and value, TypeError for a
    model and names class, property and remedy.
    """
    settings = realtime_events.read_settings(app, "UNREAD_STATE", DEFAULTS)
    check_model(Conversation, UnreadConversationMixin)
    check_model(Message, UnreadMessageMixin)
    use_models(app, conversation=Conversation, message=Message, name=name, text=text, silent=silent)

    def message_there(conversation: Any, message_id: str) -> Any:
        found = realtime_events.find(Message, message_id)
        return found if found and found.conversation_key == conversation.key else None

    app.extensions[__name__] = SimpleNamespace(
        settings=settings, model=Conversation, send_receipt=send_receipt,
        find_conversation=find_conversation or partial(realtime_events.find, Conversation),
        find_message=find_message or message_there,
    )  # fmt: skip
    realtime_events.add_routes(app, __name__, {
        "GET /unread": _get_unread,
        "POST /api/conversations/<conversation_id>/read": _post_read,
        "POST /api/conversations/<conversation_id>/unread": mark_unread,
    })  # fmt: skip
    # What is unread a page asks for when its list is drawn; in here it would delay the first paint.
    page = {"settings": {each.lower(): value for each, value in settings.items()}}
    app.context_processor(lambda: {"unread_state_page": page})

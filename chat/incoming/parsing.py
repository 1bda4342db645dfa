"""Reads a webhook call into typed updates. Pure: no store, no clock, nothing raised.

Meta leaves out nearly everything at times (contacts, profile, `from`, even the type), sends fields
nobody has documented, and up to 1,000 updates in one call. So every part is optional here; what
cannot be used is a `Rejected` that names the field, and never fails its neighbours.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any

from chat.conversation import phones
from chat.conversation.incoming_message import BUSINESS_APP, CHANGES, CUSTOMER, IncomingMessage
from chat.incoming import words

#: One item as JSON. An entity holds 1 MiB, and it is stored once in the thread, once in an event.
MAX_ITEM_BYTES = 200_000
#: Datastore takes key names and indexed texts up to 1,500 bytes.
MAX_ID_CHARS = 500
MAX_ID_BYTES = 1_400
#: Statuses in one change (and `MAX_ITEM_BYTES`), so that changes share out well.
_STATUSES = 100
#: WhatsApp started in 2009: what claims to be older is garbage.
_FIRST_MS = 1_230_768_000_000
#: Another clock may be this far ahead; beyond it the time of receipt says more.
_AHEAD_MS = 60_000
#: Times above this are milliseconds already: as seconds they would be the year 5138.
_MILLISECONDS_FROM = 100_000_000_000
#: A user's id in place of a number, such as `US.1349`; seen in `from` too.
_BSUID = re.compile(r"[A-Z]{2}\.[0-9A-Za-z._-]+")
_LAST_PLACE = 9_999


@dataclass(frozen=True)
class Rejected:
    """What could not be used, and why."""

    field: str
    reason: str
    raw: Any = dataclasses.field(repr=False)


@dataclass
class Batch:
    """All that one webhook call brought."""

    messages: list[IncomingMessage] = dataclasses.field(default_factory=list)
    #: As they came: `message_status` reads them.
    statuses: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    rejected: list[Rejected] = dataclasses.field(default_factory=list)
    error_codes: list[str] = dataclasses.field(default_factory=list)
    #: Of each value for another number of the account: its phone_number_id.
    foreign: list[str] = dataclasses.field(default_factory=list)


class _BadError(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def parse(payload: Any, received_ms: int, our_number: str = "") -> Batch:
    """Reads a webhook call's JSON.

    Args:
        payload: the decoded body, see `decoding.decode`.
        received_ms: when it came, milliseconds since 1970.
        our_number: our phone_number_id; what names another one is not ours. Empty: all is ours.
    """
    batch = Batch()
    if not isinstance(payload, dict):
        batch.rejected.append(Rejected("$", "not an object", payload))
        return batch
    for entry in _items(payload, "entry", batch):
        for change in _items(entry, "changes", batch):
            name, value = change.get("field", "messages"), change.get("value")
            if _is_foreign(value, our_number, batch):
                continue
            place = change.get("place")
            first = place if isinstance(place, int) else len(batch.messages)
            if name == "user_id_update":
                _identity_updates(value, received_ms, batch)
            elif name in ("messages", "smb_message_echoes"):
                if isinstance(value, dict):
                    _value(value, received_ms, first, batch)
                else:
                    batch.rejected.append(Rejected("value", "not an object", change))
    return batch


def envelope(raws: list[dict[str, Any]]) -> dict[str, Any]:
    """A webhook call made of `IncomingMessage.raw`s: `parse` reads them back."""
    return {"entry": [{"changes": raws}]}


def status_changes(statuses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """These statuses as changes of a webhook call, like `IncomingMessage.raw`."""
    parts: list[list[dict[str, Any]]] = []
    size = 0
    for status in statuses:
        length = _size(status)
        if not parts or len(parts[-1]) >= _STATUSES or size + length > MAX_ITEM_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(status)
        size += length
    return [{"field": "messages", "value": {"statuses": part}} for part in parts]


def _is_foreign(value: Any, our_number: str, batch: Batch) -> bool:
    """Whether this is for another number of the account: an app may be subscribed to several."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    number = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
    if not our_number or number is None or str(number) == our_number:
        return False
    batch.foreign.append(str(number)[:40])
    return True


def _items(parent: dict[str, Any], key: str, batch: Batch) -> list[dict[str, Any]]:
    """The objects of a list that may be missing or hold anything."""
    found = parent.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        batch.rejected.append(Rejected(key, "not a list", found))
        return []
    for item in found:
        if not isinstance(item, dict):
            batch.rejected.append(Rejected(key, "not an object", item))
    return [item for item in found if isinstance(item, dict)]


def _value(value: dict[str, Any], received_ms: int, first: int, batch: Batch) -> None:
    contacts = value.get("contacts")
    contacts = [c for c in contacts if isinstance(c, dict)] if isinstance(contacts, list) else []
    found = [(message, False) for message in _items(value, "messages", batch)]
    found += [(message, True) for message in _items(value, "message_echoes", batch)]
    for place, (message, echo) in enumerate(found, first):
        contact = _contact_of(message, contacts, "to" if echo else "from")
        try:
            read = _message(message, contact, received_ms, min(place, _LAST_PLACE), echo)
            batch.messages.append(read)
        except _BadError as error:
            batch.rejected.append(Rejected(error.field, error.reason, message))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            # A shape that nobody thought of concerns this one only.
            reason = f"cannot be read: {type(error).__name__}"
            batch.rejected.append(Rejected("messages", reason, message))
    for status in _items(value, "statuses", batch):
        if _size(status) > MAX_ITEM_BYTES:
            batch.rejected.append(Rejected("statuses", "too large", status))
        else:
            batch.statuses.append(status)
    errors = value.get("errors")
    if isinstance(errors, list):
        batch.error_codes += [_code(e.get("code")) for e in errors if isinstance(e, dict)]


def _code(value: Any) -> str:
    """An error's code as it may stand in a log: anything else may be somebody's name."""
    usable = isinstance(value, int | str) and re.fullmatch(r"-?\d{1,9}", str(value))
    return str(value) if usable else "?"


def _contact_of(
    message: dict[str, Any], contacts: list[dict[str, Any]], side: str
) -> dict[str, Any]:
    """The contact that a message is from, or to; an empty one where none can be told."""
    phone, bsuid = _person(message.get(side), message.get(f"{side}_user_id"))
    for contact in contacts:
        if bsuid and bsuid == _name(contact.get("user_id")):
            return contact
    numbers = [_person(contact.get("wa_id"))[0] for contact in contacts]
    for contact, number in zip(contacts, numbers, strict=True):
        if phone and phone == number:
            return contact
    lonely = len(contacts) == 1 and not (phone and numbers[0])
    return contacts[0] if lonely else {}


def _person(*values: Any) -> tuple[str | None, str | None]:
    """Number (digits) and BSUID among these values, wherever Meta put them."""
    phone = bsuid = None
    for value in values:
        if isinstance(value, str) and _BSUID.fullmatch(value.strip()):
            bsuid = bsuid or _name(value.strip())
        elif isinstance(value, str) and re.search(r"[A-Za-z]", value):
            bsuid = bsuid or _name(value)
        else:
            phone = phone or phones.digits(value)
    return phone, bsuid


def _message(
    message: dict[str, Any], contact: dict[str, Any], received_ms: int, place: int, echo: bool
) -> IncomingMessage:
    wamid = _name(message.get("id"))
    if not wamid:
        raise _BadError("id", "missing or not a usable text")
    if _size(message) > MAX_ITEM_BYTES:
        raise _BadError("$", "too large")
    kind = _kind(message)
    body = message.get(kind)
    side = "to" if echo else "from"
    phone, bsuid = _person(
        message.get(side), message.get(f"{side}_user_id"), contact.get("wa_id"),
        contact.get("user_id"),
    )  # fmt: skip
    bsuid = _name(message.get(f"{side}_user_id")) or _name(contact.get("user_id")) or bsuid
    new_phone = new_bsuid = None
    if kind == "system" and isinstance(body, dict):
        new_phone = phones.digits(body.get("wa_id")) or phones.digits(body.get("new_wa_id"))
        new_bsuid = _name(body.get("user_id"))
        # Meta names the customer's BSUID before the change here, and it may be all there is.
        bsuid = _name(body.get("previous_user_id")) or (bsuid if bsuid != new_bsuid else None)
        if phone == new_phone:
            phone = phones.digits(body.get("customer")) or phone
    group_id = _name(message.get("group_id"))
    if not phone and not bsuid and not new_bsuid and not group_id:
        raise _BadError(side, "names no sender" if side == "from" else "names nobody")
    profile = contact.get("profile")
    profile = profile if isinstance(profile, dict) else {}
    context = message.get("context")
    context = context if isinstance(context, dict) else {}
    sent_ms, timed = _time(message.get("timestamp"), received_ms)
    target = _target(kind, body)
    if kind in CHANGES and target is None:
        raise _BadError(kind, "names no message")
    part = body if isinstance(body, dict) else {}
    emoji = part.get("emoji")
    key = "message_echoes" if echo else "messages"
    return IncomingMessage(
        wamid=wamid,
        phone=phone,
        bsuid=bsuid,
        sent_ms=sent_ms,
        timed=timed,
        type=kind,
        text=words.text_of(kind, body),
        placeholder=words.placeholder(kind, body),
        details=words.details(kind, body),
        payload=None if kind == "text" else body,  # a text is its text
        reply_to=_name(context.get("id")),
        profile_name=_line(profile.get("name")),
        username=_line(profile.get("username")),
        group_id=group_id,
        author_kind=BUSINESS_APP if echo else CUSTOMER,
        place=place,
        extra=_extra(message, context),
        target=target,
        emoji=emoji[:32] if isinstance(emoji, str) else "",
        new_phone=new_phone,
        new_bsuid=new_bsuid,
        raw={
            "field": "smb_message_echoes" if echo else "messages",
            "place": place,
            "value": {"contacts": [contact] if contact else [], key: [message]},
        },
    )


def _target(kind: str, body: Any) -> str | None:
    """The wamid of the message that a change is about."""
    if kind not in CHANGES or not isinstance(body, dict):
        return None
    return _name(body.get("message_id" if kind == "reaction" else "original_message_id"))


def _extra(message: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    """What Meta says beside the message's own part."""
    extra: dict[str, Any] = {}
    if referral := words.referral_of(message.get("referral")):
        extra["referral"] = referral
    if context.get("frequently_forwarded") is True:
        extra["forwarded"] = "frequently"
    elif context.get("forwarded") is True:
        extra["forwarded"] = "once"
    if isinstance(product := context.get("referred_product"), dict):
        extra["referred_product"] = product
    if isinstance(errors := message.get("errors"), list):
        extra["errors"] = [each for each in errors if isinstance(each, dict)][:5]
    return extra


def _kind(message: dict[str, Any]) -> str:
    kind = message.get("type")
    if isinstance(kind, str) and kind:
        return kind[:50]
    present = (key for key in ("text", "image", "audio", "video", "document") if key in message)
    return next(present, "unknown")


def _time(value: Any, received_ms: int) -> tuple[int, bool]:
    """A time in milliseconds, of seconds or milliseconds, and whether it is Meta's own.

    What cannot be is the time of receipt: a message from 1970 would be hidden at the top.
    """
    try:
        number = int(float(value)) if isinstance(value, str | int | float) else 0
    except (ValueError, OverflowError):
        number = 0
    ms = number if number >= _MILLISECONDS_FROM else number * 1000
    if _FIRST_MS <= ms <= received_ms + _AHEAD_MS:
        return ms, True
    return received_ms, False


def _identity_updates(value: Any, received_ms: int, batch: Batch) -> None:
    """The changes of BSUID in a `user_id_update`, whatever is wrapped around them."""
    pending: list[tuple[Any, str | None, Any]] = [(value, None, None)]
    while pending:
        part, phone, when = pending.pop()
        if isinstance(part, list):
            pending += [(item, phone, when) for item in part]
        elif isinstance(part, dict):
            phone = phones.digits(part.get("wa_id")) or phone
            when = part.get("timestamp") or when
            previous, current = _name(part.get("previous")), _name(part.get("current"))
            if previous and current:
                ms, timed = _time(when, received_ms)
                body = {"wa_id": phone, "user_id": {"previous": previous, "current": current}}
                raw = {"field": "user_id_update", "value": body | {"timestamp": when}}
                change = IncomingMessage(
                    wamid=f"user_id_update-{previous}-{current}", phone=phone, bsuid=previous,
                    sent_ms=ms, timed=timed, type="system", new_bsuid=current, stored=False,
                    raw=raw,
                )  # fmt: skip
                batch.messages.append(change)
            pending += [(item, phone, when) for item in part.values()]


def _name(value: Any) -> str | None:
    """A text that can be a key."""
    usable = isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()
    if not usable or len(value.encode("utf-8", "replace")) > MAX_ID_BYTES or value.startswith("__"):
        return None
    return str(value)


#: They print, and are blank all the same: fillers that people put into names.
_BLANK = str.maketrans(
    dict.fromkeys("\u115f\u1160\u3164\uffa0\u2800\u00ad\u200b\u200e\u200f\u2060\ufeff")
)


def _line(value: Any) -> str | None:
    """A name: one line, bounded, and with something to see in it."""
    line = " ".join(value.split())[:200] if isinstance(value, str) else ""
    return line if line.translate(_BLANK).strip() else None


def _size(item: dict[str, Any]) -> int:
    try:
        return len(json.dumps(item))
    except RecursionError:
        return MAX_ITEM_BYTES + 1

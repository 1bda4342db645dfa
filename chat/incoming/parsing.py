"""Reads a webhook call into typed updates. Pure: no store, no clock, nothing raised.

Meta leaves out nearly everything at times (contacts, profile, `from`, even the type), sends fields
nobody has documented, and up to 1,000 updates in one call. So every part is optional here; what
cannot be used is a `Rejected` that names the field, and never fails its neighbours.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from chat.conversation import phones
from chat.conversation.incoming_message import IncomingMessage
from chat.incoming import labels

#: One item as JSON. An entity holds 1 MiB, and it is stored once in the thread, once in an event.
MAX_ITEM_BYTES = 200_000
#: Datastore takes key names and indexed texts up to 1,500 bytes.
MAX_ID_CHARS = 500
MAX_ID_BYTES = 1_400
#: Statuses in one change (and `MAX_ITEM_BYTES`), so that changes share out well.
_STATUSES = 100
#: WhatsApp started in 2009; what claims to be older, or from the day after tomorrow, is garbage.
_FIRST_MS = 1_230_768_000_000
_FUTURE_MS = 86_400_000
#: Another clock may be this far ahead; beyond it the time of receipt says more.
_AHEAD_MS = 60_000
#: Times above this are milliseconds already: as seconds they would be the year 5138.
_MILLISECONDS_FROM = 100_000_000_000


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
    error_codes: list[Any] = dataclasses.field(default_factory=list)


class _BadError(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def parse(payload: Any, received_ms: int) -> Batch:
    """Reads a webhook call's JSON.

    Args:
        payload: the decoded body.
        received_ms: when it came, milliseconds since 1970.
    """
    batch = Batch()
    if not isinstance(payload, dict):
        batch.rejected.append(Rejected("$", "not an object", payload))
        return batch
    for entry in _items(payload, "entry", batch):
        for change in _items(entry, "changes", batch):
            name, value = change.get("field", "messages"), change.get("value")
            if name == "user_id_update":
                _identity_updates(value, received_ms, batch)
            elif name == "messages":
                if isinstance(value, dict):
                    _value(value, received_ms, batch)
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


def _value(value: dict[str, Any], received_ms: int, batch: Batch) -> None:
    contacts = value.get("contacts")
    contacts = [c for c in contacts if isinstance(c, dict)] if isinstance(contacts, list) else []
    by_phone = {number: c for c in contacts if (number := phones.digits(c.get("wa_id")))}
    by_bsuid = {bsuid: c for c in contacts if (bsuid := _name(c.get("user_id")))}
    for message in _items(value, "messages", batch):
        phone = phones.digits(message.get("from"))
        contact = by_bsuid.get(_name(message.get("from_user_id")) or "") or by_phone.get(
            phone or ""
        )
        if contact is None and len(contacts) == 1 and not (phone and by_phone):
            contact = contacts[0]
        try:
            batch.messages.append(_message(message, contact or {}, received_ms))
        except _BadError as error:
            batch.rejected.append(Rejected(error.field, error.reason, message))
    for status in _items(value, "statuses", batch):
        if _size(status) > MAX_ITEM_BYTES:
            batch.rejected.append(Rejected("statuses", "too large", status))
        else:
            batch.statuses.append(status)
    errors = value.get("errors")
    if isinstance(errors, list):
        batch.error_codes += [e.get("code") for e in errors if isinstance(e, dict)]


def _message(message: dict[str, Any], contact: dict[str, Any], received_ms: int) -> IncomingMessage:
    wamid = _name(message.get("id"))
    if not wamid:
        raise _BadError("id", "missing or not a usable text")
    if _size(message) > MAX_ITEM_BYTES:
        raise _BadError("$", "too large")
    kind = _kind(message)
    body = message.get(kind)
    phone = phones.digits(message.get("from")) or phones.digits(contact.get("wa_id"))
    bsuid = _name(message.get("from_user_id")) or _name(contact.get("user_id"))
    new_phone = new_bsuid = None
    if kind == "system" and isinstance(body, dict):
        new_phone = phones.digits(body.get("wa_id")) or phones.digits(body.get("new_wa_id"))
        new_bsuid = _name(body.get("user_id"))
        # Meta names the customer's BSUID before the change here, and it may be all there is.
        bsuid = _name(body.get("previous_user_id")) or (bsuid if bsuid != new_bsuid else None)
        if phone == new_phone:
            phone = phones.digits(body.get("customer")) or phone
    if not phone and not bsuid and not new_bsuid:
        raise _BadError("from", "names no sender")
    profile = contact.get("profile")
    profile = profile if isinstance(profile, dict) else {}
    context = message.get("context")
    return IncomingMessage(
        wamid=wamid,
        phone=phone,
        bsuid=bsuid,
        sent_ms=_time(message.get("timestamp"), received_ms),
        type=kind,
        text=labels.text_of(kind, body),
        placeholder=labels.placeholder(kind, body),
        payload=None if kind == "text" else body,  # a text is its text
        reply_to=_name(context.get("id")) if isinstance(context, dict) else None,
        profile_name=_line(profile.get("name")),
        username=_line(profile.get("username")),
        new_phone=new_phone,
        new_bsuid=new_bsuid,
        raw={
            "field": "messages",
            "value": {"contacts": [contact] if contact else [], "messages": [message]},
        },
    )


def _kind(message: dict[str, Any]) -> str:
    kind = message.get("type")
    if isinstance(kind, str) and kind:
        return kind[:50]
    present = (key for key in ("text", "image", "audio", "video", "document") if key in message)
    return next(present, "unknown")


def _time(value: Any, received_ms: int) -> int:
    """A time in milliseconds: of seconds, of milliseconds, of nothing."""
    if value is None or value == "":
        return received_ms
    try:
        number = int(value) if isinstance(value, (str, int, float)) else -1
    except (ValueError, OverflowError):
        number = -1
    ms = number if number >= _MILLISECONDS_FROM else number * 1000
    if not _FIRST_MS <= ms <= received_ms + _FUTURE_MS:
        raise _BadError("timestamp", "not a time that can be")
    return ms if ms <= received_ms + _AHEAD_MS else received_ms


def _identity_updates(value: Any, received_ms: int, batch: Batch) -> None:
    """The changes of BSUID in a `user_id_update`, whatever is wrapped around them."""
    pending: list[tuple[Any, str | None]] = [(value, None)]
    while pending:
        part, phone = pending.pop()
        if isinstance(part, list):
            pending += [(item, phone) for item in part]
        elif isinstance(part, dict):
            phone = phones.digits(part.get("wa_id")) or phone
            previous, current = _name(part.get("previous")), _name(part.get("current"))
            if previous and current:
                body = {"wa_id": phone, "user_id": {"previous": previous, "current": current}}
                raw = {"field": "user_id_update", "value": body}
                change = IncomingMessage(
                    wamid=f"user_id_update-{previous}-{current}", phone=phone, bsuid=previous,
                    sent_ms=received_ms, type="system", new_bsuid=current, stored=False, raw=raw,
                )  # fmt: skip
                batch.messages.append(change)
            pending += [(item, phone) for item in part.values()]


def _name(value: Any) -> str | None:
    """A text that can be a key."""
    usable = isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()
    if not usable or len(value.encode()) > MAX_ID_BYTES or value.startswith("__"):
        return None
    return str(value)


def _line(value: Any) -> str | None:
    """A name: one line, bounded."""
    line = " ".join(value.split())[:200] if isinstance(value, str) else ""
    # Half of a cut emoji, which no store takes, must not cost the customer's messages.
    return line.encode("utf-8", "replace").decode() or None


def _size(item: dict[str, Any]) -> int:
    try:
        return len(json.dumps(item))
    except RecursionError:
        return MAX_ITEM_BYTES + 1

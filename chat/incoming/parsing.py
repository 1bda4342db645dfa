"""Reads a webhook call into typed updates. Pure: no store, no clock, nothing raised.

Meta leaves out nearly everything at times (contacts, profile, `from`, even the type), sends fields
nobody has documented, and up to 1,000 updates in one call. So every part is optional here; what
cannot be used is a `Rejected` that names the field, and never fails its neighbours.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chat.conversation import phones
from chat.conversation.attached import media
from chat.conversation.blank import is_blank
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
_LETTER = re.compile(r"[A-Za-z]")
_LAST_PLACE = 9_999
#: Fields that show messages; `smb_message_echoes` are those of the business's own phone.
_ECHOES = "smb_message_echoes"
_MESSAGE_FIELDS = ("messages", _ECHOES)
_LISTS = ("messages", "message_echoes", "statuses")
#: Of a message: read into fields of its own; all else is kept as it is.
_READ = frozenset(
    {"id", "timestamp", "type", "from", "from_user_id", "to", "to_user_id", "group_id"}
)


@dataclass(frozen=True)
class Rejected:
    """What could not be used, and why."""

    field: str
    reason: str
    raw: Any = dataclasses.field(repr=False)
    #: A webhook call's body with this alone, for `parse`; a text that is no JSON as it is.
    body: Any = dataclasses.field(repr=False)


@dataclass
class Batch:
    """All that one webhook call brought."""

    messages: list[IncomingMessage] = dataclasses.field(default_factory=list)
    #: As they came: `message_status` reads them.
    statuses: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    rejected: list[Rejected] = dataclasses.field(default_factory=list)
    error_codes: list[str] = dataclasses.field(default_factory=list)
    #: Updates for other numbers of the account, by their phone_number_id.
    foreign: Counter[str] = dataclasses.field(default_factory=Counter)
    places: int = 0  # given out so far


class _BadError(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


#: A shape that nobody thought of concerns one item only.
_SURPRISES = (ValueError, TypeError, LookupError, AttributeError, RecursionError, ArithmeticError)


def parse(payload: Any, received_ms: int, our_number: str = "") -> Batch:
    """Reads a webhook call's JSON.

    Args:
        payload: the decoded body, see `decoding.decode`.
        received_ms: when it came, milliseconds since 1970.
        our_number: our phone_number_id; what names another one is not ours. Empty: all is ours.
    """
    batch = Batch()
    if not isinstance(payload, dict):
        batch.rejected.append(Rejected("$", "not an object", payload, payload))
        return batch
    for entry in _items(payload, "entry", batch, lambda found: {"entry": found}):
        for change in _items(entry, "changes", batch, envelope):
            value = change.get("value")
            if not _is_foreign(value, our_number, batch):
                _change(change.get("field", "messages"), value, change, received_ms, batch)
    return batch


def envelope(raws: Any) -> dict[str, Any]:
    """A webhook call made of `IncomingMessage.raw`s: `parse` reads them back."""
    return {"entry": [{"changes": raws}]}


def changes_of(payload: Any) -> list[Any]:
    """The changes of a webhook call, whatever they are."""
    found: list[Any] = []
    entries = payload.get("entry") if isinstance(payload, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        changes = entry.get("changes") if isinstance(entry, dict) else None
        found += changes if isinstance(changes, list) else []
    return found


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
    number = str(number).strip() if isinstance(number, str | int) else ""
    if not our_number or not number or number == our_number:
        return False
    lists = [value[name] for name in _LISTS if isinstance(value.get(name), list)]
    # It goes into the log, where nothing may stand that somebody wrote.
    shown = number if re.fullmatch(r"\d{1,40}", number) else "?"
    batch.foreign[shown] += sum(map(len, lists)) or 1
    return True


def _items(
    parent: dict[str, Any], key: str, batch: Batch, body: Callable[[Any], Any]
) -> list[dict[str, Any]]:
    """The objects of a list that may be missing or hold anything.

    Args:
        body: the webhook call in which such a list alone would stand.
    """
    found = parent.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        batch.rejected.append(Rejected(key, "not a list", found, body(found)))
        return []
    for item in found:
        if not isinstance(item, dict):
            batch.rejected.append(Rejected(key, "not an object", item, body([item])))
    return [item for item in found if isinstance(item, dict)]


def _change(name: Any, value: Any, change: dict[str, Any], received_ms: int, batch: Batch) -> None:
    if name == "user_id_update":
        try:
            _identity_updates(value, received_ms, batch)
        except _SURPRISES as error:
            reason = f"cannot be read: {type(error).__name__}"
            batch.rejected.append(Rejected(name, reason, value, envelope([change])))
    elif name in _MESSAGE_FIELDS:
        if isinstance(value, dict):
            _value(value, change, received_ms, batch)
        else:
            batch.rejected.append(Rejected("value", "not an object", value, envelope([change])))


def _value(value: dict[str, Any], change: dict[str, Any], received_ms: int, batch: Batch) -> None:
    contacts = value.get("contacts")
    contacts = [c for c in contacts if isinstance(c, dict)] if isinstance(contacts, list) else []
    given = change.get("place")  # of one that was put off
    if isinstance(given, int) and 0 <= given <= _LAST_PLACE:
        batch.places = given
    for key in ("messages", "message_echoes"):
        echo = key == "message_echoes"

        def body(found: Any, contacts: Any = contacts, key: str = key) -> Any:
            return envelope([{"field": "messages", "value": {"contacts": contacts, key: found}}])

        for message in _items(value, key, batch, body):
            place, batch.places = batch.places, batch.places + 1
            contact: dict[str, Any] = {}
            try:
                contact = _contact_of(message, contacts, "to" if echo else "from")
                read = _message(message, contact, received_ms, min(place, _LAST_PLACE), echo)
                batch.messages.append(read)
                continue
            except _BadError as error:
                field, reason = error.field, error.reason
            except _SURPRISES as error:
                field, reason = "messages", f"cannot be read: {type(error).__name__}"
            alone = envelope([_raw(message, contact, place, echo)])
            batch.rejected.append(Rejected(field, reason, message, alone))

    def statuses(found: Any) -> Any:
        return envelope([{"field": "messages", "value": {"statuses": found}}])

    for status in _items(value, "statuses", batch, statuses):
        if _size(status) > MAX_ITEM_BYTES:
            batch.rejected.append(Rejected("statuses", "too large", status, statuses([status])))
        else:
            batch.statuses.append(status)
    errors = value.get("errors")
    if isinstance(errors, list):
        batch.error_codes += [_code(e.get("code")) for e in errors if isinstance(e, dict)]


def _code(value: Any) -> str:
    """An error's code as it may stand in a log: anything else may be somebody's name."""
    usable = isinstance(value, int | str) and re.fullmatch(r"-?[0-9]{1,9}", str(value))
    return str(value) if usable else "?"


def _contact_of(
    message: dict[str, Any], contacts: list[dict[str, Any]], side: str
) -> dict[str, Any]:
    """The contact that a message is from, or to; an empty one where none can be told."""
    phone, bsuid = _person(message.get(side), message.get(f"{side}_user_id"))
    people = [_person(contact.get("wa_id"), contact.get("user_id")) for contact in contacts]
    for contact, (_, theirs) in zip(contacts, people, strict=True):
        if bsuid and bsuid == theirs:
            return _small(contact)
    for contact, (number, _) in zip(contacts, people, strict=True):
        if phone and number and phones.canonical(phone) == phones.canonical(number):
            return _small(contact)
    lonely = len(contacts) == 1 and not (phone and people[0][0]) and not (bsuid and people[0][1])
    return _small(contacts[0]) if lonely else {}


def _small(contact: dict[str, Any]) -> dict[str, Any]:
    """What is used of a contact: it is stored with each message that is put off."""
    profile = contact.get("profile")
    profile = profile if isinstance(profile, dict) else {}
    lines = {name: line for name in ("name", "username") if (line := _line(profile.get(name)))}
    made: dict[str, Any] = {"profile": lines} if lines else {}
    for name in ("wa_id", "user_id"):
        if isinstance(value := contact.get(name), str | int):
            made[name] = value[:MAX_ID_CHARS] if isinstance(value, str) else value
    return made


def _person(number: Any, user_id: Any) -> tuple[str | None, str | None]:
    """Number (digits) and BSUID, of which Meta has put the second in the first's place, too."""
    if isinstance(number, str) and _LETTER.search(number):
        return None, _name(user_id) or _name(number.strip())
    return phones.digits(number), _name(user_id)


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
    phone, bsuid = _person(message.get(side), message.get(f"{side}_user_id"))
    known_phone, known_bsuid = _person(contact.get("wa_id"), contact.get("user_id"))
    phone, bsuid = phone or known_phone, bsuid or known_bsuid
    new_phone = new_bsuid = None
    if kind == "system" and isinstance(body, dict):
        phone, bsuid, new_phone, new_bsuid = _change_of_identity(body, phone, bsuid)
    group_id = _group(message.get("group_id"))
    if not phone and not bsuid and not new_bsuid and not new_phone and not group_id:
        raise _BadError(side, "names no sender" if side == "from" else "names nobody")
    context = message.get("context")
    context = context if isinstance(context, dict) else {}
    sent_ms, timed = _time(message.get("timestamp"), received_ms)
    profile = contact.get("profile", {})
    text, target, emoji = words.text_of(kind, body), None, ""
    if kind in CHANGES:
        target, emoji = _change_of_message(kind, body)
    return IncomingMessage(
        wamid=wamid,
        phone=phone,
        bsuid=bsuid,
        sent_ms=sent_ms,
        timed=timed,
        type=kind,
        text=text,
        placeholder=words.placeholder(kind, body),
        details=words.details(kind, body),
        payload=None if body == {"body": text} else body,  # a text is its text
        media=media.told_by(kind, body),
        reply_to=_name(context.get("id")),
        profile_name=profile.get("name"),
        username=profile.get("username"),
        group_id=group_id,
        author_kind=BUSINESS_APP if echo else CUSTOMER,
        place=place,
        extra=_extra(message, context, kind),
        target=target,
        emoji=emoji,
        new_phone=new_phone,
        new_bsuid=new_bsuid,
        raw=_raw(message, contact, place, echo),
    )


def _raw(message: Any, contact: dict[str, Any], place: int, echo: bool) -> dict[str, Any]:
    """A change of a webhook call with this message alone."""
    key = "message_echoes" if echo else "messages"
    value = {"contacts": [contact] if contact else [], key: [message]}
    return {"field": _ECHOES if echo else "messages", "place": place, "value": value}


def _change_of_identity(
    body: dict[str, Any], phone: str | None, bsuid: str | None
) -> tuple[str | None, str | None, str | None, str | None]:
    """Number and BSUID before and after, of a notice; of what stayed, the second is None.

    Meta names as the sender now the old identity, now the new one.
    """
    told = body.get("wa_id") or body.get("new_wa_id")
    new_phone, new_bsuid = _person(told, body.get("user_id"))
    old_bsuid = _name(body.get("previous_user_id"))
    if new_bsuid and bsuid == new_bsuid:
        bsuid = None
    bsuid = old_bsuid or bsuid
    if new_phone and phone and phones.canonical(phone) == phones.canonical(new_phone):
        before = phones.digits(body.get("customer"))
        changed = body.get("type") in words.CHANGED_NUMBER
        phone = before if changed and before != new_phone else None
        if not changed:
            phone, new_phone = new_phone, None
    if new_phone and phone is None and bsuid is None:
        phone, new_phone = new_phone, None  # whose it was before, nobody knows
    return phone, bsuid, new_phone, new_bsuid


def _group(value: Any) -> str | None:
    """The group's id; one that cannot be used must not lead to the writer's private chat."""
    if value is None or value == "":
        return None
    found = _name(str(value) if type(value) is int else value)
    if found is None:
        raise _BadError("group_id", "not a usable text")
    return found


def _change_of_message(kind: str, body: Any) -> tuple[str, str]:
    """The wamid of the message that a change is about, and a reaction's emoji."""
    part = body if isinstance(body, dict) else {}
    target = _name(part.get("message_id" if kind == "reaction" else "original_message_id"))
    if target is None:
        raise _BadError(kind, "names no message")
    if kind == "edit" and words.edited_text(part) is None:
        raise _BadError(kind, "names no new text")
    emoji = part.get("emoji")
    return target, emoji[:32] if isinstance(emoji, str) and not is_blank(emoji) else ""


def _extra(message: dict[str, Any], context: dict[str, Any], kind: str) -> dict[str, Any]:
    """What Meta says beside the message's own part."""
    extra: dict[str, Any] = {
        "referral": words.referral_of(message.get("referral")),
        "frequently_forwarded": context.get("frequently_forwarded") is True,
        "referred_product": words.product_of(context.get("referred_product")),
        "errors": words.errors_of(message.get("errors")),
        "more": {name: part for name, part in message.items() if name not in {*_READ, kind}},
    }
    extra["forwarded"] = context.get("forwarded") is True or extra["frequently_forwarded"]
    return {name: value for name, value in extra.items() if value}


def _kind(message: dict[str, Any]) -> str:
    kind = message.get("type")
    if isinstance(kind, str) and not is_blank(kind):
        return kind[:50]
    known = ("text", "image", "audio", "video", "document", "sticker", "location", "interactive")
    return next((name for name in known if name in message), "unknown")


def _time(value: Any, received_ms: int) -> tuple[int, bool]:
    """A time in milliseconds, of seconds or milliseconds, and whether it is Meta's own.

    What cannot be is the time of receipt: a message from 1970 would be hidden at the top.
    """
    try:
        number = float(value) if isinstance(value, str | int | float) else 0.0
        ms = round(number if number >= _MILLISECONDS_FROM else number * 1000)
    except (ValueError, OverflowError):
        ms = 0
    if _FIRST_MS <= ms <= received_ms + _AHEAD_MS:
        return ms, True
    return received_ms, False


def _identity_updates(value: Any, received_ms: int, batch: Batch) -> None:
    """The changes of BSUID in a `user_id_update`, whatever is wrapped around them."""
    pending: deque[tuple[Any, str | None, Any]] = deque([(value, None, None)])
    while pending:
        part, phone, when = pending.popleft()
        if isinstance(part, list):
            pending.extend((item, phone, when) for item in part)
        elif isinstance(part, dict):
            phone = phones.digits(part.get("wa_id")) or phone
            when = part.get("timestamp") or when
            previous, current = _name(part.get("previous")), _name(part.get("current"))
            if previous and current:
                ms, timed = _time(when, received_ms)
                body = {"wa_id": phone, "user_id": {"previous": previous, "current": current}}
                raw = {"field": "user_id_update", "value": body | {"timestamp": when}}
                change = IncomingMessage(
                    wamid=f"user_id_update-{previous}-{current}-{ms}", phone=phone, bsuid=previous,
                    sent_ms=ms, timed=timed, type="system", new_bsuid=current, stored=False,
                    place=min(batch.places, _LAST_PLACE), raw=raw,
                )  # fmt: skip
                batch.messages.append(change)
            pending.extend((item, phone, when) for item in part.values())


def _name(value: Any) -> str | None:
    """A text that can be a key."""
    usable = isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable()
    if not usable or len(value.encode("utf-8", "replace")) > MAX_ID_BYTES or value.startswith("__"):
        return None
    return str(value)


def _line(value: Any) -> str | None:
    """A name: one line, bounded, and with something to see in it."""
    line = " ".join(value.split())[:200] if isinstance(value, str) else ""
    return None if is_blank(line) else line


def _size(item: dict[str, Any]) -> int:
    try:
        return len(json.dumps(item))
    except (RecursionError, ValueError):
        return MAX_ITEM_BYTES + 1

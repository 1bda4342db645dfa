"""Webhook payloads, shaped as Meta documents them. Pure functions: no clock, no state.

Sources: Meta's reference of the ``messages`` webhook (one page a type), of the status webhook,
of the ``system`` messages and of business-scoped user ids (``user_id_update``).
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from local.simulator.errors import error_title

__all__ = [
    "MAX_UPDATES",
    "Metadata",
    "Update",
    "contact",
    "echo",
    "echo_update",
    "encode",
    "envelope",
    "message",
    "message_update",
    "sign",
    "status",
    "status_update",
    "system_message",
    "user_id_update",
]

JSON = dict[str, Any]

MAX_UPDATES = 1000  # in one POST, says Meta
# Under which name a field's items stand, where that is not the field's own.
_LISTS = {"smb_message_echoes": "message_echoes"}
# Meta spreads a batch over entries and changes. Small numbers here, so that a receiver that
# only reads the first of each loses something already in a batch of eleven.
_UPDATES_A_CHANGE = 10
_CHANGES_AN_ENTRY = 10


@dataclass(frozen=True)
class Metadata:
    """The business side of each payload."""

    business_account_id: str
    phone_number_id: str
    display_phone_number: str


@dataclass
class Update:
    """One thing to tell the business: a message, a status, or another field's value."""

    kind: str  # "messages", "statuses" or "other": what the losing switch chooses by
    field: str
    item: JSON
    contact: JSON | None = None
    message_id: str | None = None


def encode(payload: JSON) -> bytes:
    """The bytes that go out: unicode and slashes escaped, as Meta sends and signs them."""
    text = json.dumps(payload, ensure_ascii=True, separators=(",", ":"))
    return text.replace("/", "\\/").encode("ascii")


def sign(body: bytes, app_secret: str) -> str:
    """The value of ``X-Hub-Signature-256`` for these very bytes."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def envelope(updates: Sequence[Update], metadata: Metadata) -> JSON:
    """One POST with all the updates, in their order, messages and statuses mixed."""
    changes = []
    for run in _runs(updates):
        value: JSON = {
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": metadata.display_phone_number,
                "phone_number_id": metadata.phone_number_id,
            },
        }
        contacts: list[JSON] = []
        for update in run:
            if update.contact is not None and update.contact not in contacts:
                contacts.append(update.contact)
        if contacts:
            value["contacts"] = contacts
        for update in run:
            name = update.kind if update.field == "messages" else update.field
            name = _LISTS.get(name, name)
            value.setdefault(name, []).append(update.item)
        changes.append({"value": value, "field": run[0].field})
    return {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": metadata.business_account_id,
                "changes": changes[start : start + _CHANGES_AN_ENTRY],
            }
            for start in range(0, len(changes), _CHANGES_AN_ENTRY)
        ],
    }


def _runs(updates: Iterable[Update]) -> list[list[Update]]:
    runs: list[list[Update]] = []
    for update in updates:
        last = runs[-1] if runs else None
        if last is None or last[0].field != update.field or len(last) >= _UPDATES_A_CHANGE:
            runs.append([update])
        else:
            last.append(update)
    return runs


def contact(
    *,
    wa_id: str | None,
    user_id: str,
    name: str | None = None,
    username: str | None = None,
) -> JSON:
    """An entry of ``contacts``: without ``wa_id`` where the user shows no phone number."""
    profile: JSON = {}
    if name:
        profile["name"] = name
    if username:
        profile["username"] = username
    entry: JSON = {"profile": profile}
    if wa_id:
        entry["wa_id"] = wa_id
    entry["user_id"] = user_id
    return entry


def message(
    *,
    message_id: str,
    timestamp: int,
    type: str,  # noqa: A002 - Meta's own name of the field
    body: Any,
    wa_id: str | None,
    user_id: str,
    context: JSON | None = None,
) -> JSON:
    """An item of ``messages``.

    Args:
        timestamp: whole seconds since 1970; goes out as a string, as from Meta.
        body: what stands under the type's own key; None for types without one. An
            ``unsupported`` message's body is the whole of what it adds.
        context: ``{"from", "id"}`` of a reply, or ``{"forwarded": True}``.
    """
    item: JSON = {}
    if context:
        item["context"] = context
    if wa_id:
        item["from"] = wa_id
    item["from_user_id"] = user_id
    item["id"] = message_id
    item["timestamp"] = str(timestamp)
    item["type"] = type
    if type == "unsupported":
        item.update(body)
    elif body is not None:
        item[type] = body
    return item


def message_update(item: JSON, contact: JSON | None) -> Update:
    """A customer's message on its way to the business."""
    return Update("messages", "messages", item, contact, item.get("id"))


def echo(
    *,
    message_id: str,
    timestamp: int,
    type: str,  # noqa: A002 - Meta's own name of the field
    body: Any,
    own_number: str,
    wa_id: str | None,
    user_id: str,
    context: JSON | None = None,
) -> JSON:
    """An item of ``message_echoes``: what the business wrote on its own phone.

    Args:
        own_number: the business's, digits.
        wa_id, user_id: the customer's.
    """
    item = message(message_id=message_id, timestamp=timestamp, type=type, body=body,
                   wa_id=own_number, user_id=user_id, context=context)  # fmt: skip
    del item["from_user_id"]
    return item | ({"to": wa_id} if wa_id else {"to_user_id": user_id})


def echo_update(item: JSON) -> Update:
    """A message of the business's own phone on its way to the business: no contacts."""
    return Update("other", "smb_message_echoes", item, None, item.get("id"))


def status(
    *,
    message_id: str,
    status: str,
    timestamp: int,
    recipient_id: str | None,
    recipient_user_id: str | None,
    biz_opaque_callback_data: str | None = None,
    category: str = "service",
    error: tuple[int, str] | None = None,
    recipient_type: str | None = None,
) -> JSON:
    """An item of ``statuses``.

    Args:
        timestamp: whole seconds since 1970.
        error: code and details, for ``failed``.
        recipient_type: ``group``, whose id is then the recipient's.
    """
    item: JSON = {"id": message_id, "status": status, "timestamp": str(timestamp)}
    if recipient_type:
        item["recipient_type"] = recipient_type
    if recipient_id:
        item["recipient_id"] = recipient_id
    if recipient_user_id:
        item["recipient_user_id"] = recipient_user_id
    if biz_opaque_callback_data is not None:
        item["biz_opaque_callback_data"] = biz_opaque_callback_data
    # Since v24 Meta leaves `conversation` out but for free entry points, and gives the price
    # with `sent` and with one of delivered and read.
    if status in ("sent", "delivered"):
        item["pricing"] = {
            "billable": category != "service",
            "pricing_model": "PMP",
            "type": "free_customer_service" if category == "service" else "regular",
            "category": category,
        }
    if error is not None:
        code, details = error
        item["errors"] = [
            {
                "code": code,
                "title": error_title(code),
                "message": error_title(code),
                "error_data": {"details": details},
                "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
            }
        ]
    return item


def status_update(item: JSON, contact: JSON | None) -> Update:
    """A status on its way to the business; ``failed`` comes without contacts."""
    return Update(
        "statuses", "messages", item, None if item["status"] == "failed" else contact, item["id"]
    )


def system_message(
    *,
    message_id: str,
    timestamp: int,
    old_wa_id: str | None,
    new_wa_id: str | None,
    new_user_id: str,
    name: str,
    old_user_id: str,
) -> Update:
    """A number that changed (or, without numbers, a user id that changed): no contacts."""
    changed_number = bool(old_wa_id and new_wa_id)
    was, became = (old_wa_id, new_wa_id) if changed_number else (old_user_id, new_user_id)
    system: JSON = {"body": f"User {name} changed from {was} to {became}"}
    if new_wa_id:
        system["wa_id"] = new_wa_id
    system["user_id"] = new_user_id
    system["type"] = "user_changed_number" if changed_number else "user_changed_user_id"
    item: JSON = {}
    if old_wa_id:
        item["from"] = old_wa_id
    item |= {"id": message_id, "timestamp": str(timestamp), "type": "system", "system": system}
    return Update("messages", "messages", item, None, message_id)


def user_id_update(
    *,
    timestamp: int,
    wa_id: str | None,
    previous: str,
    current: str,
    name: str,
    contact: JSON,
) -> Update:
    """The webhook field of its own that joins a user's old BSUID and the new one."""
    item: JSON = {}
    if wa_id:
        item["wa_id"] = wa_id
    item |= {
        "detail": f"User id for {name} has been updated.",
        "user_id": {"previous": previous, "current": current},
        "timestamp": str(timestamp),
    }
    return Update("other", "user_id_update", item, contact)

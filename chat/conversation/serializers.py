"""Entities as the JSON of the API and of the events: what `models` adds to the modules' fields."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import message_status
import realtime_events
from chat.conversation import ownership, phones
from chat.conversation.attached import cards, media
from chat.conversation.incoming_message import BUSINESS_APP
from realtime_events import iso

#: Free-form messages are allowed this long after the customer's last one.
WINDOW_MS = 24 * 3600 * 1000
_NAMELESS = "Cliente"
REVOKED = "🚫 Mensagem apagada"
#: Whose reaction the business's is, from its phone or from this screen: WhatsApp knows one a
#: number, whoever of the team gives it.
OURS = BUSINESS_APP
#: Of `Message.extra`, what the page gets.
_TOLD_BESIDE = ("referral", "forwarded", "frequently_forwarded", "referred_product", "errors")

#: What a message brings along beside its text.
_ATTACHED = ("media", "location", "contacts")


def display_name(conversation: Any) -> str:
    """What the conversation is called: as the business has named it, else by WhatsApp."""
    return str(conversation.own_name or told_name(conversation))


def told_name(conversation: Any) -> str:
    """What WhatsApp tells of whose it is: profile name, else number, else user name."""
    if conversation.name:
        return str(conversation.name)
    if conversation.group_id:
        return f"Grupo {conversation.group_id[-6:]}"
    if conversation.phone:
        return phones.display(conversation.phone)
    return f"@{conversation.username}" if conversation.username else _NAMELESS


def conversation_fields(conversation: Any, last_message: Any = None) -> dict[str, Any]:
    """What the contract has of a conversation beside the modules' fields.

    Args:
        conversation: the entity.
        last_message: its last one, where the caller has it: a status moves without touching the
            conversation, so its JSON has the status of a message of ours only then.
    """
    more: dict[str, Any] = {}  # what few conversations have
    if pins := conversation.pinned_messages:
        more["pinned_messages"] = [{"id": each["id"], "until": iso(each["until"])} for each in pins]
    last = None
    if conversation.last_message_id:
        last = {
            "id": conversation.last_message_id,
            "text": conversation.last_text,
            "direction": conversation.last_direction,
            "author_name": conversation.last_author_name,
            "sent_at": iso(conversation.last_sent_at),
            "position": conversation.last_position,
            "status": None,
        }
        if last_message is not None and last_message.id == conversation.last_message_id:
            last |= message_status.status_json(last_message)
    if reaction := conversation.last_reaction:
        more["last_reaction"] = {
            "message_id": reaction["message_id"],
            "text": reaction["text"],
            "emoji": reaction["emoji"],
            "author": reaction["name"],
            **({"own": True} if reaction["who"] == OURS else {}),
        }
    incoming_at = conversation.last_incoming_at
    return {
        "name": display_name(conversation),
        "told_name": told_name(conversation) if conversation.own_name else None,
        "phone": phones.display(conversation.phone) if conversation.phone else None,
        **ownership.as_json(conversation, realtime_events.now_ms()),
        "last_message": last,
        "window_expires_at": iso(incoming_at + WINDOW_MS) if incoming_at else None,
        "muted": bool(conversation.muted),
        "pinned": bool(conversation.pinned),
        "archived": bool(conversation.archived),
        "labels": list(conversation.labels),
        "is_group": bool(conversation.group_id),
        **more,
    }


def message_fields(message: Any) -> dict[str, Any]:
    """What the contract has of a message beside the modules' fields."""
    data: dict[str, Any] = {
        "author": {"kind": message.author_kind, "name": message.author_name},
        "type": message.type,
        "text": message.text or "",
        "sent_at": iso(message.sent_at),
        "position": message.position,
    }
    if message.placeholder:
        data["placeholder"] = message.placeholder
    if message.details:
        data["details"] = message.details
    for name in _TOLD_BESIDE:
        if told := (message.extra or {}).get(name):
            data[name] = told
    data |= _attached(message)
    if message.reply_to:
        data["reply_to"] = {
            "id": message.reply_to,
            "text": message.reply_text,
            "author_name": message.reply_author,
        }
        if message.reply_author_kind:
            data["reply_to"]["author_kind"] = message.reply_author_kind
    if message.direction == "out":
        data["client_id"] = message.id
        if message.type == "template" and (shown := (message.payload or {}).get("shown")):
            data["template"] = shown  # what stands round the text
    else:
        data["received_at"] = iso(message.received_at)
    data |= _reactions(message.reactions or {})
    if message.edited_at:
        data["edited_at"] = iso(message.edited_at)
        known = [*(message.versions or []), {"text": data["text"]}]
        data["versions"] = [
            {"text": each["text"], "at": iso(each["at"])}
            for each, later in pairwise(known)
            if each["text"] != later["text"]
        ]
    if message.revoked_at:
        for name in (*_TOLD_BESIDE, *_ATTACHED, "details", "edited_at", "versions", "template"):
            data.pop(name, None)
        revoked = {"revoked_at": iso(message.revoked_at), "text": "", "placeholder": REVOKED}
        data |= {**revoked, "reactions": []}
    return data


def _attached(message: Any) -> dict[str, Any]:
    """What it brings along: a file, a place, or cards."""
    if message.type == "location":
        place = cards.place_of(message.payload)
        return {"location": place} if place else {}
    if message.type == "contacts":
        people = cards.people_of(message.payload)
        return {"contacts": people} if people else {}
    facts = media.of_message(message, realtime_events.now_ms())
    return {"media": media.as_json(facts)} if facts else {}


def _reactions(known: dict[str, Any]) -> dict[str, Any]:
    """Those under a message, `own` with the business's; and why its last one was not taken."""
    shown = [
        {"emoji": each["emoji"], "author": each["name"], **({"own": True} if who == OURS else {})}
        for who, each in known.items()
        if each["emoji"]
    ]
    data: dict[str, Any] = {"reactions": shown}
    if failed := known.get(OURS, {}).get("failed"):
        data["reaction_failed"] = {"id": failed["id"], "message": why_refused(failed["code"])}
    return data


def why_refused(code: str) -> str:
    """What an attendant reads where WhatsApp did not take a reaction."""
    told = message_status.EXPLANATIONS.get(code, f"O WhatsApp recusou (erro {code}).")
    return f"Reação não enviada: {told[:1].lower()}{told[1:]}"

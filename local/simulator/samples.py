"""Believable bodies for each type of message that a customer can send with one click."""

import secrets
from dataclasses import dataclass
from typing import Any

from local.simulator.files import MEDIA_TYPES, SAMPLE_FILES, Given, media_body
from local.simulator.media import MediaStore
from local.simulator.switches import InvalidInput

__all__ = ["AD", "TYPES", "Draft", "check_draft", "sample_body"]

JSON = dict[str, Any]

TYPES = (
    "text", "image", "video", "audio", "document", "sticker", "location", "contacts", "reaction",
    "interactive", "button", "order", "unsupported", "request_welcome", "edit", "revoke",
)  # fmt: skip
_NEED_A_MESSAGE = ("reaction", "edit", "revoke")
# What stands beside a message of somebody who came from an ad (click-to-WhatsApp).
AD: JSON = {
    "source_url": "https://fb.me/3cr4Wqqkv",
    "source_type": "ad",
    "source_id": "120210000000000000",
    "headline": "Revisão completa por R$ 95",
    "body": "Só esta semana: traga sua bicicleta!",
    "media_type": "image",
    "image_url": "https://scontent.example/anuncio.jpg",
    "ctwa_clid": "ARAkLkA8rmlFeiCktEJQ-QTwRiyYHAFDLMNDBH0CD3qpjd0HR4irJ6LEkR7JwFF4XvnO2E4Nx0",
}


@dataclass(frozen=True)
class Draft:
    """What a customer is about to send; the fields of ``POST /customers/PHONE/messages``."""

    text: str | None = None
    type: str = "text"
    reply_to: str | None = None
    payload: JSON | None = None  # laid over the finished message; null takes a field away
    contact: JSON | None = None  # likewise over the entry of contacts
    no_contact: bool = False  # leaves contacts out altogether
    timestamp: int | None = None
    emoji: str = "👍"
    group: str | None = None  # the id of the group it is written in
    referral: JSON | None = None  # the ad that the customer came from
    forwarded: str | None = None  # once, frequently
    sample: str | None = None  # the name of the sample file that is sent
    file: Given | None = None  # sent in place of a sample


def check_draft(draft: Draft) -> None:
    """Whether the draft has what its type needs.

    Raises:
        InvalidInput: an unknown type without a payload of its own, no text where there must be
            one, or no message to react to.
    """
    if draft.file and draft.type not in MEDIA_TYPES:
        raise InvalidInput("type", "must be one of " + ", ".join(MEDIA_TYPES))
    if _given_whole(draft.type):
        if draft.payload is None:
            known = ", ".join(TYPES)
            reason = f"{draft.type!r} needs a payload; known without one are {known}"
            raise InvalidInput("type", reason)
    elif draft.type == "text" and not draft.text and draft.payload is None:
        raise InvalidInput("text", "is missing or empty")
    elif draft.sample and draft.sample not in SAMPLE_FILES.get(draft.type, ()):
        known = ", ".join(name for files in SAMPLE_FILES.values() for name in files)
        raise InvalidInput("sample", f"is none of this type; there are {known}")
    elif draft.type in _NEED_A_MESSAGE and not draft.reply_to:
        raise InvalidInput("reply_to", f"is missing: {draft.type} is about a message")


def _given_whole(kind: str) -> bool:
    # The body of types to come.
    return kind not in TYPES


def sample_body(draft: Draft, media: MediaStore) -> Any:
    """What stands under the type's key, for a draft that was checked."""
    kind, text = draft.type, draft.text
    if _given_whole(kind):
        return None
    match kind:
        case "text":
            return {"body": text or ""}
        case "image" | "video" | "sticker" | "audio" | "document":
            return media_body(kind, text, media, sample=draft.sample, given=draft.file)
        case "location":
            return {
                "latitude": -23.561414,
                "longitude": -46.655881,
                "name": "MASP",
                "address": "Avenida Paulista, 1578, São Paulo",
                "url": "https://masp.org.br/",
            }
        case "contacts":
            return [_contact_card()]
        case "reaction":
            body = {"message_id": draft.reply_to}
            return {**body, "emoji": draft.emoji} if draft.emoji else body
        case "interactive":
            reply = {"id": "opcao-1", "title": text or "Sim, pode ser"}
            return {"type": "button_reply", "button_reply": reply}
        case "button":
            return {"payload": "quero-saber-mais", "text": text or "Quero saber mais"}
        case "order":
            return _order(text)
        case "unsupported":
            error = {
                "code": 131051,
                "title": "Message type unknown",
                "message": "Message type unknown",
                "error_data": {"details": "Message type is currently not supported."},
            }
            return {"errors": [error], "unsupported": {"type": "poll_creation"}}
        case "edit":
            message = {"type": "text", "text": {"body": text or "(editada)"}}
            return {"original_message_id": draft.reply_to, "message": message}
        case "revoke":
            return {"original_message_id": draft.reply_to}
    return None  # request_welcome has no body


def _contact_card() -> JSON:
    return {
        "name": {
            "formatted_name": "Oficina do Seu Jorge",
            "first_name": "Jorge",
            "last_name": "Oliveira",
        },
        "phones": [{"phone": "+55 11 98765-4321", "wa_id": "5511987654321", "type": "CELL"}],
        "emails": [{"email": "jorge@oficina.example", "type": "WORK"}],
        "org": {"company": "Oficina do Seu Jorge"},
    }


def _order(text: str | None) -> JSON:
    item = {
        "product_retailer_id": "CAFE-250",
        "quantity": 2,
        "item_price": 24.9,
        "currency": "BRL",
    }
    order: JSON = {
        "catalog_id": str(secrets.randbelow(10**15)),
        "product_items": [item],
    }
    return {**order, "text": text} if text else order

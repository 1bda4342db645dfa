"""What stands in a bubble for what it cannot draw yet: Brazilian Portuguese, and pure."""

from __future__ import annotations

from typing import Any

from chat.conversation import phones

#: Types whose bubble is the text itself.
DRAWN = frozenset({"text", "button", "interactive"})

_LABELS = {
    "image": "📷 Foto",
    "video": "🎥 Vídeo",
    "audio": "🎵 Áudio",
    "document": "📄 Documento",
    "sticker": "Figurinha",
    "location": "📍 Localização",
    "contacts": "👤 Contato",
    "reaction": "Reação",
    "order": "🛒 Pedido",
    "system": "Aviso do WhatsApp",
    "request_welcome": "Abriu a conversa pela primeira vez",
    "edit": "Editou uma mensagem",
    "revoke": "🚫 Mensagem apagada",
}
_UNKNOWN = "Mensagem não suportada"


def placeholder(kind: str, body: Any) -> str | None:
    """The label of a message the screen shows by name only; None for one it draws as text.

    Args:
        kind: the message's type.
        body: the type's own part, of any shape.
    """
    if kind in DRAWN:
        return None
    part = body if isinstance(body, dict) else {}
    if kind == "audio" and part.get("voice"):
        return "🎤 Mensagem de voz"
    if kind == "document" and isinstance(part.get("filename"), str) and part["filename"]:
        return f"📄 {part['filename'][:100]}"
    if kind == "location" and isinstance(part.get("name"), str) and part["name"]:
        return f"📍 {part['name'][:100]}"
    if kind == "contacts" and isinstance(body, list):
        names = [name for name in map(_contact_name, body) if name]
        if len(body) > 1:
            return f"👤 {len(body)} contatos"
        return f"👤 {names[0][:100]}" if names else _LABELS["contacts"]
    if kind == "reaction":
        emoji = part.get("emoji")
        return f"Reagiu com {emoji[:16]}" if isinstance(emoji, str) and emoji else "Tirou a reação"
    return _LABELS.get(kind, _UNKNOWN)


def text_of(kind: str, body: Any) -> str:
    """The words a customer wrote, whatever the type; empty where there are none."""
    if kind == "system" and isinstance(body, dict):
        return _system_text(body)
    if kind == "order" and isinstance(body, dict):
        return _text(body.get("text"))
    if kind == "interactive" and isinstance(body, dict):
        for key in ("button_reply", "list_reply", "nfm_reply"):
            reply = body.get(key)
            if isinstance(reply, dict):
                return (
                    _text(reply.get("title"))
                    or _text(reply.get("body"))
                    or _text(reply.get("name"))
                )
        return ""
    if kind == "edit" and isinstance(body, dict) and isinstance(body.get("message"), dict):
        inner = body["message"]
        return text_of("text", inner.get("text")) or _caption(inner)
    if isinstance(body, dict):
        for key in ("body", "caption", "text"):
            if text := _text(body.get(key)):
                return text
    return ""


def _system_text(body: dict[str, Any]) -> str:
    """Meta's own words are English and carry raw digits; those of an unknown notice are kept."""
    number = phones.digits(body.get("wa_id")) or phones.digits(body.get("new_wa_id"))
    if body.get("type") == "user_changed_number" and number:
        return f"Trocou de número: agora {phones.display(number)}"
    if body.get("type") == "user_changed_user_id":
        return "Mudou de identificação no WhatsApp"
    return _text(body.get("body"))


def _contact_name(contact: Any) -> str:
    name = contact.get("name") if isinstance(contact, dict) else None
    return _text(name.get("formatted_name")) if isinstance(name, dict) else ""


def _caption(message: dict[str, Any]) -> str:
    parts = (part for part in message.values() if isinstance(part, dict))
    return next((text for part in parts if (text := _text(part.get("caption")))), "")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

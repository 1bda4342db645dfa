"""What each kind of message says: words, label and lines. Brazilian Portuguese, and pure."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from chat.conversation import phones

Line = dict[str, str]  # {"label"?, "value", "href"?}

#: Types whose bubble is the text itself.
_DRAWN = frozenset({"text", "button", "interactive"})
_LABELS = {
    "image": "📷 Foto",
    "video": "🎥 Vídeo",
    "audio": "🎵 Áudio",
    "document": "📄 Documento",
    "sticker": "Figurinha",
    "location": "📍 Localização",
    "contacts": "👤 Contato",
    "order": "🛒 Pedido",
    "request_welcome": "Abriu a conversa pela primeira vez",
}
_UNKNOWN = "Mensagem não suportada"
_EMPTY = {"text": "Mensagem vazia", "button": "Tocou num botão", "interactive": _UNKNOWN}
_REPLIES = ("button_reply", "list_reply", "nfm_reply")
_LINES = 40
_CHARS = 500


def placeholder(kind: str, body: Any) -> str | None:
    """The label of a message that is more, or less, than its text; None for one that is its text.

    Args:
        kind: the message's type.
        body: the type's own part, of any shape.
    """
    part = body if isinstance(body, dict) else {}
    if kind == "interactive":
        return _interactive_label(part)
    if kind in _DRAWN:
        return None if text_of(kind, body).strip() else _EMPTY[kind]
    if kind == "system":
        return None if text_of(kind, body).strip() else "Aviso do WhatsApp"
    if kind == "audio" and part.get("voice"):
        return "🎤 Mensagem de voz"
    if kind == "document" and _text(part.get("filename")):
        return f"📄 {part['filename'][:100]}"
    if kind == "location" and _text(part.get("name")):
        return f"📍 {part['name'][:100]}"
    if kind == "contacts" and isinstance(body, list):
        names = [name for name in map(_contact_name, body) if name]
        if len(body) > 1:
            return f"👤 {len(body)} contatos"
        return f"👤 {names[0][:100]}" if names else _LABELS["contacts"]
    return _LABELS.get(kind, _UNKNOWN)


def _interactive_label(body: dict[str, Any]) -> str | None:
    if isinstance(permission := body.get("call_permission_reply"), dict):
        accepted = permission.get("response") == "accept"
        return "📞 Permitiu ligações" if accepted else "📞 Não permitiu ligações"
    if isinstance(body.get("payment_method"), dict):
        return "💳 Escolheu a forma de pagamento"
    if isinstance(body.get("nfm_reply"), dict):
        return "📋 Formulário respondido"
    return None if text_of("interactive", body).strip() else _UNKNOWN


def text_of(kind: str, body: Any) -> str:
    """The words a customer wrote, whatever the type; empty where there are none."""
    if isinstance(body, str):  # seen in public sources in place of {"body": …}
        return body if kind in _DRAWN else ""
    if not isinstance(body, dict):
        return ""
    if kind == "system":
        return _system_text(body)
    if kind == "interactive":
        for reply in (body[name] for name in _REPLIES if isinstance(body.get(name), dict)):
            found = [_text(reply.get(name)) for name in ("title", "body", "name", "id")]
            return next(filter(None, found), "")
        return ""
    if kind == "edit":
        inner = body.get("message")
        return _edited_text(inner) if isinstance(inner, dict) else ""
    names = ("body", "caption", "text", *(["payload"] if kind == "button" else []))
    return next(filter(None, (_text(body.get(name)) for name in names)), "")


def details(kind: str, body: Any) -> list[Line]:
    """What stands below the text: the fields of a form, an order's items, a contact's numbers, …

    Args:
        kind: the message's type.
        body: the type's own part, of any shape.
    """
    part = body if isinstance(body, dict) else {}
    if kind == "interactive" and isinstance(part.get("nfm_reply"), dict):
        lines = _form(part["nfm_reply"].get("response_json"))
    elif kind == "interactive" and isinstance(part.get("payment_method"), dict):
        lines = _pairs(part["payment_method"])
    elif kind == "order":
        lines = _order(part.get("product_items"))
    elif kind == "contacts" and isinstance(body, list):
        lines = [line for contact in body if isinstance(contact, dict) for line in _card(contact)]
    elif kind == "location":
        lines = _place(part)
    elif kind == "unsupported":
        lines = [{"label": "Tipo", "value": each} for each in (_text(part.get("type")),) if each]
    else:
        lines = []
    return [{key: text[:_CHARS] for key, text in line.items()} for line in lines[:_LINES]]


def referral_of(value: Any) -> dict[str, str] | None:
    """The ad or post that a customer came from (click-to-WhatsApp), as texts; None without one."""
    if not isinstance(value, dict):
        return None
    names = ("headline", "body", "source_url", "source_type", "source_id", "media_type",
             "image_url", "video_url", "thumbnail_url", "ctwa_clid")  # fmt: skip
    return {name: text[:2000] for name in names if (text := _text(value.get(name)))} or None


def _form(response: Any) -> list[Line]:
    if isinstance(response, str):
        try:
            response = json.loads(response)
        except (ValueError, RecursionError):
            return [{"value": response}] if response.strip() else []
    return _pairs(response) if isinstance(response, dict) else []


def _pairs(fields: dict[str, Any]) -> list[Line]:
    """A form's fields by their names, which its author gave; Meta's token is none of them."""
    return [
        {"label": str(name).replace("_", " "), "value": shown}
        for name, value in fields.items()
        if name != "flow_token" and (shown := _shown(value))
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "sim" if value else "não"
    if isinstance(value, list):
        return ", ".join(filter(None, map(_shown, value)))
    if isinstance(value, dict):
        return ", ".join(
            f"{key}: {shown}" for key, each in value.items() if (shown := _shown(each))
        )
    return "" if value is None else str(value)


def _order(items: Any) -> list[Line]:
    lines: list[Line] = []
    totals: dict[str, float] = {}
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        amount, price = _float(item.get("quantity"), 1.0), _float(item.get("item_price"), None)
        currency = _text(item.get("currency")) or "BRL"
        name = _text(item.get("product_retailer_id")) or "item"
        line = f"{amount or 0:g} × {name}"
        if price is not None:
            totals[currency] = totals.get(currency, 0.0) + price * (amount or 0)
            line += f" · {_money(price, currency)}"
        lines.append({"value": line})
    lines = lines[: _LINES - 2]
    return lines + [{"label": "Total", "value": _money(sum_, c)} for c, sum_ in totals.items()]


def _money(amount: float, currency: str) -> str:
    text = f"{amount:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")
    return f"R$ {text}" if currency == "BRL" else f"{currency} {text}"


def _card(contact: dict[str, Any]) -> list[Line]:
    lines: list[Line] = []
    name = _contact_name(contact)
    phone_list = contact.get("phones")
    for each in phone_list if isinstance(phone_list, list) else []:
        number = (
            _text(each.get("phone")) or _text(each.get("wa_id")) if isinstance(each, dict) else ""
        )
        if number:
            lines.append({"label": name or "Telefone", "value": number})
    emails = contact.get("emails")
    for each in emails if isinstance(emails, list) else []:
        if isinstance(each, dict) and (address := _text(each.get("email"))):
            lines.append({"label": name or "E-mail", "value": address})
    return lines or ([{"value": name}] if name else [])


def _place(part: dict[str, Any]) -> list[Line]:
    lines: list[Line] = []
    if address := _text(part.get("address")):
        lines.append({"value": address})
    latitude, longitude = _float(part.get("latitude"), None), _float(part.get("longitude"), None)
    url = _text(part.get("url"))
    if latitude is not None and longitude is not None:
        query = urlencode({"api": 1, "query": f"{latitude:g},{longitude:g}"})
        lines.append(
            {"value": "Ver no mapa", "href": f"https://www.google.com/maps/search/?{query}"}
        )
    elif url and urlsplit(url).scheme in ("http", "https"):
        lines.append({"value": url, "href": url})
    return lines


def _float(value: Any, otherwise: float | None) -> float | None:
    try:
        number = float(value) if isinstance(value, int | float | str) else otherwise
    except (ValueError, OverflowError):
        return otherwise
    return number if number is not None and abs(number) < 1e12 else otherwise


def _system_text(body: dict[str, Any]) -> str:
    """Meta's own words are English and carry raw digits; those of an unknown notice are kept."""
    number = phones.digits(body.get("wa_id")) or phones.digits(body.get("new_wa_id"))
    if body.get("type") == "user_changed_number" and number:
        return f"Trocou de número: agora {phones.display(number)}"
    if body.get("type") == "user_changed_user_id":
        return "Mudou de identificação no WhatsApp"
    return _text(body.get("body"))


def _edited_text(message: dict[str, Any]) -> str:
    parts = [message.get(str(message.get("type"))), *message.values()]
    found = (text_of("text", part) for part in parts if isinstance(part, dict))
    return next(filter(None, found), "")


def _contact_name(contact: Any) -> str:
    name = contact.get("name") if isinstance(contact, dict) else None
    if not isinstance(name, dict):
        return _text(name)
    return _text(name.get("formatted_name")) or _text(name.get("first_name"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""

"""What each kind of message says: words, label and lines. Brazilian Portuguese, and pure.

Whatever comes, of whatever kind, a bubble has a text or a label: `text_of` and `placeholder` are
never blank both.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from chat.conversation import phones
from chat.conversation.attached import cards, media
from chat.conversation.blank import is_blank
from chat.conversation.incoming_message import EMPTY
from chat.incoming import decoding

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
    "system": "Aviso do WhatsApp",
}
_UNKNOWN = "Mensagem não suportada"
_EMPTY = {"text": EMPTY, "button": "Tocou num botão", "interactive": _UNKNOWN}
_REPLIES = ("button_reply", "list_reply", "nfm_reply")
#: What Meta calls a change of number, and has called it.
CHANGED_NUMBER = ("user_changed_number", "customer_changed_number")
_LINES = 40
_CHARS = 500
_AD_CHARS = 2000
_NAME_CHARS = 100


def placeholder(kind: str, body: Any) -> str | None:
    """The label of a message that is more, or less, than its text; None for one that is its text.

    Args:
        kind: the message's type.
        body: the type's own part, of any shape.
    """
    part = body if isinstance(body, dict) else {}
    if kind == "interactive" and (label := _interactive_label(part)):
        return label
    if kind in _DRAWN or kind == "system":
        return None if text_of(kind, body) else _EMPTY.get(kind) or _LABELS[kind]
    if kind == "audio" and part.get("voice") is True:
        return "🎤 Mensagem de voz"
    if kind == "document" and (name := media.clean_filename(part.get("filename"))):
        return f"📄 {name[:_NAME_CHARS]}"
    if kind == "location" and (name := _text(part.get("name"))):
        return f"📍 {name[:_NAME_CHARS]}"
    if kind == "contacts" and isinstance(body, list):
        names = [name for name in map(cards.name_of, body) if name]
        if len(body) > 1:
            return f"👤 {len(body)} contatos"
        return f"👤 {names[0][:_NAME_CHARS]}" if names else _LABELS["contacts"]
    return _LABELS.get(kind, _UNKNOWN)


def _interactive_label(body: dict[str, Any]) -> str | None:
    if isinstance(permission := body.get("call_permission_reply"), dict):
        accepted = permission.get("response") == "accept"
        return "📞 Permitiu ligações" if accepted else "📞 Não permitiu ligações"
    if isinstance(body.get("payment_method"), dict):
        return "💳 Escolheu a forma de pagamento"
    if isinstance(body.get("nfm_reply"), dict):
        return "📋 Formulário respondido"
    return None


def text_of(kind: str, body: Any) -> str:
    """The words a customer wrote, whatever the type; empty where there are none to be seen."""
    if isinstance(body, str):  # seen in public sources in place of {"body": …}
        return _text(body) if kind in _DRAWN else ""
    if not isinstance(body, dict):
        return ""
    if kind == "system":
        return _system_text(body)
    if kind == "edit":
        return edited_text(body) or ""
    if kind == "interactive":
        replies = [body[name] for name in _REPLIES if isinstance(body.get(name), dict)]
        parts = ("title", "body", "name", "id")
        return _first(reply.get(name) for reply in replies for name in parts)
    names = ("body", "caption", "text", *(["payload"] if kind == "button" else []))
    return _first(body.get(name) for name in names)


def edited_text(body: Any) -> str | None:
    """What an edited message says now; None where that is not told.

    Args:
        body: an edit's own part.
    """
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, dict):
        return None
    kind = message.get("type")
    kind = kind if isinstance(kind, str) else "text"
    parts = [message.get(kind), *message.values()]
    found = _first(text_of("text", part) for part in parts if isinstance(part, dict))
    # A caption may be taken away; a text may not.
    return found or ("" if kind != "text" and isinstance(message.get(kind), dict) else None)


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
    elif kind == "interactive" and isinstance(part.get("list_reply"), dict):
        lines = [{"value": _text(part["list_reply"].get("description"))}]
    elif kind == "order":
        lines = _order(part.get("product_items"))
    elif kind == "contacts" and isinstance(body, list):
        lines = [line for card in cards.people_of(body) for line in _card(card)]
    elif kind == "location":
        lines = _place(part)
    elif kind == "unsupported":
        lines = [{"label": "Tipo", "value": _text(part.get("type"))}]
    else:
        lines = []
    seen = [line for line in lines if not is_blank(line["value"])]
    if len(seen) > _LINES:
        seen = [*seen[: _LINES - 1], {"value": f"… e mais {len(seen) - _LINES + 1}"}]
    return [{key: text[:_CHARS] for key, text in line.items()} for line in seen]


def referral_of(value: Any) -> dict[str, str] | None:
    """The ad or post that a customer came from (click-to-WhatsApp), as texts; None without one."""
    if not isinstance(value, dict):
        return None
    names = ("headline", "body", "source_url", "source_type", "source_id", "media_type",
             "image_url", "video_url", "thumbnail_url", "ctwa_clid")  # fmt: skip
    found = {name: text[:_AD_CHARS] for name in names if (text := _text(value.get(name)))}
    return {
        name: text
        for name, text in found.items()
        if not name.endswith("_url") or cards.is_web_address(text)
    } or None


def product_of(value: Any) -> dict[str, str] | None:
    """The product of a catalogue that a customer asks about, as texts; None without one."""
    if not isinstance(value, dict):
        return None
    names = ("catalog_id", "product_retailer_id")
    return {name: text[:_CHARS] for name in names if (text := _shown(value.get(name)))} or None


def errors_of(value: Any) -> list[dict[str, str]]:
    """What Meta says went wrong with a message: code, title, details, as texts."""
    made = []
    for each in value if isinstance(value, list) else []:
        if isinstance(each, dict):
            data = each.get("error_data")
            told = {
                "code": _shown(each.get("code")),
                "title": _text(each.get("title")) or _text(each.get("message")),
                "details": _text(data.get("details")) if isinstance(data, dict) else "",
            }
            made.append({name: text[:_CHARS] for name, text in told.items() if text})
    return [each for each in made[:5] if each]


def _form(response: Any) -> list[Line]:
    if isinstance(response, str):
        try:
            response = decoding.decode(response)
        except ValueError:
            return [{"value": response}]
    return _pairs(response) if isinstance(response, dict) else [{"value": _shown(response)}]


def _pairs(fields: dict[str, Any]) -> list[Line]:
    """A form's fields by their names, which its author gave; Meta's token is none of them."""
    made = []
    for name, value in fields.items():
        if name != "flow_token" and (shown := _shown(value)):
            label = str(name).replace("_", " ")
            made.append({"value": shown} if is_blank(label) else {"label": label, "value": shown})
    return made


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "sim" if value else "não"
    if isinstance(value, list):
        return ", ".join(filter(None, map(_shown, value)))
    if isinstance(value, dict):
        return ", ".join(
            f"{key}: {shown}" for key, each in value.items() if (shown := _shown(each))
        )
    return "" if value is None else _text(str(value))


def _order(items: Any) -> list[Line]:
    lines: list[Line] = []
    totals: dict[str, float] = {}
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        amount = cards.number(item.get("quantity"))
        amount = 1.0 if amount is None else amount
        price = cards.number(item.get("item_price"))
        currency = (_text(item.get("currency")) or "BRL")[:10]
        line = f"{amount:g} × {(_shown(item.get('product_retailer_id')) or 'item')[:200]}"
        if price is not None:
            totals[currency] = totals.get(currency, 0.0) + price * amount
            line += f" · {_money(price, currency)}"
        lines.append({"value": line})
    total = [{"label": "Total", "value": _money(amount, name)} for name, amount in totals.items()][
        :3
    ]
    room = _LINES - len(total)
    if len(lines) > room:
        lines = [*lines[: room - 1], {"value": f"… e mais {len(lines) - room + 1} itens"}]
    return lines + total


def _money(amount: float, currency: str) -> str:
    text = f"{amount:,.2f}".replace(",", " ").replace(".", ",").replace(" ", ".")
    return f"R$ {text}" if currency == "BRL" else f"{currency} {text}"


def _card(card: dict[str, Any]) -> list[Line]:
    lines: list[Line] = []
    for part, name, otherwise in (
        ("phones", "phone", "Telefone"),
        ("emails", "email", "E-mail"),
    ):
        for each in card.get(part, ()):
            lines.append({"label": card["name"] or otherwise, "value": each[name]})
    return lines or [{"value": card["name"]}]


def _place(part: dict[str, Any]) -> list[Line]:
    lines: list[Line] = [{"value": _text(part.get("address"))}]
    place = cards.place_of(part)
    url = _text(part.get("url"))
    if place is not None:
        query = urlencode({"api": 1, "query": f"{place['latitude']:.6f},{place['longitude']:.6f}"})
        lines.append(
            {"value": "Ver no mapa", "href": f"https://www.google.com/maps/search/?{query}"}
        )
    elif len(url) <= _CHARS and cards.is_web_address(url):
        lines.append({"value": url, "href": url})
    return lines


def _system_text(body: dict[str, Any]) -> str:
    """Meta's own words are English and carry raw digits; those of an unknown notice are kept."""
    number = phones.digits(body.get("wa_id")) or phones.digits(body.get("new_wa_id"))
    if body.get("type") in CHANGED_NUMBER:
        now = f": agora {phones.display(number)}" if number else ""
        return f"Trocou de número{now}"
    if body.get("type") == "user_changed_user_id":
        return "Mudou de identificação no WhatsApp"
    if body.get("type") == "customer_identity_changed":
        return "O código de segurança mudou"
    return _text(body.get("body"))


def _first(values: Any) -> str:
    return next(filter(None, map(_text, values)), "")


def _text(value: Any) -> str:
    """A text with something to see in it, else none."""
    return value if isinstance(value, str) and not is_blank(value) else ""

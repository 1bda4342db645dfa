"""A place, and people's cards, as a message's payload has them. Pure; any shape may come."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import urlsplit

from chat.conversation.blank import is_blank

_CHARS = 500
_MOST_CARDS = 257
_MOST_EACH = 20


def place_of(body: Any) -> dict[str, Any] | None:
    """`latitude`, `longitude`, and where they are told `name`, `address`, `url`; None for what is
    no place on earth.

    Args:
        body: a location's own part.
    """
    part = body if isinstance(body, dict) else {}
    latitude, longitude = number(part.get("latitude")), number(part.get("longitude"))
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return None
    url = _text(part.get("url"))
    told = {
        "name": _text(part.get("name")),
        "address": _text(part.get("address")),
        "url": url if is_web_address(url) else "",
    }
    return {
        "latitude": latitude,
        "longitude": longitude,
        **{name: text for name, text in told.items() if text},
    }


def people_of(body: Any) -> list[dict[str, Any]]:
    """The cards of a message: each `name`, `phones` `[{"phone", "type"?}]`, and where they are told
    `emails` `[{"email", "type"?}]` and `organization`.

    Args:
        body: the own part of a message of type contacts.
    """
    cards = [_card(each) for each in body if isinstance(each, dict)] if _is_list(body) else []
    return [card for card in cards if card["name"] or card["phones"]][:_MOST_CARDS]


def name_of(card: Any) -> str:
    """Whose card it is; empty where that is not told."""
    name = card.get("name") if isinstance(card, dict) else None
    if not isinstance(name, dict):
        return _text(name)
    names = (_text(name.get(part)) for part in ("formatted_name", "first_name", "last_name"))
    return next(filter(None, names), "")


def number(value: Any) -> float | None:
    """A number, which may be written as text; None for what is none."""
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < 1e12 else None


def is_web_address(url: str) -> bool:
    """Whether this may be a link: of the web, not of a script."""
    try:
        return urlsplit(url).scheme in ("http", "https")
    except ValueError:
        return False


def _card(card: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": name_of(card),
        "phones": _entries(card.get("phones"), "phone", ("phone", "wa_id")),
    }
    if emails := _entries(card.get("emails"), "email", ("email",)):
        made["emails"] = emails
    org = card.get("org")
    if isinstance(org, dict) and (company := _text(org.get("company"))):
        made["organization"] = company
    return made


def _entries(found: Any, name: str, names: tuple[str, ...]) -> list[dict[str, str]]:
    entries = []
    for each in found if _is_list(found) else []:
        part = each if isinstance(each, dict) else {name: each}
        told = next(filter(None, (_text(part.get(one)) for one in names)), "")
        if told:
            kind = _text(part.get("type"))
            entries.append({name: told, **({"type": kind} if kind else {})})
    return entries[:_MOST_EACH]


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _text(value: Any) -> str:
    """A text with something to see in it, bounded, else none."""
    return value[:_CHARS] if isinstance(value, str) and not is_blank(value) else ""

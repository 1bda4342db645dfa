"""Phone numbers: one canonical form for finding, one readable form for showing. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

_NOT_DIGITS = re.compile(r"\D")
#: Country code, area code, and eight digits that start as mobile numbers do.
_BRAZIL_EIGHT = re.compile(r"55(\d\d)([6-9]\d{7})")
#: WhatsApp's ids of Mexican mobiles carry a 1 that the numbers no longer have.
_MEXICO_ONE = re.compile(r"521(\d{10})")
#: Argentine mobiles have a 9 behind the country code, which those who write them often leave out.
_ARGENTINA_TEN = re.compile(r"54([1-8]\d{9})")


def digits(text: object) -> str | None:
    """The digits of a number given as text or integer; None when it has none or too many."""
    found = _NOT_DIGITS.sub("", str(text)) if isinstance(text, (str, int)) else ""
    return found if 1 <= len(found) <= 20 else None


def canonical(number: str) -> str:
    """One form for all that WhatsApp uses for the same phone.

    Brazilian mobiles got a ninth digit; WhatsApp's ids of older accounts lack it. Here they always
    have it, and Argentine numbers their 9.

    Args:
        number: digits with country code.
    """
    if match := _BRAZIL_EIGHT.fullmatch(number):
        return f"55{match[1]}9{match[2]}"
    if match := _MEXICO_ONE.fullmatch(number):
        return f"52{match[1]}"
    if match := _ARGENTINA_TEN.fullmatch(number):
        return f"549{match[1]}"
    return number


@lru_cache(maxsize=4096)
def display(number: str) -> str:
    """A number as people write it: `+55 11 98765-4321`; `+` and the digits if it is no number."""
    # With or without the 9 says which kind of line it is, in Argentina.
    shown = number if number.startswith("54") else canonical(number)
    try:
        parsed = phonenumbers.parse(f"+{shown}")
    except phonenumbers.NumberParseException:
        return f"+{number}"
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)

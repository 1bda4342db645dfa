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
#: The same in their canonical form.
_BRAZIL_NINE = re.compile(r"55(\d\d)9([6-9]\d{7})")
_MEXICO = re.compile(r"52(\d{10})")
_ARGENTINA_NINE = re.compile(r"549(\d{10})")

#: Of any number in the world (E.164).
_MOST_DIGITS = 15


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


def forms(number: str) -> set[str]:
    """The digits of all that WhatsApp may use for the same phone, `canonical`'s among them."""
    known = canonical(number)
    found = {number, known}
    if match := _BRAZIL_NINE.fullmatch(known):
        found.add(f"55{match[1]}{match[2]}")
    if match := _MEXICO.fullmatch(known):
        found.add(f"521{match[1]}")
    if match := _ARGENTINA_NINE.fullmatch(known):
        found.add(f"54{match[1]}")
    return found


class InvalidNumberError(ValueError):
    """What was typed is nobody's number; the text says why, in Portuguese."""


def typed(text: str, region: str = "BR") -> str:
    """The digits, with country code, of a number in whatever form people type it: as at home, with
    or without its 0 and the ninth digit, or international, with or without its `+`.

    Args:
        text: at most some 40 characters of it count.
        region: where a number without a country code is from.

    Raises:
        InvalidNumberError: it is none.
    """
    text = re.sub(r"^\s*(\+|00)\s*", "+", text[:40])
    home, error = None, None
    try:
        home = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as refused:
        error = refused.error_type
    for candidate in (home, _international(text)):
        if candidate is not None and (number := _existing(candidate)):
            return number
    raise InvalidNumberError(_problem(text, home, error))


def _problem(text: str, home: phonenumbers.PhoneNumber | None, error: int | None) -> str:
    count = len(_NOT_DIGITS.sub("", text))
    if count in (8, 9) and not text.startswith("+"):
        return "Falta o DDD."
    if home is None and error == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
        return "O código do país não existe."
    reason = phonenumbers.is_possible_number_with_reason(home) if home else None
    if reason == phonenumbers.ValidationResult.TOO_LONG or count > _MOST_DIGITS:
        return "O número tem algarismos demais."
    if home is None or reason == phonenumbers.ValidationResult.TOO_SHORT:
        return "O número está incompleto."
    return "Este número não existe. Confira o DDD e os algarismos."


def _international(text: str) -> phonenumbers.PhoneNumber | None:
    """The same digits taken for a number with its country code."""
    try:
        return phonenumbers.parse(f"+{_NOT_DIGITS.sub('', text)}")
    except phonenumbers.NumberParseException:
        return None


def _existing(parsed: phonenumbers.PhoneNumber) -> str | None:
    """The digits of a number that may be somebody's, in its canonical form where that is valid."""
    found = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)[1:]
    for form in dict.fromkeys((canonical(found), found)):
        if phonenumbers.is_valid_number(phonenumbers.parse(f"+{form}")):
            return form
    return None


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

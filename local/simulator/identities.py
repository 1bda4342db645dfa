"""Who is who on the simulated WhatsApp: numbers, ninth digits, wamids and BSUIDs."""

import base64
import hashlib
import re
import secrets

__all__ = [
    "digits_of",
    "bsuid_of",
    "is_bsuid",
    "new_bsuid",
    "new_trace_id",
    "new_wamid",
    "ninth_digit_form",
    "other_form",
]

_SEPARATORS = re.compile(r"[\s().\-]")
# Country code 55, area code of two digits, and a mobile number: 8 digits of which the first
# is 6-9, with or without the 9 that Brazil put in front from 2012 on.
_BRAZILIAN_MOBILE = re.compile(r"^(55\d{2})(9?)([6-9]\d{7})$")
_BSUID = re.compile(r"^[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}$")


def digits_of(text: object) -> str | None:
    """The digits of a phone number as Meta reads it, or None where it is not one.

    Spaces, dashes, dots, parentheses and one leading ``+`` are passed over, anything else
    makes it no number. The length is not judged here.
    """
    if not isinstance(text, str):
        return None
    bare = _SEPARATORS.sub("", text).removeprefix("+")
    return bare if bare.isascii() and bare.isdigit() else None


def other_form(digits: str) -> str:
    """A Brazilian mobile number with its ninth digit put in or taken out.

    Any other number comes back as it is.
    """
    found = _BRAZILIAN_MOBILE.match(digits)
    if not found:
        return digits
    area, nine, rest = found.groups()
    return f"{area}{rest}" if nine else f"{area}9{rest}"


def ninth_digit_form(digits: str, form: str) -> str:
    """A number in the wanted form: ``with`` or ``without`` the ninth digit."""
    found = _BRAZILIAN_MOBILE.match(digits)
    if not found:
        return digits
    area, _, rest = found.groups()
    return f"{area}9{rest}" if form == "with" else f"{area}{rest}"


def new_wamid(whose: str, *, from_customer: bool) -> str:
    """A message id that looks like Meta's: base64 over the user's number and a random id.

    Random whatever the seed: two runs of the simulator against one store must not repeat ids,
    or the chat would rightly take the second for a repetition.
    """
    user = whose.encode()[:250]
    tail = (("3A" if from_customer else "") + secrets.token_hex(10).upper())[:20].encode()
    raw = b"".join(
        (
            b"\x1c\x18",
            bytes([len(user)]),
            user,
            b"\x15\x02\x00",
            b"\x12" if from_customer else b"\x11",
            b"\x18",
            bytes([len(tail)]),
            tail,
            b"\x00",
        )
    )
    return "wamid." + base64.b64encode(raw).decode()


def new_bsuid() -> str:
    """A business-scoped user id: country code, a dot, up to 128 letters and digits."""
    return "BR." + str(secrets.randbelow(9 * 10**18) + 10**18)


def bsuid_of(phone: str) -> str:
    """The BSUID of a number's first holder: the same in each run of the simulator.

    A chat that keeps its data between runs would take a new BSUID for a new holder of the number.
    Both forms of a Brazilian mobile number give the same.
    """
    number = phone[:4] + phone[-8:] if phone.startswith("55") and len(phone) == 13 else phone
    digest = hashlib.sha256(number.encode()).digest()
    return "BR." + str(int.from_bytes(digest[:8], "big") % (9 * 10**18) + 10**18)


def is_bsuid(text: object) -> bool:
    """Whether a text has the form of a business-scoped user id."""
    return isinstance(text, str) and bool(_BSUID.match(text))


def new_trace_id() -> str:
    """What Graph puts into ``fbtrace_id``."""
    return "A" + secrets.token_urlsafe(17)

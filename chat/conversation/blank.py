"""Whether a text shows anything at all, and whether it can be stored. Pure."""

from __future__ import annotations

import unicodedata

#: Controls, formats, separators, halves of surrogate pairs, marks without a letter to stand on.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Mn", "Me", "Zl", "Zp", "Zs"})
#: They count as letters or symbols, and are blank all the same: people put them into names.
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def is_blank(text: str | None) -> bool:
    """Whether nothing of a text can be seen."""
    return all(c in _FILLERS or unicodedata.category(c) in _UNSEEN for c in text or "")


def is_encodable(text: str) -> bool:
    """Whether a text can be stored and sent: half of a surrogate pair cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

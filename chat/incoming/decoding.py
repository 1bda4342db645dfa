"""From the bytes of a webhook call to values that any store takes. Pure, and hard to make fail.

One strange part must cost only itself: a call carries up to 1,000 updates, and what makes the whole
unreadable would lose all of them.
"""

from __future__ import annotations

import json
import re
from typing import Any

#: Deeper parts are left out: nothing of Meta's goes beyond a dozen, and Python's own reader fails
#: at about a thousand.
MAX_DEPTH = 60
_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


def decode(body: bytes) -> Any:
    """The JSON of a call, with every text such as can be stored.

    Args:
        body: as received; bytes that are no UTF-8 become U+FFFD.

    Raises:
        ValueError: it is not JSON.
    """
    text = body.decode("utf-8-sig", "replace")
    try:
        data = _load(text)
    except RecursionError:
        data = _load(_shallow(text))
    return repaired(data)


def _load(text: str) -> Any:
    return json.loads(text, parse_int=_number, parse_constant=lambda _name: None)


def _number(digits: str) -> int | str:
    """A whole number; the digits themselves where they are more than Python converts."""
    return int(digits) if len(digits) <= 30 else digits[:100]


def _shallow(text: str) -> str:
    """The same JSON with null in place of what lies deeper than `MAX_DEPTH`."""
    kept: list[str] = []
    depth, start = 0, 0
    for token in _TOKENS.finditer(text):
        if token[0] in ("[", "{"):
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += [text[start : token.start()], "null"]
        elif token[0] in ("]", "}"):
            depth -= 1
            if depth == MAX_DEPTH:
                start = token.end()
    return "".join([*kept, text[start:]]) if depth <= MAX_DEPTH else "".join(kept)


def repaired(value: Any, depth: int = 0) -> Any:
    """The same value with U+FFFD for halves of surrogate pairs, which no store takes."""
    if isinstance(value, str):
        return _SURROGATES.sub(_REPLACEMENT, value)
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [repaired(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {repaired(key): repaired(item, depth + 1) for key, item in value.items()}
    return value

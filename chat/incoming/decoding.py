"""From the bytes of a webhook call to values that any store takes. Pure, and hard to make fail.

One strange part must cost only itself: a call carries up to 1,000 updates, and what makes the whole
unreadable would lose all of them.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

#: Deeper parts are left out: nothing of Meta's goes beyond a dozen, and Python's own reader fails
#: at about a thousand.
MAX_DEPTH = 60
#: Digits of a number that Python converts; of longer ones so many are kept, as text.
_MAX_DIGITS = 30
_KEPT_DIGITS = 100
_SURROGATES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_TOKENS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)


def decode(body: bytes | str) -> Any:
    """The JSON of a call, or a piece of JSON inside it, with every text such as can be stored.

    Args:
        body: as received; bytes that are no UTF-8 become U+FFFD.

    Raises:
        ValueError: it is not JSON.
    """
    text = body if isinstance(body, str) else body.decode("utf-8", "replace")
    text = text.removeprefix("\ufeff")
    try:
        data = _load(text)
    except RecursionError:
        try:
            data = _load(_shallow(text))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
    return repaired(data)


def _load(text: str) -> Any:
    return json.loads(text, parse_int=_whole, parse_float=_real, parse_constant=lambda _name: None)


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MAX_DIGITS else digits[:_KEPT_DIGITS]


def _real(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits[:_KEPT_DIGITS]


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

"""The settings `AUTO_REPLY_*`, read from the environment once, checked at start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from chat.conversation.ownership import CLAUDE, HUMAN
from chat.platform.settings import (
    SettingsError,
    check_address,
    check_no_placeholder,
    read_number,
)

_PREFIX = "AUTO_REPLY_"
#: Brazil has had no summer time since 2019.
BRASILIA = timezone(timedelta(hours=-3))
_DAYS = {"seg": 0, "ter": 1, "qua": 2, "qui": 3, "sex": 4, "sab": 5, "sáb": 5, "dom": 6}
_SPAN = re.compile(r"([a-zá]{3})(?:-([a-zá]{3}))? (\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_HOURS_EXAMPLE = "seg-sex 08:00-18:00; sáb 09:00-13:00"
_CHOICES = {
    "owner": (CLAUDE, HUMAN),
    "badges": ("one", "two"),
    "effort": ("", "low", "medium", "high", "xhigh", "max"),
}
#: Of the numbers: the least and the most that make sense.
_BOUNDS = {
    "max_tokens": (64, 8192),
    "debounce_seconds": (0, 60),
    "max_wait_seconds": (0, 300),
    "return_after_minutes": (0, 7 * 24 * 60),
    "max_age_minutes": (1, 24 * 60),
    "daily_budget": (0, 1_000_000_000),
    "history_tokens": (200, 500_000),
    "image_tokens": (0, 50_000),
    "timeout_seconds": (1, 240),
    "give_up_seconds": (1, 3600),
    "temperature": (0, 1),
}
#: App Engine gives a task ten minutes; a prompt is text that somebody wrote.
_MAX_PROMPT = 100_000


@dataclass(frozen=True)
class OfficeHours:
    """When people are there: spans of (weekday, from minute, to minute), in Brasília's time."""

    spans: tuple[tuple[int, int, int], ...]

    def open_at(self, ms: int) -> bool:
        """Whether a moment (ms since 1970) lies within."""
        when = datetime.fromtimestamp(ms / 1000, BRASILIA)
        minute = when.hour * 60 + when.minute
        return any(day == when.weekday() and a <= minute < b for day, a, b in self.spans)


@dataclass(frozen=True)
class AutoReplySettings:
    """How Claude answers. Without ANTHROPIC_API_KEY it does not, and chats are people's."""

    api_key: str = field(repr=False, default="")
    base_url: str = ""
    #: Who has new chats.
    owner: str = CLAUDE
    model: str = "claude-sonnet-5-5"
    #: How much the model thinks before it writes; empty for models that know no such thing.
    effort: str = "low"
    #: Of an answer, its thinking included.
    max_tokens: int = 2048
    #: Only models up to the 4.6 generation take one; None leaves it out.
    temperature: float | None = None
    #: Customers write in several messages: this long after one, no more follow, and an answer is
    #: begun; but not later than so long after the first.
    debounce_seconds: float = 4.0
    max_wait_seconds: float = 20.0
    #: After so long without a word from people, Claude has their chat back; 0: never.
    return_after_minutes: float = 0.0
    office_hours: OfficeHours | None = None
    #: A message that comes later than this after it was written is for people.
    max_age_minutes: float = 30.0
    #: Tokens that one chat may use in a day, in and out; 0: any number.
    daily_budget: int = 200_000
    #: What is known about the business, and how it wants to sound.
    system_prompt: str = ""
    #: Of earlier messages, how many tokens go along.
    history_tokens: int = 6_000
    #: And beside these, of the pictures and short PDFs in them; 0: Claude sees none.
    image_tokens: int = 4_000
    timeout_seconds: float = 60.0
    #: For so long an answer is tried while the Messages API is overloaded, slow or away.
    give_up_seconds: float = 180.0
    #: Colours of the screen's unread badges: one, or two, with a grey one on Claude's chats.
    badges: str = "one"
    #: LOCATION/NAME of the queue of Cloud Tasks, on App Engine.
    queue: str = ""
    #: Whether customers see it typing, which turns their ticks blue before a person has read.
    typing: bool = False
    #: Dollars for a million tokens: in/out/cache write/cache read. Empty: those of known models.
    prices: tuple[float, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether Claude can answer at all."""
        return bool(self.api_key)

    @classmethod
    def from_env(cls, environ: Mapping[str, Any] | None = None) -> AutoReplySettings:
        """Reads and checks the settings.

        Args:
            environ: a mapping of upper-case keys; os.environ when None.

        Raises:
            SettingsError: a value cannot work; the text names key and value.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {
            "api_key": str(environ.get("ANTHROPIC_API_KEY") or "").strip(),
            "base_url": str(environ.get("ANTHROPIC_BASE_URL") or "").strip(),
        }
        if values["base_url"]:
            check_address("ANTHROPIC_BASE_URL", values["base_url"])
        check_no_placeholder("ANTHROPIC_API_KEY", values["api_key"])
        for item in fields(cls):
            key = f"{_PREFIX}{item.name.upper()}"
            raw = environ.get(key)
            if item.name in values or raw is None or (raw == "" and item.name != "effort"):
                continue
            values[item.name] = _READERS.get(item.name, _text)(key, raw)
        file = environ.get(f"{_PREFIX}SYSTEM_PROMPT_FILE")
        if file:
            if values.get("system_prompt"):
                both = f"{_PREFIX}SYSTEM_PROMPT_FILE: {file!r}, and {_PREFIX}SYSTEM_PROMPT"
                raise SettingsError(f"{both} is set too: use one of them")
            values["system_prompt"] = _file(f"{_PREFIX}SYSTEM_PROMPT_FILE", str(file))
        made = cls(**values)
        if made.max_wait_seconds < made.debounce_seconds:
            text = f"{made.max_wait_seconds:g} is less than {_PREFIX}DEBOUNCE_SECONDS"
            raise SettingsError(f"{_PREFIX}MAX_WAIT_SECONDS: {text}")
        return made


def _text(_key: str, raw: Any) -> str:
    return str(raw)


def _number(key: str, raw: Any) -> float:
    low, high = _BOUNDS[key.removeprefix(_PREFIX).lower()]
    return read_number(key, raw, low, high, kind="number")


def _whole(key: str, raw: Any) -> int:
    value = _number(key, raw)
    if value != int(value):
        raise SettingsError(f"{key}: {raw!r} is not a whole number")
    return int(value)


def _choice(key: str, raw: Any) -> str:
    allowed = _CHOICES[key.removeprefix(_PREFIX).lower()]
    if raw not in allowed:
        raise SettingsError(f"{key}: {raw!r} is none of {', '.join(filter(None, allowed))}")
    return str(raw)


def _switch(key: str, raw: Any) -> bool:
    value = str(raw).lower()
    if value not in ("true", "false"):
        raise SettingsError(f"{key}: {raw!r} is neither 'true' nor 'false'")
    return value == "true"


def _queue(key: str, raw: Any) -> str:
    if not re.fullmatch(r"[a-z0-9-]+/[A-Za-z0-9-]+", str(raw)):
        raise SettingsError(f"{key}: {raw!r} is not LOCATION/NAME")
    return str(raw)


def _prices(key: str, raw: Any) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in str(raw).split("/"))
    except ValueError:
        values = ()
    if len(values) != 4 or not all(0 <= value <= 10_000 for value in values):
        raise SettingsError(f"{key}: {raw!r} is not IN/OUT/CACHE_WRITE/CACHE_READ in dollars")
    return values


def _hours(key: str, raw: Any) -> OfficeHours:
    spans = []
    for part in filter(None, (each.strip() for each in str(raw).lower().split(";"))):
        match = _SPAN.fullmatch(part)
        first = _DAYS.get(match[1]) if match else None
        last = _DAYS.get(match[2] or match[1]) if match else None
        if match is None or first is None or last is None or last < first:
            raise SettingsError(f"{key}: {part!r} is not like {_HOURS_EXAMPLE!r}")
        begin, end = int(match[3]) * 60 + int(match[4]), int(match[5]) * 60 + int(match[6])
        if not (int(match[4]) < 60 and int(match[6]) < 60 and begin < end <= 24 * 60):
            raise SettingsError(f"{key}: {part!r} names no span of a day")
        spans += [(day, begin, end) for day in range(first, last + 1)]
    return OfficeHours(tuple(spans))


def _file(key: str, name: str) -> str:
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{key}: {name!r} cannot be read: {type(error).__name__}") from None
    return _prompt(key, text)


def _prompt(key: str, raw: Any) -> str:
    text = str(raw).strip()
    if len(text) > _MAX_PROMPT:
        raise SettingsError(f"{key}: {len(text)} characters are more than {_MAX_PROMPT}")
    return text


_READERS: dict[str, Any] = {
    **dict.fromkeys(("owner", "badges", "effort"), _choice),
    "office_hours": _hours,
    "system_prompt": _prompt,
    "typing": _switch,
    "queue": _queue,
    "prices": _prices,
    **dict.fromkeys(("max_tokens", "daily_budget", "history_tokens", "image_tokens"), _whole),
    **dict.fromkeys(
        (
            "debounce_seconds", "max_wait_seconds", "return_after_minutes", "max_age_minutes",
            "timeout_seconds", "give_up_seconds", "temperature",
        ),
        _number,
    ),
}  # fmt: skip

"""What can be switched on, so that the stand-in fails as the real API does."""

from __future__ import annotations

import threading
from typing import Any

JSON = dict[str, Any]

#: Status, type and message of each fault that is told by an error.
FAULTS: dict[str, tuple[int, str, str]] = {
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "rate_limit": (429, "rate_limit_error", "This request would exceed your rate limit"),
    "spend_limit": (429, "rate_limit_error", "You have reached your monthly spend limit"),
    "server_error": (500, "api_error", "Internal server error"),
    "bad_key": (401, "authentication_error", "invalid x-api-key"),
    "no_credit": (402, "billing_error", "Your credit balance is too low"),
    "unknown_model": (404, "not_found_error", "model: not found"),
    "bad_request": (400, "invalid_request_error", "messages: invalid"),
    "too_large": (413, "request_too_large", "Request exceeds the maximum size"),
}
#: Faults of another kind: no answer, or none that says anything.
_STRANGE = ("hang_up", "not_json", "no_message")
_ANSWERS = ("refuse", "empty", "cut", "long", "hand_over", "hand_over_silently")

#: Each switch: its default, and what it does.
SWITCHES: dict[str, tuple[Any, str]] = {
    "slow_ms": (0, "milliseconds before each answer, up to 600000"),
    "fail": (None, f"one of {', '.join([*FAULTS, *_STRANGE])}; null: nothing fails"),
    "fail_times": (None, "how many more requests fail so; null: all"),
    "retry_after": (None, "seconds, sent with rate_limit and overloaded; null: not sent"),
    "answer": (None, f"one of {', '.join(_ANSWERS)}; null: something sensible"),
    "text": (None, "what to answer, word for word; null: something sensible"),
}


class Switches:
    """The present settings. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values = {name: default for name, (default, _) in SWITCHES.items()}

    def __getitem__(self, name: str) -> Any:
        with self._lock:
            return self._values[name]

    def all(self) -> JSON:
        """All switches with their values."""
        with self._lock:
            return dict(self._values)

    def reset(self) -> None:
        """Puts all back to their defaults."""
        with self._lock:
            self._values = {name: default for name, (default, _) in SWITCHES.items()}

    def set(self, **values: Any) -> None:
        """Changes some.

        Raises:
            ValueError: there is no such switch, or it has no such position.
        """
        for name, value in values.items():
            if name not in SWITCHES:
                raise ValueError(f"{name}: there is no such switch")
            if not _fits(name, value):
                raise ValueError(f"{name}: {SWITCHES[name][1]}")
        with self._lock:
            self._values |= values

    def next_fault(self) -> str | None:
        """How this request fails, if it does."""
        with self._lock:
            fault, left = self._values["fail"], self._values["fail_times"]
            if fault is None or left == 0:
                return None
            if left is not None:
                self._values["fail_times"] = left - 1
            return str(fault)


def _fits(name: str, value: Any) -> bool:
    if name == "slow_ms":
        return _whole(value) and value <= 600_000
    if value is None:
        return True
    if name == "fail":
        return value in (*FAULTS, *_STRANGE)
    if name == "answer":
        return value in _ANSWERS
    if name == "text":
        return isinstance(value, str)
    return _whole(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

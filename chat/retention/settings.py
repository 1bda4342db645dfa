"""The settings `RETENTION_*`, read from the environment once, checked at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from chat.platform.settings import SettingsError, read_number

_MOST_DAYS = 36_500


@dataclass(frozen=True)
class RetentionSettings:
    """How long things are kept, in days; 0 keeps them for good."""

    messages_days: int = 0
    media_days: int = 0

    @classmethod
    def from_env(cls, environ: Mapping[str, Any] | None = None) -> RetentionSettings:
        """Reads and checks the settings.

        Args:
            environ: a mapping of upper-case keys; os.environ when None.

        Raises:
            SettingsError: a value cannot work; the text names key and value.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, int] = {}
        for item in fields(cls):
            key = f"RETENTION_{item.name.upper()}"
            raw = str(environ.get(key) or "").strip()
            days = read_number(key, raw or 0, 0, _MOST_DAYS, kind="number of days")
            if days != int(days):
                raise SettingsError(f"{key}: {raw!r} is not a whole number of days")
            values[item.name] = int(days)
        return cls(**values)

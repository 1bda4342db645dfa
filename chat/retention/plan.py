"""What a deletion looks for, and by what it knows it. Pure: no store, no clock."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chat.conversation import phones


@dataclass
class Plan:
    """A deletion, and how far it has come; JSON by `to_json`."""

    ids: list[str]  # the conversation's, and of those that were merged into it
    numbers: list[str]  # digits
    others: list[str]  # BSUIDs, a group's id
    asked_at: int  # milliseconds; what came later belongs to a new conversation
    round: int = 1  # see `deletion`
    step: int = 0
    cursor: str | None = None  # where the step goes on
    events_after: str | None = None  # the last record of the event log that was looked at
    late_files: list[str] = dataclasses.field(default_factory=list)  # see `steps.late_files`

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Plan:
        """The plan that was stored."""
        return cls(**stored)

    @cached_property
    def traces(self) -> Traces:
        """By what raw text of WhatsApp's is known to be this person's."""
        return Traces(self.numbers, self.others)


class Traces:
    """Whether a text speaks of somebody: by number, BSUID or group, also inside of wamids, which
    are base64 with the number in it.
    """

    def __init__(self, numbers: Iterable[str], others: Iterable[str]) -> None:
        forms = sorted({form for each in numbers for form in phones.forms(each)})
        parts = [rf"(?<!\d){re.escape(form)}(?!\d)" for form in forms]
        encoded = {part for each in (*forms, *others) for part in _in_base64(each)}
        parts += [re.escape(part) for part in sorted(encoded)]
        parts += [rf"(?<![\w.]){re.escape(each)}(?!\w)" for each in others]
        self._pattern = re.compile("|".join(parts)) if parts else None

    def are_in(self, text: str | None) -> bool:
        """Whether this speaks of them."""
        return self._pattern is not None and self._pattern.search(text or "") is not None


def _in_base64(text: str) -> set[str]:
    """What base64 of something with this inside has in it for certain, wherever it begins."""
    raw, found = text.encode(), set()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        # The first signs share bits with what stands before, the last with what follows.
        first = (before * 8 + 5) // 6
        last = (before + len(raw)) * 8 // 6
        part = encoded[first:last]
        if len(part) >= _SURE_CHARS:
            found.add(part)
    return found


#: Shorter parts may be there by chance.
_SURE_CHARS = 9

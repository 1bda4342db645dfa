"""What came in for a conversation, as it takes it, wherever it was read from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

CUSTOMER = "customer"
#: The business's own phone, beside this system (Meta calls the numbers coexistence numbers).
BUSINESS_APP = "business_app"

#: What a text bubble shows that has nothing else to show.
EMPTY = "Mensagem vazia"

#: They change another message, and are no bubbles themselves.
CHANGES = frozenset({"edit", "reaction", "revoke"})
#: Said about a conversation, by nobody in it.
NOT_WRITTEN = frozenset({"request_welcome", "system"})
#: What a customer does that is nothing to read.
_UNCOUNTED = CHANGES | NOT_WRITTEN


def counts_unread(kind: str) -> bool:
    """Whether a customer's message of this type counts as unread."""
    return kind not in _UNCOUNTED


@dataclass(frozen=True)
class IncomingMessage:
    """One message, change or notice, or a fact about who is who.

    News of a change of identity name what was before in `phone` and `bsuid`.
    """

    wamid: str
    phone: str | None  # digits, of the customer
    bsuid: str | None
    sent_ms: int
    type: str
    text: str = ""
    placeholder: str | None = None
    #: What stands below the text: [{"label"?, "value", "href"?}].
    details: list[dict[str, str]] = dataclasses.field(default_factory=list)
    payload: Any = None
    media: dict[str, Any] | None = None  # of its file, see `attached.media.told_by`
    reply_to: str | None = None  # a wamid
    profile_name: str | None = None
    username: str | None = None
    group_id: str | None = None  # a conversation of its own; phone and BSUID are the writer's
    author_kind: str = CUSTOMER
    place: int = 0  # in the webhook call, which keeps Meta's order inside one second
    #: What Meta says beside the message: referral, forwarded, frequently_forwarded,
    #: referred_product, errors, and under `more` whatever else.
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)
    target: str | None = None  # of a change: the wamid of the message that it changes
    emoji: str = ""  # of a reaction; empty takes it away
    new_phone: str | None = None  # the customer has changed to it
    new_bsuid: str | None = None
    timed: bool = True  # False: Meta told no time that can be, and `sent_ms` is when it came
    stored: bool = True  # False: changes who is who, and is no bubble
    raw: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def outgoing(self) -> bool:
        """Whether the business wrote it, on its own phone."""
        return self.author_kind == BUSINESS_APP

    @property
    def opens_window(self) -> bool:
        """Whether the customer did this, which opens the 24-hour window; a group has none."""
        written = self.type not in ("system", "edit", "revoke")
        return written and not self.outgoing and self.group_id is None

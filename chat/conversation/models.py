"""What is stored. Times are integers, milliseconds since 1970 UTC; only what a query needs is
indexed, because each index entry costs a write and a moving timestamp makes a hot range.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from google.cloud import ndb

from chat.conversation import serializers
from chat.conversation.incoming_message import NOT_WRITTEN
from chat.platform import search_words
from message_status import SENDING, MessageStatusMixin, fact
from unread_state import UnreadConversationMixin, UnreadMessageMixin

INCOMING = "in"
OUTGOING = "out"
#: How the `sort_key` of an archived and of a pinned chat begins: below and above all others, which
#: begin with a digit and so are from `LISTED` on.
_ARCHIVED = "!"
LISTED = "0"
_PINNED = "~"


class Conversation(UnreadConversationMixin):
    """The chat with one customer. Key name: a random id."""

    name = ndb.TextProperty()  # from the customer's profile
    named_at = ndb.IntegerProperty(indexed=False, default=0)  # of the message that gave the name
    username = ndb.TextProperty()
    phone = ndb.TextProperty()  # digits, in the form WhatsApp used last
    phone_at = ndb.IntegerProperty(indexed=False, default=0)  # of the newest fact that told it
    phone_since = ndb.IntegerProperty(indexed=False, default=0)  # of the oldest
    phone_before = ndb.TextProperty()  # which was given up for it
    bsuid = ndb.TextProperty()
    bsuid_at = ndb.IntegerProperty(indexed=False, default=0)
    group_id = ndb.TextProperty()  # a group; phone and bsuid are then None
    created_at = ndb.IntegerProperty(indexed=False)

    # Who answers, Claude or people: see `ownership`, which changes all of these.
    owner = ndb.TextProperty()  # None: nobody has decided yet, which a customer's message does
    owner_at = ndb.IntegerProperty(indexed=False)  # since when
    person_at = ndb.IntegerProperty(indexed=False)  # when a person of the business wrote last
    needs_you = ndb.BooleanProperty(default=False)  # for the filter: Claude handed it over
    needs_you_at = ndb.IntegerProperty(indexed=False)
    needs_you_reason = ndb.TextProperty()
    #: When a worker may answer what was asked; only while something is, so the index stays small.
    reply_due_at = ndb.IntegerProperty()
    reply = ndb.JsonProperty()  # what is asked and who is answering it; None: nothing
    #: Up to which `arrival` Claude knew the messages when it wrote its last answer.
    claude_knew = ndb.IntegerProperty(indexed=False, default=0)

    #: See `list_key`: unique, so that a page of the list resumes exactly. None hides it.
    sort_key = ndb.StringProperty()
    last_message_id = ndb.TextProperty()
    last_text = ndb.TextProperty()
    last_direction = ndb.TextProperty()
    last_author_name = ndb.TextProperty()
    last_sent_at = ndb.IntegerProperty(indexed=False)
    last_position = ndb.TextProperty()

    #: Given after the last message was written; see `thread.summarise`.
    last_reaction = ndb.JsonProperty()

    last_incoming_at = ndb.IntegerProperty(indexed=False)  # which opened the 24 hours
    last_counted_at = ndb.IntegerProperty(indexed=False)  # of the newest that is there to be read
    #: Of the customer's message that came last, for the read receipt.
    last_incoming_wamid = ndb.TextProperty()
    #: Effective times of the last outgoing messages, ascending, for `ordering.place`.
    recent_outgoing = ndb.IntegerProperty(indexed=False, repeated=True)

    #: Of the two who answered last each one's newest: see `thread.answered_by_other`.
    answers = ndb.JsonProperty()

    muted = ndb.BooleanProperty(indexed=False, default=False)
    pinned = ndb.BooleanProperty(indexed=False, default=False)
    archived = ndb.BooleanProperty(indexed=False, default=False)
    labels = ndb.StringProperty(repeated=True)  # ids, see `people.labels`; for the filter
    pinned_messages = ndb.JsonProperty()  # see `people.pinned_messages`
    own_name = ndb.TextProperty()  # the business's own for the customer, before any other
    own_name_at = ndb.IntegerProperty(indexed=False, default=0)

    #: What the list's search finds it by. Its place in the list is not in it, so a new message
    #: moves none of these entries.
    name_words = ndb.ComputedProperty(
        lambda self: (
            search_words.name_entries(
                (serializers.display_name(self), self.name, self.username), self.phone
            )
            if self.sort_key
            else []
        ),
        repeated=True,
    )

    #: Told (id, `needs_you_at`) after each commit that leaves a person needed; raises nothing.
    on_needed: ClassVar[Callable[[str, int], None] | None] = None

    merged_into = ndb.TextProperty()
    #: Ids of the conversations merged into this one: their messages keep their conversation_id
    #: and are found through it.
    absorbed = ndb.TextProperty(repeated=True)

    @property
    def id(self) -> str:
        return str(self.key.id())

    def _pre_put_hook(self) -> None:
        if self.needs_you and self.needs_you_at and Conversation.on_needed is not None:
            tell = partial(Conversation.on_needed, self.id, self.needs_you_at)
            ndb.get_context().call_on_commit(tell)

    @property
    def is_silent(self) -> bool:
        return bool(self.muted or self.archived)

    def list_key(self) -> str | None:
        """What `sort_key` is to be: the pinned first, the archived behind all others, the newest
        message first within each. None while there is nothing to be shown.
        """
        if not self.last_position or self.merged_into:
            return None
        rank = _ARCHIVED if self.archived else _PINNED if self.pinned else ""
        return f"{rank}{self.last_position}-{self.id}"

    def live_json(self, message: Any = None) -> dict[str, Any]:
        """The conversation as the contract has it; `message`: its last one, where it is at hand."""
        own = serializers.conversation_fields(self, message)
        return {**super().live_json(message), **own}


class Message(UnreadMessageMixin, MessageStatusMixin):
    """One bubble. Key name: the wamid (incoming) or the browser's client_id (outgoing)."""

    conversation_id = ndb.StringProperty()
    position = ndb.StringProperty()
    direction = ndb.TextProperty()
    author_kind = ndb.TextProperty()
    author_name = ndb.TextProperty()
    type = ndb.TextProperty()
    text = ndb.TextProperty()
    placeholder = ndb.TextProperty()
    #: The type's own part as WhatsApp sent it; of a template that we send, `templates.Filled`'s.
    payload = ndb.JsonProperty()
    media = ndb.JsonProperty()  # its file, see `attached.media`; None: none, or stored before that
    details = ndb.JsonProperty()  # lines below the text, see `incoming.words.details`
    extra = ndb.JsonProperty()  # see `IncomingMessage.extra`
    reactions = ndb.JsonProperty()  # {who: {"emoji", "name", "at", "ids"}}, see `changing`
    edited_at = ndb.IntegerProperty(indexed=False)
    versions = ndb.JsonProperty()  # older texts: [{"text", "at"}], ascending
    revoked_at = ndb.IntegerProperty(indexed=False)
    reply_to = ndb.TextProperty()  # our id when known, else the wamid
    reply_text = ndb.TextProperty()
    reply_author = ndb.TextProperty()
    reply_author_kind = ndb.TextProperty()  # None: not known, or from before this was kept
    sent_at = ndb.IntegerProperty(indexed=False)
    received_at = ndb.IntegerProperty(indexed=False)

    # Outgoing only; what became of it is in the mixin's.
    author_id = ndb.TextProperty()
    #: When it was written, while it still waits for WhatsApp's word and nobody has sent it anew.
    awaiting_since = ndb.ComputedProperty(
        lambda self: (
            (fact(self, "times") or {}).get(SENDING)
            if self.status == SENDING and not fact(self, "retried_as")
            else None
        )
    )

    #: What a search over all messages finds it by: written with whatever changes its text.
    text_words = ndb.ComputedProperty(
        lambda self: (
            search_words.entries(self.searched_text, self.position) if self.position else []
        ),
        repeated=True,
    )

    @property
    def id(self) -> str:
        return str(self.key.id())

    @property
    def searched_text(self) -> str:
        """What a search looks at: what was written, the label (a file's name), lines below."""
        if self.revoked_at or self.type in NOT_WRITTEN:
            return ""
        lines = [str(line.get("value") or "") for line in self.details or []]
        return "\n".join([self.text or "", self.placeholder or "", *lines])

    def live_json(self) -> dict[str, Any]:
        """The message as the contract has it, in the conversation that it was stored in."""
        return {**super().live_json(), **serializers.message_fields(self)}


def new_id() -> str:
    """A random key name, safe in a URL."""
    return secrets.token_hex(8)

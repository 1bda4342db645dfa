"""What is stored. Times are integers, milliseconds since 1970 UTC; only what a query needs is
indexed, because each index entry costs a write and a moving timestamp makes a hot range.
"""

from __future__ import annotations

import secrets

from google.cloud import ndb

from message_status import MessageStatusMixin
from realtime_events import VersionedMixin
from unread_state import UnreadConversationMixin, UnreadMessageMixin

INCOMING = "in"
OUTGOING = "out"


class Attendant(ndb.Model):
    """Somebody who may log in. Key name: the user name, lower case."""

    name = ndb.TextProperty()
    password_hash = ndb.TextProperty()
    created_at = ndb.IntegerProperty(indexed=False)


class Conversation(VersionedMixin, UnreadConversationMixin):
    """The chat with one customer. Key name: a random id."""

    name = ndb.TextProperty()  # from the customer's profile
    named_at = ndb.IntegerProperty(indexed=False, default=0)  # of the message that gave the name
    username = ndb.TextProperty()
    phone = ndb.TextProperty()  # digits, in the form WhatsApp used last
    bsuid = ndb.TextProperty()
    owner = ndb.TextProperty(default="human")
    created_at = ndb.IntegerProperty(indexed=False)

    #: "position-id": unique, so that a page of the list resumes exactly. None hides it.
    sort_key = ndb.StringProperty()
    last_message_id = ndb.TextProperty()
    last_text = ndb.TextProperty()
    last_direction = ndb.TextProperty()
    last_author_name = ndb.TextProperty()
    last_sent_at = ndb.IntegerProperty(indexed=False)
    last_position = ndb.TextProperty()

    arrivals = ndb.IntegerProperty(indexed=False, default=0)
    last_incoming_at = ndb.IntegerProperty(indexed=False)
    #: Of the customer's message that came last, for the read receipt.
    last_incoming_wamid = ndb.TextProperty()
    #: Effective times of the last outgoing messages, ascending, for `ordering.place`.
    recent_outgoing = ndb.IntegerProperty(indexed=False, repeated=True)

    muted = ndb.BooleanProperty(indexed=False, default=False)

    merged_into = ndb.TextProperty()
    #: Ids of the conversations merged into this one: their messages keep their conversation_id
    #: and are found through it.
    absorbed = ndb.TextProperty(repeated=True)

    @property
    def id(self) -> str:
        return str(self.key.id())

    @property
    def is_silent(self) -> bool:
        return bool(self.muted)


class ContactAlias(ndb.Model):
    """Whose conversation a phone number or BSUID leads to. Key name: `identity.alias_name`.

    A number may change hands: what was sent up to `released_at` still belongs to `previous_id`.
    """

    conversation_id = ndb.TextProperty()  # None: free
    previous_id = ndb.TextProperty()
    released_at = ndb.IntegerProperty(indexed=False)


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
    payload = ndb.JsonProperty()  # the type's own part as WhatsApp sent it
    reply_to = ndb.TextProperty()  # our id when known, else the wamid
    reply_text = ndb.TextProperty()
    reply_author = ndb.TextProperty()
    sent_at = ndb.IntegerProperty(indexed=False)
    received_at = ndb.IntegerProperty(indexed=False)
    arrival = ndb.IntegerProperty(indexed=False)

    # Outgoing only; what became of it is in the mixin's.
    author_id = ndb.TextProperty()

    @property
    def id(self) -> str:
        return str(self.key.id())


class Outbox(ndb.Model):
    """Messages of one conversation still to be sent, in order. Key name: the conversation's id."""

    queue = ndb.TextProperty(repeated=True)
    holder = ndb.TextProperty()
    lease_until = ndb.IntegerProperty(indexed=False, default=0)
    #: When the sweep may look at it; None while the queue is empty.
    due_at = ndb.IntegerProperty()


class RejectedUpdate(ndb.Model):
    """An update that could not be understood. Key name: a hash of it, so repeats are one."""

    reason = ndb.StringProperty()
    field = ndb.TextProperty()
    received_at = ndb.IntegerProperty(indexed=False)
    raw = ndb.TextProperty()


class DeferredUpdates(ndb.Model):
    """The part of a webhook call that its time did not suffice for. Key name sorts by time."""

    received_at = ndb.IntegerProperty(indexed=False)
    lease_until = ndb.IntegerProperty(indexed=False, default=0)
    body = ndb.TextProperty()  # shaped like a webhook call, so the same parser reads it


def new_id() -> str:
    """A random key name, safe in a URL."""
    return secrets.token_hex(8)

"""Who is who: which conversation a phone number or BSUID leads to, inside a transaction.

Aliases are entities of their own, read and written in the transaction that stores the message: two
first messages at once touch the same alias, one of them runs again, and they make one conversation.

Two conversations that one message proves to be one person's become one by redirect: the younger
points to the older, and its messages stay where they are and are found through
`Conversation.absorbed`. Nothing is moved, so there is no moment at which a thread is incomplete.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from google.cloud import ndb

import realtime_events
import unread_state
from chat.conversation import ordering, phones
from chat.conversation.incoming_message import IncomingMessage
from chat.conversation.models import Conversation, Message, new_id
from chat.platform import datastore

#: A redirect chain this long cannot come about: each merge points to the then oldest.
_MAX_REDIRECTS = 20
#: A chat that began this little before its owner's change of number is still the owner's.
_CHANGE_SLACK_MS = 60_000


class ContactAlias(ndb.Model):
    """Whose conversation a phone number or BSUID leads to. Key name: `alias_name`.

    A number may change hands: what was sent up to `released_at` still belongs to `previous_id`.
    """

    conversation_id = ndb.TextProperty()  # None: free
    previous_id = ndb.TextProperty()
    released_at = ndb.IntegerProperty(indexed=False)


def alias_name(
    phone: str | None = None, bsuid: str | None = None, group_id: str | None = None
) -> str:
    """The alias' key name for a phone number (digits, in any of its forms), BSUID or group."""
    if group_id:
        return f"group:{group_id}"
    return f"phone:{phones.canonical(phone)}" if phone else f"bsuid:{bsuid}"


def alias_names(message: IncomingMessage) -> list[str]:
    """All that a message says about its conversation: those who share one belong together."""
    if message.group_id:
        return [alias_name(group_id=message.group_id)]
    numbers = (message.phone, message.new_phone)
    bsuids = (message.bsuid, message.new_bsuid)
    return [alias_name(phone=number) for number in numbers if number] + [
        alias_name(bsuid=bsuid) for bsuid in bsuids if bsuid
    ]


def load_conversation(conversation_id: str) -> Conversation | None:
    """The conversation of this id, or the one it was merged into; None if there is none."""
    for _ in range(_MAX_REDIRECTS):
        found = datastore.get(Conversation, conversation_id)
        if found is None or not found.merged_into:
            return found
        conversation_id = found.merged_into
    return None


def message_of(conversation: Conversation, message_id: str) -> Message | None:
    """The message of this id, if it is in this conversation or in one merged into it."""
    found = datastore.get(Message, message_id)
    here = found is not None and found.conversation_id in (conversation.id, *conversation.absorbed)
    return found if here else None


@dataclass
class _Changes:
    conversations: dict[str, Conversation]
    aliases: dict[str, ContactAlias]


class People:
    """The aliases and conversations that one transaction reads and changes.

    Make it inside the transaction, `save` it at the end.
    """

    def __init__(
        self, names: Iterable[str] = (), found: Iterable[ContactAlias | None] | None = None
    ) -> None:
        """Loads what these alias names lead to.

        Args:
            names: see `alias_names`.
            found: their entities, where this transaction has read them already.
        """
        self._aliases: dict[str, ContactAlias] = {}
        self._conversations: dict[str, Conversation | None] = {}
        self._changed = _Changes({}, {})
        self._load_aliases(list(names), found)

    # --- finding ------------------------------------------------------------------------------

    def conversation(self, conversation_id: str | None) -> Conversation | None:
        """The conversation of this id, redirects followed."""
        for _ in range(_MAX_REDIRECTS):
            if conversation_id is None:
                return None
            if conversation_id not in self._conversations:
                found = datastore.get(Conversation, conversation_id)
                self._conversations[conversation_id] = found
            conversation = self._conversations[conversation_id]
            if conversation is None or not conversation.merged_into:
                return conversation
            conversation_id = conversation.merged_into
        return None

    def of(self, message: IncomingMessage) -> Conversation:
        """The conversation of this message's sender, made if need be, with all the message says
        about who is who applied.
        """
        if message.group_id:
            return self._group(message.group_id, message.sent_ms)
        by_phone = self._find(message.phone, None, message.sent_ms)
        by_bsuid = self._find(None, message.bsuid, message.sent_ms)
        if by_phone and by_bsuid is not by_phone and self._is_another(by_phone, message.bsuid):
            # The number has a new holder: it no longer leads to the old one's conversation.
            self._release(by_phone, message.phone, message.sent_ms - 1)
            by_phone = None
        if by_phone and by_bsuid and by_phone is not by_bsuid:
            if by_bsuid.phone is None or _same(by_bsuid.phone, message.phone):
                by_phone = by_bsuid = self.merge(by_phone, by_bsuid)
            else:
                self._release(by_phone, message.phone, message.sent_ms - 1)
        conversation = by_bsuid or by_phone or self._create(message.sent_ms)
        if message.phone:
            self._take_phone(conversation, message.phone, message.sent_ms)
        if message.bsuid:
            own = message.stored and message.opens_window
            # An older BSUID, named by the news of a change, leads here; answers go to the newer.
            self._take_bsuid(conversation, message.bsuid, message.sent_ms if own else -1)
            if conversation.bsuid is None and not conversation.bsuid_at:
                conversation.bsuid = message.bsuid
        if message.new_phone or message.new_bsuid:
            conversation = self._change(conversation, message)
        return conversation

    def _group(self, group_id: str, sent_ms: int) -> Conversation:
        """A group's conversation: who writes in it says nothing about who is who."""
        alias = self._alias(alias_name(group_id=group_id))
        conversation = self.conversation(alias.conversation_id)
        if conversation is None:
            conversation = self._create(sent_ms)
            conversation.group_id = group_id
            self._lead(alias, conversation)
        return conversation

    # --- changing -----------------------------------------------------------------------------

    def touch(self, conversation: Conversation) -> None:
        """Marks a conversation as changed by this transaction, which gives it its version."""
        if conversation.id not in self._changed.conversations:
            conversation.bump_version()
            self._changed.conversations[conversation.id] = conversation

    def save(self) -> None:
        """Writes what was touched."""
        ndb.put_multi([*self._changed.conversations.values(), *self._changed.aliases.values()])

    def tell_numbers(self) -> None:
        """Tells once what has become unread or read in what was touched; at the very end."""
        for conversation in self._changed.conversations.values():
            if not conversation.merged_into:
                unread_state.publish_changed(conversation)

    def adopt(self, conversation: Conversation) -> Conversation:
        """Takes in a conversation that this transaction has read already."""
        return self._conversations.setdefault(conversation.id, conversation) or conversation

    def learn_phone(self, conversation: Conversation, phone: str, now_ms: int) -> Conversation:
        """WhatsApp answered a send with this number: it is the same person's.

        Returns:
            the conversation, or the one it was merged into.
        """
        if conversation.phone == phone:
            return conversation
        self._load_aliases([alias_name(phone=phone)])
        other = self._find(phone, None, now_ms)
        if other and other is not conversation:
            if self._is_another(other, conversation.bsuid):
                return conversation
            conversation = self.merge(conversation, other)
        self._take_phone(conversation, phone, now_ms)
        return conversation

    def merge(self, one: Conversation, other: Conversation) -> Conversation:
        """Makes two conversations one; publishes what the screens must know.

        Returns:
            the older, which stays.
        """
        winner, loser = sorted((one, other), key=lambda each: (each.created_at or 0, each.id))
        self.touch(winner)
        self.touch(loser)
        winner.version = max(winner.version, loser.version)
        winner.absorbed = [*winner.absorbed, loser.id, *loser.absorbed]
        winner.arrivals += loser.arrivals
        unread_state.merge(winner, loser, arrival=winner.arrivals)
        winner.recent_outgoing = sorted([*winner.recent_outgoing, *loser.recent_outgoing])[
            -ordering.REMEMBERED :
        ]
        if (loser.last_incoming_at or 0) > (winner.last_incoming_at or 0):
            winner.last_incoming_wamid = loser.last_incoming_wamid
        winner.last_incoming_at = max(winner.last_incoming_at or 0, loser.last_incoming_at or 0)
        winner.last_incoming_at = winner.last_incoming_at or None
        for name in ("phone", "bsuid"):  # what was told last, of the two
            told = [(getattr(c, f"{name}_at") or 0, getattr(c, name)) for c in (loser, winner)]
            at, value = max((each for each in told if each[1]), default=(0, None))
            setattr(winner, name, value)
            setattr(winner, f"{name}_at", at)
        winner.username = winner.username or loser.username
        if loser.name and loser.named_at > winner.named_at:
            winner.name, winner.named_at = loser.name, loser.named_at
        if (loser.last_position or "") > (winner.last_position or ""):
            for field in ("message_id", "text", "direction", "author_name", "sent_at", "position"):
                setattr(winner, f"last_{field}", getattr(loser, f"last_{field}"))
            winner.sort_key = f"{winner.last_position}-{winner.id}"
        loser.merged_into = winner.id
        loser.sort_key = None
        realtime_events.publish(
            "conversation.updated",
            {"conversation": loser.live_json(), "merged_into": winner.id},
            conversation_id=loser.id,
            version=loser.version,
        )
        publish_conversation(winner)
        return winner

    # --- inside -------------------------------------------------------------------------------

    def _load_aliases(
        self, names: list[str], found: Iterable[ContactAlias | None] | None = None
    ) -> None:
        if found is None:
            names = [name for name in names if name not in self._aliases]
            found = datastore.get_many([ndb.Key(ContactAlias, name) for name in names])
        for name, alias in zip(names, found, strict=True):
            self._aliases[name] = alias or ContactAlias(id=name)
        wanted = {
            conversation_id
            for name in names
            for conversation_id in (
                self._aliases[name].conversation_id,
                self._aliases[name].previous_id,
            )
            if conversation_id and conversation_id not in self._conversations
        }
        conversations = datastore.get_many([ndb.Key(Conversation, each) for each in sorted(wanted)])
        self._conversations |= dict(zip(sorted(wanted), conversations, strict=True))

    def _alias(self, name: str) -> ContactAlias:
        if name not in self._aliases:
            self._load_aliases([name])
        return self._aliases[name]

    def _find(self, phone: str | None, bsuid: str | None, sent_ms: int) -> Conversation | None:
        if not phone and not bsuid:
            return None
        alias = self._alias(alias_name(phone, bsuid))
        late = alias.released_at is not None and sent_ms <= alias.released_at
        return self.conversation(alias.previous_id if late else alias.conversation_id)

    @staticmethod
    def _is_another(conversation: Conversation, bsuid: str | None) -> bool:
        """Whether the conversation is known to be with somebody else than this BSUID's holder."""
        return bool(bsuid and conversation.bsuid and conversation.bsuid != bsuid)

    def _create(self, sent_ms: int) -> Conversation:
        conversation = Conversation(id=new_id(), created_at=sent_ms)
        self._conversations[conversation.id] = conversation
        self.touch(conversation)
        return conversation

    def _take_phone(self, conversation: Conversation, phone: str, sent_ms: int) -> None:
        """Lets a number lead to this conversation, unless it has passed on since; answers go to it
        unless a later fact has told another one.
        """
        alias = self._alias(alias_name(phone=phone))
        if alias.released_at is not None and sent_ms <= alias.released_at:
            return
        self._lead(alias, conversation)
        if sent_ms < (conversation.phone_at or 0):
            return
        if conversation.phone != phone:
            if conversation.phone and not _same(conversation.phone, phone):
                self._release(conversation, conversation.phone, sent_ms)
            self.touch(conversation)
            conversation.phone = phone
        conversation.phone_at = sent_ms

    def _take_bsuid(self, conversation: Conversation, bsuid: str, sent_ms: int) -> None:
        """Lets a BSUID lead to this conversation; answers go to the one told last."""
        self._lead(self._alias(alias_name(bsuid=bsuid)), conversation)
        if sent_ms < (conversation.bsuid_at or 0):
            return
        if conversation.bsuid != bsuid:
            self.touch(conversation)
            conversation.bsuid = bsuid
        conversation.bsuid_at = sent_ms

    def _lead(self, alias: ContactAlias, conversation: Conversation) -> None:
        if self.conversation(alias.conversation_id) is not conversation:
            alias.conversation_id = conversation.id
            self._changed.aliases[str(alias.key.id())] = alias

    def _release(self, conversation: Conversation, phone: str | None, ms: int) -> None:
        """From `ms` on the number no longer leads to this conversation."""
        if not phone:
            return
        alias = self._alias(alias_name(phone=phone))
        if self.conversation(alias.conversation_id) is conversation or not alias.conversation_id:
            alias.previous_id = conversation.id
            alias.released_at = max(alias.released_at or 0, ms)
            alias.conversation_id = None
            self._changed.aliases[str(alias.key.id())] = alias
        if conversation.phone and _same(conversation.phone, phone):
            self.touch(conversation)
            conversation.phone = None

    def _change(self, conversation: Conversation, message: IncomingMessage) -> Conversation:
        """The customer has a new number, a new BSUID, or (as Meta does it) both.

        Such news come repeated and out of order, so each counts by its own time: what was told by
        something later stays. Without a time of its own it counts only where it fits what is known.
        """
        new_phone, new_bsuid, sent_ms = message.new_phone, message.new_bsuid, message.sent_ms
        before, version = conversation, conversation.version
        fits = message.timed or conversation.bsuid in (None, message.bsuid)
        if new_bsuid and fits:
            other = self._find(None, new_bsuid, sent_ms)
            if other and other is not conversation:
                conversation = self.merge(conversation, other)
            self._take_bsuid(conversation, new_bsuid, sent_ms)
        if new_phone and fits and sent_ms >= (conversation.phone_at or 0):
            other = self._find(new_phone, None, sent_ms)
            if other and other is not conversation:
                if (other.created_at or 0) >= sent_ms - _CHANGE_SLACK_MS:
                    # They wrote from the new number before we heard of the change.
                    conversation = self.merge(conversation, other)
                else:
                    # Somebody else had this number before: their chat stays theirs.
                    self._release(other, new_phone, sent_ms - 1)
            if message.phone and not _same(message.phone, new_phone):
                self._release(conversation, message.phone, sent_ms)
            known = conversation.bsuid_at or 0
            if not new_bsuid and conversation is before and sent_ms >= known:
                # A change of number makes a new BSUID; the next message will tell it.
                self.touch(conversation)
                conversation.bsuid, conversation.bsuid_at = None, sent_ms
            self._take_phone(conversation, new_phone, sent_ms)
        if message.stored or conversation.version != version or conversation is not before:
            self.touch(conversation)
            publish_conversation(conversation)
        return conversation


def publish_conversation(conversation: Conversation) -> None:
    """Tells the screens that a conversation itself has changed; inside its transaction."""
    realtime_events.tell("conversation.updated", conversation)


def _same(one: str | None, other: str | None) -> bool:
    return bool(one and other and phones.canonical(one) == phones.canonical(other))

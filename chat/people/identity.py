"""Who is who: which conversation a phone number or BSUID leads to, inside a transaction.

Aliases are entities of their own, read and written in the transaction that stores the message: two
first messages at once touch the same alias, one of them runs again, and they make one conversation.

What is told of a person's numbers comes late, repeated and in any order, so each fact counts by its
own time: a conversation has the number and BSUID of the newest fact, a number leads to whoever had
it at a message's time, and what is known already changes nothing. A BSUID is one person's for good.

Two conversations that one message proves to be one person's become one by redirect: the younger
points to the older, and its messages stay where they are and are found through
`Conversation.absorbed`. Nothing is moved, so there is no moment at which a thread is incomplete.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.cloud import ndb

import realtime_events
import unread_state
from chat.conversation import ordering, ownership, phones
from chat.conversation.incoming_message import IncomingMessage
from chat.conversation.models import Conversation, Message, new_id
from chat.conversation.thread import append_notice, line_by_claude, merged_answers
from chat.people import organized
from chat.platform import datastore

#: A redirect chain this long cannot come about: each merge points to the then oldest.
_MAX_REDIRECTS = 20
#: A chat that began this little before its owner's change of number is still the owner's.
_CHANGE_SLACK_MS = 60_000
#: Former holders remembered of one number.
_MAX_EARLIER = 20


class UnknownConversationError(LookupError):
    """There is no conversation of this id."""


class ContactAlias(ndb.Model):
    """Whose conversation a phone number, BSUID or group leads to. Key name: `alias_name`."""

    conversation_id = ndb.TextProperty()  # None: a number that is free
    #: A number's former holders, ascending, [[until when, conversation id, BSUID with it or None],
    #: …]: what was sent up to then is still theirs.
    earlier = ndb.JsonProperty()
    #: Of a BSUID: from then on its holder has another one, to which answers go.
    ended_at = ndb.IntegerProperty(indexed=False)


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
    """The conversation of this id, which may be any text, or the one it was merged into; None if
    there is none.
    """
    if not datastore.is_key_name(conversation_id):
        return None
    for _ in range(_MAX_REDIRECTS):
        found = datastore.get(Conversation, conversation_id)
        if found is None or not found.merged_into:
            return found
        conversation_id = found.merged_into
    return None


def message_of(conversation: Conversation, message_id: str) -> Message | None:
    """The message of this id, which may be any text, if it is in this conversation or in one merged
    into it.
    """
    found = datastore.get(Message, message_id) if datastore.is_key_name(message_id) else None
    here = found is not None and found.conversation_id in (conversation.id, *conversation.absorbed)
    return found if here else None


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
        self._changed: dict[ndb.Key, ndb.Model] = {}
        self._bumped: set[str] = set()
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

    def known(self, message: IncomingMessage) -> Conversation | None:
        """The conversation that a message's sender has already; changes nothing."""
        if message.group_id:
            return self.conversation(self._alias(alias_names(message)[0]).conversation_id)
        for bsuid in filter(None, (message.bsuid, message.new_bsuid)):
            if found := self._by_bsuid(bsuid):
                return found
        if not message.phone:
            return None
        holder, known_as = self._holder(message.phone, message.sent_ms)
        return None if _is_another(known_as, message) else holder

    def of(self, message: IncomingMessage) -> Conversation:
        """The conversation of this message's sender, made if need be, with all the message says
        about who is who applied.
        """
        if message.group_id:
            return self._group(message.group_id, message.sent_ms)
        if message.new_bsuid and message.timed:
            self._end_bsuid(message.bsuid, message.sent_ms)
        conversation = None
        for bsuid in filter(None, (message.bsuid, message.new_bsuid)):
            other = self._by_bsuid(bsuid)
            if conversation and other and conversation is not other:
                conversation = self.merge(conversation, other)
            conversation = conversation or other
        if message.phone:
            conversation = self._with_phone(conversation, message, message.phone)
        return self.learn(conversation or self._create(message.sent_ms), message)

    def with_number(self, phone: str, now_ms: int) -> Conversation:
        """The conversation that a number leads to today, in any of its forms; made if need be.

        Args:
            phone: digits, with country code, as somebody of the business typed them.
            now_ms: the present.
        """
        conversation = self.with_known_number(phone)
        if conversation is None:
            conversation = self._create(now_ms)
            conversation.phone, conversation.phone_at = phone, now_ms
            conversation.phone_since = now_ms
            self._lead(self._alias(alias_name(phone=phone)), conversation)
        return conversation

    def with_known_number(self, phone: str) -> Conversation | None:
        """The conversation that a number leads to today; changes nothing."""
        return self.conversation(self._alias(alias_name(phone=phone)).conversation_id)

    def learn(self, conversation: Conversation, message: IncomingMessage) -> Conversation:
        """Applies what a message of a conversation says about who is who.

        Returns:
            the conversation, or the one that it was merged into.
        """
        if message.group_id:
            return conversation
        if message.phone and not message.new_phone:
            self._take_phone(conversation, message.phone, message.sent_ms)
        if message.bsuid:
            self._lead(self._alias(alias_name(bsuid=message.bsuid)), conversation)
            # News of a change name the BSUID before it.
            if message.type != "system":
                self._take_bsuid(conversation, message.bsuid, message.sent_ms)
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
        if conversation.id not in self._bumped:
            self._bumped.add(conversation.id)
            conversation.bump_version()
        self._changed[conversation.key] = conversation

    def save(self) -> None:
        """Writes what was touched."""
        ndb.put_multi(list(self._changed.values()))

    def touched(self) -> list[Conversation]:
        """The conversations that this transaction has changed and that stay."""
        entities = self._changed.values()
        return [e for e in entities if isinstance(e, Conversation) and not e.merged_into]

    def tell_numbers(self) -> None:
        """Tells once what has become unread or read in what was touched; at the very end."""
        for conversation in self.touched():
            unread_state.publish_changed(conversation)

    def adopt(self, conversation: Conversation) -> Conversation:
        """Takes in a conversation that this transaction has read already."""
        return self._conversations.setdefault(conversation.id, conversation) or conversation

    def learn_phone(self, conversation: Conversation, phone: str, asked_ms: int) -> Conversation:
        """WhatsApp answered a send with this number: another form of the same person's.

        Args:
            conversation: to whom was sent.
            phone: the number in WhatsApp's form.
            asked_ms: when was sent; what has been told of the customer since stays.

        Returns:
            the conversation, or the one it was merged into.
        """
        if conversation.phone == phone or conversation.group_id:
            return conversation
        alias = self._alias(alias_name(phone=phone))
        if any(asked_ms <= until for until, _, _ in alias.earlier or []):
            return conversation  # the number has been given up since
        other = self.conversation(alias.conversation_id)
        if other and other is not conversation:
            if other.bsuid and conversation.bsuid and other.bsuid != conversation.bsuid:
                return conversation
            conversation = self.merge(conversation, other)
        self._lead(alias, conversation)
        if asked_ms >= (conversation.phone_at or 0):
            self.touch(conversation)
            conversation.phone, conversation.phone_at = phone, asked_ms
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
        organized.merge(winner, loser)  # before what is unread in each is added up
        unread_state.merge(winner, loser, arrival=winner.arrivals)
        winner.answers = merged_answers(winner, loser)
        winner.recent_outgoing = sorted([*winner.recent_outgoing, *loser.recent_outgoing])[
            -ordering.REMEMBERED :
        ]
        if (loser.last_incoming_at or 0) > (winner.last_incoming_at or 0):
            winner.last_incoming_wamid = loser.last_incoming_wamid
        for field in ("last_incoming_at", "last_counted_at"):
            newest = max(getattr(winner, field) or 0, getattr(loser, field) or 0)
            setattr(winner, field, newest or None)
        now = realtime_events.now_ms()
        line = line_by_claude(ownership.merge(winner, loser, now))
        loser.merged_into, loser.sort_key = winner.id, None
        self._merge_facts(winner, loser)
        if (loser.last_position or "") > (winner.last_position or ""):
            for field in (
                "message_id", "text", "direction", "author_name", "sent_at", "position", "reaction",
            ):  # fmt: skip
                setattr(winner, f"last_{field}", getattr(loser, f"last_{field}"))
        winner.sort_key = winner.list_key()
        realtime_events.publish(
            "conversation.updated",
            {"conversation": loser.live_json(), "merged_into": winner.id},
            conversation_id=loser.id,
            version=loser.version,
        )
        publish_conversation(winner)
        if line is not None:
            notice = append_notice(winner, line, now)
            self._changed[notice.key] = notice
            realtime_events.tell("message.created", winner, notice)
        return winner

    # --- inside -------------------------------------------------------------------------------

    def _load_aliases(
        self, names: list[str], found: Iterable[ContactAlias | None] | None = None
    ) -> None:
        if found is None:
            names = [name for name in names if name not in self._aliases]
            found = datastore.get_many([ndb.Key(ContactAlias, name) for name in names])
        wanted = set()
        for name, alias in zip(names, found, strict=True):
            self._aliases[name] = alias = alias or ContactAlias(id=name)
            holders = [alias.conversation_id, *(former[1] for former in alias.earlier or [])]
            wanted |= {id_ for id_ in holders if id_ and id_ not in self._conversations}
        conversations = datastore.get_many([ndb.Key(Conversation, each) for each in sorted(wanted)])
        self._conversations |= dict(zip(sorted(wanted), conversations, strict=True))

    def _alias(self, name: str) -> ContactAlias:
        if name not in self._aliases:
            self._load_aliases([name])
        return self._aliases[name]

    def _by_bsuid(self, bsuid: str) -> Conversation | None:
        return self.conversation(self._alias(alias_name(bsuid=bsuid)).conversation_id)

    def _holder(self, phone: str, ms: int) -> tuple[Conversation | None, str | None]:
        """Whose a number was at a time, and the BSUID that they had with it, if that is known."""
        alias = self._alias(alias_name(phone=phone))
        for until, id_, bsuid in alias.earlier or []:
            if ms <= until:
                return self.conversation(id_), bsuid
        holder = self.conversation(alias.conversation_id)
        return holder, holder.bsuid if holder else None

    def _create(self, sent_ms: int) -> Conversation:
        conversation = Conversation(id=new_id(), created_at=sent_ms)
        self._conversations[conversation.id] = conversation
        self.touch(conversation)
        return conversation

    def _with_phone(
        self, conversation: Conversation | None, message: IncomingMessage, phone: str
    ) -> Conversation | None:
        """The conversation found by BSUID, joined with the number's, if that is the same person's.

        If not, and the message is newer than all of the holder's, the number has a new holder.
        """
        holder, bsuid = self._holder(phone, message.sent_ms)
        if holder is None or holder is conversation:
            return conversation
        if not _is_another(bsuid, message):
            if conversation is None:
                return holder
            if conversation.phone is None or _same(conversation.phone, phone):
                return self.merge(conversation, holder)
        if message.sent_ms > (holder.phone_at or 0):
            self._release(holder, phone, message.sent_ms - 1)
        return conversation

    def _take_phone(self, conversation: Conversation, phone: str, ms: int) -> None:
        """Lets a number lead to this conversation, unless it has passed on since; answers go to it
        unless a later fact has told another one.
        """
        alias = self._alias(alias_name(phone=phone))
        if any(ms <= former[0] for former in alias.earlier or []):
            return
        holder = self.conversation(alias.conversation_id)
        if holder is not None and holder is not conversation:
            # Its present holder has had it later than this.
            self._note_former(alias, conversation, ms, conversation.bsuid)
            return
        self._lead(alias, conversation)
        at, since = conversation.phone_at or 0, conversation.phone_since or 0
        if not _same(conversation.phone, phone):
            if ms < at:
                self._give_up(conversation, phone, max(ms, since))
                return
            if conversation.phone:
                self._give_up(conversation, conversation.phone, ms)
            since = ms
        elif ms < since and conversation.phone_before:
            self._give_up(conversation, conversation.phone_before, ms)
        newest = phone if ms >= at else conversation.phone
        if conversation.phone != newest:
            self.touch(conversation)
        if ms > at or ms < since or conversation.phone != newest:
            self._changed[conversation.key] = conversation
        conversation.phone, conversation.phone_at = newest, max(at, ms)
        conversation.phone_since = min(since, ms)

    def _give_up(self, conversation: Conversation, phone: str, ms: int) -> None:
        """After `ms` the person has another number."""
        self._release(conversation, phone, ms)
        conversation.phone_before = phone
        self._changed[conversation.key] = conversation

    def _take_bsuid(self, conversation: Conversation, bsuid: str, ms: int) -> None:
        """Lets answers go to this BSUID of the conversation's, unless a later one is known."""
        alias = self._alias(alias_name(bsuid=bsuid))
        if ms < (conversation.bsuid_at or 0) or ms <= (alias.ended_at or -1):
            return
        if conversation.bsuid != bsuid:
            self.touch(conversation)
        if ms > (conversation.bsuid_at or 0):
            self._changed[conversation.key] = conversation
        conversation.bsuid, conversation.bsuid_at = bsuid, ms

    def _end_bsuid(self, bsuid: str | None, ms: int) -> None:
        """Its holder has another one from `ms` on."""
        if bsuid:
            alias = self._alias(alias_name(bsuid=bsuid))
            if ms > (alias.ended_at or -1):
                alias.ended_at = ms
                self._changed[alias.key] = alias

    def _lead(self, alias: ContactAlias, conversation: Conversation) -> None:
        if self.conversation(alias.conversation_id) is not conversation:
            alias.conversation_id = conversation.id
            self._changed[alias.key] = alias

    def _release(
        self, conversation: Conversation, phone: str, ms: int, bsuid: str | None = None
    ) -> None:
        """After `ms` the number no longer leads to this conversation, unless it was seen with it
        since.

        Args:
            bsuid: the one it had with it, if not the present one.
        """
        has_it = _same(conversation.phone, phone)
        if has_it and (conversation.phone_at or 0) > ms:
            return
        alias = self._alias(alias_name(phone=phone))
        holder = self.conversation(alias.conversation_id)
        if holder is conversation or (holder is None and not alias.earlier):
            bsuid = bsuid or (conversation.bsuid if has_it else None)
            self._note_former(alias, conversation, ms, bsuid)
            alias.conversation_id = None
        else:
            for former in alias.earlier or []:
                if self.conversation(former[1]) is conversation and former[0] > ms:
                    # It was let go earlier than was known.
                    self._note_former(alias, conversation, ms, bsuid, exactly=True)
                    break
        if has_it:
            self.touch(conversation)
            conversation.phone = None

    def _note_former(
        self,
        alias: ContactAlias,
        conversation: Conversation,
        until: int,
        bsuid: str | None,
        *,
        exactly: bool = False,
    ) -> None:
        others = []
        for former in alias.earlier or []:
            if self.conversation(former[1]) is conversation:
                until = until if exactly else max(until, former[0])
                bsuid = bsuid or former[2]
            else:
                others.append(former)
        formers = [*others, [until, conversation.id, bsuid]]
        alias.earlier = sorted(formers, key=lambda former: int(former[0]))[-_MAX_EARLIER:]
        self._changed[alias.key] = alias

    def _merge_facts(self, winner: Conversation, loser: Conversation) -> None:
        """What was told last, of the two: number, BSUID, names."""
        told = []
        for each in (loser, winner):
            at = each.bsuid_at or 0
            ended_at = self._alias(alias_name(bsuid=each.bsuid)).ended_at if each.bsuid else None
            told.append((at, at > (ended_at or -1), each.bsuid is None, each.bsuid))
        winner.bsuid_at, _, _, winner.bsuid = max(told, key=lambda fact: fact[:3])
        newer, older = winner, loser
        if loser.phone and (not winner.phone or (loser.phone_at or 0) > (winner.phone_at or 0)):
            newer, older = loser, winner
        phone, at, since = newer.phone, newer.phone_at or 0, newer.phone_since or 0
        other, other_at = older.phone, older.phone_at or 0
        if _same(other, phone):
            since = min(since, older.phone_since or 0)
        winner.phone, winner.phone_at, winner.phone_since = phone, at, since
        winner.phone_before = newer.phone_before or older.phone_before
        if other and not _same(other, phone) and other_at < at:
            self._give_up(winner, other, max(since, other_at))
        if loser.named_at > winner.named_at:
            winner.name, winner.named_at = loser.name or winner.name, loser.named_at
        winner.name = winner.name or loser.name
        winner.username = winner.username or loser.username

    def _change(self, conversation: Conversation, message: IncomingMessage) -> Conversation:
        """The customer has a new number, a new BSUID, or (as Meta does it) both.

        Without a time of its own such news counts only where it fits what is known.
        """
        ms, before = message.sent_ms, set(self._bumped)
        known = (None, message.bsuid, message.new_bsuid)
        if message.new_bsuid:
            self._lead(self._alias(alias_name(bsuid=message.new_bsuid)), conversation)
        if message.timed or conversation.bsuid in known:
            if message.new_bsuid:
                self._take_bsuid(conversation, message.new_bsuid, ms)
            if message.new_phone:
                conversation = self._move(conversation, message, message.new_phone)
        if message.stored or before != self._bumped:
            self.touch(conversation)
            publish_conversation(conversation)
        return conversation

    def _move(
        self, conversation: Conversation, message: IncomingMessage, new_phone: str
    ) -> Conversation:
        ms = message.sent_ms
        other, bsuid = self._holder(new_phone, ms)
        if other and other is not conversation:
            told = message.new_bsuid
            another = bool(told and bsuid and bsuid != told)
            if not another and (other.created_at or 0) >= ms - _CHANGE_SLACK_MS:
                # They wrote from the new number before we heard of the change.
                conversation = self.merge(conversation, other)
            else:
                # Somebody else had this number before: their chat stays theirs.
                if not another and (conversation.phone_at or 0) <= ms:
                    other.phone_at = min(other.phone_at or 0, ms - 1)  # it was not they since
                self._release(other, new_phone, ms - 1)
        if message.phone and not _same(message.phone, new_phone):
            self._release(conversation, message.phone, ms, message.bsuid)
        if ms >= (conversation.bsuid_at or 0) and not message.new_bsuid:
            # A change of number makes a new BSUID; the next message will tell it.
            if ms > (conversation.bsuid_at or 0):
                self._end_bsuid(conversation.bsuid, ms)
            self.touch(conversation)
            conversation.bsuid, conversation.bsuid_at = None, ms
        # Times are whole seconds: of two facts of one, the change is the later.
        self._take_phone(conversation, new_phone, ms + 1)
        return conversation


def publish_conversation(conversation: Conversation) -> None:
    """Tells the screens that a conversation itself has changed; inside its transaction."""
    realtime_events.tell("conversation.updated", conversation)


def _same(one: str | None, other: str | None) -> bool:
    return bool(one and other and phones.canonical(one) == phones.canonical(other))


def _is_another(bsuid: str | None, message: IncomingMessage) -> bool:
    """Whether a BSUID is known to be somebody else's than a message's sender's."""
    named = {each for each in (message.bsuid, message.new_bsuid) if each}
    return bool(named and bsuid and bsuid not in named)

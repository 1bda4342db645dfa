"""Adds a message to a conversation: its place, and what the list shows of it.

No reads and no writes here: the caller's transaction does both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import realtime_events
from chat.conversation import ordering, ownership, phones, serializers
from chat.conversation.attached import media
from chat.conversation.attached.attachment import Attachment
from chat.conversation.incoming_message import IncomingMessage, counts_unread
from chat.conversation.models import INCOMING, OUTGOING, Conversation, Message, new_id

#: The type of a line that the chat itself says about a conversation: a chip, no bubble.
NOTICE = "system"
_PREVIEW_CHARS = 160
#: Of what may have a caption; the screen has the same (KINDS in parts/media_format.js).
_SIGNS = ("📷", "🎥", "📄")


@dataclass(frozen=True)
class Line:
    """What the chat itself says in a thread: that something happened, and through whom."""

    text: str
    author_kind: str  # "attendant", "claude" or "business_app"
    author_name: str  # as shown


def line_by(author_kind: str, author_name: str, text: str | None) -> Line | None:
    """What a function of `ownership` has the thread say through somebody, if anything."""
    return Line(text, author_kind, author_name) if text else None


def line_by_claude(text: str | None) -> Line | None:
    """The same through Claude."""
    return line_by(ownership.CLAUDE, ownership.CLAUDE_NAME, text)


@dataclass(frozen=True)
class Quote:
    """What a reply shows of the message it answers."""

    id: str
    text: str | None = None
    author_name: str | None = None
    wamid: str | None = None
    author_kind: str | None = None


def append_incoming(
    conversation: Conversation,
    incoming: IncomingMessage,
    received_ms: int,
    quote: Quote | None = None,
) -> Message:
    """The entity of a message that came in, and the conversation changed by it.

    Args:
        conversation: the customer's, or the group's.
        incoming: what WhatsApp sent.
        received_ms: when.
        quote: the message it answers, where that is known.
    """
    ms = incoming.sent_ms  # of WhatsApp's clock for both sides, where the business's phone wrote
    if not incoming.outgoing:
        ms = ordering.incoming_ms(ms, conversation.recent_outgoing)
        _learn(conversation, incoming)
    message = Message(
        id=incoming.wamid,
        conversation_id=conversation.id,
        direction=OUTGOING if incoming.outgoing else INCOMING,
        author_kind=incoming.author_kind,
        author_name=author_name(conversation, incoming),
        type=incoming.type,
        text=incoming.text,
        placeholder=incoming.placeholder,
        details=incoming.details or None,
        extra=incoming.extra or None,
        payload=incoming.payload,
        media=incoming.media,
        reply_to=quote.id if quote else incoming.reply_to,
        reply_text=quote.text if quote else None,
        reply_author=quote.author_name if quote else None,
        reply_author_kind=quote.author_kind if quote else None,
        sent_at=incoming.sent_ms,
        received_at=received_ms,
    )
    newest = conversation.last_counted_at or conversation.last_incoming_at or 0
    if incoming.outgoing:
        # Whoever answers on the business's phone has read what had been written by then.
        by_person = incoming.sent_ms >= newest
        realtime_events.place(conversation, message, outgoing=True, by_person=by_person)
        # It is on its way already, and nobody waits for an answer of the Graph API.
        message.status = "sent"
        message.status_facts = {**(message.status_facts or {}), "times": {"sent": message.sent_at}}
        _note_answer(conversation, message)
    else:
        counts = counts_unread(incoming.type)
        realtime_events.place(conversation, message, outgoing=False, counts=counts)
        if counts:
            conversation.last_incoming_wamid = incoming.wamid
            conversation.last_counted_at = max(newest, incoming.sent_ms)
    message.position = ordering.position(
        ms,
        sent_ms=incoming.sent_ms,
        received_ms=received_ms,
        place=incoming.place,
        arrival=message.arrival,
        conversation_id=conversation.id,
    )
    summarise(conversation, message)
    return message


def _learn(conversation: Conversation, incoming: IncomingMessage) -> None:
    """What a customer's message says of its writer, and that the window is open."""
    if incoming.opens_window:
        last = conversation.last_incoming_at or 0
        conversation.last_incoming_at = max(last, incoming.sent_ms)
    if incoming.group_id or incoming.sent_ms < conversation.named_at:
        return
    if incoming.profile_name or incoming.username:
        conversation.name = incoming.profile_name or conversation.name
        conversation.username = incoming.username or conversation.username
        conversation.named_at = incoming.sent_ms


def author_name(conversation: Conversation, incoming: IncomingMessage) -> str:
    """Who did something, as shown."""
    if incoming.outgoing:
        return "Celular da empresa"
    if not incoming.group_id:
        return serializers.told_name(conversation)  # the business's own is for its eyes
    number = phones.display(incoming.phone) if incoming.phone else None
    username = f"@{incoming.username}" if incoming.username else None
    return incoming.profile_name or number or username or "Participante"


def append_outgoing(
    conversation: Conversation,
    message_id: str,
    text: str,
    now_ms: int,
    *,
    author_id: str,
    author_name: str,
    author_kind: str = "attendant",
    quote: Quote | None = None,
    read_up_to: Message | None = None,
    attempt_of: str | None = None,
    forwarded: bool = False,
    template: dict[str, Any] | None = None,
    attachment: Attachment | None = None,
    reads: bool = True,
) -> Message:
    """The entity of a message of ours, waiting to be sent, and the conversation changed by it.

    A person who answers has read; Claude reads nothing for anybody.

    Args:
        conversation: where it goes.
        message_id: the browser's client_id.
        text: what it says.
        now_ms: when it was written.
        author_id: the attendant's user name.
        author_name: as shown.
        author_kind: "attendant" or "claude".
        quote: the message it answers.
        read_up_to: the newest message that the attendant saw; None: all that has come.
        attempt_of: the id of the message that this one tries again.
        forwarded: it was written in another chat: who passes it on has read nothing here.
        reads: False where it is written without the conversation on screen.
        template: the payload of a filled-in template, whose body `text` is.
        attachment: a file, whose caption `text` is.
    """
    kind = attachment.type if attachment else "template" if template else "text"
    ms = ordering.outgoing_ms(now_ms, conversation.last_position)
    conversation.recent_outgoing = ordering.remember(conversation.recent_outgoing, ms)
    message = Message(
        id=message_id,
        conversation_id=conversation.id,
        direction=OUTGOING,
        author_kind=author_kind,
        author_id=author_id,
        author_name=author_name,
        type=kind,
        text=text,
        payload=attachment.payload if attachment else template,
        media=attachment.media if attachment else None,
        placeholder=attachment.placeholder if attachment else None,
        reply_to=quote.id if quote else None,
        reply_text=quote.text if quote else None,
        reply_author=quote.author_name if quote else None,
        reply_author_kind=quote.author_kind if quote else None,
        extra={"forwarded": True} if forwarded else None,
        sent_at=now_ms,
        received_at=now_ms,
    )
    realtime_events.place(
        conversation,
        message,
        outgoing=True,
        by_person=author_kind == "attendant" and reads and not forwarded,
        read_up_to=read_up_to,
        attempt_of=attempt_of,
    )
    _note_answer(conversation, message)
    _put_in_place(conversation, message, ms, now_ms)
    summarise(conversation, message)
    return message


def append_notice(conversation: Conversation, line: Line, now_ms: int) -> Message:
    """The entity of such a line, which counts as nothing to read; the list goes on showing what was
    written last.

    Args:
        conversation: where it stands.
        line: what it says.
        now_ms: when that happened.
    """
    message = Message(
        id=new_id(),
        conversation_id=conversation.id,
        direction=INCOMING,
        author_kind=line.author_kind,
        author_name=line.author_name,
        type=NOTICE,
        text=line.text,
        sent_at=now_ms,
        received_at=now_ms,
    )
    realtime_events.place(conversation, message, outgoing=False, counts=False)
    ms = ordering.outgoing_ms(now_ms, conversation.last_position)
    _put_in_place(conversation, message, ms, now_ms)
    return message


def _note_answer(conversation: Conversation, message: Message) -> None:
    who = _answerer(message.author_kind, message.author_id)
    note = {"who": who, "id": message.id, "arrival": message.arrival, "at": message.received_at}
    others = [each for each in conversation.answers or [] if each["who"] != who]
    conversation.answers = [note, *others[:1]]


def answered_by_other(conversation: Conversation, attendant_id: str, after: Message) -> str | None:
    """The id of the newest message that somebody else of the business (a colleague, Claude, the
    business's phone) wrote after the message that an attendant saw last; None where nobody did.

    Nothing is read for it: of whoever wrote last the conversation knows the newest message, and of
    whoever wrote last before them.

    Args:
        conversation: the entity.
        attendant_id: the attendant's user name.
        after: what they saw last, of this conversation or of one that was merged into it.
    """
    me = _answerer("attendant", attendant_id)
    other = next((each for each in conversation.answers or [] if each["who"] != me), None)
    if other is None or other["id"] == after.id:
        return None
    if after.conversation_id == conversation.id and "arrival" in other:
        later = other["arrival"] > (after.arrival or 0)
    else:  # one that was merged into it counted arrivals of its own
        later = other["at"] > (after.received_at or 0)
    return str(other["id"]) if later else None


def merged_answers(winner: Conversation, loser: Conversation) -> list[dict[str, Any]]:
    """`answers` of a conversation that another one was merged into; those of the other without
    their arrival, which was counted there.
    """
    theirs = [{k: v for k, v in each.items() if k != "arrival"} for each in loser.answers or []]
    both = sorted([*(winner.answers or []), *theirs], key=_told_at)
    newest = {each["who"]: each for each in both}
    return sorted(newest.values(), key=_told_at, reverse=True)[:2]


def _told_at(answer: dict[str, Any]) -> int:
    return int(answer["at"])


def _answerer(kind: str, author_id: str | None) -> str:
    return f"{kind} {author_id or ''}"


def _put_in_place(conversation: Conversation, message: Message, ms: int, now_ms: int) -> None:
    """The position of what is written here and now."""
    message.position = ordering.position(
        ms,
        sent_ms=now_ms,
        received_ms=now_ms,
        place=0,
        arrival=message.arrival,
        conversation_id=conversation.id,
    )


def preview(text: str, label: str | None) -> str:
    """One line for the conversation list."""
    line = " ".join(text.split())
    if label and line and label.startswith(_SIGNS):
        line = f"{label[0]} {line}"  # a caption says what its picture's sign is of
    elif label:
        line = f"{label} · {line}" if line else label
    return line if len(line) <= _PREVIEW_CHARS else f"{line[: _PREVIEW_CHARS - 1]}…"


def summary_of(message: Message) -> str:
    """One line that says what a stored message says now."""
    if message.revoked_at:
        return serializers.REVOKED
    return preview(message.text or "", media.label(message.media, message.placeholder))


def summarise(conversation: Conversation, message: Message) -> None:
    """What the list shows of the newest message, which may have changed; it never goes back to an
    older one. And of a reaction that any message was given since.
    """
    if message.position < (conversation.last_position or ""):
        _note_reaction(conversation, message)
        return
    if message.id != conversation.last_message_id:
        conversation.last_reaction = None
    conversation.last_message_id = message.id
    conversation.last_text = summary_of(message)
    conversation.last_direction = message.direction
    conversation.last_author_name = message.author_name
    conversation.last_sent_at = message.sent_at
    conversation.last_position = message.position
    conversation.sort_key = conversation.list_key()
    _note_reaction(conversation, message)


def _note_reaction(conversation: Conversation, message: Message) -> None:
    known = conversation.last_reaction
    is_its = bool(known) and known["message_id"] == message.id
    since = conversation.last_sent_at or 0
    if known and not is_its:
        since = max(since, known["at"])
    given = {} if message.revoked_at else message.reactions or {}
    # WhatsApp tells whole seconds: in one second a customer's follows what we did.
    standing = [
        {**each, "who": who, "at": each["at"] + (0 if who == serializers.OURS else 999)}
        for who, each in given.items()
        if each["emoji"]
    ]
    newest = max(standing, key=_told_at, default=None)
    if newest is not None and newest["at"] >= since:
        told = {name: newest[name] for name in ("who", "name", "emoji", "at")}
        text = summary_of(message)
        conversation.last_reaction = {**told, "message_id": message.id, "text": text}
    elif is_its:
        conversation.last_reaction = None

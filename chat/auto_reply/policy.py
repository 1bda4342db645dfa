"""When Claude answers and who owns a chat: the rules, without a store and without a clock."""

from __future__ import annotations

from typing import Any

from chat.auto_reply.settings import AutoReplySettings
from chat.conversation import ownership
from chat.conversation.incoming_message import IncomingMessage, counts_unread
from chat.conversation.ownership import HUMAN
from chat.conversation.serializers import WINDOW_MS
from chat.conversation.thread import Line, line_by, line_by_claude

#: Who has answered a moment ago is still at it, though the office has closed.
_OFFICE_GRACE_MS = 30 * 60_000
#: A chat in which workers die or fail in ever new ways is for people.
MAX_TRIES = 8
#: The first pause after a failure that passes; each further one is twice as long, up to the last.
_BACKOFF_MS = (2_000, 60_000)

OFF = "a resposta automática está desligada"
OLD = "a mensagem chegou atrasada"
WINDOW_CLOSED = "passaram 24 horas desde a última mensagem do cliente"
OVER_BUDGET = "o limite de uso do dia nesta conversa foi atingido"
TOO_MANY_TRIES = "a resposta não ficou pronta depois de várias tentativas"

_CLOSED_AGAIN = "Claude voltou a responder: fora do horário de atendimento"
_QUIET = "Claude voltou a responder: ninguém da equipe escreveu há algum tempo"


def first_owner(settings: AutoReplySettings) -> str:
    """Who has a new chat."""
    return settings.owner if settings.enabled else HUMAN


def message_came(
    conversation: Any,
    incoming: IncomingMessage,
    message: Any,
    settings: AutoReplySettings,
    now_ms: int,
) -> Line | None:
    """What a message that came in means for the chat that it was just put into.

    Args:
        conversation: the entity; Claude may have been asked afterwards.
        incoming: what came: a customer's message, or one from the business's own phone.
        message: the entity that was made of it.
        settings: the present ones.
        now_ms: the present.
    """
    if incoming.group_id is not None:
        conversation.owner = conversation.owner or HUMAN
        return None
    if incoming.outgoing:
        name = message.author_name
        text = ownership.person_wrote(conversation, name, incoming.sent_ms, now_ms)
        return line_by(incoming.author_kind, name, text)
    if not counts_unread(incoming.type):
        return None
    if conversation.owner is None:
        conversation.owner = first_owner(settings)
        # Meta's clock may be ahead of ours, by which people write.
        conversation.owner_at = min(incoming.sent_ms, now_ms)
    old = now_ms - incoming.sent_ms > settings.max_age_minutes * 60_000
    if ownership.owner_of(conversation) == HUMAN:
        return None if old else _for_people(conversation, message.id, settings, now_ms)
    if old:
        answered = incoming.sent_ms <= max(conversation.recent_outgoing, default=0)
        # Asked or not, what is newer than it will be answered, with this before it.
        reason = None if answered or conversation.reply else OLD
    else:
        reason = None if settings.enabled else OFF
        if reason is None:
            _ask(conversation, message.id, settings, now_ms)
    return line_by_claude(ownership.hand_over(conversation, reason, now_ms)) if reason else None


def _for_people(
    conversation: Any, question: str, settings: AutoReplySettings, now_ms: int
) -> Line | None:
    """A message in a chat that people own: where the settings say so, Claude takes it back."""
    if not settings.enabled or conversation.needs_you:
        return None
    busy_ms = max(conversation.person_at or 0, conversation.owner_at or 0)
    closed = settings.office_hours is not None and not settings.office_hours.open_at(now_ms)
    if closed and now_ms - busy_ms > _OFFICE_GRACE_MS:
        text = ownership.give_to_claude(conversation, _CLOSED_AGAIN, now_ms)
        _ask(conversation, question, settings, now_ms)
        return line_by_claude(text)
    if settings.return_after_minutes:
        quiet_ms = busy_ms + int(settings.return_after_minutes * 60_000)
        _ask(conversation, question, settings, now_ms, not_before_ms=quiet_ms)
    return None


def _ask(
    conversation: Any,
    question: str,
    settings: AutoReplySettings,
    now_ms: int,
    not_before_ms: int | None = None,
) -> None:
    ownership.ask(
        conversation,
        question,
        now_ms,
        debounce_ms=int(settings.debounce_seconds * 1000),
        max_wait_ms=int(settings.max_wait_seconds * 1000),
        not_before_ms=not_before_ms,
    )


def give(conversation: Any, name: str, settings: AutoReplySettings, now_ms: int) -> str | None:
    """An attendant gives the chat to Claude, which answers at once what nobody has answered.

    Returns:
        what the thread says of it.
    """
    text = ownership.give_to_claude(conversation, f"{name} passou a conversa ao Claude", now_ms)
    waits = conversation.last_direction == "in" and conversation.last_incoming_wamid
    if text and waits and window_open(conversation, now_ms):
        _ask(conversation, conversation.last_incoming_wamid, settings, now_ms)
        conversation.reply_due_at = now_ms
    return text


def take_back(conversation: Any, now_ms: int) -> str | None:
    """Nobody of the people who own the chat has answered in time: Claude has it again.

    Returns:
        what the thread says of it; what was asked stays asked.
    """
    asked, due = conversation.reply, conversation.reply_due_at
    text = ownership.give_to_claude(conversation, _QUIET, now_ms)
    conversation.reply, conversation.reply_due_at = {**asked, "returns": False}, due
    return text


def obstacle(
    conversation: Any, settings: AutoReplySettings, used_tokens: int, now_ms: int
) -> str | None:
    """Why Claude cannot answer what it is asked, in words for attendants; None if it can."""
    if not settings.enabled:
        return OFF
    if not window_open(conversation, now_ms):
        return WINDOW_CLOSED
    if settings.daily_budget and used_tokens >= settings.daily_budget:
        return OVER_BUDGET
    if (conversation.reply or {}).get("tries", 0) >= MAX_TRIES:
        return TOO_MANY_TRIES
    return None


def window_open(conversation: Any, now_ms: int) -> bool:
    """Whether WhatsApp still takes what we write."""
    return now_ms < (conversation.last_incoming_at or 0) + WINDOW_MS


def pause_ms(tries: int, retry_after_seconds: float | None) -> int:
    """How long to wait after a failure that passes.

    Args:
        tries: how many there were.
        retry_after_seconds: what the Messages API asks for.
    """
    first, longest = _BACKOFF_MS
    own = min(first * 2 ** max(0, tries - 1), longest)
    return max(own, int((retry_after_seconds or 0) * 1000))

"""Who answers a conversation, Claude or people, and what Claude has been asked in it.

Functions change the entity alone, inside the caller's transaction. Some return a line for the
thread, which `thread.append_notice` makes a message of; None where nothing is to be said.

`Conversation.reply` is what is asked while something is:

- `question`: the id of the customer's newest message that wants an answer;
- `asked_at`: when the first of this batch of messages came, by our clock;
- `tries`: how often a worker began;
- `returns`: people own the chat, and Claude takes it back to answer unless one of them does;
- `holder`, `since`, `until`: the worker that is answering, since when, and when it has surely died.

Whatever ends a question or changes who owns the chat takes `reply` away, and with it the holder:
a worker that comes back with an answer finds that it is not asked any more.
"""

from __future__ import annotations

from typing import Any

from realtime_events import iso

CLAUDE = "claude"
HUMAN = "human"

#: By whom, as lines in the thread call them.
CLAUDE_NAME = "Claude"
#: Of a hand-over's reason, which Claude writes.
MAX_REASON = 200


def owner_of(conversation: Any) -> str:
    """`CLAUDE` or `HUMAN`; as long as nobody decided, people."""
    return CLAUDE if conversation.owner == CLAUDE else HUMAN


def as_json(conversation: Any, now_ms: int) -> dict[str, Any]:
    """What the API and the events tell of it.

    Args:
        conversation: the entity.
        now_ms: a worker that has died by then is not told of.
    """
    reply = conversation.reply or {}
    replying = is_replying(conversation, now_ms)
    return {
        "owner": owner_of(conversation),
        "needs_you": bool(conversation.needs_you),
        "needs_you_at": iso(conversation.needs_you_at),
        "needs_you_reason": conversation.needs_you_reason,
        "replying_since": iso(reply.get("since")) if replying else None,
        "replying_until": iso(reply.get("until")) if replying else None,
    }


def is_replying(conversation: Any, now_ms: int) -> bool:
    """Whether a worker is answering right now."""
    reply = conversation.reply or {}
    return bool(reply.get("holder")) and reply.get("until", 0) > now_ms


# --- what is asked --------------------------------------------------------------------------------


def ask(
    conversation: Any,
    question: str,
    now_ms: int,
    *,
    debounce_ms: int,
    max_wait_ms: int,
    not_before_ms: int | None = None,
) -> None:
    """A customer's message wants an answer from Claude.

    Args:
        conversation: the entity.
        question: the message's id.
        now_ms: when it came.
        debounce_ms: more may follow it so soon, and gets one answer with it.
        max_wait_ms: after the first of a batch no more are waited for.
        not_before_ms: people own the chat and have until then; then Claude takes it back.
    """
    known = conversation.reply or {}
    asked_at = known.get("asked_at", now_ms)
    last_ms = asked_at + max_wait_ms
    due = min(now_ms + debounce_ms, last_ms)
    if not_before_ms is not None:
        due = max(due, not_before_ms)
    if is_replying(conversation, now_ms) and last_ms <= now_ms:
        # Waited long enough: the answer under way stands, and this is asked after it.
        due = known["until"]
    conversation.reply = {
        "tries": 0,
        **known,
        "question": question,
        "asked_at": asked_at,
        "returns": not_before_ms is not None,
    }
    conversation.reply_due_at = due


def forget_question(conversation: Any) -> None:
    """Nothing is asked of Claude (any more); an answer under way will not be sent."""
    conversation.reply, conversation.reply_due_at = None, None


# --- who owns it ----------------------------------------------------------------------------------


def take_over(conversation: Any, name: str, now_ms: int) -> str | None:
    """People answer from now on, and this one has the chat."""
    was_nobodys = conversation.owner is None
    told = owner_of(conversation) == CLAUDE or bool(conversation.needs_you)
    forget_question(conversation)
    _needs_nobody(conversation)
    if told or was_nobodys:
        conversation.owner, conversation.owner_at = HUMAN, now_ms
    return f"{name} assumiu a conversa" if told else None


def person_wrote(conversation: Any, name: str, at_ms: int, now_ms: int) -> str | None:
    """A person of the business wrote to the customer: on the screen, or on the business's phone.

    Args:
        conversation: the entity.
        name: theirs, as shown.
        at_ms: when; what was written before the present owner had the chat changes nothing.
        now_ms: the present.
    """
    if at_ms < (conversation.owner_at or 0):
        return None
    conversation.person_at = max(at_ms, conversation.person_at or 0)
    return take_over(conversation, name, now_ms)


def hand_over(conversation: Any, reason: str, now_ms: int) -> str | None:
    """Claude gives the chat to people, who are told that they are needed.

    Args:
        conversation: the entity.
        reason: why, in words for attendants.
        now_ms: the present.
    """
    forget_question(conversation)
    reason = " ".join(reason.split())[:MAX_REASON]
    was_claudes = owner_of(conversation) == CLAUDE
    conversation.needs_you = True
    conversation.needs_you_at, conversation.needs_you_reason = now_ms, reason
    conversation.owner, conversation.owner_at = HUMAN, now_ms
    return f"Claude passou a conversa: {reason}" if was_claudes else None


def give_to_claude(conversation: Any, line: str, now_ms: int) -> str | None:
    """Claude answers from now on.

    Args:
        conversation: the entity.
        line: what the thread says of it, when that is a change.
        now_ms: the present.
    """
    _needs_nobody(conversation)
    if owner_of(conversation) == CLAUDE:
        return None
    forget_question(conversation)
    conversation.owner, conversation.owner_at = CLAUDE, now_ms
    return line


def merge(winner: Any, loser: Any, now_ms: int) -> str | None:
    """Two conversations turn out to be one person's: where people have one, they have both.

    What Claude was answering in either is asked anew: it knew half of what was said. What it would
    take back from people it still does, when it would have in both.

    Returns:
        what the thread says of it.
    """
    owners = {each.owner for each in (winner, loser)} - {None}
    asked = sorted(
        (each for each in (winner, loser) if each.reply), key=lambda one: one.reply["asked_at"]
    )
    reply = None
    if asked:
        newest = asked[-1].reply
        reply = {
            "question": newest["question"],
            "asked_at": asked[0].reply["asked_at"],
            "tries": newest["tries"],
            "returns": newest["returns"],
        }
    dues = [each.reply_due_at for each in asked if each.reply_due_at]
    # Who is answering is not to be waited for: nothing will come of it.
    replying = any(is_replying(each, now_ms) for each in asked)
    times = [each.person_at for each in (winner, loser) if each.person_at]
    waiting = next((each for each in (winner, loser) if each.needs_you), None)
    winner.person_at = max(times, default=None)
    forget_question(loser)
    forget_question(winner)
    if waiting is not None:
        winner.needs_you, winner.needs_you_at = True, waiting.needs_you_at
        winner.needs_you_reason = waiting.needs_you_reason
    _needs_nobody(loser)
    told = None
    if owners == {CLAUDE}:
        winner.owner, winner.reply = CLAUDE, reply
        winner.reply_due_at = now_ms if replying else min(dues, default=None)
    elif owners == {HUMAN}:
        winner.owner = HUMAN
        if not winner.needs_you:
            winner.reply, winner.reply_due_at = reply, max(dues, default=None)
    elif owners:
        if asked and not winner.needs_you:
            winner.owner = CLAUDE  # who was asked, in either
            told = hand_over(winner, "a conversa foi unida a outra, que é de atendentes", now_ms)
        winner.owner = HUMAN
    return told


def _needs_nobody(conversation: Any) -> None:
    conversation.needs_you = False
    conversation.needs_you_at = conversation.needs_you_reason = None

"""What was said in a chat, as turns for Claude: pure, and within a budget.

A customer's words are data: they stand escaped between tags that only we can write, in the user's
turns alone. What the business wrote, by Claude or by people, is the assistant's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from chat.auto_reply.seeing.files import Seen
from chat.auto_reply.settings import BRASILIA
from chat.conversation.blank import is_blank
from chat.conversation.incoming_message import CUSTOMER, NOT_WRITTEN

CUSTOMER_TAG = "mensagem_do_cliente"
TEAM_TAG = "mensagem_da_equipe"

#: Of one message: whoever pastes a book gets its beginning read.
_MAX_CHARS = 8_000
_QUOTE_CHARS = 300
_MAX_LINES = 40
#: Portuguese takes about so many characters a token; tags and the turn's frame come on top.
_CHARS_A_TOKEN = 3.0
_TOKENS_A_MESSAGE = 12
#: The API wants the customer to begin and to have the last word.
_BEGUN_BY_US = "(A empresa começou a conversa.)"
_NO_ANSWER = "(O cliente ainda não respondeu.)"

_LABELS = {
    "location": "localização",
    "contacts": "contato",
    "order": "pedido",
    "unsupported": "mensagem de um tipo que não é mostrado",
}


def turns(
    messages: Sequence[Any], budget_tokens: int, seen: Mapping[str, Seen] | None = None
) -> list[dict[str, Any]]:
    """The newest of these messages as alternating turns, ending with the customer's.

    Args:
        messages: entities of one conversation, oldest first.
        budget_tokens: how much of their words goes along, about; the newest always does.
        seen: what stands for their files, by message id: see `seeing.files`.
    """
    seen = seen or {}
    said = [
        (_role(message), text, seen[message.id].block if message.id in seen else None)
        for message in messages
        if (text := _words(message, seen)) is not None
    ]
    left = budget_tokens
    kept: list[tuple[str, str, dict[str, Any] | None]] = []
    for role, text, block in reversed(said):
        left -= tokens_of(text)
        if kept and left < 0:
            break
        kept.append((role, text, block))
    kept.reverse()
    made: list[dict[str, Any]] = []
    for role, text, block in kept:
        if not made or made[-1]["role"] != role:
            made.append({"role": role, "content": []})
        content = made[-1]["content"]
        if content and content[-1]["type"] == "text":
            content[-1]["text"] += f"\n{text}"
        else:
            content.append({"type": "text", "text": text})
        if block is not None:
            content.append(block)
    if not made or made[0]["role"] != "user":
        made.insert(0, _turn("user", _BEGUN_BY_US))
    if made[-1]["role"] != "user":
        made.append(_turn("user", _NO_ANSWER))
    return made


def as_claude_knew(messages: Sequence[Any], conversation: Any) -> list[Any]:
    """Messages of a conversation in the order in which Claude can go on with it.

    What it did not know when it wrote its last answer, and what stands above that all the same, by
    the time of its writing, comes below: it is not answered. What came after the conversation was
    read is left out: it will be asked on its own.

    Args:
        messages: oldest first.
        conversation: the entity as it was when Claude was asked.
    """

    def arrived_after(message: Any, arrival: int | None) -> bool:
        # Of a conversation that was merged into this one, arrivals are others.
        same = message.conversation_id == conversation.id
        return same and (message.arrival or 0) > (arrival or 0)

    known = [each for each in messages if not arrived_after(each, conversation.arrivals)]
    answers = [n for n, m in enumerate(known) if m.author_kind == "claude" and m.type == "text"]
    end = answers[-1] + 1 if answers else 0
    above: list[Any] = []
    below: list[Any] = []
    for each in known[:end]:
        late = each.author_kind == CUSTOMER and arrived_after(each, conversation.claude_knew)
        (below if late else above).append(each)
    return [*above, *below, *known[end:]]


def tokens_of(text: str) -> int:
    """About how many tokens a message takes; rather too many."""
    return int(len(text) / _CHARS_A_TOKEN) + _TOKENS_A_MESSAGE


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _role(message: Any) -> str:
    return "user" if message.author_kind == CUSTOMER else "assistant"


def _words(message: Any, seen: Mapping[str, Seen]) -> str | None:
    """A message in words; None for one that says nothing to anybody."""
    if message.type in NOT_WRITTEN:
        return None
    body = _body(message, seen.get(message.id))
    if body is None:
        return None
    if message.author_kind == "claude":
        # As it was sent: marks here would teach Claude to write them.
        return body
    name = quoteattr(message.author_name or "Cliente")
    tag = CUSTOMER_TAG if message.author_kind == CUSTOMER else TEAM_TAG
    return f"<{tag} nome={name} hora={quoteattr(_clock(message.sent_at))}>\n{body}\n</{tag}>"


def _body(message: Any, file: Seen | None) -> str | None:
    if message.revoked_at:
        return "[mensagem apagada por quem escreveu]"
    own = message.author_kind == "claude"
    parts = []
    if message.reply_text and not own:
        quoted = _cut(message.reply_text, _QUOTE_CHARS)
        parts.append(f"[em resposta a: {_safe(quoted)}]")
    if not own and (advert := (message.extra or {}).get("referral")):
        told = " – ".join(advert[key] for key in ("headline", "body") if advert.get(key))
        parts.append(f"[veio do anúncio: {_safe(_cut(told, _QUOTE_CHARS))}]")
    if file is not None:
        parts.append(file.words)
    elif message.type in _LABELS or message.placeholder:
        label = _LABELS.get(message.type, "")
        shown = message.placeholder or label
        parts.append(f"[{label}: {_safe(shown)}]" if label and shown != label else f"[{shown}]")
    text = message.text or ""
    if not is_blank(text):
        cut = _cut(text, _MAX_CHARS)
        parts.append(cut if own else _safe(cut))
    parts += [_line(line) for line in (message.details or [])[:_MAX_LINES]]
    parts += _reactions(message)
    return "\n".join(parts) or None


def _line(line: dict[str, str]) -> str:
    value = line["value"] if "href" not in line else f"{line['value']} ({line['href']})"
    label = line.get("label")
    return f"- {_safe(label)}: {_safe(value)}" if label else f"- {_safe(value)}"


def _reactions(message: Any) -> Iterable[str]:
    for reaction in (message.reactions or {}).values():
        if reaction.get("emoji"):
            yield f"[{_safe(reaction.get('name') or 'alguém')} reagiu: {_safe(reaction['emoji'])}]"


def _safe(text: str) -> str:
    """No text of somebody else's may look like one of our tags."""
    return escape(text.encode("utf-8", "replace").decode())


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _clock(ms: int | None) -> str:
    return datetime.fromtimestamp((ms or 0) / 1000, BRASILIA).strftime("%d/%m %H:%M")

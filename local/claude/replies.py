"""What the stand-in says: a few rules over the customer's last message. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

from local.claude import attachments

JSON = dict[str, Any]

_TAG = re.compile(r"</?[a-z_]+(?: [^>]*)?>")
_RULES: tuple[tuple[str, str], ...] = (
    (r"\b(oi|ol[áa]|bom dia|boa tarde|boa noite)\b", "Olá! Como posso ajudar você hoje?"),
    (
        r"\b(hor[áa]rios?|abre[m]?|fecha[m]?|funciona)",
        "Atendemos de segunda a sexta, das 8h às 18h.",
    ),
    (
        r"\b(pre[çc]o|valor|quanto custa|quanto fica|or[çc]amento)",
        "O valor depende do produto. Pode me dizer qual deles interessa a você?",
    ),
    (
        r"\b(entrega|prazo|frete|chega)",
        "A entrega costuma levar de *2 a 5 dias úteis*. Qual é o seu CEP?",
    ),
    (r"\b(pedido|encomenda)", "Claro! Pode me passar o número do pedido?"),
    (r"\b(obrigad[oa]|valeu|brigad[oa])", "Por nada! Se precisar de algo mais, é só escrever."),
)
_PERSON = re.compile(
    r"\b(atendente|humano|pessoa de verdade|falar com (?:algu[ée]m|uma pessoa)|gerente)", re.I
)
#: Characters: of a batch of short messages all, so that one sees what was answered.
_QUOTED = 400
_ASKED = "o cliente pediu uma pessoa"
LONG = "\n\n".join(
    f"Parte {number}: " + "este parágrafo conta mais um pouco do que foi perguntado. " * 12
    for number in range(1, 13)
).strip()
CUT = "A entrega leva de 2 a 5 dias úteis. Depois disso o pedido é"


def last_words(messages: Sequence[JSON]) -> str:
    """What the user said last, without tags around it."""
    text = ""
    for message in messages:
        if message.get("role") == "user":
            text = text_of(message.get("content"))
    return html.unescape(_TAG.sub("", text)).strip()


def text_of(content: Any) -> str:
    """The words of a message's content, which is a text or blocks."""
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content or [])


def said(messages: Sequence[JSON]) -> str:
    """All words of a request."""
    return "\n".join(text_of(message.get("content")) for message in messages)


def _shown_last(messages: Sequence[JSON]) -> str:
    """What the user has shown in the last turn, in words; empty for nothing."""
    found = [each["type"] for each in attachments.blocks(messages[-1:])]
    count = found.count("image")
    told = [f"{count} fotos" if count > 1 else "a foto"] if count else []
    told += ["o documento"] if "document" in found else []
    return " e ".join(told)


def content(request: JSON, answer: str | None, fixed: str | None) -> tuple[list[JSON], str]:
    """The blocks of an answer, and why it stops.

    Args:
        request: what was asked.
        answer: the switch of this name.
        fixed: what to say, in place of thinking of something.
    """
    words = last_words(request["messages"])
    tools = [tool["name"] for tool in request.get("tools") or []]
    if answer == "refuse":
        return [], "refusal"
    if answer == "empty":
        return [], "end_turn"
    if answer == "cut":
        return [_text(CUT)], "max_tokens"
    if answer == "long":
        return [_text(LONG)], "end_turn"
    wants_person = _PERSON.search(words) is not None and fixed is None
    if tools and (answer in ("hand_over", "hand_over_silently") or wants_person):
        said = [_text("Vou chamar alguém da equipe para continuar com você.")]
        call = {
            "type": "tool_use",
            "id": "toolu_standin",
            "name": tools[0],
            "input": {"motivo": _ASKED if wants_person else "não sei responder"},
        }
        return [*([] if answer == "hand_over_silently" else said), call], "tool_use"
    shown = _shown_last(request["messages"])
    seen = f"Vi {shown} que você mandou. " if shown else ""
    return [_text(fixed if fixed is not None else seen + _reply(words))], "end_turn"


def _reply(words: str) -> str:
    found = [reply for rule, reply in _RULES if re.search(rule, words, re.I)]
    if found:
        return "\n\n".join(found[:2])
    quoted = " ".join(words.split())[:_QUOTED]
    return f"Recebi: “{quoted}”. Pode me contar um pouco mais?" if quoted else "Pode repetir?"


def _text(text: str) -> JSON:
    return {"type": "text", "text": text}


def tokens(value: Any) -> int:
    """About how many tokens a text takes."""
    return len(str(value)) // 4 + 1

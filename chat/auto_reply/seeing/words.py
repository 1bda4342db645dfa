"""A message's file in words, for Claude: what it is, and that Claude cannot see it. Pure."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from chat.conversation.attached import media

#: How a file came to be seen or not; see `describe`.
SHOWN, NOT_YET, LOST, LEFT_OUT, NEVER = "shown", "not_yet", "lost", "left_out", "never"

_WHAT = {
    media.IMAGE: "uma foto",
    media.STICKER: "uma figurinha",
    media.VIDEO: "um vídeo",
    media.AUDIO: "um áudio",
    media.VOICE: "uma mensagem de voz",
    media.DOCUMENT: "um documento",
}
_CANNOT = {
    media.IMAGE: "que você não pode ver",
    media.STICKER: "que você não pode ver",
    media.VIDEO: "que você não pode ver",
    media.AUDIO: "que você não pode ouvir",
    media.VOICE: "que você não pode ouvir",
    media.DOCUMENT: "que você não pode abrir",
}
_TYPES = {
    "application/pdf": "PDF",
    "application/msword": "Word",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word",
    "application/vnd.ms-excel": "Excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "Excel",
    "application/vnd.ms-powerpoint": "PowerPoint",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PowerPoint",
    "application/zip": "ZIP",
    "text/plain": "texto",
    "text/csv": "CSV",
}
_NAME_CHARS = 100


def describe(facts: media.Facts, how: str, *, by_customer: bool) -> str:
    """The line that stands for a file.

    Args:
        facts: of the file, see `attached.media`.
        how: `SHOWN`: it follows; `NOT_YET`: it has not been fetched; `LOST`: it cannot be had;
            `LEFT_OUT`: it was shown, or could be, but is too much now; `NEVER`: of a kind that
            Claude knows nothing of but this.
        by_customer: who sent it.
    """
    who = "O cliente" if by_customer else "A equipe"
    what = f"{who} enviou {_WHAT[facts['kind']]}{_more(facts)}"
    if how == SHOWN:
        return f"[{what}; está logo a seguir]"
    if how == NOT_YET:
        return f"[{what}, que ainda não chegou até você: você não sabe o que mostra]"
    if how == LOST:
        return f"[{what}, que não deu para abrir aqui: você não sabe o que mostra]"
    if how == LEFT_OUT:
        return f"[{what}; não está à sua vista agora]"
    return f"[{what}, {_CANNOT[facts['kind']]}]"


def _more(facts: media.Facts) -> str:
    """Its length, name, type and size, as far as they say something."""
    if facts["kind"] in (media.VOICE, media.AUDIO, media.VIDEO):
        seconds = facts.get("duration")
        return f" de {_length(seconds)}" if seconds else ""
    if facts["kind"] != media.DOCUMENT:
        return ""
    name = facts.get("filename")
    kind = _TYPES.get(facts.get("mime_type") or "")
    pages, size = facts.get("pages"), facts.get("size")
    told = [
        kind or "",
        ("1 página" if pages == 1 else f"{pages} páginas") if pages else "",
        _size(size) if size else "",
    ]
    about = ", ".join(filter(None, told))
    called = f" “{escape(name[:_NAME_CHARS])}”" if name else ""
    return called + (f" ({about})" if about else "")


def _length(seconds: Any) -> str:
    minutes, rest = divmod(max(1, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def _size(count: int) -> str:
    for unit, step in (("MB", 1_000_000), ("kB", 1_000)):
        if count >= step:
            return f"{count / step:.1f} {unit}".replace(".", ",").replace(",0 ", " ")
    return f"{count} bytes"

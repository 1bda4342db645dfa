"""The file of a message: what is known of it, stored in `Message.media`, and as the screen gets it.

Pure. A customer's file is `pending` until it has been fetched from WhatsApp, then `ready` or
`unavailable`; one that we send is ready from the start. Messages that were stored before files were
kept have no `media`: theirs is made of the payload.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from typing import Any

Facts = dict[str, Any]

IMAGE, VIDEO, AUDIO, VOICE, DOCUMENT, STICKER = KINDS = (
    "image", "video", "audio", "voice", "document", "sticker",
)  # fmt: skip
PENDING = "pending"
READY = "ready"
UNAVAILABLE = "unavailable"
#: Meta keeps what came in by webhook for so long.
ID_DAYS = 7
_DAY_MS = 86_400_000
#: The types of a message that have a file.
_TYPES = frozenset(KINDS) - {VOICE}
_MIME_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,100}")
_NAME_CHARS = 150
_MAX_CHARS = 500
#: What the screen gets as it is stored.
_TOLD = (
    "kind", "state", "mime_type", "size", "filename", "width", "height", "duration", "animated",
    "preview", "waveform", "pages", "reason",
)  # fmt: skip
#: Of a message's file: why there is none to be seen.
EXPLANATIONS = {
    "expired": "O WhatsApp não tem mais este arquivo. Peça ao cliente que envie de novo.",
    "no_id": "O WhatsApp não mandou este arquivo. Peça ao cliente que envie de novo.",
    "damaged": "O arquivo chegou diferente do que foi enviado. Peça ao cliente que envie de novo.",
    "empty": "O arquivo está vazio. Peça ao cliente que envie de novo.",
    "too_large": "O arquivo é grande demais para ser guardado.",
    "deleted": "O arquivo foi apagado: passou o prazo em que é guardado.",
}


def told_by(kind: str, body: Any) -> Facts | None:
    """What WhatsApp tells of the file of a message; None for a message without one.

    Args:
        kind: the message's type.
        body: the type's own part, of any shape.
    """
    if kind not in _TYPES:
        return None
    part = body if isinstance(body, dict) else {}
    graph_id = _line(part.get("id"))
    facts: Facts = {
        "kind": VOICE if kind == AUDIO and part.get("voice") is True else kind,
        "state": PENDING if graph_id else UNAVAILABLE,
        "mime_type": _mime_type(part.get("mime_type")),
        "size": None,
    }
    more = {
        "graph_id": graph_id,
        "sha256": hex_digest(part.get("sha256")),
        "filename": clean_filename(part.get("filename")),
        "animated": part.get("animated") is True,
        "reason": None if graph_id else "no_id",
    }
    return facts | {name: value for name, value in more.items() if value}


def of_message(message: Any, now_ms: int) -> Facts | None:
    """What is known of a stored message's file; None for a message without one.

    Args:
        message: the entity.
        now_ms: the present; of an old message's file only its age says whether it can be fetched.
    """
    if message.media:
        facts: Facts = message.media
        return facts
    made = told_by(message.type or "", message.payload)
    if made and made["state"] == PENDING and is_gone(message.sent_at, now_ms):
        made |= {"state": UNAVAILABLE, "reason": "expired"}
    return made


def is_gone(sent_ms: int | None, now_ms: int) -> bool:
    """Whether WhatsApp has forgotten the file of a message of that time."""
    return now_ms - (sent_ms or 0) > ID_DAYS * _DAY_MS


def as_json(facts: Facts) -> dict[str, Any]:
    """The file as the contract has it: nothing of where it is kept."""
    told = {name: facts[name] for name in _TOLD if facts.get(name) is not None}
    data: dict[str, Any] = {"size": None, **told, "thumb": bool(facts.get("thumb"))}
    if facts["state"] == UNAVAILABLE:
        reason = facts.get("reason") or "expired"
        data |= {"reason": reason, "explanation": EXPLANATIONS.get(reason, EXPLANATIONS["expired"])}
    return data


def label(facts: Facts | None, otherwise: str | None) -> str | None:
    """What the list calls a message with this file.

    Args:
        facts: of its file, if there is one.
        otherwise: its label without them.
    """
    seconds = facts.get("duration") if facts else None
    if facts is None or seconds is None or facts["kind"] not in (VOICE, AUDIO):
        return otherwise
    mark = "🎤" if facts["kind"] == VOICE else "🎵"
    return f"{mark} {clock(seconds)}"


def clock(seconds: float) -> str:
    """A duration as a person reads it: `0:12`, `1:02:03`; what was begun counts as a second."""
    minutes, rest = divmod(max(1, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def clean_filename(value: Any) -> str | None:
    """A name that somebody else gave a file, without what could lead astray: no path, no control
    characters, none that turns the direction of writing, and not too long; its ending is kept.
    """
    if not isinstance(value, str):
        return None
    # Cf: also those that make `exe.gpj` of `jpg.exe`; Cs: halves of surrogate pairs.
    seen = "".join(c for c in value if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    name = re.split(r"[/\\]", seen)[-1]
    name = " ".join(re.sub(r'[<>:"|?*]', "_", name).split()).strip(" .")
    if not name:
        return None
    if len(name) > _NAME_CHARS:
        stem, dot, ending = name.rpartition(".")
        short = dot and len(ending) <= 10
        name = f"{stem[: _NAME_CHARS - len(ending) - 2]}….{ending}" if short else name[:_NAME_CHARS]
    return name


def hex_digest(value: Any) -> str | None:
    """A SHA-256 in lower-case hex, of one in hex (the Graph API) or Base64 (the webhook); None for
    anything else.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        return text.lower()
    try:
        raw = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw.hex() if len(raw) == 32 else None


def _mime_type(value: Any) -> str:
    """A type without its parameters; empty for what is none."""
    text = (_line(value) or "").partition(";")[0].strip().lower()
    return text if _MIME_TYPE.fullmatch(text) else ""


def _line(value: Any) -> str | None:
    text = str(value) if type(value) is int else value
    usable = isinstance(text, str) and 0 < len(text) <= _MAX_CHARS and text.isprintable()
    return text if usable else None

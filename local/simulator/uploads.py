"""Files that the business gives WhatsApp: what Meta looks at when they come, and what it finds
wrong with them when a message names them.

Source: Meta's pages on media and supported media types, and its refusals as public reports quote
them: a wrong type at once, all that is wrong inside later, as 131053 by callback.
"""

from typing import Any

from werkzeug.datastructures import FileStorage, ImmutableMultiDict

from local.simulator.errors import GraphError
from local.simulator.media import MAX_UPLOAD_BYTES, Stored

__all__ = ["UPLOAD_DAYS", "check_upload", "problem_of"]

UPLOAD_DAYS = 30  # Meta's: so long it keeps what it was given
TYPES = (
    "audio/aac", "audio/mp4", "audio/mpeg", "audio/amr", "audio/ogg", "audio/opus",
    "application/vnd.ms-powerpoint", "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/pdf", "text/plain", "application/vnd.ms-excel", "image/jpeg", "image/png",
    "image/webp", "video/mp4", "video/3gpp",
)  # fmt: skip
_MB = 1024 * 1024
#: Kind of message: its types, and how large they may be.
_KINDS: dict[str, tuple[tuple[str, ...], int]] = {
    "image": (("image/jpeg", "image/png"), 5 * _MB),
    "video": (("video/mp4", "video/3gpp"), 16 * _MB),
    "audio": (("audio/aac", "audio/mp4", "audio/mpeg", "audio/amr", "audio/ogg"), 16 * _MB),
    "sticker": (("image/webp",), 500 * 1024),
    "document": (TYPES, MAX_UPLOAD_BYTES),
}
_STICKER_BYTES = 100 * 1024  # one that does not move
#: How files begin that can be what they are said to be; what is not here is not looked at.
_BEGINNINGS: dict[str, tuple[tuple[int, bytes], ...]] = {
    "image/jpeg": ((0, b"\xff\xd8\xff"),),
    "image/png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "image/webp": ((8, b"WEBP"),),
    "audio/ogg": ((0, b"OggS"),),
    "audio/amr": ((0, b"#!AMR"),),
    "audio/mp4": ((4, b"ftyp"),),
    "video/mp4": ((4, b"ftyp"),),
    "video/3gpp": ((4, b"ftyp"),),
    "audio/mpeg": ((0, b"ID3"), (0, b"\xff")),
    "audio/aac": ((0, b"\xff"),),
}


def check_upload(
    form: "ImmutableMultiDict[str, str]", sent: FileStorage | None
) -> tuple[bytes, str]:
    """The bytes of an upload and their type.

    Raises:
        GraphError: what Meta answers to such an upload.
    """
    if form.get("messaging_product") != "whatsapp":
        raise GraphError(100, message="(#100) The parameter messaging_product is required.")
    if sent is None:
        raise GraphError(100, message="(#100) The parameter file is required.")
    if not form.get("type"):
        raise GraphError(100, message="(#100) The parameter type is required.")
    told = form["type"].partition(";")[0].strip().lower()
    own = sent.mimetype or "application/octet-stream"
    for one in (told, own):
        if one not in TYPES:
            raise GraphError(
                100,
                message="(#100) Param file must be a file with one of the following types: "
                f"{', '.join(TYPES)}. Received file of type '{one}'.",
            )
    data = sent.read(MAX_UPLOAD_BYTES + 1)
    if not data or len(data) > MAX_UPLOAD_BYTES:
        raise GraphError(131053, "The file is empty or too large.")
    return data, told


def problem_of(kind: str, body: dict[str, Any], stored: Stored) -> str | None:
    """Why a message with this file fails after it was taken; None where it does not.

    Args:
        kind: the message's type.
        body: what stands under it.
        stored: the file that it names.
    """
    types, most = _KINDS[kind]
    mime_type = stored.mime_type.partition(";")[0].strip()
    if mime_type not in types:
        return f"Unsupported {kind.capitalize()} mime type {mime_type}. Please use one of: {types}"
    if len(stored.data) > most:
        return f"{kind.capitalize()} file size {len(stored.data)} exceeds the limit of {most}."
    beginnings = _BEGINNINGS.get(mime_type, ())
    if beginnings and not any(stored.data[at:].startswith(what) for at, what in beginnings):
        return f"The file is not of type {mime_type}: media file could not be processed."
    if mime_type == "audio/ogg" and b"OpusHead" not in stored.data[:512]:
        return "Unsupported audio codec: audio/ogg must be Opus."
    if kind == "audio" and body.get("voice"):
        head = stored.data.find(b"OpusHead")
        if mime_type != "audio/ogg" or stored.data[head + 9] != 1:
            return "A voice message must be an OGG file with Opus of one channel."
    if kind == "sticker":
        return _sticker_problem(stored.data)
    return None


def _sticker_problem(data: bytes) -> str | None:
    width = height = 0
    animated = False
    if data[12:16] == b"VP8X":
        animated = bool(data[20] & 0x02)
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
    elif data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif data[12:16] == b"VP8 ":
        width = int.from_bytes(data[26:28], "little") & 0x3FFF
        height = int.from_bytes(data[28:30], "little") & 0x3FFF
    if (width, height) != (512, 512):
        return f"A sticker must be 512x512 pixels, not {width}x{height}."
    if not animated and len(data) > _STICKER_BYTES:
        return f"A sticker that is not animated must be smaller than 100 KB, not {len(data)} bytes."
    return None

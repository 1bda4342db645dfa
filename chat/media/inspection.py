"""What a file is, by its own bytes, and whether a browser may show it inside the page."""

from __future__ import annotations

import dataclasses
import mimetypes
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

from chat.conversation.attached import media
from chat.media.contents import apart, pictures, recording, sniffing

#: May be shown by `img`, `audio` and `video`; nothing of it can be a page or a script.
INLINE = frozenset({*pictures.FORMATS, *recording.FORMATS, "audio/3gpp", "audio/webm", "video/ogg"})
#: Told as what it is when it is downloaded; all else as bytes of no type.
_BY_NAME = re.compile(
    r"application/(pdf|zip|rtf|msword|epub\+zip|vnd\.(openxmlformats|oasis|ms-)[\w.-]+)|text/plain"
)
_PAGES = re.compile(rb"/Type\s{0,3}/Pages\b[^>]{0,300}?/Count\s{1,3}(\d{1,6})")
_COUNT_FIRST = re.compile(rb"/Count\s{1,3}(\d{1,6})[^>]{0,300}?/Type\s{0,3}/Pages\b")
_PAGES_BYTES = 256 << 10
#: The same containers, when there is only sound in them, and when there is a picture.
_AS_SOUND = {
    "video/mp4": "audio/mp4", "video/3gpp": "audio/3gpp", "video/webm": "audio/webm",
    "video/quicktime": "audio/mp4",
}  # fmt: skip
_AS_VIDEO = {"audio/mp4": "video/mp4", "audio/ogg": "video/ogg"}
#: Where the system knows another, or none.
_ENDINGS = {
    "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif",
    "audio/ogg": "ogg", "audio/mpeg": "mp3", "audio/mp4": "m4a", "audio/aac": "aac",
    "audio/amr": "amr", "audio/wav": "wav", "video/mp4": "mp4", "video/3gpp": "3gp",
    "video/webm": "webm", "video/quicktime": "mov", "application/pdf": "pdf", "text/plain": "txt",
    "application/msword": "doc", "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
}  # fmt: skip


@dataclass(frozen=True)
class Inspected:
    """What was found in a file."""

    kind: str  # as it is to be shown, see `attached.media.KINDS`
    mime_type: str
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    animated: bool = False
    preview: str = ""
    waveform: list[int] | None = None
    pages: int | None = None
    thumb: bytes | None = dataclasses.field(default=None, repr=False)  # `pictures.THUMB_TYPE`
    #: The same for a browser that cannot play it, `recording.PLAYED_TYPE`.
    played: bytes | None = dataclasses.field(default=None, repr=False)

    def facts(self) -> dict[str, Any]:
        """What `Message.media` keeps of it."""
        told = vars(self) | {"thumb": None, "played": None}
        return {name: value for name, value in told.items() if value not in (None, "", False)}


def inspect(file: BinaryIO, kind: str, filename: str | None = None) -> Inspected:
    """Looks into a file. Whatever cannot be shown as what it is said to be is a document.

    Args:
        file: to be read and sought in.
        kind: what it is said to be, one of `attached.media.KINDS`.
        filename: what it is called.
    """
    mime_type = sniffing.mime_type(file, filename)
    document = Inspected(media.DOCUMENT, mime_type)
    try:
        if mime_type in pictures.FORMATS:
            return _picture(file, kind, mime_type)
        if mime_type in recording.FORMATS:
            return _recording(file, kind, mime_type)
    except (pictures.UnusableError, recording.NotPlayableError):
        # Not even its type is as it seems: it is given to nobody's decoder.
        return Inspected(media.DOCUMENT, sniffing.UNKNOWN)
    if mime_type == sniffing.PDF:
        return dataclasses.replace(document, pages=_pages(file))
    return document


def served_type(mime_type: str) -> tuple[str, bool]:
    """The `Content-Type` under which a file of this type goes to a browser, and whether it may be
    shown there; else it is downloaded.
    """
    if mime_type in INLINE:
        return mime_type, True
    return (mime_type if _BY_NAME.fullmatch(mime_type) else sniffing.UNKNOWN), False


def ending(mime_type: str) -> str:
    """How the name of a file of this type ends, without the dot."""
    guessed = (mimetypes.guess_extension(mime_type) or ".bin").lstrip(".")
    return _ENDINGS.get(mime_type, guessed)


def _picture(file: BinaryIO, kind: str, mime_type: str) -> Inspected:
    seen = apart.look_at_picture(file, mime_type)
    if kind == media.STICKER and mime_type != "image/webp":
        kind = media.IMAGE
    shown = kind if kind in (media.IMAGE, media.STICKER, media.DOCUMENT) else media.DOCUMENT
    return Inspected(
        shown,
        mime_type,
        width=seen.width,
        height=seen.height,
        animated=seen.animated,
        preview=seen.preview,
        thumb=seen.thumb,
    )


def _recording(file: BinaryIO, kind: str, mime_type: str) -> Inspected:
    listened = kind in (media.AUDIO, media.VOICE)
    found, played = apart.look_at_recording(file, mime_type, listen=listened)
    mime_type = (_AS_VIDEO if found.has_picture else _AS_SOUND).get(mime_type, mime_type)
    if kind != media.DOCUMENT:
        wanted = (media.VIDEO,) if found.has_picture else (media.AUDIO, media.VOICE)
        kind = kind if kind in wanted else wanted[0]
    return Inspected(
        kind,
        mime_type,
        width=found.width,
        height=found.height,
        duration=found.duration,
        preview=found.preview,
        waveform=found.waveform,
        thumb=found.thumb,
        played=played,
    )


def _pages(file: BinaryIO) -> int | None:
    """How many pages a PDF has, where that stands in the open."""
    end = file.seek(0, 2)
    file.seek(0)
    data = file.read(_PAGES_BYTES)
    if end > _PAGES_BYTES:
        file.seek(max(_PAGES_BYTES, end - _PAGES_BYTES))
        data += file.read(_PAGES_BYTES)
    counts = [int(each) for each in _PAGES.findall(data) + _COUNT_FIRST.findall(data)]
    return max(counts, default=0) or None

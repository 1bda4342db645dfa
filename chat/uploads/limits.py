"""What WhatsApp takes of each kind, and what we can make fit.

Source: Meta's page "Supported media types" of the Cloud API; the document types are those that the
Graph API's media upload lists when it refuses another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MB = 1024 * 1024
KB = 1024

#: A file in the same request as its message; App Engine takes 32 MB a request.
MULTIPART_MAX_BYTES = 20 * MB
#: The longest caption that WhatsApp takes.
MAX_CAPTION_CHARS = 1024
#: What is made smaller may begin larger: a photo of today's phones, not converted yet.
_SOURCE_IMAGE_BYTES = 64 * MB
_SOURCE_RECORDING_BYTES = 64 * MB


@dataclass(frozen=True)
class Kind:
    """What an attendant may send as this."""

    one: str  # in Portuguese, as a sentence begins
    types: tuple[str, ...]  # that pass, or are made to
    max_bytes: int  # of what is given to us
    sent_max_bytes: int  # of what is given to WhatsApp

    def as_json(self) -> dict[str, Any]:
        """As the screen gets it, which checks before it uploads."""
        return {"types": list(self.types), "max_bytes": self.max_bytes}


#: Image types that Pillow reads; all become JPEG or PNG.
IMAGE_TYPES = (
    "image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff", "image/avif",
)  # fmt: skip
AUDIO_SENT_AS_IT_IS = ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg")
#: What browsers record, and what else PyAV reads: made OGG/Opus.
AUDIO_CONVERTED = ("audio/webm", "video/webm", "audio/wav", "audio/x-wav", "audio/flac")
VIDEO_TYPES = ("video/mp4", "video/3gpp", "video/quicktime")
#: As the Graph API names them in its refusal of any other.
OFFICE_TYPES = (
    "application/pdf",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
)
#: Sent as text/plain under their own names: that is what they are.
TEXT_TYPES = ("text/plain", "text/csv", "text/xml", "application/xml", "application/json")
#: The list that the Graph API's refusal of any other gives, all kinds in one.
DOCUMENT_TYPES = (
    *OFFICE_TYPES, "text/plain", "image/jpeg", "image/png", "image/webp", "video/mp4",
    "video/3gpp", *AUDIO_SENT_AS_IT_IS,
)  # fmt: skip
#: How names of documents end whose ending says what opens them.
ENDINGS = {
    "application/pdf": ("pdf",),
    "application/msword": ("doc", "dot"),
    "application/vnd.ms-excel": ("xls", "xlt"),
    "application/vnd.ms-powerpoint": ("ppt", "pps"),
    OFFICE_TYPES[2]: ("docx", "docm", "dotx"),
    OFFICE_TYPES[4]: ("xlsx", "xlsm", "xltx"),
    OFFICE_TYPES[6]: ("pptx", "pptm", "ppsx"),
    "image/jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "image/png": ("png",),
    "image/webp": ("webp",),
    "video/mp4": ("mp4", "m4v", "m4a"),
}

KINDS: dict[str, Kind] = {
    "image": Kind("Uma foto", IMAGE_TYPES, _SOURCE_IMAGE_BYTES, 5 * MB),
    "video": Kind("Um vídeo", VIDEO_TYPES, 16 * MB, 16 * MB),
    "audio": Kind(
        "Um áudio", (*AUDIO_SENT_AS_IT_IS, *AUDIO_CONVERTED), 16 * MB, 16 * MB
    ),
    "voice": Kind(
        "Uma mensagem de voz",
        ("audio/ogg", "audio/webm", "audio/mp4", "audio/aac", "audio/mpeg"),
        _SOURCE_RECORDING_BYTES, 16 * MB,
    ),
    "document": Kind(
        "Um documento", tuple(dict.fromkeys((*DOCUMENT_TYPES, *TEXT_TYPES))),
        100 * MB, 100 * MB,
    ),
    "sticker": Kind("Uma figurinha", IMAGE_TYPES, _SOURCE_IMAGE_BYTES, 500 * KB),
}  # fmt: skip
STICKER_BYTES = 100 * KB  # one that does not move
STICKER_SIDE = 512


def as_json() -> dict[str, Any]:
    """What the screen may know before it uploads."""
    return {
        "kinds": {name: kind.as_json() for name, kind in KINDS.items()},
        "multipart_max_bytes": MULTIPART_MAX_BYTES,
        "max_caption_chars": MAX_CAPTION_CHARS,
    }


def in_words(size: int) -> str:
    """A size as people read it."""
    if size >= MB:
        return f"{size / MB:.1f} MB".replace(".0 ", " ").replace(".", ",")
    return f"{max(1, round(size / KB))} KB"

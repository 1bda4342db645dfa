"""The files that customers send: samples, any other file, and pictures drawn on the spot."""

import colorsys
import hashlib
import io
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

from local.simulator.media import SAMPLES, MediaStore, Stored
from local.simulator.switches import InvalidInput

__all__ = [
    "MEDIA_TYPES", "SAMPLE_FILES", "Given", "Sparse", "drawn", "kind_of", "media_body", "type_of",
]  # fmt: skip

JSON = dict[str, Any]

MEDIA_TYPES = ("image", "video", "audio", "document", "sticker")
# By type, what a customer may send with one click; the first is sent unless another is named.
SAMPLE_FILES: dict[str, dict[str, str]] = {
    "image": {
        "foto.jpg": "image/jpeg",
        "foto-deitada.jpg": "image/jpeg",  # turned by its EXIF orientation
        "comprovante.png": "image/png",
    },
    "video": {"video.mp4": "video/mp4"},
    "audio": {"voz.ogg": "audio/ogg; codecs=opus", "musica.mp3": "audio/mpeg"},
    "document": {
        "orcamento.pdf": "application/pdf",
        "contrato.docx": (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        ),
    },
    "sticker": {"figurinha.webp": "image/webp", "figurinha-animada.webp": "image/webp"},
}
_VOICE = "voz.ogg"
_ZEROS = bytes(1 << 16)


@dataclass(frozen=True)
class Sparse(Stored):
    """A file that goes on with so many zeros, of which nothing is kept."""

    zeros: int = 0

    @property
    def sha256(self) -> str:
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()

    @property
    def size(self) -> int:
        return len(self.data) + self.zeros

    def chunks(self) -> Iterator[bytes]:
        yield from super().chunks()
        for start in range(0, self.zeros, len(_ZEROS)):
            yield _ZEROS[: self.zeros - start]


@dataclass(frozen=True)
class Given:
    """A file that somebody chose, and what the webhook is to say of it."""

    data: bytes
    mime_type: str
    filename: str | None = None
    size: int | None = None  # more than there is: the rest are zeros
    sha256: str | None = None  # as told, whatever it really is
    voice: bool = False
    animated: bool = False


def type_of(told: str, filename: str | None) -> str:
    """The MIME type of a file: as told, else by its name, as a phone has it."""
    nothing = "application/octet-stream"
    if told in ("", nothing):
        return mimetypes.guess_type(filename or "")[0] or nothing
    return told


def kind_of(mime_type: str) -> str:
    """As what WhatsApp sends a file of this type."""
    family = mime_type.partition("/")[0]
    if mime_type == "image/webp":
        return "sticker"
    return family if family in ("image", "video", "audio") else "document"


def media_body(
    kind: str,
    caption: str | None,
    media: MediaStore,
    *,
    sample: str | None = None,
    given: Given | None = None,
) -> JSON:
    """What stands under the type's key of a message with a file, which is kept for its download.

    Args:
        kind: one of MEDIA_TYPES.
        sample: the name of one of SAMPLE_FILES.
        given: a file in its place.

    Raises:
        InvalidInput: no such sample.
    """
    if given is None:
        given = _sample(kind, sample)
    media_id = media.new_id()
    filename = given.filename or "arquivo"
    zeros = max(0, (given.size or 0) - len(given.data))
    stored = Sparse(media_id, given.data, given.mime_type, filename, zeros=zeros)
    media.keep(stored)
    body: JSON = {
        "mime_type": given.mime_type,
        "sha256": given.sha256 or stored.webhook_sha256,
        "id": stored.id,
    }
    if kind == "audio":
        return {**body, "voice": given.voice}
    if kind == "sticker":
        return {**body, "animated": given.animated}
    if kind == "document" and given.filename:
        body = {"filename": given.filename, **body}
    return {"caption": caption, **body} if caption else body


def drawn(number: int) -> Given:
    """A photo of its own for each number, which stands in it."""
    width, height = ((640, 480), (480, 640), (640, 360))[number % 3]
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618 % 1, 0.5, 0.8)
    picture = Image.new("RGB", (width, height), (int(red * 255), int(green * 255), int(blue * 255)))
    draw = ImageDraw.Draw(picture)
    draw.ellipse([width * 0.6, height * 0.1, width * 0.85, height * 0.4], fill=(255, 240, 200))
    draw.text((width * 0.1, height * 0.55), str(number), fill="white", font_size=height // 3)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=60)
    return Given(data.getvalue(), "image/jpeg", f"foto-{number}.jpg")


def _sample(kind: str, name: str | None) -> Given:
    known = SAMPLE_FILES[kind]
    name = name or next(iter(known))
    if name not in known:
        raise InvalidInput("sample", "is not known; there are " + ", ".join(known))
    return Given(
        (SAMPLES / name).read_bytes(),
        known[name],
        name,
        voice=name == _VOICE,
        animated="animada" in name,
    )

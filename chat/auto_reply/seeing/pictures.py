"""Pictures as the Messages API wants them: JPEG, upright, no larger than it would make them."""

from __future__ import annotations

import base64
import io
import threading
from dataclasses import dataclass
from typing import Any, BinaryIO

from PIL import Image, ImageOps

from chat.media.contents import pictures

#: Of the longer side; the API makes larger ones smaller.
MAX_SIDE = 1568
#: Pixels that count as one token.
PIXELS_A_TOKEN = 750
_QUALITY = 85
#: Decoding takes memory: so many at the same time in a process.
_decoding = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class Block:
    """A part of a turn that is no text, and what it costs, about."""

    content: dict[str, Any]
    tokens: int


def tokens_of(width: int, height: int) -> int:
    """What the API counts for a picture of this size."""
    return -(-width * height // PIXELS_A_TOKEN)


def block_of(file: BinaryIO, mime_type: str, most_tokens: int) -> Block:
    """A picture, no larger than so many tokens; of one that moves, what it shows first.

    Args:
        file: to be read and sought in.
        mime_type: one of `pictures.FORMATS`.
        most_tokens: what it may cost.

    Raises:
        pictures.UnusableError: it cannot be decoded, or takes too much memory for it.
    """
    with _decoding:
        try:
            image = _small(file, pictures.FORMATS[mime_type], most_tokens)
            data = io.BytesIO()
            image.save(data, "JPEG", quality=_QUALITY, exif=b"", icc_profile=None)
        except pictures.UnusableError:
            raise
        except Exception as error:  # noqa: BLE001 - decoders of strangers' bytes raise anything
            raise pictures.UnusableError("damaged") from error
    return Block(of_bytes("image", "image/jpeg", data.getvalue()), tokens_of(*image.size))


def of_bytes(kind: str, mime_type: str, data: bytes) -> dict[str, Any]:
    """A block of the Messages API.

    Args:
        kind: "image" or "document".
        mime_type: what it is.
        data: its content.
    """
    text = base64.b64encode(data).decode()
    return {"type": kind, "source": {"type": "base64", "media_type": mime_type, "data": text}}


def _small(file: BinaryIO, expected: str, most_tokens: int) -> Image.Image:
    file.seek(0)
    with Image.open(file, formats=[expected]) as image:
        width, height = image.size
        if expected != "JPEG" and width * height > pictures.MAX_PIXELS:
            raise pictures.UnusableError("bomb")
        side = _side(width, height, most_tokens)
        image.draft("RGB", (side, side))  # JPEG is then decoded no larger than twice that
        if image.width * image.height > pictures.MAX_PIXELS:
            raise pictures.UnusableError("bomb")
        image.load()
        turned = ImageOps.exif_transpose(image)
        turned.thumbnail((side, side))
        return _on_white(turned)


def _side(width: int, height: int, most_tokens: int) -> int:
    """How long the longer side may be."""
    longer, shorter = max(width, height), max(1, min(width, height))
    by_tokens = (most_tokens * PIXELS_A_TOKEN * longer / shorter) ** 0.5
    return max(1, min(MAX_SIDE, longer, int(by_tokens)))


def _on_white(image: Image.Image) -> Image.Image:
    """As JPEG can have it: what was transparent is white."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGB", image.size, (255, 255, 255))
    clear = image.convert("RGBA")
    ground.paste(clear, mask=clear.getchannel("A"))
    return ground

"""Pictures: checked by decoding them, measured as they are seen, and made small."""

from __future__ import annotations

import base64
import io
import threading
import warnings
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageOps

#: Shown by every browser, and decoded by Pillow.
FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
}
#: Four bytes each when decoded; a phone's camera makes 12 million. JPEG is decoded smaller.
MAX_PIXELS = 32_000_000
_MAX_PIXELS_JPEG = 120_000_000
THUMB_SIDE = 400
_THUMB_QUALITY = 72
#: A few hundred bytes that are drawn large and blurred.
_PREVIEW_SIDE = 20
_PREVIEW_BYTES = 580  # in Base64 less than 800
#: Decoding takes memory, some 150 MB at most: one at a time in a process.
_decoding = threading.Lock()
_ORIENTATION = 0x0112
_ON_THEIR_SIDE = (5, 6, 7, 8)

# Whatever opens pictures in this process: more is an error, and no warning.
Image.MAX_IMAGE_PIXELS = _MAX_PIXELS_JPEG
warnings.simplefilter("error", Image.DecompressionBombWarning)


class UnusableError(Exception):
    """This is no picture that should be shown. `reason`: "damaged" or "bomb"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """What a picture is when it is looked at."""

    width: int
    height: int
    animated: bool
    thumb: bytes  # WebP
    preview: str  # a data URI


THUMB_TYPE = "image/webp"


def look(file: BinaryIO, mime_type: str) -> Picture:
    """Decodes a picture.

    Args:
        file: to be read and sought in.
        mime_type: one of `FORMATS`, by the file's own bytes.

    Raises:
        UnusableError: it cannot be decoded, or takes too much memory for it.
    """
    file.seek(0)
    with _decoding:
        try:
            return _look(file, FORMATS[mime_type])
        except UnusableError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
            raise UnusableError("bomb") from error
        except Exception as error:  # noqa: BLE001 - decoders of strangers' bytes raise anything
            raise UnusableError("damaged") from error


def small(image: Image.Image) -> tuple[bytes, str]:
    """A thumbnail (WebP) of a decoded picture, and a preview (a data URI)."""
    image = image if image.mode in ("RGB", "RGBA") else image.convert(_plain_mode(image))
    image.thumbnail((THUMB_SIDE, THUMB_SIDE))
    thumb = _encoded(image, _THUMB_QUALITY)
    tiny = image.copy()
    tiny.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    for quality in (50, 20, 1):
        preview = _encoded(tiny, quality)
        if len(preview) <= _PREVIEW_BYTES:
            break
    else:
        preview = b""
    uri = f"data:{THUMB_TYPE};base64,{base64.b64encode(preview).decode()}" if preview else ""
    return thumb, uri


def _look(file: BinaryIO, expected: str) -> Picture:
    if expected == "WEBP" and _webp_pixels(file) > MAX_PIXELS:
        raise UnusableError("bomb")  # opening it takes the memory
    with Image.open(file, formats=[expected]) as image:
        width, height = image.size
        most = _MAX_PIXELS_JPEG if expected == "JPEG" else MAX_PIXELS
        if width * height > most:
            raise UnusableError("bomb")
        animated = bool(getattr(image, "is_animated", False))
        orientation = _orientation(image)
        if orientation in _ON_THEIR_SIDE:
            width, height = height, width
        # JPEG is then decoded no larger than twice that.
        image.draft("RGB", (2 * THUMB_SIDE, 2 * THUMB_SIDE))
        image.load()
        # Made small before it is turned, and no copy of the large one where none is needed.
        plain = _plain_mode(image)
        shown: Image.Image = image if image.mode == plain else image.convert(plain)
        shown.thumbnail((2 * THUMB_SIDE, 2 * THUMB_SIDE))
        if orientation:
            shown.getexif()[_ORIENTATION] = orientation
            ImageOps.exif_transpose(shown, in_place=True)
        thumb, preview = small(shown)
        return Picture(width, height, animated, thumb, preview)


def _orientation(image: Image.Image) -> int | None:
    """How the camera was held; None where that is not told, or not so that it can be read."""
    try:
        found = image.getexif().get(_ORIENTATION)
    except Exception:  # noqa: BLE001 - it is a part that nobody needs
        return None
    return found if isinstance(found, int) and 1 < found <= 8 else None


def _webp_pixels(file: BinaryIO) -> int:
    """How many pixels a WebP's header promises."""
    head = file.read(30)
    file.seek(0)
    kind, number = head[12:16], int.from_bytes
    if kind == b"VP8X":
        return (number(head[24:27], "little") + 1) * (number(head[27:30], "little") + 1)
    if kind == b"VP8L":
        bits = number(head[21:25], "little")
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    return (number(head[26:28], "little") & 0x3FFF) * (number(head[28:30], "little") & 0x3FFF)


def _plain_mode(image: Image.Image) -> str:
    return "RGBA" if image.has_transparency_data else "RGB"


def _encoded(image: Image.Image, quality: int) -> bytes:
    data = io.BytesIO()
    # Nothing of the original's comments, places and profiles goes along.
    image.save(data, "WEBP", quality=quality, method=2, exif=b"", icc_profile=None)
    return data.getvalue()

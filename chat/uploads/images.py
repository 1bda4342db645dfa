"""Pictures made into what WhatsApp takes, without what they tell of place, time and camera.

Every picture is decoded and encoded anew: what hid behind or between the pixels is gone. Runs in
the converter's own process.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from chat.uploads.limits import KINDS, STICKER_BYTES, STICKER_SIDE
from chat.uploads.refusals import Refused

#: Decoded whole, three or four bytes each, of the few hundred MB that an instance has. A JPEG is
#: decoded at a half, a quarter or an eighth of its size, as long as it stays larger than this.
MAX_PIXELS = 25_000_000
_DECODED_SIDE = 2048
#: WhatsApp's own for photos in high quality.
MAX_SIDE = 4096
_READ = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
_QUALITIES = (90, 82, 74, 64)
_STICKER_QUALITIES = (90, 75, 60, 40, 20)


def photo(source: Path, target: Path) -> dict[str, Any]:
    """Writes the picture as JPEG, or as PNG where it was one and stays small; of one that moves
    nothing is written, and the answer has `moves`.

    Args:
        source: any picture that Pillow reads here.
        target: a file to be written.

    Raises:
        Refused: it is none, is damaged, or is too large to be decoded.
    """
    with open_picture(source) as opened:
        if getattr(opened, "is_animated", False) and opened.format != "MPO":
            return {"moves": True}
        # Decoded and written again it stays about as large as it was.
        limit = KINDS["image"].sent_max_bytes
        stays_png = opened.format == "PNG" and source.stat().st_size <= limit
        stays_png = stays_png and max(opened.size) <= MAX_SIDE
        if opened.format in ("JPEG", "MPO"):  # some phones put several pictures into one file
            part = _DECODED_SIDE / max(opened.size)
            opened.draft("RGB", (int(opened.width * part) or 1, int(opened.height * part) or 1))
        picture = _decoded(opened, MAX_SIDE)
    if stays_png and not _is_deep(picture):
        clear = picture if picture.mode in ("RGB", "RGBA", "L") else picture.convert("RGBA")
        clear.save(target, "PNG")
        if target.stat().st_size <= limit:
            return {}
    picture = without_holes(picture)
    while True:
        for quality in _QUALITIES:
            picture.save(target, "JPEG", quality=quality)
            if target.stat().st_size <= limit:
                return {}
        picture.thumbnail((picture.width * 3 // 4, picture.height * 3 // 4))


def sticker(source: Path, target: Path) -> dict[str, Any]:
    """Writes the picture as a sticker: WebP, 512×512, transparent where it does not reach. One that
    moves must be one already.

    Args and raises as `photo`.
    """
    with open_picture(source) as opened:
        if getattr(opened, "is_animated", False):
            fits = opened.format == "WEBP" and opened.size == (STICKER_SIDE, STICKER_SIDE)
            if not fits or source.stat().st_size > KINDS["sticker"].sent_max_bytes:
                raise Refused("animated_sticker")
            target.write_bytes(_whole_webp(source.read_bytes()))
            return {}
        opened.draft("RGB", (STICKER_SIDE, STICKER_SIDE))
        shape = _decoded(opened, STICKER_SIDE).convert("RGBA")
    drawn = Image.new("RGBA", (STICKER_SIDE, STICKER_SIDE), (0, 0, 0, 0))
    drawn.paste(shape, ((STICKER_SIDE - shape.width) // 2, (STICKER_SIDE - shape.height) // 2))
    for quality in _STICKER_QUALITIES:
        drawn.save(target, "WEBP", quality=quality, method=4)
        if target.stat().st_size <= STICKER_BYTES:
            return {}
    raise Refused("sticker_too_large")


def open_picture(source: Path) -> Image.Image:
    """A picture of one of the formats that are read here; its pixels are not decoded yet."""
    try:
        with warnings.catch_warnings():
            # Meant for whoever asked for more pixels than they are; the limit is ours, below.
            warnings.simplefilter("ignore")
            return Image.open(source, formats=_READ)
    except Image.DecompressionBombError as error:
        raise Refused("too_many_pixels") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise Refused("not_an_image") from error


def _decoded(picture: Image.Image, side: int) -> Image.Image:
    """Its first frame, no longer than `side`, upright: in this order, because each step takes a
    copy.
    """
    if picture.width * picture.height > MAX_PIXELS:
        raise Refused("too_many_pixels")
    try:
        picture.load()
        picture.thumbnail((side, side))
        upright = _in_srgb(ImageOps.exif_transpose(picture))
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise Refused("damaged") from error
    # What a picture says beside its pixels would be written again: comments, XMP, EXIF.
    upright.info = {name: value for name, value in upright.info.items() if name == "transparency"}
    return upright


def _in_srgb(picture: Image.Image) -> Image.Image:
    """With the colours that are meant where no profile goes along."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return picture
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, own, srgb, outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    return converted or picture


def _is_deep(picture: Image.Image) -> bool:
    """Whether it has sixteen bits and more a pixel and channel, which no phone shows."""
    return picture.mode.startswith("I") or picture.mode == "F"


def without_holes(picture: Image.Image) -> Image.Image:
    """As RGB, on white where it was transparent: JPEG knows no transparency."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGB", picture.size, (255, 255, 255))
        ground.paste(picture, mask=picture.getchannel("A"))
        return ground
    if _is_deep(picture):
        return picture.convert("F").point(lambda value: value / 256).convert("L").convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _whole_webp(data: bytes) -> bytes:
    """A WebP without what stands behind its end, and without its EXIF and XMP."""
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    place, kept = 12, bytearray()
    while place + 8 <= end:
        name, length = (
            data[place : place + 4],
            int.from_bytes(data[place + 4 : place + 8], "little"),
        )
        chunk = bytearray(data[place : place + 8 + length + length % 2])
        if name == b"VP8X":
            chunk[8] &= ~(0x08 | 0x04) & 0xFF  # says that there is EXIF, and XMP
        if name not in (b"EXIF", b"XMP "):
            kept += chunk
        place += 8 + length + length % 2
    return b"RIFF" + (len(kept) + 4).to_bytes(4, "little") + b"WEBP" + bytes(kept)

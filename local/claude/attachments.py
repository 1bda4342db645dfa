"""Images and documents of a request: what the Messages API refuses, and what it counts for them."""

from __future__ import annotations

import base64
import binascii
import io
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

JSON = dict[str, Any]

KINDS = ("image", "document")
#: Images and pages' documents in one request.
MOST = 100
_IMAGE_TYPES = {
    "image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP",
}  # fmt: skip
#: Of one image, as it is sent: Base64.
_IMAGE_BYTES = 5 * 1024 * 1024
_DOCUMENT_BYTES = 32_000_000
_MAX_SIDE = 8000
#: Where there are more than so many images, each has to be smaller.
_FEW, _SIDE_OF_MANY = 20, 2000
_PAGES = re.compile(rb"/Type\s{0,3}/Page\b")
_PAGE_TOKENS = 2000


def blocks(messages: Sequence[JSON]) -> Iterable[JSON]:
    """The images and documents of a request."""
    for message in messages:
        content = message.get("content")
        for block in content if isinstance(content, list) else []:
            if isinstance(block, dict) and block.get("type") in KINDS:
                yield block


def count(messages: Sequence[JSON]) -> int:
    """How many images and documents there are."""
    return len(list(blocks(messages)))


def problem(block: JSON, where: str) -> str | None:
    """Why a block is not taken; None if it is."""
    kind, source = block["type"], block.get("source")
    where = f"{where}.{kind}.source"
    if not isinstance(source, dict) or source.get("type") != "base64":
        return f"{where}: only base64 is known here"
    said, text = source.get("media_type"), str(source.get("data") or "")
    known = _IMAGE_TYPES if kind == "image" else {"application/pdf": "PDF"}
    if said not in known:
        return f"{where}.base64.media_type: Input should be one of {', '.join(known)}"
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return f"{where}.base64.data: Invalid base64 data"
    if not data:
        return f"{where}.base64.data: {kind} cannot be empty"
    if kind == "document":
        return _document_problem(data, where)
    if len(text) > _IMAGE_BYTES:
        exceeds = f"{len(text)} bytes > {_IMAGE_BYTES} bytes"
        return f"{where}.base64: image exceeds 5 MB maximum: {exceeds}"
    found = _measured(data)
    if found is None:
        return f"{where}.base64.data: Could not process image"
    kind_found, width, height = found
    if kind_found != known[said]:
        is_one = f"appears to be a image/{kind_found.lower()} image"
        return f"{where}.base64.media_type: The image was specified as {said}, but {is_one}"
    if max(width, height) > _MAX_SIDE:
        return f"{where}.base64.data: At least one of the image dimensions exceeds 8000 pixels"
    return None


def many_problem(messages: Sequence[JSON]) -> str | None:
    """Why so many images of such sizes are not taken together."""
    sizes = [size for each in blocks(messages) if (size := _size(each)) is not None]
    if len(sizes) > _FEW and any(max(each) > _SIDE_OF_MANY for each in sizes):
        return "messages: image dimensions exceed 2000 pixels in a request of many images"
    return None


def tokens(messages: Sequence[JSON]) -> int:
    """What the API counts for them, about."""
    counted = 0
    for block in blocks(messages):
        size = _size(block)
        if size is not None:
            counted += -(-_seen(*size) // 750)
        else:
            data = base64.b64decode(block["source"]["data"])
            counted += max(1, len(_PAGES.findall(data))) * _PAGE_TOKENS
    return counted


def _seen(width: int, height: int) -> int:
    """Pixels, after the API has made an image smaller that is too large for it."""
    scale = min(1.0, 1568 / max(width, height), (1_150_000 / (width * height)) ** 0.5)
    return int(width * scale) * int(height * scale)


def _size(block: JSON) -> tuple[int, int] | None:
    if block["type"] != "image":
        return None
    found = _measured(base64.b64decode(block["source"]["data"]))
    return found[1:] if found else None


def _measured(data: bytes) -> tuple[str, int, int] | None:
    """Format and size of an image that can be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(data), formats=list(_IMAGE_TYPES.values())) as image:
                image.load()
                return str(image.format), image.width, image.height
    except Exception:  # noqa: BLE001 - decoders of strangers' bytes raise anything
        return None


def _document_problem(data: bytes, where: str) -> str | None:
    if len(data) > _DOCUMENT_BYTES:
        return f"{where}.base64: PDF is too large"
    if not data.startswith(b"%PDF-"):
        return f"{where}.base64.data: The PDF specified was not valid."
    if b"/Encrypt" in data:
        return f"{where}.base64.data: The PDF specified is password protected."
    return None

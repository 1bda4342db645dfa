"""Pictures that tests make: small files with much or little in them."""

from __future__ import annotations

import io
import random

from PIL import Image


def picture(width: int, height: int, kind: str = "JPEG", *, noise: bool = False) -> bytes:
    """A picture of this size; with `noise` one that cannot be compressed well."""
    if noise:
        raw = random.Random(7).randbytes(width * height * 3)
        image = Image.frombytes("RGB", (width, height), raw)
    else:
        image = Image.new("RGB", (width, height), (30, 120, 200))
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


def jpeg(width: int, height: int) -> bytes:
    """A JPEG of this size."""
    return picture(width, height)

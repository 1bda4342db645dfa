"""Files that somebody made to do harm, or that are not what they are called."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from PIL import Image

from local.simulator.media import SAMPLES

SCRIPT = b"<script>alert(document.cookie)</script>"
SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)">'
    + SCRIPT
    + b"</svg>"
)
HTML = b"<!DOCTYPE html><html><body>" + SCRIPT + b"</body></html>"


def sample(name: str) -> bytes:
    """One of the simulator's files."""
    return (SAMPLES / name).read_bytes()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def gif_and_script() -> bytes:
    """Begins as a GIF, and is a script all the same."""
    return b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)//" + SCRIPT


def photo_and_page() -> bytes:
    """A photo that can be seen, with a page in a comment and behind it."""
    photo = sample("foto.jpg")
    comment = b"\xff\xfe" + struct.pack(">H", len(HTML) + 2) + HTML
    return photo[:2] + comment + photo[2:] + HTML


def photo_and_zip() -> bytes:
    """A photo that is a program's archive, too."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Main-Class: Evil")
    return sample("foto.jpg") + packed.getvalue()


def png_bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A few hundred kB that are gigabytes when they are decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    packer = zlib.compressobj(9)
    line = bytes(1 + (width + 7) // 8)
    rows = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def webp_bomb() -> bytes:
    """A header that promises 16,384 × 16,384 pixels."""
    size = (16_383).to_bytes(3, "little")
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x10\x00\x00\x00" + size + size
    return b"RIFF" + struct.pack("<I", 4 + len(canvas)) + b"WEBP" + canvas


def zip_bomb() -> bytes:
    """An archive whose only file is a thousand times its size."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", bytes(20_000_000))
        archive.writestr("word/document.xml", bytes(20_000_000))
    return packed.getvalue()


def playlist() -> bytes:
    """What a player would open other addresses for."""
    return b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nhttp://127.0.0.1:9/secret\n"


def truncated_video() -> bytes:
    return sample("video.mp4")[:200]

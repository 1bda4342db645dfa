"""The type of a file, of its first bytes: what somebody says it is proves nothing. Pure."""

from __future__ import annotations

import re
import zipfile
from typing import BinaryIO

#: So many bytes are enough.
HEAD = 4096
UNKNOWN = "application/octet-stream"
PDF = "application/pdf"
TEXT = "text/plain"
HTML = "text/html"
SVG = "image/svg+xml"
XML = "application/xml"
ZIP = "application/zip"
_OLE = "application/x-ole-storage"

_STARTS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", PDF),
    (b"OggS", "audio/ogg"),
    (b"#!AMR-WB\n", "audio/amr-wb"),
    (b"#!AMR\n", "audio/amr"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLE),
    (b"{\\rtf", "application/rtf"),
    (b"\x1f\x8b", "application/gzip"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"MZ", "application/vnd.microsoft.portable-executable"),
    (b"\x7fELF", "application/x-elf"),
)
_BRANDS = {
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
}
_OFFICE = "application/vnd.openxmlformats-officedocument"
_IN_ZIP = {
    "word/document.xml": f"{_OFFICE}.wordprocessingml.document",
    "xl/workbook.xml": f"{_OFFICE}.spreadsheetml.sheet",
    "xl/workbook.bin": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "ppt/presentation.xml": f"{_OFFICE}.presentationml.presentation",
}
#: Old office files look alike from outside; which it is, its name says well enough.
_IN_OLE = {
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
}
_MOST_ENTRIES = 2_000
_MOST_DIRECTORY = 4 << 20
_TAG = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|script|iframe|svg|title|meta|a|p|div|table)\b",
    re.IGNORECASE,
)


def mime_type(file: BinaryIO, filename: str | None = None) -> str:
    """The type of a file; `UNKNOWN` where its bytes say nothing.

    Args:
        file: to be read and sought in.
        filename: its name, which says something only among types that look alike.
    """
    file.seek(0)
    head = file.read(HEAD)
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(
            head[8:12], UNKNOWN
        )
    if head[4:8] == b"ftyp":
        return _iso_media(head[8:12])
    found = next((told for start, told in _STARTS if head.startswith(start)), None)
    if found is None:
        return _frames(head) or _text(head)
    ending = (filename or "").rpartition(".")[2].lower()
    if found == ZIP:
        return _zip(file) or found
    return _IN_OLE.get(ending, found) if found == _OLE else found


def _iso_media(brand: bytes) -> str:
    if brand[:3] in (b"3gp", b"3g2"):
        return "video/3gpp"
    return _BRANDS.get(brand, "video/mp4")


def _frames(head: bytes) -> str | None:
    """Sound that begins with its first frame and no header."""
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    layer, bitrate, rate = head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    usable = head[1] & 0xE0 == 0xE0 and layer == 1 and 0 < bitrate < 15 and rate != 3
    return "audio/mpeg" if usable else None


def _text(head: bytes) -> str:
    """Text, and what a browser would run if it were shown as what it is."""
    if b"\x00" in head:
        return UNKNOWN
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if tag := _TAG.search(start):
        return SVG if tag[0].lower() == b"<svg" else HTML
    if start.startswith(b"<?xml"):
        return XML
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else it is a letter that was cut in two
            return UNKNOWN
        text = head[: error.start].decode()
    # An empty one is nothing at all.
    return TEXT if text and all(c.isprintable() or c in "\t\r\n\f" for c in text) else UNKNOWN


def _zip(file: BinaryIO) -> str | None:
    """What is packed in it; nothing is unpacked."""
    try:
        file.seek(-22, 2)
        end = file.read(22)
        # Its directory, which is read whole: not of somebody's gigabytes.
        if end[:4] == b"PK\x05\x06" and int.from_bytes(end[12:16], "little") > _MOST_DIRECTORY:
            return None
        file.seek(0)
        with zipfile.ZipFile(file) as packed:
            names = set(packed.namelist()[:_MOST_ENTRIES])
            if "mimetype" in names and packed.getinfo("mimetype").file_size < 200:
                told = packed.read("mimetype").decode("ascii", "replace").strip()
                if re.fullmatch(r"application/(vnd\.oasis\.opendocument\.[a-z-]+|epub\+zip)", told):
                    return told
        return next((found for name, found in _IN_ZIP.items() if name in names), None)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError):
        return None

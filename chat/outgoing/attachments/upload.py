"""A file on its way to the Graph API: multipart, read piece by piece, within a bounded time."""

from __future__ import annotations

import secrets
import time
from typing import BinaryIO

from chat.media import inspection


class TooSlowError(OSError):
    """The line is so slow that the upload would hold its thread for minutes."""


class MultipartUpload:
    """The form that Meta wants: `messaging_product`, `type` and `file`."""

    def __init__(self, file: BinaryIO, size: int, mime_type: str, seconds: float) -> None:
        """
        Args:
            file: open at its beginning.
            size: of it, bytes.
            mime_type: one that Meta takes, without parameters.
            seconds: how long all of it may take.
        """
        boundary = f"upload-{secrets.token_hex(16)}"
        self.content_type = f"multipart/form-data; boundary={boundary}"
        # For Meta's side, which shows a document's name by what the message says, not by this one.
        name = f"arquivo.{inspection.ending(mime_type)}"
        fields = (("messaging_product", "whatsapp"), ("type", mime_type))
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields
        )
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: {mime_type}\r\n\r\n"
        )
        self._head = head.encode("ascii")
        self._tail = f"\r\n--{boundary}--\r\n".encode("ascii")
        self._file = file
        self._size = size
        self._left = size
        self._ends = time.monotonic() + seconds

    def __len__(self) -> int:
        # What `requests` takes for the length is what is there still, at the beginning: all.
        return len(self._head) + self._left + len(self._tail)

    def read(self, size: int = -1) -> bytes:
        """The next piece; empty at the end.

        Raises:
            TooSlowError: the time is over.
            OSError: the file is shorter than was said.
        """
        if time.monotonic() > self._ends:
            raise TooSlowError
        if self._head:
            piece, self._head = self._head, b""
            return piece
        if self._left:
            most = min(self._left, size if size > 0 else 64 * 1024)
            piece = self._file.read(most)
            if not piece:
                raise OSError("the file ended early")
            self._left -= len(piece)
            return piece
        piece, self._tail = self._tail, b""
        return piece

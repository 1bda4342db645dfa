"""Where files are kept: one interface, here with a folder behind it; `bucket` has the other.

An object is there whole or not at all, and never changes: whoever opens one reads what was put.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,8}")
_UNFINISHED = ".unfinished"
#: What a lost process left unfinished is deleted after so long: no download takes a day.
_ABANDONED_SECONDS = 86_400


class MissingError(LookupError):
    """There is no object of this name."""


class StoreError(Exception):
    """The store of files cannot be reached, or does not take an object; trying again may help."""


class MediaStore(Protocol):
    """Files by name. Safe for many threads.

    Every method may raise `StoreError`.
    """

    def put(self, name: str, chunks: Iterable[bytes], mime_type: str) -> int:
        """Keeps what an iterator gives, and says how many bytes it was.

        What the iterator raises is raised, and then nothing was put: an object that was there
        before is still there.

        Args:
            name: letters, digits, `_`, `-`, `.` and `/`.
            chunks: the content.
            mime_type: what it is, for whoever gets it by an address of its own.
        """

    def open(self, name: str) -> BinaryIO:
        """An object, to be read and sought in; it must be closed.

        Raises:
            MissingError: there is none.
        """

    def size(self, name: str) -> int | None:
        """How many bytes; None where there is none."""

    def copy(self, source: str, target: str) -> None:
        """Puts the same content under another name.

        Raises:
            MissingError: there is no source.
        """

    def delete(self, name: str) -> None:
        """Deletes an object; none is fine."""

    def signed_url(
        self, name: str, *, seconds: int, mime_type: str, disposition: str
    ) -> str | None:
        """An address that gives the object to whoever has it, for so many seconds; None where there
        can be none.

        Args:
            name: the object's.
            seconds: so long.
            mime_type: the `Content-Type` of the answer.
            disposition: its `Content-Disposition`.
        """

    def upload_url(
        self, name: str, *, seconds: int, mime_type: str, size: int
    ) -> UploadAddress | None:
        """An address that takes the object from whoever has it, for so many seconds; None where
        there can be none.

        Args:
            name: the object's.
            seconds: so long.
            mime_type: what it must be said to be.
            size: how many bytes it must have.
        """


@dataclass(frozen=True)
class UploadAddress:
    """Where a browser may put an object by itself: `PUT` with exactly these headers."""

    url: str
    headers: dict[str, str]


def check_name(name: str) -> str:
    """Gives a name back; ValueError for one that could lead out of the store."""
    if not _NAME.fullmatch(name) or len(name) > 300:
        raise ValueError("not the name of an object")
    return name


class FolderStore:
    """Files in a folder of this machine. See `MediaStore`."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder).absolute()
        self._unfinished = self._folder / _UNFINISHED

    def put(self, name: str, chunks: Iterable[bytes], mime_type: str) -> int:  # noqa: ARG002
        with self._place(name) as (file, done):
            for chunk in chunks:
                file.write(chunk)
            size = file.tell()
            done()
            return size

    def open(self, name: str) -> BinaryIO:
        try:
            return self._path(name).open("rb")
        except FileNotFoundError:
            raise MissingError(name) from None
        except OSError as error:
            raise StoreError(type(error).__name__) from error

    def size(self, name: str) -> int | None:
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(type(error).__name__) from error

    def copy(self, source: str, target: str) -> None:
        with self.open(source) as original, self._place(target) as (file, done):
            shutil.copyfileobj(original, file, 1 << 20)
            done()

    def delete(self, name: str) -> None:
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # there is something else in it
                path.parent.rmdir()
        except OSError as error:
            raise StoreError(type(error).__name__) from error

    def signed_url(self, name: str, *, seconds: int, mime_type: str, disposition: str) -> None:  # noqa: ARG002
        return None

    def upload_url(self, name: str, *, seconds: int, mime_type: str, size: int) -> None:  # noqa: ARG002
        return None

    def _path(self, name: str) -> Path:
        return self._folder / check_name(name)

    @contextlib.contextmanager
    def _place(self, name: str):  # type: ignore[no-untyped-def]
        """A file to write, and what puts it under its name; without that call it is forgotten."""
        path = self._path(name)
        try:
            self._unfinished.mkdir(parents=True, exist_ok=True)
            self._sweep()
            part = self._unfinished / secrets.token_hex(8)
            with part.open("wb") as file:
                try:

                    def done() -> None:
                        file.flush()
                        os.fsync(file.fileno())
                        # A folder that has just become empty may be deleted in between.
                        for _ in range(3):
                            path.parent.mkdir(parents=True, exist_ok=True)
                            with contextlib.suppress(FileNotFoundError):
                                part.replace(path)
                                return
                        raise FileNotFoundError(path.parent.name)

                    yield file, done
                finally:
                    part.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(type(error).__name__) from error

    def _sweep(self) -> None:
        old = time.time() - _ABANDONED_SECONDS
        for part in self._unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if part.stat().st_mtime < old:
                    part.unlink()

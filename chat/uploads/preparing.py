"""From a file as an attendant gives it to one that WhatsApp takes, in the store: checked by its
bytes, converted where that helps, and described.

What it is called and what the browser says of its type decide nothing but between what looks alike.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from chat.conversation.attached import media
from chat.conversation.attached.attachment import Attachment
from chat.incoming import words
from chat.media import inspection, objects
from chat.media.contents import sniffing
from chat.media.contents.pictures import THUMB_TYPE
from chat.media.store import MediaStore
from chat.uploads import limits
from chat.uploads.conversion import convert
from chat.uploads.refusals import Refused

_CHUNK = 1 << 18
#: What the screen may ask a file to be sent as.
KINDS = media.KINDS
#: Kinds that are called "audio" by Meta's API.
_META_TYPES = {media.VOICE: "audio"}
#: What is of one message's file alone.
_OWN = ("graph_id", "asked", "given", "thumb", "played")


class TooLargeError(Exception):
    """The file is larger than this kind may be."""

    def __init__(self, kind: str, size: int) -> None:
        super().__init__(kind)
        self.kind, self.size = kind, size


@dataclass(frozen=True)
class Given:
    """A file as it came."""

    size: int
    filename: str | None  # clean
    told_type: str  # as the browser has it; may be anything


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for the files on their way, which is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="chat-upload-") as name:
        yield Path(name)


def kept(file: BinaryIO, path: Path, limit: int) -> tuple[int, str]:
    """Writes a stream to disk, piece by piece; its size and SHA-256.

    Raises:
        TooLargeError: it is larger than `limit`.
    """
    size, digest = 0, hashlib.sha256()
    with path.open("wb") as target:
        while piece := file.read(_CHUNK):
            size += len(piece)
            if size > limit:
                raise TooLargeError(media.DOCUMENT, size)
            digest.update(piece)
            target.write(piece)
    return size, digest.hexdigest()


def kind_of(found: str, told: str) -> str:
    """What a file is sent as when nobody says.

    Args:
        found: its type by its bytes.
        told: its type as the browser has it.
    """
    if found in limits.KINDS["image"].types or found in ("image/heic", "image/heif"):
        return media.IMAGE
    # A recording without a picture looks like a video from outside.
    if found.startswith("audio/") or (found.startswith("video/") and told.startswith("audio/")):
        return media.AUDIO
    return media.VIDEO if found.startswith("video/") else media.DOCUMENT


def look(file: BinaryIO, given: Given, asked_kind: str | None) -> tuple[str, str]:
    """What a file is sent as, and its type by its bytes.

    Args:
        file: to be read and sought in.
        given: what is said of it.
        asked_kind: one of `KINDS`; None: by its type.

    Raises:
        Refused: there is nothing in it.
        TooLargeError: it is too large for its kind.
    """
    if not given.size:
        raise Refused("empty")
    found = sniffing.mime_type(file, given.filename)
    kind = asked_kind or kind_of(found, given.told_type)
    if given.size > limits.KINDS[kind].max_bytes:
        raise TooLargeError(kind, given.size)
    return kind, found


def prepare(
    path: Path, kind: str, found: str, filename: str | None, where: Path
) -> tuple[str, Path, dict[str, Any]]:
    """Checks and converts a file.

    Args:
        path: the file as it came.
        kind: what it is to be sent as; and
        found: its type by its bytes, see `look`.
        filename: what it is called.
        where: a folder for what is made of it.

    Returns:
        its kind, which of a picture that moves is a video; the file to be sent; and what is known
        of it: `mime_type`, `sent_as`, `filename`.

    Raises:
        Refused: it cannot be sent so.
        TooLargeError: it cannot be made small enough.
        chat.uploads.conversion.BusyError: not now.
    """
    if kind == media.DOCUMENT:
        return kind, path, as_document(found, filename)
    if found in ("image/heic", "image/heif"):
        raise Refused("heic")
    if kind in (media.IMAGE, media.STICKER) and found not in limits.IMAGE_TYPES:
        raise Refused("not_an_image" if kind == media.IMAGE else "not_a_sticker")
    made = where / "converted"
    answer = convert(kind, path, made, found)
    if answer.get("moves"):
        kind = media.VIDEO
        convert("animation", path, made, found)
    made = path if answer.get("as_it_is") else made
    size = made.stat().st_size
    if size > limits.KINDS[kind].sent_max_bytes:
        raise TooLargeError(kind, size)
    with made.open("rb") as file:
        mime_type = sniffing.mime_type(file)
    if kind == media.AUDIO and mime_type == "video/mp4":  # without a picture: looked at above
        mime_type = "audio/mp4"
    return kind, made, {"mime_type": mime_type, "sent_as": mime_type}


def as_document(found: str, filename: str | None) -> dict[str, Any]:
    """What is known of a file that goes as a document, as it is. Raises `Refused`."""
    sent_as = document_type(found)
    return {"mime_type": found, "sent_as": sent_as, "filename": named(filename, found)}


def document_type(found: str) -> str:
    """What WhatsApp is told that a document is.

    Args:
        found: its type by its bytes.

    Raises:
        Refused: WhatsApp takes no documents of this type.
    """
    if found in limits.DOCUMENT_TYPES:
        return found
    if found in limits.TEXT_TYPES or found in (sniffing.HTML, sniffing.SVG):
        return sniffing.TEXT  # which it is; its own name goes along
    raise Refused("not_a_document")


def named(filename: str | None, mime_type: str) -> str:
    """A document's name, with an ending that says what it is: phones open it by that."""
    name = filename or "documento"
    ending = inspection.ending(mime_type)
    if (
        mime_type in limits.ENDINGS
        and name.rpartition(".")[2].lower() not in limits.ENDINGS[mime_type]
    ):
        name = f"{name}.{ending}"
    return name


def object_name(client_id: str) -> str:
    """A new name in the store for a file of this message."""
    return f"out/{client_id[:2]}/{client_id}-{secrets.token_hex(4)}"


def put(
    store: MediaStore, name: str, path: Path, kind: str, told: dict[str, Any]
) -> dict[str, Any]:
    """Puts a checked file into the store; what is known of it then.

    Args:
        store: where.
        name: of the object; that of its thumbnail is beside it.
        path: the file.
        kind: one of `KINDS`.
        told: see `prepare`.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:

        def pieces() -> Iterator[bytes]:
            while piece := file.read(_CHUNK):
                digest.update(piece)
                yield piece

        size = store.put(name, pieces(), told["mime_type"])
        known = {"size": size, "sha256": digest.hexdigest()}
        return _described(store, name, file, kind, {**told, **known})


def copy(
    store: MediaStore, source: str, name: str, file: BinaryIO, told: dict[str, Any]
) -> dict[str, Any]:
    """The same of a document that is in the store already, under another name.

    Args:
        store: where.
        source: the name under which it is there.
        name: the one that it gets.
        file: it, open.
        told: see `prepare`, and `size`.
    """
    store.copy(source, name)
    return _described(store, name, file, media.DOCUMENT, told)


def _described(
    store: MediaStore, name: str, file: BinaryIO, kind: str, told: dict[str, Any]
) -> dict[str, Any]:
    found = inspection.inspect(file, kind, told.get("filename"))
    facts = {**found.facts(), **told, "kind": kind, "state": media.READY, "object": name}
    if found.thumb is not None:
        thumb = objects.beside(name, "thumb")
        store.put(thumb, [found.thumb], THUMB_TYPE)
        facts |= {"thumb": thumb, "thumb_type": THUMB_TYPE}
    return facts


def passed_on(store: MediaStore, name: str, facts: dict[str, Any], where: Path) -> dict[str, Any]:
    """Puts the file of another message into an object of its own, as WhatsApp takes it; what is
    known of it then.

    Args:
        store: where both are.
        name: of the new object.
        facts: of the other message's file, which is ready.
        where: a folder for what has to be converted.

    Raises: see `prepare`.
    """
    kind, mime_type = facts["kind"], facts["mime_type"]
    if "sent_as" not in facts and kind != media.DOCUMENT and not passes(kind, facts):
        path = where / "given"
        with store.open(facts["object"]) as file:
            size, _ = kept(file, path, limits.KINDS[media.DOCUMENT].max_bytes)
        with path.open("rb") as file:
            given = Given(size, facts.get("filename"), mime_type)
            kind, found = look(file, given, kind)
        kind, path, told = prepare(path, kind, found, None, where)
        return put(store, name, path, kind, told)
    sent_as = facts.get("sent_as") or (
        document_type(mime_type) if kind == media.DOCUMENT else mime_type
    )
    new = {key: value for key, value in facts.items() if key not in _OWN}
    new |= {**objects.copied(store, facts, name), "sent_as": sent_as}
    if kind == media.DOCUMENT:
        new["filename"] = named(facts.get("filename"), mime_type)
    return new


def passes(kind: str, facts: dict[str, Any]) -> bool:
    """Whether a customer's file can be sent as it is."""
    size = facts.get("size") or 0
    if kind == media.STICKER:
        side = (facts.get("width"), facts.get("height"))
        most = limits.KINDS[kind].sent_max_bytes if facts.get("animated") else limits.STICKER_BYTES
        fits = side == (limits.STICKER_SIDE, limits.STICKER_SIDE) and size <= most
        return fits and facts["mime_type"] == "image/webp"
    types = {
        media.IMAGE: ("image/jpeg", "image/png"),
        media.VIDEO: ("video/mp4", "video/3gpp"),
        media.VOICE: ("audio/ogg",),
        media.AUDIO: limits.AUDIO_SENT_AS_IT_IS,
    }[kind]
    return facts["mime_type"] in types and size <= limits.KINDS[kind].sent_max_bytes


def attachment(facts: dict[str, Any], asked: dict[str, Any]) -> Attachment:
    """A file in the store as a message takes it.

    Args:
        facts: see `put`.
        asked: what the browser asked for, by which a repeat is known.
    """
    kind = _META_TYPES.get(facts["kind"], facts["kind"])
    payload = {"voice": True} if facts["kind"] == media.VOICE else {}
    if facts["kind"] == media.DOCUMENT:
        payload = {"filename": facts["filename"]}
    label = words.placeholder(kind, payload)
    return Attachment(kind, {**facts, "asked": asked}, label, payload or None)

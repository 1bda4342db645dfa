"""The file of a message that we send: given to WhatsApp first, then named in the message.

To give WhatsApp a file twice does no harm, to send a message twice does: so the file goes before
the message counts as begun, and whoever comes after a lost process gives it again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from chat.conversation.attached.media import Facts
from chat.conversation.models import Message
from chat.media import objects
from chat.media.store import MediaStore, MissingError, StoreError
from chat.outgoing.attachments.upload import MultipartUpload
from chat.outgoing.whatsapp import (
    RefusedError,
    UnconfirmedError,
    UnreachableError,
    WhatsAppClient,
)

_log = logging.getLogger(__name__)

#: What one upload may take; 100 MB on a line of 4 Mbit/s.
UPLOAD_SECONDS = 240.0
#: Meta keeps what it was given for 30 days; the rest is for a message that waits.
_KEPT_MS = 29 * 86_400_000
#: An id that Meta does not know any more is one of long ago: a new one was not given for nothing.
_FRESH_MS = 600_000
#: Meta's codes for what may be taken a moment later.
_TEMPORARY = frozenset({2, 4, 80007, 130429, 131000, 131016, 131057})
#: What a message of this id is refused with when Meta has lost the file.
_UNKNOWN_ID = frozenset({100, 131009, 131052, 131053})
MEDIA_ERROR = 131053


@dataclass(frozen=True)
class Given:
    """A step is done; `facts`: what the message's `media` is to say of that."""

    facts: Facts


def has_file(message: Message) -> bool:
    """Whether this is a message of ours that consists of a file."""
    return bool(message.author_id and message.media)


def graph_id_of(message: Message, now_ms: int) -> str | None:
    """The file's id at WhatsApp, if nothing more is to be done before the message is sent; None
    where the file is to be given first, or has been forgotten by now.
    """
    facts = message.media or {}
    given = facts.get("given")
    if not given or facts.get("borrowed") or now_ms - given["at"] > _KEPT_MS:
        return None
    return str(given["id"])


def note_given(message: Message, given: Given | None) -> None:
    """A step is done, or with None: WhatsApp has the file no more. To be put."""
    facts = dict(message.media or {})
    facts.pop("borrowed" if given is not None and "object" in given.facts else "given", None)
    message.media = facts | (given.facts if given is not None else {})


def may_be_forgotten(message: Message, error: RefusedError, now_ms: int) -> bool:
    """Whether this refusal may mean that WhatsApp has lost a file that it was given long ago."""
    given = (message.media or {}).get("given") or {}
    long_ago = now_ms - given.get("at", now_ms) > _FRESH_MS
    return bool(given) and long_ago and error.error.get("code") in _UNKNOWN_ID


def part_of(message: Message, graph_id: str) -> dict[str, Any]:
    """What stands under the message's type."""
    facts = message.media or {}
    part: dict[str, Any] = {"id": graph_id}
    if message.text and message.type in ("image", "video", "document"):
        part["caption"] = message.text
    if message.type == "document":
        part["filename"] = facts.get("filename") or "documento"
    if facts.get("kind") == "voice":
        part["voice"] = True
    return part


def give(
    message: Message, whatsapp: WhatsAppClient, store: MediaStore, now_ms: int
) -> Given | Exception:
    """Takes the next step towards a message that WhatsApp has the file of: a copy of its own, where
    it has none, and the upload.

    Args:
        message: the entity.
        whatsapp: whom to give it.
        store: where it is.
        now_ms: the present.

    Returns:
        what to note of it; `UnreachableError` where trying again may help, `RefusedError` where
        not.
    """
    facts = dict(message.media or {})
    try:
        if "object" not in facts:  # deleted by its age meanwhile
            raise MissingError(message.id)
        if facts.get("borrowed"):
            return Given(_own_copy(message.id, facts, store))
        size = store.size(facts["object"])
        if size is None:
            raise MissingError(facts["object"])
        with store.open(facts["object"]) as file:
            body = MultipartUpload(file, size, facts["sent_as"], UPLOAD_SECONDS)
            return Given({"given": {"id": whatsapp.upload(body), "at": now_ms}})
    except MissingError:
        _log.error("message %s has lost its file", message.id)
        return RefusedError({"code": MEDIA_ERROR, "title": "The file is gone"})
    except StoreError as error:
        _log.warning("message %s waits for its file: %s", message.id, type(error).__name__)
        return UnreachableError()
    except RefusedError as error:
        _log.warning("the file of message %s: %s", message.id, error)
        if error.error.get("code") in _TEMPORARY:
            return UnreachableError()
        return RefusedError(_as_media_error(error.error))
    except (UnreachableError, UnconfirmedError) as error:
        _log.warning("the file of message %s: %s", message.id, type(error).__name__)
        return UnreachableError()


def _own_copy(message_id: str, facts: Facts, store: MediaStore) -> Facts:
    """Objects of its own for a message that was made of another one, which may be deleted before
    it. Under a name that is the same however often this is tried.
    """
    name = f"out/{message_id[:2]}/{message_id}-again"
    return objects.copied(store, facts, name)


def _as_media_error(error: dict[str, Any]) -> dict[str, Any]:
    """Of an upload, "invalid parameter" speaks of the file, and so does HTTP 413."""
    if error.get("code") not in (100, 413, 131009):
        return error
    told = {"details": str(error.get("message") or "")}
    return {**error, "code": MEDIA_ERROR, "error_data": told}

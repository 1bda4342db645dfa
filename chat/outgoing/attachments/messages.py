"""The file of a message that we send: given to WhatsApp first, then named in the message.

To give WhatsApp a file twice does no harm, to send a message twice does: so the file goes before
the message counts as begun, and whoever comes after a lost process gives it again.
"""

from __future__ import annotations

import logging
from typing import Any

from chat.conversation.models import Message
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
_TEMPORARY = frozenset({2, 4, 80007, 130429, 131016, 131057})
#: What a message of this id is refused with when Meta has lost the file.
_UNKNOWN_ID = frozenset({100, 131009, 131052, 131053})
MEDIA_ERROR = 131053


def has_file(message: Message) -> bool:
    """Whether this is a message of ours that consists of a file."""
    return bool(message.author_id and message.media)


def graph_id_of(message: Message, now_ms: int) -> str | None:
    """The file's id at WhatsApp; None where it is still to be given, or forgotten by now."""
    given = (message.media or {}).get("given") or {}
    return given["id"] if now_ms - given.get("at", 0) < _KEPT_MS else None


def note_given(message: Message, graph_id: str | None, now_ms: int) -> None:
    """WhatsApp has the file under this id, or with None: has it no more. To be put."""
    facts = {name: value for name, value in (message.media or {}).items() if name != "given"}
    message.media = facts | ({"given": {"id": graph_id, "at": now_ms}} if graph_id else {})


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


def give(message: Message, whatsapp: WhatsAppClient, store: MediaStore) -> str | Exception:
    """Gives WhatsApp the message's file.

    Returns:
        its id there; `UnreachableError` where trying again may help, `RefusedError` where not.
    """
    facts = message.media or {}
    try:
        size = store.size(facts["object"])
        if size is None:
            raise MissingError(facts["object"])
        with store.open(facts["object"]) as file:
            body = MultipartUpload(file, size, facts["sent_as"], UPLOAD_SECONDS)
            return whatsapp.upload(body)
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


def _as_media_error(error: dict[str, Any]) -> dict[str, Any]:
    """Of an upload, "invalid parameter" speaks of the file."""
    if error.get("code") not in (100, 131009):
        return error
    told = {"details": str(error.get("message") or "")}
    return {**error, "code": MEDIA_ERROR, "error_data": told}

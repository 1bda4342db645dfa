"""The files of the sample conversations, as if they had been fetched when they came."""

from __future__ import annotations

import dataclasses
import hashlib
import os

from chat.conversation.attached import media
from chat.conversation.incoming_message import IncomingMessage
from chat.media.fetching import looked_into, object_name
from chat.media.store import FolderStore
from local.simulator.media import SAMPLES

_FILES = {
    media.IMAGE: "foto.jpg",
    media.VIDEO: "video.mp4",
    media.VOICE: "voz.ogg",
    media.DOCUMENT: "orcamento.pdf",
    media.STICKER: "figurinha.webp",
}


def with_file(message: IncomingMessage) -> IncomingMessage:
    """The message, with a file of its kind in the folder that the environment names; without such
    a folder, or without a file, as it is.
    """
    folder, facts = os.environ.get("MEDIA_FOLDER"), message.media
    if not folder or not facts:
        return message
    data = (SAMPLES / _FILES[facts["kind"]]).read_bytes()
    store, name = FolderStore(folder), object_name(message.wamid)
    size = store.put(name, [data], facts["mime_type"])
    found = looked_into(store, name, facts["kind"], facts.get("filename"))
    digest = hashlib.sha256(data).hexdigest()
    return dataclasses.replace(message, media={**facts, "sha256": digest, "size": size, **found})

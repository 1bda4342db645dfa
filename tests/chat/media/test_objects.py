"""A file and what was made of it go together: copied, named, and so deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.media import objects
from chat.media.fetching import object_name
from chat.media.store import FolderStore, MissingError
from tests.chat.media.support import Files
from tests.chat.support import stored


def test_all_objects_of_a_file_are_known_by_what_is_stored_of_it(files: Files) -> None:
    from chat.conversation.models import Message

    message_id = files.send(b"#!AMR\n" + (b"\x04" + bytes(12)) * 50, "audio", voice=True)
    files.fetch()
    (message,) = stored(Message)
    names = objects.names(message.media)
    there = {
        name for name in objects.to_come(object_name(message_id)) if files.media.store.size(name)
    }
    assert names == there == {object_name(message_id), f"{object_name(message_id)}.played"}


def test_a_copy_is_whole(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    facts = {"object": "in/a", "thumb": "in/a.thumb", "kind": "image"}
    for name in objects.names(facts):
        store.put(name, [name.encode()], "image/jpeg")
    copy = objects.copied(store, facts, "out/b")
    assert copy == {"object": "out/b", "thumb": "out/b.thumb"}
    for name in objects.names(facts):
        store.delete(name)
    with store.open("out/b.thumb") as file:
        assert file.read() == b"in/a.thumb"
    with pytest.raises(MissingError):
        objects.copied(store, facts, "out/c")
    assert objects.names(None) == objects.names({"state": "pending"}) == set()

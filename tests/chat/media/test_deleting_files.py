"""Files go with their messages, or by age; what is being fetched meanwhile comes to nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chat.conversation.models import Message
from chat.media.fetching import MediaFetch
from chat.media.store import FolderStore, StoreError
from chat.platform import datastore
from chat.retention import deletion, expiry
from chat.retention.settings import RetentionSettings
from tests.chat.media.support import Files
from tests.chat.support import published, stored
from tests.chat.test_retention import Clock, clock, the_chat, to_the_end
from tests.pictures import jpeg

__all__ = ["clock"]  # fixtures

pytestmark = pytest.mark.store


def kept(folder: Path) -> list[Path]:
    """All files that the store of files has."""
    return [each for each in folder.rglob("*") if each.is_file()]


def run(files: Files, **days: int) -> int:
    with files.app.app_context(), datastore.context(seconds=60):
        return expiry.run(RetentionSettings(**days), 30)


def test_files_go_with_their_customer(files: Files, clock: Clock, media_folder: Path) -> None:
    voice = b"#!AMR\n" + (b"\x04" + bytes(12)) * 100
    for _ in range(3):
        files.send(jpeg(400, 300))
    files.send(voice, "audio", "audio/amr", voice=True)
    assert files.fetch() == 4
    assert len(kept(media_folder)) == 8  # and thumbnails, and the sound in another form
    photo = stored(Message)[0].id
    assert files.get(photo).status_code == 200
    with files.app.app_context(), datastore.context():
        deletion.begin(the_chat().id, "ana")
    assert files.get(photo).status_code == 404  # before it was deleted
    record = to_the_end(files.app, clock)
    assert kept(media_folder) == []
    assert (record.messages, record.media) == (4, 4)


def test_what_is_being_fetched_does_not_stay(
    files: Files, clock: Clock, media_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.send(jpeg(400, 300))
    put = FolderStore.put

    def put_late(self: FolderStore, *args: Any) -> int:
        # The customer's data are deleted while the last bytes come.
        if stored(Message):
            with files.app.app_context(), datastore.context(seconds=60):
                deletion.begin(the_chat().id, "ana")
                deletion.work_off(60)
        return put(self, *args)

    monkeypatch.setattr(FolderStore, "put", put_late)
    files.fetch()
    assert stored(Message) == []
    assert stored(MediaFetch) == []
    record = to_the_end(files.app, clock)
    assert record.done_at
    assert kept(media_folder) == []


def test_a_store_of_files_that_is_away_is_waited_for(
    files: Files, clock: Clock, media_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.send(jpeg(400, 300))
    files.fetch()
    with monkeypatch.context() as patch:

        def away(_self: FolderStore, _name: str) -> None:
            raise StoreError("away")

        patch.setattr(FolderStore, "delete", away)
        with files.app.app_context(), datastore.context():
            deletion.begin(the_chat().id, "ana")
            deletion.work_off(60)
    assert len(stored(Message)) == 1
    clock.pass_(61_000)
    record = to_the_end(files.app, clock)
    assert kept(media_folder) == []
    assert stored(Message) == []
    assert (record.messages, record.media) == (1, 1)


def test_old_files_go_and_their_messages_stay(
    files: Files, clock: Clock, media_folder: Path
) -> None:
    day = 86_400
    old = files.send(jpeg(400, 300), at=files.now() - 6 * day, caption="a nota")
    new = files.send(jpeg(400, 300), at=files.now() - day)
    assert files.fetch() == 2
    assert run(files, media_days=3) == 1
    facts = files.facts(old)
    assert (facts["state"], facts["reason"]) == ("unavailable", "deleted")
    assert "foi apagado" in facts["explanation"]
    assert "preview" not in facts
    assert facts["thumb"] is False
    assert files.message(old)["text"] == "a nota"
    assert files.get(old).status_code == 404
    assert files.get(new).status_code == 200
    assert len(kept(media_folder)) == 2
    assert published("message.updated")[-1].conversation_id == the_chat().id
    # What comes late, with an old time, is looked at still.
    late = files.send(jpeg(400, 300), at=files.now() - 5 * day)
    files.fetch()
    clock.pass_(2 * 3_600_000)
    assert run(files, media_days=3) == 1
    assert files.facts(late)["reason"] == "deleted"
    clock.pass_(2 * 3_600_000)
    assert run(files, media_days=3) == 0


def test_old_messages_take_their_files_along(
    files: Files, clock: Clock, media_folder: Path
) -> None:
    old = files.send(jpeg(400, 300), at=files.now() - 6 * 86_400)
    new = files.send(jpeg(400, 300), at=files.now() - 60)
    files.fetch()
    assert run(files, messages_days=3) == 1
    assert files.get(old).status_code == 404
    assert files.get(new).status_code == 200
    assert len(kept(media_folder)) == 2

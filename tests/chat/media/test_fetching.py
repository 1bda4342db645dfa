"""From the webhook into the store: what customers send is fetched once, checked, and told."""

from __future__ import annotations

from local.simulator.media import SAMPLES
from tests.chat.media.support import Files
from tests.chat.support import published


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def test_a_photo_is_pending_at_once_and_ready_when_it_was_fetched(files: Files) -> None:
    photo = sample("foto.jpg")
    message_id = files.send(photo, caption="o recibo")
    message = files.message(message_id)
    assert message["media"] == {
        "kind": "image",
        "state": "pending",
        "mime_type": "image/jpeg",
        "size": None,
        "thumb": False,
    }
    assert message["text"] == "o recibo"
    assert files.get(message_id).get_json()["error"]["code"] == "pending"
    files.fetch()
    facts = files.facts(message_id)
    assert facts["state"] == "ready", facts
    assert (facts["width"], facts["height"], facts["size"]) == (640, 480, len(photo))
    assert facts["preview"].startswith("data:image/webp;base64,")
    assert len(facts["preview"]) <= 800
    assert files.get(message_id).data == photo
    thumb = files.get(message_id, "?size=thumb")
    assert thumb.mimetype == "image/webp"
    assert published("message.updated")

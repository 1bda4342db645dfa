"""What the page gets of files, places and cards, of new messages and of old ones."""

from __future__ import annotations

import time
from typing import Any

import pytest
from google.cloud import ndb

from chat.conversation.attached import cards, media
from chat.conversation.models import Message
from chat.media.earlier import MediaProgress
from chat.media.fetching import MediaFetch
from chat.platform import datastore
from tests.chat.media.hostile import sample
from tests.chat.media.support import Files
from tests.chat.support import stored

pytestmark = pytest.mark.store
DAY = 86_400


def as_before(files: Files, *message_ids: str) -> None:
    """The messages as they were stored before files were kept."""
    with datastore.context():
        for message_id in message_ids:
            message = datastore.get(Message, message_id)
            assert message is not None
            message.media = None
            message.put()
        ndb.delete_multi([each.key for each in MediaFetch.query()])
    files.queue.waiting.clear()


def test_a_place_is_told(files: Files) -> None:
    body = {"latitude": -23.56, "longitude": "-46.65", "name": "MASP", "address": "Paulista, 1578",
            "url": "https://masp.org.br/"}  # fmt: skip
    message = files.message(files.tell("location", body))
    assert message["location"] == {**body, "longitude": -46.65}
    assert message["placeholder"] == "📍 MASP"
    assert "media" not in message


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"latitude": 91, "longitude": 0}, {"latitude": "nan", "longitude": 0},
     {"latitude": 1}, {"latitude": 1, "longitude": -181}, {"latitude": True, "longitude": [1]}],
)  # fmt: skip
def test_what_is_no_place_on_earth_is_not_told(body: Any) -> None:
    assert cards.place_of(body) is None


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil", "http://[", 7]
)
def test_a_places_link_is_one_of_the_web(url: Any) -> None:
    assert cards.place_of({"latitude": 1, "longitude": 2, "url": url}) == {
        "latitude": 1.0,
        "longitude": 2.0,
    }


def test_cards_are_told(files: Files) -> None:
    body = [
        {
            "name": {"formatted_name": "Jorge"},
            "phones": [{"phone": "+55 11 9", "type": "CELL", "wa_id": "55119"}, {"wa_id": "5521"}],
            "emails": [{"email": "j@x.example", "type": "WORK"}, {"email": ""}],
            "org": {"company": "Oficina"},
        },
        {"phones": ["+1 2"]},
        {"name": {}, "phones": None},
        "nobody",
    ]
    message = files.message(files.tell("contacts", body))
    assert message["contacts"] == [
        {
            "name": "Jorge",
            "phones": [{"phone": "+55 11 9", "type": "CELL"}, {"phone": "5521"}],
            "emails": [{"email": "j@x.example", "type": "WORK"}],
            "organization": "Oficina",
        },
        {"name": "", "phones": [{"phone": "+1 2"}]},
    ]


def test_an_old_message_has_a_file_too_and_it_is_fetched(files: Files) -> None:
    young = files.send(sample("foto.jpg"), caption="de ontem", at=int(time.time()) - DAY)
    gone = files.send(sample("foto.jpg"), at=int(time.time()) - 8 * DAY)
    text = files.tell("text", {"body": "oi"}, at=int(time.time()) - 2 * DAY)
    as_before(files, young, gone, text)
    assert files.facts(young)["state"] == "pending"
    facts = files.facts(gone)
    assert (facts["state"], facts["reason"], facts["kind"]) == ("unavailable", "expired", "image")
    assert "media" not in files.message(text)
    files.sweep()  # finds it, and leaves it to the queue or the next sweep
    assert [each.key.id() for each in stored(MediaFetch)] in ([young], [])
    with datastore.context():
        for fetch in MediaFetch.query():
            fetch.due_at = 1
            fetch.put()
    files.sweep()
    assert files.facts(young)["state"] == "ready"
    assert files.message(young)["text"] == "de ontem"
    assert files.get(young).data == sample("foto.jpg")
    assert files.facts(gone)["state"] == "unavailable"


def test_old_messages_are_looked_at_once(files: Files) -> None:
    message_id = files.send(sample("foto.jpg"), at=int(time.time()) - DAY)
    as_before(files, message_id)
    for _ in range(3):
        files.sweep()
    (progress,) = stored(MediaProgress)
    assert progress.done
    as_before(files, message_id)
    files.sweep()
    assert stored(MediaFetch) == [], "it is known to be done"


def test_old_messages_are_looked_at_some_at_a_time(files: Files) -> None:
    ids = [files.send(b"x", at=int(time.time()) - DAY + number) for number in range(60)]
    as_before(files, *ids)
    with files.app.app_context(), datastore.context():
        earlier = files.media._earlier
        assert earlier.run(60, most_read=50) == 50
        assert earlier.run(60, most_read=50) == 10
        assert earlier.run(60, most_read=50) == 0
    assert {each.key.id() for each in stored(MediaFetch)} == set(ids)


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("image", {"id": "1", "mime_type": "image/JPEG; x=y"}, ("image", "pending", "image/jpeg")),
        ("audio", {"id": "1", "voice": True}, ("voice", "pending", "")),
        ("audio", {"id": "1", "voice": "true"}, ("audio", "pending", "")),
        ("video", {"id": 17}, ("video", "pending", "")),
        ("sticker", None, ("sticker", "unavailable", "")),
        ("document", {"id": "a\nb"}, ("document", "unavailable", "")),
        ("document", {"id": ["1"], "mime_type": 5}, ("document", "unavailable", "")),
    ],
)
def test_whatever_whatsapp_tells_of_a_file_can_be_read(
    kind: str, body: Any, expected: tuple[str, str, str]
) -> None:
    facts = media.told_by(kind, body)
    assert facts is not None
    assert (facts["kind"], facts["state"], facts["mime_type"]) == expected
    told = media.as_json(facts)
    assert ("explanation" in told) == (facts["state"] == "unavailable")


@pytest.mark.parametrize("kind", ["text", "location", "voice", "reaction", "", "unsupported"])
def test_other_messages_have_no_file(kind: str) -> None:
    assert media.told_by(kind, {"id": "1"}) is None


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.2, "0:01"), (12, "0:12"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03")],
)
def test_a_length_as_people_read_it(seconds: float, shown: str) -> None:
    assert media.clock(seconds) == shown


def test_the_list_says_what_it_is_and_the_caption_behind(files: Files) -> None:
    for kind, body, shown in (
        ("image", {"id": "1"}, "📷 Foto"),
        ("image", {"id": "1", "caption": "o recibo"}, "📷 o recibo"),
        ("video", {"id": "1"}, "🎥 Vídeo"),
        ("document", {"id": "1", "filename": "nome.pdf"}, "📄 nome.pdf"),
        ("sticker", {"id": "1"}, "Figurinha"),
    ):
        files.tell(kind, body)
        (conversation,) = files.ana.conversations()
        assert conversation["last_message"]["text"] == shown

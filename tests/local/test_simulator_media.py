"""Files that customers send: what the webhook tells, what the download gives, and what can fail."""

from __future__ import annotations

import base64
import hashlib
import io
from typing import Any

import pytest
import requests

from local.simulator.files import SAMPLE_FILES, kind_of
from tests.local.simulator_world import MARIA, NUMBER_ID, TOKEN, World, make_simulator

AUTH = {"Authorization": f"Bearer {TOKEN}"}
JSON = dict[str, Any]


def told(world: World) -> list[JSON]:
    """The messages that the webhook was told."""
    world.advance(1)
    return world.hook.values("messages")


def fetched(world: World, media_id: str) -> tuple[JSON, Any]:
    """What the Graph API says of a file, and its download."""
    found = world.http.get(f"/v26.0/{media_id}", headers=AUTH).json
    return found, world.http.get(found["url"].partition("localhost")[2], headers=AUTH)


def send_file(world: World, data: bytes, name: str = "x.bin", **form: Any) -> Any:
    form = {"file": (io.BytesIO(data), name), **form}
    return world.http.post(f"/customers/{MARIA}/media", data=form)


@pytest.mark.parametrize(
    ("kind", "sample"), [(kind, name) for kind, names in SAMPLE_FILES.items() for name in names]
)
def test_each_sample_is_a_file_that_can_be_fetched(world: World, kind: str, sample: str) -> None:
    world.write(text="", type=kind, sample=sample)
    (message,) = told(world)
    part = message[kind]
    assert part["mime_type"] == SAMPLE_FILES[kind][sample]
    answer, download = fetched(world, part["id"])
    digest = hashlib.sha256(download.data).digest()
    assert part["sha256"] == base64.b64encode(digest).decode()
    assert (answer["sha256"], answer["file_size"]) == (digest.hex(), len(download.data))
    assert (part.get("voice"), part.get("animated"), part.get("filename")) == {
        "audio": (sample == "voz.ogg", None, None),
        "sticker": (None, sample == "figurinha-animada.webp", None),
        "document": (None, None, sample),
    }.get(kind, (None, None, None))


def test_a_sample_of_another_type_is_refused(world: World) -> None:
    body = {"type": "image", "sample": "voz.ogg"}
    answer = world.http.post(f"/customers/{MARIA}/messages", json=body)
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "sample")


def test_the_photos_of_an_album_differ(world: World) -> None:
    world.write(text="da festa", type="image", count=3)
    parts = [message["image"] for message in told(world)]
    assert len({part["sha256"] for part in parts}) == 3
    assert [part["caption"] for part in parts] == ["da festa 1", "da festa 2", "da festa 3"]


def test_any_file_is_sent_as_the_form_says(world: World) -> None:
    page = b"<script>alert(1)</script>"
    form = {"mime_type": "image/jpeg", "caption": "foto", "sha256": "AAAA"}
    assert send_file(world, page, "../pagina.html", **form).status_code == 201
    (message,) = told(world)
    part = message["image"]
    assert (part["mime_type"], part["caption"], part["sha256"]) == ("image/jpeg", "foto", "AAAA")
    _, download = fetched(world, part["id"])
    assert (download.data, download.mimetype) == (page, "image/jpeg")


@pytest.mark.parametrize(
    ("name", "told_type", "kind", "mime_type"),
    [
        ("praia.JPG", "application/octet-stream", "image", "image/jpeg"),
        ("praia.jpg", "text/plain", "document", "text/plain"),
        ("nada", "application/octet-stream", "document", "application/octet-stream"),
    ],
)
def test_a_file_without_a_type_has_that_of_its_name(
    world: World, name: str, told_type: str, kind: str, mime_type: str
) -> None:
    send_file(world, b"", file=[(io.BytesIO(b"a"), name, told_type)])
    (message,) = told(world)
    assert message[kind]["mime_type"] == mime_type


def test_several_files_are_several_messages(world: World) -> None:
    files = [(io.BytesIO(b"a"), "a.pdf", "application/pdf"), (io.BytesIO(b"b"), "b.txt")]
    answer = send_file(world, b"", file=files, caption="dois")
    assert len(answer.json["ids"]) == 2
    parts = [message["document"] for message in told(world)]
    assert [(part["filename"], part.get("caption")) for part in parts] == [
        ("a.pdf", "dois"),
        ("b.txt", None),
    ]


def test_a_large_file_is_made_of_zeros(world: World) -> None:
    send_file(world, b"%PDF-1.4", "grande.pdf", size="3000000")
    (message,) = told(world)
    answer, download = fetched(world, message["document"]["id"])
    assert answer["file_size"] == len(download.data) == 3_000_000
    assert hashlib.sha256(download.data).hexdigest() == answer["sha256"]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"file": None}, "file"),
        ({"size": "many"}, "size"),
        ({"type": "text"}, "type"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_form_that_cannot_be_is_refused(world: World, form: JSON, field: str) -> None:
    data = {"file": (io.BytesIO(b"x"), "x.bin"), **form}
    data = {name: value for name, value in data.items() if value is not None}
    answer = world.http.post(f"/customers/{MARIA}/media", data=data)
    assert (answer.status_code, answer.json["error"]["field"]) == (422, field)


def test_a_file_that_has_expired_is_unknown_to_the_graph_api(world: World) -> None:
    world.write(text="", type="image")
    media_id = told(world)[0]["image"]["id"]
    world.http.patch("/switches", json={"media_expired": {"times": 1}})
    answer = world.http.get(f"/v26.0/{media_id}", headers=AUTH)
    assert (answer.status_code, answer.json["error"]["error_subcode"]) == (400, 33)
    assert world.http.get(f"/v26.0/{media_id}", headers=AUTH).status_code == 200


def test_a_download_with_a_wrong_sha256_differs_by_a_byte(world: World) -> None:
    world.write(text="", type="image")
    media_id = told(world)[0]["image"]["id"]
    world.http.patch("/switches", json={"media_wrong_sha256": {"times": 1}})
    answer, download = fetched(world, media_id)
    assert hashlib.sha256(download.data).hexdigest() != answer["sha256"]
    assert len(download.data) == answer["file_size"]
    again = fetched(world, media_id)[1]
    assert hashlib.sha256(again.data).hexdigest() == answer["sha256"]


def test_a_download_can_fail(world: World) -> None:
    world.write(text="", type="image")
    media_id = told(world)[0]["image"]["id"]
    world.http.patch("/switches", json={"media_fail": {"http_status": 502, "times": 1}})
    assert fetched(world, media_id)[1].status_code == 502
    assert fetched(world, media_id)[1].status_code == 200


def test_a_slow_download_takes_its_time_and_is_whole(world: World) -> None:
    world.write(text="", type="image")
    media_id = told(world)[0]["image"]["id"]
    world.http.patch("/switches", json={"media_slow": {"seconds": 1, "times": 1}})
    answer, download = fetched(world, media_id)
    assert len(download.data) == answer["file_size"]
    assert hashlib.sha256(download.data).hexdigest() == answer["sha256"]
    assert len(list(download.response)) > 10


def test_a_download_can_break_off() -> None:
    with make_simulator(None) as simulator:
        simulator.switches.change({"media_fail": {"cut_after": 1000}})
        stored = simulator.media.add(bytes(50_000), "image/jpeg", "x.jpg")
        found = requests.get(f"{simulator.url}/{stored.id}", headers=AUTH, timeout=30).json()
        with pytest.raises(requests.RequestException):
            requests.get(found["url"], headers=AUTH, timeout=30)


@pytest.mark.parametrize(
    ("mime_type", "kind"),
    [("image/png", "image"), ("image/webp", "sticker"), ("audio/ogg", "audio"),
     ("video/mp4", "video"), ("application/pdf", "document"), ("", "document")],
)  # fmt: skip
def test_a_file_is_sent_as_its_type_wants(mime_type: str, kind: str) -> None:
    assert kind_of(mime_type) == kind


def test_the_phones_page_runs_nothing_of_a_file(world: World) -> None:
    send_file(world, b"<script>alert(1)</script>", "x.html", mime_type="text/html")
    media_id = told(world)[0]["document"]["id"]
    answer = world.http.get(f"/phone/media/{media_id}")
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert NUMBER_ID not in answer.text

"""What an attendant's browser gets of a file, and what it may do with it."""

from __future__ import annotations

from typing import Any

import pytest

from chat.media.fetching import object_name
from chat.screen.media import serving
from local.simulator import Simulator
from tests.chat.media import hostile
from tests.chat.media.hostile import sample
from tests.chat.media.support import Files

pytestmark = pytest.mark.store
SANDBOX = "sandbox; default-src 'none'"


@pytest.fixture
def voice(files: Files) -> str:
    """A voice note that was fetched."""
    message_id = files.send(sample("voz.ogg"), "audio", "audio/ogg; codecs=opus", voice=True)
    files.fetch()
    return message_id


def test_what_may_be_shown_is_shown_as_what_it_is(files: Files, voice: str) -> None:
    answer = files.get(voice)
    assert answer.status_code == 200
    assert answer.data == sample("voz.ogg")
    headers = answer.headers
    assert headers["Content-Type"] == "audio/ogg"
    assert headers["Content-Disposition"] == "inline"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == SANDBOX
    assert headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Length"] == str(len(answer.data))


@pytest.mark.parametrize(
    ("wanted", "status", "content_range", "part"),
    [
        ("bytes=0-", 206, "bytes 0-4972/4973", slice(0, None)),
        ("bytes=100-199", 206, "bytes 100-199/4973", slice(100, 200)),
        ("bytes=4900-9999", 206, "bytes 4900-4972/4973", slice(4900, None)),
        ("bytes=-73", 206, "bytes 4900-4972/4973", slice(4900, None)),
        ("bytes=5000-", 416, "bytes */4973", None),
        ("bytes=4973-4973", 416, "bytes */4973", None),
        # Not understood, or several: the whole.
        ("bytes=0-1,5-6", 200, None, slice(0, None)),
        ("lines=0-1", 200, None, slice(0, None)),
        ("bytes=b-a", 200, None, slice(0, None)),
    ],
)
def test_ranges(
    files: Files, voice: str, wanted: str, status: int, content_range: str | None, part: slice
) -> None:
    answer = files.get(voice, Range=wanted)
    assert (answer.status_code, answer.headers.get("Content-Range")) == (status, content_range)
    if part is not None:
        assert answer.data == sample("voz.ogg")[part]
        assert answer.headers["Content-Length"] == str(len(answer.data))


def test_a_long_range_is_answered_in_pieces(
    files: Files, voice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "PIECE_BYTES", 1000)
    content, start = b"", 0
    while start < 4973:
        answer = files.get(voice, Range=f"bytes={start}-")
        assert answer.status_code == 206
        assert len(answer.data) <= 1000
        content += answer.data
        start = int(answer.headers["Content-Range"].split("-")[1].split("/")[0]) + 1
    assert content == sample("voz.ogg")


def test_what_is_known_is_not_sent_again(files: Files, voice: str) -> None:
    etag = files.get(voice).headers["ETag"]
    answer = files.get(voice, **{"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")


def test_head_says_how_long_it_is(files: Files, voice: str) -> None:
    answer = files.ana.client.head(f"/api/messages/{voice}/media", buffered=True)
    assert (answer.status_code, answer.headers["Content-Length"], answer.data) == (200, "4973", b"")


def test_a_download_has_a_name(files: Files, voice: str) -> None:
    disposition = files.get(voice, "?download=1").headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename=voz-")
    assert disposition.endswith(".ogg")


def test_a_documents_own_name_is_kept(files: Files) -> None:
    message_id = files.send(
        sample("orcamento.pdf"), "document", "application/pdf", filename="Orçamento nº 3.pdf"
    )
    files.fetch()
    answer = files.get(message_id)
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="Orcamento no 3.pdf"; '
        "filename*=UTF-8''Or%C3%A7amento%20n%C2%BA%203.pdf"
    )
    facts = files.facts(message_id)
    assert (facts["filename"], facts["pages"], facts["thumb"]) == ("Orçamento nº 3.pdf", 1, False)
    assert files.get(message_id, "?size=thumb").status_code == 404


@pytest.mark.parametrize(
    ("data", "kind", "mime_type"),
    [
        (hostile.SVG, "image", "image/svg+xml"),
        (hostile.SVG, "image", "image/png"),
        (hostile.HTML, "image", "image/jpeg"),
        (hostile.HTML, "document", "text/html"),
        (hostile.HTML, "document", "application/pdf"),
        (hostile.HTML, "sticker", "image/webp"),
        (hostile.HTML, "video", "video/mp4"),
        (hostile.gif_and_script(), "image", "image/gif"),
        (hostile.png_bomb(8_000, 8_000), "image", "image/png"),
        (hostile.webp_bomb(), "sticker", "image/webp"),
        (hostile.playlist(), "video", "video/mp4"),
        (b"MZ" + bytes(100), "image", "image/jpeg"),
    ],
)
def test_what_is_no_picture_is_only_to_be_kept(
    files: Files, data: bytes, kind: str, mime_type: str
) -> None:
    message_id = files.send(data, kind, mime_type)
    files.fetch()
    facts = files.facts(message_id)
    assert (facts["state"], facts["kind"], facts["thumb"]) == ("ready", "document", False)
    answer = files.get(message_id)
    assert answer.data == data
    assert answer.mimetype in ("application/octet-stream", "text/plain")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == SANDBOX


def test_a_photo_with_a_page_in_it_is_a_photo_and_its_thumbnail_has_no_page(files: Files) -> None:
    message_id = files.send(hostile.photo_and_page())
    files.fetch()
    answer = files.get(message_id)
    assert (answer.mimetype, answer.headers["Content-Disposition"]) == ("image/jpeg", "inline")
    thumb = files.get(message_id, "?size=thumb")
    assert thumb.mimetype == "image/webp"
    assert b"script" not in thumb.data
    assert thumb.headers["Content-Security-Policy"] == SANDBOX


def test_a_hundred_megabytes_come_in_pieces(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is made of zeros on the way; nowhere is it whole in memory."""
    import tracemalloc

    from local.simulator.files import Sparse

    size = 100_000_000
    stored = Sparse(files.whatsapp.media.new_id(), b"%PDF-1.4\n", "application/pdf", "g.pdf",
                    zeros=size - 9)  # fmt: skip
    files.whatsapp.media.keep(stored)
    message_id = files.tell("document", {"id": stored.id, "sha256": stored.webhook_sha256})
    tracemalloc.start()
    try:
        files.fetch()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 20_000_000
    facts = files.facts(message_id)
    assert (facts["state"], facts["size"]) == ("ready", size)
    whole = files.ana.client.get(f"/api/messages/{message_id}/media")
    assert whole.headers["Content-Length"] == str(size)
    assert sum(len(part) for part in whole.iter_encoded()) == size
    whole.close()
    last = files.get(message_id, Range="bytes=99999990-")
    assert (last.status_code, last.data) == (206, bytes(10))


class Addressed:
    """A store with addresses of its own, as a bucket is."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def signed_url(self, name: str, *, seconds: int, mime_type: str, disposition: str) -> str:
        return f"https://bucket.example/{name}?{seconds}&{mime_type}&{disposition}"


def test_what_app_engine_cannot_pass_on_comes_from_the_bucket_itself(
    files: Files, voice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.media._store = Addressed(files.media.store)  # type: ignore[assignment]
    assert files.get(voice).status_code == 200
    monkeypatch.setattr(serving, "MAX_RESPONSE_BYTES", 1000)
    answer = files.get(voice, "?download=1")
    assert answer.status_code == 302
    url = answer.headers["Location"]
    assert url.startswith(f"https://bucket.example/{object_name(voice)}?300&audio/ogg&attachment")
    assert answer.headers["Cache-Control"] == "no-store"
    # A player asks for ranges, which fit.
    assert files.get(voice, Range="bytes=0-").status_code == 206


def test_without_a_login_there_is_nothing(files: Files, voice: str) -> None:
    for path in (f"/api/messages/{voice}/media", f"/api/messages/{voice}/media?size=thumb"):
        answer = files.app.test_client().get(path)
        assert answer.status_code == 401
        assert answer.get_json()["error"]["code"] == "login_required"


@pytest.mark.parametrize("message_id", ["nobody", "__x__", "x" * 2000, "%00", "wamid.text"])
def test_a_message_without_a_file_is_not_found(files: Files, message_id: str) -> None:
    files.tell("text", {"body": "oi"})
    assert files.get(message_id).status_code == 404
    assert files.get("wamid.file1").status_code == 404


def test_a_size_that_is_not_there_is_refused(files: Files, voice: str) -> None:
    assert files.get(voice, "?size=huge").status_code == 422
    assert files.get(voice, "?size=thumb").status_code == 404


def test_an_object_that_was_deleted_is_unavailable(files: Files, voice: str) -> None:
    files.media.store.delete(object_name(voice))
    answer = files.get(voice)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "unavailable")


def test_a_store_that_is_away_is_told(files: Files, voice: str, whatsapp: Simulator) -> None:
    from chat.media.store import StoreError

    class Away:
        def open(self, _name: str) -> Any:
            raise StoreError("away")

    files.media._store = Away()  # type: ignore[assignment]
    answer = files.get(voice)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "media_unavailable")


def test_an_amr_is_played_as_something_else_and_downloaded_as_it_is(files: Files) -> None:
    amr = b"#!AMR\n" + (b"\x04" + bytes(12)) * 100
    message_id = files.send(amr, "audio", "audio/amr", voice=True)
    files.fetch()
    assert files.facts(message_id)["mime_type"] == "audio/amr"
    assert files.get(message_id).mimetype == "audio/mp4"
    kept = files.get(message_id, "?download=1")
    assert (kept.mimetype, kept.data) == ("audio/amr", amr)

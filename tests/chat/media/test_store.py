"""Where files are kept: a folder and a bucket hold the same contract."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import credentials as auth_credentials
from google.cloud import storage
from google.cloud.storage import fileio
from google.oauth2 import service_account

from chat.media import bucket as bucket_module
from chat.media.bucket import CHUNK, BucketStore
from chat.media.settings import MediaSettings
from chat.media.store import FolderStore, MediaStore, MissingError, StoreError
from chat.platform.settings import SettingsError
from tests.chat.media.bucket_server import BucketServer

NAME = "in/ab/cdef"


@pytest.fixture
def bucket() -> Iterator[BucketServer]:
    server = BucketServer().start()
    yield server
    server.stop()


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, bucket: BucketServer) -> MediaStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "files")
    return BucketStore("files", bucket.client())


def read(store: MediaStore, name: str = NAME) -> bytes:
    with store.open(name) as file:
        return file.read()


def test_what_is_put_can_be_read(store: MediaStore) -> None:
    assert store.put(NAME, [b"abc", b"", b"def"], "text/plain") == 6
    assert read(store) == b"abcdef"
    assert store.size(NAME) == 6


def test_an_object_can_be_sought_in(store: MediaStore) -> None:
    content = bytes(range(256)) * 20_000  # several pieces of the bucket's
    assert len(content) > 4 * CHUNK
    store.put(NAME, (content[start : start + 70_000] for start in range(0, len(content), 70_000)),
              "application/octet-stream")  # fmt: skip
    with store.open(NAME) as file:
        assert file.seek(0, 2) == len(content)
        file.seek(3_000_001)
        assert file.read(5) == content[3_000_001:3_000_006]
        file.seek(0)
        assert file.read() == content


def test_an_empty_object_is_one(store: MediaStore) -> None:
    assert store.put(NAME, [], "text/plain") == 0
    assert store.size(NAME) == 0
    assert read(store) == b""


@pytest.mark.parametrize("size", [10, 3 * CHUNK + 1])
def test_what_breaks_off_is_not_there(store: MediaStore, size: int) -> None:
    def breaking(content: bytes) -> Iterator[bytes]:
        yield content
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.put(NAME, breaking(bytes(size)), "text/plain")
    assert store.size(NAME) is None
    with pytest.raises(MissingError):
        store.open(NAME)
    store.put(NAME, [b"old"], "text/plain")
    with pytest.raises(ZeroDivisionError):
        store.put(NAME, breaking(bytes(size)), "text/plain")
    assert read(store) == b"old"


def test_putting_again_replaces_the_whole(store: MediaStore) -> None:
    store.put(NAME, [b"a long one"], "text/plain")
    store.put(NAME, [b"short"], "text/plain")
    assert read(store) == b"short"


def test_who_reads_while_it_is_replaced_reads_one_of_both(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put(NAME, [b"a" * 100_000], "text/plain")
    with store.open(NAME) as file:
        first = file.read(10)
        store.put(NAME, [b"b" * 100_000], "text/plain")
        assert first + file.read() == b"a" * 100_000


def test_a_copy_is_an_object_of_its_own(store: MediaStore) -> None:
    store.put(NAME, [b"abc"], "text/plain")
    store.copy(NAME, "out/copy")
    store.delete(NAME)
    assert read(store, "out/copy") == b"abc"
    with pytest.raises(MissingError):
        store.copy(NAME, "out/other")
    assert store.size("out/other") is None


def test_deleting_what_is_not_there_is_fine(store: MediaStore) -> None:
    store.put(NAME, [b"abc"], "text/plain")
    store.put(f"{NAME}.thumb", [b"x"], "image/webp")
    store.delete(NAME)
    store.delete(NAME)
    assert store.size(NAME) is None
    assert store.size(f"{NAME}.thumb") == 1


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "a/../../x", "a//b", ".hidden", "a/.unfinished", "a b", "",
             "a\x00b", "a\\b", "a/", "x" * 400]
)  # fmt: skip
def test_no_name_leads_out_of_the_store(store: MediaStore, name: str) -> None:
    for call in (
        lambda: store.put(name, [b"x"], "text/plain"),
        lambda: store.open(name),
        lambda: store.size(name),
        lambda: store.delete(name),
    ):
        with pytest.raises(ValueError):
            call()


def test_a_folder_leaves_nothing_unfinished(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    lost = tmp_path / ".unfinished" / "of-a-lost-process"
    lost.parent.mkdir()
    lost.write_bytes(b"half")
    young = lost.with_name("of-somebody-who-is-at-it")
    young.write_bytes(b"half")
    os.utime(lost, (1, 1))
    store.put(NAME, [b"abc"], "text/plain")
    assert [each.name for each in lost.parent.iterdir()] == [young.name]


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError):
        FolderStore(tmp_path / "file").put(NAME, [b"x"], "text/plain")


def test_a_folder_has_no_addresses(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    assert store.signed_url(NAME, seconds=60, mime_type="a/b", disposition="inline") is None
    assert store.upload_url(NAME, seconds=60, mime_type="a/b", size=1) is None


def test_a_bucket_gets_a_large_file_piece_by_piece(bucket: BucketServer) -> None:
    BucketStore("files", bucket.client()).put(NAME, [bytes(CHUNK)] * 5, "video/mp4")
    assert bucket.objects[NAME][1] == "video/mp4"
    pieces = [each for each in bucket.requests if each.startswith("PUT")]
    assert len(pieces) >= 5


def test_what_broke_off_is_no_object_in_a_bucket(bucket: BucketServer) -> None:
    def breaking() -> Iterator[bytes]:
        yield bytes(3 * CHUNK)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        BucketStore("files", bucket.client()).put(NAME, breaking(), "text/plain")
    # The upload that was begun ends by itself, after a week.
    assert bucket.objects == {}


def test_a_bucket_that_says_no_is_a_store_that_is_away(bucket: BucketServer) -> None:
    store = BucketStore("files", bucket.client())
    bucket.failure = 403
    calls: list[Callable[[], Any]] = [
        lambda: store.put(NAME, [b"x"], "text/plain"),
        lambda: store.open(NAME),
        lambda: store.size(NAME),
        lambda: store.delete(NAME),
        lambda: store.copy(NAME, "x"),
    ]
    for call in calls:
        with pytest.raises(StoreError):
            call()


def signing_client() -> Any:
    """A client of Cloud Storage whose credentials have a key of their own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    info = {"client_email": "a@b.iam", "token_uri": "https://x.example/", "private_key": pem}
    credentials = service_account.Credentials.from_service_account_info(info)
    return storage.Client(project="demo", credentials=credentials)


def test_a_buckets_address_takes_one_file_of_one_size() -> None:
    made = BucketStore("files", signing_client()).upload_url(
        NAME, seconds=3600, mime_type="application/pdf", size=31_000_000
    )
    parts, query = urlsplit(made.url), parse_qs(urlsplit(made.url).query)
    assert (parts.netloc, parts.path) == ("storage.googleapis.com", f"/files/{NAME}")
    assert query["X-Goog-Expires"] == ["3600"]
    signed = query["X-Goog-SignedHeaders"][0].split(";")
    assert {"content-type", "x-goog-content-length-range"} <= set(signed)
    assert made.headers == {
        "Content-Type": "application/pdf",
        "x-goog-content-length-range": "31000000,31000000",
    }


def test_a_buckets_address_is_signed_and_says_how_the_file_goes_out() -> None:
    disposition = 'attachment; filename="x.pdf"'
    url = BucketStore("files", signing_client()).signed_url(
        NAME, seconds=300, mime_type="application/pdf", disposition=disposition
    )
    assert url is not None
    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    assert (parts.scheme, parts.netloc) == ("https", "storage.googleapis.com")
    assert parts.path == f"/files/{NAME}"
    assert query["X-Goog-Expires"] == ["300"]
    assert query["response-content-disposition"] == [disposition]
    assert query["response-content-type"] == ["application/pdf"]


class _AppEngine(auth_credentials.Credentials):  # type: ignore[misc]
    """Credentials without a key of their own."""

    service_account_email = "app@appspot.gserviceaccount.com"

    def refresh(self, _request: Any) -> None:
        self.token = "fresh"


def test_without_a_key_another_service_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    client = storage.Client(project="demo", credentials=_AppEngine())
    store = BucketStore("files", client)
    assert store.signing() == {
        "service_account_email": "app@appspot.gserviceaccount.com",
        "access_token": "fresh",
    }
    asked: list[tuple[Any, ...]] = []

    def sign(*given: Any) -> str:
        asked.append(given)
        return "c2lnbmVk"

    monkeypatch.setattr("google.cloud.storage._signing._sign_message", sign)
    url = store.signed_url(NAME, seconds=60, mime_type="video/mp4", disposition="inline")
    assert "app%40appspot.gserviceaccount.com" in (url or "")
    assert asked[0][1] == "fresh"


def test_what_could_not_be_sent_is_not_sent_again_by_who_collects_it(
    monkeypatch: pytest.MonkeyPatch, bucket: BucketServer
) -> None:
    tries: list[int] = []

    def fails(*_args: object) -> None:
        tries.append(1)
        raise ConnectionError

    monkeypatch.setattr(fileio.BlobWriter, "_initiate_upload", fails)
    with pytest.raises(StoreError):
        BucketStore("files", bucket.client()).put(NAME, [b"x"], "text/plain")
    gc.collect()
    assert tries == [1]


def test_a_bucket_is_opened_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr(bucket_module.storage, "Client", lambda: made.append(1))
    BucketStore("files")
    assert made == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"MEDIA_BUCKET": "a", "MEDIA_FOLDER": "b"}, "MEDIA_FOLDER: 'b'"),
        ({"MEDIA_BUCKET": "gs://my-bucket"}, "MEDIA_BUCKET: 'gs://my-bucket'"),
        ({"MEDIA_BUCKET": "..."}, "MEDIA_BUCKET: is a placeholder"),
        ({"MEDIA_QUEUE": "media"}, "MEDIA_QUEUE: 'media' is not LOCATION/NAME"),
    ],
)
def test_settings_that_cannot_work_stop_the_start(settings: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        MediaSettings.from_env(settings)


def test_app_engine_needs_a_bucket() -> None:
    with pytest.raises(SettingsError, match="MEDIA_BUCKET: must be set on App Engine"):
        MediaSettings.from_env({"MEDIA_FOLDER": "x"}, production=True)
    assert MediaSettings.from_env({"MEDIA_BUCKET": "abc"}, production=True).bucket == "abc"
    assert MediaSettings.from_env({}) == MediaSettings()

"""Files in a bucket of Google Cloud Storage."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, BinaryIO

import google.auth.credentials
import google.auth.exceptions
import google.auth.transport.requests
import requests
from google.api_core import exceptions as api_exceptions
from google.cloud import storage
from google.cloud.storage import exceptions as storage_exceptions
from google.cloud.storage.retry import DEFAULT_RETRY

from chat.media.store import MissingError, StoreError, UploadAddress, check_name

_log = logging.getLogger(__name__)

#: Bytes that are sent, or read ahead, at once; Cloud Storage wants a multiple of 256 KiB.
CHUNK = 1 << 20
#: One request, and all tries of one together.
_TIMEOUT = (3.05, 30.0)
_RETRY = DEFAULT_RETRY.with_timeout(60.0)
_ERRORS = (
    api_exceptions.GoogleAPIError,
    google.auth.exceptions.GoogleAuthError,
    storage_exceptions.InvalidResponse,
    storage_exceptions.DataCorruption,
    requests.RequestException,
    ConnectionError,
)


class BucketStore:
    """Files in one bucket. See `MediaStore`."""

    def __init__(self, bucket: str, client: Any = None) -> None:
        """
        Args:
            bucket: its name.
            client: of Cloud Storage; None: one with the credentials of where this runs.
        """
        self._name = bucket
        self._client = client
        self._lock = threading.Lock()

    def put(self, name: str, chunks: Iterable[bytes], mime_type: str) -> int:
        size = 0
        # Left by an exception it ends nothing: an object comes to be with its last byte.
        with _told():
            file = self._blob(name).open(
                "wb", chunk_size=CHUNK, content_type=mime_type, timeout=_TIMEOUT, retry=_RETRY
            )
            try:
                with file:
                    for chunk in chunks:
                        file.write(chunk)
                        size += len(chunk)
            finally:
                # What could not be sent would be sent again by whichever thread happens to collect
                # it as garbage, which would wait for a minute if there is still no bucket.
                if not file.closed:
                    file.terminate()
        return size

    def open(self, name: str) -> BinaryIO:
        blob = self._blob(name)
        with _told(name):
            blob.reload(timeout=_TIMEOUT, retry=_RETRY)
            file: BinaryIO = blob.open("rb", chunk_size=CHUNK, timeout=_TIMEOUT, retry=_RETRY)
            return file

    def size(self, name: str) -> int | None:
        with _told():
            blob = self._bucket().get_blob(check_name(name), timeout=_TIMEOUT, retry=_RETRY)
        return None if blob is None else int(blob.size)

    def copy(self, source: str, target: str) -> None:
        with _told(source):
            token, blob = None, self._blob(target)
            while True:  # a large one is copied piece by piece
                token, _, _ = blob.rewrite(
                    self._blob(source), token=token, timeout=_TIMEOUT, retry=_RETRY
                )
                if token is None:
                    return

    def delete(self, name: str) -> None:
        with _told():
            try:
                self._blob(name).delete(timeout=_TIMEOUT, retry=_RETRY)
            except api_exceptions.NotFound:
                return

    def signed_url(
        self, name: str, *, seconds: int, mime_type: str, disposition: str
    ) -> str | None:
        with _told():
            return str(
                self._blob(name).generate_signed_url(
                    version="v4",
                    method="GET",
                    expiration=timedelta(seconds=seconds),
                    response_type=mime_type,
                    response_disposition=disposition,
                    **self.signing(),
                )
            )

    def upload_url(self, name: str, *, seconds: int, mime_type: str, size: int) -> UploadAddress:
        # Cloud Storage refuses any other length.
        bounds = {"x-goog-content-length-range": f"{size},{size}"}
        with _told():
            url = self._blob(name).generate_signed_url(
                version="v4",
                method="PUT",
                expiration=timedelta(seconds=seconds),
                content_type=mime_type,
                headers=dict(bounds),  # it puts the host into it
                **self.signing(),
            )
        return UploadAddress(str(url), {"Content-Type": mime_type, **bounds})

    def signing(self) -> dict[str, Any]:
        """What `generate_signed_url` needs where the credentials have no key of their own: on App
        Engine another service signs for them, which their account must be allowed to ask for.
        """
        credentials = self._open()._credentials
        if isinstance(credentials, google.auth.credentials.Signing):
            return {}
        if not credentials.valid:
            credentials.refresh(google.auth.transport.requests.Request())
        return {
            "service_account_email": credentials.service_account_email,
            "access_token": credentials.token,
        }

    def _blob(self, name: str) -> Any:
        return self._bucket().blob(check_name(name), chunk_size=CHUNK)

    def _bucket(self) -> Any:
        return self._open().bucket(self._name)

    def _open(self) -> Any:
        """The client, made at first use: after a server forked its worker."""
        with self._lock:
            if self._client is None:
                with _told():
                    self._client = storage.Client()
            return self._client


@contextmanager
def _told(name: str = "") -> Iterator[None]:
    """Says what went wrong as `MediaStore` does."""
    try:
        yield
    except api_exceptions.NotFound as error:
        if name:
            raise MissingError(name) from error
        raise StoreError("NotFound") from error
    except _ERRORS as error:
        _log.warning("Cloud Storage: %s", type(error).__name__)
        raise StoreError(type(error).__name__) from error

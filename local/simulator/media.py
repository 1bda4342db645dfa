"""Media on the simulated WhatsApp: uploads of the business, samples the customers send."""

import base64
import hashlib
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["MAX_UPLOAD_BYTES", "SAMPLES", "MediaStore", "Stored"]

URL_SECONDS = 300  # Meta's: a media URL lives five minutes
MAX_UPLOAD_BYTES = 100 * 1024 * 1024  # Meta's limit for a document, the largest of all
SAMPLES = Path(__file__).parent / "samples_media"


@dataclass(frozen=True)
class Stored:
    """A file that WhatsApp holds."""

    id: str
    data: bytes
    mime_type: str
    filename: str
    given_at: float | None = None  # of what the business gave: seconds since 1970

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def webhook_sha256(self) -> str:
        """As the webhook has it: in Base64, where the Graph API says it in hex."""
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()

    @property
    def size(self) -> int:
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """The content."""
        yield self.data


class MediaStore:
    """Files by id, and their short-lived addresses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, Stored] = {}
        self._tickets: dict[str, tuple[str, float]] = {}

    def add(
        self, data: bytes, mime_type: str, filename: str, given_at: float | None = None
    ) -> Stored:
        """Keep a file under a new id."""
        media_id = str(10**15 + secrets.randbelow(9 * 10**15))
        stored = Stored(media_id, data, mime_type, filename, given_at)
        with self._lock:
            self._files[stored.id] = stored
        return stored

    def new_id(self) -> str:
        """An id for a file that is to be kept."""
        return str(10**15 + secrets.randbelow(9 * 10**15))

    def keep(self, stored: Stored) -> None:
        """Keep a file under its id."""
        with self._lock:
            self._files[stored.id] = stored

    def get(self, media_id: str) -> Stored | None:
        """A file by its id."""
        return self._files.get(media_id)

    def remove(self, media_id: str) -> bool:
        """Forget a file; False where there was none."""
        with self._lock:
            return self._files.pop(media_id, None) is not None

    def describe(self, stored: Stored, base_url: str, now: float) -> dict[str, Any]:
        """What Graph answers for a media id, with an address good for five minutes."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            self._tickets = {key: value for key, value in self._tickets.items() if value[1] > now}
            self._tickets[ticket] = (stored.id, now + URL_SECONDS)
        return {
            "url": f"{base_url}/whatsapp_business/attachments/?mid={stored.id}&hash={ticket}",
            "mime_type": stored.mime_type,
            "sha256": stored.sha256,
            "file_size": stored.size,
            "id": stored.id,
            "messaging_product": "whatsapp",
        }

    def redeem(self, media_id: str, ticket: str, now: float) -> Stored | None:
        """The file behind an address; None where it is wrong or too old."""
        with self._lock:
            found = self._tickets.get(ticket)
        if found is None or found[0] != media_id or found[1] <= now:
            return None
        return self.get(media_id)

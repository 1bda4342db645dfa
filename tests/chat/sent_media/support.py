"""An attendant who sends files; fixtures."""

from __future__ import annotations

import io
import uuid
from typing import Any

from tests.chat.sending_support import ana, chat
from tests.chat.support import Browser

__all__ = ["ana", "chat"]  # fixtures


def attach(
    browser: Browser,
    chat: str,
    data: bytes,
    name: str = "foto.jpg",
    mime_type: str = "image/jpeg",
    client_id: str | None = None,
    **fields: str,
) -> Any:
    """Sends a file in the request of its message."""
    form: dict[str, Any] = {"client_id": client_id or str(uuid.uuid4()), **fields}
    form["file"] = (io.BytesIO(data), name, mime_type)
    return browser.client.post(
        f"/api/conversations/{chat}/messages", data=form, headers={"X-CSRFToken": browser.token}
    )


def upload(
    browser: Browser,
    chat: str,
    data: bytes,
    name: str = "foto.jpg",
    mime_type: str = "image/jpeg",
    client_id: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Begins a direct upload and puts its file."""
    body = {"client_id": client_id or str(uuid.uuid4()), "filename": name, "size": len(data)}
    answer = browser.post(
        f"/api/conversations/{chat}/uploads", {**body, "mime_type": mime_type, **more}
    )
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.get_json()["upload"]
    put(browser, told, data)
    return told


def put(browser: Browser, told: dict[str, Any], data: bytes) -> Any:
    """Puts the file of a direct upload."""
    return browser.client.put(
        told["url"], data=data, headers={**told["headers"], "X-CSRFToken": browser.token}
    )


def send_uploaded(browser: Browser, chat: str, upload_id: str, **more: Any) -> Any:
    """Makes a message of a direct upload."""
    body = {"client_id": upload_id, "upload": upload_id, **more}
    return browser.post(f"/api/conversations/{chat}/messages", body)


def error_of(answer: Any) -> tuple[int, str, str | None]:
    """(Status, code, field) of an answer that refuses."""
    error = answer.get_json()["error"]
    return answer.status_code, error["code"], error.get("field")

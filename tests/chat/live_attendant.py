"""An attendant at real servers, by their API."""

from __future__ import annotations

import re
import uuid
from typing import Any

import requests


class LiveAttendant:
    """Ana (password: her name), logged in by a browser without a screen. Chats go by the phone as
    it is shown, or "group".
    """

    def __init__(self, url: str) -> None:
        self._url, self._session = url, requests.Session()
        self._session.trust_env = False
        form = {"username": "ana", "password": "ana", "csrf_token": self._token("/login")}
        self._session.post(f"{url}/login", data=form, timeout=30).raise_for_status()
        self._headers = {"X-CSRFToken": self._token("/")}

    def _token(self, path: str) -> str:
        page = self._session.get(f"{self._url}{path}", timeout=30).text
        found = re.search(r'"csrf-token" content="([^"]+)"', page)
        assert found is not None
        return found[1]

    def move_to(self, url: str) -> None:
        """To another server of the same application: the login holds there, too."""
        self._url = url

    def get(self, path: str) -> Any:
        return self._session.get(f"{self._url}{path}", timeout=30).json()

    def file(self, message_id: str, query: str = "") -> requests.Response:
        """A message's file."""
        path = f"{self._url}/api/messages/{message_id}/media{query}"
        return self._session.get(path, timeout=30)

    def chats(self) -> dict[str, Any]:
        found = self.get("/api/conversations")["conversations"]
        return {"group" if chat["is_group"] else chat["phone"]: chat for chat in found}

    def thread(self, chat: str) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.get(
            f"/api/conversations/{self.chats()[chat]['id']}/messages"
        )["messages"]
        return messages

    def send(self, chat: str, text: str) -> str:
        """The id of the message, which perhaps has not been sent yet."""
        body = {"client_id": str(uuid.uuid4()), "text": text}
        path = f"{self._url}/api/conversations/{self.chats()[chat]['id']}/messages"
        answer = self._session.post(path, json=body, headers=self._headers, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def attach(self, chat: str, name: str, data: bytes, mime_type: str, **fields: str) -> str:
        """The id of a message with a file, which perhaps has not been sent yet."""
        form = {"client_id": str(uuid.uuid4()), **fields}
        path = f"{self._url}/api/conversations/{self.chats()[chat]['id']}/messages"
        answer = self._session.post(
            path,
            data=form,
            files={"file": (name, data, mime_type)},
            headers=self._headers,
            timeout=60,
        )
        answer.raise_for_status()
        return str(answer.json()["id"])

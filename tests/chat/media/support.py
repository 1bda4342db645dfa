"""What the tests of files share."""

from __future__ import annotations

import base64
import itertools
import time
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

import realtime_events
from chat.media.service import TASK_PATH, Media
from local.simulator import Simulator
from tests.chat.support import MARIA, Browser, call, deliver, login
from tests.helpers import SETTINGS, IdleQueue

CRON = {"X-Cron-Secret": SETTINGS["CRON_SECRET"]}


class Files:
    """A customer who sends files, and an attendant who looks at them."""

    def __init__(self, app: Flask, whatsapp: Simulator) -> None:
        self.app, self.whatsapp = app, whatsapp
        self.media: Media = app.extensions["media"]
        self.queue = self.media.queue = IdleQueue()
        self._numbers = itertools.count(1)
        self._ana: Browser | None = None

    @property
    def ana(self) -> Browser:
        self._ana = self._ana or login(self.app)
        return self._ana

    def send(
        self,
        data: bytes,
        kind: str = "image",
        mime_type: str = "image/jpeg",
        at: int | None = None,
        **part: Any,
    ) -> str:
        """Sends a file as WhatsApp's webhook tells of it; the message's id.

        Args:
            part: fields of the type's own part; None leaves one out.
        """
        stored = self.whatsapp.media.add(data, mime_type, part.get("filename") or "arquivo")
        told = base64.b64encode(bytes.fromhex(stored.sha256)).decode()
        body = {"id": stored.id, "mime_type": mime_type, "sha256": told, **part}
        return self.tell(kind, {k: v for k, v in body.items() if v is not None}, at)

    def tell(self, kind: str, body: Any, at: int | None = None) -> str:
        """The webhook's call alone."""
        number = next(self._numbers)
        wamid = f"wamid.file{number}"
        message = {"from": MARIA, "id": wamid, "type": kind, kind: body}
        message["timestamp"] = str(at if at is not None else self.now() + number)
        assert deliver(self.app.test_client(), call(message)).status_code == 200
        return wamid

    def now(self) -> int:
        """The present, in seconds."""
        return int(time.time()) - 60

    def fetch(self) -> int:
        """Has the queue's tasks done that are due; how many fetched something."""
        client, done, now = self.app.test_client(), 0, realtime_events.now_ms()
        due = [name for name, due_ms in self.queue.waiting if due_ms <= now]
        self.queue.waiting = [each for each in self.queue.waiting if each[1] > now]
        for name in due:
            answer = client.post(TASK_PATH, json={"message_id": name}, headers=CRON)
            assert answer.status_code == 200
            done += answer.get_json()["done"]
        return done

    def sweep(self) -> int:
        """Has cron's sweep fetch what is overdue; how many it tried."""
        answer = self.app.test_client().get("/tasks/media", headers=CRON)
        assert answer.status_code == 200
        done: int = answer.get_json()["done"]
        return done

    def message(self, message_id: str) -> dict[str, Any]:
        """A message as an attendant's page gets it."""
        for conversation in self.ana.conversations():
            for message in self.ana.thread(conversation["id"]):
                if message["id"] == message_id:
                    return message
        raise AssertionError("no such message")

    def facts(self, message_id: str) -> dict[str, Any]:
        """Its file, as the page gets it."""
        facts: dict[str, Any] = self.message(message_id)["media"]
        return facts

    def get(self, message_id: str, query: str = "", **headers: str) -> TestResponse:
        """The file, as an attendant's browser asks for it."""
        path = f"/api/messages/{message_id}/media{query}"
        # Buffered, it is also closed.
        return self.ana.client.get(path, headers=headers, buffered=True)

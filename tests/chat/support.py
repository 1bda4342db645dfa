"""What the chat's tests share: payloads, signed calls, a login, and a Graph API that obeys."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import realtime_events
from chat.conversation.models import Conversation, Message
from chat.platform import datastore
from tests.helpers import SETTINGS, save_attendant_quickly

PAYLOADS = Path(__file__).resolve().parent.parent / "payloads"
MARIA = "5511987654321"
#: 2025-11-01 12:00 UTC, the time of the payload files.
NOON = 1_761_998_400


def payload(name: str) -> dict[str, Any]:
    """A payload file, decoded."""
    data: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text())
    return data


def text_message(wamid: str, body: str = "oi", at: int = NOON, **other: Any) -> dict[str, Any]:
    """A customer's text as WhatsApp sends it; `at` in seconds; None leaves a part out."""
    message = {"from": MARIA, "id": wamid, "timestamp": str(at), "type": "text"}
    message |= {"text": {"body": body}, **other}
    return {key: value for key, value in message.items() if value is not None}


def call(*messages: Any, contacts: Any = (), statuses: Any = ()) -> dict[str, Any]:
    """A webhook call with these messages."""
    value = {"messages": list(messages), "contacts": list(contacts), "statuses": list(statuses)}
    return {"entry": [{"changes": [{"field": "messages", "value": value}]}]}


def contact(name: str, wa_id: str = MARIA) -> dict[str, Any]:
    """A webhook call's contact."""
    return {"wa_id": wa_id, "profile": {"name": name}}


def signature(body: bytes, secret: str = SETTINGS["WHATSAPP_APP_SECRET"]) -> dict[str, str]:
    """The header that Meta signs a body with."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={digest}"}


def deliver(client: FlaskClient, data: Any) -> TestResponse:
    """Calls the webhook with a signed body."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return client.post("/webhook", data=body, headers=signature(body))


@dataclass
class Browser:
    """A logged-in attendant."""

    client: FlaskClient
    token: str

    def get(self, path: str) -> TestResponse:
        return self.client.get(path)

    def post(self, path: str, body: Any) -> TestResponse:
        return self.client.post(path, json=body, headers={"X-CSRFToken": self.token})

    def conversations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/api/conversations").get_json()["conversations"]
        return found

    def thread(self, conversation_id: str) -> list[dict[str, Any]]:
        """All messages of a conversation, oldest first, page by page."""
        messages: list[dict[str, Any]] = []
        before = ""
        while True:
            path = f"/api/conversations/{conversation_id}/messages{before}"
            page = self.get(path).get_json()
            messages = page["messages"] + messages
            if page["next"] is None:
                return messages
            before = f"?before={page['next']}"

    def texts(self) -> list[str]:
        """The texts of the only conversation, oldest first."""
        (conversation,) = self.conversations()
        return [message["text"] for message in self.thread(conversation["id"])]


def token_of(client: FlaskClient, path: str = "/login") -> str:
    """The CSRF token of a page."""
    return client.get(path).get_data(as_text=True).split('"csrf-token" content="')[1].split('"')[0]


def login(app: Flask, username: str = "ana") -> Browser:
    """Adds the attendant and logs in with the form."""
    with datastore.context():
        save_attendant_quickly(username, username, username.title())
    client = app.test_client()
    form = {"username": username, "password": username, "csrf_token": token_of(client)}
    assert client.post("/login", data=form).status_code == 302
    return Browser(client, token_of(client, "/"))


def stored(model: type[Any]) -> list[Any]:
    """All entities of a kind."""
    with datastore.context():
        return list(model.query().fetch(use_cache=False))


@dataclass(frozen=True)
class Published:
    """An event as it goes over the wire."""

    type: str
    conversation_id: str | None
    version: int | None
    data: str  # JSON


def published(*types: str) -> list[Published]:
    """All events, or those of these types, oldest first."""
    records = sorted(stored(realtime_events.RealtimeEvent), key=lambda record: record.key.id())
    events = []
    for block in (block for record in records for block in record.blocks):
        head = json.loads(block.decode().split("data: ", 1)[1])
        data = json.dumps(head["data"])
        events.append(Published(head["type"], head["conversation_id"], head["version"], data))
    return [event for event in events if not types or event.type in types]


def live_conversations() -> list[Conversation]:
    """Conversations that were not merged into another."""
    return [each for each in stored(Conversation) if not each.merged_into]


def wamids() -> list[str]:
    """Keys of all stored messages, sorted."""
    return sorted(message.id for message in stored(Message))


@dataclass
class Graph:
    """A Graph API on a free port: remembers what it was sent, answers as told."""

    #: Not asked for read receipts: those are always taken.
    answer: Callable[[dict[str, Any]], tuple[int, Any] | None] | None = None
    received: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)  # wamids marked as read
    typing: list[str] = field(default_factory=list)  # of them, those that show us typing
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    #: Pages of its templates, or what it answers in their place; the paths it was asked for them.
    templates: list[list[Any]] | tuple[int, Any] = field(default_factory=lambda: [[]])
    #: Files that it was given: the form's fields, `file` as (type, bytes); and what it answers.
    uploads: list[dict[str, Any]] = field(default_factory=list)
    upload_answer: Callable[[dict[str, Any]], tuple[int, Any] | None] | None = None
    listings: list[str] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def texts(self) -> list[str]:
        return [body["text"]["body"] for body in self.received]

    def start(self) -> Graph:
        graph = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.endswith("/media"):
                    self._take(data)
                    return
                body = json.loads(data)
                if body.get("status") == "read":
                    graph.receipts.append(body["message_id"])
                    if body.get("typing_indicator") == {"type": "text"}:
                        graph.typing.append(body["message_id"])
                else:
                    graph.received.append(body)
                graph.headers.append(dict(self.headers) | {"path": self.path})
                graph.connections.add(self.client_address[1])
                receipt = body.get("status") == "read"
                answer = (200, {"success": True}) if receipt else (graph.answer or accepted)(body)
                if answer is None:  # hangs up without a word
                    self.close_connection = True
                    return
                status, data = answer
                self._answer(status, data)

            def _take(self, data: bytes) -> None:
                form = form_of(self.headers["Content-Type"], data)
                graph.uploads.append(form)
                answer = (graph.upload_answer or given)(form)
                if answer is None:
                    self.close_connection = True
                    return
                self._answer(*answer)

            def do_GET(self) -> None:
                graph.listings.append(self.path)
                if isinstance(graph.templates, tuple):
                    self._answer(*graph.templates)
                    return
                query = parse_qs(urlsplit(self.path).query)
                page = int(query.get("after", ["0"])[0])
                paging: dict[str, Any] = {"cursors": {"before": str(page), "after": str(page + 1)}}
                if page + 1 < len(graph.templates):
                    paging["next"] = "https://elsewhere.example/"
                self._answer(200, {"data": graph.templates[page], "paging": paging})

            def _answer(self, status: int, data: Any) -> None:
                raw = data if isinstance(data, bytes) else json.dumps(data).encode()
                with contextlib.suppress(ConnectionError):  # who asked may have given up
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


def accepted(body: dict[str, Any], wa_id: str | None = None) -> tuple[int, Any]:
    """Meta's answer to a message it takes."""
    number = body.get("to", "").lstrip("+")
    contact = {"input": body.get("to"), "wa_id": wa_id or number} if number else {}
    wamid = f"wamid.out.{body['biz_opaque_callback_data']}"
    return 200, {"contacts": [contact], "messages": [{"id": wamid}]}


def given(form: dict[str, Any]) -> tuple[int, Any]:
    """Meta's answer to a file it takes."""
    return 200, {"id": f"media-{hashlib.sha256(form['file'][1]).hexdigest()[:12]}"}


def form_of(content_type: str, data: bytes) -> dict[str, Any]:
    """A form with a file, decoded: texts, and `file` as (type, bytes)."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + data)
    form: dict[str, Any] = {}
    for part in message.get_payload():
        name = part.get_param("name", header="Content-Disposition")
        content = part.get_payload(decode=True)
        is_file = part.get_filename() is not None
        form[name] = (part.get_content_type(), content) if is_file else content.decode()
    return form


def refused(code: int, status: int = 400) -> tuple[int, Any]:
    """Meta's answer to a message it does not take."""
    error = {"message": f"(#{code}) no", "type": "OAuthException", "code": code, "fbtrace_id": "A"}
    return status, {"error": error}


def run_together(*jobs: Callable[[], Any]) -> list[Any]:
    """Runs jobs in threads that start at the same moment; their results, errors raised."""
    barrier = threading.Barrier(len(jobs))
    results: list[Any] = [None] * len(jobs)

    def run(place: int) -> None:
        barrier.wait(10)
        try:
            results[place] = jobs[place]()
        except Exception as error:  # noqa: BLE001 - raised below, in the test's own thread
            results[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results

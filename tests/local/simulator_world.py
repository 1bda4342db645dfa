"""A simulator on a clock that only the test moves, and a business that notes every webhook."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from werkzeug.test import TestResponse

from local.simulator import ManualTimers, Pace, RetryPolicy, Simulator

TOKEN = "test-whatsapp-token"
SECRET = "test-app-secret"
NUMBER_ID = "106540352242922"
ACCOUNT_ID = "102290129340398"
MARIA = "5511987654321"  # a Brazilian mobile, with its ninth digit
MARIA_WITHOUT_NINE = "551187654321"

JSON = dict[str, Any]


@dataclass
class Webhook:
    """A business that answers as told and remembers what it got."""

    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)  # used up first, then 200
    before_answer: Callable[[], object] = lambda: None
    url: str = ""

    @property
    def payloads(self) -> list[JSON]:
        return [json.loads(body) for _, body in self.received]

    def values(self, name: str) -> list[Any]:
        """All items of this name (messages, statuses, …) in the order of their arrival."""
        return [
            item
            for payload in self.payloads
            for entry in payload["entry"]
            for change in entry["changes"]
            for item in change["value"].get(name, [])
        ]

    def texts(self) -> list[str]:
        return [message["text"]["body"] for message in self.values("messages")]

    def states(self) -> list[str]:
        return [status["status"] for status in self.values("statuses")]


@contextmanager
def webhook_server() -> Iterator[Webhook]:
    """A receiver on a free port."""
    hook = Webhook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.received.append((dict(self.headers.items()), body))
            hook.before_answer()
            self.send_response(hook.answers.pop(0) if hook.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}/webhook"
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_simulator(webhook_url: str | None, **changes: Any) -> Simulator:
    """A simulator with this test suite's secrets."""
    options: JSON = {
        "webhook_url": webhook_url,
        "token": TOKEN,
        "phone_number_id": NUMBER_ID,
        "business_account_id": ACCOUNT_ID,
        "app_secret": SECRET,
    }
    return Simulator(**{**options, **changes})


class World:
    """The simulator without a server of its own: requests go straight to its application."""

    def __init__(self, hook: Webhook, pace: Pace | None = None) -> None:
        self.hook = hook
        self.timers = ManualTimers()
        self.simulator = make_simulator(
            hook.url,
            timers=self.timers,
            pace=pace or Pace(sent_after=1, delivered_after=1, read_after=1),
            retry=RetryPolicy(first=0.5, cap=8, give_up_after=100, timeout=5),
        )
        self.http = self.simulator.app.test_client()

    def close(self) -> None:
        self.simulator.deliveries.close()

    def advance(self, seconds: float = 0) -> None:
        """Let time pass; what is due happens before this returns."""
        self.timers.advance(seconds)

    def write(self, phone: str = MARIA, text: str = "Olá", **fields: Any) -> JSON:
        answer = self.http.post(f"/customers/{phone}/messages", json={"text": text, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json

    def graph(
        self, body: JSON, *, token: str = TOKEN, path: str = f"/v26.0/{NUMBER_ID}/messages"
    ) -> TestResponse:
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.post(path, json={"messaging_product": "whatsapp", **body}, headers=headers)

    def send(self, to: str = f"+{MARIA}", text: str = "Bom dia", **fields: Any) -> str:
        """The business sends a text; gives the wamid."""
        answer = self.graph({"to": to, "type": "text", "text": {"body": text}, **fields})
        assert answer.status_code == 200, answer.text
        return answer.json["messages"][0]["id"]

    def switch(self, **values: Any) -> None:
        answer = self.http.patch("/switches", json=values)
        assert answer.status_code == 200, answer.text

    def customer(self, action: str, phone: str = MARIA, **body: Any) -> JSON:
        answer = self.http.post(f"/customers/{phone}/{action}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json

    def phone(self, phone: str = MARIA, *, everything: bool = False) -> list[JSON]:
        """What is on a customer's phone."""
        path = f"/customers/{phone}/messages" + ("?all=1" if everything else "")
        return self.http.get(path).json["messages"]

    def phone_count(self) -> int:
        return len(self.http.get("/customers").json["customers"])

    def deliveries(self) -> JSON:
        return self.http.get("/deliveries").json

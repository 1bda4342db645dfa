"""SIGKILL of the store and of the application in mid-burst: nothing half-written, nothing lost.

What the webhook answered 200 is there afterwards; what it did not is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local.processes.parts import Part
from tests.helpers import SETTINGS, LiveServer, Store, free_port

GROUP = 3  # messages of one customer in one call: one transaction


def call_body(call: int, customer: int) -> bytes:
    """A webhook call with GROUP messages of one customer."""
    phone = f"551199{customer:07d}"
    messages = [
        {
            "from": phone, "id": f"wamid.{call}.{n}", "timestamp": str(int(time.time())),
            "type": "text", "text": {"body": f"{call}.{n}"},
        }
        for n in range(GROUP)
    ]  # fmt: skip
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": SETTINGS["WHATSAPP_PHONE_NUMBER_ID"]},
        "contacts": [{"profile": {"name": f"Cliente {customer}"}, "wa_id": phone}],
        "messages": messages,
    }
    change = {"field": "messages", "value": value}
    entry = {"id": SETTINGS["WHATSAPP_BUSINESS_ACCOUNT_ID"], "changes": [change]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


class Meta:
    """Sends signed calls from several threads until told to stop, each call once."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/webhook"
        self._stop = threading.Event()
        self._calls = iter(range(1_000_000))
        self._lock = threading.Lock()
        self.answered: set[int] = set()
        self.sent: set[int] = set()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(4)]

    def start(self) -> Meta:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self) -> None:
        pause = threading.Event()
        while not self._stop.is_set():
            with self._lock:
                call = next(self._calls)
                self.sent.add(call)
            body = call_body(call, call % 7)
            digest = hmac.new(SETTINGS["WHATSAPP_APP_SECRET"].encode(), body, hashlib.sha256)
            headers = {"X-Hub-Signature-256": f"sha256={digest.hexdigest()}"}
            try:
                answer = requests.post(self._url, data=body, headers=headers, timeout=30)
            except requests.RequestException:
                pause.wait(0.05)
                continue
            if answer.status_code == 200:
                with self._lock:
                    self.answered.add(call)
            else:
                assert answer.status_code == 503, answer.status_code
                pause.wait(0.05)


@pytest.fixture
def store_part(tmp_path: Path) -> Iterator[tuple[Part, str]]:
    """An embedded store of its own, which may be killed and started again on the same data."""
    host = f"127.0.0.1:{free_port()}"
    args = ["--host-port", host, "--data", str(tmp_path / "data")]
    part = Part("store", "local.datastore", args, environ=dict(os.environ)).start()
    part.wait_for_line("ready ")
    yield part, host
    part.stop()
    assert part.left_behind() == []


@pytest.mark.parametrize(
    "kills", [4, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_sigkill_in_mid_burst_loses_nothing_answered_and_leaves_nothing_half(
    store_part: tuple[Part, str], monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    part, host = store_part
    store = Store(host, "crashes")
    for key, value in store.environ.items():
        monkeypatch.setenv(key, value)
    environ = {**os.environ, **SETTINGS, **store.environ, "WHATSAPP_API_URL": "http://127.0.0.1:9"}
    server = LiveServer(environ, threads=16).start()
    meta = Meta(server.url).start()
    rng = random.Random(kills)
    moment = threading.Event()
    try:
        for kill in range(kills):
            before = len(meta.answered)
            deadline = time.monotonic() + 60
            while len(meta.answered) < before + 10:  # in mid-burst: calls are being answered
                assert time.monotonic() < deadline, "the webhook answers nothing any more"
                moment.wait(0.01)
            moment.wait(rng.random() * 0.05)
            if kill % 2:
                server.kill9()
                server.restart()
            else:
                part.kill()
                part.start()
                part.wait_for_line("ready ")
        before = len(meta.answered)
        deadline = time.monotonic() + 60
        while len(meta.answered) < before + 10:
            assert time.monotonic() < deadline, "the webhook did not recover"
            moment.wait(0.01)
    finally:
        meta.stop()
        server.kill9()

    from chat.conversation.models import Conversation, Message
    from realtime_events import RealtimeEvent

    with store.context():
        stored = {key.id() for key in Message.query().fetch(keys_only=True)}
        conversations = Conversation.query().fetch()
        events = Counter(
            json.loads(block.split(b"data: ", 1)[1])["data"]["message"]["id"]
            for entity in RealtimeEvent.query().fetch()
            for block in entity.blocks
            if block.startswith(b"event: message.created")
        )
    for call in meta.sent:
        names = {f"wamid.{call}.{n}" for n in range(GROUP)}
        there = len(names & stored)
        assert there in ((GROUP,) if call in meta.answered else (0, GROUP)), f"call {call}"
    assert events == Counter(dict.fromkeys(stored, 1)), "an event commits with its message"
    assert len(conversations) == 7
    assert sum(c.arrivals for c in conversations) == len(stored)

"""A shop in which Claude answers: the whole application, a clock that is set, tasks run by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from google.cloud import ndb

import realtime_events
from chat.auto_reply import service
from chat.conversation.models import Conversation, Message
from chat.platform import datastore
from local.claude.server import ClaudeStandIn
from tests.chat.support import (
    MARIA,
    Browser,
    Graph,
    call,
    contact,
    deliver,
    login,
    run_together,
    stored,
    text_message,
)

#: A Monday, 10:00 in Brasília.
MONDAY = 1_762_174_800_000
DEBOUNCE = 4
MAX_WAIT = 20
_wamids = itertools.count(1)


@dataclass
class Clock:
    """The application's time, ms since 1970; it moves when it is told to."""

    ms: int = MONDAY

    def pass_(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


@dataclass
class ManualQueue:
    """Remembers what it is given; `fails` makes it unreachable."""

    waiting: list[tuple[int, str]] = field(default_factory=list)
    fails: bool = False

    def put(self, conversation_id: str, due_ms: int) -> None:
        if self.fails:
            raise ConnectionError("no queue")
        self.waiting.append((due_ms, conversation_id))


@dataclass
class Shop:
    """What a test needs of it."""

    app: Flask
    graph: Graph
    claude: ClaudeStandIn
    clock: Clock
    queue: ManualQueue
    _attendants: dict[str, Browser] = field(default_factory=dict)

    @property
    def answering(self) -> service.AutoReply:
        found: service.AutoReply = self.app.extensions["auto_reply"]
        return found

    def attendant(self, name: str = "ana") -> Browser:
        if name not in self._attendants:
            self._attendants[name] = login(self.app, name)
        return self._attendants[name]

    def close(self) -> None:
        """Ends its connections: whenever they are collected, some other test would fail."""
        worker = self.answering.worker
        for connections in (worker._api._client, worker._whatsapp._session.get()):
            if connections is not None:
                connections.close()

    def forget_logins(self) -> None:
        """Their attendants are in another store."""
        self._attendants.clear()

    def writes(self, text: str = "oi", *, ago: float = 0, sender: str = MARIA, **other: Any) -> str:
        """The customer writes; the webhook gets it now, `ago` seconds later. Its wamid."""
        wamid = f"wamid.q{next(_wamids)}"
        at = self.clock.ms // 1000 - int(ago)
        message = text_message(wamid, text, at, **{"from": sender, **other})
        response = deliver(self.app.test_client(), call(message, contacts=[contact("Maria")]))
        assert response.status_code == 200
        return wamid

    def echo(self, text: str = "já respondi", *, ago: float = 0) -> None:
        """Somebody of the business answers on the business's own phone."""
        wamid = f"wamid.e{next(_wamids)}"
        echo = {
            "from": "15550783881",
            "to": MARIA,
            "id": wamid,
            "timestamp": str(self.clock.ms // 1000 - int(ago)),
            "type": "text",
            "text": {"body": text},
        }
        value = {"message_echoes": [echo]}
        change = {"field": "smb_message_echoes", "value": value}
        response = deliver(self.app.test_client(), {"entry": [{"changes": [change]}]})
        assert response.status_code == 200

    def answers_by_hand(self, text: str = "oi, sou a Ana", name: str = "ana") -> None:
        client_id = f"00000000-0000-4000-8000-{next(_wamids):012}"
        path = f"/api/conversations/{self.chat.id}/messages"
        response = self.attendant(name).post(path, {"client_id": client_id, "text": text})
        assert response.status_code == 201

    def tries_again(self, message: Message, name: str = "ana") -> None:
        """An attendant sends again what failed, or may have."""
        body = {"client_id": f"00000000-0000-4000-8000-{next(_wamids):012}", "confirm": True}
        response = self.attendant(name).post(f"/api/messages/{message.id}/retry", body)
        assert response.status_code in (200, 201)

    def owner(self, owner: str, name: str = "ana") -> Any:
        path = f"/api/conversations/{self.chat.id}/owner"
        return self.attendant(name).post(path, {"owner": owner})

    def run(self, conversation_id: str | None = None) -> bool:
        """One task, now."""
        with self.app.app_context(), datastore.context(seconds=300):
            return self.answering.worker.run(conversation_id or self.chat.id)

    def run_tasks(self, most: int = 30) -> None:
        """The queue works: each task at its time, until there is none."""
        for _ in range(most):
            if not self.queue.waiting:
                return
            self.queue.waiting.sort()
            due, conversation_id = self.queue.waiting.pop(0)
            self.clock.ms = max(self.clock.ms, due)
            self.run(conversation_id)
        raise AssertionError("the queue never ends")

    def sweep(self) -> int:
        with self.app.app_context(), datastore.context(seconds=300):
            return self.answering.sweep(30)

    @property
    def chat(self) -> Conversation:
        (found,) = [each for each in stored(Conversation) if not each.merged_into]
        return found  # type: ignore[no-any-return]

    @property
    def thread(self) -> list[Message]:
        return sorted(stored(Message), key=lambda message: message.position)

    def said(self, kind: str) -> list[str]:
        """The texts of one kind of author, lines of the chat left out."""
        return [
            message.text
            for message in self.thread
            if message.author_kind == kind and message.type != "system"
        ]

    def lines(self) -> list[str]:
        """What the chat itself says in the thread."""
        return [message.text for message in self.thread if message.type == "system"]


@contextmanager
def while_claude_writes(shop: Shop, happens: Callable[[], Any]) -> Iterator[None]:
    """Something happens between the question to Claude and its answer, once."""
    api = shop.answering.worker._api
    ask = api.ask
    left = [happens]

    def asked(*args: Any) -> Any:
        if left:
            run_together(left.pop())  # in a thread of its own, as another request is
        return ask(*args)

    api.ask = asked  # type: ignore[method-assign]
    try:
        yield
    finally:
        api.ask = ask  # type: ignore[method-assign]
        assert not left


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(realtime_events, "now_ms", lambda: clock.ms)
    monkeypatch.setattr("chat.outgoing.sending._now_ms", lambda: clock.ms)
    return clock


@pytest.fixture
def new_store(
    quick_client: Callable[[], ndb.Client], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Puts an empty store into the place of the present one: for tests of many examples."""

    def replace() -> None:
        client = quick_client()
        monkeypatch.setattr(datastore, "get_client", lambda: client)

    return replace


@pytest.fixture
def open_shop(
    quick_client: Callable[[], ndb.Client],
    graph: Graph,
    claude: ClaudeStandIn,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Shop]]:
    """Makes a shop: `open_shop(AUTO_REPLY_RETURN_AFTER_MINUTES=30)`."""
    from main import create_app
    from tests.helpers import SETTINGS

    client = quick_client()
    monkeypatch.setattr(datastore, "get_client", lambda: client)
    monkeypatch.setenv("DATASTORE_EMULATOR_HOST", "127.0.0.1:9")  # nobody there: all is in here

    made: list[Shop] = []

    def make(**settings: Any) -> Shop:
        app = create_app(
            {
                **SETTINGS,
                "TESTING": True,
                "WHATSAPP_API_URL": graph.url,
                "SEND_WAIT_SECONDS": 30,
                "ANTHROPIC_API_KEY": "test-key",
                "ANTHROPIC_BASE_URL": claude.url,
                "AUTO_REPLY_DEBOUNCE_SECONDS": DEBOUNCE,
                "AUTO_REPLY_MAX_WAIT_SECONDS": MAX_WAIT,
                **settings,
            }
        )
        queue = ManualQueue()
        app.extensions["auto_reply"].queue = queue
        app.extensions["auto_reply"].worker.pause = clock.pass_
        made.append(Shop(app, graph, claude, clock, queue))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def shop(open_shop: Callable[..., Shop]) -> Shop:
    """A shop as it is without settings."""
    return open_shop()

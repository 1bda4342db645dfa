"""Runs a storm: two servers on one store behind a front end that takes them in turn, one of them
killed, or asked to go, and started again every few seconds; callbacks out of order and twice; a
slow Graph API; some of the chats answered by Claude, which is slow too and now and then overloaded.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.bench.listeners import Listener, Listeners
from local.bench.measures import arrivals
from local.bench.storm import judging
from local.bench.storm.judging import TICKED, Chat, Page, Stored
from local.bench.storm.people import (
    Answering,
    Attendant,
    Crew,
    Customer,
    Moods,
    Reader,
    TakingOver,
    Writing,
    write,
)
from local.bench.world import Server, Simulator, World, page, phone
from local.processes.parts import free_port

CUSTOMERS = 20
ANSWERED = 8  # of them, by the attendant
CLAUDES = 8  # of the others, by Claude; the last of them is taken over in mid-storm
#: Answers soon, so that a minute has many; a killed worker's question waits as long as a lease.
CLAUDE = {
    "ANTHROPIC_API_KEY": "storm",
    "AUTO_REPLY_OWNER": "human",
    "AUTO_REPLY_DEBOUNCE_SECONDS": "1",
    "AUTO_REPLY_MAX_WAIT_SECONDS": "6",
    "AUTO_REPLY_TIMEOUT_SECONDS": "10",
    "AUTO_REPLY_DAILY_BUDGET": "0",
}
#: Mean time from one server's return to the other's death.
KILL_SECONDS = 4.0
#: Every fourth one is asked to go, as at a deploy, and killed when it has not gone after two
#: seconds, as on App Engine.
DEPLOY_EVERY, DEPLOY_SECONDS = 4, 2.0
THREADS, CAPACITY = 80, 60  # as in app.yaml
#: The simulator's: each webhook call twice, updates shuffled within a second, a slow Graph API.
SWITCHES = {"webhook_repeat": 2, "webhook_reorder": 8, "graph_delay_ms": 1000}
#: What is stored at the end is settled by then: cron comes every minute, and to a question whose
#: worker was killed only after its lease has run out.
SETTLE_SECONDS = 240.0
SHOWN_SECONDS = 20.0  # and known to the listeners and on the page
_WARM_SECONDS = 60.0
_QUESTION = re.compile(r"pergunta (\d+)")
_SHOWN = """() => ({
  bubbles: [...document.querySelectorAll('[data-message-id]')].map((bubble) =>
    [bubble.dataset.messageId, bubble.querySelector('message-ticks')?.dataset.status ?? '']),
  rows: [...document.querySelectorAll('li[data-conversation-id]')]
    .map((row) => row.dataset.conversationId),
})"""


@dataclass
class Storm:
    """What came of it; `faults` is empty when all held."""

    seconds: float = 0.0
    kills: int = 0  # SIGKILL
    deploys: int = 0  # SIGTERM
    written: int = 0  # by customers
    sent: int = 0  # by the attendant
    repeated: int = 0  # calls of the attendant that were not answered
    doubtful: int = 0  # of them the attendant is asked, and the customer did not get them
    asked: int = 0  # by customers whose chat is Claude's
    answered: int = 0  # answers of Claude's
    handed_over: int = 0  # chats
    posted: int = 0  # webhook calls
    retried: int = 0  # of them, because they were not answered 200
    cut: int = 0  # connections of the listeners
    bubbles: int | None = None  # on the page; None without a browser
    ticks: list[float] = field(default_factory=list)  # stored → first tick at a listener, seconds
    faults: list[str] = field(default_factory=list)


def storm(host: str, seconds: float) -> Storm:
    """Runs one and judges it.

    Args:
        host: the store.
        seconds: how long servers are killed.
    """
    port, claude_port = free_port(), free_port()
    settings = {
        "WHATSAPP_API_URL": f"http://127.0.0.1:{port}",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{claude_port}",
        **CLAUDE,
    }
    with World(host, settings) as world:
        claude = world.claude(claude_port)
        servers = [world.server(CAPACITY, threads=THREADS) for _ in range(2)]
        front = world.buffering_proxy(*(each.url for each in servers))
        simulator = world.simulator(port, front, **SWITCHES)
        world.cron(front)
        cookie = servers[0].login()
        reader = Reader(front, cookie)
        customers = [Customer(n, phone(n)) for n in range(1, CUSTOMERS + 1)]
        for each in customers:
            write(simulator, each)
        if not _wait(lambda: _find_chats(reader, customers), _WARM_SECONDS):
            raise RuntimeError("not all customers have a chat")
        cursor = reader.get("/api/conversations")["cursor"]
        with (
            Listeners(front, cookie, 2, delivery="hold", cursor=cursor, prefix="front") as held,
            Listeners(servers[0].url, cookie, 1, delivery="stream", cursor=cursor) as streaming,
            page(cookie, front) as tab,
        ):
            fleets = [held, streaming]
            watched = _Watched(tab, f"{front}/?c={customers[0].chat}")
            result = Storm()
            attendants = [Attendant(front, cookie) for _ in range(ANSWERED + 1)]
            attendants[-1].come_in()
            claudes = customers[ANSWERED : ANSWERED + CLAUDES]
            for each in claudes:
                each.claudes = True
                attendants[-1].give(each, "claude")
            crew = Crew()
            crew.start(Moods(claude))
            crew.start(Writing(simulator, customers))
            for attendant, each in zip(attendants, customers[:ANSWERED], strict=False):
                crew.start(Answering(attendant, each))
            crew.start(TakingOver(attendants[-1], claudes[-1], seconds / 2))
            started = time.monotonic()
            while time.monotonic() - started < seconds:
                _end_one_and_restart(servers, result)
            crew.end()
            result.seconds = time.monotonic() - started
            result.faults += crew.faults
            result.repeated = sum(each.repeated for each in attendants)
            _judge(result, reader, simulator, customers, fleets, watched)
            return result


class _Watched:
    """A page that is open throughout; nothing where there is no browser."""

    def __init__(self, tab: Any, url: str) -> None:
        self._tab = tab
        self._errors: list[str] = []
        self._loads: list[str] = []
        if tab is not None:
            tab.on("pageerror", lambda error: self._errors.append(str(error)))
            tab.on("load", lambda _: self._loads.append(url))
            tab.goto(url)

    def look(self) -> Page | None:
        if self._tab is None:
            return None
        told = self._tab.evaluate(_SHOWN)
        bubbles = [(name, ticks) for name, ticks in told["bubbles"]]
        return Page(bubbles, told["rows"], self._errors, len(self._loads))


def _end_one_and_restart(servers: Sequence[Server], result: Storm) -> None:
    threading.Event().wait(KILL_SECONDS * random.uniform(0.6, 1.4))
    ended = result.kills + result.deploys
    server = servers[ended % 2]
    if ended % DEPLOY_EVERY == DEPLOY_EVERY - 1:
        server.part.stop(DEPLOY_SECONDS)
        result.deploys += 1
    else:
        server.part.kill()
        result.kills += 1
    server.part.start()
    server.part.wait_for_http(f"{server.url}/healthz")


def _find_chats(reader: Reader, customers: Sequence[Customer]) -> bool:
    chats = {"".join(filter(str.isdigit, each["phone"])): each for each in reader.conversations()}
    for each in customers:
        each.chat = chats[each.phone]["id"] if each.phone in chats else ""
    return all(each.chat for each in customers)


def _wait(holds: Callable[[], bool], seconds: float) -> bool:
    """Until it holds; False when time is up."""
    end, pause = time.monotonic() + seconds, threading.Event()
    while not holds():
        if time.monotonic() > end:
            return False
        pause.wait(0.5)
    return True


def _stored(message: dict[str, Any]) -> Stored:
    by = ""
    if message["type"] == "system":
        text = message["text"]
        to_people = text.startswith("Claude passou") or text.endswith("assumiu a conversa")
        by = judging.TO_PEOPLE if to_people else judging.LINE
    elif message["author"]["kind"] == "claude":
        by = judging.CLAUDE
    return Stored(
        message["id"],
        message["direction"] == "out",
        message["arrival"],
        message.get("status") or "",
        (message.get("error") or {}).get("code", ""),
        by,
    )


def _chat_of(customer: Customer, reader: Reader, simulator: Simulator) -> Chat:
    told = simulator.ask("GET", f"/customers/{customer.phone}/messages")["messages"]
    received = [each["text"] for each in told if each["direction"] == "in"]
    thread = reader.thread(customer.chat)
    claudes = {
        each["id"]: each["text"]
        for each in thread
        if each["author"]["kind"] == "claude" and each["type"] != "system"
    }
    texts = {**customer.texts, **{text: name for name, text in claudes.items()}}
    return Chat(
        customer.name,
        customer.written,
        [*customer.sent, *claudes],
        [texts.get(text, text) for text in received],
        [_stored(message) for message in thread],
        quoted=_quoted(customer, claudes) if customer.claudes else None,
    )


def _quoted(customer: Customer, answers: dict[str, str]) -> dict[str, list[str]]:
    """What each of Claude's answers answers: the stand-in quotes it, by its number."""
    known = {f"{number}": name for number, name in enumerate(customer.written, 1)}
    return {
        name: [known.get(number, f"question {number}") for number in _QUESTION.findall(text)]
        for name, text in answers.items()
    }


def _judge(
    result: Storm, reader: Reader, simulator: Simulator, customers: Sequence[Customer],
    fleets: Sequence[Listeners], watched: _Watched,
) -> None:  # fmt: skip
    """Waits until nothing is on its way any more, and compares all sides."""
    chats: list[Chat] = []

    def settled() -> bool:
        if not simulator.ask("GET", "/deliveries")["idle"]:
            return False
        chats[:] = [_chat_of(each, reader, simulator) for each in customers]
        ours = [each for chat in chats for each in chat.thread if each.outgoing]
        waiting = any(chat.unanswered for chat in chats)
        return not waiting and all(each.status in TICKED or each.in_doubt for each in ours)

    if not _wait(settled, SETTLE_SECONDS):
        result.faults.append(f"not settled after {SETTLE_SECONDS:.0f} s")
        chats[:] = chats or [_chat_of(each, reader, simulator) for each in customers]
    listed = reader.conversations()
    unread = {each["id"]: each["unread_count"] for each in listed}
    for customer, chat in zip(customers[1:], chats[1:], strict=True):  # the first is open on a page
        chat.unread = unread[customer.chat]
    for chat in chats:
        result.faults += judging.of_chat(chat)
    result.faults += _of_listeners(fleets, chats)
    result.faults += _of_page(result, watched, chats[0], [each["id"] for each in listed])
    result.written = sum(len(each.written) for each in customers)
    result.sent = sum(len(each.sent) for each in customers)
    given = [chat for chat in chats if chat.quoted is not None]
    result.asked = sum(len(chat.written) for chat in given)
    result.answered = sum(len(chat.quoted or {}) for chat in given)
    result.handed_over = sum(chat.with_people for chat in given)
    result.doubtful = sum(len(chat.doubtful) for chat in chats)
    told = simulator.ask("GET", "/deliveries")
    result.posted, result.retried = told["posted"], told["retried"]
    result.cut = sum(one.failures for fleet in fleets for one in fleet.all)
    result.ticks = _ticks(fleets[0].all[0], reader, customers)


def _of_listeners(fleets: Sequence[Listeners], chats: Sequence[Chat]) -> list[str]:
    # What was written before they began is not told to them.
    news = [Chat(chat.name, thread=chat.thread[1:]) for chat in chats]

    def faults(one: Listener) -> list[str]:
        heard = arrivals(one)
        resets = sum(event.type == "reset" for event in list(one.events))
        return judging.of_listener(one.client, heard, _first_ticks(one), resets, news)

    everybody = [one for fleet in fleets for one in fleet.all]
    _wait(lambda: not any(faults(one) for one in everybody), SHOWN_SECONDS)
    return [fault for one in everybody for fault in faults(one)]


def _of_page(
    result: Storm, watched: _Watched, chat: Chat, listed: Sequence[str]
) -> list[str]:  # fmt: skip
    if (shown := watched.look()) is None:
        return []

    def faults() -> list[str]:
        shown = watched.look()
        return judging.of_page(shown, chat.thread, listed) if shown else []

    _wait(lambda: not faults(), SHOWN_SECONDS)
    result.bubbles = len(shown.bubbles)
    return faults()


def _ticks(listener: Listener, reader: Reader, customers: Sequence[Customer]) -> list[float]:
    """Seconds from a message's storing to its first tick at a listener, in the order of storing."""
    ahead = time.time() - time.monotonic()
    first = _first_ticks(listener)
    stored = {
        message["id"]: datetime.fromisoformat(message["sent_at"]).timestamp()
        for customer in customers
        for message in reader.thread(customer.chat)
        if message["direction"] == "out"
    }
    return [first[name] + ahead - at for name, at in stored.items() if name in first]


def _first_ticks(listener: Listener) -> dict[str, float]:
    """When a listener was first told that a message was sent, by id; time.monotonic()."""
    first: dict[str, float] = {}
    for event in list(listener.events):
        if event.type == "message.status_changed":
            told = json.loads(event.data)["data"]
            if told["status"] in TICKED:
                first.setdefault(told["message_id"], event.at)
    return first

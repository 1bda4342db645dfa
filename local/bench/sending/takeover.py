"""Measures how soon another process goes on where one has died in the middle of a call.

One part of report.py's tables.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from local.bench.storm.people import Attendant
from local.bench.world import World, phone, post_updates
from local.processes.parts import free_port

#: The Graph API's time for an answer: the process dies long before.
CALL_MS = 30_000
_LAST_SECONDS = 90.0
_LISTENERS = 10


@dataclass
class Takeover:
    """Times in ms from a process's end to the start of the call for the customer's next message."""

    end: str
    times: list[float] = field(default_factory=list)


def takeover(host: str, rounds: int) -> Iterator[Takeover]:
    """For each way to end, so many times.

    Args:
        host: the store.
        rounds: how often.
    """
    port = free_port()
    with World(host, {"WHATSAPP_API_URL": f"http://127.0.0.1:{port}"}) as world:
        heir = world.server(_LISTENERS)
        world.simulator(port, heir.url, graph_delay_ms=CALL_MS)
        cookie = heir.login()
        ana = Attendant(heir.url, cookie)
        for end, signal in (("SIGKILL", "kill"), ("SIGTERM", "terminate")):
            result = Takeover(end)
            for number in range(rounds):
                post_updates(heir.url, [phone(number)])
                chat = ana.ask("GET", "/api/conversations").json()["conversations"][0]["id"]
                doomed = world.server(_LISTENERS)
                with_it = Attendant(doomed.url, cookie)
                with_it.come_in()
                first, second = (_send(with_it, chat) for _ in range(2))
                _begun(ana, first)
                getattr(doomed.part, signal)()
                died = time.time()
                result.times.append((_begun(ana, second) - died) * 1000)
            yield result


def _send(attendant: Attendant, chat: str) -> str:
    name = str(uuid.uuid4())
    body = {"client_id": name, "text": "resposta"}
    attendant.ask("POST", f"/api/conversations/{chat}/messages", body)
    return name


def _begun(attendant: Attendant, message_id: str) -> float:
    """When the Graph API was about to be called for it, seconds since 1970; waits for it."""
    end, pause = time.monotonic() + _LAST_SECONDS, threading.Event()
    while time.monotonic() < end:
        told = attendant.ask("GET", f"/api/messages/{message_id}/status").json()
        at = told["attempts"][0]["started_at"]
        if at is not None:
            return datetime.fromisoformat(at).timestamp()
        pause.wait(0.1)
    raise RuntimeError("nobody took over")

"""Measures the webhook while the Graph API does not answer: sends have a bound of their own.

One part of report.py's tables.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import requests

from local.bench.listeners import Listeners
from local.bench.measures import CONNECT_SECONDS, CUSTOMERS, DEFAULT_CAPACITY, DEFAULT_THREADS
from local.bench.storm.people import Answering, Attendant, Crew, Customer, Reader
from local.bench.world import World, phone, post_updates
from local.processes.parts import free_port

#: Chats in which the attendants go on sending.
SENDERS = 24
#: As on App Engine: a request that sends waits for its outcome.
SETTINGS = {"SEND_WAIT_SECONDS": "25", "WHATSAPP_READ_SECONDS": "300"}
_NEVER_MS = 600_000
_EVERY_SECONDS = 0.25


@dataclass
class Hanging:
    """Times in ms while so many chats wait for the Graph API."""

    senders: int
    webhook: list[float] = field(default_factory=list)  # POST → 200
    healthz: list[float] = field(default_factory=list)
    sent: int = 0  # messages, of which none was answered by the Graph API


def hanging(host: str, seconds: float) -> Iterator[Hanging]:
    """Webhook calls beside as many open streams as there are places: before anybody sends, and
    while all that is sent hangs.

    Args:
        host: the store.
        seconds: of either.
    """
    port = free_port()
    with World(host, {"WHATSAPP_API_URL": f"http://127.0.0.1:{port}", **SETTINGS}) as world:
        server = world.server(DEFAULT_CAPACITY, threads=DEFAULT_THREADS)
        world.simulator(port, server.url, graph_delay_ms=_NEVER_MS)
        cookie = server.login()
        customers = [Customer(number, phone(number)) for number in range(SENDERS)]
        post_updates(server.url, [each.phone for each in customers])
        listed = Reader(server.url, cookie).conversations()
        for customer, chat in zip(customers, listed, strict=True):
            customer.chat = chat["id"]
        fleet = Listeners(server.url, cookie, DEFAULT_CAPACITY, delivery="stream")
        with fleet:
            if not fleet.wait_connected(CONNECT_SECONDS):
                raise RuntimeError("not all listeners were answered")
            yield _measured(Hanging(0), server.url, seconds)
            crew = Crew()
            for customer in customers:
                crew.start(Answering(Attendant(server.url, cookie), customer))
            threading.Event().wait(10)  # all have sent, and those that wait for the outcome wait
            result = _measured(Hanging(SENDERS), server.url, seconds)
            crew.end()
            result.sent = sum(len(customer.sent) for customer in customers)
            yield result


def _measured(result: Hanging, url: str, seconds: float) -> Hanging:
    end, pause, calls = time.monotonic() + seconds, threading.Event(), 0
    with requests.Session() as session:
        session.trust_env = False
        while time.monotonic() < end:
            asked = time.monotonic()
            session.get(f"{url}/healthz", timeout=60).raise_for_status()
            result.healthz.append((time.monotonic() - asked) * 1000)
            # Of other customers than those whom the attendants answer.
            posted = post_updates(url, [phone(1000 + calls % CUSTOMERS)])
            result.webhook.append((posted.answered - posted.sent) * 1000)
            calls += 1
            pause.wait(_EVERY_SECONDS)
    return result

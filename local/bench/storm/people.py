"""Who acts in a storm: customers who write, an attendant who answers several, a Messages API that
has its moods, and who looks on.
"""

from __future__ import annotations

import random
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from local.bench.world import Simulator, StandIn

#: More than the second in which WhatsApp tells times, so that the order of one customer's is known.
CUSTOMER_SECONDS = (2.0, 6.0)
#: A Graph API that answers in a second sends one message of a chat a second; less is written.
ATTENDANT_SECONDS = (1.5, 4.0)
#: What was not answered is sent again, as the page does.
_AGAIN_SECONDS = 0.3
_CALL_SECONDS = 30.0
#: Both servers are up by then: what is not taken by then is not taken.
_LAST_SECONDS = 60.0
#: Claude's time for an answer; how many requests a mood refuses, at most; how long one lasts.
_CLAUDE_MS, _OVERLOADED, _MOOD_SECONDS = (200, 2500), 3, (3.0, 6.0)
_TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')


@dataclass
class Customer:
    """One of them, and what they and the attendant wrote."""

    number: int
    phone: str
    chat: str = ""  # the conversation's id
    written: list[str] = field(default_factory=list)  # wamids
    sent: list[str] = field(default_factory=list)  # client ids
    texts: dict[str, str] = field(default_factory=dict)  # text → client id
    claudes: bool = False  # whether Claude is given the chat

    @property
    def name(self) -> str:
        """What a report calls them: no number, not even an invented one."""
        return f"chat {self.number}"


class Crew:
    """Threads that work until they are told to stop; `faults` says what broke them."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.faults: list[str] = []
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[threading.Event], None]) -> None:
        """Has this done, with the event that ends it."""

        def run() -> None:
            try:
                work(self.stop)
            except Exception as error:  # noqa: BLE001 - a thread has nobody else to tell
                what = type(work).__name__
                self.faults.append(f"{what}: {type(error).__name__}: {str(error).strip()}")

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def end(self) -> None:
        """Stops them all, each after what it is at."""
        self.stop.set()
        for thread in self._threads:
            thread.join(_LAST_SECONDS + 2 * _CALL_SECONDS)
            if thread.is_alive():
                self.faults.append("somebody did not come to an end")


def write(simulator: Simulator, customer: Customer) -> None:
    """Has the customer write one message."""
    text = {"text": f"pergunta {len(customer.written) + 1}"}
    told = simulator.ask("POST", f"/customers/{customer.phone}/messages", text)
    customer.written.append(told["id"])


class Writing:
    """All the customers, each at their own pace."""

    def __init__(self, simulator: Simulator, customers: list[Customer]) -> None:
        self._simulator = simulator
        self._customers = customers

    def __call__(self, stop: threading.Event) -> None:
        due = {each.number: _soon(CUSTOMER_SECONDS) for each in self._customers}
        while not stop.wait(max(0.0, min(due.values()) - time.monotonic())):
            next_ = min(self._customers, key=lambda each: due[each.number])
            write(self._simulator, next_)
            due[next_.number] = _soon(CUSTOMER_SECONDS)


class Attendant:
    """An attendant over HTTP: what was not answered is asked again until it is taken."""

    def __init__(self, url: str, cookie: str) -> None:
        self.repeated = 0  # calls that were not answered, or with a 5xx
        self._url = url
        self._http = requests.Session()
        self._http.trust_env = False
        name, _, value = cookie.partition("=")  # a jar: the first page puts the token into it
        self._http.cookies.set(name, value, domain="127.0.0.1")

    def come_in(self) -> None:
        """Gets the page's token; before anything is changed."""
        found = _TOKEN.search(self.ask("GET", "/").text)
        self._http.headers["X-CSRFToken"] = found[1] if found else ""

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> requests.Response:
        """The answer, which is 2xx or 3xx."""
        end, pause = time.monotonic() + _LAST_SECONDS, threading.Event()
        while True:
            try:
                answer = self._http.request(
                    method, f"{self._url}{path}", json=body, timeout=_CALL_SECONDS
                )
            except requests.RequestException as error:
                problem = type(error).__name__
            else:
                if answer.status_code < 300:
                    return answer
                problem = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code < 500:
                    raise RuntimeError(f"{method} was answered {problem}")
            if time.monotonic() > end:
                raise RuntimeError(f"{method} was never answered: {problem}")
            self.repeated += 1
            pause.wait(_AGAIN_SECONDS)

    def give(self, customer: Customer, owner: str) -> None:
        """Gives a chat to `claude` or to people (`human`)."""
        self.ask("POST", f"/api/conversations/{customer.chat}/owner", {"owner": owner})


class Answering:
    """The attendant in one chat."""

    def __init__(self, attendant: Attendant, customer: Customer) -> None:
        self._attendant = attendant
        self._customer = customer

    def __call__(self, stop: threading.Event) -> None:
        self._attendant.come_in()
        customer = self._customer
        path = f"/api/conversations/{customer.chat}/messages"
        while not stop.wait(random.uniform(*ATTENDANT_SECONDS)):
            name, text = str(uuid.uuid4()), f"resposta {len(customer.sent) + 1}"
            customer.texts[text] = name
            customer.sent.append(name)
            self._attendant.ask("POST", path, {"client_id": name, "text": text})


class TakingOver:
    """The attendant takes a chat of Claude's over after a while."""

    def __init__(self, attendant: Attendant, customer: Customer, seconds: float) -> None:
        self._attendant = attendant
        self._customer = customer
        self._seconds = seconds

    def __call__(self, stop: threading.Event) -> None:
        stop.wait(self._seconds)
        self._attendant.come_in()
        self._attendant.give(self._customer, "human")


class Moods:
    """The Messages API is slow, more or less, and now and then overloaded."""

    def __init__(self, claude: StandIn) -> None:
        self._claude = claude

    def __call__(self, stop: threading.Event) -> None:
        while not stop.is_set():
            slow = random.randint(*_CLAUDE_MS)
            overloaded = {"fail": "overloaded", "fail_times": random.randint(0, _OVERLOADED)}
            self._claude.ask("PUT", "/switches", {"slow_ms": slow, **overloaded})
            stop.wait(random.uniform(*_MOOD_SECONDS))
        self._claude.ask("DELETE", "/switches")


class Reader:
    """What the API tells, while nobody is killed."""

    def __init__(self, url: str, cookie: str) -> None:
        self._url = url
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.headers["Cookie"] = cookie

    def get(self, path: str) -> Any:
        """The JSON that a path answers."""
        answer = self._http.get(f"{self._url}{path}", timeout=60)
        answer.raise_for_status()
        return answer.json()

    def pages(self, path: str, name: str) -> list[list[dict[str, Any]]]:
        """All pages of a list, in the order in which they come."""
        found, before = [], ""
        while True:
            answer = self.get(f"{path}?limit=100{before}")
            found.append(answer[name])
            if answer["next"] is None:
                return found
            before = f"&before={answer['next']}"

    def conversations(self) -> list[dict[str, Any]]:
        """Newest first."""
        return sum(self.pages("/api/conversations", "conversations"), [])

    def thread(self, chat: str) -> list[dict[str, Any]]:
        """Oldest first."""
        pages = self.pages(f"/api/conversations/{chat}/messages", "messages")
        return [message for part in reversed(pages) for message in part]


def _soon(seconds: tuple[float, float]) -> float:
    return time.monotonic() + random.uniform(*seconds)

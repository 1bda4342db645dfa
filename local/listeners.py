"""Many listeners of `/realtime/events` in one thread, for measurements and for tests under load.

Each is a plain SSE client: it keeps nothing but the cursor, obeys `retry:` and comes back after a
broken connection. It speaks HTTP/1.1 over asyncio, because 500 threads would measure themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import quote, urlsplit

_FAILURE_SECONDS = 0.2  # before the next try after a broken connection, doubled up to the cap
_FAILURE_CAP_SECONDS = 3.0
_SILENCE_SECONDS = 40.0  # a little over the longest hold


@dataclass
class Received:
    """One event as a listener got it."""

    type: str
    data: str  # the JSON text of the `data:` line
    at: float  # time.monotonic() of its arrival


@dataclass
class Listener:
    """One client: what it asks for, and what came of it."""

    client: str
    cursor: str = ""
    events: list[Received] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)  # HTTP status → how often
    requests: int = 0
    failures: int = 0  # connections refused or broken
    connected: bool = False  # a 200 whose body is under way, or a `retry` obeyed after one

    def count(self, type: str = "message.created") -> int:
        """How many events of this type came."""
        return sum(1 for event in self.events if event.type == type)


class Listeners:
    """`count` listeners of one server, as a context manager.

    Args:
        url: of the server, such as `http://127.0.0.1:8080`.
        cookie: the `Cookie` header of a logged-in session.
        count: how many.
        delivery: `stream`, `hold`, or "" for what the server chooses.
        cursor: where all start; "" is from now on.
        prefix: of their client ids, which must differ between fleets.
    """

    def __init__(
        self, url: str, cookie: str, count: int, *, delivery: str = "", cursor: str = "",
        prefix: str = "listener",
    ) -> None:  # fmt: skip
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._cookie = cookie
        self._delivery = delivery
        self.all = [Listener(f"{prefix}-{n}", cursor) for n in range(count)]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="listeners", daemon=True)
        self._tasks: list[asyncio.Task[None]] = []

    def __enter__(self) -> Listeners:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in self._tasks])
        self._thread.join(10)

    def wait(self, predicate: Callable[[list[Listener]], bool], seconds: float) -> bool:
        """Until it holds of the listeners; False when time is up."""
        end = time.monotonic() + seconds
        pause = threading.Event()
        while not predicate(self.all):  # looking now and then costs less than 500 wake-ups
            if time.monotonic() > end:
                return False
            pause.wait(0.02)
        return True

    def wait_connected(self, seconds: float = 30.0) -> bool:
        """Until every listener has been answered."""
        return self.wait(lambda all_: all(one.connected for one in all_), seconds)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._tasks = [self._loop.create_task(self._listen(one)) for one in self.all]
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.close()

    async def _listen(self, one: Listener) -> None:
        failed = 0
        first = True
        while True:
            retry = 0.0
            started = time.monotonic()
            try:
                retry = await self._request(one, hello=first)
                first = False
                failed = 0
            except (TimeoutError, OSError, EOFError, ValueError):
                one.failures += 1
                failed += 1
            one.connected = one.connected and not failed
            if failed:
                pause = min(_FAILURE_CAP_SECONDS, _FAILURE_SECONDS * 2**failed)
                await asyncio.sleep(pause * random.random())
            elif retry > 0.1:  # over the capacity; a held answer's 20 ms are for EventSource
                await asyncio.sleep(retry)
            elif time.monotonic() - started < 0.001:
                await asyncio.sleep(0.01)

    async def _request(self, one: Listener, *, hello: bool) -> float:
        """One request; returns the seconds that `retry:` asked for."""
        query = f"client={one.client}" + (f"&delivery={self._delivery}" if self._delivery else "")
        query += f"&after={quote(one.cursor)}" if one.cursor else ""
        query += "&hello=1" if hello else ""
        reader, writer = await asyncio.open_connection(*self._address, limit=1 << 20)
        try:
            one.requests += 1
            head = f"GET /realtime/events?{query} HTTP/1.1\r\nHost: {self._address[0]}\r\n"
            head += f"Cookie: {self._cookie}\r\nAccept: text/event-stream\r\n"
            writer.write(f"{head}Connection: close\r\n\r\n".encode())
            status_line = await asyncio.wait_for(reader.readline(), _SILENCE_SECONDS)
            if not status_line:
                raise EOFError("no answer")
            status = int(status_line.split()[1])
            chunked = False
            while (line := await reader.readline()).strip():
                name, _, value = line.decode().partition(":")
                chunked |= name.lower() == "transfer-encoding" and "chunked" in value.lower()
            one.statuses[status] = one.statuses.get(status, 0) + 1
            if status != 200:
                raise EOFError(f"status {status}")
            return await self._read_body(one, reader, chunked)
        finally:
            writer.close()

    async def _read_body(self, one: Listener, reader: asyncio.StreamReader, chunked: bool) -> float:
        rest = b""
        retry = 0.0
        while True:
            if chunked:
                size_line = await asyncio.wait_for(reader.readline(), _SILENCE_SECONDS)
                if not size_line:
                    raise EOFError("cut")
                size = int(size_line, 16)
                chunk = await reader.readexactly(size + 2)
                if size == 0:
                    return retry
                rest += chunk[:-2]
            else:
                chunk = await asyncio.wait_for(reader.read(65536), _SILENCE_SECONDS)
                if not chunk:
                    return retry
                rest += chunk
            arrived = time.monotonic()
            *blocks, rest = rest.split(b"\n\n")
            for block in blocks:
                retry = self._take(one, block.decode(), arrived) or retry
            one.connected = True

    def _take(self, one: Listener, block: str, arrived: float) -> float:
        retry, type_, data = 0.0, "", ""
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if name == "id":
                one.cursor = value
            elif name == "event":
                type_ = value
            elif name == "data":
                data = value
            elif name == "retry":
                retry = int(value) / 1000
        if data:
            one.events.append(Received(type_, data, arrived))
        return retry

"""Many listeners of `/realtime/events` in one thread, for measurements and for tests under load.

Each is a plain SSE client: it keeps nothing but the cursor, obeys a `retry:` that ends an answer
(as static/realtime_events.js does) and comes back after a broken connection. It speaks HTTP/1.1
over asyncio, because 500 threads would measure themselves.
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
        """One request; returns the seconds that a `retry:` at its end asked for."""
        query = f"client={one.client}" + (f"&delivery={self._delivery}" if self._delivery else "")
        query += f"&after={quote(one.cursor)}" if one.cursor else ""
        query += "&hello=1" if hello else ""
        head = f"GET /realtime/events?{query} HTTP/1.1\r\nHost: {self._address[0]}\r\n"
        head += f"Cookie: {self._cookie}\r\nAccept: text/event-stream\r\n"
        one.requests += 1
        answer = _Answer(one, f"{head}Connection: close\r\n\r\n".encode())
        transport = None
        try:
            transport, _ = await self._loop.create_connection(lambda: answer, *self._address)
            while not answer.ended.done():
                silence = _SILENCE_SECONDS - (time.monotonic() - answer.heard_at)
                if silence <= 0:
                    raise TimeoutError("silence")
                await asyncio.wait([answer.ended], timeout=silence)
            answer.ended.result()
            return answer.retry
        finally:
            if not answer.ended.cancel():
                answer.ended.exception()  # looked at, or asyncio reports it as forgotten
            if transport is not None:
                transport.abort()


class _Answer(asyncio.Protocol):
    """One response, read as it comes: an asyncio.StreamReader takes several times as long."""

    def __init__(self, one: Listener, request: bytes) -> None:
        self._one = one
        self._request = request
        self._raw = b""  # not yet taken apart: a part of the head or of a chunk
        self._body = b""  # a part of a block
        self._in_body = False
        self._chunked = False
        self.retry = 0.0  # of the last block: in front it is meant for EventSource
        self.heard_at = time.monotonic()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        self._raw += data
        if self.ended.done():
            return
        try:
            if not self._in_body:
                self._take_head()
            if self._in_body:
                self._take_body()
        except (EOFError, ValueError, IndexError) as error:
            self.ended.set_exception(EOFError(str(error)))

    def connection_lost(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is not None or self._chunked or not self._in_body:
            self.ended.set_exception(EOFError("cut"))
        else:
            self.ended.set_result(None)

    def _take_head(self) -> None:
        head, end, rest = self._raw.partition(b"\r\n\r\n")
        if not end:
            return
        status_line, *headers = head.decode("latin-1").lower().split("\r\n")
        status = int(status_line.split()[1])
        self._one.statuses[status] = self._one.statuses.get(status, 0) + 1
        if status != 200:
            raise EOFError(f"status {status}")
        self._chunked = any(
            name == "transfer-encoding" and "chunked" in value
            for name, _, value in (line.partition(":") for line in headers)
        )
        self._in_body = True
        self._raw = rest

    def _take_body(self) -> None:
        while self._raw and self._chunked:
            size_line, end, rest = self._raw.partition(b"\r\n")
            if not end:
                break
            size = int(size_line, 16)
            if len(rest) < size + 2:
                break
            if size == 0:
                self.ended.set_result(None)
            self._body += rest[:size]
            self._raw = rest[size + 2 :]
        if not self._chunked:
            self._body += self._raw
            self._raw = b""
        *blocks, self._body = self._body.split(b"\n\n")
        for block in blocks:
            self._take_block(block.decode())
        self._one.connected = True

    def _take_block(self, block: str) -> None:
        self.retry, type_, data = 0.0, "", ""
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            if name == "id":
                self._one.cursor = value
            elif name == "event":
                type_ = value
            elif name == "data":
                data = value
            elif name == "retry":
                self.retry = int(value) / 1000
        if data:
            self._one.events.append(Received(type_, data, self.heard_at))

"""A front end whose connections a test cuts, holds up or refuses, and that counts requests.

One request a connection (it asks both sides to close), so that a cut hits exactly what is under
way and a count is a count of requests. It streams: what the application sends is passed on at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

EVENTS = "/realtime/events"
HEAD_BYTES = 64 * 1024
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class _Exchange:
    """A request that is being answered."""

    target: str
    client: asyncio.StreamWriter
    relay: asyncio.Future[None] | None = None  # passes the answer on; None: nobody answers


class CuttableProxy:
    """Listens on a free port of 127.0.0.1 in a thread of its own until `stop`.

    Args:
        upstream: the application's address, `http://HOST:PORT`.

    `targets` are the paths with their queries of all requests so far, in the order they came.
    """

    def __init__(self, upstream: str) -> None:
        self.targets: list[str] = []
        self._exchanges: list[_Exchange] = []
        self._clients: list[asyncio.StreamWriter] = []  # all that ever connected
        self._mode = "pass"  # or "503", "hang"
        self._shares: Iterator[int] = iter(())
        self._server: asyncio.Server | None = None
        self._port = 0
        self.lead_to(upstream)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._listen)

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return f"http://127.0.0.1:{self._port}"

    # --- what a test does ---------------------------------------------------------------------

    def lead_to(self, upstream: str) -> None:
        """From now on requests go to this address."""
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)

    def pass_on(self) -> None:
        """Let everything through again; but what was silenced stays silent, as dead sockets do."""
        self._mode = "pass"
        self._do(self._listen)

    def refuse(self) -> None:
        """Reset all connections and stop listening: connection refused, as from a dead server."""
        self._do(self._close)
        self.cut()

    def answer_503(self) -> None:
        """Reset all connections; every request from now on is answered 503."""
        self._mode = "503"
        self.cut()

    def hang(self) -> None:
        """Reset all connections; requests from now on are taken and never answered."""
        self._mode = "hang"
        self.cut()

    def go_silent(self) -> None:
        """Nothing passes and nobody is told: as a laptop that sleeps finds its connections."""
        self._mode = "hang"
        self._do(self._silence)

    def cut(self) -> None:
        """Reset all connections of this moment."""
        self._do(self._reset_all)

    def cut_each_stream_after(self, sizes: Iterable[int]) -> None:
        """Break off as many of the next event answers, each after the given number of bytes."""
        self._shares = iter(tuple(sizes))

    def count(self, pattern: str) -> int:
        """Requests so far whose path, from its beginning, matches the regular expression."""
        return sum(1 for target in self.targets if re.match(pattern, target))

    def open_streams(self) -> int:
        """Requests for events that are being answered now."""
        return self._do(self._count_open)

    def stop(self) -> None:
        """End it with all its connections."""
        self.refuse()
        self._do(self._finish)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    # --- in the loop's thread -----------------------------------------------------------------

    def _do(self, action: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(action(), self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is not None:
            return
        self._server = await asyncio.start_server(
            self._let_in, "127.0.0.1", self._port, limit=HEAD_BYTES
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        # Who is being let in needs an open server: Python 3.11 forgets their socket otherwise.
        for each in server.sockets:
            self._loop.remove_reader(each.fileno())
        await _some_rounds()
        server.close()

    async def _finish(self) -> None:
        # Who was let in just now becomes an exchange first: cancelled before, nobody closes it.
        await _some_rounds()
        for client in self._clients:  # one that is closed waits for a browser that does not read
            client.transport.abort()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await _some_rounds()  # in one of which a closed transport lets its socket go

    async def _count_open(self) -> int:
        return sum(1 for each in self._exchanges if each.relay and each.target.startswith(EVENTS))

    async def _reset_all(self) -> None:
        for exchange in list(self._exchanges):
            _reset(exchange.client)

    async def _silence(self) -> None:
        for exchange in self._exchanges:
            if exchange.relay is not None:
                exchange.relay.cancel()
                exchange.relay = None

    def _let_in(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        exchange = _Exchange("", client)
        self._exchanges.append(exchange)
        self._clients.append(client)
        task = asyncio.ensure_future(self._serve(exchange, reader))
        task.add_done_callback(lambda _task: client.close())

    async def _serve(self, exchange: _Exchange, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._answer(exchange, reader)
        self._exchanges.remove(exchange)

    async def _answer(self, exchange: _Exchange, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1])) if length else b""
        exchange.target = head.split(b" ", 2)[1].decode("latin-1")
        self.targets.append(exchange.target)
        if self._mode == "503":
            exchange.client.write(UNAVAILABLE)
            return
        gone = asyncio.ensure_future(_end_of(reader))
        if self._mode == "pass":
            request = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)
            request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) + body
            exchange.relay = asyncio.ensure_future(self._relay(exchange, request))
            await asyncio.wait({gone, exchange.relay}, return_when=asyncio.FIRST_COMPLETED)
        if exchange.relay is None:  # nobody answers, or nobody does any more
            await gone
        else:
            gone.cancel()
            exchange.relay.cancel()

    async def _relay(self, exchange: _Exchange, request: bytes) -> None:
        client, left = exchange.client, None
        if exchange.target.startswith(EVENTS):
            left = next(self._shares, None)
        with contextlib.suppress(OSError):
            upstream, to_upstream = await asyncio.open_connection(*self._upstream)
            try:
                to_upstream.write(request)
                while chunk := await upstream.read(HEAD_BYTES):
                    client.write(chunk[:left])
                    await client.drain()
                    if left is not None:
                        left -= len(chunk)
                        if left <= 0:
                            return  # closed in the middle of a chunk: the browser sees it broken
            finally:
                to_upstream.close()


async def _some_rounds() -> None:
    """Of the loop: enough for what has begun at once to be done."""
    for _ in range(5):
        await asyncio.sleep(0)


async def _end_of(reader: asyncio.StreamReader) -> None:
    """Until the client is gone: after its request it sends nothing more."""
    with contextlib.suppress(OSError):
        await reader.read(1)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, as a router does that has forgotten it."""
    peer: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

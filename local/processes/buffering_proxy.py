"""An HTTP proxy that treats responses as App Engine standard's front end does.

It collects the whole response of the application and sends it only when the application has
ended it: whatever is streamed arrives in one piece, late. `X-Accel-Buffering` changes nothing, as
there. A request may take ten minutes. When the browser leaves, the connection to the application
is closed.

    python -m local.processes.buffering_proxy --port 8080 --upstream http://127.0.0.1:9090

prints `ready http://127.0.0.1:8080`. With several `--upstream` it takes them in turn, and passes
over one that is gone until it answers `GET /healthz` again, as the front end does. For tests and
`dev.py run --buffering` on one machine: plain HTTP/1.1, no TLS, no upgrade. Hundreds of held
requests cost a coroutine each, and asyncio sets TCP_NODELAY on its sockets, so nothing waits 40 ms
for Nagle's algorithm.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

REQUEST_SECONDS = 600.0  # App Engine's limit under automatic scaling
HEAD_BYTES = 64 * 1024
RESPONSE_BYTES = 32 * 1024 * 1024  # App Engine's limit for one response
BACKLOG = 1024
PROBE_SECONDS = 0.2  # how often an instance that was gone is asked whether it is there again

# Headers that concern one connection only (RFC 9110, 7.6.1); lengths are written anew.
HOP_BY_HOP = frozenset(
    [b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"]
    + [b"transfer-encoding", b"content-length", b"expect"]
)
NO_BODY_STATUSES = frozenset([b"204", b"304"])


class _BadMessageError(Exception):
    """What was received is no HTTP/1.1 message that we understand."""


class _TooLargeError(Exception):
    """The response is larger than the front end lets through."""


_Address = tuple[str, int]


@dataclass
class _Message:
    """A request or a response, whole."""

    start_line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""

    def header(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key.lower() == name), b"")

    def end_to_end_headers(self) -> list[tuple[bytes, bytes]]:
        return [(key, value) for key, value in self.headers if key.lower() not in HOP_BY_HOP]


def _encode(start_line: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    lines = [start_line, *(key + b": " + value for key, value in headers), b"", b""]
    return b"\r\n".join(lines) + body


async def _read_head(reader: asyncio.StreamReader, first: bytes = b"") -> _Message | None:
    """The start line and the headers; None when the peer closed before it sent anything."""
    try:
        head = first + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if first + error.partial:
            raise _BadMessageError("closed in the middle of the headers") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise _BadMessageError("headers too long") from error
    start_line, *lines = head[:-4].split(b"\r\n")
    headers = []
    for line in lines:
        key, colon, value = line.partition(b":")
        if not colon:
            raise _BadMessageError("a header without a colon")
        headers.append((key.strip(), value.strip()))
    return _Message(start_line, headers)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        body += await reader.readexactly(size)
        if len(body) > RESPONSE_BYTES:
            raise _TooLargeError
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass  # trailers
            return bytes(body)
        await reader.readexactly(2)


async def _read_body(message: _Message, reader: asyncio.StreamReader, *, response: bool) -> bytes:
    if b"chunked" in message.header(b"transfer-encoding").lower():
        return await _read_chunks(reader)
    length = message.header(b"content-length")
    if length:
        if response and int(length) > RESPONSE_BYTES:
            raise _TooLargeError
        return await reader.readexactly(int(length))
    if not response:
        return b""
    body = await reader.read(RESPONSE_BYTES + 1)
    while chunk := await reader.read(RESPONSE_BYTES + 1 - len(body)):
        body += chunk
    if len(body) > RESPONSE_BYTES:
        raise _TooLargeError
    return body


class BufferingProxy:
    """The proxy as an asyncio server; `upstreams` are the addresses of the application's
    instances, `http://host:port`, which get the requests in turn.

    `held` counts the requests whose response is being collected.
    """

    def __init__(
        self, upstreams: Sequence[str], *, request_seconds: float = REQUEST_SECONDS
    ) -> None:
        self._instances = [_address(upstream) for upstream in upstreams]
        self._turns = itertools.count()
        self._gone: dict[_Address, asyncio.Future[None]] = {}  # and who looks for it
        self._request_seconds = request_seconds
        self.held = 0

    async def start(self, port: int) -> asyncio.Server:
        """Listen on 127.0.0.1:`port` (0: any free port)."""
        return await asyncio.start_server(
            self._serve, "127.0.0.1", port, limit=HEAD_BYTES, backlog=BACKLOG
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one client connection, one after the other."""
        try:
            first = b""
            while True:
                request = await _read_head(reader, first)
                if request is None:
                    return
                if request.header(b"expect").lower() == b"100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                request.body = await _read_body(request, reader, response=False)
                answer, first = await self._answer_unless_client_leaves(request, reader)
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
                if request.header(b"connection").lower() == b"close":
                    return
        except _BadMessageError as error:
            writer.write(_error(HTTPStatus.BAD_REQUEST, str(error)))
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass  # the client is gone, or speaks something else
        except asyncio.CancelledError:
            pass  # the proxy ends; asyncio would print a traceback for each connection
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer_unless_client_leaves(
        self, request: _Message, reader: asyncio.StreamReader
    ) -> tuple[bytes | None, bytes]:
        """The whole response, or None if the client left; and a byte of the next request."""
        answer = asyncio.ensure_future(self._answer(request))
        client = asyncio.ensure_future(reader.read(1))
        self.held += 1
        try:
            await asyncio.wait([answer, client], return_when=asyncio.FIRST_COMPLETED)
            first = b""
            if client.done():
                first = client.result()
                if not first:
                    return None, b""
            return await answer, first
        finally:
            self.held -= 1
            for task in (answer, client):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await task

    async def _answer(self, request: _Message) -> bytes:
        try:
            async with asyncio.timeout(self._request_seconds):
                return await self._ask_upstream(request)
        except TimeoutError:
            return _error(HTTPStatus.GATEWAY_TIMEOUT, "the application took too long")
        except _TooLargeError:
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "the response is too large")
        except (OSError, asyncio.IncompleteReadError, _BadMessageError, ValueError) as error:
            return _error(HTTPStatus.BAD_GATEWAY, f"the application did not answer: {error}")

    async def _connect(self) -> tuple[_Address, asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the next instance that takes one. A request is sent only once."""
        turn, count = next(self._turns), len(self._instances)
        order = [self._instances[(turn + place) % count] for place in range(count)]
        order.sort(key=lambda address: address in self._gone)  # those come last
        for address in order[:-1]:
            try:
                return address, *await asyncio.open_connection(*address, limit=HEAD_BYTES)
            except OSError:
                self._lose(address)
        return order[-1], *await asyncio.open_connection(*order[-1], limit=HEAD_BYTES)

    def _lose(self, address: _Address) -> None:
        """An instance is gone. One that starts takes connections long before it answers."""
        if len(self._instances) > 1 and address not in self._gone:
            self._gone[address] = asyncio.ensure_future(self._find_again(address))

    async def _find_again(self, address: _Address) -> None:
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = b""
        while b" 200 " not in answer:
            await asyncio.sleep(PROBE_SECONDS)
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(*address)
                try:
                    writer.write(request)
                    answer = await reader.readline()
                finally:
                    writer.close()
        del self._gone[address]

    async def _ask_upstream(self, request: _Message) -> bytes:
        address, reader, writer = await self._connect()
        try:
            return await self._exchange(request, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            self._lose(address)
            raise
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(
        self, request: _Message, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        headers = request.end_to_end_headers()
        headers.append((b"Connection", b"close"))
        if request.body or request.header(b"content-length"):
            headers.append((b"Content-Length", str(len(request.body)).encode()))
        writer.write(_encode(request.start_line, headers, request.body))
        await writer.drain()
        response = await _read_head(reader)
        if response is None:
            raise ConnectionResetError("closed without a response")
        status = response.start_line.split(b" ")[1]
        bodiless = request.start_line.startswith(b"HEAD ") or status in NO_BODY_STATUSES
        headers = response.end_to_end_headers()
        if bodiless:
            return _encode(response.start_line, headers, b"")
        body = await _read_body(response, reader, response=True)
        headers.append((b"Content-Length", str(len(body)).encode()))
        start_line = response.start_line.replace(b"HTTP/1.0", b"HTTP/1.1", 1)
        return _encode(start_line, headers, body)


def _address(upstream: str) -> _Address:
    parts = urlsplit(upstream)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"upstream must be http://HOST:PORT, not {upstream!r}")
    return parts.hostname, parts.port or 80


def _error(status: HTTPStatus, text: str) -> bytes:
    body = text.encode()
    headers = [(b"Content-Type", b"text/plain"), (b"Content-Length", str(len(body)).encode())]
    return _encode(f"HTTP/1.1 {status.value} {status.phrase}".encode(), headers, body)


async def _run(port: int, upstreams: Sequence[str]) -> None:
    server = await BufferingProxy(upstreams).start(port)
    address = server.sockets[0].getsockname()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows ends us without asking
            loop.add_signal_handler(number, ended.set)
    print(f"ready http://127.0.0.1:{address[1]}", flush=True)
    await ended.wait()
    # Held requests are cut, as they are when an instance of the front end goes.
    server.close()


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m local.processes.buffering_proxy")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--upstream", required=True, action="append",
        help="http://HOST:PORT of the application; again for each further instance of it",
    )  # fmt: skip
    options = parser.parse_args()
    asyncio.run(_run(options.port, options.upstream))


if __name__ == "__main__":
    main()

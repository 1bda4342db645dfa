"""A pass-through in front of a Datastore that counts every call of one server, by kind.

The measured code knows nothing of it: it is what DATASTORE_EMULATOR_HOST names.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.cloud.datastore_v1.types import datastore as rpc_types

_SERVICE = "/google.datastore.v1.Datastore/"
_READS = ("Lookup", "RunQuery", "RunAggregationQuery")
_SECONDS = 60.0
_BYTES: Any = bytes  # messages pass as they came


class Counts:
    """Calls since the last `reset`, such as `RunQuery RealtimeEvent` → 200."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()

    def add(self, method: str, request: bytes) -> None:
        """Count one call."""
        name = f"{method} {_kinds(method, request)}".strip()
        with self._lock:
            self._calls[name] += 1

    def reset(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self._calls.clear()

    def calls(self) -> Counter[str]:
        """All calls, by method and entity kind."""
        with self._lock:
            return Counter(self._calls)


def reads(calls: Counter[str]) -> int:
    """How many of these calls read: lookups and queries."""
    return sum(number for name, number in calls.items() if name.split()[0] in _READS)


def _kinds(method: str, request: bytes) -> str:
    if method == "Lookup":
        keys = rpc_types.LookupRequest.pb().FromString(request).keys
        return "+".join(sorted({key.path[-1].kind for key in keys}))
    if method == "RunQuery":
        query = rpc_types.RunQueryRequest.pb().FromString(request).query
        return "+".join(kind.name for kind in query.kind)
    return ""


class _PassThrough(grpc.GenericRpcHandler):
    def __init__(self, channel: grpc.Channel, counts: Counts) -> None:
        self._channel = channel
        self._counts = counts

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        method = handler_call_details.method
        forward: Callable[..., Any] = self._channel.unary_unary(method, _BYTES, _BYTES)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self._counts.add(method.removeprefix(_SERVICE), request)
            try:
                # Without a deadline the rest is centuries, which gRPC takes for none at all.
                seconds = min(context.time_remaining() or _SECONDS, _SECONDS)
                response: bytes = forward(request, timeout=seconds)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details() or "")
                raise
            return response

        return grpc.unary_unary_rpc_method_handler(answer, _BYTES, _BYTES)


@contextlib.contextmanager
def counting(host: str) -> Iterator[tuple[str, Counts]]:
    """Passes everything on to the Datastore at `host`; yields its own HOST:PORT and the counts."""
    counts = Counts()
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(host, options=unlimited) as channel:
        server = grpc.server(futures.ThreadPoolExecutor(32), options=unlimited)
        server.add_generic_rpc_handlers((_PassThrough(channel, counts),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}", counts
        finally:
            server.stop(0.2).wait()

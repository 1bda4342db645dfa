"""A way to the Datastore on which some commits are late: they become visible out of stamp order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import grpc

COMMIT = "/google.datastore.v1.Datastore/Commit"
OPTIONS = [
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


class DelayingStore(grpc.GenericRpcHandler):
    """Passes all calls on to the store at `host_port`; `self.host_port` is where it listens.

    Args:
        host_port: the real store.
        marker: only commits whose request contains these bytes are delayed.
        delays: seconds, one commit after the other, over and over; 0 is at once.

    `delayed` counts the commits that were late.
    """

    def __init__(self, host_port: str, marker: bytes, delays: list[float]) -> None:
        self.delayed = 0
        self._marker = marker
        self._delays: Iterator[float] = cycle(delays)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._channel = grpc.insecure_channel(host_port, options=OPTIONS)
        pool = ThreadPoolExecutor(64)  # a late commit must not hold up the others
        self._server = grpc.server(pool, handlers=[self], options=OPTIONS)
        self.host_port = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        """Every method of the API is one request and one answer; the bytes are not read."""
        method = handler_call_details.method
        call = self._channel.unary_unary(method, None, None)

        def pass_on(request: bytes, context: grpc.ServicerContext) -> bytes:
            if method == COMMIT and self._marker in request:
                self._delay()
                if not context.is_active():  # who sent it was killed, and it with them
                    context.abort(grpc.StatusCode.CANCELLED, "nobody waits for it")
            try:
                answer: bytes = call(request, metadata=context.invocation_metadata(), timeout=30)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details() or "")
            return answer

        return grpc.unary_unary_rpc_method_handler(pass_on)

    def _delay(self) -> None:
        with self._lock:
            seconds = next(self._delays)
            self.delayed += seconds > 0
        self._stopped.wait(seconds)

    def stop(self) -> None:
        """End it; what is still late goes through at once."""
        self._stopped.set()
        self._server.stop(1).wait()
        self._channel.close()

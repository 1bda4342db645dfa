"""The embedded store without gRPC and without a process: for tests that need thousands of calls.

It is the very service that `local.datastore` serves, called directly, so it says no to whatever the
store says no to; an application on it works as on any other.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.api_core import exceptions as api_exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import ndb
from google.cloud.datastore_v1.types import datastore as rpc_types

from local.datastore import server
from local.datastore.storage import Storage


class _Answer:
    """A call that is over when it is made, as ndb takes the answer of one."""

    def __init__(self, call: Callable[[Any], Any], name: str, request: Any) -> None:
        self._error: Exception | None = None
        self._result: Any = None
        try:
            if request._pb.ByteSize() > server._MAX_REQUEST_BYTES:
                raise server.Invalid("the request is too large")
            self._result = getattr(rpc_types, f"{name}Response").wrap(call(request._pb))
        except tuple(server._CODES) as error:
            kind = api_exceptions.exception_class_for_grpc_status(server._CODES[type(error)])
            self._error = kind(str(error))

    def exception(self) -> Exception | None:
        return self._error

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._result

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        callback(self)

    def cancel(self) -> None:
        pass


class _Stub:
    def __init__(self, service: server.Service) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        rpc = re.sub(r"(^|_)([a-z])", lambda found: found[2].upper(), name)
        call = getattr(self._service, rpc)

        class Method:
            @staticmethod
            def future(request: Any, **_options: Any) -> _Answer:
                return _Answer(call, rpc, request)

        return Method


@contextmanager
def quick_clients(directory: Path) -> Iterator[Callable[[], ndb.Client]]:
    """Yields what makes ndb clients, each of an empty store of its own."""
    storage = Storage(directory, fresh=True, durable=False)
    stub = _Stub(server.Service(storage))

    def make() -> ndb.Client:
        project = f"quick-{uuid.uuid4().hex[:12]}"
        client = ndb.Client(project=project, credentials=AnonymousCredentials())
        client.stub = stub
        return client

    try:
        yield make
    finally:
        storage.stop_queueing()
        storage.close()

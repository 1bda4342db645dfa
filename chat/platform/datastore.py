"""The Datastore connection: one client a process, one context a request, and no endless waits.

ndb waits without a limit unless told otherwise, and retries an unreachable store for half a minute.
Here every context has a budget: each call is cut off by it, and a store that stays unreachable is
reported as `StoreUnavailableError` within seconds, so that a webhook gets its 503 and a page its
message while somebody still waits for it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import google.auth.exceptions
import grpc
from google.api_core import exceptions as api_exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import ndb
from google.cloud.datastore_v1.types import datastore as datastore_types
from google.cloud.ndb import exceptions as ndb_exceptions

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_M = TypeVar("_M", bound=ndb.Model)

#: What a request as a whole may spend waiting for the store.
REQUEST_SECONDS = 10.0
#: One call. A healthy store answers in milliseconds; a big commit in less than a second.
RPC_SECONDS = 5.0
#: For so long after the first failure ndb's own retries may still help.
HICCUP_SECONDS = 1.5
#: What a read may take while the store lets calls time out, but for one at a time that tries.
#: Else each request of an outage would hold its thread for RPC_SECONDS, /healthz waiting behind.
SUSPECT_SECONDS = 1.0
#: Datastore takes 500 mutations a commit and 1,000 keys a lookup.
BATCH = 400
#: Paths that must answer when the store does not, and need none.
_WITHOUT_STORE = ("/healthz", "/_ah/", "/static/", "/favicon.ico", "/service-worker.js", "/offline")


class StoreUnavailableError(Exception):
    """The Datastore cannot be reached, or not in time."""


#: What a store that is down, slow or overloaded raises. All of it means: try again later.
ERRORS = (
    StoreUnavailableError,
    api_exceptions.GoogleAPICallError,
    api_exceptions.RetryError,
    ndb_exceptions.NestedRetryException,
    google.auth.exceptions.GoogleAuthError,
    grpc.RpcError,
)
#: The store is there and refuses this very entity (too large, not valid): trying again is no use.
REFUSALS = (
    api_exceptions.InvalidArgument,
    api_exceptions.FailedPrecondition,
    api_exceptions.OutOfRange,
)


@dataclass
class _Budget:
    ends: float
    rpc_seconds: float
    unreachable_since: float | None = None

    def timeout(self, asked: float | None) -> float:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise StoreUnavailableError("the time for the store is used up")
        return min(left, asked or self.rpc_seconds)


_budget: ContextVar[_Budget | None] = ContextVar("store_budget", default=None)


class _Suspicion:
    """What this process thinks of the store: whether calls time out, until one is answered."""

    def __init__(self) -> None:
        self._until: float | None = None  # when the next read may wait long, to try
        self._lock = threading.Lock()

    def limit(self, seconds: float) -> float:
        """What a read that would wait so long may wait now."""
        with self._lock:
            now = time.monotonic()
            if self._until is None:
                return seconds
            if now >= self._until:
                self._until = now + RPC_SECONDS
                return seconds
            return min(seconds, SUSPECT_SECONDS)

    def note(self, error: Any) -> None:
        """A call ended, with this error or None."""
        if error is None:
            self._until = None
        elif isinstance(error, grpc.Call) and error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            with self._lock:
                self._until = self._until or time.monotonic() + RPC_SECONDS


_suspicion = _Suspicion()


class _BoundedFuture:
    """A gRPC future that tells a store that stays unreachable from one that hiccuped."""

    def __init__(self, future: Any, budget: _Budget | None, fallback: Any = None) -> None:
        self._future = future
        self._budget = budget
        self._fallback = fallback

    def exception(self) -> Any:
        error = self._future.exception()
        _suspicion.note(error)
        if error is None and self._budget is not None:
            self._budget.unreachable_since = None
        if error is None or self._fallback is not None:
            return None
        if isinstance(error, grpc.Call) and error.code() == grpc.StatusCode.UNAVAILABLE:
            now = time.monotonic()
            if self._budget is None:
                return StoreUnavailableError("the store cannot be reached")
            since = self._budget.unreachable_since = self._budget.unreachable_since or now
            if now - since > HICCUP_SECONDS:
                return StoreUnavailableError("the store cannot be reached")
        return error

    def result(self) -> Any:
        error = self.exception()
        if error is not None:
            raise error
        if self._fallback is not None and self._future.exception() is not None:
            return self._fallback
        return self._future.result()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._future.add_done_callback(callback)

    def cancel(self) -> Any:
        return self._future.cancel()


class _BoundedCall:
    def __init__(self, method: Any, fallback: Any = None, *, reads: bool = False) -> None:
        self._method = method
        self._fallback = fallback
        self._reads = reads

    def future(self, request: Any, timeout: float | None = None, metadata: Any = ()) -> Any:
        budget = _budget.get()
        seconds = budget.timeout(timeout) if budget else timeout or RPC_SECONDS
        if self._reads:
            seconds = _suspicion.limit(seconds)
        future = self._method.future(request, timeout=seconds, metadata=metadata)
        return _BoundedFuture(future, budget, self._fallback)


class _BoundedStub:
    """ndb's stub with a limit on every call, Begin and Commit too, which ndb gives none."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub

    def __getattr__(self, name: str) -> _BoundedCall:
        # A failed rollback would hide the error that led to it; the store forgets the transaction.
        fallback = datastore_types.RollbackResponse() if name == "rollback" else None
        reads = name in ("lookup", "run_query")
        return _BoundedCall(getattr(self._stub, name), fallback, reads=reads)


_lock = threading.Lock()
_client: tuple[tuple[Any, ...], ndb.Client] | None = None


def get_client() -> ndb.Client:
    """This process's client, made at first use: after a server forked its worker.

    Raises:
        google.auth.exceptions.GoogleAuthError: no credentials and no emulator.
    """
    global _client
    host = os.environ.get("DATASTORE_EMULATOR_HOST", "")
    project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
    identity = (os.getpid(), host, project)
    with _lock:
        if _client is None or _client[0] != identity:
            if host:
                client = ndb.Client(project=project or "demo", credentials=AnonymousCredentials())
            else:
                client = ndb.Client(project=project or None)
            client.stub = _BoundedStub(client.stub)
            _suspicion.note(None)
            _client = (identity, client)
        return _client[1]


@contextmanager
def context(
    seconds: float = REQUEST_SECONDS, rpc_seconds: float = RPC_SECONDS
) -> Iterator[ndb.context.Context]:
    """An ndb context; the one already open in this thread, if there is one.

    Args:
        seconds: what all calls in it may take together.
        rpc_seconds: what one call may take.
    """
    current = ndb.context.get_context(False)
    if current is not None:
        yield current
        return
    now = time.monotonic()
    token = _budget.set(_Budget(now + seconds, rpc_seconds))
    try:
        with get_client().context(legacy_data=False) as opened:
            yield opened
    finally:
        _budget.reset(token)


def allow(seconds: float, rpc_seconds: float) -> None:
    """Gives the open context another budget, from now on; for work that nobody waits for."""
    budget = _budget.get()
    if budget is not None:
        budget.ends = time.monotonic() + seconds
        budget.rpc_seconds = rpc_seconds


def surely(
    commit: Callable[[], _T], what: str, pauses: Iterable[float],
    pause: Callable[[float], None] = time.sleep,
) -> _T:  # fmt: skip
    """Commits what must not be forgotten: again, after pauses of so many seconds, while the store
    is away. Raises what the last attempt raises.

    Args:
        commit: what runs again.
        what: the name of it, for the log.
        pauses: between attempts.
        pause: how to wait.
    """
    for seconds in pauses:
        try:
            return commit()
        except ERRORS as error:
            _log.warning("%s waits for the store: %s", what, type(error).__name__)
            pause(seconds)
    return commit()


def get_many(keys: Sequence[ndb.Key]) -> list[Any]:
    """The entities of these keys, None where there is none, in order; any number of keys."""
    found: list[Any] = []
    for start in range(0, len(keys), BATCH):
        retries = {"retries": 0} if ndb.in_transaction() else {}
        found += ndb.get_multi(keys[start : start + BATCH], **retries)
    return found


def is_key_name(value: Any) -> bool:
    """Whether this can name an entity: 1,500 bytes at most, and `__…__` is Datastore's own."""
    usable = isinstance(value, str) and 0 < len(value) <= 1500 and value.isprintable()
    return usable and len(value.encode()) <= 1500 and not value.startswith("__")


def get(model: type[_M], name: str) -> _M | None:
    """One entity by its key name, or None."""
    found: _M | None = get_many([ndb.Key(model, name)])[0]
    return found


def put_many(entities: Iterable[ndb.Model]) -> None:
    """Writes these entities; outside a transaction in commits of `BATCH`."""
    pending = list(entities)
    for start in range(0, len(pending), BATCH):
        ndb.put_multi(pending[start : start + BATCH])


class Middleware:
    """Opens an ndb context around each request's handler, not around its streaming body."""

    def __init__(self, wsgi_app: Callable[..., Any]) -> None:
        self._app = wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ.get("PATH_INFO", "").startswith(_WITHOUT_STORE):
            return self._app(environ, start_response)
        try:
            get_client()
        except ERRORS as error:
            _log.error("no Datastore client: %s", type(error).__name__)
            body = json.dumps(UNAVAILABLE_BODY, ensure_ascii=False).encode()
            headers = [("Content-Type", "application/json"), ("Retry-After", "5")]
            start_response("503 SERVICE UNAVAILABLE", headers)
            return [body]
        with context():
            return self._app(environ, start_response)


#: The body of every 503 for a store that is down.
UNAVAILABLE_BODY = {
    "error": {
        "code": "store_unavailable",
        "message": "O banco de dados não respondeu. Tente novamente em instantes.",
    }
}

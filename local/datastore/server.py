"""A Datastore for one machine: the Datastore v1 gRPC service on SQLite.

    python -m local.datastore --host-port 127.0.0.1:PORT [--data DIR] [--fresh]

google-cloud-ndb reaches it exactly as it reaches Google's emulator, by DATASTORE_EMULATOR_HOST.
It is for developing and testing on one machine, by several processes at once, and for nothing
else: there is no login, no encryption and no second copy.

It answers what ndb asks: Lookup, RunQuery, BeginTransaction, Commit, Rollback, AllocateIds and
ReserveIds, with the answers of Google's emulator in Firestore-in-Datastore mode (one contract
suite runs on both: tests/local/test_datastore_contract.py). Whatever else there is in the API is
answered UNIMPLEMENTED, never wrongly. It needs no composite indexes: index.yaml has to be checked
elsewhere.

The parts: encoding (sort order), queries (a query and its SQL), transactions (conflicts and
queueing), files (SQLite's files), storage (entities and indexes), and here the service.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.cloud.datastore_v1.types import datastore as rpc_types
from google.cloud.datastore_v1.types import query as query_types

from local.datastore import queries
from local.datastore.encoding import (
    Invalid,
    KindRef,
    check_namespace,
    decode_path,
    decode_value,
    encode_path,
    kind_ref,
)
from local.datastore.files import InUse
from local.datastore.queries import Query, Unsupported
from local.datastore.storage import AlreadyExists, NotFound, Row, Storage, Write, prepare
from local.datastore.transactions import MAX_WAITING, Conflict, Transaction

SERVICE = "google.datastore.v1.Datastore"
# Above the queue for hot keys, so that those who would shorten it always find a thread.
_THREADS = MAX_WAITING + 60
# Clients accept 4 MiB in an answer; one entity more (1 MiB) may follow once this is reached.
_ANSWER_BYTES = 2_500_000
_BATCH = 300  # as Google's emulator
_MAX_REQUEST_BYTES = 11_534_336  # as in production
_MAX_LOOKUP = 1000
_PARENT_POLL_SECONDS = 0.25

_CODES = {
    Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    Conflict: grpc.StatusCode.ABORTED,
    AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    NotFound: grpc.StatusCode.NOT_FOUND,
}
_Mode = rpc_types.CommitRequest.Mode
_More = query_types.QueryResultBatch.MoreResultsType
_Type = query_types.EntityResult.ResultType


def _message(name: str) -> Any:
    return getattr(rpc_types, name).pb()


LookupResponse = _message("LookupResponse")
RunQueryResponse = _message("RunQueryResponse")
BeginTransactionResponse = _message("BeginTransactionResponse")
CommitResponse = _message("CommitResponse")
RollbackResponse = _message("RollbackResponse")
AllocateIdsResponse = _message("AllocateIdsResponse")
ReserveIdsResponse = _message("ReserveIdsResponse")


class Service:
    """The calls, each from a request message to a response message.

    Their errors are the exceptions in ``_CODES``.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def Lookup(self, request: Any) -> Any:  # noqa: N802 (the names are the API's)
        _refuse(request, "property_mask")
        if len(request.keys) > _MAX_LOOKUP:
            raise Invalid(f"cannot get more than {_MAX_LOOKUP} keys in a single call")
        refs = [(self._place(request, key), encode_path(key)) for key in request.keys]
        response, size = LookupResponse(), 0
        transaction = self._transaction(request)
        results = self._storage.lookup(transaction, refs)
        for key, found in zip(request.keys, results, strict=True):
            if found is None:
                response.missing.add().entity.key.CopyFrom(key)
            elif size > _ANSWER_BYTES:
                response.deferred.append(key)
            else:
                size += len(found[0])
                response.found.add(version=found[1]).entity.ParseFromString(found[0])
        return response

    def RunQuery(self, request: Any) -> Any:  # noqa: N802
        _refuse(request, "gql_query", "property_mask", "explain_options")
        if not request.HasField("query"):
            raise Invalid("one of fields Query.query and Query.gql_query must be set")
        self._check_partition(request, request.partition_id)
        query = queries.parse(request)
        most = _BATCH if query.limit is None else min(_BATCH, query.limit)
        response = RunQueryResponse()
        batch = response.batch
        batch.entity_result_type = (
            _Type.KEY_ONLY
            if query.keys_only
            else _Type.PROJECTION
            if query.projection
            else _Type.FULL
        )
        batch.more_results = _More.NO_MORE_RESULTS
        batch.end_cursor = request.query.start_cursor or queries.cursor(query, None)
        size = 0
        # One more than asked for, to know whether there is more.
        rows = self._storage.run(self._transaction(request), query, query.offset + most + 1)
        for number, row in enumerate(rows):
            count = number - query.offset
            if count == query.limit:
                break
            if count >= _BATCH or size > _ANSWER_BYTES:
                batch.more_results = _More.NOT_FINISHED
                break
            batch.end_cursor = queries.cursor(query, row.position)
            if count < 0:
                batch.skipped_results += 1
                batch.skipped_cursor = batch.end_cursor
                continue
            result = batch.entity_results.add(cursor=batch.end_cursor)
            _fill(result, query, row)
            size += len(row.data or b"")
        if len(batch.entity_results) == query.limit:
            batch.more_results = _More.MORE_RESULTS_AFTER_LIMIT
        return response

    def BeginTransaction(self, request: Any) -> Any:  # noqa: N802
        options = request.transaction_options
        _refuse(options.read_only, "read_time")
        name = self._storage.begin(read_only=options.HasField("read_only"))
        return BeginTransactionResponse(transaction=name)

    def Rollback(self, request: Any) -> Any:  # noqa: N802
        self._storage.rollback(self._storage.transaction(request.transaction))
        return RollbackResponse()

    def Commit(self, request: Any) -> Any:  # noqa: N802
        _refuse(request, "single_use_transaction")
        transaction = None
        if request.mode != _Mode.NON_TRANSACTIONAL:
            if not request.transaction:
                raise Invalid("transactional commit requires a transaction")
            transaction = self._storage.transaction(request.transaction)
            if transaction.read_only and request.mutations:
                raise Invalid("Cannot modify entities in a read-only transaction.")
        elif request.transaction:
            raise Invalid("non-transaction commit cannot specify a transaction")
        response = CommitResponse()
        writes = []
        for mutation in request.mutations:
            result = response.mutation_results.add()
            writes.append(self._write(request, mutation, result))
        if transaction is None and len({write.ref for write in writes}) < len(writes):
            raise Invalid(
                "A non-transactional commit may not contain multiple mutations affecting the"
                " same entity."
            )
        version = self._storage.commit(transaction, writes)
        for result in response.mutation_results:
            result.version = version
        return response

    def _write(self, request: Any, mutation: Any, result: Any) -> Write:
        _refuse(mutation, "base_version", "update_time", "property_mask", "property_transforms")
        operation = mutation.WhichOneof("operation")
        if operation is None:
            raise Invalid("Mutation is missing operation.")
        target = getattr(mutation, operation)
        key = target if operation == "delete" else target.key
        self._place(request, key)
        if operation in ("insert", "upsert") and not key.path[-1].WhichOneof("id_type"):
            self._storage.allocate_id(key)
            result.key.CopyFrom(key)
        return prepare(operation, target)

    def AllocateIds(self, request: Any) -> Any:  # noqa: N802
        for key in request.keys:
            self._place(request, key)
            encode_path(key, complete=False, writing=True)
        for key in request.keys:
            self._storage.allocate_id(key)
        return AllocateIdsResponse(keys=request.keys)

    def ReserveIds(self, request: Any) -> Any:  # noqa: N802
        self._storage.reserve(
            [(self._place(request, key), encode_path(key, writing=True)) for key in request.keys]
        )
        return ReserveIdsResponse()

    def _place(self, request: Any, key: Any) -> KindRef:
        """Complete the key's partition from the request, and check it."""
        if not key.path:
            raise Invalid("Key path must not be empty.")
        self._check_partition(request, key.partition_id)
        return kind_ref(key)

    def _check_partition(self, request: Any, partition: Any) -> None:
        if not request.project_id:
            raise Invalid("project id is required")
        partition.project_id = partition.project_id or request.project_id
        asked = (request.project_id, request.database_id)
        if (partition.project_id, partition.database_id) != asked:
            raise Invalid(
                f"mismatched databases within request: {'#'.join(asked)} vs. "
                f"{partition.project_id}#{partition.database_id}"
            )
        check_namespace(partition.namespace_id)

    def _transaction(self, request: Any) -> Transaction | None:
        options = request.read_options
        _refuse(options, "read_time", "new_transaction")
        return self._storage.transaction(options.transaction) if options.transaction else None


def _refuse(message: Any, *fields: str) -> None:
    for present, _ in message.ListFields():
        if present.name in fields:
            raise Unsupported(f"{present.name} is not supported by the local store")


def _fill(result: Any, query: Query, row: Row) -> None:
    if row.data is not None:
        result.version = row.version
        result.entity.ParseFromString(row.data)
        return
    key = result.entity.key
    partition = key.partition_id
    partition.project_id, partition.database_id, partition.namespace_id = query.partition
    decode_path(row.position[-1], key)
    for (name, _), value in zip(query.sort, row.position, strict=False):
        if name in query.projection:
            decode_value(value, result.entity.properties[name])


def _handler(call: Callable[[Any], Any]) -> grpc.RpcMethodHandler:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            if request.ByteSize() > _MAX_REQUEST_BYTES:
                raise Invalid(f"Request size exceeds the limit: {_MAX_REQUEST_BYTES} bytes")
            return call(request)
        except tuple(_CODES) as error:
            context.abort(_CODES[type(error)], str(error))
        except sqlite3.Error as error:  # the disk is full, or the store is closing
            context.abort(grpc.StatusCode.UNAVAILABLE, f"local store: {error}")

    name = call.__name__
    return grpc.unary_unary_rpc_method_handler(
        answer,
        request_deserializer=_message(f"{name}Request").FromString,
        response_serializer=_message(f"{name}Response").SerializeToString,
    )


def _unsupported(_request: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "not supported by the local store")
    raise AssertionError("abort raises")


@contextlib.contextmanager
def serve(
    data_dir: Path | None = None, *, host_port: str = "127.0.0.1:0", fresh: bool = False
) -> Iterator[str]:
    """Serve within this process for as long as the context lasts; yields "HOST:PORT".

    Args:
        data_dir: where the data are kept; without, they are forgotten at the end.
        host_port: where to listen; port 0 picks a free one.
        fresh: forget what `data_dir` holds.

    Raises:
        OSError: the port is taken.
        InUse: another process serves this directory.
    """
    with contextlib.ExitStack() as stack:
        directory = data_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="datastore-"))
        )
        storage = Storage(directory, fresh=fresh, durable=data_dir is not None)
        stack.callback(storage.close)
        service = Service(storage)
        calls = [getattr(service, name) for name in vars(Service) if name[0].isupper()]
        handlers = {call.__name__: _handler(call) for call in calls}
        handlers["RunAggregationQuery"] = grpc.unary_unary_rpc_method_handler(_unsupported)
        server = grpc.server(
            futures.ThreadPoolExecutor(_THREADS),
            # Linux would let a second store share the port, and each have half of the calls.
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
            ],
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        host = host_port.rpartition(":")[0]
        try:
            port = server.add_insecure_port(host_port)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {host_port}; is the port taken?") from error
        server.start()
        stack.callback(lambda: server.stop(0.2).wait())
        stack.callback(storage.stop_queueing)
        yield f"{host}:{port}"


def _stop_without_parent(stop: threading.Event) -> None:
    if os.name == "nt":  # there getppid() never changes
        while os.read(0, 1024):
            pass
    else:
        parent = os.getppid()
        while not stop.wait(_PARENT_POLL_SECONDS):
            if os.getppid() != parent:
                break
    stop.set()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.datastore", description=__doc__)
    parser.add_argument("--host-port", default="127.0.0.1:0", help="port 0 picks a free one")
    parser.add_argument("--data", type=Path, help="without it, everything is forgotten at exit")
    parser.add_argument("--fresh", action="store_true", help="forget what --data holds")
    parser.add_argument(
        "--exit-with-parent",
        action="store_true",
        help="stop when the parent process is gone (on Windows: when stdin is closed)",
    )
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if options.exit_with_parent:
        threading.Thread(target=_stop_without_parent, args=(stop,), daemon=True).start()
    try:
        with serve(options.data, host_port=options.host_port, fresh=options.fresh) as host_port:
            print(f"ready {host_port}", flush=True)
            while not stop.wait(0.5):  # on Windows a signal does not end a longer wait
                pass
    except (OSError, InUse) as error:
        sys.exit(f"local.datastore: {error}")

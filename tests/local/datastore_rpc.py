"""The Datastore API spoken directly, for what ndb does not let a test say."""

from __future__ import annotations

import datetime
from typing import Any

import grpc
from google.cloud.datastore_v1.types import datastore, entity, query

Key, Entity, Value = entity.Key.pb(), entity.Entity.pb(), entity.Value.pb()
Mutation = datastore.Mutation.pb()
Filter, Query = query.Filter.pb(), query.Query.pb()

_OPERATORS = {
    "<": query.PropertyFilter.Operator.LESS_THAN,
    "<=": query.PropertyFilter.Operator.LESS_THAN_OR_EQUAL,
    ">": query.PropertyFilter.Operator.GREATER_THAN,
    ">=": query.PropertyFilter.Operator.GREATER_THAN_OR_EQUAL,
    "=": query.PropertyFilter.Operator.EQUAL,
    "!=": query.PropertyFilter.Operator.NOT_EQUAL,
    "in": query.PropertyFilter.Operator.IN,
    "ancestor": query.PropertyFilter.Operator.HAS_ANCESTOR,
}
NOT_FINISHED = query.QueryResultBatch.MoreResultsType.NOT_FINISHED
MORE_RESULTS_AFTER_LIMIT = query.QueryResultBatch.MoreResultsType.MORE_RESULTS_AFTER_LIMIT
NO_MORE_RESULTS = query.QueryResultBatch.MoreResultsType.NO_MORE_RESULTS


class Rpc:
    """Calls on one project. `rpc.Lookup(keys=[…])` returns the response message."""

    def __init__(self, host_port: str, project: str) -> None:
        self.project = project
        self._channel = grpc.insecure_channel(
            host_port,
            options=[("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)],
        )

    def close(self) -> None:
        self._channel.close()

    def __getattr__(self, name: str) -> Any:
        request_type = getattr(datastore, f"{name}Request").pb()
        response_type = getattr(datastore, f"{name}Response").pb()
        method = self._channel.unary_unary(
            f"/google.datastore.v1.Datastore/{name}",
            request_type.SerializeToString,
            response_type.FromString,
        )

        def call(**fields: Any) -> Any:
            return method(request_type(**{"project_id": self.project, **fields}), timeout=30)

        return call

    def key(self, *path: Any, namespace: str = "", project: str | None = None) -> Any:
        """`key("Kind", "name", "Kind", 5)`; a last kind without id makes an incomplete key."""
        made = Key()
        made.partition_id.project_id = self.project if project is None else project
        made.partition_id.namespace_id = namespace
        for kind, name in zip(path[::2], [*path[1::2], None], strict=False):
            element = made.path.add(kind=kind)
            if isinstance(name, int):
                element.id = name
            elif name is not None:
                element.name = name
        return made

    def entity(self, _key: Any, **properties: Any) -> Any:
        made = Entity(key=_key)
        for name, content in properties.items():
            made.properties[name].CopyFrom(value(content))
        return made

    def commit(self, *mutations: Any, transaction: bytes = b"") -> Any:
        mode = datastore.CommitRequest.Mode
        return self.Commit(
            mode=mode.TRANSACTIONAL if transaction else mode.NON_TRANSACTIONAL,
            transaction=transaction or None,
            mutations=mutations,
        )

    def put(self, *entities: Any, transaction: bytes = b"") -> Any:
        return self.commit(*(Mutation(upsert=e) for e in entities), transaction=transaction)

    def begin(self, *, read_only: bool = False) -> bytes:
        options: dict[str, Any] = {"read_only": {}} if read_only else {"read_write": {}}
        return bytes(self.BeginTransaction(transaction_options=options).transaction)

    def ended(self) -> bytes:
        """The id of a transaction that is over."""
        transaction = self.begin()
        self.Rollback(transaction=transaction)
        return transaction

    def get(self, key: Any, transaction: bytes = b"") -> Any:
        """The entity, or None."""
        options = {"transaction": transaction} if transaction else {}
        response = self.Lookup(keys=[key], read_options=options)
        return response.found[0].entity if response.found else None

    def batch(self, asked: Any, *, namespace: str = "", transaction: bytes = b"") -> Any:
        return self.RunQuery(
            query=asked,
            partition_id={"project_id": self.project, "namespace_id": namespace},
            read_options={"transaction": transaction} if transaction else {},
        ).batch

    def names(self, asked: Any, **options: Any) -> list[Any]:
        """The key names or ids of a query's first batch."""
        return [name_of(r.entity.key) for r in self.batch(asked, **options).entity_results]


def name_of(key: Any) -> Any:
    return key.path[-1].name or key.path[-1].id


def value(content: Any, *, excluded: bool = False) -> Any:
    """A Value message of a Python value."""
    if isinstance(content, Value):
        return content
    made = Value(exclude_from_indexes=excluded)
    match content:
        case None:
            made.null_value = 0
        case bool():
            made.boolean_value = content
        case int():
            made.integer_value = content
        case float():
            made.double_value = content
        case str():
            made.string_value = content
        case bytes():
            made.blob_value = content
        case datetime.datetime():
            made.timestamp_value.FromDatetime(content)
        case list():
            made.array_value.SetInParent()
            made.array_value.values.extend(value(item) for item in content)
        case Key():
            made.key_value.CopyFrom(content)
        case Entity():
            made.entity_value.CopyFrom(content)
        case _:
            raise TypeError(content)
    return made


def geo(latitude: float, longitude: float) -> Any:
    made = Value()
    made.geo_point_value.latitude, made.geo_point_value.longitude = latitude, longitude
    return made


def where(name: str, operator: str, operand: Any) -> Any:
    made = Filter()
    made.property_filter.property.name = name
    made.property_filter.op = _OPERATORS[operator]
    made.property_filter.value.CopyFrom(value(operand))
    return made


def both(*filters: Any) -> Any:
    made = Filter()
    made.composite_filter.op = query.CompositeFilter.Operator.AND
    made.composite_filter.filters.extend(filters)
    return made


def ask(
    kind: str | None = None,
    *filters: Any,
    order: list[str] | None = None,
    limit: int | None = None,
    offset: int = 0,
    select: list[str] | None = None,
    start: bytes = b"",
    end: bytes = b"",
) -> Any:
    """A Query message; `order=["-a", "b"]` sorts by a downwards, then by b upwards."""
    made = Query(start_cursor=start, end_cursor=end, offset=offset)
    if kind is not None:
        made.kind.add(name=kind)
    if filters:
        made.filter.CopyFrom(both(*filters) if len(filters) > 1 else filters[0])
    for name in order or []:
        made.order.add(direction=2 if name[0] == "-" else 1).property.name = name.lstrip("-")
    for name in select or []:
        made.projection.add().property.name = name
    if limit is not None:
        made.limit.value = limit
    return made

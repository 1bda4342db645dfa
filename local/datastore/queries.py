"""Datastore queries: what one asks, the SQL that answers it, and whether a change concerns it.

A query is a kind, a range of key paths, equalities, at most one property with a range, and an
order. Each sort property joins the table of index entries once; whatever is sorted last, the
key decides. Filters and sort values are compared in their encoded form (encoding.py).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

from google.cloud.datastore_v1.types import query as query_types

from local.datastore.encoding import Indexed, Invalid, check_name, encode_path, encode_value

# Above every encoded value, and above whatever may follow a path within a path.
_TOP = b"\xff"
_DESCENDING = 2
_FilterOp = query_types.PropertyFilter.Operator
_RANGES = {
    _FilterOp.LESS_THAN: (False, True),
    _FilterOp.LESS_THAN_OR_EQUAL: (False, True),
    _FilterOp.GREATER_THAN: (True, False),
    _FilterOp.GREATER_THAN_OR_EQUAL: (True, False),
    _FilterOp.EQUAL: (True, True),
}
# With a byte more, "above x" becomes "from x\0 on" and every range is half-open.
_AFTER_LOW = {_FilterOp.GREATER_THAN}
_AFTER_HIGH = {_FilterOp.LESS_THAN_OR_EQUAL, _FilterOp.EQUAL}

Position = tuple[bytes, ...]  # the sort values of a result, then its path


class Unsupported(NotImplementedError):
    """The request is one that this store does not answer."""


@dataclass
class Range:
    """Byte strings from `low` on and below `high`."""

    low: bytes = b""
    high: bytes = _TOP

    def narrow(self, op: int, operand: bytes) -> None:
        """Keep only what also satisfies the comparison `op` with `operand`."""
        from_low, to_high = _RANGES[op]
        if from_low:
            self.low = max(self.low, operand + (b"\x00" if op in _AFTER_LOW else b""))
        if to_high:
            self.high = min(self.high, operand + (b"\x00" if op in _AFTER_HIGH else b""))

    def __contains__(self, value: bytes) -> bool:
        return self.low <= value < self.high


@dataclass
class Query:
    """A query that has been checked, with its operands encoded."""

    partition: tuple[str, str, str]
    kind: str | None
    paths: Range = field(default_factory=Range)
    equalities: list[tuple[str, bytes]] = field(default_factory=list)
    ranged: str | None = None
    values: Range = field(default_factory=Range)
    sort: list[tuple[str, bool]] = field(default_factory=list)  # (property, descending)
    keys_descending: bool = False
    projection: list[str] = field(default_factory=list)
    keys_only: bool = False
    offset: int = 0
    limit: int | None = None
    start: Position | None = None
    end: Position | None = None

    def concerns(self, kind: str, path: bytes, indexed: Indexed) -> bool:
        """Whether an entity with these index entries is among the query's results.

        Limit, offset and cursors are left out of account: a change that matches may push another
        entity over the limit.
        """
        if self.kind not in (None, kind) or path not in self.paths:
            return False
        none: frozenset[bytes] = frozenset()
        if any(value not in indexed.get(name, none) for name, value in self.equalities):
            return False
        if self.ranged and not any(v in self.values for v in indexed.get(self.ranged, none)):
            return False
        return all(name in indexed for name, _ in self.sort)


def parse(request: Any) -> Query:
    """Check a ``RunQueryRequest`` and encode its operands.

    Raises:
        Invalid: Datastore refuses the query.
        Unsupported: Datastore may answer it, this store does not.
    """
    message = request.query
    part = request.partition_id
    if len(message.kind) > 1:
        raise Invalid("multiple kinds not supported")
    if message.distinct_on or message.HasField("find_nearest"):
        raise Unsupported("distinct_on and find_nearest are not supported by the local store")
    query = Query(
        partition=(
            part.project_id or request.project_id,
            part.database_id or request.database_id,
            part.namespace_id,
        ),
        kind=message.kind[0].name if message.kind else None,
        offset=message.offset,
        limit=message.limit.value if message.HasField("limit") else None,
    )
    if query.kind is not None:
        check_name("kind", query.kind, reserved_too=False)
        if query.kind.startswith("__"):
            raise Unsupported(f"queries on {query.kind} are not supported by the local store")
    if query.offset < 0 or (query.limit or 0) < 0:
        raise Invalid("Offset and limit must be non-negative.")
    if message.HasField("filter"):
        _filter(query, message.filter)
    _order(query, message)
    _project(query, message)
    if query.kind is None and (query.equalities or query.sort or query.keys_descending):
        raise Invalid("kind is required for all filters and orders but __key__ ascending")
    query.start = _read_cursor(query, message.start_cursor)
    query.end = _read_cursor(query, message.end_cursor)
    return query


def _filter(query: Query, message: Any) -> None:
    which = message.WhichOneof("filter_type")
    if which == "composite_filter":
        composite = message.composite_filter
        if composite.op != query_types.CompositeFilter.Operator.AND:
            raise Unsupported("only AND joins filters in the local store")
        if not composite.filters:
            raise Invalid("A composite filter must have at least one sub-filter.")
        for part in composite.filters:
            _filter(query, part)
        return
    if which is None:
        raise Invalid("A filter is empty.")
    item = message.property_filter
    name, op = item.property.name, item.op
    check_name("property.name", name, reserved_too=False)
    if op == _FilterOp.HAS_ANCESTOR:
        if name != "__key__":
            raise Invalid("property must be __key__")
        path = _key_operand(query, item.value)
        query.paths.low = max(query.paths.low, path)
        query.paths.high = min(query.paths.high, path + _TOP)
    elif op not in _RANGES:
        raise Unsupported(f"filter operator {_FilterOp(op).name} is not supported here")
    elif name == "__key__":
        if op != _FilterOp.EQUAL:
            _only_range_on(query, name)
        query.paths.narrow(op, _key_operand(query, item.value))
    elif op == _FilterOp.EQUAL:
        query.equalities.append((name, encode_value(item.value)))
    else:
        _only_range_on(query, name)
        query.values.narrow(op, encode_value(item.value))


def _only_range_on(query: Query, name: str) -> None:
    if query.ranged not in (None, name):
        raise Invalid(
            "Only one inequality filter per query is supported. "
            f"Encountered both {query.ranged} and {name}"
        )
    query.ranged = name


def _key_operand(query: Query, value: Any) -> bytes:
    if value.WhichOneof("value_type") != "key_value":
        raise Invalid("__key__ filter value must be a Key")
    part = value.key_value.partition_id
    place = (part.project_id or query.partition[0], part.database_id, part.namespace_id)
    if place != query.partition:
        raise Invalid(f"__key__ filter is on {place} but the query is on {query.partition}")
    return encode_path(value.key_value)


def _order(query: Query, message: Any) -> None:
    equal = {name for name, _ in query.equalities}
    asked = [(order.property.name, order.direction == _DESCENDING) for order in message.order]
    if query.ranged and asked and asked[0][0] != query.ranged:
        raise Invalid(
            "The first sort property must be the same as the property to which the inequality "
            f"filter is applied: {query.ranged}, not {asked[0][0]}"
        )
    if query.ranged and query.ranged != "__key__" and not asked:
        asked = [(query.ranged, False)]
    for name, descending in asked:
        check_name("property.name", name, reserved_too=False)
        if name == "__key__":
            query.keys_descending = descending
            break  # keys are unique: what is sorted after them is not sorted
        constant = name in equal and name != query.ranged
        if not constant and name not in dict(query.sort):
            query.sort.append((name, descending))
    if query.ranged == "__key__":
        query.ranged = None  # it is in query.paths


def _project(query: Query, message: Any) -> None:
    names = [item.property.name for item in message.projection]
    if names == ["__key__"]:
        query.keys_only = True
        return
    query.projection = [name for name in names if name != "__key__"]
    if len(set(names)) < len(names):
        raise Invalid("cannot project a property multiple times")
    if {name for name, _ in query.equalities}.intersection(names):
        raise Invalid("cannot use projection on a property with an equality filter")
    unsorted = sorted(set(query.projection) - set(dict(query.sort)))
    query.sort += [(name, False) for name in unsorted]


def cursor(query: Query, position: Position | None) -> bytes:
    """Encode the place just behind a result, or before all results where `position` is None."""
    body = _shape(query)
    for part in position or ():
        body += len(part).to_bytes(4, "big") + part
    return body + zlib.crc32(body).to_bytes(4, "big")


def _shape(query: Query) -> bytes:
    # The sort properties without their directions: a cursor also serves the reversed query.
    names = "\0".join([query.kind or "", *(name for name, _ in query.sort)])
    return b"\x01" + zlib.crc32(names.encode()).to_bytes(4, "big")


def _read_cursor(query: Query, data: bytes) -> Position | None:
    if not data:
        return None
    body, check = data[:-4], data[-4:]
    if zlib.crc32(body).to_bytes(4, "big") != check:
        raise Invalid("Error parsing cursor")
    shape = _shape(query)
    parts, at = [], len(shape)
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        parts.append(body[at + 4 : at + 4 + size])
        at += 4 + size
    if parts and (body[: len(shape)] != shape or len(parts) != len(query.sort) + 1):
        raise Invalid("cursor does not match query")
    return tuple(parts)


class Sql:
    """The statement that answers a query: rows of the sort values and then the path.

    Args:
        query: what to answer; its limit is ignored, `rows` counts.
        kinds: the numbers of its kinds in the database (several only in kindless queries).
        properties: number of each property in the database, and whether any entity has several
            values for it.
        driver: index in ``query.equalities`` of the one that finds the fewest entities, if any.
        rows: how many rows at most.
    """

    def __init__(
        self,
        query: Query,
        kinds: list[int],
        properties: dict[str, tuple[int, bool]],
        driver: int | None,
        rows: int,
    ) -> None:
        self._query = query
        self._properties = properties
        self._tables: list[str] = []
        self._where: list[str] = []
        self.arguments: list[bytes | int] = []
        self._path = ""
        if driver is not None:
            self._join("d", query.equalities[driver][0])
            self._add("d.value=?", query.equalities[driver][1])
        sort_columns = []
        for number in range(len(query.sort)):
            self._sorted_by(f"s{number}", number)
            sort_columns.append(f"s{number}.value")
        if not self._tables:
            self._tables.append("entities e")
            marks = ",".join("?" * len(kinds))
            self._add(f"e.kind_id IN ({marks})", *kinds)
            self._path = "e.path"
        columns = [*sort_columns, self._path]
        down = [descending for _, descending in query.sort] + [query.keys_descending]
        self._in_range(self._path, query.paths)
        for number, (name, value) in enumerate(query.equalities):
            if number != driver:
                self._add(
                    "EXISTS (SELECT 1 FROM entries x"  # noqa: S608
                    f" WHERE x.property_id=? AND x.value=? AND x.path={self._path})",
                    properties[name][0],
                    value,
                )
        if query.start:
            self._bound(columns[0], query.start[0], after=not down[0])
            self._behind(columns, down, query.start, "")
        if query.end is not None:
            if not query.end:
                self._where.append("0")
            else:
                self._bound(columns[0], query.end[0], after=down[0])
                self._behind(columns, down, query.end, "NOT ")
        order = ",".join(c + (" DESC" if d else "") for c, d in zip(columns, down, strict=True))
        # CROSS JOIN keeps SQLite from reordering the tables; without statistics it guesses badly.
        self.text = (
            f"SELECT {','.join(columns)} FROM {' CROSS JOIN '.join(self._tables)}"  # noqa: S608
            f" WHERE {' AND '.join(self._where)} ORDER BY {order} LIMIT {int(rows)}"
        )

    def _add(self, condition: str, *arguments: bytes | int) -> None:
        self._where.append(condition)
        self.arguments += arguments

    def _join(self, alias: str, name: str) -> None:
        self._tables.append(f"entries {alias}")
        self._add(f"{alias}.property_id=?", self._properties[name][0])
        if self._path:
            self._where.append(f"{alias}.path={self._path}")
        else:
            self._path = f"{alias}.path"

    def _in_range(self, column: str, within: Range) -> None:
        if within.low:
            self._add(f"{column}>=?", within.low)
        if within.high != _TOP:
            self._add(f"{column}<?", within.high)

    def _sorted_by(self, alias: str, number: int) -> None:
        name, descending = self._query.sort[number]
        within = self._query.values if name == self._query.ranged else Range()
        self._join(alias, name)
        self._in_range(f"{alias}.value", within)
        if self._properties[name][1] and not self._query.projection:
            # Of an entity with several values only the first in order counts, so that it
            # appears once. (In a projection each value is a result.)
            self._add(
                f"{alias}.value=(SELECT {'max' if descending else 'min'}(m.value) FROM entries m"  # noqa: S608
                f" WHERE m.property_id={alias}.property_id AND m.path={alias}.path"
                " AND m.value>=? AND m.value<?)",
                within.low,
                within.high,
            )

    def _bound(self, column: str, value: bytes, *, after: bool) -> None:
        # Says nothing that _behind does not say, but says it so that SQLite can seek the index.
        self._add(f"{column}{'>=' if after else '<='}?", value)

    def _behind(self, columns: list[str], down: list[bool], at: Position, prefix: str) -> None:
        text = "0"
        arguments: list[bytes] = []
        for column, descending, value in reversed(list(zip(columns, down, at, strict=True))):
            text = f"({column}{'<' if descending else '>'}? OR ({column}=? AND {text}))"
            arguments = [value, value, *arguments]
        self._add(prefix + text, *arguments)

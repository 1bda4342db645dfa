"""Keys and property values as byte strings that sort the way Datastore sorts.

SQLite compares blobs byte by byte, so with these encodings an index in SQLite *is* a Datastore
index, and every filter is a half-open range of bytes.

The order across types was taken from Google's emulator in Firestore-in-Datastore mode (null, then
integers and timestamps together, booleans, strings and bytes together, floating point numbers,
geographical points, keys), as were the refusals; the limits that the emulator does not hold are
those of https://cloud.google.com/datastore/docs/concepts/limits.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from google.cloud.datastore_v1.types import entity as entity_types

Key = entity_types.Key.pb()
Entity = entity_types.Entity.pb()
Value = entity_types.Value.pb()

# (project, database, namespace, kind): what one set of SQLite indexes belongs to.
KindRef = tuple[str, str, str, str]
Ref = tuple[KindRef, bytes]  # one entity: its kind, its path
# property name -> the encoded values by which queries find the entity
Indexed = dict[str, frozenset[bytes]]

MAX_NAME_BYTES = 1500
MAX_INDEXED_BYTES = 1500
MAX_KEY_BYTES = 6 * 1024
MAX_ENTITY_BYTES = 1_048_572
MAX_PATH_ELEMENTS = 100

# The first byte of an encoded value, in the order of the types.
_NULL, _INTEGER, _BOOLEAN, _BYTES, _DOUBLE, _GEO, _KEY = (bytes([tag]) for tag in range(1, 8))
_ID, _NAME = 1, 2
_RESERVED = re.compile(r"__.*__", re.DOTALL)
_NAMESPACE = re.compile(r"[0-9A-Za-z._-]{0,100}")
_SIGN = 1 << 63
_ALL = (1 << 64) - 1


class Invalid(ValueError):
    """The request is one that Datastore answers with INVALID_ARGUMENT."""


def check_name(what: str, name: str, *, reserved_too: bool) -> None:
    """Refuse a kind, property or key name that Datastore refuses.

    Raises:
        Invalid: empty, longer than 1500 bytes, or (for writes) of the form ``__x__``.
    """
    if not name:
        raise Invalid(f"The {what} is the empty string.")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise Invalid(f"The {what} is longer than {MAX_NAME_BYTES} bytes.")
    if reserved_too and _RESERVED.fullmatch(name):
        raise Invalid(f'The {what} "{name}" is reserved.')


def check_namespace(namespace: str) -> None:
    """Refuse a namespace with characters that Datastore does not allow."""
    if not _NAMESPACE.fullmatch(namespace):
        raise Invalid(f'Illegal string "{namespace}" in namespace id.')


def _text(value: str) -> bytes:
    # 00 01 ends a text and 00 FF stands for a NUL in it, so that "a" sorts before "a\0" and "ab".
    return value.encode().replace(b"\x00", b"\x00\xff") + b"\x00\x01"


def _take_text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\x00\x01", at)
    return data[at:end].replace(b"\x00\xff", b"\x00").decode(), end + 2


def encode_path(key: Any, *, complete: bool = True, writing: bool = False) -> bytes:
    """Return a key's path as bytes; an ancestor's path is a prefix of its descendants' paths.

    Args:
        key: a ``Key`` message.
        complete: whether the last element must have an id or name; if not, it must have none and
            the result is the path up to and including the last kind.
        writing: whether reserved names are refused.

    Raises:
        Invalid: the key is one that Datastore refuses.
    """
    if not key.path:
        raise Invalid("Key path must not be empty.")
    if len(key.path) > MAX_PATH_ELEMENTS:
        raise Invalid(f"Key path is too long. Cannot exceed {MAX_PATH_ELEMENTS} elements.")
    out = bytearray()
    last = len(key.path) - 1
    for number, element in enumerate(key.path):
        check_name("kind", element.kind, reserved_too=writing)
        out += _text(element.kind)
        which = element.WhichOneof("id_type")
        if which is None:
            if complete or number < last:
                raise Invalid(f"Key path element must not be incomplete: [{element.kind}: ]")
            break
        if number == last and not complete:
            raise Invalid(f"Key path element must not be complete: [{element.kind}: …]")
        if which == "id":
            if element.id == 0:
                raise Invalid("Key path id is invalid. Must not be zero.")
            out.append(_ID)
            out += (element.id + _SIGN).to_bytes(8, "big")
        else:
            check_name("key path element name", element.name, reserved_too=writing)
            out.append(_NAME)
            out += _text(element.name)
    if len(out) > MAX_KEY_BYTES:
        raise Invalid(f"The key is longer than {MAX_KEY_BYTES} bytes.")
    return bytes(out)


def decode_path(path: bytes, key: Any) -> None:
    """Append the elements of an encoded path to the ``Key`` message `key`."""
    at = 0
    while at < len(path):
        kind, at = _take_text(path, at)
        element = key.path.add(kind=kind)
        tag, at = path[at], at + 1
        if tag == _ID:
            element.id = int.from_bytes(path[at : at + 8], "big") - _SIGN
            at += 8
        else:
            element.name, at = _take_text(path, at)


def kind_ref(key: Any) -> KindRef:
    """Return where a complete key's entity is kept."""
    part = key.partition_id
    return part.project_id, part.database_id, part.namespace_id, key.path[-1].kind


def encode_value(value: Any) -> bytes:
    """Encode a ``Value`` message for comparison.

    Raises:
        Invalid: the value is of a type that cannot be compared (array, entity) or is unset.
    """
    which = value.WhichOneof("value_type")
    match which:
        case "null_value":
            return _NULL
        case "integer_value":
            return _INTEGER + (value.integer_value + _SIGN).to_bytes(8, "big")
        case "timestamp_value":
            # Timestamps are microseconds in an index, indistinguishable from integers.
            stamp = value.timestamp_value
            micros = stamp.seconds * 1_000_000 + stamp.nanos // 1000
            return _INTEGER + (micros + _SIGN).to_bytes(8, "big")
        case "boolean_value":
            return _BOOLEAN + bytes([value.boolean_value])
        case "string_value":
            return _BYTES + value.string_value.encode()
        case "blob_value":
            return _BYTES + value.blob_value
        case "double_value":
            return _DOUBLE + _double(value.double_value)
        case "geo_point_value":
            point = value.geo_point_value
            return _GEO + _double(point.latitude) + _double(point.longitude)
        case "key_value":
            part = value.key_value.partition_id
            place = (part.project_id, part.database_id, part.namespace_id)
            return _KEY + b"".join(map(_text, place)) + encode_path(value.key_value)
        case "array_value":
            raise Invalid("A list value is not allowed")
        case "entity_value":
            raise Invalid("An entity value is not allowed")
        case _:
            raise Invalid("The value does not contain a value.")


def _double(number: float) -> bytes:
    if number != number:
        return b"\xff\xf8" + bytes(6)  # every NaN alike, above infinity
    (bits,) = struct.unpack(">Q", struct.pack(">d", number))
    return (bits ^ _ALL if bits & _SIGN else bits | _SIGN).to_bytes(8, "big")


def _undouble(data: bytes) -> float:
    bits = int.from_bytes(data, "big")
    bits = bits ^ _SIGN if bits & _SIGN else bits ^ _ALL
    return float(struct.unpack(">d", bits.to_bytes(8, "big"))[0])


def decode_value(data: bytes, value: Any) -> None:
    """Set the ``Value`` message `value` to what a projection query returns for an index entry.

    An index does not know timestamps from integers nor bytes from text, so they come back as
    integers and text, with meaning 18 ("from an index"), as Google's emulator returns them.
    """
    value.meaning = 18
    tag, rest = data[:1], data[1:]
    if tag == _NULL:
        value.null_value = 0
    elif tag == _INTEGER:
        value.integer_value = int.from_bytes(rest, "big") - _SIGN
    elif tag == _BOOLEAN:
        value.boolean_value = rest == b"\x01"
    elif tag == _DOUBLE:
        value.double_value = _undouble(rest)
    elif tag == _GEO:
        value.geo_point_value.latitude = _undouble(rest[:8])
        value.geo_point_value.longitude = _undouble(rest[8:])
    elif tag == _KEY:
        part = value.key_value.partition_id
        part.project_id, at = _take_text(rest, 0)
        part.database_id, at = _take_text(rest, at)
        part.namespace_id, at = _take_text(rest, at)
        decode_path(rest[at:], value.key_value)
    else:
        try:
            value.string_value = rest.decode()
        except UnicodeDecodeError:
            value.blob_value = rest


def indexed_values(entity: Any) -> Indexed:
    """Return an entity's index entries, and cut its timestamps to the microseconds that are kept.

    Raises:
        Invalid: a property that Datastore refuses to store.
    """
    found: dict[str, set[bytes]] = {}
    for name, value in entity.properties.items():
        check_name("property.name", name, reserved_too=True)
        for path, encoded in _entries(name, value, value.exclude_from_indexes):
            found.setdefault(path, set()).add(encoded)
    return {name: frozenset(values) for name, values in found.items()}


def _entries(name: str, value: Any, excluded: bool, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    which = value.WhichOneof("value_type")
    if which is None:
        raise Invalid(f'The value "{name}" does not contain a value.')
    if which == "array_value":
        if depth:
            raise Invalid("list_value cannot contain a Value containing another list_value.")
        if value.exclude_from_indexes:
            raise Invalid("Exclude from indexes cannot be set on a list value")
        if not value.array_value.values and not excluded:
            yield name, _NULL  # an empty list is found like a null
        for item in value.array_value.values:
            yield from _entries(name, item, excluded or item.exclude_from_indexes, depth + 1)
        return
    if which == "entity_value":
        for inner, item in value.entity_value.properties.items():
            yield from _entries(f"{name}.{inner}", item, excluded or item.exclude_from_indexes)
        return
    if which == "timestamp_value":
        value.timestamp_value.nanos -= value.timestamp_value.nanos % 1000
    if not excluded:
        encoded = encode_value(value)
        if which in ("string_value", "blob_value") and len(encoded) > MAX_INDEXED_BYTES + 1:
            raise Invalid(
                f'The value of property "{name}" is longer than {MAX_INDEXED_BYTES} bytes.'
            )
        yield name, encoded

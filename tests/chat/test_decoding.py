"""From bytes to values: one strange part costs only itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.incoming import decoding

DEEP = 100_000


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": "bom dia \\ud83d"}', {"a": "bom dia \ufffd"}),
        (b'{"a": "\\ud83d\\ude42"}', {"a": "🙂"}),
        (b'{"a": "\\ude42\\ud83d"}', {"a": "\ufffd\ufffd"}),
        (b'{"\\ud800": [{"\\udfff": 1}]}', {"\ufffd": [{"\ufffd": 1}]}),
        (b'{"a": "\xff\xfe"}', {"a": "\ufffd\ufffd"}),
        (b'{"a": "\xed\xa0\xbd"}', {"a": "\ufffd\ufffd\ufffd"}),  # half a pair as UTF-8
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": NaN, "b": -Infinity, "c": 1e999}', {"a": None, "b": None, "c": "1e999"}),
        (b'{"a": ' + b"9" * 5000 + b"}", {"a": "9" * 100}),
        (b'{"a": -' + b"9" * 40 + b"}", {"a": "-" + "9" * 40}),
        (b'{"a": 12345678901234567890}', {"a": 12345678901234567890}),
        (b'{"a": 1.5}', {"a": 1.5}),
        (b'{"a": "\\u0000"}', {"a": "\0"}),
        (b"[]", []),
        (b"null", None),
    ],
)
def test_a_strange_part_costs_only_itself(body: bytes, expected: Any) -> None:
    assert decoding.decode(body) == expected
    assert decoding.decode(body.decode("utf-8", "replace")) == expected


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"a": 1} x', b"\xff", b"{'a': 1}"])
def test_what_is_no_json_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError):
        decoding.decode(body)


@pytest.mark.parametrize(
    ("opened", "closed"), [("[", "]"), ('{"a":', "}"), ('[{"b":[', "]}]"), ('["[{\\"",{"c":', "}]")]
)
@pytest.mark.parametrize("depth", [decoding.MAX_DEPTH - 5, 500, DEEP])
def test_nesting_beyond_all_reason_costs_only_itself(opened: str, closed: str, depth: int) -> None:
    deep = opened * depth + "1" + closed * depth
    data = decoding.decode(f'{{"before": 1, "deep": {deep}, "after": ["x", {deep}, 2]}}'.encode())
    assert (data["before"], data["after"][0], data["after"][2]) == (1, "x", 2)
    json.dumps(data)


@pytest.mark.parametrize(
    "body", ["[" * DEEP, "]" * DEEP, '{"a":' * DEEP, "[1]" + "[" * DEEP, '"' + "[" * DEEP]
)
def test_nesting_that_is_no_json_is_said_to_be_none(body: str) -> None:
    with pytest.raises(ValueError):
        decoding.decode(body)


def test_a_long_text_is_read_in_a_moment() -> None:
    text = ('"' + "\\\\" * 2 + "x") * 100_000
    assert decoding.decode(json.dumps([text, [[]] * 9])) == [text, [[]] * 9]
    deep = "[" * DEEP + json.dumps(text) + "]" * DEEP
    assert decoding.decode(f'{{"a": 1, "b": {deep}}}')["a"] == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**28), 10**28)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


@given(values)
def test_what_is_in_order_comes_out_as_it_is(value: Any) -> None:
    assert decoding.decode(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        data = decoding.decode(body)
    except ValueError:
        return
    json.dumps(data).encode()


@given(st.text(alphabet=st.characters(codec=None), max_size=30))
def test_any_text_can_be_stored_afterwards(text: str) -> None:
    repaired = decoding.repaired({text: [text]})
    json.dumps(repaired, ensure_ascii=False).encode()

"""Webhook calls that nobody has thought of: never an error, and never a good neighbour lost.

Real payloads are taken apart, changed in odd places, and put together again, with good messages
between them. Hundreds of them (with `--all` thousands, with `--long` a hundred thousand) go through
decoding, parsing and handling on a store that is a dict, some tens (or hundreds) through the whole
application on a real one.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from google.cloud import ndb
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chat.conversation.blank import is_blank
from chat.conversation.models import Message
from chat.incoming import decoding, deferred
from chat.incoming.deferred import RejectedUpdate
from chat.platform import datastore
from tests.chat.dict_store import DictStore
from tests.chat.support import PAYLOADS, Browser, deliver, login, stored, text_message, wamids
from tests.helpers import SETTINGS

#: Good messages are of a customer whom no odd one names.
GOOD = "5581900000001"
#: Examples on one store, so that none grows without end.
EXAMPLES_A_STORE = 400
#: No JSON writer writes these: they take the place of texts in the finished body.
RAW = {
    "<digits>": "9" * 5000,
    "<deep>": "[" * 3000 + "]" * 3000,
    "<deep objects>": '{"a":' * 3000 + "1" + "}" * 3000,
    "<nan>": "NaN",
    "<infinity>": "-Infinity",
    "<large>": "1e999",
    "<half>": '"\\ud83d"',
    "<other half>": '"a\\ude42\\ud800b"',
    "<null>": '"a\\u0000b"',
    "<long>": json.dumps("漢" * 2000),
}


def _parts() -> Iterator[tuple[str, Any]]:
    for path in sorted(PAYLOADS.glob("*.json")):
        for entry in json.loads(path.read_text()).get("entry") or []:
            for change in entry["changes"]:
                yield "change", change
                value = change.get("value")
                for key in ("messages", "message_echoes", "statuses", "contacts"):
                    found = value.get(key) if isinstance(value, dict) else None
                    for item in found if isinstance(found, list) else []:
                        yield key, item


PARTS: dict[str, list[Any]] = {}
for _kind, _part in _parts():
    PARTS.setdefault(_kind, []).append(_part)

odd = st.one_of(
    st.sampled_from([
        None, True, False, 0, -1, 1, 1.5, 10**25, "", " ", "\u3164", "1", "0", "text", "BR.1349",
        "US.1", "5511987654321", "wamid.text", "wamid.echo", "__x__", "1761998400", "1761998400.5",
        "1761998400123", "-1", "9" * 600, [], {}, [[]], [{}], [None], {"id": {}}, {"body": "x"},
        *RAW,
    ]),
    st.text(max_size=6),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
).map(copy.deepcopy)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """All containers inside a value, each with one of its keys."""
    found: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        part = pending.pop()
        keys: Any = part if isinstance(part, dict) else range(len(part))
        for key in keys:
            found.append((part, key))
            if isinstance(part[key], dict | list):
                pending.append(part[key])
    return found


@st.composite
def changed(draw: st.DrawFn, kind: str) -> Any:
    """A part of a real payload with odd things in it."""
    part = copy.deepcopy(draw(st.sampled_from(PARTS[kind])))
    if not isinstance(part, dict):
        return part
    for _ in range(draw(st.integers(0, 3))):
        found = places(part)
        if not found:
            break
        container, key = found[draw(st.integers(0, len(found) - 1))]
        deed = draw(st.sampled_from(["replace", "replace", "remove", "wrap", "add", "double"]))
        if deed == "replace":
            container[key] = draw(odd)
        elif deed == "remove":
            del container[key]
        elif deed == "wrap":
            container[key] = draw(st.sampled_from([[container[key]], {"value": container[key]}]))
        elif isinstance(container, dict):
            name = draw(st.sampled_from(["id", "type", "from", "text", "context", "errors", "x",
                                         "group_id", "referral", "timestamp"]))  # fmt: skip
            container[name] = draw(odd) if deed == "add" else copy.deepcopy(container[key])
        else:
            container.append(draw(odd) if deed == "add" else copy.deepcopy(container[key]))
    return part


#: A wamid is never given twice; it has as many letters each time, so that examples are repeatable.
numbers = itertools.count(1)


@dataclass
class Body:
    """A webhook call, and which good messages stand in it."""

    raw: bytes
    good: list[str]


@st.composite
def bodies(draw: st.DrawFn) -> Body:
    good: list[str] = []

    def neighbours(items: list[Any]) -> list[Any]:
        mixed: list[Any] = []
        for item in [*items, None]:
            if draw(st.booleans()):
                good.append(f"good.{next(numbers):09}")
                mixed.append(text_message(good[-1], "certo", **{"from": GOOD}))
            if item is not None:
                mixed.append(item)
        return mixed

    changes: list[Any] = []
    for _ in range(draw(st.integers(1, 3))):
        shape = draw(st.sampled_from(["messages", "message_echoes", "statuses", "change", "odd"]))
        if shape == "odd":
            changes.append(draw(odd))
        elif shape == "change":
            changes.append(draw(changed("change")))
        else:
            items = [draw(changed(shape)) for _ in range(draw(st.integers(1, 3)))]
            value: dict[str, Any] = {shape: items}
            value["messages"] = neighbours(items if shape == "messages" else [])
            if draw(st.booleans()):
                value["contacts"] = [draw(changed("contacts"))]
            if draw(st.integers(0, 5)) == 0:
                value[draw(st.sampled_from(["contacts", "errors", "statuses", "x"]))] = draw(odd)
            changes.append({"field": "messages", "value": value})
    entries: list[Any] = [{"id": "1", "changes": changes}]
    if draw(st.integers(0, 4)) == 0:
        entries.insert(0, draw(odd))
    if draw(st.integers(0, 8)) == 0:
        entries.append({"changes": draw(odd)})
    text = json.dumps({"object": "whatsapp_business_account", "entry": entries})
    for token, written in RAW.items():
        text = text.replace(json.dumps(token), written)
    raw = text.encode()
    if draw(st.integers(0, 19)) == 0:  # and some that are broken as a whole
        cut = draw(st.integers(0, len(raw)))
        raw = raw[:cut] + draw(st.binary(max_size=4)) + raw[cut + draw(st.integers(0, 3)) :]
        good = []
    return Body(raw, good)


def check(told: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Whatever came can be shown: messages and conversations, as the API tells them."""
    for kind, each in told:
        json.dumps(each, ensure_ascii=False, allow_nan=False).encode()
        if kind == "message":
            assert not is_blank(each["text"]) or not is_blank(each["placeholder"]), each
            assert not is_blank(each["author"]["name"])
        elif each["last_message"]:
            assert not is_blank(each["last_message"]["text"])
            assert not is_blank(each["name"])


class Inside:
    """Takes calls in on a dict."""

    def __init__(self, store: DictStore) -> None:
        self._store, self._used = store, 0

    def take(self, body: Body) -> None:
        if self._used % EXAMPLES_A_STORE == 0:
            self._store.clear()
        self._used += 1
        try:
            payload = decoding.decode(body.raw)
        except ValueError:
            assert body.good == []
            return
        self._store.published.clear()
        deferred.take_in(payload, 1_767_225_600_000, SETTINGS["WHATSAPP_PHONE_NUMBER_ID"])
        for wamid in body.good:
            assert self._store.entities[ndb.Key(Message, wamid)].type == "text"
        for aside in self._store.all(RejectedUpdate):
            assert "cannot be" not in aside.reason, "our own fault"
        check(
            (kind, data[kind])
            for _type, data in self._store.published
            for kind in ("message", "conversation")
            if kind in data
        )


@pytest.fixture
def inside(quick_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    with quick_app.app_context(), datastore.context():
        yield Inside(DictStore(monkeypatch))


UNBOUNDED = settings(
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
    database=None,
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [400, pytest.param(2_000, marks=pytest.mark.slow)])
def test_no_call_fails_and_no_good_message_is_lost(inside: Inside, examples: int) -> None:
    @settings(UNBOUNDED, max_examples=examples, derandomize=True)
    @given(bodies())
    def run(body: Body) -> None:
        inside.take(body)

    run()


@pytest.mark.long
@pytest.mark.timeout(6 * 3600)
@settings(UNBOUNDED, max_examples=100_000)
@given(bodies())
def test_no_call_of_a_hundred_thousand_fails(inside: Inside, body: Body) -> None:
    inside.take(body)


@pytest.mark.store
@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [80, pytest.param(300, marks=pytest.mark.slow)])
def test_no_call_is_answered_otherwise_than_200(app: Flask, examples: int) -> None:
    client, kept = app.test_client(), []

    @settings(UNBOUNDED, max_examples=examples, derandomize=True)
    @given(bodies())
    def run(body: Body) -> None:
        assert deliver(client, body.raw).status_code == 200
        kept.append(body)

    run()
    good = {wamid for body in kept for wamid in body.good}
    assert good <= set(wamids())
    assert [each.reason for each in stored(RejectedUpdate) if "cannot be" in each.reason] == []
    ana: Browser = login(app)
    chats = ana.conversations()
    threads = [ana.thread(chat["id"]) for chat in chats]
    check(("conversation", chat) for chat in chats)
    check(("message", message) for thread in threads for message in thread)
    assert good <= {message["id"] for thread in threads for message in thread}
    for thread in threads:
        positions = [message["position"] for message in thread]
        assert positions == sorted(set(positions))

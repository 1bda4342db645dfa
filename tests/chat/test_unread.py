"""Unread state on the store: counted once, read exactly, told to all, at a bounded cost."""

from __future__ import annotations

import json
import random
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import unread_state
from chat.conversation.models import Conversation, Message
from chat.outgoing import read_receipts
from chat.platform import datastore
from main import create_app
from tests.chat.support import (
    NOON,
    Browser,
    Graph,
    call,
    deliver,
    live_conversations,
    login,
    payload,
    published,
    run_together,
    stored,
    text_message,
)
from tests.helpers import SETTINGS, wait_until

JOAO = "5521998877665"


@pytest.fixture
def ana(app: Flask) -> Browser:
    return login(app)


def write(client: FlaskClient, *wamids: str, at: int = NOON, **other: Any) -> None:
    assert (
        deliver(client, call(*(text_message(w, w, at, **other) for w in wamids))).status_code == 200
    )


def only(browser: Browser) -> dict[str, Any]:
    (conversation,) = browser.conversations()
    return conversation


def unread(browser: Browser) -> int:
    return int(only(browser)["unread_count"])


def totals(browser: Browser) -> tuple[int, int]:
    answer = browser.get("/unread").get_json()
    return answer["conversations"], answer["messages"]


def read(browser: Browser, chat: str, up_to: Any) -> Any:
    return browser.post(f"/api/conversations/{chat}/read", {"up_to": up_to})


def told() -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in published("unread.changed")]


@pytest.mark.store
def test_messages_are_counted_once_however_often_they_come(
    client: FlaskClient, ana: Browser
) -> None:
    write(client, "a", "b")
    write(client, "b", "c")
    chat = only(ana)
    assert (chat["unread_count"], chat["marked_unread"]) == (3, False)
    assert totals(ana) == (1, 3)
    assert [event["unread_count"] for event in told()] == [2, 3], "one event a transaction"
    assert [event["version"] for event in told()] == [1, 2]


@pytest.mark.parametrize("kind", ["reaction", "reaction_removed", "system_changed_number", "edit",
                                  "revoke", "request_welcome"])  # fmt: skip
def test_what_is_nothing_to_read_is_not_counted(
    client: FlaskClient, ana: Browser, kind: str
) -> None:
    write(client, "a")
    assert deliver(client, payload(kind)).status_code == 200
    assert totals(ana) == (1, 1)
    messages = [m for c in ana.conversations() for m in ana.thread(c["id"])]
    assert [m["id"] for m in messages if m["counts_unread"]] == ["a"]


def test_every_kind_of_bubble_is_counted(client: FlaskClient, ana: Browser) -> None:
    for kind in ("image", "audio_voice", "sticker", "location", "unsupported"):
        assert deliver(client, payload(kind)).status_code == 200
    assert totals(ana)[1] == 5


@pytest.mark.store
def test_reading_is_exact_and_repeating_it_writes_nothing(
    client: FlaskClient, ana: Browser
) -> None:
    write(client, "a", "b", "c")
    chat = only(ana)["id"]
    answer = read(ana, chat, "b")
    assert answer.status_code == 200
    assert answer.get_json()["unread_count"] == 1
    assert answer.get_json()["version"] == only(ana)["version"] == 2
    assert totals(ana) == (1, 1)
    events = len(published())
    for up_to in ("b", "a"):
        assert read(ana, chat, up_to).get_json()["unread_count"] == 1
    assert len(published()) == events
    read(ana, chat, "c")
    assert (unread(ana), totals(ana)) == (0, (0, 0))


@pytest.mark.store
def test_a_late_message_that_sorts_above_the_one_read_stays_unread(
    client: FlaskClient, ana: Browser
) -> None:
    write(client, "new", at=NOON + 60)
    read(ana, only(ana)["id"], "new")
    write(client, "old", at=NOON)
    chat = only(ana)
    assert [m["id"] for m in ana.thread(chat["id"])] == ["old", "new"]
    assert chat["unread_count"] == 1
    read(ana, chat["id"], "old")
    assert unread(ana) == 0


def test_no_get_reads_anything(client: FlaskClient, ana: Browser) -> None:
    write(client, "a")
    chat = only(ana)["id"]
    for path in ("/", f"/?c={chat}", "/unread", "/api/conversations/versions"):
        assert ana.get(path).status_code == 200
    ana.thread(chat)
    assert unread(ana) == 1


@pytest.mark.store
def test_a_mark_by_hand_has_no_number_and_counts_one(client: FlaskClient, ana: Browser) -> None:
    write(client, "a")
    chat = only(ana)["id"]
    read(ana, chat, "a")
    for _ in range(2):
        answer = ana.post(f"/api/conversations/{chat}/unread", {})
        assert answer.status_code == 200
        assert (answer.get_json()["unread_count"], answer.get_json()["marked_unread"]) == (0, True)
    assert totals(ana) == (1, 1)
    assert [event["mark_flips"] for event in told()] == [0, 0, 1]
    read(ana, chat, "a")
    assert (only(ana)["marked_unread"], totals(ana)) == (False, (0, 0))


@pytest.mark.store
def test_a_muted_conversation_keeps_its_badge_and_leaves_the_totals(
    client: FlaskClient, ana: Browser
) -> None:
    write(client, "a")
    chat = only(ana)["id"]
    answer = ana.post(f"/api/conversations/{chat}/muted", {"muted": True})
    assert answer.status_code == 200
    assert answer.get_json()["conversation"]["muted"] is True
    assert (unread(ana), totals(ana)) == (1, (0, 0))
    assert told()[-1]["silent"] is True
    write(client, "b")
    assert (unread(ana), totals(ana)) == (2, (0, 0))
    ana.post(f"/api/conversations/{chat}/muted", {"muted": False})
    assert totals(ana) == (1, 2)


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("{}/read", {"up_to": "nothing"}, 422, "up_to"),
        ("{}/read", {"up_to": "other"}, 422, "up_to"),
        ("{}/read", {"up_to": 7}, 422, "up_to"),
        ("{}/read", {}, 422, "up_to"),
        ("{}/read", {"up_to": "x" * 1501}, 422, "up_to"),
        ("{}/read", {"up_to": "__x__"}, 422, "up_to"),
        ("{}/read", [], 422, "up_to"),
        ("{}/read", {"up_to": "漢" * 600}, 422, "up_to"),
        ("x" * 1501 + "/read", {"up_to": "a"}, 404, None),
        ("nobody/read", {"up_to": "a"}, 404, None),
        ("nobody/unread", {}, 404, None),
        ("__x__/unread", {}, 404, None),
        ("nobody/muted", {"muted": True}, 404, None),
        ("{}/muted", {"muted": 1}, 422, "muted"),
    ],
)
def test_a_bad_request_is_named_and_changes_nothing(
    client: FlaskClient, ana: Browser, path: str, body: Any, status: int, field: str | None
) -> None:
    write(client, "a")
    write(client, "other", **{"from": JOAO})
    chat = next(c["id"] for c in ana.conversations() if c["last_message"]["id"] == "a")
    answer = ana.post(f"/api/conversations/{path.format(chat)}", body)
    assert answer.status_code == status
    assert answer.get_json()["error"].get("field") == field
    assert totals(ana) == (2, 2)


def test_a_change_needs_the_csrf_token(client: FlaskClient, ana: Browser) -> None:
    write(client, "a")
    chat = only(ana)["id"]
    for path, body in (("read", {"up_to": "a"}), ("unread", {}), ("muted", {"muted": True})):
        answer = ana.client.post(f"/api/conversations/{chat}/{path}", json=body)
        assert answer.get_json()["error"]["code"] == "bad_csrf_token"
    assert unread(ana) == 1


@pytest.mark.store
def test_the_filter_lists_what_is_unread_page_by_page(client: FlaskClient, ana: Browser) -> None:
    for number in range(5):
        write(client, f"m{number}", at=NOON + number, **{"from": f"55119876543{number:02}"})
    chats = {c["last_message"]["id"]: c["id"] for c in ana.conversations()}
    read(ana, chats["m3"], "m3")
    read(ana, chats["m1"], "m1")
    ana.post(f"/api/conversations/{chats['m1']}/unread", {})
    found, before = [], ""
    while before is not None:
        path = f"/api/conversations?filter=unread&limit=2&before={before}"
        page = ana.get(path).get_json()
        found += [c["last_message"]["id"] for c in page["conversations"]]
        before = page["next"]
    assert found == ["m4", "m2", "m1", "m0"]


# --- answering --------------------------------------------------------------------------------


@pytest.fixture
def maria(sending_app: Flask) -> tuple[Browser, str]:
    ana = login(sending_app)
    write(sending_app.test_client(), "a", "b")
    return ana, only(ana)["id"]


def answer(browser: Browser, chat: str, **other: Any) -> Any:
    body = {"client_id": str(uuid.uuid4()), "text": "já vai", **other}
    return browser.post(f"/api/conversations/{chat}/messages", body)


@pytest.mark.store
def test_answering_reads(maria: tuple[Browser, str], graph: Graph) -> None:
    ana, chat = maria
    assert answer(ana, chat).status_code == 201
    assert (unread(ana), totals(ana)) == (0, (0, 0))
    assert told()[-1]["unread_count"] == 0
    wait_until(lambda: graph.receipts == ["b"])


def test_answering_reads_no_further_than_was_seen(maria: tuple[Browser, str], graph: Graph) -> None:
    ana, chat = maria
    assert answer(ana, chat, read_up_to="a").status_code == 201
    assert unread(ana) == 1
    bad = answer(ana, chat, read_up_to="nothing")
    assert (bad.status_code, bad.get_json()["error"]["field"]) == (422, "read_up_to")


@pytest.mark.store
def test_the_same_answer_again_reads_nothing_new(
    sending_app: Flask, maria: tuple[Browser, str], graph: Graph
) -> None:
    ana, chat = maria
    client_id = str(uuid.uuid4())
    answer(ana, chat, client_id=client_id)
    write(sending_app.test_client(), "c")
    assert answer(ana, chat, client_id=client_id).status_code == 200
    assert unread(ana) == 1


# --- the customer's ticks ---------------------------------------------------------------------


def test_a_reading_is_told_to_the_customer_once(maria: tuple[Browser, str], graph: Graph) -> None:
    ana, chat = maria
    assert graph.receipts == [], "nobody has read yet"
    read(ana, chat, "a")
    wait_until(lambda: graph.receipts == ["a"])
    for _ in range(2):
        read(ana, chat, "b")
    ana.post(f"/api/conversations/{chat}/unread", {})
    read(ana, chat, "b")
    wait_until(lambda: graph.receipts == ["a", "b"])


def test_read_receipts_can_be_switched_off(
    store: Any, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {**SETTINGS, "WHATSAPP_API_URL": graph.url, "UNREAD_STATE_READ_RECEIPTS": "false"}
    app = create_app(config)
    sent: list[Any] = []
    monkeypatch.setattr(read_receipts.ReadReceipts, "send", lambda *given: sent.append(given))
    ana = login(app)
    write(app.test_client(), "a")
    read(ana, only(ana)["id"], "a")
    assert (unread(ana), sent) == (0, [])


def test_a_graph_api_that_hangs_or_refuses_delays_no_reading(
    sending_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = login(sending_app)
    write(sending_app.test_client(), "a")

    def broken(*_given: Any) -> None:
        raise RuntimeError("no receipts today")

    monkeypatch.setattr(sending_app.extensions["unread_state"], "send_receipt", broken)
    assert read(ana, only(ana)["id"], "a").status_code == 200
    assert unread(ana) == 0


# --- merging ----------------------------------------------------------------------------------


@pytest.mark.store
def test_a_merge_adds_up_and_reading_an_absorbed_message_reads_both(
    client: FlaskClient, ana: Browser
) -> None:
    write(client, "phone-1", "phone-2")
    write(client, "bsuid-1", **{"from": None, "from_user_id": "BR.1"})
    assert totals(ana) == (2, 3)
    write(client, "both", at=NOON + 5, from_user_id="BR.1")
    (chat,) = live_conversations()
    assert (unread(ana), totals(ana)) == (4, (1, 4))
    assert read(ana, chat.absorbed[0], "bsuid-1").get_json()["unread_count"] == 1
    read(ana, chat.id, "both")
    assert totals(ana) == (0, 0)


# --- several at once --------------------------------------------------------------------------


@dataclass
class Model:
    """What should be unread, as sets of ids."""

    unread: set[str] = field(default_factory=set)
    marked: bool = False
    arrived: list[str] = field(default_factory=list)  # in order of arrival, both directions

    def read(self, up_to: str) -> None:
        self.unread -= set(self.arrived[: self.arrived.index(up_to) + 1])
        self.marked = False


DEEDS = st.sampled_from(["write", "write", "repeat", "notice", "react", "read", "mark", "answer"])


@pytest.mark.store
@pytest.mark.parametrize("examples", [7, pytest.param(40, marks=pytest.mark.slow)])
def test_any_history_in_two_processes_agrees_with_a_plain_model(
    apps: list[Flask], two: list[Browser], examples: int
) -> None:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.tuples(DEEDS, st.integers(0, 10**6)), min_size=3, max_size=14))
    def any_history(steps: list[tuple[str, int]]) -> None:
        _live_through(apps, two, steps)

    any_history()


def _live_through(apps: list[Flask], two: list[Browser], steps: list[tuple[str, int]]) -> None:
    clients, browsers = [app.test_client() for app in apps], two
    phone = f"5511{uuid.uuid4().int % 10**9:09}"  # a customer of this example's own
    model = Model()

    def arrives(wamid: str, at: int, **other: Any) -> None:
        message = text_message(wamid, wamid, NOON + at, **{"from": phone}) | other
        assert deliver(clients[at % 2], call(message)).status_code == 200

    first = f"first-{uuid.uuid4()}"
    arrives(first, 0)
    model.arrived.append(first)
    model.unread.add(first)
    chat = next(c["id"] for c in browsers[0].conversations() if c["last_message"]["id"] == first)
    for kind, number in steps:
        browser = browsers[number % 2]
        known = model.arrived[number % len(model.arrived)]
        wamid = f"{kind}-{uuid.uuid4()}"
        if kind == "write":
            arrives(wamid, number % 600)  # in any order of sending
            model.unread.add(wamid)
            model.arrived.append(wamid)
        elif kind == "repeat":
            arrives(first, number % 600)
        elif kind == "notice":
            arrives(wamid, number % 600, type="system", system={"body": "x"})
            model.arrived.append(wamid)
        elif kind == "react":
            reaction = {"message_id": known, "emoji": "👍"}
            arrives(wamid, number % 600, type="reaction", reaction=reaction)
        elif kind == "read":
            assert read(browser, chat, known).status_code == 200
            model.read(known)
        elif kind == "mark":
            browser.post(f"/api/conversations/{chat}/unread", {})
            model.marked = True
        else:
            model.arrived.append(answer(browser, chat).get_json()["id"])
            model.read(model.arrived[-1])
        other = browsers[1 - number % 2]
        shown = other.get(f"/api/conversations/{chat}").get_json()["conversation"]
        assert shown["unread_count"] == len(model.unread)
        assert shown["marked_unread"] is model.marked
        counted = other.get("/unread").get_json()["by_conversation"].get(chat)
        assert (counted is not None) is (bool(model.unread) or model.marked)
        if counted:
            assert counted["incoming_counted"] - counted["incoming_read"] == len(model.unread)


@pytest.fixture
def apps(store: Any, graph: Graph) -> list[Flask]:
    """Two applications on one store."""
    return [create_app({**SETTINGS, "WHATSAPP_API_URL": graph.url}) for _ in range(2)]


@pytest.fixture
def two(apps: list[Flask]) -> list[Browser]:
    """An attendant at each of them."""
    return [login(app, name) for app, name in zip(apps, ("ana", "bruno"), strict=True)]


@pytest.mark.store
@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))]
)
def test_two_processes_at_once_never_drift(
    apps: list[Flask], two: list[Browser], seed: int
) -> None:
    """Arrivals, readings, marks and answers from two applications on one store, all at once."""
    ana, bruno = two
    write(apps[0].test_client(), "first")
    chat = only(ana)["id"]
    rng = random.Random(seed)
    jobs: list[Any] = []
    for number in range(8):
        app = apps[number % 2]
        jobs.append(lambda app=app, n=number: write(app.test_client(), f"m{n}", at=NOON + n))
    for browser in (ana, bruno, ana):
        jobs.append(lambda browser=browser: read(browser, chat, "first"))
    jobs.append(lambda: bruno.post(f"/api/conversations/{chat}/unread", {}))
    rng.shuffle(jobs)
    run_together(*jobs)
    (entity,) = stored(Conversation)
    assert (entity.incoming_counted, entity.incoming_read) == (9, 1)
    counted = sorted(m.counted_at_arrival for m in stored(Message))
    assert counted == list(range(1, 10)), "each message has its own place in the count"
    assert totals(ana) == totals(bruno) == (1, 8)
    newest = max(stored(Message), key=lambda m: m.counted_at_arrival)
    read(bruno, chat, newest.id)
    assert totals(ana) == totals(bruno) == (0, 0)


# --- cost -------------------------------------------------------------------------------------


def fill(count: int, unread_count: int) -> None:
    """That many conversations, of which some are unread."""
    with datastore.context(seconds=90.0, rpc_seconds=30.0):
        entities = []
        for number in range(count):
            chat = Conversation(id=f"c{number}", sort_key=f"{number:06d}")
            chat.incoming_counted = 2
            chat.incoming_read = 0 if number < unread_count else 2
            entities.append(chat)
        datastore.put_many(entities)


@pytest.mark.store
@pytest.mark.slow
def test_totals_read_what_is_unread_and_not_what_exists(
    app: Flask, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(600, unread_count=30)
    seen: list[int] = []
    original = unread_state._load

    def counted() -> Any:
        found = original()
        seen.append(len(found))
        return found

    monkeypatch.setattr(unread_state, "_load", counted)
    answer = ana.get("/unread").get_json()
    assert (answer["conversations"], answer["messages"]) == (30, 60)
    assert answer["limit_reached"] is False
    assert answer["by_conversation"]["c0"] == {
        "incoming_counted": 2, "incoming_read": 0, "mark_flips": 0,
    }  # fmt: skip
    assert seen == [30], "one query, over the unread ones alone"


@pytest.mark.store
def test_a_burst_computes_no_totals(
    client: FlaskClient, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(client, "x")
    with monkeypatch.context() as patched:
        patched.setattr(unread_state, "_load", lambda: pytest.fail("it computes"))
        messages = [text_message(f"m{n}", **{"from": f"5511900000{n:03}"}) for n in range(20)]
        assert deliver(client, call(*messages)).status_code == 200
    assert len(told()) == 21
    assert totals(ana) == (21, 21)


def test_totals_stop_at_their_limit_and_say_so(store: Any) -> None:
    app = create_app({**SETTINGS, "UNREAD_STATE_TOTALS_LIMIT": 100})
    ana = login(app)
    fill(120, unread_count=120)
    answer = ana.get("/unread").get_json()
    assert (answer["conversations"], answer["limit_reached"]) == (100, True)


def test_the_page_itself_computes_no_totals(
    client: FlaskClient, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(client, "a")
    monkeypatch.setattr(unread_state, "_load", lambda: pytest.fail("it computes"))
    page = ana.get("/").get_data(as_text=True)
    assert "<title>Atendimento</title>" in page
    data = re.search(r'id="unread-state"[^>]*>(.*?)</script>', page)
    assert data is not None
    rendered = json.loads(data[1])
    assert rendered["settings"]["near_bottom_px"] == 120

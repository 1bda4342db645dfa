"""Searching: what is found, in which order, how far it looks, and what keeps the index right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from google.cloud import ndb

from chat.conversation.models import Conversation, Message
from chat.platform import datastore, search_words
from chat.search import backfill, conversations, messages
from chat.search.backfill import SearchProgress
from tests.chat.support import (
    MARIA,
    NOON,
    Browser,
    call,
    contact,
    deliver,
    live_conversations,
    login,
    stored,
    text_message,
)

JOAO = "5521998877665"


@pytest.fixture
def client(quick_app: Flask) -> FlaskClient:
    return quick_app.test_client()


@pytest.fixture
def ana(quick_app: Flask) -> Browser:
    return login(quick_app)


def found(ana: Browser, query: str, **more: Any) -> list[str]:
    """The texts found everywhere."""
    return [each["text"] for each in search(ana, query, **more)["messages"]]


def search(ana: Browser, query: str, **more: Any) -> dict[str, Any]:
    answer = ana.client.get("/api/messages/search", query_string={"q": query, **more})
    assert answer.status_code == 200
    data: dict[str, Any] = answer.get_json()
    return data


def named(ana: Browser, query: str, **more: Any) -> list[str]:
    answer = ana.client.get("/api/conversations", query_string={"q": query, **more})
    assert answer.status_code == 200
    return [each["name"] for each in answer.get_json()["conversations"]]


def write(client: FlaskClient, *texts: str, at: int = NOON, **more: Any) -> None:
    """Messages of a customer, a second apart."""
    said = [text_message(f"w{at + n}", text, at + n, **more) for n, text in enumerate(texts)]
    assert deliver(client, call(*said)).status_code == 200


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("orcamento", "Segue o ORÇAMENTO."),
        ("ORÇ", "segue o orçamento"),
        ("or", "segue o orçamento"),
        ("segue orca", "O orçamento segue hoje"),
        ("48213", "pedido nº 48213-7"),
        ("ação", "Açao"),
        ("orcamentos", "orçamentos"),
        ("maria@loja.com", "escreva a maria@loja.com.br"),
        ("😀 oi", "oi!"),
    ],
)
def test_a_beginning_of_each_word_finds_a_message(
    client: FlaskClient, ana: Browser, query: str, text: str
) -> None:
    write(client, "outra coisa", text)
    assert found(ana, query) == [text]


@pytest.mark.parametrize("query", ["camento", "segue hoje", "orcamentox", "", " ", "!?"])
def test_what_begins_no_word_finds_nothing(client: FlaskClient, ana: Browser, query: str) -> None:
    write(client, "Segue o orçamento")
    assert found(ana, query) == []


@pytest.mark.store
def test_the_newest_of_all_conversations_come_first_page_by_page(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, ana = app.test_client(), login(app)
    monkeypatch.setattr(messages, "_BATCH", 7)
    said = [f"pedido {n}" for n in range(45)]
    for n, text in enumerate(said):
        write(client, text, at=NOON + n, **{"from": f"55119876{n % 3:05}"})
    seen: list[str] = []
    page: dict[str, Any] = {"next": ""}
    while page["next"] is not None:
        page = search(ana, "pedid", before=page["next"])
        seen += [each["text"] for each in page["messages"]]
    assert seen == said[::-1]
    homes = {each["id"] for each in page["conversations"]}
    assert {each["conversation_id"] for each in page["messages"]} <= homes
    assert found(ana, "pedido 3") == [f"pedido {n}" for n in (*range(39, 29, -1), 3)]


def test_edits_and_revocations_change_what_is_found(client: FlaskClient, ana: Browser) -> None:
    write(client, "chego amanhã", "chego depois")
    edit = text_message("e1", at=NOON + 9, type="edit", text=None)
    edit["edit"] = {
        "original_message_id": f"w{NOON}",
        "message": {"type": "text", "text": {"body": "venho domingo"}},
    }
    revoke = text_message("r1", at=NOON + 9, type="revoke", text=None)
    revoke["revoke"] = {"original_message_id": f"w{NOON + 1}"}
    deliver(client, call(edit, revoke))
    assert found(ana, "chego") == []
    assert found(ana, "domingo") == ["venho domingo"]


def test_lines_below_a_text_are_found_and_notices_are_not(
    client: FlaskClient, ana: Browser
) -> None:
    place = text_message("w1", text=None, type="location")
    place["location"] = {"latitude": -23.5, "longitude": -46.6, "name": "Padaria Central"}
    number = text_message("w2", text=None, type="system")
    number["system"] = {
        "type": "user_changed_number",
        "body": "Maria mudou",
        "wa_id": "5511900000000",
    }
    deliver(client, call(place, number))
    assert [each["id"] for each in search(ana, "central")["messages"]] == ["w1"]
    assert search(ana, "mudou")["messages"] == []


def test_a_search_says_how_far_it_has_looked(
    client: FlaskClient, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(client, "alfa beta", *["beta"] * 30)
    monkeypatch.setattr(messages, "_BATCH", 10)
    monkeypatch.setattr(messages, "_MOST_LOOKED_AT", 20)
    (conversation,) = ana.conversations()
    for path in ("/api/messages/search", f"/api/conversations/{conversation['id']}/search"):
        first = ana.client.get(path, query_string={"q": "alf beta"}).get_json()
        assert (first.get("messages") or first.get("hits")) in ([], None)
        assert first["looked_until"] == "2025-11-01T12:00:11.000Z"
        query = {"q": "alf beta", "before": first["next"]}
        second = ana.client.get(path, query_string=query).get_json()
        assert len(second.get("messages") or second["hits"]) == 1
        assert second["next"] is None


@pytest.mark.store
def test_one_conversation_is_searched_with_what_was_merged_into_it(app: Flask) -> None:
    client, ana = app.test_client(), login(app)
    write(client, "oi um", "nada", at=NOON, **{"from": MARIA})
    write(client, "oi dois", at=NOON + 10, **{"from": None, "from_user_id": "BR.1"})
    write(client, "oi outro", at=NOON + 20, **{"from": JOAO})
    both = {"from": MARIA, "from_user_id": "BR.1"}
    write(client, "oi três", at=NOON + 30, **both)
    (conversation,) = [each for each in live_conversations() if each.absorbed]
    path = f"/api/conversations/{conversation.id}/search?q=OI"
    hits = ana.get(path).get_json()["hits"]
    assert [each["id"] for each in hits] == [f"w{NOON + n}" for n in (30, 10, 0)]
    everywhere = search(ana, "dois")
    assert [each["conversation_id"] for each in everywhere["messages"]] == [conversation.id]
    assert [each["id"] for each in everywhere["conversations"]] == [conversation.id]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("joao", ["João Silva"]),
        ("sil", ["João Silva", "Maria Silva"]),
        ("silva maria", ["Maria Silva"]),
        ("99887", ["João Silva"]),
        ("7665", ["João Silva"]),
        ("+55 21 99887-7665", ["João Silva"]),
        ("(11) 98765", ["Maria Silva"]),
        ("ilva", []),
        ("zz", []),
    ],
)
def test_names_and_numbers_find_conversations_newest_first(
    client: FlaskClient, ana: Browser, query: str, names: list[str]
) -> None:
    deliver(client, call(text_message("w1", at=NOON), contacts=[contact("Maria Silva")]))
    late = text_message("w2", at=NOON + 5, **{"from": JOAO})
    deliver(client, call(late, contacts=[contact("João Silva", JOAO)]))
    assert named(ana, query) == names


def test_named_conversations_are_paged_and_filtered(
    client: FlaskClient, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        phone = f"551198760000{n}"
        said = text_message(f"w{n}", at=NOON + n, **{"from": phone})
        deliver(client, call(said, contacts=[contact(f"Ana Anabela {n}", phone)]))
    path = "/api/conversations?q=ana&limit=2"
    page = ana.get(path).get_json()
    assert [each["name"][-1] for each in page["conversations"]] == ["4", "3"]
    page = ana.get(f"{path}&before={page['next']}").get_json()
    assert [each["name"][-1] for each in page["conversations"]] == ["2", "1"]
    assert page["more"] is False
    ana.post(f"/api/conversations/{page['conversations'][0]['id']}/read", {"up_to": "w2"})
    assert [name[-1] for name in named(ana, "ana", filter="unread")] == ["4", "3", "1", "0"]
    monkeypatch.setattr(conversations, "MOST_READ", 3)
    assert ana.get("/api/conversations?q=ana").get_json()["more"] is True


@pytest.mark.parametrize("path", ["/api/messages/search", "/api/conversations/{}/search"])
def test_a_search_needs_a_login_and_bounds_what_is_asked(
    quick_app: Flask, client: FlaskClient, ana: Browser, path: str
) -> None:
    write(client, "oi")
    path = path.format(ana.conversations()[0]["id"])
    assert quick_app.test_client().get(f"{path}?q=oi").status_code == 401
    for query in ("x" * 101, "a b c d e f g h i j k"):
        answer = ana.client.get(path, query_string={"q": query})
        assert answer.status_code == 422
        assert answer.get_json()["error"]["field"] == "q"
    assert ana.client.get(path, query_string={"q": "oi", "before": "\n"}).status_code == 422


def test_no_such_conversation_is_not_searched(ana: Browser) -> None:
    assert ana.get("/api/conversations/nobody/search?q=oi").status_code == 404


def test_a_new_message_moves_no_entry_of_its_conversations_name(
    client: FlaskClient, ana: Browser
) -> None:
    write(client, "oi")
    before = stored(Conversation)[0].name_words
    write(client, "de novo", at=NOON + 60)
    assert stored(Conversation)[0].name_words == before


@pytest.mark.parametrize(
    "text", ["x" * 4096, " ".join(f"{n}palavra" for n in range(5000)), "ç" * 99]
)
def test_the_index_of_one_message_is_bounded(text: str) -> None:
    entries = search_words.entries(text, "p")
    assert 0 < len(entries) <= search_words.MOST_WORDS * len(search_words.PREFIXES)
    assert all(len(entry.encode()) < 100 for entry in entries)


@pytest.fixture
def old_data(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Takes the index entries away, as if all had been stored before there were any."""
    with monkeypatch.context() as before:
        before.setattr(search_words, "entries", lambda *_: [])
        before.setattr(search_words, "name_entries", lambda *_: [])
        for n in range(7):
            write(client, f"antigo {n}", at=NOON + 60 * n, **{"from": f"551198760000{n}"})
    return lambda: None


@pytest.mark.usefixtures("old_data")
def test_old_data_become_findable_a_little_at_a_time(ana: Browser, client: FlaskClient) -> None:
    assert found(ana, "antigo") == []
    assert named(ana, "98760") == []
    assert search(ana, "antigo")["findable_from"] is not None
    write(client, "antigo novo", at=NOON + 3600)
    assert found(ana, "antigo") == ["antigo novo"]
    with datastore.context():
        assert backfill.run(50, most_written=7) == 7  # the eighth is new
    assert len(named(ana, "98760")) == 7
    with datastore.context():
        assert backfill.run(50, most_read=3) == 2  # and a message was never anything else
    assert found(ana, "antigo")[:3] == ["antigo novo", "antigo 6", "antigo 5"]
    assert search(ana, "antigo")["findable_from"] == "2025-11-01T12:05:00.000Z"
    with datastore.context():
        backfill.run(50)
        assert backfill.run(50) == 0
    assert len(found(ana, "antigo")) == 8
    assert search(ana, "antigo")["findable_from"] is None


@pytest.mark.usefixtures("old_data")
def test_a_lost_run_goes_on_where_it_was(ana: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    put = SearchProgress.put
    monkeypatch.setattr(SearchProgress, "put", lambda *_: (_ for _ in ()).throw(RuntimeError))
    with datastore.context(), pytest.raises(RuntimeError):
        backfill.run(50)
    monkeypatch.setattr(SearchProgress, "put", put)
    with datastore.context():
        backfill.run(50)
    assert len(found(ana, "antigo")) == 7


def test_the_cron_makes_old_data_findable(client: FlaskClient, quick_app: Flask) -> None:
    assert client.get("/tasks/search").status_code == 403
    secret = {"X-Cron-Secret": quick_app.extensions["chat_settings"].cron_secret}
    assert client.get("/tasks/search", headers=secret).get_json() == {"done": 0}
    with datastore.context():
        assert ndb.Key(SearchProgress, Message.__name__).get().done

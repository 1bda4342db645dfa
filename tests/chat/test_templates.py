"""Templates: listed from the Graph API, filled in, sent once, and a way to begin a conversation."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import pytest
from flask import Flask

from chat.conversation.models import Conversation, Message
from chat.outgoing import template_list, templates
from chat.outgoing.templates import InvalidTemplateError
from chat.people.identity import ContactAlias
from local.simulator.templates import SAMPLES
from tests.chat.sending_support import ana, chat
from tests.chat.support import (
    MARIA,
    NOON,
    Browser,
    Graph,
    call,
    deliver,
    login,
    published,
    refused,
    run_together,
    stored,
    text_message,
)
from tests.helpers import wait_until

__all__ = ["ana", "chat"]  # fixtures

JSON = dict[str, Any]
RESUME = {
    "name": "retomar_conversa",
    "language": "pt_BR",
    "variables": {"1": "Maria", "2": "o conserto"},
}
RESUMED = "Olá, Maria! Aqui é da Pedal & Cia. Podemos continuar a conversa sobre o conserto?"


@pytest.fixture
def graph(graph: Graph) -> Graph:
    """With the simulator's sample templates, over two pages."""
    graph.templates = [list(SAMPLES[:5]), list(SAMPLES[5:])]
    return graph


def post(browser: Browser, chat: str, template: Any, client_id: str | None = None) -> Any:
    body = {"client_id": client_id or str(uuid.uuid4()), "template": template}
    return browser.post(f"/api/conversations/{chat}/messages", body)


def begin(browser: Browser, number: str, client_id: str | None = None, **other: Any) -> Any:
    body = {"client_id": client_id or str(uuid.uuid4()), "number": number, "template": RESUME}
    return browser.post("/api/conversations", {**body, **other})


def sample(name: str, language: str = "pt_BR") -> templates.Template:
    (found,) = [each for each in SAMPLES if (each["name"], each["language"]) == (name, language)]
    read = templates.read(found)
    assert read is not None
    return read


def filled(name: str, **variables: str) -> templates.Filled:
    asked = {"name": name, "language": "pt_BR", "variables": variables}
    return templates.fill(sample(name), asked)


# --- what a template is ---------------------------------------------------------------------------


def test_variables_are_those_of_header_body_and_buttons() -> None:
    variables = {each.key: each for each in sample("servico_pronto").variables}
    assert list(variables) == ["header.ordem", "nome", "item", "valor", "button.0"]
    assert [each.example for each in variables.values()] == [
        "4471", "Maria", "bicicleta aro 29", "95,00", "4471",
    ]  # fmt: skip
    assert [each.key for each in sample("volta_as_aulas").variables] == ["1", "button.0"]


def test_a_filled_in_template_reads_as_the_customer_gets_it() -> None:
    variables = {"header.ordem": "9", "nome": "Ana", "item": "bike", "valor": "1", "button.0": "7"}
    found = filled("servico_pronto", **variables)
    assert found.text.startswith("Oi, Ana! O serviço da sua *bike* ficou pronto. O total é R$ 1.")
    shown = found.payload["shown"]
    assert (shown["header"], shown["footer"]) == ("Ordem 9", "Pedal & Cia · seg. a sáb.")
    assert shown["buttons"] == [
        {"kind": "url", "text": "Acompanhar", "url": "https://pedal.example/ordens/7"},
        {"kind": "phone", "text": "Ligar", "phone": "+551130030000"},
    ]
    assert found.payload["sent"]["components"] == [
        {"type": "header", "parameters": [
            {"type": "text", "parameter_name": "ordem", "text": "9"}]},
        {"type": "body", "parameters": [
            {"type": "text", "parameter_name": "nome", "text": "Ana"},
            {"type": "text", "parameter_name": "item", "text": "bike"},
            {"type": "text", "parameter_name": "valor", "text": "1"}]},
        {"type": "button", "sub_type": "url", "index": "0", "parameters": [
            {"type": "text", "text": "7"}]},
    ]  # fmt: skip


def test_a_variable_that_stands_twice_is_asked_once_and_numbers_go_in_order() -> None:
    body = {"type": "BODY", "text": "{{2}}, {{1}} e de novo {{2}}: {{10}}"}
    item = {"name": "x", "language": "pt_BR", "status": "APPROVED", "components": [body]}
    read = templates.read(item)
    assert read is not None
    asked = {"name": "x", "language": "pt_BR", "variables": {"1": "a", "2": "{{1}}", "10": "c"}}
    found = templates.fill(read, asked)
    assert found.text == "{{1}}, a e de novo {{1}}: c"  # what was written is never filled in itself
    (component,) = found.payload["sent"]["components"]
    assert [each["text"] for each in component["parameters"]] == ["a", "{{1}}", "c"]


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ({"1": "Maria"}, "2"),
        ({"1": "Maria", "2": "  "}, "2"),
        ({"1": "Ma\nria", "2": "b"}, "1"),
        ({"1": "Ma\tria", "2": "b"}, "1"),
        ({"1": "Ma    ria", "2": "b"}, "1"),
        ({"1": "Maria", "2": "x" * 1025}, "2"),
        ({"1": "Maria", "2": "x" * 1000}, "2"),  # with the words round it
        ({"1": "Maria", "2": "b", "3": "c"}, "3"),
    ],
)
def test_what_meta_would_refuse_is_refused_at_its_field(
    variables: dict[str, str], field: str
) -> None:
    with pytest.raises(InvalidTemplateError) as error:
        filled("retomar_conversa", **variables)
    assert error.value.field == f"template.variables.{field}"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("revisao_gratis", "Recusado pela Meta: o conteúdo não combina"),
        ("pesquisa", "Pausado pela Meta"),
        ("lembrete_revisao", "Em análise"),
        ("catalogo_verao", "foto no cabeçalho"),
        ("codigo_acesso", "autenticação"),
    ],
)
def test_one_that_cannot_be_sent_says_why(name: str, says: str) -> None:
    assert says in (sample(name).obstacle or "")
    with pytest.raises(InvalidTemplateError) as error:
        filled(name)
    assert error.value.field == "template.name"


@pytest.mark.parametrize(
    "item",
    [None, 7, {}, {"name": "x"}, {"name": "x", "language": "pt_BR", "status": 3},
     {"name": "\ud800", "language": "pt_BR", "status": "APPROVED"}],
)  # fmt: skip
def test_what_is_no_template_is_left_out(item: Any) -> None:
    assert templates.read(item) is None


@pytest.mark.parametrize(
    "components",
    [None, [None], [{"type": "BODY"}], [{"type": "CAROUSEL"}, {"type": "BODY", "text": "x"}],
     [{"type": "BODY", "text": "x", "example": {"body_text": [7]}},
      {"type": "BUTTONS", "buttons": [{"type": "FLOW", "text": "y"}]}]],
)  # fmt: skip
def test_one_of_an_unknown_make_is_listed_and_cannot_be_sent(components: Any) -> None:
    head = {"name": "x", "language": "pt_BR", "status": "APPROVED"}
    read = templates.read({**head, "components": components})
    assert read is not None
    assert "ainda não dá" in (read.obstacle or "")


# --- the list -------------------------------------------------------------------------------------


def test_all_pages_are_listed_once_and_kept(ana: Browser, graph: Graph) -> None:
    first = ana.get("/api/templates")
    assert first.status_code == 200
    names = [(each["name"], each["language"]) for each in first.get_json()["templates"]]
    assert names == sorted((each["name"], each["language"]) for each in SAMPLES)
    assert ana.get("/api/templates").get_json() == first.get_json()
    assert len(graph.listings) == 2
    assert all("/102290129340398/message_templates?" in path for path in graph.listings)
    assert graph.headers == []  # nothing was sent


def test_who_asks_anew_gets_todays_list(
    ana: Browser, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana.get("/api/templates")
    graph.templates = [[SAMPLES[0]]]
    assert len(ana.get("/api/templates").get_json()["templates"]) == len(SAMPLES)
    monkeypatch.setattr(template_list, "_REFRESH_SECONDS", 0.0)
    assert len(ana.get("/api/templates?refresh=1").get_json()["templates"]) == 1
    assert len(ana.get("/api/templates").get_json()["templates"]) == 1


def test_those_who_ask_together_ask_meta_once(sending_app: Flask, graph: Graph) -> None:
    people = [login(sending_app, name) for name in ("ana", "bruno", "caio")]
    answers = run_together(*(lambda who=who: who.get("/api/templates") for who in people))
    assert [each.status_code for each in answers] == [200] * 3
    assert len(graph.listings) == 2


def test_an_older_list_serves_while_meta_does_not_answer(
    ana: Browser, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana.get("/api/templates")
    monkeypatch.setattr(template_list, "_REFRESH_SECONDS", 0.0)
    graph.templates = refused(2, 503)
    answer = ana.get("/api/templates?refresh=1")
    assert answer.status_code == 200
    assert answer.get_json()["stale"] is True
    assert len(answer.get_json()["templates"]) == len(SAMPLES)


@pytest.mark.parametrize(
    ("answer", "says"),
    [(refused(190, 401), "acesso"), (refused(10, 403), "permissão"), ((502, b"<p>"), "instantes"),
     ((200, {"data": 7}), "instantes")],
)  # fmt: skip
def test_why_there_is_no_list_is_told(
    ana: Browser, graph: Graph, answer: tuple[int, Any], says: str
) -> None:
    graph.templates = answer
    response = ana.get("/api/templates")
    assert response.status_code == 503
    assert says in response.get_json()["error"]["message"]


def test_without_an_account_the_administrator_is_named(
    sending_app: Flask, ana: Browser, graph: Graph
) -> None:
    sending_app.extensions["chat_templates"]._account = ""
    response = ana.get("/api/templates")
    assert response.status_code == 409
    assert "WHATSAPP_BUSINESS_ACCOUNT_ID" in response.get_json()["error"]["message"]
    assert graph.listings == []


def test_nobody_without_a_login_lists_or_begins(sending_app: Flask) -> None:
    client = sending_app.test_client()
    assert client.get("/api/templates").status_code == 401
    assert client.post("/api/conversations", json={}).status_code in (400, 401)
    assert client.post("/api/contacts/number", json={}).status_code in (400, 401)


# --- sending --------------------------------------------------------------------------------------


@pytest.mark.store
def test_a_template_is_stored_told_and_sent(ana: Browser, chat: str, graph: Graph) -> None:
    client_id = str(uuid.uuid4())
    response = post(ana, chat, RESUME, client_id)
    assert response.status_code == 201
    message = response.get_json()
    assert (message["id"], message["type"], message["text"]) == (client_id, "template", RESUMED)
    assert message["template"]["footer"] == "Responda quando puder"
    assert [each["text"] for each in message["template"]["buttons"]] == [
        "Sim, pode falar", "Agora não",
    ]  # fmt: skip
    (sent,) = graph.received
    assert (sent["to"], sent["type"]) == (f"+{MARIA}", "template")
    assert sent["biz_opaque_callback_data"] == client_id
    assert sent["template"]["name"] == "retomar_conversa"
    assert sent["template"]["language"] == {"code": "pt_BR"}
    assert ana.thread(chat)[-1] == message
    assert ana.conversations()[0]["last_message"]["text"] == RESUMED
    told = [event for event in published("message.created") if client_id in event.data]
    assert len(told) == 1
    assert json.loads(told[0].data)["message"]["template"] == message["template"]


def test_the_thread_shows_it_when_the_template_is_gone_and_a_repeat_is_known(
    ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_list, "_REFRESH_SECONDS", 0.0)
    client_id = str(uuid.uuid4())
    post(ana, chat, RESUME, client_id)
    graph.templates = [[]]
    ana.get("/api/templates?refresh=1")
    again = post(ana, chat, RESUME, client_id)
    assert (again.status_code, again.get_json()["text"]) == (200, RESUMED)
    assert len(graph.received) == 1
    assert ana.thread(chat)[-1]["template"]["footer"] == "Responda quando puder"
    gone = post(ana, chat, RESUME)
    assert gone.status_code == 422
    assert gone.get_json()["error"]["field"] == "template.name"


def test_a_client_id_of_another_template_or_text_is_a_conflict(
    ana: Browser, chat: str, graph: Graph
) -> None:
    client_id = str(uuid.uuid4())
    post(ana, chat, RESUME, client_id)
    other = {**RESUME, "variables": {"1": "Ana", "2": "o conserto"}}
    text = {"client_id": client_id, "text": RESUMED}
    for response in (
        post(ana, chat, other, client_id),
        ana.post(f"/api/conversations/{chat}/messages", text),
    ):
        assert response.status_code == 409
        assert response.get_json()["error"]["field"] == "client_id"
    assert len(graph.received) == 1


@pytest.mark.parametrize(
    ("template", "field"),
    [
        (None, "template.name"),
        ("aviso", "template.name"),
        ({"name": "aviso"}, "template.language"),
        ({**RESUME, "variables": ["Maria"]}, "template.variables"),
        ({**RESUME, "variables": {"1": 3, "2": "b"}}, "template.variables.1"),
        ({**RESUME, "variables": {"1": "Maria"}}, "template.variables.2"),
        ({**RESUME, "language": "fr"}, "template.name"),
    ],
)
def test_a_bad_request_names_its_field(
    ana: Browser, chat: str, graph: Graph, template: Any, field: str
) -> None:
    response = post(ana, chat, template)
    assert response.status_code == 422
    assert response.get_json()["error"]["field"] == field
    assert graph.received == []


@pytest.mark.store
def test_a_refused_template_says_why_and_is_sent_again_as_it_was(
    ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.answer = lambda _body: refused(132015)
    first = post(ana, chat, RESUME).get_json()["id"]
    failed = ana.thread(chat)[-1]
    assert failed["status"] == "failed"
    assert "pausado" in failed["error"]["message"].lower()
    graph.answer, graph.templates = None, [[]]
    monkeypatch.setattr(template_list, "KEPT_SECONDS", 0.0)  # Meta has none any more
    again = ana.post(f"/api/messages/{first}/retry", {"client_id": str(uuid.uuid4())})
    assert again.status_code == 201
    assert again.get_json()["text"] == RESUMED
    assert again.get_json()["template"] == failed["template"]
    one, two = graph.received
    assert one["template"] == two["template"]


def test_templates_and_texts_go_out_in_their_order(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    gate = threading.Event()

    def first_is_slow(body: JSON) -> Any:
        if len(graph.received) == 1:
            gate.wait(20)
        return 200, {"messages": [{"id": f"wamid.{body['biz_opaque_callback_data']}"}]}

    graph.answer = first_is_slow
    sending_app.extensions["chat_sender"]._wait_seconds = 0
    post(ana, chat, RESUME)
    text = {"client_id": str(uuid.uuid4()), "text": "e um texto"}
    ana.post(f"/api/conversations/{chat}/messages", text)
    post(ana, chat, {"name": "aviso", "language": "pt_BR"})
    gate.set()
    wait_until(lambda: len(graph.received) == 3)
    assert [body["type"] for body in graph.received] == ["template", "text", "template"]
    assert "components" not in graph.received[2]["template"]


# --- conversations that we begin ------------------------------------------------------------------


@pytest.mark.store
def test_the_first_message_makes_the_conversation(ana: Browser, graph: Graph) -> None:
    assert ana.conversations() == []
    client_id = str(uuid.uuid4())
    response = begin(ana, "(11) 98765-4321", client_id)
    assert response.status_code == 201
    conversation = response.get_json()["conversation"]
    assert conversation["phone"] == "+55 11 98765-4321"
    assert conversation["window_expires_at"] is None
    assert conversation["owner"] == "human"
    assert [each["id"] for each in ana.conversations()] == [conversation["id"]]
    assert [each["id"] for each in ana.thread(conversation["id"])] == [client_id]
    assert graph.received[0]["to"] == f"+{MARIA}"
    events = published("message.created")
    assert [event.conversation_id for event in events] == [conversation["id"]]
    assert begin(ana, "+55 11 98765 4321", client_id).status_code == 200
    assert len(graph.received) == len(stored(Conversation)) == 1


@pytest.mark.store
@pytest.mark.parametrize("typed", ["11 98765-4321", "55 11 8765-4321", "+5511987654321"])
def test_a_number_that_has_a_conversation_gets_no_second(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, typed: str
) -> None:
    known = ana.post("/api/contacts/number", {"number": typed}).get_json()
    assert known["conversation"]["id"] == chat
    assert begin(ana, typed).get_json()["conversation"]["id"] == chat
    assert len(stored(Conversation)) == 1


@pytest.mark.store
def test_two_who_begin_at_once_and_the_customer_make_one_conversation(
    sending_app: Flask, ana: Browser, graph: Graph
) -> None:
    bruno = login(sending_app, "bruno")
    run_together(
        lambda: begin(ana, "11 98765-4321"),
        lambda: begin(bruno, "+55 11 8765-4321"),
        lambda: deliver(sending_app.test_client(), call(text_message("wamid.1", "oi"))),
    )
    (conversation,) = ana.conversations()
    assert len(ana.thread(conversation["id"])) == 3
    assert len(stored(ContactAlias)) == 1
    wait_until(lambda: len(graph.received) == 2)


@pytest.mark.store
def test_the_answer_comes_into_the_same_conversation_and_opens_the_window(
    sending_app: Flask, ana: Browser, graph: Graph
) -> None:
    begin(ana, "11 98765-4321")
    button = {"type": "button", "text": None, "button": {"payload": "x", "text": "Agora não"}}
    answer = text_message("wamid.1", at=NOON + 10**8, **{**button, "from": "551187654321"})
    deliver(sending_app.test_client(), call(answer))
    (conversation,) = ana.conversations()
    assert conversation["window_expires_at"] is not None
    assert [each["text"] for each in ana.thread(conversation["id"])] == [RESUMED, "Agora não"]


def test_nothing_is_left_of_what_cannot_begin(ana: Browser, graph: Graph) -> None:
    for response, field in (
        (begin(ana, "98765-4321"), "number"),
        (begin(ana, "11 98765-4321", client_id="no"), "client_id"),
        (begin(ana, "11 98765-4321", template=None), "template.name"),
    ):
        assert response.status_code == 422
        assert response.get_json()["error"]["field"] == field
    assert stored(Conversation) == stored(ContactAlias) == stored(Message) == []


def test_looking_a_number_up_makes_nothing(ana: Browser) -> None:
    found = ana.post("/api/contacts/number", {"number": "11 98765-4321"}).get_json()
    assert found == {"number": MARIA, "phone": "+55 11 98765-4321", "conversation": None}
    half = ana.post("/api/contacts/number", {"number": "98765-4321"})
    assert half.status_code == 200  # somebody is typing
    assert half.get_json() == {"number": None, "problem": "Falta o DDD."}
    assert stored(ContactAlias) == []


def test_who_begins_has_read_nothing_that_came_meanwhile(
    sending_app: Flask, ana: Browser, graph: Graph
) -> None:
    found = ana.post("/api/contacts/number", {"number": MARIA}).get_json()
    assert found["conversation"] is None
    deliver(sending_app.test_client(), call(text_message("wamid.1", "oi")))
    assert begin(ana, MARIA).status_code == 201
    (conversation,) = ana.conversations()
    assert conversation["unread_count"] == 1


class CountingLock:
    """Tells how many have come for it."""

    def __init__(self) -> None:
        self.came = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.came += 1
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_those_who_wait_while_meta_does_not_answer_do_not_ask_again(
    sending_app: Flask, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [login(sending_app, name) for name in ("ana", "bruno", "caio")]
    known = sending_app.extensions["chat_templates"]
    lock, asked = CountingLock(), []

    def ask() -> Any:
        asked.append(1)
        wait_until(lambda: lock.came == 3)
        raise template_list.ListUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr(known, "_asking", lock)
        patched.setattr(known, "_ask", ask)
        answers = run_together(*(lambda who=who: who.get("/api/templates") for who in people))
    assert [each.status_code for each in answers] == [503] * 3
    assert asked == [1]
    assert people[0].get("/api/templates").status_code == 200  # who comes later asks

"""Message templates: the list that Graph gives, and what it refuses when one is sent."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.local.simulator_world import ACCOUNT_ID, MARIA, TOKEN, World

AUTH = {"Authorization": f"Bearer {TOKEN}"}
JSON = dict[str, Any]


def listed(world: World, **query: str) -> TestResponse:
    return world.http.get(
        f"/v26.0/{ACCOUNT_ID}/message_templates", query_string=query, headers=AUTH
    )


def send(world: World, name: str, *components: JSON, language: str = "pt_BR") -> TestResponse:
    template = {"name": name, "language": {"code": language}, "components": list(components)}
    return world.graph({"to": f"+{MARIA}", "type": "template", "template": template})


def part(kind: str, *values: str, **named: str) -> JSON:
    parameters = [{"type": "text", "text": value} for value in values]
    parameters += [
        {"type": "text", "parameter_name": name, "text": value} for name, value in named.items()
    ]
    return {"type": kind, "parameters": parameters}


READY = [
    part("header", ordem="1"),
    part("body", nome="Ana", item="bicicleta", valor="5"),
    {**part("button", "7"), "sub_type": "url", "index": "0"},
]


def test_the_list_comes_in_pages_of_the_fields_asked_for(world: World) -> None:
    found: list[JSON] = []
    query = {"fields": "name,language,status", "limit": "4"}
    while True:
        page = listed(world, **query).json
        assert len(page["data"]) <= 4
        found += page["data"]
        if "next" not in page["paging"]:
            break
        query["after"] = page["paging"]["cursors"]["after"]
    assert {frozenset(each) for each in found} == {frozenset({"id", "name", "language", "status"})}
    keys = [(each["name"], each["language"]) for each in found]
    assert len(keys) == len(set(keys)) == len(world.http.get("/templates").json["data"])
    assert {each["status"] for each in found} >= {"APPROVED", "REJECTED", "PAUSED", "PENDING"}


def test_the_list_needs_the_token_and_the_account(world: World) -> None:
    path = f"/v26.0/{ACCOUNT_ID}/message_templates"
    assert world.http.get(path).status_code == 401
    other = world.http.get("/v26.0/123/message_templates", headers=AUTH)
    assert (other.status_code, other.json["error"]["code"]) == (400, 100)
    assert listed(world, limit="no").status_code == 400


def test_a_sent_template_is_on_the_phone_as_it_reads(world: World) -> None:
    assert send(world, "servico_pronto", *READY).status_code == 200
    world.advance(5)
    (message,) = world.http.get(f"/customers/{MARIA}/messages").json["messages"]
    assert message["text"].startswith("Oi, Ana! O serviço da sua *bicicleta* ficou pronto.")
    shown = message["body"]["rendered"]
    assert (shown["header"], shown["footer"]) == ("Ordem 1", "Pedal & Cia · seg. a sáb.")
    assert [each["text"] for each in shown["buttons"]] == ["Acompanhar", "Ligar"]
    assert shown["buttons"][0]["url"] == "https://pedal.example/ordens/7"


@pytest.mark.parametrize(
    ("name", "components", "status", "code"),
    [
        ("nenhum", [], 404, 132001),
        ("revisao_gratis", [], 404, 132001),
        ("lembrete_revisao", [part("body", "Ana")], 404, 132001),
        ("pesquisa", [], 400, 132015),
        ("retomar_conversa", [part("body", "Ana")], 400, 132000),
        ("aviso", [part("body", "Ana")], 400, 132000),
        ("retomar_conversa", [part("body", "Ana", "a\nb")], 400, 132018),
        ("retomar_conversa", [part("body", "Ana", "a     b")], 400, 132018),
        ("retomar_conversa", [part("body", "Ana", " ")], 400, 131008),
        ("retomar_conversa", [part("body", "Ana", "x" * 1000)], 400, 132005),
        ("servico_pronto", [*READY[:2]], 400, 131008),
        ("servico_pronto", [READY[0], part("body", "a", "b", "c"), READY[2]], 400, 132012),
        ("catalogo_verao", [], 400, 132012),
    ],
)
def test_what_does_not_fit_the_template_is_refused(
    world: World, name: str, components: list[JSON], status: int, code: int
) -> None:
    answer = send(world, name, *components)
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)


def test_four_spaces_are_allowed(world: World) -> None:
    assert send(world, "retomar_conversa", part("body", "Ana", "a    b")).status_code == 200


def test_templates_can_be_changed_added_and_deleted(world: World) -> None:
    assert world.http.put("/templates", json={"name": "aviso", "status": "DISABLED"}).json["id"]
    assert send(world, "aviso").json["error"]["code"] == 132016
    new = {"name": "novo", "components": [{"type": "BODY", "text": "Oi"}], "language": "pt_PT"}
    world.http.put("/templates", json=new)
    assert send(world, "novo", language="pt_PT").status_code == 200
    assert world.http.delete("/templates/retomar_conversa").json == {"deleted": 3}
    assert send(world, "retomar_conversa", part("body", "a", "b")).status_code == 404
    assert world.http.put("/templates", json={"name": "x", "status": "MAYBE"}).status_code == 422
    world.http.post("/reset")
    assert send(world, "aviso").status_code == 200

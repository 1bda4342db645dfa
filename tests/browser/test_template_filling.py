"""What a template reads like while it is filled in: the page's own reckoning, as the server's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from chat.outgoing import templates
from chat.outgoing.templates import InvalidTemplateError, Template
from local.simulator.templates import SAMPLES
from tests.browser.screen_modules import Run, modules_page

SENDABLE = [each for each in map(templates.read, SAMPLES) if each and not each.obstacle]


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


def of(body: str, **more: Any) -> dict[str, Any]:
    head = {"name": "x", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY"}
    read = templates.read({**head, "components": [{"type": "BODY", "text": body}], **more})
    assert read is not None
    return read.as_json()


@pytest.mark.parametrize("template", SENDABLE, ids=lambda each: f"{each.name}/{each.language}")
def test_page_and_server_fill_in_alike(run: Run, template: Template) -> None:
    values = {each.key: f" {each.example}$& " for each in template.variables}
    values |= {each.key: "X1" for each in template.variables if each.limit < 20}
    asked, shown = run(
        """
        const { text, template } = filling.filledIn(arg.template, arg.values);
        return [filling.askedFor(arg.template, arg.values), { text, template }];
        """,
        {"template": template.as_json(), "values": values},
    )
    filled = templates.fill(template, templates.asked_of(asked))
    assert shown == {"text": filled.text, "template": filled.payload["shown"]}


@pytest.mark.parametrize(
    "value",
    ["", "  ", "Ana", "a\tb", "a    b", "a   b", "a\u2028b", "x" * 900, "x" * 1024, "x" * 1025,
     "é" * 1010, "😀" * 900],
)  # fmt: skip
def test_page_and_server_refuse_alike(run: Run, value: str) -> None:
    template = of("Olá, {{1}}!")
    problems = run("return filling.problemsOf(arg[0], { 1: arg[1] })", [template, value])
    asked = {"name": "x", "language": "pt_BR", "variables": {"1": value}}
    read = templates.read(
        {"name": "x", "language": "pt_BR", "status": "APPROVED",
         "components": [{"type": "BODY", "text": "Olá, {{1}}!"}]}
    )  # fmt: skip
    assert read is not None
    try:
        templates.fill(read, asked)
        refused = {}
    except InvalidTemplateError as error:
        refused = {error.field.removeprefix("template.variables."): error}
    assert set(problems) == set(refused)


@pytest.mark.parametrize(
    ("body", "filled"),
    [
        ("Olá, {{1}}! Sobre {{2}}.", ["1"]),
        ("Prezada *{{1}}*, a nota {{2}}.", ["1"]),
        ("O pedido {{1}} de {{2}} saiu.", []),
        ("Está tudo certo. Oi {{2}}, o pedido {{1}} saiu.", ["2"]),
        ("Oi, {{nome}}: {{item}}", ["nome"]),
        ("{{customer_name}}, {{order_id}}", ["customer_name"]),
        ("Gostou, doi {{1}}?", []),
    ],
)
def test_the_customers_name_stands_where_they_are_called_by_it(
    run: Run, body: str, filled: list[str]
) -> None:
    values = run("return filling.firstValues(arg, 'Maria')", of(body))
    assert [key for key, value in values.items() if value == "Maria"] == filled
    assert set(run("return filling.firstValues(arg, null)", of(body)).values()) <= {""}


@pytest.mark.parametrize(
    ("text", "is_number"),
    [("11 98765-4321", True), ("+1 (415) 555-2671", True), ("987654", False), ("Maria 2", False),
     ("Rua 11, 98765-432", False), ("", False)],
)  # fmt: skip
def test_a_number_is_told_from_a_name(run: Run, text: str, is_number: bool) -> None:
    assert run("return number_lookup.isNumber(arg)", text) is is_number


def test_languages_have_their_portuguese_names(run: Run) -> None:
    codes = ["pt_BR", "en_US", "es", "?"]
    names = run("return arg.map(filling.languageName)", codes)
    assert names == ["Português (Brasil)", "Inglês (Estados Unidos)", "Espanhol", "?"]

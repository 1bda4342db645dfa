"""`flask attendants`: who may log in, and with what password."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from flask import Flask

from chat.team import commands
from chat.team.attendants import Attendant
from chat.team.commands import why_weak
from local.processes.parts import ROOT
from tests.chat.support import stored, token_of
from tests.helpers import Store

pytestmark = pytest.mark.store

GOOD = "três gatos no telhado"


def test_an_attendant_is_added_listed_and_removed(app: Flask) -> None:
    run = app.test_cli_runner().invoke
    added = run(args=["attendants", "add", "Carla", "--name", "Carla Dias"], input=f"{GOOD}\n")
    assert added.exit_code == 0, added.output
    assert run(args=["attendants", "list"]).output == "carla\tCarla Dias\tadministrador\n"
    client = app.test_client()
    form = {"username": "carla", "password": GOOD, "csrf_token": token_of(client)}
    assert client.post("/login", data=form).status_code == 302
    assert client.get("/api/conversations").status_code == 200
    assert run(args=["attendants", "remove", "carla"]).exit_code == 0
    assert run(args=["attendants", "list"]).output == ""
    assert client.get("/api/conversations").status_code == 401
    removed = run(args=["attendants", "remove", "carla"])
    assert removed.exit_code != 0
    assert "Não existe o atendente carla." in removed.output


@pytest.mark.parametrize(
    "username", ["a b", "", "joão", "ana/bruno", "x" * 65, ".-.", "a\tb", "ana:1"]
)
def test_an_unusable_name_is_refused_in_portuguese(app: Flask, username: str) -> None:
    result = app.test_cli_runner().invoke(args=["attendants", "add", username], input=f"{GOOD}\n")
    assert result.exit_code != 0
    assert "não serve: use até 64 letras sem acento" in result.output
    assert stored(Attendant) == []


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "pelo menos 8 caracteres"),
        ("a", "pelo menos 8 caracteres"),
        ("segredo", "pelo menos 8 caracteres"),
        ("   sete7  ", "pelo menos 8 caracteres"),
        ("          ", "pelo menos 8 caracteres"),
        ("mariasilva", "nome de usuário"),
        ("MariaSilva", "nome de usuário"),
        ("mariasilvamariasilva", "nome de usuário"),
        ("aaaaaaaaaa", "4 caracteres diferentes"),
        ("abababab", "4 caracteres diferentes"),
        ("11111112", "4 caracteres diferentes"),
        ("12345678", "todo mundo tenta"),
        ("Senha123", "todo mundo tenta"),
        ("password", "todo mundo tenta"),
    ],
)
def test_a_password_that_is_easily_guessed_is_refused(app: Flask, password: str, why: str) -> None:
    run = app.test_cli_runner().invoke
    result = run(args=["attendants", "add", "mariasilva"], input=f"{password}\n")
    assert result.exit_code != 0
    assert why in result.output
    assert stored(Attendant) == []


@pytest.mark.parametrize("password", [GOOD, "x7Kp2mQz", "maria silva 1987", "çãéàüêôí"])
def test_any_other_password_will_do(password: str) -> None:
    assert why_weak("mariasilva", password) is None


def test_the_common_passwords_are_such_as_the_other_rules_let_through() -> None:
    for password in commands._COMMON:
        assert len(password) >= commands.MIN_PASSWORD
        assert why_weak("", password) == (
            "Esta senha é das primeiras que todo mundo tenta: escolha outra."
        )


def test_a_password_that_is_not_entered_twice_alike_is_asked_for_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, object]] = []

    def prompt(text: str, **options: object) -> str:
        asked.append({"text": text, **options})
        return GOOD

    monkeypatch.setattr(commands.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(commands.click, "prompt", prompt)
    assert commands._read_password() == GOOD
    assert asked == [{"text": "Senha", "hide_input": True, "confirmation_prompt": "Repita a senha"}]


def flask_command(environ: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    """`flask --app main attendants …` as a process, with nothing else in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "main", "attendants", *args],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        input=f"{GOOD}\n",
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_command_works_from_the_environment_alone(store: Store) -> None:
    added = flask_command(store.environ, "add", "maria")
    told = "Atendente maria salvo, com acesso de administrador.\n"
    assert (added.returncode, added.stdout) == (0, told), added.stderr
    assert flask_command(store.environ, "list").stdout == "maria\tmaria\tadministrador\n"


@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": "/nonexistent", "NO_GCE_CHECK": "true"},
        {"HOME": "/nonexistent", "NO_GCE_CHECK": "true", "GOOGLE_CLOUD_PROJECT": "nobodys"},
        {"GOOGLE_APPLICATION_CREDENTIALS": "/nonexistent/key.json", "GOOGLE_CLOUD_PROJECT": "x"},
        {"DATASTORE_EMULATOR_HOST": "127.0.0.1:9", "GOOGLE_CLOUD_PROJECT": "x"},
    ],
    ids=["no project", "no credentials", "no key file", "no server"],
)
def test_without_a_datastore_the_command_says_what_is_missing(environ: dict[str, str]) -> None:
    result = flask_command(environ, "add", "maria")
    assert result.returncode == 1
    assert "O Datastore não pôde ser usado" in result.stderr
    assert "gcloud auth application-default login" in result.stderr
    assert "Traceback" not in result.stderr

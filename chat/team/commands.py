"""`flask attendants`: who may log in, told on the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask.cli import AppGroup

from chat.platform import datastore
from chat.team.attendants import Attendant, remove_attendant, save_attendant, set_admin

attendants_cli = AppGroup("attendants", help="Who may log in.")

#: NIST SP 800-63B asks for eight. Those who guess get some thousand tries a day at the most (see
#: throttle.py), which eight characters bear unless they are among the first that everybody tries.
MIN_PASSWORD = 8
_MIN_DIFFERENT = 4
#: The first guesses that are long enough to pass the rules above.
_COMMON = {
    "12345678", "123456789", "1234567890", "87654321", "01234567", "11223344", "12341234",
    "abcd1234", "a1b2c3d4", "1q2w3e4r", "qwertyui", "qwertyuiop", "asdfghjk", "password",
    "password1", "passw0rd", "senha123", "senha1234", "minhasenha", "mudar123", "trocar123",
    "admin123", "admin1234", "brasil123", "whatsapp", "atendimento", "atendente", "iloveyou",
}  # fmt: skip


def why_weak(username: str, password: str) -> str | None:
    """What is wrong with this password, in Portuguese; None if it will do."""
    plain, name = password.strip().lower(), username.strip().lower()
    if len(plain) < MIN_PASSWORD:
        return f"A senha precisa de pelo menos {MIN_PASSWORD} caracteres."
    if name and not plain.replace(name, ""):
        return "A senha não pode ser o nome de usuário."
    if len(set(plain)) < _MIN_DIFFERENT:
        return f"A senha precisa de pelo menos {_MIN_DIFFERENT} caracteres diferentes."
    if plain in _COMMON:
        return "Esta senha é das primeiras que todo mundo tenta: escolha outra."
    return None


@contextmanager
def _told_in_one_line() -> Iterator[None]:
    """An open store; what goes wrong there ends the command in words, not in a traceback."""
    try:
        with datastore.context():
            yield
    except (*datastore.ERRORS, OSError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise click.ClickException(
            f"O Datastore não pôde ser usado ({reason[0]}). Entre com `gcloud auth "
            "application-default login` e diga o projeto em GOOGLE_CLOUD_PROJECT."
        ) from error


def _read_password() -> str:
    if sys.stdin.isatty():
        entered: Any = click.prompt("Senha", hide_input=True, confirmation_prompt="Repita a senha")
        return str(entered)
    return sys.stdin.readline().rstrip("\r\n")


@attendants_cli.command("add")
@click.argument("username")
@click.option("--name", help="Name shown in the chat.")
@click.option("--admin", is_flag=True, help="Administers; the first attendant does anyway.")
def add_command(username: str, name: str | None, admin: bool) -> None:
    """Add an attendant, or give one a new password (asked for, or read from stdin)."""
    password = _read_password()
    problem = why_weak(username, password)
    if problem is not None:
        raise click.ClickException(problem)
    with _told_in_one_line():
        try:
            administers = save_attendant(username, password, name, admin or None)
        except ValueError as error:
            raise click.ClickException(str(error)) from error
    role = ", com acesso de administrador" if administers else ""
    click.echo(f"Atendente {username.strip().lower()} salvo{role}.")


@attendants_cli.command("admin")
@click.argument("username")
@click.option("--off", is_flag=True, help="Takes it away.")
def admin_command(username: str, off: bool) -> None:
    """Let an attendant administer, without a new password."""
    username = username.strip().lower()
    with _told_in_one_line():
        if not set_admin(username, not off):
            raise click.ClickException(f"Não existe o atendente {username}.")
    told = "não tem mais" if off else "agora tem"
    click.echo(f"Atendente {username} {told} acesso de administrador.")


@attendants_cli.command("list")
def list_command() -> None:
    """List the attendants."""
    with _told_in_one_line():
        for attendant in Attendant.query().order(Attendant._key):
            role = "\tadministrador" if attendant.is_admin else ""
            click.echo(f"{attendant.key.id()}\t{attendant.name}{role}")


@attendants_cli.command("remove")
@click.argument("username")
def remove_command(username: str) -> None:
    """Remove an attendant."""
    username = username.strip().lower()
    with _told_in_one_line():
        if not remove_attendant(username):
            raise click.ClickException(f"Não existe o atendente {username}.")
    click.echo(f"Atendente {username} removido.")

"""`flask push`: the keys, told on the command line."""

from __future__ import annotations

import click
from flask.cli import AppGroup

from chat.push.settings import new_private_key

push_cli = AppGroup("push", help="Notifications with the browser closed.")


@push_cli.command("keys")
def keys_command() -> None:
    """Print a new key and where it goes. Another key ends all subscriptions made with the old."""
    click.echo(f"PUSH_VAPID_PRIVATE_KEY: {new_private_key()}")
    click.echo("PUSH_SUBJECT: mailto:voce@sua-empresa.com.br")
    click.echo(
        "Guarde as duas linhas em secrets.yaml, com o seu e-mail na segunda: os serviços de push "
        "escrevem para lá se algo estiver errado.",
        err=True,
    )

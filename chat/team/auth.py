"""Attendants: who they are, logging in and out, and nothing without a login.

Every route needs a login unless it is on the list below: a route that somebody adds and forgets is
closed, not open.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import click
from cachetools import TTLCache
from flask import (
    Blueprint,
    Flask,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.cli import AppGroup
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from google.cloud import ndb
from werkzeug.security import check_password_hash, generate_password_hash

from chat.platform import datastore

blueprint = Blueprint("auth", __name__)
attendants_cli = AppGroup("attendants", help="Who may log in.")

#: How long a process trusts what it knows of an attendant. Long polling asks every few seconds;
#: a removed attendant is out after this at the latest.
CACHE_SECONDS = 30
_MAX_USERNAME = 64
#: Endpoints and blueprints that answer without a login; each has its own guard or needs none.
_OPEN_ENDPOINTS = frozenset({"auth.login", "static"})
_OPEN_BLUEPRINTS = frozenset({"webhook", "tasks", "health"})
#: The modules' clean-up routes, which have the cron's guard.
_CRON_PATHS = frozenset({"/realtime/cleanup", "/message-status/cleanup"})
#: Paths whose callers are scripts: they get 401 and JSON, not a login page.
_JSON_PATHS = ("/api/", "/realtime/", "/unread")
#: So that an unknown user name takes as long as a wrong password.
_NOBODY = generate_password_hash("nobody")
#: Checking a password takes 32 MB. Strangers can ask for it on every thread at once, which would
#: take more memory than an instance has.
_checking = threading.BoundedSemaphore(4)

_cache: TTLCache[str, User | None] = TTLCache(maxsize=1000, ttl=CACHE_SECONDS)
_cache_lock = threading.Lock()


class Attendant(ndb.Model):
    """Somebody who may log in. Key name: the user name, lower case."""

    name = ndb.TextProperty()
    password_hash = ndb.TextProperty()
    created_at = ndb.IntegerProperty(indexed=False)


class User(UserMixin):
    """A logged-in attendant: no entity, so that it outlives the request that read it."""

    def __init__(self, attendant: Attendant) -> None:
        self.username = str(attendant.key.id())
        self.name = str(attendant.name or self.username)
        # The session names the password it was made with: a new password ends the old sessions.
        mark = hashlib.sha256(attendant.password_hash.encode()).hexdigest()[:16]
        self.id = f"{self.username}:{mark}"


def current_username() -> str | None:
    """The logged-in attendant's user name, or None."""
    return current_user.username if current_user.is_authenticated else None


def init_app(app: Flask) -> None:
    """Registers login, logout, the commands and the rule that nothing goes without a login."""
    manager = LoginManager(app)
    manager.user_loader(_load)
    # "basic" would store a fingerprint of address and browser; addresses change behind a proxy.
    manager.session_protection = None
    app.before_request(_require_login)
    app.register_blueprint(blueprint)
    app.cli.add_command(attendants_cli)


def _load(user_id: str) -> User | None:
    with _cache_lock:
        if user_id in _cache:
            return _cache[user_id]
    username = user_id.rpartition(":")[0]
    with datastore.context():
        attendant = datastore.get(Attendant, username) if username else None
    user = User(attendant) if attendant is not None else None
    if user is not None and user.id != user_id:
        user = None
    with _cache_lock:
        _cache[user_id] = user
    return user


def forget(username: str) -> None:
    """Drops what this process remembers of an attendant."""
    with _cache_lock:
        for user_id in [key for key in _cache if key.rpartition(":")[0] == username]:
            del _cache[user_id]


def _require_login() -> ResponseReturnValue | None:
    if request.endpoint in _OPEN_ENDPOINTS or request.blueprint in _OPEN_BLUEPRINTS:
        return None
    if request.path in _CRON_PATHS:
        return None
    if current_user.is_authenticated:
        return None
    if request.path.startswith(_JSON_PATHS):
        message = "Sua sessão terminou. Entre de novo."
        return jsonify(error={"code": "login_required", "message": message}), 401
    target = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return redirect(url_for("auth.login", next=None if target == "/" else target))


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """The login form, and what it sends."""
    target = safe_target(request.args.get("next"))
    if request.method == "GET":
        if current_user.is_authenticated:
            return redirect(target)
        return render_template("chat/login.html", username="")
    username = request.form.get("username", "").strip().lower()[:_MAX_USERNAME]
    attendant = datastore.get(Attendant, username) if datastore.is_key_name(username) else None
    expected = attendant.password_hash if attendant is not None else _NOBODY
    with _checking:
        right = check_password_hash(expected, request.form.get("password", ""))
    if attendant is None or not right:
        flash("Usuário ou senha incorretos.")
        return render_template("chat/login.html", username=username), 401
    session.clear()
    session.permanent = True
    forget(username)
    login_user(User(attendant))
    return redirect(target)


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Ends the session."""
    logout_user()
    session.clear()
    return redirect(url_for("auth.login"))


def safe_target(target: str | None) -> str:
    """A path of this site to go to after the login; `/` for anything else.

    Browsers read `//host`, `/\\host` and addresses with control characters as other sites.
    """
    if not target or not target.startswith("/") or not target.isprintable() or "\\" in target:
        return "/"
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or target.startswith("//"):
        return "/"
    return target


def save_attendant(username: str, password: str, name: str | None = None) -> None:
    """Adds an attendant, or gives one a new password.

    Args:
        username: letters, digits, `.`, `_`, `-`; case does not matter.
        password: any text that is not empty.
        name: as shown; the user name when None.

    Raises:
        ValueError: the user name or the password cannot be used.
    """
    username = username.strip().lower()
    plain = username.replace(".", "").replace("_", "").replace("-", "")
    if not plain.isalnum() or not plain.isascii() or len(username) > _MAX_USERNAME:
        raise ValueError(f"username: {username!r} has characters that are not allowed")
    if not password:
        raise ValueError("password: is empty")
    now = time.time_ns() // 1_000_000
    Attendant(
        id=username,
        name=(name or username).strip(),
        password_hash=generate_password_hash(password),
        created_at=now,
    ).put()
    forget(username)


def _read_password() -> str:
    if sys.stdin.isatty():
        entered: Any = click.prompt("Senha", hide_input=True, confirmation_prompt=True)
        return str(entered)
    return sys.stdin.readline().rstrip("\r\n")


@attendants_cli.command("add")
@click.argument("username")
@click.option("--name", help="Name shown in the chat.")
def add_command(username: str, name: str | None) -> None:
    """Add an attendant, or give one a new password (asked for, or read from stdin)."""
    password = _read_password()
    try:
        with datastore.context():
            save_attendant(username, password, name)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Atendente {username.strip().lower()} salvo.")


@attendants_cli.command("list")
def list_command() -> None:
    """List the attendants."""
    with datastore.context():
        for attendant in Attendant.query().order(Attendant._key):
            click.echo(f"{attendant.key.id()}\t{attendant.name}")


@attendants_cli.command("remove")
@click.argument("username")
def remove_command(username: str) -> None:
    """Remove an attendant."""
    username = username.strip().lower()
    with datastore.context():
        if datastore.get(Attendant, username) is None:
            raise click.ClickException(f"Não existe o atendente {username}.")
        ndb.Key(Attendant, username).delete()
    click.echo(f"Atendente {username} removido.")

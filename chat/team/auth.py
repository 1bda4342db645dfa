"""Logging in and out over HTTP, and nothing without a login.

Every route needs a login unless it is on the list below: a route that somebody adds and forgets is
closed, not open.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user, login_user, logout_user
from flask_wtf.csrf import CSRFError
from werkzeug.security import check_password_hash

import realtime_events
from chat.platform import datastore
from chat.team import attendants
from chat.team.attendants import MAX_USERNAME, Attendant, User, forget, save_attendant
from chat.team.commands import attendants_cli
from chat.team.throttle import Attempt, Refusals, Throttle, in_words

__all__ = ["Attendant", "current_username", "forget", "init_app", "safe_target", "save_attendant"]

blueprint = Blueprint("auth", __name__)
_log = logging.getLogger(__name__)

#: Endpoints and blueprints that answer without a login; each has its own guard or needs none.
_OPEN_ENDPOINTS = frozenset({"auth.login", "static"})
_OPEN_BLUEPRINTS = frozenset({"webhook", "tasks", "health", "installed"})
#: The modules' clean-up routes, which have the cron's guard.
_CRON_PATHS = frozenset({"/realtime/cleanup", "/message-status/cleanup"})
#: Paths whose callers are scripts: they get 401 and JSON, not a login page.
_JSON_PATHS = ("/api/", "/realtime/", "/unread")
#: So that an unknown user name takes as long as a wrong password.
_NOBODY = (
    "scrypt:32768:8:1$jxxr4IREFiLycK9b$"
    "526eaeca35a801f551cd5acb88fbeeb6ee89f3d98a2156d6a4c16ce433dcddd5"
    "e0846e657969995ac1ba2ac5edd2d4dd78a9959871a46a5192936a3f41438a88"
)
#: Checking a password takes 32 MB and a tenth of a second of a processor. Who finds no place is
#: told so at once: those who waited would hold the threads of the webhook and of /healthz.
_places = threading.BoundedSemaphore(4)
_BUSY_SECONDS = 2
_STORE_SECONDS = 5
#: In the session: which names have logged in with this browser, by their marks. It outlasts a
#: logout, and no more people than this share a browser.
_DEVICES = "devices"
_MAX_DEVICES = 10

_WRONG = "Usuário ou senha incorretos."
_STALE = "Por segurança, digite a senha e aperte Entrar mais uma vez."
_NO_STORE = "O banco de dados não respondeu. Tente novamente em instantes."


def current_username() -> str | None:
    """The logged-in attendant's user name, or None."""
    return current_user.username if current_user.is_authenticated else None


def init_app(app: Flask) -> None:
    """Registers login, logout, the commands and the rule that nothing goes without a login."""
    manager = LoginManager(app)
    manager.user_loader(_load_user)
    # "basic" would store a fingerprint of address and browser; addresses change behind a proxy.
    manager.session_protection = None
    app.extensions["login_throttle"] = Throttle(app.config["SECRET_KEY"])
    app.extensions["login_refusals"] = Refusals(_log)
    app.before_request(_require_login)
    app.after_request(_end_with_the_login)
    app.register_blueprint(blueprint)
    app.cli.add_command(attendants_cli)


def _load_user(user_id: str) -> User | None:
    try:
        return attendants.find_user(user_id)
    except datastore.ERRORS:
        if request.endpoint == "auth.login":
            return None  # its page needs no store, and has to tell of one that is down
        raise


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


# --- logging in -----------------------------------------------------------------------------------


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """The login form, and what it sends."""
    if request.method == "POST":
        return _log_in()
    if current_user.is_authenticated:
        return redirect(_target())
    return _form()


def _log_in() -> ResponseReturnValue:
    username = _typed_username()
    throttle: Throttle = current_app.extensions["login_throttle"]
    device = session.get(_DEVICES, {}).get(throttle.mark(username))
    attempt = throttle.attempt(username, request.remote_addr, device)
    # Without a place and without the store: whoever hammers at a closed bucket costs nothing.
    wait = throttle.known_wait(attempt)
    if wait:
        return _refuse(attempt, wait)
    if not _places.acquire(blocking=False):
        _note_refused("no room to check a password")
        text = f"Muita gente está entrando agora. Tente novamente em {in_words(_BUSY_SECONDS)}."
        return _form(text, 503, _BUSY_SECONDS)
    try:
        wait = throttle.take(attempt)
        if wait:
            return _refuse(attempt, wait)
        attendant = datastore.get(Attendant, username) if datastore.is_key_name(username) else None
        expected = attendant.password_hash if attendant is not None else _NOBODY
        right = check_password_hash(expected, request.form.get("password", ""))
        if attendant is not None and right and _enter(username, expected, attempt):
            return redirect(_target())
        throttle.failed(attempt)
    finally:
        _places.release()
    wait = throttle.known_wait(attempt)
    who = "unknown" if attendant is None else f"attendant {username}"
    _log.warning(
        "login failed: name %s (%s) from %s, next try %s",
        *(attempt.name_mark, who, attempt.network, f"in {wait:.0f} s" if wait else "at once"),
    )
    return _form(f"{_WRONG} {_wait_text(wait)}" if wait else _WRONG, 401, wait)


def _enter(username: str, password_hash: str, attempt: Attempt) -> bool:
    """Makes the browser's session one of this attendant; False if they have just changed."""
    throttle: Throttle = current_app.extensions["login_throttle"]
    seconds = current_app.permanent_session_lifetime.total_seconds()

    def begin() -> User | None:
        user = attendants.open_login(username, password_hash, seconds)
        if user is not None:
            throttle.forgive(attempt)
        return user

    user = realtime_events.transaction(begin)
    if user is None:
        return False
    throttle.reopen(attempt)
    if current_user.is_authenticated:
        attendants.close_login(current_user.get_id())  # its cookie is overwritten
    devices = _devices()
    devices.pop(attempt.name_mark, None)
    devices[attempt.name_mark] = secrets.token_urlsafe(9)
    session.clear()
    session.permanent = True
    session[_DEVICES] = dict(list(devices.items())[-_MAX_DEVICES:])
    login_user(user)
    _log.info("login: attendant %s from %s", username, attempt.network)
    return True


def _refuse(attempt: Attempt, wait: float) -> ResponseReturnValue:
    throttle: Throttle = current_app.extensions["login_throttle"]
    _note_refused(f"too many tries by {throttle.reason(attempt)}", wait)
    return _form(f"Foram muitas tentativas. {_wait_text(wait)}", 429, wait)


def _note_refused(why: str, wait: float = _BUSY_SECONDS) -> None:
    refusals: Refusals = current_app.extensions["login_refusals"]
    refusals.note(why, wait)


def _wait_text(wait: float) -> str:
    return f"Tente novamente em {in_words(wait)}."


def _form(problem: str | None = None, status: int = 200, wait: float = 0) -> ResponseReturnValue:
    """The login page, with the name that was typed."""
    page = render_template("chat/login.html", username=_typed_username(), problem=problem)
    headers = {"Retry-After": str(math.ceil(wait))} if wait else {}
    return page, status, headers


def _typed_username() -> str:
    return request.form.get("username", "").strip().lower()[:MAX_USERNAME]


def _devices() -> dict[str, str]:
    return dict(session.get(_DEVICES, {}))


def _target() -> str:
    return safe_target(request.args.get("next"))


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


# --- logging out ----------------------------------------------------------------------------------


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Ends this browser's login: a copy of its cookie is worth nothing any more."""
    return _leave(everywhere=False)


@blueprint.post("/logout/everywhere")
def logout_everywhere() -> ResponseReturnValue:
    """Ends all logins of the attendant, on whatever device."""
    return _leave(everywhere=True)


def _leave(everywhere: bool) -> ResponseReturnValue:
    username, login_id = current_user.username, current_user.get_id()
    ended = True
    try:
        if everywhere:
            attendants.close_all_logins(username)
        else:
            attendants.close_login(login_id)
    except datastore.ERRORS as error:
        ended = False
        _log.error("logout of %s could not be stored: %s", username, type(error).__name__)
    devices = _devices()
    logout_user()
    session.clear()
    session.permanent = True
    session[_DEVICES] = devices
    if not ended:
        # Whoever shares this computer is kept out; of copies of the cookie the person must know.
        flash(
            "Você saiu neste navegador, mas o banco de dados não respondeu. Entre mais tarde e "
            "escolha “Desconectar de todos os aparelhos”."
        )
    elif everywhere:
        seconds = in_words(attendants.CACHE_SECONDS)
        flash(
            f"Você saiu de todos os aparelhos: os outros perdem o acesso em até {seconds}.", "done"
        )
    _log.info("logout: attendant %s%s", username, ", everywhere" if everywhere else "")
    return redirect(url_for("auth.login"))


# --- what goes wrong on the way -------------------------------------------------------------------


@blueprint.errorhandler(CSRFError)
def _stale_token(_error: CSRFError) -> ResponseReturnValue:
    """A form of another tab's time: of before a login or a logout in this browser.

    The token is there so that no other site makes a browser log in or out. The browser itself says
    whose page sent the form, in headers that no page can set: if it was ours, the form counts. A
    browser that does not say gets the form once more, with a token of now. A person who is logged
    in as who they typed has what they wanted.
    """
    if request.endpoint == "auth.login":
        if current_username() == _typed_username():
            return redirect(_target())
        return _log_in() if _is_our_own_page() else _form(_STALE, 400)
    if _is_our_own_page():
        return _leave(everywhere=request.endpoint == "auth.logout_everywhere")
    return redirect(url_for("chat.home"))


def _is_our_own_page() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin") == request.host_url.rstrip("/")


def _store_failed(error: Exception) -> ResponseReturnValue:
    _log.error("the store failed during a login: %s", type(error).__name__)
    return _form(_NO_STORE, 503, _STORE_SECONDS)


for _kind in datastore.ERRORS:
    blueprint.register_error_handler(_kind, _store_failed)


# --- responses that outlast a login ---------------------------------------------------------------


def _end_with_the_login(response: Response) -> Response:
    """An event stream ends with the login that opened it, on whatever instance that was ended.

    Asked before each piece: nothing that a customer writes goes to a login known to be over, and
    the heartbeat is such a piece.
    """
    if response.mimetype == "text/event-stream" and current_user.is_authenticated:
        body: Any = response.response
        response.response = _while_open(body, current_user.get_id())
        if hasattr(body, "close"):
            response.call_on_close(body.close)  # of a stream that was never begun, too
    return response


def _while_open(body: Iterable[bytes], user_id: str) -> Iterator[bytes]:
    for piece in body:
        if not attendants.is_still_open(user_id):
            _log.info("event stream ended with its login: %s", user_id.rpartition(":")[0])
            return
        yield piece

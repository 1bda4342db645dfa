"""The attendants, and which logins of theirs are open.

Every login has an id of its own. The cookie names it and the attendant's entity lists it; what is
not listed is no login. So leaving one browser, leaving all of them, a new password and a removed
attendant are the same thing: ids that are gone. A copied cookie goes with its id.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

from cachetools import LRUCache
from flask_login import UserMixin
from google.cloud import ndb
from werkzeug.security import generate_password_hash

import realtime_events
from chat.platform import datastore

#: How long a process trusts what it knows of a login. Long polling asks every few seconds; a login
#: that was ended on another instance is out after this at the latest.
CACHE_SECONDS = 30.0
#: For an open event stream, which asks when it has something to say, at the latest at its heartbeat
#: (REALTIME_EVENTS_HEARTBEAT_SECONDS, 10): together they stay under CACHE_SECONDS.
STREAM_CACHE_SECONDS = 18.0
#: What one such question may take of a stream's time.
_STREAM_READ_SECONDS = 5.0
MAX_USERNAME = 64
#: An attendant's open logins, some 40 bytes each; the oldest gives way.
MAX_LOGINS = 100


class Attendant(ndb.Model):
    """Somebody who may log in. Key name: the user name, lower case."""

    name = ndb.TextProperty()
    password_hash = ndb.TextProperty()
    created_at = ndb.IntegerProperty(indexed=False)
    #: The open logins, oldest first: "ID ENDS", ENDS in ms since 1970.
    logins = ndb.TextProperty(repeated=True)
    #: Sees what concerns the whole chat: what was set aside (screen/admin.py).
    is_admin = ndb.BooleanProperty(indexed=False, default=False)


class User(UserMixin):
    """A logged-in attendant: no entity, so that it outlives the request that read it."""

    def __init__(self, attendant: Attendant, login_id: str) -> None:
        self.username = str(attendant.key.id())
        self.name = str(attendant.name or self.username)
        self.is_admin = bool(attendant.is_admin)
        self.id = f"{self.username}:{login_id}"


def save_attendant(
    username: str, password: str, name: str | None = None, is_admin: bool | None = None
) -> bool:
    """Adds an attendant, or gives one a new password, which ends the logins made with the old one.

    Whether the password is a good one is for the caller to say (`commands.why_weak`): the logins
    of one machine's trial run are as simple as can be.

    Args:
        username: letters, digits, `.`, `_`, `-`; case does not matter.
        password: any text that is not empty.
        name: as shown; None: as it is, of a new attendant the user name.
        is_admin: whether they administer; None: as it is, of the first attendant True.

    Returns:
        whether they administer.

    Raises:
        ValueError: the user name or the password cannot be used; the text says so in Portuguese.
    """
    username = username.strip().lower()
    plain = username.replace(".", "").replace("_", "").replace("-", "")
    if not plain.isalnum() or not plain.isascii() or len(username) > MAX_USERNAME:
        raise ValueError(
            f"O usuário {username!r} não serve: use até {MAX_USERNAME} letras sem acento, "
            "números, ponto, hífen e sublinhado."
        )
    if not password:
        raise ValueError("A senha está vazia.")
    password_hash = generate_password_hash(password)
    # Somebody has to be able to; whoever sets the chat up is the one who is there.
    is_first = not Attendant.query().fetch(1, keys_only=True)

    def attempt() -> bool:
        known = datastore.get(Attendant, username)
        was_admin = bool(known.is_admin) if known is not None else is_first
        attendant = Attendant(
            id=username,
            name=(name or (known.name if known is not None else None) or username).strip(),
            password_hash=password_hash,
            created_at=_now_ms(),
            is_admin=was_admin if is_admin is None else is_admin,
        )
        attendant.put()
        return bool(attendant.is_admin)

    administers = realtime_events.transaction(attempt)
    forget(username)
    return administers


def set_admin(username: str, is_admin: bool) -> bool:
    """Lets an attendant administer, or no more; their logins stay and learn it within
    `CACHE_SECONDS`. False when there is no such attendant.
    """
    username = username.strip().lower()

    def attempt() -> bool:
        attendant = datastore.get(Attendant, username)
        if attendant is None:
            return False
        attendant.is_admin = is_admin
        attendant.put()
        return True

    found = datastore.is_key_name(username) and realtime_events.transaction(attempt)
    forget(username)
    return found


def remove_attendant(username: str) -> bool:
    """Removes an attendant and with them their logins; False when there is none."""
    username = username.strip().lower()
    if not datastore.is_key_name(username) or datastore.get(Attendant, username) is None:
        return False
    ndb.Key(Attendant, username).delete()
    forget(username)
    return True


# --- logins ---------------------------------------------------------------------------------------


def open_login(username: str, password_hash: str, seconds: float) -> User | None:
    """Begins a login; for use inside a transaction.

    Args:
        username: whose.
        password_hash: the one that the password was checked against.
        seconds: how long it lasts at most.

    Returns:
        The user, or None where attendant or password changed in the meantime.
    """
    attendant = datastore.get(Attendant, username)
    if attendant is None or attendant.password_hash != password_hash:
        return None
    now, login_id = _now_ms(), secrets.token_urlsafe(12)
    kept = [each for each in attendant.logins if _ends(each) > now]
    new = f"{login_id} {now + int(seconds * 1000)}"
    attendant.logins = [*kept, new][-MAX_LOGINS:]
    attendant.put()
    return User(attendant, login_id)


def close_login(user_id: str) -> None:
    """Ends this one login, named as `User.id` names it."""
    username, _, login_id = user_id.rpartition(":")
    _keep_logins(username, lambda each: each.split(" ")[0] != login_id)


def close_all_logins(username: str) -> None:
    """Ends every login of this attendant."""
    _keep_logins(username, lambda _each: False)


def _keep_logins(username: str, wanted: Callable[[str], bool]) -> None:
    def attempt() -> None:
        attendant = datastore.get(Attendant, username)
        if attendant is None:
            return
        kept = [each for each in attendant.logins if wanted(each)]
        if len(kept) < len(attendant.logins):
            attendant.logins = kept
            attendant.put()

    realtime_events.transaction(attempt)
    forget(username)


def _ends(login: str) -> int:
    return int(login.split(" ")[1])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


# --- what this process knows of them --------------------------------------------------------------

_lock = threading.Lock()
#: `User.id` → when the store was asked (monotonic), and the user, None for a login that is none.
_known: LRUCache[str, tuple[float, User | None]] = LRUCache(maxsize=1000)
_forgotten = 0  # how often something was forgotten: a read that began before counts for nothing


def find_user(
    user_id: str, max_age: float = CACHE_SECONDS, seconds: float | None = None
) -> User | None:
    """Whose open login this is, or None.

    Args:
        user_id: as `User.id` gives it.
        max_age: an answer that is so many seconds old will do.
        seconds: what the store may take; None: as long as usual.

    Raises:
        one of `datastore.ERRORS`: the store cannot be asked.
    """
    with _lock:
        asked_at, user = _known.get(user_id, (0.0, None))
        forgotten = _forgotten
    now = _monotonic()
    if asked_at and now - asked_at < max_age:
        return user
    username, _, login_id = user_id.rpartition(":")
    user = None
    if datastore.is_key_name(username):
        limit = datastore.REQUEST_SECONDS if seconds is None else seconds
        with datastore.context(limit):
            attendant = datastore.get(Attendant, username)
        if attendant is not None and _lists(attendant, login_id):
            user = User(attendant, login_id)
    with _lock:
        if forgotten == _forgotten:
            _known[user_id] = (now, user)
    return user


def is_still_open(user_id: str) -> bool:
    """Whether this login goes on; for a response that stays open, outside of any request.

    A store that does not answer ends no stream as long as CACHE_SECONDS allow.
    """
    try:
        return find_user(user_id, STREAM_CACHE_SECONDS, _STREAM_READ_SECONDS) is not None
    except datastore.ERRORS:
        with _lock:
            asked_at, user = _known.get(user_id, (0.0, None))
        return user is not None and _monotonic() - asked_at < CACHE_SECONDS


def forget(username: str) -> None:
    """Drops what this process remembers of an attendant's logins."""
    global _forgotten
    with _lock:
        _forgotten += 1
        for user_id in [key for key in _known if key.rpartition(":")[0] == username]:
            del _known[user_id]


def _lists(attendant: Attendant, login_id: str) -> bool:
    now = _now_ms()
    return any(each.split(" ")[0] == login_id and _ends(each) > now for each in attendant.logins)


def _monotonic() -> float:
    return time.monotonic()

"""Which browsers may be told, and by which logins: a subscription ends with its login."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from google.cloud import ndb

from chat.platform import datastore
from chat.push.settings import PushSettings
from chat.team import attendants

#: Of one attendant; the oldest gives way. A browser has one, and loses it with its data.
MAX_EACH = 10
#: Read to tell of one chat.
MAX_ALL = 500
_MAX_ENDPOINT = 1_000
_POINT_BYTES, _AUTH_BYTES = 65, 16


class PushSubscription(ndb.Model):
    """Where a browser can be told. Key name: a digest of its endpoint, which is a secret: whoever
    knows it can send there.
    """

    username = ndb.StringProperty()
    user_id = ndb.TextProperty()  # `User.id`, of the login that ends it
    endpoint = ndb.TextProperty()
    p256dh = ndb.TextProperty()  # what is sent is encrypted for this public key of the browser's,
    auth = ndb.TextProperty()  # and with this secret
    created_at = ndb.IntegerProperty(indexed=False)


class InvalidSubscriptionError(ValueError):
    """This can be no subscription; the text names the part."""


def save(user_id: str, found: dict[str, Any], settings: PushSettings, now_ms: int) -> None:
    """Keeps a browser's subscription, or gives it to this login, whoever had it before.

    Args:
        user_id: the login's, as `User.id` gives it.
        found: what the browser says: {"endpoint", "keys": {"p256dh", "auth"}}.
        settings: which push services are known.
        now_ms: the present.

    Raises:
        InvalidSubscriptionError: something in it cannot be used.
    """
    endpoint, keys = found.get("endpoint"), found.get("keys")
    if not isinstance(endpoint, str) or len(endpoint) > _MAX_ENDPOINT:
        raise InvalidSubscriptionError("endpoint")
    if not settings.knows(endpoint):
        raise InvalidSubscriptionError("endpoint")
    keys = keys if isinstance(keys, dict) else {}
    point, auth = _bytes(keys.get("p256dh")), _bytes(keys.get("auth"))
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        point = b""
    if len(point) != _POINT_BYTES:
        raise InvalidSubscriptionError("p256dh")
    if len(auth) != _AUTH_BYTES:
        raise InvalidSubscriptionError("auth")
    username = user_id.rpartition(":")[0]
    PushSubscription(
        id=name_of(endpoint),
        username=username,
        user_id=user_id,
        endpoint=endpoint,
        p256dh=keys["p256dh"],
        auth=keys["auth"],
        created_at=now_ms,
    ).put()
    mine = _of(username)
    mine.sort(key=lambda each: (each.created_at or 0, each.key.id()))
    ndb.delete_multi([each.key for each in mine[:-MAX_EACH]])


def remove(username: str, endpoint: str) -> None:
    """Forgets an attendant's subscription; anybody else's stays."""
    found = datastore.get(PushSubscription, name_of(endpoint))
    if found is not None and found.username == username:
        found.key.delete()


def remove_closed(username: str) -> None:
    """Forgets the subscriptions of an attendant's logins that are over."""
    _open_ones(_of(username))


def all_open() -> list[PushSubscription]:
    """The subscriptions of logins that are open; those of others are forgotten."""
    return _open_ones(PushSubscription.query().fetch(MAX_ALL))


def name_of(endpoint: str) -> str:
    """The key name of this endpoint's subscription."""
    return hashlib.sha256(endpoint.encode()).hexdigest()[:40]


def _of(username: str) -> list[PushSubscription]:
    query = PushSubscription.query(PushSubscription.username == username)
    return list(query.fetch(MAX_ALL))


def _open_ones(found: list[PushSubscription]) -> list[PushSubscription]:
    # Not what this process remembers: another may have ended the login a moment ago.
    ids = {each.user_id for each in found}
    logins = {user_id for user_id in ids if attendants.find_user(user_id, max_age=0)}
    ndb.delete_multi([each.key for each in found if each.user_id not in logins])
    return [each for each in found if each.user_id in logins]


def _bytes(value: Any) -> bytes:
    """What base64 for addresses says; nothing for what is none."""
    if not isinstance(value, str) or not value.isascii() or len(value) > 200:
        return b""
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""

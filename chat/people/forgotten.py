"""What was deleted for good, so that WhatsApp's repeats of it do not bring it back.

Meta may deliver a message again for days, and speak of one (a reaction, an edit, a status) for a
month. What is kept of a deleted message for that long says neither what it was nor whose: a digest
of its wamid under a key, which only this application can compare.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from flask import current_app
from google.cloud import ndb

from chat.platform import datastore
from chat.platform.settings import Settings

#: As long as WhatsApp tries to deliver anything.
KEPT_DAYS = 30
_DAY_MS = 86_400_000
_DIGEST_CHARS = 40
_BATCH = 400


class Forgotten(ndb.Model):
    """A message that was deleted. Key name: `digest` of its wamid."""

    expires_at = ndb.IntegerProperty()


def digest(what: str, value: str) -> str:
    """The same text each time for the same value, which nobody without our key can compute.

    Args:
        what: the kind of value, such as "wamid": two kinds never look alike.
        value: what is not to be kept itself.
    """
    settings: Settings = current_app.extensions["chat_settings"]
    key = hmac.digest(settings.secret_key.encode(), b"chat: what was deleted", "sha256")
    text = f"{what}:{value}".encode("utf-8", "replace")
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:_DIGEST_CHARS]


def marks(wamids: Iterable[str], sent_ms: int, now_ms: int) -> list[Forgotten]:
    """What is to be stored with the deletion of a message; nothing for one so old that WhatsApp
    does not speak of it any more.

    Args:
        wamids: those it is known by.
        sent_ms: when it was sent.
        now_ms: the present.
    """
    expires = now_ms + KEPT_DAYS * _DAY_MS
    if sent_ms < now_ms - KEPT_DAYS * _DAY_MS:
        return []
    return [Forgotten(id=digest("wamid", each), expires_at=expires) for each in wamids]


def among(wamids: Iterable[str]) -> set[str]:
    """Those of these wamids whose messages were deleted."""
    names = sorted(set(wamids))
    keys = [ndb.Key(Forgotten, digest("wamid", each)) for each in names]
    found = datastore.get_many(keys)
    return {name for name, mark in zip(names, found, strict=True) if mark is not None}


def any_marks() -> bool:
    """Whether anything was deleted of which WhatsApp may still speak."""
    return bool(Forgotten.query().fetch(1, keys_only=True))


def remove_expired(now_ms: int) -> int:
    """Forgets what WhatsApp speaks of no more; how many of these."""
    keys = Forgotten.query(Forgotten.expires_at <= now_ms).fetch(_BATCH, keys_only=True)
    ndb.delete_multi(keys)
    return len(keys)

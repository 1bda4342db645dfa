"""Whether an attendant has a page that knows of something: the page itself says so.

An open stream would not tell: the connection of a computer that has gone to sleep, or of a tab that
the system has frozen, stays open for a while, and instances do not know of each other's. So a page
says when it is there, and when it hears that a chat needs a person. Who has said so after that
moment, on whatever instance, has it.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.cloud import ndb

from chat.platform import datastore


class PushPresence(ndb.Model):
    """When a page last said that it has all until then. Key name: the attendant's user name."""

    seen_at = ndb.IntegerProperty(indexed=False)


def note(username: str, now_ms: int) -> None:
    """A page of this attendant's has all that was told until now."""
    PushPresence(id=username, seen_at=now_ms).put()


def who_knows(usernames: Iterable[str], at_ms: int) -> set[str]:
    """Those of these attendants who have a page that knows what was told at that time."""
    keys = [ndb.Key(PushPresence, each) for each in set(usernames)]
    found = [each for each in datastore.get_many(keys) if each is not None]
    return {str(each.key.id()) for each in found if each.seen_at >= at_ms}

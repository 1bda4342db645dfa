"""What the team has noted of a customer: one text a chat, which everybody may change."""

from __future__ import annotations

from typing import Any

from google.cloud import ndb

import realtime_events
from chat.conversation.models import Conversation
from chat.platform import datastore
from realtime_events import iso

MAX_CHARS = 4000


class StaleNotesError(ValueError):
    """Somebody has changed them since; `notes` is what they are now."""

    def __init__(self, notes: TeamNotes) -> None:
        super().__init__()
        self.notes = notes


class TeamNotes(ndb.Model):
    """The notes of a chat. Not with the conversation, which is read and told of with every message.
    Key name: the conversation's id.
    """

    text = ndb.TextProperty()
    version = ndb.IntegerProperty(indexed=False, default=0)  # grows with every change
    changed_by = ndb.TextProperty()  # the attendant's name, as shown
    changed_at = ndb.IntegerProperty(indexed=False)


def of(conversation: Conversation) -> TeamNotes:
    """A conversation's notes; empty ones of version 0 where nobody has written any."""
    return datastore.get(TeamNotes, conversation.id) or TeamNotes(id=conversation.id, text="")


def as_json(notes: TeamNotes) -> dict[str, Any]:
    """What the API and the event tell."""
    return {
        "text": notes.text or "",
        "version": notes.version,
        "changed_by": notes.changed_by,
        "changed_at": iso(notes.changed_at),
    }


def change(conversation: Conversation, text: str, version: int, by: str, now_ms: int) -> TeamNotes:
    """Replaces the notes and tells the screens; in a transaction. What they say already, as with a
    repeated request, changes nothing.

    Args:
        conversation: whose.
        text: all of them, at most `MAX_CHARS`.
        version: of what the attendant has changed.
        by: the attendant's name.
        now_ms: when.

    Raises:
        StaleNotesError: that is not what they are now.
    """
    notes = of(conversation)
    if notes.text == text:
        return notes
    if notes.version != version:
        raise StaleNotesError(notes)
    _write(notes, text, by, now_ms)
    return notes


def merge(winner: Conversation, loser: Conversation, now_ms: int) -> None:
    """Joins the notes of two conversations that become one; in a transaction. They may then be
    longer than what can be saved.
    """
    kept, added = of(winner), of(loser)
    if not added.text:
        return
    text = "\n\n".join(dict.fromkeys(filter(None, (kept.text, added.text))))
    newer = max(kept, added, key=lambda each: each.changed_at or 0)
    kept.version = max(kept.version, added.version)
    _write(kept, text, newer.changed_by, newer.changed_at or now_ms)
    added.key.delete()


def _write(notes: TeamNotes, text: str, by: str, at_ms: int) -> None:
    notes.text, notes.version = text, notes.version + 1
    notes.changed_by, notes.changed_at = by, at_ms
    notes.put()
    id_ = str(notes.key.id())
    data = {"conversation_id": id_, "notes": as_json(notes)}
    realtime_events.publish("notes.changed", data, conversation_id=id_)

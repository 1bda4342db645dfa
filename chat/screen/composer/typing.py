"""Who else is writing in a chat: told over the event log alone, and stored with nothing."""

from __future__ import annotations

import threading

from cachetools import TTLCache
from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from flask_login import current_user
from google.cloud import ndb

import realtime_events
from chat.screen.request_parts import conversation_of, key_name

blueprint = Blueprint("typing", __name__)

#: An event costs a write, and another when the log forgets it: of one attendant in one chat there
#: are no more. static/chat/composer/typing.js asks a little less often.
EVERY_SECONDS = 5.0
_told: TTLCache[tuple[str, str, str], bool] = TTLCache(maxsize=10_000, ttl=EVERY_SECONDS)
_lock = threading.Lock()


@blueprint.post("/api/conversations/<conversation_id>/typing")
def typing(conversation_id: str) -> ResponseReturnValue:
    """Tells the other attendants' screens that this one writes; `told` is false when they were told
    a moment ago.
    """
    project = ndb.get_context().client.project
    mine = (project, current_user.username, key_name(conversation_id))
    with _lock:
        if mine in _told:
            return jsonify(told=False)
        _told[mine] = True
    found = conversation_of(conversation_id)
    attendant = {"id": current_user.username, "name": current_user.name}

    def publish() -> None:
        realtime_events.publish(
            "attendant.typing", {"attendant": attendant}, conversation_id=found.id
        )

    realtime_events.transaction(publish)
    return jsonify(told=True)

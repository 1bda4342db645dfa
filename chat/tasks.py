"""The routes that a scheduler and a queue call: what no request of its own finishes."""

from __future__ import annotations

import time

from flask import Blueprint, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from chat.auto_reply import service
from chat.conversation import changing
from chat.incoming import webhook
from chat.media import service as media
from chat.outgoing.reactions import Reactions
from chat.outgoing.sending import Sender
from chat.platform import datastore
from chat.platform.cron import is_cron, is_queue
from chat.push.notices import EXTENSION, PushNotices
from chat.retention import deletion, expiry
from chat.retention.settings import RetentionSettings
from chat.search import backfill
from chat.uploads import staging

blueprint = Blueprint("tasks", __name__)

#: No new work is begun after so long; cron calls again a minute later.
SECONDS = 50.0


@blueprint.before_request
def _guard() -> None:
    queues = {
        service.TASK_PATH: service.settings().queue,
        media.TASK_PATH: media.current().settings.queue,
    }
    if request.path in queues:
        allowed = is_queue(queues[request.path].rpartition("/")[2])
    else:
        allowed = is_cron()
    if not allowed:
        abort(403)


@blueprint.route("/tasks/deferred", methods=["GET", "POST"])
def deferred() -> ResponseReturnValue:
    """Handles what webhook calls had no time for, and changes that waited for their message."""
    done = webhook.work_off_deferred(SECONDS)
    return jsonify(done=done, changes=changing.sweep(time.time_ns() // 1_000_000))


@blueprint.route("/tasks/outbox", methods=["GET", "POST"])
def outbox() -> ResponseReturnValue:
    """Sends what lost processes and an unreachable WhatsApp left behind."""
    sender: Sender = current_app.extensions["chat_sender"]
    reactions: Reactions = current_app.extensions["chat_reactions"]
    end = time.monotonic() + SECONDS
    done = sender.sweep(SECONDS)
    return jsonify(done=done, reactions=reactions.sweep(end - time.monotonic()))


@blueprint.post(service.TASK_PATH)
def reply() -> ResponseReturnValue:
    """Has Claude answer in one conversation, if that is due: what Cloud Tasks calls."""
    conversation_id = _named("conversation_id")
    return jsonify(done=bool(conversation_id) and service.current().run(conversation_id))


@blueprint.route("/tasks/replies", methods=["GET", "POST"])
def replies() -> ResponseReturnValue:
    """Has Claude answer what lost tasks and lost processes left behind."""
    return jsonify(done=service.current().sweep(SECONDS))


@blueprint.post(media.TASK_PATH)
def fetch_media() -> ResponseReturnValue:
    """Fetches a customer's file, if that is due: what Cloud Tasks calls."""
    message_id = _named("message_id")
    return jsonify(done=bool(message_id) and media.current().run(message_id))


@blueprint.route("/tasks/media", methods=["GET", "POST"])
def media_left_behind() -> ResponseReturnValue:
    """Fetches the files that lost tasks, lost processes and an unreachable WhatsApp left behind."""
    return jsonify(done=media.current().sweep(SECONDS))


@blueprint.route("/tasks/search", methods=["GET", "POST"])
def search() -> ResponseReturnValue:
    """Makes some more of what was stored before there was a search findable."""
    return jsonify(done=backfill.run(SECONDS))


@blueprint.route("/tasks/push", methods=["GET", "POST"])
def push() -> ResponseReturnValue:
    """Tells attendants without an open page what lost processes left untold."""
    notices: PushNotices = current_app.extensions[EXTENSION]
    return jsonify(done=notices.sweep(SECONDS))


@blueprint.route("/tasks/retention", methods=["GET", "POST"])
def retention() -> ResponseReturnValue:
    """Goes on with the deletion of customers' data, and deletes what is older than is kept."""
    settings: RetentionSettings = current_app.extensions["chat_retention"]
    end = time.monotonic() + SECONDS
    done = deletion.work_off(SECONDS)
    return jsonify(done=done, expired=expiry.run(settings, end - time.monotonic()))


def _named(field: str) -> str:
    """The name that a task is about; empty where there is none, which no other try could do better:
    the queue must not come again.
    """
    body = request.get_json(silent=True)
    name = body.get(field) if isinstance(body, dict) else None
    return name if isinstance(name, str) and datastore.is_key_name(name) else ""


@blueprint.route("/tasks/uploads", methods=["GET", "POST"])
def uploads() -> ResponseReturnValue:
    """Deletes files that attendants uploaded and did not send for a day."""
    datastore.allow(SECONDS, datastore.RPC_SECONDS)
    return jsonify(done=staging.clean_up(media.current().store, time.time_ns() // 1_000_000))

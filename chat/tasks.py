"""The routes that a scheduler calls: what no request of its own finishes."""

from __future__ import annotations

import time

from flask import Blueprint, abort, current_app, jsonify
from flask.typing import ResponseReturnValue

from chat.conversation import changing
from chat.incoming import webhook
from chat.outgoing.sending import Sender
from chat.platform.cron import is_cron

blueprint = Blueprint("tasks", __name__, url_prefix="/tasks")

#: No new work is begun after so long; cron calls again a minute later.
SECONDS = 50.0


@blueprint.before_request
def _guard() -> None:
    if not is_cron():
        abort(403)


@blueprint.route("/deferred", methods=["GET", "POST"])
def deferred() -> ResponseReturnValue:
    """Handles what webhook calls had no time for, and changes that waited for their message."""
    done = webhook.work_off_deferred(SECONDS)
    return jsonify(done=done, changes=changing.sweep(time.time_ns() // 1_000_000))


@blueprint.route("/outbox", methods=["GET", "POST"])
def outbox() -> ResponseReturnValue:
    """Sends what lost processes and an unreachable WhatsApp left behind."""
    sender: Sender = current_app.extensions["chat_sender"]
    return jsonify(done=sender.sweep(SECONDS))

"""Routes that a scheduler calls, and how it is told from everybody else."""

from __future__ import annotations

import hmac

from flask import Blueprint, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from chat import store, webhook
from chat.sending import Sender
from chat.settings import Settings

blueprint = Blueprint("tasks", __name__, url_prefix="/tasks")

#: No new work is begun after so long; cron calls again a minute later.
SECONDS = 50.0
#: Over the largest REALTIME_EVENTS_CLEANUP_SECONDS, and under App Engine's limit of ten minutes.
CLEAN_UP_SECONDS = 550.0


def is_cron() -> bool:
    """Whether the scheduler made this request.

    App Engine strips `X-Appengine-Cron` from requests from outside; elsewhere anybody can send it,
    so there a shared secret counts.
    """
    settings: Settings = current_app.extensions["chat_settings"]
    if settings.production:
        return request.headers.get("X-Appengine-Cron") == "true"
    given = request.headers.get("X-Cron-Secret", "")
    secret = settings.cron_secret
    return bool(secret) and hmac.compare_digest(secret.encode(), given.encode())


def may_clean_up() -> bool:
    """`is_cron` for the clean-up of events, which has a time budget of its own.

    A request's budget for the store is shorter: it would end in a 503 what is to end in "more".
    """
    if not is_cron():
        return False
    store.allow(CLEAN_UP_SECONDS, store.RPC_SECONDS)
    return True


@blueprint.before_request
def _guard() -> None:
    if not is_cron():
        abort(403)


@blueprint.route("/deferred", methods=["GET", "POST"])
def deferred() -> ResponseReturnValue:
    """Handles what webhook calls had no time for."""
    return jsonify(done=webhook.work_off_deferred(SECONDS))


@blueprint.route("/outbox", methods=["GET", "POST"])
def outbox() -> ResponseReturnValue:
    """Sends what lost processes and an unreachable WhatsApp left behind."""
    sender: Sender = current_app.extensions["chat_sender"]
    return jsonify(done=sender.sweep(SECONDS))

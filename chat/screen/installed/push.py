"""What a page says about notifications with the browser closed."""

from __future__ import annotations

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from flask_login import current_user

import realtime_events
from chat.platform.errors import ApiError
from chat.push import presence, subscriptions
from chat.push.notices import EXTENSION, PushNotices
from chat.push.settings import PushSettings
from chat.push.subscriptions import InvalidSubscriptionError
from chat.screen.request_parts import json_body

blueprint = Blueprint("push", __name__, url_prefix="/api/push")


@blueprint.post("/subscriptions")
def subscribe() -> ResponseReturnValue:
    """This login's browser may be told: {endpoint, keys: {p256dh, auth}}, as the browser has it."""
    body, now = json_body(), realtime_events.now_ms()
    if not _settings().enabled:
        message = "As notificações com o navegador fechado estão desligadas."
        raise ApiError(409, "push_off", message)
    try:
        subscriptions.save(current_user.get_id(), body, _settings(), now)
    except InvalidSubscriptionError as error:
        message = "O serviço de notificações deste navegador não é aceito aqui."
        raise ApiError(422, "invalid", message, str(error)) from error
    return jsonify(subscribed=True), 201


@blueprint.post("/subscriptions/remove")
def unsubscribe() -> ResponseReturnValue:
    """This browser is not to be told any more: {endpoint}."""
    endpoint = json_body().get("endpoint")
    if not isinstance(endpoint, str):
        raise ApiError(422, "invalid", "Diga qual navegador.", "endpoint")
    subscriptions.remove(current_user.username, endpoint)
    return jsonify(subscribed=False)


@blueprint.post("/here")
def here() -> ResponseReturnValue:
    """A page of this attendant's is open, and knows all that was told until now."""
    presence.note(current_user.username, realtime_events.now_ms())
    return jsonify(here=True)


def _settings() -> PushSettings:
    notices: PushNotices = current_app.extensions[EXTENSION]
    return notices.settings

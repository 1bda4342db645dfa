"""How the scheduler and the queue are told from everybody else."""

from __future__ import annotations

import hmac

from flask import current_app, request

from chat.platform import datastore
from chat.platform.settings import Settings

#: Over the largest REALTIME_EVENTS_CLEANUP_SECONDS, and under App Engine's limit of ten minutes.
CLEAN_UP_SECONDS = 550.0


def is_cron() -> bool:
    """Whether the scheduler made this request.

    App Engine strips `X-Appengine-Cron` from requests from outside; elsewhere anybody can send it,
    so there a shared secret counts.
    """
    if _settings().production:
        return request.headers.get("X-Appengine-Cron") == "true"
    return _knows_the_secret()


def is_queue(name: str) -> bool:
    """Whether Cloud Tasks made this request, for its queue of this name; see `is_cron`."""
    if _settings().production:
        return bool(name) and request.headers.get("X-AppEngine-QueueName") == name
    return _knows_the_secret()


def _settings() -> Settings:
    settings: Settings = current_app.extensions["chat_settings"]
    return settings


def _knows_the_secret() -> bool:
    given = request.headers.get("X-Cron-Secret", "")
    secret = _settings().cron_secret
    return bool(secret) and hmac.compare_digest(secret.encode(), given.encode())


def may_clean_up() -> bool:
    """`is_cron` for the clean-up of events, which has a time budget of its own.

    A request's budget for the store is shorter: it would end in a 503 what is to end in "more".
    """
    if not is_cron():
        return False
    datastore.allow(CLEAN_UP_SECONDS, datastore.RPC_SECONDS)
    return True

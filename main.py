"""Wires the chat and the modules together: the application that a WSGI server runs."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import Any

from flask import Flask, Response
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

import message_status
import realtime_events
import unread_state
from chat import tasks
from chat.auto_reply import service
from chat.conversation.models import Conversation, Message
from chat.incoming import webhook
from chat.media import service as media
from chat.outgoing.reactions import Reactions
from chat.outgoing.read_receipts import ReadReceipts
from chat.outgoing.sending import Sender
from chat.outgoing.template_list import TemplateList
from chat.outgoing.whatsapp import WhatsAppClient
from chat.people import identity
from chat.platform import assets, cron, datastore, errors, health
from chat.platform.settings import Settings, told_in_one_line
from chat.push import notices
from chat.retention.settings import RetentionSettings
from chat.screen import (
    admin,
    api,
    claude,
    claude_usage,
    freshness,
    organizing,
    search,
    templates,
)
from chat.screen.actions import pinned_messages, reactions
from chat.screen.composer import attachments, quick_replies, sending, typing
from chat.screen.installed import push, worker
from chat.screen.media import serving
from chat.screen.retention import browser
from chat.screen.retention import pages as retention
from chat.team import auth

#: JSON and forms; the webhook allows itself more.
MAX_BODY_BYTES = 256 * 1024


def create_app(config: dict[str, Any] | None = None) -> Flask:
    """Makes the application.

    Args:
        config: settings that override the environment's.

    Raises:
        chat.platform.settings.SettingsError: a setting cannot work; the text names key and value.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    app = Flask(__name__, static_url_path=assets.url_path())
    environ = {**os.environ, **(config or {})}
    settings = Settings.from_env(environ)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        SESSION_COOKIE_NAME="chat_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.production,
        PERMANENT_SESSION_LIFETIME=timedelta(days=30),
        # A cookie with every poll would be noise, and the session says nothing new.
        SESSION_REFRESH_EACH_REQUEST=False,
        # A page stays open for days; the token ends with the session.
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.config.update(config or {})
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.extensions["chat_settings"] = settings
    whatsapp = WhatsAppClient(settings)
    sender = Sender(settings, whatsapp, lambda: media.current().store)
    app.extensions["chat_sender"] = sender
    sender.init_app(app)
    app.extensions["chat_reactions"] = Reactions(whatsapp)
    app.extensions["chat_templates"] = TemplateList(settings, whatsapp)
    media.init_app(app, environ)
    service.init_app(app, sender, whatsapp, environ)
    notices.init_app(app, environ)
    app.extensions["chat_retention"] = RetentionSettings.from_env(environ)

    assets.init_app(app, production=settings.production)
    errors.init_app(app)
    # Before the CSRF check: who has no login is told that, not that a token is missing.
    auth.init_app(app)
    attachments.init_app(app)
    csrf = CSRFProtect(app)
    csrf.exempt(webhook.blueprint)  # signed by Meta
    csrf.exempt(tasks.blueprint)  # guarded by `cron.is_cron`
    own = (api, search, organizing, templates, claude, serving, browser)
    actions, writing = (reactions, pinned_messages), (sending, attachments, quick_replies, typing)
    pages = (admin, retention, claude_usage, freshness)
    for room in (*own, *actions, *writing, *pages, worker, push, webhook, tasks, health):
        app.register_blueprint(room.blueprint)
    app.register_blueprint(freshness.pages)
    realtime_events.init_app(
        app,
        datastore,
        current_user_id=auth.current_username,
        is_cron=cron.may_clean_up,
    )
    unread_state.init_app(
        app,
        Conversation,
        Message,
        find_conversation=identity.load_conversation,
        find_message=identity.message_of,
        send_receipt=ReadReceipts(whatsapp).send,
    )
    message_status.init_app(app, Message, send=sending.after_resend, resend=sending.resend)
    app.after_request(_harden)
    app.wsgi_app = datastore.Middleware(app.wsgi_app)  # type: ignore[method-assign]
    if settings.production:
        # App Engine's front end is the one proxy that sets these.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    return app


def _harden(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("X-Frame-Options", "DENY")
    if response.mimetype == "text/html":
        headers.setdefault(
            "Content-Security-Policy",
            "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
            "style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
            "frame-ancestors 'none'",
        )
    if response.mimetype in ("text/html", "application/json"):
        headers.setdefault("Cache-Control", "no-store")
    return response


with told_in_one_line():
    app = create_app()

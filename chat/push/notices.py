"""Tells attendants without an open page of a chat that needs a person: once, after the commit."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Flask
from flask_login import user_logged_out
from google.cloud import ndb

import realtime_events
from chat.conversation.models import INCOMING, Conversation
from chat.conversation.serializers import display_name
from chat.people import identity
from chat.platform import datastore
from chat.platform.queue import ThreadQueue
from chat.push import presence, subscriptions
from chat.push.commands import push_cli
from chat.push.delivery import GONE, LATER, SENT, Outcome, PushClient
from chat.push.settings import PushSettings
from chat.push.subscriptions import PushSubscription

_log = logging.getLogger(__name__)

EXTENSION = "chat_push"
#: Who needs a person for longer than this is in the list for everybody to see.
_NEWS_MS = 15 * 60_000
#: The sweep leaves to the queue what is overdue by less.
_GRACE_MS = 5_000
_SWEEP_LIMIT = 200
#: Threads that send, of one chat.
_SENDERS = 8
_TRIES = 3
#: What telling of one chat may spend on the store.
_STORE_SECONDS = 120.0
_MAX_NAME, _MAX_BODY = 80, 300
#: A claim is of use as long as its news is any.
_KEPT_MS = 2 * _NEWS_MS


class PushNotice(ndb.Model):
    """That attendants were told, or are being told, of a chat. Key name: the conversation's id."""

    needed_at = ndb.IntegerProperty(indexed=False)  # the `needs_you_at` that they were told of
    expires_at = ndb.IntegerProperty()


class PushNotices:
    """Web Push of one application."""

    def __init__(self, app: Flask, settings: PushSettings) -> None:
        self._app = app
        self.settings = settings
        self._client = PushClient(settings)
        self._queue = ThreadQueue(self._work, workers=2, thread_name="push")
        self.pause: Callable[[float], None] = time.sleep

    def heard(self, conversation_id: str, needed_at: int) -> None:
        """A conversation that needs a person since then was stored. Called in commits, so it raises
        nothing; a process that ends before it tells leaves that to the sweep.
        """
        if realtime_events.now_ms() - needed_at > _NEWS_MS:
            return
        try:
            self._queue.put(conversation_id, needed_at + self._delay_ms)
        except Exception as error:  # noqa: BLE001 - the commit is done
            _log.warning("conversation %s: no push: %s", conversation_id, type(error).__name__)

    def tell(self, conversation_id: str) -> int:
        """Tells of a chat whoever has no page that knows it, if that is due and was not done.

        Returns:
            how many browsers were told.
        """
        conversation, now = identity.load_conversation(conversation_id), realtime_events.now_ms()
        if conversation is None or not self._is_due(conversation, now):
            return 0
        known = subscriptions.all_open()
        if not known or not realtime_events.transaction(lambda: _claim(conversation, now)):
            return 0
        at = conversation.needs_you_at
        knowing = presence.who_knows((each.username for each in known), at)
        targets = [each for each in known if each.username not in knowing]
        sent = self._send(targets, self._payload(conversation), _topic(conversation.id))
        _log.info("conversation %s needs a person: %d pushes", conversation.id, sent)
        return sent

    def sweep(self, seconds: float) -> int:
        """Tells what lost processes left behind.

        Args:
            seconds: nothing new is begun after so long.

        Returns:
            how many browsers were told.
        """
        end, now, done = time.monotonic() + seconds, realtime_events.now_ms(), 0
        expired = PushNotice.query(PushNotice.expires_at <= now).fetch(500, keys_only=True)
        ndb.delete_multi(expired)
        if not self.settings.enabled or not PushSubscription.query().fetch(1, keys_only=True):
            return 0
        datastore.allow(seconds + _STORE_SECONDS, datastore.RPC_SECONDS)
        query = Conversation.query(Conversation.needs_you == True)  # noqa: E712 - a filter, not a test
        for each in query.fetch(_SWEEP_LIMIT):
            if time.monotonic() > end:
                break
            if self._is_due(each, now - _GRACE_MS):
                done += self.tell(each.id)
        return done

    @property
    def _delay_ms(self) -> int:
        return int(self.settings.delay_seconds * 1000)

    def _is_due(self, conversation: Conversation, now: int) -> bool:
        at = conversation.needs_you_at or 0
        return bool(conversation.needs_you) and at + self._delay_ms <= now < at + _NEWS_MS

    def _work(self, conversation_id: str) -> None:
        """In a thread: a failure has nobody else to be told to, and the sweep comes by."""
        try:
            with self._app.app_context(), datastore.context(seconds=_STORE_SECONDS):
                self.tell(conversation_id)
        except datastore.ERRORS as error:
            _log.warning("conversation %s: push waits: %s", conversation_id, type(error).__name__)
        except Exception:  # noqa: BLE001
            _log.exception("conversation %s: no push", conversation_id)

    def _payload(self, conversation: Conversation) -> dict[str, Any]:
        name = display_name(conversation)[:_MAX_NAME]
        lines = [conversation.needs_you_reason or ""]
        if self.settings.message_text and conversation.last_direction == INCOMING:
            lines.append(f"“{conversation.last_text or ''}”")
        return {
            "conversation_id": conversation.id,
            "title": f"A conversa com {name} precisa de você",
            "body": "\n".join(lines)[:_MAX_BODY],
        }

    def _send(self, targets: list[PushSubscription], payload: dict[str, Any], topic: str) -> int:
        sent = 0

        def send(one: PushSubscription) -> Outcome:
            keys = {"p256dh": one.p256dh, "auth": one.auth}
            return self._client.send({"endpoint": one.endpoint, "keys": keys}, payload, topic)

        for tried in range(1, _TRIES + 1):
            with ThreadPoolExecutor(min(_SENDERS, len(targets)) or 1) as pool:
                outcomes = list(zip(targets, pool.map(send, targets), strict=True))
            sent += sum(outcome.kind == SENT for _, outcome in outcomes)
            ndb.delete_multi([one.key for one, outcome in outcomes if outcome.kind == GONE])
            again = [(one, outcome.wait) for one, outcome in outcomes if outcome.kind == LATER]
            if not again or tried == _TRIES:
                break
            targets = [one for one, _ in again]
            self.pause(max(wait for _, wait in again))
        return sent


def _claim(conversation: Conversation, now: int) -> bool:
    """Whether to tell of it is ours, in a transaction: of two that try, one does."""
    ids = [conversation.id, *conversation.absorbed]
    found = datastore.get_many([ndb.Key(PushNotice, each) for each in ids])
    at = conversation.needs_you_at
    if any(each is not None and each.needed_at >= at for each in found):
        return False
    PushNotice(id=conversation.id, needed_at=at, expires_at=now + _KEPT_MS).put()
    return True


def _topic(conversation_id: str) -> str:
    digest = hashlib.sha256(conversation_id.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:32]


def init_app(app: Flask, environ: Mapping[str, Any]) -> None:
    """Registers Web Push, if the settings have keys, and its command.

    Raises:
        chat.platform.settings.SettingsError: a setting cannot work; the text names key and value.
    """
    settings = PushSettings.from_env(environ)
    notices = app.extensions[EXTENSION] = PushNotices(app, settings)
    app.cli.add_command(push_cli)
    app.context_processor(lambda: {"push_key": settings.public_key})
    Conversation.on_needed = notices.heard if settings.enabled else None

    def forget_closed(_app: Flask, user: Any) -> None:
        try:
            subscriptions.remove_closed(user.username)
        except datastore.ERRORS as error:
            # The login is over, and without it nobody is told.
            _log.warning("subscriptions of %s stay: %s", user.username, type(error).__name__)

    user_logged_out.connect(forget_closed, app, weak=False)

"""Claude in one application: its settings, queue and worker, put together."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app

import realtime_events
from chat.auto_reply.messages_api import MessagesClient
from chat.auto_reply.settings import AutoReplySettings
from chat.auto_reply.worker import Worker
from chat.conversation.models import Conversation
from chat.outgoing.sending import CALL_SECONDS, Sender
from chat.outgoing.whatsapp import WhatsAppClient
from chat.platform import datastore
from chat.platform.queue import CloudTasksQueue, TaskQueue, ThreadQueue, work_off

_log = logging.getLogger(__name__)

_EXTENSION = "auto_reply"
#: The route that Cloud Tasks calls, in `chat/tasks.py`.
TASK_PATH = "/tasks/reply"
#: Answers that one process writes at the same time; each waits for Claude nearly all its time.
WORKERS = 8
#: Questions that are overdue so little have their task coming.
_OVERDUE_MS = 5_000
#: Looked at in one sweep, and how many of them at the same time.
_SWEEP_LIMIT = 100
_SWEEPERS = 8
#: What one answer may spend on the store, beside Claude's own time.
_STORE_SECONDS = 60.0


class AutoReply:
    """What an application needs to have Claude answer."""

    def __init__(
        self, app: Flask, settings: AutoReplySettings, sender: Sender, whatsapp: WhatsAppClient
    ) -> None:
        self._app = app
        self.settings = settings
        self._api = MessagesClient(settings)
        files = app.extensions["media"]
        self.worker = Worker(
            settings, self._api, whatsapp, self.wake, sender.start, lambda: files.store
        )
        self.queue: TaskQueue = ThreadQueue(self._work, workers=WORKERS, thread_name="auto-reply")
        project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
        if app.extensions["chat_settings"].production and settings.queue and project:
            self.queue = CloudTasksQueue(
                project, *settings.queue.split("/"), path=TASK_PATH, field="conversation_id"
            )

    def wake(self, asked: Mapping[str, int], deadline: float | None = None) -> None:
        """Puts questions into the queue, after their commit. Those that do not get in are found by
        the sweep.

        Args:
            asked: when each conversation is due, ms since 1970.
            deadline: by `time.monotonic()`; None: no limit.
        """
        self._api.warm_up()
        for conversation_id, due in asked.items():
            if deadline is not None and time.monotonic() > deadline:
                _log.warning("no time to queue all questions: the sweep finds them")
                return
            try:
                self.queue.put(conversation_id, due)
            except Exception as error:  # noqa: BLE001 - the question itself is safe
                _log.warning(
                    "conversation %s not queued: %s", conversation_id, type(error).__name__
                )

    def run(self, conversation_id: str) -> bool:
        """See `Worker.run`; for a task's request."""
        datastore.allow(self.seconds(), datastore.RPC_SECONDS)
        return self.worker.run(conversation_id)

    def sweep(self, seconds: float) -> int:
        """Answers what lost tasks and lost processes left behind.

        Args:
            seconds: no answer is begun after so long.

        Returns:
            how many conversations were looked at.
        """
        end = time.monotonic() + seconds
        datastore.allow(seconds + self.seconds(), datastore.RPC_SECONDS)
        due = Conversation.reply_due_at
        # From 1 on: None sorts before all numbers, and is what nearly all have.
        query = Conversation.query(due > 0, due <= realtime_events.now_ms() - _OVERDUE_MS)
        keys = query.order(due).fetch(_SWEEP_LIMIT, keys_only=True)
        waiting = [str(key.id()) for key in keys]
        return work_off(
            waiting, self._work, workers=_SWEEPERS, end=end, thread_name="auto-reply-sweep"
        )

    def seconds(self) -> float:
        return self.settings.timeout_seconds + _STORE_SECONDS + CALL_SECONDS

    def _work(self, conversation_id: str) -> None:
        """In a thread: a failure has nobody else to be told to, and the sweep comes again."""
        try:
            with self._app.app_context(), datastore.context(seconds=self.seconds()):
                self.worker.run(conversation_id)
        except datastore.ERRORS as error:
            _log.warning("conversation %s waits: %s", conversation_id, type(error).__name__)
        except Exception:  # noqa: BLE001
            _log.exception("conversation %s waits for the sweep", conversation_id)


def init_app(
    app: Flask, sender: Sender, whatsapp: WhatsAppClient, environ: Mapping[str, Any]
) -> None:
    """Makes the application's `AutoReply`.

    Raises:
        chat.platform.settings.SettingsError: a setting cannot work; the text names key and value.
    """
    settings = AutoReplySettings.from_env(environ)
    app.extensions[_EXTENSION] = AutoReply(app, settings, sender, whatsapp)


def current() -> AutoReply:
    """The application's."""
    found: AutoReply = current_app.extensions[_EXTENSION]
    return found


def settings() -> AutoReplySettings:
    """The application's settings for Claude."""
    return current().settings


def wake(asked: Mapping[str, int], deadline: float | None = None) -> None:
    """See `AutoReply.wake`."""
    if asked:
        current().wake(asked, deadline)

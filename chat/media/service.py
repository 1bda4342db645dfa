"""The files of one application: where they are kept, and who fetches them."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask, current_app

import realtime_events
from chat.media.bucket import BucketStore
from chat.media.earlier import Earlier
from chat.media.fetching import DOWNLOAD_SECONDS, STORE_SECONDS, Fetcher
from chat.media.graph import GraphMedia
from chat.media.settings import MediaSettings
from chat.media.store import FolderStore, MediaStore
from chat.platform import datastore
from chat.platform.log_names import log_name
from chat.platform.queue import CloudTasksQueue, TaskQueue, ThreadQueue, work_off

_log = logging.getLogger(__name__)

_EXTENSION = "media"
#: The route that Cloud Tasks calls, in `chat/tasks.py`.
TASK_PATH = "/tasks/media/fetch"
#: Files that one process fetches at the same time.
WORKERS = 4
_SECONDS = DOWNLOAD_SECONDS + STORE_SECONDS


class Media:
    """What an application needs to have files."""

    def __init__(self, app: Flask, settings: MediaSettings) -> None:
        self._app = app
        self.settings = settings
        self._store: MediaStore | None = None
        self._lock = threading.Lock()
        self._earlier = Earlier()
        chat = app.extensions["chat_settings"]
        self.fetcher = Fetcher(GraphMedia(chat), lambda: self.store, self._again)
        self.queue: TaskQueue = ThreadQueue(self._work, workers=WORKERS, thread_name="media")
        project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
        if chat.production and settings.queue and project:
            self.queue = CloudTasksQueue(
                project, *settings.queue.split("/"), path=TASK_PATH, field="message_id"
            )

    @property
    def store(self) -> MediaStore:
        """Where the files are; made at first use."""
        with self._lock:
            if self._store is None:
                self._store = self._open()
            return self._store

    def wake(self, message_ids: Iterable[str], deadline: float | None = None) -> None:
        """Has these messages' files fetched, after the commit that wants them. Those that do not
        get into the queue are found by the sweep.

        Args:
            message_ids: whose.
            deadline: by `time.monotonic()`; None: no limit.
        """
        now = realtime_events.now_ms()
        for message_id in message_ids:
            if deadline is not None and time.monotonic() > deadline:
                _log.warning("no time to queue all files: the sweep finds them")
                return
            self._again(message_id, now)

    def run(self, message_id: str) -> bool:
        """See `Fetcher.run`; for a task's request."""
        datastore.allow(_SECONDS, datastore.RPC_SECONDS)
        return self.fetcher.run(message_id)

    def sweep(self, seconds: float) -> int:
        """Fetches what lost tasks and lost processes left behind.

        Args:
            seconds: no file is begun after so long.

        Returns:
            how many were tried.
        """
        end = time.monotonic() + seconds
        datastore.allow(seconds + _SECONDS, datastore.RPC_SECONDS)
        self._earlier.run(seconds / 2)
        return work_off(
            self.fetcher.overdue(), self._work, workers=WORKERS, end=end, thread_name="media-sweep"
        )

    def _again(self, message_id: str, due_ms: int) -> None:
        try:
            self.queue.put(message_id, due_ms)
        except Exception as error:  # noqa: BLE001 - it stands in the store that it is due
            _log.warning("file of %s not queued: %s", log_name(message_id), type(error).__name__)

    def _work(self, message_id: str) -> None:
        """In a thread: a failure has nobody else to be told to, and the sweep comes again."""
        name = log_name(message_id)
        try:
            with self._app.app_context(), datastore.context(seconds=_SECONDS):
                self.fetcher.run(message_id)
        except datastore.ERRORS as error:
            _log.warning("file of message %s waits: %s", name, type(error).__name__)
        except Exception as error:  # noqa: BLE001
            _log.exception("file of message %s waits for the sweep: %s", name, type(error).__name__)

    def _open(self) -> MediaStore:
        if self.settings.bucket:
            return BucketStore(self.settings.bucket)
        folder = self.settings.folder
        if not folder:
            folder = tempfile.mkdtemp(prefix="chat-media-")
            _log.warning("neither MEDIA_BUCKET nor MEDIA_FOLDER is set: files are in %s", folder)
        return FolderStore(folder)


def init_app(app: Flask, environ: Mapping[str, Any]) -> None:
    """Makes the application's `Media`.

    Raises:
        chat.platform.settings.SettingsError: a setting cannot work; the text names key and value.
    """
    production = app.extensions["chat_settings"].production
    app.extensions[_EXTENSION] = Media(app, MediaSettings.from_env(environ, production=production))


def current() -> Media:
    """The application's."""
    found: Media = current_app.extensions[_EXTENSION]
    return found


def wake(message_ids: Iterable[str], deadline: float | None = None) -> None:
    """See `Media.wake`."""
    if waiting := list(message_ids):
        current().wake(waiting, deadline)

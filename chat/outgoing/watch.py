"""Has a process look for what another one has left, within seconds and not at the next cron run.

On App Engine a thread may be frozen between requests; every open page keeps one under way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from flask import Flask, request

from chat.platform import datastore

_log = logging.getLogger(__name__)

#: How often a process looks, while anything is going on.
WATCH_SECONDS = 0.6
#: The longest pause between looks, when one after the other fails.
MAX_PAUSE_SECONDS = 6.0
#: Something is going on for so long after a POST, and after the start of a process, which may have
#: come for one that is gone.
AWAKE_SECONDS = 120.0


class Watch:
    """The looks of one application."""

    def __init__(self, look: Callable[[], float], closing: Callable[[], bool]) -> None:
        """`look()` starts what is due, within a context of the store, and returns the seconds to
        the next look; once `closing()`, there is none.
        """
        self._look = look
        self._closing = closing
        self._lock = threading.Lock()
        self._awake_until: float | None = None  # None: no request has come yet
        self._watching = False

    def init_app(self, app: Flask) -> None:
        """Looks while requests come."""

        @app.before_request
        def stay_awake() -> None:
            first = self._awake_until is None
            if (request.method == "POST" or first) and not app.testing:
                self.stay_awake(app)

    def stay_awake(self, app: Flask) -> None:
        """Looks for `AWAKE_SECONDS` from now."""
        with self._lock:
            self._awake_until = time.monotonic() + AWAKE_SECONDS
            if self._watching:
                return
            self._watching = True
        threading.Thread(target=self._watch, args=[app], daemon=True, name="outboxes").start()

    def _watch(self, app: Flask) -> None:
        pause = 0.0
        failed = 0
        while True:
            time.sleep(pause)
            with self._lock:
                if time.monotonic() > (self._awake_until or 0.0) or self._closing():
                    self._watching = False
                    return
            try:
                with app.app_context(), datastore.context(seconds=3.0, rpc_seconds=1.0):
                    pause = self._look()
                failed = 0
                continue
            except datastore.ERRORS as error:
                _log.warning("outboxes are not watched: %s", type(error).__name__)
            except Exception:  # noqa: BLE001 - the thread must live: nobody would start another
                _log.exception("outboxes are not watched")
            # One slow call of a busy store must not cost seconds.
            pause = min(WATCH_SECONDS * 2**failed, MAX_PAUSE_SECONDS)
            failed += 1

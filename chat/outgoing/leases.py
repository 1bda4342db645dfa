"""Who sends a conversation's messages right now, and how long others wait before they take over.

A lease is short, so that a process that dies in a slow call of the Graph API holds its customer for
some two seconds and not for as long as such a call may take; while a call lasts, a thread renews
its lease. A quick call, as most are, costs no renewal.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from chat.platform import datastore

_log = logging.getLogger(__name__)

#: Another process takes over when a lease has not been renewed for so long.
LEASE_MS = 2_000
#: How often the leases of calls under way are renewed; three chances within a lease.
RENEW_SECONDS = 0.6
#: What the calls about to end are given at a shutdown, of App Engine's two seconds.
GRACE_SECONDS = 0.5


class Leases:
    """The leases that this process holds. Safe for many threads."""

    def __init__(self, renew: Callable[[str, str, int], None]) -> None:
        """`renew(outbox, holder, milliseconds)` gives a lease so much more time, if it is still
        that holder's; 0 gives it back.
        """
        self._renew = renew
        self._held: dict[str, tuple[str, float]] = {}  # outbox → holder, since when (monotonic)
        self._changed = threading.Condition()
        self._keeping = False
        self.closing = False

    @contextmanager
    def held(self, outbox: str, holder: str) -> Iterator[None]:
        """While a call for this outbox is under way."""
        with self._changed:
            self._held[outbox] = holder, time.monotonic()
            if not self._keeping and not self.closing:
                self._keeping = True
                threading.Thread(target=self._keep, daemon=True, name="leases").start()
        try:
            yield
        finally:
            with self._changed:
                self._held.pop(outbox, None)
                self._changed.notify_all()

    def give_back(self) -> None:
        """At a shutdown: whoever comes next need not wait for these leases to run out."""
        with self._changed:
            self.closing = True
            self._changed.wait_for(lambda: not self._held, GRACE_SECONDS)
            left = {outbox: holder for outbox, (holder, _) in self._held.items()}
        for outbox, holder in left.items():
            self._quietly(outbox, holder, 0)

    def _keep(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self.closing, RENEW_SECONDS)
                if self.closing or not self._held:
                    self._keeping = False
                    return
                began = time.monotonic() - RENEW_SECONDS / 2
                due = [(o, holder) for o, (holder, since) in self._held.items() if since < began]
            for outbox, holder in due:
                self._quietly(outbox, holder, LEASE_MS)

    def _quietly(self, outbox: str, holder: str, milliseconds: int) -> None:
        try:
            with datastore.context(seconds=2.0, rpc_seconds=1.0):
                self._renew(outbox, holder, milliseconds)
        except datastore.ERRORS as error:
            # Whoever takes over meanwhile sends nothing twice: this message was begun.
            _log.warning("a lease was not renewed: %s", type(error).__name__)
        except Exception:  # noqa: BLE001 - the others are to be renewed, and this one again
            _log.exception("a lease was not renewed")

"""Webhooks on their way: the switches' faults, the signature, and retries until 200.

Meta delivers at least once, unordered and concurrently, and retries whatever is not 200 with
decreasing frequency for up to seven days.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from local.simulator.payloads import MAX_UPDATES, Metadata, Update, encode, envelope, sign
from local.simulator.switches import Switches
from local.simulator.timers import Clockwork

__all__ = ["Deliveries", "RetryPolicy"]

_log = logging.getLogger(__name__)

REORDER_WAIT_SECONDS = 1.0  # a shuffled window that does not fill leaves all the same
REMEMBERED_POSTS = 100  # how many of the last POSTs `GET /deliveries` tells of


@dataclass(frozen=True)
class RetryPolicy:
    """Seconds, all of them."""

    first: float = 0.5
    cap: float = 60.0
    give_up_after: float = 7 * 86_400.0
    timeout: float = 20.0

    def delay(self, attempts: int) -> float:
        """How long to wait after so many failed attempts: doubles up to the cap."""
        return min(self.cap, self.first * 2.0 ** min(attempts - 1, 60))


@dataclass
class _Post:
    number: int
    body: bytes
    updates: tuple[Update, ...]
    created: float
    attempts: int = 0
    answer: int | str | None = None  # the last HTTP status, or what went wrong
    state: str = "pending"

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.number,
            "state": self.state,
            "attempts": self.attempts,
            "last_status": self.answer,
            "updates": len(self.updates),
            "message_ids": [update.message_id for update in self.updates[:10]],
        }


class Deliveries:
    """Everything between an update and the business's 200."""

    def __init__(
        self,
        *,
        webhook_url: str | None,
        app_secret: str,
        metadata: Metadata,
        switches: Switches,
        timers: Clockwork,
        policy: RetryPolicy,
        on_acknowledged: Callable[[Sequence[Update]], None],
    ):
        self.webhook_url = webhook_url
        self._app_secret = app_secret
        self._metadata = metadata
        self._switches = switches
        self._timers = timers
        self._policy = policy
        self._on_acknowledged = on_acknowledged
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._pending = 0
        self._unanswered = 0
        self._number = 0
        self._generation = 0
        self._held: list[Update] = []  # while paused
        self._window: list[Update] = []  # to be shuffled
        self._batch: list[Update] = []  # to leave together
        self._recent: deque[_Post] = deque(maxlen=REMEMBERED_POSTS)
        self._session = requests.Session()
        # Neither proxies nor .netrc: the webhook is on this machine.
        self._session.trust_env = False
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=32)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def close(self) -> None:
        """Let the connections go."""
        self._session.close()

    def reset(self) -> None:
        """Forget what is on its way, and the counters."""
        with self._lock:
            self._generation += 1
            self._counts.clear()
            self._pending = 0
            self._unanswered = 0
            self._recent.clear()
            for collected in (self._held, self._window, self._batch):
                collected.clear()

    def send(self, updates: Sequence[Update]) -> None:
        """Tell the business, through all the faults that are switched on."""
        with self._lock:
            through = []
            for update in updates:
                if self._switches.loses(update.kind):
                    self._counts["lost"] += 1
                else:
                    through.append(update)
            if self._switches["webhook_pause"]:
                self._held += through
            else:
                self._reorder(through)

    def send_together(self, updates: Sequence[Update]) -> None:
        """One POST with these updates, whatever the batch switch says (at most 1000)."""
        with self._lock:
            self._post(tuple(updates))

    def switches_changed(self) -> None:
        """Let go what no switch holds any longer."""
        with self._lock:
            if self._switches["webhook_pause"]:
                return
            held, self._held = self._held, []
            self._reorder(held)
            if self._switches["webhook_reorder"] < 2:
                self._let_window_go()
            if self._switches["webhook_batch"] is None:
                self._let_batch_go()

    def send_raw(self, body: bytes, *, bad_signature: bool = False) -> int | str:
        """One attempt with these very bytes, at once; gives the status or what went wrong."""
        with self._lock:
            self._counts["posted"] += 1
        signature = sign(body, self._app_secret)
        if bad_signature:
            last = "1" if signature.endswith("0") else "0"
            signature = signature[:-1] + last
        return self._attempt(body, signature)

    def as_json(self) -> dict[str, Any]:
        """The counters, and the last POSTs, newest first."""
        with self._lock:
            held = len(self._held) + len(self._window) + len(self._batch)
            outstanding = self._timers.outstanding
            names = ("posted", "acked", "updates_acked", "retried", "lost", "given_up")
            return {
                **{name: self._counts[name] for name in names},
                "pending": self._pending,
                "unanswered": self._unanswered,
                "held": held,
                "scheduled": outstanding,
                "idle": not (held or self._pending or outstanding),
                "last": [post.as_json() for post in reversed(self._recent)],
            }

    def _reorder(self, updates: list[Update]) -> None:
        window = self._switches["webhook_reorder"]
        if window < 2:
            self._collect(updates)
            return
        for update in updates:
            if not self._window:
                self._timers.call_later(REORDER_WAIT_SECONDS, self._let_window_go)
            self._window.append(update)
            if len(self._window) >= window:
                self._let_window_go()

    def _let_window_go(self) -> None:
        with self._lock:
            window, self._window = self._window, []
            self._switches.shuffle(window)
            self._collect(window)

    def _collect(self, updates: list[Update]) -> None:
        batch = self._switches["webhook_batch"]
        for update in updates:
            if batch is None:
                self._post((update,))
                continue
            if not self._batch:
                self._timers.call_later(batch["wait_ms"] / 1000, self._let_batch_go)
            self._batch.append(update)
            if len(self._batch) >= batch["size"]:
                self._let_batch_go()

    def _let_batch_go(self) -> None:
        with self._lock:
            batch, self._batch = self._batch, []
            for start in range(0, len(batch), MAX_UPDATES):
                self._post(tuple(batch[start : start + MAX_UPDATES]))

    def _post(self, updates: tuple[Update, ...]) -> None:
        body = encode(envelope(updates, self._metadata))
        delay = self._switches["webhook_delay_ms"] / 1000
        for _ in range(self._switches["webhook_repeat"]):
            self._number += 1
            self._pending += 1
            self._unanswered += 1
            post = _Post(self._number, body, updates, self._timers.now())
            self._recent.append(post)
            self._try_later(post, delay)

    def _try_later(self, post: _Post, delay: float) -> None:
        generation = self._generation

        def try_now() -> None:
            if generation == self._generation:
                self._try(post, generation)

        self._timers.call_later(delay, try_now)

    def _try(self, post: _Post, generation: int) -> None:
        post.attempts += 1
        with self._lock:
            self._counts["posted"] += 1
            self._counts["retried"] += post.attempts > 1
        answer = self._attempt(post.body, sign(post.body, self._app_secret))
        with self._lock:
            if generation != self._generation:
                return
            self._unanswered -= post.answer is None
            post.answer = answer
            if answer == 200:
                post.state = "acked"
                self._pending -= 1
                self._counts["acked"] += 1
                self._counts["updates_acked"] += len(post.updates)
            elif self._timers.now() - post.created >= self._policy.give_up_after:
                post.state = "given_up"
                self._pending -= 1
                self._counts["given_up"] += 1
            else:
                self._try_later(post, self._policy.delay(post.attempts))
        if post.state == "acked":
            self._on_acknowledged(post.updates)

    def _attempt(self, body: bytes, signature: str) -> int | str:
        if not self.webhook_url:
            return "no webhook URL"
        try:
            with self._session.post(
                self.webhook_url,
                data=body,
                headers={
                    "Content-Type": "application/json",
                    "User-Agent": "facebookexternalua",
                    "X-Hub-Signature-256": signature,
                },
                timeout=self._policy.timeout,
                allow_redirects=False,
            ) as answer:
                return answer.status_code
        except requests.RequestException as problem:
            _log.debug("a webhook POST got no answer: %s", type(problem).__name__)
            return type(problem).__name__

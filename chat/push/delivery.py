"""Sends to push services (RFC 8030), encrypted for the browser (RFC 8291), signed (RFC 8292)."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

import requests

from chat.push.settings import PushSettings

_log = logging.getLogger(__name__)

#: Connecting, and each piece of the answer.
_TIMEOUT_SECONDS = 10.0
#: A push service keeps it for so long for a phone that is off. Somebody else has the chat by then.
_KEPT_SECONDS = 900
#: Of a service that asks to wait, at most.
_MOST_WAIT_SECONDS = 20.0
_FIRST_WAIT_SECONDS = 2.0

SENT = "sent"
#: The browser has ended its subscription, or was removed.
GONE = "gone"
REFUSED = "refused"
#: The push service is away, or has too much to do.
LATER = "later"


@dataclass(frozen=True)
class Outcome:
    """What became of one push; `wait` are the seconds until another try is worth it."""

    kind: str
    wait: float = 0.0


class _StraightSession(requests.Session):
    """Follows no redirect: only the address itself was found to be a push service's."""

    def request(self, *args: Any, **options: Any) -> requests.Response:
        return super().request(*args, **{**options, "allow_redirects": False})


class PushClient:
    """Sends to any push service."""

    def __init__(self, settings: PushSettings) -> None:
        self._settings = settings

    def send(self, target: dict[str, Any], payload: dict[str, Any], topic: str) -> Outcome:
        """Sends this to one browser; blocks, for threads that nobody waits for.

        Args:
            target: {"endpoint", "keys"} as the browser gave it.
            payload: what the service worker gets; a push holds some 3,900 bytes.
            topic: of two that wait with one topic, the push service keeps the newer.
        """
        # Takes long to import, and most processes never send.
        from pywebpush import WebPushException, webpush

        if not self._settings.knows(target["endpoint"]):
            return Outcome(GONE)  # kept since the settings named its service
        try:
            with _StraightSession() as session:
                webpush(
                    target,
                    json.dumps(payload, ensure_ascii=False, separators=(",", ":")),
                    vapid_private_key=self._settings.vapid_private_key,
                    vapid_claims={"sub": self._settings.subject},
                    ttl=_KEPT_SECONDS,
                    headers={"Urgency": "high", "Topic": topic},
                    timeout=_TIMEOUT_SECONDS,
                    requests_session=session,
                )
        except WebPushException as error:
            return _meaning(error.response)
        except requests.RequestException as error:
            _log.warning("a push service did not answer: %s", type(error).__name__)
            return Outcome(LATER, _FIRST_WAIT_SECONDS)
        return Outcome(SENT)


def _meaning(response: requests.Response | None) -> Outcome:
    status = response.status_code if response is not None else 0
    if status in (404, 410):
        return Outcome(GONE)
    # Not its body: that may repeat the endpoint.
    _log.warning("a push service answered HTTP %d", status)
    if response is None or not (status == 429 or status >= 500):
        return Outcome(REFUSED)
    try:
        asked = float(response.headers.get("Retry-After", _FIRST_WAIT_SECONDS))
    except ValueError:
        asked = _FIRST_WAIT_SECONDS
    return Outcome(LATER, min(max(asked, 0.0), _MOST_WAIT_SECONDS))

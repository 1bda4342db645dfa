"""The Messages API by its SDK: asks Claude, and says what came of it in one of few words.

Nothing is tried again in here: the worker's tries are committed, so that they outlive it.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chat.auto_reply.settings import AutoReplySettings

if TYPE_CHECKING:
    import anthropic

_log = logging.getLogger(__name__)

#: A connection comes about quickly or not at all.
_CONNECT_SECONDS = 5.0
#: The last version of the API in which a temperature may be asked for.
_WITH_TEMPERATURE = {"anthropic-version": "2023-06-01"}
#: Of the refusals by status: what the operator has to see to.
_PERMANENT = {
    400: "bad_request",
    401: "bad_key",
    402: "no_credit",
    403: "bad_key",
    404: "unknown_model",
    413: "too_long",
    422: "bad_request",
}
#: Out of money until next month, which looks like a rate limit.
_SPENT = "enforced_spend_limit_reached"


@dataclass(frozen=True)
class Used:
    """What a call cost. Tokens of each kind, and how long it took."""

    model: str = ""
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    ms: int = 0

    @property
    def tokens(self) -> int:
        """All tokens, read, written and cached."""
        return self.input + self.output + self.cache_read + self.cache_write


@dataclass(frozen=True)
class Answer:
    """What Claude says. `text` may be empty; `kind` says how it ended."""

    kind: str  # "answer" | "cut" (at max tokens) | "refusal"
    text: str
    hand_over: str | None  # the reason, where Claude gives the chat to people
    used: Used


class ClaudeError(Exception):
    """No answer. `kind` names why; `passes`: worth another try."""

    def __init__(self, kind: str, *, passes: bool, retry_after: float | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.passes = passes
        self.retry_after = retry_after  # seconds


class MessagesClient:
    """The Messages API with one key. Safe for many threads."""

    def __init__(self, settings: AutoReplySettings) -> None:
        self._settings = settings
        self._client: anthropic.Anthropic | None = None
        self._warming = False
        self._lock = threading.Lock()

    def ask(
        self,
        system: list[dict[str, Any]],
        turns: list[dict[str, Any]],
        tools: list[dict[str, Any]],
    ) -> Answer:
        """Asks Claude to go on with a conversation.

        Args:
            system: its instructions, blocks of text.
            turns: what was said, see `history.turns`.
            tools: what it may call; the only one there is hands the chat over.

        Raises:
            ClaudeError: there is no answer.
        """
        import anthropic

        chosen = self._settings
        more: dict[str, Any] = {"tools": tools} if tools else {}
        if chosen.effort:
            more["output_config"] = {"effort": chosen.effort}
        if chosen.temperature is not None:
            more["extra_body"] = {"temperature": chosen.temperature}
            more["extra_headers"] = _WITH_TEMPERATURE
        began = time.monotonic()
        try:
            message = self._open().messages.create(
                model=chosen.model,
                max_tokens=chosen.max_tokens,
                system=system,  # type: ignore[arg-type]
                messages=turns,  # type: ignore[arg-type]
                **more,
            )
            return _answer(message, int((time.monotonic() - began) * 1000))
        except anthropic.AnthropicError as error:
            found = _told(error)
            # Not the error's own text, which may quote what was said.
            _log.warning("no answer of the Messages API: %s", found.kind)
            raise found from None
        except (AttributeError, TypeError, ValueError) as error:
            # The SDK does not check what it is answered: a proxy's page is no message.
            _log.warning("no answer of the Messages API: %s", type(error).__name__)
            raise ClaudeError("unreadable", passes=True) from None

    def warm_up(self) -> None:
        """Gets ready for `ask`, in a thread: the SDK takes seconds to import, in which customers
        may write more and the start of a process need not wait.
        """
        if self._client is None and not self._warming:
            self._warming = True
            threading.Thread(target=self._open, daemon=True, name="messages-api").start()

    def _open(self) -> anthropic.Anthropic:
        """The client, made at first use: after a server forked its worker."""
        import anthropic

        # A line for each call, with nothing in it that ours do not say.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        with self._lock:
            if self._client is None:
                seconds = self._settings.timeout_seconds
                self._client = anthropic.Anthropic(
                    api_key=self._settings.api_key,
                    base_url=self._settings.base_url or None,
                    timeout=anthropic.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
                    max_retries=0,
                )
            return self._client


def _answer(message: Any, ms: int) -> Answer:
    usage = message.usage
    used = Used(
        model=str(message.model),
        input=usage.input_tokens or 0,
        output=usage.output_tokens or 0,
        cache_read=usage.cache_read_input_tokens or 0,
        cache_write=usage.cache_creation_input_tokens or 0,
        ms=ms,
    )
    texts = [block.text for block in message.content if block.type == "text"]
    calls = [block.input for block in message.content if block.type == "tool_use"]
    hand_over = None
    if calls:
        reason = calls[0].get("motivo") if isinstance(calls[0], dict) else None
        hand_over = reason.strip() if isinstance(reason, str) else ""
    if message.stop_reason == "refusal":
        return Answer("refusal", "", None, used)
    cut = message.stop_reason in ("max_tokens", "model_context_window_exceeded")
    # A tool's call that was cut in half hands over all the same.
    return Answer("cut" if cut else "answer", "\n\n".join(texts).strip(), hand_over, used)


def _told(error: anthropic.AnthropicError) -> ClaudeError:
    import anthropic

    if isinstance(error, anthropic.APITimeoutError):
        return ClaudeError("timeout", passes=True)
    if isinstance(error, anthropic.APIConnectionError):
        return ClaudeError("unreachable", passes=True)
    if isinstance(error, anthropic.APIStatusError):
        status = error.status_code
        if status == 429 and error.error_code == _SPENT:
            return ClaudeError("no_credit", passes=False)
        if status in _PERMANENT:
            return ClaudeError(_PERMANENT[status], passes=False)
        kind = {429: "rate_limit", 529: "overloaded"}.get(status, "server_error")
        return ClaudeError(kind, passes=True, retry_after=_retry_after(error))
    if isinstance(error, anthropic.APIResponseValidationError):
        return ClaudeError("unreadable", passes=True)
    return ClaudeError("bad_key", passes=False)  # credentials that cannot even be used


def _retry_after(error: anthropic.APIStatusError) -> float | None:
    """What the API asks for, in seconds, within reason."""
    try:
        return min(max(float(error.response.headers.get("retry-after", "")), 0.0), 3600.0)
    except ValueError:
        return None  # absent, or a date

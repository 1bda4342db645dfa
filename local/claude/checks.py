"""What the Messages API refuses, as far as this stand-in knows: the faults that code can have."""

from __future__ import annotations

from typing import Any

from local.claude import attachments

JSON = dict[str, Any]

#: From this version of the API on there are no sampling parameters.
_WITHOUT_SAMPLING = "2026-10-21"
_SAMPLING = ("temperature", "top_p", "top_k")
_KNOWN = {
    "model", "max_tokens", "messages", "system", "tools", "tool_choice", "output_config",
    "stop_sequences", "stream", "metadata", "thinking", "cache_control", *_SAMPLING,
}  # fmt: skip


def problem(request: Any, version: str) -> str | None:
    """Why a request is not taken (`invalid_request_error`); None if it is.

    Args:
        request: the decoded body.
        version: the header `anthropic-version`.
    """
    if not isinstance(request, dict):
        return "body: must be an object"
    for name in request:
        if name not in _KNOWN or (name in _SAMPLING and version >= _WITHOUT_SAMPLING):
            return f"{name}: Extra inputs are not permitted"
    if not isinstance(request.get("model"), str) or not request["model"]:
        return "model: Field required"
    most = request.get("max_tokens")
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        return "max_tokens: must be a positive integer"
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    if not all(isinstance(each, dict) for each in messages):
        return "messages: must be objects"
    if messages[0].get("role") != "user":
        return "messages: first message must use the user role"
    if attachments.count(messages) > attachments.MOST:
        return f"messages: at most {attachments.MOST} images and documents are permitted"
    for place, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant"):
            return f"messages.{place}.role: must be user or assistant"
        where = f"messages.{place}.content"
        if reason := _content(message.get("content"), where, of_user=message["role"] == "user"):
            return reason
    if reason := attachments.many_problem(messages):
        return reason
    if messages[-1]["role"] != "user":
        return "This model does not support assistant message prefill"
    system = request.get("system")
    return _content(system, "system") if system is not None else None


def _content(content: Any, where: str, *, of_user: bool = False) -> str | None:
    if isinstance(content, str):
        return None if content.strip() else f"{where}: text content must be non-empty"
    if not isinstance(content, list) or not content:
        return f"{where}: must be a text or blocks"
    for place, block in enumerate(content):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind in attachments.KINDS and of_user:
            if reason := attachments.problem(block, f"{where}.{place}"):
                return reason
            continue
        if not isinstance(block, dict) or kind != "text":
            return f"{where}.{place}: a block of type {kind!r} is not permitted here"
        if not isinstance(block.get("text"), str) or not block["text"].strip():
            return f"{where}: text content blocks must be non-empty"
    return None

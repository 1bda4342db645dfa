"""The stand-in for Claude refuses what the Messages API refuses, and does what its switches say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from local.claude import checks, replies
from local.claude.server import ClaudeStandIn
from local.processes.parts import Part

GOOD = {"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "oi"}]}
VERSION = {"anthropic-version": "2026-10-21", "Authorization": "Bearer k"}


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def turn(role: str, content: Any = "oi") -> dict[str, Any]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": ""}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [turn("assistant")]}, "first message"),
        ({"messages": [turn("user"), turn("assistant")]}, "prefill"),
        ({"messages": [turn("system")]}, "first message"),
        ({"messages": [turn("user"), turn("tool")]}, "role"),
        ({"messages": [turn("user", " ")]}, "non-empty"),
        ({"messages": [turn("user", [{"type": "text", "text": ""}])]}, "non-empty"),
        ({"system": [{"type": "text", "text": " "}]}, "non-empty"),
        ({"temperature": 0.5}, "temperature"),
        ({"prompt": "x"}, "prompt"),
    ],
)
def test_what_the_api_refuses_is_refused(change: dict[str, Any], reason: str) -> None:
    found = checks.problem({**GOOD, **change}, "2026-10-21")
    assert found is not None
    assert reason in found


def test_a_good_request_is_taken_and_an_older_version_has_a_temperature() -> None:
    assert checks.problem(GOOD, "2026-10-21") is None
    assert checks.problem({**GOOD, "temperature": 0.5}, "2023-06-01") is None


def test_it_answers_from_the_last_words(claude: ClaudeStandIn, http: requests.Session) -> None:
    words = "<mensagem_do_cliente nome='x'>\nQual o hor&#225;rio?\n</mensagem_do_cliente>"
    body = {**GOOD, "messages": [turn("user"), turn("assistant"), turn("user", words)]}
    answer = http.post(f"{claude.url}/v1/messages", json=body, headers=VERSION, timeout=30)
    data = answer.json()
    assert data["content"][0]["text"] == "Atendemos de segunda a sexta, das 8h às 18h."
    assert data["stop_reason"] == "end_turn"
    assert data["usage"]["input_tokens"] > 0
    assert http.get(f"{claude.url}/requests", timeout=30).json()["requests"] == [body]


def test_without_a_key_nobody_is_answered(claude: ClaudeStandIn, http: requests.Session) -> None:
    answer = http.post(f"{claude.url}/v1/messages", json=GOOD, timeout=30)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


def test_switches_are_put_and_reset(claude: ClaudeStandIn, http: requests.Session) -> None:
    address, url = f"{claude.url}/switches", f"{claude.url}/v1/messages"
    changed = http.put(address, json={"fail": "overloaded", "fail_times": 1}, timeout=30)
    assert changed.json()["fail"] == "overloaded"
    statuses = [http.post(url, json=GOOD, headers=VERSION, timeout=30).status_code for _ in "ab"]
    assert statuses == [529, 200]
    for wrong in ({"fail": "often"}, {"speed": 1}, {"slow_ms": -1}, {"fail_times": True}, ["x"]):
        assert http.put(address, json=wrong, timeout=30).status_code == 422
    http.put(address, json={"text": "sempre isto"}, timeout=30)
    assert http.delete(address, timeout=30).json()["text"] is None


def test_who_asks_for_a_person_is_handed_over_only_with_a_tool() -> None:
    asks = {"messages": [turn("user", "quero falar com um atendente")]}
    blocks, reason = replies.content({**asks, "tools": [{"name": "passar"}]}, None, None)
    assert (reason, blocks[-1]["name"]) == ("tool_use", "passar")
    assert replies.content(asks, None, None)[1] == "end_turn"


def test_the_process_says_where_it_listens(http: requests.Session) -> None:
    part = Part("claude", "local.claude", ["--port", "0"]).start()
    try:
        url = part.wait_for_line("ready ")
        assert http.get(f"{url}/switches", timeout=30).json()["slow_ms"] == 0
    finally:
        part.stop()
    assert part.left_behind() == []

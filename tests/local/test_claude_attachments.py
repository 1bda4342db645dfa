"""The stand-in for Claude takes images and PDFs as the Messages API does, and counts them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from local.claude import attachments, checks
from local.claude.server import ClaudeStandIn
from tests.pictures import jpeg, picture

PDF = b"%PDF-1.4\n1 0 obj<</Type /Page>>endobj\n%%EOF"


def block(
    content: bytes, media_type: str = "image/jpeg", kind: str = "image", **source: Any
) -> Any:
    text = base64.b64encode(content).decode()
    given = {"type": "base64", "media_type": media_type, "data": text, **source}
    return {"type": kind, "source": given}


def request(*blocks: Any, role: str = "user") -> dict[str, Any]:
    words = {"type": "text", "text": "oi"}
    messages = [{"role": "user", "content": "oi"}, {"role": role, "content": [words, *blocks]}]
    if role == "assistant":
        messages.append({"role": "user", "content": "e aí?"})
    return {"model": "claude-x", "max_tokens": 10, "messages": messages}


def problem(*blocks: Any, **other: Any) -> str:
    return checks.problem(request(*blocks, **other), "2026-10-21") or ""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_pictures_are_taken(kind: str) -> None:
    assert problem(block(picture(40, 30, kind), f"image/{kind.lower()}")) == ""


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (block(jpeg(4, 4), "image/bmp"), "media_type"),
        (block(jpeg(4, 4), "image/png"), "appears to be a image/jpeg"),
        (block(jpeg(4, 4), data="%%%"), "Invalid base64"),
        (block(jpeg(4, 4), data=None), "cannot be empty"),
        (block(jpeg(4, 4), type="url"), "only base64"),
        (block(b"no picture"), "Could not process image"),
        (block(jpeg(400, 300)[:300]), "Could not process image"),
        (block(jpeg(8001, 2)), "8000 pixels"),
        (block(picture(1600, 1200, "PNG", noise=True), "image/png"), "5 MB"),
        (block(PDF, "application/pdf"), "media_type"),
        (block(b"<html>", "application/pdf", "document"), "not valid"),
        (block(PDF + b"/Encrypt", "application/pdf", "document"), "password"),
        ({"type": "video"}, "not permitted"),
    ],
)
def test_what_the_api_refuses_is_refused(wrong: Any, reason: str) -> None:
    assert reason in problem(wrong)


def test_pictures_are_the_users_alone() -> None:
    assert "not permitted" in problem(block(jpeg(4, 4)), role="assistant")


def test_of_many_each_is_smaller() -> None:
    assert problem(*[block(jpeg(2001, 2))] * 20) == ""
    assert "many images" in problem(*[block(jpeg(2001, 2))] * 21)
    assert "at most 100" in problem(*[block(jpeg(2, 2))] * 101)


def test_they_are_counted_by_their_size() -> None:
    shown = request(block(jpeg(750, 100)), block(PDF, "application/pdf", "document"))
    assert attachments.tokens(shown["messages"]) == 100 + 2000
    huge = request(block(jpeg(4000, 3000)))
    assert 1_000 < attachments.tokens(huge["messages"]) < 1_600


def test_an_answer_says_what_was_seen(claude: ClaudeStandIn) -> None:
    import anthropic

    with anthropic.Anthropic(api_key="k", base_url=claude.url, max_retries=0) as client:
        messages: Any = request(block(jpeg(750, 100)))["messages"]
        answer = client.messages.create(model="claude-x", max_tokens=10, messages=messages)
    assert "Vi a foto que você mandou" in answer.content[0].text  # type: ignore[union-attr]
    assert 100 <= answer.usage.input_tokens < 120

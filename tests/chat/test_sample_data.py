"""The sample conversations: believable, and only in an empty store."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

import realtime_events
from chat.conversation import serializers
from chat.conversation.attached import media
from chat.conversation.models import Conversation, Message
from local.sample_data import conversations
from tests.chat.support import Browser, call, deliver, stored, text_message, token_of

pytestmark = pytest.mark.slow


@pytest.mark.store
def test_an_empty_store_is_filled_once(app: Flask) -> None:
    now = time.time_ns() // 1_000_000
    assert conversations.fill(now) == 12
    assert conversations.fill(now) == 0
    assert len(stored(Conversation)) == 12
    assert stored(realtime_events.RealtimeEvent) == []


def test_both_logins_see_a_history_that_ends_lately(app: Flask, client: FlaskClient) -> None:
    now = time.time_ns() // 1_000_000
    conversations.fill(now)
    for username in ("ana", "bruno"):
        client = app.test_client()
        form = {"username": username, "password": username, "csrf_token": token_of(client)}
        assert client.post("/login", data=form).status_code == 302
        browser = Browser(client, token_of(client, "/"))
        chats = browser.conversations()
        assert len(chats) == 12
        threads = [browser.thread(each["id"]) for each in chats]
        assert max(map(len, threads)) > 120
        for chat, thread in zip(chats, threads, strict=True):
            assert chat["last_message"]["id"] == thread[-1]["id"]
            positions = [message["position"] for message in thread]
            assert positions == sorted(set(positions))
        newest = chats[0]["last_message"]["position"]
        assert now - 10 * 60_000 < int(newest[:13]) <= now
        kinds = {message["type"] for thread in threads for message in thread}
        assert {"text", "image", "audio", "video", "document", "sticker", "location"} <= kinds
        assert any(message["status"] == "failed" for thread in threads for message in thread)
        unread = [chat["last_message"]["sent_at"] for chat in chats if chat["unread_count"]]
        assert 0 < len(unread) < 5
        assert min(unread) > serializers.iso(now - 60 * 60_000), "old ones have been read"


def test_their_files_are_there(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEDIA_FOLDER", str(tmp_path))
    conversations.fill(time.time_ns() // 1_000_000)
    found = [each.media for each in stored(Message) if each.media]
    assert {each["kind"] for each in found} == set(media.KINDS) - {media.AUDIO}
    assert {each["state"] for each in found} == {media.READY}
    for each in found:
        assert (tmp_path / each["object"]).stat().st_size == each["size"]
        assert "thumb" not in each or (tmp_path / each["thumb"]).is_file()


@pytest.mark.store
def test_a_sample_customer_who_writes_gets_no_second_chat(app: Flask, client: FlaskClient) -> None:
    conversations.fill(time.time_ns() // 1_000_000)
    deliver(client, call(text_message("w", "voltei", int(time.time()))))
    assert len(stored(Conversation)) == 12


def test_a_used_store_gets_the_logins_only(app: Flask, client: FlaskClient) -> None:
    deliver(client, call(text_message("w")))
    assert conversations.fill(time.time_ns() // 1_000_000) == 0
    assert len(stored(Conversation)) == 1
    form = {"username": "ana", "password": "ana", "csrf_token": token_of(client)}
    assert client.post("/login", data=form).status_code == 302


def test_a_real_datastore_never_gets_logins_that_everybody_knows(
    app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATASTORE_EMULATOR_HOST")
    monkeypatch.setattr(conversations.sys, "argv", ["sample_data"])
    monkeypatch.setattr(conversations, "fill", lambda _now: pytest.fail("it was filled"))
    assert conversations.main() == 1
    assert "DATASTORE_EMULATOR_HOST" in capsys.readouterr().err

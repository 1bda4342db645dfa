"""Who may have a file fetched, and how it waits for that."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from chat.media.bucket import BucketStore
from chat.media.service import TASK_PATH
from chat.media.store import FolderStore
from chat.platform.queue import CloudTasksQueue, ThreadQueue
from main import create_app
from tests.chat.media.support import CRON
from tests.helpers import ON_APP_ENGINE, SETTINGS

QUEUE = {**SETTINGS, **ON_APP_ENGINE, "MEDIA_QUEUE": "southamerica-east1/media", "TESTING": True}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-AppEngine-QueueName": "media"}, 200),
        ({"X-AppEngine-QueueName": "auto-reply"}, 403),
        ({"X-Appengine-Cron": "true"}, 403),
        (CRON, 403),
        ({}, 403),
    ],
)
def test_on_app_engine_only_its_own_queue_has_one_fetched(
    app: Flask, headers: Any, status: int
) -> None:
    client = create_app(QUEUE).test_client()
    body = {"message_id": "nobody"}
    assert client.post(TASK_PATH, json=body, headers=headers).status_code == status


@pytest.mark.parametrize("body", [{}, [], {"message_id": 5}, {"message_id": "__x__"}, "x"])
def test_a_task_that_names_nothing_is_done(client: FlaskClient, body: Any) -> None:
    response = client.post(TASK_PATH, json=body, headers=CRON)
    assert (response.status_code, response.get_json()) == (200, {"done": False})


def test_app_engine_has_a_bucket_and_cloud_tasks_others_a_folder_and_threads(
    app: Flask, media_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = create_app(QUEUE).extensions["media"]
    assert isinstance(media.queue, CloudTasksQueue)
    assert isinstance(media.store, BucketStore)
    media = create_app({**SETTINGS, "TESTING": True}).extensions["media"]
    assert isinstance(media.queue, ThreadQueue)
    assert isinstance(media.store, FolderStore)
    assert media.store.put("x", [b"x"], "text/plain") == 1
    assert (media_folder / "x").read_bytes() == b"x"

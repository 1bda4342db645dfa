"""A store that is down or silent is reported quickly, on every route, and as what it is."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from flask import Flask
from flask.testing import FlaskClient
from google.api_core.exceptions import Aborted
from werkzeug.test import TestResponse

import realtime_events
from chat.platform import datastore
from chat.team.auth import Attendant
from main import create_app
from tests.chat.support import Browser, call, deliver, run_together, stored, text_message
from tests.helpers import SETTINGS

LIMIT_SECONDS = 10.0


@pytest.fixture(params=["refuses", pytest.param("says nothing", marks=pytest.mark.slow)])
def dead_store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A port where no store answers: nobody listens, or somebody does and keeps silent."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        if request.param == "says nothing":
            holder.listen(50)
        monkeypatch.setenv("DATASTORE_EMULATOR_HOST", f"127.0.0.1:{holder.getsockname()[1]}")
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "nowhere")
        yield request.param


def test_the_webhook_says_503_and_health_200_when_the_store_is_down(dead_store: str) -> None:
    client = create_app({**SETTINGS, "TESTING": True}).test_client()
    started = time.monotonic()
    response = deliver(client, call(text_message("w")))
    assert time.monotonic() - started < LIMIT_SECONDS
    assert response.status_code == 503
    assert response.get_json()["error"]["code"] == "store_unavailable"
    assert client.get("/healthz").status_code == 200
    assert client.get("/_ah/warmup").status_code == 200


def test_the_api_says_503_when_the_store_goes_down(
    app: Flask, ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ana.get("/api/conversations").status_code == 200
    monkeypatch.setenv("DATASTORE_EMULATOR_HOST", "127.0.0.1:9")
    paths = ["/api/conversations", "/api/conversations/x", "/api/conversations/x/messages"]
    body = {"client_id": "6f1c0b6e-3f1d-4c38-9d3e-1f6f1f6f1f6f", "text": "x"}

    def write() -> TestResponse:
        headers = {"X-CSRFToken": ana.token}
        return another_tab().post("/api/conversations/x/messages", json=body, headers=headers)

    def another_tab() -> FlaskClient:
        tab = app.test_client()
        tab.set_cookie("chat_session", cookie.value)
        return tab

    cookie = ana.client.get_cookie("chat_session")
    assert cookie is not None
    started = time.monotonic()
    reads = [lambda path=path: another_tab().get(path) for path in paths]
    *told, written = run_together(*reads, write)
    assert time.monotonic() - started < LIMIT_SECONDS
    for response in told:
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert response.get_json()["error"]["code"] == "store_unavailable"
    assert written.status_code == 503


def test_without_credentials_the_answer_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    from google.auth.exceptions import DefaultCredentialsError

    def fail() -> None:
        raise DefaultCredentialsError("none")

    monkeypatch.setattr(datastore, "get_client", fail)
    client = create_app({**SETTINGS, "TESTING": True}).test_client()
    assert client.get("/login").status_code == 503
    assert client.get("/healthz").status_code == 200


@pytest.mark.store
def test_a_conflict_is_tried_again_at_once(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def work() -> str:
        attempts.append(1)
        Attendant(id=f"a{len(attempts)}").put()
        if len(attempts) < 4:
            raise Aborted("conflict")
        return "done"

    started = time.monotonic()
    with datastore.context():
        assert realtime_events.transaction(work) == "done"
    assert time.monotonic() - started < 5.0  # ndb itself would wait 1, 2 and 4 s
    assert [attendant.key.id() for attendant in stored(Attendant)] == ["a4"]


def test_used_up_time_ends_the_waiting(app: Flask) -> None:
    with datastore.context(seconds=0.0), pytest.raises(datastore.StoreUnavailableError):
        datastore.get(Attendant, "x")


def test_a_context_is_not_opened_twice(app: Flask) -> None:
    with datastore.context() as outer, datastore.context() as inner:
        assert inner is outer


class _TimedOut(grpc.RpcError):
    """What gRPC raises when a call takes too long."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.DEADLINE_EXCEEDED


grpc.Call.register(_TimedOut)  # type: ignore[attr-defined]


def test_while_the_store_hangs_only_one_read_at_a_time_waits_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, waited = [100.0], []
    monkeypatch.setattr(datastore.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(datastore, "_suspicion", datastore._Suspicion())

    def call(name: str, error: Exception | None) -> float:
        class Stub:
            def __getattr__(self, _name: str) -> Any:
                return self

            def future(self, _request: Any, *, timeout: float, **_options: Any) -> Any:
                waited.append(timeout)
                return self

            def exception(self) -> Exception | None:
                return error

        getattr(datastore._BoundedStub(Stub()), name).future(None).exception()
        return waited[-1]

    full, short = datastore.RPC_SECONDS, datastore.SUSPECT_SECONDS
    assert call("lookup", _TimedOut()) == full
    assert [call("lookup", _TimedOut()), call("run_query", _TimedOut())] == [short, short]
    assert call("commit", _TimedOut()) == full, "a big commit takes its time"
    now[0] += full
    assert [call("lookup", _TimedOut()), call("lookup", _TimedOut())] == [full, short]
    assert call("lookup", None) == short
    assert call("lookup", None) == full, "an answer ends the suspicion"

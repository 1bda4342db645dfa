"""The Graph API client: what it sends, and which of three things came of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from chat.outgoing.whatsapp import (
    Accepted,
    RefusedError,
    UnconfirmedError,
    UnreachableError,
    WhatsAppClient,
)
from chat.platform.settings import Settings
from tests.chat.support import MARIA, Graph, accepted, refused
from tests.helpers import SETTINGS


def client_of(url: str, read_seconds: float = 30) -> WhatsAppClient:
    settings = {**SETTINGS, "WHATSAPP_API_URL": url, "WHATSAPP_READ_SECONDS": read_seconds}
    return WhatsAppClient(Settings.from_env(settings))


def send(url: str, read_seconds: float = 30, **other: Any) -> Accepted:
    arguments = {"phone": MARIA, "bsuid": "BR.1", "message_id": "our-id"} | other
    return client_of(url, read_seconds).send_text("Olá!", **arguments)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is bound and on which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_a_text_goes_out_as_meta_wants_it(graph: Graph) -> None:
    result = send(graph.url, reply_to="wamid.x")
    assert result == Accepted("wamid.out.our-id", MARIA)
    assert graph.received == [
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": f"+{MARIA}",
            "type": "text",
            "text": {"body": "Olá!", "preview_url": False},
            "biz_opaque_callback_data": "our-id",
            "context": {"message_id": "wamid.x"},
        }
    ]
    assert graph.headers[0]["Authorization"] == "Bearer test-whatsapp-token"
    assert graph.headers[0]["path"] == "/v26.0/106540352242922/messages"


def test_a_customer_without_number_is_addressed_by_bsuid(graph: Graph) -> None:
    assert send(graph.url, phone=None) == Accepted("wamid.out.our-id", None)
    assert graph.received[0]["recipient"] == "BR.1"
    assert "to" not in graph.received[0]


def test_connections_are_used_again(graph: Graph) -> None:
    client = client_of(graph.url)
    for _ in range(5):
        client.send_text("oi", phone=MARIA, bsuid=None, message_id="x")
    assert len(graph.connections) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(400, 131047), (401, 190), (403, 10), (429, 130429), (500, 131000)]
)
def test_a_refusal_carries_metas_code(graph: Graph, status: int, code: int) -> None:
    graph.answer = lambda _body: refused(code, status)
    with pytest.raises(RefusedError) as caught:
        send(graph.url)
    assert (caught.value.error["code"], caught.value.error["message"]) == (code, f"(#{code}) no")


@pytest.mark.parametrize(
    "answer",
    [
        (502, b"<html>Bad Gateway</html>"),
        (503, b""),
        (200, b"not json"),
        (200, {}),
        (200, {"messages": []}),
        (302, b""),
        None,
    ],
)
def test_what_says_neither_yes_nor_no_is_unconfirmed(graph: Graph, answer: Any) -> None:
    graph.answer = lambda _body: answer
    with pytest.raises(UnconfirmedError):
        send(graph.url)
    assert len(graph.received) == 1, "it is not sent again"


def test_an_answer_that_takes_too_long_is_unconfirmed(graph: Graph) -> None:
    import threading

    release = threading.Event()

    def slow(body: dict[str, Any]) -> tuple[int, Any]:
        release.wait(10)
        return accepted(body)

    graph.answer = slow
    try:
        with pytest.raises(UnconfirmedError):
            send(graph.url, read_seconds=0.3)
    finally:
        release.set()


def test_without_a_connection_it_was_certainly_not_sent(closed_port: int) -> None:
    with pytest.raises(UnreachableError):
        send(f"http://127.0.0.1:{closed_port}")


def test_a_name_that_does_not_resolve_was_certainly_not_sent() -> None:
    with pytest.raises(UnreachableError):
        send("http://graph.invalid")


def test_a_token_that_cannot_stand_in_a_header_is_never_logged(
    graph: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(graph.url)
    client._token = "test-secret-token\nnext"
    with pytest.raises(UnreachableError):  # nothing left the process
        client.send_text("Olá!", phone=MARIA, bsuid=None, message_id="our-id")
    assert "no answer from the Graph API: InvalidHeader" in caplog.text
    assert "secret" not in caplog.text
    assert graph.received == []


def test_what_the_system_said_is_logged(closed_port: int, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UnreachableError):
        send(f"http://127.0.0.1:{closed_port}")
    assert "ConnectionRefusedError" in caplog.text

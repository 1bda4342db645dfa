"""A file on its way from an attendant to a customer: stored, given to WhatsApp, sent, once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

import message_status
from chat.conversation.models import Message
from chat.outgoing import sending
from chat.outgoing.attachments import messages as attachments
from chat.outgoing.attachments.upload import MultipartUpload, TooSlowError
from chat.outgoing.sending import Outbox, Sender
from chat.platform import datastore
from tests.chat.live_attendant import LiveAttendant
from tests.chat.sent_media import files
from tests.chat.sent_media.support import ana, attach, chat
from tests.chat.support import (
    MARIA,
    Browser,
    Graph,
    accepted,
    call,
    deliver,
    given,
    refused,
    stored,
)
from tests.chat.test_sending import CRON, crash_before, expire_leases, last, post
from tests.helpers import LiveServer, Simulator, Store, add_attendant, wait_until

__all__ = ["ana", "chat"]  # fixtures

pytestmark = [pytest.mark.store, pytest.mark.slow]


def sweep(app: Flask) -> None:
    assert app.test_client().get("/tasks/outbox", headers=CRON).status_code == 200


def test_a_photo_is_stored_told_given_to_whatsapp_and_sent(
    ana: Browser, chat: str, graph: Graph
) -> None:
    client_id = str(uuid.uuid4())
    answer = attach(ana, chat, files.taken_by_a_phone(), client_id=client_id, caption="O *recibo*")
    assert answer.status_code == 201, answer.text
    message = answer.get_json()
    assert (message["id"], message["type"], message["text"]) == (client_id, "image", "O *recibo*")
    media = message["media"]
    assert (media["kind"], media["state"], media["mime_type"]) == ("image", "ready", "image/jpeg")
    assert (media["width"], media["height"], media["thumb"]) == (240, 320, True)
    assert media["preview"].startswith("data:image/")
    assert not {"object", "asked", "given", "sent_as"} & set(media)
    (form,) = graph.uploads
    assert (form["messaging_product"], form["type"]) == ("whatsapp", "image/jpeg")
    assert form["file"][0] == "image/jpeg"
    (sent,) = graph.received
    assert (sent["type"], sent["biz_opaque_callback_data"]) == ("image", client_id)
    assert sent["image"] == {"id": given(form)[1]["id"], "caption": "O *recibo*"}
    with ana.get(f"/api/messages/{client_id}/media") as got:
        assert got.get_data() == form["file"][1]
    assert ana.conversations()[0]["last_message"]["text"] == "📷 O *recibo*"


def test_a_voice_note_goes_out_as_one(ana: Browser, chat: str, graph: Graph) -> None:
    recorded = files.recording("webm", "libopus")
    answer = attach(ana, chat, recorded, "voz.webm", "audio/webm;codecs=opus", kind="voice")
    media = answer.get_json()["media"]
    assert (answer.get_json()["type"], media["kind"]) == ("audio", "voice")
    assert (media["duration"], len(media["waveform"])) == (pytest.approx(1.5, abs=0.1), 64)
    assert media["waveform"][5] > media["waveform"][60]
    (sent,) = graph.received
    assert sent["audio"] == {"id": given(graph.uploads[0])[1]["id"], "voice": True}
    assert graph.uploads[0]["type"] == "audio/ogg"
    assert files.streams(graph.uploads[0]["file"][1]) == [("audio", "opus", 1)]
    assert ana.conversations()[0]["last_message"]["text"] in ("🎤 0:02", "🎤 0:01")


def test_a_document_goes_out_under_its_name(ana: Browser, chat: str, graph: Graph) -> None:
    answer = attach(
        ana, chat, files.PDF, "../../Orçamento \u202efdp.exe", "image/png", caption="Eis"
    )
    media = answer.get_json()["media"]
    assert (media["kind"], media["mime_type"]) == ("document", "application/pdf")
    assert media["filename"] == "Orçamento fdp.exe.pdf"
    (sent,) = graph.received
    assert sent["document"]["filename"] == "Orçamento fdp.exe.pdf"
    assert sent["document"]["caption"] == "Eis"
    assert graph.uploads[0]["file"] == ("application/pdf", files.PDF)


def test_a_video_and_a_sticker_go_out(ana: Browser, chat: str, graph: Graph) -> None:
    attach(ana, chat, files.video(sound="aac"), "v.mp4", "video/mp4", caption="Veja")
    attach(ana, chat, files.picture("PNG"), "f.png", "image/png", kind="sticker")
    video, sticker = graph.received
    assert (video["type"], video["video"]["caption"]) == ("video", "Veja")
    assert (sticker["type"], set(sticker["sticker"])) == ("sticker", {"id"})
    assert [form["type"] for form in graph.uploads] == ["video/mp4", "image/webp"]


def test_a_gif_that_moves_goes_out_as_a_video(ana: Browser, chat: str, graph: Graph) -> None:
    answer = attach(ana, chat, files.animated("GIF"), "a.gif", "image/gif", caption="Olhe")
    assert (answer.get_json()["type"], answer.get_json()["media"]["kind"]) == ("video", "video")
    assert ana.conversations()[0]["last_message"]["text"].startswith("🎥")
    assert graph.received[0]["video"]["caption"] == "Olhe"


def test_texts_and_files_go_out_in_their_order(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    gate = threading.Event()

    def slowly(form: dict[str, Any]) -> tuple[int, Any]:
        gate.wait(20)
        return given(form)

    graph.upload_answer = slowly
    sending_app.extensions["chat_sender"]._wait_seconds = 0
    post(ana, chat, "um")
    attach(ana, chat, files.picture(), caption="dois")
    post(ana, chat, "três")
    wait_until(lambda: graph.uploads)
    assert graph.texts() == ["um"]
    gate.set()
    wait_until(lambda: len(graph.received) == 3)
    assert [sent["type"] for sent in graph.received] == ["text", "image", "text"]
    assert [message["text"] for message in ana.thread(chat)][1:] == ["um", "dois", "três"]
    wait_until(lambda: all(not outbox.queue for outbox in stored(Outbox)))


def test_a_reply_with_a_file_quotes(ana: Browser, chat: str, graph: Graph) -> None:
    answer = attach(ana, chat, files.picture(), reply_to="wamid.in")
    assert answer.get_json()["reply_to"]["id"] == "wamid.in"
    assert graph.received[0]["context"] == {"message_id": "wamid.in"}


def test_a_file_that_whatsapp_refuses_says_why(ana: Browser, chat: str, graph: Graph) -> None:
    graph.upload_answer = lambda _form: refused(131053)
    assert attach(ana, chat, files.picture()).status_code == 201
    message = last(ana, chat)
    assert (message["status"], message["error"]["code"]) == ("failed", "131053")
    assert message["error"]["message"].startswith("O arquivo não pôde ser enviado")
    assert graph.received == []
    post(ana, chat, "e o texto?")
    assert graph.texts() == ["e o texto?"]


def test_a_type_that_whatsapp_refuses_is_told_of_the_file(
    ana: Browser, chat: str, graph: Graph
) -> None:
    graph.upload_answer = lambda _form: refused(100)
    attach(ana, chat, files.picture())
    error = last(ana, chat)["error"]
    assert (error["code"], error["details"]) == ("131053", "(#100) no")


@pytest.mark.parametrize("answer", [None, (502, b"bad gateway"), refused(131016, 503), (200, {})])
def test_a_file_that_whatsapp_did_not_take_waits(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, answer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    graph.upload_answer = lambda _form: answer
    attach(ana, chat, files.picture())
    message = last(ana, chat)
    assert (message["status"], message["error"]["code"]) == ("sending", "unreachable")
    graph.upload_answer = None
    expire_leases(monkeypatch)
    sweep(sending_app)
    assert len(graph.received) == 1
    assert "error" not in last(ana, chat)


def test_a_file_that_waits_too_long_has_failed(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.upload_answer = lambda _form: None
    attach(ana, chat, files.picture())
    now = sending._now_ms
    monkeypatch.setattr(sending, "_now_ms", lambda: now() + sending.GIVE_UP_MS + 60_000)
    sweep(sending_app)
    message = last(ana, chat)
    assert (message["status"], message["error"]["code"]) == ("failed", "unreachable")
    assert graph.received == []


@pytest.mark.parametrize("moment", ["_claim", "_note_given"])
def test_a_process_that_dies_before_the_attempt_loses_nothing(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, moment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with monkeypatch.context() as patched:
        crash_before(patched, moment)
        attach(ana, chat, files.picture())
    assert graph.received == []
    assert last(ana, chat)["status"] == "sending"
    expire_leases(monkeypatch)
    sweep(sending_app)
    assert len(graph.received) == 1
    sweep(sending_app)
    assert len(graph.received) == 1


def test_a_process_that_dies_in_the_upload_loses_nothing(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:

        def die(*_args: Any) -> str:
            raise RuntimeError("the process dies here")

        patched.setattr(attachments, "give", die)
        attach(ana, chat, files.picture())
    expire_leases(monkeypatch)
    sweep(sending_app)
    assert (len(graph.uploads), len(graph.received)) == (1, 1)


def test_a_process_that_dies_after_the_attempt_sends_nothing_twice(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        crash_before(patched, "_settle")
        attach(ana, chat, files.picture())
    assert len(graph.received) == 1
    expire_leases(monkeypatch)
    sweep(sending_app)
    assert len(graph.received) == 1
    message = last(ana, chat)
    assert (message["status"], message["error"]["code"]) == ("sending", "unconfirmed")


def test_a_lease_is_renewed_while_a_file_goes_up_slowly(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    gate = threading.Event()

    def slowly(form: dict[str, Any]) -> tuple[int, Any]:
        gate.wait(60)
        return given(form)

    graph.upload_answer = slowly
    sender: Sender = sending_app.extensions["chat_sender"]
    sender._wait_seconds = 0
    attach(ana, chat, files.picture())
    wait_until(lambda: graph.uploads)
    (first,) = stored(Outbox)
    wait_until(lambda: stored(Outbox)[0].lease_until > first.lease_until)
    with datastore.context(seconds=60.0):
        sender.drain(chat)  # another process's: it finds the lease held
    assert len(graph.uploads) == 1
    gate.set()
    wait_until(lambda: len(graph.received) == 1)
    wait_until(lambda: all(not outbox.queue for outbox in stored(Outbox)))


def test_an_id_at_whatsapp_is_used_again_by_a_new_attempt_with_a_file_of_its_own(
    ana: Browser, chat: str, graph: Graph, media_folder: Path
) -> None:
    graph.answer = lambda _body: refused(131047)
    failed = attach(ana, chat, files.picture(), caption="Eis").get_json()["id"]
    graph.answer = None
    answer = ana.post(f"/api/messages/{failed}/retry", {"client_id": str(uuid.uuid4())})
    assert answer.status_code == 201, answer.text
    again = last(ana, chat)
    assert (again["type"], again["text"], again["media"]["kind"]) == ("image", "Eis", "image")
    assert again["attempt_of"] == failed
    assert len(graph.uploads) == 1
    assert [sent["image"]["id"] for sent in graph.received] == [
        given(graph.uploads[0])[1]["id"]
    ] * 2
    for path in (media_folder / "out").rglob(f"{failed}*"):
        path.unlink()  # the first one is deleted before its successor
    for size in ("", "?size=thumb"):
        with ana.get(f"/api/messages/{again['id']}/media{size}") as got:
            assert got.status_code == 200


def test_what_was_wrong_with_a_file_has_it_given_once_more(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    failed = attach(ana, chat, files.picture()).get_json()["id"]
    status = {"id": f"wamid.out.{failed}", "status": "failed", "timestamp": "1764500000"}
    status |= {"biz_opaque_callback_data": failed, "errors": [{"code": 131053, "title": "no"}]}
    deliver(sending_app.test_client(), call(statuses=[status]))
    assert last(ana, chat)["status"] == "failed"
    ana.post(f"/api/messages/{failed}/retry", {"client_id": str(uuid.uuid4())})
    assert (len(graph.uploads), len(graph.received)) == (2, 2)


def test_a_file_that_whatsapp_has_forgotten_is_given_once_more(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meta keeps it for thirty days, and perhaps not always."""
    graph.answer = lambda _body: refused(131047)
    failed = attach(ana, chat, files.picture()).get_json()["id"]
    answers = [refused(100)]
    graph.answer = lambda body: answers.pop() if answers else accepted(body)
    now = sending._now_ms
    monkeypatch.setattr(sending, "_now_ms", lambda: now() + 3_600_000)
    ana.post(f"/api/messages/{failed}/retry", {"client_id": str(uuid.uuid4())})
    assert (len(graph.uploads), len(graph.received)) == (2, 3)
    message = last(ana, chat)
    assert message["status"] == "sending"
    assert "error" not in message
    (entity,) = [each for each in stored(Message) if each.id == message["id"]]
    assert message_status.fact(entity, "wamid")


def test_after_its_days_an_id_is_not_used_any_more(
    ana: Browser, chat: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.answer = lambda _body: refused(131047)
    failed = attach(ana, chat, files.picture()).get_json()["id"]
    graph.answer = None
    now = sending._now_ms
    monkeypatch.setattr(sending, "_now_ms", lambda: now() + 30 * 86_400_000)
    ana.post(f"/api/messages/{failed}/retry", {"client_id": str(uuid.uuid4())})
    assert len(graph.uploads) == 2


def test_a_lost_file_fails_its_message(
    ana: Browser, chat: str, graph: Graph, media_folder: Path
) -> None:
    graph.answer = lambda _body: refused(131053)
    failed = attach(ana, chat, files.picture()).get_json()["id"]
    for path in (media_folder / "out").rglob("*"):
        if path.is_file():
            path.unlink()
    graph.answer = None
    ana.post(f"/api/messages/{failed}/retry", {"client_id": str(uuid.uuid4())})
    message = last(ana, chat)
    assert (message["status"], message["error"]["code"]) == ("failed", "131053")


def test_an_upload_is_read_piece_by_piece_and_within_its_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(300_000))
    with path.open("rb") as file:
        body = MultipartUpload(file, 300_000, "image/png", 60)
        total, pieces = len(body), []
        while piece := body.read(16_384):
            pieces.append(len(piece))
    assert sum(pieces) == total
    assert max(pieces) == 16_384
    with path.open("rb") as file, pytest.raises(TooSlowError):
        MultipartUpload(file, 300_000, "image/png", -1).read()
    with path.open("rb") as file:
        shorter = MultipartUpload(file, 300_001, "image/png", 60)
        with pytest.raises(OSError, match="ended early"):
            list(iter(shorter.read, b""))


def test_files_reach_the_customers_phone(
    store: Store, live_server: Callable[..., LiveServer], simulator: Simulator
) -> None:
    """By real processes: the converter's too."""
    add_attendant(store, "ana", "ana")
    server = live_server()
    simulator.write(MARIA, text="Oi")
    who = LiveAttendant(server.url)
    (chat,) = wait_until(who.chats)
    who.attach(chat, "foto.webp", files.picture("WEBP"), "image/webp", caption="O recibo")
    recorded = files.recording("mp4", "aac")
    who.attach(chat, "voz.mp4", recorded, "audio/mp4", kind="voice")
    who.attach(chat, "conta.pdf", files.PDF, "application/pdf")

    def on_phone() -> list[dict[str, Any]]:
        found = simulator.get(f"/customers/{MARIA}/messages").json()["messages"]
        ours = [each for each in found if each["author"] == "business"]
        return ours if len(ours) == 3 else []

    photo, voice, document = wait_until(on_phone)
    assert (photo["type"], photo["body"]["caption"]) == ("image", "O recibo")
    assert (voice["type"], voice["body"]["voice"]) == ("audio", True)
    assert (document["type"], document["body"]["filename"]) == ("document", "conta.pdf")

    def file_of(message: dict[str, Any]) -> bytes:
        return simulator.get(f"/phone/media/{message['body']['id']}").content

    assert files.opened(file_of(photo)).format == "JPEG"
    assert files.streams(file_of(voice)) == [("audio", "opus", 1)]
    assert file_of(document) == files.PDF
    wait_until(
        lambda: (
            [m["status"] for m in who.thread(chat) if m["direction"] == "out"] == ["delivered"] * 3
        )
    )


def test_a_process_that_is_killed_while_a_file_goes_up_loses_nothing_and_sends_nothing_twice(
    store: Store, live_server: Callable[..., LiveServer], simulator: Simulator
) -> None:
    heir, doomed = live_server(), live_server()  # the callbacks come to the first
    add_attendant(store, "ana", "ana")
    who = LiveAttendant(heir.url)
    simulator.write(MARIA, text="oi")
    (chat,) = wait_until(who.chats)

    def switch(**values: int) -> None:
        simulator.http.patch(f"{simulator.url}/switches", json=values, timeout=30)

    switch(upload_delay_ms=60_000)
    who.move_to(doomed.url)
    photo = who.attach(chat, "foto.png", files.picture("PNG"), "image/png", caption="primeiro")
    conversation = who.chats()[chat]["id"]

    def lease() -> int:
        with store.context():
            found = Outbox.get_by_id(conversation, use_cache=False)
            return found.lease_until if found and found.holder else 0

    begun = wait_until(lease)
    wait_until(lambda: lease() > begun, what="the lease is renewed: the file is going up")
    doomed.kill9()
    switch(upload_delay_ms=0)
    who.move_to(heir.url)
    who.send(chat, "depois")

    def on_phone() -> list[str]:
        found = simulator.get(f"/customers/{MARIA}/messages?all=1").json()["messages"]
        return [each["type"] for each in found if each["author"] == "business"]

    wait_until(lambda: len(on_phone()) >= 2, 60)
    assert on_phone() == ["image", "text"]
    told = {each["id"]: each for each in who.thread(chat)}
    assert "error" not in told[photo]

"""What the routes for files take and refuse, and that a repeat changes nothing."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from chat.conversation.models import Message
from chat.media import service
from chat.media.settings import MediaSettings
from chat.media.store import FolderStore, UploadAddress
from chat.outgoing.sending import Outbox
from chat.platform import datastore
from chat.screen.composer import attachments
from chat.uploads import limits, preparing, staging
from chat.uploads.staging import Upload
from tests.chat.sent_media import files
from tests.chat.sent_media.support import (
    ana,
    attach,
    chat,
    error_of,
    put,
    send_uploaded,
    upload,
)
from tests.chat.support import (
    Browser,
    Graph,
    call,
    deliver,
    login,
    run_together,
    stored,
    text_message,
)
from tests.chat.test_sending import CRON, post
from tests.helpers import wait_until

__all__ = ["ana", "chat"]  # fixtures

pytestmark = [pytest.mark.store, pytest.mark.slow]


def objects(folder: Path) -> list[str]:
    """What is in the store, as names."""
    found = [each for each in folder.rglob("*") if each.is_file()]
    return sorted(str(each.relative_to(folder)) for each in found)


def test_the_limits_are_told_before_anything_is_uploaded(ana: Browser) -> None:
    told = ana.get("/api/media/limits").get_json()
    assert set(told["kinds"]) == set(preparing.KINDS)
    assert told["multipart_max_bytes"] == 20 * 1024 * 1024
    assert told["kinds"]["video"]["max_bytes"] == 16 * 1024 * 1024
    assert "image/webp" in told["kinds"]["image"]["types"]


def test_without_a_login_nothing_is_taken(sending_app: Flask, client: FlaskClient) -> None:
    assert client.put("/api/uploads/x", data=b"x").status_code == 401
    form = {"file": (files.io.BytesIO(files.picture()), "a.jpg", "image/jpeg")}
    assert client.post("/api/conversations/x/messages", data=form).status_code == 401


def test_without_the_pages_token_nothing_is_taken(ana: Browser, chat: str) -> None:
    path = f"/api/conversations/{chat}/messages"
    form = {"client_id": str(uuid.uuid4())}
    form |= {"file": (files.io.BytesIO(files.picture()), "a.jpg", "image/jpeg")}
    assert ana.client.post(path, data=form).status_code == 400
    assert ana.client.put("/api/uploads/x", data=b"x").status_code == 400


def test_a_form_without_a_file_is_refused(ana: Browser, chat: str) -> None:
    answer = ana.client.post(
        f"/api/conversations/{chat}/messages",
        data={"client_id": str(uuid.uuid4()), "caption": "só isto"},
        content_type="multipart/form-data",
        headers={"X-CSRFToken": ana.token},
    )
    assert error_of(answer) == (422, "invalid", "file")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "gif"}, "kind"),
        ({"caption": "x" * 1025}, "caption"),
        ({"reply_to": "nobody"}, "reply_to"),
        ({"read_up_to": "nobody"}, "read_up_to"),
        ({"client_id": "1"}, "client_id"),
        ({"forwarded": "maybe"}, "forwarded"),
        ({"kind": "sticker", "caption": "não tem"}, "caption"),
    ],
)
def test_a_wrong_field_is_named(
    ana: Browser, chat: str, graph: Graph, fields: dict[str, str], field: str
) -> None:
    answer = attach(ana, chat, files.picture(), **fields)
    assert error_of(answer)[::2] == (422, field)
    assert graph.received == []


@pytest.mark.parametrize(
    ("data", "name", "mime_type", "kind"),
    [
        (b"", "vazio.jpg", "image/jpeg", None),
        (files.SVG, "a.jpg", "image/jpeg", "image"),
        (b"PK\x03\x04" + bytes(40), "a.zip", "application/zip", None),
        (b"MZ" + bytes(40), "a.pdf", "application/pdf", None),
        (files.PDF, "a.jpg", "image/jpeg", "image"),
        (files.PDF, "a.ogg", "audio/ogg", "voice"),
    ],
)
def test_what_whatsapp_does_not_take_is_refused_in_words(
    ana: Browser, chat: str, graph: Graph, media_folder: Path,
    data: bytes, name: str, mime_type: str, kind: str | None,
) -> None:  # fmt: skip
    answer = attach(ana, chat, data, name, mime_type, **({"kind": kind} if kind else {}))
    assert error_of(answer) == (422, "unsupported_type", "file")
    assert answer.get_json()["error"]["message"].endswith(".")
    assert (graph.uploads, graph.received, objects(media_folder)) == ([], [], [])
    assert len(ana.thread(chat)) == 1


def test_scripts_as_documents_are_never_shown_inside_the_page(
    ana: Browser, chat: str, graph: Graph
) -> None:
    for data, name in ((files.SVG, "a.svg"), (b"<html><script>1</script>", "a.html")):
        sent = attach(ana, chat, data, name, "text/html").get_json()
        assert sent["media"]["kind"] == "document"
        with ana.get(f"/api/messages/{sent['id']}/media") as got:
            assert got.headers["Content-Disposition"].startswith("attachment")
            assert got.mimetype == "application/octet-stream"
    assert [form["type"] for form in graph.uploads] == ["text/plain"] * 2


def test_a_file_above_the_limit_of_a_request_says_so(
    ana: Browser, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MULTIPART_MAX_BYTES", 1000)
    monkeypatch.setattr(attachments, "_FORM_BYTES", 500)
    for size in (1200, 100_000):
        answer = attach(ana, chat, bytes(size))
        assert error_of(answer) == (413, "too_large", "file")
        assert "ir junto com a mensagem" in answer.get_json()["error"]["message"]


def test_a_video_above_its_limit_says_what_else_would_do(
    ana: Browser, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {**limits.KINDS, "video": limits.Kind("Um vídeo", (), 1024, 1024)}
    monkeypatch.setattr(limits, "KINDS", small)
    answer = attach(ana, chat, files.video(), "v.mp4", "video/mp4")
    assert error_of(answer) == (413, "too_large", "file")
    message = answer.get_json()["error"]["message"]
    assert message.startswith("Um vídeo pode ter até 1 KB; este arquivo tem ")
    assert message.endswith("Como documento, até 100 MB.")


def test_other_routes_take_no_large_bodies(ana: Browser, chat: str) -> None:
    answer = ana.post(f"/api/conversations/{chat}/messages", {"text": "x" * 300_000})
    assert answer.status_code == 413


def test_the_same_again_is_the_same_message(ana: Browser, chat: str, graph: Graph) -> None:
    client_id, photo = str(uuid.uuid4()), files.picture()
    first = attach(ana, chat, photo, client_id=client_id, caption="Eis")
    again = attach(ana, chat, photo, client_id=client_id.upper(), caption="Eis")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.get_json()["media"] == first.get_json()["media"]
    assert len(graph.received) == 1


def test_the_same_again_is_not_converted_again(
    ana: Browser, chat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client_id, photo = str(uuid.uuid4()), files.picture()
    attach(ana, chat, photo, client_id=client_id)
    monkeypatch.setattr(preparing, "convert", pytest.fail)
    assert attach(ana, chat, photo, client_id=client_id).status_code == 200


def test_the_same_at_once_is_one_message_and_one_file(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph, media_folder: Path
) -> None:
    bruno = login(sending_app, "bruno")
    client_id, photo = str(uuid.uuid4()), files.picture()
    jobs = [
        lambda who=who: attach(who, chat, photo, client_id=client_id) for who in (ana, bruno) * 2
    ]
    assert sorted(answer.status_code for answer in run_together(*jobs)) == [200, 200, 200, 201]
    wait_until(lambda: len(graph.received) == 1)
    wait_until(lambda: all(not outbox.queue for outbox in stored(Outbox)))
    (message,) = [each for each in stored(Message) if each.id == client_id]
    assert objects(media_folder) == sorted([message.media["object"], message.media["thumb"]])
    assert stored(Upload) == []
    assert len(graph.received) == 1


@pytest.mark.parametrize("other", [{"caption": "outra"}, {"kind": "document"}, {"name": "b.jpg"}])
def test_a_client_id_for_something_else_is_a_conflict(
    ana: Browser, chat: str, graph: Graph, other: dict[str, Any]
) -> None:
    client_id, photo = str(uuid.uuid4()), files.picture()
    attach(ana, chat, photo, client_id=client_id, caption="Eis")
    answer = attach(ana, chat, photo, **{"client_id": client_id, "caption": "Eis", **other})
    assert error_of(answer) == (409, "client_id_taken", "client_id")
    assert post(ana, chat, "Eis", client_id).status_code == 409
    assert len(graph.received) == 1


def test_a_texts_client_id_is_not_a_files(ana: Browser, chat: str) -> None:
    client_id = str(uuid.uuid4())
    post(ana, chat, "Eis", client_id)
    answer = attach(ana, chat, files.picture(), client_id=client_id, caption="Eis")
    assert error_of(answer) == (409, "client_id_taken", "client_id")


def test_who_answered_meanwhile_is_told_and_nothing_is_sent(
    sending_app: Flask, ana: Browser, chat: str, graph: Graph
) -> None:
    bruno = login(sending_app, "bruno")
    post(bruno, chat, "Já respondi")
    client_id, photo = str(uuid.uuid4()), files.picture()
    answer = attach(ana, chat, photo, client_id=client_id, after="wamid.in")
    assert error_of(answer)[:2] == (409, "collision")
    other = answer.get_json()["error"]["collision"]["id"]
    assert len(graph.received) == 1
    assert attach(ana, chat, photo, client_id=client_id, after=other).status_code == 201
    assert stored(Upload) == []


def test_who_sends_a_file_has_read_and_has_the_chat(ana: Browser, chat: str) -> None:
    assert ana.conversations()[0]["unread_count"] == 1
    attach(ana, chat, files.picture())
    assert ana.conversations()[0]["unread_count"] == 0


# --- uploaded before ------------------------------------------------------------------------------


def test_a_large_file_is_uploaded_before_its_message(
    ana: Browser, chat: str, graph: Graph, media_folder: Path
) -> None:
    told = upload(ana, chat, files.PDF * 5, "conta.pdf", "application/pdf")
    assert (told["method"], told["headers"]) == ("PUT", {"Content-Type": "application/pdf"})
    answer = send_uploaded(ana, chat, told["id"], caption="A conta")
    assert answer.status_code == 201, answer.text
    media = answer.get_json()["media"]
    assert (media["kind"], media["filename"], media["size"]) == (
        "document", "conta.pdf", len(files.PDF * 5),
    )  # fmt: skip
    assert graph.uploads[0]["file"][1] == files.PDF * 5
    assert graph.received[0]["document"]["caption"] == "A conta"
    (message,) = [each for each in stored(Message) if each.id == told["id"]]
    assert objects(media_folder) == [message.media["object"]]
    assert stored(Upload) == []
    again = send_uploaded(ana, chat, told["id"], caption="A conta")
    assert (again.status_code, len(graph.received)) == (200, 1)


def test_an_uploaded_photo_is_converted_like_any_other(
    ana: Browser, chat: str, graph: Graph
) -> None:
    told = upload(ana, chat, files.picture("WEBP"), "a.webp", "image/webp")
    assert send_uploaded(ana, chat, told["id"]).get_json()["media"]["kind"] == "image"
    assert graph.uploads[0]["type"] == "image/jpeg"


def test_the_same_upload_again_is_the_same_upload(ana: Browser, chat: str) -> None:
    client_id = str(uuid.uuid4())
    first = upload(ana, chat, files.PDF, "a.pdf", "application/pdf", client_id)
    again = upload(ana, chat, files.PDF, "a.pdf", "application/pdf", client_id)
    assert (first["id"], first["url"]) == (again["id"], again["url"])
    body = {"client_id": client_id, "filename": "b.pdf", "size": 7, "mime_type": "application/pdf"}
    answer = ana.post(f"/api/conversations/{chat}/uploads", body)
    assert error_of(answer) == (409, "client_id_taken", "client_id")


def test_what_did_not_arrive_whole_is_not_sent(ana: Browser, chat: str, graph: Graph) -> None:
    body = {"client_id": str(uuid.uuid4()), "filename": "a.pdf", "size": 500}
    told = ana.post(f"/api/conversations/{chat}/uploads", body).get_json()["upload"]
    assert error_of(put(ana, told, files.PDF)) == (422, "invalid", "size")
    assert error_of(send_uploaded(ana, chat, told["id"])) == (409, "not_uploaded", "upload")
    assert put(ana, told, files.PDF.ljust(500)).status_code == 200
    assert send_uploaded(ana, chat, told["id"]).status_code == 201
    assert len(graph.received) == 1


def test_an_upload_is_its_attendants(sending_app: Flask, ana: Browser, chat: str) -> None:
    told = upload(ana, chat, files.PDF, "a.pdf", "application/pdf")
    bruno = login(sending_app, "bruno")
    assert error_of(put(bruno, told, files.PDF)) == (404, "not_found", "upload")
    assert error_of(send_uploaded(bruno, chat, told["id"])) == (404, "not_found", "upload")
    body = {"client_id": told["id"], "filename": "a.pdf", "size": len(files.PDF)}
    answer = bruno.post(
        f"/api/conversations/{chat}/uploads", {**body, "mime_type": "application/pdf"}
    )
    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"size": 101 * 1024 * 1024}, (413, "too_large", "file")),
        ({"size": 17 * 1024 * 1024, "kind": "video"}, (413, "too_large", "file")),
        ({"size": 0}, (422, "unsupported_type", "file")),
        ({"size": "9"}, (422, "invalid", "size")),
        ({"size": -1}, (422, "invalid", "size")),
        ({"kind": "gif"}, (422, "invalid", "kind")),
    ],
)
def test_an_upload_that_cannot_be_sent_is_not_begun(
    ana: Browser, chat: str, body: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    asked = {"client_id": str(uuid.uuid4()), "filename": "a", "size": 9, **body}
    assert error_of(ana.post(f"/api/conversations/{chat}/uploads", asked)) == expected
    assert stored(Upload) == []


def test_a_type_that_cannot_stand_in_a_header_is_none(ana: Browser, chat: str) -> None:
    for told in ("text/html\r\nX-A: b", "multipart/form-data", "ü/x", 7, None, "a" * 200 + "/b"):
        body = {"client_id": str(uuid.uuid4()), "filename": "a", "size": 9, "mime_type": told}
        made = ana.post(f"/api/conversations/{chat}/uploads", body).get_json()["upload"]
        assert made["headers"] == {"Content-Type": "application/octet-stream"}


def test_another_messages_upload_is_not_taken(ana: Browser, chat: str) -> None:
    told = upload(ana, chat, files.PDF, "a.pdf", "application/pdf")
    body = {"client_id": str(uuid.uuid4()), "upload": told["id"]}
    answer = ana.post(f"/api/conversations/{chat}/messages", body)
    assert error_of(answer) == (422, "invalid", "upload")


def test_what_was_uploaded_and_not_sent_is_deleted_after_a_day(
    sending_app: Flask, ana: Browser, chat: str, media_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sent = attach(ana, chat, files.picture()).get_json()
    upload(ana, chat, files.PDF, "a.pdf", "application/pdf")
    cron = sending_app.test_client()
    assert cron.get("/tasks/uploads", headers=CRON).get_json() == {"done": 0}
    monkeypatch.setattr(staging, "KEPT_MS", -1)
    assert cron.get("/tasks/uploads", headers=CRON).get_json() == {"done": 1}
    (message,) = [each for each in stored(Message) if each.id == sent["id"]]
    assert objects(media_folder) == sorted([message.media["object"], message.media["thumb"]])
    assert stored(Upload) == []


def test_what_a_lost_process_left_is_deleted_after_a_day(
    sending_app: Flask, ana: Browser, chat: str, media_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(preparing, "attachment", lambda *_args: 1 / 0)
        patched.setitem(sending_app.config, "PROPAGATE_EXCEPTIONS", False)
        assert attach(ana, chat, files.picture()).status_code == 500
    assert len(objects(media_folder)) == 2
    monkeypatch.setattr(staging, "KEPT_MS", -1)
    sending_app.test_client().get("/tasks/uploads", headers=CRON)
    assert (objects(media_folder), stored(Upload)) == ([], [])


def test_with_a_bucket_the_browser_puts_files_there(
    ana: Browser, chat: str, monkeypatch: pytest.MonkeyPatch, sending_app: Flask
) -> None:
    assert attachments.BUCKETS not in ana.get("/").headers["Content-Security-Policy"]
    address = UploadAddress("https://storage.googleapis.com/files/x?sig", {"Content-Type": "a/b"})
    monkeypatch.setattr(FolderStore, "upload_url", lambda *_args, **_how: address)
    files_of_app = sending_app.extensions["media"]
    assert isinstance(files_of_app.store, FolderStore)  # is there from now on
    monkeypatch.setattr(files_of_app, "settings", MediaSettings(bucket="files"))
    body = {"client_id": str(uuid.uuid4()), "filename": "a.pdf", "size": 9}
    made = ana.post(f"/api/conversations/{chat}/uploads", body).get_json()["upload"]
    assert (made["url"], made["headers"]) == (address.url, address.headers)
    policy = ana.get("/").headers["Content-Security-Policy"]
    assert f"connect-src 'self' {attachments.BUCKETS}" in policy


# --- passed on ------------------------------------------------------------------------------------


@pytest.fixture
def other_chat(sending_app: Flask, ana: Browser, chat: str) -> str:
    deliver(sending_app.test_client(), call(text_message("o", **{"from": "5521998877665"})))
    return str(next(each["id"] for each in ana.conversations() if each["id"] != chat))


def forward(browser: Browser, chat: str, message_id: str, client_id: str | None = None) -> Any:
    body = {"client_id": client_id or str(uuid.uuid4()), "forward_of": message_id}
    return browser.post(f"/api/conversations/{chat}/messages", {**body, "forwarded": True})


def test_a_file_is_passed_on_with_its_caption_and_in_an_object_of_its_own(
    ana: Browser, chat: str, other_chat: str, graph: Graph, media_folder: Path
) -> None:
    sent = attach(ana, chat, files.picture(), caption="Eis").get_json()
    answer = forward(ana, other_chat, sent["id"])
    assert answer.status_code == 201, answer.text
    again = answer.get_json()
    assert (again["text"], again["forwarded"], again["media"]) == ("Eis", True, sent["media"])
    assert len(objects(media_folder)) == 4
    assert [body["image"]["caption"] for body in graph.received] == ["Eis", "Eis"]
    assert graph.received[1]["to"] == "+5521998877665"


def test_voice_notes_stickers_and_documents_are_passed_on(
    ana: Browser, chat: str, other_chat: str, graph: Graph
) -> None:
    recorded = files.recording("ogg", "libopus")
    for data, name, kind in (
        (recorded, "v.ogg", "voice"),
        (files.picture(), "f.jpg", "sticker"),
        (files.PDF, "conta.pdf", "document"),
    ):
        sent = attach(ana, chat, data, name, kind=kind).get_json()
        passed = forward(ana, other_chat, sent["id"]).get_json()
        assert (passed["type"], passed["media"]) == (sent["type"], sent["media"])
    assert graph.received[1]["audio"]["voice"] is True
    assert graph.received[5]["document"]["filename"] == "conta.pdf"


def test_the_same_passed_on_again_is_the_same_message(
    ana: Browser, chat: str, other_chat: str, graph: Graph, media_folder: Path
) -> None:
    sent, client_id = attach(ana, chat, files.picture()).get_json(), str(uuid.uuid4())
    assert forward(ana, other_chat, sent["id"], client_id).status_code == 201
    assert forward(ana, other_chat, sent["id"], client_id).status_code == 200
    assert (len(graph.received), len(objects(media_folder))) == (2, 4)
    another = attach(ana, chat, files.picture("PNG")).get_json()
    assert forward(ana, other_chat, another["id"], client_id).status_code == 409


@pytest.mark.parametrize("message_id", ["wamid.in", "nobody", 7, None, "__x__"])
def test_what_has_no_file_is_not_passed_on(ana: Browser, chat: str, message_id: Any) -> None:
    answer = forward(ana, chat, message_id)
    assert error_of(answer) == (422, "invalid", "forward_of")


def test_what_has_not_been_fetched_is_not_passed_on(
    sending_app: Flask, ana: Browser, chat: str
) -> None:
    photo = {"id": "1", "mime_type": "image/jpeg", "sha256": "x"}
    message = text_message("wamid.photo", type="image", image=photo, text=None)
    deliver(sending_app.test_client(), call(message))
    assert error_of(forward(ana, chat, "wamid.photo")) == (422, "unavailable", "forward_of")


@pytest.mark.parametrize(
    ("kind", "data", "mime_type", "sent_as"),
    [
        ("image", files.picture(), "image/jpeg", "image/jpeg"),
        ("image", files.picture("WEBP"), "image/webp", "image/jpeg"),
        ("sticker", files.picture("WEBP", (256, 256)), "image/webp", "image/webp"),
        ("document", files.PDF, "application/pdf", "application/pdf"),
        ("document", b"a;b", "text/csv", "text/plain"),
    ],
)
def test_a_customers_file_is_passed_on_as_whatsapp_takes_it(
    sending_app: Flask, ana: Browser, chat: str, other_chat: str, graph: Graph,
    kind: str, data: bytes, mime_type: str, sent_as: str,
) -> None:  # fmt: skip
    part = {"id": "1", "mime_type": mime_type, "caption": "Olhe"}
    deliver(
        sending_app.test_client(), call(text_message("w", type=kind, text=None, **{kind: part}))
    )
    has_arrived(sending_app, "w", kind, data, mime_type)
    answer = forward(ana, other_chat, "w")
    assert answer.status_code == 201, answer.text
    assert graph.uploads[0]["type"] == sent_as
    sent = graph.uploads[0]["file"][1]
    if kind == "sticker":
        assert files.opened(sent).size == (512, 512)
    if mime_type == sent_as and kind != "sticker":
        assert sent == data


def test_a_customers_file_that_whatsapp_does_not_take_is_not_passed_on(
    sending_app: Flask, ana: Browser, chat: str, other_chat: str
) -> None:
    archive = {"id": "1", "mime_type": "application/zip", "filename": "a.zip"}
    message = text_message("w", type="document", text=None, document=archive)
    deliver(sending_app.test_client(), call(message))
    has_arrived(sending_app, "w", "document", b"PK\x03\x04", "application/zip")
    assert error_of(forward(ana, other_chat, "w")) == (422, "unsupported_type", "file")


def has_arrived(app: Flask, message_id: str, kind: str, data: bytes, mime_type: str) -> None:
    """The file of a customer's message has been fetched."""
    with app.app_context(), datastore.context():
        service.current().store.put("in/x", [data], mime_type)
        message = datastore.get(Message, message_id)
        assert message is not None
        size = files.opened(data).size if mime_type.startswith("image/") else (None, None)
        facts = {"kind": kind, "state": "ready", "mime_type": mime_type, "size": len(data)}
        message.media = {**facts, "width": size[0], "height": size[1], "object": "in/x"}
        message.put()


# --- found again ----------------------------------------------------------------------------------


def test_captions_and_names_of_files_are_found(ana: Browser, chat: str) -> None:
    photo = attach(ana, chat, files.picture(), caption="O comprovante").get_json()
    document = attach(ana, chat, files.PDF, "contrato.pdf", kind="document").get_json()
    for words, expected in (("comprovante", photo), ("contrato", document)):
        found = ana.get(f"/api/messages/search?q={words}").get_json()["messages"]
        assert [each["id"] for each in found] == [expected["id"]]

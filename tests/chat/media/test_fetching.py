"""From the webhook into the store: what customers send is fetched once, checked, and told."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask

import realtime_events
from chat.conversation.models import Message
from chat.media import fetching
from chat.media.fetching import MediaFetch, object_name
from chat.media.graph import GraphMedia
from chat.platform import datastore
from local.simulator import Simulator
from tests.chat.media.hostile import sample
from tests.chat.media.support import Files
from tests.chat.support import MARIA, call, deliver, published, run_together, stored, text_message

pytestmark = pytest.mark.store
DAY = 86_400


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Milliseconds by which the application's clock is ahead."""
    ahead = [0]
    real = realtime_events.now_ms
    monkeypatch.setattr(realtime_events, "now_ms", lambda: real() + ahead[0])
    return iter([ahead]).__next__()


def test_a_photo_is_pending_at_once_and_ready_when_it_was_fetched(files: Files) -> None:
    photo = sample("foto.jpg")
    message_id = files.send(photo, caption="o recibo")
    message = files.message(message_id)
    assert message["media"] == {
        "kind": "image",
        "state": "pending",
        "mime_type": "image/jpeg",
        "size": None,
        "thumb": False,
    }
    assert message["text"] == "o recibo"
    assert files.get(message_id).get_json()["error"]["code"] == "pending"
    assert files.fetch() == 1
    facts = files.facts(message_id)
    assert facts["state"] == "ready", facts
    assert (facts["width"], facts["height"], facts["size"]) == (640, 480, len(photo))
    assert len(facts["preview"]) <= 800
    assert files.get(message_id).data == photo
    assert files.get(message_id, "?size=thumb").mimetype == "image/webp"
    (told,) = published("message.updated")
    assert json.loads(told.data)["message"]["media"] == facts
    assert stored(MediaFetch) == []
    assert files.fetch() == 0


def test_nothing_of_the_customer_or_of_whatsapp_is_told_with_it(files: Files) -> None:
    message_id = files.send(sample("foto.jpg"))
    files.fetch()
    (message,) = stored(Message)
    facts = json.dumps(files.facts(message_id))
    for hidden in (message.media["graph_id"], message.media["object"], message.media["sha256"]):
        assert hidden not in facts
    assert MARIA not in message.media["object"]


def test_a_voice_note_is_told_with_its_shape_and_the_list_with_its_length(files: Files) -> None:
    message_id = files.send(sample("voz.ogg"), "audio", "audio/ogg; codecs=opus", voice=True)
    (before,) = files.ana.conversations()
    assert before["last_message"]["text"] == "🎤 Mensagem de voz"
    files.fetch()
    facts = files.facts(message_id)
    assert (facts["kind"], facts["duration"], len(facts["waveform"])) == ("voice", 2.99, 64)
    (conversation,) = files.ana.conversations()
    assert conversation["last_message"]["text"] == "🎤 0:03"
    assert conversation["version"] > before["version"]
    assert conversation["unread_count"] == 1


def test_the_list_goes_on_showing_what_came_later(files: Files) -> None:
    files.send(sample("voz.ogg"), "audio", "audio/ogg", voice=True)
    later = text_message("wamid.later", "e então?", at=files.now() + 50)
    deliver(files.app.test_client(), call(later))
    files.fetch()
    (conversation,) = files.ana.conversations()
    assert conversation["last_message"]["text"] == "e então?"


@pytest.mark.parametrize("form", ["hex", "HEX", "base64", "urlsafe", "none", "unusable"])
def test_a_sha256_may_come_in_any_form(files: Files, form: str) -> None:
    import base64

    photo = sample("foto.jpg")
    raw = hashlib.sha256(photo).digest()
    told = {
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "base64": base64.b64encode(raw).decode(),
        "urlsafe": base64.urlsafe_b64encode(raw).decode(),
        "none": None,
        "unusable": "?",
    }[form]
    message_id = files.send(photo, sha256=told)
    files.fetch()
    assert files.facts(message_id)["state"] == "ready"


def test_a_file_that_differs_from_its_hash_is_tried_again_and_then_given_up(
    files: Files, whatsapp: Simulator, clock: list[int]
) -> None:
    whatsapp.switches.change({"media_wrong_sha256": {}})
    message_id = files.send(sample("foto.jpg"))
    for _ in range(fetching.MOST_WRONG):
        assert files.facts(message_id)["state"] == "pending"
        assert files.fetch() == 1
        assert files.get(message_id).status_code == 404
        clock[0] += 7_200_000
    facts = files.facts(message_id)
    assert (facts["state"], facts["reason"]) == ("unavailable", "damaged")
    assert facts["explanation"].endswith("Peça ao cliente que envie de novo.")
    assert files.media.store.size(object_name(message_id)) is None
    assert files.get(message_id).get_json()["error"]["reason"] == "damaged"
    assert stored(MediaFetch) == []


def test_a_file_that_arrives_whole_at_the_second_try_is_kept(
    files: Files, whatsapp: Simulator, clock: list[int]
) -> None:
    message_id = files.send(sample("foto.jpg"))
    whatsapp.switches.change({"media_fail": {"cut_after": 2000, "times": 1}})
    files.fetch()
    assert files.facts(message_id)["state"] == "pending"
    assert files.fetch() == 0, "not at once"
    clock[0] += 6_000
    files.fetch()
    assert files.get(message_id).data == sample("foto.jpg")


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_a_download_that_is_refused_is_asked_for_anew(
    files: Files, whatsapp: Simulator, clock: list[int], status: int
) -> None:
    message_id = files.send(sample("foto.jpg"))
    whatsapp.switches.change({"media_fail": {"http_status": status, "times": 1}})
    files.fetch()
    assert files.facts(message_id)["state"] == "pending"
    clock[0] += 6_000
    files.fetch()
    assert files.facts(message_id)["state"] == "ready"


def test_an_id_that_whatsapp_does_not_know_any_more_is_unavailable_at_once(
    files: Files, whatsapp: Simulator
) -> None:
    whatsapp.switches.change({"media_expired": {}})
    message_id = files.send(sample("foto.jpg"))
    files.fetch()
    facts = files.facts(message_id)
    assert (facts["state"], facts["reason"]) == ("unavailable", "expired")


def test_while_whatsapp_is_away_it_is_tried_for_seven_days(
    files: Files, whatsapp: Simulator, clock: list[int]
) -> None:
    message_id = files.send(sample("foto.jpg"))
    whatsapp.switches.change({"graph_down": "503"})
    pauses = []
    for _ in range(12):
        files.fetch()
        ((_, due),) = files.queue.waiting
        pauses.append((due - realtime_events.now_ms()) / 1000)
        clock[0] = clock[0] + int(pauses[-1] * 1000) + 100
    assert pauses[0] < 6
    assert pauses[0] < pauses[3] < pauses[6]
    assert 2_000 < pauses[-1] <= 4_500, "an hour at most"
    assert files.facts(message_id)["state"] == "pending"
    clock[0] = 7 * DAY * 1000
    files.fetch()
    facts = files.facts(message_id)
    assert (facts["state"], facts["reason"]) == ("unavailable", "expired")


def test_a_refused_token_is_a_matter_of_the_operator_and_tried_again(
    files: Files, whatsapp: Simulator, clock: list[int]
) -> None:
    message_id = files.send(sample("foto.jpg"))
    right, whatsapp.token = whatsapp.token, "another"
    for _ in range(6):
        files.fetch()
        clock[0] += 7_200_000
    assert files.facts(message_id)["state"] == "pending"
    whatsapp.token = right
    files.fetch()
    assert files.facts(message_id)["state"] == "ready"


def test_an_empty_file_is_unavailable(files: Files, clock: list[int]) -> None:
    message_id = files.send(b"", "document", "application/pdf", filename="x.pdf")
    for _ in range(fetching.MOST_WRONG):
        files.fetch()
        clock[0] += 7_200_000
    facts = files.facts(message_id)
    assert (facts["state"], facts["reason"]) == ("unavailable", "empty")


def test_what_is_told_to_be_too_large_is_not_even_begun(
    files: Files, whatsapp: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fetching.MAX_BYTES, "image", 1000)
    downloads: list[str] = []
    monkeypatch.setattr(GraphMedia, "download", lambda _, url, __: downloads.append(url))
    message_id = files.send(sample("foto.jpg"))
    files.fetch()
    facts = files.facts(message_id)
    assert (facts["state"], facts["reason"], downloads) == ("unavailable", "too_large", [])


def test_what_goes_on_longer_than_told_is_given_up(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fetching.MAX_BYTES, "document", 300_000)
    given: list[int] = []

    def endless(*_: Any) -> Iterator[bytes]:
        while True:
            given.append(1)
            yield bytes(100_000)

    monkeypatch.setattr(GraphMedia, "download", endless)
    message_id = files.send(b"x", "document", "application/pdf")
    files.fetch()
    assert files.facts(message_id)["reason"] == "too_large"
    assert len(given) == 4
    assert files.media.store.size(object_name(message_id)) is None


def test_a_message_without_an_id_of_its_file_is_unavailable(files: Files) -> None:
    message_id = files.tell("image", {"mime_type": "image/jpeg", "caption": "veja"})
    facts = files.facts(message_id)
    assert (facts["state"], facts["reason"]) == ("unavailable", "no_id")
    assert files.fetch() == 0


def test_a_repeated_webhook_fetches_nothing_twice(files: Files) -> None:
    photo = files.whatsapp.media.add(sample("foto.jpg"), "image/jpeg", "x")
    body = {"from": MARIA, "id": "wamid.x", "type": "image", "timestamp": str(files.now())}
    message = {**body, "image": {"id": photo.id, "mime_type": "image/jpeg"}}
    for _ in range(3):
        assert deliver(files.app.test_client(), call(message)).status_code == 200
    assert len(files.queue.waiting) == 1
    assert files.fetch() == 1
    deliver(files.app.test_client(), call(message))
    assert files.facts("wamid.x")["state"] == "ready"
    assert files.fetch() == 0


def test_a_lost_task_is_found_by_the_sweep(files: Files, clock: list[int]) -> None:
    message_id = files.send(sample("foto.jpg"))
    files.queue.waiting.clear()
    assert files.sweep() == 0, "its task is coming"
    clock[0] += 4_000
    assert files.sweep() == 1
    assert files.facts(message_id)["state"] == "ready"
    clock[0] += DAY * 1000
    assert files.sweep() == 0


def test_two_who_fetch_at_the_same_time_are_one(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = files.send(sample("foto.jpg"))
    asked: list[str] = []
    find = GraphMedia.find

    def counted(self: GraphMedia, graph_id: str) -> Any:
        asked.append(graph_id)
        return find(self, graph_id)

    monkeypatch.setattr(GraphMedia, "find", counted)

    def work() -> None:
        files.media._work(message_id)

    run_together(work, work, work)
    assert len(asked) == 1
    assert files.facts(message_id)["state"] == "ready"
    assert len(published("message.updated")) == 1


def test_when_a_lease_runs_out_another_takes_over_and_the_first_spoils_nothing(
    files: Files, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is a process that hung for minutes, and then goes on."""
    message_id = files.send(sample("foto.jpg"))
    begun, go_on = threading.Event(), threading.Event()
    download = GraphMedia.download
    monkeypatch.setattr(fetching, "_RENEW_SECONDS", -1.0)

    def slow(self: GraphMedia, url: str, deadline: float) -> Iterator[bytes]:
        first = not begun.is_set()
        for chunk in download(self, url, deadline):
            if first:
                begun.set()
                assert go_on.wait(60)
            yield chunk

    monkeypatch.setattr(GraphMedia, "download", slow)
    hung = threading.Thread(target=files.media._work, args=(message_id,))
    hung.start()
    assert begun.wait(60)
    clock[0] += fetching.LEASE_MS - 1_000
    assert files.sweep() == 0, "it may still be at it"
    clock[0] += 10_000
    assert files.sweep() == 1
    ready = files.facts(message_id)
    assert ready["state"] == "ready"
    go_on.set()
    hung.join(60)
    assert not hung.is_alive()
    assert files.facts(message_id) == ready
    assert files.get(message_id).data == sample("foto.jpg")
    assert len(published("message.updated")) == 1
    assert stored(MediaFetch) == []


class _KilledError(BaseException):
    """What ends a process says nothing to anybody."""


def test_a_file_that_ends_its_process_each_time_does_so_ever_more_seldom(
    files: Files, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = files.send(sample("foto.jpg"))

    def killed(*_: Any) -> Any:
        raise _KilledError

    monkeypatch.setattr(fetching.Fetcher, "_fetch", killed)
    pauses = []
    for _ in range(9):
        with files.app.app_context(), datastore.context():
            with pytest.raises(_KilledError):
                files.media.fetcher.run(message_id)
            assert files.media.fetcher.run(message_id) is False
        (fetch,) = stored(MediaFetch)
        pauses.append(fetch.due_at - realtime_events.now_ms())
        clock[0] += pauses[-1] + 1_000
    assert 50_000 < pauses[0] <= fetching.LEASE_MS
    assert pauses[0] < pauses[2] < pauses[4]
    assert 3_500_000 < pauses[-1] <= 3_600_000, "an hour at most"
    assert files.facts(message_id)["state"] == "pending"
    clock[0] += 7 * DAY * 1000
    files.sweep()
    facts = files.facts(message_id)
    assert (facts["state"], facts["reason"]) == ("unavailable", "expired")
    assert stored(MediaFetch) == []


def test_a_fault_of_ours_is_tried_again_as_any_other(
    files: Files, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = files.send(sample("foto.jpg"))
    with monkeypatch.context() as broken:
        broken.setattr(fetching.Fetcher, "_fetch", lambda *_: 1 / 0)
        files.fetch()
    ((_, due),) = files.queue.waiting
    assert 0 < due - realtime_events.now_ms() < 6_000
    clock[0] += 6_000
    files.fetch()
    assert files.facts(message_id)["state"] == "ready"


def test_the_store_of_files_being_away_costs_time_and_nothing_else(
    files: Files, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from chat.media.store import FolderStore, StoreError

    message_id = files.send(sample("foto.jpg"))

    def away(*_: Any) -> int:
        raise StoreError("away")

    with monkeypatch.context() as broken:
        broken.setattr(FolderStore, "put", away)
        files.fetch()
    assert files.facts(message_id)["state"] == "pending"
    clock[0] += 6_000
    files.fetch()
    assert files.facts(message_id)["state"] == "ready"


def test_a_picture_of_the_businesss_own_phone_is_fetched_too(files: Files) -> None:
    photo = files.whatsapp.media.add(sample("foto.jpg"), "image/jpeg", "x")
    message = {"from": "551130030000", "to": MARIA, "id": "wamid.echo", "type": "image",
               "timestamp": str(files.now()), "image": {"id": photo.id}}  # fmt: skip
    change = {"field": "smb_message_echoes", "value": {"message_echoes": [message]}}
    deliver(files.app.test_client(), {"entry": [{"changes": [change]}]})
    files.fetch()
    assert files.message("wamid.echo")["direction"] == "out"
    assert files.facts("wamid.echo")["state"] == "ready"


def test_a_message_that_was_taken_back_shows_no_file(files: Files) -> None:
    message_id = files.send(sample("foto.jpg"))
    revoke = {"from": MARIA, "id": "wamid.r", "type": "revoke", "timestamp": str(files.now() + 5)}
    revoke["revoke"] = {"original_message_id": message_id}  # type: ignore[assignment]
    deliver(files.app.test_client(), call(revoke))
    files.fetch()
    assert "media" not in files.message(message_id)
    assert files.get(message_id).status_code == 404


def test_the_webhook_asks_nobody_for_a_file(
    files: Files, whatsapp: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("inside the webhook's request")

    monkeypatch.setattr(requests.Session, "get", never)
    for kind in ("image", "video", "audio", "document", "sticker"):
        files.send(sample("foto.jpg"), kind)
    assert len(files.queue.waiting) == 5


def test_a_queue_that_is_away_does_not_fail_the_webhook(
    files: Files, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(files.queue, "put", away)
    message_id = files.send(sample("foto.jpg"))
    clock[0] += 4_000
    assert files.sweep() == 1
    assert files.facts(message_id)["state"] == "ready"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1", True),
        ("https://graph.facebook.com/x", True),
        ("https://lookaside.fbsbx.com:443/x", True),
        ("http://lookaside.fbsbx.com/x", False),
        ("https://lookaside.fbsbx.com:8443/x", False),
        ("https://evil.example/lookaside.fbsbx.com", False),
        ("https://lookaside.fbsbx.com.evil.example/x", False),
        ("https://lookaside.fbsbx.com@evil.example/x", False),
        ("https://evil.example\\@lookaside.fbsbx.com/x", False),
        ("http://169.254.169.254/computeMetadata/v1/", False),
        ("http://127.0.0.1:1/x", False),
        ("file:///etc/passwd", False),
        ("https://[::1/x", False),
        ("", False),
    ],
)
def test_the_token_goes_to_meta_only(media_app: Flask, url: str, allowed: bool) -> None:
    graph: GraphMedia = media_app.extensions["media"].fetcher._graph
    assert graph.may_have_token(url) is allowed


def test_an_address_elsewhere_is_not_asked(
    files: Files, whatsapp: Simulator, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    described = type(whatsapp.media).describe
    monkeypatch.setattr(
        type(whatsapp.media),
        "describe",
        lambda *given: {**described(*given), "url": "http://127.0.0.2:9/steal"},
    )
    asked: list[str] = []
    get = requests.Session.get

    def noted(self: requests.Session, url: str, **request: Any) -> Any:
        asked.append(url)
        return get(self, url, **request)

    monkeypatch.setattr(requests.Session, "get", noted)
    message_id = files.send(sample("foto.jpg"))
    for _ in range(fetching.MOST_WRONG):
        files.fetch()
        clock[0] += 7_200_000
    assert files.facts(message_id)["reason"] == "expired"
    assert all(url.startswith(whatsapp.url) for url in asked)


def test_names_that_could_lead_astray_are_made_harmless(files: Files) -> None:
    names = {
        "../../etc/passwd": "passwd",
        "C:\\windows\\system32\\cmd.exe": "cmd.exe",
        "recibo\r\nSet-Cookie: a=b.pdf": "reciboSet-Cookie_ a=b.pdf",
        "fatura\u202efdp.exe": "faturafdp.exe",
        "a" * 400 + ".pdf": "a" * 145 + "….pdf",
        'nota "fiscal".pdf': "nota _fiscal_.pdf",
    }
    for told, shown in names.items():
        message_id = files.send(sample("orcamento.pdf"), "document", "application/pdf",
                                filename=told)  # fmt: skip
        files.fetch()
        message = files.message(message_id)
        assert message["media"]["filename"] == shown, told
        assert message["placeholder"] == f"📄 {shown[:100]}"
        header = files.get(message_id).headers["Content-Disposition"]
        assert header.startswith("attachment; filename=")
        assert "\r" not in header
        assert "/" not in header.replace("UTF-8''", "")
    for told in ("", "..", "/", "\u202e"):
        message_id = files.send(sample("orcamento.pdf"), "document", filename=told)
        assert "filename" not in files.facts(message_id)
        files.fetch()
        assert "documento-" in files.get(message_id).headers["Content-Disposition"]


def test_a_message_that_went_away_meanwhile_is_let_go(files: Files) -> None:
    message_id = files.send(sample("foto.jpg"))
    with datastore.context():
        datastore.get(Message, message_id).key.delete()  # type: ignore[union-attr]
    assert files.fetch() == 0
    assert stored(MediaFetch) == []

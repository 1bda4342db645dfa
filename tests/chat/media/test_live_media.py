"""Real processes: nothing waits for a download, and one that dies in it loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from chat.media.fetching import MediaFetch, object_name
from local.simulator.files import SAMPLE_FILES
from tests.chat.live_attendant import LiveAttendant
from tests.chat.media.hostile import sample
from tests.chat.media.support import CRON
from tests.chat.support import MARIA
from tests.helpers import LiveServer, Simulator, Store, add_attendant, wait_until

pytestmark = pytest.mark.store
CHAT = "+55 11 98765-4321"
PHONE = f"/customers/{MARIA}/messages"


def by_id(ana: LiveAttendant) -> dict[str, dict[str, Any]]:
    return {message["id"]: message for message in ana.thread(CHAT)}


def switch(simulator: Simulator, **faults: Any) -> None:
    url = f"{simulator.url}/switches"
    simulator.http.patch(url, json=faults, timeout=30).raise_for_status()


def test_every_kind_of_file_arrives(
    live_server: Callable[..., LiveServer], simulator: Simulator, store: Store
) -> None:
    server = live_server()
    add_attendant(store, "ana", "ana")
    sent = {
        simulator.post(PHONE, {"type": kind, "sample": name}).json()["id"]: name
        for kind, names in SAMPLE_FILES.items()
        for name in names
    }
    ana = LiveAttendant(server.url)

    def ready() -> dict[str, dict[str, Any]]:
        messages = by_id(ana)
        here = {id_: messages.get(id_, {}).get("media", {"state": "not there"}) for id_ in sent}
        found = {name: here[message_id] for message_id, name in sent.items()}
        states = {name: facts["state"] for name, facts in found.items()}
        assert set(states.values()) == {"ready"}, states
        return found

    found = wait_until(ready)
    assert {name: facts["kind"] for name, facts in found.items()} == {
        **{name: kind for kind, names in SAMPLE_FILES.items() for name in names},
        "voz.ogg": "voice",
    }
    assert found["figurinha-animada.webp"]["animated"] is True
    for message_id, name in sent.items():
        assert ana.file(message_id).content == sample(name), name


def test_downloads_that_hang_hold_up_nobody(
    live_server: Callable[..., LiveServer], simulator: Simulator, store: Store
) -> None:
    server = live_server()
    add_attendant(store, "ana", "ana")
    switch(simulator, media_slow={"seconds": 600})
    photos = simulator.post(PHONE, {"type": "image", "count": 12}).json()["ids"]
    text = simulator.post(PHONE, {"text": "e as fotos?"}).json()["id"]
    ana = LiveAttendant(server.url)
    wait_until(lambda: text in by_id(ana) and set(photos) <= set(by_id(ana)))
    messages = by_id(ana)
    assert {messages[photo]["media"]["state"] for photo in photos} == {"pending"}
    counts = wait_until(lambda: (c := simulator.get("/deliveries").json())["pending"] == 0 and c)
    assert counts["retried"] == 0
    assert requests.get(f"{server.url}/healthz", timeout=30).status_code == 200


def test_a_process_killed_in_mid_download_leaves_it_to_the_next(
    live_server: Callable[..., LiveServer],
    simulator: Simulator,
    store: Store,
    media_folder: Path,
) -> None:
    first = live_server()
    add_attendant(store, "ana", "ana")
    switch(simulator, media_slow={"seconds": 600, "times": 1})
    message_id = simulator.post(PHONE, {"type": "video"}).json()["id"]
    unfinished = media_folder / ".unfinished"
    # A place is made for it before it is asked for.
    wait_until(lambda: simulator.get("/switches").json()["media_slow"] is None)
    assert any(unfinished.iterdir())
    first.kill9()
    assert not (media_folder / object_name(message_id)).exists()

    second = live_server(port=first.port)
    ana = LiveAttendant(second.url)
    assert by_id(ana)[message_id]["media"]["state"] == "pending"
    assert ana.file(message_id).status_code == 404

    def sweep() -> int:
        answer = requests.get(f"{second.url}/tasks/media", headers=CRON, timeout=100)
        done: int = answer.json()["done"]
        return done

    assert sweep() == 0, "its lease has not run out"
    with store.context():
        (fetch,) = MediaFetch.query().fetch()
        fetch.due_at = 1
        fetch.put()
    assert sweep() == 1
    assert by_id(ana)[message_id]["media"]["state"] == "ready"
    assert ana.file(message_id).content == sample("video.mp4")
    with store.context():
        assert MediaFetch.query().fetch() == []

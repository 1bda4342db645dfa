"""Claude sees the customer's pictures and short PDFs, and hears honestly of everything else."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from chat.auto_reply.seeing import files as seeing
from chat.incoming import webhook
from local.claude import attachments
from local.simulator import Simulator
from local.simulator.media import SAMPLES
from tests.chat.auto_reply_support import Clock, Shop
from tests.chat.media.support import Files
from tests.pictures import jpeg, picture


class Counter(Files):
    """A customer who sends files to a shop in which Claude answers."""

    def __init__(self, shop: Shop, whatsapp: Simulator) -> None:
        super().__init__(shop.app, whatsapp)
        self.shop = shop

    def now(self) -> int:
        return self.shop.clock.ms // 1000

    def asked(self) -> list[dict[str, Any]]:
        """Has the queue work; the turns that Claude was asked with last."""
        self.shop.run_tasks()
        turns: list[dict[str, Any]] = self.shop.claude.requests[-1]["messages"]
        return turns

    def words(self) -> str:
        return said(self.asked())


def said(turns: list[dict[str, Any]]) -> str:
    blocks = [block for turn in turns for block in turn["content"]]
    return "\n".join(block["text"] for block in blocks if block["type"] == "text")


def shown(turns: list[dict[str, Any]]) -> list[Image.Image]:
    found = [each for each in attachments.blocks(turns) if each["type"] == "image"]
    data = [base64.b64decode(each["source"]["data"]) for each in found]
    return [Image.open(io.BytesIO(each)) for each in data]


@pytest.fixture
def at(
    open_shop: Callable[..., Shop],
    whatsapp: Simulator,
    media_folder: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Counter]:
    """`at(AUTO_REPLY_IMAGE_TOKENS=0)`: a shop, with the simulator's WhatsApp."""
    monkeypatch.setattr(webhook, "_receipt_ms", lambda: clock.ms)

    def make(**settings: Any) -> Counter:
        shop = open_shop(WHATSAPP_API_URL=whatsapp.url, **settings)
        return Counter(shop, whatsapp)

    return make


def test_a_photo_is_seen_below_its_words(at: Callable[..., Counter]) -> None:
    counter = at()
    counter.send((SAMPLES / "foto.jpg").read_bytes(), caption="é esta peça?")
    counter.fetch()
    turns = counter.asked()
    (turn,) = turns
    assert [block["type"] for block in turn["content"]] == ["text", "image"]
    assert "[O cliente enviou uma foto; está logo a seguir]\né esta peça?" in said(turns)
    (seen,) = shown(turns)
    assert (seen.format, seen.size) == ("JPEG", (640, 480))
    assert counter.shop.said("claude") != []


@pytest.mark.parametrize(
    ("kind", "mime_type"), [("PNG", "image/png"), ("WEBP", "image/webp"), ("GIF", "image/gif")]
)
def test_each_format_is_given_as_one_that_the_api_takes(
    at: Callable[..., Counter], kind: str, mime_type: str
) -> None:
    counter = at()
    counter.send(picture(90, 60, kind), "image", mime_type)
    counter.fetch()
    (seen,) = shown(counter.asked())
    assert (seen.format, seen.size) == ("JPEG", (90, 60))


def test_a_large_photo_costs_no_more_than_it_may(at: Callable[..., Counter]) -> None:
    counter = at()
    counter.send(jpeg(4000, 3000))
    counter.fetch()
    turns = counter.asked()
    (seen,) = shown(turns)
    assert max(seen.size) <= 1568
    assert 1_300 < attachments.tokens(turns) <= seeing.NEWEST_TOKENS + 10


def test_of_many_the_newest_are_seen_and_the_rest_is_told(at: Callable[..., Counter]) -> None:
    counter = at(AUTO_REPLY_IMAGE_TOKENS=3_000)
    for _ in range(12):
        counter.send(jpeg(2000, 1500))
    counter.fetch()
    turns = counter.asked()
    sizes = [max(each.size) for each in shown(turns)]
    assert attachments.tokens(turns) <= 3_000
    assert len(sizes) == 4
    assert sizes[-1] == max(sizes) > sizes[0]  # the newest is the largest
    assert said(turns).count("está logo a seguir") == 4
    assert said(turns).count("não está à sua vista agora") == 8


def test_without_tokens_for_it_nothing_is_seen(at: Callable[..., Counter]) -> None:
    counter = at(AUTO_REPLY_IMAGE_TOKENS=0)
    counter.send(jpeg(40, 30))
    turns = counter.asked()  # nor waited for
    assert shown(turns) == []
    assert "[O cliente enviou uma foto, que ainda não chegou até você" in said(turns)


def test_a_photo_on_its_way_is_waited_for(
    at: Callable[..., Counter], monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = at()
    counter.send(jpeg(40, 30))
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        counter.shop.clock.pass_(seconds)
        if len(pauses) == 3:
            counter.fetch()

    counter.shop.answering.worker.pause = pause
    (seen,) = shown(counter.asked())
    assert seen.size == (40, 30)
    assert 3 <= len(pauses) <= 5


def test_a_photo_that_does_not_come_is_not_waited_for_long(at: Callable[..., Counter]) -> None:
    counter = at()
    counter.send(jpeg(40, 30))
    before = counter.shop.clock.ms
    text = counter.words()
    assert counter.shop.clock.ms - before < 40_000
    assert "[O cliente enviou uma foto, que ainda não chegou até você" in text
    assert counter.shop.said("claude") != []


def test_who_writes_on_meanwhile_is_answered_once(at: Callable[..., Counter]) -> None:
    counter = at()
    counter.send(jpeg(40, 30))
    wrote: list[str] = []

    def pause(seconds: float) -> None:
        counter.shop.clock.pass_(seconds)
        if not wrote:
            wrote.append(counter.shop.writes("viu?"))
            counter.fetch()

    counter.shop.answering.worker.pause = pause
    turns = counter.asked()
    assert len(counter.shop.claude.requests) == 1  # nothing was paid for and thrown away
    assert len(shown(turns)) == 1
    assert "viu?" in said(turns)


def test_what_cannot_be_had_is_told_honestly(at: Callable[..., Counter]) -> None:
    counter = at()
    counter.tell("image", {"mime_type": "image/jpeg", "caption": "o comprovante"})
    assert "uma foto, que não deu para abrir aqui" in counter.words()


def test_what_lies_about_its_type_is_not_shown(at: Callable[..., Counter]) -> None:
    counter = at()
    counter.send(b"<svg onload=alert(1)>", "image", "image/png")
    counter.fetch()
    turns = counter.asked()
    assert shown(turns) == []
    assert "O cliente enviou um documento" in said(turns)


def test_a_voice_note_and_files_are_told_in_words(at: Callable[..., Counter]) -> None:
    counter = at()
    counter.send((SAMPLES / "voz.ogg").read_bytes(), "audio", "audio/ogg", voice=True)
    counter.send(b"PK\x03\x04 x", "document", "application/zip", filename="fotos & notas.zip")
    counter.send((SAMPLES / "figurinha.webp").read_bytes(), "sticker", "image/webp")
    counter.tell(
        "location", {"latitude": -23.5, "longitude": -46.6, "name": "Loja", "address": "R. A"}
    )
    card = {"name": {"formatted_name": "Rui"}, "phones": [{"phone": "+55 11 3333-4444"}]}
    counter.tell("contacts", [card])
    counter.fetch()
    text = counter.words()
    assert "[O cliente enviou uma mensagem de voz de 3 s, que você não pode ouvir]" in text
    assert "[O cliente enviou um documento “fotos &amp; notas.zip”" in text
    assert "que você não pode abrir]" in text
    assert "[O cliente enviou uma figurinha; está logo a seguir]" in text
    assert "Loja" in text
    assert "-23.5" in text
    assert "Rui" in text
    assert "+55 11 3333-4444" in text


def test_a_short_pdf_is_read_and_a_locked_one_is_not(at: Callable[..., Counter]) -> None:
    counter = at()
    data = (SAMPLES / "orcamento.pdf").read_bytes()
    counter.send(data, "document", "application/pdf", filename="orcamento.pdf")
    counter.send(data + b"/Encrypt", "document", "application/pdf", filename="senha.pdf")
    counter.fetch()
    turns = counter.asked()
    (document,) = attachments.blocks(turns)
    assert base64.b64decode(document["source"]["data"]) == data
    text = said(turns)
    assert "“orcamento.pdf” (PDF, 1 página, 780 bytes); está logo a seguir]" in text
    assert "“senha.pdf” (PDF, 1 página, 788 bytes), que você não pode abrir]" in text


def test_what_the_api_cannot_digest_is_told_in_words(at: Callable[..., Counter]) -> None:
    counter = at()
    counter.send(jpeg(40, 30), caption="serve?")
    counter.fetch()
    counter.shop.claude.switches.set(fail="bad_request", fail_times=1)
    turns = counter.asked()
    assert len(counter.shop.claude.requests) == 2
    assert shown(turns) == []
    assert "uma foto, que não deu para abrir aqui" in said(turns)
    assert counter.shop.said("claude") != []
    assert not counter.shop.chat.needs_you

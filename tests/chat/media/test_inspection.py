"""What a file is, by its bytes; hostile ones each have the right outcome."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from chat.media import inspection
from chat.media.contents import pictures, recording, sniffing, sound
from tests.chat.media import hostile
from tests.chat.media.hostile import encoded, sample

UNKNOWN = sniffing.UNKNOWN
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def inspect(data: bytes, kind: str, filename: str | None = None) -> inspection.Inspected:
    return inspection.inspect(io.BytesIO(data), kind, filename)


def described(found: inspection.Inspected) -> tuple[Any, ...]:
    return found.kind, found.mime_type, found.width, found.height, found.animated


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("foto.jpg", "image", ("image", "image/jpeg", 640, 480, False)),
        ("foto-deitada.jpg", "image", ("image", "image/jpeg", 480, 640, False)),
        ("comprovante.png", "image", ("image", "image/png", 540, 900, False)),
        ("comprovante.png", "document", ("document", "image/png", 540, 900, False)),
        ("figurinha.webp", "sticker", ("sticker", "image/webp", 256, 256, False)),
        ("figurinha-animada.webp", "sticker", ("sticker", "image/webp", 512, 512, True)),
        ("video.mp4", "video", ("video", "video/mp4", 320, 240, False)),
        ("voz.ogg", "voice", ("voice", "audio/ogg", None, None, False)),
        ("musica.mp3", "audio", ("audio", "audio/mpeg", None, None, False)),
        ("orcamento.pdf", "document", ("document", "application/pdf", None, None, False)),
        ("contrato.docx", "document", ("document", DOCX, None, None, False)),
    ],
)
def test_what_people_send(name: str, kind: str, expected: tuple[Any, ...]) -> None:
    found = inspect(sample(name), kind, name)
    assert described(found) == expected
    assert (found.thumb is None) == (found.width is None)
    assert (found.waveform is not None) == (kind in ("voice", "audio"))
    if found.thumb:
        with Image.open(io.BytesIO(found.thumb)) as thumb:
            assert thumb.format == "WEBP"
            assert max(thumb.size) <= 400
            assert (thumb.width < thumb.height) == (found.width < found.height)  # type: ignore[operator]
        assert 0 < len(found.preview) <= 800


@pytest.mark.parametrize(
    ("data", "kind", "mime_type", "outcome"),
    [
        # Given only to be kept, and as bytes of no type where a browser would run it.
        (hostile.SVG, "image", "image/svg+xml", (UNKNOWN, False)),
        (hostile.HTML, "image", "text/html", (UNKNOWN, False)),
        (hostile.HTML, "document", "text/html", (UNKNOWN, False)),
        (b"\xef\xbb\xbf \n<svg/>", "sticker", "image/svg+xml", (UNKNOWN, False)),
        (b"oi <SCRIPT>x</SCRIPT>", "document", "text/html", (UNKNOWN, False)),
        (b'<?xml version="1.0"?><x/>', "document", "application/xml", (UNKNOWN, False)),
        (hostile.gif_and_script(), "image", UNKNOWN, (UNKNOWN, False)),
        (hostile.png_bomb(8_000, 8_000), "image", UNKNOWN, (UNKNOWN, False)),
        (hostile.webp_bomb(), "sticker", UNKNOWN, (UNKNOWN, False)),
        (hostile.playlist(), "video", "text/plain", ("text/plain", False)),
        (hostile.playlist(), "audio", "text/plain", ("text/plain", False)),
        (hostile.truncated_video(), "video", UNKNOWN, (UNKNOWN, False)),
        (b"OggS" + bytes(500), "voice", UNKNOWN, (UNKNOWN, False)),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "image", UNKNOWN, (UNKNOWN, False)),
        (sample("foto.jpg")[:3_000], "image", UNKNOWN, (UNKNOWN, False)),
        (b"MZ" + bytes(100), "image", "application/vnd.microsoft.portable-executable",
         (UNKNOWN, False)),
        (bytes(100), "document", UNKNOWN, (UNKNOWN, False)),
        (b"", "document", UNKNOWN, (UNKNOWN, False)),
        (hostile.zip_bomb(), "document", DOCX, (DOCX, False)),
        (b"  %PDF-1.4" + hostile.SCRIPT, "document", "text/html", (UNKNOWN, False)),
        (b"%PDF-1.4" + hostile.SCRIPT, "document", "application/pdf", ("application/pdf", False)),
        ("olá, ç".encode(), "document", "text/plain", ("text/plain", False)),
        (b"a" * 4095 + "ç".encode(), "document", "text/plain", ("text/plain", False)),
    ],
)  # fmt: skip
def test_what_is_not_what_it_seems_is_a_document(
    data: bytes, kind: str, mime_type: str, outcome: tuple[str, bool]
) -> None:
    found = inspect(data, kind, "foto.jpg")
    assert (found.kind, found.mime_type) == ("document", mime_type)
    assert found.thumb is None
    assert inspection.served_type(found.mime_type) == outcome


@pytest.mark.parametrize("data", [hostile.photo_and_page(), hostile.photo_and_zip()])
def test_a_photo_that_is_something_else_too_is_a_photo(data: bytes) -> None:
    found = inspect(data, "image")
    assert described(found) == ("image", "image/jpeg", 640, 480, False)
    assert found.thumb is not None
    assert b"script" not in found.thumb
    assert b"PK" not in found.thumb[-200:]
    assert inspection.served_type(found.mime_type) == ("image/jpeg", True)


def test_a_bombs_pixels_are_never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    monkeypatch.setattr(Image.Image, "load", lambda self: decoded.append(self))
    for bomb, mime_type in ((hostile.png_bomb(8_000, 8_000), "image/png"),
                            (hostile.png_bomb(), "image/png"),
                            (hostile.webp_bomb(), "image/webp")):  # fmt: skip
        with pytest.raises(pictures.UnusableError) as refused:
            pictures.look(io.BytesIO(bomb), mime_type)
        assert refused.value.reason == "bomb"
    assert decoded == []


@pytest.mark.parametrize(
    ("data", "mime_type", "kind", "real"),
    [
        (sample("figurinha.webp"), "image/webp", "image", "image"),
        (sample("foto.jpg"), "image/jpeg", "sticker", "image"),
        (sample("foto.jpg"), "image/jpeg", "voice", "document"),
        (sample("voz.ogg"), "audio/ogg", "video", "audio"),
        (sample("voz.ogg"), "audio/ogg", "image", "audio"),
        (sample("video.mp4"), "video/mp4", "image", "video"),
        (sample("video.mp4"), "video/mp4", "audio", "video"),
        (sample("video.mp4"), "video/mp4", "document", "document"),
    ],
)
def test_a_wrong_type_is_set_right(data: bytes, mime_type: str, kind: str, real: str) -> None:
    found = inspect(data, kind, "qualquer.bin")
    assert (found.kind, found.mime_type) == (real, mime_type)


def test_a_thumbnail_has_nothing_of_the_camera_in_it() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera of Maria"
    data = encoded(Image.new("RGB", (900, 300), "red"), "JPEG", exif=exif)
    assert b"Camera of Maria" in data
    assert b"Camera of Maria" not in (inspect(data, "image").thumb or b"")


def test_transparency_is_kept_in_the_thumbnail() -> None:
    found = inspect(encoded(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "PNG"), "image")
    with Image.open(io.BytesIO(found.thumb or b"")) as thumb:
        assert thumb.convert("RGBA").getpixel((10, 10))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK", "LA", "I;16"])
def test_every_kind_of_colours_is_made_small(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    found = inspect(encoded(Image.new(mode, (64, 32)), kind), "image")
    assert (found.kind, found.width, found.height) == ("image", 64, 32)


def test_noise_still_has_a_small_preview() -> None:
    noise = Image.effect_noise((640, 480), 100).convert("RGB")
    assert 0 < len(inspect(encoded(noise, "JPEG"), "image").preview) <= 800


def test_a_voice_notes_shape_is_told() -> None:
    found = inspect(sample("voz.ogg"), "voice")
    assert found.duration == pytest.approx(3, abs=0.1)
    assert found.waveform is not None
    assert len(found.waveform) == recording.POINTS
    assert max(found.waveform) == 100
    assert all(0 <= point <= 100 for point in found.waveform)
    assert len(set(found.waveform)) > 10


def test_silence_is_silence() -> None:
    amr = b"#!AMR\n" + (b"\x04" + bytes(12)) * 100
    found = inspect(amr, "voice")
    assert (found.kind, found.mime_type, found.duration) == ("voice", "audio/amr", 2.0)
    assert found.waveform == [0] * recording.POINTS


def test_what_no_browser_plays_is_made_playable() -> None:
    amr = b"#!AMR\n" + (b"\x04" + bytes(12)) * 100
    again = inspect(inspect(amr, "audio").played or b"", "audio")
    assert (again.mime_type, again.played) == (recording.PLAYED_TYPE, None)
    assert again.duration == pytest.approx(2, abs=0.3)
    assert inspect(sample("voz.ogg"), "voice").played is None


def test_a_recording_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "_SECONDS", -1.0)
    with pytest.raises(recording.NotPlayableError):
        sound.look(io.BytesIO(sample("voz.ogg")), "audio/ogg", waveform=True)


def test_a_pdfs_pages_are_counted_where_they_stand_in_the_open() -> None:
    many = b"%PDF-1.4\n1 0 obj<</Type /Pages /Kids [2 0 R] /Count 12>>endobj"
    assert inspect(many, "document").pages == 12
    assert inspect(sample("orcamento.pdf"), "document").pages == 1
    assert inspect(b"%PDF-1.7 " + bytes(1000), "document").pages is None


@pytest.mark.parametrize(
    ("head", "mime_type"),
    [
        (b"\x00\x00\x00\x18ftypM4A ", "audio/mp4"),
        (b"\x00\x00\x00\x18ftyp3gp4", "video/3gpp"),
        (b"\x00\x00\x00\x18ftypheic", "image/heic"),
        (b"\xff\xfb\x90\x00", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"ID3\x04", "audio/mpeg"),
        (b"#!AMR-WB\n", "audio/amr-wb"),
        (b"RIFF\x00\x00\x00\x00WAVE", "audio/wav"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/vnd.ms-excel"),
        (b"PK\x05\x06" + bytes(18), "application/zip"),
    ],
)
def test_types_by_their_first_bytes(head: bytes, mime_type: str) -> None:
    assert sniffing.mime_type(io.BytesIO(head + bytes(40)), "tabela.XLS") == mime_type

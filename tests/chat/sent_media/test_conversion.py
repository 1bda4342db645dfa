"""What becomes of a file before it is sent: by its bytes, not by its name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chat.uploads import animations, conversion, images, limits, preparing
from chat.uploads.conversion import convert
from chat.uploads.convert import run as run_here
from chat.uploads.images import MAX_SIDE
from chat.uploads.preparing import Given, TooLargeError, look, prepare
from chat.uploads.refusals import WORDS, Refused
from tests.chat.sent_media import files

Prepare = Callable[..., tuple[str, bytes, dict]]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """What becomes of a file; the converter runs in this process, which is quicker."""
    monkeypatch.setattr(preparing, "convert", run_here)

    def run(
        data: bytes, kind: str | None = None, name: str = "arquivo", told: str = ""
    ) -> tuple[str, bytes, dict]:
        path = tmp_path / "given"
        path.write_bytes(data)
        with path.open("rb") as file:
            kind, found = look(file, Given(len(data), name, told), kind)
        kind, made, facts = prepare(path, kind, found, name, tmp_path)
        return kind, made.read_bytes(), facts

    return run


def test_a_photo_is_turned_upright_and_says_nothing_of_its_place(prepared: Prepare) -> None:
    kind, made, facts = prepared(files.taken_by_a_phone())
    assert (kind, facts["mime_type"], facts["sent_as"]) == ("image", "image/jpeg", "image/jpeg")
    shown = files.opened(made)
    assert shown.size == (240, 320)
    assert not shown.getexif()
    assert "comment" not in shown.info
    assert b"Exif" not in made
    assert b"secret" not in made


@pytest.mark.parametrize("form", ["WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_what_whatsapp_does_not_take_becomes_a_jpeg(prepared: Prepare, form: str) -> None:
    kind, made, facts = prepared(files.picture(form))
    assert (kind, facts["sent_as"]) == ("image", "image/jpeg")
    assert files.opened(made).format == "JPEG"


def test_a_small_png_stays_sharp_and_a_large_one_becomes_a_jpeg(prepared: Prepare) -> None:
    assert prepared(files.picture("PNG"))[2]["sent_as"] == "image/png"
    large = files.noise(1800)
    assert len(large) > limits.KINDS["image"].sent_max_bytes
    _, made, facts = prepared(large)
    assert facts["sent_as"] == "image/jpeg"
    assert len(made) <= limits.KINDS["image"].sent_max_bytes


def test_a_picture_of_many_pixels_is_made_smaller(prepared: Prepare) -> None:
    _, made, _ = prepared(files.picture("PNG", (6000, 500)))
    assert files.opened(made).size == (MAX_SIDE, round(500 * MAX_SIDE / 6000))


def test_a_huge_photo_is_decoded_at_a_part_of_its_size(prepared: Prepare) -> None:
    _, made, _ = prepared(files.picture("JPEG", (12_000, 4000)))
    assert files.opened(made).size == (3000, 1000)


def test_what_is_transparent_becomes_white(prepared: Prepare) -> None:
    clear = files.opened(files.picture("PNG")).convert("RGBA")
    clear.putalpha(0)
    (pixel,) = {files.opened(prepared(_as(clear, "WEBP", lossless=True))[1]).getpixel((5, 5))}
    assert pixel == (255, 255, 255)


def _as(image: files.Image.Image, form: str, **how: object) -> bytes:
    data = files.io.BytesIO()
    image.save(data, form, **how)
    return data.getvalue()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "I;16"])
def test_pictures_of_other_modes_are_taken(prepared: Prepare, mode: str) -> None:
    image = files.opened(files.picture("PNG")).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = files.Image.new("I;16", (20, 20), 40_000)
    made = prepared(_as(image, "PNG"))[1]
    assert files.opened(made).format in ("PNG", "JPEG")


def test_what_hides_behind_a_picture_is_gone(prepared: Prepare) -> None:
    for form in ("JPEG", "PNG"):
        polyglot = files.picture(form) + b"PK\x03\x04<script>alert(1)</script>"
        assert b"<script>" not in prepared(polyglot)[1]


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [
        (b"", "image", "empty"),
        (b"\xff\xd8\xff" + b"no picture" * 50, "image", "not_an_image"),
        (files.picture()[: len(files.picture()) * 3 // 4], "image", "damaged"),
        (files.SVG, "image", "not_an_image"),
        (b"<html><script>alert(1)</script>", "image", "not_an_image"),
        (files.PDF, "image", "not_an_image"),
        (files.PDF, "voice", "not_audio"),
        (files.PDF, "video", "not_video"),
        (files.PDF, "sticker", "not_a_sticker"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(100), None, "heic"),
        (b"PK\x03\x04" + bytes(100), None, "not_a_document"),
        (b"MZ" + bytes(100), "document", "not_a_document"),
        (bytes(100), None, "not_a_document"),
        (b"OggS" + bytes(500), "voice", "damaged"),
        (b"\x1aE\xdf\xa3" + bytes(500), "voice", "damaged"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(500), "video", "damaged"),
    ],
)
def test_what_cannot_be_sent_says_why(
    prepared: Prepare, data: bytes, kind: str | None, code: str
) -> None:
    with pytest.raises(Refused) as refused:
        prepared(data, kind, "foto.jpg", "image/jpeg")
    assert refused.value.code == code
    assert WORDS[code]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_a_picture_that_moves_becomes_a_video(prepared: Prepare, form: str) -> None:
    kind, made, facts = prepared(files.animated(form), "image")
    assert (kind, facts["sent_as"]) == ("video", "video/mp4")
    with files.av.open(files.io.BytesIO(made)) as container:
        frames = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.name == "h264"
    assert (frames[0].width, frames[0].height) == (32, 20)  # no odd sides
    assert 0.4 <= frames[-1].time <= 0.5
    red, _, blue = frames[0].to_image().getpixel((10, 10))
    assert red > 200 > 60 > blue


def test_an_endless_animation_is_refused(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(animations, "MAX_FRAMES", 4)
    with pytest.raises(Refused, match="long_animation"):
        prepared(files.animated("GIF"))


def test_a_bomb_is_not_decoded(prepared: Prepare) -> None:
    """A PNG of some kilobytes and of 2.5 thousand million pixels."""
    data = bytearray(files.picture("PNG", (8, 8), mode="1"))
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    data[29:33] = files.crc(bytes(data[12:29]))
    with pytest.raises(Refused) as refused:
        prepared(bytes(data), "image")
    assert refused.value.code == "too_many_pixels"


def test_any_picture_becomes_a_sticker(prepared: Prepare) -> None:
    kind, made, facts = prepared(files.picture("JPEG", (800, 300)), "sticker")
    shown = files.opened(made)
    assert (kind, facts["sent_as"]) == ("sticker", "image/webp")
    assert (shown.format, shown.size) == ("WEBP", (512, 512))
    assert len(made) <= limits.STICKER_BYTES
    assert shown.convert("RGBA").getpixel((5, 5))[3] == 0  # above the picture there is nothing


def test_a_sticker_that_moves_stays_one(prepared: Prepare) -> None:
    frames = [files.Image.new("RGBA", (512, 512), color) for color in ("red", "blue")]
    data = files.io.BytesIO()
    exif = files.Image.Exif()
    exif[files.MAKE] = "Camera of somebody"
    frames[0].save(
        data, "WEBP", save_all=True, append_images=frames[1:], duration=100, exif=exif.tobytes()
    )
    _, made, _ = prepared(data.getvalue(), "sticker")
    shown = files.opened(made)
    assert (shown.is_animated, shown.n_frames, shown.size) == (True, 2, (512, 512))
    assert b"Camera" in data.getvalue()
    assert b"Camera" not in made


@pytest.mark.parametrize(
    ("form", "codec", "layout"),
    [
        ("webm", "libopus", "mono"),  # Chromium
        ("webm", "libopus", "stereo"),
        ("ogg", "libopus", "mono"),  # Firefox
        ("mp4", "aac", "mono"),  # Safari
        ("mp3", "libmp3lame", "stereo"),
        ("wav", "pcm_s16le", "stereo"),
    ],
)
def test_a_recording_becomes_a_voice_note(
    prepared: Prepare, form: str, codec: str, layout: str
) -> None:
    given = files.recording(form, codec, layout)
    kind, made, facts = prepared(given, "voice")
    assert (kind, facts["sent_as"]) == ("voice", "audio/ogg")
    assert files.streams(made) == [("audio", "opus", 1)]


def test_opus_moves_over_without_being_encoded_again(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from chat.uploads import recordings

    source = tmp_path / "recorded"
    source.write_bytes(files.recording("webm", "libopus"))
    monkeypatch.setattr(recordings, "_encode", pytest.fail)
    recordings.voice(source, tmp_path / "made", "video/webm")
    assert files.streams((tmp_path / "made").read_bytes()) == [("audio", "opus", 1)]


@pytest.mark.parametrize(
    ("form", "codec", "sent_as"),
    [
        ("mp3", "libmp3lame", "audio/mpeg"),
        ("adts", "aac", "audio/aac"),
        ("ogg", "libopus", "audio/ogg"),
        ("mp4", "aac", "audio/mp4"),
    ],
)
def test_sound_that_whatsapp_takes_goes_as_it_came(
    prepared: Prepare, form: str, codec: str, sent_as: str
) -> None:
    given = files.recording(form, codec)
    kind, made, facts = prepared(given, None, "som", "audio/mp4")
    assert (kind, facts["sent_as"], made) == ("audio", sent_as, given)


@pytest.mark.parametrize(("form", "codec"), [("wav", "pcm_s16le"), ("flac", "flac")])
def test_other_sound_becomes_opus(prepared: Prepare, form: str, codec: str) -> None:
    kind, made, facts = prepared(files.recording(form, codec, "stereo"))
    assert (kind, facts["sent_as"]) == ("audio", "audio/ogg")
    assert files.streams(made) == [("audio", "opus", 2)]


@pytest.mark.parametrize("form", ["mp4", "3gp", "mov"])
def test_a_video_that_whatsapp_takes_moves_over(prepared: Prepare, form: str) -> None:
    kind, made, facts = prepared(files.video(form, sound="aac"))
    assert (kind, facts["sent_as"]) == ("video", "video/mp4")
    assert [each[:2] for each in files.streams(made)] == [("video", "h264"), ("audio", "aac")]


@pytest.mark.parametrize(("form", "codec"), [("mp4", "libx265"), ("webm", "libvpx")])
def test_any_other_video_is_refused(prepared: Prepare, form: str, codec: str) -> None:
    with pytest.raises(Refused, match="not_video"):
        prepared(files.video(form, codec))


def test_a_video_as_a_document_stays_as_it_is(prepared: Prepare) -> None:
    data = files.video("mp4", "libx265")
    kind, made, facts = prepared(data, "document", "filme.mp4")
    assert (kind, made, facts["sent_as"]) == ("document", data, "video/mp4")


@pytest.mark.parametrize(
    ("data", "name", "shown", "sent_as"),
    [
        (files.PDF, "conta.pdf", "conta.pdf", "application/pdf"),
        (files.PDF, "conta.exe", "conta.exe.pdf", "application/pdf"),
        (files.PDF, None, "documento.pdf", "application/pdf"),
        (b"a;b\n1;2\n", "dados.csv", "dados.csv", "text/plain"),
        (b'<?xml version="1.0"?><nfe/>', "nota.xml", "nota.xml", "text/plain"),
        (files.SVG, "desenho.svg", "desenho.svg", "text/plain"),
    ],
)
def test_documents_go_under_their_names(
    prepared: Prepare, data: bytes, name: str, shown: str, sent_as: str
) -> None:
    kind, made, facts = prepared(data, None, name)
    assert (kind, made) == ("document", data)
    assert (facts["filename"], facts["sent_as"]) == (shown, sent_as)


def test_too_large_says_for_what(prepared: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {**limits.KINDS, "video": limits.Kind("Um vídeo", (), 10, 10)}
    monkeypatch.setattr(limits, "KINDS", small)
    with pytest.raises(TooLargeError) as error:
        prepared(files.video())
    assert error.value.kind == "video"


def test_a_conversion_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = subprocess.run

    def hang(_command: list[str], **how: object) -> object:
        return run([sys.executable, "-c", "import signal; signal.pause()"], **how)

    monkeypatch.setattr(conversion.subprocess, "run", hang)
    with pytest.raises(Refused, match="too_slow"):
        convert("image", tmp_path / "a", tmp_path / "b", "image/jpeg", seconds=1)


def test_a_conversion_that_eats_the_processor_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = subprocess.run

    def spin(_command: list[str], **how: object) -> object:
        code = "from chat.uploads.convert import _bound; _bound(1)\nwhile True: pass"
        return run([sys.executable, "-c", code], **how)

    monkeypatch.setattr(conversion.subprocess, "run", spin)
    with pytest.raises(Refused, match="too_slow"):
        convert("image", tmp_path / "a", tmp_path / "b", "image/jpeg", seconds=100)


def test_a_conversion_that_crashes_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = subprocess.run

    def crash(_command: list[str], **how: object) -> object:
        return run([sys.executable, "-c", "import os; os.abort()"], **how)

    monkeypatch.setattr(conversion.subprocess, "run", crash)
    with pytest.raises(Refused, match="damaged"):
        convert("image", tmp_path / "a", tmp_path / "b", "image/jpeg")


def test_the_converter_gets_none_of_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATSAPP_TOKEN", "secret")
    seen: dict[str, str] = {}
    run = subprocess.run

    def look(command: list[str], **how: object) -> object:
        seen.update(how["env"])  # type: ignore[call-overload]
        return run(command, **how)

    monkeypatch.setattr(conversion.subprocess, "run", look)
    (tmp_path / "a").write_bytes(files.picture())
    convert("image", tmp_path / "a", tmp_path / "b", "image/jpeg")
    assert "PATH" in seen
    assert "WHATSAPP_TOKEN" not in seen


def test_more_than_a_few_wait_for_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "WAIT_SECONDS", 0.01)
    for _ in range(conversion.MOST):
        conversion._slots.acquire()
    try:
        with pytest.raises(conversion.BusyError):
            convert("image", tmp_path / "a", tmp_path / "b", "image/jpeg")
    finally:
        for _ in range(conversion.MOST):
            conversion._slots.release()


def test_profiles_of_colour_are_applied(tmp_path: Path) -> None:
    """A phone's photo whose colours are wider than a screen's looks as it should without them."""
    profile = files.ImageCms.ImageCmsProfile(files.ImageCms.createProfile("LAB")).tobytes()
    (tmp_path / "a").write_bytes(files.picture("JPEG", icc_profile=profile))
    images.photo(tmp_path / "a", tmp_path / "b")  # of a nonsensical one nothing is applied
    assert "icc_profile" not in files.opened((tmp_path / "b").read_bytes()).info


def test_a_video_stays_upright(prepared: Prepare) -> None:
    """A phone writes what its sensor sees, and beside it how to turn that."""
    data = bytearray(files.video())
    matrix = data.index(b"tkhd") + 4 + 40  # of a version 0 box
    quarter = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    data[matrix : matrix + 36] = b"".join(n.to_bytes(4, "big", signed=True) for n in quarter)
    turns = []
    for each in (bytes(data), prepared(bytes(data))[1]):
        with files.av.open(files.io.BytesIO(each)) as container:
            turns.append(next(container.decode(video=0)).rotation)
    assert turns[0] == turns[1]
    assert abs(turns[0]) == 90

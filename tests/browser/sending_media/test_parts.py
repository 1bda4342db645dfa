"""What becomes of a file by the server's limits, how a voice is drawn, what the browser keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from chat.uploads import limits
from tests.browser.screen_modules import Run, modules_page

pytestmark = pytest.mark.slow

MB = 1024 * 1024


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


def judged(run: Run, name: str, type_: str, size: int, wanted: str | None = None) -> dict[str, str]:
    """By the limits that the server tells."""
    given = {"file": {"name": name, "type": type_, "size": size}, "wanted": wanted}
    body = "return limits.judge(arg.file, { wanted: arg.wanted, limits: arg.limits });"
    answer: dict[str, str] = run(body, {**given, "limits": limits.as_json()})
    return answer


@pytest.mark.parametrize(
    ("name", "type_", "size", "wanted", "kind"),
    [
        ("a.jpg", "image/jpeg", MB, None, "image"),
        ("a.gif", "image/gif", MB, "media", "image"),
        ("a.JPG", "", MB, None, "image"),
        ("a.mp4", "video/mp4", 16 * MB, None, "video"),
        ("a.mov", "video/quicktime", MB, "media", "video"),
        ("a.m4a", "audio/x-m4a", MB, "audio", "audio"),
        ("a.wav", "audio/x-wav", MB, None, "audio"),
        ("a.jpg", "image/jpeg", MB, "document", "document"),
        ("a.pdf", "application/pdf", 100 * MB, None, "document"),
        ("a.docx", limits.OFFICE_TYPES[2], MB, "media", "document"),
        ("sem-tipo", "", 10, None, "document"),
        ("pagina.html", "text/html", 10, None, "document"),
    ],
)
def test_a_file_is_sent_as_what_it_is(
    run: Run, name: str, type_: str, size: int, wanted: str | None, kind: str
) -> None:
    assert judged(run, name, type_, size, wanted) == {"kind": kind, "note": ""}


def test_what_is_too_large_to_be_shown_goes_as_a_document_and_says_so(run: Run) -> None:
    told = {"kind": "document", "note": "Vídeo com mais de 16 MB: vai como documento."}
    assert judged(run, "a.mp4", "video/mp4", 16 * MB + 1) == told
    told["note"] = "Áudio com mais de 16 MB: vai como documento."
    assert judged(run, "a.mp3", "audio/mpeg", 17 * MB) == told


@pytest.mark.parametrize(
    ("name", "type_", "size", "words"),
    [
        ("a.txt", "text/plain", 0, "a.txt está vazio."),
        ("a.pdf", "application/pdf", 100 * MB + 1, "O limite é de 100 MB."),
        ("a.mp4", "video/mp4", 101 * MB, "a.mp4 tem 106 MB. O limite é de 100 MB."),
        ("a.zip", "application/zip", MB, "a.zip não pode ser enviado. O WhatsApp aceita PDF"),
        ("a.exe", "application/x-msdownload", MB, "não pode ser enviado."),
        ("a.heic", "", MB, "Salve como JPEG"),
        ("a.webm", "video/webm", MB, "não pode ser enviado."),
    ],
)
def test_what_cannot_be_sent_is_refused_in_words(
    run: Run, name: str, type_: str, size: int, words: str
) -> None:
    assert words in judged(run, name, type_, size)["refusal"]


def test_without_the_limits_the_server_decides(run: Run) -> None:
    file = {"name": "a.zip", "type": "application/zip", "size": 10}
    answer = run("return limits.judge(arg);", file)
    assert answer == {"kind": "document", "note": ""}


def test_a_waveform_has_64_numbers_of_which_the_loudest_is_100(run: Run) -> None:
    def waveform(levels: list[float]) -> Any:
        return run("return levels.waveformOf(arg);", levels)

    assert waveform([0.1] * 10 + [0.5] + [0.25] * 200).count(100) == 1
    assert len(waveform([0.3, 0.6])) == 64  # of less than a tenth of a second, too
    assert set(waveform([0.3, 0.6])) == {50, 100}
    assert waveform([]) == waveform([0.001] * 500) == [0] * 64


def test_the_newest_levels_stand_at_the_right(run: Run) -> None:
    body = "return levels.barsOf(arg, { width: 12, height: 20, step: 4 });"
    bars = run(body, [0.9, 0, 0.5, 1.7])
    assert bars == [{"x": 0, "height": 2}, {"x": 4, "height": 10}, {"x": 8, "height": 20}]


STORE = """
  const make = (user, now = Date.now) => new file_store.FileStore(user, { now });
  const text = async (file) => file && (await file.text());
"""


def test_files_are_kept_by_attendant_for_a_day(run: Run) -> None:
    kept = run(
        f"""{STORE}
        const [ana, bruno] = [make("ana"), make("bruno")];
        const put = await ana.put("k1", new File(["um"], "um.txt"));
        await bruno.put("k1", new File(["outro"], "outro.txt"));
        const later = make("carla", () => Date.now() + 23 * 3600_000);
        await later.purge();
        const both = [await make("ana").get("k1"), await bruno.get("k1")];
        const before = [put, ...(await Promise.all(both.map(text)))];
        await ana.clear();
        const cleared = [await text(await ana.get("k1")), await text(await bruno.get("k1"))];
        await make("carla", () => Date.now() + 25 * 3600_000).purge();
        return [before, cleared, await bruno.get("k1")];"""
    )
    assert kept == [[True, "um", "outro"], [None, "outro"], None]


def test_no_more_is_kept_than_there_is_room_for_and_none_where_it_is_forbidden(run: Run) -> None:
    kept = run(
        f"""{STORE}
        const full = await make("ana").put("k2", {{ size: 500_000_001 }});
        const denied = new file_store.FileStore("ana", {{ factory: null }});
        const none = await denied.put("k3", new File(["um"], "um.txt"));
        await denied.delete("k3");
        await denied.clear();
        await denied.purge();
        return [full, none, await denied.get("k3")];"""
    )
    assert kept == [False, False, None]

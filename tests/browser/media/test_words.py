"""Media in words, numbers and places: what the screen computes before it draws anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.screen_modules import Run, modules_page

pytestmark = pytest.mark.slow

IMAGE = {"kind": "image", "state": "ready"}


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 B"), (820, "820 B"), (12_300, "12 kB"), (1_250_000, "1,3 MB"), (99_000_000, "99 MB"),
     (123_456_789, "123 MB"), (None, "")],
)  # fmt: skip
def test_sizes(run: Run, size: int | None, said: str) -> None:
    assert run("return media_format.sizeText(arg)", size) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0:00"), (0.2, "0:01"), (12.4, "0:12"), (72, "1:12"), (3723, "1:02:03"), (None, "0:00")],
)
def test_durations(run: Run, seconds: float | None, said: str) -> None:
    assert run("return media_format.durationText(arg)", seconds) == said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"media": IMAGE, "text": ""}, "📷 Foto"),
        ({"media": IMAGE, "text": "Olha"}, "📷 Olha"),
        ({"media": {"kind": "voice", "duration": 12}, "text": ""}, "🎤 0:12"),
        ({"media": {"kind": "voice"}, "text": ""}, "🎤 Mensagem de voz"),
        ({"media": {"kind": "document", "filename": "nota.pdf"}, "text": ""}, "📄 nota.pdf"),
        ({"media": {"kind": "sticker"}, "text": ""}, "Figurinha"),
        ({"location": {"latitude": 1, "longitude": 1, "name": "MASP"}, "text": ""}, "📍 MASP"),
        ({"contacts": [{"name": "João", "phones": []}], "text": ""}, "👤 João"),
        ({"contacts": [{"name": "a"}, {"name": "b"}], "text": ""}, "👤 2 contatos"),
        ({"media": IMAGE, "revoked_at": "x", "placeholder": "Apagada", "text": ""}, "Apagada"),
        ({"text": "oi"}, "oi"),
        ({"text": ""}, "Mensagem"),
    ],
)
def test_one_line_for_each_kind(run: Run, message: dict[str, Any], said: str) -> None:
    assert run("return media_format.previewText(arg)", message) == said


@pytest.mark.parametrize(
    ("width", "height", "frame"),
    [
        (900, 600, (330, 220)),
        (600, 900, (280, 420)),
        (5000, 100, (330, 110)),  # very flat: cut off at its sides
        (100, 5000, (110, 420)),
        (40, 40, (330, 330)),
        (None, None, (330, 330)),
        (0, -1, (330, 330)),
    ],
)
def test_a_picture_s_room(run: Run, width: Any, height: Any, frame: tuple[int, int]) -> None:
    found = run("return media_format.frameOf(arg)", {"width": width, "height": height})
    assert (found["width"], found["height"]) == frame


@pytest.mark.parametrize(
    ("place", "href"),
    [
        ({"latitude": -23.5, "longitude": -46.6}, "https://www.google.com/maps?q=-23.5,-46.6"),
        ({"latitude": 91, "longitude": 0}, None),
        ({"latitude": "1&x=", "longitude": 0}, None),
        ({}, None),
    ],
)
def test_where_a_place_is(run: Run, place: dict[str, Any], href: str | None) -> None:
    assert run("return cards.mapHref(arg)", place) == href


def test_an_album_is_of_one_sender_and_moment_and_no_longer_than_whatsapps(run: Run) -> None:
    body = """
      const make = (id, more = {}) => ({
        id, direction: "in", author: { kind: "customer", name: "Maria" }, text: "",
        media: { kind: "image", state: "ready" },
        sent_at: new Date(Date.UTC(2030, 2, 14, 12, 0, Number(id))).toISOString(), ...more,
      });
      const list = (count, change = () => ({})) =>
        Array.from({ length: count }, (_, at) => make(String(at), change(at)));
      const sizes = (messages, divider = null) =>
        [...new Set(albums.albumsOf(messages, divider).values())].map((each) => each.length);
      const same = list(4);
      return {
        three: sizes(list(3)),
        four: sizes(list(4)),
        many: sizes(list(64)),
        divided: sizes(list(8), "4"),
        worded: sizes(list(9, (at) => (at === 4 ? { text: "oi" } : {}))),
        theirs: sizes(list(8, (at) => (at > 4 ? { author: { kind: "customer", name: "Z" } } : {}))),
        gone: sizes(list(5, (at) => (at === 4 ? { media: { kind: "image", state: "unavailable" } } : {}))),
        revoked: sizes(list(5, (at) => (at === 2 ? { revoked_at: "x" } : {}))),
        films: sizes(list(4, () => ({ media: { kind: "video", state: "pending" } }))),
        voices: sizes(list(4, () => ({ media: { kind: "voice", state: "ready" } }))),
        once: albums.albumsOf(same) === albums.albumsOf(same),
      };
    """  # noqa: E501
    assert run(body) == {
        "three": [],
        "four": [4],
        "many": [30, 30, 4],
        "divided": [4, 4],
        "worded": [4, 4],
        "theirs": [5],
        "gone": [4],
        "revoked": [],
        "films": [4],
        "voices": [],
        "once": True,
    }


def test_a_picture_is_made_larger_round_where_one_points(run: Run) -> None:
    body = """
      const at = zoom.zoomed({ scale: 1, x: 0, y: 0 }, 2, { x: 100, y: 50 });
      const size = { width: 400, height: 300 };
      const stage = { width: 400, height: 300 };
      return [
        at, zoom.zoomed(at, 0.5, { x: 100, y: 50 }), zoom.zoomed(at, 0.1),
        zoom.zoomed(at, 100).scale,
        zoom.held({ scale: 2, x: 900, y: -900 }, size, stage),
        zoom.held({ scale: 2, x: 9, y: 9 }, { width: 100, height: 100 }, stage),
      ];
    """
    larger, back, smallest, most, held, inside = run(body)
    assert larger == {"scale": 2, "x": -100, "y": -50}
    assert back == {"scale": 1, "x": 0, "y": 0}
    assert smallest["scale"] == 1
    assert most == 8
    assert held == {"scale": 2, "x": 200, "y": -150}
    assert inside == {"scale": 2, "x": 0, "y": 0}


def test_the_voice_note_that_follows(run: Run) -> None:
    body = """
      const voice = (id, more = {}) => ({
        id, direction: "in", media: { kind: "voice", state: "ready" }, ...more,
      });
      const next = (...after) => heard.nextVoice([voice("a"), ...after], { id: "a" }, ({ id }) => id === "h")?.id ?? null;
      return [
        next(voice("b")), next({ id: "s", type: "system" }, voice("b")), next({ id: "t" }, voice("b")),
        next(voice("h"), voice("b")), next(voice("b", { direction: "out" })),
        next(voice("b", { media: { kind: "voice", state: "pending" } })),
        next(voice("b", { revoked_at: "x" })), next(),
      ];
    """  # noqa: E501
    assert run(body) == ["b", "b", None, None, None, None, None, None]


def test_a_sound_without_loudness_is_a_line_of_dots(run: Run) -> None:
    body = """
      const heights = (path) => [...path.matchAll(/v([\\d.]+)/g)].map(([, height]) => Number(height));
      return [heights(waveform.wavePath(null)), heights(waveform.wavePath([0, 100, 50, "x"], 4)),
        heights(waveform.wavePath([100], 3)), heights(waveform.wavePath([1e9, -5], 2))];
    """  # noqa: E501
    dots, loud, one, wild = run(body)
    assert dots == [2] * 64
    assert loud == [2, 26, 13, 2]
    assert one == [26, 26, 26]
    assert wild == [26, 2]


def test_what_was_heard_is_remembered_and_bounded(run: Run) -> None:
    body = """
      const kept = new Map();
      const storage = {
        getItem: (key) => kept.get(key) ?? null,
        setItem: (key, value) => kept.set(key, value),
        removeItem: (key) => kept.delete(key),
      };
      const first = new heard.Heard(storage, "ana");
      for (let id = 0; id < 600; id += 1) first.add(String(id));
      const second = new heard.Heard(storage, "ana");
      const other = new heard.Heard(storage, "bruno");
      const seen = [second.has("599"), second.has("100"), second.has("99"), other.has("599")];
      second.forget();
      kept.set("chat.heard.eva", "{not ours");
      return [...seen, kept.size, new heard.Heard(storage, "eva").has("1")];
    """
    assert run(body) == [True, True, False, False, 1, False]

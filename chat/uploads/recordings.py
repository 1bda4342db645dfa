"""Sound and moving pictures made into what WhatsApp takes. Runs in the converter's own process.

A voice note of WhatsApp is Opus, one channel, in OGG. Chromium and Firefox record Opus in WebM or
OGG: their packets move over as they are. Safari records AAC in MP4, which is decoded and encoded.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.logging
from av.error import FFmpegError

from chat.media.contents.sound import FORMATS
from chat.uploads.refusals import Refused

_OPUS_RATE = 48_000
#: Speech in one channel, about as WhatsApp's own notes have it; and anything else.
_VOICE_BITS = 32_000
_MUSIC_BITS = 96_000
#: 16 MB of speech last an hour.
MAX_SECONDS = 3 * 3600
_ERRORS = (FFmpegError, ValueError, EOFError, OSError, IndexError)
_OPUS = ("opus", "libopus")
#: Of sound that goes as it came: type of the file → its codecs.
_AS_IT_IS = {
    "audio/ogg": _OPUS,
    "audio/mpeg": ("mp3", "mp3float"),
    "audio/aac": ("aac",),
    "audio/amr": ("amrnb", "amr_nb", "libopencore_amrnb"),
    "audio/mp4": ("aac",),
    "video/mp4": ("aac",),  # without a picture it is an audio/mp4
}
av.logging.set_level(None)


def voice(source: Path, target: Path, mime_type: str) -> dict[str, Any]:
    """Writes a recording as WhatsApp's voice note.

    Args:
        source: anything with sound and without a picture.
        target: a file to be written.
        mime_type: of the source, by its bytes.

    Raises:
        Refused: there is no sound in it, or too much.
    """
    with _opened(source, mime_type, "not_audio") as container:
        stream = _sound(container)
        _to_opus(container, stream, target, mono=True)
    return {}


def audio(source: Path, target: Path, mime_type: str) -> dict[str, Any]:
    """Writes sound of a type that WhatsApp does not take as OGG/Opus; of a type that it takes
    nothing is written, and the answer has `as_it_is`. Args and raises as `voice`.
    """
    with _opened(source, mime_type, "not_audio") as container:
        stream = _sound(container)
        if stream.codec_context.name in _AS_IT_IS.get(mime_type, ()):
            return {"as_it_is": True}
        _to_opus(container, stream, target, mono=False)
    return {}


def video(source: Path, target: Path, mime_type: str) -> dict[str, Any]:
    """Writes an MP4 that WhatsApp takes, with the packets as they are: its index in front, and
    without what it says of place and camera. Args and raises as `voice`.
    """
    with _opened(source, mime_type, "not_video") as container:
        pictures = [each for each in container.streams.video if not _is_cover(each)]
        sounds = list(container.streams.audio)
        fits = (
            len(pictures) == 1
            and len(sounds) <= 1
            and pictures[0].codec_context.name == "h264"
            and all(each.codec_context.name == "aac" for each in sounds)
        )
        if not fits:
            raise Refused("not_video")
        _copy(container, [pictures[0], *sounds], target, "mp4")
    return {}


TASKS: dict[str, Callable[[Path, Path, str], dict[str, Any]]] = {
    "voice": voice,
    "audio": audio,
    "video": video,
}


def _opened(source: Path, mime_type: str, otherwise: str) -> Any:
    """The file, read as what its bytes say it is and as nothing else."""
    if mime_type not in FORMATS:
        raise Refused(otherwise)
    try:
        return av.open(str(source), format=FORMATS[mime_type], metadata_errors="ignore")
    except _ERRORS as error:
        raise Refused("damaged") from error


def _sound(container: Any) -> Any:
    pictured = [each for each in container.streams.video if not _is_cover(each)]
    if not container.streams.audio or pictured:
        raise Refused("not_audio")
    return container.streams.audio[0]


def _is_cover(stream: Any) -> bool:
    """The picture of an album in a sound file, which FFmpeg shows as a video."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _to_opus(container: Any, stream: Any, target: Path, *, mono: bool) -> None:
    channels = stream.codec_context.channels
    if stream.codec_context.name in _OPUS and (channels == 1 or not mono):
        _copy(container, [stream], target, "ogg")
        return
    try:
        _encode(container, stream, target, 1 if mono else min(channels, 2))
    except _ERRORS as error:
        raise Refused("damaged") from error


def _copy(container: Any, streams: list[Any], target: Path, to: str) -> None:
    """Moves packets into a new file as they are."""
    options = {"movflags": "+faststart"} if to == "mp4" else {}
    moved = 0
    try:
        with av.open(str(target), "w", format=to, options=options) as made:
            into = {each.index: made.add_stream_from_template(each) for each in streams}
            for packet in container.demux(streams):
                if packet.dts is None:
                    continue  # at the end of a stream FFmpeg gives an empty one
                if packet.pts is not None and packet.pts * packet.time_base > MAX_SECONDS:
                    raise Refused("too_long_recording")
                packet.stream = into[packet.stream.index]
                made.mux(packet)
                moved += 1
    except _ERRORS as error:
        raise Refused("damaged") from error
    if not moved:
        raise Refused("damaged")


def _encode(container: Any, stream: Any, target: Path, channels: int) -> None:
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(target), "w", format="ogg") as made:
        out = made.add_stream("libopus", rate=_OPUS_RATE, layout=layout)
        out.bit_rate = _VOICE_BITS if channels == 1 else _MUSIC_BITS
        resampler = av.AudioResampler(format="s16", layout=layout, rate=_OPUS_RATE)
        written = 0
        for frame in itertools.chain(_frames(container, stream), [None]):
            for part in resampler.resample(frame):
                part.pts, part.time_base = written, Fraction(1, _OPUS_RATE)
                written += part.samples
                made.mux(out.encode(part))
            if written > MAX_SECONDS * _OPUS_RATE:
                raise Refused("too_long_recording")
        made.mux(out.encode(None))
    if not written:
        raise Refused("damaged")


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Decoded; what is damaged is left out, as players do, unless it is most of it."""
    good = bad = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except _ERRORS:
            bad += 1
            if bad > 50 and bad > good:
                raise Refused("damaged") from None
            continue
        good += 1
        yield from frames

"""Sound and moving pictures: how long, how loud along the way, and the first picture."""

from __future__ import annotations

import array
import io
import itertools
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

import av
import av.error
import av.logging

from chat.media.contents import pictures
from chat.media.contents.recording import FORMATS, POINTS, NotPlayableError, Recording

_log = logging.getLogger(__name__)

#: What one file may take.
_SECONDS = 20.0
_BYTES = 200 << 20
#: Loudness is measured in so many samples a second: speech has its shape in it.
_RATE = 8_000
#: Longer than that has no waveform; all of it would have to be decoded.
_LONGEST = 2 * 3600
#: A video's first picture comes within so many frames, or there is none.
_FRAMES = 90
_MAX_PIXELS = 4096 * 4096
_looking = threading.BoundedSemaphore(2)
av.logging.set_level(None)


_PLAYED_RATE = 16_000
_PLAYED_BITS = 32_000


def look(file: BinaryIO, mime_type: str, *, waveform: bool) -> Recording:
    """Looks into a recording.

    Args:
        file: to be read and sought in.
        mime_type: one of `FORMATS`, by the file's own bytes.
        waveform: whether to listen to all of it, too.

    Raises:
        NotPlayableError: it cannot be read.
    """
    with _looking:
        try:
            file.seek(0)
            bounded: Any = _Bounded(file)
            with av.open(bounded, "r", format=FORMATS[mime_type]) as container:
                return _look(container, bounded, waveform=waveform)
        except NotPlayableError:
            raise
        except Exception as error:  # noqa: BLE001 - decoders of strangers' bytes raise anything
            _log.info("a recording cannot be read: %s", type(error).__name__)
            raise NotPlayableError from error


def played(file: BinaryIO, mime_type: str) -> bytes:
    """The same to be heard in a browser, `PLAYED_TYPE`.

    Args:
        file: to be read and sought in; with a codec of `UNPLAYED`.
        mime_type: one of `FORMATS`, by the file's own bytes.

    Raises:
        NotPlayableError: it cannot be read to its end, or takes too long.
    """
    made = io.BytesIO()
    with _looking:
        try:
            file.seek(0)
            bounded: Any = _Bounded(file)
            with (
                av.open(bounded, "r", format=FORMATS[mime_type]) as container,
                av.open(made, "w", format="mp4") as target,
            ):
                stream = target.add_stream("aac", rate=_PLAYED_RATE, layout="mono")
                stream.bit_rate = _PLAYED_BITS
                resampler = av.AudioResampler(format="fltp", layout="mono", rate=_PLAYED_RATE)
                frames = container.decode(container.streams.audio[0])
                for frame in itertools.chain(frames, [None]):
                    if bounded.late():
                        raise _TooMuchError
                    for part in resampler.resample(frame):
                        part.pts = None
                        target.mux(stream.encode(part))
                target.mux(stream.encode(None))
        except Exception as error:  # noqa: BLE001 - decoders of strangers' bytes raise anything
            raise NotPlayableError from error
    return made.getvalue()


def _look(container: Any, bounded: _Bounded, *, waveform: bool) -> Recording:
    sounds, pictured = container.streams.audio, container.streams.video
    sound, video = next(iter(sounds), None), next(iter(pictured), None)
    if video is not None and video.disposition & av.stream.Disposition.attached_pic:
        video = None  # an album's cover
    if sound is None and video is None:
        raise NotPlayableError
    duration = container.duration / av.time_base if container.duration else None
    facts: dict[str, Any] = {
        "has_sound": sound is not None,
        "has_picture": video is not None,
        "sound_codec": sound.codec_context.name if sound is not None else "",
        "picture_codec": video.codec_context.name if video is not None else "",
    }
    if video is not None:
        facts |= _first_picture(container, video, bounded)
    elif sound is not None and waveform and (duration or 0) <= _LONGEST:
        heard, points = _listen(container, sound, bounded)
        facts["waveform"] = points
        duration = heard or duration
    if duration is not None and not 0 < duration < 7 * 86_400:
        duration = None
    return Recording(duration=round(duration, 2) if duration else None, **facts)


def _first_picture(container: Any, video: Any, bounded: _Bounded) -> dict[str, Any]:
    width, height = video.codec_context.width, video.codec_context.height
    facts: dict[str, Any] = {"width": width or None, "height": height or None}
    if not 0 < width * height <= _MAX_PIXELS:
        return facts
    try:
        for number, frame in enumerate(container.decode(video)):
            if number >= _FRAMES or bounded.late():
                break
            turned = frame.rotation % 360
            image = frame.to_image()
            image.thumbnail((2 * pictures.THUMB_SIDE, 2 * pictures.THUMB_SIDE))
            if turned in (90, 270):
                facts |= {"width": height, "height": width}
            if turned:
                image = image.rotate(turned, expand=True)
            thumb, preview = pictures.small(image)
            return facts | {"thumb": thumb, "preview": preview}
    except (av.error.FFmpegError, ValueError, _TooMuchError) as error:
        _log.info("a video without a first picture: %s", type(error).__name__)
    return facts


def _listen(container: Any, sound: Any, bounded: _Bounded) -> tuple[float, list[int] | None]:
    """How many seconds there are to be heard, and how loud they are."""
    peaks, samples = array.array("H"), 0
    try:
        for part in _mono(container, sound):
            samples += len(part)
            peaks.append(min(32_767, max(max(part), -min(part))))
            if bounded.late():
                return 0.0, None
    except (av.error.FFmpegError, _TooMuchError) as error:
        # What was heard so far is worth showing.
        _log.info("a recording breaks off: %s", type(error).__name__)
    return samples / _RATE, _points(peaks)


def _mono(container: Any, sound: Any) -> Iterator[array.array[int]]:
    """The samples, in parts of a twentieth of a second or so."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    for frame in container.decode(sound):
        yield from _parts(resampler.resample(frame))
    yield from _parts(resampler.resample(None))


def _parts(frames: list[Any]) -> Iterator[array.array[int]]:
    for frame in frames:
        samples = array.array("h", bytes(frame.planes[0])[: frame.samples * 2])
        for start in range(0, len(samples), _RATE // 20):
            yield samples[start : start + _RATE // 20]


def _points(peaks: array.array[int]) -> list[int] | None:
    if not peaks:
        return None
    points = []
    for number in range(POINTS):
        start = number * len(peaks) // POINTS
        end = max(start + 1, (number + 1) * len(peaks) // POINTS)
        points.append(max(peaks[start:end]))
    loudest = max(points)
    # Silence stays silence: what is hardly there is not blown up.
    return [round(100 * point / max(loudest, 1_000)) for point in points]


class _TooMuchError(Exception):
    """A recording takes more time or reading than it may."""


class _Bounded:
    """A file that ends what reads it without end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = _BYTES
        self._until = time.monotonic() + _SECONDS

    def late(self) -> bool:
        return time.monotonic() > self._until

    def read(self, size: int = -1) -> bytes:
        if self.late() or self._left <= 0:
            raise _TooMuchError
        data = self._file.read(size if size >= 0 else self._left)
        self._left -= len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

"""What is told of sound and moving pictures; `sound` finds it out, which takes FFmpeg."""

from __future__ import annotations

from dataclasses import dataclass

#: By a file's type, the one format that FFmpeg takes it for. Never its own guess: some formats are
#: lists of other files and addresses, which it would open.
FORMATS = {
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "mov",
    "audio/aac": "aac",
    "audio/amr": "amr",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "video/mp4": "mov",
    "video/3gpp": "mov",
    "video/quicktime": "mov",
    "video/webm": "matroska",
}
#: Points of a waveform.
POINTS = 64
#: Codecs that no browser plays, and what they become for it.
UNPLAYED = frozenset({"amr_nb", "amr_wb", "amrnb", "amrwb"})
PLAYED_TYPE = "audio/mp4"


class NotPlayableError(Exception):
    """There is nothing to be heard or seen in it."""


@dataclass(frozen=True)
class Recording:
    """What a recording is."""

    duration: float | None  # seconds
    has_sound: bool
    has_picture: bool
    sound_codec: str = ""
    picture_codec: str = ""
    waveform: list[int] | None = None  # POINTS numbers from 0 to 100
    width: int | None = None
    height: int | None = None
    thumb: bytes | None = None  # of the first picture, WebP
    preview: str = ""

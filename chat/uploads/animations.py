"""Moving pictures made into videos without sound: WhatsApp knows no other. Runs in the converter's
own process.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.logging
from av.error import FFmpegError
from PIL import Image

from chat.uploads.images import open_picture, without_holes
from chat.uploads.refusals import Refused

#: Each is decoded, drawn and encoded: of a longer one a few seconds would be a conversion's time.
MAX_FRAMES = 600
MAX_PIXELS = 400_000_000  # of all frames together
_SIDE = 1280
#: As browsers take a frame that says nothing, or next to nothing, of its time.
_DEFAULT_MS = 100
_LEAST_MS = 20
_CODEC = {"crf": "23", "preset": "veryfast"}
av.logging.set_level(None)


def animation(source: Path, target: Path) -> dict[str, Any]:
    """Writes an MP4 (H.264).

    Args:
        source: a GIF, WebP, PNG or AVIF that moves.
        target: a file to be written.

    Raises:
        Refused: it is damaged, or too long.
    """
    with open_picture(source) as picture:
        count = getattr(picture, "n_frames", 1)
        if count > MAX_FRAMES or count * picture.width * picture.height > MAX_PIXELS:
            raise Refused("long_animation")
        try:
            _draw(picture, count, target)
        except (FFmpegError, OSError, ValueError, SyntaxError, EOFError) as error:
            raise Refused("damaged") from error
    return {}


def _draw(picture: Image.Image, count: int, target: Path) -> None:
    part = min(1.0, _SIDE / max(picture.size))
    # Half as many points of colour as of light, both ways: no odd numbers.
    size = tuple(max(2, round(side * part / 2) * 2) for side in picture.size)
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as made:
        stream: Any = made.add_stream("libx264", rate=25, options=_CODEC)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        at = 0
        for number in range(count):
            picture.seek(number)
            frame = av.VideoFrame.from_image(without_holes(picture.copy()).resize(size))
            lasts = picture.info.get("duration") or _DEFAULT_MS
            # The last one twice: what is shown last would else be gone at once.
            for pts in (at, *([at + int(lasts) - 1] if number == count - 1 else [])):
                shown = frame.reformat(format="yuv420p")
                shown.pts, shown.time_base = pts, Fraction(1, 1000)
                made.mux(stream.encode(shown))
            at += max(_LEAST_MS, int(lasts))
        made.mux(stream.encode(None))

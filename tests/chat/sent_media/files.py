"""Small real files of every kind, made here; and what a file is."""

from __future__ import annotations

import io
import math
import tempfile
import zlib
from array import array
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from PIL import Image, ImageCms

__all__ = ["Image", "ImageCms", "av", "io"]  # the tests' too

JPEG = b"\xff\xd8\xff"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
#: Orientation 6, a camera's name, and a place.
GPS, MAKE, ORIENTATION = 0x8825, 0x010F, 0x0112


def picture(
    form: str = "JPEG", size: tuple[int, int] = (320, 240), *, mode: str = "RGB", **how: Any
) -> bytes:
    """A picture: red above, blue below."""
    image = Image.new("RGB", size, (200, 30, 30))
    image.paste((30, 30, 200), (0, size[1] // 2, size[0], size[1]))
    data = io.BytesIO()
    image.convert(mode).save(data, form, **how)
    return data.getvalue()


def noise(side: int, form: str = "PNG") -> bytes:
    """A picture that hardly compresses."""
    data = io.BytesIO()
    Image.effect_noise((side, side), 120).convert("RGB").save(data, form)
    return data.getvalue()


def taken_by_a_phone() -> bytes:
    """A JPEG that lies on its side, and tells where it was taken."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[MAKE] = "Camera of somebody"
    exif.get_ifd(GPS)[2] = (23.0, 33.0, 1.0)
    return picture("JPEG", (320, 240), exif=exif.tobytes(), comment=b"secret comment")


def animated(form: str, size: tuple[int, int] = (33, 20), count: int = 5) -> bytes:
    """So many frames of a tenth of a second, red and blue in turn."""
    frames = [Image.new("RGB", size, ("red", "blue")[number % 2]) for number in range(count)]
    data = io.BytesIO()
    frames[0].save(data, form, save_all=True, append_images=frames[1:], duration=100)
    return data.getvalue()


def crc(chunk: bytes) -> bytes:
    """The checksum of a PNG's chunk, of its name and content."""
    return zlib.crc32(chunk).to_bytes(4, "big")


def opened(data: bytes) -> Image.Image:
    """The picture that this is."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def recording(
    form: str, codec: str, layout: str = "mono", seconds: float = 1.5, rate: int = 48_000
) -> bytes:
    """A tone, first loud, then soft."""
    channels = 1 if layout == "mono" else 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound"
        with av.open(str(path), "w", format=form) as made:
            stream = made.add_stream(codec, rate=rate, layout=layout)
            wanted = stream.codec_context.format
            resampler = av.AudioResampler(format=wanted, layout=layout, rate=rate)
            for start in range(0, int(seconds * rate), 960):
                loud = 12_000 if start < seconds * rate / 2 else 1_500
                tone = [
                    int(loud * math.sin(2 * math.pi * 440 * (start + n) / rate)) for n in range(960)
                ]
                samples = array("h", [value for value in tone for _ in range(channels)])
                frame = av.AudioFrame(format="s16", layout=layout, samples=960)
                plane = frame.planes[0]
                plane.update(samples.tobytes().ljust(plane.buffer_size, b"\0"))
                frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
                for part in resampler.resample(frame):
                    made.mux(stream.encode(part))
            made.mux(stream.encode(None))
        return path.read_bytes()


def video(form: str = "mp4", codec: str = "libx264", sound: str | None = None) -> bytes:
    """A second of something that moves; `sound`: a codec."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        with av.open(str(path), "w", format=form) as made:
            stream = made.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            heard = made.add_stream(sound, rate=48_000, layout="mono") if sound else None
            for number in range(10):
                frame = av.VideoFrame(64, 48, "yuv420p")
                for plane in frame.planes:
                    plane.update(bytes([number * 20]) * plane.buffer_size)
                made.mux(stream.encode(frame))
            made.mux(stream.encode(None))
            if heard is not None:
                silence = av.AudioFrame(format="fltp", layout="mono", samples=1024)
                silence.planes[0].update(bytes(silence.planes[0].buffer_size))
                silence.sample_rate, silence.pts = 48_000, 0
                made.mux(heard.encode(silence))
                made.mux(heard.encode(None))
        return path.read_bytes()


def streams(data: bytes) -> list[tuple[str, str, int]]:
    """(Kind, codec, channels) of what is in a recording."""
    with av.open(io.BytesIO(data)) as container:
        return [
            (each.type, each.codec_context.name, getattr(each.codec_context, "channels", 0) or 0)
            for each in container.streams
        ]

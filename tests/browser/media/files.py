"""Real small files of each kind, made here, and customers who send them."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from array import array
from fractions import Fraction
from typing import Any

import av
from PIL import Image, ImageDraw

from tests.helpers import SETTINGS, Simulator

MARIA = "5511987654321"


def photo(number: int = 1, width: int = 900, height: int = 600) -> bytes:
    """A JPEG that is another one for each number."""
    image = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", (image, image.transpose(Image.Transpose.ROTATE_180), image))
    draw = ImageDraw.Draw(image)
    tint = (number * 67 % 256, number * 41 % 256, number * 23 % 256)
    draw.ellipse((width * 0.2, height * 0.2, width * 0.8, height * 0.8), fill=tint)
    draw.text((12, 12), f"foto {number}", fill="white")
    return _saved(image, "JPEG", quality=70)


def moving_sticker() -> bytes:
    """An animated WebP of 512 by 512."""
    frames = []
    for turn in range(0, 360, 60):
        frame = Image.new("RGBA", (512, 512))
        draw = ImageDraw.Draw(frame)
        draw.pieslice((40, 40, 472, 472), turn, turn + 270, fill=(255, 196, 0, 255))
        frames.append(frame)
    more = {"save_all": True, "append_images": frames[1:], "duration": 120, "loop": 0}
    return _saved(frames[0], "WEBP", **more)


def film(seconds: int = 2) -> bytes:
    """An MP4 (H.264) of 320 by 180 that changes its colour."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for place in range(seconds * 10):
            shade = Image.new("RGB", (320, 180), (place * 12 % 256, 90, 160))
            container.mux(stream.encode(av.VideoFrame.from_image(shade)))
        container.mux(stream.encode())
    return target.getvalue()


def voice(seconds: float = 1.0, pitch: int = 440) -> bytes:
    """An OGG/Opus voice note: a tone that swells."""
    rate = 48_000
    target = io.BytesIO()
    with av.open(target, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=rate)
        stream.layout = "mono"
        count = int(rate * seconds)
        tone = array(
            "h",
            (
                int(math.sin(at * 2 * math.pi * pitch / rate) * at / count * 20_000)
                for at in range(count)
            ),
        )
        for begin in range(0, count, 960):
            samples = tone[begin : begin + 960].tobytes().ljust(1920, b"\0")
            frame = av.AudioFrame(format="s16", layout="mono", samples=960)
            frame.planes[0].update(samples)
            frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()


def pdf() -> bytes:
    """A PDF of two pages."""
    pages = [Image.new("RGB", (200, 280), shade) for shade in ("white", "lightgray")]
    return _saved(pages[0], "PDF", save_all=True, append_images=pages[1:])


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, format, **options)
    return target.getvalue()


class Customer:
    """A customer who sends files, each a little later than the one before."""

    def __init__(self, simulator: Simulator, phone: str = MARIA, name: str = "Maria") -> None:
        self.simulator, self.phone, self.name = simulator, phone, name

    def write(self, text: str = "", **more: Any) -> str:
        """A message; its id."""
        body = {"text": text, "name": self.name, **more}
        return self.simulator.write(self.phone, **body)

    def send(
        self, kind: str, data: bytes, mime_type: str, *, at: int | None = None, **part: Any
    ) -> str:
        """A file; the message's id. `at`: when, in seconds; `part`: of the type's own part."""
        media_id = self._keep(data, mime_type, part.get("filename") or "arquivo")
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        own = {"id": media_id, "mime_type": mime_type, "sha256": digest, **part}
        more = {"timestamp": at} if at is not None else {}
        return self.write(type=kind, payload={kind: own}, **more)

    def send_photo(self, number: int = 1, width: int = 900, height: int = 600, **more: Any) -> str:
        return self.send("image", photo(number, width, height), "image/jpeg", **more)

    def send_voice(self, seconds: float = 1.0, **more: Any) -> str:
        return self.send("audio", voice(seconds), "audio/ogg; codecs=opus", voice=True, **more)

    def _keep(self, data: bytes, mime_type: str, filename: str) -> str:
        """WhatsApp holds the file: put there as a business does, one way into its store."""
        answer = self.simulator.http.post(
            f"{self.simulator.url}/v23.0/{SETTINGS['WHATSAPP_PHONE_NUMBER_ID']}/media",
            headers={"Authorization": f"Bearer {SETTINGS['WHATSAPP_TOKEN']}"},
            data={"messaging_product": "whatsapp", "type": mime_type},
            files={"file": (filename, data, mime_type)},
            timeout=30,
        )
        answer.raise_for_status()
        return str(answer.json()["id"])

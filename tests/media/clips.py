"""Small real files for the tests, made with PyAV and Pillow."""
# pyright: reportUnknownMemberType=false
# (PyAV's own types leave packets and options half open)

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

Paint = Callable[[int, int, int], np.ndarray]
"""A picture for frame n of that width and height: uint8 RGB."""


def moving(n: int, width: int, height: int) -> np.ndarray:
    """A gradient that wanders, so that every frame differs and compresses well."""
    x = np.arange(width, dtype=np.uint16)[None, :]
    y = np.arange(height, dtype=np.uint16)[:, None]
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0] = (x + 4 * n) % 256
    picture[..., 1] = (y + 2 * n) % 256
    picture[..., 2] = 128
    return picture


def noise(n: int, width: int, height: int) -> np.ndarray:
    """Incompressible, for files of some weight."""
    return np.random.default_rng(n).integers(0, 255, (height, width, 3), np.uint8)


def black(n: int, width: int, height: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def black_then_white(n: int, width: int, height: int) -> np.ndarray:
    """Black at the place where a thumbnail is looked for first, white after it."""
    return np.full((height, width, 3), 0 if n < 22 else 230, np.uint8)


def white_in_the_end(n: int, width: int, height: int) -> np.ndarray:
    """Black but for the last of 49 pictures."""
    return np.full((height, width, 3), 235 if n == 48 else 0, np.uint8)


def red_on_the_left(n: int, width: int, height: int) -> np.ndarray:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 2] = 255
    picture[:, : width // 2] = (255, 0, 0)
    return picture


def brightening(n: int, width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 5 * n, np.uint8)


def video(
    path: Path,
    *,
    width: int = 320,
    height: int = 180,
    frames: int = 48,
    fps: int = 24,
    codec: str = "libx264",
    container: str | None = None,
    paint: Paint = moving,
    sound: bool = False,
    keyframe_every: int = 250,
    faststart: bool = False,
    sar: Fraction | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    title: str = "",
) -> Path:
    """Write one clip. `rotation` is how many degrees a player turns it counterclockwise."""
    movflags = {"movflags": "+faststart"} if faststart else {}
    with av.open(str(path), "w", format=container, options=movflags) as out:
        encoder = {"g": str(keyframe_every), **(options or {})}
        stream = cast(VideoStream, out.add_stream(codec, rate=fps, options=encoder))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        out.metadata.update({"title": title} if title else {})
        if sar:
            stream.codec_context.sample_aspect_ratio = sar
        if rotation:
            stream.set_display_rotation(rotation)
        sound_stream = out.add_stream("libopus" if codec.startswith("libvpx") else "aac", rate=48000) if sound else None
        for n in range(frames):
            out.mux(stream.encode(VideoFrame.from_ndarray(paint(n, width, height), format="rgb24")))
        out.mux(stream.encode())
        if sound_stream:
            tone = AudioFrame(format="fltp", layout="stereo", samples=1024)
            for plane in tone.planes:
                plane.update(np.sin(np.arange(1024) / 10).astype(np.float32).tobytes())
            tone.sample_rate = 48000
            for n in range(48000 * frames // fps // 1024):
                tone.pts = n * 1024
                out.mux(sound_stream.encode(tone))
            out.mux(sound_stream.encode())
    return path


def sound_only(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=48000)
        frame = AudioFrame(format="fltp", layout="stereo", samples=1024)
        for plane in frame.planes:
            plane.update(bytes(4096))
        frame.sample_rate = 48000
        for n in range(40):
            frame.pts = n * 1024
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def picture(path: Path, *, width: int = 64, height: int = 36, kind: str = "PNG", **options: object) -> Path:
    Image.fromarray(moving(0, width, height)).save(path, kind, **options)
    return path

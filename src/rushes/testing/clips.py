"""Small real videos: H.264 and AAC in an MP4 that can be played while it loads. Made once, then kept on disk."""

# pyright: reportUnknownMemberType=false
# PyAV leaves the packets of its own methods untyped.

import functools
import io
import math
import struct
import tempfile
from pathlib import Path

MIN_BOX = 8


@functools.lru_cache(maxsize=16)
def clip(width: int = 320, height: int = 180, seconds: float = 1.0, *, fps: int = 10, size_bytes: int = 0) -> bytes:
    """A moving picture with a tone. `size_bytes` pads it with an empty box to about that many bytes."""
    path = _folder() / f"clip-2-{width}x{height}-{seconds:g}s-{fps}fps.mp4"
    if not path.is_file():
        # Written aside and renamed: another process may be making the same one.
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".mp4", delete=False) as file:
            _make(Path(file.name), width, height, seconds, fps)
        Path(file.name).replace(path)
    return padded(path.read_bytes(), size_bytes)


def padded(data: bytes, size_bytes: int) -> bytes:
    """A video made as long as asked by a `free` box at its end, which every player skips."""
    missing = size_bytes - len(data)
    if missing < MIN_BOX:
        return data
    return data + struct.pack(">I4s", missing, b"free") + bytes(missing - MIN_BOX)


def marked(data: bytes, words: str) -> bytes:
    """The same video with a box at its end that says `words`: it plays alike, and no other file is like it."""
    said = words.encode()
    return data + struct.pack(">I4s", MIN_BOX + len(said), b"free") + said


@functools.lru_cache(maxsize=64)
def picture(width: int, height: int, format_name: str = "PNG") -> bytes:
    """A small still picture: `PNG`, `JPEG` or `WEBP`."""
    from PIL import Image

    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    out = io.BytesIO()
    image.save(out, format_name)
    return out.getvalue()


def _folder() -> Path:
    import platformdirs

    folder = Path(platformdirs.user_cache_dir("rushes", appauthor=False)) / "test-clips"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="rushes-clips-"))
    return folder


def _make(path: Path, width: int, height: int, seconds: float, fps: int) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast", "crf": "32", "threads": "2"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=48000, layout="mono")
        ramp = np.arange(width, dtype=np.uint16)[None, :] + np.arange(height, dtype=np.uint16)[:, None]
        grey = np.full((height // 2, width), 128, np.uint8)
        for n in range(max(1, round(seconds * fps))):
            luma = ((ramp + n * 7) & 0xFF).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.vstack([luma, grey]), format="yuv420p")
            frame.pts = n
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for start in range(0, math.ceil(seconds * 48000), 1024):
            count = min(1024, math.ceil(seconds * 48000) - start)
            wave = np.sin(np.arange(start, start + count) * (2 * math.pi * 440 / 48000)) * 0.2
            sound = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None, :], format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 48000, start
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))

"""Encode: frames and sound into an MP4 that any player opens, the same bytes every time.

H.264 by x264 with a fixed number of threads (its output depends on that number), BT.709 limited range as tagged,
AAC at 48 kHz, the index in front of the media. No dates are written.
"""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image

from rushes.media.animatic.paint import Field
from rushes.media.animatic.planes import Frame

# PyAV's stubs leave numpy types open in encode, mux and add_stream: hence the ignores below.
SAMPLE_RATE = 48_000
_THREADS = 1  # the drawing keeps both cores busy; measured, a second one here only makes it slower
# Measured on animatics at 720p: 40 % less work than plain superfast for a sixth more bits and the same PSNR.
_X264 = "bframes=2:b-adapt=0:scenecut=0:rc-lookahead=8:partitions=none:me=dia:subme=0:weightp=0:cabac=0"
_BT709, _LIMITED = 1, 1  # AVCOL_SPC_BT709 (also the primaries and the transfer), AVCOL_RANGE_MPEG


def write_mp4(
    out: Path,
    frames: Iterable[Frame],
    *,
    width: int,
    height: int,
    rate: Fraction,
    sound: Field | None,
    title: str,
    comment: str,
) -> None:
    """Write all frames and the sound, float32 of shape (2, samples) in -1..1, to `out`."""
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(out), "w", format="mp4", options=options) as container:
        container.metadata["title"] = title
        container.metadata["comment"] = comment
        video = _video_stream(container, width, height, rate)
        audio = _audio_stream(container) if sound is not None else None
        written = 0
        for number, frame in enumerate(frames):
            container.mux(video.encode(_video_frame(frame, number, rate)))  # pyright: ignore[reportUnknownMemberType]
            if audio is not None and sound is not None:
                # Kept half a second ahead of the picture, so that the file is interleaved and nothing piles up.
                until = min(sound.shape[1], round((number / rate + 0.5) * SAMPLE_RATE))
                written = _write_sound(container, audio, sound, written, until)
        container.mux(video.encode(None))  # pyright: ignore[reportUnknownMemberType]
        if audio is not None and sound is not None:
            _write_sound(container, audio, sound, written, sound.shape[1])
            container.mux(audio.encode(None))  # pyright: ignore[reportUnknownMemberType]


def _video_stream(container: OutputContainer, width: int, height: int, rate: Fraction) -> VideoStream:
    options = {
        "preset": "superfast",
        "crf": "22",
        "threads": str(_THREADS),
        "flags": "+bitexact",
        "x264-params": _X264,
    }
    stream = container.add_stream("libx264", rate=rate, options=options)  # pyright: ignore[reportUnknownMemberType]
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.time_base = 1 / rate
    context = stream.codec_context
    context.time_base = 1 / rate
    context.color_range = _LIMITED
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    return stream


def _audio_stream(container: OutputContainer) -> AudioStream:
    return container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo", options={"b": "128k", "flags": "+bitexact"})  # pyright: ignore[reportUnknownMemberType]


def _video_frame(frame: Frame, number: int, rate: Fraction) -> av.VideoFrame:
    picture = av.VideoFrame(frame.width, frame.height, "yuv420p")
    for plane, image in zip(picture.planes, (frame.y, frame.u, frame.v), strict=True):
        plane.update(_padded(image, plane.line_size))
    picture.pts, picture.time_base = number, 1 / rate
    picture.colorspace, picture.color_range = _BT709, _LIMITED
    return picture


def _padded(image: Image.Image, line_size: int) -> bytes:
    if line_size == image.width:
        return image.tobytes()
    rows = np.zeros((image.height, line_size), np.uint8)
    rows[:, : image.width] = np.asarray(image)
    return rows.tobytes()


def _write_sound(container: OutputContainer, stream: AudioStream, sound: Field, start: int, until: int) -> int:
    """Encode whole AAC frames from `start` up to at most `until`; all that is left if that is the end."""
    block = 1024
    at = start
    while at < until:
        end = min(at + block, sound.shape[1])
        if end > until:
            break
        chunk = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[:, at:end]), format="fltp", layout="stereo")
        chunk.sample_rate, chunk.pts, chunk.time_base = SAMPLE_RATE, at, Fraction(1, SAMPLE_RATE)
        container.mux(stream.encode(chunk))  # pyright: ignore[reportUnknownMemberType]
        at = end
    return at

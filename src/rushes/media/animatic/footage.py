"""Footage: an earlier video or a clip, read as the pictures and the sound that a new board starts from.

Any video that can be probed is taken: it is turned upright, its pixels made square, scaled to cover the frame and cut
evenly on two sides, and shown at one steady rate. A picture that already fits is passed on as it was decoded. Where a
file does not say which colours it means, it is taken for BT.709, so nothing of it changes.
"""

import math
import re
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image

from rushes.errors import MediaError
from rushes.media.animatic.encode import SAMPLE_RATE
from rushes.media.animatic.paint import Field
from rushes.media.animatic.planes import Frame
from rushes.media.probe import displayed_size, measure, open_video
from rushes.video import Size

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

COMMENT = "An animatic (draft storyboard) by rushes"
"""How the comment in a file begins that is an animatic of ours; its seed stands at the end of it."""

_SEED = re.compile(rf"{re.escape(COMMENT)}\b.* seed (-?\d+)\Z")
_KEPT = 16  # frames that are held back for whoever asks out of turn: more than are drawn at once
_FASTEST, _SLOWEST = Fraction(60), Fraction(1)
_BT709, _UNSPECIFIED, _MPEG, _JPEG = 1, 2, 1, 2  # AVColorSpace and AVColorRange


class Footage:
    """The pictures of a video at a steady rate, for several threads that go through them about in order."""

    def __init__(self, path: Path, container: "InputContainer", stream: "VideoStream", size: Size) -> None:
        facts = measure(path)
        self.rate = min(max(facts.fps, _SLOWEST), _FASTEST)
        self.count = max(1, round(Fraction(facts.seconds) * self.rate))
        self.has_sound = facts.has_audio
        self.seed = _seed_in(container.metadata.get("comment", ""))
        self._path = path
        self._size = size
        self._stream = stream
        self._turn = threading.Lock()
        self._kept: dict[int, Frame] = {}
        self._made = 0
        stream.codec_context.skip_frame = "DEFAULT"
        self._ahead = self._decoded(container)
        self._shown = next(self._ahead)
        self._next = next(self._ahead, None)
        self._frame: Frame | None = None

    @property
    def seconds(self) -> Fraction:
        return self.count / self.rate

    def at(self, number: int) -> Frame:
        """Frame `number`; behind the end the last one. Not to be drawn on. Ask about in order: there is no way back."""
        number = min(number, self.count - 1)
        with self._turn:
            while self._made <= number:
                self._kept[self._made] = self._shot(self._made)
                self._kept.pop(self._made - _KEPT, None)
                self._made += 1
            return self._kept[number]

    def sound(self) -> Field | None:
        """All of its sound, float32 of shape (2, samples), just as long as the picture; None: it has none."""
        return _sound(self._path, round(self.seconds * SAMPLE_RATE)) if self.has_sound else None

    def _shot(self, number: int) -> Frame:
        # The picture whose time is nearest; one that is shown for long is converted once.
        until = (number + Fraction(1, 2)) / self.rate
        while self._next is not None and self._next[0] <= until:
            self._shown, self._next, self._frame = self._next, next(self._ahead, None), None
        if self._frame is None:
            self._frame = fitted(self._shown[1], self._stream, self._size)
        return self._frame

    def _decoded(self, container: "InputContainer") -> "Iterator[tuple[Fraction, VideoFrame]]":
        """Every picture with its time in seconds from the first."""
        start: Fraction | None = None
        base = self._stream.time_base or Fraction(1, 1000)
        for frame in container.decode(self._stream):
            at = (frame.pts or 0) * base
            start = at if start is None else start
            yield at - start, frame
        if start is None:
            raise MediaError("Not one picture of the video decodes.")


@contextmanager
def open_footage(path: Path, size: Size) -> Generator[Footage]:
    """Read a video at a size. Raises MediaError for what is none, or not whole."""
    with ExitStack() as stack:
        container, stream = stack.enter_context(open_video(path))
        yield Footage(path, container, stream, size)


def first_picture(path: Path) -> Image.Image:
    """The first picture of a clip, upright and with square pixels, as RGB."""
    with open_video(path) as (container, stream):
        stream.codec_context.skip_frame = "DEFAULT"
        frame = next(container.decode(stream), None)
        if frame is None:
            raise MediaError("Not one picture of the clip decodes.")
        shown = displayed_size(frame, stream)
        width, height = (shown.height, shown.width) if frame.rotation % 180 else shown
        picture = cast("Image.Image", frame.to_image(width=width, height=height))  # pyright: ignore[reportUnknownMemberType]
        return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


def fitted(frame: "VideoFrame", stream: "VideoStream", size: Size) -> Frame:
    """A decoded picture as planes of that size: upright, covering it, cut in the middle."""
    shown = displayed_size(frame, stream)
    scale = max(size.width / shown.width, size.height / shown.height)
    cover = Size(_even_up(shown.width * scale), _even_up(shown.height * scale))
    width, height = (cover.height, cover.width) if frame.rotation % 180 else cover
    planes = [_upright(plane, frame.rotation) for plane in _planes(frame, width, height)]
    left, top = (cover.width - size.width) // 4 * 2, (cover.height - size.height) // 4 * 2
    y, u, v = (
        plane.crop((left // part, top // part, (left + size.width) // part, (top + size.height) // part))
        for plane, part in zip(planes, (1, 2, 2), strict=True)
    )
    return Frame(y=y, u=u, v=v)


def _planes(frame: "VideoFrame", width: int, height: int) -> list[Image.Image]:
    """Y, U and V in 4:2:0, BT.709, limited range; untouched where they are that already."""
    full = frame.color_range == _JPEG or frame.format.name.startswith("yuvj") or frame.format.is_rgb
    told = frame.colorspace not in (_BT709, _UNSPECIFIED)
    if full or told or (frame.width, frame.height, frame.format.name) != (width, height, "yuv420p"):
        frame = frame.reformat(
            width=width,
            height=height,
            format="yuv420p",
            src_colorspace=None if told else "ITU709",
            dst_colorspace="ITU709",
            src_color_range="JPEG" if full else "MPEG",
            dst_color_range="MPEG",
            interpolation="BICUBIC",
            threads=1,  # so that equal pictures stay equal
        )
    sizes = ((width, height), (width // 2, height // 2), (width // 2, height // 2))
    return [
        Image.frombytes("L", size, bytes(plane), "raw", "L", plane.line_size, 1)
        for plane, size in zip(frame.planes, sizes, strict=True)
    ]


def _upright(plane: Image.Image, degrees: int) -> Image.Image:
    turn = {
        90: Image.Transpose.ROTATE_90,
        180: Image.Transpose.ROTATE_180,
        270: Image.Transpose.ROTATE_270,
    }.get(degrees % 360)
    return plane.transpose(turn) if turn is not None else plane


def _even_up(value: float) -> int:
    return math.ceil(round(value, 3) / 2) * 2


def _seed_in(comment: str) -> int | None:
    found = _SEED.match(comment)
    return int(found[1]) if found else None


def _sound(path: Path, count: int) -> Field:
    """The first sound track in our own form, put where it belongs beside the picture."""
    import av

    bed = np.zeros((2, count), np.float32)
    with open_video(path) as (container, video):
        track = container.streams.audio[0]
        starts = [(each.start_time or 0) * (each.time_base or 0) for each in (track, video)]
        at = round((starts[0] - starts[1]) * SAMPLE_RATE)
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SAMPLE_RATE)
        for frame in chain(container.decode(track), [None]):
            for piece in resampler.resample(frame):
                samples: Field = piece.to_ndarray().astype(np.float32)
                begin, end = max(0, at), min(count, at + samples.shape[1])
                if end > begin:
                    bed[:, begin:end] = samples[:, begin - at : end - at]
                at += samples.shape[1]
    return bed

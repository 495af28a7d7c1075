"""Still pictures out of a video: the thumbnail and the spritesheet. Runs in a media child.

Cheap by reading little: a picture near a keyframe is as good as the one asked for, and pictures that no other picture
needs are not decoded on the way.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rushes.errors import MediaError
from rushes.media.disk import write_whole
from rushes.media.probe import displayed_size, open_video
from rushes.video import Size

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL.Image import Image

THUMBNAIL_WIDTH = 640
THUMBNAIL_AT = (1 / 3, 1 / 2, 2 / 3, 1 / 8, 7 / 8)
"""Where to look, as parts of the length; the first that is not dark is taken, else the brightest."""
DARK = 24.0  # mean of R, G and B, of 255

COLUMNS, ROWS = 5, 4
CELL_WIDTH = 256
MAX_CELL_HEIGHT = 512  # of a picture as tall as a bookmark


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A spritesheet: cell n shows the time (n + 0.5) / (columns x rows) of the length, row by row."""

    columns: int
    rows: int
    cell: Size


def make_thumbnail(video: Path, out: Path) -> Size:
    """Write a WebP of at most 640 pixels in width. Raises MediaError."""
    with open_video(video) as (container, stream):
        reader = _Reader(container, stream)
        best, best_light = None, -1.0
        for part in THUMBNAIL_AT:
            frame = reader.at(part, slack=1 / 8)
            if (light := _light(frame)) > best_light:
                best, best_light = frame, light
            if light > DARK:
                break
        assert best is not None
        shown = displayed_size(best, stream)
        width = min(THUMBNAIL_WIDTH, shown.width)
        picture = _upright(best, Size(width, max(1, round(width / shown.aspect))))
    write_whole(out, _encoded(picture, "WEBP", quality=80, method=2))
    return Size(*picture.size)


def make_spritesheet(video: Path, out: Path) -> Sheet:
    """Write a JPEG of 5 x 4 pictures, evenly spread over the video. Raises MediaError."""
    from PIL import Image

    count = COLUMNS * ROWS
    with open_video(video) as (container, stream):
        stream.codec_context.options = {"skip_loop_filter": "all"}  # its work is not seen in cells this small
        reader = _Reader(container, stream)
        shown = displayed_size(reader.at(0.0), stream)
        cell = Size(CELL_WIDTH, min(MAX_CELL_HEIGHT, max(1, round(CELL_WIDTH / shown.aspect))))
        sheet = Image.new("RGB", (COLUMNS * cell.width, ROWS * cell.height))
        for n in range(count):
            frame = reader.at((n + 0.5) / count, slack=0.25 / count)
            sheet.paste(_upright(frame, cell), (n % COLUMNS * cell.width, n // COLUMNS * cell.height))
    write_whole(out, _encoded(sheet, "JPEG", quality=80))
    return Sheet(columns=COLUMNS, rows=ROWS, cell=cell)


def make_last_frame(video: Path, out: Path) -> Size:
    """Write the very last picture as PNG, in the size that is displayed. Raises MediaError."""
    with open_video(video) as (container, stream):
        keyframes = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
        if keyframes:
            container.seek(keyframes[-1], stream=stream)
        last = None
        for frame in container.decode(stream):
            last = frame
        if last is None:
            raise MediaError("Not one picture of the video decodes.")
        picture = _upright(last, displayed_size(last, stream))
    write_whole(out, _encoded(picture, "PNG"))
    return Size(*picture.size)


class _Reader:
    """Pictures by their place in the video, going forward where that is cheaper than seeking."""

    def __init__(self, container: "InputContainer", stream: "VideoStream") -> None:
        self._container = container
        self._stream = stream
        self._frames: Iterator[VideoFrame] | None = None
        self._last: VideoFrame | None = None
        self._keyframes = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
        base = stream.time_base or Fraction(1, 1000)
        length = stream.duration or int((container.duration or 0) / 1_000_000 / base)
        self._start, self._length = stream.start_time or 0, max(length, 1)
        stream.codec_context.skip_frame = "NONREF"

    def at(self, part: float, *, slack: float = 0.0) -> "VideoFrame":
        """The picture at a part (0 to 1) of the length, or a keyframe that is at most `slack` away."""
        target = self._start + int(part * self._length)
        place = bisect_right(self._keyframes, target)
        near = self._keyframes[max(0, place - 1) : place + 1]
        key = near[0] if near and near[0] <= target else None
        closest = min(near, key=lambda k: abs(k - target), default=None)
        if closest is not None and abs(closest - target) <= slack * self._length:
            key = target = closest
        behind = self._last is None or self._last.pts is None or target < self._last.pts
        if self._frames is None or behind or (key is not None and self._last and key > (self._last.pts or 0)):
            self._container.seek(key if key is not None else target, stream=self._stream)
            self._frames = self._container.decode(self._stream)
            self._last = None
        return self._forward_to(target)

    def _forward_to(self, target: int) -> "VideoFrame":
        assert self._frames is not None
        if self._last is not None and (self._last.pts or 0) >= target:
            return self._last
        for frame in self._frames:
            self._last = frame
            if frame.pts is None or frame.pts >= target:
                break
        if self._last is None:
            raise MediaError("Not one picture of the video decodes.")
        return self._last


def _upright(frame: "VideoFrame", size: Size) -> "Image":
    """The picture as displayed, in that size."""
    turned = frame.rotation % 180 != 0
    width, height = (size.height, size.width) if turned else size
    picture = cast("Image", frame.to_image(width=width, height=height))  # pyright: ignore[reportUnknownMemberType]
    return picture.rotate(frame.rotation, expand=True) if frame.rotation else picture


def _light(frame: "VideoFrame") -> float:
    """Mean brightness, 0 to 255, judged on a stamp-sized copy."""
    plane = frame.reformat(width=32, height=18, format="rgb24").planes[0]
    data = bytes(plane)
    rows = [data[y * plane.line_size : y * plane.line_size + 32 * 3] for y in range(18)]
    return sum(map(sum, rows)) / (32 * 18 * 3)


def _encoded(picture: "Image", kind: str, **options: int) -> bytes:
    import io

    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()

"""Stills: an animatic of given pictures instead of painted ones.

The first frame is the picture itself, cut to fill the frame; from there the camera moves as the prompt says, by
enlarging and shifting (the move called Ken Burns). A last picture is dissolved to, and stands still at the end.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from rushes.media.animatic.camera import Move
from rushes.media.animatic.paint import Field
from rushes.media.animatic.planes import Frame, Planes, resampled, to_planes

_BORDER = 0.10  # share of the frame that is mirrored around the picture, for moves that go outwards


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A picture with its mirrored border."""

    planes: Planes
    border_x: int
    border_y: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop:
    """What part of the picture is seen: shifted by shares of the frame, enlarged by `scale`."""

    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0


def load_still(path: Path, width: int, height: int) -> Still:
    """Read a picture and fit it to the frame: filled, cut evenly on two sides, turned as its EXIF says."""
    with Image.open(path) as image:
        return still_of_picture(as_rgb(image), width, height)


def as_rgb(image: Image.Image) -> Image.Image:
    """A picture upright, on black where it is transparent."""
    upright = ImageOps.exif_transpose(image)
    flat = Image.new("RGB", upright.size, (0, 0, 0))
    rgba = upright.convert("RGBA")
    flat.paste(rgba, mask=rgba.getchannel("A"))
    return flat


def rgb_field(image: Image.Image) -> Field:
    """RGB in 0..1."""
    rgb: Field = np.asarray(image, dtype=np.float32) / np.float32(255)
    return rgb


def still_of_picture(picture: Image.Image, width: int, height: int) -> Still:
    """An RGB picture, fitted to the frame."""
    fitted = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    border_x, border_y = _borders(width, height)
    padded = np.pad(rgb_field(fitted), ((border_y, border_y), (border_x, border_x), (0, 0)), mode="symmetric")
    return Still(planes=to_planes(padded), border_x=border_x, border_y=border_y)


def still_of_frame(frame: Frame) -> Still:
    """A frame that stands still: unmoved it is drawn as just the same pixels."""
    border_x, border_y = _borders(frame.width, frame.height)
    y, u, v = (
        Image.fromarray(np.pad(np.asarray(plane), ((high, high), (wide, wide)), mode="symmetric"))
        for plane, high, wide in (
            (frame.y, border_y, border_x),
            (frame.u, border_y // 2, border_x // 2),
            (frame.v, border_y // 2, border_x // 2),
        )
    )
    return Still(
        planes=Planes(y=y, u=u, v=v, alpha=None, alpha_half=None, size=y.size), border_x=border_x, border_y=border_y
    )


def _borders(width: int, height: int) -> tuple[int, int]:
    return math.ceil(width * _BORDER / 2) * 2, math.ceil(height * _BORDER / 2) * 2


def crop_at(moves: tuple[Move, ...], progress: float) -> Crop:
    """The crop when `progress` (0..1) of the clip is over; at 0 it is the whole picture. Pure."""
    wanted = [move for move in moves if move is not Move.HANDHELD] or [Move.STATIC]
    x = y = zoom = 0.0
    for index, move in enumerate(wanted):
        done = min(1.0, max(0.0, progress * len(wanted) - index))
        eased = 0.3 * done + 0.7 * done * done * (3 - 2 * done)
        part = _PARTS.get(move, (0.0, 0.0, 0.0))
        x, y, zoom = x + part[0] * eased, y + part[1] * eased, zoom + part[2] * eased
    if Move.HANDHELD in moves:
        # Starts from nothing, like everything here, so that the first frame is the picture.
        fade = min(1.0, progress * 6)
        x += 0.006 * math.sin(progress * 29) * fade
        y += 0.006 * math.sin(progress * 23) * fade
    # A shift needs room: enlarge just enough that no edge comes into view.
    room = 1 / (1 - 2 * min(0.4, max(abs(x), abs(y))))
    lowest = 1 / (1 + 2 * _BORDER * 0.9)
    return Crop(dx=x, dy=y, scale=max(lowest, math.exp(zoom), room if zoom >= 0 else lowest))


_PARTS: dict[Move, tuple[float, float, float]] = {
    Move.PAN_LEFT: (-0.10, 0.0, 0.0),
    Move.PAN_RIGHT: (0.10, 0.0, 0.0),
    Move.TRUCK_LEFT: (-0.10, 0.0, 0.0),
    Move.TRUCK_RIGHT: (0.10, 0.0, 0.0),
    Move.ORBIT: (0.08, 0.0, 0.06),
    Move.TILT_UP: (0.0, -0.10, 0.0),
    Move.TILT_DOWN: (0.0, 0.10, 0.0),
    Move.CRANE_UP: (0.0, -0.10, 0.0),
    Move.CRANE_DOWN: (0.0, 0.10, 0.0),
    Move.AERIAL: (0.03, -0.05, 0.08),
    Move.ZOOM_IN: (0.0, 0.0, 0.26),
    Move.PUSH_IN: (0.0, 0.0, 0.26),
    Move.ZOOM_OUT: (0.0, 0.0, -0.16),
    Move.PULL_OUT: (0.0, 0.0, -0.16),
    Move.DRIFT: (0.012, -0.008, 0.09),
}


def draw_still(still: Still, crop: Crop, width: int, height: int) -> Frame:
    """One frame of a still."""
    left = still.border_x + width * (0.5 + crop.dx - 0.5 / crop.scale)
    top = still.border_y + height * (0.5 + crop.dy - 0.5 / crop.scale)
    planes = still.planes
    if isinstance(planes.y, int) or isinstance(planes.u, int) or isinstance(planes.v, int):
        raise TypeError("a still has three pictures for planes")
    half = (width // 2, height // 2)
    return Frame(
        y=resampled(planes.y, left, top, crop.scale, (width, height)),
        u=resampled(planes.u, left / 2, top / 2, crop.scale, half),
        v=resampled(planes.v, left / 2, top / 2, crop.scale, half),
    )


def dissolved(first: Frame, second: Frame, share: float) -> Frame:
    """Between two frames: 0 the first, 1 the second."""
    return Frame(
        y=Image.blend(first.y, second.y, share),
        u=Image.blend(first.u, second.u, share),
        v=Image.blend(first.v, second.v, share),
    )

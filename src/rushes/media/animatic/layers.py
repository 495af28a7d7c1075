"""Layers: the things that a frame is made of, from far to near, each able to draw itself at a moment.

All drawing is a pure function of (framing, time): frames can be made in any order and in two threads. Places
are in frame pixels of the composed picture, the origin at its upper left corner.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import numpy as np
from PIL import Image

from rushes.media.animatic.camera import Framing, view
from rushes.media.animatic.chance import Chance
from rushes.media.animatic.paint import Field, Rgb
from rushes.media.animatic.palette import Palette
from rushes.media.animatic.planes import (
    Frame,
    Planes,
    Rect,
    flat_planes,
    paste,
    resampled,
    to_planes,
    yuv_colour,
)
from rushes.media.animatic.words import Scene


class Drawable(Protocol):
    """Anything that can be part of a frame."""

    def covers_from(self, width: int, height: int, framing: Framing, t: float) -> int:
        """The first row from which it hides, down to the last, all that is behind it; `height` if none."""
        ...

    def draw(self, frame: Frame, framing: Framing, t: float, floor: int) -> None:
        """Draw at `t` seconds. Rows from `floor` down will be hidden and may be left alone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """How a layer moves by itself: a steady drift, and a sway to and fro. Pixels, seconds."""

    drift_x: float = 0.0
    drift_y: float = 0.0
    sway_x: float = 0.0
    sway_y: float = 0.0
    period_s: float = 6.0
    phase: float = 0.0

    def at(self, t: float) -> tuple[float, float]:
        swing = math.sin(2 * math.pi * t / self.period_s + self.phase)
        # Half a quarter behind: things that float go round in ellipses, not along a line.
        lag = math.sin(2 * math.pi * t / self.period_s + self.phase + 1.3)
        return (self.drift_x * t + self.sway_x * swing, self.drift_y * t + self.sway_y * lag)


STILL = Motion()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate:
    """The pixels that a painter has to fill for one layer: all that the camera will ever see of it."""

    left: int
    top: int
    width: int
    height: int

    def below(self, y: float) -> "Plate":
        """The part of the plate from frame row `y` down: what lies above would be painted for nothing."""
        top = min(max(self.top, math.floor(y / 2) * 2), self.top + self.height - 4)
        return Plate(left=self.left, top=top, width=self.width, height=self.top + self.height - top)

    @property
    def x(self) -> Field:
        """Frame x of every column."""
        return np.arange(self.left, self.left + self.width, dtype=np.float32)

    @property
    def y(self) -> Field:
        """Frame y of every row, as a column vector."""
        return np.arange(self.top, self.top + self.height, dtype=np.float32)[:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What painters know: the frame, the light, the words and the whole camera path."""

    width: int
    height: int
    seconds: float
    fps: int
    scene: Scene
    palette: Palette
    chance: Chance
    framings: Sequence[Framing]
    horizon: float = 0.6  # share of the height

    @property
    def unit(self) -> float:
        """The length that things are sized by: the height, or less of it in a portrait frame."""
        return min(float(self.height), 0.5 * (self.width + self.height))

    @property
    def horizon_y(self) -> float:
        return self.horizon * self.height

    def plate(self, depth: float, motion: Motion = STILL) -> Plate:
        """The region of a layer at `depth`, moving by `motion`, that the camera sees over the whole clip."""
        left = top = 1e9
        right = bottom = -1e9
        moments = (
            [0.0, self.seconds] if motion.sway_x == 0 == motion.sway_y else [0.0, self.seconds * 0.5, self.seconds]
        )
        slack_x, slack_y = abs(motion.sway_x), abs(motion.sway_y)
        step = max(1, len(self.framings) // 48)
        for framing in (*self.framings[::step], self.framings[-1]):
            seen = view(framing, depth)
            x, y = (0.5 + seen.dx) * self.width, (0.5 + seen.dy) * self.height
            half_w, half_h = self.width / 2 / seen.scale, self.height / 2 / seen.scale
            left, right = min(left, x - half_w), max(right, x + half_w)
            top, bottom = min(top, y - half_h), max(bottom, y + half_h)
        drifts_x = [motion.drift_x * t for t in moments]
        drifts_y = [motion.drift_y * t for t in moments]
        left, right = left - max(drifts_x) - slack_x, right - min(drifts_x) + slack_x
        top, bottom = top - max(drifts_y) - slack_y, bottom - min(drifts_y) + slack_y
        x0, y0 = math.floor(left / 2) * 2 - 4, math.floor(top / 2) * 2 - 4
        x1, y1 = math.ceil(right / 2) * 2 + 4, math.ceil(bottom / 2) * 2 + 4
        return Plate(left=x0, top=y0, width=x1 - x0, height=y1 - y0)

    def with_horizon(self, horizon: float) -> "Stage":
        return replace(self, horizon=horizon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A painted picture somewhere in depth. Several poses are shown in turn, as in a flip book."""

    left: int
    top: int
    depth: float
    poses: tuple[Planes, ...]
    motion: Motion = STILL
    pose_fps: float = 12.0
    solid_row: int = 1 << 30  # rows of the picture from here on are opaque all across
    wide: bool = False  # reaches from edge to edge, so that its solid rows hide what is behind
    strips: tuple[Rect, ...] = ()  # the parts above `solid_row` where there is anything; none: all of it

    def _place(self, width: int, height: int, framing: Framing, t: float) -> tuple[float, float, float]:
        seen = view(framing, self.depth)
        dx, dy = self.motion.at(t)
        x = (self.left + dx - (0.5 + seen.dx) * width) * seen.scale + width / 2
        y = (self.top + dy - (0.5 + seen.dy) * height) * seen.scale + height / 2
        return (x, y, seen.scale)

    def covers_from(self, width: int, height: int, framing: Framing, t: float) -> int:
        if not self.wide or self.solid_row >= self.poses[0].size[1]:
            return height
        _, y, scale = self._place(width, height, framing, t)
        return _even_up(y + self.solid_row * scale)

    def draw(self, frame: Frame, framing: Framing, t: float, floor: int) -> None:
        planes = self.poses[int(t * self.pose_fps) % len(self.poses)]
        x, y, scale = self._place(frame.width, frame.height, framing, t)
        columns, rows = planes.size
        solid = min(self.solid_row, rows)
        masked = self.strips or (Rect(left=0, top=0, right=columns, bottom=solid),)
        for part in (*masked, Rect(left=0, top=solid, right=columns, bottom=rows)):
            target = Rect(
                left=max(0, _even_up(x + part.left * scale)),
                top=max(0, _even_up(y + part.top * scale)),
                right=min(
                    frame.width,
                    _even_up(x + part.right * scale) if part.right < columns else _even_down(x + columns * scale),
                ),
                bottom=min(
                    frame.height,
                    floor,
                    _even_up(y + part.bottom * scale) if part.bottom < rows else _even_down(y + rows * scale),
                ),
            )
            corner = ((target.left - x) / scale, (target.top - y) / scale)
            paste(frame, planes, target, corner[0], corner[1], scale, solid=part.top >= self.solid_row)


def wide_layer(
    plate: Plate, depth: float, rgb: Field | Rgb, mask: Field | None = None, motion: Motion = STILL
) -> Layer:
    """A layer that fills its plate from side to side: sky, ridge, ground. Empty rows on top are cut off.

    One colour instead of a picture is cheaper to draw; it needs a mask.
    """
    if mask is None:
        if isinstance(rgb, tuple):
            raise TypeError("one colour needs a mask")
        return Layer(
            left=plate.left,
            top=plate.top,
            depth=depth,
            poses=(to_planes(rgb),),
            motion=motion,
            solid_row=0,
            wide=True,
        )
    empty = int(np.argmax(mask.max(axis=1) > 1 / 255)) // 2 * 2
    least = mask.min(axis=1)
    holes = np.flatnonzero(least < 0.998)
    solid = (int(holes[-1]) // 2 + 1) * 2 if len(holes) else 0
    filled = np.flatnonzero(mask.max(axis=1) > 1 / 255)
    bottom = min(mask.shape[0], (int(filled[-1]) // 2 + 1) * 2) if len(filled) else empty + 2
    trimmed = mask[empty:bottom]
    planes = flat_planes(rgb, trimmed) if isinstance(rgb, tuple) else to_planes(rgb[empty:bottom], trimmed)
    return Layer(
        left=plate.left,
        top=plate.top + empty,
        depth=depth,
        poses=(planes,),
        motion=motion,
        solid_row=solid - empty,
        wide=bottom == mask.shape[0],
        strips=_strips(trimmed, min(solid - empty, bottom - empty)),
    )


def _strips(mask: Field, solid: int, count: int = 4) -> tuple[Rect, ...]:
    """Upright strips of a mask's first `solid` rows, each only as tall as what it holds: most sky has no cloud.

    None where they would save little: every strip costs a dozen calls a frame.
    """
    edges = [round(i * mask.shape[1] / count / 2) * 2 for i in range(count + 1)]
    filled = mask[:solid] > 1 / 255
    strips: list[Rect] = []
    for left, right in pairwise(edges):
        rows = np.flatnonzero(filled[:, left:right].any(axis=1))
        if len(rows):
            top, bottom = int(rows[0]) // 2 * 2, min(solid, (int(rows[-1]) // 2 + 1) * 2)
            strips.append(Rect(left=left, top=top, right=right, bottom=bottom))
    area = sum(strip.size[0] * strip.size[1] for strip in strips)
    saved = solid * mask.shape[1] - area
    return tuple(strips) if saved > max(area // 2, 60_000) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """A small glowing point. It breathes between `least` and 1 of its brightness, `rate_hz` times a second."""

    x: float
    y: float
    radius: float
    colour: Rgb
    least: float = 0.4
    rate_hz: float = 0.3
    phase: float = 0.0
    power: float = 1.0
    drift_x: float = 0.0
    drift_y: float = 0.0
    wander: float = 0.0  # pixels to and fro


@dataclass(frozen=True, slots=True, kw_only=True)
class Lights:
    """Many lights at one depth: stars, lit windows, fireflies, dust in a sunbeam."""

    depth: float
    lights: tuple[Light, ...]

    def covers_from(self, width: int, height: int, framing: Framing, t: float) -> int:
        return height

    def draw(self, frame: Frame, framing: Framing, t: float, floor: int) -> None:
        seen = view(framing, self.depth)
        middle_x, middle_y = (0.5 + seen.dx) * frame.width, (0.5 + seen.dy) * frame.height
        for light in self.lights:
            swing = math.sin(2 * math.pi * light.rate_hz * t + light.phase)
            wave = 0.5 + 0.5 * swing
            level = round((light.least + (1 - light.least) * wave) * light.power * 12)
            if level <= 0:
                continue
            lag = math.sin(2 * math.pi * light.rate_hz * 0.7 * t + light.phase * 2)
            x = light.x + light.drift_x * t + light.wander * swing
            y = light.y + light.drift_y * t + light.wander * 0.7 * lag
            place_x = (x - middle_x) * seen.scale + frame.width / 2
            place_y = (y - middle_y) * seen.scale + frame.height / 2
            if 0 <= place_x < frame.width and 0 <= place_y < min(frame.height, floor):
                _stamp(frame, place_x, place_y, max(0.6, light.radius * seen.scale), level, light.colour)


def _stamp(frame: Frame, x: float, y: float, radius: float, level: int, colour: Rgb) -> None:
    luma, cb, cr = _yuv_cached(colour)
    # Quarter pixels: a slow pan must not make the stars hop.
    targets = ((frame.y, luma, 1), (frame.u, cb, 2), (frame.v, cr, 2))
    # The colour of a point of two pixels cannot be seen.
    for plane, value, shrink in targets if radius > 1.3 else targets[:1]:
        at_x, at_y = x / shrink, y / shrink
        left, top = math.floor(at_x), math.floor(at_y)
        fine_x, fine_y = int((at_x - left) * 4), int((at_y - top) * 4)
        spot = _spot(round(radius / shrink * 4), level, fine_x, fine_y)
        reach = spot.width // 2
        plane.paste(value, (left - reach, top - reach, left - reach + spot.width, top - reach + spot.height), spot)


@lru_cache(maxsize=512)
def _yuv_cached(colour: Rgb) -> tuple[int, int, int]:
    return yuv_colour(colour)


@lru_cache(maxsize=8192)
def _spot(quarter_radius: int, level: int, fine_x: int, fine_y: int) -> Image.Image:
    """A soft round mask: a small bright core in a faint halo."""
    radius = max(0.35, quarter_radius / 4)
    reach = math.ceil(radius * 2.6) + 1
    across = np.arange(-reach, reach + 1, dtype=np.float32)
    squared = (across[None, :] - fine_x / 4) ** 2 + (across[:, None] - fine_y / 4) ** 2
    core = np.exp(-squared / np.float32(0.5 * radius * radius))
    halo = np.exp(-squared / np.float32(2.4 * radius * radius)) * np.float32(0.28)
    value = np.clip(core + halo, 0, 1) * np.float32(255 * level / 12)
    return Image.fromarray(value.astype(np.uint8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A seamless tile of marks that falls or blows over the whole frame: rain, snow, drifting mist."""

    tile: Image.Image  # mask, "L"; its size is the period
    colour: Rgb
    depth: float
    speed_x: float  # pixels per second
    speed_y: float
    sway: float = 0.0
    sway_period_s: float = 5.0
    tint: bool = False  # also colour the chroma planes; thin white marks do not need it

    def covers_from(self, width: int, height: int, framing: Framing, t: float) -> int:
        return height

    def draw(self, frame: Frame, framing: Framing, t: float, floor: int) -> None:
        seen = view(framing, self.depth)
        swing = math.sin(2 * math.pi * t / self.sway_period_s)
        x = -seen.dx * frame.width + self.speed_x * t + self.sway * swing
        y = -seen.dy * frame.height + self.speed_y * t
        luma, cb, cr = yuv_colour(self.colour)
        mask = tiled(self.tile, x, y, frame.y.size)
        frame.y.paste(luma, (0, 0), mask)
        if self.tint:
            half = mask.reduce(2)
            frame.u.paste(cb, (0, 0), half)
            frame.v.paste(cr, (0, 0), half)


def tiled(tile: Image.Image, x: float, y: float, size: tuple[int, int]) -> Image.Image:
    """`size` pixels of an endless repetition of `tile` that was moved by (x, y)."""
    shift_x, shift_y = round(x) % tile.width, round(y) % tile.height
    out = Image.new("L", size)
    for left in range(shift_x - tile.width, size[0], tile.width):
        for top in range(shift_y - tile.height, size[1], tile.height):
            out.paste(tile, (left, top))
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Veil:
    """A still tint over the whole frame, whatever the camera does: the vignette, a sheet of haze."""

    colour: tuple[int, int, int]  # Y, Cb, Cr
    mask: Image.Image

    def covers_from(self, width: int, height: int, framing: Framing, t: float) -> int:
        return height

    def draw(self, frame: Frame, framing: Framing, t: float, floor: int) -> None:
        frame.y.paste(self.colour[0], (0, 0), self.mask)


def draw_frame(items: Sequence[Drawable], width: int, height: int, framing: Framing, t: float) -> Frame:
    """One frame, layers from far to near; what nearer layers hide is not drawn."""
    frame = _composed(items, width, height, framing, t)
    if framing.zoom < 1.0005:
        return frame
    left, top = width / 2 * (1 - 1 / framing.zoom), height / 2 * (1 - 1 / framing.zoom)
    half = (width // 2, height // 2)
    return Frame(
        y=resampled(frame.y, left, top, framing.zoom, (width, height)),
        u=resampled(frame.u, left / 2, top / 2, framing.zoom, half),
        v=resampled(frame.v, left / 2, top / 2, framing.zoom, half),
    )


def _composed(items: Sequence[Drawable], width: int, height: int, framing: Framing, t: float) -> Frame:
    frame = Frame.empty(width, height)
    floors: list[int] = []
    floor = height
    for item in reversed(items):
        floors.append(floor)
        floor = min(floor, max(0, item.covers_from(width, height, framing, t)))
    for item, limit in zip(items, reversed(floors), strict=True):
        if limit > 0:
            item.draw(frame, framing, t, limit)
    return frame


def _even_up(value: float) -> int:
    return math.ceil(value / 2 - 1e-9) * 2


def _even_down(value: float) -> int:
    return math.floor(value / 2 + 1e-9) * 2

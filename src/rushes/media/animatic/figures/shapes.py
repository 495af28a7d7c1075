"""Shapes: how a figure is described and how it becomes a layer.

A figure is a list of parts, each a closed outline and the colour it is filled with, for one moment of its cycle
(`phase` in 0..1). Coordinates: x to the right, y up from the ground, the figure's own height is about 1. Parts
are filled in order, then the whole is shaded: darker below, lit along the edge that faces the sun.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageDraw

from rushes.media.animatic.layers import STILL, Layer, Motion, Stage
from rushes.media.animatic.paint import Field, Rgb, blurred, grey, in_parallel, mix, over, smoothstep
from rushes.media.animatic.planes import Planes, to_planes

Point = tuple[float, float]
_FINE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One filled outline. A `glow` part is light itself: it is not shaded."""

    outline: tuple[Point, ...]
    colour: Rgb
    glow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The colours that a figure is drawn with."""

    body: Rgb
    dark: Rgb
    light: Rgb
    accent: Rgb
    lamp: Rgb


Pose = Callable[[float, Look], list[Part]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A pose for every phase and the box, in its own units, that holds all of them."""

    pose: Pose
    box: tuple[float, float, float, float]  # left, bottom, right, top
    cycle_s: float = 3.0
    frames: int = 12


def spline(points: Sequence[Point], *, closed: bool = True, steps: int = 6) -> tuple[Point, ...]:
    """A smooth line through the points (Catmull-Rom). A point given twice in a row stays a corner."""
    count = len(points)
    out: list[Point] = []
    last = count if closed else count - 1
    for i in range(last):
        p0, p1 = points[(i - 1) % count] if closed or i else points[0], points[i]
        p2 = points[(i + 1) % count]
        if p1 == p2:
            continue
        p3 = points[(i + 2) % count] if closed else points[min(i + 2, count - 1)]
        for step in range(steps):
            t = step / steps
            out.append((_catmull(p0[0], p1[0], p2[0], p3[0], t), _catmull(p0[1], p1[1], p2[1], p3[1], t)))
    if not closed:
        out.append(points[-1])
    return tuple(out)


def _catmull(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)


def ellipse(x: float, y: float, radius_x: float, radius_y: float, tilt: float = 0.0) -> tuple[Point, ...]:
    """A closed outline; `tilt` in radians, counter-clockwise."""
    points: list[Point] = []
    for i in range(36):
        angle = 2 * math.pi * i / 36
        px, py = math.cos(angle) * radius_x, math.sin(angle) * radius_y
        points.append((x + px * math.cos(tilt) - py * math.sin(tilt), y + px * math.sin(tilt) + py * math.cos(tilt)))
    return tuple(points)


def limb(points: Sequence[Point], widths: Sequence[float]) -> tuple[Point, ...]:
    """A smooth band along the points, as wide at each as `widths` says, with round ends."""
    middle = spline(points, closed=False, steps=5)
    places = np.linspace(0, 1, len(widths))
    left: list[Point] = []
    right: list[Point] = []
    for index, (x, y) in enumerate(middle):
        ahead, behind = middle[min(index + 1, len(middle) - 1)], middle[max(index - 1, 0)]
        dx, dy = ahead[0] - behind[0], ahead[1] - behind[1]
        length = math.hypot(dx, dy) or 1.0
        half = float(np.interp(index / (len(middle) - 1), places, widths)) / 2
        left.append((x - dy / length * half, y + dx / length * half))
        right.append((x + dy / length * half, y - dx / length * half))
    return (
        *left,
        *_cap(middle[-2], middle[-1], widths[-1] / 2),
        *right[::-1],
        *_cap(middle[1], middle[0], widths[0] / 2),
    )


def _cap(before: Point, end: Point, radius: float) -> list[Point]:
    heading = math.atan2(end[1] - before[1], end[0] - before[0])
    return [
        (end[0] + math.cos(heading + a) * radius, end[1] + math.sin(heading + a) * radius)
        for a in (1.0, 0.5, 0, -0.5, -1.0)
    ]


def moved(
    outline: Sequence[Point], dx: float = 0.0, dy: float = 0.0, *, turn: float = 0.0, about: Point = (0, 0)
) -> tuple[Point, ...]:
    """The outline turned by radians about a point, then shifted."""
    cos, sin = math.cos(turn), math.sin(turn)
    return tuple(
        (
            about[0] + (x - about[0]) * cos - (y - about[1]) * sin + dx,
            about[1] + (x - about[0]) * sin + (y - about[1]) * cos + dy,
        )
        for x, y in outline
    )


def look_of(stage: Stage, colour: Rgb | None, depth: float) -> Look:
    """Colours of a figure in the light of the stage: a silhouette against the sky, unless its colour is named."""
    palette = stage.palette
    shade = palette.shadow(depth)
    # Indoors and at noon light comes from all sides: there figures have some body.
    open_light = {"noon": 0.5, "golden": 0.30, "dawn": 0.30, "dusk": 0.16, "night": 0.10}[palette.hour]
    if colour is None:
        neutral = (0.50 * palette.ambient[0], 0.47 * palette.ambient[1], 0.46 * palette.ambient[2])
        body = mix(shade, neutral, open_light * 0.8)
    else:
        lit = tuple(c * a for c, a in zip(colour, palette.ambient, strict=True))
        body = mix(shade, (lit[0], lit[1], lit[2]), 0.42 + open_light * 0.8)
    if palette.grey:
        body = grey(body)
    return Look(
        body=body,
        dark=mix(body, palette.near, 0.55),
        light=mix(body, palette.rim, 0.42),
        accent=mix(palette.accent, palette.near, 0.18),
        lamp=mix(palette.lamp, (1, 1, 1), 0.25),
    )


def figure_layer(
    stage: Stage,
    figure: Figure,
    look: Look,
    *,
    x: float,
    foot: float,
    tall: float,
    depth: float,
    motion: Motion = STILL,
    facing: int = 1,
    start: float = 0.0,
    haze: float = 0.0,
) -> Layer:
    """Draw all poses of a figure. `x` and `foot` in frame pixels, `tall` the height in pixels, `facing` +1 right."""
    left, bottom, right, top = figure.box
    width = max(4, math.ceil((right - left) * tall / 2) * 2 + 8)
    height = max(4, math.ceil((top - bottom) * tall / 2) * 2 + 8)
    # Small figures show no more than a few poses; large ones are worth the memory.
    count = figure.frames if figure.cycle_s > 0 else 1
    phases = [(start + i / count) % 1.0 for i in range(count)]
    paint = partial(_painted, stage, figure, look, tall=tall, width=width, height=height, facing=facing, haze=haze)
    poses = tuple(in_parallel([partial(paint, phase) for phase in phases]))
    reach = left if facing > 0 else -right
    return Layer(
        left=round(x + reach * tall) - 4,
        top=round(foot - top * tall) - 4,
        depth=depth,
        poses=poses,
        motion=motion,
        pose_fps=count / max(0.1, figure.cycle_s),
    )


def _painted(
    stage: Stage,
    figure: Figure,
    look: Look,
    phase: float,
    *,
    tall: float,
    width: int,
    height: int,
    facing: int,
    haze: float,
) -> Planes:
    left, _, right, top = figure.box
    origin = left if facing > 0 else -right
    fine = _FINE if width * height < 500_000 else 2
    colour = Image.new("RGB", (width * fine, height * fine), _bytes(look.body))
    mask = Image.new("L", (width * fine, height * fine), 0)
    bright = Image.new("L", (width * fine, height * fine), 0)
    draws = (ImageDraw.Draw(colour), ImageDraw.Draw(mask), ImageDraw.Draw(bright))
    for part in figure.pose(phase, look):
        points = [(((facing * x - origin) * tall + 4) * fine, ((top - y) * tall + 4) * fine) for x, y in part.outline]
        if len(points) < 3:
            continue
        draws[0].polygon(points, fill=_bytes(part.colour))
        draws[1].polygon(points, fill=255)
        draws[2].polygon(points, fill=255 if part.glow else 0)
    rgb: Field = np.asarray(colour.reduce(fine), dtype=np.float32) / np.float32(255)
    shape: Field = np.asarray(mask.reduce(fine), dtype=np.float32) / np.float32(255)
    shine: Field = np.asarray(bright.reduce(fine), dtype=np.float32) / np.float32(255)
    _shade(stage, rgb, shape, shine, tall, haze)
    return to_planes(np.clip(rgb, 0, 1), shape)


def _shade(stage: Stage, rgb: Field, shape: Field, shine: Field, tall: float, haze: float) -> None:
    palette = stage.palette
    dull = 1 - shine
    rows = np.linspace(0, 1, shape.shape[0], dtype=np.float32)[:, None]
    over(rgb, palette.near, smoothstep(0.35, 1.05, rows) * dull * np.float32(0.34))
    soft = blurred(shape, max(0.5, tall * 0.012))
    shift = max(1, round(tall * 0.012))
    side = 1 if palette.sun_x > 0.5 else -1
    rim = np.clip(soft - np.roll(soft, (shift, -side * shift), axis=(0, 1)), 0, 1) * dull
    over(rgb, palette.rim, np.clip(rim * np.float32(1.25 if not palette.dark else 0.85), 0, 0.85))
    if haze > 0:
        over(rgb, palette.haze, dull * np.float32(haze))


def _bytes(colour: Rgb) -> tuple[int, int, int]:
    return (round(colour[0] * 255), round(colour[1] * 255), round(colour[2] * 255))

"""Water: seas, lakes and wet streets. What stands behind it is mirrored in it, and it never holds still.

The mirror image is painted once. On every frame its rows are shuffled a little up and down, more towards the
viewer, and glints appear where two drifting sheets of noise are bright together: a few tenths of a millisecond.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageChops

from rushes.media.animatic.camera import Framing, view
from rushes.media.animatic.layers import Drawable, Layer, Motion, Plate, Stage, draw_frame, wide_layer
from rushes.media.animatic.paint import (
    Field,
    Rgb,
    blurred,
    fbm,
    in_parallel,
    mix,
    noise,
    over,
    profile,
    ramp,
    resized,
    smoothstep,
    to_bytes,
)
from rushes.media.animatic.planes import Frame, rgb_of, yuv_colour
from rushes.media.animatic.scenery.ground import perspective, tiling
from rushes.media.animatic.vocabulary import Weather

WATER_DEPTH = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Water:
    """A mirroring surface from its layer's first row down."""

    layer: Layer
    glints: tuple[Image.Image, Image.Image]  # masks over the layer's picture
    glint: Rgb
    swell: float  # pixels that a row near the viewer moves up and down
    speed: float

    def covers_from(self, width: int, height: int, framing: Framing, t: float) -> int:
        return self.layer.covers_from(width, height, framing, t)

    def draw(self, frame: Frame, framing: Framing, t: float, floor: int) -> None:
        top = max(0, self.covers_from(frame.width, frame.height, framing, t))
        self.layer.draw(frame, framing, t, frame.height)
        rows = frame.height - top
        if rows < 8:
            return
        self._ripple(frame, top, rows, t)
        self._glitter(frame, framing, top, rows, t)

    def _ripple(self, frame: Frame, top: int, rows: int, t: float) -> None:
        away = np.arange(rows, dtype=np.float32) / np.float32(max(rows, frame.height * 0.35))
        crowd = 26 / (0.10 + away)  # waves are closer together far off
        wave = np.sin(crowd * 1.7 - self.speed * 2.6 * t) + 0.6 * np.sin(crowd * 2.9 + 1.0 - self.speed * 1.9 * t)
        moved = np.arange(rows) + wave * (0.25 + away) * self.swell
        source = np.clip(np.rint(moved), 0, rows - 1).astype(np.intp)
        for plane, shrink in ((frame.y, 1), (frame.u, 2), (frame.v, 2)):
            box = (0, top // shrink, plane.width, plane.height)
            part = np.asarray(plane.crop(box))
            order = source if shrink == 1 else np.minimum(source[::2] // 2, part.shape[0] - 1)[: part.shape[0]]
            plane.paste(Image.fromarray(part[order]), box[:2])

    def _glitter(self, frame: Frame, framing: Framing, top: int, rows: int, t: float) -> None:
        first, second = self.glints
        seen = view(framing, self.layer.depth)
        play = max(2.0, (first.width - frame.width) / 2)
        base = play + min(play * 0.6, max(-play * 0.6, seen.dx * frame.width))
        reach = play * 0.38
        x1 = round(base + reach * math.sin(0.33 * self.speed * t))
        x2 = round(base + reach * math.sin(0.41 * self.speed * t + 2.1))
        size = (frame.width, min(rows, first.height))
        one = first.crop((x1, 0, x1 + size[0], size[1]))
        two = second.crop((x2, 0, x2 + size[0], size[1]))
        frame.y.paste(yuv_colour(self.glint)[0], (0, top, size[0], top + size[1]), ImageChops.multiply(one, two))


def water(
    stage: Stage,
    behind: Sequence[Drawable],
    *,
    top: float,
    calm: float,
    body: Rgb | None = None,
    depth: float = WATER_DEPTH,
) -> Drawable:
    """Water from the line `top` (share of the height) down. `calm` 1 is a mirror, 0 a rough sea."""
    rng = stage.chance.stream("water")
    plate = stage.plate(depth).below(top * stage.height - 4)
    palette = stage.palette
    deep = body or mix(mix(palette.sky[0], palette.near, 0.45), palette.sky[1], 0.30)
    rgb = _mirrored(stage, behind, plate, top, calm)
    down = np.clip((plate.y - np.float32(top * stage.height)) / np.float32((1.05 - top) * stage.height), 0, 1)
    waves = perspective(stage, plate, top, tiling(rng, 512, 512, (58, 20), 4), (7.0, 9.0))
    clear = (0.10 + 0.55 * down**0.7) * (1.15 - 0.55 * calm)
    over(rgb, deep, np.clip(clear + (waves - 0.5) * (0.85 - 0.75 * calm) * (0.35 + down), 0, 0.95))
    crest = smoothstep(0.62, 0.92, waves) * (0.30 - 0.26 * calm) * smoothstep(0.0, 0.25, down)
    over(rgb, mix(palette.sky[3], palette.sun, 0.3), crest)
    _sun_path(stage, plate, top, rgb, down, rng, calm)
    shore = np.exp(-down * np.float32(26))
    over(rgb, mix(palette.haze, palette.sky[3], 0.5), shore * np.float32(0.42))
    mask = np.clip(plate.y - np.float32(top * stage.height) + np.float32(0.5), 0, 1)
    layer = wide_layer(plate, depth, rgb, np.broadcast_to(mask, (plate.height, plate.width)).astype(np.float32))
    return Water(
        layer=layer,
        glints=_glints(stage, plate, top, rng, calm),
        glint=mix(palette.sun, (1, 1, 1), 0.25),
        swell=stage.unit * (0.0040 + 0.0030 * (1 - calm)),
        speed=1.5 if Weather.STORM in stage.scene.weather else 1.0,
    )


def _mirrored(stage: Stage, behind: Sequence[Drawable], plate: Plate, top: float, calm: float) -> Field:
    """What is behind, upside down, drawn out and softened as the water is rougher."""
    still = rgb_of(draw_frame(behind, stage.width, stage.height, Framing(), 0.0))
    line = min(stage.height - 1, max(1, round(top * stage.height)))
    above = still[:line]
    far = np.abs(plate.y[:, 0] - line)
    rows = np.clip(line - 1 - far * np.float32(1.0 + 0.35 * (1 - calm)), 0, line - 1).astype(np.int32)
    columns = plate.x.astype(np.int32)
    # Beyond the edges of the composed picture the mirror shows it folded back.
    columns = np.abs((columns + stage.width) % (2 * stage.width) - stage.width)
    columns = np.clip(columns, 0, stage.width - 1)
    small = [np.ascontiguousarray(above[..., i]) for i in range(3)]
    soft = stage.unit * (0.0015 + 0.010 * (1 - calm))
    channels = [blurred(channel, soft)[rows][:, columns] for channel in small]
    return np.stack(channels, axis=-1)


def _sun_path(stage: Stage, plate: Plate, top: float, rgb: Field, down: Field, rng: Generator, calm: float) -> None:
    palette = stage.palette
    if not palette.sun_shows:
        return
    wide = np.float32(stage.unit) * (0.045 + 0.20 * down)
    across = (plate.x[None, :] - np.float32(palette.sun_x * stage.width)) / wide
    streaks = perspective(stage, plate, top, tiling(rng, 512, 512, (70, 12), 3), (5.0, 7.0))
    broken = smoothstep(0.42, 0.72, streaks + (1 - down) * np.float32(0.22))
    light = np.exp(-across * across) * (0.30 + 0.70 * broken)
    over(rgb, palette.sun, np.clip(light, 0, 1) * np.float32(0.62 - 0.15 * calm))


def _glints(stage: Stage, plate: Plate, top: float, rng: Generator, calm: float) -> tuple[Image.Image, Image.Image]:
    palette, unit = stage.palette, stage.unit
    wide = stage.width + round(0.5 * unit)
    rows = max(8, stage.height - round(top * stage.height) + round(0.2 * unit))
    view_plate = Plate(left=-round(0.25 * unit), top=round(top * stage.height), width=wide, height=rows)
    down = np.clip(np.arange(rows, dtype=np.float32)[:, None] / np.float32((1 - top) * stage.height + 1), 0, 1)
    spread = np.float32(unit) * (0.10 + 0.42 * down)
    across = (view_plate.x[None, :] - np.float32(palette.sun_x * stage.width)) / spread
    path = np.exp(-across * across) if palette.sun_shows else np.zeros((1, 1), np.float32)
    strength = (0.10 + 0.90 * path) * (0.95 if palette.sun_shows else 0.5) * (1.0 if not palette.dark else 0.75)
    sheets: list[Image.Image] = []
    for _ in range(2):
        field = perspective(stage, view_plate, top, tiling(rng, 512, 512, (26, 7), 3), (4.0, 5.0))
        mask = smoothstep(0.50, 0.78, field) * np.sqrt(strength) * (1 - 0.45 * calm) * smoothstep(0, 0.03, down)
        sheets.append(Image.fromarray(to_bytes(mask)))
    return (sheets[0], sheets[1])


def swells(stage: Stage, *, top: float, count: int = 3) -> list[Drawable]:
    """Waves that roll by in front of the far water, each with a pale crest."""
    jobs: list[Callable[[], Layer]] = []
    for index in range(count):
        t = (index + 1) / count
        depth = WATER_DEPTH + 0.45 * t
        foot = top + (1.02 - top) * (0.34 + 0.50 * t)
        jobs.append(partial(_swell, stage, depth, foot, 0.035 + 0.05 * t, index))
    return [*in_parallel(jobs)]


def _swell(stage: Stage, depth: float, foot: float, tall: float, index: int) -> Layer:
    rng = stage.chance.stream(f"swell {index}")
    unit, palette = stage.unit, stage.palette
    rough = 1.7 if Weather.STORM in stage.scene.weather else 1.0
    motion = Motion(
        sway_x=unit * 0.035 * (1 if index % 2 else -1),
        sway_y=unit * 0.010 * rough,
        period_s=4.6 + 0.9 * index,
        phase=float(rng.uniform(0, 6.28)),
    )
    plate = stage.plate(depth, motion).below(foot * stage.height - tall * rough * unit - 8)
    line = np.float32(foot * stage.height) - (
        profile(rng, plate.width, 0.62 * unit, 3, 0.38) - np.float32(0.5)
    ) * np.float32(tall * rough * unit)
    below = plate.y - line[None, :]
    scaled = below / np.float32(0.16 * unit)
    deep = mix(palette.sky[0], palette.near, 0.62)
    light = mix(mix(palette.sky[2], palette.sky[1], 0.5), deep, 0.45 + 0.2 * depth)
    rgb = ramp(((0.0, light), (0.35, mix(light, deep, 0.6)), (1.0, deep)), scaled)
    ripple = fbm(rng, plate.width, plate.height, (0.20 * unit, 0.022 * unit), 4)
    over(
        rgb,
        mix(palette.sky[3], palette.sun, 0.4),
        smoothstep(0.62, 0.9, ripple) * np.exp(-np.maximum(scaled, 0) * 2) * np.float32(0.30),
    )
    foam_line = noise(rng, plate.width, 1, (0.10 * unit, 1.0))[0]
    thick = np.float32(0.0035 * unit * rough) * (0.35 + foam_line[None, :])
    lace = fbm(rng, plate.width, plate.height, (0.03 * unit, 0.010 * unit), 3)
    foam = smoothstep(1.0, 0.0, below / thick) + smoothstep(0.60, 0.80, lace) * np.exp(
        -np.maximum(below, 0) / (thick * 3)
    )
    over(
        rgb,
        mix(palette.sky[3], (1, 1, 1), 0.35 if not palette.dark else 0.05),
        np.clip(foam, 0, 1) * np.float32(0.42 * rough),
    )
    return wide_layer(plate, depth, rgb, np.clip(below + np.float32(0.5), 0, 1), motion)


def beach(stage: Stage, *, top: float, sand: Rgb) -> list[Drawable]:
    """Wet sand with foam that runs up and back, then dry sand."""
    items: list[Drawable] = []
    for index, (offset, white) in enumerate(((0.0, 0.9), (0.045, 0.7))):
        items.append(_swash(stage, top + offset, white, sand, index))
    return items


def _swash(stage: Stage, top: float, white: float, sand: Rgb, index: int) -> Layer:
    rng = stage.chance.stream(f"swash {index}")
    unit, palette = stage.unit, stage.palette
    motion = Motion(sway_y=unit * 0.012, sway_x=unit * 0.01, period_s=5.5 + index, phase=2.0 * index)
    plate = stage.plate(0.85, motion).below(top * stage.height - 0.10 * unit)
    line = np.float32(top * stage.height) + (
        profile(rng, plate.width, 0.5 * unit, 3, 0.35) - np.float32(0.5)
    ) * np.float32(0.09 * unit)
    below = plate.y - line[None, :]
    wet = mix(palette.fade(sand, 0.9), palette.sky[2], 0.42)
    dry = mix(palette.fade(sand, 1.0), palette.rim, 0.18)
    base = mix(wet, dry, 0.15 if index == 0 else 0.75)
    rgb = ramp(((0.0, base), (1.0, mix(base, palette.near, 0.35))), below / np.float32(0.30 * unit))
    texture = resized(
        fbm(rng, plate.width // 2, plate.height // 2, (0.10 * unit, 0.012 * unit), 4),
        plate.width,
        plate.height,
    )
    over(rgb, palette.near, smoothstep(0.5, 0.95, texture) * np.float32(0.16))
    lace = fbm(rng, plate.width, plate.height, (0.05 * unit, 0.012 * unit), 4)
    reach = np.float32(0.020 * unit)
    foam = smoothstep(1.0, 0.1, np.abs(below - reach * 0.3) / reach + (lace - 0.45) * np.float32(1.6))
    colour = mix(palette.sky[3], (1, 1, 1), 0.55 if not palette.dark else 0.1)
    over(rgb, colour, np.clip(foam, 0, 1) * np.float32(white))
    return wide_layer(plate, 0.85, rgb, np.clip(below / 2 + np.float32(0.5), 0, 1), motion)

"""Deep: under water. Light from above breaks into beams, weed sways, bubbles rise."""

import math

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from rushes.media.animatic.layers import Drawable, Layer, Light, Lights, Motion, Stage, wide_layer
from rushes.media.animatic.paint import Field, Rgb, fbm, glow, grey, mix, over, profile, ramp, smoothstep
from rushes.media.animatic.scenery.trees import Brush
from rushes.media.animatic.scenery.woods import rays

_DAY: tuple[Rgb, Rgb, Rgb] = ((0.62, 0.93, 0.92), (0.10, 0.50, 0.62), (0.015, 0.10, 0.19))


def underwater(stage: Stage) -> list[Drawable]:
    """The water, the reef and the weed; fish come later, between them."""
    light, middle, deep = _colours(stage)
    items: list[Drawable] = [_water(stage, light, middle, deep), rays(stage, 0.15, "beams", 0.62)]
    for index in range(3):
        t = index / 2
        items.append(_reef(stage, 0.25 + 0.55 * t, 0.80 + 0.13 * t, 0.30 - 0.05 * index, t, index))
    items.append(_bubbles(stage))
    return items


def weed_front(stage: Stage) -> Drawable:
    """Kelp near the lens, at the sides."""
    return _weed(stage, 1.2, 1.05, (0.45, 0.85), 0.95, "near weed", gap=(0.24, 0.76))


def _colours(stage: Stage) -> tuple[Rgb, Rgb, Rgb]:
    light, middle, deep = _DAY
    palette = stage.palette
    light = mix(light, palette.sky[3], 0.30)
    if palette.dark:
        light, middle, deep = mix(light, deep, 0.62), mix(middle, deep, 0.6), mix(deep, (0, 0, 0), 0.4)
    if palette.grey:
        light, middle, deep = grey(light), grey(middle), grey(deep)
    return light, middle, deep


def _water(stage: Stage, light: Rgb, middle: Rgb, deep: Rgb) -> Drawable:
    plate = stage.plate(0.04)
    palette, unit = stage.palette, stage.unit
    x = (0.5 + (palette.sun_x - 0.5) * 0.8) * stage.width
    rows = (plate.y + np.float32(0.10 * unit)) / np.float32(stage.height)
    columns = (plate.x[None, :] - np.float32(x)) / np.float32(stage.unit)
    far = np.sqrt((columns * np.float32(0.75)) ** 2 + rows**2)
    soft = fbm(stage.chance.stream("murk"), plate.width // 2 * 2, plate.height, (0.6 * unit, 0.4 * unit), 3)
    rgb = ramp(
        ((0.0, mix(light, (1, 1, 1), 0.4)), (0.22, light), (0.62, middle), (1.15, deep)),
        far + (soft - 0.5) * np.float32(0.16),
    )
    return wide_layer(plate, 0.04, rgb)


def _reef(stage: Stage, depth: float, foot: float, tall: float, t: float, index: int) -> Layer:
    rng = stage.chance.stream(f"reef {index}")
    light, middle, deep = _colours(stage)
    unit = stage.unit
    plate = stage.plate(depth).below(foot * stage.height - (tall + 0.16) * unit)
    line = np.float32(foot * stage.height) - profile(rng, plate.width, 0.55 * unit, 5, 0.52) * np.float32(tall * unit)
    top, bottom = 0, plate.height
    canvas = Image.new("L", (plate.width * 2, (bottom - top) * 2), 0)
    brush = Brush(draw=ImageDraw.Draw(canvas))
    for _ in range(int(46 * plate.width / unit)):
        x = float(rng.random()) * plate.width
        y = float(line[min(plate.width - 1, int(x))]) - plate.top
        _coral(brush, x, y + unit * 0.01, unit * float(rng.uniform(0.02, 0.085)) * (0.7 + 0.6 * t), rng)
    growth = np.asarray(canvas.reduce(2), dtype=np.float32) / np.float32(255)
    below = plate.y - line[None, :]
    mask = np.maximum(growth, np.clip(below + np.float32(0.5), 0, 1))
    body = mix(middle, deep, 0.30 + 0.55 * t)
    accent = mix(body, stage.palette.accent, 0.34 * t)
    lumps = fbm(rng, plate.width, plate.height, (0.06 * unit, 0.05 * unit), 4)
    value = np.clip(0.75 - below / np.float32(0.16 * unit) * np.float32(0.7) + (lumps - 0.5) * np.float32(0.9), 0, 1)
    rgb = ramp(((0.0, mix(body, deep, 0.6)), (0.55, body), (0.85, accent), (1.0, mix(accent, light, 0.35))), value)
    over(
        rgb,
        mix(middle, deep, 0.25),
        smoothstep(0.02, 0.30, below / np.float32(unit)) * np.float32(0.45 * (1 - t)),
    )
    return wide_layer(plate, depth, rgb, mask)


def _coral(brush: Brush, x: float, foot: float, tall: float, rng: Generator) -> None:
    """A fan, a heap of knobs, or fingers."""
    kind = float(rng.random())
    if kind < 0.35:
        for _ in range(7):
            brush.disc(
                x + tall * float(rng.normal(0, 0.35)),
                foot - tall * float(rng.uniform(0, 0.4)),
                tall * 0.22,
                tall * 0.2,
            )
        return
    branches = 9 if kind < 0.7 else 5
    for index in range(branches):
        angle = math.pi * (0.18 + 0.64 * index / (branches - 1)) + 0.08 * float(rng.normal())
        length = tall * float(rng.uniform(0.65, 1.1))
        bend = 0.15 * float(rng.normal())
        points = [
            (x + math.cos(angle + bend * s) * length * s, foot - math.sin(angle + bend * s) * length * s)
            for s in (0.0, 0.35, 0.7, 1.0)
        ]
        brush.stem(points, tall * (0.10 if branches == 5 else 0.05), tall * (0.075 if branches == 5 else 0.02))
        if branches == 5:
            brush.disc(points[-1][0], points[-1][1], tall * 0.045, tall * 0.045)


def _weed(
    stage: Stage,
    depth: float,
    foot: float,
    tall: tuple[float, float],
    t: float,
    name: str,
    gap: tuple[float, float],
) -> Layer:
    rng = stage.chance.stream(name)
    _, middle, deep = _colours(stage)
    motion = Motion(sway_x=stage.unit * 0.018, period_s=4.8)
    plate = stage.plate(depth, motion)
    unit = stage.unit
    canvas = Image.new("L", (plate.width, plate.height), 0)
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(16 * plate.width / unit)):
        x = float(rng.random()) * plate.width
        if gap[0] < (x + plate.left) / stage.width < gap[1]:
            continue
        _kelp(draw, x, foot * stage.height - plate.top, unit * float(rng.uniform(*tall)), rng)
    mask: Field = np.asarray(canvas, dtype=np.float32) / np.float32(255)
    rgb = np.empty((plate.height, plate.width, 3), np.float32)
    rgb[:] = mix(mix(middle, deep, 0.55 + 0.45 * t), (0.03, 0.10, 0.06), 0.5)
    rise = np.clip((np.float32(foot * stage.height) - plate.y) / np.float32(tall[1] * unit), 0, 1)
    glow(rgb, middle, np.broadcast_to(rise * np.float32(0.22), mask.shape))
    return wide_layer(plate, depth, rgb, mask, motion)


def _kelp(draw: ImageDraw.ImageDraw, x: float, foot: float, tall: float, rng: Generator) -> None:
    phase, bend = float(rng.uniform(0, 6.28)), tall * float(rng.uniform(0.02, 0.05))
    steps = 26
    points = [
        (x + math.sin(phase + i / steps * 5.5) * bend * (0.3 + i / steps), foot - tall * i / steps)
        for i in range(steps)
    ]
    draw.line(points, fill=255, width=max(1, int(tall * 0.012)))
    for index in range(2, steps):
        side = 1 if index % 2 else -1
        px, py = points[index]
        reach = tall * 0.085 * math.sin(math.pi * min(1.0, 0.25 + index / steps * 0.75))
        lift = reach * float(rng.uniform(0.3, 0.9))
        draw.polygon(
            [
                (px, py),
                (px + side * reach * 0.6, py - lift * 0.2),
                (px + side * reach, py - lift),
                (px + side * reach * 0.35, py - lift * 0.9),
            ],
            fill=255,
        )


def _bubbles(stage: Stage) -> Drawable:
    rng = stage.chance.stream("bubbles")
    light, _, _ = _colours(stage)
    lights: list[Light] = []
    rise = 0.05 * stage.unit
    for _ in range(60):
        lights.append(
            Light(
                x=float(rng.uniform(-0.1, 1.1)) * stage.width,
                y=float(rng.uniform(0.1, 1.2 + rise * stage.seconds / stage.height)) * stage.height,
                radius=stage.unit * float(rng.uniform(0.0010, 0.0034)),
                colour=mix(light, (1, 1, 1), 0.35),
                least=0.45,
                rate_hz=float(rng.uniform(0.2, 0.5)),
                phase=float(rng.uniform(0, 2 * math.pi)),
                power=0.75,
                drift_y=-rise * float(rng.uniform(0.4, 1.2)),
                wander=stage.unit * 0.006,
            )
        )
    return Lights(depth=0.9, lights=tuple(lights))

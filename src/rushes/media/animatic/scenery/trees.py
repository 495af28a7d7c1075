"""Trees: conifers, broad-leaved trees, palms, grasses, drawn as masks, and layers of them at any depth.

Shapes are polygons on a canvas of twice the size, reduced at the end: Pillow's polygons have no soft edges.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from rushes.media.animatic.layers import STILL, Layer, Motion, Plate, Stage, wide_layer
from rushes.media.animatic.paint import Field, Rgb, blurred, mix, noise, over, profile, ramp, smoothstep

PINE: Rgb = (0.16, 0.30, 0.22)
LEAF: Rgb = (0.30, 0.46, 0.18)
GRASS_GREEN: Rgb = (0.32, 0.46, 0.20)
_FINE = 2  # supersampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Brush:
    """Where plants are drawn: coordinates in pixels of the plate, drawn finer than they will be seen."""

    draw: ImageDraw.ImageDraw

    def polygon(self, points: list[tuple[float, float]], value: int = 255) -> None:
        self.draw.polygon([(x * _FINE, y * _FINE) for x, y in points], fill=value)

    def disc(self, x: float, y: float, radius_x: float, radius_y: float, value: int = 255) -> None:
        self.draw.ellipse(
            ((x - radius_x) * _FINE, (y - radius_y) * _FINE, (x + radius_x) * _FINE, (y + radius_y) * _FINE),
            fill=value,
        )

    def stem(self, points: list[tuple[float, float]], wide: float, thin: float, value: int = 255) -> None:
        """A tapering line through the points."""
        left: list[tuple[float, float]] = []
        right: list[tuple[float, float]] = []
        for index, (x, y) in enumerate(points):
            ahead, behind = points[min(index + 1, len(points) - 1)], points[max(index - 1, 0)]
            dx, dy = ahead[0] - behind[0], ahead[1] - behind[1]
            length = math.hypot(dx, dy) or 1.0
            half = (wide + (thin - wide) * index / max(1, len(points) - 1)) / 2
            left.append((x - dy / length * half, y + dx / length * half))
            right.append((x + dy / length * half, y - dx / length * half))
        self.polygon(left + right[::-1], value)


Plant = Callable[[Brush, float, float, float, Generator], None]  # brush, x, foot y, height, chance


def conifer(brush: Brush, x: float, foot: float, tall: float, rng: Generator) -> None:
    """A spruce: tiers of drooping branches, no two alike."""
    half = tall * float(rng.uniform(0.15, 0.21))
    tiers = max(4, min(15, int(tall / 9)))
    left: list[tuple[float, float]] = []
    right: list[tuple[float, float]] = []
    top = foot - tall
    for tier in range(tiers):
        start, end = tier / tiers, (tier + 1) / tiers
        for side, points in ((-1, left), (1, right)):
            reach = half * (end**0.85) * float(rng.uniform(0.72, 1.12))
            tip_y = top + tall * 0.93 * end + tall * 0.012 * float(rng.normal())
            inner = half * (start**0.9) * 0.42
            points.append((x + side * inner, top + tall * 0.93 * start))
            points.append((x + side * reach, tip_y))
            points.append((x + side * reach * 0.55, tip_y - tall * 0.018))
    brush.polygon([(x, top - tall * 0.03), *right, *left[::-1]])
    brush.polygon(
        [
            (x - tall * 0.012, foot - tall * 0.1),
            (x + tall * 0.012, foot - tall * 0.1),
            (x + tall * 0.016, foot + tall * 0.03),
            (x - tall * 0.016, foot + tall * 0.03),
        ]
    )


def broadleaf(brush: Brush, x: float, foot: float, tall: float, rng: Generator) -> None:
    """An oak or a beech: a forked trunk under a crown of many lumps."""
    lean = tall * 0.05 * float(rng.normal())
    fork = (x + lean * 0.5, foot - tall * 0.36)
    brush.stem([(x, foot + tall * 0.04), (x + lean * 0.2, foot - tall * 0.18), fork], tall * 0.075, tall * 0.045)
    crown_x, crown_y = x + lean, foot - tall * 0.64
    wide, high = tall * float(rng.uniform(0.30, 0.40)), tall * float(rng.uniform(0.25, 0.31))
    for _ in range(5):
        angle = float(rng.uniform(-2.6, -0.5))
        tip = (crown_x + math.cos(angle) * wide * 0.7, crown_y + math.sin(angle) * high * 0.6)
        brush.stem(
            [fork, ((fork[0] + tip[0]) / 2, (fork[1] + tip[1]) / 2 + tall * 0.02), tip],
            tall * 0.032,
            tall * 0.008,
        )
    brush.disc(crown_x, crown_y + high * 0.05, wide * 0.72, high * 0.70)
    for _ in range(90):
        angle, far = float(rng.uniform(0, 2 * math.pi)), float(rng.random()) ** 0.35
        size = tall * float(rng.uniform(0.030, 0.080)) * (1.25 - 0.55 * far)
        y = crown_y + math.sin(angle) * far * high
        brush.disc(crown_x + math.cos(angle) * far * wide * (1 - 0.12 * math.sin(angle)), y, size * 1.15, size * 0.9)


def palm(brush: Brush, x: float, foot: float, tall: float, rng: Generator) -> None:
    """A coconut palm: a bent trunk and a star of arching fronds."""
    lean = tall * float(rng.uniform(-0.32, 0.32))
    trunk = [(x + lean * (i / 8) ** 1.7, foot + tall * 0.05 - tall * 0.95 * i / 8) for i in range(9)]
    brush.stem(trunk, tall * 0.042, tall * 0.022)
    top_x, top_y = trunk[-1]
    for index in range(11):
        angle = math.pi * (0.02 + 0.96 * index / 10) + 0.12 * float(rng.normal())
        length = tall * float(rng.uniform(0.30, 0.42))
        spine: list[tuple[float, float]] = []
        for i in range(9):
            s = i / 8
            spine.append(
                (
                    top_x + math.cos(angle) * length * s * (1.05 - 0.2 * s),
                    top_y - math.sin(angle) * length * s * 0.62 + length * 0.62 * s**2.1,
                )
            )
        brush.stem(spine, tall * 0.010, tall * 0.003)
        for i in range(1, 9):
            px, py = spine[i]
            qx, qy = spine[i - 1]
            leaf = length * 0.20 * math.sin(math.pi * min(1.0, 0.16 + i / 9.5))
            brush.polygon([(qx, qy), (px, py), (px + (px - qx) * 0.5, py + leaf)])
            brush.polygon([(qx, qy), (px, py), (px + (px - qx) * 0.9, py - leaf * 0.18)])


def trunk(brush: Brush, x: float, foot: float, tall: float, rng: Generator) -> None:
    """The bare trunk of a great tree whose crown is out of the picture, with a few broken twigs."""
    lean = tall * 0.03 * float(rng.normal())
    wide = tall * float(rng.uniform(0.035, 0.060))
    points = [(x + lean * i / 6, foot + tall * 0.03 - tall * 1.1 * i / 6) for i in range(7)]
    brush.stem(points, wide * 1.25, wide * 0.72)
    brush.polygon(
        [
            (x - wide * 1.3, foot + tall * 0.04),
            (x - wide * 0.4, foot - tall * 0.10),
            (x + wide * 0.4, foot - tall * 0.10),
            (x + wide * 1.3, foot + tall * 0.04),
        ]
    )
    for _ in range(5):
        side = 1 if rng.random() < 0.5 else -1
        y = foot - tall * float(rng.uniform(0.30, 0.95))
        reach = tall * float(rng.uniform(0.05, 0.15))
        start = (x + lean * (foot - y) / tall, y)
        brush.stem(
            [
                start,
                (start[0] + side * reach * 0.5, y - reach * 0.15),
                (start[0] + side * reach, y - reach * 0.42),
            ],
            wide * 0.22,
            wide * 0.05,
        )


def fern(brush: Brush, x: float, foot: float, tall: float, rng: Generator) -> None:
    """A bunch of big leaves arching out of one place."""
    for _ in range(9):
        angle = math.radians(float(rng.uniform(18, 162)))
        length = tall * float(rng.uniform(0.55, 1.0))
        spine = [
            (
                x + math.cos(angle) * length * s * (1 + 0.25 * s),
                foot - math.sin(angle) * length * s + length * 0.55 * s**2.4,
            )
            for s in (i / 7 for i in range(8))
        ]
        wide = length * float(rng.uniform(0.05, 0.13))
        left = [(px - wide * math.sin(math.pi * i / 7), py - wide * 0.4) for i, (px, py) in enumerate(spine)]
        right = [(px + wide * math.sin(math.pi * i / 7), py + wide * 0.4) for i, (px, py) in enumerate(spine)]
        brush.polygon(left + right[::-1])


def grass(brush: Brush, x: float, foot: float, tall: float, rng: Generator) -> None:
    """A tuft of blades."""
    for _ in range(5):
        lean = tall * float(rng.normal(0, 0.30))
        height = tall * float(rng.uniform(0.45, 1.0))
        x0 = x + tall * float(rng.normal(0, 0.25))
        brush.stem(
            [(x0, foot + tall * 0.1), (x0 + lean * 0.3, foot - height * 0.55), (x0 + lean, foot - height)],
            max(0.7, tall * 0.045),
            0.3,
        )


def reed(brush: Brush, x: float, foot: float, tall: float, rng: Generator) -> None:
    """Wheat and rushes: a thin stem with an ear."""
    lean = tall * float(rng.normal(0.08, 0.10))
    tip = (x + lean, foot - tall * float(rng.uniform(0.7, 1.0)))
    brush.stem([(x, foot + tall * 0.1), (x + lean * 0.35, (foot + tip[1]) / 2), tip], max(0.6, tall * 0.016), 0.4)
    brush.disc(tip[0], tip[1], max(0.8, tall * 0.018), max(1.6, tall * 0.075))


def flower(brush: Brush, x: float, foot: float, tall: float, rng: Generator) -> None:
    """A stalk with a round bloom; the bloom's colour is laid on by the caller's second pass."""
    grass(brush, x, foot, tall * 0.7, rng)
    tip = foot - tall * float(rng.uniform(0.6, 1.0))
    brush.stem([(x, foot), (x, tip)], max(0.6, tall * 0.02), 0.5)
    brush.disc(x, tip, tall * 0.075, tall * 0.06)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A layer of plants on a line of ground."""

    plant: Plant
    depth: float
    foot: float  # share of the height
    roll: float  # how much the ground goes up and down, units
    tall: tuple[float, float]  # units
    every: float  # mean distance between plants, units
    material: Rgb
    clumps: float = 0.0  # 0 evenly .. 1 only in groups
    gap: tuple[float, float] | None = None  # share of the width kept free of plants
    tone: float | None = None  # the depth to colour it by, where that is not its depth
    flat: bool = False  # one dark colour: close to the lens there is no more to see, and it is quick to draw


def growth_layer(stage: Stage, growth: Growth, name: str, motion: Motion = STILL) -> Layer:
    """Plants and the ground that they stand on, in the light of the stage."""
    rng = stage.chance.stream(name)
    unit = stage.unit
    reach = (growth.roll + growth.tall[1] * 1.15) * unit + 6
    plate = stage.plate(growth.depth, motion).below(growth.foot * stage.height - reach)
    roll = profile(rng, plate.width, 0.9 * unit, 3, 0.4)
    ground = np.float32(growth.foot * stage.height) - roll * np.float32(growth.roll * unit)
    plants = planted(plate, growth, ground, stage, rng)
    below = plate.y - ground[None, :]
    mask = np.maximum(plants, np.clip(below + np.float32(0.5), 0, 1))
    if growth.flat:
        shade = mix(stage.palette.near, stage.palette.fade(growth.material, 1.0), 0.16)
        return wide_layer(plate, growth.depth, shade, mask, motion)
    tone = growth.depth if growth.tone is None else growth.tone
    rgb = foliage(stage, tone, growth.material, plate, plants, below, growth.tall[1] * unit)
    return wide_layer(plate, growth.depth, rgb, mask, motion)


def planted(plate: Plate, growth: Growth, ground: Field, stage: Stage, rng: Generator) -> Field:
    """The mask of all plants of a layer, only rows near the ground being drawn."""
    unit = stage.unit
    highest = int(max(0, float(ground.min()) - growth.tall[1] * unit * 1.1 - plate.top - 4))
    lowest = int(min(plate.height, float(ground.max()) + growth.tall[1] * unit * 0.1 - plate.top + 4))
    mask = np.zeros((plate.height, plate.width), np.float32)
    if lowest <= highest + 2:
        return mask
    canvas = Image.new("L", (plate.width * _FINE, (lowest - highest) * _FINE), 0)
    brush = Brush(draw=ImageDraw.Draw(canvas))
    count = int(plate.width / unit / growth.every * (1 + growth.clumps)) + 1
    wood = noise(rng, plate.width, 1, (0.5 * unit, 1.0))[0]
    for _ in range(count):
        x = float(rng.random()) * plate.width
        column = min(plate.width - 1, int(x))
        height = unit * (growth.tall[0] + (growth.tall[1] - growth.tall[0]) * float(rng.random()) ** 1.4)
        if wood[column] < growth.clumps * 0.55:
            continue
        if growth.gap and growth.gap[0] < (x + plate.left) / stage.width < growth.gap[1]:
            continue
        growth.plant(brush, x, float(ground[column]) - plate.top - highest, height, rng)
    mask[highest:lowest] = np.asarray(canvas.reduce(_FINE), dtype=np.float32) / np.float32(255)
    return mask


def foliage(stage: Stage, depth: float, material: Rgb, plate: Plate, plants: Field, below: Field, tall: float) -> Field:
    """Colour of plants: dark inside, light on the sun's side, pale at the foot where mist lies."""
    palette, unit = stage.palette, stage.unit
    body = mix(palette.fade(material, depth), palette.shadow(depth), 0.45)
    light = mix(body, palette.rim, (0.42 if not palette.dark else 0.16) * (1 - 0.5 * palette.mist))
    shift = max(1, round(unit * 0.004 * (0.5 + depth)))
    side = 1 if palette.sun_x > 0.5 else -1
    thick = blurred(plants, max(0.6, unit * 0.005))
    rim = np.clip(thick - np.roll(thick, (shift, -side * shift), axis=(0, 1)), 0, 1)
    up = np.clip(-below / np.float32(max(1.0, tall)), -1, 1)
    rgb = ramp(
        (
            (-1.0, mix(body, palette.near, 0.55 * depth)),
            (0.0, mix(body, palette.near, 0.25 * depth)),
            (1.0, body),
        ),
        up,
    )
    over(rgb, light, np.clip(rim * np.float32(2.2), 0, 1))
    low = smoothstep(0.55, -0.25, up) * np.float32(max(0.0, (0.25 + 0.75 * palette.mist) * (0.95 - depth)))
    over(rgb, mix(palette.haze, palette.sky[3], 0.3), low)
    return rgb

"""Woods: rows of trees that fade into the light between them, rays of sun, leaves close to the lens."""

import math

import numpy as np
from PIL import Image, ImageDraw

from rushes.media.animatic.layers import Drawable, Layer, Light, Lights, Motion, Stage, wide_layer
from rushes.media.animatic.paint import Rgb, blurred, fbm, mix, over, ramp, resized, smoothstep
from rushes.media.animatic.scenery.trees import (
    LEAF,
    PINE,
    Brush,
    Growth,
    Plant,
    broadleaf,
    conifer,
    fern,
    growth_layer,
    palm,
    trunk,
)
from rushes.media.animatic.vocabulary import Hour

JUNGLE_GREEN: Rgb = (0.16, 0.36, 0.20)


def forest(stage: Stage, *, jungle: bool = False) -> list[Drawable]:
    """Inside a wood: light behind, trunks in front, a clearing in the middle for whoever comes."""
    rng = stage.chance.stream("forest")
    leafy = jungle or rng.random() < 0.42
    material = JUNGLE_GREEN if jungle else (LEAF if leafy else PINE)
    plants: tuple[Plant, ...] = (conifer, conifer, conifer)
    if leafy:
        plants = (palm, trunk, palm) if jungle else (trunk, trunk, trunk)
    items: list[Drawable] = [_inner_light(stage, material)]
    for index, (depth, tone) in enumerate(((0.18, 0.34), (0.32, 0.58), (0.50, 0.84))):
        tall = (0.42, 0.66, 1.05)[index] * (1.35 if leafy and not jungle else 1.0)
        growth = Growth(
            plant=plants[index],
            depth=depth,
            tone=tone,
            foot=0.67 + 0.085 * index,
            roll=0.035,
            tall=(tall * 0.70, tall * 1.12),
            every=(0.055 + 0.06 * index) * (1.15 if leafy else 1.0),
            material=material,
            gap=None if index < 1 else (0.52 - 0.11 * index, 0.52 + 0.11 * index),
        )
        items.append(growth_layer(stage, growth, f"trees {index}"))
        if index == 0:
            items.append(rays(stage, 0.26, "rays", 0.62))
        if index == 1 and leafy:
            items.append(_canopy(stage, material))
    ferns = Growth(plant=fern, depth=0.86, foot=0.93, roll=0.03, tall=(0.05, 0.13), every=0.035, material=material)
    items.append(growth_layer(stage, ferns, "ferns"))
    items.append(_motes(stage))
    return items


def _canopy(stage: Stage, material: Rgb) -> Drawable:
    """Leaves hanging in from above, lit through."""
    depth = 0.41
    motion = Motion(sway_x=stage.unit * 0.006, sway_y=stage.unit * 0.003, period_s=6.5)
    plate = stage.plate(depth, motion)
    palette, unit = stage.palette, stage.unit
    rng = stage.chance.stream("canopy")
    leaves = fbm(rng, plate.width, plate.height, (0.11 * unit, 0.08 * unit), 6, 0.66)
    line = np.float32(0.24 * stage.height)
    hang = (line - plate.y) / np.float32(0.42 * stage.height)
    across = np.abs(plate.x[None, :] - np.float32(stage.width * 0.5)) / np.float32(stage.width * 0.5)
    mask = smoothstep(0.50, 0.58, leaves + np.clip(hang + across * np.float32(0.22) - np.float32(0.10), -0.8, 0.45))
    glow_through = fbm(rng, plate.width, plate.height, (0.05 * unit, 0.04 * unit), 3)
    body = mix(palette.fade(material, 0.75), palette.near, 0.35)
    light = mix(palette.fade(material, 0.95), palette.rim, 0.40 if not palette.dark else 0.12)
    rgb = ramp(((0.2, mix(body, palette.near, 0.35)), (0.6, body), (0.9, light)), glow_through)
    return wide_layer(plate, depth, rgb, mask, motion)


def frame_of_trunks(stage: Stage) -> Drawable:
    """Two great trunks at the edges of the frame, nearly black."""
    wide = Growth(
        plant=trunk,
        depth=1.25,
        foot=1.06,
        roll=0.02,
        tall=(1.25, 1.5),
        every=0.11,
        material=PINE,
        gap=(0.16, 0.84),
        flat=True,
    )
    return growth_layer(stage, wide, "near trunks")


def tree_line(stage: Stage, *, depth: float, foot: float, tall: float, name: str, leafy: bool = False) -> Layer:
    """A far edge of woods."""
    return growth_layer(
        stage,
        Growth(
            plant=broadleaf if leafy else conifer,
            depth=depth,
            foot=foot,
            roll=0.035,
            tall=(tall * 0.55, tall),
            every=0.030 * (0.5 + depth),
            material=LEAF if leafy else PINE,
            clumps=0.35,
        ),
        name,
    )


def lone_tree(stage: Stage, x: float, foot: float, tall: float, depth: float) -> Layer:
    """One big tree on a field."""
    plate = stage.plate(depth)
    rng = stage.chance.stream("lone tree")
    unit = stage.unit
    canvas = Image.new("L", (plate.width * 2, plate.height * 2), 0)
    broadleaf(
        Brush(draw=ImageDraw.Draw(canvas)),
        x * stage.width - plate.left,
        foot * stage.height - plate.top,
        tall * unit,
        rng,
    )
    shape = np.asarray(canvas.reduce(2), dtype=np.float32) / np.float32(255)
    palette = stage.palette
    body = mix(palette.fade(LEAF, depth), palette.near, 0.45)
    lumps = fbm(rng, plate.width, plate.height, (0.045 * unit, 0.035 * unit), 4)
    across = (plate.x[None, :] - np.float32(x * stage.width)) / np.float32(0.3 * tall * unit)
    up = (np.float32(foot * stage.height) - plate.y) / np.float32(tall * unit)
    side = 1 if palette.sun_x > x else -1
    lit = np.clip(
        across * np.float32(side * 0.35) + up * np.float32(0.9) - np.float32(0.35) + (lumps - 0.5) * np.float32(1.5),
        0,
        1,
    )
    rgb = ramp(
        (
            (0.0, mix(body, palette.near, 0.5)),
            (0.5, body),
            (1.0, mix(palette.fade(LEAF, 1.0), palette.rim, 0.4)),
        ),
        lit,
    )
    return wide_layer(plate, depth, rgb, shape)


def _inner_light(stage: Stage, material: Rgb) -> Drawable:
    """The bright air at the end of the wood, instead of a sky."""
    plate = stage.plate(0.06)
    palette, unit = stage.palette, stage.unit
    leaf = palette.fade(material, 0.45)
    bright = (
        mix(mix(palette.sky[3], palette.sun, 0.4), leaf, 0.18) if not palette.dark else mix(palette.sky[2], leaf, 0.2)
    )
    edge = mix(mix(palette.haze, leaf, 0.5), palette.near, 0.28 if not palette.dark else 0.5)
    x, y = (0.5 + (palette.sun_x - 0.5) * 0.6) * stage.width, 0.42 * stage.height
    columns = (plate.x[None, :] - np.float32(x)) / np.float32(0.62 * unit)
    rows = (plate.y - np.float32(y)) / np.float32(0.62 * unit)
    far = np.sqrt(columns * columns + rows * rows)
    rgb = ramp(
        ((0.0, bright), (0.45, mix(bright, edge, 0.45)), (1.0, edge), (1.8, mix(edge, palette.near, 0.4))),
        far,
    )
    leaves = fbm(stage.chance.stream("far leaves"), plate.width, plate.height, (0.06 * unit, 0.05 * unit), 4)
    crown = smoothstep(
        0.50, 0.66, leaves + np.clip((0.28 * stage.height - plate.y) / np.float32(0.6 * unit), -0.6, 0.3)
    )
    over(rgb, mix(edge, palette.near, 0.15), crown * np.float32(0.5))
    return wide_layer(plate, 0.06, rgb)


def rays(stage: Stage, depth: float, name: str, strength: float) -> Drawable:
    """Beams of light that fan out from the sun through gaps in the leaves."""
    rng = stage.chance.stream(name)
    plate = stage.plate(depth)
    palette = stage.palette
    width, height = plate.width // 4, plate.height // 4
    x = ((0.5 + (palette.sun_x - 0.5) * 1.3) * stage.width - plate.left) / 4
    y = (-0.20 * stage.height - plate.top) / 4
    columns = np.arange(width, dtype=np.float32)[None, :] - np.float32(x)
    rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(y)
    angle = np.arctan2(columns, np.maximum(rows, 1))
    beams = np.zeros_like(angle)
    for _ in range(11):
        aim, wide = float(rng.uniform(-1.0, 1.0)), float(rng.uniform(0.012, 0.05))
        beams += np.exp(-(((angle - np.float32(aim)) / np.float32(wide)) ** 2)) * np.float32(rng.uniform(0.35, 1.0))
    fall = np.exp(-rows / np.float32(height * 0.75))
    value = resized(np.clip(beams, 0, 1) * fall, plate.width, plate.height)
    power = strength * (0.85 if palette.sun_shows else 0.3) * (0.42 if palette.dark else 1.0)
    power *= 0.75 if palette.hour is Hour.NOON else 1.0
    colour = mix(palette.sun, palette.sky[3], 0.35)
    return wide_layer(plate, depth, colour, np.clip(value, 0, 1) * np.float32(power))


def _motes(stage: Stage) -> Drawable:
    """Pollen and dust in the light."""
    rng = stage.chance.stream("motes")
    palette, unit = stage.palette, stage.unit
    lights: list[Light] = []
    for _ in range(34):
        lights.append(
            Light(
                x=float(rng.uniform(-0.1, 1.1)) * stage.width,
                y=float(rng.uniform(0.25, 0.95)) * stage.height,
                radius=unit * float(rng.uniform(0.0012, 0.0032)),
                colour=palette.sun if not palette.dark else palette.lamp,
                least=0.0,
                rate_hz=float(rng.uniform(0.10, 0.32)),
                phase=float(rng.uniform(0, 2 * math.pi)),
                power=0.7,
                drift_y=-unit * 0.006 * float(rng.random()),
                wander=unit * 0.02,
            )
        )
    return Lights(depth=0.85, lights=tuple(lights))


def fireflies(stage: Stage) -> Drawable:
    """Warm sparks that wander over a meadow."""
    rng = stage.chance.stream("fireflies")
    unit = stage.unit
    lights: list[Light] = []
    for _ in range(46):
        lights.append(
            Light(
                x=float(rng.uniform(-0.05, 1.05)) * stage.width,
                y=float(rng.uniform(0.48, 0.97)) * stage.height,
                radius=unit * float(rng.uniform(0.0022, 0.0052)),
                colour=(1.0, 0.86, 0.42),
                least=0.0,
                rate_hz=float(rng.uniform(0.18, 0.5)),
                phase=float(rng.uniform(0, 2 * math.pi)),
                wander=unit * float(rng.uniform(0.02, 0.05)),
            )
        )
    return Lights(depth=0.95, lights=tuple(lights))


def lens_leaves(stage: Stage) -> Layer:
    """A dark, unsharp branch across an upper corner: it puts the viewer inside the wood."""
    motion = Motion(sway_x=stage.unit * 0.008, sway_y=stage.unit * 0.005, period_s=5.0)
    plate = stage.plate(1.35, motion)
    rng = stage.chance.stream("lens leaves")
    unit = stage.unit
    canvas = Image.new("L", (plate.width, plate.height), 0)
    draw = ImageDraw.Draw(canvas)
    side = -1 if stage.palette.sun_x > 0.5 else 1
    corner = (-0.05 if side < 0 else 1.05) * stage.width - plate.left
    for _ in range(90):
        far = float(rng.random()) ** 1.6 * 0.62 * unit
        angle = float(rng.uniform(0.05, 1.05))
        x, y = (
            corner - side * far * math.cos(angle),
            -0.03 * stage.height - plate.top + far * math.sin(angle) * 0.72,
        )
        size = unit * float(rng.uniform(0.015, 0.040))
        tilt = float(rng.uniform(0, math.pi))
        points = [
            (x + math.cos(tilt + a) * size * r, y + math.sin(tilt + a) * size * r)
            for a, r in ((0, 1), (0.7, 0.42), (2.4, 0.42), (math.pi, 1), (-2.4, 0.42), (-0.7, 0.42))
        ]
        draw.polygon(points, fill=255)
    mask = blurred(np.asarray(canvas, dtype=np.float32) / np.float32(255), unit * 0.006)
    colour = mix(stage.palette.near, stage.palette.fade(LEAF, 1.0), 0.22)
    return wide_layer(plate, 1.35, colour, mask, motion)


__all__ = ["fireflies", "forest", "frame_of_trunks", "lens_leaves", "lone_tree", "rays", "tree_line"]

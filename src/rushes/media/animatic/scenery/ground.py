"""Ground: planes that run to the horizon (sand, grass, snow, asphalt), seen in perspective, and strips of foreground.

A plane is one texture, looked up where the line of sight meets the ground: rows crowd together towards the
horizon. Strips are the dark, near edge of the land on which figures stand.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from rushes.media.animatic.layers import STILL, Drawable, Layer, Motion, Plate, Stage, wide_layer
from rushes.media.animatic.paint import Field, Rgb, fbm, mix, over, profile, ramp, scale, smoothstep
from rushes.media.animatic.scenery.trees import GRASS_GREEN, Growth, flower, foliage, grass, planted, reed


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One plane of ground from the line `top` (share of the height) to the lower edge."""

    depth: float
    top: float
    material: Rgb
    grain: tuple[float, float] = (0.9, 0.35)  # lumps of the texture across and along, in camera heights
    contrast: float = 0.5
    rows: float = 0.0  # strength of planted rows that run to the vanishing point
    wave: float = 0.004  # unevenness of its far edge, units


def perspective(stage: Stage, plate: Plate, top: float, field: Field, cell: tuple[float, float]) -> Field:
    """Look up an endless field on the ground plane; `cell` is the field's size in camera heights.

    `field` must tile; row 0 is nearest.
    """
    eye = np.float32(0.42 * stage.unit)
    down = np.maximum(plate.y - np.float32(top * stage.height), 1.0)
    away = eye / down  # distance along the ground in camera heights
    middle = np.float32(0.5 * stage.width)
    across = (plate.x[None, :] - middle) / eye * away
    rows = (away * np.float32(field.shape[0] / cell[1])).astype(np.int32) % field.shape[0]
    columns = (across * np.float32(field.shape[1] / cell[0])).astype(np.int32) % field.shape[1]
    return field[rows, columns]


def tiling(rng: Generator, width: int, height: int, cell: tuple[float, float], octaves: int = 4) -> Field:
    """Noise that repeats without a seam: two halves are cross-faded."""
    field = fbm(rng, width * 2, height * 2, cell, octaves)
    blend_x = smoothstep(0, 1, np.linspace(0, 1, width, dtype=np.float32))[None, :]
    field = field[:, :width] * blend_x + field[:, width:] * (1 - blend_x)
    blend_y = smoothstep(0, 1, np.linspace(0, 1, height, dtype=np.float32))[:, None]
    return field[:height] * blend_y + field[height:] * (1 - blend_y)


def ground_layer(stage: Stage, ground: Ground, name: str) -> Layer:
    """Paint a plane of ground, fading into the haze at its far end."""
    rng = stage.chance.stream(name)
    plate = stage.plate(ground.depth).below(ground.top * stage.height - ground.wave * 2 * stage.unit - 4)
    palette, unit = stage.palette, stage.unit
    edge = (profile(rng, plate.width, 0.7 * unit, 4) - 0.5) * np.float32(ground.wave * 2 * unit)
    top_y = np.float32(ground.top * stage.height)
    below = plate.y - top_y - edge[None, :]
    texture = perspective(stage, plate, ground.top, tiling(rng, 512, 512, (46, 46), 4), ground.grain)
    fine = fbm(rng, plate.width, plate.height, (0.05 * unit, 0.010 * unit), 3)
    near = np.clip(below / np.float32(max(8.0, 0.36 * stage.height)), 0, 1)
    value = (texture - 0.5) * np.float32(ground.contrast * 1.5) * (0.25 + 0.75 * near)
    value += (fine - 0.5) * np.float32(0.25)
    if ground.rows:
        value += _furrows(stage, plate, ground) * np.float32(ground.rows)
    far_colour = mix(palette.fade(ground.material, ground.depth * 0.45), palette.haze, 0.35)
    near_colour = scale(palette.fade(ground.material, min(1.0, ground.depth + 0.3)), 0.92)
    body = ramp(((0.0, far_colour), (0.35, palette.fade(ground.material, ground.depth)), (1.0, near_colour)), near)
    light = mix(palette.fade(ground.material, ground.depth), palette.rim, 0.45 if not palette.dark else 0.15)
    rgb = np.broadcast_to(body, (plate.height, plate.width, 3)).copy()
    over(rgb, light, np.clip(value, 0, 1) * np.float32(0.75))
    over(rgb, palette.near, np.clip(-value, 0, 1) * np.float32(0.60))
    _sunlit(stage, plate, rgb, near)
    mask = np.clip(below + np.float32(0.5), 0, 1)
    return wide_layer(plate, ground.depth, rgb, mask)


def _furrows(stage: Stage, plate: Plate, ground: Ground) -> Field:
    eye = np.float32(0.42 * stage.unit)
    down = np.maximum(plate.y - np.float32(ground.top * stage.height), 1.0)
    across = (plate.x[None, :] - np.float32(0.42 * stage.width)) / down * np.float32(1.15) + eye * 0
    ridge = np.cos(across * np.float32(2 * np.pi * 1.35))
    fade = smoothstep(0.015, 0.10, down / np.float32(stage.height))
    return ridge * fade


def _sunlit(stage: Stage, plate: Plate, rgb: Field, near: Field) -> None:
    """The pool of light that a low sun lays on the ground below itself."""
    palette = stage.palette
    if palette.dark or not palette.sun_shows:
        return
    across = (plate.x[None, :] - np.float32(palette.sun_x * stage.width)) / np.float32(0.55 * stage.unit)
    over(rgb, palette.rim, np.exp(-across * across) * (1 - near) ** 2 * np.float32(0.34))


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The nearest land. `crown` is the height of its middle above its ends, units."""

    material: Rgb
    top: float = 0.86  # share of the height, at the middle
    depth: float = 1.0
    crown: float = 0.03
    rough: float = 0.012
    cover: str = "grass"  # grass | flowers | wheat | none
    cover_tall: float = 0.05


def strip_line(stage: Stage, strip: Strip, plate: Plate) -> Field:
    """Frame y of the strip's edge over every column: where feet stand."""
    rng = stage.chance.stream("strip line")
    unit = stage.unit
    across = (plate.x - np.float32(stage.width / 2)) / np.float32(stage.width / 2)
    rough = (profile(rng, plate.width, 0.45 * unit, 4, 0.4) - 0.5) * np.float32(2 * strip.rough * unit)
    return np.float32(strip.top * stage.height) + across**2 * np.float32(strip.crown * unit) + rough


def strip_layer(stage: Stage, strip: Strip, motion: Motion = STILL) -> Layer:
    """Paint the strip, with what grows on it."""
    reach = (strip.rough + max(0.0, -strip.crown) * 4 + 1.15 * strip.cover_tall) * stage.unit + 6
    plate = stage.plate(strip.depth, motion).below(strip.top * stage.height - reach)
    rng = stage.chance.stream("strip")
    unit, palette = stage.unit, stage.palette
    line = strip_line(stage, strip, plate)
    below = plate.y - line[None, :]
    plants = np.zeros_like(below)
    kinds = {"grass": (grass, 0.010), "flowers": (flower, 0.016), "wheat": (reed, 0.008)}
    if strip.cover in kinds:
        plant, every = kinds[strip.cover]
        tall = strip.cover_tall
        growth = Growth(
            plant=plant,
            depth=strip.depth,
            foot=0,
            roll=0,
            tall=(tall * 0.35, tall),
            every=every,
            material=strip.material,
        )
        plants = planted(plate, growth, line, stage, rng)
        if strip.cover == "flowers":
            mixed = Growth(
                plant=grass,
                depth=strip.depth,
                foot=0,
                roll=0,
                tall=(tall * 0.3, tall * 0.7),
                every=0.010,
                material=GRASS_GREEN,
            )
            plants = np.maximum(plants, planted(plate, mixed, line, stage, rng))
    mask = np.maximum(plants, np.clip(below + np.float32(0.5), 0, 1))
    rgb = foliage(stage, strip.depth, strip.material, plate, plants, below, max(4.0, strip.cover_tall * unit))
    texture = fbm(rng, plate.width, plate.height, (0.10 * unit, 0.03 * unit), 4)
    inside = np.clip(below / np.float32(0.10 * unit), 0, 1)
    over(rgb, palette.near, (0.35 + 0.65 * inside) * np.float32(0.55))
    over(
        rgb,
        palette.rim,
        (texture * np.exp(-np.maximum(below, 0) / np.float32(0.012 * unit)) * np.clip(below + 1, 0, 1))
        * np.float32(0.55 if not palette.dark else 0.22),
    )
    return wide_layer(plate, strip.depth, rgb, mask, motion)


def blooms(stage: Stage, colour: Rgb, depth: float, top: float, name: str) -> Drawable:
    """Dots of flowers on a meadow, larger towards the viewer."""
    rng = stage.chance.stream(name)
    plate = stage.plate(depth).below(top * stage.height - 4)
    unit = stage.unit
    bloom = mix(stage.palette.fade(colour, min(1.0, depth + 0.35)), stage.palette.rim, 0.15)
    mask = np.zeros((plate.height, plate.width), np.float32)
    patches = fbm(rng, plate.width // 4 + 1, plate.height // 4 + 1, (0.10 * unit, 0.02 * unit), 3)
    for _ in range(int(1500 * plate.width / unit / 2)):
        near = float(rng.random()) ** 1.7
        y = top * stage.height - plate.top + near * (1.05 - top) * stage.height
        x = float(rng.random()) * plate.width
        row, column = int(y), int(x)
        if not (2 <= row < plate.height - 3 and 3 <= column < plate.width - 4) or patches[row // 4, column // 4] < 0.46:
            continue
        size = unit * (0.0012 + 0.0052 * near)
        half = max(1, round(size))
        shape = mask[row - max(1, half // 2) : row + max(1, half // 2), column - half : column + half]
        shape[:] = np.maximum(shape, np.float32(0.55 + 0.4 * float(rng.random())))
    return wide_layer(plate, depth, bloom, mask)

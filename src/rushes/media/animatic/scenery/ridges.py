"""Ridges: mountains, hills, canyon walls and dunes as receding layers, each fainter than the one before it.

A ridge is a skyline and what lies under it. Light falls on one side of each peak: the border between the lit and
the shaded face runs down from the peak on a wavering line, which is what makes a flat shape look like rock.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator

from rushes.media.animatic.layers import Drawable, Layer, Plate, Stage, wide_layer
from rushes.media.animatic.paint import Field, Rgb, fbm, in_parallel, mix, noise, over, profile, ramp, scale, smoothstep
from rushes.media.animatic.vocabulary import Hour, Place, Weather

ROCK: Rgb = (0.44, 0.43, 0.47)
SANDSTONE: Rgb = (0.72, 0.40, 0.25)
GRASS: Rgb = (0.36, 0.50, 0.22)
SAND: Rgb = (0.88, 0.68, 0.42)
SNOW: Rgb = (0.93, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """One layer of land. Heights are shares of the stage's unit, above the line `foot` (share of the height)."""

    depth: float
    foot: float
    height: float
    material: Rgb
    sharp: float = 0.0  # 0 rolling .. 1 peaks
    spread: float = 0.5  # width of a mountain, in units
    snow: float = 0.0  # how far down snow reaches, share of the height
    steps: bool = False  # mesas
    smooth: bool = False  # no detail on the faces
    dune: bool = False  # one sharp crest between a lit and a shaded flank


def mountains(stage: Stage, *, count: int = 4, foot: float | None = None, tall: float = 0.40) -> list[Drawable]:
    """Ranges behind ranges, the farthest the highest, with mist between them."""
    rng = stage.chance.stream("mountains")
    snowy = bool({Weather.SNOW} & stage.scene.weather) or rng.random() < 0.55
    base = stage.horizon if foot is None else foot
    ridges: list[Ridge] = []
    for index in range(count):
        t = index / max(1, count - 1)
        ridges.append(
            Ridge(
                depth=0.14 + 0.34 * t,
                foot=base + 0.02 + 0.05 * t,
                height=tall * (1.0 - 0.62 * t) * float(rng.uniform(0.92, 1.08)),
                material=mix(ROCK, GRASS, 0.35 * t),
                sharp=0.95 - 0.35 * t,
                spread=0.62 - 0.22 * t,
                snow=(0.55 - 0.5 * t) if snowy else 0.0,
            )
        )
    return _painted(stage, ridges, "mountain")


def canyon(stage: Stage) -> list[Drawable]:
    """Mesas and buttes over a plain."""
    ridges = [
        Ridge(depth=0.16, foot=stage.horizon, height=0.13, material=SANDSTONE, spread=0.9, steps=True),
        Ridge(depth=0.28, foot=stage.horizon + 0.02, height=0.24, material=SANDSTONE, spread=0.62, steps=True),
        Ridge(depth=0.42, foot=stage.horizon + 0.06, height=0.30, material=SANDSTONE, spread=0.8, steps=True),
    ]
    return _painted(stage, ridges, "mesa")


def hills(stage: Stage, *, count: int = 3, material: Rgb = GRASS, foot: float | None = None) -> list[Drawable]:
    """Soft hills, one behind the other."""
    base = stage.horizon if foot is None else foot
    ridges: list[Ridge] = []
    for index in range(count):
        t = index / max(1, count - 1)
        ridge = Ridge(
            depth=0.22 + 0.40 * t,
            foot=base + 0.02 + 0.13 * t,
            height=0.13 - 0.03 * t,
            material=mix(mix(material, ROCK, 0.25), material, t),
            spread=0.85,
            smooth=True,
        )
        ridges.append(ridge)
    return _painted(stage, ridges, "hill")


def dunes(stage: Stage) -> list[Drawable]:
    """Sand to the horizon."""
    ridges: list[Ridge] = []
    for index in range(4):
        t = index / 3
        ridge = Ridge(
            depth=0.20 + 0.55 * t,
            foot=stage.horizon + 0.03 + 0.30 * t,
            height=0.10 + 0.15 * t,
            material=mix(SAND, SANDSTONE, 0.12 + 0.10 * t),
            spread=0.65 + 0.55 * t,
            dune=True,
        )
        ridges.append(ridge)
    return _painted(stage, ridges, "dune")


def _painted(stage: Stage, ridges: list[Ridge], name: str) -> list[Drawable]:
    return in_parallel(
        [
            partial(ridge_layer, stage, ridge, stage.chance.stream(f"{name} {index}"))
            for index, ridge in enumerate(ridges)
        ]
    )


def skyline(stage: Stage, ridge: Ridge, plate: Plate, rng: Generator) -> Field:
    """Frame y of the ridge's edge over every column of the plate."""
    cell = ridge.spread * stage.unit
    if ridge.steps:
        line = _mesas(plate.width, cell, stage.unit, rng)
    elif ridge.dune:
        line = profile(rng, plate.width, cell, 2, 0.28, 0.85)
    else:
        detail = 6 if ridge.sharp > 0.3 else 3
        line = profile(rng, plate.width, cell, detail, 0.30 + 0.17 * ridge.sharp, ridge.sharp)
        if ridge.sharp > 0.3:
            line = line**1.35
    return np.float32(ridge.foot * stage.height) - line * np.float32(ridge.height * stage.unit)


def _mesas(width: int, cell: float, unit: float, rng: Generator) -> Field:
    broad = profile(rng, width, cell, 2)
    shelf = smoothstep(0.50, 0.55, broad) * 0.55 + smoothstep(0.66, 0.70, broad) * 0.38
    slope = np.clip(broad * 1.1 - 0.1, 0, 1) * 0.30
    rough = (profile(rng, width, 0.03 * unit, 3) - 0.5) * 0.05
    return np.clip(shelf + slope + rough, 0, 1).astype(np.float32)


def ridge_layer(stage: Stage, ridge: Ridge, rng: Generator) -> Layer:
    """Paint one ridge: faces, snow, mist at its foot, a lit edge."""
    plate = stage.plate(ridge.depth).below(ridge.foot * stage.height - ridge.height * stage.unit * 1.02 - 4)
    top = skyline(stage, ridge, plate, rng)
    below = plate.y - top[None, :]
    rgb = _faces(stage, ridge, plate, top, below, rng)
    _mist(stage, ridge, below, rgb, rng)
    edge = np.exp(-np.maximum(below, 0) / np.float32(max(1.0, stage.unit * 0.005)))
    rim = 0.0 if stage.palette.dark else 0.32 * (1 - stage.palette.mist) * ridge.depth**0.5
    over(rgb, stage.palette.rim, edge * np.float32(rim))
    mask = np.clip(below + np.float32(0.5), 0, 1)
    return wide_layer(plate, ridge.depth, rgb, mask)


def _faces(stage: Stage, ridge: Ridge, plate: Plate, top: Field, below: Field, rng: Generator) -> Field:
    palette, unit = stage.palette, stage.unit
    body = palette.fade(ridge.material, ridge.depth)
    tall = max(2.0, ridge.height * unit)
    if ridge.smooth:
        return _rolling(stage, ridge, plate, top, below, rng)
    lit_side = 1.0 if palette.sun_x > 0.5 else -1.0
    reach = max(1, int(0.018 * unit))
    slope = np.roll(top, -reach) - np.roll(top, reach)  # positive: falls to the right, faces right
    # Faces widen as they fall: look at the slope of the skyline from further up the wavering line.
    waver = (noise(rng, plate.width, plate.height, (0.05 * unit, 0.10 * unit)) - 0.5) * np.float32(2.0)
    waver += (noise(rng, plate.width, plate.height, (0.016 * unit, 0.05 * unit)) - 0.5) * np.float32(0.8)
    sunk = np.maximum(below, 0) / np.float32(tall)
    if ridge.dune:
        # The crest winds down its dune in one or two large bends, and wind has ruled the flanks with ripples.
        waver = (noise(rng, plate.width, plate.height, (0.9 * unit, 0.16 * unit)) - 0.5) * np.float32(5.0)
    away = (1 - np.exp(-sunk * np.float32(1.6))) * np.float32(0.34 * tall) * waver
    columns = np.clip(np.arange(plate.width, dtype=np.float32)[None, :] + away, 0, plate.width - 1).astype(np.int32)
    facing = np.clip(slope[columns] * np.float32(lit_side / (0.7 * reach)), -1, 1)
    facing *= np.exp(-sunk * np.float32(0.45 if ridge.dune else 0.9))
    if ridge.dune:
        ripples = fbm(rng, plate.width, plate.height, (0.16 * unit, 0.009 * unit), 3)
        facing = np.clip(facing * np.float32(1.15), -1, 1) + (ripples - 0.5) * np.float32(0.30)
    if ridge.steps:
        facing = (facing + _strata(plate, unit, below, rng)) * np.float32(0.6)
    contrast = 0.10 + 0.26 * ridge.depth**0.6 * (1 - 0.6 * palette.mist)
    light = mix(
        body,
        palette.rim if not palette.dark else palette.sky[3],
        contrast * (1.0 if not palette.dark else 0.55),
    )
    shade = mix(body, palette.near, contrast * 0.85)
    rgb = ramp(((-1.0, shade), (0.0, body), (1.0, light)), facing)
    if ridge.snow > 0:
        _snow(stage, ridge, below, facing, rgb, tall, waver)
    return rgb


def _snow(stage: Stage, ridge: Ridge, below: Field, facing: Field, rgb: Field, tall: float, waver: Field) -> None:
    palette = stage.palette
    line = np.float32(ridge.snow * tall) * (0.75 + waver * np.float32(0.55) + facing * np.float32(0.22))
    cover = smoothstep(1.0, -1.0, (below - line) / np.float32(max(1.0, 0.02 * tall)))
    bright = palette.fade(SNOW, min(1.0, ridge.depth + 0.28))
    sunlit = mix(bright, palette.rim, 0.55) if not palette.dark else mix(bright, palette.sky[3], 0.5)
    white = mix(sunlit, (1, 1, 1), 0.25 if not palette.dark else 0.08)
    shade = mix(mix(bright, palette.sky[1], 0.45), palette.haze, 0.25)
    colour = ramp(((-1.0, shade), (0.1, mix(shade, white, 0.4)), (1.0, white)), facing)
    over(rgb, colour, cover * np.float32(0.92 * (1 - 0.55 * palette.mist)))


def _strata(plate: Plate, unit: float, below: Field, rng: Generator) -> Field:
    """Layers of rock: bands that keep their height, broken up a little."""
    bands = profile(rng, plate.height, 0.035 * unit, 3) * 2 - 1
    rough = noise(rng, plate.width, plate.height, (0.02 * unit, 0.12 * unit)) - 0.5
    return bands[:, None] * np.float32(0.8) + rough * np.float32(1.2)


def _rolling(stage: Stage, ridge: Ridge, plate: Plate, top: Field, below: Field, rng: Generator) -> Field:
    palette, unit = stage.palette, stage.unit
    body = palette.fade(ridge.material, ridge.depth)
    light = mix(body, palette.rim if not palette.dark else palette.sky[3], 0.26 if not palette.dark else 0.12)
    shade = mix(body, palette.near, 0.28)
    soft = noise(rng, plate.width, plate.height, (0.55 * unit, 0.10 * unit))
    fine = fbm(rng, plate.width, plate.height, (0.06 * unit, 0.012 * unit), 3)
    fall = np.clip(below / np.float32(0.22 * unit), 0, 1)
    value = 0.85 - fall * np.float32(0.85) + (soft - 0.5) * np.float32(0.75) + (fine - 0.5) * np.float32(0.20)
    return ramp(((0.0, shade), (0.5, body), (1.0, light)), np.clip(value, 0, 1))


def _mist(stage: Stage, ridge: Ridge, below: Field, rgb: Field, rng: Generator) -> None:
    """Haze gathers in the valleys: each ridge stands on a pale foot, which sets off the next one."""
    palette = stage.palette
    reach = (0.10 + 0.30 * ridge.height) * stage.unit
    height, width = below.shape
    lumps = noise(rng, width, height, (0.5 * stage.unit, 0.06 * stage.unit))
    depth = smoothstep(0.15, 1.35, below / np.float32(reach) + (lumps - 0.5) * np.float32(0.55))
    colour = mix(palette.haze, palette.sky[3], 0.35)
    amount = (0.30 + 0.62 * palette.mist) * (1.05 - ridge.depth)
    over(rgb, colour, depth * np.float32(min(0.92, amount)))


def near_colour(stage: Stage, material: Rgb, depth: float) -> Rgb:
    """A surface near the camera, for grounds and strips of foreground."""
    colour = stage.palette.fade(material, depth)
    return scale(colour, 0.9) if stage.palette.hour is not Hour.NOON else colour


def is_snowy(stage: Stage) -> bool:
    return Weather.SNOW in stage.scene.weather or Place.SNOWFIELD in stage.scene.places

"""Space: nebulae, stars, a planet in half light, its moon. No horizon, no up."""

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rushes.media.animatic.layers import Drawable, Light, Lights, Motion, Plate, Stage, wide_layer
from rushes.media.animatic.paint import (
    Field,
    Rgb,
    fbm,
    from_hex,
    glow,
    grey,
    mix,
    noise,
    over,
    ramp,
    resized,
    smoothstep,
)
from rushes.media.animatic.vocabulary import COLOURS, Tone

# (deep, cloud, heart, planet's light, planet's dark)
_KEYS: tuple[tuple[str, str, str, str, str], ...] = (
    ("#070a1e", "#3a2b7a", "#e06aa8", "#e9b38a", "#5b2b3f"),
    ("#040d18", "#12506b", "#5fe0d0", "#9fd6e8", "#123a5c"),
    ("#0d0716", "#6a2748", "#ff9a5c", "#e8c48f", "#6b3a2a"),
    ("#060a14", "#2a3f86", "#a9b6ff", "#c9d2ee", "#333c66"),
)


def space(stage: Stage) -> list[Drawable]:
    """Everything behind whoever flies here."""
    rng = stage.chance.stream("space key")
    key = [from_hex(text) for text in _KEYS[int(rng.integers(len(_KEYS)))]]
    for name in stage.scene.colours[:1]:
        key[1], key[2] = mix(key[1], from_hex(COLOURS[name]), 0.6), mix(key[2], from_hex(COLOURS[name]), 0.5)
    if Tone.NOIR in stage.scene.tones:
        key = [grey(colour) for colour in key]
    items: list[Drawable] = [_nebula(stage, key), _stars(stage, stage.chance.stream("space stars"))]
    items.append(_planet(stage, key, large=True))
    items.append(_planet(stage, key, large=False))
    return items


def _nebula(stage: Stage, key: list[Rgb]) -> Drawable:
    plate = stage.plate(0.05)
    rng = stage.chance.stream("nebula")
    unit = stage.unit
    half_w, half_h = plate.width // 2, plate.height // 2
    warp = fbm(rng, half_w, half_h, (0.30 * unit, 0.30 * unit), 3)
    cloud = _warped(fbm(rng, half_w, half_h, (0.22 * unit, 0.20 * unit), 6, 0.55), warp, 0.10 * unit)
    dust = _warped(fbm(rng, half_w, half_h, (0.15 * unit, 0.12 * unit), 6, 0.6), warp, 0.16 * unit)
    lean = float(rng.uniform(-0.7, 0.7))
    rows = plate.y[::2][:half_h] - np.float32(stage.height / 2)
    columns = plate.x[None, ::2][:, :half_w] - np.float32(stage.width / 2)
    lane = np.exp(-(((rows + columns * np.float32(lean)) / np.float32(0.34 * unit)) ** 2))
    body = np.clip(lane * (cloud * 1.25 - 0.10), 0, 1)
    deep, middle, heart = key[0], key[1], key[2]
    rgb = ramp(((0.0, deep), (0.38, mix(deep, middle, 0.75)), (0.66, middle), (0.95, mix(middle, heart, 0.85))), body)
    over(rgb, mix(deep, (0, 0, 0), 0.5), smoothstep(0.52, 0.82, dust) * lane * np.float32(0.75))
    core = np.exp(-((rows / np.float32(0.22 * unit)) ** 2) - ((columns + 0.25 * unit) / np.float32(0.40 * unit)) ** 2)
    glow(rgb, heart, core * smoothstep(0.3, 0.9, cloud) * np.float32(0.55))
    channels = [resized(np.ascontiguousarray(rgb[..., i]), plate.width, plate.height) for i in range(3)]
    full = np.clip(np.stack(channels, axis=-1), 0, 1)
    _scatter(full, plate, rng, unit)
    return wide_layer(plate, 0.05, full)


def _warped(field: Field, warp: Field, reach: float) -> Field:
    height, width = field.shape
    shift: NDArray[np.int32] = ((warp - 0.5) * np.float32(reach)).astype(np.int32)
    down, across = np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32)
    rows = np.clip(down[:, None] + shift, 0, height - 1)
    columns = np.clip(across[None, :] - shift, 0, width - 1)
    return field[rows, columns]


def _scatter(rgb: Field, plate: Plate, rng: Generator, unit: float) -> None:
    count = int(1500 * plate.width * plate.height / unit**2 / 1.9)
    rows = rng.integers(1, plate.height - 1, count)
    columns = rng.integers(1, plate.width - 1, count)
    power = (rng.random(count).astype(np.float32) ** 6 * np.float32(0.9) + np.float32(0.08))[:, None]
    warm = rng.random(count)[:, None]
    colour = np.where(warm < 0.3, np.array([1.0, 0.85, 0.7]), np.array([0.85, 0.92, 1.0])).astype(np.float32)
    for dy, dx, part in ((0, 0, 1.0), (0, 1, 0.3), (1, 0, 0.3), (0, -1, 0.3), (-1, 0, 0.3)):
        here = rgb[rows + dy, columns + dx]
        rgb[rows + dy, columns + dx] = 1 - (1 - here) * (1 - colour * power * np.float32(part))


def _stars(stage: Stage, rng: Generator) -> Drawable:
    plate = stage.plate(0.12)
    lights: list[Light] = []
    for _ in range(44):
        lights.append(
            Light(
                x=plate.left + float(rng.random()) * plate.width,
                y=plate.top + float(rng.random()) * plate.height,
                radius=stage.unit * float(rng.uniform(0.0010, 0.0030)),
                colour=(0.92, 0.96, 1.0) if rng.random() < 0.7 else (1.0, 0.88, 0.72),
                least=0.35,
                rate_hz=float(rng.uniform(0.15, 0.7)),
                phase=float(rng.uniform(0, 2 * math.pi)),
            )
        )
    return Lights(depth=0.12, lights=tuple(lights))


def _planet(stage: Stage, key: list[Rgb], *, large: bool) -> Drawable:
    """A ball lit from one side, with weather bands, a thin bright air, and sometimes a ring."""
    rng = stage.chance.stream("planet" if large else "moon")
    depth = 0.30 if large else 0.42
    unit = stage.unit
    motion = Motion(drift_x=unit * (0.0015 if large else -0.0035))
    plate = stage.plate(depth, motion)
    side = 1 if stage.palette.sun_x > 0.5 else -1
    radius = unit * (float(rng.uniform(0.24, 0.36)) if large else float(rng.uniform(0.035, 0.06)))
    x = stage.width * (0.5 - side * float(rng.uniform(0.10, 0.24))) if large else stage.width * (0.5 + side * 0.24)
    y = stage.height * (float(rng.uniform(0.46, 0.66)) if large else float(rng.uniform(0.2, 0.34)))
    ringed = large and rng.random() < 0.5
    columns = (plate.x[None, :] - np.float32(x)) / np.float32(radius)
    rows = (plate.y - np.float32(y)) / np.float32(radius)
    far = np.sqrt(columns * columns + rows * rows)
    up = np.sqrt(np.clip(1 - far * far, 0, 1))
    facing = columns * np.float32(side * 0.72) - rows * np.float32(0.42) + up * np.float32(0.42)
    rgb = _surface(stage, key, plate, rng, columns, rows, facing, radius, large)
    edge = np.float32(1.2 / radius)
    mask = smoothstep(1 + float(edge), 1 - float(edge), far)
    air = np.exp(-np.maximum(far - 1, 0) * np.float32(16)) * smoothstep(-0.25, 0.75, facing) * (far > 1)
    halo = mix(key[2], key[3], 0.4)
    over(rgb, halo, smoothstep(1 + float(edge), 1 + 2 * float(edge), far))
    mask = np.maximum(mask, air.astype(np.float32) * np.float32(0.55 if large else 0.2))
    if ringed:
        mask = _ring(stage, key, rgb, mask, columns, rows, far, facing)
    return wide_layer(plate, depth, rgb, mask, motion)


def _surface(
    stage: Stage,
    key: list[Rgb],
    plate: Plate,
    rng: Generator,
    columns: Field,
    rows: Field,
    facing: Field,
    radius: float,
    large: bool,
) -> Field:
    light, dark = key[3], key[4]
    bands = fbm(rng, plate.width, plate.height, (radius * 1.3, radius * 0.12), 5, 0.55)
    if not large:
        bands = fbm(rng, plate.width, plate.height, (radius * 0.5, radius * 0.5), 4)
    stripe = noise(rng, plate.height, 1, (radius * 0.16, 1.0))[0][:, None]
    tone = np.clip(bands * np.float32(0.62) + stripe * np.float32(0.38), 0, 1)
    rgb = ramp(
        ((0.15, mix(dark, light, 0.25)), (0.5, mix(dark, light, 0.7)), (0.85, mix(light, (1, 1, 1), 0.25))),
        tone,
    )
    day = smoothstep(-0.12, 0.75, facing)
    over(rgb, mix(key[0], (0, 0, 0), 0.35), (1 - day) * np.float32(0.97))
    dusk = np.exp(-(((facing - np.float32(0.10)) / np.float32(0.14)) ** 2))
    over(rgb, key[2], dusk * np.float32(0.20))
    far2 = np.clip(columns * columns + rows * rows, 0, 1)
    over(rgb, mix(key[2], (1, 1, 1), 0.35), far2**6 * day * np.float32(0.55))
    return rgb


def _ring(
    stage: Stage, key: list[Rgb], rgb: Field, mask: Field, columns: Field, rows: Field, far: Field, facing: Field
) -> Field:
    lean = np.float32(0.22)
    along = columns * np.cos(lean) + rows * np.sin(lean)
    across = (rows * np.cos(lean) - columns * np.sin(lean)) / np.float32(0.26)
    reach = np.sqrt(along * along + across * across)
    table = _ring_profile(stage)
    index = np.clip((reach - np.float32(1.30)) / np.float32(0.95) * (len(table) - 1), 0, len(table) - 1)
    band = table[index.astype(np.int32)] * ((reach > 1.30) & (reach < 2.25))
    front = (across > 0) | (far > 1.0)
    shadow = np.where((columns * np.float32(-1) * np.sign(facing.mean()) > 0) & (far < 1.6) & (across < 0), 0.35, 1.0)
    ring = (band * front).astype(np.float32)
    over(rgb, mix(key[3], (1, 1, 1), 0.3), ring * np.float32(0.9) * shadow.astype(np.float32))
    return np.maximum(mask, ring * np.float32(0.82))


def _ring_profile(stage: Stage) -> Field:
    """Brightness of a planet's ring from its inner to its outer edge."""
    rng = stage.chance.stream("ring")
    line = noise(rng, 256, 1, (18, 1.0))[0] * np.float32(0.7) + noise(rng, 256, 1, (5, 1.0))[0] * np.float32(0.5)
    ends = smoothstep(0, 0.08, np.linspace(0, 1, 256, dtype=np.float32)) * smoothstep(
        1, 0.86, np.linspace(0, 1, 256, dtype=np.float32)
    )
    return np.clip(line, 0.05, 1) * ends

"""Sky: the gradient, sun or moon, stars, aurora and drifting clouds. The farthest layers of every outdoor scene."""

import math

import numpy as np
from numpy.random import Generator

from rushes.media.animatic.layers import Drawable, Light, Lights, Motion, Plate, Stage, wide_layer
from rushes.media.animatic.paint import (
    Field,
    Rgb,
    fbm,
    glow,
    mix,
    noise,
    over,
    profile,
    radial,
    ramp,
    resized,
    scale,
    smoothstep,
)
from rushes.media.animatic.vocabulary import Extra, Hour, Place, Weather

SKY_DEPTH = 0.03


def sky(stage: Stage) -> list[Drawable]:
    """All of the sky, from the gradient to the nearest cloud."""
    items: list[Drawable] = [_vault(stage)]
    palette, scene = stage.palette, stage.scene
    if palette.dark and palette.cloudiness < 0.6:
        items.append(_twinkling(stage, stage.chance.stream("stars that twinkle")))
    if palette.cloudiness > 0.2 and Extra.AURORA not in scene.extras:
        items.append(_heaped_clouds(stage, stage.chance.stream("heaped clouds")))
    return items


def backdrop(stage: Stage, plate: Plate) -> Field:
    """The sky's gradient with the sun's glow on any plate: also what a window looks out on."""
    palette = stage.palette
    top = -0.25 * stage.height
    rows = (plate.y - np.float32(top)) / np.float32(max(stage.horizon_y - top, 1))
    zenith, upper, lower, horizon = palette.sky
    stops = (
        (0.0, zenith),
        (0.42, upper),
        (0.80, lower),
        (1.0, horizon),
        (1.5, mix(horizon, palette.haze, 0.6)),
    )
    rgb = np.broadcast_to(ramp(stops, rows), (plate.height, plate.width, 3)).copy()
    x, y = palette.sun_x * stage.width - plate.left, palette.sun_y * stage.height - plate.top
    distance = radial(plate.width, plate.height, x, y, stage.unit)
    strength = 0.25 if not palette.sun_shows else (0.42 if palette.dark else 0.62)
    glow(rgb, mix(palette.sky[3], palette.sun, 0.5), np.exp(-distance * np.float32(3.2)) * np.float32(strength))
    if palette.sun_shows:
        reach = 14.0 if palette.dark else 9.0
        glow(rgb, palette.sun, np.exp(-distance * np.float32(reach)) * np.float32(strength))
    return rgb


def _vault(stage: Stage) -> Drawable:
    plate = stage.plate(SKY_DEPTH)
    rgb = backdrop(stage, plate)
    palette, scene = stage.palette, stage.scene
    rng = stage.chance.stream("sky")
    if palette.dark and palette.cloudiness < 0.6:
        _stars(stage, plate, rgb, rng)
    if Extra.AURORA in scene.extras:
        _aurora(stage, plate, rgb, stage.chance.stream("aurora"))
    if palette.sun_shows and not (palette.dark and Place.SPACE in scene.places):
        if palette.dark:
            _moon(stage, plate, rgb, rng)
        elif palette.hour is not Hour.NOON or Extra.SUN in scene.extras:
            _sun(stage, plate, rgb)
    if not (Weather.CLEAR in scene.weather and palette.dark):
        _high_clouds(stage, plate, rgb, stage.chance.stream("high clouds"))
    return wide_layer(plate, SKY_DEPTH, rgb)


def _sun(stage: Stage, plate: Plate, rgb: Field) -> None:
    palette = stage.palette
    radius = stage.unit * (0.052 if palette.hour is not Hour.NOON else 0.04)
    x, y = palette.sun_x * stage.width - plate.left, palette.sun_y * stage.height - plate.top
    distance = radial(plate.width, plate.height, x, y, radius)
    glow(rgb, palette.sun, smoothstep(2.6, 0.9, distance) * np.float32(0.5))
    over(rgb, mix(palette.sun, (1, 1, 1), 0.35), smoothstep(1.04, 0.96, distance))


def _moon(stage: Stage, plate: Plate, rgb: Field, rng: Generator) -> None:
    palette = stage.palette
    named = Extra.MOON in stage.scene.extras
    radius = stage.unit * (0.075 if named else 0.042)
    x, y = palette.sun_x * stage.width - plate.left, palette.sun_y * stage.height - plate.top
    distance = radial(plate.width, plate.height, x, y, radius)
    glow(rgb, palette.sun, np.exp(-distance * np.float32(0.55)) * np.float32(0.42))
    seas = fbm(rng, plate.width, plate.height, (radius * 0.6, radius * 0.6), 3)
    face = mix(palette.sun, palette.sky[2], 0.06)
    shaded = np.clip(1.04 - 0.16 * smoothstep(0.40, 0.85, seas) - 0.12 * distance * distance, 0.4, 1.05)
    over(rgb, np.asarray(face, np.float32) * shaded[..., None], smoothstep(1.03, 0.97, distance))


def _stars(stage: Stage, plate: Plate, rgb: Field, rng: Generator) -> None:
    unit = stage.unit
    starry = bool({Extra.STARS, Extra.AURORA} & stage.scene.extras) or Place.SPACE in stage.scene.places
    count = int((1100 if starry else 420) * plate.width * plate.height / unit**2 / 1.9)
    columns = rng.integers(1, plate.width - 1, count)
    rows = (rng.random(count) ** 1.25 * min(plate.height - 2, stage.horizon_y - plate.top + 10)).astype(int) + 1
    power = rng.random(count).astype(np.float32) ** 5 * np.float32(0.85) + np.float32(0.10)
    power *= np.float32(min(1.0, max(0.55, unit / 540)))
    depth = np.clip(1 - (rows + plate.top) / max(stage.horizon_y, 1), 0.05, 1) ** 0.5
    warm = rng.random(count)[:, None]
    colour = np.where(warm < 0.3, np.array([1.0, 0.9, 0.75]), np.array([0.85, 0.92, 1.0]))
    light = (colour * (power * depth)[:, None]).astype(np.float32)
    rgb[rows, columns] = 1 - (1 - rgb[rows, columns]) * (1 - light)
    for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        soft = light * np.float32(0.32 if unit > 500 else 0.2)
        rgb[rows + dy, columns + dx] = 1 - (1 - rgb[rows + dy, columns + dx]) * (1 - soft)
    if starry:
        _milky_way(stage, plate, rgb, rng)


def _milky_way(stage: Stage, plate: Plate, rgb: Field, rng: Generator) -> None:
    lean = float(rng.uniform(0.5, 0.9)) * (1 if rng.random() < 0.5 else -1)
    middle = float(rng.uniform(0.3, 0.7)) * stage.width
    cloud = resized(fbm(rng, plate.width // 2, plate.height // 2, (90, 90), 5, 0.6), plate.width, plate.height)
    lane = (plate.x[None, :] - np.float32(middle)) + (plate.y - np.float32(0.3 * stage.height)) * np.float32(lean)
    band = np.exp(-((lane / np.float32(0.24 * stage.unit)) ** 2))
    fade = smoothstep(stage.horizon_y, stage.horizon_y - 0.35 * stage.height, plate.y)
    light = band * smoothstep(0.25, 0.95, cloud) * fade
    glow(rgb, mix(stage.palette.sky[3], (0.95, 0.88, 0.95), 0.45), light * np.float32(0.45))


def _twinkling(stage: Stage, rng: Generator) -> Drawable:
    plate = stage.plate(SKY_DEPTH)
    lights: list[Light] = []
    for _ in range(26):
        lights.append(
            Light(
                x=plate.left + float(rng.random()) * plate.width,
                y=plate.top + float(rng.random()) ** 1.3 * (stage.horizon_y * 0.85 - plate.top),
                radius=max(0.6, stage.unit * float(rng.uniform(0.0009, 0.0021))),
                colour=(0.93, 0.96, 1.0),
                least=0.25,
                rate_hz=float(rng.uniform(0.25, 0.9)),
                phase=float(rng.uniform(0, 6.28)),
            )
        )
    return Lights(depth=SKY_DEPTH, lights=tuple(lights))


def _aurora(stage: Stage, plate: Plate, rgb: Field, rng: Generator) -> None:
    green, violet = mix((0.25, 0.95, 0.62), stage.palette.accent, 0.15), (0.55, 0.30, 0.85)
    half = (plate.width // 2, plate.height // 2)
    rows = np.arange(half[1], dtype=np.float32)[:, None] * 2 + plate.top
    for curtain in range(3):
        wave = profile(rng, half[0], 0.30 * stage.unit, 4, 0.6)
        foot = stage.horizon_y * (0.42 + 0.16 * curtain) + (wave - 0.5) * np.float32(0.20 * stage.height)
        rays = noise(rng, half[0], 1, (max(2.0, 0.012 * stage.unit), 1.0))[0]
        broad = noise(rng, half[0], 1, (0.22 * stage.unit, 1.0))[0]
        tall = (0.16 + 0.30 * broad + 0.12 * rays) * stage.height
        above = (foot[None, :] - rows) / np.maximum(tall, 1)[None, :]
        body = np.exp(-np.maximum(above, 0) * np.float32(3.0)) * smoothstep(-0.22, 0.16, above)
        strength = smoothstep(0.12, 0.75, broad) * (0.45 + 0.55 * rays)
        light = resized(body * strength[None, :], plate.width, plate.height) * np.float32(0.78 - 0.16 * curtain)
        high = resized(smoothstep(0.15, 1.0, above), plate.width, plate.height)
        light = np.clip(light, 0, 1)
        glow(rgb, green, light * (1 - high * np.float32(0.7)))
        glow(rgb, violet, light * high * np.float32(0.9))


def _high_clouds(stage: Stage, plate: Plate, rgb: Field, rng: Generator) -> None:
    """Thin streaks, drawn out along the horizon. So far away that they are part of the vault and stand still."""
    palette, unit = stage.palette, stage.unit
    half_w, half_h = plate.width // 2, plate.height // 2
    field = fbm(rng, half_w, half_h, (0.42 * unit, 0.040 * unit), 5, 0.55)
    broad = noise(rng, half_w, half_h, (0.8 * unit, 0.22 * unit))
    if stage.scene.weather & {Weather.RAIN, Weather.STORM, Weather.SNOW} and palette.cloudiness > 0.62:
        _overcast(stage, plate, rgb, rng)
    cover = np.float32(0.74 - 0.26 * palette.cloudiness)
    body = smoothstep(float(cover) - 0.16, float(cover) + 0.20, field * np.float32(0.75) + broad * np.float32(0.32))
    rows = np.linspace(float(plate.top), float(plate.top + plate.height), half_h, dtype=np.float32)[:, None]
    high = rows / np.float32(stage.horizon_y)
    body *= smoothstep(1.04, 0.80, high) * (0.35 + 0.65 * smoothstep(-0.1, 0.55, high))
    mask = resized(body, plate.width, plate.height) * np.float32(0.62 if not palette.dark else 0.34)
    _, upper, lower, horizon = palette.sky
    light = mix(mix(horizon, palette.sun, 0.45), (1, 1, 1), 0.1 if palette.hour is not Hour.NOON else 0.6)
    shade = mix(lower, upper, 0.45)
    rows_full = np.clip(plate.y / np.float32(stage.horizon_y), 0, 1)
    colour = ramp(((0.0, mix(light, upper, 0.35)), (0.6, mix(light, shade, 0.25)), (1.0, light)), rows_full)
    over(rgb, colour, np.clip(mask, 0, 1))


def _overcast(stage: Stage, plate: Plate, rgb: Field, rng: Generator) -> None:
    """A lid of cloud: bellies in rows, dark below, a bright seam along the horizon."""
    palette, unit = stage.palette, stage.unit
    zenith, upper, lower, horizon = palette.sky
    half_w, half_h = plate.width // 2, plate.height // 2
    rolls = fbm(rng, half_w, half_h, (0.34 * unit, 0.085 * unit), 5, 0.55)
    lit = np.clip((rolls - _lower(rolls, max(2, round(0.018 * unit)))) * np.float32(2.6) + np.float32(0.5), 0, 1)
    tone = ramp(
        (
            (0.0, scale(zenith, 0.72)),
            (0.45, mix(zenith, upper, 0.55)),
            (0.8, upper),
            (1.0, mix(lower, horizon, 0.5)),
        ),
        lit,
    )
    high = plate.y / np.float32(stage.horizon_y)
    cover = smoothstep(1.02, 0.62, high) * np.float32(0.30 + 0.75 * (palette.cloudiness - 0.3))
    full = np.stack([resized(np.ascontiguousarray(tone[..., i]), plate.width, plate.height) for i in range(3)], axis=-1)
    over(rgb, full, np.clip(np.broadcast_to(cover, full.shape[:2]), 0, 0.92))


def _lower(field: Field, rows: int) -> Field:
    """The field moved down, its first row repeated above: what is up there continues, it does not wrap round."""
    rows = min(rows, field.shape[0] - 1)
    return np.concatenate([np.repeat(field[:1], rows, axis=0), field[:-rows]]) if rows else field


def cloud_sea(stage: Stage, top: float) -> list[Drawable]:
    """Seen from above: banks of cloud to the horizon, each lit along its crest."""
    items: list[Drawable] = []
    light, middle, dark = _cloud_colours(stage)
    unit = stage.unit
    for index in range(5):
        t = index / 4
        depth = 0.10 + 0.75 * t
        rng = stage.chance.stream(f"cloud sea {index}")
        motion = Motion(drift_x=unit * (0.004 + 0.012 * t) * (1 if stage.palette.sun_x > 0.5 else -1))
        plate = stage.plate(depth, motion).below((top + (1.06 - top) * t**1.2) * stage.height - 0.36 * unit)
        heaps = profile(rng, plate.width, (0.28 + 0.5 * t) * unit, 2, 0.5)
        lumps = noise(rng, plate.width, 1, ((0.035 + 0.06 * t) * unit, 1.0))[0]
        # Round lumps: the absolute value of noise has bumps above and creases below.
        line = heaps * np.float32(0.10 + 0.12 * t) + np.abs(lumps * 2 - 1) * np.float32(0.020 + 0.035 * t)
        edge = np.float32((top + (1.06 - top) * t**1.2) * stage.height) - line * np.float32(unit)
        below = (plate.y - edge[None, :]) / np.float32(unit)
        soft = fbm(rng, plate.width, plate.height, ((0.16 + 0.2 * t) * unit, (0.06 + 0.08 * t) * unit), 5, 0.55)
        value = np.clip(1.0 - below * np.float32(5.2 - 2.6 * t) + (soft - 0.5) * np.float32(1.1), 0, 1)
        rgb = ramp(((0.0, mix(dark, middle, 0.4)), (0.5, middle), (1.0, light)), value)
        over(
            rgb,
            mix(stage.palette.sky[3], stage.palette.haze, 0.4),
            0.55 * (1 - t),
        )
        ragged = below * np.float32(unit / max(2.0, 0.016 * unit * (0.5 + t))) + (soft - 0.5) * np.float32(1.6)
        items.append(wide_layer(plate, depth, rgb, smoothstep(-0.2, 1.0, ragged), motion))
    return items


def _heaped_clouds(stage: Stage, rng: Generator) -> Drawable:
    """Cumulus: heaps of round lumps on flat bases, bright where they face the sun."""
    palette, unit = stage.palette, stage.unit
    motion = Motion(drift_x=unit * 0.010 * (1 if rng.random() < 0.5 else -1))
    plate = stage.plate(0.09, motion)
    step = 2
    width, height = plate.width // step, plate.height // step
    density = np.full((height, width), -1.0, np.float32)
    banks = max(2, round((2 + 6 * palette.cloudiness) * max(0.6, plate.width / unit / 2.2)))
    for _ in range(banks):
        _bank(stage, plate, density, step, rng)
    density += (fbm(rng, width, height, (0.11 * unit / step, 0.075 * unit / step), 5, 0.58) - 0.5) * np.float32(0.95)
    mask = smoothstep(0.0, 0.16, density)
    sun_side = 1.0 if palette.sun_x * stage.width > plate.left + plate.width / 2 else -1.0
    reach = max(2, round(0.020 * unit / step))
    low = smoothstep(
        0.9,
        0.25,
        np.linspace(float(plate.top), float(plate.top + plate.height), height, dtype=np.float32)[:, None]
        / np.float32(stage.horizon_y),
    )
    # Lit as if it were smoother than it is: light on every wisp makes a cloud look like a cow.
    smooth = resized(resized(density, max(2, width // 5), max(2, height // 5)), width, height)
    body = density * np.float32(0.35) + smooth * np.float32(0.65)
    toward = np.roll(_lower(body, reach), round(-sun_side * reach * 0.8), axis=1)
    lit = (body - toward) * np.float32(2.1) + np.float32(0.50) - body * np.float32(0.10)
    lit = np.clip(lit, 0, 1)
    lit = smoothstep(0.05, 0.95, lit)
    light, middle, dark = _cloud_colours(stage)
    rgb = ramp(((0.0, dark), (0.45, middle), (1.0, light)), lit)
    over(rgb, mix(palette.sky[3], palette.haze, 0.4), (1 - low) * np.float32(0.42))
    strength = 0.94 if not palette.dark else 0.72
    full = np.stack([resized(np.ascontiguousarray(rgb[..., i]), plate.width, plate.height) for i in range(3)], axis=-1)
    return wide_layer(plate, 0.09, full, resized(mask, plate.width, plate.height) * np.float32(strength), motion)


def _cloud_colours(stage: Stage) -> tuple[Rgb, Rgb, Rgb]:
    palette = stage.palette
    zenith, upper, lower, horizon = palette.sky
    if Weather.STORM in stage.scene.weather:
        return (mix(horizon, upper, 0.35), mix(upper, zenith, 0.4), scale(zenith, 0.8))
    if palette.hour is Hour.NOON:
        return ((1.0, 1.0, 0.99), mix((0.95, 0.97, 1.0), lower, 0.35), mix(lower, upper, 0.45))
    if palette.dark:
        return (mix(lower, horizon, 0.6), mix(upper, lower, 0.7), mix(upper, zenith, 0.4))
    return (mix(horizon, palette.sun, 0.7), mix(lower, horizon, 0.45), mix(upper, lower, 0.40))


def _bank(stage: Stage, plate: Plate, density: Field, step: int, rng: Generator) -> None:
    """One heap: lumps on a line, the largest in its middle, cut flat below."""
    unit = stage.unit
    high = float(rng.beta(2.0, 1.6))
    base_y = stage.horizon_y * (0.30 + 0.62 * high)
    near = 1.25 - 0.85 * high
    length = unit * float(rng.uniform(0.35, 0.75)) * near
    middle = plate.left + float(rng.random()) * plate.width
    height, width = density.shape
    for _ in range(9):
        along = float(rng.normal(0, 0.30))
        radius = unit * 0.105 * near * float(rng.uniform(0.5, 1.15)) * math.exp(-(along**2) * 1.6)
        x = (middle + along * length - plate.left) / step
        y = (base_y - radius * float(rng.uniform(0.15, 0.75)) - plate.top) / step
        r = max(2.0, radius / step)
        x0, x1 = max(0, int(x - 1.7 * r)), min(width, int(x + 1.7 * r) + 1)
        y0, y1 = max(0, int(y - 1.5 * r)), min(height, int(y + 1.5 * r) + 1)
        if x1 <= x0 or y1 <= y0:
            continue
        columns = (np.arange(x0, x1, dtype=np.float32)[None, :] - np.float32(x)) / np.float32(r * 1.25)
        rows = (np.arange(y0, y1, dtype=np.float32)[:, None] - np.float32(y)) / np.float32(r)
        lump = 0.85 - np.sqrt(columns * columns + rows * rows)
        floor = (np.float32((base_y - plate.top) / step) - np.arange(y0, y1, dtype=np.float32)[:, None]) / np.float32(r)
        lump = np.minimum(lump, floor * np.float32(1.4))
        part = density[y0:y1, x0:x1]
        np.maximum(part, lump, out=part)

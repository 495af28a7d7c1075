"""Abstract: what is shown when the prompt names nothing that we can draw. Sheets of cut paper, lit from one side."""

import numpy as np

from rushes.media.animatic.layers import Drawable, Motion, Stage, wide_layer
from rushes.media.animatic.paint import Rgb, fbm, from_hex, glow, grey, mix, over, profile, radial, ramp, smoothstep
from rushes.media.animatic.vocabulary import COLOURS

# Five colours each, from the light at the back to the dark in front.
_KEYS: tuple[tuple[str, str, str, str, str], ...] = (
    ("#ffe8d1", "#f6b78f", "#d9716c", "#7f3f6b", "#2a1f45"),
    ("#e6f4ea", "#9fd6c2", "#4a9f9f", "#22607a", "#12263f"),
    ("#fdf0c9", "#f3c567", "#e08a4a", "#9c4a4a", "#33203a"),
    ("#dfe6ff", "#a6b3f2", "#6d6fd0", "#4a3a94", "#1d1740"),
    ("#ffe3ec", "#f7a8c0", "#b86fb0", "#5f4a98", "#1f1f4d"),
    ("#e9f6ff", "#9ccdf0", "#4f8fd0", "#2c559c", "#12224f"),
)


def abstract(stage: Stage) -> list[Drawable]:
    """Layered waves of paper before a glowing disc; the seed chooses colours, slant and rhythm."""
    rng = stage.chance.stream("abstract")
    key = [from_hex(text) for text in _KEYS[int(rng.integers(len(_KEYS)))]]
    key = [mix(colour, stage.palette.sky[2], 0.10) for colour in key]
    for name in stage.scene.colours[:1]:
        key = [mix(colour, from_hex(COLOURS[name]), 0.45) for colour in key]
    if stage.palette.dark:
        key = [mix(colour, key[4], 0.45) for colour in key]
    if stage.palette.grey:
        key = [grey(colour) for colour in key]
    items: list[Drawable] = [_back(stage, key)]
    count = 7
    slant = float(rng.uniform(-0.28, 0.28))
    for index in range(count):
        items.append(_sheet(stage, key, index, count, slant))
    return items


def _back(stage: Stage, key: list[Rgb]) -> Drawable:
    plate = stage.plate(0.05)
    palette, unit = stage.palette, stage.unit
    x, y = palette.sun_x * stage.width, 0.34 * stage.height
    rows = (plate.y - plate.top) / np.float32(plate.height)
    rgb = np.broadcast_to(
        ramp(((0.0, mix(key[1], key[2], 0.5)), (0.7, key[0])), rows), (plate.height, plate.width, 3)
    ).copy()
    distance = radial(plate.width, plate.height, x - plate.left, y - plate.top, unit)
    glow(rgb, key[0], np.exp(-distance * np.float32(3.0)) * np.float32(0.75))
    disc = smoothstep(0.150 + 1.5 / unit, 0.150 - 1.5 / unit, distance)
    face = ramp(
        ((-0.15, mix(key[0], (1, 1, 1), 0.75)), (0.15, mix(key[1], key[0], 0.35))),
        (plate.y - np.float32(y)) / np.float32(unit) + 0 * distance,
    )
    over(rgb, face, disc)
    return wide_layer(plate, 0.05, rgb)


def _sheet(stage: Stage, key: list[Rgb], index: int, count: int, slant: float) -> Drawable:
    rng = stage.chance.stream(f"sheet {index}")
    unit = stage.unit
    t = index / (count - 1)
    depth = 0.15 + 1.0 * t
    motion = Motion(
        sway_x=unit * (0.02 + 0.03 * t) * (1 if index % 2 else -1),
        sway_y=unit * 0.008,
        period_s=7.0 + 1.3 * index,
        phase=float(rng.uniform(0, 6.28)),
    )
    plate = stage.plate(depth, motion)
    across = (plate.x - np.float32(stage.width / 2)) / np.float32(unit)
    wave = (profile(rng, plate.width, (0.75 - 0.2 * t) * unit, 2, 0.35) - np.float32(0.5)) * np.float32(0.26)
    line = np.float32((0.40 + 0.56 * t) * stage.height) + (
        wave + across * np.float32(slant * (1 - 0.6 * t))
    ) * np.float32(unit)
    below = (plate.y - line[None, :]) / np.float32(unit)
    colour = _along(key, 0.12 + 0.88 * t)
    light, dark = mix(colour, key[0], 0.42), mix(colour, key[4], 0.34)
    rgb = ramp(((0.0, light), (0.06, mix(light, colour, 0.7)), (0.30, dark)), below)
    paper = fbm(rng, plate.width, plate.height, (0.004 * unit + 2, 0.004 * unit + 2), 2)
    rgb += (paper[..., None] - np.float32(0.5)) * np.float32(0.022)
    edge = np.exp(-np.maximum(below, 0) * np.float32(unit / max(1.0, unit * 0.0022)))
    over(rgb, mix(light, (1, 1, 1), 0.45), edge * np.float32(0.55))
    mask = np.clip(below * np.float32(unit) + np.float32(0.5), 0, 1)
    # The soft shadow that this sheet throws on the one behind it is part of its own mask.
    shade = np.exp(-np.maximum(-below, 0) * np.float32(26)) * np.float32(0.34)
    # Sheet over shadow, in one colour and one mask: each weighted by what shows of it.
    behind = shade * (1 - mask)
    whole = np.maximum(mask + behind, 1e-4)
    over(rgb, mix(key[4], _along(key, t), 0.3), behind / whole)
    return wide_layer(plate, depth, np.clip(rgb, 0, 1), mask + behind, motion)


def _along(key: list[Rgb], t: float) -> Rgb:
    place = min(3.999, max(0.0, t * 4))
    low = int(place)
    return mix(key[low], key[low + 1], place - low)

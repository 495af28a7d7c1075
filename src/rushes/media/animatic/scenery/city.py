"""City: towers behind towers with their windows, and a street of shop signs. By day glass and stone, by night lamps."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.random import Generator

from rushes.media.animatic.layers import Drawable, Layer, Light, Lights, Plate, Stage, wide_layer
from rushes.media.animatic.paint import Field, Rgb, blurred, fbm, glow, in_parallel, mix, over, ramp, scale
from rushes.media.animatic.vocabulary import Hour, Tone

CONCRETE: Rgb = (0.50, 0.50, 0.54)
BRICK: Rgb = (0.52, 0.40, 0.36)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One layer of buildings. Heights and widths in units, above the line `foot` (share of the height)."""

    depth: float
    foot: float
    tall: tuple[float, float]
    wide: tuple[float, float]
    window: float  # spacing of windows, units
    lit: float  # share of windows with light, at night
    gap: tuple[float, float] | None = None  # share of the width left free of tall buildings
    signs: int = 0


@dataclass(slots=True)
class _Canvas:
    """What the builders of one layer draw on; only alive while the layer is painted."""

    plate: Plate
    rgb: Field
    mask: Field
    light: Field  # what glows, RGB, for the bloom
    lamps: list[Light] = field(default_factory=list[Light])


def towers(stage: Stage) -> list[Drawable]:
    """A skyline in three depths, with the glow of the streets between."""
    horizon = stage.horizon
    blocks = [
        Block(depth=0.14, foot=horizon + 0.08, tall=(0.16, 0.46), wide=(0.035, 0.085), window=0.011, lit=0.22),
        Block(depth=0.26, foot=horizon + 0.14, tall=(0.18, 0.56), wide=(0.055, 0.12), window=0.014, lit=0.30),
        Block(
            depth=0.42,
            foot=horizon + 0.24,
            tall=(0.16, 0.50),
            wide=(0.09, 0.17),
            window=0.019,
            lit=0.34,
            signs=3,
        ),
    ]
    return _built(stage, blocks, "block")


def street(stage: Stage) -> list[Drawable]:
    """A canyon of facades on both sides of a road, with signs; towers stand in the haze at its end."""
    horizon = stage.horizon
    blocks = [
        Block(depth=0.12, foot=horizon + 0.04, tall=(0.18, 0.50), wide=(0.04, 0.09), window=0.011, lit=0.25),
        Block(
            depth=0.28,
            foot=horizon + 0.05,
            tall=(0.24, 0.60),
            wide=(0.07, 0.13),
            window=0.016,
            lit=0.32,
            gap=(0.42, 0.58),
            signs=3,
        ),
        Block(
            depth=0.50,
            foot=horizon + 0.07,
            tall=(0.42, 0.86),
            wide=(0.12, 0.20),
            window=0.024,
            lit=0.36,
            gap=(0.29, 0.71),
            signs=5,
        ),
        Block(
            depth=0.72,
            foot=horizon + 0.09,
            tall=(0.80, 1.20),
            wide=(0.17, 0.28),
            window=0.036,
            lit=0.34,
            gap=(0.13, 0.87),
            signs=5,
        ),
    ]
    return _built(stage, blocks, "facade")


def _built(stage: Stage, blocks: list[Block], name: str) -> list[Drawable]:
    jobs = [partial(block_layers, stage, block, f"{name} {index}") for index, block in enumerate(blocks)]
    return [item for items in in_parallel(jobs) for item in items]


def block_layers(stage: Stage, block: Block, name: str) -> list[Drawable]:
    """One layer of buildings and the lights in it that flicker."""
    rng = stage.chance.stream(name)
    plate = stage.plate(block.depth).below(block.foot * stage.height - (block.tall[1] + 0.18) * stage.unit)
    shape = (plate.height, plate.width)
    canvas = _Canvas(
        plate=plate,
        rgb=np.zeros((*shape, 3), np.float32),
        mask=np.zeros(shape, np.float32),
        light=np.zeros((*shape, 3), np.float32),
    )
    canvas.rgb[:] = stage.palette.shadow(block.depth)
    x = -float(rng.random()) * block.wide[1] * stage.unit
    sites: list[tuple[int, int, int]] = []
    while x < plate.width:
        wide = stage.unit * float(rng.uniform(*block.wide))
        share = (x + wide / 2 + plate.left) / stage.width
        tall = stage.unit * (block.tall[0] + (block.tall[1] - block.tall[0]) * float(rng.random()) ** 1.8)
        free = block.gap is not None and block.gap[0] < share < block.gap[1]
        if not free:
            foot = block.foot * stage.height - plate.top
            left, right, top = max(0, int(x)), min(plate.width, int(x + wide)), int(foot - tall)
            if right - left >= 3:
                _building(stage, block, canvas, left, right, top, int(foot), rng)
                sites.append((left, right, top))
        x += wide * (float(rng.uniform(0.96, 1.25)) if not free else 1.0)
    _signs(stage, block, canvas, sites, rng)
    _finish(stage, block, canvas)
    items: list[Drawable] = [wide_layer(plate, block.depth, canvas.rgb, canvas.mask)]
    if canvas.lamps:
        items.append(Lights(depth=block.depth, lights=tuple(canvas.lamps)))
    return items


def _building(
    stage: Stage, block: Block, canvas: _Canvas, left: int, right: int, top: int, foot: int, rng: Generator
) -> None:
    palette, unit = stage.palette, stage.unit
    material = mix(CONCRETE, BRICK, float(rng.random()) * 0.7)
    face = scale(palette.fade(material, block.depth), float(rng.uniform(0.86, 1.08)))
    if palette.dark:
        face = mix(face, palette.shadow(block.depth), 0.6)
    face = mix(face, palette.shadow(block.depth), 0.35)
    wide = right - left
    edges = _roof(left, right, top, unit, rng)
    lit_left = palette.sun_x < 0.5
    side = int(wide * float(rng.uniform(0.22, 0.38)))
    # Two faces of each block: the one towards the sun is the lighter, that is all the modelling it needs.
    split = left + side if lit_left else right - side
    bright = mix(face, palette.rim, 0.30 if not palette.dark else 0.06)
    dim = mix(face, palette.near, 0.16)
    for x0, x1, y0 in edges:
        rows = slice(max(0, y0), canvas.plate.height)
        canvas.mask[rows, x0:x1] = 1
        canvas.rgb[rows, x0:x1] = dim
        lit = slice(x0, min(x1, split)) if lit_left else slice(max(x0, split), x1)
        canvas.rgb[rows, lit] = bright
        canvas.rgb[max(0, y0) : max(0, y0) + max(1, round(unit * 0.0022)), x0:x1] = mix(face, palette.rim, 0.4)
    _mast(stage, block, canvas, left, right, top, face, rng)
    x0, x1, y0 = edges[0]
    _windows(
        stage,
        block,
        canvas,
        (x0, x1, max(0, y0 + round(unit * 0.012)), min(foot, canvas.plate.height)),
        face,
        rng,
    )


def _roof(left: int, right: int, top: int, unit: float, rng: Generator) -> list[tuple[int, int, int]]:
    """The body and what sits on it: a set-back, a box for the lifts."""
    wide = right - left
    parts = [(left, right, top)]
    kind = float(rng.random())
    if kind < 0.35 and wide > 8:
        inset = int(wide * float(rng.uniform(0.14, 0.28)))
        parts.append((left + inset, right - inset, top - int(unit * float(rng.uniform(0.015, 0.06)))))
    elif kind < 0.70 and wide > 8:
        start = left + int(wide * float(rng.uniform(0.1, 0.5)))
        parts.append((start, min(right, start + max(2, int(wide * 0.28))), top - int(unit * 0.014)))
    return parts


def _mast(
    stage: Stage, block: Block, canvas: _Canvas, left: int, right: int, top: int, face: Rgb, rng: Generator
) -> None:
    if rng.random() > 0.26:
        return
    unit = stage.unit
    x = int(left + (right - left) * float(rng.uniform(0.3, 0.7)))
    high = int(unit * float(rng.uniform(0.03, 0.10)))
    thick = max(1, round(unit * 0.0022))
    y0 = max(0, top - high)
    canvas.mask[y0 : max(0, top), x : x + thick] = 1
    canvas.rgb[y0 : max(0, top), x : x + thick] = mix(face, stage.palette.near, 0.4)
    if stage.palette.hour in (Hour.NIGHT, Hour.DUSK):
        canvas.lamps.append(
            Light(
                x=canvas.plate.left + x,
                y=canvas.plate.top + y0,
                radius=unit * 0.0028,
                colour=(1.0, 0.25, 0.2),
                least=0.05,
                rate_hz=0.55,
                phase=float(rng.uniform(0, 6)),
            )
        )


def _windows(
    stage: Stage, block: Block, canvas: _Canvas, box: tuple[int, int, int, int], face: Rgb, rng: Generator
) -> None:
    palette = stage.palette
    x0, x1, y0, y1 = box
    pitch = max(3, round(block.window * stage.unit))
    columns, rows = (x1 - x0 - pitch // 2) // pitch, (y1 - y0) // pitch
    if columns < 1 or rows < 2:
        return
    night = palette.hour is Hour.NIGHT
    share = block.lit * (1.0 if night else {Hour.DUSK: 0.62, Hour.DAWN: 0.22}.get(palette.hour, 0.05))
    lit = rng.random((rows, columns)) < share * float(rng.uniform(0.5, 1.4))
    lit |= (rng.random((rows, 1)) < 0.05 * share * 3) & (rng.random((rows, columns)) < 0.8)
    power = rng.uniform(0.45, 1.0, (rows, columns)).astype(np.float32)
    cool = rng.random((rows, columns)) < (0.45 if Tone.NEON in stage.scene.tones else 0.16)
    across, down = np.arange(columns * pitch), np.arange(rows * pitch)
    pane_x = across % pitch < max(1, round(pitch * 0.56))
    pane_y = down % pitch < max(1, round(pitch * float(rng.choice([0.45, 0.62, 0.8]))))
    pane = (pane_y[:, None] & pane_x[None, :]).astype(np.float32)
    cells = np.ix_(down // pitch, across // pitch)
    left = x0 + (x1 - x0 - columns * pitch + pitch // 2) // 2
    area = (slice(y0, y0 + rows * pitch), slice(left, left + columns * pitch))
    part = canvas.rgb[area]
    pane = pane[: part.shape[0], : part.shape[1]]
    glass = mix(mix(face, palette.sky[1], 0.40), palette.near, 0.30 if not palette.dark else 0.55)
    over(part, glass, pane * np.float32(0.38))
    warm = np.asarray(palette.lamp, np.float32)
    cold = np.asarray(mix(palette.accent, (1, 1, 1), 0.35), np.float32)
    colour = np.where(cool[..., None], cold, warm)[cells][: part.shape[0], : part.shape[1]]
    shine = (lit * power)[cells][: part.shape[0], : part.shape[1]] * pane
    over(part, colour, shine * np.float32(0.55 + 0.40 * block.depth))
    canvas.light[area] += colour * (shine * np.float32(0.55))[..., None]
    _flicker(stage, block, canvas, lit, left, y0, pitch, rng)


def _flicker(
    stage: Stage,
    block: Block,
    canvas: _Canvas,
    lit: np.ndarray,
    left: int,
    top: int,
    pitch: int,
    rng: Generator,
) -> None:
    """Some of the lit windows breathe: that is enough to make a whole city look alive."""
    places = np.argwhere(lit)
    if not len(places) or len(canvas.lamps) > 13 or stage.palette.hour not in (Hour.NIGHT, Hour.DUSK):
        return
    for row, column in places[rng.integers(0, len(places), min(2, len(places)))]:
        canvas.lamps.append(
            Light(
                x=canvas.plate.left + left + (float(column) + 0.28) * pitch,
                y=canvas.plate.top + top + (float(row) + 0.3) * pitch,
                radius=max(0.7, pitch * 0.34),
                colour=stage.palette.lamp,
                least=0.0,
                rate_hz=float(rng.uniform(0.08, 0.35)),
                phase=float(rng.uniform(0, 6.28)),
                power=0.8,
            )
        )


def _signs(stage: Stage, block: Block, canvas: _Canvas, sites: list[tuple[int, int, int]], rng: Generator) -> None:
    """Upright shop signs that glow; many with neon, few without, none by day."""
    palette, unit = stage.palette, stage.unit
    neon = Tone.NEON in stage.scene.tones
    if palette.hour not in (Hour.NIGHT, Hour.DUSK) or not sites:
        return
    colours = [
        palette.accent,
        palette.rim,
        palette.lamp,
        mix(palette.accent, palette.rim, 0.5),
        (1.0, 0.28, 0.36),
    ]
    if palette.grey:
        colours = [palette.lamp]
    for _ in range(block.signs * (4 if neon else 1)):
        left, right, top = sites[int(rng.integers(len(sites)))]
        wide = max(3, round(unit * block.depth * float(rng.uniform(0.030, 0.055))))
        tall = max(6, round(wide * float(rng.uniform(2.2, 5.0))))
        if rng.random() < 0.25:
            wide, tall = max(8, round(wide * 2.6)), max(4, round(wide * 0.9))
        x = int(rng.integers(left, max(left + 1, right - wide)))
        foot = int(block.foot * stage.height - canvas.plate.top)
        y = int(rng.uniform(max(top + 4, foot - 0.55 * stage.height), max(top + 5, foot - tall * 1.15)))
        _sign(stage, canvas, (x, y, wide, tall), colours[int(rng.integers(len(colours)))], block.depth, rng)


def _sign(
    stage: Stage, canvas: _Canvas, box: tuple[int, int, int, int], colour: Rgb, depth: float, rng: Generator
) -> None:
    x, y, wide, tall = box
    y0, y1 = max(0, y), max(0, min(canvas.plate.height, y + tall))
    x1 = min(canvas.plate.width, x + wide)
    if y1 - y0 < 3 or x1 - x < 3:
        return
    panel = canvas.rgb[y0:y1, x:x1]
    panel[:] = mix(colour, stage.palette.near, 0.72)
    inset = max(1, wide // 7)
    # Strokes that read as writing without being any.
    glyph = max(2, min(wide, tall) - 2 * inset)
    rows = max(1, (y1 - y0 - inset) // (glyph + inset))
    strokes = np.zeros(panel.shape[:2], np.float32)
    for row in range(rows):
        top = inset + row * (glyph + inset)
        cell = strokes[top : top + glyph, inset : max(inset + 1, wide - inset)]
        line = max(1, glyph // 6)
        for _ in range(3):
            at = int(rng.integers(0, max(1, glyph - line)))
            if rng.random() < 0.55:
                cell[at : at + line, :] = 1
            else:
                cell[:, at : at + line] = 1
    strokes[:1], strokes[-1:], strokes[:, :1], strokes[:, -1:] = 1, 1, 1, 1
    bright = mix(colour, (1, 1, 1), 0.30)
    over(panel, bright, strokes * np.float32(0.6 + 0.4 * depth))
    light = canvas.light[y0:y1, x:x1]
    light += np.asarray(colour, np.float32) * (strokes * np.float32(1.0) + np.float32(0.30))[..., None]
    canvas.mask[y0:y1, x:x1] = 1


def _finish(stage: Stage, block: Block, canvas: _Canvas) -> None:
    """Bloom of the lights, and the haze of the streets at the feet of the towers."""
    palette, unit, plate = stage.palette, stage.unit, canvas.plate
    for channel in range(3):
        wide = blurred(np.clip(canvas.light[..., channel], 0, 1), unit * 0.016)
        tight = blurred(np.clip(canvas.light[..., channel], 0, 1), unit * 0.004)
        shine = np.clip(wide * np.float32(1.5) + tight * np.float32(0.5), 0, 1)
        canvas.rgb[..., channel] += (1 - canvas.rgb[..., channel]) * shine * np.float32(0.85)
    foot = np.float32(block.foot * stage.height)
    rise = (foot - plate.y) / np.float32(0.42 * unit)
    fog = fbm(
        stage.chance.stream(f"street haze {block.depth}"),
        plate.width,
        plate.height,
        (0.4 * unit, 0.15 * unit),
        3,
    )
    amount = np.exp(-np.maximum(rise, 0) * np.float32(1.9)) * (0.55 + 0.45 * fog)
    strength = (0.34 + 0.5 * palette.mist) * (1.05 - block.depth * 0.75)
    haze = palette.haze if palette.hour is not Hour.NIGHT else mix(palette.haze, palette.sky[3], 0.55)
    over(canvas.rgb, haze, np.clip(amount * np.float32(strength), 0, 0.9))
    if palette.hour in (Hour.NIGHT, Hour.DUSK):
        glow(
            canvas.rgb,
            palette.lamp if Tone.NEON not in stage.scene.tones else palette.sky[3],
            np.exp(-np.maximum(rise, 0) * np.float32(4.5)) * np.float32(0.26),
        )
    # Below the feet nothing shows but the ground layers; a solid base lets what is behind be skipped.
    canvas.mask[int(max(0, foot - plate.top)) :] = 1


def roof_edge(stage: Stage, top: float, depth: float = 1.0) -> Layer:
    """The parapet of a roof in the foreground, where a figure may sit."""
    plate = stage.plate(depth).below(top * stage.height - 4)
    palette, unit = stage.palette, stage.unit
    below = plate.y - np.float32(top * stage.height) + 0 * plate.x[None, :]
    body = palette.shadow(1.0)
    rgb = ramp(
        ((0.0, mix(body, palette.haze, 0.16)), (0.25, body), (1.0, scale(body, 0.6))),
        below / np.float32(0.20 * unit),
    )
    lip = np.exp(-((below - np.float32(0.002 * unit)) ** 2) / np.float32((0.0030 * unit) ** 2))
    over(rgb, palette.rim, lip * np.float32(0.75 if not palette.grey else 0.5))
    ledge = np.exp(-((below - np.float32(0.034 * unit)) ** 2) / np.float32((0.0022 * unit) ** 2))
    over(rgb, palette.rim, ledge * np.float32(0.22))
    shade = np.exp(-np.maximum(below - np.float32(0.036 * unit), 0) / np.float32(0.02 * unit)) * (below > 0.036 * unit)
    over(rgb, scale(body, 0.35), shade.astype(np.float32) * np.float32(0.6))
    wet = fbm(stage.chance.stream("roof"), plate.width, plate.height, (0.3 * unit, 0.012 * unit), 3)
    over(rgb, palette.rim, np.clip(wet - 0.62, 0, 1) * np.clip(below / unit * 10, 0, 1) * np.float32(0.35))
    return wide_layer(plate, depth, rgb, np.clip(below + np.float32(0.5), 0, 1))

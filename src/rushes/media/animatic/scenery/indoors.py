"""Indoors: a room, a kitchen or an office seen from the front, with a window, its light on the floor, and furniture.

The wall is one layer with holes where the panes are, so that the world outside moves behind it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from rushes.media.animatic.layers import Drawable, Layer, Light, Lights, Plate, Stage, wide_layer
from rushes.media.animatic.paint import Field, Rgb, blurred, fbm, glow, grey, mix, over, ramp, scale, smoothstep
from rushes.media.animatic.scenery.city import Block, block_layers
from rushes.media.animatic.scenery.furniture import Piece, pieces_for
from rushes.media.animatic.scenery.ridges import Ridge, ridge_layer
from rushes.media.animatic.scenery.sky import backdrop
from rushes.media.animatic.scenery.trees import Brush
from rushes.media.animatic.vocabulary import Hour, Place

WALL_DEPTH = 0.55
FLOOR = 0.76  # share of the height where wall and floor meet
_WALLS: tuple[Rgb, ...] = (
    (0.80, 0.70, 0.58),
    (0.56, 0.64, 0.62),
    (0.74, 0.58, 0.50),
    (0.55, 0.58, 0.70),
    (0.66, 0.66, 0.54),
)
_WOOD: Rgb = (0.52, 0.34, 0.22)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The opening in the wall, in frame pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def x(self) -> float:
        return (self.left + self.right) / 2

    @property
    def y(self) -> float:
        return (self.top + self.bottom) / 2


def interior(stage: Stage, place: Place) -> list[Drawable]:
    """The room from the view outside to the furniture; figures stand in front of it."""
    window = _window(stage, place)
    items: list[Drawable] = list(_outside(stage, place))
    items.append(_wall(stage, window))
    items.append(_floor(stage, window))
    items.append(_furniture(stage, place, window))
    items += _air(stage, window)
    return items


def _window(stage: Stage, place: Place) -> Window:
    unit = stage.unit
    side = 1 if stage.palette.sun_x > 0.5 else -1
    wide, high = (0.62, 0.44) if place is not Place.OFFICE else (0.95, 0.50)
    x = stage.width * 0.5 + side * min(0.20 * unit, 0.16 * stage.width)
    y = 0.36 * stage.height
    wide = min(wide * unit, 0.74 * stage.width)
    return Window(left=x - wide / 2, right=x + wide / 2, top=y - high * unit / 2, bottom=y + high * unit / 2)


def _outside(stage: Stage, place: Place) -> list[Drawable]:
    plate = stage.plate(0.05)
    items: list[Drawable] = [wide_layer(plate, 0.05, backdrop(stage, plate))]
    urban = place is Place.OFFICE or {Place.CITY, Place.STREET} & set(stage.scene.places)
    if urban:
        for index, depth in enumerate((0.12, 0.2)):
            block = Block(
                depth=depth,
                foot=0.66 + 0.04 * index,
                tall=(0.12, 0.40),
                wide=(0.04, 0.09),
                window=0.011,
                lit=0.3,
            )
            items += block_layers(stage, block, f"view {index}")
        return items
    for index in range(2):
        ridge = Ridge(
            depth=0.12 + 0.12 * index,
            foot=0.54 + 0.07 * index,
            height=0.12 - 0.03 * index,
            material=(0.30, 0.44, 0.24),
            spread=0.6,
            smooth=True,
        )
        items.append(ridge_layer(stage, ridge, stage.chance.stream(f"view {index}")))
    return items


def wall_colour(stage: Stage) -> Rgb:
    """Plaster in the light of the hour; at night the lamp does the lighting."""
    rng = stage.chance.stream("wall colour")
    paint = _WALLS[int(rng.integers(len(_WALLS)))]
    palette = stage.palette
    lit = (paint[0] * palette.ambient[0], paint[1] * palette.ambient[1], paint[2] * palette.ambient[2])
    if palette.grey:
        lit = grey(lit)
    return mix(lit, palette.near, {Hour.NIGHT: 0.62, Hour.DUSK: 0.42, Hour.NOON: 0.10}.get(palette.hour, 0.24))


def _lamp_place(stage: Stage, window: Window) -> tuple[float, float]:
    side = -1 if window.x > stage.width / 2 else 1
    return (stage.width / 2 + side * min(0.50 * stage.unit, 0.36 * stage.width), 0.47 * stage.height)


def _wall(stage: Stage, window: Window) -> Layer:
    plate = stage.plate(WALL_DEPTH)
    palette, unit = stage.palette, stage.unit
    rng = stage.chance.stream("wall")
    base = wall_colour(stage)
    columns = (plate.x[None, :] - np.float32(window.x)) / np.float32(0.9 * unit)
    rows = (plate.y - np.float32(window.y)) / np.float32(0.8 * unit)
    far = np.sqrt(columns * columns + rows * rows)
    rgb = ramp(((0.0, mix(base, palette.sun, 0.30)), (0.55, base), (1.6, mix(base, palette.near, 0.55))), far)
    rough = fbm(rng, plate.width, plate.height, (0.07 * unit, 0.07 * unit), 4)
    rgb += (rough[..., None] - np.float32(0.5)) * np.float32(0.030)
    if palette.hour in (Hour.NIGHT, Hour.DUSK, Hour.DAWN):
        x, y = _lamp_place(stage, window)
        spread = np.sqrt(((plate.x[None, :] - np.float32(x)) / unit) ** 2 + ((plate.y - np.float32(y)) / unit) ** 2)
        glow(
            rgb,
            mix(palette.lamp, (1.0, 0.7, 0.4), 0.3),
            np.exp(-spread * np.float32(3.4)).astype(np.float32) * np.float32(0.62),
        )
    _pictures(stage, plate, rgb, window, rng)
    mask = _openings(stage, plate, rgb, window)
    board = np.float32(FLOOR * stage.height - 0.030 * unit)
    over(rgb, mix(base, palette.near, 0.45), smoothstep(0, 2, plate.y - board) + 0 * columns)
    return wide_layer(plate, WALL_DEPTH, np.clip(rgb, 0, 1), mask)


def _pictures(stage: Stage, plate: Plate, rgb: Field, window: Window, rng: Generator) -> None:
    unit, palette = stage.unit, stage.palette
    side = -1 if window.x > stage.width / 2 else 1
    x = (window.left if side < 0 else window.right) + side * 0.16 * unit
    for _ in range(3):
        wide, high = unit * float(rng.uniform(0.09, 0.15)), unit * float(rng.uniform(0.10, 0.19))
        y = 0.30 * stage.height + unit * float(rng.uniform(-0.05, 0.06))
        box = _area(plate, x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
        frame = rgb[box]
        if frame.size:
            # What the picture shows is a ridge under a sky: two tones are enough at this size.
            wall = frame.mean(axis=(0, 1))
            frame[:] = np.asarray(mix(_WOOD, palette.near, 0.55), np.float32)
            inset = max(2, round(unit * 0.008))
            inner = frame[inset:-inset, inset:-inset]
            if inner.size:
                shade = mix(palette.sky[2], (float(wall[0]), float(wall[1]), float(wall[2])), 0.55)
                inner[:] = np.asarray(shade, np.float32)
                cut = int(inner.shape[0] * float(rng.uniform(0.45, 0.7)))
                inner[cut:] = np.asarray(mix(shade, palette.near, 0.45), np.float32)
        x += side * (wide + 0.07 * unit)


def _area(plate: Plate, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice]:
    return (
        slice(max(0, round(top - plate.top)), max(0, round(bottom - plate.top))),
        slice(max(0, round(left - plate.left)), max(0, round(right - plate.left))),
    )


def _openings(stage: Stage, plate: Plate, rgb: Field, window: Window) -> Field:
    """Cut the panes out of the wall, and paint the frame and the sill."""
    unit, palette = stage.unit, stage.palette
    mask = np.ones((plate.height, plate.width), np.float32)
    thick = 0.016 * unit
    white = mix(mix((0.93, 0.91, 0.87), palette.ambient, 0.4), palette.near, 0.20 if not palette.dark else 0.62)
    outer = _area(
        plate,
        window.left - thick * 1.6,
        window.top - thick * 1.6,
        window.right + thick * 1.6,
        window.bottom + thick,
    )
    rgb[outer] = np.asarray(white, np.float32)
    panes = max(2, round((window.right - window.left) / (0.26 * unit)))
    wide = (window.right - window.left - thick * 0.6 * (panes - 1)) / panes
    for pane in range(panes):
        left = window.left + pane * (wide + thick * 0.6)
        split = window.top + (window.bottom - window.top) * 0.32
        for top, bottom in ((window.top, split), (split + thick * 0.5, window.bottom)):
            mask[_area(plate, left, top, left + wide, bottom)] = 0
            edge = _area(plate, left - 2, top - 2, left, bottom)
            rgb[edge] = np.asarray(mix(white, palette.near, 0.25), np.float32)
    sill = _area(
        plate,
        window.left - thick * 3,
        window.bottom + thick * 0.6,
        window.right + thick * 3,
        window.bottom + thick * 2.2,
    )
    rgb[sill] = np.asarray(mix(white, palette.sun, 0.35), np.float32)
    under = _area(
        plate,
        window.left - thick * 3,
        window.bottom + thick * 2.2,
        window.right + thick * 3,
        window.bottom + thick * 4.5,
    )
    rgb[under] *= np.float32(0.80)
    _curtains(stage, plate, rgb, mask, window)
    return mask


def _curtains(stage: Stage, plate: Plate, rgb: Field, mask: Field, window: Window) -> None:
    unit, palette = stage.unit, stage.palette
    cloth = mix(mix(wall_colour(stage), palette.accent, 0.30), palette.sun, 0.16)
    for side in (-1, 1):
        edge = window.left if side < 0 else window.right
        wide = 0.13 * unit
        x0, x1 = (edge - wide * 0.75, edge + wide * 0.35) if side < 0 else (edge - wide * 0.35, edge + wide * 0.75)
        area = _area(plate, x0, window.top - 0.06 * unit, x1, FLOOR * stage.height - 0.05 * unit)
        part = rgb[area]
        if not part.size:
            continue
        across = np.linspace(0, 1, part.shape[1], dtype=np.float32)[None, :]
        down = np.linspace(0, 1, part.shape[0], dtype=np.float32)[:, None]
        folds = 0.5 + 0.5 * np.cos(across * np.float32(2 * math.pi * 4.5) + np.sin(down * 2.5) * np.float32(0.7))
        tone = ramp(((0.0, mix(cloth, palette.near, 0.40)), (0.6, cloth), (1.0, mix(cloth, palette.sun, 0.40))), folds)
        part[:] = tone
        mask[area] = np.float32(1)
    rail = _area(
        plate,
        window.left - 0.13 * unit,
        window.top - 0.066 * unit,
        window.right + 0.13 * unit,
        window.top - 0.056 * unit,
    )
    rgb[rail] = np.asarray(mix(_WOOD, palette.near, 0.5), np.float32)
    mask[rail] = 1


def _floor(stage: Stage, window: Window) -> Layer:
    depth = 0.75
    plate = stage.plate(depth).below(FLOOR * stage.height - 4)
    palette, unit = stage.palette, stage.unit
    top = FLOOR * stage.height
    down = np.maximum(plate.y - np.float32(top), 0) / np.float32(0.36 * unit)
    wood = mix(mix(_WOOD, wall_colour(stage), 0.35), palette.near, 0.25 if not palette.dark else 0.6)
    rgb = np.broadcast_to(
        ramp(((0.0, mix(wood, palette.sun, 0.14)), (1.0, mix(wood, palette.near, 0.5))), down),
        (plate.height, plate.width, 3),
    ).copy()
    away = 1 / (0.35 + down)
    lane = (plate.x[None, :] - np.float32(stage.width / 2)) / np.float32(unit) * away * np.float32(7.0)
    tint = stage.chance.stream("boards").random(64, dtype=np.float32)[np.floor(lane).astype(np.int32) % 64]
    rgb *= (np.float32(0.90) + tint * np.float32(0.16))[..., None]
    seam = np.abs(lane - np.rint(lane)) / np.maximum(away, 0.01)
    over(rgb, palette.near, smoothstep(0.028, 0.0, seam) * np.float32(0.4))
    if not palette.dark:
        _sun_patch(stage, plate, rgb, window, down)
    shade = np.exp(-down * np.float32(9))
    over(rgb, palette.near, shade * np.float32(0.35) + 0 * lane)
    mask = np.clip(plate.y - np.float32(top) + np.float32(0.5), 0, 1) + 0 * lane
    return wide_layer(plate, depth, np.clip(rgb, 0, 1), mask)


def _sun_patch(stage: Stage, plate: Plate, rgb: Field, window: Window, down: Field) -> None:
    """The window's shape, thrown onto the floor, with the bars between the panes."""
    unit = stage.unit
    slant = np.float32(-0.75 if window.x > stage.width / 2 else 0.75)
    across = (plate.x[None, :] - np.float32(window.x)) / np.float32(unit) - down * slant * np.float32(0.42)
    wide = np.float32((window.right - window.left) / unit / 2) * (1 + down * np.float32(0.25))
    inside = smoothstep(0.0, -0.035, np.abs(across) - wide)
    bars = smoothstep(0.012, 0.035, np.abs(np.mod(across / wide * 1.2 + 0.4, 0.8) - 0.4))
    long = smoothstep(0.10, 0.18, down) * smoothstep(0.98, 0.80, down)
    over(rgb, mix(stage.palette.sun, stage.palette.rim, 0.5), inside * bars * long * np.float32(0.62))


def _furniture(stage: Stage, place: Place, window: Window) -> Layer:
    depth = 0.8
    plate = stage.plate(depth)
    palette = stage.palette
    unit = stage.unit
    rgb = np.zeros((plate.height, plate.width, 3), np.float32)
    rgb[:] = palette.near
    whole = np.zeros((plate.height, plate.width), np.float32)
    side = -1 if window.x > stage.width / 2 else 1
    room = min(1.0, stage.width / unit / 1.5)
    for piece in pieces_for(place, stage.chance.stream("furniture")):
        shape = _drawn(stage, plate, piece, side, room)
        colour = mix(mix(piece.colour, wall_colour(stage), 0.25), palette.near, 0.22 if not palette.dark else 0.55)
        if palette.grey:
            colour = grey(colour)
        _lay(stage, plate, rgb, whole, shape, colour, piece.glows, -side)
    shadow = blurred(whole, unit * 0.02)
    down = np.clip(plate.y - np.float32((FLOOR + 0.02) * stage.height), 0, 1)
    contact = np.clip(shadow * down * np.float32(0.5), 0, 1) * (1 - whole)
    over(rgb, scale(palette.near, 0.7), (whole < 0.5).astype(np.float32))
    return wide_layer(plate, depth, rgb, np.clip(np.maximum(whole, contact), 0, 1))


def _drawn(stage: Stage, plate: Plate, piece: Piece, side: int, room: float) -> Field:
    canvas = Image.new("L", (plate.width * 2, plate.height * 2), 0)
    brush = Brush(draw=ImageDraw.Draw(canvas))
    unit = stage.unit

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return (
            stage.width / 2 + side * point[0] * unit * room - plate.left,
            (FLOOR + 0.06) * stage.height - point[1] * unit - plate.top,
        )

    for shape in piece.polygons:
        brush.polygon([place(point) for point in shape])
    for x, y, radius_x, radius_y in piece.discs:
        centre = place((x, y))
        brush.disc(centre[0], centre[1], radius_x * unit, radius_y * unit)
    return np.asarray(canvas.reduce(2), dtype=np.float32) / np.float32(255)


def _lay(
    stage: Stage, plate: Plate, rgb: Field, whole: Field, shape: Field, colour: Rgb, glows: bool, light_side: int
) -> None:
    palette, unit = stage.palette, stage.unit
    if not shape.any():
        return
    evening = palette.hour in (Hour.NIGHT, Hour.DUSK, Hour.DAWN)
    rows = np.flatnonzero(shape.max(axis=1))
    down = np.clip((plate.y - plate.top - rows[0]) / np.float32(max(1, rows[-1] - rows[0])), 0, 1)
    if glows and evening:
        # A screen is blue, a lamp is warm.
        shine = palette.lamp if colour[0] >= colour[2] or palette.grey else mix(colour, (0.75, 0.9, 1.0), 0.6)
        body = ramp(((0.0, mix(shine, (1, 1, 1), 0.35)), (1.0, shine)), down)
    else:
        body = ramp(
            ((0.0, mix(colour, palette.rim, 0.24)), (0.5, colour), (1.0, mix(colour, palette.near, 0.45))),
            down,
        )
    over(rgb, np.broadcast_to(body, rgb.shape), shape)
    soft = blurred(shape, max(0.6, unit * 0.004))
    shift = max(1, round(unit * 0.005))
    rim = np.clip(soft - np.roll(soft, (shift, -light_side * shift), axis=(0, 1)), 0, 1)
    over(rgb, mix(colour, palette.rim, 0.75), rim * shape * np.float32(0.75 if not palette.dark else 0.35))
    dark = np.clip(soft - np.roll(soft, (-shift, light_side * shift), axis=(0, 1)), 0, 1)
    over(rgb, palette.near, dark * shape * np.float32(0.5))
    np.maximum(whole, shape, out=whole)


def _air(stage: Stage, window: Window) -> list[Drawable]:
    """The beam from the window, and dust in it; the lamp's bloom at night."""
    palette, unit = stage.palette, stage.unit
    items: list[Drawable] = []
    if palette.hour in (Hour.NIGHT, Hour.DUSK, Hour.DAWN):
        x, y = _lamp_place(stage, window)
        bloom = Light(x=x, y=y, radius=0.10 * unit, colour=palette.lamp, least=0.93, rate_hz=0.4, power=0.28)
        items.append(Lights(depth=0.8, lights=(bloom,)))
    if not palette.dark:
        items.append(_beam(stage, window))
    rng = stage.chance.stream("dust")
    lights: list[Light] = []
    for _ in range(40):
        lights.append(
            Light(
                x=window.x + float(rng.normal(0, 0.34)) * unit,
                y=float(rng.uniform(0.25, 0.92)) * stage.height,
                radius=unit * float(rng.uniform(0.0009, 0.0024)),
                colour=palette.sun if not palette.dark else palette.lamp,
                least=0.0,
                rate_hz=float(rng.uniform(0.08, 0.25)),
                phase=float(rng.uniform(0, 2 * math.pi)),
                power=0.55,
                wander=unit * 0.02,
            )
        )
    return [*items, Lights(depth=0.9, lights=tuple(lights))]


def _beam(stage: Stage, window: Window) -> Drawable:
    depth = 0.85
    plate = stage.plate(depth)
    unit = stage.unit
    slant = -0.75 if window.x > stage.width / 2 else 0.75
    canvas = Image.new("L", (plate.width // 4, plate.height // 4), 0)
    draw = ImageDraw.Draw(canvas)
    reach = 0.62 * unit
    panes = 3
    wide = (window.right - window.left) / panes
    for pane in range(panes):
        left, right = window.left + pane * wide + wide * 0.06, window.left + (pane + 1) * wide - wide * 0.06
        points = [
            (left, window.top),
            (right, window.top),
            (right, window.bottom),
            (right + slant * reach, window.bottom + reach),
            (left + slant * reach * 0.92, window.bottom + reach),
            (left, window.bottom),
        ]
        draw.polygon([((x - plate.left) / 4, (y - plate.top) / 4) for x, y in points], fill=255)
    small = blurred(np.asarray(canvas, dtype=np.float32) / np.float32(255), unit * 0.005)
    mask = np.asarray(Image.fromarray(small).resize((plate.width, plate.height), Image.Resampling.BICUBIC))
    fall = np.exp(-np.maximum(plate.y - np.float32(window.top), 0) / np.float32(0.55 * unit))
    return wide_layer(plate, depth, stage.palette.sun, np.clip(mask * fall, 0, 1) * np.float32(0.30))

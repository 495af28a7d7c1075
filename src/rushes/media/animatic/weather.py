"""Weather: what falls or blows through the whole frame, and the finish that every frame gets, as layers in front."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from rushes.media.animatic.camera import Framing
from rushes.media.animatic.layers import Drawable, Sheet, Stage, Veil
from rushes.media.animatic.paint import fbm, mix, radial, smoothstep, to_bytes
from rushes.media.animatic.planes import BLACK, Frame
from rushes.media.animatic.vocabulary import Place, Weather

_INDOORS = {Place.ROOM, Place.KITCHEN, Place.OFFICE, Place.UNDERWATER}


def weather(stage: Stage) -> list[Drawable]:
    """Rain, snow, mist and lightning, if the scene is out of doors."""
    scene = stage.scene
    if _INDOORS & set(scene.places) or set(scene.places) == {Place.SPACE}:
        return []
    items: list[Drawable] = []
    if Weather.FOG in scene.weather:
        items.append(_mist(stage))
    if Weather.STORM in scene.weather:
        items.append(_lightning(stage))
    if Weather.SNOW in scene.weather:
        items += _snow(stage)
    elif Weather.RAIN in scene.weather or Weather.STORM in scene.weather:
        items += _rain(stage)
    if Weather.WIND in scene.weather:
        items.append(_leaves(stage))
    return items


def finish(stage: Stage) -> list[Drawable]:
    """Darker corners. (Grain is painted into the layers: moving grain would double the time to encode.)"""
    return [_vignette(stage)]


def _rain(stage: Stage) -> list[Drawable]:
    hard = 1.35 if Weather.STORM in stage.scene.weather else 1.0
    colour = mix(stage.palette.sky[3], (1, 1, 1), 0.45)
    slant = 0.20 * hard * (1 if stage.palette.sun_x > 0.5 else -1)
    sheets: list[Drawable] = []
    for index, (count, long, wide, power, speed) in enumerate(((300, 0.050, 1.0, 62, 1.5), (120, 0.105, 1.6, 84, 2.4))):
        rng = stage.chance.stream(f"rain {index}")
        tile = _streaks(stage, rng, round(count * hard), long, wide, power, slant)
        fall = speed * stage.unit * hard
        sheets.append(Sheet(tile=tile, colour=colour, depth=0.4 + 0.5 * index, speed_x=fall * slant, speed_y=fall))
    return sheets


def _streaks(
    stage: Stage, rng: Generator, count: int, long: float, wide: float, power: int, slant: float
) -> Image.Image:
    width, height = stage.width, stage.height
    tile = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(tile)
    thick = max(1, round(stage.unit * wide / 720))
    count = max(12, round(count * width / stage.unit / 1.78))
    for _ in range(count):
        x, y = float(rng.random()) * width, float(rng.random()) * height
        length = stage.unit * long * float(rng.uniform(0.5, 1.2))
        value = round(power * float(rng.uniform(0.45, 1.25)))
        # Drawn again one period away, so that streaks cross the seams of the tile whole.
        for dx in (0, -width, width):
            for dy in (0, -height):
                draw.line((x + dx, y + dy, x + dx + slant * length, y + dy + length), fill=value, width=thick)
    return tile.filter(ImageFilter.GaussianBlur(max(0.4, 0.5 * stage.unit / 720)))


def _snow(stage: Stage) -> list[Drawable]:
    colour = mix(stage.palette.sky[3], (1, 1, 1), 0.75 if not stage.palette.dark else 0.5)
    sheets: list[Drawable] = []
    for index, (count, size, power, speed) in enumerate(
        ((520, 0.0022, 150, 0.075), (210, 0.0040, 190, 0.13), (64, 0.0085, 120, 0.21))
    ):
        rng = stage.chance.stream(f"snow {index}")
        tile = _flakes(stage, rng, count, size, power)
        sheets.append(
            Sheet(
                tile=tile,
                colour=colour,
                depth=0.35 + 0.4 * index,
                speed_x=stage.unit * 0.02 * (index - 0.6),
                speed_y=stage.unit * speed,
                sway=stage.unit * (0.008 + 0.012 * index),
                sway_period_s=3.7 + index,
                tint=index > 0,
            )
        )
    return sheets


def _flakes(stage: Stage, rng: Generator, count: int, size: float, power: int) -> Image.Image:
    width, height = stage.width, stage.height
    tile = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(tile)
    count = max(10, round(count * width / stage.unit / 1.78))
    for _ in range(count):
        x, y = float(rng.random()) * width, float(rng.random()) * height
        radius = max(0.6, stage.unit * size * float(rng.uniform(0.55, 1.3)))
        value = round(power * float(rng.uniform(0.5, 1.2)))
        for dx in (0, -width, width):
            for dy in (0, -height, height):
                draw.ellipse((x + dx - radius, y + dy - radius, x + dx + radius, y + dy + radius), fill=min(255, value))
    return tile.filter(ImageFilter.GaussianBlur(max(0.5, stage.unit * size * 0.42)))


def _mist(stage: Stage) -> Drawable:
    """A bank of fog that drifts across the lower half."""
    width, height = stage.width, stage.height
    rng = stage.chance.stream("mist")
    wide = fbm(rng, width * 2, height, (0.55 * stage.unit, 0.14 * stage.unit), 4)
    # Two halves cross-faded make the ends meet.
    across = smoothstep(0, 1, np.linspace(0, 1, width, dtype=np.float32))[None, :]
    field = wide[:, :width] * across + wide[:, width:] * (1 - across)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    band = np.exp(-(((rows - np.float32(0.68)) / np.float32(0.20)) ** 2))
    tile = Image.fromarray(to_bytes(smoothstep(0.28, 0.95, field) * band * np.float32(0.62)))
    return Sheet(
        tile=tile,
        colour=mix(stage.palette.haze, stage.palette.sky[3], 0.45),
        depth=0.0,
        speed_x=0.016 * stage.unit,
        speed_y=0.0,
        tint=True,
    )


def _leaves(stage: Stage) -> Drawable:
    """Leaves and seeds on the wind."""
    width, height = stage.width, stage.height
    rng = stage.chance.stream("blown leaves")
    tile = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(tile)
    for _ in range(26):
        x, y = float(rng.random()) * width, float(rng.uniform(0.1, 0.95)) * height
        size, tilt = stage.unit * float(rng.uniform(0.004, 0.010)), float(rng.uniform(0, math.pi))
        points = [
            (x + math.cos(tilt + a) * size * r, y + math.sin(tilt + a) * size * r)
            for a, r in ((0, 1), (1.2, 0.35), (math.pi, 1), (-1.2, 0.35))
        ]
        draw.polygon(points, fill=210)
    soft = tile.filter(ImageFilter.GaussianBlur(max(0.5, stage.unit / 900)))
    return Sheet(
        tile=soft,
        colour=mix(stage.palette.accent, stage.palette.near, 0.45),
        depth=0.9,
        speed_x=0.42 * stage.unit,
        speed_y=0.05 * stage.unit,
        sway=0.02 * stage.unit,
        sway_period_s=2.3,
        tint=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lightning:
    """Sheet lightning: the whole frame brightens, twice in a third of a second, and fades."""

    strikes: tuple[float, ...]  # seconds

    def covers_from(self, width: int, height: int, framing: Framing, t: float) -> int:
        return height

    def draw(self, frame: Frame, framing: Framing, t: float, floor: int) -> None:
        level = max((_flash(t - strike) for strike in self.strikes), default=0.0)
        if level < 0.02:
            return
        gain = 1 + 0.75 * level
        frame.y.paste(
            frame.y.point([min(235, round(BLACK + (value - BLACK) * gain + 26 * level)) for value in range(256)])
        )


def _flash(since: float) -> float:
    """Brightness of a flash `since` seconds after it began: a stroke, a weaker second one."""
    if since < 0 or since > 0.7:
        return 0.0
    first = math.exp(-since * 13)
    second = 0.7 * math.exp(-(since - 0.16) * 9) if since > 0.16 else 0.0
    return max(first, second)


def _lightning(stage: Stage) -> Drawable:
    rng = stage.chance.stream("lightning")
    strikes: list[float] = []
    at = float(rng.uniform(0.3, 1.4))
    while at < stage.seconds:
        strikes.append(at)
        at += float(rng.uniform(2.6, 5.5))
    return Lightning(strikes=tuple(strikes))


def _vignette(stage: Stage) -> Drawable:
    width, height = stage.width, stage.height
    # An ellipse as wide as the frame, so that all four corners darken alike whatever the format.
    rows = radial(1, height, 0, height / 2, height / 2)
    columns = radial(width, 1, width / 2, 0, width / 2)
    far = np.sqrt(rows * rows + columns * columns)
    mask = smoothstep(0.72, 1.50, far) * np.float32(0.40)
    return Veil(colour=(BLACK, 128, 128), mask=Image.fromarray(to_bytes(mask)))

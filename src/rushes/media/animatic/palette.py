"""Palette: the colours and the light of one board, decided once and used by every painter. Pure.

Five hours of the day, each mixed by eye as a matte painter's key: a sky of four colours, the sun, the haze that
distance fades into, the dark that is nearest, and the rim that light leaves on edges. Weather and tone words,
colour words and a small turn of hue by seed then bend that key.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rushes.media.animatic.paint import Field, Rgb, from_hex, from_oklab, mix, to_oklab
from rushes.media.animatic.vocabulary import COLOURS, Extra, Hour, Place, Tone, Weather
from rushes.media.animatic.words import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Display RGB colours. `sun_x`, `sun_y` are shares of the frame; the lamp is what windows glow with."""

    hour: Hour
    sky: tuple[Rgb, Rgb, Rgb, Rgb]  # zenith, upper, lower, horizon
    sun: Rgb
    haze: Rgb
    near: Rgb
    rim: Rgb
    lamp: Rgb
    accent: Rgb
    ambient: Rgb  # what daylight makes of a white surface
    mist: float  # 0 clear air .. 1 the far layers are gone
    sun_x: float
    sun_y: float
    sun_shows: bool
    cloudiness: float
    grey: bool = False

    @property
    def dark(self) -> bool:
        return self.hour is Hour.NIGHT

    def fade(self, material: Rgb, depth: float) -> Rgb:
        """A surface of this material at this depth: lit by the hour, faded into the haze by distance."""
        lit = tuple(m * a for m, a in zip(material, self.ambient, strict=True))
        open_light = 0.6 if self.hour is Hour.NOON else 1.0
        shade = mix((lit[0], lit[1], lit[2]), self.near, (0.20 + 0.34 * depth) * open_light)
        distance = max(0.0, 1.0 - depth)
        thick = 0.76 + 0.24 * self.mist - (0.12 if self.hour is Hour.NOON else 0.0)
        return mix(shade, self.haze, min(0.97, distance ** (1.30 - 0.80 * self.mist) * thick))

    def shadow(self, depth: float) -> Rgb:
        """A silhouette at this depth."""
        distance = max(0.0, 1.0 - depth)
        return mix(self.near, self.haze, min(0.97, distance ** (1.15 - 0.65 * self.mist)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    sky: tuple[str, str, str, str]
    sun: str
    haze: str
    near: str
    rim: str
    lamp: str
    accent: str
    ambient: str
    sun_height: tuple[float, float]  # lowest and highest place in the frame, from the top
    clouds: float


_KEYS: dict[Hour, _Key] = {
    Hour.DAWN: _Key(
        sky=("#3c5688", "#7f8fbd", "#eab9b4", "#ffe2c0"),
        sun="#fff0d2",
        haze="#e6c4bd",
        near="#23294a",
        rim="#ffd7b0",
        lamp="#ffcf8a",
        accent="#f08a6c",
        ambient="#f0d8d4",
        sun_height=(0.46, 0.54),
        clouds=0.42,
    ),
    Hour.NOON: _Key(
        sky=("#1f6fc0", "#4f9fdc", "#9bd0ee", "#dceff2"),
        sun="#fffdf2",
        haze="#b9d9e4",
        near="#17424c",
        rim="#fffbe0",
        lamp="#fff0c4",
        accent="#f2b33d",
        ambient="#ffffff",
        sun_height=(0.08, 0.16),
        clouds=0.45,
    ),
    Hour.GOLDEN: _Key(
        sky=("#4d7fa8", "#9bb0b0", "#f2c680", "#ffe0a0"),
        sun="#fff2c8",
        haze="#eec389",
        near="#33241f",
        rim="#ffd08a",
        lamp="#ffc978",
        accent="#d9652b",
        ambient="#ffe2b4",
        sun_height=(0.36, 0.47),
        clouds=0.40,
    ),
    Hour.DUSK: _Key(
        sky=("#232457", "#613b7c", "#d9606a", "#ffb36b"),
        sun="#ffdba6",
        haze="#b8607f",
        near="#191432",
        rim="#ff9f68",
        lamp="#ffc06a",
        accent="#ff7a4d",
        ambient="#d8a0a4",
        sun_height=(0.47, 0.55),
        clouds=0.46,
    ),
    Hour.NIGHT: _Key(
        sky=("#050a1c", "#0c1b3d", "#1b3764", "#3a6292"),
        sun="#eef3ff",
        haze="#274874",
        near="#040813",
        rim="#9fc6ff",
        lamp="#ffc872",
        accent="#5ad1ff",
        ambient="#5a7099",
        sun_height=(0.14, 0.30),
        clouds=0.36,
    ),
}
_NEON = _Key(
    sky=("#080620", "#1c0f47", "#54207c", "#d8419a"),
    sun="#ffe0f4",
    haze="#6f2f92",
    near="#070518",
    rim="#ff6ac4",
    lamp="#ffd08a",
    accent="#2ee6e6",
    ambient="#7a6aa8",
    sun_height=(0.16, 0.28),
    clouds=0.34,
)
_INTERIOR_HOURS = (Hour.GOLDEN, Hour.DAWN, Hour.GOLDEN)
_OUTDOOR_HOURS = (Hour.GOLDEN, Hour.DUSK, Hour.DAWN, Hour.GOLDEN, Hour.NOON)


def choose_palette(scene: Scene, rng: np.random.Generator) -> Palette:
    """The palette of a scene; what its words leave open, `rng` decides."""
    hour = scene.hour or _likely_hour(scene, rng)
    key = _NEON if Tone.NEON in scene.tones and hour in (Hour.NIGHT, Hour.DUSK) else _KEYS[hour]
    low, high = key.sun_height
    storm = Weather.STORM in scene.weather
    overcast = storm or bool({Weather.RAIN, Weather.SNOW, Weather.FOG} & scene.weather)
    side = 1 if rng.random() < 0.5 else -1
    palette = Palette(
        hour=hour,
        sky=(from_hex(key.sky[0]), from_hex(key.sky[1]), from_hex(key.sky[2]), from_hex(key.sky[3])),
        sun=from_hex(key.sun),
        haze=from_hex(key.haze),
        near=from_hex(key.near),
        rim=from_hex(key.rim),
        lamp=from_hex(key.lamp),
        accent=from_hex(key.accent),
        ambient=from_hex(key.ambient),
        mist=0.85 if Weather.FOG in scene.weather else (0.45 if overcast else 0.12 + 0.2 * float(rng.random())),
        sun_x=0.5 + side * (0.08 + 0.22 * float(rng.random())),
        sun_y=low + (high - low) * float(rng.random()),
        sun_shows=not (storm or Weather.RAIN in scene.weather or Weather.SNOW in scene.weather),
        cloudiness=_cloudiness(scene, key.clouds, rng),
    )
    for bend in _bends(scene, hour, float(rng.normal(0, 1))):
        palette = _recoloured(palette, bend)
    if scene.colours:
        palette = replace(palette, accent=mix(from_hex(COLOURS[scene.colours[0]]), palette.accent, 0.2))
    return replace(palette, grey=True, accent=palette.rim) if Tone.NOIR in scene.tones else palette


def _likely_hour(scene: Scene, rng: np.random.Generator) -> Hour:
    if (
        Tone.NEON in scene.tones
        or Place.SPACE in scene.places
        or scene.extras & {Extra.MOON, Extra.STARS, Extra.AURORA}
    ):
        return Hour.NIGHT
    if Extra.FIREFLIES in scene.extras:
        return Hour.DUSK
    if Weather.STORM in scene.weather:
        return Hour.DUSK if rng.random() < 0.5 else Hour.NOON
    if Weather.CLEAR in scene.weather:
        return Hour.NOON
    indoors = {Place.ROOM, Place.KITCHEN, Place.OFFICE} & set(scene.places)
    choices = _INTERIOR_HOURS if indoors else _OUTDOOR_HOURS
    return choices[int(rng.integers(len(choices)))]


def _cloudiness(scene: Scene, usual: float, rng: np.random.Generator) -> float:
    if Weather.CLEAR in scene.weather:
        return 0.12
    if Weather.STORM in scene.weather:
        return 0.85
    # Who names the stars wants to see them, whatever falls from the sky.
    if scene.extras & {Extra.STARS, Extra.AURORA}:
        return 0.16
    if scene.weather & {Weather.CLOUDS, Weather.RAIN, Weather.SNOW}:
        return 0.66
    return usual + 0.16 * (float(rng.random()) - 0.5)


Bend = Callable[[Field], Field]  # OKLab (n, 3) -> OKLab (n, 3)


def _bends(scene: Scene, hour: Hour, turn: float) -> list[Bend]:
    """What the words do to all colours, in order."""
    bends: list[Bend] = [_turned(math.radians(5.0) * max(-1.6, min(1.6, turn)))]
    if Weather.STORM in scene.weather:
        bends.append(_towards((-0.012, -0.022), amount=0.66, lightness=0.80 if hour is not Hour.NIGHT else 1.12))
    elif scene.weather & {Weather.RAIN, Weather.SNOW} and Tone.NEON not in scene.tones:
        bends.append(_towards((-0.008, -0.016), amount=0.42, lightness=0.95))
    if Weather.FOG in scene.weather:
        bends.append(_towards((-0.004, -0.006), amount=0.30, lightness=1.0))
    named = [from_hex(COLOURS[name]) for name in scene.colours]
    for colour in named[:2]:
        lab = to_oklab(colour)
        bends.append(_towards((float(lab[1]), float(lab[2])), amount=0.34 / min(2, len(named)), lightness=1.0))
    if Tone.WARM in scene.tones:
        bends.append(_shifted(0.018, 0.030))
    if Tone.COLD in scene.tones:
        bends.append(_shifted(-0.016, -0.034))
    if Tone.PASTEL in scene.tones:
        bends.append(_pastel)
    if Tone.NOIR in scene.tones:
        bends.append(_noir)
    return bends


def _turned(angle: float) -> Bend:
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def bend(lab: Field) -> Field:
        return np.concatenate([lab[:, :1], lab[:, 1:] @ turn.T], axis=1)

    return bend


def _towards(hue: tuple[float, float], *, amount: float, lightness: float) -> Bend:
    def bend(lab: Field) -> Field:
        out = lab.copy()
        out[:, 0] *= lightness
        # Very dark and very light colours cannot hold as much of a hue.
        room = np.clip(1.25 - np.abs(out[:, 0] - 0.55) * 1.3, 0.3, 1)[:, None]
        out[:, 1:] = out[:, 1:] * (1 - amount) + np.array(hue) * amount * room
        return out

    return bend


def _shifted(a: float, b: float) -> Bend:
    def bend(lab: Field) -> Field:
        return lab + np.array([0, a, b])

    return bend


def _pastel(lab: Field) -> Field:
    out = lab * np.array([0.52, 0.62, 0.62])
    out[:, 0] += 0.44
    return out


def _noir(lab: Field) -> Field:
    out = lab * np.array([1, 0, 0])
    # More contrast about the middle, and no lift of the blacks.
    out[:, 0] = np.clip((out[:, 0] - 0.52) * 1.30 + 0.42, 0.03, 1)
    return out


def _recoloured(palette: Palette, bend: Bend) -> Palette:
    colours = [
        *palette.sky,
        palette.sun,
        palette.haze,
        palette.near,
        palette.rim,
        palette.lamp,
        palette.accent,
    ]
    bent = from_oklab(bend(to_oklab([*colours, palette.ambient])))
    rgb: list[Rgb] = [(float(c[0]), float(c[1]), float(c[2])) for c in bent]
    return replace(
        palette,
        sky=(rgb[0], rgb[1], rgb[2], rgb[3]),
        sun=rgb[4],
        haze=rgb[5],
        near=rgb[6],
        rim=rgb[7],
        lamp=rgb[8],
        accent=rgb[9],
        ambient=rgb[10],
    )

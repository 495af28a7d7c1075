"""Sound: a soft bed that follows the scene. Noise shaped into wind, surf, rain and rooms, small creatures, engines,
and under all of it a quiet chord whose mood is the hour's.

Everything is additive and made from the board's own streams of chance, in blocks of float32 (2, samples).
Loudness is measured as ITU-R BS.1770-4 weights it (its two filters at 48 kHz), without gating.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rushes.media.animatic.chance import Chance
from rushes.media.animatic.encode import SAMPLE_RATE
from rushes.media.animatic.paint import Field
from rushes.media.animatic.vocabulary import Hour, Kind, Place, Tone, Weather
from rushes.media.animatic.words import Scene

LOUDNESS_LUFS = -20.5
_LOOP, _SEAM = 18 * SAMPLE_RATE, SAMPLE_RATE  # longer noise than this repeats: a minute of it would fill memory
_BLOCK = 10 * SAMPLE_RATE
_WET = {Place.SEA, Place.BEACH}
_GREEN = {Place.FOREST, Place.FIELD, Place.HILLS, Place.JUNGLE, Place.LAKE}
_INSIDE = {Place.ROOM, Place.KITCHEN, Place.OFFICE}
_MOTORS = (Kind.CAR, Kind.TRAIN, Kind.PLANE, Kind.SHIP, Kind.ROCKET)
# Chords as semitones from the root, two for each mood, and the root in hertz.
_CHORDS: dict[str, tuple[float, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "dawn": (146.83, ((0, 7, 14, 16), (5, 9, 12, 19))),
    "noon": (196.00, ((0, 4, 7, 14), (5, 9, 12, 16))),
    "golden": (174.61, ((0, 7, 11, 16), (-3, 4, 12, 16))),
    "dusk": (155.56, ((0, 7, 11, 14), (-4, 3, 8, 15))),
    "night": (130.81, ((0, 7, 10, 15), (-4, 3, 8, 14))),
    "dark": (110.00, ((0, 3, 7, 14), (-2, 5, 8, 12))),
    "space": (98.00, ((0, 7, 14, 19), (-2, 5, 12, 21))),
}


def sound_bed(scene: Scene, hour: Hour, *, seconds: int, chance: Chance) -> Field:
    """The whole sound of a board, faded at both ends and never above 0.9 of full scale."""
    count = seconds * SAMPLE_RATE
    bed = np.zeros((2, count), np.float32)
    for name, level, part in _parts(scene, hour):
        _add(bed, part(chance.stream(f"sound {name}"), count), level)
    _add(bed, _pad(_mood(scene, hour), chance.stream("sound pad"), count), 0.55)
    _fade(bed, seconds)
    bed *= np.float32(10 ** ((LOUDNESS_LUFS - loudness(bed)) / 20))
    return limited(bed)


Maker = Callable[[Generator, int], Field]


def _parts(scene: Scene, hour: Hour) -> list[tuple[str, float, Maker]]:
    """What is heard: (name, level, maker). Levels are relative; the whole is set to one loudness later."""
    places, weather = set(scene.places), scene.weather
    parts: list[tuple[str, float, Maker]] = []
    inside = bool(places & _INSIDE)
    wet = bool(places & _WET) or scene.shows(Kind.BOAT) or scene.shows(Kind.SHIP)
    if inside:
        parts.append(("room", 0.5, _room))
    elif Place.UNDERWATER in places or scene.shows(Kind.FISH):
        parts += [("deep", 1.0, _deep), ("bubbles", 0.35, _bubbles)]
    elif Place.SPACE in places:
        parts.append(("drone", 0.9, _drone))
    else:
        parts.append(("wind", 1.1 if weather & {Weather.WIND, Weather.STORM, Weather.SNOW} else 0.45, _wind))
    if wet:
        parts.append(("surf", 1.2, _surf))
    if Place.LAKE in places:
        parts.append(("lapping", 0.35, _surf))
    if weather & {Weather.RAIN, Weather.STORM}:
        parts.append(("rain", 0.5 if inside else 1.1, _rain))
    if Weather.STORM in weather:
        parts.append(("thunder", 1.2, _thunder))
    if places & {Place.CITY, Place.STREET}:
        parts.append(("city", 0.9, _city))
    if places & _GREEN and not weather & {Weather.STORM, Weather.RAIN, Weather.SNOW}:
        dark = hour in (Hour.NIGHT, Hour.DUSK)
        parts.append(("crickets", 0.16, _crickets) if dark else ("birds", 0.20, _birds))
    if any(scene.shows(kind) for kind in _MOTORS):
        parts.append(("engine", 0.55, _engine))
    return parts


def _mood(scene: Scene, hour: Hour) -> str:
    if Place.SPACE in scene.places:
        return "space"
    if Tone.NOIR in scene.tones or Weather.STORM in scene.weather:
        return "dark"
    return hour.value


def _add(bed: Field, part: Field, level: float) -> None:
    power = float(np.sqrt(np.mean(np.square(part)))) or 1.0
    bed += part * np.float32(level * 0.1 / power)


def _shaped(rng: Generator, count: int, shape: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Field:
    """Stereo noise with this spectrum; the sides share half of it, so that it is wide but not hollow."""
    if count > _LOOP + _SEAM:
        return _looped(_shaped(rng, _LOOP + _SEAM, shape), count)
    frequency = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), 1.0)
    curve = shape(frequency).astype(np.float32)
    curve[0] = 0
    voices: list[Field] = []
    for _ in range(2):
        spectrum = np.fft.rfft(rng.standard_normal(count, dtype=np.float32))
        voices.append(np.fft.irfft(spectrum * curve, count).astype(np.float32))
    first, second = voices
    return np.stack([first + np.float32(0.35) * second, second + np.float32(0.35) * first])


def _looped(piece: Field, count: int) -> Field:
    """A long film repeats its noise: the end of the piece fades into its beginning, at equal power."""
    rise = np.sqrt(np.linspace(0, 1, _SEAM, dtype=np.float32))
    loop = piece[:, :_LOOP].copy()
    loop[:, :_SEAM] = loop[:, :_SEAM] * rise + piece[:, _LOOP:] * rise[::-1]
    return np.tile(loop, (1, math.ceil(count / _LOOP)))[:, :count]


def _band(low: float, high: float, slope: float = 0.5) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """A band between two frequencies, falling by f**-slope inside and softly outside."""

    def shape(f: NDArray[np.float64]) -> NDArray[np.float64]:
        return f**-slope / (1 + (low / f) ** 4) / (1 + (f / high) ** 3)

    return shape


def _slow(rng: Generator, count: int, period_s: float, least: float = 0.0) -> Field:
    """A slowly wandering level between `least` and 1."""
    knots = max(4, math.ceil(count / SAMPLE_RATE / period_s) + 3)
    values = rng.random(knots)
    at = np.arange(0, count, 64) / SAMPLE_RATE / period_s
    low = np.minimum(at.astype(int), knots - 2)
    t = at - low
    t = t * t * (3 - 2 * t)
    line = values[low] * (1 - t) + values[low + 1] * t
    return np.repeat((least + (1 - least) * line).astype(np.float32), 64)[:count]


def _wind(rng: Generator, count: int) -> Field:
    low = _shaped(rng, count, _band(70, 420, 0.8)) * _slow(rng, count, 2.8, 0.25)
    high = _shaped(rng, count, _band(500, 1600, 0.6)) * _slow(rng, count, 2.1, 0.0) ** 2
    return low / (low.std() + 1e-9) + np.float32(0.35) * high / (high.std() + 1e-9)


def _surf(rng: Generator, count: int) -> Field:
    t = np.arange(count, dtype=np.float32) / SAMPLE_RATE
    phase = float(rng.random())
    roll = (t / np.float32(6.4) + np.float32(phase)) % 1
    swell = np.where(roll < 0.32, roll / 0.32, np.exp(-(roll - 0.32) * 3.6)).astype(np.float32)
    wash = _shaped(rng, count, _band(180, 3800, 0.55)) * (np.float32(0.14) + swell**1.4)
    deep = _shaped(rng, count, _band(40, 160, 0.8)) * (np.float32(0.4) + np.float32(0.6) * swell)
    return wash / (wash.std() + 1e-9) + np.float32(0.5) * deep / (deep.std() + 1e-9)


def _rain(rng: Generator, count: int) -> Field:
    hiss = _shaped(rng, count, _band(900, 9000, 0.35)) * _slow(rng, count, 3.5, 0.6)
    drops = np.zeros((2, count), np.float32)
    decay = np.exp(-np.arange(900, dtype=np.float32) / 130)
    for _ in range(int(count / SAMPLE_RATE * 70)):
        at, side = int(rng.integers(0, max(1, count - 900))), float(rng.random())
        ring = decay * np.sin(np.arange(900, dtype=np.float32) * np.float32(rng.uniform(0.09, 0.42)))
        ring *= np.float32(rng.random() ** 3)
        part = drops[:, at : at + 900]
        part += np.array([[side], [1 - side]], np.float32) * ring[: part.shape[1]]
    return hiss / (hiss.std() + 1e-9) + np.float32(0.4) * drops / (drops.std() + 1e-9)


def _thunder(rng: Generator, count: int) -> Field:
    rumble = _shaped(rng, count, _band(28, 130, 0.7))
    level = np.full(count, 0.06, np.float32)
    t = np.arange(count, dtype=np.float32) / SAMPLE_RATE
    at = float(rng.uniform(0.4, 1.6))
    while at < count / SAMPLE_RATE:
        since = t - np.float32(at)
        level += np.where(
            since > 0, np.exp(-np.maximum(since, 0) / 1.5) * np.minimum(1, np.maximum(since, 0) * 6), 0
        ).astype(np.float32)
        at += float(rng.uniform(3.0, 6.0))
    return rumble * level


def _city(rng: Generator, count: int) -> Field:
    hum = _shaped(rng, count, _band(45, 260, 0.9)) * _slow(rng, count, 4.0, 0.7)
    passing = _shaped(rng, count, _band(250, 1100, 0.7)) * _slow(rng, count, 1.9, 0.0) ** 3
    return hum / (hum.std() + 1e-9) + np.float32(0.30) * passing / (passing.std() + 1e-9)


def _room(rng: Generator, count: int) -> Field:
    tone = _shaped(rng, count, _band(50, 330, 1.0))
    tone /= tone.std() + 1e-9
    # A clock somewhere: it gives the silence a scale.
    tick = np.exp(-np.arange(700, dtype=np.float32) / 60) * np.sin(np.arange(700, dtype=np.float32) * np.float32(0.30))
    for second in range(0, count, SAMPLE_RATE):
        part = tone[:, second + 9000 : second + 9700]
        part += np.float32(1.2) * tick[: part.shape[1]]
    return tone


def _deep(rng: Generator, count: int) -> Field:
    return _shaped(rng, count, _band(35, 190, 0.9)) * _slow(rng, count, 3.0, 0.5)


def _bubbles(rng: Generator, count: int) -> Field:
    out = np.zeros((2, count), np.float32)
    length = 3000
    t = np.arange(length, dtype=np.float32) / SAMPLE_RATE
    for _ in range(int(count / SAMPLE_RATE * 5)):
        at, side, pitch = (
            int(rng.integers(0, max(1, count - length))),
            float(rng.random()),
            float(rng.uniform(380, 1100)),
        )
        ring = np.sin(2 * np.pi * (pitch * t + 5200 * t * t)) * np.exp(-t * 70) * np.float32(rng.random())
        part = out[:, at : at + length]
        part += np.array([[side], [1 - side]], np.float32) * ring[: part.shape[1]].astype(np.float32)
    return out


def _drone(rng: Generator, count: int) -> Field:
    return _shaped(rng, count, _band(30, 90, 1.0)) * _slow(rng, count, 4.0, 0.5)


def _crickets(rng: Generator, count: int) -> Field:
    t = np.arange(count, dtype=np.float32) / SAMPLE_RATE
    out = np.zeros((2, count), np.float32)
    for _ in range(4):
        pitch, rate, side = float(rng.uniform(3900, 5000)), float(rng.uniform(1.6, 2.6)), float(rng.random())
        chirp = (np.sin(2 * np.pi * rate * t + float(rng.uniform(0, 6.28))) > 0.25).astype(np.float32)
        pulse = np.maximum(0, np.sin(2 * np.pi * rate * 14 * t)).astype(np.float32) ** 2
        voice = (
            np.sin((2 * np.pi * pitch * (np.arange(count) / SAMPLE_RATE)) % (2 * np.pi)).astype(np.float32)
            * chirp
            * pulse
        )
        out += np.array([[side], [1 - side]], np.float32) * voice
    return out


def _birds(rng: Generator, count: int) -> Field:
    out = np.zeros((2, count), np.float32)
    for _ in range(max(2, int(count / SAMPLE_RATE * 1.1))):
        at, side = int(rng.integers(0, max(1, count - 30_000))), float(rng.random())
        pitch, notes = float(rng.uniform(2300, 4300)), int(rng.integers(2, 6))
        for note in range(notes):
            length = int(rng.integers(2400, 5600))
            t = np.arange(length, dtype=np.float32) / SAMPLE_RATE
            sweep = pitch * (1 + float(rng.uniform(-0.15, 0.15))) * t + float(rng.uniform(-6000, 9000)) * t * t
            voice = np.sin(2 * np.pi * sweep) * np.sin(np.pi * np.arange(length) / length) ** 2
            start = at + note * 6200
            part = out[:, start : start + length]
            part += np.array([[side], [1 - side]], np.float32) * voice[: part.shape[1]].astype(np.float32)
    return out


def _engine(rng: Generator, count: int) -> Field:
    t = np.arange(count) / SAMPLE_RATE
    base = float(rng.uniform(52, 66))
    turn = 2 * np.pi * base * (t + 0.012 * np.sin(2 * np.pi * 0.21 * t))
    voice = sum((np.sin(turn * k) / k**1.3 for k in (1, 2, 3, 4)), start=np.zeros(count)).astype(np.float32)
    tyre = _shaped(rng, count, _band(200, 900, 0.7))
    return np.stack([voice, voice]) / np.float32(voice.std() + 1e-9) + tyre / (tyre.std() + 1e-9)


def _pad(mood: str, rng: Generator, count: int) -> Field:
    """Two chords in turn, each note a pair of soft voices a little apart in pitch, one to each side."""
    root, chords = _CHORDS[mood]
    out = np.zeros((2, count), np.float32)
    # One cycle of the voice, looked up: sixteen voices of three partials would be a third of the whole render.
    cycle = np.arange(8192) * (2 * np.pi / 8192)
    table = (np.sin(cycle) + 0.22 * np.sin(2 * cycle) + 0.06 * np.sin(3 * cycle)).astype(np.float32)
    for chord, swing in ((chords[0], 0.5), (chords[1], -0.5)):
        for note in chord:
            pitch = root * 2 ** (note / 12)
            breath = (np.float32(0.6) + np.float32(0.4) * _slow(rng, count, 3.0)) / np.float32(1 + note / 14)
            starts = rng.random(2) * 8192
            for at in range(0, count, _BLOCK):
                block = slice(at, min(at + _BLOCK, count))
                t = np.arange(block.start, block.stop, dtype=np.float64) / SAMPLE_RATE
                level = breath[block] * (0.5 + swing * np.cos(2 * np.pi * t / 12.0)).astype(np.float32)
                for side, detune in ((0, -0.0016), (1, 0.0016)):
                    index = (t * (pitch * (1 + detune) * 8192) + starts[side]).astype(np.int64) & 8191
                    out[side, block] += table[index] * level
    return out


def _fade(bed: Field, seconds: int) -> None:
    rise, fall = (round(SAMPLE_RATE * min(length, seconds * 0.25)) for length in (0.7, 1.2))
    bed[:, :rise] *= np.linspace(0, 1, rise, dtype=np.float32) ** 2
    bed[:, -fall:] *= np.linspace(1, 0, fall, dtype=np.float32) ** 2


def limited(bed: Field) -> Field:
    """Peaks above 0.6 are rounded off below 0.9: nothing clips, and nothing quiet is touched."""
    loud = np.abs(bed)
    knee = np.float32(0.6)
    soft = knee + np.float32(0.3) * np.tanh((loud - knee) / np.float32(0.3))
    return np.where(loud > knee, np.copysign(soft, bed), bed).astype(np.float32)


def loudness(bed: Field) -> float:
    """Loudness in LUFS of stereo samples at 48 kHz, ungated."""
    power = 0.0
    for at in range(0, bed.shape[1], _BLOCK):
        block = bed[:, at : at + _BLOCK]
        weight = _k_weight(block.shape[1])
        power += sum(float(np.sum(np.abs(np.fft.rfft(side)) ** 2 * weight)) * 2 / len(side) for side in block)
    return -0.691 + 10 * math.log10(max(power / bed.shape[1], 1e-12))


def _k_weight(count: int) -> Field:
    """Gain in power of BS.1770's two filters at the frequencies of a real FFT of `count` samples."""
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(count, 1 / SAMPLE_RATE) / SAMPLE_RATE)
    shelf_top = 1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2
    shelf = shelf_top / (1 - 1.69065929318241 * z + 0.73248077421585 * z**2)
    high_pass = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    return np.abs(shelf * high_pass) ** 2

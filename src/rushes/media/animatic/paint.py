"""Paint: the few tools that every scenery painter shares.

Colours are float32 RGB in 0..1 (display values, not linear light), masks are float32 in 0..1, both indexed
[row, column]. Gradients are mixed in OKLab, because mixing in RGB turns a sunset grey in the middle.
OKLab's matrices: Björn Ottosson, "A perceptual color space for image processing", 2020.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageFilter

# Float32 in fact. The type is wider because numpy's stubs call float32 mixed with a Python float float64.
Field: TypeAlias = NDArray[np.floating[Any]]
U8: TypeAlias = NDArray[np.uint8]
Rgb: TypeAlias = tuple[float, float, float]

Made = TypeVar("Made")

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def in_parallel(jobs: Sequence[Callable[[], Made]]) -> list[Made]:
    """Run painters side by side, results in order: numpy and Pillow leave the interpreter lock alone for long."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def from_hex(text: str) -> Rgb:
    """`#rrggbb` as RGB in 0..1."""
    return (int(text[1:3], 16) / 255, int(text[3:5], 16) / 255, int(text[5:7], 16) / 255)


def to_oklab(rgb: ArrayLike) -> NDArray[np.float64]:
    """Display RGB, shape (..., 3), to OKLab."""
    value = np.asarray(rgb, dtype=np.float64)
    linear = np.where(value <= 0.04045, value / 12.92, ((np.maximum(value, 0) + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T


def from_oklab(lab: ArrayLike) -> NDArray[np.float64]:
    """OKLab, shape (..., 3), to display RGB, clipped to what a screen can show."""
    linear = (np.asarray(lab, dtype=np.float64) @ np.linalg.inv(_TO_LAB).T) ** 3 @ np.linalg.inv(_TO_LMS).T
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def mix(a: Rgb, b: Rgb, t: float) -> Rgb:
    """From `a` (t=0) to `b` (t=1), through OKLab."""
    lab = to_oklab((a, b))
    red, green, blue = from_oklab(lab[0] * (1 - t) + lab[1] * t)
    return (float(red), float(green), float(blue))


def scale(colour: Rgb, factor: float) -> Rgb:
    """Lighter or darker, clipped."""
    return (min(1.0, colour[0] * factor), min(1.0, colour[1] * factor), min(1.0, colour[2] * factor))


def grey(colour: Rgb) -> Rgb:
    """The same lightness, roughly, without the hue."""
    value = sum(colour) / 3
    return (value, value, value)


def ramp(stops: Sequence[tuple[float, Rgb]], at: ArrayLike) -> Field:
    """Colour at each position of a gradient; shape of `at` plus (3,). Stops are (position, colour), rising."""
    places = np.array([place for place, _ in stops])
    labs = to_oklab([colour for _, colour in stops])
    table_at = np.linspace(float(places[0]), float(places[-1]), 512)
    table = from_oklab(np.stack([np.interp(table_at, places, labs[:, i]) for i in range(3)], axis=1))
    span = max(places[-1] - places[0], 1e-9)
    index = np.clip((np.asarray(at, dtype=np.float32) - places[0]) / span * 511, 0, 511)
    return table.astype(np.float32)[index.astype(np.int32)]


def smoothstep(low: float, high: float, value: Field) -> Field:
    """0 below `low`, 1 above `high`, soft between; `low` may be the larger one."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def resized(field: Field, width: int, height: int) -> Field:
    """A smooth field at another size."""
    if field.shape == (height, width):
        return field
    return np.asarray(Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC))


def noise(rng: np.random.Generator, width: int, height: int, cell: tuple[float, float]) -> Field:
    """Smooth noise in about 0..1 whose lumps are `cell` pixels wide and high."""
    columns, rows = int(np.ceil(width / cell[0])) + 3, int(np.ceil(height / cell[1])) + 3
    grid = rng.random((rows, columns), dtype=np.float32)
    # A box in grid units keeps lumps the same size whatever the rounding of the grid.
    left, top = float(rng.random()), float(rng.random())
    box = (1 + left - 0.5, 1 + top - 0.5, 0.5 + left + width / cell[0], 0.5 + top + height / cell[1])
    image = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(image)


def fbm(
    rng: np.random.Generator,
    width: int,
    height: int,
    cell: tuple[float, float],
    octaves: int = 4,
    gain: float = 0.5,
) -> Field:
    """Noise upon finer noise, stretched to 0..1. Octaves finer than two pixels are left out."""
    total = np.zeros((height, width), np.float32)
    weight, reach = 1.0, 0.0
    for octave in range(octaves):
        size = (cell[0] / 2**octave, cell[1] / 2**octave)
        if min(size) < 2 and octave > 0:
            break
        total += np.float32(weight) * noise(rng, width, height, (max(size[0], 1.0), max(size[1], 1.0)))
        reach += weight
        weight *= gain
    total /= np.float32(reach)
    # The sum of octaves bunches around one half; spreading it makes thresholds mean the same everywhere.
    return np.clip((total - 0.5) * np.float32(1.7) + 0.5, 0, 1)


def profile(
    rng: np.random.Generator,
    width: int,
    cell: float,
    octaves: int = 5,
    gain: float = 0.5,
    ridged: float = 0.0,
) -> Field:
    """A skyline in 0..1 along `width` pixels; `ridged` folds it into sharp peaks."""
    line = np.zeros(width, np.float32)
    weight, reach = 1.0, 0.0
    for octave in range(octaves):
        size = cell / 2**octave
        if size < 2:
            break
        part = noise(rng, width, 1, (size, 1.0))[0]
        folded = 1 - np.abs(2 * part - 1)
        line += np.float32(weight) * (part * np.float32(1 - ridged) + folded * np.float32(ridged))
        reach += weight
        weight *= gain
    line /= np.float32(max(reach, 1e-6))
    low, high = float(line.min()), float(line.max())
    return (line - np.float32(low)) / np.float32(max(high - low, 1e-6))


def blurred(field: Field, radius: float) -> Field:
    """Gaussian blur of a 0..1 mask, through 8 bits: for glows and soft edges, not for gradients."""
    if radius < 0.3:
        return field
    height, width = field.shape
    # A wide blur of a mask has no fine detail: a quarter of the size looks the same at a sixteenth of the work.
    step = 4 if radius > 8 else (2 if radius > 3 else 1)
    if min(width, height) < 64:
        step = 1
    image = Image.fromarray(to_bytes(field))
    if step > 1:
        image = image.reduce(step)
    image = image.filter(ImageFilter.GaussianBlur(radius / step))
    if step > 1:
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float32) / np.float32(255)


def to_bytes(field: Field) -> U8:
    """A 0..1 field as 0..255."""
    return (np.clip(field, 0, 1) * 255 + 0.5).astype(np.uint8)


def over(base: Field, colour: Rgb | Field, mask: Field | float) -> None:
    """Lay a colour over `base` in place, as thick as `mask` says."""
    weight = mask[..., None] if isinstance(mask, np.ndarray) else np.float32(mask)
    change = np.asarray(colour, np.float32) - base
    change *= weight
    base += change


def glow(base: Field, colour: Rgb, mask: Field) -> None:
    """Add light in place by screening, which brightens without burning out."""
    for channel in range(3):
        plane = base[..., channel]
        plane += (1 - plane) * np.clip(mask * np.float32(colour[channel]), 0, 1)


def radial(width: int, height: int, x: float, y: float, radius: float) -> Field:
    """Distance from (x, y) in units of `radius`."""
    rows = (np.arange(height, dtype=np.float32)[:, None] - np.float32(y)) / np.float32(radius)
    columns = (np.arange(width, dtype=np.float32)[None, :] - np.float32(x)) / np.float32(radius)
    return np.sqrt(rows * rows + columns * columns)

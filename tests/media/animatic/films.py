"""What the animatic tests share: making a small film and looking into the file."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from rushes.media.animatic import Board, render_animatic

Samples = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A decoded animatic. `luma` has shape (frames, height, width)."""

    path: Path
    luma: NDArray[np.uint8]
    sound: Samples | None  # (2, samples), -1..1
    pictures: str  # sha256 over all planes of all frames


def board(prompt: str = "mountains at noon, static", **changes: Any) -> Board:
    """A board small enough for a test."""
    facts: dict[str, Any] = {"width": 192, "height": 108, "seconds": 1, "seed": 3, "audio": False}
    return Board(prompt=prompt, **(facts | changes))


def shot(of: Board, folder: Path, name: str = "film.mp4") -> Film:
    """Render a board and decode it again."""
    path = folder / name
    render_animatic(of, path)
    return watched(path)


def watched(path: Path) -> Film:
    """Decode a file."""
    luma: list[NDArray[np.uint8]] = []
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            planes = frame.to_ndarray()
            digest.update(planes.tobytes())
            luma.append(planes[: frame.height].astype(np.uint8))
    return Film(path=path, luma=np.stack(luma), sound=_sound(path), pictures=digest.hexdigest())


def _sound(path: Path) -> Samples | None:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        blocks = [frame.to_ndarray().astype(np.float32) for frame in container.decode(container.streams.audio[0])]
        return np.concatenate(blocks, axis=1)


def shift(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[float, float]:
    """How far the picture moved from `first` to `second`, right and down, by phase correlation."""
    # A window keeps the frame's own edges, which never move, out of it.
    window = np.outer(np.hanning(first.shape[0]), np.hanning(first.shape[1]))
    a, b = (np.fft.fft2((picture - picture.mean()) * window) for picture in (first, second))
    cross = b * np.conj(a)
    peak = np.abs(np.fft.ifft2(cross / (np.abs(cross) + 1e-3 * np.abs(cross).max())))
    row, column = np.unravel_index(int(np.argmax(peak)), peak.shape)
    height, width = first.shape
    right = int(column) - width if column > width // 2 else int(column)
    down = int(row) - height if row > height // 2 else int(row)
    return (float(right), float(down))


def growth(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """By which factor the picture was enlarged about its middle, the best of a few tries."""
    height, width = first.shape
    best, found = -1.0, 1.0
    for factor in np.linspace(0.7, 1.42, 37):
        rows, columns = _scaled(height, float(factor)), _scaled(width, float(factor))
        inner = (slice(height // 4, -height // 4), slice(width // 4, -width // 4))
        match = float(np.corrcoef(first[rows][:, columns][inner].ravel(), second[inner].ravel())[0, 1])
        if match > best:
            best, found = match, float(factor)
    return found


def _scaled(length: int, factor: float) -> NDArray[np.intp]:
    places = (np.arange(length, dtype=np.float64) - length / 2) / factor + length / 2
    return np.clip(places, 0, length - 1).astype(np.intp)


def psnr(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Peak signal to noise, in decibels, of 8-bit pictures."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def atoms(path: Path) -> list[str]:
    """The top-level boxes of an MP4 in file order."""
    data = path.read_bytes()
    names: list[str] = []
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        names.append(data[at + 4 : at + 8].decode("latin-1"))
        at += size if size >= 8 else len(data)
    return names


def rate_of(path: Path) -> Fraction | None:
    with av.open(str(path)) as container:
        return container.streams.video[0].average_rate

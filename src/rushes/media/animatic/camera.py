"""Camera: the moves that a prompt names, as a framing for every moment. Pure.

A pan or a tilt turns the camera, so near and far go almost together; a truck, a dolly, an orbit and a drone
travel, so near things pass faster: that parallax is what makes flat layers look deep. A zoom magnifies all
layers alike. Moves follow each other in the order named, each with its share of the time.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Move(StrEnum):
    """One thing that a camera does."""

    PAN_LEFT = "pan left"
    PAN_RIGHT = "pan right"
    TILT_UP = "tilt up"
    TILT_DOWN = "tilt down"
    ZOOM_IN = "zoom in"
    ZOOM_OUT = "zoom out"
    PUSH_IN = "push in"
    PULL_OUT = "pull out"
    TRUCK_LEFT = "truck left"
    TRUCK_RIGHT = "truck right"
    CRANE_UP = "crane up"
    CRANE_DOWN = "crane down"
    ORBIT = "orbit"
    AERIAL = "aerial"
    HANDHELD = "handheld"
    STATIC = "static"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """Where the camera is. Lengths are shares of the frame's width (x) and height (y); 1 is no magnification."""

    pan_x: float = 0.0
    pan_y: float = 0.0
    truck_x: float = 0.0
    truck_y: float = 0.0
    orbit_x: float = 0.0
    zoom: float = 1.0
    dolly: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one layer sees of a framing: the middle of the frame, moved by (dx, dy) of it, enlarged by `scale`.

    The optical zoom is not in it: it enlarges all layers alike, so it is done once, on the finished frame.
    """

    dx: float
    dy: float
    scale: float


# How far each move goes when it has all the time it wants. Multiplied parts are logarithms (zoom, dolly).
_REACH: dict[Move, tuple[str, float]] = {
    Move.PAN_LEFT: ("pan_x", -0.34),
    Move.PAN_RIGHT: ("pan_x", 0.34),
    Move.TILT_UP: ("pan_y", -0.30),
    Move.TILT_DOWN: ("pan_y", 0.30),
    Move.ZOOM_IN: ("zoom", math.log(1.32)),
    Move.ZOOM_OUT: ("zoom", -math.log(1.32)),
    Move.TRUCK_LEFT: ("truck_x", -0.30),
    Move.TRUCK_RIGHT: ("truck_x", 0.30),
    Move.CRANE_UP: ("truck_y", -0.32),
    Move.CRANE_DOWN: ("truck_y", 0.32),
    Move.ORBIT: ("orbit_x", 0.30),
}
_PARTS = ("pan_x", "pan_y", "truck_x", "truck_y", "orbit_x", "zoom", "dolly")
_SUBJECT_DEPTH = 0.9  # an orbit keeps this depth in the middle of the frame


def framings(moves: tuple[Move, ...], *, seconds: float, fps: int, side: float = 1.0) -> list[Framing]:
    """The framing of every frame. The middle of the whole path is the composed picture.

    `side` (+1 or -1) is the way to go where the prompt does not say.
    """
    times = [frame / fps for frame in range(round(seconds * fps))]
    path = np.array([_travelled(moves, t, seconds, side) for t in times])
    low, high = path.min(axis=0), path.max(axis=0)
    middle = (low + high) / 2
    middle[5:] = low[5:]  # never wider than the composed picture: there is nothing painted outside it
    shake = _shake if Move.HANDHELD in moves else _no_shake
    return [_framing(here - middle, shake(t)) for here, t in zip(path, times, strict=True)]


def _framing(here: NDArray[np.float64], shake: tuple[float, float]) -> Framing:
    return Framing(
        pan_x=float(here[0]) + shake[0],
        pan_y=float(here[1]) + shake[1],
        truck_x=float(here[2]),
        truck_y=float(here[3]),
        orbit_x=float(here[4]),
        zoom=math.exp(float(here[5])),
        dolly=math.exp(float(here[6])),
    )


def _travelled(moves: tuple[Move, ...], t: float, seconds: float, side: float) -> NDArray[np.float64]:
    parts = np.zeros(len(_PARTS))
    travelling = [move for move in moves if move is not Move.HANDHELD] or [Move.STATIC]
    share = seconds / len(travelling)
    # A one second clip cannot pan as far as a ten second one without making the viewer dizzy.
    reach = min(1.0, 0.45 + share / 7)
    for index, move in enumerate(travelling):
        done = _eased((t - index * share) / share)
        for part, amount in _reaches(move, side):
            parts[_PARTS.index(part)] += amount * reach * done
    return parts


def _reaches(move: Move, side: float) -> tuple[tuple[str, float], ...]:
    if move is Move.STATIC:
        return ()
    if move is Move.DRIFT:
        # Sideways only: it shows the depth of the layers, and is the cheapest of all moves to draw.
        return (("truck_x", 0.09 * side),)
    if move is Move.AERIAL:
        return (("zoom", math.log(1.14)), ("truck_y", -0.18), ("truck_x", 0.12 * side))
    if move in (Move.PUSH_IN, Move.PULL_OUT):
        # Walking on, all grows a little and what is near grows a lot.
        way = 1 if move is Move.PUSH_IN else -1
        return (("zoom", way * math.log(1.16)), ("dolly", way * math.log(1.20)))
    part, amount = _REACH[move]
    return ((part, amount * (side if move is Move.ORBIT else 1.0)),)


def _shake(t: float) -> tuple[float, float]:
    x = math.sin(1.7 * t) * 0.5 + math.sin(3.1 * t + 1) * 0.35 + math.sin(7.3 * t + 2) * 0.12
    y = math.sin(1.3 * t + 4) * 0.5 + math.sin(2.9 * t + 2) * 0.35 + math.sin(8.1 * t) * 0.12
    return (x * 0.008, y * 0.010)


def _no_shake(t: float) -> tuple[float, float]:
    return (0.0, 0.0)


def view(framing: Framing, depth: float) -> View:
    """How a layer sees the framing. Depth 0 is at infinity, 1 the main subject, more is in front of it."""
    turned = 0.4 + 0.6 * depth
    return View(
        dx=framing.pan_x * turned + framing.truck_x * depth + framing.orbit_x * (depth - _SUBJECT_DEPTH),
        dy=framing.pan_y * turned + framing.truck_y * depth,
        # What is far comes no nearer in a few steps; not having to resize it is half of our speed.
        scale=1 + (framing.dolly - 1) * max(0.0, depth - 0.5) / 0.5,
    )


def _eased(progress: float) -> float:
    """0 to 1: starts and stops softly, but never quite rests, as an operator's hand does not."""
    p = min(1.0, max(0.0, progress))
    return 0.3 * p + 0.7 * p * p * (3 - 2 * p)

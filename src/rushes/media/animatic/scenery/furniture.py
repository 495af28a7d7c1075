"""Furniture: the shapes of rooms, as data. Units of the stage, x from the middle (mirrored by the painter), y up
from the floor line."""

from dataclasses import dataclass, field

from numpy.random import Generator

from rushes.media.animatic.paint import Rgb
from rushes.media.animatic.vocabulary import Place

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece in one colour; `glows` are lamps, bright when it is dark outside."""

    colour: Rgb
    polygons: tuple[tuple[Point, ...], ...] = ()
    discs: tuple[tuple[float, float, float, float], ...] = field(default=())  # x, y, radius x, radius y
    glows: bool = False


_WALNUT: Rgb = (0.40, 0.26, 0.18)
_OAK: Rgb = (0.62, 0.45, 0.28)
_BRASS: Rgb = (0.72, 0.55, 0.28)
_PLANT: Rgb = (0.22, 0.40, 0.24)
_CLAY: Rgb = (0.70, 0.40, 0.28)
_STEEL: Rgb = (0.55, 0.58, 0.62)
_SCREEN: Rgb = (0.62, 0.78, 0.92)
_CLOTHS: tuple[Rgb, ...] = ((0.24, 0.40, 0.42), (0.62, 0.34, 0.28), (0.34, 0.36, 0.52), (0.66, 0.52, 0.30))


def pieces_for(place: Place, rng: Generator) -> tuple[Piece, ...]:
    """What stands in a room of this kind, from back to front."""
    cloth = _CLOTHS[int(rng.integers(len(_CLOTHS)))]
    if place is Place.KITCHEN:
        return _kitchen()
    if place is Place.OFFICE:
        return _office(cloth)
    return _living_room(cloth)


def _box(left: float, bottom: float, right: float, top: float) -> tuple[Point, ...]:
    return ((left, bottom), (right, bottom), (right, top), (left, top))


def _shelf(x: float, y: float, wide: float) -> Piece:
    return Piece(colour=_WALNUT, polygons=(_box(x, y, x + wide, y + 0.012),))


def _books(x: float, y: float, wide: float, colour: Rgb) -> Piece:
    heights = (0.075, 0.062, 0.082, 0.07, 0.058, 0.078, 0.066)
    step = wide / len(heights)
    return Piece(
        colour=colour,
        polygons=tuple(_box(x + i * step, y, x + (i + 0.82) * step, y + h) for i, h in enumerate(heights)),
    )


def _leaves(x: float, y: float, tall: float) -> tuple[tuple[Point, ...], ...]:
    fans = (
        (-0.9, 0.35),
        (-0.62, 0.72),
        (-0.28, 0.95),
        (0.08, 1.0),
        (0.40, 0.88),
        (0.72, 0.62),
        (0.95, 0.30),
        (-0.45, 0.45),
        (0.5, 0.42),
    )
    shapes: list[tuple[Point, ...]] = []
    for across, up in fans:
        tip = (x + across * tall * 0.62, y + up * tall)
        middle = (x + across * tall * 0.34, y + up * tall * 0.66)
        bend = 0.10 * tall
        shapes.append(
            (
                (x, y),
                (middle[0] - bend * up, middle[1] + bend * abs(across)),
                tip,
                (middle[0] + bend * up, middle[1] - bend * abs(across) * 0.6),
            )
        )
    return tuple(shapes)


def _plant(x: float, tall: float) -> tuple[Piece, Piece]:
    pot = ((x - 0.052, 0.13), (x + 0.052, 0.13), (x + 0.038, 0.0), (x - 0.038, 0.0))
    return (
        Piece(colour=_PLANT, polygons=_leaves(x, 0.12, tall)),
        Piece(colour=_CLAY, polygons=(pot,)),
    )


def _floor_lamp(x: float) -> tuple[Piece, Piece]:
    shade = ((x - 0.085, 0.36), (x + 0.085, 0.36), (x + 0.055, 0.46), (x - 0.055, 0.46))
    return (
        Piece(
            colour=_BRASS,
            polygons=(_box(x - 0.004, 0.0, x + 0.004, 0.37), _box(x - 0.05, 0.0, x + 0.05, 0.010)),
        ),
        Piece(colour=(0.90, 0.82, 0.66), polygons=(shade,), glows=True),
    )


def _living_room(cloth: Rgb) -> tuple[Piece, ...]:
    dark = (cloth[0] * 0.82, cloth[1] * 0.82, cloth[2] * 0.82)
    cushion = (min(1, cloth[0] * 1.1 + 0.22), min(1, cloth[1] * 1.0 + 0.14), min(1, cloth[2] * 0.9 + 0.05))
    sofa_back = ((-0.42, 0.05), (0.30, 0.05), (0.30, 0.225), (0.285, 0.245), (-0.405, 0.245), (-0.42, 0.225))
    arm_left = ((-0.47, 0.0), (-0.38, 0.0), (-0.38, 0.155), (-0.395, 0.17), (-0.455, 0.17), (-0.47, 0.155))
    arm_right = tuple((-0.12 - x, y) for x, y in arm_left)
    return (
        *_floor_lamp(0.50),
        _shelf(0.40, 0.62, 0.30),
        _books(0.43, 0.632, 0.15, (0.60, 0.36, 0.28)),
        Piece(colour=_CLAY, discs=((0.64, 0.662, 0.026, 0.032),)),
        Piece(colour=dark, polygons=(sofa_back,)),
        Piece(colour=cloth, polygons=(_box(-0.41, 0.03, 0.29, 0.115),)),
        Piece(colour=dark, polygons=(arm_left, arm_right)),
        Piece(colour=cushion, polygons=(((-0.36, 0.11), (-0.22, 0.10), (-0.235, 0.225), (-0.345, 0.23)),)),
        Piece(colour=_WALNUT, polygons=(_box(-0.44, -0.03, -0.425, 0.01), _box(0.305, -0.03, 0.32, 0.01))),
        *_plant(-0.66, 0.36),
    )


def _kitchen() -> tuple[Piece, ...]:
    lamps: list[Piece] = []
    for x in (-0.24, 0.10):
        lamps.append(Piece(colour=_STEEL, polygons=(_box(x - 0.002, 0.60, x + 0.002, 1.2),)))
        lamps.append(
            Piece(
                colour=_BRASS,
                polygons=(((x - 0.07, 0.545), (x + 0.07, 0.545), (x + 0.025, 0.61), (x - 0.025, 0.61)),),
                glows=True,
            )
        )
    pots = (
        (0.40, 0.672, 0.030, 0.040),
        (0.48, 0.665, 0.024, 0.032),
        (0.60, 0.676, 0.028, 0.044),
        (0.68, 0.662, 0.022, 0.030),
    )
    doors = tuple(_box(-0.78 + i * 0.27, 0.02, -0.78 + i * 0.27 + 0.255, 0.235) for i in range(6))
    return (
        _shelf(0.34, 0.62, 0.40),
        Piece(colour=_CLAY, discs=pots),
        *lamps,
        Piece(colour=(0.30, 0.42, 0.40), polygons=(_box(-0.80, -0.02, 0.86, 0.25),)),
        Piece(colour=(0.36, 0.49, 0.46), polygons=doors),
        Piece(
            colour=_BRASS,
            polygons=tuple(_box(-0.67 + i * 0.27, 0.19, -0.63 + i * 0.27, 0.198) for i in range(6)),
        ),
        Piece(colour=_OAK, polygons=(_box(-0.83, 0.25, 0.89, 0.278),)),
        Piece(
            colour=_STEEL,
            polygons=(
                ((0.30, 0.278), (0.42, 0.278), (0.405, 0.36), (0.315, 0.36)),
                ((0.41, 0.33), (0.45, 0.352), (0.45, 0.36), (0.405, 0.35)),
                _box(0.345, 0.372, 0.375, 0.388),
            ),
            discs=((0.36, 0.362, 0.042, 0.012),),
        ),
        Piece(
            colour=(0.86, 0.60, 0.26),
            discs=((-0.42, 0.297, 0.022, 0.02), (-0.38, 0.297, 0.022, 0.02), (-0.40, 0.327, 0.022, 0.02)),
        ),
        Piece(
            colour=(0.88, 0.86, 0.80),
            polygons=(((-0.49, 0.30), (-0.31, 0.30), (-0.34, 0.278), (-0.46, 0.278)),),
        ),
        Piece(colour=_PLANT, polygons=_leaves(-0.66, 0.32, 0.16)),
        Piece(colour=_CLAY, polygons=(((-0.695, 0.335), (-0.625, 0.335), (-0.635, 0.278), (-0.685, 0.278)),)),
    )


def _office(cloth: Rgb) -> tuple[Piece, ...]:
    return (
        _shelf(0.52, 0.60, 0.34),
        _books(0.55, 0.612, 0.18, (0.40, 0.46, 0.58)),
        *_floor_lamp(0.50),
        Piece(colour=_OAK, polygons=(_box(-0.50, 0.235, 0.38, 0.262),)),
        Piece(
            colour=_WALNUT,
            polygons=(
                _box(-0.47, -0.02, -0.45, 0.235),
                _box(0.33, -0.02, 0.35, 0.235),
                _box(0.14, 0.05, 0.33, 0.235),
            ),
        ),
        Piece(colour=_STEEL, polygons=(_box(-0.10, 0.262, -0.06, 0.31), _box(-0.15, 0.262, -0.01, 0.270))),
        Piece(colour=(0.14, 0.15, 0.18), polygons=(_box(-0.27, 0.305, 0.11, 0.525),)),
        Piece(colour=_SCREEN, polygons=(_box(-0.26, 0.318, 0.10, 0.515),), glows=True),
        Piece(colour=(0.86, 0.84, 0.80), polygons=(_box(-0.40, 0.262, -0.36, 0.305),)),
        Piece(
            colour=cloth,
            polygons=(((-0.22, 0.10), (0.04, 0.10), (0.03, 0.36), (0.01, 0.38), (-0.19, 0.38), (-0.21, 0.36)),),
        ),
        Piece(
            colour=_STEEL,
            polygons=(
                _box(-0.10, -0.02, -0.08, 0.10),
                ((-0.20, -0.03), (0.02, -0.03), (-0.08, 0.02), (-0.10, 0.02)),
            ),
        ),
        *_plant(-0.72, 0.34),
    )

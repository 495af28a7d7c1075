"""Vehicles of road, rail and water. All go to the right; the painter may mirror them."""

import math

from rushes.media.animatic.figures.shapes import Figure, Look, Part, Point, ellipse, limb, spline
from rushes.media.animatic.paint import Rgb, mix

GLASS: Rgb = (0.62, 0.74, 0.82)


def wave(phase: float, shift: float = 0.0) -> float:
    """-1 to 1, once round for a phase of 1."""
    return math.sin(2 * math.pi * (phase + shift))


def box(left: float, bottom: float, right: float, top: float) -> tuple[Point, ...]:
    """An upright rectangle."""
    return ((left, bottom), (right, bottom), (right, top), (left, top))


def _wheel(x: float, y: float, radius: float, phase: float, look: Look) -> list[Part]:
    parts = [
        Part(outline=ellipse(x, y, radius, radius), colour=(0.05, 0.05, 0.06)),
        Part(outline=ellipse(x, y, radius * 0.62, radius * 0.62), colour=mix(look.light, (0.6, 0.6, 0.62), 0.4)),
    ]
    for spoke in range(5):
        angle = -2 * math.pi * (phase + spoke / 5)
        tip = (x + math.cos(angle) * radius * 0.58, y + math.sin(angle) * radius * 0.58)
        parts.append(
            Part(
                outline=limb([(x, y), ((x + tip[0]) / 2, (y + tip[1]) / 2), tip], [radius * 0.16] * 3),
                colour=look.dark,
            )
        )
    return parts


def car(lights_on: bool) -> Figure:
    """A coupé, about three times as long as it is high."""

    def pose(phase: float, look: Look) -> list[Part]:
        jolt = 0.006 * wave(phase * 2)
        body = spline(
            [
                (-1.42, 0.30),
                (-1.44, 0.50),
                (-1.36, 0.62),
                (-1.05, 0.68),
                (-0.78, 0.90),
                (-0.48, 1.00),
                (-0.02, 1.00),
                (0.34, 0.88),
                (0.62, 0.69),
                (1.10, 0.61),
                (1.38, 0.50),
                (1.45, 0.36),
                (1.43, 0.24),
                (1.43, 0.24),
                (1.20, 0.19),
                (-1.30, 0.19),
                (-1.40, 0.22),
            ]
        )
        glass_front = spline([(-0.10, 0.93), (0.24, 0.84), (0.44, 0.70), (0.44, 0.70), (-0.10, 0.70), (-0.10, 0.70)])
        glass_back = spline(
            [
                (-0.18, 0.93),
                (-0.46, 0.92),
                (-0.70, 0.82),
                (-0.82, 0.70),
                (-0.82, 0.70),
                (-0.18, 0.70),
                (-0.18, 0.70),
            ]
        )
        glass = mix(mix(GLASS, look.dark, 0.45), look.light, 0.2)
        sill = limb([(-1.0, 0.25), (0.0, 0.24), (0.95, 0.25)], [0.06, 0.07, 0.06])
        shine = limb([(-1.30, 0.56), (-0.4, 0.635), (0.6, 0.61), (1.25, 0.50)], [0.014, 0.026, 0.026, 0.012])
        parts = [
            Part(
                outline=limb([(-1.35, 0.02), (0, 0.012), (1.35, 0.02)], [0.02, 0.05, 0.02]),
                colour=(0.02, 0.02, 0.03),
            ),
            Part(outline=body, colour=look.body),
            Part(outline=sill, colour=look.dark),
            Part(outline=shine, colour=look.light),
            Part(outline=glass_front, colour=glass),
            Part(outline=glass_back, colour=glass),
            Part(outline=box(0.02, 0.565, 0.14, 0.585), colour=look.dark),
            Part(outline=limb([(-0.14, 0.28), (-0.135, 0.5), (-0.14, 0.70)], [0.012] * 3), colour=look.dark),
        ]
        for x in (-0.88, 0.86):
            parts.append(Part(outline=ellipse(x, 0.25, 0.285, 0.285), colour=mix(look.dark, (0, 0, 0), 0.5)))
            parts += _wheel(x, 0.225, 0.235, phase, look)
        tail: Rgb = (0.95, 0.18, 0.14)
        parts.append(
            Part(
                outline=ellipse(-1.405, 0.50, 0.035, 0.055),
                colour=tail if lights_on else mix(tail, look.dark, 0.4),
                glow=lights_on,
            )
        )
        parts.append(
            Part(
                outline=ellipse(1.355, 0.44, 0.065, 0.045, -0.4),
                colour=look.lamp if lights_on else mix(GLASS, look.light, 0.5),
                glow=lights_on,
            )
        )
        return [
            Part(
                outline=tuple((x, y + (jolt if y > 0.05 else 0)) for x, y in part.outline),
                colour=part.colour,
                glow=part.glow,
            )
            for part in parts
        ]

    return Figure(pose=pose, box=(-1.50, -0.03, 1.52, 1.06), cycle_s=0.5, frames=8)


def boat() -> Figure:
    """A sailing boat with the wind abeam."""

    def pose(phase: float, look: Look) -> list[Part]:
        lean = 0.055 * wave(phase)
        belly = 0.05 + 0.015 * wave(phase, 0.3)
        sail = mix(mix((0.95, 0.93, 0.88), look.light, 0.30), look.dark, 0.10)
        main = spline(
            [
                (-0.03, 0.99),
                (-0.03, 0.99),
                (-0.20 - belly, 0.60),
                (-0.36 - belly * 0.6, 0.24),
                (-0.36, 0.20),
                (-0.36, 0.20),
                (-0.03, 0.20),
                (-0.03, 0.20),
            ]
        )
        jib = spline(
            [
                (0.015, 0.90),
                (0.015, 0.90),
                (0.17 + belly, 0.55),
                (0.345, 0.20),
                (0.345, 0.20),
                (0.16, 0.215 + belly * 0.3),
                (0.015, 0.235),
                (0.015, 0.235),
            ]
        )
        hull = spline(
            [
                (-0.44, 0.135),
                (-0.44, 0.135),
                # Cut flat: the rest of the hull is under water.
                (-0.375, 0.0),
                (-0.375, 0.0),
                (0.385, 0.0),
                (0.385, 0.0),
                (0.50, 0.165),
                (0.50, 0.165),
                (0.2, 0.135),
                (-0.2, 0.125),
            ]
        )
        parts = [
            Part(
                outline=limb([(-0.01, 0.10), (-0.01, 0.55), (-0.01, 1.02)], [0.016, 0.014, 0.008]),
                colour=look.dark,
            ),
            Part(outline=main, colour=sail),
            Part(outline=jib, colour=mix(sail, look.light, 0.35)),
            Part(outline=limb([(-0.38, 0.185), (-0.2, 0.187), (-0.01, 0.19)], [0.014] * 3), colour=look.dark),
            Part(outline=hull, colour=look.body),
            Part(
                outline=limb([(-0.43, 0.115), (0.0, 0.085), (0.46, 0.135)], [0.012, 0.016, 0.012]),
                colour=look.accent,
            ),
        ]
        for seam in (0.42, 0.64):
            parts.append(
                Part(
                    outline=limb(
                        [(-0.03, seam), (-0.15, seam - 0.012), (-0.27 + (seam - 0.42) * 0.45, seam - 0.02)],
                        [0.004] * 3,
                    ),
                    colour=mix(sail, look.dark, 0.35),
                )
            )
        return [Part(outline=leaned(part.outline, lean), colour=part.colour) for part in parts]

    return Figure(pose=pose, box=(-0.66, -0.10, 0.66, 1.12), cycle_s=4.6, frames=24)


def leaned(outline: tuple[Point, ...], lean: float) -> tuple[Point, ...]:
    """The outline turned about the origin."""
    return tuple((x * math.cos(lean) - y * math.sin(lean), x * math.sin(lean) + y * math.cos(lean)) for x, y in outline)


def ship() -> Figure:
    """A liner with lit portholes and smoke."""

    def pose(phase: float, look: Look) -> list[Part]:
        hull = spline(
            [
                (-1.20, 0.30),
                (-1.20, 0.30),
                (-1.12, 0.0),
                (-1.12, 0.0),
                (1.17, 0.0),
                (1.17, 0.0),
                (1.42, 0.38),
                (1.42, 0.38),
                (1.0, 0.31),
                (-0.8, 0.28),
            ]
        )
        white = mix(mix((0.92, 0.91, 0.88), look.light, 0.3), look.dark, 0.18)
        parts: list[Part] = []
        for puff in range(5):
            age = (phase + puff / 5) % 1.0
            parts.append(
                Part(
                    outline=ellipse(
                        -0.20 - 0.75 * age,
                        1.0 + 0.22 * age + 0.03 * wave(puff * 0.37),
                        0.05 + 0.12 * age,
                        0.04 + 0.08 * age,
                    ),
                    colour=mix(look.dark, look.light, 0.35 + 0.4 * age),
                )
            )
        parts += [
            Part(outline=box(-0.86, 0.28, 0.74, 0.44), colour=white),
            Part(outline=box(-0.66, 0.44, 0.50, 0.56), colour=mix(white, look.light, 0.2)),
            Part(outline=((0.14, 0.56), (0.44, 0.56), (0.38, 0.68), (0.14, 0.68)), colour=white),
            Part(
                outline=limb([(0.30, 0.68), (0.30, 0.85), (0.30, 0.98)], [0.02, 0.016, 0.01]),
                colour=look.dark,
            ),
            Part(outline=hull, colour=look.body),
            Part(
                outline=limb([(-1.17, 0.20), (0.0, 0.18), (1.28, 0.27)], [0.02, 0.024, 0.016]),
                colour=look.accent,
            ),
        ]
        for x in (-0.40, -0.06):
            parts.append(
                Part(
                    outline=((x - 0.09, 0.56), (x + 0.09, 0.56), (x + 0.05, 0.88), (x - 0.12, 0.88)),
                    colour=look.accent,
                )
            )
            parts.append(
                Part(
                    outline=((x - 0.111, 0.81), (x + 0.057, 0.81), (x + 0.05, 0.88), (x - 0.12, 0.88)),
                    colour=look.dark,
                )
            )
        for row, (left, count) in enumerate(((-0.80, 15), (-0.60, 11))):
            for i in range(count):
                x, y = left + i * 0.10, 0.36 + row * 0.14
                parts.append(Part(outline=box(x, y - 0.016, x + 0.045, y + 0.018), colour=look.lamp, glow=True))
        return parts

    return Figure(pose=pose, box=(-1.40, -0.12, 1.50, 1.40), cycle_s=3.0, frames=15)


def train() -> Figure:
    """A railcar and three coaches with a row of lit windows."""

    def pose(phase: float, look: Look) -> list[Part]:
        shake = 0.008 * wave(phase * 2)
        parts: list[Part] = [Part(outline=box(-5.3, -0.04, 5.3, 0.02), colour=mix(look.dark, (0, 0, 0), 0.3))]
        for coach in range(4):
            left = -5.0 + coach * 2.5
            right = left + 2.42
            nose = coach == 3
            shell = [
                (left, 0.16),
                (left, 0.16),
                (left, 0.92),
                (left + 0.06, 1.0),
                (right - (0.62 if nose else 0.06), 1.0),
            ]
            shell += (
                [(right - 0.20, 0.80), (right + 0.02, 0.36), (right, 0.16), (right, 0.16)]
                if nose
                else [(right, 0.92), (right, 0.16), (right, 0.16)]
            )
            parts.append(Part(outline=spline(shell, steps=4), colour=look.body))
            parts.append(Part(outline=box(left + 0.02, 0.30, right - 0.06, 0.37), colour=look.accent))
            for window in range(6 if not nose else 5):
                x = left + 0.16 + window * 0.36
                parts.append(Part(outline=box(x, 0.54, x + 0.27, 0.80), colour=look.lamp, glow=True))
            if nose:
                parts.append(
                    Part(
                        outline=spline(
                            [
                                (right - 0.52, 0.86),
                                (right - 0.30, 0.80),
                                (right - 0.13, 0.56),
                                (right - 0.50, 0.56),
                            ]
                        ),
                        colour=mix(GLASS, look.dark, 0.5),
                    )
                )
                parts.append(Part(outline=ellipse(right - 0.06, 0.34, 0.05, 0.04), colour=look.lamp, glow=True))
            for wheel in (0.35, 0.65, 1.75, 2.05):
                parts += [
                    Part(
                        outline=ellipse(left + wheel, 0.11, 0.115, 0.115),
                        colour=mix(look.dark, (0, 0, 0), 0.5),
                    )
                ]
        return [
            Part(
                outline=tuple((x, y + (shake if y > 0.13 else 0)) for x, y in part.outline),
                colour=part.colour,
                glow=part.glow,
            )
            for part in parts
        ]

    return Figure(pose=pose, box=(-5.3, -0.06, 5.3, 1.06), cycle_s=0.5, frames=6)

"""Aircraft: plane, rocket, balloon. The plane goes to the right; the painter may mirror it."""

import math

from rushes.media.animatic.figures.shapes import Figure, Look, Part, Point, ellipse, limb, spline
from rushes.media.animatic.figures.vehicles import GLASS, box, leaned, wave
from rushes.media.animatic.paint import mix


def plane() -> Figure:
    """An airliner from the side, climbing a little."""

    def pose(phase: float, look: Look) -> list[Part]:
        white = mix(mix((0.94, 0.95, 0.97), look.light, 0.25), look.dark, 0.16)
        fuselage = spline(
            [
                (1.45, 0.02),
                (1.36, 0.12),
                (1.12, 0.20),
                (0.6, 0.225),
                (-0.6, 0.225),
                (-1.1, 0.20),
                (-1.48, 0.17),
                (-1.50, 0.12),
                (-1.0, -0.02),
                (-0.5, -0.075),
                (0.6, -0.085),
                (1.15, -0.07),
                (1.38, -0.03),
            ]
        )
        fin = spline(
            [
                (-1.02, 0.19),
                (-1.02, 0.19),
                (-1.42, 0.66),
                (-1.42, 0.66),
                (-1.60, 0.66),
                (-1.60, 0.66),
                (-1.48, 0.16),
                (-1.48, 0.16),
            ]
        )
        tailplane = ((-1.16, 0.12), (-1.62, 0.20), (-1.74, 0.20), (-1.46, 0.09))
        wing = spline(
            [
                (0.36, -0.02),
                (0.36, -0.02),
                (-0.46, -0.40),
                (-0.72, -0.46),
                (-0.80, -0.44),
                (-0.46, -0.20),
                (-0.26, -0.03),
                (-0.26, -0.03),
            ]
        )
        far_wing = ((0.26, 0.17), (-0.18, 0.37), (-0.32, 0.37), (-0.12, 0.17))
        engine = spline([(0.10, -0.20), (0.12, -0.28), (0.02, -0.31), (-0.22, -0.285), (-0.24, -0.22), (-0.1, -0.175)])
        parts = [
            Part(outline=far_wing, colour=look.dark),
            Part(outline=fin, colour=look.accent),
            Part(outline=fuselage, colour=white),
            Part(
                outline=limb(
                    [(-1.45, 0.09), (-0.4, -0.035), (0.6, -0.045), (1.3, -0.015)], [0.01, 0.035, 0.035, 0.012]
                ),
                colour=look.accent,
            ),
            Part(outline=tailplane, colour=mix(white, look.dark, 0.3)),
            Part(outline=engine, colour=look.dark),
            Part(outline=wing, colour=mix(white, look.dark, 0.38)),
        ]
        for i in range(17):
            x = -0.95 + i * 0.115
            parts.append(Part(outline=box(x, 0.095, x + 0.045, 0.14), colour=mix(GLASS, look.dark, 0.55)))
        parts.append(
            Part(
                outline=spline([(1.22, 0.105), (1.34, 0.075), (1.30, 0.13), (1.20, 0.16)]),
                colour=mix(GLASS, look.dark, 0.6),
            )
        )
        if phase < 0.12:
            parts.append(Part(outline=ellipse(-0.74, -0.45, 0.03, 0.03), colour=(1, 0.3, 0.25), glow=True))
        return [Part(outline=leaned(part.outline, 0.07), colour=part.colour, glow=part.glow) for part in parts]

    return Figure(pose=pose, box=(-1.85, -0.62, 1.60, 0.66), cycle_s=1.2, frames=10)


def rocket() -> Figure:
    """On its column of fire."""

    def pose(phase: float, look: Look) -> list[Part]:
        white = mix(mix((0.93, 0.93, 0.95), look.light, 0.3), look.dark, 0.12)
        flick = 0.06 * wave(phase) + 0.04 * wave(phase * 3, 0.3)
        body = spline(
            [
                (0.0, 1.0),
                (0.055, 0.90),
                (0.085, 0.76),
                (0.09, 0.5),
                (0.085, 0.20),
                (0.075, 0.14),
                (0.075, 0.14),
                (-0.075, 0.14),
                (-0.075, 0.14),
                (-0.085, 0.20),
                (-0.09, 0.5),
                (-0.085, 0.76),
                (-0.055, 0.90),
            ]
        )
        nose = spline([(0.0, 1.0), (0.055, 0.90), (0.078, 0.80), (0.0, 0.785), (-0.078, 0.80), (-0.055, 0.90)])
        parts: list[Part] = []
        for wide, long, colour in (
            (0.115, 0.62, (1.0, 0.45, 0.12)),
            (0.08, 0.46, (1.0, 0.72, 0.28)),
            (0.048, 0.30, (1.0, 0.96, 0.80)),
        ):
            end = 0.12 - long * (1 + flick)
            parts.append(
                Part(
                    outline=spline(
                        [
                            (-0.05, 0.14),
                            (-wide, 0.06),
                            (-wide * 0.55, end * 0.45),
                            (0, end),
                            (wide * 0.55, end * 0.45),
                            (wide, 0.06),
                            (0.05, 0.14),
                        ]
                    ),
                    colour=colour,
                    glow=True,
                )
            )
        for side in (-1, 1):
            fin = spline(
                [
                    (side * 0.08, 0.36),
                    (side * 0.08, 0.36),
                    (side * 0.17, 0.22),
                    (side * 0.185, 0.07),
                    (side * 0.185, 0.07),
                    (side * 0.075, 0.15),
                ]
            )
            parts.append(Part(outline=fin, colour=look.accent))
        parts += [
            Part(outline=body, colour=white),
            Part(outline=nose, colour=look.accent),
            Part(
                outline=spline(
                    [
                        (0.02, 0.95),
                        (0.07, 0.80),
                        (0.09, 0.5),
                        (0.085, 0.20),
                        (0.075, 0.14),
                        (0.035, 0.14),
                        (0.045, 0.5),
                        (0.035, 0.8),
                    ]
                ),
                colour=mix(white, look.dark, 0.35),
            ),
            Part(outline=ellipse(-0.01, 0.66, 0.036, 0.038), colour=look.dark),
            Part(outline=ellipse(-0.01, 0.66, 0.026, 0.028), colour=mix(GLASS, look.lamp, 0.3)),
            Part(outline=box(-0.087, 0.40, 0.087, 0.42), colour=look.accent),
        ]
        return parts

    return Figure(pose=pose, box=(-0.26, -0.66, 0.26, 1.03), cycle_s=0.4, frames=6)


def balloon() -> Figure:
    """A hot-air balloon with striped gores."""

    def pose(phase: float, look: Look) -> list[Part]:
        parts: list[Part] = []
        pale = mix(look.light, (1, 0.95, 0.85), 0.45)
        gores = 8
        for gore in range(gores):
            a, b = -1 + 2 * gore / gores, -1 + 2 * (gore + 1) / gores
            x0, x1 = math.sin(a * math.pi / 2), math.sin(b * math.pi / 2)
            left = [_envelope(s, x0) for s in (i / 28 for i in range(29))]
            right = [_envelope(s, x1) for s in (i / 28 for i in range(29))]
            parts.append(Part(outline=tuple(left + right[::-1]), colour=look.accent if gore % 2 else pale))
        burn = 0.5 + 0.5 * wave(phase)
        parts.append(
            Part(
                outline=spline([(-0.016, 0.20), (0, 0.245 + 0.02 * burn), (0.016, 0.20), (0, 0.19)]),
                colour=look.lamp,
                glow=True,
            )
        )
        for x in (-0.075, 0.075):
            parts.append(
                Part(
                    outline=limb([(x, 0.235), (x * 0.85, 0.17), (x * 0.75, 0.10)], [0.006] * 3),
                    colour=look.dark,
                )
            )
        parts.append(
            Part(
                outline=spline(
                    [
                        (-0.062, 0.105),
                        (-0.062, 0.105),
                        (-0.05, 0.0),
                        (-0.05, 0.0),
                        (0.05, 0.0),
                        (0.05, 0.0),
                        (0.062, 0.105),
                        (0.062, 0.105),
                    ]
                ),
                colour=look.dark,
            )
        )
        return parts

    return Figure(pose=pose, box=(-0.42, -0.03, 0.42, 1.05), cycle_s=2.5, frames=8)


def _envelope(s: float, across: float) -> Point:
    """The outline of the envelope: s 0 at the crown, 1 at the mouth; a half circle that tapers below."""
    below = max(0.0, (s - 0.48) / 0.52)
    half = (
        0.385 * math.sqrt(max(0.0, 1 - (1 - min(s, 0.48) / 0.48) ** 2))
        if s < 0.48
        else 0.060 + 0.325 * (1 - below**1.55)
    )
    return (across * half, 1.02 - 0.79 * s)

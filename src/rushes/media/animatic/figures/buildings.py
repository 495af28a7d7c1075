"""Buildings that stand alone in a landscape: a house with smoke from its chimney, a lighthouse."""

import math

from rushes.media.animatic.figures.shapes import Figure, Look, Part, Point, ellipse, limb, spline
from rushes.media.animatic.paint import Rgb, mix


def _box(left: float, bottom: float, right: float, top: float) -> tuple[Point, ...]:
    return ((left, bottom), (right, bottom), (right, top), (left, top))


def house() -> Figure:
    """A cabin with a steep roof, a lit window and smoke."""

    def pose(phase: float, look: Look) -> list[Part]:
        wood: Rgb = mix((0.50, 0.33, 0.22), look.body, 0.55)
        roof = mix(look.dark, (0.25, 0.16, 0.16), 0.3)
        parts: list[Part] = []
        for puff in range(6):
            age = (phase + puff / 6) % 1.0
            parts.append(
                Part(
                    outline=ellipse(
                        0.36 + 0.30 * age + 0.03 * math.sin(6 * age + puff),
                        0.98 + 0.42 * age,
                        0.03 + 0.07 * age,
                        0.025 + 0.05 * age,
                    ),
                    colour=mix(look.light, (0.9, 0.9, 0.9), 0.3),
                )
            )
        parts += [
            Part(outline=_box(0.31, 0.6, 0.41, 0.97), colour=look.dark),
            Part(outline=_box(-0.55, -0.04, 0.55, 0.48), colour=wood),
            Part(outline=_box(0.12, -0.04, 0.55, 0.48), colour=mix(wood, look.dark, 0.35)),
            Part(outline=((-0.68, 0.44), (-0.22, 0.94), (0.48, 0.94), (0.68, 0.44)), colour=roof),
            Part(outline=((-0.68, 0.44), (-0.22, 0.94), (0.16, 0.44)), colour=mix(wood, look.light, 0.18)),
            Part(
                outline=(
                    (-0.68, 0.44),
                    (-0.22, 0.96),
                    (0.17, 0.44),
                    (0.13, 0.44),
                    (-0.22, 0.905),
                    (-0.63, 0.44),
                ),
                colour=roof,
            ),
            Part(outline=_box(-0.36, 0.14, -0.12, 0.36), colour=look.lamp, glow=True),
            Part(outline=_box(-0.25, 0.14, -0.23, 0.36), colour=roof),
            Part(outline=_box(-0.36, 0.24, -0.12, 0.26), colour=roof),
            Part(outline=_box(0.22, 0.16, 0.40, 0.34), colour=look.lamp, glow=True),
            Part(outline=_box(0.30, 0.16, 0.32, 0.34), colour=roof),
            Part(outline=_box(-0.03, -0.04, 0.09, 0.28), colour=roof),
        ]
        return parts

    return Figure(pose=pose, box=(-0.74, -0.08, 0.90, 1.55), cycle_s=4.0, frames=24)


def lighthouse() -> Figure:
    """A striped tower whose light turns."""

    def pose(phase: float, look: Look) -> list[Part]:
        white = mix(mix((0.93, 0.92, 0.90), look.light, 0.25), look.dark, 0.16)
        stripe = mix(look.accent, look.dark, 0.12)
        parts = [
            Part(
                outline=spline(
                    [(-0.34, -0.06), (-0.30, 0.04), (-0.12, 0.075), (0.14, 0.07), (0.30, 0.03), (0.40, -0.06)]
                ),
                colour=look.dark,
            ),
            Part(outline=((-0.105, 0.04), (0.105, 0.04), (0.066, 0.80), (-0.066, 0.80)), colour=white),
        ]
        for low, high in ((0.16, 0.30), (0.44, 0.58), (0.70, 0.80)):
            parts.append(
                Part(
                    outline=(
                        (-_half(low), low),
                        (_half(low), low),
                        (_half(high), high),
                        (-_half(high), high),
                    ),
                    colour=stripe,
                )
            )
        shade = ((0.035, 0.04), (0.105, 0.04), (0.066, 0.80), (0.022, 0.80))
        turn = math.cos(2 * math.pi * phase)
        bright = max(0.0, turn) ** 2
        parts += [
            Part(outline=shade, colour=mix(mix(white, stripe, 0.4), look.dark, 0.5)),
            Part(outline=_box(-0.095, 0.80, 0.095, 0.82), colour=look.dark),
            Part(
                outline=_box(-0.050, 0.82, 0.050, 0.905),
                colour=mix(mix(look.lamp, look.dark, 0.25), (1, 1, 1), 0.5 * bright),
                glow=True,
            ),
            Part(outline=_box(-0.004, 0.82, 0.004, 0.905), colour=look.dark),
            Part(
                outline=spline(
                    [
                        (-0.068, 0.905),
                        (-0.068, 0.905),
                        (-0.04, 0.955),
                        (0, 0.985),
                        (0.04, 0.955),
                        (0.068, 0.905),
                        (0.068, 0.905),
                    ]
                ),
                colour=stripe,
            ),
            Part(outline=limb([(0, 0.97), (0, 1.0), (0, 1.02)], [0.010, 0.008, 0.006]), colour=look.dark),
        ]
        return parts

    return Figure(pose=pose, box=(-0.45, -0.10, 0.50, 1.05), cycle_s=4.0, frames=16)


def _half(y: float) -> float:
    return 0.105 + (0.066 - 0.105) * (y - 0.04) / 0.76

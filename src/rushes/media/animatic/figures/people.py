"""People: seen from behind or from far, as figures in a landscape are; and one face for portraits."""

import math
from dataclasses import dataclass

from rushes.media.animatic.figures.shapes import Figure, Look, Part, Point, ellipse, limb, moved, spline
from rushes.media.animatic.paint import Rgb, mix

_SKIN: tuple[Rgb, ...] = ((0.87, 0.68, 0.55), (0.70, 0.48, 0.35), (0.50, 0.32, 0.23), (0.93, 0.76, 0.64))
_HAIR: tuple[Rgb, ...] = ((0.14, 0.10, 0.09), (0.30, 0.18, 0.11), (0.10, 0.09, 0.12), (0.58, 0.38, 0.20))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What tells one passer-by from another."""

    coat: bool = True
    scarf: bool = True
    long_hair: bool = False
    walking: bool = False


def _wave(phase: float, shift: float = 0.0) -> float:
    return math.sin(2 * math.pi * (phase + shift))


def person(who: Person) -> Figure:
    """One grown person, a head being a little over a seventh of the height."""

    def pose(phase: float, look: Look) -> list[Part]:
        step = 0.145 * _wave(phase) if who.walking else 0.012
        bob = 0.010 * abs(_wave(phase)) if who.walking else 0.003 * _wave(phase)
        wind = 0.5 + 0.5 * _wave(phase, 0.2)
        hip_y = 0.48 + bob
        parts: list[Part] = []
        for side, swing, colour in ((-1, step, mix(look.dark, (0, 0, 0), 0.15)), (1, -step, look.dark)):
            hip = (side * 0.042, hip_y)
            foot = (
                side * (0.055 if not who.walking else 0.03) + swing,
                0.012 + 0.05 * max(0.0, _wave(phase, 0.25 * side)) * who.walking,
            )
            knee = ((hip[0] + foot[0]) / 2 + 0.015 * abs(swing) * 4, 0.26 + bob)
            parts.append(
                Part(outline=limb([hip, knee, (foot[0], foot[1] + 0.02)], [0.105, 0.080, 0.052]), colour=colour)
            )
            parts.append(Part(outline=ellipse(foot[0] + 0.016, foot[1] + 0.008, 0.046, 0.020), colour=colour))
        parts.append(Part(outline=_arm(-1, step, bob), colour=look.dark))
        parts.append(Part(outline=_torso(who, bob, wind, step), colour=look.body))
        parts.append(Part(outline=_arm(1, -step, bob), colour=mix(look.body, look.dark, 0.35)))
        head = (0.004, 0.918 + bob)
        parts.append(Part(outline=limb([(0.0, 0.83 + bob), (0.002, 0.89 + bob)], [0.060, 0.052]), colour=look.dark))
        parts.append(Part(outline=ellipse(head[0], head[1], 0.057, 0.070), colour=mix(look.dark, (0, 0, 0), 0.2)))
        if who.long_hair:
            hair = [
                (head[0] - 0.052, head[1] + 0.03),
                (head[0] - 0.075 - 0.03 * wind, head[1] - 0.10),
                (head[0] - 0.06 - 0.06 * wind, head[1] - 0.20),
                (head[0] + 0.02 - 0.05 * wind, head[1] - 0.19),
                (head[0] + 0.052, head[1] - 0.07),
                (head[0] + 0.055, head[1] + 0.03),
            ]
            parts.append(Part(outline=spline(hair), colour=mix(look.dark, (0, 0, 0), 0.25)))
        if who.scarf:
            parts += _scarf(look, bob, phase)
        return parts

    return Figure(pose=pose, box=(-0.46, -0.03, 0.34, 1.03), cycle_s=1.05 if who.walking else 3.2, frames=16)


def _torso(who: Person, bob: float, wind: float, step: float) -> tuple[Point, ...]:
    hem = 0.34 if who.coat else 0.47
    flare = (0.115 if who.coat else 0.088) + 0.02 * wind
    return spline(
        [
            (-0.030, 0.845 + bob),
            (-0.095, 0.815 + bob),
            (-0.122, 0.765 + bob),
            (-0.105, 0.66 + bob),
            (-0.086, 0.575 + bob),
            (-0.098, 0.48),
            (-flare - 0.03 * wind - abs(step) * 0.2, hem + 0.012),
            (-flare - 0.03 * wind - abs(step) * 0.2, hem + 0.012),
            (0.0, hem - 0.008),
            (flare + abs(step) * 0.2, hem + 0.006),
            (flare + abs(step) * 0.2, hem + 0.006),
            (0.098, 0.48),
            (0.086, 0.575 + bob),
            (0.105, 0.66 + bob),
            (0.122, 0.765 + bob),
            (0.095, 0.815 + bob),
            (0.030, 0.845 + bob),
        ]
    )


def _arm(side: int, swing: float, bob: float) -> tuple[Point, ...]:
    shoulder = (side * 0.108, 0.785 + bob)
    hand = (side * 0.128 + swing * 0.75, 0.475 + bob + abs(swing) * 0.08)
    elbow = ((shoulder[0] + hand[0]) / 2 + side * 0.018, 0.63 + bob)
    return limb([shoulder, elbow, hand], [0.066, 0.056, 0.042])


def _scarf(look: Look, bob: float, phase: float) -> list[Part]:
    tail: list[Point] = []
    for i in range(6):
        s = i / 5
        tail.append(
            (
                -0.03 - 0.30 * s,
                0.825 + bob - 0.05 * s + 0.035 * s * math.sin(2 * math.pi * (phase * 2 - s * 1.1)),
            )
        )
    return [
        Part(outline=limb(tail, [0.045, 0.050, 0.050, 0.046, 0.040, 0.030]), colour=look.accent),
        Part(
            outline=limb([(-0.055, 0.838 + bob), (0.0, 0.828 + bob), (0.055, 0.840 + bob)], [0.040, 0.048, 0.040]),
            colour=look.accent,
        ),
    ]


def portrait(choice: int, long_hair: bool) -> Figure:
    """Head and shoulders at an angle, in a few flat tones, as a poster would draw them. Blinks."""
    skin, hair = _SKIN[choice % len(_SKIN)], _HAIR[(choice // 2) % len(_HAIR)]

    def pose(phase: float, look: Look) -> list[Part]:
        sway = 0.006 * _wave(phase)
        lit = mix(mix(skin, look.light, 0.10), look.dark, 0.08)
        shade = mix(skin, look.dark, 0.50)
        dark_hair = mix(hair, look.dark, 0.25)
        parts: list[Part] = []
        if long_hair:
            back = [
                (-0.20, 0.80),
                (-0.275, 0.62),
                (-0.27, 0.40),
                (-0.30, 0.20),
                (-0.10, 0.16),
                (0.10, 0.16),
                (0.26, 0.20),
                (0.235, 0.42),
                (0.235, 0.64),
                (0.14, 0.84),
            ]
            parts.append(Part(outline=moved(spline(back), sway * 0.6), colour=mix(dark_hair, look.dark, 0.45)))
        shoulders = [
            (-0.66, -0.02),
            (-0.60, 0.14),
            (-0.40, 0.235),
            (-0.17, 0.285),
            (-0.10, 0.33),
            (0.11, 0.33),
            (0.17, 0.285),
            (0.40, 0.235),
            (0.60, 0.14),
            (0.66, -0.02),
            (0.66, -0.02),
            (-0.66, -0.02),
        ]
        parts.append(
            Part(
                outline=limb([(0.0, 0.22), (0.005, 0.36), (0.01 + sway * 0.5, 0.46)], [0.25, 0.185, 0.18]),
                colour=shade,
            )
        )
        parts.append(Part(outline=spline(shoulders), colour=look.body))
        collar = spline([(-0.15, 0.30), (-0.02, 0.19), (0.13, 0.30), (0.15, 0.335), (0.0, 0.245), (-0.155, 0.335)])
        parts.append(Part(outline=collar, colour=look.accent))
        parts += _face(phase, sway, lit, shade, dark_hair, look)
        parts += _hair(sway, dark_hair, look, long_hair)
        return parts

    return Figure(pose=pose, box=(-0.70, -0.06, 0.70, 1.03), cycle_s=5.0, frames=20)


def _face(phase: float, sway: float, lit: Rgb, shade: Rgb, hair: Rgb, look: Look) -> list[Part]:
    face = spline(
        [
            (0.0, 0.345),
            (0.075, 0.375),
            (0.145, 0.46),
            (0.178, 0.59),
            (0.175, 0.72),
            (0.12, 0.84),
            (0.0, 0.88),
            (-0.12, 0.84),
            (-0.175, 0.72),
            (-0.178, 0.59),
            (-0.145, 0.46),
            (-0.075, 0.375),
        ]
    )
    dark_half = spline(
        [
            (0.015, 0.345),
            (0.075, 0.375),
            (0.145, 0.46),
            (0.178, 0.59),
            (0.175, 0.72),
            (0.12, 0.84),
            (0.055, 0.86),
            (0.075, 0.76),
            (0.045, 0.665),
            (0.065, 0.60),
            (0.040, 0.54),
            (0.060, 0.475),
            (0.03, 0.43),
        ]
    )
    blink = phase > 0.93
    parts = [
        Part(outline=ellipse(-0.178, 0.60, 0.030, 0.052), colour=shade),
        Part(outline=ellipse(0.178, 0.60, 0.030, 0.052), colour=shade),
        Part(outline=face, colour=lit),
        Part(outline=dark_half, colour=mix(lit, shade, 0.62)),
    ]
    ink = mix(hair, (0, 0, 0), 0.45)
    for side in (-1, 1):
        x = side * 0.078
        parts.append(
            Part(
                outline=limb([(x - 0.042, 0.674), (x, 0.690), (x + 0.042, 0.676)], [0.010, 0.016, 0.009]),
                colour=ink,
            )
        )
        if blink:
            parts.append(
                Part(
                    outline=limb([(x - 0.036, 0.622), (x, 0.612), (x + 0.036, 0.622)], [0.006, 0.009, 0.006]),
                    colour=ink,
                )
            )
        else:
            parts.append(
                Part(
                    outline=spline([(x - 0.038, 0.620), (x, 0.640), (x + 0.038, 0.622), (x, 0.606)]),
                    colour=mix(lit, (1, 1, 1), 0.55),
                )
            )
            parts.append(Part(outline=ellipse(x + 0.004, 0.623, 0.0165, 0.0175), colour=ink))
            parts.append(Part(outline=ellipse(x + 0.010, 0.629, 0.0048, 0.0048), colour=(1, 1, 1)))
            parts.append(
                Part(
                    outline=limb([(x - 0.040, 0.622), (x, 0.643), (x + 0.041, 0.624)], [0.005, 0.010, 0.006]),
                    colour=ink,
                )
            )
    nose = spline([(0.012, 0.63), (0.030, 0.535), (0.024, 0.515), (-0.018, 0.512), (0.004, 0.535)])
    lip = mix(mix(shade, (0.75, 0.25, 0.25), 0.35), look.dark, 0.1)
    mouth = spline(
        [
            (-0.055, 0.450),
            (-0.02, 0.464),
            (0.0, 0.459),
            (0.02, 0.464),
            (0.058, 0.452),
            (0.02, 0.434),
            (-0.02, 0.433),
        ]
    )
    parts += [Part(outline=nose, colour=mix(lit, shade, 0.55)), Part(outline=mouth, colour=lip)]
    turned: list[Part] = []
    for part in parts:
        turned.append(Part(outline=moved(part.outline, sway, turn=sway * 0.8, about=(0, 0.35)), colour=part.colour))
    return turned


def _hair(sway: float, hair: Rgb, look: Look, long_hair: bool) -> list[Part]:
    if long_hair:
        fringe = [
            (-0.205, 0.58),
            (-0.222, 0.74),
            (-0.165, 0.90),
            (-0.02, 0.965),
            (0.135, 0.915),
            (0.215, 0.77),
            (0.205, 0.56),
            (0.172, 0.60),
            (0.165, 0.71),
            (0.09, 0.80),
            (-0.03, 0.84),
            (-0.13, 0.75),
            (-0.165, 0.66),
        ]
    else:
        fringe = [
            (-0.192, 0.64),
            (-0.208, 0.78),
            (-0.13, 0.915),
            (0.03, 0.955),
            (0.16, 0.90),
            (0.208, 0.77),
            (0.190, 0.64),
            (0.165, 0.72),
            (0.10, 0.785),
            (-0.02, 0.80),
            (-0.10, 0.79),
            (-0.158, 0.725),
        ]
    shine = spline([(-0.135, 0.86), (-0.03, 0.925), (0.06, 0.925), (0.0, 0.905), (-0.09, 0.86)])
    return [
        Part(outline=moved(spline(fringe), sway, turn=sway * 0.8, about=(0, 0.35)), colour=hair),
        Part(outline=moved(shine, sway), colour=mix(hair, look.light, 0.45)),
    ]

"""Animals: a sitting cat, four-legged animals from one set of proportions, birds on the wing, fish."""

import math
from dataclasses import dataclass

from rushes.media.animatic.figures.shapes import Figure, Look, Part, Point, ellipse, limb, moved, spline
from rushes.media.animatic.paint import Rgb


def _wave(phase: float, shift: float = 0.0) -> float:
    return math.sin(2 * math.pi * (phase + shift))


def cat() -> Figure:
    """Sitting, seen from the side and a little from behind; the tail's end never rests."""

    def pose(phase: float, look: Look) -> list[Part]:
        breath = 0.006 * _wave(phase)
        tip = 0.05 * _wave(phase, 0.1)
        tail = limb(
            [
                (-0.10, 0.05),
                (-0.26, 0.025),
                (-0.40, 0.06),
                (-0.46, 0.17 + tip * 0.4),
                (-0.40 + tip, 0.27 + tip * 0.3),
            ],
            [0.085, 0.075, 0.068, 0.062, 0.045],
        )
        body = spline(
            [
                (0.20, 0.0),
                (0.29, 0.0),
                (0.33, 0.015),
                (0.31, 0.05),
                (0.275, 0.10),
                (0.285, 0.30),
                (0.315 + breath, 0.47),
                (0.30, 0.62),
                (0.20, 0.70),
                (0.09, 0.66),
                (0.00 - breath, 0.55),
                (-0.10 - breath, 0.38),
                (-0.165, 0.20),
                (-0.15, 0.06),
                (-0.09, 0.0),
                (-0.09, 0.0),
                (0.05, 0.0),
            ]
        )
        turn = 0.05 * _wave(phase, 0.3)
        neck = (0.22, 0.68)
        flick = 0.03 * max(0.0, _wave(phase * 3, 0.2)) if 0.55 < phase < 0.85 else 0.0
        head = moved(ellipse(0.245, 0.775, 0.150, 0.128), turn=turn, about=neck)
        muzzle = moved(ellipse(0.345, 0.735, 0.062, 0.052), turn=turn, about=neck)
        far_ear = moved(((0.245, 0.86), (0.325, 0.995), (0.365, 0.83)), turn=turn, about=neck)
        near_ear = moved(((0.115, 0.83), (0.135 - flick, 0.99), (0.245, 0.885)), turn=turn, about=neck)
        inner = moved(((0.148, 0.855), (0.152 - flick, 0.945), (0.205, 0.885)), turn=turn, about=neck)
        haunch = spline(
            [
                (-0.13, 0.05),
                (-0.12, 0.22),
                (-0.02, 0.30),
                (0.09, 0.22),
                (0.12, 0.08),
                (0.14, 0.015),
                (0.02, 0.0),
            ]
        )
        return [
            Part(outline=tail, colour=look.body),
            Part(outline=far_ear, colour=look.dark),
            Part(outline=body, colour=look.body),
            Part(outline=haunch, colour=_between(look.body, look.dark, 0.25)),
            Part(outline=head, colour=look.body),
            Part(outline=muzzle, colour=look.body),
            Part(outline=near_ear, colour=look.body),
            Part(outline=inner, colour=look.dark),
        ]

    return Figure(pose=pose, box=(-0.56, -0.02, 0.50, 1.06), cycle_s=4.0, frames=24)


def _between(a: Rgb, b: Rgb, t: float) -> Rgb:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Proportions of a four-legged animal that stands `1` high at the top of its head."""

    length: float = 0.62  # of the trunk
    legs: float = 0.40
    deep: float = 0.24  # of the chest
    slim: float = 0.17  # of the loins
    neck: float = 0.22
    neck_up: float = 0.9  # radians above level
    neck_wide: float = 0.15
    head: float = 0.20
    snout: float = 0.10
    leg_wide: float = 0.065
    ear: tuple[float, float] = (0.09, 0.05)  # length, width
    ear_lean: float = 0.5
    tail: tuple[Point, ...] = ((0.0, 0.0), (-0.10, -0.04), (-0.14, -0.16))
    tail_wide: tuple[float, ...] = (0.05, 0.04, 0.02)
    mane: bool = False
    antlers: bool = False


DOG = Build(
    length=0.60,
    legs=0.36,
    deep=0.235,
    slim=0.16,
    neck=0.20,
    neck_up=0.95,
    neck_wide=0.17,
    head=0.20,
    snout=0.13,
    ear=(0.13, 0.075),
    ear_lean=-1.15,
    tail=((0.0, 0.0), (-0.10, 0.07), (-0.15, 0.20)),
    tail_wide=(0.055, 0.045, 0.02),
)
HORSE = Build(
    length=0.60,
    legs=0.44,
    deep=0.25,
    slim=0.205,
    neck=0.34,
    neck_up=0.88,
    neck_wide=0.17,
    head=0.25,
    snout=0.10,
    leg_wide=0.060,
    ear=(0.065, 0.032),
    ear_lean=0.9,
    tail=((0.0, 0.0), (-0.08, -0.03), (-0.11, -0.20), (-0.09, -0.36)),
    tail_wide=(0.05, 0.075, 0.08, 0.02),
    mane=True,
)
DEER = Build(
    length=0.46,
    legs=0.42,
    deep=0.19,
    slim=0.15,
    neck=0.27,
    neck_up=1.12,
    neck_wide=0.105,
    head=0.17,
    snout=0.07,
    leg_wide=0.042,
    ear=(0.085, 0.04),
    ear_lean=0.2,
    tail=((0.0, 0.0), (-0.04, -0.02), (-0.05, -0.07)),
    tail_wide=(0.045, 0.04, 0.02),
    antlers=True,
)
FOX = Build(
    length=0.62,
    legs=0.34,
    deep=0.20,
    slim=0.15,
    neck=0.16,
    neck_up=0.75,
    neck_wide=0.16,
    head=0.19,
    snout=0.13,
    leg_wide=0.05,
    ear=(0.13, 0.07),
    ear_lean=0.9,
    tail=((0.0, 0.0), (-0.16, -0.06), (-0.34, -0.11), (-0.44, -0.08)),
    tail_wide=(0.05, 0.10, 0.12, 0.02),
)


def four_legged(build: Build, *, walking: bool) -> Figure:
    """An animal standing, or going at a walk to the right."""

    def pose(phase: float, look: Look) -> list[Part]:
        nod = 0.045 * _wave(phase, 0.1)
        step = 1.0 if walking else 0.06
        back = build.legs + build.deep * 0.62
        hip, chest = (-build.length / 2, back), (build.length / 2, back + 0.015)
        parts: list[Part] = []
        for side, shift, colour in ((-1, 0.0, look.dark), (1, 0.5, look.body)):
            if side > 0:
                parts += _trunk(build, hip, chest, look)
            for root, offset, hind in ((hip, 0.0, True), (chest, 0.25, False)):
                parts += [
                    Part(outline=outline, colour=colour)
                    for outline in _leg(build, root, phase + shift + offset, step, side, hind)
                ]
        tail_root = (hip[0] - 0.045, hip[1] + build.slim * 0.28)
        swing = 0.30 * _wave(phase, 0.2)
        tail = moved([(tail_root[0] + x, tail_root[1] + y) for x, y in build.tail], turn=swing, about=tail_root)
        parts.insert(0, Part(outline=limb(tail, build.tail_wide), colour=look.dark))
        return parts + _head(build, chest, nod, look)

    speed = 1.1 if walking else 4.0
    return Figure(
        pose=pose,
        box=(-build.length / 2 - 0.55, -0.03, build.length / 2 + 0.62, 1.35 if build.antlers else 1.12),
        cycle_s=speed,
        frames=16 if walking else 20,
    )


def _trunk(build: Build, hip: Point, chest: Point, look: Look) -> list[Part]:
    """Croup, back, withers, breast, belly: the line that makes a horse of it, or a dog."""
    deep, slim = build.deep, build.slim
    middle = ((hip[0] + chest[0]) / 2, (hip[1] + chest[1]) / 2)
    outline = spline(
        [
            (hip[0] - 0.115, hip[1] - slim * 0.12),
            (hip[0] - 0.085, hip[1] + slim * 0.30),
            (hip[0] + 0.02, hip[1] + slim * 0.52),
            (middle[0] - 0.02, middle[1] + slim * 0.40),
            (chest[0] - 0.10, chest[1] + deep * 0.43),
            (chest[0] + 0.02, chest[1] + deep * 0.40),
            (chest[0] + 0.115, chest[1] + deep * 0.05),
            (chest[0] + 0.085, chest[1] - deep * 0.36),
            (chest[0] - 0.03, chest[1] - deep * 0.60),
            (middle[0] + 0.02, middle[1] - deep * 0.55),
            (hip[0] + 0.10, hip[1] - slim * 0.46),
            (hip[0] - 0.03, hip[1] - slim * 0.62),
        ]
    )
    return [Part(outline=outline, colour=look.body)]


def _leg(build: Build, root: Point, phase: float, step: float, side: int, hind: bool) -> tuple[tuple[Point, ...], ...]:
    swing = 0.40 * step * _wave(phase)
    lift = 0.085 * step * max(0.0, _wave(phase, 0.25))
    x0 = root[0] + (0.028 if side > 0 else -0.028) * (1 if hind else -1) + (-0.02 if hind else 0.02)
    length = root[1]
    foot = (x0 + math.sin(swing) * length * 0.62 + (-0.005 if hind else 0.008), 0.012 + lift)
    if hind:
        stifle = (x0 + 0.030 + 0.10 * swing, length * 0.66)
        joint = (x0 - 0.042 + (foot[0] - x0) * 0.62, length * 0.36 + lift * 0.7)
    else:
        stifle = (x0 + 0.012 + 0.08 * swing, length * 0.66)
        joint = (x0 + 0.006 + (foot[0] - x0) * 0.55, length * 0.36 + lift * 0.9)
    pastern = (foot[0] - 0.012, length * 0.11 + lift)
    wide = build.leg_wide
    thigh = 3.1 if hind else 2.2
    leg = limb(
        [(x0, root[1] + 0.01), stifle, joint, pastern],
        [wide * thigh, wide * (1.9 if hind else 1.45), wide * 0.80, wide * 0.62],
    )
    hoof = (
        (pastern[0] + wide * 0.30, pastern[1]),
        (foot[0] + wide * 0.72, foot[1] + 0.006),
        (foot[0] + wide * 0.70, foot[1] - 0.012),
        (foot[0] - wide * 0.42, foot[1] - 0.012),
        (pastern[0] - wide * 0.32, pastern[1]),
    )
    return (leg, hoof)


def _head(build: Build, chest: Point, nod: float, look: Look) -> list[Part]:
    root = (chest[0] - 0.005, chest[1] + build.deep * 0.15)
    up = build.neck_up + nod
    poll = (root[0] + math.cos(up) * build.neck, root[1] + math.sin(up) * build.neck)
    down = -0.50 + nod * 1.5 if build.neck > 0.24 else -0.18 + nod
    nose = (poll[0] + math.cos(down) * build.head, poll[1] + math.sin(down) * build.head)
    brow = build.head * 0.54
    parts = [
        Part(
            outline=limb(
                [
                    (root[0] - 0.055, root[1] - 0.005),
                    ((root[0] + poll[0]) / 2 - 0.02, (root[1] + poll[1]) / 2 + 0.01),
                    poll,
                ],
                [build.neck_wide * 1.3, build.neck_wide * 1.04, build.neck_wide * 0.72],
            ),
            colour=look.body,
        ),
        Part(
            outline=limb(
                [(poll[0] - 0.01, poll[1] + 0.005), ((poll[0] + nose[0]) / 2, (poll[1] + nose[1]) / 2), nose],
                [brow, brow * 0.82, build.snout * 0.55],
            ),
            colour=look.body,
        ),
    ]
    if build.mane:
        parts.append(
            Part(
                outline=limb(
                    [
                        (root[0] - 0.12, root[1] + 0.05),
                        ((root[0] + poll[0]) / 2 - 0.075, (root[1] + poll[1]) / 2 + 0.055),
                        (poll[0] - 0.02, poll[1] + 0.055),
                    ],
                    [0.02, 0.085, 0.045],
                ),
                colour=look.dark,
            )
        )
    if build.antlers:
        parts += _antlers(poll, look)
    for shift, colour in ((0.035, look.dark), (-0.012, look.body)):
        lean = build.ear_lean + 1.1
        base = (poll[0] + shift, poll[1] + brow * 0.36)
        tip = (base[0] - math.cos(lean) * build.ear[0] * 0.6, base[1] + math.sin(lean) * build.ear[0])
        across = build.ear[1]
        if build.ear_lean < 0:
            tip = (base[0] - 0.045, base[1] - build.ear[0])
        parts.append(
            Part(
                outline=spline(
                    [(base[0] - across / 2, base[1] - 0.005), tip, tip, (base[0] + across / 2, base[1])],
                    steps=4,
                ),
                colour=colour,
            )
        )
    return parts


def _antlers(poll: Point, look: Look) -> list[Part]:
    parts: list[Part] = []
    for side, colour in ((0.07, look.dark), (-0.02, look.body)):
        x, y = poll[0] + side * 0.3, poll[1] + 0.04
        beam = [(x, y), (x - 0.07 + side, y + 0.11), (x - 0.03 + side * 1.6, y + 0.25)]
        parts.append(Part(outline=limb(beam, [0.024, 0.02, 0.008]), colour=colour))
        for share, reach in ((0.35, 0.09), (0.6, 0.10), (0.85, 0.07)):
            px = beam[0][0] + (beam[2][0] - beam[0][0]) * share - 0.035 * (1 - abs(share - 0.5) * 2) + side * 0.4
            py = y + 0.24 * share
            parts.append(
                Part(
                    outline=limb(
                        [(px, py), (px + reach * 0.6, py + reach * 0.4), (px + reach * 0.8, py + reach)],
                        [0.018, 0.014, 0.006],
                    ),
                    colour=colour,
                )
            )
    return parts


def bird() -> Figure:
    """A gull on the wing, going right: slow strokes, and a glide between them."""

    def pose(phase: float, look: Look) -> list[Part]:
        beat = _wave(min(1.0, phase * 1.6)) if phase < 0.625 else 0.12
        body = spline(
            [
                (0.36, 0.02),
                (0.28, 0.055),
                (0.10, 0.06),
                (-0.16, 0.03),
                (-0.36, 0.035),
                (-0.36, 0.0),
                (-0.16, -0.035),
                (0.12, -0.05),
                (0.27, -0.02),
            ]
        )
        parts = [Part(outline=_wing(beat, 0.16, 0.9), colour=look.dark), Part(outline=body, colour=look.body)]
        parts.append(Part(outline=((0.34, 0.03), (0.45, 0.005), (0.34, -0.002)), colour=look.dark))
        parts.append(Part(outline=_wing(beat, -0.02, 1.0), colour=look.light))
        return parts

    return Figure(pose=pose, box=(-0.75, -0.7, 0.75, 0.85), cycle_s=1.6, frames=16)


def _wing(beat: float, x: float, reach: float) -> tuple[Point, ...]:
    """One wing, from the shoulder over the wrist to the tip; at level it is seen nearly edge on."""
    up = (0.20 + 0.72 * beat) * reach
    bow = 0.16 * reach * (1 - 0.35 * beat)
    wrist = (x + 0.07, 0.40 * up + bow)
    tip = (x - 0.27 - 0.06 * abs(beat), 0.98 * up + 0.02)
    return spline(
        [
            (x + 0.13, 0.03),
            (x + 0.13, 0.22 * up + bow * 0.55),
            wrist,
            (x - 0.05, 0.72 * up + bow * 0.72),
            tip,
            tip,
            (x - 0.10, 0.60 * up + bow * 0.48),
            (x - 0.03, 0.26 * up + bow * 0.36),
            (x - 0.05, 0.0),
        ]
    )


def fish() -> Figure:
    """A reef fish going right, rowing with its tail."""

    def pose(phase: float, look: Look) -> list[Part]:
        swing = 0.09 * _wave(phase)
        body = spline(
            [
                (0.48, 0.0),
                (0.38, 0.12),
                (0.16, 0.22),
                (-0.10, 0.19),
                (-0.34, 0.06 + swing * 0.3),
                (-0.40, swing * 0.5),
                (-0.34, -0.06 + swing * 0.3),
                (-0.10, -0.19),
                (0.16, -0.21),
                (0.38, -0.11),
            ]
        )
        tail = spline(
            [
                (-0.34, 0.03 + swing * 0.4),
                (-0.52, 0.20 + swing),
                (-0.62, 0.22 + swing),
                (-0.54, 0.02 + swing),
                (-0.62, -0.20 + swing),
                (-0.52, -0.18 + swing),
                (-0.34, -0.04 + swing * 0.4),
            ]
        )
        fin_top = spline([(0.20, 0.19), (0.04, 0.34), (-0.20, 0.30 + swing * 0.3), (-0.26, 0.11), (0.0, 0.18)])
        fin_low = spline([(0.10, -0.19), (-0.06, -0.32), (-0.18, -0.27), (-0.16, -0.14)])
        side = spline([(0.10, 0.0), (-0.06, 0.06 + 0.04 * _wave(phase, 0.4)), (-0.16, -0.02), (-0.05, -0.07)])
        stripe = spline([(0.20, 0.205), (0.13, 0.22), (0.09, 0.0), (0.13, -0.20), (0.20, -0.20), (0.17, 0.0)])
        return [
            Part(outline=tail, colour=look.dark),
            Part(outline=fin_top, colour=look.dark),
            Part(outline=fin_low, colour=look.dark),
            Part(outline=body, colour=look.body),
            Part(outline=stripe, colour=look.light),
            Part(outline=side, colour=look.dark),
            Part(outline=ellipse(0.35, 0.045, 0.030, 0.032), colour=look.light),
            Part(outline=ellipse(0.355, 0.045, 0.016, 0.018), colour=(0.03, 0.03, 0.05)),
        ]

    return Figure(pose=pose, box=(-0.70, -0.42, 0.56, 0.42), cycle_s=0.9, frames=12)

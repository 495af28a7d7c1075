"""Placing: which figures a scene shows, how large, where they stand and which way they go."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from numpy.random import Generator

from rushes.media.animatic.figures import aircraft, animals, buildings, people, vehicles
from rushes.media.animatic.figures.shapes import Figure, Look, Part, figure_layer, look_of
from rushes.media.animatic.layers import Drawable, Light, Lights, Motion, Stage
from rushes.media.animatic.paint import Rgb, from_hex, mix
from rushes.media.animatic.vocabulary import COLOURS, Hour, Kind
from rushes.media.animatic.words import Figure as Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where a scene has room. Lines are shares of the height; None: there is no such place in this scene."""

    ground: float | None = 0.865
    water: float | None = None
    air: float | None = 0.30
    floor_depth: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    stage: Stage
    stand: Stand
    look: Look
    wanted: Wanted
    rng: Generator
    x: float  # share of the width
    side: int  # +1: goes right
    share: float  # smaller when several figures share the frame


def cast(stage: Stage, stand: Stand) -> list[Drawable]:
    """All figures of the scene, far ones first."""
    kinds = [wanted for wanted in stage.scene.figures if not _within(wanted.kind, stage)]
    items: list[Drawable] = []
    ground_kinds = [w for w in kinds if w.kind not in (Kind.BIRD, Kind.PLANE, Kind.BALLOON, Kind.ROCKET)]
    places = _spread(len(ground_kinds), stage)
    order = sorted(kinds, key=lambda wanted: _FARNESS.index(wanted.kind))
    for wanted in order[:5]:
        rng = stage.chance.stream(f"figure {wanted.kind}")
        index = ground_kinds.index(wanted) if wanted in ground_kinds else 0
        colour = from_hex(COLOURS[wanted.colour]) if wanted.colour else None
        part = _Part(
            stage=stage,
            stand=stand,
            look=look_of(stage, colour, 0.95),
            wanted=wanted,
            rng=rng,
            x=places[index] if places else 0.5,
            side=1 if rng.random() < 0.5 else -1,
            share=1.0 if len(kinds) < 2 else 0.88,
        )
        items += _ACTS[wanted.kind](part)
    return items


_WOMEN = {"woman", "girl", "lady", "queen", "ballerina", "grandmother", "mother", "women", "girls"}
_MEN = {
    "man",
    "boy",
    "guy",
    "king",
    "monk",
    "samurai",
    "soldier",
    "cowboy",
    "wizard",
    "knight",
    "grandfather",
    "father",
    "fisherman",
}
# What is far is drawn first.
_FARNESS = (
    Kind.PLANE,
    Kind.BALLOON,
    Kind.ROCKET,
    Kind.LIGHTHOUSE,
    Kind.HOUSE,
    Kind.SHIP,
    Kind.TRAIN,
    Kind.BIRD,
    Kind.BOAT,
    Kind.CAR,
    Kind.HORSE,
    Kind.DEER,
    Kind.ANIMAL,
    Kind.PEOPLE,
    Kind.PERSON,
    Kind.DOG,
    Kind.CAT,
    Kind.FISH,
    Kind.PORTRAIT,
)


def _within(kind: Kind, stage: Stage) -> bool:
    """A portrait is of a person: not two of them."""
    return (kind in (Kind.PERSON, Kind.PEOPLE) and stage.scene.shows(Kind.PORTRAIT)) or (
        kind is Kind.PERSON and stage.scene.shows(Kind.PEOPLE)
    )


def _spread(count: int, stage: Stage) -> list[float]:
    """Shares of the width: one figure stands off the middle, away from the sun; several keep their distance."""
    if count == 0:
        return []
    side = -1 if stage.palette.sun_x > 0.5 else 1
    if count == 1:
        return [0.5 + side * 0.10 * float(stage.chance.stream("spread").uniform(0.6, 1.5))]
    return [0.5 + side * (-0.24 + 0.48 * i / (count - 1)) for i in range(count)]


def _standing(
    part: _Part,
    figure: Figure,
    tall: float,
    *,
    depth: float = 1.0,
    dx: float = 0.0,
    start: float = 0.0,
    look: Look | None = None,
    facing: int | None = None,
    travel: float = 0.0,
) -> Drawable:
    """A figure on the ground. `tall` in units; `travel` in units per second, positive the way it faces."""
    stage = part.stage
    way = part.side if facing is None else facing
    ground = part.stand.ground if part.stand.ground is not None else (part.stand.water or 0.9)
    speed = way * travel * stage.unit
    # Whoever goes somewhere is in the middle of the frame in the middle of the clip.
    x = (part.x + dx) * stage.width - speed * stage.seconds / 2
    return figure_layer(
        stage,
        figure,
        look or part.look,
        x=x,
        foot=ground * stage.height,
        tall=tall * part.share * stage.unit,
        depth=depth,
        motion=Motion(drift_x=speed),
        facing=way,
        start=start,
    )


def _cat(part: _Part) -> list[Drawable]:
    return [_standing(part, animals.cat(), 0.30)]


def _animal(build: animals.Build, tall: float) -> Callable[[_Part], list[Drawable]]:
    def act(part: _Part) -> list[Drawable]:
        walking = part.stage.scene.moving
        return [
            _standing(
                part,
                animals.four_legged(build, walking=walking),
                tall,
                travel=_pace(part, 0.075) if walking else 0.0,
            )
        ]

    return act


def _pace(part: _Part, wished: float) -> float:
    """Units per second, slow enough to stay in the frame."""
    return min(wished, 0.70 * part.stage.width / part.stage.unit / part.stage.seconds)


def _person(part: _Part) -> list[Drawable]:
    long_hair = part.wanted.word in _WOMEN or (part.wanted.word not in _MEN and bool(part.rng.random() < 0.5))
    who = people.Person(long_hair=long_hair, walking=part.stage.scene.moving)
    travel = _pace(part, 0.05) if who.walking else 0.0
    tall = 0.34 if part.stand.floor_depth >= 1 else 0.46
    return [_standing(part, people.person(who), tall, travel=travel)]


def _people(part: _Part) -> list[Drawable]:
    items: list[Drawable] = []
    coats: tuple[Rgb, ...] = ((0.45, 0.22, 0.20), (0.20, 0.30, 0.42), (0.42, 0.38, 0.24), (0.26, 0.36, 0.30))
    count = {"couple": 2, "lovers": 2, "family": 4, "crowd": 7, "audience": 7}.get(part.wanted.word, 3)
    for index in range(count):
        who = people.Person(
            long_hair=index % 2 == 0,
            scarf=index % 3 == 1,
            coat=index % 3 != 2,
            walking=part.stage.scene.moving,
        )
        look = look_of(part.stage, mix(coats[index % 4], part.stage.palette.near, 0.35), 0.95)
        tall = 0.30 * float(part.rng.uniform(0.86, 1.06))
        dx = (index - (count - 1) / 2) * 0.092 * part.stage.unit / part.stage.width * float(part.rng.uniform(1.5, 2.1))
        travel = _pace(part, 0.045) if who.walking else 0.0
        items.append(
            _standing(
                part,
                people.person(who),
                tall,
                dx=dx,
                start=float(part.rng.random()),
                look=look,
                travel=travel,
            )
        )
    return items


def _portrait(part: _Part) -> list[Drawable]:
    stage = part.stage
    named = {figure.word for figure in stage.scene.figures}
    woman = any(word in _WOMEN or "woman" in word for word in named)
    man = any(word in _MEN or word.endswith(" man") for word in named)
    figure = people.portrait(int(part.rng.integers(16)), woman or (not man and bool(part.rng.random() < 0.6)))
    tall = min(0.80 * stage.height, 0.95 * stage.width)
    look = part.look
    return [
        figure_layer(
            stage,
            figure,
            look,
            x=(0.5 + (part.x - 0.5) * 0.6) * stage.width,
            foot=1.04 * stage.height,
            tall=tall,
            depth=1.0,
            facing=part.side,
        )
    ]


def _bird(part: _Part) -> list[Drawable]:
    stage = part.stage
    items: list[Drawable] = []
    figure = animals.bird()
    flock = 7
    for index in range(flock):
        size = stage.unit * (0.075 if index else 0.17) * float(part.rng.uniform(0.7, 1.1))
        x = stage.width * float(part.rng.uniform(0.15, 0.85)) if index else stage.width * 0.5
        air = part.stand.air if part.stand.air is not None else 0.35
        y = stage.height * (air + float(part.rng.uniform(-0.16, 0.14)) * (1 if index else 0.3))
        speed = part.side * _pace(part, 0.060) * stage.unit * (0.7 if index else 1.0)
        motion = Motion(drift_x=speed, sway_y=stage.unit * 0.008, period_s=3.1, phase=float(part.rng.uniform(0, 6)))
        haze = 0.0 if not index else 0.30
        items.append(
            figure_layer(
                stage,
                figure,
                part.look,
                x=x - speed * stage.seconds / 2,
                foot=y,
                tall=size,
                depth=0.75 if not index else 0.45,
                motion=motion,
                facing=part.side,
                start=float(part.rng.random()),
                haze=haze,
            )
        )
    return items[1:] + items[:1]


def _fish(part: _Part) -> list[Drawable]:
    stage = part.stage
    items: list[Drawable] = []
    in_deep = part.stand.water is None and part.stand.ground is None
    colour = mix(stage.palette.accent, (1.0, 0.62, 0.25), 0.35)
    count = 9 if in_deep else 2
    for index in range(count):
        near = 1 - index / count
        size = stage.unit * (0.07 + 0.17 * near**2)
        body = from_hex(COLOURS[part.wanted.colour]) if part.wanted.colour else colour
        look = look_of(stage, mix(body, stage.palette.haze, 0.25 * (1 - near)), 0.4 + 0.5 * near)
        # A spiral keeps the school apart without looking placed.
        turn = 2.4 * index + float(part.rng.uniform(-0.4, 0.4))
        far = 0.0 if index == 0 else 0.24 + 0.055 * index
        x = stage.width * (0.5 + min(0.46, far * stage.unit / stage.width * 1.1) * math.cos(turn))
        y = stage.height * ((0.50 + 0.62 * far * math.sin(turn)) if in_deep else 0.72)
        speed = part.side * _pace(part, 0.05) * stage.unit * (0.5 + 0.5 * near)
        motion = Motion(drift_x=speed, sway_y=stage.unit * 0.012, period_s=4.0, phase=float(part.rng.uniform(0, 6)))
        items.append(
            figure_layer(
                stage,
                animals.fish(),
                look,
                x=x - speed * stage.seconds / 2,
                foot=y,
                tall=size,
                depth=0.5 + 0.45 * near,
                motion=motion,
                facing=part.side,
                start=float(part.rng.random()),
                haze=0.30 * (1 - near),
            )
        )
    return items[::-1]


def _car(part: _Part) -> list[Drawable]:
    stage = part.stage
    lights_on = stage.palette.hour in (Hour.NIGHT, Hour.DUSK)
    colour = part.wanted.colour
    look = part.look if colour else look_of(stage, mix(stage.palette.accent, (0.7, 0.3, 0.25), 0.4), 0.95)
    travel = _pace(part, 0.16)
    tall = 0.155
    items = [_standing(part, vehicles.car(lights_on), tall, look=look, travel=travel)]
    if lights_on:
        speed = part.side * travel * stage.unit
        x = part.x * stage.width - speed * stage.seconds / 2 + part.side * 1.38 * tall * stage.unit
        ground = part.stand.ground if part.stand.ground is not None else 0.88
        beam = Light(
            x=x,
            y=ground * stage.height - 0.44 * tall * stage.unit,
            radius=0.040 * stage.unit,
            colour=stage.palette.lamp,
            least=0.95,
            rate_hz=0.5,
            power=0.55,
            drift_x=speed,
        )
        items.append(Lights(depth=1.0, lights=(beam,)))
    return items


def _mirror_image(
    part: _Part, figure: Figure, x: float, foot: float, tall: float, depth: float, motion: Motion
) -> Drawable:
    """The figure upside down in the water below it, squat and faint."""
    stage = part.stage
    left, bottom, right, top = figure.box

    def pose(phase: float, look: Look) -> list[Part]:
        return [
            Part(outline=tuple((px, -0.55 * py) for px, py in piece.outline), colour=mix(piece.colour, look.dark, 0.35))
            for piece in figure.pose(phase, look)
        ]

    upside_down = replace(figure, pose=pose, box=(left, -0.55 * top, right, -0.55 * bottom))
    layer = figure_layer(
        stage,
        upside_down,
        part.look,
        x=x,
        foot=foot,
        tall=tall * part.share * stage.unit,
        depth=depth,
        motion=replace(motion, sway_y=0.0),
        facing=part.side,
    )
    return replace(layer, poses=tuple(planes.fainter(0.38) for planes in layer.poses))


def _afloat(
    figure: Callable[[], Figure], tall: float, line: float, depth: float, pace: float
) -> Callable[[_Part], list[Drawable]]:
    def act(part: _Part) -> list[Drawable]:
        stage = part.stage
        top = part.stand.water
        y = (top + (1.0 - top) * line) if top is not None else (part.stand.ground or 0.86)
        speed = part.side * _pace(part, pace) * stage.unit
        motion = Motion(drift_x=speed, sway_y=stage.unit * 0.005, period_s=4.2)
        x = (0.5 + (part.x - 0.5) * 1.1) * stage.width - speed * stage.seconds / 2
        mirrored = _mirror_image(part, figure(), x, y * stage.height, tall, depth, motion)
        return [
            mirrored,
            figure_layer(
                stage,
                figure(),
                part.look,
                x=x,
                foot=y * stage.height,
                tall=tall * part.share * stage.unit,
                depth=depth,
                motion=motion,
                facing=part.side,
            ),
        ]

    return act


def _train(part: _Part) -> list[Drawable]:
    look = (
        part.look
        if part.wanted.colour
        else look_of(part.stage, mix(part.stage.palette.accent, part.stage.palette.near, 0.35), 0.95)
    )
    return [_standing(part, vehicles.train(), 0.105, look=look, travel=_pace(part, 0.18), depth=0.98)]


def _in_air(figure: Callable[[], Figure], tall: float, pace: float, climb: float) -> Callable[[_Part], list[Drawable]]:
    def act(part: _Part) -> list[Drawable]:
        stage = part.stage
        speed = part.side * _pace(part, pace) * stage.unit
        rise = climb * stage.unit / max(1.0, stage.seconds / 4)
        motion = Motion(drift_x=speed, drift_y=-rise, sway_y=stage.unit * 0.004, period_s=5.0)
        air = part.stand.air if part.stand.air is not None else 0.40
        y = (air + 0.10) * stage.height + tall * 0.4 * stage.unit + rise * stage.seconds / 2
        x = (0.5 + part.side * -0.06) * stage.width - speed * stage.seconds / 2
        return [
            figure_layer(
                stage,
                figure(),
                part.look,
                x=x,
                foot=y,
                tall=tall * stage.unit,
                depth=0.6,
                motion=motion,
                facing=part.side,
            )
        ]

    return act


def _balloon(part: _Part) -> list[Drawable]:
    stage = part.stage
    items: list[Drawable] = []
    for index, (dx, dy, size, depth) in enumerate(
        ((0.25, -0.02, 0.13, 0.3), (-0.24, 0.03, 0.19, 0.4), (0.02, 0.12, 0.40, 0.6))
    ):
        drift = stage.unit * 0.010 * part.side * (0.6 + depth)
        motion = Motion(
            drift_x=drift,
            drift_y=-stage.unit * 0.004,
            sway_y=stage.unit * 0.005,
            period_s=6.0,
            phase=2.0 * index,
        )
        look = look_of(stage, None, depth + 0.3) if index != 2 else part.look
        air = part.stand.air if part.stand.air is not None else 0.35
        items.append(
            figure_layer(
                stage,
                aircraft.balloon(),
                look,
                x=(0.5 + dx * part.side) * stage.width - drift * stage.seconds / 2,
                foot=(air + dy + 0.16) * stage.height,
                tall=size * stage.unit,
                depth=depth,
                motion=motion,
                haze=0.35 * (0.6 - depth),
            )
        )
    return items


def _building(figure: Callable[[], Figure], tall: float, depth: float) -> Callable[[_Part], list[Drawable]]:
    def act(part: _Part) -> list[Drawable]:
        look = part.look if part.wanted.colour else look_of(part.stage, (0.62, 0.52, 0.46), 0.9)
        return [_standing(part, figure(), tall, depth=depth, look=look, facing=1)]

    return act


def _lighthouse(part: _Part) -> list[Drawable]:
    """The tower, and its lamp's glow when the light is low: once around in four seconds."""
    stage, tall, depth = part.stage, 0.52, 0.95
    items = _building(buildings.lighthouse, tall, depth)(part)
    if stage.palette.hour is not Hour.NOON:
        ground = part.stand.ground if part.stand.ground is not None else 0.88
        lamp = Light(
            x=part.x * stage.width,
            y=ground * stage.height - 0.862 * tall * part.share * stage.unit,
            radius=0.050 * stage.unit,
            colour=mix(stage.palette.lamp, (1, 1, 1), 0.35),
            least=0.10,
            rate_hz=0.25,
            phase=1.57,
            power=0.75,
        )
        items.append(Lights(depth=depth, lights=(lamp,)))
    return items


_ACTS: dict[Kind, Callable[[_Part], list[Drawable]]] = {
    Kind.CAT: _cat,
    Kind.DOG: _animal(animals.DOG, 0.24),
    Kind.HORSE: _animal(animals.HORSE, 0.38),
    Kind.DEER: _animal(animals.DEER, 0.36),
    Kind.ANIMAL: _animal(animals.FOX, 0.25),
    Kind.BIRD: _bird,
    Kind.FISH: _fish,
    Kind.PERSON: _person,
    Kind.PEOPLE: _people,
    Kind.PORTRAIT: _portrait,
    Kind.CAR: _car,
    Kind.BOAT: _afloat(vehicles.boat, 0.36, 0.36, 0.6, 0.022),
    Kind.SHIP: _afloat(vehicles.ship, 0.17, 0.10, 0.5, 0.018),
    Kind.TRAIN: _train,
    Kind.PLANE: _in_air(aircraft.plane, 0.17, 0.10, 0.03),
    Kind.ROCKET: _in_air(aircraft.rocket, 0.34, 0.0, 0.14),
    Kind.BALLOON: _balloon,
    Kind.LIGHTHOUSE: _lighthouse,
    Kind.HOUSE: _building(buildings.house, 0.24, 0.95),
}
assert set(_ACTS) == set(Kind) == set(_FARNESS), "every kind of figure has an act and a place in the order"

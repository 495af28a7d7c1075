"""Compose: from the words of a scene to its layers, from far to near.

Rooms, space and the deep have a recipe of their own. Every other scene is a landscape: sky, what stands at the
horizon, the ground or water before it, the strip in front, and figures on it.
"""

from functools import partial

from rushes.media.animatic.figures import Stand, cast
from rushes.media.animatic.layers import Drawable, Stage
from rushes.media.animatic.paint import Rgb, in_parallel, mix
from rushes.media.animatic.scenery.abstract import abstract
from rushes.media.animatic.scenery.city import roof_edge, street, towers
from rushes.media.animatic.scenery.deep import underwater, weed_front
from rushes.media.animatic.scenery.field import meadow, meadow_strip
from rushes.media.animatic.scenery.ground import Ground, Strip, ground_layer, strip_layer
from rushes.media.animatic.scenery.indoors import interior
from rushes.media.animatic.scenery.ridges import (
    SAND,
    SANDSTONE,
    SNOW,
    canyon,
    dunes,
    hills,
    is_snowy,
    mountains,
)
from rushes.media.animatic.scenery.sky import cloud_sea, sky
from rushes.media.animatic.scenery.space import space
from rushes.media.animatic.scenery.trees import GRASS_GREEN
from rushes.media.animatic.scenery.water import beach, swells, water
from rushes.media.animatic.scenery.woods import fireflies, forest, frame_of_trunks, lens_leaves, tree_line
from rushes.media.animatic.vocabulary import Extra, Kind, Place, Tone, Weather

ASPHALT: Rgb = (0.16, 0.16, 0.19)
_ROOMS = (Place.KITCHEN, Place.OFFICE, Place.ROOM)


def compose(stage: Stage) -> list[Drawable]:
    """All layers of the scene but weather and finish."""
    places = set(stage.scene.places) or _likely_places(stage)
    for room in _ROOMS:
        if room in places:
            return interior(stage, room) + cast(stage, Stand(ground=0.90, air=0.4, floor_depth=0.9))
    if Place.UNDERWATER in places:
        return underwater(stage) + cast(stage, Stand(ground=None, air=0.4)) + [weed_front(stage)]
    if Place.SPACE in places and not places & _GROUNDS:
        return space(stage) + cast(stage, Stand(ground=0.66, water=None, air=0.42))
    if not places and not stage.scene.weather and not stage.scene.extras:
        return abstract(stage) + cast(stage, Stand(ground=0.86))
    if places & {Place.FOREST, Place.JUNGLE} and not places & _OPEN:
        return _wood(stage, jungle=Place.JUNGLE in places)
    return _landscape(stage, places)


_GROUNDS = {
    Place.MOUNTAINS,
    Place.HILLS,
    Place.CANYON,
    Place.CITY,
    Place.STREET,
    Place.DESERT,
    Place.FIELD,
    Place.SEA,
    Place.LAKE,
    Place.BEACH,
    Place.FOREST,
    Place.JUNGLE,
    Place.SNOWFIELD,
}
_OPEN = {
    Place.MOUNTAINS,
    Place.HILLS,
    Place.LAKE,
    Place.SEA,
    Place.BEACH,
    Place.FIELD,
    Place.CITY,
    Place.DESERT,
    Place.CANYON,
}
_HOMES: dict[Kind, Place] = {
    Kind.CAT: Place.CITY,
    Kind.DOG: Place.FIELD,
    Kind.HORSE: Place.FIELD,
    Kind.DEER: Place.FOREST,
    Kind.ANIMAL: Place.HILLS,
    Kind.FISH: Place.UNDERWATER,
    Kind.BIRD: Place.SEA,
    Kind.CAR: Place.DESERT,
    Kind.BOAT: Place.SEA,
    Kind.SHIP: Place.SEA,
    Kind.TRAIN: Place.HILLS,
    Kind.PLANE: Place.SKY,
    Kind.ROCKET: Place.SPACE,
    Kind.BALLOON: Place.HILLS,
    Kind.LIGHTHOUSE: Place.SEA,
    Kind.HOUSE: Place.MOUNTAINS,
    Kind.PERSON: Place.HILLS,
    Kind.PEOPLE: Place.CITY,
    Kind.PORTRAIT: Place.HILLS,
}


def _likely_places(stage: Stage) -> set[Place]:
    """Where the figure is at home, if the prompt names no place."""
    if stage.scene.figures:
        return {_HOMES[stage.scene.figures[0].kind]}
    if Tone.NEON in stage.scene.tones:
        return {Place.CITY}
    if stage.scene.extras & {Extra.AURORA, Extra.STARS, Extra.MOON}:
        return {Place.MOUNTAINS}
    if Extra.FIREFLIES in stage.scene.extras:
        return {Place.FIELD}
    if Weather.SNOW in stage.scene.weather:
        return {Place.MOUNTAINS}
    if stage.scene.weather & {Weather.STORM}:
        return {Place.SEA}
    return {Place.HILLS} if stage.scene.weather or stage.scene.hour else set()


def _wood(stage: Stage, *, jungle: bool) -> list[Drawable]:
    items = forest(stage, jungle=jungle)
    items += cast(stage, Stand(ground=0.915, air=0.32))
    if Extra.FIREFLIES in stage.scene.extras:
        items.append(fireflies(stage))
    return [*items, frame_of_trunks(stage), lens_leaves(stage)]


def _landscape(stage: Stage, places: set[Place]) -> list[Drawable]:
    wet = bool(places & {Place.SEA, Place.LAKE, Place.BEACH})
    if wet or places & {Place.DESERT, Place.FIELD}:
        stage = stage.with_horizon(0.56)
    if Place.SKY in places and len(places) == 1:
        stage = stage.with_horizon(0.72)
    # The land does not need to be seen to be painted, unless water mirrors it.
    mirrored = wet or Place.STREET in places
    jobs = [partial(sky, stage), partial(_far, stage, places, wet)]
    if not mirrored:
        jobs.append(partial(_dry, stage, places))
    above, far, *land = in_parallel(jobs)
    items = [*above, *far]
    stand = _stand(stage, places)
    front = _waterside(stage, places, items) if wet else (land[0] if land else _street(stage, items))
    items += front
    afloat = {Kind.BOAT, Kind.SHIP} & {figure.kind for figure in stage.scene.figures}
    if stand.water is not None and afloat:
        # Boats lie on the far water, behind the swells and the shore.
        keep = 1 if front else 0
        boats = cast(stage, stand)
        items = items[: len(items) - len(front) + keep] + boats + items[len(items) - len(front) + keep :]
    else:
        items += cast(stage, stand)
    if Extra.FIREFLIES in stage.scene.extras:
        items.append(fireflies(stage))
    return items


def _far(stage: Stage, places: set[Place], wet: bool) -> list[Drawable]:
    """What stands at the horizon."""
    items: list[Drawable] = []
    if Place.MOUNTAINS in places:
        items += mountains(stage, count=3 if wet or len(places) > 1 else 4)
    elif Place.HILLS in places and wet:
        items += hills(stage, count=2)
    if Place.CANYON in places:
        items += canyon(stage)
    if Place.CITY in places and wet:
        items += towers(stage)[:4]
    if places & {Place.FOREST, Place.JUNGLE} and wet:
        leafy = Place.JUNGLE in places
        items.append(
            tree_line(stage, depth=0.38, foot=stage.horizon + 0.05, tall=0.13, name="shore trees", leafy=leafy)
        )
    return items


def _top_of_water(stage: Stage, places: set[Place]) -> float:
    return stage.horizon + (0.035 if len(places) > 1 else 0.01)


def _stand(stage: Stage, places: set[Place]) -> Stand:
    """Where this landscape has room for figures."""
    top = _top_of_water(stage, places)
    if Place.BEACH in places:
        return Stand(ground=0.915, water=top, air=0.30)
    if Place.LAKE in places and Weather.STORM not in stage.scene.weather:
        return Stand(ground=0.905, water=top, air=0.28)
    if places & {Place.SEA, Place.LAKE}:
        return Stand(ground=0.885, water=top, air=0.30)
    if Place.STREET in places:
        return Stand(ground=0.90, air=0.26)
    if Place.CITY in places:
        return Stand(ground=0.878, air=0.22)
    if places & {Place.DESERT, Place.CANYON}:
        return Stand(ground=0.89, air=0.28)
    if places == {Place.SKY}:
        return Stand(ground=0.9, air=0.36)
    if Place.MOUNTAINS in places and Place.FIELD not in places:
        return Stand(ground=0.885, air=0.25)
    return Stand(ground=0.875, air=0.28)


def _waterside(stage: Stage, places: set[Place], behind: list[Drawable]) -> list[Drawable]:
    """Water, and the shore in front of it."""
    top = _top_of_water(stage, places)
    still = Place.LAKE in places and Weather.STORM not in stage.scene.weather
    rough = 0.0 if Weather.STORM in stage.scene.weather else 0.25
    items: list[Drawable] = [water(stage, behind, top=top, calm=0.92 if still else rough)]
    aloft = (Kind.BOAT, Kind.SHIP, Kind.BIRD, Kind.PLANE, Kind.BALLOON, Kind.FISH)
    on_land = any(figure.kind not in aloft for figure in stage.scene.figures)
    if Place.BEACH in places:
        return items + beach(stage, top=0.80, sand=SAND)
    if still:
        if on_land or stage.chance.stream("shore").random() < 0.7:
            items.append(_shore(stage))
        return items
    items += swells(stage, top=top)
    if on_land:
        rock = Strip(material=(0.30, 0.28, 0.28), top=0.875, crown=0.10, rough=0.03, cover="none")
        items.append(strip_layer(stage, rock))
    return items


def _shore(stage: Stage) -> Drawable:
    snowy = is_snowy(stage)
    material = SNOW if snowy else GRASS_GREEN
    cover = "none" if snowy else "grass"
    return strip_layer(stage, Strip(material=material, top=0.90, crown=-0.05, cover=cover, cover_tall=0.06))


def _street(stage: Stage, behind: list[Drawable]) -> list[Drawable]:
    """Facades, and a wet road that mirrors them."""
    facades = street(stage)
    body = mix(ASPHALT, stage.palette.near, 0.6)
    road = water(stage, [*behind, *facades], top=stage.horizon + 0.085, calm=0.55, body=body, depth=0.8)
    return [*facades, road]


def _dry(stage: Stage, places: set[Place]) -> list[Drawable]:
    """The ground of a landscape without water, from the horizon to the strip in front."""
    snowy = is_snowy(stage)
    if Place.CITY in places:
        return [*towers(stage), roof_edge(stage, 0.875)]
    if Place.DESERT in places or Place.CANYON in places:
        sand = SANDSTONE if Place.CANYON in places and Place.DESERT not in places else SAND
        ridges = dunes(stage)
        strip = strip_layer(stage, Strip(material=sand, top=0.885, crown=0.02, rough=0.008, cover="none"))
        return [*(ridges[2:] if Place.CANYON in places else ridges), strip]
    if places == {Place.SKY}:
        return cloud_sea(stage, 0.66)
    if Place.FIELD in places:
        land = meadow(stage, far_hills=Place.MOUNTAINS not in places, snowy=snowy)
        return [*land, meadow_strip(stage, snowy=snowy)]
    if Place.MOUNTAINS in places:
        return _alpine(stage, snowy)
    if Place.SNOWFIELD in places:
        field = ground_layer(stage, Ground(depth=0.5, top=stage.horizon, material=SNOW, contrast=0.35), "snowfield")
        return [*mountains(stage, count=2, tall=0.22), field, meadow_strip(stage, snowy=True)]
    land = hills(stage, count=3, material=SNOW if snowy else GRASS_GREEN)
    foot = stage.horizon + 0.20
    trees = tree_line(stage, depth=0.60, foot=foot, tall=0.10, name="hill trees", leafy=not snowy)
    return [*land, trees, meadow_strip(stage, snowy=snowy)]


def _alpine(stage: Stage, snowy: bool) -> list[Drawable]:
    """Woods at the foot of the mountains, and a meadow in front."""
    far = tree_line(stage, depth=0.52, foot=stage.horizon + 0.16, tall=0.10, name="valley trees")
    near = tree_line(stage, depth=0.74, foot=stage.horizon + 0.28, tall=0.19, name="near trees")
    strip = Strip(
        material=SNOW if snowy else GRASS_GREEN,
        top=0.895,
        cover="none" if snowy else "grass",
        cover_tall=0.045,
    )
    return [far, near, strip_layer(stage, strip)]

"""What could make a model's videos in its place: the other models, by what they meet of it, their price and their rank.

Two models never do the same. So nothing is recommended here: each candidate is set beside the model that is asked for,
aspect by aspect, and what differs is said in words. The price is that of the same clip, which is bought in the nearest
size and the next longer length and then cropped and trimmed, as `prepare.py` does it. The rank is a public board's, of
`rankings.toml`, with its date; a model that no board lists has none, which says nothing about it.

All pure, save `look_up`, which asks the registry for names and keys.
"""

import tomllib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum
from functools import cache
from importlib.resources import files

from rushes.config import Written, nearest
from rushes.errors import ConfigError, RushesError, UnknownModel, Unsupported
from rushes.providers.catalog import Feature, Model, Order
from rushes.providers.prepare import LEAST_SIDE, MOST_SIDE, limited, limited_at, makes_size, nearest_size
from rushes.providers.registry import DRAFT, Registry
from rushes.video import ModelId, Size

DEFAULT_BOARD = "arena-t2v"
ITS_OWN = ("openai",)
"""Providers whose names are the model's own: where several have a model of one name, theirs is meant."""
IN_WORDS = {
    Feature.FIRST_FRAME: "first frame",
    Feature.LAST_FRAME: "last frame",
    Feature.REFERENCES: "references",
    Feature.CHARACTERS: "characters",
    Feature.REMIX: "remix",
    Feature.EDIT: "edit",
    Feature.EXTEND: "extension",
    Feature.SEED: "seed",
    Feature.NEGATIVE_PROMPT: "negative prompt",
    Feature.AUDIO_SWITCH: "switch for sound",
}
NEEDED = {Feature.FIRST_FRAME: "a first frame", Feature.LAST_FRAME: "a last frame", Feature.REFERENCES: "references"}


class Sort(StrEnum):
    FEATURES = "features"
    PRICE = "price"
    RANK = "rank"


class Met(Enum):
    """How far an aspect of the model that is asked for is met. The values are points."""

    FULLY = 2
    NEARLY = 1  # by work of our own around the provider's
    NOT = 0


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing that the model can do which is to be replaced, and what becomes of it. No words: all is as it was."""

    met: Met
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """What is compared: the same clip of every model."""

    size: Size
    seconds: int
    audio: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a public board says of a model."""

    board: str
    title: str
    day: str  # of the snapshot; some tell only the month
    score: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A model beside the one that it would replace."""

    model: Model
    size: Size  # really bought
    seconds: int
    too_short: bool  # it makes no clip of that length: the price is that of its longest
    usd: Decimal | None  # of the clip; None: unknown
    ratio: Decimal | None  # of the price of the model that is asked for; None: they cannot be compared
    aspects: tuple[Aspect, ...]
    standings: tuple[Standing, ...]  # the newest of each board

    @property
    def met(self) -> int:
        """How many aspects are met in full."""
        return sum(aspect.met is Met.FULLY for aspect in self.aspects)

    @property
    def points(self) -> int:
        return sum(aspect.met.value for aspect in self.aspects)

    @property
    def lacks(self) -> tuple[str, ...]:
        """What differs, in words: what is missing first."""
        told = sorted((aspect for aspect in self.aspects if aspect.words), key=lambda aspect: aspect.met.value)
        return tuple(aspect.words for aspect in told)

    def standing(self, board: str) -> Standing | None:
        return next((each for each in self.standings if each.board == board), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All that could be said to "what instead?"."""

    asked: Model
    clip: Clip
    usd: Decimal | None  # what the clip costs, or cost, of the model that is asked for
    standings: tuple[Standing, ...]
    replacements: tuple[Replacement, ...]
    keys: frozenset[str] = frozenset()  # providers that have a key, or need none


# -- public boards -----------------------------------------------------------------------------------


class Board(Written):
    """One snapshot of a board."""

    key: str
    title: str
    day: str
    source: str
    scores: dict[str, int]


class Rankings(Written):
    boards: tuple[Board, ...]
    ended: tuple[str, ...] = ()


@cache
def rankings() -> Rankings:
    text = files("rushes.providers").joinpath("rankings.toml").read_text(encoding="utf-8")
    return Rankings.model_validate(tomllib.loads(text))


def standings_of(ranked_as: str | None, boards: Iterable[Board]) -> tuple[Standing, ...]:
    """What the newest snapshot of each board that lists a model says of it."""
    newest: dict[str, Standing] = {}
    for board in sorted(boards, key=lambda board: board.day):
        if ranked_as in board.scores:
            score = board.scores[ranked_as]
            newest[board.key] = Standing(board=board.key, title=board.title, day=board.day, score=score)
    return tuple(newest.values())


# -- comparing ---------------------------------------------------------------------------------------


def compared(asked: Model, clip: Clip, models: Iterable[Model], boards: Collection[Board]) -> list[Replacement]:
    """Every model beside the one that is asked for, in no order."""
    usd = price_of(asked, clip)
    return [_beside(asked, clip, usd, model, boards) for model in models]


def _beside(asked: Model, clip: Clip, usd: Decimal | None, model: Model, boards: Collection[Board]) -> Replacement:
    size, seconds = bought(model, clip)
    own = price_of(model, clip)
    return Replacement(
        model=model,
        size=size,
        seconds=seconds,
        too_short=seconds < clip.seconds,
        usd=own,
        ratio=own / usd if usd and own is not None and seconds >= clip.seconds else None,
        aspects=tuple(_aspects(asked, clip, model, size, seconds)),
        standings=standings_of(model.ranked_as, boards),
    )


def ordered(found: Iterable[Replacement], sort: Sort = Sort.FEATURES, board: str = DEFAULT_BOARD) -> list[Replacement]:
    """The best first. What is unknown comes last, and the other two decide between equals."""

    def features(one: Replacement) -> tuple[int, ...]:
        return (-one.points,)

    def price(one: Replacement) -> tuple[bool, bool, Decimal]:
        return one.usd is None, one.too_short, one.usd or Decimal(0)

    def rank(one: Replacement) -> tuple[bool, int]:
        standing = one.standing(board)
        return standing is None, -standing.score if standing else 0

    keys = {
        Sort.FEATURES: (features, price, rank),
        Sort.PRICE: (price, features, rank),
        Sort.RANK: (rank, features, price),
    }[sort]
    return sorted(found, key=lambda one: (*(key(one) for key in keys), str(one.model.id)))


def living(models: Iterable[Model], asked: Model, serving: Collection[str], today: date) -> list[Model]:
    """Those that can be bought. `serving` names providers that are set up: only there may an ended model be alive."""
    ended = rankings().ended
    return [
        model
        for model in models
        if model.id != asked.id
        and model.id.provider != DRAFT.provider
        and not model.needs_source
        and (model.retired is None or model.retired > today)
        and (str(model.id) not in ended or model.id.provider in serving)
    ]


def bought(model: Model, clip: Clip) -> tuple[Size, int]:
    """The size and length that are bought for a clip; a length that is too long is cut to the longest."""
    has = frozenset(model.requires)
    model = limited(model, has)
    size = clip.size if makes_size(model, clip.size) else nearest_size(model, clip.size)
    lengths = limited_at(model, has, size).seconds
    return size, next((length for length in lengths if length >= clip.seconds), lengths[-1])


def price_of(model: Model, clip: Clip) -> Decimal | None:
    """What the clip costs, with sound where it is to have some. None: unknown."""
    size, seconds = bought(model, clip)
    asked = clip.audio if Feature.AUDIO_SWITCH in model.features else None
    order = Order(
        size=size,
        seconds=seconds,
        has=frozenset(model.requires),
        audio=model.has_sound(asked),
        pictures=len(model.requires),
    )
    return model.price(order)


def _aspects(asked: Model, clip: Clip, model: Model, size: Size, seconds: int) -> Iterable[Aspect]:
    further = [NEEDED[each] for each in model.requires if each not in asked.requires]
    yield Aspect(Met.NOT, f"needs {' and '.join(further)}") if further else Aspect(Met.FULLY)
    yield from (_feature(feature, asked, model) for feature in Feature if feature in asked.features)
    yield _sound(clip, model)
    yield _size(clip, size)
    yield _seconds(clip, seconds)


def _feature(feature: Feature, asked: Model, model: Model) -> Aspect:
    name = IN_WORDS[feature]
    if feature in model.features:
        if feature is Feature.EXTEND and (most := model.max_total_seconds) is not None:
            longer = asked.max_total_seconds is None or asked.max_total_seconds > most
            return Aspect(Met.FULLY, f"{name}: to {most} s in all" if longer else "")
        return Aspect(Met.FULLY)
    if feature is Feature.EXTEND and Feature.FIRST_FRAME in model.features:
        return Aspect(Met.NEARLY, f"{name}: joined here")
    if feature is Feature.REMIX:
        return Aspect(Met.NOT, "remix: made anew from both prompts")
    return Aspect(Met.NOT, f"no {name}")


def _sound(clip: Clip, model: Model) -> Aspect:
    makes, silent = model.sound != "never", model.sound != "always"
    if clip.audio:
        return Aspect(Met.FULLY) if makes else Aspect(Met.NOT, "no sound")
    return Aspect(Met.FULLY) if silent else Aspect(Met.NEARLY, "always with sound")


def _size(clip: Clip, size: Size) -> Aspect:
    if size == clip.size:
        return Aspect(Met.FULLY)
    shape = abs(float(size.aspect / clip.size.aspect) - 1) < 0.02
    larger = size.width >= clip.size.width and size.height >= clip.size.height
    done = "cropped" if not shape else "scaled down" if larger else "enlarged"
    return Aspect(Met.NEARLY, f"made in {size}, {done}")


def _seconds(clip: Clip, seconds: int) -> Aspect:
    if seconds == clip.seconds:
        return Aspect(Met.FULLY)
    if seconds > clip.seconds:
        return Aspect(Met.NEARLY, f"made {seconds} s long, trimmed")
    return Aspect(Met.NOT, f"no longer than {seconds} s")


# -- the catalogue -----------------------------------------------------------------------------------


def look_up(
    registry: Registry,
    name: str,
    *,
    today: date,
    size: Size | None = None,
    seconds: int | None = None,
    provider: str | None = None,
    sort: Sort = Sort.FEATURES,
    board: str = DEFAULT_BOARD,
) -> Answer:
    """What could be used instead of a model, of one provider or of all. Costs nothing, and asks nobody.

    Raises UnknownModel, ConfigError for an unknown provider or board, and Unsupported for a clip that is none.
    """
    boards = rankings().boards
    if board not in {each.key for each in boards}:
        raise ConfigError(f"There is no board {board!r}. There are: {', '.join(dict.fromkeys(b.key for b in boards))}.")
    if provider is not None:
        registry.provider(provider)
    asked = meant(registry, name)
    clip = Clip(size=size or asked.default_size, seconds=seconds or asked.default_seconds, audio=asked.has_sound(None))
    if not (min(clip.size) >= LEAST_SIDE and max(clip.size) <= MOST_SIDE):
        raise Unsupported(f"{clip.size} is no size of a video. Name sides from {LEAST_SIDE} to {MOST_SIDE}.")
    known = list(registry.catalog.models.values())
    keys = frozenset(name for name in {model.id.provider for model in known} if _has_key(registry, name))
    serving = [name for name in keys if registry.availability(name).usable]
    models = [
        _offered(registry, model)
        for model in living(known, asked, serving, today)
        if provider in (None, model.id.provider)
    ]
    return Answer(
        asked=asked,
        clip=clip,
        usd=price_of(asked, clip),
        standings=standings_of(asked.ranked_as, boards),
        replacements=tuple(ordered(compared(asked, clip, models, boards), sort, board)),
        keys=keys,
    )


def meant(registry: Registry, name: str) -> Model:
    """The model that a name means: an id, a model's own name (whatever the aliases make of it), or an alias."""
    catalog = registry.catalog.models
    same = [model for model in catalog.values() if model.id.model == name and model.id.provider != DRAFT.provider]
    if same:
        return min(same, key=lambda model: model.id.provider not in ITS_OWN)
    if name in registry.settings.aliases:
        return registry.choose(name).model
    try:
        model_id = ModelId.parse(name)
    except ValueError:
        ranked = next((model for model in catalog.values() if model.ranked_as == name), None)
        names = {*registry.settings.aliases, *(model.id.model for model in catalog.values())}
        if ranked is None and ":" not in name and (near := nearest(name, names)):
            raise UnknownModel(f"There is no model {name!r}. Did you mean {near}?") from None
        return ranked or registry.choose(name).model
    return catalog.get(model_id) or registry.model(model_id)


def _offered(registry: Registry, model: Model) -> Model:
    """The model as the settings have it: an account, or a host, may have prices of its own."""
    try:
        return registry.model(model.id)
    except RushesError:
        return model  # its provider is set up wrongly; what its table says still holds


def _has_key(registry: Registry, name: str) -> bool:
    try:
        provider = registry.provider(name)
    except RushesError:
        return False
    return bool(provider.key) or not provider.key_required

"""What each model can do and what it costs: the tables beside the providers, parsed into frozen `Model`s.

A table is data with a source and a date, because prices and limits change without notice. A file named in
`[catalog] extra` may replace or add models without waiting for a release.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from rushes.config import Written, read_written
from rushes.errors import ConfigError
from rushes.video import ModelId, Size, SourceKind


class Feature(StrEnum):
    """What a model can be asked for beyond a prompt."""

    FIRST_FRAME = "first_frame"
    LAST_FRAME = "last_frame"
    REFERENCES = "references"
    CHARACTERS = "characters"
    REMIX = "remix"
    EDIT = "edit"
    EXTEND = "extend"
    SEED = "seed"
    NEGATIVE_PROMPT = "negative_prompt"
    AUDIO_SWITCH = "audio_switch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is bought, as far as a price can hang on it."""

    size: Size
    seconds: int
    has: frozenset[Feature] = frozenset()
    audio: bool = True
    pictures: int = 0  # frames and reference pictures that go along
    clip_s: int = 0  # seconds of given clips, the source's included; each counted up to a whole one


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One line of a price list. It holds for orders that fit all its conditions; a condition that is not set is met.

    Dollars are per second that is made, or per video, or both; pictures and clips that go along may cost more.
    """

    usd_per_second: Decimal | None = None
    usd_per_video: Decimal | None = None
    sizes: tuple[Size, ...] = ()
    seconds: tuple[int, ...] = ()  # of what is made
    audio: bool | None = None
    has: frozenset[Feature] = frozenset()  # all of these are asked for
    clips: bool | None = None  # whether a clip goes along
    usd_per_picture: Decimal = Decimal(0)
    pictures_free: int = 0
    usd_per_clip_second: Decimal = Decimal(0)
    least_usd: Decimal = Decimal(0)

    def holds(self, order: Order) -> bool:
        return (
            (not self.sizes or order.size in self.sizes)
            and (not self.seconds or order.seconds in self.seconds)
            and self.audio in (None, order.audio)
            and self.clips in (None, order.clip_s > 0)
            and self.has <= order.has
        )

    def of(self, order: Order) -> Decimal:
        made = (self.usd_per_video or Decimal(0)) + (self.usd_per_second or Decimal(0)) * order.seconds
        pictures = self.usd_per_picture * max(0, order.pictures - self.pictures_free)
        return max(self.least_usd, made + pictures + self.usd_per_clip_second * order.clip_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What else is so in a certain case: when all of `has` is asked for, and the size is one of `at_sizes`.

    Empty means "as always"; what is set replaces what the model says.
    """

    has: frozenset[Feature] = frozenset()
    at_sizes: tuple[Size, ...] = ()  # only `seconds` can hang on the size
    sizes: tuple[Size, ...] = ()
    seconds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What pictures an API takes. Megabytes are counted as millions: the stricter reading."""

    kinds: tuple[str, ...] = ()  # `png`, `jpeg`, `webp`; empty: not said
    max_mb: float | None = None
    min_side: int = 1
    max_side: int | None = None
    max_aspect: float | None = None  # the longer side, in lengths of the shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What one model makes. `sizes` empty means any even size up to `max_side`."""

    id: ModelId
    title: str
    sizes: tuple[Size, ...]
    seconds: tuple[int, ...]  # every allowed length, ascending
    default_size: Size
    default_seconds: int
    features: frozenset[Feature]
    requires: tuple[Feature, ...] = ()  # without these it makes nothing: pictures that it starts from
    needs_source: bool = False  # it only changes earlier videos and clips
    prices: tuple[Price, ...] = ()
    prompt_max: int = 32000
    max_side: int = 4096
    first_frame_exact: bool = False  # the picture must have just the size of the video
    max_references: int = 16
    max_reference_clips: int | None = None  # of the references; None: not said
    frames_or_references: bool = False  # first and last frame exclude references
    last_frame_needs_first: bool = False
    pictures: Pictures = Pictures()
    limits: tuple[Limit, ...] = ()
    max_characters: int = 2
    source_files: frozenset[SourceKind] = frozenset()  # for these it takes the file of any video, not only its own
    max_extensions: int | None = None  # how often one video can be extended; None: not said
    max_total_seconds: int | None = None  # how long an extended video may become
    sound: str = "always"  # always | optional | never
    sound_default: bool | None = None  # what is sent where nobody asked; None: that is left to the provider
    source: str = ""
    read: date | None = None
    retired: date | None = None
    successor: str | None = None
    note: str | None = None
    deadline_s: float | None = None
    deterministic: bool = False  # equal requests give equal pictures, so repeats need seeds of their own
    trained: bool = True  # learnt from examples; False: an algorithm that somebody wrote
    typical_s: float | None = None  # how long one takes to be made, as somebody measured it
    ranked_as: str | None = None  # its name on the public boards of `rankings.toml`
    unverified: tuple[str, ...] = ()  # what of this entry rests on one weak source, in words for the docs
    wire: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)  # the provider's own business

    def price(self, order: Order) -> Decimal | None:
        """The price of one video in dollars; None when no line of the list fits."""
        return next((line.of(order) for line in self.prices if line.holds(order)), None)

    def price_of(self, size: Size, seconds: int) -> Decimal | None:
        """The price of a video from a prompt alone."""
        return self.price(Order(size=size, seconds=seconds, audio=self.has_sound(None)))

    def has_sound(self, asked: bool | None) -> bool:
        """Whether the video will have sound, if this is asked for."""
        if self.sound != "optional":
            return self.sound == "always"
        default = True if self.sound_default is None else self.sound_default
        return default if asked is None else asked


class SecondsRange(Written):
    min: Annotated[int, Field(ge=1)]
    max: Annotated[int, Field(ge=1)]
    step: Annotated[int, Field(ge=1)] = 1


Lengths = tuple[int, ...] | SecondsRange
Dollars = Annotated[Decimal, Field(ge=0)]


class PriceRow(Written):
    """A `Price`, as it is written."""

    usd_per_second: Dollars | None = None
    usd_per_video: Dollars | None = None
    sizes: tuple[str, ...] = ()
    seconds: Lengths = ()
    audio: bool | None = None
    has: tuple[Feature, ...] = ()
    clips: bool | None = None
    usd_per_picture: Dollars = Decimal(0)
    pictures_free: int = 0
    usd_per_clip_second: Dollars = Decimal(0)
    least_usd: Dollars = Decimal(0)


class LimitRow(Written):
    """A `Limit`, as it is written."""

    has: tuple[Feature, ...] = ()
    at_sizes: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    seconds: Lengths = ()


class PicturesRow(Written):
    """`Pictures`, as they are written."""

    kinds: tuple[Literal["png", "jpeg", "webp"], ...] = ()
    max_mb: Annotated[float, Field(gt=0)] | None = None
    min_side: Annotated[int, Field(ge=1)] = 1
    max_side: int | None = None
    max_aspect: Annotated[float, Field(ge=1)] | None = None


class ModelRow(Written):
    """One `[[models]]` of a table."""

    name: str
    title: str
    sizes: tuple[str, ...] = ()
    seconds: Lengths
    default_size: str
    default_seconds: int
    features: tuple[Feature, ...] = ()
    requires: tuple[Literal[Feature.FIRST_FRAME, Feature.LAST_FRAME, Feature.REFERENCES], ...] = ()
    needs_source: bool = False
    prices: tuple[PriceRow, ...] = ()
    prompt_max: int = 32000
    max_side: int = 4096
    first_frame_exact: bool = False
    max_references: int = 16
    max_reference_clips: int | None = None
    frames_or_references: bool = False
    last_frame_needs_first: bool = False
    pictures: PicturesRow = PicturesRow()
    limits: tuple[LimitRow, ...] = ()
    max_characters: int = 2
    source_files: tuple[SourceKind, ...] = ()
    max_extensions: int | None = None
    max_total_seconds: int | None = None
    sound: Literal["always", "optional", "never"] = "always"
    sound_default: bool | None = None
    source: str = ""
    read: date | None = None
    retired: date | None = None
    successor: str | None = None
    note: str | None = None
    deadline_s: float | None = None
    deterministic: bool = False
    trained: bool = True
    typical_s: Annotated[float, Field(gt=0)] | None = None
    ranked_as: str | None = None
    unverified: tuple[str, ...] = ()
    wire: dict[str, Any] = Field(default_factory=dict[str, Any])


class Table(Written):
    """A provider's table: `<name>.toml`."""

    models: tuple[ModelRow, ...] = ()


class ExtraFile(Written):
    """`[catalog] extra`: models by provider, newer than this release."""

    providers: dict[str, Table] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All models that are known by name, in the order of the tables."""

    models: Mapping[ModelId, Model] = field(default_factory=dict[ModelId, Model])

    def of(self, provider: str) -> list[Model]:
        return [model for model in self.models.values() if model.id.provider == provider]

    def merged(self, newer: Iterable[Model]) -> "Catalog":
        return Catalog({**self.models, **{model.id: model for model in newer}})


def read_table(provider: str, package: str = "rushes.providers") -> list[Model]:
    """The models of a built-in or installed provider; the table lies beside its module."""
    resource = files(package).joinpath(f"{provider}.toml")
    return parse_table(provider, tomllib.loads(resource.read_text(encoding="utf-8")), f"{provider}.toml")


def read_extra(path: Path) -> list[Model]:
    """The models of `[catalog] extra`. Raises ConfigError."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"[catalog] extra: {path} cannot be read: {error}") from error
    extra = read_written(ExtraFile, data, str(path))
    return [_model(name, row, str(path)) for name, table in extra.providers.items() for row in table.models]


def parse_table(provider: str, data: Mapping[str, Any], where: str) -> list[Model]:
    """Validate one table. Raises ConfigError naming the place."""
    table = read_written(Table, data, where)
    return [_model(provider, row, where) for row in table.models]


SAME_IN_BOTH = tuple(
    name
    for name in ModelRow.model_fields
    if name
    not in {"name", "sizes", "seconds", "default_size", "features", "prices", "pictures", "limits", "source_files"}
)
"""Fields that mean in a row just what they mean in a `Model`."""


def _model(provider: str, row: ModelRow, where: str) -> Model:
    try:
        model = Model(
            id=ModelId(provider, row.name),
            sizes=_sizes(row.sizes),
            seconds=_lengths(row.seconds),
            default_size=Size.parse(row.default_size),
            features=frozenset(row.features) | frozenset(row.requires),
            prices=tuple(_price(price) for price in row.prices),
            pictures=Pictures(**row.pictures.model_dump()),
            limits=tuple(_limit(limit) for limit in row.limits),
            source_files=frozenset(row.source_files),
            **{name: getattr(row, name) for name in SAME_IN_BOTH},
        )
    except ValueError as error:
        raise ConfigError(f"{where}: {row.name}: {error}") from error
    if model.default_seconds not in model.seconds or (model.sizes and model.default_size not in model.sizes):
        raise ConfigError(f"{where}: {row.name}: its default is not among what it makes.")
    return model


def _sizes(texts: Iterable[str]) -> tuple[Size, ...]:
    return tuple(Size.parse(text) for text in texts)


def _lengths(lengths: Lengths) -> tuple[int, ...]:
    if isinstance(lengths, SecondsRange):
        return tuple(range(lengths.min, lengths.max + 1, lengths.step))
    return tuple(sorted(lengths))


def _price(row: PriceRow) -> Price:
    rest = row.model_dump(exclude={"sizes", "seconds", "has"})
    return Price(sizes=_sizes(row.sizes), seconds=_lengths(row.seconds), has=frozenset(row.has), **rest)


def _limit(row: LimitRow) -> Limit:
    return Limit(
        has=frozenset(row.has),
        at_sizes=_sizes(row.at_sizes),
        sizes=_sizes(row.sizes),
        seconds=_lengths(row.seconds),
    )


def open_model(model_id: ModelId, usd_per_second: Decimal | None) -> Model:
    """A model that no table knows, on a server of one's own: everything is allowed, and the server decides."""
    return Model(
        id=model_id,
        title=model_id.model,
        sizes=(),
        seconds=tuple(range(1, 601)),
        default_size=Size(1280, 720),
        default_seconds=8,
        features=frozenset(Feature),
        source_files=frozenset({SourceKind.EDIT, SourceKind.EXTEND}),
        prices=(Price(usd_per_second=usd_per_second),) if usd_per_second is not None else (),
        max_side=8192,
    )

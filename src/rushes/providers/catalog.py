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
class Price:
    """One line of a price list: dollars per second, or per video, for some sizes (none named: all)."""

    usd_per_second: Decimal | None = None
    usd_per_video: Decimal | None = None
    sizes: tuple[Size, ...] = ()

    def of(self, seconds: int) -> Decimal:
        return (self.usd_per_video or Decimal(0)) + (self.usd_per_second or Decimal(0)) * seconds


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
    prices: tuple[Price, ...] = ()
    prompt_max: int = 32000
    max_side: int = 4096
    first_frame_exact: bool = False  # the picture must have just the size of the video
    max_references: int = 16
    max_characters: int = 2
    source_files: frozenset[SourceKind] = frozenset()  # for these it takes the file of any video, not only its own
    max_extensions: int | None = None  # how often one video can be extended; None: not said
    max_total_seconds: int | None = None  # how long an extended video may become
    sound: str = "always"  # always | optional | never
    source: str = ""
    read: date | None = None
    retired: date | None = None
    successor: str | None = None
    note: str | None = None
    deadline_s: float | None = None
    deterministic: bool = False  # equal requests give equal pictures, so repeats need seeds of their own
    trained: bool = True  # learnt from examples; False: an algorithm that somebody wrote

    def price(self, size: Size, seconds: int) -> Decimal | None:
        """The price of one video in dollars; None when no line of the list fits."""
        for line in self.prices:
            if not line.sizes or size in line.sizes:
                return line.of(seconds)
        return None


class PriceRow(Written):
    usd_per_second: Decimal | None = None
    usd_per_video: Decimal | None = None
    sizes: tuple[str, ...] = ()


class SecondsRange(Written):
    min: Annotated[int, Field(ge=1)]
    max: Annotated[int, Field(ge=1)]
    step: Annotated[int, Field(ge=1)] = 1


class ModelRow(Written):
    """One `[[models]]` of a table."""

    name: str
    title: str
    sizes: tuple[str, ...] = ()
    seconds: tuple[int, ...] | SecondsRange
    default_size: str
    default_seconds: int
    features: tuple[Feature, ...] = ()
    requires: tuple[Literal[Feature.FIRST_FRAME, Feature.LAST_FRAME, Feature.REFERENCES], ...] = ()
    prices: tuple[PriceRow, ...] = ()
    prompt_max: int = 32000
    max_side: int = 4096
    first_frame_exact: bool = False
    max_references: int = 16
    max_characters: int = 2
    source_files: tuple[SourceKind, ...] = ()
    max_extensions: int | None = None
    max_total_seconds: int | None = None
    sound: str = "always"
    source: str = ""
    read: date | None = None
    retired: date | None = None
    successor: str | None = None
    note: str | None = None
    deadline_s: float | None = None
    deterministic: bool = False
    trained: bool = True


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


def _model(provider: str, row: ModelRow, where: str) -> Model:
    try:
        seconds = row.seconds if isinstance(row.seconds, tuple) else _steps(row.seconds)
        model = Model(
            id=ModelId(provider, row.name),
            title=row.title,
            sizes=tuple(Size.parse(text) for text in row.sizes),
            seconds=tuple(sorted(seconds)),
            default_size=Size.parse(row.default_size),
            default_seconds=row.default_seconds,
            features=frozenset(row.features) | frozenset(row.requires),
            requires=row.requires,
            prices=tuple(_price(price) for price in row.prices),
            prompt_max=row.prompt_max,
            max_side=row.max_side,
            first_frame_exact=row.first_frame_exact,
            max_references=row.max_references,
            max_characters=row.max_characters,
            source_files=frozenset(row.source_files),
            max_extensions=row.max_extensions,
            max_total_seconds=row.max_total_seconds,
            sound=row.sound,
            source=row.source,
            read=row.read,
            retired=row.retired,
            successor=row.successor,
            note=row.note,
            deadline_s=row.deadline_s,
            deterministic=row.deterministic,
            trained=row.trained,
        )
    except ValueError as error:
        raise ConfigError(f"{where}: {row.name}: {error}") from error
    if model.default_seconds not in model.seconds or (model.sizes and model.default_size not in model.sizes):
        raise ConfigError(f"{where}: {row.name}: its default is not among what it makes.")
    return model


def _steps(span: SecondsRange) -> tuple[int, ...]:
    return tuple(range(span.min, span.max + 1, span.step))


def _price(row: PriceRow) -> Price:
    return Price(
        usd_per_second=row.usd_per_second,
        usd_per_video=row.usd_per_video,
        sizes=tuple(Size.parse(text) for text in row.sizes),
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

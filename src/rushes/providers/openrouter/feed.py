"""OpenRouter's feed of video models (`GET /videos/models`), read into rows of our table. All pure.

The feed tells lengths, sizes and prices of each model, and changes often; the table in this package is a copy of a part
of it. A price stands under a dozen names. One that is not understood leaves the model without a price, which is
"unknown": a wrong guess would be a wrong promise.

Source: openrouter.ai/docs (video generation guide), the package `openrouter` 1.3.84, read 2026-11-20; names of prices
as a public copy of the feed of 2026-10-09 has them. Not documented: how many tokens a second has. With 24 frames of a
1024th of their pixels each the feed's Seedance prices come out as those that the model pages show.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, NamedTuple, cast

from pydantic import BeforeValidator, Field, ValidationError

from rushes.providers.catalog import Model
from rushes.providers.incoming import Incoming, Text, Texts, read_object, read_objects
from rushes.providers.shapes import tier_by_side
from rushes.video import Size

SIDES: Mapping[str, int] = {
    "360p": 360,
    "480p": 480,
    "720p": 720,
    "768p": 768,
    "1K": 1024,
    "1080p": 1080,
    "2K": 1440,
    "4K": 2160,
}
"""The shorter side of each resolution; where the feed tells no sizes in pixels these are the obvious ones."""
TOKENS_A_PIXEL_SECOND = Decimal(24) / 1024
LIKED_SECONDS = 5
LIKED_SIZE = Size(1280, 720)
CENTS = ("cents_per_video_output_second", "cents_per_second_output")
KNOWN = re.compile(
    r"(text_to_video_|image_to_video_)?duration_seconds(_with_audio|_without_audio)?(_\d+p|_\dk)?"
    r"|cents_per_(video_output_second|second_output)(_\d+p|_\dk)?"
    r"|video_tokens(_\d+p|_\dk)?(_without_audio|_with_video_input)?"
    r"|cents_per_image_input|reference_images|minimum_cents_per_generation"
    r"|cents_per_second_video_continuation(_\d+p|_\dk)?"  # not asked for from here
)
"""Names of prices that are understood."""


def _lengths(value: Any) -> tuple[int, ...]:
    entries = cast(list[Any], value) if isinstance(value, list) else []
    return tuple(sorted({each for each in entries if type(each) is int and each > 0}))


def _skus(value: Any) -> dict[str, Decimal | None]:
    """Dollars or cents by name; None for what is no number."""
    told: dict[str, Decimal | None] = {}
    for name, price in read_object(value).items():
        try:
            told[str(name)] = Decimal(str(price))
        except InvalidOperation:
            told[str(name)] = None
    return told


class FeedModel(Incoming):
    """A model as the feed tells it. What is null there is not said."""

    id: Annotated[str, Field(min_length=1)]
    name: Text = None
    supported_durations: Annotated[tuple[int, ...], BeforeValidator(_lengths)] = ()
    supported_resolutions: Texts = ()
    supported_aspect_ratios: Texts = ()
    supported_sizes: Texts = ()
    supported_frame_images: Texts = ()
    input_modalities: Texts = ()
    generate_audio: bool | None = None
    seed: bool | None = None
    pricing_skus: Annotated[Mapping[str, Decimal | None], BeforeValidator(_skus)] = Field(
        default_factory=dict[str, Decimal | None]
    )


class Format(NamedTuple):
    size: Size
    resolution: str


def read_feed(data: Any) -> list[FeedModel]:
    """The models of a feed. Raises ValueError for what is none; a model that cannot be read is left out."""
    entries = read_objects(read_object(data).get("data"))
    if not entries:
        raise ValueError("it has no list of models under `data`")
    models: list[FeedModel] = []
    for entry in entries:
        try:
            models.append(FeedModel.model_validate(entry))
        except ValidationError:
            continue
    return models


def rows_of(feed: Iterable[FeedModel], today: date) -> list[dict[str, Any]]:
    """Rows of the table for the models that make videos from words or pictures."""
    return [row for model in feed if (row := row_of(model, today)) is not None]


def row_of(model: FeedModel, today: date) -> dict[str, Any] | None:
    """One row; None for a model without lengths or sizes of its own: such a one works on given clips alone."""
    formats = formats_of(model)
    if not formats or not model.supported_durations:
        return None
    sizes = [str(each.size) for each in formats]
    clips = "video_tokens_with_video_input" in model.pricing_skus
    references = "video" in model.input_modalities  # those that know frames alone take no video either
    frames = [frame for frame in ("first_frame", "last_frame") if frame in model.supported_frame_images]
    features = [*frames, *(["references"] if references else []), *(["seed"] if model.seed else [])]
    row: dict[str, Any] = {
        "name": model.id,
        "title": (model.name or model.id).rpartition(": ")[2],
        "sizes": sizes,
        "seconds": _written_lengths(model.supported_durations),
        "default_size": str(min((each.size for each in formats), key=_from_liked)),
        "default_seconds": min(model.supported_durations, key=lambda each: (abs(each - LIKED_SECONDS), each)),
        "features": [*features, *(["audio_switch"] if model.generate_audio else [])],
        "first_frame_exact": True,
        "frames_or_references": True,
        "last_frame_needs_first": True,
        "sound": {True: "optional", False: "never", None: "always"}[model.generate_audio],
        "source": "https://openrouter.ai/api/v1/videos/models",
        "read": today,
        "prices": prices_of(model, formats, clips=clips),
    }
    if wire := wire_of(model):
        row["wire"] = wire
    if model.generate_audio:
        row["sound_default"] = True
    if references:
        row |= {"max_references": 9, "max_reference_clips": 3 if clips else 0}
    return row


def _written_lengths(seconds: Sequence[int]) -> Any:
    first, last = seconds[0], seconds[-1]
    return {"min": first, "max": last} if list(seconds) == list(range(first, last + 1)) else list(seconds)


def _from_liked(size: Size) -> tuple[bool, int]:
    """How far a size is from the usual one: first in shape, then in pixels."""
    other_shape = abs(size.aspect / LIKED_SIZE.aspect - 1) > 0.01
    return other_shape, abs(size.width * size.height - LIKED_SIZE.width * LIKED_SIZE.height)


def wire_of(model: FeedModel) -> dict[str, Any]:
    """How a size is told: in pixels where the feed names them, else by resolution and ratio."""
    if model.supported_sizes:
        return {}
    return {
        "resolutions": [each for each in model.supported_resolutions if each in SIDES],
        "ratios": list(model.supported_aspect_ratios),
    }


def formats_of(model: FeedModel) -> list[Format]:
    """Every size that a model makes, with the resolution that its price hangs on."""
    tiers = {each: SIDES[each] for each in model.supported_resolutions if each in SIDES}
    if not tiers:
        return []
    if model.supported_sizes:
        read = [Size.parse(text) for text in model.supported_sizes if re.fullmatch(r"\d{2,5}x\d{2,5}", text)]
        return [Format(size, tier_by_side(size, tiers)) for size in read]
    ratios = [each for each in model.supported_aspect_ratios if re.fullmatch(r"\d{1,2}:\d{1,2}", each)]
    return [Format(_pixels(side, ratio), resolution) for resolution, side in tiers.items() for ratio in ratios]


def _pixels(side: int, ratio: str) -> Size:
    width, height = (int(part) for part in ratio.split(":"))
    longer = round(side * max(width, height) / min(width, height) / 2) * 2
    return Size(longer, side) if width >= height else Size(side, longer)


def prices_of(model: FeedModel, formats: Sequence[Format], *, clips: bool) -> list[dict[str, Any]]:
    """Lines of a price list; none at all where one name is not understood or one size has no price."""
    skus = model.pricing_skus
    told = {name: price for name, price in skus.items() if price is not None}
    if len(told) < len(skus) or not all(KNOWN.fullmatch(name.lower()) for name in told):
        return []
    lines: list[dict[str, Any]] = []
    switches = (True, False) if model.generate_audio else (None,)
    kinds: tuple[tuple[str, ...], ...] = (("references",), ("first_frame",), ()) if "reference_images" in told else ()
    for audio in switches:
        for has in kinds or (("first_frame",), ()):
            for usd, sizes in _by_price(told, formats, audio, "first_frame" in has).items():
                if usd is None:
                    return []
                lines.append(_line(told, usd, sizes, audio, has))
    given = _with_clips(told, formats) if clips else []
    if not clips:
        return _merged(lines)
    return [*({**line, "clips": True} for line in given), *({**line, "clips": False} for line in _merged(lines))]


def _line(
    told: Mapping[str, Decimal], usd: Decimal, sizes: list[str], audio: bool | None, has: tuple[str, ...]
) -> dict[str, Any]:
    line: dict[str, Any] = {"sizes": sizes, "usd_per_second": _written(usd)}
    if audio is not None:
        line["audio"] = audio
    if has:
        line["has"] = list(has)
    a_picture = told.get("cents_per_image_input", Decimal(0)) / 100
    if "references" in has:
        a_picture += told["reference_images"]
    if a_picture:
        line["usd_per_picture"] = _written(a_picture)
    if least := told.get("minimum_cents_per_generation"):
        line["least_usd"] = _written(least / 100)
    return line


def _by_price(
    told: Mapping[str, Decimal], formats: Sequence[Format], audio: bool | None, pictured: bool
) -> dict[Decimal | None, list[str]]:
    found: dict[Decimal | None, list[str]] = {}
    for each in formats:
        found.setdefault(usd_a_second(told, each, audio, pictured), []).append(str(each.size))
    return found


def usd_a_second(told: Mapping[str, Decimal], made: Format, audio: bool | None, pictured: bool) -> Decimal | None:
    """The price of a second: the most particular name that is told."""
    tier = made.resolution.lower()
    sound = "without_audio" if audio is False else "with_audio"
    names = [f"duration_seconds_{sound}_{tier}", f"duration_seconds_{sound}"]
    names += [f"image_to_video_duration_seconds_{tier}"] if pictured else []
    names += [f"text_to_video_duration_seconds_{tier}", f"duration_seconds_{tier}", "duration_seconds"]
    if usd := next((told[name] for name in names if name in told), None):
        return usd
    in_cents = [name for base in CENTS for name in (f"{base}_{tier}", base)]
    if cents := next((told[name] for name in in_cents if name in told), None):
        return cents / 100
    tokens = [f"video_tokens_{tier}", "video_tokens"]
    tokens = ["video_tokens_without_audio", *tokens] if audio is False and tokens[0] not in told else tokens
    a_token = next((told[name] for name in tokens if name in told), None)
    return None if a_token is None else a_token * made.size.width * made.size.height * TOKENS_A_PIXEL_SECOND


def _with_clips(told: Mapping[str, Decimal], formats: Sequence[Format]) -> list[dict[str, Any]]:
    """With a given clip tokens are cheaper, and those of the clip are counted, too."""
    lines: list[dict[str, Any]] = []
    for each in formats:
        name = f"video_tokens_{each.resolution.lower()}_with_video_input"
        a_token = told.get(name, told["video_tokens_with_video_input"])
        usd = _written(a_token * each.size.width * each.size.height * TOKENS_A_PIXEL_SECOND)
        lines.append({"sizes": [str(each.size)], "usd_per_second": usd, "usd_per_clip_second": usd})
    return _merged(lines)


def _merged(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of one price as one, and none that a later one repeats without its condition."""
    merged: list[dict[str, Any]] = []
    for line in lines:
        same = next((each for each in merged if {**each, "sizes": []} == {**line, "sizes": []}), None)
        if same is None:
            merged.append({**line, "sizes": list(line["sizes"])})
        else:
            same["sizes"] += line["sizes"]
    plain = [{name: value for name, value in each.items() if name != "has"} for each in merged]
    lean = [each for n, each in enumerate(merged) if "has" not in each or plain[n] not in merged]
    silent = [{name: value for name, value in each.items() if name != "audio"} for each in lean]
    if all(silent.count(each) == 2 for each in silent):
        return [each for n, each in enumerate(silent) if each not in silent[:n]]
    return lean


def _written(usd: Decimal) -> str:
    return format(usd.normalize(), "f")


def to_toml(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as a file for `[catalog] extra`."""
    blocks = [
        "\n".join(["[[providers.openrouter.models]]", *(f"{name} = {_toml(value)}" for name, value in row.items())])
        for row in rows
    ]
    return "\n\n".join(blocks) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        entries = cast(Mapping[str, Any], value).items()
        return "{ " + ", ".join(f"{name} = {_toml(each)}" for name, each in entries) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each) for each in cast(list[Any], value)) + "]"
    if isinstance(value, bool | int | str):
        return json.dumps(value, ensure_ascii=False)
    return str(value)  # a date


def changes(known: Iterable[Model], newer: Iterable[Model]) -> list[str]:
    """What the feed tells otherwise than the table, a line each."""
    told = {model.id: model for model in newer}
    listed = {model.id: model for model in known}
    lines = [f"new: {name}" for name in told if name not in listed]
    for name, model in listed.items():
        other = told.get(name)
        if other is None:
            lines.append(f"not in the feed: {name}")
            continue
        same = {
            "sizes": set(model.sizes) == set(other.sizes),
            "seconds": model.seconds == other.seconds,
            "features": model.features == other.features,
            "sound": model.sound == other.sound,
            "price": all(model.price_of(size, 10) == other.price_of(size, 10) for size in {*model.sizes, *other.sizes}),
        }
        if differs := [field for field, equal in same.items() if not equal]:
            lines.append(f"changed: {name}: {', '.join(differs)}")
    return lines

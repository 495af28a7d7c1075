"""From a request to what will be bought: pure, and before anything else happens.

The fingerprint, the hold and the bytes on the wire all start from `Prepared`, so what was shown as the price is
what is sent. A parameter that the model cannot meet is refused (strict) or met as nearly as can be (nearest), and
each change is an `Adjustment` that the user sees.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from rushes.errors import Unsupported
from rushes.providers.catalog import Feature, Model
from rushes.video import Adjustment, MediaRef, Size, SourceKind, SourceVideo, VideoRequest

LEAST_SIDE, MOST_SIDE = 16, 4096
"""Of what is made here out of what was bought: scaling it to more is work without end."""

IN_WORDS = {SourceKind.REMIX: "A remix", SourceKind.EDIT: "An edit", SourceKind.EXTEND: "An extension"}

HOW_TO_ADD = {
    Feature.FIRST_FRAME: "a first_frame (--image)",
    Feature.LAST_FRAME: "a last_frame (--last-image)",
    Feature.REFERENCES: "one or more references (--reference)",
}


class Misfit(StrEnum):
    """What to do with a parameter that the model cannot meet."""

    STRICT = "strict"
    NEAREST = "nearest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Work of our own around the provider's: on the given picture before, on the video after. None: nothing to do."""

    first_frame: Size | None = None  # scale and crop the given picture to this
    last_frame: Size | None = None
    size: Size | None = None  # scale and crop the video to this
    seconds: int | None = None  # trim the video to this

    @property
    def of_video(self) -> bool:
        return self.size is not None or self.seconds is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request with nothing left open: defaults filled, changes named, the price known or known not to be."""

    request: VideoRequest
    adjustments: tuple[Adjustment, ...] = ()
    estimate_usd: Decimal | None = None  # None: unknown, never to be read as free
    fit: Fit = Fit()


def prepare(
    request: VideoRequest,
    model: Model,
    *,
    misfit: Misfit = Misfit.STRICT,
    ours: Collection[str] = (),
    slot: int = 0,
    today: date,
) -> Prepared:
    """Check a request against a model and fill what was left open.

    `ours` names fields (`size`, `seconds`) whose values the face chose, not the user: those are always fitted.
    `slot` numbers the repeats of one request; each gets a seed of its own.
    Raises Unsupported with what is allowed.
    """
    _check_model(model, today)
    _check_prompt(request, model)
    _check_features(request, model)
    model = _check_source(request, model, misfit, ours)
    size, size_notes, crop = _fit_size(request, model, misfit, "size" in ours)
    seconds, seconds_notes, trim = _fit_seconds(request, model, misfit, "seconds" in ours)
    if trim is not None and request.source is not None and request.source.kind is SourceKind.EXTEND:
        trim += request.source.seconds  # what comes back is the whole
    first, first_notes = _fit_frame("first_frame", request.first_frame, size, model, misfit)
    last, last_notes = _fit_frame("last_frame", request.last_frame, size, model, misfit)
    return Prepared(
        request=replace(request, model=model.id, size=size, seconds=seconds, seed=_seed(request, model, slot)),
        adjustments=(*size_notes, *seconds_notes, *first_notes, *last_notes),
        estimate_usd=model.price(size, seconds),
        fit=Fit(first_frame=first, last_frame=last, size=crop, seconds=trim),
    )


def _seed(request: VideoRequest, model: Model, slot: int) -> int | None:
    if request.seed is not None:
        return request.seed + slot
    return slot if model.deterministic else None


def _check_model(model: Model, today: date) -> None:
    if model.retired and model.retired <= today:
        instead = f" Use {model.successor} instead." if model.successor else " See: rushes models"
        raise Unsupported(f"{model.id} was retired on {model.retired.isoformat()}.{instead}")


def _check_prompt(request: VideoRequest, model: Model) -> None:
    if not request.prompt.strip():
        raise Unsupported("The prompt is empty. Say what the video should show.", field="prompt")
    if len(request.prompt) > model.prompt_max:
        raise Unsupported(
            f"The prompt has {len(request.prompt)} characters; {model.id} takes {model.prompt_max}. Shorten it.",
            field="prompt",
        )


def _check_features(request: VideoRequest, model: Model) -> None:
    asked = {
        Feature.FIRST_FRAME: request.first_frame is not None,
        Feature.LAST_FRAME: request.last_frame is not None,
        Feature.REFERENCES: bool(request.references),
        Feature.CHARACTERS: bool(request.characters),
        Feature.SEED: request.seed is not None,
        Feature.NEGATIVE_PROMPT: request.negative_prompt is not None,
        Feature.REMIX: request.source is not None and request.source.kind is SourceKind.REMIX,
        Feature.EDIT: request.source is not None and request.source.kind is SourceKind.EDIT,
        Feature.EXTEND: request.source is not None and request.source.kind is SourceKind.EXTEND,
    }
    missing = [feature.value for feature, wanted in asked.items() if wanted and feature not in model.features]
    switchable = request.audio is None or Feature.AUDIO_SWITCH in model.features
    if not switchable and request.audio != (model.sound != "never"):
        missing.append("audio on" if request.audio else "audio off")
    if missing:
        offers = ", ".join(sorted(model.features)) or "a prompt only"
        raise Unsupported(f"{model.id} does not take {', '.join(missing)}. It takes: {offers}.", field=missing[0])
    if lacking := [HOW_TO_ADD[feature] for feature in model.requires if not asked[feature]]:
        raise Unsupported(f"{model.id} makes nothing from a prompt alone. Add {' and '.join(lacking)}.")
    for what, given, most in (
        ("references", request.references, model.max_references),
        ("characters", request.characters, model.max_characters),
    ):
        if len(given) > most:
            raise Unsupported(f"{model.id} takes at most {most} {what}, not {len(given)}.")


def _check_source(request: VideoRequest, model: Model, misfit: Misfit, ours: Collection[str]) -> Model:
    """Refuse what cannot be asked of an earlier video. Returns the model as far as that video leaves it a choice."""
    source = request.source
    if source is None:
        return model
    if source.kind is SourceKind.EXTEND:
        _check_extension(request, source, model, misfit, ours)
        lengths = model.seconds
    else:
        lengths = (source.seconds,)
    size_kept = request.size in (None, source.size) or "size" in ours
    seconds_kept = request.seconds is None or "seconds" in ours or source.kind is SourceKind.EXTEND
    if misfit is Misfit.STRICT and not (size_kept and (seconds_kept or request.seconds == source.seconds)):
        kept = "size" if source.kind is SourceKind.EXTEND else f"length ({source.seconds} s) and size"
        raise Unsupported(f"{IN_WORDS[source.kind]} keeps the {kept} ({source.size}) of its source. Leave that out.")
    default_s = lengths[0] if len(lengths) == 1 else model.default_seconds
    return replace(model, sizes=(source.size,), default_size=source.size, seconds=lengths, default_seconds=default_s)


def _check_extension(
    request: VideoRequest, source: SourceVideo, model: Model, misfit: Misfit, ours: Collection[str]
) -> None:
    if request.first_frame or request.last_frame or request.references or request.characters:
        raise Unsupported("An extension goes on from its source: it takes no pictures and no characters beside it.")
    if model.max_extensions is not None and source.extensions >= model.max_extensions:
        raise Unsupported(
            f"{source.name} has been extended {source.extensions} times; {model.id} allows {model.max_extensions}."
        )
    added, *_ = _fit_seconds(request, model, misfit, "seconds" in ours)  # what is bought, not what is asked
    total = source.seconds + added
    if model.max_total_seconds is not None and total > model.max_total_seconds:
        raise Unsupported(
            f"Extended, {source.name} would last {total} seconds; {model.id} allows {model.max_total_seconds}."
        )


def _fit_size(
    request: VideoRequest, model: Model, misfit: Misfit, chosen_by_us: bool
) -> tuple[Size, tuple[Adjustment, ...], Size | None]:
    """The size to buy, what to tell, and the size to crop the result to."""
    asked = request.size
    if asked is None:
        return model.default_size, (), None
    if makes_size(model, asked):
        return asked, (), None
    if not chosen_by_us and misfit is Misfit.STRICT:
        raise Unsupported(f"{model.id} does not make {asked}. It makes: {_sizes_in_words(model)}.", field="size")
    if not chosen_by_us and not (min(asked) >= LEAST_SIDE and max(asked) <= MOST_SIDE):
        raise Unsupported(f"{asked} is no size of a video. Name sides from {LEAST_SIDE} to {MOST_SIDE}.", field="size")
    given = nearest_size(model, asked)
    crop = None if chosen_by_us else asked
    why = f"{model.id} makes {_sizes_in_words(model)}" + ("" if crop is None else "; cropped to what was asked")
    return given, (Adjustment(field="size", asked=str(asked), given=str(given), why=why),), crop


def makes_size(model: Model, size: Size) -> bool:
    if model.sizes:
        return size in model.sizes
    return size.width % 2 == 0 and size.height % 2 == 0 and max(size) <= model.max_side and min(size) >= 16


def nearest_size(model: Model, asked: Size) -> Size:
    """The size of the same orientation whose shape and area come nearest; of another orientation only if need be."""
    if not model.sizes:
        limit = min(1.0, model.max_side / max(asked))
        return Size(*(max(16, round(side * limit / 2) * 2) for side in asked))

    def distance(size: Size) -> tuple[bool, float, int]:
        shape = abs(float(size.aspect / asked.aspect) - 1)
        return (
            size.orientation != asked.orientation,
            round(shape, 3),
            abs(size.width * size.height - asked.width * asked.height),
        )

    return min(model.sizes, key=distance)


def _sizes_in_words(model: Model) -> str:
    if model.sizes:
        return ", ".join(map(str, model.sizes))
    return f"any even width and height from 16 to {model.max_side}"


def _fit_seconds(
    request: VideoRequest, model: Model, misfit: Misfit, chosen_by_us: bool
) -> tuple[int, tuple[Adjustment, ...], int | None]:
    """The length to buy, what to tell, and the length to trim the result to."""
    asked = request.seconds
    if asked is None:
        return model.default_seconds, (), None
    if asked in model.seconds:
        return asked, (), None
    words = seconds_in_words(model.seconds)
    longer = [seconds for seconds in model.seconds if seconds >= asked]
    # A maximum that is too short is refused: a video is trimmed if need be, never padded.
    if not chosen_by_us and (misfit is Misfit.STRICT or not longer or asked < 1):
        raise Unsupported(f"{model.id} makes {words} seconds, not {asked}. Choose one of these.", field="seconds")
    given = longer[0] if longer else model.seconds[-1]
    trim = None if chosen_by_us else asked
    why = f"{model.id} makes {words} seconds" + ("" if trim is None else "; trimmed to what was asked")
    return given, (Adjustment(field="seconds", asked=str(asked), given=str(given), why=why),), trim


def seconds_in_words(seconds: tuple[int, ...]) -> str:
    """`4, 8 or 12`, or `1 to 60` for an unbroken run."""
    if len(seconds) > 2 and seconds == tuple(range(seconds[0], seconds[-1] + 1)):
        return f"{seconds[0]} to {seconds[-1]}"
    *others, last = map(str, seconds)
    return f"{', '.join(others)} or {last}" if others else last


def _fit_frame(
    name: str, frame: MediaRef | None, size: Size, model: Model, misfit: Misfit
) -> tuple[Size | None, tuple[Adjustment, ...]]:
    """Whether a given picture must be scaled, for models that want it in just the size of the video."""
    if frame is None or not model.first_frame_exact or frame.size == size:
        return None, ()
    # Within one part in a hundred the shapes count as equal: 1280x720 and 1366x768 differ by less.
    same_shape = abs(float(frame.size.aspect / size.aspect) - 1) < 0.01
    if not same_shape and misfit is Misfit.STRICT:
        raise Unsupported(
            f"The picture for {name} is {frame.size}, another shape than the video's {size}. "
            f"Crop it to {size}, or have it cropped (--nearest).",
            field=name,
        )
    why = f"{model.id} wants the picture in the video's size" + ("" if same_shape else "; cropped in the middle")
    return size, (Adjustment(field=name, asked=str(frame.size), given=str(size), why=why),)

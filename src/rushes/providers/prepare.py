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
from math import ceil, log

from rushes.errors import Unsupported
from rushes.providers.catalog import Feature, Model, Order
from rushes.video import Adjustment, MediaRef, Size, SourceKind, SourceVideo, VideoRequest

LEAST_SIDE, MOST_SIDE = 16, 4096
"""Of what is made here out of what was bought: scaling it to more is work without end."""

SHAPE_WEIGHT = 64
"""A fiftieth more in one direction weighs as much as thrice the area: makers round their sizes, and 848x480 must not
be taken for 1792x1024 because it comes a little nearer to its shape than 1920x1080 does."""
SMALLER_WEIGHT = 1.3
"""What is made smaller has to be blown up: that is worse than making it larger by as much."""
IN_WORDS = {SourceKind.REMIX: "A remix", SourceKind.EDIT: "An edit", SourceKind.EXTEND: "An extension"}

EXTENDS_ALONE = "An extension goes on from its source: it takes no pictures and no characters beside it."

HOW_TO_ADD = {
    Feature.FIRST_FRAME: "a first_frame (--image)",
    Feature.LAST_FRAME: "a last_frame (--last-image)",
    Feature.REFERENCES: "one or more references (--reference)",
}


class Misfit(StrEnum):
    """What to do with a parameter that the model cannot meet."""

    STRICT = "strict"
    NEAREST = "nearest"  # what stands over is cut
    PAD = "pad"  # the same, but nothing is cut: black stands where the shape is another one


FITTED = {Misfit.STRICT: "scaled", Misfit.NEAREST: "cropped in the middle", Misfit.PAD: "padded with black"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Work of our own around the provider's: on the given picture before, on the video after. None: nothing to do."""

    first_frame: Size | None = None  # scale and crop the given picture to this
    last_frame: Size | None = None
    size: Size | None = None  # scale and crop the video to this
    seconds: int | None = None  # trim the video to this
    pad: bool | None = None  # where the shape is another one, add black instead of cutting; None: no
    source: SourceVideo | None = None  # an earlier video of which the provider knows nothing; extended, it is joined

    @property
    def joined(self) -> MediaRef | None:
        """The clip that the video is put behind."""
        return self.source.media if self.source is not None and self.source.kind is SourceKind.EXTEND else None

    @property
    def of_video(self) -> bool:
        return self.size is not None or self.seconds is not None or self.joined is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request with nothing left open: defaults filled, changes named, the price known or known not to be."""

    request: VideoRequest
    adjustments: tuple[Adjustment, ...] = ()
    estimate_usd: Decimal | None = None  # None: unknown, never to be read as free
    fit: Fit = Fit()

    @property
    def source(self) -> SourceVideo | None:
        """The earlier video that this one comes from, whoever knows of it."""
        return self.request.source or self.fit.source


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
    model = limited(model, features_of(request))
    model = _check_source(request, model, misfit, ours)
    size, size_notes, crop = _fit_size(request, model, misfit, "size" in ours)
    if request.source is None or request.source.kind is SourceKind.EXTEND:
        model = limited_at(model, features_of(request), size)
    seconds, seconds_notes, trim = _fit_seconds(request, model, misfit, "seconds" in ours)
    if trim is not None and request.source is not None and request.source.kind is SourceKind.EXTEND:
        trim += request.source.seconds  # what comes back is the whole
    first, first_notes = _fit_frame("first_frame", request.first_frame, size, model, misfit)
    last, last_notes = _fit_frame("last_frame", request.last_frame, size, model, misfit)
    filled = replace(
        request,
        model=model.id,
        size=size,
        seconds=seconds,
        seed=_seed(request, model, slot),
        audio=_audio(request, model),
    )
    pad = True if misfit is Misfit.PAD and (first or last or crop) else None
    return Prepared(
        request=filled,
        adjustments=(*size_notes, *seconds_notes, *first_notes, *last_notes),
        estimate_usd=model.price(order_of(filled, model)),
        fit=Fit(first_frame=first, last_frame=last, size=crop, seconds=trim, pad=pad),
    )


def prepare_chained(
    request: VideoRequest,
    source: SourceVideo,
    model: Model,
    *,
    misfit: Misfit = Misfit.STRICT,
    ours: Collection[str] = (),
    slot: int = 0,
    today: date,
) -> Prepared:
    """An extension by a model that has none: it goes on from the last frame, and the two are joined here.

    `request.first_frame` is that last frame; `source.media` is the file to join it to.
    """
    if request.last_frame or request.references or request.characters:
        raise Unsupported(EXTENDS_ALONE)
    if misfit is Misfit.STRICT and request.size not in (None, source.size) and "size" not in ours:
        raise Unsupported(f"An extension keeps the size ({source.size}) of its source. Leave that out.", field="size")
    asked = replace(request, size=source.size, source=None)
    made = prepare(asked, model, misfit=Misfit.NEAREST, ours={*ours, "size"}, slot=slot, today=today)
    if misfit is Misfit.STRICT and made.fit.seconds is not None:
        prepare(
            asked, model, misfit=misfit, ours={*ours, "size"}, slot=slot, today=today
        )  # says which lengths there are
    note = Adjustment(
        field="extend",
        asked="an extension",
        given="a new video from the last frame, joined to the first",
        why=f"{model.id} extends no videos itself",
    )
    size = source.size if made.request.size != source.size else None
    return replace(made, adjustments=(*made.adjustments, note), fit=replace(made.fit, size=size, source=source))


def prepare_retold(
    request: VideoRequest,
    source: SourceVideo,
    prompt: str,
    model: Model,
    *,
    ours: Collection[str] = (),
    slot: int = 0,
    today: date,
) -> Prepared:
    """A remix by a model that has none: made anew from both prompts, which comes near at best, and says so.

    `prompt` is that of the source.
    """
    told = replace(
        request,
        prompt=f"{prompt.rstrip()}\n\n{request.prompt}",
        size=request.size or source.size,
        seconds=request.seconds or source.seconds,
        source=None,
    )
    made = prepare(told, model, misfit=Misfit.NEAREST, ours=ours, slot=slot, today=today)
    note = Adjustment(
        field="remix",
        asked="a remix",
        given="a new video from both prompts",
        why=f"{model.id} changes no videos: this one will resemble the first as far as words tell it",
    )
    return replace(made, adjustments=(*made.adjustments, note), fit=replace(made.fit, source=source))


def features_of(request: VideoRequest) -> frozenset[Feature]:
    """What a request asks for beyond a prompt. Pure."""
    kind = request.source.kind if request.source else None
    asked = {
        Feature.FIRST_FRAME: request.first_frame is not None,
        Feature.LAST_FRAME: request.last_frame is not None,
        Feature.REFERENCES: bool(request.references),
        Feature.CHARACTERS: bool(request.characters),
        Feature.SEED: request.seed is not None,
        Feature.NEGATIVE_PROMPT: request.negative_prompt is not None,
        Feature.REMIX: kind is SourceKind.REMIX,
        Feature.EDIT: kind is SourceKind.EDIT,
        Feature.EXTEND: kind is SourceKind.EXTEND,
    }
    return frozenset(feature for feature, wanted in asked.items() if wanted)


def order_of(request: VideoRequest, model: Model, size: Size | None = None, seconds: int | None = None) -> Order:
    """What a prepared request buys, as far as its price hangs on it; or what was really made. Pure."""
    given = [request.first_frame, request.last_frame, *(reference.media for reference in request.references)]
    media = [each for each in given if each is not None]
    clips = [ceil(each.seconds) for each in media if each.seconds is not None]
    if request.source is not None:
        clips.append(request.source.seconds)
    size, seconds = size or request.size, seconds or request.seconds
    assert size is not None and seconds is not None, "a prepared request leaves nothing open"
    return Order(
        size=size,
        seconds=seconds,
        has=features_of(request),
        audio=model.has_sound(request.audio),
        pictures=sum(each.seconds is None for each in media),
        clip_s=sum(clips),
    )


def limited(model: Model, has: frozenset[Feature]) -> Model:
    """The model as far as what is asked for leaves it a choice."""
    for limit in model.limits:
        if limit.has <= has and not limit.at_sizes:
            model = _with_lengths(_with_sizes(model, limit.sizes), limit.seconds)
    return model


def limited_at(model: Model, has: frozenset[Feature], size: Size) -> Model:
    """The model as far as the size leaves it a choice of lengths."""
    for limit in model.limits:
        if limit.has <= has and size in limit.at_sizes:
            model = _with_lengths(model, limit.seconds)
    return model


def _with_sizes(model: Model, sizes: tuple[Size, ...]) -> Model:
    if not sizes:
        return model
    narrowed = replace(model, sizes=sizes)
    return replace(narrowed, default_size=nearest_size(narrowed, model.default_size))


def _with_lengths(model: Model, seconds: tuple[int, ...]) -> Model:
    if not seconds:
        return model
    default_s = next((each for each in seconds if each >= model.default_seconds), seconds[-1])
    return replace(model, seconds=seconds, default_seconds=default_s)


def _audio(request: VideoRequest, model: Model) -> bool | None:
    """Sound as it is asked for, also where that was left to us: a vendor's own default may be another tomorrow."""
    if request.audio is None and model.sound == "optional" and Feature.AUDIO_SWITCH in model.features:
        return model.sound_default
    return request.audio


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
    asked = features_of(request)
    missing = [feature.value for feature in Feature if feature in asked and feature not in model.features]
    switchable = request.audio is None or Feature.AUDIO_SWITCH in model.features
    if not switchable and request.audio != (model.sound != "never"):
        missing.append("audio on" if request.audio else "audio off")
    if missing:
        offers = ", ".join(sorted(model.features)) or "a prompt only"
        raise Unsupported(f"{model.id} does not take {', '.join(missing)}. It takes: {offers}.", field=missing[0])
    if model.needs_source and request.source is None:
        raise Unsupported(f"{model.id} only changes videos. Name one with --edit, or take another model.")
    if lacking := [HOW_TO_ADD[feature] for feature in model.requires if feature not in asked]:
        raise Unsupported(f"{model.id} makes nothing from a prompt alone. Add {' and '.join(lacking)}.")
    for what, given, most in (
        ("references", request.references, model.max_references),
        ("characters", request.characters, model.max_characters),
    ):
        if len(given) > most:
            raise Unsupported(f"{model.id} takes at most {most} {what}, not {len(given)}.")
    _check_company(request, model)


def _check_company(request: VideoRequest, model: Model) -> None:
    """Refuse pictures and clips that do not go together."""
    frames = request.first_frame is not None or request.last_frame is not None
    if model.frames_or_references and frames and request.references:
        raise Unsupported(f"{model.id} takes first and last frame or references, not both. Leave one of them out.")
    if model.last_frame_needs_first and request.last_frame is not None and request.first_frame is None:
        raise Unsupported(f"{model.id} takes a last_frame only together with a first_frame (--image). Add one.")
    clips = sum(reference.media.seconds is not None for reference in request.references)
    if model.max_reference_clips is not None and clips > model.max_reference_clips:
        most = model.max_reference_clips
        raise Unsupported(f"{model.id} takes {f'at most {most}' if most else 'no'} clips as references, not {clips}.")


def _check_source(request: VideoRequest, model: Model, misfit: Misfit, ours: Collection[str]) -> Model:
    """Refuse what cannot be asked of an earlier video. Returns the model as far as that video leaves it a choice."""
    source = request.source
    if source is None:
        return model
    if source.kind is SourceKind.EXTEND:
        _check_extension(request, source, model, misfit, ours)
        lengths = model.seconds
    else:
        if (
            any(Feature(source.kind.value) in limit.has for limit in model.limits)
            and source.seconds not in model.seconds
        ):
            words = seconds_in_words(model.seconds)
            raise Unsupported(f"{model.id} takes sources of {words} seconds; {source.name} has {source.seconds}.")
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
        raise Unsupported(EXTENDS_ALONE)
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
    why = f"{model.id} makes {_sizes_in_words(model)}" + (
        "" if crop is None else f"; {FITTED[misfit]} to what was asked"
    )
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

    def distance(size: Size) -> tuple[bool, float]:
        shape = abs(float(size.aspect / asked.aspect) - 1)
        area = log(size.width * size.height / (asked.width * asked.height))
        area = area if area >= 0 else -area * SMALLER_WEIGHT
        return size.orientation != asked.orientation, SHAPE_WEIGHT * shape + area

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
    why = f"{model.id} wants the picture in the video's size" + ("" if same_shape else f"; {FITTED[misfit]}")
    return size, (Adjustment(field=name, asked=str(frame.size), given=str(size), why=why),)

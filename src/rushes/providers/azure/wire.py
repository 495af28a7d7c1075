"""The words of Azure's video jobs (`video/generations/jobs`), and of its errors, to and from ours. All pure.

A job with pictures or a clip is sent as multipart, each value as text and the inpaint items as one text of JSON;
any other as plain JSON. Answers are read as patiently as those of other servers of the OpenAI kind.

Unverified, each in one place: the frames per second that a frame index counts (`FPS`), the ceilings of `n_variants`
(`VARIANT_CEILINGS`), the pictures taken (`SUFFIXES`) and that they may have any size, the word `output_moderation`.

Source: Azure/azure-rest-api-specs, `OpenAI.v1/azure-v1-preview-generated.yaml`, and the payloads of promptfoo 0.121,
read 2026-11-20.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rushes.errors import Unsupported
from rushes.providers.incoming import Incoming, Text, read_wire_error
from rushes.providers.openai.create import Part
from rushes.providers.openai.wire import Listing, WireVideo
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import MODERATION_CODES
from rushes.video import JSON, Crop, Failure, MediaRef, Progress, Reference, Size, Status, VideoRequest

FPS = 30
"""Of what the jobs API makes: an inpaint item's frame_index counts these. (unverified)"""
VARIANT_CEILINGS = ((1080, 1), (720, 2), (0, 4))
"""By the shorter side from that many pixels on, how many variants one create may make. (unverified)"""
MAX_PICTURES = 2
MAX_CLIP_S = 5.0
SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "video/mp4": "mp4"}
FILTER_CODES = MODERATION_CODES | {"contentfilter", "responsibleaipolicyviolation"}
UNPAID_REASON = "input_moderation"
"""Refused before anything was made."""


class JobsExtra(BaseModel):
    """The one option of a create that has no word of ours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_variants: Annotated[int, Field(strict=True, ge=1, le=5)] | None = None


def variants_of(request: VideoRequest) -> int:
    """How many videos one create is to make."""
    asked = request.extra.get("n_variants")
    return asked if isinstance(asked, int) else 1


def most_variants(size: Size) -> int:
    return next(most for side, most in VARIANT_CEILINGS if min(size) >= side)


# -- inpaint items -------------------------------------------------------------------------------------------------


class Frames(NamedTuple):
    """The same pictures in our words: at both ends, and elsewhere."""

    first: MediaRef | None
    last: MediaRef | None
    others: tuple[Reference, ...]


def last_index(seconds: int) -> int:
    """The index of the last frame of a video that lasts so long."""
    return seconds * FPS - 1


def as_items(frames: Frames, seconds: int) -> tuple[Reference, ...]:
    """Pictures at both ends as what they are in this API: inpaint items of the first and the last frame."""
    ends = ((frames.first, 0), (frames.last, last_index(seconds)))
    return (*(Reference(media=media, frame_index=n) for media, n in ends if media), *frames.others)


def as_frames(items: Sequence[Reference], seconds: int) -> Frames:
    """The way back: whole pictures at the first and the last frame are the ends of the video."""
    ends: dict[int, MediaRef] = {}
    others: list[Reference] = []
    for item in items:
        at = item.frame_index
        whole = item.media.seconds is None and item.crop in (None, Crop())
        if whole and at is not None and at in (0, last_index(seconds)) and at not in ends:
            ends[at] = item.media
        else:
            others.append(item)
    return Frames(ends.get(0), ends.get(last_index(seconds)), tuple(others))


def items_of(request: VideoRequest) -> tuple[Reference, ...]:
    """Every inpaint item of a request, in the order in which their files are sent."""
    return as_items(Frames(request.first_frame, request.last_frame, request.references), request.seconds or 0)


def check_items(request: VideoRequest) -> None:
    """Refuse inpaint items that the API would refuse. Raises Unsupported."""
    items = items_of(request)
    model, end = request.model, last_index(request.seconds or 0)
    if any(item.media.mime not in SUFFIXES for item in items):
        mime = next(item.media.mime for item in items if item.media.mime not in SUFFIXES)
        raise Unsupported(f"{model} takes {', '.join(SUFFIXES)}, not {mime}. Convert it.")
    clips = [item for item in items if _is_clip(item.media)]
    if len(items) > (1 if clips else MAX_PICTURES):
        raise Unsupported(
            f"{model} takes up to {MAX_PICTURES} pictures or one clip to start from (inpaint items), "
            f"not {len(items)} items{' with a clip among them' if clips else ''}."
        )
    for item in clips:
        if item.media.seconds is None or item.media.seconds > MAX_CLIP_S:
            lasts = "of unknown length" if item.media.seconds is None else f"of {item.media.seconds:g} s"
            raise Unsupported(f"{model} takes a clip of at most {MAX_CLIP_S:g} s, not one {lasts}. Cut it.")
    indexes = [item.frame_index for item in items]
    for index in indexes:
        if index is None:
            raise Unsupported(f"{model} shows a reference from a frame on: give each one its frame_index, 0 to {end}.")
        if not 0 <= index <= end:
            raise Unsupported(f"{model}: frame_index {index} lies outside of the video, whose frames are 0 to {end}.")
    if len(set(indexes)) < len(indexes):
        raise Unsupported(f"{model}: two inpaint items begin at the same frame. Give each a frame_index of its own.")
    for item in items:
        _check_crop(item.crop, request)


def _check_crop(crop: Crop | None, request: VideoRequest) -> None:
    sides = (crop.left, crop.top, crop.right, crop.bottom) if crop else ()
    if crop and not (all(0 <= side <= 1 for side in sides) and crop.left < crop.right and crop.top < crop.bottom):
        raise Unsupported(f"{request.model}: a crop's sides are fractions from 0 to 1, left < right and top < bottom.")


def _is_clip(media: MediaRef) -> bool:
    return media.mime.startswith("video/")


# -- to the wire ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wire:
    """The body of a create: exactly one of the two is set."""

    json: Mapping[str, JSON] | None = None
    parts: tuple[Part, ...] | None = None


def to_wire(prepared: Prepared, wire_model: str, files: Sequence[bytes] = ()) -> Wire:
    """The body of a create. `files` are the bytes of `items_of(request)`, in that order."""
    request = prepared.request
    assert request.size is not None
    fields: dict[str, JSON] = {
        "model": wire_model,
        "prompt": request.prompt,
        "width": request.size.width,
        "height": request.size.height,
        "n_seconds": request.seconds,
        "n_variants": variants_of(request),
    }
    items = items_of(request)
    if not items:
        return Wire(json=fields)
    names = file_names(items)
    said = [_item(item, name) for item, name in zip(items, names, strict=True)]
    texts = {**fields, "inpaint_items": json.dumps(said)}
    parts: list[Part] = [(name, (None, str(value).encode())) for name, value in texts.items()]
    for item, name, data in zip(items, names, files, strict=True):
        parts.append(("files", (name, data, item.media.mime)))
    return Wire(parts=tuple(parts))


def file_names(items: Sequence[Reference]) -> list[str]:
    """By what each item names its file: the file's own name, but unique within the request."""
    names: list[str] = []
    for n, item in enumerate(items):
        plain = f"{'clip' if _is_clip(item.media) else 'image'}-{n + 1}.{SUFFIXES[item.media.mime]}"
        name = item.name if item.name and _goes_into_a_header(item.name) else plain
        names.append(name if name not in names else f"{n + 1}-{name}")
    return names


def _goes_into_a_header(name: str) -> bool:
    """As it is: quotes and backslashes are written otherwise there than in the item that names the file."""
    return name.isascii() and name.isprintable() and not set('"\\') & set(name)


def _item(item: Reference, name: str) -> dict[str, JSON]:
    said: dict[str, JSON] = {
        "frame_index": item.frame_index,
        "type": "video" if _is_clip(item.media) else "image",
        "file_name": name,
    }
    if item.crop is not None:
        said["crop_bounds"] = {
            "left_fraction": item.crop.left,
            "top_fraction": item.crop.top,
            "right_fraction": item.crop.right,
            "bottom_fraction": item.crop.bottom,
        }
    return said


# -- from the wire -------------------------------------------------------------------------------------------------


def in_videos_words(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job's facts under the names that the Videos dialect has for them."""
    width, height = job.get("width"), job.get("height")
    return {**job, "seconds": job.get("n_seconds"), "size": f"{width}x{height}" if width and height else None}


class Generation(Incoming):
    """One finished video of a job."""

    id: Text = None


def _generations(value: Any) -> list[Any]:
    entries = cast(list[Any], value) if isinstance(value, list) else []
    return [entry for entry in entries if isinstance(entry, Mapping) and "id" in entry]


class WireJob(WireVideo):
    """A job of the jobs API."""

    generations: Annotated[list[Generation], BeforeValidator(_generations)] = Field(default_factory=list[Generation])
    failure_reason: Text = None

    @model_validator(mode="before")
    @classmethod
    def _names_of_videos(cls, data: Any) -> Any:
        return in_videos_words(cast(Mapping[str, Any], data)) if isinstance(data, Mapping) else data


def generation_ids(job: WireJob) -> tuple[str, ...]:
    """The job's videos, always in the same order: a delivery that is taken up again must not mix them up."""
    return tuple(sorted({generation.id for generation in job.generations if generation.id}))


def from_wire(job: WireJob) -> Progress:
    """A job in our words. It never tells how far it is."""
    status = job.status or Status.IN_PROGRESS
    failure = None
    if status is Status.FAILED:
        failure = failure_of(job)
    elif status is Status.COMPLETED and not generation_ids(job):
        status = Status.FAILED
        failure = Failure("moderation_blocked", "Azure tells of success but gives no video: its filter withheld it.")
    return Progress(
        status=status,
        percent=100.0 if status is Status.COMPLETED else None,
        failure=failure,
        expires_at=job.expires_at,
        billed_usd=Decimal(0) if failure and job.failure_reason == UNPAID_REASON else None,
        seconds=job.seconds,
        size=job.size,
    )


def failure_of(job: WireJob) -> Failure:
    """Why it failed, from a reason that may be any word."""
    said = job.failure_reason or (job.error.code if job.error else None) or job.reason or "internal_error"
    words = {
        "input_moderation": "The prompt or a picture was refused by Azure's content filter.",
        "output_moderation": "What was made was withheld by Azure's content filter.",
        "internal_error": "Azure failed while making it.",
        "cancelled": "It was cancelled on Azure's side.",
    }
    code = re.sub(r"[^a-z0-9]+", "_", said.lower()).strip("_")
    moderated = "moderation" in code or code.replace("_", "") in FILTER_CODES or code in FILTER_CODES
    message = (job.error.message if job.error else None) or words.get(code, "Azure gave no more of a reason.")
    return Failure("moderation_blocked" if moderated else code, f"{message} ({said})")


def read_listing(data: Any, asked_variants: int) -> Listing:
    """A page of jobs as the search for a lost create reads it.

    A job with another number of variants is hardly ours, but a wrong "no" would buy twice: it is told without its
    prompt, and so counts as perhaps.
    """
    sent = _mapping(data)
    if not isinstance(sent.get("data"), list):
        return Listing.model_validate(sent)

    def told(entry: Any) -> Any:
        if not isinstance(entry, Mapping):
            return entry
        job = in_videos_words(cast(Mapping[str, Any], entry))
        return job if job.get("n_variants") in (None, asked_variants) else {**job, "prompt": None}

    return Listing.model_validate({**sent, "data": [told(entry) for entry in cast(list[Any], sent["data"])]})


# -- errors --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer, whichever of its three shapes it came in."""

    code: str | None
    message: str
    moderated: bool


def read_refusal(body: bytes) -> Refusal:
    """Flat with `inner_error`, wrapped in `error` with `innererror`, or a bare `detail`."""
    wire = read_wire_error(body)
    inner = _inner_error(body)
    codes = {str(code).lower() for code in (wire.code, wire.type, inner.get("code")) if code}
    moderated = not codes.isdisjoint(FILTER_CODES)
    message = wire.message or ""
    if moderated:
        categories = filtered_categories(inner)
        named = f": {', '.join(categories)}" if categories else ""
        message = f"refused by the content filter{named}. {message}".strip()
    return Refusal(wire.code or _text(inner.get("code")), message, moderated)


def _inner_error(body: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    sent = _mapping(data)
    error = _mapping(sent.get("error")) or sent
    return _mapping(error.get("innererror")) or _mapping(error.get("inner_error"))


def filtered_categories(inner: Mapping[str, Any]) -> list[str]:
    """`violence (high)`, …: what the filter acted on. It also lists what it found harmless."""
    found = inner
    for _ in range(3):  # error_details may hold the results, or a further wrapping of them
        names = ("content_filter_result", "content_filter_results", "error_details")
        deeper = next((inside for name in names if (inside := _mapping(found.get(name)))), None)
        if deeper is None:
            break
        found = deeper
    categories: list[str] = []
    for name, result in found.items():
        verdict = _mapping(result)
        if verdict.get("filtered") is True:
            how = _text(verdict.get("severity")) or ("detected" if verdict.get("detected") else None)
            categories.append(name.replace("_", " ") + (f" ({how})" if how else ""))
    return categories


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None

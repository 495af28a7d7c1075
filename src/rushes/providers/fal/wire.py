"""What goes to a model on fal and what comes back, in its words and ours. Pure.

Every model has its own names for the same things: `image_url` here is `start_image_url` there, eight seconds are `8`,
`"8"` or `"8s"`. Nothing of that is in the code: each row of the table says it in its `wire`, of which `Row` is the
shape, so a name that turns out to be wrong is put right there in one line.

Source: fal.ai/docs/model-endpoints/queue, /errors and the pages of the models, read 2026-11-20.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field

from rushes.config import Written
from rushes.errors import ConfigError, Moderated
from rushes.http import Reply
from rushes.providers.incoming import Incoming, Text, read_object, read_objects, read_text, read_wire_error
from rushes.providers.refusals import MODERATION_CODES
from rushes.providers.shapes import ratio_of, tier_by_area, tier_by_side
from rushes.video import JSON, Failure, MediaRef, SourceKind, Status, VideoRequest

RATIOS = ("16:9", "9:16", "1:1")
STATES: Mapping[str, Status] = {
    "IN_QUEUE": Status.QUEUED,
    "IN_PROGRESS": Status.IN_PROGRESS,
    "COMPLETED": Status.COMPLETED,
}
"""Every other word means "still running"."""
LONG_APPS = ("workflows", "comfy")
"""Of these the paths of a request hold the first three steps of the model's id; of all others, two."""
RETRYABLE_HEADERS = ("x-fal-retryable", "x-fal-needs-retry")
LOOK_AGAIN = frozenset({401, 403, 404, 408, 429})
"""A result that is answered so says nothing about the job: it is asked for again."""
NOT_YET = "in progress"
"""Part of what a result that is asked for too soon is answered with, as status 400 (unverified)."""


class Mode(StrEnum):
    """What a video starts from. Each is an endpoint of its own."""

    TEXT = "text"
    IMAGE = "image"
    REFERENCE = "reference"
    EDIT = "edit"
    EXTEND = "extend"


class Modes(Written):
    """What follows the model's name in the id of each endpoint; empty: there is none."""

    text: str = "text-to-video"
    image: str = "image-to-video"
    reference: str = "reference-to-video"
    edit: str = "video-to-video/edit"
    extend: str = ""


class Fields(Written):
    """What the model calls each thing; empty: it has no such field, and is sent none."""

    prompt: str = "prompt"
    first_frame: str = "image_url"
    last_frame: str = "end_image_url"
    references: str = "image_urls"
    clips: str = "video_urls"
    source: str = "video_url"
    seconds: str = "duration"
    resolution: str = "resolution"
    ratio: str = "aspect_ratio"
    audio: str = "generate_audio"
    seed: str = "seed"
    negative_prompt: str = "negative_prompt"


class Row(Written):
    """`wire` of a row. What it does not say is as in the defaults, which suit the newer models."""

    at: str = ""  # what the endpoints begin with, where that is not the model's name
    modes: Modes = Modes()
    fields: Fields = Fields()
    seconds_as: Literal["8", "8s", "number"] = "8"
    resolutions: dict[str, int] = Field(default_factory=dict[str, int])  # each word, and the height of it in 16:9
    by_area: bool = False  # a resolution has about the same number of pixels in every shape
    ratios: tuple[str, ...] = RATIOS
    without: dict[Mode, tuple[str, ...]] = Field(default_factory=dict[Mode, tuple[str, ...]])
    """Things, by the names that `fields` has for them, of which an endpoint knows nothing."""
    always: dict[str, Any] = Field(default_factory=dict[str, Any])  # further fields and their values

    @property
    def names(self) -> set[str]:
        """Every field that we fill ourselves."""
        return {*self.fields.model_dump().values(), *self.always}


def mode_of(request: VideoRequest) -> Mode:
    if request.source is not None:
        return Mode.EXTEND if request.source.kind is SourceKind.EXTEND else Mode.EDIT
    if request.references:
        return Mode.REFERENCE
    return Mode.IMAGE if request.first_frame or request.last_frame else Mode.TEXT


def endpoint_of(request: VideoRequest, row: Row) -> str:
    """The id of the endpoint that makes it. Raises ConfigError where the row names none."""
    mode = mode_of(request)
    step = str(getattr(row.modes, mode))
    if not step:
        raise ConfigError(f"The table's entry of {request.model} names no endpoint for this: set wire.modes.{mode}.")
    return f"{row.at or request.model.model}/{step}".strip("/")


def app_of(endpoint: str) -> str:
    """The part of an endpoint's id that the addresses of its requests begin with."""
    steps = endpoint.split("/")
    return "/".join(steps[: 3 if steps[0] in LONG_APPS else 2])


def to_wire(
    request: VideoRequest, row: Row, links: Mapping[str, str], source_url: str | None, extra: Mapping[str, JSON]
) -> dict[str, JSON]:
    """The input of the model. `links` are the pictures and clips by their sha256: data URIs, or where they lie."""
    assert request.size is not None
    mode = mode_of(request)

    def link(media: MediaRef | None) -> JSON:
        return None if media is None else links[media.sha256]

    media = [reference.media for reference in request.references]
    tier = tier_by_area if row.by_area else tier_by_side
    said: dict[str, JSON] = {
        "prompt": request.prompt,
        "first_frame": link(request.first_frame),
        "last_frame": link(request.last_frame),
        "references": [links[each.sha256] for each in media if each.seconds is None] or None,
        "clips": [links[each.sha256] for each in media if each.seconds is not None] or None,
        "source": source_url,
        # An edit is as long as its source and has its shape.
        "seconds": None if mode is Mode.EDIT else _seconds(request.seconds, row),
        "resolution": tier(request.size, row.resolutions) if row.resolutions else None,
        "ratio": None if request.source else ratio_of(request.size, row.ratios),
        "audio": request.audio,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
    }
    names = cast(Mapping[str, str], row.fields.model_dump())
    unknown = row.without.get(mode, ())
    body = {
        names[thing]: value
        for thing, value in said.items()
        if value is not None and names[thing] and thing not in unknown
    }
    return {**body, **row.always, **extra}


def _seconds(seconds: int | None, row: Row) -> JSON:
    if seconds is None or row.seconds_as == "number":
        return seconds
    return f"{seconds}s" if row.seconds_as == "8s" else str(seconds)


class Accepted(Incoming):
    request_id: Annotated[str, Field(min_length=1)]
    status_url: Text = None
    response_url: Text = None
    cancel_url: Text = None


def read_words(value: Any) -> str | None:
    """An error's words, whether it is told as a sentence or as an object."""
    if isinstance(value, Mapping):
        return read_text(cast(Mapping[str, Any], value).get("message"))
    return read_text(value)


class WireStatus(Incoming):
    """A look at a request. `COMPLETED` is also the word for one that failed."""

    status: Text = None
    error: Annotated[str | None, BeforeValidator(read_words)] = None
    error_type: Text = None

    @property
    def state(self) -> Status:
        return STATES.get((self.status or "").upper(), Status.IN_PROGRESS)

    @property
    def failure(self) -> Failure | None:
        if self.error is None and self.error_type is None:
            return None
        return failure_as(self.error_type, self.error or "The server gave no reason.")


class WireFile(Incoming):
    url: Text = None


def read_file(value: Any) -> Any:
    """A file is told as an object; a few models tell its address alone."""
    return {"url": value} if isinstance(value, str) else read_object(value)


class WireResult(Incoming):
    video: Annotated[WireFile, BeforeValidator(read_file)] = WireFile()
    videos: Annotated[list[WireFile], BeforeValidator(read_objects)] = Field(default_factory=list[WireFile])

    @property
    def url(self) -> str | None:
        return self.video.url or next((each.url for each in self.videos if each.url), None)


def read_detail(body: bytes) -> tuple[str | None, str]:
    """Kind and words of an error: a list of complaints, of which the first is told, or a sentence with its type."""
    data: Mapping[str, Any] = {}
    with suppress(ValueError):
        data = read_object(json.loads(body))
    kind = read_text(data.get("error_type"))
    complaints = read_objects(data.get("detail"))
    if complaints:
        first = complaints[0]
        return read_text(first.get("type")) or kind, read_text(first.get("msg")) or "The server gave no reason."
    return kind, read_wire_error(body).message or "The server gave no reason."


def failure_as(kind: str | None, words: str) -> Failure:
    moderated = (kind or "").lower() in MODERATION_CODES
    return Failure(Moderated.code if moderated else kind or "internal_error", words)


def is_early(reply: Reply) -> bool:
    """Whether the result is not there yet, whatever the look said: the two need not come from one machine."""
    return reply.status == 202 or (reply.status == 400 and NOT_YET in read_detail(reply.body)[1].lower())


def failure_of(reply: Reply) -> Failure | None:
    """The failure that a result's error tells of; None if it tells of something else, and is to be asked for again.

    A job that failed is answered with the status of its own failure, which may be a 5xx. Such a one has a type or the
    header that says whether it is worth repeating; a stumbling queue has neither.
    """
    if reply.ok or reply.status in LOOK_AGAIN:
        return None
    kind, words = read_detail(reply.body)
    told = kind is not None or any(name in reply.headers for name in RETRYABLE_HEADERS)
    return failure_as(kind, words) if reply.status < 500 or told else None

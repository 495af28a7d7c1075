"""Alibaba's words: the body of a create, and what a task tells. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from rushes.errors import AccessDenied, Moderated, NoCredit, ProviderError, RateLimited
from rushes.providers.given import frames_of, without_none
from rushes.providers.incoming import Incoming, Seconds, Text, read_object
from rushes.providers.refusals import without_video
from rushes.providers.shapes import ratio_of, tier_by_area
from rushes.video import JSON, Failure, Progress, Status, VideoRequest

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16")
TIERS: Mapping[str, int] = {"480P": 480, "720P": 720, "1080P": 1080}
STATES: Mapping[str, Status] = {
    "PENDING": Status.QUEUED,
    "SUSPENDED": Status.QUEUED,
    "SUCCEEDED": Status.COMPLETED,
    "FAILED": Status.FAILED,
    "CANCELED": Status.FAILED,
}
GONE = "UNKNOWN"  # every other word means "still running"
KINDS: Mapping[str, type[ProviderError]] = {
    "datainspectionfailed": Moderated,
    "arrearage": NoCredit,
    "invalidapikey": AccessDenied,
    "throttling": RateLimited,
}
"""By the vendor's code up to its first dot, in lower case and without `_`: it spells one code in several ways."""


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt_extend: bool | None = None  # have the prompt rewritten; with Wan 3 unverified
    watermark: bool = False


class Modes(BaseModel):
    """The vendor's models of a family, by what a request brings along."""

    t2v: str
    i2v: str
    r2v: str


class Row(BaseModel):
    """What the table says of a model for this provider alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modes: Modes | None = None  # None: the model's own name serves for all
    audio: bool = False  # sound can be switched
    frames_give_ratio: bool = False  # with a first frame the ratio is the picture's, and is not sent
    most_s: int | None = None  # of what is made and of given clips, together
    most_pictures: int | None = None  # of the references
    extra: tuple[str, ...] = ()
    beijing: Mapping[str, Decimal] = {}  # dollars a second there, by resolution


class Output(Incoming):
    task_id: Text = None
    task_status: Text = None
    video_url: Text = None
    code: Text = None
    message: Text = None


class Usage(Incoming):
    output_video_duration: Seconds = None


class Task(Incoming):
    """The answer to a create, a look or a cancel."""

    output: Annotated[Output, BeforeValidator(read_object)] = Output()
    usage: Annotated[Usage, BeforeValidator(read_object)] = Usage()


# -- what is sent --------------------------------------------------------------------------------------


def wire_model(request: VideoRequest, row: Row) -> str:
    """The vendor's name of the model that a request is for."""
    if row.modes is None:
        return request.model.model
    if request.references or request.source:
        return row.modes.r2v
    return row.modes.i2v if frames_of(request) else row.modes.t2v


def to_wire(request: VideoRequest, row: Row, places: Mapping[str, str], source: str | None) -> dict[str, JSON]:
    """The body of a create. `places` are those of the pictures and clips by sha256, `source` the link to an earlier
    video."""
    assert request.size is not None and request.seconds is not None
    extra = Extra.model_validate(dict(request.extra))
    follows = row.frames_give_ratio and bool(frames_of(request))
    fields: dict[str, JSON] = {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "media": _media(request, places, source) or None,
    }
    parameters: dict[str, JSON] = {
        "resolution": tier_by_area(request.size, TIERS),
        "ratio": None if follows else ratio_of(request.size, RATIOS),
        "duration": request.seconds,
        "audio": request.audio if row.audio else None,
        "seed": request.seed,
        "prompt_extend": extra.prompt_extend,
        "watermark": extra.watermark,
    }
    return {
        "model": wire_model(request, row),
        "input": without_none(fields),
        "parameters": without_none(parameters),
    }


def _media(request: VideoRequest, places: Mapping[str, str], source: str | None) -> list[JSON]:
    """The source first: the prompt speaks of clips and pictures by their order."""
    media: list[tuple[str, str]] = []
    if request.source is not None:
        place = source if request.source.media is None else places[request.source.media.sha256]
        assert place is not None, "an earlier video has a link or is a file"
        media.append(("reference_video", place))
    frames = {"first_frame": request.first_frame, "last_frame": request.last_frame}
    media += [(kind, places[frame.sha256]) for kind, frame in frames.items() if frame is not None]
    for reference in request.references:
        kind = "reference_image" if reference.media.seconds is None else "reference_video"
        media.append((kind, places[reference.media.sha256]))
    return [{"type": kind, "url": url} for kind, url in media]


# -- what is answered ----------------------------------------------------------------------------------


def from_wire(task: Task) -> Progress:
    """A look at a job in our words. There is no percentage."""
    output, word = task.output, (task.output.task_status or "").upper()
    status = STATES.get(word, Status.IN_PROGRESS)
    if status is Status.COMPLETED and not output.video_url:
        return without_video()
    if status is Status.FAILED:
        kind = KINDS.get(plain_code(output.code))
        code = Moderated.code if kind is Moderated else output.code or "internal_error"
        if word == "CANCELED":
            code = "cancelled"
        return Progress(status=status, failure=Failure(code, output.message or "The server gave no reason."))
    percent = 100.0 if status is Status.COMPLETED else None
    return Progress(status=status, percent=percent, seconds=task.usage.output_video_duration)


def plain_code(code: str | None) -> str:
    return (code or "").partition(".")[0].replace("_", "").lower()

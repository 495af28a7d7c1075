"""What goes to Z.ai and what comes back: the fields each model has, the answers, the business codes. All pure.

The API is one for all models, but each model knows only some of its fields, and a field that a model does not know
may be refused or, worse, ignored: so only what belongs to a model is sent to it.

An error is told by a code of four digits in the body; the HTTP status around it is coarse and at times misleading
(an empty account comes as 429, the status of "slow down"). So the code speaks first.

Source: docs.z.ai `api-reference/video/generate-video` and `api-reference/api-code`, docs.bigmodel.cn
`cn/faq/api-code`, the package `zai-sdk` 0.2.3, read 2026-11-20.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError

from rushes.errors import (
    AccessDenied,
    Gone,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    UnknownModel,
    Vanished,
)
from rushes.providers.given import without_none
from rushes.providers.incoming import Incoming, Text, WireError, read_objects
from rushes.providers.openai.wire import read_status
from rushes.providers.prepare import Prepared
from rushes.video import JSON, Failure, MediaRef, Progress, Status, VideoRequest

# -- what each model takes -------------------------------------------------------------------------


class Extra(BaseModel):
    """Every field that a request's `extra` may hold; which model takes which is in `SHAPES`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    quality: Literal["speed", "quality"] | None = None
    fps: Literal[30, 60] | None = None
    watermark_enabled: StrictBool | None = None  # false needs a waiver signed with the vendor
    style: Literal["general", "anime"] | None = None
    movement_amplitude: Literal["auto", "small", "medium", "large"] | None = None
    user_id: Annotated[str, Field(min_length=6, max_length=128)] | None = None
    off_peak: StrictBool | None = None  # only in the vendor's package, said to be a cheaper queue: never tried


COG_EXTRA = ("quality", "fps", "watermark_enabled", "user_id", "off_peak")
VIDU_EXTRA = ("movement_amplitude", "user_id", "off_peak")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRules:
    """What pictures a family of models takes. Megabytes are counted as millions: the stricter reading."""

    mimes: tuple[str, ...]
    max_mb: int
    max_aspect: int | None = None  # the longer side, in lengths of the shorter
    ratio_of_ends: tuple[float, float] | None = None  # pixels of the first frame, in those of the last
    min_side_of_references: int = 1


COG_PICTURES = PictureRules(mimes=("image/png", "image/jpeg"), max_mb=5)
VIDU_PICTURES = PictureRules(
    mimes=("image/png", "image/jpeg", "image/webp"),
    max_mb=50,
    max_aspect=4,
    ratio_of_ends=(0.8, 1.25),
    min_side_of_references=128,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The fields that a model has beside `model`, `prompt`, `image_url`, `size` and `request_id`."""

    extra: tuple[str, ...]
    pictures: PictureRules
    audio: bool = True
    duration: bool = True
    one_size: str | None = None  # its `size` names the resolution alone, and `aspect_ratio` the shape
    mainland_only: bool = False


COG = Shape(extra=COG_EXTRA, pictures=COG_PICTURES)
OLD_COG = Shape(extra=COG_EXTRA, pictures=COG_PICTURES, duration=False, mainland_only=True)
VIDU = Shape(extra=VIDU_EXTRA, pictures=VIDU_PICTURES)

SHAPES: Mapping[str, Shape] = {
    "cogvideox-3": COG,
    "cogvideox-2": OLD_COG,
    "cogvideox-flash": OLD_COG,
    "viduq1-text": Shape(extra=("style", *VIDU_EXTRA), pictures=VIDU_PICTURES, audio=False, one_size="1920x1080"),
    "viduq1-image": Shape(extra=VIDU_EXTRA, pictures=VIDU_PICTURES, audio=False),
    "viduq1-start-end": VIDU,
    "vidu2-image": VIDU,
    "vidu2-start-end": VIDU,
    "vidu2-reference": Shape(extra=VIDU_EXTRA, pictures=VIDU_PICTURES, one_size="1280x720"),
}


def shape_of(model: str) -> Shape:
    """The fields of a model; of one that was added in `[catalog] extra`, those of its family."""
    return SHAPES.get(model) or (VIDU if model.startswith("vidu") else COG)


# -- to the wire -----------------------------------------------------------------------------------


def pictures_of(request: VideoRequest) -> tuple[MediaRef, ...]:
    """The pictures of a request in the order in which they are sent."""
    frames = tuple(frame for frame in (request.first_frame, request.last_frame) if frame is not None)
    return frames + tuple(reference.media for reference in request.references)


def to_wire(prepared: Prepared, pictures: Sequence[bytes], key: str) -> dict[str, JSON]:
    """The JSON body of a create. `pictures` are the bytes of `pictures_of`, `key` becomes its `request_id`."""
    request = prepared.request
    shape = shape_of(request.model.model)
    extra = Extra.model_validate(dict(request.extra))
    fields: dict[str, JSON] = {
        "model": request.model.model,
        "prompt": request.prompt,
        "image_url": _image_url(request, pictures),
        "with_audio": request.audio if shape.audio else None,
        "size": shape.one_size or (str(request.size) if request.size else None),
        "aspect_ratio": _aspect_ratio(request) if shape.one_size else None,
        "duration": request.seconds if shape.duration else None,
        **{name: getattr(extra, name) for name in shape.extra},
        "request_id": key,
    }
    return without_none(fields)


def _image_url(request: VideoRequest, pictures: Sequence[bytes]) -> JSON:
    """One picture as text, a first and a last frame as two; references are a list even when there is one."""
    urls = [
        f"data:{media.mime};base64,{base64.b64encode(data).decode('ascii')}"
        for media, data in zip(pictures_of(request), pictures, strict=True)
    ]
    if not urls:
        return None
    return urls if request.references or len(urls) > 1 else urls[0]


def _aspect_ratio(request: VideoRequest) -> str | None:
    words = {"landscape": "16:9", "portrait": "9:16", "square": "1:1"}
    return words[request.size.orientation] if request.size else None


# -- from the wire ---------------------------------------------------------------------------------


class WireResult(Incoming):
    url: Text = None


class WireFilter(Incoming):
    """Whose content was found wanting, and how badly: 0 is the worst, 3 the mildest."""

    role: Text = None
    level: Text = None


def _error(value: Any) -> Any:
    if isinstance(value, Mapping):
        return cast(Mapping[str, Any], value)
    return {"message": value} if isinstance(value, str) else {}


class WireTask(Incoming):
    """A create's answer, and a look's. Only a finished one has results; how a failed one looks is not documented."""

    id: Text = None
    task_status: Annotated[Status | None, BeforeValidator(read_status)] = None
    video_result: Annotated[tuple[WireResult, ...], BeforeValidator(read_objects)] = ()
    error: Annotated[WireError, BeforeValidator(_error)] = WireError()
    message: Text = None
    content_filter: Annotated[
        tuple[WireFilter, ...],
        BeforeValidator(read_objects),
        Field(validation_alias=AliasChoices("content_filter", "contentFilter")),
    ] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(result.url for result in self.video_result if result.url)


def read_task(body: bytes) -> WireTask | None:
    """The answer, if it is one of this API at all: an error and a look share a shape."""
    try:
        task = WireTask.model_validate_json(body)
    except ValidationError:
        return None
    told = task.id or task.task_status or task.error.code or task.error.message or task.content_filter
    return task if told else None


def from_wire(task: WireTask) -> Progress:
    """A look at a job in our words. There is no percentage, and no word on when the result expires."""
    status = task.task_status or Status.IN_PROGRESS
    if status is Status.COMPLETED and not task.urls:
        failure = failure_of(task, "It ended well, but came without a video.")
        return Progress(status=Status.FAILED, failure=failure, billed=True)  # nobody says that it costs nothing
    if status is Status.FAILED:
        return Progress(status=status, failure=failure_of(task, "The server gave no reason."))
    return Progress(status=status, percent=100.0 if status is Status.COMPLETED else None)


def failure_of(task: WireTask, no_words: str) -> Failure:
    """Why there is no video, from wherever it may be told."""
    ruling = RULINGS.get(task.error.code or "")
    code = ruling.kind.code if ruling else "internal_error"
    if any(_is_bad(found) for found in task.content_filter) or (task.content_filter and not task.error.code):
        code = Moderated.code
    said = task.error.message or task.message or ("The content was blocked." if task.content_filter else no_words)
    number = f" (code {task.error.code})" if task.error.code else ""
    return Failure(code, said + number + filters_in_words(task.content_filter))


def _is_bad(found: WireFilter) -> bool:
    """Mild findings may stand beside a failure of another kind; the worst two levels are why it failed."""
    return found.level in ("0", "1")


ROLES = {"user": "the prompt or picture", "assistant": "the video", "history": "what came before"}


def filters_in_words(found: Sequence[WireFilter]) -> str:
    """` Found in the prompt or picture (severity 0; 0 is the worst).`, or nothing."""
    if not found:
        return ""
    parts = [
        f"{ROLES.get(entry.role or '', entry.role or 'it')}" + (f" (severity {entry.level})" if entry.level else "")
        for entry in found
    ]
    return f" Found in {', '.join(parts)}; severity 0 is the worst."


# -- business codes --------------------------------------------------------------------------------


class NoSuchModel(Rejected, UnknownModel):
    """The host does not have the model that was asked for."""

    code = "unknown_model"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a business code means. `doubt`: it does not tell whether something was accepted, whatever its status."""

    kind: type[ProviderError]
    advice: str = ""
    doubt: bool = False


CHECK_KEY = "{check_key}"
"""Stands for the variable or setting that the key came from."""
LOCKED = "The account cannot be used: see to it in the vendor's console, or ask their support"
RULINGS: Mapping[str, Ruling] = {
    "500": Ruling(Unavailable, doubt=True),
    "1000": Ruling(AccessDenied, CHECK_KEY),
    "1001": Ruling(AccessDenied, CHECK_KEY),
    "1002": Ruling(AccessDenied, CHECK_KEY),
    "1003": Ruling(AccessDenied, CHECK_KEY),
    "1004": Ruling(AccessDenied, CHECK_KEY),
    "1110": Ruling(AccessDenied, LOCKED),
    "1111": Ruling(AccessDenied, LOCKED),
    "1112": Ruling(AccessDenied, LOCKED),
    "1113": Ruling(NoCredit, "The account is out of credit: top it up in the vendor's console"),
    "1120": Ruling(Unavailable, "The account could not be looked up; try again later"),
    "1121": Ruling(AccessDenied, LOCKED),
    "1200": Ruling(Unavailable, doubt=True),
    "1210": Ruling(Rejected),
    "1211": Ruling(NoSuchModel, "This host does not have the model. See: rushes models zai"),
    "1212": Ruling(Rejected),
    "1213": Ruling(Rejected),
    "1214": Ruling(Rejected),
    "1215": Ruling(Rejected),
    "1220": Ruling(AccessDenied, "The account has no right to this: ask for it in the vendor's console"),
    "1221": Ruling(Gone, "The vendor took this API offline"),
    "1222": Ruling(Gone, "There is no such API at this address: check base_url"),
    # Trouble inside the service, at a point that nobody tells us: the job may have been started.
    "1230": Ruling(Unavailable, doubt=True),
    "1231": Ruling(
        Rejected,
        "A request with this request_id was taken before: look for its job in the vendor's console",
        doubt=True,
    ),
    "1234": Ruling(Unavailable, doubt=True),
    "1300": Ruling(Moderated),
    "1301": Ruling(Moderated),
    "1302": Ruling(RateLimited),
    "1303": Ruling(RateLimited),
    "1304": Ruling(NoCredit, "Today's quota of this API is used up: go on tomorrow, or have the vendor raise it"),
    "1305": Ruling(RateLimited),
    "1308": Ruling(NoCredit, "The quota of the plan is used up: wait until it is renewed, or change the plan"),
    "1309": Ruling(NoCredit, "The plan has expired: renew it, or use a key that is billed by use"),
    "1310": Ruling(NoCredit, "The plan's quota for the week or month is used up: wait, or change the plan"),
}
LOOKS = ("poll", "assets")
NO_SUCH_JOB = ("1210", "1213", "1214")
"""A look has one parameter, the job's id: what else could be wrong with it? (How the host says it was never seen.)"""
STATUS_RULINGS: Mapping[int, Ruling] = {
    434: Ruling(AccessDenied, "The account has no right to this API: ask the vendor for it"),
    435: Ruling(Rejected, "A file is too large: give smaller pictures"),
}


def ruling_of(code: str | None, status: int, step: str) -> Ruling | None:
    """What is to be made of an error: by its business code, else by the few statuses with a meaning of their own."""
    if step in LOOKS and code in NO_SUCH_JOB:
        return Ruling(Vanished)
    if known := RULINGS.get(code or "") or STATUS_RULINGS.get(status):
        return known
    if step == "create" and status in (404, 405, 410):
        return Ruling(Gone, "There is no video API at this address: check base_url (ZAI_BASE_URL)")
    return None

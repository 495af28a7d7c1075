"""What Kling is sent and what it answers: the current API, the codes of its errors, and what its webhooks tell. Pure.

An error may come with the HTTP status of a good answer: only `code` tells. `data` is one task after a create, and a
list of tasks after a query.
"""

import base64
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rushes.errors import (
    AccessDenied,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unavailable,
    Unsupported,
    Vanished,
)
from rushes.providers.given import frames_of, without_none
from rushes.providers.incoming import Incoming, Text, read_object, read_objects, read_text
from rushes.providers.refusals import without_video
from rushes.providers.shapes import ratio_of, tier_by_area
from rushes.video import JSON, Failure, MediaRef, Progress, Status, VideoRequest

TIERS: Mapping[str, int] = {"720p": 720, "1080p": 1080, "4k": 2160}
RATIOS = ("16:9", "9:16", "1:1", "21:9")
STATES: Mapping[str, Status] = {
    "submitted": Status.QUEUED,
    "processing": Status.IN_PROGRESS,
    "succeeded": Status.COMPLETED,
    "failed": Status.FAILED,
}
"""Every other word means "still running"."""

KINDS: Mapping[str, type[ProviderError]] = {
    **dict.fromkeys(("1000", "1001", "1002", "1003", "1004"), AccessDenied),
    "1100": AccessDenied,  # the account is not in order
    "1101": NoCredit,
    "1102": NoCredit,
    "1103": AccessDenied,  # not this model
    **dict.fromkeys(("1200", "1201", "1202", "1203"), Rejected),
    "1300": Moderated,
    "1301": Moderated,
    "1302": RateLimited,
    "1303": RateLimited,  # as many at once as the pack allows
    "1304": AccessDenied,  # not from this address
    **dict.fromkeys(("5000", "5001", "5002"), Unavailable),
}
"""The documented codes."""
DOUBTFUL = frozenset({"5000", "5001", "5002"})
MISSING = "1203"  # unverified: on a look, that there is no such task
OUR_KEY = "external_task_id"
MODERATION_WORDS = ("content security", "content policy", "moderation", "risk control", "safety", "sensitive")
"""By these a job is known to have failed for its content (unverified: a task tells words and no code)."""


class Row(BaseModel):
    """`wire` of the table: the addresses of a model, or its name on the old API."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str | None = None
    image: str | None = None  # with a first frame
    omni: str | None = None  # with references or an earlier video; without `text` and `image`, for everything
    flat_prompt: bool = False  # from words alone, the prompt stands outside of `contents`
    tells_sound: bool = True  # False: it always has sound, and there is nothing to say
    v1: str | None = None
    v1_sound: bool = False


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    multi_shot: bool | None = None  # several shots in one video
    watermark: bool | None = None
    cfg_scale: Annotated[float, Field(ge=0, le=1)] | None = None  # of the old API: how closely the prompt is followed


def check_extra(request: VideoRequest, row: Row) -> None:
    """Refuse an option that only the models of the other API have. Raises Unsupported."""
    wrong = {"multi_shot", "watermark"} if row.v1 else {"cfg_scale"}
    if name := next((name for name in request.extra if name in wrong), None):
        others = "models of the current API" if row.v1 else "models of the old API"
        raise Unsupported(f"{request.model} has no extra field {name!r}: only {others} have. Leave it out.")


def picture_text(data: bytes) -> str:
    """A picture inside the JSON: plain base64. Whether the current API takes a data URI, too, is not documented."""
    return base64.b64encode(data).decode("ascii")


def path_of(request: VideoRequest, row: Row) -> str:
    """Where a create goes. Raises Unsupported for a model of which no address is known."""
    if request.references or request.source:
        path = row.omni
    elif frames_of(request):
        path = row.image or row.omni
    else:
        path = row.text or row.omni
    if path is None:
        raise Unsupported(f"The table names no address of {request.model} for this. Set it in its `wire`.")
    return path


def to_wire(
    request: VideoRequest,
    row: Row,
    pictures: Mapping[str, str],
    source_url: str | None,
    *,
    key: str,
    callback_url: str | None,
) -> dict[str, JSON]:
    """The body of a create. `pictures` are texts by the sha256 of their files."""
    extra = Extra.model_validate(dict(request.extra))
    options: dict[str, JSON] = {"external_task_id": key, "callback_url": callback_url}
    if extra.watermark is not None:
        options["watermark_info"] = {"enabled": extra.watermark}
    body: dict[str, JSON] = {}
    contents = _contents(request, pictures, source_url)
    if row.flat_prompt and len(contents) == 1:
        body["prompt"] = request.prompt
    else:
        body["contents"] = contents
    return body | {"settings": _settings(request, row, extra), "options": _filled(options)}


def _contents(request: VideoRequest, pictures: Mapping[str, str], source_url: str | None) -> list[JSON]:
    given: list[tuple[str, MediaRef | None]] = [
        ("first_frame", request.first_frame),
        ("last_frame", request.last_frame),
        *(("refer_image", reference.media) for reference in request.references),
    ]
    contents: list[JSON] = [{"type": "prompt", "text": request.prompt}]
    contents += [{"type": kind, "url": pictures[media.sha256]} for kind, media in given if media is not None]
    if source_url is not None:
        contents.append({"type": "base_video", "url": source_url})
    return contents


def _settings(request: VideoRequest, row: Row, extra: Extra) -> dict[str, JSON]:
    assert request.size is not None
    follows = request.first_frame is not None or request.source is not None  # what is given has the shape
    return _filled(
        {
            "resolution": tier_by_area(request.size, TIERS),
            "aspect_ratio": None if follows else ratio_of(request.size, RATIOS),
            "duration": request.seconds,
            "audio": _audio(request) if row.tells_sound else None,
            "multi_shot": extra.multi_shot,
        }
    )


def _audio(request: VideoRequest) -> str:
    if not request.audio:
        return "off"
    # With a video as input no price is told for new sound: it keeps its own.
    return "original" if request.source else "native"


def _filled(fields: Mapping[str, JSON]) -> dict[str, JSON]:
    return without_none(fields)


# -- answers ---------------------------------------------------------------------------------------


class WireOutput(Incoming):
    type: Text = None
    url: Text = None


class WireTask(Incoming):
    """One task. Its `billing` is left alone: the unit of the amounts is not documented."""

    id: Text = None
    external_task_id: Text = None
    status: Text = None
    message: Text = None
    outputs: Annotated[list[WireOutput], BeforeValidator(read_objects)] = Field(default=[])

    @property
    def video_url(self) -> str | None:
        links = [output for output in self.outputs if output.url]
        videos = [output for output in links if output.type is None or "video" in output.type.lower()]
        return next((output.url for output in [*videos, *links]), None)


class CreatedTask(Incoming):
    id: Annotated[str, BeforeValidator(read_text), Field(min_length=1)]


class Created(Incoming):
    data: CreatedTask


def read_tasks(value: Any) -> Any:
    return [value] if isinstance(value, Mapping) else value


class Queried(Incoming):
    """An answer without a list proves nothing, so it is not to be read as an empty one."""

    data: Annotated[list[WireTask], BeforeValidator(read_tasks)]


def from_wire(task: WireTask) -> Progress:
    """A look at a task in our words. How long the video is, is not taken from it: billed is what was ordered."""
    status = STATES.get((task.status or "").lower(), Status.IN_PROGRESS)
    if status is Status.COMPLETED and task.video_url is None:
        return without_video()
    if status is Status.FAILED:
        return Progress(status=status, failure=failure_of(task.message))
    return Progress(status=status, percent=100.0 if status is Status.COMPLETED else None)


def failure_of(message: str | None) -> Failure:
    words = message or "The server gave no reason."
    moderated = any(word in words.lower() for word in MODERATION_WORDS)
    return Failure(Moderated.code if moderated else "internal_error", words)


def kind_of_code(code: str | None, step: str) -> type[ProviderError] | None:
    """The class of a documented code; None for any other."""
    return Vanished if code == MISSING and step != "create" else KINDS.get(code or "")


class _Told(Incoming):
    id: Text = None
    task_id: Text = None
    data: Annotated[dict[str, Any], BeforeValidator(read_object)] = Field(default={})


def task_told_of(body: bytes) -> str | None:
    """The task that a message from Kling is about: its own fields, or those of its `data` (the form is unverified)."""
    try:
        told = _Told.model_validate_json(body)
    except ValueError:
        return None
    inside = _Told.model_validate(told.data)
    found = inside.id or inside.task_id or told.task_id or told.id
    return found if found and len(found) <= 200 and "\x00" not in found else None

"""What goes in and out of the native API, as pydantic models: the border itself, and what the OpenAPI document says."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Depends
from fastapi.security import HTTPBearer
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from rushes.gateway.openai_wire import LONGEST_S, PROMPT_MAX
from rushes.jobs.ledger import AttemptState, JobState
from rushes.jobs.purse import By
from rushes.providers.catalog import Feature
from rushes.video import Status

DEFAULT_SECONDS, DEFAULT_WIDTH, DEFAULT_HEIGHT = 10, 1920, 1080
LONGEST_SIDE = 16_384
SEED_MOST = 2**63 - 1
USD_MOST = 999_999
DOLLARS = r"^[0-9]{1,6}(\.[0-9]{1,6})?$"
TAG_PATTERN = r"^[^,\s\x00-\x1f\x7f]([^,\x00-\x1f\x7f]*[^,\s\x00-\x1f\x7f])?$"
ID_PATTERN = r"^((video_)?[0-9a-fA-F]{32}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})$"
NO_NUL = r"^[^\x00]*$"
"""PostgreSQL keeps none, so nothing with one can be found."""
ID_TEXT = "A job's or a video's id: a UUID with hyphens, or `video_` and 32 hexadecimal digits."

SECURED = Depends(HTTPBearer(auto_error=False, scheme_name="bearer", description="A key made by `rushes keys create`"))
"""Says in the document that a key is sent; who it is, the doorkeeper finds out."""


class Shown(BaseModel):
    """Base of everything that is answered."""

    model_config = ConfigDict(frozen=True)


# -- errors ------------------------------------------------------------------------------------------


class ErrorBody(Shown):
    message: str
    type: str
    param: str | None = Field(description="The field at fault")
    code: str | None


class Error(Shown):
    """The one form of all errors."""

    error: ErrorBody


SAID = {
    400: "Not an id, or no such file",
    401: "No key, or a wrong one",
    403: "This key may not do that",
    404: "No such object of yours",
    408: "The request did not arrive in time",
    409: "What was asked does not fit the state the job is in, or an Idempotency-Key came with another body",
    410: "The files are gone",
    412: "The file is not the one that If-Match names",
    413: "The request is too large",
    415: "Neither JSON nor multipart",
    416: "No such range of the file",
    422: "A value is missing or wrong",
    429: "Too many requests, or no budget left",
    503: "No provider, database or store can serve now",
}
OF_A_BODY = (403, 408, 409, 413, 415)


def errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The documented errors of an operation: these, and those that any may have."""
    return {code: {"model": Error, "description": SAID[code]} for code in sorted({401, 422, 429, 503, *codes})}


def links(words: str, **operations: str) -> dict[int | str, dict[str, Any]]:
    """The good answer of an operation that makes a job, with what can be asked of it then: operation, parameter."""
    found = {
        name: {"operationId": name, "parameters": {parameter: "$response.body#/job_id"}}
        for name, parameter in operations.items()
    }
    return {200: {"description": words, "links": found}}


# -- generate ----------------------------------------------------------------------------------------


def _whole(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, bool) or _is_stray_text(value, info):
        raise ValueError("should be a whole number")
    return value


def _yes(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, bool | str) or _is_stray_text(value, info):
        raise ValueError("should be true or false")
    return value


def _dollars(value: Any) -> Any:
    if isinstance(value, bool) or (isinstance(value, str) and not re.fullmatch(DOLLARS, value)):
        raise ValueError("should be dollars, such as 0.50")
    return value


def _is_stray_text(value: Any, info: ValidationInfo) -> bool:
    """Numbers come as text in forms alone."""
    return isinstance(value, str) and not (info.context and info.context.get("texts"))


Whole = Annotated[int, BeforeValidator(_whole)]
Yes = Annotated[bool, BeforeValidator(_yes)]
Usd = Annotated[
    Decimal,
    BeforeValidator(_dollars),
    Field(ge=0, le=USD_MOST),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0, "maximum": USD_MOST}, {"type": "string", "pattern": DOLLARS}]}
    ),
]
Text = Annotated[str, Field(min_length=1, max_length=PROMPT_MAX, pattern=r"^[^\x00]*\S[^\x00]*$")]
Name = Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[!-~]+$")]
Id = Annotated[str, Field(pattern=ID_PATTERN, description=ID_TEXT)]
Tag = Annotated[str, Field(min_length=1, max_length=80, pattern=TAG_PATTERN)]
Picture = Annotated[
    str,
    Field(
        min_length=1,
        pattern=r"^[!-~\s]*$",
        description="An https link, a data URI, or base64; in a form, a file",
    ),
]


class Generate(BaseModel):
    """A video to be made. What is named is met as it is, or refused with what can be had; what is not is fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Text
    model: Name | None = Field(default=None, description="A name of GET /api/models; none: the first that can serve")
    duration: Whole = Field(default=DEFAULT_SECONDS, ge=1, le=LONGEST_S, description="Whole seconds")
    width: Whole = Field(default=DEFAULT_WIDTH, ge=16, le=LONGEST_SIDE, description="Pixels")
    height: Whole = Field(default=DEFAULT_HEIGHT, ge=16, le=LONGEST_SIDE, description="Pixels")
    seed: Whole | None = Field(default=None, ge=0, le=SEED_MOST)
    audio: Yes | None = None
    negative_prompt: Annotated[str, Field(max_length=PROMPT_MAX, pattern=NO_NUL)] | None = None
    image: Picture | None = None
    last_image: Picture | None = None
    remix: Id | None = None
    edit: Id | None = None
    extend: Id | None = None
    fallback: tuple[Name, ...] = Field(
        default=(), max_length=8, description="Models to try when the first provably did not accept"
    )
    extra: dict[str, Any] = Field(default={}, description="Options of the model's provider, by its own names")
    cache: Literal["use", "refresh", "off"] | None = Field(
        default=None, description="Whether an equal finished video may serve; as the key says, if not said"
    )
    max_cost_usd: Usd | None = None
    tags: tuple[Tag, ...] = Field(default=(), max_length=32)


def generate_body() -> dict[str, Any]:
    """The request body of a generate for the OpenAPI document: as JSON, and as a form with files."""
    schema = Generate.model_json_schema()
    binary = {"type": "string", "format": "binary"}
    flat = {name: _said(of) for name, of in schema["properties"].items() if name not in ("extra", "fallback", "tags")}
    form = {
        "title": "GenerateForm",
        "type": "object",
        "required": ["prompt"],
        "properties": {**flat, "image": binary, "last_image": binary},
    }
    example = {"prompt": "A lighthouse at dusk", "model": "draft", "duration": 1, "width": 320, "height": 180}
    content = {
        "application/json": {"schema": schema, "example": example},
        "multipart/form-data": {"schema": form},
    }
    return {"requestBody": {"required": True, "content": content}}


def _said(of: dict[str, Any]) -> dict[str, Any]:
    """A field that a form either has or has not: it cannot say null. Pure."""
    choices = [choice for choice in of.get("anyOf", ()) if choice != {"type": "null"}]
    rest = {name: value for name, value in of.items() if name not in ("anyOf", "default")}
    return of if not choices else {**rest, **(choices[0] if len(choices) == 1 else {"anyOf": choices})}


class Generated(Shown):
    """A job, as whoever ordered it follows it."""

    job_id: str
    status: Status
    video_url: str | None = Field(description="Where the file is to be had, once it is completed")
    error: str | None = Field(description="Why it failed")


class Adjusted(Shown):
    """One thing that is made otherwise than asked."""

    field: str
    asked: str | None
    given: str
    why: str


class Estimate(Shown):
    """What a generate would buy, and for how much at most. Nothing was bought."""

    model: str
    size: str
    seconds: int
    estimate_usd: Decimal | None = Field(description="For a new video by this model; null: nobody knows, never free")
    most_usd: Decimal | None = Field(description="The dearest of the models that may come to serve")
    adjustments: list[Adjusted]
    notes: list[str]


# -- jobs --------------------------------------------------------------------------------------------


class JobShown(Shown):
    """A job as its owner sees it."""

    job_id: str
    id: str = Field(description="The same id as the dialects write it")
    status: Status
    state: JobState
    percent: int = Field(ge=0, le=100)
    model: str
    asked_model: str
    prompt: str
    created_at: datetime
    completed_at: datetime | None
    deadline: datetime
    estimate_usd: Decimal | None
    cost_usd: Decimal | None = Field(description="null: not known (yet), never free")
    cached: bool
    trouble: str | None = Field(description="What is being waited out right now")
    error: str | None
    error_code: str | None
    adjustments: list[Adjusted]
    tags: list[str]
    video_url: str | None


class AttemptShown(Shown):
    """One paid submission to a provider."""

    n: int
    provider: str
    model: str
    state: AttemptState
    remote_id: str | None
    sent_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    cost_usd: Decimal | None
    error_code: str | None
    error: str | None


class EventShown(Shown):
    id: int
    at: datetime
    kind: str
    data: dict[str, Any]


class JobInFull(JobShown):
    attempts: list[AttemptShown]
    events: list[EventShown] = Field(description="The first thousand, oldest first")


class JobPage(Shown):
    jobs: list[JobShown]
    has_more: bool
    next_before: str | None = Field(description="`before` of the next page")


class Deleted(Shown):
    job_id: str
    deleted: Literal[True] = True


class Decision(BaseModel):
    """What a person decides about a job of which nobody knows whether the provider accepted it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Adopt(Decision):
    """The provider has it: go on with that one, and pay nothing more."""

    decision: Literal["adopt"]
    remote_id: Name = Field(description="The provider's own id of the job")


class Repay(Decision):
    """It is wanted, and may be paid for a second time."""

    decision: Literal["repay"]
    max_cost_usd: Usd | None = Field(default=None, description="A new limit for its run")


class NeverBilled(Decision):
    """It was certainly not billed, and is not wanted."""

    decision: Literal["never_billed"]


class Billed(Decision):
    """It was billed, and its video cannot be had."""

    decision: Literal["billed"]
    usd: Usd = Field(description="What the provider charged")


DECISIONS: dict[str, type[Decision]] = {
    "adopt": Adopt,
    "repay": Repay,
    "never_billed": NeverBilled,
    "billed": Billed,
}


def resolve_body() -> dict[str, Any]:
    """The request body of a decision for the OpenAPI document."""
    schema = {"oneOf": [shape.model_json_schema() for shape in DECISIONS.values()]}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


# -- library -----------------------------------------------------------------------------------------


class VideoShown(Shown):
    """A finished video of the library."""

    file_id: str
    id: str = Field(description="The same id as the dialects write it")
    job_id: str
    available: bool = Field(description="false: its file was collected, or is lost")
    video_url: str
    thumbnail_url: str
    spritesheet_url: str
    download_url: str
    format: str | None
    width: int | None
    height: int | None
    seconds: float | None
    fps: float | None
    has_audio: bool | None
    size_bytes: int | None
    sha256: str | None
    model: str
    prompt: str
    cached: bool
    created_at: datetime
    tags: list[str]
    adjustments: list[Adjusted]


class VideoPage(Shown):
    videos: list[VideoShown]
    has_more: bool
    next_before: str | None = Field(description="`before` of the next page")


class PriceShown(Shown):
    sizes: list[str] = Field(description="None named: every size")
    usd_per_second: Decimal | None
    usd_per_video: Decimal | None


class ModelShown(Shown):
    """What a model can do, and what it costs."""

    id: str
    provider: str
    title: str
    usable: bool
    reason: str | None = Field(description="Why it cannot be used now")
    sizes: list[str] = Field(description="None named: any even size up to max_side")
    max_side: int | None
    seconds: list[int]
    default_size: str
    default_seconds: int
    features: list[Feature]
    requires: list[Feature]
    prices: list[PriceShown] = Field(description="None: the price is not known")
    prompt_max: int
    max_references: int
    sound: str
    source: str
    read: date | None
    retired: date | None
    successor: str | None
    note: str | None


class Alias(Shown):
    name: str
    models: list[str] = Field(description="In the order in which they are tried; none: the first that can serve")


class RankShown(Shown):
    board: str
    title: str
    day: str = Field(description="Of the snapshot; some boards tell only the month")
    score: int


class ReplacementShown(Shown):
    """A model in the place of another, for the same clip."""

    id: str
    usd: Decimal | None = Field(description="Of the clip; null: unknown")
    ratio: float | None = Field(description="Of the price of the model that it would replace")
    size: str = Field(description="Really bought")
    seconds: int
    lacks: list[str] = Field(description="What differs, in words")
    ranks: list[RankShown]
    key: bool = Field(description="Whether its provider has a key here")


class Models(Shown):
    models: list[ModelShown]
    aliases: list[Alias]
    replacements: list[ReplacementShown] | None = Field(None, description="With `for`: the best first")


# -- spend -------------------------------------------------------------------------------------------


class SpendLine(Shown):
    name: str | None
    jobs: int
    settled_usd: Decimal
    held_usd: Decimal = Field(description="May still be charged")
    overrun_usd: Decimal
    unknown: int = Field(description="How many of them have a price that nobody knows")


class SpendLimit(Shown):
    name: str
    limit_usd: Decimal
    held_usd: Decimal
    settled_usd: Decimal
    free_usd: Decimal


class SpendShown(Shown):
    by: By
    since: date | None
    until: date | None
    time_zone: Literal["UTC"] = "UTC"
    whose: Literal["own", "all"]
    lines: list[SpendLine]
    total: SpendLine
    today: str
    limits: list[SpendLimit]


# -- health ------------------------------------------------------------------------------------------


class Healthy(Shown):
    status: Literal["healthy"] = "healthy"
    timestamp: datetime
    version: str


class Ready(Shown):
    status: Literal["ready", "not_ready"]
    reasons: list[str]
    timestamp: datetime
    version: str

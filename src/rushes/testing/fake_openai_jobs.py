"""What the fake of the OpenAI Videos API holds and what it is asked: jobs, characters, operations, new videos of old.

The rules for requests stand in `openai_rules.py`, the server in `fake_openai.py`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from rushes.testing.openai_rules import (
    MAX_EXTENSIONS,
    MAX_TOTAL_SECONDS,
    Fields,
    Order,
    Refusal,
    check_seconds,
    measured,
    only_text,
    prompt_in,
    refuse_unknown,
    usd_per_second,
)
from rushes.testing.server import Part, Received, TimedJob


@dataclass(slots=True)
class FakeJob(TimedJob):
    id: str
    model: str
    prompt: str
    seconds: str
    size: str
    created: float  # Unix time by the fake's clock
    failure: tuple[str, str] | None = None
    served_as: int = 200  # the status that a look at the failed job gets
    empty: bool = False  # done, without a content
    completed: float | None = None
    remixed_from: str | None = None
    extensions: int = 0  # how many of the steps that led to it were extensions


@dataclass(frozen=True, slots=True)
class FakeCharacter:
    id: str
    name: str
    created: float

    def shown(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "created_at": int(self.created)}


@dataclass(frozen=True, slots=True)
class FakeSource:
    """The earlier video of a remix, an edit or an extension, as far as it sets what is made and charged."""

    model: str
    size: str
    seconds: int
    extensions: int = 0
    id: str | None = None  # None: uploaded

    @classmethod
    def of(cls, job: FakeJob) -> "FakeSource":
        return cls(job.model, job.size, int(float(job.seconds)), job.extensions, job.id)


def operation_of(received: Received) -> str | None:
    """Which operation of the API a request is. Everything that is paid for is a "create". Pure."""
    match received.method, _steps(received):
        case "POST", ["v1", "videos"] | ["v1", "videos", "edits" | "extensions"] | ["v1", "videos", _, "remix"]:
            return "create"
        case "POST", ["v1", "videos", "characters"]:
            return "create_character"
        case "GET", ["v1", "videos", "characters", _]:
            return "get_character"
        case "GET", ["v1", "videos"]:
            return "list"
        case "GET", ["v1", "videos", _]:
            return "poll"
        case "DELETE", ["v1", "videos", _]:
            return "delete"
        case (("GET" | "HEAD"), ["v1", "videos", _, "content"]):
            return "download"
        case _:
            return None


def kind_of_create(received: Received) -> str:
    """`create`, `remix`, `edits` or `extensions`. Pure."""
    steps = _steps(received)
    return steps[-1] if len(steps) > 2 else "create"


def id_in(received: Received) -> str:
    return unquote(_steps(received)[2])


def last_id_in(received: Received) -> str:
    return unquote(_steps(received)[-1])


def _steps(received: Received) -> list[str]:
    return received.raw_path.partition("?")[0].strip("/").split("/")


# -- new videos of old -----------------------------------------------------------------------------------------------


def named_source(fields: Fields, file: Part | None) -> str | None:
    """The id in `video`; None: its file came along. Exactly one of the two must be there."""
    given = fields.get("video")
    if (given is None) == (file is None):
        raise Refusal(400, "Missing required parameter: 'video'.", code="missing_required_parameter", param="video")
    return None if given is None else only_text(given, ("id",), "video")[1]


def uploaded_source(fields: Fields, file: Part) -> FakeSource:
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "Missing required parameter: 'model'.", code="missing_required_parameter", param="model")
    size, seconds = measured(file)
    return FakeSource(model, size, seconds)


def remix_order(fields: Fields, file: Part | None, source: FakeSource, *, strict: bool) -> Order:
    if file is not None:
        raise Refusal(400, f"Unknown parameter: '{file.name}'.", code="unknown_parameter", param=file.name)
    return _again(fields, source, {"prompt"}, strict=strict, remixed_from=source.id)


def edit_order(fields: Fields, source: FakeSource, *, strict: bool) -> Order:
    return _again(fields, source, {"prompt", "video", *_model_of_upload(source)}, strict=strict)


def extension_order(fields: Fields, source: FakeSource, *, strict: bool) -> Order:
    """`seconds` are those of the new part, which alone is charged; the answer's are those of the whole."""
    prompt, new = prompt_in(fields), fields.get("seconds")
    if new is None:
        raise Refusal(400, "Missing required parameter: 'seconds'.", code="missing_required_parameter", param="seconds")
    if strict:
        refuse_unknown(fields, {"prompt", "seconds", "video", *_model_of_upload(source)})
        new = check_seconds(new)
    if source.extensions >= MAX_EXTENSIONS:
        raise Refusal(400, f"A video can be extended at most {MAX_EXTENSIONS} times.", param="video")
    total = source.seconds + int(new)
    if total > MAX_TOTAL_SECONDS:
        raise Refusal(400, f"The extended video would exceed {MAX_TOTAL_SECONDS} seconds.", param="seconds")
    usd = usd_per_second(source.model, source.size) * int(new) if strict else Decimal(0)
    more = source.extensions + 1
    return Order(prompt, source.model, str(new), source.size, usd, total=str(total), extensions=more)


def _again(
    fields: Fields, source: FakeSource, known: Collection[str], *, strict: bool, remixed_from: str | None = None
) -> Order:
    """The source made anew by another prompt: as long and as large, and charged like that."""
    prompt = prompt_in(fields)
    usd = Decimal(0)
    if strict:
        refuse_unknown(fields, known)
        usd = usd_per_second(source.model, source.size) * source.seconds
    return Order(
        prompt,
        source.model,
        str(source.seconds),
        source.size,
        usd,
        remixed_from=remixed_from,
        extensions=source.extensions,
    )


def _model_of_upload(source: FakeSource) -> tuple[str, ...]:
    """An upload names its model; of a video made there it is known, and naming it is refused."""
    return ("model",) if source.id is None else ()

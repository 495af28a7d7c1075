"""What is put on Replicate's wire, and what its answers mean. Pure.

The envelope is the same for all models; the inputs inside it are called otherwise by each. So a row of the table says
in `wire` what its model calls them, and a name that is wrong is put right there, in one line. `schema.py` compares a
row with the description that Replicate publishes of the model.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rushes.errors import Moderated, NoCredit, ProviderError, Unsupported
from rushes.providers.incoming import ErrorObject, Incoming, Moment, Text, read_object, read_wire_error
from rushes.providers.openai.wire import Listing
from rushes.providers.refusals import kind_of_status
from rushes.providers.shapes import ratio_of, tier_by_side
from rushes.video import JSON, Failure, MediaRef, Progress, Status, VideoRequest

STATES: Mapping[str, Status] = {
    "starting": Status.QUEUED,
    "succeeded": Status.COMPLETED,
    "failed": Status.FAILED,
    "canceled": Status.FAILED,
    "aborted": Status.FAILED,
}
"""Every other word means "still running"."""
RESULT_LIFE = timedelta(hours=1)  # then input, output and logs of what the API made are deleted
MODERATION_WORDS = ("e005", "flagged as sensitive", "nsfw", "content policy", "safety filter")
"""By these a refusal is known for one of content (unverified: no code is told, and each model has words of its own)."""
PERCENT = re.compile(r"(?<![\d.])(\d{1,3})(?:\.\d+)?\s?%")
LOGS_LOOKED_AT = 2000  # characters from the end: a bar that is drawn anew a thousand times makes long logs


class Inputs(BaseModel):
    """What a model calls its inputs: the `wire` of its row. None: it has no such input.

    TOML has no word for nothing: a model without resolutions has `resolutions = {}`, one without shapes `ratios = []`,
    one without a length `seconds = ""`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str | None = None  # of a model that is not official: it is asked for by this hash
    prompt: str = "prompt"
    seconds: str = "duration"
    resolution: str = "resolution"
    resolutions: Mapping[str, int] = Field(default_factory=lambda: {"720p": 720, "1080p": 1080})
    """Its words, with the shorter side that each stands for."""
    ratio: str = "aspect_ratio"
    ratios: tuple[str, ...] = ("16:9", "9:16", "1:1")
    first_frame: str | None = None
    last_frame: str | None = None
    references: str | None = None  # a list of pictures
    reference_clips: str | None = None  # a list of clips
    audio: str | None = None  # true or false
    seed: str | None = None
    negative_prompt: str | None = None
    fixed: Mapping[str, Any] = Field(default_factory=dict[str, Any])  # sent with every request

    @property
    def names(self) -> frozenset[str]:
        """Every input that rushes may set by itself."""
        left_out = {"version", "resolutions", "ratios", "fixed"}
        left_out |= set() if self.resolutions else {"resolution"}
        left_out |= set() if self.ratios else {"ratio"}
        rest = self.model_dump(exclude=left_out)
        return frozenset({*(name for name in rest.values() if name), *self.fixed})


class Extra(BaseModel):
    """`input`: further inputs of the model, by its own names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Mapping[str, Any] = Field(default_factory=dict[str, Any])


class Prediction(Incoming):
    """A job. `output` is a link, a list of them, or an object that holds them, as the model likes."""

    id: Text = None
    model: Text = None
    status: Text = None
    input: Annotated[Mapping[str, Any], BeforeValidator(read_object)] = Field(default_factory=dict[str, Any])
    output: Any = None
    error: ErrorObject = None
    logs: Text = None
    created_at: Moment = None
    started_at: Moment = None
    completed_at: Moment = None
    data_removed: bool | None = None

    @property
    def link(self) -> str | None:
        """Where the video is; of several files the first that looks like one."""
        links = _links(self.output)
        videos = (link for link in links if link.partition("?")[0].lower().endswith((".mp4", ".webm", ".mov")))
        return next(videos, links[0] if links else None)


def _links(output: Any) -> list[str]:
    if isinstance(output, str):
        return [output] if output.startswith(("https://", "http://")) else []
    inside: list[Any] = []
    if isinstance(output, list):
        inside = cast(list[Any], output)
    elif isinstance(output, Mapping):
        inside = list(cast(Mapping[str, Any], output).values())
    return [link for entry in inside for link in _links(entry)]


def to_wire(request: VideoRequest, inputs: Inputs, links: Mapping[str, str]) -> dict[str, JSON]:
    """The inputs of a create; `links` are the pictures by their sha256.

    Raises Unsupported for what the row offers and gives no name to: it would be left out in silence.
    """
    assert request.size is not None
    named: dict[str, JSON] = {inputs.prompt: request.prompt, **inputs.fixed}
    if inputs.seconds:
        named[inputs.seconds] = request.seconds
    if inputs.resolutions:
        named[inputs.resolution] = tier_by_side(request.size, inputs.resolutions)
    if inputs.ratios:
        named[inputs.ratio] = ratio_of(request.size, inputs.ratios)
    if inputs.audio and request.audio is not None:
        named[inputs.audio] = request.audio
    pictures = [links[each.media.sha256] for each in request.references if each.media.seconds is None]
    clips = [links[each.media.sha256] for each in request.references if each.media.seconds is not None]
    asked: Mapping[str, JSON] = {
        "first_frame": _link(request.first_frame, links),
        "last_frame": _link(request.last_frame, links),
        "references": pictures or None,
        "reference_clips": clips or None,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
    }
    for field, value in asked.items():
        if value is None:
            continue
        name: str | None = getattr(inputs, field)
        if name is None:
            raise Unsupported(f"The entry of {request.model} in the table names no wire.{field}. Add it.", field=field)
        named[name] = value
    further = Extra.model_validate(dict(request.extra)).input
    if taken := sorted(inputs.names & further.keys()):
        raise Unsupported(f"{request.model}: {', '.join(taken)} is set by rushes itself. Take it out of `input`.")
    return {**named, **further}


def _link(media: MediaRef | None, links: Mapping[str, str]) -> str | None:
    return None if media is None else links[media.sha256]


def from_wire(job: Prediction) -> Progress:
    """A look at a job in our words."""
    word = (job.status or "").lower()
    status = STATES.get(word, Status.IN_PROGRESS)
    if status is Status.COMPLETED:
        if job.link is not None:
            expires_at = job.completed_at + RESULT_LIFE if job.completed_at else None
            return Progress(status=status, percent=100.0, expires_at=expires_at)
        gone = job.data_removed is True
        words = "Its video was deleted an hour after it was made." if gone else "It is done, but came without a video."
        failure = Failure("expired" if gone else "internal_error", words)
        return Progress(status=Status.FAILED, failure=failure, billed=True)
    if word == "canceled":
        # What was cancelled while it ran is charged, how much is not said: the whole is the safe reading.
        began = job.started_at is not None
        words = "It was cancelled" + (" when it had begun, which is charged." if began else " before it began.")
        return Progress(status=status, failure=Failure("cancelled", words), billed=began)
    if word == "aborted":
        return Progress(status=status, failure=Failure("cancelled", "Its deadline passed before it began."))
    if status is Status.FAILED:
        return Progress(status=status, failure=_failure(job))
    return Progress(status=status, percent=percent_of(job.logs) if status is Status.IN_PROGRESS else None)


def _failure(job: Prediction) -> Failure:
    words = (job.error.message if job.error else None) or "The model gave no reason."
    return Failure(Moderated.code if is_moderation(words) else "internal_error", words)


def is_moderation(words: str) -> bool:
    return any(each in words.lower() for each in MODERATION_WORDS)


def percent_of(logs: str | None) -> float | None:
    """The last percentage that a model wrote into its logs, if it writes any. Never 100: the end is a state."""
    found = PERCENT.findall((logs or "")[-LOGS_LOOKED_AT:])
    return min(99.0, float(found[-1])) if found else None


def read_list(data: Any, inputs: Inputs) -> Listing:
    """A page of predictions as the search reads it. Where the next one is, stands in `last_id`, as a whole link.

    An hour after its end a prediction is listed without its inputs: then its prompt counts as not told.
    """
    sent = cast(Mapping[str, Any], read_object(data))
    listed = sent.get("results")
    jobs = [_seen(entry, inputs) for entry in cast(list[Any], listed)] if isinstance(listed, list) else None
    after = sent.get("next")
    known = after is None or isinstance(after, str)
    has_more = after is not None if "next" in sent and known else None
    return Listing.model_validate({"data": jobs, "has_more": has_more, "last_id": after if known else None})


def _seen(entry: Any, inputs: Inputs) -> Any:
    if not isinstance(entry, Mapping):
        return entry  # which tells the search that the list is not whole
    job = Prediction.model_validate(entry)
    return {
        "id": job.id,
        "model": job.model,
        "prompt": job.input.get(inputs.prompt),
        "seconds": job.input.get(inputs.seconds) if inputs.seconds else None,
        "created_at": cast(Mapping[str, Any], entry).get("created_at"),
    }


def read_refusal(status: int, body: bytes) -> tuple[type[ProviderError], str]:
    """The class and the words of an error: `{title, detail, status}`, without a code of its own."""
    words = read_wire_error(body).message or f"HTTP {status}"
    if status == 402:
        return NoCredit, words
    if status in (400, 422) and is_moderation(words):
        return Moderated, words
    return kind_of_status(status), words

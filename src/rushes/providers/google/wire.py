"""Gemini Omni in its own words: the body of an interaction, and what an interaction tells. Pure.

An extension comes back joined to what it extends, and its `duration` is what is added.

Source: ai.google.dev `gemini-api/docs/omni`, `api/interactions`, `gemini-api/docs/files`, docs.cloud.google.com
`models/video/extend-videos`, read 2026-11-20.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from rushes.errors import Moderated
from rushes.providers.given import frames_of, without_none
from rushes.providers.incoming import ErrorObject, Incoming, Text, WireError, read_objects
from rushes.providers.shapes import ratio_of, tier_by_side
from rushes.video import JSON, Failure, MediaRef, Progress, SourceKind, Status, VideoRequest

RATIOS = ("16:9", "9:16")
TIERS: Mapping[str, int] = {"360p": 360, "720p": 720, "1080p": 1080, "4k": 2160}
STATES: Mapping[str, Status] = {
    "queued": Status.QUEUED,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
    "cancelled": Status.FAILED,
    "incomplete": Status.FAILED,
    "budget_exceeded": Status.FAILED,
    "requires_action": Status.FAILED,
}
"""Every other word means "still running", `in_progress` and `requires_continuation` among them."""
ENDINGS: Mapping[str, str] = {
    "cancelled": "The job was cancelled.",
    "incomplete": "The job ended before the video was done.",
    "budget_exceeded": "The job was ended by a spending limit of the account.",
    "requires_action": "The job waits for an action that this API does not offer for videos.",
}
MODERATION_WORDS = (
    "safety",
    "usage polic",
    "content polic",
    "usage guidelines",
    "prohibited",
    "sensitive words",
    "content_filter",
    "moderation",
    "responsible ai",
    "harmful",
)
"""By these a refusal is known for one of content (unverified: it has no code, and its words are nowhere told)."""
TASK_BESIDE_PREVIOUS = False
"""Whether `task` may stand beside `previous_interaction_id`. The API's pages show both; those who tried it in September
2026 were refused with "previous_interaction_id is not allowed when video task is set" (unverified here). Then the
prompt alone says what is wanted, so it is led by `LEADS`."""
LEADS: Mapping[SourceKind, str] = {
    SourceKind.REMIX: "Edit this video: ",
    SourceKind.EDIT: "Edit this video: ",
    SourceKind.EXTEND: "Extend this video: ",
}
TASKS: Mapping[SourceKind, str] = {
    SourceKind.REMIX: "edit",
    SourceKind.EDIT: "edit",
    SourceKind.EXTEND: "extend",
}
INLINE_BYTES = 10_000_000
"""Pictures of more than this together are uploaded (unverified: what a body may hold is not told for this API)."""

Part = Mapping[str, JSON]


class Row(BaseModel):
    """What the table says of a model for this provider alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api: Literal["gemini", "vertex"] = "gemini"
    edits_with_references: bool = False


# -- what is sent --------------------------------------------------------------------------------------


def to_bring(request: VideoRequest) -> tuple[MediaRef, ...]:
    """What is uploaded before: clips always, pictures if they are many or large."""
    media = _media_of(request)
    pictures = [each for each in media if each.seconds is None]
    inline = sum(each.size_bytes for each in pictures) <= INLINE_BYTES
    return tuple(each for each in media if each.seconds is not None or not inline)


def inline_picture(media: MediaRef, data: bytes) -> Part:
    return {"type": "image", "mime_type": media.mime, "data": base64.b64encode(data).decode("ascii")}


def linked(media: MediaRef, uri: str) -> Part:
    """A file that was uploaded."""
    if media.seconds is None:
        return {"type": "image", "uri": uri}
    return {"type": "video", "uri": uri, "mime_type": media.mime}


def to_wire(
    request: VideoRequest,
    parts: Mapping[str, Part],
    *,
    background: bool,
    callback_url: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[str, JSON]:
    """The body of a create. `parts` are the pictures and clips by their sha256."""
    assert request.size is not None
    source = request.source
    previous = source.remote_id if source is not None else None
    task = _task_of(request)
    led = previous is not None and not TASK_BESIDE_PREVIOUS
    lead = LEADS[source.kind] if led and source is not None else ""
    given = [parts[media.sha256] for media in _media_of(request)]
    # An edit keeps shape and length of its source, an extension the shape: to name them is refused.
    new = source is None
    lasts = new or source.kind is SourceKind.EXTEND
    response_format: dict[str, JSON] = {
        "type": "video",
        "aspect_ratio": ratio_of(request.size, RATIOS) if new else None,
        "resolution": tier_by_side(request.size, TIERS),
        "duration": f"{request.seconds}s" if lasts else None,
        "delivery": "uri",
    }
    fields: dict[str, JSON] = {
        "model": request.model.model,
        "input": [*given, {"type": "text", "text": f"{lead}{request.prompt}"}],
        "previous_interaction_id": previous,
        "generation_config": None if led else {"video_config": {"task": task}},
        "response_format": _said(response_format),
        "background": background,
        "store": True,
        "webhook_config": {"uris": [callback_url]} if callback_url else None,
        "labels": dict(labels) if labels else None,
    }
    return _said(fields)


def _media_of(request: VideoRequest) -> tuple[MediaRef, ...]:
    """In the order in which they are sent: first and last frame are known by it."""
    clip = request.source.media if request.source else None
    return (
        *([clip] if clip is not None else []),
        *frames_of(request),
        *(reference.media for reference in request.references),
    )


def _task_of(request: VideoRequest) -> str:
    if request.source is not None:
        return TASKS[request.source.kind]
    if request.references:
        return "reference_to_video"
    return "image_to_video" if request.first_frame is not None else "text_to_video"


def _said(fields: Mapping[str, JSON]) -> dict[str, JSON]:
    return without_none(fields)


# -- what is answered ----------------------------------------------------------------------------------


class WireContent(Incoming):
    type: Text = None
    text: Text = None
    uri: Text = None
    data: Text = None


class WireStep(Incoming):
    type: Text = None
    content: Annotated[tuple[WireContent, ...], BeforeValidator(read_objects)] = ()
    error: ErrorObject = None


class WireInteraction(Incoming):
    id: Text = None
    status: Text = None
    steps: Annotated[tuple[WireStep, ...], BeforeValidator(read_objects)] = ()
    errors: Annotated[tuple[WireError, ...], BeforeValidator(read_objects)] = ()
    error: ErrorObject = None

    @property
    def outputs(self) -> tuple[WireContent, ...]:
        """What the model made; never what it was given, which stands in the other steps."""
        return tuple(each for step in self.steps if step.type == "model_output" for each in step.content)

    @property
    def video(self) -> WireContent | None:
        """The last one, with a link or with its bytes."""
        made = [each for each in self.outputs if each.type == "video" and (each.uri or each.data)]
        return made[-1] if made else None

    @property
    def failure(self) -> WireError:
        told = [*self.errors, *([self.error] if self.error else []), *(step.error for step in self.steps if step.error)]
        if told:
            return told[0]
        said = " ".join(each.text for each in self.outputs if each.type == "text" and each.text)
        return WireError(message=said[:300] or None)


class WireFile(Incoming):
    """A file of the Files API: the answer to a look, or what an upload's answer wraps in `file`."""

    uri: Text = None
    name: Text = None
    state: Text = None


class WireUploaded(Incoming):
    file: WireFile


def from_wire(job: WireInteraction) -> Progress:
    """A look at a job in our words. What is done and has no video counts as billed."""
    word = (job.status or "").lower()
    status = STATES.get(word, Status.IN_PROGRESS)
    if status is Status.COMPLETED and job.video is None:
        return Progress(
            status=Status.FAILED, failure=_failure(job, "It is done, but came without a video."), billed=True
        )
    if status is Status.FAILED:
        return Progress(status=status, failure=_failure(job, ENDINGS.get(word, "The server gave no reason."), word))
    return Progress(status=status, percent=100.0 if status is Status.COMPLETED else None)


def is_moderation(words: str) -> bool:
    low = words.lower()
    return any(word in low for word in MODERATION_WORDS)


def _failure(job: WireInteraction, otherwise: str, word: str = "") -> Failure:
    error = job.failure
    words = error.message or otherwise
    if is_moderation(f"{error.code or ''} {error.message or ''}"):
        return Failure(Moderated.code, words)
    return Failure(word if word in ENDINGS else error.code or "internal_error", words)


def file_of(uri: str) -> str | None:
    """The name of a file in the Files API, `files/abc`, by any of its addresses; None for a link to elsewhere."""
    found = re.search(r"(?:^|/)(files/[\w-]+)(?=[:?/]|$)", uri)
    return found[1] if found else None


def decoded(text: str) -> bytes | None:
    """The bytes of base64; None if it is none."""
    try:
        return base64.b64decode(text, validate=True) or None
    except (binascii.Error, ValueError):
        return None

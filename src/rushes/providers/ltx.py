"""LTX by Lightricks. Create, then look at the address of the same operation; nothing tells how far a job has come.

There is no 720p: the smallest is 1080p, which rushes scales down where 720p was asked for. Lengths are even seconds,
from 6 on. Nothing can be listed, cancelled or deleted, no idempotency is promised and there are no webhooks, so a
create in doubt is put to a person. Links are of unknown life; an hour is assumed, and the file is fetched at once.

`/v2/extend` is left out: it is not documented whether the whole comes back or only what was added, so rushes goes on
from the last frame and joins the two itself. `/v2/retake` is left out because its fields are not documented to us.

Source: docs.ltx.video (models, input formats, API reference) and the price page, read 2026-11-20. Never tried live: how
long links live, the codes of refusals, the field names of an upload, what a failed job tells, and the ids of LTX 2.5.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rushes.errors import Moderated, NoCredit, ProviderError, Rejected, Unavailable, Unsupported, Vanished
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.given import data_uri, frames_of, without_none
from rushes.providers.incoming import ErrorObject, Incoming, Moment, Text, read_object, read_wire_error
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status, without_video
from rushes.providers.terms import Asset, Doubt, Link, Promises, RemoteJob
from rushes.video import JSON, Failure, MediaRef, Progress, Status, VideoRequest

FROM_TEXT, FROM_IMAGE = "text-to-video", "image-to-video"
STATES: Mapping[str, Status] = {
    "pending": Status.QUEUED,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
}
"""Every other word means "still running"."""
KINDS: Mapping[str, type[ProviderError]] = {
    "content_filtered_error": Moderated,
    "insufficient_funds_error": NoCredit,
}
"""What the type of an error says better than its status (both unverified)."""
INLINE_BYTES = 5_000_000  # of a picture: a data URI may have 7 MB, and is a third longer than what it holds
FILE_LIFE_S = 24 * 3600.0  # of an upload
USUAL_FPS = 24
LONG_S, LONG_FPS = 10, (24, 25)  # above so many seconds only these rates are made


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    fps: Literal[24, 25, 48, 50] = USUAL_FPS
    camera_motion: (
        Literal["dolly_in", "dolly_out", "dolly_left", "dolly_right", "jib_up", "jib_down", "static", "focus_shift"]
        | None
    ) = None
    enhance_prompt: bool | None = None


class Accepted(Incoming):
    id: Annotated[str, Field(min_length=1)]


class WireResult(Incoming):
    video_url: Text = None


class WireJob(Incoming):
    status: Text = None
    result: Annotated[WireResult, BeforeValidator(read_object)] = WireResult()
    error: ErrorObject = None


class WireUpload(Incoming):
    """Where a file is to be put, and what it is called afterwards (the names are unverified)."""

    upload_url: Annotated[str, Field(min_length=1)]
    storage_uri: Annotated[str, Field(min_length=1)]
    required_headers: Annotated[dict[str, str], BeforeValidator(read_object)] = Field(default_factory=dict[str, str])
    expires_at: Moment = None


class LTX(Provider):
    """`ltx`."""

    name = "ltx"
    title = "LTX"
    key_vars = ("LTX_API_KEY", "LTXV_API_KEY")
    base_url_vars = ("LTX_BASE_URL",)
    default_base_url = "https://api.ltx.video"
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(
        doubt=Doubt.NONE,
        result_life_s=3600.0,  # unverified
        create_timeout_s=180.0,  # pictures travel inside the body
    )

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        request = prepared.request
        fps = Extra.model_validate(dict(request.extra)).fps
        if request.seconds is not None and request.seconds > LONG_S and fps not in LONG_FPS:
            words = " or ".join(map(str, LONG_FPS))
            raise Unsupported(f"{request.model} makes more than {LONG_S} seconds at {words} fps only, not at {fps}.")

    def to_bring(self, prepared: Prepared) -> Sequence[MediaRef]:
        return [frame for frame in frames_of(prepared.request) if not is_inline(frame)]

    async def upload(self, media: MediaRef, data: bytes) -> Link:
        place = self.parsed(self.checked(await self.api.send("POST", "/v1/upload", step="upload")), WireUpload)
        headers = {"content-type": media.mime, **{name.lower(): each for name, each in place.required_headers.items()}}
        reply = await self.context.http.upload(
            "PUT", place.upload_url, content=data, headers=headers, trusted=[self.api.origin]
        )
        if not reply.ok:
            # Not by the status as elsewhere: a 403 of the store behind it says nothing about our key.
            kind = Unavailable if reply.status >= 500 else Rejected
            raise kind(f"{self.label} did not take the picture", step="upload", http_status=reply.status)
        # The address to put it at expires sooner than the file: what is told can only be too early.
        good_for_s = FILE_LIFE_S
        if place.expires_at is not None:
            good_for_s = min(good_for_s, (place.expires_at - datetime.now(UTC)).total_seconds())
        return Link(url=place.storage_uri, good_for_s=max(0.0, good_for_s))

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        uris = {frame.sha256: await self._uri_of(frame) for frame in frames_of(request)}
        operation = FROM_IMAGE if uris else FROM_TEXT
        reply = await self.create(f"/v2/{operation}", json=to_wire(request, uris))
        return RemoteJob(id=self.parsed(reply, Accepted).id, data={"operation": operation})

    async def _uri_of(self, frame: MediaRef) -> str:
        if is_inline(frame):
            return data_uri(frame, await self.context.read_input(frame))
        return await self.link_to(frame)

    async def poll(self, remote: RemoteJob) -> Progress:
        return from_wire(await self._job(remote, "poll"))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        job = await self._job(remote, "assets")
        if not job.result.video_url:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=job.result.video_url),)

    async def _job(self, remote: RemoteJob, step: str) -> WireJob:
        operation = remote.data.get("operation")
        if operation in (FROM_TEXT, FROM_IMAGE):
            return await self._look(f"{operation}", remote, step)
        # An id that a person brought: of which operation it is, only asking tells.
        try:
            return await self._look(FROM_TEXT, remote, step)
        except Vanished:
            return await self._look(FROM_IMAGE, remote, step)

    async def _look(self, operation: str, remote: RemoteJob, step: str) -> WireJob:
        reply = await self.look(f"/v2/{operation}/{quote(remote.id, safe='')}", step=step)
        job = self.parsed(reply, WireJob)
        if job.status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        return job

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        return error.type or error.code, error.message or f"HTTP {reply.status}"

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        by_status = kind_of_status(reply.status)
        if reply.status == 402:
            return NoCredit
        if reply.step == "create" and reply.status == 404:
            return Rejected  # no such operation here: nothing was there before that could have vanished
        return KINDS.get(code or "", by_status) if reply.status < 500 else by_status


PROVIDER = LTX


def is_inline(media: MediaRef) -> bool:
    """Whether a picture goes inside the JSON, and not beside it."""
    return media.size_bytes <= INLINE_BYTES


def to_wire(request: VideoRequest, uris: Mapping[str, str]) -> dict[str, JSON]:
    """The body of a create; `uris` are the pictures by their sha256. Pure."""
    extra = Extra.model_validate(dict(request.extra))
    fields: dict[str, JSON] = {
        "model": request.model.model,
        "prompt": request.prompt,
        "duration": request.seconds,
        "resolution": str(request.size),
        "fps": extra.fps,
        "generate_audio": request.audio,
        "image_uri": _uri(request.first_frame, uris),
        "last_frame_uri": _uri(request.last_frame, uris),
        "camera_motion": extra.camera_motion,
        "enhance_prompt": extra.enhance_prompt,
    }
    return without_none(fields)


def _uri(frame: MediaRef | None, uris: Mapping[str, str]) -> str | None:
    return None if frame is None else uris[frame.sha256]


def from_wire(job: WireJob) -> Progress:
    """A look at a job in our words. What is done and has no link is a failure that is billed. Pure."""
    status = STATES.get((job.status or "").lower(), Status.IN_PROGRESS)
    if status is Status.COMPLETED and not job.result.video_url:
        return without_video()
    if status is Status.FAILED:
        error = job.error
        code = (error.type or error.code if error else None) or "internal_error"
        code = Moderated.code if KINDS.get(code) is Moderated else code
        return Progress(status=status, failure=Failure(code, (error and error.message) or "The server gave no reason."))
    return Progress(status=status, percent=100.0 if status is Status.COMPLETED else None)

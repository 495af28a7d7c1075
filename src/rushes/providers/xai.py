"""xAI: Grok Imagine. Create, then look; a percentage is told, edits and extensions have addresses of their own.

Nothing can be listed, cancelled or deleted, no idempotency is promised and there are no webhooks. So a create in doubt
is put to a person. A job can be `done` with a video that was held back by moderation: it has no link, **and it is
billed**. Links are of unknown life; an hour is assumed, so the file is fetched at once.

Source: docs.x.ai `developers/model-capabilities/video/generation`, `developers/rest-api-reference`,
`developers/pricing`, the package `@ai-sdk/xai`, read 2026-11-20. Never tried live: how long links live, how a refused
prompt is answered (its words are matched), the pixels of 480p and 1080p.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rushes.errors import Moderated, ProviderError, Vanished
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.given import check_plain_references, data_uri, frames_of, without_none
from rushes.providers.incoming import (
    ErrorObject,
    Incoming,
    Number,
    Percent,
    Seconds,
    Text,
    read_object,
    read_wire_error,
)
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status
from rushes.providers.shapes import ratio_of, tier_by_side
from rushes.providers.terms import Asset, Doubt, Promises, RemoteJob
from rushes.video import JSON, Failure, MediaRef, Progress, SourceKind, Status, VideoRequest

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3")
TIERS: Mapping[str, int] = {"480p": 480, "720p": 720, "1080p": 1080}
STATES: Mapping[str, Status] = {"done": Status.COMPLETED, "failed": Status.FAILED, "expired": Status.FAILED}
"""Every other word means "still running"."""
OPERATIONS: Mapping[SourceKind | None, str] = {
    None: "generations",
    SourceKind.REMIX: "edits",
    SourceKind.EDIT: "edits",
    SourceKind.EXTEND: "extensions",
}
TICKS_A_DOLLAR = Decimal(10) ** 10
MODERATION_WORDS = ("moderation", "content policy", "safety")
"""By these a refusal is known for one of content (unverified: no code is documented)."""


class StorageOptions(BaseModel):
    """Keeping the clip in the account's files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filename: str | None = None
    expires_after: Annotated[int, Field(ge=3600, le=2_592_000)] | None = None


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str | None = None  # an end user, for the vendor's own records
    storage_options: StorageOptions | None = None


class Accepted(Incoming):
    request_id: Annotated[str, Field(min_length=1)]


class WireVideo(Incoming):
    url: Text = None
    duration: Seconds = None
    respect_moderation: Annotated[bool | None, BeforeValidator(lambda told: told if told is False else None)] = None


class WireUsage(Incoming):
    cost_in_usd_ticks: Number = None


class WireJob(Incoming):
    """A look at a job. Some answers lack `status` and have only the link."""

    status: Text = None
    progress: Percent = None
    video: Annotated[WireVideo, BeforeValidator(read_object)] = WireVideo()
    usage: Annotated[WireUsage, BeforeValidator(read_object)] = WireUsage()
    error: ErrorObject = None


class XAI(Provider):
    """`xai`."""

    name = "xai"
    title = "xAI"
    key_vars = ("XAI_API_KEY",)
    base_url_vars = ("XAI_BASE_URL",)
    default_base_url = "https://api.x.ai/v1"
    sources_by_link = True
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(
        doubt=Doubt.NONE,
        moderated_is_billed=True,
        result_life_s=3600.0,  # unverified
        create_timeout_s=180.0,  # pictures travel inside the body
    )

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        check_plain_references(prepared.request)

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        media = (*frames_of(request), *(reference.media for reference in request.references))
        uris = {each.sha256: data_uri(each, await self.context.read_input(each)) for each in media}
        source = request.source.remote_id if request.source else None
        source_url = await self.source_link(source) if source else None
        body = to_wire(request, uris, source_url)
        reply = await self.create(f"/videos/{OPERATIONS[request.source.kind if request.source else None]}", json=body)
        return RemoteJob(id=self.parsed(reply, Accepted).request_id)

    async def poll(self, remote: RemoteJob) -> Progress:
        return from_wire(await self._job(remote, "poll"))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        job = await self._job(remote, "assets")
        if not job.video.url:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=job.video.url),)

    async def _job(self, remote: RemoteJob, step: str) -> WireJob:
        reply = await self.look(f"/videos/{quote(remote.id, safe='')}", step=step)
        job = self.parsed(reply, WireJob)
        if job.status is None and job.video.url is None and job.video.respect_moderation is not False:
            raise self.bad_reply(reply, "The answer tells no status")
        return job

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        return error.code, error.message or f"HTTP {reply.status}"

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        words = self.read_error(reply)[1].lower()
        if reply.status in (400, 403, 422) and any(word in words for word in MODERATION_WORDS):
            return Moderated
        return kind_of_status(reply.status)


PROVIDER = XAI


def to_wire(request: VideoRequest, uris: Mapping[str, str], source_url: str | None) -> dict[str, JSON]:
    """The body of a create, an edit or an extension. `uris` are the pictures by their sha256. Pure."""
    kind = request.source.kind if request.source else None
    extra = Extra.model_validate(dict(request.extra))
    fields: dict[str, JSON] = {
        "model": request.model.model,
        "prompt": request.prompt,
        "user": extra.user,
        "storage_options": extra.storage_options.model_dump(exclude_none=True) if extra.storage_options else None,
    }
    if kind is not None:
        fields["video"] = {"url": source_url}
        fields["duration"] = request.seconds if kind is SourceKind.EXTEND else None
        return without_none(fields)
    assert request.size is not None
    fields |= {
        "duration": request.seconds,
        "aspect_ratio": ratio_of(request.size, RATIOS),
        "resolution": tier_by_side(request.size, TIERS),
        "image": _picture(request.first_frame, uris),
        "last_frame": _picture(request.last_frame, uris),
        "reference_images": [_picture(reference.media, uris) for reference in request.references] or None,
        "generate_audio": request.audio,
    }
    return without_none(fields)


def _picture(media: MediaRef | None, uris: Mapping[str, str]) -> JSON:
    return None if media is None else {"url": uris[media.sha256]}


def from_wire(job: WireJob) -> Progress:
    """A look at a job in our words. What is done and has no link was held back, and is billed. Pure."""
    status = STATES.get((job.status or "done").lower(), Status.IN_PROGRESS)
    ticks = job.usage.cost_in_usd_ticks
    billed_usd = None if ticks is None else Decimal(str(ticks)) / TICKS_A_DOLLAR
    if status is Status.COMPLETED and (job.video.respect_moderation is False or not job.video.url):
        moderated = job.video.respect_moderation is False
        words = "The video was held back by moderation." if moderated else "It is done, but came without a video."
        failure = Failure(Moderated.code if moderated else "internal_error", words)
        return Progress(status=Status.FAILED, failure=failure, billed=True, billed_usd=billed_usd)
    if status is Status.FAILED:
        return Progress(status=status, failure=_failure(job), billed_usd=billed_usd)
    percent = 100.0 if status is Status.COMPLETED else job.progress
    return Progress(status=status, percent=percent, seconds=job.video.duration, billed_usd=billed_usd)


def _failure(job: WireJob) -> Failure:
    if (job.status or "").lower() == "expired":
        return Failure("expired", "The job expired before it was done.")
    error = job.error
    words = (error.message if error else None) or "The server gave no reason."
    moderated = any(word in f"{error.code if error else ''} {words}".lower() for word in MODERATION_WORDS)
    return Failure(Moderated.code if moderated else (error.code if error else None) or "internal_error", words)

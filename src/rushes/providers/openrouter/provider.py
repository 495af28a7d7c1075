"""OpenRouter: video models of many labs, billed on one account. Create, then look; it tells what each job cost.

Nothing can be listed or cancelled and no idempotency is promised, so a create in doubt is put to a person. Results lie
behind the key, at this API's own address. It posts to an https address when a job has ended, signed where the account
has a secret. The table is a part of the feed of models (`feed.py`, which makes rows for all of it).

`previous_job_id` leads from one video to the next, but nobody says which models take it, nor whether an extension comes
back joined to what it extends. So no model of the table has it: who knows a model that does adds `edit` or `remix` to
its features in `[catalog] extra`, and it is sent.

Source: openrouter.ai/docs (video generation guide, webhooks, API reference), the package `openrouter` 1.3.84, read
2026-11-20. Never tried live: how a refused prompt is answered, the words of a failed job, where given clips may be
sent inside the request, the sizes in pixels of models for which the feed names none.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from urllib.parse import quote, urljoin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from rushes.errors import AccessDenied, Moderated, NoCredit, ProviderError, Rejected, Unsupported, Vanished
from rushes.http import Reply
from rushes.logs import hide
from rushes.providers.base import Provider
from rushes.providers.given import check_plain_references, data_uri, media_of, without_none
from rushes.providers.incoming import (
    ErrorObject,
    Incoming,
    Moment,
    Number,
    Text,
    Texts,
    read_object,
    read_texts,
    read_wire_error,
)
from rushes.providers.openrouter.feed import SIDES, read_feed
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status, without_video
from rushes.providers.shapes import ratio_of, tier_by_side
from rushes.providers.terms import Asset, Context, Doubt, Hint, Promises, RemoteJob
from rushes.video import JSON, Failure, MediaRef, Progress, Status, VideoRequest

STATES: Mapping[str, Status] = {
    "pending": Status.QUEUED,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
    "cancelled": Status.FAILED,
    "expired": Status.FAILED,
}
"""Every other word means "still running"."""
MODERATION_WORDS = ("moderation", "content policy", "content_policy", "safety", "flagged")
"""By these a failed job is known for one of content (unverified: its error is a sentence)."""
BODY_MB = 50  # of a create, pictures and clips included; base64 makes four bytes of three
SIGNED_WITHIN_S = 300
SIGNATURE = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")
EVENTS = "video.generation."


class OpenRouterOptions(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook_secret: SecretStr | None = None


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    provider_options: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict[str, Mapping[str, Any]])
    """By the slug of the lab that makes the video: what only that one knows."""
    user: str | None = None  # an end user, for the account's own records
    session_id: str | None = None


class Row(BaseModel):
    """What the table says of a model for this provider alone. Empty: a size is told in pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resolutions: tuple[str, ...] = ()
    ratios: tuple[str, ...] = ()


class WireUsage(Incoming):
    cost: Number = None
    is_byok: bool | None = None


class WireJob(Incoming):
    """The answer to a create, and to a look."""

    id: Text = None
    status: Text = None
    error: ErrorObject = None
    unsigned_urls: Texts = ()
    urls: Texts = ()
    expires_at: Moment = None
    usage: Annotated[WireUsage, BeforeValidator(read_object)] = WireUsage()

    @property
    def link(self) -> str | None:
        """The one that does not run out first."""
        return next(iter((*self.unsigned_urls, *self.urls)), None)


class _Subject(Incoming):
    id: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class _Event(Incoming):
    type: str
    data: _Subject


class OpenRouter(Provider):
    """`openrouter`."""

    name = "openrouter"
    title = "OpenRouter"
    key_vars = ("OPENROUTER_API_KEY",)
    other_vars = ("OPENROUTER_WEBHOOK_SECRET",)
    base_url_vars = ("OPENROUTER_BASE_URL",)
    default_base_url = "https://openrouter.ai/api/v1"
    options_shape = OpenRouterOptions
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(doubt=Doubt.NONE, create_timeout_s=180.0)  # pictures travel inside the body

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if secret := self.webhook_secret:
            hide(secret)

    @property
    def webhook_secret(self) -> str | None:
        own = OpenRouterOptions.model_validate(self.options.model_dump()).webhook_secret
        return own.get_secret_value() if own else self.context.settings.variable("OPENROUTER_WEBHOOK_SECRET")

    @property
    def callback_url(self) -> str | None:
        """Only an https address is taken."""
        url = super().callback_url
        return url if url and url.startswith("https://") else None

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        check_plain_references(prepared.request)
        given_mb = sum(media.size_bytes for media in media_of(prepared.request)) * 4 / 3 / 1e6
        if given_mb > BODY_MB - 1:
            raise Unsupported(
                f"{prepared.request.model}: pictures and clips weigh {given_mb:.0f} MB as they are sent; {BODY_MB} MB "
                "is the most. Give smaller ones."
            )

    async def ping(self) -> str:
        """The feed of models: free, and read for what the account can be asked for."""
        try:
            reply = self.checked(await self.api.send("GET", "/videos/models", step="ping", timeout_s=10))
            count = len(read_feed(reply.json()))
        except AccessDenied:
            return "key refused"
        except (ProviderError, ValueError) as error:
            return f"no good answer: {error}"
        return f"answers, with {count} video models (the key is not checked by this)"

    # -- the verbs ---------------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        uris = {each.sha256: data_uri(each, await self.context.read_input(each)) for each in media_of(request)}
        body = to_wire(request, self.row(request, Row), uris, self.callback_url)
        reply = await self.create("/videos", json=body)
        job = self.parsed(reply, WireJob)
        if job.id is None:
            raise self.bad_reply(reply, "The answer names no job")
        return RemoteJob(id=job.id)

    async def poll(self, remote: RemoteJob) -> Progress:
        return from_wire(await self._job(remote, "poll"))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        job = await self._job(remote, "assets")
        if job.link is None:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        # Behind the key where it is an address of this API; `Provider.open` sends the key there and nowhere else.
        return (Asset(url=urljoin(f"{self.base_url.rstrip('/')}/", job.link)),)

    async def _job(self, remote: RemoteJob, step: str) -> WireJob:
        reply = await self.look(f"/videos/{quote(remote.id, safe='')}", step=step)
        job = self.parsed(reply, WireJob)
        if job.status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        return job

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        secret = self.webhook_secret
        if secret is not None and not is_signed(secret, headers, body, datetime.now(UTC)):
            raise AccessDenied(f"{self.label}: the message is not signed with our webhook_secret, or is old")
        try:
            event = _Event.model_validate_json(body)
        except ValidationError:
            return None
        return Hint(remote_id=event.data.id, trusted=secret is not None) if event.type.startswith(EVENTS) else None

    # -- reading errors ----------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        reasons = _reasons(reply)
        words = error.message or f"HTTP {reply.status}"
        return error.code, f"{words} ({', '.join(reasons)})" if reasons else words

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        if reply.status == 403 and _reasons(reply):
            return Moderated
        if reply.status == 402:
            return NoCredit
        usual = kind_of_status(reply.status)
        # No such model: it will not come back.
        return Rejected if reply.step == "create" and usual is Vanished else usual


PROVIDER = OpenRouter


def _reasons(reply: Reply) -> tuple[str, ...]:
    """Why the content was refused (unverified for video)."""
    try:
        error = read_object(read_object(reply.json()).get("error"))
    except ProviderError:
        return ()
    return read_texts(read_object(error.get("metadata")).get("reasons"))


def to_wire(
    request: VideoRequest, row: Row, uris: Mapping[str, str], callback_url: str | None = None
) -> dict[str, JSON]:
    """The body of a create. `uris` are the pictures and clips by their sha256. Pure."""
    assert request.size is not None
    extra = Extra.model_validate(dict(request.extra))
    by_words = bool(row.resolutions and row.ratios)
    tiers = {each: SIDES[each] for each in row.resolutions if each in SIDES}
    frames = {"first_frame": request.first_frame, "last_frame": request.last_frame}
    options: dict[str, JSON] = {slug: dict(told) for slug, told in extra.provider_options.items()}
    fields: dict[str, JSON] = {
        "model": request.model.model,
        "prompt": request.prompt,
        "duration": request.seconds,
        "size": None if by_words else str(request.size),
        "resolution": tier_by_side(request.size, tiers) if by_words else None,
        "aspect_ratio": ratio_of(request.size, row.ratios) if by_words else None,
        "frame_images": [
            {**_part(frame, uris), "frame_type": kind} for kind, frame in frames.items() if frame is not None
        ]
        or None,
        "input_references": [_part(each.media, uris) for each in request.references] or None,
        "generate_audio": request.audio,
        "seed": request.seed,
        "previous_job_id": request.source.remote_id if request.source else None,
        "callback_url": callback_url,
        "provider": {"options": options} if options else None,
        "user": extra.user,
        "session_id": extra.session_id,
    }
    return without_none(fields)


def _part(media: MediaRef, uris: Mapping[str, str]) -> dict[str, JSON]:
    kind = "image_url" if media.seconds is None else "video_url"
    return {"type": kind, kind: {"url": uris[media.sha256]}}


def from_wire(job: WireJob) -> Progress:
    """A look at a job in our words. There is no percentage. What a key of one's own pays elsewhere is not told."""
    status = STATES.get((job.status or "").lower(), Status.IN_PROGRESS)
    cost = None if job.usage.is_byok else job.usage.cost
    billed_usd = None if cost is None else Decimal(str(cost))
    if status is Status.COMPLETED and job.link is None:
        return without_video(billed_usd)
    if status is Status.FAILED:
        return Progress(status=status, failure=_failure(job), billed_usd=billed_usd)
    percent = 100.0 if status is Status.COMPLETED else None
    return Progress(status=status, percent=percent, billed_usd=billed_usd, expires_at=job.expires_at)


def _failure(job: WireJob) -> Failure:
    words = (job.error.message if job.error else None) or "The server gave no reason."
    word = (job.status or "").lower()
    if any(each in words.lower() for each in MODERATION_WORDS):
        return Failure(Moderated.code, words)
    return Failure(word if word in ("cancelled", "expired") else "internal_error", words)


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether a message, with its headers in lower case, is new and signed with this secret. Pure."""
    told = SIGNATURE.fullmatch(headers.get("x-openrouter-signature", "").strip())
    if told is None or abs(now.timestamp() - int(told[1])) > SIGNED_WITHIN_S:
        return False
    right = hmac.new(secret.encode(), f"{told[1]},".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right, told[2])

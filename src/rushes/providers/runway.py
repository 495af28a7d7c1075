"""Runway: its own Gen-4.5 and Aleph 2, and two dozen models of others behind one key. Create, then look.

Each model takes its size in its own way, and another way for a first frame than for a prompt: a pixel pair, a ratio
and a resolution, a resolution alone, `auto_720p`, or not at all. A field too many is an error, so the table's `wire`
says it for every model. The duration is always sent: `auto` would be billed at the most that the model makes.

One address both cancels and deletes. A task that waits is refunded; one that runs is charged in full, and so it is
left to end: its video is paid for, and fetched. Should it begin to run between our look and the cancelling, then it is
charged and counted here as free: afterwards the vendor knows the task no more and tells no cost. Nothing can be
listed, no idempotency is promised and there are no webhooks, so a create in doubt is put to a person.

Source: docs.dev.runwayml.com `api`, `guides/pricing`, `errors/task-failures`, `assets/inputs`, the package `runwayml`
5.24.0, read 2026-11-20. Never tried live: that refused inputs are charged where no cost is told, the words by which an
empty account and a refused prompt are known, how long an upload lives, whether the 5 MB of a data URI count its coding.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rushes.errors import AccessDenied, Moderated, NoCredit, ProviderError, Rejected, Unavailable, Unsupported, Vanished
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.given import check_plain_references, data_uri, media_of, without_none
from rushes.providers.incoming import Incoming, Number, Text, Texts, read_object, read_wire_error
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status
from rushes.providers.shapes import ratio_of, tier_by_area, tier_by_side
from rushes.providers.terms import Asset, Doubt, Link, Promises, RemoteJob
from rushes.video import JSON, Failure, MediaRef, Progress, Size, Status, VideoRequest

VERSION = "2024-11-06"
STATES: Mapping[str, Status] = {
    "PENDING": Status.QUEUED,
    "THROTTLED": Status.QUEUED,  # it waits for one of the account's places
    "RUNNING": Status.IN_PROGRESS,
    "SUCCEEDED": Status.COMPLETED,
    "FAILED": Status.FAILED,
    "CANCELLED": Status.FAILED,
}
"""Every other word means "still running"."""
WAITING = ("PENDING", "THROTTLED")
CREDIT_USD = Decimal("0.01")
INLINE_BYTES = 5_000_000
"""Of data URIs in one request, as they are written; what is more is uploaded (unverified: 5 MB are for one URI)."""
UPLOAD_LIFE_S = 3600.0  # unverified: no page tells it
MOST_SEED = 4_294_967_295
CHARGED_FAILURES = ("SAFETY.INPUT.", "INPUT_PREPROCESSING.SAFETY.")  # unverified, and only where the task tells no cost
MODERATED_FAILURES = ("SAFETY.", "INPUT_PREPROCESSING.SAFETY.")
MODERATION_WORDS = ("moderation", "content policy", "safety")  # unverified: refusals are documented for tasks alone
NO_CREDIT_WORDS = ("enough credits", "insufficient credits")  # unverified

Way = Literal["pair", "words", "resolution", "auto", "none"]
"""How a size is told: `ratio` 1280:720; `ratio` 16:9 and `resolution`; `resolution`; `ratio` auto_720p; not at all."""


class Wire(BaseModel):
    """What the table says of a model for us alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Way | None = None  # None: nothing is made from a prompt alone
    image: Way | None = None
    tiers: Mapping[str, int] = {}  # resolutions, and their shorter side in 16:9
    by: Literal["side", "area"] = "side"  # what is compared with it in other shapes
    ratios: tuple[str, ...] = ()
    edit_mode: bool = False  # the same address also extends, so that a `mode` tells them apart
    typed_clips: bool = True  # reference clips say that they are such
    clips_s: int | None = None  # the most that they may last together
    max_images: int | None = None  # frames and references together
    references_beside_frame: bool = False  # pictures of whom or what it is about only beside a first frame
    extras: tuple[str, ...] = ()


class Shot(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Annotated[str, Field(min_length=1)]
    duration: Annotated[int, Field(ge=1)]


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    public_figure_threshold: Literal["auto", "low"] | None = None
    multi_prompt: tuple[Shot, ...] | None = None
    shot_type: Literal["intelligence", "customize"] | None = None
    cfg_scale: Annotated[float, Field(ge=0, le=1)] | None = None
    prompt_expansion_mode: Literal["disabled", "balanced", "quality"] | None = None
    draft: bool | None = None


class WireCredits(Incoming):
    credits: Number = None


Credits = Annotated[WireCredits, BeforeValidator(read_object)]


class Accepted(Incoming):
    id: Annotated[str, Field(min_length=1)]
    estimated_cost: Annotated[Credits, Field(alias="estimatedCost")] = WireCredits()


class WireTask(Incoming):
    status: Text = None
    progress: Number = None
    output: Texts = ()
    failure: Text = None
    failure_code: Annotated[Text, Field(alias="failureCode")] = None
    cost: Credits = WireCredits()


class WireUpload(Incoming):
    upload_url: Annotated[str, Field(alias="uploadUrl", min_length=1)]
    runway_uri: Annotated[str, Field(alias="runwayUri", min_length=1)]
    fields: Annotated[dict[str, str], Field(default_factory=dict[str, str])]


class WireAccount(Incoming):
    credit_balance: Annotated[Number, Field(alias="creditBalance")] = None


class Runway(Provider):
    """`runway`."""

    name = "runway"
    title = "Runway"
    key_vars = ("RUNWAYML_API_SECRET", "RUNWAY_API_KEY")
    base_url_vars = ("RUNWAYML_BASE_URL", "RUNWAY_BASE_URL")
    default_base_url = "https://api.dev.runwayml.com"
    sources_by_link = True
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(
        doubt=Doubt.NONE,
        cancels=True,
        deletes=True,
        moderated_is_billed=True,  # of inputs it is said (unverified); what a task tells of its cost counts before it
        result_life_s=24 * 3600.0,  # of the links; a look gives new ones as long as the task exists
        poll_least_s=5.0,
        create_timeout_s=180.0,  # pictures travel inside the body
    )

    async def auth_headers(self) -> Mapping[str, str]:
        return {**await super().auth_headers(), "x-runway-version": VERSION}

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        request = prepared.request
        check_plain_references(request)
        check_request(request, self.row(request, Wire), self.context.model(request.model).prompt_max)

    async def ping(self) -> str:
        try:
            reply = self.checked(await self.api.send("GET", "/v1/organization", step="ping", timeout_s=10))
            balance = self.parsed(reply, WireAccount).credit_balance
        except AccessDenied:
            return "key refused"
        except ProviderError as error:
            return f"no good answer: {error}"
        left = "" if balance is None else f", {balance:,.0f} credits left"
        return f"answers, key accepted{left}"

    # -- pictures and clips ------------------------------------------------------------------------

    def to_bring(self, prepared: Prepared) -> Sequence[MediaRef]:
        return too_large(media_of(prepared.request))

    async def upload(self, media: MediaRef, data: bytes) -> Link:
        name = f"{media.sha256[:16]}.{media.mime.partition('/')[2]}"
        wanted = {"filename": name, "type": "ephemeral"}
        reply = self.checked(await self.api.send("POST", "/v1/uploads", step="upload", json=wanted))
        told = self.parsed(reply, WireUpload)
        sent = await self.context.http.upload(
            "POST",
            told.upload_url,
            data=told.fields,
            files={"file": (name, data, media.mime)},
            trusted=[self.api.origin],
        )
        if not sent.ok:
            # Not by the status as elsewhere: a 403 of the store behind it says nothing about our key.
            kind = Unavailable if sent.status >= 500 else Rejected
            raise kind(f"{self.label}'s store did not take the file {name}", step="upload", http_status=sent.status)
        return Link(url=told.runway_uri, good_for_s=UPLOAD_LIFE_S)

    # -- the three verbs ---------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        uploaded = {each.sha256 for each in self.to_bring(prepared)}
        uris: dict[str, str] = {}
        for each in media_of(request):
            if each.sha256 in uploaded:
                uris[each.sha256] = await self.link_to(each)
            else:
                uris[each.sha256] = data_uri(each, await self.context.read_input(each))
        source = request.source.remote_id if request.source else None
        source_url = await self.source_link(source) if source else None
        body = to_wire(request, self.row(request, Wire), uris, source_url)
        accepted = self.parsed(await self.create(f"/v1/{operation_of(request)}", json=body), Accepted)
        return RemoteJob(id=accepted.id, data={"credits": accepted.estimated_cost.credits})

    async def poll(self, remote: RemoteJob) -> Progress:
        estimate = remote.data.get("credits")
        estimated = float(estimate) if isinstance(estimate, int | float) else None
        return from_wire(await self._task(remote, "poll"), estimated)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        task = await self._task(remote, "assets")
        if not task.output:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=task.output[0]),)

    async def cancel(self, remote: RemoteJob) -> bool:
        """Only while it waits. Cancelled in its run it costs as much, and brings no video; ended, it would be deleted
        with its files. What was cancelled by others is left to the next look, which reads what that cost."""
        status = ((await self._task(remote, "cancel")).status or "").upper()
        return status in WAITING and await self.delete(remote)

    async def delete(self, remote: RemoteJob) -> bool:
        reply = await self.api.send("DELETE", _path_of(remote), step="delete")
        if reply.status != 404:
            self.checked(reply)
        return True

    async def _task(self, remote: RemoteJob, step: str) -> WireTask:
        reply = await self.look(_path_of(remote), step=step)
        task = self.parsed(reply, WireTask)
        if task.status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        return task

    # -- reading errors ----------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        return error.code, error.message or f"HTTP {reply.status}"

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        words = self.read_error(reply)[1].lower()
        if reply.status in (400, 402) and any(each in words for each in NO_CREDIT_WORDS):
            return NoCredit
        if reply.status in (400, 422) and any(each in words for each in MODERATION_WORDS):
            return Moderated
        return kind_of_status(reply.status)


PROVIDER = Runway


def _path_of(remote: RemoteJob) -> str:
    return f"/v1/tasks/{quote(remote.id, safe='')}"


def too_large(media: Sequence[MediaRef]) -> tuple[MediaRef, ...]:
    """What does not fit into the body any more, when each takes its place in order. Pure."""
    left, rest = INLINE_BYTES, list[MediaRef]()
    for each in dict.fromkeys(media):
        written = len(f"data:{each.mime};base64,") + 4 * ((each.size_bytes + 2) // 3)
        if written > left:
            rest.append(each)
        else:
            left -= written
    return tuple(rest)


def check_request(request: VideoRequest, wire: Wire, prompt_max: int) -> None:
    """Refuse what the table cannot say. Raises Unsupported. Pure."""
    model = request.model
    if wire.text is None and wire.image is None and request.source is None:
        raise Unsupported(f"{model} only changes videos. Name one with --edit, or take another model.")
    units = len(request.prompt.encode("utf-16-le", "surrogatepass")) // 2
    if units > prompt_max:
        words = f"{units} characters as {model} counts them (most emoji are two)"
        raise Unsupported(f"The prompt has {words}; it takes {prompt_max}. Shorten it.", field="prompt")
    if request.seed is not None and not 0 <= request.seed <= MOST_SEED:
        raise Unsupported(f"{model} takes seeds from 0 to {MOST_SEED}, not {request.seed}.", field="seed")
    if wire.references_beside_frame and request.references and request.first_frame is None:
        raise Unsupported(f"{model} takes references only together with a first_frame (--image). Add one.")
    clips_s = sum(each.media.seconds or 0.0 for each in request.references)
    if wire.clips_s is not None and clips_s > wire.clips_s:
        raise Unsupported(f"The reference clips last {clips_s:g} s together; {model} takes {wire.clips_s} s. Cut them.")
    pictures = sum(each.seconds is None for each in media_of(request))
    if wire.max_images is not None and pictures > wire.max_images:
        raise Unsupported(f"{model} takes at most {wire.max_images} pictures, frames included, not {pictures}.")
    _check_extra(request, wire)


def _check_extra(request: VideoRequest, wire: Wire) -> None:
    model, extra = request.model, Extra.model_validate(dict(request.extra))
    for name in request.extra:
        if name not in wire.extras:
            raise Unsupported(f"{model} has no extra field {name!r}. It takes: {', '.join(wire.extras) or 'none'}.")
    if extra.multi_prompt is not None and request.source is None:
        told_s = sum(shot.duration for shot in extra.multi_prompt)
        if told_s != request.seconds:
            raise Unsupported(
                f"The shots of multi_prompt last {told_s} s, the video {request.seconds} s. Make them equal."
            )
    if extra.draft and request.size is not None and tier_of(request.size, wire) != "480p":
        raise Unsupported(f"A draft has 480p, not {request.size}. Ask for a size of 480p, such as 854x480.")


def operation_of(request: VideoRequest) -> str:
    """The last step of the address. Pure."""
    if request.source is not None:
        return "video_to_video"
    return "image_to_video" if request.first_frame is not None else "text_to_video"


def to_wire(request: VideoRequest, wire: Wire, uris: Mapping[str, str], source_url: str | None) -> dict[str, JSON]:
    """The body of a create. `uris` are the pictures and clips by their sha256. Pure."""
    fields: dict[str, JSON] = {"model": request.model.model, "promptText": request.prompt}
    if request.source is not None:
        given = request.source.media
        fields |= {
            "videoUri": source_url if given is None else uris[given.sha256],
            "mode": "edit" if wire.edit_mode else None,
        }
    else:
        fields |= {
            "promptImage": _frames(request, uris) or None,
            "duration": request.seconds,
            **size_fields(request, wire),
            "audio": request.audio,
            "seed": request.seed,
            "negativePrompt": request.negative_prompt,
        }
    pictures = [each.media for each in request.references if each.media.seconds is None]
    clips = [each.media for each in request.references if each.media.seconds is not None]
    kind: dict[str, JSON] = {"type": "video"} if wire.typed_clips else {}
    fields |= {
        "references": [{"uri": uris[each.sha256]} for each in pictures] or None,
        "referenceVideos": [{**kind, "uri": uris[each.sha256]} for each in clips] or None,
        **_extra_fields(Extra.model_validate(dict(request.extra))),
    }
    return without_none(fields)


def _frames(request: VideoRequest, uris: Mapping[str, str]) -> list[JSON]:
    frames = (("first", request.first_frame), ("last", request.last_frame))
    return [{"uri": uris[frame.sha256], "position": place} for place, frame in frames if frame is not None]


def _extra_fields(extra: Extra) -> dict[str, JSON]:
    threshold = extra.public_figure_threshold
    shots = extra.multi_prompt
    settings: dict[str, JSON] = {
        "multiPrompt": [shot.model_dump() for shot in shots] if shots else None,
        "shotType": extra.shot_type,
    }
    return {
        "contentModeration": {"publicFigureThreshold": threshold} if threshold else None,
        "providerSettings": without_none(settings) or None,
        "cfgScale": extra.cfg_scale,
        "promptExpansionMode": extra.prompt_expansion_mode,
        "draft": extra.draft,
    }


def size_fields(request: VideoRequest, wire: Wire) -> dict[str, JSON]:
    """The size, in the fields that this model has for it on this address. Pure."""
    assert request.size is not None
    match wire.text if request.first_frame is None else wire.image:
        case "pair":
            return {"ratio": f"{request.size.width}:{request.size.height}"}
        case "words":
            return {"ratio": ratio_of(request.size, wire.ratios), "resolution": tier_of(request.size, wire)}
        case "resolution":
            return {"resolution": tier_of(request.size, wire)}
        case "auto":
            return {"ratio": f"auto_{tier_of(request.size, wire)}"}
        case _:
            return {}


def tier_of(size: Size, wire: Wire) -> str:
    return (tier_by_side if wire.by == "side" else tier_by_area)(size, wire.tiers)


def from_wire(task: WireTask, estimated_credits: float | None = None) -> Progress:
    """A look at a task in our words. `estimated_credits` were told when it was accepted. Pure."""
    word = (task.status or "").upper()
    status = STATES.get(word, Status.IN_PROGRESS)
    told = _usd(task.cost.credits)
    if status is Status.COMPLETED and not task.output:
        failure = Failure("internal_error", "It is done, but came without a video.")
        billed_usd = told if told is not None else _usd(estimated_credits)
        return Progress(status=Status.FAILED, failure=failure, billed=True, billed_usd=billed_usd)
    if status is Status.COMPLETED:
        billed_usd = told if told is not None else _usd(estimated_credits)
        return Progress(status=status, percent=100.0, billed_usd=billed_usd)
    if status is Status.FAILED:
        code = (task.failure_code or "").upper()
        charged = told is None and code.startswith(CHARGED_FAILURES)
        billed_usd = _usd(estimated_credits) if charged else told
        return Progress(status=status, failure=_failure(task, word), billed=charged, billed_usd=billed_usd)
    share = task.progress if status is Status.IN_PROGRESS else None
    return Progress(status=status, percent=None if share is None else min(100.0, max(0.0, share * 100)))


def _usd(credits_told: float | None) -> Decimal | None:
    return None if credits_told is None else Decimal(str(credits_told)) * CREDIT_USD


def _failure(task: WireTask, word: str) -> Failure:
    code = (task.failure_code or "").upper()
    said = f"{task.failure or 'The server gave no reason.'}{f' ({task.failure_code})' if task.failure_code else ''}"
    if code.startswith(MODERATED_FAILURES):
        return Failure(Moderated.code, said)
    if code.startswith("ASSET."):
        return Failure(Rejected.code, said)
    if word == "CANCELLED":
        return Failure("cancelled", "It was cancelled at the vendor.")
    return Failure("internal_error", said)

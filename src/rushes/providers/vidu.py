"""Vidu: Q3. Create, then look; which pictures go along decides where a create goes. The charge is told in credits.

Nothing can be listed and no idempotency is promised, so a create in doubt is put to a person. Our key goes along as
`payload`, which is echoed in every look: that tells a person whose job it is, but nothing finds a job by it. A job at
off-peak hours costs half and may take two days. That is another price, so it is another model of the table and no
option: what is shown is what is sent. Only such a job can be cancelled, and only before it begins.

What the vendor extends is left to the last frame: whether the whole comes back is not documented. The signature of its
callbacks is not documented either, so what they say is a hint that anybody may have sent.

Source: platform.vidu.com/docs `text-to-video`, `image-to-video`, `reference-to-video`, `start-end-to-video`, `pricing`,
`callback`, read 2026-11-20. Never tried live: how long links live, the codes of refused content and of an empty
account, the pixels of every shape, whether a failed or cancelled job is billed (it is booked as free), the form of a
callback, sound and sizes of `viduq3-mix`.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rushes.errors import Moderated, NoCredit, NotOffered, ProviderError, Rejected, Unsupported, Vanished
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.catalog import Model
from rushes.providers.given import check_plain_references, data_uri, media_of, without_none
from rushes.providers.incoming import Incoming, Number, Text, read_objects, read_text
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status, without_video
from rushes.providers.shapes import ratio_of, tier_by_side
from rushes.providers.terms import Asset, Doubt, Hint, Promises, RemoteJob
from rushes.video import JSON, Failure, Progress, Status, VideoRequest

Region = Literal["international", "mainland"]
HOSTS: Mapping[Region, str] = {
    "international": "https://api.vidu.com/ent/v2",
    "mainland": "https://api.vidu.cn/ent/v2",
}
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4")
TIERS: Mapping[str, int] = {"540p": 540, "720p": 720, "1080p": 1080}
STATES: Mapping[str, Status] = {
    "created": Status.QUEUED,
    "queueing": Status.QUEUED,
    "processing": Status.IN_PROGRESS,
    "success": Status.COMPLETED,
    "failed": Status.FAILED,
}
"""Every other word means "still running"."""
USD_A_CREDIT = Decimal("0.005")
MODERATION_WORDS = ("audit", "policy")
"""In the codes by which content is refused, such as AuditSubmitIllegal and CreationPolicyViolation (unverified)."""
CREDIT_WORD = "credit"  # in the code of an empty account (unverified)


class ViduOptions(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Region | None = None


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    watermark: bool | None = None


class Row(BaseModel):
    """`wire` of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None  # the vendor's name, where ours says more
    off_peak: bool = False


class Accepted(Incoming):
    task_id: Annotated[str, BeforeValidator(read_text), Field(min_length=1)]


class Creation(Incoming):
    url: Text = None


class WireTask(Incoming):
    state: Text = None
    err_code: Text = None
    credits: Number = None
    creations: Annotated[list[Creation], BeforeValidator(read_objects)] = Field(default=[])

    @property
    def url(self) -> str | None:
        return next((creation.url for creation in self.creations if creation.url), None)


class WireFault(Incoming):
    code: Text = None
    reason: Text = None
    message: Text = None


class Told(Incoming):
    """A callback. That it has the fields of a look, and the job's id under one of these names, is unverified."""

    task_id: Text = None
    id: Text = None


class Vidu(Provider):
    """`vidu`."""

    name = "vidu"
    title = "Vidu"
    key_vars = ("VIDU_API_KEY",)
    base_url_vars = ("VIDU_BASE_URL",)
    default_base_url = HOSTS["international"]
    options_shape = ViduOptions
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(
        doubt=Doubt.NONE,
        cancels=True,  # at off-peak hours, before it begins; else `cancel` says no
        result_life_s=24 * 3600.0,  # unverified
        create_timeout_s=180.0,  # pictures travel inside the body
        horizon_s=72 * 3600.0,  # an off-peak job may take two days
    )

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        section, settings = self.context.section, self.context.settings
        asked = ViduOptions.model_validate(self.options.model_dump()).region
        named = section.base_url or (HOSTS[asked] if asked else None)
        return named or settings.variable(*self.base_url_vars) or self.default_base_url

    @property
    def on_mainland(self) -> bool:
        return urlsplit(self.base_url).netloc.endswith("vidu.cn")

    def offered(self, model: Model) -> Model:
        """The prices of the table are the international host's; what a credit costs on the mainland is not in it."""
        return replace(model, prices=()) if self.on_mainland else model

    async def auth_headers(self) -> Mapping[str, str]:
        return {"authorization": f"Token {self.key}"} if self.key else {}

    def check(self, prepared: Prepared) -> None:
        request = prepared.request
        if "off_peak" in request.extra:
            raise Unsupported(
                f"{request.model} takes no off_peak: it has a price of its own, so it is a model of its own. "
                "Choose one whose name ends with -off-peak."
            )
        super().check(prepared)
        check_plain_references(request)

    async def ping(self) -> str:
        """A look at the account's credits, which is free."""
        return await self.answers("/credits")

    # -- the three verbs ---------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        pictures = [data_uri(each, await self.context.read_input(each)) for each in media_of(request)]
        row = self.row(request, Row)
        body = to_wire(request, row, pictures, key=key, callback_url=self.callback_url)
        reply = await self.create(f"/{operation_of(request)}", json=body)
        return RemoteJob(id=self.parsed(reply, Accepted).task_id)

    async def poll(self, remote: RemoteJob) -> Progress:
        return from_wire(await self._task(remote, "poll"), None if self.on_mainland else USD_A_CREDIT)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        task = await self._task(remote, "assets")
        if task.url is None:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=task.url),)

    async def cancel(self, remote: RemoteJob) -> bool:
        """Only a job at off-peak hours that has not begun is given up; of any other the server says no."""
        path = f"/tasks/{quote(remote.id, safe='')}/cancel"
        try:
            self.checked(await self.api.send("POST", path, step="cancel", json={"id": remote.id}, timeout_s=30.0))
        except (NotOffered, Rejected, Vanished):
            return False
        return True

    async def _task(self, remote: RemoteJob, step: str) -> WireTask:
        reply = await self.look(f"/tasks/{quote(remote.id, safe='')}/creations", step=step)
        task = self.parsed(reply, WireTask)
        if task.state is None:
            raise self.bad_reply(reply, "The answer tells no state")
        return task

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        try:
            told = Told.model_validate_json(body)
        except ValueError:
            return None
        found = told.task_id or told.id
        return Hint(remote_id=found, trusted=False) if found and len(found) <= 200 and "\x00" not in found else None

    # -- reading errors ----------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        try:
            fault = WireFault.model_validate_json(reply.body)
        except ValueError:
            return super().read_error(reply)
        return fault.reason or fault.code, fault.message or fault.reason or f"HTTP {reply.status}"

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        if code is not None and 400 <= reply.status < 500:
            if is_moderation(code):
                return Moderated
            if CREDIT_WORD in code.lower():
                return NoCredit
        return kind_of_status(reply.status)


PROVIDER = Vidu


def operation_of(request: VideoRequest) -> str:
    """Where a create goes, by the pictures that go along."""
    if request.references:
        return "reference2video"
    if request.last_frame is not None:
        return "start-end2video"
    return "img2video" if request.first_frame is not None else "text2video"


def to_wire(
    request: VideoRequest, row: Row, pictures: list[str], *, key: str, callback_url: str | None
) -> dict[str, JSON]:
    """The body of a create. A video from a first frame has the picture's shape. Pure."""
    assert request.size is not None
    fields: dict[str, JSON] = {
        "model": row.model or request.model.model,
        "prompt": request.prompt,
        "images": list(pictures) or None,
        "duration": request.seconds,
        "resolution": tier_by_side(request.size, TIERS),
        "aspect_ratio": ratio_of(request.size, RATIOS) if request.first_frame is None else None,
        "audio": request.audio,
        "seed": request.seed,
        "off_peak": row.off_peak,
        "watermark": Extra.model_validate(dict(request.extra)).watermark,
        "payload": key,
        "callback_url": callback_url,
    }
    return without_none(fields)


def is_moderation(code: str) -> bool:
    return any(word in code.lower() for word in MODERATION_WORDS)


def from_wire(task: WireTask, usd_a_credit: Decimal | None) -> Progress:
    """A look at a job in our words. Pure."""
    status = STATES.get((task.state or "").lower(), Status.IN_PROGRESS)
    if status is Status.FAILED:
        return Progress(status=status, failure=_failure(task.err_code))
    billed_usd = None
    if status is Status.COMPLETED and task.credits and usd_a_credit is not None:
        billed_usd = Decimal(str(task.credits)) * usd_a_credit
    if status is Status.COMPLETED and task.url is None:
        return without_video(billed_usd)
    return Progress(status=status, percent=100.0 if status is Status.COMPLETED else None, billed_usd=billed_usd)


def _failure(code: str | None) -> Failure:
    if code is not None and is_moderation(code):
        return Failure(Moderated.code, f"The content was refused ({code}).")
    return Failure(code or "internal_error", f"The server gave the code {code}." if code else "No reason was given.")

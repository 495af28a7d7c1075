"""Z.ai: CogVideoX and Vidu, on the international host and on its mainland twin, BigModel. Create, then look.

The two hosts speak one API and keep separate accounts: `ZAI_API_KEY` belongs to api.z.ai and dollars,
`ZHIPUAI_API_KEY` to open.bigmodel.cn and yuan. Which one is meant, the first of these says: `base_url` in the section,
`region` there, `ZAI_BASE_URL` (a variable of the vendor's own package, too), the key that is set; with both, Z.ai.

Nothing can be listed, searched, cancelled or deleted, and a job tells no progress. A create carries our key as its
`request_id`, and a second one with the same id *may* be refused with code 1231. That is no idempotency: no page
promises it, no page says that the first job's id would come with it, and nothing finds a job by its `request_id`. To
send again would be to gamble on it, with a second bill as the stake. So a create in doubt is put to a person, who sees
the jobs in the vendor's console.

Source: docs.z.ai `api-reference/video/generate-video`, `api-reference/api-code`, docs.bigmodel.cn `cn/faq/api-code`,
the package `zai-sdk` 0.2.3, read 2026-11-20. Never tried on the real hosts: how a failed job tells its reason, what a
look at an unknown job is answered with, `off_peak`, upright and square Vidu videos, whether a failed or blocked job is
billed (it is booked as free).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict

from rushes.errors import AccessDenied, BadReply, Gone, NoCredit, ProviderError, Unavailable, Unsupported, Vanished
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.catalog import Model
from rushes.providers.incoming import read_wire_error
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status, redacted, status_proves_refusal
from rushes.providers.terms import Asset, Doubt, Promises, RemoteJob
from rushes.providers.zai.wire import (
    CHECK_KEY,
    SHAPES,
    Extra,
    PictureRules,
    Shape,
    WireTask,
    filters_in_words,
    from_wire,
    pictures_of,
    read_task,
    ruling_of,
    shape_of,
    to_wire,
)
from rushes.video import MediaRef, Progress, Status, VideoRequest

Region = Literal["international", "mainland"]

HOSTS: Mapping[Region, str] = {
    "international": "https://api.z.ai/api/paas/v4",
    "mainland": "https://open.bigmodel.cn/api/paas/v4",
}
DOMAINS: Mapping[Region, str] = {"international": "z.ai", "mainland": "bigmodel.cn"}
KEY_VARS: Mapping[Region, tuple[str, ...]] = {
    "international": ("ZAI_API_KEY",),
    "mainland": ("ZHIPUAI_API_KEY", "ZAI_API_KEY"),  # the vendor's package reads the second for this host too
}
ASKED_ELSEWHERE: Mapping[str, str] = {
    "model": "model",
    "prompt": "prompt",
    "size": "size",
    "aspect_ratio": "size",
    "duration": "seconds",
    "with_audio": "audio",
    "image_url": "first_frame, last_frame or references",
    "request_id": "rushes itself",
}
"""Fields of the API that the request has under another name."""


class ZaiOptions(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Region | None = None


class Zai(Provider):
    """`zai`, or a section of another name with `kind = "zai"`, such as one for the other region."""

    name = "zai"
    title = "Z.ai"
    key_vars = ("ZAI_API_KEY", "ZHIPUAI_API_KEY")
    base_url_vars = ("ZAI_BASE_URL",)
    default_base_url = HOSTS["international"]
    options_shape = ZaiOptions
    extra_shape: ClassVar[type[BaseModel]] = Extra
    # Pictures travel inside the body, and a create that is cut off half-way is doubt that no one here can settle.
    promises = Promises(doubt=Doubt.NONE, create_timeout_s=180.0)

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def _asked_region(self) -> Region | None:
        return ZaiOptions.model_validate(self.options.model_dump()).region

    @property
    def region(self) -> Region:
        """Which of the two accounts this is about."""
        section, settings = self.context.section, self.context.settings
        if asked := self._asked_region:
            return asked
        address = section.base_url or settings.variable(*self.base_url_vars) or ""
        if told := region_of(address):
            return told
        if section.api_key is not None:
            return "international"
        variable = section.api_key_env or next((name for name in self.key_vars if settings.variable(name)), None)
        return "mainland" if variable == "ZHIPUAI_API_KEY" else "international"

    @property
    def base_url(self) -> str:
        section, settings = self.context.section, self.context.settings
        named = section.base_url or (None if self._asked_region else settings.variable(*self.base_url_vars))
        return named or HOSTS[self.region]

    @property
    def _another_server(self) -> bool:
        """A relay under a name of its own: the usual variables are not its, for their keys would go there."""
        return self.context.name != self.name and self.context.section.base_url is not None

    @property
    def key(self) -> str | None:
        section = self.context.section
        if section.api_key is not None or section.api_key_env:
            return super().key
        return None if self._another_server else self.context.settings.variable(*KEY_VARS[self.region])

    def _missing_key(self) -> str:
        if self.context.section.api_key_env or self._another_server:
            named = self.context.section.api_key_env or f"api_key_env in [providers.{self.context.name}]"
            return f"{self.label} has no key. Set {named}."
        if self.region == "mainland":
            return f"{self.label} has no key for its mainland host. Set ZHIPUAI_API_KEY."
        return f"{self.label} has no key. Set ZAI_API_KEY, or ZHIPUAI_API_KEY for the mainland host."

    async def auth_headers(self) -> Mapping[str, str]:
        # Without it the international host tells its errors in Chinese.
        language = {"accept-language": "en-US,en"} if self.region == "international" else {}
        return {**await super().auth_headers(), **language}

    def offered(self, model: Model) -> Model:
        """The prices of the table are the international host's; the mainland bills in yuan."""
        return replace(model, prices=()) if self.region == "mainland" else model

    def check(self, prepared: Prepared) -> None:
        """Refuse fields that the model does not have, and pictures that the API would not take."""
        request = prepared.request
        shape = shape_of(request.model.model)
        for name in request.extra:
            if name in ASKED_ELSEWHERE:
                raise Unsupported(f"extra may not set {name}: that is asked for by {ASKED_ELSEWHERE[name]}.")
        super().check(prepared)
        check_extra(request, shape)
        if shape.mainland_only and self.region == "international":
            raise Unsupported(
                f"{request.model} is sold on the mainland host alone. Set ZHIPUAI_API_KEY, "
                f'and region = "mainland" in [providers.{self.context.name}].'
            )
        check_pictures(request, shape.pictures)

    async def ping(self) -> str:
        """A look at a job that does not exist: free, and answered only after the key was checked."""
        try:
            reply = await self.api.send("GET", "/async-result/0", step="ping", timeout_s=10)
        except ProviderError as error:
            return f"no good answer: {error}"
        if read_task(reply.body) is None:
            return f"no good answer: HTTP {reply.status}, and not in the words of this API"
        error = self.error_of(reply)
        if isinstance(error, AccessDenied):
            return "key refused" if reply.status == 401 else f"key accepted, but: {error}"
        if isinstance(error, NoCredit):
            return "answers, key accepted, but the account is out of credit"
        if isinstance(error, Unavailable | Gone):
            return f"no good answer: {error}"
        return "answers, key accepted"

    # -- the three verbs ---------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        pictures = [await self.context.read_input(media) for media in pictures_of(prepared.request)]
        reply = await self.create("/videos/generations", json=to_wire(prepared, pictures, key))
        task = self.parsed(reply, WireTask)
        if not task.id:
            raise self.error_of(reply)  # an error in a good answer's clothes
        return RemoteJob(id=task.id)

    async def poll(self, remote: RemoteJob) -> Progress:
        return from_wire(await self._task(remote, "poll"))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        task = await self._task(remote, "assets")
        if not task.urls:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        # The cover picture is left alone: its kind is nowhere stated, and ours are WebP.
        return tuple(Asset(n=n, url=url) for n, url in enumerate(task.urls))

    async def _task(self, remote: RemoteJob, step: str) -> WireTask:
        """One look. A job that failed, or whose content was blocked, may be told of with an error status."""
        path = f"/async-result/{quote(remote.id, safe='')}"
        reply = await self.api.send("GET", path, step=step, timeout_s=30.0)
        task = read_task(reply.body)
        blocked = task is not None and task.error.code == "1301" and not task.urls
        if task is not None and (blocked or task.task_status is Status.FAILED):
            return task.model_copy(update={"task_status": Status.FAILED})
        if not reply.ok or task is None or task.task_status is None:
            raise self.error_of(reply)
        return task

    # -- reading errors ----------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        task = read_task(reply.body)
        words = error.message or f"HTTP {reply.status}"
        return error.code, words + (filters_in_words(task.content_filter) if task else "")

    def error_of(self, reply: Reply) -> ProviderError:
        """By the business code first; a refusal may also come with the status of a good answer."""
        code, words = self.read_error(reply)
        ruling = ruling_of(code, reply.status, reply.step)
        if ruling:
            kind, advice = ruling.kind, ruling.advice
        else:
            kind, advice = BadReply if reply.ok else kind_of_status(reply.status), ""
        if advice == CHECK_KEY or (not advice and kind is AccessDenied):
            advice = f"Check {self._key_place()}"
        # Of a good answer without an id, only a code that we know shows that nothing was accepted.
        refused = status_proves_refusal(reply.status) or (reply.ok and ruling is not None)
        return kind(
            f"{self.label}: {redacted(words, self.key)}"
            if not advice
            else f"{self.label}: {redacted(words, self.key).rstrip('.。 ')}. {advice}.",
            step=reply.step,
            http_status=reply.status,
            provider_code=code,
            request_id=reply.request_id,
            retry_after_s=reply.retry_after_s,
            proves_refusal=refused and not (ruling and ruling.doubt),
        )

    def _key_place(self) -> str:
        section, settings = self.context.section, self.context.settings
        if section.api_key is not None:
            return f"api_key in [providers.{self.context.name}]"
        names = KEY_VARS[self.region]
        return section.api_key_env or next((name for name in names if settings.variable(name)), names[0])


PROVIDER = Zai


# -- checks: pure ----------------------------------------------------------------------------------


def region_of(address: str) -> Region | None:
    """Whose host an address names; of a relay, nobody's."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return None  # no address at all; who opens the connection says so
    return next((region for region, domain in DOMAINS.items() if host == domain or host.endswith(f".{domain}")), None)


def check_extra(request: VideoRequest, shape: Shape) -> None:
    """Refuse an option that other models have and this one has not: it would be ignored, and paid for."""
    for name in request.extra:
        if name not in shape.extra:
            others = [model for model, other in SHAPES.items() if name in other.extra]
            raise Unsupported(
                f"{request.model} has no extra field {name!r}. It takes: {', '.join(shape.extra)}. "
                f"With {name}: {', '.join(others)}."
            )


def check_pictures(request: VideoRequest, rules: PictureRules) -> None:
    """Refuse pictures that the API would refuse, in words that say what to do."""
    if request.last_frame is not None and request.first_frame is None:
        raise Unsupported(f"{request.model} takes a last_frame only together with a first_frame (--image). Add one.")
    for reference in request.references:
        if reference.frame_index is not None or reference.crop is not None:
            raise Unsupported(f"{request.model} takes whole pictures as references: no frame_index, no crop.")
        if min(reference.media.size) < rules.min_side_of_references:
            least = rules.min_side_of_references
            raise Unsupported(
                f"A reference picture is {reference.media.size}; {request.model} wants {least}x{least} or more."
            )
    for picture in pictures_of(request):
        _check_picture(request, picture, rules)
    if request.first_frame and request.last_frame and rules.ratio_of_ends:
        least, most = rules.ratio_of_ends
        ratio = _pixels(request.first_frame) / _pixels(request.last_frame)
        if not least <= ratio <= most:
            raise Unsupported(
                f"{request.model} wants first and last frame of nearly equal size: {request.first_frame.size} has "
                f"{ratio:.2f} times the pixels of {request.last_frame.size}; {least} to {most} is allowed. Scale one."
            )


def _check_picture(request: VideoRequest, picture: MediaRef, rules: PictureRules) -> None:
    if picture.mime not in rules.mimes:
        kinds = ", ".join(mime.removeprefix("image/") for mime in rules.mimes)
        raise Unsupported(f"{request.model} takes pictures as {kinds}, not {picture.mime}. Convert it.")
    if picture.size_bytes > rules.max_mb * 1_000_000:
        raise Unsupported(
            f"A picture has {picture.size_bytes / 1e6:.1f} MB; {request.model} takes {rules.max_mb} MB. Shrink it."
        )
    if rules.max_aspect and max(picture.size) > rules.max_aspect * min(picture.size):
        most = rules.max_aspect
        raise Unsupported(
            f"A picture is {picture.size}; {request.model} takes shapes from 1:{most} to {most}:1. Crop it."
        )


def _pixels(picture: MediaRef) -> int:
    return picture.width * picture.height

"""MiniMax: H3 and H3 Max by its API V2, Hailuo by its older V1. Create, then look; no percentage is told.

One key, two APIs that share little: V2 takes a `content` list, answers errors with an HTTP status and can list, cancel
(what is queued) and delete its tasks. V1 wraps its errors in HTTP 200 and can only be asked for a task by its id; its
result is a file, whose link is made anew at each asking. So a lost create of H3 is looked for in the list, which tells
no prompts, and a person picks from what was found there; one of Hailuo always goes to a person.

A finished task is deleted by the same call that cancels a queued one, so a cancel looks first. Messages to a callback
address are not signed; the first one only asks whether the address is ours.

Source: platform.minimax.io `api-reference/video-generation-v2-create`, `-query`, `-delete`, `guides/pricing-paygo`,
read 2026-11-20. Never tried live: the pixels of 480P, 768P and 2K, how long links of V2 live, the shape of the list,
how a look at an unknown task of V1 is answered, whether a result held back by moderation is billed (booked as free).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from math import ceil
from typing import Annotated, ClassVar, Literal, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict

from rushes.errors import (
    AccessDenied,
    Gone,
    Moderated,
    NoCredit,
    ProviderError,
    RateLimited,
    Rejected,
    Unsupported,
    Vanished,
)
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.catalog import Model
from rushes.providers.content_parts import Pages, Task, content_of, progress_of
from rushes.providers.given import check_plain_references, data_uri, frames_of, media_of, without_none
from rushes.providers.incoming import Incoming, Text, WireError, read_object, read_wire_error
from rushes.providers.openai.search import look_through
from rushes.providers.openai.wire import Listing
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status, redacted, without_video
from rushes.providers.shapes import ratio_of, tier_by_side
from rushes.providers.terms import Asset, Challenge, Doubt, Findings, Hint, Promises, RemoteJob, Search
from rushes.video import JSON, Failure, Progress, Status, VideoRequest

Region = Literal["international", "mainland"]
ApiVersion = Literal["v1", "v2"]
T = TypeVar("T")

HOSTS: Mapping[Region, str] = {"international": "https://api.minimax.io", "mainland": "https://api.minimaxi.com"}
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
TIERS: Mapping[str, int] = {"480P": 480, "768P": 768, "2K": 1440}
TIERS_V1: Mapping[str, int] = {"512P": 512, "768P": 768, "1080P": 1080}
RESULT_LIFE_S = 9 * 3600.0  # unverified: nothing is published
MOST_BODY_BYTES = 64_000_000
PAGE = 50
STATES_V1: Mapping[str, Status] = {
    "preparing": Status.QUEUED,
    "queueing": Status.QUEUED,
    "success": Status.COMPLETED,
    "fail": Status.FAILED,
}
"""Every other word means "still running"."""
CODES: Mapping[str, type[ProviderError]] = {
    "1002": RateLimited,
    "1004": AccessDenied,
    "1008": NoCredit,
    "1026": Moderated,  # of the prompt or a picture
    "1027": Moderated,  # of the video
    "2013": Rejected,
    "2049": AccessDenied,
}
"""What the vendor's own codes mean. In place of a task's id each of them says that none was made."""
SENSITIVE = "unprocessable_entity_error"
"""The type of error that V2 answers refused content with, as status 422."""


class MiniMaxOptions(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Region | None = None


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt_expansion_mode: Literal["disabled", "balanced", "quality"] | None = None
    prompt_optimizer: bool | None = None


class Row(BaseModel):
    """What the table says for this provider alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    api: ApiVersion = "v2"
    extra: tuple[str, ...] = ()  # which of the extra fields the model has


class BaseResp(Incoming):
    status_code: Text = None
    status_msg: Text = None


class Accepted(Incoming):
    task_id: Text = None


class Look(Incoming):
    task: Annotated[Task, BeforeValidator(read_object)] = Task()


class TaskV1(Incoming):
    status: Text = None
    file_id: Text = None
    base_resp: Annotated[BaseResp, BeforeValidator(read_object)] = BaseResp()


class WireFile(Incoming):
    download_url: Text = None


class Retrieved(Incoming):
    file: Annotated[WireFile, BeforeValidator(read_object)] = WireFile()


class Message(Incoming):
    """What is posted to a callback address: a challenge, or a task in either API's words."""

    challenge: str | None = None
    task_id: Text = None
    id: Text = None
    task: Annotated[Task, BeforeValidator(read_object)] = Task()


class MiniMax(Provider):
    """`minimax`, or a section of another name with `kind = "minimax"`, such as one for the other region."""

    name = "minimax"
    title = "MiniMax"
    key_vars = ("MINIMAX_API_KEY",)
    base_url_vars = ("MINIMAX_BASE_URL",)
    default_base_url = HOSTS["international"]
    sources_by_link = True
    options_shape = MiniMaxOptions
    extra_shape: ClassVar[type[BaseModel]] = Extra
    # The list, cancel and delete are V2's: for a task of V1 the three answer that they know nothing.
    promises = Promises(
        doubt=Doubt.LIST,
        cancels=True,
        deletes=True,
        result_life_s=RESULT_LIFE_S,
        poll_least_s=10.0,
        create_timeout_s=180.0,  # pictures travel inside the body
    )

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def _asked_region(self) -> Region | None:
        return MiniMaxOptions.model_validate(self.options.model_dump()).region

    @property
    def base_url(self) -> str:
        section, settings = self.context.section, self.context.settings
        asked = self._asked_region
        named = section.base_url or (None if asked else settings.variable(*self.base_url_vars))
        return api_root(named) if named else HOSTS[asked or "international"]

    def offered(self, model: Model) -> Model:
        """The prices of the table are the international host's, in dollars."""
        mainland = self._asked_region == "mainland" or urlsplit(self.base_url).netloc.endswith("minimaxi.com")
        return replace(model, prices=()) if mainland else model

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        request = prepared.request
        check_plain_references(request)
        known = self.row(request, Row).extra
        if name := next((name for name in request.extra if name not in known), None):
            raise Unsupported(f"{request.model} has no extra field {name!r}. It takes: {', '.join(known) or 'none'}.")
        bulk = len(request.prompt) + sum(4 * ceil(media.size_bytes / 3) for media in media_of(request))
        if bulk > MOST_BODY_BYTES:
            most = MOST_BODY_BYTES // 1_000_000
            raise Unsupported(f"The pictures make a request of {bulk / 1e6:.1f} MB; {most} are allowed. Shrink them.")

    async def ping(self) -> str:
        """The first line of the list of tasks: free, and answered only after the key was checked."""
        return await self.answers(LIST, params=_page(1, 1))

    # -- the three verbs ---------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        media = (*frames_of(request), *(reference.media for reference in request.references))
        uris = {each.sha256: data_uri(each, await self.context.read_input(each)) for each in media}
        api = self.row(request, Row).api
        if api == "v1":
            body = to_wire_v1(request, uris, self.callback_url)
        else:
            source = request.source.remote_id if request.source else None
            body = to_wire(request, uris, await self.source_link(source) if source else None, self.callback_url)
        reply = await self.create(f"/{api}/video_generation", json=body)
        task_id = self.parsed(reply, Accepted).task_id
        if task_id is None:
            raise self.error_of(reply)  # an error in a good answer's clothes
        return RemoteJob(id=task_id, data={"api": api})

    async def poll(self, remote: RemoteJob) -> Progress:
        return await by_its_api(remote, self._poll_v2, self._poll_v1)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        url = await by_its_api(remote, self._link_v2, self._link_v1)
        if url is None:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=url),)

    async def _poll_v2(self, remote: RemoteJob) -> Progress:
        return progress_of(await self._task(remote, "poll"), is_moderated)

    async def _link_v2(self, remote: RemoteJob) -> str | None:
        return (await self._task(remote, "assets")).content.url

    async def _task(self, remote: RemoteJob, step: str) -> Task:
        reply = await self.look(f"{LIST}/{quote(remote.id, safe='')}", step=step)
        task = self.parsed(reply, Look).task
        if task.status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        return task

    async def _poll_v1(self, remote: RemoteJob) -> Progress:
        return from_wire_v1(await self._task_v1(remote, "poll"))

    async def _link_v1(self, remote: RemoteJob) -> str | None:
        file_id = (await self._task_v1(remote, "assets")).file_id
        if file_id is None:
            return None
        reply = await self.look("/v1/files/retrieve", step="assets", params={"file_id": file_id})
        url = self.parsed(reply, Retrieved).file.download_url
        if url is None and read_base_resp(reply.body).status_code is not None:
            raise self.error_of(reply)  # it was not told for another reason than that it is gone
        return url

    async def _task_v1(self, remote: RemoteJob, step: str) -> TaskV1:
        reply = await self.look("/v1/query/video_generation", step=step, params={"task_id": remote.id})
        task = self.parsed(reply, TaskV1)
        if task.status is None and CODES.get(task.base_resp.status_code or "") is Moderated:
            return task.model_copy(update={"status": "Fail"})  # blocked: that is how the task ended
        if task.status is None:
            raise self.error_of(reply)
        return task

    # -- where V2 has them -------------------------------------------------------------------------

    async def cancel(self, remote: RemoteJob) -> bool:
        """Stops what is queued. What runs goes on, and what has ended would be deleted by it: paid, and unseen."""
        return await by_its_api(remote, self._cancel_v2, _not_offered)

    async def _cancel_v2(self, remote: RemoteJob) -> bool:
        task = await self._task(remote, "cancel")
        if task.status == "queued":
            self.checked(await self.api.send("DELETE", _path(remote), step="cancel"))
        return task.status in ("queued", "cancelled")

    async def delete(self, remote: RemoteJob) -> bool:
        if remote.data.get("api") == "v1":
            return False
        reply = await self.api.send("DELETE", _path(remote), step="delete")
        if reply.status != 404:
            self.checked(reply)
        return True

    async def find(self, search: Search) -> Findings:
        """By the list of V2. Nothing lists the tasks of V1: there, nothing is found and nothing is proven."""
        if self.row(search.prepared.request, Row).api == "v1":
            return Findings()
        pages = Pages()

        async def page(after: str | None) -> tuple[Mapping[str, str], Listing]:
            reply = await self.read(LIST, step="list", params=_page(pages.number, PAGE))
            return reply.headers, pages.read(reply.json())

        return await look_through(search, self.create_timeout_s, page)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Hint | Challenge | None:
        return read_message(body)

    # -- reading errors ----------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        told = read_base_resp(reply.body)
        if told.status_code is not None:
            return told.status_code, told.status_msg or f"code {told.status_code}"
        error = read_wire_error(reply.body)
        return error.code or error.type, error.message or f"HTTP {reply.status}"

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        if code == "2013" and reply.step in ("poll", "assets"):
            return Vanished  # a look has one parameter, the task's id: what else could be wrong with it?
        if (known := CODES.get(code or "")) is not None:
            return known
        if code == SENSITIVE:
            return Moderated
        if reply.status == 402:
            return NoCredit
        if reply.step == "create" and reply.status in (404, 405):
            return Gone  # no such API at this address
        return kind_of_status(reply.status)

    def error_of(self, reply: Reply) -> ProviderError:
        """Also of an answer with status 200: of such, only a code that we know shows that nothing was accepted."""
        code, words = self.read_error(reply)
        if not reply.ok:
            return super().error_of(reply)
        if code is None or code not in CODES:
            return self.bad_reply(reply, "The answer is not what was expected")
        return self.kind_of_error(reply, code)(
            f"{self.label}: {redacted(words, self.key)}",
            step=reply.step,
            http_status=reply.status,
            provider_code=code,
            request_id=reply.request_id,
            retry_after_s=reply.retry_after_s,
            proves_refusal=True,
        )


PROVIDER = MiniMax

LIST = "/v2/query/video_generation"


def _path(remote: RemoteJob) -> str:
    return f"/v2/video_generation/{quote(remote.id, safe='')}"


def _page(number: int, size: int) -> dict[str, str]:
    return {"page_num": str(number), "page_size": str(size)}


async def _not_offered(remote: RemoteJob) -> bool:
    return False


async def by_its_api(
    remote: RemoteJob, v2: Callable[[RemoteJob], Awaitable[T]], v1: Callable[[RemoteJob], Awaitable[T]]
) -> T:
    """Ask the API that a task was made by. A task that a person adopted says nothing of it: V2 is asked first."""
    api = remote.data.get("api")
    if api != "v1":
        try:
            return await v2(remote)
        except Vanished:
            if api == "v2":
                raise
    return await v1(remote)


# -- translation: pure -----------------------------------------------------------------------------


def api_root(address: str) -> str:
    """An address without the version that people copy along: two of them are in use here."""
    address = address.strip().rstrip("/")
    return address.removesuffix("/v1").removesuffix("/v2")


def to_wire(
    request: VideoRequest, uris: Mapping[str, str], source_url: str | None, callback_url: str | None
) -> dict[str, JSON]:
    """The body of a create of V2. There is no seed, and sound is always made."""
    assert request.size is not None
    extra = Extra.model_validate(dict(request.extra))
    mode = extra.prompt_expansion_mode
    fields: dict[str, JSON] = {
        "model": request.model.model,
        "content": content_of(request, uris, source_url),
        "resolution": tier_by_side(request.size, TIERS),
        "duration": request.seconds,
        # With a frame the picture's own shape is followed, and any other word is refused.
        "ratio": "adaptive" if frames_of(request) else ratio_of(request.size, RATIOS),
        "callback_url": callback_url,
        "extra": {"prompt_expansion_mode": mode} if mode else None,
    }
    return without_none(fields)


def to_wire_v1(request: VideoRequest, uris: Mapping[str, str], callback_url: str | None) -> dict[str, JSON]:
    """The body of a create of V1. The shape cannot be asked for: it is the picture's, else 16:9."""
    assert request.size is not None
    fields: dict[str, JSON] = {
        "model": request.model.model,
        "prompt": request.prompt,
        "first_frame_image": uris[request.first_frame.sha256] if request.first_frame else None,
        "last_frame_image": uris[request.last_frame.sha256] if request.last_frame else None,
        "duration": request.seconds,
        "resolution": tier_by_side(request.size, TIERS_V1),
        "prompt_optimizer": Extra.model_validate(dict(request.extra)).prompt_optimizer,
        "callback_url": callback_url,
    }
    return without_none(fields)


def is_moderated(error: WireError) -> bool:
    return CODES.get(error.code or "") is Moderated


def from_wire_v1(task: TaskV1) -> Progress:
    status = STATES_V1.get((task.status or "").lower(), Status.IN_PROGRESS)
    if status is Status.COMPLETED and task.file_id is None:
        return without_video()
    if status is Status.FAILED:
        told = task.base_resp
        code = told.status_code if told.status_code not in (None, "0") else None
        words = (told.status_msg if code else None) or "The server gave no reason."
        kind = CODES.get(code or "")
        return Progress(status=status, failure=Failure(kind.code if kind else "internal_error", words))
    return Progress(status=status, percent=100.0 if status is Status.COMPLETED else None)


class _Answer(Incoming):
    base_resp: Annotated[BaseResp, BeforeValidator(read_object)] = BaseResp()


def read_base_resp(body: bytes) -> BaseResp:
    """V1's word on how a call went, in an answer of any status; empty where there is none, or where it went well."""
    try:
        told = _Answer.model_validate_json(body).base_resp
    except ValueError:
        return BaseResp()
    return BaseResp() if told.status_code == "0" else told


def read_message(body: bytes) -> Hint | Challenge | None:
    """What is posted to our address. Nothing of it is signed."""
    try:
        message = Message.model_validate_json(body)
    except ValueError:
        return None
    task_id = message.task_id or message.task.id or message.id
    if task_id is None:
        return Challenge(answer={"challenge": message.challenge}) if message.challenge else None
    fits = len(task_id) <= 200 and "\x00" not in task_id  # PostgreSQL cannot even be asked for one
    return Hint(remote_id=task_id, trusted=False) if fits else None

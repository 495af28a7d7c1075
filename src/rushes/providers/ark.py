"""Ark: Seedance by ByteDance, on BytePlus and on its mainland twin, Volcengine. Create, then look; no percentage.

The two hosts speak one API and keep separate accounts; a key of one is nothing to the other, and the same models have
other names. Models go by their BytePlus names here; on Volcengine those are put into its own words, which may be used,
too. BytePlus bills in dollars, by tokens, and tells how many a video took: where that is not what was expected, the
cost follows what was told.

A finished task is deleted by the same call that cancels a queued one, so a cancel looks first. The list tells no
prompts, so a person picks from what is found there after a lost create. Messages to a callback address are not signed.

Source: docs.byteplus.com `ModelArk/1520757`, `1521309`, `1521720`, volcengine.com `docs/82379/1520757`, `1544106`, the
package `volcengine-ark-runtime` 5.0.54, read 2026-11-20. Never tried live: the shape of the list, the whole list of
moderation codes (a part of the word is matched), the code of an account without money, the pixels of 480p and 4K, what
the seconds of a video that goes along cost.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote, urlsplit

import anyio
from pydantic import BaseModel, ConfigDict, Field

from rushes.errors import Moderated, NoCredit, ProviderError, Rejected, Unsupported, Vanished
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.catalog import Catalog, Model, Price
from rushes.providers.content_parts import Pages, Task, content_of, progress_of
from rushes.providers.given import check_plain_references, data_uri, frames_of, without_none
from rushes.providers.incoming import Incoming, Text, WireError, read_wire_error
from rushes.providers.openai.search import look_through
from rushes.providers.openai.wire import Listing
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status
from rushes.providers.shapes import ratio_of, tier_by_area
from rushes.providers.terms import Asset, Doubt, Findings, Hint, Promises, RemoteJob, Search
from rushes.video import JSON, ModelId, Progress, Size, VideoRequest

Region = Literal["byteplus", "volcengine"]

HOSTS: Mapping[Region, str] = {
    "byteplus": "https://ark.ap-southeast.bytepluses.com/api/v3",
    "volcengine": "https://ark.cn-beijing.volces.com/api/v3",
}
TASKS = "/contents/generations/tasks"
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
TIERS: Mapping[str, int] = {"480p": 480, "720p": 720, "1080p": 1080, "4k": 2160}
MOST_SEED = 2**32 - 1
PAGE = 50
BETWEEN_PAGES_S = 1.0  # the list may be asked for once a second
MODERATED = "sensitivecontentdetected"
"""A part of every code that refuses content, as `InputTextSensitiveContentDetected` does (unverified: of every one)."""
NO_MONEY = "overdue"
"""A part of the code that an account without money is answered with, as status 403 (unverified)."""


class ArkOptions(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Region | None = None


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    watermark: bool | None = None
    camera_fixed: bool | None = None
    execution_expires_after: Annotated[int, Field(ge=3600, le=259_200)] | None = None
    safety_identifier: str | None = None


class Row(BaseModel):
    """What the table says for this provider alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    volcengine: str  # the model's name there
    extra: tuple[str, ...] = ()  # extra fields that not every model has


class Accepted(Incoming):
    id: Annotated[str, Field(min_length=1)]


class Message(Incoming):
    """What is posted to a callback address: a task, of which no more than the id is believed."""

    id: Text = None


class Ark(Provider):
    """`ark`, or a section of another name with `kind = "ark"`, such as one for the other region."""

    name = "ark"
    title = "Ark"
    key_vars = ("ARK_API_KEY",)
    base_url_vars = ("ARK_BASE_URL",)
    default_base_url = HOSTS["byteplus"]
    sources_by_link = True
    options_shape = ArkOptions
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(
        doubt=Doubt.LIST,
        cancels=True,
        deletes=True,
        result_life_s=24 * 3600.0,
        create_timeout_s=180.0,  # pictures travel inside the body
    )

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def _asked_region(self) -> Region | None:
        return ArkOptions.model_validate(self.options.model_dump()).region

    @property
    def region(self) -> Region:
        host = urlsplit(self.base_url).hostname or ""
        return self._asked_region or ("volcengine" if host.endswith("volces.com") else "byteplus")

    @property
    def base_url(self) -> str:
        section, settings = self.context.section, self.context.settings
        asked = self._asked_region
        named = section.base_url or (None if asked else settings.variable(*self.base_url_vars))
        return named or HOSTS[asked or "byteplus"]

    def offered(self, model: Model) -> Model:
        """The prices of the table are those of BytePlus, in dollars."""
        return replace(model, prices=()) if self.region == "volcengine" else model

    def model_of(self, model_id: ModelId, catalog: Catalog) -> Model | None:
        """A model by its Volcengine name."""
        for listed in catalog.of(self.name):
            if model_id.model == listed.wire.get("volcengine") != listed.id.model:
                usd_per_second = self.context.section.usd_per_second
                prices = () if usd_per_second is None else (Price(usd_per_second=usd_per_second),)
                return replace(listed, id=model_id, prices=prices)
        return None

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        request = prepared.request
        check_plain_references(request)
        row = self.row(request, Row)
        if self.region == "byteplus" and request.model.model == row.volcengine:
            raise Unsupported(
                f"{request.model} is the name of a model on Volcengine. Take its BytePlus name (rushes models ark), or "
                f'set region = "volcengine" in [providers.{self.context.name}].'
            )
        if "camera_fixed" in request.extra and "camera_fixed" not in row.extra:
            raise Unsupported(f"{request.model} has no extra field 'camera_fixed': only the models of 1.x do.")
        if request.seed is not None and not 0 <= request.seed <= MOST_SEED:
            raise Unsupported(f"{request.model} takes seeds from 0 to {MOST_SEED}, not {request.seed}.", field="seed")

    async def ping(self) -> str:
        """The first line of the list of tasks: free, and answered only after the key was checked."""
        return await self.answers(TASKS, params=_page(1, 1))

    # -- the three verbs ---------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        media = (*frames_of(request), *(reference.media for reference in request.references))
        uris = {each.sha256: data_uri(each, await self.context.read_input(each)) for each in media}
        source = request.source.remote_id if request.source else None
        source_url = await self.source_link(source) if source else None
        row = self.row(request, Row)
        model = row.volcengine if self.region == "volcengine" else request.model.model
        reply = await self.create(TASKS, json=to_wire(request, model, uris, source_url, self.callback_url))
        return RemoteJob(id=self.parsed(reply, Accepted).id, data=expected(prepared))

    async def poll(self, remote: RemoteJob) -> Progress:
        task = await self._task(remote, "poll")
        progress = progress_of(task, is_moderated)
        return replace(progress, billed_usd=told_usd(task, remote.data)) if task.content.url else progress

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        task = await self._task(remote, "assets")
        if not task.content.url:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=task.content.url),)

    async def _task(self, remote: RemoteJob, step: str) -> Task:
        reply = await self.look(_path(remote), step=step)
        task = self.parsed(reply, Task)
        if task.status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        return task

    # -- what else there is ------------------------------------------------------------------------

    async def cancel(self, remote: RemoteJob) -> bool:
        """Stops what is queued. What runs goes on, and what has ended would be deleted by it: paid, and unseen."""
        task = await self._task(remote, "cancel")
        if task.status == "queued":
            self.checked(await self.api.send("DELETE", _path(remote), step="cancel"))
        return task.status in ("queued", "cancelled")

    async def delete(self, remote: RemoteJob) -> bool:
        reply = await self.api.send("DELETE", _path(remote), step="delete")
        if reply.status != 404:
            self.checked(reply)
        return True

    async def find(self, search: Search) -> Findings:
        pages = Pages()

        async def page(after: str | None) -> tuple[Mapping[str, str], Listing]:
            if after is not None:
                await anyio.sleep(BETWEEN_PAGES_S)
            reply = await self.read(TASKS, step="list", params=_page(pages.number, PAGE))
            return reply.headers, pages.read(reply.json())

        return await look_through(search, self.create_timeout_s, page)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        return read_message(body)

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        return error.code or error.type, error.message or f"HTTP {reply.status}"

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        word = (code or "").lower()
        if MODERATED in word:
            return Moderated
        if NO_MONEY in word or reply.status == 402:
            return NoCredit
        if reply.step == "create" and reply.status == 404:
            return Rejected  # a model that the account has not, or that is gone
        return kind_of_status(reply.status)


PROVIDER = Ark


def _path(remote: RemoteJob) -> str:
    return f"{TASKS}/{quote(remote.id, safe='')}"


def _page(number: int, size: int) -> dict[str, str]:
    return {"page_num": str(number), "page_size": str(size)}


# -- translation: pure -----------------------------------------------------------------------------


def to_wire(
    request: VideoRequest, model: str, uris: Mapping[str, str], source_url: str | None, callback_url: str | None
) -> dict[str, JSON]:
    """The body of a create. All that a price hangs on is said: a length of -1 or a shape of `adaptive` would let the
    model choose what is paid for."""
    assert request.size is not None and request.seconds is not None and request.seconds > 0
    fields: dict[str, JSON] = {
        "model": model,
        "content": content_of(request, uris, source_url),
        "resolution": tier_by_area(request.size, TIERS),
        "ratio": ratio_of(request.size, RATIOS),
        "duration": request.seconds,
        "generate_audio": request.audio,
        "seed": request.seed,
        "callback_url": callback_url,
        **Extra.model_validate(dict(request.extra)).model_dump(),
    }
    return without_none(fields)


def tokens_of(size: Size, seconds: int) -> Decimal:
    """How many tokens a video takes, by the vendor's formula."""
    return Decimal(size.width * size.height * 24 * seconds) / 1024


def expected(prepared: Prepared) -> dict[str, JSON]:
    """What is remembered of a task to read its bill by: what it was to take, and to cost."""
    request, usd = prepared.request, prepared.estimate_usd
    if usd is None or request.size is None or request.seconds is None:
        return {}
    return {"tokens": str(tokens_of(request.size, request.seconds)), "usd": str(usd)}


def told_usd(task: Task, data: Mapping[str, JSON]) -> Decimal | None:
    """What a finished task cost, by the tokens that it tells; None where it tells none, or too little is known."""
    told, tokens, usd = task.usage.completion_tokens, data.get("tokens"), data.get("usd")
    if not told or not isinstance(tokens, str) or not isinstance(usd, str):
        return None
    if abs(Decimal(told) - Decimal(tokens)) < 1:
        return Decimal(usd)  # it tells whole ones
    return round(Decimal(usd) * Decimal(told) / Decimal(tokens), 6)


def is_moderated(error: WireError) -> bool:
    return MODERATED in (error.code or "").lower()


def read_message(body: bytes) -> Hint | None:
    """What is posted to our address. Nothing of it is signed."""
    try:
        task_id = Message.model_validate_json(body).id
    except ValueError:
        return None
    fits = task_id is not None and len(task_id) <= 200 and "\x00" not in task_id
    return Hint(remote_id=task_id, trusted=False) if fits and task_id is not None else None

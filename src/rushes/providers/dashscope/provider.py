"""Alibaba's Model Studio (DashScope): Wan and HappyHorse. Create, then look; a queued job can be cancelled.

Nothing can be listed and no idempotency is promised, so a create in doubt is put to a person. Jobs and links live a
day: after that a look says `UNKNOWN`, which is no failure, for the video may have been made and billed. Left alone the
vendor makes 1080P, the dearest: resolution, ratio, length and sound are always sent.

Keys belong to a region, and so do prices. Pictures and clips go into the vendor's own temporary storage (`oss://`, for
two days and for one model); a help page says that only Beijing has it. Where a region refuses to take an upload, a
picture goes inside the request instead, and a clip cannot be given.

Source: alibabacloud.com/help/en/model-studio `wan3-video-generation-api-reference`, `models`, `error-code`, the package
`@ai-sdk/alibaba`, read 2026-11-20; `get-temporary-file-url` and uses of it in public code, read 2026-11-21.

Never tried live: the fields of an upload, pictures inside the request with Wan 3, ratio left out for a first frame of
Wan 2.7 and HappyHorse, whether a failed job is billed (it is booked as free).
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from rushes.errors import AccessDenied, ConfigError, NotOffered, ProviderError, Rejected, Unavailable, Vanished
from rushes.http import Reply
from rushes.providers.base import Provider
from rushes.providers.catalog import Catalog, Model, Price
from rushes.providers.dashscope.models import (
    HOSTS,
    WORKSPACE_CODES,
    Region,
    check_row,
    mode_named,
    narrowed,
    prices_in,
    region_of,
)
from rushes.providers.dashscope.wire import GONE, KINDS, Extra, Row, Task, from_wire, plain_code, to_wire, wire_model
from rushes.providers.given import check_plain_references, data_uri, media_of
from rushes.providers.incoming import Incoming, read_wire_error
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status
from rushes.providers.terms import Asset, Doubt, Promises, RemoteJob
from rushes.video import MediaRef, ModelId, Progress, VideoRequest

Carrier = Literal["upload", "inline"]

CARRIER: Carrier = "upload"  # how pictures go along where the settings do not say it
CREATE = "/services/aigc/video-generation/video-synthesis"
DAY = timedelta(hours=24)
FORM_FIELDS: Mapping[str, str] = {
    "OSSAccessKeyId": "oss_access_key_id",
    "Signature": "signature",
    "policy": "policy",
    "x-oss-object-acl": "x_oss_object_acl",
    "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
}
"""Fields of the form that a file is sent with, and where in the upload policy they stand (unverified)."""
UPLOAD_LIFE_S = 48 * 3600.0
INLINE = ""  # kept in place of an address for a picture that the region would not take as an upload


class DashScopeOptions(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Region | None = None
    workspace: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")] | None = None
    pictures: Carrier = CARRIER


class UploadTicket(Incoming):
    """Where to send a file, and what with."""

    data: Mapping[str, str | int | bool | None]


class DashScope(Provider):
    """`dashscope`, or a section of another name with `kind = "dashscope"`, such as one for another region."""

    name = "dashscope"
    title = "Alibaba"
    key_vars = ("DASHSCOPE_API_KEY",)
    base_url_vars = ("DASHSCOPE_BASE_URL", "DASHSCOPE_HTTP_BASE_URL")
    default_base_url = HOSTS["singapore"]
    sources_by_link = True
    options_shape = DashScopeOptions
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(
        doubt=Doubt.NONE,
        cancels=True,  # only while it waits in the queue
        result_life_s=DAY.total_seconds(),
        create_timeout_s=180.0,  # pictures may travel inside the body
    )

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def _own(self) -> DashScopeOptions:
        return DashScopeOptions.model_validate(self.options.model_dump())

    @property
    def base_url(self) -> str:
        options, section = self._own, self.context.section
        if section.base_url:
            return section.base_url
        if options.workspace:
            code = WORKSPACE_CODES[options.region or "singapore"]
            return f"https://{options.workspace}.{code}.maas.aliyuncs.com/api/v1"
        if options.region is None:
            return super().base_url
        if options.region not in HOSTS:
            raise ConfigError(
                f"[providers.{self.context.name}] region {options.region} has hosts of workspaces only. Set workspace."
            )
        return HOSTS[options.region]

    @property
    def region(self) -> Region | None:
        """Whose prices hold; of a relay it is not known, unless the settings say it."""
        return self._own.region or region_of(self.base_url)

    def offered(self, model: Model) -> Model:
        """The table's dollars are those of Singapore, where an unknown host is taken to be."""
        region = self.region or "singapore"
        if region == "singapore":
            return model
        row = Row.model_validate(dict(model.wire))
        return replace(model, prices=prices_in(model.prices, row.beijing) if region == "beijing" else ())

    def model_of(self, model_id: ModelId, catalog: Catalog) -> Model | None:
        """One of the vendor's models of a family, by its own name: what the family makes, as far as that one does."""
        family = next((each for each in catalog.of(self.name) if mode_named(each, model_id.model)), None)
        if family is None:
            return None
        named = self.offered(narrowed(family, model_id))
        usd_per_second = self.context.section.usd_per_second
        return named if usd_per_second is None else replace(named, prices=(Price(usd_per_second=usd_per_second),))

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        check_plain_references(prepared.request)
        check_row(prepared.request, self.row(prepared.request, Row))

    async def ping(self) -> str:
        """A look at a job that does not exist: free, and answered only after the key was checked."""
        try:
            reply = self.checked(await self.api.send("GET", "/tasks/0", step="ping", timeout_s=10))
            return "answers, key accepted" if self.parsed(reply, Task).output.task_status else "no good answer"
        except (Rejected, Vanished):
            return "answers, key accepted"
        except AccessDenied:
            return "key refused: is it one of this region?"
        except ProviderError as error:
            return f"no good answer: {error}"

    # -- files -------------------------------------------------------------------------------------

    async def bring(self, prepared: Prepared) -> None:
        await self._place_all(prepared.request)
        await super().bring(prepared)

    async def _place_all(self, request: VideoRequest) -> dict[str, str]:
        """What each picture and clip is called in the request, by its sha256: a place in the vendor's storage, or the
        bytes themselves."""
        model = wire_model(request, self.row(request, Row))
        return {media.sha256: await self._place(media, model) for media in media_of(request)}

    async def _place(self, media: MediaRef, model: str) -> str:
        """Uploaded now if it was not before, or not lately. A file belongs to the model that it was uploaded for."""
        picture = media.seconds is None
        if picture and self._own.pictures == "inline":
            return data_uri(media, await self.context.read_input(media))
        name = f"{model} {media.sha256}"
        place, good_until = self._links.get(name, (INLINE, 0.0))
        started = time.monotonic()
        if started >= good_until:
            try:
                place = await self._uploaded(media, model)
            except ProviderError as error:
                error.proves_refusal = True  # nothing is bought by uploading
                if not (picture and error.step == "policy" and no_uploads(error)):
                    raise
                place = INLINE
            self._links = {each: known for each, known in self._links.items() if known[1] > started}
            self._links[name] = (place, started + UPLOAD_LIFE_S / 2)  # half of its life is left for it to be read
        return place or data_uri(media, await self.context.read_input(media))

    async def _uploaded(self, media: MediaRef, model: str) -> str:
        asked = {"action": "getPolicy", "model": model}
        reply = self.checked(await self.api.send("GET", "/uploads", step="policy", params=asked))
        ticket = self.parsed(reply, UploadTicket).data
        if not (ticket.get("upload_host") and ticket.get("upload_dir")):
            raise Rejected(f"{self.label} names no place to upload to", step="policy")
        name = f"{secrets.token_hex(8)}.{media.mime.rpartition('/')[2]}"
        key = f"{ticket['upload_dir']}/{name}"
        form = {field: str(ticket[told]) for field, told in FORM_FIELDS.items() if ticket.get(told) is not None}
        reply = await self.context.http.upload(
            "POST",
            str(ticket["upload_host"]),
            data={**form, "key": key, "success_action_status": "200"},
            files={"file": (name, await self.context.read_input(media), media.mime)},
            trusted=[self.api.origin],
        )
        self.checked(reply)
        return f"oss://{key}"

    # -- the verbs ---------------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        places = await self._place_all(request)
        source = request.source.remote_id if request.source else None
        link = await self.source_link(source) if source else None
        headers = {"x-dashscope-async": "enable"}  # without it the call is taken for one that waits, and refused
        if any(place.startswith("oss://") for place in places.values()):
            headers["x-dashscope-ossresourceresolve"] = "enable"
        body = to_wire(request, self.row(request, Row), places, link)
        reply = await self.create(CREATE, json=body, headers=headers)
        task_id = self.parsed(reply, Task).output.task_id
        if task_id is None:
            raise self.bad_reply(reply, "The answer names no task")
        return RemoteJob(id=task_id, expires_at=datetime.now(UTC) + DAY)

    async def poll(self, remote: RemoteJob) -> Progress:
        return from_wire(await self._task(remote, "poll"))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        task = await self._task(remote, "assets")
        if not task.output.video_url:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=task.output.video_url),)

    async def cancel(self, remote: RemoteJob) -> bool:
        """Only of what waits. A code is a refusal under any status: taken for a yes it would end a job that goes on."""
        reply = await self.api.send("POST", f"{_path(remote)}/cancel", step="cancel")
        error = None if reply.ok else self.error_of(reply)
        if error is not None and not isinstance(error, Rejected | Vanished):
            raise error
        return error is None and read_wire_error(reply.body).code is None

    async def _task(self, remote: RemoteJob, step: str) -> Task:
        reply = await self.look(_path(remote), step=step)
        task = self.parsed(reply, Task)
        if task.output.task_status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        if task.output.task_status.upper() == GONE:
            words = f"{self.label} does not know the job {remote.id} any more: it keeps them for a day"
            raise Vanished(words, step=step)
        return task

    # -- reading errors ----------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        return error.code, error.message or f"HTTP {reply.status}"

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        usual = kind_of_status(reply.status)
        if reply.step == "create" and usual is Vanished:
            return Rejected  # no such model, or none for this account: it will not come back
        return usual if usual is Unavailable else KINDS.get(plain_code(code), usual)


PROVIDER = DashScope


def no_uploads(error: ProviderError) -> bool:
    """Whether a region takes no uploads, as far as its refusal of one tells: a wrong key is another matter."""
    refused = isinstance(error, Rejected | NotOffered | Vanished)
    return refused or (isinstance(error, AccessDenied) and error.http_status == 403)


def _path(remote: RemoteJob) -> str:
    return f"/tasks/{quote(remote.id, safe='')}"

"""Replicate: models of many labs behind one API. Create a prediction, then look; a list of them settles a lost create.

A model is a row of the catalogue, `replicate:video:owner/name`, whose `wire` says what the model calls its inputs; rows
of one's own go into the file of `[catalog] extra`. Inputs, results and logs are deleted an hour after the end, so the
file is fetched at once. The list of predictions tells their inputs, and so the prompt, as long as they are kept.

What is cancelled while it runs is charged, what had not begun is not. `cancel` says "stopped" only for the second: the
first is told by the next look, with its cost. No deadline (`Cancel-After`) is sent, because one that passes while a job
runs would be paid for and bring nothing; after 30 minutes the far side ends a job by itself.

Source: replicate.com `docs/reference/http`, `docs/topics/predictions` and `docs/topics/webhooks`, its changelog of
2025-10-16 on deadlines, the pages of the models, read 2026-11-20. Never tried live: what the models call their inputs,
the pixels of their resolutions, the words of moderation, what a failed or cancelled prediction costs, how long an
uploaded file is kept.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, ClassVar
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from rushes import signatures
from rushes.errors import AccessDenied, ProviderError, Rejected, Vanished
from rushes.http import UPLOAD_TIMEOUT_S, Reply
from rushes.logs import hide
from rushes.providers.base import Provider
from rushes.providers.catalog import Model
from rushes.providers.given import check_plain_references, data_uri, media_of
from rushes.providers.incoming import Incoming, Moment
from rushes.providers.openai.search import look_through
from rushes.providers.openai.wire import Listing
from rushes.providers.prepare import Prepared
from rushes.providers.replicate.schema import differences
from rushes.providers.replicate.wire import (
    Extra,
    Inputs,
    Prediction,
    from_wire,
    read_list,
    read_refusal,
    to_wire,
)
from rushes.providers.terms import Asset, Context, Doubt, Findings, Hint, Link, Promises, RemoteJob, Search
from rushes.video import JSON, MediaRef, Progress

INLINE_BYTES = 180_000  # of a picture: a data URI may have 256 KB, and is a third longer than what it holds
FILE_LIFE_S = 3600.0  # of an upload, where the answer does not tell (unverified)


class Options(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    webhook_secret: SecretStr | None = None  # with which Replicate signs what it tells us


class Accepted(Incoming):
    id: Annotated[str, Field(min_length=1)]


class FileLinks(Incoming):
    get: Annotated[str, Field(min_length=1)]


class WireFile(Incoming):
    urls: FileLinks
    expires_at: Moment = None


class Message(Incoming):
    """A webhook: the prediction itself."""

    id: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w-]+$")]
    status: str


class Replicate(Provider):
    """`replicate`."""

    name = "replicate"
    title = "Replicate"
    key_vars = ("REPLICATE_API_TOKEN",)
    base_url_vars = ("REPLICATE_BASE_URL",)
    other_vars = ("REPLICATE_WEBHOOK_SECRET",)
    default_base_url = "https://api.replicate.com/v1"
    options_shape = Options
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(doubt=Doubt.LIST, cancels=True, result_life_s=3600.0)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        if (secret := self.webhook_secret) is not None:
            hide(secret)

    @property
    def webhook_secret(self) -> str | None:
        own = Options.model_validate(self.options.model_dump()).webhook_secret
        return own.get_secret_value() if own else self.context.settings.variable("REPLICATE_WEBHOOK_SECRET")

    async def ping(self) -> str:
        """The list of predictions: free, and answered only to who has a key."""
        return await self.answers("/predictions")

    # -- buying ------------------------------------------------------------------------------------

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        request = prepared.request
        check_plain_references(request)
        # Whether every input has its name, before any money is held: the links themselves do not matter for that.
        to_wire(request, self.row(request, Inputs), {media.sha256: "" for media in media_of(request)})

    def to_bring(self, prepared: Prepared) -> Sequence[MediaRef]:
        return [media for media in media_of(prepared.request) if not is_inline(media)]

    async def upload(self, media: MediaRef, data: bytes) -> Link:
        file = (f"{media.sha256[:16]}.{media.mime.rpartition('/')[2]}", data, media.mime)
        reply = self.checked(
            await self.api.send("POST", "/files", step="upload", files=[("content", file)], timeout_s=UPLOAD_TIMEOUT_S)
        )
        sent = self.parsed(reply, WireFile)
        good_for_s = (sent.expires_at - datetime.now(UTC)).total_seconds() if sent.expires_at else FILE_LIFE_S
        return Link(url=sent.urls.get, good_for_s=max(0.0, good_for_s))

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        inputs = self.row(request, Inputs)
        links = {media.sha256: await self._link_of(media) for media in media_of(request)}
        body: dict[str, JSON] = {"input": to_wire(request, inputs, links)}
        path = f"/models/{quote(request.model.model)}/predictions"
        if inputs.version is not None:
            body["version"], path = inputs.version, "/predictions"
        if self.callback_url is not None:
            body |= {"webhook": self.callback_url, "webhook_events_filter": ["completed"]}
        return RemoteJob(id=self.parsed(await self.create(path, json=body), Accepted).id)

    async def _link_of(self, media: MediaRef) -> str:
        if is_inline(media):
            return data_uri(media, await self.context.read_input(media))
        return await self.link_to(media)

    # -- looking -----------------------------------------------------------------------------------

    async def poll(self, remote: RemoteJob) -> Progress:
        return from_wire(await self._job(remote, "poll"))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        job = await self._job(remote, "assets")
        if (link := job.link) is None:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=link),)

    async def _job(self, remote: RemoteJob, step: str) -> Prediction:
        reply = await self.look(f"/predictions/{quote(remote.id, safe='')}", step=step)
        return self._read(reply)

    def _read(self, reply: Reply) -> Prediction:
        job = self.parsed(reply, Prediction)
        if job.status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        return job

    async def cancel(self, remote: RemoteJob) -> bool:
        """True: it was stopped before it began, and is free. Otherwise the next look tells, with what is charged."""
        path = f"/predictions/{quote(remote.id, safe='')}/cancel"
        job = self._read(self.checked(await self.api.send("POST", path, step="cancel")))
        return job.status == "canceled" and job.started_at is None

    async def complaints(self, model: Model) -> tuple[str, ...]:
        reply = await self.read(f"/models/{quote(model.id.model)}", step="schema")
        return differences(model, Inputs.model_validate(dict(model.wire)), reply.json())

    async def find(self, search: Search) -> Findings:
        inputs = self.row(search.prepared.request, Inputs)

        async def page(after: str | None) -> tuple[Mapping[str, str], Listing]:
            # Of the link to the next page only the question is taken: our key goes nowhere that an answer names.
            params = dict(parse_qsl(urlsplit(after).query)) if after else None
            reply = await self.read("/predictions", step="list", params=params)
            return reply.headers, read_list(reply.json(), inputs)

        return await look_through(search, self.create_timeout_s, page)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        secret = self.webhook_secret
        if secret is not None and not signatures.is_signed(secret, headers, body, datetime.now(UTC)):
            raise AccessDenied(f"{self.label}: the message is not signed with our webhook_secret", step="webhook")
        try:
            message = Message.model_validate_json(body)
        except ValidationError:
            return None
        return Hint(remote_id=message.id, trusted=secret is not None)

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        return None, read_refusal(reply.status, reply.body)[1]

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        if reply.step == "create" and reply.status == 404:
            return Rejected  # no such model or version: it will not come
        return read_refusal(reply.status, reply.body)[0]


def is_inline(media: MediaRef) -> bool:
    """Whether a file goes inside the JSON, and not beside it."""
    return media.seconds is None and media.size_bytes <= INLINE_BYTES


PROVIDER = Replicate

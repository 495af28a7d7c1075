"""What a provider is: submit, poll, assets, and the promises that money decisions rest on.

A provider translates. It opens no socket (that is `http.py`), knows no database and no engine, and never decides
whether to pay again: it only says truthfully what it knows. This base class owns keys, addresses, the reading of
errors, and the repeating of reads; creates are never repeated here.
"""

import hashlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError

from rushes.config import ProviderSettings, nearest, read_written
from rushes.errors import (
    AccessDenied,
    BadReply,
    ConfigError,
    MissingKey,
    NotOffered,
    ProviderError,
    RateLimited,
    Rejected,
    Unsupported,
    Vanished,
)
from rushes.http import IDLE_TIMEOUT_S, Api, Body, Reply
from rushes.providers.catalog import Catalog, Model
from rushes.providers.given import check_pictures, check_writable
from rushes.providers.prepare import Prepared, order_of
from rushes.providers.refusals import kind_of_status, redacted, status_proves_refusal
from rushes.providers.terms import (
    Asset,
    Availability,
    Challenge,
    Context,
    Findings,
    Hint,
    Link,
    Promises,
    RemoteJob,
    Search,
)
from rushes.turns import Turns
from rushes.video import MediaRef, ModelId, Progress, SourceKind, VideoRequest

log = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)

READ_TRIES = 3
SOURCE_LINK_S = 120.0
PING_TIMEOUT_S = 10.0
LOOKED_AT_BYTES = 2000  # of an answer that is no use: more than is shown, so that no secret is cut before it is found


class NoOptions(BaseModel):
    """For providers without names of their own in their section, or without `extra` fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Provider(ABC):
    """One vendor's API. Subclasses set the class variables and write the three verbs."""

    name: ClassVar[str]
    title: ClassVar[str]
    promises: Promises  # of the kind; one server of it may promise less
    key_vars: ClassVar[tuple[str, ...]] = ()
    base_url_vars: ClassVar[tuple[str, ...]] = ()
    other_vars: ClassVar[tuple[str, ...]] = ()  # further variables that it reads
    default_base_url: ClassVar[str] = ""
    needs_key: ClassVar[bool] = True
    sources_by_link: ClassVar[bool] = False  # an earlier video is told as the link that its job gives
    options_shape: ClassVar[type[BaseModel]] = NoOptions  # its own names in [providers.NAME]
    extra_shape: ClassVar[type[BaseModel]] = NoOptions  # its own fields in a request's `extra`

    def __init__(self, context: Context) -> None:
        self.context = context
        section = context.section
        self.options = read_written(
            self.options_shape,
            dict(section.own),
            f"[providers.{context.name}]",
            also_known=ProviderSettings.model_fields,
        )
        self.turns = Turns(section.requests_per_second)
        """How often this process calls the account. Every call of `api` waits there for its turn."""
        self._links: dict[
            str, tuple[str, float]
        ] = {}  # of uploaded files, by sha256, and when they are no good any more
        self.api: Api = context.http.api(self.base_url, section.headers, self.auth_headers, self.turns)

    @property
    def serves_unlisted(self) -> bool:
        """Whether models that no table lists may be asked for: true of servers that one runs oneself."""
        return False

    def model_of(self, model_id: ModelId, catalog: Catalog) -> Model | None:
        """A model under a name that its user gave it, such as a deployment's. None: the catalogue knows the name.

        Raises ConfigError when the settings do not tell which model it is.
        """
        return None

    def offered(self, model: Model) -> Model:
        """A listed model as this account can buy it: hosts of one vendor may differ in price. Pure."""
        return model

    @property
    def label(self) -> str:
        """What messages call it: the vendor, or the server by the name that its owner gave it."""
        return self.title if self.context.name == self.name else self.context.name

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        settings = self.context.settings
        return self.context.section.base_url or settings.variable(*self.base_url_vars) or self.default_base_url

    @property
    def key(self) -> str | None:
        """The API key, from the section, the variable it names, or the usual variables."""
        section, settings = self.context.section, self.context.settings
        if section.api_key is not None:
            return section.api_key.get_secret_value()
        if section.api_key_env:
            return settings.variable(section.api_key_env)
        return settings.variable(*self.key_vars)

    @property
    def key_required(self) -> bool:
        required = self.context.section.api_key_required
        return self.needs_key if required is None else required

    @property
    def account(self) -> str:
        """Who pays, without telling the key: remote ids are unique within one account."""
        digest = hashlib.sha256(f"{self.key or ''}\n{self._account_salt()}".encode()).hexdigest()[:12]
        # Behind the `@` may stand a user and a password, which belong in no database.
        host = urlsplit(self.base_url).netloc.rpartition("@")[2]
        return f"{self.context.name}@{host or 'local'}#{digest}"

    def _account_salt(self) -> str:
        return ""

    @property
    def create_timeout_s(self) -> float:
        return self.context.section.create_timeout_s or self.promises.create_timeout_s

    async def auth_headers(self) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.key}"} if self.key else {}

    def availability(self) -> Availability:
        """Whether it can be chosen, judged without a connection."""
        if self.key_required and not self.key:
            return Availability(usable=False, reason=self._missing_key(), configured=False)
        return Availability(usable=True)

    def check_ready(self) -> None:
        """Raise ConfigError if a request could not even be tried. Called before any money is held."""
        if self.key_required and not self.key:
            raise MissingKey(self._missing_key())
        if self.key and not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise ConfigError(
                f"The key of {self.label} holds a space, a line break or a letter that no key has. Copy it again."
            )

    def row(self, request: VideoRequest, shape: type[M]) -> M:
        """What the table says of the model for this provider alone, its `wire`. Raises ConfigError for a bad entry."""
        model = self.context.model(request.model)
        try:
            return shape.model_validate(dict(model.wire))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ConfigError(f"The table's entry of {model.id} is wrong: wire.{place}: {first['msg']}.") from None

    def check(self, prepared: Prepared) -> None:
        """Refuse what preparing could not see: pictures that the API would not take, unknown fields of `extra`.

        Called before any money is held, and by `submit` again. Raises Unsupported.
        """
        check_writable(prepared.request)
        check_pictures(prepared.request, self.context.model(prepared.request.model).pictures)
        known = self.extra_shape.model_fields
        for name in prepared.request.extra:
            if name not in known:
                near = nearest(name, known)
                hint = f"Did you mean {near}?" if near else f"It takes: {', '.join(known) or 'none'}."
                raise Unsupported(f"{prepared.request.model} has no extra field {name!r}. {hint}")
        try:
            self.extra_shape.model_validate(dict(prepared.request.extra))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise Unsupported(f"{prepared.request.model}: extra field {place}: {first['msg']}.") from None

    def count(self, prepared: Prepared) -> int:
        """How many videos one create will make, and bill. Pure; more than one only where the API offers it."""
        return 1

    def _missing_key(self) -> str:
        variable = self.context.section.api_key_env or (self.key_vars[0] if self.key_vars else None)
        where = f"Set {variable}" if variable else f"Set api_key_env in [providers.{self.context.name}]"
        return f"{self.label} has no key. {where}."

    async def ping(self) -> str:
        """One cheap, free request that shows whether the far side answers; returns a word on it."""
        return "not checked"

    @property
    def callback_url(self) -> str | None:
        """Where the provider may post to that a job has changed; None where this machine has no public address."""
        public_url = self.context.settings.gateway.public_url
        return f"{public_url.rstrip('/')}/webhooks/{self.context.name}" if public_url else None

    # -- files that a create can only point at -----------------------------------------------------

    def to_bring(self, prepared: Prepared) -> Sequence[MediaRef]:
        """The pictures and clips that have to be uploaded first. Pure; by default none."""
        return ()

    async def bring(self, prepared: Prepared) -> None:
        """Upload what the create will point at. It costs nothing, and is done before the create is said to be on its
        way, so that being stopped in the midst of it is no doubt. Raises ProviderError, which proves a refusal."""
        for media in self.to_bring(prepared):
            await self.link_to(media)
        source = prepared.request.source
        if self.sources_by_link and source is not None and source.remote_id is not None:
            await self.source_link(source.remote_id)

    async def link_to(self, media: MediaRef) -> str:
        """Where the provider can read a file; uploaded now if it was not before, or not lately."""
        url, good_until = self._links.get(media.sha256, ("", 0.0))
        if time.monotonic() < good_until:
            return url
        data = await self.context.read_input(media)
        started = time.monotonic()
        try:
            link = await self.upload(media, data)
        except ProviderError as error:
            error.proves_refusal = True  # nothing is bought by uploading
            raise
        self._links = {sha: known for sha, known in self._links.items() if known[1] > started}
        # Half its life is left for the create to be sent, and for the far side to come and read it.
        self._links[media.sha256] = (link.url, started + link.good_for_s / 2)
        return link.url

    async def source_link(self, remote_id: str) -> str:
        """Where an earlier video of this account can be fetched now, by whoever is given the link.

        Raises ProviderError, which proves a refusal: nothing is bought by asking.
        """
        url, good_until = self._links.get(remote_id, ("", 0.0))
        if time.monotonic() < good_until:
            return url
        try:
            assets = await self.assets(RemoteJob(id=remote_id))
        except ProviderError as error:
            error.proves_refusal = True
            if isinstance(error, Vanished):
                words = f"{self.label} no longer has the source {remote_id}: {error.message}"
                raise Rejected(words, step="source", http_status=error.http_status, proves_refusal=True) from error
            raise
        link = next((asset.url for asset in assets if asset.url is not None), None)
        if link is None:
            raise Rejected(f"{self.label} gives no link to {remote_id}", step="source", proves_refusal=True)
        self._links[remote_id] = (link, time.monotonic() + SOURCE_LINK_S)
        return link

    async def upload(self, media: MediaRef, data: bytes) -> Link:
        """Give a file to the provider."""
        raise NotOffered(f"{self.label} takes no uploads", step="upload")

    async def answers(self, path: str, *, params: Mapping[str, str] | None = None, knows_it: bool = True) -> str:
        """A `ping` by one free GET. `knows_it` False: it is of something that does not exist, and a refusal that says
        so comes only after the key was checked."""
        try:
            self.checked(await self.api.send("GET", path, step="ping", params=params, timeout_s=PING_TIMEOUT_S))
        except AccessDenied:
            return "key refused"
        except ProviderError as error:
            if knows_it or not isinstance(error, Rejected | Vanished):
                return f"no good answer: {error}"
        return "answers, key accepted"

    # -- the three verbs ---------------------------------------------------------------------------

    @abstractmethod
    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        """Buy. Called at most once per attempt. Raises ProviderError; `proves_refusal` says if it is safe to go on."""

    @abstractmethod
    async def poll(self, remote: RemoteJob) -> Progress:
        """Look once. An unknown status word means "still running": a paid job is never failed on a word."""

    @abstractmethod
    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        """The files of a completed job, videos first."""

    # -- where the vendor has them -----------------------------------------------------------------

    async def cancel(self, remote: RemoteJob) -> bool:
        """Ask to stop. True: it will not go on; False: it cannot be stopped and will be billed."""
        return False

    async def delete(self, remote: RemoteJob) -> bool:
        """Remove it over there. False: not offered."""
        return False

    async def complaints(self, model: Model) -> tuple[str, ...]:
        """What the vendor's own published description of a model has against our table: a free look, for a live try.

        Empty where it has nothing against it, and where nothing is published.
        """
        return ()

    async def create_character(self, name: str, clip: MediaRef) -> str:
        """Make a character from a short clip, to be named in later requests; returns the provider's id of it.

        Raises ProviderError, and NotOffered where there are none.
        """
        raise NotOffered(f"{self.label} makes no characters", step="characters")

    async def find(self, search: Search) -> Findings:
        """Look for a create in doubt. The default finds nothing and proves nothing."""
        return Findings()

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Hint | Challenge | None:
        """What a message to our address of this provider hints at; None: nothing that we know. Header names are in
        lower case. Raises AccessDenied where it is to be signed and is not."""
        return None

    def cost(self, model: Model, prepared: Prepared, progress: Progress) -> Decimal | None:
        """What one completed attempt cost. None: unknown."""
        if progress.billed_usd is not None:
            return progress.billed_usd
        request = prepared.request
        size, seconds = progress.size or request.size, progress.seconds or request.seconds
        if request.source is not None and request.source.kind is SourceKind.EXTEND:
            seconds = request.seconds  # what comes back is the whole; only what was added is new
        one = model.price(order_of(request, model, size, seconds)) if size and seconds else None
        return None if one is None else one * self.count(prepared)

    def release(self, remote: RemoteJob) -> None:  # noqa: B027 - a hook that most need not fill
        """Called when the result is safely in the library: temporary files may go."""

    # -- files -------------------------------------------------------------------------------------

    @asynccontextmanager
    async def open(self, asset: Asset, *, offset: int = 0, etag: str | None = None) -> AsyncGenerator[Body]:
        """The bytes of an asset, from `offset` on."""
        if asset.path is not None:
            async with self.api.stream(
                asset.path, step="download", params=asset.params, offset=offset, etag=etag
            ) as body:
                yield body
        elif asset.url is not None and self.api.owns(asset.url):
            # Some servers give full links to themselves, which want the key like any other call.
            async with self.api.stream(asset.url, step="download", offset=offset, etag=etag) as body:
                yield body
        elif asset.url is not None:
            async with self.context.http.fetch(asset.url, offset=offset, etag=etag, trusted=[self.api.origin]) as body:
                yield body
        elif asset.file is not None:
            total = (await anyio.Path(asset.file).stat()).st_size
            async with await anyio.open_file(asset.file, "rb") as file:
                await file.seek(offset)
                yield Body("video/mp4", offset, total, None, _read_chunks(file))
        else:
            inline = asset.inline or b""
            yield Body("video/mp4", offset, len(inline), None, _one_chunk(inline[offset:]))

    # -- calls -------------------------------------------------------------------------------------

    async def turn_to_create(self) -> None:
        """Wait until the account may be called once more, for the create that this task submits next.

        To be awaited before the create is written down as on its way: `submit` then sends it at once. A `submit`
        without it waits by itself, and would be taken for doubt if it were killed while it did.
        """
        await self.turns.take_ahead()

    async def read(self, path: str, *, step: str, params: Mapping[str, str] | None = None) -> Reply:
        """GET, repeated a little when the far side stumbles: reading costs nothing."""
        for attempt in range(READ_TRIES):
            try:
                return self.checked(await self.api.send("GET", path, step=step, params=params))
            except ProviderError as error:
                if not error.retryable or isinstance(error, RateLimited | Vanished) or attempt == READ_TRIES - 1:
                    raise
                await anyio.sleep(0.5 * 2**attempt)
        raise AssertionError("unreachable")

    async def create(self, path: str, *, step: str = "create", **body: Any) -> Reply:
        """POST what costs money: once, on a connection of its own."""
        return self.checked(
            await self.api.send("POST", path, step=step, fresh=True, timeout_s=self.create_timeout_s, **body)
        )

    async def look(self, path: str, *, step: str = "poll", params: Mapping[str, str] | None = None) -> Reply:
        """GET once; whoever polls repeats it at its own pace."""
        return self.checked(
            await self.api.send("GET", path, step=step, params=params, timeout_s=min(IDLE_TIMEOUT_S, 30.0))
        )

    def checked(self, reply: Reply) -> Reply:
        """The reply, or the error that it is."""
        if reply.ok:
            return reply
        raise self.error_of(reply)

    def parsed(self, reply: Reply, shape: type[M]) -> M:
        """The answer in the shape that it should have; raises BadReply, which after a create is doubt."""
        try:
            return shape.model_validate(reply.json())
        except ValidationError as error:
            raise self.bad_reply(reply, "The answer is not what was expected") from error

    def bad_reply(self, reply: Reply, words: str) -> BadReply:
        """An answer that cannot be used, with how it begins."""
        start = redacted(reply.body[:LOOKED_AT_BYTES].decode("utf-8", "replace"), self.key)[:120]
        return BadReply(
            f"{self.label}: {words}: {start!r}", step=reply.step, http_status=reply.status, request_id=reply.request_id
        )

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        """The far side's own code and words, from whatever shape it uses."""
        return None, redacted(reply.body[:LOOKED_AT_BYTES].decode("utf-8", "replace"), self.key)[:200]

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        """The class of a refusal: by its status, unless the provider's own code says it better."""
        return kind_of_status(reply.status)

    def error_of(self, reply: Reply) -> ProviderError:
        """A refusal as an error. Whether it proves that nothing was bought hangs on the status, not on the class."""
        code, words = self.read_error(reply)
        kind = self.kind_of_error(reply, code)
        return kind(
            f"{self.label}: {redacted(words, self.key)}",
            step=reply.step,
            http_status=reply.status,
            provider_code=code,
            request_id=reply.request_id,
            retry_after_s=reply.retry_after_s,
            proves_refusal=status_proves_refusal(reply.status) or reply.status in self.promises.unbilled_statuses,
        )


async def _read_chunks(file: anyio.AsyncFile[bytes]) -> AsyncGenerator[bytes]:
    while chunk := await file.read(1 << 18):
        yield chunk


async def _one_chunk(data: bytes) -> AsyncGenerator[bytes]:
    yield data

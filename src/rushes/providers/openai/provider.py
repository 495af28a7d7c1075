"""The OpenAI Videos dialect: create, remix, edit, extend, characters, poll, fetch from `/content`, list, delete.

The vendor ended its own service on 24 September 2026; what lives on is the dialect, spoken by servers that one runs
oneself, by resellers and by gateways. They differ in small ways, so everything but `id` and `status` is optional
when reading, and nothing but what was asked for is sent.

A server that is named (`server = "sglang"`) is spoken to just as it likes: see `openai/servers.py`.

An address with a path is kept as given; a bare host gets `/v1`. A slash at the end makes no difference.

Source: OpenAI's OpenAPI document of 2026-08-21, the `openai` packages 2.20 to 3.52, and the servers' own sources
(vLLM-Omni 0.30, SGLang 0.5.23, TensorRT-LLM, LiteLLM 1.109), read 2026-11-20.
"""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import anyio
from pydantic import SecretStr

from rushes.errors import (
    AccessDenied,
    BadReply,
    ConfigError,
    Gone,
    NotOffered,
    ProviderError,
    Rejected,
    Unsupported,
    Vanished,
)
from rushes.http import Body, Reply
from rushes.logs import hide
from rushes.providers.base import Provider
from rushes.providers.catalog import Model
from rushes.providers.incoming import read_wire_error
from rushes.providers.openai import results
from rushes.providers.openai.create import (
    Call,
    character_parts,
    check_character,
    check_sendable,
    file_of,
    segment,
    to_wire,
)
from rushes.providers.openai.errors import classify
from rushes.providers.openai.results import from_wire, is_failed_job, poll_after_s
from rushes.providers.openai.search import look_through
from rushes.providers.openai.servers import DIALECT, SERVERS, Server, ServerOptions, read_pictures
from rushes.providers.openai.webhook import read_event
from rushes.providers.openai.wire import Listing, WireCharacter, WireVideo
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Asset, Availability, Context, Doubt, Findings, Hint, RemoteJob, Search, Variant
from rushes.video import MediaRef, Progress

log = logging.getLogger(__name__)

DEAD_HOST = "api.openai.com"
SHUT_DOWN = (
    "OpenAI shut its video API down on 24 September 2026. Set OPENAI_BASE_URL to a server that speaks it, "
    "or choose another model. See: rushes models --for sora-2"
)
GOOD_CLIP_S = (1.5, 4.5)  # the vendor's guide: best at 2 to 4 seconds, no hard limit is told

CANCEL_PAUSES_S = (0.2, 0.5, 1.0, 2.0)
PAGE = 100


class ShutDown(Gone, ConfigError):
    """The vendor's own address: nothing can be bought there, whatever the key. Nothing is sent."""

    code = "gone"


class OpenAIOptions(ServerOptions):
    """Names of its own in its section."""

    organization: str | None = None
    project: str | None = None
    webhook_secret: SecretStr | None = None  # with which the server signs what it tells us


class OpenAI(Provider):
    """Any server of the dialect: `openai` itself, or a section with `kind = "openai"` and a `base_url`."""

    name = "openai"
    title = "OpenAI"
    key_vars = ("OPENAI_API_KEY",)
    other_vars = (
        "OPENAI_ORGANIZATION",
        "OPENAI_ORG_ID",
        "OPENAI_PROJECT",
        "OPENAI_PROJECT_ID",
        "OPENAI_WEBHOOK_SECRET",
    )
    base_url_vars = ("OPENAI_BASE_URL",)
    default_base_url = f"https://{DEAD_HOST}/v1"
    options_shape = OpenAIOptions
    promises = DIALECT.promises

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.promises = self.server.promises
        if (secret := self.webhook_secret) is not None:
            hide(secret)

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def server(self) -> Server:
        name = self._options.server
        return SERVERS[name] if name else DIALECT

    @property
    def _own_section(self) -> bool:
        """Whether this is another server than the usual one: the usual variables, the key above all, are not its."""
        return self.context.name != self.name

    @property
    def base_url(self) -> str:
        if self._own_section:
            return api_root(self.context.section.base_url or "", at_root=self.server.at_root)
        return api_root(super().base_url, at_root=self.server.at_root)

    @property
    def key(self) -> str | None:
        section = self.context.section
        if self._own_section and section.api_key is None and section.api_key_env is None:
            return None
        return super().key

    @property
    def key_required(self) -> bool:
        required = self.context.section.api_key_required
        return not self._own_section if required is None else required

    @property
    def webhook_secret(self) -> str | None:
        if self._options.webhook_secret is not None:
            return self._options.webhook_secret.get_secret_value()
        return None if self._own_section else self.context.settings.variable("OPENAI_WEBHOOK_SECRET")

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        return read_event(self.label, self.webhook_secret, headers, body, datetime.now(UTC))

    @property
    def serves_unlisted(self) -> bool:
        return not self._dead

    def offered(self, model: Model) -> Model:
        """What a named server has no field or route for is not asked of it; rushes may do something like it."""
        if self.server is DIALECT:
            return model
        return replace(model, features=model.features & self.server.takes)

    @property
    def _dead(self) -> bool:
        return urlsplit(self.base_url).hostname == DEAD_HOST

    @property
    def _options(self) -> OpenAIOptions:
        return OpenAIOptions.model_validate(self.options.model_dump())

    def _account_salt(self) -> str:
        # Jobs belong to a project: another project of the same key sees other ids.
        return "/".join(self._belongs_to().values())

    def _belongs_to(self) -> dict[str, str]:
        """The organization and project headers. The second variable of each pair is what OpenAI's packages read."""
        options = self._options
        settings = self.context.settings
        organization, project = options.organization, options.project
        if not self._own_section:
            organization = organization or settings.variable("OPENAI_ORGANIZATION", "OPENAI_ORG_ID")
            project = project or settings.variable("OPENAI_PROJECT", "OPENAI_PROJECT_ID")
        named = {"openai-organization": organization, "openai-project": project}
        return {name: value for name, value in named.items() if value}

    async def auth_headers(self) -> Mapping[str, str]:
        return {**await super().auth_headers(), **self._belongs_to()}

    def availability(self) -> Availability:
        if self._dead:
            return Availability(usable=False, reason=SHUT_DOWN, configured=bool(self.key))
        if not self.base_url:
            return Availability(usable=False, reason=self._no_address())
        return super().availability()

    def check_ready(self) -> None:
        if self._dead:
            raise ShutDown(SHUT_DOWN, proves_refusal=True)
        if not self.base_url:
            raise ConfigError(self._no_address())
        super().check_ready()

    def _no_address(self) -> str:
        return f'[providers.{self.context.name}] has no base_url. Write base_url = "http://HOST:PORT/v1" there.'

    def check(self, prepared: Prepared) -> None:
        """Refuse what this dialect has no field for; a server of one's own may take any field in `extra`."""
        request = prepared.request
        if self.server is not DIALECT:
            self.server.check(prepared)
            if self.server.writes(prepared):
                return
        if request.audio is not None and self.serves_unlisted:
            raise Unsupported(
                f"{request.model} cannot be given a switch for sound: its API has no field for it. "
                f"If the server has one of its own, pass that in extra."
            )
        check_sendable(prepared, self._options.encoding)
        if not self.serves_unlisted:
            super().check(prepared)

    async def ping(self) -> str:
        if self._dead:
            return "shut down on 24 September 2026"
        try:
            self.checked(await self.api.send("GET", "/videos", step="ping", params={"limit": "1"}, timeout_s=10))
        except AccessDenied:
            return "key refused" if self.key else "wants a key"
        except (NotOffered, Vanished, Rejected):
            return "answers, but offers no list of jobs"
        except ProviderError as error:
            return f"no good answer: {error}"
        return "answers, key accepted" if self.key else "answers, no key needed"

    # -- the three verbs ---------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        call = await self._call(prepared)
        # The vendor never honoured the key; another rushes does, and everybody else ignores the header.
        headers = {"idempotency-key": key}
        reply = await self.create(call.path, step=call.step, json=call.json, files=call.files, headers=headers)
        video = self.parsed(reply, WireVideo)
        data = await results.keep(reply, video, self.context.folder, key, blocking=self.server.synchronous)
        if not data and (self.server.synchronous or not video.id):
            raise self.bad_reply(reply, "The create was answered without an id, or without the video")
        return RemoteJob(id=video.id or key, expires_at=video.expires_at, data=data)

    async def _call(self, prepared: Prepared) -> Call:
        read = self.context.read_input
        if self.server.writes(prepared):
            return self.server.call(prepared, await read_pictures(prepared.request, read))
        file = file_of(prepared.request)
        return to_wire(prepared, await read(file) if file else None, self._options.encoding)

    def checked(self, reply: Reply) -> Reply:
        # A server that blocks until the end may tell of a failed video by any status: that is a result, no refusal.
        if self.server.synchronous and reply.step == "create" and is_failed_job(reply, None):
            return reply
        return super().checked(reply)

    def count(self, prepared: Prepared) -> int:
        return self.server.count(prepared)

    async def poll(self, remote: RemoteJob) -> Progress:
        if kept := results.kept_in(remote):
            return results.kept_progress(kept)
        if self.server.synchronous:
            raise Vanished(f"{self.label} keeps no jobs: its videos come with the answer to their create", step="poll")
        reply = await self.api.send("GET", f"/videos/{segment(remote.id)}", step="poll", timeout_s=30.0)
        if not reply.ok and not is_failed_job(reply, remote.id):
            raise self.error_of(reply)
        video = self.parsed(reply, WireVideo)
        if video.no_look:
            raise self.bad_reply(reply, video.no_look)
        return from_wire(video, poll_after_s=poll_after_s(reply.headers))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        if kept := results.kept_in(remote):
            return results.kept_assets(kept, self.context.folder, self.base_url)
        job = f"/videos/{segment(remote.id)}"
        path = f"{job}/content"
        if self.server.numbered:
            told = (await self.read(job, step="assets")).json()
            return results.as_assets(told, self.base_url) or results.numbered_assets(told, path)
        video = Asset(path=path)  # no `variant=video`: SGLang reads the value as a number
        if not self.server.pictures:
            return (video,)
        return (
            video,
            Asset(variant=Variant.THUMBNAIL, path=path, params={"variant": "thumbnail"}),
            Asset(variant=Variant.SPRITESHEET, path=path, params={"variant": "spritesheet"}),
        )

    @asynccontextmanager
    async def open(self, asset: Asset, *, offset: int = 0, etag: str | None = None) -> AsyncGenerator[Body]:
        async with AsyncExitStack() as stack:
            try:
                body = await stack.enter_async_context(super().open(asset, offset=offset, etag=etag))
            except ProviderError as error:
                told = await self._told_instead(asset, error)
                body = await stack.enter_async_context(super().open(told, offset=offset, etag=etag))
            if asset.variant is not Variant.VIDEO and body.mime.startswith("video/"):
                raise NotOffered(f"{self.label} has no {asset.variant}: it sent the video again", step="download")
            if body.mime in ("application/json", "text/html", "text/plain"):
                raise BadReply(f"{self.label} sent {body.mime} instead of the {asset.variant}", step="download")
            yield replace(body, chunks=results.no_error_page(body, self.label))

    async def _told_instead(self, asset: Asset, error: ProviderError) -> Asset:
        """The link that the job tells, when its content is not served; raises the error if it tells none."""
        elsewhere = asset.variant is Variant.VIDEO and error.http_status in results.MAY_TELL_ELSEWHERE
        if asset.path is None or not elsewhere:
            raise error
        reply = await self.api.send("GET", asset.path.removesuffix("/content"), step="assets")
        links = results.as_assets(reply.json(), self.base_url) if reply.ok else ()
        if asset.n < len(links):
            return links[asset.n]
        if error.http_status in self.server.not_ready:
            raise Vanished(f"{self.label} has no file of it yet", step=error.step, http_status=error.http_status)
        raise error

    def release(self, remote: RemoteJob) -> None:
        results.discard(results.kept_in(remote), self.context.folder)

    # -- where the vendor has them -----------------------------------------------------------------

    async def cancel(self, remote: RemoteJob) -> bool:
        """By deleting it, where that stops a job that runs. One that has ended meanwhile is left alone: it is paid."""
        if not self.promises.cancels or (await self.poll(remote)).status.final:
            return False
        for pause_s in (*CANCEL_PAUSES_S, None):
            try:
                return await self.delete(remote)
            except Rejected as error:
                if error.http_status != 409 or pause_s is None:
                    raise
                await anyio.sleep(pause_s)  # it is still stopping, or writing its file
        raise AssertionError("unreachable")

    async def delete(self, remote: RemoteJob) -> bool:
        if not self.promises.deletes:
            return False  # without such a route even 404 would say nothing
        reply = await self.api.send("DELETE", f"/videos/{segment(remote.id)}", step="delete")
        if reply.status == 404:
            return True
        if reply.status in (405, 501):
            return False
        self.checked(reply)
        # A Video with status "deleted", {"deleted": true} and an empty 204 all mean that it is done.
        return b'"deleted":false' not in reply.body.replace(b" ", b"")

    async def create_character(self, name: str, clip: MediaRef) -> str:
        """As the base class says. The vendor's price list has no line for it, so it counts as free (never tried live).

        Its name must stand in the prompts that use it. Likenesses of people are refused unless the vendor allowed them.
        """
        self.check_ready()
        check_character(name, clip, self.label)
        if not GOOD_CLIP_S[0] <= (clip.seconds or 0.0) <= GOOD_CLIP_S[1]:
            log.warning("character.unusual_length", extra={"seconds": clip.seconds, "best": "2 to 4"})
        files = character_parts(name, await self.context.read_input(clip))
        reply = await self.create("/videos/characters", step="characters", files=files)
        made = self.parsed(reply, WireCharacter)
        if not made.id:
            raise self.bad_reply(reply, "The character was answered without an id")
        return made.id

    async def find(self, search: Search) -> Findings:
        if self.promises.doubt is not Doubt.LIST:
            return Findings()

        async def page(after: str | None) -> tuple[Mapping[str, str], Listing]:
            reply = await self.read("/videos", step="list", params=self.server.list_params(PAGE, after))
            return reply.headers, self.server.read_list(self.parsed(reply, Listing))

        return await look_through(search, self.create_timeout_s, page)

    # -- reading -----------------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        words = error.message or f"HTTP {reply.status}"
        _, advice = classify(reply, error, self._key_advice())
        return error.code, (words.rstrip(".") if advice.startswith(".") else words) + advice

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        """By the server's own code first: the same status means many things here."""
        kind, _ = classify(reply, read_wire_error(reply.body), "")
        return kind or super().kind_of_error(reply, code)

    def _key_advice(self) -> str:
        section = self.context.section
        if section.api_key is not None:
            return f"Check api_key in [providers.{self.context.name}]."
        if self._own_section and not section.api_key_env:
            return f"Set api_key_env in [providers.{self.context.name}]."
        return f"Check {section.api_key_env or self.key_vars[0]}."


PROVIDER = OpenAI


# -- translation: pure -----------------------------------------------------------------------------


def api_root(address: str, *, at_root: bool = False) -> str:
    """Where the paths hang: an address with a path is kept as given, a bare host gets `/v1`. Pure.

    `at_root`: they do not hang under `/v1`, which people copy along.
    """
    address = address.strip().rstrip("/")
    if at_root:
        return address.removesuffix("/v1").rstrip("/")
    return f"{address}/v1" if address and not urlsplit(address).path else address

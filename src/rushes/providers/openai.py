"""The OpenAI Videos dialect: create, poll, fetch from `/content`, list, delete.

The vendor ended its own service on 24 September 2026; what lives on is the dialect, spoken by servers that one runs
oneself, by resellers and by gateways. They differ in small ways, so everything but `id` and `status` is optional
when reading, and nothing but what was asked for is sent.

An address with a path is kept as given; a bare host gets `/v1`. A slash at the end makes no difference.

Source: OpenAI's OpenAPI document of 2026-08-21, the `openai` packages 2.20 to 3.52, and the servers' own sources
(vLLM-Omni 0.30, SGLang 0.5.23, TensorRT-LLM, LiteLLM 1.109), read 2026-11-20.
"""

import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from rushes.errors import (
    AccessDenied,
    BadReply,
    ConfigError,
    Gone,
    Moderated,
    NoCredit,
    NotOffered,
    ProviderError,
    Rejected,
    UnknownModel,
    Unsupported,
    Vanished,
)
from rushes.http import Body, Reply
from rushes.providers.base import (
    MODERATION_CODES,
    Asset,
    Availability,
    Doubt,
    Findings,
    Promises,
    Provider,
    RemoteJob,
    Search,
    Variant,
    redacted,
)
from rushes.providers.openai_search import Lookout, window_of
from rushes.providers.openai_wire import Listing, WireError, WireVideo, read_wire_error
from rushes.providers.prepare import Prepared
from rushes.video import JSON, Failure, Progress, Status

log = logging.getLogger(__name__)

DEAD_HOST = "api.openai.com"
SHUT_DOWN = (
    "OpenAI shut its video API down on 24 September 2026. Set OPENAI_BASE_URL to a server that speaks it, "
    "or choose another model. See: rushes models"
)
OWN_FIELDS = ("prompt", "model", "seconds", "size", "input_reference")
NO_CREDIT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded"})
NO_MODEL_CODES = frozenset({"model_not_found", "model_not_available", "model_not_supported"})
SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}

PAGE = 100
MAX_PAGES = 50


class ShutDown(Gone, ConfigError):
    """The vendor's own address: nothing can be bought there, whatever the key. Nothing is sent."""

    code = "gone"


class NoSuchModel(Rejected, UnknownModel):
    """The server does not have the model that was asked for."""

    code = "unknown_model"


class OpenAIOptions(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organization: str | None = None
    project: str | None = None


Part = tuple[str, tuple[None, bytes] | tuple[str, bytes, str]]
"""One part of a multipart body: a field, or a file with its name and kind."""


class OpenAI(Provider):
    """Any server of the dialect: `openai` itself, or a section with `kind = "openai"` and a `base_url`."""

    name = "openai"
    title = "OpenAI"
    key_vars = ("OPENAI_API_KEY",)
    other_vars = ("OPENAI_ORGANIZATION", "OPENAI_ORG_ID", "OPENAI_PROJECT", "OPENAI_PROJECT_ID")
    base_url_vars = ("OPENAI_BASE_URL",)
    default_base_url = f"https://{DEAD_HOST}/v1"
    options_shape = OpenAIOptions
    promises: ClassVar[Promises] = Promises(doubt=Doubt.LIST, deletes=True, result_life_s=3600.0)

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def _own_section(self) -> bool:
        """Whether this is another server than the usual one: the usual variables, the key above all, are not its."""
        return self.context.name != self.name

    @property
    def base_url(self) -> str:
        if self._own_section:
            return api_root(self.context.section.base_url or "")
        return api_root(super().base_url)

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
    def serves_unlisted(self) -> bool:
        return not self._dead

    @property
    def _dead(self) -> bool:
        return urlsplit(self.base_url).hostname == DEAD_HOST

    def _account_salt(self) -> str:
        # Jobs belong to a project: another project of the same key sees other ids.
        return "/".join(self._belongs_to().values())

    def _belongs_to(self) -> dict[str, str]:
        """The organization and project headers. The second variable of each pair is what OpenAI's packages read."""
        options = OpenAIOptions.model_validate(self.options.model_dump())
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
        unsupported = {
            "a last frame": request.last_frame is not None,
            "reference pictures": bool(request.references),
            "an earlier video as its source": request.source is not None,
            "a switch for sound": request.audio is not None and self.serves_unlisted,
        }
        if missing := [words for words, asked in unsupported.items() if asked]:
            raise Unsupported(
                f"{request.model} cannot be given {' or '.join(missing)}: its API has no field for it. "
                f"If the server has one of its own, pass that in extra."
            )
        if request.first_frame is not None and request.first_frame.mime not in SUFFIXES:
            raise Unsupported(
                f"{request.model} takes pictures as {', '.join(SUFFIXES)}, not {request.first_frame.mime}. Convert it."
            )
        if not self.serves_unlisted:
            super().check(prepared)
        elif clash := next((name for name in request.extra if name in OWN_FIELDS), None):
            raise Unsupported(f"extra may not set {clash}: the request itself has it.")

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
        first_frame = prepared.request.first_frame
        picture = await self.context.read_input(first_frame) if first_frame else None
        # The vendor never honoured the key; another rushes does, and everybody else ignores the header.
        reply = await self.create("/videos", files=to_wire(prepared, picture), headers={"idempotency-key": key})
        video = self._parsed(reply)
        if not video.id:
            raise self._bad_reply(reply, "The create was answered without an id")
        return RemoteJob(id=video.id, expires_at=video.expires_at)

    async def poll(self, remote: RemoteJob) -> Progress:
        reply = await self.api.send("GET", f"/videos/{_segment(remote.id)}", step="poll", timeout_s=30.0)
        if not reply.ok and not _is_failed_job(reply, remote.id):
            raise self.error_of(reply)
        video = self._parsed(reply)
        if video.status is None:
            raise self._bad_reply(reply, "The answer has no status")
        if video.status is Status.FAILED and not video.id:
            # A relay's own trouble may be told in these words too; a paid job is not failed on hearsay.
            raise self._bad_reply(reply, "The answer tells of a failure, but not of which job")
        return from_wire(video, poll_after_s=_poll_after_s(reply.headers))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        path = f"/videos/{_segment(remote.id)}/content"
        return (
            Asset(path=path),  # no `variant=video`: SGLang reads the value as a number
            Asset(variant=Variant.THUMBNAIL, path=path, params={"variant": "thumbnail"}),
            Asset(variant=Variant.SPRITESHEET, path=path, params={"variant": "spritesheet"}),
        )

    @asynccontextmanager
    async def open(self, asset: Asset, *, offset: int = 0, etag: str | None = None) -> AsyncGenerator[Body]:
        async with super().open(asset, offset=offset, etag=etag) as body:
            if asset.variant is not Variant.VIDEO and body.mime.startswith("video/"):
                raise NotOffered(f"{self.label} has no {asset.variant}: it sent the video again", step="download")
            if body.mime in ("application/json", "text/html", "text/plain"):
                raise BadReply(f"{self.label} sent {body.mime} instead of the {asset.variant}", step="download")
            yield body

    # -- where the vendor has them -----------------------------------------------------------------

    async def delete(self, remote: RemoteJob) -> bool:
        reply = await self.api.send("DELETE", f"/videos/{_segment(remote.id)}", step="delete")
        if reply.status == 404:
            return True
        if reply.status in (405, 501):
            return False
        self.checked(reply)
        # A Video with status "deleted", {"deleted": true} and an empty 204 all mean that it is done.
        return b'"deleted":false' not in reply.body.replace(b" ", b"")

    async def find(self, search: Search) -> Findings:
        lookout: Lookout | None = None
        after: str | None = None
        for _ in range(MAX_PAGES):
            params = {"limit": str(PAGE), "order": "desc"} | ({"after": after} if after else {})
            try:
                reply = await self.read("/videos", step="list", params=params)
            except (NotOffered, Vanished, Rejected):
                break  # no list here, or none that can be asked for like this: nothing is proven
            if lookout is None:
                window = window_of(search.sent_at, self.create_timeout_s, reply.headers, datetime.now(UTC))
                lookout = Lookout(search, window)
            after = lookout.read(self._listing(reply))
            if after is None:
                break
        return lookout.findings() if lookout else Findings()

    # -- reading -----------------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        return error.code, error.message or f"HTTP {reply.status}"

    def error_of(self, reply: Reply) -> ProviderError:
        """By the server's own code first: the same status means many things here."""
        error = super().error_of(reply)
        wire = read_wire_error(reply.body)
        kind, advice = classify(reply, wire, self._key_advice())
        if kind is None:
            return error
        return kind(
            f"{error.message}{advice}",
            step=error.step,
            http_status=error.http_status,
            provider_code=error.provider_code,
            request_id=error.request_id,
            retry_after_s=error.retry_after_s,
            proves_refusal=error.proves_refusal,
        )

    def _key_advice(self) -> str:
        section = self.context.section
        if section.api_key is not None:
            return f"Check api_key in [providers.{self.context.name}]."
        if self._own_section and not section.api_key_env:
            return f"Set api_key_env in [providers.{self.context.name}]."
        return f"Check {section.api_key_env or self.key_vars[0]}."

    def _parsed(self, reply: Reply) -> WireVideo:
        try:
            return WireVideo.model_validate(reply.json())
        except ValidationError as error:
            raise self._bad_reply(reply, "The answer is not a video object") from error

    def _listing(self, reply: Reply) -> Listing:
        try:
            return Listing.model_validate(reply.json())
        except ValidationError as error:
            raise self._bad_reply(reply, "The answer is not a list of videos") from error

    def _bad_reply(self, reply: Reply, words: str) -> BadReply:
        start = redacted(reply.body[:120].decode("utf-8", "replace"), self.key)
        return BadReply(
            f"{self.label}: {words}: {start!r}", step=reply.step, http_status=reply.status, request_id=reply.request_id
        )


PROVIDER = OpenAI


# -- translation: pure -----------------------------------------------------------------------------


def to_wire(prepared: Prepared, picture: bytes | None = None) -> list[Part]:
    """The multipart body of a create: always multipart, in the order the vendor's own packages send.

    Seed and negative prompt are no fields of the vendor's; a request carries them only for models that take them.
    """
    request = prepared.request
    fields: dict[str, JSON] = {
        "prompt": request.prompt,
        "model": request.model.model,
        "seconds": request.seconds,
        "size": str(request.size) if request.size else None,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        **request.extra,
    }
    parts: list[Part] = [(name, (None, _text(value).encode())) for name, value in fields.items() if value is not None]
    if picture is not None and request.first_frame is not None:
        mime = request.first_frame.mime
        parts.append(("input_reference", (f"input_reference.{SUFFIXES[mime]}", picture, mime)))
    return parts


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def from_wire(video: WireVideo, *, poll_after_s: float | None = None) -> Progress:
    """A job as the server tells it, in our words. Unknown status words were read as still running."""
    status = video.status or Status.IN_PROGRESS
    failure = None
    if status is Status.FAILED:
        error = video.error or WireError()
        failure = Failure(error.code or video.reason or "internal_error", error.message or "The server gave no reason.")
    return Progress(
        status=status,
        percent=100.0 if status is Status.COMPLETED else video.progress,
        failure=failure,
        poll_after_s=None if status.final else poll_after_s,
        expires_at=video.expires_at,
        seconds=video.seconds,
        size=video.size,
    )


def classify(reply: Reply, error: WireError, key_advice: str) -> tuple[type[ProviderError] | None, str]:
    """The class for an error whose code or place says more than its status, and advice to add. Pure.

    None: the status says it all.
    """
    said = {word.lower() for word in (error.code, error.type) if word}
    creating = reply.step == "create"
    if said & MODERATION_CODES:
        return Moderated, ""
    if said & NO_CREDIT_CODES or reply.status == 402:
        return NoCredit, ""
    if said & NO_MODEL_CODES and 400 <= reply.status < 500:
        return NoSuchModel, ""
    if reply.status == 401:
        return AccessDenied, f" {key_advice}"
    if creating and reply.status in (404, 405, 410):
        return Gone, ". There is no such model, or no video API at this address: check base_url (OPENAI_BASE_URL)"
    return None, ""


def api_root(address: str) -> str:
    """Where the paths hang: an address with a path is kept as given, a bare host gets `/v1`. Pure."""
    address = address.strip().rstrip("/")
    return f"{address}/v1" if address and not urlsplit(address).path else address


def _is_failed_job(reply: Reply, remote_id: str) -> bool:
    """Whether an error answer is really a failed job: vLLM-Omni serves those with the failure's own status."""
    try:
        video = WireVideo.model_validate_json(reply.body)
    except ValidationError:
        return False
    return video.status is Status.FAILED and (video.object == "video" or video.id == remote_id)


def _poll_after_s(headers: Mapping[str, str]) -> float | None:
    text = headers.get("openai-poll-after-ms", "").strip()
    return int(text) / 1000 if text.isdecimal() else None


def _segment(remote_id: str) -> str:
    """An id as one part of a path: LiteLLM's hold `/`, `+` and `=`."""
    return quote(remote_id, safe="")

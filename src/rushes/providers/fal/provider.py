"""fal.ai: one queue for the models of many labs. Submit, look, then ask for the result.

`COMPLETED` is also what a failed request comes to: only its result, an answer with the status of the failure, tells
which. The addresses of a request hold only the first steps of the model's id, so those that the submit gave are kept.
A request that waits is taken out of the queue when it is cancelled; one that runs is merely asked to stop, so it is
believed to be stopped only once a look shows that it ended without a video. Nothing can be listed: a create in doubt is
put to a person. fal repeats by itself what one of its own machines failed at, and bills only what was made.

Source: fal.ai/docs/model-endpoints/queue, /webhooks, docs/documentation/model-apis/errors, /media-expiration and the
package `fal-client` 1.0.3, read 2026-11-20. Never tried live: the names of most fields (see `schema.py`), how long
results are kept, how a cancelled request is told of afterwards, whether refused content is billed (taken as free).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlencode, urlsplit

import anyio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field

from rushes.errors import (
    AccessDenied,
    BadReply,
    Gone,
    Moderated,
    NoCredit,
    ProviderError,
    Rejected,
    Unsupported,
    Vanished,
)
from rushes.http import Api, Reply
from rushes.providers.base import Provider
from rushes.providers.catalog import Model, read_extra, read_table
from rushes.providers.fal import schema, webhook
from rushes.providers.fal.wire import (
    Accepted,
    Mode,
    Row,
    WireResult,
    WireStatus,
    app_of,
    endpoint_of,
    failure_of,
    is_early,
    mode_of,
    read_detail,
    to_wire,
)
from rushes.providers.given import check_plain_references, data_uri, media_of
from rushes.providers.incoming import Incoming
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import MODERATION_CODES, kind_of_status
from rushes.providers.terms import Asset, Context, Doubt, Hint, Link, Promises, RemoteJob
from rushes.video import Failure, MediaRef, Progress, Status

QUEUE_URL = "https://queue.fal.run"
REST_URL = "https://rest.fal.ai"
RESULT_LIFE_S = 7 * 24 * 3600.0  # unverified: a week is what is safe to assume
UNSTORED_LIFE_S = 3600.0  # of an answer of which fal keeps no copy: the video outlives it, but nobody tells its address
INLINE_MAX_BYTES = 1_000_000  # unverified: "small" files travel inside the JSON
UPLOAD_LIFE_S = 24 * 3600.0  # unverified: at least as long as results
CANCEL_PAUSES_S = (0.0, 0.5, 1.0)
NO_CREDIT_WORDS = ("balance", "locked", "top up")  # unverified: a locked account is told by a 403


class Options(BaseModel):
    """Its own names in `[providers.fal]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rest_url: str | None = None  # of uploads and of the webhooks' keys
    retry: bool = True  # False: a request that one of fal's machines failed at is not tried on another
    store_io: bool = True  # False: fal keeps no copy of what is sent and answered
    keep_results_s: Annotated[int, Field(ge=3600)] | None = None


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    priority: Literal["normal", "low"] | None = None
    start_within_s: Annotated[int, Field(ge=1)] | None = None  # a request that waits longer fails
    input: dict[str, Any] = Field(default_factory=dict[str, Any])  # further fields of the model's own


class Place(Incoming):
    """Where a file is to be put, and where it will lie then."""

    upload_url: Annotated[str, Field(min_length=1)]
    file_url: Annotated[str, Field(min_length=1)]


class Fal(Provider):
    """`fal`."""

    name = "fal"
    title = "fal"
    key_vars = ("FAL_KEY",)
    base_url_vars = ("FAL_BASE_URL",)
    default_base_url = QUEUE_URL
    sources_by_link = True
    options_shape: ClassVar[type[BaseModel]] = Options
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(
        doubt=Doubt.NONE,
        cancels=True,  # what waits for certain; what runs, if it obeys: see `cancel`
        result_life_s=RESULT_LIFE_S,
        create_timeout_s=120.0,  # pictures travel inside the body
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._apps: dict[str, str] = {}  # by the ids of requests of which nothing else was kept
        self._keys = webhook.KeyRing(self._published_keys)

    @property
    def own(self) -> Options:
        return Options.model_validate(self.options.model_dump())

    @property
    def rest(self) -> Api:
        """The host of uploads. Behind a base_url of one's own all is asked of that: its key may be no key of fal's."""
        url = self.own.rest_url or (REST_URL if self.base_url == QUEUE_URL else self.base_url)
        return self.context.http.api(url, self.context.section.headers, self.auth_headers, self.turns)

    async def auth_headers(self) -> Mapping[str, str]:
        return {"authorization": f"Key {self.key}"} if self.key else {}

    # -- submit ------------------------------------------------------------------------------------

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        request = prepared.request
        check_plain_references(request)
        row = self.row(request, Row)
        endpoint_of(request, row)
        if mode_of(request) is Mode.EDIT and (request.first_frame or request.last_frame):
            raise Unsupported(f"{request.model}: an edit takes no first or last frame beside its source. Leave it out.")
        extra = Extra.model_validate(dict(request.extra))
        for name in extra.input:
            if name in row.names:
                raise Unsupported(f"{request.model}: extra field input: {name} is set by rushes itself. Leave it out.")

    def to_bring(self, prepared: Prepared) -> Sequence[MediaRef]:
        return [media for media in media_of(prepared.request) if not _is_small(media)]

    async def bring(self, prepared: Prepared) -> None:
        self._note_source(prepared)
        await super().bring(prepared)

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        self._note_source(prepared)
        request, row = prepared.request, self.row(prepared.request, Row)
        links = {media.sha256: await self._link(media) for media in media_of(request)}
        extra = Extra.model_validate(dict(request.extra))
        source = request.source
        source_url = None
        if source is not None and source.remote_id is not None:
            source_url = await self.source_link(source.remote_id)
        elif source is not None and source.media is not None:
            source_url = links[source.media.sha256]
        endpoint = endpoint_of(request, row)
        reply = await self.create(
            f"/{endpoint}",
            json=to_wire(request, row, links, source_url, extra.input),
            params={"fal_webhook": self.callback_url} if self.callback_url else None,
            headers=_headers(self.own, extra),
        )
        accepted = self.parsed(reply, Accepted)
        told = {"status": accepted.status_url, "result": accepted.response_url, "cancel": accepted.cancel_url}
        paths = {what: path for what, url in told.items() if (path := self._own_path(url))}
        return RemoteJob(id=accepted.request_id, data={"app": app_of(endpoint), **paths})

    async def _link(self, media: MediaRef) -> str:
        if _is_small(media):
            return data_uri(media, await self.context.read_input(media))
        return await self.link_to(media)

    async def upload(self, media: MediaRef, data: bytes) -> Link:
        rest = self.rest
        wish = {"content_type": media.mime, "file_name": f"{media.sha256[:16]}.{media.mime.partition('/')[2]}"}
        params = {"storage_type": "fal-cdn-v3"}
        reply = await rest.send("POST", "/storage/upload/initiate", step="upload", params=params, json=wish)
        place = self.parsed(self.checked(reply), Place)
        headers = {"content-type": media.mime}
        trusted = [self.api.origin, rest.origin]
        self.checked(
            await self.context.http.upload("PUT", place.upload_url, content=data, headers=headers, trusted=trusted)
        )
        return Link(url=place.file_url, good_for_s=UPLOAD_LIFE_S)

    # -- the addresses of a request ----------------------------------------------------------------

    def _own_path(self, url: str | None) -> str | None:
        """A told address as a path of ours; None for one on another host, where our key must not go."""
        base = self.api.base_url
        return url.removeprefix(base) if url and self.api.owns(url) and url.startswith(f"{base}/") else None

    def _note_source(self, prepared: Prepared) -> None:
        """A source that is told by its id was made by the very model that is asked now, so its app is known."""
        request = prepared.request
        if request.source is not None and request.source.remote_id is not None:
            self._apps.setdefault(request.source.remote_id, app_of(endpoint_of(request, self.row(request, Row))))

    async def _path(self, remote: RemoteJob, what: Literal["status", "result", "cancel"]) -> str:
        """Where to look at a request; of one that a person adopted, only the id is known."""
        if isinstance(path := remote.data.get(what), str) and path.startswith("/"):
            return path
        *app, request_id = [step for step in urlsplit(remote.id).path.split("/") if step not in ("", "requests")]
        known = "/".join(app) or remote.data.get("app") or await self._app_of(request_id)
        end = "" if what == "result" else f"/{what}"
        return f"/{known}/requests/{quote(request_id, safe='')}{end}"

    async def _app_of(self, request_id: str) -> str:
        """The app that knows a request. Raises Vanished when none does that the tables name."""
        if request_id in self._apps:
            return self._apps[request_id]
        for app in self._listed_apps():
            path = f"/{app}/requests/{quote(request_id, safe='')}/status"
            reply = await self.api.send("GET", path, step="poll")
            if reply.ok:
                self._apps[request_id] = app
                return app
            if reply.status not in (400, 404, 405, 410, 422):
                raise self.error_of(reply)
        words = (
            f"{self.label} knows no request {request_id}. If its model is in no table, name it: OWNER/APP/{request_id}"
        )
        raise Vanished(words, step="poll")

    def _listed_apps(self) -> list[str]:
        extra = self.context.settings.catalog.extra
        added = read_extra(Path(extra).expanduser()) if extra else []
        names = [
            str(model.wire.get("at") or model.id.model)
            for model in (*read_table(self.name), *added)
            if model.id.provider in (self.name, self.context.name)
        ]
        return list(dict.fromkeys(map(app_of, names)))

    # -- look --------------------------------------------------------------------------------------

    async def poll(self, remote: RemoteJob) -> Progress:
        reply = await self.look(await self._path(remote, "status"))
        seen = self.parsed(reply, WireStatus)
        if seen.status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        if seen.state is not Status.COMPLETED:
            return Progress(status=seen.state)
        if seen.error_type is not None and seen.failure is not None:
            return Progress(status=Status.FAILED, failure=seen.failure)
        result = await self._result(remote, "poll")
        if is_early(result):
            return Progress(status=Status.IN_PROGRESS)
        if failure := failure_of(result) or (None if result.ok else seen.failure):
            return Progress(status=Status.FAILED, failure=failure)
        if self.parsed(self.checked(result), WireResult).url is None:
            failure = seen.failure or Failure("internal_error", "It is done, but came without a video.")
            return Progress(status=Status.FAILED, failure=failure, billed=seen.failure is None)
        kept_s = self.own.keep_results_s or RESULT_LIFE_S
        if not self.own.store_io:
            kept_s = min(kept_s, UNSTORED_LIFE_S)
        return Progress(
            status=Status.COMPLETED, percent=100.0, expires_at=datetime.now(UTC) + timedelta(seconds=kept_s)
        )

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        url = self.parsed(self.checked(await self._result(remote, "assets")), WireResult).url
        if url is None:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=url),)

    async def _result(self, remote: RemoteJob, step: str) -> Reply:
        return await self.api.send("GET", await self._path(remote, "result"), step=step, timeout_s=30.0)

    async def cancel(self, remote: RemoteJob) -> bool:
        """As the base class says. True only when it is out of the queue, or has ended without a video since."""
        reply = await self.api.send("PUT", await self._path(remote, "cancel"), step="cancel")
        if reply.status in (400, 404):
            return False  # it has ended; or it is not known, and the next look tells
        self.checked(reply)
        if self.parsed(reply, WireStatus).status == "OK":
            return True
        for pause_s in CANCEL_PAUSES_S:
            await anyio.sleep(pause_s)
            try:
                seen = await self.poll(remote)
            except (Vanished, Gone):
                return True  # it was known when it was cancelled
            if seen.status.final:
                return seen.status is Status.FAILED and not seen.billed
        return False

    # -- errors ------------------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        return read_detail(reply.body)

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        if (code or "").lower() in MODERATION_CODES:
            return Moderated
        if reply.status == 402 or (reply.status == 403 and self._is_out_of_money(reply)):
            return NoCredit
        if reply.status == 404 and reply.step == "create":
            return Rejected  # no such endpoint: it will not come
        return kind_of_status(reply.status)

    def _is_out_of_money(self, reply: Reply) -> bool:
        words = self.read_error(reply)[1].lower()
        return any(word in words for word in NO_CREDIT_WORDS)

    # -- webhooks ----------------------------------------------------------------------------------

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        refused = AccessDenied(f"{self.label}: the message is not signed by fal, or is old", step="webhook")
        if not webhook.is_fresh(headers, datetime.now(UTC)):
            raise refused
        if not await self._keys.fits(headers, body):
            raise refused
        return webhook.read_message(body)

    async def _published_keys(self) -> tuple[Ed25519PublicKey, ...]:
        """The keys that webhooks are signed with. Trouble in asking must not be taken for a wrong signature."""
        reply = await self.rest.send("GET", "/.well-known/jwks.json", step="webhook")
        keys = self.parsed(reply, webhook.KeySet).read() if reply.ok else ()
        if not keys:
            raise self.bad_reply(reply, "It does not tell the keys of its webhooks")
        return keys

    # -- schemas -----------------------------------------------------------------------------------

    async def complaints(self, model: Model) -> tuple[str, ...]:
        found = await self.schema_complaints(model)
        return tuple(f"{endpoint}: {words}" for endpoint, told in found.items() for words in told)

    async def schema_complaints(self, model: Model, schema_url: str = schema.SCHEMA_URL) -> dict[str, list[str]]:
        """What each endpoint of a model would have against the bodies that our table makes, by the schemas that fal
        publishes: free, and without a key. Empty lists: all is as it should be."""
        row = Row.model_validate(dict(model.wire))
        documents: dict[str, Any] = {}
        found: dict[str, list[str]] = {}
        for endpoint, body in schema.samples(model, row):
            if endpoint not in documents:
                documents[endpoint] = await self._document(f"{schema_url}?{urlencode({'endpoint_id': endpoint})}")
            told = found.setdefault(endpoint, [])
            told += [words for words in schema.complaints(documents[endpoint], body) if words not in told]
        return found

    async def _document(self, url: str) -> Any:
        async with self.context.http.fetch(url, trusted=[self.api.origin]) as body:
            text = b"".join([chunk async for chunk in body.chunks])
        try:
            return json.loads(text)
        except ValueError as error:
            raise BadReply(f"{self.label}: the schema is not JSON: {text[:60]!r}", step="schema") from error


PROVIDER = Fal


def _is_small(media: MediaRef) -> bool:
    return media.seconds is None and media.size_bytes <= INLINE_MAX_BYTES


def _headers(own: Options, extra: Extra) -> dict[str, str]:
    """What a request tells the queue, beside what it tells the model."""
    kept = None if own.keep_results_s is None else json.dumps({"expiration_duration_seconds": own.keep_results_s})
    said = {
        "x-fal-queue-priority": extra.priority,
        "x-fal-request-timeout": None if extra.start_within_s is None else str(extra.start_within_s),
        "x-fal-no-retry": None if own.retry else "1",
        "x-fal-store-io": None if own.store_io else "0",
        "x-fal-object-lifecycle-preference": kept,
    }
    return {name: value for name, value in said.items() if value is not None}

"""Kling: the current API with a plain key, and the old one with a signed token for the models that only it has.

An error may come with HTTP 200; only its `code` tells. A create carries our key as its `external_task_id`, and a task
is looked up by it: so a create in doubt is settled for certain, without comparing prompts. The id is unique within the
account, so a refusal that speaks of it says that the create was accepted before: that is doubt and no refusal. There is
no progress, no cancelling and no deleting. Sound costs extra with some models, and is asked for all the same where
nobody said otherwise, as the videos of Sora had it; the price that is shown is that of the request that is sent.

Source: kling.ai/document-api (quick start, the pages of 3.0, turbo and omni, error codes, callbacks, prices), read
2026-11-20. Never tried live: the addresses and everything else of 4.0, pictures as plain base64 in the current API, how
a repeated `external_task_id` and a look at an unknown task are answered, the form of a webhook's body, `base_video`
with a link of the vendor's own, by which words a task fails for its content, whether old tokens open the current API.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from rushes.errors import AccessDenied, BadReply, NotOffered, ProviderError, Rejected, Unsupported, Vanished
from rushes.http import Api, Reply
from rushes.logs import hide
from rushes.providers.base import Provider
from rushes.providers.catalog import Model
from rushes.providers.given import check_plain_references, frames_of
from rushes.providers.incoming import read_wire_error
from rushes.providers.kling import legacy
from rushes.providers.kling.legacy import Pair, Token, is_legacy_id
from rushes.providers.kling.wire import (
    DOUBTFUL,
    OUR_KEY,
    Created,
    Extra,
    Queried,
    Row,
    WireTask,
    check_extra,
    from_wire,
    kind_of_code,
    path_of,
    picture_text,
    task_told_of,
    to_wire,
)
from rushes.providers.prepare import Prepared
from rushes.providers.refusals import kind_of_status, redacted, status_proves_refusal
from rushes.providers.terms import Asset, Context, Doubt, Findings, Hint, Promises, RemoteJob, Search
from rushes.signatures import is_signed
from rushes.video import Progress, VideoRequest

Region = Literal["singapore", "beijing"]
HOSTS: Mapping[Region, str] = {
    "singapore": "https://api-singapore.klingai.com",
    "beijing": "https://api-beijing.klingai.com",
}
PAIR_VARS = ("KLING_ACCESS_KEY", "KLING_SECRET_KEY")
WEBHOOK_VAR = "KLING_WEBHOOK_SECRET"


class KlingOptions(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Region | None = None
    webhook_secret: SecretStr | None = None  # with which Kling signs what it tells us


class Kling(Provider):
    """`kling`."""

    name = "kling"
    title = "Kling"
    key_vars = ("KLING_API_KEY",)
    base_url_vars = ("KLING_BASE_URL",)
    other_vars = (*PAIR_VARS, WEBHOOK_VAR)
    default_base_url = HOSTS["singapore"]
    sources_by_link = True
    options_shape = KlingOptions
    extra_shape: ClassVar[type[BaseModel]] = Extra
    promises = Promises(
        doubt=Doubt.LIST,
        result_life_s=30 * 86400.0,
        create_timeout_s=180.0,  # pictures travel inside the body
    )

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        pair = self.pair
        self._token = Token(pair) if pair else None
        self._v1: Api = context.http.api(self.base_url, context.section.headers, self._v1_headers, self.turns)
        hide(*(secret for secret in (self.webhook_secret, pair.secret if pair else None) if secret))

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def _options(self) -> KlingOptions:
        return KlingOptions.model_validate(self.options.model_dump())

    @property
    def base_url(self) -> str:
        section, settings = self.context.section, self.context.settings
        asked = self._options.region
        return (
            section.base_url
            or (HOSTS[asked] if asked else None)
            or settings.variable(*self.base_url_vars)
            or self.default_base_url
        )

    @property
    def on_mainland(self) -> bool:
        return urlsplit(self.base_url).netloc.endswith("beijing.klingai.com")

    def offered(self, model: Model) -> Model:
        """The prices of the table are the international host's; what the mainland bills is not in it."""
        return replace(model, prices=()) if self.on_mainland else model

    @property
    def pair(self) -> Pair | None:
        """The two keys of the old API. A section of another name has none: they would go to another's server."""
        access, secret = (self.context.settings.variable(name) for name in PAIR_VARS)
        return Pair(access, secret) if access and secret and self.context.name == self.name else None

    @property
    def api_key(self) -> str | None:
        return super().key

    @property
    def key(self) -> str | None:
        """The key of the current API; without one, the secret of the old API: either makes it usable."""
        pair = self.pair
        return self.api_key or (pair.secret if pair else None)

    def _account_salt(self) -> str:
        pair = self.pair
        return pair.access if pair else ""

    async def auth_headers(self) -> Mapping[str, str]:
        key = self.api_key
        return {"authorization": f"Bearer {key}"} if key else {}

    async def _v1_headers(self) -> Mapping[str, str]:
        if self._token is None:
            return {}
        return {"authorization": f"Bearer {self._token.at(time.time())}"}

    def check(self, prepared: Prepared) -> None:
        super().check(prepared)
        request = prepared.request
        row = self.row(request, Row)
        check_extra(request, row)
        check_plain_references(request)
        if row.v1 is None:
            path_of(request, row)
        self._check_key_of(request, row)

    def _check_key_of(self, request: VideoRequest, row: Row) -> None:
        """Each API has keys of its own. Without any at all, `check_ready` says so."""
        if self.key is None:
            return
        if row.v1 is not None and self.pair is None:
            raise Unsupported(f"{request.model} is on the old API. Set {' and '.join(PAIR_VARS)} for it.")
        if row.v1 is None and self.api_key is None:
            raise Unsupported(f"{request.model} takes an API key, not the two keys of old. Set {self.key_vars[0]}.")

    async def ping(self) -> str:
        """A look at a task that does not exist: free, and answered only after the key was checked."""
        if self.api_key is None:
            return "not checked: only the keys of the old API are set"
        return await self.answers("/tasks", params={"task_ids": "0"}, knows_it=False)

    # -- the three verbs ---------------------------------------------------------------------------

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        request = prepared.request
        row = self.row(request, Row)
        media = (*frames_of(request), *(reference.media for reference in request.references))
        pictures = {each.sha256: picture_text(await self.context.read_input(each)) for each in media}
        if row.v1 is not None:
            return await self._submit_v1(request, row, pictures, key)
        source = request.source.remote_id if request.source else None
        source_url = await self.source_link(source) if source else None
        body = to_wire(request, row, pictures, source_url, key=key, callback_url=self.callback_url)
        reply = await self.create(path_of(request, row), json=body)
        return RemoteJob(id=self.parsed(reply, Created).data.id)

    async def _submit_v1(self, request: VideoRequest, row: Row, pictures: Mapping[str, str], key: str) -> RemoteJob:
        operation = legacy.operation_of(request)
        reply = await self._v1.send(
            "POST",
            f"{legacy.ROOT}/{operation}",
            step="create",
            fresh=True,
            timeout_s=self.create_timeout_s,
            json=legacy.to_wire(request, row, pictures, key=key),
        )
        created = self.parsed(self.checked(reply), legacy.Created)
        return RemoteJob(id=f"{operation}/{created.data.task_id}")

    async def poll(self, remote: RemoteJob) -> Progress:
        if is_legacy_id(remote.id):
            return legacy.from_wire(await self._v1_task(remote, "poll"))
        return from_wire(await self._task(remote, "poll"))

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        old = is_legacy_id(remote.id)
        task = await self._v1_task(remote, "assets") if old else await self._task(remote, "assets")
        if task.video_url is None:
            raise Vanished(f"{self.label} no longer gives a link to the video of {remote.id}", step="assets")
        return (Asset(url=task.video_url),)

    async def _task(self, remote: RemoteJob, step: str) -> WireTask:
        reply = await self.look("/tasks", step=step, params={"task_ids": remote.id})
        tasks = self.parsed(reply, Queried).data
        task = next((task for task in tasks if task.id == remote.id), None)
        if task is None:
            raise Vanished(f"{self.label} knows no task {remote.id}", step=step, http_status=reply.status)
        if task.status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        return task

    async def _v1_task(self, remote: RemoteJob, step: str) -> legacy.WireTask:
        operation, _, task_id = remote.id.partition("/")
        path = f"{legacy.ROOT}/{operation}/{quote(task_id, safe='')}"
        reply = self.checked(await self._v1.send("GET", path, step=step, timeout_s=30.0))
        task = self.parsed(reply, legacy.Looked).data
        if task.task_status is None:
            raise self.bad_reply(reply, "The answer tells no status")
        return task

    # -- settling doubt, and being told ------------------------------------------------------------

    async def find(self, search: Search) -> Findings:
        """Look a task up by our key: there is one, or none."""
        if self.row(search.prepared.request, Row).v1 is not None:
            return Findings()
        try:
            reply = await self.read("/tasks", step="list", params={"external_task_ids": search.key})
        except (NotOffered, Vanished, Rejected):
            return Findings()
        return findings_of(self.parsed(reply, Queried).data, search)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> Hint | None:
        secret = self.webhook_secret
        if secret is not None and not is_signed(secret, headers, body, datetime.now(UTC)):
            words = f"{self.label}: the message is not signed with our webhook_secret, or is old"
            raise AccessDenied(words, step="webhook")
        told = task_told_of(body)
        return Hint(remote_id=told, trusted=secret is not None) if told else None

    @property
    def webhook_secret(self) -> str | None:
        if (secret := self._options.webhook_secret) is not None:
            return secret.get_secret_value()
        return self.context.settings.variable(WEBHOOK_VAR) if self.context.name == self.name else None

    # -- reading errors ----------------------------------------------------------------------------

    def checked(self, reply: Reply) -> Reply:
        """The reply, or the error that it is: also one in a good answer's clothes."""
        if reply.ok and self.read_error(reply)[0] in (None, "0"):
            return reply
        raise self.error_of(reply)

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        error = read_wire_error(reply.body)
        return error.code, error.message or f"HTTP {reply.status}"

    def error_of(self, reply: Reply) -> ProviderError:
        """By the code first. Of a good answer only a documented code shows that nothing was accepted."""
        code, words = self.read_error(reply)
        documented = kind_of_code(code, reply.step)
        kind = BadReply if reply.ok else kind_of_status(reply.status)
        if documented and (reply.ok or status_proves_refusal(reply.status)):
            kind = documented
        refused = status_proves_refusal(reply.status) or (reply.ok and documented is not None)
        return kind(
            f"{self.label}: {redacted(words, self.key)}",
            step=reply.step,
            http_status=reply.status,
            provider_code=code,
            request_id=reply.request_id,
            retry_after_s=reply.retry_after_s,
            # A repeated key was accepted the first time.
            proves_refusal=refused and code not in DOUBTFUL and OUR_KEY not in words.lower(),
        )


PROVIDER = Kling


def findings_of(tasks: list[WireTask], search: Search) -> Findings:
    """What a look-up by our key brought up. Pure.

    An empty answer proves that the key was never accepted; it does not after a restore, when a later attempt may have
    gone out with a key of its own. More than one task is no answer to our question: then each is only a candidate.
    """
    other = any(task.external_task_id not in (None, search.key) for task in tasks)
    found = tuple(RemoteJob(id=task.id) for task in tasks if task.id and task.id not in search.known_ids)
    if other or len(tasks) > 1:
        told = {task.id for task in tasks if task.external_task_id == search.key}
        ours = tuple(remote for remote in found if remote.id in told)
        return Findings(matches=ours) if ours else Findings(candidates=found)
    return Findings(matches=found, complete=not tasks and search.until is None)

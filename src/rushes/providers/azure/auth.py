"""Signing in to Azure with Entra ID: tokens that are renewed in time, and an `Api` that survives one that was not.

A client secret is exchanged by one POST; managed identity and the sign-in of the Azure CLI need the package
`azure-identity`, which opens its own connections and is imported only when it is asked for. A token is renewed before
it expires, also in the middle of a long wait, and once when the far side answers 401. A create that got a 401 was
refused for certain, so sending it once more with a new token cannot buy it twice.

Source: learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow, and `azure-identity` 1.25, read
2026-11-20. Never tried on a live tenant.
"""

import importlib
import logging
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rushes.errors import AccessDenied, BadReply, ConfigError, ProviderError, RateLimited, Unavailable
from rushes.http import Api, Auth, Body, Http, Reply
from rushes.providers.refusals import redacted

log = logging.getLogger(__name__)

SCOPES = ("https://cognitiveservices.azure.com/.default", "https://ai.azure.com/.default")
"""Whom a token is for. The first is the older; resources that want the other refuse the first with a 401."""
EARLY_S = 300.0
AGAIN_S = 30.0
"""How soon a renewal that failed is tried again while the old token still holds."""
STEP = "sign in"
NO_SUCH_SCOPE = frozenset({"invalid_scope", "invalid_resource", "invalid_target"})
NO_SUCH_SCOPE_NUMBERS = frozenset({70011, 500011})
INSTALL = (
    'auth = "default" signs in by managed identity or the Azure CLI and needs one more package: '
    "pip install 'rushes[azure]'"
)


@dataclass(frozen=True, slots=True)
class Token:
    value: str = field(repr=False)
    lives_s: float


class NoSuchScope(Exception):
    """This directory gives no tokens for that scope; another may be asked for."""


Fetch = Callable[[str], Awaitable[Token]]
"""Asks for a token for a scope. Raises ProviderError, and NoSuchScope."""


class Tokens:
    """The one token that all calls share. It is numbered, so that a refusal of an old one renews nothing twice."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = anyio.Lock()
        self._value = self._before = ""
        self._number = 0
        self._renew_at = self._expires_at = float("-inf")
        self._scope = 0
        self._accepted = False  # whether the far side ever took a token of this scope

    async def headers(self) -> Mapping[str, str]:
        await self.ready()
        return {"authorization": f"Bearer {self._value}"}

    async def ready(self) -> int:
        """See to it that there is a token that holds; returns its number."""
        if self._clock() >= self._renew_at:
            async with self._lock:
                if self._clock() >= self._renew_at:
                    await self._renew_in_time()
        return self._number

    async def refused(self, number: int) -> None:
        """The far side did not take this token: have another, unless somebody has it already.

        One that was refused at its first use may be for the wrong audience: then the other scope is asked for.
        """
        async with self._lock:
            if number == self._number:
                if not self._accepted:
                    self._scope = (self._scope + 1) % len(SCOPES)
                await self._renew()

    def taken(self, number: int) -> None:
        """The far side took this token."""
        self._accepted = self._accepted or number == self._number

    def without(self, words: str) -> str:
        """Words of the far side, which may quote the token."""
        return redacted(redacted(words, self._value or None), self._before or None)

    async def _renew_in_time(self) -> None:
        try:
            await self._renew()
        except ProviderError as error:
            if self._clock() >= self._expires_at:
                raise
            log.warning("token.not_renewed", extra={"cause": error.code})
            self._renew_at = min(self._clock() + AGAIN_S, self._expires_at)

    async def _renew(self) -> None:
        try:
            token = await self._of_some_scope()
        except ProviderError as error:
            # Whatever became of the sign-in: the request that wanted the token was not sent, or was refused.
            error.proves_refusal = True
            raise
        now = self._clock()
        self._before, self._value, self._number = self._value, token.value, self._number + 1
        self._expires_at = now + token.lives_s
        self._renew_at = self._expires_at - min(EARLY_S, token.lives_s / 2)

    async def _of_some_scope(self) -> Token:
        complaints: list[str] = []
        for _ in SCOPES:
            try:
                return await self._fetch(SCOPES[self._scope])
            except NoSuchScope as error:
                complaints.append(str(error))
                self._scope, self._accepted = (self._scope + 1) % len(SCOPES), False
        raise AccessDenied(f"Entra ID gives no token for Azure OpenAI: {'; '.join(complaints)}", step=STEP)


class SignedApi(Api):
    """An `Api` that puts the api-version on every call, and asks once more with a new token after a 401."""

    def __init__(
        self,
        http: Http,
        base_url: str,
        headers: Mapping[str, str],
        auth: Auth,
        tokens: Callable[[], Tokens | None],
        version_of: Callable[[str], str | None],
    ) -> None:
        super().__init__(http, base_url, headers, auth)
        self._tokens = tokens
        self._version_of = version_of

    async def send(
        self, method: str, path: str, *, step: str, params: Mapping[str, str] | None = None, **more: Any
    ) -> Reply:
        params = self._versioned(path, params)
        tokens, used = await self._ready()
        if tokens is None:
            return await super().send(method, path, step=step, params=params, **more)
        reply = await super().send(method, path, step=step, params=params, **more)
        if reply.status != 401:
            tokens.taken(used)
            return reply
        await tokens.refused(used)
        used = await tokens.ready()
        reply = await super().send(method, path, step=step, params=params, **more)
        if reply.status != 401:
            tokens.taken(used)
        return reply

    @asynccontextmanager
    async def stream(
        self, path: str, *, step: str, params: Mapping[str, str] | None = None, offset: int = 0, etag: str | None = None
    ) -> AsyncGenerator[Body]:
        params = self._versioned(path, params)
        tokens, used = await self._ready()
        async with AsyncExitStack() as stack:
            try:
                opening = super().stream(path, step=step, params=params, offset=offset, etag=etag)
                body = await stack.enter_async_context(opening)
            except AccessDenied as error:
                if tokens is None or error.http_status != 401:
                    raise
                await tokens.refused(used)
                opening = super().stream(path, step=step, params=params, offset=offset, etag=etag)
                body = await stack.enter_async_context(opening)
            yield body

    async def _ready(self) -> tuple[Tokens | None, int]:
        """The tokens, and the number of the one that holds; None where calls are signed with a key."""
        try:
            tokens = self._tokens()
            return tokens, await tokens.ready() if tokens else 0
        except ConfigError as error:
            # A job that is under way may be watched by a process that lacks what the submitting one had. It waits.
            raise AccessDenied(str(error), step=STEP, proves_refusal=True) from error

    def _versioned(self, path: str, params: Mapping[str, str] | None) -> dict[str, str]:
        version = self._version_of(path)
        return {**(params or {}), **({"api-version": version} if version else {})}


# -- client secret -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSecret:
    tenant: str
    client_id: str
    secret: str = field(repr=False)
    authority: str  # https://login.microsoftonline.com

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9.-]+", self.tenant):
            raise ConfigError(f"AZURE_TENANT_ID={self.tenant!r} is neither a directory id nor a domain.")


class Granted(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    access_token: str = Field(pattern=r"^[!-~]+$", repr=False)  # it goes into a header
    expires_in: float


class NotGranted(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    error: str = ""
    error_description: str = ""
    error_codes: list[int] = Field(default_factory=list[int])


def by_client_secret(http: Http, who: ClientSecret) -> Fetch:
    """Exchange the secret for a token: the client credentials grant."""
    api = http.api(who.authority, {}, _unsigned)

    async def fetch(scope: str) -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": who.client_id,
            "client_secret": who.secret,
            "scope": scope,
        }
        reply = await api.send("POST", f"/{who.tenant}/oauth2/v2.0/token", step=STEP, data=form, timeout_s=30.0)
        return read_grant(reply, who.secret)

    return fetch


async def _unsigned() -> Mapping[str, str]:
    return {}


def read_grant(reply: Reply, secret: str) -> Token:
    """The token in an answer. Raises ProviderError, and NoSuchScope. Pure."""
    if not reply.ok:
        raise _not_granted(reply, secret)
    try:
        granted = Granted.model_validate_json(reply.body)
    except ValidationError:
        # Not chained: pydantic quotes what it could not read, and that may be the token.
        raise BadReply("Entra ID answered without a token", step=STEP, http_status=reply.status) from None
    return Token(granted.access_token, granted.expires_in)


def _not_granted(reply: Reply, secret: str) -> ProviderError | NoSuchScope:
    try:
        told = NotGranted.model_validate_json(reply.body)
    except ValidationError:
        told = NotGranted()
    words = redacted(next(iter(told.error_description.splitlines()), "") or told.error or "no reason given", secret)
    if told.error in NO_SUCH_SCOPE or not NO_SUCH_SCOPE_NUMBERS.isdisjoint(told.error_codes):
        return NoSuchScope(words)
    kind: type[ProviderError] = AccessDenied
    advice = " Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET."
    if reply.status == 429:
        kind, advice = RateLimited, ""
    elif reply.status >= 500 or reply.status == 408:
        kind, advice = Unavailable, ""
    return kind(
        f"Entra ID gave no token: {words}{advice}",
        step=STEP,
        http_status=reply.status,
        provider_code=told.error or None,
        request_id=reply.request_id,
        retry_after_s=reply.retry_after_s,
    )


# -- azure-identity ------------------------------------------------------------------------------------------------

Load = Callable[[str], Any]


def load_identity(load: Load = importlib.import_module) -> Any:
    """The package `azure.identity`. Raises ConfigError with the command that installs it."""
    try:
        return load("azure.identity")
    except ImportError as error:
        raise ConfigError(INSTALL) from error


def by_default_credential(client_id: str | None, load: Load = importlib.import_module) -> Fetch:
    """Whatever sign-in `azure-identity` finds. `client_id` names a user-assigned managed identity.

    Its synchronous side, in a thread: the other one would want a further HTTP client to be installed. Whatever else
    it reads, it takes from the process's own environment: a `.env` file is unknown to it.
    """
    credential: Any = None

    async def fetch(scope: str) -> Token:
        nonlocal credential
        if credential is None:
            options = {"managed_identity_client_id": client_id} if client_id else {}
            credential = load_identity(load).DefaultAzureCredential(**options)
        try:
            granted = await anyio.to_thread.run_sync(credential.get_token, scope, abandon_on_cancel=True)
        except Exception as error:
            words = " ".join(str(error).split())[:300]
            if isinstance(error, load("azure.core.exceptions").ClientAuthenticationError):
                raise AccessDenied(
                    f"No sign-in to Azure was found: {words} Run: az login, or set AZURE_OPENAI_API_KEY.", step=STEP
                ) from error
            raise Unavailable(f"Signing in to Azure failed: {words}", step=STEP) from error
        return Token(granted.token, max(0.0, granted.expires_on - time.time()))

    return fetch

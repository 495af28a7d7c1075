"""Azure OpenAI: Sora 1 by the jobs API and Sora 2 by the Videos dialect, on deployments of one's own.

`azure:video:NAME` names a deployment; `sora` and names that begin with `sora-2` tell by themselves which model and
which API they mean, any other is declared under `[providers.azure.deployments]`. Calls are signed with the `api-key`
header, or with an Entra ID token (`azure/auth.py`).

Microsoft retired these models in 2026, and nothing here was ever tried live; it serves private previews and servers
that speak this dialect. A deployment that is gone answers 410, which is final. Unverified, and conservative about
money: that all variants asked for are billed, also those that moderation withheld, and that an output which was
moderated is billed at all; what was refused for its input is counted as free.

Source: Azure/azure-rest-api-specs `OpenAI.v1`, learn.microsoft.com/azure/foundry/openai, promptfoo 0.121 and LiteLLM
1.109 as clients, read 2026-11-20.
"""

import importlib.util
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import cast

from rushes.errors import (
    AccessDenied,
    BadReply,
    ConfigError,
    Gone,
    MissingKey,
    Moderated,
    NoCredit,
    NotOffered,
    ProviderError,
    Rejected,
    UnknownModel,
    Unsupported,
)
from rushes.http import Api, Body, Reply
from rushes.providers.azure.apis import JobsApi, Surface, VideosApi
from rushes.providers.azure.auth import (
    INSTALL,
    ClientSecret,
    SignedApi,
    Tokens,
    by_client_secret,
    by_default_credential,
)
from rushes.providers.azure.setup import (
    DEFAULT_API_VERSION,
    V1_VERSIONS,
    AzureOptions,
    Deployment,
    SignIn,
    VideoApi,
    authority_root,
    deployment_of,
    resource_root,
)
from rushes.providers.azure.wire import JobsExtra, read_refusal, variants_of
from rushes.providers.base import Provider
from rushes.providers.catalog import Catalog, Model, Price
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Asset, Availability, Context, Doubt, Findings, Promises, RemoteJob, Search, Variant
from rushes.video import ModelId, Progress, SourceKind

SECRET_VARS = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
NO_CREDIT_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
NO_DEPLOYMENT = re.compile(r"(?i)\bdeployment\b.* does not exist")
"""How the words go; under which code they come was never recorded for video."""
RETIRED = "Microsoft retired its video models in 2026. Choose another model. See: rushes models"


class NoSuchDeployment(Rejected, UnknownModel):
    """The resource has no deployment of that name, or does not serve it yet."""

    code = "unknown_model"


class Azure(Provider):
    """One Azure resource: `azure` itself, or a section with `kind = "azure"` and a `base_url` for a further one."""

    name = "azure"
    title = "Azure OpenAI"
    key_vars = ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY")
    base_url_vars = (
        "AZURE_OPENAI_ENDPOINT",
        "AZURE_OPENAI_API_BASE_URL",
        "AZURE_API_BASE_URL",
        "AZURE_OPENAI_API_HOST",
    )
    other_vars = ("AZURE_OPENAI_API_VERSION", *SECRET_VARS, "AZURE_AUTHORITY_HOST")
    options_shape = AzureOptions
    extra_shape = JobsExtra
    promises = Promises(doubt=Doubt.LIST, deletes=True, moderated_is_billed=True, result_life_s=24 * 3600.0)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        section = context.section
        self.api: Api = SignedApi(
            context.http, self.api.base_url, section.headers, self.auth_headers, lambda: self._tokens, self._version_of
        )
        self.api.turns = self.turns
        self._surfaces: Mapping[VideoApi, Surface] = {
            VideoApi.JOBS: JobsApi(self),
            VideoApi.VIDEOS: VideosApi(self),
        }

    # -- set-up ------------------------------------------------------------------------------------

    @property
    def _own_section(self) -> bool:
        """Whether this is a further resource: the usual variables, the key above all, are not its."""
        return self.context.name != self.name

    @property
    def _settings(self) -> AzureOptions:
        return cast(AzureOptions, self.options)

    @property
    def _address(self) -> str:
        written = self.context.section.base_url or ""
        return written if self._own_section else written or self.context.settings.variable(*self.base_url_vars) or ""

    @property
    def base_url(self) -> str:
        """Empty where none is set, or none that can be read: `check_ready` says so."""
        with suppress(ConfigError):
            return resource_root(self._address)
        return ""

    @property
    def sign_in(self) -> SignIn:
        """As written; else by key if there is one, else by client secret if its variables are all set."""
        if self._settings.auth is not None:
            return SignIn(self._settings.auth)
        known = all(self.context.settings.variable(name) for name in SECRET_VARS)
        return SignIn.CLIENT_SECRET if known and not self._own_section and not super().key else SignIn.KEY

    @property
    def key(self) -> str | None:
        section = self.context.section
        if self.sign_in is not SignIn.KEY:
            return None
        if self._own_section and section.api_key is None and section.api_key_env is None:
            return None
        return super().key

    @property
    def key_required(self) -> bool:
        return super().key_required and self.sign_in is SignIn.KEY

    def _account_salt(self) -> str:
        # Tokens change every hour and secrets every year, but who signs in stays.
        if self.sign_in is SignIn.KEY:
            return ""
        known = (self.context.settings.variable(name) or "" for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID"))
        return "/".join((self.sign_in.value, *known))

    def _version_of(self, path: str) -> str | None:
        """The api-version for a path. The Videos dialect is sent none, unless one of its own surface was asked for:
        the variable is shared with chat models, whose dated versions are unknown here."""
        written = self._settings.api_version
        if not self._own_section:
            written = written or self.context.settings.variable("AZURE_OPENAI_API_VERSION")
        if path.startswith("/video/") or "/video/generations/" in path:
            return written or DEFAULT_API_VERSION
        return written if written in V1_VERSIONS else None

    async def auth_headers(self) -> Mapping[str, str]:
        tokens = self._tokens
        if tokens is not None:
            return await tokens.headers()
        return {"api-key": self.key} if self.key else {}

    @cached_property
    def _tokens(self) -> Tokens | None:
        """None where calls are signed with a key. Raises ConfigError."""
        settings = self.context.settings
        if self.sign_in is SignIn.KEY:
            return None
        if self.sign_in is SignIn.DEFAULT:
            return Tokens(by_default_credential(settings.variable("AZURE_CLIENT_ID")))
        tenant, client_id, secret = (settings.variable(name) or "" for name in SECRET_VARS)
        authority = authority_root(settings.variable("AZURE_AUTHORITY_HOST"))
        who = ClientSecret(tenant=tenant, client_id=client_id, secret=secret, authority=authority)
        return Tokens(by_client_secret(self.context.http, who))

    def availability(self) -> Availability:
        try:
            self.check_ready()
        except ConfigError as error:
            # AZURE_CLIENT_ID and its like are often set for other services of Azure: by themselves they say nothing.
            configured = bool(self._address) if isinstance(error, MissingKey) else bool(self._address or self.key)
            return Availability(usable=False, reason=str(error), configured=configured or bool(self._settings.auth))
        return Availability(usable=True)

    def check_ready(self) -> None:
        missing = [name for name in SECRET_VARS if not self.context.settings.variable(name)]
        if self.sign_in is SignIn.CLIENT_SECRET and missing:
            raise MissingKey(f"{self.label} signs in by client secret, and lacks {', '.join(missing)}. Set them.")
        if self.sign_in is SignIn.DEFAULT and not _installed("azure.identity"):
            raise ConfigError(INSTALL)
        super().check_ready()
        if self.key and re.search(r"://|[\"'<>]", self.key):
            raise ConfigError(f"The key of {self.label} is no key but an address or a placeholder. Copy it again.")
        if not resource_root(self._address):
            raise ConfigError(self._no_address())
        _ = self._tokens  # reads the set-up of the sign-in, and complains of it

    def _no_address(self) -> str:
        if self._own_section:
            where = f"Write base_url in [providers.{self.context.name}]:"
        else:
            where = "Set AZURE_OPENAI_ENDPOINT:"
        return f"{self.label} has no address. {where} https://NAME.openai.azure.com, the resource's own."

    def _missing_key(self) -> str:
        if self._own_section and self.context.section.api_key_env is None:
            return f"{self.label} has no key. Write api_key_env, or auth, in [providers.{self.context.name}]."
        return f"{super()._missing_key()} Or sign in by Entra ID: set {', '.join(SECRET_VARS)}."

    # -- deployments -------------------------------------------------------------------------------

    def _deployment(self, model_id: ModelId) -> Deployment:
        return deployment_of(model_id.model, self._settings.deployments, self.context.name)

    def _surface(self, prepared: Prepared) -> Surface:
        return self._surfaces[self._deployment(prepared.request.model).api]

    def _surface_of(self, remote: RemoteJob) -> Surface:
        """By what it remembers; for one that a person adopted, by its id: only the dialect's begin with `video_`."""
        api = remote.data.get("api")
        if api not in [each.value for each in VideoApi]:
            api = VideoApi.VIDEOS if remote.id.startswith("video_") else VideoApi.JOBS
        return self._surfaces[VideoApi(cast(str, api))]

    def model_of(self, model_id: ModelId, catalog: Catalog) -> Model | None:
        """The limits and the price of a deployment: those of the model that it runs."""
        deployment = self._deployment(model_id)
        listed = catalog.models.get(ModelId(self.name, deployment.listed_as))
        if listed is None:
            known = ", ".join(model.id.model for model in catalog.of(self.name))
            raise ConfigError(
                f"[providers.{self.context.name}.deployments] {deployment.name}: there is no model "
                f"{deployment.listed_as!r}. There are: {known}. Others can be described in [catalog] extra."
            )
        own_price = deployment.usd_per_second
        usd_per_second = self.context.section.usd_per_second if own_price is None else own_price
        prices = listed.prices if usd_per_second is None else (Price(usd_per_second=usd_per_second),)
        title = listed.title if deployment.name == listed.id.model else f"{listed.title}, {deployment.name}"
        return replace(listed, id=model_id, title=title, prices=prices)

    def check(self, prepared: Prepared) -> None:
        surface = self._surface(prepared)
        if surface.api is VideoApi.JOBS:
            super().check(prepared)
        elif name := next(iter(prepared.request.extra), None):
            raise Unsupported(f"{prepared.request.model} has no extra field {name!r}: its API takes none.")
        surface.check(prepared)

    def count(self, prepared: Prepared) -> int:
        jobs = self._deployment(prepared.request.model).api is VideoApi.JOBS
        return variants_of(prepared.request) if jobs else 1

    # -- the verbs: each API has its own -----------------------------------------------------------

    async def ping(self) -> str:
        try:
            for path in ("/videos", "/video/generations/jobs"):
                with suppress(NotOffered, Rejected):
                    reply = await self.api.send("GET", path, step="ping", params={"limit": "1"}, timeout_s=10)
                    if reply.status != 404:
                        self.checked(reply)
                        return "answers, key accepted" if self.key else "answers"
        except AccessDenied:
            return "key refused" if self.key else "sign-in refused"
        except Gone:
            return "its video models are retired"
        except ProviderError as error:
            return f"no good answer: {error}"
        return "answers, but offers no list of jobs"

    async def submit(self, prepared: Prepared, key: str) -> RemoteJob:
        self.check_ready()
        self.check(prepared)
        return await self._surface(prepared).submit(prepared, self._deployment(prepared.request.model), key)

    async def poll(self, remote: RemoteJob) -> Progress:
        return await self._surface_of(remote).poll(remote)

    async def assets(self, remote: RemoteJob) -> tuple[Asset, ...]:
        return await self._surface_of(remote).assets(remote)

    async def delete(self, remote: RemoteJob) -> bool:
        return await self._surface_of(remote).delete(remote)

    async def find(self, search: Search) -> Findings:
        return await self._surface(search.prepared).find(search, self._deployment(search.prepared.request.model))

    @asynccontextmanager
    async def open(self, asset: Asset, *, offset: int = 0, etag: str | None = None) -> AsyncGenerator[Body]:
        async with super().open(asset, offset=offset, etag=etag) as body:
            if asset.variant is not Variant.VIDEO and body.mime.startswith("video/"):
                raise NotOffered(f"{self.label} has no {asset.variant}: it sent the video again", step="download")
            if body.mime in ("application/json", "text/html", "text/plain"):
                raise BadReply(f"{self.label} sent {body.mime} instead of the {asset.variant}", step="download")
            yield body

    # -- errors ------------------------------------------------------------------------------------

    def read_error(self, reply: Reply) -> tuple[str | None, str]:
        refusal = read_refusal(reply.body)
        words = refusal.message or f"HTTP {reply.status}"
        words = self._tokens.without(words) if self._tokens else words
        _, advice = classify(reply, self._advice())
        return refusal.code, f"{words.rstrip('. ')}.{advice}" if advice else words

    def kind_of_error(self, reply: Reply, code: str | None) -> type[ProviderError]:
        """By Azure's own code first: the same status means many things here."""
        kind, _ = classify(reply, "")
        return kind or super().kind_of_error(reply, code)

    def _advice(self) -> str:
        """What to check when the far side knows nobody."""
        section = self.context.section
        if self.sign_in is not SignIn.KEY:
            return " Check that the identity has the role Cognitive Services OpenAI User on this resource."
        if section.api_key is not None:
            return f" Check api_key in [providers.{self.context.name}], and that it is of this resource."
        return f" Check {section.api_key_env or self.key_vars[0]}, and that it is a key of this resource."


PROVIDER = Azure


def classify(reply: Reply, advice: str) -> tuple[type[ProviderError] | None, str]:
    """The class for an error whose code or place says more than its status, and advice to add. Pure.

    None: the status says it all.
    """
    refusal = read_refusal(reply.body)
    code = (refusal.code or "").lower()
    if refusal.moderated:
        return Moderated, ""
    if code in NO_CREDIT_CODES or reply.status == 402:
        return NoCredit, ""
    if (code == "deploymentnotfound" or NO_DEPLOYMENT.search(refusal.message)) and 400 <= reply.status < 500:
        return NoSuchDeployment, (
            " Name a deployment of this resource: azure:video:DEPLOYMENT. A new one may take hours to be known."
        )
    if reply.status in (401, 403):
        return AccessDenied, advice
    if reply.status == 410:
        return Gone, f" {RETIRED}"
    if reply.step == SourceKind.REMIX.value and reply.status == 404:
        return Gone, " The earlier video is no longer there: Azure keeps them for a day. Make it again."
    if reply.step == "create" and reply.status in (404, 405):
        return Gone, " There is no video API at this address: check AZURE_OPENAI_ENDPOINT (base_url)."
    return None, ""


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False

"""How an Azure resource is reached and what its deployments are: what a user writes, read without a connection.

Microsoft's own pages show a dozen forms of one address, and a model goes by whatever name its deployment was given.
All pure; what cannot be read is told with the line to write instead.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from rushes.errors import ConfigError

API_PATH = "/openai/v1"
DEFAULT_API_VERSION = "preview"
DEFAULT_AUTHORITY = "https://login.microsoftonline.com"
V1_VERSIONS = frozenset({"v1", "preview"})
"""What this surface knows as an api-version. Dated ones belong to the older surface, where chat models are."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
MICROSOFTS = re.compile(r"\.(azure|microsoft)\.(com|us|cn)$", re.IGNORECASE)
OTHER_APIS = re.compile(r"/(api/projects|models)(/.*)?$", re.IGNORECASE)
"""Paths of other APIs of the same resource, which Foundry's pages show as its endpoint."""


class VideoApi(StrEnum):
    JOBS = "jobs"  # video/generations/jobs: Sora 1
    VIDEOS = "videos"  # the OpenAI Videos dialect: Sora 2


class SignIn(StrEnum):
    KEY = "key"
    CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a way to sign in
    DEFAULT = "default"  # whatever azure-identity finds: managed identity, the Azure CLI, …


class DeploymentRow(BaseModel):
    """`NAME = { … }` under `[providers.azure.deployments]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    api: VideoApi | None = None  # None: as its model's name tells
    usd_per_second: Annotated[Decimal, Field(ge=0)] | None = None
    wire_model: str | None = None


class AzureOptions(BaseModel):
    """Names of its own in its section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    auth: Literal["key", "client_secret", "default"] | None = None
    api_version: str | None = None
    deployments: dict[str, DeploymentRow] = Field(default_factory=dict[str, DeploymentRow])


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment, with nothing left open."""

    name: str
    listed_as: str  # the model of the table whose limits and price it has
    api: VideoApi
    wire_model: str  # what is sent as `model`: the name, unless an older client's habit is to be kept
    usd_per_second: Decimal | None = None


def resource_root(address: str) -> str:
    """Where the paths hang: any form of a resource's address becomes `https://HOST/openai/v1`. Pure.

    Whole addresses of an operation, as the portal shows them, are cut; a path before `/openai` belongs to a gateway
    and stays. Raises ConfigError for what is no address.
    """
    address = address.strip().strip("\"'")
    if not address:
        return ""
    parts, port = _split(address)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[A-Za-z0-9.:_-]+", host) or port == 0:
        raise ConfigError(f"{address!r} is not the address of an Azure resource. Write https://NAME.openai.azure.com")
    user, at, place = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user}{at}{place.lower()}{_path_before(parts.path, host)}{API_PATH}"


def _path_before(path: str, host: str) -> str:
    """What of a path stands before `/openai/v1`: a gateway's own prefix, which may hold any words."""
    path = path.rstrip("/")
    if path.lower().endswith(API_PATH):
        return path[: -len(API_PATH)]
    if MICROSOFTS.search(host):
        path = OTHER_APIS.sub("", path)
    return re.sub(r"/openai(/.*)?$", "", path, flags=re.IGNORECASE)


def authority_root(address: str | None) -> str:
    """Where tokens are asked for. Raises ConfigError; a secret is sent there, so it must be https. Pure."""
    address = (address or DEFAULT_AUTHORITY).strip()
    parts, port = _split(address)
    if not parts.hostname or port == 0 or (parts.scheme != "https" and parts.hostname not in LOOPBACK):
        raise ConfigError(f"AZURE_AUTHORITY_HOST={address!r} is not an https address. Write login.microsoftonline.com")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _split(address: str) -> tuple[SplitResult, int | None]:
    """The parts of an address; without a scheme it is https, on this machine http. A port that is none reads as 0."""
    if "://" not in address:
        host = urlsplit(f"//{address}").hostname or ""
        address = f"{'http' if host in LOOPBACK else 'https'}://{address}"
    try:
        parts = urlsplit(address)
        return parts, parts.port
    except ValueError:
        return SplitResult("", "", "", "", ""), 0


def deployment_of(name: str, declared: Mapping[str, DeploymentRow], section: str = "azure") -> Deployment:
    """What is known of a deployment: what was declared, else what its name tells. Raises ConfigError. Pure."""
    row = declared.get(name) or next((row for key, row in declared.items() if key.lower() == name.lower()), None)
    if row is None:
        if told := told_by_name(name):
            listed_as, api = told
            return Deployment(name=name, listed_as=listed_as, api=api, wire_model=name)
        raise ConfigError(
            f"Which model does the Azure deployment {name!r} run? Write into rushes.toml, under "
            f'[providers.{section}.deployments]: {_toml_key(name)} = {{ model = "sora-2", api = "videos" }}'
        )
    api = row.api or (told[1] if (told := told_by_name(row.model)) else None)
    if api is None:
        raise ConfigError(
            f"[providers.{section}.deployments] {_toml_key(name)}: by which API is {row.model!r} reached? "
            f'Add api = "jobs" (video/generations/jobs) or api = "videos" (/openai/v1/videos).'
        )
    wire_model = row.wire_model or name
    return Deployment(name=name, listed_as=row.model, api=api, wire_model=wire_model, usd_per_second=row.usd_per_second)


def told_by_name(name: str) -> tuple[str, VideoApi] | None:
    """The model and the API that a name tells: `sora`, `sora-2` and what begins with that. Pure."""
    name = name.lower()
    if name == "sora":
        return "sora", VideoApi.JOBS
    if name.startswith("sora-2"):
        return ("sora-2-pro" if name.startswith("sora-2-pro") else "sora-2"), VideoApi.VIDEOS
    return None


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'

"""Settings, read once: `rushes.toml` and the environment become one frozen `Settings`.

This is the only module that looks at `os.environ`. A name that nobody knows is an error that says which name was
probably meant: a budget that is misspelt and so not held costs real money. Keys are `SecretStr`, so that no log
line or traceback shows them by accident.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    TypeAdapter,
    ValidationError,
    field_serializer,
)

from rushes.errors import ConfigError
from rushes.video import JSON

M = TypeVar("M", bound=BaseModel)

CONFIG_NAME = "rushes.toml"
WITH_SECRETS = "with secrets"
DEFAULT_ORDER = ("openai", "azure", "zai")
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("lines", "json")

VARIABLES: Mapping[str, str] = {
    "RUSHES_HOME": "folder for the database, the videos and the worker's lock",
    "RUSHES_CONFIG": "the rushes.toml to read; default: the working folder's, else the one in RUSHES_HOME",
    "RUSHES_DATABASE_URL": "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; default: rushes.db in RUSHES_HOME",
    "RUSHES_MEDIA_URL": "folder for videos and inputs, or s3://, gs://, az:// and a bucket; default: RUSHES_HOME/media",
    "RUSHES_LOG_LEVEL": "debug, info, warning or error",
    "RUSHES_LOG_FORMAT": "lines for people, or json for machines",
    "RUSHES_MODEL": "the model to use when none is named",
    "RUSHES_CA_FILE": "certificates to trust instead of the system's",
}
"""Every variable of our own, with what it does. Keys of providers are declared by the providers themselves."""


class Written(BaseModel):
    """Base of everything that a person writes: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProviderSettings(BaseModel):
    """`[providers.NAME]`: what every provider takes. Names of its own are checked by the provider itself."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str | None = None
    base_url: str | None = None
    api_key: SecretStr | None = None
    api_key_env: str | None = None
    api_key_required: bool | None = None
    headers: dict[str, str] = Field(default_factory=dict, repr=False)  # may hold a secret
    poll_interval_ms: Annotated[int, Field(ge=50)] | None = None
    max_poll_time_ms: Annotated[int, Field(ge=1000)] | None = None
    create_timeout_s: Annotated[float, Field(gt=0)] | None = None
    usd_per_second: Annotated[Decimal, Field(ge=0)] | None = None
    max_jobs: Annotated[int, Field(ge=1)] | None = None  # at once, over all workers
    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    budget_per_day_usd: Annotated[Decimal, Field(ge=0)] | None = None
    on_unknown: Literal["ask", "repay"] = "ask"

    @field_serializer("api_key")
    def _show_key(self, key: SecretStr | None, info: SerializationInfo) -> str | None:
        """Masked, except on its way through a pipe to a worker of our own."""
        if key is None:
            return None
        return key.get_secret_value() if info.context == WITH_SECRETS else str(key)

    @property
    def own(self) -> Mapping[str, JSON]:
        """The names that only this provider knows."""
        return self.model_extra or {}


class Defaults(Written):
    model: str | None = None
    order: tuple[str, ...] = DEFAULT_ORDER
    cache: Literal["use", "refresh", "off"] = "use"
    on_misfit: Literal["strict", "nearest", "pad"] = "strict"


class CatalogSettings(Written):
    extra: str | None = None  # a table of models newer than this release


class NetworkSettings(Written):
    allow_hosts: tuple[str, ...] = ()
    """Private hosts that links may name, such as a bucket inside the company."""
    ca_file: str | None = None


class LimitSettings(Written):
    input_mb: Annotated[float, Field(gt=0)] = 50
    input_megapixels: Annotated[float, Field(gt=0)] = 100
    video_mb: Annotated[float, Field(gt=0)] = 4096


class BudgetSettings(Written):
    """`[budget]`: what all jobs together may cost. A provider's own is in its section."""

    per_day_usd: Annotated[Decimal, Field(ge=0)] | None = None  # a day is one of UTC
    unknown_price_hold_usd: Annotated[Decimal, Field(gt=0)] | None = None
    """Held for a job whose price is unknown; without it such a job is refused wherever a limit applies."""


class WorkerSettings(Written):
    jobs: Annotated[int, Field(ge=1)] = 10_000  # how many one worker takes on at a time


class ProvenanceSettings(Written):
    """`[provenance]`: the manifests that mark videos as made by a machine. Paths are relative to the file."""

    enabled: bool = True
    certificate: str | None = None  # a chain in PEM; None: one of this installation
    key: str | None = None
    timestamp_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    trust: str | None = None  # certificates of signers to trust, in PEM
    prompt: bool = False  # put the prompt into the manifest, which travels with the file


class GatewaySettings(Written):
    """`[gateway]`: what `rushes serve` offers, and to whom."""

    public_url: Annotated[str, Field(pattern=r"^https?://[^/]+[^?#]*$")] | None = None
    """Where the world reaches it. Providers that post to an address are given one under it: `/webhooks/NAME`."""
    hosts: tuple[str, ...] = ()
    """Names under which it is called, beside those of this machine; with any set, others are refused."""
    cors_origins: tuple[str, ...] = ()  # web pages of other hosts that may call it
    requests_per_second: Annotated[float, Field(gt=0)] = 100  # from one address, keys or none
    requests_burst: Annotated[int, Field(ge=1)] = 400
    body_mb: Annotated[float, Field(gt=0)] = 200  # a whole request; each file in it is bounded by [limits] input_mb
    request_timeout_s: Annotated[float, Field(gt=0)] = 120  # in which a request must have arrived
    poll_after_ms: Annotated[int, Field(ge=100, le=60_000)] = 5000  # how often clients are asked to look at most
    redirect: bool = False  # out of a bucket: a signed link instead of the bytes
    redirect_life_s: Annotated[int, Field(ge=60, le=604_800)] = 3600
    x_accel_prefix: str | None = None  # nginx serves the files: its internal location over the media folder


class PolicySettings(Written):
    """`[policy]`: which prompts are refused before anything is bought. Paths are relative to the working folder."""

    block: tuple[str, ...] = ()  # words and phrases
    block_file: str | None = None  # the same, a line each
    moderation_url: Annotated[str, Field(pattern=r"^https?://")] | None = None  # an OpenAI-style /v1/moderations
    moderation_key_env: str | None = None
    moderation_model: str | None = None
    on_trouble: Literal["refuse", "allow"] = "refuse"  # when the moderation endpoint cannot be asked
    log_prompts: bool = False  # whether the audit log keeps the words, or only their sha256


class ConfigFile(Written):
    """The shape of `rushes.toml`."""

    defaults: Defaults = Defaults()
    providers: dict[str, ProviderSettings] = Field(default_factory=dict)
    aliases: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    catalog: CatalogSettings = CatalogSettings()
    network: NetworkSettings = NetworkSettings()
    limits: LimitSettings = LimitSettings()
    provenance: ProvenanceSettings = ProvenanceSettings()
    budget: BudgetSettings = BudgetSettings()
    worker: WorkerSettings = WorkerSettings()
    gateway: GatewaySettings = GatewaySettings()
    policy: PolicySettings = PolicySettings()
    home: str | None = None
    database_url: str | None = None
    media_url: str | None = None
    log_level: str | None = None
    log_format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that was configured, from every source, once. Build it with `load`."""

    home: Path
    database_url: str
    media_url: str
    log_level: str = "warning"
    log_format: str = "lines"
    defaults: Defaults = field(default_factory=Defaults)
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict[str, ProviderSettings])
    aliases: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict[str, str | tuple[str, ...]])
    """Other names of models; several are tried in this order."""
    catalog: CatalogSettings = field(default_factory=CatalogSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    provenance: ProvenanceSettings = field(default_factory=ProvenanceSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    policy: PolicySettings = field(default_factory=PolicySettings)
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    config_path: Path | None = None

    def provider(self, name: str) -> ProviderSettings:
        return self.providers.get(name, ProviderSettings())

    def variable(self, *names: str) -> str | None:
        """The first of these environment variables that is set and not blank."""
        for name in names:
            if value := self.environment.get(name, "").strip():
                return value
        return None


def load(
    *,
    env_file: Path | None = None,
    config: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    **overrides: str | None,
) -> Settings:
    """Read the settings: overrides, then the environment, then `.env`, then `rushes.toml`, then defaults.

    `overrides` take the names of the file's top level (`home`, `database_url`, `media_url`, `log_level`, `log_format`).
    Raises ConfigError with the file and the name that is wrong.
    """
    folder = folder or Path.cwd()
    env = {**_dotenv(env_file, folder), **(os.environ if environment is None else environment)}
    _refuse_unknown_variables(env)
    home_text = overrides.get("home") or env.get("RUSHES_HOME")
    home = Path(home_text).expanduser() if home_text else Path(platformdirs.user_data_dir("rushes", appauthor=False))
    path = _find_config(config or (Path(env["RUSHES_CONFIG"]) if env.get("RUSHES_CONFIG") else None), folder, home)
    written = _read_config(path) if path else ConfigFile()
    if not home_text and written.home:
        home = Path(written.home).expanduser()
    home = home.absolute()
    defaults = written.defaults
    if model := env.get("RUSHES_MODEL", "").strip():
        defaults = defaults.model_copy(update={"model": model})
    network = written.network
    if ca_file := env.get("RUSHES_CA_FILE"):
        network = network.model_copy(update={"ca_file": ca_file})

    def choose(name: str, *variables: str, default: str) -> str:
        from_env = next((env[v] for v in variables if env.get(v)), None)
        return overrides.get(name) or from_env or getattr(written, name) or default

    log_level = choose("log_level", "RUSHES_LOG_LEVEL", "LOG_LEVEL", default="warning")
    log_format = choose("log_format", "RUSHES_LOG_FORMAT", default="lines")

    return Settings(
        home=home,
        database_url=choose("database_url", "RUSHES_DATABASE_URL", default=f"sqlite:///{home / 'rushes.db'}"),
        media_url=choose("media_url", "RUSHES_MEDIA_URL", default=str(home / "media")),
        log_level=_one_of("log level", LOG_LEVELS, log_level),
        log_format=_one_of("log format", LOG_FORMATS, log_format),
        defaults=defaults,
        providers=written.providers,
        aliases=written.aliases,
        catalog=written.catalog,
        network=network,
        limits=written.limits,
        provenance=written.provenance,
        budget=written.budget,
        worker=written.worker,
        gateway=written.gateway,
        policy=written.policy,
        environment=env,
        config_path=path,
    )


def to_json(settings: Settings) -> str:
    """Everything, keys included: only for a pipe to a process of our own."""
    return TypeAdapter(Settings).dump_json(settings, context=WITH_SECRETS).decode()


def from_json(text: str) -> Settings:
    return TypeAdapter(Settings).validate_json(text)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None when nothing is near."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return found[0] if found else None


def read_written(shape: type[M], data: Any, where: str, also_known: Iterable[str] = ()) -> M:
    """Validate what a person wrote; raises ConfigError naming the place and the nearest valid name."""
    try:
        return shape.model_validate(data)
    except ValidationError as error:
        raise ConfigError(_explain(error, shape, where, also_known)) from None


def _explain(error: ValidationError, shape: type[BaseModel], where: str, also_known: Iterable[str]) -> str:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    dotted = ".".join(path) or "the file"
    if first["type"] != "extra_forbidden":
        return f"{where}: {dotted}: {first['msg']}."
    known = [*_names_at(shape, path[:-1]), *also_known]
    guess = nearest(path[-1], known)
    hint = f"Did you mean {guess}?" if guess else f"Known here: {', '.join(sorted(known))}."
    return f"{where}: {dotted} is not a setting. {hint}"


def _names_at(shape: type[BaseModel], path: list[str]) -> list[str]:
    """The field names valid at a place inside a nested shape."""
    current: Any = shape
    for part in path:
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            continue  # an index of a list, or a key of a mapping: its value's shape was taken already
        annotation = fields[part].annotation
        arguments = [a for a in getattr(annotation, "__args__", ()) if hasattr(a, "model_fields")]
        current = arguments[-1] if arguments else annotation
    return list(getattr(current, "model_fields", {}))


def _dotenv(explicit: Path | None, folder: Path) -> dict[str, str]:
    path = explicit or folder / ".env"
    if not path.is_file():
        if explicit:
            raise ConfigError(f"{explicit}: no such file. --env-file names a file of NAME=value lines.")
        return {}
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def _refuse_unknown_variables(env: Mapping[str, str]) -> None:
    for name in env:
        if name.startswith("RUSHES_") and name not in VARIABLES:
            guess = nearest(name, VARIABLES)
            hint = f"Did you mean {guess}?" if guess else f"Known: {', '.join(VARIABLES)}."
            raise ConfigError(f"The environment variable {name} is not a setting of rushes. {hint}")


def _find_config(explicit: Path | None, folder: Path, home: Path) -> Path | None:
    if explicit:
        if not explicit.is_file():
            raise ConfigError(f"{explicit}: no such file. RUSHES_CONFIG and --config name a rushes.toml.")
        return explicit
    return next((path for path in (folder / CONFIG_NAME, home / CONFIG_NAME) if path.is_file()), None)


def _read_config(path: Path) -> ConfigFile:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    return read_written(ConfigFile, data, str(path))


def _one_of(what: str, known: Sequence[str], text: str) -> str:
    if text.lower() not in known:
        raise ConfigError(f"{text!r} is not a {what}. Use one of: {', '.join(known)}.")
    return text.lower()

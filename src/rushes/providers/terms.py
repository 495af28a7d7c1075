"""The words between a provider and those who use it: what it promises, what it is given, what it says. Data only."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from rushes.config import ProviderSettings, Settings
from rushes.http import Http
from rushes.media.children import Children
from rushes.providers.catalog import Model
from rushes.providers.prepare import Prepared
from rushes.video import JSON, MediaRef, ModelId


class Doubt(StrEnum):
    """How a create whose fate is unknown can be settled with this provider."""

    KEY = "key"  # it honours an idempotency key: the same request again, with the same key
    LIST = "list"  # its jobs can be listed or searched: look for ours
    NONE = "none"  # neither: a person decides


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What a provider's documentation lets us rely on. Each is read by the code that spends money."""

    doubt: Doubt
    keeps_results: bool = True  # False: gone once fetched, so an earlier video goes along as a file
    cancels: bool = False  # stops a job that has not ended
    deletes: bool = False
    moderated_is_billed: bool = False
    result_life_s: float | None = None  # how long a finished result can be fetched; None: not said
    unbilled_statuses: frozenset[int] = frozenset()  # answers of 5xx kind that are documented as not accepted
    poll_least_s: float = 0.0  # looks are never closer together, whatever the model; the first one waits so long, too
    create_timeout_s: float = 60.0  # how long a create may take to be answered
    horizon_s: float = 48 * 3600.0  # after this long a job counts as lost


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteJob:
    """A job on the provider's side. `data` is whatever the provider wants to find again on the next poll."""

    id: str
    expires_at: datetime | None = None
    data: Mapping[str, JSON] = field(default_factory=dict[str, JSON])


class Variant(StrEnum):
    VIDEO = "video"
    THUMBNAIL = "thumbnail"
    SPRITESHEET = "spritesheet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file of a finished job. Exactly one of `path` (behind our key), `url` (a link), `file` or `inline` is set."""

    variant: Variant = Variant.VIDEO
    n: int = 0  # which of the job's videos it belongs to
    path: str | None = None
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    url: str | None = field(default=None, repr=False)  # often signed
    file: Path | None = None
    received: bool = False  # the file came from the far side, and was not made on this machine
    inline: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A create in doubt, described so that the provider can look for it."""

    prepared: Prepared
    key: str
    sent_at: datetime
    until: datetime | None = None  # when it left at the latest, where `sent_at` is only when it left at the earliest
    known_ids: frozenset[str]  # remote ids that already belong to an attempt: these are no matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a search brought up.

    `matches` are certain to be ours by content; `candidates` might be (the provider does not tell enough).
    `complete` is True only if everything since the create was seen, so that no match proves absence.
    """

    matches: tuple[RemoteJob, ...] = ()
    candidates: tuple[RemoteJob, ...] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether a provider can serve, and in one line why not and what to do."""

    usable: bool
    reason: str = ""
    configured: bool = True  # False: nobody set it up, so there is nothing to tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a provider is given to work with."""

    name: str  # the section it is configured under; more servers of one kind have names of their own
    settings: Settings
    http: Http
    folder: Path  # its own place for temporary files
    read_input: Callable[[MediaRef], Awaitable[bytes]]
    model: Callable[[ModelId], Model]
    """What is known of a model, by the catalogue and the settings. Raises UnknownModel."""
    input_path: Callable[[MediaRef], Awaitable[Path]]
    """A file on this machine, for as long as a step takes: it is asked for again, not remembered."""
    children: Children
    start_soon: Callable[..., None]
    """Starts an async function in the background of the App, which waits for it or cancels it when it closes."""

    @property
    def section(self) -> ProviderSettings:
        return self.settings.provider(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where an uploaded file lies for the provider to read, and for how long."""

    url: str = field(repr=False)  # often signed
    good_for_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """A message from outside that only asks whether the address is ours, and what it is to be answered with."""

    answer: Mapping[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What a message from outside says: that a remote job may have changed. `trusted`: its sender is proven."""

    remote_id: str
    trusted: bool

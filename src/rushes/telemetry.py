"""Traces: which span belongs to which job, and whether anybody wants to see it.

A job's trace id *is* its id (both are 128 bits), and the id of its root span follows from it. So the process that
submits and the one that finishes a week later write into one trace without telling each other anything: there is no
column to keep it in, and a crash cannot lose it.

Off, and nothing is imported, unless the extra `otel` is installed and a variable names where spans go. Only the facts
in `Facts` can be attributes, so a prompt cannot become one. Only `otel.py` knows the library.
"""

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack
from urllib.parse import unquote

from rushes.config import Settings
from rushes.errors import ConfigError

if TYPE_CHECKING:
    from rushes.otel import RecordedSpan, Tracer

log = logging.getLogger(__name__)

Step = Literal["admit", "submit", "poll", "look", "download", "publish"]
ROOT: Step = "admit"
"""The first of a job: the others hang below it. Once per job, by whoever fixes its id."""
DETAIL: Step = "look"
"""One look at a running job; recorded at level debug only, since a wait has hundreds of them."""

DEFAULT_ENDPOINT = "http://localhost:4318"
SHUT_DOWN_S = 3.0


class Facts(TypedDict, total=False):
    """What a span may say. `poll` gives the number of its looks; `outcome` is a word of ours, never a message."""

    model: str
    provider: str
    attempt: int
    remote_id: str
    outcome: str
    looks: int
    size_bytes: int
    joined: str  # the job that an equal request joined instead


class Span:
    """What `span` yields. It takes notes also where nobody wants to see them."""

    def __init__(self, recorded: "RecordedSpan | None" = None) -> None:
        self._recorded = recorded

    def note(self, **facts: Unpack[Facts]) -> None:
        """Add what has become known meanwhile."""
        if self._recorded is not None:
            self._recorded.note(**_named(facts))


_OFF = Span()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where spans go: the whole address, by OTLP over HTTP."""

    endpoint: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)  # may hold a key
    service: str = "rushes"


class _State:
    """What `set_up` has decided for this process. The library is loaded by the first span, not before."""

    def __init__(self) -> None:
        self.target: Target | None = None
        self.detailed = False
        self.tracer: Tracer | None = None
        self.lock = Lock()

    def get_tracer(self) -> "Tracer | None":
        with self.lock:
            if self.tracer is None and self.target is not None:
                try:
                    from rushes.otel import Tracer
                except ImportError as error:
                    self.target = None
                    log.info("telemetry.off", extra={"missing": error.name, "install": "pip install 'rushes[otel]'"})
                    return None
                to = self.target
                self.tracer = Tracer(endpoint=to.endpoint, headers=to.headers, service=to.service)
        return self.tracer


_state = _State()


def set_up(settings: Settings) -> None:
    """Decide whether this process writes traces. Called by whoever configures the process, once.

    Raises ConfigError for an exporter or a value that nobody here knows.
    """
    _state.target = target_of(settings)
    _state.detailed = settings.log_level == "debug"


def shut_down(timeout_s: float = SHUT_DOWN_S) -> None:
    """Send what is left, for at most so long: a collector that is away holds nobody up."""
    with _state.lock:
        tracer, _state.tracer, _state.target = _state.tracer, None, None
    if tracer is not None:
        tracer.shut_down(timeout_s)


@contextmanager
def span(step: Step, job_id: str, *, since: datetime | None = None, **facts: Unpack[Facts]) -> Generator[Span]:
    """A span of a job's trace, around awaits too. An error is told by its code, and raised on.

    `since` is when it began, where that is not now.
    """
    if _state.target is None or (step == DETAIL and not _state.detailed) or (tracer := _state.get_tracer()) is None:
        yield _OFF
        return
    with tracer.span(step, job_id, root=step == ROOT, since=since, facts=_named(facts)) as recorded:
        yield Span(recorded)


def target_of(settings: Settings) -> Target | None:
    """What the variables of OpenTelemetry ask for; None: nothing. Pure. Raises ConfigError.

    `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_TRACES_EXPORTER=otlp` switches it on, `OTEL_TRACES_EXPORTER=none` and
    `OTEL_SDK_DISABLED=true` switch it off. Variables of traces alone (`…_OTLP_TRACES_…`) win.
    """
    exporter = settings.variable("OTEL_TRACES_EXPORTER")
    if exporter not in (None, "none", "otlp"):
        raise ConfigError(
            f"OTEL_TRACES_EXPORTER is {exporter!r}, but rushes sends traces by otlp only. Or set it to none."
        )
    if exporter == "none" or (settings.variable("OTEL_SDK_DISABLED") or "").lower() == "true":
        return None
    whole = settings.variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    base = settings.variable("OTEL_EXPORTER_OTLP_ENDPOINT")
    if whole is None and base is None and exporter is None:
        return None
    return Target(
        endpoint=whole or f"{(base or DEFAULT_ENDPOINT).rstrip('/')}/v1/traces",
        headers=_headers(settings.variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS") or ""),
        service=settings.variable("OTEL_SERVICE_NAME") or "rushes",
    )


def _named(facts: Facts) -> dict[str, str | int]:
    return {name: value for name, value in facts.items() if isinstance(value, str | int)}


def _headers(text: str) -> dict[str, str]:
    """`name=value,name=value`, percent-encoded, as OpenTelemetry writes them."""
    pairs = (part.partition("=") for part in text.split(",") if "=" in part)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}

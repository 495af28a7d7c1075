"""What the steps of a job work with, and the few writes that they share."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import anyio
import sqlalchemy as sa

from rushes.jobs import ledger, store
from rushes.jobs.codec import prepared_from_json
from rushes.jobs.database import Database
from rushes.jobs.fingerprint import fingerprint
from rushes.jobs.ledger import Attempt, Job, JobState
from rushes.jobs.marks import Marks
from rushes.media.children import Children
from rushes.media.store import MediaStore
from rushes.providers.base import Provider
from rushes.providers.prepare import Prepared
from rushes.providers.registry import Registry
from rushes.video import JSON, Failure, ModelId


def utc_now() -> datetime:
    return datetime.now(UTC)


def _pass(point: str) -> None:
    """Nothing is waiting at the named points, except in crash tests."""


@dataclass(slots=True)
class Flights:
    """The creates that are in the air right now. Whoever closes down waits for them, and starts no more."""

    sending: set[str] = field(default_factory=set[str])
    closing: bool = False
    _empty: anyio.Event | None = None

    def started(self, job_id: str) -> None:
        self.sending.add(job_id)

    def ended(self, job_id: str) -> None:
        self.sending.discard(job_id)
        if not self.sending and self._empty is not None:
            self._empty.set()

    async def landed(self) -> None:
        """Return when no create is in the air any more."""
        if self.sending:
            self._empty = anyio.Event()
            await self._empty.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts that every step needs. `reached` is called at each point where a crash would be interesting."""

    db: Database
    registry: Registry
    media: MediaStore
    children: Children
    spool: Path
    max_video_bytes: int
    marks: Marks
    flights: Flights = field(default_factory=Flights)
    now: Callable[[], datetime] = utc_now
    reached: Callable[[str], None] = _pass

    async def load(self, job_id: str) -> "Case":
        def work(connection: sa.Connection) -> Case:
            job = store.job_by_id(connection, job_id)
            if job is None:
                raise LookupError(f"job {job_id} is not in the ledger")
            return Case(job, store.attempts_of(connection, job_id))

        return await self.db.read(work)

    def fingerprint(self, prepared: Prepared, slot: int) -> str:
        """By what the cache and the single flight know a request."""
        provider = self.registry.provider(prepared.request.model.provider)
        return fingerprint(prepared, slot=slot, account=provider.account, base_url=provider.base_url)

    def provider_of(self, case: "Case") -> Provider:
        """The provider of the newest attempt, else of the request."""
        name = case.attempts[-1].provider if case.attempts else case.model_id.provider
        return self.registry.provider(name)

    async def set_trouble(self, job: Job, words: str | None) -> Job:
        """Tell, or stop telling, what a job is waiting out."""
        if job.trouble == words:
            return job
        changed = replace(job, trouble=words)

        def work(connection: sa.Connection) -> None:
            store.save_job(connection, changed)
            if words:
                store.insert_event(connection, job.id, "trouble", self.now(), message=words)

        await self.db.write(work)
        return changed


@dataclass(frozen=True, slots=True)
class Case:
    """A job with its attempts: all that the ledger knows when a step begins."""

    job: Job
    attempts: list[Attempt]

    @property
    def last(self) -> Attempt:
        return self.attempts[-1]

    @property
    def prepared(self) -> Prepared:
        return prepared_from_json(self.job.prepared_json)

    @property
    def model_id(self) -> ModelId:
        return ModelId.parse(self.job.model)

    def with_attempt(self, attempt: Attempt) -> list[Attempt]:
        return [*(a for a in self.attempts if a.n != attempt.n), attempt]


def end_job(
    connection: sa.Connection,
    job: Job,
    state: JobState,
    cost_usd: Decimal | None,
    now: datetime,
    *,
    failure: Failure | None = None,
    percent: float | None = None,
) -> None:
    """Close a job in the caller's transaction: its state, its cost, its hold, its last event."""
    done = ledger.moved(
        job,
        state,
        failure=failure,
        cost_usd=cost_usd,
        completed_at=now,
        trouble=None,
        percent=job.percent if percent is None else percent,
    )
    store.save_job(connection, done)
    store.settle_hold(connection, job.id, cost_usd, now)
    data: dict[str, JSON] = {"cost_usd": None if cost_usd is None else str(cost_usd)}
    if failure is not None:
        data |= {"code": failure.code, "message": failure.message}
    store.insert_event(connection, job.id, state.value, now, **data)

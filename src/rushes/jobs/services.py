"""What the steps of a job work with, and the few writes that they share."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import anyio
import sqlalchemy as sa

from rushes.errors import ConfigError
from rushes.jobs import claims, ledger, purse, store
from rushes.jobs.codec import prepared_from_json
from rushes.jobs.database import Database
from rushes.jobs.fingerprint import fingerprint
from rushes.jobs.ledger import Attempt, Job, JobState
from rushes.jobs.marks import Marks
from rushes.logs import keep_private
from rushes.media.children import Children
from rushes.media.store import MediaStore
from rushes.providers.base import Provider
from rushes.providers.prepare import Prepared
from rushes.providers.registry import Registry
from rushes.video import JSON, Failure, ModelId

NOT_READY_S = 10.0
"""How long a job is left alone that cannot go on with the settings of the worker that had it."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def _pass(point: str) -> None:
    """Nothing is waiting at the named points, except in crash tests."""


class PutBack(Exception):
    """The job has been left for later, and is not this worker's any more: its step is over."""


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
    worker_id: str | None = None  # whose steps these are; None: nobody's, who may only look
    flights: Flights = field(default_factory=Flights)
    now: Callable[[], datetime] = utc_now
    reached: Callable[[str], None] = _pass

    async def load(self, job_id: str) -> "Case":
        """The job as it is now. Raises LookupError, and LostClaim to a worker that has lost it."""

        def work(connection: sa.Connection) -> Case:
            job = store.job_by_id(connection, job_id)
            if job is None:
                raise LookupError(f"job {job_id} is not in the ledger")
            if self.worker_id not in (None, job.worker) and job.state in ledger.WORKABLE_JOB_STATES:
                raise ledger.LostClaim(f"Job {job_id} is worked on by {job.worker or 'nobody'} now.")
            return Case(job, store.attempts_of(connection, job_id))

        case = await self.db.read(work)
        keep_private(case.job.prompt)
        return case

    def fingerprint(self, prepared: Prepared, slot: int) -> str:
        """By what the cache and the single flight know a request."""
        provider = self.registry.provider(prepared.request.model.provider)
        return fingerprint(prepared, slot=slot, account=provider.account, base_url=provider.base_url)

    def provider_of(self, case: "Case") -> Provider:
        """The provider of the newest attempt, else of the request."""
        name = case.attempts[-1].provider if case.attempts else case.model_id.provider
        return self.registry.provider(name)

    def is_ready(self, name: str) -> bool:
        """Whether a provider can be asked from here."""
        try:
            self.registry.provider(name).check_ready()
        except ConfigError:
            return False
        return True

    async def ready_provider(self, case: "Case", name: str | None = None) -> Provider:
        """The provider of the newest attempt, or the one named, if it can be asked from here.

        Raises PutBack if it cannot: this process lacks what the submitting one had, and another worker may have it.
        """
        try:
            provider = self.registry.provider(name) if name else self.provider_of(case)
            provider.check_ready()
        except ConfigError as error:
            await self.put_back(case.job, str(error), NOT_READY_S)
        return provider

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

    async def put_back(self, job: Job, words: str, after_s: float) -> NoReturn:
        """Leave a job for later, to whichever worker takes it on then: it cannot go on from here for now.

        Raises PutBack, because the step ends with it.
        """
        later = replace(job, trouble=words, not_before=self.now() + timedelta(seconds=after_s))

        def work(connection: sa.Connection) -> None:
            store.save_job(connection, later)
            claims.release(connection, job)
            if job.trouble != words:
                store.insert_event(connection, job.id, "trouble", self.now(), message=words)

        await self.db.write(work)
        raise PutBack


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
    """Close a job in the caller's transaction: its state, its cost, its hold, its last event.

    The hold is settled from what the attempts' rows say by now, so they are to be written first.
    """
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
    purse.settle(connection, job, now)
    data: dict[str, JSON] = {"cost_usd": None if cost_usd is None else str(cost_usd)}
    if failure is not None:
        data |= {"code": failure.code, "message": failure.message}
    store.insert_event(connection, job.id, state.value, now, **data)

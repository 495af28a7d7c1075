"""Claims: which worker works on which job. All SQL about them, and about the workers themselves.

A job's row names the worker that may change it. A worker writes that name when it takes a job on, in the transaction
in which it saw that nobody had it; it is taken off when the job is put back into the queue, when a person has to
decide, and when its holder is found to have ended. Every write of a step checks it (`store.held_state`), so a worker
that was taken for dead and was not can do no harm.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from rushes.jobs.ledger import WORKABLE_JOB_STATES, Job, JobState
from rushes.jobs.tables import jobs, workers

AT_ONCE = 500
"""How many ids one statement names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """One process that works, or did until it died."""

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime


class Left(NamedTuple):
    """A job that nobody works on."""

    id: str
    provider: str
    state: JobState


WORKABLE = [state.value for state in WORKABLE_JOB_STATES]
BEGUN = [state.value for state in WORKABLE_JOB_STATES - {JobState.QUEUED}]
KNOWN_WORKERS = sa.select(workers).order_by(workers.c.started_at)
HELD_BY = sa.select(jobs.c.id).where(jobs.c.worker == sa.bindparam("worker"), jobs.c.state.in_(WORKABLE))
LEFT_BEHIND = (
    sa.select(jobs.c.id, jobs.c.provider, jobs.c.state)
    .where(
        jobs.c.state.in_(BEGUN),
        jobs.c.worker.is_(None),
        jobs.c.provider.in_(sa.bindparam("providers", expanding=True)),
        jobs.c.not_before.is_(None) | (jobs.c.not_before <= sa.bindparam("now")),
    )
    .order_by(jobs.c.created_at)
    .limit(sa.bindparam("limit"))
)
PROVIDERS_LEFT_BEHIND = sa.select(jobs.c.provider).where(jobs.c.state.in_(BEGUN), jobs.c.worker.is_(None)).distinct()
ANY_OPEN = sa.select(jobs.c.id).where(jobs.c.state.in_(WORKABLE)).limit(1)


def enrol(connection: sa.Connection, worker: WorkerRow) -> None:
    connection.execute(
        workers.insert(),
        {
            "id": worker.id,
            "host": worker.host,
            "pid": worker.pid,
            "version": worker.version,
            "started_at": worker.started_at,
        },
    )


def known_workers(connection: sa.Connection) -> list[WorkerRow]:
    """Every worker that has not said goodbye, the dead ones among them."""
    return [WorkerRow(**row) for row in connection.execute(KNOWN_WORKERS).mappings()]


def dismiss(connection: sa.Connection, worker_ids: Collection[str]) -> int:
    """Free the jobs of workers that have ended, and forget them. Returns how many jobs were freed."""
    ids = list(worker_ids)
    freed = connection.execute(
        jobs.update().where(jobs.c.worker.in_(ids), jobs.c.state.in_(WORKABLE)).values(worker=None)
    )
    connection.execute(workers.delete().where(workers.c.id.in_(ids)))
    return freed.rowcount


def claim(connection: sa.Connection, worker_id: str, job_ids: Sequence[str]) -> list[str]:
    """Take jobs on that nobody has. Returns those that are this worker's now, in the same order."""
    # Who was taken for dead is not in the list any more, and nobody would ever free what it claims.
    enrolled = sa.exists().where(workers.c.id == worker_id)
    taken = set[str]()
    for start in range(0, len(job_ids), AT_ONCE):
        some = list(job_ids[start : start + AT_ONCE])
        free = jobs.c.id.in_(some) & jobs.c.worker.is_(None) & jobs.c.state.in_(WORKABLE) & enrolled
        query = jobs.update().where(free).values(worker=worker_id).returning(jobs.c.id)
        taken |= set(connection.execute(query).scalars())
    return [job_id for job_id in job_ids if job_id in taken]


def release(connection: sa.Connection, job: Job) -> None:
    """Take the name off a job that its holder puts back."""
    connection.execute(jobs.update().where(jobs.c.id == job.id, jobs.c.worker == job.worker).values(worker=None))


def held_by(connection: sa.Connection, worker_id: str) -> list[str]:
    """The open jobs of a worker."""
    return list(connection.execute(HELD_BY, {"worker": worker_id}).scalars())


def left_behind(
    connection: sa.Connection, now: datetime, limit: int, *, servable: Callable[[str], bool] = lambda provider: True
) -> list[Left]:
    """Jobs that were begun and that nobody works on: paid for, or in doubt. They come first.

    Only those of `servable` providers: however many others there are, they must not hide these.
    """
    providers = [name for name in connection.execute(PROVIDERS_LEFT_BEHIND).scalars() if servable(name)]
    if not providers:
        return []
    rows = connection.execute(LEFT_BEHIND, {"now": now, "limit": limit, "providers": providers})
    return [Left(row.id, row.provider, JobState(row.state)) for row in rows]


def any_open(connection: sa.Connection) -> bool:
    """Whether there is a job that some worker should be busy with."""
    return connection.execute(ANY_OPEN).first() is not None


def note_unservable(connection: sa.Connection, provider: str, words: str) -> None:
    """Tell, on the jobs of a provider that nobody works on, why: those that wait, and those that were begun."""
    waiting = (jobs.c.provider == provider) & jobs.c.state.in_(WORKABLE) & jobs.c.worker.is_(None)
    connection.execute(jobs.update().where(waiting, jobs.c.trouble.is_(None)).values(trouble=words))

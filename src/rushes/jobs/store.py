"""Every question that the jobs ask of the database, one function each, named after the question.

They take an open connection and do no more than SQL: what may happen is decided in `ledger.py`.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from rushes.jobs.codec import remote_to_json
from rushes.jobs.ledger import (
    ATTEMPT_MOVES,
    JOB_MOVES,
    OPEN_JOB_STATES,
    WORKABLE_JOB_STATES,
    Attempt,
    AttemptState,
    IllegalMove,
    Job,
    JobState,
    LostClaim,
)
from rushes.jobs.tables import attempts, events, installation, jobs, tags, videos
from rushes.providers.terms import RemoteJob
from rushes.video import JSON, Failure, ModelId

ADOPTED_ELSEWHERE = "adopted_elsewhere"
"""The attempt of a job that was past its deadline when a person found its remote job: another job owns that now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a job's history."""

    id: int
    job_id: str
    ts: datetime
    kind: str
    data: Mapping[str, JSON]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs to list."""

    owner: str | None = None
    states: frozenset[JobState] | None = None
    search: str | None = None
    tags: tuple[str, ...] = ()  # all of them
    model: str | None = None  # a part of the id of what made it, or of what was asked for
    limit: int = 50
    before: str | None = None  # a job id: those admitted before it
    after: str | None = None  # a job id: those that come after it in the order asked for
    oldest_first: bool = False
    deleted: bool = False


def row_update(table: sa.Table, *keys: str, without: Collection[str] = ()) -> sa.Update:
    """A statement that writes a whole row, built once: building it anew costs more than running it.

    The keys are bound as `key_<name>`, because the plain names are those of the values.
    """
    where = [table.c[name] == sa.bindparam(f"key_{name}") for name in keys]
    names = [column.name for column in table.columns if column.name not in {*keys, *without}]
    values: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(name) for name in names}
    return table.update().where(*where).values(values)


JOB_BY_ID = sa.select(jobs).where(jobs.c.id == sa.bindparam("id"))
STATE_OF_JOB = sa.select(jobs.c.state, jobs.c.worker).where(jobs.c.id == sa.bindparam("id"))
WRITE_JOB = row_update(jobs, "id", without={"flight", "cancel_requested", "deleted_at", "worker"})
ATTEMPTS_OF_JOB = sa.select(attempts).where(attempts.c.job_id == sa.bindparam("job_id")).order_by(attempts.c.n)
STATE_OF_ATTEMPT = sa.select(attempts.c.state).where(
    attempts.c.job_id == sa.bindparam("job_id"), attempts.c.n == sa.bindparam("n")
)
WRITE_ATTEMPT = row_update(attempts, "job_id", "n")
FINISHED_EQUAL = (
    sa.select(jobs)
    .where(
        jobs.c.owner == sa.bindparam("owner"),
        jobs.c.fingerprint.in_(sa.bindparam("fingerprints", expanding=True)),
        jobs.c.state == JobState.COMPLETED.value,
        jobs.c.deleted_at.is_(None),
    )
    .order_by(jobs.c.completed_at.desc())
    .limit(20)
)
IN_FLIGHT = sa.select(jobs).where(
    jobs.c.owner == sa.bindparam("owner"),
    jobs.c.flight == sa.bindparam("flight"),
    jobs.c.state.in_([state.value for state in OPEN_JOB_STATES]),
)
SET_FLIGHT = jobs.update().where(jobs.c.id == sa.bindparam("key_id")).values(flight=sa.bindparam("flight"))
INSERT_JOB, INSERT_VIDEO, INSERT_ATTEMPT = jobs.insert(), videos.insert(), attempts.insert()
INSERT_EVENT = events.insert()
WORKABLE = (
    sa.select(jobs.c.id)
    .where(jobs.c.state.in_([state.value for state in WORKABLE_JOB_STATES]))
    .order_by(jobs.c.priority.desc(), jobs.c.created_at)
)
CANCEL_WISHES = WORKABLE.where(jobs.c.cancel_requested)


# -- jobs ------------------------------------------------------------------------------------------


def insert_job(connection: sa.Connection, job: Job, video_ids: Sequence[str]) -> None:
    """Admit a job with its videos' ids. Raises IntegrityError when an equal one is in flight."""
    connection.execute(INSERT_JOB, _job_values(job))
    for n, video_id in enumerate(video_ids):
        connection.execute(INSERT_VIDEO, {"id": video_id, "job_id": job.id, "n": n})


def set_flight(connection: sa.Connection, job_id: str, flight: str | None) -> None:
    connection.execute(SET_FLIGHT, {"key_id": job_id, "flight": flight})


def save_job(connection: sa.Connection, job: Job) -> None:
    """Write a job's changed row, if it is still this worker's and may go there from where it is by now.

    What the row says now counts, not what was read before: another process may have been quicker. Raises LostClaim or
    IllegalMove. The cancel wish, the deletion and the claim are written by functions of their own, for the same reason.
    """
    state = held_state(connection, job)
    if job.state is not state and job.state not in JOB_MOVES[state]:
        raise IllegalMove(f"Job {job.id} is {state} by now, and cannot go to {job.state}.")
    values = _job_values(job)
    for name in ("id", "cancel_requested", "deleted_at", "worker"):
        del values[name]
    connection.execute(WRITE_JOB, {"key_id": job.id, **values})


def held_state(connection: sa.Connection, job: Job) -> JobState:
    """The state that the row has now. Raises LostClaim unless it is still held by whom `job` says."""
    row = connection.execute(STATE_OF_JOB, {"id": job.id}).first()
    if row is None or row.worker != job.worker:
        raise LostClaim(f"Job {job.id} is worked on by {row.worker if row else 'nobody'}, not by {job.worker}.")
    return JobState(row.state)


def job_by_id(connection: sa.Connection, job_id: str) -> Job | None:
    row = connection.execute(JOB_BY_ID, {"id": job_id}).mappings().first()
    return _job(row) if row else None


def open_jobs_of(connection: sa.Connection, owner: str) -> int:
    states = [state.value for state in OPEN_JOB_STATES]
    query = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.owner == owner, jobs.c.state.in_(states))
    return connection.execute(query).scalar_one()


def job_of_owner(connection: sa.Connection, job_or_video_id: str, owner: str, *, deleted: bool = False) -> str | None:
    """The job of a full id, its own or one of its videos', if it is this owner's and shown, or may be `deleted`."""
    named = videos.join(jobs, jobs.c.id == videos.c.job_id)
    query = sa.select(jobs.c.id).select_from(named).where(videos.c.id == job_or_video_id, jobs.c.owner == owner)
    if not deleted:
        query = query.where(jobs.c.deleted_at.is_(None))
    return connection.execute(query).scalar()


def job_ids_starting(connection: sa.Connection, prefix: str) -> list[str]:
    """For short ids on the command line; at most three, enough to know that it is not unique."""
    query = sa.select(jobs.c.id).where(jobs.c.id.startswith(prefix, autoescape=True)).limit(3)
    return list(connection.execute(query).scalars())


def jobs_matching(connection: sa.Connection, wanted: Filter) -> list[Job]:
    order = [jobs.c.created_at, jobs.c.id]
    query = sa.select(jobs).limit(wanted.limit)
    query = query.order_by(*(order if wanted.oldest_first else [column.desc() for column in order]))
    if wanted.owner is not None:
        query = query.where(jobs.c.owner == wanted.owner)
    if wanted.states is not None:
        query = query.where(jobs.c.state.in_([state.value for state in wanted.states]))
    if wanted.search:
        query = query.where(jobs.c.prompt.icontains(wanted.search, autoescape=True))
    for tag in wanted.tags:
        query = query.where(sa.exists().where(tags.c.job_id == jobs.c.id, tags.c.tag == tag))
    if wanted.model:
        served = jobs.c.model.icontains(wanted.model, autoescape=True)
        query = query.where(served | jobs.c.asked_model.icontains(wanted.model, autoescape=True))
    if not wanted.deleted:
        query = query.where(jobs.c.deleted_at.is_(None))
    if wanted.before:
        query = query.where(_beyond(wanted.before, later=False))
    if wanted.after:
        query = query.where(_beyond(wanted.after, later=wanted.oldest_first))
    return [_job(row) for row in connection.execute(query).mappings()]


def _beyond(job_id: str, *, later: bool) -> sa.ColumnElement[bool]:
    """Jobs admitted after a job, or before it."""
    at = sa.select(jobs.c.created_at).where(jobs.c.id == job_id).scalar_subquery()
    # By id as well: jobs admitted in the same instant must be neither missed nor shown twice.
    if later:
        return (jobs.c.created_at > at) | ((jobs.c.created_at == at) & (jobs.c.id > job_id))
    return (jobs.c.created_at < at) | ((jobs.c.created_at == at) & (jobs.c.id < job_id))


def job_in_flight(connection: sa.Connection, owner: str, flight: str) -> Job | None:
    """The open job that an equal submit joins; one in need of attention counts, so that it is not bought again."""
    row = connection.execute(IN_FLIGHT, {"owner": owner, "flight": flight}).mappings().first()
    return _job(row) if row else None


def finished_equal(connection: sa.Connection, owner: str, fingerprints: Sequence[str]) -> list[Job]:
    """Completed jobs of the same request on any of its routes, newest first."""
    rows = connection.execute(FINISHED_EQUAL, {"owner": owner, "fingerprints": list(fingerprints)}).mappings()
    return [_job(row) for row in rows]


def jobs_from(connection: sa.Connection, job_id: str) -> list[Job]:
    """The jobs that remix, edit or extend a video of this one, oldest first."""
    own = sa.select(videos.c.id).where(videos.c.job_id == job_id)
    query = sa.select(jobs).where(jobs.c.source_video.in_(own)).order_by(jobs.c.created_at)
    return [_job(row) for row in connection.execute(query).mappings()]


def workable_jobs(connection: sa.Connection) -> list[str]:
    """Ids of the jobs that a worker should be busy with, in the order in which they are to be taken."""
    return list(connection.execute(WORKABLE).scalars())


def cancel_wishes(connection: sa.Connection) -> list[str]:
    """Open jobs that somebody wants to end."""
    return list(connection.execute(CANCEL_WISHES).scalars())


def wish_cancel(connection: sa.Connection, job_id: str) -> None:
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(cancel_requested=True))


def hide(connection: sa.Connection, job_id: str, now: datetime) -> None:
    connection.execute(jobs.update().where(jobs.c.id == job_id).values(deleted_at=now, flight=None))


# -- attempts --------------------------------------------------------------------------------------


def insert_attempt(connection: sa.Connection, attempt: Attempt) -> None:
    connection.execute(INSERT_ATTEMPT, _attempt_values(attempt))


def save_attempt(connection: sa.Connection, attempt: Attempt) -> None:
    """Raises IntegrityError when another attempt of the account already has that remote id, and IllegalMove when the
    row says by now what this must not overwrite: an accepted attempt is never turned into a refused one."""
    found = connection.execute(STATE_OF_ATTEMPT, {"job_id": attempt.job_id, "n": attempt.n}).scalar_one()
    state = AttemptState(found)
    if attempt.state is not state and attempt.state not in ATTEMPT_MOVES[state]:
        raise IllegalMove(f"Attempt {attempt.n} of {attempt.job_id} is {state} by now, and cannot be {attempt.state}.")
    values = _attempt_values(attempt)
    keys = {"key_job_id": values.pop("job_id"), "key_n": values.pop("n")}
    connection.execute(WRITE_ATTEMPT, {**keys, **values})


def attempts_of(connection: sa.Connection, job_id: str) -> list[Attempt]:
    return [_attempt(row) for row in connection.execute(ATTEMPTS_OF_JOB, {"job_id": job_id}).mappings()]


def remote_ids_of(connection: sa.Connection, account: str) -> frozenset[str]:
    """Remote ids that already belong to an attempt: a search for a lost create must not find these."""
    query = sa.select(attempts.c.remote_id).where(attempts.c.account == account, attempts.c.remote_id.is_not(None))
    return frozenset(connection.execute(query).scalars())


def equal_attempts_in_doubt(connection: sa.Connection, attempt: Attempt) -> int:
    """How many attempts of the same request and account are in doubt, this one included."""
    query = sa.select(sa.func.count()).where(
        attempts.c.account == attempt.account,
        attempts.c.request_hash == attempt.request_hash,
        attempts.c.state.in_([AttemptState.SENDING.value, AttemptState.UNKNOWN.value]),
        attempts.c.error_code.is_distinct_from(ADOPTED_ELSEWHERE),
    )
    return connection.execute(query).scalar_one()


def durations_s(connection: sa.Connection, model: str, limit: int = 50) -> list[float]:
    """How long the newest completed jobs of a model took, from the answer to the create to its end."""
    query = (
        sa.select(attempts.c.answered_at, attempts.c.ended_at)
        .where(
            attempts.c.model == model,
            attempts.c.state == AttemptState.ENDED.value,
            attempts.c.error_code.is_(None),
            attempts.c.answered_at.is_not(None),
        )
        .order_by(attempts.c.ended_at.desc())
        .limit(limit)
    )
    return [(row.ended_at - row.answered_at).total_seconds() for row in connection.execute(query)]


# -- events ----------------------------------------------------------------------------------------


def insert_event(connection: sa.Connection, job_id: str, kind: str, now: datetime, **data: JSON) -> None:
    connection.execute(INSERT_EVENT, {"job_id": job_id, "ts": now, "kind": kind, "json": json.dumps(data)})


def last_event(connection: sa.Connection) -> int:
    """The number of the newest event; 0 before the first."""
    return connection.execute(sa.select(sa.func.coalesce(sa.func.max(events.c.id), 0))).scalar_one()


def news_after(connection: sa.Connection, after: int) -> tuple[int, set[str]]:
    """The number of the newest event, and the jobs to which something happened since the one of that number."""
    rows = connection.execute(sa.select(events.c.id, events.c.job_id).where(events.c.id > after)).all()
    return max((row.id for row in rows), default=after), {row.job_id for row in rows}


def events_after(connection: sa.Connection, after: int, job_id: str | None = None, limit: int = 1000) -> list[Event]:
    query = sa.select(events).where(events.c.id > after).order_by(events.c.id).limit(limit)
    if job_id is not None:
        query = query.where(events.c.job_id == job_id)
    return [
        Event(id=row.id, job_id=row.job_id, ts=row.ts, kind=row.kind, data=json.loads(row.json))
        for row in connection.execute(query)
    ]


# -- the installation ------------------------------------------------------------------------------


def installation_id(connection: sa.Connection) -> str | None:
    """What tells this database from all others; None before it was given one."""
    return connection.execute(sa.select(installation.c.id)).scalar()


def give_installation_id(connection: sa.Connection, chosen: str) -> str:
    """Write down an id, unless another process was quicker; returns the one that holds."""
    if (found := installation_id(connection)) is not None:
        return found
    connection.execute(installation.insert().values(id=chosen))
    return chosen


# -- rows and values -------------------------------------------------------------------------------


def _job_values(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "owner": job.owner,
        "state": job.state.value,
        "model": job.model,
        "provider": ModelId.parse(job.model).provider,
        "asked_model": job.asked_model,
        "prompt": job.prompt,
        "fingerprint": job.fingerprint,
        "slot": job.slot,
        "priority": job.priority,
        "run": job.run,
        "worker": job.worker,
        "not_before": job.not_before,
        "created_at": job.created_at,
        "deadline": job.deadline,
        "prepared_json": job.prepared_json,
        "routes_json": job.routes_json,
        "route": job.route,
        "source_video": job.source_video,
        "source_kind": job.source_kind,
        "options_json": job.options_json,
        "estimate_usd": job.estimate_usd,
        "cost_usd": job.cost_usd,
        "percent": job.percent,
        "cancel_requested": job.cancel_requested,
        "cached_from": job.cached_from,
        "adopted_from": job.adopted_from,
        "failure_code": job.failure.code if job.failure else None,
        "failure_message": job.failure.message if job.failure else None,
        "trouble": job.trouble,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "deleted_at": job.deleted_at,
    }


def _job(row: sa.RowMapping) -> Job:
    values = {name: row[name] for name in _JOB_COLUMNS}
    failure = Failure(row["failure_code"], row["failure_message"] or "") if row["failure_code"] else None
    return Job(state=JobState(row["state"]), failure=failure, **values)


_JOB_COLUMNS = tuple(
    column.name
    for column in jobs.columns
    if column.name not in ("state", "provider", "flight", "failure_code", "failure_message")
)


def _attempt_values(attempt: Attempt) -> dict[str, Any]:
    remote = attempt.remote
    return {
        "job_id": attempt.job_id,
        "n": attempt.n,
        "provider": attempt.provider,
        "account": attempt.account,
        "model": attempt.model,
        "state": attempt.state.value,
        "key": attempt.key,
        "request_hash": attempt.request_hash,
        "intent_at": attempt.intent_at,
        "sent_at": attempt.sent_at,
        "answered_at": attempt.answered_at,
        "ended_at": attempt.ended_at,
        "remote_id": remote.id if remote else None,
        "remote_json": remote_to_json(remote) if remote else None,
        "remote_expires_at": remote.expires_at if remote else None,
        "cost_usd": attempt.cost_usd,
        "error_code": attempt.error_code,
        "error": attempt.error,
        "repaid": attempt.repaid,
    }


def _attempt(row: sa.RowMapping) -> Attempt:
    remote = None
    if row["remote_id"] is not None:
        remote = RemoteJob(
            id=row["remote_id"], expires_at=row["remote_expires_at"], data=json.loads(row["remote_json"] or "{}")
        )
    values = {name: row[name] for name in _ATTEMPT_COLUMNS}
    return Attempt(state=AttemptState(row["state"]), remote=remote, **values)


_ATTEMPT_COLUMNS = tuple(
    column.name
    for column in attempts.columns
    if column.name not in ("state", "remote_id", "remote_json", "remote_expires_at")
)

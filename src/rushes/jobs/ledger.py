"""The ledger's rules: which moves a job and its paid attempts may make.

This is the money rule as pure functions. An attempt is written before its request leaves and is never deleted; a
further attempt may exist only after the one before was provably refused, or by a person's decision to pay again.
Nothing here talks to a provider or a database, so each rule can be tested without either. The store carries the
moves out and writes nothing that did not come from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

from rushes.errors import RushesError
from rushes.providers.terms import RemoteJob
from rushes.video import Failure, Status


class IllegalMove(RushesError):
    """A transition that the ledger does not know: always a bug of ours, never the user's."""

    code = "illegal_move"


class LostClaim(RushesError):
    """The job is another worker's by now, which took this one for dead. Whoever gets this lets go of the job."""

    code = "lost_claim"


class JobState(StrEnum):
    QUEUED = "queued"
    SUBMITTING = "submitting"
    IN_PROGRESS = "in_progress"
    DOWNLOADING = "downloading"
    FINISHING = "finishing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NEEDS_ATTENTION = "needs_attention"

    @property
    def final(self) -> bool:
        return self in FINAL_JOB_STATES


class AttemptState(StrEnum):
    INTENT = "intent"  # decided, nothing sent: safe to forget
    SENDING = "sending"  # bytes may be on their way: a crash here is doubt
    CREATED = "created"  # accepted, its remote id known
    REFUSED = "refused"  # provably not accepted, not billed
    UNKNOWN = "unknown"  # accepted or not, nobody here can tell yet
    ENDED = "ended"  # over on the far side, with or without a video
    LOST = "lost"  # accepted once, and the far side knows it no more


FINAL_JOB_STATES = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})
OPEN_JOB_STATES = frozenset(JobState) - FINAL_JOB_STATES
WORKABLE_JOB_STATES = OPEN_JOB_STATES - {JobState.NEEDS_ATTENTION}
"""Those that a worker should be busy with."""

JOB_MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.SUBMITTING, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUBMITTING: frozenset(
        {JobState.QUEUED, JobState.IN_PROGRESS, JobState.FAILED, JobState.CANCELLED, JobState.NEEDS_ATTENTION}
    ),
    JobState.IN_PROGRESS: frozenset({JobState.DOWNLOADING, JobState.FAILED, JobState.CANCELLED}),
    JobState.DOWNLOADING: frozenset({JobState.FINISHING, JobState.FAILED}),
    JobState.FINISHING: frozenset({JobState.DOWNLOADING, JobState.COMPLETED, JobState.FAILED}),
    JobState.NEEDS_ATTENTION: frozenset(
        {JobState.SUBMITTING, JobState.IN_PROGRESS, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.COMPLETED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

ATTEMPT_MOVES: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.INTENT: frozenset({AttemptState.SENDING, AttemptState.REFUSED}),
    AttemptState.SENDING: frozenset({AttemptState.CREATED, AttemptState.REFUSED, AttemptState.UNKNOWN}),
    AttemptState.UNKNOWN: frozenset({AttemptState.CREATED, AttemptState.REFUSED}),
    AttemptState.CREATED: frozenset({AttemptState.ENDED, AttemptState.LOST}),
    AttemptState.REFUSED: frozenset({AttemptState.LOST}),  # only `accepted_after_all`: a late answer proved us wrong
    AttemptState.ENDED: frozenset(),
    AttemptState.LOST: frozenset(),
}

LOCAL_OWNER = "local"
DEFAULT_DEADLINE_S = 48 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One paid submission to a provider."""

    job_id: str
    n: int
    provider: str
    account: str
    model: str
    state: AttemptState
    key: str
    request_hash: str
    intent_at: datetime
    sent_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    remote: RemoteJob | None = None
    cost_usd: Decimal | None = None
    error_code: str | None = None
    error: str | None = None
    repaid: bool = False  # still in doubt, but a person chose to pay again beside it

    @property
    def in_doubt(self) -> bool:
        return self.state in (AttemptState.SENDING, AttemptState.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One durable unit of work for one request. `id` is also the id of its first video."""

    id: str
    owner: str
    state: JobState
    model: str  # what will serve
    asked_model: str  # what was asked for: an alias keeps its name
    prompt: str
    fingerprint: str
    slot: int
    priority: int
    run: str | None = None  # the invocation or eval run that it belongs to
    worker: str | None = None  # who works on it: nobody else may change it
    not_before: datetime | None = None  # queued again after a refusal: not to be sent sooner
    created_at: datetime
    deadline: datetime
    prepared_json: str
    routes_json: str | None = None
    route: int = 0
    source_video: str | None = None
    source_kind: str | None = None
    options_json: str
    estimate_usd: Decimal | None
    percent: float = 0.0
    cost_usd: Decimal | None = None
    cancel_requested: bool = False
    cached_from: str | None = None
    adopted_from: str | None = None
    failure: Failure | None = None
    trouble: str | None = None  # what is being waited out right now, in words
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deleted_at: datetime | None = None

    def public_status(self, now: datetime) -> Status:
        """The state in the words of the Videos API. Pure; never goes backwards."""
        if self.state is JobState.COMPLETED:
            return Status.COMPLETED
        if self.state in (JobState.FAILED, JobState.CANCELLED) or self.timed_out(now):
            return Status.FAILED
        return Status.QUEUED if self.state is JobState.QUEUED and self.started_at is None else Status.IN_PROGRESS

    def timed_out(self, now: datetime) -> bool:
        """Whether nobody decided in time. An accepted attempt never times out: it is paid for."""
        return self.state is JobState.NEEDS_ATTENTION and now >= self.deadline

    def public_failure(self, now: datetime) -> Failure | None:
        if self.failure is not None:
            return self.failure
        if self.state is JobState.CANCELLED:
            return Failure("cancelled", "The job was cancelled.")
        if self.timed_out(now):
            return Failure("timeout", "Whether the provider accepted the request was never settled.")
        return None


def moved(job: Job, state: JobState, **changes: object) -> Job:
    """The job in its next state. Staying where it is is always allowed, so that a step can run again."""
    if state is not job.state and state not in JOB_MOVES[job.state]:
        raise IllegalMove(f"Job {job.id} cannot go from {job.state} to {state}.")
    return replace(job, state=state, **changes)  # type: ignore[arg-type]


def attempt_moved(attempt: Attempt, state: AttemptState, **changes: object) -> Attempt:
    if state is not attempt.state and state not in ATTEMPT_MOVES[attempt.state]:
        raise IllegalMove(f"Attempt {attempt.n} of {attempt.job_id} cannot go from {attempt.state} to {state}.")
    return replace(attempt, state=state, **changes)  # type: ignore[arg-type]


def may_open_attempt(attempts: Sequence[Attempt]) -> bool:
    """Whether one more paid submission may exist: only if each before it was refused, or was repaid by decision."""
    return all(attempt.state is AttemptState.REFUSED or attempt.repaid for attempt in attempts)


def open_attempt(
    job: Job,
    attempts: Sequence[Attempt],
    *,
    provider: str,
    account: str,
    model: str,
    request_hash: str,
    now: datetime,
) -> Attempt:
    """The next attempt of a job, as an intent. Raises IllegalMove when one before it could still be billed."""
    if job.state.final or not may_open_attempt(attempts):
        raise IllegalMove(f"Job {job.id} may not be submitted again: an earlier attempt is not refused.")
    n = len(attempts) + 1
    return Attempt(
        job_id=job.id,
        n=n,
        provider=provider,
        account=account,
        model=model,
        state=AttemptState.INTENT,
        key=f"{job.id}-{n}",
        request_hash=request_hash,
        intent_at=now,
    )


def about_to_send(attempt: Attempt, account: str, now: datetime) -> Attempt:
    """To be durable before the first byte leaves. `account` is who pays: the key may be another than at the intent."""
    return attempt_moved(attempt, AttemptState.SENDING, account=account, sent_at=now)


def accepted(attempt: Attempt, remote: RemoteJob, now: datetime) -> Attempt:
    return attempt_moved(attempt, AttemptState.CREATED, remote=remote, answered_at=now, error=None, error_code=None)


def refused(attempt: Attempt, code: str, words: str, now: datetime) -> Attempt:
    return attempt_moved(
        attempt, AttemptState.REFUSED, answered_at=now, error_code=code, error=words, cost_usd=Decimal(0)
    )


def in_doubt(attempt: Attempt, code: str, words: str) -> Attempt:
    return attempt_moved(attempt, AttemptState.UNKNOWN, error_code=code, error=words)


def ended(attempt: Attempt, cost_usd: Decimal | None, now: datetime, code: str | None = None) -> Attempt:
    return attempt_moved(attempt, AttemptState.ENDED, cost_usd=cost_usd, ended_at=now, error_code=code)


def lost(attempt: Attempt, words: str, now: datetime) -> Attempt:
    if attempt.state is AttemptState.REFUSED:
        raise IllegalMove(f"Attempt {attempt.n} of {attempt.job_id} was refused: there is nothing to lose.")
    return attempt_moved(attempt, AttemptState.LOST, ended_at=now, error_code="lost", error=words)


def accepted_after_all(attempt: Attempt, remote: RemoteJob, now: datetime) -> Attempt:
    """It was taken for refused, and the answer that it was not came late. Nobody follows it; another may be paid."""
    words = f"Accepted as {remote.id}, but the answer came when it was taken for refused."
    return attempt_moved(
        attempt,
        AttemptState.LOST,
        remote=remote,
        cost_usd=None,
        repaid=True,
        ended_at=now,
        error_code="accepted_too_late",
        error=words,
    )


def total_cost(attempts: Sequence[Attempt]) -> Decimal | None:
    """What a job cost: the sum over its attempts; None as soon as one that may have been billed is unknown."""
    costs = [attempt.cost_usd for attempt in attempts if attempt.state is not AttemptState.INTENT]
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None


class Next(StrEnum):
    """What a worker has to do for a job, from what the ledger says. This is all that a restart needs to know."""

    OPEN = "open"  # no attempt that counts: open one
    SEND = "send"  # an intent: nothing has left yet
    SETTLE = "settle"  # doubt: ask the provider before anything else
    WAIT = "wait"
    DOWNLOAD = "download"
    LATER = "later"  # put back into the queue: whoever works takes it on again when its time has come
    NOTHING = "nothing"  # final, or waiting for a person


def next_for(job: Job, attempts: Sequence[Attempt]) -> Next:
    """Decide what comes next. Pure."""
    if job.state.final or job.state is JobState.NEEDS_ATTENTION:
        return Next.NOTHING
    if job.state in (JobState.DOWNLOADING, JobState.FINISHING):
        return Next.DOWNLOAD
    last = attempts[-1] if attempts else None
    if last is None or last.state is AttemptState.REFUSED or last.repaid:
        return Next.OPEN
    if last.state is AttemptState.INTENT:
        return Next.SEND
    if last.in_doubt:
        return Next.SETTLE
    return Next.WAIT


def deadline(now: datetime, model_deadline_s: float | None) -> datetime:
    return now + timedelta(seconds=min(model_deadline_s or DEFAULT_DEADLINE_S, DEFAULT_DEADLINE_S))


def check_attempts(attempts: Sequence[Attempt]) -> None:
    """Raise IllegalMove if a job's attempts break the money rule. Used by tests and by the doctor."""
    for before, after in pairwise(attempts):
        if not (before.state is AttemptState.REFUSED or before.repaid):
            raise IllegalMove(f"Attempt {after.n} of {after.job_id} exists although {before.n} is {before.state}.")

"""What came of a create, written down: accepted, refused, or in doubt.

The only writers of an attempt's answer. A refusal is written with the decision that follows from it, so that a
restart finds both or neither.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rushes.errors import RateLimited, Unreachable
from rushes.jobs import ledger, store
from rushes.jobs.ledger import Attempt, AttemptState, Job, JobState
from rushes.jobs.routes import has_next, rerouted
from rushes.jobs.services import Case, Services, end_job
from rushes.providers.base import RemoteJob
from rushes.video import Failure

NEVER_ACCEPTED = "never_accepted"
DUPLICATE_ID = "duplicate_id"
UNREACHABLE_TRIES = 5
RATE_LIMITED_TRIES = 30
RATE_LIMITED_TRIES_OF_SEVERAL = 3
PATIENCE_OF_SEVERAL_S = 10.0
RESUBMITS = 8
LONGEST_WAIT_S = 60.0
LONGEST_ASKED_S = 3600.0


@dataclass(frozen=True, slots=True)
class TryAgain:
    after_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    failure: Failure


def after_refusal(refusals: list[Attempt], retry_after_s: float | None, *, others: bool = False) -> TryAgain | GiveUp:
    """What to do when the newest attempt was provably refused. Pure.

    Too many requests and no connection pass by themselves; any other refusal would only be repeated. Where there are
    `others` to turn to, less patience is shown.
    """
    last = refusals[-1]
    alike = sum(1 for attempt in refusals if attempt.error_code == last.error_code)
    limits = {
        RateLimited.code: RATE_LIMITED_TRIES_OF_SEVERAL if others else RATE_LIMITED_TRIES,
        Unreachable.code: 1 if others else UNREACHABLE_TRIES,
        NEVER_ACCEPTED: RESUBMITS,
    }
    asked_s = min(retry_after_s or 0.0, LONGEST_ASKED_S)
    if alike >= limits.get(last.error_code or "", 1) or (others and asked_s > PATIENCE_OF_SEVERAL_S):
        return GiveUp(Failure(last.error_code or "rejected", last.error or "The provider refused the request."))
    if last.error_code == NEVER_ACCEPTED:
        return TryAgain(0.0)
    backoff = min(LONGEST_WAIT_S, 1.0 * 2 ** (alike - 1))
    return TryAgain(max(backoff, asked_s))


async def accept(s: Services, case: Case, attempt: Attempt, remote: RemoteJob) -> bool:
    """Record that the provider has the job. False when another attempt already owns that remote id."""
    now = s.now()
    created = ledger.accepted(attempt, remote, now)

    def work(connection: sa.Connection) -> None:
        store.save_attempt(connection, created)
        store.save_job(connection, ledger.moved(case.job, JobState.IN_PROGRESS, trouble=None))
        store.insert_event(connection, case.job.id, "accepted", now, attempt=attempt.n, remote_id=remote.id)

    try:
        await s.db.write(work)
    except IntegrityError:
        words = f"The provider answered with {remote.id}, which already belongs to another job."
        await note_doubt(s, case, attempt, DUPLICATE_ID, words)
        return False
    return True


async def note_doubt(s: Services, case: Case, attempt: Attempt, code: str, words: str) -> None:
    """Record that nobody here knows whether the provider accepted."""
    unknown = ledger.in_doubt(attempt, code, words)

    def work(connection: sa.Connection) -> None:
        store.save_attempt(connection, unknown)
        store.insert_event(connection, case.job.id, "doubt", s.now(), attempt=attempt.n, message=words)

    await s.db.write(work)


async def note_refusal(
    s: Services,
    case: Case,
    attempt: Attempt,
    code: str,
    words: str,
    retry_after_s: float | None = None,
    *,
    final: bool = False,
) -> float:
    """Record a proven refusal, and end the job, leave it ready for its next attempt, or for its next route.

    Returns how long to wait before the next attempt. Not waited here: this is called where nothing can interrupt it.
    """
    now = s.now()
    refused = ledger.refused(attempt, code, words, now)
    attempts = case.with_attempt(refused)
    others = has_next(case.job) and not final
    here = [a for a in attempts if a.state is AttemptState.REFUSED and a.model == attempt.model]
    decision = GiveUp(Failure(code, words)) if final else after_refusal(here, retry_after_s, others=others)

    def work(connection: sa.Connection) -> None:
        store.save_attempt(connection, refused)
        store.insert_event(connection, case.job.id, "refused", now, attempt=attempt.n, code=code, message=words)
        if isinstance(decision, GiveUp) and others:
            take_next_route(connection, case.job, words, now)
        elif isinstance(decision, GiveUp):
            cost = ledger.total_cost(attempts)
            end_job(connection, case.job, JobState.FAILED, cost, now, failure=decision.failure)
        else:
            store.save_job(connection, ledger.moved(case.job, JobState.QUEUED, trouble=words))

    await s.db.write(work)
    s.reached("attempt.refused")
    return decision.after_s if isinstance(decision, TryAgain) else 0.0


def take_next_route(connection: sa.Connection, job: Job, why: str, now: datetime) -> None:
    """Leave a job of which nothing was accepted ready to be tried on its next route."""
    turned = rerouted(job, why)
    store.save_job(connection, turned)
    store.insert_event(connection, job.id, "rerouted", now, model=turned.model, message=why)

"""What came of a create, written down: accepted, refused, or in doubt.

The only writers of an attempt's answer. A refusal is written with the decision that follows from it, so that a
restart finds both or neither.
"""

from dataclasses import dataclass

import anyio
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rushes.errors import RateLimited, Unreachable
from rushes.jobs import ledger, store
from rushes.jobs.ledger import Attempt, AttemptState, JobState
from rushes.jobs.services import Case, Services, end_job
from rushes.providers.base import RemoteJob
from rushes.video import Failure

NEVER_ACCEPTED = "never_accepted"
DUPLICATE_ID = "duplicate_id"
UNREACHABLE_TRIES = 5
RATE_LIMITED_TRIES = 30
RESUBMITS = 8
LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class TryAgain:
    after_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    failure: Failure


def after_refusal(refusals: list[Attempt], retry_after_s: float | None) -> TryAgain | GiveUp:
    """What to do when the newest attempt was provably refused. Pure.

    Too many requests and no connection pass by themselves; any other refusal would only be repeated.
    """
    last = refusals[-1]
    alike = sum(1 for attempt in refusals if attempt.error_code == last.error_code)
    limits = {
        RateLimited.code: RATE_LIMITED_TRIES,
        Unreachable.code: UNREACHABLE_TRIES,
        NEVER_ACCEPTED: RESUBMITS,
    }
    if alike >= limits.get(last.error_code or "", 1):
        return GiveUp(Failure(last.error_code or "rejected", last.error or "The provider refused the request."))
    if last.error_code == NEVER_ACCEPTED:
        return TryAgain(0.0)
    backoff = min(LONGEST_WAIT_S, 1.0 * 2 ** (alike - 1))
    return TryAgain(max(backoff, min(retry_after_s or 0.0, 3600.0)))


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
) -> None:
    """Record a proven refusal, and either end the job or leave it ready for its next attempt."""
    now = s.now()
    refused = ledger.refused(attempt, code, words, now)
    attempts = case.with_attempt(refused)
    decision = after_refusal([a for a in attempts if a.state is AttemptState.REFUSED], retry_after_s)
    if final:
        decision = GiveUp(Failure(code, words))

    def work(connection: sa.Connection) -> None:
        store.save_attempt(connection, refused)
        store.insert_event(connection, case.job.id, "refused", now, attempt=attempt.n, code=code, message=words)
        if isinstance(decision, GiveUp):
            cost = ledger.total_cost(attempts)
            end_job(connection, case.job, JobState.FAILED, cost, now, failure=decision.failure)
        else:
            store.save_job(connection, ledger.moved(case.job, JobState.QUEUED, trouble=words))

    await s.db.write(work)
    s.reached("attempt.refused")
    if isinstance(decision, TryAgain):
        await anyio.sleep(decision.after_s)

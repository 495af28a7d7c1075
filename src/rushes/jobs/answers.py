"""What came of a create, written down: accepted, refused, or in doubt.

The only writers of an attempt's answer. A refusal is written with the decision that follows from it, so that a
restart finds both or neither.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

import anyio
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rushes.errors import InputAway, OverBudget, RateLimited, RushesError, Unreachable
from rushes.jobs import budget, claims, lanes, ledger, purse, store
from rushes.jobs.ledger import Attempt, AttemptState, IllegalMove, Job, JobState
from rushes.jobs.routes import has_next, rerouted
from rushes.jobs.services import Case, PutBack, Services, end_job
from rushes.providers.terms import RemoteJob
from rushes.video import Failure, ModelId

log = logging.getLogger(__name__)

T = TypeVar("T")

NEVER_ACCEPTED = "never_accepted"
DUPLICATE_ID = "duplicate_id"
RESTORED = "restored"
"""Put in doubt after a restore: it may have left at any time since `sent_at`."""
UNREACHABLE_TRIES = 5
RATE_LIMITED_TRIES = 30
RATE_LIMITED_PATIENCE_S = 6 * 3600.0
"""Neither fewer tries nor a shorter time ends a job that has come at a bad moment."""
RATE_LIMITED_TRIES_OF_SEVERAL = 3
PATIENCE_OF_SEVERAL_S = 10.0
RESUBMITS = 8
LONGEST_WAIT_S = 60.0
LONGEST_ASKED_S = 3600.0
PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0


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
    alike = [attempt for attempt in refusals if attempt.error_code == last.error_code]
    asked_s = min(retry_after_s or 0.0, LONGEST_ASKED_S)
    if _enough(alike, others=others) or (others and asked_s > PATIENCE_OF_SEVERAL_S):
        return GiveUp(Failure(last.error_code or "rejected", last.error or "The provider refused the request."))
    if last.error_code == NEVER_ACCEPTED:
        return TryAgain(0.0)
    backoff = min(LONGEST_WAIT_S, 1.0 * 2 ** min(len(alike) - 1, 10))
    return TryAgain(max(backoff, asked_s))


def _enough(alike: list[Attempt], *, others: bool) -> bool:
    """Whether refusals of one kind will not pass any more."""
    limits = {
        RateLimited.code: RATE_LIMITED_TRIES_OF_SEVERAL if others else RATE_LIMITED_TRIES,
        Unreachable.code: 1 if others else UNREACHABLE_TRIES,
        NEVER_ACCEPTED: RESUBMITS,
    }
    if alike[-1].error_code == InputAway.code:
        return False  # our own store is out of reach: nothing was sent, and the far side has nothing against it
    if len(alike) < limits.get(alike[-1].error_code or "", 1):
        return False
    if alike[-1].error_code != RateLimited.code or others:
        return True
    # One job of many may meet every refusal while the others run: that says nothing against it.
    return alike[-1].intent_at - alike[0].intent_at >= timedelta(seconds=RATE_LIMITED_PATIENCE_S)


async def accept(s: Services, case: Case, attempt: Attempt, remote: RemoteJob) -> bool:
    """Record that the provider has the job. False when another attempt already owns that remote id.

    That is a fact and no decision, so it is written whoever holds the job by now, and it is not given up while the
    database is away: nobody else knows the remote id.
    """
    now = s.now()

    def work(connection: sa.Connection) -> None:
        attempts = store.attempts_of(connection, case.job.id)
        # Not what we remember: it may have been paid again, or priced by a person, while the answer was on its way.
        said = attempts[attempt.n - 1]
        if said.remote is not None and said.remote.id != remote.id:
            raise IllegalMove(f"Attempt {attempt.n} of {case.job.id} is {said.remote.id} by now, not {remote.id}.")
        if said.state in (AttemptState.ENDED, AttemptState.LOST) and said.remote is not None:
            return
        store.save_attempt(connection, ledger.accepted(said, remote, now))
        job = store.job_by_id(connection, case.job.id)
        goes_on = attempt.n == len(attempts) and not said.repaid
        if goes_on and job is not None and job.state in (JobState.SUBMITTING, JobState.NEEDS_ATTENTION):
            store.save_job(connection, ledger.moved(job, JobState.IN_PROGRESS, trouble=None))
        store.insert_event(connection, case.job.id, "accepted", now, attempt=attempt.n, remote_id=remote.id)

    try:
        await written(s, work)
    except IntegrityError:
        words = f"The provider answered with {remote.id}, which already belongs to another job."
        await note_doubt(s, case, attempt, DUPLICATE_ID, words)
        return False
    except IllegalMove:
        # Another worker had taken this one for dead, and found no such job at the provider. Nothing undoes a payment,
        # but it must not stay unseen.
        log.error("attempt.accepted_too_late", extra={"attempt": attempt.n, "remote_id": remote.id})
        await written(s, lambda connection: _book_late_answer(connection, attempt, remote, now))
        return False
    return True


def _book_late_answer(connection: sa.Connection, attempt: Attempt, remote: RemoteJob, now: datetime) -> None:
    """What was taken for refused was charged: its price is held again until a person says what it cost."""
    job, said = (
        store.job_by_id(connection, attempt.job_id),
        store.attempts_of(connection, attempt.job_id)[attempt.n - 1],
    )
    assert job is not None
    if said.state is AttemptState.REFUSED:
        store.save_attempt(connection, ledger.accepted_after_all(said, remote, now))
        purse.hold_again(connection, job, said, now)
        if job.state.final:
            cost = ledger.total_cost(store.attempts_of(connection, job.id))
            store.save_job(connection, replace(job, cost_usd=cost))
    store.insert_event(connection, job.id, "accepted_too_late", now, attempt=attempt.n, remote_id=remote.id)


async def written(s: Services, work: Callable[[sa.Connection], T]) -> T:
    """Write what must not be lost, and try again while the database is away or its disk is full."""
    pause_s = PAUSE_S
    while True:
        try:
            return await s.db.write(work)
        except RushesError as error:
            if not error.retryable:
                raise
            log.error("ledger.away", extra={"cause": str(error)})
        await anyio.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)


async def note_doubt(s: Services, case: Case, attempt: Attempt, code: str, words: str) -> None:
    """Record that nobody here knows whether the provider accepted."""
    unknown = ledger.in_doubt(attempt, code, words)

    def work(connection: sa.Connection) -> None:
        store.held_state(connection, case.job)
        store.save_attempt(connection, unknown)
        store.insert_event(connection, case.job.id, "doubt", s.now(), attempt=attempt.n, message=words)

    await written(s, work)


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
    """Record a proven refusal, and end the job, or leave it ready for its next attempt, or for its next route.

    Raises PutBack where that has to wait: the job is in the queue again, for whichever worker has room then.
    """
    now = s.now()
    refused = ledger.refused(attempt, code, words, now)
    attempts = case.with_attempt(refused)
    others = has_next(case.job) and not final
    here = [a for a in attempts if a.state is AttemptState.REFUSED and a.model == attempt.model]
    decision = GiveUp(Failure(code, words)) if final else after_refusal(here, retry_after_s, others=others)

    def work(connection: sa.Connection) -> bool:
        store.save_attempt(connection, refused)
        store.insert_event(connection, case.job.id, "refused", now, attempt=attempt.n, code=code, message=words)
        if code == RateLimited.code:
            lanes.note_refusal(connection, attempt.provider, retry_after_s, now, sent_at=attempt.sent_at)
        if isinstance(decision, TryAgain):
            again = now + timedelta(seconds=decision.after_s) if decision.after_s else None
            store.save_job(connection, ledger.moved(case.job, JobState.QUEUED, trouble=words, not_before=again))
            if again is not None:
                claims.release(connection, case.job)
            return again is not None
        if others:
            return take_next_route(s, connection, case.job, words, now)
        end_job(connection, case.job, JobState.FAILED, ledger.total_cost(attempts), now, failure=decision.failure)
        return False

    put_back = await written(s, work)
    s.reached("attempt.refused")
    if put_back:
        raise PutBack


def take_next_route(s: Services, connection: sa.Connection, job: Job, why: str, now: datetime) -> bool:
    """Put a job of which nothing was accepted into the queue of its next route, with its money. False if it ended.

    A route whose provider has no budget left for it is passed over. If there is no other, the job has failed: its day's
    budget does not grow, and the routes before were refused.
    """
    turned = job
    while has_next(turned):
        turned = rerouted(turned, why)
        provider = ModelId.parse(turned.model).provider
        try:
            purse.turn(connection, turned, budget.configured(s.registry.settings, provider), now)
        except OverBudget as error:
            why = f"{why} {turned.model} was left out: {error}"
            continue
        store.save_job(connection, turned)
        claims.release(connection, job)  # its lane may be full: it waits there like all others
        store.insert_event(connection, job.id, "rerouted", now, model=turned.model, message=why)
        return True
    cost = ledger.total_cost(store.attempts_of(connection, job.id))
    end_job(connection, job, JobState.FAILED, cost, now, failure=Failure(OverBudget.code, why))
    return False

"""Looking at a running job, and writing down its end. When to look is `waiting.py`'s affair.

A failed look is never a reason to buy again and never ends a paid job: it is repeated, at a slower pace. Whoever
begins to look anew, after a crash, loses nothing but a look.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from statistics import median

import sqlalchemy as sa

from rushes.errors import ConfigError, Gone, ProviderError, RequestError, Vanished
from rushes.jobs import ledger, store
from rushes.jobs.ledger import JobState, Next
from rushes.jobs.polling import Pace, guessed_percent
from rushes.jobs.services import Case, Services, end_job
from rushes.providers.base import Provider
from rushes.providers.refusals import MODERATION_CODES, redacted
from rushes.telemetry import span
from rushes.video import Failure, Progress, Status

log = logging.getLogger(__name__)

LOST_AFTER_LOOKS = 8
LOST_AFTER_S = 120.0
"""A job that the far side does not know this often and for this long is lost; a single 404 is a hiccup."""


@dataclass(slots=True)
class Watch:
    """What a wait remembers between looks. Small: there may be ten thousand."""

    provider: str  # the name it is configured under
    model: str
    since: datetime
    pace: Pace
    missing_since_s: float | None = None
    missing_looks: int = 0
    cancel_asked: bool = False


async def begin(s: Services, job_id: str) -> Watch | Next:
    """How a job is to be looked at; or what comes next instead, if nothing of it runs on the far side.

    Raises PutBack if it cannot be looked at from here.
    """
    case = await s.load(job_id)
    if (step := ledger.next_for(case.job, case.attempts)) is not Next.WAIT:
        return step
    provider = await s.ready_provider(case)
    fixed_ms = provider.context.section.poll_interval_ms
    pace = Pace(
        elapsed_s=_elapsed_s(s, case),
        fixed_s=fixed_ms / 1000 if fixed_ms else None,
        least_s=0.0 if fixed_ms else provider.promises.poll_least_s,
    )
    return Watch(provider=provider.context.name, model=case.job.model, since=s.now(), pace=pace)


async def look(s: Services, job_id: str, watch: Watch) -> Next:
    """Look once, and write down an end. WAIT: it goes on, and `watch.pace` tells when to look again.

    Raises PutBack if it cannot be looked at from here any more.
    """
    case = await s.load(job_id)
    if (step := ledger.next_for(case.job, case.attempts)) is not Next.WAIT:
        return step
    provider = await s.ready_provider(case)
    elapsed_s = _elapsed_s(s, case)
    watch.pace = replace(watch.pace, elapsed_s=elapsed_s)
    if case.job.cancel_requested and not watch.cancel_asked:
        stopped = await _cancel(s, case, provider)
        watch.cancel_asked = stopped is not None
        if stopped:
            return Next.NOTHING
    with span("look", job_id):
        progress = await _look(s, case, provider, watch)
    if progress is None:
        if not _is_lost(watch, elapsed_s, _lost_after_s(case, provider)):
            return Next.WAIT
        await _lose(s, case)
        return Next.NOTHING
    if progress.status is Status.COMPLETED:
        await _ended_with_video(s, case, provider, progress)
        return Next.DOWNLOAD
    if progress.status is Status.FAILED:
        await _ended_without_video(s, case, provider, progress)
        return Next.NOTHING
    await _note_progress(s, case, progress, _typical_s(s, case, watch))
    return Next.WAIT


async def _look(s: Services, case: Case, provider: Provider, watched: Watch) -> Progress | None:
    """One look; None when it failed."""
    assert case.last.remote is not None
    pace = watched.pace
    try:
        progress = await provider.poll(case.last.remote)
    except (Vanished, Gone) as error:
        watched.missing_looks += 1
        if watched.missing_since_s is None:
            watched.missing_since_s = pace.elapsed_s
        failed: ProviderError = error
    except ProviderError as error:
        failed = error
    else:
        watched.missing_since_s, watched.missing_looks = None, 0
        watched.pace = replace(
            pace,
            looks=pace.looks + 1,
            percent=progress.percent,
            percent_at_s=pace.percent_at_s if progress.percent == pace.percent else _elapsed_s(s, case),
            poll_after_s=progress.poll_after_s,
            troubles=0,
            retry_after_s=None,
        )
        s.reached("poll.answered")
        return progress
    watched.pace = replace(pace, troubles=pace.troubles + 1, retry_after_s=failed.retry_after_s)
    await s.set_trouble(case.job, f"Looking again soon: {failed}")
    return None


def _elapsed_s(s: Services, case: Case) -> float:
    answered_at = case.last.answered_at or s.now()
    return max(0.0, (s.now() - answered_at).total_seconds())


def _is_lost(watched: Watch, elapsed_s: float, after_s: float) -> bool:
    since = watched.missing_since_s
    return since is not None and watched.missing_looks >= LOST_AFTER_LOOKS and elapsed_s - since >= after_s


def _lost_after_s(case: Case, provider: Provider) -> float:
    """Another key than the one that paid may not see the job, and proves little: the right one may come back."""
    return LOST_AFTER_S if provider.account == case.last.account else provider.promises.horizon_s


def _typical_s(s: Services, case: Case, watch: Watch) -> float | None:
    """How long such a job takes: as those before it did, else as the table says. None: nobody knows."""
    if watch.pace.history_s:
        return median(watch.pace.history_s)
    try:
        return s.registry.model(case.model_id).typical_s
    except (ConfigError, RequestError):
        return None  # it has left the settings meanwhile


async def _note_progress(s: Services, case: Case, progress: Progress, typical_s: float | None) -> None:
    told = progress.percent
    if told is None and progress.status is Status.IN_PROGRESS:
        told = guessed_percent(_elapsed_s(s, case), typical_s)
    percent = max(case.job.percent, min(99.0, told or 0.0))
    if int(percent) == int(case.job.percent) and case.job.trouble is None:
        return
    changed = replace(case.job, percent=percent, trouble=None)
    guessed = {"guessed": True} if progress.percent is None else {}

    def work(connection: sa.Connection) -> None:
        store.save_job(connection, changed)
        store.insert_event(connection, changed.id, "progress", s.now(), percent=round(percent, 1), **guessed)

    await s.db.write(work)


async def _ended_with_video(s: Services, case: Case, provider: Provider, progress: Progress) -> None:
    """The far side is done and the money is spent: from here on only files move."""
    now = s.now()
    cost = _cost(s, case, provider, progress)
    remote = case.last.remote
    if remote is not None and progress.expires_at is not None:
        remote = replace(remote, expires_at=progress.expires_at)
    done = replace(ledger.ended(case.last, cost, now), remote=remote)

    def work(connection: sa.Connection) -> None:
        store.save_attempt(connection, done)
        costs = ledger.total_cost(case.with_attempt(done))
        moved = ledger.moved(case.job, JobState.DOWNLOADING, percent=100.0, trouble=None, cost_usd=costs)
        store.save_job(connection, moved)
        store.insert_event(connection, case.job.id, "rendered", now, cost_usd=None if cost is None else str(cost))

    await s.db.write(work)
    s.reached("job.rendered")


def _cost(s: Services, case: Case, provider: Provider, progress: Progress) -> Decimal | None:
    """What the attempt cost; by the estimate where the model has left the settings while its job was running."""
    try:
        model = s.registry.model(case.model_id)
    except (ConfigError, RequestError):
        return progress.billed_usd if progress.billed_usd is not None else case.prepared.estimate_usd
    return provider.cost(model, case.prepared, progress)


async def _ended_without_video(s: Services, case: Case, provider: Provider, progress: Progress) -> None:
    now = s.now()
    failure = progress.failure or Failure("internal_error", "The provider gave no reason.")
    failure = failure._replace(message=redacted(failure.message, provider.key))
    cost: Decimal | None = progress.billed_usd if progress.billed_usd is not None else Decimal(0)
    moderated = failure.code.lower() in MODERATION_CODES
    if progress.billed or (moderated and provider.promises.moderated_is_billed):
        cost = _cost(s, case, provider, progress)
    done = ledger.ended(case.last, cost, now, failure.code)

    def work(connection: sa.Connection) -> None:
        store.save_attempt(connection, done)
        end_job(connection, case.job, JobState.FAILED, ledger.total_cost(case.with_attempt(done)), now, failure=failure)

    await s.db.write(work)


async def _lose(s: Services, case: Case) -> None:
    now = s.now()
    words = (
        f"{case.last.provider} no longer knows the job {case.last.remote.id if case.last.remote else ''}. "
        f"It may have been billed. To buy it again: rushes jobs retry {case.job.id}"
    )
    gone = ledger.lost(case.last, words, now)

    def work(connection: sa.Connection) -> None:
        store.save_attempt(connection, gone)
        cost = ledger.total_cost(case.with_attempt(gone))
        end_job(connection, case.job, JobState.FAILED, cost, now, failure=Failure("lost", words))

    await s.db.write(work)


async def _cancel(s: Services, case: Case, provider: Provider) -> bool | None:
    """Pass the wish on. True: it is over. False: it cannot be stopped, and goes on. None: it is to be tried again."""
    assert case.last.remote is not None
    try:
        stopped = provider.promises.cancels and await provider.cancel(case.last.remote)
        words = "" if stopped else f"{provider.label} cannot stop it; it will be paid for, and fetched."
    except ProviderError as error:
        words = f"The wish to cancel did not get through: {error}"
        if error.retryable:
            await s.set_trouble(case.job, words)
            return None
        stopped = False
    now = s.now()
    if not stopped:
        await s.db.write(
            lambda connection: store.insert_event(connection, case.job.id, "cancel_refused", now, message=words)
        )
        return False
    done = ledger.ended(case.last, Decimal(0), now, "cancelled")

    def work(connection: sa.Connection) -> None:
        store.save_attempt(connection, done)
        end_job(connection, case.job, JobState.CANCELLED, ledger.total_cost(case.with_attempt(done)), now)

    await s.db.write(work)
    return True

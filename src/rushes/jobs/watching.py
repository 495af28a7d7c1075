"""The step that waits: looks at a running job until the far side is done with it.

A failed look is never a reason to buy again and never ends a paid job: it is repeated, at a slower pace. Running
this step a second time costs nothing but a look.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

import anyio
import sqlalchemy as sa

from rushes.errors import ConfigError, Gone, ProviderError, RequestError, Vanished
from rushes.jobs import ledger, store
from rushes.jobs.ledger import JobState, Next
from rushes.jobs.polling import Pace, next_look_s
from rushes.jobs.services import Case, Services, end_job
from rushes.providers.base import MODERATION_CODES, Provider
from rushes.video import Failure, Progress, Status

log = logging.getLogger(__name__)

LOST_AFTER_LOOKS = 8
LOST_AFTER_S = 120.0
"""A job that the far side does not know this often and for this long is lost; a single 404 is a hiccup."""


@dataclass(slots=True)
class Hints:
    """Wakes sleepers: something outside may have changed a job (a cancel wish; later, a provider's webhook)."""

    _events: dict[str, anyio.Event] = field(default_factory=dict[str, anyio.Event])

    def give(self, job_id: str) -> None:
        if event := self._events.get(job_id):
            event.set()

    async def sleep(self, job_id: str, seconds: float) -> None:
        """Sleep, but not beyond a hint."""
        event = self._events[job_id] = anyio.Event()
        try:
            with anyio.move_on_after(seconds):
                await event.wait()
        finally:
            self._events.pop(job_id, None)


@dataclass(slots=True)
class _Watch:
    """What one wait remembers between looks."""

    pace: Pace
    missing_since_s: float | None = None
    missing_looks: int = 0
    cancel_asked: bool = False


async def watch(s: Services, hints: Hints, turn: Callable[[str], anyio.CapacityLimiter], job_id: str) -> Next:
    """Wait until the far side is done. Returns DOWNLOAD, or NOTHING if the job ended without a video."""
    case = await s.load(job_id)
    if (step := ledger.next_for(case.job, case.attempts)) is not Next.WAIT:
        return step
    provider = s.provider_of(case)
    fixed_ms = provider.context.section.poll_interval_ms
    history = await s.db.read(lambda connection: store.durations_s(connection, case.job.model))
    watched = _Watch(Pace(elapsed_s=0.0, history_s=history, fixed_s=fixed_ms / 1000 if fixed_ms else None))
    while True:
        elapsed_s = _elapsed_s(s, case)
        watched.pace = replace(watched.pace, elapsed_s=elapsed_s)
        await hints.sleep(job_id, next_look_s(watched.pace))
        case = await s.load(job_id)
        if case.job.cancel_requested and not watched.cancel_asked:
            watched.cancel_asked = True
            if await _cancel(s, case, provider):
                return Next.NOTHING
        async with turn(provider.context.name):
            progress = await _look(s, case, provider, watched)
        if progress is None:
            if _is_lost(watched, elapsed_s, _lost_after_s(case, provider)):
                await _lose(s, case)
                return Next.NOTHING
            continue
        if progress.status is Status.COMPLETED:
            await _ended_with_video(s, case, provider, progress)
            return Next.DOWNLOAD
        if progress.status is Status.FAILED:
            await _ended_without_video(s, case, provider, progress)
            return Next.NOTHING
        await _note_progress(s, case, progress)


async def _look(s: Services, case: Case, provider: Provider, watched: _Watch) -> Progress | None:
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


def _is_lost(watched: _Watch, elapsed_s: float, after_s: float) -> bool:
    since = watched.missing_since_s
    return since is not None and watched.missing_looks >= LOST_AFTER_LOOKS and elapsed_s - since >= after_s


def _lost_after_s(case: Case, provider: Provider) -> float:
    """Another key than the one that paid may not see the job, and proves little: the right one may come back."""
    return LOST_AFTER_S if provider.account == case.last.account else provider.promises.horizon_s


async def _note_progress(s: Services, case: Case, progress: Progress) -> None:
    percent = max(case.job.percent, min(99.0, progress.percent or 0.0))
    if int(percent) == int(case.job.percent) and case.job.trouble is None:
        return
    changed = replace(case.job, percent=percent, trouble=None)

    def work(connection: sa.Connection) -> None:
        store.save_job(connection, changed)
        store.insert_event(connection, changed.id, "progress", s.now(), percent=round(percent, 1))

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
    cost: Decimal | None = progress.billed_usd if progress.billed_usd is not None else Decimal(0)
    if failure.code.lower() in MODERATION_CODES and provider.promises.moderated_is_billed:
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


async def _cancel(s: Services, case: Case, provider: Provider) -> bool:
    """Pass the wish on. True if the job is over; False if it goes on, because it cannot be stopped."""
    assert case.last.remote is not None
    try:
        stopped = provider.promises.cancels and await provider.cancel(case.last.remote)
        words = "" if stopped else f"{provider.label} cannot stop it; it will be paid for, and fetched."
    except ProviderError as error:
        stopped, words = False, f"The wish to cancel did not get through: {error}"
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

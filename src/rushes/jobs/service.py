"""Jobs: the one service behind the command line, the Python API and every server.

Admitting a job is one transaction: the row, the ids of its videos, its hold. The committed row *is* the submission;
whoever works finds it. Nothing in here talks to a provider; that is the worker's part.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import anyio
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rushes.errors import (
    Conflict,
    DatabaseAway,
    JobFailed,
    NeedsAttention,
    NotFound,
    OverBudget,
    RushesError,
    TimedOut,
)
from rushes.jobs import budget, ledger, purse, reconcile, shelf, store
from rushes.jobs.admission import Admission, Desk, Order
from rushes.jobs.codec import options_from_json, prepared_from_json
from rushes.jobs.events import Changes
from rushes.jobs.ledger import Attempt, AttemptState, IllegalMove, Job, JobState, LostClaim
from rushes.jobs.polling import bar_percent
from rushes.jobs.routes import routes_of
from rushes.jobs.services import Case, Services, end_job
from rushes.jobs.shelf import VideoRow
from rushes.jobs.store import Event, Filter
from rushes.media.store import SPRITESHEET, THUMBNAIL, video_key, video_prefix
from rushes.providers.terms import RemoteJob
from rushes.video import Adjustment, Failure, ModelId, Status, Video, ledger_id, new_video_id, video_uuid

LOOK_AGAIN_S = 2.0
"""A net: whatever happens to a job is told as an event."""
AWAY_PATIENCE_S = 1800.0
"""How long a wait outlives a database that cannot be asked: long enough for a server to be restarted or moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A job at one moment, as people are shown it."""

    id: str
    state: JobState
    status: Status
    percent: float  # one bar for the whole job, 0 to 100, never backwards
    model: ModelId
    asked_model: str
    prompt: str
    created_at: datetime
    completed_at: datetime | None
    estimate_usd: Decimal | None
    cost_usd: Decimal | None
    cached_from: str | None
    trouble: str | None
    failure: Failure | None
    adjustments: tuple[Adjustment, ...]
    deadline: datetime

    @property
    def settled(self) -> bool:
        """Nothing more will happen without a person."""
        return self.state.final or self.state is JobState.NEEDS_ATTENTION


class _Away:
    """How long whoever waits for a job has gone without the database."""

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id
        self._since: float | None = None
        self._words = ""

    def bear(self, error: RushesError) -> str:
        """What the first error said, so that it is told once. Raises what cannot pass, or has not for too long."""
        if not error.retryable:
            raise error
        now = anyio.current_time()
        if self._since is None:
            self._since, self._words = now, str(error)
        if now - self._since > AWAY_PATIENCE_S:
            raise DatabaseAway(f"{error} The job is kept: rushes jobs wait {self._job_id}") from error
        return self._words

    def over(self) -> None:
        self._since = None


class Jobs:
    """Submit, watch and decide about durable jobs."""

    def __init__(self, services: Services, changes: Changes) -> None:
        self._s = services
        self._changes = changes
        self._desk = Desk(services)

    # -- admit -------------------------------------------------------------------------------------

    async def submit(self, order: Order) -> Admission:
        """Admit one job, durably. An equal open job is joined instead; a finished one may serve."""
        admission = await self._desk.submit(order)
        self._changes.wake()
        return admission

    async def submit_all(self, orders: Sequence[Order]) -> list[Admission]:
        """Admit orders that belong together. Raises OverBudget before any of them if the whole does not fit.

        If the money is taken in between by somebody else, OverBudget says which were admitted and go on.
        """
        if len(orders) > 1:
            await self._desk.check_budgets(orders)
        admissions: list[Admission] = []
        for order in orders:
            try:
                admissions.append(await self.submit(order))
            except OverBudget as error:
                if not admissions:
                    raise
                ids = ", ".join(admission.job_id for admission in admissions)
                admitted = f"{len(admissions)} of {len(orders)} jobs were admitted and go on ({ids})."
                raise OverBudget(f"{admitted} The money for the next was taken meanwhile. {error}") from error
        return admissions

    async def price_now(self, order: Order) -> Decimal | None:
        """What a submit would cost at most at this moment: nothing if it is served or joined. None: unknown."""
        return await self._desk.price_now(order)

    def now(self) -> datetime:
        return self._s.now()

    # -- look --------------------------------------------------------------------------------------

    async def find_id(self, text: str) -> str:
        """The full id of a job or video, from either form of it or an unambiguous beginning. Raises NotFound."""
        try:
            full = f"video_{video_uuid(text).hex}"
        except ValueError:
            full = ""
        prefix = full or (text if text.startswith("video_") else f"video_{text.replace('-', '')}")

        def work(connection: sa.Connection) -> list[str]:
            if full and (row := shelf.video_by_id(connection, full)):
                return [row.job_id]
            return store.job_ids_starting(connection, prefix) if len(prefix) >= len("video_") + 4 else []

        found = await self._s.db.read(work)
        if len(found) > 1:
            raise NotFound(f"{text!r} is the beginning of several ids. Write more of it.")
        if not found:
            raise NotFound(f"There is no job {text!r}. See: rushes jobs list")
        return found[0]

    async def own(self, text: str, owner: str) -> str:
        """The job of a full job or video id, in either form, of this owner. Raises NotFound.

        What is unknown, another owner's or deleted is told in the same words.
        """
        full = ledger_id(text)
        found = await self._s.db.read(lambda connection: store.job_of_owner(connection, full, owner))
        if found is None:
            raise NotFound(f"There is no video {text[:80]!r}.")
        return found

    async def get(self, job_id: str) -> Snapshot:
        job = await self._s.db.read(lambda connection: store.job_by_id(connection, job_id))
        if job is None:
            raise _no_such_job(job_id)
        return self._snapshot(job)

    async def case(self, job_id: str) -> Case:
        """The job with its attempts: everything the ledger knows. Raises NotFound."""
        return await self._case(job_id)

    async def matching(self, wanted: Filter) -> list[Snapshot]:
        rows = await self._s.db.read(lambda connection: store.jobs_matching(connection, wanted))
        return [self._snapshot(job) for job in rows]

    async def events(self, job_id: str | None, after: int = 0) -> list[Event]:
        return await self._s.db.read(lambda connection: store.events_after(connection, after, job_id))

    def _snapshot(self, job: Job) -> Snapshot:
        now = self._s.now()
        return Snapshot(
            id=job.id,
            state=job.state,
            status=job.public_status(now),
            percent=bar_percent(job.state.value, job.percent),
            model=ModelId.parse(job.model),
            asked_model=job.asked_model,
            prompt=job.prompt,
            created_at=job.created_at,
            completed_at=job.completed_at,
            estimate_usd=job.estimate_usd,
            cost_usd=job.cost_usd,
            cached_from=job.cached_from,
            trouble=job.trouble,
            failure=job.public_failure(now),
            adjustments=prepared_from_json(job.prepared_json).adjustments,
            deadline=job.deadline,
        )

    async def watch(self, job_id: str) -> AsyncGenerator[Snapshot]:
        """Snapshots of a job, a new one at each change, until nothing more will happen without a person.

        While the database is away the last one comes once more, with that as its trouble. Raises what the database
        says when it is away for half an hour.
        """
        before: Snapshot | None = None
        away = _Away(job_id)
        with self._changes.following(job_id) as news:
            while True:
                try:
                    snapshot = await self.get(job_id)
                    away.over()
                except RushesError as error:
                    words = away.bear(error)
                    if before is None:
                        await news.wait(LOOK_AGAIN_S)
                        continue
                    snapshot = replace(before, trouble=words)
                if before is not None and snapshot.percent < before.percent:
                    # Neither a resubmission nor a failure turns the bar back.
                    snapshot = replace(snapshot, percent=before.percent)
                if snapshot != before:
                    before = snapshot
                    yield snapshot
                if snapshot.settled:
                    return
                await news.wait(LOOK_AGAIN_S)

    async def wait(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
        on_progress: Callable[[Snapshot], None] | None = None,
    ) -> list[Video]:
        """Wait for the end and return the videos. The job goes on whatever happens to the wait.

        Raises JobFailed, NeedsAttention, or TimedOut after `timeout_s`.
        """
        last: Snapshot | None = None
        with anyio.move_on_after(timeout_s) as scope:
            async for snapshot in self.watch(job_id):
                last = snapshot
                if on_progress is not None:
                    on_progress(snapshot)
        if scope.cancelled_caught or last is None:
            raise TimedOut(f"{job_id} timed out after {timeout_s:g} seconds. It goes on: rushes jobs wait {job_id}")
        if last.state is JobState.NEEDS_ATTENTION and not last.status.final:
            raise NeedsAttention(last.trouble or f"{job_id} needs a decision: rushes jobs show {job_id}")
        if last.state is not JobState.COMPLETED:
            failure = last.failure or Failure("failed", "no reason given")
            raise JobFailed(f"{job_id} failed: {failure.message}", failure_code=failure.code, job_id=job_id)
        away = _Away(job_id)
        while True:
            try:
                return await self.videos(job_id)
            except RushesError as error:
                away.bear(error)
                await anyio.sleep(LOOK_AGAIN_S)

    async def videos(self, job_id: str) -> list[Video]:
        """The finished videos of a job; those whose files are gone come with `path=None`."""

        def work(connection: sa.Connection) -> list[tuple[VideoRow, set[str]]]:
            rows = [row for row in shelf.videos_of(connection, job_id) if row.sha256 is not None]
            return [(row, set(shelf.assets_of(connection, row.id))) for row in rows]

        case = await self._case(job_id)
        return [self._video(case, row, have) for row, have in await self._s.db.read(work)]

    def _video(self, case: Case, row: VideoRow, have: set[str]) -> Video:
        job, media = case.job, self._s.media
        folder = row.stored_under or row.id
        attempt = next((a for a in reversed(case.attempts) if a.remote is not None), None)
        assert row.size and row.sha256 and row.size_bytes is not None and row.seconds is not None
        path = media.local_path(video_key(folder)) if row.in_library else None
        began, done = job.started_at or job.created_at, job.completed_at or job.created_at
        return Video(
            id=row.id,
            job_id=job.id,
            remote_id=attempt.remote.id if attempt and attempt.remote and not job.cached_from else None,
            url=media.url(video_key(folder)),
            path=path if path is not None and path.is_file() else None,
            format=row.format or "mp4",
            size=row.size,
            seconds=row.seconds,
            fps=row.fps or Fraction(24),
            has_audio=bool(row.has_audio),
            sha256=row.sha256,
            size_bytes=row.size_bytes,
            thumbnail=media.local_path(video_key(folder, THUMBNAIL)) if "thumbnail" in have else None,
            spritesheet=media.local_path(video_key(folder, SPRITESHEET)) if "spritesheet" in have else None,
            model=ModelId.parse(job.model),
            prompt=job.prompt,
            cached=job.cached_from is not None,
            cost_usd=job.cost_usd if row.n == 0 else Decimal(0),
            latency_s=0.0 if job.cached_from else (done - began).total_seconds(),
            adjustments=prepared_from_json(job.prepared_json).adjustments,
            created_at=row.created_at or done,
        )

    # -- decide ------------------------------------------------------------------------------------

    async def cancel(self, job_id: str) -> Snapshot:
        """Wish the end of a job. What is already paid for is still fetched. Raises Conflict for a finished one."""
        case = await self._case(job_id)
        if case.job.state.final:
            raise Conflict(f"{job_id} is already {case.job.state}.")
        if case.job.state is JobState.NEEDS_ATTENTION:
            choices = "--adopt REMOTE_ID | --repay | --never-billed"
            raise Conflict(f"{job_id} needs a decision first: rushes jobs resolve {job_id} {choices}")
        now = self._s.now()

        def work(connection: sa.Connection) -> None:
            store.wish_cancel(connection, job_id)
            store.insert_event(connection, job_id, "cancel_requested", now)

        await self._s.db.write(work)
        self._changes.wake()
        return await self.get(job_id)

    async def retry(self, job_id: str) -> Admission:
        """Buy a failed or cancelled job again, as a new job under the same limits, but those of its run: that is over.

        Raises Conflict for any other, and OverBudget.
        """
        case = await self._case(job_id)
        if case.job.state not in (JobState.FAILED, JobState.CANCELLED):
            raise Conflict(f"{job_id} is {case.job.state}; only a failed or cancelled job can be bought again.")
        if any(each.in_doubt and not each.repaid and budget.cost_is_open(each) for each in case.attempts):
            raise Conflict(f"{job_id} may have been accepted. Decide first: rushes jobs resolve {job_id} …")
        options = options_from_json(case.job.options_json)
        return await self.submit(
            Order(
                routes=routes_of(case.job),
                asked_model=case.job.asked_model,
                slot=case.job.slot,
                owner=case.job.owner,
                cache="refresh",
                options=options,
                priority=case.job.priority,
                limits=tuple(limit for limit in options.terms.limits if limit.scope.run is None),
                allow_unknown_price=options.terms.allow_unknown_price,
                tags=tuple(await self._s.db.read(lambda connection: shelf.tags_of(connection, job_id))),
            )
        )

    async def resolve_adopt(self, job_id: str, remote_id: str) -> str:
        """Settle doubt: the provider's job `remote_id` is this one's. Returns the id under which it goes on.

        After the deadline the old id stays failed for good, and a new one, naming it, takes the video.
        """
        case = await self._in_need(job_id)
        now = self._s.now()
        late = case.job.timed_out(now)
        job = case.job
        if late:
            fresh = new_video_id()
            job = replace(case.job, id=fresh, adopted_from=case.job.id, created_at=now, trouble=None)
        remote = RemoteJob(id=remote_id)

        def work(connection: sa.Connection) -> None:
            if late:
                # The money goes with the new id: attempt, hold and cost are that one's from now on.
                left = replace(case.last, repaid=True, cost_usd=Decimal(0), error_code=store.ADOPTED_ELSEWHERE)
                store.save_attempt(connection, left)
                cost, before = ledger.total_cost(case.with_attempt(left)), purse.hold_of(connection, job_id)
                end_job(connection, case.job, JobState.FAILED, cost, now, failure=case.job.public_failure(now))
                store.insert_job(connection, job, [job.id])
                purse.hand_over(connection, before, job, now)
                shelf.add_tags(connection, job.id, shelf.tags_of(connection, case.job.id))
                attempt: Attempt = replace(case.last, job_id=job.id, n=1, key=f"{job.id}-1")
                store.insert_attempt(connection, attempt)
            else:
                attempt = case.last
            store.save_attempt(connection, ledger.accepted(attempt, remote, now))
            store.save_job(connection, ledger.moved(job, JobState.IN_PROGRESS, trouble=None))
            store.insert_event(connection, job.id, "adopted", now, remote_id=remote_id, by="person")

        try:
            await self._s.db.write(work)
        except IntegrityError:
            raise Conflict(f"{remote_id} already belongs to another job of this account.") from None
        except (IllegalMove, LostClaim):
            raise _decided_already(job_id) from None
        self._changes.wake()
        return job.id

    async def resolve_repay(self, job_id: str, *, max_cost_usd: Decimal | None = None) -> str:
        """Settle doubt by paying again, knowing that it may be the second time.

        Raises OverBudget when a limit leaves too little for it; `max_cost_usd` is a new limit for its run.
        """
        case = await self._in_need(job_id)
        if case.job.timed_out(self._s.now()):
            raise Conflict(f"{job_id} is past its deadline and stays failed. Submit it anew instead.")
        try:
            await reconcile.repay(self._s, case, max_cost_usd=max_cost_usd)
        except (IllegalMove, LostClaim):
            raise _decided_already(job_id) from None
        self._changes.wake()
        return job_id

    async def resolve_billed(self, job_id: str, usd: Decimal) -> Snapshot:
        """Say what the attempts of open cost were billed, together; 0: never billed. That ends their hold.

        A job in need of a decision ends with it, as failed. Raises Conflict where nothing is open.
        """
        now = self._s.now()

        def work(connection: sa.Connection) -> None:
            job, attempts = store.job_by_id(connection, job_id), store.attempts_of(connection, job_id)
            if job is None:
                raise _no_such_job(job_id)
            in_need = job.state is JobState.NEEDS_ATTENTION
            still_open = [attempt for attempt in attempts if budget.cost_is_open(attempt)]
            if not (job.state.final or in_need):
                raise Conflict(f"{job_id} is {job.state}: what it costs is settled when it ends.")
            if not still_open:
                raise Conflict(f"{job_id} has no open cost; there is nothing to decide.")
            for n, attempt in enumerate(still_open):
                store.save_attempt(connection, budget.billed(attempt, usd if n == 0 else Decimal(0), now))
            cost = ledger.total_cost(store.attempts_of(connection, job_id))
            store.insert_event(connection, job_id, "billed", now, cost_usd=str(usd), by="person")
            if in_need:
                failure = Failure(
                    "given_up", "Nobody could tell whether the provider accepted it, and it was given up."
                )
                failure = job.public_failure(now) or failure
                end_job(connection, job, JobState.FAILED, cost, now, failure=failure)
            else:
                store.save_job(connection, replace(job, cost_usd=cost))
                purse.settle(connection, job, now)

        await self._s.db.write(work)
        self._changes.wake()
        return await self.get(job_id)

    async def _in_need(self, job_id: str) -> Case:
        case = await self._case(job_id)
        if case.job.state is not JobState.NEEDS_ATTENTION or case.last.state is not AttemptState.UNKNOWN:
            raise Conflict(f"{job_id} is {case.job.state}; there is nothing to decide.")
        return case

    async def delete(self, job_id: str) -> None:
        """Hide a job at once; its files go when nothing else refers to them. An open job is cancelled first."""
        case = await self._case(job_id)
        now = self._s.now()
        rows = await self._s.db.read(lambda connection: shelf.videos_of(connection, job_id))

        def work(connection: sa.Connection) -> list[str]:
            if not case.job.state.final:
                store.wish_cancel(connection, job_id)
            store.hide(connection, job_id, now)
            store.insert_event(connection, job_id, "deleted", now)
            folders = {row.stored_under for row in rows if row.stored_under}
            return [folder for folder in folders if not shelf.users_of_files(connection, folder)]

        for folder in await self._s.db.write(work):
            await self._s.media.delete_all(video_prefix(folder))
        self._changes.wake()

    async def _case(self, job_id: str) -> Case:
        try:
            return await self._s.load(job_id)
        except LookupError:
            raise _no_such_job(job_id) from None


def _decided_already(job_id: str) -> Conflict:
    return Conflict(f"Somebody else has decided about {job_id} meanwhile: rushes jobs show {job_id}")


def _no_such_job(job_id: str) -> NotFound:
    return NotFound(f"There is no job {job_id}. See: rushes jobs list")

"""Who works, and on what: a worker claims jobs, runs the engine on them, and takes over from workers that died.

Everybody may submit, watch and cancel. A worker is whoever has a place (`presence.py`): one process on an SQLite file,
any number on PostgreSQL. In rounds it looks at the ledger for what nobody works on, claims what its provider's lane
has room for, and gives each claimed job a workflow. That is a few queries on a timer, so nothing depends on a message
that could get lost. A process that leaves with jobs open first sees to it that another one works: a paid video whose
link dies in an hour must be fetched.
"""

import logging
import math
import os
import platform
import subprocess
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol
from uuid import uuid4

import anyio
import anyio.to_thread
import sqlalchemy as sa

from rushes.errors import ConfigError, RushesError
from rushes.jobs import claims, hints, lanes, store
from rushes.jobs.claims import WorkerRow
from rushes.jobs.delivery import deliver
from rushes.jobs.events import Changes
from rushes.jobs.ledger import JobState, Next
from rushes.jobs.limits import room
from rushes.jobs.presence import Presence, presence_for
from rushes.jobs.services import PutBack, Services
from rushes.jobs.submission import submit
from rushes.jobs.waiting import Waiting
from rushes.logs import about
from rushes.version import VERSION

if TYPE_CHECKING:
    from rushes.jobs.engine import Engine

log = logging.getLogger(__name__)

RECONCILE_EVERY_S = 1.0
"""How often everything of ours is looked at anew: the wishes, the jobs whose workflow is gone."""
LOOK_FOR_THE_DEAD_EVERY_S = 0.5
SHORTEST_ROUND_S = 0.05
TRY_PLACE_EVERY_S = 0.25
AFTER_TROUBLE_S = 2.0
CLAIM_AT_ONCE = 100
"""Few enough that several workers share what comes in, and that no transaction is long."""
DRAIN_S = 90.0
SUCCESSOR_S = 20.0
READY = "ready"
IDLE_ROUNDS = 2
WAIT_FOR_THE_REST_S = 60.0
"""How long a worker that has no jobs left waits for what runs beside it: a receiver of news may be dead."""


class Beside(Protocol):
    """What runs beside the work, in whichever process works."""

    async def run(self) -> None:
        """Until cancelled. Its own trouble is its own affair: it raises nothing."""
        ...

    async def idle(self) -> bool:
        """Whether a worker may end as far as this is concerned."""
        ...

    def nudge(self) -> None:
        """Something was committed."""
        ...


class JobSteps:
    """The steps of a job, for the engine."""

    def __init__(self, services: Services, waiting: Waiting) -> None:
        self._services = services
        self._waiting = waiting

    async def submit(self, job_id: str) -> Next:
        return await _carried_out(job_id, submit(self._services, job_id))

    def park(self, job_id: str) -> None:
        self._waiting.park(job_id)

    async def deliver(self, job_id: str) -> Next:
        return await _carried_out(job_id, deliver(self._services, job_id))


async def _carried_out(job_id: str, step: Awaitable[Next]) -> Next:
    with about(job_id):
        try:
            return await step
        except PutBack:
            return Next.LATER


@dataclass(slots=True)
class _Place:
    """What a worker has while it is one. Losing the place loses all of it, and a new one has another id."""

    id: str
    engine: "Engine"
    waiting: Waiting
    held: int = 0  # jobs claimed, as counted at the last full look
    looked_at: float = float("-inf")  # when everything was last looked at, on the loop's clock
    looked_for_dead_at: float = float("-inf")
    heard: int | None = None  # the last event that was looked at for hints


def _file_at(path: Path) -> int | None:
    """Which file lies there: one that was deleted may be made anew by whoever opens it next."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


class _Claimed(NamedTuple):
    """The jobs that were claimed, and the states in which all that was wanted was found."""

    ids: list[str]
    found: dict[str, JobState]


class Worker:
    """Works on the open jobs while it has a place."""

    def __init__(
        self,
        services: Services,
        changes: Changes,
        *,
        most_jobs: int = 10_000,
        beside: Sequence[Beside] = (),
        wait_for_the_rest_s: float = WAIT_FOR_THE_REST_S,
    ) -> None:
        self._services = services
        self._changes = changes
        self._most_jobs = most_jobs
        self._beside = beside
        self._wait_for_the_rest_s = wait_for_the_rest_s
        self._presence: Presence = presence_for(services.db)
        self._place: _Place | None = None
        self._trouble: str | None = None
        self._has_worked = False
        self._file = _file_at(services.db.path) if services.db.path else None

    @property
    def working(self) -> bool:
        return self._place is not None

    async def run(self, *, until_idle: bool = False, stand_by: bool = False) -> None:
        """Work until cancelled, or until nothing is left to do. Waits for a place, and takes another if it loses it.

        With `stand_by` only while no other process works: whoever just wants its own jobs done leaves them to the
        workers that there are.
        """
        try:
            while True:
                if not await self._work_once(until_idle, stand_by):
                    await anyio.sleep(TRY_PLACE_EVERY_S)
                    continue
                # Left before the last look: who submitted while we had the place has relied on us.
                await self.stop()
                if await self._homeless() or not await self.has_open_jobs():
                    return
        finally:
            with anyio.CancelScope(shield=True):
                await self.stop()

    async def _work_once(self, until_idle: bool, stand_by: bool) -> bool:
        """Take a place and work. True when there is nothing left to do; False to try again after a while."""
        try:
            if stand_by and await self.somebody_else_works():
                return until_idle and not await self.has_open_jobs()
            if not await self._take_place():
                return False
            return await self._rounds_and_looks(until_idle)
        except RushesError as error:
            if not (error.retryable or self._has_worked):
                raise  # it never worked: somebody is there to read why
            self._tell_trouble(error)
            await self.stop()
            await anyio.sleep(AFTER_TROUBLE_S)
            return False

    async def _take_place(self) -> bool:
        worker_id = f"worker_{uuid4().hex}"
        if not await self._presence.take(worker_id):
            return False
        services = replace(self._services, worker_id=worker_id)
        # Imported here: it loads the workflow library, a second of CPU that only a process that works should pay.
        from rushes.jobs.engine import Engine

        waiting = Waiting(services, self._waited)
        engine = Engine(services.db, JobSteps(services, waiting), worker_id)
        try:
            await engine.launch()
            row = WorkerRow(
                id=worker_id, host=platform.node(), pid=os.getpid(), version=VERSION, started_at=services.now()
            )
            await services.db.write(lambda connection: claims.enrol(connection, row))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await engine.stop()
                await self._presence.leave()
            raise
        self._place = _Place(worker_id, engine, waiting)
        self._has_worked = True
        log.info("worker.began", extra={"worker": worker_id})
        return True

    # -- rounds ------------------------------------------------------------------------------------

    async def _rounds_and_looks(self, until_idle: bool) -> bool:
        assert self._place is not None
        done = False
        failed: RushesError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._place.waiting.run)
            for other in self._beside:
                tasks.start_soon(other.run)
            try:
                done = await self._rounds(until_idle)
            except RushesError as error:
                failed = error  # raised below, so that it does not come wrapped into a group
            tasks.cancel_scope.cancel()
        if failed is not None:
            raise failed
        return done

    async def _waited(self, job_id: str, step: Next) -> None:
        """A job waits no more. Where the engine cannot take it just now, the next full look gives it to it."""
        if step in (Next.NOTHING, Next.LATER) or self._place is None:
            return
        try:
            await self._place.engine.start(job_id)
        except RushesError as error:
            self._tell_trouble(error)

    async def _rounds(self, until_idle: bool) -> bool:
        """Round after round, until idle (True) or until the place is lost (False)."""
        assert self._place is not None
        place, idle_rounds, jobless_since = self._place, 0, math.inf
        while True:
            try:
                more = await self._round(place)
                self._trouble = None
                jobless = not (place.engine.busy or place.waiting) and not await self.has_open_jobs()
                jobless_since = min(jobless_since, anyio.current_time()) if jobless else math.inf
                idle = jobless and (not until_idle or await self._rest_is_idle(jobless_since))
            except RushesError as error:
                self._tell_trouble(error)
                more, idle = False, False
            if await self._homeless() or not await self._presence.still_here():
                log.warning("worker.place_lost", extra={"worker": place.id})
                await self.stop(math.inf)  # nothing else could be done meanwhile: the database was away, or still is
                return await self._homeless()
            idle_rounds = idle_rounds + 1 if idle else 0
            if until_idle and idle_rounds >= IDLE_ROUNDS:
                return True
            if not more:
                await self._changes.wait(LOOK_FOR_THE_DEAD_EVERY_S)
                await anyio.sleep(SHORTEST_ROUND_S)  # what comes in together is looked at together
            for other in self._beside:
                other.nudge()

    async def _rest_is_idle(self, jobless_since: float) -> bool:
        """Whether what runs beside the work is done, or has had its time."""
        return anyio.current_time() - jobless_since >= self._wait_for_the_rest_s or await self._nothing_beside()

    async def _nothing_beside(self) -> bool:
        for other in self._beside:
            if not await other.idle():
                return False
        return True

    async def _homeless(self) -> bool:
        """Whether the database file was deleted while we work: then there is nothing to work for."""
        path = self._services.db.path
        return path is not None and _file_at(path) != self._file

    async def _round(self, place: _Place) -> bool:
        """Claim and start what there is room for; now and then look at everything. True: there is more to claim."""
        now = anyio.current_time()
        if now - place.looked_for_dead_at >= LOOK_FOR_THE_DEAD_EVERY_S:
            place.looked_for_dead_at = now
            await self._take_over_from_the_dead(place)
        if now - place.looked_at >= RECONCILE_EVERY_S:
            place.looked_at = now
            await self._look_at_our_own(place)
        await self._pass_hints_on(place)
        wanted = min(CLAIM_AT_ONCE, self._most_jobs - place.held)
        if wanted <= 0 or not await self._services.db.read(lambda connection: self._claimable(connection, wanted)):
            return False

        def work(connection: sa.Connection) -> _Claimed:
            # Looked for again: in this transaction nobody else can claim them, nor fill their lane.
            found = self._claimable(connection, wanted)
            return _Claimed(claims.claim(connection, place.id, list(found)), found)

        claimed = await self._services.db.write(work)
        place.held += len(claimed.ids)
        for job_id in claimed.ids:
            if claimed.found[job_id] is JobState.IN_PROGRESS:
                place.waiting.park(job_id)  # all that is left to do, perhaps for thousands after a restart
            else:
                await place.engine.start(job_id)
        return len(claimed.ids) == wanted

    async def _pass_hints_on(self, place: _Place) -> None:
        """Jobs of ours that were hinted at are looked at now."""
        heard = place.heard
        if heard is None:
            # What came before we did is not looked up: those jobs are looked at at their own pace.
            place.heard = await self._services.db.read(store.last_event)
            return
        place.heard, hinted = await self._services.db.read(lambda connection: hints.hinted_after(connection, heard))
        for job_id in hinted:
            place.waiting.hint(job_id)

    def _claimable(self, connection: sa.Connection, wanted: int) -> dict[str, JobState]:
        """What this worker may take on now: first what was begun and left behind, then wishes, then the queues."""
        now = self._services.now()
        found = {job.id: job.state for job in claims.left_behind(connection, now, wanted, servable=self._can_serve)}
        found |= dict.fromkeys(lanes.cancelled_in_queue(connection), JobState.QUEUED)
        for lane in lanes.lanes(connection):
            free = wanted - len(found)
            if not lane.queued:
                continue
            if self._can_serve(lane.provider):
                free = min(room(lane, self._services.registry.max_jobs(lane.provider), now), free)
                mine = lanes.next_in_line(connection, lane.provider, free, now)
            else:
                # They wait for another worker's key, unless their next route can be taken from here.
                mine = lanes.next_in_line(connection, lane.provider, free, now, with_routes=True)
            found |= dict.fromkeys(mine, JobState.QUEUED)
        return dict(list(found.items())[:wanted])

    def _can_serve(self, provider: str) -> bool:
        return self._unservable(provider) is None

    def _unservable(self, provider: str) -> str | None:
        """Why jobs of a provider cannot go on from here; None if they can."""
        try:
            self._services.registry.provider(provider).check_ready()
        except ConfigError as error:
            return str(error)
        return None

    async def _take_over_from_the_dead(self, place: _Place) -> None:
        known = await self._services.db.read(claims.known_workers)
        others = [worker.id for worker in known if worker.id != place.id]
        gone = await self._presence.gone(others) if others else frozenset[str]()
        self._services.registry.share_accounts(1 + len(others) - len(gone))
        if not gone:
            return
        freed = await self._services.db.write(lambda connection: claims.dismiss(connection, gone))
        log.warning("worker.took_over", extra={"jobs": freed, "workers": len(gone)})
        await place.engine.sweep(gone)

    async def _look_at_our_own(self, place: _Place) -> None:
        """Each claimed job has a workflow, each wish to cancel reaches the one that sleeps, and what ended is swept."""
        ours = await self._services.db.read(lambda connection: claims.held_by(connection, place.id))
        place.held = len(ours)
        busy = place.engine.busy
        for job_id in ours:
            if job_id not in busy and job_id not in place.waiting:
                await place.engine.start(job_id)
        for job_id in await self._services.db.read(store.cancel_wishes):
            place.waiting.wish(job_id)
        await self._tell_why_some_wait()
        await place.engine.sweep()

    async def _tell_why_some_wait(self) -> None:
        """A job whose provider cannot be asked from here says so while it waits for a worker that can."""
        for lane in await self._services.db.read(lanes.lanes):
            if (words := self._unservable(lane.provider)) is not None:
                waits = lane.provider
                await self._services.db.write(
                    lambda connection, waits=waits, words=words: claims.note_unservable(connection, waits, words)
                )

    def _tell_trouble(self, error: RushesError) -> None:
        """Once for each kind of it, until it is over: a server that is away would be told of four times a second."""
        if error.code != self._trouble:
            log.warning("worker.trouble", extra={"cause": str(error)})
        self._trouble = error.code

    # -- the end -----------------------------------------------------------------------------------

    async def stop(self, drain_s: float = DRAIN_S) -> None:
        """Give up the work, but not in the middle of a create: its answer is waited for, for so long at most."""
        place, self._place = self._place, None
        if place is None:
            return
        # Whatever cancels us: half left, it would neither work nor make room for another.
        with anyio.CancelScope(shield=True):
            self._services.flights.closing = True
            with anyio.move_on_after(drain_s):
                await self._services.flights.landed()
            await place.engine.stop()
            self._services.flights.closing = False
            try:
                await self._services.db.write(lambda connection: claims.dismiss(connection, [place.id]))
            except RushesError as error:
                log.warning(
                    "worker.left_without_a_word", extra={"cause": str(error)}
                )  # the others find out by the lock
            await self._presence.leave()

    async def until_idle(self) -> None:
        """Return when no open job is left, whoever worked on them."""
        while await self.has_open_jobs():
            await self._changes.wait(RECONCILE_EVERY_S)

    async def has_anything_left(self) -> bool:
        """Whether somebody should work: on a job, or on what runs beside the work."""
        return await self.has_open_jobs() or not await self._nothing_beside()

    async def has_open_jobs(self) -> bool:
        return await self._services.db.read(claims.any_open)

    async def somebody_else_works(self) -> bool:
        """Whether another process has a place."""
        known = await self._services.db.read(claims.known_workers)
        mine = self._place.id if self._place else None
        return await self._presence.anybody([worker.id for worker in known if worker.id != mine])


async def leave_successor(settings_json: str, log_file: Path) -> None:
    """Start a worker that outlives this process, and see that it is up. Raises RushesError if it does not come up.

    It waits for the lock, so it may be started while this process still works. The settings go through a pipe: they
    hold keys, which belong neither on a command line nor into a file.
    """
    process = await anyio.to_thread.run_sync(_start_successor, settings_json, log_file)
    with anyio.move_on_after(SUCCESSOR_S):
        if await anyio.to_thread.run_sync(_first_line, process, abandon_on_cancel=True) == READY:
            # Not waited for: it has a session of its own, and the system adopts it when we end.
            process.returncode = 0
            assert process.stdout is not None
            process.stdout.close()
            return
    await anyio.to_thread.run_sync(_put_down, process)
    raise RushesError(f"No background worker could be started; see {log_file}.")


def _start_successor(settings_json: str, log_file: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "rushes", "worker", "--until-idle", "--settings-from-stdin"]
    try:
        with log_file.open("ab") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, start_new_session=True
            )
        assert process.stdin is not None
        process.stdin.write(settings_json.encode())
        process.stdin.close()
    except OSError as error:
        raise RushesError(f"No background worker could be started: {error}.") from error
    return process


def _put_down(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _first_line(process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()

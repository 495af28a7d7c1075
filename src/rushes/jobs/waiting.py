"""The jobs of a worker that wait for their far sides: each is looked at when its time has come.

One task keeps the order in which they are due, and starts the looks; so a waiting job is one small record, and ten
thousand of them cost neither memory nor tasks. Nothing in here needs to survive: a worker that takes a job on begins
to look at it, and the ledger says all that it must know.
"""

import heapq
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import anyio
import anyio.abc

from rushes.errors import RushesError
from rushes.jobs import store
from rushes.jobs.ledger import LostClaim, Next
from rushes.jobs.polling import next_look_s
from rushes.jobs.services import PutBack, Services
from rushes.jobs.watching import Watch, begin, look
from rushes.logs import about
from rushes.telemetry import span

log = logging.getLogger(__name__)

LOOKS_AT_ONCE = 32
"""At one provider: ten thousand jobs must not open ten thousand connections."""
LOOKS_PER_S = 100
"""Of all. A look costs some 4 ms of CPU, so this leaves the better half to creates and downloads."""
AFTER_TROUBLE_S = 1.0
AFTER_A_BUG_S = 60.0
TELL_EVERY_S = 30.0
HISTORY_LIFE_S = 30.0

Ended = Callable[[str, Next], Awaitable[None]]
"""Told of a job that waits no more, and of what comes next for it."""


@dataclass(slots=True)
class _Lane:
    """The jobs that wait for one provider. What is out of date in the heap is skipped."""

    due: list[tuple[float, int, str]] = field(default_factory=list[tuple[float, int, str]])
    looking: int = 0


@dataclass(slots=True)
class _Waiter:
    due: float = 0.0
    watch: Watch | None = None  # None: nothing is known of it yet
    looking: bool = False
    hinted: bool = False


class Waiting:
    """Looks at parked jobs while `run` runs."""

    def __init__(self, services: Services, ended: Ended) -> None:
        self._s = services
        self._ended = ended
        self._waiters: dict[str, _Waiter] = {}
        self._lanes: dict[str, _Lane] = {}
        self._numbers = count()
        self._changed = anyio.Event()
        self._last_look = float("-inf")
        self._history = _History(services)
        self._told_at = float("-inf")

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._waiters

    def __len__(self) -> int:
        return len(self._waiters)

    def park(self, job_id: str) -> None:
        """Look at this job from now on. Parking it twice does nothing."""
        if job_id not in self._waiters:
            self._waiters[job_id] = _Waiter()
            self._plan(job_id, 0.0)

    def wish(self, job_id: str) -> None:
        """Look at once, because somebody wishes to cancel the job. Told again and again while the job goes on."""
        waiter = self._waiters.get(job_id)
        if waiter is not None and not (waiter.watch is not None and waiter.watch.cancel_asked):
            self.hint(job_id)  # where it was asked already, its looks keep their pace

    def hint(self, job_id: str) -> None:
        """Look at once: the far side may have changed the job."""
        if waiter := self._waiters.get(job_id):
            if waiter.looking or waiter.watch is None:
                waiter.hinted = True  # to be looked at again, or for the first time, right after this
            else:
                self._plan(job_id, 0.0)

    def _plan(self, job_id: str, due: float) -> None:
        waiter = self._waiters[job_id]
        waiter.due = due
        lane = self._lanes.setdefault(waiter.watch.provider if waiter.watch else "", _Lane())
        heapq.heappush(lane.due, (due, next(self._numbers), job_id))
        self._changed.set()

    async def run(self) -> None:
        """Look at each job in its time, until cancelled."""
        async with anyio.create_task_group() as tasks:
            while True:
                self._changed = anyio.Event()
                until_s = self._start_looks(tasks)
                with anyio.move_on_after(until_s):
                    await self._changed.wait()
                await self._keep_distance()

    async def _keep_distance(self) -> None:
        pause_s = self._last_look + 1 / LOOKS_PER_S - anyio.current_time()
        if pause_s > 0:
            await anyio.sleep(pause_s)

    def _start_looks(self, tasks: anyio.abc.TaskGroup) -> float:
        """Start at most one look that is due; returns how long until the next one is."""
        now = anyio.current_time()
        for lane in self._lanes.values():
            self._skip_old(lane)
        # Whoever has been due for longest, of whichever lane: one with too many jobs must not stop all others.
        ready = [lane for lane in self._lanes.values() if lane.due and lane.looking < LOOKS_AT_ONCE]
        lane = min(ready, key=lambda lane: lane.due[0], default=None)
        if lane is None:
            return float("inf")
        due, _, job_id = lane.due[0]
        if due > now:
            return due - now
        heapq.heappop(lane.due)
        lane.looking += 1
        self._waiters[job_id].looking = True
        self._last_look = now
        tasks.start_soon(self._one, lane, job_id)
        return 0.0

    def _skip_old(self, lane: _Lane) -> None:
        while lane.due:
            due, _, job_id = lane.due[0]
            waiter = self._waiters.get(job_id)
            if waiter is not None and not waiter.looking and waiter.due == due:
                return
            heapq.heappop(lane.due)

    async def _one(self, lane: _Lane, job_id: str) -> None:
        """One look, with all that may come of it."""
        waiter = self._waiters[job_id]
        try:
            with about(job_id):
                step, again_s = await self._looked(job_id, waiter)
        finally:
            lane.looking -= 1
            waiter.looking = False
            self._changed.set()
        if step is Next.WAIT:
            again_s, waiter.hinted = (0.0 if waiter.hinted else again_s), False
            self._plan(job_id, anyio.current_time() + again_s)
            return
        if (watch := waiter.watch) is not None:
            with span("poll", job_id, since=watch.since, model=watch.model, provider=watch.provider) as traced:
                traced.note(looks=watch.pace.looks, outcome=step.value)
        # Told before it is forgotten: somebody has it all the time.
        await self._ended(job_id, step)
        del self._waiters[job_id]

    async def _looked(self, job_id: str, waiter: _Waiter) -> tuple[Next, float]:
        """What comes next for a job, and after how many seconds it is to be looked at again."""
        try:
            if waiter.watch is None:
                begun = await begin(self._s, job_id)
                if isinstance(begun, Next):
                    return begun, 0.0
                waiter.watch, step = begun, Next.WAIT
            else:
                step = await look(self._s, job_id, waiter.watch)
            if step is Next.WAIT:
                history = await self._history.of(waiter.watch.model)
                waiter.watch.pace = replace(waiter.watch.pace, history_s=history)
                return step, next_look_s(waiter.watch.pace)
        except PutBack:
            return Next.LATER, 0.0
        except LostClaim as error:
            log.warning("job.taken_over", extra={"cause": str(error)})
            return Next.NOTHING, 0.0
        except RushesError as error:
            self._tell_trouble(error)
            return Next.WAIT, AFTER_TROUBLE_S
        except Exception:
            log.exception("wait.crashed")
            return Next.WAIT, AFTER_A_BUG_S
        return step, 0.0

    def _tell_trouble(self, error: RushesError) -> None:
        """Now and then: when the database is away, ten thousand jobs have the same trouble."""
        now = anyio.current_time()
        if now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            log.warning("wait.trouble", extra={"cause": str(error)})


class _History:
    """How long the jobs of each model took, read now and then, and shared by all that wait for it."""

    def __init__(self, services: Services) -> None:
        self._s = services
        self._known: dict[str, tuple[float, Sequence[float]]] = {}

    async def of(self, model: str) -> Sequence[float]:
        now = anyio.current_time()
        if model not in self._known or now - self._known[model][0] > HISTORY_LIFE_S:
            durations = tuple(await self._s.db.read(lambda connection: store.durations_s(connection, model)))
            self._known[model] = (now, durations)
        return self._known[model][1]

"""Who works: one process per database file, whoever holds the lock.

Everybody may submit, watch and cancel; the holder of the lock runs the engine and gives every open job without a
workflow a new one. That is one query on a timer, so nothing depends on a message that could get lost. A process that
leaves with jobs open first sees to it that another one works: a paid video whose link dies in an hour must be fetched.
"""

import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from filelock import FileLock, Timeout

from rushes.errors import RushesError
from rushes.jobs import store
from rushes.jobs.delivery import deliver
from rushes.jobs.events import Changes
from rushes.jobs.ledger import Next
from rushes.jobs.services import Services
from rushes.jobs.submission import submit
from rushes.jobs.watching import Hints, watch

if TYPE_CHECKING:
    from rushes.jobs.engine import Engine

log = logging.getLogger(__name__)

RECONCILE_EVERY_S = 1.0
TRY_LOCK_EVERY_S = 0.25
LOOKS_AT_ONCE = 32
DRAIN_S = 90.0
SUCCESSOR_S = 20.0
READY = "ready"
IDLE_ROUNDS = 2


class JobSteps:
    """The steps of a job, for the engine."""

    def __init__(self, services: Services, hints: Hints) -> None:
        self._services = services
        self._hints = hints
        self._turns: dict[str, anyio.CapacityLimiter] = {}

    def _turn(self, provider: str) -> anyio.CapacityLimiter:
        """Ten thousand waiting jobs must not open ten thousand connections at once."""
        return self._turns.setdefault(provider, anyio.CapacityLimiter(LOOKS_AT_ONCE))

    async def submit(self, job_id: str) -> Next:
        return await submit(self._services, job_id)

    async def watch(self, job_id: str) -> Next:
        return await watch(self._services, self._hints, self._turn, job_id)

    async def deliver(self, job_id: str) -> Next:
        return await deliver(self._services, job_id)


class Worker:
    """Works on the open jobs while it holds the lock."""

    def __init__(self, services: Services, changes: Changes) -> None:
        self._services = services
        self._changes = changes
        self._hints = Hints()
        # Not thread_local: it is taken and given back on whichever thread is free.
        self._lock = FileLock(lock_path(services.db.path), thread_local=False)
        self._engine: Engine | None = None

    @property
    def working(self) -> bool:
        return self._engine is not None

    def try_lock(self) -> bool:
        """Take the lock if nobody has it. The kernel frees it when the holder dies, however it dies."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    async def run(self, *, until_idle: bool = False) -> None:
        """Work until cancelled, or until nothing is left to do. Waits for its turn if another process works."""
        while not self.try_lock():  # noqa: ASYNC110 - the system tells nobody when a lock is free
            await anyio.sleep(TRY_LOCK_EVERY_S)
        try:
            await self._start_engine()
            await self._reconcile(until_idle)
        finally:
            with anyio.CancelScope(shield=True):
                await self.stop()

    async def _start_engine(self) -> None:
        # Imported here: it loads the workflow library, a second of CPU that only a process that works should pay.
        from rushes.jobs.engine import Engine

        engine = Engine(self._services.db.path, JobSteps(self._services, self._hints))
        await engine.launch()
        self._engine = engine

    async def _reconcile(self, until_idle: bool) -> None:
        """Every open job has a workflow; every wish to cancel reaches the one that sleeps."""
        assert self._engine is not None
        idle_rounds = 0
        while True:
            try:
                open_jobs = await self._services.db.read(store.workable_jobs)
                for job_id in open_jobs:
                    await self._engine.start(job_id)
                for job_id in await self._services.db.read(store.cancel_wishes):
                    self._hints.give(job_id)
            except RushesError as error:
                log.warning("worker.trouble", extra={"cause": str(error)})
                open_jobs = ["unknown"]
            if not self._services.db.path.exists():
                log.warning("worker.homeless", extra={"database": str(self._services.db.path)})
                return
            idle_rounds = 0 if open_jobs or self._engine.busy else idle_rounds + 1
            if until_idle and idle_rounds >= IDLE_ROUNDS:
                return
            await self._changes.wait(RECONCILE_EVERY_S)

    async def stop(self) -> None:
        """Give up the work, but not in the middle of a create: its answer is waited for."""
        if self._engine is not None:
            self._services.flights.closing = True
            with anyio.move_on_after(DRAIN_S):
                await self._services.flights.landed()
            engine, self._engine = self._engine, None
            await engine.stop()
            self._services.flights.closing = False
        if self._lock.is_locked:
            self._lock.release()

    async def until_idle(self) -> None:
        """Return when no open job is left, whoever worked on them."""
        while await self.has_open_jobs():
            await self._changes.wait(RECONCILE_EVERY_S)

    async def has_open_jobs(self) -> bool:
        return bool(await self._services.db.read(store.workable_jobs))


def lock_path(database: Path) -> Path:
    return database.with_name(database.name + ".worker.lock")


def somebody_works(database: Path) -> bool:
    """Whether a process holds the lock. Takes it for a moment if nobody does."""
    lock = FileLock(lock_path(database), thread_local=False)
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True


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

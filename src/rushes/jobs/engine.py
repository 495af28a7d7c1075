"""The engine: DBOS Transact runs the steps of a job, in a workflow up to its wait, and in another one after it.

The only importer of `dbos` (a second of CPU, tens of megabytes), so only a process that works loads it. Nothing in
here decides about money: each step reads the ledger first and is safe to run again, so the engine's own rows are
disposable. They are never recovered, because the ledger knows better what comes next; a workflow that has ended is
swept away, and so are those of workers that are no more.

The library keeps one global instance; a second `Engine` in one process is therefore refused while one is running.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Protocol

import anyio
import anyio.to_thread
import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos import error as dbos_error
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from rushes.errors import RushesError
from rushes.jobs.database import Database
from rushes.jobs.ledger import LostClaim, Next

log = logging.getLogger(__name__)

APPLICATION_VERSION = "job_v1"
"""Pinned: the library runs no workflow of another version, and ours are begun anew by whichever release works."""
RESTART_S = (1.0, 5.0, 30.0, 300.0)
CANCEL_S = 5.0
SWEEP_AT_ONCE = 500


class Steps(Protocol):
    """What a job consists of. Those that run return what the ledger says is next."""

    async def submit(self, job_id: str) -> Next: ...
    async def deliver(self, job_id: str) -> Next: ...

    def park(self, job_id: str) -> None:
        """Look at it from now on, and start it again at its end."""
        ...


class _Running:
    """The steps of the engine that is running, and the jobs it is busy with, each with its task."""

    def __init__(self) -> None:
        self.steps: Steps | None = None
        self.jobs: dict[str, asyncio.Task[object] | None] = {}
        self.crashed: list[tuple[str, Exception]] = []

    def current(self) -> Steps:
        if self.steps is None:
            raise RuntimeError("no engine is running")
        return self.steps


_running = _Running()


@DBOS.step(name="create")
async def _create(job_id: str) -> str:
    return (await _running.current().submit(job_id)).value


@DBOS.step(name="download")
async def _download(job_id: str) -> str:
    return (await _running.current().deliver(job_id)).value


@DBOS.workflow(name="job_v1")
async def _job_v1(job_id: str) -> str:
    _running.jobs[job_id] = asyncio.current_task()
    try:
        step = await _create(job_id)
        if step == Next.WAIT.value:
            # For minutes, and without the library: a workflow that waits costs it 45 KB of memory, and CPU each second.
            _running.current().park(job_id)
        if step == Next.DOWNLOAD.value:
            step = await _download(job_id)
        return step
    except LostClaim as error:
        log.warning("job.taken_over", extra={"job": job_id, "cause": str(error)})
        return Next.NOTHING.value
    except Exception as error:
        _running.crashed.append((job_id, error))
        raise
    finally:
        _running.jobs.pop(job_id, None)


class Engine:
    """The port to the workflow engine: `start` a job, `launch` and `stop` the whole. `worker_id` is whose jobs run."""

    def __init__(self, database: Database, steps: Steps, worker_id: str) -> None:
        self._url = database.url
        self._where = database.where
        self._steps = steps
        self._worker_id = worker_id
        self._crashes: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._numbers = count(1)
        self._begun: dict[str, str] = {}  # workflow id to job id, until it is swept
        self._engine: sa.Engine | None = None

    async def launch(self) -> None:
        """Start. Raises RushesError if one is running in this process, or if the database does not let it."""
        if _running.steps is not None:
            raise RushesError("Another App of this process is already working on a database. Close it first.")
        _running.steps = self._steps
        self._engine = _own_engine(self._url)
        config: DBOSConfig = {
            "name": "rushes",
            "system_database_url": self._url.render_as_string(hide_password=False),
            "system_database_engine": self._engine,
            "application_version": APPLICATION_VERSION,
            "executor_id": self._worker_id,
            "log_level": "ERROR" if log.isEnabledFor(logging.DEBUG) else "CRITICAL",
            "max_executor_threads": 16,
            # We use no notifications; its idle listener is waited for when we stop, a second by default.
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 0.1,
        }
        try:
            DBOS(config=config)
            DBOS.launch()  # adopts the running event loop, so the steps run here
        except Exception as error:
            await self.stop()
            words = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise RushesError(
                f"The workflow engine does not start on {self._where}: {words}. Can it be written? See: rushes doctor"
            ) from error

    async def start(self, job_id: str) -> None:
        """Give a job a workflow, unless it has a living one. Raises RushesError for the library's troubles.

        Those pass, such as a disk that is full for the moment; whoever asks, asks again.
        """
        self._count_crashes()
        if job_id in _running.jobs or asyncio.get_running_loop().time() < self._not_before.get(job_id, 0.0):
            return
        # A name of its own each time: what an earlier workflow of the job has left behind is in nobody's way.
        workflow_id = f"{job_id}.{self._worker_id[-12:]}.{next(self._numbers)}"
        _running.jobs[job_id] = None
        try:
            with SetWorkflowID(workflow_id):
                await DBOS.start_workflow_async(_job_v1, job_id)
        except (DBAPIError, dbos_error.DBOSException) as error:
            _running.jobs.pop(job_id, None)
            raise RushesError(f"The workflow engine could not start {job_id}: {error}") from error
        self._begun[workflow_id] = job_id

    def _count_crashes(self) -> None:
        """A step that keeps crashing is a bug of ours; the job is kept and tried ever more seldom."""
        now = asyncio.get_running_loop().time()
        while _running.crashed:
            job_id, error = _running.crashed.pop()
            if isinstance(error, RushesError) and error.retryable:  # the database is away, or its disk is full
                self._not_before[job_id] = now + RESTART_S[0]
                log.warning("job.step_interrupted", extra={"job": job_id, "cause": str(error)})
                continue
            times = self._crashes[job_id] = self._crashes.get(job_id, 0) + 1
            self._not_before[job_id] = now + RESTART_S[min(times, len(RESTART_S)) - 1]
            log.error("job.step_crashed", extra={"job": job_id, "times": times}, exc_info=error)

    @property
    def busy(self) -> frozenset[str]:
        return frozenset(_running.jobs)

    async def sweep(self, dead_workers: frozenset[str] = frozenset()) -> None:
        """Remove the rows of workflows that have ended here, and all those of workers that are no more."""
        ended = [each for each, job_id in self._begun.items() if job_id not in _running.jobs]
        try:
            if dead_workers:
                left = await DBOS.list_workflows_async(
                    executor_id=sorted(dead_workers), load_input=False, load_output=False
                )
                ended += [each.workflow_id for each in left]
            for start in range(0, len(ended), SWEEP_AT_ONCE):
                some = ended[start : start + SWEEP_AT_ONCE]
                await DBOS.delete_workflows_async(some)
                for each in some:
                    self._begun.pop(each, None)
        except (DBAPIError, dbos_error.DBOSException) as error:
            log.warning("engine.sweep_failed", extra={"cause": str(error)})

    async def stop(self) -> None:
        """Stop working. What is unfinished goes on with the next worker that takes the jobs on."""
        if _running.steps is not self._steps:
            return  # another one runs in this process, and this one was refused
        with anyio.CancelScope(shield=True):
            # The library runs them on our loop but leaves them running; a cancelled one is not a failed one to it.
            tasks = [task for task in _running.jobs.values() if task is not None]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=CANCEL_S)
            await anyio.to_thread.run_sync(DBOS.destroy)
            # It had made its own threads the loop's, and has shut them down: the loop belongs to our caller.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))
            _running.steps = None
            _running.jobs.clear()
            _running.crashed.clear()
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None


def _own_engine(url: sa.URL) -> sa.Engine:
    """A pool beside ours on the same database. Ours keeps every promise; what this one loses is done again."""
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=0)
        event.listen(engine, "connect", _sqlite_settings)
        return engine
    quick = {"options": "-c synchronous_commit=off"}
    return sa.create_engine(url, pool_size=4, max_overflow=0, pool_pre_ping=True, connect_args=quick)


def _sqlite_settings(connection: object, record: object) -> None:
    import sqlite3

    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = "IMMEDIATE"
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")

"""The engine: DBOS Transact runs the steps of a job, one workflow per job, and runs them on after a crash.

The only importer of `dbos` (a second of CPU, tens of megabytes), so only a process that works loads it. Nothing in
here decides about money: each step reads the ledger first and is safe to run again, so the engine's own rows are
disposable, and a job whose workflow is gone simply gets another.

The library keeps one global instance; a second `Engine` in one process is therefore refused while one is running.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
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
from rushes.jobs.ledger import Next

log = logging.getLogger(__name__)

APPLICATION_VERSION = "job_v1"
"""Pinned: a new behaviour is a new workflow beside this one, so that jobs in flight finish as they began."""
EXECUTOR_ID = "sqlite-worker"
"""Stable, because one process works at a time on a file, and the next must find what this one left."""
RESTART_S = (1.0, 5.0, 30.0, 300.0)
STALLED_S = 30.0
CANCEL_S = 5.0


class Steps(Protocol):
    """What a job consists of. Each returns what the ledger says is next."""

    async def submit(self, job_id: str) -> Next: ...
    async def watch(self, job_id: str) -> Next: ...
    async def deliver(self, job_id: str) -> Next: ...


class _Running:
    """The steps of the engine that is running, and the jobs it is busy with, each with its task."""

    def __init__(self) -> None:
        self.steps: Steps | None = None
        self.jobs: dict[str, asyncio.Task[object] | None] = {}

    def current(self) -> Steps:
        if self.steps is None:
            raise RuntimeError("no engine is running")
        return self.steps


_running = _Running()


@DBOS.step(name="create")
async def _create(job_id: str) -> str:
    return (await _running.current().submit(job_id)).value


@DBOS.step(name="wait", preemptible=True)
async def _wait(job_id: str) -> str:
    return (await _running.current().watch(job_id)).value


@DBOS.step(name="download")
async def _download(job_id: str) -> str:
    return (await _running.current().deliver(job_id)).value


@DBOS.workflow(name="job_v1")
async def _job_v1(job_id: str) -> str:
    _running.jobs[job_id] = asyncio.current_task()
    try:
        step = await _create(job_id)
        if step == Next.WAIT.value:
            step = await _wait(job_id)
        if step == Next.DOWNLOAD.value:
            step = await _download(job_id)
        return step
    finally:
        _running.jobs.pop(job_id, None)


class Engine:
    """The port to the workflow engine: `start` a job, `launch` and `stop` the whole."""

    def __init__(self, database: Path, steps: Steps) -> None:
        self._database = database
        self._steps = steps
        self._crashes: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._pending_since: dict[str, float] = {}
        self._engine: sa.Engine | None = None

    async def launch(self) -> None:
        """Start; workflows that an earlier process left are taken up again. Raises RushesError if one is running."""
        if _running.steps is not None:
            raise RushesError("Another App of this process is already working on a database. Close it first.")
        _running.steps = self._steps
        url = f"sqlite:///{self._database}"
        # Its own engine on the same file: our writer keeps synchronous=FULL, what this one loses can be redone.
        self._engine = sa.create_engine(url, poolclass=QueuePool, pool_size=1, max_overflow=0)
        event.listen(self._engine, "connect", _connection_settings)
        config: DBOSConfig = {
            "name": "rushes",
            "system_database_url": url,
            "system_database_engine": self._engine,
            "application_version": APPLICATION_VERSION,
            "executor_id": EXECUTOR_ID,
            "log_level": "ERROR" if log.isEnabledFor(logging.DEBUG) else "CRITICAL",
            "max_executor_threads": 16,
            # We use no notifications; its idle listener is waited for when we stop, a second by default.
            "notification_listener_polling_interval_sec": 0.1,
        }
        try:
            DBOS(config=config)
            DBOS.launch()  # adopts the running event loop, so the steps run here
        except Exception as error:
            await self.stop()
            raise RushesError(f"The workflow engine does not start on {self._database}: {error}") from error

    async def start(self, job_id: str) -> None:
        """Give a job a workflow, unless it has a living one. Raises RushesError for the library's troubles.

        Those pass, such as a disk that is full for the moment; whoever asks, asks again.
        """
        try:
            await self._start(job_id)
        except (DBAPIError, dbos_error.DBOSException) as error:
            raise RushesError(f"The workflow engine could not start {job_id}: {error}") from error

    async def _start(self, job_id: str) -> None:
        now = asyncio.get_running_loop().time()
        if job_id in _running.jobs or now < self._not_before.get(job_id, 0.0):
            return
        status = await DBOS.get_workflow_status_async(job_id)
        recovering = status is not None and status.status in ("PENDING", "ENQUEUED", "DELAYED")
        if recovering and now - self._pending_since.setdefault(job_id, now) < STALLED_S:
            return  # if that never comes about, its row is in the way, and is removed below
        if status is not None:
            if status.status == "ERROR":
                self._back_off(job_id, now)
            await DBOS.delete_workflow_async(job_id)
        self._pending_since.pop(job_id, None)
        with SetWorkflowID(job_id):
            await DBOS.start_workflow_async(_job_v1, job_id)

    def _back_off(self, job_id: str, now: float) -> None:
        """A step that keeps crashing is a bug of ours; the job is kept and tried ever more seldom."""
        count = self._crashes[job_id] = self._crashes.get(job_id, 0) + 1
        self._not_before[job_id] = now + RESTART_S[min(count, len(RESTART_S)) - 1]
        log.error("job.step_crashed", extra={"job": job_id, "times": count})

    @property
    def busy(self) -> frozenset[str]:
        return frozenset(_running.jobs)

    async def stop(self) -> None:
        """Stop working. Unfinished workflows stay as they are and go on with the next process."""
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
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None


def _connection_settings(connection: object, record: object) -> None:
    import sqlite3

    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = "IMMEDIATE"
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")

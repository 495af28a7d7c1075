"""Who works: told by a lock that the system frees when its holder dies, however it dies.

On an SQLite file one process works at a time, by a lock file beside it. On PostgreSQL any number may, each by an
advisory lock under its own id, which the server frees with the connection (`postgres.py`).
"""

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from rushes.jobs.database import Database


class Presence(Protocol):
    """One process's place among those that work on a database. Raises RushesError when the database is out of reach."""

    async def take(self, worker_id: str) -> bool:
        """Become a worker under this id, which no process had before. False while there is no place."""
        ...

    async def still_here(self) -> bool:
        """Whether the place is still ours. False: others may have taken our jobs over, so we must let go of them."""
        ...

    async def gone(self, worker_ids: Collection[str]) -> frozenset[str]:
        """Which of these workers have ended, their locks being free."""
        ...

    async def anybody(self, worker_ids: Collection[str]) -> bool:
        """Whether a process other than this one works. `worker_ids` are those that the database knows."""
        ...

    async def leave(self) -> None:
        """Give the place up. Leaving without having one is no error."""
        ...


class FilePresence:
    """For SQLite: who holds the lock file is the only worker there is."""

    def __init__(self, database: Path) -> None:
        # Not thread_local: it is taken and given back on whichever thread is free.
        self._lock = FileLock(lock_path(database), thread_local=False)
        self._id: str | None = None

    async def take(self, worker_id: str) -> bool:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        self._id = worker_id
        return True

    async def still_here(self) -> bool:
        return self._lock.is_locked

    async def gone(self, worker_ids: Collection[str]) -> frozenset[str]:
        return frozenset(worker_ids) - {self._id} if self._lock.is_locked else frozenset()

    async def anybody(self, worker_ids: Collection[str]) -> bool:
        if self._lock.is_locked:
            return False
        try:
            with self._lock.acquire(timeout=0):
                return False
        except Timeout:
            return True

    async def leave(self) -> None:
        if self._lock.is_locked:
            self._lock.release()


def presence_for(db: Database) -> Presence:
    """The kind of place that a database's workers take."""
    if db.path is not None:
        return FilePresence(db.path)
    from rushes.jobs.postgres import PostgresDatabase, ServerPresence

    assert isinstance(db, PostgresDatabase)
    return ServerPresence(db)


def lock_path(database: Path) -> Path:
    return database.with_name(database.name + ".worker.lock")

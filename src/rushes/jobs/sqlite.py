"""The ledger in an SQLite file: one writer, some readers.

Everything that is written goes through a pool of one connection with `synchronous=FULL`, in transactions that take
the file's write lock before they read.
"""

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from rushes.errors import ConfigError, DatabaseAway, RushesError, StoreFull
from rushes.jobs.database import Database, Upgrade, version_of

log = logging.getLogger(__name__)

T = TypeVar("T")

BUSY_TIMEOUT_MS = 30_000
READERS = 4
LOOK_EVERY_S = 0.05
LOOK_AGAIN_S = 1.0


class SqliteDatabase(Database):
    """One file. Many processes may open it, on one machine."""

    def __init__(self, url: sa.URL) -> None:
        url = url.set(drivername="sqlite")
        # One of the readers' connections is for the number that tells of changes.
        super().__init__(url, readers=READERS - 1)
        self._writer = sa.create_engine(url, pool_size=1, max_overflow=0, hide_parameters=True)
        self._readers = sa.create_engine(url, pool_size=READERS, max_overflow=0, hide_parameters=True)
        event.listen(self._writer, "connect", _writer_settings)
        event.listen(self._writer, "begin", _begin_immediate)
        event.listen(self._readers, "connect", _reader_settings)
        event.listen(self._readers, "begin", _begin)
        self._watch: sa.Connection | None = None

    @property
    def path(self) -> Path:
        return Path(self.url.database or "")

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def migrates_itself(self) -> bool:
        return True

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._writer.dispose()
        self._readers.dispose()

    async def watch(self, committed: Callable[[], None], somebody_waits: Callable[[], Awaitable[None]]) -> None:
        """By a number that SQLite keeps and that reading costs next to nothing."""
        seen: int | None = None
        while True:
            try:
                version = await self.data_version()
            except RushesError as error:
                # A disk in trouble: whoever waits looks again by a timer of its own, and is told by what it does then.
                log.warning("database.watch_failed", extra={"cause": str(error)})
                await anyio.sleep(LOOK_AGAIN_S)
                continue
            if seen is not None and version != seen:
                committed()
            seen = version
            await anyio.sleep(LOOK_EVERY_S)
            await somebody_waits()

    async def data_version(self) -> int:
        """A number that changes when any other connection, of any process, has committed."""
        return await anyio.to_thread.run_sync(self._data_version, limiter=self._read_threads)

    def _data_version(self) -> int:
        # The number is per connection, so it means something only if it is always asked on the same one.
        with self._words():
            if self._watch is None:
                self._watch = self._readers.connect()
            version = self._watch.exec_driver_sql("PRAGMA data_version").scalar_one()
            self._watch.rollback()
            return int(version)

    def _transact(self, work: Callable[[sa.Connection], T]) -> T:
        with self._writer.begin() as connection:
            return work(connection)

    def _look(self, work: Callable[[sa.Connection], T]) -> T:
        with self._readers.connect() as connection:
            return work(connection)

    def _kind(self, connection: sa.Connection) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def _prepare(self, migrate: bool) -> Upgrade:
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"The folder {folder} cannot be made: {error.strerror}. Set RUSHES_HOME.") from error
        return super()._prepare(migrate)

    def _version(self) -> str | None:
        # By the writer: a reader that came first would leave an empty file without our settings.
        return self._write(version_of) if self.path.exists() else None

    def _is_foreign(self, found: list[str]) -> bool:
        return bool(found)  # a file is one program's

    def _in_words(self, error: DBAPIError) -> RushesError:
        words, path = str(error.orig), self.path
        known: dict[str, RushesError] = {
            "disk is full": StoreFull(
                f"The disk of {path} is full. Free some space; the jobs go on from where they are."
            ),
            "disk I/O error": StoreFull(f"{path} cannot be written: {words}. Is the disk full or failing?"),
            "readonly": ConfigError(f"{path} cannot be written. Check its permissions, or set RUSHES_HOME."),
            "unable to open": ConfigError(f"{path} cannot be opened. Check its folder, or set RUSHES_HOME."),
            "not a database": ConfigError(f"{path} is not a rushes database. Move it away, or set RUSHES_HOME."),
            "malformed": ConfigError(f"{path} is damaged ({words}). Restore it from a backup."),
            "locked": DatabaseAway(f"{path} is locked by another program for longer than {BUSY_TIMEOUT_MS // 1000} s."),
        }
        for part, translated in known.items():
            if part in words:
                return translated
        return RushesError(f"The database said: {words}")


def _writer_settings(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's own would come too late
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: sa.Connection) -> None:
    # A transaction that first reads and then writes would otherwise fail with "locked" in mid-way.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin(connection: sa.Connection) -> None:
    # The driver begins none for a look, and two looks of one question would then see two moments.
    connection.exec_driver_sql("BEGIN")


def _reader_settings(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    for pragma in ("query_only=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")

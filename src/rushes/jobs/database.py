"""The database file: one writer, some readers, and the way from one release's tables to the next.

On SQLite everything that is written goes through a pool of one connection with `synchronous=FULL`: when a write
has returned, it survives a power cut, and that is what the money rule asks for. No foreign call and no await may
happen inside a transaction; `write` and `read` therefore take a plain function and run it on a thread.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from rushes.errors import ConfigError, NewerDatabase, RushesError, StoreFull
from rushes.jobs import tables

T = TypeVar("T")

BUSY_TIMEOUT_MS = 30_000
READERS = 4


class Database:
    """The ledger's database. Open it with `Database.open`, close it when done."""

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self._writer = sa.create_engine(url, pool_size=1, max_overflow=0)
        self._readers = sa.create_engine(url, pool_size=READERS, max_overflow=0)
        event.listen(self._writer, "connect", _writer_settings)
        event.listen(self._writer, "begin", _begin_immediate)
        event.listen(self._readers, "connect", _reader_settings)
        self._write_turn = anyio.Lock()
        self._threads = anyio.CapacityLimiter(1)
        self._read_turns = anyio.CapacityLimiter(READERS - 1)
        self._watch: sa.Connection | None = None

    @classmethod
    async def open(cls, url_text: str) -> "Database":
        """Open, create or migrate. Raises ConfigError, NewerDatabase or StoreFull in words a person can act on."""
        url = _parse_url(url_text)
        return await anyio.to_thread.run_sync(cls._open, url)

    @classmethod
    def _open(cls, url: sa.URL) -> "Database":
        path = Path(url.database or "")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"The folder {path.parent} cannot be made: {error.strerror}. Set RUSHES_HOME.") from error
        database = cls(url)
        try:
            database._bring_up_to_date()
        except DBAPIError as error:
            database.close()
            raise _in_words(error, url) from error
        except RushesError:
            database.close()
            raise
        return database

    @property
    def path(self) -> Path:
        return Path(self.url.database or "")

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._writer.dispose()
        self._readers.dispose()

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one durable transaction; nothing of it remains if it raises.

        Not given up on cancellation: a transaction that has begun is finished, so that what the caller was told
        and what the file says never differ.
        """
        # Waiting for the turn may be cancelled; once it is ours, the thread is not abandoned.
        async with self._write_turn:
            return await anyio.to_thread.run_sync(self._write, work, limiter=self._threads)

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        return await anyio.to_thread.run_sync(self._read, work, limiter=self._read_turns)

    async def data_version(self) -> int:
        """A number that changes when any other connection, of any process, has committed."""
        return await anyio.to_thread.run_sync(self._data_version, limiter=self._read_turns)

    def _write(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            with self._writer.begin() as connection:
                return work(connection)
        except DBAPIError as error:
            if isinstance(error, IntegrityError):
                raise
            raise _in_words(error, self.url) from error

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            with self._readers.connect() as connection:
                return work(connection)
        except DBAPIError as error:
            raise _in_words(error, self.url) from error

    def _data_version(self) -> int:
        # The number is per connection, so it means something only if it is always asked on the same one.
        if self._watch is None:
            self._watch = self._readers.connect()
        version = self._watch.exec_driver_sql("PRAGMA data_version").scalar_one()
        self._watch.rollback()
        return int(version)

    def _bring_up_to_date(self) -> None:
        with self._writer.begin() as connection:
            found = _version(connection)
            if found is None:
                if sa.inspect(connection).get_table_names():
                    raise ConfigError(f"{self.path} belongs to another program. Move it away, or set RUSHES_HOME.")
                tables.metadata.create_all(connection)
                _stamp(connection)
                return
        if found == tables.HEAD:
            return
        if found not in tables.KNOWN_VERSIONS:
            raise NewerDatabase(
                f"{self.path} was written by a later rushes (its tables are at {found}, this one knows "
                f"{tables.HEAD}). Upgrade rushes, or set RUSHES_HOME to another folder."
            )
        from rushes.jobs.migrations import upgrade

        with self._writer.begin() as connection:
            upgrade(connection)


def _parse_url(text: str) -> sa.URL:
    try:
        url = sa.make_url(text)
    except ArgumentError as error:
        raise ConfigError(f"RUSHES_DATABASE_URL is not a database address: {text!r}. Use sqlite:///FILE.") from error
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ConfigError(
            f"RUSHES_DATABASE_URL must be sqlite:///FILE in this release, not {url.get_backend_name()}://."
        )
    return url.set(drivername="sqlite")


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _stamp(connection: sa.Connection) -> None:
    connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{tables.HEAD}')")


def _writer_settings(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's own would come too late
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: sa.Connection) -> None:
    # A transaction that first reads and then writes would otherwise fail with "locked" in mid-way.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _reader_settings(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    for pragma in ("query_only=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _in_words(error: DBAPIError, url: sa.URL) -> RushesError:
    """A driver's error as one of ours."""
    words = str(error.orig)
    path = url.database
    known: dict[str, Any] = {
        "disk is full": StoreFull(f"The disk of {path} is full. Free some space; the jobs go on from where they are."),
        "disk I/O error": StoreFull(f"{path} cannot be written: {words}. Is the disk full or failing?"),
        "readonly": ConfigError(f"{path} cannot be written. Check its permissions, or set RUSHES_HOME."),
        "unable to open": ConfigError(f"{path} cannot be opened. Check its folder, or set RUSHES_HOME."),
        "not a database": ConfigError(f"{path} is not a rushes database. Move it away, or set RUSHES_HOME."),
        "malformed": ConfigError(f"{path} is damaged ({words}). Restore it from a backup."),
        "locked": ConfigError(f"{path} is locked by another program for longer than {BUSY_TIMEOUT_MS // 1000} s."),
    }
    for part, translated in known.items():
        if part in words:
            return translated
    return RushesError(f"The database said: {words}")

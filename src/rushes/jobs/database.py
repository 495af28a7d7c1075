"""The ledger's database, whichever it is: how it is opened, written and read, and brought from release to release.

`sqlite.py` and `postgres.py` hold what differs. Both keep the same promises: one transaction writes at a time over
all processes, so that a rule proven on one database holds on the other; when a write has returned, it survives a
power cut, and that is what the money rule asks for; what one read sees belongs to one moment. No foreign call and no
await may happen inside a transaction; `write` and `read` therefore take a plain function and run it on a thread.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rushes.errors import ConfigError, DatabaseAway, NewerDatabase, RushesError
from rushes.jobs import tables

T = TypeVar("T")

# Not `USER:PASSWORD@HOST`: what looks like a password in an address is taken out of every message.
FORMS = "sqlite:///FILE or postgresql://HOST/NAME (USER:PASSWORD@ goes before HOST)"

WRITE_NOTHING_NEW = sa.text("UPDATE alembic_version SET version_num = version_num")


class Upgrade(NamedTuple):
    """The versions of the tables that were found and that were left; None where there were no tables."""

    before: str | None
    after: str | None


class Database(ABC):
    """The ledger's database. Open it with `Database.open`, close it when done."""

    def __init__(self, url: sa.URL, *, readers: int) -> None:
        self.url = url
        self._write_turn = anyio.Lock()
        self._write_thread = anyio.CapacityLimiter(1)
        self._read_threads = anyio.CapacityLimiter(readers)

    # -- opening and closing -----------------------------------------------------------------------

    @classmethod
    async def open(cls, url_text: str) -> "Database":
        """Open it with the tables of this release: made where there are none, migrated in an older file.

        Raises ConfigError, NewerDatabase, DatabaseAway or StoreFull in words a person can act on. Older tables on a
        server are refused: workers of the older release may be busy with them, so a person says when.
        """
        database = _at(url_text)
        await anyio.to_thread.run_sync(database._prepare, database.migrates_itself)
        return database

    @classmethod
    async def upgrade(cls, url_text: str) -> Upgrade:
        """Bring the tables up to date, on whichever database. Raises as `open` does."""
        database = _at(url_text)
        done = await anyio.to_thread.run_sync(database._prepare, True)
        database.close()
        return done

    @classmethod
    async def version(cls, url_text: str) -> str | None:
        """The version of the tables as they are; None where there are none yet. Changes nothing."""
        database = _at(url_text)
        try:
            return await anyio.to_thread.run_sync(database._version)
        finally:
            database.close()

    @abstractmethod
    def close(self) -> None: ...

    # -- what it is --------------------------------------------------------------------------------

    @property
    def path(self) -> Path | None:
        """The file, where it is one."""
        return None

    @property
    @abstractmethod
    def where(self) -> str:
        """What to call it in messages; never with a password."""

    @property
    @abstractmethod
    def migrates_itself(self) -> bool:
        """Whether opening older tables migrates them."""

    async def kind(self) -> str:
        """The kind and the version of the database, for people."""
        return await self.read(self._kind)

    async def check_writable(self) -> None:
        """Raise what a write would run into now."""
        await self.write(lambda connection: connection.execute(WRITE_NOTHING_NEW))

    # -- writing and reading -----------------------------------------------------------------------

    async def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one durable transaction; nothing of it remains if it raises.

        Not given up on cancellation: a transaction that has begun is finished, so that what the caller was told
        and what the database says never differ. Raises IntegrityError as it is, all other trouble as RushesError;
        a DatabaseAway leaves it open whether the change was kept, and is never repeated here.
        """
        # Waiting for the turn may be cancelled; once it is ours, the thread is not abandoned.
        async with self._write_turn:
            return await anyio.to_thread.run_sync(self._write, work, limiter=self._write_thread)

    async def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work`, which sees one moment of the database and cannot change it.

        It may be run twice, where a connection had died unnoticed.
        """
        return await anyio.to_thread.run_sync(self._read, work, limiter=self._read_threads)

    @abstractmethod
    async def watch(self, committed: Callable[[], None], somebody_waits: Callable[[], Awaitable[None]]) -> None:
        """Call `committed` after the commits of any process, until cancelled; it may come once too often.

        `somebody_waits` returns when it matters: a database that must be looked at is not looked at before.
        """

    def _write(self, work: Callable[[sa.Connection], T]) -> T:
        with self._words():
            return self._transact(work)

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        with self._words():
            return self._look(work)

    @contextmanager
    def _words(self) -> Generator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise self._in_words(error) from error
        except PoolTimeout as error:
            raise DatabaseAway(f"No connection to {self.where} was free in time. It is tried again.") from error

    @abstractmethod
    def _transact(self, work: Callable[[sa.Connection], T]) -> T: ...

    @abstractmethod
    def _look(self, work: Callable[[sa.Connection], T]) -> T: ...

    @abstractmethod
    def _kind(self, connection: sa.Connection) -> str: ...

    @abstractmethod
    def _in_words(self, error: DBAPIError) -> RushesError:
        """A driver's error as one of ours."""

    # -- from one release's tables to the next -----------------------------------------------------

    def _prepare(self, migrate: bool) -> Upgrade:
        try:
            return self._bring_up_to_date(migrate)
        except BaseException:
            self.close()
            raise

    def _bring_up_to_date(self, migrate: bool) -> Upgrade:
        before = self._version()
        found = before or self._write(self._create)
        if found == tables.HEAD:
            return Upgrade(before, found)
        if found not in tables.KNOWN_VERSIONS:
            raise NewerDatabase(
                f"{self.where} was written by a later rushes (its tables are at {found}, this one knows "
                f"{tables.HEAD}). Upgrade rushes, or name another database."
            )
        if not migrate:
            raise ConfigError(
                f"The tables of {self.where} are of an earlier release ({found}; this one needs {tables.HEAD}). "
                "Stop the workers of that release, then run: rushes db upgrade"
            )
        self._write(self._migrate)
        return Upgrade(before, tables.HEAD)

    def _create(self, connection: sa.Connection) -> str:
        """Make the tables, unless another process was quicker. Returns their version."""
        found = version_of(connection)
        if found is not None:
            return found
        if self._is_foreign(sa.inspect(connection).get_table_names()):
            raise ConfigError(f"{self.where} belongs to another program. Set RUSHES_DATABASE_URL or RUSHES_HOME.")
        tables.metadata.create_all(connection)
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version "
            "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
        connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{tables.HEAD}')")
        return tables.HEAD

    def _migrate(self, connection: sa.Connection) -> None:
        from rushes.jobs.migrations import upgrade

        upgrade(connection)

    @abstractmethod
    def _is_foreign(self, found: list[str]) -> bool:
        """Whether tables of these names, without a version of ours, mean that another program lives there."""

    @abstractmethod
    def _version(self) -> str | None:
        """The version of the tables, without waiting for those who write where that can be."""


def version_of(connection: sa.Connection) -> str | None:
    """The version that the tables say they are at; None without tables of ours."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _at(text: str) -> Database:
    """The database of an address, not yet connected. Each kind is loaded when it is used."""
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError) as error:
        # Not shown: what cannot be parsed may have a password in any place.
        raise ConfigError(
            f"RUSHES_DATABASE_URL is not a database address. Use {FORMS}, with special characters as %XX."
        ) from error
    if url.get_backend_name() in ("postgresql", "postgres"):
        from rushes.jobs.postgres import PostgresDatabase

        return PostgresDatabase(url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith(":"):
        raise ConfigError(f"RUSHES_DATABASE_URL must be {FORMS}, not {url.get_backend_name()}://.")
    from rushes.jobs.sqlite import SqliteDatabase

    return SqliteDatabase(url)

"""The ledger on a PostgreSQL server: the same promises as a file's, for workers on any number of machines.

Writers take turns by an advisory lock, their transaction's first statement. Whatever may hold the others up is
bounded: who stops inside a transaction loses it, who waits too long is told so, a dead host's connection is dropped.
Loaded only where the address asks for it, and with it the driver.
"""

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread
import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from rushes.errors import ConfigError, DatabaseAway, RushesError
from rushes.jobs.database import Database, version_of
from rushes.jobs.postgres_errors import in_words, is_refusal
from rushes.jobs.tables import metadata

T = TypeVar("T")

READERS = 3
LISTEN_AGAIN_S = 1.0
OLDEST_SERVER = 13

WRITE_TURN = 0x7275_7368_6573_0001
"""The advisory lock of those who write ("rushes", 1)."""
CHANNEL = "rushes_commits"

CONNECTION = {
    "connect_timeout": 5,  # s
    # A host that is gone without a word is noticed within 10 s: silence for 4 s, then three unanswered questions.
    "keepalives": 1,
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # ms
    "application_name": "rushes",
}
"""For the client's side of each connection; what the address says itself wins."""

SESSION = {
    # A transaction is one thread's work without a pause, so this long a silence means a stopped or lost process.
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "30s",
    "statement_timeout": "60s",
    "idle_session_timeout": "0",  # our locks and our ear live as long as their connections
    # The server's side: a worker on a dead host frees its lock within 10 s.
    "tcp_keepalives_idle": "4",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}

# Older servers lack some of them.
SET_UP = """SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS ours (name, value)
WHERE current_setting(name, true) IS NOT NULL"""
# A commit that has returned survives a power cut. Stricter settings, for replicas, are the server's affair.
DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
TAKE_TURN = sa.text(f"SELECT pg_advisory_xact_lock({WRITE_TURN})")
# Only a transaction that changed something has a number. Told with its commit, or not at all.
TELL = sa.text(f"SELECT pg_notify('{CHANNEL}', '') WHERE pg_current_xact_id_if_assigned() IS NOT NULL")

HOLD_PLACE = sa.text("SELECT set_config('lock_timeout', '2s', false), pg_advisory_lock(:key)")
FREE_PLACES = sa.text(
    "SELECT key FROM unnest(CAST(:keys AS bigint[])) AS asked (key) WHERE pg_try_advisory_xact_lock_shared(key)"
)


class PostgresDatabase(Database):
    """A database on a server. Our tables are in its default schema."""

    def __init__(self, url: sa.URL) -> None:
        url = url.set(drivername="postgresql+psycopg")
        super().__init__(url, readers=READERS)
        self._writer = self._engine(pool_size=1, max_overflow=0, isolation_level="READ COMMITTED")
        # A read of several statements sees one moment, as it does in a file.
        self._readers = self._engine(
            pool_size=READERS,
            max_overflow=0,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )
        self._aside = self._engine(poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def _engine(self, **options: Any) -> sa.Engine:
        ours = {name: value for name, value in CONNECTION.items() if name not in self.url.query}
        engine = sa.create_engine(self.url, connect_args=ours, use_native_hstore=False, hide_parameters=True, **options)
        event.listen(engine, "connect", _set_up)
        return engine

    @property
    def where(self) -> str:
        return self.url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)

    @property
    def migrates_itself(self) -> bool:
        return False

    def close(self) -> None:
        self._writer.dispose()
        self._readers.dispose()

    def connect_aside(self) -> sa.Connection:
        """A connection beside the pools, without transactions, for what lives as long as it does. Close it.

        Raises DBAPIError. To be called on a thread.
        """
        return self._aside.connect()

    # -- writing and reading -----------------------------------------------------------------------

    def _transact(self, work: Callable[[sa.Connection], T]) -> T:
        with self._in_turn() as connection:
            result = work(connection)
            connection.execute(TELL)
            try:
                connection.commit()
            except DBAPIError as error:
                if is_refusal(error):
                    raise
                raise DatabaseAway(
                    f"The connection to {self.where} was lost during a commit, so it is not known whether the last "
                    "change was kept. What it says when it is back is what holds."
                ) from error
            return result

    def _in_turn(self) -> sa.Connection:
        """A connection with a transaction whose turn it is. It may be one that the pool did not know to be dead: then
        nothing was done yet, and another is taken."""
        for last_try in (False, True):
            connection = self._writer.connect()
            try:
                connection.execute(TAKE_TURN)
                return connection
            except DBAPIError as error:
                connection.close()
                if last_try or not error.connection_invalidated:
                    raise
        raise AssertionError("unreachable")

    def _look(self, work: Callable[[sa.Connection], T]) -> T:
        try:
            with self._readers.connect() as connection:
                return work(connection)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        with self._readers.connect() as connection:
            return work(connection)

    async def watch(self, committed: Callable[[], None], somebody_waits: Callable[[], Awaitable[None]]) -> None:
        """By a connection that listens, made anew when it is lost. While there is none, nothing is told."""
        while True:
            try:
                connection = await anyio.to_thread.run_sync(self._listen)
            except DBAPIError:
                await anyio.sleep(LISTEN_AGAIN_S)
                continue
            try:
                committed()  # while nobody listened, there may have been some
                await _hear(_driver(connection), committed)
            except (psycopg.Error, OSError):
                await anyio.sleep(LISTEN_AGAIN_S)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(_drop, connection)

    def _listen(self) -> sa.Connection:
        connection = self.connect_aside()
        try:
            connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        except DBAPIError:
            _drop(connection)
            raise
        return connection

    # -- tables ------------------------------------------------------------------------------------

    def _version(self) -> str | None:
        return self._read(version_of)

    def _is_foreign(self, found: list[str]) -> bool:
        return not metadata.tables.keys().isdisjoint(found)  # others may live beside us under other names

    def _migrate(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        super()._migrate(connection)

    def _kind(self, connection: sa.Connection) -> str:
        version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        return f"PostgreSQL {str(version).split()[0]}"

    def _in_words(self, error: DBAPIError) -> RushesError:
        return in_words(error, self.where)


def _set_up(connection: "psycopg.Connection[Any]", record: ConnectionPoolEntry) -> None:
    try:
        _check(connection)
        transactions = not connection.autocommit
        connection.autocommit = True
        connection.execute(SET_UP, [list(SESSION), list(SESSION.values())])
        connection.execute(DURABLE)
        connection.autocommit = not transactions
    except BaseException:
        connection.close()
        raise


def _check(connection: "psycopg.Connection[Any]") -> None:
    """Raises ConfigError for a server that we cannot use."""
    info = connection.info
    if info.server_version < OLDEST_SERVER * 10_000:
        raise ConfigError(f"PostgreSQL {info.server_version // 10_000} is too old; rushes needs {OLDEST_SERVER}.")
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConfigError(
            f"The database {info.dbname} keeps text as {encoding}, which cannot hold every prompt. Make another: "
            f"createdb --encoding=UTF8 --template=template0 NAME"
        )


async def _hear(driver: "psycopg.Connection[Any]", committed: Callable[[], None]) -> None:
    """Call `committed` for each batch of notifications, until the connection breaks."""
    while True:
        # First: one may have come in together with the answer to LISTEN.
        if list(driver.notifies(timeout=0)):
            committed()
        await anyio.wait_readable(driver.fileno())


def _driver(connection: sa.Connection) -> "psycopg.Connection[Any]":
    driver = cast("psycopg.Connection[Any] | None", connection.connection.driver_connection)
    assert driver is not None
    return driver


def _drop(connection: sa.Connection) -> None:
    connection.invalidate()
    connection.close()


class ServerPresence:
    """A worker's place, kept by an advisory lock under its id on a connection that serves nothing else.

    The server frees the lock with the connection: at once when the process dies, within 10 s when its host does.
    """

    def __init__(self, db: PostgresDatabase) -> None:
        self._db = db
        self._id: str | None = None
        self._connection: sa.Connection | None = None
        self._turn = anyio.Lock()

    async def take(self, worker_id: str) -> bool:
        async with self._turn:
            if self._connection is None:
                self._connection = await anyio.to_thread.run_sync(self._take, worker_id)
            self._id = worker_id if self._connection is not None else None
            return self._connection is not None

    async def still_here(self) -> bool:
        async with self._turn:
            if self._connection is None:
                return False
            if await anyio.to_thread.run_sync(_succeeds, self._connection, "SELECT 1"):
                return True
            await self._let_go()
            return False

    async def gone(self, worker_ids: Collection[str]) -> frozenset[str]:
        others = sorted({*worker_ids} - {self._id})
        return await self._db.read(lambda connection: _free(connection, others)) if others else frozenset()

    async def anybody(self, worker_ids: Collection[str]) -> bool:
        others = frozenset(worker_ids) - {self._id}
        return bool(others - await self.gone(others))

    async def leave(self) -> None:
        async with self._turn:
            with anyio.CancelScope(shield=True):
                if self._connection is not None:
                    # Said, not only done: otherwise the place is free a moment after we have left.
                    await anyio.to_thread.run_sync(_succeeds, self._connection, "SELECT pg_advisory_unlock_all()")
                await self._let_go()

    async def _let_go(self) -> None:
        connection, self._connection, self._id = self._connection, None, None
        if connection is not None:
            await anyio.to_thread.run_sync(_drop, connection)

    def _take(self, worker_id: str) -> sa.Connection | None:
        connection: sa.Connection | None = None
        try:
            connection = self._db.connect_aside()
            # Waited for: who asks whether we are gone has the lock for a moment.
            connection.execute(HOLD_PLACE, {"key": place_key(worker_id)})
        except DBAPIError as error:
            if connection is not None:
                _drop(connection)
            if isinstance(error.orig, psycopg.errors.LockNotAvailable):
                return None
            raise in_words(error, self._db.where) from error
        return connection


def place_key(worker_id: str) -> int:
    """The advisory lock of a worker: 64 bits of its id's hash."""
    return int.from_bytes(hashlib.sha256(f"rushes worker {worker_id}".encode()).digest()[:8], signed=True)


def _free(connection: sa.Connection, worker_ids: Sequence[str]) -> frozenset[str]:
    """Those whose lock can be had. It is shared, so that many may ask at once, and given back with the transaction."""
    keys = {place_key(worker_id): worker_id for worker_id in worker_ids}
    return frozenset(keys[key] for key in connection.execute(FREE_PLACES, {"keys": list(keys)}).scalars())


def _succeeds(connection: sa.Connection, statement: str) -> bool:
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError:
        return False
    return True

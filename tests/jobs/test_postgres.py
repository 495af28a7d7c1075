"""The ledger on a PostgreSQL server: turns, losses, restarts, places, and what is said when something is wrong."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.lowlevel
import create_in_a_process
import hold_in_a_process
import pytest
import sqlalchemy as sa
import write_in_a_process
from cutting_proxy import CuttingProxy
from sqlalchemy.exc import DBAPIError

from rushes.errors import ConfigError, DatabaseAway, RequestError, RushesError, StoreFull
from rushes.jobs import store
from rushes.jobs.database import Database
from rushes.jobs.events import Changes
from rushes.jobs.presence import Presence, presence_for
from rushes.testing.postgres import PostgresServer

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
PLACES = (
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid() "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture
async def db(postgres_url: str) -> AsyncIterator[Database]:
    db = await Database.open(postgres_url)
    yield db
    db.close()


@pytest.fixture
async def other(postgres_url: str) -> AsyncIterator[Database]:
    """The same database, as another process has it."""
    db = await Database.open(postgres_url)
    yield db
    db.close()


@pytest.fixture
async def presence(db: Database) -> AsyncIterator[Presence]:
    presence = presence_for(db)
    yield presence
    await presence.leave()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    with PostgresServer(fsync="off") as server:
        yield server


def note(kind: str = "noted") -> Callable[[sa.Connection], None]:
    return lambda connection: store.insert_event(connection, "video_1", kind, NOW)


async def kinds(db: Database) -> list[str]:
    events = await db.read(lambda connection: store.events_after(connection, 0, limit=100_000))
    return [event.kind for event in events]


async def until(true: Callable[[], bool], at_most_s: float = 10.0) -> None:
    with anyio.fail_after(at_most_s):
        while not true():
            await anyio.sleep(0.01)


@contextmanager
def holder(*arguments: str) -> Generator["subprocess.Popen[str]"]:
    """A process that has a place, or the turn to write. Killed at the end if it lives."""
    command = [sys.executable, hold_in_a_process.__file__, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "here\n"
        yield process
    finally:
        process.kill()
        process.communicate()


# -- turns -----------------------------------------------------------------------------------------


async def test_processes_that_create_the_same_database_at_once_all_succeed(
    empty_postgres_url: str, tmp_path: Path
) -> None:
    go = tmp_path / "now"
    command = [sys.executable, create_in_a_process.__file__, empty_postgres_url, str(go)]
    done: list[subprocess.CompletedProcess[bytes]] = []

    async def run() -> None:
        done.append(await anyio.run_process(command, check=False))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(run)
            await anyio.sleep(1.5)
            go.touch()

    assert [process.returncode for process in done] == [0] * 4, [process.stderr.decode() for process in done]
    db = await Database.open(empty_postgres_url)
    assert await kinds(db) == ["opened"] * 4
    db.close()


async def test_a_reader_sees_every_event_of_many_writers_in_order(db: Database, postgres_url: str) -> None:
    count = 500
    seen: list[int] = []
    ended: list[int] = []

    async def write(name: str) -> None:
        command = [sys.executable, write_in_a_process.__file__, postgres_url, name, str(count)]
        ended.append((await anyio.run_process(command, check=False)).returncode)

    with anyio.fail_after(90):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write, "video_1")
            tasks.start_soon(write, "video_2")
            while len(seen) < 2 * count and not any(ended):
                after = seen[-1] if seen else 0
                new = await db.read(lambda connection, after=after: store.events_after(connection, after))
                seen += [event.id for event in new]
                await anyio.lowlevel.checkpoint()

    assert ended == [0, 0]
    assert seen == list(range(1, 2 * count + 1)), "an id that came late would be missing here: it is never asked again"


async def test_a_transaction_sees_what_the_one_before_it_did(db: Database, other: Database) -> None:
    def count_up(connection: sa.Connection) -> None:
        found = len(store.events_after(connection, 0))
        store.insert_event(connection, "video_1", str(found), NOW)

    async with anyio.create_task_group() as tasks:
        for n in range(40):
            tasks.start_soon((db, other)[n % 2].write, count_up)

    assert await kinds(db) == [str(n) for n in range(40)]


@pytest.mark.slow
async def test_who_stops_inside_a_transaction_loses_it_and_holds_up_nobody_for_long(
    db: Database, postgres_url: str
) -> None:
    with holder(postgres_url, "turn") as process:
        process.send_signal(signal.SIGSTOP)
        before = time.monotonic()
        await db.write(note("went on"))
        waited_s = time.monotonic() - before
        process.send_signal(signal.SIGCONT)
        told = process.communicate(timeout=20)[0]

    assert 5 < waited_s < 15
    assert told == "lost\n"
    assert await kinds(db) == ["went on"]


# -- what is kept ----------------------------------------------------------------------------------


async def test_what_raises_in_a_write_leaves_nothing(db: Database) -> None:
    def work(connection: sa.Connection) -> None:
        note()(connection)
        raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed my mind"):
        await db.write(work)

    assert await kinds(db) == []


async def test_an_error_that_is_swallowed_inside_a_write_does_not_pass_for_a_commit(db: Database) -> None:
    def work(connection: sa.Connection) -> None:
        note()(connection)
        try:
            connection.execute(sa.text("SELECT 1 / 0"))
        except DBAPIError:
            return

    with pytest.raises(RushesError, match="aborted"):
        await db.write(work)

    assert await kinds(db) == []


async def test_a_write_that_is_cancelled_after_it_began_is_finished(db: Database) -> None:
    began, go_on = threading.Event(), threading.Event()

    def work(connection: sa.Connection) -> None:
        began.set()
        go_on.wait(5)
        note()(connection)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(db.write, work)
        await until(began.is_set)
        tasks.cancel_scope.cancel()
        go_on.set()

    assert await kinds(db) == ["noted"]


async def test_writes_are_durable_even_where_the_server_is_told_otherwise(
    postgres: PostgresServer, postgres_url: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} SET synchronous_commit = off")
    db = await Database.open(postgres_url)

    found = await db.write(lambda connection: connection.execute(sa.text("SHOW synchronous_commit")).scalar())

    db.close()
    assert found == "on"


async def test_a_commit_whose_answer_is_lost_is_told_and_not_repeated(
    postgres: PostgresServer, postgres_url: str, db: Database
) -> None:
    with CuttingProxy(postgres.port).running() as proxy:
        cut = await Database.open(postgres_url.replace(f":{postgres.port}/", f":{proxy.port}/"))
        proxy.armed = True

        with pytest.raises(DatabaseAway, match="lost during a commit, so it is not known whether"):
            await cut.write(note("once"))
        await until(lambda: proxy.cuts == 1)
        await cut.write(note("after"))
        cut.close()

    assert await kinds(db) == ["once", "after"]


async def test_a_read_sees_one_moment(db: Database, other: Database) -> None:
    began, go_on = threading.Event(), threading.Event()
    counts: list[int] = []

    def look(connection: sa.Connection) -> None:
        counts.append(len(store.events_after(connection, 0)))
        began.set()
        go_on.wait(5)
        counts.append(len(store.events_after(connection, 0)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(db.read, look)
        await until(began.is_set)
        await other.write(note())
        go_on.set()

    assert counts == [0, 0]
    assert await kinds(db) == ["noted"]


async def test_a_reader_cannot_write(db: Database) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        await db.read(note())


# -- a server that comes and goes ------------------------------------------------------------------


async def test_after_a_restart_the_next_call_works_again(own_server: PostgresServer) -> None:
    db = await Database.open(own_server.create())
    await db.write(note("before"))
    await kinds(db)

    own_server.restart()
    await db.write(note("written at once"))
    own_server.restart()
    found = await kinds(db)
    db.close()

    assert found == ["before", "written at once"]


async def test_while_the_server_is_away_that_is_what_is_said(own_server: PostgresServer) -> None:
    url = own_server.create()
    db = await Database.open(url)
    own_server.stop()

    with pytest.raises(DatabaseAway, match=r"cannot be reached .* All goes on when it is back"):
        await db.write(note())
    with pytest.raises(DatabaseAway):
        await kinds(db)
    with pytest.raises(DatabaseAway):
        await presence_for(db).gone(["somebody"])
    with pytest.raises(DatabaseAway):
        await Database.open(url)
    own_server.start()
    await db.write(note("back"))
    found = await kinds(db)
    db.close()

    assert found == ["back"]


@pytest.mark.parametrize("how", ["INT", "QUIT"])
async def test_what_was_written_when_the_server_was_restarted_is_there_or_was_refused(
    own_server: PostgresServer, how: str
) -> None:
    db = await Database.open(own_server.create())
    kept: list[str] = []
    refused: list[str] = []
    over = anyio.Event()

    async def write() -> None:
        for n in range(100_000):
            if over.is_set() and len(kept) > 10:
                return
            try:
                await db.write(note(str(n)))
                kept.append(str(n))
            except DatabaseAway:
                refused.append(str(n))
                await anyio.sleep(0.02)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            for _ in range(4):
                await anyio.sleep(0.2)
                await anyio.to_thread.run_sync(own_server.restart, how)
            over.set()

    found = await kinds(db)
    db.close()
    assert refused
    assert len(found) == len(set(found)), "nothing is written twice"
    assert set(kept) <= set(found) <= set(kept) | set(refused)


# -- changes ---------------------------------------------------------------------------------------


async def test_waiters_are_woken_by_a_commit_of_another_process(
    postgres: PostgresServer, db: Database, other: Database
) -> None:
    changes = Changes(db)

    async with changes.running():
        await until(lambda: bool(postgres.run(LISTENERS, db.url.database or "")))
        await changes.wait(0.1)
        took_s: list[float] = []
        for _ in range(5):
            before = time.monotonic()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(other.write, note())
                await changes.wait(5)
            took_s.append(time.monotonic() - before)

    assert max(took_s) < 1.0


async def test_a_commit_between_two_waits_ends_the_second_at_once(
    postgres: PostgresServer, db: Database, other: Database
) -> None:
    changes = Changes(db)

    async with changes.running():
        await until(lambda: bool(postgres.run(LISTENERS, db.url.database or "")))
        await changes.wait(0.1)
        await other.write(note())
        before = time.monotonic()
        await changes.wait(5)
        waited_s = time.monotonic() - before

    assert waited_s < 1.0


async def test_a_write_that_changes_nothing_wakes_nobody(
    postgres: PostgresServer, db: Database, other: Database
) -> None:
    changes = Changes(db)

    async with changes.running():
        await until(lambda: bool(postgres.run(LISTENERS, db.url.database or "")))
        await changes.wait(0.1)
        await other.write(lambda connection: store.events_after(connection, 0))
        with pytest.raises(TimeoutError), anyio.fail_after(0.3):
            await changes.wait(5)


async def test_a_listening_connection_that_is_dropped_is_made_anew(
    postgres: PostgresServer, db: Database, other: Database
) -> None:
    changes, name = Changes(db), db.url.database or ""

    async with changes.running():
        await until(lambda: bool(postgres.run(LISTENERS, name)))
        [(first,)] = postgres.run(LISTENERS, name)
        postgres.run(f"SELECT pg_terminate_backend({first})")
        await until(lambda: bool({pid for (pid,) in postgres.run(LISTENERS, name)} - {first}))
        await changes.wait(0.2)
        await other.write(note())
        before = time.monotonic()
        await changes.wait(5)

    assert time.monotonic() - before < 1.0


async def test_listening_costs_nothing_while_nothing_happens(db: Database) -> None:
    changes = Changes(db)

    async with changes.running():
        await changes.wait(0.3)
        before = time.process_time()
        await changes.wait(2.0)
        cost_s = time.process_time() - before

    assert cost_s < 0.05


# -- places ----------------------------------------------------------------------------------------


async def test_a_place_is_held_until_it_is_left(presence: Presence, other: Database) -> None:
    stranger = presence_for(other)

    assert await presence.take("one")
    assert await presence.still_here()
    assert await presence.gone(["one", "two"]) == {"two"}, "who asks is there himself"
    assert await stranger.gone(["one", "two"]) == {"two"}
    assert (await stranger.anybody(["one"]), await presence.anybody(["one"])) == (True, False)
    assert not await stranger.take("one"), "an id is one process's"
    await presence.leave()
    await presence.leave()

    assert not await presence.still_here()
    assert await stranger.gone(["one"]) == {"one"}
    assert not await stranger.anybody(["one"])


async def test_asking_whether_somebody_is_gone_takes_nobodys_place(presence: Presence, other: Database) -> None:
    stranger = presence_for(other)

    for _ in range(3):
        assert await stranger.gone(["one"]) == {"one"}

    assert await presence.take("one")
    assert await stranger.gone(["one"]) == frozenset()


async def test_a_worker_that_is_killed_is_gone_within_half_a_second(presence: Presence, postgres_url: str) -> None:
    with holder(postgres_url, "place", "one") as process:
        assert await presence.gone(["one"]) == frozenset()
        os.kill(process.pid, signal.SIGKILL)
        before = time.monotonic()
        with anyio.fail_after(5):
            while not await presence.gone(["one"]):
                await anyio.sleep(0.01)

    assert time.monotonic() - before < 0.5


async def test_a_worker_that_is_stopped_is_not_gone(presence: Presence, postgres_url: str) -> None:
    with holder(postgres_url, "place", "one") as process:
        process.send_signal(signal.SIGSTOP)

        assert await presence.gone(["one"]) == frozenset()
        assert await presence.anybody(["one"])


async def test_who_loses_the_connection_knows_that_the_place_is_lost(
    postgres: PostgresServer, presence: Presence, db: Database
) -> None:
    await presence.take("one")
    [(pid,)] = postgres.run(PLACES, db.url.database or "")

    postgres.run(f"SELECT pg_terminate_backend({pid})")

    assert not await presence.still_here()
    assert not await presence.still_here(), "it does not come back by itself"
    assert await presence.take("two")


# -- refused in words ------------------------------------------------------------------------------


def spoken_of(server: PostgresServer, case: str) -> str:
    """The address of a database that cannot be used, for the reason that the case names."""
    if case == "unreachable":
        return "postgresql://me:secret@127.0.0.1:1/rushes"
    if case == "unknown host":
        return "postgresql://me:secret@host.invalid/rushes"
    if case == "no such database":
        return server.url("nowhere", password="secret")
    if case == "no such user":
        return server.url(user="nobody_here", password="secret")
    if case == "option":
        return server.url(password="secret") + "?nonsense=1"
    server.run("DROP DATABASE IF EXISTS other_text")
    server.run("DROP ROLE IF EXISTS locked")
    server.run("DROP ROLE IF EXISTS few")
    if case == "encoding":
        server.run("CREATE DATABASE other_text ENCODING 'LATIN1' TEMPLATE template0")
        return server.url("other_text", password="secret")
    if case == "too many":
        server.run("CREATE ROLE few LOGIN CONNECTION LIMIT 0")
        return server.url(user="few", password="secret")
    server.run("CREATE ROLE locked LOGIN PASSWORD 'right secret'")
    if case == "wrong password":
        return server.url(user="locked", password="secret")
    assert case == "may not create"
    name = server.create().rpartition("/")[2]
    return server.url(name, user="locked", password="right secret")


@pytest.mark.parametrize(
    ("case", "kind", "words"),
    [
        ("unreachable", DatabaseAway, r"cannot be reached \(.*refused.*Is the server running"),
        ("unknown host", DatabaseAway, r"cannot be reached .*Is the server running"),
        ("wrong password", ConfigError, "lets nobody in by this name and password.*Check RUSHES_DATABASE_URL"),
        ("no such user", ConfigError, "lets nobody in by this name"),
        ("no such database", ConfigError, "There is no such database: .*/nowhere.* createdb"),
        ("may not create", ConfigError, "may not do that .*permission denied for schema public.* CREATE"),
        ("encoding", ConfigError, "keeps text as LATIN1.* createdb --encoding=UTF8"),
        ("too many", DatabaseAway, "takes no more connections.* max_connections"),
        ("option", ConfigError, "is not understood .*nonsense.* Check RUSHES_DATABASE_URL"),
    ],
)
async def test_a_database_that_cannot_be_used_is_refused_in_words(
    case: str, kind: type[RushesError], words: str, postgres: PostgresServer
) -> None:
    url = spoken_of(postgres, case)

    with pytest.raises(kind, match=words) as refused:
        await Database.open(url)

    assert type(refused.value) is kind
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("53100", StoreFull, "disk of .* is full"),
        ("57P01", DatabaseAway, "stopped or started"),
        ("40P01", DatabaseAway, "held up for too long"),
        ("25006", ConfigError, "Is it a replica"),
        ("42501", ConfigError, "may not do that"),
        ("22003", RequestError, "does not take this value"),
        ("XX000", RushesError, "The database said"),
    ],
)
async def test_a_servers_complaint_is_told_by_its_kind(
    state: str, kind: type[RushesError], words: str, db: Database
) -> None:
    complain = f"DO $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{state}'; END $$"

    with pytest.raises(kind, match=words) as told:
        await db.write(lambda connection: connection.exec_driver_sql(complain))

    assert "so it is" in str(told.value)


async def test_a_character_that_cannot_be_stored_is_the_requests_fault(db: Database) -> None:
    with pytest.raises(RequestError, match="does not take this value"):
        await db.write(note("\x00"))


async def test_a_lock_that_somebody_keeps_is_waited_for_only_so_long(db: Database, other: Database) -> None:
    began, go_on = threading.Event(), threading.Event()

    def keep(connection: sa.Connection) -> None:
        store.events_after(connection, 0)
        began.set()
        go_on.wait(10)

    def demand(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")
        connection.exec_driver_sql("LOCK TABLE events")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(db.read, keep)
        await until(began.is_set)
        with pytest.raises(DatabaseAway, match="held up for too long"):
            await other.write(demand)
        go_on.set()


async def test_opening_loads_no_migrations_when_nothing_is_due(postgres_url: str) -> None:
    code = f"""
import anyio, sys
from rushes.jobs.database import Database
anyio.run(Database.open, {postgres_url!r}).close()
assert "alembic" not in sys.modules
"""

    result = await anyio.run_process([sys.executable, "-c", code], check=False)

    assert result.returncode == 0, result.stderr.decode()

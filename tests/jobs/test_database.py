"""The database file: opened by several processes, written durably, and refused in words."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import anyio
import create_in_a_process
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from rushes.errors import ConfigError, StoreFull
from rushes.jobs import store
from rushes.jobs.database import Database
from rushes.jobs.sqlite import SqliteDatabase
from rushes.jobs.tables import Instant, Usd

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    db = await Database.open(url(tmp_path / "rushes.db"))
    yield db
    db.close()


def note(kind: str = "noted") -> Callable[[sa.Connection], None]:
    return lambda connection: store.insert_event(connection, "video_1", kind, NOW)


# -- what is loaded --------------------------------------------------------------------------------


async def test_opening_a_database_that_is_up_to_date_loads_neither_migrations_nor_the_other_driver(
    tmp_path: Path,
) -> None:
    path = url(tmp_path / "rushes.db")
    code = f"""
import anyio, sys
from rushes.jobs.database import Database
for _ in range(2):
    anyio.run(Database.open, {path!r}).close()
assert not {{name.partition(".")[0] for name in sys.modules}} & {{"alembic", "psycopg"}}
"""

    result = await anyio.run_process([sys.executable, "-c", code], check=False)

    assert result.returncode == 0, result.stderr.decode()


# -- refused in words ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("mysql://localhost/x", "must be sqlite:///FILE or postgresql://"),
        ("postgresql://me:secret@localhost:port/x", "is not a database address"),
        ("nonsense", "is not a database address"),
        ("sqlite://", "must be sqlite:///FILE"),
    ],
)
async def test_an_address_that_is_none_of_ours_is_refused(address: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        await Database.open(address)

    assert "secret" not in str(refused.value)


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    path.write_bytes(b"these are my holiday notes, not a database\n" * 100)
    before = path.read_bytes()

    with pytest.raises(ConfigError, match="is not a rushes database"):
        await Database.open(url(path))

    assert path.read_bytes() == before


async def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rushes.db").mkdir()

    with pytest.raises(ConfigError, match="cannot be opened"):
        await Database.open(url(tmp_path / "rushes.db"))


async def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")

    with pytest.raises(ConfigError, match="RUSHES_HOME"):
        await Database.open(url(tmp_path / "home" / "rushes.db"))


async def test_a_damaged_database_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "rushes.db"
    db = await Database.open(url(path))
    for _ in range(50):
        await db.write(note("x" * 40))
    db.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)

    with pytest.raises(ConfigError, match="damaged"):
        broken = await Database.open(url(path))
        try:
            await broken.read(lambda connection: store.events_after(connection, 0))
        finally:
            broken.close()


async def test_a_database_that_may_not_grow_says_that_the_disk_is_full(db: Database) -> None:
    def fill(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 60")
        for _ in range(1000):
            store.insert_event(connection, "video_1", "noted", NOW, words="x" * 4000)

    with pytest.raises(StoreFull, match="Free some space"):
        await db.write(fill)

    assert await db.read(lambda connection: store.events_after(connection, 0)) == []


# -- several at once -------------------------------------------------------------------------------


async def test_processes_that_create_the_same_database_at_once_all_succeed(tmp_path: Path) -> None:
    signal = tmp_path / "now"
    command = [sys.executable, create_in_a_process.__file__, url(tmp_path / "rushes.db"), str(signal)]
    done: list[subprocess.CompletedProcess[bytes]] = []

    async def run() -> None:
        done.append(await anyio.run_process(command, check=False))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for _ in range(6):
                tasks.start_soon(run)
            await anyio.sleep(0.8)
            signal.touch()

    db = await Database.open(url(tmp_path / "rushes.db"))
    events = await db.read(lambda connection: store.events_after(connection, 0))
    db.close()
    assert [process.returncode for process in done] == [0] * 6, [process.stderr.decode() for process in done]
    assert [event.id for event in events] == [1, 2, 3, 4, 5, 6]


async def test_writes_are_durable_when_they_return(db: Database) -> None:
    modes = await db.write(
        lambda connection: [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    )

    assert modes == ["wal", 2, 1], "synchronous=FULL: a write that has returned survives a power cut"


async def test_what_raises_in_a_write_leaves_nothing(db: Database) -> None:
    def work(connection: sa.Connection) -> None:
        note()(connection)
        raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed my mind"):
        await db.write(work)

    assert await db.read(lambda connection: store.events_after(connection, 0)) == []


async def test_a_write_that_is_cancelled_after_it_began_is_finished(db: Database) -> None:
    import threading

    began, go_on = threading.Event(), threading.Event()

    def work(connection: sa.Connection) -> None:
        began.set()
        go_on.wait(5)
        note()(connection)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(db.write, work)
        with anyio.fail_after(5):
            while not began.is_set():
                await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
        go_on.set()

    assert len(await db.read(lambda connection: store.events_after(connection, 0))) == 1


async def test_a_reader_cannot_write(db: Database) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        await db.read(note())


async def test_the_change_number_moves_with_every_commit_and_only_then(db: Database) -> None:
    assert isinstance(db, SqliteDatabase)

    first = await db.data_version()
    await db.read(lambda connection: store.events_after(connection, 0))
    second = await db.data_version()
    await db.write(note())
    third = await db.data_version()

    assert first == second
    assert third != second


# -- values ----------------------------------------------------------------------------------------


@given(st.decimals(min_value=0, max_value=10**9, places=6))
def test_dollars_come_back_exactly(usd: Decimal) -> None:
    dialect = sa.create_engine("sqlite://").dialect

    stored = Usd().process_bind_param(usd, dialect)

    assert isinstance(stored, int)
    assert Usd().process_result_value(stored, dialect) == usd


@pytest.mark.parametrize(
    ("usd", "shown"), [("0", "0.00"), ("0.8", "0.80"), ("0.0028", "0.0028"), ("100", "100.00"), ("12.5", "12.50")]
)
def test_dollars_show_at_least_cents_and_no_needless_zeros(usd: str, shown: str) -> None:
    dialect = sa.create_engine("sqlite://").dialect

    stored = Usd().process_bind_param(Decimal(usd), dialect)

    assert str(Usd().process_result_value(stored, dialect)) == shown


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_come_back_to_the_microsecond(moment: datetime) -> None:
    dialect = sa.create_engine("sqlite://").dialect

    stored = Instant().process_bind_param(moment, dialect)

    assert isinstance(stored, int)
    assert Instant().process_result_value(stored, dialect) == moment


def test_nothing_stays_nothing() -> None:
    dialect = sa.create_engine("sqlite://").dialect

    assert Usd().process_bind_param(None, dialect) is Usd().process_result_value(None, dialect) is None
    assert Instant().process_bind_param(None, dialect) is Instant().process_result_value(None, dialect) is None

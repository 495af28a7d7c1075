"""Jobs that an earlier release left in the middle of everything are finished by this one, and nothing is paid twice."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import sqlalchemy as sa
from anatomy import driven
from leave_in_flight import PARKED, PLACE
from workshop import Open

from rushes.config import Settings
from rushes.jobs import migrations, store
from rushes.jobs.database import Database
from rushes.jobs.ledger import JobState, check_attempts
from rushes.jobs.store import Filter
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.fake_openai_jobs import FakeJob

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

LEFT = Path(__file__).parent / "databases"
RELEASES = sorted(path.stem for path in LEFT.glob("*.sql"))
NEVER_SENT = {"Left at job.admitted", "Left at attempt.intended", "Left at attempt.sending", "Left waiting"}
PATIENCE_S = 60.0


def fill(url: str, release: str, place: str) -> None:
    """Make a database's tables as they were, with the rows that were left."""
    script = (LEFT / f"{release}.sql").read_text().replace(PLACE, place)
    old = sqlite3.connect(":memory:")
    old.executescript(script)
    engine = sa.create_engine(driven(url))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        migrations.upgrade(connection, release)
        tables = sa.MetaData()
        tables.reflect(connection)
        for table in tables.sorted_tables:
            if table.name == "alembic_version":
                continue
            names = [column.name for column in table.columns]
            rows = old.execute(f"SELECT {', '.join(names)} FROM {table.name}").fetchall()
            if rows:
                connection.execute(table.insert(), [dict(typed(table, names, row)) for row in rows])
            if table.name == "events" and connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SELECT setval('events_id_seq', (SELECT max(id) FROM events))")
    engine.dispose()
    old.close()


def typed(table: sa.Table, names: list[str], row: tuple[object, ...]) -> Iterator[tuple[str, object]]:
    """SQLite keeps truth as 0 and 1."""
    for name, value in zip(names, row, strict=True):
        truth = isinstance(table.c[name].type, sa.Boolean) and value is not None
        yield name, bool(value) if truth else value


def remember(fake: FakeOpenAI, release: str) -> None:
    """What the far side had accepted, and charged, before the upgrade."""
    for job in json.loads((LEFT / f"{release}.json").read_text()):
        fake.jobs[job["id"]] = FakeJob(job_s=0.0, **job)


@pytest.mark.parametrize("release", RELEASES)
async def test_jobs_in_flight_are_finished_by_the_next_release(
    release: str, home: Settings, database_url: str, opened: Open, fake: FakeOpenAI
) -> None:
    home.home.mkdir()
    await anyio.to_thread.run_sync(fill, database_url, release, f"127.0.0.1:{fake.port}")
    remember(fake, release)
    before = set(fake.jobs)

    await Database.upgrade(database_url)

    async with opened() as shop:
        left = await shop.db.read(lambda connection: store.jobs_matching(connection, Filter(limit=100)))
        with anyio.fail_after(PATIENCE_S):
            for job in left:
                await shop.carry_out(job.id)
        states = {job.prompt: (await shop.job(job.id)).state for job in left}
        for job in left:
            check_attempts(await shop.attempts(job.id))

    assert states.pop(f"Left {PARKED}") is JobState.NEEDS_ATTENTION
    assert set(states.values()) == {JobState.COMPLETED}
    assert {job.prompt for job in fake.jobs.values() if job.id not in before} == NEVER_SENT
    assert fake.book.charged == len(NEVER_SENT)

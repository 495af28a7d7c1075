"""Claims: a job has one worker at a time, and who has lost it can do it no harm."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from test_store import attempt, job

from rushes.jobs import claims, ledger, store
from rushes.jobs.claims import WorkerRow
from rushes.jobs.database import Database
from rushes.jobs.ledger import AttemptState, IllegalMove, Job, JobState, LostClaim
from rushes.providers.terms import RemoteJob

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALICE, BOB = "worker_alice", "worker_bob"


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url)
    for name in (ALICE, BOB):
        row = WorkerRow(id=name, host="here", pid=1, version="1", started_at=NOW)
        await db.write(lambda connection, row=row: claims.enrol(connection, row))
    yield db
    db.close()


def job_id(n: int) -> str:
    return f"video_{n:032x}"


async def admitted(db: Database, n: int = 1, **changes: Any) -> Job:
    one = job(n, **changes)
    await db.write(lambda connection: store.insert_job(connection, one, [one.id]))
    return one


async def claimed(db: Database, worker: str, *job_ids: str) -> list[str]:
    return await db.write(lambda connection: claims.claim(connection, worker, job_ids))


async def row(db: Database, n: int = 1) -> Job:
    found = await db.read(lambda connection: store.job_by_id(connection, job_id(n)))
    assert found is not None
    return found


# -- taking on and putting back --------------------------------------------------------------------


async def test_of_two_workers_one_gets_the_job(db: Database) -> None:
    await admitted(db)

    first = await claimed(db, ALICE, job_id(1))
    second = await claimed(db, BOB, job_id(1))

    assert (first, second) == ([job_id(1)], [])
    assert (await row(db)).worker == ALICE


async def test_more_jobs_than_one_statement_names_are_claimed_in_their_order(db: Database) -> None:
    count = claims.AT_ONCE + 20

    def fill(connection: sa.Connection) -> None:
        for n in range(count):
            store.insert_job(connection, job(n), [job_id(n)])

    await db.write(fill)
    wanted = [job_id(n) for n in reversed(range(count))]

    assert await claimed(db, ALICE, *wanted) == wanted
    assert len(await db.read(lambda connection: claims.held_by(connection, ALICE))) == count


@pytest.mark.parametrize("state", [*sorted(ledger.FINAL_JOB_STATES), JobState.NEEDS_ATTENTION])
async def test_a_job_that_is_over_or_waits_for_a_person_is_not_claimed(db: Database, state: JobState) -> None:
    await admitted(db, state=state)

    assert await claimed(db, ALICE, job_id(1)) == []


async def test_a_job_that_was_put_back_is_anybodys(db: Database) -> None:
    await admitted(db)
    await claimed(db, ALICE, job_id(1))

    await db.write(lambda connection: claims.release(connection, job(1, worker=ALICE)))

    assert await claimed(db, BOB, job_id(1)) == [job_id(1)]


async def test_a_worker_puts_back_only_its_own(db: Database) -> None:
    await admitted(db)
    await claimed(db, ALICE, job_id(1))

    await db.write(lambda connection: claims.release(connection, job(1, worker=BOB)))

    assert (await row(db)).worker == ALICE


async def test_what_was_begun_and_left_behind_is_found_when_its_time_has_come(db: Database) -> None:
    await admitted(db, 1, state=JobState.IN_PROGRESS)
    await admitted(db, 2, state=JobState.IN_PROGRESS, not_before=NOW + timedelta(seconds=10))
    await admitted(db, 3, state=JobState.IN_PROGRESS)
    await admitted(db, 4)  # queued: its lane says when
    await claimed(db, ALICE, job_id(3))

    found = await db.read(lambda connection: claims.left_behind(connection, NOW, 10))
    later = await db.read(lambda connection: claims.left_behind(connection, NOW + timedelta(seconds=11), 10))

    assert [each.id for each in found] == [job_id(1)]
    assert {each.id for each in later} == {job_id(1), job_id(2)}


async def test_the_jobs_of_a_worker_that_died_are_free_and_its_finished_ones_stay_as_they_are(db: Database) -> None:
    await admitted(db, 1)
    await admitted(db, 2)
    await claimed(db, ALICE, job_id(1), job_id(2))
    done = replace(await row(db, 2), state=JobState.CANCELLED, completed_at=NOW, cost_usd=Decimal(0))
    await db.write(lambda connection: store.save_job(connection, done))

    freed = await db.write(lambda connection: claims.dismiss(connection, [ALICE]))

    assert freed == 1
    assert [(await row(db, n)).worker for n in (1, 2)] == [None, ALICE]
    assert [worker.id for worker in await db.read(claims.known_workers)] == [BOB]


# -- who has lost a job can do it no harm ----------------------------------------------------------


async def test_a_write_by_a_worker_that_lost_the_job_changes_nothing(db: Database) -> None:
    await admitted(db)
    await claimed(db, ALICE, job_id(1))
    alices = await row(db)
    await db.write(lambda connection: claims.dismiss(connection, [ALICE]))
    await claimed(db, BOB, job_id(1))

    with pytest.raises(LostClaim):
        await db.write(lambda connection: store.save_job(connection, ledger.moved(alices, JobState.SUBMITTING)))

    assert (await row(db)).state is JobState.QUEUED


async def test_a_job_that_has_gone_on_meanwhile_is_not_turned_back(db: Database) -> None:
    one = await admitted(db, state=JobState.IN_PROGRESS)
    await db.write(lambda connection: store.save_job(connection, ledger.moved(one, JobState.DOWNLOADING)))

    with pytest.raises(IllegalMove):
        await db.write(lambda connection: store.save_job(connection, ledger.moved(one, JobState.CANCELLED)))

    assert (await row(db)).state is JobState.DOWNLOADING


async def test_an_accepted_attempt_is_never_turned_into_a_refused_one(db: Database) -> None:
    one = await admitted(db, state=JobState.SUBMITTING)
    unknown = attempt(one, state=AttemptState.UNKNOWN, remote=None)
    await db.write(lambda connection: store.insert_attempt(connection, unknown))
    accepted = ledger.accepted(unknown, RemoteJob(id="remote"), NOW)
    await db.write(lambda connection: store.save_attempt(connection, accepted))

    with pytest.raises(IllegalMove):
        await db.write(
            lambda connection: store.save_attempt(connection, ledger.refused(unknown, "never_accepted", "No.", NOW))
        )

    [kept] = await db.read(lambda connection: store.attempts_of(connection, one.id))
    assert kept.remote == RemoteJob(id="remote")

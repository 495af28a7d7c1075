"""Every question asked of the database, on a real file and a real server."""

import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import anyio
import anyio.to_thread
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from rushes.jobs import shelf, store
from rushes.jobs.database import Database
from rushes.jobs.ledger import OPEN_JOB_STATES, Attempt, AttemptState, Job, JobState
from rushes.jobs.shelf import AssetRow, VideoRow
from rushes.jobs.store import Filter
from rushes.providers.terms import RemoteJob
from rushes.video import Failure, Size

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = await Database.open(database_url)
    yield db
    db.close()


def job(n: int = 1, **changes: Any) -> Job:
    made = Job(
        id=f"video_{n:032x}",
        owner="local",
        state=JobState.QUEUED,
        model="openai:video:sora-2",
        asked_model="sora-2",
        prompt=f"Cat number {n}",
        fingerprint="f" * 64,
        slot=0,
        priority=0,
        created_at=NOW + timedelta(seconds=n),
        deadline=NOW + timedelta(hours=48),
        prepared_json="{}",
        options_json="{}",
        estimate_usd=Decimal("0.80"),
    )
    return replace(made, **changes)


def attempt(of: Job, n: int = 1, **changes: Any) -> Attempt:
    made = Attempt(
        job_id=of.id,
        n=n,
        provider="openai",
        account="openai@host#1",
        model=of.model,
        state=AttemptState.SENDING,
        key=f"{of.id}-{n}",
        request_hash="h" * 64,
        intent_at=NOW,
    )
    return replace(made, **changes)


async def admit(db: Database, *jobs: Job, flight: str | None = None) -> None:
    def work(connection: sa.Connection) -> None:
        for each in jobs:
            store.insert_job(connection, each, [each.id])
            store.set_flight(connection, each.id, flight)

    await db.write(work)


async def add(db: Database, *attempts: Attempt) -> None:
    await db.write(lambda connection: [store.insert_attempt(connection, each) for each in attempts])


async def listed(db: Database, wanted: Filter) -> list[int]:
    found = await db.read(lambda connection: store.jobs_matching(connection, wanted))
    return [int(each.id[6:], 16) for each in found]


# -- jobs ------------------------------------------------------------------------------------------


async def test_a_job_comes_back_as_it_was_saved(db: Database) -> None:
    full = job(
        state=JobState.FAILED,
        percent=37.5,
        cost_usd=Decimal("0.0028"),
        cached_from="video_a",
        adopted_from="video_b",
        failure=Failure("lost", "nobody knows"),
        trouble="waiting",
        started_at=NOW,
        completed_at=NOW + timedelta(microseconds=1),
        estimate_usd=None,
    )
    await admit(db, job())

    await db.write(lambda connection: store.save_job(connection, full))

    assert await db.read(lambda connection: store.job_by_id(connection, full.id)) == full
    assert await db.read(lambda connection: store.job_by_id(connection, "video_x")) is None


async def test_saving_a_job_never_takes_back_what_another_process_wished(db: Database) -> None:
    mine = job()
    await admit(db, mine)
    await db.write(lambda connection: store.wish_cancel(connection, mine.id))
    await db.write(lambda connection: store.hide(connection, mine.id, NOW))

    await db.write(lambda connection: store.save_job(connection, replace(mine, percent=5.0)))

    saved = await db.read(lambda connection: store.job_by_id(connection, mine.id))
    assert saved == replace(mine, percent=5.0, cancel_requested=True, deleted_at=NOW)


@pytest.mark.parametrize("state", sorted(OPEN_JOB_STATES))
async def test_a_second_equal_job_is_refused_while_one_is_open(state: JobState, db: Database) -> None:
    await admit(db, job(1, state=state), flight="print")

    with pytest.raises(IntegrityError):
        await admit(db, job(2), flight="print")

    joined = await db.read(lambda connection: store.job_in_flight(connection, "local", "print"))
    assert joined is not None
    assert joined.id == job(1).id
    assert await db.read(lambda connection: store.job_by_id(connection, job(2).id)) is None


@pytest.mark.parametrize("state", sorted(set(JobState) - OPEN_JOB_STATES))
async def test_a_second_equal_job_is_admitted_after_the_end(state: JobState, db: Database) -> None:
    await admit(db, job(1, state=state), flight="print")

    await admit(db, job(2), flight="print")

    joined = await db.read(lambda connection: store.job_in_flight(connection, "local", "print"))
    assert joined == job(2)


async def test_equal_jobs_of_two_owners_and_those_without_a_flight_do_not_meet(db: Database) -> None:
    await admit(db, job(1), job(2, owner="somebody"), flight="print")
    await admit(db, job(3), job(4))

    assert await db.read(lambda connection: store.job_in_flight(connection, "nobody", "print")) is None
    assert len(await listed(db, Filter())) == 4


async def test_a_hidden_job_makes_room_for_an_equal_one(db: Database) -> None:
    await admit(db, job(1), flight="print")
    await db.write(lambda connection: store.hide(connection, job(1).id, NOW))

    await admit(db, job(2), flight="print")

    assert await listed(db, Filter()) == [2]
    assert await listed(db, Filter(deleted=True)) == [2, 1]


async def test_jobs_are_listed_newest_first_and_filtered(db: Database) -> None:
    await admit(
        db,
        job(1),
        job(2, state=JobState.COMPLETED, prompt="100% of a DOG"),
        job(3, owner="somebody"),
        job(4, state=JobState.FAILED),
    )

    assert await listed(db, Filter()) == [4, 3, 2, 1]
    assert await listed(db, Filter(limit=2)) == [4, 3]
    assert await listed(db, Filter(owner="somebody")) == [3]
    assert await listed(db, Filter(states=frozenset({JobState.FAILED, JobState.COMPLETED}))) == [4, 2]
    assert await listed(db, Filter(search="dog")) == [2]
    assert await listed(db, Filter(search="100%")) == [2]
    assert await listed(db, Filter(search="1%o")) == [], "a percent sign is a percent sign"


async def test_pages_miss_no_job_and_show_none_twice(db: Database) -> None:
    together = [job(n, created_at=NOW) for n in range(1, 8)]
    await admit(db, *together)

    seen, before = list[int](), None
    while page := await listed(db, Filter(limit=3, before=before)):
        seen += page
        before = job(page[-1]).id

    assert sorted(seen) == list(range(1, 8))


async def test_ids_are_found_by_their_beginning(db: Database) -> None:
    await admit(db, *(job(n) for n in range(5)))

    assert await db.read(lambda connection: store.job_ids_starting(connection, job(4).id)) == [job(4).id]
    assert len(await db.read(lambda connection: store.job_ids_starting(connection, "video_0000"))) == 3
    assert await db.read(lambda connection: store.job_ids_starting(connection, "video%")) == []


async def test_workers_are_given_the_open_jobs_in_order(db: Database) -> None:
    states = list(JobState)
    await admit(db, *(job(n, state=state) for n, state in enumerate(states)), job(90, priority=1), job(91))
    await db.write(lambda connection: store.wish_cancel(connection, job(91).id))
    await db.write(lambda connection: store.wish_cancel(connection, job(states.index(JobState.COMPLETED)).id))

    workable = await db.read(store.workable_jobs)
    wishes = await db.read(store.cancel_wishes)

    expected = [
        job(n).id for n, state in enumerate(states) if not state.final and state is not JobState.NEEDS_ATTENTION
    ]
    assert workable == [job(90).id, *expected, job(91).id]
    assert wishes == [job(91).id]


async def test_finished_equal_jobs_come_newest_first(db: Database) -> None:
    def done(n: int, **changes: Any) -> Job:
        return job(n, **{"state": JobState.COMPLETED, "completed_at": NOW + timedelta(hours=n), **changes})

    await admit(
        db, done(1), done(2), done(3, owner="somebody"), done(4, fingerprint="g" * 64), job(5), done(6, deleted_at=NOW)
    )

    found = await db.read(lambda connection: store.finished_equal(connection, "local", ["f" * 64]))

    assert [each.id for each in found] == [job(2).id, job(1).id]


# -- attempts --------------------------------------------------------------------------------------


async def test_an_attempt_comes_back_as_it_was_saved(db: Database) -> None:
    await admit(db, job())
    first = attempt(job(), state=AttemptState.CREATED)
    await add(db, first)
    remote = RemoteJob(id="r/1=", expires_at=NOW, data={"deep": {"list": [1, "two", None]}})
    full = replace(
        first,
        state=AttemptState.ENDED,
        sent_at=NOW,
        answered_at=NOW,
        ended_at=NOW,
        remote=remote,
        cost_usd=Decimal("12.345678"),
        error_code="code",
        error="words",
        repaid=True,
    )

    await db.write(lambda connection: store.save_attempt(connection, full))

    assert await db.read(lambda connection: store.attempts_of(connection, job().id)) == [full]


async def test_one_remote_job_belongs_to_one_attempt_of_an_account(db: Database) -> None:
    await admit(db, job(1), job(2), job(3))
    same = RemoteJob(id="r1")
    await add(db, attempt(job(1), remote=same), attempt(job(2), remote=same, account="another"))

    with pytest.raises(IntegrityError):
        await add(db, attempt(job(3), remote=same))

    assert await db.read(lambda connection: store.remote_ids_of(connection, "openai@host#1")) == {"r1"}
    assert await db.read(lambda connection: store.remote_ids_of(connection, "nobody")) == frozenset()


async def test_equal_attempts_in_doubt_are_counted(db: Database) -> None:
    await admit(db, *(job(n) for n in range(6)))
    mine = attempt(job(0))
    await add(
        db,
        mine,
        attempt(job(1), state=AttemptState.UNKNOWN),
        attempt(job(2), state=AttemptState.CREATED),
        attempt(job(3), request_hash="other"),
        attempt(job(4), account="another"),
        attempt(job(5), state=AttemptState.REFUSED),
    )

    assert await db.read(lambda connection: store.equal_attempts_in_doubt(connection, mine)) == 2


async def test_durations_are_those_of_the_newest_good_attempts_of_a_model(db: Database) -> None:
    def took(n: int, seconds: float, **changes: Any) -> Attempt:
        ended = NOW + timedelta(hours=n)
        answered = ended - timedelta(seconds=seconds)
        done = attempt(job(n), state=AttemptState.ENDED, answered_at=answered, ended_at=ended)
        return replace(done, **changes)

    await admit(db, *(job(n) for n in range(6)))
    await add(
        db,
        took(1, 100.5),
        took(2, 200),
        took(3, 3, error_code="moderation_blocked"),
        took(4, 4, model="openai:video:other"),
        attempt(job(5), state=AttemptState.CREATED, answered_at=NOW),
    )

    assert await db.read(lambda connection: store.durations_s(connection, job().model)) == [200.0, 100.5]
    assert await db.read(lambda connection: store.durations_s(connection, job().model, 1)) == [200.0]


# -- videos, assets, events ------------------------------------------------------------------------


async def test_a_video_comes_back_as_it_was_saved(db: Database) -> None:
    await admit(db, job())
    full = VideoRow(
        id=job().id,
        job_id=job().id,
        n=0,
        stored_under=job().id,
        format="mp4",
        size=Size(1280, 720),
        seconds=4.004,
        fps=Fraction(24000, 1001),
        has_audio=False,
        sha256="a" * 64,
        size_bytes=5 << 32,
        created_at=NOW,
    )
    before = await db.read(lambda connection: shelf.video_by_id(connection, full.id))

    await db.write(lambda connection: shelf.save_video(connection, full))

    after = await db.read(lambda connection: shelf.video_by_id(connection, full.id))
    assert before == VideoRow(id=full.id, job_id=full.job_id, n=0)
    assert after == full
    assert full.in_library


async def test_videos_are_added_dropped_and_marked_as_gone(db: Database) -> None:
    await admit(db, job())
    extra = [VideoRow(id=f"video_extra{n}", job_id=job().id, n=n, sha256="a" * 64) for n in (1, 2)]
    await db.write(lambda connection: [shelf.insert_video(connection, row) for row in extra])

    await db.write(lambda connection: shelf.drop_video(connection, "video_extra1"))
    await db.write(lambda connection: shelf.mark_gone(connection, ["video_extra2"], NOW))

    rows = await db.read(lambda connection: shelf.videos_of(connection, job().id))
    assert [(row.n, row.in_library, row.gone_at) for row in rows] == [(0, False, None), (2, False, NOW)]


async def test_files_are_used_by_the_videos_of_jobs_that_are_not_deleted(db: Database) -> None:
    await admit(db, job(1), job(2), job(3))

    def work(connection: sa.Connection) -> None:
        for n in (1, 2, 3):
            shelf.save_video(connection, VideoRow(id=job(n).id, job_id=job(n).id, n=0, stored_under=job(1).id))
        store.hide(connection, job(1).id, NOW)

    await db.write(work)

    assert await db.read(lambda connection: shelf.users_of_files(connection, job(1).id)) == 2
    assert await db.read(lambda connection: shelf.users_of_files(connection, "elsewhere")) == 0


async def test_an_asset_is_saved_once_for_each_variant(db: Database) -> None:
    await admit(db, job())
    first = AssetRow(
        video_id=job().id, variant="thumbnail", sha256="a" * 64, size_bytes=5, mime="image/webp", made_by="us"
    )
    second = replace(first, sha256="b" * 64, made_by="provider")

    for row in (first, second):
        await db.write(lambda connection, row=row: shelf.save_asset(connection, row))

    assert await db.read(lambda connection: shelf.assets_of(connection, job().id)) == {"thumbnail": second}


async def test_events_of_all_jobs_have_one_growing_sequence(db: Database) -> None:
    for n in range(6):
        await db.write(lambda connection, n=n: store.insert_event(connection, f"video_{n % 2}", "noted", NOW, n=n))

    every = await db.read(lambda connection: store.events_after(connection, 0))
    later = await db.read(lambda connection: store.events_after(connection, every[3].id))
    of_one = await db.read(lambda connection: store.events_after(connection, 0, "video_1"))
    page = await db.read(lambda connection: store.events_after(connection, 0, limit=2))

    ids = [event.id for event in every]
    assert ids == sorted(set(ids))
    assert [event.data["n"] for event in every] == list(range(6))
    assert [event.data["n"] for event in later] == [4, 5]
    assert [event.data["n"] for event in of_one] == [1, 3, 5]
    assert [event.data["n"] for event in page] == [0, 1]
    assert every[0].ts == NOW


async def test_the_id_of_an_event_is_never_used_again(db: Database) -> None:
    def rolled_back(connection: sa.Connection) -> None:
        store.insert_event(connection, "video_1", "noted", NOW)
        connection.exec_driver_sql("DELETE FROM events")

    await db.write(rolled_back)
    await db.write(lambda connection: store.insert_event(connection, "video_1", "noted", NOW))

    [event] = await db.read(lambda connection: store.events_after(connection, 0))
    assert event.id == 2


async def test_what_one_read_sees_belongs_to_one_moment(db: Database) -> None:
    looked, written = threading.Event(), threading.Event()

    def read(connection: sa.Connection) -> tuple[int, int]:
        first = store.last_event(connection)
        looked.set()
        assert written.wait(10)
        return first, store.last_event(connection)

    async def write() -> None:
        await anyio.to_thread.run_sync(looked.wait, 10)
        await db.write(lambda connection: store.insert_event(connection, job().id, "noted", NOW))
        written.set()

    seen: list[tuple[int, int]] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        seen.append(await db.read(read))

    assert seen == [(0, 0)]
    assert await db.read(store.last_event) == 1

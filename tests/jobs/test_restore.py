"""A restored ledger does not pay again: what may have been sent since the backup is asked for before it is sent."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from workshop import Clock, Crash, Open, Workshop, crashing_at

from rushes.errors import ConfigError, Conflict
from rushes.jobs import claims, ledger, restore, tables
from rushes.jobs.admission import Order
from rushes.jobs.answers import DUPLICATE_ID, RESTORED
from rushes.jobs.claims import WorkerRow
from rushes.jobs.codec import prepared_to_json
from rushes.jobs.database import Database
from rushes.jobs.ledger import Attempt, AttemptState, Job, JobState, Next
from rushes.jobs.presence import presence_for
from rushes.jobs.restore import FarSide, Restored, doubted, put_in_doubt
from rushes.jobs.routes import routes_to_json
from rushes.jobs.submission import submit
from rushes.providers.prepare import Prepared
from rushes.providers.terms import Doubt, RemoteJob
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.fake_zai import FakeZai
from rushes.testing.faults import Fault
from rushes.video import ModelId, Size, VideoRequest

both = [pytest.mark.anyio, pytest.mark.both_databases]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ADMITTED = NOW - timedelta(hours=3)
ZAI = ModelId("zai", "cogvideox-3")


class Backup:
    """Every row of a database at one moment, to be put back later."""

    def __init__(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        self._rows = rows

    @classmethod
    async def of(cls, db: Database) -> "Backup":
        def work(connection: sa.Connection) -> dict[str, list[dict[str, Any]]]:
            return {
                table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
                for table in tables.metadata.sorted_tables
            }

        return cls(await db.read(work))

    async def restore(self, db: Database) -> None:
        def work(connection: sa.Connection) -> None:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(table.delete())
            for table in tables.metadata.sorted_tables:
                if rows := self._rows[table.name]:
                    connection.execute(table.insert(), rows)

        await db.write(work)


async def told(shop: Workshop, *, anyway: bool = False) -> Restored:
    return await put_in_doubt(shop.db, shop.services.registry, shop.services.now(), anyway=anyway)


async def restored(shop: Workshop, backup: Backup) -> Restored:
    """What a person does: put the backup back, then say so."""
    await backup.restore(shop.db)
    return await told(shop)


def shop_with(fake: FakeOpenAI, zai: FakeZai) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": fake.base_url,
        "OPENAI_API_KEY": fake.api_key or "",
        "ZAI_BASE_URL": zai.base_url,
        "ZAI_API_KEY": zai.api_key,
    }


@pytest.fixture
def zai() -> Iterator[FakeZai]:
    with FakeZai(job_s=0.0) as fake:
        yield fake


@pytest.fixture
def clock() -> Clock:
    return Clock()


A_WHILE = timedelta(seconds=10)
"""Longer than a create that the stop has cut off may still take to arrive."""


# -- a provider that can be searched -------------------------------------------------------------------


class TestASearchableProvider:
    pytestmark = both

    async def test_a_job_that_was_sent_after_the_backup_is_found_and_paid_once(
        self, opened: Open, clock: Clock, fake: FakeOpenAI
    ) -> None:
        async with opened(clock=clock) as shop:
            job_id = (await shop.submit()).job_id
            backup = await Backup.of(shop.db)
            await shop.carry_out(job_id)

            done = await restored(shop, backup)
            clock.move(A_WHILE)
            await shop.carry_out(job_id)

            [attempt] = await shop.attempts(job_id)
            assert done == Restored(asked=1, people=0)
            assert (attempt.remote and attempt.remote.id) == fake.book.entries[0].remote_id
            assert (await shop.job(job_id)).state is JobState.COMPLETED
            assert {"restored", "adopted"} <= set(await shop.kinds(job_id))
        assert (fake.book.creates, fake.book.charged) == (1, 1)

    async def test_a_job_that_was_never_sent_is_sent_once(self, opened: Open, clock: Clock, fake: FakeOpenAI) -> None:
        async with opened(clock=clock) as shop:
            job_id = (await shop.submit()).job_id

            await restored(shop, await Backup.of(shop.db))
            clock.move(A_WHILE)
            await shop.carry_out(job_id)

            states = [attempt.state for attempt in await shop.attempts(job_id)]
            hold = await shop.hold(job_id)
            assert states == [AttemptState.REFUSED, AttemptState.ENDED]
            assert hold is not None
            assert (hold["held_usd"], hold["settled_usd"]) == (0, Decimal("0.40"))
        assert (fake.book.creates, fake.book.charged) == (1, 1)

    async def test_one_that_was_refused_first_and_accepted_then_is_paid_once(
        self, opened: Open, clock: Clock, fake: FakeOpenAI
    ) -> None:
        fake.faults.create = [Fault.status(429)]
        async with opened(clock=clock) as shop:
            job_id = (await shop.submit()).job_id
            backup = await Backup.of(shop.db)
            await shop.carry_out(job_id)
            assert len(await shop.attempts(job_id)) == 2

            await restored(shop, backup)
            clock.move(A_WHILE)
            await shop.carry_out(job_id)

            assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert (fake.book.creates, fake.book.charged) == (2, 1)

    @pytest.mark.parametrize("point", ["attempt.intended", "attempt.sending"])
    async def test_one_that_was_about_to_be_sent_is_paid_once(
        self, point: str, opened: Open, clock: Clock, fake: FakeOpenAI
    ) -> None:
        async with opened(reached=crashing_at(point)) as shop:
            job_id = (await shop.submit()).job_id
            with pytest.raises(Crash):
                await shop.carry_out(job_id)
            backup = await Backup.of(shop.db)
        clock.move(A_WHILE)
        async with opened(clock=clock) as shop:
            await shop.carry_out(job_id)
            charged = fake.book.charged

            await restored(shop, backup)
            clock.move(A_WHILE)
            await shop.carry_out(job_id)

            assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert (charged, fake.book.charged) == (1, 1)

    async def test_equal_jobs_of_which_one_was_sent_pay_for_the_other_alone(
        self, opened: Open, clock: Clock, fake: FakeOpenAI
    ) -> None:
        async with opened(clock=clock) as shop:
            ids = [(await shop.submit(cache="off")).job_id for _ in range(2)]
            backup = await Backup.of(shop.db)
            await shop.carry_out(ids[1])

            await restored(shop, backup)
            clock.move(A_WHILE)
            for job_id in ids:
                await shop.carry_out(job_id)

            assert [(await shop.job(job_id)).state for job_id in ids] == [JobState.COMPLETED] * 2
        assert (fake.book.creates, fake.book.charged) == (2, 2)

    async def test_one_that_was_sent_long_after_its_admission_is_found_too(
        self, opened: Open, clock: Clock, fake: FakeOpenAI
    ) -> None:
        async with opened(clock=clock) as shop:
            job_id = (await shop.submit()).job_id
            earlier = tables.jobs.update().values(created_at=shop.services.now() - timedelta(hours=3))
            await shop.db.write(lambda connection: connection.execute(earlier))
            backup = await Backup.of(shop.db)
            await shop.carry_out(job_id)

            await restored(shop, backup)
            clock.move(A_WHILE)
            await shop.carry_out(job_id)

            assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert fake.book.creates == 1

    async def test_nobody_looks_before_a_create_that_was_cut_off_must_have_arrived(
        self, opened: Open, clock: Clock, fake: FakeOpenAI
    ) -> None:
        async with opened(clock=clock) as shop:
            job_id = (await shop.submit()).job_id

            await restored(shop, await Backup.of(shop.db))

            job = await shop.job(job_id)
            assert job.not_before is not None
            assert job.not_before > shop.services.now() + timedelta(seconds=5)

    async def test_a_job_that_was_accepted_before_the_backup_goes_on(self, opened: Open, fake: FakeOpenAI) -> None:
        async with opened(reached=crashing_at("attempt.recorded")) as shop:
            job_id = (await shop.submit()).job_id
            with pytest.raises(Crash):
                await shop.carry_out(job_id)
            backup = await Backup.of(shop.db)
        async with opened() as shop:
            done = await restored(shop, backup)
            await shop.carry_out(job_id)

            assert done == Restored(0, 0)
            assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert fake.book.creates == 1


# -- the others ----------------------------------------------------------------------------------------


class TestTheOtherProviders:
    pytestmark = both

    async def test_where_nobody_can_be_asked_a_person_adopts_and_it_is_paid_once(
        self, opened: Open, clock: Clock, fake: FakeOpenAI, zai: FakeZai
    ) -> None:
        async with opened(clock=clock, environment=shop_with(fake, zai)) as shop:
            job_id = (await shop.submit(model=ZAI, seconds=5)).job_id
            backup = await Backup.of(shop.db)
            await shop.carry_out(job_id)

            await restored(shop, backup)
            clock.move(timedelta(minutes=10))
            await shop.carry_out(job_id)
            asked = await shop.job(job_id)
            await shop.jobs.resolve_adopt(job_id, zai.book.entries[0].remote_id)
            await shop.carry_out(job_id)

            assert asked.state is JobState.NEEDS_ATTENTION
            assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert (zai.book.creates, zai.book.charged) == (1, 1)

    async def test_where_nobody_can_be_asked_one_that_was_never_sent_is_sent_by_decision(
        self, opened: Open, clock: Clock, fake: FakeOpenAI, zai: FakeZai
    ) -> None:
        async with opened(clock=clock, environment=shop_with(fake, zai)) as shop:
            job_id = (await shop.submit(model=ZAI, seconds=5)).job_id
            await restored(shop, await Backup.of(shop.db))
            clock.move(timedelta(minutes=10))
            await shop.carry_out(job_id)
            before = zai.book.creates

            await shop.jobs.resolve_repay(job_id)
            await shop.carry_out(job_id)

            assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert (before, zai.book.charged) == (0, 1)

    async def test_what_costs_nothing_is_repeated_with_its_key(self, opened: Open, clock: Clock) -> None:
        async with opened(clock=clock) as shop:
            draft = shop.prepared(model=ModelId("draft", "animatic"), size=Size(320, 180), extra={"latency_s": 60})
            job_id = (await shop.jobs.submit(Order(routes=(draft,), asked_model="draft"))).job_id

            done = await restored(shop, await Backup.of(shop.db))
            clock.move(timedelta(seconds=20))
            step = await submit(shop.services, job_id)

            [attempt] = await shop.attempts(job_id)
            assert (done, step) == (Restored(asked=1, people=0), Next.WAIT)
            assert (attempt.key, attempt.state) == (f"{job_id}-1", AttemptState.CREATED)


# -- who may say so, and when --------------------------------------------------------------------------


class TestTheCommand:
    pytestmark = both

    async def test_a_second_time_there_is_nothing_to_do(self, opened: Open, clock: Clock) -> None:
        async with opened(clock=clock) as shop:
            await shop.submit()
            first = await restored(shop, await Backup.of(shop.db))

            again = await told(shop)

            assert (first, again) == (Restored(1, 0), Restored(0, 0))

    async def test_it_is_refused_while_a_worker_lives(self, opened: Open, database_url: str) -> None:
        async with opened() as shop:
            job_id = (await shop.submit()).job_id
            elsewhere = await Database.open(database_url)
            worker = presence_for(elsewhere)
            row = WorkerRow(id="worker_a", host="here", pid=1, version="1", started_at=NOW)
            await worker.take(row.id)
            await elsewhere.write(lambda connection: claims.enrol(connection, row))

            with pytest.raises(Conflict, match="Stop every worker"):
                await told(shop)

            await worker.leave()
            elsewhere.close()
            assert (await shop.job(job_id)).state is JobState.QUEUED
            assert await told(shop) == Restored(1, 0)

    async def test_the_claims_of_workers_that_the_backup_knew_are_freed(self, opened: Open) -> None:
        async with opened() as shop:
            job_id = (await shop.submit()).job_id
            row = WorkerRow(id="worker_a", host="here", pid=1, version="1", started_at=NOW)
            await shop.db.write(lambda connection: claims.enrol(connection, row))
            await shop.db.write(lambda connection: claims.claim(connection, row.id, [job_id]))

            await told(shop)

            assert (await shop.job(job_id)).worker is None
            assert await shop.db.read(claims.known_workers) == []

    async def test_without_a_providers_key_it_is_refused_unless_a_person_wants_to_decide(
        self, opened: Open, fake: FakeOpenAI
    ) -> None:
        async with opened() as shop:
            job_id = (await shop.submit()).job_id

        async with opened(environment={"OPENAI_BASE_URL": fake.base_url}) as keyless:
            with pytest.raises(ConfigError, match=r"OPENAI_API_KEY.*--anyway"):
                await told(keyless)
            untouched = await keyless.job(job_id)
            done = await told(keyless, anyway=True)

            job = await keyless.job(job_id)
            assert (untouched.state, done) == (JobState.QUEUED, Restored(asked=0, people=1))
            assert job.state is JobState.NEEDS_ATTENTION
            assert "not set up" in (job.trouble or "")
            await keyless.jobs.resolve_billed(job_id, Decimal(0))
            assert (await keyless.job(job_id)).state is JobState.FAILED


# -- the decision --------------------------------------------------------------------------------------


REQUEST = VideoRequest(prompt="A cat", model=ModelId("openai", "sora-2"), seconds=4, size=Size(1280, 720))
PREPARED = Prepared(request=REQUEST, estimate_usd=Decimal("0.40"))
SEARCHABLE = FarSide(account="openai@host#1", base_url="https://host/v1", doubt=Doubt.LIST, settled_s=65.0)
KEYED = replace(SEARCHABLE, doubt=Doubt.KEY)


def job(state: JobState = JobState.QUEUED, **changes: Any) -> Job:
    made = Job(
        id=f"video_{1:032x}",
        owner="local",
        state=state,
        model="openai:video:sora-2",
        asked_model="sora-2",
        prompt="A cat",
        fingerprint="f" * 64,
        slot=0,
        priority=0,
        created_at=ADMITTED,
        deadline=ADMITTED + timedelta(hours=48),
        prepared_json=prepared_to_json(PREPARED),
        options_json="{}",
        estimate_usd=Decimal("0.40"),
    )
    return replace(made, **changes)


def attempt(state: AttemptState, **changes: Any) -> Attempt:
    begun = ledger.open_attempt(
        job(),
        [],
        provider="openai",
        account="openai@old#0",
        model="openai:video:sora-2",
        request_hash="h",
        now=ADMITTED,
    )
    return replace(begun, state=state, **changes)


def test_a_queued_job_gets_the_attempt_that_would_have_been_sent_first() -> None:
    found = doubted(job(), [], SEARCHABLE, NOW)

    assert found is not None
    put, why = found.attempt, found.why
    assert (put.n, put.key, put.account) == (1, f"{job().id}-1", SEARCHABLE.account)
    assert (put.state, put.error_code) == (AttemptState.UNKNOWN, "restored")
    assert (put.sent_at, put.intent_at) == (ADMITTED, NOW)
    assert (found.job.state, found.job.deadline) == (JobState.SUBMITTING, NOW + timedelta(hours=48))
    assert why is None


@pytest.mark.parametrize(
    "before",
    [attempt(AttemptState.REFUSED), attempt(AttemptState.UNKNOWN, repaid=True)],
    ids=["refused", "repaid"],
)
def test_after_an_attempt_that_does_not_count_the_next_one_is_in_doubt(before: Attempt) -> None:
    found = doubted(job(JobState.SUBMITTING), [before], SEARCHABLE, NOW)

    assert found is not None
    assert (found.attempt.n, found.attempt.key) == (2, f"{job().id}-2")


def test_an_intent_may_have_been_sent_by_whom_the_settings_name_now() -> None:
    found = doubted(job(JobState.SUBMITTING), [attempt(AttemptState.INTENT)], SEARCHABLE, NOW)

    assert found is not None
    assert (found.attempt.n, found.attempt.state) == (1, AttemptState.UNKNOWN)
    assert (found.attempt.account, found.attempt.sent_at) == (SEARCHABLE.account, ADMITTED)


def test_what_was_in_doubt_keeps_its_account_and_its_moment() -> None:
    sent = attempt(AttemptState.SENDING, sent_at=ADMITTED + timedelta(minutes=1))

    found = doubted(job(JobState.SUBMITTING), [sent], SEARCHABLE, NOW)

    assert found is not None
    assert (found.attempt.state, found.attempt.sent_at) == (AttemptState.UNKNOWN, sent.sent_at)
    assert found.attempt.account == "openai@old#0"


@pytest.mark.parametrize(
    ("state", "attempts"),
    [
        (JobState.COMPLETED, []),
        (JobState.FAILED, []),
        (JobState.NEEDS_ATTENTION, [attempt(AttemptState.UNKNOWN)]),
        (JobState.IN_PROGRESS, [attempt(AttemptState.CREATED, remote=RemoteJob(id="v"))]),
        (JobState.DOWNLOADING, [attempt(AttemptState.ENDED, remote=RemoteJob(id="v"))]),
        (JobState.SUBMITTING, [attempt(AttemptState.UNKNOWN, error_code=DUPLICATE_ID)]),
        (JobState.SUBMITTING, [attempt(AttemptState.UNKNOWN, error_code=RESTORED)]),
    ],
)
def test_what_is_sent_no_more_goes_on_as_it_is(state: JobState, attempts: list[Attempt]) -> None:
    assert doubted(job(state), attempts, SEARCHABLE, NOW) is None


@pytest.mark.parametrize(
    ("asked", "far", "why"),
    [
        (job(), None, restore.NOT_SET_UP),
        (job(created_at=NOW - timedelta(hours=21)), SEARCHABLE, restore.TOO_OLD),
        (job(), KEYED, restore.KEY_PROVES_NOTHING),
        (job(estimate_usd=None), KEYED, restore.KEY_PROVES_NOTHING),
        (job(estimate_usd=Decimal(0)), KEYED, None),
        (job(routes_json=routes_to_json([PREPARED, PREPARED])), SEARCHABLE, restore.SEVERAL_ROUTES),
        (job(routes_json=routes_to_json([PREPARED, PREPARED]), route=1), SEARCHABLE, None),
    ],
)
def test_where_an_answer_would_prove_nothing_a_person_decides(asked: Job, far: FarSide | None, why: str | None) -> None:
    found = doubted(asked, [], far, NOW)

    assert found is not None
    assert found.why == why

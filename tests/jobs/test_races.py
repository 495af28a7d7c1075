"""The promise in races: jobs that nobody would take up again, answers that come late, money out of sight."""

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import cast

import anyio
import pytest
import sqlalchemy as sa
import workshop
from PIL import Image
from workshop import PATIENCE_S, SORA, Open, Workshop, settings_for

from rushes.app import App
from rushes.config import ProviderSettings, Settings
from rushes.errors import RushesError
from rushes.http import Http
from rushes.jobs import answers, claims, ledger, reconcile, store
from rushes.jobs.admission import Order
from rushes.jobs.claims import WorkerRow
from rushes.jobs.events import Changes
from rushes.jobs.ledger import AttemptState, JobState, Next
from rushes.jobs.services import Case, PutBack, Services
from rushes.jobs.submission import submit
from rushes.jobs.tables import jobs as jobs_table
from rushes.jobs.waiting import LOOKS_PER_S, Waiting
from rushes.jobs.worker import Worker
from rushes.media.children import Children
from rushes.planning import Wish
from rushes.providers.registry import Registry
from rushes.providers.terms import RemoteJob
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble
from rushes.testing.servers.vllm_omni import FakeVllmOmni
from rushes.video import MediaRef, ModelId, Size

pytestmark = pytest.mark.anyio

SPARE = ModelId("spare", "sora-2-pro")
CUT_THE_OTHERS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
    "AND datname = current_database()"
)
OURS, THEIRS = "worker_ours", "worker_theirs"


@pytest.fixture
def spare() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as spare:
        yield spare


def wish(prompt: str = "A cat") -> Wish:
    return Wish(prompt=prompt, model=str(SORA), seconds=4)


@asynccontextmanager
async def an_app(settings: Settings) -> AsyncGenerator[App]:
    with anyio.fail_after(60):
        async with App(settings, leave_worker=False) as app:
            yield app


async def until(true: Callable[[], Awaitable[bool]], at_most_s: float = PATIENCE_S) -> None:
    with anyio.fail_after(at_most_s):
        while not await true():
            await anyio.sleep(0.02)


async def submitted(app: App, prompt: str = "A cat") -> str:
    [admission] = await app.submit(await app.plan(wish(prompt)))
    return admission.job_id


async def state_of(app: App, job_id: str) -> JobState:
    return (await app.jobs.get(job_id)).state


def as_worker(shop: Workshop, worker_id: str) -> Services:
    return replace(shop.services, worker_id=worker_id)


async def enrol(shop: Workshop, worker_id: str) -> None:
    row = WorkerRow(id=worker_id, host="here", pid=1, version="0", started_at=datetime.now(UTC))
    await shop.db.write(lambda connection: claims.enrol(connection, row))


async def claim(shop: Workshop, worker_id: str, job_id: str) -> list[str]:
    return await shop.db.write(lambda connection: claims.claim(connection, worker_id, [job_id]))


async def take_over(shop: Workshop, job_id: str) -> None:
    """The others find us gone; we live."""
    await shop.db.write(lambda connection: claims.dismiss(connection, [OURS]))
    await enrol(shop, THEIRS)
    await claim(shop, THEIRS, job_id)


async def sent_by_us(shop: Workshop) -> tuple[str, Case]:
    """A job of which we have just sent the create: durable on its way, the answer not here yet."""
    job_id = (await shop.submit()).job_id
    await enrol(shop, OURS)
    await claim(shop, OURS, job_id)
    services = as_worker(shop, OURS)
    case = await services.load(job_id)
    now = services.now()
    attempt = ledger.open_attempt(
        case.job,
        case.attempts,
        provider="openai",
        account=services.registry.provider("openai").account,
        model=case.job.model,
        request_hash="h",
        now=now,
    )

    def work(connection: sa.Connection) -> None:
        store.insert_attempt(connection, attempt)
        store.save_job(connection, ledger.moved(case.job, JobState.SUBMITTING, started_at=now))
        store.save_attempt(connection, ledger.about_to_send(attempt, attempt.account, now))

    await shop.db.write(work)
    return job_id, await services.load(job_id)


async def left_to_a_person(shop: Workshop, job_id: str) -> None:
    """The worker that took over cannot tell whether it was accepted."""
    theirs = as_worker(shop, THEIRS)
    case = await theirs.load(job_id)
    await answers.note_doubt(theirs, case, case.last, "interrupted", "The process ended.")

    def work(connection: sa.Connection) -> None:
        store.save_job(connection, ledger.moved(case.job, JobState.NEEDS_ATTENTION, trouble="Decide"))
        claims.release(connection, case.job)

    await shop.db.write(work)


# -- jobs that nobody takes up ---------------------------------------------------------------------


@pytest.mark.both_databases
async def test_who_is_not_known_as_a_worker_any_more_takes_no_job_on(shop: Workshop) -> None:
    """Nobody would ever free it: the others look for the dead among the workers that the ledger knows."""
    job_id = (await shop.submit()).job_id
    await enrol(shop, OURS)
    await shop.db.write(lambda connection: claims.dismiss(connection, [OURS]))

    taken = await claim(shop, OURS, job_id)

    assert taken == []
    assert (await shop.job(job_id)).worker is None


async def test_a_job_whose_first_route_cannot_be_tried_from_here_is_made_on_its_next(
    home: Settings, fake: FakeOpenAI, spare: FakeOpenAI, opened: Open
) -> None:
    async with opened(others={"spare": spare}) as shop:
        routes = (shop.prepared(), shop.prepared(model=SPARE))
        job_id = (await shop.jobs.submit(Order(routes=routes, asked_model=str(SORA)))).job_id
    keyless = settings_for(home, fake, environment={"OPENAI_BASE_URL": fake.base_url}, others={"spare": spare})

    async with an_app(keyless) as app:
        app.work()
        with anyio.move_on_after(8):
            await until(lambda: is_in(app, job_id, JobState.COMPLETED))
        job = await app.jobs.get(job_id)

    assert job.state is JobState.COMPLETED, f"{job.state}: {job.trouble}"
    assert spare.book.charged == 1


async def is_in(app: App, job_id: str, state: JobState) -> bool:
    return await state_of(app, job_id) is state


async def test_paid_jobs_of_a_provider_without_a_key_do_not_hide_those_that_can_be_fetched(
    home: Settings, fake: FakeOpenAI, spare: FakeOpenAI, opened: Open
) -> None:
    async with opened(others={"spare": spare}) as shop:
        for n in range(100):
            await shop.submit(f"Cat {n}")
        await shop.db.write(lambda connection: connection.execute(jobs_table.update().values(state="in_progress")))
        last = Order(routes=(shop.prepared("Last", model=SPARE),), asked_model=str(SPARE))
        job_id = (await shop.jobs.submit(last)).job_id
        assert await submit(shop.services, job_id) is Next.WAIT
    keyless = settings_for(home, fake, environment={"OPENAI_BASE_URL": fake.base_url}, others={"spare": spare})

    async with an_app(keyless) as app:
        app.work()
        with anyio.move_on_after(8):
            await until(lambda: is_in(app, job_id, JobState.COMPLETED))

        assert await state_of(app, job_id) is JobState.COMPLETED


async def test_an_order_does_not_join_a_job_that_is_about_to_be_cancelled(shop: Workshop, fake: FakeOpenAI) -> None:
    first = (await shop.submit()).job_id
    await shop.jobs.cancel(first)

    second = (await shop.submit()).job_id
    for job_id in dict.fromkeys([first, second]):
        await shop.carry_out(job_id)

    assert (await shop.job(second)).state is JobState.COMPLETED
    assert fake.book.charged == 1


class SlowToLeave(App):
    """An App that is held up between its last look at the open jobs and the end of its work."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, leave_worker=True)
        self.has_looked = anyio.Event()
        self.may_go = anyio.Event()

    async def _see_that_work_goes_on(self) -> None:
        await super()._see_that_work_goes_on()
        self.has_looked.set()
        await self.may_go.wait()


async def test_who_submits_while_the_only_worker_is_leaving_does_not_rely_on_it(
    home: Settings, fake: FakeOpenAI
) -> None:
    settings = settings_for(home, fake)
    leaving = SlowToLeave(settings)
    relied = list[bool]()

    async def submit_and_ask(job: list[str]) -> None:
        await leaving.has_looked.wait()
        async with an_app(settings) as other:
            job.append(await submitted(other))
            relied.append(await other.worker.somebody_else_works())
        leaving.may_go.set()

    job = list[str]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(submit_and_ask, job)
        with anyio.fail_after(60):
            async with leaving:
                leaving.work()
                await until(lambda: working(leaving))

    async with an_app(settings) as looks:
        open_jobs = await looks.worker.has_open_jobs()
        works = await looks.worker.somebody_else_works()

    assert not (open_jobs and relied == [True] and not works), "it was told that somebody works, and nobody does"


class SlowToStop(Worker):
    """A worker that is held up between its decision that all is done and its leave."""

    def __init__(self, services: Services, changes: Changes) -> None:
        super().__init__(services, changes)
        self.stops = anyio.Event()
        self.may_stop = anyio.Event()

    async def stop(self, drain_s: float = 1.0) -> None:
        self.stops.set()
        await self.may_stop.wait()
        await super().stop(drain_s)


async def test_what_is_submitted_while_a_worker_ends_because_all_was_done_is_not_left_behind(
    opened: Open, fake: FakeOpenAI
) -> None:
    relied, state = False, JobState.QUEUED
    async with opened() as shop, opened() as other, anyio.create_task_group() as tasks:
        changes = Changes(shop.db)
        worker = SlowToStop(shop.services, changes)

        async def work() -> None:
            async with changes.running():
                await worker.run(until_idle=True)

        tasks.start_soon(work)
        with anyio.fail_after(PATIENCE_S):
            await worker.stops.wait()
        job_id = (await other.submit()).job_id
        relied = await Worker(other.services, Changes(other.db)).somebody_else_works()
        worker.may_stop.set()
        with anyio.move_on_after(8):
            await until(lambda: is_completed(other, job_id))
        state = (await other.job(job_id)).state
        tasks.cancel_scope.cancel()

    assert relied
    assert state is JobState.COMPLETED, "whoever submitted it was told that somebody works"


async def is_completed(shop: Workshop, job_id: str) -> bool:
    return (await shop.job(job_id)).state is JobState.COMPLETED


async def working(app: App) -> bool:
    return app.worker.working


async def test_an_app_that_may_not_work_leaves_the_one_that_works_alone(
    home: Settings, tmp_path: Path, fake: FakeOpenAI
) -> None:
    """Both live in one process, each on a database of its own."""
    settings = settings_for(home, fake)
    elsewhere = replace(settings, home=tmp_path / "other", database_url=f"sqlite:///{tmp_path / 'other.db'}")
    fake.faults.create = [Fault.of(Trouble.SLOW, 0.8)]

    async with an_app(settings) as first:
        first.work()
        job_id = await submitted(first)
        await until(lambda: a_create(fake))
        with pytest.raises(RushesError, match="Another App of this process"):
            async with an_app(elsewhere) as second:
                second.work()
                await anyio.sleep(5)
        with anyio.move_on_after(10):
            await until(lambda: is_in(first, job_id, JobState.COMPLETED))
        kinds = [event.kind for event in await first.jobs.events(job_id)]

        assert await state_of(first, job_id) is JobState.COMPLETED
    assert "doubt" not in kinds
    assert fake.book.creates == 1


async def a_create(fake: FakeOpenAI) -> bool:
    return fake.book.creates > 0


# -- answers that come late ------------------------------------------------------------------------


@pytest.mark.both_databases
async def test_a_late_acceptance_does_not_undo_the_decision_to_pay_again(shop: Workshop, fake: FakeOpenAI) -> None:
    job_id, ours = await sent_by_us(shop)
    await take_over(shop, job_id)
    await left_to_a_person(shop, job_id)
    await shop.jobs.resolve_repay(job_id)

    await answers.accept(as_worker(shop, OURS), ours, ours.last, RemoteJob(id="video_late"))

    [first] = await shop.attempts(job_id)
    assert (first.state, first.remote) == (AttemptState.CREATED, RemoteJob(id="video_late"))
    assert first.repaid


@pytest.mark.both_databases
async def test_a_job_paid_again_goes_on_when_the_answer_to_its_first_create_comes_late(
    shop: Workshop, fake: FakeOpenAI
) -> None:
    job_id, ours = await sent_by_us(shop)
    await take_over(shop, job_id)
    await left_to_a_person(shop, job_id)
    await shop.jobs.resolve_repay(job_id)
    await claim(shop, THEIRS, job_id)
    theirs = as_worker(shop, THEIRS)
    await intend_another(theirs, job_id)
    fake.faults.create = [Fault.status(429)]

    await answers.accept(as_worker(shop, OURS), ours, ours.last, RemoteJob(id="video_late"))
    with pytest.raises(PutBack):
        await submit(theirs, job_id)

    job, [first, second] = await shop.job(job_id), await shop.attempts(job_id)
    assert (first.state, second.state) == (AttemptState.CREATED, AttemptState.REFUSED)
    assert job.state is JobState.QUEUED
    assert ledger.may_open_attempt([first, second])


async def intend_another(services: Services, job_id: str) -> None:
    case = await services.load(job_id)
    attempt = ledger.open_attempt(
        case.job,
        case.attempts,
        provider="openai",
        account=case.last.account,
        model=case.job.model,
        request_hash="h",
        now=services.now(),
    )
    await services.db.write(lambda connection: store.insert_attempt(connection, attempt))


@pytest.mark.both_databases
async def test_what_a_late_answer_shows_to_be_charged_is_on_the_books(shop: Workshop) -> None:
    job_id, ours = await sent_by_us(shop)
    await take_over(shop, job_id)
    await left_to_a_person(shop, job_id)
    await shop.jobs.resolve_billed(job_id, Decimal(0))

    await answers.accept(as_worker(shop, OURS), ours, ours.last, RemoteJob(id="video_late"))

    job, hold = await shop.job(job_id), await shop.hold(job_id)
    assert hold is not None
    assert job.cost_usd != Decimal(0) or hold["held_usd"] > 0, "the far side charged it, and the books say nothing"


async def test_a_person_is_not_asked_while_the_answer_may_still_come(opened: Open, fake: FakeOpenAI) -> None:
    """The worker that sent it lost its place, not its life; who takes over has another key."""
    fake.faults.create = [Fault.of(Trouble.SLOW, 0.7)]
    other_key = {"OPENAI_API_KEY": "sk-another", "OPENAI_BASE_URL": fake.base_url}
    states = list[JobState]()

    async with opened() as shop, opened(environment=other_key) as there, anyio.create_task_group() as tasks:
        job_id = (await shop.submit()).job_id
        await enrol(shop, OURS)
        await claim(shop, OURS, job_id)
        tasks.start_soon(let_go, as_worker(shop, OURS), job_id)
        await until(lambda: a_create(fake))
        await take_over(there, job_id)
        with anyio.move_on_after(0.4):
            await submit(as_worker(there, THEIRS), job_id)
        states.append((await shop.job(job_id)).state)
        await until(lambda: answered(shop, job_id))

    assert states == [JobState.SUBMITTING]


async def let_go(services: Services, job_id: str) -> None:
    with suppress(ledger.LostClaim):
        await submit(services, job_id)


async def answered(shop: Workshop, job_id: str) -> bool:
    return (await shop.attempts(job_id))[-1].remote is not None


async def test_an_answer_is_written_although_the_file_is_locked_for_long(shop: Workshop, fake: FakeOpenAI) -> None:
    """A process that was stopped in the middle of a write holds the file's lock for as long as it stands still."""
    job_id, ours = await sent_by_us(shop)
    await shop.db.write(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout=100"))
    assert shop.db.path is not None
    stopped = sqlite3.connect(shop.db.path, isolation_level=None)
    stopped.execute("BEGIN IMMEDIATE")
    failed = list[Exception]()

    async def accept() -> None:
        try:
            await answers.accept(as_worker(shop, OURS), ours, ours.last, RemoteJob(id="video_1"))
        except RushesError as error:
            failed.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(accept)
        await anyio.sleep(0.5)
        stopped.execute("ROLLBACK")
        stopped.close()

    assert failed == []
    assert (await shop.attempts(job_id))[-1].state is AttemptState.CREATED


async def test_nothing_is_paid_again_unasked_while_the_answer_may_still_come(opened: Open) -> None:
    with FakeOpenAI(job_s=0.0, api_key=None) as fake:
        fake.faults.create = [Fault.of(Trouble.SLOW, 0.7)]
        keys = [{"OPENAI_API_KEY": key, "OPENAI_BASE_URL": fake.base_url} for key in ("sk-one", "sk-other")]
        async with (
            opened(environment=keys[0]) as shop,
            opened(environment=keys[1], on_unknown="repay") as there,
            anyio.create_task_group() as tasks,
        ):
            job_id = (await shop.submit()).job_id
            await enrol(shop, OURS)
            await claim(shop, OURS, job_id)
            tasks.start_soon(let_go, as_worker(shop, OURS), job_id)
            await until(lambda: a_create(fake))
            await take_over(there, job_id)
            with anyio.move_on_after(10):
                await submit(as_worker(there, THEIRS), job_id)
            await until(lambda: answered(shop, job_id))

        assert fake.book.charged == 1


async def test_a_create_never_leaves_after_it_was_found_to_be_absent(
    opened: Open, fake: FakeOpenAI, tmp_path: Path
) -> None:
    """Its picture comes slowly out of a bucket; meanwhile the worker loses its place, and another looks for the job."""
    picture = tmp_path / "picture.png"
    Image.new("RGB", (1280, 720), "teal").save(picture)
    slow = anyio.Event()

    async with opened(create_timeout_s=0.3) as shop, anyio.create_task_group() as tasks:

        async def read_slowly(media: MediaRef) -> bytes:
            await slow.wait()
            return await shop.inputs.read(media)

        def start_nothing(*_: object) -> None:
            raise AssertionError

        settings = shop.services.registry.settings
        registry = Registry(
            settings,
            Http(settings),
            settings.home / "providers",
            read_input=read_slowly,
            input_path=shop.inputs.path,
            children=shop.services.children,
            start_soon=start_nothing,
        )
        frame = await shop.inputs.add(picture)
        job_id = (await shop.submit(first_frame=frame, size=Size(1280, 720))).job_id
        await enrol(shop, OURS)
        await claim(shop, OURS, job_id)
        tasks.start_soon(let_go, replace(as_worker(shop, OURS), registry=registry), job_id)
        await until(lambda: is_sending(shop, job_id))
        await take_over(shop, job_id)
        with anyio.fail_after(20):
            await submit(as_worker(shop, THEIRS), job_id)
        slow.set()
        await anyio.sleep(1.0)

    assert fake.book.charged == 1


async def is_sending(shop: Workshop, job_id: str) -> bool:
    found = await shop.attempts(job_id)
    return bool(found) and found[-1].state is AttemptState.SENDING


async def test_a_wish_to_cancel_that_did_not_get_through_is_passed_on_again(home: Settings, children: Children) -> None:
    with FakeVllmOmni(job_s=60) as box, FakeOpenAI() as fake:
        box.faults.delete = [Fault.status(503)]
        settings = replace(home, providers={"spare": ProviderSettings.model_validate({"server": "vllm-omni"})})
        async with workshop.opened(settings, fake, children, others={"spare": cast("FakeOpenAI", box)}) as shop:
            order = Order(routes=(shop.prepared(model=ModelId("spare", "wan"), seconds=4),), asked_model="wan")
            job_id = (await shop.jobs.submit(order)).job_id
            assert await submit(shop.services, job_id) is Next.WAIT
            await shop.jobs.cancel(job_id)
            with anyio.move_on_after(8):
                await shop.carry_out(job_id)
            job = await shop.job(job_id)

    assert job.state is JobState.CANCELLED, job.trouble


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_who_ends_a_worker_that_just_lost_its_place_still_waits_for_the_create_in_the_air(
    opened: Open, fake: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.of(Trouble.SLOW, 3.0)]
    job_id = ""
    async with opened(create_timeout_s=10.0) as shop, anyio.create_task_group() as tasks:
        changes = Changes(shop.db)
        worker = Worker(shop.services, changes)

        async def work() -> None:
            async with changes.running():
                await worker.run()

        job_id = (await shop.submit()).job_id
        tasks.start_soon(work)
        await until(lambda: a_create(fake))
        assert worker.working
        await shop.db.read(lambda connection: connection.execute(CUT_THE_OTHERS))
        with anyio.fail_after(PATIENCE_S):
            while worker.working:
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()

    async with opened() as shop:
        assert await answered(shop, job_id)


@pytest.mark.both_databases
async def test_two_who_decide_to_pay_again_hold_the_price_once_more_and_not_twice(shop: Workshop) -> None:
    job_id, _ = await sent_by_us(shop)
    await take_over(shop, job_id)
    await left_to_a_person(shop, job_id)
    one, other = await shop.services.load(job_id), await shop.services.load(job_id)

    await reconcile.repay(shop.services, one)
    with pytest.raises(RushesError):
        await reconcile.repay(shop.services, other)

    hold = await shop.hold(job_id)
    assert hold is not None
    assert hold["held_usd"] == Decimal("0.80")


# -- looks and limits ------------------------------------------------------------------------------


async def test_a_provider_with_many_jobs_does_not_keep_another_ones_from_being_looked_at(
    opened: Open, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.job_s = 600.0
    told = list[str]()

    async def ended(job_id: str, step: Next) -> None:
        told.append(job_id)

    async with opened(others={"spare": spare}) as shop:
        busy = [(await shop.submit(f"Cat {n}")).job_id for n in range(30)]
        order = Order(routes=(shop.prepared("Last", model=SPARE),), asked_model=str(SPARE))
        last = (await shop.jobs.submit(order)).job_id
        for job_id in (*busy, last):
            assert await submit(shop.services, job_id) is Next.WAIT
        parked = Waiting(shop.services, ended)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(parked.run)
            for job_id in busy:
                parked.park(job_id)
            await anyio.sleep(1.0)
            parked.park(last)
            with anyio.move_on_after(10):
                await until(lambda: _in(last, told))
            tasks.cancel_scope.cancel()

    assert LOOKS_PER_S < 30 * 20, "they ask for more looks than there are"
    assert told == [last]


async def _in(job_id: str, told: list[str]) -> bool:
    return job_id in told


async def test_a_job_that_cannot_be_stopped_is_looked_at_no_more_often_than_before(
    home: Settings, fake: FakeOpenAI
) -> None:
    fake.job_s = 600
    async with an_app(settings_for(home, fake, poll_interval_ms=300_000)) as app:
        app.work()
        job_id = await submitted(app)
        await until(lambda: is_in(app, job_id, JobState.IN_PROGRESS))
        await app.jobs.cancel(job_id)
        await anyio.sleep(2.0)
        before = polls(fake)
        await anyio.sleep(4.5)

        assert polls(fake) - before <= 1


def polls(fake: FakeOpenAI) -> int:
    return sum(1 for request in fake.requests if request.method == "GET")


async def test_turning_to_the_next_route_waits_until_its_provider_has_room(
    home: Settings, fake: FakeOpenAI, spare: FakeOpenAI, opened: Open
) -> None:
    spare.job_s = 1.0
    fake.faults.create = [Fault.status(400).always()]
    limited = settings_for(home, fake, others={"spare": spare})
    spare_settings = limited.providers["spare"].model_copy(update={"max_jobs": 1})
    limited = replace(limited, providers={**limited.providers, "spare": spare_settings})
    async with opened(others={"spare": spare}) as shop:
        ids = list[str]()
        for n in range(4):
            routes = (shop.prepared(f"Cat {n}"), shop.prepared(f"Cat {n}", model=SPARE))
            ids.append((await shop.jobs.submit(Order(routes=routes, asked_model=str(SORA)))).job_id)
    most = 0

    async with an_app(limited) as app:
        app.work()
        with anyio.move_on_after(25):
            while not all([await is_in(app, each, JobState.COMPLETED) for each in ids]):
                most = max(most, sum(1 for job in list(spare.jobs.values()) if not job.done))
                await anyio.sleep(0.02)

    assert spare.book.charged == 4
    assert most == 1


@pytest.fixture
async def shop(opened: Open) -> AsyncIterator[Workshop]:
    async with opened() as shop:
        yield shop

"""Who works, with the real engine: one process per database, and always one while jobs are open."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from workshop import PATIENCE_S, settings_for

from rushes.app import App
from rushes.config import Settings
from rushes.errors import RushesError
from rushes.jobs.ledger import AttemptState, JobState
from rushes.planning import Wish
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault
from tests.command_line import somebody_works

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(home: Settings, fake: FakeOpenAI) -> Settings:
    return settings_for(home, fake)


def wish(prompt: str = "A cat", **changes: Any) -> Wish:
    return replace(Wish(prompt=prompt, model="openai:video:sora-2", seconds=4), **changes)


@asynccontextmanager
async def an_app(settings: Settings, *, leave_worker: bool = False) -> AsyncGenerator[App]:
    with anyio.fail_after(60):
        async with App(settings, leave_worker=leave_worker) as app:
            yield app


async def submitted(app: App, prompt: str = "A cat") -> str:
    [admission] = await app.submit(await app.plan(wish(prompt)))
    return admission.job_id


def at_work(app: App) -> bool:
    """Whether a process works on the app's file."""
    assert app.db.path is not None
    return somebody_works(app.db.path)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while not await true():
            await anyio.sleep(0.02)


async def until_state(app: App, job_id: str, *states: JobState) -> None:
    async def there() -> bool:
        return (await app.jobs.get(job_id)).state in states

    await until(there)


async def test_an_app_makes_a_video(settings: Settings, fake: FakeOpenAI) -> None:
    percents = list[float]()

    async with an_app(settings) as app:
        [video] = await app.generate(wish(), on_progress=lambda snapshot: percents.append(snapshot.percent))

        assert video.path is not None
        assert video.path.read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
        assert video.thumbnail is not None
        assert percents == sorted(percents)
    assert fake.book.charged == 1


async def test_three_of_one_wish_are_three_videos(settings: Settings, fake: FakeOpenAI) -> None:
    async with an_app(settings) as app:
        videos = await app.generate(wish(n=3))

    assert len({video.id for video in videos}) == len({video.remote_id for video in videos}) == 3
    assert fake.book.charged == 3


async def test_what_is_in_the_library_needs_no_worker(settings: Settings) -> None:
    async with an_app(settings) as app:
        await app.generate(wish())
    async with an_app(settings) as app:
        [video] = await app.generate(wish())

        assert video.cached
        assert not app.worker.working


async def test_one_app_works_and_the_other_takes_over_when_it_closes(settings: Settings, fake: FakeOpenAI) -> None:
    fake.job_s = 60
    async with an_app(settings) as second:
        async with an_app(settings) as first:
            first.work()
            job_id = await submitted(first)
            await until_state(second, job_id, JobState.IN_PROGRESS)
            second.work()
            await anyio.sleep(0.6)
            working_beside = second.worker.working
        fake.finish()
        [video] = await second.jobs.wait(job_id, timeout_s=PATIENCE_S)

        assert not working_beside
        assert second.worker.working
        assert video.path is not None
    assert fake.book.creates == 1


async def test_a_worker_ends_when_nothing_is_left_to_do(settings: Settings, fake: FakeOpenAI) -> None:
    async with an_app(settings) as app:
        ids = [await submitted(app, f"Cat number {n}") for n in range(3)]

        await app.worker.run(until_idle=True)

        assert [(await app.jobs.get(job_id)).state for job_id in ids] == [JobState.COMPLETED] * 3
        assert not at_work(app)
    assert fake.book.charged == 3


async def test_a_worker_waits_for_its_turn_while_another_works(settings: Settings) -> None:
    async with an_app(settings) as first, an_app(settings) as second:
        first.work()

        async def works() -> bool:
            return at_work(first)

        await until(works)
        with anyio.move_on_after(0.6) as waiting:
            await second.worker.run()

        assert waiting.cancelled_caught
        assert (first.worker.working, second.worker.working) == (True, False)


async def test_one_process_works_on_one_home_only(settings: Settings, tmp_path: Path) -> None:
    elsewhere = replace(
        settings,
        home=tmp_path / "other",
        database_url=f"sqlite:///{tmp_path / 'other' / 'rushes.db'}",
        media_url=str(tmp_path / "other" / "media"),
    )

    async with an_app(settings) as first:
        first.work()

        async def works() -> bool:
            return first.worker.working

        await until(works)
        async with an_app(elsewhere) as second:
            with pytest.raises(RushesError, match="Another App of this process"):
                await second.worker.run()

            assert not at_work(second)


async def test_an_app_that_cannot_work_says_so_instead_of_waiting_forever(
    settings: Settings, tmp_path: Path, fake: FakeOpenAI
) -> None:
    elsewhere = replace(settings, home=tmp_path / "other", database_url=f"sqlite:///{tmp_path / 'other.db'}")

    async with an_app(settings) as first:
        first.work()

        async def works() -> bool:
            return first.worker.working

        await until(works)
        with pytest.raises(RushesError, match="Another App of this process"):
            async with an_app(elsewhere) as second:
                await second.generate(wish())

    assert fake.book.creates == 0


async def test_a_wish_to_cancel_wakes_a_job_that_sleeps(home: Settings, fake: FakeOpenAI) -> None:
    fake.job_s = 600
    async with an_app(settings_for(home, fake, poll_interval_ms=300_000)) as app:
        app.work()
        job_id = await submitted(app)
        await until_state(app, job_id, JobState.IN_PROGRESS)

        await app.jobs.cancel(job_id)

        async def told() -> bool:
            return "cancel_refused" in [event.kind for event in await app.jobs.events(job_id)]

        await until(told)
        assert (await app.jobs.get(job_id)).state is JobState.IN_PROGRESS


async def test_a_create_in_the_air_is_waited_for_when_the_app_closes(settings: Settings, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.hang(accepted=True)]
    async with an_app(settings) as app:
        app.work()
        job_id = await submitted(app)

        async def in_the_air() -> bool:
            return fake.book.charged == 1

        await until(in_the_air)
    async with an_app(settings) as app:
        [attempt] = (await app.jobs.case(job_id)).attempts
        await app.worker.run(until_idle=True)

        assert attempt.state is not AttemptState.SENDING, "its answer, or that there was none, is in the ledger"
        assert (await app.jobs.get(job_id)).state is JobState.COMPLETED
    assert fake.book.creates == 1


async def test_jobs_in_flight_go_on_in_the_next_app(settings: Settings, fake: FakeOpenAI) -> None:
    fake.job_s = 60
    async with an_app(settings) as app:
        app.work()
        ids = [await submitted(app, f"Cat number {n}") for n in range(5)]
        for job_id in ids:
            await until_state(app, job_id, JobState.IN_PROGRESS)
    fake.finish()
    async with an_app(settings) as app:
        await app.worker.run(until_idle=True)

        assert {(await app.jobs.get(job_id)).state for job_id in ids} == {JobState.COMPLETED}
    assert (fake.book.creates, fake.book.charged) == (5, 5)


def background_workers() -> set[int]:
    """The pids of our own children that are workers, living or not yet waited for."""
    found = set[int]()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"--until-idle" in (path / "cmdline").read_bytes():
                found.add(int(path.name))
        except OSError:
            continue
    return found


async def test_an_app_that_leaves_an_open_job_leaves_a_worker_that_finishes_it(
    settings: Settings, fake: FakeOpenAI
) -> None:
    fake.job_s = 60
    async with an_app(settings, leave_worker=True) as app:
        app.work()
        job_id = await submitted(app)
        await until_state(app, job_id, JobState.IN_PROGRESS)
    [pid] = background_workers()
    fake.finish()
    async with an_app(settings) as watcher:
        [video] = await watcher.jobs.wait(job_id, timeout_s=PATIENCE_S)
        with anyio.fail_after(PATIENCE_S):
            await anyio.to_thread.run_sync(os.waitpid, pid, 0)

        assert video.path is not None
        assert not watcher.worker.working
        assert not at_work(watcher)
    assert fake.book.creates == 1


async def test_an_app_that_leaves_nothing_open_leaves_nobody_behind(settings: Settings) -> None:
    async with an_app(settings, leave_worker=True) as app:
        await app.generate(wish())

    assert background_workers() == set()


async def test_an_app_that_can_leave_no_worker_stays_until_its_jobs_are_done(
    settings: Settings, fake: FakeOpenAI
) -> None:
    said = list[str]()
    (settings.home / "worker.log").mkdir(parents=True)  # in the way of the log, so that none can be started

    async with App(settings, say=said.append) as app:
        job_id = await submitted(app)

    async with an_app(settings) as app:
        assert (await app.jobs.get(job_id)).state is JobState.COMPLETED
    assert "stays until its jobs are done" in said[0]

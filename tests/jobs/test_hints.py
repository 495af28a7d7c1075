"""Hints: a running job that somebody outside says has changed is looked at at once, and nothing else happens."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from workshop import PATIENCE_S, Clock, Open, Workshop, settings_for

from rushes.app import App
from rushes.config import Settings
from rushes.jobs import store
from rushes.jobs.hints import hint, hinted_after
from rushes.jobs.ledger import JobState, Next
from rushes.jobs.submission import submit
from rushes.planning import Wish
from rushes.testing.fake_openai import FakeOpenAI

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]


async def running(shop: Workshop, prompt: str = "A cat") -> tuple[str, str]:
    """A job that its far side has accepted, and the id that it has there."""
    job_id = (await shop.submit(prompt)).job_id
    assert await submit(shop.services, job_id) is Next.WAIT
    remote = (await shop.case(job_id)).last.remote
    assert remote is not None
    return job_id, remote.id


async def test_a_hint_at_a_running_job_becomes_one_event_of_it(opened: Open, fake: FakeOpenAI) -> None:
    fake.job_s = 60
    async with opened() as shop:
        job_id, remote_id = await running(shop)
        other_id, _ = await running(shop, "A dog")
        before = await shop.db.read(store.last_event)

        await hint(shop.db, shop.services.now(), "openai", remote_id)

        assert (await shop.kinds(job_id))[-1] == "hinted"
        assert "hinted" not in await shop.kinds(other_id)
        assert (await shop.job(job_id)).state is JobState.IN_PROGRESS
        last, hinted = await shop.db.read(lambda connection: hinted_after(connection, before))
        assert (last, hinted) == (before + 1, {job_id})
        assert await shop.db.read(lambda connection: hinted_after(connection, last)) == (last, set())


async def test_a_job_is_hinted_at_once_in_two_seconds(opened: Open, fake: FakeOpenAI) -> None:
    fake.job_s, clock = 60, Clock()
    async with opened(clock=clock) as shop:
        job_id, remote_id = await running(shop)

        for move_s in (0, 1, 0.5, 1):
            clock.move(timedelta(seconds=move_s))
            await hint(shop.db, clock(), "openai", remote_id)

        assert (await shop.kinds(job_id)).count("hinted") == 2


@pytest.mark.parametrize(("provider", "remote_id"), [("openai", "video_unknown"), ("azure", None), ("openai", "")])
async def test_a_hint_at_what_we_do_not_know_writes_nothing(
    opened: Open, fake: FakeOpenAI, provider: str, remote_id: str | None
) -> None:
    fake.job_s = 60
    async with opened() as shop:
        _, known = await running(shop)
        before = await shop.db.read(store.last_event)

        await hint(shop.db, shop.services.now(), provider, known if remote_id is None else remote_id)

        assert await shop.db.read(store.last_event) == before


async def test_a_hint_at_a_job_that_has_ended_writes_nothing(opened: Open) -> None:
    async with opened() as shop:
        job_id = await shop.made()
        remote = (await shop.case(job_id)).last.remote
        assert remote is not None

        await hint(shop.db, shop.services.now(), "openai", remote.id)

        assert "hinted" not in await shop.kinds(job_id)


@asynccontextmanager
async def at_work(settings: Settings) -> AsyncGenerator[App]:
    with anyio.fail_after(60):
        async with App(settings, leave_worker=False) as app:
            app.work()
            yield app


async def test_the_worker_that_holds_the_job_looks_at_once(home: Settings, fake: FakeOpenAI) -> None:
    fake.job_s = 3600
    settings = settings_for(home, fake, poll_interval_ms=600_000)
    async with at_work(settings) as app, App(replace(settings), leave_worker=False) as beside:
        wish = Wish(prompt="A cat", model="openai:video:sora-2", seconds=4)
        [admission] = await app.submit(await app.plan(wish))
        with anyio.fail_after(PATIENCE_S):
            while not fake.jobs:
                await anyio.sleep(0.02)
            # Until the worker waits, and has had its first look.
            while (await app.jobs.get(admission.job_id)).state is not JobState.IN_PROGRESS:
                await anyio.sleep(0.02)
        await anyio.sleep(1.5)
        fake.finish()
        [remote_id] = fake.jobs
        await anyio.sleep(0.5)
        unhinted = (await app.jobs.get(admission.job_id)).state
        began = anyio.current_time()

        await hint(beside.db, datetime.now(UTC), "openai", remote_id)
        [video] = await app.jobs.wait(admission.job_id, timeout_s=PATIENCE_S)

        assert unhinted is JobState.IN_PROGRESS
        assert video.job_id == admission.job_id
        assert anyio.current_time() - began < 10

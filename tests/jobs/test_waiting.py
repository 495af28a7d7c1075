"""Waiting for thousands of far sides: each job is looked at in its time, and none is forgotten, whatever goes wrong."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import pytest
from workshop import PATIENCE_S, Open, Workshop

from rushes.jobs import claims, store
from rushes.jobs.ledger import JobState, Next
from rushes.jobs.submission import submit
from rushes.jobs.waiting import LOOKS_AT_ONCE, Waiting
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault

pytestmark = pytest.mark.anyio


@dataclass
class Ends:
    """What was told of the jobs that wait no more."""

    told: list[tuple[str, Next]] = field(default_factory=list[tuple[str, Next]])

    async def __call__(self, job_id: str, step: Next) -> None:
        self.told.append((job_id, step))


@asynccontextmanager
async def at_work(shop: Workshop, ends: Ends) -> AsyncGenerator[Waiting]:
    """Somebody who looks at what is parked, for as long as the block lasts."""
    parked = Waiting(shop.services, ends)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(parked.run)
        yield parked
        tasks.cancel_scope.cancel()


async def sent(shop: Workshop, prompt: str = "A cat") -> str:
    """A job that its far side has accepted."""
    job_id = (await shop.submit(prompt)).job_id
    assert await submit(shop.services, job_id) is Next.WAIT
    return job_id


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE_S):
        while not true():
            await anyio.sleep(0.01)


async def test_a_parked_job_is_looked_at_until_its_end_which_is_told_once(opened: Open, fake: FakeOpenAI) -> None:
    fake.job_s, ends = 0.3, Ends()

    async with opened() as shop:
        job_id = await sent(shop)
        async with at_work(shop, ends) as parked:
            parked.park(job_id)
            parked.park(job_id)
            await until(lambda: job_id not in parked)

        assert ends.told == [(job_id, Next.DOWNLOAD)]
        assert (await shop.job(job_id)).state is JobState.DOWNLOADING
        assert len(parked) == 0


async def test_no_more_jobs_are_looked_at_at_once_than_a_provider_should_bear(opened: Open, fake: FakeOpenAI) -> None:
    ends, count = Ends(), LOOKS_AT_ONCE + 10

    async with opened() as shop:
        ids = [await sent(shop, f"Cat {n}") for n in range(count)]
        fake.faults.poll = [Fault.hang().times(count)]
        async with at_work(shop, ends) as parked:
            for job_id in ids:
                parked.park(job_id)
            asked = polls(fake)
            await until(lambda: polls(fake) - asked >= LOOKS_AT_ONCE)
            await anyio.sleep(0.3)

            assert polls(fake) - asked == LOOKS_AT_ONCE, "the others wait until one of these has an answer"


def polls(fake: FakeOpenAI) -> int:
    return sum(1 for request in fake.requests if request.method == "GET")


async def test_a_hint_brings_a_look_forward(opened: Open, fake: FakeOpenAI) -> None:
    fake.job_s, ends = 60.0, Ends()

    async with opened(poll_interval_ms=60_000) as shop:
        job_id = await sent(shop)
        async with at_work(shop, ends) as parked:
            parked.park(job_id)
            await anyio.sleep(0.3)
            before = list(ends.told)
            fake.finish()
            parked.hint(job_id)
            await until(lambda: bool(ends.told))

    assert before == []
    assert ends.told == [(job_id, Next.DOWNLOAD)]


async def test_a_wish_to_cancel_is_passed_on_once_and_a_hint_still_brings_a_look_forward(
    opened: Open, fake: FakeOpenAI
) -> None:
    fake.job_s, ends = 60.0, Ends()

    async with opened(poll_interval_ms=60_000) as shop:
        job_id = await sent(shop)
        await shop.db.write(lambda connection: store.wish_cancel(connection, job_id))
        async with at_work(shop, ends) as parked:
            parked.park(job_id)
            parked.wish(job_id)
            await until(lambda: polls(fake) == 1)
            await anyio.sleep(0.2)
            parked.wish(job_id)
            await anyio.sleep(0.3)
            wished = polls(fake)
            fake.finish()
            parked.hint(job_id)
            await until(lambda: bool(ends.told))

    assert wished == 1
    assert ends.told == [(job_id, Next.DOWNLOAD)]


async def test_a_job_that_somebody_else_has_taken_over_is_let_go(opened: Open, fake: FakeOpenAI) -> None:
    fake.job_s, ends = 60.0, Ends()

    async with opened() as shop:
        job_id = await sent(shop)
        await shop.db.write(lambda connection: claims.claim(connection, "worker_other", [job_id]))
        ours = replace(shop, services=replace(shop.services, worker_id="worker_ours"))
        async with at_work(ours, ends) as parked:
            parked.park(job_id)
            await until(lambda: job_id not in parked)

    assert ends.told == [(job_id, Next.NOTHING)]


async def test_a_job_that_needs_no_looks_goes_on_at_once(opened: Open) -> None:
    ends = Ends()

    async with opened() as shop:
        job_id = (await shop.submit()).job_id
        async with at_work(shop, ends) as parked:
            parked.park(job_id)
            await until(lambda: bool(ends.told))

    assert ends.told == [(job_id, Next.OPEN)]

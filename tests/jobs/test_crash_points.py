"""A process that ends at any of the named points, and another that takes up what it left: one charge, one video.

The ends here are exceptions that nothing catches, in this process; `tests/crash` kills real ones.
"""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from workshop import Clock, Crash, Open, Patient, crashing_at

import rushes.jobs
from rushes.jobs.ledger import JobState, check_attempts
from rushes.testing.crash import POINTS
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

WITHOUT_TROUBLE = tuple(point for point in POINTS if point != "job.admitted")  # that one is the submitter's
WITHOUT_MONEY = ("cache.hit", "gc.marked")  # tried in test_retention.py
IN_TROUBLE = {
    "attempt.refused": Fault.status(429),
    "doubt.settling": Fault.status(500, accepted=True),
    "doubt.adopted": Fault.status(500, accepted=True),
}


def test_every_named_point_is_tried_here() -> None:
    package = Path(rushes.jobs.__file__).parent
    named = {name for file in package.glob("*.py") for name in re.findall(r'reached\("([^"]+)"\)', file.read_text())}

    elsewhere = {"job.admitted", "webhook.sent"}  # the second in test_outbox.py
    assert named == {*WITHOUT_TROUBLE, *IN_TROUBLE, *WITHOUT_MONEY} | elsewhere


@pytest.mark.parametrize("point", WITHOUT_TROUBLE)
async def test_a_crash_costs_no_second_charge(point: str, opened: Open, patient: Patient, fake: FakeOpenAI) -> None:
    async with opened(reached=crashing_at(point)) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)
    async with patient() as shop:
        await shop.carry_out(job_id)

        [video] = await shop.jobs.videos(job_id)
        assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert video.path is not None
        assert video.path.read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
        assert (await shop.kinds(job_id)).count("completed") == 1
        check_attempts(await shop.attempts(job_id))
    assert fake.book.charged == 1


@pytest.mark.parametrize(("point", "fault"), IN_TROUBLE.items(), ids=IN_TROUBLE.keys())
async def test_a_crash_in_the_middle_of_trouble_costs_none_either(
    point: str, fault: Fault, opened: Open, patient: Patient, fake: FakeOpenAI
) -> None:
    fake.faults.create = [fault]

    async with opened(reached=crashing_at(point)) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)
    async with patient() as shop:
        await shop.carry_out(job_id)

        assert (await shop.job(job_id)).state is JobState.COMPLETED
        check_attempts(await shop.attempts(job_id))
    assert fake.book.charged == 1


async def test_a_crash_right_after_admission_leaves_a_job_that_an_equal_submit_joins(
    opened: Open, fake: FakeOpenAI
) -> None:
    async with opened(reached=crashing_at("job.admitted")) as shop:
        with pytest.raises(Crash):
            await shop.submit()
    async with opened() as shop:
        admission = await shop.submit()
        await shop.carry_out(admission.job_id)

        assert admission.joined
        assert (await shop.job(admission.job_id)).state is JobState.COMPLETED
    assert fake.book.charged == 1


async def test_a_process_that_crashes_at_whatever_point_it_reaches_first_still_buys_once(
    opened: Open, fake: FakeOpenAI
) -> None:
    clock, passed = Clock(), set[str]()

    def reached(point: str) -> None:
        if point == "doubt.settling":
            clock.move(timedelta(seconds=10))
        if point not in passed:
            passed.add(point)
            raise Crash(point)

    async with opened() as shop:
        job_id = (await shop.submit()).job_id
    crashes = 0
    finished = False
    while not finished:
        async with opened(clock=clock, reached=reached) as shop:
            try:
                await shop.carry_out(job_id)
            except Crash:
                crashes += 1
            finished = (await shop.job(job_id)).state.final

    async with opened() as shop:
        assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert crashes == len(passed) >= 12
    assert fake.book.charged == 1

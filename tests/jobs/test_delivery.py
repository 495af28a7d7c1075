"""Waiting and fetching: whatever goes wrong after a job was accepted, it is brought home without buying it again."""

import os
import signal
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from workshop import Clock, Open, Workshop

from rushes.jobs.ledger import AttemptState, JobState
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble

pytestmark = pytest.mark.anyio

POLL_FAULTS = {
    "a 429": Fault.status(429),
    "a 500": Fault.status(500),
    "a 404": Fault.status(404),
    "a 401": Fault.status(401),
    "a reset": Fault.reset(),
    "a cut": Fault.cut(),
    "a web page": Fault.of(Trouble.HTML),
    "half an answer": Fault.of(Trouble.HALF_JSON),
    "an unknown word": Fault.of(Trouble.WORD, "NOT_START"),
    "a step backwards": Fault.of(Trouble.BACKWARDS),
}
DOWNLOAD_FAULTS = {
    "a 404": Fault.status(404),
    "a 403": Fault.status(403),
    "a 410": Fault.status(410),
    "a 429": Fault.status(429),
    "a 500": Fault.status(500),
    "a cut": Fault.of(Trouble.TRUNCATED, 1000),
    "a reset": Fault.of(Trouble.RESET_AFTER, 1000),
    "a web page": Fault.of(Trouble.HTML),
    "an error as a video": Fault.of(Trouble.JSON_AS_VIDEO),
    "no video": Fault.of(Trouble.NOT_A_VIDEO),
    "half a file in good form": Fault.of(Trouble.SHORT, 5000),
}


@pytest.mark.parametrize("fault", POLL_FAULTS.values(), ids=POLL_FAULTS.keys())
async def test_a_look_that_fails_is_repeated(fault: Fault, shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.poll = [fault]
    job_id = (await shop.submit()).job_id

    await shop.carry_out_in_a_hurry(job_id)

    assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert len(await shop.attempts(job_id)) == 1
    assert (fake.book.creates, fake.book.charged) == (1, 1)


async def test_looks_that_fail_are_told_as_trouble_until_one_succeeds(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.poll = [Fault.status(503)]
    job_id = (await shop.submit()).job_id

    await shop.carry_out_in_a_hurry(job_id)

    [trouble] = [event.data["message"] for event in await shop.events(job_id) if event.kind == "trouble"]
    assert "503" in str(trouble)
    assert (await shop.job(job_id)).trouble is None


async def test_a_job_that_the_far_side_never_knows_again_is_lost_not_bought_again(
    opened: Open, fake: FakeOpenAI
) -> None:
    clock = Clock()
    fake.faults.poll = [Fault.status(404).always()]

    async with opened(clock=clock) as shop:
        job_id = (await shop.submit()).job_id
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.carry_out_in_a_hurry, job_id)

            async def lost() -> bool:
                clock.move(timedelta(seconds=10))
                return (await shop.job(job_id)).state.final

            await shop.until(lost)

        job, [attempt] = await shop.job(job_id), await shop.attempts(job_id)
        hold = await shop.hold(job_id)
        assert (attempt.state, attempt.cost_usd) == (AttemptState.LOST, None)
        assert (job.state, job.cost_usd) == (JobState.FAILED, None), "it may have been billed"
        assert job.failure is not None
        assert job.failure.code == "lost"
        assert hold is not None
        assert (hold["held_usd"], hold["settled_usd"]) == (Decimal("0.40"), 0)
    assert fake.book.creates == 1


async def test_another_key_does_not_make_a_paid_job_lost(opened: Open, fake: FakeOpenAI) -> None:
    clock = Clock()
    fake.job_s = 60
    async with opened() as shop:
        job_id = (await shop.submit()).job_id
        with anyio.move_on_after(0.5):
            await shop.carry_out(job_id)
    fake.faults.poll = [Fault.status(404).always()]
    elsewhere = {"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url, "OPENAI_PROJECT": "another"}

    async with opened(clock=clock, environment=elsewhere) as other, anyio.create_task_group() as tasks:
        tasks.start_soon(other.carry_out_in_a_hurry, job_id)

        async def looked_often() -> bool:
            clock.move(timedelta(seconds=10))
            return len([request for request in fake.requests if request.method == "GET"]) > 20

        await other.until(looked_often)
        tasks.cancel_scope.cancel()
    fake.faults.poll = []
    fake.finish()
    async with opened() as shop:
        still_open = not (await shop.job(job_id)).state.final
        await shop.carry_out(job_id)

        assert still_open
        assert (await shop.job(job_id)).state is JobState.COMPLETED


@pytest.mark.parametrize("fault", DOWNLOAD_FAULTS.values(), ids=DOWNLOAD_FAULTS.keys())
async def test_a_download_that_fails_is_repeated(fault: Fault, shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.download = [fault]

    job_id = await shop.made()

    [video] = await shop.jobs.videos(job_id)
    assert video.path is not None
    assert video.path.read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
    assert (await shop.job(job_id)).cost_usd == Decimal("0.40")
    assert (fake.book.creates, fake.book.charged) == (1, 1)
    assert list(shop.services.spool.iterdir()) == []


async def test_a_result_that_is_never_a_video_fails_the_job_in_the_end_and_its_cost_is_known(
    opened: Open, fake: FakeOpenAI
) -> None:
    fake.faults.download = [Fault.of(Trouble.NOT_A_VIDEO).always()]

    async with opened(clock=Clock(speed=500)) as shop:
        job_id = await shop.made()
        job, hold = await shop.job(job_id), await shop.hold(job_id)

    assert (job.state, job.cost_usd) == (JobState.FAILED, Decimal("0.40"))
    assert job.failure is not None
    assert job.failure.code == "bad_result"
    assert hold is not None
    assert hold["settled_usd"] == Decimal("0.40")
    assert list(shop.services.spool.iterdir()) == [], "a bad file is of no use to anybody"
    assert fake.book.creates == 1


async def test_a_file_that_is_always_cut_off_fails_the_job_too(opened: Open, fake: FakeOpenAI) -> None:
    fake.faults.download = [Fault.of(Trouble.SHORT, 5000).always()]

    async with opened(clock=Clock(speed=500)) as shop:
        job = await shop.job(await shop.made())

    assert job.failure is not None
    assert (job.failure.code, job.cost_usd) == ("bad_result", Decimal("0.40"))
    assert len([request for request in fake.requests if request.raw_path.endswith("/content")]) == 4


async def test_a_paid_video_is_not_given_up_for_a_bad_minute(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.download = [Fault.of(Trouble.NOT_A_VIDEO).times(5)]

    job_id = await shop.made()

    assert (await shop.job(job_id)).state is JobState.COMPLETED


async def test_a_result_that_has_expired_fails_the_job_and_its_cost_is_known(opened: Open, fake: FakeOpenAI) -> None:
    clock = Clock()
    fake.result_life_s = 0
    fake.faults.download = [Fault.status(503).always()]

    async with opened(clock=clock) as shop:
        job_id = (await shop.submit()).job_id
        with anyio.move_on_after(0.5):
            await shop.carry_out(job_id)
        paid = await shop.job(job_id)
        fake.faults.download = []
        clock.move(timedelta(hours=2))
        await shop.carry_out(job_id)

        job = await shop.job(job_id)
        assert paid.state is JobState.DOWNLOADING
        assert (job.state, job.cost_usd) == (JobState.FAILED, Decimal("0.40"))
        assert job.failure is not None
        assert job.failure.code == "expired"


async def test_the_store_being_in_the_way_is_waited_out(opened: Open, fake: FakeOpenAI, tmp_path: Path) -> None:
    obstacle = tmp_path / "home" / "media" / "videos"

    async with opened() as shop:
        obstacle.parent.mkdir(exist_ok=True)
        obstacle.write_text("a file where a folder has to be")
        job_id = (await shop.submit()).job_id
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shop.carry_out, job_id)

            async def in_trouble() -> bool:
                return "trouble" in await shop.kinds(job_id)

            await shop.until(in_trouble)
            obstacle.unlink()

        assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert fake.book.creates == 1


async def test_a_check_that_dies_under_a_good_file_is_made_again(shop: Workshop, fake: FakeOpenAI) -> None:
    # Dead processes are this machine's trouble as likely as the file's: more of them than bad files are put up with.
    killed: set[int] = set()
    job_id = (await shop.submit()).job_id

    async with anyio.create_task_group() as tasks:

        async def kill_the_first_three() -> None:
            while len(killed) < 3:
                for pid in shop.services.children.pids - killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(kill_the_first_three)
        await shop.carry_out(job_id)

    asked = [request for request in fake.requests if request.path.endswith("/content")]
    assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert sum("variant" not in request.query for request in asked) == 1
    assert fake.book.charged == 1

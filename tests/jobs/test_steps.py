"""The steps of a job against a far side that works, and one that refuses: what is bought and brought home."""

import hashlib
import io
from decimal import Decimal

import anyio
import pytest
from PIL import Image
from workshop import Clock, Crash, Open, Workshop, crashing_at

from rushes.jobs.codec import JobOptions
from rushes.jobs.ledger import AttemptState, JobState
from rushes.jobs.services import NOT_READY_S
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]


async def test_a_job_is_bought_once_and_its_bytes_come_home_unchanged(shop: Workshop, fake: FakeOpenAI) -> None:
    job_id = await shop.made(seconds=8)

    [video] = await shop.jobs.videos(job_id)
    snapshot = await shop.jobs.get(job_id)
    assert (snapshot.state, snapshot.percent, snapshot.cost_usd) == (JobState.COMPLETED, 100.0, Decimal("0.80"))
    assert fake.book.charged == fake.book.creates == 1
    assert fake.book.total_usd == Decimal("0.80")
    assert video.path is not None
    assert video.path.read_bytes() == fake.content_of(fake.book.entries[0].remote_id)
    assert video.sha256 == hashlib.sha256(video.path.read_bytes()).hexdigest()
    assert (video.remote_id, video.cached) == (fake.book.entries[0].remote_id, False)
    assert (str(video.size), round(video.seconds), video.has_audio) == ("1280x720", 8, True)


async def test_the_providers_own_pictures_are_kept(shop: Workshop) -> None:
    job_id = await shop.made()

    [video] = await shop.jobs.videos(job_id)
    assert video.thumbnail is not None
    assert video.thumbnail.read_bytes()[8:12] == b"WEBP"
    assert video.spritesheet is not None
    assert video.spritesheet.read_bytes()[:2] == b"\xff\xd8"
    made_by = {variant: asset.made_by for variant, asset in (await shop.assets(video.id)).items()}
    assert made_by == {"thumbnail": "provider", "spritesheet": "provider", "manifest": "us"}


async def test_pictures_that_are_not_wanted_are_not_asked_for(shop: Workshop, fake: FakeOpenAI) -> None:
    job_id = await shop.made(options=JobOptions(thumbnail=False, spritesheet=False))

    [video] = await shop.jobs.videos(job_id)
    assert (video.thumbnail, video.spritesheet) == (None, None)
    assert not [request for request in fake.requests if "variant" in request.query]


async def test_a_picture_that_cannot_be_had_is_a_warning_not_a_failure(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.download = [None, Fault.status(404), Fault.of(Trouble.HTML)]

    job_id = await shop.made()

    assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert (await shop.kinds(job_id)).count("warning") == 2
    assert set(await shop.assets(job_id)) == {"manifest"}


async def test_the_hold_is_made_at_admission_and_settled_to_the_cost(shop: Workshop) -> None:
    admission = await shop.submit(seconds=8)
    before = await shop.hold(admission.job_id)
    await shop.carry_out(admission.job_id)
    after = await shop.hold(admission.job_id)

    assert before is not None
    assert (before["held_usd"], before["settled_usd"]) == (Decimal("0.80"), 0)
    assert after is not None
    assert (after["held_usd"], after["settled_usd"], after["overrun_usd"]) == (0, Decimal("0.80"), 0)


async def test_the_history_of_a_job_tells_each_move(shop: Workshop) -> None:
    job_id = await shop.made()

    told = [kind for kind in await shop.kinds(job_id) if kind != "progress"]
    assert told == ["queued", "submitting", "accepted", "rendered", "finishing", "completed"]


async def test_nothing_is_left_in_the_spool(shop: Workshop) -> None:
    await shop.made()

    assert list(shop.services.spool.iterdir()) == []


async def test_running_a_finished_job_again_changes_nothing(shop: Workshop, fake: FakeOpenAI) -> None:
    job_id = await shop.made()
    before, requests = await shop.case(job_id), len(fake.requests)

    await shop.carry_out(job_id)

    assert await shop.case(job_id) == before
    assert len(fake.requests) == requests


# -- refusals: proven, so the next attempt buys it once --------------------------------------------


async def test_a_refused_connection_is_tried_again_when_the_far_side_is_up(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.refuse()
    job_id = (await shop.submit()).job_id

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.carry_out, job_id)

        async def refused() -> bool:
            return "refused" in await shop.kinds(job_id)

        await shop.until(refused)
        fake.start()

    attempts = await shop.attempts(job_id)
    assert [attempt.state for attempt in attempts] == [AttemptState.REFUSED, AttemptState.ENDED]
    assert attempts[0].error_code == "provider_unreachable"
    assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert fake.book.charged == 1


async def test_too_many_requests_are_waited_out(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(429, retry_after="1")]

    job_id = await shop.made()

    first, second = await shop.attempts(job_id)
    assert (first.state, first.cost_usd) == (AttemptState.REFUSED, Decimal(0))
    assert second.sent_at is not None
    assert first.answered_at is not None
    assert (second.sent_at - first.answered_at).total_seconds() >= 1.0
    assert (await shop.job(job_id)).cost_usd == Decimal("0.40")
    assert fake.book.charged == 1


@pytest.mark.parametrize(("status", "code"), [(400, "rejected"), (401, "access_denied"), (404, "gone")])
async def test_any_other_refusal_ends_the_job_unpaid(status: int, code: str, shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(status)]

    job_id = await shop.made()

    job, hold = await shop.job(job_id), await shop.hold(job_id)
    assert (job.state, job.cost_usd) == (JobState.FAILED, Decimal(0))
    assert job.failure is not None
    assert job.failure.code == code
    assert hold is not None
    assert (hold["held_usd"], hold["settled_usd"]) == (0, 0)
    assert (fake.book.creates, fake.book.charged) == (1, 0)


@pytest.mark.parametrize("operation", ["create", "poll"])
async def test_moderated_content_fails_with_its_code_and_costs_nothing(
    operation: str, shop: Workshop, fake: FakeOpenAI
) -> None:
    setattr(fake.faults, operation, [Fault.of(Trouble.MODERATED)])

    job_id = await shop.made()

    job = await shop.job(job_id)
    assert (job.state, job.cost_usd) == (JobState.FAILED, Decimal(0))
    assert job.failure is not None
    assert job.failure.code == "moderation_blocked"
    assert fake.book.creates == 1


# -- keys, cancelling ------------------------------------------------------------------------------


async def test_a_key_that_is_missing_where_the_work_is_done_is_waited_for(opened: Open, fake: FakeOpenAI) -> None:
    async with opened() as shop:
        job_id = (await shop.submit()).job_id

    async with opened(environment={"OPENAI_BASE_URL": fake.base_url}) as keyless, anyio.create_task_group() as tasks:
        tasks.start_soon(keyless.carry_out, job_id)

        async def in_trouble() -> bool:
            return (await keyless.job(job_id)).trouble is not None

        await keyless.until(in_trouble)
        tasks.cancel_scope.cancel()
    async with opened(clock=Clock.ahead(NOT_READY_S + 1)) as shop:
        waiting = await shop.job(job_id)
        await shop.carry_out(job_id)

        assert waiting.state is JobState.QUEUED
        assert waiting.trouble is not None
        assert "OPENAI_API_KEY" in waiting.trouble
        assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert fake.book.creates == 1


async def test_a_key_that_went_missing_after_the_intent_is_waited_for_too(opened: Open, fake: FakeOpenAI) -> None:
    async with opened(reached=crashing_at("attempt.intended")) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)

    async with opened(environment={"OPENAI_BASE_URL": fake.base_url}) as keyless:
        with anyio.move_on_after(0.5):
            await keyless.carry_out(job_id)
        waiting = await keyless.job(job_id)
    async with opened(clock=Clock.ahead(NOT_READY_S + 1)) as shop:
        await shop.carry_out(job_id)

        assert waiting.trouble is not None
        assert "OPENAI_API_KEY" in waiting.trouble
        assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert fake.book.creates == 1


async def test_cancelling_before_anything_was_sent_ends_the_job_unpaid(shop: Workshop, fake: FakeOpenAI) -> None:
    job_id = (await shop.submit()).job_id

    await shop.jobs.cancel(job_id)
    await shop.carry_out(job_id)

    job, hold = await shop.job(job_id), await shop.hold(job_id)
    assert (job.state, job.cost_usd) == (JobState.CANCELLED, Decimal(0))
    assert hold is not None
    assert (hold["held_usd"], hold["settled_usd"]) == (0, 0)
    assert fake.book.creates == 0


async def test_cancelling_an_intent_leaves_nothing_that_could_be_sent(opened: Open, fake: FakeOpenAI) -> None:
    async with opened(reached=crashing_at("attempt.intended")) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)

    async with opened() as shop:
        await shop.jobs.cancel(job_id)
        await shop.carry_out(job_id)

        [attempt] = await shop.attempts(job_id)
        assert (attempt.state, attempt.cost_usd) == (AttemptState.REFUSED, Decimal(0))
        assert (await shop.job(job_id)).state is JobState.CANCELLED
    assert fake.book.creates == 0


async def test_what_is_paid_for_and_cannot_be_stopped_is_still_fetched(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.job_s = 60.0
    job_id = (await shop.submit()).job_id

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.carry_out, job_id)

        async def told() -> bool:
            return "cancel_refused" in await shop.kinds(job_id)

        async def running() -> bool:
            return (await shop.job(job_id)).state is JobState.IN_PROGRESS

        await shop.until(running)
        await shop.jobs.cancel(job_id)
        await shop.until(told)
        fake.finish()

    job = await shop.job(job_id)
    assert (job.state, job.cost_usd, job.cancel_requested) == (JobState.COMPLETED, Decimal("0.40"), True)
    assert (await shop.kinds(job_id)).count("cancel_refused") == 1
    assert fake.book.charged == 1


async def test_a_picture_that_is_gone_before_it_was_sent_fails_the_job_unpaid(shop: Workshop, fake: FakeOpenAI) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (1280, 720), "teal").save(picture, "PNG")
    frame = await shop.inputs.add(picture.getvalue())
    job_id = (await shop.submit(first_frame=frame)).job_id
    (await shop.inputs.path(frame)).unlink()

    await shop.carry_out(job_id)

    job = await shop.job(job_id)
    assert (job.state, job.failure and job.failure.code, job.cost_usd) == (JobState.FAILED, "input_lost", Decimal(0))
    assert fake.book.creates == 0

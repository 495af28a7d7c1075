"""Doubt, settled against a far side that can be searched: whatever was lost on the way, it is paid for once."""

from datetime import timedelta
from decimal import Decimal

import anyio
import pytest
from workshop import Clock, Crash, Open, Patient, Workshop, crashing_at

from rushes.errors import Conflict, JobFailed, NeedsAttention
from rushes.jobs.admission import Order
from rushes.jobs.ledger import AttemptState, JobState, Next
from rushes.jobs.reconcile import UNASKED_REPAYS
from rushes.jobs.services import NOT_READY_S
from rushes.jobs.submission import submit
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble
from rushes.video import ModelId, Size, Status

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

ACCEPTED = {
    "a 500": Fault.status(500, accepted=True),
    "a 408": Fault.status(408, accepted=True),
    "silence": Fault.hang(accepted=True),
    "a reset": Fault.reset(accepted=True),
    "an answer cut short": Fault.cut(),
    "an answer without an id": Fault.of(Trouble.NO_ID),
    "a web page": Fault.of(Trouble.HTML),
    "half an answer": Fault.of(Trouble.HALF_JSON),
}
NOT_ACCEPTED = {"a 500": Fault.status(500), "silence": Fault.hang(), "a reset": Fault.reset()}
HIDDEN = Fault.of(Trouble.NO_PROMPTS).always()


async def in_doubt(shop: Workshop, fake: FakeOpenAI, *, accepted: bool = True) -> str:
    """A job whose fate nobody can tell, because the far side hides the prompts of its jobs."""
    fake.faults.create = [Fault.status(500, accepted=accepted)]
    fake.faults.list = [HIDDEN]
    return await shop.made()


@pytest.mark.parametrize("fault", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_a_create_that_was_accepted_unheard_is_found_and_adopted(
    fault: Fault, shop: Workshop, fake: FakeOpenAI
) -> None:
    fake.faults.create = [fault]

    job_id = await shop.made()

    [attempt] = await shop.attempts(job_id)
    assert (attempt.state, attempt.cost_usd) == (AttemptState.ENDED, Decimal("0.40"))
    assert attempt.remote is not None
    assert attempt.remote.id == fake.book.entries[0].remote_id
    assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert "adopted" in await shop.kinds(job_id)
    assert (fake.book.creates, fake.book.charged) == (1, 1)


@pytest.mark.parametrize("fault", NOT_ACCEPTED.values(), ids=NOT_ACCEPTED.keys())
async def test_a_create_that_is_proven_absent_is_sent_again_and_bought_once(
    fault: Fault, patient: Patient, fake: FakeOpenAI
) -> None:
    fake.faults.create = [fault]

    async with patient() as shop:
        job_id = await shop.made()

        attempts = await shop.attempts(job_id)
        assert [attempt.state for attempt in attempts] == [AttemptState.REFUSED, AttemptState.ENDED]
        assert attempts[0].error_code == "never_accepted"
        assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert (fake.book.creates, fake.book.charged) == (2, 1)


async def test_absence_is_believed_only_when_a_late_create_must_have_arrived(opened: Open, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(500)]

    async with opened() as shop:
        job_id = (await shop.submit()).job_id
        with anyio.move_on_after(1.0):
            await shop.carry_out(job_id)

        [attempt] = await shop.attempts(job_id)
        assert attempt.state is AttemptState.UNKNOWN
    assert fake.book.creates == 1


async def test_a_list_that_lags_behind_is_asked_again(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(500, accepted=True)]
    fake.faults.list = [Fault.of(Trouble.LAG, 60)]

    job_id = await shop.made()

    assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert fake.book.creates == 1


async def test_a_list_that_fails_is_asked_again(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(500, accepted=True)]
    fake.faults.list = [Fault.status(429)]

    job_id = await shop.made()

    assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert fake.book.creates == 1


async def test_a_job_of_somebody_else_with_other_words_is_not_adopted(patient: Patient, fake: FakeOpenAI) -> None:
    async with patient() as shop:
        other_id = await shop.made("Another prompt")
        fake.faults.create = [Fault.status(500)]
        job_id = await shop.made("A cat")

        assert (await shop.attempts(other_id))[-1].remote != (await shop.attempts(job_id))[-1].remote
    assert (fake.book.creates, fake.book.charged) == (3, 2)


async def test_two_equal_creates_in_doubt_adopt_one_each(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(500, accepted=True).times(2)]
    ids = [(await shop.submit(cache="off")).job_id for _ in range(2)]

    async with anyio.create_task_group() as tasks:
        for job_id in ids:
            tasks.start_soon(shop.carry_out, job_id)

    remotes = {attempt.remote.id for job_id in ids for attempt in await shop.attempts(job_id) if attempt.remote}
    assert remotes == {entry.remote_id for entry in fake.book.entries}
    assert [(await shop.job(job_id)).state for job_id in ids] == [JobState.COMPLETED] * 2
    assert (fake.book.creates, fake.book.charged) == (2, 2)


async def test_an_accepted_create_whose_id_belongs_to_another_job_is_never_sent_again(
    patient: Patient, fake: FakeOpenAI
) -> None:
    fake.faults.create = [None, Fault.of(Trouble.SAME_ID).always()]

    async with patient() as shop:
        first_id, second_id = await shop.made("A cat"), await shop.made("A dog")

        [second] = await shop.attempts(second_id)
        assert (second.state, second.error_code, second.remote) == (AttemptState.UNKNOWN, "duplicate_id", None)
        assert (await shop.job(first_id)).state is JobState.COMPLETED
        assert (await shop.job(second_id)).state is JobState.NEEDS_ATTENTION
    assert fake.book.creates == 2


async def test_a_crash_while_the_request_was_on_its_way_is_doubt(opened: Open, fake: FakeOpenAI) -> None:
    async with opened(reached=crashing_at("attempt.answered")) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)
        [left] = await shop.attempts(job_id)
    async with opened() as shop:
        await shop.carry_out(job_id)

        assert left.state is AttemptState.SENDING
        assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert "doubt" in await shop.kinds(job_id)
    assert fake.book.creates == 1


async def test_doubt_is_not_settled_with_the_key_of_another_account(
    opened: Open, patient: Patient, fake: FakeOpenAI
) -> None:
    async with opened(reached=crashing_at("attempt.answered")) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)
    fake.api_key, fake.jobs = "sk-another", {}

    async with patient() as shop:
        await shop.carry_out(job_id)

        job = await shop.job(job_id)
        assert job.state is JobState.NEEDS_ATTENTION
        assert "account" in (job.trouble or "")
    assert fake.book.creates == 1


async def test_doubt_waits_for_a_key_that_is_missing(opened: Open, fake: FakeOpenAI) -> None:
    async with opened(reached=crashing_at("attempt.answered")) as shop:
        job_id = (await shop.submit()).job_id
        with pytest.raises(Crash):
            await shop.carry_out(job_id)

    async with opened(environment={"OPENAI_BASE_URL": fake.base_url}) as keyless:
        with anyio.move_on_after(0.5):
            await keyless.carry_out(job_id)
        waiting = await keyless.job(job_id)
    async with opened(clock=Clock.ahead(NOT_READY_S + 1)) as shop:
        await shop.carry_out(job_id)

        assert "OPENAI_API_KEY" in (waiting.trouble or "")
        assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert fake.book.creates == 1


async def test_where_a_key_is_honoured_the_same_create_is_repeated(opened: Open) -> None:
    async with opened(reached=crashing_at("attempt.answered")) as shop:
        draft = shop.prepared(model=ModelId("draft", "animatic"), size=Size(320, 180), extra={"latency_s": 60})
        job_id = (await shop.jobs.submit(Order(routes=(draft,), asked_model="draft"))).job_id
        with pytest.raises(Crash):
            await submit(shop.services, job_id)

    async with opened() as shop:
        step = await submit(shop.services, job_id)

        [attempt] = await shop.attempts(job_id)
        assert step is Next.WAIT
        assert (attempt.state, attempt.key) == (AttemptState.CREATED, f"{job_id}-1")


# -- where a person decides ------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False])
async def test_where_prompts_are_hidden_a_person_is_asked(accepted: bool, patient: Patient, fake: FakeOpenAI) -> None:
    async with patient() as shop:
        other = await shop.made("Somebody's")
        job_id = await in_doubt(shop, fake, accepted=accepted)

        job = await shop.job(job_id)
        assert (await shop.job(other)).state is JobState.COMPLETED
        if accepted:
            assert job.state is JobState.NEEDS_ATTENTION
            assert f"resolve {job_id} --adopt" in (job.trouble or "")
            with pytest.raises(NeedsAttention, match="--repay"):
                await shop.jobs.wait(job_id)
            assert fake.book.creates == 2
        else:
            assert job.state is JobState.COMPLETED, "its list is complete, and holds no job that could be ours"


async def test_a_job_in_need_keeps_its_hold_and_its_place(patient: Patient, fake: FakeOpenAI) -> None:
    async with patient() as shop:
        job_id = await in_doubt(shop, fake)
        again = await shop.submit()

        hold = await shop.hold(job_id)
        assert hold is not None
        assert (hold["held_usd"], hold["settled_usd"]) == (Decimal("0.40"), 0)
        assert (again.job_id, again.joined) == (job_id, True)


async def test_adopting_puts_the_video_under_the_jobs_own_id(patient: Patient, fake: FakeOpenAI) -> None:
    async with patient() as shop:
        job_id = await in_doubt(shop, fake)
        remote_id = fake.book.entries[-1].remote_id

        assert await shop.jobs.resolve_adopt(job_id, remote_id) == job_id
        await shop.carry_out(job_id)

        [video] = await shop.jobs.videos(job_id)
        assert (video.id, video.remote_id, video.cost_usd) == (job_id, remote_id, Decimal("0.40"))
        assert fake.book.creates == 1


async def test_a_remote_job_of_another_job_cannot_be_adopted(patient: Patient, fake: FakeOpenAI) -> None:
    async with patient() as shop:
        await shop.made("Another")
        job_id = await in_doubt(shop, fake)

        with pytest.raises(Conflict, match="already belongs"):
            await shop.jobs.resolve_adopt(job_id, fake.book.entries[0].remote_id)

        assert (await shop.job(job_id)).state is JobState.NEEDS_ATTENTION
        assert (await shop.attempts(job_id))[-1].state is AttemptState.UNKNOWN


async def test_paying_again_buys_one_more_beside_the_one_in_doubt(patient: Patient, fake: FakeOpenAI) -> None:
    async with patient() as shop:
        job_id = await in_doubt(shop, fake)

        assert await shop.jobs.resolve_repay(job_id) == job_id
        await shop.carry_out(job_id)

        first, second = await shop.attempts(job_id)
        job = await shop.job(job_id)
        assert (first.state, first.repaid) == (AttemptState.UNKNOWN, True)
        assert second.state is AttemptState.ENDED
        assert (job.state, job.cost_usd) == (JobState.COMPLETED, None), "the first may have been billed too"
    assert fake.book.charged == 2


async def test_who_accepts_it_beforehand_is_not_asked(patient: Patient, fake: FakeOpenAI) -> None:
    async with patient(on_unknown="repay") as shop:
        job_id = await in_doubt(shop, fake)

        assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert fake.book.charged == 2


async def test_what_is_never_settled_is_not_paid_without_end(patient: Patient, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(500, accepted=True).always()]
    fake.faults.list = [HIDDEN]
    async with patient(on_unknown="repay") as shop:
        job_id = await shop.made()

        assert (await shop.job(job_id)).state is JobState.NEEDS_ATTENTION
        assert len(await shop.attempts(job_id)) == 1 + UNASKED_REPAYS


async def test_only_a_job_in_need_can_be_decided(shop: Workshop) -> None:
    job_id = await shop.made()

    with pytest.raises(Conflict, match="nothing to decide"):
        await shop.jobs.resolve_adopt(job_id, "video_x")
    with pytest.raises(Conflict, match="nothing to decide"):
        await shop.jobs.resolve_repay(job_id)


async def test_a_job_in_need_cannot_be_cancelled_before_the_decision(patient: Patient, fake: FakeOpenAI) -> None:
    async with patient() as shop:
        job_id = await in_doubt(shop, fake)

        with pytest.raises(Conflict, match="decision"):
            await shop.jobs.cancel(job_id)


# -- after the deadline ----------------------------------------------------------------------------


async def test_undecided_at_its_deadline_a_job_shows_as_failed(patient: Patient, fake: FakeOpenAI) -> None:
    clock = Clock()
    async with patient(clock) as shop:
        job_id = await in_doubt(shop, fake)
        before = await shop.jobs.get(job_id)
        clock.move(timedelta(hours=48))
        after = await shop.jobs.get(job_id)

        assert before.status is Status.IN_PROGRESS
        assert after.status is Status.FAILED
        assert after.failure is not None
        assert after.failure.code == "timeout"
        with pytest.raises(JobFailed) as failed:
            await shop.jobs.wait(job_id)
        assert failed.value.failure_code == "timeout"


async def test_a_late_adoption_takes_a_new_id_that_names_the_old(patient: Patient, fake: FakeOpenAI) -> None:
    clock = Clock()
    async with patient(clock) as shop:
        job_id = await in_doubt(shop, fake)
        clock.move(timedelta(hours=48))

        new_id = await shop.jobs.resolve_adopt(job_id, fake.book.entries[0].remote_id)
        await shop.carry_out(new_id)

        old, new = await shop.job(job_id), await shop.job(new_id)
        assert new_id != job_id
        assert (new.state, new.adopted_from, new.cost_usd) == (JobState.COMPLETED, job_id, Decimal("0.40"))
        assert old.state is JobState.FAILED
        assert old.failure is not None
        assert old.failure.code == "timeout"
        assert [video.id for video in await shop.jobs.videos(new_id)] == [new_id]
        assert await shop.jobs.videos(job_id) == []
    assert fake.book.creates == 1


async def test_after_the_deadline_the_same_request_is_a_new_job(patient: Patient, fake: FakeOpenAI) -> None:
    clock = Clock()
    async with patient(clock) as shop:
        job_id = await in_doubt(shop, fake)
        clock.move(timedelta(hours=48))

        with pytest.raises(Conflict, match="Submit it anew"):
            await shop.jobs.resolve_repay(job_id)
        price = await shop.jobs.price_now(Order(routes=(shop.prepared(),), asked_model="sora-2"))
        anew = await shop.submit()

        assert price == Decimal("0.40")
        assert (anew.joined, anew.job_id != job_id) == (False, True)
        assert (await shop.jobs.get(job_id)).status is Status.FAILED

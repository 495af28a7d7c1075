"""Routes: the next model is tried only after a proven refusal, never on doubt and never on moderation."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import anyio
import pytest
import sqlalchemy as sa
from workshop import SORA, Clock, Crash, Open, Patient, Workshop, crashing_at

from rushes.errors import JobFailed, Moderated
from rushes.jobs import ledger, store
from rushes.jobs.admission import Admission, Order
from rushes.jobs.ledger import AttemptState, JobState
from rushes.jobs.routes import dearest
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault
from rushes.video import Adjustment, ModelId

pytestmark = pytest.mark.anyio

SPARE = ModelId("spare", "sora-2-pro")


@pytest.fixture
def spare() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as spare:
        yield spare


@pytest.fixture
async def shop(opened: Open, spare: FakeOpenAI) -> AsyncIterator[Workshop]:
    async with opened(others={"spare": spare}) as shop:
        yield shop


def order(shop: Workshop, prompt: str = "A cat", *, cache: str = "use") -> Order:
    """Sora 2 at $0.40; if it refuses, Sora 2 Pro on another server at $1.20."""
    routes = (shop.prepared(prompt), shop.prepared(prompt, model=SPARE))
    return Order(routes=routes, asked_model=str(SORA), cache=cache)


def ripening(clock: Clock) -> Callable[[str], None]:
    """For `opened`: when doubt is to be settled, even a slow server's create must have arrived or failed."""

    def reached(point: str) -> None:
        if point == "doubt.settling":
            clock.move(timedelta(seconds=100))

    return reached


async def made(shop: Workshop, admission: Admission) -> str:
    await shop.carry_out(admission.job_id)
    return admission.job_id


async def test_the_first_route_is_taken_while_it_can_be(shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI) -> None:
    job_id = await made(shop, await shop.jobs.submit(order(shop)))

    [video] = await shop.jobs.videos(job_id)
    assert (video.model, video.cost_usd, video.adjustments) == (SORA, Decimal("0.40"), ())
    assert (fake.book.charged, spare.book.creates) == (1, 0)


async def test_a_refused_connection_leads_to_the_next_route_and_is_told(
    shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.refuse()

    job_id = await made(shop, await shop.jobs.submit(order(shop)))

    [video] = await shop.jobs.videos(job_id)
    [note] = video.adjustments
    assert (video.model, video.cost_usd) == (SPARE, Decimal("1.20"))
    assert (note.field, note.asked, note.given) == ("model", str(SORA), str(SPARE))
    assert "connect" in note.why.lower()
    assert spare.book.charged == 1
    assert [attempt.state for attempt in await shop.attempts(job_id)] == [AttemptState.REFUSED, AttemptState.ENDED]
    assert "rerouted" in await shop.kinds(job_id)
    snapshot = await shop.jobs.get(job_id)
    assert (snapshot.model, snapshot.asked_model) == (SPARE, str(SORA))


@pytest.mark.parametrize("refusal", ["400", "401", "403", "404", "410", "422", "429-retry:0*"])
async def test_every_proven_refusal_leads_to_the_next_route(
    refusal: str, shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse(refusal)]

    job_id = await made(shop, await shop.jobs.submit(order(shop)))

    assert (await shop.job(job_id)).state is JobState.COMPLETED
    assert (fake.book.charged, spare.book.charged) == (0, 1)


async def test_moderation_is_never_taken_elsewhere(shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI) -> None:
    fake.faults.create = [Fault.parse("moderated")]

    job_id = await made(shop, await shop.jobs.submit(order(shop)))

    with pytest.raises(JobFailed) as failed:
        await shop.jobs.wait(job_id)
    assert failed.value.failure_code == "moderation_blocked"
    assert spare.book.creates == 0


async def test_doubt_is_never_taken_elsewhere_but_to_a_person(
    shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("hang-accepted")]
    fake.faults.list = [Fault.parse("404*")]

    job_id = await made(shop, await shop.jobs.submit(order(shop)))

    assert (await shop.job(job_id)).state is JobState.NEEDS_ATTENTION
    assert (fake.book.charged, spare.book.creates) == (1, 0)


async def test_a_job_that_was_accepted_and_failed_is_not_bought_elsewhere(
    shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.poll = [Fault.parse("failed_as:200")]

    job_id = await made(shop, await shop.jobs.submit(order(shop)))

    assert (await shop.job(job_id)).state is JobState.FAILED
    assert spare.book.creates == 0


async def test_a_route_that_cannot_be_tried_from_here_makes_way(opened: Open, spare: FakeOpenAI) -> None:
    async with opened(others={"spare": spare}) as shop:
        admission = await shop.jobs.submit(order(shop))
    async with opened(others={"spare": spare}, environment={}) as keyless:  # the key of the first is gone
        await made(keyless, admission)

        [video] = await keyless.jobs.videos(admission.job_id)
        assert video.model == SPARE
        assert "OPENAI_API_KEY" in video.adjustments[0].why or "shut" in video.adjustments[0].why


async def test_the_dearest_route_is_held_and_what_was_spent_is_settled(
    shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    first = await shop.jobs.submit(order(shop))
    before = await shop.hold(first.job_id)
    await made(shop, first)
    after = await shop.hold(first.job_id)

    assert before is not None
    assert after is not None
    assert (before["held_usd"], before["settled_usd"]) == (Decimal("1.20"), 0)
    assert (after["held_usd"], after["settled_usd"]) == (0, Decimal("0.40"))
    assert await shop.jobs.price_now(order(shop, "another")) == Decimal("1.20")


async def test_an_unknown_price_on_any_route_is_unknown_for_all(shop: Workshop) -> None:
    known, other = order(shop).routes
    assert dearest([known, replace(other, estimate_usd=None)]) is None


async def test_what_another_route_made_serves_the_same_order_for_nothing(
    shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.refuse()
    await made(shop, await shop.jobs.submit(order(shop)))

    again = await shop.jobs.submit(order(shop))
    [video] = await shop.jobs.videos(again.job_id)

    assert again.cached
    assert (video.model, video.cost_usd) == (SPARE, 0)
    assert spare.book.charged == 1


async def test_what_another_route_made_does_not_pass_for_the_first_models_work(
    shop: Workshop, fake: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("400")]
    await made(shop, await shop.jobs.submit(order(shop)))

    only_sora = await shop.submit()

    assert not only_sora.cached
    assert not only_sora.joined


async def test_an_equal_order_joins_the_job_whichever_route_it_is_on(
    opened: Open, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.refuse()
    async with opened(others={"spare": spare}, reached=crashing_at("attempt.refused")) as shop:
        first = await shop.jobs.submit(order(shop))
        with pytest.raises(Crash):
            await shop.carry_out(first.job_id)
    async with opened(others={"spare": spare}) as shop:
        assert (await shop.job(first.job_id)).model == str(SPARE)

        second = await shop.jobs.submit(order(shop))
        await made(shop, second)

        assert (second.joined, second.job_id) == (True, first.job_id)
        assert spare.book.charged == 1


async def test_when_every_route_refuses_the_last_one_says_why_and_a_retry_begins_anew(
    shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("422")]
    spare.faults.create = [Fault.parse("400")]
    job_id = await made(shop, await shop.jobs.submit(order(shop)))
    assert (await shop.job(job_id)).state is JobState.FAILED

    again = await made(shop, await shop.jobs.retry(job_id))

    [video] = await shop.jobs.videos(again)
    assert video.model == SORA
    assert video.adjustments == tuple[Adjustment, ...]()
    assert (fake.book.charged, spare.book.charged) == (1, 0)


async def test_an_order_without_fallback_never_joins_one_that_may_be_made_elsewhere(
    shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("400")]
    with_spare = await shop.jobs.submit(order(shop))
    price = await shop.jobs.price_now(Order(routes=order(shop).routes[:1], asked_model=str(SORA)))
    only_sora = await shop.submit()
    again = await shop.submit()

    await made(shop, with_spare)
    await made(shop, only_sora)

    assert price == Decimal("0.40")
    assert not only_sora.joined
    assert (again.joined, again.job_id) == (True, only_sora.job_id)
    assert [(await shop.job(each.job_id)).model for each in (with_spare, only_sora)] == [str(SPARE), str(SORA)]
    assert (fake.book.charged, spare.book.charged) == (1, 1)


async def test_an_order_with_fallback_joins_the_one_that_has_only_its_first_model(
    shop: Workshop, fake: FakeOpenAI
) -> None:
    only_sora = await shop.submit()
    price = await shop.jobs.price_now(order(shop))
    with_spare = await shop.jobs.submit(order(shop))
    other_fallback = await shop.jobs.submit(order(shop, "another"))

    assert (price, with_spare.joined, with_spare.job_id) == (0, True, only_sora.job_id)
    assert not other_fallback.joined


async def test_what_was_asked_of_the_spare_itself_does_not_pass_for_a_fallback(
    shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    await made(shop, await shop.submit(model=SPARE))

    price = await shop.jobs.price_now(order(shop))
    job_id = await made(shop, await shop.jobs.submit(order(shop)))

    assert price == Decimal("1.20")
    assert (await shop.job(job_id)).model == str(SORA)
    assert (fake.book.charged, spare.book.charged) == (1, 1)


async def test_a_copy_of_what_another_route_made_says_so(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.refuse()
    first = await made(shop, await shop.jobs.submit(order(shop)))
    again = await shop.jobs.submit(order(shop))
    [original], [copy] = await shop.jobs.videos(first), await shop.jobs.videos(again.job_id)

    assert again.cached
    assert copy.adjustments == original.adjustments
    assert [note.field for note in copy.adjustments] == ["model"]


async def test_an_intent_on_a_route_that_cannot_be_tried_any_more_makes_way(
    opened: Open, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    async with opened(others={"spare": spare}, reached=crashing_at("attempt.intended")) as shop:
        admission = await shop.jobs.submit(order(shop))
        with pytest.raises(Crash):
            await shop.carry_out(admission.job_id)
    async with opened(others={"spare": spare}, environment={}) as keyless:
        await made(keyless, admission)

        assert (await keyless.job(admission.job_id)).model == str(SPARE)
        states = [attempt.state for attempt in await keyless.attempts(admission.job_id)]
        assert states == [AttemptState.REFUSED, AttemptState.ENDED]
    assert (fake.book.creates, spare.book.charged) == (0, 1)


async def test_a_refusal_is_written_although_the_next_route_has_left_the_settings(
    opened: Open, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    async with opened(others={"spare": spare}) as shop:
        admission = await shop.jobs.submit(order(shop))
    fake.faults.create = [Fault.parse("400")]
    async with opened() as without_spare:
        with anyio.move_on_after(2.0):
            await made(without_spare, admission)

        [attempt] = await without_spare.attempts(admission.job_id)
        assert attempt.state is AttemptState.REFUSED
        assert "spare" in ((await without_spare.job(admission.job_id)).trouble or "")
    async with opened(others={"spare": spare}) as shop:
        await made(shop, admission)

        again = await shop.jobs.submit(order(shop))
        assert again.cached
    assert (fake.book.creates, spare.book.charged) == (1, 1)


async def test_a_retry_goes_on_although_its_first_route_cannot_be_tried(
    opened: Open, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("400")]
    spare.faults.create = [Fault.parse("400")]
    async with opened(others={"spare": spare}) as shop:
        job_id = await made(shop, await shop.jobs.submit(order(shop)))
    async with opened(others={"spare": spare}, environment={}) as keyless:
        again = await made(keyless, await keyless.jobs.retry(job_id))

        assert (await keyless.job(again)).model == str(SPARE)


async def test_a_far_side_that_asks_for_a_long_pause_makes_way_at_once(
    shop: Workshop, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("429-retry:600*")]

    await made(shop, await shop.jobs.submit(order(shop)))

    assert (fake.book.creates, fake.book.charged, spare.book.charged) == (1, 0, 1)


async def test_a_wish_to_cancel_ends_the_pause_after_a_refusal(shop: Workshop, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.parse("429-retry:600*")]
    admission = await shop.submit()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shop.carry_out, admission.job_id)

        async def refused() -> bool:
            return "refused" in await shop.kinds(admission.job_id)

        await shop.until(refused)
        await shop.jobs.cancel(admission.job_id)

    assert (await shop.job(admission.job_id)).state is JobState.CANCELLED


@pytest.mark.parametrize("point", ["attempt.intended", "attempt.sending", "attempt.answered", "attempt.refused"])
async def test_a_wish_to_cancel_ends_a_refused_job_before_the_next_route(
    point: str, patient: Patient, opened: Open, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("400*")]
    async with opened(others={"spare": spare}, reached=crashing_at(point)) as shop:
        admission = await shop.jobs.submit(order(shop))
        with pytest.raises(Crash):
            await shop.carry_out(admission.job_id)
        await shop.jobs.cancel(admission.job_id)
    async with patient(others={"spare": spare}) as shop:
        await made(shop, admission)

        job, hold = await shop.job(admission.job_id), await shop.hold(admission.job_id)
        assert (job.state, job.cost_usd) == (JobState.CANCELLED, 0)
        assert hold is not None
        assert (hold["held_usd"], hold["settled_usd"]) == (0, 0)
    assert spare.book.creates == 0


@pytest.mark.parametrize("point", ["attempt.intended", "attempt.sending", "attempt.answered", "attempt.refused"])
@pytest.mark.parametrize("where", [1, 2])
async def test_a_crash_at_any_point_of_either_route_buys_once(
    where: int, point: str, opened: Open, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("400*")]
    passed: list[str] = []

    def reached(name: str) -> None:
        passed.append(name)
        if name == point and passed.count(point) == where:
            raise Crash(point)

    async with opened(others={"spare": spare}, reached=reached) as shop:
        admission = await shop.jobs.submit(order(shop))
        if (where, point) == (2, "attempt.refused"):  # the second route does not refuse
            await made(shop, admission)
        else:
            with pytest.raises(Crash):
                await shop.carry_out(admission.job_id)
    clock = Clock()
    async with opened(others={"spare": spare}, clock=clock, reached=ripening(clock)) as shop:
        await made(shop, admission)

        job = await shop.job(admission.job_id)
        assert (job.state, job.model) == (JobState.COMPLETED, str(SPARE))
    assert (fake.book.charged, spare.book.charged) == (0, 1)


async def test_paid_again_a_refusal_leads_to_the_next_route_and_the_cost_stays_open(
    patient: Patient, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("hang-accepted"), Fault.parse("400")]
    fake.faults.list = [Fault.parse("404*")]
    async with patient(others={"spare": spare}) as shop:
        job_id = await made(shop, await shop.jobs.submit(order(shop)))
        await shop.jobs.resolve_repay(job_id)
        await shop.carry_out(job_id)

        states = [attempt.state for attempt in await shop.attempts(job_id)]
        assert states == [AttemptState.UNKNOWN, AttemptState.REFUSED, AttemptState.ENDED]
        job = await shop.job(job_id)
        assert (job.model, job.cost_usd) == (str(SPARE), None)
    assert (fake.book.charged, spare.book.charged) == (1, 1)


async def test_adopted_on_its_second_route_a_job_is_that_routes(
    opened: Open, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("400")]
    spare.faults.create = [Fault.parse("500-accepted")]
    spare.faults.list = [Fault.parse("no_prompts*")]
    clock = Clock()
    async with opened(others={"spare": spare}, clock=clock, reached=ripening(clock)) as shop:
        job_id = await made(shop, await shop.jobs.submit(order(shop)))
        assert (await shop.job(job_id)).state is JobState.NEEDS_ATTENTION
        await shop.jobs.resolve_adopt(job_id, spare.book.entries[0].remote_id)
        await shop.carry_out(job_id)

        job = await shop.job(job_id)
        assert (job.model, job.cost_usd) == (str(SPARE), Decimal("1.20"))
    assert (fake.book.charged, spare.book.charged) == (0, 1)


async def test_moderation_told_in_a_doubtful_way_is_not_taken_elsewhere_either(
    patient: Patient, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    async with patient(others={"spare": spare}) as shop:
        job_id = (await shop.jobs.submit(order(shop))).job_id
        case = await shop.case(job_id)
        attempt = ledger.open_attempt(
            case.job,
            [],
            provider="openai",
            account="a",
            model=str(SORA),
            request_hash="0" * 64,
            now=case.job.created_at,
        )
        account = shop.services.registry.provider("openai").account
        unknown = ledger.in_doubt(
            ledger.about_to_send(attempt, account, case.job.created_at), Moderated.code, "It was blocked."
        )

        def work(connection: sa.Connection) -> None:
            store.insert_attempt(connection, unknown)
            store.save_job(connection, ledger.moved(case.job, JobState.SUBMITTING))

        await shop.db.write(work)
        await shop.carry_out(job_id)

        job = await shop.job(job_id)
        assert job.state is JobState.FAILED
        assert job.failure is not None
        assert job.failure.code == Moderated.code
    assert (fake.book.creates, spare.book.creates) == (0, 0)

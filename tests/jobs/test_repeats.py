"""A create that comes a second time over HTTP leads to the job of the first, and one that only looks alike does not."""

from collections.abc import Collection
from datetime import timedelta
from uuid import uuid4

import pytest
from workshop import Clock, Open, Workshop

from rushes.errors import OverBudget, TooManyJobs
from rushes.jobs import repeats
from rushes.jobs.admission import Admission, Order
from rushes.jobs.budget import Limit, Scope
from rushes.jobs.repeats import KeyReused, Repeat
from rushes.jobs.store import Filter

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]


async def create(
    shop: Workshop,
    *,
    body: str = "a",
    key: str | None = None,
    again: int = 0,
    token: str = "",
    busy: Collection[str] = (),
    owner: str = "team",
    limits: tuple[Limit, ...] = (),
    most_open_jobs: int | None = None,
) -> Admission:
    """One create as the gateway admits it: never out of the library."""
    order = Order(
        routes=(shop.prepared("A fox"),),
        asked_model="sora-2",
        cache="off",
        owner=owner,
        limits=limits,
        most_open_jobs=most_open_jobs,
        repeat=Repeat(
            body_hash=body * 64, idempotency_key=key, again=again, token=token or uuid4().hex, busy=lambda: busy
        ),
    )
    return await shop.jobs.submit(order)


async def answered(shop: Workshop, token: str) -> None:
    await shop.services.db.write(lambda connection: repeats.mark_answered(connection, [token], shop.services.now()))


async def test_the_same_key_and_body_mean_the_same_job_though_it_was_answered(opened: Open) -> None:
    async with opened() as shop:
        first = await create(shop, key="k1", token="t1")
        await answered(shop, "t1")

        again = await create(shop, key="k1")

        assert (again.job_id, again.repeated) == (first.job_id, True)
        assert len(await shop.jobs.matching(Filter())) == 1


async def test_a_key_with_another_body_is_refused_and_makes_nothing(opened: Open) -> None:
    async with opened() as shop:
        await create(shop, key="k1", body="a")

        with pytest.raises(KeyReused, match="Send a new key"):
            await create(shop, key="k1", body="b")

        assert len(await shop.jobs.matching(Filter())) == 1


async def test_a_key_is_its_owners_alone(opened: Open) -> None:
    async with opened() as shop:
        ours = await create(shop, key="k1", owner="us")

        theirs = await create(shop, key="k1", owner="them")

        assert theirs.job_id != ours.job_id


async def test_a_key_is_forgotten_after_a_day(opened: Open) -> None:
    clock = Clock()
    async with opened(clock=clock) as shop:
        first = await create(shop, key="k1", body="a")
        clock.move(timedelta(hours=24, seconds=1))

        other = await create(shop, key="k1", body="b")

        assert other.job_id != first.job_id


async def test_a_library_that_asks_again_gets_the_job_whose_answer_it_missed(opened: Open) -> None:
    async with opened() as shop:
        first = await create(shop)

        again = await create(shop, again=1)

        assert (again.job_id, again.repeated) == (first.job_id, True)


async def test_what_was_answered_is_not_claimed(opened: Open) -> None:
    async with opened() as shop:
        first = await create(shop, token="t1")
        await answered(shop, "t1")

        again = await create(shop, again=1)

        assert again.job_id != first.job_id


async def test_what_is_being_answered_or_is_known_to_be_is_not_claimed(opened: Open) -> None:
    async with opened() as shop:
        first = await create(shop, token="t1")

        again = await create(shop, again=1, busy=["t1"])

        assert again.job_id != first.job_id


async def test_what_was_claimed_is_answered_by_its_new_request(opened: Open) -> None:
    async with opened() as shop:
        first = await create(shop, token="t1")
        await create(shop, again=1, token="t2")
        await answered(shop, "t2")

        third = await create(shop, again=2)

        assert third.job_id != first.job_id


async def test_a_job_is_claimed_once_by_those_who_ask_for_the_second_time(opened: Open) -> None:
    async with opened() as shop:
        first = await create(shop)
        one = await create(shop, again=1)

        other = await create(shop, again=1)

        assert one.job_id == first.job_id
        assert other.job_id != first.job_id


async def test_who_asks_for_the_third_time_claims_what_was_claimed_and_leaves_the_rest(opened: Open) -> None:
    async with opened() as shop:
        first = await create(shop)
        await create(shop, again=1)
        fresh = await create(shop)

        third, second = await create(shop, again=2), await create(shop, again=1)

        assert (third.job_id, second.job_id) == (first.job_id, fresh.job_id)


async def test_a_keyed_create_is_claimed_by_its_key_alone(opened: Open) -> None:
    async with opened() as shop:
        keyed = await create(shop, key="k1")

        assert (await create(shop, again=1)).job_id != keyed.job_id


async def test_of_several_the_newest_is_claimed_first(opened: Open) -> None:
    async with opened() as shop:
        older, newer = await create(shop), await create(shop)

        claimed = [(await create(shop, again=1)).job_id, (await create(shop, again=1)).job_id]

        assert claimed == [newer.job_id, older.job_id]


async def test_after_eleven_minutes_nobody_asks_again(opened: Open) -> None:
    clock = Clock()
    async with opened(clock=clock) as shop:
        first = await create(shop)
        clock.move(timedelta(minutes=11, seconds=1))

        again = await create(shop, again=1)

        assert again.job_id != first.job_id


async def test_two_people_who_ask_for_the_same_get_a_video_each(opened: Open) -> None:
    async with opened() as shop:
        assert (await create(shop)).job_id != (await create(shop)).job_id


async def test_another_body_is_no_repetition(opened: Open) -> None:
    async with opened() as shop:
        first = await create(shop, body="a")

        assert (await create(shop, body="b", again=1)).job_id != first.job_id


async def test_a_repetition_costs_nothing_where_a_new_job_would_not_fit(opened: Open) -> None:
    async with opened() as shop:
        price = shop.prepared("A fox").estimate_usd
        assert price is not None
        limits = (Limit(name="the key's budget", usd=price, scope=Scope(owner="team")),)
        first = await create(shop, key="k1", limits=limits)

        assert (await create(shop, key="k1", limits=limits)).job_id == first.job_id
        with pytest.raises(OverBudget):
            await create(shop, key="k2", limits=limits)


async def test_no_more_jobs_are_open_than_a_caller_may_have(opened: Open) -> None:
    async with opened() as shop:
        await create(shop, most_open_jobs=2)
        await create(shop, most_open_jobs=2)

        with pytest.raises(TooManyJobs, match="2 jobs are open"):
            await create(shop, most_open_jobs=2)

        await create(shop, most_open_jobs=2, owner="others")

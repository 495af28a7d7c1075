"""Money limits as they hold in the database: what is admitted, what is refused, and what happens to holds in doubt."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy as sa
import workshop
from workshop import SORA, Clock, Workshop

from rushes import config
from rushes.app import App
from rushes.config import BudgetSettings, ProviderSettings, Settings
from rushes.errors import Conflict, JobFailed, OverBudget
from rushes.jobs.admission import Order
from rushes.jobs.budget import Limit, Scope
from rushes.jobs.ledger import AttemptState, JobState
from rushes.jobs.purse import By, Period
from rushes.jobs.spend import Spend
from rushes.jobs.tables import holds
from rushes.media.children import Children
from rushes.planning import Wish
from rushes.testing.fake_openai import FakeOpenAI
from rushes.testing.faults import Fault, Trouble
from rushes.video import ModelId

pytestmark = pytest.mark.anyio

USD = Decimal
PRICE = USD("0.40")  # of four seconds of sora-2
SPARE = ModelId("spare", "sora-2-pro")  # $1.20 for four seconds
HIDDEN = Fault.of(Trouble.NO_PROMPTS).always()


class Shops:
    """Opens workshops over one home with the limits given; doubt is ripe for a verdict at once."""

    def __init__(self, home: Settings, fake: FakeOpenAI, children: Children) -> None:
        self.home, self.fake, self.children = home, fake, children
        self.clock = Clock()
        self.at_admission: Callable[[], None] = lambda: None

    def __call__(
        self,
        *,
        per_day: str | None = None,
        unknown: str | None = None,
        spare_per_day: str | None = None,
        **options: Any,
    ) -> AbstractAsyncContextManager[Workshop]:
        written = {"per_day_usd": per_day, "unknown_price_hold_usd": unknown}
        limits = BudgetSettings.model_validate({name: text for name, text in written.items() if text is not None})
        spare = ProviderSettings.model_validate({"budget_per_day_usd": spare_per_day} if spare_per_day else {})
        home = replace(self.home, budget=limits, providers={"spare": spare})

        def reached(point: str) -> None:
            if point == "doubt.settling":
                self.clock.move(timedelta(seconds=100))
            if point == "job.admitted":
                self.at_admission()

        return workshop.opened(home, self.fake, self.children, clock=self.clock, reached=reached, **options)


@pytest.fixture
def shops(home: Settings, fake: FakeOpenAI, children: Children) -> Shops:
    return Shops(home, fake, children)


@pytest.fixture
def spare() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as spare:
        yield spare


def order(shop: Workshop, prompt: str = "A cat", **changes: Any) -> Order:
    return Order(routes=(shop.prepared(prompt),), asked_model=str(SORA), **changes)


def unpriced(shop: Workshop, prompt: str = "A cat", **changes: Any) -> Order:
    route = replace(shop.prepared(prompt), estimate_usd=None)
    return Order(routes=(route,), asked_model=str(SORA), **changes)


def with_spare(shop: Workshop, prompt: str = "A cat") -> Order:
    routes = (shop.prepared(prompt), shop.prepared(prompt, model=SPARE))
    return Order(routes=routes, asked_model=str(SORA))


async def admitted(shop: Workshop, *orders: Order) -> int:
    """How many of the orders are admitted, one after the other."""
    count = 0
    for each in orders:
        try:
            await shop.jobs.submit(each)
            count += 1
        except OverBudget:
            pass
    return count


async def in_doubt(shop: Workshop, fake: FakeOpenAI, **changes: Any) -> str:
    fake.faults.create = [Fault.status(500, accepted=True)]
    fake.faults.list = [HIDDEN]
    job_id = (await shop.jobs.submit(order(shop, **changes))).job_id
    await shop.carry_out(job_id)
    return job_id


async def money(shop: Workshop, job_id: str) -> tuple[Decimal, Decimal, Decimal]:
    """Held, settled, overrun."""
    hold = await shop.hold(job_id)
    assert hold is not None
    return hold["held_usd"], hold["settled_usd"], hold["overrun_usd"]


async def free(shop: Workshop) -> Decimal:
    [limit, *_] = (await Spend(shop.services).report()).limits
    assert limit.held_usd + limit.settled_usd + limit.free_usd == limit.limit_usd
    return limit.free_usd


# -- what is admitted ------------------------------------------------------------------------------


async def test_a_day_takes_what_fits_and_the_next_day_has_money_of_its_own(shops: Shops) -> None:
    async with shops(per_day="1") as shop:
        first = await admitted(shop, *(order(shop, f"cat {n}") for n in range(4)))
        shops.clock.move(timedelta(days=1))
        second = await admitted(shop, *(order(shop, f"dog {n}") for n in range(4)))

    assert (first, second) == (2, 2)


async def test_a_run_is_limited_as_a_whole_and_another_run_is_not_touched(shops: Shops) -> None:
    async with shops() as shop:
        one = [order(shop, f"cat {n}", run="run_1", max_cost_usd=USD(1)) for n in range(4)]
        other = [order(shop, f"dog {n}", run="run_2", max_cost_usd=USD(1)) for n in range(4)]

        assert await admitted(shop, *one, *other) == 4
        with pytest.raises(OverBudget, match=r"--max-cost is \$1.00: \$0.80 held, \$0.00 settled, \$0.20 free"):
            await shop.jobs.submit(replace(one[3], slot=7))


async def test_the_budget_of_a_key_counts_its_own_jobs_only(shops: Shops) -> None:
    limits = (Limit(name="the budget of key anna", usd=USD("0.50"), scope=Scope(owner="anna")),)
    async with shops() as shop:
        assert await admitted(shop, *(order(shop, f"cat {n}", owner="bert") for n in range(3))) == 3
        assert await admitted(shop, *(order(shop, f"cat {n}", owner="anna", limits=limits) for n in range(3))) == 1


async def test_money_that_a_job_did_not_need_is_free_again(shops: Shops, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(400)]
    async with shops(per_day="0.50") as shop:
        refused = (await shop.jobs.submit(order(shop))).job_id
        before = await free(shop)
        await shop.carry_out(refused)

        assert (before, await free(shop)) == (USD("0.10"), USD("0.50"))
        assert await admitted(shop, order(shop, "another")) == 1


async def test_what_is_joined_or_served_costs_nothing_when_all_is_spent(shops: Shops) -> None:
    async with shops(per_day="0.40") as shop:
        first = await shop.jobs.submit(order(shop))
        joined = await shop.jobs.submit(order(shop))
        await shop.carry_out(first.job_id)
        served = await shop.jobs.submit(order(shop))

        assert (joined.joined, served.cached) == (True, True)
        assert await free(shop) == 0
        assert await shop.hold(served.job_id) is None


async def test_after_an_overrun_nothing_is_admitted_until_there_is_money_again(shops: Shops) -> None:
    async with shops(per_day="1") as shop:
        dear = replace(shop.prepared(), estimate_usd=USD("0.10"))  # the provider charges $0.40 for it
        small = replace(shop.prepared("small"), estimate_usd=USD("0.01"))
        held = [
            Order(routes=(replace(dear, request=replace(dear.request, prompt=f"p{n}")),), asked_model="x")
            for n in range(3)
        ]
        ids = [(await shop.jobs.submit(each)).job_id for each in held]
        for job_id in ids:
            await shop.carry_out(job_id)

        assert await money(shop, ids[0]) == (0, USD("0.40"), USD("0.30"))
        assert await free(shop) == USD("-0.20")
        assert await admitted(shop, Order(routes=(small,), asked_model="x")) == 0
        shops.clock.move(timedelta(days=1))
        assert await admitted(shop, Order(routes=(small,), asked_model="x")) == 1


async def test_an_unknown_price_is_refused_where_a_limit_applies_and_only_there(shops: Shops) -> None:
    async with shops() as shop:
        assert await admitted(shop, unpriced(shop, "free of limits")) == 1
        with pytest.raises(OverBudget, match=r"unknown.*usd_per_second.*unknown_price_hold_usd.*--allow-unknown-price"):
            await shop.jobs.submit(unpriced(shop, max_cost_usd=USD(9)))
        allowed = await shop.jobs.submit(unpriced(shop, max_cost_usd=USD(9), allow_unknown_price=True))

        hold = await shop.hold(allowed.job_id)
        assert hold is not None
        assert (hold["held_usd"], hold["unknown"]) == (0, True)


async def test_an_unknown_price_is_held_as_the_settings_or_the_key_say(shops: Shops) -> None:
    async with shops(per_day="5", unknown="2") as shop:
        assert await admitted(shop, *(unpriced(shop, f"cat {n}") for n in range(3))) == 2
        assert await free(shop) == 1
        assert await admitted(shop, unpriced(shop, "dog", unknown_price_hold_usd=USD(1))) == 1


async def test_with_money_for_two_of_three_none_is_admitted(shops: Shops) -> None:
    async with shops() as shop:
        three = [order(shop, f"cat {n}", run="run_1", max_cost_usd=USD(1)) for n in range(3)]
        with pytest.raises(OverBudget, match=r"\$1.20"):
            await shop.jobs.submit_all(three)

        assert (await Spend(shop.services).report()).total.jobs == 0
        assert len(await shop.jobs.submit_all(three[:2])) == 2


async def test_a_race_for_the_money_tells_how_many_were_admitted(shops: Shops) -> None:
    def somebody_else_takes_the_rest() -> None:
        engine = sa.create_engine(shops.home.database_url)
        with engine.begin() as connection:
            connection.execute(holds.update().values(held_usd=USD("0.90")))
        engine.dispose()

    shops.at_admission = somebody_else_takes_the_rest
    async with shops(per_day="1") as shop:
        with pytest.raises(OverBudget, match=r"^1 of 2 jobs were admitted and go on \(video_\w+\).*\$0.10 free"):
            await shop.jobs.submit_all([order(shop, f"cat {n}") for n in range(2)])

        assert (await Spend(shop.services).report()).total.jobs == 1


@pytest.mark.both_databases
async def test_many_submits_at_once_admit_exactly_what_there_is_money_for(shops: Shops) -> None:
    counts: list[int] = []
    async with shops(per_day="2") as one, shops(per_day="2") as two, shops(per_day="2") as three:

        async def submit(shop: Workshop, n: int) -> None:
            counts.append(await admitted(shop, order(shop, f"cat {n}")))

        async with anyio.create_task_group() as tasks:
            for n in range(24):
                tasks.start_soon(submit, (one, two, three)[n % 3], n)

        assert sum(counts) == 5
        assert await free(one) == 0


@pytest.mark.both_databases
async def test_many_processes_at_once_admit_exactly_what_there_is_money_for(
    home: Settings, fake: FakeOpenAI, database_url: str, tmp_path: Path
) -> None:
    budget = BudgetSettings(per_day_usd=USD("2.80"))
    settings = replace(workshop.settings_for(home, fake), budget=budget, database_url=database_url)
    path, signal = tmp_path / "settings.json", tmp_path / "go"
    path.write_text(config.to_json(settings), encoding="utf-8")
    script = str(Path(__file__).with_name("submit_in_a_process.py"))
    async with App(settings, leave_worker=False):
        pass  # the tables are there before they start
    processes = [
        subprocess.Popen(  # noqa: ASYNC220 - that it starts is waited for below
            [sys.executable, script, path, signal, "6", f"p{n}"], stdout=subprocess.PIPE, text=True
        )
        for n in range(3)
    ]
    try:
        for each in processes:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        signal.touch()
        counts = [int(each.communicate(timeout=60)[0]) for each in processes]
    finally:
        for each in processes:
            each.kill()
            each.wait()

    assert sum(counts) == 7
    async with App(settings, leave_worker=False) as app:
        [limit] = (await app.spend.report()).limits
        assert (limit.held_usd, limit.free_usd) == (USD("2.80"), 0)


# -- doubt -----------------------------------------------------------------------------------------


async def test_a_doubt_stays_held_beside_the_one_that_was_paid_again(shops: Shops, fake: FakeOpenAI) -> None:
    async with shops(per_day="1") as shop:
        job_id = await in_doubt(shop, fake)
        in_need = await money(shop, job_id)
        await shop.jobs.resolve_repay(job_id)
        repaid = await money(shop, job_id)
        await shop.carry_out(job_id)

        assert (await shop.job(job_id)).state is JobState.COMPLETED
        assert in_need == (PRICE, 0, 0)
        assert repaid == (2 * PRICE, 0, 0)
        assert await money(shop, job_id) == (PRICE, PRICE, 0), "nobody knows whether the first is billed, too"
        assert await free(shop) == USD("0.20")


async def test_paying_again_is_refused_where_there_is_no_money_and_the_job_stays(
    shops: Shops, fake: FakeOpenAI
) -> None:
    async with shops(per_day="0.50") as shop:
        job_id = await in_doubt(shop, fake)

        with pytest.raises(OverBudget, match=r"\[budget\] per_day_usd.*Raise it in rushes.toml"):
            await shop.jobs.resolve_repay(job_id)

        assert (await shop.job(job_id)).state is JobState.NEEDS_ATTENTION
        assert not (await shop.attempts(job_id))[0].repaid
        assert await money(shop, job_id) == (PRICE, 0, 0)


async def test_a_person_may_give_the_run_more_to_pay_again(shops: Shops, fake: FakeOpenAI) -> None:
    async with shops() as shop:
        job_id = await in_doubt(shop, fake, run="run_1", max_cost_usd=USD("0.50"))

        with pytest.raises(OverBudget, match="Pass a higher --max-cost"):
            await shop.jobs.resolve_repay(job_id)
        await shop.jobs.resolve_repay(job_id, max_cost_usd=USD(1))

        assert await money(shop, job_id) == (2 * PRICE, 0, 0)


async def test_what_would_be_paid_again_unasked_asks_a_person_when_it_does_not_fit(
    shops: Shops, fake: FakeOpenAI
) -> None:
    async with shops(per_day="0.50", on_unknown="repay") as shop:
        job_id = await in_doubt(shop, fake)

        job = await shop.job(job_id)
        assert job.state is JobState.NEEDS_ATTENTION
        assert "no money to pay again unasked" in (job.trouble or "")
        assert await money(shop, job_id) == (PRICE, 0, 0)
    assert fake.book.creates == 1


@pytest.mark.parametrize(("usd", "state"), [("0", AttemptState.REFUSED), ("0.35", AttemptState.UNKNOWN)])
async def test_a_job_in_need_ends_when_a_person_says_what_it_was_billed(
    usd: str, state: AttemptState, shops: Shops, fake: FakeOpenAI
) -> None:
    async with shops() as shop:
        job_id = await in_doubt(shop, fake)

        told = await shop.jobs.resolve_billed(job_id, USD(usd))

        assert (told.state, told.cost_usd) == (JobState.FAILED, USD(usd))
        assert await money(shop, job_id) == (0, USD(usd), 0)
        assert (await shop.attempts(job_id))[0].state is state
        again = await shop.jobs.retry(job_id)
        assert not again.joined


async def test_a_hold_that_outlives_its_job_is_ended_by_a_person(shops: Shops, fake: FakeOpenAI) -> None:
    async with shops(per_day="2") as shop:
        job_id = await in_doubt(shop, fake)
        await shop.jobs.resolve_repay(job_id)
        with pytest.raises(Conflict, match="settled when it ends"):
            await shop.jobs.resolve_billed(job_id, USD(0))
        await shop.carry_out(job_id)

        told = await shop.jobs.resolve_billed(job_id, USD("0.50"))

        assert (told.state, told.cost_usd) == (JobState.COMPLETED, USD("0.90"))
        assert await money(shop, job_id) == (0, USD("0.90"), USD("0.10"))
        assert "billed" in await shop.kinds(job_id)
        with pytest.raises(Conflict, match="no open cost"):
            await shop.jobs.resolve_billed(job_id, USD(0))


async def test_a_late_adoption_takes_the_hold_along_and_its_day(shops: Shops, fake: FakeOpenAI) -> None:
    async with shops(per_day="1") as shop:
        job_id = await in_doubt(shop, fake)
        day = (await shop.hold(job_id) or {})["day"]
        shops.clock.move(timedelta(hours=48))

        new_id = await shop.jobs.resolve_adopt(job_id, fake.book.entries[0].remote_id)
        handed = await shop.hold(new_id)
        assert handed is not None
        assert (handed["held_usd"], handed["day"]) == (PRICE, day)
        assert await money(shop, job_id) == (0, 0, 0)
        await shop.carry_out(new_id)

        assert await money(shop, new_id) == (0, PRICE, 0)
        assert await free(shop) == 1, "today has spent nothing"


async def test_buying_again_is_a_new_order_under_the_same_limits_and_no_run(shops: Shops, fake: FakeOpenAI) -> None:
    fake.faults.create = [Fault.status(400)]
    limits = (Limit(name="the budget of key anna", usd=USD("0.50"), scope=Scope(owner="anna")),)
    async with shops() as shop:
        first = order(shop, owner="anna", limits=limits, run="run_1", max_cost_usd=USD("0.40"), priority=3)
        job_id = (await shop.jobs.submit(first)).job_id
        await shop.carry_out(job_id)
        again = await shop.job((await shop.jobs.retry(job_id)).job_id)

        assert (again.run, again.priority) == (None, 3)
        with pytest.raises(OverBudget, match="key anna"):
            await shop.jobs.submit(order(shop, "another", owner="anna", limits=limits))


# -- routes ----------------------------------------------------------------------------------------


async def test_the_money_follows_the_job_to_the_provider_of_its_next_route(
    shops: Shops, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("400")]
    async with shops(others={"spare": spare}, spare_per_day="1.20") as shop:
        job_id = (await shop.jobs.submit(with_spare(shop))).job_id
        before = await shop.hold(job_id)
        await shop.carry_out(job_id)
        after = await shop.hold(job_id)

        assert before is not None
        assert after is not None
        assert (before["provider"], before["held_usd"]) == ("openai", USD("1.20"))
        assert (after["provider"], after["settled_usd"]) == ("spare", USD("1.20"))


async def test_a_route_whose_provider_has_no_money_left_is_not_taken(
    shops: Shops, fake: FakeOpenAI, spare: FakeOpenAI
) -> None:
    fake.faults.create = [Fault.parse("400")]
    async with shops(others={"spare": spare}, spare_per_day="1") as shop:
        job_id = (await shop.jobs.submit(with_spare(shop))).job_id
        await shop.carry_out(job_id)

        with pytest.raises(JobFailed, match=r"spare:video:sora-2-pro was left out.*budget_per_day_usd") as failed:
            await shop.jobs.wait(job_id)
        assert failed.value.failure_code == "over_budget"
        assert await money(shop, job_id) == (0, 0, 0)
    assert spare.book.creates == 0


# -- what was spent --------------------------------------------------------------------------------


@pytest.mark.both_databases
async def test_spending_is_told_by_day_model_provider_key_run_and_tag(shops: Shops, fake: FakeOpenAI) -> None:
    async with shops(per_day="5") as shop:
        spend = Spend(shop.services)
        started = shop.services.now()
        first = (await shop.jobs.submit(order(shop, owner="anna", run="run_1", tags=("cats", "pets")))).job_id
        await shop.carry_out(first)
        await shop.jobs.submit(order(shop, owner="anna"))  # served
        shops.clock.move(timedelta(days=1))
        await shop.jobs.submit(order(shop, "open", owner="bert", tags=("pets",)))
        day, next_day = (f"{started + timedelta(days=n):%Y-%m-%d}" for n in range(2))

        told = {by: await spend.report(by) for by in By}

        lines = {by: [(x.name, x.jobs, x.settled_usd, x.held_usd) for x in report.lines] for by, report in told.items()}
        assert lines[By.DAY] == [(next_day, 1, 0, PRICE), (day, 2, PRICE, 0)]
        assert lines[By.MODEL] == [(str(SORA), 3, PRICE, PRICE)]
        assert lines[By.PROVIDER] == [("openai", 3, PRICE, PRICE)]
        assert lines[By.OWNER] == [("anna", 2, PRICE, 0), ("bert", 1, 0, PRICE)]
        assert lines[By.RUN] == [("run_1", 1, PRICE, 0), ("", 2, 0, PRICE)]
        assert lines[By.TAG] == [("pets", 2, PRICE, PRICE), ("cats", 1, PRICE, 0), ("", 1, 0, 0)]
        assert all(
            (report.total.jobs, report.total.settled_usd, report.total.held_usd) == (3, PRICE, PRICE)
            for report in told.values()
        )
        assert [limit.free_usd for limit in told[By.DAY].limits] == [USD("4.60")]
        assert (await spend.report(period=Period(since=next_day))).total.jobs == 1
        assert (await spend.report(period=Period(until=day))).total.jobs == 2


async def test_the_takes_of_one_wish_are_one_run(home: Settings, fake: FakeOpenAI) -> None:
    async with App(workshop.settings_for(home, fake), leave_worker=False) as app:
        plan = await app.plan(Wish(prompt="A cat", seconds=4, n=3, max_cost_usd=USD(1), priority=2))
        with pytest.raises(OverBudget):
            await app.submit(plan)
        admissions = await app.submit(replace(plan, wish=replace(plan.wish, max_cost_usd=USD("1.20"))))

        jobs = [(await app.jobs.case(each.job_id)).job for each in admissions]
        assert len({job.run for job in jobs}) == 1
        assert jobs[0].run is not None
        assert {job.priority for job in jobs} == {2}

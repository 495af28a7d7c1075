"""What a session of an assistant may spend, also where a purchase is broken off or fails halfway."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import anyio
import pytest

from rushes.app import App
from rushes.config import Settings
from rushes.errors import DatabaseAway, OverBudget
from rushes.mcp.money import Allowance
from rushes.planning import Wish
from rushes.testing.fake_openai import FakeOpenAI

CAT = Wish(prompt="A cat", model="openai:video:sora-2", seconds=4)  # $0.40
LIMIT = Decimal("1.00")
BOUND_S = 60


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(job_s=0.0) as fake:
        yield fake


@pytest.fixture
def settings(home: Settings, fake: FakeOpenAI) -> Settings:
    return replace(home, environment={"OPENAI_API_KEY": fake.api_key or "", "OPENAI_BASE_URL": fake.base_url})


@pytest.mark.anyio
async def test_what_was_admitted_counts_although_the_submit_failed_after_it(settings: Settings) -> None:
    def lose(point: str) -> None:
        if point == "job.admitted":
            raise DatabaseAway("The connection was lost.")

    with anyio.fail_after(BOUND_S):
        async with App(settings, leave_worker=False, reached=lose) as app:
            allowance = Allowance(app, LIMIT)
            with pytest.raises(DatabaseAway):
                await allowance.buy(CAT)

            assert await allowance.free_usd() == Decimal("0.60")


@pytest.mark.anyio
async def test_what_was_admitted_counts_although_nobody_waits_for_the_answer_any_more(settings: Settings) -> None:
    caller = anyio.CancelScope()

    def give_up(point: str) -> None:
        if point == "job.admitted":
            caller.cancel()

    with anyio.fail_after(BOUND_S):
        async with App(settings, leave_worker=False, reached=give_up) as app:
            allowance = Allowance(app, LIMIT)
            with caller:
                await allowance.buy(replace(CAT, n=2))  # given up when the first of both is admitted

            assert await allowance.free_usd() == Decimal("0.20")


@pytest.mark.anyio
async def test_jobs_of_others_are_not_counted_nor_one_that_is_only_joined(settings: Settings) -> None:
    with anyio.fail_after(BOUND_S):
        async with App(settings, leave_worker=False) as app:
            others = await app.submit(await app.plan(CAT))
            allowance = Allowance(app, LIMIT)
            joined = await allowance.buy(CAT)
            bought = await allowance.buy(replace(CAT, prompt="A dog"))

            assert joined.admissions[0].job_id == others[0].job_id
            assert (joined.price_usd, bought.price_usd) == (0, Decimal("0.40"))
            assert await allowance.free_usd() == Decimal("0.60")


@pytest.mark.anyio
async def test_where_the_settings_hold_money_for_unknown_prices_that_much_is_taken(
    settings: Settings, fake: FakeOpenAI
) -> None:
    held = settings.budget.model_copy(update={"unknown_price_hold_usd": Decimal("0.70")})
    box = settings.provider("openai").model_copy(update={"kind": "openai", "base_url": fake.base_url})
    wan = Wish(prompt="A cat", model="mybox:video:wan", seconds=4, size="320x180")

    with anyio.fail_after(BOUND_S):
        async with App(replace(settings, budget=held, providers={"mybox": box}), leave_worker=False) as app:
            allowance = Allowance(app, LIMIT)
            await allowance.buy(wan)
            with pytest.raises(OverBudget, match="This would cost"):
                await allowance.buy(replace(wan, prompt="A dog"))

            assert await allowance.free_usd() == Decimal("0.30")

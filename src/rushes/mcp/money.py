"""What one session may spend: every job it buys counts, and what it may spend in all is never passed by admitting.

The limits of the settings hold besides; those and the limit of a single call are kept by the engine. A price that
nobody knows is never bought unasked, also where no limit applies: who asks here is a machine.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import anyio
import sqlalchemy as sa

from rushes.app import App
from rushes.errors import OverBudget, RushesError
from rushes.jobs import purse
from rushes.jobs.admission import Admission
from rushes.jobs.budget import NOTHING, dollars
from rushes.jobs.store import Filter
from rushes.planning import Plan, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What became of a wish: its plan, what it costs at most, and its jobs."""

    plan: Plan
    price_usd: Decimal | None
    admissions: tuple[Admission, ...]


class Allowance:
    """The money of one session. Without `usd` only the limits of the settings and of each call hold."""

    def __init__(self, app: App, usd: Decimal | None) -> None:
        self._app = app
        self._usd = usd
        self._job_ids: set[str] = set()
        self._buying = anyio.Lock()

    async def free_usd(self) -> Decimal | None:
        """What is left of it: all but what was charged and may still be charged. None: there is no such limit."""
        if self._usd is None:
            return None

        def work(connection: sa.Connection) -> Decimal:
            holds = [held.hold for job_id in self._job_ids if (held := purse.hold_of(connection, job_id))]
            return sum((hold.held_usd + hold.settled_usd for hold in holds), NOTHING)

        return self._usd - await self._app.db.read(work)

    async def buy(self, wish: Wish) -> Bought:
        """Plan a wish and admit its jobs, if the money allows. Raises OverBudget, and what is wrong with the wish."""
        plan = await self._app.plan(wish)
        async with self._buying:  # what is free must not change between asking and taking
            price_usd = await self._app.price(plan)
            free_usd = await self.free_usd()
            check(plan, price_usd, free_usd, self._usd, self._holds_unknown)
            admissions: list[Admission] = []
            with anyio.CancelScope(shield=True):  # who no longer waits has bought all the same
                admissions = await self._take(plan, free_usd)
            return Bought(plan=plan, price_usd=price_usd, admissions=tuple(admissions))

    async def _take(self, plan: Plan, free_usd: Decimal | None) -> list[Admission]:
        wish, began_at = plan.wish, self._app.jobs.now()
        if free_usd is not None:
            least = min(usd for usd in (free_usd, wish.max_cost_usd) if usd is not None)
            wish = replace(wish, max_cost_usd=max(least, NOTHING), allow_unknown_price=False)
        try:
            admissions = await self._app.submit(replace(plan, wish=wish))
        except RushesError:
            left_behind = await self._admitted_since(began_at, plan)
            self._job_ids |= left_behind
            if left_behind:
                self._app.work()  # they go on
            raise
        self._job_ids |= {each.job_id for each in admissions if not (each.joined or each.cached)}
        return admissions

    async def _admitted_since(self, began_at: datetime, plan: Plan) -> set[str]:
        """The jobs that a submit left behind when it failed halfway; rather one too many than one too few."""
        latest = await self._app.jobs.matching(Filter(limit=2 * len(plan.takes)))
        return {each.id for each in latest if each.created_at >= began_at and each.prompt == plan.wish.prompt}

    @property
    def _holds_unknown(self) -> bool:
        return self._app.settings.budget.unknown_price_hold_usd is not None


def check(
    plan: Plan, price_usd: Decimal | None, free_usd: Decimal | None, allowance_usd: Decimal | None, holds_unknown: bool
) -> None:
    """Raise OverBudget, in the words of who asked, unless the price fits the call's limit and the session's. Pure.

    `holds_unknown`: the settings say how much to hold where a price is unknown; the engine does so.
    """
    wish = plan.wish
    if price_usd is None:
        models = [route.request.model for route in plan.takes[0] if route.estimate_usd is None]
        model = models[0] if models else plan.choice.model.id
        unknown = f"The price of {model} is unknown, so it is not bought."
        setting = f"Set usd_per_second in [providers.{model.provider}], or unknown_price_hold_usd in [budget]."
        if allowance_usd is not None and not holds_unknown:
            raise OverBudget(f"{unknown} This session is limited to ${dollars(allowance_usd)} in all. {setting}")
        if not wish.allow_unknown_price and not holds_unknown:
            raise OverBudget(f"{unknown} Pass allow_unknown_price if the user agrees. {setting}")
        return
    if wish.max_cost_usd is not None and price_usd > wish.max_cost_usd:
        raise OverBudget(
            f"This would cost ${dollars(price_usd)}, and max_cost_usd is ${dollars(wish.max_cost_usd)}. "
            "It is not bought. Ask for less, or pass a higher max_cost_usd if the user agrees."
        )
    if free_usd is not None and allowance_usd is not None and price_usd > max(free_usd, NOTHING):
        raise OverBudget(
            f"This would cost ${dollars(price_usd)}, and this session may spend ${dollars(allowance_usd)} in all: "
            f"${dollars(free_usd)} is free. It is not bought. Only the user can raise that: --max-cost-usd."
        )

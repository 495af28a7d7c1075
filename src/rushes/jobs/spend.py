"""Spend: what the jobs of a time cost, and what the limits of today leave free. For every face the same numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from rushes.jobs import budget, purse
from rushes.jobs.budget import Limit
from rushes.jobs.purse import By, Line, Period
from rushes.jobs.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitNow:
    """A limit with what its scope comes to at this moment: held + settled + free = limit."""

    name: str
    limit_usd: Decimal
    held_usd: Decimal
    settled_usd: Decimal
    free_usd: Decimal  # less than nothing after an overrun: nothing is admitted until it is not


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was spent, in lines; `total` counts each job once. Days are of UTC."""

    by: By
    period: Period
    lines: tuple[Line, ...]
    total: Line
    today: str
    limits: tuple[LimitNow, ...]  # for today: those of the settings, unless others were asked for


class Spend:
    """Answers what was spent. It only reads."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def report(
        self,
        by: By = By.DAY,
        period: Period | None = None,
        *,
        owner: str | None = None,
        limits: Sequence[Limit] | None = None,
    ) -> Report:
        """What was spent: by everybody, or by one owner alone. `limits` are told instead of those of the settings."""
        period = period or Period()
        today = purse.day_of(self._s.now())
        told = self._limits() if limits is None else limits

        def work(connection: sa.Connection) -> Report:
            return Report(
                by=by,
                period=period,
                lines=tuple(purse.spent_by(connection, by, period, owner)),
                total=purse.spent(connection, period, owner),
                today=today,
                limits=tuple(_now(connection, limit, today) for limit in told),
            )

        return await self._s.db.read(work)

    def _limits(self) -> list[Limit]:
        """Those of the settings, each once; a limit for all providers first."""
        settings = self._s.registry.settings
        found = [limit for name in ("", *settings.providers) for limit in budget.configured(settings, name)]
        return list(dict.fromkeys(found))


def _now(connection: sa.Connection, limit: Limit, today: str) -> LimitNow:
    totals = purse.totals(connection, limit.scope, today)
    return LimitNow(
        name=limit.name,
        limit_usd=limit.usd,
        held_usd=totals.held_usd,
        settled_usd=totals.settled_usd,
        free_usd=totals.free_usd(limit),
    )

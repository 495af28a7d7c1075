"""The purse: what is held and was spent, in the database. All SQL about holds, and nothing else.

Whoever takes money asks and takes in one transaction. Writers take turns on both databases, so a sum that is read in
such a transaction is exact until it ends: however many submit at once, a limit is never passed by admitting. What a
hold becomes is decided in `budget.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any

import sqlalchemy as sa

from rushes.jobs import budget, store
from rushes.jobs.budget import NOTHING, Bid, Hold, Limit, Price, Scope, Shares, Terms, Totals
from rushes.jobs.codec import options_from_json
from rushes.jobs.ledger import Attempt, Job
from rushes.jobs.routes import routes_of
from rushes.jobs.tables import EPOCH, holds, jobs, tags
from rushes.providers.prepare import Prepared
from rushes.video import ModelId

INSERT_HOLD = holds.insert()
HOLD_OF_JOB = sa.select(holds).where(holds.c.job_id == sa.bindparam("job_id"))
WRITE_HOLD = store.row_update(holds, "job_id", without={"owner", "run", "day"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The hold of a job, and to what it counts."""

    job_id: str
    owner: str
    provider: str
    run: str | None
    day: str
    hold: Hold


def day_of(now: datetime) -> str:
    """The UTC day that money counts to."""
    return now.astimezone(UTC).strftime("%Y-%m-%d")


# -- sums ------------------------------------------------------------------------------------------


@cache
def _sums(run: bool, owner: bool, provider: bool, daily: bool) -> sa.Select[Any, Any]:
    query = sa.select(sa.func.sum(holds.c.held_usd), sa.func.sum(holds.c.settled_usd))
    for named, column in (
        (run, holds.c.run),
        (owner, holds.c.owner),
        (provider, holds.c.provider),
        (daily, holds.c.day),
    ):
        if named:
            query = query.where(column == sa.bindparam(column.name))
    return query


def totals(connection: sa.Connection, scope: Scope, day: str) -> Totals:
    """What the holds of a scope come to; of one day, if it is a daily one."""
    query = _sums(scope.run is not None, scope.owner is not None, scope.provider is not None, scope.daily)
    values = {"run": scope.run, "owner": scope.owner, "provider": scope.provider, "day": day if scope.daily else None}
    named = {name: value for name, value in values.items() if value is not None}
    held, settled = connection.execute(query, named).one()
    return Totals(held_usd=held or NOTHING, settled_usd=settled or NOTHING)


def check(connection: sa.Connection, asked: Bid, day: str) -> None:
    """Raise OverBudget unless what is asked is permitted and fits each of its limits."""
    budget.check_permitted(asked)
    found = [(limit, totals(connection, limit.scope, day)) for limit in asked.limits]
    # The tightest first: that is the one to be told of.
    for limit, spent_of in sorted(found, key=lambda pair: pair[1].free_usd(pair[0])):
        budget.check_fits(asked, limit, spent_of, day)


# -- one hold --------------------------------------------------------------------------------------


def hold_of(connection: sa.Connection, job_id: str) -> Held | None:
    """None for a job that was served from the library."""
    row = connection.execute(HOLD_OF_JOB, {"job_id": job_id}).first()
    if row is None:
        return None
    hold = Hold(held_usd=row.held_usd, settled_usd=row.settled_usd, overrun_usd=row.overrun_usd, unknown=row.unknown)
    return Held(job_id=row.job_id, owner=row.owner, provider=row.provider, run=row.run, day=row.day, hold=hold)


def take(connection: sa.Connection, job: Job, asked: Bid) -> None:
    """Hold the money of a job that is being admitted. Raises OverBudget, and then nothing of it is admitted."""
    day = day_of(job.created_at)
    check(connection, asked, day)
    provider = ModelId.parse(job.model).provider
    held = Held(
        job_id=job.id,
        owner=job.owner,
        provider=provider,
        run=job.run,
        day=day,
        hold=Hold(held_usd=asked.usd, unknown=asked.unknown),
    )
    _insert(connection, held, job.created_at)


def take_more(connection: sa.Connection, job: Job, limits: Iterable[Limit], terms: Terms, now: datetime) -> None:
    """Hold the price of one more attempt, beside one that stays in doubt. Raises OverBudget."""
    held = hold_of(connection, job.id)
    if held is None:
        return
    attempt = store.attempts_of(connection, job.id)[-1:]
    usd = shares_of(job).of(attempt)
    price = next((each.usd for each in prices(routes_of(job)) if each.model == job.model), None)
    asked = replace(budget.bid([Price(job.model, price)], terms, limits), usd=usd)
    check(connection, asked, held.day)
    _write(connection, replace(held, hold=budget.more(held.hold, asked)), now)


def turn(connection: sa.Connection, job: Job, limits: Iterable[Limit], now: datetime) -> None:
    """Let the money of a job follow it to the route that it turns to. Raises OverBudget if that provider's is used up.

    Beside another provider's limits nothing changes by it: it is the same money, and never more of it.
    """
    held = hold_of(connection, job.id)
    if held is None:
        return
    provider = ModelId.parse(job.model).provider
    left = routes_of(job)[job.route :]
    own = [limit for limit in limits if limit.scope.provider == provider]
    asked = budget.bid(prices(left), options_from_json(job.options_json).terms, own)
    attempts = store.attempts_of(connection, job.id)
    hold = budget.turned(held.hold, attempts, shares_of(job), asked)
    if provider != held.provider:
        check(connection, replace(asked, usd=hold.held_usd), held.day)
    _write(connection, replace(held, provider=provider, hold=hold), now)


def hold_again(connection: sa.Connection, job: Job, attempt: Attempt, now: datetime) -> None:
    """Hold the price of an attempt that was taken for refused and was charged: no limit can refuse what is spent."""
    held = hold_of(connection, job.id)
    if held is None:
        return
    share = shares_of(job).of([attempt])
    hold = replace(held.hold, held_usd=held.hold.held_usd + share)
    _write(connection, replace(held, hold=hold), now)


def settle(connection: sa.Connection, job: Job, now: datetime) -> None:
    """Settle the hold of a job that is over, by what its attempts say now."""
    held = hold_of(connection, job.id)
    if held is None:
        return
    attempts = store.attempts_of(connection, job.id)
    still_open = any(budget.cost_is_open(attempt) for attempt in attempts)
    after = budget.settlement(held.hold, attempts, shares_of(job) if still_open else Shares())
    if after != held.hold:
        _write(connection, replace(held, hold=after), now)


def hand_over(connection: sa.Connection, before: Held | None, heir: Job, now: datetime) -> None:
    """Give what is left of a settled job's hold to the job that goes on with its attempt.

    It goes on counting to the same day, run and provider, so that no limit sees a difference. `before` is the hold as
    it was before it was settled.
    """
    if before is None:
        return
    left = hold_of(connection, before.job_id)
    assert left is not None
    _insert(connection, replace(before, job_id=heir.id, hold=budget.handed_over(before.hold, left.hold)), now)


def prices(routes: Sequence[Prepared]) -> list[Price]:
    return [Price(str(route.request.model), route.estimate_usd) for route in routes]


def shares_of(job: Job) -> Shares:
    """What was held for one attempt on each of a job's routes. Pure."""
    known = prices(routes_of(job))
    whole = budget.bid(known, options_from_json(job.options_json).terms, ()).usd
    return Shares(whole=whole, by_model={each.model: each.usd for each in known if each.usd is not None})


def _insert(connection: sa.Connection, held: Held, now: datetime) -> None:
    connection.execute(INSERT_HOLD, {**_values(held, now), "owner": held.owner, "run": held.run, "day": held.day})


def _write(connection: sa.Connection, held: Held, now: datetime) -> None:
    values = _values(held, now)
    connection.execute(WRITE_HOLD, {"key_job_id": values.pop("job_id"), **values})


def _values(held: Held, now: datetime) -> dict[str, Any]:
    return {
        "job_id": held.job_id,
        "provider": held.provider,
        "held_usd": held.hold.held_usd,
        "settled_usd": held.hold.settled_usd,
        "overrun_usd": held.hold.overrun_usd,
        "unknown": held.hold.unknown,
        "at": now,
    }


# -- what was spent --------------------------------------------------------------------------------


class By(StrEnum):
    """Into which lines spending is divided."""

    DAY = "day"
    MODEL = "model"
    PROVIDER = "provider"
    OWNER = "owner"
    RUN = "run"
    TAG = "tag"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What the jobs of one kind cost. `name` is empty for those that have no run, or no tag."""

    name: str
    jobs: int  # the cached ones, which cost nothing, among them
    settled_usd: Decimal = NOTHING
    held_usd: Decimal = NOTHING  # may still be charged
    overrun_usd: Decimal = NOTHING
    unknown: int = 0  # how many of them have a price that is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """UTC days, both ends included; None: open."""

    since: str | None = None
    until: str | None = None


DAY = timedelta(days=1) // timedelta(microseconds=1)
ADMITTED_ON = sa.type_coerce(jobs.c.created_at, sa.BigInteger) // DAY
"""For a job without a hold: days since 1970."""
AMOUNTS = (
    sa.func.count().label("jobs"),
    sa.func.sum(holds.c.settled_usd).label("settled_usd"),
    sa.func.sum(holds.c.held_usd).label("held_usd"),
    sa.func.sum(holds.c.overrun_usd).label("overrun_usd"),
    sa.func.sum(sa.case((holds.c.unknown, 1), else_=0)).label("unknown"),
)


def spent_by(connection: sa.Connection, by: By, period: Period, owner: str | None = None) -> list[Line]:
    """What was spent and is held, in lines; of one owner, if named. A job with several tags counts in each's line."""
    if by is By.DAY:
        return _spent_by_day(connection, period, owner)
    column = {
        By.MODEL: jobs.c.model,
        By.PROVIDER: jobs.c.provider,
        By.OWNER: jobs.c.owner,
        By.RUN: sa.func.coalesce(jobs.c.run, ""),
        By.TAG: sa.func.coalesce(tags.c.tag, ""),
    }[by].label("name")
    books = jobs.outerjoin(holds)
    if by is By.TAG:
        books = books.outerjoin(tags, tags.c.job_id == jobs.c.id)
    query = sa.select(column, *AMOUNTS).select_from(books).where(*_within(period, owner)).group_by(column)
    lines = [_line(row["name"], row) for row in connection.execute(query).mappings()]
    return sorted(lines, key=lambda line: (-line.settled_usd, -line.held_usd, line.name))


def spent(connection: sa.Connection, period: Period, owner: str | None = None) -> Line:
    """All of it, each job once."""
    query = sa.select(*AMOUNTS).select_from(jobs.outerjoin(holds)).where(*_within(period, owner))
    return _line("", connection.execute(query).mappings().one())


def _spent_by_day(connection: sa.Connection, period: Period, owner: str | None) -> list[Line]:
    served = sa.case((holds.c.day.is_(None), ADMITTED_ON)).label("served_on")  # these have no hold
    query = (
        sa.select(holds.c.day, served, *AMOUNTS)
        .select_from(jobs.outerjoin(holds))
        .where(*_within(period, owner))
        .group_by(holds.c.day, served)
    )
    lines: dict[str, Line] = {}
    for row in connection.execute(query).mappings():
        line = _line(row["day"] or day_of(EPOCH + timedelta(days=int(row["served_on"]))), row)
        lines[line.name] = _sum(line, lines.get(line.name, Line(name=line.name, jobs=0)))
    return sorted(lines.values(), key=lambda line: line.name, reverse=True)


def _sum(one: Line, other: Line) -> Line:
    return Line(
        name=one.name,
        jobs=one.jobs + other.jobs,
        settled_usd=one.settled_usd + other.settled_usd,
        held_usd=one.held_usd + other.held_usd,
        overrun_usd=one.overrun_usd + other.overrun_usd,
        unknown=one.unknown + other.unknown,
    )


def _within(period: Period, owner: str | None) -> list[sa.ColumnElement[bool]]:
    """A hold counts to its own day, which for a late adoption is not the one on which its job was made."""
    found: list[sa.ColumnElement[bool]] = [] if owner is None else [jobs.c.owner == owner]
    if period.since is not None:
        start = datetime.fromisoformat(period.since).replace(tzinfo=UTC)
        found.append((holds.c.day >= period.since) | (holds.c.day.is_(None) & (jobs.c.created_at >= start)))
    if period.until is not None and period.until < date.max.isoformat():
        end = datetime.fromisoformat(period.until).replace(tzinfo=UTC) + timedelta(days=1)
        found.append((holds.c.day <= period.until) | (holds.c.day.is_(None) & (jobs.c.created_at < end)))
    return found


def _line(name: str, row: sa.RowMapping) -> Line:
    return Line(
        name=name,
        jobs=row["jobs"],
        settled_usd=row["settled_usd"] or NOTHING,
        held_usd=row["held_usd"] or NOTHING,
        overrun_usd=row["overrun_usd"] or NOTHING,
        unknown=int(row["unknown"] or 0),
    )

"""Budgets: what may be spent, what of it is held or gone, and what becomes of a hold. Pure.

What a job may cost is held before it is admitted. A hold counts in two parts: what may still be charged, and what was.
So for each limit, at every instant, held + settled + free = limit; after an overrun, free is less than nothing, and
nothing is admitted until it is not. Nothing here reads a database: `purse.py` carries out what is decided here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import ROUND_UP, Decimal

from rushes.config import Settings
from rushes.errors import OverBudget
from rushes.jobs import ledger
from rushes.jobs.ledger import Attempt, AttemptState

MICRO = Decimal("0.000001")
"""The books count in whole millionths of a dollar."""
NOTHING = Decimal(0)

# -- limits ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which holds count: those that agree in all that is named here. Nothing named: every hold."""

    run: str | None = None
    owner: str | None = None
    provider: str | None = None
    daily: bool = False  # only those of one UTC day


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `usd` for the holds of a scope. `name` is what people know it by, `remedy` how it is raised."""

    name: str
    usd: Decimal
    scope: Scope
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under what a job was ordered. Kept with it: paying again is under the same.

    `unknown_price_hold_usd` is what is held where a price is not known; without it and without the permission, such a
    job is refused wherever a limit applies.
    """

    limits: tuple[Limit, ...] = ()
    allow_unknown_price: bool = False
    unknown_price_hold_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the holds of a scope come to."""

    held_usd: Decimal = NOTHING
    settled_usd: Decimal = NOTHING

    def free_usd(self, limit: Limit) -> Decimal:
        """Less than nothing after an overrun."""
        return limit.usd - self.held_usd - self.settled_usd


def of_run(run: str, usd: Decimal) -> Limit:
    """`--max-cost`: what all jobs of one invocation, or of one eval, may cost together."""
    return Limit(name="--max-cost", usd=usd, scope=Scope(run=run), remedy="Pass a higher --max-cost.")


def configured(settings: Settings, provider: str) -> tuple[Limit, ...]:
    """The limits of the settings that apply to a hold at this provider."""
    found: list[Limit] = []
    if (usd := settings.budget.per_day_usd) is not None:
        found.append(_per_day("[budget] per_day_usd", usd, Scope(daily=True)))
    if (usd := settings.provider(provider).budget_per_day_usd) is not None:
        name = f"[providers.{provider}] budget_per_day_usd"
        found.append(_per_day(name, usd, Scope(provider=provider, daily=True)))
    return tuple(found)


def _per_day(name: str, usd: Decimal, scope: Scope) -> Limit:
    return Limit(
        name=name,
        usd=usd,
        scope=scope,
        remedy="Raise it in rushes.toml, or wait for the next day (of UTC). See: rushes spend",
    )


def raised(terms: Terms, max_cost_usd: Decimal | None) -> Terms:
    """The terms with another limit for the run, if a person names one."""
    if max_cost_usd is None:
        return terms
    limits = [replace(limit, usd=max_cost_usd) if limit.scope.run else limit for limit in terms.limits]
    return replace(terms, limits=tuple(limits))


# -- asking for money ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """What is asked to be held for a job, and the limits that it must fit."""

    model: str  # whose price it is, for people
    usd: Decimal
    unknown: bool = False  # a part of the price is not known
    limits: tuple[Limit, ...] = ()
    permitted: bool = True  # False: the price is unknown, a limit applies, and nobody said to go on all the same


@dataclass(frozen=True, slots=True)
class Price:
    """What one route would cost at most; None: unknown, which is never nothing."""

    model: str
    usd: Decimal | None


def bid(prices: Sequence[Price], terms: Terms, limits: Iterable[Limit], *, limited: bool | None = None) -> Bid:
    """What to hold for a job that may take any of these routes: the dearest.

    `limited` tells whether any limit may ever apply to it; by default, whether one does now.
    """
    limits = tuple(limits)
    unknown = [price for price in prices if price.usd is None]
    dearest = unknown[0] if unknown else max(prices, key=lambda price: price.usd or NOTHING)
    amounts = [price.usd for price in prices if price.usd is not None]
    if unknown and terms.unknown_price_hold_usd is not None:
        amounts.append(terms.unknown_price_hold_usd)
    allowed = terms.allow_unknown_price or terms.unknown_price_hold_usd is not None
    return Bid(
        model=dearest.model,
        usd=max(amounts, default=NOTHING).quantize(MICRO, ROUND_UP),
        unknown=bool(unknown),
        limits=limits,
        permitted=not unknown or allowed or not (bool(limits) if limited is None else limited),
    )


def together(bids: Iterable[Bid]) -> Mapping[Limit, Bid]:
    """For each limit, what all the bids that it applies to ask of it as a whole."""
    wholes: dict[Limit, Bid] = {}
    for each in bids:
        for limit in each.limits:
            before = wholes.get(limit)
            usd = each.usd + (before.usd if before else NOTHING)
            wholes[limit] = replace(each, usd=usd, limits=(limit,))
    return wholes


def check_permitted(asked: Bid) -> None:
    """Raise OverBudget for a price that is unknown where a limit applies."""
    if asked.permitted:
        return
    named = (
        " and ".join(f"{limit.name} (${dollars(limit.usd)})" for limit in asked.limits) or "the budget of its routes"
    )
    provider = asked.model.partition(":")[0]
    raise OverBudget(
        f"The price of {asked.model} is unknown, so it cannot be held to {named}. It is not bought. Set usd_per_second "
        f"in [providers.{provider}] or unknown_price_hold_usd in [budget], or pass --allow-unknown-price."
    )


def check_fits(asked: Bid, limit: Limit, totals: Totals, day: str) -> None:
    """Raise OverBudget when what is asked does not fit what a limit leaves free."""
    free = totals.free_usd(limit)
    if asked.usd <= free:
        return
    when = f" for {day} (UTC)" if limit.scope.daily else ""
    costs = f"${dollars(asked.usd)}" + (" or more" if asked.unknown else "")
    state = f"${dollars(totals.held_usd)} held, ${dollars(totals.settled_usd)} settled, ${dollars(free)} free"
    words = f"This would cost {costs}, and {limit.name} is ${dollars(limit.usd)}{when}: {state}. It is not bought."
    raise OverBudget(f"{words} {limit.remedy}".rstrip())


def dollars(usd: Decimal) -> str:
    """With cents at least, and no needless zeros behind them: 0.80, 0.0028, -1.50."""
    cents = usd.quantize(Decimal("0.01"))
    return f"{cents if cents == usd else usd.normalize():f}"


# -- holds -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The money of one job."""

    held_usd: Decimal  # may still be charged
    settled_usd: Decimal = NOTHING  # was charged
    overrun_usd: Decimal = NOTHING  # by how much that is more than was held for it
    unknown: bool = False  # a part of the price is not known


def cost_is_open(attempt: Attempt) -> bool:
    """Whether an attempt may have been billed by nobody knows how much: in doubt, lost, or ended without a price."""
    return attempt.cost_usd is None and attempt.state not in (AttemptState.INTENT, AttemptState.REFUSED)


def billed(attempt: Attempt, usd: Decimal, now: datetime) -> Attempt:
    """An attempt of open cost, when a person says what it was billed. In doubt, and billed nothing: it was refused."""
    if usd == NOTHING and attempt.state is AttemptState.UNKNOWN:
        return ledger.refused(attempt, "never_billed", "A person found that it was never billed.", now)
    return replace(attempt, cost_usd=usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What is held for one attempt: its model's price, or, if that is unknown, `whole`: what was held at first."""

    whole: Decimal = NOTHING
    by_model: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])

    def of(self, attempts: Iterable[Attempt]) -> Decimal:
        return sum((self.by_model.get(attempt.model, self.whole) for attempt in attempts), NOTHING)


def settlement(before: Hold, attempts: Sequence[Attempt], shares: Shares) -> Hold:
    """What becomes of the hold of a job that is over, from all its attempts. Deciding again changes nothing.

    Known costs are settled. An attempt whose cost is open keeps its share held: nobody may spend that a second time
    until it is known. Nothing is kept for the others. An unknown price is never taken for nothing.
    """
    still_open = [attempt for attempt in attempts if cost_is_open(attempt)]
    settled = sum((attempt.cost_usd for attempt in attempts if attempt.cost_usd is not None), NOTHING)
    kept = min(before.held_usd, shares.of(still_open))
    covered = before.held_usd + before.settled_usd - before.overrun_usd  # all that was ever put aside and not released
    ended_without_price = any(attempt.state is AttemptState.ENDED for attempt in still_open)
    return Hold(
        held_usd=kept,
        settled_usd=settled,
        overrun_usd=max(NOTHING, settled - (covered - kept)),
        unknown=ended_without_price or (before.unknown and bool(still_open)),
    )


def turned(before: Hold, attempts: Sequence[Attempt], shares: Shares, asked: Bid) -> Hold:
    """The hold of a job that turns to its next route: what that and those after it may cost, beside what is in doubt.

    Never more than before, so only the limits of another provider can be touched by it.
    """
    in_doubt = [attempt for attempt in attempts if cost_is_open(attempt)]
    return replace(
        before,
        held_usd=min(before.held_usd, shares.of(in_doubt) + asked.usd),
        unknown=asked.unknown or (before.unknown and bool(in_doubt)),
    )


def more(before: Hold, asked: Bid) -> Hold:
    """The hold of a job that is paid again, beside an attempt that stays in doubt."""
    return replace(before, held_usd=before.held_usd + asked.usd, unknown=before.unknown or asked.unknown)


def handed_over(before: Hold, left: Hold) -> Hold:
    """What goes with the attempt that another job takes over, when `left` is what stays."""
    return Hold(held_usd=before.held_usd - left.held_usd - left.settled_usd + left.overrun_usd, unknown=before.unknown)

"""Budgets as decisions: whatever happens to the jobs, held + settled + free is the limit, and a doubt stays held."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rushes.errors import OverBudget
from rushes.jobs import budget, ledger, purse, store, tables
from rushes.jobs.budget import NOTHING, Bid, Hold, Limit, Price, Scope, Shares, Terms, Totals
from rushes.jobs.codec import prepared_to_json
from rushes.jobs.ledger import Attempt, AttemptState, Job, JobState
from rushes.jobs.services import end_job
from rushes.providers.prepare import Prepared
from rushes.providers.terms import RemoteJob
from rushes.video import ModelId, VideoRequest

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
USD = Decimal
DAILY = Limit(name="[budget] per_day_usd", usd=USD(5), scope=Scope(daily=True), remedy="Raise it.")


def attempt(state: AttemptState, n: int = 1, cost: str | None = None, *, repaid: bool = False) -> Attempt:
    return Attempt(
        job_id="video_1",
        n=n,
        provider="openai",
        account="openai@host#1",
        model="openai:video:sora-2",
        state=state,
        key=f"video_1-{n}",
        request_hash="h" * 64,
        intent_at=NOW,
        cost_usd=None if cost is None else USD(cost),
        repaid=repaid,
    )


UNKNOWN, LOST, ENDED, REFUSED = AttemptState.UNKNOWN, AttemptState.LOST, AttemptState.ENDED, AttemptState.REFUSED


# -- what becomes of a hold ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "attempts", "kept", "settled", "overrun", "unknown"),
    [
        ("0.80", [], "0", "0", "0", False),
        ("0.80", [attempt(REFUSED, cost="0")], "0", "0", "0", False),
        ("0.80", [attempt(ENDED, cost="0.80")], "0", "0.80", "0", False),
        ("0.80", [attempt(ENDED, cost="0.30")], "0", "0.30", "0", False),
        ("0.80", [attempt(ENDED, cost="1.00")], "0", "1.00", "0.20", False),
        ("0.80", [attempt(ENDED)], "0.80", "0", "0", True),
        ("0.80", [attempt(LOST)], "0.80", "0", "0", False),
        ("0.80", [attempt(UNKNOWN)], "0.80", "0", "0", False),
        ("1.60", [attempt(UNKNOWN, repaid=True), attempt(ENDED, 2, "0.80")], "0.80", "0.80", "0", False),
        ("1.60", [attempt(UNKNOWN, repaid=True), attempt(ENDED, 2, "1.00")], "0.80", "1.00", "0.20", False),
        ("1.60", [attempt(UNKNOWN, repaid=True), attempt(REFUSED, 2, "0")], "0.80", "0", "0", False),
        ("1.60", [attempt(UNKNOWN, repaid=True), attempt(LOST, 2)], "1.60", "0", "0", False),
    ],
)
def test_known_costs_are_settled_and_open_ones_stay_held(
    held: str, attempts: list[Attempt], kept: str, settled: str, overrun: str, unknown: bool
) -> None:
    shares = Shares(whole=USD("0.80"))

    after = budget.settlement(Hold(held_usd=USD(held)), attempts, shares)

    expected = Hold(held_usd=USD(kept), settled_usd=USD(settled), overrun_usd=USD(overrun), unknown=unknown)
    assert after == expected
    assert budget.settlement(after, attempts, shares) == after, "deciding again changes nothing"


def test_an_unknown_price_that_was_allowed_stays_unknown_until_somebody_tells_it() -> None:
    before = Hold(held_usd=USD(0), unknown=True)

    over = budget.settlement(before, [attempt(ENDED)], Shares())
    told = budget.settlement(over, [attempt(ENDED, cost="3")], Shares())

    assert (over.held_usd, over.settled_usd, over.unknown) == (0, 0, True)
    assert (told.held_usd, told.settled_usd, told.overrun_usd, told.unknown) == (0, 3, 3, False)


@pytest.mark.parametrize(
    ("said", "settled", "overrun"), [("0", "0.80", "0"), ("0.50", "1.30", "0"), ("0.90", "1.70", "0.10")]
)
def test_what_a_person_says_of_a_doubt_ends_its_hold(said: str, settled: str, overrun: str) -> None:
    attempts = [attempt(UNKNOWN, repaid=True), attempt(ENDED, 2, "0.80")]
    shares = Shares(whole=USD("0.80"))
    over = budget.settlement(Hold(held_usd=USD("1.60")), attempts, shares)

    told = budget.settlement(over, [budget.billed(attempts[0], USD(said), NOW), attempts[1]], shares)

    assert told == Hold(held_usd=USD(0), settled_usd=USD(settled), overrun_usd=USD(overrun))


def test_a_doubt_that_was_never_billed_was_refused_and_another_cost_stays_what_it_was() -> None:
    never = budget.billed(attempt(UNKNOWN), USD(0), NOW)
    lost = budget.billed(attempt(LOST), USD(0), NOW)

    assert (never.state, never.cost_usd) == (REFUSED, 0)
    assert (lost.state, lost.cost_usd) == (LOST, 0)


def test_turning_to_a_cheaper_route_frees_money_but_not_that_of_a_doubt() -> None:
    shares = Shares(whole=USD(3), by_model={"openai:video:sora-2": USD(1)})
    asked = Bid(model="spare:video:small", usd=USD("0.50"))

    plain = budget.turned(Hold(held_usd=USD(3)), [attempt(REFUSED, cost="0")], shares, asked)
    doubtful = budget.turned(Hold(held_usd=USD(3)), [attempt(UNKNOWN, repaid=True)], shares, asked)

    assert (plain.held_usd, doubtful.held_usd) == (USD("0.50"), USD("1.50"))


# -- asking ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prices", "terms", "usd", "permitted"),
    [
        (["0.40"], Terms(), "0.40", True),
        (["0.40", "1.20"], Terms(), "1.20", True),
        ([None], Terms(), "0", False),
        (["0.40", None], Terms(), "0.40", False),
        ([None], Terms(allow_unknown_price=True), "0", True),
        ([None], Terms(unknown_price_hold_usd=USD(2)), "2", True),
        (["3", None], Terms(unknown_price_hold_usd=USD(2)), "3", True),
        (["0.40"], Terms(unknown_price_hold_usd=USD(2)), "0.40", True),
        (["0.0000001"], Terms(), "0.000001", True),
    ],
)
def test_the_dearest_route_is_held_and_an_unknown_price_needs_leave(
    prices: list[str | None], terms: Terms, usd: str, permitted: bool
) -> None:
    known = [Price(f"p:video:{n}", None if price is None else USD(price)) for n, price in enumerate(prices)]

    limited, free = budget.bid(known, terms, [DAILY]), budget.bid(known, terms, [])

    assert (limited.usd, limited.permitted) == (USD(usd), permitted)
    assert free.permitted, "without any limit there is nothing to hold it to"
    assert limited.unknown == (None in prices)


def test_a_refusal_names_the_limit_what_is_held_settled_and_free_and_what_to_do() -> None:
    totals = Totals(held_usd=USD("1.50"), settled_usd=USD("3.25"))

    with pytest.raises(OverBudget) as refused:
        budget.check_fits(Bid(model="m", usd=USD("0.80")), DAILY, totals, "2026-11-20")

    assert str(refused.value) == (
        "This would cost $0.80, and [budget] per_day_usd is $5.00 for 2026-11-20 (UTC): $1.50 held, $3.25 settled, "
        "$0.25 free. It is not bought. Raise it."
    )


@pytest.mark.parametrize("usd", ["0", "0.01"])
def test_after_an_overrun_nothing_is_admitted_not_even_for_nothing(usd: str) -> None:
    with pytest.raises(OverBudget, match=r"\$-1.00 free"):
        budget.check_fits(Bid(model="m", usd=USD(usd)), DAILY, Totals(settled_usd=USD(6)), "2026-11-20")


def test_what_is_free_may_be_spent_to_the_last_millionth_and_no_more() -> None:
    totals = Totals(held_usd=USD("1.50"), settled_usd=USD("3.25"))

    budget.check_fits(Bid(model="m", usd=USD("0.25")), DAILY, totals, "2026-11-20")
    with pytest.raises(OverBudget):
        budget.check_fits(Bid(model="m", usd=USD("0.250001")), DAILY, totals, "2026-11-20")


def test_orders_that_belong_together_ask_each_limit_for_their_sum() -> None:
    own = Limit(name="provider", usd=USD(1), scope=Scope(provider="openai", daily=True))
    bids = [Bid(model="m", usd=USD(1), limits=(DAILY, own)), Bid(model="m", usd=USD(2), limits=(DAILY,))]

    wholes = budget.together(bids)

    assert {limit.name: whole.usd for limit, whole in wholes.items()} == {DAILY.name: USD(3), "provider": USD(1)}


def test_a_person_raises_the_limit_of_a_run_and_no_other() -> None:
    terms = Terms(limits=(budget.of_run("run_1", USD(1)), DAILY))

    assert [limit.usd for limit in budget.raised(terms, USD(3)).limits] == [USD(3), USD(5)]
    assert budget.raised(terms, None) == terms


# -- the books, against a model that is kept by other means ----------------------------------------


@dataclass
class Kept:
    """What the model knows of a job: one amount for each attempt that may be billed, and what was charged."""

    owner: str
    run: str
    provider: str
    day: str
    price: Decimal
    open: list[Decimal] = field(default_factory=list[Decimal])  # of attempts that stay in doubt
    running: Decimal = NOTHING  # of the newest one, while the job is open
    charged: Decimal = NOTHING
    over: bool = False

    @property
    def held(self) -> Decimal:
        return self.running + sum(self.open, USD(0))


AMOUNTS = st.integers(0, 300).map(lambda cents: USD(cents) / 100)
LIMITS = {
    "all": Limit(name="all", usd=USD(6), scope=Scope(daily=True)),
    "provider": Limit(name="provider", usd=USD(4), scope=Scope(provider="openai", daily=True)),
    "owner": Limit(name="owner", usd=USD(5), scope=Scope(owner="anna")),
    "run": Limit(name="run", usd=USD(3), scope=Scope(run="run_1")),
}


def counts(limit: Limit, kept: Kept, day: str) -> bool:
    scope = limit.scope
    named = ((scope.run, kept.run), (scope.owner, kept.owner), (scope.provider, kept.provider))
    return all(wanted in (None, has) for wanted, has in named) and (not scope.daily or kept.day == day)


class Books(RuleBasedStateMachine):
    """Admits, doubts, repays, ends, overruns and decisions in any order, on the real tables."""

    @initialize()
    def begin(self) -> None:
        self.engine = sa.create_engine("sqlite://")
        tables.metadata.create_all(self.engine)
        self.jobs: dict[str, Kept] = {}
        self.now = NOW

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            self.engine.dispose()

    # The model's own sums.

    def spent(self, limit: Limit, day: str) -> Decimal:
        return sum((each.held + each.charged for each in self.jobs.values() if counts(limit, each, day)), USD(0))

    def fits(self, kept: Kept, usd: Decimal) -> bool:
        limits = [limit for limit in LIMITS.values() if counts(limit, kept, kept.day)]
        return all(self.spent(limit, kept.day) + usd <= limit.usd for limit in limits)

    def some(self, data: st.DataObject, *, over: bool) -> str:
        return data.draw(st.sampled_from([name for name, kept in self.jobs.items() if kept.over is over]))

    def has_running(self) -> bool:
        return any(not kept.over for kept in self.jobs.values())

    # What can happen.

    @rule()
    def the_next_day(self) -> None:
        self.now += timedelta(days=1)

    @rule(
        price=AMOUNTS,
        owner=st.sampled_from(["anna", "bert"]),
        run=st.sampled_from(["run_1", "run_2"]),
        provider=st.sampled_from(["openai", "zai"]),
    )
    def admit(self, price: Decimal, owner: str, run: str, provider: str) -> None:
        kept = Kept(owner, run, provider, f"{self.now:%Y-%m-%d}", price, running=price)
        job = a_job(len(self.jobs), kept, self.now)
        asked = budget.bid([Price(job.model, price)], Terms(), self.limits_of(kept))
        expected = self.fits(kept, price)

        try:
            with self.engine.begin() as connection:
                store.insert_job(connection, job, [job.id])
                purse.take(connection, job, asked)
                store.insert_attempt(connection, an_attempt(job, 1))
            admitted = True
        except OverBudget:
            admitted = False

        assert admitted is expected
        if admitted:
            self.jobs[job.id] = kept

    @precondition(has_running)
    @rule(data=st.data())
    def pay_again(self, data: st.DataObject) -> None:
        name = self.some(data, over=False)
        kept = self.jobs[name]
        expected = self.fits(kept, kept.price)

        try:
            with self.engine.begin() as connection:
                job, attempts = self.read(connection, name)
                purse.take_more(connection, job, self.limits_of(kept), Terms(), self.now)
                store.save_attempt(connection, replace(ledger.in_doubt(attempts[-1], "x", "x"), repaid=True))
                store.insert_attempt(connection, an_attempt(job, len(attempts) + 1))
            repaid = True
        except OverBudget:
            repaid = False

        assert repaid is expected
        if repaid:
            kept.open.append(kept.price)

    @precondition(has_running)
    @rule(data=st.data(), cost=st.none() | AMOUNTS)
    def end(self, data: st.DataObject, cost: Decimal | None) -> None:
        """With a known cost, dearer than what was held among them, or with one that nobody knows."""
        name = self.some(data, over=False)

        def over(last: Attempt) -> Attempt:
            return ledger.ended(ledger.accepted(last, RemoteJob(id=last.key), self.now), cost, self.now)

        self.finish(name, over, cost)

    @precondition(has_running)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        def over(last: Attempt) -> Attempt:
            return ledger.lost(ledger.accepted(last, RemoteJob(id=last.key), self.now), "gone", self.now)

        self.finish(self.some(data, over=False), over, None)

    @precondition(has_running)
    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        self.finish(self.some(data, over=False), lambda last: ledger.refused(last, "rejected", "no", self.now), USD(0))

    @precondition(lambda self: any(kept.over and kept.open for kept in self.jobs.values()))
    @rule(data=st.data(), usd=AMOUNTS)
    def tell(self, data: st.DataObject, usd: Decimal) -> None:
        name = data.draw(st.sampled_from([name for name, kept in self.jobs.items() if kept.over and kept.open]))

        with self.engine.begin() as connection:
            job, attempts = self.read(connection, name)
            still_open = [each for each in attempts if budget.cost_is_open(each)]
            for n, each in enumerate(still_open):
                store.save_attempt(connection, budget.billed(each, usd if n == 0 else USD(0), self.now))
            purse.settle(connection, job, self.now)

        kept = self.jobs[name]
        kept.open, kept.charged = [], kept.charged + usd

    # What must be true all the time.

    @invariant()
    def held_and_settled_and_free_is_the_limit(self) -> None:
        for day in {kept.day for kept in getattr(self, "jobs", {}).values()}:
            for limit in LIMITS.values():
                with self.engine.begin() as connection:
                    totals = purse.totals(connection, limit.scope, day)
                mine = [kept for kept in self.jobs.values() if counts(limit, kept, day)]
                assert totals.held_usd == sum((kept.held for kept in mine), USD(0))
                assert totals.settled_usd == sum((kept.charged for kept in mine), USD(0))
                assert totals.held_usd + totals.settled_usd + totals.free_usd(limit) == limit.usd

    @invariant()
    def only_an_overrun_passes_a_limit(self) -> None:
        if not getattr(self, "jobs", {}):
            return
        with self.engine.begin() as connection:
            rows = connection.execute(sa.select(tables.holds)).all()
            for day in {row.day for row in rows}:
                for limit in LIMITS.values():
                    free = purse.totals(connection, limit.scope, day).free_usd(limit)
                    overruns = [row.overrun_usd for row in rows if counts(limit, self.jobs[row.job_id], day)]
                    assert free + sum(overruns, USD(0)) >= 0

    # How it is done.

    def limits_of(self, kept: Kept) -> list[Limit]:
        return [limit for limit in LIMITS.values() if counts(limit, kept, kept.day)]

    def read(self, connection: sa.Connection, name: str) -> tuple[Job, list[Attempt]]:
        job = store.job_by_id(connection, name)
        assert job is not None
        return job, store.attempts_of(connection, name)

    def finish(self, name: str, over: Callable[[Attempt], Attempt], cost: Decimal | None) -> None:
        with self.engine.begin() as connection:
            job, attempts = self.read(connection, name)
            write_moved(connection, attempts[-1], over(attempts[-1]))
            total = ledger.total_cost(store.attempts_of(connection, name))
            end_job(connection, job, JobState.FAILED, total, self.now)
        kept = self.jobs[name]
        if cost is None:
            kept.open.append(kept.running)
        else:
            kept.charged += cost
        kept.running, kept.over = USD(0), True


def a_job(n: int, kept: Kept, now: datetime) -> Job:
    model = ModelId(kept.provider, "any")
    prepared = Prepared(request=VideoRequest(prompt="A cat", model=model), estimate_usd=kept.price)
    return Job(
        id=f"video_{n:032x}",
        owner=kept.owner,
        state=JobState.SUBMITTING,
        model=str(model),
        asked_model=str(model),
        prompt="A cat",
        fingerprint="f" * 64,
        slot=0,
        priority=0,
        run=kept.run,
        created_at=now,
        deadline=now + timedelta(hours=48),
        prepared_json=prepared_to_json(prepared),
        options_json="{}",
        estimate_usd=kept.price,
    )


def an_attempt(job: Job, n: int) -> Attempt:
    sent = attempt(AttemptState.SENDING, n)
    return replace(sent, job_id=job.id, key=f"{job.id}-{n}", model=job.model, provider=job.model.partition(":")[0])


def write_moved(connection: sa.Connection, before: Attempt, after: Attempt) -> None:
    """By way of acceptance, where it was accepted: the store takes one legal move at a time."""
    if after.state not in ledger.ATTEMPT_MOVES[before.state]:
        assert after.remote is not None
        store.save_attempt(connection, ledger.accepted(before, after.remote, NOW))
    store.save_attempt(connection, after)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

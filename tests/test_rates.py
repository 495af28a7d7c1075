"""How often an account is called: the arithmetic of the bucket, and the queue before it."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes import rates
from rushes.rates import DOUBLES_S, LONGEST_ASKED_S, LOWEST, Rate, Urgency
from rushes.turns import Turns

CREATE, FETCH, LOOK = Urgency.CREATE, Urgency.FETCH, Urgency.LOOK


def rate(per_second: float | None = None, at: float = 0.0) -> Rate:
    return Rate(configured=per_second, at=at)


def eager(bucket: Rate, until: float, step_s: float = 0.01) -> tuple[Rate, list[float]]:
    """Calls as often as the bucket lets, looking at it each `step_s`."""
    calls: list[float] = []
    ticks = round(bucket.at / step_s)
    while (now := ticks * step_s) < until:
        while rates.wait_s(bucket, LOOK, now) <= 0:
            bucket = rates.called(bucket, now)
            calls.append(now)
        ticks += 1
    return bucket, calls


# -- the arithmetic ------------------------------------------------------------------------------------------------


def test_without_a_limit_nobody_waits() -> None:
    bucket = rate()

    for _ in range(1000):
        bucket = rates.called(bucket, 0.0)

    assert rates.wait_s(bucket, LOOK, 0.0) == 0.0
    assert rates.allowed(bucket, 0.0) is None


@pytest.mark.parametrize("per_second", [0.5, 1.0, 7.0, 40.0])
def test_a_rate_is_reached_and_never_exceeded_in_any_second(per_second: float) -> None:
    _, calls = eager(rate(per_second), until=60.0)

    busiest = max(sum(start <= call < start + 1.0 for call in calls) for start in calls)
    assert 60 * per_second * 0.98 <= len(calls) <= 60 * per_second + 1.1
    assert busiest <= per_second * 1.1 + 1.1


@given(
    per_second=st.floats(0.1, 50),
    pauses_s=st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_pattern_of_calls_gets_more_than_its_rate(per_second: float, pauses_s: list[float]) -> None:
    bucket, now, calls = rate(per_second), 0.0, 0

    for pause_s in pauses_s:
        now += pause_s
        if rates.wait_s(bucket, LOOK, now) <= 0:
            bucket, calls = rates.called(bucket, now), calls + 1

    assert calls <= now * per_second + 1.0 + per_second * rates.BURST_S + 1e-6


def test_several_processes_share_what_the_settings_allow() -> None:
    one = rates.shared(rate(9.0), 3, now=0.0)

    _, calls = eager(one, until=10.0)

    assert 29 <= len(calls) <= 31


def test_a_429_halves_what_was_called_of_late_and_the_rate_grows_back() -> None:
    bucket, _ = eager(rate(20.0), until=30.0)

    bucket = rates.refused(bucket, LOOK, None, sent_at=29.9, now=30.0)

    assert rates.allowed(bucket, 30.0) == pytest.approx(10.0, rel=0.1)
    assert rates.allowed(bucket, 30.0 + DOUBLES_S / 2) == pytest.approx(14.1, rel=0.1)
    assert rates.allowed(bucket, 30.0 + 2 * DOUBLES_S) == 20.0


def test_a_learnt_rate_is_forgotten_when_it_holds_nobody_up_any_more() -> None:
    bucket = rates.refused(rates.called(rate(), 0.0), LOOK, None, sent_at=0.0, now=1.0)

    assert rates.allowed(bucket, 1.0) is not None
    assert rates.allowed(bucket, 1.0 + 20 * DOUBLES_S) is None
    assert rates.allowed(bucket, 1e12) is None


def test_of_many_calls_that_were_on_their_way_only_the_first_refusal_counts() -> None:
    bucket, _ = eager(rate(20.0), until=10.0)

    for answered_at in (10.0, 10.1, 10.2):
        bucket = rates.refused(bucket, LOOK, None, sent_at=9.9, now=answered_at)

    assert rates.allowed(bucket, 10.2) == pytest.approx(10.0, rel=0.1)


def test_a_refused_create_teaches_nothing_about_how_often_to_look() -> None:
    bucket, _ = eager(rate(), until=0.0)

    assert rates.refused(bucket, CREATE, 60.0, sent_at=0.0, now=1.0) == bucket


def test_nothing_is_learnt_below_three_calls_a_minute() -> None:
    bucket = rates.called(rate(), 0.0)
    now = 1000.0

    for _ in range(20):
        bucket = rates.refused(bucket, LOOK, None, sent_at=now, now=now + 1)
        now += 2

    assert rates.allowed(bucket, now) == pytest.approx(LOWEST, rel=0.05)


@pytest.mark.parametrize(
    ("refused", "waits"),
    [(LOOK, {CREATE: 0.0, FETCH: 0.0, LOOK: 30.0}), (FETCH, {CREATE: 0.0, FETCH: 30.0, LOOK: 30.0})],
)
def test_retry_after_is_a_pause_for_calls_of_its_kind_and_less_urgent_ones(
    refused: Urgency, waits: dict[Urgency, float]
) -> None:
    bucket, _ = eager(rate(), until=0.0)
    for _ in range(100):
        bucket = rates.called(bucket, 0.0)

    bucket = rates.refused(bucket, refused, 30.0, sent_at=0.0, now=1.0)

    found = {urgency: rates.wait_s(bucket, urgency, 1.0) for urgency in Urgency}
    own_turn_s = 1 / (rates.allowed(bucket, 1.0) or 1.0)
    assert found == {urgency: pytest.approx(wait or own_turn_s, rel=0.01) for urgency, wait in waits.items()}


def test_a_retry_after_of_years_is_not_believed() -> None:
    bucket = rates.refused(rates.called(rate(), 0.0), LOOK, 1e9, sent_at=0.0, now=1.0)

    assert rates.wait_s(bucket, LOOK, 1.0) <= LONGEST_ASKED_S


@pytest.mark.parametrize("limit", [1, 3, 25])
def test_beside_an_account_with_an_unknown_rate_few_calls_are_refused_and_half_of_it_is_used(limit: int) -> None:
    bucket, step_s, lasts_s = rate(), 0.02, 1800
    accepted = Counter[int]()
    refused = 0

    for tick in range(int(lasts_s / step_s)):
        now = tick * step_s
        while rates.wait_s(bucket, LOOK, now) <= 0:
            bucket = rates.called(bucket, now)
            if accepted[int(now)] < limit:
                accepted[int(now)] += 1
            else:
                refused += 1
                bucket = rates.refused(bucket, LOOK, None, sent_at=now, now=now)

    assert refused <= lasts_s / 60 + 5
    assert accepted.total() >= 0.5 * lasts_s * limit


# -- the queue before it -------------------------------------------------------------------------------------------


@dataclass
class Queue:
    """Callers that note when they were served."""

    turns: Turns
    served: list[str] = field(default_factory=list[str])

    async def call(self, name: str, urgency: Urgency) -> None:
        await self.turns.take(urgency)
        self.served.append(name)


async def until(true: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not true():
            await anyio.sleep(0.001)


@pytest.mark.anyio
async def test_creates_come_first_then_downloads_then_looks() -> None:
    queue = Queue(Turns(20.0))
    await queue.turns.take(LOOK)

    async with anyio.create_task_group() as tasks:
        for name, urgency in [("look 1", LOOK), ("look 2", LOOK), ("fetch", FETCH), ("create", CREATE)]:
            tasks.start_soon(queue.call, name, urgency)

    assert queue.served == ["create", "fetch", "look 1", "look 2"]


@pytest.mark.anyio
async def test_a_create_passes_ten_thousand_looks_and_they_cost_little() -> None:
    queue = Queue(Turns(20.0))
    await queue.turns.take(LOOK)
    began, cpu, passed = time.monotonic(), time.process_time(), 0

    async with anyio.create_task_group() as tasks:
        for n in range(10_000):
            tasks.start_soon(queue.call, f"look {n}", LOOK)
        await until(lambda: bool(queue.served))
        with anyio.fail_after(5):
            await queue.call("create", CREATE)
        passed = len(queue.served)
        tasks.cancel_scope.cancel()

    assert queue.served[-1] == "create" and passed < 1000
    assert passed <= (time.monotonic() - began) * 20 + 3
    assert time.process_time() - cpu < 10


@pytest.mark.anyio
async def test_who_is_cancelled_while_waiting_holds_nobody_up() -> None:
    queue = Queue(Turns(50.0))
    await queue.turns.take(LOOK)

    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as given_up:
            for n in range(5):
                given_up.start_soon(queue.call, f"gone {n}", LOOK)
            await anyio.lowlevel.checkpoint()
            for n in range(5):
                tasks.start_soon(queue.call, f"stays {n}", LOOK)
            await anyio.lowlevel.checkpoint()
            given_up.cancel_scope.cancel()
        with anyio.fail_after(5):
            await until(lambda: len(queue.served) >= 5)

    assert queue.served == [f"stays {n}" for n in range(5)]


@pytest.mark.anyio
async def test_cancelling_at_random_never_leaves_anybody_behind() -> None:
    luck = random.Random(11)
    queue = Queue(Turns(2000.0))

    async def impatient(name: str, patience_s: float) -> None:
        with anyio.move_on_after(patience_s):
            await queue.call(name, luck.choice(list(Urgency)))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for n in range(600):
                tasks.start_soon(impatient, f"impatient {n}", luck.uniform(0, 0.3))
                if n % 3 == 0:
                    tasks.start_soon(queue.call, f"patient {n}", luck.choice(list(Urgency)))

    assert len([name for name in queue.served if name.startswith("patient")]) == 200


@pytest.mark.anyio
async def test_a_create_that_took_its_turn_ahead_goes_at_once_and_only_once() -> None:
    queue = Queue(Turns(2.0))

    await queue.turns.take_ahead()
    await queue.turns.take_ahead()
    with anyio.fail_after(0.1):
        await queue.turns.take(CREATE)
    with anyio.move_on_after(0.1) as second:
        await queue.turns.take(CREATE)

    assert second.cancelled_caught


@pytest.mark.anyio
async def test_a_turn_taken_ahead_is_of_no_use_to_another_task_or_a_look() -> None:
    queue = Queue(Turns(2.0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.turns.take_ahead)

    with anyio.move_on_after(0.1) as other_task:
        await queue.turns.take(CREATE)
    await queue.turns.take_ahead()
    with anyio.move_on_after(0.1) as look:
        await queue.turns.take(LOOK)

    assert other_task.cancelled_caught and look.cancelled_caught


@pytest.mark.anyio
async def test_those_who_wait_notice_a_larger_share() -> None:
    queue = Queue(Turns(100.0))
    queue.turns.set_share(10_000)
    await queue.turns.take(LOOK)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.call, "look", LOOK)
        await anyio.lowlevel.checkpoint()
        queue.turns.set_share(1)
        with anyio.fail_after(5):
            await until(lambda: queue.served == ["look"])


@pytest.mark.anyio
async def test_a_pause_that_looks_must_keep_holds_no_create_up() -> None:
    queue = Queue(Turns())
    for _ in range(2000):
        await queue.turns.take(LOOK)
    queue.turns.note_refusal(LOOK, 3600.0, time.monotonic())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.call, "look", LOOK)
        await anyio.lowlevel.checkpoint()
        with anyio.fail_after(5):
            await queue.call("create", CREATE)
        tasks.cancel_scope.cancel()

    assert queue.served == ["create"]

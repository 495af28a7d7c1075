"""When to look at a running job again. Pure: times in, a delay out.

A render takes as long as such renders took before, so the looks are few at first and dense around the expected end: the
next one comes when the delay that it is expected to prevent has grown worth a look. For a model never seen, the
reported percentage stands in; without either, the looks spread out as the job grows older. The provider's own wish is
a floor, never ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p, sqrt
from statistics import pstdev

FIRST_LOOK_S = 1.0
LONGEST_S = 15.0
DENSE_S = 0.5
LONGEST_BEFORE_S = 60.0
"""Long before such jobs end, a look is no more than a sign of life."""
LOOK_WORTH_S = 0.0105
"""The price of a look: this expected delay, times the root of how far the durations lie apart. The root stands between
a constant price, by which uneven jobs would be looked at without end, and a constant number of looks for each job."""
CHEAPER_BY_PERCENT = 10.0
"""Where a percentage tells the end, what history expects is worth so much less: it may be wrong, but seldom is."""
UNLIKE_OTHERS = 0.1
"""How many further jobs to think of among the earlier ones that are like none of them, so that an estimate from three
is not taken for certain, and a job that has outlived all of them is still looked at."""
LIKELY_ENDS = 12
HALVINGS = 6
"""Enough to find the time within a twelfth; a worker with thousands of jobs decides hundreds of times a second."""
TROUBLE_BASE_S = 1.0
TROUBLE_LONGEST_S = 120.0
MIN_HISTORY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What is known about one job and its kind when the next look is to be planned."""

    elapsed_s: float  # since the create was answered
    looks: int = 0  # successful looks so far
    percent: float | None = None
    percent_at_s: float = 0.0  # when that percentage was first seen
    history_s: Sequence[float] = ()  # how long such jobs took before
    poll_after_s: float | None = None  # the provider's wish
    least_s: float = 0.0  # what the provider's documentation asks for, the first look included
    fixed_s: float | None = None  # poll_interval_ms of the settings
    troubles: int = 0  # failed looks in a row
    retry_after_s: float | None = None


def next_look_s(pace: Pace) -> float:
    """Seconds until the next look."""
    if pace.troubles:
        backoff = min(TROUBLE_LONGEST_S, TROUBLE_BASE_S * 2 ** min(pace.troubles - 1, 10))
        return max(backoff, pace.retry_after_s or 0.0, pace.least_s)
    floor = max(pace.poll_after_s or 0.0, pace.least_s)
    if pace.fixed_s is not None:
        return max(pace.fixed_s, floor)
    return max(_planned(pace), floor)


def _planned(pace: Pace) -> float:
    to_end = _to_end_by_percent(pace)
    if len(pace.history_s) >= MIN_HISTORY:
        return _from_history(sorted(pace.history_s), pace.elapsed_s, to_end)
    if pace.looks == 0:
        return FIRST_LOOK_S
    by_age = min(LONGEST_S, max(FIRST_LOOK_S, pace.elapsed_s * 0.1))
    return by_age if to_end is None else min(by_age * 3, max(DENSE_S, to_end * 0.6))


def _to_end_by_percent(pace: Pace) -> float | None:
    """Seconds until the earliest end that the percentage allows; None where it tells nothing.

    It is taken for rounded down and even in time. One that stands still for longer than two of its steps is neither.
    """
    if pace.percent is None or not 0 < pace.percent < 100:
        return None
    stands_s = pace.elapsed_s - pace.percent_at_s
    if stands_s > 2 * pace.elapsed_s / pace.percent:
        return None
    return max(0.0, pace.elapsed_s * (100 / (pace.percent + 1) - 1))


def _from_history(durations: list[float], elapsed_s: float, to_end_s: float | None) -> float:
    """Until a look is worth its price: the delay expected if there is none before, given that the job has not ended.

    A percentage that agrees with what such jobs took makes those looks seldom, and adds dense ones where it sees the
    end.
    """
    earliest, latest = _quantile(durations, 0.05), _quantile(durations, 0.95)
    spread = max(latest - earliest, 1.0)
    price_s, approach = LOOK_WORTH_S * sqrt(spread), LONGEST_BEFORE_S
    if to_end_s is not None and earliest - spread < elapsed_s + to_end_s < latest + spread:
        price_s *= CHEAPER_BY_PERCENT
        approach = max(DENSE_S, to_end_s * 0.6)
    overdue_s = elapsed_s - latest
    longest = min(approach, LONGEST_BEFORE_S if overdue_s < 0 else LONGEST_S)
    shortest = min(longest, max(DENSE_S, overdue_s * 0.05))
    return _when_worth(price_s, _Expected(durations, elapsed_s), shortest, longest)


def _when_worth(price_s: float, expected: "_Expected", shortest: float, longest: float) -> float:
    """The time ahead at which the expected delay reaches the price, or the nearest that is allowed."""
    if expected.delay_s(longest) <= price_s:
        return longest
    for _ in range(HALVINGS):
        middle = sqrt(shortest * longest)  # in the mean by ratio, for a second matters less the further away it is
        if expected.delay_s(middle) < price_s:
            shortest = middle
        else:
            longest = middle
    return shortest


class _Expected:
    """When a job that runs since `elapsed_s` will end, from how long such jobs took.

    Some equally likely ends stand for all earlier ones, each with a small bell around it (logistic, for its integral is
    a plain formula), as wide as the usual rule of thumb for smoothing says: so a few durations make no comb, and two
    groups of them stay two.
    """

    def __init__(self, durations: list[float], elapsed_s: float) -> None:
        count = min(len(durations), LIKELY_ENDS)
        ends = [_quantile(durations, (n + 0.5) / count) for n in range(count)]
        middle = _quantile(durations, 0.5)
        self._blur_s = max(0.02, 0.01 * middle, 0.5 * _deviation(durations) * len(durations) ** -0.2)
        self._places = [(elapsed_s - end) / self._blur_s for end in ends]
        unlike = UNLIKE_OTHERS * count / len(durations)
        self._delay_so_far = sum(map(_softplus, self._places))
        self._ended = sum(1 - exp(-_softplus(place)) for place in self._places)
        self._running = count - self._ended + unlike
        # Of the jobs unlike the others it is only known that the older they are, the longer they may still run.
        self._unlike_rate = unlike / (middle + elapsed_s)

    def delay_s(self, ahead_s: float) -> float:
        """How long the job will on average have been over when the next look comes after `ahead_s`."""
        step = ahead_s / self._blur_s
        delay_s = self._blur_s * (sum(_softplus(place + step) for place in self._places) - self._delay_so_far)
        unlike_s = self._unlike_rate * ahead_s**2 / 2
        return (delay_s - ahead_s * self._ended + unlike_s) / self._running


def _deviation(durations: list[float]) -> float:
    """How far equal jobs lie apart: by the densest half of them, so that two groups do not count as one wide one."""
    half = len(durations) // 2
    if half < 4:
        return pstdev(durations)
    return min(last - first for first, last in zip(durations, durations[half - 1 :], strict=False)) / 1.35


def _softplus(x: float) -> float:
    """log(1 + e^x), without overflow."""
    return max(x, 0.0) + log1p(exp(-abs(x)))


def _quantile(ordered: list[float], q: float) -> float:
    place = q * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


GUESSED_MOST = 95.0


def guessed_percent(elapsed_s: float, typical_s: float | None) -> float | None:
    """How far a job may have come, where its provider does not say: by how long such jobs take. It never promises the
    end: from 95 on it stands still. None where nothing is known to guess from."""
    if not typical_s:
        return None
    return min(GUESSED_MOST, 100.0 * elapsed_s / typical_s)


def bar_percent(phase: str, provider_percent: float | None) -> float:
    """One bar for a whole job: to 20 submitting, to 90 the provider's own percentage, to 100 our finishing."""
    if phase in ("queued", "submitting"):
        return 5.0 if phase == "queued" else 10.0
    if phase == "in_progress":
        return 20.0 + 0.7 * min(100.0, max(0.0, provider_percent or 0.0))
    ours = {"downloading": 92.0, "finishing": 97.0, "completed": 100.0}
    # A job that failed, was cancelled or waits for a person stays where it came to.
    return ours.get(phase, 20.0 + 0.7 * provider_percent if provider_percent else 10.0)

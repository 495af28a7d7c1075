"""When to look at a running job again. Pure: times in, a delay out.

A render takes as long as such renders took before, so the looks are few at first and dense around the expected end.
For a model never seen, the reported percentage stands in; without either, the looks spread out as the job grows
older. The provider's own wish is a floor, never ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FIRST_LOOK_S = 1.0
LONGEST_S = 15.0
DENSE_S = 0.5
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
    fixed_s: float | None = None  # poll_interval_ms of the settings
    troubles: int = 0  # failed looks in a row
    retry_after_s: float | None = None


def next_look_s(pace: Pace) -> float:
    """Seconds until the next look."""
    if pace.troubles:
        backoff = min(TROUBLE_LONGEST_S, TROUBLE_BASE_S * 2 ** min(pace.troubles - 1, 10))
        return max(backoff, pace.retry_after_s or 0.0)
    floor = pace.poll_after_s or 0.0
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
    """Until the earliest known end, then densely while jobs like this end, then ever more seldom.

    A percentage that agrees with what such jobs took moves the dense looks to where it sees the end; in between
    history goes on, more sparsely, for it may be wrong.
    """
    earliest, latest = _quantile(durations, 0.05), _quantile(durations, 0.95)
    spread = max(latest - earliest, 1.0)
    agrees = to_end_s is not None and earliest - spread < elapsed_s + to_end_s < latest + spread
    approach = max(DENSE_S, to_end_s * 0.6) if to_end_s is not None and agrees else LONGEST_S * 4
    if elapsed_s < earliest:
        return max(DENSE_S, min(earliest - elapsed_s, approach, LONGEST_S * 4))
    if elapsed_s <= latest + spread * 0.25:
        return max(DENSE_S, min(spread / (16 if agrees else 26), approach))
    return min(LONGEST_S, max(1.0, (elapsed_s - latest) * 0.2))


def _quantile(ordered: list[float], q: float) -> float:
    place = q * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def bar_percent(phase: str, provider_percent: float | None) -> float:
    """One bar for a whole job: to 20 submitting, to 90 the provider's own percentage, to 100 our finishing."""
    if phase in ("queued", "submitting"):
        return 5.0 if phase == "queued" else 10.0
    if phase == "in_progress":
        return 20.0 + 0.7 * min(100.0, max(0.0, provider_percent or 0.0))
    ours = {"downloading": 92.0, "finishing": 97.0, "completed": 100.0}
    # A job that failed, was cancelled or waits for a person stays where it came to.
    return ours.get(phase, 20.0 + 0.7 * provider_percent if provider_percent else 10.0)

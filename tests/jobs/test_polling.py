"""When to look again: never sooner than the provider wishes, never too late, and few looks in all."""

import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from statistics import mean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.jobs.ledger import JobState
from rushes.jobs.polling import (
    FIRST_LOOK_S,
    LONGEST_S,
    TROUBLE_LONGEST_S,
    Pace,
    bar_percent,
    guessed_percent,
    next_look_s,
)

SECONDS = st.floats(0, 10_000)
PACES = st.builds(
    Pace,
    elapsed_s=SECONDS,
    looks=st.integers(0, 1000),
    percent=st.none() | st.floats(-10, 200),
    percent_at_s=SECONDS,
    history_s=st.lists(st.floats(0.01, 10_000), max_size=20),
    poll_after_s=st.none() | st.floats(0, 600),
    least_s=st.sampled_from([0.0, 5.0, 10.0]),
    fixed_s=st.none() | st.floats(0.05, 600),
    troubles=st.integers(0, 100),
    retry_after_s=st.none() | st.floats(0, 600),
)


@given(PACES)
def test_a_look_never_comes_sooner_than_the_provider_wishes(pace: Pace) -> None:
    wish = pace.retry_after_s if pace.troubles else pace.poll_after_s

    assert next_look_s(pace) >= max(wish or 0.0, pace.least_s)


@given(PACES)
def test_looks_neither_race_nor_fall_asleep(pace: Pace) -> None:
    asked = (pace.poll_after_s, pace.fixed_s, pace.retry_after_s, pace.least_s)
    longest = max(LONGEST_S * 4, TROUBLE_LONGEST_S, *(each or 0.0 for each in asked))

    assert 0.05 <= next_look_s(pace) <= longest


@given(PACES)
def test_a_fixed_interval_is_kept_to_while_all_is_well(pace: Pace) -> None:
    well = replace(pace, troubles=0, fixed_s=3.0, poll_after_s=None, least_s=0.0)

    assert next_look_s(well) == 3.0


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [
        (Pace(elapsed_s=0.0), FIRST_LOOK_S),  # unknown: it may be a fast one
        (Pace(elapsed_s=0.0, poll_after_s=5.0), 5.0),
        (Pace(elapsed_s=5.0, looks=3), 1.0),
        (Pace(elapsed_s=100.0, looks=9), 10.0),
        (Pace(elapsed_s=1000.0, looks=99), LONGEST_S),
        (Pace(elapsed_s=0.0, history_s=[n + 180.0 for n in range(50)]), 60.0),  # long before: a sign of life only
        (Pace(elapsed_s=0.0, history_s=[180.0] * 2), FIRST_LOOK_S),  # two are no history
        (Pace(elapsed_s=900.0, history_s=[180.0] * 5), LONGEST_S),  # this one is not like the others
        (Pace(elapsed_s=10.0, troubles=1), 1.0),
        (Pace(elapsed_s=10.0, troubles=4), 8.0),
        (Pace(elapsed_s=10.0, troubles=99), TROUBLE_LONGEST_S),
        (Pace(elapsed_s=10.0, troubles=1, retry_after_s=300.0), 300.0),
    ],
    ids=str,
)
def test_the_next_look_follows_from_what_is_known(pace: Pace, seconds: float) -> None:
    assert next_look_s(pace) == pytest.approx(seconds)


def test_the_looks_grow_dense_towards_the_end_that_such_jobs_had() -> None:
    early, nearly, then = (next_look_s(Pace(elapsed_s=at, history_s=[180.0] * 5)) for at in (150.0, 170.0, 180.0))

    assert 10.0 < early < 30.0
    assert 1.0 < nearly < 10.0
    assert then == 0.5


def test_between_two_usual_ends_the_looks_are_few() -> None:
    """Some jobs wait in a queue first: those that did not end early will not end for a while."""
    fast_or_queued = [50.0 + n / 5 for n in range(10)] + [250.0 + n / 5 for n in range(10)]

    at_first_end, between, at_second_end = (
        next_look_s(Pace(elapsed_s=at, history_s=fast_or_queued)) for at in (50.5, 120.0, 250.5)
    )

    assert at_first_end < 2.0
    assert between > 10.0
    assert at_second_end < 2.0


def test_a_percentage_that_stands_still_is_not_believed_for_long() -> None:
    moving = Pace(elapsed_s=100.0, looks=5, percent=99.0, percent_at_s=99.5)
    standing = replace(moving, percent_at_s=50.0)

    assert next_look_s(moving) < 1.0
    assert next_look_s(standing) == 10.0


# -- how it does over whole jobs: the aim of the design --------------------------------------------

Percent = Callable[[float], float | None]
FIXED_LOOP_POLLS = 18  # what a loop that looks each 10 s needs for three minutes


def followed(duration_s: float, history_s: list[float], percent: Percent) -> tuple[int, float]:
    """How many looks one job takes until its end is seen, and how long after it that is."""
    pace = Pace(elapsed_s=0.0, history_s=history_s)
    while True:
        now = pace.elapsed_s + next_look_s(pace)
        if now >= duration_s:
            return pace.looks + 1, now - duration_s
        said = percent(now / duration_s)
        since = pace.percent_at_s if said == pace.percent else now
        pace = replace(pace, elapsed_s=now, looks=pace.looks + 1, percent=said, percent_at_s=since)


def simulated(spread_s: float, percent: Percent) -> tuple[float, float]:
    """Mean looks and median delay over many three-minute jobs, each with thirty before it."""
    chance = random.Random(20261120)
    draw: Callable[[], float] = lambda: max(60.0, chance.gauss(180.0, spread_s))  # noqa: E731
    runs = [followed(draw(), [draw() for _ in range(30)], percent) for _ in range(300)]
    return mean(looks for looks, _ in runs), median(delay for _, delay in runs)


@pytest.mark.parametrize("spread_s", [5.0, 18.0, 40.0])
def test_with_a_percentage_the_end_is_seen_at_once_and_with_fewer_looks_than_a_fixed_loop(spread_s: float) -> None:
    looks, delay_s = simulated(spread_s, lambda share: float(int(share * 100)))

    assert looks < FIXED_LOOP_POLLS
    assert delay_s < 0.5


def test_without_a_percentage_history_alone_does_it_for_jobs_of_even_length() -> None:
    looks, delay_s = simulated(5.0, lambda share: None)

    assert looks < FIXED_LOOP_POLLS
    assert delay_s < 0.5


def test_for_jobs_of_uneven_length_without_a_percentage_the_looks_stay_few() -> None:
    """Short of the aim of half a second: with so few looks, not even schedules made for the true spread came to it."""
    looks, delay_s = simulated(18.0, lambda share: None)

    assert looks < FIXED_LOOP_POLLS
    assert delay_s < 1.1, "a fixed loop of 10 s: 5"


LIARS: dict[str, Percent] = {
    "always nothing": lambda share: 0.0,
    "waits at 99": lambda share: 99.0 if share > 0.6 else share * 150,
    "quarters": lambda share: float(int(share * 4) * 25),
    "slow at first": lambda share: 100 * share**2,
    "slow at last": lambda share: 100 * share**0.5,
}


@pytest.mark.parametrize("percent", LIARS.values(), ids=LIARS.keys())
def test_a_percentage_that_lies_does_little_harm(percent: Percent) -> None:
    looks, delay_s = simulated(18.0, percent)

    assert looks < 1.5 * FIXED_LOOP_POLLS
    assert delay_s < 1.5


@pytest.mark.parametrize(
    ("elapsed_s", "typical_s", "percent"),
    [(0.0, 60.0, 0.0), (30.0, 60.0, 50.0), (57.0, 60.0, 95.0), (600.0, 60.0, 95.0), (30.0, None, None)],
)
def test_where_nobody_tells_a_percentage_it_is_guessed_and_never_promises_the_end(
    elapsed_s: float, typical_s: float | None, percent: float | None
) -> None:
    assert guessed_percent(elapsed_s, typical_s) == percent


def test_a_job_of_two_seconds_is_seen_within_one() -> None:
    chance = random.Random(1)
    delays = [followed(chance.gauss(2.0, 0.2), [], lambda share: None)[1] for _ in range(100)]

    assert max(delays) <= 1.0


# -- one bar for a whole job -----------------------------------------------------------------------


def test_the_bar_grows_with_the_states_of_a_job() -> None:
    phases = [JobState.QUEUED, JobState.SUBMITTING, JobState.IN_PROGRESS, JobState.DOWNLOADING, JobState.FINISHING]
    at_start = [bar_percent(phase.value, 0.0) for phase in phases]
    at_end = [bar_percent(phase.value, 100.0) for phase in [*phases, JobState.COMPLETED]]

    assert all(one < other for one, other in pairwise(at_start))
    assert all(one < other for one, other in pairwise(at_end))
    assert at_end[-1] == 100.0


@given(st.none() | st.floats(-1000, 1000))
def test_the_providers_own_percentage_moves_the_bar_from_20_to_90(percent: float | None) -> None:
    assert 20.0 <= bar_percent("in_progress", percent) <= 90.0

"""How many jobs an account is given at once: the rules, and what they come to beside a provider with a limit."""

import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.jobs.limits import FIRST_CREATES, LONGEST_PAUSE_S, RECOVER_S, Lane, after_refusal, learnt_limit, room

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def s(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def lane(
    in_flight: int = 0,
    queued: int = 100,
    learnt: int | None = None,
    *,
    sending: int = 0,
    fetching: int = 0,
    learnt_at: datetime = NOW,
    resume_at: datetime | None = None,
) -> Lane:
    return Lane(
        provider="mybox",
        in_flight=in_flight,
        queued=queued,
        jobs_learnt=learnt,
        learnt_at=None if learnt is None else learnt_at,
        resume_at=resume_at,
        sending=sending,
        fetching=fetching,
    )


instants = st.floats(-10_000, 10_000).map(lambda seconds: NOW + s(seconds))


@st.composite
def any_lane(draw: st.DrawFn) -> Lane:
    sending = draw(st.integers(0, 50))
    return lane(
        draw(st.integers(0, 200)) + sending,
        learnt=draw(st.none() | st.integers(1, 200)),
        sending=sending,
        fetching=draw(st.integers(0, 50)),
        learnt_at=draw(instants),
        resume_at=draw(st.none() | instants),
    )


@given(lane=any_lane(), max_jobs=st.integers(1, 100))
def test_never_more_are_sent_than_the_settings_allow(lane: Lane, max_jobs: int) -> None:
    more = room(lane, max_jobs, NOW)

    assert more >= 0
    assert more == 0 or lane.in_flight + more <= max_jobs


@given(lane=any_lane(), max_jobs=st.none() | st.integers(1, 100))
def test_nothing_is_sent_while_the_account_asked_for_a_pause(lane: Lane, max_jobs: int | None) -> None:
    paused = replace(lane, resume_at=NOW + s(0.001))

    assert room(paused, max_jobs, NOW) == 0


@given(lane=any_lane(), retry_after_s=st.none() | st.floats(0, 10_000))
def test_a_refusal_always_leads_to_a_pause_and_never_to_a_limit_of_nothing(
    lane: Lane, retry_after_s: float | None
) -> None:
    after = after_refusal(lane, retry_after_s, NOW)

    assert after.resume_at is not None and after.resume_at > NOW
    assert after.jobs_learnt is not None and after.jobs_learnt >= 1


def test_without_a_known_limit_a_few_creates_go_first_and_as_many_more_as_were_accepted() -> None:
    at_first = room(lane(), None, NOW)
    none_answered = room(lane(FIRST_CREATES, sending=FIRST_CREATES), None, NOW)
    many_accepted = room(lane(40), None, NOW)
    quick_jobs = room(lane(0, fetching=30), None, NOW)

    assert (at_first, none_answered, many_accepted, quick_jobs) == (FIRST_CREATES, 0, 40, 30)


def test_ten_thousand_jobs_are_sent_in_a_dozen_rounds_where_nothing_is_refused() -> None:
    rounds, running = 0, 0

    while running < 10_000:
        running += room(lane(running), None, NOW)
        rounds += 1

    assert rounds <= 12


def test_a_limit_of_the_settings_is_believed_until_it_is_refused() -> None:
    believed = room(lane(), 50, NOW)
    refused = room(after_refusal(lane(2), None, NOW), 50, NOW + s(2))

    assert (believed, refused) == (50, 0)


def test_what_was_accepted_when_a_create_was_refused_is_the_limit() -> None:
    after = after_refusal(lane(in_flight=5, sending=3), None, NOW)

    assert after.jobs_learnt == 2
    assert room(after, None, NOW + s(1.5)) == 0


@pytest.mark.parametrize(
    ("retry_after_s", "pause_s"), [(None, 1.0), (0.2, 1.0), (7.0, 7.0), (1e9, 3600.0), (-5.0, 1.0)]
)
def test_a_pause_is_what_was_asked_for_within_reason(retry_after_s: float | None, pause_s: float) -> None:
    after = after_refusal(lane(2), retry_after_s, NOW)

    assert after.resume_at == NOW + s(pause_s)


def test_the_limit_grows_back_faster_and_faster() -> None:
    grown = [learnt_limit(lane(learnt=2), NOW + s(RECOVER_S * steps)) for steps in range(5)]

    assert grown == [2, 3, 5, 8, 12]


def test_refusals_of_creates_that_left_together_count_as_one() -> None:
    first = after_refusal(lane(in_flight=8, sending=8), None, NOW)
    second = after_refusal(replace(first, in_flight=8, sending=6), None, NOW + s(0.1))
    late = after_refusal(replace(second, in_flight=2, sending=0), None, NOW + s(30), sent_at=NOW - s(0.1))

    assert (first.jobs_learnt, second.jobs_learnt, late.jobs_learnt) == (1, 2, 2)
    assert first.resume_at == second.resume_at


def test_an_account_that_refuses_although_nothing_runs_is_asked_less_and_less_often() -> None:
    state, now = lane(), NOW
    pauses: list[float] = []

    for _ in range(9):
        state = after_refusal(state, None, now)
        assert state.resume_at is not None
        pauses.append((state.resume_at - now).total_seconds())
        now = state.resume_at

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, LONGEST_PAUSE_S]


# -- beside a provider that has a limit and does not tell it -------------------------------------------------------


@dataclass
class Simulated:
    """A provider that takes `limit` jobs at once, and a dispatcher that asks `room` twice a second."""

    limit: int
    answer_s: float = 0.5
    luck: random.Random = field(default_factory=lambda: random.Random(7))
    now: datetime = NOW
    state: Lane = field(default_factory=lambda: lane())
    on_the_way: list[datetime] = field(default_factory=list[datetime])
    ends: list[datetime] = field(default_factory=list[datetime])
    refusals: int = 0
    done: int = 0
    most: int = 0

    def run(self, jobs: int, mean_s: float, *, max_jobs: int | None = None, at_most_s: float = 1e6) -> float:
        """Until that many jobs are done, or the time is over; returns how long it took."""
        start, waiting = self.now, jobs
        self.done = 0
        while self.done < jobs and (self.now - start).total_seconds() < at_most_s:
            waiting += self._end_and_answer(mean_s)
            for _ in range(min(room(self._seen(), max_jobs, self.now), waiting)):
                self.on_the_way.append(self.now)
                waiting -= 1
            self.most = max(self.most, len(self.ends) + len(self.on_the_way))
            self.now += s(0.5)
        return (self.now - start).total_seconds()

    def _end_and_answer(self, mean_s: float) -> int:
        running = [end for end in self.ends if end > self.now]
        self.done += len(self.ends) - len(running)
        self.ends = running
        back = 0
        while self.on_the_way and self.on_the_way[0] + s(self.answer_s) <= self.now:
            sent_at = self.on_the_way.pop(0)
            if len(self.ends) < self.limit:
                self.ends.append(self.now + s(self.luck.uniform(0.2, 1.8) * mean_s))
            else:
                self.refusals, back = self.refusals + 1, back + 1
                self.state = after_refusal(self._seen(), None, self.now, sent_at=sent_at)
        return back

    def _seen(self) -> Lane:
        sending = len(self.on_the_way)
        return replace(self.state, in_flight=len(self.ends) + sending, sending=sending)


@pytest.mark.parametrize("limit", [1, 2, 5, 20])
@pytest.mark.parametrize("mean_s", [20.0, 120.0, 600.0])
def test_fifty_jobs_beside_an_unknown_limit_are_refused_seldom_and_lose_little_time(limit: int, mean_s: float) -> None:
    provider = Simulated(limit)

    took_s = provider.run(50, mean_s)

    # Eight leave before the first answer, a few tries settle the limit; then it is tried again every ten minutes.
    assert provider.refusals <= 20 + took_s / 600
    assert took_s <= 1.25 * (50 / limit * mean_s) + 2 * 1.8 * mean_s


def test_two_at_once_are_found_by_fifty_jobs_with_less_than_twenty_refusals() -> None:
    provider = Simulated(limit=2)

    provider.run(50, 120.0)

    assert provider.refusals < 20
    assert provider.state.jobs_learnt == 2


def test_a_limit_that_is_raised_is_found_within_a_quarter_of_an_hour() -> None:
    provider = Simulated(limit=2)
    provider.run(1000, 120.0, at_most_s=3600)
    provider.limit, provider.most = 60, 0

    provider.run(1000, 120.0, at_most_s=900)

    assert provider.most >= 60


def test_a_limit_that_is_lowered_is_found_by_one_refusal_for_each_job_that_ends() -> None:
    provider = Simulated(limit=20)
    provider.run(1000, 60.0, at_most_s=1200)
    provider.limit, before = 3, provider.refusals

    provider.run(1000, 60.0, at_most_s=600)

    assert provider.state.jobs_learnt is not None and provider.state.jobs_learnt <= 3
    assert provider.refusals - before <= 20 - 3 + 5


@given(limit=st.integers(1, 30), max_jobs=st.integers(1, 30), seed=st.integers(0, 1000))
def test_no_simulated_run_exceeds_the_settings(limit: int, max_jobs: int, seed: int) -> None:
    provider = Simulated(limit, luck=random.Random(seed))

    provider.run(40, 5.0, max_jobs=max_jobs, at_most_s=600)

    assert provider.most <= max_jobs

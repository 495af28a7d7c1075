"""The money rule as pure functions: whatever happens in whatever order, it holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rushes.jobs import ledger
from rushes.jobs.ledger import (
    ATTEMPT_MOVES,
    FINAL_JOB_STATES,
    JOB_MOVES,
    Attempt,
    AttemptState,
    IllegalMove,
    Job,
    JobState,
    Next,
)
from rushes.providers.terms import RemoteJob
from rushes.video import Failure, Status

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PUBLIC_ORDER = (Status.QUEUED, Status.IN_PROGRESS, Status.COMPLETED, Status.FAILED)


def job(state: JobState = JobState.QUEUED, **changes: object) -> Job:
    made = Job(
        id="video_1",
        owner="local",
        state=state,
        model="openai:video:sora-2",
        asked_model="sora-2",
        prompt="A cat",
        fingerprint="f" * 64,
        slot=0,
        priority=0,
        created_at=NOW,
        deadline=NOW + timedelta(hours=48),
        prepared_json="{}",
        options_json="{}",
        estimate_usd=Decimal("0.80"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def attempt(state: AttemptState, n: int = 1, **changes: object) -> Attempt:
    made = Attempt(
        job_id="video_1",
        n=n,
        provider="openai",
        account="openai@host#1",
        model="openai:video:sora-2",
        state=state,
        key=f"video_1-{n}",
        request_hash="h" * 64,
        intent_at=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def opened(of: Job, attempts: list[Attempt]) -> Attempt:
    return ledger.open_attempt(
        of, attempts, provider="openai", account="openai@host#1", model=of.model, request_hash="h" * 64, now=NOW
    )


class Life(RuleBasedStateMachine):
    """One job, pushed about at random by everything that may happen to it, as the steps would."""

    @initialize()
    def admitted(self) -> None:
        self.job = job()
        self.attempts: list[Attempt] = []
        self.before: list[Attempt] = []
        self.now = NOW
        self.seen = [self.job.public_status(self.now)]
        self.ended_as: Job | None = None

    def _is(self, *states: JobState) -> bool:
        return self.job.state in states

    def _last_is(self, *states: AttemptState) -> bool:
        return bool(self.attempts) and self.attempts[-1].state in states and not self.attempts[-1].repaid

    def _move(self, state: JobState) -> None:
        self.job = ledger.moved(self.job, state, started_at=self.job.started_at or self.now)
        self.seen.append(self.job.public_status(self.now))
        if self.job.state.final:
            self.ended_as = self.job

    @precondition(lambda self: not self._is(JobState.QUEUED, JobState.SUBMITTING))
    @rule(hours=st.integers(1, 30))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.seen.append(self.job.public_status(self.now))

    @precondition(
        lambda self: self._is(JobState.QUEUED, JobState.SUBMITTING) and not self._last_is(AttemptState.INTENT)
    )
    @rule()
    def opens(self) -> None:
        if ledger.may_open_attempt(self.attempts):
            self.attempts.append(opened(self.job, self.attempts))
            self._move(JobState.SUBMITTING)
        else:
            with pytest.raises(IllegalMove):
                opened(self.job, self.attempts)

    @precondition(lambda self: self._is(JobState.SUBMITTING) and self._last_is(AttemptState.INTENT))
    @rule()
    def sends(self) -> None:
        self.attempts[-1] = ledger.about_to_send(self.attempts[-1], "openai@host#1", self.now)

    @precondition(
        lambda self: (
            self._is(JobState.SUBMITTING, JobState.NEEDS_ATTENTION)
            and self._last_is(AttemptState.SENDING, AttemptState.UNKNOWN)
        )
    )
    @rule()
    def is_accepted(self) -> None:
        if self.job.timed_out(self.now):
            return  # a late adoption goes to a new id
        self.attempts[-1] = ledger.accepted(self.attempts[-1], RemoteJob(id=f"r{len(self.attempts)}"), self.now)
        self._move(JobState.IN_PROGRESS)

    @precondition(
        lambda self: self._is(JobState.SUBMITTING) and self._last_is(AttemptState.SENDING, AttemptState.UNKNOWN)
    )
    @rule(again=st.integers(0, 4))
    def is_refused(self, again: int) -> None:
        self.attempts[-1] = ledger.refused(self.attempts[-1], "rate_limit_exceeded", "later", self.now)
        self._move(JobState.QUEUED if again else JobState.FAILED)

    @precondition(lambda self: self._is(JobState.SUBMITTING) and self._last_is(AttemptState.SENDING))
    @rule(asked=st.booleans())
    def is_in_doubt(self, asked: bool) -> None:
        self.attempts[-1] = ledger.in_doubt(self.attempts[-1], "provider_unavailable", "no answer")
        if asked:
            self._move(JobState.NEEDS_ATTENTION)

    @precondition(lambda self: self._is(JobState.NEEDS_ATTENTION) and not self.job.timed_out(self.now))
    @rule()
    def is_paid_again(self) -> None:
        self.attempts[-1] = replace(self.attempts[-1], repaid=True)
        self._move(JobState.SUBMITTING)

    @precondition(lambda self: self._is(JobState.IN_PROGRESS) and self._last_is(AttemptState.CREATED))
    @rule(cost=st.none() | st.decimals(0, 10, places=2))
    def is_rendered(self, cost: Decimal | None) -> None:
        self.attempts[-1] = ledger.ended(self.attempts[-1], cost, self.now)
        self._move(JobState.DOWNLOADING)

    @precondition(lambda self: self._is(JobState.IN_PROGRESS) and self._last_is(AttemptState.CREATED))
    @rule(lost=st.booleans())
    def ends_without_a_video(self, lost: bool) -> None:
        last = self.attempts[-1]
        over = ledger.lost(last, "gone", self.now) if lost else ledger.ended(last, Decimal(0), self.now, "failed")
        self.attempts[-1] = over
        self._move(JobState.FAILED)

    @precondition(lambda self: self._is(JobState.DOWNLOADING, JobState.FINISHING))
    @rule(state=st.sampled_from([JobState.DOWNLOADING, JobState.FINISHING, JobState.COMPLETED, JobState.FAILED]))
    def is_fetched(self, state: JobState) -> None:
        if state in JOB_MOVES[self.job.state]:
            self._move(state)

    @precondition(lambda self: ledger.next_for(self.job, self.attempts) in (Next.OPEN, Next.SEND))
    @rule(meant=st.integers(0, 3))
    def is_cancelled_unpaid(self, meant: int) -> None:
        if meant < 3:
            return  # else most lives would be over before they began
        if self._last_is(AttemptState.INTENT):
            self.attempts[-1] = ledger.refused(self.attempts[-1], "cancelled", "not sent", self.now)
        self._move(JobState.CANCELLED)

    @precondition(lambda self: bool(self.attempts))
    @rule(
        n=st.integers(0, 9),
        answer=st.sampled_from(["accepted", "refused", "doubt", "ended", "lost", "sent"]),
    )
    def an_answer_comes_late_or_again(self, n: int, answer: str) -> None:
        """Of any attempt, whatever the job does by now: it is taken where the table allows it, or changes nothing."""
        place = n % len(self.attempts)
        attempt = self.attempts[place]
        answers = {
            "accepted": lambda: ledger.accepted(attempt, attempt.remote or RemoteJob(id=f"late{place}"), self.now),
            "refused": lambda: ledger.refused(attempt, "rate_limit_exceeded", "late", self.now),
            "doubt": lambda: ledger.in_doubt(attempt, "provider_unavailable", "late"),
            "ended": lambda: ledger.ended(attempt, attempt.cost_usd or Decimal("0.40"), self.now),
            "lost": lambda: ledger.lost(attempt, "late", self.now),
            "sent": lambda: ledger.about_to_send(attempt, "openai@host#1", self.now),
        }
        try:
            answered = answers[answer]()
        except IllegalMove:
            return
        if attempt.repaid:
            self.attempts[place] = answered  # beside it the job goes on: only the books change
        else:
            assert answered.state is attempt.state or answered.state in ATTEMPT_MOVES[attempt.state]

    @invariant()
    def what_an_attempt_came_to_is_never_taken_back(self) -> None:
        for before, after in zip(self.before, self.attempts, strict=False):
            if before.state in (AttemptState.REFUSED, AttemptState.ENDED, AttemptState.LOST):
                assert after.state is before.state
            if before.remote is not None:
                assert after.remote is not None
                assert after.state is not AttemptState.REFUSED
            assert after.repaid or not before.repaid
        assert len(self.attempts) >= len(self.before)
        self.before = list(self.attempts)

    @invariant()
    def each_attempt_but_the_last_was_refused_or_repaid(self) -> None:
        ledger.check_attempts(self.attempts)
        assert [each.n for each in self.attempts] == list(range(1, len(self.attempts) + 1))
        assert len({each.key for each in self.attempts}) == len(self.attempts)

    @invariant()
    def at_most_one_attempt_can_be_billed_without_a_decision(self) -> None:
        assert sum(each.state is not AttemptState.REFUSED and not each.repaid for each in self.attempts) <= 1

    @invariant()
    def the_public_status_never_goes_backwards(self) -> None:
        places = [PUBLIC_ORDER.index(status) for status in self.seen]
        assert places == sorted(places)
        assert len({status for status in self.seen if status.final}) <= 1

    @invariant()
    def a_final_job_never_moves(self) -> None:
        if self.ended_as is not None:
            assert self.job == self.ended_as
            assert ledger.next_for(self.job, self.attempts) is Next.NOTHING
            for state in set(JobState) - {self.job.state}:
                with pytest.raises(IllegalMove):
                    ledger.moved(self.job, state)
            with pytest.raises(IllegalMove):
                opened(self.job, self.attempts)

    @invariant()
    def the_cost_is_unknown_as_soon_as_something_billed_is(self) -> None:
        sent = [each for each in self.attempts if each.state is not AttemptState.INTENT]
        total = ledger.total_cost(self.attempts)
        if any(each.cost_usd is None for each in sent):
            assert total is None
        else:
            assert total == sum(each.cost_usd or 0 for each in sent)

    @invariant()
    def a_worker_is_never_told_to_send_what_may_be_accepted(self) -> None:
        if self._last_is(AttemptState.SENDING, AttemptState.UNKNOWN, AttemptState.CREATED):
            assert ledger.next_for(self.job, self.attempts) not in (Next.OPEN, Next.SEND)


Life.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase


# -- tables ----------------------------------------------------------------------------------------


def test_every_job_state_can_be_reached_and_leads_to_an_end() -> None:
    reached, waiting = {JobState.QUEUED}, [JobState.QUEUED]
    while waiting:
        for state in JOB_MOVES[waiting.pop()] - reached:
            reached.add(state)
            waiting.append(state)

    assert reached == set(JobState)
    assert {state for state in JobState if not JOB_MOVES[state]} == FINAL_JOB_STATES


def test_every_attempt_state_can_be_reached() -> None:
    reached, waiting = {AttemptState.INTENT}, [AttemptState.INTENT]
    while waiting:
        for state in ATTEMPT_MOVES[waiting.pop()] - reached:
            reached.add(state)
            waiting.append(state)

    assert reached == set(AttemptState)


@pytest.mark.parametrize(("before", "after"), list(product(JobState, JobState)))
def test_a_job_moves_only_along_the_table(before: JobState, after: JobState) -> None:
    if after is before or after in JOB_MOVES[before]:
        assert ledger.moved(job(before), after).state is after
    else:
        with pytest.raises(IllegalMove, match="cannot go"):
            ledger.moved(job(before), after)


@pytest.mark.parametrize(("before", "after"), list(product(AttemptState, AttemptState)))
def test_an_attempt_moves_only_along_the_table(before: AttemptState, after: AttemptState) -> None:
    if after is before or after in ATTEMPT_MOVES[before]:
        assert ledger.attempt_moved(attempt(before), after).state is after
    else:
        with pytest.raises(IllegalMove, match="cannot go"):
            ledger.attempt_moved(attempt(before), after)


BY_ATTEMPT = {
    None: Next.OPEN,
    AttemptState.INTENT: Next.SEND,
    AttemptState.SENDING: Next.SETTLE,
    AttemptState.UNKNOWN: Next.SETTLE,
    AttemptState.REFUSED: Next.OPEN,
    AttemptState.CREATED: Next.WAIT,
    AttemptState.ENDED: Next.WAIT,
    AttemptState.LOST: Next.WAIT,
}
BY_JOB = {
    **dict.fromkeys([JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.NEEDS_ATTENTION], Next.NOTHING),
    **dict.fromkeys([JobState.DOWNLOADING, JobState.FINISHING], Next.DOWNLOAD),
}


@pytest.mark.parametrize(("state", "last"), list(product(JobState, [None, *AttemptState])))
def test_what_comes_next_follows_from_the_job_and_its_last_attempt(state: JobState, last: AttemptState | None) -> None:
    attempts = [attempt(last)] if last else []

    assert ledger.next_for(job(state), attempts) is BY_JOB.get(state, BY_ATTEMPT[last])


def test_beside_a_repaid_attempt_another_is_opened() -> None:
    repaid = attempt(AttemptState.UNKNOWN, repaid=True)

    assert ledger.next_for(job(JobState.SUBMITTING), [repaid]) is Next.OPEN
    assert opened(job(JobState.SUBMITTING), [repaid]).n == 2


@pytest.mark.parametrize("state", sorted(set(AttemptState) - {AttemptState.REFUSED}))
def test_no_attempt_follows_one_that_is_not_refused(state: AttemptState) -> None:
    with pytest.raises(IllegalMove):
        opened(job(), [attempt(state)])
    with pytest.raises(IllegalMove):
        ledger.check_attempts([attempt(state), attempt(AttemptState.INTENT, 2)])


@pytest.mark.parametrize(
    ("attempts", "total"),
    [
        ([], Decimal(0)),
        ([attempt(AttemptState.INTENT)], Decimal(0)),
        ([attempt(AttemptState.SENDING)], None),
        ([attempt(AttemptState.UNKNOWN, repaid=True), attempt(AttemptState.ENDED, 2, cost_usd=Decimal(1))], None),
        ([attempt(AttemptState.LOST)], None),
        (
            [
                attempt(AttemptState.REFUSED, cost_usd=Decimal(0)),
                attempt(AttemptState.ENDED, 2, cost_usd=Decimal("0.80")),
            ],
            Decimal("0.80"),
        ),
    ],
)
def test_the_total_cost_is_the_sum_or_unknown(attempts: list[Attempt], total: Decimal | None) -> None:
    assert ledger.total_cost(attempts) == total


@pytest.mark.parametrize(
    ("state", "started", "hours", "status", "code"),
    [
        (JobState.QUEUED, False, 0, Status.QUEUED, None),
        (JobState.QUEUED, True, 0, Status.IN_PROGRESS, None),  # after a refusal: it was in progress before
        (JobState.SUBMITTING, True, 0, Status.IN_PROGRESS, None),
        (JobState.IN_PROGRESS, True, 100, Status.IN_PROGRESS, None),  # paid for: no deadline ends it
        (JobState.DOWNLOADING, True, 100, Status.IN_PROGRESS, None),
        (JobState.FINISHING, True, 0, Status.IN_PROGRESS, None),
        (JobState.COMPLETED, True, 100, Status.COMPLETED, None),
        (JobState.CANCELLED, True, 0, Status.FAILED, "cancelled"),
        (JobState.NEEDS_ATTENTION, True, 47, Status.IN_PROGRESS, None),
        (JobState.NEEDS_ATTENTION, True, 48, Status.FAILED, "timeout"),
    ],
)
def test_the_world_sees_the_words_of_the_videos_api(
    state: JobState, started: bool, hours: int, status: Status, code: str | None
) -> None:
    seen, now = job(state, started_at=NOW if started else None), NOW + timedelta(hours=hours)

    failure = seen.public_failure(now)
    assert seen.public_status(now) is status
    assert (failure.code if failure else None) == code


def test_a_failed_job_tells_its_own_reason() -> None:
    failure = Failure("moderation_blocked", "no")

    assert job(JobState.FAILED, failure=failure).public_failure(NOW) == failure


@pytest.mark.parametrize(("declared", "hours"), [(None, 48), (3600.0, 1), (10 * 86400.0, 48)])
def test_a_model_may_declare_an_earlier_deadline_but_no_later_one(declared: float | None, hours: int) -> None:
    assert ledger.deadline(NOW, declared) == NOW + timedelta(hours=hours)

"""What follows from a refusal, and from what a search brought up: decision tables."""

from datetime import UTC, datetime, timedelta

import pytest

from rushes.jobs.answers import (
    LONGEST_WAIT_S,
    RATE_LIMITED_PATIENCE_S,
    RATE_LIMITED_TRIES,
    RESUBMITS,
    UNREACHABLE_TRIES,
    GiveUp,
    TryAgain,
    after_refusal,
)
from rushes.jobs.ledger import Attempt, AttemptState
from rushes.jobs.reconcile import LOOK_EVERY_S, Absent, Adopt, Ask, LookAgain, Verdict, judge
from rushes.providers.terms import Findings, RemoteJob

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OURS, OTHER = RemoteJob(id="video_ours"), RemoteJob(id="video_other")


def refusals(*codes: str, apart: timedelta = timedelta(0)) -> list[Attempt]:
    return [
        Attempt(
            job_id="video_1",
            n=n,
            provider="openai",
            account="a",
            model="m",
            state=AttemptState.REFUSED,
            key=f"video_1-{n}",
            request_hash="h",
            intent_at=NOW + n * apart,
            error_code=code,
            error=f"words of {code}",
        )
        for n, code in enumerate(codes, 1)
    ]


LIMITED, DOWN, ABSENT = "rate_limit_exceeded", "provider_unreachable", "never_accepted"


@pytest.mark.parametrize(
    ("codes", "retry_after_s", "wait_s"),
    [
        ([LIMITED], None, 1.0),
        ([LIMITED], 7.0, 7.0),
        ([LIMITED], 0.1, 1.0),
        ([LIMITED], 1e6, 3600.0),  # nobody is asked to believe in a wait of days
        ([LIMITED] * 3, None, 4.0),
        ([LIMITED] * RATE_LIMITED_TRIES, None, LONGEST_WAIT_S),  # as often in half an hour says nothing
        ([DOWN], None, 1.0),
        ([DOWN] * (UNREACHABLE_TRIES - 1), None, 8.0),
        ([ABSENT], None, 0.0),
        ([ABSENT] * (RESUBMITS - 1), None, 0.0),
        ([LIMITED] * 20 + [DOWN], None, 1.0),  # each kind of trouble is counted by itself
    ],
)
def test_what_passes_by_itself_is_tried_again(codes: list[str], retry_after_s: float | None, wait_s: float) -> None:
    assert after_refusal(refusals(*codes), retry_after_s) == TryAgain(wait_s)


def test_a_job_that_finds_no_room_for_hours_is_given_up() -> None:
    apart = timedelta(seconds=1 + RATE_LIMITED_PATIENCE_S // (RATE_LIMITED_TRIES - 1))
    met = refusals(*[LIMITED] * RATE_LIMITED_TRIES, apart=apart)

    assert isinstance(after_refusal(met, None), GiveUp)
    assert isinstance(after_refusal(met[1:], None), TryAgain)


@pytest.mark.parametrize(
    "codes",
    [
        ["rejected"],
        ["access_denied"],
        ["insufficient_quota"],
        ["gone"],
        ["moderation_blocked"],
        [DOWN] * UNREACHABLE_TRIES,
        [ABSENT] * RESUBMITS,
        [LIMITED, "rejected"],
    ],
)
def test_what_would_only_be_repeated_ends_the_job_with_its_own_words(codes: list[str]) -> None:
    decision = after_refusal(refusals(*codes), 1.0)

    assert isinstance(decision, GiveUp)
    assert decision.failure == (codes[-1], f"words of {codes[-1]}")


@pytest.mark.parametrize(
    ("findings", "alike", "settled", "verdict"),
    [
        (Findings(matches=(OURS,)), 1, False, Adopt),
        (Findings(matches=(OURS,), complete=True), 1, True, Adopt),
        (Findings(matches=(OURS,), candidates=(OTHER,)), 1, True, Adopt),
        (Findings(matches=(OURS, OTHER)), 1, True, Ask),  # two, and only one of ours can be among them
        (Findings(matches=(OURS, OTHER)), 2, False, Adopt),  # two of ours are in doubt: in any order
        (Findings(matches=(OURS,)), 2, False, Adopt),
        (Findings(complete=True), 1, False, LookAgain),  # it may still arrive
        (Findings(candidates=(OTHER,)), 1, False, LookAgain),
        (Findings(), 1, False, LookAgain),
        (Findings(complete=True), 1, True, Absent),
        (Findings(candidates=(OTHER,), complete=True), 1, True, Ask),
        (Findings(candidates=(OTHER,)), 1, True, Ask),
        (Findings(), 1, True, Ask),  # nothing found where not all was seen proves nothing
    ],
)
def test_only_a_complete_search_proves_absence(
    findings: Findings, alike: int, settled: bool, verdict: type[Verdict]
) -> None:
    settled_at = NOW - timedelta(seconds=1) if settled else NOW + timedelta(seconds=60)

    assert isinstance(judge(findings, alike_in_doubt=alike, now=NOW, settled_at=settled_at), verdict)


@pytest.mark.parametrize(("left_s", "after_s"), [(60.0, LOOK_EVERY_S), (1.0, 1.0), (0.01, 0.2)])
def test_the_next_look_is_no_later_than_the_moment_that_settles_it(left_s: float, after_s: float) -> None:
    verdict = judge(Findings(), alike_in_doubt=1, now=NOW, settled_at=NOW + timedelta(seconds=left_s))

    assert verdict == LookAgain(after_s)

"""The judge of the fault matrix on trial: it must see each way in which the promise can be broken."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rushes.jobs.ledger import Attempt, AttemptState, Job, JobState
from rushes.jobs.shelf import VideoRow
from rushes.providers.terms import RemoteJob
from rushes.testing.account_book import AccountBook
from rushes.testing.faults import Fault
from rushes.testing.matrix import plans
from rushes.testing.matrix.audit import Record, Verdict, audit
from rushes.testing.matrix.kinds import KINDS
from rushes.testing.matrix.plans import Plan
from rushes.testing.matrix.table import Line, in_brief, printed

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BODY = b"a video"
ID = f"video_{0:032x}"
SHA256 = hashlib.sha256(BODY).hexdigest()


def job(**changes: object) -> Job:
    made = Job(
        id=ID,
        owner="local",
        state=JobState.COMPLETED,
        model="openai:video:sora-2",
        asked_model="sora-2",
        prompt="A cat",
        fingerprint="f",
        slot=0,
        priority=0,
        created_at=NOW,
        deadline=NOW + timedelta(hours=48),
        prepared_json="{}",
        options_json="{}",
        estimate_usd=Decimal("0.40"),
        cost_usd=Decimal("0.40"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def attempt(n: int = 1, **changes: object) -> Attempt:
    made = Attempt(
        job_id=ID,
        n=n,
        provider="openai",
        account="x",
        model="openai:video:sora-2",
        state=AttemptState.ENDED,
        key=f"{ID}-{n}",
        request_hash="h",
        intent_at=NOW,
        remote=RemoteJob(id=f"remote-{n}"),
        cost_usd=Decimal("0.40"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def record(of: Job | None = None, *attempts: Attempt, **changes: object) -> Record:
    made = Record(
        job=of or job(),
        attempts=list(attempts) or [attempt()],
        videos=[VideoRow(id=ID, job_id=ID, n=0, stored_under=ID, sha256=SHA256)],
        held_usd=Decimal(0),
        settled_usd=Decimal("0.40"),
        final_events=1,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def book_with(*remote_ids: str, prompt: str = "A cat") -> AccountBook:
    book = AccountBook()
    for remote_id in remote_ids:
        book.charge(remote_id=remote_id, model="sora-2", seconds=4, size="1280x720", usd=Decimal("0.40"), prompt=prompt)
    return book


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "videos" / ID
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(BODY)
    return tmp_path


def verdict_on(found: Record, book: AccountBook, media: Path, plan: Plan = plans.UNTROUBLED) -> Verdict:
    def served(remote_id: str, n: int) -> frozenset[str]:
        return frozenset({SHA256})

    return audit([found], book, plan, parked=frozenset(), media=media, served=served)


def test_books_that_agree_are_good(media: Path) -> None:
    verdict = verdict_on(record(), book_with("remote-1"), media)

    assert verdict.good, verdict.wrong
    assert (verdict.needed, verdict.charged, verdict.lost, verdict.twice) == (1, 1, 0, 0)
    assert verdict.reported_usd == verdict.charged_usd == Decimal("0.40")


BROKEN: Mapping[str, tuple[Record, AccountBook]] = {
    "charged twice": (record(), book_with("remote-1", "remote-2")),
    "is not known": (record(), book_with("remote-9")),
    "belong to no job": (record(), book_with("remote-1", prompt="A dog")),
    "reports 0.30": (record(job(cost_usd=Decimal("0.30"))), book_with("remote-1")),
    "does not know its cost": (record(job(cost_usd=None)), book_with("remote-1")),
    "never ended": (record(job(state=JobState.IN_PROGRESS)), book_with("remote-1")),
    "says 2 times": (record(final_events=2), book_with("remote-1")),
    "held": (record(held_usd=Decimal("0.40")), book_with("remote-1")),
    "not what was served": (record(videos=[VideoRow(id=f"video_{1:032x}", job_id=ID, n=0)]), book_with("remote-1")),
    "without a video": (record(videos=[]), book_with("remote-1")),
    "jobs failed": (record(job(state=JobState.FAILED)), book_with("remote-1")),
    "exists although": (record(None, attempt(1), attempt(2)), book_with("remote-1", "remote-2")),
}


@pytest.mark.parametrize("words", BROKEN)
def test_it_sees_what_is_broken(words: str, media: Path) -> None:
    found, book = BROKEN[words]

    verdict = verdict_on(found, book, media)

    said = "\n".join(verdict.wrong).replace("was charged 2 times", "charged twice")
    assert not verdict.good
    assert words in said


def test_a_second_charge_by_a_persons_decision_is_no_double_payment(media: Path) -> None:
    doubtful = attempt(1, state=AttemptState.UNKNOWN, remote=None, repaid=True, cost_usd=None)
    found = record(job(cost_usd=None), doubtful, attempt(2))

    verdict = verdict_on(found, book_with("remote-1", "remote-2"), media)

    assert verdict.good, verdict.wrong
    assert (verdict.needed, verdict.charged, verdict.unpriced) == (2, 2, 1)


def test_every_fault_of_every_plan_can_be_read() -> None:
    for plan in plans.ALL:
        for faults in plan.faults().values():
            for text in faults:
                assert text is None or Fault.parse(text)


def test_every_plan_fits_some_provider() -> None:
    for plan in plans.ALL:
        assert any(plan.fits(kind) for kind in KINDS), plan.name


def test_the_table_sums_rows_of_one_kind_and_names_what_is_wrong() -> None:
    names = {"provider": "openai", "database": "SQLite", "what": "kill -9"}
    good = Line(**names, workers=1, label="one", verdict=Verdict(jobs=2, needed=2, charged=2, kills=1))
    bad = Line(**names, workers=1, label="two", verdict=Verdict(jobs=1, needed=1, charged=2, twice=1, wrong=["paid"]))

    text = printed([good, bad])

    head, line, total, *rest = text.splitlines()
    assert head.split()[:3] == ["provider", "database", "workers"]
    assert line.split()[:4] == ["openai", "SQLite", "1", "kill"]
    assert line.split()[5:] == ["2", "3", "1", "0", "3", "4", "0", "1", "0.00", "0.00", "0", "0", "WRONG"]
    assert total.startswith("all")
    assert rest == ["", "two", "  paid"]


def test_in_brief_all_faults_on_one_operation_are_one_line() -> None:
    names = {"provider": "openai", "database": "SQLite", "label": "a row"}
    whats = ["create: 429", "create: reset before acceptance", "poll: 500", "SIGTERM drains"]
    lines = [Line(**names, workers=1, what=what, verdict=Verdict(jobs=1)) for what in whats]

    brief = in_brief(lines)

    assert [line.what for line in brief] == ["every fault on create"] * 2 + ["every fault on poll", "SIGTERM drains"]
    assert len(printed(brief).splitlines()) == 1 + 3 + 1

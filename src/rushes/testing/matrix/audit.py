"""The comparison of two sets of books: what the far side charged, and what the ledger and the files say.

It starts from the far side's account book, which knows nothing of us. Each job has a prompt of its own, so each
charge belongs to one job. A charge is right if it is the job's one, or if a person decided to pay again beside an
attempt in doubt; any other was paid twice.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from rushes.jobs import shelf, store
from rushes.jobs.ledger import Attempt, IllegalMove, Job, JobState, check_attempts
from rushes.jobs.shelf import VideoRow
from rushes.jobs.tables import holds
from rushes.media.store import video_key
from rushes.testing.account_book import AccountBook, Entry, prompt_hash
from rushes.testing.matrix.plans import Plan

FINAL_EVENTS = frozenset({"completed", "failed", "cancelled"})
Served = Callable[[str, int], frozenset[str]]
"""The hashes that the nth video of a remote job may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that our side says of one job."""

    job: Job
    attempts: list[Attempt]
    videos: list[VideoRow]
    held_usd: Decimal
    settled_usd: Decimal
    final_events: int


@dataclass(slots=True)
class Verdict:
    """The figures of a row, and in words whatever is not as it should be."""

    jobs: int = 0
    needed: int = 0
    charged: int = 0
    lost: int = 0
    twice: int = 0
    parked: int = 0  # how many waited for a person on their way
    unpriced: int = 0  # jobs whose cost we do not claim to know
    reported_usd: Decimal = Decimal(0)
    charged_usd: Decimal = Decimal(0)  # of the jobs that report a cost
    kills: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list[str])

    @property
    def good(self) -> bool:
        return not self.wrong


def read_records(connection: sa.Connection, job_ids: Sequence[str]) -> list[Record]:
    """Everything that the ledger has about these jobs. Raises LookupError for one that it does not know."""
    found: list[Record] = []
    for job_id in job_ids:
        job = store.job_by_id(connection, job_id)
        if job is None:
            raise LookupError(f"{job_id} was admitted, and is not in the ledger")
        hold = connection.execute(sa.select(holds).where(holds.c.job_id == job_id)).first()
        kinds = [event.kind for event in store.events_after(connection, 0, job_id)]
        found.append(
            Record(
                job=job,
                attempts=store.attempts_of(connection, job_id),
                videos=shelf.videos_of(connection, job_id),
                held_usd=hold.held_usd if hold else Decimal(0),
                settled_usd=hold.settled_usd if hold else Decimal(0),
                final_events=sum(kind in FINAL_EVENTS for kind in kinds),
            )
        )
    return found


def audit(
    records: Sequence[Record], book: AccountBook, plan: Plan, *, parked: frozenset[str], media: Path, served: Served
) -> Verdict:
    """Compare. `parked` are the jobs about which a person had to decide; `media` is where the files lie."""
    verdict = Verdict(jobs=len(records), charged=book.charged, parked=len(parked))
    charges: dict[str, list[Entry]] = defaultdict(list)
    for entry in book.entries:
        charges[entry.prompt_sha256].append(entry)
    for record in records:
        _audit_money(record, charges.pop(prompt_hash(record.job.prompt), []), verdict, plan)
        _audit_states(record, verdict)
        if record.job.state is JobState.COMPLETED:
            _audit_files(record, verdict, media, served)
    for entries in charges.values():
        verdict.lost += len(entries)
        verdict.wrong.append(f"{len(entries)} charges belong to no job: {entries[0].remote_id}")
    _audit_ends(records, verdict, plan)
    return verdict


def _audit_money(record: Record, charges: Sequence[Entry], verdict: Verdict, plan: Plan) -> None:
    job, attempts = record.job, record.attempts
    owned = {attempt.remote.id for attempt in attempts if attempt.remote is not None}
    unknown_to_us = [entry for entry in charges if entry.remote_id not in owned]
    by_decision = min(len(unknown_to_us), sum(attempt.repaid for attempt in attempts))
    wanted = 0 if _refused(record) and plan.refused else 1
    verdict.needed += wanted + by_decision
    if len(charges) > wanted + by_decision:
        verdict.twice += len(charges) - wanted - by_decision
        verdict.wrong.append(f"{job.id} was charged {len(charges)} times: {[entry.remote_id for entry in charges]}")
    if len(unknown_to_us) > by_decision:
        verdict.wrong.append(f"{job.id}: {[entry.remote_id for entry in unknown_to_us]} was charged and is not known")
    _audit_cost(record, charges, verdict, may_be_unknown=plan.unpriced > 0 or any(a.repaid for a in attempts))


def _audit_cost(record: Record, charges: Sequence[Entry], verdict: Verdict, *, may_be_unknown: bool) -> None:
    job = record.job
    if not job.state.final:
        return
    charged = sum((entry.usd for entry in charges), Decimal(0))
    if job.cost_usd is None:
        verdict.unpriced += 1
        if not may_be_unknown:
            verdict.wrong.append(f"{job.id} does not know its cost, {charged}")
        return
    verdict.reported_usd += job.cost_usd
    verdict.charged_usd += charged
    if job.cost_usd != charged:
        verdict.wrong.append(f"{job.id} reports {job.cost_usd} and was charged {charged}")
    if record.held_usd or record.settled_usd != job.cost_usd:
        verdict.wrong.append(f"{job.id}: its hold says {record.held_usd} held, {record.settled_usd} settled")


def _audit_states(record: Record, verdict: Verdict) -> None:
    job = record.job
    try:
        check_attempts(record.attempts)
    except IllegalMove as error:
        verdict.wrong.append(str(error))
    if not job.state.final:
        verdict.lost += 1
        verdict.wrong.append(f"{job.id} never ended: {job.state}, {job.trouble}")
    elif record.final_events != 1:
        verdict.wrong.append(f"{job.id} says {record.final_events} times that it ended")


def _audit_files(record: Record, verdict: Verdict, media: Path, served: Served) -> None:
    attempt = next((a for a in reversed(record.attempts) if a.remote is not None), None)
    if attempt is None or attempt.remote is None or not record.videos:
        verdict.lost += 1
        verdict.wrong.append(f"{record.job.id} is completed without a video or a remote job")
        return
    for row in record.videos:
        path = media / video_key(row.stored_under or row.id)
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
        if found != row.sha256 or found not in served(attempt.remote.id, row.n):
            verdict.lost += 1
            verdict.wrong.append(f"{record.job.id}: {path.name} is {found[:12]}, and not what was served")


def _audit_ends(records: Sequence[Record], verdict: Verdict, plan: Plan) -> None:
    """Each job ended as it had to: how many failed, and how many only a person could settle."""
    failed = [record for record in records if record.job.state in (JobState.FAILED, JobState.CANCELLED)]
    if len(failed) != plan.refused + plan.failed:
        first = f": {failed[0].job.failure}" if failed else ""
        verdict.wrong.append(f"{len(failed)} jobs failed instead of {plan.refused + plan.failed}{first}")
        verdict.lost += max(0, len(failed) - plan.refused - plan.failed)


def _refused(record: Record) -> bool:
    return record.job.state is JobState.FAILED and not any(a.remote is not None for a in record.attempts)


def totals(verdicts: Sequence[Verdict]) -> Verdict:
    """The sum of several rows."""
    whole = Verdict()
    for verdict in verdicts:
        for name in ("jobs", "needed", "charged", "lost", "twice", "parked", "unpriced", "kills", "seconds"):
            setattr(whole, name, getattr(whole, name) + getattr(verdict, name))
        whole.reported_usd += verdict.reported_usd
        whole.charged_usd += verdict.charged_usd
        whole.wrong += verdict.wrong
    return whole


def served_by(entries: Mapping[str, Sequence[bytes]]) -> Served:
    """For fakes whose files are known beforehand."""

    def served(remote_id: str, n: int) -> frozenset[str]:
        return frozenset(hashlib.sha256(body).hexdigest() for body in entries.get(remote_id, ()))

    return served

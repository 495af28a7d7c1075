"""Every question about lanes: how full they are, whose turn it is, what their refusals taught.

A lane is the queue to one provider's account, shared by all workers. Like `store.py` this does no more than SQL;
what the counts mean is decided in `limits.py`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from rushes.jobs import limits
from rushes.jobs.ledger import JobState
from rushes.jobs.limits import Lane
from rushes.jobs.tables import jobs
from rushes.jobs.tables import lanes as table

QUEUED, SUBMITTING, IN_PROGRESS = JobState.QUEUED.value, JobState.SUBMITTING.value, JobState.IN_PROGRESS.value
FETCHING = (JobState.DOWNLOADING.value, JobState.FINISHING.value)

COUNTS = (
    sa.select(
        jobs.c.provider,
        jobs.c.state,
        sa.func.count().label("all"),
        sa.func.count(jobs.c.worker).label("taken_up"),
    )
    .where(jobs.c.state.in_([QUEUED, SUBMITTING, IN_PROGRESS, *FETCHING]))
    .group_by(jobs.c.state, jobs.c.provider)
)
Counted = sa.Row[Any, Any, int, int]
COUNTS_OF_ONE = COUNTS.where(jobs.c.provider == sa.bindparam("provider"))
LEARNT = sa.select(table)
LEARNT_OF_ONE = LEARNT.where(table.c.provider == sa.bindparam("provider"))

NEW_LANE = table.insert()
WRITE_LANE = (
    table.update()
    .where(table.c.provider == sa.bindparam("key_provider"))
    .values({name: sa.bindparam(name) for name in ("jobs_learnt", "learnt_at", "resume_at")})
)


def _next_in_line(*, with_routes: bool) -> sa.Select[Any]:
    """Waiting jobs of a lane, each with its turn: its owner's jobs in flight there, plus its place in their queue."""
    of_lane = jobs.c.provider == sa.bindparam("provider")
    taken_up = (jobs.c.state == QUEUED) & jobs.c.worker.is_not(None)
    running = (
        sa.select(jobs.c.owner, sa.func.count().label("n"))
        .where(of_lane, jobs.c.state.in_([SUBMITTING, IN_PROGRESS]) | taken_up)
        .group_by(jobs.c.owner)
        .subquery("running")
    )
    place = sa.func.row_number().over(
        partition_by=[jobs.c.owner, jobs.c.priority], order_by=[jobs.c.created_at, jobs.c.id]
    )
    waiting = (
        sa.select(jobs.c.id, jobs.c.owner, jobs.c.priority, jobs.c.created_at, place.label("place"))
        .where(
            of_lane,
            jobs.c.state == QUEUED,
            jobs.c.worker.is_(None),
            jobs.c.cancel_requested.is_(False),
            *([jobs.c.routes_json.is_not(None)] if with_routes else []),
            sa.or_(jobs.c.not_before.is_(None), jobs.c.not_before <= sa.bindparam("now")),
        )
        .subquery("waiting")
    )
    turn = waiting.c.place + sa.func.coalesce(running.c.n, 0)
    return (
        sa.select(waiting.c.id)
        .outerjoin(running, running.c.owner == waiting.c.owner)
        .order_by(waiting.c.priority.desc(), turn, waiting.c.created_at, waiting.c.id)
        .limit(sa.bindparam("room"))
    )


NEXT_IN_LINE = _next_in_line(with_routes=False)
NEXT_WITH_ROUTES = _next_in_line(with_routes=True)
CANCELLED_IN_QUEUE = (
    sa.select(jobs.c.id)
    .where(jobs.c.state == QUEUED, jobs.c.worker.is_(None), jobs.c.cancel_requested)
    .order_by(jobs.c.created_at)
)


def lanes(connection: sa.Connection) -> list[Lane]:
    """Every lane with jobs that wait or are in flight, by name. Jobs that wait for a person are in none."""
    counts: dict[str, list[Counted]] = {}
    for row in connection.execute(COUNTS):
        counts.setdefault(row.provider, []).append(row)
    learnt = {row.provider: row for row in connection.execute(LEARNT)}
    found = [_lane(provider, counts[provider], learnt.get(provider)) for provider in sorted(counts)]
    return [lane for lane in found if lane.queued or lane.in_flight]


def next_in_line(
    connection: sa.Connection, provider: str, room: int, now: datetime, *, with_routes: bool = False
) -> list[str]:
    """Whose turn it is: ids of at most `room` jobs of a lane that nobody has taken up, in order.

    The highest priority goes first; among equals, the owner who has the fewest jobs in flight there; then the oldest.
    """
    if room <= 0:
        return []
    query = NEXT_WITH_ROUTES if with_routes else NEXT_IN_LINE
    return list(connection.execute(query, {"provider": provider, "room": room, "now": now}).scalars())


def cancelled_in_queue(connection: sa.Connection) -> list[str]:
    """Jobs that somebody wants to end before anybody took them up: no lane need have room for that."""
    return list(connection.execute(CANCELLED_IN_QUEUE).scalars())


def note_refusal(
    connection: sa.Connection,
    provider: str,
    retry_after_s: float | None,
    now: datetime,
    *,
    sent_at: datetime | None = None,
) -> Lane:
    """Write down what a create that was answered with 429 teaches about its lane; returns the lane as it is then.

    Give `sent_at` of the refused attempt where it is known. See `limits.after_refusal`.
    """
    learnt = connection.execute(LEARNT_OF_ONE, {"provider": provider}).first()
    counts = connection.execute(COUNTS_OF_ONE, {"provider": provider}).all()
    lane = limits.after_refusal(_lane(provider, counts, learnt), retry_after_s, now, sent_at=sent_at)
    values = {"jobs_learnt": lane.jobs_learnt, "learnt_at": lane.learnt_at, "resume_at": lane.resume_at}
    if learnt is None:
        connection.execute(NEW_LANE, {"provider": provider, **values})
    else:
        connection.execute(WRITE_LANE, {"key_provider": provider, **values})
    return lane


def _lane(provider: str, counts: Sequence[Counted], learnt: sa.Row[Any] | None) -> Lane:
    jobs_in = {row.state: row.all for row in counts}
    taken_up = sum(row.taken_up for row in counts if row.state == QUEUED)
    sending = jobs_in.get(SUBMITTING, 0) + taken_up
    return Lane(
        provider=provider,
        in_flight=jobs_in.get(IN_PROGRESS, 0) + sending,
        queued=jobs_in.get(QUEUED, 0) - taken_up,
        jobs_learnt=learnt.jobs_learnt if learnt else None,
        learnt_at=learnt.learnt_at if learnt else None,
        resume_at=learnt.resume_at if learnt else None,
        sending=sending,
        fetching=sum(jobs_in.get(state, 0) for state in FETCHING),
    )
